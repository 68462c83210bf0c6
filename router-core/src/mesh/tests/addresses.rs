//! The addresses of others: in order or all at once, asked for, and no more than there is room for.

use amqp_proto::Time;
use bytes::Bytes;

use super::lone::{Lone, TO_B, TO_C, b, replaced, writer_of};
use crate::address::AddressContext;
use crate::limits;
use crate::mesh::envelope::Envelope;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::mobile::Addresses;
use crate::mesh::wire::Body;
use crate::route::Treatment;

pub(super) fn keys<'a>(keys: &'a [&'a str]) -> impl Iterator<Item = (&'a str, Treatment)> + Clone {
    keys.iter().map(|key| (*key, Treatment::AnycastClosest))
}

/// A change of addresses, addressed to all.
pub(super) fn change(sequence: i64, add: &[&str], del: &[&str]) -> Bytes {
    b().address_change(sequence, keys(add), del.iter().copied())
}

pub(super) fn all(sequence: i64, exist: &[&str]) -> Bytes {
    b().address_answer("A", &b().all_addresses(sequence, keys(exist)))
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
fn nobody_is_asked_for_addresses_before_it_has_heard_of_this_router() {
    let mut lone = Lone::new();
    lone.greet(100, 100);
    lone.hear(TO_B, &b().advertisement(1, 5)).unwrap();
    for link in [TO_B, TO_C] {
        lone.pass(2000);
        let sent = lone.sent(link);
        assert!(sent.contains(&"LSR") && !sent.contains(&"MAR"), "{sent:?}");
    }
    let peers = || [("A", 1)].into_iter();
    lone.hear(TO_B, &b().link_state("A", 1, peers())).unwrap();
    assert_eq!(lone.sent(TO_B), ["MAR"], "its answer shows that it has");
    // This one has not said whether it has any.
    let c = writer_of("C", 100);
    lone.hear(TO_C, &c.link_state("A", 1, peers())).unwrap();
    assert_eq!(lone.sent(TO_C), ["MAR"]);
    for _ in 0..20 {
        lone.pass(1000);
        assert!(!lone.sent(TO_C).contains(&"MAR"), "it will say");
    }
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
