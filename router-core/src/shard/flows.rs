//! Links for large messages between routers: each *flow*, what one sender sends to one address with
//! one priority, has a link of its own, on a session of its own. So a message that stalls holds up
//! no other sender's, nor an urgent one of the same sender, and what belongs together goes one
//! after the other, in order, each with the whole of its link's window.
//!
//! A link is another flow's only when nothing of its own is anywhere on the way: else two messages
//! of one sender could come to the next router by two links, and part there.

use super::lanes::{enter_account, origin_of};
use super::link::{Flow, OutLink, Queued};
use super::state::{Incoming, Shard};
use crate::ids::Key;
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::Target;

impl Shard {
    /// The link on which a large message leaves that was to leave on this one: to a neighbour, that
    /// of its flow.
    pub(super) fn streaming_link(&mut self, instead_of: Key, flow: Flow) -> Key {
        let Some(link) = self.out_links.get(instead_of) else {
            return instead_of;
        };
        let (key, kind) = (link.conn, link.kind);
        if kind != LinkType::InterRouter {
            return instead_of;
        }
        let Some(conn) = self.conns.get(key) else {
            return instead_of;
        };
        let links = || {
            let links = conn.streaming.iter();
            links.filter_map(|&out| Some((out, self.out_links.get(out)?)))
        };
        let own = links().find(|(_, link)| link.carries(flow));
        let is_free = |link: &OutLink| {
            link.lane.is_empty()
                && self.second > link.moved
                && conn.engine.unsettled_on(link.link) == 0
        };
        let free = || links().find(|(_, link)| is_free(link));
        let is_crowded = conn.streaming.len() >= limits::STREAMING_LINKS;
        let crowded = || {
            let least = links().min_by_key(|(_, link)| (link.lane.len(), link.moved));
            least.filter(|_| is_crowded)
        };
        let found = own.or_else(free).or_else(crowded).map(|(out, _)| out);
        let Some(out) = found.or_else(|| self.attach_streaming(key)) else {
            return instead_of;
        };
        let second = self.second;
        if let Some(link) = self.out_links.get_mut(out) {
            link.flow = Some(flow);
            link.priority = flow.priority;
            if link.lane.is_empty() {
                link.moved = second;
            }
        }
        out
    }

    /// Where a large message may still go whose streaming link is gone: the link to the neighbour
    /// for which that one stood, unless a part was sent or that one is gone, too.
    pub(super) fn other_lane(&self, queued: &Queued, gone: Key) -> Option<Key> {
        let Target::Link(to) = queued.forward.to else {
            return None;
        };
        let link = self.out_links.get(to.link)?;
        let free = queued.begun.is_none() && queued.fan.is_none() && to.link != gone;
        (free && self.conns.get(link.conn).is_some()).then_some(to.link)
    }

    /// Moves a delivery that waits to the lane of another link.
    pub(super) fn change_lane(&mut self, queued: Queued, to: Key) {
        let Some(link) = self.out_links.get_mut(to) else {
            return;
        };
        link.lane_settled += usize::from(queued.forward.settled);
        enter_account(link, queued.weight(), &mut self.conns);
        if let Some(origin) = origin_of(&queued.forward)
            && self.by_origin.contains_key(&origin)
        {
            self.by_origin.insert(origin, Incoming::Link(to));
        }
        link.lane.push_back(queued);
        self.mark_ready(to);
    }
}

impl OutLink {
    /// Whether the next message of a flow belongs behind what this link has carried.
    fn carries(&self, flow: Flow) -> bool {
        let waits = |queued: &Queued| queued.flow() == flow;
        self.flow == Some(flow) || self.lane.iter().any(waits)
    }

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
