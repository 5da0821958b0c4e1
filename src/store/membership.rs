//! What an event does to the groups: member values read, resolved, and compared with what was held.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::groups::{Groups, Member, Pairs};
use super::name::Name;
use super::tree::Tree;
use super::values::{self, ATTRIBUTES, Raw, Reader};
use super::{Object, Snapshot};
use crate::model::{Dn, Kind, ObjectId};

/// Brings the groups up to date with a tree that changed. `told` are the groups that the directory told anew, whether or not
/// with the same values.
pub(crate) fn update(
    before: &Snapshot,
    tree: &Tree,
    groups: &mut Groups,
    touched: &BTreeSet<ObjectId>,
    told: &BTreeSet<ObjectId>,
) -> Pairs {
    let mut pairs = Pairs::new();
    let changed = || touched.iter().map(|id| (*id, before.get(*id).map(|o| &**o), tree.get(*id).map(|o| &**o)));
    let mut renamed = false;
    let mut arrived = Vec::new();
    let groups_here = touched.union(told).filter_map(|id| tree.get(*id)).filter(|is| is_group(is));
    groups_here.for_each(|group| groups.meet(tree, group));
    for (id, was, is) in changed() {
        renamed |= index_uids(groups, id, was, is, &mut arrived);
        renamed |= was.is_some_and(|was| is.is_none_or(|is| is.moved(was) || is.displaced != was.displaced));
    }
    groups.renames += u64::from(renamed);
    for (id, was, is) in changed() {
        groups.primary.update(id, was, is, &mut pairs);
        if was.is_some_and(is_group) && !is.is_some_and(is_group) {
            groups.dissolve(id, &mut pairs);
        }
    }
    for (id, was, is) in changed() {
        if let (Some(was), None) = (was, is) {
            let dn = before.dn(was.id).unwrap_or_default();
            let_go(tree, groups, id, &dn, &mut pairs);
        }
    }
    if !groups.nobody_waits() {
        for (id, was, is) in changed() {
            let Some(is) = is else { continue };
            if was.is_none_or(|was| is.moved(was) || is.displaced != was.displaced) {
                arrived.extend(tree.dn(id).map(|dn| Name::of(&dn)));
            }
        }
        for (name, group) in arrived.iter().flat_map(|name| groups.waiting_at(name)).collect::<BTreeSet<_>>() {
            if let Some(id) = groups.resolve(tree, &name) {
                groups.turn(group, name, Member::Object(id), &mut pairs);
            }
        }
    }
    let mut reader = Reader::new(tree);
    for id in touched.union(told) {
        let was = before.get(*id).map(|o| &**o).filter(|was| is_group(was));
        let Some(is) = tree.get(*id).filter(|is| is_group(is)) else { continue };
        if told.contains(id) || was.is_none_or(|was| was.attributes != is.attributes) {
            tell(&mut reader, groups, *id, was, is, &mut pairs);
        }
    }
    pairs
}

fn is_group(object: &Object) -> bool {
    object.kind == Kind::Group
}

/// Keeps the index of login names. A name lost may now mean another object; a name gained may be waited for.
fn index_uids(groups: &mut Groups, id: ObjectId, was: Option<&Object>, is: Option<&Object>, arrived: &mut Vec<Name>) -> bool {
    if !groups.knows_uids() {
        return false;
    }
    let uids = |object: Option<&Object>| -> BTreeSet<Name> {
        object.filter(|o| o.kind == Kind::User).into_iter().flat_map(|o| o.attributes.texts("uid").map(Name::of_uid)).collect()
    };
    let (old, new) = (uids(was), uids(is));
    for uid in old.difference(&new) {
        groups.remove_uid(uid, id);
    }
    for uid in new.difference(&old) {
        groups.add_uid(uid, id);
        arrived.push(uid.clone());
    }
    old != new
}

/// An object is gone: the values that stood for it dangle, or stand for whoever has the name now.
fn let_go(tree: &Tree, groups: &mut Groups, id: ObjectId, dn: &Dn, pairs: &mut Pairs) {
    let own = Name::of(dn);
    for (group, name) in groups.held_by(id) {
        let member = match groups.resolve(tree, &name) {
            Some(other) => Member::Object(other),
            None if name == own => Member::Dangling(dn.clone()),
            None => Member::Dangling(name.to_dn()),
        };
        groups.turn(group, name, member, pairs);
    }
}

/// The directory told a group: what it lists more, what it lists no longer, and what its names mean by now.
fn tell(reader: &mut Reader<'_>, groups: &mut Groups, id: ObjectId, was: Option<&Object>, is: &Object, pairs: &mut Pairs) {
    let fresh = groups.resolved.get(&id) == Some(&groups.renames);
    if let (true, Some(was)) = (fresh, was) {
        // No name changed its meaning since the values were resolved: only the differences need reading, which
        // matters when a server sends 100,000 values because one was added.
        let (gone, come) = difference(was, is);
        // What came first: a value that is only spelled differently keeps whom it held.
        for raw in come {
            if let Some((name, object)) = reader.read(groups, raw) {
                groups.hold(id, name, 1, object, || values::shown(raw), pairs);
            }
        }
        for raw in gone {
            if let Some((name, _)) = reader.read(groups, raw) {
                groups.release(id, &name, pairs);
            }
        }
        return;
    }
    let mut wanted: BTreeMap<Name, (u32, Raw<'_>, Option<ObjectId>)> = BTreeMap::new();
    for raw in values::of(is) {
        if let Some((name, object)) = reader.read(groups, raw) {
            wanted.entry(name).or_insert((0, raw, object)).0 += 1;
        }
    }
    let stale: Vec<Name> = groups.names(id).map(|(name, _)| name).filter(|name| !wanted.contains_key(*name)).cloned().collect();
    for name in stale {
        groups.drop_name(id, &name, pairs);
    }
    for (name, (count, raw, object)) in wanted {
        groups.set(id, name, count, object, || values::shown(raw), pairs);
    }
    groups.resolved.insert(id, groups.renames);
}

/// Values of the old state that are not in the new one, and of the new that are not in the old.
fn difference<'a>(was: &'a Object, is: &'a Object) -> (Vec<Raw<'a>>, Vec<Raw<'a>>) {
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    for (index, attribute) in ATTRIBUTES.iter().enumerate() {
        let (old, new): (Vec<&[u8]>, Vec<&[u8]>) =
            (was.attributes.values(attribute).iter().collect(), is.attributes.values(attribute).iter().collect());
        // Servers keep the order: compare from both ends first, and hash only what is between.
        let same = old.iter().zip(&new).take_while(|(o, n)| o == n).count();
        let (old, new) = (old.get(same..).unwrap_or_default(), new.get(same..).unwrap_or_default());
        let same = old.iter().rev().zip(new.iter().rev()).take_while(|(o, n)| o == n).count();
        let old: HashSet<&[u8]> = old.iter().take(old.len() - same).copied().collect();
        let new: HashSet<&[u8]> = new.iter().take(new.len() - same).copied().collect();
        gone.extend(old.difference(&new).map(|value| (index, *value)));
        come.extend(new.difference(&old).map(|value| (index, *value)));
    }
    gone.sort_unstable();
    come.sort_unstable();
    (gone, come)
}
