//! One object of the tree.

use crate::model::{Attributes, Dn, Generation, Kind, ObjectId, Rdn, Timestamp};

/// A directory object as the store holds it: its id for life, its place, and what the directory said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The id that survives renames and moves.
    pub id: ObjectId,
    /// The object it stands in; `None` for a root.
    pub parent: Option<ObjectId>,
    /// Its name below its parent. Of a root, the leaf of its name.
    pub rdn: Rdn,
    /// What [`Object::suffix`] gives, unless that is empty: hardly any object is a root.
    pub(super) above: Option<Box<Dn>>,
    /// What it is, by its object classes.
    pub kind: Kind,
    /// All attributes that the feed brought.
    pub attributes: Attributes,
    /// The change that last altered the object itself: its place, its name or its attributes.
    pub changed: Generation,
    /// When that was.
    pub changed_at: Timestamp,
    /// Whether the directory never named it: it stands where something below needs a parent, and the real entry replaces it.
    pub glue: bool,
    /// Whether another object claimed its DN later: it keeps its place and its children, and [`find`](super::Snapshot::find)
    /// gives the other one.
    pub displaced: bool,
}

impl Object {
    /// Of a root, the rest of its name above the leaf (`dc=example` of `dc=corp,dc=example`); else empty.
    pub fn suffix(&self) -> Dn {
        self.above.as_deref().cloned().unwrap_or_default()
    }

    pub(super) fn set_suffix(&mut self, suffix: Dn) {
        self.above = (!suffix.is_empty()).then(|| Box::new(suffix));
    }

    /// Whether two states of one object differ in anything but the time of the change.
    pub(super) fn differs(&self, other: &Self) -> bool {
        self.moved(other)
            || self.kind != other.kind
            || self.glue != other.glue
            || self.displaced != other.displaced
            || self.attributes != other.attributes
    }

    /// Whether two states of one object differ in the place or the name; a change of case is a change of the name.
    pub(super) fn moved(&self, other: &Self) -> bool {
        let above = |object: &Self| object.above.as_ref().map(ToString::to_string);
        self.parent != other.parent || self.rdn.as_str() != other.rdn.as_str() || above(self) != above(other)
    }
}
