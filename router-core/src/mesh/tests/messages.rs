//! What is written equals what the incumbent writes; what is read means what it meant.

use super::vectors::{self, bytes};
use crate::address::AddressContext;
use crate::mesh::envelope::{Destination, Envelope};
use crate::mesh::misdeed::Misdeed;
use crate::mesh::wire::{Body, Change, peers, texts};
use crate::mesh::write::Writer;
use crate::route::Treatment;

/// When the captured routers had begun.
const A_BEGAN: i64 = 1_795_218_441;
const B_BEGAN: i64 = 1_795_218_444;

fn envelope(payload: &[u8]) -> Envelope<'_> {
    Envelope::read(payload, &AddressContext::new("A")).unwrap()
}

#[test]
fn messages_equal_those_of_the_incumbent_byte_for_byte() {
    let a = Writer::new("A", A_BEGAN);
    let b = Writer::new("B", B_BEGAN);
    let closest_a = [("M0closest/a", Treatment::AnycastClosest)];
    let closest_c = [("M0closest/c", Treatment::AnycastClosest)];
    let edge = [
        ("HE", Treatment::AnycastBalanced),
        ("Clr", Treatment::LinkBalanced),
    ];
    let all = a.all_addresses(1, closest_a.into_iter());
    for (name, ours, theirs) in [
        (
            "HELLO A",
            a.hello(std::iter::empty()),
            vectors::HELLO_FROM_A,
        ),
        ("HELLO B", b.hello(["A"].into_iter()), vectors::HELLO_FROM_B),
        ("RA A", a.advertisement(1, 1), vectors::RA_FROM_A),
        ("RA B", b.advertisement(1, 0), vectors::RA_FROM_B),
        (
            "LSR A",
            a.link_state_request("B", None),
            vectors::LSR_FROM_A,
        ),
        (
            "LSR B",
            b.link_state_request("A", None),
            vectors::LSR_FROM_B,
        ),
        (
            "LSU A",
            a.link_state("B", 1, [("B", 1)].into_iter()),
            vectors::LSU_FROM_A,
        ),
        (
            "LSU B",
            b.link_state("A", 0, [("A", 1)].into_iter()),
            vectors::LSU_FROM_B,
        ),
        (
            "MAR B",
            b.address_request("A", 0, None),
            vectors::MAR_FROM_B,
        ),
        (
            "MAU all A",
            a.address_answer("B", &all),
            vectors::MAU_ALL_FROM_A,
        ),
        (
            "MAU change A",
            a.address_change(2, edge.into_iter(), std::iter::empty()),
            vectors::MAU_CHANGE_FROM_A,
        ),
        (
            "MAU change B",
            b.address_change(1, closest_c.into_iter(), std::iter::empty()),
            vectors::MAU_CHANGE_FROM_B,
        ),
    ] {
        let ours: String = ours.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn hellos_of_the_incumbent_are_understood() {
    let payload = bytes(vectors::HELLO_FROM_B);
    let envelope = envelope(&payload);
    assert_eq!(envelope.destination, Destination::Neighbor);
    assert_eq!(envelope.passed().collect::<Vec<_>>(), ["B"]);
    let control = envelope.control().unwrap();
    assert_eq!(
        (control.id, control.version, control.instance),
        ("B", 1, Some(B_BEGAN))
    );
    let Body::Hello { seen } = control.body else {
        panic!("{control:?}");
    };
    assert_eq!(
        texts(seen, "seen").collect::<Result<Vec<_>, _>>().unwrap(),
        ["A"]
    );
}

#[test]
fn link_states_of_the_incumbent_are_understood() {
    let payload = bytes(vectors::LSU_FROM_B);
    let envelope = envelope(&payload);
    assert_eq!(envelope.destination, Destination::Own);
    let Body::LinkState {
        sequence,
        peers: told,
    } = envelope.control().unwrap().body
    else {
        panic!("{envelope:?}");
    };
    assert_eq!(sequence, 0);
    assert_eq!(
        peers(told).collect::<Result<Vec<_>, _>>().unwrap(),
        [("A", 1)]
    );
    let payload = bytes(vectors::LSU_FROM_A);
    let envelope = self::envelope(&payload);
    assert_eq!(envelope.destination, Destination::Router("B".into()));
    let payload = bytes(vectors::LSR_FROM_B);
    let control = self::envelope(&payload).control().unwrap();
    assert!(matches!(
        control.body,
        Body::LinkStateRequest { wanted: None }
    ));
    let payload = bytes(vectors::RA_FROM_A);
    let envelope = self::envelope(&payload);
    assert_eq!(envelope.destination, Destination::All);
    let body = envelope.control().unwrap().body;
    let Body::Advertisement {
        link_sequence,
        mobile_sequence,
    } = body
    else {
        panic!("{body:?}");
    };
    assert_eq!((link_sequence, mobile_sequence), (1, 1));
}

#[test]
fn addresses_of_the_incumbent_are_understood() {
    let payload = bytes(vectors::MAR_FROM_B);
    let body = envelope(&payload).control().unwrap().body;
    assert!(matches!(
        body,
        Body::AddressRequest {
            have_sequence: 0,
            life: None
        }
    ));

    let payload = bytes(vectors::MAU_CHANGE_FROM_A);
    let body = envelope(&payload).control().unwrap().body;
    let Body::Addresses {
        sequence: 2,
        change: Change::Some { add, del },
        hints,
    } = body
    else {
        panic!("{body:?}");
    };
    assert_eq!(
        texts(add, "add").collect::<Result<Vec<_>, _>>().unwrap(),
        ["HE", "Clr"]
    );
    assert_eq!(texts(del, "del").count(), 0);
    let hints: Vec<_> = hints.for_each_of(2).take(2).collect();
    let expected = [Treatment::AnycastBalanced, Treatment::LinkBalanced];
    assert_eq!(hints, expected.map(Some));

    let payload = bytes(vectors::MAU_ALL_FROM_A);
    let body = envelope(&payload).control().unwrap().body;
    let Body::Addresses {
        sequence: 1,
        change: Change::All { exist },
        hints,
    } = body
    else {
        panic!("{body:?}");
    };
    assert_eq!(
        texts(exist, "exist")
            .collect::<Result<Vec<_>, _>>()
            .unwrap(),
        ["M0closest/a"]
    );
    assert_eq!(
        hints.for_each_of(1).next(),
        Some(Some(Treatment::AnycastClosest))
    );
    assert_eq!(
        hints.for_each_of(2).next(),
        Some(None),
        "hints for other addresses"
    );
}

#[test]
fn what_is_passed_on_differs_in_its_trace_alone() {
    let payload = bytes(vectors::RA_FROM_B);
    let once = envelope(&payload).passed_on("0/A");
    let passed = envelope(&once);
    assert_eq!(passed.passed().collect::<Vec<_>>(), ["B", "A"]);
    let twice = passed.passed_on("0/C");
    assert_eq!(
        envelope(&twice).passed().collect::<Vec<_>>(),
        ["B", "A", "C"]
    );
    let hex: String = twice.iter().map(|byte| format!("{byte:02x}")).collect();
    let before = "c13004a310782d6f70742d71642e696e6772657373a103302f42\
                  a30e782d6f70742d71642e7472616365c00601a103302f42";
    let after = "c13a04a310782d6f70742d71642e696e6772657373a103302f42\
                 a30e782d6f70742d71642e7472616365c01003a103302f42a103302f41a103302f43";
    assert_eq!(hex, vectors::RA_FROM_B.replace(before, after));
}

#[test]
fn a_message_without_annotations_gets_them_when_it_is_passed_on() {
    let payload = bytes(vectors::RA_FROM_B);
    let whole = bytes(vectors::RA_FROM_B);
    let start = 12;
    let end = start + 3 + 0x32;
    let bare = [&payload[..start], &payload[end..]].concat();
    let passed = envelope(&bare).passed_on("0/B");
    assert_eq!(passed, whole, "it looks as if B had made it");
}

#[test]
fn newer_versions_and_other_addresses_are_refused_by_name() {
    let newer = vectors::RA_FROM_B.replace("a10270765401", "a10270765402");
    let payload = bytes(&newer);
    let refused = envelope(&payload).control().unwrap_err();
    assert_eq!(
        refused,
        Misdeed::Version {
            id: "B".into(),
            version: 2
        }
    );
    let elsewhere = vectors::RA_FROM_B.replace("7164726f75746572", "7164726f7574657a");
    let payload = bytes(&elsewhere);
    let refused = Envelope::read(&payload, &AddressContext::new("A")).unwrap_err();
    assert_eq!(refused, Misdeed::Destination);
}
