//! Further connections of a trunk that nobody needs any more, and how they are given up.
//!
//! ```text
//!   in use ──silent for long──► Idle told ──the control plane agrees──► Announced: nobody begins
//!     ▲                                                                     │  to use it
//!     └── a message, or credit that does not come back ── Emptied ◄─────────┘
//!                                                            │ all credit is back
//!                                                            ▼
//!                                                          closed
//! ```
//!
//! Decision: the peer's credit is taken back before the connection is closed, so that nothing of
//! what it sends can be on its way then; what it has not sent it sends by another connection. It
//! needs to know nothing of all this.

use super::conn::Leaving;
use super::link::InLink;
use super::state::Shard;
use crate::ids::{ConnKey, ConnectionId, InLinkKey};
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::TrunkEvent;

impl Shard {
    /// Whether some connection of this shard may have to be given up when it is silent for long.
    pub(super) fn watches_trunks(&self) -> bool {
        !self.trunks.is_empty() && self.paths.has_trunks()
    }

    /// Looks, once a second, which connections of trunks are silent.
    pub(super) fn watch_trunks(&mut self) {
        if self.watches_trunks() {
            for key in self.trunks.clone() {
                self.watch(key);
            }
        }
    }

    fn watch(&mut self, key: ConnKey) {
        let second = self.second;
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let (frames, since) = conn.quiet;
        if conn.carried.0 != frames {
            conn.quiet = (conn.carried.0, second);
            self.stay(key);
            return;
        }
        let silent_for = |since: u32| u64::from(second.saturating_sub(since));
        let leaving = conn.leaving;
        match leaving {
            Leaving::No => {
                let is_silent = silent_for(since) >= limits::TRUNK_IDLE.as_secs();
                if is_silent && conn.settings.is_initiator() {
                    conn.quiet.1 = second;
                    if !self.carries(key) {
                        self.tell_trunk(key, TrunkEvent::Idle);
                    }
                }
            }
            Leaving::Announced(since) if silent_for(since) < limits::TRUNK_LEAVE.as_secs() => {}
            Leaving::Announced(_) if self.carries(key) => self.stay(key),
            Leaving::Announced(_) => self.empty(key),
            Leaving::Emptied(_) if !self.carries(key) && self.is_dry(key) => {
                if let Some(conn) = self.conns.get_mut(key) {
                    conn.engine.close(None, &mut conn.output);
                }
                self.close(key);
            }
            Leaving::Emptied(since) if silent_for(since) < limits::TRUNK_LEAVE.as_secs() => {}
            Leaving::Emptied(_) => self.stay(key),
        }
    }

    /// The control plane agrees that a connection is not needed, and has told all shards.
    pub(super) fn prepare_to_leave(&mut self, id: ConnectionId) {
        let second = self.second;
        let key = self.by_id.get(&id).copied();
        if let Some(conn) = key.and_then(|key| self.conns.get_mut(key)) {
            conn.leaving = Leaving::Announced(second);
        }
    }

    /// Takes back the credit of whoever sends by a connection.
    fn empty(&mut self, key: ConnKey) {
        for in_key in self.data_links(key) {
            self.ask_to_drain(in_key);
        }
        let second = self.second;
        if let Some(conn) = self.conns.get_mut(key) {
            conn.leaving = Leaving::Emptied(second);
        }
    }

    /// A connection that was about to go is needed after all.
    fn stay(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let was = std::mem::replace(&mut conn.leaving, Leaving::No);
        if was == Leaving::No {
            return;
        }
        for in_key in self.data_links(key) {
            self.mark_credit(in_key, true);
        }
        self.tell_trunk(key, TrunkEvent::Needed);
    }

    /// The links on which messages come by a connection.
    fn data_links(&self, key: ConnKey) -> Vec<InLinkKey> {
        let is_one = |link: &InLink| link.conn == key && link.kind == LinkType::InterRouter;
        let links = self.in_links.iter().filter(|(_, link)| is_one(link));
        links.map(|(key, _)| InLinkKey(key)).collect()
    }

    /// Whether the peer can send nothing by a connection.
    fn is_dry(&self, key: ConnKey) -> bool {
        let Some(conn) = self.conns.get(key) else {
            return true;
        };
        let links = self.data_links(key).into_iter();
        let mut links = links.filter_map(|key| self.in_links.get(key));
        links.all(|link| conn.engine.credit(link.link) == 0)
    }

    /// Whether a delivery has come or is to go by a connection and has not ended.
    fn carries(&self, key: ConnKey) -> bool {
        let mut inbound = self.inbound.iter();
        let mut lanes = self.out_links.iter();
        let mut outbound = self.outbound.iter();
        inbound.any(|(_, delivery)| delivery.conn == key)
            || lanes.any(|(_, link)| link.conn == key && !link.lane.is_empty())
            || outbound.any(|(_, sent)| {
                let link = self.out_links.get(sent.link);
                link.is_some_and(|link| link.conn == key)
            })
    }
}
