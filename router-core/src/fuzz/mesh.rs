//! Hostile neighbours of a router, and an honest one that comes after them.
//!
//! Owns the script and what must hold. Decision: the engine's own events are held against each
//! other, since whoever reads them makes tables of them and trusts that they agree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use amqp_codec::message;
use amqp_proto::Time;
use bytes::Bytes;

use crate::ids::{AddressKey, Opener};
use crate::mesh::{Engine, MeshEvent, MeshSettings, NeighborLink};
use crate::route::Treatment;

/// The link of the neighbour that comes last.
const HONEST: NeighborLink = NeighborLink(100);
/// Its address.
const ADDRESS: &str = "M0honest";
/// How long it has: forged numbers are believed for a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does what the script says, and then looks whether all is well.
pub(super) fn attack(data: &[u8]) {
    let mut victim = Victim::new();
    let mut script = data;
    while let Some((&act, rest)) = script.split_first() {
        script = victim.perform(act, rest);
        victim.drain();
    }
    for link in 0..4 {
        victim.engine.link_down(NeighborLink(link), victim.now);
    }
    victim.drain();
    assert!(victim.books.neighbors.is_empty(), "no link, no neighbour");
    victim.meet_honest();
}

struct Victim {
    engine: Engine,
    now: Time,
    up: BTreeSet<NeighborLink>,
    books: Books,
}

/// What the engine has told.
#[derive(Default)]
struct Books {
    routers: BTreeMap<u16, Arc<str>>,
    mapped: BTreeSet<(u16, AddressKey)>,
    neighbors: BTreeMap<Arc<str>, NeighborLink>,
}

/// Who opened a connection; without a name it may be anybody.
fn opener(container: &str, is_kin: bool) -> Opener {
    Opener {
        container: container.into(),
        is_product: !container.is_empty(),
        is_kin,
    }
}

impl Victim {
    fn new() -> Self {
        let now = Time::from_millis(1000);
        Self {
            engine: Engine::new(MeshSettings::new("A", 1), now),
            now,
            up: BTreeSet::new(),
            books: Books::default(),
        }
    }

    /// One act; gives what follows it in the script.
    fn perform<'a>(&mut self, act: u8, script: &'a [u8]) -> &'a [u8] {
        let link = NeighborLink(u64::from(act & 3));
        match act >> 4 {
            0..8 => {
                let (length, rest) = script.split_first_chunk().unwrap_or((&[0; 2], &[]));
                let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
                let (payload, rest) = rest.split_at(length);
                self.engine.received(link, payload, self.now).ok();
                return rest;
            }
            8 => self.pass(Duration::from_millis(250) * u32::from(act & 15)),
            9 if self.up.insert(link) => {
                self.engine.link_up(link, u32::from(act >> 2 & 3), self.now);
                self.engine.opened_by(link, opener("", act & 64 == 0));
            }
            10 => {
                self.up.remove(&link);
                self.engine.link_down(link, self.now);
            }
            11 => {
                let key: AddressKey = format!("M0own{}", act & 3).into();
                let present = act & 4 == 0;
                let hint = Treatment::AnycastClosest;
                self.engine.local_address(&key, hint, present, self.now);
            }
            _ => {}
        }
        script
    }

    /// Ticks whenever the engine asks for it.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.engine.next_deadline()
            && next <= end
        {
            self.now = self.now.max(next);
            self.engine.tick(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// What the engine sends is a message; what it tells agrees with what it told before.
    fn drain(&mut self) -> Vec<(NeighborLink, Bytes)> {
        while let Some(event) = self.engine.poll_event() {
            self.books.enter(event);
        }
        let sent = std::iter::from_fn(|| self.engine.poll_output());
        let sent: Vec<_> = sent.map(|of| (of.link, of.message)).collect();
        for (_, payload) in &sent {
            assert!(!payload.is_empty(), "an empty message");
            let scanned = message::scan_one(payload, message::Depth::ApplicationProperties);
            assert!(scanned.is_ok(), "not a message: {payload:x?}");
        }
        sent
    }

    /// An honest neighbour is known after a while, whatever was said in its name before.
    fn meet_honest(&mut self) {
        let settings = MeshSettings::new("honest", 2);
        let mut honest = Engine::new(settings, self.now);
        let key = ADDRESS.into();
        honest.local_address(&key, Treatment::Multicast, true, self.now);
        honest.link_up(HONEST, 1, self.now);
        honest.opened_by(HONEST, opener("A", true));
        self.engine.link_up(HONEST, 1, self.now);
        self.engine.opened_by(HONEST, opener("honest", true));
        let end = self.now + PATIENCE;
        while self.now < end {
            for (link, payload) in self.drain() {
                if link == HONEST {
                    honest.received(HONEST, &payload, self.now).ok();
                }
            }
            while let Some(said) = honest.poll_output() {
                self.engine.received(HONEST, &said.message, self.now).ok();
            }
            self.now = self.now + Duration::from_millis(50);
            honest.tick(self.now);
            self.engine.tick(self.now);
        }
        self.drain();
        let paths = self.engine.paths();
        let index = paths.index("honest").expect("it is known");
        let link = paths.router(index).and_then(|path| path.link);
        assert_eq!(link, Some(HONEST), "it is reached");
        let mapped = self.books.mapped.contains(&(index.0, ADDRESS.into()));
        assert!(mapped, "its address is known");
    }
}

impl Books {
    fn enter(&mut self, event: MeshEvent) {
        match event {
            MeshEvent::RouterAdded { index, id } => {
                assert!(
                    self.routers.insert(index.0, id).is_none(),
                    "a number given twice"
                );
            }
            MeshEvent::RouterLost { index, id } => {
                assert_eq!(
                    self.routers.remove(&index.0),
                    Some(id),
                    "a router lost twice"
                );
                let left = self.mapped.iter().any(|(router, _)| *router == index.0);
                assert!(!left, "addresses of a router that is lost");
            }
            MeshEvent::Mapped { router, key, .. } => {
                assert!(self.routers.contains_key(&router.0), "mapped to nobody");
                assert!(self.mapped.insert((router.0, key)), "mapped twice");
            }
            MeshEvent::Unmapped { router, key } => {
                assert!(self.mapped.remove(&(router.0, key)), "unmapped twice");
            }
            MeshEvent::NeighborUp { link, id } => {
                assert!(self.neighbors.insert(id, link).is_none(), "up twice");
            }
            MeshEvent::NeighborMoved { link, id } => {
                assert!(
                    self.neighbors.insert(id, link).is_some(),
                    "moved while down"
                );
            }
            MeshEvent::NeighborDown { link, id } => {
                assert_eq!(self.neighbors.remove(&id), Some(link), "down twice");
            }
            MeshEvent::PathsChanged
            | MeshEvent::Flux { .. }
            | MeshEvent::Restarted { .. }
            | MeshEvent::NeighborHeld { .. }
            | MeshEvent::Untold { .. }
            | MeshEvent::Misbehaved { .. } => {}
        }
    }
}
