//! Links for large messages between routers: each *flow*, what one sender sends to one address with
//! one priority, has a link of its own, on a session of its own. So a message that stalls holds up
//! no other sender's, nor an urgent one of the same sender, and what belongs together goes one
//! after the other, in order, each with the whole of its link's window.
//!
//! A link is another flow's only when it has rested and nothing of its own is unsettled: else two
//! messages of one sender could come to the next router by two links, and part there. Where there
//! are more flows than links, several share one.

use super::lanes::{enter_account, origin_of};
use super::link::{Flow, OutLink, Queued};
use super::state::{Incoming, Shard};
use crate::ids::Key;
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::{End, Target};

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
        let own = links().find(|(_, link)| link.flows.contains(&flow));
        let rests = |link: &OutLink| {
            let rest = u64::from(self.second.saturating_sub(link.moved));
            rest >= limits::STREAMING_REST.as_secs()
                && link.lane.is_empty()
                && conn.engine.unsettled_on(link.link) == 0
        };
        let free = || links().find(|(_, link)| rests(link));
        let is_crowded = conn.streaming.len() >= limits::STREAMING_LINKS;
        let shared = || {
            let least = links().min_by_key(|(_, link)| (link.lane.len(), link.flows.len()));
            least.filter(|_| is_crowded)
        };
        let is_own = own.is_some();
        let free = own.or_else(free);
        let is_free = free.is_some();
        let found = free.or_else(shared).map(|(out, _)| out);
        let Some(out) = found.or_else(|| self.attach_streaming(key)) else {
            return instead_of;
        };
        let second = self.second;
        if let Some(link) = self.out_links.get_mut(out) {
            if !is_own && (is_free || link.flows.len() == limits::FLOWS_PER_LINK) {
                link.flows.clear();
            }
            if !is_own {
                link.flows.push(flow);
            }
            link.priority = flow.priority;
            if link.lane.is_empty() {
                link.moved = second;
            }
        }
        out
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
        let other = self.streaming_link(to.link, queued.flow());
        // What is not whole would hold up all that goes by the link for which it was chosen.
        (other != to.link || queued.end != End::More).then_some(other)
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
