//! Which connection to a neighbour each producer's link uses, where there are several.
//!
//! A link keeps to one as long as anything that it has sent there may still be overtaken, so that
//! what a sender sends arrives in its order. Decision: a link that would do better with another
//! connection waits for a moment until what it has in flight has ended, then changes; one that has
//! sent settled deliveries, of whose end nobody hears, changes only after a long silence.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::conn::Conn;
use super::hoard::{Hoard, is_shut};
use super::link::InLink;
use super::pin::Pin;
use super::state::{Pipes, Shard};
use crate::delivery::Place;
use crate::ids::{ConnectionId, InKey, InLinkKey, Key, LinkId, OutLinkKey, ShardId};
use crate::inspect::LinkType;
use crate::keyed::Keyed;
use crate::route::{Member, Neighbor, Paths, Pick, Windows};

/// What a choice for a delivery of one producer's link has to know.
pub(super) struct Outlook<'a> {
    pub(super) pipes: &'a Pipes,
    pub(super) sender: Sender<'a>,
    /// A link from which the delivery has come back.
    pub(super) excluded: Option<OutLinkKey>,
}

/// The producer's link for which is chosen.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pins: &'a [Pin],
    /// Consumers to which nothing goes of what comes by its connection are among these.
    pub(super) hoards: &'a [Hoard],
    link: LinkId,
    shard: ShardId,
    second: u32,
}

impl<'a> Sender<'a> {
    pub(super) fn new(
        link: Option<&'a InLink>,
        conns: &'a Keyed<Conn>,
        shard: ShardId,
        second: u32,
    ) -> Self {
        let conn = link.and_then(|link| conns.get(link.conn));
        Self {
            hoards: conn.map_or(&[], |conn| &conn.hoards),
            pins: link.map_or(&[], |link| &link.pins),
            link: link.map_or(LinkId(0), one_for_all),
            shard,
            second,
        }
    }
}

/// What stands for a link when connections are dealt out. The links of a neighbour's connection
/// stand together: the large messages of one sender come by another of them than its small ones.
fn one_for_all(link: &InLink) -> LinkId {
    match link.kind {
        LinkType::Endpoint => link.id,
        LinkType::InterRouter | LinkType::RouterControl => LinkId(link.conn.0.token()),
    }
}

impl Windows for Outlook<'_> {
    fn is_open(&self, link: OutLinkKey) -> bool {
        self.pipes.is_open(link) && !is_shut(self.sender.hoards, link)
    }

    fn pick<'n>(&self, neighbor: &'n Neighbor) -> Option<Pick<'n>> {
        if let [member] = &*neighbor.members {
            let held = false;
            return Some(Pick { member, held });
        }
        let Sender {
            pins,
            link,
            shard,
            second,
            ..
        } = self.sender;
        let preferred = Pick {
            member: neighbor.preferred(shard, link, self.excluded)?,
            held: false,
        };
        let mut pins = pins.iter().filter(|pin| pin.router == neighbor.router);
        let last = pins.next_back();
        if self.excluded.is_none() && pins.any(|pin| pin.in_flight > 0 && pin.holds(second)) {
            // Some of what was sent by a connection that was lost is still on its way home.
            return Some(Pick {
                held: true,
                ..preferred
            });
        }
        let Some(pin) = last.filter(|pin| pin.member != preferred.member.connection) else {
            return Some(preferred);
        };
        let is_it = |member: &&Member| {
            member.connection == pin.member
                && self.excluded.is_none_or(|excluded| !member.has(excluded))
        };
        let member = neighbor.members.iter().find(is_it);
        let Some(member) = member.filter(|_| !pin.is_over(second)) else {
            return Some(preferred);
        };
        let held = pin.holds(second);
        Some(Pick { member, held })
    }
}

impl Shard {
    /// A delivery of a producer's link goes to a neighbour; `heard`: its end will be heard of.
    pub(super) fn note_pin(&mut self, key: Option<InLinkKey>, target: OutLinkKey, heard: bool) {
        let Some((neighbor, member)) = self.paths.trunk_of(target) else {
            return;
        };
        let Some(link) = key.and_then(|key| self.in_links.get_mut(key)) else {
            return;
        };
        let (router, member, second) = (neighbor.router, member.connection, self.second);
        let is_it = |pin: &Pin| pin.router == router && pin.member == member;
        if let [only] = &mut *link.pins
            && is_it(only)
        {
            only.note(second, heard);
            return;
        }
        let place = link.pins.iter().position(is_it);
        let pin = place.map(|place| link.pins.remove(place));
        let mut pin = pin.unwrap_or_else(|| Pin::new(router, member, second));
        pin.note(second, heard);
        // The one in use is the last; those before it stay until what went there has ended.
        link.pins
            .retain(|pin| pin.router != router || pin.in_flight > 0);
        link.pins.push(pin);
    }

    /// A delivery is no longer where it was sent, whatever becomes of it.
    pub(super) fn leave_target(&mut self, record: InKey) {
        if let Some(inbound) = self.inbound.get_mut(record)
            && let (Some(link), &Place::Sent { target, .. }) = (inbound.link, &inbound.place)
        {
            inbound.place = Place::Discard(None);
            self.release_pin(link, target);
        }
    }

    /// A delivery that went to one link has ended, or has come back.
    pub(super) fn release_pin(&mut self, key: InLinkKey, target: OutLinkKey) {
        let Some(link) = self.in_links.get_mut(key) else {
            return;
        };
        if link.pins.is_empty() {
            return;
        }
        let Some((neighbor, member)) = self.paths.trunk_of(target) else {
            return;
        };
        let is_it =
            |pin: &&mut Pin| pin.router == neighbor.router && pin.member == member.connection;
        if let Some(pin) = link.pins.iter_mut().find(is_it) {
            pin.in_flight = pin.in_flight.saturating_sub(1);
            self.lines_due |= pin.in_flight == 0 && pin.held.get().is_some();
        }
    }

    /// What a link has in flight goes on without being heard of.
    pub(super) fn lose_sight(&mut self, key: InLinkKey) {
        if let Some(link) = self.in_links.get_mut(key) {
            for pin in &mut link.pins {
                pin.unheard = true;
            }
        }
    }

    /// The connections to neighbours are others than before.
    pub(super) fn adjust_pins(&mut self, old: &Paths) {
        if !old.has_trunks() && !self.paths.has_trunks() {
            return;
        }
        let Self {
            in_links, paths, ..
        } = self;
        for (_, link) in in_links.iter_mut() {
            link.pins.retain(|pin| {
                let mut trunks = paths.trunks();
                let trunk = trunks.find(|neighbor| neighbor.router == pin.router);
                trunk.is_some_and(|trunk| {
                    let mut members = trunk.members.iter();
                    members.any(|member| member.connection == pin.member)
                })
            });
        }
        let paths = Arc::clone(&self.paths);
        for trunk in paths.trunks() {
            let mut before = old.neighbors().iter();
            let before = before.find(|neighbor| neighbor.router == trunk.router);
            // With one connection nobody has counted.
            if let Some([only]) = before.map(|before| &*before.members)
                && let Some(member) = trunk
                    .members
                    .iter()
                    .find(|of| of.connection == only.connection)
            {
                self.make_pins(trunk.router, member);
            }
        }
    }

    /// There was one connection to a neighbour and now there are more: counts what each link has in
    /// flight there.
    fn make_pins(&mut self, router: u16, member: &Member) {
        let Self {
            in_links,
            inbound,
            second,
            ..
        } = self;
        for (_, link) in in_links.iter_mut() {
            if link.counters.deliveries > 0 {
                let mut pin = Pin::new(router, member.connection, *second);
                pin.unheard = link.counters.presettled > 0;
                link.pins.push(pin);
            }
        }
        for (_, delivery) in inbound.iter() {
            let link = delivery.link.and_then(|key| in_links.get_mut(key));
            let pin = link.and_then(|link| {
                let mut pins = link.pins.iter_mut();
                pins.find(|pin| pin.router == router && pin.member == member.connection)
            });
            let Some(pin) = pin else { continue };
            match &delivery.place {
                Place::Sent { target, .. } => pin.in_flight += u32::from(member.has(*target)),
                Place::Fan(_) => pin.unheard = true,
                Place::Hold(_) | Place::Line(_) | Place::Discard(_) => {}
            }
        }
    }

    /// Whether deliveries may wait because their link is to change its connection: they do not for
    /// longer than a certain time.
    pub(super) fn may_be_held(&self) -> bool {
        self.paths.has_trunks() && !self.lines.is_empty()
    }

    /// Links' accounts of what is in flight against the deliveries themselves.
    pub(super) fn pin_drift(&self) -> u64 {
        let mut found = BTreeMap::<(Key, ConnectionId), u64>::new();
        for (_, delivery) in self.inbound.iter() {
            if let (Some(link), Place::Sent { target, .. }) = (delivery.link, &delivery.place)
                && let Some((_, member)) = self.paths.trunk_of(*target)
            {
                *found.entry((link.0, member.connection)).or_insert(0) += 1;
            }
        }
        let mut drift = 0;
        for (key, link) in self.in_links.iter() {
            for pin in &link.pins {
                let real = found.get(&(key, pin.member)).copied().unwrap_or(0);
                drift += real.abs_diff(u64::from(pin.in_flight));
            }
        }
        drift
    }
}
