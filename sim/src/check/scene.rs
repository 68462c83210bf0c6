//! What checks look at.

use amqp_proto::Time;

use crate::books::Books;
use crate::node::Node;
use crate::peer::Peer;
use crate::plan::Plan;

/// What there is to be looked at.
pub(crate) struct Scene<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) now: Time,
    pub(crate) nodes: &'a [Node],
    pub(crate) peers: &'a [Peer],
    pub(crate) books: &'a Books,
    /// A connection has ended that nobody had ended.
    pub(crate) losses: bool,
}
