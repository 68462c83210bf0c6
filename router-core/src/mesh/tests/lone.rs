//! One router whose neighbours say what a test wants.

use std::time::Duration;

use amqp_proto::Time;
use bytes::Bytes;

use crate::mesh::engine::Engine;
use crate::mesh::event::MeshEvent;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::names::NeighborLink;
use crate::mesh::state::MeshSettings;
use crate::mesh::write::Writer;

pub(super) const TO_B: NeighborLink = NeighborLink(1);
pub(super) const TO_C: NeighborLink = NeighborLink(2);

/// Router `A`, whose neighbours say what the test wants.
pub(super) struct Lone {
    pub(super) engine: Engine,
    pub(super) now: Time,
    pub(super) events: Vec<MeshEvent>,
    pub(super) sent: Vec<(NeighborLink, Bytes)>,
}

impl Lone {
    pub(super) fn new() -> Self {
        let mut lone = Self::named("A");
        lone.engine.link_up(TO_B, 1, lone.now);
        lone.engine.link_up(TO_C, 1, lone.now);
        lone
    }

    pub(super) fn named(id: &str) -> Self {
        let now = Time::from_millis(1000);
        let engine = Engine::new(MeshSettings::new(id, 100), now);
        Self {
            engine,
            now,
            events: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// With `B` and `C` as neighbours.
    pub(super) fn with_neighbors() -> Self {
        let mut lone = Self::new();
        lone.greet(100, 100);
        for (link, id) in [(TO_B, "B"), (TO_C, "C")] {
            // As the incumbent answers while it has not counted its first neighbour.
            let answer = writer_of(id, 100).link_state("A", 0, [("A", 1)].into_iter());
            lone.hear(link, &answer).unwrap();
        }
        lone.pass(1000);
        lone.take();
        lone
    }

    pub(super) fn greet(&mut self, b: i64, c: i64) {
        self.hear(TO_B, &writer_of("B", b).hello(["A"].into_iter()))
            .unwrap();
        self.hear(TO_C, &writer_of("C", c).hello(["A"].into_iter()))
            .unwrap();
    }

    pub(super) fn hear(&mut self, link: NeighborLink, payload: &[u8]) -> Result<(), Misdeed> {
        let result = self.engine.received(link, payload, self.now);
        result.map_err(|refused| {
            assert_eq!(refused.link, link);
            refused.why
        })
    }

    /// Lets time pass, and neighbours say hello all the while.
    pub(super) fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while self.now < end {
            self.now = self.now + Duration::from_millis(100);
            self.engine.tick(self.now);
            if self.now.as_nanos().is_multiple_of(1_000_000_000) {
                self.greet(100, 100);
            }
        }
    }

    /// Forgets what was sent and told so far, and gives the events.
    pub(super) fn take(&mut self) -> Vec<MeshEvent> {
        let mut events = std::mem::take(&mut self.events);
        events.extend(std::iter::from_fn(|| self.engine.poll_event()));
        let sent = std::iter::from_fn(|| self.engine.poll_output());
        self.sent = sent.map(|of| (of.link, of.message)).collect();
        events
    }

    /// Operations sent on a link since the last time.
    pub(super) fn sent(&mut self, link: NeighborLink) -> Vec<&'static str> {
        self.take();
        let on_link = self.sent.iter().filter(|(to, _)| *to == link);
        on_link.map(|(_, payload)| opcode(payload)).collect()
    }

    pub(super) fn mapped(&mut self) -> Vec<String> {
        let events = self.take();
        let texts = events.iter().filter_map(|event| match event {
            MeshEvent::Mapped { key, .. } => Some(format!("+{key}")),
            MeshEvent::Unmapped { key, .. } => Some(format!("-{key}")),
            _ => None,
        });
        texts.collect()
    }
}

pub(super) fn writer_of(id: &str, instance: i64) -> Writer {
    Writer::new(id, instance)
}

pub(super) fn b() -> Writer {
    writer_of("B", 100)
}

pub(super) fn opcode(payload: &[u8]) -> &'static str {
    let opcodes = ["HELLO", "RA", "LSR", "LSU", "MAR", "MAU"];
    let is = |opcode: &&&str| {
        let mut text = vec![0xa1, u8::try_from(opcode.len()).unwrap()];
        text.extend(opcode.bytes());
        payload.windows(text.len()).any(|window| *window == text)
    };
    opcodes.iter().find(is).unwrap()
}

pub(super) fn replaced(payload: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = payload
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    [&payload[..at], to, &payload[at + from.len()..]].concat()
}
