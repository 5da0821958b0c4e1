//! Settings by place: what somebody wants for the spot that an endpoint is in, decided when it is wanted.
//!
//! Every user has settings without regard to a spot, and those are kept for all. For a spot they are decided only for those
//! who are there: [`Engine::want`] says who that is, and from then on [`Engine::update`] tells what changes for them, until
//! [`Engine::unwant`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Weak};

use super::catalogue::{Scope, Setting};
use super::engine::Engine;
use super::impact::Impact;
use super::layers::{Chain, Layer, container_of};
use super::object::HeldFault;
use super::personal::{Orders, Own, Personal};
use super::relevant::Direct;
use super::resolve::{Sharers, shared};
use super::resolved::{Decision, Resolved, ResolvedSet};
use super::stale::Stale;
use super::witness::Silent;
use crate::model::{Aor, DeviceId, NetworkMap, ObjectId, Resource, Spot};
use crate::store::{Change, ChangeSet, Object};

/// The settings of a resource at a spot. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A user's: all of them.
    User(Arc<Resolved>),
    /// A user's whose account the directory has disabled: the explicit empty profile.
    Disabled(Aor),
    /// A network's or a device's: those that belong to it, in the order of the catalogue.
    Part(Arc<[(Setting, Decision)]>),
}

impl Answer {
    /// Whether both give the same document.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::User(one), Self::User(other)) => one.is_same(other),
            (Self::Disabled(one), Self::Disabled(other)) => one == other,
            (Self::Part(one), Self::Part(other)) => {
                one.iter().map(|(setting, d)| (setting, &d.values)).eq(other.iter().map(|(setting, d)| (setting, &d.values)))
            }
            _ => false,
        }
    }
}

/// A resource and the spot that it is wanted for.
pub(crate) type Request = (Resource, Spot);

/// Everything that is wanted.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// With what was told of it last.
    told: BTreeMap<Request, Option<Answer>>,
    /// By site and by subnet.
    by_spot: HashMap<ObjectId, BTreeSet<Request>>,
    /// What those who want it share: the newest set of each key, as long as somebody uses it.
    sets: HashMap<SetKey, (Weak<ResolvedSet>, Orders)>,
}

/// Container, groups, spot, and whether network settings are in it.
pub(super) type SetKey = (Option<ObjectId>, Box<[ObjectId]>, Spot, bool);

/// Sets that were decided anew in this round.
pub(super) type Fresh = HashMap<SetKey, Arc<ResolvedSet>>;

/// What is shared by those who were [looked at](Engine::look).
#[derive(Debug, Default)]
pub struct Looks(Option<Fresh>);

impl Looks {
    /// Decided for this purpose, whatever is kept.
    pub(super) fn fresh(&mut self) -> &mut Option<Fresh> {
        self.0.get_or_insert_default();
        &mut self.0
    }
}

impl Wanted {
    pub(crate) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    fn requests(&self) -> impl Iterator<Item = &Request> {
        self.told.keys()
    }

    /// What is wanted of a resource.
    fn of<'a>(&'a self, resource: &'a Resource) -> impl Iterator<Item = &'a Request> {
        let from = (resource.clone(), Spot::default());
        self.told.range(from..).map(|(request, _)| request).take_while(move |(held, _)| held == resource)
    }
}

impl Engine {
    /// Decides the settings of a resource at a spot, and keeps them up to date from now on. `None`: there are none now, because
    /// there is no such user or device, or the user's document is withheld; of a user who had some before, the last good ones.
    pub fn want(&mut self, resource: &Resource, spot: Spot) -> Option<Answer> {
        let request = (resource.clone(), spot);
        for object in [spot.site, spot.subnet].into_iter().flatten() {
            self.wanted.by_spot.entry(object).or_default().insert(request.clone());
        }
        let answer = self.answer(&request, &mut None);
        let told = self.wanted.told.entry(request).or_default();
        if answer.is_some() {
            told.clone_from(&answer);
        }
        told.clone()
    }

    /// Nobody wants it any more.
    pub fn unwant(&mut self, resource: &Resource, spot: Spot) {
        let request = (resource.clone(), spot);
        self.wanted.told.remove(&request);
        for object in [spot.site, spot.subnet].into_iter().flatten() {
            if let Some(requests) = self.wanted.by_spot.get_mut(&object) {
                requests.remove(&request);
                if requests.is_empty() {
                    self.wanted.by_spot.remove(&object);
                }
            }
        }
        self.sweep_sets();
    }

    /// What was told of a resource last, for each spot that it is wanted for.
    pub fn answers(&self, resource: &Resource) -> Vec<(Resource, Spot, Answer)> {
        let told = |request: &Request| Some((request.0.clone(), request.1, self.wanted.told.get(request)?.clone()?));
        self.wanted.of(resource).filter_map(told).collect()
    }

    /// How many resources are kept up to date for how many spots.
    pub fn wanted(&self) -> usize {
        self.wanted.told.len()
    }

    /// Which address is where: the same `Arc` as long as nothing differs.
    pub const fn network(&self) -> &Arc<NetworkMap> {
        self.network.map()
    }

    /// What is wrong with sites and subnets.
    pub(super) fn network_faults(&self) -> &[(ObjectId, HeldFault)] {
        self.network.faults()
    }

    /// What the devices of the directory call themselves.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceId> {
        self.devices.ids()
    }

    /// Another number whenever that may have changed.
    pub const fn devices_version(&self) -> u64 {
        self.devices.version
    }

    /// Brings sites, subnets and devices up to date.
    pub(super) fn note(&mut self, impact: &mut Impact, changes: &[ChangeSet]) {
        for change in changes.iter().flat_map(|set| &set.changes) {
            match change {
                Change::Added(object) | Change::Modified { after: object, .. } | Change::Moved { after: object, .. } => {
                    // Several changes may be of one object: what counts is what it is now.
                    let Some(object) = self.snapshot.get(object.id) else { continue };
                    self.network.note(object);
                    impact.device_ids.extend(self.devices.ids_of(object.id).iter().cloned());
                    self.devices.note(object, &self.config.identity.device);
                    impact.device_ids.extend(self.devices.ids_of(object.id).iter().cloned());
                }
                Change::Removed { object, .. } if self.snapshot.get(object.id).is_none() => {
                    self.network.forget(object.id);
                    impact.device_ids.extend(self.devices.ids_of(object.id).iter().cloned());
                    self.devices.forget(object.id);
                }
                Change::Removed { .. } | Change::Members { .. } => {}
            }
        }
        if impact.network {
            self.network.read(&self.snapshot, &self.sources);
        }
    }

    /// Whom changes can affect among those that are wanted.
    pub(super) fn affected(&self, impact: &Impact, stale: &Stale, users: &HashSet<ObjectId>, touched: &[Aor]) -> BTreeSet<Request> {
        let mut affected: BTreeSet<Request> = BTreeSet::new();
        if self.wanted.is_empty() {
            return affected;
        }
        if impact.everybody {
            return self.wanted.requests().cloned().collect();
        }
        let aors = users.iter().filter_map(|id| self.users.get(id)?.aor.as_ref()).chain(touched);
        for aor in aors {
            affected.extend(self.wanted.of(&Resource::User(aor.clone())).cloned());
        }
        for object in &impact.spots {
            affected.extend(self.wanted.by_spot.get(object).into_iter().flatten().cloned());
        }
        let is_layered = !impact.ranges.is_empty() || !impact.served.is_empty() || !impact.groups.is_empty();
        if is_layered {
            affected.extend(self.wanted.of(&Resource::LocalNetwork).cloned());
        }
        if !impact.served.is_empty() {
            // What a site asks for is found above each user.
            let asks = |object: &&ObjectId| self.sources.policies(**object).iter().any(|policy| policy.roles().next().is_some());
            affected.extend(self.wanted.by_spot.keys().filter(asks).flat_map(|object| &self.wanted.by_spot[object]).cloned());
        }
        let named = impact.devices.iter().flat_map(|object| self.devices.ids_of(*object)).chain(&impact.device_ids);
        for id in named {
            affected.extend(self.wanted.of(&Resource::Device(id.clone())).cloned());
        }
        if is_layered || impact.all_devices {
            let devices = self.wanted.requests().filter(|(resource, _)| matches!(resource, Resource::Device(_)));
            affected.extend(devices.filter(|(resource, _)| impact.all_devices || self.is_stale(resource, stale)).cloned());
        }
        affected
    }

    /// Whether the layers of a device may be others.
    pub(super) fn is_stale(&self, resource: &Resource, stale: &Stale) -> bool {
        let Resource::Device(id) = resource else { return false };
        let Some(device) = self.devices.find(id) else { return true };
        let container = container_of(&self.snapshot, device);
        let in_groups = || self.snapshot.transitive_groups(device).iter().any(|group| stale.groups.contains(group));
        stale.devices.contains(&device) || container.is_some_and(|id| stale.served.contains_key(&id)) || in_groups()
    }

    /// Decides anew; gives what differs from what was told.
    pub(super) fn answer_again(&mut self, affected: BTreeSet<Request>) -> Vec<(Resource, Spot, Answer)> {
        let mut fresh = Some(Fresh::new());
        let mut differing = Vec::new();
        for request in affected {
            let answer = self.answer(&request, &mut fresh);
            let is_gone = answer.is_none() && !self.is_there(&request.0);
            let Some(told) = self.wanted.told.get_mut(&request) else { continue };
            match (answer, &told) {
                (None, _) if is_gone => *told = None,
                // The last good one stays.
                (None, _) => {}
                (Some(now), Some(before)) if now.is_same(before) => *told = Some(now),
                (Some(now), _) => {
                    *told = Some(now.clone());
                    differing.push((request.0, request.1, now));
                }
            }
        }
        self.sweep_sets();
        differing
    }

    /// Everything that is wanted, decided anew after a load.
    pub(super) fn answer_all_again(&mut self) -> Vec<(Resource, Spot, Answer)> {
        self.wanted.sets.clear();
        let all = self.wanted.requests().cloned().collect();
        self.answer_again(all)
    }

    fn is_there(&self, resource: &Resource) -> bool {
        match resource {
            Resource::User(aor) => self.addresses.owner(aor).is_some(),
            Resource::LocalNetwork => true,
            Resource::Device(id) => self.devices.find(id).is_some(),
        }
    }

    /// `fresh`: the sets of this round; without, those that are kept are up to date.
    pub(super) fn answer(&mut self, (resource, spot): &Request, fresh: &mut Option<Fresh>) -> Option<Answer> {
        match resource {
            Resource::User(aor) => self.user_at(aor, *spot, fresh),
            Resource::LocalNetwork => {
                let container = spot.container.filter(|id| self.snapshot.get(*id).is_some());
                let chain = self.chain(container).with(&self.sources, [spot.site, spot.subnet].into_iter().flatten());
                let (set, _) = self.shared_set(&chain, container, &[], *spot, true, fresh);
                Some(Answer::Part(part(&set, &Own::default(), |setting| setting.spec().network)))
            }
            Resource::Device(id) => {
                let device = self.snapshot.get(self.devices.find(id)?)?.clone();
                let (set, own) = self.own_at(&device, *spot, Layer::Device, fresh);
                Some(Answer::Part(part(&set, &own, |setting| setting.spec().scope == Scope::Device)))
            }
        }
    }

    fn user_at(&mut self, aor: &Aor, spot: Spot, fresh: &mut Option<Fresh>) -> Option<Answer> {
        let owner = self.addresses.owner(aor)?;
        if self.users.get(&owner)?.is_disabled {
            return Some(Answer::Disabled(aor.clone()));
        }
        let user = self.snapshot.get(owner)?.clone();
        let (set, own) = self.own_at(&user, spot, Layer::User, fresh);
        let resolved = Resolved { user: user.id, aor: own.aor?, shared: set, own: own.decisions.into() };
        // Design §3 rule 7.
        resolved.get(Setting::SIP_REGISTRAR)?;
        Some(Answer::User(Arc::new(resolved)))
    }

    /// What a user or a device shares with others at the spot, and what is its own.
    fn own_at(&mut self, object: &Object, spot: Spot, layer: Layer, fresh: &mut Option<Fresh>) -> (Arc<ResolvedSet>, Own) {
        let container = container_of(&self.snapshot, object.id);
        let chain = self.chain(container).with(&self.sources, [spot.site, spot.subnet].into_iter().flatten());
        let mut groups = Vec::new();
        self.relevant.groups(&self.snapshot, &chain, object.id, Direct::Asked, &mut groups);
        // The network's settings stand above the own ones: who has none of those shares the network's with others too.
        let policies = self.sources.policies(object.id);
        let is_plain = !policies.iter().flat_map(|policy| &policy.edits).any(|edit| edit.setting.spec().network);
        let (set, key) = self.shared_set(&chain, container, &groups, spot, is_plain, fresh);
        let personal = Personal {
            snapshot: &self.snapshot,
            sources: &self.sources,
            identity: (layer == Layer::User).then_some(&self.config.identity),
            chain: &chain,
            set: &set,
            user: object,
            layer,
            above: (!is_plain).then_some(spot),
        };
        let mut none = Orders::default();
        let orders = self.wanted.sets.get_mut(&key).map_or(&mut none, |(_, orders)| orders);
        let own = personal.decide(orders, &mut Silent);
        (set, own)
    }

    fn shared_set(
        &mut self,
        chain: &Chain,
        container: Option<ObjectId>,
        groups: &[ObjectId],
        spot: Spot,
        with_network: bool,
        fresh: &mut Option<Fresh>,
    ) -> (Arc<ResolvedSet>, SetKey) {
        let spot = Spot { container: None, ..spot };
        let key: SetKey = (container, groups.into(), spot, with_network);
        let known = || self.wanted.sets.get(&key).and_then(|(set, _)| set.upgrade());
        let at_hand = match fresh {
            Some(fresh) => fresh.get(&key).cloned(),
            None => known(),
        };
        if let Some(set) = at_hand {
            return (set, key);
        }
        let decided = shared(&self.sources, chain, &Sharers { container, groups, spot, with_network }, &mut Silent);
        // An equal one stays the same one: what was made of it is still good.
        let same = known().filter(|known| **known == decided);
        let set = same.unwrap_or_else(|| {
            let set = Arc::new(decided);
            self.wanted.sets.insert(key.clone(), (Arc::downgrade(&set), Orders::default()));
            set
        });
        if let Some(fresh) = fresh {
            fresh.insert(key.clone(), Arc::clone(&set));
        }
        (set, key)
    }

    /// Forgets sets that nobody uses, when they are the greater part.
    pub(super) fn sweep_sets(&mut self) {
        let Wanted { told, sets, .. } = &mut self.wanted;
        if sets.len() > 2 * told.len() + 64 {
            sets.retain(|_, (set, _)| set.strong_count() > 0);
        }
    }
}

/// The settings that belong to a network or a device, the own over the shared.
fn part(set: &ResolvedSet, own: &Own, belongs: impl Fn(Setting) -> bool) -> Arc<[(Setting, Decision)]> {
    let decision = |setting: Setting| match own.decisions.binary_search_by_key(&setting, |(held, _)| *held) {
        Ok(at) => own.decisions.get(at).map(|(_, decision)| decision).filter(|decision| !decision.values.is_empty()),
        Err(_) => set.get(setting),
    };
    Setting::all().filter(|setting| belongs(*setting)).filter_map(|setting| Some((setting, decision(setting)?.clone()))).collect()
}
