//! What the operating system says of this process, under the names that Prometheus's own clients
//! use.

use std::fs;
use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{SysconfVar, sysconf};

/// Figures of the process; `None` where the system does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    /// Seconds since 1970.
    pub(super) started: Option<f64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident: Option<u64>,
    pub(super) virtual_size: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) open_files_max: Option<u64>,
    pub(super) threads: Option<u64>,
}

/// Where fields of `/proc/self/stat` are, counted from behind the name of the program.
mod field {
    pub(super) const USER_TICKS: usize = 11;
    pub(super) const SYSTEM_TICKS: usize = 12;
    pub(super) const THREADS: usize = 17;
    pub(super) const START_TICKS: usize = 19;
    pub(super) const VIRTUAL_BYTES: usize = 20;
    pub(super) const RESIDENT_PAGES: usize = 21;
}

impl Figures {
    /// As they are now.
    pub(super) fn now() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name may have blanks and parentheses of its own.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let fields: Vec<u64> = fields
            .split_whitespace()
            .map(|field| field.parse().unwrap_or_default())
            .collect();
        let field = |at: usize| fields.get(at).copied();
        let ticks = system(SysconfVar::CLK_TCK);
        let seconds = |count: u64| Some(count as f64 / ticks? as f64);
        let cpu = field(field::USER_TICKS).zip(field(field::SYSTEM_TICKS));
        let pages = field(field::RESIDENT_PAGES).zip(system(SysconfVar::PAGE_SIZE));
        let files = fs::read_dir("/proc/self/fd").ok();
        Self {
            started: field(field::START_TICKS)
                .and_then(seconds)
                .and_then(|since_boot| *STARTED.get_or_init(|| since_epoch(since_boot))),
            cpu_seconds: cpu.and_then(|(user, system)| seconds(user + system)),
            resident: pages.map(|(pages, size)| pages * size),
            virtual_size: field(field::VIRTUAL_BYTES),
            // The folder itself is open while it is read.
            open_files: files.map(|files| files.count().saturating_sub(1) as u64),
            open_files_max: getrlimit(Resource::RLIMIT_NOFILE)
                .ok()
                .map(|(soft, _)| soft),
            threads: field(field::THREADS),
        }
    }
}

fn system(variable: SysconfVar) -> Option<u64> {
    let value = sysconf(variable).ok().flatten()?;
    u64::try_from(value).ok().filter(|value| *value > 0)
}

/// When the process began, in seconds since 1970. A process has begun once: what is computed for
/// each scrape would change with the clock, and look like a restart.
static STARTED: OnceLock<Option<f64>> = OnceLock::new();

/// A time since the machine was started, since 1970.
fn since_epoch(since_boot: f64) -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    let boot: f64 = boot.trim().parse().ok()?;
    Some(boot + since_boot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::time_of_day;
    use std::time::SystemTime;

    #[test]
    fn a_process_knows_itself() {
        let figures = Figures::now();
        let now = time_of_day()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let age = now.as_secs_f64() - figures.started.unwrap();
        assert!((-1.0..3600.0).contains(&age), "{age}");
        assert_eq!(figures.started, Figures::now().started);
        assert!(figures.resident.unwrap() > 1 << 20);
        assert!(figures.virtual_size >= figures.resident);
        assert!(figures.open_files.unwrap() >= 3);
        assert!(figures.open_files_max >= figures.open_files);
        assert!(figures.threads.unwrap() >= 1 && figures.cpu_seconds.is_some());
    }
}
