//! How wires behave.

use std::time::Duration;

use crate::random::Random;
use crate::wire::Behaviour;

/// A wire on which nothing gets in the way.
pub(crate) const GOOD: Behaviour = Behaviour {
    latency: Duration::from_micros(10),
    jitter_micros: 0,
    bandwidth: 1_000_000,
    segment: 65_536,
    buffer: 1 << 20,
};

pub(super) fn behaviour(random: &mut Random) -> Behaviour {
    if random.one_in(3) {
        return GOOD;
    }
    let buffer = random.pick(&[64, 1000, 16_384, 200_000]);
    // A small buffer on a long wire carries next to nothing.
    let (latency, jitter): (&[_], &[_]) = match buffer {
        64 => (&[100, 500], &[0, 100]),
        _ => (&[100, 2000, 30_000], &[0, 100, 5000]),
    };
    let latency = random.pick(latency);
    Behaviour {
        latency: random.micros(latency),
        jitter_micros: random.pick(jitter),
        bandwidth: random.pick(&[1000, 10_000, 1_000_000]),
        segment: random.pick(&[1, 7, 100, 1500, 16_384, 65_536]),
        buffer,
    }
}
