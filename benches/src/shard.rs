//! Whole rounds through a router in memory: producers, shards, consumers, outcomes.
//!
//! Owns the scenes. Decision: a unit is a round of several messages, because batching is what the
//! design lives on; the price of a message is a unit's price divided by its messages.

use amqp_codec::message::MessageBuilder;
use bytes::Bytes;
use router_core::route::Treatment;

use crate::bed::Bed;
use crate::workload::{Unit, Workload};

/// Messages each producer sends in a round.
const ROUND: u32 = 32;

/// One address for each pair of a producer and a consumer.
struct Scene {
    pairs: usize,
    consumers: usize,
    /// The consumer is on another shard than the producer.
    is_far: bool,
    /// The producer's link is routed to a container.
    is_routed: bool,
    settled: bool,
    messages: u32,
    bytes: usize,
    treatment: Treatment,
}

/// One pair, small unsettled messages, one shard.
const PLAIN: Scene = Scene {
    pairs: 1,
    consumers: 1,
    is_far: false,
    is_routed: false,
    settled: false,
    messages: ROUND,
    bytes: 100,
    treatment: Treatment::AnycastBalanced,
};

/// What goes through shards.
pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        Workload::slow("shard.unsettled_100b", || unit(PLAIN)),
        Workload::slow("shard.settled_100b", || {
            unit(Scene {
                settled: true,
                ..PLAIN
            })
        }),
        Workload::slow("shard.two_shards_100b", || {
            unit(Scene {
                is_far: true,
                ..PLAIN
            })
        }),
        Workload::slow("shard.routed_100b", || {
            unit(Scene {
                is_routed: true,
                ..PLAIN
            })
        }),
        Workload::slow("shard.routed_two_shards_100b", || {
            unit(Scene {
                is_routed: true,
                is_far: true,
                ..PLAIN
            })
        }),
        Workload::slow("shard.four_pairs_100b", || {
            unit(Scene { pairs: 4, ..PLAIN })
        }),
        Workload::slow("shard.balanced_4_100b", || {
            unit(Scene {
                consumers: 4,
                ..PLAIN
            })
        }),
        Workload::slow("shard.multicast_4_100b", || {
            unit(Scene {
                consumers: 4,
                treatment: Treatment::Multicast,
                ..PLAIN
            })
        }),
        Workload::slow("shard.unsettled_10kb", || {
            unit(Scene {
                bytes: 10_000,
                ..PLAIN
            })
        }),
        Workload::slow("shard.routed_10kb", || {
            unit(Scene {
                is_routed: true,
                bytes: 10_000,
                ..PLAIN
            })
        }),
        Workload::slow("shard.unsettled_1mib", || {
            unit(Scene {
                bytes: 1 << 20,
                messages: 2,
                ..PLAIN
            })
        }),
    ]
}

fn unit(scene: Scene) -> Unit {
    let mut bed = Bed::new(if scene.is_far { 2 } else { 1 }, scene.treatment);
    for pair in 0..scene.pairs {
        let address = format!("bench/{pair}");
        let far = (0, usize::from(scene.is_far));
        if scene.is_routed {
            bed.route(0, &address);
            bed.container(far);
        } else {
            (0..scene.consumers).for_each(|_| bed.consumer(far, &address));
        }
        bed.producer((0, 0), &address, scene.settled);
    }
    let message = MessageBuilder::new()
        .data(Bytes::from(vec![b'x'; scene.bytes]))
        .build();
    Box::new(move || bed.round(scene.messages, &message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each message is received once, or by each of a multicast's consumers, and each unsettled one
    /// has one outcome: otherwise a workload measures something else than its name says.
    #[test]
    fn every_message_arrives_and_every_outcome_comes_back() {
        for workload in workloads() {
            let expected = match workload.name {
                "shard.settled_100b" => 32,
                "shard.four_pairs_100b" => 4 * 64,
                "shard.multicast_4_100b" => 4 * 32 + 32,
                "shard.unsettled_1mib" => 4,
                _ => 64,
            };
            assert_eq!(workload.prepare()(), expected, "{}", workload.name);
        }
    }
}
