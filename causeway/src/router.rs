//! A router as a part of a program: its threads, and the handle that ends them.
//!
//! Owns nothing that belongs to a whole process: no signals, no limits, no panic hook. What it
//! writes goes to the log that it is given, so that several can run side by side. A panic of a
//! worker or of the control thread ends the process all the same: shards refer to each other's
//! records, so going on without one would be guessing. Panics inside one connection are fenced in
//! the shard and end only that connection.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use management::schema::Entity;
use management::settings::{drain_time, router_settings, user_file, worker_threads};
use management::{Agent, Host, Origin};
use mio::{Poll, Waker};
use router_core::control::{ControlConfig, ControlPlane};
use router_core::counters::Counters;
use router_core::ids::ShardId;
use router_core::settings::{RouterMode, RouterSettings};
use router_core::shard::{Shard, ShardConfig};

use crate::authority::{Authority, AuthorityParts};
use crate::clock::Clock;
use crate::config::{Configuration, open_doors};
use crate::control::{self, Control, ControlParts};
use crate::create::create;
use crate::host::Process;
use crate::log::{Level, Log, Module};
use crate::orders::{Order, Orders};
use crate::pipe::{Door, Doors, Pipes};
use crate::post::{Incoming, Intake, Offices};
use crate::random::Random;
use crate::readiness::{Readiness, Stage};
use crate::reload::{InForce, Reloads};
use crate::service::Service;
use crate::worker::{self, Worker, WorkerParts};

pub use crate::control::End;
pub use crate::listen::Listening;

/// The most workers that a router can have.
pub const WORKERS_MAX: u16 = 256;

/// How long a worker looks for work before it sleeps, where there are cores to spare.
const SPIN: Duration = Duration::from_micros(20);

/// Random characters in an id that the router gives itself.
const RANDOM_ID: usize = 15;

/// How a router is run, beyond its configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunSettings {
    /// The number of workers; `None`: what the configuration says, else one for each core.
    pub workers: Option<u16>,
    /// How long a worker looks for work before it sleeps; `None`: not at all on one or two cores,
    /// else 20 microseconds.
    pub spin: Option<Duration>,
}

/// A router that runs on threads of this process. Dropped, it ends as by [`RouterHandle::stop`].
///
/// ```
/// # fn main() -> Result<(), String> {
/// use causeway::config;
/// use causeway::log::{Log, LogSettings, Module, Output};
/// use causeway::{End, Router, RunSettings};
/// use std::sync::Arc;
///
/// let text = "router {\n id: A\n}\nlistener {\n host: 127.0.0.1\n port: 0\n}\n";
/// let configuration = config::parse(&Arc::from("A.conf"), text).expect("it has no errors");
/// let mut settings = LogSettings::default();
/// settings.module_mut(Module::Default).output = Some(Output::named("/dev/null"));
///
/// let router = Router::start(&configuration, RunSettings::default(), Log::start(&settings)?)?;
/// let place = router.listening()[0].address;
/// assert!(std::net::TcpStream::connect(place).is_ok());
/// router.handle().stop();
/// assert_eq!(router.wait(), End::Stopped);
/// assert!(std::net::TcpStream::connect(place).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Router {
    id: String,
    listening: Option<Vec<Listening>>,
    handle: RouterHandle,
    door: Door,
    control: Option<JoinHandle<End>>,
}

/// What ends a router; every thread may have a copy.
#[derive(Clone, Debug)]
pub struct RouterHandle {
    orders: Arc<Orders>,
    stage: Arc<Stage>,
}

impl RouterHandle {
    /// Asks for an orderly end: nobody new is let in, what is in flight may settle for as long as
    /// `drainSeconds` says, connections are closed with a reason. Asked twice, it waits for nothing
    /// in flight.
    pub fn stop(&self) {
        self.orders.push(Order::Stop);
    }

    /// Has it read its configuration file anew; what comes of it stands in its log. The receiver
    /// ends when that is done.
    pub fn reload(&self) -> Receiver<()> {
        let (done, ended) = mpsc::channel();
        self.orders.push(Order::Reload(done));
        ended
    }

    /// How far it is in its life.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.stage.readiness()
    }

    /// Asks for an end as if the process had been killed: sockets just end.
    pub fn kill(&self) {
        self.orders.push(Order::Kill);
    }
}

impl Router {
    /// Starts a router and returns when its configuration is in force and its listeners are open,
    /// or when it has ended because one that it cannot do without could not be opened.
    ///
    /// # Errors
    ///
    /// Why it could not start, as a text for the user.
    pub fn start(
        configuration: &Configuration,
        settings: RunSettings,
        log: Log,
    ) -> Result<Self, String> {
        Self::start_among(configuration, settings, log, None)
    }

    /// The same for a router that can be connected to, and connect to others, by pipes.
    pub(crate) fn start_among(
        configuration: &Configuration,
        settings: RunSettings,
        log: Log,
        doors: Doors,
    ) -> Result<Self, String> {
        let service = Service::default();
        Ok(Self::launch(configuration, settings, log, (doors, service))?.wait())
    }

    /// Starts a router and does not wait for its listeners. A service manager is told how it is
    /// doing.
    ///
    /// # Errors
    ///
    /// Why it could not start, as a text for the user.
    pub(crate) fn launch(
        configuration: &Configuration,
        settings: RunSettings,
        log: Log,
        (doors, service): (Doors, Service),
    ) -> Result<Starting, String> {
        let random = Random::new().map_err(text)?;
        let entity = with_id(configuration.router.clone(), &random)?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let frame = Frame {
            router: Arc::new(router_settings(&entity, env!("CARGO_PKG_VERSION"))),
            shards: shards(settings.workers, worker_threads(&entity), cores),
            spin: settings.spin,
            cores,
            clock: Clock::start(),
            random,
            log,
            service,
        };
        announce(configuration, &frame.router, &frame.log);
        frame.start(configuration, entity, doors)
    }

    /// The id in its network.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where pipes to it are put through.
    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    /// The listeners of its configuration that are open, but for one whose connections are pipes.
    #[must_use]
    pub fn listening(&self) -> &[Listening] {
        self.listening.as_deref().unwrap_or_default()
    }

    /// Whether it could start; if not, it has ended or is about to.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.listening.is_some()
    }

    /// What ends it.
    #[must_use]
    pub fn handle(&self) -> RouterHandle {
        self.handle.clone()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.control.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until it has ended.
    #[must_use]
    pub fn wait(mut self) -> End {
        self.join()
    }

    fn join(&mut self) -> End {
        let ended = self.control.take().and_then(|control| control.join().ok());
        ended.unwrap_or(End::Killed)
    }
}

/// A router whose threads run, and whose listeners are being opened.
#[derive(Debug)]
pub(crate) struct Starting {
    router: Router,
    listening: Receiver<Vec<Listening>>,
}

impl Starting {
    /// What ends it.
    pub(crate) fn handle(&self) -> RouterHandle {
        self.router.handle()
    }

    /// Waits until its listeners are open or it has ended.
    pub(crate) fn wait(self) -> Router {
        let mut router = self.router;
        // It ends without a word if it cannot listen.
        router.listening = self.listening.recv().ok();
        router
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if self.control.is_some() {
            self.handle.stop();
            self.join();
        }
    }
}

/// How many workers there are: what the command line says, else the configuration, else one for
/// each core.
fn shards(asked: Option<u16>, configured: Option<u32>, cores: usize) -> u16 {
    let asked = asked.map(u32::from).or(configured);
    let cores = || u32::try_from(cores).unwrap_or(u32::MAX);
    u16::try_from(asked.unwrap_or_else(cores))
        .unwrap_or(WORKERS_MAX)
        .clamp(1, WORKERS_MAX)
}

/// What all threads are started with.
struct Frame {
    router: Arc<RouterSettings>,
    /// How many workers there are.
    shards: u16,
    /// How long they look for work, if that was said.
    spin: Option<Duration>,
    cores: usize,
    clock: Clock,
    random: Random,
    log: Log,
    service: Service,
}

impl Frame {
    /// Starts all threads.
    fn start(
        self,
        configuration: &Configuration,
        entity: Entity,
        doors: Doors,
    ) -> Result<Starting, String> {
        let log = self.log.clone();
        let shards = self.shards;
        let counters = Counters::new(shards);
        let mut plane = ControlPlane::new(ControlConfig {
            instance: crate::clock::boot_second(),
            settings: Arc::clone(&self.router),
            shards,
            seed: self.random.number().map_err(text)?,
            counters: Arc::clone(&counters),
        });
        let users = user_file(&entity).map(PathBuf::from);
        let (agent, process, in_force) = configure(configuration, &entity, &mut plane, &log)?;

        let mut polls = polls(shards.into()).map_err(text)?;
        let offices = Arc::new(Offices::new(
            polls.iter().map(|(_, waker)| Arc::clone(waker)),
        ));
        let (poll, waker) = polls.pop().expect("one poll more than shards");
        let orders = Arc::new(Orders::new(Arc::clone(&waker)));
        let authority = self.authority(&offices, &orders, users);
        let mut idle = Vec::new();
        let mut intakes = Vec::new();
        for (index, (poll, waker)) in (0..).zip(polls) {
            let shard = self.shard(ShardId(index), &plane, &counters)?;
            idle.push((shard, poll));
            intakes.push(Arc::new(Intake::new(waker)));
        }
        let threads = self
            .spawn_workers(idle, &offices, &authority, &intakes)
            .inspect_err(|_| abandon(&intakes))
            .map_err(text)?;
        let words = format!(
            "Operational, {shards} Threads Running (process ID {})",
            process::id()
        );
        log.line(Module::Server, Level::Notice, words);
        let door = Door::new(Arc::clone(&waker));
        let stage = Arc::new(Stage::default());
        let control = Control::new(ControlParts {
            plane,
            agent,
            process,
            poll,
            waker: Arc::clone(&waker),
            orders: Arc::clone(&orders),
            offices,
            intakes: intakes.clone(),
            pipes: Pipes::new(&self.router.id, door.clone(), doors),
            reloads: Reloads::new(in_force, entity, waker),
            service: self.service.clone(),
            stage: Arc::clone(&stage),
            clock: self.clock,
            log,
            connections_max: configuration.policy.connections_max,
        });
        let (control, listening) = self
            .spawn_control(control, threads)
            .inspect_err(|_| abandon(&intakes))
            .map_err(text)?;
        let router = Router {
            id: self.router.id.to_string(),
            listening: None,
            handle: RouterHandle { orders, stage },
            door,
            control: Some(control),
        };
        Ok(Starting { router, listening })
    }

    fn authority(
        &self,
        offices: &Arc<Offices>,
        orders: &Arc<Orders>,
        users: Option<PathBuf>,
    ) -> Arc<Authority> {
        Arc::new(Authority::new(AuthorityParts {
            offices: Arc::clone(offices),
            orders: Arc::clone(orders),
            users,
            clock: self.clock,
            log: self.log.clone(),
        }))
    }

    /// Starts the threads of all shards; some may run when it fails.
    fn spawn_workers(
        &self,
        shards: Vec<(Shard, Poll)>,
        offices: &Arc<Offices>,
        authority: &Arc<Authority>,
        intakes: &[Arc<Intake>],
    ) -> io::Result<Vec<JoinHandle<()>>> {
        let mut threads = Vec::new();
        for (index, ((shard, poll), intake)) in (0..).zip(shards.into_iter().zip(intakes)) {
            let shared = (offices, authority);
            threads.push(self.spawn(ShardId(index), shard, poll, shared, Arc::clone(intake))?);
        }
        Ok(threads)
    }

    /// Starts the control thread, which ends after all others; it says what it listens on.
    fn spawn_control(
        &self,
        control: Control,
        threads: Vec<JoinHandle<()>>,
    ) -> io::Result<(JoinHandle<End>, Receiver<Vec<Listening>>)> {
        let (started, listening) = mpsc::channel();
        let log = self.log.clone();
        let work = move || {
            let started = |listening| started.send(listening).unwrap_or_default();
            let end = or_abort("control", &log, || control.run(started));
            for thread in threads {
                or_abort("control", &log, || {
                    thread.join().map_err(|_| io::Error::other("lost a worker"))
                });
            }
            end
        };
        let thread = thread::Builder::new()
            .name("control".to_owned())
            .spawn(work)?;
        Ok((thread, listening))
    }

    fn shard(
        &self,
        id: ShardId,
        plane: &ControlPlane,
        counters: &Arc<Counters>,
    ) -> Result<Shard, String> {
        Ok(Shard::new(ShardConfig {
            id,
            shards: self.shards,
            settings: Arc::clone(&self.router),
            seed: self.random.number().map_err(text)?,
            secret: self.random.bytes().map_err(text)?,
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
        (offices, authority): (&Arc<Offices>, &Arc<Authority>),
        intake: Arc<Intake>,
    ) -> io::Result<JoinHandle<()>> {
        let spare = self.cores > 2 && self.shards > 1;
        let spin = self
            .spin
            .unwrap_or(if spare { SPIN } else { Duration::ZERO });
        let (offices, clock, log) = (Arc::clone(offices), self.clock, self.log.clone());
        let parts = WorkerParts {
            shard,
            own,
            poll,
            offices,
            authority: Arc::clone(authority),
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

/// Ends workers of a router that cannot start.
fn abandon(intakes: &[Arc<Intake>]) {
    intakes
        .iter()
        .for_each(|intake| intake.push(Incoming::Abandon));
}

/// Gives a control plane what the configuration says; who answers for it, and what is in force.
///
/// # Errors
///
/// A section that cannot be.
fn configure(
    configuration: &Configuration,
    entity: &Entity,
    plane: &mut ControlPlane,
    log: &Log,
) -> Result<(Agent, Process, InForce), String> {
    let drain = drain_time(entity);
    let mut agent = Agent::new(entity.clone());
    let policy = &configuration.policy;
    agent.obey(policy.entity.clone(), !policy.admin_status);
    let has_file = configuration.path.is_some();
    let mut process = Process::new(log.clone(), configuration.log.clone(), drain, has_file);
    let mut tell = |module, level, text: String| log.line(module, level, text);
    let mut identities = Vec::new();
    for placed in &configuration.entities {
        let router = (&mut agent, &mut *plane, &mut process as &mut dyn Host);
        let created = create(placed, Origin::File, router, &mut tell);
        identities.push(created.map_err(|failure| {
            let (line, name) = (placed.section.line, &placed.section.name);
            format!("line {line}: {name}: {}", failure.text)
        })?);
    }
    let in_force = InForce::new(configuration.clone(), identities);
    Ok((agent, process, in_force))
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
