//! What has left the box: a producer's link counts the bytes of a delivery only as long as they are
//! here, so that consumers who take their time over an outcome hold up nobody else. The shard that
//! sends says so once a turn, with all deliveries in one letter.
//!
//! Streams tell as they go (`Mail::Progress`); what is small and comes from a client counts until
//! it settles, because there is never much of it: its link's capacity bounds it, unless the link is
//! routed.

use super::parcel::Parcel;
use super::state::Shard;
use crate::delivery::Place;
use crate::ids::{FanKey, InKey, ShardId};
use crate::limits;
use crate::mail::{Forward, Mail};

impl Shard {
    /// Whether the shard that received a delivery has to hear when it has left.
    pub(super) fn is_awaited(&self, parcel: &Parcel) -> bool {
        if parcel.is_routed() {
            return parcel.settled || parcel.complete;
        }
        let is_small = || parcel.payload.len() < limits::AWAITED_BYTES;
        !parcel.settled && parcel.complete && !(is_small() && self.is_of_endpoint(parcel.link))
    }

    /// A whole delivery, or a copy of it, has left its lane for the wire.
    pub(super) fn note_left(&mut self, forward: &Forward, fan: Option<FanKey>) {
        match (fan, forward.origin.delivery) {
            (Some(fan), _) => self.copy_left(fan),
            (None, Some(delivery)) => self.add_left(forward.origin.shard, delivery),
            (None, None) => {}
        }
    }

    /// A copy is in no lane any more, sent or not.
    pub(super) fn copy_left(&mut self, fan: FanKey) {
        let Some(copies) = self.copies.get_mut(fan) else {
            return;
        };
        copies.waiting = copies.waiting.saturating_sub(1);
        if copies.awaited && copies.waiting == 0 {
            let (shard, delivery) = copies.origin;
            self.add_left(shard, delivery);
        }
    }

    fn add_left(&mut self, shard: ShardId, delivery: InKey) {
        if let Some(left) = self.left.get_mut(shard.index()) {
            left.push(delivery);
        }
    }

    /// Whether something has left that no other shard has heard of: what ends by a timer does so
    /// when the turn has told all that it had to tell.
    pub(super) fn has_news(&self) -> bool {
        !self.grants.is_empty() || self.left.iter().any(|deliveries| !deliveries.is_empty())
    }

    /// Tells each shard which of its deliveries have left here in this turn.
    pub(super) fn tell_left(&mut self) {
        let from = self.id;
        for shard in (0..self.shards).map(ShardId) {
            let deliveries = &mut self.left[shard.index()];
            if deliveries.is_empty() {
                continue;
            }
            let mut deliveries = std::mem::take(deliveries);
            if shard == from {
                self.take_left(from, &deliveries);
                deliveries.clear();
                self.left[shard.index()] = deliveries;
            } else {
                self.post(shard, Mail::Left { from, deliveries });
            }
        }
    }

    /// Deliveries have left the box at one shard; those that are nowhere else count no more.
    pub(super) fn take_left(&mut self, from: ShardId, deliveries: &[InKey]) {
        for &record in deliveries {
            if self.settled_left(record) {
                continue;
            }
            let Some(inbound) = self.inbound.get_mut(record) else {
                continue;
            };
            let is_gone = match &mut inbound.place {
                Place::Sent { .. } => true,
                Place::Fan(fan) => {
                    for (shard, progress) in &mut fan.shards {
                        if *shard == from {
                            *progress = u64::MAX;
                        }
                    }
                    fan.shards.iter().all(|&(_, progress)| progress == u64::MAX)
                }
                Place::Hold(_) | Place::Line(_) | Place::Discard(_) => false,
            };
            if !is_gone {
                continue;
            }
            let link = inbound.link;
            let was_stream = inbound.stream.is_some();
            if let Some(stream) = &mut inbound.stream {
                // It had come whole before it was forwarded.
                stream.progress = stream.received;
            }
            self.count_down(record, self.overhead(link));
            if was_stream {
                self.update_withheld(record, None);
            }
        }
    }
}
