//! Trunks: the connections to one neighbour that count as one. Who may belong to which, and when
//! this router dials one more.
//!
//! ```text
//!            Opened            busy, time            Joined
//!   (none) ─────────► one ───────────────► dialling ─────────► two …
//!                      ▲                       │ failed: later    │ Left
//!                      └───────────────────────┴──────────────────┘
//! ```
//!
//! It never looks at links, and the routing protocol knows nothing of it. Decision: the router that
//! has dialled the first connection dials all others; so both sides need no agreement on who does,
//! and a listener need not know how to reach its peers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use amqp_codec::message::MessageBuilder;
use amqp_proto::Time;
use bytes::Bytes;

use crate::control::connectors::{Connectors, Failure};
use crate::control::effect::{Dial, Effect};
use crate::control::neighbors::Neighbors;
use crate::control::retry::{Jitter, Retry};
use crate::ids::{ConnectionId, ShardId};
use crate::limits::{DIAL_TIME_OUT, TRUNK_OPEN_INTERVAL};
use crate::mail::{
    Command, ConnectionCommand, Dialled, Mail, Outboxes, TrunkEvent, TrunkNews, TrunkPeer,
};
use crate::settings::{ConnectionRole, Join, NewConnection};

/// What the router that was dialled says to the one that dials, among the messages of the routing
/// protocol: "my shard of this trunk is busy".
const BUSY: &str = "causeway.trunk-busy";

/// Why a connection is not taken for a part of a trunk.
const UNKNOWN: &str = "there is no such trunk";
const FULL: &str = "the trunk has all its connections";

#[derive(Debug)]
struct Trunk {
    peer: TrunkPeer,
    limit: u16,
    dialled: bool,
    /// Oldest first.
    members: Vec<(ConnectionId, ShardId)>,
    /// It ought to have one more.
    wanted: bool,
    next_try: Time,
    opening: Option<Attempt>,
    retry: Retry,
}

/// A further connection on its way.
#[derive(Debug)]
struct Attempt {
    connection: ConnectionId,
    server: String,
    /// When it is given up; `None` once it is connected: the shard sees to the rest.
    until: Option<Time>,
}

/// The trunks of a router, by their first connections.
#[derive(Debug)]
pub(super) struct Trunks {
    trunks: BTreeMap<ConnectionId, Trunk>,
    /// Connections that are to leave, once all shards have been told not to use them.
    leaving: Vec<(ConnectionId, ShardId)>,
    /// Attempts that have failed at the shard, each with condition and description.
    ended: Vec<(ConnectionId, (String, String))>,
    jitter: Jitter,
}

impl Trunks {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            trunks: BTreeMap::new(),
            leaving: Vec::new(),
            ended: Vec::new(),
            jitter: Jitter::new(seed),
        }
    }

    /// Something has happened to a connection of a trunk.
    pub(super) fn take(
        &mut self,
        news: TrunkNews,
        neighbors: Option<&mut Neighbors>,
        connectors: &mut Connectors,
        out: &mut Outboxes,
    ) {
        let TrunkNews {
            connection,
            shard,
            what,
        } = news;
        let Some(neighbors) = neighbors else { return };
        match what {
            TrunkEvent::Opened {
                peer,
                limit,
                dialled,
            } => self.opened(connection, shard, peer, limit, dialled),
            TrunkEvent::Asks(peer) => {
                let answer = match self.admit(connection, shard, &peer) {
                    Ok(trunk) => {
                        neighbors.join(connection, trunk);
                        ConnectionCommand::Admit(trunk)
                    }
                    Err(why) => ConnectionCommand::Refuse(why),
                };
                let answer = Command::Connection(connection, answer);
                out.push(shard, Mail::Command(Box::new(answer)));
            }
            TrunkEvent::Joined(trunk) => {
                if self.joined(connection, shard, trunk) {
                    neighbors.join(connection, trunk);
                } else {
                    // All others were lost meanwhile, and their connector dials by itself.
                    let close = Command::Connection(connection, ConnectionCommand::Close);
                    out.push(shard, Mail::Command(Box::new(close)));
                }
            }
            TrunkEvent::Busy => {
                if self.busy(connection) {
                    neighbors.say(connection, busy_message());
                }
            }
            TrunkEvent::Idle => {
                if self.is_further(connection) {
                    neighbors.set_leaving(connection, true);
                    self.leaving.push((connection, shard));
                }
            }
            TrunkEvent::Needed => neighbors.set_leaving(connection, false),
            TrunkEvent::Left => {
                if let Some(heir) = self.left(connection) {
                    connectors.inherit(connection, heir);
                }
                neighbors.left(connection);
            }
        }
    }

    /// Takes what a shard says of a connection that was dialled: as a further one of a trunk, or by
    /// a connector.
    pub(super) fn report(&mut self, report: Dialled, connectors: &mut Connectors) {
        let connection = report.connection();
        let is_further = self.trunks.values().any(|trunk| trunk.has(connection));
        if connectors.knows(connection) || !is_further {
            connectors.report(report);
        } else if let Dialled::Ended { failure, .. } = report {
            self.ended.push((connection, failure.unwrap_or_default()));
        }
    }

    /// A connection is the first of a trunk.
    fn opened(
        &mut self,
        connection: ConnectionId,
        shard: ShardId,
        peer: TrunkPeer,
        limit: u16,
        dialled: bool,
    ) {
        let trunk = Trunk {
            peer,
            limit,
            dialled,
            members: vec![(connection, shard)],
            wanted: false,
            next_try: Time::ZERO,
            opening: None,
            retry: Retry::default(),
        };
        self.trunks.insert(connection, trunk);
    }

    /// A neighbour says that a connection that it has dialled is a part of a trunk: of which.
    ///
    /// # Errors
    /// Why it is not.
    fn admit(
        &mut self,
        connection: ConnectionId,
        shard: ShardId,
        peer: &TrunkPeer,
    ) -> Result<ConnectionId, &'static str> {
        let is_it = |trunk: &Trunk| {
            let TrunkPeer {
                container, token, ..
            } = &trunk.peer;
            !trunk.dialled && *token == peer.token && *container == peer.container
        };
        let mut trunks = self.trunks.iter_mut();
        let (id, trunk) = trunks.find(|(_, trunk)| is_it(trunk)).ok_or(UNKNOWN)?;
        if trunk.is_full() {
            return Err(FULL);
        }
        trunk.members.push((connection, shard));
        Ok(*id)
    }

    /// The neighbour has admitted a connection that this router has dialled; whether the trunk is
    /// still there.
    #[must_use]
    fn joined(&mut self, connection: ConnectionId, shard: ShardId, of: ConnectionId) -> bool {
        let Some(trunk) = self.trunks.get_mut(&of) else {
            return false;
        };
        trunk.members.push((connection, shard));
        trunk.opening = None;
        trunk.retry.reset();
        true
    }

    /// A shard of a trunk is busy because of it, here or at the neighbour; whether the neighbour is
    /// to be told, because it is the one to dial.
    #[must_use]
    pub(super) fn busy(&mut self, connection: ConnectionId) -> bool {
        let Some(trunk) = self.with_member(connection) else {
            return false;
        };
        let has_room = !trunk.is_full();
        trunk.wanted |= trunk.dialled && has_room && trunk.opening.is_none();
        has_room && !trunk.dialled
    }

    /// A connection is gone; the oldest other one of its trunk, which stands in for it.
    fn left(&mut self, connection: ConnectionId) -> Option<ConnectionId> {
        let mut trunks = self.trunks.iter_mut();
        let (&id, trunk) = trunks.find(|(_, trunk)| trunk.has_member(connection))?;
        trunk.members.retain(|(member, _)| *member != connection);
        let heir = trunk.members.first().map(|(member, _)| *member);
        if heir.is_none() {
            self.trunks.remove(&id);
        }
        heir
    }

    /// A connection that was dialled is to end, and all others of its trunk: which those are. What
    /// is being dialled is given up.
    pub(super) fn disband(
        &mut self,
        connection: ConnectionId,
        effects: &mut VecDeque<Effect>,
    ) -> Vec<ConnectionId> {
        let mut all = vec![connection];
        let Some(trunk) = self.with_member(connection) else {
            return all;
        };
        trunk.wanted = false;
        trunk.limit = 1;
        if let Some(Attempt {
            connection, until, ..
        }) = trunk.opening.take()
        {
            match until {
                Some(_) => effects.push_back(Effect::HangUp { connection }),
                None => all.push(connection),
            }
        }
        let members = trunk.members.iter().map(|(member, _)| *member);
        all.extend(members.filter(|member| *member != connection));
        all
    }

    /// Dials no more.
    pub(super) fn clear(&mut self) {
        for trunk in self.trunks.values_mut() {
            (trunk.wanted, trunk.limit) = (false, 1);
        }
    }

    /// The runtime has connected what was dialled; false if it is none of these.
    pub(super) fn dialled(&mut self, connection: ConnectionId) -> bool {
        let attempt = self.attempt(connection);
        attempt.is_some_and(|attempt| attempt.until.take().is_some())
    }

    /// The runtime could not connect what was to be dialled, by a connector or for a trunk.
    pub(super) fn dial_failed(
        &mut self,
        connection: ConnectionId,
        description: String,
        connectors: &mut Connectors,
        now: Time,
    ) -> Option<Failure> {
        if connectors.knows(connection) {
            return connectors.dial_failed(connection, description, now);
        }
        self.failed(connection, "proton:io".to_owned(), description, now)
    }

    /// What was dialled has failed, before or after it was connected; `None` if it is none of
    /// these.
    fn failed(
        &mut self,
        connection: ConnectionId,
        condition: String,
        description: String,
        now: Time,
    ) -> Option<Failure> {
        let Self { trunks, jitter, .. } = self;
        let is_it = |attempt: &mut Attempt| attempt.connection == connection;
        let mut trunks = trunks.values_mut();
        let (trunk, attempt) = trunks.find_map(|trunk| {
            let attempt = trunk.opening.take_if(is_it)?;
            Some((trunk, attempt))
        })?;
        trunk.next_try = now + TRUNK_OPEN_INTERVAL.max(trunk.retry.after_round(jitter));
        Some(Failure {
            connection,
            server: attempt.server,
            condition,
            description,
        })
    }

    /// Dials what is due, gives up what takes too long; the failures of the latter.
    pub(super) fn turn(
        &mut self,
        now: Time,
        connectors: &Connectors,
        mut number: impl FnMut() -> ConnectionId,
        effects: &mut VecDeque<Effect>,
    ) -> Vec<Failure> {
        for (connection, (condition, description)) in std::mem::take(&mut self.ended) {
            // The shard has told the log why.
            drop(self.failed(connection, condition, description, now));
        }
        let mut late = Vec::new();
        for (&id, trunk) in &mut self.trunks {
            if let Some(Attempt {
                connection,
                until: Some(until),
                ..
            }) = trunk.opening
                && until <= now
            {
                effects.push_back(Effect::HangUp { connection });
                late.push(connection);
            }
            if !trunk.wanted || trunk.opening.is_some() || now < trunk.next_try {
                continue;
            }
            trunk.wanted = false;
            let mut members = trunk.members.iter();
            let Some(target) = members.find_map(|(member, _)| connectors.target(*member)) else {
                continue;
            };
            let connection = number();
            trunk.next_try = now + TRUNK_OPEN_INTERVAL;
            trunk.opening = Some(Attempt {
                connection,
                server: target.server.to_string(),
                until: Some(now + DIAL_TIME_OUT),
            });
            effects.push_back(Effect::Dial(Dial {
                connection,
                host: target.server.host.clone(),
                port: target.server.port.clone(),
                settings: Arc::clone(target.settings),
                join: Some(Join {
                    trunk: id,
                    token: trunk.peer.token,
                    container: trunk.peer.container.clone(),
                }),
            }));
        }
        let late = late.into_iter().filter_map(|connection| {
            let text = format!("no answer for {} seconds", DIAL_TIME_OUT.as_secs());
            self.failed(connection, "proton:io".to_owned(), text, now)
        });
        late.collect()
    }

    /// When [`Trunks::turn`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let due = |trunk: &Trunk| match &trunk.opening {
            Some(attempt) => attempt.until,
            None => trunk.wanted.then_some(trunk.next_try),
        };
        self.trunks.values().filter_map(due).min()
    }

    /// The shards that have connections to the router at the other end of a new one: it had better
    /// go to another. Who dials is not known before its Open has come, so one that is accepted is
    /// taken for a part of each trunk from its host that could have a further one.
    pub(super) fn shards_beside(&self, new: &NewConnection) -> Vec<ShardId> {
        let trunks = self.trunks.iter().filter(|(id, trunk)| match &new.join {
            Some(join) => join.trunk == **id,
            None => {
                new.settings.role == ConnectionRole::InterRouter
                    && !trunk.dialled
                    && !trunk.is_full()
                    && host(&trunk.peer.address) == host(&new.peer)
            }
        });
        let members = trunks.flat_map(|(_, trunk)| &trunk.members);
        members.map(|(_, shard)| *shard).collect()
    }

    /// The connections that are to leave; the paths have been published meanwhile.
    pub(super) fn tell_leaving(&mut self, out: &mut Outboxes) {
        for (connection, shard) in self.leaving.drain(..) {
            let command = Command::Connection(connection, ConnectionCommand::Leave);
            out.push(shard, Mail::Command(Box::new(command)));
        }
    }

    /// Whether a connection that was dialled has an older one beside it.
    fn is_further(&mut self, connection: ConnectionId) -> bool {
        self.with_member(connection).is_some_and(|trunk| {
            let first = trunk.members.first();
            trunk.dialled && first.is_some_and(|(member, _)| *member != connection)
        })
    }

    fn with_member(&mut self, connection: ConnectionId) -> Option<&mut Trunk> {
        let mut trunks = self.trunks.values_mut();
        trunks.find(|trunk| trunk.has_member(connection))
    }

    fn attempt(&mut self, connection: ConnectionId) -> Option<&mut Attempt> {
        let attempts = self.trunks.values_mut();
        let mut attempts = attempts.filter_map(|trunk| trunk.opening.as_mut());
        attempts.find(|attempt| attempt.connection == connection)
    }
}

impl Trunk {
    fn has(&self, connection: ConnectionId) -> bool {
        let is_opening = |attempt: &Attempt| attempt.connection == connection;
        self.opening.as_ref().is_some_and(is_opening) || self.has_member(connection)
    }

    /// Whether it has all its connections.
    fn is_full(&self) -> bool {
        self.members.len() >= usize::from(self.limit)
    }

    fn has_member(&self, connection: ConnectionId) -> bool {
        let mut members = self.members.iter();
        members.any(|(member, _)| *member == connection)
    }
}

/// The message that asks a neighbour for a further connection.
pub(super) fn busy_message() -> Bytes {
    MessageBuilder::new().value(BUSY).build()
}

/// Whether a message asks for a further connection.
pub(super) fn is_busy_message(message: &[u8]) -> bool {
    *message == *busy_message()
}

/// An address without its port.
fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

#[cfg(test)]
mod tests;
