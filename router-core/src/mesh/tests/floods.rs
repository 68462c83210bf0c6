//! What is said to all makes the round once, and whoever says too much is cut off.

use std::time::Duration;

use super::addresses::keys;
use super::lone::{Lone, TO_B, TO_C, b, opcode, replaced, writer_of};
use crate::address::AddressContext;
use crate::limits;
use crate::mesh::envelope::Envelope;
use crate::mesh::event::MeshEvent;
use crate::mesh::misdeed::Misdeed;
use crate::route::Treatment;

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
        b().link_state_request("all", None),
        b().address_request("all", 0, None),
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
        lone.hear(TO_B, &b().link_state_request("A", None)).unwrap();
        lone.hear(TO_B, &b().address_request("A", 0, None)).unwrap();
        lone.pass(10);
    }
    let sent = lone.sent(TO_B);
    let count = |opcode: &str| sent.iter().filter(|sent| **sent == opcode).count();
    assert!((2..60).contains(&count("LSU")), "{}", count("LSU"));
    assert!((2..60).contains(&count("MAU")), "{}", count("MAU"));
    lone.hear(TO_B, &b().address_request("A", 1, None)).unwrap();
    lone.pass(500);
    assert!(!lone.sent(TO_B).contains(&"MAU"), "it has them all");
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
