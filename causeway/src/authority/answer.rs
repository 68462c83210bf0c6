//! Answers on their way to a shard.

use std::time::Duration;

use amqp_codec::{SaslCode, Str};
use amqp_proto::SaslReply;
use router_core::ids::{ConnectionId, ShardId};
use router_core::mail::{Batch, Command, Mail};
use router_core::shard::SaslQuestion;

use crate::dialogue::aborted;
use crate::post::Offices;

/// How long a refusal waits: who guesses has so many attempts a second on each connection, and
/// connections are bounded, too.
pub(super) const FAILURE_DELAY: Duration = Duration::from_millis(250);

/// Nobody is let in.
pub(super) fn failure(code: SaslCode, user: Option<&str>) -> SaslReply {
    SaslReply::Failure {
        code,
        user: user.map(Str::copy),
    }
}

/// The answer to a question that nobody can decide now.
pub(super) fn refuse(offices: &Offices, question: &SaslQuestion) {
    let reply = match question.settings.is_initiator() {
        true => aborted("none", "too many logins at once"),
        false => failure(SaslCode::SysTemp, None),
    };
    post(offices, question.shard, question.connection, reply);
}

/// Posts an answer.
pub(super) fn post(offices: &Offices, shard: ShardId, connection: ConnectionId, reply: SaslReply) {
    let command = Command::Sasl(connection, reply);
    let mail = vec![Mail::Command(Box::new(command))];
    offices.post(shard, Batch { mail });
}
