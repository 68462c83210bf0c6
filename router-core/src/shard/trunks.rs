//! Trunks between two routers of our kind: what their Opens say of them, and who is let in.
//!
//! The router that is dialled gives the one that dials a token in the first Open; with it the other
//! may open further connections that count as parts of the first. What is said stands after all
//! other properties, under names of ours, so that routers of another kind pass over it.
//!
//! ```text
//!   dials                              is dialled
//!   causeway.trunk: 4        ────►
//!                            ◄────     causeway.trunk: 2, causeway.trunk-token: …
//!   causeway.trunk-token: …  ────►     (the control plane admits it, or not)
//!                            ◄────     causeway.trunk-member: true
//! ```

use amqp_codec::{AmqpError, Encoded, Map, Str, Symbol, Value};
use bytes::Bytes;

use super::conn::Trunking;
use super::state::Shard;
use crate::ids::{ConnKey, ConnectionId, TrunkToken};
use crate::limits;
use crate::mail::{Command, TrunkEvent, TrunkNews, TrunkPeer};
use crate::notice::Notice;
use crate::settings::{ConnectionRole, ConnectionSettings, Join, RouterMode};

/// How many connections there may be.
const TRUNK: &str = "causeway.trunk";

/// What tells the neighbour's connections from a stranger's.
const TOKEN: &str = "causeway.trunk-token";

/// The connection was admitted.
const MEMBER: &str = "causeway.trunk-member";

/// The condition with which a connection that does not belong here is closed.
const REFUSED: &str = "amqp:precondition-failed";

/// What a peer's Open says of trunks.
#[derive(Debug, Default)]
pub(super) struct TrunkWords {
    limit: Option<u16>,
    token: Option<TrunkToken>,
    member: bool,
}

impl TrunkWords {
    pub(super) fn read(properties: Option<&Encoded>) -> Self {
        let Some(Ok(Value::Map(map))) = properties.map(Encoded::value) else {
            return Self::default();
        };
        Self {
            limit: match map.get(TRUNK) {
                Some(Value::Ushort(limit)) => Some(*limit),
                _ => None,
            },
            token: match map.get(TOKEN) {
                Some(Value::Binary(bytes)) => {
                    let bytes = <[u8; 16]>::try_from(&bytes[..]).ok();
                    bytes.map(|bytes| TrunkToken(u128::from_be_bytes(bytes)))
                }
                _ => None,
            },
            member: matches!(map.get(MEMBER), Some(Value::Bool(true))),
        }
    }

    /// The peer's properties as they may be shown: without the token.
    pub(super) fn hide_token(&self, properties: Encoded) -> Encoded {
        if self.token.is_none() {
            return properties.settle();
        }
        let Ok(Value::Map(mut map)) = properties.value() else {
            return properties.settle();
        };
        map.0.retain(|(key, _)| key.as_str() != Some(TOKEN));
        Encoded::from_value(&Value::Map(map))
    }
}

impl Shard {
    /// How many connections there may be to one neighbour.
    fn trunk_limit(&self, settings: &ConnectionSettings) -> u16 {
        let is_possible = self.settings.mode == RouterMode::Interior
            && settings.role == ConnectionRole::InterRouter;
        let most = self.settings.trunk_connections.min(limits::TRUNK_MEMBERS);
        if is_possible {
            most.min(self.shards)
        } else {
            1
        }
    }

    /// What the Open of a connection that is dialled says of trunks.
    pub(super) fn trunk_offer(&self, settings: &ConnectionSettings, join: Option<&Join>) -> Map {
        let limit = self.trunk_limit(settings);
        let mut map = Map::new();
        if let Some(join) = join {
            map.push(Value::symbol(TOKEN), token_value(join.token));
        } else if limit > 1 {
            map.push(Value::symbol(TRUNK), Value::Ushort(limit));
        }
        map
    }

    /// Takes what the peer's Open says of trunks; what the answer is to say, where it is still to
    /// be given; `None`: it has to wait, or is not needed any more.
    pub(super) fn negotiate(&mut self, key: ConnKey, words: &TrunkWords) -> Option<Map> {
        let conn = self.conns.get(key)?;
        let limit = self.trunk_limit(&conn.settings);
        let peer = |token| TrunkPeer {
            container: conn.container.clone().unwrap_or_default(),
            address: conn.peer.clone(),
            token,
        };
        let agreed = words.limit.map_or(1, |asked| asked.min(limit));
        match (&conn.trunk, conn.settings.is_initiator(), words.token) {
            (Trunking::Joining(join), true, _) => {
                let is_it = words.member && conn.container.as_ref() == Some(&join.container);
                let trunk = join.trunk;
                if is_it {
                    self.enter_trunk(key, trunk, TrunkEvent::Joined(trunk));
                    return Some(Map::new());
                }
                self.refuse_connection(key, "it was not taken for a part of the trunk");
                None
            }
            (_, true, Some(token)) if agreed > 1 => {
                let opened = TrunkEvent::Opened {
                    peer: peer(token),
                    limit: agreed,
                    dialled: true,
                };
                let trunk = conn.id;
                self.enter_trunk(key, trunk, opened);
                Some(Map::new())
            }
            (_, false, Some(token)) if limit > 1 => {
                let asks = TrunkEvent::Asks(peer(token));
                if let Some(conn) = self.conns.get_mut(key) {
                    conn.trunk = Trunking::Asking;
                }
                self.tell_trunk(key, asks);
                None
            }
            (_, false, None) if agreed > 1 => {
                let mut peer = peer(TrunkToken(0));
                let trunk = conn.id;
                peer.token = self.draw_token();
                let mut answer = Map::new();
                answer.push(Value::symbol(TRUNK), Value::Ushort(agreed));
                answer.push(Value::symbol(TOKEN), token_value(peer.token));
                let opened = TrunkEvent::Opened {
                    peer,
                    limit: agreed,
                    dialled: false,
                };
                self.enter_trunk(key, trunk, opened);
                Some(answer)
            }
            _ => Some(Map::new()),
        }
    }

    /// The control plane knows the trunk of which a connection says that it is a part.
    pub(super) fn admit_member(&mut self, id: ConnectionId, trunk: ConnectionId) {
        let Some(key) = self.asking(id) else { return };
        if let Some(conn) = self.conns.get_mut(key) {
            conn.trunk = Trunking::Of(trunk);
            // What came meanwhile was not read.
            if !conn.backlogged {
                conn.backlogged = true;
                self.backlog.push_back(key);
            }
        }
        self.trunks.push(key);
        let mut answer = Map::new();
        answer.push(Value::symbol(MEMBER), Value::Bool(true));
        self.finish_open(key, answer);
    }

    /// The control plane knows no such trunk.
    pub(super) fn refuse_member(&mut self, id: ConnectionId, why: &'static str) {
        if let Some(key) = self.asking(id) {
            self.refuse_connection(key, why);
        }
    }

    fn asking(&self, id: ConnectionId) -> Option<ConnKey> {
        let key = *self.by_id.get(&id)?;
        let conn = self.conns.get(key)?;
        (conn.trunk == Trunking::Asking).then_some(key)
    }

    /// A connection is not what its peer, or this router, took it for.
    fn refuse_connection(&mut self, key: ConnKey, why: &str) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let error = AmqpError {
            condition: Symbol::from(REFUSED),
            description: Some(Str::copy(why)),
            info: None,
        };
        if !conn.settings.is_initiator() {
            conn.engine.open(None, &mut conn.output);
        }
        conn.engine.close(Some(error), &mut conn.output);
        self.notices.push(Notice::ConnectionFailed {
            connection: conn.id,
            listener: conn.listener_name(),
            peer: conn.peer.clone(),
            condition: REFUSED.to_owned(),
            description: why.to_owned(),
        });
        self.tell_ended(key, Some((REFUSED.to_owned(), why.to_owned())));
        self.close(key);
    }

    fn enter_trunk(&mut self, key: ConnKey, trunk: ConnectionId, event: TrunkEvent) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.trunk = Trunking::Of(trunk);
            self.trunks.push(key);
        }
        self.tell_trunk(key, event);
    }

    /// A connection is gone.
    pub(super) fn leave_trunk(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let was = std::mem::replace(&mut conn.trunk, Trunking::No);
        if matches!(was, Trunking::Of(_) | Trunking::Asking) {
            self.trunks.retain(|of| *of != key);
            self.tell_trunk(key, TrunkEvent::Left);
        }
    }

    pub(super) fn tell_trunk(&mut self, key: ConnKey, what: TrunkEvent) {
        let Some(connection) = self.conns.get(key).map(|conn| conn.id) else {
            return;
        };
        let shard = self.id;
        let news = Command::Trunk(TrunkNews {
            connection,
            shard,
            what,
        });
        self.tell_control(news, 0);
    }

    /// Takes note of how busy the driver was with this shard in the last second, in percent: a
    /// trunk that had part in that is to get a further connection.
    pub fn note_load(&mut self, percent: u8) {
        let is_busy = percent >= limits::TRUNK_BUSY_PERCENT;
        for place in 0..self.trunks.len() {
            let key = self.trunks[place];
            let Some(conn) = self.conns.get_mut(key) else {
                continue;
            };
            let (now, before) = conn.carried;
            conn.carried.1 = now;
            let had_part = now.wrapping_sub(before) >= limits::TRUNK_BUSY_FRAMES;
            if is_busy && had_part {
                self.tell_trunk(key, TrunkEvent::Busy);
            }
        }
    }

    fn draw_token(&mut self) -> TrunkToken {
        let halves = [self.draw(), self.draw()].map(u128::from);
        TrunkToken(halves[0] << 64 | halves[1])
    }
}

fn token_value(token: TrunkToken) -> Value {
    Value::Binary(Bytes::copy_from_slice(&token.0.to_be_bytes()))
}
