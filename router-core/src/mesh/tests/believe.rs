//! What a router believes of others, and what it does not: one router, and forged messages.

use std::time::Duration;

use bytes::Bytes;

use super::lone::{Lone, TO_B, TO_C, b, opcode, replaced, writer_of};
use super::vectors;
use crate::address::AddressContext;
use crate::ids::Opener;
use crate::mesh::envelope::Envelope;
use crate::mesh::event::MeshEvent;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::names::{NeighborLink, RouterIndex};

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
fn a_router_is_who_has_opened_its_connection() {
    for (container, is_product, id, is_believed) in [
        ("D", true, "D", true),
        ("E", true, "D", false),
        ("E", true, "C", false),
        // A client that speaks for itself, with a container-id that it has drawn.
        ("a3f0", false, "D", true),
        ("a3f0", false, "C", false),
    ] {
        let mut lone = Lone::with_neighbors();
        let link = NeighborLink(3);
        lone.engine.link_up(link, 1, lone.now);
        let opener = Opener {
            container: container.into(),
            is_product,
            is_kin: is_product,
        };
        lone.engine.opened_by(link, opener);
        lone.take();
        let hello = writer_of(id, 100).hello(["A"].into_iter());
        let refusal = Misdeed::Opener {
            id: id.into(),
            container: container.into(),
        };
        let result = if is_believed { Ok(()) } else { Err(refusal) };
        assert_eq!(lone.hear(link, &hello), result, "{id} by {container}");
        let up = |event: &MeshEvent| matches!(event, MeshEvent::NeighborUp { .. });
        assert_eq!(lone.take().iter().any(up), is_believed);
        let paths = lone.engine.paths();
        let c = paths.routers().find(|(_, router)| *router.id == *"C");
        assert_eq!(
            c.unwrap().1.link,
            Some(TO_C),
            "the real one is where it was"
        );
    }
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
        MeshEvent::Flux { entered: false } => false,
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
    lone.hear(TO_B, &b().link_state_request("C", None)).unwrap();
    assert_eq!(lone.sent(TO_C), ["LSR"]);
    lone.hear(TO_B, &b().link_state_request("nobody", None))
        .unwrap();
    lone.hear(TO_B, &b().link_state_request("B", None)).unwrap();
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
        let is_flap =
            |event: &&_| !matches!(event, MeshEvent::PathsChanged | MeshEvent::Flux { .. });
        let flaps = events.iter().filter(is_flap);
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
        writer_of("X", 1).link_state_request("A", None),
        writer_of("X", 1).link_state_request("C", None),
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
