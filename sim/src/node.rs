//! One router: real shards, real control plane, and mail that is seen when the seed says so.
//! Batches from one shard to another keep their order; nothing else about their timing is promised.

use std::collections::VecDeque;
use std::sync::Arc;

use amqp_proto::{Clear, Time};
use router_core::control::{ControlConfig, ControlPlane};
use router_core::counters::Counters;
use router_core::ids::{ConnKey, ShardId};
use router_core::mail::Batch;
use router_core::notice::Notice;
use router_core::settings::{ConnectionSettings, NewConnection, RouterSettings};
use router_core::shard::{Shard, ShardConfig};

use crate::random::Random;

/// A router of some shards.
pub(crate) struct Node {
    pub(crate) shards: Vec<Shard>,
    control: ControlPlane,
    /// Mail under way, by sender and receiver; the control plane is the one after the last shard.
    mail: Vec<Vec<VecDeque<Batch>>>,
    notices: Vec<Notice>,
}

impl Node {
    pub(crate) fn new(shards: u16, settings: &Arc<RouterSettings>, seed: u64) -> Self {
        let counters = Counters::new(shards);
        let control = ControlPlane::new(ControlConfig {
            instance: 1,
            settings: Arc::clone(settings),
            shards,
            seed,
            counters: Arc::clone(&counters),
        });
        let shard = |id: u16| {
            Shard::new(ShardConfig {
                id: ShardId(id),
                shards,
                settings: Arc::clone(settings),
                seed: seed ^ u64::from(id),
                table: Arc::clone(control.table()),
                counters: counters.writer(ShardId(id)),
            })
        };
        let all = usize::from(shards) + 1;
        Self {
            shards: (0..shards).map(shard).collect(),
            control,
            mail: (0..all)
                .map(|_| (0..all).map(|_| VecDeque::new()).collect())
                .collect(),
            notices: Vec::new(),
        }
    }

    /// A new connection on a shard.
    pub(crate) fn accept(
        &mut self,
        shard: usize,
        listener: &Arc<ConnectionSettings>,
        now: Time,
    ) -> ConnKey {
        let connection = self.control.deal_connection();
        let accepted = NewConnection {
            connection,
            settings: Arc::clone(listener),
            hostname: None,
            peer: format!("192.0.2.1:{connection}"),
            traced: false,
        };
        self.shards[shard].accept(accepted, Box::new(Clear), now)
    }

    /// One shard, or the control plane, takes its turn. True if anything moved.
    pub(crate) fn turn(&mut self, who: usize, random: &mut Random, now: Time) -> bool {
        let mut moved = false;
        for from in 0..self.mail.len() {
            let waiting = self.mail[from][who].len();
            // Sometimes a part of what is in the box is seen only in the turn after.
            let seen = if random.one_in(4) {
                random.below(waiting + 1)
            } else {
                waiting
            };
            for batch in self.mail[from][who].drain(..seen).collect::<Vec<_>>() {
                moved = true;
                match self.shards.get_mut(who) {
                    Some(shard) => shard.take_mail(batch, now),
                    None => self.control.handle_mail(batch),
                }
            }
        }
        let posted: Vec<_> = match self.shards.get_mut(who) {
            Some(shard) => {
                shard.turn(now);
                moved |= shard.is_runnable();
                shard.finish(&mut self.notices);
                shard.outboxes().drain().collect()
            }
            None => {
                self.control.turn(now);
                self.control.drain_notices(&mut self.notices);
                self.control.outboxes().drain().collect()
            }
        };
        self.notices.clear();
        for (to, batch) in posted {
            moved = true;
            self.mail[who][to.index()].push_back(batch);
        }
        moved
    }

    /// Whether mail is under way.
    pub(crate) fn has_mail(&self) -> bool {
        self.mail.iter().flatten().any(|queue| !queue.is_empty())
    }

    /// Address records, those of the router itself included.
    pub(crate) fn address_count(&self) -> usize {
        self.control.address_count()
    }
}
