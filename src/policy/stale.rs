//! What a change makes stale: the sets that are to be decided anew, and the users who may differ by it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::candidates::users_of;
use super::engine::{Engine, Held};
use super::impact::Impact;
use super::resolved::ResolvedSet;
use crate::model::{Kind, ObjectId};

/// What a round has to decide anew.
#[derive(Default)]
pub(super) struct Stale {
    pub(super) containers: HashSet<Option<ObjectId>>,
    pub(super) groups: BTreeSet<ObjectId>,
    /// Devices below containers that are others now.
    pub(super) devices: HashSet<ObjectId>,
    pub(super) served: HashMap<ObjectId, BTreeSet<Arc<str>>>,
}

impl Engine {
    /// What is to be decided anew, and the users who may differ by it.
    pub(super) fn stale(&mut self, impact: &Impact, possible: &mut HashSet<ObjectId>) -> Stale {
        let mut stale = Stale { groups: impact.groups.clone(), ..Stale::default() };
        if impact.everybody {
            self.chains.clear();
            stale.containers = self.sets.keys().copied().collect();
            possible.extend(self.users.keys());
        }
        let snapshot = self.snapshot.clone();
        for range in &impact.ranges {
            // What an outer range covers is covered.
            if snapshot.ancestors(*range).any(|above| impact.ranges.contains(&above.id)) {
                continue;
            }
            for object in snapshot.subtree(*range) {
                match object.kind {
                    Kind::Container(_) => {
                        self.chains.remove(&Some(object.id));
                        stale.containers.insert(Some(object.id));
                    }
                    Kind::User => drop(possible.insert(object.id)),
                    Kind::Device if self.looks_at_places() => drop(stale.devices.insert(object.id)),
                    // What was a container when a network was asked for there may be something else now.
                    _ => drop(self.chains.remove(&Some(object.id))),
                }
            }
        }
        for (container, role) in &impact.served {
            for object in snapshot.subtree(*container).filter(|object| matches!(object.kind, Kind::Container(_))) {
                let asks = |held: &Held| held.set.roles.binary_search(role).is_ok();
                if self.sets.get(&Some(object.id)).is_some_and(|sets| sets.values().any(asks)) {
                    stale.served.entry(object.id).or_default().insert(Arc::clone(role));
                    possible.extend(users_of(&snapshot, object.id));
                }
            }
            let seeking = self.seeking.iter().filter(|(_, roles)| roles.contains(role)).map(|(id, _)| *id);
            possible.extend(seeking.filter(|id| snapshot.is_within(*id, *container)));
        }
        stale
    }
}

impl Stale {
    /// Whether a set is one of them.
    pub(super) fn covers(&self, set: &ResolvedSet) -> bool {
        self.containers.contains(&set.container)
            || set.groups.iter().any(|group| self.groups.contains(group))
            || set.container.and_then(|id| self.served.get(&id)).is_some_and(|roles| set.roles.iter().any(|role| roles.contains(role)))
    }
}
