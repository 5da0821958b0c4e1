//! Where policies live: which object carries lines, whom they govern, and which servers stand where.
//!
//! An index over one snapshot, kept up to date object by object. It holds parsed lines; what they come to for a user
//! is the business of `resolve`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use super::aim;
use super::grammar::Filter;
use super::layers::container_of;
use super::object::{Carrier, PolicyObject, Since};
use super::server_object::ServerObject;
use super::stead::stands_in;
use crate::model::{Attributes, Dn, Kind, ObjectId};
use crate::store::{Object, Snapshot};

/// The attribute of `dialcastPolicy` that holds lines.
pub(crate) const SETTING: &str = "dialcastSetting";
/// The attribute of serviceConnectionPoint that holds lines.
pub(crate) const BINDING: &str = "serviceBindingInformation";
/// The key of the configuration that holds lines.
pub(crate) const CONFIG_KEY: &str = "policy.settings";

/// Every policy and server of a snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    config: Arc<PolicyObject>,
    /// By the object that carries the lines.
    carried: HashMap<ObjectId, Carried>,
    /// By the object that they govern; the one that wins first.
    governing: HashMap<ObjectId, Vec<Arc<PolicyObject>>>,
    /// By the server object.
    servers: HashMap<ObjectId, Placed>,
    /// By the container that a server counts for, sorted by id.
    serving: HashMap<ObjectId, Vec<Arc<ServerObject>>>,
    /// What the names in filters stand for now.
    named: BTreeMap<Dn, Option<ObjectId>>,
    /// Policies that name the sites or subnets that they govern: they read otherwise when those come, go or change.
    aimed: BTreeSet<ObjectId>,
}

#[derive(Debug, Clone)]
struct Carried {
    /// Whom the lines govern; nobody when they stand where they govern nobody. Several only where keywords name sites or subnets.
    governs: Box<[ObjectId]>,
    policy: Arc<PolicyObject>,
}

#[derive(Debug, Clone)]
struct Placed {
    container: Option<ObjectId>,
    server: Arc<ServerObject>,
}

/// What a re-reading of objects found different.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Containers, groups, users, devices, sites and subnets whose lines are others now.
    pub(crate) governed: BTreeSet<ObjectId>,
    /// Containers, and the roles of the servers that came, went or changed there.
    pub(crate) served: BTreeSet<(ObjectId, Arc<str>)>,
}

impl Sources {
    /// The lines of the configuration, and no directory.
    pub(crate) fn new(settings: &[String]) -> Self {
        static KEY: LazyLock<Arc<str>> = LazyLock::new(|| CONFIG_KEY.into());
        let lines = settings.iter().map(|line| (&*KEY, line.as_bytes()));
        Self {
            config: Arc::new(PolicyObject::read(None, Carrier::Config, lines, Since::default())),
            carried: HashMap::new(),
            governing: HashMap::new(),
            servers: HashMap::new(),
            serving: HashMap::new(),
            named: BTreeMap::new(),
            aimed: BTreeSet::new(),
        }
    }

    /// The policy lines on a user's own entry, without regard to where it stands.
    pub(crate) fn user_lines(attributes: &Attributes) -> Option<PolicyObject> {
        static KEY: LazyLock<Arc<str>> = LazyLock::new(|| SETTING.into());
        let values = attributes.values(SETTING);
        let lines = values.iter().map(|value| (&*KEY, value));
        (!values.is_empty()).then(|| PolicyObject::read(None, Carrier::User, lines, Since::default()))
    }

    /// Reads a whole snapshot, forgetting what was before.
    pub(crate) fn load(&mut self, snapshot: &Snapshot) {
        self.carried.clear();
        self.governing.clear();
        self.servers.clear();
        self.serving.clear();
        self.named.clear();
        self.aimed.clear();
        let mut touched = Touched::default();
        for object in snapshot.iter().filter(|object| may_carry(object)) {
            self.read(snapshot, object.id, &mut touched);
        }
        self.name(snapshot);
    }

    /// Reads an object again, which may have come, changed, moved or gone.
    pub(crate) fn read(&mut self, snapshot: &Snapshot, id: ObjectId, touched: &mut Touched) {
        let object = snapshot.get(id);
        if object.is_some_and(|object| aim::is_aimed(object)) {
            self.aimed.insert(id);
        } else {
            self.aimed.remove(&id);
        }
        self.read_policy(snapshot, id, object, touched);
        self.read_server(snapshot, id, object, touched);
    }

    /// Reads again every policy that names sites or subnets.
    pub(crate) fn read_aimed(&mut self, snapshot: &Snapshot, touched: &mut Touched) {
        for id in self.aimed.clone() {
            self.read(snapshot, id, touched);
        }
    }

    fn read_policy(&mut self, snapshot: &Snapshot, id: ObjectId, object: Option<&Arc<Object>>, touched: &mut Touched) {
        let mut now = object.and_then(|object| carried(snapshot, object));
        let before = self.carried.get(&id);
        if let (Some(now), Some(before)) = (&mut now, before)
            && now.governs == before.governs
        {
            let mut policy = PolicyObject::clone(&now.policy);
            policy.keep_since(&before.policy);
            if policy == *before.policy {
                return;
            }
            now.policy = Arc::new(policy);
        }
        for target in self.carried.remove(&id).into_iter().flat_map(|before| before.governs) {
            touched.governed.insert(target);
            if let Some(policies) = self.governing.get_mut(&target) {
                policies.retain(|policy| policy.id != Some(id));
                if policies.is_empty() {
                    self.governing.remove(&target);
                }
            }
        }
        if let Some(now) = now {
            for target in &now.governs {
                touched.governed.insert(*target);
                let policies = self.governing.entry(*target).or_default();
                let at = policies.partition_point(|policy| policy.rank() < now.policy.rank());
                policies.insert(at, Arc::clone(&now.policy));
            }
            self.carried.insert(id, now);
        }
    }

    fn read_server(&mut self, snapshot: &Snapshot, id: ObjectId, object: Option<&Arc<Object>>, touched: &mut Touched) {
        let now = object
            .filter(|object| object.kind == Kind::Server)
            .map(|object| Placed { container: served_container(snapshot, object), server: Arc::new(ServerObject::read(object)) });
        let before = self.servers.get(&id);
        if let (Some(now), Some(before)) = (&now, before)
            && now.container == before.container
            && now.server == before.server
        {
            return;
        }
        for placed in before.into_iter().chain(&now) {
            if let Some(container) = placed.container {
                touched.served.extend(placed.server.roles.iter().map(|role| (container, Arc::clone(role))));
            }
        }
        if let Some(container) = self.servers.remove(&id).and_then(|before| before.container)
            && let Some(there) = self.serving.get_mut(&container)
        {
            there.retain(|server| server.id != id);
            if there.is_empty() {
                self.serving.remove(&container);
            }
        }
        if let Some(now) = now {
            if let Some(container) = now.container {
                let there = self.serving.entry(container).or_default();
                let at = there.partition_point(|server| server.id < id);
                there.insert(at, Arc::clone(&now.server));
            }
            self.servers.insert(id, now);
        }
    }

    /// Finds again what the names in filters stand for. Gives the objects whose filters read otherwise now, by whom they
    /// govern; `None` stands for the configuration.
    pub(crate) fn name(&mut self, snapshot: &Snapshot) -> BTreeSet<Option<ObjectId>> {
        let mut named = BTreeMap::new();
        let mut differing = BTreeSet::new();
        let everybody = std::iter::once((None, &self.config));
        let governing =
            self.carried.values().flat_map(|carried| carried.governs.iter().map(move |target| (Some(*target), &carried.policy)));
        for (target, policy) in everybody.chain(governing) {
            for filter in &policy.filters {
                let (Filter::Allow(dn) | Filter::Deny(dn)) = filter else { continue };
                let now = *named
                    .entry(dn.clone())
                    .or_insert_with(|| snapshot.find(dn).filter(|id| snapshot.get(*id).is_some_and(|object| object.kind == Kind::Group)));
                if self.named.get(dn) != Some(&now) {
                    differing.insert(target);
                }
            }
        }
        self.named = named;
        differing
    }

    /// The lines of the configuration.
    pub(crate) fn config(&self) -> &[Arc<PolicyObject>] {
        std::slice::from_ref(&self.config)
    }

    /// The policies of a container, group or user, the one that wins first.
    pub(crate) fn policies(&self, target: ObjectId) -> &[Arc<PolicyObject>] {
        self.governing.get(&target).map_or(&[], Vec::as_slice)
    }

    /// Whether a container, group or user has any policy.
    pub(crate) fn governs(&self, target: ObjectId) -> bool {
        self.governing.contains_key(&target)
    }

    /// The group that a filter names, if there is one.
    pub(crate) fn group(&self, dn: &Dn) -> Option<ObjectId> {
        self.named.get(dn).copied().flatten()
    }

    /// The groups that filters name.
    pub(crate) fn filtering_groups(&self) -> impl Iterator<Item = ObjectId> {
        self.named.values().filter_map(|group| *group)
    }

    /// The servers that count for a container itself.
    pub(crate) fn servers(&self, container: ObjectId) -> &[Arc<ServerObject>] {
        self.serving.get(&container).map_or(&[], Vec::as_slice)
    }

    /// Every policy, the configuration's first, and whether it stands where it governs nobody.
    pub(crate) fn all_policies(&self) -> impl Iterator<Item = (&Arc<PolicyObject>, bool)> {
        let config = std::iter::once((&self.config, false));
        config.chain(self.carried.values().map(|carried| (&carried.policy, carried.governs.is_empty())))
    }

    /// Everything that is governed, with its policies.
    pub(crate) fn governed(&self) -> impl Iterator<Item = (ObjectId, &[Arc<PolicyObject>])> {
        self.governing.iter().map(|(id, policies)| (*id, policies.as_slice()))
    }

    /// Every server object.
    pub(crate) fn all_servers(&self) -> impl Iterator<Item = &Arc<ServerObject>> {
        self.servers.values().map(|placed| &placed.server)
    }

    /// The groups that carry policies.
    pub(crate) fn governing_groups<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = ObjectId> + 'a {
        self.governing.keys().copied().filter(|id| snapshot.get(*id).is_some_and(|object| object.kind == Kind::Group))
    }
}

/// The closest container that a server counts for.
fn served_container(snapshot: &Snapshot, server: &Object) -> Option<ObjectId> {
    let place = stands_in(snapshot, server)?;
    if matches!(place.kind, Kind::Container(_)) { Some(place.id) } else { container_of(snapshot, server.id) }
}

/// A cheap test before an object is read.
fn may_carry(object: &Object) -> bool {
    matches!(object.kind, Kind::Policy | Kind::Server) || object.attributes.has(SETTING)
}

/// The lines that an object carries, and whom they govern.
fn carried(snapshot: &Snapshot, object: &Object) -> Option<Carried> {
    static ATTRIBUTES: LazyLock<[Arc<str>; 2]> = LazyLock::new(|| [SETTING.into(), BINDING.into()]);
    if !may_carry(object) || object.kind == Kind::Server && !object.attributes.has(SETTING) {
        return None;
    }
    let by_kind = |object: &Object| match object.kind {
        Kind::Container(_) => Some((object.id, Carrier::Container)),
        Kind::Group => Some((object.id, Carrier::Group)),
        Kind::User => Some((object.id, Carrier::User)),
        Kind::Device => Some((object.id, Carrier::Device)),
        Kind::Site => Some((object.id, Carrier::Site)),
        Kind::Subnet => Some((object.id, Carrier::Subnet)),
        _ => None,
    };
    let mut faults = Vec::new();
    let governs: Vec<(ObjectId, Carrier)> = match object.kind {
        Kind::Policy if aim::is_aimed(object) => aim::targets(snapshot, object, &mut faults),
        // An entry that is nothing but a policy speaks for what it stands in.
        Kind::Policy => stands_in(snapshot, object).and_then(|place| by_kind(place)).into_iter().collect(),
        _ => by_kind(object).into_iter().collect(),
    };
    // A policy that governs nobody is read as if in a container: its lines have faults too.
    let carrier = governs.first().map_or(Carrier::Container, |(_, carrier)| *carrier);
    let names = if object.kind == Kind::Policy { &ATTRIBUTES[..] } else { &ATTRIBUTES[..1] };
    let lines = names.iter().flat_map(|name| object.attributes.values(name).iter().map(move |value| (name, value)));
    let mut policy = PolicyObject::read(Some(object.id), carrier, lines, Since { generation: object.changed, at: object.changed_at });
    policy.faults.extend(faults);
    (!policy.is_empty()).then(|| Carried { governs: governs.into_iter().map(|(id, _)| id).collect(), policy: Arc::new(policy) })
}
