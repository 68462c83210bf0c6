//! Auto-links: which are configured, on which connections they are attached, and when one that was
//! refused or detached is attached again.
//!
//! ```text
//!   Attaching ──Active──► Active ──Ended──► Waiting ──2 s, then 5 s──► Attaching
//!       └───────────────────Ended─────────────▲
//! ```
//!
//! It attaches nothing itself: it says what is to be attached and detached. Decision: a link that
//! is asked for is waited for as long as its connection lasts, for its container may only be slow,
//! and a second one beside it would not be answered sooner. So whoever never answers costs one
//! link, and whoever refuses for ever costs one attach each five seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use amqp_codec::Str;
use amqp_proto::Time;

use crate::address::{AddressContext, Phase, lookup_key, normalise};
use crate::ids::{AddressKey, ConnectionId, Direction, LinkId, ShardId};
use crate::limits;
use crate::mail::{AttachAutoLink, AutoLinkEvent, AutoLinkKey, Container};
use crate::notice::{AutoLinkNews, Notice};
use crate::route::{RuleError, Rules, Treatment};

/// The highest phase.
const PHASE_MAX: i64 = 9;

/// An auto-link, as it is asked for and, once checked, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoLinkRule {
    /// Its name, if it was given one; no two entries share one.
    pub name: Option<String>,
    /// Its number, dealt by the control plane.
    pub identity: u64,
    /// The address, as this network knows it.
    pub address: String,
    /// Whether the router receives (`In`) or sends.
    pub direction: Direction,
    /// The phase at which messages enter or leave the network. Checked: always there, 0 to 9.
    pub phase: Option<i64>,
    /// The container-id of the peers; at most one of this and `connection`.
    pub container: Option<String>,
    /// The name of the listener or connector whose connections it is for.
    pub connection: Option<String>,
    /// The address, as the container knows it, if that differs.
    pub external_address: Option<String>,
    /// It serves those whom nobody else serves.
    pub fallback: bool,
}

/// How an auto-link is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoLinkStatus {
    /// None of its containers is connected.
    Inactive,
    /// A container has been asked.
    Attaching,
    /// A container has taken it.
    Active,
    /// It was refused or detached, and waits to be attached again.
    Failed,
}

/// An auto-link as management shows it. Of one that is on several connections the best is shown.
#[derive(Clone, Copy, Debug)]
pub struct AutoLinkRow<'a> {
    /// The entry.
    pub rule: &'a AutoLinkRule,
    /// How it is doing.
    pub status: AutoLinkStatus,
    /// Its link, while it is active.
    pub link: Option<LinkId>,
    /// Why it failed last; nothing once it is active.
    pub last_error: Option<&'a str>,
}

#[derive(Debug)]
struct Entry {
    rule: AutoLinkRule,
    key: AddressKey,
    attempts: BTreeMap<ConnectionId, Attempt>,
    last_error: Option<String>,
}

/// The link of an entry on one connection.
#[derive(Debug)]
struct Attempt {
    shard: ShardId,
    /// What the log calls its connection.
    container: String,
    stage: Stage,
    /// It failed, and has not lasted since.
    has_failed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Attaching,
    Active { link: LinkId, since: Time },
    Waiting { until: Time },
}

/// What a shard is to do.
#[derive(Debug)]
pub(super) enum Errand {
    Attach(Box<AttachAutoLink>),
    Detach(AutoLinkKey),
}

#[derive(Debug)]
pub(super) struct AutoLinks {
    context: AddressContext,
    entries: BTreeMap<u64, Entry>,
    containers: BTreeMap<ConnectionId, Container>,
    /// What shards have said since the last turn.
    events: Vec<(AutoLinkKey, AutoLinkEvent)>,
    /// Who is to be asked as soon as may be.
    due: Vec<AutoLinkKey>,
    /// Who is to be asked again, and when.
    waiting: BTreeSet<(Time, AutoLinkKey)>,
    leaving: Vec<(ShardId, AutoLinkKey)>,
    notices: Vec<Notice>,
}

impl AutoLinks {
    /// None, for a router of this id.
    pub(super) fn new(router: &str) -> Self {
        Self {
            context: AddressContext::new(router),
            entries: BTreeMap::new(),
            containers: BTreeMap::new(),
            events: Vec::new(),
            due: Vec::new(),
            waiting: BTreeSet::new(),
            leaving: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Adds an entry under the number in it. Errors leave everything as it was.
    pub(super) fn add(&mut self, mut rule: AutoLinkRule) -> Result<(), AutoLinkError> {
        let mut rules = self.entries.values().map(|entry| &entry.rule);
        if rule.name.is_some() && rules.any(|other| other.name == rule.name) {
            return Err(AutoLinkError::NameConflict);
        }
        let phase = check(&mut rule)?;
        let mut key = String::new();
        lookup_key(&rule.address, phase, None, &self.context, &mut key);
        if !key.starts_with('M') {
            return Err(AutoLinkError::NotMobile);
        }
        if key.len() > limits::MESH_ADDRESS_BYTES {
            return Err(AutoLinkError::LongAddress);
        }
        let identity = rule.identity;
        let entry = Entry {
            rule,
            key: key.into(),
            attempts: BTreeMap::new(),
            last_error: None,
        };
        self.entries.insert(identity, entry);
        let containers: Vec<Container> = self.containers.values().cloned().collect();
        for container in &containers {
            self.activate(identity, container);
        }
        Ok(())
    }

    /// Removes an entry, and has its links detached; false if there is none with that number.
    pub(super) fn remove(&mut self, identity: u64) -> bool {
        let Some(mut entry) = self.entries.remove(&identity) else {
            return false;
        };
        for (connection, attempt) in std::mem::take(&mut entry.attempts) {
            let of = AutoLinkKey {
                entry: identity,
                connection,
            };
            match attempt.stage {
                Stage::Waiting { until } => drop(self.waiting.remove(&(until, of))),
                Stage::Attaching | Stage::Active { .. } => self.leaving.push((attempt.shard, of)),
            }
            if matches!(attempt.stage, Stage::Active { .. }) {
                let news = AutoLinkNews::Deactivated;
                self.notices.push(entry.notice(&attempt.container, news));
            }
        }
        true
    }

    /// A connection that entries may be for is open.
    pub(super) fn container_up(&mut self, container: Container) {
        let identities: Vec<u64> = self.entries.keys().copied().collect();
        for identity in identities {
            self.activate(identity, &container);
        }
        self.containers.insert(container.connection, container);
    }

    /// It is gone, and its links with it.
    pub(super) fn container_down(&mut self, connection: ConnectionId) {
        if self.containers.remove(&connection).is_none() {
            return;
        }
        for (&identity, entry) in &mut self.entries {
            let Some(attempt) = entry.attempts.remove(&connection) else {
                continue;
            };
            match attempt.stage {
                Stage::Attaching => {}
                Stage::Waiting { until } => {
                    let of = AutoLinkKey {
                        entry: identity,
                        connection,
                    };
                    self.waiting.remove(&(until, of));
                }
                Stage::Active { .. } => {
                    let news = AutoLinkNews::Deactivated;
                    self.notices.push(entry.notice(&attempt.container, news));
                }
            }
        }
    }

    fn activate(&mut self, identity: u64, container: &Container) {
        let Some(entry) = self.entries.get_mut(&identity) else {
            return;
        };
        let of = |wanted: &Option<String>, is: &str| wanted.as_deref() == Some(is);
        let is_for = of(&entry.rule.container, &container.container)
            || of(&entry.rule.connection, &container.name);
        let connection = container.connection;
        if !is_for || entry.attempts.contains_key(&connection) {
            return;
        }
        let attempt = Attempt {
            shard: container.shard,
            container: container.container.to_string(),
            stage: Stage::Attaching,
            has_failed: false,
        };
        entry.attempts.insert(connection, attempt);
        self.due.push(AutoLinkKey {
            entry: identity,
            connection,
        });
    }

    /// A shard has said what came of a link; [`AutoLinks::turn`] reads it.
    pub(super) fn report(&mut self, of: AutoLinkKey, event: AutoLinkEvent) {
        self.events.push((of, event));
    }

    /// What shards are to do, by what they have said and by the time.
    pub(super) fn turn(&mut self, now: Time, rules: &Rules) -> Vec<(ShardId, Errand)> {
        for (of, event) in std::mem::take(&mut self.events) {
            self.take(of, event, now);
        }
        while let Some(&(until, of)) = self.waiting.first()
            && until <= now
        {
            self.waiting.pop_first();
            self.due.push(of);
        }
        let leaving = std::mem::take(&mut self.leaving).into_iter();
        let mut errands: Vec<_> = leaving
            .map(|(shard, of)| (shard, Errand::Detach(of)))
            .collect();
        for of in std::mem::take(&mut self.due) {
            let Some(entry) = self.entries.get_mut(&of.entry) else {
                continue;
            };
            let ask = entry.ask(of, rules);
            let Some(attempt) = entry.attempts.get_mut(&of.connection) else {
                continue;
            };
            attempt.stage = Stage::Attaching;
            errands.push((attempt.shard, Errand::Attach(Box::new(ask))));
        }
        errands
    }

    fn take(&mut self, of: AutoLinkKey, event: AutoLinkEvent, now: Time) {
        let Some(entry) = self.entries.get_mut(&of.entry) else {
            return;
        };
        // What is said of a connection that is gone comes too late.
        let Some(attempt) = entry.attempts.get_mut(&of.connection) else {
            return;
        };
        let news = match event {
            AutoLinkEvent::Active(link) => {
                attempt.stage = Stage::Active { link, since: now };
                entry.last_error = None;
                AutoLinkNews::Activated
            }
            AutoLinkEvent::Ended(why) => {
                if let Stage::Active { since, .. } = attempt.stage
                    && now >= since + limits::AUTO_LINK_RETRY
                {
                    attempt.has_failed = false;
                }
                let wait = match std::mem::replace(&mut attempt.has_failed, true) {
                    false => limits::AUTO_LINK_FIRST_RETRY,
                    true => limits::AUTO_LINK_RETRY,
                };
                let until = now + wait;
                attempt.stage = Stage::Waiting { until };
                self.waiting.insert((until, of));
                entry.last_error = Some(why.clone());
                AutoLinkNews::Failed(why)
            }
        };
        let container = entry.attempts.get(&of.connection);
        let container = container.map_or("", |attempt| &attempt.container);
        let notice = entry.notice(container, news);
        self.notices.push(notice);
    }

    /// Whether [`AutoLinks::turn`] has something to do at once.
    pub(super) fn is_waiting(&self) -> bool {
        !self.due.is_empty() || !self.leaving.is_empty() || !self.events.is_empty()
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.waiting.first().map(|(until, _)| *until)
    }

    pub(super) fn drain_notices(&mut self, into: &mut Vec<Notice>) {
        into.append(&mut self.notices);
    }

    /// All entries, in the order in which they were added.
    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = AutoLinkRow<'_>> {
        self.entries.values().map(Entry::row)
    }
}

impl Entry {
    /// What a shard is to attach.
    fn ask(&self, of: AutoLinkKey, rules: &Rules) -> AttachAutoLink {
        let rule = &self.rule;
        let address = normalise(&rule.address);
        let resolved = rules.resolve(address, rule.direction);
        let external = rule.external_address.as_deref().unwrap_or(address);
        AttachAutoLink {
            of,
            direction: rule.direction,
            address: Str::copy(address),
            key: AddressKey::clone(&self.key),
            treatment: match resolved.treatment {
                _ if Phase::is_fallback(&self.key) => Treatment::OF_FALLBACKS,
                // An auto-link opens its address, to clients as well, as long as it is there.
                Treatment::Unavailable => Treatment::AnycastBalanced,
                treatment => treatment,
            },
            priority: resolved.priority,
            external: Str::copy(external),
            fallback: rule.fallback,
        }
    }

    fn row(&self) -> AutoLinkRow<'_> {
        let mut row = AutoLinkRow {
            rule: &self.rule,
            status: AutoLinkStatus::Inactive,
            link: None,
            last_error: self.last_error.as_deref(),
        };
        for attempt in self.attempts.values() {
            row.status = match (attempt.stage, row.status) {
                (Stage::Active { link, .. }, _) => {
                    row.link.get_or_insert(link);
                    AutoLinkStatus::Active
                }
                (Stage::Attaching, AutoLinkStatus::Inactive | AutoLinkStatus::Failed) => {
                    AutoLinkStatus::Attaching
                }
                (Stage::Waiting { .. }, AutoLinkStatus::Inactive) => AutoLinkStatus::Failed,
                (_, status) => status,
            };
        }
        if row.status == AutoLinkStatus::Active {
            row.last_error = None;
        }
        row
    }

    fn notice(&self, container: &str, news: AutoLinkNews) -> Notice {
        let name = self.rule.name.clone();
        Notice::AutoLink {
            name: name.unwrap_or_else(|| self.rule.identity.to_string()),
            connection: self.rule.connection.clone(),
            container: container.to_owned(),
            news,
        }
    }
}

/// Checks an entry, and fills in its phase.
fn check(rule: &mut AutoLinkRule) -> Result<Phase, AutoLinkError> {
    if normalise(&rule.address).is_empty() {
        return Err(AutoLinkError::NoAddress);
    }
    if rule.container.is_some() && rule.connection.is_some() {
        return Err(AutoLinkError::TwoTargets);
    }
    let usual = match (rule.direction, rule.fallback) {
        (Direction::In, false) => 1,
        (Direction::In, true) | (Direction::Out, _) => 0,
    };
    let phase = *rule.phase.get_or_insert(usual);
    if !(0..=PHASE_MAX).contains(&phase) {
        return Err(AutoLinkError::Phase);
    }
    Ok(match (rule.direction, rule.fallback) {
        (Direction::Out, true) => Phase::Fallback,
        _ => Phase::Digit(u8::try_from(phase).unwrap_or_default()),
    })
}

/// Why an entry was not taken. The texts are part of the management protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoLinkError {
    /// Another has its name.
    NameConflict,
    /// It names no address.
    NoAddress,
    /// Its address is the router's own.
    NotMobile,
    /// Its address is longer than routers tell each other.
    LongAddress,
    /// A phase outside 0 to 9.
    Phase,
    /// It names both a connection and a container.
    TwoTargets,
}

impl fmt::Display for AutoLinkError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NameConflict => return RuleError::NameConflict.fmt(formatter),
            Self::NoAddress => "address and direction fields are mandatory",
            Self::NotMobile => {
                "The address of an autoLink must not be a router's own: one that begins with \
                 '_local/', '_topo/' or '_edge/'"
            }
            Self::LongAddress => "The address of the autoLink is too long",
            Self::Phase => "autoLink phase must be between 0 and 9",
            Self::TwoTargets => {
                "Both connection and containerId cannot be specified. Specify only one"
            }
        })
    }
}

impl std::error::Error for AutoLinkError {}

#[cfg(test)]
mod tests;
