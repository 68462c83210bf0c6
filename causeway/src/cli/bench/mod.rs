//! `causeway bench`: a load generator, and the comparison of routers under it.
//!
//! Owns the options and which of the measurements they ask for; the measuring is in the files
//! below. The generator shares the machine with what it measures, so it counts what a message
//! *costs* the router (processor time of its process) rather than only how many pass: the cost
//! does not depend on who else is busy.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::cli::bench::load::Load;
use crate::cli::bench::measure::{Settings, Subject, measure};
use crate::cli::bench::report::Printer;
use crate::cli::client::FRAME_SIZE_DEFAULT;
use crate::cli::client::endpoint::Endpoint;
use crate::cli::client::interrupt::Interrupt;
use crate::cli::client::secure::TlsOptions;
use crate::cli::failure::{self, Failure};
use crate::cli::quantity;
use crate::cli::screen::Progress;

mod compare;
mod crowd;
mod idle;
mod line;
mod load;
mod measure;
mod process;
mod receiver;
mod report;
mod rival;
mod rounds;
mod sender;
mod socket;
mod stage;
mod stamp;

/// The load, and what to measure with it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  causeway bench --pid $(pidof causeway)\n  \
    causeway bench --pairs 4 --rate 20000 --duration 30s\n  \
    causeway bench --suite --compare 'qdrouterd -c {conf}' --proxy 'haproxy -f {conf}'\n  \
    causeway bench --line 3 --size 10k\n  \
    causeway bench --idle-connections 1000 --pid $(pidof causeway)")]
pub struct BenchOptions {
    /// Where the router listens: amqp://HOST:PORT, or any part of it; amqps:// inside TLS.
    #[arg(long, value_name = "URL", default_value = "amqp://127.0.0.1:5672")]
    pub url: Endpoint,
    /// Where receivers connect to, if that is another router of the network or another of its
    /// listeners; amqps:// inside TLS, amqp:// in the clear whatever --url is.
    #[arg(long, value_name = "URL",
          conflicts_with_all = ["compare", "proxy", "line", "direct_listen"])]
    pub exit: Option<Endpoint>,
    /// The start of all addresses; each pair adds a number.
    #[arg(long, value_name = "PREFIX", default_value = "bench")]
    pub address: String,
    /// Senders, each with a receiver of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one())]
    pub pairs: u32,
    /// Connections for all senders, and as many for all receivers; one a pair where silent.
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub connections: Option<u32>,
    /// Further connections that come at once when measuring begins, each with a handshake (TLS
    /// with amqps://): what do they do to the latency of the load?
    #[arg(long, value_name = "N", value_parser = at_least_one(),
          conflicts_with_all = ["suite", "compare", "proxy", "line", "direct_listen",
                                "idle_connections"])]
    pub crowd: Option<u32>,
    /// Bytes of a message's body: 100, 10k, 1M.
    #[arg(long, value_name = "SIZE", default_value = "100", value_parser = quantity::parse_size)]
    pub size: usize,
    /// Messages each receiver lets come ahead.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = at_least_one())]
    pub credit: u32,
    /// Send settled: fire and forget.
    #[arg(long)]
    pub settled: bool,
    /// Messages a second over all pairs, by the clock (an open loop); flat out where silent.
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    pub rate: Option<f64>,
    /// Messages of one pair that are due at the same moment; as many fewer moments.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "rate",
          value_parser = at_least_one())]
    pub burst: u32,
    /// How long to measure.
    #[arg(long, value_name = "TIME", default_value = "10s",
          value_parser = quantity::parse_duration)]
    pub duration: Duration,
    /// How long to run before that.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = quantity::parse_duration)]
    pub warm_up: Duration,
    /// The largest frame the generator takes, in bytes.
    #[arg(long, value_name = "SIZE", value_parser = quantity::parse_size)]
    pub max_frame_size: Option<usize>,
    /// The router's process, to tell what a message costs it.
    #[arg(long, value_name = "PID", conflicts_with_all = ["compare", "proxy"])]
    pub pid: Option<u32>,
    /// Measure the standard set of loads instead of one.
    #[arg(long, conflicts_with_all = ["pairs", "size", "rate", "settled", "connections"])]
    pub suite: bool,
    /// Start this router and another one, with the same configuration, and measure both in turn:
    /// `{conf}` in the command stands for the configuration file.
    #[arg(long, value_name = "COMMAND")]
    pub compare: Option<String>,
    /// Start this router and a TCP proxy, and measure the same stream through both: `{conf}` stands
    /// for a configuration in haproxy's grammar, or `{listen}` and `{backend}` for two ports.
    #[arg(long, value_name = "COMMAND")]
    pub proxy: Option<String>,
    /// Start lines of 1 to N of this router, senders at one end and receivers at the other, and
    /// tell what a message costs each router of a line, beside one alone.
    #[arg(long, value_name = "N", conflicts_with_all = ["compare", "proxy", "pid", "direct_listen"],
          value_parser = clap::value_parser!(u16).range(2..=16))]
    pub line: Option<u16>,
    /// How often a comparison measures each.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one())]
    pub rounds: u32,
    /// Worker threads of the routers in a comparison; one a core where silent.
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Further options for this router's `run` in a comparison.
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    pub run_options: Option<String>,
    /// No router: the bench's own receivers listen here, and senders reach them through whatever
    /// relay listens at --url.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["compare", "proxy"])]
    pub direct_listen: Option<SocketAddr>,
    /// Open N connections with a session and two links each, and tell what they cost in memory.
    #[arg(long, value_name = "N", conflicts_with_all = ["suite", "direct_listen", "proxy"])]
    pub idle_connections: Option<usize>,
    /// TLS, for `--url`, and for `--exit` unless that is `amqp://`.
    #[command(flatten)]
    pub tls: TlsOptions,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Measures.
#[must_use]
pub fn run(options: BenchOptions) -> ExitCode {
    failure::exit(bench(options))
}

fn bench(options: BenchOptions) -> Result<ExitCode, Failure> {
    let mut options = options;
    options.url.prepare(&options.tls)?;
    if let Some(exit) = options.exit.as_mut().filter(|exit| !exit.says_clear) {
        exit.prepare(&options.tls)?;
    }
    let options = &options;
    let settings = options.settings()?;
    let loads = if options.suite {
        options.load().suite()
    } else {
        vec![options.load()]
    };
    let comparison = compare::Comparison {
        other: options.compare.clone(),
        proxy: options.proxy.clone(),
        rounds: options.rounds,
        run_options: options.run_options.clone().unwrap_or_default(),
        workers: options.workers.unwrap_or_else(cores),
    };
    let mut progress = Progress::new(!options.json);
    let mut printer = Printer::new(options.json);
    if let Some(count) = options.idle_connections {
        match (&options.compare, options.pid) {
            (Some(_), _) => compare::idle(&comparison, count, &settings, &mut printer)?,
            (None, Some(pid)) => {
                let cost = idle::measure(&options.url, pid, count, &settings)?;
                printer.print(&cost.text(), cost.json())?;
            }
            (None, None) => {
                return Err(Failure::new(
                    "memory is read from a process: --pid says which",
                ));
            }
        }
    } else if let Some(longest) = options.line {
        line::loads(
            longest,
            &comparison,
            &loads,
            &settings,
            &mut progress,
            &mut printer,
        )?;
    } else if options.compare.is_some() || options.proxy.is_some() {
        compare::loads(&comparison, &loads, &settings, &mut progress, &mut printer)?;
    } else {
        one(options, &loads, &settings, &mut progress, &mut printer)?;
    }
    printer.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Measures one subject under some loads.
fn one(
    options: &BenchOptions,
    loads: &[Load],
    settings: &Settings,
    progress: &mut Progress,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let listen = |address: SocketAddr| {
        TcpListener::bind(address)
            .map_err(|error| Failure::new(format!("cannot listen on {address}: {error}")))
    };
    let listener = options.direct_listen.map(listen).transpose()?;
    let subject = Subject {
        endpoint: options.url.clone(),
        exit: options.exit.clone(),
        listener,
        pid: options.pid,
        further: Vec::new(),
    };
    for load in loads {
        let measurement = measure(&subject, load, settings, progress)?;
        printer.print(&report::text(&measurement), report::json(&measurement))?;
    }
    Ok(())
}

impl BenchOptions {
    fn load(&self) -> Load {
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let pairs = count(self.pairs);
        Load {
            pairs,
            size: self.size,
            credit: self.credit,
            settled: self.settled,
            rate: self.rate,
            burst: self.burst,
            connections: self.connections.map_or(pairs, count).min(pairs),
            crowd: self.crowd.map(count),
            warm_up: self.warm_up,
            duration: self.duration,
        }
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let max_frame_size = match self.max_frame_size {
            None => FRAME_SIZE_DEFAULT,
            Some(size) => u32::try_from(size)
                .ok()
                .filter(|size| *size >= amqp_codec::MIN_MAX_FRAME_SIZE)
                .ok_or_else(|| Failure::new("a frame is 512 B to 4 GB"))?,
        };
        let interrupt = Interrupt::on_signals()?;
        Ok(Settings {
            address: self.address.clone(),
            max_frame_size,
            interrupt,
        })
    }
}

/// A count of things there must be one of.
fn at_least_one() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (1e-3..=1e9).contains(&rate) => Ok(rate),
        _ => Err("expected messages a second, such as 20000".into()),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
