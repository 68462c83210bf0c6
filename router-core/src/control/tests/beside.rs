//! A control plane and a neighbour that talk to each other.

use std::time::Duration;

use amqp_proto::Time;

use super::{consumer, control_of, take};
use crate::control::*;
use crate::ids::OutLinkKey;
use crate::limits::MESH_EVENTS;
use crate::mail::{BoundLink, RouterLink};
use crate::mesh::{Engine, MeshSettings, NeighborLink};
use crate::notice::{Computed, Few, NetworkNotice};
use crate::route::Treatment;
use crate::settings::RouterMode;

/// A router next to the one of the control plane.
struct Beside {
    engine: Engine,
    now: Time,
    hellos: usize,
}

impl Beside {
    const LINK: NeighborLink = NeighborLink(1);
    const CONNECTION: ConnectionId = ConnectionId(7);

    /// A control plane with a connection to a router, and this router.
    fn neighbor_of() -> (ControlPlane, Self) {
        let mut control = control_of(RouterMode::Interior);
        let link = Self::link();
        let up = RouterLink {
            connection: Self::CONNECTION,
            link,
            priority: None,
            capacity: 250,
            cost: 1,
            opener: None,
        };
        take(&mut control, Mail::Command(Box::new(Command::LinkUp(up))));
        let now = Time::from_millis(1000);
        let beside = Self {
            engine: Engine::new(MeshSettings::new("beside", 5), now),
            now,
            hellos: 0,
        };
        (control, beside)
    }

    /// The link of the control plane's router to this one.
    fn link() -> OutLinkKey {
        let BoundLink::Out { link, .. } = consumer(0, 9) else {
            unreachable!()
        };
        link
    }

    /// A turn of the control plane, and what both routers say to each other; the keys that are
    /// published.
    fn turn(&mut self, control: &mut ControlPlane) -> usize {
        self.engine.tick(self.now);
        while let Some(outgoing) = self.engine.poll_output() {
            let said = Command::Routing(Self::CONNECTION, outgoing.message);
            take(control, Mail::Command(Box::new(said)));
        }
        control.turn(self.now);
        let mut published = 0;
        for (_, batch) in control.outboxes().drain() {
            for mail in batch.mail {
                match mail {
                    Mail::Routes(_, keys) => published = keys.len(),
                    Mail::Forward(forward) => {
                        let message = forward.payload.chunks().concat();
                        let is_hello = message.windows(7).any(|part| *part == *b"\xa1\x05HELLO");
                        self.hellos += usize::from(is_hello);
                        self.engine
                            .received(Self::LINK, &message, self.now)
                            .expect("a good message");
                    }
                    _ => {}
                }
            }
        }
        while self.engine.poll_event().is_some() {}
        published
    }
}

/// What was found out about the network.
fn news(control: &mut ControlPlane) -> Vec<NetworkNotice> {
    let mut notices = Vec::new();
    control.drain_notices(&mut notices);
    let news = notices.into_iter().filter_map(|notice| match notice {
        Notice::Network(news) => Some(news),
        _ => None,
    });
    news.collect()
}

#[test]
fn a_long_list_of_addresses_is_taken_in_parts_with_hellos_between() {
    let (mut control, mut beside) = Beside::neighbor_of();
    let many = 3 * MESH_EVENTS;
    for number in 0..many {
        let (key, hint) = (format!("M0{number}").into(), Treatment::Multicast);
        beside.engine.local_address(&key, hint, true, beside.now);
    }
    beside.engine.link_up(Beside::LINK, 1, beside.now);
    while control.address_count() < MESH_EVENTS {
        beside.turn(&mut control);
        beside.now = beside.now + Duration::from_millis(10);
        assert!(beside.now < Time::from_millis(60_000), "it is told");
    }
    let mut turns = 0;
    while control.is_runnable() {
        assert!(control.address_count() < many, "not all at once");
        beside.now = beside.now + Duration::from_secs(1);
        let hellos = std::mem::take(&mut beside.hellos);
        assert!(turns == 0 || hellos > 0, "a hello is said");
        assert!(beside.turn(&mut control) <= MESH_EVENTS);
        turns += 1;
    }
    assert!(turns >= 2 && control.address_count() > many);
    let mut notices = Vec::new();
    control.drain_notices(&mut notices);
    let is_one = |notice: &&Notice| matches!(notice, Notice::AddressAdded { .. });
    let lines = notices.iter().filter(is_one).count();
    assert!(lines < 10, "{lines} lines for other routers' addresses");
    let learnt = notices.iter().map(|notice| match notice {
        Notice::Network(NetworkNotice::AddressesLearnt { added, .. }) => *added,
        _ => 0,
    });
    assert!(learnt.sum::<usize>() >= many);
}

#[test]
fn a_neighbour_whose_hellos_are_behind_a_long_message_is_not_lost() {
    let (mut control, mut beside) = Beside::neighbor_of();
    beside.engine.link_up(Beside::LINK, 1, beside.now);
    for _ in 0..500 {
        beside.turn(&mut control);
        beside.now = beside.now + Duration::from_millis(10);
    }
    let lost = |control: &mut ControlPlane| {
        let news = news(control);
        let expired = |news: &_| matches!(news, NetworkNotice::HelloExpired { .. });
        let is_loss = |news: &_| matches!(news, NetworkNotice::NeighborLost { .. });
        let lost = news.iter().any(is_loss);
        assert_eq!(lost, news.iter().any(expired), "lost by silence alone");
        lost
    };
    let second = |control: &mut ControlPlane, now: &mut Time, arriving: bool| {
        if arriving {
            let more = Command::Arriving(Beside::CONNECTION);
            take(control, Mail::Command(Box::new(more)));
        }
        control.turn(*now);
        let _said = control.outboxes().drain().count();
        *now = *now + Duration::from_secs(1);
    };
    for _ in 0..20 {
        second(&mut control, &mut beside.now, true);
    }
    assert!(!lost(&mut control));
    for _ in 0..6 {
        second(&mut control, &mut beside.now, false);
    }
    assert!(lost(&mut control), "silence is noticed again");
}

#[test]
fn what_is_computed_is_told_where_it_differs_from_before() {
    let (mut control, mut beside) = Beside::neighbor_of();
    beside.engine.link_up(Beside::LINK, 1, beside.now);
    for _ in 0..500 {
        beside.turn(&mut control);
        beside.now = beside.now + Duration::from_millis(10);
    }
    let computed = |control: &mut ControlPlane| {
        let computed = news(control).into_iter().filter_map(|news| match news {
            NetworkNotice::Computed(computed) => Some(computed),
            _ => None,
        });
        computed.collect::<Vec<_>>()
    };
    fn one<T>(of: T) -> Few<(Arc<str>, T)> {
        let first = vec![(Arc::from("beside"), of)];
        Few { first, more: 0 }
    }
    let mut told = computed(&mut control);
    let four = told.split_off(told.len() - 4);
    let there = [
        Computed::NextHops(one(Arc::from("beside"))),
        Computed::Costs(one(1)),
        Computed::ValidOrigins(one(Few::default())),
        Computed::Radius(1),
    ];
    assert_eq!(four, there);
    let down = Command::LinkDown(Beside::link());
    take(&mut control, Mail::Command(Box::new(down)));
    control.turn(beside.now);
    let gone = [
        Computed::NextHops(Few::default()),
        Computed::Costs(Few::default()),
        Computed::ValidOrigins(Few::default()),
        Computed::Radius(0),
    ];
    assert_eq!(computed(&mut control), gone);
}
