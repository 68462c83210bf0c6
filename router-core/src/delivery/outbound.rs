//! A delivery that a shard sends: who has to hear of its outcome.

use super::merge::Merge;
use crate::ids::{FanKey, InKey, Key, OutKey, ShardId};

/// Who has to hear of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOrigin {
    /// The producer's shard.
    Delivery(ShardId, InKey),
    /// The set of copies it belongs to, on this shard.
    Fan(FanKey),
}

/// A delivery sent and not settled.
#[derive(Debug)]
pub struct Outbound {
    /// The consumer's link, as a key of this shard.
    pub link: Key,
    /// Its delivery-id in the consumer's session.
    pub delivery_id: u32,
    /// Who has to hear.
    pub origin: OutOrigin,
    /// The tally cell to take it off when it ends.
    pub slot: u32,
    /// The second in which it entered the router, of those in which the shard was awake.
    pub born: u32,
    /// The consumer has given a state without settling.
    pub stated: bool,
    /// The consumer has given a terminal state without settling.
    pub answered: bool,
}

/// The copies that a shard sends of one multicast delivery.
#[derive(Debug)]
pub struct Copies {
    /// The producer's shard and the delivery there.
    pub origin: (ShardId, InKey),
    /// The producer has settled, or been told that the consumers have: nobody answers.
    pub settled: bool,
    /// No more of the message is to come.
    pub ended: bool,
    /// The consumers' answers.
    pub merge: Merge,
    /// The consumers' links that have a copy, and how far each copy has come, in bytes.
    pub progress: Vec<(Key, u64)>,
    /// The records of the copies sent, of which some may be gone.
    pub sent: Vec<OutKey>,
    /// Copies that are still in a lane.
    pub waiting: usize,
    /// The producer's shard wants to hear when there are none.
    pub awaited: bool,
}
