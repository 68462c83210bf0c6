//! How the control plane and those it knows are doing, for who watches the router from outside.
//! It changes nothing but what is waiting to be taken.

use std::sync::Arc;

use crate::control::connectors::ConnectorRow;
use crate::control::effect::{Connect, Listen};
use crate::control::gather::{Gathered, QueryId};
use crate::control::neighbors::Neighbors;
use crate::control::plane::ControlPlane;

impl ControlPlane {
    /// The answer to one of these questions; those to others stay for who has asked them.
    pub fn poll_gathered_of(&mut self, asked: &[QueryId]) -> Option<Gathered> {
        self.gather.poll_of(asked)
    }

    /// The listeners, and whether each is open.
    pub fn listener_states(&self) -> impl Iterator<Item = (&Listen, bool)> {
        self.listeners.states()
    }

    /// The connectors, and how each is doing.
    pub fn connector_states(&self) -> impl Iterator<Item = (&Connect, ConnectorRow)> {
        let connectors = self.connectors.iter();
        connectors.filter_map(|connect| Some((connect, self.connector(&connect.identity)?)))
    }

    /// Routers to which a way leads and of which link state or addresses have never been heard.
    #[must_use]
    pub fn unheard_routers(&self) -> Vec<Arc<str>> {
        let neighbors = self.neighbors.as_ref();
        neighbors.map(Neighbors::unheard).unwrap_or_default()
    }
}
