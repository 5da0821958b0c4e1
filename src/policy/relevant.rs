//! Which groups make a difference to whom.
//!
//! Users are in many groups, and few groups carry policies or stand in a filter. Only those count for what a user
//! shares with others.

use std::collections::{BTreeSet, HashMap};

use super::grammar::Filter;
use super::layers::Chain;
use super::sources::Sources;
use crate::model::{Dn, ObjectId};
use crate::store::Snapshot;

/// The groups that count, and what each group is in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relevant {
    /// Those that carry policies, and those that filters of such policies name: they count for everybody.
    everywhere: BTreeSet<ObjectId>,
    /// Those that any filter names, too.
    anywhere: BTreeSet<ObjectId>,
    /// What is found above a group, itself included: sorted, only what counts. Filled when asked.
    above: HashMap<ObjectId, Box<[ObjectId]>>,
}

impl Relevant {
    /// Reads what counts now.
    pub(crate) fn of(snapshot: &Snapshot, sources: &Sources) -> Self {
        let mut everywhere = BTreeSet::new();
        for group in sources.governing_groups(snapshot) {
            everywhere.insert(group);
            let filters = sources.policies(group).iter().flat_map(|policy| &policy.filters);
            everywhere.extend(filters.filter_map(named).filter_map(|dn| sources.group(dn)));
        }
        let mut anywhere = everywhere.clone();
        anywhere.extend(sources.filtering_groups());
        Self { everywhere, anywhere, above: HashMap::new() }
    }

    /// Puts the user's groups that can make a difference below this chain into `groups`, sorted.
    pub(crate) fn groups(&mut self, snapshot: &Snapshot, chain: &Chain, user: ObjectId, groups: &mut Vec<ObjectId>) {
        groups.clear();
        if self.anywhere.is_empty() {
            return;
        }
        for group in snapshot.groups_of(user) {
            let counts = |id: &&ObjectId| self.everywhere.contains(id) || chain.filters.binary_search(id).is_ok();
            let above = self.above.entry(group).or_insert_with(|| above(&self.anywhere, snapshot, group));
            groups.extend(above.iter().filter(counts).copied());
        }
        groups.sort_unstable();
        groups.dedup();
    }

    /// Whether a change of who is in the group can make a difference to anybody.
    pub(crate) fn concerns(&mut self, snapshot: &Snapshot, group: ObjectId) -> bool {
        !self.anywhere.is_empty() && !self.above.entry(group).or_insert_with(|| above(&self.anywhere, snapshot, group)).is_empty()
    }
}

/// What is found above a group, itself included, as far as it counts.
fn above(anywhere: &BTreeSet<ObjectId>, snapshot: &Snapshot, group: ObjectId) -> Box<[ObjectId]> {
    let itself = std::iter::once(group);
    let found: BTreeSet<ObjectId> =
        snapshot.transitive_groups(group).into_iter().chain(itself).filter(|id| anywhere.contains(id)).collect();
    found.into_iter().collect()
}

fn named(filter: &Filter) -> Option<&Dn> {
    match filter {
        Filter::Allow(dn) | Filter::Deny(dn) => Some(dn),
        Filter::Unreadable => None,
    }
}
