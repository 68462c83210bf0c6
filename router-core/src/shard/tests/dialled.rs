//! Connections that the router begins, between two routers in one process.

use std::sync::Arc;

use amqp_codec::Value;
use amqp_proto::{Clear, Time};

use super::world::World;
use crate::ids::{ConnKey, ConnectionId, Direction};
use crate::inspect::LinkType;
use crate::mail::{Command, ConnectionCommand, Dialled, Mail};
use crate::notice::{NetworkNotice, Notice, Opened};
use crate::route::Treatment;
use crate::settings::{ConnectionRole, ConnectionSettings, NewConnection};
use crate::shard::Shard;

/// A shard of the router that dials, one of the router that is dialled, and the wire between them.
pub(super) struct Pair {
    pub(super) dialler: World,
    pub(super) listener: World,
    pub(super) keys: [ConnKey; 2],
}

pub(super) fn shards(pair: &mut Pair) -> [&mut Shard; 2] {
    [&mut pair.dialler.shards[0], &mut pair.listener.shards[0]]
}

impl Pair {
    fn new() -> Self {
        Self::between("There", |_| {})
    }

    /// `QDR` dials a router of this id; both ends have further settings.
    pub(super) fn between(id: &str, further: impl Fn(&mut ConnectionSettings)) -> Self {
        let treatment = Treatment::AnycastBalanced;
        let (mut dialler, mut listener) = (World::new(1), World::of(id, 1, treatment));
        let settings = |connector: Option<Arc<str>>, cost| {
            let mut settings = ConnectionSettings {
                connector,
                role: ConnectionRole::InterRouter,
                cost,
                ..listener.listener.clone()
            };
            further(&mut settings);
            Arc::new(settings)
        };
        let dialled = NewConnection {
            connection: ConnectionId(7),
            settings: settings(Some("connector/there:1".into()), 1),
            peer: "there:1".to_owned(),
            hostname: Some("there".to_owned()),
            traced: false,
            join: None,
        };
        let accepted =
            NewConnection::accepted(ConnectionId(9), settings(None, 4), "127.0.0.1:4".to_owned());
        let now = Time::from_millis(1);
        let keys = [
            dialler.shards[0].accept(dialled, Box::new(Clear), now),
            listener.shards[0].accept(accepted, Box::new(Clear), now),
        ];
        let mut pair = Self {
            dialler,
            listener,
            keys,
        };
        pair.run();
        pair
    }

    fn run(&mut self) {
        self.run_at(Time::from_millis(2), true);
    }

    /// Lets both take turns until nothing moves; what they send is lost unless the wire passes it.
    pub(super) fn run_at(&mut self, now: Time, passes: bool) {
        for _ in 0..20 {
            let mut moved = false;
            for (from, to) in [(0, 1), (1, 0)] {
                let keys = self.keys;
                let shards = shards(self);
                shards[from].turn(now);
                let mut bytes = Vec::new();
                while let Some(key) = shards[from].poll_output() {
                    let output = shards[from].output(key).expect("it is there");
                    while !output.is_empty() {
                        let mut slices = [std::io::IoSlice::new(&[]); 4];
                        let count = output.io_slices(&mut slices);
                        let written: usize = slices[..count].iter().map(|part| part.len()).sum();
                        for part in &slices[..count] {
                            bytes.extend_from_slice(part);
                        }
                        output.consume(written);
                    }
                    shards[from].wrote(key);
                }
                moved |= !bytes.is_empty();
                if !bytes.is_empty() && passes {
                    shards[to].window()[..bytes.len()].copy_from_slice(&bytes);
                    shards[to].received(keys[to], bytes.len(), now);
                }
            }
            if !moved {
                break;
            }
        }
        for world in [&mut self.dialler, &mut self.listener] {
            let World {
                shards, notices, ..
            } = world;
            shards[0].finish(notices);
        }
    }

    /// What the dialling shard has told its control plane.
    fn told(&mut self) -> Vec<Dialled> {
        let shard = &mut self.dialler.shards[0];
        let batches: Vec<_> = shard.outboxes().drain().collect();
        let mail = batches.into_iter().flat_map(|(_, batch)| batch.mail);
        let told = mail.filter_map(|mail| match mail {
            Mail::Command(command) => match *command {
                Command::Dialled(dialled) => Some(dialled),
                _ => None,
            },
            _ => None,
        });
        told.collect()
    }

    /// Why the control plane is told that the connection has ended: condition and description.
    fn failure(&mut self) -> (String, String) {
        let told = self.told();
        match told.first() {
            Some(Dialled::Ended {
                failure: Some(failure),
                ..
            }) => failure.clone(),
            _ => panic!("{told:?}"),
        }
    }
}

fn opened(notices: &[Notice]) -> Arc<Opened> {
    let opened = notices.iter().find_map(|notice| match notice {
        Notice::ConnectionOpened(opened) => Some(Arc::clone(opened)),
        _ => None,
    });
    opened.expect("the connection has opened")
}

fn property(opened: &Opened, name: &str) -> Option<Value> {
    let properties = opened.properties.as_ref()?.value().ok()?;
    properties.as_map()?.get(name).cloned()
}

#[test]
fn two_routers_open_a_connection_and_say_what_it_costs() {
    let mut pair = Pair::new();
    let seen = opened(&pair.dialler.notices);
    assert_eq!((seen.direction, &*seen.peer), (Direction::Out, "there:1"));
    assert_eq!(seen.mechanism.as_deref(), Some("ANONYMOUS"));
    assert_eq!(property(&seen, "qd.inter-router-cost"), Some(Value::Int(4)));
    assert_eq!(property(&seen, "qd.conn-id"), Some(Value::Int(9)));
    let seen = opened(&pair.listener.notices);
    assert_eq!(seen.direction, Direction::In);
    assert_eq!(seen.mechanism.as_deref(), Some("ANONYMOUS"));
    assert_eq!(property(&seen, "qd.inter-router-cost"), None);
    assert_eq!(
        property(&seen, "qd.annotations-version"),
        Some(Value::Int(1))
    );
    assert_eq!(property(&seen, "qd.conn-id"), Some(Value::Int(7)));
    let told = pair.told();
    let [Dialled::Opened(opened)] = &*told else {
        panic!("{told:?}")
    };
    assert_eq!(opened.connection, ConnectionId(7));
}

#[test]
fn the_control_plane_hears_of_the_end_and_why() {
    let mut pair = Pair::new();
    pair.told();
    pair.listener.shards[0].shut_down(Time::from_millis(3));
    pair.run();
    let told = pair.told();
    let Some(Dialled::Ended {
        connection: ConnectionId(7),
        failure: Some((condition, description)),
    }) = told.first()
    else {
        panic!("{told:?}")
    };
    assert_eq!(condition, "amqp:connection:forced");
    assert_eq!(description, "the router is shutting down");

    let mut pair = Pair::new();
    pair.told();
    let reset = Some("Connection reset by peer".to_owned());
    pair.dialler.shards[0].end_of_input(pair.keys[0], reset, Time::from_millis(3));
    pair.run();
    let told = pair.told();
    let [
        Dialled::Ended {
            failure: Some((_, description)),
            ..
        },
    ] = &*told
    else {
        panic!("{told:?}")
    };
    assert_eq!(description, "Connection reset by peer");
}

#[test]
fn a_deleted_connection_is_told_as_such() {
    let mut pair = Pair::new();
    pair.told();
    let drop = Command::Connection(ConnectionId(7), ConnectionCommand::Drop(None));
    let mail = vec![Mail::Command(Box::new(drop))];
    pair.dialler.shards[0].take_mail(crate::mail::Batch { mail }, Time::from_millis(3));
    pair.run();
    let (_, description) = pair.failure();
    assert_eq!(description, "deleted by an administrator");
}

#[test]
fn a_connection_without_connector_is_closed_in_order() {
    let mut pair = Pair::new();
    let close = Command::Connection(ConnectionId(7), ConnectionCommand::Close);
    let mail = vec![Mail::Command(Box::new(close))];
    let batch = crate::mail::Batch { mail };
    pair.dialler.shards[0].take_mail(batch, Time::from_millis(3));
    pair.run();
    let failed = |notice: &Notice| matches!(notice, Notice::ConnectionFailed { .. });
    assert!(!pair.listener.notices.iter().any(failed));
    assert!(pair.listener.shards[0].poll_closed().is_some());
}

#[test]
fn a_router_of_the_same_id_is_refused_and_both_say_so() {
    let mut pair = Pair::between("QDR", |_| {});
    for (world, number) in [(&pair.dialler, 7), (&pair.listener, 9)] {
        let told = world.notices.iter().find_map(|notice| match notice {
            Notice::Network(NetworkNotice::DuplicateRouter {
                connection,
                id,
                neighbor: None,
            }) => Some((*connection, &**id)),
            _ => None,
        });
        assert_eq!(told, Some((Some(ConnectionId(number)), "QDR")));
    }
    let (condition, description) = pair.failure();
    assert_eq!(condition, "amqp:not-allowed");
    assert!(description.contains("'QDR'"), "{description}");
    assert!(pair.dialler.shards[0].poll_closed().is_some());
}

#[test]
fn the_form_of_annotations_is_told() {
    let pair = Pair::new();
    for world in [&pair.dialler, &pair.listener] {
        let told = world.notices.iter().find_map(|notice| match notice {
            Notice::Network(NetworkNotice::AnnotationsVersion { version, .. }) => Some(*version),
            _ => None,
        });
        assert_eq!(told, Some(1));
    }
}

#[test]
fn a_listener_that_is_not_for_routers_ends_the_connection_with_what_it_needs() {
    let mut pair = Pair::between("There", |settings| {
        if !settings.is_initiator() {
            settings.role = ConnectionRole::Normal;
        }
    });
    let told = pair.told();
    let ended = told.iter().find_map(|dialled| match dialled {
        Dialled::Ended { failure, .. } => failure.clone(),
        Dialled::Opened(_) => None,
    });
    let (condition, description) = ended.expect("it has ended with a reason");
    assert_eq!(condition, "amqp:not-allowed");
    assert!(description.contains("qd:forbidden"), "{description}");
    assert!(
        description.ends_with("needs a listener of that role"),
        "{description}"
    );
    let failed = |notice: &&Notice| matches!(notice, Notice::ConnectionFailed { .. });
    assert_eq!(pair.dialler.notices.iter().filter(failed).count(), 1);
    assert!(pair.dialler.shards[0].poll_closed().is_some());
}

#[test]
fn what_routers_tell_each_other_has_room_however_little_clients_have() {
    let mut pair = Pair::between("There", |settings| settings.link_capacity = 1);
    for shard in shards(&mut pair) {
        let mut links = shard.out_links.iter();
        let (_, link) = links
            .find(|(_, link)| link.kind == LinkType::RouterControl)
            .unwrap();
        assert!(link.capacity >= 100, "{}", link.capacity);
        let conn = shard.conns.get(link.conn).unwrap();
        assert!(conn.engine.credit(link.link) >= 100);
    }
}
