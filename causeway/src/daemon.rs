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

use management::schema::Entity;
use management::settings::router_settings;
use management::{Agent, Origin};
use mio::{Poll, Waker};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use router_core::control::{ControlConfig, ControlPlane};
use router_core::counters::Counters;
use router_core::ids::ShardId;
use router_core::settings::{RouterMode, RouterSettings};
use router_core::shard::{Shard, ShardConfig};
use signal_hook::consts::SIGINT;

use crate::clock::Clock;
use crate::config::{Configuration, Placed, open_doors};
use crate::control::{self, Control, ControlParts, End};
use crate::host::Process;
use crate::log::{Level, Log, Module};
use crate::post::{Intake, Offices};
use crate::worker::{self, Worker, WorkerParts};

/// The most workers that a router can have.
pub const WORKERS_MAX: u16 = 256;

/// How long a worker looks for work before it sleeps, where there are cores to spare.
const SPIN: Duration = Duration::from_micros(20);

/// Random characters in an id that the router gives itself.
const RANDOM_ID: usize = 15;

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
    let log = Log::start(&configuration.log)?;
    log_panics(log.clone());
    let end = run_logged(configuration, settings, &log, started);
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
    started: impl FnOnce(),
) -> Result<End, String> {
    let random = Random::new().map_err(text)?;
    let router = with_id(configuration.router.clone(), &random)?;
    let frame = Frame {
        router: Arc::new(router_settings(&router, env!("CARGO_PKG_VERSION"))),
        cores: thread::available_parallelism().map_or(1, usize::from),
        settings,
        clock: Clock::start(),
        random,
        log: log.clone(),
    };
    announce(configuration, &frame.router, log);
    raise_open_files(log);
    let shards = frame.shards();
    let counters = Counters::new(shards);
    let mut plane = ControlPlane::new(ControlConfig {
        settings: Arc::clone(&frame.router),
        shards,
        seed: frame.random.number().map_err(text)?,
        counters: Arc::clone(&counters),
    });
    let mut agent = Agent::new(router);
    if !configuration.policy.admin_status {
        agent.keep_connections();
    }
    let mut process = Process::new(log.clone(), configuration.log.clone());
    for placed in &configuration.entities {
        create(placed, &mut agent, &mut plane, &mut process, log)?;
    }

    let mut polls = polls(shards.into()).map_err(text)?;
    let offices = Arc::new(Offices::new(
        polls.iter().map(|(_, waker)| Arc::clone(waker)),
    ));
    let (poll, _) = polls.pop().expect("one poll more than shards");
    let mut threads = Vec::new();
    let mut intakes = Vec::new();
    for (index, (poll, waker)) in (0..).zip(polls) {
        let intake = Arc::new(Intake::new(waker));
        intakes.push(Arc::clone(&intake));
        let shard = frame.shard(ShardId(index), &plane, &counters)?;
        threads.push(
            frame
                .spawn(ShardId(index), shard, poll, &offices, intake)
                .map_err(text)?,
        );
    }
    let (clock, log) = (frame.clock, log.clone());
    let parts = ControlParts {
        plane,
        agent,
        process,
        poll,
        offices,
        intakes,
        clock,
        log: log.clone(),
        connections_max: configuration.policy.connections_max,
    };
    let control = Control::new(parts).map_err(text)?;
    let words = format!(
        "Operational, {shards} Threads Running (process ID {})",
        process::id()
    );
    log.line(Module::Server, Level::Notice, words);
    let end = or_abort("control", &log, || control.run(started));
    for thread in threads {
        or_abort("control", &log, || {
            thread.join().map_err(|_| io::Error::other("lost a worker"))
        });
    }
    Ok(end)
}

/// What all threads are started with.
struct Frame {
    router: Arc<RouterSettings>,
    cores: usize,
    settings: RunSettings,
    clock: Clock,
    random: Random,
    log: Log,
}

impl Frame {
    fn shards(&self) -> u16 {
        let workers = self.settings.workers.map_or(self.cores, usize::from);
        u16::try_from(workers)
            .unwrap_or(WORKERS_MAX)
            .clamp(1, WORKERS_MAX)
    }

    fn shard(
        &self,
        id: ShardId,
        plane: &ControlPlane,
        counters: &Arc<Counters>,
    ) -> Result<Shard, String> {
        Ok(Shard::new(ShardConfig {
            id,
            shards: self.shards(),
            settings: Arc::clone(&self.router),
            seed: self.random.number().map_err(text)?,
            table: Arc::clone(plane.table()),
            counters: counters.writer(id),
        }))
    }

    /// Starts the thread of one shard.
    fn spawn(
        &self,
        own: ShardId,
        shard: Shard,
        poll: Poll,
        offices: &Arc<Offices>,
        intake: Arc<Intake>,
    ) -> io::Result<JoinHandle<()>> {
        let spare = self.cores > 2 && self.shards() > 1;
        let spin = self
            .settings
            .spin
            .unwrap_or(if spare { SPIN } else { Duration::ZERO });
        let (offices, clock, log) = (Arc::clone(offices), self.clock, self.log.clone());
        let parts = WorkerParts {
            shard,
            own,
            poll,
            offices,
            intake,
            clock,
            log,
            spin,
        };
        let (name, log) = (format!("worker {}", own.0), self.log.clone());
        thread::Builder::new()
            .name(name.clone())
            .spawn(move || or_abort(&name, &log, || Worker::new(parts).run()))
    }
}

/// Gives the router what one section of the configuration says.
///
/// # Errors
///
/// A listener that cannot be. An address that cannot be is left out, as it is in the incumbent.
fn create(
    placed: &Placed,
    agent: &mut Agent,
    plane: &mut ControlPlane,
    process: &mut Process,
    log: &Log,
) -> Result<(), String> {
    let entity = &placed.entity;
    if placed.is_of_type("listener") {
        let text = |name: &str| entity.text(name).unwrap_or_default();
        let (host, port, role) = (text("host"), text("port"), text("role"));
        let words = format!("Configured Listener: {host}:{port} proto=any, role={role}");
        log.line(Module::ConnMgr, Level::Info, words);
    }
    let line = placed.section.line;
    match agent.create(entity.clone(), Origin::File, plane, process) {
        Ok(_) => Ok(()),
        Err(failure) if placed.is_of_type("router.config.address") => {
            let words = format!(
                "Ignoring configured address on line {line}: {}",
                failure.text
            );
            log.line(Module::Router, Level::Warning, words);
            Ok(())
        }
        Err(failure) => Err(format!(
            "line {line}: {}: {}",
            placed.section.name, failure.text
        )),
    }
}

/// A poll and its waker for each worker and, last, the control thread.
fn polls(workers: usize) -> io::Result<Vec<(Poll, Arc<Waker>)>> {
    let poll = |index| {
        let poll = Poll::new()?;
        let token = if index == workers {
            control::WAKER
        } else {
            worker::WAKER
        };
        let waker = Waker::new(poll.registry(), token)?;
        Ok((poll, Arc::new(waker)))
    };
    (0..=workers).map(poll).collect()
}

/// Runs a thread's work; the process ends with it if it fails or panics.
fn or_abort<T>(name: &str, log: &Log, work: impl FnOnce() -> io::Result<T>) -> T {
    let words = match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => return done,
        Ok(Err(error)) => format!("Thread '{name}' cannot go on: {error}"),
        Err(_) => format!("Thread '{name}' has panicked; the process ends"),
    };
    log.line(Module::Error, Level::Critical, words);
    log.flush();
    process::abort()
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

/// What is worth knowing at the start.
fn announce(configuration: &Configuration, router: &RouterSettings, log: &Log) {
    for warning in &configuration.warnings {
        log.line(Module::Agent, Level::Warning, warning.to_string());
    }
    log.line(
        Module::Server,
        Level::Info,
        format!("Container Name: {}", router.id),
    );
    let mode = match router.mode {
        RouterMode::Standalone => "Standalone mode".to_owned(),
        RouterMode::Interior => format!("Interior mode, area=0 id={}", router.id),
        RouterMode::Edge => "Edge mode".to_owned(),
    };
    log.line(
        Module::Router,
        Level::Info,
        format!("Router started in {mode}"),
    );
    let version = format!("Version: {}", env!("CARGO_PKG_VERSION"));
    log.line(Module::Router, Level::Info, version);
    for door in open_doors(&configuration.entities, &configuration.policy) {
        log.line(Module::Server, Level::Notice, format!("Left open: {door}"));
    }
}

/// Takes as many open files as the process may have: each connection is one.
fn raise_open_files(log: &Log) {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        let words = format!("The limit of open files stays as it is: {error}");
        log.line(Module::Server, Level::Warning, words);
    }
}

/// The router's entity, with an id made up if none is configured.
fn with_id(mut router: Entity, random: &Random) -> Result<Entity, String> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+_";
    if router.text("id").is_none_or(str::is_empty) {
        let mut id = match router.text("mode") {
            Some("interior") => "Interior_",
            _ => "Standalone_",
        }
        .to_owned();
        for _ in 0..RANDOM_ID {
            let place = random.number().map_err(text)? % 64;
            id.push(char::from(
                LETTERS[usize::try_from(place).expect("less than 64")],
            ));
        }
        router.set("id", Some(id.into()));
    }
    Ok(router)
}

fn text(error: io::Error) -> String {
    error.to_string()
}

/// The operating system's source of numbers that nobody can guess.
struct Random(File);

impl Random {
    fn new() -> io::Result<Self> {
        File::open("/dev/urandom").map(Self)
    }

    fn number(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        (&self.0).read_exact(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}
