//! What an event really changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::groups::Pairs;
use super::{Object, Snapshot};
use crate::model::{Dn, Generation, ObjectId, Timestamp};

/// Everything in which one state differs from the one before; never empty.
///
/// Objects come first, by id, at most one change each; then memberships, by group. Replacing the objects named and
/// adjusting the memberships named turns the old state into the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// The number of the new state.
    pub generation: Generation,
    /// The differences.
    pub changes: Vec<Change>,
}

/// One difference between two states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An object that was not there.
    Added(Arc<Object>),
    /// An object that is gone, with what it was and where it stood.
    Removed {
        /// As it was last.
        object: Arc<Object>,
        /// Its name then.
        dn: Dn,
        /// What it stood in then, the parent first, up to the root.
        ancestors: Vec<ObjectId>,
    },
    /// An object that stands where it stood, with other attributes.
    Modified {
        /// As it was.
        before: Arc<Object>,
        /// As it is.
        after: Arc<Object>,
    },
    /// An object with another parent or another RDN. What hangs below moved with it and is not told. A rename rewrites
    /// the naming attribute, so the attributes may differ too.
    Moved {
        /// As it was.
        before: Arc<Object>,
        /// As it is.
        after: Arc<Object>,
    },
    /// Who joined and who left a group: direct members only, by id, each list sorted. Told of groups that came or
    /// went too.
    Members {
        /// The group.
        group: ObjectId,
        /// Objects that are members now and were not.
        joined: Vec<ObjectId>,
        /// Objects that were members and are not now.
        left: Vec<ObjectId>,
    },
}

impl Snapshot {
    /// Makes this state the next one after `before`: numbers it, marks what differs among the objects touched and the pairs of
    /// group and member, and says what that is. Without a difference it stays the same state.
    pub(super) fn seal(&mut self, before: &Self, touched: &BTreeSet<ObjectId>, mut pairs: Pairs, at: Timestamp) -> Option<ChangeSet> {
        let generation = before.generation.next();
        let mut changes: Vec<Change> = touched.iter().filter_map(|id| self.seal_object(before, *id, generation, at)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut pairs = pairs.into_iter().peekable();
        while let Some((group, _)) = pairs.peek().copied() {
            let (mut joined, mut left) = (Vec::new(), Vec::new());
            while let Some((_, member)) = pairs.next_if(|(of, _)| *of == group) {
                let (was, is) = (before.groups.is_member(&before.tree, member, group), self.groups.is_member(&self.tree, member, group));
                match (was, is) {
                    (false, true) => joined.push(member),
                    (true, false) => left.push(member),
                    _ => {}
                }
            }
            if !(joined.is_empty() && left.is_empty()) {
                changes.push(Change::Members { group, joined, left });
            }
        }
        if changes.is_empty() {
            return None;
        }
        self.generation = generation;
        Some(ChangeSet { generation, changes })
    }

    fn seal_object(&mut self, before: &Self, id: ObjectId, generation: Generation, at: Timestamp) -> Option<Change> {
        let was = before.get(id);
        if let (Some(was), Some(is)) = (was, self.get(id))
            && !is.differs(was)
        {
            // Back where it was. What was removed and made anew on the way keeps the stamp of its last real change.
            self.tree.objects.insert(id, Arc::clone(was));
            return None;
        }
        let is = self.tree.objects.get_mut(&id).map(|object| {
            let sealed = Arc::make_mut(object);
            (sealed.changed, sealed.changed_at) = (generation, at);
            Arc::clone(object)
        });
        match (was.map(Arc::clone), is) {
            (None, Some(is)) => Some(Change::Added(is)),
            (Some(before), Some(after)) if after.moved(&before) => Some(Change::Moved { before, after }),
            (Some(before), Some(after)) => Some(Change::Modified { before, after }),
            (Some(object), None) => {
                let dn = before.dn(id).unwrap_or_default();
                let ancestors = before.ancestors(id).map(|above| above.id).collect();
                Some(Change::Removed { object, dn, ancestors })
            }
            (None, None) => None,
        }
    }
}
