//! Entries of a shard's tables that have outlived what they stand for. Keys carry generations, so
//! such an entry does no harm but to be there, which nobody would notice: the census counts them.

use std::collections::BTreeSet;

use super::conn::Conn;
use super::link::{InLink, InTarget, OutLink};
use super::state::{Incoming, Shard};
use crate::ids::{AddressKey, InKey, Key, ShardId};

impl Shard {
    /// How many entries stand for what is gone. Lists that the next turn or second goes through are
    /// looked at, too, because in quiet there is a next one.
    pub(super) fn strays(&self) -> usize {
        let conns = self.conns.iter().map(|(_, conn)| self.strays_of_conn(conn));
        let sending = self.in_links.iter();
        let sending = sending.map(|(_, link)| self.strays_of_producer(link));
        let receiving = self.out_links.iter();
        let receiving = receiving.map(|(key, link)| self.strays_of_consumer(key, link));
        self.strays_by_address()
            + self.strays_by_delivery()
            + self.strays_by_link()
            + conns.sum::<usize>()
            + sending.sum::<usize>()
            + receiving.sum::<usize>()
    }

    /// What is kept for addresses.
    fn strays_by_address(&self) -> usize {
        let mut carried: BTreeSet<_> = self.carried.keys().copied().collect();
        if !carried.is_empty() {
            for route in self.table.iter() {
                carried.remove(&route.id);
            }
        }
        let is_producer = |key: &_| {
            let link = self.in_links.get(*key);
            link.is_some_and(|link| matches!(link.target, InTarget::Address { .. }))
        };
        let producers = self.producers.values();
        let producers = producers.map(|links| count(links, is_producer));
        let is_consumer = |key: &Key| self.out_links.get(*key).is_some();
        let consumers = self.consumers.values();
        let consumers = consumers.map(|links| count(links, is_consumer));
        carried.len() + producers.sum::<usize>() + consumers.sum::<usize>()
    }

    /// What is kept for deliveries.
    fn strays_by_delivery(&self) -> usize {
        let is_there = |record: &InKey| self.inbound.get(*record).is_some();
        let lines = self.lines.values().map(|line| match line.is_empty() {
            true => 1,
            false => count(line, is_there),
        });
        let is_arriving = |at: &Incoming| match *at {
            Incoming::Link(link) => self.out_links.get(link).is_some(),
            Incoming::Fan(fan) => self.copies.get(fan).is_some(),
        };
        let sources = self.by_source.iter().flat_map(|table| table.values());
        let is_over = |key: &&AddressKey| !self.lines.contains_key(*key);
        lines.sum::<usize>()
            + self.lines_moved.keys().filter(is_over).count()
            + count(&self.doubtful, is_there)
            + count(&self.behind, is_there)
            + count(self.by_origin.values(), is_arriving)
            + count(sources, |key| self.outbound.get(*key).is_some())
            + self.left.iter().map(Vec::len).sum::<usize>()
    }

    /// What is kept for links.
    fn strays_by_link(&self) -> usize {
        let is_there = |link: &Key| self.out_links.get(*link).is_some();
        let own = self.pipes.to.keys().filter(|to| to.shard == self.id);
        let gone = own.filter(|to| !is_there(&to.link) && self.paths.behind(**to).is_none());
        gone.count()
            + count(&self.loose, is_there)
            + count(&self.slow, |key| self.in_links.get(*key).is_some())
            + count(&self.trunks, |key| self.conns.get(*key).is_some())
            + self.grants.len()
    }

    fn strays_of_conn(&self, conn: &Conn) -> usize {
        let is_there = |link: &Key| self.out_links.get(*link).is_some();
        let stalled = conn.stalled.iter().map(|(session, links)| {
            let mut sessions = conn.sessions.iter();
            let is_gone = sessions.all(|(of, _)| of != session);
            usize::from(is_gone || links.is_empty()) + count(links, is_there)
        });
        stalled.sum::<usize>()
            + count(&conn.streaming.links, is_there)
            + count(&conn.dirty, |key| self.in_links.get(*key).is_some())
            + count(&conn.newcomers, |key| self.in_links.get(*key).is_some())
    }

    fn strays_of_producer(&self, link: &InLink) -> usize {
        let partial = link.partial.iter();
        let is_there = |record: &InKey| self.inbound.get(*record).is_some();
        let pins = link.pins.iter().filter(|pin| {
            let mut trunks = self.paths.trunks();
            trunks.all(|neighbor| neighbor.router != pin.router)
        });
        count(partial, is_there) + pins.count()
    }

    /// A consumer's link: of the ends of its pipes there is one for each shard.
    fn strays_of_consumer(&self, key: Key, link: &OutLink) -> usize {
        let shards: BTreeSet<ShardId> = link.pipes.iter().map(|pipe| pipe.from).collect();
        let is_listed = link.address.is_none_or(|address| {
            let links = self.consumers.get(&address);
            links.is_some_and(|links| links.contains(&key))
        });
        link.pipes.len() - shards.len() + usize::from(!is_listed)
    }
}

/// How many entries are not there any more.
fn count<'a, T: 'a>(
    entries: impl IntoIterator<Item = &'a T>,
    is_there: impl Fn(&T) -> bool,
) -> usize {
    let entries = entries.into_iter();
    entries.filter(|entry| !is_there(entry)).count()
}
