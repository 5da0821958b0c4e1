//! Putting a saved state together again.

use std::sync::Arc;

use super::name::Name;
use super::{Object, Snapshot};
use crate::model::Kind;

impl Snapshot {
    /// Adds an object whose parent is there already.
    pub(super) fn restore(&mut self, object: Object) -> Result<(), &'static str> {
        if self.get(object.id).is_some() {
            return Err("an object is there twice");
        }
        if object.parent.is_some_and(|parent| self.get(parent).is_none()) {
            return Err("an object stands in one that is not there");
        }
        if !object.displaced && self.tree.holder(&object).is_some() {
            return Err("two objects have one name");
        }
        if object.kind == Kind::User {
            for uid in object.attributes.texts("uid") {
                self.groups.add_uid(Name::of_uid(uid), object.id);
            }
        }
        let id = object.id;
        self.tree.objects.insert(id, Arc::new(object));
        self.tree.put_key(id);
        Ok(())
    }

    /// What a state says of itself that cannot be.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
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
