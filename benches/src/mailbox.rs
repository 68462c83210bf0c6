//! Mail: written, posted, taken, read.
//!
//! Owns batches of the smallest letters. It never crosses a thread; what that costs is the
//! machine's business. Decision: batches of the size at which a shard posts them, and of one.

use std::hint::black_box;

use router_core::ids::{Key, OutLinkKey, ShardId};
use router_core::mail::{Mail, Mailbox, Outboxes};

use crate::workload::{Unit, Workload};

/// What is posted.
pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        Workload::new("mailbox.batch_of_1", || post(1)),
        Workload::new("mailbox.batch_of_64", || post(64)),
    ]
}

fn post(letters: u32) -> Unit {
    let here = ShardId(0);
    let there = ShardId(1);
    let mailbox = Mailbox::new();
    let mut sender = Outboxes::new(here, 2);
    let mut receiver = Outboxes::new(there, 2);
    Box::new(move || {
        for index in 0..letters {
            let link = OutLinkKey {
                shard: there,
                link: Key {
                    index,
                    generation: 0,
                },
            };
            sender.push(there, black_box(Mail::Swept { link, sweep: 0 }));
        }
        for (_, batch) in sender.drain() {
            black_box(mailbox.post(batch));
        }
        let mut read = 0;
        while let Some(mut batch) = mailbox.take() {
            read += batch.mail.drain(..).map(black_box).count() as u64;
            receiver.recycle(batch);
        }
        read
    })
}
