//! The one writer.

use std::collections::{BTreeMap, BTreeSet};

use super::guard::{Quarantine, Suspicion, SweepGuard, Verdict};
use super::refresh::{Batch, Refresh};
use super::{ChangeSet, Snapshot, membership, whole};
use crate::directory::{Cookie, Entry, Event};
use crate::model::{Fault, Names, ObjectId, Place, Severity, Timestamp};

/// The tree's only writer: takes a feed's events, gives snapshots and change sets.
///
/// A refresh (`Init` … `InitDone`) is built aside; readers keep the last good state until it is complete, and the change
/// set at its end tells only what really differs. The rules for single events:
///
/// - `Apply` puts the entry where its DN says. An entry that is there already, like this, changes nothing. An entry whose
///   DN lies below itself is refused with a fault: it can only come of a feed that lost something.
/// - `Delete` takes the entry and **everything that hangs below it**: no directory deletes an entry that has children, so it is
///   either a leaf, or the top of a subtree that was removed or left the scope as a whole, and then nobody tells the children.
///   Entries that moved out before were told before, and are no longer below.
/// - In a refresh `Delete` takes what hung below too, except entries that the refresh names. With `sweep`, whatever the
///   refresh did not name goes, and nothing else; an entry kept below one that went hangs below glue.
/// - With a guard ([`Store::guarded`]) what a list would make vanish may be quarantined instead. A quarantined object stays as it
///   was until it is told again, until it is said to be gone by itself, or until [`Store::release`].
#[derive(Debug, Default)]
pub struct Store {
    live: Snapshot,
    refresh: Option<Refresh>,
    guard: Option<SweepGuard>,
    quarantine: Option<Quarantine>,
    cookie: Option<Cookie>,
    /// The names of attributes, shared by all entries. There are as many as the schema has, and feeds ask for few.
    names: Names,
}

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// What really differs now; `None` when nothing does.
    pub changes: Option<ChangeSet>,
    /// The cookie that now describes the state, when the event brought one: to be kept together with the state.
    pub checkpoint: Option<Cookie>,
    /// What was wrong with the event.
    pub faults: Vec<Fault>,
    /// A first list that was not believed, and why: still nothing is known.
    pub refused: Option<Suspicion>,
}

/// The most faults that one event reports: a list of a million wrong entries must not become a million messages.
const FAULTS_MAX: usize = 1_000;

impl Store {
    /// An empty, incomplete store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that goes on from a saved state.
    pub fn resume(snapshot: Snapshot, cookie: Option<Cookie>) -> Self {
        Self { live: snapshot, cookie, ..Self::default() }
    }

    /// The same store, which does not take every list at its word.
    #[must_use]
    pub fn guarded(self, guard: SweepGuard, quarantine: Option<Quarantine>) -> Self {
        let quarantine = quarantine.and_then(|held| held.only(|id| self.live.get(id).is_some()));
        Self { guard: Some(guard), quarantine, ..self }
    }

    /// What stays although the directory does not name it.
    pub const fn quarantine(&self) -> Option<&Quarantine> {
        self.quarantine.as_ref()
    }

    /// Lets everything go that is quarantined, except what was told since and hangs below.
    pub fn release(&mut self, at: Timestamp) -> Applied {
        let Some(Quarantine { objects, .. }) = self.quarantine.take() else { return Applied::default() };
        let below = objects.iter().flat_map(|id| self.live.subtree(*id)).filter(|object| !object.glue).map(|object| object.id);
        let kept = below.filter(|id| !objects.contains(id)).collect();
        self.merge(Batch { gone: objects.into_iter().collect(), kept, ..Batch::default() }, at)
    }

    /// The state now. Until the first refresh is complete it is empty, and says that it is incomplete.
    pub fn snapshot(&self) -> Snapshot {
        self.live.clone()
    }

    /// The last cookie that describes the state or an earlier one; `None` also after a refresh that ended without one. A
    /// feed that goes on from it tells again what came since, which changes nothing.
    pub fn cookie(&self) -> Option<&Cookie> {
        self.cookie.as_ref()
    }

    /// Takes one event. `at` is the time of the change, for people.
    pub fn apply(&mut self, event: Event, at: Timestamp) -> Applied {
        if !self.live.complete && self.refresh.is_none() && matches!(event, Event::Apply(_) | Event::Delete(_)) {
            // Nothing is known yet: whatever a feed tells before its first list belongs to the list.
            self.refresh = Some(Refresh::default());
        }
        match (event, &mut self.refresh) {
            (Event::Apply(entry) | Event::InitApply(entry), _) if entry.dn.is_empty() => {
                Applied { faults: vec![nameless(entry.id)], ..Applied::default() }
            }
            (Event::Init, refresh) => {
                *refresh = Some(Refresh::default());
                Applied::default()
            }
            (Event::InitDone { sweep, cookie }, refresh) => match refresh.take() {
                Some(refresh) => self.finish(refresh, sweep, cookie, at),
                // A list that never began names nothing: taking it at its word would delete everything.
                None => Applied { faults: vec![out_of_order("the end of a list that did not begin")], ..Applied::default() },
            },
            (Event::Apply(entry) | Event::InitApply(entry), Some(refresh)) => {
                refresh.apply(entry, &mut self.names);
                Applied::default()
            }
            (Event::InitKeep(id), Some(refresh)) => {
                refresh.keep(id);
                Applied::default()
            }
            (Event::Delete(id), Some(refresh)) => {
                refresh.delete(id);
                Applied::default()
            }
            // A cookie in the middle of a list describes no state; outside of a list, unchanged is no news.
            (Event::Checkpoint(_), Some(_)) | (Event::InitKeep(_), None) => Applied::default(),
            (Event::Apply(entry) | Event::InitApply(entry), None) => self.one(entry, at),
            (Event::Delete(id), None) => self.delete(id, at),
            (Event::Checkpoint(cookie), None) => {
                self.cookie = Some(cookie.clone());
                Applied { checkpoint: Some(cookie), ..Applied::default() }
            }
        }
    }

    fn one(&mut self, entry: Entry, at: Timestamp) -> Applied {
        if let Some(own) = self.live.dn(entry.id)
            && entry.dn != own
            && entry.dn.is_within(&own)
        {
            let fault = Fault {
                severity: Severity::Error,
                code: "store.cycle",
                place: Place::Object { id: entry.id, dn: own, attribute: None },
                what: format!("the directory says that it moved below itself, to {}", entry.dn),
                remedy: "a change was lost; the entry stays where it is until the next complete list: restart dialcast if it does not heal"
                    .to_owned(),
            };
            return Applied { faults: vec![fault], ..Applied::default() };
        }
        self.told(&BTreeSet::from([entry.id]));
        self.merge(Batch { entries: vec![entry], ..Batch::default() }, at)
    }

    /// A live deletion counts, also of what is quarantined; but a canary does not go just so.
    fn delete(&mut self, id: ObjectId, at: Timestamp) -> Applied {
        if let Some(dn) = self.guard.as_ref().and_then(|guard| guard.canary_below(&self.live, id)) {
            let why = Suspicion::Canary { dn: dn.clone() };
            let objects = self.live.subtree(id).filter(|object| !object.glue).map(|object| object.id).collect();
            self.hold(Quarantine { why, objects });
            return Applied::default();
        }
        if self.quarantine.is_some() {
            let gone: BTreeSet<ObjectId> = self.live.subtree(id).map(|object| object.id).collect();
            self.told(&gone);
        }
        self.merge(Batch { gone: vec![id], ..Batch::default() }, at)
    }

    /// These were told, one way or the other.
    fn told(&mut self, ids: &BTreeSet<ObjectId>) {
        self.quarantine = self.quarantine.take().and_then(|held| held.only(|id| !ids.contains(&id)));
    }

    fn hold(&mut self, more: Quarantine) {
        match &mut self.quarantine {
            Some(held) => {
                held.objects.extend(more.objects);
                held.why = more.why;
            }
            none => *none = Some(more),
        }
    }

    fn finish(&mut self, refresh: Refresh, sweep: bool, cookie: Option<Cookie>, at: Timestamp) -> Applied {
        let (mut batch, unknown) = refresh.into_batch(sweep, &self.live);
        if let Some(guard) = &self.guard {
            let is_whole = sweep && unknown.is_empty();
            if !self.live.complete && !is_whole {
                return Applied { refused: Some(Suspicion::Partial), ..Applied::default() };
            }
            let verdict = guard.judge(&mut batch, &self.live, self.quarantine.as_ref());
            if let Verdict::Refused(why) = verdict {
                return Applied { refused: Some(why), ..Applied::default() };
            }
            if self.quarantine.is_some() {
                let mut told: BTreeSet<ObjectId> = batch.entries.iter().map(|entry| entry.id).collect();
                told.extend(batch.doomed.iter().flatten());
                self.told(&told);
            }
            if let Verdict::Held(more) = verdict {
                self.hold(more);
            }
        }
        self.live.complete = true;
        self.cookie.clone_from(&cookie);
        let mut applied = Applied { checkpoint: cookie, ..self.merge(batch, at) };
        let room = FAULTS_MAX.saturating_sub(applied.faults.len());
        applied.faults.extend(unknown.into_iter().take(room).map(unheard_of));
        applied
    }

    /// Makes the next state of this one and a batch of what was told.
    fn merge(&mut self, batch: Batch, at: Timestamp) -> Applied {
        let before = self.live.clone();
        let batch = if batch.list && before.is_empty() {
            let generation = before.generation.next();
            match whole::of_list(batch, before.groups.renames + 1, generation, at) {
                Ok((state, changes)) => {
                    self.live = state;
                    return Applied { changes: Some(ChangeSet { generation, changes }), ..Applied::default() };
                }
                Err(batch) => batch,
            }
        } else {
            batch
        };
        let (work, told) = batch.apply(&mut self.live.tree, &mut self.names);
        let Snapshot { tree, groups, .. } = &mut self.live;
        let pairs = membership::update(&before, tree, groups, &work.touched, &told);
        // Only clashes that lasted: in a list, two entries that swapped names clash for a moment.
        let displaced = |state: &Snapshot, id: ObjectId| state.get(id).is_some_and(|object| object.displaced);
        let lasted = |(_, older): &&(ObjectId, ObjectId)| displaced(&self.live, *older) && !displaced(&before, *older);
        let clashes: BTreeMap<ObjectId, ObjectId> = work.clashes.iter().filter(lasted).map(|(newer, older)| (*older, *newer)).collect();
        let faults = clashes.into_iter().take(FAULTS_MAX).map(|(older, newer)| name_taken(&self.live, newer, older)).collect();
        Applied { changes: self.live.seal(&before, &work.touched, pairs, at), faults, ..Applied::default() }
    }
}

fn name_taken(state: &Snapshot, newer: ObjectId, older: ObjectId) -> Fault {
    let dn = state.dn(older).unwrap_or_default();
    Fault {
        severity: Severity::Warning,
        code: "store.name-taken",
        place: Place::Object { id: older, dn: dn.clone(), attribute: None },
        what: format!(
            "another entry with the same name arrived ({newer}); this one keeps its place and its settings, the name means the other"
        ),
        remedy: "rename or delete one of the two; if only one is in the directory, the next complete list heals it".to_owned(),
    }
}

fn unheard_of(id: ObjectId) -> Fault {
    Fault {
        severity: Severity::Error,
        code: "store.unknown",
        place: Place::Config { key: "directory".to_owned() },
        what: format!("the server says that the entry {id} did not change, but it was never told"),
        remedy: "remove the saved state, so that the next start reads everything".to_owned(),
    }
}

fn nameless(id: ObjectId) -> Fault {
    Fault {
        severity: Severity::Warning,
        code: "store.nameless",
        place: Place::Config { key: "directory.url".to_owned() },
        what: format!("the entry {id} has no name, and was skipped"),
        remedy: "it is the root DSE, which is no part of the tree: name a base DN in the URL".to_owned(),
    }
}

fn out_of_order(what: &str) -> Fault {
    Fault {
        severity: Severity::Error,
        code: "store.order",
        place: Place::Config { key: "directory".to_owned() },
        what: format!("the feed told {what}"),
        remedy: "this is a fault of dialcast's feed: report it with the log".to_owned(),
    }
}
