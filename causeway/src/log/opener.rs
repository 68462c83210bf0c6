//! Opens outputs in a thread of their own: a pipe that nobody reads, or a disk that is away, may
//! take for ever, and neither who asks for it nor who writes the other lines may wait for that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::output::Writer;
use super::settings::Output;

/// How long an output may take to open.
const OPENING_PATIENCE: Duration = Duration::from_secs(2);

/// Outputs that were opened and have not been written to.
pub(super) type Opened = BTreeMap<Output, Writer>;

/// Those of which each may have failed, with a text for the user.
type Tried = Vec<(Output, Result<Writer, String>)>;

/// Whether a thread opens something.
#[derive(Debug, Default)]
pub(super) struct Opener {
    busy: Arc<AtomicBool>,
}

impl Opener {
    /// Opens all of them.
    ///
    /// # Errors
    ///
    /// The first that cannot be opened, or takes more than two seconds, as a text for the user;
    /// then none is open. At once, if one that somebody has given up is still being opened.
    pub(super) fn open(&self, outputs: Vec<Output>) -> Result<Opened, String> {
        let tried = self.each(outputs)?.into_iter();
        tried
            .map(|(output, opened)| Ok((output, opened?)))
            .collect()
    }

    /// Opens those that can be opened, within the same time.
    ///
    /// # Errors
    ///
    /// As above, but for those that cannot be opened, which are told.
    pub(super) fn each(&self, outputs: Vec<Output>) -> Result<Tried, String> {
        if outputs.is_empty() {
            return Ok(Vec::new());
        }
        let failure = |why: &str| format!("Failed to open {}: {why}", called(&outputs));
        if self.busy.swap(true, Ordering::Relaxed) {
            return Err(failure(
                "one that was asked for before is still being opened",
            ));
        }
        let (answer, answered) = mpsc::channel();
        let (busy, wanted) = (Arc::clone(&self.busy), outputs.clone());
        let thread = thread::Builder::new().name("log-open".to_owned());
        let started = thread.spawn(move || {
            let tried = wanted.into_iter().map(|output| {
                let opened = Writer::open(&output);
                (output, opened)
            });
            let tried: Tried = tried.collect();
            busy.store(false, Ordering::Relaxed);
            // Who has given up wants none of them: they are closed.
            answer.send(tried).unwrap_or_default();
        });
        if let Err(error) = started {
            self.busy.store(false, Ordering::Relaxed);
            return Err(failure(&error.to_string()));
        }
        answered
            .recv_timeout(OPENING_PATIENCE)
            .map_err(|_| failure("it takes more than two seconds; is nobody there to read it?"))
    }
}

/// What outputs are called in a line for the user.
fn called(outputs: &[Output]) -> String {
    let names = outputs.iter().map(|output| match output {
        Output::Stderr => "standard error".to_owned(),
        Output::Stdout => "standard output".to_owned(),
        Output::Syslog => "log file 'syslog'".to_owned(),
        Output::File(path) => format!("log file '{}'", path.display()),
    });
    names.collect::<Vec<_>>().join(", ")
}
