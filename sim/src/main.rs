//! Runs worlds: `SIM_SEED=7 cargo run -p sim` replays that of a router alone, `SIM_MESH_SEED=7`
//! that of a network, `SIM_TLS_SEED=7` that of one with TLS, with `--trace` in words and with
//! `--shrink` made smaller; `--ci` runs a fixed list of all and then fresh seeds for a minute;
//! `--seeds N` runs so many routers, or with `--mesh` or `--tls` networks, from `--from N` on;
//! without these, fresh seeds until one fails. `--scale N` prints how networks of up to N routers
//! behave, or with `--size N`, `--shape NAME` some of them.

#![expect(clippy::print_stdout, reason = "a program for people")]
#![expect(
    clippy::disallowed_methods,
    reason = "fresh seeds and a minute need a clock"
)]

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sim::scale::{self, Host, Wanted};
use sim::{Kind, Part, shrink};

/// Seeds of routers that every run of CI plays.
const FIXED_ROUTERS: u64 = 350;

/// Seeds of networks that every run of CI plays.
const FIXED_MESHES: u64 = 50;

/// Seeds of networks with TLS that every run of CI plays.
const FIXED_TLS: u64 = 20;

/// Seeds that found something when they were written down. What is drawn has changed
/// since, so that they are not all of them still the networks that did; tests of `router-core` keep
/// the defects.
const FOUND: [(Kind, u64); 18] = [
    (Kind::Mesh, 79),   // a message for which all waited, held up by others
    (Kind::Mesh, 548),  // hellos held up with data when a connection was full
    (Kind::Mesh, 569),  // the same, of link states
    (Kind::Mesh, 1330), // hellos that came all at once after that
    (Kind::Mesh, 250),  // a message taken for stalled because its own sender's next ones waited
    (Kind::Mesh, 1438), // half a message left at a consumer
    (Kind::Mesh, 59),   // a routed link attached anew by a name that the next router still knew
    // a link that came to a hub which its router had given up while it stood still
    (Kind::Mesh, 830_049),
    // a link that waited behind what its hub was slow to read, while its way was cut
    (Kind::Mesh, 1_012_889),
    // a hub that ended its session while it stood still
    (Kind::Mesh, 1_111_935),
    // settled, on a hub's connection that was full: nobody is told that it has given way
    (Kind::Router, 900_441),
    // a wait of less than ten seconds, in the tenth second of a router
    (Kind::Router, 911_964),
    (Kind::Router, 316), // two messages for all, each first in one lane and behind the other's next
    // credit given anew while what had been given back for a drain was on its way
    (Kind::Mesh, 203_399),
    // a neighbour blamed for what a client of its own did not take
    (Kind::Mesh, 1_795_379_807_123_508),
    // a hub that went before it knew that it was there
    (Kind::Router, 1_795_383_647_134_910),
    // last words of who stood still when its link was ended for that
    (Kind::Router, 1_795_381_736_138_947),
    (Kind::Tls, 546), // a link lost with a hub whose end its router had yet to learn
];

/// Seconds of its processor that one seed may take: a world is over within milliseconds, so one
/// that takes longer turns in circles.
const SEED_SECONDS: u64 = 60;

/// The seed that is being played, for the last words of a run that fails.
static SEED: AtomicU64 = AtomicU64::new(0);

/// The place of its kind among all.
static KIND: AtomicUsize = AtomicUsize::new(0);

const KINDS: [Kind; 3] = [Kind::Router, Kind::Mesh, Kind::Tls];

/// Worlds played.
static PLAYED: AtomicU64 = AtomicU64::new(0);

/// How long the thread that plays has had a processor; on systems that do not say, how long it has
/// been there.
fn worked(start: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse().ok());
    // A system that does not count says that it was none.
    let nanoseconds = nanoseconds.filter(|of| *of > 0);
    nanoseconds.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// Ends the program, naming the seed, if one seed takes too long.
fn watch() {
    let start = Instant::now();
    let mut before = (u64::MAX, Duration::ZERO);
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let (played, worked) = (PLAYED.load(Ordering::Relaxed), worked(start));
        if played != before.0 {
            before = (played, worked);
        } else if worked.saturating_sub(before.1) >= Duration::from_secs(SEED_SECONDS) {
            println!("{}: no end after {SEED_SECONDS} s", present());
            println!("{played} passed, 1 failed");
            std::process::exit(1);
        }
    }
}

/// The variable that replays a seed.
fn variable(kind: Kind) -> &'static str {
    match kind {
        Kind::Router => "SIM_SEED",
        Kind::Mesh => "SIM_MESH_SEED",
        Kind::Tls => "SIM_TLS_SEED",
    }
}

/// The seed that is being played, as one would ask for it.
fn present() -> String {
    let kind = KINDS[KIND.load(Ordering::Relaxed)];
    format!("{}={}", variable(kind), SEED.load(Ordering::Relaxed))
}

fn begin(kind: Kind, seed: u64) {
    let place = KINDS.iter().position(|of| *of == kind);
    KIND.store(place.unwrap_or(0), Ordering::Relaxed);
    SEED.store(seed, Ordering::Relaxed);
    PLAYED.fetch_add(1, Ordering::Relaxed);
}

/// Options without and with a value, and those of the latter whose value is a number.
const FLAGS: [&str; 5] = ["--ci", "--mesh", "--tls", "--trace", "--shrink"];
const TEXTS: [&str; 2] = ["--without", "--shape"];
const NUMBERS: [&str; 4] = ["--seeds", "--from", "--scale", "--size"];

/// What the command line asks for.
struct Options(Vec<String>);

impl Options {
    /// The error names the first argument that means nothing.
    fn read(arguments: Vec<String>) -> Result<Self, String> {
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            let is_number = NUMBERS.contains(&option.as_str());
            if FLAGS.contains(&option.as_str()) {
                continue;
            }
            if !is_number && !TEXTS.contains(&option.as_str()) {
                let known = [&FLAGS[..], &TEXTS, &NUMBERS].concat().join(", ");
                return Err(format!("'{option}' is no option; there are: {known}"));
            }
            match rest.next() {
                Some(value) if is_number && value.parse::<u64>().is_err() => {
                    return Err(format!("{option} takes a number, not '{value}'"));
                }
                Some(_) => {}
                None => return Err(format!("{option} takes a value")),
            }
        }
        Ok(Self(arguments))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|option| option == name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|option| option == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// Parts to leave out: `--without p1,f0,l2.1`.
    fn without(&self) -> Vec<Part> {
        let list = self.text("--without").unwrap_or_default();
        list.split(',').filter_map(parse).collect()
    }
}

fn parse(text: &str) -> Option<Part> {
    let (kind, number) = text.split_at_checked(1)?;
    match kind {
        "p" => Some(Part::Peer(number.parse().ok()?)),
        "f" => Some(Part::Fault(number.parse().ok()?)),
        "l" => {
            let (peer, place) = number.split_once('.')?;
            Some(Part::Link(peer.parse().ok()?, place.parse().ok()?))
        }
        _ => None,
    }
}

fn name(part: &Part) -> String {
    match part {
        Part::Peer(number) => format!("p{number}"),
        Part::Fault(number) => format!("f{number}"),
        Part::Link(peer, place) => format!("l{peer}.{place}"),
    }
}

/// Plays one seed; false if something does not hold.
fn play(kind: Kind, seed: u64) -> bool {
    begin(kind, seed);
    catch_unwind(|| sim::run(kind, seed)).is_ok()
}

/// Plays one seed and tells all about it.
fn replay(kind: Kind, seed: u64, options: &Options) -> bool {
    begin(kind, seed);
    let without = options.without();
    if !options.has("--trace") && without.is_empty() {
        let played = catch_unwind(|| sim::run(kind, seed));
        println!("seed {seed}: {played:?}");
        return played.is_ok();
    }
    let trace = options.has("--trace");
    let listen = Box::new(move |text: &str| {
        if trace {
            println!("{text}");
        }
    });
    let played = catch_unwind(std::panic::AssertUnwindSafe(|| {
        sim::replay(kind, seed, &without, listen)
    }));
    println!("seed {seed}: {played:?}");
    played.is_ok()
}

/// Says what is left of a failing seed when it is made smaller.
fn show_small(kind: Kind, seed: u64) {
    std::panic::set_hook(Box::new(|_| {}));
    let small = shrink(kind, seed);
    say_panics();
    let Some(small) = small else {
        println!(
            "{}={seed} does not fail in its world: look at its scene",
            variable(kind)
        );
        return;
    };
    println!("made smaller, it fails with: {}", small.failure);
    for line in &small.left {
        println!("  {line}");
    }
    let without: Vec<String> = small.without.iter().map(name).collect();
    println!(
        "{}={seed} cargo run --release -p sim -- --trace --without {}",
        variable(kind),
        without.join(",")
    );
}

fn say_panics() {
    std::panic::set_hook(Box::new(|panic| {
        println!("{}: {panic}", present());
    }));
}

/// How many worlds found nothing, and those that found something.
#[derive(Default)]
struct Score {
    passed: u64,
    failed: Vec<(Kind, u64)>,
}

impl Score {
    /// Plays worlds until `go_on` says no.
    fn play(&mut self, worlds: impl Iterator<Item = (Kind, u64)>, mut go_on: impl FnMut() -> bool) {
        for (kind, seed) in worlds {
            if !go_on() {
                break;
            }
            match play(kind, seed) {
                true => self.passed += 1,
                false => self.failed.push((kind, seed)),
            }
        }
    }

    /// Tells it; with `small`, also what of the first failing plan is needed.
    fn tell(&self, small: bool) -> ExitCode {
        let Self { passed, failed } = self;
        if let Some(&(kind, seed)) = failed.first() {
            println!("failed: {failed:?}");
            if small {
                show_small(kind, seed);
            }
        } else {
            println!("{passed} seeds found nothing");
        }
        println!("{passed} passed, {} failed", failed.len());
        match failed.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}

/// The seed that is to be played again.
fn asked_for() -> Option<(Kind, u64)> {
    KINDS.into_iter().find_map(|kind| {
        let seed = std::env::var(variable(kind)).ok()?;
        Some((kind, seed.parse().ok()?))
    })
}

/// Prints how networks of up to so many routers behave.
fn scale(options: &Options) {
    let began = Instant::now();
    let mut host = Host {
        say: &mut |line| println!("{line}"),
        resident: &resident,
        seconds: &|| began.elapsed().as_secs_f64(),
    };
    let number = |name| options.number(name).and_then(|n| usize::try_from(n).ok());
    let wanted = Wanted {
        most: number("--scale").unwrap_or(usize::MAX),
        only: number("--size"),
        shape: options.text("--shape"),
    };
    scale::run(&mut host, wanted);
}

/// Bytes of memory that the process has, where the system says so.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes = kilobytes.and_then(|kilobytes| kilobytes.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn main() -> ExitCode {
    say_panics();
    let options = match Options::read(std::env::args().skip(1).collect()) {
        Ok(options) => options,
        Err(text) => {
            println!("{text}");
            return ExitCode::from(2);
        }
    };
    if options.has("--scale") {
        scale(&options);
        return ExitCode::SUCCESS;
    }
    std::thread::spawn(watch);
    if let Some((kind, seed)) = asked_for() {
        let passed = replay(kind, seed, &options);
        if !passed && options.has("--shrink") {
            show_small(kind, seed);
        }
        return match passed {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let fresh = now.map_or(0, |since| since.as_secs());
    let first = options
        .number("--from")
        .unwrap_or(fresh.wrapping_mul(1_000_003));
    let kind = match (options.has("--mesh"), options.has("--tls")) {
        (_, true) => Kind::Tls,
        (true, _) => Kind::Mesh,
        _ => Kind::Router,
    };
    let seeds = (first..).map(|seed| (kind, seed));
    let mut score = Score::default();
    if let Some(count) = options.number("--seeds") {
        score.play(seeds.take(usize::try_from(count).unwrap_or(0)), || true);
    } else if options.has("--ci") {
        let routers = (0..FIXED_ROUTERS).map(|seed| (Kind::Router, seed));
        let meshes = (0..FIXED_MESHES).map(|seed| (Kind::Mesh, seed));
        let protected = (0..FIXED_TLS).map(|seed| (Kind::Tls, seed));
        let all = routers.chain(meshes).chain(FOUND).chain(protected);
        score.play(all, || true);
        for kind in [Kind::Router, Kind::Mesh, Kind::Tls] {
            let end = Instant::now() + Duration::from_secs(20);
            let seeds = (first..).map(|seed| (kind, seed));
            score.play(seeds, || Instant::now() < end);
        }
    } else {
        for (kind, seed) in seeds {
            score.play([(kind, seed)].into_iter(), || true);
            if !score.failed.is_empty() {
                break;
            }
        }
    }
    score.tell(options.has("--ci") || options.has("--shrink"))
}
