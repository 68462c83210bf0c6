//! Deliveries that are forwarded before they are complete: frames go on as they come, and what runs
//! too far ahead of its consumers withholds the incoming window of its session.

use amqp_codec::DeliveryState;
use amqp_proto::{InTransfer, Payload, SessionKey};

use super::conn::{Conn, Fill, Withheld};
use super::link::{InLink, InTarget};
use super::state::{Incoming, Shard};
use crate::delivery::Place;
use crate::ids::{ConnKey, InKey, InLinkKey, Key, ShardId};
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::{End, Mail};

use super::lanes::origin_of;

/// Whether a session gets window all the same where it would get none.
enum Spared {
    /// It does not.
    No,
    /// All that it would get but for its connection: its one link is what it is spared for.
    Alone,
    /// A little: other links share it.
    Among,
}

impl Shard {
    /// A further frame of a delivery that is no longer held.
    pub(super) fn stream_frame(
        &mut self,
        key: InLinkKey,
        record: InKey,
        frame: &InTransfer,
        more: Payload,
    ) {
        let end = match (frame.aborted, frame.more) {
            (true, _) => End::Aborted,
            (false, true) => End::More,
            (false, false) => End::Last,
        };
        if end == End::Aborted && self.wanted.messages {
            self.show_aborted(key);
        }
        let Some(inbound) = self.inbound.get_mut(record) else {
            return;
        };
        if let Some(stream) = &mut inbound.stream {
            stream.received += more.len() as u64;
            stream.complete = end != End::More;
        }
        if !matches!(inbound.place, Place::Discard(_)) {
            self.count_bytes(record, more.len() as u64);
        }
        let Some(inbound) = self.inbound.get_mut(record) else {
            return;
        };
        let state = frame.state.clone().map(Box::new);
        match &mut inbound.place {
            Place::Discard(state) => {
                let state = state.take();
                match end {
                    End::More => inbound.place = Place::Discard(state),
                    End::Last => self.conclude(record, state.map(|state| *state)),
                    End::Aborted => self.abandon(key, record),
                }
                return;
            }
            Place::Line(waiting) => {
                if end == End::Aborted {
                    self.leave_line(record);
                    self.abandon(key, record);
                    return;
                }
                waiting.payload.append_waiting(more);
                waiting.complete = end == End::Last;
                waiting.state = state.or(waiting.state.take());
            }
            Place::Sent { .. } | Place::Fan(_) => self.post_data(record, &more, end, state),
            Place::Hold(_) => return,
        }
        match end {
            End::Aborted => self.abandon(key, record),
            End::More => self.update_withheld(record, None),
            End::Last => {
                self.update_withheld(record, None);
                self.finish_stream(record);
            }
        }
    }

    /// The last frame of a stream has been passed on.
    fn finish_stream(&mut self, record: InKey) {
        let Some(inbound) = self.inbound.get(record) else {
            return;
        };
        let is_kept = inbound.stream.as_ref().is_some_and(|stream| stream.kept);
        if matches!(inbound.place, Place::Line(_)) || !inbound.settled || is_kept {
            return;
        }
        // Its consumers do not know if it was settled on the way.
        self.tell_consumers(record, None, true);
        self.conclude_settled(record, None);
    }

    /// A settled delivery needs its record no longer.
    pub(super) fn conclude_settled(&mut self, record: InKey, state: Option<&DeliveryState>) {
        let Some(inbound) = self.inbound.get(record) else {
            return;
        };
        let (link, born) = (inbound.link, inbound.born);
        if let Some(key) = link {
            self.lose_sight(key);
        }
        self.forget_record(record);
        if let Some(key) = link {
            self.count_end(key, state.is_none(), state, born);
            self.unhold(key, false);
        }
    }

    /// The producer gave a delivery up: nothing is said to it.
    fn abandon(&mut self, key: InLinkKey, record: InKey) {
        self.forget_record(record);
        self.unhold(key, false);
    }

    /// Sends the end of a stream to wherever its beginning went.
    pub(super) fn end_stream(&mut self, record: InKey, end: End) {
        self.post_data(record, &Payload::default(), end, None);
    }

    fn post_data(
        &mut self,
        record: InKey,
        chunk: &Payload,
        end: End,
        state: Option<Box<DeliveryState>>,
    ) {
        let of = crate::ids::Origin {
            shard: self.id,
            delivery: Some(record),
        };
        let Some(inbound) = self.inbound.get(record) else {
            return;
        };
        let shards: Vec<ShardId> = match &inbound.place {
            Place::Sent { target, .. } => vec![target.shard],
            Place::Fan(fan) => fan.shards.iter().map(|&(shard, _)| shard).collect(),
            _ => return,
        };
        for shard in shards {
            self.post(
                shard,
                Mail::Data {
                    of,
                    chunk: chunk.clone(),
                    end,
                    state: state.clone(),
                },
            );
        }
    }

    /// How much of a stream has left the box at one shard.
    pub(super) fn take_progress(&mut self, record: InKey, from: ShardId, bytes: u64, begun: bool) {
        let Some(inbound) = self.inbound.get_mut(record) else {
            return;
        };
        let slowest = match &mut inbound.place {
            Place::Fan(fan) => {
                for (shard, progress) in &mut fan.shards {
                    if *shard == from {
                        *progress = bytes.max(*progress);
                    }
                }
                fan.shards
                    .iter()
                    .map(|&(_, progress)| progress)
                    .min()
                    .unwrap_or(bytes)
            }
            _ => bytes,
        };
        if let Some(stream) = &mut inbound.stream {
            stream.begun |= begun;
            if slowest > stream.progress {
                stream.progress = slowest;
                stream.moved = self.second;
            }
            let ahead = stream.ahead();
            self.count_down(record, ahead);
        }
        self.update_withheld(record, None);
    }

    /// A shard has nothing more to do with a delivery: the others set a stream's pace.
    pub(super) fn leave_fan(&mut self, record: InKey, from: ShardId) {
        let Some(inbound) = self.inbound.get(record) else {
            return;
        };
        if !matches!(inbound.place, Place::Fan(_)) {
            return;
        }
        match inbound.stream {
            Some(_) => self.take_progress(record, from, u64::MAX, false),
            None => self.take_left(from, &[record]),
        }
    }

    /// Adjusts what a stream withholds of its session's window.
    pub(super) fn update_withheld(&mut self, record: InKey, value: Option<u64>) {
        let Some(inbound) = self.inbound.get_mut(record) else {
            return;
        };
        let Some(stream) = &mut inbound.stream else {
            return;
        };
        let due = value.unwrap_or_else(|| stream.ahead().saturating_sub(limits::STREAM_WINDOW));
        let gives_back = due > 0 && due < stream.withheld;
        if gives_back && stream.withheld - due < limits::WITHHELD_STEP {
            // Many small windows cost a peer with a long message more than a few large ones.
            return;
        }
        let before = std::mem::replace(&mut stream.withheld, due);
        let (conn, session) = (inbound.conn, inbound.session);
        if before == due {
            self.review_window(conn, session);
        }
        if before == 0 && due > 0 && self.is_inter_router(conn) {
            self.note_behind(record);
        }
        if before != due {
            self.withhold_for_streams(conn, session, before, due);
        }
    }

    /// A delivery that was a stream is one no more: it goes on, or waits, as a whole.
    pub(super) fn forget_stream(&mut self, record: InKey) {
        self.update_withheld(record, Some(0));
        if let Some(inbound) = self.inbound.get_mut(record) {
            inbound.stream = None;
        }
    }

    /// A stream's share of what its session withholds has changed, in bytes.
    pub(super) fn withhold_for_streams(
        &mut self,
        conn: ConnKey,
        session: SessionKey,
        before: u64,
        after: u64,
    ) {
        let Some(entry) = self.conns.get_mut(conn) else {
            return;
        };
        if let Some((_, withheld)) = entry.sessions.iter_mut().find(|(key, _)| *key == session) {
            withheld.streams = (withheld.streams + after).saturating_sub(before);
        }
        self.apply_withheld(conn, session);
    }

    /// A link holds more or less than before, in bytes: beyond its share its session's window is
    /// withheld, beyond the connection's share the windows of all sessions are.
    pub(super) fn withhold_for_link(&mut self, link: InLinkKey, before: u64, after: u64) {
        if before == after {
            return;
        }
        let second = self.second;
        let Some(link) = self.in_links.get_mut(link) else {
            return;
        };
        if let InTarget::Routed(routed) = &mut link.target
            && (before == 0 || after < before)
        {
            routed.moved = second;
        }
        let (key, session) = (link.conn, link.session);
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let matters = conn.count_held(before, after);
        // In steps, as for streams.
        let beyond = |bytes: u64| {
            let bytes = bytes.saturating_sub(limits::LINK_BYTES);
            bytes.next_multiple_of(limits::WITHHELD_STEP)
        };
        let (before, after) = (beyond(before), beyond(after));
        if before != after
            && let Some((_, withheld)) = conn.sessions.iter_mut().find(|(of, _)| *of == session)
        {
            withheld.links = (withheld.links + after).saturating_sub(before);
        }
        if matters {
            let sessions: Vec<_> = conn.sessions.iter().map(|&(of, _)| of).collect();
            for session in sessions {
                self.apply_withheld(key, session);
            }
        } else if before != after {
            self.apply_withheld(key, session);
        }
    }

    /// Whether a session gets window although it, or its connection, holds all that it may: the one
    /// of the routing protocol, which is on nobody's account, and one that carries a stream for
    /// whose next bytes its consumers wait. Were that held up, what lies behind it in their lanes
    /// would be kept for ever. Others who send by the session may use up what it gets, until their
    /// credit has: so it gets little, and none once twice as much is held as may be.
    fn spared(&self, conn: &Conn, session: SessionKey) -> Spared {
        let producers = conn.producers(session);
        let is_alone = producers.len() == 1;
        if !is_alone && conn.fill == Fill::Brimful {
            return Spared::No;
        }
        let mut links = producers.iter().filter_map(|&key| self.in_links.get(key));
        match links.any(|link| link.kind == LinkType::RouterControl || self.is_wanted(link)) {
            true if is_alone => Spared::Alone,
            true => Spared::Among,
            false => Spared::No,
        }
    }

    /// Whether a consumer waits for more of what arrives on a link and may have it, or none is
    /// wanted. A stream goes at the pace of the slowest of those who get a copy: as long as that
    /// one is not a window behind, the others wait for what comes, and so does what lies behind in
    /// their lanes; that one itself need not have begun.
    fn is_wanted(&self, link: &InLink) -> bool {
        let Some(inbound) = link.partial.and_then(|record| self.inbound.get(record)) else {
            return false;
        };
        let stream = inbound.stream.as_deref();
        matches!(inbound.place, Place::Discard(_))
            || stream.is_some_and(|of| of.begun && of.ahead() < limits::STREAM_WINDOW)
    }

    /// What a session carries is not what it was: if it is held back it may be spared for that.
    pub(super) fn review_window(&mut self, key: ConnKey, session: SessionKey) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let holds = |(of, withheld): &(_, Withheld)| {
            *of == session && withheld.links + withheld.streams > 0
        };
        if conn.is_full() || conn.sessions.iter().any(holds) {
            self.apply_withheld(key, session);
        }
    }

    /// What streams withhold on a session of a client that sends by one link only, in bytes that
    /// came by this link.
    fn withheld_alone(&self, key: ConnKey, session: SessionKey) -> u64 {
        let conn = self.conns.get(key).filter(|_| !self.is_inter_router(key));
        let producers = conn.map(|conn| conn.producers(session)).unwrap_or_default();
        let [link] = producers[..] else {
            return 0;
        };
        let held = self.in_links.get(link).map_or(0, |link| link.bytes);
        held.saturating_sub(limits::STREAM_WINDOW)
    }

    fn apply_withheld(&mut self, key: ConnKey, session: SessionKey) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let Some((_, withheld)) = conn.sessions.iter().find(|(of, _)| *of == session) else {
            return;
        };
        let alone = match withheld.streams {
            0 => 0,
            streams => streams.min(self.withheld_alone(key, session)),
        };
        let frames = withheld.bytes_beside(alone) / u64::from(conn.settings.max_frame_size);
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        let window = conn.engine.full_window(session);
        let most = window.saturating_sub(limits::CROWDED_WINDOW_FRAMES);
        let frames = match conn.is_full() {
            false if frames <= most => frames,
            is_full => match self.spared(conn, session) {
                Spared::Alone => frames.min(most),
                Spared::Among => most,
                Spared::No if is_full => u32::MAX,
                Spared::No => frames,
            },
        };
        self.routed_waits.held |= frames > 0;
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.engine.set_withheld(session, frames);
        self.touch(key);
    }

    /// Tells the producer's shard how much of a stream at the head of a lane has been sent.
    pub(super) fn report_progress(&mut self, out: Key) {
        let Some(queued) = self
            .out_links
            .get_mut(out)
            .and_then(|link| link.lane.front_mut())
        else {
            return;
        };
        let sent = queued
            .received
            .saturating_sub(queued.forward.payload.len() as u64);
        // That it has begun is told at once: all that lies behind it waits for the rest.
        let begins = queued.reported == 0 && sent > 0;
        let due = begins || sent - queued.reported.min(sent) >= limits::STREAM_WINDOW / 4;
        if !due && queued.end == End::More {
            return;
        }
        queued.reported = sent;
        let Some(origin) = origin_of(&queued.forward) else {
            return;
        };
        let bytes = match queued.fan.and_then(|fan| self.copies.get_mut(fan)) {
            Some(copies) => {
                for (link, progress) in &mut copies.progress {
                    if *link == out {
                        *progress = sent;
                    }
                }
                copies
                    .progress
                    .iter()
                    .map(|&(_, progress)| progress)
                    .min()
                    .unwrap_or(sent)
            }
            None => sent,
        };
        let from = self.id;
        self.post(
            origin.0,
            Mail::Progress {
                to: origin.1,
                from,
                bytes,
                begun: sent > 0,
            },
        );
    }

    /// A link with a copy of a stream is gone: the others set the pace.
    pub(super) fn leave_stream(&mut self, origin: (ShardId, InKey), out: Key) {
        match self.by_origin.get(&origin).copied() {
            Some(Incoming::Link(link)) if link == out => {
                self.by_origin.remove(&origin);
            }
            Some(Incoming::Fan(fan)) => {
                let Some(copies) = self.copies.get_mut(fan) else {
                    return;
                };
                copies.progress.retain(|&(link, _)| link != out);
                let slowest = copies.progress.iter().map(|&(_, progress)| progress).min();
                if let Some(bytes) = slowest {
                    // Nobody else would tell: the others may have sent all there is.
                    let (to, from) = (origin.1, self.id);
                    let begun = copies.progress.iter().any(|&(_, progress)| progress > 0);
                    let progress = Mail::Progress {
                        to,
                        from,
                        bytes,
                        begun,
                    };
                    self.post(origin.0, progress);
                }
            }
            _ => {}
        }
    }
}
