//! The one writer: feed → store → policy → guard → documents → notifier.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::companion::Companion;
use super::control::Request;
use super::feeding::Again;
use super::holds::{Held, Hold, HoldKind, Holds};
use super::leisure::Leisure;
use super::live::{self, Feed, Live, LiveChange, now_ms};
use super::notifying::Command;
use super::publishing::{Published, Publishing, Trust};
use super::saving::{Moment, Saving};
use super::until;
use crate::directory::{Cookie, Event, Report};
use crate::model::{Aor, Dn, Fault, Place, Severity, Timestamp};
use crate::store::saved::Saved;
use crate::store::{Applied, ChangeSet, Store, Suspicion, SweepGuard};
use crate::subscription::Ask;
use crate::subscription::pacing::Quiet;

/// Reports taken at once: enough to make the channel cheap, little enough to look at the clock in between.
const BATCH_MAX: usize = 512;
/// Faults of events that are remembered until the next complete list.
const STORE_FAULTS_MAX: usize = 1_000;
/// Faults logged at once: one line of a policy can be wrong for every user.
const TOLD_MAX: usize = 50;

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

/// What [`Watching`] is made of.
pub(crate) struct Parts {
    pub(crate) publishing: Publishing,
    pub(crate) quiet: Quiet,
    pub(crate) guard: SweepGuard,
    pub(crate) saving: Saving,
    pub(crate) again: Again,
    pub(crate) loaded: oneshot::Sender<Loaded>,
    pub(crate) live: Feed,
    /// Resolve and render, and let nobody subscribe.
    pub(crate) staging: bool,
}

pub(crate) struct Watching {
    store: Store,
    guard: SweepGuard,
    publishing: Publishing,
    quiet: Quiet,
    pending: Vec<ChangeSet>,
    /// Since when the first of `pending` has been waiting, for the log.
    pending_since: Option<Instant>,
    saving: Saving,
    again: Again,
    holds: Holds,
    live: Feed,
    staging: bool,
    /// The number of the last change that was published.
    change: u32,
    /// Whether the list under way names everything by what it is like.
    is_full: bool,
    /// Told once, at the first complete state.
    loaded: Option<oneshot::Sender<Loaded>>,
    feed_faults: Vec<Fault>,
    store_faults: Vec<Fault>,
    told: BTreeSet<Fault>,
    /// When faults are looked for again: that walks the whole directory.
    telling: Leisure,
}

impl Watching {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { publishing, quiet, guard, saving, again, loaded, live, staging } = parts;
        Self {
            store: Store::new().guarded(guard.clone(), None),
            guard,
            publishing,
            quiet,
            pending: Vec::new(),
            pending_since: None,
            saving,
            again,
            holds: Holds::default(),
            live,
            staging,
            change: 0,
            is_full: false,
            loaded: Some(loaded),
            feed_faults: Vec::new(),
            store_faults: Vec::new(),
            told: BTreeSet::new(),
            telling: Leisure::default(),
        }
    }

    /// Takes over the state of the last run, and serves it at once. Gives the cookie to go on from.
    pub(crate) async fn resume(&mut self, saved: Saved) -> Option<Cookie> {
        let Saved { snapshot, cookie, companion } = saved;
        let companion = Companion::read(&companion).unwrap_or_else(|error| {
            warn!("what was held is not known, since another version of dialcast wrote it ({error}); the directory is judged anew");
            Companion::default()
        });
        let quarantine = companion.quarantine.map(super::holds::SavedQuarantine::restore);
        self.holds = companion.holds;
        self.publishing.restore(Instant::now(), companion.kept);
        self.store = Store::resume(snapshot, cookie.clone()).guarded(self.guard.clone(), quarantine);
        if self.store.snapshot().is_complete() {
            self.load(true).await;
        }
        cookie
    }

    /// Runs until the feed ends or the notifier is gone; then keeps the state.
    pub(crate) async fn run(
        mut self,
        mut reports: mpsc::Receiver<Report>,
        mut requests: mpsc::Receiver<Request>,
        mut asked: mpsc::Receiver<Ask>,
    ) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut asks = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                count = reports.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        break;
                    }
                    for report in batch.drain(..) {
                        self.handle(report).await;
                    }
                }
                Some(request) = requests.recv() => self.answer(request).await,
                _ = asked.recv_many(&mut asks, BATCH_MAX), if !self.publishing.is_over() => self.publishing.answer(asks.drain(..)).await,
                () = until(self.wake(Instant::now())) => {}
            }
            self.tick(Instant::now()).await;
            if self.publishing.is_over() {
                break;
            }
        }
        if self.loaded.is_none() {
            let Self { saving, store, publishing, holds, again, .. } = &mut self;
            saving.finish(|| moment(store, publishing, holds, again)).await;
        }
    }

    fn wake(&self, now: Instant) -> Option<Instant> {
        let saving = self.saving.wake(now).filter(|_| self.loaded.is_none());
        let guard = self.publishing.guard.due().filter(|_| self.loaded.is_none());
        [self.quiet.due(), self.telling.due(), saving, guard, self.again.due(), self.holds.repeat_at()].into_iter().flatten().min()
    }

    /// Does what is due.
    async fn tick(&mut self, now: Instant) {
        if self.quiet.take(now) {
            self.flush(now, Trust::Guarded).await;
        }
        if self.loaded.is_none() && self.publishing.guard.due().is_some_and(|due| due <= now) {
            let snapshot = self.store.snapshot();
            self.begin_wave(now).await;
            let published = self.publishing.settle(now, &snapshot).await;
            info!(changes = published.changes.len(), "changes that take something from users have waited, and go out");
            self.end_wave("waited", now, now, &[], &published).await;
            self.saving.want();
            self.look_at_holds(now);
        }
        if self.telling.due().is_some_and(|due| due <= now) {
            self.tell_faults();
        }
        self.tell_holds(now);
        self.again.order(now, self.store.cookie());
        if self.loaded.is_none() {
            let Self { saving, store, publishing, holds, again, .. } = self;
            saving.save(now, || moment(store, publishing, holds, again)).await;
        }
    }

    async fn handle(&mut self, report: Report) {
        match report {
            Report::Event(event) => self.event(event).await,
            Report::Up { what } => {
                info!("directory up: {what}");
                self.live.tell(|| Live::Up { at_ms: now_ms(), what });
            }
            Report::Down { why, retry_ms } => {
                let meanwhile =
                    if self.loaded.is_some() { "phones are told to wait until it was read once" } else { "the last good state stays" };
                warn!("directory down, {meanwhile}; trying again in {retry_ms} ms: {why}");
                self.live.tell(|| Live::Down { at_ms: now_ms(), why, retry_ms });
            }
            Report::Progress { entries } => info!("reading the directory: {entries} entries so far"),
            Report::Faults(faults) => {
                self.feed_faults = faults;
                self.telling.want(Instant::now());
            }
        }
    }

    async fn event(&mut self, event: Event) {
        let list_ends = match event {
            Event::Init => {
                self.is_full = true;
                None
            }
            // It is there, and nobody says what it is like.
            Event::InitKeep(_) => {
                self.is_full = false;
                None
            }
            Event::InitDone { sweep, .. } => Some(sweep && self.is_full),
            _ => None,
        };
        if list_ends.is_some() {
            // The list tells anew what is wrong with it.
            self.store_faults.clear();
        }
        // The end of a list of 100,000 entries is a second's work, and the notifier may share this thread.
        let applied = if list_ends.is_some() {
            tokio::task::block_in_place(|| self.store.apply(event, timestamp()))
        } else {
            self.store.apply(event, timestamp())
        };
        let now = Instant::now();
        if let Some(why) = &applied.refused {
            warn!(
                code = "guard.refused",
                "directory down, since its list is not believed: {why}; look whether Dialcast's account reads it, and what \
                guards.canaries names; the directory is read again"
            );
            self.again.watch(true, now);
            if matches!(why, Suspicion::Partial) {
                self.again.soon(now);
            }
        }
        self.applied(applied, now);
        if self.loaded.is_some() && self.store.snapshot().is_complete() {
            self.load(false).await;
        }
        self.look_at_holds(now);
        if list_ends == Some(false) && !self.holds.is_empty() {
            self.again.soon(now);
        }
    }

    fn applied(&mut self, applied: Applied, now: Instant) {
        if applied.checkpoint.is_some() {
            self.saving.want();
        }
        if !applied.faults.is_empty() {
            self.telling.want(now);
        }
        self.store_faults.extend(applied.faults);
        self.store_faults.truncate(STORE_FAULTS_MAX);
        if let Some(changes) = applied.changes {
            self.saving.want();
            self.pending_since.get_or_insert(now);
            self.pending.push(changes);
            self.quiet.touch(now);
        }
    }

    /// The first complete state: everything is resolved and published, then the sockets may open.
    async fn load(&mut self, from_state: bool) {
        let begun = Instant::now();
        self.pending.clear();
        self.pending_since = None;
        let snapshot = self.store.snapshot();
        let users = self.publishing.load(begun, &snapshot).await.users;
        if self.staging {
            warn!("staging: everything is resolved and shown, and nothing is sent; SUBSCRIBEs are answered 503");
        } else {
            // Whoever is told that the daemon is ready may subscribe at once: the notifier has to know it first.
            let (told, is_told) = oneshot::channel();
            self.publishing.send(Command::Ready(told)).await;
            let _ = is_told.await;
        }
        info!("{} objects, {users} users resolved in {} ms", snapshot.len(), begun.elapsed().as_millis());
        let faults = self.tell_faults();
        if let Some(loaded) = self.loaded.take() {
            let example = self.publishing.engine.addresses().min().cloned();
            let _ = loaded.send(Loaded { objects: snapshot.len(), users, faults, from_state, example });
        }
        self.again.watch(false, begun);
        self.look_at_holds(begun);
    }

    /// The directory is quiet: what the changes mean for phones goes to the notifier.
    async fn flush(&mut self, now: Instant, trust: Trust) {
        if self.loaded.is_some() || self.pending.is_empty() {
            return;
        }
        let changes = std::mem::take(&mut self.pending);
        let since = self.pending_since.take().unwrap_or(now);
        let snapshot = self.store.snapshot();
        self.begin_wave(since).await;
        let published = self.publishing.update(now, &snapshot, &changes, trust).await;
        let objects: usize = changes.iter().map(|set| set.changes.len()).sum();
        info!(
            change = self.change, generation = %snapshot.generation(),
            objects, examined = published.examined, users = published.users, places = published.places,
            waited_ms = millis(now.saturating_duration_since(since)), took_ms = millis(now.elapsed()),
            "the directory changed"
        );
        let cause = if trust == Trust::Confirmed { "released" } else { "directory" };
        self.end_wave(cause, since, now, &changes, &published).await;
        self.look_at_holds(now);
        self.telling.want(now);
    }

    /// What is published from here on is one change.
    async fn begin_wave(&mut self, since: Instant) {
        self.change = self.change.wrapping_add(1).max(1);
        self.publishing.send(Command::Wave { number: self.change, since }).await;
    }

    /// It has been published.
    async fn end_wave(&mut self, cause: &str, since: Instant, now: Instant, sets: &[ChangeSet], published: &Published) {
        let snapshot = self.store.snapshot();
        let told = || {
            Live::Change(LiveChange {
                at_ms: now_ms(),
                change: self.change,
                cause: cause.to_owned(),
                generation: snapshot.generation().0,
                objects: sets.iter().map(|set| set.changes.len()).sum(),
                names: live::names(&snapshot, sets),
                users: published.changes.len(),
                examples: live::examples(&published.changes),
                waited_ms: millis(now.saturating_duration_since(since)),
                took_ms: millis(now.elapsed()),
                staging: self.staging,
            })
        };
        if self.staging {
            for user in live::examples(&published.changes) {
                info!("staging: {} would be sent: {}", user.aor, user.changes.join("; "));
            }
        }
        // Told first: the phones may have answered by the time that the notifier hears of the end.
        self.live.tell(told);
        self.publishing.send(Command::WaveEnd).await;
    }

    /// Notes what is held by now.
    fn look_at_holds(&mut self, now: Instant) {
        let Self { holds, store, publishing, .. } = self;
        let snapshot = store.snapshot();
        let news = holds.update(Held { quarantine: store.quarantine(), guard: &publishing.guard, snapshot: &snapshot }, timestamp());
        if !news.raised.is_empty() || !news.dissolved.is_empty() {
            self.saving.hurry();
            self.holds.say();
        }
        for id in news.dissolved {
            info!("the hold {id} is over: nothing of it is held any more");
            self.live.tell(|| Live::Over { at_ms: now_ms(), id });
        }
        if self.loaded.is_none() {
            self.again.watch(!self.holds.is_empty(), now);
        }
    }

    /// Says in the log what is held: at once, and again from time to time.
    fn tell_holds(&mut self, now: Instant) {
        if self.loaded.is_none() && self.holds.repeat(now) {
            for hold in self.list_holds() {
                let code = match hold.kind {
                    HoldKind::Objects => "guard.objects",
                    HoldKind::Users => "guard.users",
                };
                let examples = hold.examples.join("; ");
                self.live.tell(|| Live::Held { at_ms: now_ms(), hold: hold.clone() });
                warn!(code, hold = hold.id, count = hold.count, "held: {}, such as {examples}; {}", hold.what, hold.remedy);
            }
        }
    }

    fn list_holds(&self) -> Vec<Hold> {
        let snapshot = self.store.snapshot();
        self.holds.list(Held { quarantine: self.store.quarantine(), guard: &self.publishing.guard, snapshot: &snapshot })
    }

    async fn answer(&mut self, request: Request) {
        match request {
            Request::Holds(reply) => {
                let _ = reply.send(self.list_holds());
            }
            Request::Subscribed { from, reply } => self.publishing.send(Command::Subscribed { from, reply }).await,
            Request::Release { id, reply } => {
                let released = self.release(id.as_deref()).await;
                // Whoever asked may be gone; it is done all the same.
                let _ = reply.send(released);
            }
        }
    }

    /// Lets go what is held: this hold, or all. Gives what was released; nothing where there is no such hold.
    async fn release(&mut self, id: Option<&str>) -> Option<Vec<Hold>> {
        let kind = match id {
            Some(id) => Some(self.holds.kind(id)?),
            None => None,
        };
        let now = Instant::now();
        let released: Vec<Hold> = self.list_holds().into_iter().filter(|hold| kind.is_none_or(|kind| kind == hold.kind)).collect();
        if released.iter().any(|hold| hold.kind == HoldKind::Objects) {
            // What waits already is nobody's confirmation.
            self.flush(now, Trust::Guarded).await;
            let applied = self.store.release(timestamp());
            self.applied(applied, now);
            self.flush(now, Trust::Confirmed).await;
        }
        if released.iter().any(|hold| hold.kind == HoldKind::Users) {
            let snapshot = self.store.snapshot();
            self.begin_wave(now).await;
            let published = self.publishing.release(&snapshot).await;
            self.end_wave("released", now, now, &[], &published).await;
            self.saving.hurry();
        }
        for hold in &released {
            info!("the hold {} was released: {}", hold.id, hold.what);
        }
        self.look_at_holds(now);
        Some(released)
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = self.feed_faults.clone();
        faults.extend(self.store_faults.iter().cloned());
        faults.extend(self.publishing.faults());
        let snapshot = self.store.snapshot();
        faults.extend(self.guard.canaries.iter().filter(|dn| snapshot.find(dn).is_none()).map(no_canary));
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
}

/// The state of this moment. While something is held, nothing goes on from the list that hid it.
fn moment(store: &Store, publishing: &Publishing, holds: &Holds, again: &Again) -> Moment {
    let cookie = if holds.is_empty() { store.cookie().cloned() } else { again.cookie(store.cookie()) };
    Moment { snapshot: store.snapshot(), cookie, holds: holds.clone(), quarantine: store.quarantine().cloned(), kept: publishing.kept() }
}

/// A canary that is not there.
pub(super) fn no_canary(dn: &Dn) -> Fault {
    Fault {
        severity: Severity::Warning,
        code: "guard.canary",
        place: Place::Config { key: "guards.canaries".to_owned() },
        what: format!("there is no entry `{dn}`: no deletion that a list of the directory implies is believed"),
        remedy: "name an entry that is always there and that Dialcast's account reads".to_owned(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn timestamp() -> Timestamp {
    Timestamp(now_ms())
}
