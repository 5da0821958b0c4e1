//! Pace: a change waits until the directory is quiet, and NOTIFYs leave at a rate.

use std::time::{Duration, Instant};

/// Gathers changes: what was touched is due once nothing has touched it for `quiet`, and `most` after the first touch at
/// the latest, so that neither one edit of many entries makes many NOTIFYs nor an endless import delays them for ever.
#[derive(Debug, Clone)]
pub struct Quiet {
    pause: Duration,
    most: Duration,
    since: Option<(Instant, Instant)>,
}

impl Default for Quiet {
    /// 50 ms of quiet, 500 ms at most.
    fn default() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_millis(500))
    }
}

impl Quiet {
    /// Nothing gathered yet.
    pub const fn new(quiet: Duration, most: Duration) -> Self {
        Self { pause: quiet, most, since: None }
    }

    /// Something changed.
    pub fn touch(&mut self, now: Instant) {
        let first = self.since.map_or(now, |(first, _)| first);
        self.since = Some((first, now));
    }

    /// When what was gathered is due; `None` when nothing was.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|(first, last)| (last + self.pause).min(first + self.most))
    }

    /// Whether it is due; if so, the gathering begins anew.
    pub fn take(&mut self, now: Instant) -> bool {
        let due = self.due().is_some_and(|due| due <= now);
        if due {
            self.since = None;
        }
        due
    }
}

/// A token bucket: so many per second, and so many at once after a pause.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Nanoseconds that one token takes; 0: no limit.
    interval_ns: u64,
    burst: u64,
    /// The time at which the bucket is full again (the virtual scheduling form of the leaky bucket, ITU-T I.371 annex A).
    full_at: Option<Instant>,
}

impl Bucket {
    /// `per_second` tokens per second (0: no limit), and up to `burst` (at least 1) at once.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval_ns = 1_000_000_000u64.checked_div(u64::from(per_second)).unwrap_or(0);
        Self { interval_ns, burst: u64::from(burst.max(1)), full_at: None }
    }

    /// Takes a token, if one is there.
    pub fn take(&mut self, now: Instant) -> bool {
        if self.interval_ns == 0 {
            return true;
        }
        if self.next().is_some_and(|next| next > now) {
            return false;
        }
        let from = self.full_at.map_or(now, |full| full.max(now));
        self.full_at = Some(from + Duration::from_nanos(self.interval_ns));
        true
    }

    /// When the next token is there; `None`: one has been there since before anything was taken.
    pub fn next(&self) -> Option<Instant> {
        // One token is there when the bucket lacks no more than `burst - 1`.
        self.full_at.and_then(|full| full.checked_sub(Duration::from_nanos(self.interval_ns.saturating_mul(self.burst - 1))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Touches at the given milliseconds; says when it came due.
    fn check(touches: &[u64], expect: &[u64]) {
        let start = Instant::now();
        let mut quiet = Quiet::default();
        let mut due = Vec::new();
        for now in 0..3_000 {
            if touches.contains(&now) {
                quiet.touch(start + ms(now));
            }
            if quiet.take(start + ms(now)) {
                due.push(now);
            }
        }
        assert_eq!(due, expect, "touched at {touches:?}");
    }

    #[test]
    fn quiet() {
        check(&[], &[]);
        check(&[10], &[60]);
        check(&[10, 40, 89], &[139]);
        check(&[10, 100], &[60, 150]);
        // An import that never pauses comes through every half second.
        check(&(0..1_000).collect::<Vec<_>>(), &[500, 1_001]);
    }

    #[test]
    fn bucket() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, 3);
        let mut taken = Vec::new();
        for now in 0..60 {
            while bucket.take(start + ms(now)) {
                taken.push(now);
            }
        }
        // Three at once, then one each 10 ms.
        assert_eq!(taken, [0, 0, 0, 10, 20, 30, 40, 50]);
        assert_eq!(bucket.next(), Some(start + ms(60)));
        // After a pause the burst is back, and no more than it.
        assert_eq!((0..9).filter(|_| bucket.take(start + ms(5_000))).count(), 3);
    }

    #[test]
    fn no_limit() {
        let mut bucket = Bucket::new(0, 1);
        let now = Instant::now();
        assert!((0..1_000).all(|_| bucket.take(now)));
        assert_eq!(bucket.next(), None);
    }

    proptest! {
        /// Over any stretch of time no more than rate × time + burst.
        #[test]
        fn never_faster(rate in 1u32..5_000, burst in 1u32..100, steps in prop::collection::vec(0u64..50, 1..200)) {
            let start = Instant::now();
            let (mut bucket, mut now, mut taken) = (Bucket::new(rate, burst), 0u64, 0u64);
            for step in steps {
                now += step;
                while bucket.take(start + ms(now)) {
                    taken += 1;
                }
                prop_assert!(taken <= u64::from(burst) + now * u64::from(rate) / 1_000 + 1);
            }
        }
    }
}
