//! Deadlines of a connection (amqp-1.0 §2.4.5).
//!
//! Owns [`Connection::poll_timeout`] and [`Connection::handle_timeout`]; never reads a clock.
//!
//! Decision: commands carry no time, so the heartbeat looks twice: after half the peer's time-out
//! it sends an empty frame if nothing was written since it last looked, else it looks again after
//! a further half of that half. A peer never waits longer than three quarters of its time-out.

use std::time::Duration;

use crate::connection::input::HEARTBEAT_MIN;
use crate::connection::phase::Phase;
use crate::connection::state::Connection;
use crate::error::{ConnectionError, Violation};
use crate::send::SendQueue;
use crate::time::Time;

/// How long we wait for the peer's answer to our Close.
const CLOSE_LINGER: Duration = Duration::from_secs(5);

impl Connection {
    /// When to call [`handle_timeout`](Self::handle_timeout). May be earlier than needed, and
    /// moves with every frame: ask again after each turn, or when it fires.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.phase == Phase::Closed {
            return None;
        }
        self.timers.earliest()
    }

    /// Does what is due.
    ///
    /// # Errors
    /// The connection is over: no Open, no sign of life, or no Close came in time.
    pub fn handle_timeout(
        &mut self,
        now: Time,
        out: &mut SendQueue,
    ) -> Result<(), ConnectionError> {
        self.now = now;
        if self.phase == Phase::Closed {
            return Ok(());
        }
        if self.linger_unset {
            self.linger_unset = false;
            self.timers.linger = Some(now + CLOSE_LINGER);
        }
        if self
            .timers
            .handshake
            .is_some_and(|deadline| deadline <= now)
        {
            return Err(self.give_up(
                Violation::HandshakeTimeout,
                "Timeout waiting for initial handshake",
            ));
        }
        if self.timers.linger.is_some_and(|deadline| deadline <= now) {
            return Err(self.give_up(Violation::CloseTimeout, "Timeout waiting for close"));
        }
        if let Some(after) = self.timers.idle_in
            && self.timers.last_heard + after <= now
        {
            let text = "local-idle-timeout expired";
            let error = ConnectionError::local(Violation::IdleTimeout, text);
            return Err(self.fail(error, out));
        }
        if let (Some(due), Some(interval)) = (self.timers.idle_out, self.heartbeat)
            && due <= now
        {
            let wait = if self.writer.wrote {
                interval / 2
            } else {
                self.writer.empty(out);
                interval
            };
            self.writer.wrote = false;
            self.timers.idle_out = Some(now + wait);
        }
        Ok(())
    }

    /// Shows the peer a sign of life at least this often from now on, whatever it asked for: an
    /// empty frame if nothing else was written (amqp-1.0 §2.4.5).
    pub fn beat(&mut self, interval: Duration) {
        let interval = interval.max(HEARTBEAT_MIN);
        if self.phase == Phase::Opened && self.heartbeat.is_none_or(|known| interval < known) {
            self.heartbeat = Some(interval);
            self.timers.idle_out = Some(self.now + interval);
        }
    }

    /// Ends the connection without a word.
    fn give_up(&mut self, violation: Violation, text: &'static str) -> ConnectionError {
        self.phase = Phase::Closed;
        let mut error = ConnectionError::local(violation, text);
        error.quiet = true;
        error
    }
}
