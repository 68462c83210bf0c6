//! Runs worlds: `SIM_SEED=7 cargo run -p sim` replays one, with `--trace` in words and with
//! `--shrink` made smaller; `--ci` runs a fixed list and then fresh seeds for a minute; `--seeds N`
//! runs so many, from `--from N` on; without options, fresh seeds until one fails.

#![expect(clippy::print_stdout, reason = "a program for people")]
#![expect(
    clippy::disallowed_methods,
    reason = "fresh seeds and a minute need a clock"
)]

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sim::{Part, shrink};

/// Seeds that every run of CI plays.
const FIXED: u64 = 500;

/// Seconds that one seed may take: a world is over within milliseconds, so one that takes longer
/// turns in circles.
const SEED_SECONDS: u64 = 60;

/// The seed that is being played, for the last words of a run that fails.
static SEED: AtomicU64 = AtomicU64::new(0);

/// Worlds played.
static PLAYED: AtomicU64 = AtomicU64::new(0);

/// Ends the program, naming the seed, if one seed takes too long.
fn watch() {
    let mut before = u64::MAX;
    loop {
        std::thread::sleep(Duration::from_secs(SEED_SECONDS));
        let played = PLAYED.load(Ordering::Relaxed);
        if played == before {
            let seed = SEED.load(Ordering::Relaxed);
            println!("SIM_SEED={seed}: no end after {SEED_SECONDS} s");
            println!("{played} passed, 1 failed");
            std::process::exit(1);
        }
        before = played;
    }
}

/// What the command line asks for.
struct Options(Vec<String>);

impl Options {
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
fn play(seed: u64) -> bool {
    SEED.store(seed, Ordering::Relaxed);
    PLAYED.fetch_add(1, Ordering::Relaxed);
    catch_unwind(|| sim::run(seed)).is_ok()
}

/// Plays one seed and tells all about it.
fn replay(seed: u64, options: &Options) -> bool {
    SEED.store(seed, Ordering::Relaxed);
    let without = options.without();
    if !options.has("--trace") && without.is_empty() {
        let played = catch_unwind(|| sim::run(seed));
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
        sim::replay(seed, &without, listen)
    }));
    println!("seed {seed}: {played:?}");
    played.is_ok()
}

/// Says what is left of a failing seed when it is made smaller.
fn show_small(seed: u64) {
    std::panic::set_hook(Box::new(|_| {}));
    let small = shrink(seed);
    say_panics();
    let Some(small) = small else {
        println!("SIM_SEED={seed} does not fail in its world: look at its scene");
        return;
    };
    println!("made smaller, it fails with: {}", small.failure);
    for line in &small.left {
        println!("  {line}");
    }
    let without: Vec<String> = small.without.iter().map(name).collect();
    println!(
        "SIM_SEED={seed} cargo run --release -p sim -- --trace --without {}",
        without.join(",")
    );
}

fn say_panics() {
    std::panic::set_hook(Box::new(|panic| {
        println!("SIM_SEED={}: {panic}", SEED.load(Ordering::Relaxed));
    }));
}

/// Plays seeds until `go_on` says no; the failing ones.
fn play_all(seeds: impl Iterator<Item = u64>, mut go_on: impl FnMut() -> bool) -> (u64, Vec<u64>) {
    let (mut passed, mut failed) = (0, Vec::new());
    for seed in seeds {
        if !go_on() {
            break;
        }
        match play(seed) {
            true => passed += 1,
            false => failed.push(seed),
        }
    }
    (passed, failed)
}

fn main() -> ExitCode {
    std::thread::spawn(watch);
    say_panics();
    let options = Options(std::env::args().skip(1).collect());
    let one = std::env::var("SIM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    if let Some(seed) = one {
        let passed = replay(seed, &options);
        if !passed && options.has("--shrink") {
            show_small(seed);
        }
        return if passed {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let fresh = now.map_or(0, |since| since.as_secs());
    let first = options
        .number("--from")
        .unwrap_or(fresh.wrapping_mul(1_000_003));
    let (mut passed, mut failed) = (0, Vec::new());
    if let Some(seeds) = options.number("--seeds") {
        (passed, failed) = play_all((first..).take(usize::try_from(seeds).unwrap_or(0)), || true);
    } else if options.has("--ci") {
        (passed, failed) = play_all(0..FIXED, || true);
        let end = Instant::now() + Duration::from_secs(60);
        let (more, others) = play_all(first.., || Instant::now() < end);
        passed += more;
        failed.extend(others);
    } else {
        for seed in first.. {
            if !play(seed) {
                failed.push(seed);
                break;
            }
            passed += 1;
        }
    }
    if let Some(&seed) = failed.first() {
        println!("failed: {failed:?}");
        if options.has("--ci") || options.has("--shrink") {
            show_small(seed);
        }
    } else {
        println!("{passed} seeds found nothing");
    }
    println!("{passed} passed, {} failed", failed.len());
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
