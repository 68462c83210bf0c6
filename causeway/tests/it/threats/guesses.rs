//! Class 11: guessed passwords, weaker mechanisms, and exchanges that do not end.

use amqp_codec::{ProtocolHeader, SaslFrame, Symbol};
use bytes::Bytes;

use super::peer::{Peer, sasl};
use super::scene::Scene;
use crate::authentication::add;
use crate::harness::Directory;

/// Guesses made at once.
const CROWD: usize = 40;

/// A router with an open listener, and one for the users of a file; the port of the second.
fn scene(directory: &Directory) -> (Scene, u16) {
    let file = directory.path().join("users");
    assert!(add(&file, "alice", "pencil").status.success());
    let text = format!(
        "router {{\n id: Tested\n saslUserFile: {}\n}}\nlistener {{\n host: 127.0.0.1\n port: 0\n \
         saslMechanisms: ANONYMOUS\n}}\nlistener {{\n name: strict\n host: 127.0.0.1\n port: 0\n \
         authenticatePeer: yes\n allowInsecureAuthentication: yes\n \
         saslMechanisms: PLAIN SCRAM-SHA-256 EXTERNAL\n}}\n",
        file.display()
    );
    let mut scene = Scene::with(&text);
    let port = scene.router.next_port();
    (scene, port)
}

fn init(mechanism: &str, response: &[u8]) -> Vec<u8> {
    sasl(&SaslFrame::Init {
        mechanism: Symbol::try_copy(mechanism).unwrap(),
        initial_response: Some(Bytes::copy_from_slice(response)),
        hostname: None,
    })
}

fn begun(port: u16, said: &[u8]) -> Peer {
    let mut peer = Peer::silent_at(port);
    peer.pour(&[&ProtocolHeader::Sasl.bytes()[..], said].concat());
    peer
}

/// The connection ends, and AMQP was never spoken.
fn is_turned_away(mut peer: Peer) {
    assert!(peer.next().is_none());
}

#[test]
fn class_11_a_flood_of_wrong_passwords_delays_nothing_but_logins() {
    let directory = Directory::new();
    let (mut scene, port) = scene(&directory);
    let messages = [
        init("PLAIN", b"\0alice\0wrong"),
        init("PLAIN", b"\0mallory\0pencil"),
        init("PLAIN", b"no message at all"),
        init("SCRAM-SHA-256", b"n,,n=alice,r=abcdef"),
        init("SCRAM-SHA-256", b"p=tls-unique,,n=alice,r=abcdef"),
    ];
    for _ in 0..3 {
        let peers: Vec<Peer> = (0..CROWD)
            .map(|number| begun(port, &messages[number % messages.len()]))
            .collect();
        scene.goes_on();
        for (number, mut peer) in peers.into_iter().enumerate() {
            if number % messages.len() == 3 {
                // It has a challenge by now, and gives a wrong proof.
                let proof = b"c=biws,r=abcdef,p=AAAA";
                peer.pour(&sasl(&SaslFrame::Response(Bytes::from_static(proof))));
            }
            is_turned_away(peer);
        }
    }
    scene.ends_well();
}

#[test]
fn class_11_external_without_a_certificate_and_unknown_mechanisms_are_refused() {
    let directory = Directory::new();
    let (mut scene, port) = scene(&directory);
    for mechanism in [
        "EXTERNAL",
        "ANONYMOUS",
        "SCRAM-SHA-1",
        "SCRAM-SHA-256-PLUS",
        "plain",
        "",
        &"X".repeat(200),
    ] {
        is_turned_away(begun(port, &init(mechanism, b"alice")));
        scene.goes_on();
    }
    scene.ends_well();
}

#[test]
fn class_11_exchanges_that_nobody_ends_keep_nothing() {
    let directory = Directory::new();
    let (mut scene, port) = scene(&directory);
    let first = init("SCRAM-SHA-256", b"n,,n=alice,r=abcdef");
    for _ in 0..5 {
        let peers: Vec<Peer> = (0..CROWD).map(|_| begun(port, &first)).collect();
        scene.goes_on();
        peers.into_iter().for_each(Peer::vanish);
    }
    // Responses and more, all before anybody was asked anything.
    let early = sasl(&SaslFrame::Response(Bytes::from_static(b"\0alice\0pencil")));
    is_turned_away(begun(port, &early));
    is_turned_away(begun(port, &[&first[..], &first, &early].concat()));
    let long = vec![b'x'; 600];
    is_turned_away(begun(port, &init("PLAIN", &long)));
    scene.ends_well();
}
