//! Where one delivery goes. Pure: a route, the tallies and the windows in, a choice out.
//!
//! Owns the rules of closest, balanced and multicast; never forwards, never counts a delivery (the
//! caller does, once it has taken the choice). Decision: the turn of an address is a tally, not a
//! rotated list, so the route stays immutable and all shards share one rotation.

use crate::ids::OutLinkKey;
use crate::limits::BALANCED_SCAN;

use super::record::{Consumer, NO_SLOT, Route, Treatment};
use super::tally::Tally;

/// What the chooser asks about pipes.
pub trait Windows {
    /// Whether the pipe from this shard to a link takes another unsettled delivery.
    fn is_open(&self, link: OutLinkKey) -> bool;
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It goes to one consumer.
    One {
        /// The consumer's link.
        target: OutLinkKey,
        /// The tally slot to count it on; [`NO_SLOT`] where nobody counts.
        slot: u32,
    },
    /// It goes to all consumers of the route.
    Each,
    /// There are consumers, but no pipe to them is open: it waits in the address's line.
    Wait,
    /// There is nobody to send it to.
    Unroutable,
}

/// Chooses the target of one delivery.
///
/// A `settled` one does not look at windows and never waits. Links in `excluded` are passed over:
/// those from which the delivery has come back.
#[inline]
pub fn choose(
    route: &Route,
    settled: bool,
    tally: &mut Tally,
    windows: &impl Windows,
    excluded: &[OutLinkKey],
) -> Choice {
    if let ([consumer], []) = (&*route.consumers, &*route.in_process)
        && !route.treatment.is_multicast()
    {
        return only(consumer, settled, windows, excluded);
    }
    among(
        route,
        tally,
        &Passage {
            settled,
            windows,
            excluded,
        },
    )
}

/// The choice where there is none.
#[inline]
fn only(
    consumer: &Consumer,
    settled: bool,
    windows: &impl Windows,
    excluded: &[OutLinkKey],
) -> Choice {
    if excluded.contains(&consumer.link) {
        return Choice::Unroutable;
    }
    if settled || windows.is_open(consumer.link) {
        consumer.into()
    } else {
        Choice::Wait
    }
}

/// What a delivery brings to a choice.
struct Passage<'a, W> {
    settled: bool,
    windows: &'a W,
    excluded: &'a [OutLinkKey],
}

impl<W: Windows> Passage<'_, W> {
    /// Whether the delivery may go to a link at all.
    fn admits(&self, link: OutLinkKey) -> bool {
        self.excluded.is_empty() || !self.excluded.contains(&link)
    }

    /// Whether the delivery may go to a link now.
    fn is_open(&self, link: OutLinkKey) -> bool {
        self.settled || self.windows.is_open(link)
    }
}

impl From<&Consumer> for Choice {
    fn from(consumer: &Consumer) -> Self {
        Self::One {
            target: consumer.link,
            slot: consumer.slot,
        }
    }
}

/// The choice among several, or none.
fn among(route: &Route, tally: &mut Tally, passage: &Passage<'_, impl Windows>) -> Choice {
    if !route.is_reachable() {
        return Choice::Unroutable;
    }
    match route.treatment {
        Treatment::MulticastFlood | Treatment::Multicast => return Choice::Each,
        Treatment::Unavailable => return Choice::Unroutable,
        Treatment::AnycastClosest | Treatment::AnycastBalanced | Treatment::LinkBalanced => {}
    }
    let choice = in_process(route, tally, passage);
    if choice != Choice::Unroutable {
        return choice;
    }
    match route.treatment {
        Treatment::AnycastBalanced => balanced(route, tally, passage),
        _ => closest(route, tally, passage),
    }
}

/// In-process consumers in rotation: they come before all others.
fn in_process(route: &Route, tally: &mut Tally, passage: &Passage<'_, impl Windows>) -> Choice {
    let links = &route.in_process;
    rotate(links, |link| *link, route.turn_slot, tally, passage).map_or_else(
        |none| none,
        |link| Choice::One {
            target: *link,
            slot: NO_SLOT,
        },
    )
}

/// Consumers in strict rotation, whatever their load.
fn closest(route: &Route, tally: &mut Tally, passage: &Passage<'_, impl Windows>) -> Choice {
    let consumers = &route.consumers;
    rotate(
        consumers,
        |consumer| consumer.link,
        route.turn_slot,
        tally,
        passage,
    )
    .map_or_else(|none| none, Choice::from)
}

/// The target whose turn it is, or the next one that takes the delivery; ends the turn.
fn rotate<'a, T>(
    targets: &'a [T],
    link: impl Fn(&T) -> OutLinkKey,
    turn_slot: u32,
    tally: &mut Tally,
    passage: &Passage<'_, impl Windows>,
) -> Result<&'a T, Choice> {
    if targets.is_empty() {
        return Err(Choice::Unroutable);
    }
    let (before, after) = targets.split_at(tally.turn(turn_slot, targets.len()));
    let mut none = Choice::Unroutable;
    for target in after.iter().chain(before) {
        if !passage.admits(link(target)) {
            continue;
        }
        if passage.is_open(link(target)) {
            tally.advance(turn_slot);
            tally.chosen();
            return Ok(target);
        }
        none = Choice::Wait;
    }
    Err(none)
}

/// The first idle consumer from the turn on, which ends the turn; else the least loaded that is
/// below its capacity; else the least loaded. The first one wins ties.
fn balanced(route: &Route, tally: &mut Tally, passage: &Passage<'_, impl Windows>) -> Choice {
    let consumers = &route.consumers;
    if consumers.is_empty() {
        return Choice::Unroutable;
    }
    let (before, after) = consumers.split_at(tally.turn(route.turn_slot, consumers.len()));
    let mut best: Option<(&Consumer, (bool, u32))> = None;
    let mut none = Choice::Unroutable;
    for (weighed, consumer) in after.iter().chain(before).enumerate() {
        if weighed >= BALANCED_SCAN && best.is_some() {
            break;
        }
        if !passage.admits(consumer.link) {
            continue;
        }
        let load = tally.load(consumer.slot);
        let weight = (load >= consumer.capacity, load);
        if best.is_some_and(|(_, least)| weight >= least) {
            continue;
        }
        if !passage.is_open(consumer.link) {
            none = Choice::Wait;
            continue;
        }
        best = Some((consumer, weight));
        if load == 0 {
            tally.advance(route.turn_slot);
            break;
        }
    }
    let Some((consumer, _)) = best else {
        return none;
    };
    tally.chosen();
    consumer.into()
}

#[cfg(test)]
mod tests;
