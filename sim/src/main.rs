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

/// The seed that is being played, for the last words of a run that fails.
static SEED: AtomicU64 = AtomicU64::new(0);

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    if let Some(seed) = std::env::var("SIM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
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
