//! Opens outputs, each in a thread of its own: a pipe that nobody reads, or a disk that is away,
//! may take for ever, and neither who asks for it, nor who writes the other lines, nor the other
//! outputs may wait for that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::output::Writer;
use super::settings::Output;
use crate::clock::Clock;

/// How long an output may take to open.
const OPENING_PATIENCE: Duration = Duration::from_secs(2);

/// Outputs that were opened and have not been written to.
pub(super) type Opened = BTreeMap<Output, Writer>;

/// What became of an output; if it cannot be opened, a text for the user.
type Tried = Result<Writer, String>;

/// The outputs that are being opened: one that hangs has one thread, however often it is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Opener {
    busy: Arc<Mutex<BTreeSet<Output>>>,
}

impl Opener {
    /// Opens all of them.
    ///
    /// # Errors
    ///
    /// The first that cannot be opened, or takes more than two seconds, as a text for the user;
    /// then none is open. At once, if one that somebody has given up is still being opened.
    pub(super) fn open(&self, outputs: impl IntoIterator<Item = Output>) -> Result<Opened, String> {
        let (answer, answered) = mpsc::channel();
        let mut waiting = BTreeSet::new();
        for output in outputs {
            let answer = answer.clone();
            waiting.insert(output.clone());
            // Who has given up wants none of them: they are closed.
            self.begin(output, move |output, tried| {
                answer.send((output, tried)).unwrap_or_default();
            })?;
        }
        let clock = Clock::start();
        let deadline = clock.now() + OPENING_PATIENCE;
        let mut opened = Opened::new();
        while let Some(late) = waiting.first() {
            let patience = deadline.saturating_sub(clock.now());
            let Ok((output, tried)) = answered.recv_timeout(patience) else {
                let why = "it takes more than two seconds; is nobody there to read it?";
                return Err(failure(late, why));
            };
            waiting.remove(&output);
            opened.insert(output, tried?);
        }
        Ok(opened)
    }

    /// Begins to open an output; `done` is called by the thread that does.
    ///
    /// # Errors
    ///
    /// It is being opened already, or there is no thread.
    pub(super) fn begin(
        &self,
        output: Output,
        done: impl FnOnce(Output, Tried) + Send + 'static,
    ) -> Result<(), String> {
        if !self.busy().insert(output.clone()) {
            let why = "somebody has asked for it before, and it is still being opened";
            return Err(failure(&output, why));
        }
        let (opener, wanted) = (self.clone(), output.clone());
        let thread = thread::Builder::new().name("log-open".to_owned());
        let started = thread.spawn(move || {
            let tried = Writer::open(&wanted);
            opener.busy().remove(&wanted);
            done(wanted, tried);
        });
        started.map(|_| ()).map_err(|error| {
            self.busy().remove(&output);
            failure(&output, &error.to_string())
        })
    }

    fn busy(&self) -> MutexGuard<'_, BTreeSet<Output>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failure(output: &Output, why: &str) -> String {
    let name = match output {
        Output::Stderr => "standard error".to_owned(),
        Output::Stdout => "standard output".to_owned(),
        Output::Syslog => "log file 'syslog'".to_owned(),
        Output::File(path) => format!("log file '{}'", path.display()),
    };
    format!("Failed to open {name}: {why}")
}
