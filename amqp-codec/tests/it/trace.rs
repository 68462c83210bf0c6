//! Frames as people and tests read them.

use crate::{encoded, hex};
use amqp_codec::*;
use bytes::Bytes;

fn properties(entries: &[(&'static str, Value)]) -> Option<Encoded> {
    let map: Map = entries
        .iter()
        .map(|(key, value)| (Value::symbol(key), value.clone()))
        .collect();
    Some(Encoded::from_value(&map.into()))
}

#[track_caller]
fn shows(performative: impl FnOnce(&mut bytes::BytesMut), lines: &str) {
    let line = lines
        .lines()
        .map(str::trim_start)
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(describe_performative(&encoded(performative)), line);
}

#[test]
fn opens_look_as_the_incumbents_do() {
    let open = Open {
        container_id: "INT.D".into(),
        hostname: Some("127.0.0.1".into()),
        max_frame_size: 16384,
        channel_max: 10,
        idle_time_out: Some(4000),
        offered_capabilities: vec!["ANONYMOUS-RELAY".into(), "qd.streaming-links".into()],
        desired_capabilities: vec!["one".into()],
        properties: properties(&[
            ("product", "qpid".into()),
            ("qd.conn-id", 1.into()),
            ("u", 7_u32.into()),
            ("f", 1.5_f64.into()),
            ("b", Bytes::from_static(b"a\"\0\\b").into()),
            (
                "l",
                vec![
                    1_i64.into(),
                    "x\"\\y\u{1}é".into(),
                    Value::Null,
                    true.into(),
                ]
                .into(),
            ),
            (
                "uu",
                Value::Uuid(0x1122_3344_5566_7788_99aa_bbcc_ddee_ff00_u128.to_be_bytes()),
            ),
            ("ts", Value::Timestamp(100_500)),
            (
                "d",
                Value::Described(Box::new((Value::symbol("foo:bar"), "v".into()))),
            ),
            (
                "d3",
                Value::Described(Box::new((
                    5_u64.into(),
                    Map::from_iter([("k", "v")]).into(),
                ))),
            ),
            ("a:b", Map::new().into()),
            (
                "arr",
                Array::new(0x71, vec![1.into(), 2.into()]).unwrap().into(),
            ),
            ("one", 1.0_f64.into()),
            ("_x", Value::from(-5_i64)),
            ("", 1e300_f64.into()),
            ("a-", 9_u8.into()),
        ]),
        ..Open::default()
    };
    shows(
        |out| open.encode(out),
        r#"@open(16) [container-id="INT.D", hostname="127.0.0.1", max-frame-size=0x4000,
           channel-max=0xa, idle-time-out=0xfa0,
           offered-capabilities=@<symbol>[:ANONYMOUS-RELAY, :"qd.streaming-links"],
           desired-capabilities=:one, properties={:product="qpid", :"qd.conn-id"=1, :u=0x7,
           :f=1.5, :b=b"a\x22\x00\x5cb", :l=[1, "x\x22\x5cy\x01\xc3\xa9", null, true],
           :uu=UUID(11223344-5566-7788-99aa-bbccddeeff00), :ts=100500, :d=@:"foo:bar" "v",
           :d3=@5 {"k"="v"}, :"a:b"={}, :arr=@<int>[1, 2], :one=1, :"_x"=-5, :""=1e300,
           :a-=0x9}]"#,
    );
}

#[test]
fn links_and_their_ends_look_as_the_incumbents_do() {
    let begin = Begin {
        incoming_window: 0x7fff_ffff,
        outgoing_window: 5,
        ..Begin::default()
    };
    shows(
        |out| begin.encode(out),
        "@begin(17) [next-outgoing-id=0x0, incoming-window=0x7fffffff, outgoing-window=0x5]",
    );
    let filter = Value::Described(Box::new((Value::symbol("x:y"), "a=1".into())));
    let attach = Attach {
        name: "my link".into(),
        source: Some(Source {
            address: Some("src".into()),
            filter: properties(&[("selector", filter)]),
            outcomes: vec!["amqp:accepted:list".into(), "x".into()],
            ..Source::default()
        }),
        target: Some(
            Target {
                address: Some("q.a".into()),
                capabilities: vec!["queue".into()],
                ..Target::default()
            }
            .into(),
        ),
        initial_delivery_count: Some(0),
        max_message_size: Some(0),
        ..Attach::default()
    };
    shows(
        |out| attach.encode(out),
        r#"@attach(18) [name="my link", handle=0x0, role=false, snd-settle-mode=0x2,
           rcv-settle-mode=0x0, source=@source(40) [address="src", durable=0x0, timeout=0x0,
           dynamic=false, filter={:selector=@:"x:y" "a=1"},
           outcomes=@<symbol>[:"amqp:accepted:list", :x]], target=@target(41) [address="q.a",
           durable=0x0, timeout=0x0, dynamic=false, capabilities=:queue],
           initial-delivery-count=0x0, max-message-size=0x0]"#,
    );
    let error = AmqpError::new("amqp:not-found", "gone \"x\"");
    let detach = Detach {
        handle: 0,
        closed: true,
        error: Some(Box::new(error)),
    };
    shows(
        |out| detach.encode(out),
        r#"@detach(22) [handle=0x0, closed=true, error=@error(29) [condition=:"amqp:not-found",
           description="gone \x22x\x22"]]"#,
    );
    shows(|out| End::default().encode(out), "@end(23) []");
    shows(|out| Close::default().encode(out), "@close(24) []");
}

#[test]
fn deliveries_look_as_the_incumbents_do() {
    let flow = Flow {
        next_incoming_id: Some(0),
        incoming_window: 1,
        handle: Some(0),
        delivery_count: Some(0),
        link_credit: Some(250),
        ..Flow::default()
    };
    shows(
        |out| flow.encode(out),
        "@flow(19) [next-incoming-id=0x0, incoming-window=0x1, next-outgoing-id=0x0, \
         outgoing-window=0x0, handle=0x0, delivery-count=0x0, link-credit=0xfa]",
    );
    let transfer = Transfer {
        delivery_id: Some(0),
        delivery_tag: DeliveryTag::new(b"\0"),
        message_format: Some(0),
        ..Transfer::default()
    };
    let text =
        "@transfer(20) [handle=0x0, delivery-id=0x0, delivery-tag=b\"\\x00\", message-format=0x0]";
    shows(|out| transfer.encode(out), text);
    let body = encoded(|out| {
        transfer.encode(out);
        out.extend_from_slice(b"\0SuA\x01x");
    });
    assert_eq!(
        describe_performative(&body),
        text,
        "the payload is the caller's"
    );
    assert_eq!(
        describe_frame(&body, 64),
        format!("{text} (6) \\x00SuA\\x01x")
    );
    assert_eq!(describe_frame(&body, 3), format!("{text} (6) \\x00Su..."));
    let info = properties(&[("k", 3_u32.into())]);
    let error = AmqpError {
        condition: "amqp:foo".into(),
        description: Some("d".into()),
        info,
    };
    let disposition = Disposition {
        role: Role::Receiver,
        settled: true,
        state: Some(DeliveryState::Rejected(Some(Box::new(error)))),
        ..Disposition::default()
    };
    shows(
        |out| disposition.encode(out),
        r#"@disposition(21) [role=true, first=0x0, settled=true, state=@rejected(37)
           [error=@error(29) [condition=:"amqp:foo", description="d", info={:k=0x3}]]]"#,
    );
    let accepted = Disposition {
        state: Some(DeliveryState::Accepted),
        ..Disposition::default()
    };
    shows(
        |out| accepted.encode(out),
        "@disposition(21) [role=false, first=0x0, state=@accepted(36) []]",
    );
}

#[test]
fn numbers_outside_frames_are_decimal() {
    let value = Value::List(vec![
        7_u32.into(),
        7_u64.into(),
        Value::symbol("a b"),
        1e-7_f64.into(),
    ]);
    assert_eq!(value.to_string(), r#"[7, 7, :"a b", 1e-7]"#);
    let map = Map::from_iter([
        ("k", Value::from(Bytes::from_static(b"b"))),
        ("c", 'x'.into()),
    ]);
    assert_eq!(map.to_string(), r#"{"k"=b"b", "c"=x}"#);
}

#[test]
fn unknown_things_are_shown_too() {
    assert_eq!(
        describe_performative(&hex("005319 c0{02 5207 a10161}")),
        r#"@25 [0x7, "a"]"#
    );
    assert_eq!(
        describe_performative(&hex("005317 c0{02 40 5207}")),
        "@end(23) [0x7]"
    );
    assert_eq!(
        describe_performative(&hex("0053 10 c0ff")),
        r"<bytes end too early at byte 5> \x00S\x10\xc0\xff"
    );
}
