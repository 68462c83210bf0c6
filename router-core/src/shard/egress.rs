//! Transfers out: the stage that fills send queues from lanes. Encoding is late: a payload stays a
//! reference in its lane until the send queue has room.

use std::sync::Arc;

use amqp_codec::{DeliveryState, DeliveryTag};
use amqp_proto::{LinkKey, OutTransfer, Payload, Sent, SessionKey, Time};
use bytes::Bytes;

use super::conn::{Conn, Phase};
use super::link::{Begun, Drain, Queued};
use super::shown::shown;
use super::state::{Incoming, Shard};
use crate::delivery::{OutOrigin, Outbound};
use crate::ids::{ConnKey, Direction, Key, OutKey, ShardId};
use crate::mail::{End, Heads, Mail};

use super::lanes::{enter_account, leave_account, origin_of};

/// Deliveries that one link may send before the next link of its connection has its turn.
const DELIVERIES_PER_LINK: usize = 64;

/// Why a link stops sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// It has had its share.
    Share,
    /// The lane is empty, or its head is a stream that has not arrived further.
    Empty,
    /// No credit.
    Credit,
    /// No window in the session.
    Window,
    /// The connection's send queue is full.
    Queue,
    /// The hello before this one is in the send queue, and nothing is written.
    Hello,
}

impl Shard {
    /// Fills the send queues of all connections that were touched.
    pub(super) fn send_deliveries(&mut self, now: Time) {
        for place in 0..self.touched.len() {
            let key = self.touched[place];
            self.fill(key, now);
        }
        self.settle_lanes();
    }

    fn fill(&mut self, key: ConnKey, now: Time) {
        loop {
            let Some(conn) = self.conns.get_mut(key) else {
                return;
            };
            if conn.phase != Phase::Open || conn.output.is_full() {
                return;
            }
            let Some(out) = conn.ready.pop() else {
                return;
            };
            let pause = self.send_lane(key, out, now);
            let Some(link) = self.out_links.get_mut(out) else {
                self.wake_next(key);
                continue;
            };
            match pause {
                Pause::Empty | Pause::Credit | Pause::Hello => {
                    link.ready = false;
                    self.note_used_up(key, out);
                    self.wake_next(key);
                }
                Pause::Window => {
                    link.ready = false;
                    self.stall(key, out);
                }
                Pause::Share | Pause::Queue => {
                    let class = link.class();
                    if let Some(conn) = self.conns.get_mut(key) {
                        conn.ready.push(out, class);
                    }
                }
            }
            if pause == Pause::Queue {
                return;
            }
        }
    }

    /// Sends from one lane.
    fn send_lane(&mut self, conn: ConnKey, out: Key, now: Time) -> Pause {
        for _ in 0..DELIVERIES_PER_LINK {
            let Some(link) = self.out_links.get(out) else {
                return Pause::Empty;
            };
            if link.answer.is_some() {
                return Pause::Empty;
            }
            if link.lane.is_empty() {
                self.finish_drain(out);
                self.finish_routed(out);
                return Pause::Empty;
            }
            if let Some(pause) = self.send_head(conn, out, now) {
                if matches!(pause, Pause::Credit | Pause::Window) {
                    self.finish_drain(out);
                }
                return pause;
            }
        }
        Pause::Share
    }

    /// Sends the head of a lane, or as much of it as can go. `None`: on to the next.
    fn send_head(&mut self, conn_key: ConnKey, out: Key, now: Time) -> Option<Pause> {
        let tag = self.delivery_tag();
        let Self {
            conns,
            out_links,
            outbound,
            ..
        } = self;
        let conn = conns.get_mut(conn_key)?;
        let link = out_links.get_mut(out)?;
        let queued = link.lane.front_mut()?;
        if queued.begun.is_none() {
            if queued.end == End::Aborted {
                self.drop_head(out);
                return None;
            }
            if let Some(pause) = why_not_begin(conn, link.link, link.session) {
                return Some(pause);
            }
            if queued.forward.urgent && conn.holds_hello(out) {
                return Some(Pause::Hello);
            }
        }
        // Only now: what is not sent may go to a link that wants the other form.
        let head = take_head(queued, link.annotated);
        if head.is_empty() && queued.forward.payload.is_empty() && queued.end == End::More {
            return Some(Pause::Empty);
        }
        let settled = queued.forward.settled || link.settles;
        let begun = queued.begun.unwrap_or_else(|| Begun {
            record: (!settled).then(|| OutKey(outbound.vacant_key())),
            tag,
        });
        let fresh = queued.begun.is_none();
        let transfer = transfer_of(queued, begun, settled)?;
        let sent = conn.engine.send_transfer(
            link.link,
            &transfer,
            &head,
            &queued.forward.payload,
            &mut conn.output,
        );
        if sent != Sent::Whole {
            put_back(queued, head);
        }
        if sent == Sent::Blocked {
            return Some(if conn.output.is_full() {
                Pause::Queue
            } else {
                Pause::Window
            });
        }
        conn.last_delivery = Some(now);
        conn.count_carried(link.kind);
        if fresh {
            queued.begun = Some(begun);
            if self.wanted.messages {
                let payload = &queued.forward.payload;
                self.notices
                    .extend(shown(conn, link.link, Direction::Out, payload));
            }
            conn.ready.hello.is_unwritten |= queued.forward.urgent;
            self.next_tag += 1;
            if let Some(record) = begun.record {
                let origin = out_origin(queued)?;
                let id = conn.engine.last_delivery_id(link.link);
                outbound.insert(sent_record(queued, origin, out, id));
                self.note_sent(record, origin);
            }
        }
        self.head_sent(out, sent)
    }

    /// Books what was taken of the head of a lane.
    fn head_sent(&mut self, out: Key, sent: Sent) -> Option<Pause> {
        let second = self.second;
        let link = self.out_links.get_mut(out)?;
        link.moved = second;
        let queued = link.lane.front_mut()?;
        let whole = match sent {
            Sent::Whole => {
                queued.forward.payload = Payload::new();
                true
            }
            Sent::Part(count) => {
                queued.forward.payload.advance(count);
                false
            }
            Sent::Blocked => return Some(Pause::Window),
        };
        let streamed = !queued.forward.complete;
        if streamed {
            self.report_progress(out);
        }
        let link = self.out_links.get_mut(out)?;
        if whole && link.lane.front()?.end != End::More {
            self.head_done(out);
            return None;
        }
        if whole {
            Some(Pause::Empty)
        } else {
            Some(self.why_part(out))
        }
    }

    /// Why only a part of a message could be sent.
    fn why_part(&self, out: Key) -> Pause {
        let full = self
            .out_links
            .get(out)
            .and_then(|link| self.conns.get(link.conn))
            .is_some_and(|conn| conn.output.is_full());
        if full { Pause::Queue } else { Pause::Window }
    }

    /// The head of a lane has been sent to its end.
    fn head_done(&mut self, out: Key) {
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        let Some(queued) = link.lane.pop_front() else {
            return;
        };
        leave_account(link, queued.weight(), &mut self.conns);
        let Queued {
            forward,
            fan,
            begun,
            end,
            window,
            ..
        } = queued;
        self.count_egress(out, forward.entry, fan.is_some());
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        let settles = link.settles;
        if forward.settled {
            link.lane_settled -= 1;
            link.counters.presettled += 1;
            link.rate.add(self.second);
        }
        self.leave_lane(window, forward.origin.shard);
        if forward.awaited {
            self.note_left(&forward, fan);
        }
        if !forward.complete
            && let Some(origin) = origin_of(&forward)
            && fan.is_none()
        {
            self.by_origin.remove(&origin);
        }
        if end == End::Aborted
            && let Some(record) = begun.and_then(|begun| begun.record)
        {
            self.forget_outbound(record);
        } else if forward.settled {
            self.uncount(forward.slot);
        } else if settles {
            self.uncount(forward.slot);
            if end == End::Aborted {
                // Whoever gave it up has had its answer, or wants none.
                return;
            }
            let state = Some(DeliveryState::Accepted);
            match fan {
                Some(fan) => self.answer_copy(fan, state, true),
                None => {
                    if let Some(origin) = origin_of(&forward) {
                        self.answer(origin, None, state, true);
                    }
                }
            }
        }
    }

    /// An aborted delivery that never began: the consumer hears nothing and loses no credit.
    fn drop_head(&mut self, out: Key) {
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        let Some(queued) = link.lane.pop_front() else {
            return;
        };
        leave_account(link, queued.weight(), &mut self.conns);
        let Queued {
            forward,
            fan,
            window,
            ..
        } = queued;
        link.lane_settled -= usize::from(forward.settled);
        self.leave_lane(window, forward.origin.shard);
        self.uncount(forward.slot);
        if let Some(origin) = origin_of(&forward)
            && fan.is_none()
        {
            self.by_origin.remove(&origin);
        }
        // It has used nothing of what its receiver asked for.
        self.tell_credit(out);
    }

    /// A delivery has left a lane: the other end of the pipe to the link whose window it took may
    /// have to hear of it.
    pub(super) fn leave_lane(&mut self, window: Option<Key>, from: ShardId) {
        let Some(out) = window else { return };
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        if let Some(pipe) = link.pipes.iter_mut().find(|pipe| pipe.from == from)
            && pipe.drain()
        {
            self.grants.push((out, from));
        }
    }

    /// The consumer's flow: credit, and perhaps a drain.
    pub(super) fn consumer_flow(&mut self, out: Key) {
        let second = self.second;
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        let Some(conn) = self.conns.get(link.conn) else {
            return;
        };
        let credit = conn.engine.credit(link.link);
        match (credit, link.zero_since) {
            (0, None) => link.zero_since = Some(second),
            (1.., Some(_)) => link.zero_since = None,
            _ => {}
        }
        let drains = conn.engine.drain_requested(link.link) && credit > 0;
        if link.routed.is_some() {
            if !drains {
                link.drain = Drain::No;
            }
            self.tell_credit(out);
            self.mark_ready(out);
            return;
        }
        if !drains {
            link.drain = Drain::No;
        } else if link.drain == Drain::No && link.answer.is_none() {
            link.sweeps = link.sweeps.wrapping_add(1);
            link.drain = Drain::Sweeping(self.shards);
            let sweep = link.sweeps;
            self.sweep(out, credit, sweep);
        }
        self.mark_ready(out);
    }

    /// Asks every shard to forward what waits for a link that is being drained.
    fn sweep(&mut self, out: Key, credit: u32, sweep: u32) {
        let link = self.out_key(out);
        for shard in 0..self.shards {
            let from = ShardId(shard);
            let limit = self.out_links.get_mut(out).and_then(|link| {
                link.pipes
                    .iter_mut()
                    .find(|pipe| pipe.from == from)
                    .map(|pipe| pipe.grant(credit))
            });
            let limit = limit.unwrap_or(0);
            self.post(
                from,
                Mail::Window {
                    link,
                    limit,
                    sweep: Some(sweep),
                },
            );
        }
    }

    /// A shard has forwarded what it had for a link that is being drained; what it says of a drain
    /// that was taken back does not count for the next.
    pub(super) fn swept(&mut self, out: Key, sweep: u32) {
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        if link.sweeps != sweep {
            return;
        }
        link.drain = match link.drain {
            Drain::Sweeping(1) => Drain::Ready,
            Drain::Sweeping(more) => Drain::Sweeping(more - 1),
            other => other,
        };
        self.mark_ready(out);
    }

    /// Answers a drain once nothing more can be sent: credit is used up (amqp-1.0 §2.6.7).
    fn finish_drain(&mut self, out: Key) {
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        if link.drain != Drain::Ready {
            return;
        }
        let Some(conn) = self.conns.get_mut(link.conn) else {
            return;
        };
        let exhausted = conn.engine.credit(link.link) == 0;
        if link.lane.is_empty() || exhausted {
            link.drain = Drain::No;
            conn.engine.drained(link.link, &mut conn.output);
        }
    }

    /// More of a streamed delivery has come.
    pub(super) fn take_data(
        &mut self,
        of: (ShardId, crate::ids::InKey),
        chunk: Payload,
        end: End,
        state: Option<Box<DeliveryState>>,
    ) {
        match self.by_origin.get(&of).copied() {
            Some(Incoming::Link(link)) => {
                self.extend(link, of, chunk, end, state);
                if end != End::More {
                    self.by_origin.remove(&of);
                }
            }
            Some(Incoming::Fan(fan)) => {
                let Some(copies) = self.copies.get_mut(fan) else {
                    return;
                };
                copies.ended = end != End::More;
                // Nobody answers for what is given up.
                copies.settled |= end == End::Aborted;
                for (link, _) in copies.progress.clone() {
                    self.extend(link, of, chunk.clone(), end, state.clone());
                }
                self.release_copies(fan);
            }
            None => {}
        }
    }

    fn extend(
        &mut self,
        out: Key,
        of: (ShardId, crate::ids::InKey),
        chunk: Payload,
        end: End,
        state: Option<Box<DeliveryState>>,
    ) {
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        let Some(queued) = link
            .lane
            .iter_mut()
            .rev()
            .find(|queued| origin_of(&queued.forward) == Some(of))
        else {
            return;
        };
        let before = queued.weight();
        queued.received += chunk.len() as u64;
        queued.end = end;
        if state.is_some() {
            queued.forward.state = state;
        }
        if end != End::Aborted {
            let waiting = !queued.forward.payload.is_empty();
            match waiting {
                true => queued.forward.payload.append_waiting(chunk),
                false => queued.forward.payload.append(chunk),
            }
        }
        let waits = queued.begun.is_none() && queued.fan.is_none();
        if waits && queued.forward.settled && end == End::Last {
            // Nobody's credit bounds how many such messages there are for a consumer that does not
            // read: they hold no more than they are long, not the windows they were read into.
            queued.forward.payload.settle();
        }
        let after = queued.weight();
        enter_account(link, after.saturating_sub(before), &mut self.conns);
        leave_account(link, before.saturating_sub(after), &mut self.conns);
        self.mark_ready(out);
    }
}

/// Why no delivery can begin on a link now.
fn why_not_begin(conn: &Conn, link: LinkKey, session: SessionKey) -> Option<Pause> {
    if conn.engine.credit(link) == 0 {
        return Some(Pause::Credit);
    }
    if conn.engine.session_window(session) == 0 {
        return Some(Pause::Window);
    }
    conn.output.is_full().then_some(Pause::Queue)
}

/// Who hears of the outcome of a delivery in a lane.
fn out_origin(queued: &Queued) -> Option<OutOrigin> {
    match queued.fan {
        Some(fan) => Some(OutOrigin::Fan(fan)),
        None => {
            origin_of(&queued.forward).map(|(shard, delivery)| OutOrigin::Delivery(shard, delivery))
        }
    }
}

/// The record of a delivery that has begun to be sent.
fn sent_record(queued: &Queued, origin: OutOrigin, link: Key, delivery_id: u32) -> Outbound {
    Outbound {
        link,
        delivery_id,
        origin,
        slot: queued.forward.slot,
        born: queued.born,
        stated: false,
        answered: false,
    }
}

/// The transfer by which a delivery is sent, or goes on to be sent.
fn transfer_of(queued: &Queued, begun: Begun, settled: bool) -> Option<OutTransfer<'_>> {
    let heads = queued.forward.heads.as_ref();
    let label = heads.and_then(|heads| heads.label);
    let (tag, message_format) = match label {
        Some(label) => (label.tag, label.format),
        None => (DeliveryTag::new(&begun.tag.to_le_bytes())?, 0),
    };
    let token = begun.record.map_or(0, |record| record.0.token());
    Some(OutTransfer {
        message_format,
        settled,
        state: queued.forward.state.as_deref(),
        more: queued.end == End::More,
        aborted: queued.end == End::Aborted,
        ..OutTransfer::new(token, tag)
    })
}

/// Not all of a delivery could be sent: from here on its new leading sections are a part of it.
fn put_back(queued: &mut Queued, head: Bytes) {
    if !head.is_empty() {
        let rest = std::mem::replace(&mut queued.forward.payload, Payload::from(head));
        queued.forward.payload.append(rest);
    }
}

/// The rewritten leading sections, if there are any: what they replace is cut off.
fn take_head(queued: &mut Queued, annotated: bool) -> Bytes {
    // What is kept is kept for all parts.
    let is_rewritten = |heads: &mut Arc<Heads>| heads.label.is_none();
    let Some(heads) = queued.forward.heads.take_if(is_rewritten) else {
        return Bytes::new();
    };
    let marked = heads.annotated.as_ref().filter(|_| annotated);
    let Some(head) = marked.or(heads.stripped.as_ref()) else {
        return Bytes::new();
    };
    queued.forward.payload.advance(heads.replaces as usize);
    Bytes::clone(head)
}
