//! What is written is read back, and a changed byte is at worst an error.

use crate::{encoded, generate};
use amqp_codec::message::{self, MessageBuilder};
use amqp_codec::*;
use bytes::Bytes;
use proptest::prelude::*;

/// How many places of some valid bytes are damaged.
const PLACES: usize = 48;

/// Gives `check` the bytes cut off and with a byte changed, at up to `PLACES` places.
fn damage(bytes: &[u8], check: fn(&[u8])) {
    for at in (0..bytes.len()).step_by(bytes.len().div_ceil(PLACES).max(1)) {
        for mask in [0x01, 0x10, 0xff] {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= mask;
            check(&damaged);
        }
        check(&bytes[..at]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn values_come_back(value in generate::value()) {
        let bytes = encoded(|out| value.encode(out));
        prop_assert_eq!(Value::decode(&bytes), Ok((value, bytes.len())));
        fuzz::fuzz_value(&bytes);
        damage(&bytes, fuzz::fuzz_value);
    }

    #[test]
    fn performatives_come_back(performative in generate::performative()) {
        let bytes = encoded(|out| performative.encode(out));
        let mut body = Bytes::from([&bytes[..], b"payload"].concat());
        prop_assert_eq!(Performative::decode(&mut body), Ok(performative));
        prop_assert_eq!(body, "payload");
        damage(&bytes, fuzz::fuzz_performative);
    }

    #[test]
    fn sasl_frames_come_back(frame in generate::sasl()) {
        let mut bytes = encoded(|out| frame.encode(out));
        damage(&bytes, fuzz::fuzz_sasl);
        prop_assert_eq!(SaslFrame::decode(&mut bytes), Ok(frame));
    }

    #[test]
    fn whole_messages_come_back(message in generate::message()) {
        let bytes = message.encode();
        prop_assert_eq!(message::parse(&bytes), Ok(message));
        fuzz::fuzz_message_scan(&bytes);
        damage(&bytes, fuzz::fuzz_message_scan);
    }

    #[test]
    fn frames_come_back(performative in generate::performative(), channel in any::<u16>()) {
        let frame = encoded(|out| {
            let mark = begin_frame(out, FrameType::Amqp, channel);
            performative.encode(out);
            end_frame(out, mark, 0);
        });
        let header = FrameHeader::parse(&frame, u32::MAX).unwrap();
        prop_assert_eq!(header.channel, channel);
        let mut body = frame.slice(header.body_offset()..);
        prop_assert_eq!(header.body_length(), body.len());
        prop_assert_eq!(Performative::decode(&mut body), Ok(performative));
        damage(&frame[..16.min(frame.len())], fuzz::fuzz_frame);
    }

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        fuzz::fuzz_frame(&bytes);
        fuzz::fuzz_performative(&bytes);
        fuzz::fuzz_sasl(&bytes);
        fuzz::fuzz_value(&bytes);
        fuzz::fuzz_message_scan(&bytes);
    }

    #[test]
    fn texts_are_what_they_were(text in "\\PC{0,20}") {
        let copy = Str::copy(&text);
        prop_assert_eq!(&*copy, text.as_str());
        prop_assert_eq!(copy.to_string(), text.clone());
        prop_assert_eq!(Symbol::try_copy(&text).is_some(), text.is_ascii());
        prop_assert_eq!(Str::from(text), copy.settle());
    }

    #[test]
    fn states_settle_as_they_were_and_know_their_length(state in generate::state()) {
        let mut bytes = bytes::BytesMut::new();
        state.encode(&mut bytes);
        prop_assert_eq!(state.encoded_len(), bytes.len());
        prop_assert_eq!(state.clone().settle(), state);
    }
}

#[test]
fn a_tag_of_32_bytes_fits_and_one_of_33_does_not() {
    //= amqp-1.0 §2.8.7
    assert_eq!(DeliveryTag::new(&[1; 32]).unwrap().as_slice(), [1; 32]);
    assert!(DeliveryTag::new(&[1; 33]).is_none());
    assert!(DeliveryTag::new(&[1; 300]).is_none());
    assert_ne!(DeliveryTag::new(&[0]), DeliveryTag::new(&[0, 0]));
}

#[test]
fn settled_parts_do_not_pin_what_they_came_from() {
    let frame = Bytes::from(vec![b'a'; 1000]);
    let text = Str::from_bytes(frame.slice(10..20)).unwrap();
    let symbol = Symbol::from_bytes(frame.slice(20..30)).unwrap();
    assert!(!frame.is_unique());
    let (text, symbol) = (text.settle(), symbol.settle());
    assert!(frame.is_unique());
    assert_eq!((&*text, &*symbol), ("aaaaaaaaaa", "aaaaaaaaaa"));
    let state = DeliveryState::Declared(frame.slice(30..40)).settle();
    assert!(frame.is_unique());
    assert_eq!(state, DeliveryState::Declared(frame.slice(30..40)));
}

#[test]
fn a_transfer_takes_no_share_of_its_frame() {
    let transfer = Transfer {
        delivery_tag: DeliveryTag::new(b"t"),
        ..Transfer::default()
    };
    let mut body = encoded(|out| transfer.encode(out));
    assert_eq!(decode_transfer(&mut body).as_ref(), Ok(&transfer));
    assert!(body.is_unique());
    let mut other = encoded(|out| Close::default().encode(out));
    let before = other.clone();
    assert_eq!(
        decode_transfer(&mut other).unwrap_err().kind,
        DecodeErrorKind::WrongType
    );
    assert_eq!(other, before);
}

#[test]
fn the_types_of_the_data_path_are_small() {
    assert!(size_of::<DeliveryState>() <= 40);
    assert!(size_of::<Transfer>() <= 112);
    assert!(size_of::<Result<Performative, DecodeError>>() <= 128);
    assert_eq!(size_of::<DecodeError>(), 8);
}

#[test]
fn a_built_message_says_what_it_was_told() {
    let properties = message::Properties {
        to: Some("a".into()),
        ..message::Properties::default()
    };
    let message = MessageBuilder::new()
        .header(message::Header {
            durable: true,
            ..message::Header::default()
        })
        .message_annotations(Map::from_iter([(Value::symbol("k"), 1_i32)]))
        .properties(properties)
        .application_properties(Map::from_iter([("operation", "READ")]))
        .value(vec![Value::Null])
        .build();
    let expected = crate::hex(
        "005370 c0{01 41} 005372 c1{02 a3016b 5401} 005373 c0{03 40 40 a10161}
         005374 c1{02 a1096f7065726174696f6e a10452454144} 005377 c0{01 40}",
    );
    assert_eq!(message, expected);
    let data = MessageBuilder::new().data(&b"xyz"[..]).build();
    assert_eq!(data, crate::hex("005375 a00378797a"));
}

#[test]
fn values_tell_what_they_are() {
    assert_eq!(Value::from("text").as_str(), Some("text"));
    assert_eq!(Value::symbol("text").as_str(), Some("text"));
    assert_eq!(Value::from(1_u8).as_str(), None);
    for seven in [Value::from(7_u8), 7_u16.into(), 7_u32.into(), 7_u64.into()] {
        assert_eq!((seven.as_u64(), seven.as_i64()), (Some(7), Some(7)));
    }
    for minus in [
        Value::from(-7_i8),
        (-7_i16).into(),
        (-7_i32).into(),
        (-7_i64).into(),
    ] {
        assert_eq!((minus.as_u64(), minus.as_i64()), (None, Some(-7)));
    }
    assert_eq!(Value::from(u64::MAX).as_i64(), None);
    assert_eq!(Value::from(u64::MAX).as_u64(), Some(u64::MAX));
    assert_eq!(Value::from(f64::NAN), Value::from(f64::NAN));
    assert_ne!(Value::from(7_u8), Value::from(7_u16));
    let map = Map::from_iter([
        (Value::symbol("a"), Value::from(1_i32)),
        ("b".into(), 2.into()),
    ]);
    assert_eq!(
        (map.get("a"), map.get("b"), map.get("c")),
        (Some(&1.into()), Some(&2.into()), None)
    );
}
