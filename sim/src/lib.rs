//! A router and its peers on virtual time: the real shards and the real control plane, wires that
//! do what TCP may do, peers with goals of their own and peers that mean no good, all from one
//! seed.
//!
//! Nothing here has a clock, a thread or a socket. Which shard turns next, how long it takes, when
//! mail is posted and how bytes arrive is drawn from the seed, so a run repeats exactly and
//! interleavings are explored without threads. A [`Plan`](plan::Plan) says what is going to happen;
//! a world plays it and panics if anything does not hold.

mod agenda;
mod books;
mod check;
mod message;
mod node;
mod peer;
mod plan;
mod random;
mod shrink;
mod single;
mod wire;
mod world;

pub use random::Random;
pub use shrink::{Part, Small, shrink};
pub use world::{Listen, Report};

use plan::Plan;
use world::World;

/// Runs the world of a seed to its end. Panics if anything does not hold.
#[must_use]
pub fn run(seed: u64) -> Report {
    single::run(seed);
    World::new(Plan::new(seed), None).play()
}

/// Runs what is left of a world when some parts of its plan are left out, and tells what happens.
/// Panics if anything does not hold.
#[must_use]
pub fn replay(seed: u64, without: &[Part], listen: Listen) -> Report {
    let mut plan = Plan::new(seed);
    plan.leave_out(without);
    World::new(plan, Some(listen)).play()
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn a_seed_gives_the_same_run_each_time() {
        for seed in 0..5 {
            assert_eq!(run(seed), run(seed));
        }
    }

    #[test]
    fn the_first_seeds_find_nothing_and_deliver_something() {
        let delivered: u64 = (0..60).map(|seed| run(seed).delivered).sum();
        assert!(delivered > 1000, "{delivered}");
    }
}
