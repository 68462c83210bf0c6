//! The scanner: what it finds, where it stops, what it refuses.

use crate::hex;
use amqp_codec::DecodeErrorKind;
use amqp_codec::message::{
    self, Depth, Sections, application_properties, gather, scan, scan_one, subject, to_address,
    user_id,
};
use bytes::Bytes;

const HEADER: &str = "005370 c0{02 41 5007}";
const DELIVERY: &str = "005371 c1{02 a30164 41}";
const ANNOTATIONS: &str = "005372 c1{02 a3016b a10176}";
const PROPERTIES: &str = "005373 c0{04 a1026964 a0026d65 a103712e61 a10173}";
const APPLICATION: &str = "005374 c1{02 a1016b a10176}";
const BODY: &str = "005377 a10568656c6c6f";

fn everything() -> Bytes {
    hex(&[HEADER, DELIVERY, ANNOTATIONS, PROPERTIES, APPLICATION, BODY].concat())
}

#[test]
fn each_depth_finds_its_sections_and_no_more() {
    //= amqp-1.0 §3.2
    let message = everything();
    let mut expected = Sections {
        header: Some(0..9),
        priority: Some(7),
        durable: true,
        rest: 9,
        ..Sections::default()
    };
    assert_eq!(scan_one(&message, Depth::Header).as_ref(), Ok(&expected));
    expected.delivery_annotations = Some(9..19);
    expected.message_annotations = Some(19..31);
    expected.rest = 31;
    assert_eq!(
        scan_one(&message, Depth::MessageAnnotations).as_ref(),
        Ok(&expected)
    );
    expected.properties = Some(31..53);
    expected.rest = 53;
    assert_eq!(
        scan_one(&message, Depth::Properties).as_ref(),
        Ok(&expected)
    );
    expected.application_properties = Some(53..65);
    expected.rest = 65;
    assert_eq!(
        scan_one(&message, Depth::ApplicationProperties).as_ref(),
        Ok(&expected)
    );
    assert_eq!(gather(&[message], &(65..75)), hex(BODY));
}

#[test]
fn long_descriptors_and_wide_sections_are_known_too() {
    let message = hex("0080 0000000000000070 d0 00000007 00000002 40 5009
         0080 0000000000000072 d1 00000004 00000000 005377 40");
    let sections = scan_one(&message, Depth::Properties).unwrap();
    assert_eq!(sections.header, Some(0..22));
    assert_eq!((sections.priority, sections.durable), (Some(9), false));
    assert_eq!(sections.message_annotations, Some(22..41));
    assert_eq!(sections.rest, 41);
}

#[test]
fn headers_tell_priority_and_durability() {
    //= amqp-1.0 §3.2.1
    let cases = [
        ("45", None, false),
        ("c0{00}", None, false),
        ("c0{01 41}", None, true),
        ("c0{01 5601}", None, true),
        ("c0{02 5600 5003}", Some(3), false),
        ("c0{02 42 40}", None, false),
        ("c0{05 40 5000 70000003e8 41 5207}", Some(0), false),
    ];
    for (list, priority, durable) in cases {
        let message = hex(&format!("005370 {list} {BODY}"));
        let sections = scan_one(&message, Depth::Header).unwrap();
        assert_eq!(
            (sections.priority, sections.durable),
            (priority, durable),
            "{list}"
        );
    }
    for list in [
        "c0{01 5201}",
        "c0{02 41 5203}",
        "c0{01 56}",
        "c0{01 5602}",
        "c0{02 41 50}",
    ] {
        let message = hex(&format!("005370 {list} {BODY}"));
        let error = scan_one(&message, Depth::Header).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::WrongType, "{list}");
    }
}

#[test]
fn unknown_bytes_pass() {
    for text in ["garbage!!", "\0garbage", "\0S\x7fgarbage", "\0\u{1}"] {
        let sections = scan_one(text.as_bytes(), Depth::Properties).unwrap();
        assert_eq!(sections, Sections::default(), "{text}");
    }
    let after = scan_one(&hex(&format!("{HEADER} 6761726261")), Depth::Properties).unwrap();
    assert_eq!((after.header, after.rest), (Some(0..9), 9));
    assert!(!after.undecided);
}

#[test]
fn nothing_at_all_does_not_pass() {
    for chunks in [&[][..], &[Bytes::new()], &[Bytes::new(), Bytes::new()]] {
        let error = scan(chunks, Depth::Header).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::Empty);
    }
}

#[track_caller]
fn refused(message: &str, depth: Depth, kind: DecodeErrorKind) {
    let error = scan_one(&hex(message), depth).unwrap_err();
    assert_eq!(error.kind, kind, "{message}");
}

#[test]
fn sections_twice_or_out_of_order_are_refused() {
    //= amqp-1.0 §3.2
    use DecodeErrorKind::{DuplicateSection, SectionOrder};
    let depth = Depth::MessageAnnotations;
    refused(&[HEADER, HEADER].concat(), Depth::Header, DuplicateSection);
    refused(
        &[ANNOTATIONS, ANNOTATIONS].concat(),
        depth,
        DuplicateSection,
    );
    refused(&[ANNOTATIONS, DELIVERY].concat(), depth, SectionOrder);
    refused(
        &[PROPERTIES, ANNOTATIONS].concat(),
        Depth::Properties,
        SectionOrder,
    );
}

#[test]
fn sections_of_another_type_or_incomplete_are_refused() {
    use DecodeErrorKind::{InvalidFormatCode, InvalidLength, Truncated, WrongType};
    let depth = Depth::Properties;
    for section in [
        "005370 c1{00}",
        "005372 c0{00}",
        "005372 45",
        "005373 a10161",
    ] {
        refused(section, depth, WrongType);
    }
    refused("005370 3f", depth, InvalidFormatCode);
    refused("005370 c000", depth, InvalidLength);
    refused("005370 d0 00000003 000000", depth, InvalidLength);
    refused("005370 c0ff02", depth, Truncated);
    refused("005372 d1 ffffffff 00000000", depth, Truncated);
}

#[test]
fn what_lies_behind_the_depth_asked_for_is_not_judged() {
    let behind = hex(&format!("{HEADER} 005373 a10161"));
    assert!(scan_one(&behind, Depth::MessageAnnotations).is_ok());
}

#[test]
fn a_message_in_parts_is_undecided_until_the_wanted_sections_are_whole() {
    let message = everything();
    let whole = scan_one(&message, Depth::Properties).unwrap();
    assert!(!whole.undecided);
    for end in 1..message.len() {
        let part = message.slice(..end);
        match scan_one(&part, Depth::Properties) {
            Ok(sections) if sections.undecided => assert!(end < 53, "{end}"),
            Ok(sections) => {
                assert!(end >= 53, "{end}");
                assert_eq!(sections, whole);
            }
            Err(error) => {
                assert_eq!(error.kind, DecodeErrorKind::Truncated);
                assert!(end < 53, "{end}");
            }
        }
    }
}

#[test]
fn chunks_are_one_message_however_it_is_cut() {
    let message = everything();
    let whole = scan_one(&message, Depth::ApplicationProperties).unwrap();
    for first in 0..=message.len() {
        for second in first..=message.len() {
            let chunks = [
                message.slice(..first),
                message.slice(first..second),
                message.slice(second..),
            ];
            let sections = scan(&chunks, Depth::ApplicationProperties).unwrap();
            assert_eq!(sections, whole, "{first} {second}");
            assert_eq!(to_address(&chunks, &sections).unwrap().unwrap(), "q.a");
            assert_eq!(user_id(&chunks, &sections).unwrap().unwrap(), "me");
            assert_eq!(subject(&chunks, &sections).unwrap().unwrap(), "s");
            let application = application_properties(&chunks, &sections).unwrap().unwrap();
            assert_eq!(application.get("k"), Some(&"v".into()));
            let annotations = gather(&chunks, &sections.message_annotations.unwrap());
            assert_eq!(annotations, hex(ANNOTATIONS));
        }
    }
}

#[test]
fn a_section_in_one_chunk_is_shared_not_copied() {
    let message = everything();
    let part = gather(&[Bytes::from_static(b"12"), message.clone()], &(2..11));
    assert_eq!(part.as_ptr(), message.as_ptr());
    assert_eq!(
        gather(std::slice::from_ref(&message), &(70..90)),
        message[70..]
    );
}

#[test]
fn properties_without_an_address_have_none() {
    let to = |properties: &str| {
        let chunks = [hex(&format!("{properties} {BODY}"))];
        let sections = scan(&chunks, Depth::Properties).unwrap();
        to_address(&chunks, &sections).map_err(|error| error.kind)
    };
    assert_eq!(to(""), Ok(None));
    assert_eq!(to("005373 45"), Ok(None));
    assert_eq!(to("005373 c0{02 40 40}"), Ok(None));
    assert_eq!(to("005373 c0{03 40 40 40}"), Ok(None));
    assert_eq!(to("005373 c0{03 5301 40 a100}"), Ok(Some("".into())));
    assert_eq!(to("005373 c0{03 40 40 b10000000161}"), Ok(Some("a".into())));
    assert_eq!(
        to("005373 c0{03 40 40 a00161}"),
        Err(DecodeErrorKind::WrongType)
    );
    assert_eq!(
        to("005373 c0{03 40 3f a10161}"),
        Err(DecodeErrorKind::InvalidFormatCode)
    );
    assert_eq!(
        to("005373 c0{03 40 40 a10561}"),
        Err(DecodeErrorKind::Truncated)
    );
    assert_eq!(
        to("005373 c0{03 40 40 a102c328}"),
        Err(DecodeErrorKind::InvalidUtf8)
    );
}

#[test]
fn all_properties_can_be_read_after_a_scan() {
    let chunks = [everything()];
    let sections = scan(&chunks, Depth::Properties).unwrap();
    let properties = message::properties(&chunks, &sections).unwrap().unwrap();
    assert_eq!(properties.message_id, Some("id".into()));
    assert_eq!(properties.to, Some("q.a".into()));
    assert_eq!(properties.group_id, None);
    assert_eq!(
        application_properties(&chunks, &sections),
        Ok(None),
        "the scan stopped before"
    );
}
