//! Bytes that are meant to harm: each family of flaws that has brought down software of this kind
//! before, and the limit that answers it.

use crate::hex;
use amqp_codec::message::{self, Depth};
use amqp_codec::*;
use bytes::Bytes;

#[track_caller]
fn value_error(bytes: &[u8]) -> DecodeErrorKind {
    let bytes = Bytes::copy_from_slice(bytes);
    let read = Value::decode(&bytes)
        .expect_err("the value is refused")
        .kind;
    let skipped = Encoded::from_bytes(bytes)
        .expect_err("the value is refused unread")
        .kind;
    assert_eq!(read, skipped);
    read
}

#[track_caller]
fn performative_error(bytes: &str) -> DecodeErrorKind {
    let mut body = hex(bytes);
    let before = body.clone();
    let error = Performative::decode(&mut body).expect_err("the performative is refused");
    assert_eq!(body, before, "nothing is consumed");
    assert!(error.at as usize <= before.len(), "{error}");
    error.kind
}

/// A value wrapped `depth` times.
fn nested(depth: usize, wrap: impl Fn(Value) -> Value) -> Vec<u8> {
    let value = (0..depth).fold(Value::Null, |value, _| wrap(value));
    crate::encoded(|out| value.encode(out)).to_vec()
}

#[test]
fn frame_size_is_checked_before_anything_is_reserved() {
    //= amqp-1.0 §2.3.1, §5.3.1
    let parse = |text: &str, max| FrameHeader::parse(&hex(text), max).map_err(|error| error.kind);
    assert_eq!(
        parse("ffffffff 02 00 0000", 16384),
        Err(DecodeErrorKind::FrameTooLarge)
    );
    assert_eq!(
        parse("00004001 02 00 0000", 16384),
        Err(DecodeErrorKind::FrameTooLarge)
    );
    assert!(parse("00004000 02 00 0000", 16384).is_ok());
    assert_eq!(
        parse("00000201 02 01 0000", 16384),
        Err(DecodeErrorKind::FrameTooLarge)
    );
    assert!(parse("00000200 02 01 0000", 16384).is_ok());
    for size in ["00000000", "00000001", "00000007"] {
        let header = format!("{size} 02 00 0000");
        assert_eq!(parse(&header, 512), Err(DecodeErrorKind::FrameTooSmall));
    }
    for offset in ["00", "01", "03", "ff"] {
        let header = format!("00000008 {offset} 00 0000");
        assert_eq!(parse(&header, 512), Err(DecodeErrorKind::InvalidDataOffset));
    }
    assert_eq!(
        parse("00000008 02 02 0000", 512),
        Err(DecodeErrorKind::InvalidFrameType)
    );
    assert_eq!(
        parse("00000008 02 00 00", 512),
        Err(DecodeErrorKind::Truncated)
    );
}

#[test]
fn a_count_is_never_believed() {
    for compound in [
        "d0 00000004 ffffffff",
        "d1 00000004 fffffffe",
        "d0 00000005 00000002 40",
    ] {
        assert_eq!(
            value_error(&hex(compound)),
            DecodeErrorKind::InvalidCount,
            "{compound}"
        );
    }
    assert_eq!(
        value_error(&hex("f0 00000005 ffffffff 71")),
        DecodeErrorKind::InvalidCount
    );
    assert_eq!(
        value_error(&hex("f0 00000006 00000002 50 01")),
        DecodeErrorKind::InvalidCount
    );
    assert_eq!(
        value_error(&hex("e0 {04 a3 01 61 00}")),
        DecodeErrorKind::InvalidCount
    );
    assert_eq!(
        value_error(&hex("c1 {03 40 40 40}")),
        DecodeErrorKind::InvalidCount
    );
    assert_eq!(
        performative_error("005310 d0 00000004 ffffffff"),
        DecodeErrorKind::InvalidCount
    );
    assert_eq!(
        performative_error("005314 d0 00000005 ffffffff 43"),
        DecodeErrorKind::InvalidCount
    );
    let capabilities = "005310 c0{08 a10141 40 40 40 40 40 40 f0 00000005 ffffffff a3}";
    assert_eq!(
        performative_error(capabilities),
        DecodeErrorKind::InvalidCount
    );
}

#[test]
fn elements_without_bytes_are_rationed() {
    for element in ["40", "41", "42", "43", "44", "45"] {
        let array = |count: u32| hex(&format!("f0 00000005 {count:08x} {element}"));
        assert_eq!(
            value_error(&array(u32::MAX)),
            DecodeErrorKind::TooManyZeroWidth
        );
        assert_eq!(
            value_error(&array(MAX_ZERO_WIDTH_ELEMENTS + 1)),
            DecodeErrorKind::TooManyZeroWidth
        );
        assert!(Value::decode(&array(MAX_ZERO_WIDTH_ELEMENTS)).is_ok());
    }
    // The ration is for the whole value, not for each array in it.
    let many = hex("c0 {03 f0 0000000500000080 40 f0 0000000500000080 40 f0 0000000500000001 40}");
    assert_eq!(value_error(&many), DecodeErrorKind::TooManyZeroWidth);
    let nested =
        hex("f0 0000001d 00000003 f0 00000005000000ff40 00000005000000ff40 00000005000000ff40");
    assert!(Value::decode(&nested).is_err());
}

#[test]
fn nesting_is_limited() {
    let list = |value| Value::List(vec![value]);
    let map = |value| Value::Map(Map(vec![(Value::Null, value)]));
    let described = |value| Value::Described(Box::new((1_u64.into(), value)));
    let array = |value| match value {
        Value::Array(inner) => Value::Array(Array::new(0xf0, vec![inner.into()]).unwrap()),
        _ => Value::Array(Array::new(0x71, vec![]).unwrap()),
    };
    let limit = usize::from(MAX_DEPTH);
    for wrap in [&list as &dyn Fn(Value) -> Value, &map, &described, &array] {
        assert!(Value::decode(&nested(limit, wrap).into()).is_ok());
        assert_eq!(
            value_error(&nested(limit + 1, wrap)),
            DecodeErrorKind::TooDeep
        );
        assert_eq!(value_error(&nested(2000, wrap)), DecodeErrorKind::TooDeep);
    }
    // Descriptors of descriptors, without end and without a value.
    assert_eq!(value_error(&[0; 10_000]), DecodeErrorKind::TooDeep);
    let mut array_of_described = hex("f0 000003e8 00000000").to_vec();
    array_of_described.resize(1005, 0);
    assert_eq!(value_error(&array_of_described), DecodeErrorKind::TooDeep);
}

#[test]
fn a_size_cannot_reach_beyond_what_contains_it() {
    assert_eq!(value_error(&hex("a105 6162")), DecodeErrorKind::Truncated);
    assert_eq!(
        value_error(&hex("b0 ffffffff 61")),
        DecodeErrorKind::Truncated
    );
    assert_eq!(
        value_error(&hex("c0 {01 a105 6162} 636465")),
        DecodeErrorKind::Truncated
    );
    assert_eq!(value_error(&hex("c0 05 01 40")), DecodeErrorKind::Truncated);
    assert_eq!(
        value_error(&hex("c0 {01 40 40}")),
        DecodeErrorKind::InvalidLength
    );
    assert_eq!(value_error(&hex("c0 00")), DecodeErrorKind::Truncated);
    assert_eq!(
        value_error(&hex("d0 00000003 000000")),
        DecodeErrorKind::Truncated
    );
    assert_eq!(
        value_error(&hex("e0 {02 50 01 02 03}")),
        DecodeErrorKind::InvalidLength
    );
    assert_eq!(value_error(&[]), DecodeErrorKind::Truncated);
    assert_eq!(value_error(&hex("3f")), DecodeErrorKind::InvalidFormatCode);
    assert_eq!(
        value_error(&hex("e0 {01 3f 00}")),
        DecodeErrorKind::InvalidFormatCode
    );
    let trailing = Encoded::from_bytes(hex("40 40")).unwrap_err();
    assert_eq!(
        trailing,
        DecodeError {
            kind: DecodeErrorKind::InvalidLength,
            at: 1
        }
    );
}

#[test]
fn texts_are_checked() {
    let kind = |text: &str| Value::decode(&hex(text)).map_err(|error| (error.kind, error.at));
    assert_eq!(
        kind("c0 {01 a102 c328}"),
        Err((DecodeErrorKind::InvalidUtf8, 5))
    );
    assert_eq!(kind("a103 6162ff"), Err((DecodeErrorKind::InvalidUtf8, 4)));
    assert_eq!(kind("a302 61c3"), Err((DecodeErrorKind::InvalidSymbol, 3)));
    assert_eq!(kind("73 0000d800"), Err((DecodeErrorKind::InvalidValue, 1)));
    assert_eq!(kind("73 00110000"), Err((DecodeErrorKind::InvalidValue, 1)));
    assert_eq!(kind("56 02"), Err((DecodeErrorKind::InvalidValue, 1)));
    assert_eq!(
        performative_error("005310 c0{01 a102c328}"),
        DecodeErrorKind::InvalidUtf8
    );
    let capability = "005310 c0{08 a10141 40 40 40 40 40 40 e0{01 a3 01ff}}";
    assert_eq!(
        performative_error(capability),
        DecodeErrorKind::InvalidSymbol
    );
}

#[test]
fn mandatory_fields_must_be_there() {
    //= amqp-1.0 §2.7
    let missing = [
        "005310 45",
        "005310 c0{01 40}",
        "005311 c0{02 40 43}",
        "005311 45",
        "005312 c0{02 a1016c 43}",
        "005313 45",
        "005313 c0{04 43 43 43 40}",
        "005314 45",
        "005314 c0{02 40 43}",
        "005315 45",
        "005315 c0{01 41}",
        "005316 45",
        "005316 c0{02 40 41}",
        "005318 c0{01 00531d 45}",
        "005315 c0{05 41 43 40 40 005323 c0{01 43}}",
        "005315 c0{05 41 43 40 40 005333 45}",
    ];
    for bytes in missing {
        assert_eq!(
            performative_error(bytes),
            DecodeErrorKind::MissingField,
            "{bytes}"
        );
    }
    for bytes in [
        "005340 45",
        "005341 45",
        "005342 45",
        "005343 c0{01 40}",
        "005344 45",
    ] {
        let error = SaslFrame::decode(&mut hex(bytes)).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::MissingField, "{bytes}");
    }
}

#[test]
fn fields_of_the_wrong_type_are_refused() {
    let wrong = [
        "005310 c0{01 a30141}",
        "005310 c0{02 a10141 5201}",
        "005314 c0{01 5301}",
        "005314 c0{01 41}",
        "005314 c0{03 43 40 a10161}",
        "005314 c0{05 43 40 40 40 5201}",
        "005315 c0{02 43 43}",
        "005315 c0{05 41 43 40 40 41}",
        "005313 c0{04 43 41 43 43}",
        "005312 c0{06 a1016c 43 41 40 40 a10161}",
        "005317 c0{01 41}",
        "005317 c1{00}",
        "a10161",
        "00a10161 45",
    ];
    for bytes in wrong {
        assert_eq!(
            performative_error(bytes),
            DecodeErrorKind::WrongType,
            "{bytes}"
        );
    }
}

#[test]
fn values_outside_their_choices_are_refused() {
    let wrong = [
        "005312 c0{04 a1016c 43 41 5003}",
        "005312 c0{05 a1016c 43 41 40 5002}",
        "005314 c0{07 43 40 40 40 40 40 5002}",
        "005312 c0{06 a1016c 43 41 40 40 005328 c0{01 a00161}}",
        "005312 c0{06 a1016c 43 41 40 40 005328 c0{01 5207}}",
        "005312 c0{07 a1016c 43 41 40 40 40 005329 c0{01 a30161}}",
    ];
    for bytes in wrong {
        assert_eq!(
            performative_error(bytes),
            DecodeErrorKind::InvalidValue,
            "{bytes}"
        );
    }
    let outcome = SaslFrame::decode(&mut hex("005344 c0{01 5005}")).unwrap_err();
    assert_eq!(outcome.kind, DecodeErrorKind::InvalidValue);
}

#[test]
fn a_long_delivery_tag_is_refused() {
    //= amqp-1.0 §2.8.7
    let tag = "00".repeat(33);
    for tag in [format!("a021{tag}"), format!("b000000021{tag}")] {
        let bytes = format!("005314 c0{{03 43 43 {tag}}}");
        assert_eq!(performative_error(&bytes), DecodeErrorKind::TagTooLong);
    }
}

#[test]
fn unknown_descriptors_are_refused_where_a_choice_is_closed() {
    let unknown = [
        "005319 45",
        "00530f 45",
        "005340 45",
        "0080 0000000100000014 45",
        "00a30178 45",
        "005312 c0{06 a1016c 43 41 40 40 005329 45}",
        "005312 c0{07 a1016c 43 41 40 40 40 005328 45}",
        "005317 c0{01 00531e 45}",
    ];
    for bytes in unknown {
        assert_eq!(
            performative_error(bytes),
            DecodeErrorKind::UnknownDescriptor,
            "{bytes}"
        );
    }
}

#[test]
fn layers_do_not_mix() {
    //= amqp-1.0 §5.3.2
    let mut open = hex("005310 c0{01 a10141}");
    let error = SaslFrame::decode(&mut open).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::UnknownDescriptor);
    assert_eq!(
        performative_error("005341 c0{01 a30141}"),
        DecodeErrorKind::UnknownDescriptor
    );
}

#[test]
fn errors_name_the_byte() {
    let mut body = hex("005310 c0{02 a10141 a102c328}");
    let error = Performative::decode(&mut body).unwrap_err();
    assert_eq!(
        error,
        DecodeError {
            kind: DecodeErrorKind::InvalidUtf8,
            at: 11
        }
    );
    assert_eq!(error.to_string(), "string is not UTF-8 at byte 11");
}

#[test]
fn whole_messages_are_read_strictly() {
    let kind = |text: &str| message::parse(&hex(text)).unwrap_err().kind;
    assert_eq!(kind(""), DecodeErrorKind::Empty);
    assert_eq!(
        kind("005370 45 005370 45"),
        DecodeErrorKind::DuplicateSection
    );
    assert_eq!(kind("005373 45 005370 45"), DecodeErrorKind::SectionOrder);
    assert_eq!(kind("005375 a000 005377 40"), DecodeErrorKind::SectionOrder);
    assert_eq!(
        kind("005377 40 005377 40"),
        DecodeErrorKind::DuplicateSection
    );
    assert_eq!(kind("005378 c100 005377 40"), DecodeErrorKind::Truncated);
    assert_eq!(
        kind("005378 c10100 005377 40"),
        DecodeErrorKind::SectionOrder
    );
    assert_eq!(kind("005372 45"), DecodeErrorKind::WrongType);
    assert_eq!(kind("005376 40"), DecodeErrorKind::WrongType);
    assert_eq!(kind("005379 40"), DecodeErrorKind::UnknownDescriptor);
    assert_eq!(kind("005377 40 00"), DecodeErrorKind::Truncated);
    assert!(message::scan(&[], Depth::Header).is_err());
}
