//! The options of all verbs that ask a management node: which, how long, and by which connection.

use std::time::Duration;

use clap::Args;

use crate::cli::client::ConnectOptions;
use crate::cli::client::interrupt::Interrupt;
use crate::cli::failure::Failure;
use crate::cli::manager::{Manager, Node};
use crate::cli::quantity;

/// How long an answer may take where nothing is said.
pub const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Whom to ask.
#[derive(Clone, Debug, Args)]
pub struct AskOptions {
    /// Ask another router of the network, through the one that is connected to.
    #[arg(short, long, value_name = "ID", conflicts_with = "edge_router")]
    pub router: Option<String>,
    /// Ask an edge router.
    #[arg(short = 'd', long, value_name = "ID")]
    pub edge_router: Option<String>,
    /// How long an answer may take; where silent, 5s, or 60s for that to a reload.
    #[arg(short, long, value_name = "TIME", value_parser = quantity::parse_duration)]
    pub timeout: Option<Duration>,
    /// How to reach the router.
    #[command(flatten)]
    pub connect: ConnectOptions,
}

impl AskOptions {
    /// Whose management node is meant.
    #[must_use]
    pub fn node(&self) -> Node {
        Node::of(self.router.as_deref(), self.edge_router.as_deref())
    }

    /// Connects and attaches.
    ///
    /// # Errors
    /// If the router cannot be reached or has no management node.
    pub fn manager(&self) -> Result<Manager, Failure> {
        self.manager_with(ANSWER_TIME, Interrupt::on_signals()?)
    }

    /// The same, with an interrupt of one's own, and another time where none is said.
    ///
    /// # Errors
    /// As [`AskOptions::manager`].
    pub fn manager_with(&self, silent: Duration, interrupt: Interrupt) -> Result<Manager, Failure> {
        let timeout = self.timeout.unwrap_or(silent);
        Manager::connect_to(&self.connect, &self.node(), timeout, interrupt)
    }
}
