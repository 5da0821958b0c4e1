//! Work that follows from changes and may cost more than they do.

use std::time::{Duration, Instant};

/// After the work there is rest for this many times as long as it took: it takes a twentieth of the time at most.
const REST: u32 = 19;

/// When such work is due: at once where it is cheap, and gathered where it is not.
#[derive(Debug, Default)]
pub(super) struct Leisure {
    wanted: Option<Instant>,
    rests_until: Option<Instant>,
}

impl Leisure {
    /// Something changed.
    pub(super) fn want(&mut self, now: Instant) {
        self.wanted.get_or_insert(now);
    }

    /// When to do it; `None` while there is nothing to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.wanted.map(|wanted| self.rests_until.map_or(wanted, |until| wanted.max(until)))
    }

    /// It was done, with everything that was wanted so far.
    pub(super) fn done(&mut self, now: Instant, took: Duration) {
        self.wanted = None;
        self.rests_until = now.checked_add(took.saturating_mul(REST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_twentieth_of_the_time() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut leisure = Leisure::default();
        assert_eq!(leisure.due(), None);
        leisure.want(start);
        leisure.want(start + ms(5));
        assert_eq!(leisure.due(), Some(start), "the first time there is nothing to rest from");
        leisure.done(start + ms(100), ms(100));
        assert_eq!(leisure.due(), None);
        leisure.want(start + ms(110));
        assert_eq!(leisure.due(), Some(start + ms(2_000)));
        leisure.want(start + ms(120));
        assert_eq!(leisure.due(), Some(start + ms(2_000)), "gathered");
        leisure.done(start + ms(2_000), Duration::ZERO);
        leisure.want(start + ms(3_000));
        assert_eq!(leisure.due(), Some(start + ms(3_000)));
    }
}
