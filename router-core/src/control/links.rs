//! Link routes: which are configured, which containers are connected that they lead to, which other
//! routers have some, and which of all these a client's link goes to.
//!
//! It attaches nothing and publishes nothing: it says which patterns there are, which keys other
//! routers ought to hear of, and where the next link goes. Decision: the choice is made here and
//! not by shards, once for each link, so the rotation is exact.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::address::{PatternError, PatternTree, trim_separators};
use crate::ids::{AddressId, AddressKey, ConnectionId, Direction, InLinkKey, ShardId};
use crate::limits;
use crate::mail::{AddressEdit, Asker, Container};
use crate::notice::Notice;
use crate::route::{LinkPatterns, Paths, RuleError, Treatment};

use super::bindings::AddressRow;

/// A link route, as it is asked for and, once checked, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRule {
    /// Its name, if it was given one; no two entries share one.
    pub name: Option<String>,
    /// Its number, dealt by the control plane.
    pub identity: u64,
    /// Addresses that begin with these tokens; either this or `pattern`.
    pub prefix: Option<String>,
    /// Addresses that match; either this or `prefix`.
    pub pattern: Option<String>,
    /// Whether it is for clients that send (`In`) or that receive.
    pub direction: Direction,
    /// The container-id of the peers that it leads to; at most one of this and `connection`.
    pub container: Option<String>,
    /// The name of the listener or connector whose connections it leads to.
    pub connection: Option<String>,
    /// What addresses get in front on the way to the container.
    pub add_prefix: Option<String>,
    /// What addresses lose in front on the way to the container.
    pub del_prefix: Option<String>,
}

/// A link route that belongs to a connection and leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedRule {
    /// The connection.
    pub connection: ConnectionId,
    /// The peer's container-id.
    pub container: Arc<str>,
}

/// A link route as management shows it.
#[derive(Clone, Copy, Debug)]
pub struct LinkRouteRow<'a> {
    /// The entry.
    pub rule: &'a LinkRule,
    /// Of one that belongs to a connection.
    pub scope: Option<&'a ScopedRule>,
    /// A container that it leads to is connected.
    pub active: bool,
}

#[derive(Debug)]
struct Entry {
    rule: LinkRule,
    scope: Option<ScopedRule>,
    key: AddressKey,
    edit: Option<Arc<AddressEdit>>,
    /// The connections that it leads to.
    active: Vec<ConnectionId>,
}

/// What is known of one pattern in one direction.
#[derive(Debug)]
struct Served {
    id: AddressId,
    /// Entries that name it.
    entries: usize,
    /// Connections that lead to containers, with the entry that says so.
    containers: Vec<(ConnectionId, u64)>,
    /// Other routers that have containers.
    routers: Vec<u16>,
    turn: usize,
}

/// Where a link goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) shard: ShardId,
    pub(super) connection: ConnectionId,
    pub(super) edit: Option<Arc<AddressEdit>>,
}

#[derive(Debug, Default)]
pub(super) struct Links {
    /// By their numbers: in the order in which they were added.
    entries: BTreeMap<u64, Entry>,
    served: BTreeMap<AddressKey, Served>,
    containers: BTreeMap<ConnectionId, Container>,
    /// Connections, of whatever role, that have link routes of their own, with these.
    owners: BTreeMap<ConnectionId, (Container, Vec<u64>)>,
    /// Whose the links are by which management may be asked.
    askers: BTreeMap<(ShardId, InLinkKey), Asker>,
    patterns: LinkPatterns,
    changed: bool,
    /// Keys of which other routers may have to hear.
    offered: BTreeSet<AddressKey>,
    notices: Vec<Notice>,
}

impl Links {
    /// Adds an entry under the number in it. Errors leave everything as it was.
    pub(super) fn add(
        &mut self,
        mut rule: LinkRule,
        owner: Option<&Container>,
        id: impl FnOnce() -> AddressId,
    ) -> Result<(), LinkRuleError> {
        let scope = owner.map(|owner| ScopedRule {
            connection: owner.connection,
            container: Arc::clone(&owner.container),
        });
        let named_alike = |entry: &Entry| entry.rule.name == rule.name && entry.scope == scope;
        if rule.name.is_some()
            && self
                .of_scope(owner.map(|of| of.connection))
                .any(named_alike)
        {
            return Err(RuleError::NameConflict.into());
        }
        let key = check(&mut rule)?;
        let (add, del) = (rule.add_prefix.clone(), rule.del_prefix.clone());
        let edit = (add.is_some() || del.is_some()).then(|| {
            Arc::new(AddressEdit {
                add: add.unwrap_or_default(),
                del: del.unwrap_or_default(),
            })
        });
        self.serve(&key, id).entries += 1;
        let identity = rule.identity;
        let entry = Entry {
            rule,
            scope,
            key,
            edit,
            active: Vec::new(),
        };
        self.entries.insert(identity, entry);
        if let Some(owner) = owner {
            let of = self.owners.entry(owner.connection);
            let (_, own) = of.or_insert_with(|| (owner.clone(), Vec::new()));
            own.push(identity);
            self.activate(identity, owner);
            return Ok(());
        }
        let containers: Vec<Container> = self.containers.values().cloned().collect();
        for container in &containers {
            self.activate(identity, container);
        }
        Ok(())
    }

    /// All configured entries, or those that belong to a connection, in the order in which they
    /// were added.
    fn of_scope(&self, of: Option<ConnectionId>) -> impl Iterator<Item = &Entry> {
        let own = of.map(|of| self.owners.get(&of).map_or(&[][..], |(_, own)| own));
        let scoped = own.into_iter().flatten();
        let scoped = scoped.filter_map(|identity| self.entries.get(identity));
        let configured = self.entries.values().filter(|entry| entry.scope.is_none());
        let configured = of.is_none().then_some(configured).into_iter().flatten();
        scoped.chain(configured)
    }

    /// Entries that belong to connections.
    pub(super) fn scoped(&self) -> usize {
        self.owners.values().map(|(_, own)| own.len()).sum()
    }

    /// Removes an entry; false if there is none with that number. Its links stay as they are.
    pub(super) fn remove(&mut self, identity: u64) -> bool {
        let Some(entry) = self.entries.get(&identity) else {
            return false;
        };
        for connection in entry.active.clone() {
            self.deactivate(identity, connection);
        }
        let Some(entry) = self.entries.remove(&identity) else {
            return false;
        };
        if let Some(scope) = &entry.scope
            && let Some((_, own)) = self.owners.get_mut(&scope.connection)
        {
            own.retain(|of| *of != identity);
        }
        if let Some(served) = self.served.get_mut(&entry.key) {
            served.entries -= 1;
        }
        self.drop_idle(&entry.key);
        true
    }

    /// A connection that entries may lead to is open.
    pub(super) fn container_up(&mut self, container: Container) {
        let of_all = |(&identity, entry): (&u64, &Entry)| entry.scope.is_none().then_some(identity);
        let configured: Vec<u64> = self.entries.iter().filter_map(of_all).collect();
        for identity in configured {
            self.activate(identity, &container);
        }
        self.containers.insert(container.connection, container);
    }

    /// It is gone, and with it the entries that belong to it.
    pub(super) fn container_down(&mut self, connection: ConnectionId) {
        for identity in self
            .owners
            .remove(&connection)
            .map_or(Vec::new(), |of| of.1)
        {
            self.remove(identity);
        }
        if self.containers.remove(&connection).is_none() {
            return;
        }
        let leads_there = |(&identity, entry): (&u64, &Entry)| {
            entry.active.contains(&connection).then_some(identity)
        };
        let active: Vec<u64> = self.entries.iter().filter_map(leads_there).collect();
        for identity in active {
            self.deactivate(identity, connection);
        }
    }

    fn activate(&mut self, identity: u64, container: &Container) {
        let Some(entry) = self.entries.get_mut(&identity) else {
            return;
        };
        let leads_there = match &entry.scope {
            Some(scope) => scope.connection == container.connection,
            None => {
                let of = |wanted: &Option<String>, is: &str| wanted.as_deref() == Some(is);
                of(&entry.rule.container, &container.container)
                    || of(&entry.rule.connection, &container.name)
            }
        };
        if !leads_there || entry.active.contains(&container.connection) {
            return;
        }
        entry.active.push(container.connection);
        self.notices.push(Notice::LinkRouteActive {
            name: entry.label(),
            connection: entry.rule.connection.clone(),
            container: container.container.to_string(),
            active: true,
        });
        if let Some(served) = self.served.get_mut(&entry.key) {
            served
                .containers
                .push((container.connection, entry.rule.identity));
            if served.containers.len() == 1 {
                self.offered.insert(Arc::clone(&entry.key));
            }
        }
    }

    fn deactivate(&mut self, identity: u64, connection: ConnectionId) {
        let Some(entry) = self.entries.get_mut(&identity) else {
            return;
        };
        let Some(at) = entry.active.iter().position(|of| *of == connection) else {
            return;
        };
        entry.active.remove(at);
        self.notices.push(Notice::LinkRouteActive {
            name: entry.label(),
            connection: entry.rule.connection.clone(),
            container: entry.rule.container.clone().unwrap_or_default(),
            active: false,
        });
        let gone = (connection, entry.rule.identity);
        if let Some(served) = self.served.get_mut(&entry.key) {
            served.containers.retain(|of| *of != gone);
            if served.containers.is_empty() {
                self.offered.insert(Arc::clone(&entry.key));
            }
        }
    }

    /// Another router has containers for a key.
    pub(super) fn map(&mut self, router: u16, key: &str, id: impl FnOnce() -> AddressId) {
        let served = self.serve(&canonical(key), id);
        if let Err(place) = served.routers.binary_search(&router) {
            served.routers.insert(place, router);
        }
    }

    /// It has none any more.
    pub(super) fn unmap(&mut self, router: u16, key: &str) {
        let key = canonical(key);
        if let Some(served) = self.served.get_mut(&key) {
            served.routers.retain(|of| *of != router);
            self.drop_idle(&key);
        }
    }

    fn serve(&mut self, key: &AddressKey, id: impl FnOnce() -> AddressId) -> &mut Served {
        let Self {
            served,
            patterns,
            changed,
            ..
        } = self;
        served.entry(Arc::clone(key)).or_insert_with(|| {
            *changed |= patterns.insert(key);
            Served {
                id: id(),
                entries: 0,
                containers: Vec::new(),
                routers: Vec::new(),
                turn: 0,
            }
        })
    }

    fn drop_idle(&mut self, key: &AddressKey) {
        let served = self.served.get(key);
        if served.is_some_and(|of| of.entries == 0 && of.routers.is_empty()) {
            self.served.remove(key);
            self.patterns.remove(key);
            self.changed = true;
        }
    }

    /// Where the next link for a key goes that has come by a connection: to the containers here in
    /// turn, else to the routers that have some in turn, whatever the way costs, but never back. A
    /// container gets its own link if there is no other here.
    pub(super) fn choose(
        &mut self,
        key: &AddressKey,
        from: ConnectionId,
        paths: &Paths,
    ) -> Option<Hop> {
        let Self {
            entries,
            served,
            containers,
            owners,
            ..
        } = self;
        let served = served.get_mut(key)?;
        let is_alone = served.containers.iter().all(|(of, _)| *of == from);
        let here: Vec<Hop> = served
            .containers
            .iter()
            .filter(|(connection, _)| *connection != from || is_alone)
            .filter_map(|&(connection, identity)| {
                let entry = entries.get(&identity)?;
                let owner = || owners.get(&connection).map(|(owner, _)| owner);
                let container = containers.get(&connection).or_else(owner);
                Some(Hop {
                    shard: container?.shard,
                    connection,
                    edit: entry.edit.clone(),
                })
            })
            .collect();
        let mut hops = here;
        if hops.is_empty() {
            let there = served.routers.iter();
            hops = there
                .filter_map(|&router| hop_to(router, from, paths))
                .collect();
        }
        if hops.is_empty() {
            return None;
        }
        let place = served.turn % hops.len();
        served.turn = served.turn.wrapping_add(1);
        Some(hops.swap_remove(place))
    }

    /// The patterns, if they differ from those of the last time.
    pub(super) fn take_patterns(&mut self) -> Option<Arc<LinkPatterns>> {
        std::mem::take(&mut self.changed).then(|| Arc::new(self.patterns.clone()))
    }

    /// The keys for which containers have come, or the last has gone.
    pub(super) fn take_offered(&mut self) -> Vec<(AddressKey, bool)> {
        let offered = std::mem::take(&mut self.offered).into_iter();
        let has = |key: &AddressKey| {
            let served = self.served.get(key);
            served.is_some_and(|served| !served.containers.is_empty())
        };
        offered
            .map(|key| {
                let has = has(&key);
                (key, has)
            })
            .collect()
    }

    pub(super) fn drain_notices(&mut self, into: &mut Vec<Notice>) {
        into.append(&mut self.notices);
    }

    /// A link has come, or has gone, by which management may be asked.
    pub(super) fn note_asker(&mut self, shard: ShardId, link: InLinkKey, of: Option<Asker>) {
        match of {
            Some(of) => drop(self.askers.insert((shard, link), of)),
            None => drop(self.askers.remove(&(shard, link))),
        }
    }

    /// Whose a link is by which management was asked.
    pub(super) fn asker(&self, shard: ShardId, link: InLinkKey) -> Option<&Asker> {
        self.askers.get(&(shard, link))
    }

    /// All configured entries, or those that belong to a connection, in the order in which they
    /// were added.
    pub(super) fn rows(&self, of: Option<ConnectionId>) -> impl Iterator<Item = LinkRouteRow<'_>> {
        self.of_scope(of).map(|entry| LinkRouteRow {
            rule: &entry.rule,
            scope: entry.scope.as_ref(),
            active: !entry.active.is_empty(),
        })
    }

    /// All keys, as addresses; `name` knows the ids of routers.
    pub(super) fn address_rows(
        &self,
        name: impl Fn(u16) -> Option<Arc<str>>,
    ) -> impl Iterator<Item = AddressRow> {
        self.served.iter().map(move |(key, served)| AddressRow {
            id: served.id,
            key: Arc::clone(key),
            treatment: Treatment::LinkBalanced,
            priority: None,
            in_process: 0,
            subscribers: 0,
            containers: served.containers.len(),
            outstanding: Vec::new(),
            routers: served.routers.iter().filter_map(|&of| name(of)).collect(),
        })
    }
}

impl Entry {
    /// What the log calls it.
    fn label(&self) -> String {
        let name = self.rule.name.clone();
        name.unwrap_or_else(|| self.rule.identity.to_string())
    }
}

/// The connection that leads to a router, unless the link has come by it.
fn hop_to(router: u16, from: ConnectionId, paths: &Paths) -> Option<Hop> {
    let path = paths.to(router)?;
    let neighbor = paths.neighbors().get(usize::from(path.neighbor))?;
    if neighbor.members.iter().any(|of| of.connection == from) {
        return None;
    }
    let stays = |member: &&crate::route::Member| !member.leaving;
    let member = neighbor.members.iter().find(stays);
    let member = member.or(neighbor.members.first())?;
    let link = member.links.iter().flatten().next()?;
    Some(Hop {
        shard: link.shard,
        connection: member.connection,
        edit: None,
    })
}

/// Why an entry was not taken. The texts are part of the management protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRuleError {
    /// Its name or its pattern.
    Rule(RuleError),
    /// It names both a connection and a container.
    TwoTargets,
}

impl std::fmt::Display for LinkRuleError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rule(error) => error.fmt(formatter),
            Self::TwoTargets => formatter
                .write_str("Both connection and containerId cannot be specified. Specify only one"),
        }
    }
}

impl std::error::Error for LinkRuleError {}

impl From<RuleError> for LinkRuleError {
    fn from(error: RuleError) -> Self {
        Self::Rule(error)
    }
}

/// Checks an entry; its key.
fn check(rule: &mut LinkRule) -> Result<AddressKey, LinkRuleError> {
    let is_prefix = rule.prefix.is_some();
    let text = match (&mut rule.prefix, &mut rule.pattern) {
        (None, None) => return Err(RuleError::NoForm.into()),
        (Some(_), Some(_)) => return Err(RuleError::TwoForms.into()),
        (Some(text), None) if text.is_empty() => return Err(RuleError::EmptyPrefix.into()),
        (None, Some(text)) if text.is_empty() => return Err(RuleError::EmptyPattern.into()),
        (Some(text), None) | (None, Some(text)) => {
            *text = trim_separators(text).to_owned();
            text.clone()
        }
    };
    let invalid = |error| match is_prefix {
        true => RuleError::InvalidPrefix(error),
        false => RuleError::InvalidPattern(error),
    };
    let mut tree = PatternTree::new();
    tree.insert(&text, ()).map_err(invalid)?;
    if text.len() >= limits::MESH_ADDRESS_BYTES {
        return Err(invalid(PatternError::TooManyTokens).into());
    }
    if rule.container.is_some() && rule.connection.is_some() {
        return Err(LinkRuleError::TwoTargets);
    }
    let class = match (rule.direction, is_prefix) {
        (Direction::In, true) => 'C',
        (Direction::Out, true) => 'D',
        (Direction::In, false) => 'E',
        (Direction::Out, false) => 'F',
    };
    Ok(canonical(&format!("{class}{text}")))
}

/// The key under which a link route is known: a pattern whose one wildcard is a `#` at its end is
/// a prefix.
fn canonical(key: &str) -> AddressKey {
    let class = match key.as_bytes().first() {
        Some(b'E') => 'C',
        Some(b'F') => 'D',
        _ => return key.into(),
    };
    let text = key.get(1..).unwrap_or_default();
    let prefix = text.strip_suffix("/#").or(text.strip_suffix(".#"));
    let has_wildcard = |prefix: &str| prefix.split(['.', '/']).any(|of| of == "*" || of == "#");
    match prefix.filter(|prefix| !prefix.is_empty() && !has_wildcard(prefix)) {
        Some(prefix) => format!("{class}{prefix}").into(),
        None => key.into(),
    }
}
