//! What routed links bring for a connection waits while much is queued for it: a thousand clients
//! that attach at once, as they do when their container is back, or a few with much to say, must
//! not make it one that does not read what it asked for. It has asked for none of it.

use super::attach::NO_ROUTE;
use super::conn::{Conn, Phase};
use super::link::Passing;
use super::state::Shard;
use crate::ids::ConnKey;
use crate::limits;
use crate::mail::{AttachLink, Command, Relay, RelayEvent};

impl Shard {
    /// The control plane has chosen a connection of this shard for a client's link.
    pub(super) fn attach_far(&mut self, ask: AttachLink) {
        let key = self.by_id.get(&ask.connection).copied();
        match key.and_then(|key| self.conns.get_mut(key)) {
            Some(conn) if must_wait(conn) => {
                conn.passing.push_back(Passing::Attach(Box::new(ask)));
            }
            _ => self.attach_far_now(ask),
        }
    }

    /// Something happened to the other half of one of this shard's.
    pub(super) fn take_relay(&mut self, relay: Relay) {
        let key = self.place_of(relay.to).map(|(conn, ..)| conn);
        match key.and_then(|key| self.conns.get_mut(key)) {
            Some(conn) if must_wait(conn) => conn.passing.push_back(Passing::Relay(relay)),
            _ => self.take_relay_now(relay),
        }
    }

    /// Passes on what has waited, as far as there is room.
    pub(super) fn pass_waiting(&mut self, key: ConnKey) {
        while let Some(conn) = self.conns.get_mut(key)
            && !conn.is_behind()
            && let Some(next) = conn.passing.pop_front()
        {
            match next {
                Passing::Attach(ask) => self.attach_far_now(*ask),
                Passing::Relay(relay) => self.take_relay_now(relay),
                Passing::Detach(half) => {
                    if !self.detach_waiting(half) {
                        return;
                    }
                }
                Passing::DetachAutoLink(link, until) => {
                    if !self.detach_own(key, link, until) {
                        return;
                    }
                }
            }
        }
    }

    /// A connection is gone for which something waits: links go to another one, if there is any.
    pub(super) fn drop_waiting(&mut self, key: ConnKey) {
        let waiting = self
            .conns
            .get_mut(key)
            .map(|conn| std::mem::take(&mut conn.passing));
        for passing in waiting.into_iter().flatten() {
            match passing {
                Passing::Attach(ask) => self.choose_again(*ask),
                Passing::Relay(relay) => self.take_relay_now(relay),
                Passing::Detach(_) | Passing::DetachAutoLink(..) => {}
            }
        }
    }

    /// The connection that was chosen for a link is gone. The control plane has heard of that by
    /// now, and chooses another one if there is any.
    pub(super) fn choose_again(&mut self, ask: AttachLink) {
        let mut again = ask.ask;
        if again.misses >= limits::ROUTED_MISSES {
            let (condition, description) = NO_ROUTE;
            self.relay(again.near, RelayEvent::Refused(condition, description));
            return;
        }
        again.misses += 1;
        let bytes = again.bytes();
        self.tell_control(Command::RouteLink(again), bytes);
    }
}

/// Whether something has to wait; what belongs to one link keeps its order.
fn must_wait(conn: &Conn) -> bool {
    conn.phase == Phase::Open && (conn.is_behind() || !conn.passing.is_empty())
}
