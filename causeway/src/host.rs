//! What management asks of the program around the router: its log and its process.

use amqp_proto::Time;
use management::settings::{LogSettings as Asked, ProfileSettings};
use management::{Host, LogRow, ProfileState};

use crate::log::{Log, LogSettings, ModuleSettings};
use crate::profiles::Profiles;

/// The process that the router runs in.
#[derive(Debug)]
pub(crate) struct Process {
    log: Log,
    settings: LogSettings,
    profiles: Profiles,
}

impl Process {
    /// The process whose log has these settings.
    pub(crate) fn new(log: Log, settings: LogSettings) -> Self {
        Self {
            log,
            settings,
            profiles: Profiles::default(),
        }
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
    fn log_rows(&self, limit: Option<usize>) -> Vec<LogRow> {
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

    fn update_log(&mut self, asked: &Asked) -> Result<(), String> {
        let (module, wanted) = ModuleSettings::asked(asked)?;
        if *self.settings.module(module) == wanted {
            return Ok(());
        }
        let mut settings = self.settings.clone();
        *settings.module_mut(module) = wanted;
        self.log.configure(&settings)?;
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
        Process::new(Log::start(&settings).unwrap(), settings)
    }

    #[test]
    fn the_log_can_be_changed_and_read() {
        let mut process = process();
        let asked = Asked {
            module: "AGENT".to_owned(),
            enable: Some("debug+".to_owned()),
            ..Asked::default()
        };
        process.update_log(&asked).unwrap();
        process.log.line(Module::Agent, Level::Debug, "said");
        process.log.line(Module::Server, Level::Debug, "not said");
        process.log.flush();
        let rows = process.log_rows(None);
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
        let asked = Asked {
            module: "AGENT".to_owned(),
            enable: Some("loud".to_owned()),
            ..Asked::default()
        };
        assert!(
            process
                .update_log(&asked)
                .unwrap_err()
                .starts_with("'loud' is not a valid")
        );
        assert!(process.log.is_enabled(Module::Agent, Level::Info));
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
