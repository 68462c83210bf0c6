//! A router as a process: from the first line of the log to the exit status, with what belongs to
//! a process as a whole – signals, the limit of open files, the hook that sees panics.

use std::env;
use std::io;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::Configuration;
use crate::log::{Level, Log, Module};
use crate::router::{End, Router, RouterHandle, RunSettings};
use crate::service::Service;

/// How a router ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    Status(u8),
    /// The process ought to die by this signal.
    Signal(i32),
}

/// Runs a router in this process until it is told to end.
///
/// `started` is called when the configuration is in force and its listeners are open.
///
/// # Errors
///
/// Why it could not start, or could not go on, as a text for the user.
pub fn run(
    configuration: &Configuration,
    settings: RunSettings,
    started: impl FnOnce(),
) -> Result<Ended, String> {
    let mut log_settings = configuration.log.clone();
    log_settings.frame_trace = is_yes(env::var("PN_TRACE_FRM").ok().as_deref());
    let log = Log::start(&log_settings)?;
    log_panics(log.clone());
    let ended = run_logged(configuration, settings, &log, started);
    if let Err(text) = &ended {
        log.line(
            Module::Error,
            Level::Critical,
            format!("Router failed: {text}"),
        );
    }
    log.flush();
    ended
}

/// Whether a variable of the environment says yes, as the programs of this field understand it.
fn is_yes(value: Option<&str>) -> bool {
    let value = value.unwrap_or_default().to_ascii_lowercase();
    matches!(value.as_str(), "1" | "on" | "true" | "yes")
}

fn run_logged(
    configuration: &Configuration,
    settings: RunSettings,
    log: &Log,
    started: impl FnOnce(),
) -> Result<Ended, String> {
    let signals = Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP]).map_err(text)?;
    if let Err(words) = raise_open_files() {
        log.line(Module::Server, Level::Warning, words);
    }
    let service = Service::of_environment();
    let router = Router::launch(configuration, settings, log.clone(), (None, service))?;
    let last = Arc::new(AtomicI32::new(0));
    hear(signals, router.handle(), Arc::clone(&last)).map_err(text)?;
    // A name that is looked up for long must not keep a signal from being heard.
    let router = router.wait();
    if router.has_started() {
        started();
    }
    Ok(match router.wait() {
        End::RequiredListener => Ended::Status(1),
        End::Stopped | End::Killed => match last.load(Ordering::SeqCst) {
            SIGINT => Ended::Signal(SIGINT),
            _ => Ended::Status(0),
        },
    })
}

/// Starts the thread that hears signals and makes orders of them; it ends with the process. The
/// last signal that asked for the end is kept in `last`.
fn hear(mut signals: Signals, router: RouterHandle, last: Arc<AtomicI32>) -> io::Result<()> {
    let work = move || {
        for signal in signals.forever() {
            if signal == SIGHUP {
                // Nobody waits for it: the end may be asked for meanwhile.
                drop(router.reload());
            } else {
                last.store(signal, Ordering::SeqCst);
                router.stop();
            }
        }
    };
    let name = "signals".to_owned();
    thread::Builder::new().name(name).spawn(work).map(drop)
}

/// Panics go to the log, with the place where they happened.
fn log_panics(log: Log) {
    panic::set_hook(Box::new(move |info| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let words = format!("Panic in thread '{name}': {info}");
        log.line(Module::Error, Level::Critical, words);
    }));
}

/// Takes as many open files as the process may have: each connection is one.
///
/// # Errors
///
/// Why the limit stays as it is.
pub(crate) fn raise_open_files() -> Result<(), String> {
    getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard))
        .map_err(|error| format!("The limit of open files stays as it is: {error}"))
}

fn text(error: io::Error) -> String {
    error.to_string()
}
