//! What the log hears of neighbours and of the network.
//!
//! Owns nothing. Decision: of paths that are found anew only that is told which reads otherwise
//! than before, because a network of hundreds of routers finds them anew at each change of any.

use std::sync::Arc;

use crate::ids::{ConnectionId, Direction};
use crate::mesh::{self, MeshEvent, Misdeed, NeighborLink, RouterIndex, RouterPath};
use crate::notice::{Computed, Few, NetworkNotice, Notice, RoutingText};

/// What is new of paths since they were last told.
pub(super) fn news_of_paths(paths: &mesh::Paths, told: &mut Vec<Computed>) -> Vec<Notice> {
    let before = std::mem::replace(told, computed(paths).into());
    let news = told.iter().filter(|now| !before.contains(now));
    let news = news.map(|now| Notice::Network(NetworkNotice::Computed(now.clone())));
    news.collect()
}

/// What the log is told of an event; it has the connection of a link, and the own id.
pub(super) fn news_of(
    event: MeshEvent,
    own: &Arc<str>,
    connection_of: impl Fn(NeighborLink) -> Option<ConnectionId>,
) -> Option<NetworkNotice> {
    Some(match event {
        MeshEvent::NeighborUp { id, .. } => NetworkNotice::NeighborFound { id },
        MeshEvent::NeighborHeld { id, losses, hold } => {
            NetworkNotice::NeighborHeld { id, losses, hold }
        }
        MeshEvent::Flux { entered } => NetworkNotice::Flux { entered },
        MeshEvent::Restarted { id } => NetworkNotice::RouterRestarted { id },
        MeshEvent::Untold { key } => NetworkNotice::AddressUntold { key },
        MeshEvent::Misbehaved {
            link,
            neighbor,
            why: Misdeed::OurIdentity,
            ..
        } => NetworkNotice::DuplicateRouter {
            connection: connection_of(link),
            id: Arc::clone(own),
            neighbor,
        },
        MeshEvent::Misbehaved {
            link,
            why: Misdeed::Version { id, version },
            more,
            ..
        } => NetworkNotice::VersionMismatch {
            connection: connection_of(link),
            id,
            version,
            own: mesh::VERSION,
            more,
        },
        MeshEvent::Misbehaved {
            link,
            neighbor,
            why,
            more,
        } => NetworkNotice::RouterMisbehaved {
            connection: connection_of(link),
            neighbor,
            why: why.to_string(),
            more,
        },
        _ => return None,
    })
}

/// What paths say of the routers that can be reached.
fn computed(paths: &mesh::Paths) -> [Computed; 4] {
    let others = paths.routers().filter(|(_, path)| path.link.is_some());
    let others: Vec<_> = others.map(|(_, path)| path).collect();
    let id = |path: &RouterPath| Arc::clone(&path.id);
    let id_of = |index| paths.router(index).map(id).unwrap_or_default();
    let next_hop = |path: &&RouterPath| {
        let first = path.next_hop.map_or_else(|| id(path), id_of);
        (id(path), first)
    };
    let origins = |path: &&RouterPath| {
        let origins = Few::made_of(&path.valid_origins, |origin| id_of(RouterIndex(*origin)));
        (id(path), origins)
    };
    [
        Computed::NextHops(Few::made_of(&others, next_hop)),
        Computed::Costs(Few::made_of(&others, |path| (id(path), path.cost))),
        Computed::ValidOrigins(Few::made_of(&others, origins)),
        Computed::Radius(paths.radius()),
    ]
}

/// What the log hears of a message of the protocol.
pub(super) fn told(direction: Direction, text: RoutingText) -> Notice {
    let text = Box::new(text);
    Notice::Routing { direction, text }
}
