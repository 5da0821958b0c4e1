//! When the state goes to disk: from time to time while something changes, at once when it matters, and at the end.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tracing::warn;

use super::companion::Companion;
use super::holds::Holds;
use super::kept::KeptUsers;
use super::state::StateFile;
use crate::directory::Cookie;
use crate::store::{Quarantine, Snapshot};

/// While the directory changes, the state is written this often at most.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// How soon a save in progress is looked at again.
const SAVE_POLL: Duration = Duration::from_millis(200);

/// Everything of one moment.
pub(super) struct Moment {
    pub(super) snapshot: Snapshot,
    pub(super) cookie: Option<Cookie>,
    pub(super) holds: Holds,
    pub(super) quarantine: Option<Quarantine>,
    pub(super) kept: KeptUsers,
}

/// Writes the state beside the work.
pub(super) struct Saving {
    state: Option<StateFile>,
    is_unsaved: bool,
    saved_at: Option<Instant>,
    /// A save in progress; it answers whether it succeeded.
    running: Option<JoinHandle<bool>>,
}

impl Saving {
    pub(super) const fn new(state: Option<StateFile>) -> Self {
        Self { state, is_unsaved: false, saved_at: None, running: None }
    }

    /// There is something to keep.
    pub(super) const fn want(&mut self) {
        self.is_unsaved = true;
    }

    /// And it is not to be lost in the next seconds.
    pub(super) const fn hurry(&mut self) {
        (self.is_unsaved, self.saved_at) = (true, None);
    }

    /// When to look again.
    pub(super) fn wake(&self, now: Instant) -> Option<Instant> {
        self.running.as_ref().map(|_| now + SAVE_POLL).or_else(|| self.due(now))
    }

    /// When the state is to be written; what was never written is due now.
    fn due(&self, now: Instant) -> Option<Instant> {
        let is_wanted = self.is_unsaved && self.state.is_some() && self.running.is_none();
        is_wanted.then(|| self.saved_at.map_or(now, |at| at + SAVE_EVERY))
    }

    /// Begins to write, if it is time.
    pub(super) async fn save(&mut self, now: Instant, moment: impl FnOnce() -> Moment) {
        if self.running.as_ref().is_some_and(JoinHandle::is_finished) {
            self.saved().await;
        }
        if self.due(now).is_some_and(|due| due <= now) {
            self.begin(now, moment());
        }
    }

    /// Writes what is unsaved, and waits for it.
    pub(super) async fn finish(&mut self, moment: impl FnOnce() -> Moment) {
        self.saved().await;
        if self.is_unsaved {
            self.begin(Instant::now(), moment());
            self.saved().await;
        }
    }

    fn begin(&mut self, now: Instant, moment: Moment) {
        let Some(state) = self.state.clone() else { return };
        self.is_unsaved = false;
        self.saved_at = Some(now);
        self.running = Some(tokio::task::spawn_blocking(move || {
            let Moment { snapshot, cookie, holds, quarantine, kept } = moment;
            let companion = Companion::write(&holds, quarantine.as_ref(), &kept);
            let saved = state.save(&snapshot, cookie.as_ref(), companion);
            saved.map_err(|error| warn!("the state is not kept: {:#}; phones are served all the same", anyhow::Error::new(error))).is_ok()
        }));
    }

    /// Waits for the save in progress; one that failed leaves the state unsaved.
    async fn saved(&mut self) {
        if let Some(running) = self.running.take() {
            self.is_unsaved |= !running.await.unwrap_or(false);
        }
    }
}
