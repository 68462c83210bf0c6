//! Where one delivery goes. Pure: a route, the tallies and the windows in, a choice out.
//!
//! Owns the rules of closest, balanced and multicast; never forwards, never counts a delivery (the
//! caller does, once it has taken the choice). Decision: the turn of an address is a tally, not a
//! rotated list, so the route stays immutable and all shards share one rotation.

use crate::ids::OutLinkKey;
use crate::limits::BALANCED_SCAN;

use super::paths::{Entry, Member, Neighbor, Path, Paths};
use super::record::{Consumer, NO_SLOT, RemoteRouter, Route, Treatment};
use super::tally::Tally;

/// What the chooser asks about pipes, and about who uses which connection.
pub trait Windows {
    /// Whether the pipe from this shard to a link takes another unsettled delivery.
    fn is_open(&self, link: OutLinkKey) -> bool;

    /// The connection to a neighbour that the sender of this delivery uses.
    fn pick<'a>(&self, neighbor: &'a Neighbor) -> Option<Pick<'a>> {
        let member = neighbor.members.first()?;
        Some(Pick {
            member,
            held: false,
        })
    }
}

/// The connection to a neighbour that a sender uses.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a> {
    /// The connection.
    pub member: &'a Member,
    /// The sender is to use another one as soon as what it has sent by this one has ended: until
    /// then its unsettled deliveries wait.
    pub held: bool,
}

/// The way to a router.
struct Way<'a> {
    path: &'a Path,
    link: OutLinkKey,
    held: bool,
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

/// What a delivery brings to a choice.
pub struct Passage<'a, W> {
    /// It does not look at windows and never waits.
    pub settled: bool,
    /// The pipes of the shard that chooses.
    pub windows: &'a W,
    /// Links from which it has come back: they are passed over.
    pub excluded: &'a [OutLinkKey],
    /// What leads to other routers.
    pub paths: &'a Paths,
    /// The priority that picks a link to a neighbour, 0 to 9.
    pub priority: u8,
    /// Where it entered the network.
    pub entry: Entry,
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

    /// The way to a router and the link on which this delivery would take it.
    fn way(&self, remote: &RemoteRouter) -> Option<Way<'_>> {
        let path = self.paths.to(remote.router)?;
        let neighbor = self.paths.neighbor(path.neighbor)?;
        let Pick { member, held } = self.windows.pick(neighbor)?;
        let link = member.link(self.priority)?;
        self.admits(link).then_some(Way { path, link, held })
    }

    /// Whether the delivery may take a way now.
    fn is_free(&self, way: &Way<'_>) -> bool {
        self.settled || (!way.held && self.windows.is_open(way.link))
    }
}

/// Chooses the target of one delivery.
#[inline]
pub fn choose(route: &Route, tally: &mut Tally, passage: &Passage<'_, impl Windows>) -> Choice {
    if let ([consumer], [], []) = (&*route.consumers, &*route.in_process, &*route.routers)
        && !route.treatment.is_multicast()
    {
        return only(consumer, passage);
    }
    if let ([], [], [remote]) = (&*route.consumers, &*route.in_process, &*route.routers) {
        match route.treatment {
            Treatment::AnycastBalanced => return only_router(remote, passage, true),
            Treatment::AnycastClosest | Treatment::LinkBalanced => {
                return only_router(remote, passage, false);
            }
            Treatment::MulticastFlood | Treatment::Multicast | Treatment::Unavailable => {}
        }
    }
    among(route, tally, passage)
}

/// The choice where there is none.
#[inline]
fn only(consumer: &Consumer, passage: &Passage<'_, impl Windows>) -> Choice {
    if !passage.admits(consumer.link) {
        return Choice::Unroutable;
    }
    if passage.is_open(consumer.link) {
        consumer.into()
    } else {
        Choice::Wait
    }
}

/// The choice where only one other router has consumers; `lies_between`: only if this one is on the
/// way to it from where the delivery entered.
fn only_router(
    remote: &RemoteRouter,
    passage: &Passage<'_, impl Windows>,
    lies_between: bool,
) -> Choice {
    let Some(way) = passage.way(remote) else {
        return Choice::Unroutable;
    };
    if lies_between && !Paths::is_valid(way.path, passage.entry) {
        return Choice::Unroutable;
    }
    if !passage.is_free(&way) {
        return Choice::Wait;
    }
    Choice::One {
        target: way.link,
        slot: remote_slot(remote, passage.settled),
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
    match route.treatment {
        Treatment::MulticastFlood | Treatment::Multicast => {
            return match route.is_reachable(passage.paths) {
                true => Choice::Each,
                false => Choice::Unroutable,
            };
        }
        Treatment::Unavailable => return Choice::Unroutable,
        Treatment::AnycastClosest | Treatment::AnycastBalanced | Treatment::LinkBalanced => {}
    }
    if !route.in_process.is_empty() {
        let choice = in_process(route, tally, passage);
        if choice != Choice::Unroutable {
            return choice;
        }
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

/// Consumers in strict rotation, whatever their load; where there is none, the routers that cost
/// least.
fn closest(route: &Route, tally: &mut Tally, passage: &Passage<'_, impl Windows>) -> Choice {
    let consumers = &route.consumers;
    let local = rotate(
        consumers,
        |consumer| consumer.link,
        route.turn_slot,
        tally,
        passage,
    );
    match local {
        Ok(consumer) => consumer.into(),
        Err(Choice::Unroutable) => nearest(route, tally, passage),
        Err(none) => none,
    }
}

/// The routers of least cost in rotation: two behind one neighbour are two turns. Among them those
/// come first between which and the delivery's entry this router lies: it was sent here for one of
/// them, and by another way others of its sender go to the rest and would be overtaken.
fn nearest(route: &Route, tally: &mut Tally, passage: &Passage<'_, impl Windows>) -> Choice {
    let rank = |remote: &RemoteRouter, most: u32| {
        let path = passage.paths.to(remote.router)?;
        // The rest is looked at only where the cost leaves it a chance.
        let near = path.cost <= most;
        near.then(|| (path.cost, !Paths::is_valid(path, passage.entry)))
    };
    let (mut least, mut count) = ((u32::MAX, true), 0);
    for remote in &route.routers {
        if let Some(rank) = rank(remote, least.0).filter(|&rank| rank <= least)
            && passage.way(remote).is_some()
        {
            count = if rank == least { count + 1 } else { 1 };
            least = rank;
        }
    }
    if count == 0 {
        return Choice::Unroutable;
    }
    let near = || {
        let near = route.routers.iter();
        let near = near.filter(|remote| rank(remote, least.0) == Some(least));
        near.filter_map(|remote| Some((remote, passage.way(remote)?)))
    };
    let turn = match count {
        1 => 0,
        _ => tally.turn(route.turn_slot, count),
    };
    for (remote, way) in near().skip(turn).chain(near().take(turn)) {
        if passage.is_free(&way) {
            if count > 1 {
                tally.advance(route.turn_slot);
            }
            tally.chosen();
            return Choice::One {
                target: way.link,
                slot: remote_slot(remote, passage.settled),
            };
        }
    }
    Choice::Wait
}

/// Only unsettled deliveries to other routers are counted.
fn remote_slot(remote: &RemoteRouter, settled: bool) -> u32 {
    if settled { NO_SLOT } else { remote.slot }
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

/// The best target of a balanced address so far.
struct Best {
    choice: Choice,
    /// Whether it is at its capacity, and its load.
    weight: (bool, u32),
}

/// The first idle consumer from the turn on, which ends the turn; else the least loaded of all
/// targets that is below its capacity; else the least loaded. The first one wins ties.
fn balanced(route: &Route, tally: &mut Tally, passage: &Passage<'_, impl Windows>) -> Choice {
    let consumers = &route.consumers;
    let mut best: Option<Best> = None;
    let mut none = Choice::Unroutable;
    let turn = if consumers.is_empty() {
        0
    } else {
        tally.turn(route.turn_slot, consumers.len())
    };
    let (before, after) = consumers.split_at(turn);
    for (weighed, consumer) in after.iter().chain(before).enumerate() {
        if weighed >= BALANCED_SCAN && best.is_some() {
            break;
        }
        if !passage.admits(consumer.link) {
            continue;
        }
        let load = tally.load(consumer.slot);
        let weight = (load >= consumer.capacity, load);
        if best.as_ref().is_some_and(|best| weight >= best.weight) {
            continue;
        }
        if !passage.is_open(consumer.link) {
            none = Choice::Wait;
            continue;
        }
        let choice = consumer.into();
        best = Some(Best { choice, weight });
        if load == 0 {
            tally.advance(route.turn_slot);
            break;
        }
    }
    let idle = best.as_ref().is_some_and(|best| best.weight == (false, 0));
    if !idle && !route.routers.is_empty() {
        weigh_routers(route, tally, passage, &mut best, &mut none);
    }
    let Some(Best { choice, .. }) = best else {
        return none;
    };
    tally.chosen();
    choice
}

/// Weighs the routers that have the address: what is unsettled over their neighbour, and the cost.
/// A router counts only if this one lies between it and where the delivery entered: that keeps
/// deliveries from running in circles.
fn weigh_routers(
    route: &Route,
    tally: &mut Tally,
    passage: &Passage<'_, impl Windows>,
    best: &mut Option<Best>,
    none: &mut Choice,
) {
    let paths = passage.paths;
    let mut outstanding = tally.take_scratch(paths.neighbors().len());
    for remote in &route.routers {
        if let Some(path) = paths.to(remote.router) {
            let load = tally.load(remote.slot);
            let sum = &mut outstanding[usize::from(path.neighbor)];
            *sum = sum.saturating_add(load);
        }
    }
    for remote in &route.routers {
        let Some(path) = paths.to(remote.router) else {
            continue;
        };
        let capacity = paths
            .neighbor(path.neighbor)
            .map_or(0, |neighbor| neighbor.capacity);
        let load = outstanding[usize::from(path.neighbor)];
        let weight = (load >= capacity, load.saturating_add(path.cost));
        // What is cheap to know comes first: there may be a thousand of them.
        if best.as_ref().is_some_and(|best| weight >= best.weight) {
            continue;
        }
        if !Paths::is_valid(path, passage.entry) {
            continue;
        }
        let Some(way) = passage.way(remote) else {
            continue;
        };
        if !passage.is_free(&way) {
            *none = Choice::Wait;
            continue;
        }
        let choice = Choice::One {
            target: way.link,
            slot: remote_slot(remote, passage.settled),
        };
        *best = Some(Best { choice, weight });
    }
    tally.keep_scratch(outstanding);
}

/// The links on which copies of a multicast delivery leave for other routers, each neighbour once:
/// those that lead on from where it entered, but for the routers that have sent it (`trace`).
///
/// A delivery that says it entered here, or at a router that nobody knows, gets no copies.
#[must_use]
pub fn copies(
    route: &Route,
    paths: &Paths,
    windows: &impl Windows,
    priority: u8,
    entry: Option<Entry>,
    trace: &[u16],
) -> Vec<OutLinkKey> {
    if route.routers.is_empty() {
        return Vec::new();
    }
    let entry = match entry {
        None => Entry::Here,
        Some(Entry::Router(router)) => Entry::Router(router),
        Some(Entry::Here | Entry::Unknown) => return Vec::new(),
    };
    let mut chosen = vec![false; paths.neighbors().len()];
    for remote in &route.routers {
        if let Some(path) = paths.to(remote.router)
            && Paths::is_valid(path, entry)
        {
            chosen[usize::from(path.neighbor)] = true;
        }
    }
    let chosen = chosen.into_iter().zip(paths.neighbors());
    let leads_on = |neighbor: &Neighbor| !trace.contains(&neighbor.router);
    chosen
        .filter(|(chosen, neighbor)| *chosen && leads_on(neighbor))
        .filter_map(|(_, neighbor)| windows.pick(neighbor)?.member.link(priority))
        .collect()
}

#[cfg(test)]
mod tests;
