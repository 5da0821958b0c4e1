//! When to look: not while somebody is writing. Pure: the time is an argument.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a writer that keeps a file open is waited for after its last octet: a pause in the middle of a file looks like its end.
const WRITER: Duration = Duration::from_secs(2);

/// How long changes may go on before they are looked at all the same, in debounces: a file that never rests must not be ignored.
const LONGEST: u32 = 50;

/// How many files are remembered as being written: beyond that, the last touch alone counts.
const WRITTEN_MAX: usize = 1_000;

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    /// Octets were written, and the writer has it open.
    Written,
    /// A writer closed it.
    Closed,
    /// It went away, or another one took its name: what a writer does to it is seen no more.
    Gone,
    /// Anything else.
    Other,
}

/// The changes since the last look.
#[derive(Debug)]
pub(super) struct Settle {
    debounce: Duration,
    first: Option<Instant>,
    last: Option<Instant>,
    written: HashSet<PathBuf>,
}

impl Settle {
    pub(super) fn new(debounce: Duration) -> Self {
        Self { debounce, first: None, last: None, written: HashSet::new() }
    }

    pub(super) fn touch(&mut self, now: Instant, path: &Path, touch: Touch) {
        match touch {
            Touch::Written if self.written.len() < WRITTEN_MAX => {
                self.written.insert(path.to_owned());
            }
            Touch::Written | Touch::Other => {}
            Touch::Closed | Touch::Gone => {
                self.written.remove(path);
            }
        }
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// When to look; never, when nothing happened.
    pub(super) fn due(&self) -> Option<Instant> {
        let rest = if self.written.is_empty() { self.debounce } else { WRITER.max(self.debounce) };
        let longest = (self.debounce * LONGEST).max(WRITER * 5);
        Some((self.last? + rest).min(self.first? + longest))
    }

    /// A look begins.
    pub(super) fn looked(&mut self) {
        *self = Self::new(self.debounce);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Touches at milliseconds; when it is looked at, in milliseconds.
    fn check(touches: &[(u64, &str, Touch)], expect: Option<u64>) {
        let start = Instant::now();
        let mut settle = Settle::new(Duration::from_millis(100));
        for (at, path, touch) in touches {
            settle.touch(start + Duration::from_millis(*at), Path::new(path), *touch);
        }
        assert_eq!(settle.due(), expect.map(|at| start + Duration::from_millis(at)), "{touches:?}");
    }

    #[test]
    fn rests() {
        check(&[], None);
        check(&[(0, "a", Touch::Other)], Some(100));
        check(&[(0, "a", Touch::Other), (90, "b", Touch::Other)], Some(190));
        // Written and still open: the writer may be in the middle.
        check(&[(0, "a", Touch::Written)], Some(2_000));
        check(&[(0, "a", Touch::Written), (10, "a", Touch::Closed)], Some(110));
        check(&[(0, "a", Touch::Written), (10, "b", Touch::Closed)], Some(2_010));
        // Renamed over.
        check(&[(0, "a", Touch::Written), (10, "a", Touch::Gone)], Some(110));
        check(&[(0, "a", Touch::Written), (10, "a", Touch::Other)], Some(2_010));
    }

    #[test]
    fn does_not_wait_for_ever() {
        let touches: Vec<_> = (0..500).map(|n| (n * 90, "a", Touch::Other)).collect();
        check(&touches, Some(10_000));
    }

    #[test]
    fn forgets_what_was_looked_at() {
        let mut settle = Settle::new(Duration::from_millis(100));
        settle.touch(Instant::now(), Path::new("a"), Touch::Written);
        settle.looked();
        assert_eq!(settle.due(), None);
    }
}
