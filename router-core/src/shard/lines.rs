//! Deliveries that wait at the shard that received them: for a window of their address, first come
//! first served; or for the mail that was already in the box when no route was found, because a
//! route that its consumer has been told of must not be missed.

use super::parcel::{Parcel, Verdict};
use super::pipe::PipeTx;
use super::state::Shard;
use crate::delivery::{Place, Waiting};
use crate::ids::{AddressKey, InKey, OutLinkKey};
use crate::mail::{Forward, Target};

impl Shard {
    /// Chooses again for deliveries without a route, once the mail that was in the box is read.
    pub(super) fn retry_doubtful(&mut self, _now: amqp_proto::Time) {
        if !std::mem::take(&mut self.doubts_due) {
            return;
        }
        for record in std::mem::take(&mut self.doubtful) {
            let Some((key, mut parcel)) = self.take_waiting(record) else {
                continue;
            };
            let conn = parcel.conn;
            self.transit.look_anew();
            let verdict = match self.is_behind_line(&key, &parcel) {
                true => Verdict::Wait(key),
                false => self.choose_by_key(&key, &mut parcel),
            };
            match verdict {
                Verdict::NoPath(_) => self.release_parcel(parcel),
                verdict => self.dispatch(parcel, verdict),
            }
            self.pause_if_clogged(conn);
        }
    }

    /// Whether others wait for an address that come before this one: what is settled waits for
    /// nobody.
    fn is_behind_line(&self, key: &AddressKey, parcel: &Parcel) -> bool {
        !parcel.settled && self.lines.contains_key(key)
    }

    /// Chooses among the consumers of an address, behind those that wait for it.
    pub(super) fn choose_in_line(&mut self, key: &AddressKey, parcel: &Parcel) -> Verdict {
        match self.is_behind_line(key, parcel) {
            true => Verdict::Wait(AddressKey::clone(key)),
            false => self.choose_among(key, parcel),
        }
    }

    /// Serves the lines whose windows may have opened.
    pub(super) fn retry_lines(&mut self, _now: amqp_proto::Time) {
        if !std::mem::take(&mut self.lines_due) || self.lines.is_empty() {
            return;
        }
        let mut keys: Vec<AddressKey> = self.lines.keys().cloned().collect();
        keys.sort_unstable();
        for key in keys {
            self.serve_line(&key);
        }
    }

    fn serve_line(&mut self, key: &AddressKey) {
        while let Some(&record) = self.lines.get(key).and_then(|line| line.front()) {
            let Some((_, mut parcel)) = self.take_waiting(record) else {
                self.pop_line(key);
                continue;
            };
            let verdict = self.choose_by_key(key, &mut parcel);
            let waits = match &verdict {
                // For another address: the fallback.
                Verdict::Wait(of) => of == key,
                Verdict::NoPath(_) => self.awaits_paths(&parcel),
                _ => false,
            };
            if waits {
                self.park(parcel, key);
                break;
            }
            self.pop_line(key);
            if let Verdict::NoPath(_) = verdict {
                self.release_parcel(parcel);
            } else {
                self.dispatch(parcel, verdict);
            }
        }
        if self
            .lines
            .get(key)
            .is_some_and(std::collections::VecDeque::is_empty)
        {
            self.lines.remove(key);
            self.lines_moved.remove(key);
        }
    }

    fn pop_line(&mut self, key: &AddressKey) {
        if let Some(line) = self.lines.get_mut(key) {
            line.pop_front();
            match self.lines_moved.get_mut(key) {
                Some(moved) => *moved = self.second,
                None => {
                    self.lines_moved.insert(AddressKey::clone(key), self.second);
                }
            }
        }
    }

    /// The parcel that a record in a line stands for; the record stays, empty.
    fn take_waiting(&mut self, record: InKey) -> Option<(AddressKey, Parcel)> {
        let inbound = self.inbound.get_mut(record)?;
        let place = std::mem::replace(&mut inbound.place, Place::Discard(None));
        let Place::Line(waiting) = place else {
            inbound.place = place;
            return None;
        };
        let Waiting {
            key,
            payload,
            heads,
            state,
            complete,
            excluded,
            journey,
            redirect,
        } = *waiting;
        let mut parcel = self.parcel_of(record, payload, complete)?;
        parcel.heads = heads;
        parcel.state = state;
        parcel.excluded = excluded;
        parcel.journey = journey;
        parcel.redirect = redirect;
        Some((key, parcel))
    }

    /// A record in a line is about to go.
    pub(super) fn leave_line(&mut self, record: InKey) {
        let Some(inbound) = self.inbound.get(record) else {
            return;
        };
        let Place::Line(waiting) = &inbound.place else {
            return;
        };
        let key = AddressKey::clone(&waiting.key);
        if let Some(line) = self.lines.get_mut(&key) {
            line.retain(|&of| of != record);
            if line.is_empty() {
                self.lines.remove(&key);
                self.lines_moved.remove(&key);
            }
        }
        self.doubtful.retain(|&of| of != record);
    }

    /// A delivery has come home unsent, because its consumer is gone: chosen again, ahead of the
    /// line.
    pub(super) fn take_returned(&mut self, forward: Forward) {
        let Some(record) = forward.origin.delivery else {
            return;
        };
        let Target::Link(gone) = forward.to else {
            return;
        };
        self.leave_target(record);
        self.forget_stream(record);
        let Some(mut parcel) = self.parcel_of(record, forward.payload, true) else {
            return;
        };
        parcel.heads = forward.heads;
        parcel.state = forward.state;
        parcel.excluded = Some(gone);
        let Some(key) = self.recall_address(&mut parcel) else {
            self.release_parcel(parcel);
            return;
        };
        let fallback = self.recall_redirect(&key, forward.address, &mut parcel);
        self.close_pipe(gone, fallback.as_ref().unwrap_or(&key));
        self.annotate(&mut parcel);
        if self.returned_in_line(&key) > 0 {
            self.queue_returned(parcel, &key);
            self.lines_due = true;
            return;
        }
        match self.choose_by_key(&key, &mut parcel) {
            Verdict::NoPath(_) if self.awaits_paths(&parcel) => self.queue_returned(parcel, &key),
            Verdict::NoPath(_) => self.release_parcel(parcel),
            Verdict::Wait(key) => self.queue_returned(parcel, &key),
            verdict => self.dispatch(parcel, verdict),
        }
    }

    /// Puts a delivery that has come home ahead of the line, behind those that came before it.
    fn queue_returned(&mut self, parcel: Parcel, key: &AddressKey) {
        let record = self.park(parcel, key);
        let before = self.returned_in_line(key);
        let line = self.lines.entry(AddressKey::clone(key)).or_default();
        line.insert(before, record);
    }

    /// How many deliveries that have come home are first in a line.
    fn returned_in_line(&self, key: &AddressKey) -> usize {
        let has_returned = |record: &&InKey| {
            let place = self.inbound.get(**record).map(|inbound| &inbound.place);
            matches!(place, Some(Place::Line(waiting)) if waiting.excluded.is_some())
        };
        let line = self.lines.get(key);
        line.map_or(0, |line| line.iter().take_while(has_returned).count())
    }

    /// Whether a delivery has come home from a neighbour that has gone although the paths still
    /// name it: they will soon say where it may go instead.
    pub(super) fn awaits_paths(&self, parcel: &Parcel) -> bool {
        let gone = parcel.excluded;
        gone.is_some_and(|gone| self.paths.behind(gone).is_some())
    }

    /// A link is gone. As long as the routes still name it, its pipe is closed: were it merely
    /// forgotten, a delivery could go to and fro between two such links for as long.
    fn close_pipe(&mut self, gone: OutLinkKey, key: &AddressKey) {
        let consumes = self
            .table
            .lookup(key)
            .is_some_and(|route| route.consumers.iter().any(|other| other.link == gone));
        if consumes {
            self.pipes.to.entry(gone).or_insert(PipeTx::new(0)).close();
        } else {
            self.forget_pipe(gone);
        }
    }

    /// A link is gone to which no route of an address leads, only paths to neighbours perhaps.
    pub(super) fn forget_pipe(&mut self, gone: OutLinkKey) {
        if self.paths.behind(gone).is_some() {
            self.pipes.to.entry(gone).or_insert(PipeTx::new(0)).close();
        } else {
            self.pipes.to.remove(&gone);
        }
    }
}
