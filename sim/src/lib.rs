//! Routers and their peers on virtual time: the real shards and the real control planes, wires that
//! do what TCP may do, peers with goals of their own and peers that mean no good, all from one
//! seed. A world has one router, or several that are joined into a network.
//!
//! Nothing here has a clock, a thread or a socket. Which shard turns next, how long it takes, when
//! mail is posted and how bytes arrive is drawn from the seed, so a run repeats exactly and
//! interleavings are explored without threads. A plan says what is going to happen;
//! a world plays it and panics if anything does not hold.

mod agenda;
mod books;
mod check;
mod gave_way;
mod heard;
mod message;
mod node;
mod peer;
mod plan;
mod random;
mod rests;
pub mod scale;
mod seal;
mod shrink;
mod single;
mod tunnels;
mod wire;
mod world;

pub use plan::Kind;
pub use random::Random;
pub use shrink::{Part, Small, shrink};
pub use world::{Listen, Report};

use world::World;

/// Runs the world of a seed to its end. Panics if anything does not hold.
#[must_use]
pub fn run(kind: Kind, seed: u64) -> Report {
    if kind == Kind::Router {
        single::run(seed);
    }
    World::new(kind.plan(seed), None).play()
}

/// Runs what is left of a world when some parts of its plan are left out, and tells what happens.
/// Panics if anything does not hold.
#[must_use]
pub fn replay(kind: Kind, seed: u64, without: &[Part], listen: Listen) -> Report {
    let mut plan = kind.plan(seed);
    plan.leave_out(without);
    World::new(plan, Some(listen)).play()
}

#[cfg(test)]
mod tests {
    use super::{Kind, run};

    // A few seeds tell that a world works at all; `--ci` plays hundreds of them, optimised.

    #[test]
    fn a_seed_gives_the_same_run_each_time() {
        for seed in 0..2 {
            for kind in [Kind::Router, Kind::Mesh] {
                assert_eq!(run(kind, seed), run(kind, seed));
            }
        }
    }

    #[test]
    fn the_first_networks_with_tls_find_nothing_and_run_the_same_each_time() {
        for seed in 0..2 {
            assert_eq!(run(Kind::Tls, seed), run(Kind::Tls, seed));
        }
    }

    #[test]
    fn the_first_seeds_find_nothing_and_deliver_something() {
        let delivered: u64 = (0..20).map(|seed| run(Kind::Router, seed).delivered).sum();
        assert!(delivered > 1000, "{delivered}");
    }

    #[test]
    fn a_device_that_reads_nothing_for_long_loses_its_link() {
        // Seeds that have one; if what is drawn changes, others will.
        for seed in [21, 48] {
            assert!(run(Kind::Router, seed).stalled > 0, "{seed}");
        }
    }

    #[test]
    fn of_messages_for_all_that_wait_for_each_other_one_is_cut() {
        // A seed that has two; if what is drawn changes, another will.
        assert!(run(Kind::Router, 316).crossed > 0);
    }

    #[test]
    fn the_first_networks_find_nothing_and_deliver_something() {
        let delivered: u64 = (0..8).map(|seed| run(Kind::Mesh, seed).delivered).sum();
        assert!(delivered > 1000, "{delivered}");
    }
}
