//! What the links of a cluster are made of.

use std::net::SocketAddr;

use crate::pipe::Door;

/// What the links between the routers of a cluster are made of. Clients connect to sockets in
/// either case, and everything that can be done to a link can be done to both kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wires {
    /// Sockets of the loopback interface, as between machines.
    #[default]
    Sockets,
    /// Pipes within the process: no ports and no listeners that somebody else could connect to, and
    /// no network that must allow it. A connector shows its router as `host` and `pipe` as `port`.
    Pipes,
}

/// Where something can be connected to.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Port(SocketAddr),
    Door(Door),
}
