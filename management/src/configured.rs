//! All that is configured, to be set up again in a router on which something is tried.

use router_core::control::{AutoLinkRule, ControlPlane, LinkRule, Listen};
use router_core::route::AddressRule;

use crate::schema::EntityType;
use crate::settings::connect;
use crate::store::Store;

/// What the configuration file and requests have made, as it is now; without link routes that
/// belong to a connection, which nothing else can meet.
#[derive(Clone, Debug)]
pub struct Configured {
    store: Store,
    listeners: Vec<Listen>,
    /// In the order of their numbers.
    rules: Vec<Rule>,
}

/// An entry that the control plane has.
#[derive(Clone, Debug)]
enum Rule {
    Address(AddressRule),
    Link(LinkRule),
    AutoLink(AutoLinkRule),
}

impl Configured {
    pub(crate) fn of(store: &Store, control: &ControlPlane) -> Self {
        let addresses = control.address_rules().cloned();
        let routes = control.link_routes().filter(|row| row.scope.is_none());
        let routes = routes.map(|row| Rule::Link(row.rule.clone()));
        let auto_links = control.auto_links();
        let auto_links = auto_links.map(|row| Rule::AutoLink(row.rule.clone()));
        let rules = addresses.map(Rule::Address).chain(routes);
        let mut rules: Vec<Rule> = rules.chain(auto_links).collect();
        rules.sort_by_key(Rule::number);
        Self {
            store: store.clone(),
            listeners: control.listeners().cloned().collect(),
            rules,
        }
    }

    /// Whether an entity that a file has made is there still.
    #[must_use]
    pub fn is_filed(&self, entity_type: &'static EntityType, identity: &str) -> bool {
        self.store.filed.knows(entity_type, identity)
    }

    /// How often requests had changed something.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.store.requests
    }

    /// Makes all of it, without asking whether it can be: it is there.
    pub(crate) fn restore(&self, store: &mut Store, control: &mut ControlPlane) {
        *store = self.store.clone();
        for listen in &self.listeners {
            control.listen(listen.clone());
        }
        for connector in &store.connectors {
            control.connect(connect(connector));
        }
        for rule in &self.rules {
            control.number_next(rule.number());
            rule.add(control);
        }
    }
}

impl Rule {
    fn number(&self) -> u64 {
        match self {
            Self::Address(rule) => rule.identity,
            Self::Link(rule) => rule.identity,
            Self::AutoLink(rule) => rule.identity,
        }
    }

    fn add(&self, control: &mut ControlPlane) {
        // Another control plane has taken it as it is.
        match self.clone() {
            Self::Address(rule) => control.add_address(rule).ok(),
            Self::Link(rule) => control.add_link_route(rule).ok(),
            Self::AutoLink(rule) => control.add_auto_link(rule).ok(),
        };
    }
}
