//! The one writer: feed → store → policy → documents → notifier.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use super::credentials::CredentialBook;
use super::leisure::Leisure;
use super::notifying::Command;
use super::state::StateFile;
use super::until;
use crate::directory::{Cookie, Event, Report};
use crate::document::{Document, Renderer};
use crate::model::{Aor, Fault, Generation, Severity, Timestamp};
use crate::policy::{Engine, Outcome, UserChange};
use crate::store::{Change, ChangeSet, Snapshot, Store};
use crate::subscription::pacing::Quiet;

/// Reports taken at once: enough to make the channel cheap, little enough to look at the clock in between.
const BATCH_MAX: usize = 512;
/// Documents in one message to the notifier: it answers phones between two of them.
const PUBLISH_MAX: usize = 256;
/// Faults of events that are remembered until the next complete list.
const STORE_FAULTS_MAX: usize = 1_000;
/// Faults logged at once: one line of a policy can be wrong for every user.
const TOLD_MAX: usize = 50;
/// While the directory changes, the state is written this often at most.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// How soon a save in progress is looked at again.
const SAVE_POLL: Duration = Duration::from_millis(200);

/// What the daemon says when the directory has been read for the first time.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) objects: usize,
    pub(crate) users: usize,
    pub(crate) faults: Vec<Fault>,
    /// Served from the state of the last run; the directory has not answered yet.
    pub(crate) from_state: bool,
    /// The address to suggest to somebody who tries it out.
    pub(crate) example: Option<Aor>,
}

pub(crate) struct Watching {
    store: Store,
    engine: Engine,
    renderer: Renderer,
    credentials: CredentialBook,
    quiet: Quiet,
    pending: Vec<ChangeSet>,
    /// Since when the first of `pending` has been waiting, for the log.
    pending_since: Option<Instant>,
    notifier: mpsc::Sender<Command>,
    state: Option<StateFile>,
    unsaved: bool,
    saved_at: Option<Instant>,
    /// A save in progress; it answers whether it succeeded.
    saving: Option<tokio::task::JoinHandle<bool>>,
    /// Told once, at the first complete state.
    loaded: Option<oneshot::Sender<Loaded>>,
    feed_faults: Vec<Fault>,
    store_faults: Vec<Fault>,
    told: BTreeSet<Fault>,
    /// The addresses last told to the notifier as withheld.
    withheld: HashSet<Aor>,
    /// When faults are looked for again: that walks the whole directory.
    telling: Leisure,
}

impl Watching {
    pub(crate) fn new(
        engine: Engine,
        credentials: CredentialBook,
        quiet: Quiet,
        notifier: mpsc::Sender<Command>,
        state: Option<StateFile>,
        loaded: oneshot::Sender<Loaded>,
    ) -> Self {
        Self {
            store: Store::new(),
            engine,
            renderer: Renderer::new(),
            credentials,
            quiet,
            pending: Vec::new(),
            pending_since: None,
            notifier,
            state,
            unsaved: false,
            saved_at: None,
            saving: None,
            loaded: Some(loaded),
            feed_faults: Vec::new(),
            store_faults: Vec::new(),
            told: BTreeSet::new(),
            withheld: HashSet::new(),
            telling: Leisure::default(),
        }
    }

    /// Takes over the state of the last run, and serves it at once.
    pub(crate) async fn resume(&mut self, snapshot: Snapshot, cookie: Option<Cookie>) -> Option<Cookie> {
        self.store = Store::resume(snapshot, cookie.clone());
        if self.store.snapshot().is_complete() {
            self.load(true).await;
        }
        cookie
    }

    /// Runs until the feed ends or the notifier is gone; then keeps the state.
    pub(crate) async fn run(mut self, mut reports: mpsc::Receiver<Report>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let now = Instant::now();
            let saving = self.saving.as_ref().map(|_| now + SAVE_POLL);
            let wake = [self.quiet.due(), self.telling.due(), self.save_due(now), saving].into_iter().flatten().min();
            tokio::select! {
                count = reports.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        break;
                    }
                    for report in batch.drain(..) {
                        self.handle(report).await;
                    }
                }
                () = until(wake) => {}
            }
            let now = Instant::now();
            if self.quiet.take(now) {
                self.flush(now).await;
            }
            if self.telling.due().is_some_and(|due| due <= now) {
                self.tell_faults();
            }
            if self.saving.as_ref().is_some_and(tokio::task::JoinHandle::is_finished) {
                self.saved().await;
            }
            if self.save_due(now).is_some_and(|due| due <= now) {
                self.save(now);
            }
            if self.notifier.is_closed() {
                break;
            }
        }
        self.finish().await;
    }

    async fn handle(&mut self, report: Report) {
        match report {
            Report::Event(event) => {
                if matches!(event, Event::InitDone { .. }) {
                    // The list tells anew what is wrong with it.
                    self.store_faults.clear();
                }
                // The end of a list of 100,000 entries is a second's work, and the notifier may share this thread.
                let applied = if matches!(event, Event::InitDone { .. }) {
                    tokio::task::block_in_place(|| self.store.apply(event, timestamp()))
                } else {
                    self.store.apply(event, timestamp())
                };
                self.unsaved |= applied.checkpoint.is_some();
                if !applied.faults.is_empty() {
                    self.telling.want(Instant::now());
                }
                self.store_faults.extend(applied.faults);
                self.store_faults.truncate(STORE_FAULTS_MAX);
                if let Some(changes) = applied.changes {
                    self.unsaved = true;
                    let now = Instant::now();
                    self.pending_since.get_or_insert(now);
                    self.pending.push(changes);
                    self.quiet.touch(now);
                }
                if self.loaded.is_some() && self.store.snapshot().is_complete() {
                    self.load(false).await;
                }
            }
            Report::Up { what } => info!("directory up: {what}"),
            Report::Down { why, retry_ms } if self.loaded.is_some() => {
                warn!("directory down, and phones are told to wait until it was read once; trying again in {retry_ms} ms: {why}");
            }
            Report::Down { why, retry_ms } => warn!("directory down, the last good state stays; trying again in {retry_ms} ms: {why}"),
            Report::Progress { entries } => info!("reading the directory: {entries} entries so far"),
            Report::Faults(faults) => {
                self.feed_faults = faults;
                self.telling.want(Instant::now());
            }
        }
    }

    /// The first complete state: everything is resolved and published, then the sockets may open.
    async fn load(&mut self, from_state: bool) {
        let begun = Instant::now();
        self.pending.clear();
        self.pending_since = None;
        let snapshot = self.store.snapshot();
        let outcome = tokio::task::block_in_place(|| self.engine.load(&snapshot));
        let users = self.publish(outcome).await;
        // Whoever is told that the daemon is ready may subscribe at once: the notifier has to know it first.
        let (told, is_told) = oneshot::channel();
        self.send(Command::Ready(told)).await;
        let _ = is_told.await;
        info!("{} objects, {users} users resolved in {} ms", snapshot.len(), begun.elapsed().as_millis());
        let faults = self.tell_faults();
        if let Some(loaded) = self.loaded.take() {
            let example = self.engine.published().min().cloned();
            let _ = loaded.send(Loaded { objects: snapshot.len(), users, faults, from_state, example });
        }
    }

    /// The directory is quiet: what the changes mean for phones goes to the notifier.
    async fn flush(&mut self, now: Instant) {
        if self.loaded.is_some() || self.pending.is_empty() {
            return;
        }
        let changes = std::mem::take(&mut self.pending);
        let waited = self.pending_since.take().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let snapshot = self.store.snapshot();
        let outcome = tokio::task::block_in_place(|| self.engine.update(&snapshot, &changes));
        for change in changes.iter().flat_map(|set| &set.changes) {
            if let Change::Added(after) | Change::Modified { after, .. } | Change::Moved { after, .. } = change {
                self.credentials.refresh(after);
            }
        }
        let examined = outcome.examined;
        let objects: usize = changes.iter().map(|set| set.changes.len()).sum();
        let users = self.publish(outcome).await;
        info!(
            generation = %generation(&changes),
            objects, examined, users,
            waited_ms = millis(waited), took_ms = millis(now.elapsed()),
            "the directory changed"
        );
        self.telling.want(now);
    }

    /// Renders and hands over; returns how many users have a new document.
    async fn publish(&mut self, outcome: Outcome) -> usize {
        let snapshot = self.store.snapshot();
        let mut gone: Vec<Aor> = Vec::new();
        let mut resolved = Vec::new();
        for change in outcome.users {
            match change {
                UserChange::Resolved(user) => resolved.push(user),
                UserChange::Withheld { user, .. } => debug!(%user, "withheld: the last good document stays"),
                UserChange::Gone { aor, .. } => gone.push(aor),
            }
        }
        // Withdrawn first: an address that passed to another entry ends as a publication.
        for aor in &gone {
            self.credentials.remove(aor);
        }
        for user in &resolved {
            self.credentials.put(&snapshot, user);
        }
        if !gone.is_empty() {
            self.send(Command::Withdraw(gone)).await;
        }
        if let Some(credentials) = tokio::task::block_in_place(|| self.credentials.changed()) {
            self.send(Command::Credentials(credentials)).await;
        }
        let withheld: HashSet<Aor> = self.engine.withheld().filter_map(|(_, why)| why.own_address()).cloned().collect();
        if withheld != self.withheld {
            self.withheld.clone_from(&withheld);
            self.send(Command::Withhold(withheld)).await;
        }
        for users in resolved.chunks(PUBLISH_MAX) {
            let documents: Vec<(Aor, Document)> = users.iter().map(|user| (user.aor.clone(), self.renderer.profile(user))).collect();
            self.send(Command::Publish(documents)).await;
        }
        resolved.len()
    }

    async fn send(&self, command: Command) {
        if self.notifier.send(command).await.is_err() {
            debug!("the notifier has stopped");
        }
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = self.feed_faults.clone();
        faults.extend(self.store_faults.iter().cloned());
        faults.extend(self.engine.faults());
        faults.extend(self.credentials.faults());
        faults
    }

    /// Logs the faults that were not there before; gives all that there are.
    fn tell_faults(&mut self) -> Vec<Fault> {
        let begun = Instant::now();
        let all = tokio::task::block_in_place(|| self.faults());
        let faults: BTreeSet<Fault> = all.iter().filter(|fault| fault.severity != Severity::Note).cloned().collect();
        let mut new = faults.difference(&self.told);
        for fault in new.by_ref().take(TOLD_MAX) {
            warn!(code = fault.code, "{fault}");
        }
        match new.count() {
            0 => {}
            rest => warn!("and {rest} faults more; `dialcast check` tells all"),
        }
        self.told = faults;
        self.telling.done(Instant::now(), begun.elapsed());
        all
    }

    /// When the state is to be written; what was never written is due now.
    fn save_due(&self, now: Instant) -> Option<Instant> {
        let busy = self.saving.is_some();
        (self.unsaved && self.state.is_some() && !busy && self.loaded.is_none()).then(|| self.saved_at.map_or(now, |at| at + SAVE_EVERY))
    }

    /// Writes the state beside the work: the snapshot is of one moment, and the cookie of the same.
    fn save(&mut self, now: Instant) {
        let Some(state) = self.state.clone() else { return };
        let (snapshot, cookie) = (self.store.snapshot(), self.store.cookie().cloned());
        self.unsaved = false;
        self.saved_at = Some(now);
        self.saving = Some(tokio::task::spawn_blocking(move || {
            let saved = state.save(&snapshot, cookie.as_ref());
            saved.map_err(|error| warn!("the state is not kept: {:#}; phones are served all the same", anyhow::Error::new(error))).is_ok()
        }));
    }

    /// Waits for the save in progress; one that failed leaves the state unsaved.
    async fn saved(&mut self) {
        if let Some(saving) = self.saving.take() {
            self.unsaved |= !saving.await.unwrap_or(false);
        }
    }

    async fn finish(mut self) {
        self.saved().await;
        if self.unsaved && self.loaded.is_none() {
            self.save(Instant::now());
            self.saved().await;
        }
    }
}

fn generation(changes: &[ChangeSet]) -> Generation {
    changes.last().map(|set| set.generation).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn timestamp() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis))
}
