//! The router under the name of the incumbent's: `qdrouterd` with that program's options, messages
//! and exit statuses, so that service files, scripts and system tests need not change.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};

use super::detach::{self, Stage};
use super::run::exit;
use crate::config::{self, ConfigError, Configuration};
use crate::daemon;
use crate::router::RunSettings;

/// The version whose options, configuration and management this program offers.
const OFFERED_VERSION: &str = "1.19.0";

/// Where the configuration is unless an option says otherwise.
const DEFAULT_CONFIG: &str = "/etc/qpid-dispatch/qdrouterd.conf";

/// Run a message router.
#[derive(Debug, Parser)]
#[command(name = "qdrouterd", disable_version_flag = true)]
pub(super) struct Options {
    /// Load configuration from the file at PATH.
    #[arg(short, long, value_name = "PATH", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Accepted for old command lines; not used.
    #[arg(short = 'I', long, value_name = "PATH")]
    include: Option<PathBuf>,
    /// Run as a daemon.
    #[arg(short, long)]
    daemon: bool,
    /// The file to which a daemon writes its process id.
    #[arg(short = 'P', long, value_name = "PATH")]
    pidfile: Option<PathBuf>,
    /// The user as whom a daemon runs.
    #[arg(short = 'U', long, value_name = "NAME")]
    user: Option<String>,
    /// Accepted for old command lines; this version has no test hooks.
    #[arg(short = 'T', long)]
    test_hooks: bool,
    /// Print the version that this program stands in for.
    #[arg(short, long)]
    version: bool,
    /// How far a daemon has come on its way into the background.
    #[arg(long, value_name = "STAGE", hide = true)]
    daemon_stage: Option<Stage>,
    #[arg(hide = true)]
    stray: Vec<String>,
}

/// Runs the program with the arguments of the process.
pub(super) fn main(arguments: Vec<OsString>) -> ExitCode {
    let name = arguments
        .first()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| "qdrouterd".to_owned());
    let options = match Options::try_parse_from(&arguments) {
        Ok(options) => options,
        Err(error) if !error.use_stderr() => return status(error.print()),
        Err(error) => return failure(status(error.print())),
    };
    if options.version {
        return status(writeln!(io::stdout(), "{OFFERED_VERSION}"));
    }
    if !options.stray.is_empty() {
        let usage = Options::command().render_usage();
        let stray = options.stray.join(" ");
        return failure(status(writeln!(
            io::stderr(),
            "Unexpected arguments: {stray}\n{usage}"
        )));
    }
    if options.test_hooks {
        let text = "-T has no effect: this version has no test hooks yet";
        if writeln!(io::stderr(), "{name}: {text}").is_err() {
            return ExitCode::FAILURE;
        }
    }
    match (options.daemon, options.daemon_stage) {
        (_, Some(Stage::Daemon)) => detach::daemon(|start| serve(&name, &options.config, start)),
        (_, Some(Stage::Session)) => detach::session(&arguments, &parts(&options)),
        (true, None) => detach::launch(&arguments, &parts(&options)),
        (false, None) => serve(&name, &options.config, |_| Ok(detach::Attached)),
    }
}

fn parts(options: &Options) -> detach::Daemon {
    detach::Daemon {
        config: options.config.clone(),
        pid_file: options.pidfile.clone(),
        user: options.user.clone(),
    }
}

/// Loads the configuration and runs the router. `start` is called between the two, with the
/// standard error to be used from then on; what it gives is told when the router has started.
fn serve<S: detach::Started>(
    name: &str,
    path: &Path,
    start: impl FnOnce(&Configuration) -> io::Result<S>,
) -> ExitCode {
    let configuration = match config::load(path) {
        Ok(configuration) => configuration,
        Err(errors) => {
            return failure(status(errors.iter().try_for_each(|error| {
                writeln!(io::stderr(), "{name}: {}", in_known_words(path, error))
            })));
        }
    };
    let mut started = match start(&configuration) {
        Ok(started) => started,
        Err(error) => return failure(status(writeln!(io::stderr(), "{name}: {error}"))),
    };
    let ended = daemon::run(&configuration, RunSettings::default(), || started.tell());
    match ended {
        Ok(ended) => exit(ended),
        Err(text) => failure(status(
            started.complain(&format!("{name}: Configuration: {text}")),
        )),
    }
}

/// An error in the words that scripts look for, the place and the remedy behind them.
fn in_known_words(path: &Path, error: &ConfigError) -> String {
    let ConfigError {
        line,
        entity,
        attribute,
        text,
        remedy,
        ..
    } = error;
    let class = match (entity, attribute) {
        _ if text.starts_with("ValidationError: ") => String::new(),
        _ if text.starts_with("Reserved key") || text.starts_with("openProperties not") => {
            "ValidationError: ".to_owned()
        }
        _ if text.starts_with("Router id attribute") => "AttributeError: ".to_owned(),
        _ if text.starts_with("role=") || text.starts_with("Router ID") => String::new(),
        (Some(entity), Some(_)) => format!("{}: ", full_type_name(entity)),
        _ => String::new(),
    };
    let mut place = if *line > 0 {
        format!(" (line {line}")
    } else {
        " (".to_owned()
    };
    if let Some(remedy) = remedy {
        place.push_str("; ");
        place.push_str(remedy);
    }
    place.push(')');
    let place = if place == " ()" { "" } else { &place };
    let path = path.display();
    format!("Python: Exception: Cannot load configuration file {path}: {class}{text}{place}")
}

fn full_type_name(section: &str) -> String {
    let mut types = management::schema::ENTITY_TYPES.iter();
    let known = types.find(|known| known.section == Some(section) || known.short == section);
    known.map_or_else(|| section.to_owned(), |known| known.full_name())
}

fn status<E>(printed: Result<(), E>) -> ExitCode {
    if printed.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whatever became of printing the reason, this is a failure.
fn failure(_printed: ExitCode) -> ExitCode {
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn words(text: &str) -> Vec<String> {
        let errors = config::parse(&Arc::from("A.conf"), text).unwrap_err();
        errors
            .iter()
            .map(|error| in_known_words(Path::new("A.conf"), error))
            .collect()
    }

    #[test]
    fn refusals_are_in_the_words_that_scripts_look_for() {
        let begins = "Python: Exception: Cannot load configuration file A.conf: ";
        for (text, expected) in [
            (
                "listener {\n prot: 1\n}\n",
                "org.apache.qpid.dispatch.listener: Unknown attribute 'prot' for \
                 'org.apache.qpid.dispatch.listener' (line 2; did you mean 'port'?)",
            ),
            (
                "bogus {\n}\n",
                "No such entity type 'org.apache.qpid.dispatch.bogus' (line 1)",
            ),
            (
                "listener {\n role: edge\n}\n",
                "role='standalone' not allowed to connect to or accept connections from other \
                 routers. (line 2)",
            ),
            (
                "router {\n id: a b\n}\n",
                "AttributeError: Router id attribute containing character ' ' in id 'a b' is \
                 disallowed. (line 2)",
            ),
            (
                "address {\n prefix: a\n ingressPhase: x\n}\n",
                "org.apache.qpid.dispatch.router.config.address: invalid literal for int() with \
                 base 10: 'x' (line 3)",
            ),
            (
                "listener {\n openProperties: {\n \"qd.a\": 1\n }\n}\n",
                "ValidationError: Reserved key 'qd.a' not allowed in openProperties (line 2)",
            ),
        ] {
            assert_eq!(words(text), [format!("{begins}{expected}")]);
        }
    }

    #[test]
    fn options_are_those_of_the_incumbent() {
        let parsed = Options::try_parse_from([
            "qdrouterd",
            "-c",
            "a",
            "-I",
            "b",
            "-d",
            "-P",
            "c",
            "-U",
            "d",
            "-T",
        ])
        .unwrap();
        assert_eq!(parsed.config, Path::new("a"));
        assert_eq!(parsed.pidfile.as_deref(), Some(Path::new("c")));
        assert_eq!(parsed.user.as_deref(), Some("d"));
        assert!(parsed.daemon && parsed.test_hooks);
        let default = Options::try_parse_from(["qdrouterd"]).unwrap();
        assert_eq!(default.config, Path::new(DEFAULT_CONFIG));
        assert!(Options::try_parse_from(["qdrouterd", "--nonsense"]).is_err());
    }
}
