//! The tree, written: putting objects in their places and taking them out.
//!
//! Rules, in the order in which they bite:
//! - An entry whose parent is not there: if some root's name lies above, glue objects stand in for the missing levels;
//!   else it is a root itself, until an entry above arrives and takes it in.
//! - A real entry replaces the glue that holds its name, and takes over its children.
//! - Two real entries with one name: whichever the directory told last has it. The other keeps its place, its
//!   children and its memberships, is marked displaced, and gets the name back when the first one leaves. It is not removed,
//!   because a feed that tells changes out of order looks just like this for a moment (two entries that swap names).
//! - Glue without children goes.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Object;
use super::name::Name;
use super::tree::{CLAIM, Place, Tree, claim};
use crate::model::{Attributes, Container, Dn, Generation, Kind, ObjectId, Rdn, Timestamp};

/// What an event did to the tree so far.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Objects that may differ from before.
    pub(crate) touched: BTreeSet<ObjectId>,
    /// Names claimed twice: who has it now, and who lost it.
    pub(crate) clashes: Vec<(ObjectId, ObjectId)>,
    /// Glue that lost a child.
    loose: Vec<ObjectId>,
}

impl Tree {
    /// Changes an object in place.
    pub(crate) fn edit(&mut self, id: ObjectId, work: &mut Work, change: impl FnOnce(&mut Object)) {
        if let Some(object) = self.objects.get_mut(&id) {
            work.touched.insert(id);
            change(Arc::make_mut(object));
        }
    }

    /// Adds an object that has no place yet.
    pub(crate) fn add(&mut self, id: ObjectId, rdn: Rdn, kind: Kind, attributes: Attributes, work: &mut Work) {
        let (changed, changed_at) = (Generation::default(), Timestamp::default());
        let object = Object { id, parent: None, rdn, above: None, kind, attributes, changed, changed_at, glue: false, displaced: false };
        work.touched.insert(id);
        self.objects.insert(id, Arc::new(object));
    }

    /// Puts an object that has no place where its name says.
    pub(crate) fn attach(&mut self, id: ObjectId, dn: &Dn, work: &mut Work) {
        let Some((leaf, above)) = dn.rdns().split_first() else { return };
        let parent = self.container(above, work);
        let suffix = if parent.is_none() { Dn::from_rdns(above.to_vec()) } else { Dn::default() };
        self.edit(id, work, |object| {
            object.parent = parent;
            object.rdn = leaf.clone();
            object.set_suffix(suffix);
        });
        self.link(id, work);
        if parent.is_none() {
            self.take_in_roots(id, dn, work);
        }
    }

    /// Takes an object out of its place; what hangs below stays with it.
    pub(crate) fn detach(&mut self, id: ObjectId, work: &mut Work) {
        let Some(object) = self.get(id).cloned() else { return };
        self.take_key(&object);
        if object.displaced {
            self.edit(id, work, |object| object.displaced = false);
        } else if let Some(heir) = self.heir(&object) {
            if let Some(displaced) = self.get(heir).cloned() {
                self.take_key(&displaced);
            }
            self.edit(heir, work, |object| object.displaced = false);
            self.put_key(heir);
        }
        work.loose.extend(object.parent);
    }

    /// Removes one object. What hung below keeps its parent's id, and must be removed or placed anew.
    pub(crate) fn remove(&mut self, id: ObjectId, work: &mut Work) {
        self.detach(id, work);
        if self.objects.remove(&id).is_some() {
            work.touched.insert(id);
        }
    }

    /// The child with an RDN, and where there is none, glue.
    pub(crate) fn child_or_glue(&mut self, parent: ObjectId, rdn: &Rdn, work: &mut Work) -> ObjectId {
        if let Some(child) = self.child(parent, rdn.key()) {
            return child;
        }
        let id = self.glue_id(parent, rdn);
        self.add(id, rdn.clone(), Kind::Container(Container::Unit), Attributes::new(), work);
        self.edit(id, work, |object| {
            object.parent = Some(parent);
            object.glue = true;
        });
        self.link(id, work);
        // Should nothing come to hang below after all, it goes again.
        work.loose.push(id);
        id
    }

    /// Puts an object in the indexes under the parent and name that it holds.
    pub(crate) fn link(&mut self, id: ObjectId, work: &mut Work) {
        let Some(object) = self.get(id).cloned() else { return };
        match self.holder(&object) {
            Some(older) if older != id => self.make_room(id, older, work),
            _ => {}
        }
        self.put_key(id);
    }

    /// Removes the glue that lost its last child.
    pub(crate) fn prune(&mut self, work: &mut Work) {
        while let Some(id) = work.loose.pop() {
            if self.get(id).is_some_and(|object| object.glue) && self.children(id).next().is_none() {
                self.remove(id, work);
            }
        }
    }

    /// The container named, if any root lies above it; missing levels become glue.
    fn container(&mut self, rdns: &[Rdn], work: &mut Work) -> Option<ObjectId> {
        let name = Name::of_rdns(rdns);
        let (root, rest) = self.root_over(&name)?;
        let levels = if rest.is_empty() { 0 } else { rest.matches('\0').count() + 1 };
        let below = rdns.get(..levels).unwrap_or_default();
        Some(below.iter().rev().fold(root, |at, rdn| self.child_or_glue(at, rdn, work)))
    }

    /// Whoever stands at an object's parent and name without being displaced.
    pub(crate) fn holder(&self, object: &Object) -> Option<ObjectId> {
        match object.parent {
            Some(parent) => self.child(parent, object.rdn.key()),
            None => self.roots.get(&root_name(object)).copied(),
        }
    }

    /// The displaced object that gets the name when its holder leaves: the lowest id.
    fn heir(&self, object: &Object) -> Option<ObjectId> {
        let Some(parent) = object.parent else {
            let prefix = format!("{}{CLAIM}", root_name(object).as_str());
            let (name, id) = self.roots.range::<_, Name>(Name::from(prefix.as_str())..).next()?;
            return name.as_str().starts_with(&prefix).then_some(*id);
        };
        let prefix = format!("{}{CLAIM}", object.rdn.key());
        let from = Place { parent, key: Rdn::of_key(&prefix) };
        let (place, id) = self.children.range::<_, Place>(from..).next()?;
        (place.parent == parent && place.key.key().starts_with(&prefix)).then_some(*id)
    }

    fn make_room(&mut self, newer: ObjectId, older: ObjectId, work: &mut Work) {
        let Some(object) = self.get(older).cloned() else { return };
        self.take_key(&object);
        if object.glue {
            self.objects.remove(&older);
            work.touched.insert(older);
            let children: Vec<ObjectId> = self.children(older).collect();
            self.rehang(children, work, |_, _, _| newer);
        } else {
            self.edit(older, work, |object| object.displaced = true);
            self.put_key(older);
            work.clashes.push((newer, older));
        }
    }

    /// A new root takes in the roots whose names lie below its own.
    fn take_in_roots(&mut self, root: ObjectId, dn: &Dn, work: &mut Work) {
        let name = Name::of(dn);
        let below: Vec<ObjectId> = self
            .roots
            .range::<_, Name>(name.clone()..)
            .take_while(|(other, _)| **other == name || other.is_below(&name))
            .map(|(_, id)| *id)
            .filter(|id| self.get(*id).is_some_and(|object| object.suffix().depth() >= dn.depth()))
            .collect();
        let depth = dn.depth();
        self.rehang(below, work, |tree, object, work| {
            let suffix = object.suffix();
            let between = suffix.depth().saturating_sub(depth);
            let levels = suffix.rdns().get(..between).unwrap_or_default();
            levels.iter().rev().fold(root, |at, rdn| tree.child_or_glue(at, rdn, work))
        });
    }

    /// Moves objects, with their names, below other parents. Displaced ones go first, so that they are displaced there too.
    fn rehang(&mut self, mut ids: Vec<ObjectId>, work: &mut Work, mut parent: impl FnMut(&mut Self, &Object, &mut Work) -> ObjectId) {
        ids.sort_by_key(|id| self.get(*id).is_some_and(|object| !object.displaced));
        for id in ids {
            let Some(object) = self.get(id).cloned() else { continue };
            self.detach(id, work);
            let parent = parent(self, &object, work);
            self.edit(id, work, |object| {
                object.parent = Some(parent);
                object.above = None;
            });
            self.link(id, work);
        }
    }

    /// Enters an object into the index of its parent's children, or of the roots.
    pub(crate) fn put_key(&mut self, id: ObjectId) {
        let Some(object) = self.get(id).cloned() else { return };
        match object.parent {
            Some(parent) => drop(self.children.insert(child_place(parent, &object), id)),
            None => drop(self.put_root(&object)),
        }
    }

    /// Enters a root into the index; gives the one that was there.
    pub(super) fn put_root(&mut self, root: &Object) -> Option<ObjectId> {
        self.roots.insert(root_key(root), root.id)
    }

    fn take_key(&mut self, object: &Object) {
        if let Some(parent) = object.parent {
            let place = child_place(parent, object);
            if self.children.get(&place) == Some(&object.id) {
                self.children.remove(&place);
            }
        } else {
            let key = root_key(object);
            if self.roots.get(&key) == Some(&object.id) {
                self.roots.remove(&key);
            }
        }
    }

    /// An id for glue: derived from its name, so that every run gives the same. It may be taken when glue moved along
    /// with a container and the name needs glue again; then the next one.
    fn glue_id(&self, parent: ObjectId, rdn: &Rdn) -> ObjectId {
        let above = self.dn(parent).unwrap_or_default();
        let name = Name::of(&above.child(rdn.clone()));
        let mut salt = 0u32;
        loop {
            let mut hash = Sha256::new();
            hash.update(b"dialcast glue\0");
            hash.update(name.as_str().as_bytes());
            hash.update(salt.to_be_bytes());
            let mut bytes = [0; 16];
            for (slot, byte) in bytes.iter_mut().zip(hash.finalize()) {
                *slot = byte;
            }
            // RFC 9562 §5.8: version 8, for ids of one's own making.
            bytes[6] = bytes[6] & 0x0f | 0x80;
            bytes[8] = bytes[8] & 0x3f | 0x80;
            let id = ObjectId::from_bytes(bytes);
            if !self.objects.contains_key(&id) {
                return id;
            }
            salt += 1;
        }
    }
}

pub(super) fn child_place(parent: ObjectId, object: &Object) -> Place {
    Place { parent, key: if object.displaced { Rdn::of_key(&claim(object.rdn.key(), object.id)) } else { object.rdn.clone() } }
}

fn root_name(object: &Object) -> Name {
    Name::of(&object.suffix().child(object.rdn.clone()))
}

fn root_key(object: &Object) -> Name {
    let name = root_name(object);
    if object.displaced { Name::from(claim(name.as_str(), object.id).as_str()) } else { name }
}
