//! Whole messages that wait, on connections between routers, for consumers that take nothing.
//!
//! What a neighbour's connection brings counts against it until it has left, and strangers share
//! it. A consumer that takes nothing could have all of it: then nobody else would get anything.
//! Streams are cut in that case (`scrub.rs`); whole messages are called back from its lane and
//! released, and until it takes something again nothing more goes to it from there: that goes to
//! another consumer, or is released at once. Decision: only where others have to wait, and only for
//! a consumer that has taken nothing for as long as a stream may stand still. One that is merely
//! slow sets the pace, and who sends to it waits. Decision: only the router that the consumer is
//! connected to does this; those before it would call strangers' messages back, too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use amqp_codec::DeliveryState;

use super::hoard::{Hoard, Oldest, is_shut};
use super::lanes::{leave_account, origin_of};
use super::link::Queued;
use super::state::Shard;
use crate::delivery::{Inbound, Place};
use crate::ids::{ConnKey, InKey, InLinkKey, Key, OutLinkKey, ShardId};
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::Mail;

/// What a look at a connection's deliveries found for one consumer.
#[derive(Default)]
struct Found {
    bytes: u64,
    oldest: Oldest,
    /// Those that wait, the one that is to stay first.
    waiting: Vec<InKey>,
}

impl Found {
    fn add(&mut self, record: InKey, of: &Inbound) {
        self.bytes += of.bytes;
        self.waiting.push(record);
        if self.oldest.count == 0 || of.born < self.oldest.born {
            let last = self.waiting.len() - 1;
            self.waiting.swap(0, last);
            self.oldest = Oldest {
                first: Some(record),
                born: of.born,
                ..Oldest::default()
            };
        }
        if of.born == self.oldest.born {
            self.oldest.count += 1;
            self.oldest.bytes += of.bytes;
        }
    }
}

impl Shard {
    /// Looks after the connections to neighbours on which others wait, and those on which they did.
    pub(super) fn relieve(&mut self) {
        let crowded = self.crowded_links();
        let keys = self.conns.iter().filter(|(key, conn)| {
            let is_crowded = || crowded.iter().any(|(_, of)| *of == ConnKey(*key));
            let is_short = || conn.is_full() || is_crowded();
            !conn.hoards.is_empty() || self.is_inter_router(ConnKey(*key)) && is_short()
        });
        let keys: Vec<_> = keys.map(|(key, _)| ConnKey(key)).collect();
        for key in keys {
            let links = crowded.iter().filter(|(_, of)| *of == key);
            let links = links.map(|(link, _)| *link).collect();
            self.relieve_connection(key, &links);
        }
    }

    /// The links of neighbours that have brought as much as they may, with their connections.
    fn crowded_links(&self) -> Vec<(InLinkKey, ConnKey)> {
        let links = self.in_links.iter().filter(|(_, link)| {
            link.kind == LinkType::InterRouter && link.bytes >= limits::LINK_BYTES
        });
        links
            .map(|(key, link)| (InLinkKey(key), link.conn))
            .collect()
    }

    fn relieve_connection(&mut self, key: ConnKey, crowded: &BTreeSet<InLinkKey>) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let (full, second) = (conn.is_full(), self.second);
        let mut found = self.waiting_of(key, full, crowded, &conn.hoards);
        let mut hoards = Vec::with_capacity(found.len());
        for (&to, found) in &found {
            let mut known = conn.hoards.iter();
            let stays = |of: &&Hoard| of.oldest.is_none_or(|oldest| oldest == found.oldest);
            let known = known.find(|of| of.to == to).filter(stays);
            hoards.push(Hoard {
                to,
                oldest: Some(found.oldest),
                since: known.map_or(second, |known| known.since),
                shut: known.is_some_and(|known| known.shut),
            });
        }
        let stands = |hoard: &Hoard| self.since(hoard.since) >= limits::STREAM_STALLED.as_secs();
        let mut over: Vec<OutLinkKey> = Vec::new();
        if full || !crowded.is_empty() {
            let stalled = hoards.iter().filter(|hoard| stands(hoard));
            over.extend(stalled.map(|hoard| hoard.to));
        }
        over.sort_by_key(|to| std::cmp::Reverse(found[to].bytes));
        let mut held = conn.held_bytes;
        let enough = conn.settings.held_bytes / 2;
        for (place, to) in over.into_iter().enumerate() {
            if place > 0 && held <= enough {
                break;
            }
            let Some(found) = found.remove(&to) else {
                continue;
            };
            held = held.saturating_sub(found.bytes);
            if let Some(hoard) = hoards.iter_mut().find(|hoard| hoard.to == to) {
                hoard.shut = true;
                hoard.oldest = None;
            }
            self.call_back(key, to, found.waiting);
        }
        if let Some(conn) = self.conns.get_mut(key) {
            conn.hoards = hoards;
        }
    }

    /// What waits for each of this router's consumers of what came by a connection: all where the
    /// connection is full or the consumer is shut, else what is small and came by crowded links.
    fn waiting_of(
        &self,
        key: ConnKey,
        full: bool,
        crowded: &BTreeSet<InLinkKey>,
        hoards: &[Hoard],
    ) -> BTreeMap<OutLinkKey, Found> {
        let mut found = BTreeMap::<OutLinkKey, Found>::new();
        let of_conn = |of: &Inbound| of.conn == key && of.link.is_some() && of.bytes > 0;
        for (record, of) in self.inbound.iter().filter(|(_, of)| of_conn(of)) {
            let Place::Sent { target, .. } = of.place else {
                continue;
            };
            let is_whole = of.stream.as_ref().is_none_or(|stream| stream.complete);
            let is_small = of.stream.is_none() && of.bytes <= limits::STREAM_THRESHOLD as u64;
            let stops = is_small && of.link.is_some_and(|link| crowded.contains(&link));
            let counts = full || stops || is_shut(hoards, target);
            let is_routed = of.link.is_some_and(|link| self.is_routed(Some(link)));
            let is_client =
                !is_routed && target.shard.0 < self.shards && self.paths.behind(target).is_none();
            if !is_whole || !counts || !is_client {
                continue;
            }
            found.entry(target).or_default().add(InKey(record), of);
        }
        found
    }

    /// Has what waits for a consumer come back, but for the first, and releases what waits for it
    /// here.
    fn call_back(&mut self, key: ConnKey, to: OutLinkKey, mut waiting: Vec<InKey>) {
        waiting.remove(0);
        if !waiting.is_empty() {
            let (from, link, deliveries) = (self.id, to.link, waiting);
            let recall = Mail::Recall {
                from,
                link,
                deliveries,
            };
            self.post(to.shard, recall);
        }
        let leads_there = |of: &Inbound| match &of.place {
            Place::Line(waiting) if waiting.complete => {
                let route = self.table.lookup(&waiting.key);
                route.is_some_and(|route| route.consumers.iter().any(|of| of.link == to))
            }
            _ => false,
        };
        let lines = self.inbound.iter();
        let lines = lines.filter(|(_, of)| of.conn == key && leads_there(of));
        let lines: Vec<_> = lines.map(|(record, _)| InKey(record)).collect();
        for record in lines {
            self.leave_line(record);
            self.conclude(record, Some(DeliveryState::Released));
        }
    }

    /// Deliveries that wait in a lane are to come back: those of which nothing was sent do, and are
    /// released.
    pub(super) fn recall(&mut self, from: ShardId, link: Key, deliveries: &[InKey]) {
        let wanted: BTreeSet<&InKey> = deliveries.iter().collect();
        let Some(out) = self.out_links.get_mut(link) else {
            return;
        };
        let is_wanted = |queued: &Queued| {
            let origin = origin_of(&queued.forward);
            let origin = origin.filter(|(shard, _)| *shard == from);
            let waits = queued.begun.is_none() && !queued.forward.settled && queued.fan.is_none();
            waits && origin.is_some_and(|(_, delivery)| wanted.contains(&delivery))
        };
        let lane = std::mem::take(&mut out.lane);
        let (back, stays): (VecDeque<_>, VecDeque<_>) = lane.into_iter().partition(is_wanted);
        out.lane = stays;
        let weight = back.iter().map(Queued::weight).sum();
        leave_account(out, weight, &mut self.conns);
        for queued in back {
            self.leave_lane(queued.window, from);
            self.uncount(queued.forward.slot);
            if let Some(origin) = origin_of(&queued.forward) {
                self.by_origin.remove(&origin);
                self.answer(origin, None, Some(DeliveryState::Released), true);
            }
        }
        self.mark_ready(link);
        self.tell_credit(link);
    }
}
