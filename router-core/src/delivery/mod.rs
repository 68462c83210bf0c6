//! Records of deliveries at the two ends of the box. Each has one owner, the shard that received or
//! sends it; they know each other by key only.

mod inbound;
mod merge;
mod outbound;

pub use inbound::{FanOut, Held, Inbound, Journey, Place, Redirect, Stream, Waiting};
pub use merge::{Merge, Merged};
pub use outbound::{Copies, OutOrigin, Outbound};
