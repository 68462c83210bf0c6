//! Sockets whose connection is over, until their peer has noticed.
//!
//! A socket that is closed while the peer still sends is reset by the operating system, and the
//! reset may overtake the last words (a Close with its reason). So our side is ended first and what
//! the peer sends is thrown away, for a second at most.

use std::collections::VecDeque;
use std::time::Duration;

use amqp_proto::Time;
use mio::event::Event;
use mio::{Registry, Token};

use crate::socket::Socket;

/// How long a peer may take to end its side.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sockets that are waited for; beyond them, the oldest is closed at once.
const SOCKETS_MAX: usize = 256;

/// Their tokens begin here, far above any index of a connection.
const TOKENS: usize = usize::MAX / 2;

/// The sockets that are waited for.
#[derive(Debug, Default)]
pub(crate) struct Lingering {
    /// In the order in which they came; their places are their numbers less `first`.
    sockets: VecDeque<(Time, Option<Socket>)>,
    /// The number of the first.
    first: usize,
}

impl Lingering {
    /// Takes over a socket after the last byte was written to it.
    pub(crate) fn take(
        &mut self,
        mut socket: Socket,
        registry: &Registry,
        scratch: &mut [u8],
        now: Time,
    ) {
        let token = Token(TOKENS + self.first + self.sockets.len());
        if socket.end(scratch) || socket.watch_as(registry, token).is_err() {
            return;
        }
        if self.sockets.len() == SOCKETS_MAX {
            self.forget_first();
        }
        self.sockets.push_back((now + PATIENCE, Some(socket)));
    }

    /// Throws away what an event tells of; false if the event is not of one of these sockets.
    pub(crate) fn note_ready(&mut self, event: &Event, scratch: &mut [u8]) -> bool {
        let Some(number) = event.token().0.checked_sub(TOKENS) else {
            return false;
        };
        let Some(place) = number.checked_sub(self.first) else {
            return true;
        };
        if let Some((_, entry)) = self.sockets.get_mut(place)
            && let Some(socket) = entry
        {
            socket.note_ready(event);
            if socket.discard(scratch) {
                *entry = None;
            }
        }
        true
    }

    /// Closes the sockets whose time is over.
    pub(crate) fn expire(&mut self, now: Time) {
        while let Some((until, socket)) = self.sockets.front()
            && (*until <= now || socket.is_none())
        {
            self.forget_first();
        }
    }

    /// When [`Lingering::expire`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.sockets.front().map(|&(until, _)| until)
    }

    fn forget_first(&mut self) {
        self.sockets.pop_front();
        self.first += 1;
    }
}
