//! Runs worlds: `SIM_SEED=7 cargo run -p sim` replays one; `--ci` runs a fixed list and then fresh
//! seeds for a minute; `--seeds N` runs so many; without options, fresh seeds until one fails.

#![expect(clippy::print_stdout, reason = "a program for people")]
#![expect(
    clippy::disallowed_methods,
    reason = "fresh seeds and a minute need a clock"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

fn main() {
    std::thread::spawn(watch);
    let options: Vec<String> = std::env::args().skip(1).collect();
    if let Some(seed) = std::env::var("SIM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        SEED.store(seed, Ordering::Relaxed);
        println!("seed {seed}: {:?}", sim::run(seed));
        return;
    }
    let count = |name: &str| {
        let at = options.iter().position(|option| option == name)?;
        options.get(at + 1)?.parse::<u64>().ok()
    };
    let fresh = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let first = fresh.wrapping_mul(1_000_003);
    let mut played = 0;
    std::panic::set_hook(Box::new(|panic| {
        println!("SIM_SEED={}: {panic}", SEED.load(Ordering::Relaxed));
    }));
    let mut play = |seed: u64| {
        SEED.store(seed, Ordering::Relaxed);
        PLAYED.fetch_add(1, Ordering::Relaxed);
        sim::run(seed)
    };
    if let Some(seeds) = count("--seeds") {
        played += (0..seeds).map(&mut play).count();
    } else {
        let end = Instant::now() + Duration::from_secs(60);
        let ci = options.iter().any(|option| option == "--ci");
        if ci {
            played += (0..FIXED).map(&mut play).count();
        }
        for seed in first.. {
            if ci && Instant::now() > end {
                break;
            }
            play(seed);
            played += 1;
        }
    }
    println!("{played} seeds found nothing");
    println!("{played} passed, 0 failed");
}
