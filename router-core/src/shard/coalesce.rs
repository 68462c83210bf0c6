//! The end of a turn, for each connection that was touched: credit, dispositions, session windows,
//! traced frames, timers; then limits of pipes.
//!
//! A flow goes before the dispositions of its turn: a producer that hears an outcome may send again
//! at once. What is pending is state, not frames: a peer that does not read costs nothing more.

use std::sync::Arc;

use amqp_proto::Time;

use super::conn::{Conn, Fault, Leaving, Phase};
use super::fallback::has_open_fallback;
use super::link::{InLink, InTarget};
use super::state::Shard;
use crate::ids::{ConnKey, InLinkKey};
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::Mail;
use crate::notice::Notice;
use crate::route::Route;

impl Shard {
    /// Looks after the touched connections, then tells other shards their limits.
    pub(super) fn coalesce(&mut self, now: Time) {
        self.tell_left();
        let touched = std::mem::take(&mut self.touched);
        for &key in &touched {
            self.finish_connection(key, now);
        }
        let mut touched = touched;
        touched.clear();
        if self.touched.is_empty() {
            self.touched = touched;
        }
        for (out, from) in std::mem::take(&mut self.grants) {
            let link = self.out_key(out);
            let Some(entry) = self.out_links.get_mut(out) else {
                continue;
            };
            let Some(pipe) = entry.pipes.iter_mut().find(|pipe| pipe.from == from) else {
                continue;
            };
            let limit = pipe.grant(0);
            self.post(
                from,
                Mail::Window {
                    link,
                    limit,
                    sweep: None,
                },
            );
        }
    }

    fn finish_connection(&mut self, key: ConnKey, now: Time) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.touched = false;
        if conn.phase == Phase::Open {
            if !conn.passing.is_empty() {
                self.pass_waiting(key);
            }
            let Some(conn) = self.conns.get_mut(key) else {
                return;
            };
            // Who does not read what became of its deliveries gets no credit for more of them.
            let stuck = conn.unfinished && conn.output.is_full();
            let mut dirty = std::mem::take(&mut conn.dirty);
            if !stuck {
                for link in dirty.drain(..) {
                    self.refresh_credit(link);
                }
            }
            let Some(conn) = self.conns.get_mut(key) else {
                return;
            };
            if conn.dirty.is_empty() {
                conn.dirty = dirty;
            }
            conn.unfinished = false;
            for place in 0..conn.sessions.len() {
                let session = conn.sessions[place].0;
                conn.unfinished |= conn.engine.flush_dispositions(session, &mut conn.output);
                conn.engine.flush_session(session, &mut conn.output);
            }
        }
        self.trace_frames(key);
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        if conn.phase != Phase::Closing && conn.output.len() > limits::OUTPUT_BYTES {
            self.lose(
                key,
                Some("the peer does not read the answers it asks for".to_owned()),
            );
            return;
        }
        self.start_writing(key);
        self.arm(key, now);
    }

    /// Gives a producer the credit that its link has room for, if that is news enough.
    fn refresh_credit(&mut self, key: InLinkKey) {
        let Some(link) = self.in_links.get_mut(key) else {
            return;
        };
        link.dirty = false;
        let urgent = std::mem::take(&mut link.urgent);
        let Some(conn) = self.conns.get_mut(link.conn) else {
            return;
        };
        let have = conn.engine.credit(link.link);
        match (have, link.zero_since) {
            (0, None) => link.zero_since = Some(self.second),
            (1.., Some(_)) => link.zero_since = None,
            _ => {}
        }
        let reachable = match &link.target {
            // Its credit is the far end's.
            InTarget::Routed(_) => false,
            InTarget::Anonymous { .. } | InTarget::Control => true,
            InTarget::Address { route, key, .. } => {
                let has_way =
                    |route: &Arc<Route>| route.is_reachable(&self.paths) && !route.control_only;
                // Not before there is a record by which to count.
                route.as_ref().is_some_and(has_way)
                    || route.is_some()
                        && !link.fallback
                        && has_open_fallback(key, &self.table, &self.paths, &mut self.text)
            }
        };
        let leaves = self.retiring || matches!(conn.leaving, Leaving::Emptied(_));
        let is_full = link.bytes >= limits::LINK_BYTES
            || link.kind != LinkType::Endpoint
                && conn.engine.unsettled_on(link.link) >= limits::ROUTER_LINK_UNSETTLED;
        if !reachable || leaves || is_full {
            return;
        }
        if conn.unanswered > 0 && link.counters.deliveries == 0 && have == 0 {
            conn.newcomers.insert(key);
            return;
        }
        let want = link.capacity.saturating_sub(link.held);
        if want < have || (want == have && !link.draining) {
            return;
        }
        let grown = want - have;
        let due = urgent || link.draining || grown >= (link.capacity / 2).max(1);
        if due {
            link.draining = false;
            conn.engine
                .set_credit(link.link, want, false, &mut conn.output);
            link.zero_since = None;
        } else if !link.slow {
            link.slow = true;
            self.slow.insert(key);
        }
    }

    /// A consumer's link has got its answer, or has gone without. With the last of them new
    /// producers of the connection get their credit: what a client attaches together is there when
    /// it may send, so that it does not ask for an answer to a node that it does not know yet.
    pub(super) fn consumer_answered(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.unanswered = conn.unanswered.saturating_sub(1);
        if conn.unanswered > 0 {
            return;
        }
        for link in std::mem::take(&mut conn.newcomers) {
            self.mark_credit(link, true);
        }
    }

    /// Asks a producer whose address has no consumer to give its credit back.
    pub(super) fn ask_to_drain(&mut self, key: InLinkKey) {
        let Some(link) = self.in_links.get_mut(key) else {
            return;
        };
        if std::mem::replace(&mut link.draining, true) {
            return;
        }
        if let Some(conn) = self.conns.get_mut(link.conn) {
            let have = conn.engine.credit(link.link);
            conn.engine
                .set_credit(link.link, have, true, &mut conn.output);
        }
        let conn = link.conn;
        self.touch(conn);
    }

    /// Has every producer give its credit back: the program is about to end. Requests to management
    /// go on.
    pub(super) fn retire(&mut self) {
        self.retiring = true;
        let addressed =
            |link: &InLink| !matches!(link.target, InTarget::Control | InTarget::Routed(_));
        let keys: Vec<InLinkKey> = self
            .in_links
            .iter()
            .filter(|(_, link)| addressed(link))
            .map(|(key, _)| InLinkKey(key))
            .collect();
        for key in keys {
            self.ask_to_drain(key);
        }
    }

    /// Turns tapped frames into notices.
    fn trace_frames(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        while let Some(frame) = conn.engine.poll_tap() {
            self.notices.push(Notice::Frame {
                connection: conn.id,
                frame: Box::new(frame),
            });
        }
    }

    /// Puts a connection's earliest deadline into the wheel; one that only moves later stays.
    pub(super) fn arm(&mut self, key: ConnKey, now: Time) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let deadline = match conn.phase {
            Phase::Closing => Some(*conn.linger.get_or_insert(now + limits::CLOSE_LINGER)),
            Phase::Opening | Phase::Open => {
                let silence = conn.vigil.deadline().filter(|_| !conn.paused);
                let silence = silence.map(|at| at + self.clock.asleep);
                [conn.engine.poll_timeout(), silence]
                    .into_iter()
                    .flatten()
                    .min()
            }
        };
        let Some(deadline) = deadline else { return };
        if conn.armed.is_none_or(|armed| deadline < armed) {
            conn.armed = Some(deadline);
            self.wheel.schedule(key, deadline);
        }
    }

    /// Timers that are due, and what waits for a second to be over.
    pub(super) fn run_timers(&mut self, now: Time) {
        let mut due = Vec::new();
        self.wheel.expired(now, &mut due);
        for key in due {
            self.connection_timer(key, now);
        }
        if self.clock.ticked < self.second {
            self.clock.ticked = self.second;
            self.scrub();
            self.window.relax();
            self.lines_due |= self.may_be_held();
            self.watch_trunks();
            self.tend_routed();
            self.look_for_old();
            for key in std::mem::take(&mut self.slow) {
                if let Some(link) = self.in_links.get_mut(key) {
                    link.slow = false;
                    self.mark_credit(key, true);
                }
            }
        }
    }

    fn connection_timer(&mut self, key: ConnKey, now: Time) {
        if self.lose_if_silent(key, now) {
            return;
        }
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.armed = None;
        if conn.phase == Phase::Closing {
            if conn.linger.is_some_and(|linger| linger <= now) {
                self.closed.push(key);
            } else {
                self.arm(key, now);
            }
            return;
        }
        let result = conn.engine.handle_timeout(now, &mut conn.output);
        match result {
            Ok(()) => {
                self.arm(key, now);
                self.start_writing(key);
            }
            Err(error) => self.fail(key, Fault::Protocol(error)),
        }
    }

    /// Puts a connection with output into the list for the driver.
    pub(super) fn start_writing(&mut self, key: ConnKey) {
        if let Some(conn) = self.conns.get_mut(key)
            && !conn.is_flushed()
            && !conn.writing
        {
            conn.writing = true;
            self.writing.push_back(key);
        }
    }
}

/// Whether a turn has more to do for a connection as soon as there is room to write.
pub(super) fn has_more(conn: &Conn) -> bool {
    conn.unfinished || !conn.ready.is_empty() || !conn.dirty.is_empty() || !conn.passing.is_empty()
}
