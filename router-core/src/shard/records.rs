//! Bookkeeping of deliveries received: records made and freed, what they count against their
//! producer's link, and how they end.

use amqp_codec::{DeliveryState, Role};
use amqp_proto::Payload;

use super::link::InTarget;
use super::parcel::Parcel;
use super::state::Shard;
use crate::counters::Counter;
use crate::delivery::{Held, Inbound, Journey, Place, Redirect, Waiting};
use crate::ids::{AddressId, AddressKey, InKey, InLinkKey, Key};
use crate::inspect::LinkType;
use crate::limits;
use crate::route::Entry;
use crate::settings::ConnectionRole;

/// Deliveries older than this are as old as their second says: stamps repeat.
const STAMP_SECONDS: u32 = 3600;

impl Shard {
    /// Makes a record, and has the engine remember it unless it is settled.
    pub(super) fn insert_record(&mut self, parcel: &Parcel, place: Place) -> InKey {
        let record = InKey(self.inbound.insert(Inbound {
            link: parcel.link,
            sender: parcel.sender,
            conn: parcel.conn,
            session: parcel.session,
            delivery_id: parcel.delivery_id,
            born: parcel.born,
            stamp: self.clock.stamp,
            settled: parcel.settled,
            stated: false,
            answered: None,
            bytes: 0,
            plain: false,
            place,
            stream: None,
        }));
        if !parcel.settled
            && let Some(conn) = self.conns.get_mut(parcel.conn)
            && let Some(link) = parcel.link.and_then(|key| self.in_links.get(key))
        {
            conn.engine
                .track(link.link, parcel.delivery_id, record.0.token());
        }
        record
    }

    /// Puts a parcel's record, made now if need be, where the parcel went.
    pub(super) fn place_parcel(&mut self, parcel: &Parcel, place: Place) -> InKey {
        match parcel.record {
            Some(record) => {
                if let Some(inbound) = self.inbound.get_mut(record) {
                    inbound.place = place;
                }
                record
            }
            None => {
                let record = self.insert_record(parcel, place);
                if !parcel.settled {
                    self.count_bytes(record, self.weight(parcel));
                }
                record
            }
        }
    }

    /// Keeps a parcel until a window or a route appears; what is small is copied out of its chunk.
    pub(super) fn park(&mut self, parcel: Parcel, key: &AddressKey) -> InKey {
        let empty = Place::Discard(None);
        let record = self.place_parcel(&parcel, empty);
        let Parcel {
            mut payload,
            heads,
            state,
            complete,
            excluded,
            journey,
            redirect,
            ..
        } = parcel;
        payload.settle();
        if let Some(inbound) = self.inbound.get_mut(record) {
            let key = AddressKey::clone(key);
            let waiting = Waiting {
                key,
                payload,
                heads,
                state,
                complete,
                excluded,
                journey,
                redirect,
            };
            inbound.place = Place::Line(Box::new(waiting));
        }
        record
    }

    /// Keeps a parcel until the rest of it has come.
    pub(super) fn collect(&mut self, parcel: Parcel) {
        let Some(record) = parcel.record else {
            return;
        };
        self.forget_stream(record);
        if let Some(inbound) = self.inbound.get_mut(record) {
            inbound.place = Place::Hold(Box::new(Held {
                payload: parcel.payload,
                state: parcel.state,
                heads: None,
            }));
        }
        if let Some(link) = parcel.link.and_then(|key| self.in_links.get_mut(key))
            && link.kind != LinkType::Endpoint
        {
            // It is not handed on yet, whatever its link is told after each attempt.
            link.held += 1;
        }
    }

    /// A parcel made from a record, with a message that is not there any more.
    pub(super) fn parcel_of(
        &self,
        record: InKey,
        payload: Payload,
        complete: bool,
    ) -> Option<Parcel> {
        let inbound = self.inbound.get(record)?;
        let state = match &inbound.place {
            Place::Hold(held) => held.state.clone(),
            _ => None,
        };
        let link = inbound.link.and_then(|key| self.in_links.get(key));
        let redirect = Redirect::at_first(link.is_some_and(|link| link.fallback));
        Some(Parcel {
            link: inbound.link,
            sender: inbound.sender,
            conn: inbound.conn,
            session: inbound.session,
            delivery_id: inbound.delivery_id,
            record: Some(record),
            settled: inbound.settled,
            complete,
            born: inbound.born,
            state,
            heads: None,
            payload,
            excluded: None,
            journey: Journey::default(),
            redirect,
        })
    }

    /// What an unsettled delivery counts against its producer's link, in bytes. Between routers it
    /// is the message alone: credit there bounds what is in flight in bytes, not in number.
    fn weight(&self, parcel: &Parcel) -> u64 {
        let state = parcel.state.as_ref().map_or(0, |state| state.encoded_len());
        (parcel.payload.len() + state) as u64 + self.overhead(parcel.link)
    }

    /// What a delivery counts besides its message, by the link that it came by.
    pub(super) fn overhead(&self, link: Option<InLinkKey>) -> u64 {
        match self.is_of_endpoint(link) {
            true => limits::DELIVERY_OVERHEAD,
            false => 0,
        }
    }

    /// Message bytes that a record holds on its link.
    pub(super) fn count_bytes(&mut self, record: InKey, bytes: u64) {
        let Some(inbound) = self.inbound.get_mut(record) else {
            return;
        };
        inbound.bytes += bytes;
        let Some(key) = inbound.link else { return };
        let Some(link) = self.in_links.get_mut(key) else {
            return;
        };
        // A message of the routing protocol is taken whole, up to a limit of its own.
        if link.kind == LinkType::RouterControl {
            return;
        }
        let before = link.bytes;
        link.bytes += bytes;
        let after = link.bytes;
        self.withhold_for_link(key, before, after);
    }

    /// Only so many bytes of a delivery are still here: the others count no more.
    pub(super) fn count_down(&mut self, record: InKey, left: u64) {
        let Some(inbound) = self.inbound.get_mut(record) else {
            return;
        };
        let gone = inbound.bytes.saturating_sub(left);
        inbound.bytes -= gone;
        let Some(key) = inbound.link else { return };
        let Some(link) = self.in_links.get_mut(key) else {
            return;
        };
        let before = link.bytes;
        link.bytes = link.bytes.saturating_sub(gone);
        let after = link.bytes;
        self.withhold_for_link(key, before, after);
        if before >= limits::LINK_BYTES && after < limits::LINK_BYTES {
            self.mark_credit(key, true);
        }
    }

    /// A delivery no longer counts against its link. On links between routers it ceased to when
    /// it was handed on.
    pub(super) fn unhold(&mut self, key: InLinkKey, urgent: bool) {
        if let Some(link) = self.in_links.get_mut(key) {
            if link.kind == LinkType::Endpoint {
                link.held = link.held.saturating_sub(1);
            }
            self.mark_credit(key, urgent);
        }
    }

    /// A delivery has been handed on, or is not to be: on a link between routers that is when its
    /// credit comes back. Were credit tied to settlement there, two routers that send each other
    /// much could wait for each other for ever.
    pub(super) fn hand_on(&mut self, key: InLinkKey) {
        if let Some(link) = self.in_links.get_mut(key)
            && link.kind != LinkType::Endpoint
        {
            link.held = link.held.saturating_sub(1);
            self.mark_credit(key, false);
        }
    }

    /// Drops a record and what it counts; says nothing to anyone.
    pub(super) fn forget_record(&mut self, record: InKey) {
        let Some(inbound) = self.inbound.remove(record) else {
            return;
        };
        if let Some(stream) = &inbound.stream
            && stream.withheld > 0
        {
            self.withhold_for_streams(inbound.conn, inbound.session, stream.withheld, 0);
        }
        if inbound.stream.is_some() && !self.behind.is_empty() {
            self.behind.retain(|of| *of != record);
        }
        let Some(key) = inbound.link else { return };
        if let Place::Sent { target, .. } = inbound.place {
            self.release_pin(key, target);
        }
        let Some(link) = self.in_links.get_mut(key) else {
            return;
        };
        if link.partial == Some(record) {
            link.partial = None;
        }
        let before = link.bytes;
        link.bytes = link.bytes.saturating_sub(inbound.bytes);
        let after = link.bytes;
        self.withhold_for_link(key, before, after);
        if inbound.stream.is_some() {
            self.review_window(inbound.conn, inbound.session);
        }
    }

    /// The outcome of a delivery is known and settled: the producer hears it, the record is freed.
    pub(super) fn conclude(&mut self, record: InKey, state: Option<DeliveryState>) {
        let Some(inbound) = self.inbound.get(record) else {
            return;
        };
        let (link, settled) = (inbound.link, inbound.settled);
        let (conn, session, id) = (inbound.conn, inbound.session, inbound.delivery_id);
        let (born, stamp) = (inbound.born, inbound.stamp);
        self.forget_record(record);
        let Some(key) = link else { return };
        if !settled {
            self.observe(born, stamp);
        }
        self.count_end(key, settled, state.as_ref(), born);
        if !settled && let Some(conn) = self.conns.get_mut(conn) {
            conn.engine
                .queue_disposition(session, Role::Receiver, id, true, state);
        }
        self.unhold(key, !settled);
    }

    /// Counts how long a delivery has taken.
    fn observe(&mut self, born: u32, stamp: u32) {
        let seconds = self.second.saturating_sub(born);
        let micros = match seconds < STAMP_SECONDS {
            true => u64::from(self.clock.stamp.wrapping_sub(stamp)),
            false => u64::from(seconds) * 1_000_000,
        };
        self.counters.observe(micros);
    }

    /// A whole, settled delivery has been forwarded: nothing is kept of it.
    pub(super) fn finish_settled(&mut self, parcel: &Parcel) {
        if let Some(record) = parcel.record {
            self.forget_record(record);
        }
        if let Some(key) = parcel.link {
            self.count_end(key, true, None, parcel.born);
            self.unhold(key, false);
        }
    }

    /// A parcel cannot be forwarded; the producer hears why, if it has not settled.
    pub(super) fn refuse_parcel(&mut self, parcel: Parcel, state: DeliveryState) {
        if !parcel.complete {
            self.discard(parcel, state);
            return;
        }
        if let Some(record) = parcel.record {
            self.forget_record(record);
        }
        if !parcel.settled
            && let Some(conn) = self.conns.get_mut(parcel.conn)
        {
            let (session, id) = (parcel.session, parcel.delivery_id);
            conn.engine
                .queue_disposition(session, Role::Receiver, id, true, Some(state.clone()));
        }
        if let Some(key) = parcel.link {
            self.count_end(key, parcel.settled, Some(&state), parcel.born);
            self.unhold(key, true);
        }
    }

    /// The rest of a refused delivery is still to come: it is thrown away, the answer given at its
    /// end.
    fn discard(&mut self, parcel: Parcel, state: DeliveryState) {
        let place = Place::Discard(Some(Box::new(state)));
        let record = self.place_parcel(&parcel, place);
        self.count_down(record, 0);
        if let Some(inbound) = self.inbound.get_mut(record)
            && let Some(stream) = &mut inbound.stream
        {
            let withheld = std::mem::take(&mut stream.withheld);
            self.withhold_for_streams(parcel.conn, parcel.session, withheld, 0);
        }
        if let Some(link) = parcel.link.and_then(|key| self.in_links.get_mut(key)) {
            link.partial = Some(record);
        }
    }

    /// Nobody consumes the address: released, or dropped if settled. A targeted producer is
    /// drained.
    pub(super) fn release_parcel(&mut self, parcel: Parcel) {
        let link = parcel.link;
        // One that came home was counted when it went, and does not make its producer drain.
        let counted = parcel.excluded.is_some();
        let dropped = u64::from(parcel.settled);
        if let Some(link) = link.and_then(|key| self.in_links.get_mut(key)) {
            link.counters.dropped_presettled += dropped;
            link.counters.deliveries += u64::from(!counted);
        }
        self.counters
            .add(Counter::DroppedPresettledDeliveries, dropped);
        let counts = !counted && self.is_ingress(&parcel);
        self.counters
            .add(Counter::DeliveriesIngress, u64::from(counts));
        if let Some(key) = link
            && !counted
            && let Some(in_link) = self.in_links.get(key)
            && matches!(in_link.target, InTarget::Address { .. })
        {
            self.ask_to_drain(key);
        }
        self.refuse_parcel(parcel, DeliveryState::Released);
    }

    /// Counts a delivery handed to routing, to an address.
    pub(super) fn count_ingress(&mut self, parcel: &Parcel, address: AddressId) {
        if parcel.excluded.is_some() {
            return;
        }
        if let Some(link) = parcel.link.and_then(|key| self.in_links.get_mut(key)) {
            link.counters.deliveries += 1;
            let is_routed = matches!(link.target, InTarget::Routed(_));
            let from_container = u64::from(link.of_container && !is_routed);
            match (&link.target, link.kind) {
                (InTarget::Address { .. }, _) => link.ingress += 1,
                // Each of its messages says itself where it goes.
                (InTarget::Anonymous { .. }, LinkType::Endpoint) => {
                    let carried = match parcel.redirect {
                        // Its own address's, which may be gone, or never had a record.
                        Redirect::From(primary) => primary.and_then(|of| self.carried.get_mut(&of)),
                        _ => Some(self.carried.entry(address).or_default()),
                    };
                    if let Some(carried) = carried {
                        carried.ingress += 1;
                        carried.ingress_route_container += from_container;
                    }
                }
                _ => {}
            }
            if from_container > 0 {
                self.counters
                    .add(Counter::DeliveriesIngressRouteContainer, 1);
            }
        }
        if self.is_ingress(parcel) {
            self.counters.add(Counter::DeliveriesIngress, 1);
        }
    }

    /// Counts a delivery that was sent to its end, one of several copies or the only one.
    pub(super) fn count_egress(&mut self, out: Key, entry: Entry, is_copy: bool) {
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        link.counters.deliveries += 1;
        let conn = link.conn;
        let is_to_router = || {
            let conn = self.conns.get(conn);
            conn.is_some_and(|of| of.settings.role == ConnectionRole::InterRouter)
        };
        match link.kind {
            // The half of a routed link on the way to its container's router.
            LinkType::Endpoint if link.routed.is_some() && is_to_router() => {
                self.counters.add(Counter::DeliveriesTransit, 1);
            }
            LinkType::Endpoint => {
                link.histogram.count(entry);
                if !link.fallback {
                    link.egress += 1;
                    self.counters.add(Counter::DeliveriesEgress, 1);
                }
                if link.of_container && !is_copy && link.routed.is_none() {
                    link.egress_alone += 1;
                    self.counters
                        .add(Counter::DeliveriesEgressRouteContainer, 1);
                }
            }
            LinkType::InterRouter => {
                self.counters.add(Counter::DeliveriesTransit, 1);
            }
            LinkType::RouterControl => {}
        }
    }

    /// Counts what of an address goes on to other routers, once however often it comes home: here,
    /// where the address is known, because where it is sent it may be gone by then.
    pub(super) fn count_transit(&mut self, parcel: &Parcel, address: AddressId, copies: u64) {
        if copies > 0 && parcel.excluded.is_none() {
            self.carried.entry(address).or_default().transit += copies;
        }
    }

    /// Whether a delivery has entered the network here, and not come from another router.
    pub(super) fn is_of_endpoint(&self, link: Option<InLinkKey>) -> bool {
        link.and_then(|key| self.in_links.get(key))
            .is_none_or(|link| link.kind == LinkType::Endpoint)
    }

    /// Whether a delivery counts as ingress: not if it comes back from a fallback.
    fn is_ingress(&self, parcel: &Parcel) -> bool {
        parcel.redirect != Redirect::Barred && self.is_of_endpoint(parcel.link)
    }

    /// Counts how a delivery ended, on its link and for the router.
    pub(super) fn count_end(
        &mut self,
        key: InLinkKey,
        settled: bool,
        state: Option<&DeliveryState>,
        born: u32,
    ) {
        let second = self.second;
        let Some(link) = self.in_links.get_mut(key) else {
            return;
        };
        link.rate.add(second);
        let counter = link.counters.count(settled, state);
        // Of settled ones the total is what endpoints sent: what routers tell each other is none.
        let is_endpoint = link.kind == LinkType::Endpoint;
        let counter = counter.filter(|of| is_endpoint || *of != Counter::PresettledDeliveries);
        let delay = link.counters.count_delay(second.saturating_sub(born));
        for counter in [counter, delay].into_iter().flatten() {
            self.counters.add(counter, 1);
        }
    }
}
