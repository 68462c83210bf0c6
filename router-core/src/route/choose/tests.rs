//! Choices on routes made by hand, and the tallies of many shards against one list.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::paths::PRIORITIES;
use super::super::tally::{Boards, Slots};
use super::*;
use crate::ids::{AddressId, ConnectionId, Key, ShardId};
use crate::limits::TALLY_REFRESH;

/// Windows of which some are shut.
#[derive(Default)]
struct Shut(BTreeSet<OutLinkKey>);

impl Windows for Shut {
    fn is_open(&self, link: OutLinkKey) -> bool {
        !self.0.contains(&link)
    }
}

/// A link of shard 0.
fn link(index: u32) -> OutLinkKey {
    OutLinkKey {
        shard: ShardId(0),
        link: Key {
            index,
            generation: 0,
        },
    }
}

/// A route to consumers with these capacities, and what it takes to choose on it.
struct World {
    route: Route,
    tallies: Vec<Tally>,
    shut: Shut,
    paths: Paths,
}

/// An unsettled delivery of a client.
fn passage<'a>(windows: &'a Shut, paths: &'a Paths) -> Passage<'a, Shut> {
    Passage {
        settled: false,
        windows,
        excluded: &[],
        paths,
        priority: 4,
        entry: Entry::Here,
    }
}

impl World {
    fn new(treatment: Treatment, capacities: &[u32], shards: u16) -> Self {
        let mut slots = Slots::default();
        let consumers = (0..)
            .zip(capacities)
            .map(|(index, &capacity)| Consumer {
                link: link(index),
                capacity,
                slot: slots.load(),
            })
            .collect();
        let route = Route {
            id: AddressId(1),
            key: "M0a".into(),
            treatment,
            priority: None,
            control_only: false,
            annotated: false,
            in_process: Vec::new(),
            consumers,
            routers: Vec::new(),
            shards: vec![ShardId(0)],
            turn_slot: slots.turn(),
        };
        let boards = Boards::new(shards).grown(slots.needed());
        let tallies = (0..=shards)
            .map(|shard| Tally::new(&boards, ShardId(shard)))
            .collect();
        Self {
            route,
            tallies,
            shut: Shut::default(),
            paths: Paths::default(),
        }
    }

    fn choose(&mut self, settled: bool, excluded: &[OutLinkKey]) -> Choice {
        let passage = Passage {
            settled,
            excluded,
            ..passage(&self.shut, &self.paths)
        };
        choose(&self.route, &mut self.tallies[0], &passage)
    }

    /// Sends a delivery from a shard: the index of the consumer, which it counts for.
    fn send(&mut self, shard: usize) -> usize {
        let passage = passage(&self.shut, &self.paths);
        let choice = choose(&self.route, &mut self.tallies[shard], &passage);
        let Choice::One { target, slot } = choice else {
            panic!("{choice:?}")
        };
        self.tallies[shard].add(slot);
        target.link.index as usize
    }

    /// A shard ends a delivery to a consumer.
    fn end(&mut self, shard: usize, consumer: usize) {
        self.tallies[shard].sub(self.route.consumers[consumer].slot);
    }

    fn sends(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.send(0)).collect()
    }
}

fn index(choice: Choice) -> u32 {
    match choice {
        Choice::One { target, .. } => target.link.index,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_there_is_unroutable_whatever_the_treatment() {
    for treatment in [
        Treatment::Multicast,
        Treatment::AnycastClosest,
        Treatment::AnycastBalanced,
        Treatment::LinkBalanced,
        Treatment::Unavailable,
    ] {
        let mut world = World::new(treatment, &[], 1);
        assert_eq!(world.choose(false, &[]), Choice::Unroutable);
        assert_eq!(world.choose(true, &[]), Choice::Unroutable);
    }
}

#[test]
fn the_only_consumer_is_chosen_while_its_window_is_open() {
    for treatment in [Treatment::AnycastClosest, Treatment::AnycastBalanced] {
        let mut world = World::new(treatment, &[1], 1);
        world.route.consumers[0].slot = NO_SLOT;
        let chosen = Choice::One {
            target: link(0),
            slot: NO_SLOT,
        };
        assert_eq!(world.choose(false, &[]), chosen);
        assert_eq!(world.choose(false, &[link(0)]), Choice::Unroutable);
        world.shut.0.insert(link(0));
        assert_eq!(world.choose(false, &[]), Choice::Wait);
        assert_eq!(world.choose(true, &[]), chosen);
    }
}

#[test]
fn multicast_goes_to_each_even_if_there_is_but_one() {
    for consumers in [&[1][..], &[1, 1]] {
        let mut world = World::new(Treatment::Multicast, consumers, 1);
        assert_eq!(world.choose(false, &[]), Choice::Each);
    }
}

#[test]
fn closest_goes_round_whatever_the_loads() {
    let mut world = World::new(Treatment::AnycastClosest, &[1, 1, 1], 1);
    assert_eq!(world.sends(7), [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn a_shut_window_passes_the_turn_on() {
    let mut world = World::new(Treatment::AnycastClosest, &[9, 9, 9], 1);
    world.shut.0.insert(link(1));
    assert_eq!(world.sends(4), [0, 2, 2, 0]);
    world.shut.0.extend([link(0), link(2)]);
    assert_eq!(world.choose(false, &[]), Choice::Wait);
    assert_eq!(index(world.choose(true, &[])), 1);
}

#[test]
fn a_consumer_that_sent_the_delivery_back_is_passed_over() {
    for treatment in [Treatment::AnycastClosest, Treatment::AnycastBalanced] {
        let mut world = World::new(treatment, &[9, 9], 1);
        assert_eq!(index(world.choose(false, &[link(0)])), 1);
        assert_eq!(world.choose(false, &[link(0), link(1)]), Choice::Unroutable);
        world.shut.0.insert(link(1));
        assert_eq!(world.choose(false, &[link(0)]), Choice::Wait);
    }
}

#[test]
fn in_process_consumers_come_first_and_take_turns() {
    for treatment in [Treatment::AnycastClosest, Treatment::AnycastBalanced] {
        let mut world = World::new(treatment, &[9], 1);
        world.route.in_process = vec![link(100), link(101)];
        let chosen: Vec<u32> = (0..3).map(|_| index(world.choose(false, &[]))).collect();
        assert_eq!(chosen, [100, 101, 100]);
        world.shut.0.extend([link(100), link(101)]);
        assert_eq!(world.choose(false, &[]), Choice::Wait);
        assert_eq!(index(world.choose(false, &[link(100), link(101)])), 0);
    }
    let mut world = World::new(Treatment::Multicast, &[], 1);
    world.route.in_process = vec![link(100)];
    assert_eq!(world.choose(false, &[]), Choice::Each);
}

#[test]
fn idle_consumers_alternate() {
    let mut world = World::new(Treatment::AnycastBalanced, &[9, 9, 9], 1);
    let mut chosen = Vec::new();
    for _ in 0..6 {
        chosen.push(world.send(0));
        world.end(0, chosen[chosen.len() - 1]);
    }
    assert_eq!(chosen, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn the_least_loaded_below_its_capacity_is_chosen() {
    let mut world = World::new(Treatment::AnycastBalanced, &[2, 4], 1);
    assert_eq!(
        world.sends(6),
        [0, 1, 0, 1, 1, 1],
        "0 is full after two, however short its queue"
    );
    assert_eq!(
        world.sends(4),
        [0, 0, 0, 1],
        "all are full: the least loaded"
    );
    world.end(0, 1);
    world.end(0, 1);
    assert_eq!(world.send(0), 1, "again below its capacity");
}

#[test]
fn a_shut_window_leaves_the_next_best() {
    let mut world = World::new(Treatment::AnycastBalanced, &[9, 9, 9], 1);
    world.sends(4);
    world.shut.0.insert(link(1));
    assert_eq!(world.send(0), 2);
    world.shut.0.extend([link(0), link(2)]);
    assert_eq!(world.choose(false, &[]), Choice::Wait);
    assert_eq!(
        index(world.choose(true, &[])),
        1,
        "a settled one does not look at windows"
    );
}

#[test]
fn of_very_many_consumers_some_are_weighed_but_none_is_forgotten() {
    let consumers = vec![9; BALANCED_SCAN * 2];
    let mut world = World::new(Treatment::AnycastBalanced, &consumers, 1);
    let scanned = u32::try_from(BALANCED_SCAN).unwrap();
    for slot in 0..scanned {
        world.tallies[0].add(slot);
    }
    assert_eq!(
        world.send(0),
        0,
        "the first 64 are busy, and the rest is not looked at"
    );
    world.shut.0.extend((0..scanned).map(link));
    assert_eq!(
        world.send(0),
        BALANCED_SCAN,
        "unless none of the first 64 can take it"
    );
}

/// What the tallies stand for: one list of consumers, its head the one whose turn it is.
struct List {
    treatment: Treatment,
    order: VecDeque<usize>,
    capacities: Vec<u32>,
    loads: Vec<u32>,
}

impl List {
    fn new(treatment: Treatment, capacities: &[u32]) -> Self {
        let order = (0..capacities.len()).collect();
        let loads = vec![0; capacities.len()];
        Self {
            treatment,
            order,
            capacities: capacities.to_vec(),
            loads,
        }
    }

    fn send(&mut self) -> usize {
        let consumer = if self.treatment == Treatment::AnycastClosest {
            self.order.rotate_left(1);
            self.order[self.order.len() - 1]
        } else if let Some(&idle) = self
            .order
            .iter()
            .find(|&&consumer| self.loads[consumer] == 0)
        {
            self.order.rotate_left(1);
            idle
        } else {
            let is_eligible = |consumer: usize| self.loads[consumer] < self.capacities[consumer];
            let key = |&&consumer: &&usize| (!is_eligible(consumer), self.loads[consumer]);
            *self.order.iter().min_by_key(key).unwrap()
        };
        self.loads[consumer] += 1;
        consumer
    }
}

/// What happens in a schedule.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A shard reads from a socket, then routes so many deliveries.
    Read { shard: usize, sends: usize },
    /// A shard ends a delivery, which one by its place in the list of those under way.
    End { shard: usize, delivery: usize },
}

fn steps(shards: u16, sends: usize) -> impl Strategy<Value = Vec<Step>> {
    let shard = 0..usize::from(shards);
    let read = (shard.clone(), 1..=sends).prop_map(|(shard, sends)| Step::Read { shard, sends });
    let end = (shard, any::<u16>()).prop_map(|(shard, delivery)| Step::End {
        shard,
        delivery: delivery.into(),
    });
    prop::collection::vec(prop_oneof![read, end], 1..150)
}

fn treatments() -> impl Strategy<Value = Treatment> {
    prop::sample::select(vec![Treatment::AnycastBalanced, Treatment::AnycastClosest])
}

/// Runs a schedule on tallies and on one list: each delivery must go the same way.
fn compare(world: &mut World, list: &mut List, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut under_way: Vec<usize> = Vec::new();
    for step in steps {
        match step {
            Step::Read { shard, sends } => {
                world.tallies[shard].refresh();
                for _ in 0..sends {
                    let consumer = world.send(shard);
                    prop_assert_eq!(consumer, list.send());
                    under_way.push(consumer);
                }
            }
            Step::End { shard, delivery } if !under_way.is_empty() => {
                let consumer = under_way.swap_remove(delivery % under_way.len());
                world.end(shard, consumer);
                list.loads[consumer] -= 1;
            }
            Step::End { .. } => {}
        }
    }
    Ok(())
}

/// Any number of shards, from one to eight.
fn shards() -> impl Strategy<Value = u16> {
    prop::sample::select(vec![1, 2, 8])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    /// One producer: what is chosen in one read, however long, is what one list would choose.
    #[test]
    fn one_producer_sees_one_list(
        treatment in treatments(),
        capacities in prop::collection::vec(1..6_u32, 2..6),
        (shards, steps) in shards().prop_flat_map(|shards| (Just(shards), steps(shards, 40))),
    ) {
        let mut world = World::new(treatment, &capacities, shards);
        let mut list = List::new(treatment, &capacities);
        let one_producer = steps.into_iter().map(|step| match step {
            Step::Read { sends, .. } => Step::Read { shard: 0, sends },
            end @ Step::End { .. } => end,
        });
        compare(&mut world, &mut list, one_producer.collect())?;
    }

    /// Producers on all shards, each message sent after the effects of those before were seen.
    #[test]
    fn many_producers_in_turn_see_one_list(
        treatment in treatments(),
        capacities in prop::collection::vec(1..6_u32, 2..6),
        (shards, steps) in shards().prop_flat_map(|shards| (Just(shards), steps(shards, 1))),
    ) {
        let mut world = World::new(treatment, &capacities, shards);
        let mut list = List::new(treatment, &capacities);
        compare(&mut world, &mut list, steps)?;
    }

    /// Producers that see nothing of each other but what sums show them stay near one list.
    #[test]
    fn producers_at_the_same_moment_stay_near_one_list(
        shards in 2..6_u16,
        senders in prop::collection::vec(any::<u16>(), 1..400),
        consumers in 2..6_usize,
    ) {
        let mut world = World::new(Treatment::AnycastBalanced, &vec![u32::MAX; consumers], shards);
        let mut loads = vec![0_u32; consumers];
        for sender in senders {
            loads[world.send(usize::from(sender % shards))] += 1;
            let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
            prop_assert!(spread <= TALLY_REFRESH * u32::from(shards - 1) + 1, "{:?}", loads);
        }
    }
}

/// Paths to routers 1, 2, …, each a neighbour with a link of its own, at these costs; the message
/// may have entered anywhere.
fn neighbors(costs: &[u32], capacity: u32) -> Paths {
    neighbors_behind(costs, capacity, |_| Arc::new([9]))
}

/// The same; to each may pass here what has entered at some routers.
fn neighbors_behind(costs: &[u32], capacity: u32, origins: impl Fn(u16) -> Arc<[u16]>) -> Paths {
    let path = |(place, &cost): (u16, &u32)| {
        Some(Path {
            id: format!("R{place}").into(),
            neighbor: place,
            cost,
            valid_origins: origins(place + 1),
        })
    };
    let paths = (0..).zip(costs).map(path);
    let neighbors = (0..costs.len()).map(|place| Neighbor {
        router: u16::try_from(place).unwrap() + 1,
        members: vec![Member {
            connection: ConnectionId(u64::try_from(place).unwrap() + 1),
            links: [Some(link(100 + u32::try_from(place).unwrap())); PRIORITIES],
            leaving: false,
        }],
        capacity,
    });
    Paths::new(
        std::iter::once(None).chain(paths).collect(),
        neighbors.collect(),
        BTreeMap::new(),
        1,
    )
}

/// A world whose address is at other routers, too.
fn with_routers(treatment: Treatment, locals: &[u32], costs: &[u32]) -> World {
    let mut world = World::new(treatment, locals, 1);
    let mut slots = Slots::default();
    for _ in 0..=locals.len() {
        slots.load();
    }
    world.route.routers = (1..)
        .take(costs.len())
        .map(|router| RemoteRouter {
            router,
            slot: slots.load(),
        })
        .collect();
    let boards = Boards::new(1).grown(slots.needed() + 1);
    world.tallies = (0..=1)
        .map(|shard| Tally::new(&boards, ShardId(shard)))
        .collect();
    world.paths = neighbors(costs, 250);
    world
}

/// How many of 100 unsettled deliveries go to each target.
fn dealt(world: &mut World, targets: &[usize]) -> Vec<usize> {
    let sent = world.sends(100);
    let count = |target| sent.iter().filter(|&&of| of == target).count();
    targets.iter().map(|&target| count(target)).collect()
}

#[test]
fn closest_takes_local_consumers_then_the_nearest_routers_in_turn() {
    let closest = Treatment::AnycastClosest;
    let mut world = with_routers(closest, &[250], &[1, 1]);
    assert_eq!(dealt(&mut world, &[0, 100, 101]), [100, 0, 0]);
    let mut world = with_routers(closest, &[], &[5, 5, 6]);
    assert_eq!(dealt(&mut world, &[100, 101, 102]), [50, 50, 0]);
    let mut world = with_routers(closest, &[], &[6, 5, 7, 5]);
    assert_eq!(dealt(&mut world, &[100, 101, 102, 103]), [0, 50, 0, 50]);
    assert_eq!(index(world.choose(false, &[link(101), link(103)])), 100);
    world.paths = Paths::default();
    assert_eq!(world.choose(false, &[]), Choice::Unroutable);
}

/// A sender's messages for the one come by here, those for the other by another way.
#[test]
fn of_the_nearest_routers_closest_takes_those_for_which_the_message_came_here() {
    let mut world = with_routers(Treatment::AnycastClosest, &[], &[5, 5]);
    world.paths = neighbors_behind(&[5, 5], 250, |router| match router {
        1 => Arc::new([9]),
        _ => Arc::new([8, 9]),
    });
    let mut entered = |router| {
        let passage = Passage {
            entry: Entry::Router(router),
            ..passage(&world.shut, &world.paths)
        };
        [(); 4].map(|()| index(choose(&world.route, &mut world.tallies[0], &passage)))
    };
    assert_eq!(entered(8), [101; 4]);
    for anywhere in [9, 7] {
        assert!(matches!(
            entered(anywhere),
            [100, 101, 100, 101] | [101, 100, 101, 100]
        ));
    }
}

#[test]
fn for_balanced_the_cost_is_a_handicap() {
    let balanced = Treatment::AnycastBalanced;
    let mut world = with_routers(balanced, &[250], &[10]);
    assert_eq!(dealt(&mut world, &[0, 100]), [55, 45]);
    let mut world = with_routers(balanced, &[250], &[10, 30]);
    assert_eq!(dealt(&mut world, &[0, 100, 101]), [47, 37, 16]);
    let mut world = with_routers(balanced, &[40], &[10]);
    world.paths = neighbors(&[10], 20);
    let sent = dealt(&mut world, &[0, 100]);
    assert_eq!(
        sent.iter().sum::<usize>(),
        100,
        "nobody eligible: the least"
    );
}

#[test]
fn balanced_sends_on_only_what_may_pass_here() {
    let mut world = with_routers(Treatment::AnycastBalanced, &[], &[1]);
    let entered = |world: &mut World, entry| {
        let passage = Passage {
            entry,
            ..passage(&world.shut, &world.paths)
        };
        choose(&world.route, &mut world.tallies[0], &passage)
    };
    assert_eq!(index(entered(&mut world, Entry::Here)), 100);
    assert_eq!(index(entered(&mut world, Entry::Router(9))), 100);
    assert_eq!(entered(&mut world, Entry::Router(8)), Choice::Unroutable);
    assert_eq!(index(entered(&mut world, Entry::Unknown)), 100);
}

#[test]
fn where_one_router_alone_has_consumers_its_window_and_what_came_back_count() {
    for treatment in [Treatment::AnycastBalanced, Treatment::AnycastClosest] {
        let mut world = with_routers(treatment, &[], &[1]);
        assert_eq!(index(world.choose(false, &[])), 100);
        assert_eq!(world.choose(false, &[link(100)]), Choice::Unroutable);
        world.shut.0.insert(link(100));
        assert_eq!(world.choose(false, &[]), Choice::Wait);
        assert_eq!(index(world.choose(true, &[])), 100);
        world.paths = Paths::default();
        assert_eq!(world.choose(true, &[]), Choice::Unroutable);
    }
}

#[test]
fn copies_go_to_each_neighbour_once_but_not_back() {
    let world = with_routers(Treatment::Multicast, &[], &[1, 2, 3]);
    let copies = |entry, trace: &[u16]| -> Vec<u32> {
        let links = copies(&world.route, &world.paths, &world.shut, 4, entry, trace);
        links.iter().map(|link| link.link.index).collect()
    };
    assert_eq!(copies(None, &[]), [100, 101, 102]);
    assert_eq!(copies(None, &[2]), [100, 102]);
    assert_eq!(copies(Some(Entry::Router(9)), &[1]), [101, 102]);
    assert_eq!(copies(Some(Entry::Router(8)), &[]), [0; 0]);
    assert_eq!(copies(Some(Entry::Unknown), &[]), [0; 0]);
    assert_eq!(copies(Some(Entry::Here), &[]), [0; 0]);
}
