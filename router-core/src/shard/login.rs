//! Authentication as far as a shard has part in it: it passes the steps of an exchange on to
//! somebody who may take his time, and his answers back.
//!
//! Decision: what a step costs – a key derivation, a file, another host – must not be paid on a
//! shard's thread, or a flood of wrong passwords would stop messages. So the driver takes questions
//! out and posts answers as [`Command::Sasl`](crate::mail::Command); meanwhile the connection is
//! not read, which bounds what is under way to one step each.

use std::sync::Arc;

use amqp_proto::{SaslReply, SaslStep};

use super::conn::{Fault, Phase};
use super::question::SaslQuestion;
use super::state::Shard;
use crate::ids::{ConnKey, ConnectionId};

impl Shard {
    /// A question about who somebody is. Its answer is posted as
    /// [`Command::Sasl`](crate::mail::Command::Sasl).
    pub fn poll_question(&mut self) -> Option<SaslQuestion> {
        self.questions.pop_front()
    }

    /// The peer has taken a step of an exchange.
    pub(super) fn ask(&mut self, key: ConnKey, step: SaslStep) {
        self.question(key, Some(step));
    }

    /// A connection is going: whoever keeps its exchange in mind may forget it.
    pub(super) fn forget_login(&mut self, key: ConnKey) {
        let conn = self.conns.get(key);
        if conn.is_some_and(|conn| conn.engine.has_open_exchange()) {
            self.question(key, None);
        }
    }

    fn question(&mut self, key: ConnKey, step: Option<SaslStep>) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        self.questions.push_back(SaslQuestion {
            connection: conn.id,
            shard: self.id,
            peer: conn.peer.clone(),
            settings: Arc::clone(&conn.settings),
            is_encrypted: conn.engine.is_encrypted(),
            has_certificate: conn
                .transform
                .security()
                .is_some_and(|security| security.has_certificate),
            step,
        });
    }

    /// The answer to a step; the connection may have gone on without it.
    pub(super) fn answer_login(&mut self, id: ConnectionId, reply: SaslReply) {
        let Some(&key) = self.by_id.get(&id) else {
            return;
        };
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if conn.phase != Phase::Opening {
            return;
        }
        match conn.engine.reply_sasl(reply, &mut conn.output) {
            Ok(()) => {
                // What has come meanwhile, and what the socket holds.
                if !conn.backlogged {
                    conn.backlogged = true;
                    self.backlog.push_back(key);
                }
                self.touch(key);
            }
            Err(error) => self.fail(key, Fault::Protocol(error)),
        }
    }
}
