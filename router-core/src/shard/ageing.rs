//! What lasts too long: deliveries that do not end, and links without credit. Every few seconds the
//! gauges of both are set, and the log hears once of each link that is in such trouble.
//!
//! Decision: looked for instead of counted as it happens. What is under way for long is rare, and
//! who sends a million messages a second should not pay for it; the price is that a gauge may be a
//! few seconds old.

use std::collections::BTreeMap;

use super::link::{OutLink, Queued};
use super::state::Shard;
use super::trouble::{Ageing, OLD_SECONDS, Trouble, is_old, seconds_since};
use crate::counters::Counter;
use crate::delivery::{Inbound, Outbound, Place};
use crate::ids::{ConnKey, InLinkKey, Key, LinkId, OutKey};
use crate::mail::End;
use crate::notice::Notice;

/// How often is looked, in seconds.
const LOOK_SECONDS: u32 = 5;

/// A link of which there is something to tell.
struct Found {
    conn: ConnKey,
    link: LinkId,
    news: Trouble,
    /// Seconds without credit.
    seconds: u32,
}

impl Shard {
    /// The second in which it has to be looked again, if there is anything that may grow old, or
    /// did.
    pub(super) fn looks_for_old_at(&self) -> Option<u32> {
        let Ageing {
            looked,
            stuck,
            blocked,
        } = self.ageing;
        let is_idle = self.in_links.is_empty() && self.out_links.is_empty();
        (!is_idle || stuck + blocked > 0).then_some(looked.saturating_add(LOOK_SECONDS))
    }

    /// Looks for what has lasted too long, if it is time.
    pub(super) fn look_for_old(&mut self) {
        let due = self.looks_for_old_at();
        if due.is_none_or(|due| self.second < due) {
            return;
        }
        let mut found = Vec::new();
        let stuck_in = self.look_at_producers(&mut found);
        let (stuck_out, blocked) = self.look_at_consumers(&mut found);
        let now = Ageing {
            looked: self.second,
            stuck: stuck_in + stuck_out,
            blocked,
        };
        let before = std::mem::replace(&mut self.ageing, now);
        let counters = &mut self.counters;
        counters.add(Counter::DeliveriesStuck, now.stuck);
        counters.sub(Counter::DeliveriesStuck, before.stuck);
        counters.add(Counter::LinksBlocked, now.blocked);
        counters.sub(Counter::LinksBlocked, before.blocked);
        for found in found {
            self.tell_trouble(&found);
        }
    }

    /// What of producers' links is stuck. That one has no credit is told and not counted: it may
    /// mean no more than that nobody receives.
    fn look_at_producers(&mut self, found: &mut Vec<Found>) -> u64 {
        let mut old = BTreeMap::<Key, u64>::new();
        for (_, inbound) in self.inbound.iter() {
            if let Some(InLinkKey(link)) = inbound.link
                && self.is_stuck(inbound)
            {
                *old.entry(link).or_default() += 1;
            }
        }
        let second = self.second;
        for (key, link) in self.in_links.iter_mut() {
            let seconds = seconds_since(link.zero_since, second);
            let is_blocked = seconds > OLD_SECONDS;
            let news = link.trouble.note(old.contains_key(&key), is_blocked);
            if let Some(news) = news {
                let (conn, link) = (link.conn, link.id);
                found.push(Found {
                    conn,
                    link,
                    news,
                    seconds,
                });
            }
        }
        old.values().sum()
    }

    fn look_at_consumers(&mut self, found: &mut Vec<Found>) -> (u64, u64) {
        let mut old = BTreeMap::<Key, u64>::new();
        for (key, outbound) in self.outbound.iter() {
            if self.is_stuck_out(OutKey(key), outbound) {
                *old.entry(outbound.link).or_default() += 1;
            }
        }
        let (second, mut blocked, mut stuck) = (self.second, 0, 0);
        for (key, link) in self.out_links.iter_mut() {
            let sent = old.get(&key).copied().unwrap_or_default();
            let of_link = sent + link.stuck_in_lane(second);
            stuck += of_link;
            let seconds = seconds_since(link.zero_since, second);
            let is_blocked = seconds > OLD_SECONDS;
            blocked += u64::from(is_blocked);
            let news = link.trouble.note(of_link > 0, is_blocked);
            if let Some(news) = news {
                let (conn, link) = (link.conn, link.id);
                found.push(Found {
                    conn,
                    link,
                    news,
                    seconds,
                });
            }
        }
        (stuck, blocked)
    }

    /// A link stops sending: it may have used up its credit.
    pub(super) fn note_used_up(&mut self, key: ConnKey, out: Key) {
        let second = self.second;
        if let (Some(conn), Some(link)) = (self.conns.get(key), self.out_links.get_mut(out))
            && link.zero_since.is_none()
            && conn.engine.credit(link.link) == 0
        {
            link.zero_since = Some(second);
        }
    }

    /// Whether a delivery that a producer has sent whole has not ended for long.
    pub(super) fn is_stuck(&self, inbound: &Inbound) -> bool {
        let stream = inbound.stream.as_deref();
        let is_whole = stream.is_none_or(|stream| stream.complete);
        // A large one that still leaves does not stand.
        let moved = stream.map_or(0, |stream| stream.moved);
        let is_held = matches!(inbound.place, Place::Hold(_));
        is_whole && !is_held && is_old(inbound.born.max(moved), self.second)
    }

    /// Whether a delivery that has been sent whole has not been settled for long.
    pub(super) fn is_stuck_out(&self, key: OutKey, outbound: &Outbound) -> bool {
        let is_being_sent = || {
            let link = self.out_links.get(outbound.link);
            link.and_then(OutLink::being_sent) == Some(key)
        };
        is_old(outbound.born, self.second) && !is_being_sent()
    }

    fn tell_trouble(&mut self, found: &Found) {
        let Some(conn) = self.conns.get(found.conn) else {
            return;
        };
        let (connection, link) = (conn.id, found.link);
        if found.news.stuck {
            let seconds = OLD_SECONDS;
            self.notices.push(Notice::LinkStuck {
                connection,
                link,
                seconds,
            });
        }
        if found.news.blocked {
            let seconds = found.seconds;
            self.notices.push(Notice::LinkBlocked {
                connection,
                link,
                seconds,
            });
        }
    }
}

impl OutLink {
    /// The record of the delivery of which a part has been sent.
    fn being_sent(&self) -> Option<OutKey> {
        self.lane.front()?.begun?.record
    }

    /// Deliveries that have waited in the lane for long and are whole. One that is being sent has
    /// for as long as nothing more of it was.
    pub(super) fn stuck_in_lane(&self, second: u32) -> u64 {
        let is_stuck = |queued: &&Queued| {
            let moved = queued.begun.map_or(0, |_| self.moved);
            let is_whole = queued.end != End::More;
            is_whole && is_old(queued.born.max(moved), second)
        };
        self.lane.iter().filter(is_stuck).count() as u64
    }
}
