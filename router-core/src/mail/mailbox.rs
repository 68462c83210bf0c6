//! The way into a shard: a queue of batches that anyone may post to and one shard takes from.
//!
//! Owns the queue and its doorbell; waking is the poster's affair. Decision: no capacity. What may
//! lie in a mailbox is bounded by pipe windows and unsettled counts, and for what has neither by
//! receipts, so posting never blocks.

use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;

use super::doorbell::Doorbell;
use super::letter::Batch;

/// The mailbox of one shard, shared by all.
#[derive(Debug, Default)]
pub struct Mailbox {
    mail: SegQueue<Batch>,
    doorbell: CachePadded<Doorbell>,
}

impl Mailbox {
    /// An empty mailbox whose owner runs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a batch in. True: the owner sleeps and the caller must wake it.
    #[must_use]
    pub fn post(&self, batch: Batch) -> bool {
        self.mail.push(batch);
        self.doorbell.ring()
    }

    /// The oldest batch. For the owner alone, as are the rest.
    pub fn take(&self) -> Option<Batch> {
        let batch = self.mail.pop()?;
        self.doorbell.taken();
        Some(batch)
    }

    /// To be called before sleeping. True: nothing waits, and whoever posts next will wake the
    /// owner.
    #[must_use]
    pub fn park(&self) -> bool {
        self.doorbell.park()
    }

    /// To be called after sleeping.
    pub fn unpark(&self) {
        self.doorbell.unpark();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::thread;

    use super::*;
    use crate::ids::Key;
    use crate::ids::{OutLinkKey, ShardId};
    use crate::mail::Mail;

    fn numbered(number: u32) -> Batch {
        let link = OutLinkKey {
            shard: ShardId(0),
            link: Key {
                index: number,
                generation: 0,
            },
        };
        Batch {
            mail: vec![Mail::Swept { link, sweep: 0 }],
        }
    }

    fn number(batch: &Batch) -> u32 {
        match &*batch.mail {
            [Mail::Swept { link, .. }] => link.link.index,
            other => panic!("not a numbered batch: {other:?}"),
        }
    }

    #[test]
    fn only_the_first_post_to_a_sleeper_wakes_it() {
        let mailbox = Mailbox::new();
        assert!(!mailbox.post(numbered(0)), "the owner runs");
        assert!(!mailbox.park(), "there is mail");
        assert_eq!(mailbox.take().as_ref().map(number), Some(0));
        assert!(mailbox.park());
        assert!(mailbox.post(numbered(1)));
        assert!(!mailbox.post(numbered(2)));
        mailbox.unpark();
        assert_eq!(mailbox.take().as_ref().map(number), Some(1));
        assert_eq!(mailbox.take().as_ref().map(number), Some(2));
        assert!(mailbox.take().is_none());
    }

    #[test]
    fn an_owner_that_woke_by_itself_is_not_woken() {
        let mailbox = Mailbox::new();
        assert!(mailbox.park());
        mailbox.unpark();
        assert!(!mailbox.post(numbered(0)));
    }

    #[test]
    fn two_posters_and_a_sleeping_owner_lose_nothing_and_keep_each_order() {
        const POSTS: u32 = 10_000;
        let mailbox = Mailbox::new();
        let owner = thread::current();
        thread::scope(|scope| {
            for poster in 0..2 {
                let (mailbox, owner) = (&mailbox, &owner);
                scope.spawn(move || {
                    for post in 0..POSTS {
                        if mailbox.post(numbered(post * 2 + poster)) {
                            owner.unpark();
                        }
                    }
                });
            }
            let mut next = [0, 0];
            while next != [POSTS, POSTS] {
                if let Some(batch) = mailbox.take() {
                    let (post, poster) = (number(&batch) / 2, number(&batch) as usize % 2);
                    assert_eq!(post, next[poster]);
                    next[poster] += 1;
                } else if mailbox.park() {
                    thread::park();
                    mailbox.unpark();
                }
            }
        });
        assert!(mailbox.take().is_none());
    }
}
