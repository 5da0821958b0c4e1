//! A complete list, gathered aside; and what was told, worked into a tree in an order that does not matter to the result.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::name::Name;
use super::place::Work;
use super::tree::Tree;
use super::{Object, Snapshot};
use crate::directory::Entry;
use crate::model::{Dn, Kind, Names, ObjectId, Rdn};

/// A refresh under way: the last that was told of each id, in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Refresh {
    told: HashMap<ObjectId, Told>,
    count: u64,
    /// The name of the entry before: siblings come one after the other, and share what is above.
    last: Dn,
}

#[derive(Debug)]
enum Told {
    Entry(u64, Box<Entry>),
    Kept,
    Gone,
}

/// What a step of the directory says, as one.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Entries as they are now, each id once, in the order of arrival.
    pub(crate) entries: Vec<Entry>,
    /// Objects that are gone, with what hung below.
    pub(crate) gone: Vec<ObjectId>,
    /// Objects that are there, unchanged.
    pub(crate) kept: BTreeSet<ObjectId>,
    /// Whether whatever is not named is gone.
    pub(crate) sweep: bool,
    /// Whether it comes of a refresh: the groups in it are read anew, equal or not.
    pub(crate) list: bool,
    /// Everything that goes, where that is decided already.
    pub(crate) doomed: Option<BTreeSet<ObjectId>>,
}

impl Refresh {
    pub(crate) fn apply(&mut self, mut entry: Entry, names: &mut Names) {
        entry.attributes.share(names);
        self.count += 1;
        entry.dn = share_above(entry.dn, &self.last);
        self.last.clone_from(&entry.dn);
        self.told.insert(entry.id, Told::Entry(self.count, Box::new(entry)));
    }

    pub(crate) fn keep(&mut self, id: ObjectId) {
        let told = self.told.entry(id).or_insert(Told::Kept);
        if matches!(told, Told::Gone) {
            *told = Told::Kept;
        }
    }

    pub(crate) fn delete(&mut self, id: ObjectId) {
        self.told.insert(id, Told::Gone);
    }

    /// What the list says, and the ids that it calls unchanged although nobody knows them.
    pub(crate) fn into_batch(self, sweep: bool, live: &Snapshot) -> (Batch, Vec<ObjectId>) {
        let mut batch = Batch { sweep, list: true, ..Batch::default() };
        let mut unknown = Vec::new();
        let mut entries = Vec::new();
        for (id, told) in self.told {
            match told {
                Told::Entry(count, entry) => entries.push((count, entry)),
                Told::Kept if live.get(id).is_some() => drop(batch.kept.insert(id)),
                Told::Kept => unknown.push(id),
                Told::Gone => batch.gone.push(id),
            }
        }
        entries.sort_unstable_by_key(|(count, _)| *count);
        batch.gone.sort_unstable();
        unknown.sort_unstable();
        batch.entries = entries.into_iter().map(|(_, entry)| *entry).collect();
        (batch, unknown)
    }
}

impl Batch {
    /// Works the batch into a tree. Returns what was touched, and which objects were told as part of a list.
    ///
    /// The order: what is gone goes; what moves is taken out, so that no stale name is found; then the entries are placed from
    /// the top down, so that each finds its parent. Whatever is not told stays with its parent, by id. `names` are the
    /// attribute names that all entries share.
    pub(crate) fn apply(mut self, tree: &mut Tree, names: &mut Names) -> (Work, BTreeSet<ObjectId>) {
        let mut work = Work::default();
        let old = tree.clone();
        let told: BTreeSet<ObjectId> = self.entries.iter().map(|entry| entry.id).collect();
        let gone = self.doomed.take().unwrap_or_else(|| self.doomed(&old, &told));
        remove(tree, &old, &gone, &told, &mut work);
        let mut out = BTreeSet::new();
        let mut entries = Vec::with_capacity(self.entries.len());
        for entry in self.entries {
            if old.get(entry.id).is_some_and(|object| renamed(&old, object, &entry.dn)) {
                tree.detach(entry.id, &mut work);
                out.insert(entry.id);
            }
            entries.push((entry.dn.depth(), Name::of(&entry.dn), entry));
        }
        // A stable sort: of two entries with one name the later one stays the later one.
        entries.sort_by(|(depth, name, _), (other_depth, other, _)| (depth, name).cmp(&(other_depth, other)));
        for (_, name, mut entry) in entries {
            entry.attributes.share(names);
            place(tree, entry, &name, &out, &mut work);
        }
        tree.prune(&mut work);
        (work, if self.list { told } else { BTreeSet::new() })
    }

    /// Everything that goes: what is said to be gone with what hangs below, and in a sweep whatever is not named.
    pub(crate) fn doomed(&self, old: &Tree, told: &BTreeSet<ObjectId>) -> BTreeSet<ObjectId> {
        let survives = |id: ObjectId| told.contains(&id) || self.kept.contains(&id);
        let mut gone = BTreeSet::new();
        if self.sweep {
            // Glue goes with the entry that it hangs below.
            let real = |object: &Arc<Object>| old.ancestors(object.id).find(|above| !above.glue).map_or(object.id, |above| above.id);
            let named = |object: &Arc<Object>| survives(if object.glue { real(object) } else { object.id });
            gone.extend(old.objects.values().filter(|object| !named(object)).map(|object| object.id));
        }
        let mut open: Vec<ObjectId> = self.gone.iter().copied().filter(|id| old.get(*id).is_some()).collect();
        while let Some(id) = open.pop() {
            if !survives(id) && gone.insert(id) {
                open.extend(old.children(id));
            }
        }
        gone
    }

    /// These objects and what hangs below them, except what is named.
    pub(crate) fn below(&self, old: &Tree, ids: impl Iterator<Item = ObjectId>) -> BTreeSet<ObjectId> {
        let named: BTreeSet<ObjectId> = self.entries.iter().map(|entry| entry.id).collect();
        let mut found = BTreeSet::new();
        let mut open: Vec<ObjectId> = ids.collect();
        while let Some(id) = open.pop() {
            if !named.contains(&id) && !self.kept.contains(&id) && found.insert(id) {
                open.extend(old.children(id));
            }
        }
        found
    }
}

/// Takes objects out of the tree.
fn remove(tree: &mut Tree, old: &Tree, gone: &BTreeSet<ObjectId>, told: &BTreeSet<ObjectId>, work: &mut Work) {
    for id in gone {
        tree.remove(*id, work);
    }
    // Entries that are there although the one above went: it cannot be seen, and glue stands in for it.
    let stays = |id: &ObjectId| !gone.contains(id) && !told.contains(id);
    let orphans: Vec<ObjectId> = gone.iter().flat_map(|id| old.children(*id)).filter(stays).collect();
    for id in orphans {
        tree.detach(id, work);
        let mut levels = Vec::new();
        let above = old.ancestors(id).find(|above| {
            let there = !gone.contains(&above.id);
            if !there {
                levels.push(above.rdn.clone());
            }
            there
        });
        match above {
            Some(above) => {
                let parent = levels.iter().rev().fold(above.id, |at, rdn| tree.child_or_glue(at, rdn, work));
                tree.edit(id, work, |object| object.parent = Some(parent));
                tree.link(id, work);
            }
            None => tree.attach(id, &old.dn(id).unwrap_or_default(), work),
        }
    }
}

/// The same name, with the RDNs above the leaf taken from a sibling's where they are spelled alike.
fn share_above(dn: Dn, sibling: &Dn) -> Dn {
    let (Some((leaf, above)), Some((_, shared))) = (dn.rdns().split_first(), sibling.rdns().split_first()) else { return dn };
    if !above.iter().map(Rdn::as_str).eq(shared.iter().map(Rdn::as_str)) {
        return dn;
    }
    Dn::from_rdns([leaf].into_iter().chain(shared).cloned().collect())
}

/// Whether a DN names an object otherwise than it is named: another place, another RDN, or another spelling of what is its own.
fn renamed(tree: &Tree, object: &Object, dn: &Dn) -> bool {
    let Some(own) = tree.dn(object.id) else { return true };
    let spelled = if object.parent.is_none() { own.depth() } else { 1 };
    let same = |(one, other): (&Rdn, &Rdn)| one.as_str() == other.as_str();
    own != *dn || !own.rdns().iter().zip(dn.rdns()).take(spelled).all(same)
}

/// Puts one entry in its place, and gives it what it brought. `out` are the objects taken out before.
fn place(tree: &mut Tree, entry: Entry, name: &Name, out: &BTreeSet<ObjectId>, work: &mut Work) {
    let Entry { id, dn, attributes } = entry;
    let kind = Kind::of(&attributes);
    let Some(object) = tree.get(id) else {
        let Some(rdn) = dn.rdn() else { return };
        tree.add(id, rdn.clone(), kind, attributes, work);
        tree.attach(id, &dn, work);
        return;
    };
    if object.attributes != attributes {
        tree.edit(id, work, |object| {
            object.attributes = attributes;
            object.kind = kind;
        });
    }
    if out.contains(&id) {
        tree.attach(id, &dn, work);
    } else if tree.find(name) != Some(id) {
        // Its name leads to another object: it was claimed, or what stands above was replaced. The directory tells this one
        // now, so it is this one's.
        tree.detach(id, work);
        tree.attach(id, &dn, work);
    }
}
