//! Users that are to be looked at, by the containers they stand in.

use std::collections::HashMap;
use std::sync::Arc;

use super::layers::container_of;
use super::relevant::Direct;
use crate::model::{Kind, ObjectId};
use crate::store::{Object, Snapshot};

/// A user to be looked at.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) user: &'a Arc<Object>,
    pub(crate) direct: Direct<'a>,
    /// Resolved anew in any case, or only if what is shared came out differently.
    pub(crate) is_certain: bool,
}

/// Users by their containers, both sorted: users of one container share what is at hand.
pub(crate) type ByContainer<'a> = Vec<(Option<ObjectId>, Vec<Candidate<'a>>)>;

pub(crate) fn by_container<'a>(snapshot: &Snapshot, users: impl Iterator<Item = Candidate<'a>>) -> ByContainer<'a> {
    // What stands in one parent is of one container.
    let mut of_parent: HashMap<Option<ObjectId>, usize> = HashMap::new();
    let mut of_container: HashMap<Option<ObjectId>, usize> = HashMap::new();
    let mut all: ByContainer<'a> = Vec::new();
    for candidate in users {
        let at = *of_parent.entry(candidate.user.parent).or_insert_with(|| {
            let container = container_of(snapshot, candidate.user.id);
            *of_container.entry(container).or_insert_with(|| {
                all.push((container, Vec::new()));
                all.len() - 1
            })
        });
        if let Some((_, users)) = all.get_mut(at) {
            users.push(candidate);
        }
    }
    all.sort_unstable_by_key(|(container, _)| *container);
    for (_, users) in &mut all {
        if !users.is_sorted_by_key(|candidate| candidate.user.id) {
            users.sort_unstable_by_key(|candidate| candidate.user.id);
        }
    }
    all
}

/// The users whose closest container this is.
pub(crate) fn users_of(snapshot: &Snapshot, container: ObjectId) -> Vec<ObjectId> {
    let mut users = Vec::new();
    let mut open = vec![container];
    while let Some(id) = open.pop() {
        for object in snapshot.children(id) {
            if object.kind == Kind::User {
                users.push(object.id);
            }
            if !matches!(object.kind, Kind::Container(_)) {
                open.push(object.id);
            }
        }
    }
    users
}
