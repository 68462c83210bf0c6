//! A producer that keeps to credit and window, and sends as much as these let it.

use std::io::ErrorKind;
use std::time::Duration;

use amqp_codec::{Flow, Performative, Transfer};

use super::peer::{Peer, transfer};
use crate::harness::{PATIENCE, Router};

/// A silence after which the router is asked whether it is alive.
const QUIET: Duration = Duration::from_millis(250);

/// So many silences, each followed by a sign of life, and nothing more is expected.
const SILENCES: usize = 3;

/// One link of one peer, on channel 0.
pub(crate) struct Pump {
    pub(crate) peer: Peer,
    handle: u32,
    /// Deliveries begun.
    pub(crate) sent: u32,
    /// Frames sent.
    frames: u32,
    /// Frames sent of the delivery that is not complete.
    begun: usize,
    credit_limit: u32,
    window_limit: u32,
    /// The condition with which the router has detached a link.
    pub(crate) detached: Option<String>,
}

impl Pump {
    /// Takes over a session with a link that was attached just before, with `credit`.
    pub(crate) fn new(peer: Peer, handle: u32) -> Self {
        Self {
            peer,
            handle,
            sent: 0,
            frames: 0,
            begun: 0,
            credit_limit: 250,
            window_limit: 128,
            detached: None,
        }
    }

    /// A producer's only link, of handle 0.
    pub(crate) fn producing(router: &Router, address: &str) -> Self {
        Self::new(Peer::producing(router, address), 0)
    }

    /// The same where its session began with another window than the usual one.
    pub(crate) fn within(mut self, window: u32) -> Self {
        self.window_limit = window;
        self
    }

    /// Sends messages until there is no more credit or window for a while, or `count` are sent.
    pub(crate) fn send(&mut self, message: &[u8], settled: bool, count: u32) {
        let wanted = self.sent + count;
        while self.sent < wanted && (self.sent < self.credit_limit || self.wait()) {
            if self.sent >= self.credit_limit {
                continue;
            }
            let transfer = Transfer {
                settled: Some(settled),
                ..transfer(self.handle, self.sent)
            };
            if !self.parts(&transfer, message.chunks(16_000), false) {
                return;
            }
            self.sent += 1;
        }
    }

    /// Sends the frames of one delivery, or what is left of it; `false` if the window has shut for
    /// good.
    pub(crate) fn parts<'a>(
        &mut self,
        transfer: &Transfer,
        parts: impl Iterator<Item = &'a [u8]>,
        endless: bool,
    ) -> bool {
        let mut parts = parts.skip(self.begun).peekable();
        while let Some(part) = parts.next() {
            let transfer = Transfer {
                more: endless || parts.peek().is_some(),
                ..transfer.clone()
            };
            if !self.frame(&transfer, part) {
                return false;
            }
            self.begun += 1;
        }
        self.begun = 0;
        true
    }

    /// Sends one frame; `false` if the window has shut for good.
    pub(crate) fn frame(&mut self, transfer: &Transfer, part: &[u8]) -> bool {
        while self.frames >= self.window_limit {
            if !self.wait() {
                return false;
            }
        }
        self.peer.transfer(transfer.clone(), part);
        self.frames += 1;
        true
    }

    /// Waits for a frame; `false` if none comes although the router is alive: silence alone may
    /// only say that the router had no processor.
    fn wait(&mut self) -> bool {
        for _ in 0..SILENCES {
            if self.hears() {
                return true;
            }
            let mut heard = Vec::new();
            self.peer.shows_life(|other| heard.push(other.clone()));
            if !heard.is_empty() {
                heard
                    .into_iter()
                    .for_each(|performative| self.note(performative));
                return true;
            }
        }
        false
    }

    /// Whether a frame comes within a moment.
    fn hears(&mut self) -> bool {
        self.peer.stream.set_read_timeout(Some(QUIET)).unwrap();
        let waited = self.peer.try_next();
        self.peer.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match waited {
            Ok(Some((_, performative, _))) => self.note(performative),
            Ok(None) => panic!("the end"),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(error) => panic!("{error}"),
        }
        true
    }

    fn note(&mut self, performative: Performative) {
        match performative {
            Performative::Flow(flow) => self.take(&flow),
            Performative::Disposition(_) | Performative::Transfer(_) => {}
            Performative::Detach(detach) => {
                self.detached = detach.error.map(|error| error.condition.to_string());
            }
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self, flow: &Flow) {
        self.window_limit = flow.next_incoming_id.unwrap() + flow.incoming_window;
        if flow.handle.is_some() {
            self.credit_limit = flow.delivery_count.unwrap() + flow.link_credit.unwrap();
        }
    }
}
