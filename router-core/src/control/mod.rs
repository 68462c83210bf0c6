//! The control plane: a shard without sockets that owns the truth about addresses and configuration
//! and publishes it to the other shards as immutable snapshots.
//!
//! ```text
//!   mail in ──► bindings ──► changes ──► one new RouteTable ──► Routes, then Bound, to every shard
//!           └─► endpoint ──► requests for the agent ──► sender ──► answers as ordinary deliveries
//!           └─► gather   ──► rows of all shards
//!           └─► connectors ──► effects: what to dial
//!   agent, loader ──► rules, listeners, commands ──► the same tables, effects, mail
//! ```
//!
//! It never touches a socket, a file or a clock, and holds no queue that a client can grow without
//! bound: requests are bounded by pipe windows, questions by their number. Decision: all changes of
//! a turn become one generation, and a link is confirmed only after its generation was posted, so
//! no shard can be asked about a consumer it has not heard of.

mod autolinks;
mod bindings;
mod config;
mod connectors;
mod effect;
mod endpoint;
mod failover;
mod gather;
mod links;
mod listeners;
mod neighbors;
mod plane;
mod retry;
mod routed;
mod sender;
mod state;
mod traced;
mod trunks;
mod waypoints;

pub use autolinks::{AutoLinkError, AutoLinkRow, AutoLinkRule, AutoLinkStatus};
pub use bindings::AddressRow;
pub use config::ControlConfig;
pub use connectors::{ConnectorRow, ConnectorStatus, Heard};
pub use effect::{Connect, ConnectorIdentity, Dial, Effect, Listen, ListenerIdentity};
pub use endpoint::Request;
pub use gather::{Gathered, QueryId};
pub use links::{LinkRouteRow, LinkRule, LinkRuleError, ScopedRule};
pub use plane::ControlPlane;

use std::sync::Arc;

use amqp_codec::DeliveryState;
use amqp_proto::Time;
use bytes::Bytes;

use crate::control::bindings::Changes;
use crate::control::neighbors::Neighbors;
use crate::counters::Counters;
use crate::ids::{AddressId, AddressKey, ConnectionId, ShardId};
use crate::inspect::{AddressCounters, Subject};
use crate::mail::{Batch, BoundLink, Command, ConnectionCommand, Mail, Outboxes};
use crate::mesh::NodeRow;
use crate::notice::Notice;
use crate::route::{AddressRule, Paths, RouteTable, RuleError};
use crate::settings::{ManagementAccess, NewConnection, RouterSettings};

impl ControlPlane {
    /// The routing table as published last; shards begin with it.
    #[must_use]
    pub fn table(&self) -> &Arc<RouteTable> {
        &self.table
    }

    /// The router's settings.
    #[must_use]
    pub fn settings(&self) -> &Arc<RouterSettings> {
        &self.settings
    }

    /// The number of worker shards.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.shards
    }

    /// The counters of all shards.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    // Input.

    /// Takes the mail of one shard. [`ControlPlane::turn`] answers it.
    pub fn handle_mail(&mut self, mut batch: Batch) {
        for mail in batch.mail.drain(..) {
            self.handle(mail);
        }
        self.outboxes.recycle(batch);
    }

    /// Does what is due: publishes changes, confirms receivers, sends messages and questions.
    pub fn turn(&mut self, now: Time) {
        let own = ShardId(self.shards);
        self.turn_connectors(now);
        self.turn_mesh(now);
        self.turn_auto_links(now);
        self.publish();
        let Self {
            sender,
            table,
            paths,
            outboxes,
            ..
        } = self;
        for address in sender.route(table, paths, outboxes) {
            self.endpoint.count_sent(address);
        }
        if let Some(batch) = self.outboxes.take(own) {
            self.handle_mail(batch);
        }
        self.gather.expire(now);
        while let Some(query) = self.gather.start(now) {
            for shard in self.workers() {
                self.outboxes.push(shard, Mail::Inspect(Box::new(query)));
            }
        }
    }

    // Output.

    /// The mail for the shards.
    pub fn outboxes(&mut self) -> &mut Outboxes {
        &mut self.outboxes
    }

    /// The next thing to do outside.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Moves what happened into the list.
    pub fn drain_notices(&mut self, into: &mut Vec<Notice>) {
        self.bindings.drain_notices(into);
        self.links.drain_notices(into);
        self.auto_links.drain_notices(into);
        into.append(&mut self.notices);
    }

    /// When [`ControlPlane::turn`] is needed without new mail.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let deadlines = [
            self.gather.next_deadline(),
            self.connectors.next_deadline(),
            self.trunks.next_deadline(),
            self.auto_links.next_deadline(),
            self.neighbors.as_ref().and_then(Neighbors::next_deadline),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Whether a turn has something to do at once.
    #[must_use]
    pub fn is_runnable(&self) -> bool {
        self.sender.is_waiting()
            || self.bindings.is_waiting()
            || self.auto_links.is_waiting()
            || self.gather.is_waiting()
            || self.outboxes.has_own()
            || self.neighbors.as_ref().is_some_and(Neighbors::is_waiting)
    }

    // For the agent.

    /// Whether [`ControlPlane::poll_request`] has something to give.
    #[must_use]
    pub fn has_requests(&self) -> bool {
        self.endpoint.has_requests()
    }

    /// The next message for `$management`. It must be given an outcome with
    /// [`ControlPlane::settle`].
    pub fn poll_request(&mut self) -> Option<Request> {
        self.endpoint.poll_request(&mut self.outboxes)
    }

    /// Gives a request its outcome; nothing for one that its producer has settled.
    pub fn settle(&mut self, request: &Request, state: DeliveryState) {
        let own = ShardId(self.shards);
        if !request.settled {
            endpoint::settle(own, request.origin, state, &mut self.outboxes);
        }
    }

    /// Sends a message of the router's own, settled; dropped where its address has no consumer.
    pub fn send(&mut self, to: &str, message: Bytes) {
        self.sender.send(to, message);
    }

    /// Asks all shards; they have five seconds. The caller bounds how many questions it asks.
    pub fn ask(&mut self, what: Subject) -> QueryId {
        self.gather.ask(what)
    }

    /// The next question that all shards have answered, or whose time is up.
    pub fn poll_gathered(&mut self) -> Option<Gathered> {
        self.gather.poll()
    }

    /// Adds a line for the log.
    pub fn note(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// The number of addresses known.
    #[must_use]
    pub fn address_count(&self) -> usize {
        self.bindings.len() + self.links.address_rows(|_| None).count()
    }

    /// All addresses, oldest first.
    #[must_use]
    pub fn addresses(&self) -> Vec<AddressRow> {
        let name = |index| self.router_id(index);
        let mut rows = self.bindings.rows(name, self.table.boards());
        rows.extend(self.links.address_rows(name));
        rows.sort_by_key(|row| row.id);
        rows
    }

    /// One address.
    #[must_use]
    pub fn address(&self, key: &str) -> Option<AddressRow> {
        let name = |index| self.router_id(index);
        let routed = || self.links.address_rows(name).find(|row| *row.key == *key);
        let boards = self.table.boards();
        self.bindings.get(key, name, boards).or_else(routed)
    }

    /// What leads to other routers, as published last.
    #[must_use]
    pub fn paths(&self) -> &Arc<Paths> {
        &self.paths
    }

    /// All routers of the network, this one included, in the order of their ids; none for a router
    /// that is by itself.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeRow> {
        self.neighbors
            .as_ref()
            .map(Neighbors::nodes)
            .unwrap_or_default()
    }

    fn router_id(&self, index: u16) -> Option<Arc<str>> {
        self.neighbors.as_ref()?.router_id(index)
    }

    /// What in-process consumers and producers have carried by an address.
    #[must_use]
    pub fn in_process_counters(&self, address: AddressId) -> AddressCounters {
        self.endpoint.counters(address)
    }

    // Configuration.

    /// The next entry gets this number, if it has not been dealt: for who copies those of another.
    pub fn number_next(&mut self, identity: u64) {
        self.last_identity = self.last_identity.max(identity.saturating_sub(1));
    }

    /// Adds an entry about addresses and gives it a number; that in the entry is ignored.
    ///
    /// # Errors
    /// What is wrong with the entry; then nothing has changed.
    pub fn add_address(&mut self, rule: AddressRule) -> Result<u64, RuleError> {
        let identity = self.last_identity + 1;
        self.rules.add(AddressRule { identity, ..rule })?;
        self.last_identity = identity;
        self.rules_changed = true;
        Ok(identity)
    }

    /// Removes an entry about addresses; false if there is none with that number. Records made
    /// under it keep their treatment.
    pub fn remove_address(&mut self, identity: u64) -> bool {
        let removed = self.rules.remove(identity).is_some();
        self.rules_changed |= removed;
        removed
    }

    /// The entries about addresses, in the order in which they were added.
    pub fn address_rules(&self) -> impl ExactSizeIterator<Item = &AddressRule> {
        self.rules.iter().map(|rule| &**rule)
    }

    /// Opens a listener, and again those that failed; false if its identity is taken.
    pub fn listen(&mut self, listen: Listen) -> bool {
        self.narrow_management(listen.settings.management);
        self.listeners.add(listen, &mut self.effects)
    }

    /// The least that a listener or connector has ever let its peers do by management: connections
    /// outlive their listener, and what it allowed them.
    #[must_use]
    pub fn least_management(&self) -> ManagementAccess {
        self.least_management
    }

    fn narrow_management(&mut self, access: ManagementAccess) {
        self.least_management = self.least_management.min(access);
    }

    /// The listeners, as they were asked for.
    pub fn listeners(&self) -> impl Iterator<Item = &Listen> {
        self.listeners.iter()
    }

    /// Closes a listener; false if there is none with that identity.
    pub fn unlisten(&mut self, identity: &str) -> bool {
        self.listeners.remove(identity, &mut self.effects)
    }

    /// The runtime has bound a listener.
    pub fn listener_ready(&mut self, identity: &ListenerIdentity) {
        self.listeners.report(identity, true);
    }

    /// The runtime could not bind a listener, or lost it.
    pub fn listener_failed(&mut self, identity: &ListenerIdentity) {
        self.listeners.report(identity, false);
    }

    /// Keeps a connector connected from now on, and asks again for listeners that failed; false if
    /// its identity is taken.
    pub fn connect(&mut self, connect: Connect) -> bool {
        self.narrow_management(connect.settings.management);
        let is_new = self.connectors.add(connect);
        if is_new {
            self.listeners.ask_again(&mut self.effects);
        }
        is_new
    }

    /// Forgets a connector and closes its connection; false if there is none with that identity.
    pub fn disconnect(&mut self, identity: &str) -> bool {
        let Some(connection) = self.connectors.remove(identity, &mut self.effects) else {
            return false;
        };
        if let Some(connection) = connection {
            for connection in self.trunks.disband(connection, &mut self.effects) {
                self.command(connection, ConnectionCommand::Close);
            }
        }
        true
    }

    /// The number of the next connection, accepted or dialled.
    pub fn deal_connection(&mut self) -> ConnectionId {
        deal(&mut self.last_connection)
    }

    /// The runtime has connected what was to be dialled; false if it is not wanted any more. Else
    /// its shard says the rest.
    #[must_use]
    pub fn dialled(&mut self, connection: ConnectionId) -> bool {
        self.connectors.dialled(connection) || self.trunks.dialled(connection)
    }

    /// The shards that have connections to the router at the other end of a new connection: it had
    /// better go to another. One that has several is named as often.
    #[must_use]
    pub fn shards_beside(&self, new: &NewConnection) -> Vec<ShardId> {
        self.trunks.shards_beside(new)
    }

    /// The runtime could not connect what was to be dialled.
    pub fn dial_failed(&mut self, connection: ConnectionId, description: String, now: Time) {
        let connectors = &mut self.connectors;
        let failure = self
            .trunks
            .dial_failed(connection, description, connectors, now);
        self.notices.extend(failure.map(Notice::from));
    }

    /// How a connector is doing.
    #[must_use]
    pub fn connector(&self, identity: &str) -> Option<ConnectorRow> {
        self.connectors.row(identity)
    }

    /// Does something to a connection, wherever it is; nothing if there is none.
    pub fn command(&mut self, connection: ConnectionId, command: ConnectionCommand) {
        self.broadcast(|| Command::Connection(connection, command));
    }

    /// Has producers give their credit back and other routers send what is new elsewhere, so that
    /// what is under way comes to an end.
    pub fn retire(&mut self, now: Time) {
        self.for_neighbors(|of| of.leave(now));
        self.broadcast(|| Command::Retire);
    }

    /// Has all connections closed, as at the end of the program.
    pub fn shut_down(&mut self) {
        self.connectors.clear();
        self.trunks.clear();
        self.broadcast(|| Command::Shutdown);
    }

    fn broadcast(&mut self, command: impl Fn() -> Command) {
        for shard in self.workers() {
            self.outboxes
                .push(shard, Mail::Command(Box::new(command())));
        }
    }

    fn workers(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.shards).map(ShardId)
    }

    fn handle(&mut self, mail: Mail) {
        match mail {
            Mail::Forward(forward) => self.endpoint.forward(&forward, &mut self.outboxes),
            Mail::Data { of, chunk, end, .. } => {
                self.endpoint.data(of, &chunk, end, &mut self.outboxes);
            }
            Mail::Command(command) => self.take_command(*command),
            Mail::Receipt { from, bytes } => {
                let by = ShardId(self.shards);
                self.outboxes.push(from, Mail::Received { by, bytes });
            }
            Mail::Answer(answer) => self.gather.answer(*answer),
            // Answers are settled at once and messages are sent settled, so there is nothing left
            // to settle, to come home or to make room for.
            Mail::Outcome { .. }
            | Mail::Dispose { .. }
            | Mail::Returned(_)
            | Mail::Progress { .. }
            | Mail::Standing { .. }
            | Mail::Left { .. }
            | Mail::Recall { .. }
            | Mail::Received { .. }
            | Mail::Credit { .. }
            | Mail::Drained { .. }
            | Mail::Relay(_)
            | Mail::Gone(_)
            | Mail::Window { .. }
            | Mail::Swept { .. }
            | Mail::Routes(..)
            | Mail::Paths(_)
            | Mail::Inspect(_) => {}
        }
    }

    fn take_command(&mut self, command: Command) {
        match command {
            Command::Bind(mut bind) => {
                if let (Some(from), BoundLink::In(shard, link)) = (bind.from.take(), bind.link) {
                    self.links.note_asker(shard, link, Some(*from));
                }
                self.bindings.bind(bind);
            }
            Command::Unbind(unbind) => {
                if let BoundLink::In(shard, link) = unbind.link {
                    self.links.note_asker(shard, link, None);
                }
                self.bindings.unbind(&unbind);
            }
            Command::ContainerUp(container) => {
                self.auto_links.container_up(container.clone());
                self.links.container_up(container);
            }
            Command::ContainerDown(connection) => {
                self.auto_links.container_down(connection);
                self.links.container_down(connection);
            }
            Command::AutoLink(of, event) => self.auto_links.report(of, event),
            Command::RouteLink(ask) => self.route_link(ask),
            Command::Dialled(report) => self.trunks.report(report, &mut self.connectors),
            Command::LinkUp(link) => self.for_neighbors(|of| of.link_up(link)),
            Command::LinkDown(link) => self.for_neighbors(|of| of.link_down(link)),
            Command::Trunk(news) => {
                let (neighbors, out) = (self.neighbors.as_mut(), &mut self.outboxes);
                self.trunks.take(news, neighbors, &mut self.connectors, out);
            }
            Command::Routing(connection, message) if trunks::is_busy_message(&message) => {
                let _is_ours_to_dial = self.trunks.busy(connection);
            }
            Command::Routing(connection, message) => {
                self.for_neighbors(|of| of.message(connection, message));
            }
            Command::Arriving(from) => self.for_neighbors(|of| of.arriving(from)),
            // The control plane's own words come from nobody.
            Command::Bound(_)
            | Command::AttachLink(_)
            | Command::AttachAutoLink(_)
            | Command::DetachAutoLink(_)
            | Command::Connection(..)
            | Command::TraceAll(_)
            | Command::ShowMessages(_)
            | Command::Sasl(..)
            | Command::Retire
            | Command::Shutdown => {}
        }
    }

    fn turn_connectors(&mut self, now: Time) {
        for stray in self.connectors.take_reports(now) {
            self.command(stray, ConnectionCommand::Close);
        }
        let number = || deal(&mut self.last_connection);
        let mut late = self.connectors.turn(now, number, &mut self.effects);
        let (connectors, number) = (&self.connectors, || deal(&mut self.last_connection));
        late.extend(self.trunks.turn(now, connectors, number, &mut self.effects));
        self.notices.extend(late.into_iter().map(Notice::from));
    }

    fn for_neighbors(&mut self, verb: impl FnOnce(&mut Neighbors)) {
        if let Some(neighbors) = &mut self.neighbors {
            verb(neighbors);
        }
    }

    /// Lets the routing protocol do what is due, and publishes the paths if they have changed.
    fn turn_mesh(&mut self, now: Time) {
        let Some(neighbors) = &mut self.neighbors else {
            return;
        };
        let Self {
            bindings, links, ..
        } = self;
        neighbors.turn(now, bindings, links, &self.rules, &mut self.notices);
        neighbors.offer(bindings, links, now);
        neighbors.send(&mut self.outboxes, &mut self.notices);
        let age = self.settings.timers.hello_max_age;
        let silent = neighbors.take_silent();
        if let Some(paths) = neighbors.take_paths() {
            self.paths = paths;
            for shard in self.workers() {
                let paths = Mail::Paths(Arc::clone(&self.paths));
                self.outboxes.push(shard, paths);
            }
        }
        self.trunks.tell_leaving(&mut self.outboxes);
        for connection in silent {
            self.command(connection, ConnectionCommand::Doubt(age));
        }
    }

    /// Makes one generation of all changes and posts it; confirms the receivers of the last one.
    fn publish(&mut self) {
        let Changes {
            routes,
            bound,
            gone,
        } = self.bindings.take_changes(self.outboxes.posted());
        for address in gone {
            self.endpoint.forget(address);
        }
        let links = self.links.take_patterns();
        if !routes.is_empty() || self.rules_changed || links.is_some() {
            let changed: Arc<[AddressKey]> =
                routes.iter().map(|(key, _)| Arc::clone(key)).collect();
            let mut table = self.table.with_changes(routes);
            let boards = table.boards().grown(self.bindings.slots_needed());
            self.sender.adopt(&boards);
            table = table.with_boards(boards);
            if std::mem::take(&mut self.rules_changed) {
                table = table.with_rules(Arc::new(self.rules.clone()));
            }
            if let Some(links) = links {
                table = table.with_links(links);
            }
            self.table = Arc::new(table);
            for shard in self.workers() {
                let routes = Mail::Routes(Arc::clone(&self.table), Arc::clone(&changed));
                self.outboxes.push(shard, routes);
            }
        }
        for bound in bound {
            self.outboxes.push(
                bound.link.shard,
                Mail::Command(Box::new(Command::Bound(bound))),
            );
        }
    }
}

fn deal(last: &mut u64) -> ConnectionId {
    *last += 1;
    ConnectionId(*last)
}

#[cfg(test)]
mod tests;
