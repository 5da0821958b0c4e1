//! Memberships, by id.

use imbl::{OrdMap, OrdSet};

use super::name::Name;
use crate::model::{Dn, ObjectId};

/// What one member value of a group stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// An object of the tree, held by id wherever it moves.
    Object(ObjectId),
    /// A name that names nothing now. An unresolved `memberUid` reads `memberUid=…`.
    Dangling(Dn),
}

/// A member value and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) member: Member,
    /// Another value of the group holds the same object, and that one is listed.
    pub(crate) again: bool,
}

/// Who is in which group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    /// Every member value, by group and name.
    pub(crate) values: OrdMap<(ObjectId, Name), Held>,
    /// The same from the member's side: member, group, name.
    pub(crate) of: OrdSet<(ObjectId, ObjectId, Name)>,
}

impl Groups {
    pub(crate) fn members(&self, group: ObjectId) -> impl Iterator<Item = &Member> {
        self.values
            .range((group, Name::default())..)
            .take_while(move |((of, _), _)| *of == group)
            .filter(|(_, held)| !held.again)
            .map(|(_, held)| &held.member)
    }

    pub(crate) fn groups_of(&self, member: ObjectId) -> impl Iterator<Item = ObjectId> {
        let lowest = ObjectId::from_bytes([0; 16]);
        let mut last = None;
        self.of
            .range((member, lowest, Name::default())..)
            .take_while(move |(of, _, _)| *of == member)
            .map(|(_, group, _)| *group)
            .filter(move |group| last.replace(*group) != Some(*group))
    }
}
