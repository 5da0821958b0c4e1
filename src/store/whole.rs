//! A state made as a whole: a first list, or a saved state. The same as if its entries had come one by one, in a fraction of the time
//! and, since nothing in it is half-full, of the memory.

use std::sync::Arc;

use super::change::Change;
use super::groups::{Groups, Held, Member, Names};
use super::name::Name;
use super::place::child_place;
use super::primary::Primary;
use super::refresh::Batch;
use super::tree::{Place, Tree};
use super::values::{self, Reader};
use super::{Object, Snapshot, dense};
use crate::directory::Entry;
use crate::model::{Attributes, Dn, Generation, Kind, ObjectId, Timestamp};

/// A name that a group holds.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) group: ObjectId,
    pub(super) name: Name,
    /// Whom it stands for; or how it is shown.
    pub(super) member: Result<ObjectId, Dn>,
    pub(super) values: u32,
}

/// The state that a list describes, when nothing was there before it, and all that it adds.
///
/// # Errors
/// The list itself, when it is not plain: two entries with one name, an entry without the one above it, or several tops on different
/// levels. It has to be worked in entry by entry.
pub(super) fn of_list(mut batch: Batch, renames: u64, generation: Generation, at: Timestamp) -> Result<(Snapshot, Vec<Change>), Batch> {
    let mut entries: Vec<(usize, Name, Entry)> =
        std::mem::take(&mut batch.entries).into_iter().map(|entry| (entry.dn.depth(), Name::of(&entry.dn), entry)).collect();
    // Stable: of two entries with one name the later one stays the later one.
    entries.sort_by(|(depth, name, _), (other_depth, other, _)| (depth, name).cmp(&(other_depth, other)));
    let Some(parents) = parents(&entries) else {
        batch.entries = entries.into_iter().map(|(_, _, entry)| entry).collect();
        return Err(batch);
    };
    let mut before: Option<(Attributes, Kind)> = None;
    let object = |((_, _, Entry { id, dn, attributes }), parent): ((usize, Name, Entry), Option<ObjectId>)| {
        let (rdn, above) = dn.rdns().split_first()?;
        // By its object classes; of those that are told by something else, each is looked at.
        let known = before.as_ref().filter(|(other, _)| attributes.is_alike(other) && !attributes.has("keywords"));
        let kind = known.map_or_else(|| Kind::of(&attributes), |(_, kind)| *kind);
        if known.is_none() {
            before = Some((attributes.clone(), kind));
        }
        let (changed, changed_at, rdn) = (generation, at, rdn.clone());
        let mut object = Object { id, parent, rdn, above: None, kind, attributes, changed, changed_at, glue: false, displaced: false };
        if parent.is_none() {
            object.set_suffix(Dn::from_rdns(above.to_vec()));
        }
        Some(Arc::new(object))
    };
    let objects: Vec<Arc<Object>> = entries.into_iter().zip(parents).filter_map(object).collect();
    let mut changes: Vec<Change> = objects.iter().map(|object| Change::Added(Arc::clone(object))).collect();
    changes.sort_unstable_by_key(|change| if let Change::Added(object) = change { Some(object.id) } else { None });
    let Ok(tree) = Tree::of(objects) else {
        // Not possible: ids and names were looked at.
        return Ok((Snapshot::default(), Vec::new()));
    };
    let mut groups = Groups::new(&tree, renames);
    groups.fill(memberships(&tree, &groups));
    for group in tree.objects.values().filter(|object| object.kind == Kind::Group) {
        groups.resolved.insert(group.id, renames);
        let member = |member| if let Member::Object(id) = member { Some(id) } else { None };
        let mut joined: Vec<ObjectId> = groups.members(group.id).filter_map(member).collect();
        joined.sort_unstable();
        if !joined.is_empty() {
            changes.push(Change::Members { group: group.id, joined, left: Vec::new() });
        }
    }
    Ok((Snapshot { tree, groups, generation, complete: true }, changes))
}

/// The entry above each, if the list is plain: sorted by level and name, those of one level stand in the same order as those above
/// them. The tops have none.
fn parents(entries: &[(usize, Name, Entry)]) -> Option<Vec<Option<ObjectId>>> {
    let top = entries.first()?.0;
    let mut parents = Vec::with_capacity(entries.len());
    // Entries of the level above that may still have some below them.
    let mut above: std::ops::Range<usize> = 0..0;
    let mut level = 0..0;
    for (index, (depth, name, _)) in entries.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|at| entries.get(at));
        if before.is_some_and(|(other_depth, other, _)| depth == other_depth && name == other) {
            return None;
        }
        if before.is_none_or(|(other, ..)| other != depth) {
            above = level;
            level = index..index;
        }
        level.end = index + 1;
        if *depth == top {
            parents.push(None);
            continue;
        }
        let (upper, _) = name.as_str().rsplit_once('\0')?;
        while entries.get(above.start).filter(|_| above.start < above.end)?.1.as_str() < upper {
            above.start += 1;
        }
        let (its_depth, parent, entry) = entries.get(above.start)?;
        if its_depth + 1 != *depth || parent.as_str() != upper {
            return None;
        }
        parents.push(Some(entry.id));
    }
    Some(parents)
}

/// What the groups list, read against the tree.
fn memberships(tree: &Tree, groups: &Groups) -> Vec<Membership> {
    let mut memberships: Vec<Membership> = Vec::new();
    let mut reader = Reader::of_all(tree);
    for group in tree.objects.values().filter(|object| object.kind == Kind::Group) {
        let first = memberships.len();
        for raw in values::of(group) {
            if let Some((name, object)) = reader.read(groups, raw) {
                let member = object.ok_or_else(|| values::shown(raw));
                memberships.push(Membership { group: group.id, name, member, values: 1 });
            }
        }
        let own = memberships.get_mut(first..).unwrap_or_default();
        // Stable: of several spellings the first one is shown.
        own.sort_by(|one, other| one.name.cmp(&other.name));
        let mut kept = first;
        for index in first..memberships.len() {
            if index > first && memberships.get(index).map(|m| &m.name) == memberships.get(kept).map(|m| &m.name) {
                if let Some(same) = memberships.get_mut(kept) {
                    same.values += 1;
                }
            } else {
                kept = if index > first { kept + 1 } else { first };
                memberships.swap(kept, index);
            }
        }
        memberships.truncate(if memberships.len() > first { kept + 1 } else { first });
    }
    memberships
}

impl Tree {
    /// The tree of these objects, each in the place that it says.
    pub(super) fn of(mut objects: Vec<Arc<Object>>) -> Result<Self, &'static str> {
        objects.sort_unstable_by_key(|object| object.id);
        if objects.windows(2).any(|pair| matches!(pair, [one, other] if one.id == other.id)) {
            return Err("an object is there twice");
        }
        let mut children: Vec<(Place, ObjectId)> =
            objects.iter().filter_map(|object| Some((child_place(object.parent?, object), object.id))).collect();
        children.sort_unstable();
        let mut tree = Self::default();
        for root in objects.iter().filter(|object| object.parent.is_none()) {
            if tree.put_root(root).is_some() {
                return Err("two objects have one name");
            }
        }
        if children.windows(2).any(|pair| matches!(pair, [(one, _), (other, _)] if one == other)) {
            return Err("two objects have one name");
        }
        tree.children = dense::map(children);
        tree.objects = dense::map(objects.into_iter().map(|object| (object.id, object)).collect());
        Ok(tree)
    }
}

impl Groups {
    /// Nobody is in any group yet.
    pub(super) fn new(tree: &Tree, renames: u64) -> Self {
        let mut groups = Self { renames, primary: Primary::of(tree), ..Self::default() };
        tree.objects.values().filter(|object| object.kind == Kind::Group).for_each(|group| groups.meet(tree, group));
        groups
    }

    /// Enters all memberships there are, each name of a group once.
    pub(super) fn fill(&mut self, mut all: Vec<Membership>) {
        if !all.is_sorted_by(|one, other| (one.group, &one.name) <= (other.group, &other.name)) {
            all.sort_unstable_by(|one, other| (one.group, &one.name).cmp(&(other.group, &other.name)));
        }
        let mut again = vec![false; all.len()];
        self.of = dense::map(by_member(&mut all, &mut again));
        let mut waiting = Vec::new();
        let mut held: Vec<(ObjectId, Vec<(Name, Held)>)> = Vec::new();
        for (Membership { group, name, member, values }, again) in all.into_iter().zip(again) {
            let object = match member {
                Ok(id) => Some(id),
                Err(shown) => {
                    waiting.push(((name.clone(), group), shown));
                    None
                }
            };
            if held.last().is_none_or(|(last, _)| *last != group) {
                held.push((group, Vec::new()));
            }
            if let Some((_, names)) = held.last_mut() {
                names.push((name, Held { object, values, again }));
            }
        }
        waiting.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        self.waiting = dense::map(waiting);
        self.held = dense::map(held.into_iter().map(|(group, names)| (group, dense::map(names))).collect());
    }
}

/// By which names each member is held in each group. A member has one name in all groups, mostly: it is kept once.
fn by_member(all: &mut [Membership], again: &mut [bool]) -> Vec<((ObjectId, ObjectId), Names)> {
    let mut order: Vec<(ObjectId, usize)> =
        all.iter().enumerate().filter_map(|(index, membership)| Some((*membership.member.as_ref().ok()?, index))).collect();
    // By member, then group, then name: as the memberships are sorted.
    order.sort_unstable();
    let mut of: Vec<((ObjectId, ObjectId), Names)> = Vec::with_capacity(order.len());
    let mut last: Option<(ObjectId, Name)> = None;
    for (member, index) in order {
        let Some(membership) = all.get_mut(index) else { continue };
        match &last {
            Some((of, name)) if *of == member && *name == membership.name => membership.name = name.clone(),
            _ => last = Some((member, membership.name.clone())),
        }
        match of.last_mut() {
            Some((key, names)) if *key == (member, membership.group) => {
                names.add(membership.name.clone());
                if let Some(again) = again.get_mut(index) {
                    *again = true;
                }
            }
            _ => of.push(((member, membership.group), Names::One(membership.name.clone()))),
        }
    }
    of
}
