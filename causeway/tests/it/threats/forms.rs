//! What clients claim, other forms of the same thing, and anything at all.

use std::fs;
use std::path::Path;

use amqp_codec::message::{MessageBuilder, Properties};
use amqp_codec::{DeliveryState, Map, Performative, ProtocolHeader, Symbol, Value};

use super::peer::{Peer, anonymous, flow_of_link, frame, frame_of, message, open};
use super::scene::Scene;
use crate::harness::{configuration, listening_with};

/// What only routers say, from a client.
fn forged() -> Map {
    let mut annotations = Map::new();
    for (key, value) in [
        ("x-opt-qd.to", Value::from("elsewhere")),
        ("x-opt-qd.ingress", Value::from("0/OTHER")),
        ("x-opt-qd.trace", Value::List(vec![Value::from("0/Tested")])),
        ("x-opt-qd.phase", Value::Int(7)),
    ] {
        annotations.push(Value::Symbol(Symbol::from(key)), value);
    }
    annotations
}

fn annotated(annotations: Map) -> Vec<u8> {
    MessageBuilder::new()
        .message_annotations(annotations)
        .properties(Properties {
            to: Some("claims".into()),
            ..Properties::default()
        })
        .data(&b"body"[..])
        .build()
        .to_vec()
}

#[test]
fn class_14_what_only_routers_say_is_stripped_from_clients() {
    let as_in = listening_with("stripAnnotations: in");
    for (text, strips_all) in [(configuration(""), true), (as_in, false)] {
        let mut scene = Scene::with(&text);
        let mut consumer = Peer::consuming(&scene.router, "claims", 10);
        consumer.consume(1, "elsewhere", 10);
        let mut producer = Peer::producing(&scene.router, "claims");
        producer.produce(1, "");
        for handle in [0, 1] {
            producer.deliver(handle, handle, &annotated(forged()));
            let (id, received) = consumer.message();
            consumer.accept(id);
            let has = |text: &[u8]| received.windows(text.len()).any(|part| part == text);
            assert!(!has(b"OTHER") && !has(b"elsewhere") && !has(b"x-opt-qd.phase"));
            if strips_all {
                assert_eq!(received, annotated(Map::new()));
            } else {
                assert!(has(b"x-opt-qd.ingress") && has(b"0/Tested"));
            }
        }
        producer.vanish();
        consumer.vanish();
        scene.stays_small();
        scene.ends_well();
    }
}

/// A performative in the form in which its encoder would never write it: a list32, its descriptor
/// by name, each number in its widest form.
fn at_length(name: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut body = vec![0x00, 0xb3];
    body.extend_from_slice(&u32::try_from(name.len()).unwrap().to_be_bytes());
    body.extend_from_slice(name.as_bytes());
    let content = fields.concat();
    body.push(0xd0);
    body.extend_from_slice(&u32::try_from(content.len() + 4).unwrap().to_be_bytes());
    body.extend_from_slice(&u32::try_from(fields.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&content);
    body
}

const NULL: &[u8] = &[0x40];
const TRUE: &[u8] = &[0x56, 0x01];
const FALSE: &[u8] = &[0x56, 0x00];

fn uint(number: u32) -> Vec<u8> {
    [&[0x70][..], &number.to_be_bytes()].concat()
}

#[test]
fn class_23_frames_at_length_mean_what_short_ones_mean() {
    let mut scene = Scene::new();
    let mut peer = Peer::consuming(&scene.router, "forms", 0);
    peer.produce(1, "forms");
    let amqp = |body: &[u8]| frame_of(amqp_codec::FrameType::Amqp, 0, body);
    let flow = at_length(
        "amqp:flow:list",
        &[
            &uint(0),
            &uint(1 << 20),
            &uint(0),
            &uint(1 << 20),
            &uint(0),
            &uint(0),
            &uint(5),
            NULL,
            FALSE,
            FALSE,
        ],
    );
    peer.write(&amqp(&flow));
    let tag = [0xb0, 0, 0, 0, 1, b't'];
    for id in 0..3 {
        let transfer = |more: &[u8]| {
            let fields: [&[u8]; 6] = [&uint(1), &uint(id), &tag, &uint(0), FALSE, more];
            at_length("amqp:transfer:list", &fields)
        };
        // In two frames, so that the one that begins and the one that ends are both so.
        let whole = message(100);
        let (first, second) = whole.split_at(50);
        peer.write(&amqp(&[&transfer(TRUE)[..], first].concat()));
        peer.write(&amqp(&[&transfer(FALSE)[..], second].concat()));
        let (received_id, received) = peer.message();
        assert_eq!(received, message(100));
        let disposition = at_length(
            "amqp:disposition:list",
            &[
                TRUE,
                &uint(received_id),
                &uint(received_id),
                TRUE,
                &[
                    0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x24, 0xd0, 0, 0, 0, 4, 0, 0, 0, 0,
                ],
            ],
        );
        peer.write(&amqp(&disposition));
        let (_, told, _) =
            peer.until(|performative| matches!(performative, Performative::Disposition(_)));
        let Performative::Disposition(told) = told else {
            panic!("{told:?}");
        };
        assert_eq!(
            (told.first, told.state, told.settled),
            (id, Some(DeliveryState::Accepted), true)
        );
    }
    scene.stays_small();
    peer.vanish();
    scene.ends_well();
}

#[test]
fn class_23_a_name_that_begins_like_a_section_is_none() {
    let mut scene = Scene::new();
    let mut peer = Peer::consuming(&scene.router, "names", 10);
    peer.produce(1, "names");
    let named = |name: &str, value: &[u8]| {
        let length = u8::try_from(name.len()).unwrap();
        [&[0x00, 0xa3, length][..], name.as_bytes(), value].concat()
    };
    // Not what the router looks into: it passes as it came, whatever it is called.
    for (id, name) in (0..).zip([
        "amqp:data:binary",
        "amqp:data:binary-and-more",
        "amqp:message-annotations:mapping",
        "amqp:header:lists",
        "amqp:",
    ]) {
        let odd = [&named(name, &[0xa0, 1, b'x'])[..], &message(5)].concat();
        peer.deliver(1, id, &odd);
        let (received_id, received) = peer.message();
        assert_eq!(received, odd, "{name}");
        peer.accept(received_id);
    }
    scene.stays_small();
    peer.vanish();
    scene.ends_well();
}

/// The inputs that the fuzz targets of the protocol keep.
fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let targets = ["connection_bytes", "frame", "performative", "sasl", "value"];
    let folders = targets.iter().map(|target| root.join(target));
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn class_20_anything_at_all_ends_its_own_connection_at_most() {
    let mut scene = Scene::new();
    let opened = [
        &ProtocolHeader::Amqp.bytes()[..],
        &frame(0, &Performative::Open(Box::new(open())), b""),
        &frame(0, &Performative::Begin(Box::new(super::peer::begin())), b""),
    ]
    .concat();
    let authenticated = [&ProtocolHeader::Sasl.bytes()[..], &anonymous(), &opened].concat();
    let beginnings: [&[u8]; 5] = [
        b"",
        ProtocolHeader::Amqp.bytes(),
        ProtocolHeader::Sasl.bytes(),
        &opened,
        &authenticated,
    ];
    let corpus = corpus();
    assert!(!corpus.is_empty());
    for (number, input) in corpus.iter().enumerate() {
        for beginning in beginnings {
            let mut peer = Peer::silent(&scene.router);
            peer.pour(beginning);
            // As it is, and as what a frame has in it.
            peer.pour(input);
            if input.len() < 16_000 {
                peer.pour(&frame_of(amqp_codec::FrameType::Amqp, 0, input));
            }
            drop(peer);
        }
        if number % 50 == 0 {
            scene.exchange.goes_on();
        }
    }
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_20_frames_with_one_byte_wrong_end_their_own_connection_at_most() {
    let mut scene = Scene::new();
    let script = [
        frame(0, &Performative::Begin(Box::new(super::peer::begin())), b""),
        frame(0, &flow_of_link(0, 0, 10), b""),
        frame(0, &super::peer::accepted(0, 10), b""),
    ]
    .concat();
    for place in 0..script.len() {
        for byte in [0x00, 0x40, 0x7f, 0xff] {
            let mut peer = Peer::silent(&scene.router);
            peer.pour(ProtocolHeader::Amqp.bytes());
            peer.pour(&frame(0, &Performative::Open(Box::new(open())), b""));
            let mut wrong = script.clone();
            wrong[place] = byte;
            peer.pour(&wrong);
        }
    }
    scene.stays_small();
    scene.ends_well();
}
