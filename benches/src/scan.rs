//! Messages: where their sections are, and the router's annotations on them.
//!
//! Owns three messages: a plain one, one that has passed a router, one in two chunks. It never
//! reads a body. Decision: scanning and rewriting are apart, since most messages are only scanned.

use std::hint::black_box;

use amqp_codec::message::{self, Depth, MessageBuilder, RouterAnnotations, UserEntries};
use amqp_codec::{Map, Value};
use bytes::{Bytes, BytesMut};

use crate::workload::{Unit, Workload};

/// What is scanned and rewritten.
pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        Workload::new("scan.plain", || {
            scan(vec![plain()], Depth::MessageAnnotations)
        }),
        Workload::new("scan.properties", || {
            scan(vec![annotated()], Depth::Properties)
        }),
        Workload::new("scan.two_chunks", two_chunks),
        Workload::new("scan.to_address", to_address),
        Workload::new("scan.split_annotations", split),
        Workload::new("scan.compose_annotations", compose),
    ]
}

fn scan(chunks: Vec<Bytes>, depth: Depth) -> Unit {
    Box::new(move || {
        let sections =
            message::scan(black_box(&chunks), depth).expect("the message is well formed");
        u64::from(black_box(sections).rest) + 1
    })
}

fn two_chunks() -> Unit {
    let mut first = annotated();
    let second = first.split_off(first.len() / 3);
    scan(vec![first, second], Depth::Properties)
}

fn to_address() -> Unit {
    let chunks = vec![annotated()];
    Box::new(move || {
        let sections = message::scan(black_box(&chunks), Depth::Properties).expect("well formed");
        let to = message::to_address(&chunks, &sections).expect("well formed");
        black_box(to).map_or(0, |to| to.len() as u64)
    })
}

fn split() -> Unit {
    let section = annotations();
    Box::new(move || {
        let split = message::split(black_box(&section), true).expect("composed by the same code");
        u64::from(black_box(split).user.count)
    })
}

fn compose() -> Unit {
    let section = annotations();
    let mut out = BytesMut::with_capacity(512);
    Box::new(move || {
        let split = message::split(&section, true).expect("composed by the same code");
        out.clear();
        message::compose(split.user, &split.router, Some("0/hub-2"), &mut out);
        black_box(out.len()) as u64
    })
}

/// A header-less message of 100 bytes of data, the usual load.
fn plain() -> Bytes {
    MessageBuilder::new()
        .data(Bytes::from_static(&[b'x'; 100]))
        .build()
}

/// A message with properties that has entered a network of routers.
fn annotated() -> Bytes {
    let mut user = Map::default();
    user.push(Value::symbol("x-opt-priority-class"), Value::from("bulk"));
    let properties = message::Properties {
        to: Some("shop/orders".into()),
        subject: Some("order".into()),
        reply_to: Some("temp.client-17".into()),
        ..message::Properties::default()
    };
    let builder = MessageBuilder::new()
        .message_annotations(user)
        .properties(properties);
    builder.data(Bytes::from_static(&[b'x'; 100])).build()
}

/// A section with an entry of the sender's and all of the router's.
fn annotations() -> Bytes {
    let mut entry = BytesMut::new();
    Value::symbol("x-opt-priority-class").encode(&mut entry);
    Value::from("bulk").encode(&mut entry);
    let router = RouterAnnotations {
        to: Some("shop/orders".into()),
        ..RouterAnnotations::default()
    };
    let mut out = BytesMut::new();
    message::compose(
        UserEntries {
            bytes: &entry,
            count: 2,
        },
        &router,
        Some("0/hub-1"),
        &mut out,
    );
    out.freeze()
}
