//! What an event really changed.

use std::sync::Arc;

use super::Object;
use crate::model::{Dn, Generation, ObjectId};

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
