//! The incremental engine: every user's settings, kept up to date change by change.
//!
//! [`Engine::load`] resolves everybody. [`Engine::update`] comes to the same answer from the one before, looking only at
//! whom the changes can affect; a property test holds it to that.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::addresses::{Addresses, Claim, First};
use super::candidates::{ByContainer, Candidate, by_container};
use super::catalogue::Setting;
use super::device::Devices;
use super::identity::{IdentityConfig, created, is_disabled};
use super::impact;
use super::layers::{Chain, Layer};
use super::network::Network;
use super::object::HeldFault;
use super::outcome::{Later, Outcome, UserChange, Withholding};
use super::personal::{Orders, Personal};
use super::reach::Reach;
use super::relevant::{Direct, Relevant};
use super::resolve::{Sharers, shared};
use super::resolved::{Resolved, ResolvedSet, Want};
use super::sources::Sources;
use super::stale::Stale;
use super::told::Told;
use super::wanted::Wanted;
use super::witness::Silent;
use crate::model::{Aor, Dn, Kind, ObjectId, Spot};
use crate::store::{ChangeSet, Object, Snapshot};

/// What the configuration says about policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyConfig {
    /// The lines of the layer `config`.
    pub settings: Vec<String>,
    /// Where identities come from.
    pub identity: IdentityConfig,
    /// Sites and subnets count only below these entries; empty: everywhere.
    pub networks: Vec<Dn>,
}

/// Every user's settings, for one directory.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: PolicyConfig,
    pub(crate) snapshot: Snapshot,
    pub(crate) sources: Sources,
    pub(super) relevant: Relevant,
    pub(super) network: Network,
    pub(super) devices: Devices,
    pub(super) wanted: Wanted,
    pub(super) chains: HashMap<Option<ObjectId>, Arc<Chain>>,
    pub(super) sets: HashMap<Option<ObjectId>, Sets>,
    /// A sorted map: with a million users a hash table may be half empty.
    pub(crate) users: BTreeMap<ObjectId, User>,
    pub(super) addresses: Addresses,
    /// Users whose own lines ask for servers of these roles: a moved server may concern them.
    pub(super) seeking: BTreeMap<ObjectId, Box<[Arc<str>]>>,
    /// Users whose own lines have filters: any membership may concern them.
    filtering: BTreeSet<ObjectId>,
    /// Whom the last update could affect anywhere, where somebody asked for it to be noted.
    pub(super) reach: Option<Reach>,
    /// Counts loads and updates: a set is decided at most once in each.
    round: u64,
}

/// The sets of one container, by the groups that make the difference.
pub(super) type Sets = HashMap<Box<[ObjectId]>, Held>;

/// A shared set, and for whom it is kept.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) set: Arc<ResolvedSet>,
    orders: Orders,
    users: usize,
    round: u64,
}

/// What is known of a user.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) shared: Arc<ResolvedSet>,
    /// `None`: no address, so no document.
    pub(crate) aor: Option<Aor>,
    pub(crate) standing: Standing,
    pub(super) has_registrar: bool,
    /// Whether the directory has disabled the account.
    pub(super) is_disabled: bool,
    /// What is wrong with the user's own entry: hardly ever anything.
    pub(crate) amiss: Option<Box<Amiss>>,
}

/// What is wrong with a user's own entry.
#[derive(Debug)]
pub(crate) struct Amiss {
    pub(crate) faults: Vec<HeldFault>,
    pub(crate) wants: BTreeSet<Want>,
}

/// Whether a user gets a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is no address to publish at.
    NoAddress,
    /// The account is disabled: an explicit empty profile is published.
    Disabled,
    /// The user's settings are published.
    Published,
    /// They are not.
    Withheld(Box<Withholding>),
}

/// What a round brings about, besides the users themselves.
#[derive(Default)]
pub(super) struct Round {
    pub(super) examined: usize,
    /// Addresses whose owners are to be settled.
    pub(super) touched: Vec<Aor>,
    /// Sets that a user does not share any more.
    pub(super) released: Vec<Arc<ResolvedSet>>,
    /// Users as they are now.
    pub(super) users: Vec<(ObjectId, User)>,
    /// The first claims of all, when there were none before.
    pub(super) claims: Option<Vec<First>>,
    /// How many of those that are to come later have their settings of before at hand.
    pub(super) befores: usize,
    /// The settings of some of the users, at hand for whoever asks next.
    pub(super) resolved: HashMap<ObjectId, Arc<Resolved>>,
}

/// So many settings are at hand in a round, at some hundred octets each; the others are made again when they are asked for.
pub(super) const AT_HAND_MAX: usize = 131_072;

impl Engine {
    /// An engine that knows no directory yet.
    pub fn new(config: PolicyConfig) -> Self {
        Self {
            sources: Sources::new(&config.settings),
            network: Network::new(config.networks.clone()),
            config,
            snapshot: Snapshot::default(),
            relevant: Relevant::default(),
            devices: Devices::default(),
            wanted: Wanted::default(),
            chains: HashMap::new(),
            sets: HashMap::new(),
            users: BTreeMap::new(),
            addresses: Addresses::default(),
            seeking: BTreeMap::new(),
            filtering: BTreeSet::new(),
            reach: None,
            round: 0,
        }
    }

    /// Resolves everybody. What was known before is compared with, so that the outcome holds only what differs.
    pub fn load(&mut self, snapshot: &Snapshot) -> Outcome {
        let mut outcome = self.load_by_parts(snapshot);
        while let Some(part) = self.part(&mut outcome.later) {
            outcome.users.extend(part);
        }
        outcome
    }

    /// The same, with the settings themselves left for [`Engine::part`].
    pub fn load_by_parts(&mut self, snapshot: &Snapshot) -> Outcome {
        self.begin(snapshot);
        self.sources.load(snapshot);
        self.network.load(snapshot, &self.sources);
        self.devices.load(snapshot, &self.config.identity.device);
        self.relevant = Relevant::of(snapshot, &self.sources);
        self.chains.clear();
        self.sets.clear();
        self.seeking.clear();
        self.filtering.clear();
        self.addresses.forget_claims();
        let mut before = std::mem::take(&mut self.users);
        let memberships = self.relevant.memberships(snapshot);
        let users = snapshot.iter().filter(|object| object.kind == Kind::User);
        // Both are sorted by the user.
        let mut rest = memberships.as_slice();
        let everybody = users.map(|user| {
            let ahead = rest.iter().take_while(|(member, _)| *member < user.id).count();
            let (_, from) = rest.split_at(ahead);
            let own;
            (own, rest) = from.split_at(from.iter().take_while(|(member, _)| *member == user.id).count());
            Candidate { user, direct: Direct::Known(own), is_certain: true }
        });
        let candidates = by_container(snapshot, everybody);
        let mut round = Round { claims: self.addresses.is_empty().then(Vec::new), ..Round::default() };
        self.examine_all(&candidates, &Stale::default(), &mut before, &mut round);
        drop(before);
        // In the order of their ids they fill the map's nodes.
        let users = std::mem::take(&mut round.users);
        let mut told = VecDeque::new();
        match round.claims.take() {
            Some(claims) => {
                round.touched = self.addresses.fill(claims);
                let contested: HashSet<&Aor> = round.touched.iter().collect();
                let is_told =
                    |user: &User| user.standing == Standing::Published && user.aor.as_ref().is_some_and(|aor| !contested.contains(aor));
                told.extend(users.iter().filter(|(_, user)| is_told(user)).map(|(id, _)| Later { user: *id, before: None }));
            }
            None => round.touched.extend(self.addresses.unclaimed()),
        }
        self.users = users.into_iter().collect();
        let mut outcome = self.settle(&mut round);
        if !outcome.later.is_empty() {
            told.append(&mut outcome.later);
            let container = |later: &Later| self.users.get(&later.user).map(|user| user.shared.container);
            told.make_contiguous().sort_by_cached_key(|later| (container(later), later.user));
        }
        Outcome { later: told, answers: self.answer_all_again(), ..outcome }
    }

    /// The next of those who are to come later; `None` when there are none left.
    pub fn part(&mut self, later: &mut VecDeque<Later>) -> Option<Vec<UserChange>> {
        if later.is_empty() {
            return None;
        }
        let part = later.drain(..PART.min(later.len()));
        let change = |Later { user, before }| {
            let before = before.and_then(|before: Told| before.settings(&self.config.identity));
            Some(UserChange::Resolved { now: self.resolve_in_order(user)?, before })
        };
        Some(part.filter_map(change).collect())
    }

    /// As [`resolve`], with the orders of servers that others had before.
    pub(super) fn resolve_in_order(&mut self, id: ObjectId) -> Option<Arc<Resolved>> {
        let set = Arc::clone(&self.users.get(&id)?.shared);
        let held =
            |engine: &mut Self| engine.sets.get_mut(&set.container)?.get_mut(&set.groups).map(|held| std::mem::take(&mut held.orders));
        let mut orders = held(self).unwrap_or_default();
        let resolved = resolve(self, id, &mut orders);
        if let Some(held) = self.sets.get_mut(&set.container).and_then(|sets| sets.get_mut(&set.groups)) {
            held.orders = orders;
        }
        resolved
    }

    /// Takes the changes that lead from the snapshot seen last to this one, and resolves whom they can affect.
    pub fn update(&mut self, snapshot: &Snapshot, changes: &[ChangeSet]) -> Outcome {
        let before = self.begin(snapshot);
        let mut impact = impact::of(&before, snapshot, changes, &mut self.sources, &mut self.relevant);
        self.note(&mut impact, changes);
        let mut possible = std::mem::take(&mut impact.possible);
        let stale = self.stale(&impact, &mut possible);
        let mut looked_at: HashSet<ObjectId> = HashSet::new();
        if self.looks_at_places() {
            looked_at.extend(possible.iter().chain(&impact.certain));
        }
        possible.retain(|id| !impact.certain.contains(id));
        let mut round = Round::default();
        for id in &impact.certain {
            if snapshot.get(*id).is_none_or(|object| object.kind != Kind::User) {
                round.examined += 1;
                self.remove(*id, &mut round);
            }
        }
        let users = impact.certain.iter().map(|id| (*id, true)).chain(possible.into_iter().map(|id| (id, false)));
        let users = users.filter_map(|(id, is_certain)| Some((snapshot.get(id)?, is_certain)));
        let users = users.filter(|(object, _)| object.kind == Kind::User);
        let candidates = by_container(snapshot, users.map(|(user, is_certain)| Candidate { user, direct: Direct::Asked, is_certain }));
        let mut users = std::mem::take(&mut self.users);
        self.examine_all(&candidates, &stale, &mut users, &mut round);
        // Whom nobody looked at stays as it was.
        self.users = users;
        self.users.extend(std::mem::take(&mut round.users));
        for set in &round.released {
            self.release(set);
        }
        round.touched.sort_unstable();
        round.touched.dedup();
        let affected = self.affected(&impact, &stale, &looked_at, &round.touched);
        self.note_reach(&impact, &stale, looked_at, &round.touched);
        let mut outcome = self.settle(&mut round);
        for Later { user, before } in std::mem::take(&mut outcome.later) {
            let before = before.and_then(|before| before.settings(&self.config.identity));
            outcome.users.extend(self.now(user, &mut round).map(|now| UserChange::Resolved { now, before }));
        }
        Outcome { answers: self.answer_again(affected), ..outcome }
    }

    /// Every user who has a document now, by id.
    ///
    /// Each is made when it is asked for.
    pub fn users(&self) -> impl Iterator<Item = Arc<Resolved>> {
        let published = self.users.iter().filter(|(_, user)| user.standing == Standing::Published);
        published.filter_map(|(id, _)| resolve(self, *id, &mut Orders::default()))
    }

    /// The addresses of those, in the same order.
    pub fn addresses(&self) -> impl Iterator<Item = &Aor> {
        let published = self.users.values().filter(|user| user.standing == Standing::Published);
        published.filter_map(|user| user.aor.as_ref())
    }

    /// How many users have a document now.
    pub fn published(&self) -> usize {
        self.users.values().filter(|user| user.standing == Standing::Published).count()
    }

    /// Every user whose document is withheld, by id, and why.
    pub fn withheld(&self) -> impl Iterator<Item = (ObjectId, &Withholding)> {
        self.users.iter().filter_map(|(id, user)| if let Standing::Withheld(why) = &user.standing { Some((*id, &**why)) } else { None })
    }

    /// The user whose document is at an address.
    pub fn user_by_aor(&self, aor: &Aor) -> Option<Arc<Resolved>> {
        let id = self.addresses.owner(aor)?;
        self.users.get(&id).filter(|user| user.standing == Standing::Published)?;
        resolve(self, id, &mut Orders::default())
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

    /// Looks at users; what was known of them is taken out of `before`.
    fn examine_all(&mut self, candidates: &ByContainer<'_>, stale: &Stale, before: &mut BTreeMap<ObjectId, User>, round: &mut Round) {
        for (container, users) in candidates {
            let container = *container;
            let chain = self.chain(container);
            let mut sets = self.sets.remove(&container).unwrap_or_default();
            let mut groups = Vec::new();
            for candidate in users {
                let id = candidate.user.id;
                self.relevant.groups(&self.snapshot, &chain, id, candidate.direct, &mut groups);
                let held = self.held(&mut sets, &chain, container, &groups, stale);
                match before.get(&id) {
                    Some(old) if !candidate.is_certain && self.is_untouched(id, old, held) => {}
                    _ => self.examine(candidate.user, &chain, held, before.remove(&id), round),
                }
            }
            self.sets.insert(container, sets);
        }
    }

    /// Whether nothing that is decided elsewhere can make a difference to the user.
    fn is_untouched(&self, id: ObjectId, old: &User, held: &Held) -> bool {
        Arc::ptr_eq(&old.shared, &held.set) && !self.seeking.contains_key(&id) && !self.filtering.contains(&id)
    }

    /// The set of a container for users in these groups; decided anew if a change can have made it another, once in a round.
    fn held<'s>(&self, sets: &'s mut Sets, chain: &Chain, container: Option<ObjectId>, groups: &[ObjectId], stale: &Stale) -> &'s mut Held {
        // Without regard to where an endpoint is.
        let sharers = Sharers { container, groups, spot: Spot::default(), with_network: false };
        let decide = || Arc::new(shared(&self.sources, chain, &sharers, &mut Silent));
        if !sets.contains_key(groups) {
            let held = Held { set: decide(), orders: Orders::default(), users: 0, round: self.round };
            return sets.entry(groups.into()).or_insert(held);
        }
        let held = sets.entry(groups.into()).or_insert_with(|| Held { set: decide(), orders: Orders::default(), users: 0, round: 0 });
        if held.round != self.round && stale.covers(&held.set) {
            held.round = self.round;
            let set = decide();
            if held.set != set {
                held.set = set;
                held.orders = Orders::default();
            }
        }
        held
    }

    pub(super) fn chain(&mut self, container: Option<ObjectId>) -> Arc<Chain> {
        let chain = self.chains.entry(container).or_insert_with(|| Arc::new(Chain::of(&self.snapshot, &self.sources, container)));
        Arc::clone(chain)
    }

    /// Resolves a user on top of the shared set.
    fn examine(&mut self, object: &Arc<Object>, chain: &Chain, held: &mut Held, old: Option<User>, round: &mut Round) {
        round.examined += 1;
        let id = object.id;
        let personal = Personal {
            snapshot: &self.snapshot,
            sources: &self.sources,
            identity: Some(&self.config.identity),
            chain,
            set: &held.set,
            user: object,
            layer: Layer::User,
            above: None,
        };
        let own = personal.decide(&mut held.orders, &mut Silent);
        held.users += 1;
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
        let mut standing = Standing::NoAddress;
        if let Some(old) = old {
            if let Some(aor) = old.aor {
                self.addresses.release(&aor, id);
                round.touched.push(aor);
            }
            round.released.push(old.shared);
            standing = old.standing;
        }
        let shared = Arc::clone(&held.set);
        let is_disabled = is_disabled(&object.attributes);
        let mut has_registrar = false;
        if let Some(aor) = &own.aor {
            let resolved = Resolved { user: id, aor: aor.clone(), shared: Arc::clone(&shared), own: own.decisions.into() };
            has_registrar = resolved.get(Setting::SIP_REGISTRAR).is_some();
            let claim = Claim::new(id, created(&object.attributes), is_disabled);
            if let Some(claims) = &mut round.claims {
                // Nearly everybody is published at the only address that nobody else has.
                let is_plain = has_registrar && !is_disabled && self.sources.policies(id).is_empty();
                let told = is_plain.then(|| Told::Plain { shared: Arc::clone(&shared), entry: Arc::clone(object) });
                if told.is_some() {
                    standing = Standing::Published;
                }
                claims.push(First { aor: aor.clone(), claim, told });
            } else {
                self.addresses.claim(aor, claim);
                round.touched.push(aor.clone());
            }
            if round.resolved.len() < AT_HAND_MAX {
                round.resolved.insert(id, Arc::new(resolved));
            }
        } else {
            standing = Standing::NoAddress;
        }
        let is_well = own.faults.is_empty() && own.wants.is_empty();
        let amiss = (!is_well).then(|| Box::new(Amiss { faults: own.faults, wants: own.wants }));
        round.users.push((id, User { shared, aor: own.aor, standing, has_registrar, is_disabled, amiss }));
    }

    /// Forgets a user.
    fn remove(&mut self, id: ObjectId, round: &mut Round) {
        self.seeking.remove(&id);
        self.filtering.remove(&id);
        let Some(user) = self.users.remove(&id) else { return };
        if let Some(aor) = user.aor {
            self.addresses.release(&aor, id);
            round.touched.push(aor);
        }
        round.released.push(user.shared);
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
}

/// So many at once: some ten megabytes of settings.
const PART: usize = 32_768;

/// A user's settings, made of what is known now.
pub(super) fn resolve(engine: &Engine, id: ObjectId, orders: &mut Orders) -> Option<Arc<Resolved>> {
    let (user, entry) = (engine.users.get(&id)?, engine.snapshot.get(id)?);
    let of_container = || Arc::new(Chain::of(&engine.snapshot, &engine.sources, user.shared.container));
    let chain = &engine.chains.get(&user.shared.container).map_or_else(of_container, Arc::clone);
    let personal = Personal {
        snapshot: &engine.snapshot,
        sources: &engine.sources,
        identity: Some(&engine.config.identity),
        chain,
        set: &user.shared,
        user: entry,
        layer: Layer::User,
        above: None,
    };
    let own = personal.decide(orders, &mut Silent);
    Some(Arc::new(Resolved { user: id, aor: own.aor?, shared: Arc::clone(&user.shared), own: own.decisions.into() }))
}
