//! The choice of a target, by treatment and number of consumers.
//!
//! Owns routes with open windows. It never forwards. Decision: what is chosen is counted on the
//! tally and taken off again, as a delivery that comes and goes would be.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use router_core::ids::{AddressId, ConnectionId, Key, OutLinkKey, ShardId};
use router_core::route::{
    Boards, Choice, Consumer, DEFAULT_PRIORITY, Entry, Member, NO_SLOT, Neighbor, PRIORITIES,
    Passage, Path, Paths, RemoteRouter, Route, Tally, Treatment, Windows, choose,
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
        Workload::new("route_choose.closest_1000_routers", || {
            far(Treatment::AnycastClosest)
        }),
        Workload::new("route_choose.balanced_1000_routers", || {
            far(Treatment::AnycastBalanced)
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
    choices(route, tally, Paths::default())
}

/// The address has consumers at a thousand routers behind four neighbours, and none here.
fn far(treatment: Treatment) -> Unit {
    const ROUTERS: u16 = 1000;
    const NEIGHBORS: u16 = 4;
    let slots = u32::from(ROUTERS) + 1;
    let tally = Tally::new(&Boards::new(1).grown(slots), ShardId(0));
    let id: Arc<str> = Arc::from("router");
    let path = |router: u16| Path {
        id: Arc::clone(&id),
        neighbor: router % NEIGHBORS,
        cost: 1 + u32::from(router / NEIGHBORS),
        valid_origins: Arc::from([]),
    };
    let neighbor = |place: u16| Neighbor {
        router: place,
        members: vec![Member {
            connection: ConnectionId(u64::from(place)),
            links: [Some(link(u32::from(place))); PRIORITIES],
            leaving: false,
        }],
        capacity: 250,
    };
    let paths = Paths::new(
        (0..ROUTERS).map(|router| Some(path(router))).collect(),
        (0..NEIGHBORS).map(neighbor).collect(),
        BTreeMap::new(),
        250,
    );
    let remote = |router: u16| RemoteRouter {
        router,
        slot: u32::from(router),
    };
    let route = Route {
        routers: (0..ROUTERS).map(remote).collect(),
        turn_slot: u32::from(ROUTERS),
        ..route(treatment, 0)
    };
    choices(route, tally, paths)
}

/// A choice for a delivery that comes and goes.
fn choices(route: Route, mut tally: Tally, paths: Paths) -> Unit {
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

fn link(index: u32) -> OutLinkKey {
    OutLinkKey {
        shard: ShardId(0),
        link: Key {
            index,
            generation: 0,
        },
    }
}

fn route(treatment: Treatment, consumers: u32) -> Route {
    let has_choice = consumers > 1;
    let slot = |number: u32| if has_choice { number } else { NO_SLOT };
    let consumer = |index: u32| Consumer {
        link: link(index),
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
