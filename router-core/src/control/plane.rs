//! What a control plane is made of. What it does is in `mod.rs`, and in a file for each concern.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::control::autolinks::AutoLinks;
use crate::control::bindings::{Bindings, Changes};
use crate::control::config::ControlConfig;
use crate::control::connectors::Connectors;
use crate::control::effect::Effect;
use crate::control::endpoint::Endpoint;
use crate::control::gather::Gather;
use crate::control::links::Links;
use crate::control::listeners::Listeners;
use crate::control::neighbors::Neighbors;
use crate::control::sender::Sender;
use crate::control::trunks::Trunks;
use crate::counters::Counters;
use crate::ids::ShardId;
use crate::mail::Outboxes;
use crate::notice::Notice;
use crate::route::{Boards, Paths, RouteTable, Rules};
use crate::settings::{ManagementAccess, RouterMode, RouterSettings};

/// Addresses that are served inside the router; one agent answers all of them.
const IN_PROCESS_ADDRESSES: [&str; 3] = ["M0$management", "L$management", "L$_management_internal"];

/// The control plane of one router.
pub struct ControlPlane {
    pub(super) settings: Arc<RouterSettings>,
    pub(super) shards: u16,
    pub(super) counters: Arc<Counters>,
    pub(super) table: Arc<RouteTable>,
    pub(super) rules: Rules,
    pub(super) rules_changed: bool,
    pub(super) last_identity: u64,
    pub(super) bindings: Bindings,
    pub(super) links: Links,
    pub(super) auto_links: AutoLinks,
    pub(super) endpoint: Endpoint,
    pub(super) sender: Sender,
    pub(super) gather: Gather,
    /// Only a router that is part of a network has any.
    pub(super) neighbors: Option<Neighbors>,
    pub(super) paths: Arc<Paths>,
    pub(super) listeners: Listeners,
    pub(super) connectors: Connectors,
    pub(super) least_management: ManagementAccess,
    pub(super) trunks: Trunks,
    pub(super) last_connection: u64,
    pub(super) outboxes: Outboxes,
    pub(super) effects: VecDeque<Effect>,
    pub(super) notices: Vec<Notice>,
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut record = formatter.debug_struct("ControlPlane");
        record
            .field("shards", &self.shards)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl ControlPlane {
    /// A control plane whose first table already has the in-process addresses.
    #[must_use]
    pub fn new(config: ControlConfig) -> Self {
        let own = ShardId(config.shards);
        let boards = Boards::new(config.shards);
        let rules = Rules::new(config.settings.default_treatment);
        let table = RouteTable::new(config.seed, Arc::new(rules.clone()), boards.clone());
        let neighbors = (config.settings.mode == RouterMode::Interior)
            .then(|| Neighbors::new(own, config.mesh()));
        let auto_links = AutoLinks::new(&config.settings.id);
        let mut control = Self {
            sender: Sender::new(own, &config.settings.id, &boards),
            settings: config.settings,
            shards: config.shards,
            counters: config.counters,
            table: Arc::new(table),
            rules,
            rules_changed: false,
            last_identity: 0,
            bindings: Bindings::default(),
            links: Links::default(),
            auto_links,
            endpoint: Endpoint::new(own),
            gather: Gather::new(config.shards),
            neighbors,
            paths: Arc::new(Paths::default()),
            listeners: Listeners::default(),
            connectors: Connectors::new(config.seed),
            least_management: ManagementAccess::default(),
            trunks: Trunks::new(!config.seed),
            last_connection: 0,
            outboxes: Outboxes::new(own, usize::from(config.shards) + 1),
            effects: VecDeque::new(),
            notices: Vec::new(),
        };
        for key in IN_PROCESS_ADDRESSES {
            let link = control.endpoint.subscribe(key.into());
            control.bindings.subscribe(key, link);
        }
        let Changes { routes, .. } = control.bindings.take_changes(0);
        control.table = Arc::new(control.table.with_changes(routes));
        control
    }
}
