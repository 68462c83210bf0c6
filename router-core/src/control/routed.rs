//! What the control plane does about link routes: it is told of them, and asked where links go.

use crate::control::endpoint::Request;
use crate::control::links::{Hop, LinkRouteRow, LinkRule, LinkRuleError};
use crate::control::plane::ControlPlane;
use crate::ids::ConnectionId;
use crate::mail::{
    Asker, AttachLink, Command, Container, Mail, NO_ROUTE, Relay, RelayEvent, RouteLink,
};

impl ControlPlane {
    /// Adds a link route and gives it a number; that in the entry is ignored.
    ///
    /// # Errors
    /// What is wrong with the entry; then nothing has changed.
    pub fn add_link_route(&mut self, rule: LinkRule) -> Result<u64, LinkRuleError> {
        let identity = self.last_identity + 1;
        let Self {
            links, bindings, ..
        } = self;
        let rule = LinkRule { identity, ..rule };
        links.add(rule, None, || bindings.deal_id())?;
        self.last_identity = identity;
        Ok(identity)
    }

    /// Removes a link route; false if there is none with that number. Its links stay.
    pub fn remove_link_route(&mut self, identity: u64) -> bool {
        self.links.remove(identity)
    }

    /// The link routes, in the order in which they were added.
    pub fn link_routes(&self) -> impl Iterator<Item = LinkRouteRow<'_>> {
        self.links.rows(None)
    }

    /// Who sent a request, if its link said that it was for management.
    #[must_use]
    pub fn asker(&self, request: &Request) -> Option<Asker> {
        let asker = self.links.asker(request.origin.shard, request.sender);
        asker.cloned()
    }

    /// Adds a link route that leads to a connection and goes with it; gives it a number.
    ///
    /// # Errors
    /// What is wrong with the entry; then nothing has changed.
    pub fn add_scoped_route(
        &mut self,
        rule: LinkRule,
        owner: &Container,
    ) -> Result<u64, LinkRuleError> {
        let identity = self.last_identity + 1;
        let Self {
            links, bindings, ..
        } = self;
        let rule = LinkRule { identity, ..rule };
        links.add(rule, Some(owner), || bindings.deal_id())?;
        self.last_identity = identity;
        Ok(identity)
    }

    /// How many link routes belong to connections, whichever.
    #[must_use]
    pub fn scoped_count(&self) -> usize {
        self.links.scoped()
    }

    /// The link routes that belong to a connection.
    pub fn scoped_routes(&self, of: ConnectionId) -> impl Iterator<Item = LinkRouteRow<'_>> {
        self.links.rows(Some(of))
    }

    /// A client's link goes on to where it is served, or is refused.
    pub(super) fn route_link(&mut self, ask: RouteLink) {
        let hop = self.links.choose(&ask.key, ask.connection, &self.paths);
        let Some(hop) = hop else {
            let (condition, description) = NO_ROUTE;
            let what = RelayEvent::Refused(condition, description);
            let relay = Mail::Relay(Box::new(Relay { to: ask.near, what }));
            self.outboxes.push(ask.near.shard(), relay);
            return;
        };
        let Hop {
            shard,
            connection,
            edit,
        } = hop;
        let attach = AttachLink {
            ask,
            connection,
            edit,
        };
        let attach = Command::AttachLink(attach);
        self.outboxes.push(shard, Mail::Command(Box::new(attach)));
    }
}
