//! Messages of the router's own, on their way out: looked up, chosen for and forwarded like any
//! producer's. All are settled, so nothing comes back and none ever waits.
//!
//! Decision: messages are routed after the routes of a turn are published, so that an answer finds
//! the consumer that came in the same turn as its request.

use amqp_proto::{Payload, Time};
use bytes::Bytes;

use crate::address::{AddressContext, Phase, lookup_key};
use crate::ids::{AddressId, Origin, OutLinkKey, ShardId};
use crate::mail::{Forward, Mail, Outboxes, Target};
use crate::route::{Boards, Choice, NO_SLOT, Route, RouteTable, Tally, Windows, choose};

/// Settled deliveries do not look at windows.
struct NoWindows;

impl Windows for NoWindows {
    fn is_open(&self, _: OutLinkKey) -> bool {
        true
    }
}

#[derive(Debug)]
pub(super) struct Sender {
    own: ShardId,
    context: AddressContext,
    tally: Tally,
    waiting: Vec<(String, Bytes)>,
    key: String,
}

impl Sender {
    pub(super) fn new(own: ShardId, router_id: &str, boards: &Boards) -> Self {
        Self {
            own,
            context: AddressContext::new(router_id),
            tally: Tally::new(boards, own),
            waiting: Vec::new(),
            key: String::new(),
        }
    }

    /// The boards have grown.
    pub(super) fn adopt(&mut self, boards: &Boards) {
        self.tally.adopt(boards);
    }

    /// Takes a message for an address; [`Sender::route`] sends it.
    pub(super) fn send(&mut self, to: &str, message: Bytes) {
        self.waiting.push((to.to_owned(), message));
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends what waits; what has no route is dropped. Gives the records that were used.
    pub(super) fn route(
        &mut self,
        table: &RouteTable,
        now: Time,
        out: &mut Outboxes,
    ) -> Vec<AddressId> {
        self.tally.refresh();
        let mut used = Vec::new();
        for (to, message) in std::mem::take(&mut self.waiting) {
            lookup_key(&to, Phase::Digit(0), None, &self.context, &mut self.key);
            if let Some(route) = table.lookup(&self.key)
                && self.forward(route, message.into(), now, out)
            {
                used.push(route.id);
            }
        }
        used
    }

    fn forward(&mut self, route: &Route, payload: Payload, now: Time, out: &mut Outboxes) -> bool {
        let born = u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX);
        let mut forward = Forward {
            origin: Origin {
                shard: self.own,
                delivery: None,
            },
            to: Target::Fan(route.id),
            address: route.id,
            slot: NO_SLOT,
            born,
            settled: true,
            complete: true,
            counted: true,
            state: None,
            heads: None,
            payload,
        };
        match choose(route, true, &mut self.tally, &NoWindows, &[]) {
            Choice::One { target, slot } => {
                self.tally.add(slot);
                (forward.to, forward.slot) = (Target::Link(target), slot);
                out.push(target.shard, Mail::Forward(forward));
            }
            Choice::Each => {
                for link in &route.in_process {
                    let copy = Forward {
                        to: Target::Link(*link),
                        ..forward.clone()
                    };
                    out.push(link.shard, Mail::Forward(copy));
                }
                for shard in &route.shards {
                    out.push(*shard, Mail::Forward(forward.clone()));
                }
            }
            Choice::Wait | Choice::Unroutable => return false,
        }
        true
    }
}
