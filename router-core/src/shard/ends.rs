//! The ends of links, sessions and connections, and what becomes of their deliveries.
//!
//! A consumer that leaves: what still waits for it goes home to be chosen again, what was sent and
//! not settled is modified. A producer that leaves: what is complete goes on, what is not is
//! aborted.

use std::collections::VecDeque;

use amqp_codec::DeliveryState;
use amqp_proto::{LinkKey, SessionKey};

use super::conn::LinkSlot;
use super::lanes::{leave_account, origin_of};
use super::link::{InTarget, Queued, Routed};
use super::report::{report_egress, report_ingress};
use super::settle::lost;
use super::state::{Shard, tighten};
use crate::counters::Counter;
use crate::delivery::Place;
use crate::ids::{AddressKey, ConnKey, InKey, InLinkKey, Key, OutKey, ShardId};
use crate::inspect::LinkType;
use crate::mail::{BoundLink, Command, End, Mail, OutRef, RelayEvent, Unbind};
use crate::notice::{LinkEnd, Notice};

impl Shard {
    /// The peer has detached a link, or answered our detach.
    pub(super) fn detached(&mut self, key: ConnKey, link: LinkKey, closed: bool, answer: bool) {
        let how = LinkEnd::Detached;
        if !answer && let Some(conn) = self.conns.get_mut(key) {
            conn.engine.detach(link, closed, None, &mut conn.output);
        }
        self.drop_link(key, link, how);
        self.touch(key);
    }

    /// Frees a link of the engine and what stands behind it.
    pub(super) fn drop_link(&mut self, key: ConnKey, link: LinkKey, how: LinkEnd) {
        self.auto_link_lost(key, link);
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let slot = conn.slot(link);
        conn.set_slot(link, None);
        let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
        conn.engine.forget_link(link, &mut incoming, &mut outgoing);
        match slot {
            Some(LinkSlot::In(in_link)) => self.drop_producer(in_link, &incoming, how),
            Some(LinkSlot::Out(out)) => self.drop_consumer(out, &outgoing, how),
            Some(LinkSlot::Offered(_) | LinkSlot::Refused) | None => {}
        }
    }

    /// A session is gone, and its links with it.
    pub(super) fn drop_session(&mut self, key: ConnKey, session: SessionKey) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.sessions.retain(|(of, _)| *of != session);
        conn.stalled.retain(|(of, _)| *of != session);
        conn.routing.retain(|of| *of != session);
        conn.auto_link_sessions.retain(|of| *of != session);
        if !conn.is_crowded()
            && let Some(roomy) = conn.roomy.take()
        {
            conn.engine.set_config(roomy);
        }
        let mut links = Vec::new();
        conn.engine.links_of(session, &mut links);
        for link in links {
            self.drop_link(key, link, LinkEnd::Lost);
        }
        self.touch(key);
    }

    /// A connection is gone, and all its links with it.
    pub(super) fn drop_links_of(&mut self, key: ConnKey) {
        self.forget_container(key);
        self.drop_waiting(key);
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let sessions: Vec<_> = conn
            .sessions
            .drain(..)
            .map(|(session, _)| session)
            .collect();
        for session in sessions {
            let mut links = Vec::new();
            if let Some(conn) = self.conns.get(key) {
                conn.engine.links_of(session, &mut links);
            }
            for link in links {
                self.drop_link(key, link, LinkEnd::ConnectionLost);
            }
        }
    }

    /// Frees a link on which the router receives.
    pub(super) fn drop_producer(&mut self, key: InLinkKey, tokens: &[u64], how: LinkEnd) {
        let Some(link) = self.in_links.get_mut(key) else {
            return;
        };
        // What goes on by itself is on nobody's account.
        let held = std::mem::take(&mut link.bytes);
        self.withhold_for_link(key, held, 0);
        let Some(mut link) = self.in_links.remove(key) else {
            return;
        };
        self.review_window(link.conn, link.session);
        if let Some(conn) = self.conns.get_mut(link.conn) {
            conn.newcomers.remove(&key);
        }
        if link.slow {
            self.slow.remove(&key);
        }
        if let Some(partial) = link.partial {
            self.producer_vanished(partial);
        }
        for &token in tokens {
            self.producer_vanished(InKey(Key::from_token(token)));
        }
        if let InTarget::Routed(routed) = &link.target {
            self.tell_lost(link.conn, routed);
        }
        report_ingress(&mut link, &mut self.carried);
        if let InTarget::Address { key: address, .. } = &link.target {
            if let Some(links) = self.producers.get_mut(address) {
                links.remove(&key);
                if links.is_empty() {
                    self.producers.remove(address);
                    tighten(&mut self.producers);
                }
            }
            let unbind = Unbind {
                key: AddressKey::clone(address),
                link: BoundLink::In(self.id, key),
            };
            self.tell_control(Command::Unbind(unbind), 0);
        }
        self.note_end(link.conn, link.id, how, link.counters, link.zero_since);
    }

    /// The producer of a link that stays for a while has gone: so are its deliveries.
    pub(super) fn give_up_sent(&mut self, key: InLinkKey, tokens: &[u64]) {
        if let Some(partial) = self.in_links.get_mut(key).and_then(|of| of.partial.take()) {
            self.count_down(partial, 0);
            self.producer_vanished(partial);
        }
        let conn = self.in_links.get(key).map(|link| link.conn);
        let is_shared = conn.is_some_and(|conn| self.is_inter_router(conn));
        for &token in tokens {
            let record = InKey(Key::from_token(token));
            if is_shared {
                // Strangers would pay for it; the router of its client lets that pay.
                self.count_down(record, 0);
            }
            // It may wait at the other half, and this one until that has gone: its bytes stay on
            // the link's account as long.
            let bytes = self.inbound.get(record).map_or(0, |of| of.bytes);
            if let Some(routed) = self.in_links.get_mut(key).and_then(|of| of.routed()) {
                routed.orphaned += bytes;
            }
            self.producer_vanished(record);
        }
    }

    /// The consumer of a link that stays for a while has gone: what waits for it goes home, what it
    /// has not settled is modified.
    pub(super) fn give_up_received(&mut self, out: Key, tokens: &[u64]) {
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        let waiting = link.lane_bytes;
        leave_account(link, waiting, &mut self.conns);
        link.lane_settled = 0;
        let lane = std::mem::take(&mut link.lane);
        self.give_up_lane(out, lane);
        self.give_up_unsettled(tokens);
    }

    fn give_up_unsettled(&mut self, tokens: &[u64]) {
        for &token in tokens {
            let key = OutKey(Key::from_token(token));
            let answered = self
                .outbound
                .get(key)
                .is_some_and(|outbound| outbound.answered);
            let state = if answered { None } else { Some(lost()) };
            self.consumer_outcome(key, state, true);
        }
    }

    /// A half of a routed link is gone: the other one is told, unless it knows.
    fn tell_lost(&mut self, conn: ConnKey, routed: &Routed) {
        if routed.lingers && routed.is_near {
            self.linger(conn);
        } else if let Some(conn) = self.conns.get_mut(conn) {
            conn.routed -= usize::from(routed.is_near);
        }
        if let Some(other) = routed.other {
            let closed = !routed.survives;
            self.relay(other, RelayEvent::Lost { closed });
        }
    }

    /// A delivery's producer is gone: what is complete goes on by itself, the rest is aborted.
    fn producer_vanished(&mut self, record: InKey) {
        let Some(inbound) = self.inbound.get_mut(record) else {
            return;
        };
        inbound.link = None;
        let streaming = inbound
            .stream
            .as_ref()
            .is_some_and(|stream| !stream.complete);
        match &inbound.place {
            Place::Line(waiting) if waiting.complete => return,
            Place::Line(_) => self.leave_line(record),
            Place::Sent { .. } if streaming => self.end_stream(record, End::Aborted),
            Place::Fan(fan) => {
                let shards: Vec<_> = fan.shards.iter().map(|&(shard, _)| shard).collect();
                if streaming {
                    self.end_stream(record, End::Aborted);
                }
                for shard in shards {
                    let to = OutRef::Fan(self.id, record);
                    let state = Some(lost());
                    self.post(
                        shard,
                        Mail::Dispose {
                            to,
                            state,
                            settled: true,
                        },
                    );
                }
            }
            Place::Hold(_) | Place::Sent { .. } | Place::Discard(_) => {}
        }
        self.forget_record(record);
    }

    /// What waits in the lane of a link that is gone goes by another, or home.
    fn give_up_lane(&mut self, out: Key, lane: VecDeque<Queued>) {
        for queued in lane {
            if let Some(stays) = self.other_lane(&queued, out) {
                self.change_lane(queued, stays);
                continue;
            }
            self.leave_lane(queued.window, queued.forward.origin.shard);
            if let Some(origin) = origin_of(&queued.forward) {
                self.leave_stream(origin, out);
            }
            if let Some(fan) = queued.fan {
                self.copy_left(fan);
            }
            if let Some(begun) = queued.begun {
                if begun.record.is_none() {
                    self.lose_settled(queued);
                }
            } else if let Some(fan) = queued.fan {
                self.answer_copy(fan, Some(DeliveryState::Released), true);
            } else {
                let mut forward = queued.forward;
                // Its end may have come while it waited.
                forward.complete |= queued.end == End::Last;
                self.send_back(forward);
            }
        }
    }

    /// Frees a link on which the router sends.
    pub(super) fn drop_consumer(&mut self, out: Key, tokens: &[u64], how: LinkEnd) {
        let Some(mut link) = self.out_links.remove(out) else {
            return;
        };
        let waiting = link.lane_bytes;
        leave_account(&mut link, waiting, &mut self.conns);
        let lane = std::mem::take(&mut link.lane);
        self.give_up_lane(out, lane);
        self.give_up_unsettled(tokens);
        report_egress(&mut link, &mut self.carried);
        if let Some(address) = link.address
            && let Some(links) = self.consumers.get_mut(&address)
        {
            links.retain(|&of| of != out);
            if links.is_empty() {
                self.consumers.remove(&address);
                tighten(&mut self.consumers);
            }
        }
        if link.stalled {
            self.leave_stalled(link.conn, link.session, out);
        }
        if link.answer.is_some() {
            self.consumer_answered(link.conn);
        }
        if let Some(routed) = &link.routed {
            self.tell_lost(link.conn, routed);
            self.note_end(link.conn, link.id, how, link.counters, link.zero_since);
            return;
        }
        if link.kind != LinkType::Endpoint {
            if let Some(conn) = self.conns.get_mut(link.conn) {
                conn.drop_neighbor_link(out);
            }
            let gone = self.out_key(out);
            self.tell_control(Command::LinkDown(gone), 0);
            for shard in (0..self.shards).map(ShardId) {
                self.post(shard, Mail::Gone(gone));
            }
            self.note_end(link.conn, link.id, how, link.counters, link.zero_since);
            return;
        }
        let bound = BoundLink::Out {
            link: self.out_key(out),
            capacity: link.capacity,
            annotated: link.annotated,
        };
        let unbind = Unbind {
            key: AddressKey::clone(&link.key),
            link: bound,
        };
        self.tell_control(Command::Unbind(unbind), 0);
        self.note_end(link.conn, link.id, how, link.counters, link.zero_since);
    }

    /// A delivery without record was sent in part when its consumer left: settled by its producer,
    /// who hears nothing of a whole one, or settled for the consumer's sake alone.
    fn lose_settled(&mut self, queued: Queued) {
        let Queued {
            forward, fan, end, ..
        } = queued;
        self.uncount(forward.slot);
        let state = (!forward.settled).then(lost);
        if forward.settled && end != End::More && !forward.awaited {
            return;
        }
        match (fan, origin_of(&forward)) {
            (Some(fan), _) => self.answer_copy(fan, state, true),
            (None, Some(origin)) => self.answer(origin, None, state, true),
            (None, None) => {}
        }
    }

    fn note_end(
        &mut self,
        conn: ConnKey,
        link: crate::ids::LinkId,
        how: LinkEnd,
        counters: crate::inspect::LinkCounters,
        zero_since: Option<u32>,
    ) {
        self.counters.sub(Counter::Links, 1);
        let Some(conn) = self.conns.get(conn) else {
            return;
        };
        let blocked = zero_since
            .is_some_and(|since| self.second.saturating_sub(since) > super::trouble::OLD_SECONDS);
        let counters = Box::new(counters);
        self.notices.push(Notice::LinkEnded {
            connection: conn.id,
            link,
            how,
            counters,
            blocked,
        });
    }
}
