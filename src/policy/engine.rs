//! The incremental engine: every user's settings, kept up to date change by change.
//!
//! [`Engine::load`] resolves everybody. [`Engine::update`] comes to the same answer from the one before, looking only at
//! whom the changes can affect; a property test holds it to that.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::addresses::{Addresses, Claim};
use super::catalogue::Setting;
use super::identity::{IdentityConfig, created};
use super::impact::{self, Impact};
use super::layers::{Chain, container_of};
use super::object::HeldFault;
use super::outcome::{Outcome, UserChange, Withholding};
use super::personal::{Orders, Personal};
use super::relevant::Relevant;
use super::resolve::shared;
use super::resolved::{Resolved, ResolvedSet, Want};
use super::sources::Sources;
use super::witness::Silent;
use crate::model::{Aor, Kind, ObjectId};
use crate::store::{ChangeSet, Object, Snapshot};

/// What the configuration says about policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyConfig {
    /// The lines of the layer `config`.
    pub settings: Vec<String>,
    /// Where identities come from.
    pub identity: IdentityConfig,
}

/// Every user's settings, for one directory.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: PolicyConfig,
    pub(crate) snapshot: Snapshot,
    pub(crate) sources: Sources,
    relevant: Relevant,
    chains: HashMap<Option<ObjectId>, Arc<Chain>>,
    sets: HashMap<Option<ObjectId>, HashMap<Box<[ObjectId]>, Held>>,
    pub(crate) users: BTreeMap<ObjectId, User>,
    addresses: Addresses,
    /// Users whose own lines ask for servers of these roles: a moved server may concern them.
    seeking: BTreeMap<ObjectId, Box<[Arc<str>]>>,
    /// Users whose own lines have filters: any membership may concern them.
    filtering: BTreeSet<ObjectId>,
    /// Counts loads and updates: a set is decided at most once in each.
    round: u64,
}

/// A shared set, and for whom it is kept.
#[derive(Debug)]
struct Held {
    set: Arc<ResolvedSet>,
    orders: Orders,
    users: usize,
    round: u64,
}

/// What is known of a user.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) shared: Arc<ResolvedSet>,
    /// `None`: no address, so no document.
    pub(crate) resolved: Option<Arc<Resolved>>,
    pub(crate) standing: Standing,
    pub(crate) faults: Box<[HeldFault]>,
    pub(crate) wants: Box<[Want]>,
}

/// Whether a user gets a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is no address to publish at.
    NoAddress,
    /// The user's settings are published.
    Published,
    /// They are not.
    Withheld(Withholding),
}

/// What a round has to decide anew.
#[derive(Default)]
struct Stale {
    containers: HashSet<Option<ObjectId>>,
    groups: BTreeSet<ObjectId>,
    served: HashMap<ObjectId, BTreeSet<Arc<str>>>,
}

impl Engine {
    /// An engine that knows no directory yet.
    pub fn new(config: PolicyConfig) -> Self {
        Self {
            sources: Sources::new(&config.settings),
            config,
            snapshot: Snapshot::default(),
            relevant: Relevant::default(),
            chains: HashMap::new(),
            sets: HashMap::new(),
            users: BTreeMap::new(),
            addresses: Addresses::default(),
            seeking: BTreeMap::new(),
            filtering: BTreeSet::new(),
            round: 0,
        }
    }

    /// Resolves everybody. What was known before is compared with, so that the outcome holds only what differs.
    pub fn load(&mut self, snapshot: &Snapshot) -> Outcome {
        self.begin(snapshot);
        self.sources.load(snapshot);
        self.relevant = Relevant::of(snapshot, &self.sources);
        self.chains.clear();
        self.sets.clear();
        let before = std::mem::take(&mut self.users);
        let mut touched: BTreeSet<Aor> = self.addresses.forget_claims().collect();
        let stale = Stale::default();
        let mut outcome = Outcome::default();
        for object in snapshot.iter().filter(|object| object.kind == Kind::User) {
            outcome.examined += 1;
            let container = container_of(snapshot, object.id);
            let shared = self.shared(object.id, container, &stale);
            touched.extend(self.examine(object, shared));
        }
        self.seeking.retain(|id, _| self.users.contains_key(id));
        self.filtering.retain(|id| self.users.contains_key(id));
        self.settle(touched, before.into_iter().map(|(id, user)| (id, user.standing)).collect(), &mut outcome);
        outcome
    }

    /// Takes the changes that lead from the snapshot seen last to this one, and resolves whom they can affect.
    pub fn update(&mut self, snapshot: &Snapshot, changes: &[ChangeSet]) -> Outcome {
        let before = self.begin(snapshot);
        let impact = impact::of(&before, snapshot, changes, &mut self.sources, &mut self.relevant);
        let mut outcome = Outcome::default();
        let mut possible = impact.possible.clone();
        let stale = self.stale(&impact, &mut possible);
        let mut touched = BTreeSet::new();
        let mut standings = BTreeMap::new();
        for id in &impact.certain {
            possible.remove(id);
            outcome.examined += 1;
            if let Some(user) = self.users.get(id) {
                standings.insert(*id, user.standing.clone());
            }
            match snapshot.get(*id).filter(|object| object.kind == Kind::User) {
                Some(object) => {
                    let shared = self.shared(*id, container_of(snapshot, *id), &stale);
                    touched.extend(self.examine(object, shared));
                }
                None => touched.extend(self.remove(*id)),
            }
        }
        for id in possible {
            let Some(object) = snapshot.get(id).filter(|object| object.kind == Kind::User) else { continue };
            let shared = self.shared(id, container_of(snapshot, id), &stale);
            if let Some(user) = self.users.get(&id) {
                let has_own = self.seeking.contains_key(&id) || self.filtering.contains(&id);
                if Arc::ptr_eq(&user.shared, &shared) && !has_own {
                    continue;
                }
                standings.insert(id, user.standing.clone());
            }
            outcome.examined += 1;
            touched.extend(self.examine(object, shared));
        }
        self.settle(touched, standings, &mut outcome);
        outcome
    }

    /// Every user who has a document now, by id.
    pub fn users(&self) -> impl Iterator<Item = &Arc<Resolved>> {
        self.users.values().filter(|user| user.standing == Standing::Published).filter_map(|user| user.resolved.as_ref())
    }

    /// Every user whose document is withheld, by id, and why.
    pub fn withheld(&self) -> impl Iterator<Item = (ObjectId, &Withholding)> {
        self.users.iter().filter_map(|(id, user)| match &user.standing {
            Standing::Withheld(why) => Some((*id, why)),
            Standing::Published | Standing::NoAddress => None,
        })
    }

    /// The user whose document is at an address.
    pub fn user_by_aor(&self, aor: &Aor) -> Option<&Arc<Resolved>> {
        let user = self.users.get(&self.addresses.owner(aor)?)?;
        user.resolved.as_ref().filter(|_| user.standing == Standing::Published)
    }

    /// Holds that users share what is kept for them, and nothing else is kept.
    #[cfg(test)]
    pub(crate) fn check_sharing(&self) {
        let mut counts: HashMap<*const ResolvedSet, usize> = HashMap::new();
        for user in self.users.values() {
            *counts.entry(Arc::as_ptr(&user.shared)).or_default() += 1;
        }
        let held = self.sets.values().flat_map(HashMap::values);
        let held: HashMap<*const ResolvedSet, usize> = held.map(|held| (Arc::as_ptr(&held.set), held.users)).collect();
        assert_eq!(counts, held);
    }

    /// A new round; gives the snapshot of the one before.
    fn begin(&mut self, snapshot: &Snapshot) -> Snapshot {
        self.round += 1;
        std::mem::replace(&mut self.snapshot, snapshot.clone())
    }

    /// What is to be decided anew, and the users who may differ by it.
    fn stale(&mut self, impact: &Impact, possible: &mut HashSet<ObjectId>) -> Stale {
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
                    _ => {}
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

    /// The set that a user shares; decided anew if a change can have made it another, once in a round.
    fn shared(&mut self, user: ObjectId, container: Option<ObjectId>, stale: &Stale) -> Arc<ResolvedSet> {
        let chain = self.chain(container);
        let groups = self.relevant.groups(&self.snapshot, &chain, user);
        let held = self.sets.get_mut(&container).and_then(|sets| sets.get_mut(groups.as_slice()));
        if let Some(held) = &held
            && (held.round == self.round || !stale.covers(&held.set))
        {
            return Arc::clone(&held.set);
        }
        let set = shared(&self.sources, &chain, container, &groups, &mut Silent);
        if let Some(held) = held {
            held.round = self.round;
            if *held.set != set {
                held.set = Arc::new(set);
                held.orders = Orders::default();
            }
            Arc::clone(&held.set)
        } else {
            let held = Held { set: Arc::new(set), orders: Orders::default(), users: 0, round: self.round };
            let set = Arc::clone(&held.set);
            self.sets.entry(container).or_default().insert(groups.into(), held);
            set
        }
    }

    fn chain(&mut self, container: Option<ObjectId>) -> Arc<Chain> {
        let chain = self.chains.entry(container).or_insert_with(|| Arc::new(Chain::of(&self.snapshot, &self.sources, container)));
        Arc::clone(chain)
    }

    /// Resolves a user on top of the shared set. Gives the addresses whose owners are to be settled: the one the user
    /// claimed, and the one it claims.
    fn examine(&mut self, object: &Arc<Object>, shared: Arc<ResolvedSet>) -> impl Iterator<Item = Aor> + use<> {
        let id = object.id;
        let chain = self.chain(shared.container);
        let personal = Personal {
            snapshot: &self.snapshot,
            sources: &self.sources,
            identity: &self.config.identity,
            chain: &chain,
            set: &shared,
            user: object,
        };
        let held = self.sets.get_mut(&shared.container).and_then(|sets| sets.get_mut(&shared.groups));
        let own = match held {
            Some(held) => {
                held.users += 1;
                personal.decide(&mut held.orders, &mut Silent)
            }
            None => personal.decide(&mut Orders::default(), &mut Silent),
        };
        if own.roles.is_empty() {
            self.seeking.remove(&id);
        } else {
            self.seeking.insert(id, own.roles.into_iter().collect());
        }
        if self.sources.policies(id).iter().any(|policy| !policy.filters.is_empty()) {
            self.filtering.insert(id);
        } else {
            self.filtering.remove(&id);
        }
        let claim = own.aor.map(|aor| Claim { aor, created: created(&object.attributes), user: id });
        let resolved = claim.as_ref().map(|claim| {
            let resolved = Resolved { user: id, aor: claim.aor.clone(), shared: Arc::clone(&shared), own: own.decisions.into() };
            Arc::new(resolved)
        });
        let user =
            User { shared, resolved, standing: Standing::NoAddress, faults: own.faults.into(), wants: own.wants.into_iter().collect() };
        let now = claim.as_ref().map(|claim| claim.aor.clone());
        let before = self.addresses.claim(id, claim);
        if let Some(old) = self.users.insert(id, user) {
            self.release(&old.shared);
        }
        before.into_iter().chain(now)
    }

    /// Forgets a user. Gives the address that it claimed.
    fn remove(&mut self, id: ObjectId) -> Option<Aor> {
        if let Some(user) = self.users.remove(&id) {
            self.release(&user.shared);
        }
        self.seeking.remove(&id);
        self.filtering.remove(&id);
        self.addresses.claim(id, None)
    }

    /// One user less shares a set; the last one takes it away.
    fn release(&mut self, set: &ResolvedSet) {
        let Some(sets) = self.sets.get_mut(&set.container) else { return };
        if let Some(held) = sets.get_mut(&set.groups) {
            held.users = held.users.saturating_sub(1);
            if held.users == 0 {
                sets.remove(&set.groups);
            }
        }
        if sets.is_empty() {
            self.sets.remove(&set.container);
            self.chains.remove(&set.container);
        }
    }

    /// Decides who owns the addresses that were touched, and tells what differs from what was told before.
    fn settle(&mut self, touched: BTreeSet<Aor>, standings: BTreeMap<ObjectId, Standing>, outcome: &mut Outcome) {
        let mut standings = standings;
        let mut concerned: BTreeSet<ObjectId> = standings.keys().copied().collect();
        let mut gone = Vec::new();
        let mut resolved: Vec<Arc<Resolved>> = Vec::new();
        for aor in touched {
            let Some((owner, others)) = self.addresses.claimants(&aor) else {
                gone.extend(self.addresses.withdraw(&aor).map(|user| UserChange::Gone { user, aor }));
                continue;
            };
            for id in others {
                if let Some(user) = self.users.get_mut(&id) {
                    concerned.insert(id);
                    standings.entry(id).or_insert_with(|| user.standing.clone());
                    user.standing = Standing::Withheld(Withholding::AddressTaken { aor: aor.clone(), owner });
                }
            }
            let Some(user) = self.users.get_mut(&owner) else { continue };
            concerned.insert(owner);
            standings.entry(owner).or_insert_with(|| user.standing.clone());
            let Some(now) = &user.resolved else { continue };
            if now.get(Setting::SIP_REGISTRAR).is_none() {
                user.standing = Standing::Withheld(Withholding::NoRegistrar { aor });
                continue;
            }
            user.standing = Standing::Published;
            if self.addresses.publish(now) {
                resolved.push(Arc::clone(now));
            }
        }
        gone.sort_by_key(UserChange::user);
        resolved.sort_by_key(|resolved| resolved.user);
        outcome.users = gone;
        for id in concerned {
            if let Some(Standing::Withheld(why)) = self.users.get(&id).map(|user| &user.standing)
                && standings.get(&id) != Some(&Standing::Withheld(why.clone()))
            {
                outcome.users.push(UserChange::Withheld { user: id, why: why.clone() });
            }
        }
        outcome.users.extend(resolved.into_iter().map(UserChange::Resolved));
    }
}

impl Stale {
    fn covers(&self, set: &ResolvedSet) -> bool {
        self.containers.contains(&set.container)
            || set.groups.iter().any(|group| self.groups.contains(group))
            || set.container.and_then(|id| self.served.get(&id)).is_some_and(|roles| set.roles.iter().any(|role| roles.contains(role)))
    }
}

/// The users whose closest container this is.
fn users_of(snapshot: &Snapshot, container: ObjectId) -> Vec<ObjectId> {
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
