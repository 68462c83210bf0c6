//! Neighbours: who is at the other end of each connection, and whether we see each other.
//!
//! ```text
//!            hello            hello that names us
//!  unknown ─────────▶ heard ──────────────────────▶ neighbour
//!     ▲                 │                               │
//!     └─────────────────┴───────── silence, loss ───────┘
//! ```
//!
//! Owns links and neighbours. It sends nothing. Decision: of several connections to one neighbour
//! one counts, and hello is said on that one only, so that the neighbour chooses the same: the
//! router with the lower id holds on to its choice, the other one follows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::Time;

use crate::ids::Opener;
use crate::limits;
use crate::mesh::damp::{Bucket, Flaps};
use crate::mesh::misdeed::Misdeed;
use crate::mesh::names::NeighborLink;

/// Hellos in a row on another connection only, after which a router with the higher id follows. Two
/// may come in a row from a neighbour that says hello on both, if they overtake each other.
const PATIENCE: u32 = 3;

/// What became of a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Up {
        link: NeighborLink,
        id: Arc<str>,
    },
    Moved {
        link: NeighborLink,
        id: Arc<str>,
    },
    Down {
        link: NeighborLink,
        id: Arc<str>,
    },
    /// Lost so many times in a row, and therefore not believed to be back for so long.
    Held {
        id: Arc<str>,
        losses: u32,
        hold: Duration,
    },
}

/// The control links of one connection.
#[derive(Debug)]
pub(super) struct Link {
    cost: u32,
    /// Who opened the connection, if that is known.
    pub(super) opener: Option<Opener>,
    heard: Option<Heard>,
    pub(super) meter: Meter,
}

/// What may still come in by a connection, and what was wrong with what came. It outlives the
/// control links, which whoever is at the other end can make anew at will.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) messages: Bucket,
    pub(super) hellos: Bucket,
    /// What may be asked by it.
    pub(super) questions: Bucket,
    /// How many routers whoever is there may be told of.
    pub(super) told: Bucket,
    pub(super) report: Report,
}

impl Meter {
    fn new() -> Self {
        let report = Report {
            next: Time::ZERO,
            wait: Duration::ZERO,
            more: 0,
        };
        Self {
            messages: Bucket::new(limits::MESH_MESSAGES_PER_SECOND),
            hellos: Bucket::new(limits::MESH_HELLOS_PER_SECOND),
            questions: Bucket::new(limits::MESH_QUESTIONS_PER_SECOND),
            told: Bucket::new(limits::MESH_TOLD_PER_SECOND),
            report,
        }
    }

    /// Whether a new one would say the same.
    fn is_even(&self, now: Time) -> bool {
        let buckets = [&self.messages, &self.hellos, &self.questions, &self.told];
        buckets.iter().all(|bucket| bucket.is_full(now)) && self.report.next <= now
    }
}

/// Who is at the other end.
#[derive(Debug)]
struct Heard {
    id: Arc<str>,
    instance: Option<i64>,
    at: Time,
    /// When it last said that it sees us, and which link this was in the order of first times.
    confirmed: Option<(Time, u64)>,
    /// Hellos in a row on this link, and none on the one that leads to the neighbour, since that
    /// one had its so-manieth.
    ahead: (u32, u64),
}

/// How often the misdeeds on a link are reported.
#[derive(Debug)]
pub(super) struct Report {
    next: Time,
    wait: Duration,
    more: u64,
}

impl Report {
    /// Counts a misdeed; if it is to be reported, how many were not.
    pub(super) fn count(&mut self, now: Time) -> Option<u64> {
        if now < self.next {
            self.more += 1;
            return None;
        }
        let quiet = now > self.next + self.wait;
        self.wait = if quiet {
            limits::MESH_REPORT_INTERVAL
        } else {
            (self.wait * 2).min(limits::MESH_REPORT_INTERVAL * 64)
        };
        self.next = now + self.wait;
        Some(std::mem::take(&mut self.more))
    }
}

#[derive(Debug)]
struct Neighbor {
    link: NeighborLink,
    /// Hellos on this link.
    hellos: u64,
}

/// All links and neighbours.
#[derive(Debug)]
pub(super) struct Links {
    own: Arc<str>,
    max_age: Duration,
    /// Hellos elsewhere after which a router with the lower id gives up its choice.
    obstinacy: u32,
    links: BTreeMap<NeighborLink, Link>,
    /// Those of links that are gone, which may come back.
    meters: BTreeMap<NeighborLink, Meter>,
    neighbors: BTreeMap<Arc<str>, Neighbor>,
    /// How many links were ever confirmed.
    confirmations: u64,
    flaps: Flaps,
}

impl Links {
    pub(super) fn new(own: &Arc<str>, interval: Duration, max_age: Duration) -> Self {
        let beats = max_age.as_nanos() * 2 / interval.as_nanos().max(1);
        Self {
            own: Arc::clone(own),
            max_age,
            obstinacy: u32::try_from(beats).unwrap_or(u32::MAX).max(PATIENCE),
            links: BTreeMap::new(),
            meters: BTreeMap::new(),
            neighbors: BTreeMap::new(),
            confirmations: 0,
            flaps: Flaps::default(),
        }
    }

    /// A connection has its control links.
    pub(super) fn open(&mut self, link: NeighborLink, cost: u32) {
        let link_state = Link {
            cost: cost.min(limits::MESH_COST),
            opener: None,
            heard: None,
            meter: self.meters.remove(&link).unwrap_or_else(Meter::new),
        };
        self.links.insert(link, link_state);
    }

    /// A connection has lost them.
    pub(super) fn close(&mut self, link: NeighborLink, now: Time) -> Vec<Turn> {
        let Some(state) = self.links.remove(&link) else {
            return Vec::new();
        };
        if self.meters.len() < limits::MESH_METERS {
            self.meters.insert(link, state.meter);
        }
        self.leave(link, now)
    }

    /// Forgets what connections that are gone have sent and done, as soon as that makes no
    /// difference.
    pub(super) fn tidy_up(&mut self, now: Time) {
        self.meters.retain(|_, meter| !meter.is_even(now));
    }

    pub(super) fn get(&self, link: NeighborLink) -> Option<&Link> {
        self.links.get(&link)
    }

    pub(super) fn get_mut(&mut self, link: NeighborLink) -> Option<&mut Link> {
        self.links.get_mut(&link)
    }

    /// Who has opened the connection of a link, if that is known.
    pub(super) fn opener(&self, link: NeighborLink) -> Option<&Opener> {
        self.links.get(&link)?.opener.as_ref()
    }

    /// Who is at the other end of a link.
    pub(super) fn heard_on(&self, link: NeighborLink) -> Option<&Arc<str>> {
        let heard = self.links.get(&link)?.heard.as_ref();
        heard.map(|heard| &heard.id)
    }

    /// Who is at the other end of any link.
    pub(super) fn heard(&self) -> impl Iterator<Item = &Arc<str>> {
        let heard = self.links.values().filter_map(|link| link.heard.as_ref());
        heard.map(|heard| &heard.id)
    }

    /// The link that leads to a neighbour.
    pub(super) fn to(&self, id: &str) -> Option<NeighborLink> {
        self.neighbors.get(id).map(|neighbor| neighbor.link)
    }

    /// A link on which a router is heard that may not see us yet.
    pub(super) fn towards(&self, id: &str) -> Option<NeighborLink> {
        let mut heard = self.links.iter().filter_map(|(link, state)| {
            let heard = state.heard.as_ref()?;
            (*heard.id == *id).then_some(*link)
        });
        self.to(id).or_else(|| heard.next())
    }

    /// The neighbours in the order of their ids, each with its link.
    pub(super) fn neighbors(&self) -> impl Iterator<Item = (&Arc<str>, NeighborLink)> {
        self.neighbors
            .iter()
            .map(|(id, neighbor)| (id, neighbor.link))
    }

    /// The neighbours in the order of their ids, each with the cost of its connection.
    pub(super) fn costs(&self) -> impl Iterator<Item = (&Arc<str>, u32)> {
        self.neighbors().map(|(id, link)| {
            let cost = self.links.get(&link).map_or(1, |state| state.cost);
            (id, cost)
        })
    }

    /// The ids that are heard, in their order. One that is not believed to be back is not among
    /// them, so that it does not believe in this router either.
    pub(super) fn seen(&self, now: Time) -> BTreeSet<&str> {
        let heard = self.links.values().filter_map(|state| state.heard.as_ref());
        let heard = heard.filter(|heard| self.is_fresh(heard.at, now));
        let heard = heard.filter(|heard| !self.flaps.holds(&heard.id, now));
        heard.map(|heard| heard.id.as_ref()).collect()
    }

    /// The links on which hello is said: not on a second connection to a neighbour.
    pub(super) fn greeted(&self) -> impl Iterator<Item = NeighborLink> {
        let links = self.links.iter().filter(|(link, state)| {
            let heard = state.heard.as_ref();
            heard
                .and_then(|heard| self.to(&heard.id))
                .is_none_or(|to| to == **link)
        });
        links.map(|(link, _)| *link)
    }

    /// Whether a hello of this router and life would be believed on this link.
    pub(super) fn check(
        &self,
        link: NeighborLink,
        id: &str,
        instance: Option<i64>,
        now: Time,
    ) -> Result<(), Misdeed> {
        let state = self.links.get(&link).ok_or(Misdeed::UnknownLink)?;
        let is_other = |heard: &Heard| *heard.id != *id || heard.instance != instance;
        if let Some(heard) = &state.heard
            && is_other(heard)
            && self.is_fresh(heard.at, now)
        {
            return Err(Misdeed::Identity { id: id.into() });
        }
        if self.to(id).is_none_or(|to| to == link) {
            return Ok(());
        }
        let others = self.links.iter().filter(|(other, _)| **other != link);
        let mut others = others.filter_map(|(_, state)| state.heard.as_ref());
        let twin = others.any(|heard| {
            let alive = heard
                .confirmed
                .is_some_and(|(at, _)| self.is_fresh(at, now));
            *heard.id == *id && heard.instance != instance && alive
        });
        if twin {
            return Err(Misdeed::Duplicate { id: id.into() });
        }
        Ok(())
    }

    /// Takes a hello that was checked; whether this router was not heard on the link before, and
    /// what became of neighbours.
    pub(super) fn hear(
        &mut self,
        link: NeighborLink,
        id: &str,
        instance: Option<i64>,
        sees_us: bool,
        now: Time,
    ) -> (bool, Vec<Turn>) {
        let mut turns = Vec::new();
        let max_age = self.max_age;
        let Some(state) = self.links.get_mut(&link) else {
            return (false, turns);
        };
        let known = state.heard.as_mut().filter(|heard| *heard.id == *id);
        let fresh = known
            .as_ref()
            .is_some_and(|heard| now.saturating_sub(heard.at) <= max_age);
        match known {
            Some(heard) => {
                heard.at = now;
                heard.instance = instance;
            }
            None => {
                let heard = Heard {
                    id: id.into(),
                    instance,
                    at: now,
                    confirmed: None,
                    ahead: (0, 0),
                };
                if state.heard.replace(heard).is_some() {
                    turns.extend(self.leave(link, now));
                }
            }
        }
        if sees_us && !self.flaps.holds(id, now) {
            turns.extend(self.confirm(link, now));
        }
        (!fresh, turns)
    }

    /// A long message is coming in, and the hellos behind it cannot: whoever was here still is.
    pub(super) fn arriving(&mut self, link: NeighborLink, now: Time) {
        let max_age = self.max_age;
        let is_fresh = |at: Time| now.saturating_sub(at) <= max_age;
        let state = self.links.get_mut(&link);
        let Some(heard) = state.and_then(|state| state.heard.as_mut()) else {
            return;
        };
        if is_fresh(heard.at) {
            heard.at = now;
        }
        if let Some((at, _)) = &mut heard.confirmed
            && is_fresh(*at)
        {
            *at = now;
        }
    }

    fn confirm(&mut self, link: NeighborLink, now: Time) -> Option<Turn> {
        let heard = self.links.get_mut(&link)?.heard.as_mut()?;
        let order = heard
            .confirmed
            .map_or(self.confirmations, |(_, order)| order);
        heard.confirmed = Some((now, order));
        self.confirmations += 1;
        let id = Arc::clone(&heard.id);
        let patience = if self.own < id {
            self.obstinacy
        } else {
            PATIENCE
        };
        let Some(neighbor) = self.neighbors.get_mut(&id) else {
            self.neighbors
                .insert(Arc::clone(&id), Neighbor { link, hellos: 0 });
            return Some(Turn::Up { link, id });
        };
        if neighbor.link == link {
            neighbor.hellos += 1;
            return None;
        }
        let (ahead, since) = heard.ahead;
        let ahead = if since == neighbor.hellos {
            ahead + 1
        } else {
            1
        };
        heard.ahead = (ahead, neighbor.hellos);
        if ahead < patience {
            return None;
        }
        let hellos = neighbor.hellos + 1;
        *neighbor = Neighbor { link, hellos };
        Some(Turn::Moved { link, id })
    }

    /// Gives up neighbours that were not heard for too long. Who they were on each link is kept: on
    /// a second connection neither side says hello.
    pub(super) fn expire(&mut self, now: Time) -> Vec<Turn> {
        let heard = self.links.values().filter_map(|state| state.heard.as_ref());
        let alive = heard.filter(|heard| {
            heard
                .confirmed
                .is_some_and(|(at, _)| self.is_fresh(at, now))
        });
        let alive: BTreeSet<Arc<str>> = alive.map(|heard| Arc::clone(&heard.id)).collect();
        let neighbors = self.neighbors.iter();
        let dead = neighbors.filter(|(id, _)| !alive.contains(*id));
        let dead: Vec<_> = dead
            .map(|(id, neighbor)| (Arc::clone(id), neighbor.link))
            .collect();
        let dead = dead.into_iter();
        dead.flat_map(|(id, link)| self.lose(id, link, now))
            .collect()
    }

    /// A neighbour is one no more.
    fn lose(&mut self, id: Arc<str>, link: NeighborLink, now: Time) -> Vec<Turn> {
        self.neighbors.remove(&id);
        let held = self.flaps.lost(&id, now).map(|(losses, hold)| Turn::Held {
            id: Arc::clone(&id),
            losses,
            hold,
        });
        let mut turns = vec![Turn::Down { link, id }];
        turns.extend(held);
        turns
    }

    /// This side has slept for so long: that was not its neighbours' silence.
    pub(super) fn pardon(&mut self, slept: Duration, now: Time) {
        for heard in self.links.values_mut().filter_map(|of| of.heard.as_mut()) {
            heard.at = now.min(heard.at + slept);
            if let Some((at, _)) = &mut heard.confirmed {
                *at = now.min(*at + slept);
            }
        }
    }

    /// A link does not lead to its neighbour any more: the oldest other one does, if there is one.
    fn leave(&mut self, link: NeighborLink, now: Time) -> Vec<Turn> {
        let mut neighbors = self.neighbors.iter();
        let Some((id, _)) = neighbors.find(|(_, neighbor)| neighbor.link == link) else {
            return Vec::new();
        };
        let id = Arc::clone(id);
        let others = self.links.iter().filter_map(|(other, state)| {
            let heard = state.heard.as_ref().filter(|heard| heard.id == id)?;
            let (_, order) = heard.confirmed.filter(|(at, _)| self.is_fresh(*at, now))?;
            (*other != link).then_some((order, *other))
        });
        if let Some((_, other)) = others.min() {
            let hellos = self
                .neighbors
                .get(&id)
                .map_or(0, |neighbor| neighbor.hellos + 1);
            let neighbor = Neighbor {
                link: other,
                hellos,
            };
            self.neighbors.insert(Arc::clone(&id), neighbor);
            return vec![Turn::Moved { link: other, id }];
        }
        self.lose(id, link, now)
    }

    fn is_fresh(&self, at: Time, now: Time) -> bool {
        now.saturating_sub(at) <= self.max_age
    }
}
