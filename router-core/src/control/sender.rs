//! Messages of the router's own, on their way out: looked up, chosen for and forwarded like any
//! producer's. All are settled, so nothing comes back and none ever waits.
//!
//! Decision: messages are routed after the routes of a turn are published, so that an answer finds
//! the consumer that came in the same turn as its request.

use std::sync::Arc;

use amqp_codec::message::{Depth, RouterAnnotations, UserEntries, compose, gather, scan};
use amqp_proto::Payload;
use bytes::{Bytes, BytesMut};

use crate::address::{AddressContext, Phase, lookup_key};
use crate::ids::{AddressId, Origin, OutLinkKey, ShardId};
use crate::mail::{Forward, Heads, Mail, Outboxes, Target};
use crate::route::{
    Boards, Choice, DEFAULT_PRIORITY, Entry, Passage, Paths, Route, RouteTable, Tally, Windows,
    choose,
};

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
    /// `0/<id>`: where its messages enter the network.
    router: String,
    context: AddressContext,
    tally: Tally,
    waiting: Vec<(String, Bytes)>,
    key: String,
}

impl Sender {
    pub(super) fn new(own: ShardId, router_id: &str, boards: &Boards) -> Self {
        Self {
            own,
            router: format!("0/{router_id}"),
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
        paths: &Paths,
        out: &mut Outboxes,
    ) -> Vec<AddressId> {
        self.tally.refresh();
        let mut used = Vec::new();
        for (to, message) in std::mem::take(&mut self.waiting) {
            lookup_key(&to, Phase::Digit(0), None, &self.context, &mut self.key);
            if let Some(route) = table.lookup(&self.key)
                && self.forward(route, paths, message.into(), out)
            {
                used.push(route.id);
            }
        }
        used
    }

    fn forward(
        &mut self,
        route: &Route,
        paths: &Paths,
        payload: Payload,
        out: &mut Outboxes,
    ) -> bool {
        let origin = Origin {
            shard: self.own,
            delivery: None,
        };
        let heads = route
            .annotated
            .then(|| annotated(&payload, &self.router))
            .flatten();
        let mut forward = Forward {
            heads,
            ..Forward::whole(origin, Target::Fan(route.id), route.id, payload)
        };
        let passage = Passage {
            settled: true,
            windows: &NoWindows,
            excluded: &[],
            paths,
            priority: route.priority.unwrap_or(DEFAULT_PRIORITY),
            entry: Entry::Here,
        };
        match choose(route, &mut self.tally, &passage) {
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

/// The leading sections of a message of the router's own for links that carry router annotations.
/// It has none of its own; one that has goes out as it is.
fn annotated(payload: &Payload, router: &str) -> Option<Arc<Heads>> {
    let sections = scan(payload.chunks(), Depth::MessageAnnotations).ok()?;
    if sections.message_annotations.is_some() {
        return None;
    }
    let leading = [&sections.header, &sections.delivery_annotations];
    let end = leading.into_iter().flatten().map(|range| range.end).max();
    let replaces = end.unwrap_or(0);
    let mut head = BytesMut::from(&gather(payload.chunks(), &(0..replaces))[..]);
    let none = UserEntries {
        bytes: &[],
        count: 0,
    };
    compose(none, &RouterAnnotations::default(), Some(router), &mut head);
    Some(Arc::new(Heads {
        replaces,
        stripped: None,
        annotated: Some(head.freeze()),
        label: None,
    }))
}
