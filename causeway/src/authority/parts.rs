//! What an authority is made of.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::log::Log;
use crate::orders::Orders;
use crate::post::Offices;

/// What an authority is made of.
#[derive(Clone, Debug)]
pub(crate) struct AuthorityParts {
    /// Where answers go.
    pub(crate) offices: Arc<Offices>,
    /// Where profiles for TLS come from.
    pub(crate) orders: Arc<Orders>,
    /// The file with the users that it knows, if there is one.
    pub(crate) users: Option<PathBuf>,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
}
