//! What management asks of the program around the router: its log and its process.

use std::collections::VecDeque;
use std::time::Duration;

use amqp_proto::Time;
use management::settings::{LogSettings as LogAsked, ProfileSettings};
use management::{Admissions, Failure, Host, LogRow, LogStats, ProfileState, Status, Ticket};
use router_core::notice::Notice;

use crate::log::{Log, LogSettings, ModuleSettings};
use crate::orders::Asked;
use crate::profiles::{Loaded, Profiles};

/// Requests to read the configuration anew that may wait for each other.
const RELOADS_WAITING: usize = 4;

/// What an answer needs to leave before the end.
const ANSWER_TIME: Duration = Duration::from_millis(100);

/// The process that the router runs in.
#[derive(Debug)]
pub(crate) struct Process {
    log: Log,
    settings: LogSettings,
    profiles: Profiles,
    /// There is a configuration file.
    has_file: bool,
    /// Who wants it to be read anew.
    reloads: VecDeque<Asked>,
    /// How long what is in flight may take at the end, unless who asks for it says so.
    pub(crate) drain_time: Duration,
    /// The end was asked for, with so much time.
    drain: Option<Duration>,
    /// The router ends, and takes no longer.
    granted: Option<Duration>,
    /// What became of the connections that were accepted.
    pub(crate) admissions: Admissions,
}

impl Process {
    /// The process whose log has these settings.
    pub(crate) fn new(
        log: Log,
        settings: LogSettings,
        drain_time: Duration,
        has_file: bool,
    ) -> Self {
        Self {
            log,
            settings,
            profiles: Profiles::default(),
            has_file,
            reloads: VecDeque::new(),
            drain_time,
            drain: None,
            granted: None,
            admissions: Admissions::default(),
        }
    }

    /// The log's settings, with all that was changed since the start.
    pub(crate) fn log_settings(&self) -> &LogSettings {
        &self.settings
    }

    /// Gives the whole log other settings.
    ///
    /// # Errors
    /// An output that cannot be opened; then nothing has changed.
    pub(crate) fn configure_log(&mut self, settings: LogSettings) -> Result<(), String> {
        if settings != self.settings {
            self.log.configure(&settings)?;
            self.settings = settings;
        }
        Ok(())
    }

    /// Takes over profiles whose files were read in advance; those that have changed by it.
    pub(crate) fn adopt_profiles(&mut self, loaded: Vec<Loaded>) -> Vec<(String, ProfileState)> {
        self.profiles.adopt(loaded, &self.log)
    }

    /// Forgets what was read in advance and not taken up.
    pub(crate) fn forget_prepared(&mut self) {
        self.profiles.forget_prepared();
    }

    /// Somebody wants the configuration file to be read anew.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(crate) fn ask_reload(&mut self, asked: Asked) -> Result<(), String> {
        if !self.has_file {
            let text = "there is no configuration file: the router was started without one";
            return Err(text.to_owned());
        }
        if self.reloads.len() >= RELOADS_WAITING {
            return Err("the configuration is being read already; try again".to_owned());
        }
        if !asked.is_check {
            self.log.reopen();
        }
        self.reloads.push_back(asked);
        Ok(())
    }

    /// The next who wants that.
    pub(crate) fn take_reload(&mut self) -> Option<Asked> {
        self.reloads.pop_front()
    }

    /// The time for the end, if that was asked for.
    pub(crate) fn take_drain(&mut self) -> Option<Duration> {
        self.drain.take()
    }

    /// The router ends, whoever has asked for it, and takes no longer.
    pub(crate) fn note_end(&mut self, bound: Duration) {
        self.granted = Some(bound);
    }

    /// The profiles for TLS.
    pub(crate) fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// Reads files of such profiles anew that have changed; the profiles that have.
    pub(crate) fn look_at_profiles(&mut self, now: Time) -> Vec<(String, ProfileState)> {
        self.profiles.look(now, &self.log)
    }
}

impl Host for Process {
    fn log_rows(&self, limit: Option<usize>, said: &mut Vec<Notice>) -> Vec<LogRow> {
        self.log.notices(said);
        self.log.catch_up();
        let rows = self.log.recent(limit.unwrap_or(usize::MAX)).into_iter();
        rows.map(|row| LogRow {
            module: row.module.name().to_owned(),
            level: row.level.name().to_owned(),
            text: row.text,
            file: Some(row.file.to_owned()),
            line: Some(row.line),
            seconds: i64::try_from(row.time).unwrap_or(i64::MAX),
        })
        .collect()
    }

    fn log_stats(&self) -> Vec<LogStats> {
        self.log.stats()
    }

    fn update_log(&mut self, asked: &LogAsked) -> Result<(), Failure> {
        let (module, wanted) = ModuleSettings::asked(asked).map_err(Failure::bad_request)?;
        if *self.settings.module(module) == wanted {
            return Ok(());
        }
        let mut settings = self.settings.clone();
        *settings.module_mut(module) = wanted;
        let result = self.log.configure(&settings);
        result.map_err(|text| Failure::new(Status::InternalError, text))?;
        self.settings = settings;
        Ok(())
    }

    fn set_profile(&mut self, profile: &ProfileSettings) -> Result<ProfileState, String> {
        self.profiles.set(profile, &self.log)
    }

    fn reload_profile(&mut self, name: &str) -> Result<ProfileState, String> {
        self.profiles.reload(name, &self.log)
    }

    fn drop_profile(&mut self, name: &str) {
        self.profiles.forget(name);
    }

    fn reload(&mut self, ticket: Ticket, is_check: bool) -> Result<(), String> {
        self.ask_reload(Asked {
            ticket: Some(ticket),
            is_check,
            done: None,
        })
    }

    fn drain(&mut self, bound: Option<Duration>) -> Result<Duration, String> {
        let bound = bound.unwrap_or(self.drain_time);
        let bound = self.granted.map_or(bound, |granted| granted.min(bound));
        self.note_end(bound);
        // Whoever asks is to be answered.
        self.drain = Some(bound.max(ANSWER_TIME));
        Ok(bound)
    }

    fn admissions(&self) -> Admissions {
        self.admissions
    }

    fn memory_usage(&self) -> Option<u64> {
        const PAGE: u64 = 4096;
        let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
        pages
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
            .map(|pages| pages * PAGE)
    }

    fn host_name(&self) -> Option<String> {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        Some(name.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Level, Module, Output};

    fn process() -> Process {
        let mut settings = LogSettings::default();
        settings.module_mut(Module::Default).output = Some(Output::named("/dev/null"));
        Process::new(
            Log::start(&settings).unwrap(),
            settings,
            Duration::ZERO,
            false,
        )
    }

    #[test]
    fn the_log_can_be_changed_and_read() {
        let mut process = process();
        let asked = LogAsked {
            module: "AGENT".to_owned(),
            enable: Some("debug+".to_owned()),
            ..LogAsked::default()
        };
        process.update_log(&asked).unwrap();
        process.log.line(Module::Agent, Level::Debug, "said");
        process.log.line(Module::Server, Level::Debug, "not said");
        let rows = process.log_rows(None, &mut Vec::new());
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].module.as_str(), rows[0].level.as_str()),
            ("AGENT", "debug")
        );
        assert_eq!(rows[0].text, "said");
        assert!(
            rows[0]
                .file
                .as_deref()
                .is_some_and(|file| file.ends_with("host.rs"))
        );
    }

    #[test]
    fn a_bad_level_changes_nothing() {
        let mut process = process();
        let asked = LogAsked {
            module: "AGENT".to_owned(),
            enable: Some("loud".to_owned()),
            ..LogAsked::default()
        };
        assert!(
            process
                .update_log(&asked)
                .unwrap_err()
                .text
                .starts_with("'loud' is not a valid")
        );
        assert!(process.log.is_enabled(Module::Agent, Level::Info));
    }

    #[test]
    fn an_output_that_cannot_be_had_is_no_fault_of_the_request() {
        let mut process = process();
        for file in ["", "/nonexistent/x.log"] {
            let asked = LogAsked {
                module: "AGENT".to_owned(),
                output_file: Some(file.to_owned()),
                ..LogAsked::default()
            };
            let failure = process.update_log(&asked).unwrap_err();
            assert_eq!(failure.status, Status::InternalError);
            let text = format!("Failed to open log file '{file}': ");
            assert!(failure.text.starts_with(&text), "{failure}");
        }
    }

    #[test]
    fn the_process_knows_itself() {
        assert!(
            process()
                .memory_usage()
                .is_some_and(|bytes| bytes > 1 << 20)
        );
        assert!(process().host_name().is_some_and(|name| !name.is_empty()));
    }
}
