//! Who has made what: the configuration file, or requests. A file that is read anew takes back what
//! it gave before and leaves alone what requests have made.

use std::collections::BTreeSet;

use crate::schema::EntityType;

/// Who makes an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A configuration file, at the start: listeners are required, addresses get a name.
    File,
    /// A configuration file that was read anew: the same, but what is required is there already.
    Reload,
    /// A management request.
    Request,
}

impl Origin {
    /// Whether it is a file.
    pub(crate) fn is_file(self) -> bool {
        self != Self::Request
    }
}

/// The identities of what files have made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filed(BTreeSet<(&'static str, String)>);

impl Filed {
    pub(crate) fn note(&mut self, entity_type: &'static EntityType, identity: &str) {
        self.0.insert((entity_type.short, identity.to_owned()));
    }

    pub(crate) fn forget(&mut self, entity_type: &'static EntityType, identity: &str) {
        self.0.remove(&(entity_type.short, identity.to_owned()));
    }

    pub(crate) fn knows(&self, entity_type: &'static EntityType, identity: &str) -> bool {
        self.0.contains(&(entity_type.short, identity.to_owned()))
    }
}
