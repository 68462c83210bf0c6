//! What a hop costs: lines of routers, a producer at one end, consumers at the other.
//!
//! Owns the scenes. Decision: whole lines, since what a hop costs shows where nothing else differs:
//! a line of two routers beside one alone (`shard.*`) has one message more that enters and one that
//! leaves a network, a line of three beside one of two has one that only passes.

use amqp_codec::message::MessageBuilder;
use bytes::Bytes;
use router_core::route::Treatment;

use crate::bed::Bed;
use crate::workload::{Unit, Workload};

/// Messages the producer sends in a round.
const ROUND: u32 = 32;

struct Scene {
    routers: usize,
    settled: bool,
    messages: u32,
    bytes: usize,
    treatment: Treatment,
}

/// Small unsettled messages, two routers.
const LINE: Scene = Scene {
    routers: 2,
    settled: false,
    messages: ROUND,
    bytes: 100,
    treatment: Treatment::AnycastBalanced,
};

/// What goes through lines of routers.
pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        Workload::slow("hop.line_2_100b", || unit(LINE)),
        Workload::slow("hop.line_3_100b", || unit(Scene { routers: 3, ..LINE })),
        Workload::slow("hop.line_3_settled_100b", || {
            unit(Scene {
                routers: 3,
                settled: true,
                ..LINE
            })
        }),
        Workload::slow("hop.line_3_multicast_100b", || {
            unit(Scene {
                routers: 3,
                treatment: Treatment::Multicast,
                ..LINE
            })
        }),
        Workload::slow("hop.line_3_10kb", || {
            unit(Scene {
                routers: 3,
                bytes: 10_000,
                ..LINE
            })
        }),
        Workload::slow("hop.line_3_1mib", || {
            unit(Scene {
                routers: 3,
                bytes: 1 << 20,
                messages: 2,
                ..LINE
            })
        }),
    ]
}

fn unit(scene: Scene) -> Unit {
    let mut bed = Bed::line(scene.routers, scene.treatment);
    bed.consumer((scene.routers - 1, 0), "bench/0");
    bed.producer((0, 0), "bench/0", scene.settled);
    bed.settle();
    let message = MessageBuilder::new()
        .data(Bytes::from(vec![b'x'; scene.bytes]))
        .build();
    // The first large message has a link of its own attached for it.
    bed.round(scene.messages, &message);
    Box::new(move || bed.round(scene.messages, &message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each message arrives, and each outcome comes back.
    #[test]
    fn every_message_passes_the_line() {
        for workload in workloads() {
            let expected = match workload.name {
                "hop.line_3_settled_100b" => 32,
                "hop.line_3_1mib" => 4,
                _ => 64,
            };
            let mut unit = workload.prepare();
            for _ in 0..20 {
                assert_eq!(unit(), expected, "{}", workload.name);
            }
        }
    }
}
