//! Attach: what a peer's terminus means, and the answer or the refusal.
//!
//! A producer's link is answered at once and gets credit when its address has a consumer. A
//! consumer's is answered when the control plane has published its binding to every shard, so that
//! whoever sees the answer is never told "no route" (see `docs/ARCHITECTURE.md`, "Attach").

use std::sync::Arc;

use amqp_codec::{
    AmqpError, Attach, Role, SenderSettleMode, Source, Str, Symbol, Target, TargetArchetype,
};
use amqp_proto::{LinkKey, SessionKey};

use super::conn::LinkSlot;
use super::link::{InLink, InTarget, NewLink, OutLink};
use super::state::Shard;
use super::termini::{answer_to, own_capabilities, type_of};
use crate::address::{Phase, dynamic_source, dynamic_target, is_of_routers, lookup_key, normalise};
use crate::counters::Counter;
use crate::ids::{AddressKey, ConnKey, Direction, InLinkKey, LinkId};
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::{self, Asker, AutoLinkEvent, Bind, BoundLink, Command};
use crate::notice::{Notice, TerminusText, cut};
use crate::route::Treatment;
use crate::settings::ConnectionRole;

/// Why an attach is refused: condition and description, as clients of routers know them.
pub(super) type Refusal = (&'static str, &'static str);

const NO_COORDINATOR: Refusal = (
    "amqp:precondition-failed",
    "The router can't coordinate transactions by itself, a linkRoute to a coordinator must be \
     configured to use transactions.",
);
const FORBIDDEN: Refusal = ("qd:forbidden", "Connectivity to the node is forbidden");
const UNAVAILABLE: Refusal = ("amqp:not-found", "Node not found");
const NOT_YOURS: Refusal = (
    "amqp:unauthorized-access",
    "a dynamic address is consumed by the connection that created it alone",
);
const ROUTERS_ONLY: Refusal = (
    "qd:connection-role",
    "Link attach forbidden on inter-router connection",
);
pub(super) const TOO_MANY: Refusal = (
    "amqp:resource-limit-exceeded",
    "too many links on one connection",
);
const TOO_MUCH: Refusal = (
    "amqp:resource-limit-exceeded",
    "the names and addresses of the links on one connection are too long",
);
const LONG_NAME: Refusal = (
    "amqp:resource-limit-exceeded",
    "the name of the link is too long",
);
const LONG_ADDRESS: Refusal = ("amqp:resource-limit-exceeded", "the address is too long");
pub(super) const NO_ROUTE: Refusal = mail::NO_ROUTE;

/// An address that a link may be bound to.
pub(super) struct Resolved {
    pub(super) key: AddressKey,
    pub(super) treatment: Treatment,
    pub(super) priority: Option<u8>,
}

impl Shard {
    /// The peer attaches a link.
    pub(super) fn attach(
        &mut self,
        key: ConnKey,
        session: SessionKey,
        link: LinkKey,
        attach: Attach,
    ) {
        let kind = type_of(own_capabilities(&attach));
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let links = conn.engine.link_count();
        let names = conn.names.add(link, &attach);
        let of_routers = kind != LinkType::Endpoint && self.is_inter_router(key);
        let outcome = match attach.role {
            _ if links > limits::LINKS_PER_CONNECTION => Err(TOO_MANY),
            _ if names > limits::ATTACH_BYTES => Err(TOO_MUCH),
            _ if attach.name.len() > limits::LINK_NAME_BYTES => Err(LONG_NAME),
            role if of_routers && self.has_control_link(key, role, kind) => Err(TOO_MANY),
            _ if of_routers => {
                self.attach_router_link(key, session, link, &attach, kind);
                Ok(())
            }
            _ if !self.may_attach_endpoints(key) => Err(ROUTERS_ONLY),
            _ if let Some(wanted) = self.link_route(&attach) => {
                self.attach_near(key, session, link, &attach, wanted)
            }
            Role::Sender => self.attach_producer(key, session, link, &attach),
            Role::Receiver => self.attach_consumer(key, session, link, &attach),
        };
        if let Err(refusal) = outcome {
            self.refuse(key, link, attach, refusal);
            // What is refused is kept until the peer detaches it. One that never does is ended.
            if links > 2 * limits::LINKS_PER_CONNECTION || names > 2 * limits::ATTACH_BYTES {
                self.give_up(key, refusal);
            }
        }
        self.touch(key);
    }

    /// Whether a connection may have links that are none between routers. One of role inter-router
    /// may as soon as the routing protocol can speak on it: an incumbent passes links on to
    /// containers by it. Clients that have come by the wrong listener may not.
    fn may_attach_endpoints(&self, key: ConnKey) -> bool {
        !self.is_inter_router(key)
            || self.has_control_link(key, Role::Receiver, LinkType::RouterControl)
    }

    /// Ends a connection whose peer goes on attaching links although they are refused.
    fn give_up(&mut self, key: ConnKey, (condition, description): Refusal) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let error = AmqpError {
            condition: Symbol::from(condition),
            description: Some(Str::from(description)),
            info: None,
        };
        conn.engine.close(Some(error), &mut conn.output);
        self.notices.push(Notice::ConnectionFailed {
            connection: conn.id,
            listener: conn.listener_name(),
            peer: conn.peer.clone(),
            condition: condition.to_owned(),
            description: description.to_owned(),
        });
        self.tell_ended(key, Some((condition.to_owned(), description.to_owned())));
        self.close(key);
    }

    fn attach_producer(
        &mut self,
        key: ConnKey,
        session: SessionKey,
        link: LinkKey,
        attach: &Attach,
    ) -> Result<(), Refusal> {
        let mut target = match &attach.target {
            Some(TargetArchetype::Coordinator(_)) => return Err(NO_COORDINATOR),
            Some(TargetArchetype::Target(target)) => Some((**target).clone()),
            None => None,
        };
        let resolved = match &mut target {
            Some(target) => self.resolve_target(target)?,
            None => None,
        };
        let Some(new) = self.new_link(key, session, link, attach) else {
            return Ok(());
        };
        let (id, text) = (
            new.id,
            target.as_ref().and_then(|target| target.address.clone()),
        );
        let routed = match &resolved {
            None => InTarget::Anonymous { memo: None },
            Some(Resolved { key, .. }) => InTarget::Address {
                text: text.unwrap_or_default().settle(),
                key: AddressKey::clone(key),
                route: self.table.lookup(key).cloned(),
            },
        };
        let mut record = InLink::new(new, LinkType::Endpoint, routed);
        record.fallback = target
            .as_ref()
            .is_some_and(|of| is_fallback(&of.capabilities));
        let in_key = InLinkKey(self.in_links.insert(record));
        if let Some(target) = &mut target {
            default_expiry(&mut target.expiry_policy);
        }
        let mut source = attach.source.clone();
        if let Some(source) = &mut source {
            default_expiry(&mut source.expiry_policy);
        }
        let answer = Attach {
            source,
            target: target.map(|target| TargetArchetype::Target(Box::new(target))),
            ..answer_to(attach)
        };
        if let Some(conn) = self.conns.get_mut(key) {
            conn.set_slot(link, Some(LinkSlot::In(in_key)));
            conn.answer_attach(link, answer);
        }
        self.review_window(key, session);
        self.note_attached(key, id, Direction::In, attach);
        if let Some(resolved) = resolved {
            let producers = self
                .producers
                .entry(AddressKey::clone(&resolved.key))
                .or_default();
            producers.insert(in_key);
            let from = self.asker(key, &resolved.key);
            self.bind(resolved, BoundLink::In(self.id, in_key), id, from);
        }
        self.mark_credit(in_key, true);
        Ok(())
    }

    /// The address that a producer's terminus names, and the name of one made for it; none for an
    /// anonymous terminus.
    fn resolve_target(&mut self, target: &mut Target) -> Result<Option<Resolved>, Refusal> {
        refuse_router_capabilities(&target.capabilities)?;
        if target.dynamic {
            let name = dynamic_target(&[self.draw(), self.draw()]);
            target.address = Some(Str::from(name));
        }
        match &target.address {
            Some(address) if !address.is_empty() => self
                .resolve(address, Direction::In, &target.capabilities)
                .map(Some),
            _ => Ok(None),
        }
    }

    fn attach_consumer(
        &mut self,
        key: ConnKey,
        session: SessionKey,
        link: LinkKey,
        attach: &Attach,
    ) -> Result<(), Refusal> {
        let mut source = attach.source.clone().ok_or(NO_ROUTE)?;
        let resolved = self.resolve_source(key, &mut source)?;
        let Some(new) = self.new_link(key, session, link, attach) else {
            return Ok(());
        };
        let (id, capacity) = (new.id, new.capacity);
        default_expiry(&mut source.expiry_policy);
        let mut target = attach.target.clone();
        if let Some(TargetArchetype::Target(target)) = &mut target {
            default_expiry(&mut target.expiry_policy);
        }
        let answer = Attach {
            source: Some(source),
            target,
            ..answer_to(attach)
        };
        let Some(conn) = self.conns.get_mut(key) else {
            return Ok(());
        };
        let annotated = !conn.settings.strip_annotations.outbound;
        let mut out = OutLink::new(
            new,
            AddressKey::clone(&resolved.key),
            Some(Box::new(answer)),
            annotated,
        );
        out.settles = attach.snd_settle_mode == SenderSettleMode::Settled;
        let out = self.out_links.insert(out);
        conn.set_slot(link, Some(LinkSlot::Out(out)));
        conn.unanswered += 1;
        self.note_attached(key, id, Direction::Out, attach);
        let bound = BoundLink::Out {
            link: self.out_key(out),
            capacity,
            annotated,
        };
        self.bind(resolved, bound, id, None);
        Ok(())
    }

    /// The address that a consumer's terminus names, or one made for it.
    fn resolve_source(&mut self, key: ConnKey, source: &mut Source) -> Result<Resolved, Refusal> {
        refuse_router_capabilities(&source.capabilities)?;
        if source.dynamic {
            let random = [self.draw(), self.draw()];
            let name = dynamic_source(&self.context, &random);
            let key = self.key_of(&name, Phase::Digit(0));
            source.address = Some(Str::from(name));
            let treatment = Treatment::AnycastBalanced;
            return Ok(Resolved {
                key,
                treatment,
                priority: None,
            });
        }
        let address = source
            .address
            .clone()
            .filter(|text| !text.is_empty())
            .ok_or(NO_ROUTE)?;
        let resolved = self.resolve(&address, Direction::Out, &source.capabilities)?;
        // What only routers receive.
        if resolved.key.starts_with(['A', 'H', 'R', 'T']) {
            return Err(NO_ROUTE);
        }
        if is_dynamic(&resolved.key) && !self.consumes(key, &resolved.key) {
            return Err(NOT_YOURS);
        }
        Ok(resolved)
    }

    /// What every new link brings; `None` if its connection is gone.
    pub(super) fn new_link(
        &mut self,
        key: ConnKey,
        session: SessionKey,
        link: LinkKey,
        attach: &Attach,
    ) -> Option<NewLink> {
        let id = self.link_id();
        let settings = &self.conns.get(key)?.settings;
        let capacity = settings.link_capacity;
        let of_container = settings.role == ConnectionRole::RouteContainer;
        self.counters.add(Counter::Links, 1);
        let (name, second) = (Arc::from(&*attach.name), self.second);
        Some(NewLink {
            id,
            conn: key,
            session,
            link,
            name,
            capacity,
            of_container,
            second,
        })
    }

    /// Tells the control plane of a link on an address.
    pub(super) fn bind(
        &mut self,
        resolved: Resolved,
        link: BoundLink,
        id: LinkId,
        from: Option<Box<Asker>>,
    ) {
        let Resolved {
            key,
            treatment,
            priority,
        } = resolved;
        let bind = Bind {
            key,
            treatment,
            priority,
            link,
            id,
            from,
        };
        let bytes = bind.key.len();
        self.tell_control(Command::Bind(bind), bytes);
    }

    /// The control plane has published a consumer's binding: the peer gets its answer.
    pub(super) fn bound(&mut self, bound: mail::Bound) {
        let out = bound.link.link;
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        let (answer, auto) = (link.answer.take(), link.auto);
        if link.address.is_some() {
            return;
        }
        link.address = Some(bound.address);
        self.consumers.entry(bound.address).or_default().push(out);
        let (conn_key, engine_link, id) = (link.conn, link.link, link.id);
        if let Some(answer) = answer
            && let Some(conn) = self.conns.get_mut(conn_key)
        {
            conn.answer_attach(engine_link, *answer);
            self.consumer_answered(conn_key);
        }
        if let Some(of) = auto {
            self.tell_auto_link(of, AutoLinkEvent::Active(id));
        }
        self.consumer_flow(out);
        self.mark_ready(out);
    }

    /// What an address means here: its key and treatment, by rules and capabilities.
    fn resolve(
        &mut self,
        address: &str,
        direction: Direction,
        capabilities: &[Symbol],
    ) -> Result<Resolved, Refusal> {
        let found = self.table.rules().resolve(normalise(address), direction);
        let phase = match waypoint_phase(capabilities, direction) {
            _ if direction == Direction::Out && is_fallback(capabilities) => Phase::Fallback,
            waypoint => waypoint.map_or(found.phase, Phase::Digit),
        };
        let key = self.key_of(address, phase);
        if is_of_routers(&key) {
            return Err(FORBIDDEN);
        }
        // It would be reachable here and nowhere else.
        if key.len() > limits::MESH_ADDRESS_BYTES {
            return Err(LONG_ADDRESS);
        }
        let class = key.as_bytes().first().copied();
        // A record that exists keeps the treatment with which it was made.
        let treatment = match (self.table.lookup(&key), class) {
            (Some(route), _) => route.treatment,
            (None, Some(b'R')) => Treatment::AnycastClosest,
            (None, _) if found.treatment != Treatment::Unavailable && Phase::is_fallback(&key) => {
                Treatment::OF_FALLBACKS
            }
            (None, _) => found.treatment,
        };
        if treatment == Treatment::Unavailable && class == Some(b'M') {
            return Err(UNAVAILABLE);
        }
        Ok(Resolved {
            key,
            treatment,
            priority: found.priority,
        })
    }

    /// Whether a connection has a consumer's link on an address.
    fn consumes(&self, key: ConnKey, address: &AddressKey) -> bool {
        let links = self.conns.get(key).map(|conn| conn.links.as_slice());
        links
            .unwrap_or_default()
            .iter()
            .flatten()
            .any(|slot| match slot {
                LinkSlot::Out(out) => self
                    .out_links
                    .get(*out)
                    .is_some_and(|link| link.key == *address),
                LinkSlot::In(_) | LinkSlot::Offered(_) | LinkSlot::Refused => false,
            })
    }

    fn key_of(&mut self, address: &str, phase: Phase) -> AddressKey {
        self.text.clear();
        lookup_key(address, phase, None, &self.context, &mut self.text);
        AddressKey::from(self.text.as_str())
    }

    /// Refuses a link: an attach without the terminus asked for, then a detach with the reason.
    pub(super) fn refuse(&mut self, key: ConnKey, link: LinkKey, attach: Attach, refusal: Refusal) {
        let (condition, description) = refusal;
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let mut answer = answer_to(&attach);
        match attach.role {
            Role::Sender => answer.source = attach.source,
            Role::Receiver => answer.target = attach.target,
        }
        conn.set_slot(link, Some(LinkSlot::Refused));
        conn.engine.answer_attach(link, answer, &mut conn.output);
        let error = AmqpError {
            condition: Symbol::from(condition),
            description: Some(Str::from(description)),
            info: None,
        };
        conn.engine
            .detach(link, true, Some(error), &mut conn.output);
        self.notices.push(Notice::LinkRefused {
            connection: conn.id,
            name: cut(&attach.name),
            condition,
            description,
        });
    }

    pub(super) fn note_attached(
        &mut self,
        key: ConnKey,
        link: LinkId,
        direction: Direction,
        attach: &Attach,
    ) {
        let Some(connection) = self.conns.get(key).map(|conn| conn.id) else {
            return;
        };
        let source = attach
            .source
            .as_ref()
            .map_or_else(TerminusText::default, source_text);
        let target = match &attach.target {
            Some(TargetArchetype::Target(target)) => target_text(target),
            Some(TargetArchetype::Coordinator(_)) => TerminusText {
                coordinator: true,
                ..TerminusText::default()
            },
            None => TerminusText::default(),
        };
        self.notices.push(Notice::LinkAttached {
            connection,
            link,
            direction,
            source: Box::new(source),
            target: Box::new(target),
        });
    }
}

/// A terminus without an expiry policy is answered with the standard's default (amqp-1.0 §3.5.3).
fn default_expiry(policy: &mut Option<Symbol>) {
    policy.get_or_insert_with(|| Symbol::from("session-end"));
}

/// Whether a key is that of a node created for a receiver.
fn is_dynamic(key: &str) -> bool {
    key.strip_prefix('L')
        .is_some_and(|text| text.starts_with("temp."))
}

/// Capabilities that only routers may ask for.
fn refuse_router_capabilities(capabilities: &[Symbol]) -> Result<(), Refusal> {
    match type_of(capabilities) {
        LinkType::RouterControl | LinkType::InterRouter => Err(FORBIDDEN),
        LinkType::Endpoint => Ok(()),
    }
}

/// Whether whoever is at the other end serves as an address's fallback.
fn is_fallback(capabilities: &[Symbol]) -> bool {
    capabilities.iter().any(|of| of.as_str() == "qd.fallback")
}

/// The phase that a waypoint's capability names: `qd.waypoint` or `qd.waypoint.N`, N from 1 to 9.
fn waypoint_phase(capabilities: &[Symbol], direction: Direction) -> Option<u8> {
    let number = capabilities
        .iter()
        .find_map(|symbol| match symbol.as_str() {
            "qd.waypoint" => Some(1),
            text => match text.strip_prefix("qd.waypoint.")?.as_bytes() {
                [digit @ b'1'..=b'9'] => Some(digit - b'0'),
                _ => None,
            },
        })?;
    Some(match direction {
        Direction::In => number,
        Direction::Out => number - 1,
    })
}

fn source_text(source: &Source) -> TerminusText {
    TerminusText {
        address: source.address.as_deref().map(cut),
        dynamic: source.dynamic,
        coordinator: false,
        durable: source.durable,
        expiry: source.expiry_policy.as_ref().and_then(expiry_text),
        timeout: source.timeout,
        capabilities: names(&source.capabilities),
        more_capabilities: unnamed(&source.capabilities),
    }
}

fn target_text(target: &Target) -> TerminusText {
    TerminusText {
        address: target.address.as_deref().map(cut),
        dynamic: target.dynamic,
        coordinator: false,
        durable: target.durable,
        expiry: target.expiry_policy.as_ref().and_then(expiry_text),
        timeout: target.timeout,
        capabilities: names(&target.capabilities),
        more_capabilities: unnamed(&target.capabilities),
    }
}

/// The capabilities that a notice names.
fn names(capabilities: &[Symbol]) -> Vec<String> {
    let named = capabilities.iter().take(limits::NOTICE_CAPABILITIES);
    named.map(|name| cut(name.as_str())).collect()
}

/// The number of those that it does not.
fn unnamed(capabilities: &[Symbol]) -> usize {
    capabilities
        .len()
        .saturating_sub(limits::NOTICE_CAPABILITIES)
}

fn expiry_text(policy: &Symbol) -> Option<&'static str> {
    match policy.as_str() {
        "link-detach" => Some("link"),
        "session-end" => Some("sess"),
        "connection-close" => Some("conn"),
        "never" => Some("never"),
        _ => None,
    }
}
