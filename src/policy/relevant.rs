//! Which groups make a difference to whom.
//!
//! Users are in many groups, and few groups carry policies or stand in a filter. Only those count for what a user
//! shares with others.

use std::collections::{BTreeSet, HashMap};

use super::grammar::Filter;
use super::layers::Chain;
use super::sources::Sources;
use crate::model::{Dn, Kind, ObjectId};
use crate::store::{Member, Snapshot};

/// A user's direct groups.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Direct<'a> {
    /// The user's part of [`Relevant::memberships`].
    Known(&'a [(ObjectId, ObjectId)]),
    /// To be asked for.
    Asked,
}

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

    /// Forgets which group is in which, after a change of memberships.
    pub(crate) fn forget(&mut self) {
        self.above.clear();
    }

    /// Everybody's direct groups, as far as they count or are in one that counts: member and group, sorted. Asking the few
    /// groups is quicker than asking every user.
    pub(crate) fn memberships(&mut self, snapshot: &Snapshot) -> Vec<(ObjectId, ObjectId)> {
        let mut memberships = Vec::new();
        if self.anywhere.is_empty() {
            return memberships;
        }
        for group in snapshot.iter().filter(|object| object.kind == Kind::Group).map(|object| object.id) {
            if self.concerns(snapshot, group) {
                memberships.extend(snapshot.members(group).filter_map(|member| match member {
                    Member::Object(member) => Some((member, group)),
                    Member::Dangling(_) => None,
                }));
            }
        }
        memberships.sort_unstable();
        memberships
    }

    /// Puts the user's groups that can make a difference below this chain into `groups`, sorted.
    pub(crate) fn groups(&mut self, snapshot: &Snapshot, chain: &Chain, user: ObjectId, direct: Direct<'_>, groups: &mut Vec<ObjectId>) {
        groups.clear();
        if self.anywhere.is_empty() {
            return;
        }
        let mut put = |group: ObjectId| {
            let counts = |id: &&ObjectId| self.everywhere.contains(id) || chain.filters.binary_search(id).is_ok();
            let above = self.above.entry(group).or_insert_with(|| above(&self.anywhere, snapshot, group));
            groups.extend(above.iter().filter(counts).copied());
        };
        match direct {
            Direct::Known(memberships) => memberships.iter().for_each(|(_, group)| put(*group)),
            Direct::Asked => snapshot.groups_of(user).for_each(put),
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
