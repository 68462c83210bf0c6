//! Once a second: links for large messages that nobody needs are closed, and large messages that do
//! not move are cut where they hold up those of strangers.
//!
//! A stream that stalls is its producer's own affair as long as it holds up nothing but itself. On
//! a connection between routers it is not: who shares its session, its link or the connection's
//! share of memory has nothing to do with it. Nor have those in the lane of a consumer that waits
//! for the rest of a multicast stream, which another consumer holds up. Decision: only what others
//! wait behind is cut, so that a slow consumer alone is never cut off.

use std::collections::BTreeSet;
use std::hash::BuildHasher as _;
use std::time::Duration;

use amqp_proto::SessionKey;

use super::conn::{Conn, Fill};
use super::link::OutLink;
use super::settle::lost;
use super::state::Shard;
use crate::delivery::{Inbound, Place, Stream};
use crate::ids::{ConnKey, InKey, Key};
use crate::limits;
use crate::notice::LinkEnd;

/// Streams that wait for each other are cut within so many seconds, so that the first one's end
/// comes in time for the other.
const SPREAD_SECONDS: u64 = 6;

impl Shard {
    /// Closes what is idle and cuts what is stalled.
    pub(super) fn scrub(&mut self) {
        self.tell_standing();
        let carriers = self
            .conns
            .iter()
            .filter(|(_, conn)| !conn.streaming.links.is_empty());
        let carriers: Vec<ConnKey> = carriers.map(|(key, _)| ConnKey(key)).collect();
        for key in carriers {
            self.close_streaming_links(key);
        }
        let behind = std::mem::take(&mut self.behind);
        for record in behind {
            if !self.is_behind_by(record) {
                continue;
            }
            if self.keeps_from_others(record) || self.keeps_lanes(record) {
                self.cut(record);
            } else {
                self.behind.push(record);
            }
        }
        for record in self.stalled_where_all_wait() {
            if self.holds_up_strangers(record) {
                self.cut(record);
            }
        }
        self.relieve();
        self.show_life();
    }

    /// Streams that have a part in that a neighbour's connection is full, those first that hold
    /// most. None has to be ahead by much: there may be many, and a session that gets no window
    /// lets none get ahead. On a connection that holds twice what it may, a client's too, those as
    /// well that get no window because others send by their session: these may wait behind them.
    fn stalled_where_all_wait(&self) -> Vec<InKey> {
        let is_full = |(key, conn): &(Key, &Conn)| {
            conn.fill == Fill::Brimful || conn.is_full() && self.is_inter_router(ConnKey(*key))
        };
        let full: BTreeSet<Key> = self
            .conns
            .iter()
            .filter(is_full)
            .map(|(key, _)| key)
            .collect();
        if full.is_empty() {
            return Vec::new();
        }
        let streams = self.inbound.iter().filter_map(|(record, of)| {
            let stream = of.stream.as_ref().filter(|_| full.contains(&of.conn.0))?;
            // What has left is not told to the byte.
            let least = if stream.begun {
                limits::STREAM_WINDOW / 4
            } else {
                1
            };
            let ahead = stream.ahead();
            let is_starved = || {
                let conn = self
                    .conns
                    .get(of.conn)
                    .filter(|conn| conn.fill == Fill::Brimful);
                stream.begun && conn.is_some_and(|conn| conn.producers(of.session).len() > 1)
            };
            (ahead >= least || is_starved()).then_some((std::cmp::Reverse(ahead), InKey(record)))
        });
        let mut streams: Vec<_> = streams.collect();
        streams.sort_unstable();
        streams.into_iter().map(|(_, record)| record).collect()
    }

    /// Of the links for large messages on a connection, closes those that have been idle for long,
    /// and those whose first message does not move while those of other senders wait behind it.
    fn close_streaming_links(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let since = |out: &Key, time: Duration| {
            let link = self.out_links.get(*out);
            link.filter(|link| self.since(link.moved) >= time.as_secs())
        };
        let idle = |out: &&Key| {
            // The outcome of what was sent comes by the link.
            since(out, limits::STREAMING_IDLE).is_some_and(|link| {
                link.lane.is_empty() && conn.engine.unsettled_on(link.link) == 0
            })
        };
        let stuck = |out: &&Key| {
            let link = since(out, limits::STREAM_STALLED);
            link.is_some_and(OutLink::holds_up_strangers)
        };
        let is_over = |out: &&Key| idle(out) || stuck(out);
        let over: Vec<Key> = conn
            .streaming
            .links
            .iter()
            .filter(is_over)
            .copied()
            .collect();
        for out in over {
            self.close_streaming_link(key, out);
        }
    }

    /// Closes a link for large messages, and the session that it has to itself.
    fn close_streaming_link(&mut self, key: ConnKey, out: Key) {
        let Some(link) = self.out_links.get(out) else {
            return;
        };
        let (session, link) = (link.session, link.link);
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.engine.detach(link, true, None, &mut conn.output);
        self.drop_link(key, link, LinkEnd::Detached);
        self.drop_session(key, session);
        if let Some(conn) = self.conns.get_mut(key) {
            conn.engine.end(session, None, &mut conn.output);
        }
        self.touch(key);
    }

    /// A stream has come so far ahead of its consumers that its session is held back for it, or
    /// keeps what waits behind it in a lane: it is looked after.
    pub(super) fn note_behind(&mut self, record: InKey) {
        if !self.behind.contains(&record) {
            self.behind.push(record);
        }
    }

    fn is_behind_by(&self, record: InKey) -> bool {
        let stream = self.inbound.get(record).and_then(|of| of.stream.as_ref());
        stream.is_some_and(|stream| stream.withheld > 0)
    }

    /// Whether a stream has not moved for long, and others cannot because of that.
    fn holds_up_strangers(&self, record: InKey) -> bool {
        let Some((inbound, _)) = self.stalled(record, limits::STREAM_STALLED) else {
            return false;
        };
        let conn = self.conns.get(inbound.conn);
        conn.is_some_and(|conn| stops_others(conn, inbound.session))
    }

    /// The same of a stream on whose connection there are strangers.
    fn keeps_from_others(&self, record: InKey) -> bool {
        let conn = self.inbound.get(record).map(|inbound| inbound.conn);
        conn.is_some_and(|conn| self.is_inter_router(conn)) && self.holds_up_strangers(record)
    }

    /// Whether a stream for several consumers keeps what waits behind it in the lane of one,
    /// because the lane of another, in which it waits, stands. So two can wait for each other that
    /// came to two lanes in different order. A producer that merely pauses is not a window ahead.
    fn keeps_lanes(&self, record: InKey) -> bool {
        // Not both of them in one second.
        let longer = self.by_origin.hasher().hash_one(record) % SPREAD_SECONDS;
        let time = limits::STREAM_STALLED + Duration::from_secs(longer);
        self.stalled(record, time).is_some_and(|(_, stream)| {
            let is_kept = stream.begun && stream.ahead() >= limits::STREAM_WINDOW;
            is_kept && self.holds(stream.keeps)
        })
    }

    /// A stream that has not moved for so long, and waits for what does not either. One that has
    /// come whole has no end that its consumers could still be told.
    fn stalled(&self, record: InKey, time: Duration) -> Option<(&Inbound, &Stream)> {
        let inbound = self.inbound.get(record)?;
        let stream = inbound.stream.as_deref()?;
        let is_stalled = !stream.complete && self.since(stream.moved) >= time.as_secs();
        (is_stalled && self.waits_in_vain(&inbound.place, stream)).then_some((inbound, stream))
    }

    /// Cuts a stream: its consumers see it aborted, its producer is told that it has failed, and
    /// what still comes of it is thrown away.
    fn cut(&mut self, record: InKey) {
        let waits = |place: &Place| matches!(place, Place::Line(_));
        if self.inbound.get(record).is_some_and(|of| waits(&of.place)) {
            self.leave_line(record);
        }
        self.end_early(record, Some(lost()));
    }
}

/// Whether nothing more can come in on a session, nor therefore on its other links.
pub(super) fn stops_others(conn: &Conn, session: SessionKey) -> bool {
    if conn.is_full() {
        return true;
    }
    let frames = conn.withheld(session) / u64::from(conn.settings.max_frame_size);
    let mut links = Vec::new();
    conn.engine.links_of(session, &mut links);
    frames >= u64::from(conn.engine.config().session_window) && links.len() > 1
}
