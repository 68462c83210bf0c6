//! The lanes of consumers' links: what arrives for a link waits there, first come first served,
//! until credit, session window and send queue let it out.

use amqp_codec::DeliveryState;

use super::conn::Conn;
use super::link::{OutLink, Queued};
use super::state::{Incoming, Shard};
use crate::counters::Counter;
use crate::delivery::{Copies, Merge, Merged};
use crate::ids::{AddressId, ConnKey, FanKey, InKey, Key, ShardId};
use crate::inspect::LinkType;
use crate::keyed::Keyed;
use crate::limits;
use crate::mail::{End, Forward, Mail, Target};
use crate::route::NO_SLOT;

use super::pipe::PipeRx;

impl Shard {
    /// A delivery for one of this shard's links, or for all that consume an address.
    pub(super) fn take_forward(&mut self, forward: Forward) {
        match forward.to {
            Target::Link(to) => {
                if !self.arrives(to.link) {
                    if !forward.complete && !forward.settled {
                        // Nothing comes home by which its shard would hear that.
                        self.post(forward.origin.shard, Mail::Gone(to));
                    }
                    self.send_back(forward);
                    return;
                }
                let link = self.lane_for(to.link, &forward);
                if !forward.complete
                    && let Some(origin) = origin_of(&forward)
                {
                    self.by_origin.insert(origin, Incoming::Link(link));
                }
                self.queue(link, forward, None, false);
            }
            Target::Fan(address) => self.fan(address, forward),
        }
    }

    /// A copy for each link that consumes the address at this moment.
    fn fan(&mut self, address: AddressId, mut forward: Forward) {
        let mut links = self.consumers.get(&address).cloned().unwrap_or_default();
        let beyond = forward.beyond.clone();
        let beyond = beyond.iter().flat_map(|links| links.iter());
        let own = self.id;
        for link in beyond.filter(|link| link.shard == own) {
            if self.out_links.get(link.link).is_some() {
                links.push(self.lane_for(link.link, &forward));
            }
        }
        let shared = links.len() > 1;
        if shared {
            // Once for all of them, so that copies that wait are still one in memory.
            forward.payload.settle();
        }
        let Some(origin) = origin_of(&forward) else {
            self.queue_copies(&links, forward, None, shared);
            return;
        };
        // A consumer that leaves so much unread that its connection is full has its copies
        // released: there may be as many as it has links, for every delivery.
        let asked = links.len();
        if !forward.settled {
            links.retain(|&link| self.has_room_for_copy(link));
        }
        if links.is_empty() {
            let state = Some(DeliveryState::Released);
            self.answer(origin, None, state, true);
            return;
        }
        let key = FanKey(self.copies.insert(Copies {
            origin,
            settled: forward.settled,
            ended: forward.complete,
            merge: Merge::new(asked),
            progress: links.iter().map(|&link| (link, 0)).collect(),
            sent: Vec::new(),
            waiting: links.len(),
            awaited: forward.awaited,
        }));
        self.by_origin.insert(origin, Incoming::Fan(key));
        let refused = asked - links.len();
        self.queue_copies(&links, forward, Some(key), shared);
        for _ in 0..refused {
            self.answer_copy(key, Some(DeliveryState::Released), true);
        }
    }

    /// Whether the connection of a consumer holds less than it may.
    fn has_room_for_copy(&self, link: Key) -> bool {
        let link = self.out_links.get(link);
        link.is_none_or(|link| !self.is_overfull(link.conn))
    }

    /// Appends a delivery to several lanes.
    fn queue_copies(&mut self, to: &[Key], forward: Forward, fan: Option<FanKey>, kept: bool) {
        let Some((last, others)) = to.split_last() else {
            return;
        };
        for &link in others {
            self.queue(link, forward.clone(), fan, kept);
        }
        self.queue(*last, forward, fan, kept);
    }

    /// Appends a delivery to a lane; settled ones obey the drop rule. `kept`: it does not hold the
    /// window that it was read into.
    fn queue(&mut self, key: Key, forward: Forward, fan: Option<FanKey>, kept: bool) {
        let origin_shard = forward.origin.shard;
        let single = fan.is_none() && forward.to != Target::Fan(forward.address);
        let pipe = match forward.to {
            Target::Link(to) => to.link,
            Target::Fan(_) => key,
        };
        let Some(link) = self.out_links.get_mut(key) else {
            return;
        };
        if link.routed.is_some() {
            // Whoever receives has asked for it.
        } else if forward.settled {
            let (conn, of_client) = (link.conn, link.kind != LinkType::RouterControl);
            if link.is_lane_full() {
                self.drop_settled(key);
            }
            if forward.complete && of_client && self.is_overfull(conn) {
                self.drop_arriving(key, &forward);
                return;
            }
        } else if single {
            self.open_pipe(pipe, origin_shard);
        }
        let Some(link) = self.out_links.get_mut(key) else {
            return;
        };
        let received = forward.payload.len() as u64;
        let bounded = single && !forward.settled && link.routed.is_none();
        let window = bounded.then_some(pipe);
        let end = if forward.complete {
            End::Last
        } else {
            End::More
        };
        let queued = Queued {
            born: self.second.saturating_sub(forward.age),
            forward,
            fan,
            priority: link.priority,
            begun: None,
            end,
            received,
            reported: 0,
            window,
            kept,
        };
        self.enqueue(key, queued);
    }

    /// Puts a delivery into a lane: at its end, or, if urgent, before what has not begun.
    pub(super) fn enqueue(&mut self, key: Key, queued: Queued) {
        let Some(link) = self.out_links.get_mut(key) else {
            return;
        };
        link.lane_settled += usize::from(queued.forward.settled);
        enter_account(link, queued.weight(), &mut self.conns);
        if queued.forward.urgent {
            self.queue_hello(key, queued);
            return;
        }
        if link.lane.is_empty() && link.routed.is_none() {
            link.moved = self.second;
        }
        link.lane.push_back(queued);
        if link.loose == 0 {
            self.loose.push(key);
        }
        link.loose += 1;
        self.mark_ready(key);
    }

    /// A hello goes before all that has not begun. It stands for one that has not begun either: a
    /// neighbour behind a slow wire would hear all of them at once, and has use for the newest
    /// only.
    fn queue_hello(&mut self, key: Key, hello: Queued) {
        let Some(link) = self.out_links.get_mut(key) else {
            return;
        };
        let begun = link.lane.iter().take_while(|of| of.begun.is_some());
        let place = begun.count();
        match link.lane.get_mut(place) {
            Some(earlier) if earlier.forward.urgent => {
                let earlier = std::mem::replace(earlier, hello);
                link.lane_settled -= usize::from(earlier.forward.settled);
                leave_account(link, earlier.weight(), &mut self.conns);
            }
            _ => link.lane.insert(place, hello),
        }
        self.mark_ready(key);
    }

    /// The receiving end of the pipe from a shard to a link is made when it is first used.
    fn open_pipe(&mut self, key: Key, from: ShardId) {
        if let Some(link) = self.out_links.get_mut(key)
            && !link.pipes.iter().any(|pipe| pipe.from == from)
        {
            link.pipes.push(PipeRx::new(from, link.capacity.max(1)));
        }
    }

    /// What has to stay in its lane beyond the turn in which it came lets go of the window that it
    /// was read into; most deliveries are sent before that and are never copied here.
    pub(super) fn settle_lanes(&mut self) {
        for key in self.loose.drain(..) {
            let Some(link) = self.out_links.get_mut(key) else {
                continue;
            };
            let newest = std::mem::take(&mut link.loose);
            for queued in link.lane.iter_mut().rev().take(newest) {
                if !std::mem::replace(&mut queued.kept, true) {
                    queued.forward.payload.settle();
                }
            }
        }
    }

    /// The incumbent's rule for settled deliveries: all but the head go, and any that has begun
    /// stays.
    pub(super) fn drop_settled(&mut self, key: Key) {
        let Some(link) = self.out_links.get_mut(key) else {
            return;
        };
        let mut dropped = Vec::new();
        let mut place = 0;
        link.lane.retain(|queued| {
            let keep = place == 0
                || !queued.forward.settled
                || queued.begun.is_some()
                || queued.end == End::More;
            place += 1;
            if !keep {
                let pipe = queued.window.map(|out| (out, queued.forward.origin.shard));
                dropped.push((queued.forward.slot, queued.weight(), pipe));
            }
            keep
        });
        link.counters.presettled += dropped.len() as u64;
        link.counters.dropped_presettled += dropped.len() as u64;
        link.lane_settled -= dropped.len();
        let bytes = dropped.iter().map(|&(_, bytes, _)| bytes).sum();
        leave_account(link, bytes, &mut self.conns);
        self.counters
            .add(Counter::DroppedPresettledDeliveries, dropped.len() as u64);
        for (slot, _, pipe) in dropped {
            self.uncount(slot);
            if let Some((out, from)) = pipe {
                self.leave_lane(Some(out), from);
            }
        }
    }

    /// Whether so much waits for the consumers of a connection that nothing settled is added.
    fn is_overfull(&self, conn: ConnKey) -> bool {
        self.conns
            .get(conn)
            .is_some_and(|conn| conn.lane_bytes >= limits::CONNECTION_LANE_BYTES)
    }

    /// A whole, settled delivery finds no room.
    fn drop_arriving(&mut self, key: Key, forward: &Forward) {
        if let Some(link) = self.out_links.get_mut(key) {
            link.counters.presettled += 1;
            link.counters.dropped_presettled += 1;
        }
        self.counters.add(Counter::DroppedPresettledDeliveries, 1);
        self.uncount(forward.slot);
    }

    /// The link is gone and not a byte was sent: the producer's shard chooses again.
    pub(super) fn send_back(&mut self, forward: Forward) {
        self.uncount(forward.slot);
        if forward.settled {
            self.counters.add(Counter::DroppedPresettledDeliveries, 1);
        }
        let Some(origin) = origin_of(&forward) else {
            return;
        };
        if !forward.complete {
            // What still arrives of a stream is thrown away, settled or not.
            let state = (!forward.settled).then_some(DeliveryState::Released);
            self.answer(origin, None, state, true);
        } else if forward.settled && forward.awaited {
            self.answer(origin, None, None, true);
        } else if !forward.settled {
            self.post(origin.0, Mail::Returned(forward));
        }
    }

    /// Tells the producer's shard what became of a delivery.
    pub(super) fn answer(
        &mut self,
        origin: (ShardId, InKey),
        from: Option<crate::ids::OutKey>,
        state: Option<DeliveryState>,
        settled: bool,
    ) {
        let shard = self.id;
        self.post(
            origin.0,
            Mail::Outcome {
                to: origin.1,
                from,
                shard,
                state,
                settled,
            },
        );
    }

    /// Tells a set of copies what became of one of them, and the producer's shard if that decides.
    pub(super) fn answer_copy(&mut self, key: FanKey, state: Option<DeliveryState>, settled: bool) {
        let Some(copies) = self.copies.get_mut(key) else {
            return;
        };
        let origin = copies.origin;
        let Some(Merged { state, settled }) = copies.merge.answer(state.as_ref(), settled) else {
            return;
        };
        copies.settled |= settled;
        self.release_copies(key);
        self.answer(origin, None, state, settled);
    }

    /// Frees a set of copies once nobody answers and nothing more comes: a stream that is settled
    /// before its end has its end still to be told to each copy.
    pub(super) fn release_copies(&mut self, key: FanKey) {
        if let Some(copies) = self.copies.get(key)
            && copies.settled
            && copies.ended
        {
            let origin = copies.origin;
            self.copies.remove(key);
            self.by_origin.remove(&origin);
        }
    }

    /// A target's delivery has ended: it no longer counts for balance.
    pub(super) fn uncount(&mut self, slot: u32) {
        if slot != NO_SLOT {
            self.tally.sub(slot);
        }
    }
}

/// The producer's shard and record; `None` for a delivery that left no record.
pub(super) fn origin_of(forward: &Forward) -> Option<(ShardId, InKey)> {
    forward
        .origin
        .delivery
        .map(|delivery| (forward.origin.shard, delivery))
}

/// Deliveries have come to a lane whose consumer answers for them.
pub(super) fn enter_account(link: &mut OutLink, bytes: u64, conns: &mut Keyed<Conn>) {
    if bytes > 0 {
        link.lane_bytes += bytes;
        if let Some(conn) = conns.get_mut(link.conn) {
            conn.lane_bytes += bytes;
        }
    }
}

/// Such deliveries have left it.
pub(super) fn leave_account(link: &mut OutLink, bytes: u64, conns: &mut Keyed<Conn>) {
    link.lane_bytes = link.lane_bytes.saturating_sub(bytes);
    if let Some(conn) = conns.get_mut(link.conn) {
        conn.lane_bytes = conn.lane_bytes.saturating_sub(bytes);
    }
}
