//! What a peer does about routed links, those of its own and those that come to it.

use std::time::Duration;

use amqp_codec::{AmqpError, Attach, DeliveryState, Role};
use amqp_proto::{LinkKey, SessionKey, Time};

use super::ends::{End, Flow};
use super::hand::{Hand, earliest};
use super::hub::{Hub, address_of, answered_size, has_terminus};
use super::judge::{KEPT_WAITING, judge};
use super::state::{Actor, Part, Parts, Peer};
use super::words::{mark_of, marked, parcel_of};
use crate::books::Books;
use crate::tunnels::{Side, Tunnel};

impl Peer {
    /// Hubs work on the links that have come to them; when the next thing is due.
    pub(super) fn pursue_tunnels(&mut self, now: Time, books: &mut Books) -> Option<Time> {
        let Self { hub, .. } = self;
        let hub = hub.as_mut()?;
        if !hub.is_known {
            hub.is_known = true;
            books
                .tunnels
                .hub_came(self.plan.number, self.plan.node, now);
        }
        let first = *hub.sessions.first()?;
        let mut next = self.with_hub(first, now, books, |hub, hand| hub.answer(hand));
        let ends = self.hub.iter().flat_map(|hub| &hub.ends);
        let links: Vec<_> = ends.map(|(_, end)| end.link).collect();
        for link in links {
            let wish = self.with_end(link, now, books, |end, hand| end.act(hand));
            next = earliest(next, wish.flatten());
        }
        let Self {
            hub,
            engine,
            output,
            ..
        } = self;
        for &session in hub.iter().flat_map(|hub| &hub.sessions) {
            engine.flush_session(session, output);
            if engine.flush_dispositions(session, output) {
                next = earliest(next, Some(now + Duration::from_millis(1)));
            }
        }
        next
    }

    /// What a hub works with on a session.
    fn with_hub<R>(
        &mut self,
        session: SessionKey,
        now: Time,
        books: &mut Books,
        act: impl FnOnce(&mut Hub, &mut Hand<'_>) -> Option<R>,
    ) -> Option<R> {
        let (parts, hand) = self.apart(now, books);
        let hub = parts.hub?;
        let mut hand = hand(session);
        act(hub, &mut hand)
    }

    /// What the end of a routed link works with, if a link is one.
    fn with_end<R>(
        &mut self,
        link: LinkKey,
        now: Time,
        books: &mut Books,
        act: impl FnOnce(&mut End, &mut Hand<'_>) -> R,
    ) -> Option<R> {
        let (parts, hand) = self.apart(now, books);
        let Parts {
            actors,
            hub,
            sessions,
        } = parts;
        let devices = actors.iter_mut().filter_map(|actor| {
            let Part::Device(device) = &mut actor.part else {
                return None;
            };
            Some((sessions[actor.session], device.end.as_mut()?))
        });
        let hubs = hub.into_iter().flat_map(|hub| &mut hub.ends);
        let mut ends = devices.chain(hubs.map(|(session, end)| (*session, end)));
        let (session, end) = ends.find(|(_, end)| end.link == link)?;
        let mut hand = hand(session);
        Some(act(end, &mut hand))
    }

    /// The actor of a device's link.
    fn device_of(&self, link: LinkKey) -> Option<usize> {
        let is_of = |actor: &Actor| match &actor.part {
            Part::Device(device) => device.link.is_some_and(|(of, _)| of == link),
            _ => false,
        };
        self.actors.iter().position(is_of)
    }

    /// The tunnel of a link, and which end of it this is.
    fn tunnel_of(&self, link: LinkKey) -> Option<(usize, Side)> {
        if let Some(place) = self.device_of(link)
            && let Part::Device(device) = &self.actors[place].part
        {
            return Some((device.link?.1, Side::Device));
        }
        let hub = self.hub.as_ref()?;
        let mut ends = hub.ends.iter();
        let end = ends.find(|(_, end)| end.link == link);
        let tunnel = end.map(|(_, end)| end.tunnel);
        Some((tunnel.or(hub.asked_for(link))?, Side::Hub))
    }

    /// The router has begun a session.
    pub(super) fn begun(&mut self, session: SessionKey) {
        self.engine.answer_begin(session, &mut self.output);
        if let Some(hub) = &mut self.hub {
            hub.sessions.push(session);
        }
    }

    /// A device's attach is answered.
    pub(super) fn tunnel_answered(
        &mut self,
        link: LinkKey,
        attach: &Attach,
        now: Time,
        books: &mut Books,
    ) {
        let Some(place) = self.device_of(link) else {
            return;
        };
        if !has_terminus(attach) {
            // The reason is in the detach that follows.
            return;
        }
        let (actor, mut hand) = self.hand(place, now, books);
        let Part::Device(device) = &mut actor.part else {
            return;
        };
        let Some((_, number)) = device.link else {
            return;
        };
        let tunnel = &hand.books.tunnels.all[number];
        assert!(
            tunnel.end(Side::Hub).up.is_some(),
            "tunnel {number} was agreed to by nobody"
        );
        let asked = &tunnel.attach;
        let there = hand.books.outward.as_ref().map(|hubs| {
            let address = address_of(asked, asked.role).unwrap_or_default();
            hubs.inward(&hubs.outward(address))
        });
        let address = address_of(attach, asked.role);
        assert_eq!(address, there.as_deref(), "tunnel {number}");
        assert_eq!(
            (attach.max_message_size, &attach.properties),
            (Some(answered_size(number)), &Some(marked(number as u64))),
            "tunnel {number}: what the hub answered has changed"
        );
        assert_eq!(
            (attach.snd_settle_mode, attach.rcv_settle_mode),
            tunnel.modes(),
            "tunnel {number}"
        );
        assert_eq!(attach.offered_capabilities.len(), 1, "tunnel {number}");
        device.attached(&mut hand);
    }

    /// Somebody asks a hub for a link.
    pub(super) fn tunnel_asked(
        &mut self,
        session: SessionKey,
        link: LinkKey,
        attach: &Attach,
        now: Time,
        books: &mut Books,
    ) {
        if self.is_hostile() {
            return;
        }
        let number = mark_of(attach.properties.as_ref());
        let number = number.and_then(|number| usize::try_from(number).ok());
        let Some(tunnel) = number.and_then(|number| books.tunnels.all.get(number)) else {
            panic!("a hub is asked for a link that nobody attached: {attach:?}");
        };
        same_attach(tunnel, attach, books.outward.as_ref());
        let asked = (link, number.unwrap_or_default());
        let done = self.with_hub(session, now, books, |hub, hand| {
            hub.asked(asked, attach, hand);
            Some(())
        });
        assert!(done.is_some(), "one that is no hub is asked for a link");
    }

    pub(super) fn tunnel_transferred(
        &mut self,
        link: LinkKey,
        delivery: &amqp_proto::InTransfer,
        payload: &amqp_proto::Payload,
        now: Time,
        books: &mut Books,
    ) {
        self.with_end(link, now, books, |end, hand| {
            end.transferred(hand, delivery, payload);
        });
    }

    /// The other end says something of a delivery; false if the token stands for none of these.
    pub(super) fn tunnel_told(
        &mut self,
        (role, token): (Role, u64),
        state: Option<&DeliveryState>,
        settled: bool,
        now: Time,
        books: &mut Books,
    ) -> bool {
        let Some(number) = parcel_of(token).filter(|_| !self.is_hostile()) else {
            return false;
        };
        let tunnel = books.tunnels.parcels[number].tunnel;
        let devices = self
            .actors
            .iter_mut()
            .filter_map(|actor| match &mut actor.part {
                Part::Device(device) => device.end.as_mut(),
                _ => None,
            });
        let hubs = self.hub.iter_mut().flat_map(|hub| &mut hub.ends);
        let mut ends = devices.chain(hubs.map(|(_, end)| end));
        let Some(end) = ends.find(|end| end.tunnel == tunnel) else {
            return true;
        };
        match &mut end.flow {
            Flow::Out(outlet) => {
                assert_eq!(role, Role::Receiver, "parcel {number}");
                books.tunnels.told(number, state, settled, now);
                outlet.told(number, state, settled, now);
            }
            Flow::In(inlet) if settled => {
                let early = books.tunnels.parcels[number].early;
                assert!(early, "parcel {number} was settled by nobody");
                inlet.withdrawn(number);
            }
            Flow::In(_) => {}
        }
        true
    }

    /// A link was detached; false if it is none of these.
    pub(super) fn tunnel_detached(
        &mut self,
        link: LinkKey,
        (closed, error): (bool, Option<&AmqpError>),
        answer: bool,
        now: Time,
        books: &mut Books,
    ) -> bool {
        let Some((tunnel, side)) = self.tunnel_of(link) else {
            return false;
        };
        if !answer {
            if let Err(text) = judge(books, (tunnel, side), (closed, error), now) {
                panic!("tunnel {tunnel} ends at its {side:?}: {text}: {error:?}, closed {closed}");
            }
            let text = error.and_then(|error| error.description.as_deref());
            let kept_waiting = text == Some(KEPT_WAITING);
            books.tunnels.stalled += u64::from(kept_waiting);
            books.tunnels.parted(tunnel, side, kept_waiting, now);
            self.engine.detach(link, closed, None, &mut self.output);
        }
        self.lost(link, now, books);
        true
    }

    /// A link is over; false if it is none of these.
    pub(super) fn tunnel_lost(&mut self, link: LinkKey, now: Time, books: &mut Books) -> bool {
        if let Some(place) = self.device_of(link) {
            let (actor, mut hand) = self.hand(place, now, books);
            if let Part::Device(device) = &mut actor.part {
                device.lost(&mut hand);
            }
            return true;
        }
        if self.tunnel_of(link).is_none() {
            return false;
        }
        let session = self.engine.session_of(link);
        let session = session.or(self
            .hub
            .as_ref()
            .and_then(|hub| hub.sessions.first().copied()));
        if let Some(session) = session {
            self.with_hub(session, now, books, |hub, hand| {
                hub.lost(link, hand);
                Some(())
            });
        }
        true
    }

    /// A session is about to end: of a hub, one that the router began. Which it is.
    pub(super) fn tunnels_ending(&mut self, now: Time, books: &mut Books) -> Option<SessionKey> {
        let mut leaves: Vec<_> = self
            .actors
            .iter()
            .filter(|actor| actor.session == 0)
            .filter_map(|actor| match &actor.part {
                Part::Device(device) => Some((device.link?.1, Side::Device)),
                _ => None,
            })
            .collect();
        let session = match &self.hub {
            Some(hub) => {
                let session = *hub.sessions.first()?;
                books.tunnels.session_ended = Some(now);
                leaves.extend(hub.tunnels_of(session).map(|tunnel| (tunnel, Side::Hub)));
                Some(session)
            }
            None => None,
        };
        for (tunnel, side) in leaves {
            books.tunnels.all[tunnel].end_mut(side).go(now);
        }
        session
    }

    /// Its wire is gone.
    pub(super) fn tunnels_vanished(&self, now: Time, books: &mut Books) {
        for actor in &self.actors {
            if let Part::Device(device) = &actor.part
                && let Some(end) = &device.end
            {
                end.vanished(books);
            }
        }
        for (_, end) in self.hub.iter().flat_map(|hub| &hub.ends) {
            end.vanished(books);
        }
        books.tunnels.peer_over(self.plan.number, now);
    }

    /// What of its routed links is not at rest.
    pub(super) fn tunnels_unmet(&self, books: &Books) -> Option<String> {
        let devices = self.actors.iter().find_map(|actor| match &actor.part {
            Part::Device(device) => device.unmet(&self.engine, books),
            _ => None,
        });
        let hub = self.hub.as_ref();
        devices.or_else(|| hub.and_then(|hub| hub.unmet(&self.engine, books)))
    }

    /// Credit on a link, as this peer knows it.
    pub(crate) fn credit(&self, link: LinkKey) -> u32 {
        self.engine.credit(link)
    }
}

/// What comes to a hub is what the device said, but for what link routes change.
fn same_attach(tunnel: &Tunnel, attach: &Attach, outward: Option<&crate::plan::Hubs>) {
    let asked = &tunnel.attach;
    let device = tunnel.end(Side::Device).peer.unwrap_or_default();
    // Another link of that name may be there yet: then this one has a longer one.
    let name = format!("{}@peer {device}", asked.name);
    let rest = attach.name.strip_prefix(&*name);
    assert!(
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#')),
        "{name} has become {}",
        attach.name
    );
    let address = address_of(asked, asked.role).unwrap_or_default();
    let address = outward.map(|hubs| hubs.outward(address));
    assert_eq!(address_of(attach, asked.role), address.as_deref());
    let rest = |attach: &Attach| {
        (
            (attach.role, attach.snd_settle_mode, attach.rcv_settle_mode),
            (attach.max_message_size, attach.properties.clone()),
            attach.desired_capabilities.clone(),
        )
    };
    assert_eq!(rest(attach), rest(asked), "what a device asked for");
}
