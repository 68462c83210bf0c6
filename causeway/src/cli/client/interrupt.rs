//! Ctrl-C that ends a client politely.
//!
//! Owns the flag that SIGINT and SIGTERM set; whoever waits looks at it between two waits. The
//! first signal asks for an orderly end (settle, detach, close), the second ends the process as if
//! nothing had been installed: a peer that does not answer must not hold a person up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::cli::failure::Failure;

/// Whether the person wants to stop.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// A flag that SIGINT and SIGTERM set.
    ///
    /// # Errors
    /// If the operating system refuses the signal handlers.
    pub fn on_signals() -> Result<Self, Failure> {
        let raised = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, Arc::clone(&raised))
                .and_then(|_| flag::register(signal, Arc::clone(&raised)))
                .map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))?;
        }
        Ok(Self(raised))
    }

    /// A flag that somebody else sets.
    #[must_use]
    pub fn by(raised: Arc<AtomicBool>) -> Self {
        Self(raised)
    }

    /// Whether a signal has come.
    #[must_use]
    pub fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
