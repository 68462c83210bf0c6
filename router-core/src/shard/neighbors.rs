//! Links to other routers: eleven pairs that the side with the connector attaches, one for the
//! routing protocol and one for each priority. The other side answers in the order asked.
//!
//! What comes on the protocol's link goes to the control plane as it is; what comes on a data link
//! is routed like any message that says itself where it goes. Decision: a session for each pair, so
//! that a large message of one priority does not stop the windows of the others.

use amqp_codec::{Attach, DeliveryState, Encoded, Role, Value};
use amqp_proto::{LinkKey, SessionKey};
use bytes::BytesMut;

use super::conn::{LinkSlot, Phase};
use super::link::{InLink, InTarget, NewLink, OutLink};
use super::parcel::Parcel;
use super::state::Shard;
use super::termini::{CONTROL, DATA, answer_to, pair_attach};
use crate::ids::{AddressKey, ConnKey, InLinkKey, Key, Opener};
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::{Command, RouterLink};
use crate::route::PRIORITIES;
use crate::settings::ConnectionRole;

/// The property of an Open that names the program.
const PRODUCT: &str = "product";

/// The property of an Open that names what the way costs.
const COST: &str = "qd.inter-router-cost";

/// The property of an Open by which a router says that it tells of others and may be told of them,
/// and of which version that is.
pub(super) const HEARSAY: &str = "causeway.hearsay";
pub(super) const HEARSAY_VERSION: i32 = 1;

impl Shard {
    /// A connection of ours to another router is open: attaches the pairs.
    pub(super) fn attach_pairs(&mut self, key: ConnKey) {
        self.attach_pair(key, CONTROL, LinkType::RouterControl);
        for _ in 0..PRIORITIES {
            self.attach_pair(key, DATA, LinkType::InterRouter);
        }
    }

    /// Another link for large messages, on a session of its own.
    pub(super) fn attach_streaming(&mut self, key: ConnKey) -> Option<Key> {
        let conn = self.conns.get_mut(key)?;
        // One whose sessions have gone is about to go itself.
        if conn.phase != Phase::Open || conn.sessions.is_empty() {
            return None;
        }
        let session = conn.engine.begin(&mut conn.output).ok()?;
        conn.add_session(session);
        let kind = LinkType::InterRouter;
        let Some(out) = self.attach_own(key, session, DATA, kind, Role::Sender) else {
            self.drop_session(key, session);
            let conn = self.conns.get_mut(key)?;
            conn.engine.end(session, None, &mut conn.output);
            return None;
        };
        self.out_links.get_mut(out)?.streaming = true;
        self.conns.get_mut(key)?.streaming.links.push(out);
        self.touch(key);
        Some(out)
    }

    /// Attaches a receiver and a sender on a session of their own.
    fn attach_pair(&mut self, key: ConnKey, capability: &'static str, kind: LinkType) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let Ok(session) = conn.engine.begin(&mut conn.output) else {
            return;
        };
        conn.add_session(session);
        for role in [Role::Receiver, Role::Sender] {
            self.attach_own(key, session, capability, kind, role);
        }
    }

    fn attach_own(
        &mut self,
        key: ConnKey,
        session: SessionKey,
        capability: &'static str,
        kind: LinkType,
        role: Role,
    ) -> Option<Key> {
        let name = format!("qdlink.{:016x}", self.draw());
        let attach = pair_attach(&name, capability, role);
        let conn = self.conns.get_mut(key)?;
        let link = conn.attach(session, &attach).ok()?;
        let new = self.new_link(key, session, link, &attach)?;
        match role {
            Role::Receiver => {
                self.insert_in(key, new, kind);
                None
            }
            Role::Sender => Some(self.insert_out(key, new, kind)),
        }
    }

    /// Whether a link is one for the routing protocol of which a connection has one already: each
    /// may hold a message as large as any, so there is but one each way.
    pub(super) fn has_control_link(&self, key: ConnKey, role: Role, kind: LinkType) -> bool {
        let is_control = |slot: &LinkSlot| match *slot {
            LinkSlot::In(link) if role == Role::Sender => {
                let link = self.in_links.get(link);
                link.is_some_and(|link| link.kind == LinkType::RouterControl)
            }
            LinkSlot::Out(out) if role == Role::Receiver => {
                let link = self.out_links.get(out);
                link.is_some_and(|link| link.kind == LinkType::RouterControl)
            }
            LinkSlot::In(_) | LinkSlot::Out(_) | LinkSlot::Offered(_) | LinkSlot::Refused => false,
        };
        let conn = self.conns.get(key);
        kind == LinkType::RouterControl
            && conn.is_some_and(|conn| conn.links.iter().flatten().any(is_control))
    }

    /// A peer attaches a link between routers: it is answered at once.
    pub(super) fn attach_router_link(
        &mut self,
        key: ConnKey,
        session: SessionKey,
        link: LinkKey,
        attach: &Attach,
        kind: LinkType,
    ) {
        let Some(new) = self.new_link(key, session, link, attach) else {
            return;
        };
        let answer = Attach {
            source: attach.source.clone(),
            target: attach.target.clone(),
            ..answer_to(attach)
        };
        if let Some(conn) = self.conns.get_mut(key) {
            conn.answer_attach(link, answer);
        }
        match attach.role {
            Role::Sender => self.insert_in(key, new, kind),
            Role::Receiver => {
                let out = self.insert_out(key, new, kind);
                self.router_link_up(key, out);
            }
        }
    }

    /// A peer has answered one of our attaches.
    pub(super) fn attach_answered(&mut self, key: ConnKey, link: LinkKey, attach: &Attach) {
        if let Some(half) = self.half_at(key, link) {
            self.far_answered(half, attach);
            return;
        }
        match self.slot(key, link) {
            // Without a terminus the answer is a refusal: the detach follows.
            Some(LinkSlot::Out(out)) if attach.target.is_some() => self.router_link_up(key, out),
            Some(LinkSlot::In(in_link)) => self.mark_credit(in_link, true),
            Some(LinkSlot::Offered(offer)) => self.auto_link_answered(key, link, offer, attach),
            _ => {}
        }
    }

    fn insert_in(&mut self, key: ConnKey, mut new: NewLink, kind: LinkType) {
        let (session, link) = (new.session, new.link);
        new.capacity = room(kind, new.capacity);
        let target = match kind {
            LinkType::RouterControl => InTarget::Control,
            LinkType::InterRouter | LinkType::Endpoint => InTarget::Anonymous { memo: None },
        };
        let in_key = InLinkKey(self.in_links.insert(InLink::new(new, kind, target)));
        if let Some(conn) = self.conns.get_mut(key) {
            conn.set_slot(link, Some(LinkSlot::In(in_key)));
        }
        self.review_window(key, session);
        self.mark_credit(in_key, true);
    }

    fn insert_out(&mut self, key: ConnKey, mut new: NewLink, kind: LinkType) -> Key {
        let link = new.link;
        new.capacity = room(kind, new.capacity);
        let mut record = OutLink::new(new, AddressKey::from(""), None, true);
        record.kind = kind;
        let out = self.out_links.insert(record);
        if let Some(conn) = self.conns.get_mut(key) {
            conn.set_slot(link, Some(LinkSlot::Out(out)));
        }
        out
    }

    /// Both ends of a link on which this router sends are attached: the control plane may use it.
    fn router_link_up(&mut self, key: ConnKey, out: Key) {
        let link = self.out_key(out);
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let Some(record) = self.out_links.get_mut(out) else {
            return;
        };
        let priority = match record.kind {
            LinkType::InterRouter if record.streaming => return,
            LinkType::Endpoint => return,
            LinkType::RouterControl => None,
            LinkType::InterRouter => {
                // Beyond one for each they are links for large messages.
                let Some(priority) = conn.add_data_link(out) else {
                    return;
                };
                record.priority = priority;
                Some(priority)
            }
        };
        let properties = conn.properties.as_ref();
        let asked = properties.and_then(|properties| int_property(properties, COST));
        let asked = asked.and_then(|cost| u32::try_from(cost).ok()).unwrap_or(1);
        let up = RouterLink {
            connection: conn.id,
            link,
            priority,
            capacity: conn.settings.link_capacity,
            cost: conn.settings.cost.max(asked),
            opener: priority.is_none().then(|| Opener {
                container: conn.container.as_deref().unwrap_or_default().into(),
                is_product: properties.is_some_and(|properties| has_property(properties, PRODUCT)),
                is_kin: properties
                    .is_some_and(|of| int_property(of, HEARSAY) >= Some(HEARSAY_VERSION)),
            }),
        };
        self.tell_control(Command::LinkUp(up), 0);
    }

    /// More of a message of the routing protocol has come. Hellos that were said meanwhile are
    /// behind it, so the control plane hears of it instead, as often as of a hello.
    pub(super) fn note_arriving(&mut self, key: InLinkKey) {
        let now = self.clock.noted;
        let Some(link) = self.in_links.get_mut(key) else {
            return;
        };
        let due = link.arrived + self.settings.timers.hello_interval;
        if due <= now
            && let Some(conn) = self.conns.get(link.conn)
        {
            link.arrived = now;
            self.tell_control(Command::Arriving(conn.id), 0);
        }
    }

    /// A message of the routing protocol: the control plane reads it.
    pub(super) fn take_routing(&mut self, parcel: Parcel) {
        let connection = self.conns.get(parcel.conn).map(|conn| conn.id);
        let whole = parcel.complete && parcel.payload.len() <= limits::MESH_MESSAGE_BYTES;
        if whole && let Some(connection) = connection {
            let mut message = BytesMut::with_capacity(parcel.payload.len());
            for chunk in parcel.payload.chunks() {
                message.extend_from_slice(chunk);
            }
            let bytes = message.len();
            self.tell_control(Command::Routing(connection, message.freeze()), bytes);
            self.refuse_parcel(parcel, DeliveryState::Accepted);
        } else {
            self.refuse_parcel(parcel, DeliveryState::Released);
        }
    }

    /// Whether a link is one for the routing protocol that this router has asked for.
    pub(super) fn is_own_control(&self, key: ConnKey, link: LinkKey) -> bool {
        let is_ours = |key| {
            self.conns
                .get(key)
                .is_some_and(|conn| conn.settings.is_initiator())
        };
        let kind = match self.slot(key, link) {
            Some(LinkSlot::In(in_link)) => self.in_links.get(in_link).map(|link| link.kind),
            Some(LinkSlot::Out(out)) => self.out_links.get(out).map(|link| link.kind),
            Some(LinkSlot::Offered(_) | LinkSlot::Refused) | None => None,
        };
        kind == Some(LinkType::RouterControl) && is_ours(key)
    }

    /// Whether a connection is one between interior routers.
    pub(super) fn is_inter_router(&self, key: ConnKey) -> bool {
        self.conns
            .get(key)
            .is_some_and(|conn| conn.settings.role == ConnectionRole::InterRouter)
    }
}

/// Deliveries for which a link between routers has room.
fn room(kind: LinkType, configured: u32) -> u32 {
    match kind {
        LinkType::RouterControl => configured.max(limits::CONTROL_CAPACITY),
        LinkType::InterRouter | LinkType::Endpoint => configured,
    }
}

/// Whether the properties of a peer's Open say something.
fn has_property(properties: &Encoded, name: &str) -> bool {
    match properties.value() {
        Ok(Value::Map(map)) => map.get(name).is_some(),
        _ => false,
    }
}

/// A number in the properties of a peer's Open; an `int` alone counts.
pub(super) fn int_property(properties: &Encoded, name: &str) -> Option<i32> {
    let Ok(Value::Map(map)) = properties.value() else {
        return None;
    };
    match map.get(name) {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    }
}
