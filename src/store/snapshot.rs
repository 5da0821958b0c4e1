//! A state of the directory that never changes: what readers hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Object;
use super::groups::{Groups, Member};
use super::name::Name;
use super::tree::Tree;
use crate::model::{Dn, Generation, Kind, ObjectId};

/// One state of the directory. A clone costs a few reference counts and shares everything.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub(crate) tree: Tree,
    pub(crate) groups: Groups,
    pub(crate) generation: Generation,
    pub(crate) complete: bool,
}

impl Snapshot {
    /// The number of the state.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether a first complete list has been seen. Until then the state is empty, and empty means nothing.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How many objects there are, glue included.
    pub fn len(&self) -> usize {
        self.tree.objects.len()
    }

    /// Whether there is no object at all.
    pub fn is_empty(&self) -> bool {
        self.tree.objects.is_empty()
    }

    /// The object with an id.
    pub fn get(&self, id: ObjectId) -> Option<&Arc<Object>> {
        self.tree.objects.get(&id)
    }

    /// The objects that stand in no other, ordered by name from the root downwards.
    pub fn roots(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.tree.roots.values().filter_map(|id| self.get(*id))
    }

    /// What stands directly in an object, ordered by the RDN's key.
    pub fn children(&self, id: ObjectId) -> impl Iterator<Item = &Arc<Object>> {
        self.tree.children(id).filter_map(|child| self.get(child))
    }

    /// What an object stands in: the parent first, up to the root.
    pub fn ancestors(&self, id: ObjectId) -> impl Iterator<Item = &Arc<Object>> {
        self.tree.ancestors(id)
    }

    /// An object and everything below it, parents before their children.
    pub fn subtree(&self, id: ObjectId) -> impl Iterator<Item = &Arc<Object>> {
        self.tree.subtree(id)
    }

    /// The name of an object now.
    pub fn dn(&self, id: ObjectId) -> Option<Dn> {
        self.tree.dn(id)
    }

    /// The object that has a name now. Of several that claim it, the one told last; what hangs below the others has no name
    /// that leads to it.
    pub fn find(&self, dn: &Dn) -> Option<ObjectId> {
        self.tree.find(&Name::of(dn))
    }

    /// Whether an object is `container` or stands somewhere below it.
    pub fn is_within(&self, id: ObjectId, container: ObjectId) -> bool {
        self.get(id).is_some() && (id == container || self.ancestors(id).any(|above| above.id == container))
    }

    /// The direct members of a group, each once: in the order of their values' names, then those whose primary group it is.
    pub fn members(&self, group: ObjectId) -> impl Iterator<Item = Member> {
        self.groups.members(group)
    }

    /// The groups that hold an object as a direct member, sorted by id.
    pub fn groups_of(&self, id: ObjectId) -> impl Iterator<Item = ObjectId> {
        self.groups.groups_of(&self.tree, id)
    }

    /// The groups that hold an object directly or through other groups, sorted by id. A group in a cycle holds itself.
    pub fn transitive_groups(&self, id: ObjectId) -> Vec<ObjectId> {
        let mut found = BTreeSet::new();
        let mut open = vec![id];
        while let Some(member) = open.pop() {
            open.extend(self.groups_of(member).filter(|group| found.insert(*group)));
        }
        found.into_iter().collect()
    }

    /// The users in a group, directly or through other groups, sorted by id.
    pub fn members_deep(&self, group: ObjectId) -> Vec<ObjectId> {
        let mut users = BTreeSet::new();
        let mut seen = BTreeSet::from([group]);
        let mut open = vec![group];
        while let Some(group) = open.pop() {
            for member in self.members(group) {
                let Member::Object(member) = member else { continue };
                match self.get(member).map(|object| object.kind) {
                    Some(Kind::User) => drop(users.insert(member)),
                    Some(Kind::Group) if seen.insert(member) => open.push(member),
                    _ => {}
                }
            }
        }
        users.into_iter().collect()
    }

    /// Every object, sorted by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.tree.objects.values()
    }
}
