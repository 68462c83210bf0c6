//! A router as a process: its threads from the first line of the log to the exit status.
//!
//! A panic of a worker or of the control thread ends the process: shards refer to each other's
//! records, so going on without one would be guessing. Panics inside one connection are fenced in
//! the shard and end only that connection.

use std::fs::File;
use std::io::{self, Read as _};
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use management::settings::{address_rule, listen, router_settings};
use mio::{Poll, Waker};
use router_core::control::{ControlConfig, ControlPlane};
use router_core::counters::Counters;
use router_core::ids::ShardId;
use router_core::shard::{Shard, ShardConfig};
use signal_hook::consts::SIGINT;

use crate::clock::Clock;
use crate::config::{Configuration, open_doors};
use crate::control::{self, Control, ControlParts, End};
use crate::log::{Level, Log, Module};
use crate::post::{Intake, Offices};
use crate::worker::{self, Worker, WorkerParts};

/// The most workers that a router can have.
pub const WORKERS_MAX: u16 = 256;

/// How long a worker looks for work before it sleeps, where there are cores to spare.
const SPIN: Duration = Duration::from_micros(20);

/// How a router is run, beyond its configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunSettings {
    /// The number of workers; `None`: one for each core.
    pub workers: Option<u16>,
    /// How long a worker looks for work before it sleeps; `None`: not at all on one or two cores,
    /// else 20 microseconds.
    pub spin: Option<Duration>,
}

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
/// # Errors
///
/// Why it could not start, or could not go on, as a text for the user.
pub fn run(configuration: &Configuration, settings: RunSettings) -> Result<Ended, String> {
    let log = Log::start(&configuration.log)?;
    log_panics(log.clone());
    let end = run_logged(configuration, settings, &log);
    if let Err(text) = &end {
        log.line(
            Module::Error,
            Level::Critical,
            format!("Router failed: {text}"),
        );
    }
    log.flush();
    end.map(|end| match end {
        End::Signal(SIGINT) => Ended::Signal(SIGINT),
        End::Signal(_) => Ended::Status(0),
        End::RequiredListener => Ended::Status(1),
    })
}

fn run_logged(
    configuration: &Configuration,
    settings: RunSettings,
    log: &Log,
) -> Result<End, String> {
    let io_text = |error: io::Error| error.to_string();
    let random = Random::new().map_err(io_text)?;
    let router = router_settings(&configuration.router, env!("CARGO_PKG_VERSION"));
    let router = Arc::new(with_id(router, &random)?);
    announce(configuration, &router.id, log);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = settings
        .workers
        .map_or(cores, usize::from)
        .clamp(1, WORKERS_MAX.into());
    let shards = u16::try_from(workers).expect("clamped to what fits");
    let counters = Counters::new(shards);
    let mut plane = ControlPlane::new(ControlConfig {
        settings: Arc::clone(&router),
        shards,
        seed: random.seed().map_err(io_text)?,
        counters: Arc::clone(&counters),
    });
    load(configuration, &mut plane, log);

    let clock = Clock::start();
    let polls = polls(workers).map_err(io_text)?;
    let wakers: Vec<_> = polls.iter().map(|(_, waker)| Arc::clone(waker)).collect();
    let offices = Arc::new(Offices::new(wakers));
    let (mut threads, mut intakes, mut control_poll) = (Vec::new(), Vec::new(), None);
    for (index, (poll, waker)) in (0..).zip(polls) {
        if index == shards {
            control_poll = Some(poll);
            break;
        }
        let intake = Arc::new(Intake::new(waker));
        intakes.push(Arc::clone(&intake));
        let own = ShardId(index);
        let shard = Shard::new(ShardConfig {
            id: own,
            shards,
            settings: Arc::clone(&router),
            seed: random.seed().map_err(io_text)?,
            table: Arc::clone(plane.table()),
            counters: counters.writer(own),
        });
        let spin = settings.spin.unwrap_or(if cores > 2 && workers > 1 {
            SPIN
        } else {
            Duration::ZERO
        });
        let offices = Arc::clone(&offices);
        let parts = WorkerParts {
            shard,
            own,
            poll,
            offices,
            intake,
            clock,
            log: log.clone(),
            spin,
        };
        threads.push(spawn(index, parts, log.clone()).map_err(io_text)?);
    }
    let text = format!(
        "Operational, {shards} Threads Running (process ID {})",
        process::id()
    );
    log.line(Module::Server, Level::Notice, text);
    let poll = control_poll.expect("one poll more than workers");
    let parts = ControlParts {
        plane,
        poll,
        offices,
        intakes,
        clock,
        log: log.clone(),
    };
    let control = Control::new(parts).map_err(io_text)?;
    let end = or_abort("control", log, || control.run());
    for thread in threads {
        if thread.join().is_err() {
            return Err("a worker did not end as it should".to_owned());
        }
    }
    Ok(end)
}

/// A poll and its waker for each worker and, last, the control thread.
fn polls(workers: usize) -> io::Result<Vec<(Poll, Arc<Waker>)>> {
    (0..=workers)
        .map(|index| {
            let poll = Poll::new()?;
            let token = if index == workers {
                control::WAKER
            } else {
                worker::WAKER
            };
            let waker = Waker::new(poll.registry(), token)?;
            Ok((poll, Arc::new(waker)))
        })
        .collect()
}

fn spawn(index: u16, parts: WorkerParts, log: Log) -> io::Result<JoinHandle<()>> {
    let name = format!("worker {index}");
    thread::Builder::new()
        .name(name.clone())
        .spawn(move || or_abort(&name, &log, || Worker::new(parts).run()))
}

/// Runs a thread's work; the process ends with it if it fails or panics.
fn or_abort<T>(name: &str, log: &Log, work: impl FnOnce() -> io::Result<T>) -> T {
    let text = match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => return done,
        Ok(Err(error)) => format!("Thread '{name}' cannot go on: {error}"),
        Err(_) => format!("Thread '{name}' has panicked; the process ends"),
    };
    log.line(Module::Error, Level::Critical, text);
    log.flush();
    process::abort()
}

/// Panics go to the log, with the place where they happened.
fn log_panics(log: Log) {
    panic::set_hook(Box::new(move |info| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("unnamed");
        log.line(
            Module::Error,
            Level::Critical,
            format!("Panic in thread '{name}': {info}"),
        );
    }));
}

/// Gives the control plane what the configuration says.
fn load(configuration: &Configuration, plane: &mut ControlPlane, log: &Log) {
    for placed in &configuration.entities {
        let entity = &placed.entity;
        if placed.is_of_type("router.config.address") {
            if let Err(error) = plane.add_address(address_rule(entity)) {
                let text = format!("Address of line {} ignored: {error}", placed.section.line);
                log.line(Module::Router, Level::Warning, text);
            }
        } else if placed.is_of_type("listener") {
            let mut entity = entity.clone();
            let text = |name: &str| entity.text(name).unwrap_or_default().to_owned();
            let (host, port, role) = (text("host"), text("port"), text("role"));
            let identity = match entity.name() {
                Some(name) => format!("listener/{host}:{port}:{name}"),
                None => format!("listener/{host}:{port}"),
            };
            entity.identify(identity);
            let text = format!("Configured Listener: {host}:{port} proto=any, role={role}");
            log.line(Module::ConnMgr, Level::Info, text);
            plane.listen(listen(&entity, true));
        }
    }
}

/// What is worth knowing at the start.
fn announce(configuration: &Configuration, id: &str, log: &Log) {
    for warning in &configuration.warnings {
        log.line(Module::Agent, Level::Warning, warning.to_string());
    }
    log.line(Module::Server, Level::Info, format!("Container Name: {id}"));
    log.line(
        Module::Router,
        Level::Info,
        "Router started in Standalone mode",
    );
    let version = format!("Version: {}", env!("CARGO_PKG_VERSION"));
    log.line(Module::Router, Level::Info, version);
    for door in open_doors(configuration) {
        log.line(Module::Server, Level::Notice, format!("Left open: {door}"));
    }
}

/// The settings with an id made up if none is configured.
fn with_id(
    mut settings: router_core::settings::RouterSettings,
    random: &Random,
) -> Result<router_core::settings::RouterSettings, String> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+_";
    if settings.id.is_empty() {
        let mut id = "Standalone_".to_owned();
        for _ in 0..15 {
            let number = random.seed().map_err(|error| error.to_string())?;
            id.push(char::from(
                LETTERS[usize::try_from(number % 64).unwrap_or_default()],
            ));
        }
        settings.id = id.into();
    }
    Ok(settings)
}

/// The operating system's source of numbers that nobody can guess.
struct Random(File);

impl Random {
    fn new() -> io::Result<Self> {
        File::open("/dev/urandom").map(Self)
    }

    fn seed(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        (&self.0).read_exact(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}
