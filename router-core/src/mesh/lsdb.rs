//! The routers that are known and what each says of its neighbours.
//!
//! Owns the records, their numbers and their ages. It sends nothing and computes no path. Decision:
//! neighbours are kept by number, and a record counts who names it, so that a router dies exactly
//! when nobody speaks of it any more, without a search through all link states.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::Time;

use crate::limits;
use crate::mesh::damp::Ask;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::mobile::Addresses;
use crate::mesh::names::{NeighborLink, RouterIndex};
use crate::mesh::wire::Wanted;

/// Ticks for which a router that nobody names is kept.
const TICKS_UNNAMED: u8 = 3;

/// What the life of a router from which a message comes says of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It comes from the life that is known.
    Same,
    /// It comes from a new life: what was known counts no more.
    New,
    /// It is the first to say from which life it comes: what was known may be of an earlier one.
    First,
    /// It comes from a life that has just ended, and was on its way for long.
    Past,
}

/// As what a router is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Another names it.
    Named,
    /// It has told all something itself, or answered.
    Speaks,
    /// It is a neighbour.
    Neighbor,
}

/// One router; this one has a record too, which only holds its neighbours.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: Arc<str>,
    /// The version of the protocol that it speaks, once it has spoken.
    pub(super) version: Option<i64>,
    /// Which life of it is known.
    pub(super) instance: Option<i64>,
    /// When that life began, for all we know, and when it last gave a sign.
    born: Time,
    heard: Time,
    /// There was no way to it since.
    was_lost: bool,
    /// The number of its link state.
    pub(super) sequence: i64,
    /// Its neighbours and what the way to each costs, by their numbers.
    peers: Vec<(u16, u32)>,
    /// When its link state was last confirmed.
    last_seen: Time,
    /// The link that brought its name; `None` for this router.
    by: Option<NeighborLink>,
    /// There was no room for all that its link state names.
    pub(super) is_cut: bool,
    /// How many link states name it.
    named: u32,
    ticks_unnamed: u8,
    /// The number of the link state that it last advertised, if it has.
    advertised: Option<i64>,
    /// Since when it advertises less than it once did.
    behind_since: Option<Time>,
    /// The question for its link state.
    pub(super) ask: Ask,
    /// It has told its link state, so it has heard of this router. An incumbent that has not takes
    /// no question for its addresses, and complains of it in its log.
    knows_us: bool,
    /// Others have told its link state, so it may not have heard of this router.
    is_told_of: bool,
    /// The question for its addresses while it has not said whether it has any: asked but once.
    pub(super) first_look: Ask,
    /// It has asked for our link state.
    pub(super) owed_link_state: Ask,
    /// It has asked for our addresses.
    pub(super) owed_addresses: Ask,
    pub(super) addresses: Addresses,
}

impl Node {
    fn new(id: Arc<str>, by: Option<NeighborLink>, now: Time) -> Self {
        let mut ask = Ask::default();
        ask.want();
        // Its link state is often on its way already.
        ask.wait(now + limits::MESH_ASK_PATIENCE);
        let mut addresses = Addresses::default();
        addresses.ask.wait(now + limits::MESH_ASK_PATIENCE);
        Self {
            id,
            version: None,
            instance: None,
            born: now,
            heard: now,
            was_lost: false,
            sequence: 0,
            peers: Vec::new(),
            last_seen: now,
            by,
            is_cut: false,
            named: 0,
            ticks_unnamed: 0,
            advertised: None,
            behind_since: None,
            ask,
            knows_us: false,
            is_told_of: false,
            first_look: Ask::default(),
            owed_link_state: Ask::default(),
            owed_addresses: Ask::default(),
            addresses,
        }
    }

    /// Its neighbours and what the way to each costs, by their numbers, in their order.
    pub(super) fn peers(&self) -> &[(u16, u32)] {
        &self.peers
    }

    /// The link that brought its name; `None` for this router.
    pub(super) fn introduced_by(&self) -> Option<NeighborLink> {
        self.by
    }

    /// Whether it says that another is its neighbour.
    pub(super) fn names(&self, other: u16) -> bool {
        let place = self.peers.binary_search_by_key(&other, |(peer, _)| *peer);
        place.is_ok()
    }

    /// Judges the life from which a message comes. `direct` is a message from a neighbour itself;
    /// `alive` means that it is a neighbour and the known life is heard.
    ///
    /// A later life is believed, an earlier one only when the later has been silent for a while:
    /// two routers of one name would otherwise flush each other's records all the time.
    pub(super) fn begins_life(
        &mut self,
        instance: Option<i64>,
        direct: bool,
        alive: bool,
        now: Time,
    ) -> Result<Life, Misdeed> {
        let (Some(new), Some(known)) = (instance, self.instance) else {
            let is_first = self.instance.is_none() && instance.is_some();
            self.instance = self.instance.or(instance);
            self.hear(now);
            return Ok(if is_first { Life::First } else { Life::Same });
        };
        if new == known {
            self.hear(now);
            return Ok(Life::Same);
        }
        let is_young = now.saturating_sub(self.born) < limits::MESH_REWIND;
        if !direct && new < known && is_young {
            return Ok(Life::Past);
        }
        let silent = now.saturating_sub(self.heard) >= limits::MESH_REWIND;
        if !direct && (alive || (new < known && !silent)) {
            return Err(Misdeed::OtherLife {
                id: Arc::clone(&self.id),
            });
        }
        self.instance = Some(new);
        self.born = now;
        self.hear(now);
        Ok(Life::New)
    }

    fn hear(&mut self, now: Time) {
        self.heard = now;
        self.was_lost = false;
    }

    /// There is no way to it.
    pub(super) fn lose(&mut self) {
        self.was_lost = true;
    }

    /// Whether the life that is known may have ended: it could not be heard, or was not for long.
    pub(super) fn may_be_over(&self, max_age: Duration, now: Time) -> bool {
        self.was_lost || now.saturating_sub(self.heard) >= max_age
    }

    /// It tells its link state. One that has been asked for it and has not advertised what there
    /// is to ask for is asked for its addresses too: its next advertisement may be half a minute
    /// away.
    pub(super) fn tells(&mut self, is_hearsay: bool) {
        if is_hearsay {
            self.is_told_of = true;
            return;
        }
        let is_first = !std::mem::replace(&mut self.knows_us, true);
        if is_first && self.ask.is_asked() && self.advertised.is_none() {
            self.first_look.want();
        }
    }

    /// When to ask for its addresses, as far as its advertisements say that there are others.
    pub(super) fn addresses_due(&self) -> Option<Time> {
        let is_known = self.knows_us || self.is_told_of;
        self.addresses.ask.due().filter(|_| is_known)
    }

    /// The link state that it is asked for.
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            life: self.instance.unwrap_or_default(),
            sequence: self.advertised.unwrap_or_default(),
        }
    }

    /// Whether its link state, and its addresses if it has any, have been heard at all.
    pub(super) fn is_heard(&self) -> bool {
        (self.knows_us || self.is_told_of) && self.addresses.is_heard()
    }

    /// Whether it can be taken to have heard of this router.
    pub(super) fn has_heard_of_us(&self, now: Time) -> bool {
        self.knows_us || self.is_introduced(now)
    }

    /// How far its link state has got, as far as is known.
    pub(super) fn known_of(&self) -> i64 {
        self.sequence.max(self.advertised.unwrap_or_default())
    }

    /// Whether it has been known for so long that it and the others are known to each other.
    pub(super) fn is_introduced(&self, now: Time) -> bool {
        now.saturating_sub(self.born) >= limits::MESH_INTRODUCTION
    }

    /// When it will have been.
    pub(super) fn introduced_at(&self) -> Time {
        self.born + limits::MESH_INTRODUCTION
    }

    /// Whether it may have begun anew without saying so.
    pub(super) fn is_behind(&self) -> bool {
        self.behind_since.is_some()
    }

    fn is_rewound(&mut self, links: i64, addresses: i64, now: Time) -> bool {
        if links >= self.sequence && addresses >= self.addresses.sequence() {
            self.behind_since = None;
            return false;
        }
        let since = *self.behind_since.get_or_insert(now);
        let is_long = now.saturating_sub(since) >= limits::MESH_REWIND;
        if is_long {
            self.behind_since = None;
        }
        is_long
    }

    /// Takes note of the numbers that it advertises, or that another does in its name; whether they
    /// have been lower than those known for so long that they begin anew.
    pub(super) fn advertises(
        &mut self,
        links: i64,
        addresses: i64,
        is_alive: bool,
        now: Time,
    ) -> bool {
        if is_alive {
            self.last_seen = now;
            if self.is_rewound(links, addresses, now) {
                return true;
            }
        }
        if links > self.sequence {
            if self.advertised.is_none_or(|before| before < links) {
                self.ask.hurry();
            }
            self.ask.want();
        } else if links == self.sequence && self.is_cut {
            // There may be room now.
            self.ask.want();
        }
        let is_behind = self.advertised.is_some_and(|before| before > links);
        if is_alive || !is_behind {
            self.advertised = Some(links);
        }
        self.addresses.advertised(addresses);
        false
    }
}

/// All routers.
#[derive(Debug)]
pub(super) struct Nodes {
    slots: Vec<Option<Node>>,
    by_id: BTreeMap<Arc<str>, u16>,
    /// No number below is free.
    first_free: u16,
    /// Numbers that are free but may not be given: not all have heard yet whose they were.
    resting: BTreeSet<u16>,
    /// How many of them each link has brought.
    introduced: BTreeMap<NeighborLink, usize>,
    /// Addresses of all other routers together.
    pub(super) addresses: usize,
}

impl Nodes {
    pub(super) fn new(own: &Arc<str>, now: Time) -> Self {
        let mut node = Node::new(Arc::clone(own), None, now);
        node.ask = Ask::default();
        Self {
            slots: vec![Some(node)],
            by_id: BTreeMap::from([(Arc::clone(own), 0)]),
            first_free: 1,
            resting: BTreeSet::new(),
            introduced: BTreeMap::new(),
            addresses: 0,
        }
    }

    /// The number after the highest that was ever given.
    pub(super) fn size(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn find(&self, id: &str) -> Option<u16> {
        self.by_id.get(id).copied()
    }

    pub(super) fn get(&self, index: u16) -> Option<&Node> {
        self.slots.get(usize::from(index)).and_then(Option::as_ref)
    }

    pub(super) fn get_mut(&mut self, index: u16) -> Option<&mut Node> {
        self.slots
            .get_mut(usize::from(index))
            .and_then(Option::as_mut)
    }

    /// All routers in the order of their ids, this one among them.
    pub(super) fn by_id(&self) -> impl Iterator<Item = (u16, &Node)> + Clone {
        let all = self.by_id.values();
        all.filter_map(|&index| self.get(index).map(|node| (index, node)))
    }

    /// All other routers in the order of their numbers.
    pub(super) fn others(&mut self) -> impl Iterator<Item = (u16, &mut Node)> {
        let numbered = self.slots.iter_mut().zip(0_u16..).skip(1);
        numbered.filter_map(|(slot, index)| slot.as_mut().map(|node| (index, node)))
    }

    /// Whether a link may bring one more.
    pub(super) fn has_room(&self, from: NeighborLink, standing: Standing) -> bool {
        let has_share = self.introduced(from) < limits::MESH_ROUTERS_PER_LINK;
        let has_number = self.resting.len() < limits::MESH_ROUTERS;
        has_number
            && self.by_id.len() <= limits::MESH_ROUTERS
            && (has_share || standing == Standing::Neighbor)
    }

    /// How many routers a link has brought.
    pub(super) fn introduced(&self, by: NeighborLink) -> usize {
        self.introduced.get(&by).copied().unwrap_or_default()
    }

    /// Whether a router and one of its neighbours say that they see each other.
    pub(super) fn is_confirmed(&self, index: u16) -> bool {
        let peers = self.get(index).into_iter().flat_map(Node::peers);
        let mut peers = peers.filter_map(|(peer, _)| self.get(*peer));
        peers.any(|peer| peer.names(index))
    }

    /// The record of a router, and whether it is new. A router that is not known is given the
    /// lowest number that is free.
    pub(super) fn enter(
        &mut self,
        id: &str,
        from: NeighborLink,
        standing: Standing,
        now: Time,
    ) -> Result<(u16, bool), Misdeed> {
        if let Some(index) = self.find(id) {
            return Ok((index, false));
        }
        if id.is_empty() || id.len() > limits::MESH_ID_BYTES {
            return Err(Misdeed::TooLong("id"));
        }
        if !self.has_room(from, standing) {
            return Err(Misdeed::Routers);
        }
        let mut index = self.first_free;
        while self.get(index).is_some() || self.resting.contains(&index) {
            index += 1;
        }
        self.first_free = index + 1;
        let at = usize::from(index);
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, || None);
        }
        let id: Arc<str> = id.into();
        self.by_id.insert(Arc::clone(&id), index);
        self.slots[at] = Some(Node::new(id, Some(from), now));
        *self.introduced.entry(from).or_default() += 1;
        Ok((index, true))
    }

    /// Sets what a router says of its neighbours, in the order of their numbers; whether that is
    /// different from before.
    pub(super) fn set_peers(&mut self, index: u16, peers: Vec<(u16, u32)>) -> bool {
        let Some(node) = self.get_mut(index) else {
            return false;
        };
        if node.peers == peers {
            return false;
        }
        let added: Vec<u16> = peers.iter().map(|(peer, _)| *peer).collect();
        let old = std::mem::replace(&mut node.peers, peers);
        for peer in added {
            if let Some(node) = self.get_mut(peer) {
                node.named += 1;
                node.ticks_unnamed = 0;
            }
        }
        for (peer, _) in old {
            if let Some(node) = self.get_mut(peer) {
                node.named = node.named.saturating_sub(1);
            }
        }
        true
    }

    /// Takes a link state, if it is newer than the one known; whether neighbours changed.
    pub(super) fn take_link_state(
        &mut self,
        index: u16,
        sequence: i64,
        peers: Vec<(u16, u32)>,
        now: Time,
    ) -> bool {
        let Some(node) = self.get_mut(index) else {
            return false;
        };
        node.sequence = sequence;
        node.last_seen = now;
        node.ask.answered(now);
        if node
            .advertised
            .is_some_and(|advertised| advertised > sequence)
        {
            node.ask.want();
        }
        self.set_peers(index, peers)
    }

    /// Forgets what a router said of its neighbours; it must be asked anew. Whether it had any.
    pub(super) fn forget_link_state(&mut self, index: u16) -> bool {
        if let Some(node) = self.get_mut(index) {
            node.sequence = 0;
            node.knows_us = false;
            node.is_told_of = false;
            node.first_look = Ask::default();
            node.advertised = None;
            node.ask.retry();
            node.ask.want();
        }
        self.set_peers(index, Vec::new())
    }

    /// This side has slept for so long: what nobody confirmed meanwhile is no older for that.
    pub(super) fn pardon(&mut self, slept: Duration, now: Time) {
        for (_, node) in self.others() {
            node.last_seen = now.min(node.last_seen + slept);
        }
    }

    /// Forgets the link states that were not confirmed for too long; whether there were any.
    pub(super) fn expire(&mut self, max_age: Duration, now: Time) -> bool {
        let old = self.others().filter(|(_, node)| {
            !node.peers.is_empty() && now.saturating_sub(node.last_seen) > max_age
        });
        let old: Vec<u16> = old.map(|(index, _)| index).collect();
        for index in &old {
            self.set_peers(*index, Vec::new());
            if let Some(node) = self.get_mut(*index) {
                node.sequence = 0;
                node.knows_us = false;
                node.is_told_of = false;
            }
        }
        !old.is_empty()
    }

    /// The routers that have neither neighbours nor anybody who names them, for the third tick in a
    /// row; they leave the table.
    pub(super) fn bury(&mut self) -> Vec<(RouterIndex, Node)> {
        let mut dead = Vec::new();
        for (index, node) in self.others() {
            if node.named > 0 || !node.peers.is_empty() {
                node.ticks_unnamed = 0;
                continue;
            }
            node.ticks_unnamed += 1;
            if node.ticks_unnamed >= TICKS_UNNAMED {
                dead.push(index);
            }
        }
        self.remove(dead)
    }

    /// Routers leave the table, whoever names them. Those who did have to be asked again.
    pub(super) fn evict(&mut self, mut leaving: Vec<u16>) -> Vec<(RouterIndex, Node)> {
        leaving.sort_unstable();
        for &index in &leaving {
            self.set_peers(index, Vec::new());
        }
        for node in self.slots.iter_mut().flatten() {
            let before = node.peers.len();
            node.peers
                .retain(|(peer, _)| leaving.binary_search(peer).is_err());
            node.is_cut |= node.peers.len() < before;
        }
        self.remove(leaving)
    }

    /// All have heard of all that has happened: the numbers of those who left may be given again.
    pub(super) fn release(&mut self) {
        if let Some(&lowest) = self.resting.first() {
            self.first_free = self.first_free.min(lowest);
            self.resting.clear();
        }
    }

    fn remove(&mut self, leaving: Vec<u16>) -> Vec<(RouterIndex, Node)> {
        let mut removed = Vec::new();
        for index in leaving {
            let Some(node) = self.slots[usize::from(index)].take() else {
                continue;
            };
            self.by_id.remove(&node.id);
            self.resting.insert(index);
            self.addresses = self.addresses.saturating_sub(node.addresses.len());
            if let Some(by) = node.by
                && let Some(count) = self.introduced.get_mut(&by)
            {
                *count -= 1;
                if *count == 0 {
                    self.introduced.remove(&by);
                }
            }
            removed.push((RouterIndex(index), node));
        }
        removed
    }
}
