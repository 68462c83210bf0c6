//! The order in which large messages begin on the streaming links to one neighbour: that in which
//! they came. So those of one sender reach the neighbour, and the consumer behind it, in the order
//! in which they were sent, although each has a link of its own.

use amqp_proto::Payload;

use super::link::OutLink;
use super::state::Shard;
use crate::ids::{ConnKey, Key};
use crate::limits;
use crate::mail::End;

/// Whether a message goes by a streaming link to a neighbour: it is not whole yet, or so long that
/// those like it are not, as a rule. Were it to go by another link, they would overtake it.
pub(super) fn is_large(complete: bool, payload: &Payload) -> bool {
    !complete || payload.len() > limits::STREAM_THRESHOLD
}

impl Shard {
    /// Whether the head of a lane may begin now.
    pub(super) fn has_turn(&self, conn: ConnKey, out: Key) -> bool {
        let turn = self.out_links.get(out).and_then(waits_since);
        let Some((turn, conn)) = turn.zip(self.conns.get(conn)) else {
            return true;
        };
        let others = conn
            .streaming
            .iter()
            .filter_map(|&of| self.out_links.get(of));
        others.filter_map(waits_since).all(|other| turn <= other)
    }

    /// A large message has begun, or will not: the next may.
    pub(super) fn next_turn(&mut self, conn: ConnKey) {
        let Some(conn) = self.conns.get(conn) else {
            return;
        };
        let waiting = conn.streaming.iter().filter_map(|&of| {
            let turn = self.out_links.get(of).and_then(waits_since)?;
            Some((turn, of))
        });
        if let Some((_, next)) = waiting.min() {
            self.mark_ready(next);
        }
    }
}

/// The turn of the first large message of a link that has not begun.
fn waits_since(link: &OutLink) -> Option<u64> {
    let mut lane = link.lane.iter().filter(|_| link.streaming);
    let next = lane.find(|queued| queued.begun.is_none() && queued.end != End::Aborted)?;
    Some(next.turn)
}
