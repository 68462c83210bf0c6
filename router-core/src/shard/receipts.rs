//! Receipts for what nothing comes back for: settled deliveries for other shards, and letters to
//! the control plane.
//!
//! No window bounds these: a shard that is slower than this one, or a busy control plane, would
//! find any amount in its mailbox. Decision: after each turn's letters a receipt is asked for;
//! while more is under way than `TRANSIT_BYTES`, a connection that adds to it is not read any
//! further, which holds its peer back by TCP, whatever it sends. Receipts are given by every thread
//! whatever it waits for, so no two of them can wait for each other.

use amqp_proto::Time;

use super::state::Shard;
use crate::ids::{ConnKey, ShardId};
use crate::mail::{Command, Mail};

impl Shard {
    /// Posts a letter for which nothing comes back, with so many bytes besides itself.
    pub(super) fn post_counted(&mut self, to: ShardId, mail: Mail, bytes: usize) {
        if to != self.id {
            self.transit.add(to, (size_of::<Mail>() + bytes) as u64);
        }
        self.post(to, mail);
    }

    /// Tells the control plane what a peer has done or said, in so many bytes.
    pub(super) fn tell_control(&mut self, command: Command, bytes: usize) {
        let mail = Mail::Command(Box::new(command));
        self.post_counted(self.control(), mail, size_of::<Command>() + bytes);
    }

    /// A connection whose input was just handled is not read any further if that has added to what
    /// is too much already.
    pub(super) fn pause_if_clogged(&mut self, key: ConnKey) -> bool {
        let Some(to) = self.transit.clogged() else {
            return false;
        };
        let Some(conn) = self.conns.get_mut(key) else {
            return false;
        };
        if !std::mem::replace(&mut conn.paused, true) {
            self.transit.pause(to, key);
        }
        true
    }

    /// Asks for receipts for what was posted since the last time.
    pub(super) fn ask_receipts(&mut self) {
        let from = self.id;
        for to in (0..=self.shards).map(ShardId) {
            let bytes = self.transit.take_unasked(to);
            if bytes > 0 {
                self.post(to, Mail::Receipt { from, bytes });
            }
        }
    }

    /// Another thread has taken so many bytes out of its mailbox.
    pub(super) fn take_receipt(&mut self, by: ShardId, bytes: u64, now: Time) {
        let heard = self.waking(now);
        for key in self.transit.received(by, bytes) {
            let Some(conn) = self.conns.get_mut(key) else {
                continue;
            };
            conn.paused = false;
            // Nobody has listened meanwhile.
            conn.vigil.heard = heard;
            if !conn.backlogged {
                conn.backlogged = true;
                self.backlog.push_back(key);
            }
        }
    }
}
