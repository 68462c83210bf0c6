//! What links are called: names, addresses and capabilities of any length.

use amqp_codec::{Role, Source, Str, Symbol, Target};

use super::world::{World, attach};
use crate::limits;
use crate::notice::{Notice, TerminusText};

#[test]
fn a_notice_of_a_link_is_short_whatever_the_link_is_called() {
    let mut world = World::new(1);
    let peer = world.connect(0);
    let source = Source {
        address: Some(Str::copy(&"ä".repeat(2000))),
        capabilities: vec![Symbol::copy(""); 4000],
        ..Source::default()
    };
    let name = "x".repeat(4000);
    let receiver = attach(&name, Role::Receiver, Some(source), Some(Target::default()));
    world.attach(peer, receiver);
    let other = "y".repeat(4000);
    world.attach(peer, attach(&other, Role::Receiver, None, None));
    let told = world.notices.iter().find_map(|notice| match notice {
        Notice::LinkAttached { source, .. } => Some(source),
        _ => None,
    });
    let TerminusText {
        address: Some(address),
        capabilities,
        more_capabilities,
        ..
    } = &**told.unwrap()
    else {
        panic!("no address")
    };
    assert_eq!(
        *address,
        format!("{}...", "ä".repeat(limits::NOTICE_TEXT_BYTES / 2))
    );
    assert_eq!(capabilities.len() + more_capabilities, 4000);
    let refused = |notice: &Notice| matches!(notice, Notice::LinkRefused { .. });
    assert!(world.notices.iter().any(refused));
    for notice in &world.notices {
        assert!(notice.bytes() < 4 * limits::NOTICE_TEXT_BYTES, "{notice:?}");
    }
}

/// The conditions with which links were refused.
fn refusals(world: &World) -> Vec<(&'static str, &'static str)> {
    let refusals = world.notices.iter().filter_map(|notice| match notice {
        Notice::LinkRefused {
            condition,
            description,
            ..
        } => Some((*condition, *description)),
        _ => None,
    });
    refusals.collect()
}

const LIMIT: &str = "amqp:resource-limit-exceeded";

#[test]
fn a_name_or_address_that_is_too_long_is_refused() {
    let mut world = World::new(1);
    let peer = world.connect(0);
    let long = "x".repeat(limits::LINK_NAME_BYTES + 1);
    world.receiver(peer, &long, "q", 0);
    assert_eq!(
        refusals(&world),
        [(LIMIT, "the name of the link is too long")]
    );
    world.receiver(peer, &long[1..], "q", 0);
    world.notices.clear();
    let long = "y".repeat(limits::MESH_ADDRESS_BYTES - 1);
    world.receiver(peer, "r", &long, 0);
    world.sender(peer, "s", &long);
    let refused = (LIMIT, "the address is too long");
    assert_eq!(refusals(&world), [refused, refused]);
    world.receiver(peer, "t", &long[1..], 0);
    assert_eq!(refusals(&world).len(), 2);
}

#[test]
fn what_the_links_of_a_connection_are_called_is_bounded() {
    let mut world = World::new(1);
    let peer = world.connect(0);
    let name = |number: usize| format!("{number:04000}");
    let fits = usize::try_from(limits::ATTACH_BYTES).unwrap() / 4001;
    let links: Vec<_> = (0..fits)
        .map(|number| world.receiver(peer, &name(number), "q", 0))
        .collect();
    assert_eq!(refusals(&world), []);
    world.receiver(peer, &name(fits), "q", 0);
    let refused = (
        LIMIT,
        "the names and addresses of the links on one connection are too long",
    );
    assert_eq!(refusals(&world), [refused]);
    // Another connection has its own, and what is detached makes room.
    let other = world.connect(0);
    world.receiver(other, &name(0), "q", 0);
    world.detach(peer, links[0]);
    world.receiver(peer, "again", "q", 0);
    assert_eq!(refusals(&world).len(), 1);
}

#[test]
fn who_goes_on_although_refused_is_ended() {
    let mut world = World::new(1);
    let peer = world.connect(0);
    let fits = usize::try_from(limits::ATTACH_BYTES).unwrap() / 4000;
    for number in 0.. {
        world.receiver(peer, &format!("{number:04000}"), "q", 0);
        if !world.peers[peer].engine.is_open() {
            break;
        }
        assert!(number < 3 * fits, "the connection goes on");
    }
    let ended = world.notices.iter().any(
        |notice| matches!(notice, Notice::ConnectionFailed { condition, .. } if condition == LIMIT),
    );
    assert!(ended);
}
