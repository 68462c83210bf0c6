//! Distribution, where it is exact: producers that each send after they have seen the effects of
//! what was sent before choose what one shared list would choose, however many shards there are.
//! Consumers and producers are spread over shards; after each step the world comes to rest.

use std::time::Duration;

use router_core::route::Treatment;

use crate::plan::{ADDRESSES, LinkPlan, Listener, PeerPlan, Plan, ReceivePlan, SendPlan};
use crate::random::Random;
use crate::world::World;

/// Steps of a scene.
const STEPS: usize = 40;

/// Virtual time in which a step has all its effects.
const STEP: Duration = Duration::from_millis(2);

/// What one list of consumers would do.
struct List {
    treatment: Treatment,
    capacity: usize,
    /// What each consumer has and has not settled.
    loads: Vec<usize>,
    turn: usize,
}

impl List {
    /// The consumer of the next message.
    fn choose(&mut self) -> usize {
        let count = self.loads.len();
        let from_turn = (0..count).map(|place| (self.turn + place) % count);
        if self.treatment == Treatment::AnycastClosest {
            self.turn += 1;
            return (self.turn - 1) % count;
        }
        let weight = |&place: &usize| (self.loads[place] >= self.capacity, self.loads[place]);
        let least = from_turn.min_by_key(weight).unwrap_or(0);
        if self.loads[least] == 0 {
            self.turn += 1;
        }
        least
    }
}

/// Plays the scene of a seed beside the list. Panics if they differ.
pub(crate) fn run(seed: u64) {
    let mut random = Random::new(!seed);
    let treatment = random.pick(&[Treatment::AnycastBalanced, Treatment::AnycastClosest]);
    let capacity = random.pick(&[1, 2, 250]);
    let shards = random.pick(&[1, 2, 3, 8]);
    let listener = Listener {
        frame: 4096,
        window: None,
        capacity,
        idle: None,
        strip_in: true,
        strip_out: true,
        held: router_core::limits::CONNECTION_BYTES,
        hubs: false,
    };
    // Producers have credit for all they will send.
    let roomy = Listener {
        capacity: 250,
        ..listener
    };
    let listeners = vec![listener, roomy];
    let mut world = World::new(Plan::bare(seed, shards, treatment, listeners), None);
    let shard = |random: &mut Random| random.below(usize::from(shards));
    let consumers: Vec<usize> = (0..2 + random.below(4))
        .map(|_| {
            let plan = ReceivePlan {
                credit: 1000,
                manual: true,
                ..ReceivePlan::steady(ADDRESSES[0])
            };
            let peer = world.add_steady(shard(&mut random), vec![LinkPlan::Receive(plan)]);
            world.run_for(STEP);
            peer
        })
        .collect();
    let producers: Vec<usize> = (0..1 + random.below(3))
        .map(|_| {
            let plan = SendPlan {
                count: 0,
                settled: random.pick(&[0, 0, 3]),
                anonymous: random.one_in(3),
                ..SendPlan::steady(ADDRESSES[0])
            };
            let link = LinkPlan::Send(plan);
            world.add_peer(PeerPlan {
                listener: 1,
                ..PeerPlan::steady(world.peers.len(), (0, shard(&mut random)), vec![link])
            })
        })
        .collect();
    world.run_for(STEP);
    let list = List {
        treatment,
        capacity: capacity as usize,
        loads: vec![0; consumers.len()],
        turn: 0,
    };
    compare(&mut world, &consumers, &producers, list, &mut random);
}

fn compare(
    world: &mut World,
    consumers: &[usize],
    producers: &[usize],
    mut list: List,
    random: &mut Random,
) {
    for _ in 0..STEPS {
        let place = random.below(consumers.len());
        if list.loads[place] > 0 && random.one_in(2) {
            world.order(consumers[place]);
            world.run_for(STEP);
            list.loads[place] -= 1;
            continue;
        }
        world.order(random.pick(producers));
        let before = world.books.receipts.len();
        world.run_for(STEP);
        let [receipt] = &world.books.receipts[before..] else {
            panic!("a message has not arrived");
        };
        let chosen = list.choose();
        let link = &world.books.links[receipt.link];
        assert_eq!(
            link.peer, consumers[chosen],
            "with loads {:?} and turn {} another was chosen than one list would choose",
            list.loads, list.turn
        );
        list.loads[chosen] += usize::from(!receipt.settled);
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn any_number_of_shards_chooses_as_one_list_would() {
        for seed in 0..50 {
            run(seed);
        }
    }
}
