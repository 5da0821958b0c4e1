//! Which entries were told, and which version of each: what a list of ids and versions is compared with.
//!
//! No server tells everything. A right that is lost and given back, a backup, a crash, a changelog that was trimmed: all of them
//! lose changes without a word. So on a schedule the server is asked for every id with its version, which is a small part of the
//! directory, and whatever differs from the ledger is read again. Pure: no network and no time.

use std::collections::{BTreeMap, HashSet};

use crate::model::ObjectId;

/// A version that is not known: the entry came with the state of an earlier run.
const UNKNOWN: u64 = 0;

/// Set in the number of a version that the entry's next change may bear too, in the same second: it has to be read once more
/// when that second is over.
pub(super) const YOUNG: u64 = 1;

/// Set in the number of a version that was told of an entry which has nothing below it, by its kind.
pub(super) const LEAF: u64 = 2;

/// What was told, in about forty octets an entry.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    known: BTreeMap<ObjectId, u64>,
    /// Whether `known` has every id that the receiver has.
    primed: bool,
    /// Whether the versions are of entries told, not found in a list: a complete list was told since the start.
    trusted: bool,
    refresh: Option<Refresh>,
    /// What was told since somebody began to watch; nothing when nobody does.
    watched: Option<Watched>,
}

/// What was told while something else was read.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Entries that were told, or told to be gone.
    pub(super) touched: HashSet<ObjectId>,
    /// Whether one of them may have others below it: their names may be others now, without their being told.
    pub(super) names: bool,
}

/// A refresh that may yet be forgotten.
#[derive(Debug)]
struct Refresh {
    /// Whether it is the whole content.
    full: bool,
    /// Named with this version, or gone.
    named: BTreeMap<ObjectId, Option<u64>>,
}

/// What a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Differences {
    /// Listed, and not told like this.
    pub(super) stale: Vec<ObjectId>,
    /// Told, and not listed.
    pub(super) missing: Vec<ObjectId>,
}

/// What is known of a listed entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was told like this.
    Same,
    /// It has to be read.
    Stale,
    /// Nothing is known of what was told.
    Unprimed,
}

impl Ledger {
    /// The receiver has these entries.
    pub(super) fn prime(&mut self, ids: impl IntoIterator<Item = ObjectId>) {
        self.known = ids.into_iter().map(|id| (id, UNKNOWN)).collect();
        self.primed = true;
        self.trusted = false;
    }

    /// All is to be read again.
    pub(super) const fn distrust(&mut self) {
        self.trusted = false;
    }

    /// A refresh begins; what the one before named is forgotten when it did not end.
    pub(super) fn begin(&mut self, full: bool) {
        self.refresh = Some(Refresh { full, named: BTreeMap::new() });
    }

    /// The entry was told with this version.
    pub(super) fn told(&mut self, id: ObjectId, version: u64) {
        if let Some(watched) = &mut self.watched {
            watched.touched.insert(id);
        }
        match &mut self.refresh {
            Some(refresh) => drop(refresh.named.insert(id, Some(version))),
            None => drop(self.known.insert(id, version)),
        }
    }

    /// In a refresh: the entry is there as it was told before.
    pub(super) fn kept(&mut self, id: ObjectId) {
        let version = self.known.get(&id).copied();
        if let (Some(refresh), Some(version)) = (&mut self.refresh, version) {
            refresh.named.entry(id).or_insert(Some(version)).get_or_insert(version);
        }
    }

    /// The entry was told to be gone.
    pub(super) fn gone(&mut self, id: ObjectId) {
        let is_leaf = self.is_leaf(id);
        if let Some(watched) = &mut self.watched {
            watched.touched.insert(id);
            watched.names |= !is_leaf;
        }
        match &mut self.refresh {
            Some(refresh) => drop(refresh.named.insert(id, None)),
            None => drop(self.known.remove(&id)),
        }
    }

    /// The refresh is complete; `sweep`: what it did not name is gone.
    pub(super) fn complete(&mut self, sweep: bool) {
        let Some(refresh) = self.refresh.take() else { return };
        if refresh.full || sweep {
            self.known = refresh.named.into_iter().filter_map(|(id, version)| version.map(|version| (id, version))).collect();
        } else {
            for (id, version) in refresh.named {
                match version {
                    Some(version) => drop(self.known.insert(id, version)),
                    None => drop(self.known.remove(&id)),
                }
            }
        }
        if refresh.full {
            self.primed = true;
            self.trusted = true;
        }
    }

    /// Whether it has every entry that the receiver has.
    pub(super) const fn is_primed(&self) -> bool {
        self.primed
    }

    /// Whether the versions are of entries that were told: where not, a comparison proves nothing.
    pub(super) const fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Whether the entry was told, and not to be gone since.
    pub(super) fn knows(&self, id: ObjectId) -> bool {
        let named = self.refresh.as_ref().and_then(|refresh| refresh.named.get(&id));
        named.map_or_else(|| self.known.contains_key(&id), Option::is_some)
    }

    /// Whether the entry was told in just this version.
    pub(super) fn is_told(&self, id: ObjectId, version: u64) -> bool {
        let named = self.refresh.as_ref().and_then(|refresh| refresh.named.get(&id)).copied();
        let known = named.unwrap_or_else(|| self.known.get(&id).copied());
        known.is_some_and(|known| known != UNKNOWN && is_same(known, version))
    }

    /// Whether nothing went with the entry when it went, by its kind.
    pub(super) fn is_leaf(&self, id: ObjectId) -> bool {
        self.known.get(&id).is_some_and(|known| known & LEAF != 0)
    }

    /// What is known of an entry that is listed with this version. A version that was not known is taken over.
    pub(super) fn standing(&mut self, id: ObjectId, version: u64) -> Standing {
        if !self.primed {
            return Standing::Unprimed;
        }
        let named = self.refresh.as_mut().and_then(|refresh| refresh.named.get_mut(&id)).and_then(Option::as_mut);
        match named.or_else(|| self.known.get_mut(&id)) {
            Some(known) if *known == UNKNOWN => {
                *known = version;
                Standing::Same
            }
            Some(known) if is_same(*known, version) => Standing::Same,
            _ => Standing::Stale,
        }
    }

    /// What differs from a list of everything that is there.
    pub(super) fn compare(&self, listed: &mut [(ObjectId, u64)]) -> Differences {
        listed.sort_unstable();
        let mut differences = Differences::default();
        let mut known = self.known.iter().peekable();
        for (id, version) in listed.iter() {
            while let Some((missing, _)) = known.next_if(|(other, _)| *other < id) {
                differences.missing.push(*missing);
            }
            if known.next_if(|(other, known)| *other == id && is_same(**known, *version)).is_none() {
                known.next_if(|(other, _)| *other == id);
                differences.stale.push(*id);
            }
        }
        differences.missing.extend(known.map(|(id, _)| *id));
        differences
    }

    /// Notes what is told from now on, until [`Self::watched`] is asked.
    pub(super) fn watch(&mut self) {
        self.watched = Some(Watched::default());
    }

    /// An entry was told that may have others below it.
    pub(super) fn names_changed(&mut self) {
        if let Some(watched) = &mut self.watched {
            watched.names = true;
        }
    }

    /// What was told since [`Self::watch`].
    pub(super) fn watched(&mut self) -> Watched {
        self.watched.take().unwrap_or_default()
    }

    /// Every entry that was told.
    pub(super) fn ids(&self) -> impl Iterator<Item = ObjectId> {
        self.known.keys().copied()
    }
}

/// Whether an entry that was told with one version need not be read, when it is listed with the other.
const fn is_same(known: u64, listed: u64) -> bool {
    const MARKS: u64 = YOUNG | LEAF;
    known | MARKS == listed | MARKS && (known & YOUNG == 0 || listed & YOUNG != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> ObjectId {
        ObjectId::from_bytes([n; 16])
    }

    fn listed(entries: &[(u8, u64)]) -> Vec<(ObjectId, u64)> {
        entries.iter().map(|(n, version)| (id(*n), *version)).collect()
    }

    fn full(entries: &[(u8, u64)]) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.begin(true);
        for (n, version) in entries {
            ledger.told(id(*n), *version);
        }
        ledger.complete(true);
        ledger
    }

    #[test]
    fn what_differs() {
        let ledger = full(&[(1, 16), (2, 16), (4, 16), (5, 16)]);
        let differences = ledger.compare(&mut listed(&[(4, 16), (3, 16), (2, 20)]));
        assert_eq!(differences, Differences { stale: vec![id(2), id(3)], missing: vec![id(1), id(5)] });
        assert_eq!(ledger.compare(&mut listed(&[(1, 16), (2, 16), (4, 16), (5, 16)])), Differences::default());
    }

    #[test]
    fn a_refresh_that_breaks_off_is_forgotten() {
        let mut ledger = full(&[(1, 16), (2, 16)]);
        ledger.begin(false);
        ledger.told(id(1), 20);
        ledger.gone(id(2));
        assert!(ledger.knows(id(1)) && !ledger.knows(id(2)));
        ledger.begin(false);
        ledger.kept(id(1));
        ledger.complete(false);
        assert_eq!(ledger.compare(&mut listed(&[(1, 16), (2, 16)])), Differences::default());
        // With a sweep, what is not named goes.
        ledger.begin(false);
        ledger.kept(id(1));
        ledger.complete(true);
        assert_eq!(ledger.ids().collect::<Vec<_>>(), [id(1)]);
    }

    #[test]
    fn what_came_from_an_earlier_run() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.standing(id(1), 16), Standing::Unprimed);
        ledger.prime([id(1)]);
        assert_eq!((ledger.standing(id(1), 16), ledger.standing(id(1), 20)), (Standing::Same, Standing::Stale));
        assert_eq!(ledger.standing(id(2), 16), Standing::Stale);
        assert!(!ledger.is_trusted());
        assert!(full(&[]).is_trusted());
    }

    #[test]
    fn a_second_that_is_not_over() {
        // The same version, told while its second may not have been over.
        let (old, young, other) = (16, 16 + YOUNG, 20 + YOUNG);
        let ledger = full(&[(1, young), (2, old), (3, old)]);
        assert_eq!(ledger.compare(&mut listed(&[(1, young), (2, old), (3, old)])).stale, []);
        assert_eq!(ledger.compare(&mut listed(&[(1, old), (2, old), (3, other)])).stale, [id(1), id(3)]);
    }

    #[test]
    fn what_was_told_meanwhile() {
        let mut ledger = full(&[(1, 16 + LEAF), (2, 16)]);
        ledger.watch();
        ledger.told(id(3), 16 + LEAF);
        ledger.gone(id(1));
        let watched = ledger.watched();
        assert_eq!((watched.touched, watched.names), ([id(1), id(3)].into(), false));
        // What may have had others below it.
        ledger.watch();
        ledger.gone(id(2));
        assert!(ledger.watched().names);
        ledger.watch();
        ledger.names_changed();
        assert!(ledger.watched().names);
        assert!(!ledger.watched().names);
    }

    proptest! {
        #[test]
        fn as_sets_have_it(told in prop::collection::btree_map(0..20u8, 1..4u64, 0..20), list in prop::collection::btree_map(0..20u8, 1..4u64, 0..20)) {
            let even = |entries: BTreeMap<u8, u64>| entries.into_iter().map(|(n, version)| (n, version * 4)).collect();
            let (told, list): (BTreeMap<u8, u64>, BTreeMap<u8, u64>) = (even(told), even(list));
            let ledger = full(&told.clone().into_iter().collect::<Vec<_>>());
            let found = ledger.compare(&mut listed(&list.clone().into_iter().collect::<Vec<_>>()));
            let stale: Vec<ObjectId> = list.iter().filter(|(n, version)| told.get(n) != Some(version)).map(|(n, _)| id(*n)).collect();
            let missing: Vec<ObjectId> = told.keys().filter(|n| !list.contains_key(n)).map(|n| id(*n)).collect();
            prop_assert_eq!(found, Differences { stale, missing });
        }
    }
}
