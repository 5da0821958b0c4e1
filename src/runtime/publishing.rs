//! From settings to phones: what changed for users passes the guard, is rendered, and goes to the notifier.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::{debug, info};

use super::credentials::CredentialBook;
use super::kept::{self, Kept, KeptUsers, SavedDocuments};
use super::notifying::Command;
use super::placing::Placing;
use crate::document::{Document, Profile, Renderer};
use crate::model::{Aor, Fault, Resource, Spot};
use crate::policy::{Answer, Engine, Guard, Resolved, UserChange};
use crate::store::{Change, ChangeSet, Snapshot};
use crate::subscription::Ask;

/// Documents in one message to the notifier: it answers phones between two of them.
const PUBLISH_MAX: usize = 256;

/// Whether changes are looked at by the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// They are.
    Guarded,
    /// Somebody has said that they are meant.
    Confirmed,
}

/// What a round of changes came to.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// Users whose settings were looked at.
    pub(super) examined: usize,
    /// Users with a new document.
    pub(super) users: usize,
    /// Documents for places that differ.
    pub(super) places: usize,
    /// What passed.
    pub(super) changes: Vec<UserChange>,
}

/// Knows every user's settings, and what of them phones have.
pub(super) struct Publishing {
    pub(super) engine: Engine,
    pub(super) guard: Guard,
    renderer: Renderer,
    credentials: CredentialBook,
    notifier: mpsc::Sender<Command>,
    /// The last good documents of users who would have none: withheld, waiting or held.
    kept: HashMap<Aor, Kept>,
    /// The addresses last told to the notifier as withheld.
    withheld: HashSet<Aor>,
    placing: Placing,
}

impl Publishing {
    pub(super) fn new(engine: Engine, guard: Guard, credentials: CredentialBook, notifier: mpsc::Sender<Command>) -> Self {
        Self {
            engine,
            guard,
            renderer: Renderer::new(),
            credentials,
            notifier,
            kept: HashMap::new(),
            withheld: HashSet::new(),
            placing: Placing::default(),
        }
    }

    /// Takes over what another run kept.
    pub(super) fn restore(&mut self, now: Instant, saved: SavedDocuments) {
        self.kept = saved.restore(now, &mut self.guard);
    }

    /// What is to be kept together with the state.
    pub(super) fn kept(&self) -> KeptUsers {
        let detained: HashMap<&Aor, _> = self.guard.detained().map(|(aor, d)| (aor, (d.loss, d.had, d.is_held))).collect();
        let mut users: Vec<_> = self.kept.iter().map(|(aor, kept)| (aor.clone(), kept.clone(), detained.get(aor).copied())).collect();
        users.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
        KeptUsers(users)
    }

    /// The first complete state: everything is resolved and published.
    pub(super) async fn load(&mut self, now: Instant, snapshot: &Snapshot) -> Published {
        let mut outcome = tokio::task::block_in_place(|| self.engine.load_by_parts(snapshot));
        let total = outcome.later.len();
        let mut published = self.publish(now, snapshot, outcome.users, outcome.examined, Trust::Guarded).await;
        while let Some(part) = tokio::task::block_in_place(|| self.engine.part(&mut outcome.later)) {
            published.users += self.publish(now, snapshot, part, 0, Trust::Guarded).await.users;
            if !outcome.later.is_empty() {
                info!("{} of {total} users have their documents", total - outcome.later.len());
            }
        }
        self.serve_kept(snapshot).await;
        self.place(outcome.answers).await;
        published
    }

    /// Changes of the directory.
    pub(super) async fn update(&mut self, now: Instant, snapshot: &Snapshot, changes: &[ChangeSet], trust: Trust) -> Published {
        let outcome = tokio::task::block_in_place(|| self.engine.update(snapshot, changes));
        for change in changes.iter().flat_map(|set| &set.changes) {
            if let Change::Added(after) | Change::Modified { after, .. } | Change::Moved { after, .. } = change {
                self.credentials.refresh(after);
            }
        }
        let places = outcome.answers.len();
        let published = self.publish(now, snapshot, outcome.users, outcome.examined, trust).await;
        self.place(outcome.answers).await;
        Published { places, ..published }
    }

    /// Changes that have waited long enough.
    pub(super) async fn settle(&mut self, now: Instant, snapshot: &Snapshot) -> Published {
        let changes = self.guard.settle(now, || self.engine.published());
        let published = self.pass(snapshot, changes, 0).await;
        self.place(Vec::new()).await;
        published
    }

    /// Changes of users that were held, and are meant.
    pub(super) async fn release(&mut self, snapshot: &Snapshot) -> Published {
        let changes = self.guard.release();
        let published = self.pass(snapshot, changes, 0).await;
        self.place(Vec::new()).await;
        published
    }

    async fn publish(&mut self, now: Instant, snapshot: &Snapshot, changes: Vec<UserChange>, examined: usize, trust: Trust) -> Published {
        let last = |change: &UserChange| Some((change.aor()?.clone(), Arc::clone(change.before()?), has_last_answers(change)));
        let pass = match trust {
            Trust::Guarded => {
                let lasts: Vec<(Aor, Arc<Resolved>, bool)> = changes.iter().filter_map(last).collect();
                let judged = self.guard.judge(now, changes, || self.engine.published());
                for (aor, before, with_answers) in lasts {
                    if self.guard.is_detained(&aor) {
                        self.keep(aor, &before, with_answers);
                    }
                }
                judged
            }
            Trust::Confirmed => self.guard.confirm(changes),
        };
        let engine = &self.engine;
        self.guard.reconcile(|aor| engine.user_by_aor(aor).is_some());
        self.pass(snapshot, pass, examined).await
    }

    /// Notes the last good settings of an address that is to have none.
    fn keep(&mut self, aor: Aor, before: &Arc<Resolved>, with_answers: bool) {
        if !self.kept.contains_key(&aor) {
            let password = self.credentials.password(&aor);
            let answers = if with_answers { self.engine.answers(&Resource::User(aor.clone())) } else { Vec::new() };
            self.kept.insert(aor, Kept::of(before, answers, password));
        }
    }

    /// What passes is rendered and handed over.
    async fn pass(&mut self, snapshot: &Snapshot, changes: Vec<UserChange>, examined: usize) -> Published {
        let mut gone: Vec<Aor> = Vec::new();
        let mut disabled: Vec<&Arc<Resolved>> = Vec::new();
        let mut resolved: Vec<&Arc<Resolved>> = Vec::new();
        for change in &changes {
            match change {
                UserChange::Resolved { now, .. } => resolved.push(now),
                UserChange::Disabled { now, .. } => disabled.push(now),
                UserChange::Withheld { user, why, before } => {
                    debug!(%user, "withheld: the last good document stays");
                    if let (Some(aor), Some(before)) = (why.own_address(), before) {
                        self.keep(aor.clone(), before, true);
                    }
                }
                UserChange::Gone { aor, .. } => gone.push(aor.clone()),
            }
        }
        // Withdrawn first: an address that passed to another entry ends as a publication.
        for aor in &gone {
            self.credentials.remove(aor);
        }
        for user in disabled.iter().chain(&resolved) {
            self.credentials.put(snapshot, user);
        }
        let withheld: HashSet<Aor> = self.engine.withheld().filter_map(|(_, why)| why.own_address()).cloned().collect();
        if !self.kept.is_empty() {
            let guard = &self.guard;
            self.kept.retain(|aor, _| withheld.contains(aor) || guard.is_detained(aor));
        }
        for some in gone.chunks(PUBLISH_MAX) {
            let farewells = some.iter().map(|aor| (aor.clone(), empty(&mut self.renderer, aor))).collect();
            self.send(Command::Withdraw(farewells)).await;
        }
        self.tell_credentials().await;
        if withheld != self.withheld {
            self.withheld.clone_from(&withheld);
            self.send(Command::Withhold(withheld)).await;
        }
        let users = resolved.len() + disabled.len();
        for users in disabled.chunks(PUBLISH_MAX) {
            let documents = users.iter().map(|user| (user.aor.clone(), empty(&mut self.renderer, &user.aor))).collect();
            self.send(Command::Publish(documents)).await;
        }
        for users in resolved.chunks(PUBLISH_MAX) {
            let Self { renderer, .. } = self;
            let all =
                users.iter().flat_map(|user| kept::documents(renderer, user).into_iter().map(|document| (user.aor.clone(), document)));
            let documents = all.collect();
            self.send(Command::Publish(documents)).await;
        }
        Published { examined, users, places: 0, changes }
    }

    /// After a restart: who is withheld, waiting or held has the documents of the last run.
    async fn serve_kept(&mut self, snapshot: &Snapshot) {
        let mut documents: Vec<(Aor, Document)> = Vec::new();
        let Self { kept, credentials, renderer, .. } = self;
        for (aor, kept) in kept.iter() {
            credentials.keep(snapshot, aor, kept);
            documents.extend(kept.documents(renderer).into_iter().map(|document| (aor.clone(), document)));
        }
        self.tell_credentials().await;
        for some in documents.chunks(PUBLISH_MAX) {
            self.send(Command::Publish(some.to_vec())).await;
        }
    }

    /// What the notifier asks of documents for places.
    pub(super) async fn answer(&mut self, asks: impl Iterator<Item = Ask>) {
        let Self { placing, engine, renderer, guard, kept, .. } = self;
        let asks: Vec<Ask> = asks.collect();
        let mut documents = placing.answer(engine, renderer, asks.iter().cloned(), |aor| guard.is_detained(aor));
        // Who would have none has the last good one.
        for ask in asks {
            let Ask::Want(resource, spot) = ask else { continue };
            let Resource::User(aor) = &resource else { continue };
            if let Some(kept) = kept.get(aor)
                && !documents.iter().any(|(told, at, _)| *told == resource && *at == spot)
                && let Some(document) = kept.document_at(renderer, spot)
            {
                documents.push((resource, spot, document));
            }
        }
        if !documents.is_empty() {
            self.send(Command::PublishAt(documents)).await;
        }
    }

    /// Tells what changed for places.
    async fn place(&mut self, answers: Vec<(Resource, Spot, Answer)>) {
        let Self { placing, engine, renderer, guard, .. } = self;
        for command in placing.commands(engine, renderer, answers, |aor| guard.is_detained(aor)) {
            self.send(command).await;
        }
    }

    async fn tell_credentials(&mut self) {
        if let Some(credentials) = tokio::task::block_in_place(|| self.credentials.changed()) {
            self.send(Command::Credentials(credentials)).await;
        }
    }

    pub(super) async fn send(&self, command: Command) {
        if self.notifier.send(command).await.is_err() {
            debug!("the notifier has stopped");
        }
    }

    /// Whether nobody takes what is published any more.
    pub(super) fn is_over(&self) -> bool {
        self.notifier.is_closed()
    }

    /// What is wrong with users and their secrets.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = self.engine.faults();
        faults.extend(self.credentials.faults());
        faults
    }
}

/// Whether the engine still has the last good answers for spots: it tells nothing new of who is gone or has no registrar. Who is disabled, or
/// has lost his numbers, has new ones already.
const fn has_last_answers(change: &UserChange) -> bool {
    matches!(change, UserChange::Gone { .. } | UserChange::Withheld { .. })
}

/// The explicit empty profile of an address: every scope, and no setting.
pub(super) fn empty(renderer: &mut Renderer, aor: &Aor) -> Document {
    renderer.plain(&Profile::new(aor.clone(), []))
}
