//! Before a connection is open: sizes, counts and nesting that nobody has authenticated, layers in
//! the wrong order, and peers who take their time.

use amqp_codec::{FrameType, Performative, ProtocolHeader, SaslFrame, Symbol};
use bytes::Bytes;

use super::peer::{Peer, anonymous, begin, frame, frame_of, open, sasl, told};
use super::scene::Scene;
use crate::harness::{configuration, listening_with};

/// Peers that attack at the same time.
const CROWD: usize = 100;

/// The described list of an Open with these encoded fields.
fn open_of(count: u32, fields: &[u8]) -> Vec<u8> {
    let mut body = vec![0x00, 0x53, 0x10, 0xd0];
    let size = u32::try_from(fields.len() + 4).unwrap();
    body.extend_from_slice(&size.to_be_bytes());
    body.extend_from_slice(&count.to_be_bytes());
    body.extend_from_slice(fields);
    body
}

/// Sends what follows the header on a connection of its own; what the router says.
fn say(scene: &Scene, header: ProtocolHeader, bytes: &[u8]) -> Option<super::peer::Told> {
    let mut peer = Peer::silent(&scene.router);
    peer.write(header.bytes());
    peer.pour(bytes);
    peer.is_dropped()
}

/// The router refuses these bytes of a crowd: it cannot read them.
fn refused(scene: &Scene, bytes: &[u8]) {
    for _ in 0..CROWD {
        let told = say(scene, ProtocolHeader::Amqp, bytes);
        assert!(told.is_none_or(|told| told.1 == "amqp:decode-error"));
    }
}

#[test]
fn class_1_frame_sizes_are_checked_before_anything_is_allocated() {
    let mut scene = Scene::new();
    let framing = told("close", "amqp:connection:framing-error");
    for size in [0, 7, 16 * 1024 + 1, 1 << 30, u32::MAX] {
        let header = [&size.to_be_bytes()[..], &[2, 0, 0, 0]].concat();
        let mut peer = Peer::opened(&scene.router);
        peer.write(&header);
        assert_eq!(peer.told(), framing, "{size}");
        // Whoever has not said who it is, is told as much or nothing.
        let said = say(&scene, ProtocolHeader::Amqp, &header);
        assert!(said.is_none_or(|said| said == framing), "{size}");
    }
    // A frame whose data begins behind its end, and one that is neither AMQP nor SASL.
    for header in [[0, 0, 0, 8, 3, 0, 0, 0], [0, 0, 0, 8, 2, 7, 0, 0]] {
        let mut peer = Peer::opened(&scene.router);
        peer.write(&header);
        assert_eq!(peer.told(), framing, "{header:?}");
    }
    // SASL frames have 512 bytes at most.
    for size in [513u32, 16 * 1024, u32::MAX] {
        let header = [&size.to_be_bytes()[..], &[2, 1, 0, 0]].concat();
        assert_eq!(say(&scene, ProtocolHeader::Sasl, &header), None, "{size}");
    }
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_1_frames_announced_and_never_sent_cost_what_was_sent() {
    let mut scene = Scene::new();
    // The largest frame that is allowed, of which a few bytes come.
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let mut peer = Peer::opened(&scene.router);
            peer.write(&[0, 0, 0x40, 0, 2, 0, 0, 0, 0, 0x53, 0x14]);
            peer
        })
        .collect();
    scene.stays_small();
    drop(crowd);
    scene.ends_well();
}

#[test]
fn class_2_counts_that_the_bytes_do_not_hold_close_the_connection() {
    let mut scene = Scene::new();
    let container = [0xa1, 0x01, b'x'];
    // Capabilities: an array of 2^31 - 1 elements of no width, and one of as many symbols.
    let zero_width = [0xf0, 0, 0, 0, 5, 0x7f, 0xff, 0xff, 0xff, 0x40];
    let symbols = [0xf0, 0, 0, 0, 5, 0x7f, 0xff, 0xff, 0xff, 0xa3];
    // Properties: a map, and a list where a map should be, of as many entries.
    let map = [0xd1, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xfe];
    let list = [0xd0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff];
    let nulls = [0x40; 8];
    let with = |place: usize, value: &[u8]| {
        let fields = [&container[..], &nulls[..place - 1], value].concat();
        open_of(u32::try_from(place).unwrap() + 1, &fields)
    };
    let mut bodies = vec![
        open_of(u32::MAX, &container),
        with(7, &zero_width),
        with(7, &symbols),
        with(9, &map),
        with(9, &list),
    ];
    // Many arrays, each within any bound of its own (and what amplifies is their sum).
    let array = [0xe0, 3, 255, 0x40];
    let mut nested = vec![0xd0];
    nested.extend_from_slice(&(4 + 4 * 3000u32).to_be_bytes());
    nested.extend_from_slice(&3000u32.to_be_bytes());
    nested.extend(array.iter().cycle().take(4 * 3000));
    bodies.push(with(9, &nested));
    for body in bodies {
        let bytes = frame_of(FrameType::Amqp, 0, &body);
        refused(&scene, &bytes);
    }
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_3_nesting_closes_the_connection_and_exhausts_no_stack() {
    let mut scene = Scene::new();
    // Properties: lists in lists, arrays in arrays, descriptors of descriptors, as deep as a frame.
    let deep = |opening: &[u8], count: usize| opening.repeat(count);
    let lists = {
        let mut inner = vec![0x45];
        while inner.len() < 15_000 {
            let size = u32::try_from(inner.len() + 4).unwrap().to_be_bytes();
            inner = [&[0xd0][..], &size, &[0, 0, 0, 1], &inner].concat();
        }
        inner
    };
    for value in [lists, deep(&[0x00], 15_000), deep(&[0xe0, 0xff, 1], 5000)] {
        let fields = [&[0xa1, 0x01, b'x'][..], &[0x40; 8], &value].concat();
        let bytes = frame_of(FrameType::Amqp, 0, &open_of(10, &fields));
        refused(&scene, &bytes);
    }
    scene.goes_on();
    scene.ends_well();
}

#[test]
fn class_4_names_are_forgotten_with_who_said_them() {
    let mut scene = Scene::new();
    for round in 0..300 {
        let names =
            (0..100).filter_map(|number| Symbol::try_copy(&format!("symbol {round} {number}")));
        let mut open = open();
        open.container_id = format!("container {round} {}", "x".repeat(5000)).into();
        open.hostname = Some(format!("host {round}").into());
        open.desired_capabilities = names.collect();
        Peer::opened_as(&scene.router, open).is_alive();
        // The same before authentication, by mechanisms that nobody has heard of.
        let mut peer = Peer::silent(&scene.router);
        peer.write(ProtocolHeader::Sasl.bytes());
        peer.write(&sasl(&SaslFrame::Init {
            mechanism: Symbol::try_copy(&format!("MECHANISM-{round}")).unwrap(),
            initial_response: None,
            hostname: None,
        }));
        peer.is_dropped();
    }
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_9_who_does_not_open_is_dropped_by_default() {
    let mut scene = Scene::new();
    let beginnings: [&[u8]; 5] = [
        b"",
        b"AMQP",
        ProtocolHeader::Amqp.bytes(),
        ProtocolHeader::Sasl.bytes(),
        &[&ProtocolHeader::Sasl.bytes()[..], &anonymous()].concat(),
    ];
    let mut crowd: Vec<_> = (0..CROWD)
        .map(|number| {
            let mut peer = Peer::silent(&scene.router);
            peer.write(beginnings[number % beginnings.len()]);
            peer
        })
        .collect();
    scene.stays_small();
    for peer in &mut crowd {
        peer.is_dropped();
    }
    scene.ends_well();
}

#[test]
fn class_9_who_dribbles_is_not_waited_for_any_longer() {
    let mut scene = Scene::with(&listening_with("initialHandshakeTimeoutSeconds: 1"));
    let mut peer = Peer::silent(&scene.router);
    let hello = [
        &ProtocolHeader::Sasl.bytes()[..],
        &anonymous(),
        ProtocolHeader::Amqp.bytes(),
    ]
    .concat();
    // A frame that would be complete in more than half a minute.
    let mut frame = vec![0; 1000];
    frame[..8].copy_from_slice(&[0, 0, 0x03, 0xe8, 2, 0, 0, 0]);
    let drain = peer.drain();
    let is_dropped = hello.iter().chain(&frame).any(|byte| {
        std::thread::sleep(super::exchange::LOOK * 8);
        !peer.pour(&[*byte]) || drain.is_finished()
    });
    assert!(is_dropped, "it was waited for to the end");
    drain.join().unwrap();
    scene.goes_on();
    scene.ends_well();
}

#[test]
fn class_10_a_sasl_response_before_the_init_ends_its_own_connection() {
    let mut scene = Scene::new();
    let response = SaslFrame::Response(Bytes::from_static(b"\0guest\0guest"));
    let challenge = SaslFrame::Challenge(Bytes::from_static(b"?"));
    for frame in [sasl(&response), sasl(&challenge)] {
        for _ in 0..CROWD {
            assert_eq!(say(&scene, ProtocolHeader::Sasl, &frame), None);
        }
        // And after the init, when all is said.
        let late = [&anonymous()[..], &frame].concat();
        say(&scene, ProtocolHeader::Sasl, &late);
    }
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_10_a_performative_in_the_security_layer_has_nowhere_to_land() {
    let scene = Scene::new();
    let open = frame(0, &Performative::Open(Box::new(open())), b"");
    let begin = frame(0, &Performative::Begin(Box::new(begin())), b"");
    let as_sasl = [&open[..5], &[1], &open[6..]].concat();
    for bytes in [
        [&open[..], &begin].concat(),
        as_sasl,
        begin,
        [&anonymous()[..], &open].concat(),
    ] {
        let mut peer = Peer::silent(&scene.router);
        peer.write(ProtocolHeader::Sasl.bytes());
        peer.pour(&bytes);
        while let Some((_, performative, _)) = peer.next() {
            assert!(
                !matches!(performative, Performative::Open(_) | Performative::Begin(_)),
                "{performative:?}"
            );
        }
    }
    scene.ends_well();
}

#[test]
fn class_10_layers_come_in_their_order() {
    let mut scene = Scene::new();
    let begin = frame(0, &Performative::Begin(Box::new(begin())), b"");
    let open = frame(0, &Performative::Open(Box::new(open())), b"");
    // Bare AMQP: a Begin before the Open, a SASL frame in its stead, a second Open.
    for bytes in [begin, anonymous()] {
        say(&scene, ProtocolHeader::Amqp, &bytes);
    }
    let mut twice = Peer::opened(&scene.router);
    twice.write(&open);
    assert_eq!(twice.told(), told("close", "amqp:not-allowed"));
    let mut sasl = Peer::opened(&scene.router);
    sasl.write(&anonymous());
    assert_eq!(sasl.told().0, "close");
    // A second protocol header is no frame.
    for header in [ProtocolHeader::Amqp, ProtocolHeader::Sasl] {
        let mut again = Peer::opened(&scene.router);
        again.write(header.bytes());
        assert_eq!(again.told(), told("close", "amqp:connection:framing-error"));
    }
    // An unknown mechanism, then AMQP all the same.
    let mut unknown = Peer::silent(&scene.router);
    unknown.write(ProtocolHeader::Sasl.bytes());
    unknown.write(&super::peer::sasl(&SaslFrame::Init {
        mechanism: Symbol::from("PLAIN"),
        initial_response: Some(Bytes::from_static(b"\0admin\0admin")),
        hostname: None,
    }));
    unknown.pour(ProtocolHeader::Amqp.bytes());
    unknown.pour(&open);
    let answer = unknown.next();
    assert!(answer.is_none(), "{answer:?}");
    scene.goes_on();
    scene.ends_well();
}

#[test]
fn class_10_who_must_authenticate_gets_nothing_without() {
    let listener = "listener {\n name: strict\n host: 127.0.0.1\n port: 0\n \
                    saslMechanisms: ANONYMOUS\n authenticatePeer: yes\n}\n";
    let mut scene = Scene::with(&configuration(listener));
    let port = scene.router.next_port();
    let open = frame(0, &Performative::Open(Box::new(open())), b"");
    for _ in 0..CROWD {
        let mut peer = Peer::silent_at(port);
        peer.write(ProtocolHeader::Amqp.bytes());
        peer.pour(&open);
        while let Some((_, performative, _)) = peer.next() {
            assert!(
                !matches!(performative, Performative::Open(_)),
                "{performative:?}"
            );
        }
    }
    scene.ends_well();
}
