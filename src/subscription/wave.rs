//! How far a change has come: how many phones it is for, how many were sent it, and how many said that they have it.
//!
//! One change is one wave. A phone is in the newest wave that concerns it, and leaves it by an answer, by not answering, or because a
//! newer wave took it along.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Waves that are followed at once. Older ones are given up: their numbers are told as they stood.
const WAVES_MAX: usize = 64;
/// And no wave is followed for longer: twice as long as a NOTIFY waits for its answer (RFC 3261 §17.1.2.2, Timer F), and a little.
const FOLLOWED: Duration = Duration::from_secs(70);

/// What is known of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wave {
    /// Its number, as [`Waves::begin`] was told.
    pub number: u32,
    /// When it began.
    pub begun: Instant,
    /// Subscriptions that it is for.
    pub phones: u64,
    /// NOTIFYs sent.
    pub sent: u64,
    /// Subscriptions that confirmed it.
    pub answered: u64,
    /// Subscriptions that refused it, or do not answer.
    pub failed: u64,
    /// Subscriptions that a newer wave took along, or that were ended otherwise.
    pub overtaken: u64,
    /// When the last of them confirmed it.
    pub last_answer: Option<Instant>,
    /// Whether nobody can join it any more.
    is_whole: bool,
    is_news: bool,
}

impl Wave {
    /// Whether every phone has had its say.
    pub const fn is_over(&self) -> bool {
        self.is_whole && self.answered + self.failed + self.overtaken >= self.phones
    }
}

/// How a phone left a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It confirmed.
    Answered,
    /// It refused, or does not answer.
    Failed,
    /// By a newer wave, or because there was nothing to tell after all.
    Overtaken,
}

/// All waves that are not over.
#[derive(Debug, Default)]
pub struct Waves {
    open: BTreeMap<u32, Wave>,
    current: u32,
    over: Vec<Wave>,
}

impl Waves {
    /// A change begins to be published. Its number is not 0, and higher than the one before.
    pub fn begin(&mut self, now: Instant, number: u32) {
        self.end();
        self.current = number;
        let wave = Wave {
            number,
            begun: now,
            phones: 0,
            sent: 0,
            answered: 0,
            failed: 0,
            overtaken: 0,
            last_answer: None,
            is_whole: false,
            is_news: false,
        };
        self.open.insert(number, wave);
        if self.open.len() > WAVES_MAX
            && let Some((_, oldest)) = self.open.pop_first()
        {
            self.over.push(oldest);
        }
    }

    /// It has been published.
    pub fn end(&mut self) {
        let current = std::mem::take(&mut self.current);
        if let Some(wave) = self.open.get_mut(&current) {
            wave.is_whole = true;
        }
        self.close(current);
    }

    /// The waves that ended since this was asked last, and if wanted those of the others of which there is news.
    pub fn news(&mut self, now: Instant, with_progress: bool) -> (Vec<Wave>, Vec<Wave>) {
        while let Some(oldest) = self.open.first_entry()
            && now.saturating_duration_since(oldest.get().begun) >= FOLLOWED
        {
            self.over.push(oldest.remove());
        }
        let news = self.open.values_mut().filter_map(|wave| (with_progress && std::mem::take(&mut wave.is_news)).then_some(*wave));
        (std::mem::take(&mut self.over), news.collect())
    }

    /// The wave that publications belong to now; 0: none.
    pub(super) const fn current(&self) -> u32 {
        self.current
    }

    /// A subscription joins the current wave. `from`: the one that it was in.
    pub(super) fn join(&mut self, from: u32) -> u32 {
        let current = self.current;
        if from != current {
            self.leave(from, Left::Overtaken, None);
            if let Some(wave) = self.open.get_mut(&current) {
                wave.phones += 1;
            }
        }
        current
    }

    pub(super) fn sent(&mut self, number: u32) {
        if let Some(wave) = self.open.get_mut(&number) {
            (wave.sent, wave.is_news) = (wave.sent + 1, true);
        }
    }

    pub(super) fn leave(&mut self, number: u32, left: Left, at: Option<Instant>) {
        let Some(wave) = self.open.get_mut(&number) else { return };
        match left {
            Left::Answered => (wave.answered, wave.last_answer) = (wave.answered + 1, at),
            Left::Failed => wave.failed += 1,
            Left::Overtaken => wave.overtaken += 1,
        }
        wave.is_news = true;
        self.close(number);
    }

    fn close(&mut self, number: u32) {
        if self.open.get(&number).is_some_and(Wave::is_over) {
            self.over.extend(self.open.remove(&number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_ends_with_its_last_phone() {
        let now = Instant::now();
        let mut waves = Waves::default();
        waves.begin(now, 1);
        assert_eq!((waves.join(0), waves.join(0), waves.join(1)), (1, 1, 1));
        waves.sent(1);
        waves.leave(1, Left::Answered, Some(now));
        let (over, going) = waves.news(now, true);
        assert!(over.is_empty() && (going[0].phones, going[0].sent, going[0].answered) == (2, 1, 1));
        assert_eq!(waves.news(now, true), (Vec::new(), Vec::new()), "nothing new");
        waves.leave(1, Left::Failed, None);
        assert_eq!(waves.news(now, true).0.len(), 0, "more may join");
        waves.end();
        let over = waves.news(now, true).0;
        assert_eq!((over[0].answered, over[0].failed, over[0].last_answer), (1, 1, Some(now)));
    }

    #[test]
    fn a_newer_wave_takes_phones_along() {
        let now = Instant::now();
        let mut waves = Waves::default();
        waves.begin(now, 1);
        let phone = waves.join(0);
        waves.begin(now, 2);
        assert_eq!(waves.join(phone), 2);
        assert_eq!(waves.news(now, true).0[0].overtaken, 1);
        waves.leave(2, Left::Answered, Some(now));
        waves.end();
        assert_eq!(waves.news(now, true).0[0].number, 2);
        // Nobody is concerned: over at once.
        waves.begin(now, 3);
        waves.end();
        assert_eq!(waves.news(now, true).0[0].phones, 0);
    }

    #[test]
    fn old_waves_are_given_up() {
        let now = Instant::now();
        let mut waves = Waves::default();
        for number in 1..=100 {
            waves.begin(now, number);
            waves.join(0);
        }
        assert_eq!((waves.open.len(), waves.news(now, true).0.len()), (WAVES_MAX, 100 - WAVES_MAX));
        assert_eq!((waves.news(now + FOLLOWED, true).0.len(), waves.open.len()), (WAVES_MAX, 0));
    }
}
