//! How long to wait before the next try. Pure: the randomness is an argument.

use std::time::Duration;

use rand::Rng;

use crate::directory::Timers;

/// Pauses that double with each failure, and differ between servers that lost the same directory at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(timers: &Timers) -> Self {
        Self { min: timers.backoff_min, max: timers.backoff_max.max(timers.backoff_min), failures: 0 }
    }

    /// The pause after one more failure: at least half of the doubled one.
    pub(super) fn next(&mut self, random: &mut impl Rng) -> Duration {
        let whole = self.min.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(random.random_range(0.5..=1.0))
    }

    /// The longest pause, for failures that tries do not mend: a wrong password, tried often, locks the account.
    pub(super) fn longest(&mut self, random: &mut impl Rng) -> Duration {
        self.failures = u32::BITS;
        self.next(random)
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn doubles_up_to_its_cap() {
        let mut random = StdRng::seed_from_u64(7);
        let mut backoff = Backoff::new(&Timers::default());
        for expect_ms in [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000] {
            let pause = backoff.next(&mut random);
            let whole = Duration::from_millis(expect_ms);
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?} {whole:?}");
        }
        for _ in 0..100 {
            assert!(backoff.next(&mut random) <= Duration::from_secs(30));
        }
        backoff.reset();
        assert!(backoff.next(&mut random) <= Duration::from_millis(100));
        assert!(backoff.longest(&mut random) >= Duration::from_secs(15));
    }
}
