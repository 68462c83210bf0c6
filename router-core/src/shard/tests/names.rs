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
    let name = "x".repeat(5000);
    let receiver = attach(&name, Role::Receiver, Some(source), Some(Target::default()));
    world.attach(peer, receiver);
    let other = "y".repeat(5000);
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
