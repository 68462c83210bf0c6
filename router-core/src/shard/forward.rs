//! A delivery whose target was chosen goes on its way: its record is made, where it needs one, and
//! it is posted to the shard that owns the target, or to several.

use std::sync::Arc;

use super::parcel::Parcel;
use super::state::Shard;
use crate::delivery::{FanOut, Merge, Place};
use crate::ids::{AddressId, Origin, OutLinkKey, ShardId};
use crate::mail::{Forward, Mail, Target};
use crate::route::{Entry, NO_SLOT};

impl Shard {
    /// A delivery goes to one link.
    pub(super) fn forward_to_one(
        &mut self,
        parcel: Parcel,
        target: OutLinkKey,
        slot: u32,
        address: AddressId,
    ) {
        let record = if parcel.settled && parcel.complete && !parcel.is_routed() {
            self.finish_settled(&parcel);
            None
        } else {
            Some(self.place_parcel(&parcel, Place::Sent { target, peer: None }))
        };
        self.count_ingress(&parcel, address);
        let leaves = !self.paths.neighbors().is_empty() && self.paths.behind(target).is_some();
        self.count_transit(&parcel, address, u64::from(leaves));
        if self.paths.has_trunks() {
            self.note_pin(parcel.link, target, record.is_some());
        }
        let awaited = self.is_awaited(&parcel);
        let forward = Forward {
            origin: Origin {
                shard: self.id,
                delivery: record,
            },
            to: Target::Link(target),
            address,
            slot,
            age: self.second.saturating_sub(parcel.born),
            settled: parcel.settled,
            complete: parcel.complete,
            awaited,
            urgent: false,
            entry: parcel.journey.entry.unwrap_or(Entry::Here),
            sender: parcel.sender,
            beyond: None,
            state: parcel.state,
            heads: parcel.heads,
            payload: parcel.payload,
        };
        self.post_forward(target.shard, forward);
    }

    /// A delivery goes to all that consume its address.
    pub(super) fn forward_to_all(
        &mut self,
        parcel: Parcel,
        address: AddressId,
        shards: Vec<ShardId>,
        beyond: Option<Arc<Vec<OutLinkKey>>>,
    ) {
        let record = if parcel.settled && parcel.complete {
            self.finish_settled(&parcel);
            None
        } else {
            let fan = FanOut {
                address,
                merge: Merge::new(shards.len()),
                shards: shards.iter().map(|&shard| (shard, 0)).collect(),
            };
            Some(self.place_parcel(&parcel, Place::Fan(Box::new(fan))))
        };
        self.count_ingress(&parcel, address);
        let leave = beyond.as_ref().map_or(0, |links| links.len());
        self.count_transit(&parcel, address, leave as u64);
        if self.paths.has_trunks() {
            for &link in beyond.iter().flat_map(|links| links.iter()) {
                self.note_pin(parcel.link, link, false);
            }
        }
        let awaited = self.is_awaited(&parcel);
        let forward = Forward {
            origin: Origin {
                shard: self.id,
                delivery: record,
            },
            to: Target::Fan(address),
            address,
            slot: NO_SLOT,
            age: self.second.saturating_sub(parcel.born),
            settled: parcel.settled,
            complete: parcel.complete,
            awaited,
            urgent: false,
            entry: parcel.journey.entry.unwrap_or(Entry::Here),
            sender: parcel.sender,
            beyond,
            state: parcel.state,
            heads: parcel.heads,
            payload: parcel.payload,
        };
        let Some((last, others)) = shards.split_last() else {
            return;
        };
        for &shard in others {
            self.post_forward(shard, forward.clone());
        }
        self.post_forward(*last, forward);
    }

    fn post_forward(&mut self, to: ShardId, forward: Forward) {
        if forward.origin.delivery.is_some() {
            self.post(to, Mail::Forward(forward));
        } else {
            let bytes = forward.payload.len();
            self.post_counted(to, Mail::Forward(forward), bytes);
        }
    }
}
