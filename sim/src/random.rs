//! The one source of chance: everything that a world draws comes from its seed.

use std::time::Duration;

/// A small generator (xorshift64*): good enough to choose, never used where it must not be guessed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..4 {
            random.number();
        }
        random
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below a bound, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        usize::try_from((self.number() >> 16) % bound).unwrap_or(0)
    }

    /// A small number below a bound, which must not be 0.
    pub fn below_u32(&mut self, bound: u32) -> u32 {
        u32::try_from((self.number() >> 16) % u64::from(bound)).unwrap_or(0)
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of some choices.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// So many microseconds, or fewer.
    pub fn micros(&mut self, most: u64) -> Duration {
        Duration::from_micros((self.number() >> 16) % (most + 1))
    }
}
