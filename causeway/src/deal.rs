//! Which worker gets a new connection: the one that moved the fewest bytes lately, and of those
//! that are alike the one with the fewest connections. Connections live long and few of them carry
//! most of the traffic, so dealing them blindly, as the kernel would, fills some cores and not
//! others.
//!
//! Decision: connections are counted in twos. Who connects one after the other often talks to each
//! other – a sender and its receiver, a client and what serves it – and a message that stays on its
//! worker costs no thread a wake-up, which is most of what a small message costs. Dealing one by
//! one would separate just these; what it would balance better is a single connection. Those with
//! other routers are counted apart, one by one: what comes by them is for everybody.

use std::time::Duration;

use amqp_proto::Time;
use router_core::ids::ShardId;

/// How often rates are measured, at most.
const SAMPLE: Duration = Duration::from_secs(1);

/// Connections that go to one worker before the next has its turn.
const TOGETHER: u64 = 2;

/// Rates that differ by less than this many bytes a second are alike: 1 MiB.
const ALIKE_SHIFT: u32 = 20;

/// What is known of the workers.
#[derive(Debug)]
pub(crate) struct Dealer {
    workers: Vec<Known>,
    sampled: Time,
}

#[derive(Clone, Debug, Default)]
struct Known {
    bytes: u64,
    rate: u64,
    dealt: Counts,
}

/// Connections, by who is at the other end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) clients: u64,
    pub(crate) routers: u64,
}

impl Counts {
    /// One more.
    pub(crate) fn add(&mut self, is_router: bool) {
        match is_router {
            true => self.routers += 1,
            false => self.clients += 1,
        }
    }

    fn without(self, closed: Self) -> Self {
        Self {
            clients: self.clients.saturating_sub(closed.clients),
            routers: self.routers.saturating_sub(closed.routers),
        }
    }
}

/// What a worker tells of itself: totals since the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// Bytes it has moved.
    pub(crate) bytes: u64,
    /// Connections it had and has no more.
    pub(crate) closed: Counts,
}

impl Dealer {
    /// Workers that have nothing to do yet.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers: vec![Known::default(); workers],
            sampled: Time::ZERO,
        }
    }

    /// The connections that all workers have.
    pub(crate) fn connections(&self, told: impl Fn(usize) -> Told) -> u64 {
        let of = |(index, known): (usize, &Known)| {
            let Counts { clients, routers } = known.dealt.without(told(index).closed);
            clients + routers
        };
        self.workers.iter().enumerate().map(of).sum()
    }

    /// Chooses the worker for a connection, which then counts as its own: of those that are least
    /// often among the shards to be spared.
    pub(crate) fn deal(
        &mut self,
        now: Time,
        is_router: bool,
        spared: &[ShardId],
        told: impl Fn(usize) -> Told,
    ) -> usize {
        self.sample(now, &told);
        let load = |(index, known): (usize, &Known)| {
            let Counts { clients, routers } = known.dealt.without(told(index).closed);
            let connections = match is_router {
                true => (routers, clients / TOGETHER),
                false => (clients / TOGETHER, 0),
            };
            let beside = spared.iter().filter(|shard| shard.index() == index);
            let rate = known.rate >> ALIKE_SHIFT;
            (beside.count(), rate, connections, index)
        };
        let least = self.workers.iter().enumerate().map(load).min();
        let (.., index) = least.expect("there is at least one worker");
        self.workers[index].dealt.add(is_router);
        index
    }

    fn sample(&mut self, now: Time, told: &impl Fn(usize) -> Told) {
        let elapsed = now.saturating_sub(self.sampled);
        if elapsed < SAMPLE {
            return;
        }
        let seconds = elapsed.as_secs().max(1);
        for (index, known) in self.workers.iter_mut().enumerate() {
            let bytes = told(index).bytes;
            known.rate = bytes.wrapping_sub(known.bytes) / seconds;
            known.bytes = bytes;
        }
        self.sampled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(_: usize) -> Told {
        Told {
            bytes: 0,
            closed: Counts::default(),
        }
    }

    #[test]
    fn connections_with_routers_do_not_part_clients_that_belong_together() {
        let mut dealer = Dealer::new(2);
        let mut deal = |is_router| dealer.deal(Time::ZERO, is_router, &[], idle);
        assert_eq!(deal(true), 0);
        let clients = [(); 4].map(|()| deal(false));
        assert_eq!(clients, [0, 0, 1, 1]);
        let routers = [(); 3].map(|()| deal(true));
        assert_eq!(routers, [1, 0, 1]);
        assert_eq!([deal(false), deal(false)], [0, 0]);
        let gone = |index| Told {
            bytes: 0,
            closed: Counts {
                clients: 0,
                routers: if index == 1 { 2 } else { 0 },
            },
        };
        assert_eq!(dealer.deal(Time::ZERO, true, &[], gone), 1);
        assert_eq!(dealer.connections(gone), 9);
    }

    #[test]
    fn idle_workers_take_turns_in_twos() {
        let mut dealer = Dealer::new(3);
        let dealt: Vec<_> = (0..8)
            .map(|_| dealer.deal(Time::ZERO, false, &[], idle))
            .collect();
        assert_eq!(dealt, [0, 0, 1, 1, 2, 2, 0, 0]);
    }

    #[test]
    fn a_worker_that_lost_its_connections_is_next() {
        let mut dealer = Dealer::new(2);
        for _ in 0..4 {
            dealer.deal(Time::ZERO, false, &[], idle);
        }
        let told = |index| Told {
            bytes: 0,
            closed: Counts {
                clients: if index == 1 { 2 } else { 0 },
                routers: 0,
            },
        };
        assert_eq!(dealer.deal(Time::ZERO, false, &[], told), 1);
        assert_eq!(dealer.deal(Time::ZERO, false, &[], told), 1);
        assert_eq!(dealer.deal(Time::ZERO, false, &[], told), 0);
        assert_eq!(dealer.connections(told), 5);
    }

    #[test]
    fn connections_to_one_router_are_spread_whatever_else_there_is() {
        let mut dealer = Dealer::new(3);
        let busy = |index| Told {
            bytes: if index == 2 { 100 << 20 } else { 0 },
            closed: Counts::default(),
        };
        let beside = [ShardId(0), ShardId(1)];
        assert_eq!(
            dealer.deal(Time::from_millis(2_000), true, &beside, busy),
            2
        );
        let beside = [ShardId(0), ShardId(1), ShardId(2), ShardId(0)];
        assert_eq!(
            dealer.deal(Time::from_millis(2_000), true, &beside, busy),
            1
        );
    }

    #[test]
    fn a_busy_worker_is_spared_until_it_is_idle_again() {
        let mut dealer = Dealer::new(2);
        let busy = |index| Told {
            bytes: if index == 0 { 100 << 20 } else { 1000 },
            closed: Counts::default(),
        };
        for _ in 0..3 {
            assert_eq!(dealer.deal(Time::from_millis(2_000), false, &[], busy), 1);
        }
        assert_eq!(dealer.deal(Time::from_millis(9_000), false, &[], busy), 0);
    }
}
