//! Links for large messages between routers: each *flow*, what one sender sends to one address with
//! one priority, has a link of its own, on a session of its own. So a message that stalls holds up
//! no other sender's, nor an urgent one of the same sender, and what belongs together goes one
//! after the other, in order.
//!
//! A link is another flow's only when it has rested and nothing of its own is unsettled: else two
//! messages of one sender could come to the next router by two links, and part there. Where there
//! are more flows than links, those without one of their own are divided among all of them by a
//! hash: nothing has to be remembered of a flow for it to keep to its link, and a link that is
//! closed moves no flow but those that used it.

use super::lanes::origin_of;
use super::link::{Flow, OutLink, Queued};
use super::parcel::is_large;
use super::state::{Incoming, Shard};
use crate::ids::{ConnKey, Key};
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::{End, Forward, Target};

impl Shard {
    /// The link by which a delivery leaves that was to leave by this one: for a large message to a
    /// neighbour, that of its flow.
    pub(super) fn lane_for(&mut self, chosen: Key, forward: &Forward) -> Key {
        if !is_large(forward.complete, &forward.payload) {
            return chosen;
        }
        let Some(link) = self.out_links.get(chosen) else {
            return chosen;
        };
        let flow = Flow::of(forward, link.priority);
        self.streaming_link(chosen, flow, forward.settled)
    }

    /// The link of a flow for a message that was to leave by another.
    pub(super) fn streaming_link(&mut self, instead_of: Key, flow: Flow, settled: bool) -> Key {
        let Some(link) = self.out_links.get(instead_of) else {
            return instead_of;
        };
        let (key, kind) = (link.conn, link.kind);
        if kind != LinkType::InterRouter {
            return instead_of;
        }
        let Some(out) = self
            .own_link(key, flow)
            .or_else(|| self.shared_link(key, flow))
        else {
            return instead_of;
        };
        let second = self.second;
        if let Some(link) = self.out_links.get_mut(out) {
            link.priority = flow.priority;
            link.unheard |= settled;
            if link.lane.is_empty() {
                link.moved = second;
            }
        }
        out
    }

    /// The link that a flow has to itself, from now on if not before; `None` where there is none to
    /// be had.
    fn own_link(&mut self, key: ConnKey, flow: Flow) -> Option<Key> {
        let conn = self.conns.get(key)?;
        let links = || {
            let links = conn.streaming.links.iter();
            links.filter_map(|&out| Some((out, self.out_links.get(out)?)))
        };
        if let Some((out, _)) = links().find(|(_, link)| link.flow == Some(flow)) {
            return Some(out);
        }
        let rests = |link: &OutLink| {
            let rest = match link.unheard {
                true => limits::STREAMING_IDLE,
                false => limits::STREAMING_REST,
            };
            self.since(link.moved) >= rest.as_secs()
                && link.lane.is_empty()
                && conn.engine.unsettled_on(link.link) == 0
        };
        // Whose link is divided may have something under way there.
        if conn.streaming.divided && !links().all(|(_, link)| rests(link)) {
            return None;
        }
        let free = links().find(|(_, link)| rests(link));
        let free = free.map(|(out, _)| out);
        let has_room = conn.streaming.links.len() < limits::STREAMING_LINKS;
        let attached = || has_room.then(|| self.attach_streaming(key)).flatten();
        let own = free.or_else(attached);
        self.conns.get_mut(key)?.streaming.divided = own.is_none();
        let link = self.out_links.get_mut(own?)?;
        (link.flow, link.unheard) = (Some(flow), false);
        own
    }

    /// The link that a flow shares with others.
    fn shared_link(&self, key: ConnKey, flow: Flow) -> Option<Key> {
        let links = &self.conns.get(key)?.streaming.links;
        let links = links.iter().copied();
        links.max_by_key(|&out| self.out_links.get(out).map(|link| flow.hash(link.id)))
    }

    /// Where a large message may still go whose streaming link is gone, unless a part was sent: to
    /// another one for its sender.
    pub(super) fn other_lane(&mut self, queued: &Queued, gone: Key) -> Option<Key> {
        let Target::Link(to) = queued.forward.to else {
            return None;
        };
        if queued.begun.is_some() || queued.fan.is_some() || to.link == gone {
            return None;
        }
        let conn = self.out_links.get(to.link)?.conn;
        if self.conns.get(conn)?.sessions.is_empty() {
            // The whole connection goes.
            return None;
        }
        let settled = queued.forward.settled;
        let other = self.streaming_link(to.link, queued.flow(), settled);
        // What is not whole would hold up all that goes by the link for which it was chosen.
        (other != to.link || queued.end != End::More).then_some(other)
    }

    /// Moves a delivery that waits to the lane of another link.
    pub(super) fn change_lane(&mut self, queued: Queued, to: Key) {
        if let Some(origin) = origin_of(&queued.forward)
            && self.by_origin.contains_key(&origin)
        {
            self.by_origin.insert(origin, Incoming::Link(to));
        }
        self.enqueue(to, queued);
    }
}

impl OutLink {
    /// Whether the first message of the lane has begun, and another flow's waits behind it.
    pub(super) fn holds_up_strangers(&self) -> bool {
        let Some(first) = self.lane.front().filter(|first| first.begun.is_some()) else {
            return false;
        };
        let flow = first.flow();
        let is_strange = |queued: &Queued| queued.flow() != flow;
        self.lane.iter().any(is_strange)
    }
}
