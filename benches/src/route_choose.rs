//! The choice of a target, by treatment and number of consumers.
//!
//! Owns routes with open windows. It never forwards. Decision: what is chosen is counted on the
//! tally and taken off again, as a delivery that comes and goes would be.

use std::hint::black_box;
use std::sync::Arc;

use router_core::ids::{AddressId, Key, OutLinkKey, ShardId};
use router_core::route::{
    Boards, Choice, Consumer, DEFAULT_PRIORITY, Entry, NO_SLOT, Passage, Paths, Route, Tally,
    Treatment, Windows, choose,
};

use crate::workload::{Unit, Workload};

/// Whose choices are timed.
pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        Workload::new("route_choose.only_one", || {
            unit(Treatment::AnycastBalanced, 1, 1)
        }),
        Workload::new("route_choose.closest_8", || {
            unit(Treatment::AnycastClosest, 8, 1)
        }),
        Workload::new("route_choose.balanced_8", || {
            unit(Treatment::AnycastBalanced, 8, 1)
        }),
        Workload::new("route_choose.balanced_8_of_4_shards", || {
            unit(Treatment::AnycastBalanced, 8, 4)
        }),
    ]
}

/// Every pipe takes another delivery.
struct Open;

impl Windows for Open {
    fn is_open(&self, _: OutLinkKey) -> bool {
        true
    }
}

fn unit(treatment: Treatment, consumers: u32, shards: u16) -> Unit {
    let boards = Boards::new(shards).grown(consumers + 1);
    let mut tally = Tally::new(&boards, ShardId(0));
    let route = route(treatment, consumers);
    for consumer in &route.consumers {
        if consumer.slot != NO_SLOT {
            tally.add(consumer.slot);
        }
    }
    let paths = Paths::default();
    Box::new(move || {
        tally.refresh();
        let passage = Passage {
            settled: false,
            windows: &Open,
            excluded: &[],
            paths: &paths,
            priority: DEFAULT_PRIORITY,
            entry: Entry::Here,
        };
        match choose(black_box(&route), &mut tally, &passage) {
            Choice::One { target, slot } => {
                if slot != NO_SLOT {
                    tally.add(slot);
                    tally.sub(slot);
                }
                black_box(target);
                1
            }
            _ => 0,
        }
    })
}

fn route(treatment: Treatment, consumers: u32) -> Route {
    let has_choice = consumers > 1;
    let slot = |number: u32| if has_choice { number } else { NO_SLOT };
    let consumer = |index: u32| Consumer {
        link: OutLinkKey {
            shard: ShardId(0),
            link: Key {
                index,
                generation: 0,
            },
        },
        capacity: 250,
        slot: slot(index),
    };
    Route {
        id: AddressId(1),
        key: Arc::from("M0bench"),
        treatment,
        priority: None,
        control_only: false,
        annotated: false,
        in_process: Vec::new(),
        consumers: (0..consumers).map(consumer).collect(),
        routers: Vec::new(),
        shards: vec![ShardId(0)],
        turn_slot: slot(consumers),
    }
}
