//! What a router believes of others, and what it does not: one router, and forged messages.

use std::time::Duration;

use amqp_proto::Time;
use bytes::Bytes;

use super::vectors;
use crate::address::AddressContext;
use crate::limits;
use crate::mesh::engine::Engine;
use crate::mesh::envelope::Envelope;
use crate::mesh::event::MeshEvent;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::mobile::Addresses;
use crate::mesh::names::{NeighborLink, RouterIndex};
use crate::mesh::state::MeshSettings;
use crate::mesh::wire::Body;
use crate::mesh::write::Writer;
use crate::route::Treatment;

const TO_B: NeighborLink = NeighborLink(1);
const TO_C: NeighborLink = NeighborLink(2);

/// Router `A`, whose neighbours say what the test wants.
struct Lone {
    engine: Engine,
    now: Time,
    events: Vec<MeshEvent>,
    sent: Vec<(NeighborLink, Bytes)>,
}

impl Lone {
    fn new() -> Self {
        let mut lone = Self::named("A");
        lone.engine.link_up(TO_B, 1, lone.now);
        lone.engine.link_up(TO_C, 1, lone.now);
        lone
    }

    fn named(id: &str) -> Self {
        let now = Time::from_millis(1000);
        let engine = Engine::new(MeshSettings::new(id, 100), now);
        Self {
            engine,
            now,
            events: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// With `B` and `C` as neighbours.
    fn with_neighbors() -> Self {
        let mut lone = Self::new();
        lone.greet(100, 100);
        lone.pass(1000);
        lone.take();
        lone
    }

    fn greet(&mut self, b: i64, c: i64) {
        self.hear(TO_B, &writer_of("B", b).hello(["A"].into_iter()))
            .unwrap();
        self.hear(TO_C, &writer_of("C", c).hello(["A"].into_iter()))
            .unwrap();
    }

    fn hear(&mut self, link: NeighborLink, payload: &[u8]) -> Result<(), Misdeed> {
        let result = self.engine.received(link, payload, self.now);
        result.map_err(|refused| {
            assert_eq!(refused.link, link);
            refused.why
        })
    }

    /// Lets time pass, and neighbours say hello all the while.
    fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while self.now < end {
            self.now = self.now + Duration::from_millis(100);
            self.engine.tick(self.now);
            if self.now.as_nanos().is_multiple_of(1_000_000_000) {
                self.greet(100, 100);
            }
        }
    }

    /// Forgets what was sent and told so far, and gives the events.
    fn take(&mut self) -> Vec<MeshEvent> {
        let mut events = std::mem::take(&mut self.events);
        events.extend(std::iter::from_fn(|| self.engine.poll_event()));
        self.sent = std::iter::from_fn(|| self.engine.poll_output()).collect();
        events
    }

    /// Operations sent on a link since the last time.
    fn sent(&mut self, link: NeighborLink) -> Vec<&'static str> {
        self.take();
        let on_link = self.sent.iter().filter(|(to, _)| *to == link);
        on_link.map(|(_, payload)| opcode(payload)).collect()
    }

    fn mapped(&mut self) -> Vec<String> {
        let events = self.take();
        let texts = events.iter().filter_map(|event| match event {
            MeshEvent::Mapped { key, .. } => Some(format!("+{key}")),
            MeshEvent::Unmapped { key, .. } => Some(format!("-{key}")),
            _ => None,
        });
        texts.collect()
    }
}

fn writer_of(id: &str, instance: i64) -> Writer {
    Writer::new(id, instance)
}

fn b() -> Writer {
    writer_of("B", 100)
}

fn opcode(payload: &[u8]) -> &'static str {
    let opcodes = ["HELLO", "RA", "LSR", "LSU", "MAR", "MAU"];
    let is = |opcode: &&&str| {
        let mut text = vec![0xa1, u8::try_from(opcode.len()).unwrap()];
        text.extend(opcode.bytes());
        payload.windows(text.len()).any(|window| *window == text)
    };
    opcodes.iter().find(is).unwrap()
}

fn keys<'a>(keys: &'a [&'a str]) -> impl Iterator<Item = (&'a str, Treatment)> + Clone {
    keys.iter().map(|key| (*key, Treatment::AnycastClosest))
}

/// A change of addresses, addressed to all.
fn change(sequence: i64, add: &[&str], del: &[&str]) -> Bytes {
    b().address_change(sequence, keys(add), del.iter().copied())
}

fn all(sequence: i64, exist: &[&str]) -> Bytes {
    b().address_answer("A", &b().all_addresses(sequence, keys(exist)))
}

fn replaced(payload: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = payload
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    [&payload[..at], to, &payload[at + from.len()..]].concat()
}

#[test]
fn nobody_else_speaks_on_a_neighbours_connection() {
    let mut lone = Lone::with_neighbors();
    let hello = writer_of("X", 100).hello(["A"].into_iter());
    assert_eq!(
        lone.hear(TO_B, &hello),
        Err(Misdeed::Identity { id: "X".into() })
    );
    let other_life = writer_of("B", 101).hello(["A"].into_iter());
    assert_eq!(
        lone.hear(TO_B, &other_life),
        Err(Misdeed::Identity { id: "B".into() })
    );
    assert_eq!(lone.engine.paths().routers().count(), 3);
    for _ in 0..4 {
        lone.now = lone.now + Duration::from_secs(1);
        lone.hear(TO_C, &writer_of("C", 100).hello(["A"].into_iter()))
            .unwrap();
        lone.engine.tick(lone.now);
    }
    assert_eq!(
        lone.hear(TO_B, &hello),
        Ok(()),
        "after the old one fell silent"
    );
}

#[test]
fn a_second_router_of_the_same_name_is_no_neighbour() {
    let mut lone = Lone::with_neighbors();
    let link = NeighborLink(3);
    lone.engine.link_up(link, 1, lone.now);
    let hello = writer_of("B", 101).hello(["A"].into_iter());
    for _ in 0..10 {
        let refused = lone.hear(link, &hello);
        assert_eq!(refused, Err(Misdeed::Duplicate { id: "B".into() }));
        lone.pass(1000);
    }
    let told = lone.take().into_iter().filter(|event| match event {
        MeshEvent::Misbehaved { .. } => true,
        other => panic!("{other:?}"),
    });
    assert_eq!(told.count(), 1, "one line in ten seconds");
    assert_eq!(
        lone.engine.paths().router(RouterIndex(1)).unwrap().link,
        Some(TO_B)
    );
}

#[test]
fn nobody_speaks_for_us() {
    let mut lone = Lone::with_neighbors();
    let us = writer_of("A", 7);
    let own = Err(Misdeed::OurIdentity);
    assert_eq!(lone.hear(TO_B, &us.hello(["A"].into_iter())), own);
    let mine = us.advertisement(9, 9);
    let passed = replaced(&mine, b"0/A", b"0/B");
    assert_eq!(lone.hear(TO_B, &replaced(&passed, b"0/A", b"0/B")), own);
    assert_eq!(lone.hear(TO_B, &mine), Err(Misdeed::Trace));
    assert_eq!(lone.sent(TO_C), Vec::<&str>::new(), "nor is it passed on");
}

#[test]
fn the_last_in_a_trace_is_who_sent_it() {
    let mut lone = Lone::with_neighbors();
    let forged = writer_of("C", 100).advertisement(5, 5);
    assert_eq!(lone.hear(TO_B, &forged), Err(Misdeed::Trace));
    assert_eq!(lone.hear(TO_C, &forged), Ok(()));
}

#[test]
fn advertisements_are_passed_on_however_often_they_come() {
    let mut lone = Lone::with_neighbors();
    for _ in 0..3 {
        lone.now = lone.now + Duration::from_secs(1);
        lone.hear(TO_B, &b().advertisement(0, 0)).unwrap();
    }
    lone.take();
    let passed_on = |link| {
        let on_link = lone.sent.iter().filter(|(to, _)| *to == link);
        on_link
            .filter(|(_, payload)| opcode(payload) == "RA")
            .count()
    };
    assert_eq!([passed_on(TO_C), passed_on(TO_B)], [3, 0]);
}

#[test]
fn copies_are_passed_on_only_if_they_can_go_further() {
    let mut lone = Lone::with_neighbors();
    let context = AddressContext::new("A");
    let direct = b().advertisement(0, 0);
    let round = Envelope::read(&direct, &context).unwrap().passed_on("0/B");
    lone.take();
    for (message, passed) in [
        (&round, 1),
        (&round, 0),
        (&direct, 1),
        (&direct, 0),
        (&round, 0),
    ] {
        lone.hear(TO_B, message).unwrap();
        assert_eq!(lone.sent(TO_C).len(), passed);
    }
    lone.hear(TO_B, &b().advertisement(0, 1)).unwrap();
    assert!(lone.sent(TO_C).contains(&"RA"), "that is another");
}

#[test]
fn copies_are_known_whoever_said_it_and_in_whatever_version() {
    let mut lone = Lone::with_neighbors();
    let context = AddressContext::new("A");
    let ghost = writer_of("ghost", 7);
    let nobody = ghost.address_change(1, keys(&["M0a"]), std::iter::empty());
    let nobody = Envelope::read(&nobody, &context).unwrap().passed_on("0/B");
    let newer = replaced(&b().advertisement(9, 9), b"pv\x54\x01", b"pv\x54\x02");
    for message in [&nobody[..], &newer] {
        lone.take();
        for _ in 0..50 {
            lone.hear(TO_B, message).ok();
        }
        assert_eq!(lone.sent(TO_C).len(), 1);
        lone.pass(1000);
        lone.take();
        lone.hear(TO_B, message).ok();
        assert_eq!(lone.sent(TO_C).len(), 1, "said again, to confirm it");
    }
}

#[test]
fn what_is_asked_of_one_is_not_asked_of_all() {
    let mut lone = Lone::with_neighbors();
    let old = [
        b().link_state_request("all"),
        b().address_request("all", 0),
        b().address_answer("all", &b().all_addresses(1, keys(&["M0a"]))),
    ];
    let newer = replaced(&old[0], b"pv\x54\x01", b"pv\x54\x02");
    lone.take();
    for message in old.iter().map(|message| &message[..]).chain([&newer[..]]) {
        assert_eq!(lone.hear(TO_B, message), Err(Misdeed::Destination));
        assert_eq!((lone.sent(TO_B), lone.sent(TO_C)), (vec![], vec![]));
    }
    let us = writer_of("A", 7).advertisement(9, 9);
    let us = replaced(&replaced(&us, b"0/A", b"0/B"), b"0/A", b"0/B");
    let newer = replaced(&us, b"pv\x54\x01", b"pv\x54\x02");
    assert_eq!(lone.hear(TO_B, &newer), Err(Misdeed::OurIdentity));
    assert_eq!(lone.sent(TO_C), Vec::<&str>::new());
}

#[test]
fn a_message_that_has_gone_too_far_is_dropped() {
    let mut lone = Lone::with_neighbors();
    let mut message = b().advertisement(1, 0).to_vec();
    for passed in ["0/X", "0/Y"] {
        let context = AddressContext::new("A");
        let envelope = Envelope::read(&message, &context).unwrap();
        message = envelope.passed_on(passed).to_vec();
    }
    let message = replaced(&message, b"0/Y", b"0/B");
    assert_eq!(lone.hear(TO_B, &message), Ok(()));
    assert_eq!((lone.sent(TO_B), lone.sent(TO_C)), (vec![], vec![]));
}

#[test]
fn costs_below_zero_or_beyond_belief_are_refused() {
    let mut lone = Lone::with_neighbors();
    let good = b().link_state("A", 1, [("A", 1), ("D", 0x12)].into_iter());
    let negative = replaced(&good, &[0x54, 0x12], &[0x54, 0xff]);
    assert_eq!(lone.hear(TO_B, &negative), Err(Misdeed::Cost));
    let vast = b().link_state("A", 1, [("D", u32::MAX)].into_iter());
    assert_eq!(lone.hear(TO_B, &vast), Err(Misdeed::Cost));
    assert_eq!(lone.engine.nodes().len(), 3, "nobody was added");
    assert_eq!(lone.hear(TO_B, &good), Ok(()));
    lone.pass(200);
    assert_eq!(lone.engine.nodes()[3].cost, Some(0x13));
}

#[test]
fn older_link_states_are_passed_over() {
    let mut lone = Lone::with_neighbors();
    lone.hear(
        TO_B,
        &b().link_state("A", 5, [("A", 1), ("D", 1)].into_iter()),
    )
    .unwrap();
    lone.hear(TO_B, &b().link_state("A", 4, [("A", 1)].into_iter()))
        .unwrap();
    lone.hear(TO_B, &b().link_state("A", 5, [("A", 1)].into_iter()))
        .unwrap();
    lone.pass(500);
    assert_eq!(lone.engine.nodes()[3].cost, Some(2));
}

#[test]
fn a_sequence_that_nobody_can_reach_is_forgotten_when_the_router_stays_below() {
    let mut lone = Lone::with_neighbors();
    let forged = b().link_state("A", i64::MAX - 1, [("D", 1)].into_iter());
    lone.hear(TO_B, &forged).unwrap();
    for _ in 0..4 {
        lone.hear(TO_B, &b().advertisement(7, 0)).unwrap();
        lone.pass(4000);
    }
    assert!(lone.sent(TO_B).contains(&"LSR"), "it is asked anew");
    lone.hear(TO_B, &b().link_state("A", 7, [("A", 1)].into_iter()))
        .unwrap();
    lone.pass(5000);
    assert_eq!(lone.engine.nodes().len(), 3, "what was forged is gone");
    let beyond = b().link_state("A", i64::MAX, [("D", 1)].into_iter());
    assert_eq!(lone.hear(TO_B, &beyond), Err(Misdeed::Sequence("ls_seq")));
    let below = b().advertisement(-1, 0);
    assert_eq!(lone.hear(TO_B, &below), Err(Misdeed::Sequence("ls_seq")));
}

#[test]
fn two_far_routers_of_one_name_do_not_flush_each_other_all_the_time() {
    let mut lone = Lone::with_neighbors();
    let far = |instance, sequence| {
        let payload = writer_of("X", instance).advertisement(sequence, 1);
        let context = AddressContext::new("A");
        let envelope = Envelope::read(&payload, &context).unwrap();
        envelope.passed_on("0/B")
    };
    lone.hear(TO_B, &far(50, 1)).unwrap();
    lone.take();
    for _ in 0..60 {
        lone.hear(TO_B, &far(60, 1)).ok();
        lone.hear(TO_B, &far(50, 1)).ok();
        lone.pass(500);
    }
    let restarts = lone.take().into_iter();
    let restarts = restarts.filter(|event| matches!(event, MeshEvent::Restarted { .. }));
    assert!(restarts.count() <= 4);
}

#[test]
fn addresses_of_which_nobody_knows_the_life_are_asked_for_again() {
    let mut lone = Lone::with_neighbors();
    let far = |payload: &Bytes| {
        let context = AddressContext::new("A");
        Envelope::read(payload, &context).unwrap().passed_on("0/B")
    };
    let x = |instance| writer_of("X", instance);
    lone.hear(
        TO_B,
        &b().link_state("A", 1, [("A", 1), ("X", 1)].into_iter()),
    )
    .unwrap();
    let old = x(50).address_change(1, keys(&["M0old"]), std::iter::empty());
    lone.hear(TO_B, &far(&old)).unwrap();
    assert_eq!(lone.mapped(), ["+M0old"]);
    lone.pass(1000);
    lone.take();
    // It has died since, and has told of as many changes in its second life.
    lone.hear(TO_B, &far(&x(51).advertisement(1, 1))).unwrap();
    assert_eq!(lone.mapped(), ["-M0old"]);
    lone.hear(
        TO_B,
        &far(&x(51).link_state("A", 1, [("B", 1)].into_iter())),
    )
    .unwrap();
    lone.pass(1000);
    assert!(lone.sent(TO_B).contains(&"MAR"), "it is asked");
    let new = x(51).all_addresses(1, keys(&["M0new"]));
    lone.hear(TO_B, &far(&x(51).address_answer("A", &new)))
        .unwrap();
    assert_eq!(lone.mapped(), ["+M0new"]);
}

#[test]
fn addresses_come_in_order_or_all_at_once() {
    let mut lone = Lone::with_neighbors();
    lone.hear(TO_B, &b().advertisement(0, 0)).unwrap();
    lone.hear(TO_B, &change(1, &["M0a", "M0b"], &[])).unwrap();
    assert_eq!(lone.mapped(), ["+M0a", "+M0b"]);
    lone.hear(TO_B, &change(1, &["M0a", "M0b"], &[])).unwrap();
    lone.pass(2000);
    assert!(!lone.sent(TO_B).contains(&"MAR"), "a copy is no loss");

    lone.hear(TO_B, &change(3, &["M0d"], &[])).unwrap();
    assert_eq!(lone.sent(TO_B), ["MAR"], "something was lost");
    lone.hear(TO_B, &change(4, &["M0e"], &["M0d"])).unwrap();
    assert_eq!((lone.mapped(), lone.sent(TO_B)), (vec![], vec![]));
    lone.hear(TO_B, &all(4, &["M0a", "M0c", "M0e"])).unwrap();
    assert_eq!(lone.mapped(), ["-M0b", "+M0c", "+M0e"]);
    lone.hear(TO_B, &all(3, &[])).unwrap();
    lone.hear(TO_B, &change(5, &[], &["M0a", "M0zzz"])).unwrap();
    assert_eq!(lone.mapped(), ["-M0a"]);
}

#[test]
fn a_question_for_addresses_is_repeated_until_it_is_answered() {
    let mut lone = Lone::with_neighbors();
    lone.hear(TO_B, &b().advertisement(0, 5)).unwrap();
    assert_eq!(lone.sent(TO_B), ["MAR"]);
    let mut asked = 0;
    for _ in 0..20 {
        lone.pass(1000);
        asked += lone
            .sent(TO_B)
            .iter()
            .filter(|opcode| **opcode == "MAR")
            .count();
    }
    assert!((3..=5).contains(&asked), "{asked} times, ever more seldom");
    lone.hear(TO_B, &all(5, &["M0a"])).unwrap();
    lone.take();
    for _ in 0..60 {
        lone.pass(1000);
        assert!(!lone.sent(TO_B).contains(&"MAR"));
    }
}

#[test]
fn an_update_with_anything_wrong_in_it_changes_nothing() {
    let mut lone = Lone::with_neighbors();
    let good = change(1, &["M0a", "M0b"], &[]);
    let bad = replaced(&good, b"\xa1\x03M0b", b"\xa0\x03M0b");
    assert!(lone.hear(TO_B, &bad).is_err());
    assert_eq!(lone.mapped(), Vec::<String>::new());
    lone.hear(
        TO_B,
        &change(1, &["Lx", "Tqdrouter", "", "M", "Q0", "HE", "M0a"], &[]),
    )
    .unwrap();
    assert_eq!(
        lone.mapped(),
        ["+HE", "+M0a"],
        "other classes are nobody's business"
    );
    let long = "M".repeat(limits::MESH_ADDRESS_BYTES + 1);
    lone.hear(TO_B, &change(2, &[&long], &[])).unwrap();
    assert_eq!(lone.mapped(), Vec::<String>::new());
}

#[test]
fn addresses_beyond_the_room_there_is_are_left_out() {
    let context = AddressContext::new("A");
    let mut addresses = Addresses::default();
    let mut update = |payload: &Bytes, room| {
        let envelope = Envelope::read(payload, &context).unwrap();
        let Body::Addresses {
            sequence,
            change,
            hints,
        } = envelope.control().unwrap().body
        else {
            panic!("{envelope:?}");
        };
        let changed = addresses
            .update(sequence, change, hints, room, Time::ZERO)
            .unwrap();
        (
            changed.mapped.len(),
            changed.unmapped.len(),
            changed.full,
            addresses.len(),
        )
    };
    let keys: Vec<String> = (0..10).map(|key| format!("M0{key}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(update(&change(1, &keys, &[]), 4), (4, 0, true, 4));
    assert_eq!(update(&all(2, &keys[..2]), 4), (0, 2, false, 2));
    assert_eq!(update(&all(3, &keys), 100), (8, 0, false, 10));
}

/// Of so many names that a neighbour brings, how many are refused.
fn crowd(lone: &mut Lone, link: NeighborLink, names: usize) -> usize {
    let context = AddressContext::new("A");
    let neighbor = if link == TO_B { "0/B" } else { "0/C" };
    let refused = (0..names).filter(|number| {
        let id = format!("r{link:?}{number}");
        let question = writer_of(&id, 1).link_state_request("A");
        let question = Envelope::read(&question, &context).unwrap();
        lone.hear(link, &question.passed_on(neighbor)).is_err()
    });
    let refused = refused.count();
    lone.pass(100);
    refused
}

#[test]
fn no_more_routers_than_are_remembered() {
    let mut lone = Lone::with_neighbors();
    let refused = crowd(&mut lone, TO_B, limits::MESH_ROUTERS);
    assert_eq!(
        refused,
        limits::MESH_ROUTERS - limits::MESH_ROUTERS_PER_LINK + 1
    );
    let room = limits::MESH_ROUTERS - limits::MESH_ROUTERS_PER_LINK - 1;
    assert_eq!(crowd(&mut lone, TO_C, room + 10), 10);
    assert_eq!(lone.engine.nodes().len(), limits::MESH_ROUTERS + 1);
    lone.pass(5000);
    assert_eq!(lone.engine.nodes().len(), 3, "nobody else speaks of them");
}

/// A table that is full of names that nobody has heard, but for one place.
fn crowded() -> Lone {
    let mut lone = Lone::with_neighbors();
    crowd(&mut lone, TO_B, limits::MESH_ROUTERS);
    let room = limits::MESH_ROUTERS - limits::MESH_ROUTERS_PER_LINK - 1;
    crowd(&mut lone, TO_C, room - 1);
    assert_eq!(lone.engine.nodes().len(), limits::MESH_ROUTERS);
    lone
}

#[test]
fn a_full_table_has_room_for_who_speaks_and_for_neighbours() {
    let mut lone = crowded();
    let known = |lone: &Lone, id: &str| lone.engine.nodes().iter().any(|node| *node.id == *id);
    crowd(&mut lone, TO_C, limits::MESH_ROUTERS);
    let context = AddressContext::new("A");
    let far = |payload: &Bytes| Envelope::read(payload, &context).unwrap().passed_on("0/C");
    let speaks = far(&writer_of("S", 1).advertisement(1, 0));
    assert_eq!(lone.hear(TO_C, &speaks), Ok(()));
    assert!(known(&lone, "S") && known(&lone, "B") && known(&lone, "C"));
    for _ in 0..3 {
        crowd(&mut lone, TO_C, limits::MESH_ROUTERS);
    }
    assert!(known(&lone, "S"), "who has spoken is not the first to go");
    let link = NeighborLink(3);
    lone.engine.link_up(link, 1, lone.now);
    let hello = writer_of("N", 1).hello(["A"].into_iter());
    assert_eq!(lone.hear(link, &hello), Ok(()));
    lone.pass(1000);
    let nodes = lone.engine.nodes();
    let neighbor = nodes.iter().find(|node| *node.id == *"N").unwrap();
    assert_eq!((neighbor.cost, neighbor.link), (Some(1), Some(link)));
}

#[test]
fn nobody_is_made_known_to_others_for_whom_there_is_no_room() {
    let mut lone = Lone::with_neighbors();
    let context = AddressContext::new("A");
    let speaks = |id: &str, link| {
        let said = writer_of(id, 1).advertisement(1, 0);
        let said = Envelope::read(&said, &context).unwrap();
        said.passed_on(if link == TO_B { "0/B" } else { "0/C" })
    };
    let crowd = 0..limits::MESH_ROUTERS;
    let passed = crowd.filter(|number| {
        lone.take();
        lone.hear(TO_B, &speaks(&format!("x{number}"), TO_B)).ok();
        lone.sent(TO_C).contains(&"RA")
    });
    let most = limits::MESH_ROUTERS_PER_LINK + limits::MESH_EVICTED;
    assert!((1..=most).contains(&passed.count()), "some left, once");
    lone.take();
    assert_eq!(lone.hear(TO_C, &speaks("h", TO_C)), Ok(()));
    assert!(lone.sent(TO_B).contains(&"RA"), "others have their share");
}

#[test]
fn whom_there_was_no_room_for_is_asked_for_again() {
    let mut lone = crowded();
    let context = AddressContext::new("A");
    let far = |payload: &Bytes| Envelope::read(payload, &context).unwrap().passed_on("0/C");
    let cost = |lone: &Lone| {
        let nodes = lone.engine.nodes();
        let node = nodes.iter().find(|node| *node.id == *"Z");
        node.and_then(|node| node.cost)
    };
    let c = writer_of("C", 100);
    let seen = c.link_state("A", 1, [("A", 1), ("Z", 1)].into_iter());
    lone.hear(TO_C, &seen).unwrap();
    lone.pass(200);
    assert_eq!(cost(&lone), Some(2));
    lone.hear(TO_C, &far(&writer_of("S", 1).advertisement(1, 0)))
        .unwrap();
    lone.pass(200);
    assert_eq!(cost(&lone), None, "it had not spoken");
    lone.hear(TO_C, &far(&writer_of("Z", 1).advertisement(1, 0)))
        .unwrap();
    lone.take();
    lone.hear(TO_C, &c.advertisement(1, 0)).unwrap();
    lone.pass(300);
    assert!(lone.sent(TO_C).contains(&"LSR"));
    lone.hear(TO_C, &seen).unwrap();
    lone.pass(200);
    assert_eq!(cost(&lone), Some(2));
}

#[test]
fn lists_that_are_too_long_are_refused() {
    let mut lone = Lone::with_neighbors();
    let names: Vec<String> = (0..=limits::MESH_PEERS)
        .map(|name| format!("r{name}"))
        .collect();
    let peers = names.iter().map(|name| (name.as_str(), 1));
    let refused = lone.hear(TO_B, &b().link_state("A", 1, peers));
    assert_eq!(refused, Err(Misdeed::TooLong("peers")));
    let refused = lone.hear(TO_B, &b().hello(names.iter().map(String::as_str)));
    assert_eq!(refused, Err(Misdeed::TooLong("seen")));
    let long = "x".repeat(limits::MESH_ID_BYTES + 1);
    let refused = lone.hear(TO_B, &writer_of(&long, 1).hello(std::iter::empty()));
    assert_eq!(refused, Err(Misdeed::TooLong("id")));
    assert_eq!(lone.engine.nodes().len(), 3);
}

#[test]
fn a_flood_is_cut_off_and_hellos_go_on() {
    let mut lone = Lone::with_neighbors();
    let advertisement = b().advertisement(1, 0);
    let mut taken = 0;
    for _ in 0..3 * limits::MESH_MESSAGES_PER_SECOND {
        taken += u64::from(lone.hear(TO_B, &advertisement).is_ok());
        lone.engine.poll_output();
    }
    assert!(taken <= limits::MESH_MESSAGES_PER_SECOND + 1, "{taken}");
    assert_eq!(lone.hear(TO_B, &advertisement), Err(Misdeed::Flood));
    assert_eq!(lone.hear(TO_B, &b().hello(["A"].into_iter())), Ok(()));
    let other = writer_of("C", 100).advertisement(1, 0);
    assert_eq!(lone.hear(TO_C, &other), Ok(()), "others are served");
    lone.pass(1000);
    assert_eq!(lone.hear(TO_B, &advertisement), Ok(()));
}

#[test]
fn questions_are_answered_no_faster_than_is_good() {
    let mut lone = Lone::with_neighbors();
    lone.engine
        .local_address(&"M0a".into(), Treatment::Multicast, true, lone.now);
    lone.pass(1000);
    lone.take();
    for _ in 0..100 {
        lone.hear(TO_B, &b().link_state_request("A")).unwrap();
        lone.hear(TO_B, &b().address_request("A", 0)).unwrap();
        lone.pass(10);
    }
    let sent = lone.sent(TO_B);
    let count = |opcode: &str| sent.iter().filter(|sent| **sent == opcode).count();
    assert!((2..60).contains(&count("LSU")), "{}", count("LSU"));
    assert!((2..60).contains(&count("MAU")), "{}", count("MAU"));
    lone.hear(TO_B, &b().address_request("A", 1)).unwrap();
    lone.pass(500);
    assert!(!lone.sent(TO_B).contains(&"MAU"), "it has them all");
}

#[test]
fn newer_versions_are_told_and_passed_on() {
    let mut lone = Lone::with_neighbors();
    let newer = replaced(&b().advertisement(9, 9), b"pv\x54\x01", b"pv\x54\x02");
    let version = Misdeed::Version {
        id: "B".into(),
        version: 2,
    };
    assert_eq!(lone.hear(TO_B, &newer), Err(version.clone()));
    assert_eq!(lone.sent(TO_C), ["RA"]);
    assert_eq!(lone.sent(TO_B), Vec::<&str>::new());
    let newer = replaced(&b().hello(["A"].into_iter()), b"pv\x54\x01", b"pv\x54\x02");
    assert_eq!(lone.hear(TO_B, &newer), Err(version));
}

#[test]
fn messages_for_others_go_their_way() {
    let mut lone = Lone::with_neighbors();
    lone.hear(TO_B, &b().link_state_request("C")).unwrap();
    assert_eq!(lone.sent(TO_C), ["LSR"]);
    lone.hear(TO_B, &b().link_state_request("nobody")).unwrap();
    lone.hear(TO_B, &b().link_state_request("B")).unwrap();
    assert_eq!((lone.sent(TO_B), lone.sent(TO_C)), (vec![], vec![]));
}

#[test]
fn every_captured_message_with_one_byte_changed_does_no_harm() {
    let all = [
        vectors::HELLO_FROM_B,
        vectors::RA_FROM_B,
        vectors::LSR_FROM_B,
        vectors::LSU_FROM_B,
        vectors::MAR_FROM_B,
        vectors::MAU_CHANGE_FROM_B,
        vectors::MAU_ALL_FROM_A,
    ];
    let mut lone = Lone::with_neighbors();
    for hex in all {
        let message = vectors::bytes(hex);
        for at in 0..message.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut changed = message.clone();
                changed[at] ^= flip;
                lone.hear(TO_B, &changed).ok();
                lone.hear(TO_B, &message[..at]).ok();
                lone.take();
            }
        }
        lone.pass(100);
    }
    assert!(lone.engine.nodes().len() < 1000);
}

#[test]
fn messages_on_links_that_are_not_there_are_refused() {
    let mut lone = Lone::with_neighbors();
    let hello = b().hello(["A"].into_iter());
    assert_eq!(
        lone.hear(NeighborLink(9), &hello),
        Err(Misdeed::UnknownLink)
    );
    lone.engine.link_down(TO_B, lone.now);
    assert_eq!(lone.hear(TO_B, &hello), Err(Misdeed::UnknownLink));
    lone.engine.link_down(TO_B, lone.now);
}

#[test]
fn a_neighbour_that_greets_on_two_connections_is_answered_on_one() {
    for own in ["A", "Z"] {
        let mut lone = Lone::named(own);
        lone.engine.link_up(TO_B, 1, lone.now);
        lone.engine.link_up(TO_C, 1, lone.now);
        let hello = b().hello([own].into_iter());
        for second in 0..60_u64 {
            let order = if second % 3 == 0 {
                [TO_C, TO_B]
            } else {
                [TO_B, TO_C]
            };
            for link in order {
                lone.hear(link, &hello).unwrap();
                lone.now = lone.now + Duration::from_millis(100 * (second % 5));
                lone.engine.tick(lone.now);
            }
            lone.now = lone.now + Duration::from_millis(700);
            if second == 5 {
                lone.take();
            }
        }
        let events = lone.take();
        let flaps = events
            .iter()
            .filter(|event| !matches!(event, MeshEvent::PathsChanged));
        assert_eq!(flaps.count(), 0, "{own}");
        let greeted = |link: NeighborLink| {
            let mine = lone.sent.iter().filter(|(to, _)| *to == link);
            mine.filter(|(_, payload)| opcode(payload) == "HELLO")
                .count()
        };
        assert_eq!(
            (greeted(TO_B), greeted(TO_C) > 40),
            (0, true),
            "the first that was heard"
        );
    }
}

#[test]
fn a_link_state_that_is_announced_while_another_is_awaited_is_asked_for_at_once() {
    let mut lone = Lone::with_neighbors();
    lone.pass(3000);
    lone.take();
    lone.hear(TO_B, &b().advertisement(1, 0)).unwrap();
    assert_eq!(lone.sent(TO_B), ["LSR"]);
    lone.hear(TO_B, &b().link_state("A", 0, [("A", 1)].into_iter()))
        .unwrap();
    lone.pass(300);
    assert!(!lone.sent(TO_B).contains(&"LSR"));
    lone.hear(TO_B, &b().advertisement(2, 0)).unwrap();
    assert_eq!(lone.sent(TO_B), ["LSR"], "without waiting for the time-out");
    lone.hear(TO_B, &b().link_state("A", 1, [("A", 1)].into_iter()))
        .unwrap();
    lone.pass(300);
    assert!(lone.sent(TO_B).contains(&"LSR"), "there is a newer one");
}

#[test]
fn its_own_sleep_is_not_its_neighbours_silence() {
    let mut lone = Lone::with_neighbors();
    lone.now = lone.now + Duration::from_secs(20);
    lone.engine.tick(lone.now);
    let down = |event: &MeshEvent| matches!(event, MeshEvent::NeighborDown { .. });
    assert!(
        !lone.take().iter().any(down),
        "they had no chance to be heard"
    );
    let quiet = |lone: &mut Lone, millis: u64| {
        for _ in 0..millis / 100 {
            lone.now = lone.now + Duration::from_millis(100);
            lone.engine.tick(lone.now);
        }
        lone.take().iter().filter(|event| down(event)).count()
    };
    assert_eq!(quiet(&mut lone, 1500), 0);
    assert_eq!(quiet(&mut lone, 3000), 2, "but silence is noticed again");
}

impl Lone {
    /// Strangers come and go, each under a name of its own, four times a second.
    fn be_pestered(&mut self, times: u64) {
        for number in 0..times {
            let link = NeighborLink(10 + number);
            self.engine.link_up(link, 1, self.now);
            let stranger = writer_of(&format!("x{number}"), 1);
            self.hear(link, &stranger.hello(["A"].into_iter())).unwrap();
            self.pass(200);
            self.engine.link_down(link, self.now);
            self.pass(100);
        }
    }

    /// Gives up a neighbour's connection; what the others are told at once.
    fn lose(&mut self, link: NeighborLink) -> Vec<&'static str> {
        self.take();
        self.engine.link_down(link, self.now);
        self.sent(TO_B)
    }
}

#[test]
fn a_loss_is_told_at_once_whatever_else_keeps_changing() {
    let mut lone = Lone::with_neighbors();
    lone.be_pestered(60);
    assert!(lone.lose(TO_C).contains(&"LSU"));
    let context = AddressContext::new("B");
    let told = lone
        .sent
        .iter()
        .find(|(_, payload)| opcode(payload) == "LSU");
    let told = Envelope::read(&told.unwrap().1, &context).unwrap();
    let Body::LinkState { peers, .. } = told.control().unwrap().body else {
        panic!("{told:?}");
    };
    assert_eq!(peers.count(), 2, "B and what it costs: nobody new");
}

#[test]
fn who_comes_and_goes_is_told_of_no_more_often_than_before() {
    let mut lone = Lone::with_neighbors();
    lone.be_pestered(20);
    lone.take();
    lone.be_pestered(100);
    let told = lone.sent(TO_B);
    let told = told.iter().filter(|opcode| **opcode == "LSU").count();
    assert!(told <= 2 * 7 + 1, "{told} times in 30 seconds");
}

#[test]
fn what_lies_behind_a_lost_neighbour_is_reached_the_other_way_at_once() {
    let mut lone = Lone::with_neighbors();
    let cost = |lone: &Lone, id: &str| {
        let nodes = lone.engine.nodes();
        nodes.iter().find(|node| *node.id == *id).unwrap().cost
    };
    let far = |lone: &mut Lone, sequence| {
        let ring = [("A", 1), ("D", 1)].into_iter();
        lone.hear(TO_B, &b().link_state("A", sequence, ring.clone()))
            .unwrap();
        let c = writer_of("C", 100);
        let dear = [("A", 1), ("D", u32::try_from(sequence).unwrap())];
        lone.hear(TO_C, &c.link_state("A", sequence, dear.into_iter()))
            .unwrap();
    };
    for sequence in 10..20 {
        far(&mut lone, sequence);
        lone.engine.tick(lone.now);
    }
    lone.pass(100);
    assert_eq!(cost(&lone, "D"), Some(2));
    far(&mut lone, 20);
    lone.engine.tick(lone.now);
    far(&mut lone, 21);
    lone.engine.link_down(TO_B, lone.now);
    assert_eq!(cost(&lone, "D"), Some(22), "without a tick between");
}

#[test]
fn who_is_connected_elsewhere_cannot_be_claimed() {
    let mut lone = Lone::with_neighbors();
    let context = AddressContext::new("A");
    let far = |payload: &Bytes| Envelope::read(payload, &context).unwrap().passed_on("0/C");
    let (c, d) = (writer_of("C", 100), writer_of("D", 100));
    let seen = c.link_state("A", 1, [("A", 1), ("D", 1)].into_iter());
    lone.hear(TO_C, &seen).unwrap();
    lone.hear(TO_C, &far(&d.advertisement(1, 0))).unwrap();
    let sees = d.link_state("A", 1, [("C", 1)].into_iter());
    lone.hear(TO_C, &far(&sees)).unwrap();
    lone.pass(500);
    let link = NeighborLink(3);
    lone.engine.link_up(link, 1, lone.now);
    let claim = writer_of("D", 900);
    let hello = claim.hello(["A"].into_iter());
    lone.take();
    for _ in 0..20 {
        let refused = Err(Misdeed::Duplicate { id: "D".into() });
        assert_eq!(lone.hear(link, &hello), refused);
        let more = claim.link_state("A", 9, [("A", 1)].into_iter());
        assert_eq!(lone.hear(link, &more), Err(Misdeed::Stranger));
        lone.pass(1000);
    }
    let told = lone.take();
    let is_said =
        |event: &MeshEvent| matches!(event, MeshEvent::Misbehaved { link: on, .. } if *on == link);
    assert!(told.iter().any(is_said));
    assert!(
        !told
            .iter()
            .any(|event| matches!(event, MeshEvent::Restarted { .. }))
    );

    let parted = c.link_state("A", 2, [("A", 1)].into_iter());
    lone.hear(TO_C, &parted).unwrap();
    assert_eq!(lone.hear(link, &hello), Ok(()), "it may have moved here");
}

#[test]
fn nothing_but_a_hello_is_taken_from_a_stranger() {
    let mut lone = Lone::with_neighbors();
    let link = NeighborLink(3);
    lone.engine.link_up(link, 1, lone.now);
    lone.take();
    let said = [
        writer_of("X", 1).advertisement(1, 1),
        writer_of("X", 1).link_state_request("A"),
        writer_of("X", 1).link_state_request("C"),
    ];
    for message in &said {
        assert_eq!(lone.hear(link, message), Err(Misdeed::Stranger));
    }
    assert_eq!(lone.engine.nodes().len(), 3);
    assert_eq!((lone.sent(TO_B), lone.sent(TO_C)), (vec![], vec![]));
    let hello = writer_of("X", 1).hello(std::iter::empty());
    lone.hear(link, &hello).unwrap();
    assert_eq!(lone.hear(link, &said[0]), Ok(()));
}

#[test]
fn a_list_of_addresses_is_asked_for_again_only_if_the_way_is_another() {
    let mut lone = Lone::with_neighbors();
    let context = AddressContext::new("A");
    let far = |payload: &Bytes| Envelope::read(payload, &context).unwrap().passed_on("0/B");
    let (c, d) = (writer_of("C", 100), writer_of("D", 100));
    let ring = |lone: &mut Lone, sequence, cost| {
        let peers = [("A", 1), ("D", cost)].into_iter();
        lone.hear(TO_B, &b().link_state("A", sequence, peers))
            .unwrap();
    };
    ring(&mut lone, 1, 1);
    let dear = [("A", 1), ("D", 50)].into_iter();
    lone.hear(TO_C, &c.link_state("A", 1, dear)).unwrap();
    let own = d.link_state("A", 1, [("B", 1), ("C", 1)].into_iter());
    lone.hear(TO_B, &far(&own)).unwrap();
    lone.pass(1000);
    lone.hear(TO_B, &far(&d.advertisement(1, 1))).unwrap();
    lone.pass(8000);
    lone.take();
    let mut asked = 0;
    for sequence in 2..12 {
        ring(&mut lone, sequence, u32::try_from(sequence).unwrap());
        lone.hear(TO_B, &far(&d.advertisement(1, sequence)))
            .unwrap();
        lone.pass(300);
        asked += lone
            .sent(TO_B)
            .iter()
            .filter(|sent| **sent == "MAR")
            .count();
    }
    assert!(asked <= 1, "{asked} times in three seconds");
    ring(&mut lone, 12, 99);
    lone.pass(300);
    assert!(lone.sent(TO_C).contains(&"MAR"), "it leads round by C now");
}

#[test]
fn who_takes_its_links_anew_has_sent_what_it_has_sent() {
    let mut lone = Lone::with_neighbors();
    let advertisement = b().advertisement(1, 0);
    let hello = b().hello(["A"].into_iter());
    let mut taken = 0;
    for _ in 0..20 {
        lone.engine.link_down(TO_B, lone.now);
        lone.engine.link_up(TO_B, 1, lone.now);
        lone.hear(TO_B, &hello).ok();
        for _ in 0..limits::MESH_MESSAGES_PER_SECOND / 10 {
            taken += u64::from(lone.hear(TO_B, &advertisement).is_ok());
            lone.engine.poll_output();
        }
    }
    assert!(taken <= limits::MESH_MESSAGES_PER_SECOND + 1, "{taken}");
    let is_said = |event: &MeshEvent| matches!(event, MeshEvent::Misbehaved { .. });
    let said = lone.take().iter().filter(|event| is_said(event)).count();
    assert_eq!(said, 1, "one line in ten seconds");
}

#[test]
fn hellos_come_a_few_in_a_second() {
    let mut lone = Lone::with_neighbors();
    lone.pass(1100);
    let hello = b().hello(["A"].into_iter());
    let mut taken = 0;
    for _ in 0..1000 {
        taken += u64::from(lone.hear(TO_B, &hello).is_ok());
    }
    // Those of a minute that a slow wire brings at once are taken, and no flood of them.
    assert!((60..=101).contains(&taken), "{taken}");
    assert_eq!(lone.hear(TO_B, &b().advertisement(1, 0)), Ok(()));
    let names: Vec<String> = (0..2000).map(|name| format!("{name:01500}")).collect();
    let large = writer_of("C", 100).hello(names.iter().map(String::as_str));
    assert_eq!(lone.hear(TO_C, &large), Err(Misdeed::Large));
    lone.pass(1000);
    assert_eq!(lone.hear(TO_B, &hello), Ok(()));
}
