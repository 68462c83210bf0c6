//! The queue to the thread that writes the log, and the thread.
//!
//! Whoever has something to say never waits for a disk: what is beyond [`PENDING_BYTES`] in the
//! queue is dropped and counted, and the log says how much was. What no level asks for never enters
//! it.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Write as _};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use management::{LogStats, counted};
use router_core::notice::Notice;

use super::form::Line;
use super::level::{Level, Levels};
use super::module::Module;
use super::opener::{Opened, Opener};
use super::settings::{LogSettings, Output};
use super::sink::{Row, Sink, outputs_of, remember};
use super::words;
use crate::clock::time_of_day;

/// Bytes of lines and notices that may wait to be written, each with what it takes without text.
const PENDING_BYTES: usize = 16 * 1024 * 1024;

/// Changes of outputs that may wait to be taken: each has files open.
const CHANGES_WAITING: usize = 16;

/// Notices of a turn for which the vector that brings them keeps room.
const NOTICES_KEPT: usize = 1024;

/// Lines written between two flushes while more are waiting.
const FLUSH_EVERY: usize = 256;

/// How long [`Log::flush`] waits for the writing thread.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

/// How long somebody who reads the newest lines waits for what was said just before.
const READING_PATIENCE: Duration = Duration::from_millis(250);

/// The log of a router: a handle that every thread has a copy of.
#[derive(Clone, Debug)]
pub struct Log {
    queue: Sender<Entry>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes that wait.
    pending: AtomicUsize,
    /// Changes of outputs that wait.
    changes: AtomicUsize,
    /// Lines and notices for which there was no room.
    dropped: AtomicU64,
    /// The writing thread has kept somebody waiting and has not caught up since.
    behind: AtomicBool,
    levels: [AtomicU8; Module::ALL.len()],
    /// Every frame is wanted on standard error.
    frame_trace: AtomicBool,
    rows: Mutex<VecDeque<Row>>,
    opener: Opener,
    /// The outputs that are written to from the next entry on.
    outputs: Mutex<BTreeSet<Output>>,
    /// Lines written, by module and level.
    written: [[AtomicU64; Level::ALL.len()]; Module::ALL.len()],
}

#[derive(Debug)]
enum Entry {
    Line {
        time: SystemTime,
        module: Module,
        level: Level,
        text: String,
        source: &'static Location<'static>,
    },
    Notices(SystemTime, Vec<Notice>),
    /// Settings, and the outputs that they need besides those that are open.
    Configure(Box<LogSettings>, Opened),
    /// Files that were opened anew.
    Reopened(Opened),
    /// Somebody waits until all before is written, and nothing of it kept back.
    Flush(Sender<()>),
    /// Somebody waits until all before is among the rows.
    Reached(Sender<()>),
}

impl Log {
    /// Opens the outputs and starts the writing thread, which lives as long as a handle.
    ///
    /// # Errors
    ///
    /// An output that cannot be opened, or no thread, as a text for the user.
    pub fn start(settings: &LogSettings) -> Result<Self, String> {
        let (log, writer) = Self::with_writer(settings)?;
        writer.start()?;
        Ok(log)
    }

    /// A handle, and what writes once it is let run.
    fn with_writer(settings: &LogSettings) -> Result<(Self, Writer), String> {
        let shared = Arc::new(Shared::default());
        let opened = shared.opener.open(outputs_of(settings))?;
        let sink = Sink::new(settings, opened);
        let (queue, entries) = mpsc::channel();
        shared.note_levels(settings);
        *shared.outputs() = outputs_of(settings);
        shared
            .frame_trace
            .store(settings.frame_trace, Ordering::Relaxed);
        let writer = Writer {
            entries,
            sink,
            shared: Arc::clone(&shared),
        };
        Ok((Self { queue, shared }, writer))
    }

    /// Takes new settings, for what is said from now on.
    ///
    /// # Errors
    ///
    /// An output that cannot be opened, or not within two seconds, or so many changes that wait for
    /// an output that nobody reads, as a text for the user; the old settings stay.
    pub fn configure(&self, settings: &LogSettings) -> Result<(), String> {
        let wanted = outputs_of(settings);
        let missing: Vec<_> = wanted.difference(&self.shared.outputs()).cloned().collect();
        let opened = self.shared.opener.open(missing)?;
        if !self.shared.admit_change() {
            return Err(format!(
                "{CHANGES_WAITING} changes of the log's outputs wait already: what it is written \
                 to takes nothing"
            ));
        }
        self.send(Entry::Configure(Box::new(settings.clone()), opened));
        self.shared.note_levels(settings);
        *self.shared.outputs() = wanted;
        Ok(())
    }

    /// Has the files opened anew, as soon as they can be: who rotates logs has given them other
    /// names. One that cannot be opened is written to as before, and a line says so.
    pub fn reopen(&self) {
        let outputs = self.shared.outputs().clone().into_iter();
        for file in outputs.filter(|output| matches!(output, Output::File(_))) {
            let log = self.clone();
            let begun = self.shared.opener.begin(file, move |file, tried| {
                match tried {
                    Ok(writer) if log.shared.admit_change() => {
                        log.send(Entry::Reopened(Opened::from([(file, writer)])));
                    }
                    // What it is written to takes nothing: a line would not be read either.
                    Ok(_) => {}
                    Err(failure) => log.not_reopened(&failure),
                }
            });
            begun.unwrap_or_else(|failure| self.not_reopened(&failure));
        }
    }

    fn not_reopened(&self, failure: &str) {
        let text = format!("{failure}; the file that was open is written to further");
        self.line(Module::Server, Level::Error, text);
    }

    /// Whether a line would be written: spares making lines that nobody wants.
    #[must_use]
    pub fn is_enabled(&self, module: Module, level: Level) -> bool {
        let bits = self.shared.levels[module.index()].load(Ordering::Relaxed);
        Levels::from_bits(bits).contains(level)
    }

    /// Whether every frame of every connection is to be noted.
    #[must_use]
    pub fn wants_frames(&self) -> bool {
        self.shared.frame_trace.load(Ordering::Relaxed)
            || self.is_enabled(Module::Protocol, Level::Trace)
    }

    /// Whether messages are to be noted, of connections that show any.
    #[must_use]
    pub fn wants_messages(&self) -> bool {
        self.is_enabled(Module::Message, Level::Trace)
    }

    /// Whether what routers say to each other is to be noted.
    #[must_use]
    pub fn wants_routing(&self) -> bool {
        let modules = [Module::RouterHello, Module::RouterLs, Module::RouterMa];
        modules
            .into_iter()
            .any(|module| self.is_enabled(module, Level::Trace))
    }

    /// Writes a line.
    #[track_caller]
    pub fn line(&self, module: Module, level: Level, text: impl Into<String>) {
        if !self.is_enabled(module, level) {
            return;
        }
        let text = text.into();
        if self.admit(bytes_of(&text)) {
            let (time, source) = (time_of_day(), Location::caller());
            self.send(Entry::Line {
                time,
                module,
                level,
                text,
                source,
            });
        }
    }

    /// Writes what happened in a turn; leaves `notices` empty.
    pub fn notices(&self, notices: &mut Vec<Notice>) {
        let wanted = notices.drain(..).filter(|notice| self.is_wanted(notice));
        let admitted: Vec<_> = wanted.filter(|notice| self.admit(notice.bytes())).collect();
        notices.shrink_to(NOTICES_KEPT);
        if !admitted.is_empty() {
            self.send(Entry::Notices(time_of_day(), admitted));
        }
    }

    /// Whether a notice would be written. A frame is only noted if someone wants it: by the level,
    /// or for that connection alone.
    fn is_wanted(&self, notice: &Notice) -> bool {
        let (module, level) = words::rank(notice);
        matches!(notice, Notice::Frame { .. }) || self.is_enabled(module, level)
    }

    /// The newest lines, the oldest of them first, at most `count`.
    #[must_use]
    pub fn recent(&self, count: usize) -> Vec<Row> {
        let rows = self
            .shared
            .rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        rows.iter()
            .skip(rows.len().saturating_sub(count))
            .cloned()
            .collect()
    }

    /// How many lines each module has written.
    #[must_use]
    pub fn stats(&self) -> Vec<LogStats> {
        let stats = |module: Module| {
            let written = &self.shared.written[module.index()];
            LogStats {
                module: module.name(),
                lines: Level::ALL.map(|level| written[level.index()].load(Ordering::Relaxed)),
            }
        };
        Module::ALL.into_iter().map(stats).collect()
    }

    /// Waits until what was said so far is written, or two seconds.
    pub fn flush(&self) {
        self.wait(Entry::Flush, FLUSH_PATIENCE);
    }

    /// Waits until what was said so far is among [`Self::recent`] lines, or a quarter of a second;
    /// not at all while the writing thread is known to be behind.
    pub fn catch_up(&self) {
        if !self.shared.behind.load(Ordering::Relaxed) {
            self.wait(Entry::Reached, READING_PATIENCE);
        }
    }

    fn wait(&self, entry: impl FnOnce(Sender<()>) -> Entry, patience: Duration) {
        let (answer, answered) = mpsc::channel();
        // Before the entry, lest a late answer is taken for none.
        self.shared.behind.store(true, Ordering::Relaxed);
        self.send(entry(answer));
        answered.recv_timeout(patience).unwrap_or_default();
    }

    /// Takes room in the queue for so many bytes, or counts what does not get it.
    fn admit(&self, bytes: usize) -> bool {
        let room = |pending: usize| Some(pending + bytes).filter(|&all| all <= PENDING_BYTES);
        let (relaxed, shared) = (Ordering::Relaxed, &self.shared);
        let admitted = shared.pending.fetch_update(relaxed, relaxed, room).is_ok();
        if !admitted {
            shared.dropped.fetch_add(1, relaxed);
        }
        admitted
    }

    fn send(&self, entry: Entry) {
        self.queue.send(entry).unwrap_or_default();
    }
}

impl Shared {
    /// Whether one more change of outputs may wait.
    fn admit_change(&self) -> bool {
        let room = |waiting: usize| Some(waiting + 1).filter(|&all| all <= CHANGES_WAITING);
        let relaxed = Ordering::Relaxed;
        self.changes.fetch_update(relaxed, relaxed, room).is_ok()
    }

    fn outputs(&self) -> MutexGuard<'_, BTreeSet<Output>> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_levels(&self, settings: &LogSettings) {
        for module in Module::ALL {
            let bits = settings.effective(module).levels.bits();
            self.levels[module.index()].store(bits, Ordering::Relaxed);
        }
    }
}

struct Writer {
    entries: Receiver<Entry>,
    sink: Sink,
    shared: Arc<Shared>,
}

impl Writer {
    /// Lets it run in a thread of its own.
    fn start(self) -> Result<(), String> {
        let thread = thread::Builder::new().name("log".to_owned());
        let started = thread.spawn(move || self.run());
        let failure = |error| format!("Failed to start the log's thread: {error}");
        started.map(|_| ()).map_err(failure)
    }

    fn run(mut self) {
        let mut unflushed = 0;
        while let Some(entry) = self.next(&mut unflushed) {
            self.take(entry);
            unflushed += 1;
            if unflushed >= FLUSH_EVERY {
                self.flush();
                unflushed = 0;
            }
        }
        self.flush();
    }

    /// The next entry; what was written is flushed before waiting for it.
    fn next(&mut self, unflushed: &mut usize) -> Option<Entry> {
        if let Ok(entry) = self.entries.try_recv() {
            return Some(entry);
        }
        if *unflushed > 0 {
            self.flush();
            *unflushed = 0;
        }
        self.entries.recv().ok()
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Line {
                time,
                module,
                level,
                text,
                source,
            } => {
                self.write(&Line {
                    time,
                    module,
                    level,
                    wanted: false,
                    text: &text,
                    source,
                });
                self.done(bytes_of(&text));
            }
            Entry::Notices(time, notices) => {
                for notice in notices {
                    self.notice(time, &notice);
                    self.done(notice.bytes());
                }
            }
            Entry::Configure(settings, opened) => {
                self.sink.take(&settings, opened);
                self.shared.changes.fetch_sub(1, Ordering::Relaxed);
            }
            Entry::Reopened(opened) => {
                self.sink.replace(opened);
                self.shared.changes.fetch_sub(1, Ordering::Relaxed);
            }
            Entry::Flush(answer) => {
                self.flush();
                self.reached(&answer);
            }
            Entry::Reached(answer) => self.reached(&answer),
        }
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            self.tell_lost(dropped, "the log could not keep up");
        }
    }

    fn reached(&self, answer: &Sender<()>) {
        self.shared.behind.store(false, Ordering::Relaxed);
        answer.send(()).unwrap_or_default();
    }

    fn notice(&mut self, time: SystemTime, notice: &Notice) {
        let (module, level) = words::rank(notice);
        let said = words::say(notice);
        let mut wanted = matches!(notice, Notice::Frame { .. });
        if self.shared.frame_trace.load(Ordering::Relaxed)
            && let Some(line) = words::traced(notice)
        {
            // Nobody is left to be told that standard error cannot be written to.
            writeln!(io::stderr(), "{line}").unwrap_or_default();
            wanted = false;
        }
        self.write(&Line {
            time,
            module,
            level,
            wanted,
            text: &said.text,
            source: said.source,
        });
    }

    fn write(&mut self, line: &Line<'_>) {
        if let Some(row) = self.sink.write(line) {
            let written = &self.shared.written[row.module.index()];
            written[row.level.index()].fetch_add(1, Ordering::Relaxed);
            let mut rows = self
                .shared
                .rows
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            remember(&mut rows, row);
        }
    }

    fn flush(&mut self) {
        if let Some(lost) = self.sink.flush() {
            self.tell_lost(lost, "their output could not be written");
        }
    }

    fn tell_lost(&mut self, count: u64, why: &str) {
        let (lines, were) = (
            counted(count, "line"),
            if count == 1 { "was" } else { "were" },
        );
        let text = format!("{lines} of the log {were} lost: {why}");
        self.tell(Level::Warning, &text);
    }

    /// Writes what the log has to say of itself.
    fn tell(&mut self, level: Level, text: &str) {
        self.write(&Line {
            time: time_of_day(),
            module: Module::Server,
            level,
            wanted: false,
            text,
            source: Location::caller(),
        });
    }

    fn done(&self, bytes: usize) {
        self.shared.pending.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What a line takes in the queue.
fn bytes_of(text: &str) -> usize {
    size_of::<Entry>() + text.len()
}

#[cfg(test)]
mod tests;
