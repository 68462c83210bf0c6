//! Whether a large message stands still because its consumer takes nothing, or only waits until
//! others before it have been taken.
//!
//! Who cuts a stream (`scrub.rs`) is the shard that it came to, and who knows its consumer's lane
//! is the shard that sends from it. So each shard says once a second which streams lie in lanes
//! that stand: nothing else need be said, because a lane that moves is what is usual. Decision:
//! what waits in a lane that moves is not cut, however long that takes: a slow consumer sets the
//! pace. A line moves when its first goes.
//!
//! The next router has lanes of its own, of which this one sees nothing. To a neighbour of our kind
//! a router shows every few seconds that a stream of its waits in a lane that moves, by a flow on
//! the stream's link that changes nothing; and if nothing of the kind comes the neighbour still has
//! the time to cut what stands there, because it knows better whose fault it is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::lanes::origin_of;
use super::link::{OutLink, Queued};
use super::state::Shard;
use crate::delivery::{Place, Stream};
use crate::ids::{ConnKey, InKey, Key, ShardId};
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::{End, Mail};

/// For how many seconds it holds that a lane stands: it is said again every second.
const HOLDS: u32 = 2;

/// What a shard hears of its streams in lanes that stand.
#[derive(Default)]
struct Standing {
    deliveries: Vec<InKey>,
    starving: Vec<(InKey, bool)>,
}

impl Shard {
    /// For how long whoever a connection leads to may take nothing.
    pub(super) fn patience(&self, conn: ConnKey) -> Duration {
        let of_ours = self.conns.get(conn).is_some_and(|conn| conn.vigil.is_ours);
        match of_ours {
            true => limits::STREAM_STALLED * 3,
            false => limits::STREAM_STALLED,
        }
    }

    /// Tells each shard which of its streams wait in lanes that stand.
    pub(super) fn tell_standing(&mut self) {
        let lanes = self.out_links.iter().filter(|(_, link)| {
            let is_for_data = link.kind != LinkType::RouterControl;
            is_for_data && !link.lane.is_empty() && self.is_standing(link, link.moved)
        });
        let lanes: Vec<(Key, ConnKey)> = lanes.map(|(key, link)| (key, link.conn)).collect();
        if lanes.is_empty() {
            return;
        }
        let mut moved = BTreeMap::new();
        for (_, link) in self.out_links.iter() {
            let last = moved.entry(link.conn).or_insert(0);
            *last = link.moved.max(*last);
        }
        let mut standing = BTreeMap::<ShardId, Standing>::new();
        for (key, conn) in lanes {
            let last = moved.get(&conn).copied().unwrap_or_default();
            let link = self.out_links.get(key).filter(|link| {
                // Of what the next router has not seen it cannot say anything.
                let is_unseen = link.kind == LinkType::InterRouter && link.has_not_begun();
                !is_unseen || self.is_standing(link, last)
            });
            for queued in link.into_iter().flat_map(|link| &link.lane) {
                if queued.end != End::More {
                    continue;
                }
                let Some((shard, delivery)) = origin_of(&queued.forward) else {
                    continue;
                };
                let of_shard = standing.entry(shard).or_default();
                match queued.starves() {
                    true => {
                        let keeps = link.is_some_and(OutLink::holds_up_strangers);
                        of_shard.starving.push((delivery, keeps));
                    }
                    false => of_shard.deliveries.push(delivery),
                }
            }
        }
        for (shard, of_shard) in standing {
            let Standing {
                deliveries,
                starving,
            } = of_shard;
            match shard == self.id {
                true => self.take_standing(&deliveries, &starving),
                false => self.post(
                    shard,
                    Mail::Standing {
                        deliveries,
                        starving,
                    },
                ),
            }
        }
    }

    /// Whether a lane that last moved in a second has stood for too long.
    fn is_standing(&self, link: &OutLink, moved: u32) -> bool {
        self.since(moved) >= self.patience(link.conn).as_secs()
    }

    /// Streams wait in lanes that stand, or these for them.
    pub(super) fn take_standing(&mut self, deliveries: &[InKey], starving: &[(InKey, bool)]) {
        let second = self.second;
        for &record in deliveries {
            if let Some(stream) = self.stream_mut(record) {
                stream.stands = Some(second);
            }
        }
        for &(record, keeps) in starving {
            if let Some(stream) = self.stream_mut(record) {
                stream.starves = Some(second);
                if keeps {
                    stream.keeps = Some(second);
                    self.note_behind(record);
                }
            }
        }
    }

    fn stream_mut(&mut self, record: InKey) -> Option<&mut Stream> {
        self.inbound.get_mut(record)?.stream.as_deref_mut()
    }

    /// Whether what was said once in a second holds yet.
    pub(super) fn holds(&self, said: Option<u32>) -> bool {
        said.is_some_and(|at| self.second.saturating_sub(at) <= HOLDS)
    }

    /// Whether what a stream waits for stands still. A lane that waits for more of it says nothing
    /// of that where another one's pace is what counts.
    pub(super) fn waits_in_vain(&self, place: &Place, stream: &Stream) -> bool {
        match place {
            Place::Sent { .. } | Place::Fan(_) => {
                let waits_for_copy = stream.ahead() >= limits::STREAM_WINDOW;
                self.holds(stream.stands) || !waits_for_copy && self.holds(stream.starves)
            }
            Place::Line(waiting) => self
                .lines_moved
                .get(&waiting.key)
                .is_none_or(|&moved| self.since(moved) >= limits::STREAM_STALLED.as_secs()),
            Place::Hold(_) | Place::Discard(_) => true,
        }
    }

    /// Shows neighbours that their streams that do not move wait for who moves.
    pub(super) fn show_life(&mut self) {
        let rest = limits::STREAM_STALLED.as_secs() / 3;
        let waiting = self.in_links.iter().filter(|(_, link)| {
            let of_ours = |conn| self.conns.get(conn).is_some_and(|of| of.vigil.is_ours);
            if link.kind != LinkType::InterRouter || link.partial.is_none() || !of_ours(link.conn) {
                return false;
            }
            let inbound = link.partial.and_then(|record| self.inbound.get(record));
            inbound.is_some_and(|of| {
                of.stream.as_ref().is_some_and(|stream| {
                    let rests = self.since(stream.moved);
                    let is_due = rests > 0 && rests.is_multiple_of(rest) && stream.ahead() > 0;
                    is_due && !self.waits_in_vain(&of.place, stream)
                })
            })
        });
        let waiting: Vec<_> = waiting
            .map(|(_, link)| (link.conn, link.session, link.link))
            .collect();
        for (key, session, link) in waiting {
            if let Some(conn) = self.conns.get_mut(key) {
                conn.engine.send_flow(session, Some(link), &mut conn.output);
            }
            self.touch(key);
        }
    }

    /// A flow has come for a link to a neighbour: of what it has seen it says that it moves.
    pub(super) fn see_life(&mut self, out: Key) {
        let second = self.second;
        if let Some(link) = self.out_links.get_mut(out)
            && link.kind == LinkType::InterRouter
            && !link.has_not_begun()
        {
            link.moved = second;
        }
    }
}

impl OutLink {
    /// Whether nothing of its first message has been sent.
    fn has_not_begun(&self) -> bool {
        self.lane.front().is_none_or(|first| first.begun.is_none())
    }
}

impl Queued {
    /// Whether its lane waits for more of it.
    fn starves(&self) -> bool {
        let is_waited_for = self.begun.is_some() && self.end == End::More;
        is_waited_for && self.forward.payload.is_empty()
    }
}
