//! Figures of the router as a whole: one block of counters for each shard, written by that shard
//! alone and read by anyone.
//!
//! Owns the table that names every counter. Decision: a plain load and store by the single writer
//! instead of an atomic addition; a reader may see figures of slightly different moments, which
//! sums of counters do not mind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::ids::ShardId;
use crate::latency::{Histogram, Latencies};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident => $text:literal),* $(,)?) => {
        /// What is counted, in the order in which management shows it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Counter {
            $($(#[$doc])* $name,)*
        }

        impl Counter {
            /// All counters.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$name),*];

            /// The attribute by which management shows it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

counters! {
    /// Deliveries that came in settled on links of endpoints.
    PresettledDeliveries => "presettledDeliveries",
    /// Settled deliveries dropped: no destination, or a full lane.
    DroppedPresettledDeliveries => "droppedPresettledDeliveries",
    /// Deliveries that ended accepted.
    AcceptedDeliveries => "acceptedDeliveries",
    /// Deliveries that ended rejected.
    RejectedDeliveries => "rejectedDeliveries",
    /// Deliveries that ended released.
    ReleasedDeliveries => "releasedDeliveries",
    /// Deliveries that ended modified.
    ModifiedDeliveries => "modifiedDeliveries",
    /// Deliveries that ended more than 1 and at most 10 seconds after they came in.
    DeliveriesDelayed1Sec => "deliveriesDelayed1Sec",
    /// Deliveries that ended more than 10 seconds after they came in.
    DeliveriesDelayed10Sec => "deliveriesDelayed10Sec",
    /// Deliveries now older than ten seconds; those stuck on both sides count twice. A gauge.
    DeliveriesStuck => "deliveriesStuck",
    /// Deliveries from endpoints.
    DeliveriesIngress => "deliveriesIngress",
    /// Deliveries to endpoints.
    DeliveriesEgress => "deliveriesEgress",
    /// Deliveries from router to router.
    DeliveriesTransit => "deliveriesTransit",
    /// Deliveries from route containers.
    DeliveriesIngressRouteContainer => "deliveriesIngressRouteContainer",
    /// Deliveries to route containers.
    DeliveriesEgressRouteContainer => "deliveriesEgressRouteContainer",
    /// Deliveries meant for a fallback: they went there or began to wait for it.
    DeliveriesRedirectedToFallback => "deliveriesRedirectedToFallback",
    /// Links without credit for more than ten seconds. A gauge.
    LinksBlocked => "linksBlocked",
    /// Connections that exist. A gauge.
    Connections => "connectionCount",
    /// Links that exist. A gauge.
    Links => "linkCount",
}

/// One shard's counters, alone on their cache lines.
type Block = CachePadded<[AtomicU64; Counter::ALL.len()]>;

/// The counters of all shards.
#[derive(Debug)]
pub struct Counters {
    blocks: Box<[Block]>,
    histograms: Box<[CachePadded<Histogram>]>,
}

impl Counters {
    /// Counters for so many shards and the control plane, all at zero.
    #[must_use]
    pub fn new(shards: u16) -> Arc<Self> {
        let blocks = (0..=shards)
            .map(|_| Block::new([const { AtomicU64::new(0) }; _]))
            .collect();
        let histograms = (0..=shards).map(|_| CachePadded::default()).collect();
        Arc::new(Self { blocks, histograms })
    }

    /// The writing end of a shard, the control plane being the shard after the last.
    ///
    /// To be called once for each shard: two writers of one block would overwrite each other.
    #[must_use]
    pub fn writer(self: &Arc<Self>, shard: ShardId) -> CounterWriter {
        assert!(shard.index() < self.blocks.len(), "there is no such shard");
        CounterWriter {
            counters: Arc::clone(self),
            shard: shard.index(),
        }
    }

    /// The sum over all shards.
    #[must_use]
    pub fn total(&self, counter: Counter) -> u64 {
        let cells = self.blocks.iter().map(|block| &block[counter as usize]);
        cells.fold(0, |sum, cell| {
            sum.wrapping_add(cell.load(Ordering::Relaxed))
        })
    }
}

impl Counters {
    /// How long deliveries have taken in all shards.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        let mut all = Latencies::default();
        self.histograms.iter().for_each(|shard| all.add(shard));
        all
    }
}

/// The one writer of a shard's counters.
#[derive(Debug)]
pub struct CounterWriter {
    counters: Arc<Counters>,
    shard: usize,
}

impl CounterWriter {
    /// Counts `n` more.
    #[inline]
    pub fn add(&mut self, counter: Counter, n: u64) {
        let cell = &self.counters.blocks[self.shard][counter as usize];
        cell.store(
            cell.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// Counts a delivery that has settled after so long.
    #[inline]
    pub fn observe(&mut self, micros: u64) {
        self.counters.histograms[self.shard].observe(micros);
    }

    /// Counts `n` less: for gauges. What one shard adds another may take off; only sums are shown.
    #[inline]
    pub fn sub(&mut self, counter: Counter, n: u64) {
        self.add(counter, n.wrapping_neg());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_sums_over_shards_and_control() {
        let counters = Counters::new(2);
        let mut writers: Vec<_> = (0..3)
            .map(|shard| counters.writer(ShardId(shard)))
            .collect();
        for writer in &mut writers {
            writer.add(Counter::DeliveriesIngress, 2);
        }
        writers[0].add(Counter::Connections, 3);
        writers[2].sub(Counter::Connections, 1);
        assert_eq!(counters.total(Counter::DeliveriesIngress), 6);
        assert_eq!(counters.total(Counter::Connections), 2);
        assert_eq!(counters.total(Counter::Links), 0);
    }

    #[test]
    fn names_are_all_different() {
        let mut names: Vec<_> = Counter::ALL.iter().map(|counter| counter.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Counter::ALL.len());
    }
}
