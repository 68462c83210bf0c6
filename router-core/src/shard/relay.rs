//! Routed links: attach and detach, passed on from end to end.
//!
//! A client's attach that matches a link route is answered by the container, not by the router: its
//! half waits while the control plane chooses a way and the shard of that connection attaches the
//! other half. What one peer does to its half is then done to the other's. Credit and deliveries
//! are in `routed.rs`.
//!
//! Decision: each half knows its other by a key, and a stale key is all there is to know of a half
//! that is gone; so whoever goes away in whatever state leaves nothing behind.

use amqp_codec::{AmqpError, Attach, Performative, Role, Str, Symbol, TargetArchetype, Value};
use amqp_proto::{LimitError, LinkKey, SessionKey};
use bytes::BytesMut;

use super::attach::{NO_ROUTE, Refusal, TOO_MANY};
use super::conn::{LinkSlot, OwnSessions, Phase};
use super::link::{InLink, InTarget, OutLink, Parting, Routed, Stage};
use super::state::Shard;
use super::termini::answer_to;
use crate::address::{normalise, trim_separators};
use crate::ids::{AddressKey, ConnKey, Direction, InLinkKey, Key, LinkId};
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::{AttachLink, Command, Half, Mail, Relay, RelayEvent, RouteLink};
use crate::notice::LinkEnd;

/// The address by which links to a transaction coordinator are routed.
const COORDINATOR: &str = "$coordinator";

/// The property of a dynamic node that says by which address its link is routed.
const DYNAMIC_ADDRESS: &str = "x-opt-qd.address";

/// What the peer of the half that is left hears.
const LOST: Refusal = (
    "qd:routed-link-lost",
    "Connectivity to the peer container was lost",
);
const EXPIRATION: Refusal = (
    "qd:link-expiration",
    "Requested link expiration not allowed",
);

/// A link route that an attach matches.
pub(super) struct Wanted {
    direction: Direction,
    /// The link route.
    key: AddressKey,
    /// The address, as management shows it.
    address: AddressKey,
}

impl Shard {
    /// The link route that an attach matches, if any does.
    pub(super) fn link_route(&mut self, attach: &Attach) -> Option<Wanted> {
        let links = self.table.links();
        if links.is_empty() {
            return None;
        }
        let address = routed_address(attach)?;
        let direction = match attach.role {
            Role::Sender => Direction::In,
            Role::Receiver => Direction::Out,
        };
        let text = trim_separators(normalise(&address));
        let key = AddressKey::clone(links.best_match(direction, text)?);
        Some(Wanted {
            direction,
            key,
            address: AddressKey::from(format!("M0{text}")),
        })
    }

    /// A client attaches a link that is to be routed: its answer is the container's.
    pub(super) fn attach_near(
        &mut self,
        key: ConnKey,
        session: SessionKey,
        link: LinkKey,
        attach: &Attach,
        wanted: Wanted,
    ) -> Result<(), Refusal> {
        let survives = survives(attach);
        if survives && !self.settings.resumable_link_routes {
            return Err(EXPIRATION);
        }
        let Some(conn) = self.conns.get(key) else {
            return Ok(());
        };
        let connection = conn.id;
        if conn.routed >= limits::ROUTED_LINKS_PER_CLIENT && !self.is_inter_router(key) {
            return Err(TOO_MANY);
        }
        let attach = settled(attach);
        let Some(new) = self.new_link(key, session, link, &attach) else {
            return Ok(());
        };
        let Wanted {
            direction,
            key: route,
            address,
        } = wanted;
        let mut onward = onward(&attach);
        if !self.is_inter_router(key)
            && let Some(container) = self.conns.get(key).and_then(|conn| conn.container.as_ref())
        {
            let room = limits::LINK_NAME_BYTES.saturating_sub(attach.name.len() + 1);
            let container = &container[..container.floor_char_boundary(room)];
            onward.name = Str::from(format!("{}@{container}", attach.name));
        }
        self.note_attached(key, new.id, direction, &attach);
        let mut routed = Routed::new(Stage::Asking(Box::new(attach)), direction);
        routed.key = Some(AddressKey::clone(&address));
        routed.survives = survives;
        let id = new.id;
        let near = self.insert_half(key, new, routed);
        self.note_asking(near);
        let ask = RouteLink {
            near,
            id,
            connection,
            direction,
            key: route,
            address,
            attach: Box::new(onward),
            misses: 0,
        };
        let bytes = ask.bytes();
        self.tell_control(Command::RouteLink(ask), bytes);
        Ok(())
    }

    /// Makes the record of a half.
    fn insert_half(&mut self, conn: ConnKey, new: super::link::NewLink, routed: Routed) -> Half {
        let (session, link) = (new.session, new.link);
        let from_near = routed.is_near;
        // A client's sender is received from here and sent to on the container's side.
        let receives = (routed.direction == Direction::In) == from_near;
        let routed = Box::new(routed);
        let (half, slot) = if receives {
            let target = InTarget::Routed(routed);
            let record = InLink::new(new, LinkType::Endpoint, target);
            let key = InLinkKey(self.in_links.insert(record));
            (Half::In(self.id, key), LinkSlot::In(key))
        } else {
            let mut record = OutLink::new(new, AddressKey::from(""), None, false);
            record.routed = Some(routed);
            let key = self.out_links.insert(record);
            (Half::Out(self.out_key(key)), LinkSlot::Out(key))
        };
        if let Some(conn) = self.conns.get_mut(conn) {
            conn.set_slot(link, Some(slot));
            conn.routed += usize::from(from_near);
        }
        if receives {
            self.review_window(conn, session);
        }
        half
    }

    /// Attaches the far half of a client's link.
    pub(super) fn attach_far_now(&mut self, ask: AttachLink) {
        let near = ask.ask.near;
        let conn = self.by_id.get(&ask.connection);
        let conn = conn.and_then(|&key| self.conns.get(key));
        if conn.is_none_or(|conn| conn.phase != Phase::Open) {
            self.choose_again(ask);
            return;
        }
        let what = match self.try_attach_far(ask) {
            Ok((half, id)) => RelayEvent::Paired(half, id),
            Err((condition, description)) => RelayEvent::Refused(condition, description),
        };
        self.relay(near, what);
    }

    fn try_attach_far(&mut self, ask: AttachLink) -> Result<(Half, LinkId), Refusal> {
        let AttachLink {
            ask,
            connection,
            edit,
        } = ask;
        let RouteLink {
            near,
            id,
            direction,
            address,
            mut attach,
            ..
        } = ask;
        let key = self.by_id.get(&connection).copied().ok_or(NO_ROUTE)?;
        if let Some(edit) = &edit {
            change_address(&mut attach, direction, |address| edit.outward(address));
        }
        let Key { index, generation } = near.key();
        let suffix = format!("#{}.{index}.{generation}", near.shard().0);
        let sessions = OwnSessions::Routed;
        let (session, link) = self.attach_on_own(key, sessions, &mut attach, &suffix)?;
        let new = self.new_link(key, session, link, &attach).ok_or(NO_ROUTE)?;
        self.note_attached(key, new.id, opposite(direction), &attach);
        let mut routed = Routed::new(Stage::Offered, direction);
        routed.other = Some(near);
        routed.peer = Some(id);
        routed.key = Some(address);
        routed.edit = edit;
        routed.survives = survives(&attach);
        let id = new.id;
        let half = self.insert_half(key, new, routed);
        self.touch(key);
        Ok((half, id))
    }

    /// Attaches a link on one of the router's own sessions of a kind: one that has not all the
    /// links it may, begun now if need be. Devices are often called alike, and so are their links:
    /// a second one of a name gets `suffix` behind its own, for sessions may be few.
    pub(super) fn attach_on_own(
        &mut self,
        key: ConnKey,
        kind: OwnSessions,
        attach: &mut Attach,
        suffix: &str,
    ) -> Result<(SessionKey, LinkKey), Refusal> {
        let conn = self.conns.get_mut(key).ok_or(NO_ROUTE)?;
        if conn.engine.link_count() >= limits::LINKS_PER_CONNECTION {
            return Err(TOO_MANY);
        }
        for place in 0..conn.own_sessions(kind).len() {
            let session = conn.own_sessions(kind)[place];
            let mut result = conn.attach(session, attach);
            if result == Err(LimitError::NameInUse) {
                attach.name = Str::from(format!("{}{suffix}", attach.name));
                result = conn.attach(session, attach);
            }
            match result {
                Ok(link) => return Ok((session, link)),
                Err(LimitError::NameInUse | LimitError::Handles) => {}
                Err(_) => return Err(NO_ROUTE),
            }
        }
        if conn.own_sessions(kind).len() >= limits::ROUTING_SESSIONS {
            return Err(TOO_MANY);
        }
        let session = conn.engine.begin(&mut conn.output).map_err(|_| TOO_MANY)?;
        conn.add_session(session);
        conn.own_sessions(kind).push(session);
        let link = conn.attach(session, attach);
        link.map(|link| (session, link)).map_err(|_| NO_ROUTE)
    }

    /// The half of a routed link that an engine's key stands for.
    pub(super) fn half_at(&mut self, conn: ConnKey, link: LinkKey) -> Option<Half> {
        let half = match self.slot(conn, link)? {
            LinkSlot::In(key) => Half::In(self.id, key),
            LinkSlot::Out(key) => Half::Out(self.out_key(key)),
            LinkSlot::Offered(_) | LinkSlot::Refused => return None,
        };
        self.routed(half).is_some().then_some(half)
    }

    /// What is known of a half.
    pub(super) fn routed(&mut self, half: Half) -> Option<&mut Routed> {
        match half {
            Half::In(_, key) => self.in_links.get_mut(key)?.routed(),
            Half::Out(key) => self.out_links.get_mut(key.link)?.routed.as_deref_mut(),
        }
    }

    /// Where a half is.
    pub(super) fn place_of(&self, half: Half) -> Option<(ConnKey, SessionKey, LinkKey)> {
        match half {
            Half::In(_, key) => {
                let link = self.in_links.get(key)?;
                Some((link.conn, link.session, link.link))
            }
            Half::Out(key) => {
                let link = self.out_links.get(key.link)?;
                Some((link.conn, link.session, link.link))
            }
        }
    }

    /// Tells one half what happened to the other.
    pub(super) fn relay(&mut self, to: Half, what: RelayEvent) {
        let relay = Box::new(Relay { to, what });
        self.post_counted(to.shard(), Mail::Relay(relay), size_of::<Relay>());
    }

    /// Tells the other half something; if it is the last, it is not told of this one's end.
    pub(super) fn tell_other(&mut self, half: Half, what: RelayEvent, last: bool) {
        let other = self.routed(half).and_then(|routed| match last {
            true => routed.other.take(),
            false => routed.other,
        });
        if let Some(other) = other {
            self.relay(other, what);
        }
    }

    /// Does what follows from something that happened to the other half.
    pub(super) fn take_relay_now(&mut self, relay: Relay) {
        let Relay { to: half, what } = relay;
        if self.routed(half).is_none() {
            if let RelayEvent::Paired(other, _) = what {
                self.relay(other, RelayEvent::Lost { closed: true });
            }
            return;
        }
        let conn = self.place_of(half).map(|(conn, ..)| conn);
        match what {
            RelayEvent::Paired(other, id) => {
                if let Some(routed) = self.routed(half) {
                    routed.other = Some(other);
                    routed.peer = Some(id);
                }
            }
            RelayEvent::Attached(attach) => self.answer_near(half, *attach),
            RelayEvent::Refused(condition, description) => {
                self.refuse_near(half, (condition, description));
            }
            RelayEvent::Detach { closed, error } => self.part(half, Parting { closed, error }),
            RelayEvent::Lost { closed } => {
                let mut closed = closed;
                if let Some(routed) = self.routed(half) {
                    routed.other = None;
                    closed &= !routed.survives;
                }
                let error = Some(Box::new(error_of(LOST)));
                self.part(half, Parting { closed, error });
            }
            RelayEvent::Answered(closed) => self.answer_detach(half, closed),
            RelayEvent::Stalled => self.end_if_stalled(half),
        }
        if let Some(conn) = conn {
            self.touch(conn);
        }
    }

    /// A container, or the next router, has answered an attach of ours.
    pub(super) fn far_answered(&mut self, half: Half, attach: &Attach) {
        let Some(routed) = self.routed(half) else {
            return;
        };
        if !matches!(routed.stage, Stage::Offered) {
            return;
        }
        routed.stage = Stage::Open;
        let direction = routed.direction;
        let mut attach = settled(attach);
        if let Some(edit) = routed.edit.clone() {
            change_address(&mut attach, direction, |address| edit.inward(address));
        }
        self.tell_other(half, RelayEvent::Attached(Box::new(attach)), false);
        if let Half::Out(out) = half {
            self.tell_credit(out.link);
        }
    }

    /// The far end has answered a client's attach: so does this one.
    fn answer_near(&mut self, half: Half, attach: Attach) {
        let Some((key, _, link)) = self.place_of(half) else {
            return;
        };
        let Some(routed) = self.routed(half) else {
            return;
        };
        let Stage::Asking(asked) = &routed.stage else {
            return;
        };
        let answer = Attach {
            snd_settle_mode: attach.snd_settle_mode,
            rcv_settle_mode: attach.rcv_settle_mode,
            source: attach.source,
            target: attach.target,
            max_message_size: attach.max_message_size,
            offered_capabilities: attach.offered_capabilities,
            desired_capabilities: attach.desired_capabilities,
            properties: attach.properties,
            ..answer_to(asked)
        };
        routed.stage = Stage::Open;
        if let Some(conn) = self.conns.get_mut(key) {
            conn.answer_attach(link, answer);
        }
        match half {
            Half::Out(out) => self.tell_credit(out.link),
            // It may have come before the answer, if that had to wait for the connection.
            Half::In(_, key) => self.renew_credit(key),
        }
        self.touch(key);
    }

    /// There is no way for a client's link.
    pub(super) fn refuse_near(&mut self, half: Half, refusal: Refusal) {
        let Some((key, _, link)) = self.place_of(half) else {
            return;
        };
        let Some(routed) = self.routed(half) else {
            return;
        };
        routed.other = None;
        let stage = std::mem::replace(&mut routed.stage, Stage::Detaching);
        if let Stage::Asking(attach) = stage {
            self.refuse(key, link, *attach, refusal);
        }
        match half {
            Half::In(_, key) => self.drop_producer(key, &[], LinkEnd::Detached),
            Half::Out(out) => self.drop_consumer(out.link, &[], LinkEnd::Detached),
        }
        self.touch(key);
    }

    /// The peer of a half has detached it, or has answered our detach.
    pub(super) fn half_detached(&mut self, half: Half, parting: Parting) {
        let Some((key, _, link)) = self.place_of(half) else {
            return;
        };
        let Some(routed) = self.routed(half) else {
            return;
        };
        let Parting { closed, error } = parting;
        let stage = std::mem::replace(&mut routed.stage, Stage::PeerGone(closed));
        let is_alone = routed.other.is_none() || routed.parting.is_some();
        match stage {
            Stage::Offered | Stage::Open if !is_alone => {
                self.settle_half(half);
                self.tell_other(half, RelayEvent::Detach { closed, error }, false);
                self.note_parting(half);
            }
            Stage::Asking(_) => {
                routed.lingers = true;
                self.tell_other(half, RelayEvent::Detach { closed, error }, true);
                self.drop_half(key, link, Some(closed));
            }
            Stage::Detaching => {
                self.tell_other(half, RelayEvent::Answered(closed), true);
                self.drop_half(key, link, None);
            }
            Stage::Offered | Stage::Open | Stage::PeerGone(_) => {
                self.tell_other(half, RelayEvent::Answered(closed), true);
                self.drop_half(key, link, Some(closed));
            }
        }
        self.touch(key);
    }

    /// Frees a half, its peer's detach answered first if it waits for that.
    pub(super) fn drop_half(&mut self, key: ConnKey, link: LinkKey, answer: Option<bool>) {
        if let Some(closed) = answer
            && let Some(conn) = self.conns.get_mut(key)
        {
            conn.engine.detach(link, closed, None, &mut conn.output);
        }
        self.drop_link(key, link, LinkEnd::Detached);
    }

    /// The peer of the other half has answered.
    fn answer_detach(&mut self, half: Half, closed: bool) {
        let Some((key, _, link)) = self.place_of(half) else {
            return;
        };
        if let Some(routed) = self.routed(half)
            && let Stage::PeerGone(_) = routed.stage
        {
            routed.other = None;
            self.drop_half(key, link, Some(closed));
        }
    }
}

/// The address by which an attach may be routed.
fn routed_address(attach: &Attach) -> Option<Str> {
    let (address, properties) = match (attach.role, &attach.target, &attach.source) {
        (Role::Sender, Some(TargetArchetype::Coordinator(_)), _) => {
            return Some(Str::from(COORDINATOR));
        }
        (Role::Sender, Some(TargetArchetype::Target(target)), _) => (
            &target.address,
            (target.dynamic).then_some(&target.dynamic_node_properties),
        ),
        (Role::Receiver, _, Some(source)) => (
            &source.address,
            (source.dynamic).then_some(&source.dynamic_node_properties),
        ),
        _ => return None,
    };
    if let Some(properties) = properties {
        let properties = properties.as_ref()?.value().ok()?;
        let (key, value) = properties.as_map()?.iter().next()?;
        let is_it = matches!(key, Value::Symbol(key) if key.as_str() == DYNAMIC_ADDRESS);
        return is_it.then(|| value.as_str().map(Str::copy)).flatten();
    }
    // Those that begin so are the routers' own.
    let is_own = |address: &Str| normalise(address).starts_with('_');
    let address = address.as_ref().filter(|address| !address.is_empty())?;
    (!is_own(address)).then(|| address.clone())
}

/// Whether the terminus at the far end is to outlive the link's connection.
fn survives(attach: &Attach) -> bool {
    let (timeout, expiry) = match (attach.role, &attach.target, &attach.source) {
        (Role::Sender, Some(TargetArchetype::Target(target)), _) => {
            (target.timeout, &target.expiry_policy)
        }
        (Role::Receiver, _, Some(source)) => (source.timeout, &source.expiry_policy),
        _ => return false,
    };
    let never = expiry
        .as_ref()
        .is_some_and(|expiry| expiry.as_str() == "never");
    timeout > 0 || never
}

/// What goes on of an attach: all but what belongs to the link it came by.
fn onward(attach: &Attach) -> Attach {
    Attach {
        handle: 0,
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: None,
        ..attach.clone()
    }
}

/// A copy that does not hold the window that the attach was read into.
fn settled(attach: &Attach) -> Attach {
    let mut bytes = BytesMut::new();
    attach.encode(&mut bytes);
    match Performative::decode(&mut bytes.freeze()) {
        Ok(Performative::Attach(copy)) => *copy,
        _ => attach.clone(),
    }
}

/// Changes the address of the terminus by which an attach was routed.
fn change_address(attach: &mut Attach, direction: Direction, change: impl Fn(&str) -> Str) {
    let address = match (direction, &mut attach.target, &mut attach.source) {
        (Direction::In, Some(TargetArchetype::Target(target)), _) => &mut target.address,
        (Direction::Out, _, Some(source)) => &mut source.address,
        _ => return,
    };
    if let Some(address) = address.as_mut().filter(|address| !address.is_empty()) {
        *address = change(address);
    }
}

pub(super) fn error_of((condition, description): Refusal) -> AmqpError {
    AmqpError {
        condition: Symbol::from(condition),
        description: Some(Str::from(description)),
        info: None,
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::In => Direction::Out,
        Direction::Out => Direction::In,
    }
}
