//! Bytes written down from the standard, and what they mean.

use crate::{encoded, hex};
use amqp_codec::*;
use bytes::Bytes;

/// Each scalar type with its smallest encoding (amqp-1.0 §1.6).
fn scalars() -> Vec<(&'static str, Value)> {
    let symbol = Value::symbol;
    vec![
        ("40", Value::Null),
        ("41", true.into()),
        ("42", false.into()),
        ("5009", 9_u8.into()),
        ("600009", 9_u16.into()),
        ("43", 0_u32.into()),
        ("5207", 7_u32.into()),
        ("700000012c", 300_u32.into()),
        ("44", 0_u64.into()),
        ("53ff", 255_u64.into()),
        ("800000000000000100", 256_u64.into()),
        ("51fd", (-3_i8).into()),
        ("61fffd", (-3_i16).into()),
        ("54fb", (-5_i32).into()),
        ("71000000c8", 200_i32.into()),
        ("71ffffff7f", (-129_i32).into()),
        ("55fb", (-5_i64).into()),
        ("810000010000000000", (1_i64 << 40).into()),
        ("723fc00000", 1.5_f32.into()),
        ("823ff8000000000000", 1.5_f64.into()),
        ("7401020304", Value::Decimal32([1, 2, 3, 4])),
        (
            "840102030405060708",
            Value::Decimal64([1, 2, 3, 4, 5, 6, 7, 8]),
        ),
        (
            "9400000000000000000000000000000005",
            Value::Decimal128(std::array::from_fn(|i| if i == 15 { 5 } else { 0 })),
        ),
        ("73000000e9", 'é'.into()),
        ("830000000000018894", Value::Timestamp(100_500)),
        (
            "9800000000000000000000000000000001",
            Value::Uuid(1_u128.to_be_bytes()),
        ),
        ("a0026162", Bytes::from_static(b"ab").into()),
        ("a102c3a9", "é".into()),
        ("a303616263", symbol("abc")),
    ]
}

/// Compounds and arrays with their smallest encoding.
fn compounds() -> Vec<(&'static str, Value)> {
    let symbol = Value::symbol;
    vec![
        ("45", Value::List(vec![])),
        (
            "c006025501a10161",
            Value::List(vec![1_i64.into(), "a".into()]),
        ),
        ("c10100", Map::new().into()),
        (
            "c10602a301615501",
            Map::from_iter([(symbol("a"), 1_i64)]).into(),
        ),
        (
            "e0{02 a3 0161 026263}",
            Array::of_symbols(["a".into(), "bc".into()]).into(),
        ),
        ("e0020071", Array::new(0x71, vec![]).unwrap().into()),
        (
            "e00a02710000000100000002",
            Array::new(0x71, vec![1.into(), 2.into()]).unwrap().into(),
        ),
        (
            "e0{02 54 01ff}",
            Array::new(0x54, vec![1.into(), (-1).into()])
                .unwrap()
                .into(),
        ),
        (
            "e0{03 41}",
            Array::new(0x41, vec![true.into(), true.into(), true.into()])
                .unwrap()
                .into(),
        ),
        (
            "e0{02 56 0100}",
            Array::new(0x56, vec![true.into(), false.into()])
                .unwrap()
                .into(),
        ),
        (
            "e0{01 00a30164 71 00000001}",
            Array::described(vec![symbol("d")], 0x71, vec![1.into()])
                .unwrap()
                .into(),
        ),
        (
            "e0{02 c0 {01 40} {00}}",
            Array::new(
                0xc0,
                vec![Value::List(vec![Value::Null]), Value::List(vec![])],
            )
            .unwrap()
            .into(),
        ),
        (
            "e0{01 f0 0000000500000000 71}",
            Array::new(0xf0, vec![Array::new(0x71, vec![]).unwrap().into()])
                .unwrap()
                .into(),
        ),
    ]
}

/// Described values, descriptors of descriptors among them.
fn described() -> Vec<(&'static str, Value)> {
    vec![
        (
            "005305a10176",
            Value::Described(Box::new((5_u64.into(), "v".into()))),
        ),
        (
            "00a1015500a1015600a10157 41",
            Value::Described(Box::new((
                "U".into(),
                Value::Described(Box::new((
                    "V".into(),
                    Value::Described(Box::new(("W".into(), true.into()))),
                ))),
            ))),
        ),
    ]
}

#[test]
fn each_type_has_its_smallest_encoding() {
    for (bytes, value) in scalars().into_iter().chain(compounds()).chain(described()) {
        let bytes = hex(bytes);
        assert_eq!(encoded(|out| value.encode(out)), bytes, "{value}");
        let read = Value::decode(&bytes);
        assert_eq!(read, Ok((value.clone(), bytes.len())), "{value}");
        assert_eq!(Encoded::from_value(&value).value(), Ok(value));
    }
}

#[test]
fn wide_encodings_mean_the_same() {
    let wide = [
        ("5601", Value::Bool(true)),
        ("5600", Value::Bool(false)),
        ("7000000007", 7_u32.into()),
        ("5200", 0_u32.into()),
        ("800000000000000007", 7_u64.into()),
        ("71fffffffb", (-5_i32).into()),
        ("81fffffffffffffffb", (-5_i64).into()),
        ("b0000000026162", Bytes::from_static(b"ab").into()),
        ("b100000002c3a9", "é".into()),
        ("b300000003616263", Value::symbol("abc")),
        ("c00100", Value::List(vec![])),
        ("d00000000400000000", Value::List(vec![])),
        (
            "d00000000a000000035501a1016140",
            Value::List(vec![1_i64.into(), "a".into(), Value::Null]),
        ),
        (
            "d10000000900000002a301615501",
            Map::from_iter([(Value::symbol("a"), 1_i64)]).into(),
        ),
        (
            "f0000000050000000071",
            Array::new(0x71, vec![]).unwrap().into(),
        ),
    ];
    for (bytes, value) in wide {
        let bytes = hex(bytes);
        assert_eq!(Value::decode(&bytes), Ok((value, bytes.len())));
    }
}

#[test]
fn what_outgrows_a_narrow_compound_takes_a_wide_one() {
    for length in [250, 251, 252, 253, 254, 255, 256, 300, 70_000] {
        let list = Value::List(vec![Value::String("x".repeat(length).into())]);
        let bytes = encoded(|out| list.encode(out));
        assert_eq!(
            bytes[0],
            if length <= 252 { 0xc0 } else { 0xd0 },
            "{length}"
        );
        assert_eq!(Value::decode(&bytes), Ok((list, bytes.len())), "{length}");
    }
    let many = Value::List(vec![Value::Null; 256]);
    let bytes = encoded(|out| many.encode(out));
    assert_eq!(bytes[..9], hex("d0 00000104 00000100"));
    assert_eq!(Value::decode(&bytes), Ok((many, bytes.len())));
    let inner = Value::List(vec!["x".repeat(300).into()]);
    let array = Value::Array(Array::new(0xc0, vec![inner.clone()]).unwrap());
    let bytes = encoded(|out| array.encode(out));
    let widened = Value::Array(Array::new(0xd0, vec![inner]).unwrap());
    assert_eq!(Value::decode(&bytes), Ok((widened, bytes.len())));
}

#[test]
fn an_array_refuses_elements_of_another_type() {
    assert_eq!(Array::new(0x71, vec![1_i32.into(), 1_u32.into()]), None);
    assert_eq!(Array::new(0x54, vec![200_i32.into()]), None);
    assert_eq!(
        Array::new(0xa3, vec![Value::Symbol(Symbol::copy(&"s".repeat(256)))]),
        None
    );
    assert_eq!(Array::new(0x41, vec![false.into()]), None);
    assert_eq!(Array::new(0x3f, vec![]), None);
    assert_eq!(
        Array::of_symbols([Symbol::copy(&"s".repeat(256))]).code(),
        0xb3
    );
}

#[track_caller]
fn both_ways(bytes: &str, performative: &Performative) {
    let bytes = hex(bytes);
    let mut body = Bytes::from([&bytes[..], b"payload"].concat());
    assert_eq!(Performative::decode(&mut body).as_ref(), Ok(performative));
    assert_eq!(body, "payload", "the payload is left");
    assert_eq!(
        encoded(|out| performative.encode(out)),
        bytes,
        "{performative:?}"
    );
}

#[test]
fn open_and_close_look_as_the_standard_says() {
    //= amqp-1.0 §2.7.1, §2.7.9
    let open = Open {
        container_id: "A".into(),
        hostname: Some("h".into()),
        max_frame_size: 16384,
        channel_max: 10,
        idle_time_out: Some(8000),
        outgoing_locales: vec![],
        incoming_locales: vec![],
        offered_capabilities: vec!["a".into(), "bc".into()],
        desired_capabilities: vec!["one".into()],
        properties: Some(Encoded::from_bytes(hex("c10602a301615401")).unwrap()),
    };
    both_ways(
        "005310 c0{0a a10141 a10168 7000004000 60000a 7000001f40 40 40
         e0{02 a3 0161 026263} a3036f6e65 c10602a301615401}",
        &Performative::Open(Box::new(open)),
    );
    let bare = Open {
        container_id: "A".into(),
        ..Open::default()
    };
    assert_eq!(
        (bare.max_frame_size, bare.channel_max),
        (u32::MAX, u16::MAX)
    );
    both_ways("005310 c0{01a10141}", &Performative::Open(Box::new(bare)));
    both_ways("005318 45", &Performative::Close(Close::default()));
    let error = AmqpError {
        condition: "x:y".into(),
        description: None,
        info: None,
    };
    both_ways(
        "005318 c0{01 00531d c0{01 a303783a79}}",
        &Performative::Close(Close {
            error: Some(Box::new(error)),
        }),
    );
}

#[test]
fn begin_and_end_look_as_the_standard_says() {
    //= amqp-1.0 §2.7.2, §2.7.8
    let begin = Begin {
        remote_channel: Some(3),
        next_outgoing_id: 0,
        incoming_window: 0x7fff_ffff,
        outgoing_window: 5,
        handle_max: 63,
        ..Begin::default()
    };
    both_ways(
        "005311 c0{05 600003 43 707fffffff 5205 523f}",
        &Performative::Begin(Box::new(begin)),
    );
    let bare = Begin {
        incoming_window: 1,
        outgoing_window: 1,
        ..Begin::default()
    };
    assert_eq!(bare.handle_max, u32::MAX);
    both_ways(
        "005311 c0{04 40 43 5201 5201}",
        &Performative::Begin(Box::new(bare)),
    );
    both_ways("005317 45", &Performative::End(End::default()));
}

#[test]
fn attach_and_detach_look_as_the_standard_says() {
    //= amqp-1.0 §2.7.3, §2.7.7, §3.5.3, §3.5.4
    let attach = Attach {
        name: "l".into(),
        handle: 1,
        role: Role::Sender,
        source: Some(Source {
            address: Some("s".into()),
            ..Source::default()
        }),
        target: Some(
            Target {
                address: Some("t".into()),
                capabilities: vec!["queue".into()],
                ..Target::default()
            }
            .into(),
        ),
        initial_delivery_count: Some(0),
        max_message_size: Some(0),
        ..Attach::default()
    };
    assert_eq!(attach.snd_settle_mode, SenderSettleMode::Mixed);
    assert_eq!(attach.rcv_settle_mode, ReceiverSettleMode::First);
    both_ways(
        "005312 c0{0b a1016c 5201 42 5002 5000
         005328 c0{05 a10173 43 40 43 42}
         005329 c0{07 a10174 43 40 43 42 40 a3057175657565}
         40 40 43 44}",
        &Performative::Attach(Box::new(attach)),
    );
    let control = Attach {
        name: "c".into(),
        role: Role::Receiver,
        target: Some(TargetArchetype::Coordinator(Coordinator {
            capabilities: vec!["amqp:local-transactions".into()],
        })),
        ..Attach::default()
    };
    both_ways(
        "005312 c0{07 a10163 43 41 5002 5000 40
         005330 c0{01 a317616d71703a6c6f63616c2d7472616e73616374696f6e73}}",
        &Performative::Attach(Box::new(control)),
    );
    both_ways(
        "005316 c0{02 43 41}",
        &Performative::Detach(Detach {
            handle: 0,
            closed: true,
            error: None,
        }),
    );
    both_ways(
        "005316 c0{01 5207}",
        &Performative::Detach(Detach {
            handle: 7,
            ..Detach::default()
        }),
    );
}

#[test]
fn flow_looks_as_the_standard_says() {
    //= amqp-1.0 §2.7.4
    let mut flow = Flow {
        next_incoming_id: Some(0),
        incoming_window: 0x7fff_ffff,
        next_outgoing_id: 1,
        outgoing_window: 256,
        handle: Some(0),
        delivery_count: Some(3),
        link_credit: Some(250),
        available: None,
        drain: true,
        echo: false,
        properties: None,
    };
    both_ways(
        "005313 c0{09 43 707fffffff 5201 7000000100 43 5203 52fa 40 41}",
        &Performative::Flow(flow.clone()),
    );
    flow.properties = Some(Encoded::from_bytes(hex("c10100")).unwrap());
    both_ways(
        "005313 c0{0b 43 707fffffff 5201 7000000100 43 5203 52fa 40 41 40 c10100}",
        &Performative::Flow(flow),
    );
    let session = Flow {
        incoming_window: 1,
        next_outgoing_id: 2,
        outgoing_window: 3,
        ..Flow::default()
    };
    both_ways(
        "005313 c0{04 40 5201 5202 5203}",
        &Performative::Flow(session),
    );
}

#[test]
fn transfer_looks_as_the_standard_says() {
    //= amqp-1.0 §2.7.5
    let transfer = Transfer {
        handle: 0,
        delivery_id: Some(1),
        delivery_tag: DeliveryTag::new(b"tag2"),
        message_format: Some(0),
        ..Transfer::default()
    };
    both_ways(
        "005314 c0{04 43 5201 a00474616732 43}",
        &Performative::Transfer(transfer),
    );
    let everything = Transfer {
        handle: 70_000,
        delivery_id: Some(u32::MAX),
        delivery_tag: DeliveryTag::new(&[7; 32]),
        message_format: Some(0x8013_3701),
        settled: Some(false),
        more: true,
        rcv_settle_mode: Some(ReceiverSettleMode::Second),
        state: Some(DeliveryState::Released),
        resume: true,
        aborted: true,
        batchable: true,
    };
    let tag = "07".repeat(32);
    both_ways(
        &format!(
            "005314 c0{{0b 7000011170 70ffffffff a020{tag} 7080133701
             42 41 5001 00532645 41 41 41}}"
        ),
        &Performative::Transfer(everything),
    );
    both_ways(
        "005314 c0{01 43}",
        &Performative::Transfer(Transfer::default()),
    );
    let aborted = Transfer {
        settled: Some(true),
        aborted: true,
        ..Transfer::default()
    };
    both_ways(
        "005314 c0{0a 43 40 40 40 41 40 40 40 40 41}",
        &Performative::Transfer(aborted),
    );
}

#[test]
fn disposition_and_states_look_as_the_standard_says() {
    //= amqp-1.0 §2.7.6, §3.4, §4.5.5, §4.5.8
    let with = |state| {
        Performative::Disposition(Disposition {
            role: Role::Receiver,
            first: 2,
            last: Some(300),
            settled: true,
            state,
            ..Disposition::default()
        })
    };
    both_ways("005315 c0{04 41 5202 700000012c 41}", &with(None));
    both_ways(
        "005315 c0{05 41 5202 700000012c 41 00532445}",
        &with(Some(DeliveryState::Accepted)),
    );
    both_ways(
        "005315 c0{05 41 5202 700000012c 41 00532645}",
        &with(Some(DeliveryState::Released)),
    );
    both_ways(
        "005315 c0{05 41 5202 700000012c 41 00532545}",
        &with(Some(DeliveryState::Rejected(None))),
    );
    let received = DeliveryState::Received {
        section_number: 1,
        section_offset: 256,
    };
    both_ways(
        "005315 c0{05 41 5202 700000012c 41 005323 c0{02 5201 800000000000000100}}",
        &with(Some(received)),
    );
    let error = AmqpError::new("amqp:foo", "desc");
    both_ways(
        "005315 c0{05 41 5202 700000012c 41
         005325 c0{01 00531d c0{02 a308616d71703a666f6f a10464657363}}}",
        &with(Some(DeliveryState::Rejected(Some(Box::new(error))))),
    );
    let modified = Modified {
        delivery_failed: true,
        undeliverable_here: false,
        message_annotations: Some(Encoded::from_bytes(hex("c10602a301785501")).unwrap()),
    };
    both_ways(
        "005315 c0{05 41 5202 700000012c 41 005327 c0{03 41 40 c10602a301785501}}",
        &with(Some(DeliveryState::Modified(Box::new(modified)))),
    );
    let declared = DeliveryState::Declared(Bytes::from_static(b"tx"));
    both_ways(
        "005315 c0{05 41 5202 700000012c 41 005333 c0{01 a0027478}}",
        &with(Some(declared)),
    );
    let transactional = Encoded::from_bytes(hex("005334 c0{02 a0027478 005324 45}")).unwrap();
    both_ways(
        "005315 c0{05 41 5202 700000012c 41 005334 c0{02 a0027478 005324 45}}",
        &with(Some(DeliveryState::Transactional(transactional))),
    );
    let other = Encoded::from_bytes(hex("00a303782d79 5207")).unwrap();
    both_ways(
        "005315 c0{05 41 5202 700000012c 41 00a303782d79 5207}",
        &with(Some(DeliveryState::Other(other))),
    );
    let one = Disposition {
        first: 5,
        ..Disposition::default()
    };
    both_ways("005315 c0{02 42 5205}", &Performative::Disposition(one));
}

#[test]
fn outcomes_are_terminal_and_received_is_not() {
    assert!(DeliveryState::Accepted.is_terminal());
    assert!(DeliveryState::Modified(Box::default()).is_terminal());
    assert!(
        !DeliveryState::Received {
            section_number: 0,
            section_offset: 0
        }
        .is_terminal()
    );
}

#[test]
fn descriptors_may_be_long_or_symbolic() {
    //= amqp-1.0 §1.3
    let accepted = Performative::Transfer(Transfer {
        state: Some(DeliveryState::Accepted),
        ..Transfer::default()
    });
    for state in [
        "00532445",
        "0080000000000000002445",
        "00a312616d71703a61636365707465643a6c69737445",
        "005324c00100",
        "005324d00000000400000000",
    ] {
        for descriptor in [
            "005314",
            "00800000000000000014",
            "00a312616d71703a7472616e736665723a6c697374",
        ] {
            let fields = hex(&format!("43 40 40 40 40 40 40 {state}"));
            let size = u8::try_from(fields.len() + 1).unwrap();
            let mut body = Bytes::from([&hex(descriptor), &[0xc0, size, 8][..], &fields].concat());
            assert_eq!(
                Performative::decode(&mut body).as_ref(),
                Ok(&accepted),
                "{descriptor} {state}"
            );
            assert!(body.is_empty());
        }
    }
}

#[test]
fn one_symbol_alone_or_in_an_array_are_the_same() {
    //= amqp-1.0 §1.4
    for capabilities in [
        "a3036f6e65",
        "e0{01 a3 036f6e65}",
        "f00000000c00000001b3000000036f6e65",
    ] {
        let fields = hex(&format!("a10141 40 40 40 40 40 40 {capabilities}"));
        let size = u8::try_from(fields.len() + 1).unwrap();
        let mut body = Bytes::from([&hex("005310")[..], &[0xc0, size, 8], &fields].concat());
        let Ok(Performative::Open(open)) = Performative::decode(&mut body) else {
            panic!("{capabilities}")
        };
        assert_eq!(open.offered_capabilities, [Symbol::from("one")]);
    }
}

#[test]
fn fields_of_a_later_version_are_skipped() {
    let mut body = hex("005318 c0{03 40 c0{01 41} 41}");
    assert_eq!(
        Performative::decode(&mut body),
        Ok(Performative::Close(Close::default()))
    );
    let mut body = hex("005315 c0{07 41 43 40 41 40 40 5201}");
    let read = Performative::decode(&mut body);
    assert!(matches!(
        read,
        Ok(Performative::Disposition(Disposition { settled: true, .. }))
    ));
    assert!(body.is_empty());
}

#[test]
fn sasl_frames_look_as_the_standard_says() {
    //= amqp-1.0 §5.3.3
    let frames = [
        ("005340 c0{01 e0{00a3}}", SaslFrame::Mechanisms(vec![])),
        (
            "005340 c0{01 e0{01 a3 09414e4f4e594d4f5553}}",
            SaslFrame::Mechanisms(vec!["ANONYMOUS".into()]),
        ),
        (
            "005341 c0{03 a305504c41494e a004006d6579 a10168}",
            SaslFrame::Init {
                mechanism: "PLAIN".into(),
                initial_response: Some(Bytes::from_static(b"\0mey")),
                hostname: Some("h".into()),
            },
        ),
        (
            "005341 c0{01 a30745585445524e41}",
            SaslFrame::Init {
                mechanism: "EXTERNA".into(),
                initial_response: None,
                hostname: None,
            },
        ),
        ("005342 c0{01 a000}", SaslFrame::Challenge(Bytes::new())),
        (
            "005343 c0{01 a00172}",
            SaslFrame::Response(Bytes::from_static(b"r")),
        ),
        (
            "005344 c0{01 5001}",
            SaslFrame::Outcome {
                code: SaslCode::Auth,
                additional_data: None,
            },
        ),
        (
            "005344 c0{02 5000 a00176}",
            SaslFrame::Outcome {
                code: SaslCode::Ok,
                additional_data: Some(Bytes::from_static(b"v")),
            },
        ),
    ];
    for (bytes, frame) in frames {
        let mut body = hex(bytes);
        assert_eq!(encoded(|out| frame.encode(out)), body, "{frame:?}");
        assert_eq!(SaslFrame::decode(&mut body), Ok(frame));
        assert!(body.is_empty());
    }
    let mut bare = hex("005340 c0{01 a304504c4149}");
    assert_eq!(
        SaslFrame::decode(&mut bare),
        Ok(SaslFrame::Mechanisms(vec!["PLAI".into()]))
    );
}

#[test]
fn credentials_are_not_shown() {
    let init = SaslFrame::Init {
        mechanism: "PLAIN".into(),
        initial_response: Some(Bytes::from_static(b"\0user\0secret")),
        hostname: None,
    };
    assert!(!format!("{init:?}").contains("secret"));
    assert!(!describe_performative(&encoded(|out| init.encode(out))).contains("secret"));
    let response = SaslFrame::Response(Bytes::from_static(b"secret"));
    assert!(!format!("{response:?}").contains("secret"));
    assert!(!describe_performative(&encoded(|out| response.encode(out))).contains("secret"));
}

#[test]
fn frames_and_protocol_headers_look_as_the_standard_says() {
    //= amqp-1.0 §2.2, §2.3.1
    let mut out = bytes::BytesMut::from(&b"before"[..]);
    let mark = begin_frame(&mut out, FrameType::Amqp, 0x0102);
    Performative::Close(Close::default()).encode(&mut out);
    end_frame(&mut out, mark, 100);
    assert_eq!(out[6..], hex("00000070 02 00 0102 005318 45"));
    let header = FrameHeader::parse(&out[6..], 512).unwrap();
    assert_eq!(
        (header.size, header.channel, header.frame_type),
        (112, 0x0102, FrameType::Amqp)
    );
    assert_eq!((header.body_offset(), header.body_length()), (8, 104));
    let extended = FrameHeader::parse(&hex("00000010 03 01 0000"), 512).unwrap();
    assert_eq!(
        (
            extended.frame_type,
            extended.body_offset(),
            extended.body_length()
        ),
        (FrameType::Sasl, 12, 4)
    );
    assert_eq!(
        ProtocolHeader::parse(b"AMQP\0\x01\0\0"),
        Some(ProtocolHeader::Amqp)
    );
    assert_eq!(
        ProtocolHeader::parse(b"AMQP\x02\x01\0\0"),
        Some(ProtocolHeader::Tls)
    );
    assert_eq!(
        ProtocolHeader::parse(b"AMQP\x03\x01\0\0"),
        Some(ProtocolHeader::Sasl)
    );
    assert_eq!(ProtocolHeader::parse(b"AMQP\0\0\x09\x01"), None);
    assert_eq!(ProtocolHeader::parse(b"GET / HT"), None);
}
