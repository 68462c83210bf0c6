//! Router annotations: taken apart, put together, refused.

use crate::{encoded, hex};
use amqp_codec::message::{
    AnnotationError, RouterAnnotations, Trace, UserEntries, compose, room, split,
};
use amqp_codec::{Map, Value};
use bytes::{Bytes, BytesMut};

/// A message-annotations section.
fn section(entries: &[(&'static str, Value)]) -> Bytes {
    let map: Map = entries
        .iter()
        .map(|(key, value)| (Value::symbol(key), value.clone()))
        .collect();
    encoded(|out| {
        out.extend_from_slice(&hex("005372"));
        map.encode(out);
    })
}

fn composed(user: UserEntries<'_>, router: &RouterAnnotations, own_id: Option<&str>) -> Bytes {
    let section = encoded(|out| compose(user, router, own_id, out));
    assert!(section.len() <= room(user, router, own_id));
    section
}

#[test]
fn a_first_router_writes_what_the_wire_wants() {
    let router = RouterAnnotations {
        to: Some("closest/x".into()),
        ..RouterAnnotations::default()
    };
    let first = composed(UserEntries::default(), &router, Some("0/A"));
    let expected = hex(
        "005372 c1{06 a30b782d6f70742d71642e746f a109636c6f736573742f78
                      a310782d6f70742d71642e696e6772657373 a103302f41
                      a30e782d6f70742d71642e7472616365 c0{01 a103302f41}}",
    );
    assert_eq!(first, expected);
    assert_eq!(first[4], 0x48);
    let split = split(&first, true).unwrap();
    let second = composed(split.user, &split.router, Some("0/B"));
    assert_eq!(
        second[second.len() - 13..],
        hex("c0{02 a103302f41 a103302f42}")
    );
}

#[test]
fn user_entries_pass_byte_for_byte_and_come_first() {
    // Wide encodings and strings as keys are the user's own affair.
    let user = "b300000001 61 b100000001 62 a10b782d6f70742d71642e746f 41";
    let arrived = hex(&format!(
        "005372 c1{{06 {user} a30e782d6f70742d71642e7472616365 c0{{01 a103302f41}}}}"
    ));
    let split = split(&arrived, true).unwrap();
    assert_eq!(split.user.bytes, hex(user));
    assert_eq!(split.user.count, 4);
    assert_eq!(split.router.trace.iter().collect::<Vec<_>>(), ["0/A"]);
    let left = composed(split.user, &RouterAnnotations::default(), None);
    assert_eq!(left, hex(&format!("005372 c1{{04 {user}}}")));
}

#[test]
fn everything_known_is_read_and_written_in_order() {
    let all = section(&[
        ("u", "v".into()),
        ("x-opt-qd.phase", 3.into()),
        ("x-opt-qd.stream", 1.into()),
        ("x-opt-qd.to", "a".into()),
        ("x-opt-qd.ingress", "0/I".into()),
        (
            "x-opt-qd.trace",
            vec![Value::from("0/I"), "0/J".into()].into(),
        ),
    ]);
    let apart = split(&all, true).unwrap();
    assert_eq!(apart.router.phase, Some(3));
    assert!(apart.router.stream);
    assert_eq!(apart.router.to.as_deref(), Some("a"));
    assert_eq!(apart.router.ingress.as_deref(), Some("0/I"));
    assert!(apart.router.trace.contains("0/J") && !apart.router.trace.contains("0/"));
    assert_eq!(apart.router.trace.len(), 2);
    assert_eq!(composed(apart.user, &apart.router, None), all, "as it came");
    let onwards = composed(apart.user, &apart.router, Some("0/K"));
    let again = split(&onwards, true).unwrap();
    assert_eq!(
        again.router.ingress.as_deref(),
        Some("0/I"),
        "the ingress is kept"
    );
    assert_eq!(
        again.router.trace,
        ["0/I", "0/J", "0/K"].into_iter().collect::<Trace>()
    );
}

#[test]
fn nothing_to_say_is_no_section() {
    let mut out = BytesMut::new();
    compose(
        UserEntries::default(),
        &RouterAnnotations::default(),
        None,
        &mut out,
    );
    let zero = RouterAnnotations {
        phase: Some(0),
        ..RouterAnnotations::default()
    };
    compose(UserEntries::default(), &zero, None, &mut out);
    assert!(out.is_empty());
}

#[test]
fn what_is_stripped_is_not_even_checked() {
    let bad = section(&[
        ("u", 1.into()),
        ("x-opt-qd.trace", true.into()),
        ("late", 2.into()),
    ]);
    let stripped = split(&bad, false).unwrap();
    assert_eq!(
        (stripped.user.count, stripped.user.bytes),
        (2, &hex("a30175 5401")[..])
    );
    assert_eq!(stripped.router, RouterAnnotations::default());
    assert_eq!(split(&bad, true), Err(AnnotationError::Trace));
}

#[test]
fn entries_behind_a_router_key_are_not_the_users() {
    let late = section(&[
        ("a", 1.into()),
        ("x-opt-qd.to", "t".into()),
        ("b", 2.into()),
        ("x-opt-qd.phase", 2.into()),
    ]);
    let apart = split(&late, true).unwrap();
    assert_eq!(
        (apart.user.count, apart.user.bytes),
        (2, &hex("a30161 5401")[..])
    );
    assert_eq!(
        (apart.router.to.as_deref(), apart.router.phase),
        (Some("t"), Some(2))
    );
}

#[test]
fn obsolete_and_unknown_router_keys_never_pass() {
    for key in ["x-opt-qd.class", "x-opt-qd.", "x-opt-qd.invented"] {
        let apart = section(&[(key, true.into())]);
        for honour in [true, false] {
            let apart = split(&apart, honour).unwrap();
            assert_eq!(
                (apart.user.count, apart.router.is_empty()),
                (0, true),
                "{key}"
            );
        }
    }
}

#[test]
fn bad_router_annotations_are_refused_in_the_incumbents_words() {
    let cases: [(&str, Value, &str); 7] = [
        (
            "x-opt-qd.trace",
            "0/A".into(),
            "trace annotation is not a list",
        ),
        (
            "x-opt-qd.trace",
            Map::new().into(),
            "trace annotation is not a list",
        ),
        (
            "x-opt-qd.trace",
            vec![Value::from(1)].into(),
            "trace list contains non-string entries",
        ),
        (
            "x-opt-qd.trace",
            vec![Value::symbol("s")].into(),
            "trace list contains non-string entries",
        ),
        (
            "x-opt-qd.to",
            Value::symbol("s"),
            "to-override not a valid string type",
        ),
        (
            "x-opt-qd.to",
            Value::Null,
            "to-override not a valid string type",
        ),
        (
            "x-opt-qd.ingress",
            1.into(),
            "ingress router not a string type",
        ),
    ];
    for (key, value, text) in cases {
        let error = split(&section(&[(key, value)]), true).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    let odd = split(&hex("005372 c1{03 a30161 41 a30162}"), true).unwrap_err();
    assert_eq!(
        odd.to_string(),
        "Invalid MA map count (odd number of fields)"
    );
    for malformed in [
        "005372 c0{00}",
        "005372 c1{02 a30561}",
        "005372 c1{04 a30161 41}",
        "005372 c1{02 a30161 41 41}",
        "005372 c1{02 a30161 3f}",
        "005373 c1{00}",
        "",
        "005372 c1{02 a30b782d6f70742d71642e746f a102c328}",
        "005372 c1{02 a30e782d6f70742d71642e7472616365 c0{01 a102c328}}",
        "005372 c1{02 a30e782d6f70742d71642e7472616365 c0{01 a10561}}",
    ] {
        let error = split(&hex(malformed), true).unwrap_err();
        assert!(
            matches!(error, AnnotationError::Malformed(_)),
            "{malformed} {error:?}"
        );
        assert_eq!(error.to_string(), "invalid message annotations");
    }
}

#[test]
fn a_long_trace_takes_wide_forms() {
    let router = "0/a-router-with-a-long-name".repeat(10);
    let trace: Trace = std::iter::repeat_n(router.as_str(), 300).collect();
    let annotations = RouterAnnotations {
        trace,
        ..RouterAnnotations::default()
    };
    let bytes = composed(UserEntries::default(), &annotations, Some("0/Z"));
    let apart = split(&bytes, true).unwrap();
    assert_eq!(apart.router.trace.len(), 301);
    assert_eq!(apart.router.trace.iter().last(), Some("0/Z"));
    assert_eq!(apart.router.trace.clone().settle(), apart.router.trace);
    assert_eq!(
        apart
            .router
            .trace
            .into_iter()
            .filter(|passed| *passed == router)
            .count(),
        300
    );
}

#[test]
fn a_phase_that_is_no_number_is_no_phase() {
    let phase = |value: Value| {
        split(&section(&[("x-opt-qd.phase", value)]), true)
            .unwrap()
            .router
            .phase
    };
    assert_eq!(phase(22.into()), Some(22));
    assert_eq!(phase(7_u64.into()), Some(7));
    assert_eq!(phase("7".into()), None);
    assert_eq!(phase(u64::MAX.into()), None);
}
