//! Who must be woken: a count of what waits and a flag that says whether the owner sleeps.
//!
//! Owns no queue and no waker. Decision: a flag checked behind a full fence on both sides instead of
//! a wake-up for each letter, so that a running owner costs a poster no system call.
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
