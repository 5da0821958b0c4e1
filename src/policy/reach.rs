//! Whom an update could affect at a place, for whoever asks about places without wanting all of them to be kept up to date.
//!
//! What is wanted ([`Engine::want`]) is told by [`Engine::update`] itself. A prediction looks at places that nobody may be at, and
//! at everybody there: [`Engine::look`] decides for one, and [`Reach`] says whom there is no need to look at.

use std::collections::{BTreeSet, HashSet};

use super::engine::Engine;
use super::impact::Impact;
use super::stale::Stale;
use super::wanted::{Answer, Looks};
use crate::model::{Aor, DeviceId, Dn, ObjectId, Resource, Spot};

/// Whom an update could affect, wherever they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Everybody, everywhere.
    everybody: bool,
    /// These, wherever they are.
    users: BTreeSet<Aor>,
    devices: BTreeSet<DeviceId>,
    /// Everybody who is at these sites and subnets.
    spots: BTreeSet<ObjectId>,
}

impl Reach {
    /// Whether it reaches everybody who is there, before and after.
    pub fn covers(&self, spots: [Spot; 2]) -> bool {
        let [before, after] = spots;
        self.everybody || before != after || [before.site, before.subnet].into_iter().flatten().any(|id| self.spots.contains(&id))
    }

    /// The users that it reaches in any place.
    pub fn users(&self) -> impl Iterator<Item = &Aor> {
        self.users.iter()
    }

    /// And the devices.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceId> {
        self.devices.iter()
    }
}

impl Engine {
    /// Notes in each update whom it could affect at any place, for [`Engine::reach`].
    #[must_use]
    pub fn tracing(mut self) -> Self {
        self.reach = Some(Reach::default());
        self
    }

    /// Whom the last update could affect at any place; nobody knows unless it is [noted](Engine::tracing).
    pub const fn reach(&self) -> Option<&Reach> {
        self.reach.as_ref()
    }

    /// Whether anybody asks about places.
    pub(super) fn looks_at_places(&self) -> bool {
        self.reach.is_some() || !self.wanted.is_empty()
    }

    pub(super) fn note_reach(&mut self, impact: &Impact, stale: &Stale, users: HashSet<ObjectId>, touched: &[Aor]) {
        if self.reach.is_none() {
            return;
        }
        let mut reach = Reach { everybody: impact.everybody, spots: impact.spots.clone(), ..Reach::default() };
        reach.users.extend(users.into_iter().filter_map(|id| self.users.get(&id)?.aor.clone()));
        reach.users.extend(touched.iter().cloned());
        if !impact.served.is_empty() {
            // What a site asks for is found above each user.
            let asks = |object: &ObjectId| self.sources.policies(*object).iter().any(|policy| policy.roles().next().is_some());
            reach.spots.extend(self.sources.governed().map(|(object, _)| object).filter(asks));
        }
        let named = impact.devices.iter().flat_map(|object| self.devices.ids_of(*object)).chain(&impact.device_ids);
        reach.devices.extend(named.cloned());
        let may_be = |id: &&DeviceId| impact.everybody || impact.all_devices || self.is_stale(&Resource::Device((*id).clone()), stale);
        reach.devices.extend(self.devices.ids().filter(may_be).cloned());
        self.reach = Some(reach);
    }

    /// The settings of a resource at a spot as [`Engine::want`] would decide them, once. `looks`: what those share who were looked at
    /// since the last change.
    pub fn look(&mut self, resource: &Resource, spot: Spot, looks: &mut Looks) -> Option<Answer> {
        self.answer(&(resource.clone(), spot), looks.fresh())
    }

    /// Forgets what looks have left behind.
    pub fn end_looks(&mut self, looks: Looks) {
        drop(looks);
        self.sweep_sets();
    }

    /// Every address that somebody has, whether or not there is a document at it.
    pub fn owned(&self) -> impl Iterator<Item = &Aor> {
        self.addresses.owned()
    }

    /// Whether there is such a device.
    pub fn is_device(&self, id: &DeviceId) -> bool {
        self.devices.find(id).is_some()
    }

    /// What an object is called now.
    pub fn dn(&self, id: ObjectId) -> Option<Dn> {
        self.snapshot.dn(id)
    }

    /// Whether somebody has an address.
    pub fn is_owned(&self, aor: &Aor) -> bool {
        self.addresses.owner(aor).is_some()
    }
}
