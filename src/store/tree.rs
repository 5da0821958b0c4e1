//! The tree, read: objects by id, children by parent and name, roots by name.
//!
//! What holds after every event: every parent is there; no object stands under itself; a root's name lies below no other
//! root's; a glue object has a child and a parent; of the objects that claim one name exactly one is not displaced.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

use imbl::OrdMap;

use super::Object;
use super::name::Name;
use crate::model::{Dn, ObjectId, Rdn};

/// Objects and their places.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) objects: OrdMap<ObjectId, Arc<Object>>,
    /// The children of one parent are one range, in the order of their RDN keys.
    pub(crate) children: OrdMap<Place, ObjectId>,
    pub(crate) roots: OrdMap<Name, ObjectId>,
}

/// Where a child stands: the parent, and the folded RDN; of a displaced child, the RDN and its id ([`claim`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) parent: ObjectId,
    pub(crate) key: Rdn,
}

/// Separates a displaced object's name from its id in the indexes; two NULs are in no name.
pub(crate) const CLAIM: &str = "\0\0";

/// The index key of a displaced object: it sorts behind the name that it lost.
pub(crate) fn claim(key: &str, id: ObjectId) -> String {
    format!("{key}{CLAIM}{id}")
}

impl Tree {
    pub(crate) fn get(&self, id: ObjectId) -> Option<&Arc<Object>> {
        self.objects.get(&id)
    }

    pub(crate) fn children(&self, id: ObjectId) -> impl Iterator<Item = ObjectId> {
        let from = Place { parent: id, key: Rdn::of_key("") };
        self.children.range::<_, Place>(from..).take_while(move |(place, _)| place.parent == id).map(|(_, child)| *child)
    }

    /// The child that has an RDN, by its key.
    pub(crate) fn child(&self, parent: ObjectId, key: &str) -> Option<ObjectId> {
        self.children.get(&(parent, key) as &dyn At).copied()
    }

    /// The object above, the one above that, and so on up to the root.
    pub(crate) fn ancestors(&self, id: ObjectId) -> impl Iterator<Item = &Arc<Object>> {
        let above = |object: &Arc<Object>| object.parent.and_then(|parent| self.get(parent));
        std::iter::successors(self.get(id).and_then(above), move |object| above(object))
    }

    /// The object and what is below it, each parent before its children.
    pub(crate) fn subtree(&self, id: ObjectId) -> impl Iterator<Item = &Arc<Object>> {
        let mut open = vec![id];
        std::iter::from_fn(move || {
            let object = self.get(open.pop()?)?;
            let from = open.len();
            open.extend(self.children(object.id));
            if let Some(added) = open.get_mut(from..) {
                added.reverse();
            }
            Some(object)
        })
    }

    /// The name of an object, from its RDN and those above.
    pub(crate) fn dn(&self, id: ObjectId) -> Option<Dn> {
        let mut rdns = Vec::with_capacity(8);
        let mut object = self.get(id)?;
        loop {
            rdns.push(object.rdn.clone());
            let Some(parent) = object.parent else {
                rdns.extend_from_slice(object.suffix().rdns());
                return Some(Dn::from_rdns(rdns));
            };
            object = self.get(parent)?;
        }
    }

    /// Walks down from the root that covers the name.
    pub(crate) fn find(&self, name: &Name) -> Option<ObjectId> {
        let (mut at, mut rest) = self.root_over(name)?;
        while !rest.is_empty() {
            let (key, below) = rest.split_once('\0').unwrap_or((rest, ""));
            at = self.child(at, key)?;
            rest = below;
        }
        Some(at)
    }

    /// The root whose name is the name or above it, and what the name has below the root. There is one at most.
    pub(crate) fn root_over<'n>(&self, name: &'n Name) -> Option<(ObjectId, &'n str)> {
        let text = name.as_str();
        let ends = text.match_indices('\0').map(|(end, _)| end).chain([text.len()]);
        ends.filter_map(|end| text.split_at_checked(end))
            .find_map(|(above, rest)| Some((*self.roots.get(above)?, rest.strip_prefix('\0').unwrap_or(rest))))
    }
}

/// A place that owns nothing, to look places up by.
trait At {
    fn at(&self) -> (ObjectId, &str);
}

impl At for Place {
    fn at(&self) -> (ObjectId, &str) {
        (self.parent, self.key.key())
    }
}
impl At for (ObjectId, &str) {
    fn at(&self) -> (ObjectId, &str) {
        *self
    }
}
impl<'a> Borrow<dyn At + 'a> for Place {
    fn borrow(&self) -> &(dyn At + 'a) {
        self
    }
}
impl PartialEq for dyn At + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.at() == other.at()
    }
}
impl Eq for dyn At + '_ {}
impl PartialOrd for dyn At + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for dyn At + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at().cmp(&other.at())
    }
}
