//! How often something happened a second, over the last five seconds: `settleRate` of a link.

/// Counts of the last five whole seconds, and the second that is being counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    counts: [u32; Self::SECONDS],
    second: u32,
}

impl Rate {
    const SECONDS: usize = 5;

    /// One more in this second.
    pub(super) fn add(&mut self, second: u32) {
        self.roll(second);
        let place = second as usize % Self::SECONDS;
        self.counts[place] = self.counts[place].saturating_add(1);
    }

    /// The mean a second.
    pub(super) fn per_second(mut self, second: u32) -> u32 {
        self.roll(second);
        let sum: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        u32::try_from(sum / Self::SECONDS as u64).unwrap_or(u32::MAX)
    }

    fn roll(&mut self, second: u32) {
        let gone = second.wrapping_sub(self.second) as usize;
        for back in 0..gone.min(Self::SECONDS) {
            self.counts[(second as usize).wrapping_sub(back) % Self::SECONDS] = 0;
        }
        self.second = second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_mean_of_five_seconds_and_fades() {
        let mut rate = Rate::default();
        for second in 10..15 {
            for _ in 0..100 {
                rate.add(second);
            }
        }
        assert_eq!(rate.per_second(14), 100);
        assert_eq!(rate.per_second(16), 60);
        assert_eq!(rate.per_second(60), 0);
    }
}
