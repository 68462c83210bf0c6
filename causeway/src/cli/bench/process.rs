//! What a process costs: processor time, threads, context switches, resident memory, from `/proc`.
//!
//! Owns the reading of Linux' process files, and the limit of our open files; it starts and ends
//! nothing. Processor time is the kernel's own account (utime and stime of all threads), not a
//! sampled percentage: divided by messages it does not depend on how busy the machine is otherwise.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::cli::failure::Failure;

/// Ticks a second of the times in `/proc/PID/stat`: 100 on every architecture Rust runs on.
const TICKS_PER_SECOND: u64 = 100;

/// What a process has used since it started, and what it holds now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Usage {
    /// Processor time in user mode, all threads, those that have ended included.
    pub(super) user: Duration,
    /// Processor time in the kernel, likewise.
    pub(super) system: Duration,
    /// Threads now.
    pub(super) threads: u64,
    /// Context switches of the threads that live now.
    pub(super) switches: u64,
    /// Resident memory now, in bytes.
    pub(super) resident_bytes: u64,
}

impl Usage {
    /// Reads the figures of process `pid`.
    ///
    /// # Errors
    /// If there is no such process, or no `/proc`.
    pub(super) fn of(pid: u32) -> Result<Self, Failure> {
        let stat = read(pid, "stat")?;
        let (user, system, threads) = parse_stat(&stat)
            .ok_or_else(|| Failure::new(format!("/proc/{pid}/stat reads unlike a Linux one")))?;
        let status = read(pid, "status")?;
        let resident_bytes = status_field(&status, "VmRSS:").unwrap_or(0) * 1024;
        Ok(Self {
            user,
            system,
            threads,
            switches: switches(pid),
            resident_bytes,
        })
    }

    /// Processor time in both modes.
    #[must_use]
    pub(super) fn processor(&self) -> Duration {
        self.user + self.system
    }

    /// What was used since `earlier`; threads and memory stay as they are now.
    #[must_use]
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            switches: self.switches.saturating_sub(earlier.switches),
            ..*self
        }
    }
}

/// The text of a file of `/proc/PID`.
fn read(pid: u32, file: &str) -> Result<String, Failure> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).map_err(|error| {
        Failure::new(format!("cannot read {path}: {error}"))
            .hint("give the process id of the running router with --pid")
    })
}

/// User time, system time and threads from `/proc/PID/stat`. The second field is the program's name
/// and may hold blanks and parentheses, so counting starts behind its last parenthesis.
fn parse_stat(stat: &str) -> Option<(Duration, Duration, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks = |index: usize| -> Option<Duration> {
        let ticks: u64 = fields.get(index)?.parse().ok()?;
        Some(Duration::from_millis(ticks * (1000 / TICKS_PER_SECOND)))
    };
    Some((ticks(11)?, ticks(12)?, fields.get(17)?.parse().ok()?))
}

/// The number after `name` in the text of a status file.
fn status_field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line[name.len()..]
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Context switches of all threads that live now; a thread that ends meanwhile counts nothing.
fn switches(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0;
    };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
        .map(|status| {
            status_field(&status, "voluntary_ctxt_switches:").unwrap_or(0)
                + status_field(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0)
        })
        .sum()
}

/// Takes as many open files as the process may have: each connection is one.
pub(super) fn allow_open_files() -> Result<(), Failure> {
    getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard))
        .map_err(|error| Failure::new(format!("the limit of open files stays low: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let stat = "17 (a) b (c) S 1 17 17 0 -1 4194304 90 0 0 0 250 31 0 0 20 0 5 0 88 9 7 0";
        let (user, system, threads) = parse_stat(stat).unwrap();
        assert_eq!(user, Duration::from_millis(2500));
        assert_eq!(system, Duration::from_millis(310));
        assert_eq!(threads, 5);
        assert_eq!(parse_stat("17 (x) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn this_process_has_threads_and_memory() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.threads >= 1);
        assert!(usage.resident_bytes > 100_000);
        assert!(usage.switches > 0);
    }

    #[test]
    fn no_such_process_is_said_so() {
        let failure = Usage::of(u32::MAX).unwrap_err();
        assert!(failure.to_string().contains("/proc/4294967295/stat"));
        assert!(failure.hint_text().unwrap().contains("--pid"));
    }

    #[test]
    fn a_difference_keeps_what_is_held_now() {
        let earlier = Usage {
            user: Duration::from_secs(2),
            threads: 9,
            ..Usage::default()
        };
        let later = Usage {
            user: Duration::from_secs(3),
            threads: 4,
            ..Usage::default()
        };
        let used = later.since(&earlier);
        assert_eq!((used.user, used.threads), (Duration::from_secs(1), 4));
    }
}
