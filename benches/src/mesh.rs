//! The protocol between routers, in a network of a thousand with four neighbours each.
//!
//! Owns one router and the messages of all others. It never measures a network. Decision: the
//! others are messages, not engines: what counts is what one router does with them.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use amqp_codec::message::{MessageBuilder, Properties};
use amqp_codec::{Map, Str, Value};
use amqp_proto::Time;
use bytes::Bytes;
use router_core::mesh::{Engine, MeshSettings, NeighborLink};
use router_core::route::Treatment;

use crate::workload::{Unit, Workload};

/// Routers of the network.
const ROUTERS: usize = 1000;
/// Addresses that the router has consumers of.
const ADDRESSES: usize = 100_000;
/// How far the chords of the ring reach.
const CHORD: usize = 37;
/// Nothing grows old.
const FOREVER: Duration = Duration::from_secs(1 << 30);

/// What is timed.
pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        Workload::slow("mesh.own_tree_of_1000", own_tree),
        Workload::slow("mesh.all_trees_of_1000", all_trees),
        Workload::new("mesh.repeated_advertisement", repeated_advertisement),
        Workload::new("mesh.one_address_of_100k", one_address),
    ]
}

/// One router of the network, and the time there.
struct Member {
    engine: Engine,
    now: Time,
    changes: i64,
}

impl Member {
    fn new() -> Self {
        let now = Time::from_millis(1000);
        let settings = MeshSettings {
            hello_interval: FOREVER,
            hello_max_age: FOREVER,
            remote_ls_max_age: FOREVER,
            ..MeshSettings::new(&name(0), 1)
        };
        let engine = Engine::new(settings, now);
        let mut member = Self {
            engine,
            now,
            changes: 1,
        };
        for (link, peer) in (0..).zip(peers(0)) {
            member.engine.link_up(NeighborLink(link), 1, now);
            let seen = Value::List(vec![text(&name(0))]);
            member.take(
                NeighborLink(link),
                &message("_local/qdhello", "HELLO", peer, vec![("seen", seen)]),
            );
        }
        for router in 1..ROUTERS {
            member.learn(router, 1);
        }
        member.pass();
        while member.engine.work(usize::MAX) {}
        assert_eq!(
            member
                .engine
                .nodes()
                .iter()
                .filter(|row| row.cost.is_some())
                .count(),
            ROUTERS - 1,
            "all are reached"
        );
        member
    }

    fn take(&mut self, link: NeighborLink, message: &Bytes) {
        let taken = self.engine.received(link, message, self.now);
        taken.expect("what the others send is in order");
    }

    /// Takes the link state of a router, one of whose connections costs so much.
    fn learn(&mut self, router: usize, cost: i64) {
        let names = peers(router).map(name);
        let costs = [1, 1, 1, cost].map(Value::Long);
        let costs = names.iter().map(String::as_str).zip(costs).collect();
        let inner = vec![
            ("ls_seq", Value::Long(self.changes)),
            ("peers", Value::Map(map(costs))),
        ];
        let body = vec![("ls", Value::Map(map(inner)))];
        self.take(
            NeighborLink(0),
            &message("_local/qdrouter", "LSU", router, body),
        );
    }

    /// The connection of a far router changes its cost.
    fn change(&mut self) {
        self.changes += 1;
        self.learn(ROUTERS / 2, 1 + self.changes % 2);
    }

    /// Lets enough time pass that nothing is held back, and forgets what was sent and told.
    fn pass(&mut self) -> usize {
        self.now = self.now + Duration::from_secs(5);
        self.engine.tick(self.now);
        while self.engine.poll_event().is_some() {}
        std::iter::from_fn(|| self.engine.poll_output()).count()
    }
}

/// The neighbours of a router: a ring with chords.
fn peers(router: usize) -> [usize; 4] {
    [1, ROUTERS - 1, CHORD, ROUTERS - CHORD].map(|step| (router + step) % ROUTERS)
}

fn name(router: usize) -> String {
    format!("router-{router:04}")
}

fn text(text: &str) -> Value {
    Value::String(Str::copy(text))
}

fn map(entries: Vec<(&str, Value)>) -> Map {
    let mut map = Map::default();
    for (key, value) in entries {
        map.push(text(key), value);
    }
    map
}

/// A message of another router; what stands in its body besides its id.
fn message(to: &str, opcode: &str, router: usize, mut body: Vec<(&str, Value)>) -> Bytes {
    body.push(("id", text(&name(router))));
    body.push(("pv", Value::Long(1)));
    let properties = Properties {
        to: Some(Str::copy(to)),
        ..Properties::default()
    };
    MessageBuilder::new()
        .properties(properties)
        .application_properties(map(vec![("opcode", text(opcode))]))
        .value(Value::Map(map(body)))
        .build()
}

/// A far link state changes: it is read, the own tree is found and the snapshot made.
fn own_tree() -> Unit {
    let mut member = Member::new();
    Box::new(move || {
        member.now = member.now + Duration::from_secs(5);
        member.change();
        black_box(member.engine.paths()).routers().count() as u64
    })
}

/// The same, and then the trees of all others.
fn all_trees() -> Unit {
    let mut member = Member::new();
    Box::new(move || {
        member.now = member.now + Duration::from_secs(5);
        member.change();
        while member.engine.work(usize::MAX) {}
        black_box(member.engine.paths()).routers().count() as u64
    })
}

/// An advertisement that says nothing new comes in and is passed on to three others. They come from
/// all routers in turn, because copies are not passed on.
fn repeated_advertisement() -> Unit {
    let mut member = Member::new();
    let messages: Vec<Bytes> = (1..ROUTERS)
        .map(|router| {
            let body = vec![
                ("ls_seq", Value::Long(1)),
                ("mobile_seq", Value::Long(0)),
                ("instance", Value::Long(1)),
            ];
            message("_topo/0/all/qdrouter", "RA", router, body)
        })
        .collect();
    let mut turn = messages.into_iter().cycle();
    Box::new(move || {
        member.now = member.now + Duration::from_millis(1);
        let message = turn.next().expect("they come for ever");
        member.take(NeighborLink(0), black_box(&message));
        while member.engine.poll_event().is_some() {}
        u64::from(std::iter::from_fn(|| member.engine.poll_output()).count() >= 3)
    })
}

/// One address of a hundred thousand comes or goes, and the others are told.
fn one_address() -> Unit {
    let mut member = Member::new();
    for address in 0..ADDRESSES {
        let key: Arc<str> = format!("M0queue/{address:06}").into();
        let hint = Treatment::AnycastBalanced;
        member.engine.local_address(&key, hint, true, member.now);
    }
    member.pass();
    let key: Arc<str> = "M0queue/050000".into();
    let mut present = true;
    Box::new(move || {
        present = !present;
        let hint = Treatment::AnycastBalanced;
        member
            .engine
            .local_address(black_box(&key), hint, present, member.now);
        u64::from(member.pass() >= 4)
    })
}
