//! One measurement: the threads of a load, its phases, and what came out.
//!
//! Owns the order of events – receivers, senders, warm-up, measuring, the end – and the figures.
//! The router's processor time and the counters are read at the same two moments, so that a
//! message's cost does not depend on how long starting and stopping took.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use amqp_codec::{Source, Str};
use amqp_proto::{Connection, RecvBuf, Sasl, SendQueue, Time};

use crate::blocking::Blocking;
use crate::cli::bench::crowd;
use crate::cli::bench::load::Load;
use crate::cli::bench::process::Usage;
use crate::cli::bench::receiver::{Latencies, Receiver, latencies};
use crate::cli::bench::sender::Sender;
use crate::cli::bench::stage::{Count, Phase, Stage, Tally};
use crate::cli::client::endpoint::Endpoint;
use crate::cli::client::interrupt::Interrupt;
use crate::cli::client::wire::WireParts;
use crate::cli::client::{Client, config};
use crate::cli::failure::Failure;
use crate::cli::quantity;
use crate::cli::screen::Progress;
use crate::clock::Clock;

/// Time between two looks at the counters.
const TICK: Duration = Duration::from_secs(1);
/// Time between two looks at phase, threads or listener.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Whom a load goes through.
#[derive(Debug)]
pub(super) struct Subject {
    /// Where senders (and receivers, if there is a router) connect to.
    pub(super) endpoint: Endpoint,
    /// Where receivers connect to, if to another router than senders.
    pub(super) exit: Option<Endpoint>,
    /// Without a router between: where the receivers listen for what comes out of a relay.
    pub(super) listener: Option<TcpListener>,
    /// The process whose cost is measured.
    pub(super) pid: Option<u32>,
    /// The processes of further routers on the way.
    pub(super) further: Vec<u32>,
}

/// How the generator itself is set.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The start of all addresses.
    pub(super) address: String,
    /// The largest frame it takes, in bytes.
    pub(super) max_frame_size: u32,
    /// How it is stopped.
    pub(super) interrupt: Interrupt,
}

/// What came out.
#[derive(Debug)]
pub(super) struct Measurement {
    /// The load.
    pub(super) load: Load,
    /// How long was measured.
    pub(super) elapsed: Duration,
    /// What was counted meanwhile.
    pub(super) count: Count,
    /// What was counted from the first message to the last.
    pub(super) total: Count,
    /// Latencies of the messages that arrived meanwhile, in nanoseconds.
    pub(super) latencies: Latencies,
    /// What the process measured has used meanwhile.
    pub(super) subject: Option<Usage>,
    /// What further routers on the way have used meanwhile.
    pub(super) further: Vec<Usage>,
    /// What the generator has used meanwhile.
    pub(super) generator: Option<Usage>,
    /// How long it took a crowd to come, if there was one.
    pub(super) crowd: Option<Duration>,
}

impl Measurement {
    /// Messages a second that arrived.
    #[must_use]
    pub(super) fn rate(&self) -> f64 {
        per(self.count.received, self.elapsed.as_secs_f64())
    }

    /// Processor time of the process measured for a message, in microseconds.
    #[must_use]
    pub(super) fn cost(&self) -> Option<f64> {
        self.cost_of(&self.subject?)
    }

    /// The same for each router on the way, the first one first.
    #[must_use]
    pub(super) fn costs(&self) -> Vec<f64> {
        let routers = self.subject.iter().chain(&self.further);
        routers.filter_map(|usage| self.cost_of(usage)).collect()
    }

    fn cost_of(&self, usage: &Usage) -> Option<f64> {
        let used = usage.processor().as_secs_f64();
        (self.count.received > 0).then(|| used * 1e6 / per(self.count.received, 1.0))
    }

    /// Messages that were sent and never arrived, nor came back with an outcome that says so.
    #[must_use]
    pub(super) fn lost(&self) -> u64 {
        let returned = self.total.rejected + self.total.released + self.total.modified;
        self.total
            .sent
            .saturating_sub(self.total.received + returned)
    }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn per(count: u64, unit: f64) -> f64 {
    count as f64 / unit
}

/// Runs a load through a subject.
///
/// # Errors
/// If the subject cannot be reached, refuses, or loses a connection on the way.
pub(super) fn measure(
    subject: &Subject,
    load: &Load,
    settings: &Settings,
    progress: &mut Progress,
) -> Result<Measurement, Failure> {
    let mut run = Run::new(load, settings);
    if let Some(listener) = &subject.listener {
        run.listen(listener)?;
    } else {
        run.start_receivers(subject.exit.as_ref().unwrap_or(&subject.endpoint))?;
    }
    run.start_senders(&subject.endpoint)?;
    run.pass(load.warm_up, |_| {})?;
    run.stage.enter(Phase::Measure);
    let start = run.mark(subject.pid)?;
    let further = usages(&subject.further)?;
    let mut last = start;
    let crowd = load.crowd.map(|connections| {
        let (endpoint, settings) = (subject.endpoint.clone(), settings.clone());
        let Settings {
            max_frame_size,
            interrupt,
            ..
        } = settings;
        spawn(move || crowd::come(&endpoint, connections, max_frame_size, &interrupt))
    });
    run.pass(load.duration, |run| {
        if let Ok(mark) = run.mark(subject.pid) {
            progress.show(&mark.line(&start, &last));
            last = mark;
        }
    })?;
    let end = run.mark(subject.pid)?;
    let later = usages(&subject.further)?;
    progress.clear();
    let latencies = run.finish()?;
    let crowd = crowd.map(join).transpose()?.transpose()?;
    let used = |later: Option<Usage>, earlier: Option<Usage>| Some(later?.since(&earlier?));
    Ok(Measurement {
        load: load.clone(),
        elapsed: end.at.saturating_sub(start.at),
        count: end.count.since(&start.count),
        total: run.count(),
        latencies,
        subject: used(end.subject, start.subject),
        further: later
            .iter()
            .zip(&further)
            .map(|(to, from)| to.since(from))
            .collect(),
        generator: used(end.generator, start.generator),
        crowd,
    })
}

fn usages(pids: &[u32]) -> Result<Vec<Usage>, Failure> {
    pids.iter().map(|&pid| Usage::of(pid)).collect()
}

/// The figures at one moment.
#[derive(Clone, Copy)]
struct Mark {
    at: Time,
    count: Count,
    subject: Option<Usage>,
    generator: Option<Usage>,
}

impl Mark {
    /// What the progress line says.
    fn line(&self, start: &Self, last: &Self) -> String {
        let seconds = self.at.saturating_sub(last.at).as_secs_f64();
        let received = self.count.received - last.count.received;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is shown to the message"
        )]
        let rate = per(received, seconds) as u64;
        let mut line = format!(
            "{:3.0} s  {} msg/s",
            self.at.saturating_sub(start.at).as_secs_f64(),
            quantity::grouped(rate),
        );
        if let (Some(now), Some(then)) = (self.subject, last.subject)
            && received > 0
        {
            let used = now.since(&then).processor().as_secs_f64() * 1e6;
            let cost = quantity::three_digits(used / per(received, 1.0));
            line.push_str(&format!("  {cost} µs of router CPU a message"));
        }
        line
    }
}

type ReceiverThread = JoinHandle<Result<Latencies, Failure>>;

/// A running load.
struct Run<'a> {
    acceptor: Option<JoinHandle<Vec<ReceiverThread>>>,
    clock: Clock,
    load: &'a Load,
    receivers: Vec<ReceiverThread>,
    senders: Vec<JoinHandle<Result<(), Failure>>>,
    settings: &'a Settings,
    stage: Arc<Stage>,
    tallies: Vec<Arc<Tally>>,
}

impl<'a> Run<'a> {
    fn new(load: &'a Load, settings: &'a Settings) -> Self {
        Self {
            acceptor: None,
            clock: Clock::start(),
            load,
            receivers: Vec::new(),
            senders: Vec::new(),
            settings,
            stage: Arc::default(),
            tallies: Vec::new(),
        }
    }

    fn tally(&mut self) -> Arc<Tally> {
        let tally = Arc::<Tally>::default();
        self.tallies.push(Arc::clone(&tally));
        tally
    }

    /// A connection for one thread.
    fn connect(&self, endpoint: &Endpoint, name: &str) -> Result<Client, Failure> {
        let sasl = endpoint.sasl();
        let config = config(name, &endpoint.host, sasl, self.settings.max_frame_size);
        let interrupt = self.settings.interrupt.clone();
        Client::connect_with(
            endpoint,
            Arc::new(config),
            name,
            self.clock,
            interrupt,
            false,
        )
    }

    /// The address of a pair.
    fn address(&self, pair: usize) -> String {
        format!("{}.{pair}", self.settings.address)
    }

    /// Starts the threads that receive from a router.
    fn start_receivers(&mut self, endpoint: &Endpoint) -> Result<(), Failure> {
        for connection in 0..self.load.connections {
            let mut client = self.connect(endpoint, &format!("bench-receiver-{connection}"))?;
            let mut links = Vec::new();
            for pair in (connection..self.load.pairs).step_by(self.load.connections) {
                let address = Some(Str::from(self.address(pair)));
                let source = Source {
                    address,
                    ..Source::default()
                };
                links.push(client.attach_receiver(source, false)?.key);
            }
            let (parts, session) = client.into_parts();
            let tally = self.tally();
            let mut receiver = Receiver::new(
                parts,
                self.load.credit,
                self.clock,
                Arc::clone(&self.stage),
                tally,
            )?;
            for link in links {
                receiver.add(session, link);
            }
            self.receivers.push(spawn(move || receiver.run()));
        }
        Ok(())
    }

    /// Starts the threads that send.
    fn start_senders(&mut self, endpoint: &Endpoint) -> Result<(), Failure> {
        let interval = self.load.interval().unwrap_or_default();
        for connection in 0..self.load.connections {
            let mut client = self.connect(endpoint, &format!("bench-sender-{connection}"))?;
            let mut links = Vec::new();
            for pair in (connection..self.load.pairs).step_by(self.load.connections) {
                let link = client.attach_sender(Some(&self.address(pair)), self.load.settled)?;
                let share = per(pair as u64, per(self.load.pairs as u64, 1.0));
                links.push((link.key, interval.mul_f64(share)));
            }
            let tally = self.tally();
            let stage = Arc::clone(&self.stage);
            let parts = client.into_parts();
            let sender = Sender::new(parts, &links, self.load, self.clock, stage, tally)?;
            self.senders.push(spawn(move || sender.run()));
        }
        Ok(())
    }

    /// Starts the thread that takes what comes out of a relay and starts a receiver for each
    /// connection.
    fn listen(&mut self, listener: &TcpListener) -> Result<(), Failure> {
        let listener = listener
            .try_clone()
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|error| Failure::new(format!("cannot listen: {error}")))?;
        let sasl = Sasl::Server {
            mechanisms: vec!["ANONYMOUS".into()],
            required: false,
        };
        let mut config = config("bench-receiver", "", sasl, self.settings.max_frame_size);
        config.initiator = false;
        config.hostname = None;
        let config = Arc::new(config);
        let (stage, clock, credit) = (Arc::clone(&self.stage), self.clock, self.load.credit);
        let tally = self.tally();
        self.acceptor = Some(spawn(move || {
            accept(&listener, &stage, |stream| {
                let parts = WireParts {
                    connection: Connection::new(Arc::clone(&config), clock.now()),
                    input: RecvBuf::new(),
                    output: SendQueue::new(),
                    socket: Blocking::new(stream, tls::plain()),
                };
                let stage = Arc::clone(&stage);
                let tally = Arc::clone(&tally);
                spawn(move || Receiver::new(parts, credit, clock, stage, tally)?.run())
            })
        }));
        Ok(())
    }

    /// Lets time pass, looking at the threads and calling `tick` once a second.
    fn pass(&mut self, time: Duration, mut tick: impl FnMut(&Self)) -> Result<(), Failure> {
        let end = self.clock.now() + time;
        let mut next = self.clock.now() + TICK;
        loop {
            let now = self.clock.now();
            if now >= end {
                return Ok(());
            }
            if self.settings.interrupt.raised() {
                return Err(Failure::new("stopped"));
            }
            let ended = self.senders.iter().any(JoinHandle::is_finished)
                || self.receivers.iter().any(JoinHandle::is_finished);
            if ended {
                self.finish()?;
                return Err(Failure::new("a thread of the generator ended too early"));
            }
            if now >= next {
                tick(self);
                next = next + TICK;
            }
            let ahead = end.min(next).saturating_sub(now);
            thread::sleep(ahead.min(LOOK_INTERVAL));
        }
    }

    fn count(&self) -> Count {
        let mut count = Count::default();
        for tally in &self.tallies {
            count.add(tally);
        }
        count
    }

    fn mark(&self, pid: Option<u32>) -> Result<Mark, Failure> {
        Ok(Mark {
            at: self.clock.now(),
            count: self.count(),
            subject: pid.map(Usage::of).transpose()?,
            generator: Usage::of(std::process::id()).ok(),
        })
    }

    /// Stops senders, then receivers, and puts the latencies together.
    fn finish(&mut self) -> Result<Latencies, Failure> {
        self.stage.enter(Phase::Drain);
        let mut first_failure = None;
        for thread in self.senders.drain(..) {
            first_failure = first_failure.or(join(thread)?.err());
        }
        self.stage.enter(Phase::Stop);
        if let Some(acceptor) = self.acceptor.take() {
            self.receivers.extend(join(acceptor)?);
        }
        let mut all = latencies();
        for thread in self.receivers.drain(..) {
            match join(thread)? {
                Ok(some) => all
                    .add(&some)
                    .map_err(|error| Failure::new(error.to_string()))?,
                Err(failure) => first_failure = first_failure.or(Some(failure)),
            }
        }
        first_failure.map_or(Ok(all), Err)
    }
}

/// Accepts connections until the measurement stops.
fn accept(
    listener: &TcpListener,
    stage: &Stage,
    mut start: impl FnMut(TcpStream) -> ReceiverThread,
) -> Vec<ReceiverThread> {
    let mut receivers = Vec::new();
    while stage.phase() < Phase::Stop {
        match listener.accept() {
            Ok((stream, _)) => receivers.push(start(stream)),
            // Nobody is there, or has gone again: a sender that was not accepted will complain.
            Err(_) => thread::sleep(LOOK_INTERVAL),
        }
    }
    receivers
}

#[expect(
    clippy::disallowed_methods,
    reason = "the generator is one thread a connection"
)]
fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(body)
}

/// What a thread came to.
fn join<T>(thread: JoinHandle<T>) -> Result<T, Failure> {
    thread
        .join()
        .map_err(|_| Failure::new("a thread of the generator panicked"))
}
