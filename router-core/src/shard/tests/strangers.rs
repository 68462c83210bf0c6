//! Connections of role inter-router whose peers are not who one expects there.

use amqp_codec::Role;
use amqp_proto::{Event, LinkKey, Time};

use super::world::World;
use crate::ids::AddressKey;
use crate::mesh::{Engine, MeshSettings, NeighborLink};
use crate::notice::{NetworkNotice, Notice};
use crate::route::Treatment;
use crate::settings::ConnectionRole;
use crate::shard::termini::{CONTROL, pair_attach};

/// A router, and a peer that has attached the links of the routing protocol.
fn neighbor(product: Option<&'static str>) -> (World, usize, LinkKey) {
    let mut world = World::interior("QDR", 1, 1);
    world.listener.role = ConnectionRole::InterRouter;
    world.product = product;
    let peer = world.connect(0);
    let from_us = world.attach(peer, pair_attach("a", CONTROL, Role::Receiver));
    world.credit(peer, from_us, 100, false);
    let to_us = world.attach(peer, pair_attach("b", CONTROL, Role::Sender));
    (world, peer, to_us)
}

/// What a router of this id says first.
fn hello(id: &str) -> Vec<u8> {
    let mut engine = Engine::new(MeshSettings::new(id, 5), Time::ZERO);
    engine.link_up(NeighborLink(1), 1, Time::ZERO);
    engine.poll_output().unwrap().message.to_vec()
}

/// What the log has of neighbours that misbehave.
fn complaints(world: &mut World) -> Vec<String> {
    world.pass(100);
    world.control.drain_notices(&mut world.notices);
    let notices = world.notices.iter().filter_map(|notice| match notice {
        Notice::Network(NetworkNotice::RouterMisbehaved {
            connection, why, ..
        }) => {
            assert!(connection.is_some(), "it says which connection");
            Some(why.clone())
        }
        _ => None,
    });
    notices.collect()
}

#[test]
fn a_router_that_says_it_is_another_than_has_connected_is_refused_and_named() {
    let said = "it says it is router X, on a connection that container peer has opened";
    for (product, id, complaint) in [
        (Some("qpid-dispatch-router"), "X", Some(said)),
        (Some("qpid-dispatch-router"), "peer", None),
        (None, "X", None),
    ] {
        let (mut world, peer, to_us) = neighbor(product);
        assert!(world.send(peer, to_us, &hello(id), true));
        assert_eq!(complaints(&mut world), Vec::from_iter(complaint));
        world.peers[peer].messages.clear();
        world.pass(2000);
        let messages = world.peers[peer].received();
        let sees = |message: &&[u8]| message.ends_with(id.as_bytes());
        assert_eq!(
            messages.into_iter().any(|message| sees(&message)),
            complaint.is_none()
        );
    }
}

/// With what a link was ended by the router.
fn refusal(world: &World, peer: usize, of: LinkKey) -> Option<(String, String)> {
    let events = world.peers[peer].events.iter();
    let mut errors = events.filter_map(|event| match event {
        Event::Detached {
            link,
            error: Some(error),
            ..
        } if *link == of => Some(error),
        _ => None,
    });
    errors.next().map(|error| {
        let description = error.description.as_deref().unwrap_or_default();
        (error.condition.as_str().to_owned(), description.to_owned())
    })
}

#[test]
fn clients_at_a_listener_for_routers_are_refused_until_a_router_speaks() {
    let mut world = World::interior("QDR", 1, 1);
    world.listener.role = ConnectionRole::InterRouter;
    let peer = world.connect(0);
    let sender = world.sender(peer, "s", "q");
    let receiver = world.receiver(peer, "r", "q", 0);
    for link in [sender, receiver] {
        let (condition, description) = refusal(&world, peer, link).expect("it is refused");
        assert_eq!(condition, "qd:connection-role");
        assert_eq!(
            description,
            "Link attach forbidden on inter-router connection"
        );
    }
    let (mut world, peer, _) = neighbor(None);
    let receiver = world.receiver(peer, "r", "q", 10);
    let sender = world.sender(peer, "s", "q");
    let anonymous = world.sender(peer, "a", "");
    let nowhere = world.receiver(peer, "n", "", 0);
    for link in [sender, receiver, anonymous] {
        assert_eq!(refusal(&world, peer, link), None);
    }
    let (condition, _) = refusal(&world, peer, nowhere).expect("it has no address");
    assert_eq!(condition, "qd:no-route-to-dest");
    world.peers[peer].messages.clear();
    let message = [0x00, 0x53, 0x75, 0xa0, 1, 7];
    assert!(world.send(peer, sender, &message, true));
    let received = &world.peers[peer].messages;
    assert_eq!(received.len(), 1);
    assert_eq!(
        (received[0].0, received[0].2.as_slice()),
        (receiver, &message[..])
    );
}

#[test]
fn links_that_lead_to_a_container_elsewhere_are_refused() {
    let (mut world, peer, to_us) = neighbor(None);
    let mut beyond = Engine::new(MeshSettings::new("peer", 5), world.now);
    beyond.link_up(NeighborLink(1), 1, world.now);
    // Links on which clients send lead there, those on which they receive do not.
    let key = AddressKey::from("Clr.a");
    beyond.local_address(&key, Treatment::LinkBalanced, true, world.now);
    for _ in 0..30 {
        beyond.tick(world.now);
        while let Some(said) = beyond.poll_output() {
            assert!(world.send(peer, to_us, &said.message, true));
        }
        world.pass(100);
        for (_, _, message) in std::mem::take(&mut world.peers[peer].messages) {
            beyond
                .received(NeighborLink(1), &message, world.now)
                .unwrap();
        }
    }
    world.listener.role = ConnectionRole::Normal;
    let client = world.connect(0);
    for from in [peer, client] {
        for address in ["lr.a", "lr.a.b", "lr.a/b", "amqp:/lr.a/"] {
            let link = world.sender(from, address, address);
            let (condition, description) = refusal(&world, from, link).expect("it is refused");
            assert_eq!(condition, "qd:no-route-to-dest");
            assert_eq!(description, "No route to the destination node");
            let link = world.receiver(from, address, address, 0);
            assert_eq!(refusal(&world, from, link), None);
        }
        for address in ["lr", "lr.ab", "x.lr.a"] {
            let link = world.sender(from, address, address);
            assert_eq!(refusal(&world, from, link), None);
        }
    }
}
