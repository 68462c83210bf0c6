//! Which consumers an address has, and which of them a delivery goes to. Pure: snapshots and
//! choices, no links, no connections.

mod choose;
mod links;
mod paths;
mod places;
mod record;
mod rules;
mod table;
mod tally;

pub use choose::{Choice, Passage, Pick, Windows, choose, copies};
pub use links::LinkPatterns;
pub use paths::{DEFAULT_PRIORITY, Entry, Member, Neighbor, PRIORITIES, Path, Paths};
pub use record::{Consumer, NO_SLOT, RemoteRouter, Route, Treatment};
pub use rules::{AddressRule, Resolved, RuleError, Rules};
pub use table::RouteTable;
pub use tally::{Boards, Slots, Tally};
