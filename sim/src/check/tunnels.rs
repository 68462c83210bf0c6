//! Routed links at rest: no half without its other half, every delivery where it should be, every
//! outcome the one that was given, credit the receiver's.

use std::collections::BTreeSet;

use amqp_codec::DeliveryState;

use super::scene::Scene;
use crate::peer::Phase;
use crate::rests::may_give_way;
use crate::tunnels::{Parcel, Side, Tunnel};

/// Letters with which the keys of link routes begin.
const CLASSES: [char; 4] = ['C', 'D', 'E', 'F'];

/// What holds at rest.
pub(super) fn at_rest(scene: &Scene<'_>) {
    for (number, tunnel) in scene.books.tunnels.all.iter().enumerate() {
        let here = is_up(scene, tunnel);
        assert_eq!(
            here[0], here[1],
            "tunnel {number} has one end: {:?}",
            tunnel.ends
        );
        for &parcel in &tunnel.parcels {
            outcome(scene, tunnel, parcel);
            if here[0] {
                arrived(scene, parcel);
            }
        }
    }
}

/// Who sends on a routed link has the credit that was given at its other end; the error says where
/// some has not come.
pub(crate) fn credit_of_tunnels(scene: &Scene<'_>) -> Result<(), String> {
    let mut all = scene.books.tunnels.all.iter().enumerate();
    all.try_for_each(|(number, tunnel)| match is_up(scene, tunnel) {
        [true, true] => credit(scene, number, tunnel),
        _ => Ok(()),
    })
}

/// Which ends are there, of the device and of the hub.
fn is_up(scene: &Scene<'_>, tunnel: &Tunnel) -> [bool; 2] {
    [Side::Device, Side::Hub].map(|side| {
        let end = tunnel.end(side);
        let peer = end.peer.and_then(|peer| scene.peers.get(peer));
        end.is_up() && peer.is_some_and(|peer| peer.phase == Phase::Here)
    })
}

/// What the sender was told of a delivery is what the receiver said, or that it did not get it.
fn outcome(scene: &Scene<'_>, tunnel: &Tunnel, number: usize) {
    let parcel = &scene.books.tunnels.parcels[number];
    let Some(told) = &parcel.heard.state else {
        return;
    };
    if parcel.gave.as_ref().map(passed_on).as_ref() == Some(told) {
        return;
    }
    let receiver = tunnel.end(tunnel.sender.other());
    let until = parcel.heard.at.unwrap_or(scene.now);
    let lost = receiver.has_left()
        || scene.books.was_troubled(parcel.begun, until)
        || gave_way(scene, parcel);
    let is_true = match told {
        DeliveryState::Modified(_) => lost,
        // Nobody has got it then.
        DeliveryState::Released => lost && !parcel.arrived,
        _ => false,
    };
    assert!(
        is_true,
        "parcel {number} of tunnel {}: {told:?} told, {:?} given, arrived {}",
        parcel.tunnel, parcel.gave, parcel.arrived
    );
}

/// A state as routers pass it on: what was modified has failed.
fn passed_on(state: &DeliveryState) -> DeliveryState {
    let mut state = state.clone();
    if let DeliveryState::Modified(modified) = &mut state {
        modified.delivery_failed = true;
    }
    state
}

/// On a link that is there everything has arrived, and has its outcome.
fn arrived(scene: &Scene<'_>, number: usize) {
    let parcel = &scene.books.tunnels.parcels[number];
    if parcel.aborted {
        return;
    }
    let tunnel = parcel.tunnel;
    assert!(parcel.whole, "parcel {number} was never finished");
    let is_owned =
        parcel.heard.state.as_ref().is_some_and(|told| {
            matches!(told, DeliveryState::Modified(_) | DeliveryState::Released)
        });
    // Nobody is told of what was sent settled.
    let has_given_way = || parcel.settled && gave_way(scene, parcel);
    assert!(
        (parcel.arrived && !parcel.lost) || is_owned || has_given_way(),
        "parcel {number} of tunnel {tunnel} is lost: {}",
        parcel.fate()
    );
    assert!(
        parcel.settled
            || parcel.early
            || (parcel.heard.settlements == 1 && parcel.heard.state.is_some()),
        "parcel {number} of tunnel {tunnel} has no settled outcome: {}",
        parcel.fate()
    );
}

/// Whether a delivery may have had to give way to others on a full connection, between routers or
/// of a client who sends by several links: it has waited, and its receiver took or settled nothing
/// for as long.
fn gave_way(scene: &Scene<'_>, parcel: &Parcel) -> bool {
    let told = parcel.heard.at.unwrap_or(scene.now);
    let books = scene.books;
    let waited = told.saturating_sub(parcel.begun) + books.ahead;
    let kept = || match parcel.heard.at {
        Some(told) => books.tunnels.kept_waiting(parcel.tunnel, told),
        None => books
            .tunnels
            .has_kept(parcel.tunnel, parcel.begun, scene.now),
    };
    let is_shared = || scene.plan.is_mesh() || books.tunnels.shares_its_sender(parcel.tunnel);
    may_give_way(waited) && is_shared() && kept()
}

/// The sender has the credit that the receiver gave, no less; more as far as it was taken back.
fn credit(scene: &Scene<'_>, number: usize, tunnel: &Tunnel) -> Result<(), String> {
    let receiver = tunnel.end(tunnel.sender.other());
    let of = |side: Side| {
        let end = tunnel.end(side);
        let peer = end.peer.and_then(|peer| scene.peers.get(peer));
        peer.zip(end.link)
            .map_or(0, |(peer, link)| peer.credit(link))
    };
    let (given, had) = (of(tunnel.sender.other()), of(tunnel.sender));
    match (given..=given.saturating_add(receiver.surplus)).contains(&had) {
        true => Ok(()),
        false => Err(format!(
            "tunnel {number}: {given} credit given, {had} there"
        )),
    }
}

/// Every router knows which of them have hubs.
pub(super) fn routes(scene: &Scene<'_>) -> Result<(), String> {
    if scene.plan.hubs.is_none() {
        return Ok(());
    }
    let hubs = scene.books.tunnels.hubs.iter();
    let hubs: BTreeSet<usize> = hubs
        .filter(|hub| hub.ending.is_none())
        .map(|hub| hub.node)
        .collect();
    for (node, router) in scene.nodes.iter().enumerate() {
        let id = scene.plan.nodes[node].id;
        let mut known: Vec<_> = router.control.addresses();
        known.retain(|row| row.key.starts_with(CLASSES));
        if known.len() < 4 {
            return Err(format!("{id} knows {} link routes", known.len()));
        }
        for row in known {
            if (row.containers > 0) != hubs.contains(&node) {
                let count = row.containers;
                return Err(format!("{id} has {count} containers of {}", row.key));
            }
            let others = hubs.iter().filter(|other| **other != node);
            let truth: Vec<&str> = others.map(|&other| scene.plan.nodes[other].id).collect();
            let mut routers: Vec<&str> = row.routers.iter().map(|id| &**id).collect();
            routers.sort_unstable();
            if routers != truth {
                return Err(format!(
                    "{id} knows {} of {routers:?}, not {truth:?}",
                    row.key
                ));
            }
        }
    }
    Ok(())
}

/// Rows of addresses that are there as long as link routes are configured.
pub(super) fn configured(scene: &Scene<'_>, node: usize) -> usize {
    let hubs = scene.plan.hubs.as_ref();
    hubs.map_or(0, |hubs| hubs.rules(node).count())
}
