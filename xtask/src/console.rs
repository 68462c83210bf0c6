//! What the tasks print.
//!
//! Owns standard output and the clock that measures steps. It never decides what to print.
//! Decision: the two things that other crates must not touch are touched here, in one place. What
//! runs beside something else prints on a sheet of its own, so that neither is torn apart.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where a thread's lines are gathered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sheet(Arc<Mutex<String>>);

thread_local! {
    static SHEET: RefCell<Option<Sheet>> = const { RefCell::new(None) };
}

impl Sheet {
    /// Does `work`, and has what it prints on this sheet.
    pub(crate) fn gather<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = SHEET.replace(Some(self.clone()));
        let result = work();
        SHEET.set(before);
        result
    }

    /// Does `work` on a sheet that may be missing: then it prints at once.
    pub(crate) fn gather_if<T>(sheet: Option<&Self>, work: impl FnOnce() -> T) -> T {
        match sheet {
            Some(sheet) => sheet.gather(work),
            None => work(),
        }
    }

    /// The sheet of this thread, for threads that work for it.
    pub(crate) fn present() -> Option<Self> {
        SHEET.with_borrow(Clone::clone)
    }

    /// What was gathered; the sheet is empty then.
    pub(crate) fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, text: &str) {
        let mut sheet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sheet.push_str(text);
        sheet.push('\n');
    }
}

/// Prints one line.
#[expect(clippy::print_stdout, reason = "a task's output is what it is run for")]
pub(crate) fn line(text: &str) {
    match Sheet::present() {
        Some(sheet) => sheet.add(text),
        None => println!("{text}"),
    }
}

/// Runs `work` and says how long it took.
#[expect(
    clippy::disallowed_methods,
    reason = "durations of build steps are told to people"
)]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let result = work();
    (result, start.elapsed())
}
