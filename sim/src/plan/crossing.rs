//! Large messages for all, from two shards at once: what each is first with in its own consumer's
//! lane may come second to the other's. Sessions have small windows, so neither can be taken whole
//! before it has left.

use std::time::Duration;

use router_core::limits;

use super::links::{ReceivePlan, SendPlan};
use super::parts::{ADDRESSES, LinkPlan, Listener, PeerPlan, Plan};
use crate::random::Random;

/// What is drawn here keeps apart from what is drawn elsewhere.
const SALT: u64 = 0x6372_6f73_7300;

/// Bytes of a body: twice what a stream may be ahead, more than that and a window of its session.
const BODY: usize = 4 * limits::STREAM_THRESHOLD;

impl Plan {
    /// Adds, to one router in eight that can have them, two producers and two consumers of such
    /// messages.
    pub(super) fn add_crossing(&mut self) {
        let random = &mut Random::new(self.seed ^ SALT);
        let mut places = ADDRESSES.iter().zip(&self.treatments);
        let place = places.find(|(_, treatment)| treatment.is_multicast());
        let shards = usize::from(self.nodes[0].shards);
        let Some((&address, _)) = place.filter(|_| shards > 1 && random.one_in(8)) else {
            return;
        };
        let listener = self.listeners.len();
        self.listeners.push(Listener {
            frame: random.pick(&[4096, 16_384]),
            window: random.pick(&[Some(2), Some(4)]),
            capacity: 10,
            idle: None,
            held: limits::CONNECTION_BYTES,
            ..Listener::draw(random)
        });
        let first = random.below(shards);
        for number in 0..4 {
            let link = match number {
                0 | 1 => LinkPlan::Receive(ReceivePlan::steady(address)),
                _ => LinkPlan::Send(SendPlan {
                    size: BODY,
                    ..SendPlan::steady(address)
                }),
            };
            let shard = (first + number % 2) % shards;
            self.peers.push(PeerPlan {
                seed: random.number(),
                listener,
                joins: Duration::from_millis(if number < 2 { 1 } else { 100 }),
                ..PeerPlan::steady(self.peers.len(), (0, shard), vec![link])
            });
        }
    }
}
