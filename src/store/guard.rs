//! The guard of objects: a list that would make many of them vanish is not taken at its word.
//!
//! A permission loss, a size limit or a broken replica answers `success`, and a list looks like a mass deletion. What such a list does
//! not name is *quarantined*: it stays as it was, everything else of the list counts, and nothing goes on from the list's cookie.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use super::Snapshot;
use super::name::Name;
use super::refresh::Batch;
use crate::model::{Dn, ObjectId};

/// What a list must look like to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepGuard {
    /// Entries that are always there: where one is missing, so may be anything else.
    pub canaries: Vec<Dn>,
    /// This many objects may vanish at once, whatever their share.
    pub objects_min: usize,
    /// And this many of a hundred.
    pub objects_percent: u32,
}

impl Default for SweepGuard {
    fn default() -> Self {
        Self { canaries: Vec::new(), objects_min: 50, objects_percent: 5 }
    }
}

/// Why deletions are not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspicion {
    /// A canary is missing.
    Canary {
        /// Its name.
        dn: Dn,
    },
    /// A first list that tells only what changed since another, which was not used.
    Partial,
    /// Too many objects would vanish.
    Many {
        /// How many.
        vanished: usize,
        /// How many may.
        limit: usize,
    },
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canary { dn } => write!(f, "the canary {dn} is not in the directory's list"),
            Self::Partial => f.write_str("the directory tells only what changed since a list that was not used"),
            Self::Many { vanished, limit } => {
                write!(f, "{vanished} objects vanished from the directory's list, and {limit} may at once")
            }
        }
    }
}

/// Objects that stay as they were, although the directory does not name them any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// Why.
    pub why: Suspicion,
    /// Which. Of some the directory may have said since that they are there, but not what they are like.
    pub objects: BTreeSet<ObjectId>,
}

impl Quarantine {
    /// The same of some of the objects; nothing of none.
    pub(super) fn only(mut self, is_held: impl Fn(ObjectId) -> bool) -> Option<Self> {
        self.objects.retain(|id| is_held(*id));
        (!self.objects.is_empty()).then_some(self)
    }
}

/// What is thought of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is believed.
    Believed,
    /// Its deletions are not; the batch spares these.
    Held(Quarantine),
    /// It is not used at all.
    Refused(Suspicion),
}

impl SweepGuard {
    /// Judges a list against the state that it is to change, and spares in it what is held.
    pub(super) fn judge(&self, batch: &mut Batch, live: &Snapshot, before: Option<&Quarantine>) -> Verdict {
        if !live.complete {
            // There is nothing to compare with, and nothing to lose.
            let is_listed = |canary: &&Dn| batch.entries.iter().any(|entry| entry.dn == **canary);
            let missing = self.canaries.iter().find(|canary| !is_listed(canary));
            return missing.map_or(Verdict::Believed, |canary| Verdict::Refused(Suspicion::Canary { dn: canary.clone() }));
        }
        let told: BTreeSet<ObjectId> = batch.entries.iter().map(|entry| entry.id).collect();
        let doomed = batch.doomed(&live.tree, &told);
        let is_real = |id: &ObjectId| live.get(*id).is_some_and(|object| !object.glue);
        let quarantined = |id: &ObjectId| before.is_some_and(|before| before.objects.contains(id));
        if doomed.is_empty() {
            batch.doomed = Some(doomed);
            return Verdict::Believed;
        }
        let names: HashSet<Name> = batch.entries.iter().map(|entry| Name::of(&entry.dn)).collect();
        let is_seen = |canary: &&Dn| {
            let name = Name::of(canary);
            names.contains(&name)
                || live.tree.find(&name).filter(is_real).is_some_and(|id| told.contains(&id) || !doomed.contains(&id) && !quarantined(&id))
        };
        let missing = self.canaries.iter().find(|canary| !is_seen(canary));
        // Told once more that it is gone: that is no list's silence.
        let confirmed = batch.below(&live.tree, batch.gone.iter().copied().filter(|id| quarantined(id)));
        // Another entry has the name now: the place can be read, and what stood there was made anew.
        let is_replaced = |id: &ObjectId| live.dn(*id).is_some_and(|dn| names.contains(&Name::of(&dn)));
        let vanished: BTreeSet<ObjectId> =
            doomed.iter().copied().filter(|id| is_real(id) && !confirmed.contains(id) && !is_replaced(id)).collect();
        let limit = self.limit(live.len());
        let why = match missing {
            Some(canary) => Suspicion::Canary { dn: canary.clone() },
            None => Suspicion::Many { vanished: vanished.len(), limit },
        };
        if vanished.is_empty() || missing.is_none() && vanished.len() <= limit {
            batch.doomed = Some(doomed);
            return Verdict::Believed;
        }
        // Glue goes or stays with what it holds.
        let spared = |id: &ObjectId| vanished.contains(id) || !is_real(id);
        let (kept, doomed) = doomed.into_iter().partition(spared);
        batch.kept.extend::<BTreeSet<ObjectId>>(kept);
        batch.doomed = Some(doomed);
        Verdict::Held(Quarantine { why, objects: vanished })
    }

    /// The canary at or below an object.
    pub(super) fn canary_below(&self, live: &Snapshot, id: ObjectId) -> Option<&Dn> {
        let is_below = |canary: &&Dn| live.find(canary).is_some_and(|found| live.is_within(found, id));
        self.canaries.iter().find(is_below)
    }

    fn limit(&self, known: usize) -> usize {
        let share = u64::try_from(known).unwrap_or(u64::MAX).saturating_mul(self.objects_percent.into()) / 100;
        self.objects_min.max(usize::try_from(share).unwrap_or(usize::MAX))
    }
}
