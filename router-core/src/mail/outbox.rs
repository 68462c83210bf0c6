//! Batches in the making: one for each shard that this shard writes to, itself included.
//!
//! Owns the batches until the driver posts them; knows no mailboxes. Decision: the emptied vectors
//! of batches *received* are the next ones written, so no vector travels back to the shard it came
//! from.

use crate::ids::ShardId;
use crate::limits::{OUTBOX_KEEP, OUTBOX_POST};

use super::letter::{Batch, Mail};

/// The outboxes of one shard.
#[derive(Debug)]
pub struct Outboxes {
    own: ShardId,
    boxes: Box<[Batch]>,
    /// Shards for which something has been written since the last time theirs was taken; may name
    /// some whose batch has been taken meanwhile.
    written: Vec<ShardId>,
    /// Other shards whose batch has grown to [`OUTBOX_POST`].
    due: Vec<ShardId>,
    /// Empty vectors with room.
    spare: Vec<Batch>,
    /// How often all batches were taken.
    posted: u64,
}

impl Outboxes {
    /// The outboxes of shard `own` to so many destinations: all shards and the control plane.
    #[must_use]
    pub fn new(own: ShardId, destinations: usize) -> Self {
        assert!(own.index() < destinations, "a shard writes to itself, too");
        Self {
            own,
            boxes: (0..destinations).map(|_| Batch::default()).collect(),
            written: Vec::with_capacity(destinations),
            due: Vec::new(),
            spare: Vec::new(),
            posted: 0,
        }
    }

    /// Writes a letter to a shard.
    #[inline]
    pub fn push(&mut self, to: ShardId, mail: Mail) {
        if self.boxes[to.index()].mail.is_empty() {
            self.begin(to);
        }
        let letters = &mut self.boxes[to.index()].mail;
        letters.push(mail);
        if letters.len() == OUTBOX_POST && to != self.own {
            self.due.push(to);
        }
    }

    /// Prepares an empty batch for its first letter.
    fn begin(&mut self, to: ShardId) {
        let batch = &mut self.boxes[to.index()];
        if batch.mail.capacity() == 0
            && let Some(spare) = self.spare.pop()
        {
            *batch = spare;
        }
        if !self.written.contains(&to) {
            self.written.push(to);
        }
    }

    /// What has been written to a shard, if anything.
    #[must_use]
    pub fn take(&mut self, to: ShardId) -> Option<Batch> {
        let batch = &mut self.boxes[to.index()];
        if batch.mail.is_empty() {
            return None;
        }
        Some(std::mem::take(batch))
    }

    /// Whether the shard has written to itself.
    #[must_use]
    pub fn has_own(&self) -> bool {
        !self.boxes[self.own.index()].mail.is_empty()
    }

    /// A batch for another shard that is long enough to be posted before the turn ends.
    pub fn poll_due(&mut self) -> Option<(ShardId, Batch)> {
        while let Some(to) = self.due.pop() {
            if let Some(batch) = self.take(to) {
                return Some((to, batch));
            }
        }
        None
    }

    /// All batches for *other* shards, at the end of a turn. What is not taken from the iterator
    /// stays.
    pub fn drain(&mut self) -> impl Iterator<Item = (ShardId, Batch)> {
        self.due.clear();
        self.posted += 1;
        std::iter::from_fn(move || self.poll())
    }

    /// How often all batches were drained: what was written at a lower count has been posted.
    #[must_use]
    pub fn posted(&self) -> u64 {
        self.posted
    }

    /// The next batch for another shard.
    fn poll(&mut self) -> Option<(ShardId, Batch)> {
        while let Some(to) = self.written.pop() {
            if to != self.own
                && let Some(batch) = self.take(to)
            {
                return Some((to, batch));
            }
        }
        None
    }

    /// Keeps the vector of a batch that has been read.
    pub fn recycle(&mut self, mut batch: Batch) {
        batch.mail.clear();
        if (1..=OUTBOX_KEEP).contains(&batch.mail.capacity()) && self.spare.len() < self.boxes.len()
        {
            self.spare.push(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Key, OutLinkKey};

    const OWN: ShardId = ShardId(1);

    fn letter(number: u32) -> Mail {
        let link = OutLinkKey {
            shard: OWN,
            link: Key {
                index: number,
                generation: 0,
            },
        };
        Mail::Swept { link, sweep: 0 }
    }

    fn numbers(batch: &Batch) -> Vec<u32> {
        let number = |mail: &Mail| match mail {
            Mail::Swept { link, .. } => link.link.index,
            other => panic!("not a numbered letter: {other:?}"),
        };
        batch.mail.iter().map(number).collect()
    }

    #[test]
    fn draining_gives_each_other_shard_its_letters_in_order_and_keeps_the_own() {
        let mut outboxes = Outboxes::new(OWN, 4);
        for number in 0..9 {
            outboxes.push(ShardId((number % 3) as u16), letter(number));
        }
        let mut drained: Vec<_> = outboxes
            .drain()
            .map(|(to, batch)| (to.0, numbers(&batch)))
            .collect();
        drained.sort_unstable();
        assert_eq!(drained, [(0, vec![0, 3, 6]), (2, vec![2, 5, 8])]);
        assert_eq!(outboxes.drain().count(), 0);
        assert!(outboxes.has_own());
        assert_eq!(
            outboxes.take(OWN).map(|batch| numbers(&batch)),
            Some(vec![1, 4, 7])
        );
        assert!(!outboxes.has_own());
        assert!(outboxes.take(OWN).is_none());
    }

    #[test]
    fn a_long_batch_for_another_shard_is_due_once() {
        let mut outboxes = Outboxes::new(OWN, 3);
        for number in 0..70 {
            outboxes.push(ShardId(0), letter(number));
            outboxes.push(OWN, letter(number));
            assert_eq!(outboxes.due.is_empty(), number + 1 < 64);
        }
        let (to, batch) = outboxes.poll_due().unwrap();
        assert_eq!((to, batch.mail.len()), (ShardId(0), 70));
        assert!(outboxes.poll_due().is_none());
        outboxes.push(ShardId(0), letter(70));
        assert_eq!(outboxes.drain().count(), 1);
    }

    #[test]
    fn vectors_are_used_again_but_not_hoarded() {
        let mut outboxes = Outboxes::new(OWN, 2);
        outboxes.recycle(Batch {
            mail: Vec::with_capacity(100),
        });
        outboxes.push(ShardId(0), letter(0));
        assert!(outboxes.take(ShardId(0)).unwrap().mail.capacity() >= 100);
        outboxes.recycle(Batch {
            mail: Vec::with_capacity(OUTBOX_KEEP + 1),
        });
        assert!(outboxes.spare.is_empty());
        for _ in 0..5 {
            outboxes.recycle(Batch {
                mail: Vec::with_capacity(10),
            });
        }
        assert_eq!(outboxes.spare.len(), 2);
    }
}
