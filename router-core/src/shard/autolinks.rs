//! Auto-links: links that the router attaches by itself, and that are like a client's once their
//! container has taken them.
//!
//! ```text
//!   Offered ──answer with an address──► a producer's or a consumer's link
//!      │                                      │
//!      └──answer without──► detached          └──detach of either side──► told, freed
//! ```
//!
//! Decision: until it is taken a link has no record but its offer, so nothing that looks at
//! producers and consumers has to know of links that may never be any.

use amqp_codec::{Attach, Role, Source, Str, Symbol, Target, TargetArchetype};
use amqp_proto::LinkKey;

use super::attach::{NO_ROUTE, Refusal, Resolved};
use super::conn::{LinkSlot, OwnSessions, Phase};
use super::link::{InLink, InTarget, Offer, OutLink, Parting, Passing};
use super::state::Shard;
use super::termini::own_attach;
use crate::ids::{AddressKey, ConnKey, Direction, InLinkKey, Key, LinkId};
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::{AttachAutoLink, AutoLinkEvent, AutoLinkKey, BoundLink, Command};
use crate::notice::{LinkEnd, cut};

/// Why a link is not attached now: nobody is to be given up as one who does not read because of
/// what he did not ask for.
const TOO_FAST: Refusal = (
    "amqp:resource-limit-exceeded",
    "too much waits to be sent on the connection",
);

/// What is said of a link whose container has given no reason.
const NO_REASON: &str = "The container has detached the link and given no reason";

/// What is said of a link that its container has taken without naming its address.
const NO_ADDRESS: &str = "The container has answered without an address";

/// What is said of a link that went with its session.
const SESSION_LOST: &str = "The session of the link has ended";

impl Shard {
    /// The control plane wants an auto-link.
    pub(super) fn attach_auto_link(&mut self, ask: AttachAutoLink) {
        let of = ask.of;
        if let Err((_, description)) = self.offer_auto_link(ask) {
            self.tell_auto_link(of, AutoLinkEvent::Ended(description.to_owned()));
        }
    }

    fn offer_auto_link(&mut self, ask: AttachAutoLink) -> Result<(), Refusal> {
        let key = self.by_id.get(&ask.of.connection).copied();
        let key = key.ok_or(NO_ROUTE)?;
        let conn = self.conns.get(key).ok_or(NO_ROUTE)?;
        if conn.phase != Phase::Open {
            return Err(NO_ROUTE);
        }
        if conn.is_behind() {
            return Err(TOO_FAST);
        }
        let name = Str::from(format!("qdlink.{:016x}", self.draw()));
        let mut attach = auto_attach(name.clone(), &ask);
        let sessions = OwnSessions::AutoLinks;
        let (session, link) = self.attach_on_own(key, sessions, &mut attach, "")?;
        let offer = Offer {
            session,
            link,
            name,
            ask,
        };
        let offer = self.offers.insert(offer);
        if let Some(conn) = self.conns.get_mut(key) {
            conn.set_slot(link, Some(LinkSlot::Offered(offer)));
        }
        self.touch(key);
        Ok(())
    }

    /// A container has answered an offer.
    pub(super) fn auto_link_answered(
        &mut self,
        key: ConnKey,
        link: LinkKey,
        offer: Key,
        attach: &Attach,
    ) {
        let Some(direction) = self.offers.get(offer).map(|offer| offer.ask.direction) else {
            return;
        };
        let address = match (direction, &attach.source, &attach.target) {
            (Direction::In, Some(source), _) => source.address.as_ref(),
            (Direction::Out, _, Some(TargetArchetype::Target(target))) => target.address.as_ref(),
            _ => None,
        };
        if address.is_none_or(|address| address.is_empty()) {
            // A refusal: its reason comes with the peer's detach, which answers this one or has
            // crossed it.
            if let Some(conn) = self.conns.get_mut(key) {
                conn.engine.detach(link, true, None, &mut conn.output);
            }
            self.touch(key);
            return;
        }
        let Some(offer) = self.offers.remove(offer) else {
            return;
        };
        let attach = Attach {
            name: offer.name.clone(),
            ..attach.clone()
        };
        let id = match direction {
            Direction::In => self.take_in(key, link, offer, &attach),
            Direction::Out => self.take_out(key, link, offer, &attach),
        };
        if let Some((id, direction)) = id {
            self.note_attached(key, id, direction, &attach);
        }
        self.touch(key);
    }

    /// An in-link becomes a producer's.
    fn take_in(
        &mut self,
        key: ConnKey,
        link: LinkKey,
        offer: Offer,
        attach: &Attach,
    ) -> Option<(LinkId, Direction)> {
        let Offer { session, ask, .. } = offer;
        let new = self.new_link(key, session, link, attach)?;
        let id = new.id;
        let target = InTarget::Address {
            text: ask.address.clone(),
            key: AddressKey::clone(&ask.key),
            route: self.table.lookup(&ask.key).cloned(),
        };
        let mut record = InLink::new(new, LinkType::Endpoint, target);
        record.auto = Some(ask.of);
        record.fallback = ask.fallback;
        let in_key = InLinkKey(self.in_links.insert(record));
        if let Some(conn) = self.conns.get_mut(key) {
            conn.set_slot(link, Some(LinkSlot::In(in_key)));
        }
        self.review_window(key, session);
        let producers = self.producers.entry(AddressKey::clone(&ask.key));
        producers.or_default().insert(in_key);
        let of = ask.of;
        self.bind(resolved(ask), BoundLink::In(self.id, in_key), id, None);
        self.mark_credit(in_key, true);
        self.tell_auto_link(of, AutoLinkEvent::Active(id));
        Some((id, Direction::In))
    }

    /// An out-link becomes a consumer's; it is active once it is bound.
    fn take_out(
        &mut self,
        key: ConnKey,
        link: LinkKey,
        offer: Offer,
        attach: &Attach,
    ) -> Option<(LinkId, Direction)> {
        let Offer { session, ask, .. } = offer;
        let new = self.new_link(key, session, link, attach)?;
        let (id, capacity) = (new.id, new.capacity);
        let conn = self.conns.get_mut(key)?;
        let annotated = !conn.settings.strip_annotations.outbound;
        let mut record = OutLink::new(new, AddressKey::clone(&ask.key), None, annotated);
        record.auto = Some(ask.of);
        let out = self.out_links.insert(record);
        conn.set_slot(link, Some(LinkSlot::Out(out)));
        let bound = BoundLink::Out {
            link: self.out_key(out),
            capacity,
            annotated,
        };
        self.bind(resolved(ask), bound, id, None);
        Some((id, Direction::Out))
    }

    /// The control plane does not want an auto-link any more. One by which the router sends ends at
    /// once: what waits for it goes elsewhere, what was sent and not settled is modified. One by
    /// which it receives works until its container has been told what its deliveries have come to,
    /// for `ROUTED_DETACH_TIME_OUT` at most.
    pub(super) fn detach_auto_link(&mut self, of: AutoLinkKey) {
        let Some(&key) = self.by_id.get(&of.connection) else {
            return;
        };
        let Some(link) = self.auto_link_at(key, of) else {
            return;
        };
        self.take_auto_link(key, link);
        let wait = limits::ROUTED_DETACH_TIME_OUT.as_secs();
        let until = u64::from(self.second) + wait;
        self.detach_own(key, link, until);
        self.touch(key);
    }

    /// Detaches a link of ours, one by which the router receives behind what the deliveries of its
    /// session have come to. If that is much, it waits until it has left, but not for ever; whether
    /// it waits no longer.
    pub(super) fn detach_own(&mut self, key: ConnKey, link: LinkKey, until: u64) -> bool {
        let is_over = until <= u64::from(self.second);
        let Some(conn) = self.conns.get_mut(key) else {
            return true;
        };
        let (Some(session), Some(slot)) = (conn.engine.session_of(link), conn.slot(link)) else {
            // Its container has detached it meanwhile.
            return true;
        };
        let has_more = conn.engine.flush_dispositions(session, &mut conn.output);
        // A container that sends is to hear what came of it first; one that receives has nothing to
        // hear, and would go on being sent to.
        if has_more && matches!(slot, LinkSlot::In(_)) && !is_over {
            conn.passing
                .push_front(Passing::DetachAutoLink(link, until));
            return false;
        }
        let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
        conn.engine
            .release_unsettled(link, &mut incoming, &mut outgoing);
        conn.engine.detach(link, true, None, &mut conn.output);
        // The peer's answer is all that is awaited.
        conn.set_slot(link, Some(LinkSlot::Refused));
        let how = LinkEnd::Detached;
        match slot {
            LinkSlot::In(in_link) => self.drop_producer(in_link, &incoming, how),
            LinkSlot::Out(out) => self.drop_consumer(out, &outgoing, how),
            LinkSlot::Offered(offer) => drop(self.offers.remove(offer)),
            LinkSlot::Refused => {}
        }
        true
    }

    /// The link of a connection that is an auto-link, if it is one yet.
    fn auto_link_at(&self, key: ConnKey, of: AutoLinkKey) -> Option<LinkKey> {
        let mut slots = self.conns.get(key)?.links.iter().flatten();
        slots.find_map(|&slot| {
            let (is, link) = match slot {
                LinkSlot::In(link) => self.in_links.get(link).map(|of| (of.auto, of.link))?,
                LinkSlot::Out(out) => self.out_links.get(out).map(|of| (of.auto, of.link))?,
                LinkSlot::Offered(offer) => {
                    let offer = self.offers.get(offer)?;
                    (Some(offer.ask.of), offer.link)
                }
                LinkSlot::Refused => return None,
            };
            (is == Some(of)).then_some(link)
        })
    }

    /// Whose auto-link a link is; from then on it is nobody's.
    pub(super) fn take_auto_link(&mut self, key: ConnKey, link: LinkKey) -> Option<AutoLinkKey> {
        match self.slot(key, link)? {
            LinkSlot::In(link) => self.in_links.get_mut(link)?.auto.take(),
            LinkSlot::Out(out) => self.out_links.get_mut(out)?.auto.take(),
            LinkSlot::Offered(offer) => Some(self.offers.get(offer)?.ask.of),
            LinkSlot::Refused => None,
        }
    }

    /// The container has detached a link, or has answered a detach: if it was an auto-link, the
    /// control plane hears why.
    pub(super) fn auto_link_detached(&mut self, key: ConnKey, link: LinkKey, parting: &Parting) {
        let slot = self.slot(key, link);
        let Some(of) = self.take_auto_link(key, link) else {
            return;
        };
        let error = parting.error.as_ref();
        let said = error.map(|error| {
            let description = error.description.as_deref();
            description
                .filter(|text| !text.is_empty())
                .unwrap_or(error.condition.as_str())
        });
        let why = said.map(cut).unwrap_or_else(|| match slot {
            Some(LinkSlot::Offered(_)) => NO_ADDRESS.to_owned(),
            _ => NO_REASON.to_owned(),
        });
        if let Some(LinkSlot::Offered(offer)) = slot {
            self.offers.remove(offer);
        }
        self.tell_auto_link(of, AutoLinkEvent::Ended(why));
    }

    /// A link is freed, whatever for: if it is an auto-link of which nobody has heard the end, the
    /// control plane hears of it.
    pub(super) fn auto_link_lost(&mut self, key: ConnKey, link: LinkKey) {
        let slot = self.slot(key, link);
        let Some(of) = self.take_auto_link(key, link) else {
            return;
        };
        if let Some(LinkSlot::Offered(offer)) = slot
            && self.offers.remove(offer).is_none()
        {
            return;
        }
        self.tell_auto_link(of, AutoLinkEvent::Ended(SESSION_LOST.to_owned()));
    }

    /// Tells the control plane what came of an auto-link.
    pub(super) fn tell_auto_link(&mut self, of: AutoLinkKey, event: AutoLinkEvent) {
        let bytes = match &event {
            AutoLinkEvent::Active(_) => 0,
            AutoLinkEvent::Ended(why) => why.len(),
        };
        self.tell_control(Command::AutoLink(of, event), bytes);
    }
}

fn resolved(ask: AttachAutoLink) -> Resolved {
    Resolved {
        key: ask.key,
        treatment: ask.treatment,
        priority: ask.priority,
    }
}

/// The attach of an auto-link: the address is the container's, the router's end has none.
fn auto_attach(name: Str, ask: &AttachAutoLink) -> Attach {
    let address = |here: Direction| (ask.direction == here).then(|| ask.external.clone());
    let source = Source {
        address: address(Direction::In),
        expiry_policy: Some(Symbol::from("link-detach")),
        ..Source::default()
    };
    let target = Target {
        address: address(Direction::Out),
        expiry_policy: Some(Symbol::from("link-detach")),
        ..Target::default()
    };
    let role = match ask.direction {
        Direction::In => Role::Receiver,
        Direction::Out => Role::Sender,
    };
    own_attach(name, role, source, target)
}
