//! Connections of role inter-router whose peers are not who one expects there.

use amqp_codec::Role;
use amqp_proto::{LinkKey, Time};

use super::world::World;
use crate::mesh::{Engine, MeshSettings, NeighborLink};
use crate::notice::{NetworkNotice, Notice};
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
    engine.poll_output().unwrap().1.to_vec()
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
