//! Routed links: credit and deliveries.
//!
//! Credit is the receiver's from end to end. The half that sends tells the other a *limit*: how
//! many deliveries in all may have come for it, which is those that came and are not waiting any
//! more, and the credit that its peer has left. The half that receives grants its peer what is
//! missing to that. Both numbers are absolute, so a letter that is late or repeated changes
//! nothing, and a delivery that never begins to leave gives back what it took.
//!
//! Deliveries go from the first frame on, message, tag and format untouched, by the records, lanes
//! and letters of all others; no choice is made for them and no window bounds them.

use amqp_codec::DeliveryState;
use amqp_codec::message::{Depth, scan};

use super::link::{Drain, InTarget, Stage};
use super::parcel::{Parcel, rejected};
use super::state::Shard;
use crate::delivery::Place;
use crate::ids::{AddressId, InKey, InLinkKey, Key};
use crate::mail::{Half, Mail};
use crate::route::NO_SLOT;

impl Shard {
    /// A delivery, or the beginning of one, goes to the other half.
    pub(super) fn pass_on(&mut self, key: InLinkKey, mut parcel: Parcel) {
        if scan(parcel.payload.chunks(), Depth::Header).is_err() {
            // Not even the beginning of a message.
            let state = rejected("amqp:decode-error", "invalid message format");
            self.refuse_parcel(parcel, state);
            self.renew_credit(key);
            return;
        }
        let Some(routed) = self.in_links.get_mut(key).and_then(|link| link.routed()) else {
            return;
        };
        routed.passed = routed.passed.wrapping_add(1);
        let Some(Half::Out(target)) = routed.other else {
            // Nobody is there any more: the detach is on its way.
            self.refuse_parcel(parcel, DeliveryState::Released);
            return;
        };
        if parcel.settled && parcel.record.is_none() {
            // One that nobody settles keeps its record, too, until it has left: what waits counts.
            let record = self.insert_record(&parcel, Place::Discard(None));
            let bytes = parcel.payload.len() as u64 + self.overhead(Some(key));
            self.count_bytes(record, bytes);
            parcel.record = Some(record);
        }
        if let Some(inbound) = parcel.record.and_then(|of| self.inbound.get_mut(of))
            && let Some(stream) = &mut inbound.stream
        {
            stream.kept = parcel.settled;
        }
        self.forward_to_one(parcel, target, NO_SLOT, AddressId(0));
    }

    /// A whole, settled delivery of a routed link has left, or has been lost: it counts no more.
    pub(super) fn settled_left(&mut self, record: InKey) -> bool {
        let Some(inbound) = self.inbound.get(record) else {
            return false;
        };
        let streaming = inbound
            .stream
            .as_ref()
            .is_some_and(|stream| !stream.complete);
        if !inbound.settled || streaming || !self.is_routed(inbound.link) {
            return false;
        }
        self.conclude_settled(record, None);
        true
    }

    /// Whether a producer's link is a half of a routed one, or gone.
    pub(super) fn is_routed(&self, link: Option<InLinkKey>) -> bool {
        let link = link.and_then(|key| self.in_links.get(key));
        link.is_none_or(|link| matches!(link.target, InTarget::Routed(_)))
    }

    /// Tells the receiving half how much may come in all, if that has changed.
    pub(super) fn tell_credit(&mut self, out: Key) {
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        let Some(routed) = &mut link.routed else {
            return;
        };
        let Some(Half::In(shard, to)) = routed.other else {
            return;
        };
        let Some(conn) = self.conns.get(link.conn) else {
            return;
        };
        if !matches!(routed.stage, Stage::Open) {
            return;
        }
        let begun = link.lane.front().is_some_and(|head| head.begun.is_some());
        let waiting = link.lane.len() - usize::from(begun);
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        let credit = conn.engine.credit(link.link);
        let limit = routed.passed.wrapping_sub(waiting).wrapping_add(credit);
        let drain = conn.engine.is_draining(link.link);
        if routed.credit == Some((limit, drain)) {
            return;
        }
        routed.credit = Some((limit, drain));
        let letter = Mail::Credit { to, limit, drain };
        self.post_counted(shard, letter, 0);
    }

    /// How much may come in all.
    pub(super) fn take_credit(&mut self, key: InLinkKey, limit: u32, drain: bool) {
        let Some(routed) = self.in_links.get_mut(key).and_then(|link| link.routed()) else {
            return;
        };
        routed.credit = Some((limit, drain));
        self.renew_credit(key);
    }

    /// Gives the peer of a receiving half what it has not got of what may come.
    pub(super) fn renew_credit(&mut self, key: InLinkKey) {
        let second = self.second;
        // One of which too little has come to pass it on has its place all the same, as its sender
        // has used credit for it. If it is given up, that comes back.
        let partial = self.in_links.get(key).and_then(|link| link.partial);
        let partial = partial.and_then(|record| self.inbound.get(record));
        let is_held = partial.is_some_and(|of| matches!(of.place, Place::Hold(_)));
        let Some(link) = self.in_links.get_mut(key) else {
            return;
        };
        let engine_link = link.link;
        let conn_key = link.conn;
        let Some(routed) = link.routed() else {
            return;
        };
        let Some((limit, drain)) = routed.credit else {
            return;
        };
        let passed = routed.passed.wrapping_add(u32::from(is_held));
        let wanted = limit
            .wrapping_sub(passed)
            .cast_signed()
            .max(0)
            .cast_unsigned();
        let Some(conn) = self.conns.get_mut(conn_key) else {
            return;
        };
        let have = conn.engine.credit(engine_link);
        // What was once granted is not taken back but by a drain: hardly a sender knows that it
        // may be, and some send what they have no credit for then.
        let credit = wanted.max(have);
        if credit != have || drain != conn.engine.is_draining(engine_link) || drain {
            conn.engine
                .set_credit(engine_link, credit, drain, &mut conn.output);
        }
        if let Some(link) = self.in_links.get_mut(key) {
            link.zero_since = (credit == 0).then(|| link.zero_since.unwrap_or(second));
        }
        self.touch(conn_key);
        if drain && credit == 0 {
            self.drained_here(key);
        }
    }

    /// The peer of a receiving half has said how far it is: it may have given credit back. If that
    /// was asked for it is told, else, as where the drain had been taken back before the peer
    /// heard of that, it is given again: the receiver knows nothing of it.
    pub(super) fn routed_flow(&mut self, key: InLinkKey) {
        let Some(link) = self.in_links.get(key) else {
            return;
        };
        let Some(conn) = self.conns.get(link.conn) else {
            return;
        };
        match conn.engine.is_draining(link.link) {
            true if conn.engine.credit(link.link) > 0 => {}
            true => self.drained_here(key),
            // Of what was given since it has kept some.
            false => self.renew_credit(key),
        }
    }

    fn drained_here(&mut self, key: InLinkKey) {
        let routed = self.in_links.get_mut(key).and_then(|link| link.routed());
        if let Some(routed) = routed
            && let Some((limit, true)) = routed.credit
            && let Some(Half::Out(out)) = routed.other
        {
            // Said once: said again, it would be taken for the answer to a later drain.
            routed.credit = None;
            let to = out.link;
            self.post_counted(out.shard, Mail::Drained { to, limit }, 0);
        }
    }

    /// Nothing more comes for a sending half whose peer drains it, unless that has gone on since.
    pub(super) fn take_drained(&mut self, out: Key, limit: u32) {
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        let Some(routed) = &mut link.routed else {
            return;
        };
        if routed.credit == Some((limit, true)) {
            link.drain = Drain::Ready;
            // What it grants next counts, even if it is as much.
            routed.credit = None;
            self.mark_ready(out);
        }
    }

    /// A delivery has come for a sending half; false if its peer has gone.
    pub(super) fn arrives(&mut self, out: Key) -> bool {
        let Some(link) = self.out_links.get_mut(out) else {
            return false;
        };
        let Some(routed) = &mut link.routed else {
            return true;
        };
        routed.passed = routed.passed.wrapping_add(1);
        !matches!(routed.stage, Stage::PeerGone(_) | Stage::Detaching)
    }

    /// The lane of a sending half is empty: if its other half is gone, so is this one now.
    pub(super) fn finish_routed(&mut self, out: Key) {
        let key = self.out_key(out);
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        let parting = link.routed.as_mut().and_then(|of| of.parting.take());
        if let Some(parting) = parting {
            self.detach_half(Half::Out(key), *parting);
        }
    }

    /// The peer of a half has detached it: what was under way by it is settled at once, because
    /// its other half will not be there to hear of it later.
    pub(super) fn settle_half(&mut self, half: Half) {
        let place = match half {
            Half::In(_, key) => self.in_links.get(key).map(|link| (link.conn, link.link)),
            Half::Out(out) => {
                let link = self.out_links.get(out.link);
                link.map(|link| (link.conn, link.link))
            }
        };
        let Some((conn, link)) = place else { return };
        let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
        if let Some(conn) = self.conns.get_mut(conn) {
            conn.engine
                .release_unsettled(link, &mut incoming, &mut outgoing);
        }
        match half {
            Half::In(_, key) => self.give_up_sent(key, &incoming),
            Half::Out(out) => self.give_up_received(out.link, &outgoing),
        }
    }
}
