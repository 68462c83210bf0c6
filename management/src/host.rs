//! What management must ask of the program around the router: log and process.
//! Decision: a trait with few methods instead of effects and answers, since all of it is at hand at
//! once and none of it can wait.

use std::time::Duration;

use router_core::notice::Notice;

use crate::settings::{LogSettings, ProfileSettings};
use crate::status::Failure;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// The module that wrote it.
    pub module: String,
    /// Its level, such as `info`.
    pub level: String,
    /// The text.
    pub text: String,
    /// The source file, where the log keeps it.
    pub file: Option<String>,
    /// The line there.
    pub line: Option<u32>,
    /// Seconds since 1970-01-01 UTC.
    pub seconds: i64,
}

/// How many lines a module of the log has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogStats {
    /// The module.
    pub module: &'static str,
    /// By level, from `trace` to `critical`.
    pub lines: [u64; 7],
}

/// What became of the connections that were accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admissions {
    /// Connections let in so far.
    pub admitted: u64,
    /// Connections closed at once because there were too many.
    pub denied: u64,
    /// Connections that there are.
    pub current: u64,
}

/// What is worth knowing of a profile for TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileState {
    /// When its certificate expires, as a text.
    pub certificate_expires: Option<String>,
    /// When the first of its authorities expires.
    pub authorities_expire: Option<String>,
}

/// Names a request that is answered later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub u64);

/// The program around the router.
pub trait Host {
    /// The newest lines of the log, at most `limit`, oldest first; what has been `said` and not yet
    /// written is taken and is among them.
    fn log_rows(&self, limit: Option<usize>, said: &mut Vec<Notice>) -> Vec<LogRow>;

    /// How many lines each module of the log has written.
    fn log_stats(&self) -> Vec<LogStats>;

    /// Gives a module of the log other settings.
    ///
    /// # Errors
    /// Settings that cannot be meant, or an output that cannot be had (500); then nothing has
    /// changed.
    fn update_log(&mut self, settings: &LogSettings) -> Result<(), Failure>;

    /// Takes up a profile for TLS; one of that name gives way to it.
    ///
    /// # Errors
    /// All that is wrong with it; then one that was there stays.
    fn set_profile(&mut self, profile: &ProfileSettings) -> Result<ProfileState, String>;

    /// Reads the files of a profile anew.
    ///
    /// # Errors
    /// All that is wrong with it; then it stays as it was.
    fn reload_profile(&mut self, name: &str) -> Result<ProfileState, String>;

    /// Forgets a profile that nobody uses.
    fn drop_profile(&mut self, name: &str);

    /// Begins to read the configuration file anew, or, for a check, to see whether that could be
    /// done; [`Agent::answer_reload`](crate::Agent::answer_reload) tells what came of it.
    ///
    /// # Errors
    /// Why that cannot be begun.
    fn reload(&mut self, _ticket: Ticket, _is_check: bool) -> Result<(), String> {
        Err("There is no configuration file that could be read anew".to_owned())
    }

    /// Begins the end of the router in good order; how long what is in flight may take to settle,
    /// which is what was asked for if anything was.
    ///
    /// # Errors
    /// Why that cannot be begun.
    fn drain(&mut self, _bound: Option<Duration>) -> Result<Duration, String> {
        Err("This router ends with the program that runs it".to_owned())
    }

    /// What became of the connections that were accepted.
    fn admissions(&self) -> Admissions {
        Admissions::default()
    }

    /// Virtual memory of the process in bytes, if that can be told.
    fn memory_usage(&self) -> Option<u64>;

    /// The name of the machine, if that can be told.
    fn host_name(&self) -> Option<String>;
}
