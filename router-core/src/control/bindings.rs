//! The truth about addresses: which record has which producers, consumers and in-process targets,
//! and the tally cells of those that have a choice.
//!
//! It never chooses a target and never sends mail: it says which records differ since it was last
//! asked. Decision: a record is kept while anything refers to it and dies with the last reference;
//! its first treatment stays, whatever is configured later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{AddressId, AddressKey, OutLinkKey, ShardId};
use crate::mail::{Bind, Bound, BoundLink, Unbind};
use crate::notice::{NetworkNotice, Notice};
use crate::route::{Boards, Consumer, NO_SLOT, RemoteRouter, Route, Slots, Treatment};

/// One address, as management shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRow {
    /// The record's number: later ones are younger.
    pub id: AddressId,
    /// The text by which it is looked up.
    pub key: AddressKey,
    /// How its deliveries are dealt.
    pub treatment: Treatment,
    /// Overrides the priority of its messages between routers.
    pub priority: Option<u8>,
    /// Consumers inside the router.
    pub in_process: usize,
    /// Consumers on links.
    pub subscribers: usize,
    /// Containers connected, of a link route.
    pub containers: usize,
    /// Ids of other routers that have consumers.
    pub routers: Vec<Arc<str>>,
    /// Unsettled deliveries to other routers, by their indices, where deliveries are dealt by that.
    pub outstanding: Vec<(u16, u32)>,
}

impl AddressRow {
    /// What it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let routers = self.routers.len() * size_of::<Arc<str>>();
        let outstanding = self.outstanding.len() * size_of::<(u16, u32)>();
        size_of::<Self>() + self.key.len() + routers + outstanding
    }
}

#[derive(Debug)]
struct Record {
    id: AddressId,
    treatment: Treatment,
    priority: Option<u8>,
    producers: usize,
    in_process: Vec<OutLinkKey>,
    consumers: Vec<Member>,
    routers: Vec<RemoteRouter>,
    turn_slot: u32,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    consumer: Consumer,
    annotated: bool,
}

impl Record {
    fn is_idle(&self) -> bool {
        self.producers == 0
            && self.in_process.is_empty()
            && self.consumers.is_empty()
            && self.routers.is_empty()
    }

    /// Gives cells to a record that has a choice: balanced counts what each consumer has on its
    /// way, both kinds of anycast count turns.
    fn assign_slots(&mut self, slots: &mut Slots) {
        let anycast = matches!(
            self.treatment,
            Treatment::AnycastClosest | Treatment::AnycastBalanced
        );
        if !anycast || self.consumers.len() + self.routers.len() < 2 {
            return;
        }
        if self.turn_slot == NO_SLOT {
            self.turn_slot = slots.turn();
        }
        if self.treatment == Treatment::AnycastBalanced {
            for member in &mut self.consumers {
                if member.consumer.slot == NO_SLOT {
                    member.consumer.slot = slots.load();
                }
            }
            for remote in &mut self.routers {
                if remote.slot == NO_SLOT {
                    remote.slot = slots.load();
                }
            }
        }
    }

    fn route(&self, key: &AddressKey) -> Route {
        let shards: BTreeSet<ShardId> = self
            .consumers
            .iter()
            .map(|member| member.consumer.link.shard)
            .collect();
        Route {
            id: self.id,
            key: Arc::clone(key),
            treatment: self.treatment,
            priority: self.priority,
            control_only: false,
            annotated: !self.routers.is_empty()
                || self.consumers.iter().any(|member| member.annotated),
            in_process: self.in_process.clone(),
            consumers: self
                .consumers
                .iter()
                .map(|member| member.consumer)
                .collect(),
            routers: self.routers.clone(),
            shards: shards.into_iter().collect(),
            turn_slot: self.turn_slot,
        }
    }
}

/// What differs since the last time.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Keys with their routes; `None`: the record is gone.
    pub(super) routes: Vec<(AddressKey, Option<Arc<Route>>)>,
    /// To confirm: their routes were among the changes of the last time, and have been posted to
    /// every shard since. Confirmed with the changes themselves, a receiver could be seen by a
    /// client whose shard's batch is still on its way.
    pub(super) bound: Vec<Bound>,
    /// Records that are gone for good.
    pub(super) gone: Vec<AddressId>,
}

#[derive(Debug, Default)]
pub(super) struct Bindings {
    records: BTreeMap<AddressKey, Record>,
    last_id: u64,
    slots: Slots,
    changed: BTreeSet<AddressKey>,
    /// Addresses that other routers may have to hear of.
    offered: BTreeSet<AddressKey>,
    bound: Vec<Bound>,
    /// To confirm when the changes have been posted that were taken at this count of the outboxes.
    posted: (u64, Vec<Bound>),
    gone: Vec<AddressId>,
    notices: Vec<Notice>,
    /// Records made and removed because of other routers since that was last told: there may be so
    /// many that a line for each would be the most work.
    learnt: (usize, usize),
}

impl Bindings {
    /// Adds a consumer inside the router.
    pub(super) fn subscribe(&mut self, key: &str, link: OutLinkKey) {
        let key: AddressKey = key.into();
        self.own_record(&key, Treatment::AnycastClosest, None)
            .in_process
            .push(link);
        self.changed.insert(key);
    }

    /// Binds a link; a consumer is confirmed once its routes have been posted.
    pub(super) fn bind(&mut self, bind: Bind) {
        let record = self.own_record(&bind.key, bind.treatment, bind.priority);
        let address = record.id;
        let BoundLink::Out {
            link,
            capacity,
            annotated,
        } = bind.link
        else {
            record.producers += 1;
            return;
        };
        if record
            .consumers
            .iter()
            .all(|member| member.consumer.link != link)
        {
            let consumer = Consumer {
                link,
                capacity,
                slot: NO_SLOT,
            };
            record.consumers.push(Member {
                consumer,
                annotated,
            });
            if record.consumers.len() == 1 {
                self.offered.insert(Arc::clone(&bind.key));
            }
        }
        if let Some(record) = self.records.get_mut(&bind.key) {
            record.assign_slots(&mut self.slots);
        }
        self.bound.push(Bound { link, address });
        self.changed.insert(bind.key);
    }

    /// Unbinds a link; one that is not bound is ignored.
    pub(super) fn unbind(&mut self, unbind: &Unbind) {
        let Some(record) = self.records.get_mut(&unbind.key) else {
            return;
        };
        match unbind.link {
            BoundLink::In(..) => record.producers = record.producers.saturating_sub(1),
            BoundLink::Out { link, .. } => {
                let place = record
                    .consumers
                    .iter()
                    .position(|m| m.consumer.link == link);
                let Some(place) = place else { return };
                let slot = record.consumers.remove(place).consumer.slot;
                if slot != NO_SLOT {
                    self.slots.free_load(slot);
                }
                self.bound.retain(|bound| bound.link != link);
                self.posted.1.retain(|bound| bound.link != link);
                if record.consumers.is_empty() {
                    self.offered.insert(Arc::clone(&unbind.key));
                }
                self.changed.insert(Arc::clone(&unbind.key));
            }
        }
        if self.drop_idle(&unbind.key) {
            let key = Arc::clone(&unbind.key);
            self.notices.push(Notice::AddressRemoved { key });
        }
    }

    /// Another router has consumers of an address; a record made for it gets this treatment.
    pub(super) fn map(
        &mut self,
        router: u16,
        key: &AddressKey,
        treatment: Treatment,
        priority: Option<u8>,
    ) {
        if !self.records.contains_key(key) {
            self.learnt.0 += 1;
        }
        let record = self.record(key, treatment, priority);
        let place = record.routers.binary_search_by_key(&router, |of| of.router);
        let Err(place) = place else { return };
        let slot = NO_SLOT;
        record.routers.insert(place, RemoteRouter { router, slot });
        if let Some(record) = self.records.get_mut(key) {
            record.assign_slots(&mut self.slots);
        }
        self.changed.insert(Arc::clone(key));
    }

    /// Another router has no consumers of an address any more.
    pub(super) fn unmap(&mut self, router: u16, key: &AddressKey) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let place = record.routers.binary_search_by_key(&router, |of| of.router);
        let Ok(place) = place else { return };
        let slot = record.routers.remove(place).slot;
        if slot != NO_SLOT {
            self.slots.free_load(slot);
        }
        self.changed.insert(Arc::clone(key));
        if self.drop_idle(key) {
            self.learnt.1 += 1;
        }
    }

    /// Removes a record to which nothing refers; whether there was one.
    fn drop_idle(&mut self, key: &AddressKey) -> bool {
        let Some(record) = self.records.get(key).filter(|record| record.is_idle()) else {
            return false;
        };
        if record.turn_slot != NO_SLOT {
            self.slots.free_turn(record.turn_slot);
        }
        self.gone.push(record.id);
        self.records.remove(key);
        self.changed.insert(Arc::clone(key));
        true
    }

    /// The addresses that have got their first or lost their last consumer on a link of this
    /// router since the last call, with the treatment of those that have one.
    pub(super) fn take_offered(&mut self) -> Vec<(AddressKey, Option<Treatment>)> {
        let offered = std::mem::take(&mut self.offered).into_iter();
        let treatment = |key: &AddressKey| {
            let record = self.records.get(key)?;
            (!record.consumers.is_empty()).then_some(record.treatment)
        };
        offered
            .map(|key| {
                let treatment = treatment(&key);
                (key, treatment)
            })
            .collect()
    }

    /// Whether receivers wait for their confirmation alone.
    pub(super) fn is_waiting(&self) -> bool {
        !self.posted.1.is_empty()
    }

    /// What has changed since the last call, `posted` being the count of the outboxes.
    pub(super) fn take_changes(&mut self, posted: u64) -> Changes {
        let (before, waiting) = &mut self.posted;
        let bound = match posted > *before {
            true => std::mem::take(waiting),
            false => Vec::new(),
        };
        if !self.bound.is_empty() {
            *before = posted;
            waiting.append(&mut self.bound);
        }
        let changed = std::mem::take(&mut self.changed);
        let routes = changed.into_iter().map(|key| {
            let route = self
                .records
                .get(&key)
                .map(|record| Arc::new(record.route(&key)));
            (key, route)
        });
        Changes {
            routes: routes.collect(),
            bound,
            gone: std::mem::take(&mut self.gone),
        }
    }

    /// Cells that have been handed out: boards must be at least so long.
    pub(super) fn slots_needed(&self) -> u32 {
        self.slots.needed()
    }

    pub(super) fn drain_notices(&mut self, into: &mut Vec<Notice>) {
        into.append(&mut self.notices);
        let (added, removed) = std::mem::take(&mut self.learnt);
        if (added, removed) != (0, 0) {
            into.push(Notice::Network(NetworkNotice::AddressesLearnt {
                added,
                removed,
            }));
        }
    }

    /// The number of the next record, wherever it is kept.
    pub(super) fn deal_id(&mut self) -> AddressId {
        self.last_id += 1;
        AddressId(self.last_id)
    }

    /// The number of records.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// One record; `name` knows the ids of routers.
    pub(super) fn get(
        &self,
        key: &str,
        name: impl Fn(u16) -> Option<Arc<str>>,
        boards: &Boards,
    ) -> Option<AddressRow> {
        self.records
            .get_key_value(key)
            .map(|(key, record)| row(key, record, &name, boards))
    }

    /// All records, oldest first; `name` knows the ids of routers.
    pub(super) fn rows(
        &self,
        name: impl Fn(u16) -> Option<Arc<str>>,
        boards: &Boards,
    ) -> Vec<AddressRow> {
        let mut rows: Vec<_> = self
            .records
            .iter()
            .map(|(key, record)| row(key, record, &name, boards))
            .collect();
        rows.sort_by_key(|row| row.id);
        rows
    }

    /// The record for an endpoint of this router, made if need be.
    fn own_record(
        &mut self,
        key: &AddressKey,
        treatment: Treatment,
        priority: Option<u8>,
    ) -> &mut Record {
        if !self.records.contains_key(key) {
            let key = Arc::clone(key);
            self.notices.push(Notice::AddressAdded { key });
        }
        self.record(key, treatment, priority)
    }

    fn record(
        &mut self,
        key: &AddressKey,
        treatment: Treatment,
        priority: Option<u8>,
    ) -> &mut Record {
        let Self {
            records,
            last_id,
            changed,
            ..
        } = self;
        records.entry(Arc::clone(key)).or_insert_with(|| {
            *last_id += 1;
            changed.insert(Arc::clone(key));
            Record {
                id: AddressId(*last_id),
                treatment,
                priority,
                producers: 0,
                in_process: Vec::new(),
                consumers: Vec::new(),
                routers: Vec::new(),
                turn_slot: NO_SLOT,
            }
        })
    }
}

fn row(
    key: &AddressKey,
    record: &Record,
    name: impl Fn(u16) -> Option<Arc<str>>,
    boards: &Boards,
) -> AddressRow {
    let is_dealt_by_load = record.treatment == Treatment::AnycastBalanced;
    let is_counted = |remote: &&RemoteRouter| is_dealt_by_load && remote.slot != NO_SLOT;
    let remotes = record.routers.iter().filter(is_counted);
    let outstanding = remotes.map(|remote| (remote.router, boards.load(remote.slot)));
    AddressRow {
        id: record.id,
        key: Arc::clone(key),
        treatment: record.treatment,
        priority: record.priority,
        in_process: record.in_process.len(),
        subscribers: record.consumers.len(),
        containers: 0,
        routers: record
            .routers
            .iter()
            .filter_map(|remote| name(remote.router))
            .collect(),
        outstanding: outstanding.collect(),
    }
}
