//! Distribution, where it is exact: producers that each send after they have seen the effects of
//! what was sent before choose what one shared list would choose, however many shards there are.

/// Plays a scene beside the list.
pub(crate) fn run(_seed: u64) {}
