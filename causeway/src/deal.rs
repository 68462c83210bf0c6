//! Which worker gets a new connection: the one that was least busy lately, and of those that have
//! time the one with the fewest connections. Connections live long and few of them carry most of
//! the traffic, so dealing them blindly, as the kernel would, fills some cores and not others.
//!
//! Decision: connections are counted in twos. Who connects one after the other often talks to each
//! other – a sender and its receiver, a client and what serves it, two routers of which one passes
//! on what the other sends – and a message that stays on its worker costs no thread a wake-up,
//! which is most of what a small message costs. Dealing one by one would separate just these; what
//! it would balance better is a single connection. For the same reason a worker counts as idle
//! until work takes half of its time. Connections with other routers are counted apart: what comes
//! by them is for everybody, and their number must not part the twos of clients.

use std::time::Duration;

use amqp_proto::Time;
use router_core::ids::ShardId;

/// How often it is looked how busy workers are, at most.
const SAMPLE: Duration = Duration::from_secs(1);

/// Connections that go to one worker before the next has its turn.
const TOGETHER: u64 = 2;

/// The share of its time, in percent, for which a worker may work and still count as idle.
const IDLE_PERCENT: u128 = 50;

/// Busy workers whose shares differ by less than this are alike.
const ALIKE_PERCENT: u128 = 10;

/// What is known of the workers.
#[derive(Debug)]
pub(crate) struct Dealer {
    workers: Vec<Known>,
    sampled: Time,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// Since the start, when it was last looked.
    busy: Duration,
    /// 0 for an idle one, otherwise higher for busier ones.
    degree: u128,
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
    /// For how long it has worked.
    pub(crate) busy: Duration,
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
        is_router: bool,
        spared: &[ShardId],
        told: impl Fn(usize) -> Told,
    ) -> usize {
        let load = |(index, known): (usize, &Known)| {
            let Counts { clients, routers } = known.dealt.without(told(index).closed);
            let connections = match is_router {
                true => (routers / TOGETHER, clients / TOGETHER),
                false => (clients / TOGETHER, 0),
            };
            let beside = spared.iter().filter(|shard| shard.index() == index);
            (beside.count(), known.degree, connections, index)
        };
        let least = self.workers.iter().enumerate().map(load).min();
        let (.., index) = least.expect("there is at least one worker");
        self.workers[index].dealt.add(is_router);
        index
    }

    /// Looks how busy the workers have been since it last did, if that is long enough ago.
    pub(crate) fn sample(&mut self, now: Time, told: impl Fn(usize) -> Told) {
        let elapsed = now.saturating_sub(self.sampled);
        if elapsed < SAMPLE {
            return;
        }
        for (index, known) in self.workers.iter_mut().enumerate() {
            let busy = told(index).busy;
            let worked = busy.saturating_sub(known.busy);
            let percent = worked.as_nanos() * 100 / elapsed.as_nanos();
            known.degree = match percent < IDLE_PERCENT {
                true => 0,
                false => percent / ALIKE_PERCENT,
            };
            known.busy = busy;
        }
        self.sampled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(_: usize) -> Told {
        Told {
            busy: Duration::ZERO,
            closed: Counts::default(),
        }
    }

    /// Two seconds after the start, one worker has worked for so long.
    fn one_worked(worker: usize, milliseconds: u64) -> impl Fn(usize) -> Told {
        move |index| Told {
            busy: Duration::from_millis(if index == worker { milliseconds } else { 0 }),
            closed: Counts::default(),
        }
    }

    #[test]
    fn connections_with_routers_do_not_part_clients_that_belong_together() {
        let mut dealer = Dealer::new(2);
        let mut deal = |is_router| dealer.deal(is_router, &[], idle);
        assert_eq!(deal(true), 0);
        let clients = [(); 4].map(|()| deal(false));
        assert_eq!(clients, [0, 0, 1, 1]);
        let routers = [(); 4].map(|()| deal(true));
        assert_eq!(routers, [0, 1, 1, 0]);
        assert_eq!([deal(false), deal(false)], [0, 0]);
        let gone = |index| Told {
            busy: Duration::ZERO,
            closed: Counts {
                clients: 0,
                routers: if index == 1 { 2 } else { 0 },
            },
        };
        assert_eq!(dealer.deal(true, &[], gone), 1);
        assert_eq!(dealer.connections(gone), 10);
    }

    #[test]
    fn a_router_between_two_others_has_both_on_one_worker() {
        let mut dealer = Dealer::new(4);
        let dealt = [(); 2].map(|()| dealer.deal(true, &[], idle));
        assert_eq!(dealt, [0, 0]);
    }

    #[test]
    fn idle_workers_take_turns_in_twos() {
        let mut dealer = Dealer::new(3);
        let dealt: Vec<_> = (0..8).map(|_| dealer.deal(false, &[], idle)).collect();
        assert_eq!(dealt, [0, 0, 1, 1, 2, 2, 0, 0]);
    }

    #[test]
    fn a_worker_that_lost_its_connections_is_next() {
        let mut dealer = Dealer::new(2);
        for _ in 0..4 {
            dealer.deal(false, &[], idle);
        }
        let told = |index| Told {
            busy: Duration::ZERO,
            closed: Counts {
                clients: if index == 1 { 2 } else { 0 },
                routers: 0,
            },
        };
        assert_eq!(dealer.deal(false, &[], told), 1);
        assert_eq!(dealer.deal(false, &[], told), 1);
        assert_eq!(dealer.deal(false, &[], told), 0);
        assert_eq!(dealer.connections(told), 5);
    }

    #[test]
    fn connections_to_one_router_are_spread_whatever_else_there_is() {
        let mut dealer = Dealer::new(3);
        dealer.sample(Time::from_millis(2_000), one_worked(2, 1_900));
        let beside = [ShardId(0), ShardId(1)];
        assert_eq!(dealer.deal(true, &beside, idle), 2);
        let beside = [ShardId(0), ShardId(1), ShardId(2), ShardId(0)];
        assert_eq!(dealer.deal(true, &beside, idle), 1);
    }

    #[test]
    fn a_busy_worker_is_spared_until_it_is_idle_again() {
        let mut dealer = Dealer::new(2);
        dealer.sample(Time::from_millis(2_000), one_worked(0, 1_000));
        let dealt = [(); 3].map(|()| dealer.deal(false, &[], idle));
        assert_eq!(dealt, [1, 1, 1]);
        dealer.sample(Time::from_millis(2_500), one_worked(0, 1_000));
        assert_eq!(dealer.deal(false, &[], idle), 1, "too soon to tell");
        dealer.sample(Time::from_millis(3_000), one_worked(0, 1_000));
        assert_eq!(dealer.deal(false, &[], idle), 0);
    }

    #[test]
    fn a_worker_with_time_to_spare_counts_as_idle() {
        let mut dealer = Dealer::new(2);
        dealer.sample(Time::from_millis(2_000), one_worked(0, 900));
        let dealt = [(); 3].map(|()| dealer.deal(false, &[], idle));
        assert_eq!(dealt, [0, 0, 1]);
    }
}
