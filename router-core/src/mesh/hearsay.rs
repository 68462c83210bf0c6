//! What neighbours of our own kind tell of others, and ask about them.
//!
//! Owns what of it is believed, and which questions are answered in the place of others. Decision:
//! only what is newer is believed, because it may have lain somewhere for long, and that somebody
//! tells of a router is no sign that it is alive.

use crate::mesh::envelope::Envelope;
use crate::mesh::lsdb::Node;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::names::NeighborLink;
use crate::mesh::spread::is_worth_telling;
use crate::mesh::state::State;
use crate::mesh::wire::{Body, Change, Control, Wanted};

impl State {
    /// Takes what is for this router alone, from whom it speaks of or from a neighbour of our kind.
    pub(super) fn told(
        &mut self,
        from: NeighborLink,
        envelope: &Envelope<'_>,
    ) -> Result<(), Misdeed> {
        let control = envelope.control()?;
        match envelope.passed().next() {
            Some(speaker) if speaker != control.id => {
                if envelope.distance() != 1 || !self.is_kin(from) {
                    return Err(Misdeed::Speaker);
                }
                self.told_of(from, control)
            }
            _ => self.told_by(from, &control),
        }
    }

    /// Takes what another router tells of itself, not to all, and passes on what is new of it.
    fn told_by(&mut self, from: NeighborLink, control: &Control<'_>) -> Result<(), Misdeed> {
        let known = |state: &Self| {
            let index = state.nodes.find(control.id)?;
            let node = state.nodes.get(index)?;
            Some((index, (node.instance, node.sequence)))
        };
        let before = known(self).map(|(_, known)| known);
        self.handle(from, control)?;
        if matches!(control.body, Body::LinkState { .. })
            && let Some((index, now)) = known(self)
            && before != Some(now)
        {
            self.marks.learnt.push((index, from));
        }
        Ok(())
    }

    /// Takes what a neighbour tells of another router, as far as that is newer than what is known.
    fn told_of(&mut self, from: NeighborLink, mut control: Control<'_>) -> Result<(), Misdeed> {
        control.is_hearsay = true;
        let node = self.nodes.find(control.id);
        let node = node.and_then(|index| self.nodes.get(index));
        if !self.may_be_new(node, &control) {
            return Ok(());
        }
        let is_news = match (control.body, node) {
            (Body::LinkState { sequence, .. }, Some(node)) => {
                node.instance < control.instance || sequence > node.sequence
            }
            (body, None) => matches!(body, Body::LinkState { .. }),
            _ => false,
        };
        match self.handle(from, &control) {
            // Whoever is a neighbour says itself when it begins anew.
            Err(Misdeed::OtherLife { .. }) => return Ok(()),
            result => result?,
        }
        if let Some(index) = self.nodes.find(control.id) {
            self.marks.learnt.extend(is_news.then_some((index, from)));
            self.ask_again(index, &control);
        }
        Ok(())
    }

    /// Whether what is told of a router may be newer than what is known of it.
    fn may_be_new(&self, node: Option<&Node>, control: &Control<'_>) -> bool {
        let (Some(node), Some(told)) = (node, control.instance) else {
            let is_list = matches!(control.body, Body::Addresses { .. });
            return control.instance.is_some() && !is_list;
        };
        if let Some(life) = node.instance.filter(|life| *life != told) {
            // A later life of one that is heard is no news until it says so itself: its clock may
            // have been set back, and then the earlier life is the one that looks later.
            let is_over = node.may_be_over(self.settings.remote_ls_max_age, self.times.now);
            let is_list = matches!(control.body, Body::Addresses { .. });
            return life < told && !is_list && is_over;
        }
        match control.body {
            Body::LinkState { sequence, .. } => {
                let is_rest = node.is_cut && sequence == node.sequence;
                sequence > node.sequence || is_rest
            }
            Body::Advertisement {
                link_sequence,
                mobile_sequence,
            } => link_sequence >= node.known_of() && mobile_sequence >= node.addresses.known_of(),
            Body::Addresses {
                sequence,
                change: Change::All { .. },
                ..
            } => node.instance.is_some() && sequence >= node.addresses.sequence(),
            _ => false,
        }
    }

    /// Whoever was asked for its addresses may not have been asked at all: a neighbour that had to
    /// ask itself has let the question go, and says that it has them now.
    fn ask_again(&mut self, index: u16, control: &Control<'_>) {
        let Body::Advertisement {
            mobile_sequence, ..
        } = control.body
        else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(index)
            && mobile_sequence > node.addresses.sequence()
        {
            node.addresses.ask.doubt();
            self.attend(index);
        }
    }

    /// Takes a question that a router of our kind has for another, if that need not be asked: what
    /// is known here is told to a neighbour, and so is, when it comes, what is asked for from here.
    /// Else a thousand routers would ask the thousandth all at once.
    pub(super) fn is_answered_here(
        &mut self,
        id: &str,
        from: NeighborLink,
        envelope: &Envelope<'_>,
    ) -> bool {
        let Some(index) = self.nodes.find(id).filter(|_| self.is_kin(from)) else {
            return false;
        };
        let Ok(control) = envelope.control() else {
            return false;
        };
        // Answers go by the link that counts, if both sides agree on one yet.
        let neighbor = self.links.heard_on(from);
        let back = neighbor.and_then(|neighbor| self.links.to(neighbor));
        let back = back.filter(|_| envelope.distance() == 1);
        match control.body {
            Body::LinkStateRequest {
                wanted: Some(wanted),
            } => back.is_some_and(|back| self.answers_links(index, back, wanted)),
            Body::AddressRequest {
                have_sequence,
                life: Some(life),
            } => {
                let wanted = Wanted {
                    life,
                    sequence: have_sequence,
                };
                back.is_some_and(|back| self.answers_addresses(index, back, wanted))
                    || self.is_not_introduced(index, control.id)
            }
            _ => false,
        }
    }

    fn answers_links(&mut self, index: u16, back: NeighborLink, wanted: Wanted) -> bool {
        let Some(node) = self.nodes.get(index) else {
            return false;
        };
        let is_same_life = wanted.life == 0 || node.instance == Some(wanted.life);
        if is_same_life && node.sequence >= wanted.sequence && is_worth_telling(node) {
            self.owe(back, index);
            return true;
        }
        let is_asked_for = node.ask.is_under_way(self.times.now) && !node.is_cut;
        is_same_life && is_asked_for && self.way(index) != Some(back)
    }

    fn answers_addresses(&mut self, index: u16, back: NeighborLink, known: Wanted) -> bool {
        let node = self.nodes.get(index).filter(|node| is_worth_telling(node));
        let Some(node) = node.filter(|node| node.instance == Some(known.life)) else {
            return false;
        };
        let is_asked_for =
            node.addresses_due().is_some() && node.addresses.ask.is_under_way(self.times.now);
        let is_newer = node.addresses.sequence() > known.sequence;
        (is_newer && self.owe_addresses(back, index))
            || (is_asked_for && self.way(index) != Some(back))
    }

    /// Whether a router that asks another for its addresses may not be known to that: one of the
    /// other kind complains of those that it has not heard of.
    fn is_not_introduced(&self, index: u16, asking: &str) -> bool {
        let is_far = self.way(index).is_some_and(|way| !self.is_kin(way));
        let both = [Some(index), self.nodes.find(asking)];
        let mut both = both.map(|index| self.nodes.get(index?)).into_iter();
        let is_old = |node: Option<&Node>| node.is_some_and(|of| of.is_introduced(self.times.now));
        is_far && !both.all(is_old)
    }
}
