//! What is logged where: settings of a module, and what it inherits from `DEFAULT`.

use std::path::PathBuf;

use management::settings::LogSettings as Asked;

use super::form::Form;
use super::level::{Level, Levels, parse};
use super::module::Module;
use super::stamp::Stamp;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// The system's log, facility *daemon*.
    Syslog,
    /// A file, appended to.
    File(PathBuf),
}

impl Output {
    /// The output that a configuration names.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "stderr" => Self::Stderr,
            "stdout" => Self::Stdout,
            "syslog" => Self::Syslog,
            path => Self::File(path.into()),
        }
    }
}

/// Settings of one module; what is `None` is inherited from [`Module::Default`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleSettings {
    /// Which levels are written.
    pub levels: Option<Levels>,
    /// Whether lines begin with the time.
    pub timestamp: Option<bool>,
    /// Whether lines end with the place in the source.
    pub source: Option<bool>,
    /// Where they go.
    pub output: Option<Output>,
}

impl ModuleSettings {
    /// A module and the settings that a `log` entity asks for.
    ///
    /// # Errors
    ///
    /// A module or a level that is none, as a text for the user.
    pub fn asked(asked: &Asked) -> Result<(Module, Self), String> {
        let module = Module::from_name(&asked.module)
            .ok_or_else(|| format!("'{}' is not a module of the log", asked.module))?;
        let levels = asked.enable.as_deref().map(parse).transpose();
        let settings = Self {
            levels: levels.map_err(|bad| bad.to_string())?.flatten(),
            timestamp: asked.include_timestamp,
            source: asked.include_source,
            output: asked.output_file.as_deref().map(Output::named),
        };
        Ok((module, settings))
    }
}

/// Settings of all modules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    modules: [ModuleSettings; Module::ALL.len()],
    /// How the time is written.
    pub stamp: Stamp,
    /// In which form lines are written; not changed while running.
    pub form: Form,
    /// Every frame of every connection goes to standard error, whatever the levels are; not changed
    /// while running.
    pub frame_trace: bool,
}

/// Settings of one module with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Effective {
    pub(super) levels: Levels,
    pub(super) timestamp: bool,
    pub(super) source: bool,
    pub(super) output: Output,
}

impl LogSettings {
    /// The settings given for a module.
    #[must_use]
    pub fn module(&self, module: Module) -> &ModuleSettings {
        &self.modules[module.index()]
    }

    /// The same, to be changed.
    pub fn module_mut(&mut self, module: Module) -> &mut ModuleSettings {
        &mut self.modules[module.index()]
    }

    /// The settings that apply to a module.
    pub(super) fn effective(&self, module: Module) -> Effective {
        let own = self.module(module);
        let default = self.module(Module::Default);
        let output = own.output.clone().or_else(|| default.output.clone());
        Effective {
            levels: own
                .levels
                .or(default.levels)
                .unwrap_or(Levels::from(Level::Info)),
            timestamp: own.timestamp.or(default.timestamp).unwrap_or(true),
            source: own.source.or(default.source).unwrap_or(false),
            output: output.unwrap_or(Output::Stderr),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_means_information_on_standard_error() {
        let effective = LogSettings::default().effective(Module::Server);
        assert!(effective.levels.contains(Level::Info));
        assert!(!effective.levels.contains(Level::Debug));
        assert!(effective.timestamp && !effective.source);
        assert_eq!(effective.output, Output::Stderr);
    }

    #[test]
    fn a_module_inherits_what_it_does_not_set() {
        let mut settings = LogSettings::default();
        settings.module_mut(Module::Default).output = Some(Output::named("a.log"));
        settings.module_mut(Module::Default).levels = Some(Levels::NONE);
        settings.module_mut(Module::Server).levels = Some(Levels::from(Level::Error));
        let server = settings.effective(Module::Server);
        assert_eq!(server.output, Output::File("a.log".into()));
        assert!(server.levels.contains(Level::Critical));
        assert!(
            !settings
                .effective(Module::Agent)
                .levels
                .contains(Level::Critical)
        );
    }
}
