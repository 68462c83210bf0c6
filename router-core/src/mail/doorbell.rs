//! Who must be woken: a count of what waits and a flag that says whether the owner sleeps.
//!
//! Owns no queue and no waker. Decision: a flag checked behind a full fence on both sides instead
//! of a wake-up for each letter, so that a running owner costs a poster no system call.
//!
//! ```text
//!    RUNNING ── park, nothing waits ──▶ PARKED
//!       ▲                                 │
//!       └── the first to ring, or unpark ─┘
//! ```

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

/// The park and ring protocol of one mailbox.
#[derive(Debug)]
pub struct Doorbell {
    /// Batches rung for and not yet taken; for a moment below zero, when one is taken before its
    /// poster has rung.
    waiting: AtomicUsize,
    parked: AtomicBool,
}

impl Doorbell {
    /// Nothing waits and the owner runs.
    #[must_use]
    pub fn new() -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
        }
    }

    /// Called by anyone after putting a batch into the queue. True: the owner sleeps, and it is the
    /// caller who must wake it.
    #[must_use]
    pub fn ring(&self) -> bool {
        self.waiting.fetch_add(1, Ordering::Release);
        fence(Ordering::SeqCst);
        self.parked.load(Ordering::Relaxed)
            && self
                .parked
                .compare_exchange(true, false, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    /// Called by the owner after taking a batch out of the queue.
    pub fn taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Called by the owner before it sleeps. True: it may, and whoever posts next wakes it.
    #[must_use]
    pub fn park(&self) -> bool {
        self.parked.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Acquire) == 0 {
            return true;
        }
        self.parked.store(false, Ordering::Relaxed);
        false
    }

    /// Called by the owner when something else woke it.
    pub fn unpark(&self) {
        self.parked.store(false, Ordering::Relaxed);
    }
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use loom::sync::{Arc, Notify};
    use loom::thread;

    use super::*;

    /// A mailbox of which only the length matters, and a waker.
    struct Mailbox {
        queue: AtomicUsize,
        doorbell: Doorbell,
        waker: Notify,
    }

    impl Mailbox {
        fn post(&self) {
            self.queue.fetch_add(1, Ordering::Release);
            if self.doorbell.ring() {
                self.waker.notify();
            }
        }

        fn take(&self) -> bool {
            if self.queue.load(Ordering::Acquire) == 0 {
                return false;
            }
            self.queue.fetch_sub(1, Ordering::Relaxed);
            self.doorbell.taken();
            true
        }
    }

    /// The owner takes all that the posters post, asleep whenever it may; a lost wake-up leaves it
    /// asleep for ever, which loom reports.
    fn all_is_taken(posters: usize, posts: usize, preemptions: Option<usize>) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = preemptions;
        model.check(move || {
            let mailbox = Arc::new(Mailbox {
                queue: AtomicUsize::new(0),
                doorbell: Doorbell::new(),
                waker: Notify::new(),
            });
            for _ in 0..posters {
                let mailbox = Arc::clone(&mailbox);
                thread::spawn(move || (0..posts).for_each(|_| mailbox.post()));
            }
            let mut taken = 0;
            while taken < posters * posts {
                if mailbox.take() {
                    taken += 1;
                } else if mailbox.doorbell.park() {
                    mailbox.waker.wait();
                    mailbox.doorbell.unpark();
                } else {
                    thread::yield_now();
                }
            }
        });
    }

    #[test]
    fn one_post_never_leaves_a_sleeper_with_mail() {
        all_is_taken(1, 1, None);
    }

    #[test]
    fn one_poster_never_leaves_a_sleeper_with_mail() {
        all_is_taken(1, 2, Some(3));
    }

    #[test]
    fn two_posters_never_leave_a_sleeper_with_mail() {
        all_is_taken(2, 1, Some(3));
    }
}
