//! The configuration that a router has.

use crate::config::Configuration;

/// A configuration, and the identities of what its sections have made.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(super) configuration: Configuration,
    /// In the order of the entities; none of addresses that are ignored.
    pub(super) identities: Vec<Option<String>>,
}

impl InForce {
    /// What a router began with.
    pub(crate) fn new(configuration: Configuration, identities: Vec<Option<String>>) -> Self {
        Self {
            configuration,
            identities,
        }
    }
}
