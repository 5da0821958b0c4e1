//! Whom a change can affect, as ranges of the tree.
//!
//! A change of an object's lines reaches whoever it governs: the subtree of a container, the members of a group however
//! nested, one user. A move reaches what hangs below. A server reaches the subtree of the containers it left and joined, as
//! far as somebody there asks for its role. A membership reaches the members, if the group counts for anything.
//!
//! Users whose own entry changed are resolved anew in any case (`certain`). The others are `possible`: they are resolved
//! anew only if what they share with others came out differently.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::relevant::Relevant;
use super::sources::{Sources, Touched};
use super::stead;
use crate::model::{DeviceId, Kind, ObjectId};
use crate::store::{Change, ChangeSet, Object, Snapshot};

/// Whom changes can affect.
#[derive(Debug, Default)]
pub(crate) struct Impact {
    /// Users whose entry came, went, moved or changed.
    pub(crate) certain: BTreeSet<ObjectId>,
    /// Users whose groups may be others.
    pub(crate) possible: HashSet<ObjectId>,
    /// Objects with everything below them: other layers.
    pub(crate) ranges: BTreeSet<ObjectId>,
    /// Groups that carry other lines.
    pub(crate) groups: BTreeSet<ObjectId>,
    /// Containers and roles: other servers below.
    pub(crate) served: BTreeSet<(ObjectId, Arc<str>)>,
    /// Sites and subnets that carry other lines.
    pub(crate) spots: BTreeSet<ObjectId>,
    /// Devices that carry other lines.
    pub(crate) devices: BTreeSet<ObjectId>,
    /// What devices called themselves, or do now, whose entry came, went, moved or changed.
    pub(crate) device_ids: BTreeSet<DeviceId>,
    /// Devices may be in other groups.
    pub(crate) all_devices: bool,
    /// Addresses may be in other sites and subnets.
    pub(crate) network: bool,
    /// The lines of the configuration apply to others.
    pub(crate) everybody: bool,
}

/// The two states that changes lie between.
struct Between<'a> {
    before: &'a Snapshot,
    after: &'a Snapshot,
}

/// Finds whom changes can affect, and brings the sources up to date. `relevant` is of the state before and becomes that of
/// the state after.
pub(crate) fn of(before: &Snapshot, after: &Snapshot, changes: &[ChangeSet], sources: &mut Sources, relevant: &mut Relevant) -> Impact {
    let between = Between { before, after };
    let mut impact = Impact::default();
    let mut touched = Touched::default();
    let changes = || changes.iter().flat_map(|set| &set.changes);
    for change in changes() {
        between.object(change, &mut impact, sources, &mut touched);
    }
    impact.network = changes().any(moves_networks);
    if impact.network {
        sources.read_aimed(after, &mut touched);
    }
    // Names in filters can stand for others, and other groups can count, only when something came, went or moved, or lines
    // are others.
    let may_rename = |change: &Change| match change {
        Change::Added(_) | Change::Removed { .. } | Change::Moved { .. } => true,
        Change::Modified { before, after } => before.kind != after.kind,
        Change::Members { .. } => false,
    };
    let reread = !touched.governed.is_empty() || changes().any(may_rename);
    if reread {
        for target in sources.name(after) {
            match target {
                Some(target) => drop(touched.governed.insert(target)),
                None => impact.everybody = true,
            }
        }
    }
    for change in changes() {
        if let Change::Members { group, joined, left } = change {
            // If the group counts only since now, it does by its own lines or by lines that name it, or because it joined a
            // group that counted: each is a change that reaches the members as they are now.
            if relevant.concerns(before, *group) {
                for member in joined.iter().chain(left) {
                    between.member(*member, &mut impact);
                }
            }
        }
    }
    if reread {
        *relevant = Relevant::of(after, sources);
    } else if changes().any(|change| matches!(change, Change::Members { .. })) {
        relevant.forget();
    }
    for target in touched.governed {
        match after.get(target).map(|object| object.kind) {
            Some(Kind::Container(_)) => drop(impact.ranges.insert(target)),
            Some(Kind::User) => drop(impact.certain.insert(target)),
            Some(Kind::Group) => {
                impact.possible.extend(after.members_deep(target));
                impact.groups.insert(target);
            }
            Some(Kind::Device) => drop(impact.devices.insert(target)),
            Some(Kind::Site | Kind::Subnet) | None => {
                // Whether it makes a difference where an endpoint is may be another question now.
                impact.network = true;
                impact.spots.insert(target);
            }
            // No longer what can be governed: its own change says so.
            _ => {}
        }
    }
    impact.served = touched.served;
    impact
}

impl Between<'_> {
    fn object(&self, change: &Change, impact: &mut Impact, sources: &mut Sources, touched: &mut Touched) {
        match change {
            Change::Added(object) => {
                sources.read(self.after, object.id, touched);
                if stead::decides(object) {
                    self.reread_below(object.id, sources, touched);
                }
                self.range(object, impact);
            }
            Change::Removed { object, .. } => {
                sources.read(self.after, object.id, touched);
                if object.kind == Kind::User {
                    impact.certain.insert(object.id);
                } else {
                    // What hung below went with it or stands elsewhere now, and each has a change of its own.
                    impact.ranges.insert(object.id);
                }
            }
            Change::Modified { before, after } => {
                sources.read(self.after, after.id, touched);
                if before.kind != after.kind {
                    self.reread_below(after.id, sources, touched);
                    self.range(after, impact);
                    self.range(before, impact);
                    impact.possible.extend(self.before.members_deep(after.id));
                    impact.possible.extend(self.after.members_deep(after.id));
                } else if after.kind == Kind::User {
                    impact.certain.insert(after.id);
                }
            }
            Change::Moved { before, after } => {
                sources.read(self.after, after.id, touched);
                // Servers and policies inside a container go with it. Below anything else they count for another one now.
                let decides = stead::decides(before) || stead::decides(after);
                if before.kind != after.kind || !matches!(after.kind, Kind::Container(_)) || decides {
                    self.reread_below(after.id, sources, touched);
                }
                self.range(after, impact);
                self.range(before, impact);
            }
            Change::Members { .. } => {}
        }
    }

    /// An object with everything below it.
    fn range(&self, object: &Arc<Object>, impact: &mut Impact) {
        if object.kind == Kind::User {
            impact.certain.insert(object.id);
        }
        if object.kind != Kind::User || self.after.children(object.id).next().is_some() {
            impact.ranges.insert(object.id);
        }
    }

    /// Policies and servers below an object read otherwise when it becomes, or stops being, something that is governed.
    fn reread_below(&self, id: ObjectId, sources: &mut Sources, touched: &mut Touched) {
        let below: Vec<ObjectId> = self.after.subtree(id).filter(|o| matches!(o.kind, Kind::Policy | Kind::Server)).map(|o| o.id).collect();
        for id in below {
            sources.read(self.after, id, touched);
        }
    }

    /// Who joined or left: a user, or all users of a group.
    ///
    /// Members of a group that left are those it has now. Who left that group at the same time has a change of its own,
    /// which counts because the group counted before.
    fn member(&self, member: ObjectId, impact: &mut Impact) {
        match self.after.get(member).or_else(|| self.before.get(member)).map(|object| object.kind) {
            Some(Kind::User) => drop(impact.possible.insert(member)),
            Some(Kind::Group) => {
                impact.possible.extend(self.after.members_deep(member));
                impact.all_devices = true;
            }
            Some(Kind::Device) => impact.all_devices = true,
            _ => {}
        }
    }
}

/// Whether a change can make an address belong to another site or subnet: one of these changed, or something else has the name
/// that one is called by. Users and what stands for them are in no such name.
fn moves_networks(change: &Change) -> bool {
    let is_network = |kind: Kind| matches!(kind, Kind::Site | Kind::Subnet);
    let is_above = |kind: Kind| matches!(kind, Kind::Container(_) | Kind::Other);
    match change {
        Change::Added(object) | Change::Removed { object, .. } => is_network(object.kind) || is_above(object.kind),
        Change::Modified { before, after } => {
            is_network(before.kind)
                || is_network(after.kind)
                || before.kind != after.kind && (is_above(before.kind) || is_above(after.kind))
        }
        Change::Moved { before, after } => [before.kind, after.kind].into_iter().any(|kind| is_network(kind) || is_above(kind)),
        Change::Members { .. } => false,
    }
}
