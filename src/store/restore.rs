//! Putting a saved state together again.

use std::collections::HashSet;
use std::sync::Arc;

use super::groups::Groups;
use super::name::Name;
use super::tree::Tree;
use super::whole::Membership;
use super::{Object, Snapshot};
use crate::model::{Generation, Kind, ObjectId};

/// A saved state, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Restoring {
    objects: Vec<Arc<Object>>,
    ids: HashSet<ObjectId>,
    memberships: Vec<Membership>,
    groups: HashSet<ObjectId>,
}

impl Restoring {
    /// Adds an object whose parent is there already.
    pub(super) fn add(&mut self, object: Object) -> Result<(), &'static str> {
        if object.parent.is_some_and(|parent| !self.ids.contains(&parent)) {
            return Err("an object stands in one that is not there");
        }
        if !self.ids.insert(object.id) {
            return Err("an object is there twice");
        }
        if object.kind == Kind::Group {
            self.groups.insert(object.id);
        }
        self.objects.push(Arc::new(object));
        Ok(())
    }

    /// Adds a membership; all objects are there.
    pub(super) fn join(&mut self, membership: Membership) -> Result<(), &'static str> {
        let there = membership.member.as_ref().map_or(true, |id| self.ids.contains(id));
        if !there || !self.groups.contains(&membership.group) {
            return Err("a membership of what is not there");
        }
        self.memberships.push(membership);
        Ok(())
    }

    /// The state.
    pub(super) fn finish(self, generation: Generation) -> Result<Snapshot, &'static str> {
        let tree = Tree::of(self.objects)?;
        let mut groups = Groups::new(&tree, 0);
        groups.fill(self.memberships);
        let state = Snapshot { tree, groups, generation, complete: true };
        state.contradiction().map_or(Ok(state), Err)
    }
}

impl Snapshot {
    /// What a state says of itself that cannot be.
    fn contradiction(&self) -> Option<&'static str> {
        let nested = |root: &Object| {
            let suffix = root.suffix();
            suffix.rdns().iter().enumerate().any(|(above, _)| {
                let name = Name::of_rdns(suffix.rdns().get(above..).unwrap_or_default());
                self.tree.roots.contains_key(&name)
            })
        };
        if self.roots().any(|root| nested(root)) {
            return Some("a root below another");
        }
        let lost = |object: &&Arc<Object>| object.displaced && self.tree.holder(object).is_none();
        if self.iter().any(|object| lost(&object)) {
            return Some("a name that nobody has was taken");
        }
        let empty = |object: &&Arc<Object>| object.glue && (object.parent.is_none() || self.children(object.id).next().is_none());
        self.iter().find(empty).map(|_| "glue that holds nothing")
    }
}
