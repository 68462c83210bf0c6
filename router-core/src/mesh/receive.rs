//! What a message changes.
//!
//! Owns the meaning of each operation. It sends nothing but what is passed on; questions and
//! answers are marks. Decision: every handler may see a message twice, late or out of order, since
//! rings of routers make copies, and does nothing the second time.

use std::sync::Arc;

use crate::limits;
use crate::mesh::envelope::{Destination, Envelope};
use crate::mesh::event::MeshEvent;
use crate::mesh::lsdb::{Life, Node, Standing};
use crate::mesh::misdeed::Misdeed;
use crate::mesh::names::{NeighborLink, RouterIndex};
use crate::mesh::read::Values;
use crate::mesh::state::State;
use crate::mesh::wire::{Body, Change, Control, Hints, peers, texts};
use crate::notice::cut;

/// Bytes of a message that count as another message.
const BYTES_AS_MESSAGE: u64 = 4096;

impl State {
    /// Takes a message and passes it on, as its address says.
    pub(super) fn receive(&mut self, from: NeighborLink, payload: &[u8]) -> Result<(), Misdeed> {
        let now = self.times.now;
        let link = self.links.get_mut(from).ok_or(Misdeed::UnknownLink)?;
        let (messages, hellos) = (&mut link.meter.messages, &mut link.meter.hellos);
        if !messages.is_open(now) && !hellos.is_open(now) {
            return Err(Misdeed::Flood);
        }
        let envelope = Envelope::read(payload, &self.context)?;
        let is_hello = envelope.destination == Destination::Neighbor;
        let cost = 1 + payload.len() as u64 / BYTES_AS_MESSAGE;
        let (meter, cost) = match is_hello {
            true => (hellos, 1),
            false => (messages, cost),
        };
        if !meter.is_open(now) {
            return Err(Misdeed::Flood);
        }
        meter.take(cost, now);
        if is_hello {
            if payload.len() > limits::MESH_HELLO_BYTES {
                return Err(Misdeed::Large);
            }
            return self.hello(from, &envelope.control()?);
        }
        let neighbor = self.links.heard_on(from).ok_or(Misdeed::Stranger)?;
        if envelope
            .passed()
            .last()
            .is_some_and(|last| *last != **neighbor)
        {
            return Err(Misdeed::Trace);
        }
        if self.has_gone_too_far(from, &envelope) {
            return Ok(());
        }
        match &envelope.destination {
            Destination::Neighbor => Ok(()),
            Destination::Own => self.told(from, &envelope),
            Destination::All => self.told_to_all(from, &envelope),
            Destination::Router(id) => {
                if !self.is_answered_here(id, from, &envelope) {
                    self.pass_to(id, from, &envelope);
                }
                Ok(())
            }
        }
    }

    /// Whether a message has been sent by more routers than the network is known to reach: it goes
    /// in circles. What neighbours of our kind tell all is news where the network has just grown,
    /// and ends by itself where it is none.
    fn has_gone_too_far(&self, from: NeighborLink, envelope: &Envelope<'_>) -> bool {
        let may_be_news = envelope.destination == Destination::All && self.is_kin(from);
        !may_be_news && envelope.distance() > usize::from(self.computed.tree.radius) + 1
    }

    /// Takes what is addressed to all, and passes it on if it is no copy; in a network of many
    /// circles there are very many. What a newer version says is passed on unread; but nobody is
    /// made known to others for whom there is no room here.
    fn told_to_all(&mut self, from: NeighborLink, envelope: &Envelope<'_>) -> Result<(), Misdeed> {
        let (said, _) = envelope.said()?;
        if !envelope.is_for_all(said) {
            return Err(Misdeed::Destination);
        }
        let control = envelope.control();
        match &control {
            Ok(Control { id, .. }) if **id == *self.settings.id => {
                return Err(Misdeed::OurIdentity);
            }
            Err(Misdeed::Version { id, .. }) if *id == self.settings.id => {
                return Err(Misdeed::OurIdentity);
            }
            Ok(Control {
                body:
                    Body::Addresses {
                        change: Change::All { .. },
                        ..
                    },
                ..
            }) => return Err(Misdeed::Destination),
            Ok(_) | Err(Misdeed::Version { .. }) => {}
            Err(misdeed) => return Err(misdeed.clone()),
        }
        let now = self.times.now;
        let is_new = self.floods.is_new(said, envelope.distance(), now);
        let result = control.and_then(|control| self.handle(from, &control));
        if is_new && result != Err(Misdeed::Routers) {
            self.pass_to_all(from, envelope);
        }
        result
    }

    /// Passes a message on to every neighbour that has not had it.
    fn pass_to_all(&mut self, from: NeighborLink, envelope: &Envelope<'_>) {
        let sender = self.links.heard_on(from);
        let others = self.links.neighbors().filter(|(id, link)| {
            *link != from && sender != Some(id) && envelope.passed().all(|passed| *passed != ***id)
        });
        let others: Vec<_> = others.map(|(_, link)| link).collect();
        if others.is_empty() {
            return;
        }
        let message = envelope.passed_on(&self.passed);
        for link in others {
            self.send(link, message.clone());
        }
    }

    /// Passes a message on towards one router. Without a way it is lost, and asked for again.
    fn pass_to(&mut self, id: &str, from: NeighborLink, envelope: &Envelope<'_>) {
        let way = self.nodes.find(id).and_then(|index| self.way(index));
        if let Some(link) = way.filter(|link| *link != from) {
            self.send(link, envelope.passed_on(&self.passed));
        }
    }

    pub(super) fn handle(
        &mut self,
        from: NeighborLink,
        control: &Control<'_>,
    ) -> Result<(), Misdeed> {
        if *control.id == *self.settings.id {
            return Err(Misdeed::OurIdentity);
        }
        match control.body {
            Body::Hello { .. } => Err(Misdeed::Opcode),
            Body::Advertisement {
                link_sequence,
                mobile_sequence,
            } => self.advertisement(from, control, link_sequence, mobile_sequence),
            Body::LinkStateRequest { .. } => self.link_state_request(from, control),
            Body::LinkState { sequence, peers } => self.link_state(from, control, sequence, peers),
            Body::AddressRequest { have_sequence, .. } => {
                self.address_request(from, control, have_sequence);
                Ok(())
            }
            Body::Addresses {
                sequence,
                change,
                hints,
            } => self.addresses(from, control, (sequence, change, hints)),
        }
    }

    fn hello(&mut self, from: NeighborLink, control: &Control<'_>) -> Result<(), Misdeed> {
        let Body::Hello { seen } = control.body else {
            return Err(Misdeed::Opcode);
        };
        if seen.count() > limits::MESH_PEERS {
            return Err(Misdeed::TooLong("seen"));
        }
        if *control.id == *self.settings.id {
            return Err(Misdeed::OurIdentity);
        }
        let mut sees_us = false;
        for id in texts(seen, "seen") {
            sees_us |= *id? == *self.settings.id;
        }
        let now = self.times.now;
        self.is_opener(from, control.id)?;
        self.links.check(from, control.id, control.instance, now)?;
        if self.is_elsewhere(from, control) {
            let id = control.id.into();
            return Err(Misdeed::Duplicate { id });
        }
        let index = if sees_us {
            Some(self.enter(control.id, from, Standing::Neighbor)?)
        } else {
            None
        };
        let heard = self
            .links
            .hear(from, control.id, control.instance, sees_us, now);
        let (first, turns) = heard;
        if first || !turns.is_empty() {
            self.marks.greet.push(from);
        }
        self.turned(turns);
        if let Some(index) = index {
            self.life(index, control, true)?;
            self.attend(index);
        }
        Ok(())
    }

    /// Whether a router is the one that has opened its connection: its id is its container-id. A
    /// client that speaks as a router, and does not say that it is any product, may be called what
    /// nobody else is.
    fn is_opener(&self, from: NeighborLink, id: &str) -> Result<(), Misdeed> {
        let Some(opener) = self.links.opener(from) else {
            return Ok(());
        };
        let is_elsewhere = || {
            let index = self.nodes.find(id);
            let link = index.and_then(|index| self.reached_by(index));
            link.is_some_and(|link| link != from)
        };
        if *opener.container == *id || !(opener.is_product || is_elsewhere()) {
            return Ok(());
        }
        Err(Misdeed::Opener {
            id: id.into(),
            container: cut(&opener.container).into(),
        })
    }

    /// The link by which a router is reached.
    fn reached_by(&self, index: u16) -> Option<NeighborLink> {
        let first = self.computed.tree.reach(index)?.first;
        self.links.to(&self.nodes.get(first)?.id)
    }

    /// Whether another life of a router that says hello is connected to the network elsewhere: its
    /// neighbours there say that they see it. Those of one that has ended, here or there, do not
    /// for long, so it is soon believed in its new life, or at its new place.
    fn is_elsewhere(&self, from: NeighborLink, control: &Control<'_>) -> bool {
        let index = self.nodes.find(control.id);
        let Some((index, node)) = index.and_then(|index| Some((index, self.nodes.get(index)?)))
        else {
            return false;
        };
        if node.instance.is_none() || node.instance == control.instance {
            return false;
        }
        let mut peers = node.peers().iter().map(|(peer, _)| *peer);
        peers.any(|peer| {
            let names_it = |node: &Node| node.names(index);
            let link = self.reached_by(peer);
            self.nodes.get(peer).is_some_and(names_it) && link.is_some_and(|link| link != from)
        })
    }

    fn advertisement(
        &mut self,
        from: NeighborLink,
        control: &Control<'_>,
        link_sequence: i64,
        mobile_sequence: i64,
    ) -> Result<(), Misdeed> {
        let index = self.enter(control.id, from, Standing::Speaks)?;
        if !self.life(index, control, false)? {
            return Ok(());
        }
        let now = self.times.now;
        if let Some(node) = self.nodes.get_mut(index)
            && node.advertises(link_sequence, mobile_sequence, !control.is_hearsay, now)
        {
            self.restart(index);
            if let Some(node) = self.nodes.get_mut(index) {
                node.advertises(link_sequence, mobile_sequence, true, now);
            }
        }
        self.attend(index);
        Ok(())
    }

    fn link_state_request(
        &mut self,
        from: NeighborLink,
        control: &Control<'_>,
    ) -> Result<(), Misdeed> {
        let index = self.enter(control.id, from, Standing::Named)?;
        if let Some(node) = self.nodes.get_mut(index) {
            node.owed_link_state.want();
        }
        self.attend(index);
        Ok(())
    }

    fn link_state(
        &mut self,
        from: NeighborLink,
        control: &Control<'_>,
        sequence: i64,
        told: Values<'_>,
    ) -> Result<(), Misdeed> {
        if told.count() > 2 * limits::MESH_PEERS {
            return Err(Misdeed::TooLong("peers"));
        }
        let index = self.enter(control.id, from, Standing::Speaks)?;
        if !self.life(index, control, false)? {
            return Ok(());
        }
        let Some(node) = self.nodes.get_mut(index) else {
            return Ok(());
        };
        node.tells(control.is_hearsay);
        self.attend(index);
        let Some(node) = self.nodes.get(index) else {
            return Ok(());
        };
        if sequence < node.sequence || (sequence == node.sequence && !node.is_cut) {
            return Ok(());
        }
        let told: Vec<_> = peers(told).collect::<Result<_, _>>()?;
        let mut full = None;
        let mut known = std::collections::BTreeMap::new();
        for (id, cost) in told {
            match self.enter(id, from, Standing::Named) {
                Ok(peer) if peer != index => {
                    known.insert(peer, cost);
                }
                Ok(_) => {}
                Err(misdeed) => full = Some(misdeed),
            }
        }
        let peers = known.into_iter().collect();
        let now = self.times.now;
        self.marks.recompute |= self.nodes.take_link_state(index, sequence, peers, now);
        if let Some(node) = self.nodes.get_mut(index) {
            node.is_cut = full.is_some();
        }
        full.map_or(Ok(()), Err)
    }

    fn address_request(&mut self, from: NeighborLink, control: &Control<'_>, have_sequence: i64) {
        // Who has been told of us by others asks before we have heard of it.
        let Ok(index) = self.enter(control.id, from, Standing::Named) else {
            return;
        };
        if have_sequence < self.own_addresses.sequence()
            && let Some(node) = self.nodes.get_mut(index)
        {
            node.owed_addresses.want();
            self.attend(index);
        }
    }

    fn addresses(
        &mut self,
        from: NeighborLink,
        control: &Control<'_>,
        (sequence, change, hints): (i64, Change<'_>, Hints<'_>),
    ) -> Result<(), Misdeed> {
        let Some(index) = self.nodes.find(control.id) else {
            return Ok(());
        };
        let room = limits::MESH_ADDRESSES.saturating_sub(self.nodes.addresses);
        let now = self.times.now;
        let Some(node) = self.nodes.get_mut(index) else {
            return Ok(());
        };
        if self.events.len() >= limits::MESH_BACKLOG {
            node.addresses.ask.want();
            self.attend(index);
            return Ok(());
        }
        let (before, was_asked) = (node.addresses.sequence(), node.addresses.ask.is_asked());
        let changed = node.addresses.update(sequence, change, hints, room, now)?;
        let is_taken = node.addresses.sequence() > before || (was_asked && sequence == before);
        if matches!(change, Change::All { .. }) && is_taken {
            self.marks.listed.push((index, from));
        }
        let id = Arc::clone(&node.id);
        let router = RouterIndex(index);
        self.nodes.addresses += changed.mapped.len();
        self.nodes.addresses = self.nodes.addresses.saturating_sub(changed.unmapped.len());
        let unmapped = changed.unmapped.into_iter();
        self.events
            .extend(unmapped.map(|key| MeshEvent::Unmapped { router, key }));
        let mapped = changed.mapped.into_iter();
        self.events
            .extend(mapped.map(|(key, hint)| MeshEvent::Mapped { router, key, hint }));
        self.attend(index);
        if changed.full {
            return Err(Misdeed::Addresses { id });
        }
        Ok(())
    }

    /// Judges the life from which a message comes, and begins anew with a new one; whether the
    /// message counts.
    fn life(&mut self, index: u16, control: &Control<'_>, direct: bool) -> Result<bool, Misdeed> {
        let now = self.times.now;
        let alive = self.links.to(control.id).is_some();
        let Some(node) = self.nodes.get_mut(index) else {
            return Ok(false);
        };
        if control.is_hearsay && node.instance.is_some() && node.instance == control.instance {
            // That somebody tells of it is no sign of life.
            return Ok(true);
        }
        let life = node.begins_life(control.instance, direct, alive, now)?;
        node.version = Some(control.version);
        match life {
            Life::New => self.restart(index),
            // Lists of addresses do not say from which life they come.
            Life::First => self.unmap_all(index),
            Life::Same | Life::Past => {}
        }
        Ok(life != Life::Past)
    }
}
