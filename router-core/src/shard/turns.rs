//! The order in which large messages begin on the streaming links to one neighbour: that in which
//! they came. So those of one sender reach the neighbour, and the consumer behind it, in the order
//! in which they were sent, although each has a link of its own.

use super::lanes::{enter_account, origin_of};
use super::link::{OutLink, Queued};
use super::state::{Incoming, Shard};
use crate::ids::{ConnKey, Key};
use crate::mail::{End, Target};

impl Shard {
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

    /// Whether the head of a lane may begin now.
    pub(super) fn has_turn(&self, conn: ConnKey, out: Key) -> bool {
        let turn = self.out_links.get(out).and_then(waits_since);
        let Some((turn, conn)) = turn.zip(self.conns.get(conn)) else {
            return true;
        };
        let others = conn
            .streaming
            .iter()
            .filter_map(|&of| self.out_links.get(of));
        others.filter_map(waits_since).all(|other| turn <= other)
    }

    /// A large message has begun, or will not: the next may.
    pub(super) fn next_turn(&mut self, conn: ConnKey) {
        let Some(conn) = self.conns.get(conn) else {
            return;
        };
        let waiting = conn.streaming.iter().filter_map(|&of| {
            let turn = self.out_links.get(of).and_then(waits_since)?;
            Some((turn, of))
        });
        if let Some((_, next)) = waiting.min() {
            self.mark_ready(next);
        }
    }
}

/// The turn of the first large message of a link that has not begun.
fn waits_since(link: &OutLink) -> Option<u64> {
    if !link.streaming {
        return None;
    }
    let mut lane = link.lane.iter();
    let next = lane.find(|queued| queued.begun.is_none() && queued.end != End::Aborted)?;
    Some(next.turn)
}
