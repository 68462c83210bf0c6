//! A shard: what its driver may call, and the order of a turn; no other logic.
//!
//! Stages of a turn, each bounded: mail (the driver hands it over), receive, retry of lines,
//! egress, coalesce (flows before dispositions, then windows), timers. Posting and writing are the
//! driver's: outboxes are posted before sockets are written, so that other shards start meanwhile.

mod ageing;
mod annotate;
mod attach;
mod autolinks;
mod census;
mod coalesce;
mod conn;
mod egress;
mod ends;
mod events;
mod fallback;
mod flows;
mod forward;
mod head;
mod histogram;
mod hoard;
mod ingress;
mod lanes;
mod left;
mod letters;
mod lines;
mod link;
mod login;
mod names;
mod neighbors;
mod opening;
mod parcel;
mod parting;
mod passing;
mod pin;
mod pins;
mod pipe;
mod question;
mod quiet;
mod rate;
mod ready;
mod receipts;
mod records;
mod relay;
mod relief;
mod report;
mod routed;
mod scrub;
mod settle;
mod shown;
mod stalled;
mod standing;
mod state;
mod stray;
mod stream;
mod termini;
mod transit;
mod trouble;
mod trunks;
mod vigil;
mod wheel;
mod window;

#[cfg(test)]
mod tests;

use amqp_proto::{SendQueue, Time, Transform};

pub use self::census::{Census, Held};
use self::conn::{Conn, Phase};
pub use self::question::SaslQuestion;
use self::state::tighten;
pub use self::state::{Shard, ShardConfig};
use crate::counters::Counter;
use crate::ids::ConnKey;
use crate::limits;
use crate::mail::{Batch, Outboxes};
use crate::notice::Notice;
use crate::settings::NewConnection;

impl Shard {
    /// Takes over a connection that the runtime accepted, or dialled and has connected.
    pub fn accept(
        &mut self,
        new: NewConnection,
        transform: Box<dyn Transform>,
        now: Time,
    ) -> ConnKey {
        let config = match new.settings.is_initiator() {
            true => {
                let trunk = self.trunk_offer(&new.settings, new.join.as_ref());
                let (id, hostname) = (new.connection, new.hostname.as_deref());
                self.initiator_config(&new.settings, hostname, id, trunk)
            }
            false => self.engine_config(&new.settings),
        };
        let traced = new.traced.then_some(true);
        let engine = amqp_proto::Connection::new(config, now);
        let mut conn = Conn::new(new, engine, transform, now);
        conn.quiet.1 = self.second;
        conn.traced = traced;
        conn.engine.set_tap(traced.unwrap_or(self.wanted.frames));
        if conn.transform.is_ready() {
            // What is handed over may have been agreed before.
            conn.note_security();
        }
        conn.engine.start(&mut conn.output);
        if !conn.settings.is_initiator() {
            self.notices.push(Notice::ConnectionAccepted {
                connection: conn.id,
                listener: conn.settings.name.clone(),
                peer: conn.peer.clone(),
            });
        }
        let id = conn.id;
        let key = ConnKey(self.conns.insert(conn));
        self.by_id.insert(id, key);
        self.counters.add(Counter::Connections, 1);
        self.touch(key);
        key
    }

    /// The free part of the receive window, at least 16 KiB: read a socket into it, then call
    /// [`received`](Self::received).
    pub fn window(&mut self) -> &mut [u8] {
        self.window.free()
    }

    /// `count` bytes for a connection were read into [`window`](Self::window).
    pub fn received(&mut self, key: ConnKey, count: usize, now: Time) {
        self.note_time(now);
        self.tally.refresh();
        self.retry_doubtful(now);
        let heard = self.waking(now);
        let Self { conns, window, .. } = self;
        let Some(conn) = conns.get_mut(key) else {
            return;
        };
        conn.vigil.heard = heard;
        if conn.phase == Phase::Closing {
            return;
        }
        match conn.open(window, count) {
            Ok(()) => self.decode(key, now),
            Err(fault) => self.fail(key, fault),
        }
    }

    /// Whether a connection has received more than a turn handles: what its socket holds is better
    /// left there for the time being, so that input cannot pile up here faster than it is handled.
    #[must_use]
    pub fn is_behind(&self, key: ConnKey) -> bool {
        let conn = self.conns.get(key);
        conn.is_some_and(|conn| conn.backlogged || conn.is_held() || conn.engine.awaits_sasl())
    }

    /// The socket has ended or failed.
    pub fn end_of_input(&mut self, key: ConnKey, error: Option<String>, now: Time) {
        self.note_time(now);
        self.lose(key, error);
    }

    /// Takes a batch out of the mailbox.
    pub fn take_mail(&mut self, mut batch: Batch, now: Time) {
        self.note_time(now);
        for mail in batch.mail.drain(..) {
            self.take_letter(mail, now);
        }
        self.outboxes.recycle(batch);
    }

    /// Runs the stages between receiving and writing.
    pub fn turn(&mut self, now: Time) {
        self.note_time(now);
        self.tally.refresh();
        self.retry_doubtful(now);
        for _ in 0..self.backlog.len() {
            let Some(key) = self.backlog.pop_front() else {
                break;
            };
            if let Some(conn) = self.conns.get_mut(key) {
                conn.backlogged = false;
                self.decode(key, now);
            }
        }
        self.retry_lines(now);
        self.take_own_mail(now);
        self.send_deliveries(now);
        self.take_own_mail(now);
        self.coalesce(now);
        self.take_own_mail(now);
        self.run_timers(now);
        self.ask_receipts();
        self.doubts_due = !self.doubtful.is_empty();
    }

    /// Batches for other shards and the control plane.
    pub fn outboxes(&mut self) -> &mut Outboxes {
        &mut self.outboxes
    }

    /// A connection with bytes for its socket. It is not offered again until more is queued or
    /// [`wrote`](Self::wrote) was called.
    pub fn poll_output(&mut self) -> Option<ConnKey> {
        while let Some(key) = self.writing.pop_front() {
            if let Some(conn) = self.conns.get_mut(key) {
                conn.writing = false;
                return Some(key);
            }
        }
        None
    }

    /// The bytes for a connection's socket; `None` once the connection is gone.
    pub fn output(&mut self, key: ConnKey) -> Option<&mut SendQueue> {
        if self.conns.get(key).is_none_or(Conn::is_flushed) {
            return None;
        }
        if let Err(fault) = self.conns.get_mut(key)?.seal() {
            self.fail(key, fault);
            return None;
        }
        let conn = self.conns.get_mut(key)?;
        if conn.phase == Phase::Closing && conn.is_flushed() {
            // What was queued could not be sealed any more.
            self.closed.push(key);
            return None;
        }
        conn.seal().ok()
    }

    /// Whether a connection is still agreeing on its encryption, which costs more than what comes
    /// after: a burst of such should leave time for the others.
    #[must_use]
    pub fn is_handshaking(&self, key: ConnKey) -> bool {
        let conn = self.conns.get(key);
        conn.is_some_and(|conn| !conn.transform.is_ready())
    }

    /// Some of a connection's output was written.
    pub fn wrote(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if let Some(link) = std::mem::take(&mut conn.ready.hello).waits {
            self.mark_ready(link);
        }
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if conn.phase == Phase::Closing {
            if conn.is_flushed() {
                self.closed.push(key);
            }
        } else if !conn.output.is_full() && coalesce::has_more(conn) {
            self.touch(key);
        }
    }

    /// A connection whose socket is to be dropped; its key means nothing afterwards.
    pub fn poll_closed(&mut self) -> Option<ConnKey> {
        while let Some(key) = self.closed.pop() {
            self.forget_login(key);
            if let Some(conn) = self.conns.remove(key) {
                self.by_id.remove(&conn.id);
                tighten(&mut self.by_id);
                self.wheel.cancel(key);
                self.counters.sub(Counter::Connections, 1);
                self.notices.push(Notice::ConnectionClosed {
                    connection: conn.id,
                });
                return Some(key);
            }
        }
        None
    }

    /// Whether a further turn has something to do at once.
    #[must_use]
    pub fn is_runnable(&self) -> bool {
        !self.backlog.is_empty()
            || !self.touched.is_empty()
            || self.lines_due
            || !self.closed.is_empty()
            || self.doubts_due
            || self.outboxes.has_own()
            || self.has_news()
    }

    /// When a turn is due even if nothing happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let waits = !self.slow.is_empty()
            || self.may_be_held()
            || self.watches_trunks()
            || self.watches_routed()
            || self.window.has_surplus();
        // What is done once a second is done for none twice.
        let next = u64::from(self.clock.ticked) + 1;
        let old = self.looks_for_old_at().map(|old| next.max(old.into()));
        let of_second = |second| self.clock.beginning_of(second);
        let [second, old] = [waits.then_some(next), old].map(|second| second.map(of_second));
        [self.wheel.next_deadline(), second, old]
            .into_iter()
            .flatten()
            .min()
    }

    /// Ends a round: publishes counters and gives up the notices.
    pub fn finish(&mut self, notices: &mut Vec<Notice>) {
        notices.append(&mut self.notices);
    }

    /// Whether there may be notices of messages, which belong into the log before what was made of
    /// the messages is posted.
    #[must_use]
    pub fn shows_messages(&self) -> bool {
        self.wanted.messages
    }

    /// Closes every connection with `amqp:connection:forced`, as at the end of the program.
    pub fn shut_down(&mut self, now: Time) {
        self.note_time(now);
        let keys: Vec<ConnKey> = self.conns.iter().map(|(key, _)| ConnKey(key)).collect();
        for key in keys {
            self.close_for_shutdown(key);
        }
    }

    /// How many connections the shard has.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.conns.len()
    }

    /// How many deliveries the shard holds or has sent without hearing of their settlement; once it
    /// retires, with those that are settled and wait for their consumers.
    #[must_use]
    pub fn deliveries_in_flight(&self) -> usize {
        let [inbound, outbound] = self.deliveries();
        inbound + outbound
    }

    /// The same, of those that have come and of those that are to leave: what comes and leaves here
    /// is among both.
    #[must_use]
    pub fn deliveries(&self) -> [usize; 2] {
        let waiting = if self.retiring {
            self.out_links.iter().map(|(_, link)| link.lane.len()).sum()
        } else {
            0
        };
        [self.inbound.len(), self.outbound.len() + waiting]
    }

    /// Decodes what a connection has received, up to the budget of a turn.
    fn decode(&mut self, key: ConnKey, now: Time) {
        self.transit.look_anew();
        for _ in 0..limits::FRAMES_PER_TURN {
            let Some(conn) = self.conns.get_mut(key) else {
                return;
            };
            if conn.phase == Phase::Closing || conn.is_held() {
                return;
            }
            match conn.poll_event(now) {
                Ok(Some(event)) => {
                    self.handle_event(key, event, now);
                    if self.pause_if_clogged(key) {
                        self.touch(key);
                        return;
                    }
                }
                Ok(None) => {
                    self.touch(key);
                    return;
                }
                Err(fault) => {
                    self.fail(key, fault);
                    return;
                }
            }
        }
        self.touch(key);
        if let Some(conn) = self.conns.get_mut(key)
            && !conn.backlogged
        {
            conn.backlogged = true;
            self.backlog.push_back(key);
        }
    }

    /// Takes what this shard has mailed to itself, and what that leads to. Bounded, so that letters
    /// that beget letters cannot keep the turn from ending.
    fn take_own_mail(&mut self, now: Time) {
        for _ in 0..limits::OWN_MAIL_ROUNDS {
            let Some(mut batch) = self.outboxes.take(self.id) else {
                return;
            };
            for mail in batch.mail.drain(..) {
                self.take_letter(mail, now);
            }
            self.outboxes.recycle(batch);
        }
    }
}
