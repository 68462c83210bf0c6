//! Dispositions, both ways. Every state passes as it is; only `modified` gets its delivery-failed
//! flag, because a router that hands a delivery back cannot say that it never left.

use amqp_codec::{DeliveryState, Disposition, Modified, Role};
use amqp_proto::SessionKey;

use super::lanes::{enter_account, origin_of};
use super::state::{Incoming, Shard, Table};
use crate::delivery::{Merged, OutOrigin, Outbound, Place};
use crate::ids::{ConnKey, InKey, Key, OutKey, ShardId};
use crate::limits;
use crate::mail::{End, Mail, OutRef};

impl Shard {
    /// A consumer disposes of what this shard has sent.
    pub(super) fn consumer_disposed(
        &mut self,
        conn: ConnKey,
        session: SessionKey,
        disposition: &Disposition,
    ) {
        let mut tokens = self.tokens_of(conn, session, disposition);
        for token in tokens.drain(..) {
            let key = OutKey(Key::from_token(token));
            self.consumer_outcome(key, disposition.state.clone(), disposition.settled);
        }
        self.tokens = tokens;
        if disposition.settled {
            // A session has room for so many that are unsettled.
            self.wake_next(conn);
        }
        self.touch(conn);
    }

    /// A producer disposes of what this shard has received.
    pub(super) fn producer_disposed(
        &mut self,
        conn: ConnKey,
        session: SessionKey,
        disposition: &Disposition,
    ) {
        let mut tokens = self.tokens_of(conn, session, disposition);
        for token in tokens.drain(..) {
            let key = InKey(Key::from_token(token));
            self.producer_state(key, disposition.state.clone(), disposition.settled);
        }
        self.tokens = tokens;
        self.touch(conn);
    }

    fn tokens_of(
        &mut self,
        conn: ConnKey,
        session: SessionKey,
        disposition: &Disposition,
    ) -> Vec<u64> {
        let mut tokens = std::mem::take(&mut self.tokens);
        tokens.clear();
        if let Some(conn) = self.conns.get_mut(conn) {
            conn.engine.disposed(session, disposition, &mut tokens);
        }
        tokens
    }

    /// One delivery's state as its consumer gives it.
    pub(super) fn consumer_outcome(
        &mut self,
        key: OutKey,
        state: Option<DeliveryState>,
        settled: bool,
    ) {
        let state = state.map(failed);
        let Some(outbound) = self.outbound.get_mut(key) else {
            return;
        };
        let origin = outbound.origin;
        let answered = outbound.answered;
        let terminal = state.as_ref().is_some_and(DeliveryState::is_terminal);
        outbound.answered |= terminal;
        if !settled {
            let repeats = std::mem::replace(&mut outbound.stated, true) && (answered || !terminal);
            let link = outbound.link;
            if repeats && !self.pays_for_repeat(self.out_links.get(link).map(|link| link.conn)) {
                return;
            }
        }
        if settled && let Some(outbound) = self.forget_outbound(key) {
            self.count_outbound(&outbound, state.as_ref());
        }
        match origin {
            OutOrigin::Delivery(shard, delivery) => {
                let from = (!settled).then_some(key);
                self.answer((shard, delivery), from, state, settled);
            }
            // A copy has one say in the merge: peers repeat their state when they settle.
            OutOrigin::Fan(fan) => self.answer_copy(fan, state.filter(|_| !answered), settled),
        }
    }

    /// A connection tells a state of a delivery that it has told before: a small frame may name
    /// many deliveries, and each is a letter to another shard.
    fn pays_for_repeat(&mut self, conn: Option<ConnKey>) -> bool {
        let second = self.second;
        let Some(conn) = conn.and_then(|conn| self.conns.get_mut(conn)) else {
            return false;
        };
        if conn.repeats.0 != second {
            conn.repeats = (second, 0);
        }
        conn.repeats.1 = conn.repeats.1.saturating_add(1);
        conn.repeats.1 <= limits::REPEATED_STATES
    }

    /// One delivery's state as its producer gives it.
    fn producer_state(&mut self, key: InKey, state: Option<DeliveryState>, settled: bool) {
        let Some(inbound) = self.inbound.get_mut(key) else {
            return;
        };
        let streaming = inbound
            .stream
            .as_ref()
            .is_some_and(|stream| !stream.complete);
        inbound.settled |= settled;
        if !settled {
            let conn = inbound.conn;
            if std::mem::replace(&mut inbound.stated, true) && !self.pays_for_repeat(Some(conn)) {
                return;
            }
        }
        let Some(inbound) = self.inbound.get(key) else {
            return;
        };
        if streaming || !matches!(inbound.place, Place::Sent { .. } | Place::Fan(_)) {
            return;
        }
        self.tell_consumers(key, state.as_ref(), settled);
        if settled {
            let answered = self
                .inbound
                .get_mut(key)
                .and_then(|inbound| inbound.answered.take());
            let state = answered.map(|state| *state).or(state);
            if let Some(inbound) = self.inbound.get_mut(key) {
                // The engine has forgotten the delivery: no disposition may follow.
                inbound.settled = true;
            }
            self.conclude_settled(key, state.as_ref());
        }
    }

    /// Tells a delivery's consumers what its producer says of it.
    pub(super) fn tell_consumers(
        &mut self,
        key: InKey,
        state: Option<&DeliveryState>,
        settled: bool,
    ) {
        let own = self.id;
        let to = match self.inbound.get(key).map(|inbound| &inbound.place) {
            Some(Place::Sent { target, peer }) => {
                let to = peer.map_or(OutRef::OnLink(*target, own, key), OutRef::Delivery);
                vec![(target.shard, to)]
            }
            Some(Place::Fan(fan)) => fan
                .shards
                .iter()
                .map(|&(shard, _)| (shard, OutRef::Fan(own, key)))
                .collect(),
            _ => return,
        };
        for (shard, to) in to {
            let state = state.cloned();
            self.post(shard, Mail::Dispose { to, state, settled });
        }
    }

    /// The consumer's half of a settlement has come from another shard.
    pub(super) fn take_outcome(
        &mut self,
        key: InKey,
        from: Option<OutKey>,
        state: Option<DeliveryState>,
        settled: bool,
    ) {
        let Some(inbound) = self.inbound.get_mut(key) else {
            return;
        };
        let (state, settled) = match &mut inbound.place {
            Place::Sent { peer, .. } => {
                *peer = from;
                (state, settled)
            }
            Place::Fan(fan) => match fan.merge.answer(state.as_ref(), settled) {
                Some(Merged { state, settled }) => (state, settled),
                None => return,
            },
            _ => return,
        };
        if inbound
            .stream
            .as_ref()
            .is_some_and(|stream| !stream.complete)
        {
            self.outcome_before_the_end(key, state, settled);
        } else if settled {
            let state = match state {
                None => inbound.answered.take().map(|state| *state),
                some => some,
            };
            self.conclude(key, state);
        } else {
            self.pass_state(key, state);
        }
    }

    /// Tells the producer a state without settling.
    fn pass_state(&mut self, key: InKey, state: Option<DeliveryState>) {
        let Some(inbound) = self.inbound.get_mut(key) else {
            return;
        };
        if state.as_ref().is_some_and(DeliveryState::is_terminal) {
            inbound.answered = state.clone().map(Box::new);
        }
        let (conn, session, id) = (inbound.conn, inbound.session, inbound.delivery_id);
        if inbound.settled || inbound.link.is_none() {
            return;
        }
        if let Some(conn) = self.conns.get_mut(conn) {
            conn.engine
                .queue_disposition(session, Role::Receiver, id, false, state);
        }
        self.touch(conn);
    }

    /// The outcome of a stream that is still arriving: the rest is thrown away, the settlement
    /// waits for its end.
    fn outcome_before_the_end(&mut self, key: InKey, state: Option<DeliveryState>, settled: bool) {
        if settled {
            self.end_early(key, state);
        } else {
            self.pass_state(key, state);
        }
    }

    /// A stream that is still arriving has no consumers any more, and this outcome.
    pub(super) fn end_early(&mut self, key: InKey, state: Option<DeliveryState>) {
        self.pass_state(key, state.clone());
        self.end_stream(key, End::Aborted);
        self.leave_target(key);
        if let Some(inbound) = self.inbound.get_mut(key) {
            let state = state.map(Box::new).or_else(|| inbound.answered.take());
            inbound.place = Place::Discard(state);
        }
        self.count_down(key, 0);
        self.update_withheld(key, Some(0));
    }

    /// The producer's half of a settlement has come from another shard.
    pub(super) fn take_disposal(
        &mut self,
        to: OutRef,
        state: Option<DeliveryState>,
        settled: bool,
    ) {
        match to {
            OutRef::Delivery(key) => self.dispose(key, state, settled),
            OutRef::OnLink(link, shard, delivery) => {
                self.dispose_on_link(link.link, (shard, delivery), state, settled);
            }
            OutRef::Fan(shard, delivery) => {
                self.dispose_copies((shard, delivery), &state, settled);
            }
        }
    }

    fn dispose_on_link(
        &mut self,
        link: Key,
        origin: (ShardId, InKey),
        state: Option<DeliveryState>,
        settled: bool,
    ) {
        let found = self.sent_from(origin);
        match found {
            Some(key) => self.dispose(key, state, settled),
            None if settled => self.settle_in_lane(self.lane_of(link, origin), origin),
            None => {}
        }
    }

    /// The record of a delivery sent. One disposition may ask for all that are unsettled, so they
    /// are found by a table; hardly any producer asks, so the first one has it made.
    fn sent_from(&mut self, origin: (ShardId, InKey)) -> Option<OutKey> {
        let outbound = &self.outbound;
        let table = self.by_source.get_or_insert_with(|| {
            let hasher = self.by_origin.hasher().clone();
            let mut table = Table::with_capacity_and_hasher(outbound.len(), hasher);
            for (key, sent) in outbound.iter() {
                if let OutOrigin::Delivery(shard, delivery) = sent.origin {
                    table.insert((shard, delivery), OutKey(key));
                }
            }
            table
        });
        table.get(&origin).copied()
    }

    /// A delivery was sent.
    pub(super) fn note_sent(&mut self, key: OutKey, origin: OutOrigin) {
        match origin {
            OutOrigin::Fan(fan) => {
                if let Some(copies) = self.copies.get_mut(fan) {
                    copies.sent.push(key);
                }
            }
            OutOrigin::Delivery(shard, delivery) => {
                if let Some(table) = &mut self.by_source {
                    table.insert((shard, delivery), key);
                }
            }
        }
    }

    /// The link in whose lane a delivery for a link waits: a large one for a neighbour is in that
    /// of a link of its sender's.
    fn lane_of(&self, link: Key, origin: (ShardId, InKey)) -> Key {
        let has = |out: &Key| {
            let link = self.out_links.get(*out);
            let mut lane = link.into_iter().flat_map(|link| &link.lane);
            lane.any(|queued| origin_of(&queued.forward) == Some(origin))
        };
        let conn = self.out_links.get(link).map(|link| link.conn);
        let conn = conn.and_then(|conn| self.conns.get(conn));
        let streaming = conn.into_iter().flat_map(|conn| &conn.streaming.links);
        streaming.copied().find(has).unwrap_or(link)
    }

    /// A delivery that still waits in a lane was settled by its producer.
    fn settle_in_lane(&mut self, link: Key, origin: (ShardId, InKey)) {
        let Some(out) = self.out_links.get_mut(link) else {
            return;
        };
        let queued = out
            .lane
            .iter_mut()
            .find(|queued| origin_of(&queued.forward) == Some(origin) && !queued.forward.settled);
        if let Some(queued) = queued {
            let before = queued.weight();
            queued.forward.settled = true;
            let more = queued.weight() - before;
            out.lane_settled += 1;
            enter_account(out, more, &mut self.conns);
            // Its producer is not charged for it any more: the rule for settled ones holds.
            let is_much =
                out.lane_settled > out.capacity as usize || out.lane_bytes >= limits::LANE_BYTES;
            if is_much && out.routed.is_none() {
                self.drop_settled(link);
            }
        }
    }

    fn dispose_copies(
        &mut self,
        origin: (ShardId, InKey),
        state: &Option<DeliveryState>,
        settled: bool,
    ) {
        let Some(Incoming::Fan(fan)) = self.by_origin.get(&origin).copied() else {
            return;
        };
        let sent = self.copies.get(fan).map(|copies| copies.sent.clone());
        for key in sent.unwrap_or_default() {
            self.dispose(key, state.clone(), settled);
        }
        if settled && let Some(copies) = self.copies.remove(fan) {
            self.by_origin.remove(&origin);
            for (link, _) in copies.progress {
                self.settle_in_lane(link, origin);
            }
        }
    }

    /// Tells a consumer its producer's state.
    fn dispose(&mut self, key: OutKey, state: Option<DeliveryState>, settled: bool) {
        let Some(outbound) = self.outbound.get(key) else {
            return;
        };
        let (link, id) = (outbound.link, outbound.delivery_id);
        if settled {
            self.forget_outbound(key);
        }
        let Some(link) = self.out_links.get(link) else {
            return;
        };
        let (conn_key, session) = (link.conn, link.session);
        if let Some(conn) = self.conns.get_mut(conn_key) {
            conn.engine
                .queue_disposition(session, Role::Sender, id, settled, state);
        }
        if settled {
            self.wake_next(conn_key);
        }
        self.touch(conn_key);
    }

    /// Frees the record of a delivery sent.
    pub(super) fn forget_outbound(&mut self, key: OutKey) -> Option<Outbound> {
        let outbound = self.outbound.remove(key)?;
        if self.by_source.is_some() {
            self.forget_source(outbound.origin);
        }
        self.uncount(outbound.slot);
        Some(outbound)
    }

    #[cold]
    fn forget_source(&mut self, origin: OutOrigin) {
        if self.outbound.is_empty() {
            self.by_source = None;
        } else if let OutOrigin::Delivery(shard, delivery) = origin
            && let Some(table) = &mut self.by_source
        {
            table.remove(&(shard, delivery));
        }
    }

    fn count_outbound(&mut self, outbound: &Outbound, state: Option<&DeliveryState>) {
        let second = self.second;
        if let Some(link) = self.out_links.get_mut(outbound.link) {
            link.rate.add(second);
            // The router's totals come from producers' links: the link's own figures alone here.
            link.counters.count(false, state);
            link.counters
                .count_delay(second.saturating_sub(outbound.born));
        }
    }
}

/// `modified` always says that the delivery failed.
fn failed(state: DeliveryState) -> DeliveryState {
    match state {
        DeliveryState::Modified(mut modified) => {
            modified.delivery_failed = true;
            DeliveryState::Modified(modified)
        }
        other => other,
    }
}

/// What a producer hears when a consumer vanishes with its delivery.
pub(super) fn lost() -> DeliveryState {
    DeliveryState::Modified(Box::new(Modified {
        delivery_failed: true,
        ..Modified::default()
    }))
}
