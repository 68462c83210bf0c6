//! Performatives and values, there and back.
//!
//! Owns the inputs: what a client on a busy link sends, and what an attach or a query looks like.
//! It never goes through a connection. Decision: each unit decodes or encodes one thing, so that a
//! count in the table is the price of that thing.

use std::hint::black_box;

use amqp_codec::{
    Attach, DeliveryState, DeliveryTag, Disposition, Flow, Map, Open, Performative, Role, Source,
    Target, TargetArchetype, Transfer, Value,
};
use bytes::{Bytes, BytesMut};

use crate::workload::{Unit, Workload};

/// What is decoded and encoded.
pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        Workload::new("codec.decode_transfer", || decode(&transfer())),
        Workload::new("codec.decode_flow", || decode(&flow())),
        Workload::new("codec.decode_disposition", || decode(&disposition())),
        Workload::new("codec.decode_attach", || decode(&attach())),
        Workload::new("codec.decode_value", decode_value),
        Workload::new("codec.encode_transfer", || encode(transfer())),
        Workload::new("codec.encode_flow", || encode(flow())),
        Workload::new("codec.encode_disposition", || encode(disposition())),
        Workload::new("codec.encode_attach", || encode(attach())),
        Workload::new("codec.encode_open", || encode(open())),
        Workload::new("codec.encode_value", encode_value),
    ]
}

fn decode(performative: &Performative) -> Unit {
    let mut encoded = BytesMut::new();
    performative.encode(&mut encoded);
    let encoded = encoded.freeze();
    Box::new(move || {
        let mut body = black_box(&encoded).clone();
        let decoded = Performative::decode(&mut body).expect("it was encoded by the same codec");
        black_box(&decoded);
        (encoded.len() - body.len()) as u64
    })
}

fn encode(performative: Performative) -> Unit {
    let mut out = BytesMut::with_capacity(1024);
    Box::new(move || {
        out.clear();
        black_box(&performative).encode(&mut out);
        black_box(out.len()) as u64
    })
}

fn decode_value() -> Unit {
    let mut encoded = BytesMut::new();
    row().encode(&mut encoded);
    let encoded = encoded.freeze();
    Box::new(move || {
        let (value, length) = Value::decode(black_box(&encoded)).expect("it was encoded");
        black_box(value);
        length as u64
    })
}

fn encode_value() -> Unit {
    let mut out = BytesMut::with_capacity(1024);
    let row = row();
    Box::new(move || {
        out.clear();
        black_box(&row).encode(&mut out);
        black_box(out.len()) as u64
    })
}

fn transfer() -> Performative {
    Performative::Transfer(Transfer {
        handle: 3,
        delivery_id: Some(70_000),
        delivery_tag: DeliveryTag::new(&[7; 8]),
        message_format: Some(0),
        settled: Some(false),
        ..Transfer::default()
    })
}

fn flow() -> Performative {
    Performative::Flow(Flow {
        next_incoming_id: Some(70_001),
        incoming_window: 128,
        next_outgoing_id: 12,
        outgoing_window: u32::MAX,
        handle: Some(3),
        delivery_count: Some(69_500),
        link_credit: Some(250),
        ..Flow::default()
    })
}

fn disposition() -> Performative {
    Performative::Disposition(Disposition {
        role: Role::Receiver,
        first: 69_900,
        last: Some(69_963),
        settled: true,
        state: Some(DeliveryState::Accepted),
        ..Disposition::default()
    })
}

fn attach() -> Performative {
    Performative::Attach(Box::new(Attach {
        name: "sender-to-orders-1".into(),
        handle: 3,
        role: Role::Sender,
        source: Some(Source {
            address: Some("client-17".into()),
            ..Source::default()
        }),
        target: Some(TargetArchetype::Target(Box::new(Target {
            address: Some("shop/orders".into()),
            capabilities: vec!["queue".into()],
            ..Target::default()
        }))),
        initial_delivery_count: Some(0),
        max_message_size: Some(1 << 20),
        ..Attach::default()
    }))
}

fn open() -> Performative {
    Performative::Open(Box::new(Open {
        container_id: "client-17".into(),
        hostname: Some("router.example.org".into()),
        max_frame_size: 16_384,
        channel_max: 32_767,
        idle_time_out: Some(8_000),
        offered_capabilities: vec!["ANONYMOUS-RELAY".into(), "qd.streaming-links".into()],
        ..Open::default()
    }))
}

/// A row of an answer to a query: the kind of value management moves about.
fn row() -> Value {
    let mut map = Map::default();
    for index in 0..12_u64 {
        map.push(
            Value::from("messagesDeliveredToContainer"),
            Value::from(index << (index * 4)),
        );
    }
    map.push(
        Value::from("capabilities"),
        Value::List(vec![Value::symbol("queue"), Value::Null]),
    );
    map.push(
        Value::from("body"),
        Value::Binary(Bytes::from_static(&[0; 64])),
    );
    Value::Map(map)
}
