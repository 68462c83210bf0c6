//! All messages of the routing protocol in the recorded conversations: each is written as the
//! incumbent wrote it, and is passed on as the incumbent does.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::address::AddressContext;
use crate::mesh::envelope::{Destination, Envelope};
use crate::mesh::wire::{Body, Change, Control, Hints, opcode, peers, texts};
use crate::mesh::write::Writer;
use crate::route::Treatment;
use crate::transcript::{self, control_messages};

/// What was said to A in the one scene and to B in the other.
fn recorded() -> Vec<(&'static str, Bytes)> {
    let scenes = [("A", transcript::LEAF), ("B", transcript::BETWEEN)];
    let messages = scenes.into_iter().flat_map(|(to, text)| {
        let messages = control_messages(text).into_iter();
        messages.map(move |message| (to, message))
    });
    messages.collect()
}

/// Addresses with the treatments that were told with them.
fn treated<'a>(names: Vec<&'a str>, hints: Hints<'_>) -> Vec<(&'a str, Treatment)> {
    let hints = hints.for_each_of(names.len()).map(Option::unwrap);
    let names = names.into_iter();
    names.zip(hints).collect()
}

/// The same message, written anew by the router that made it.
fn written(control: &Control<'_>, destination: &Destination, to: &str) -> Bytes {
    let writer = Writer::new(control.id, control.instance.unwrap_or_default());
    let router = match destination {
        Destination::Router(router) => router,
        Destination::All => "all",
        _ => to,
    };
    match control.body {
        Body::Hello { seen } => {
            let seen: Vec<_> = texts(seen, "seen").map(Result::unwrap).collect();
            writer.hello(seen.into_iter())
        }
        Body::Advertisement {
            link_sequence,
            mobile_sequence,
        } => writer.advertisement(link_sequence, mobile_sequence),
        Body::LinkStateRequest { wanted } => writer.link_state_request(router, wanted),
        Body::LinkState {
            sequence,
            peers: told,
        } => {
            let told: Vec<_> = peers(told).map(Result::unwrap).collect();
            writer.link_state(router, sequence, told.into_iter())
        }
        Body::AddressRequest {
            have_sequence,
            life,
        } => writer.address_request(router, have_sequence, life),
        Body::Addresses {
            sequence,
            change: Change::All { exist },
            hints,
        } => {
            let exist = texts(exist, "exist").map(Result::unwrap).collect();
            let exist = treated(exist, hints).into_iter();
            let body = writer.all_addresses(sequence, exist);
            writer.address_answer(router, &body)
        }
        Body::Addresses {
            sequence,
            change: Change::Some { add, del },
            hints,
        } => {
            let add = texts(add, "add").map(Result::unwrap).collect();
            let del: Vec<_> = texts(del, "del").map(Result::unwrap).collect();
            let add = treated(add, hints).into_iter();
            writer.address_change(sequence, add, del.into_iter())
        }
    }
}

#[test]
fn each_recorded_message_is_written_as_the_incumbent_wrote_it() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (to, message) in recorded() {
        let envelope = Envelope::read(&message, &AddressContext::new(to)).unwrap();
        let control = envelope.control().unwrap();
        let ours = written(&control, &envelope.destination, to);
        let passed: Vec<_> = envelope.passed().collect();
        assert_eq!(passed[0], control.id, "{envelope:?}");
        // What came from further away has been passed on once.
        let ours = match &passed[1..] {
            [] => ours,
            [by] => {
                let first = Envelope::read(&ours, &AddressContext::new(by)).unwrap();
                first.passed_on(&format!("0/{by}"))
            }
            more => panic!("{more:?}"),
        };
        assert_eq!(ours, message, "{envelope:?}");
        let (said, _) = envelope.said().unwrap();
        let name = opcode(said).unwrap().to_owned();
        *seen.entry(name).or_default() += 1;
    }
    let kinds: Vec<_> = seen.keys().map(String::as_str).collect();
    assert_eq!(
        kinds,
        ["HELLO", "LSR", "LSU", "MAR", "MAU", "RA"],
        "{seen:?}"
    );
}
