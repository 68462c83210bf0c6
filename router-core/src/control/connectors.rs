//! The connectors that are configured: which server to dial, when again, and what became of it.
//!
//! ```text
//!                    Effect::Dial            dialled          Opened
//!   Waiting(until) ────────────► Dialling ───────────► Opening ──────► Open
//!        ▲                          │ failed, too long    │ Ended        │ Ended
//!        └──────────────────────────┴────────────────────┴──────────────┘
//! ```
//!
//! It never opens a socket and never asks for the time. Decision: an attempt goes by the number of
//! the connection that it would be, so a report that comes late is about nothing any more and is
//! ignored; and nothing ends the retrying but DELETE.

use std::collections::VecDeque;
use std::sync::Arc;

use amqp_proto::Time;

use crate::control::effect::{Connect, Dial, Effect};
use crate::control::failover::{Server, Servers};
use crate::control::retry::{Jitter, Retry};
use crate::ids::ConnectionId;
use crate::limits::{DIAL_TIME_OUT, STABLE_AFTER};
use crate::mail::Dialled;
use crate::notice::{Notice, Opened};
use crate::settings::ConnectionSettings;

/// How a connector is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorStatus {
    /// It has not been tried yet.
    Initializing,
    /// It is being dialled, or the peer's Open is awaited, or it waits for its next attempt: what
    /// became of the last one is what was heard of it.
    Connecting,
    /// Both Opens were exchanged.
    Success,
}

impl ConnectorStatus {
    /// The name in management.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Connecting => "CONNECTING",
            Self::Success => "SUCCESS",
        }
    }
}

/// What was heard last of a connector.
#[derive(Clone, Debug)]
pub enum Heard {
    /// Its connection is open.
    Opened(Arc<Opened>),
    /// It failed or was lost.
    Failed {
        /// The connection it was, or would have been.
        connection: ConnectionId,
        /// `host:port` that was dialled.
        server: String,
        /// The error condition.
        condition: String,
        /// The description.
        description: String,
    },
}

/// A connector as management shows it.
#[derive(Clone, Debug)]
pub struct ConnectorRow {
    /// How it is doing.
    pub status: ConnectorStatus,
    /// What was heard last.
    pub heard: Option<Heard>,
    /// `host:port` of all its servers, beginning with the one that is used or tried next.
    pub servers: Vec<String>,
}

impl From<Failure> for Notice {
    fn from(failure: Failure) -> Self {
        let Failure {
            connection,
            server,
            condition,
            description,
        } = failure;
        Self::ConnectionFailed {
            connection,
            listener: None,
            peer: server,
            condition,
            description,
        }
    }
}

/// Where an open connection leads.
pub(super) struct Target<'a> {
    pub(super) server: &'a Server,
    pub(super) settings: &'a Arc<ConnectionSettings>,
}

/// A failure for the log.
pub(super) struct Failure {
    pub(super) connection: ConnectionId,
    pub(super) server: String,
    pub(super) condition: String,
    pub(super) description: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting(Time),
    Dialling(ConnectionId, Time),
    Opening(ConnectionId),
    Open(ConnectionId, Time),
}

impl State {
    fn connection(self) -> Option<ConnectionId> {
        match self {
            Self::Waiting(_) => None,
            Self::Dialling(id, _) | Self::Opening(id) | Self::Open(id, _) => Some(id),
        }
    }
}

#[derive(Debug)]
struct Entry {
    connect: Connect,
    state: State,
    servers: Servers,
    retry: Retry,
    heard: Option<Heard>,
}

#[derive(Debug)]
pub(super) struct Connectors {
    entries: Vec<Entry>,
    reports: VecDeque<Dialled>,
    jitter: Jitter,
}

impl Connectors {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            entries: Vec::new(),
            reports: VecDeque::new(),
            jitter: Jitter::new(seed),
        }
    }

    /// Configures a connector, to be dialled at once; false if its identity is taken.
    pub(super) fn add(&mut self, connect: Connect) -> bool {
        if self.find(&connect.identity).is_some() {
            return false;
        }
        let configured = Server {
            host: connect.host.clone(),
            port: connect.port.clone(),
        };
        self.entries.push(Entry {
            connect,
            state: State::Waiting(Time::ZERO),
            servers: Servers::new(configured),
            retry: Retry::default(),
            heard: None,
        });
        true
    }

    /// Forgets a connector: `None` if there is none, else the connection to be closed, if any.
    pub(super) fn remove(
        &mut self,
        identity: &str,
        effects: &mut VecDeque<Effect>,
    ) -> Option<Option<ConnectionId>> {
        let is_it = |entry: &Entry| &*entry.connect.identity == identity;
        let at = self.entries.iter().position(is_it)?;
        let entry = self.entries.remove(at);
        if let State::Dialling(connection, _) = entry.state {
            effects.push_back(Effect::HangUp { connection });
            return Some(None);
        }
        Some(entry.state.connection())
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The runtime has connected an attempt; false if nobody wants it any more.
    pub(super) fn dialled(&mut self, connection: ConnectionId) -> bool {
        let Some(entry) = self.entry_of(connection) else {
            return false;
        };
        entry.state = State::Opening(connection);
        true
    }

    /// The runtime could not connect an attempt.
    pub(super) fn dial_failed(
        &mut self,
        connection: ConnectionId,
        description: String,
        now: Time,
    ) -> Option<Failure> {
        self.failed(connection, Some(("proton:io".to_owned(), description)), now)
    }

    /// Takes what a shard says of a connection that was dialled.
    pub(super) fn report(&mut self, report: Dialled) {
        self.reports.push_back(report);
    }

    /// Works through the reports of the shards; the connections that nobody wants any more.
    pub(super) fn take_reports(&mut self, now: Time) -> Vec<ConnectionId> {
        let mut strays = Vec::new();
        while let Some(report) = self.reports.pop_front() {
            match report {
                Dialled::Opened(opened) => {
                    let connection = opened.connection;
                    let Some(entry) = self.entry_of(connection) else {
                        strays.push(connection);
                        continue;
                    };
                    entry.state = State::Open(connection, now);
                    entry.servers.learn(opened.properties.as_ref());
                    entry.heard = Some(Heard::Opened(opened));
                }
                // The shard has told the log why.
                Dialled::Ended {
                    connection,
                    failure,
                } => drop(self.failed(connection, failure, now)),
            }
        }
        strays
    }

    /// Whether a connection, or an attempt, is a connector's own.
    pub(super) fn knows(&self, connection: ConnectionId) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.state.connection() == Some(connection))
    }

    /// A connection is gone, but another one of its trunk is there, and stands in for it.
    pub(super) fn inherit(&mut self, connection: ConnectionId, heir: ConnectionId) {
        let entry = self.entry_of(connection);
        if let Some(State::Open(open, _)) = entry.map(|entry| &mut entry.state) {
            *open = heir;
        }
    }

    /// Where a connection leads that is open.
    pub(super) fn target(&self, connection: ConnectionId) -> Option<Target<'_>> {
        let is_it = |entry: &&Entry| matches!(entry.state, State::Open(of, _) if of == connection);
        let entry = self.entries.iter().find(is_it)?;
        Some(Target {
            server: entry.servers.current(),
            settings: &entry.connect.settings,
        })
    }

    /// Dials what is due and gives up what takes too long; the failures of the latter.
    pub(super) fn turn(
        &mut self,
        now: Time,
        mut number: impl FnMut() -> ConnectionId,
        effects: &mut VecDeque<Effect>,
    ) -> Vec<Failure> {
        let mut late = Vec::new();
        for entry in &mut self.entries {
            match entry.state {
                State::Waiting(until) if until <= now => {
                    let connection = number();
                    entry.state = State::Dialling(connection, now + DIAL_TIME_OUT);
                    let Server { host, port } = entry.servers.current().clone();
                    effects.push_back(Effect::Dial(Dial {
                        connection,
                        host,
                        port,
                        settings: Arc::clone(&entry.connect.settings),
                        join: None,
                    }));
                }
                State::Dialling(connection, until) if until <= now => {
                    effects.push_back(Effect::HangUp { connection });
                    late.push(connection);
                }
                _ => {}
            }
        }
        let late = late.into_iter().filter_map(|connection| {
            let seconds = DIAL_TIME_OUT.as_secs();
            self.dial_failed(connection, format!("no answer for {seconds} seconds"), now)
        });
        late.collect()
    }

    /// When [`Connectors::turn`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let due = |entry: &Entry| match entry.state {
            State::Waiting(until) | State::Dialling(_, until) => Some(until),
            State::Opening(_) | State::Open(..) => None,
        };
        self.entries.iter().filter_map(due).min()
    }

    /// One connector.
    pub(super) fn row(&self, identity: &str) -> Option<ConnectorRow> {
        let entry = self.find(identity)?;
        let status = match entry.state {
            State::Waiting(_) if entry.heard.is_none() => ConnectorStatus::Initializing,
            State::Waiting(_) | State::Dialling(..) | State::Opening(_) => {
                ConnectorStatus::Connecting
            }
            State::Open(..) => ConnectorStatus::Success,
        };
        Some(ConnectorRow {
            status,
            heard: entry.heard.clone(),
            servers: entry.servers.in_turn().map(ToString::to_string).collect(),
        })
    }

    /// All that are configured.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Connect> {
        self.entries.iter().map(|entry| &entry.connect)
    }

    /// An attempt or a connection is over; what is to be said of it, unless nobody knows it.
    fn failed(
        &mut self,
        connection: ConnectionId,
        failure: Option<(String, String)>,
        now: Time,
    ) -> Option<Failure> {
        let is_it = |entry: &&mut Entry| entry.state.connection() == Some(connection);
        let entry = self.entries.iter_mut().find(is_it)?;
        let (condition, description) = failure.unwrap_or_else(|| {
            let text = "closed by the other side";
            ("amqp:connection:forced".to_owned(), text.to_owned())
        });
        let server = entry.servers.current().to_string();
        let was_stable = matches!(
            entry.state,
            State::Open(_, since) if now.saturating_sub(since) >= STABLE_AFTER
        );
        if was_stable {
            entry.retry.reset();
        }
        // A server that has been good is tried again first.
        let wait = if was_stable || entry.servers.advance() {
            entry.retry.after_round(&mut self.jitter)
        } else {
            Retry::within_round(&mut self.jitter)
        };
        entry.state = State::Waiting(now + wait);
        entry.heard = Some(Heard::Failed {
            connection,
            server: server.clone(),
            condition: condition.clone(),
            description: description.clone(),
        });
        Some(Failure {
            connection,
            server,
            condition,
            description,
        })
    }

    fn find(&self, identity: &str) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries.find(|entry| &*entry.connect.identity == identity)
    }

    fn entry_of(&mut self, connection: ConnectionId) -> Option<&mut Entry> {
        let mut entries = self.entries.iter_mut();
        entries.find(|entry| entry.state.connection() == Some(connection))
    }
}

#[cfg(test)]
mod tests;
