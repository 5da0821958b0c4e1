//! Deadlines in a heap, one entry for each thing that has any.
//!
//! A deadline that moves later costs nothing: the entry fires at its old time, its owner sees that there is still time,
//! and puts it back. So a NOTIFY that is answered at once never touches the heap again, and neither does a refresh.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// A heap of deadlines; equal times fire in the order of their keys, so that a run can be repeated.
#[derive(Debug)]
pub(crate) struct Timers<K: Ord>(BinaryHeap<Reverse<(Instant, K)>>);

impl<K: Ord> Timers<K> {
    pub(crate) const fn new() -> Self {
        Self(BinaryHeap::new())
    }

    pub(crate) fn push(&mut self, at: Instant, key: K) {
        self.0.push(Reverse((at, key)));
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Drops the entries that nobody waits for any more.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Instant, &K) -> bool) {
        self.0.retain(|Reverse((at, key))| keep(*at, key));
    }

    /// When something may be due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next entry that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, K)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn in_order_of_time() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::new();
        for (ms, key) in [(30, 'c'), (10, 'b'), (10, 'a'), (20, 'd')] {
            timers.push(at(ms), key);
        }
        assert_eq!(timers.next(), Some(at(10)));
        let mut pop = |ms| timers.pop(at(ms)).map(|(_, key)| key);
        assert_eq!((pop(9), pop(20), pop(20), pop(20), pop(20)), (None, Some('a'), Some('b'), Some('d'), None));
        assert_eq!(timers.next(), Some(at(30)));
    }
}
