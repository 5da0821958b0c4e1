//! The user's own layer, on top of what users share: identity and H.350 attributes, policy lines on the user, and the
//! user's own order of servers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::catalogue::Setting;
use super::grammar::Operator;
use super::identity::{self, Given, IdentityConfig};
use super::layers::{Chain, Layer};
use super::object::{HeldFault, PolicyObject, Since};
use super::resolve::{Fold, Slot, Step, USER_LEVEL, admits, is_server_list, sort_servers};
use super::resolved::{Decision, ResolvedSet, Want};
use super::sources::Sources;
use super::spread::{self, Permutation};
use super::value::Value;
use super::witness::{Dropped, Origin, Witness};
use crate::model::{Aor, Spot};
use crate::store::{Object, Snapshot};

/// `order` of what attributes say: every policy line on the user beats it.
const ATTRIBUTE_ORDER: i32 = i32::MAX;

/// What is a user's own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Own {
    /// The primary address.
    pub(crate) aor: Option<Aor>,
    /// What differs from the shared set, in the order of the catalogue.
    pub(crate) decisions: Vec<(Setting, Decision)>,
    pub(crate) faults: Vec<HeldFault>,
    pub(crate) wants: BTreeSet<Want>,
    /// The roles that `@nearest` looked for in the user's own lines.
    pub(crate) roles: BTreeSet<Arc<str>>,
}

/// Server lists in users' orders, made once for all users who have the same.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    lists: Vec<(Setting, Ordered)>,
    permutation: Permutation,
}

/// One list in the orders that users have had.
#[derive(Debug, Default)]
struct Ordered {
    hashes: Box<[u64]>,
    by_order: HashMap<u64, Arc<[Value]>>,
}

/// Whose layer is decided, and on top of what.
pub(crate) struct Personal<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) sources: &'a Sources,
    /// Which attributes say who it is; `None` for a device.
    pub(crate) identity: Option<&'a IdentityConfig>,
    pub(crate) chain: &'a Chain,
    pub(crate) set: &'a ResolvedSet,
    /// The user or device.
    pub(crate) user: &'a Object,
    pub(crate) layer: Layer,
    /// Where the endpoint is, if the set does not know its network settings yet: they stand above the user's layer.
    pub(crate) above: Option<Spot>,
}

impl Personal<'_> {
    /// Decides. `orders` belongs to the set.
    pub(crate) fn decide<W: Witness>(&self, orders: &mut Orders, witness: &mut W) -> Own {
        let mut own = Own::default();
        let mut slots: Vec<(Setting, Slot)> = Vec::with_capacity(8);
        let mut fold = Fold::new(self.sources, self.chain, witness);
        let policies = self.policies(&mut fold);
        let attributes = &self.user.attributes;

        // The address first: its domain says where a local telephone number is local.
        let given = self.identity.and_then(|identity| identity::addresses(identity, attributes, &mut own.faults));
        if let Some((aor, given)) = given {
            own.aor = Some(aor);
            self.give(&mut slots, given, fold.witness);
        }
        if !policies.is_empty() {
            self.lines(&mut slots, &mut fold, &policies, |setting| setting == Setting::ACCOUNT_AOR);
            own.aor = primary(&slots);
        }
        if let (Some(aor), Some(identity)) = (&own.aor, self.identity) {
            let mut give = |given: Given<'_>| self.give(&mut slots, given, fold.witness);
            identity::others(identity, attributes, aor.domain(), &mut own.faults, &mut give);
        }
        self.lines(&mut slots, &mut fold, &policies, |setting| setting != Setting::ACCOUNT_AOR);
        self.network(&mut slots, &mut fold);
        (own.wants, own.roles) = (fold.wants, fold.roles);
        own.decisions = self.settle(slots, orders);
        own
    }

    /// The policies on the user that apply, the one that wins last.
    fn policies<W: Witness>(&self, fold: &mut Fold<'_, W>) -> Vec<&Arc<PolicyObject>> {
        let policies = self.sources.policies(self.user.id);
        if policies.is_empty() {
            return Vec::new();
        }
        let groups = self.snapshot.transitive_groups(self.user.id);
        let mut applying = Vec::with_capacity(policies.len());
        for policy in policies.iter().rev() {
            match admits(policy, self.sources, &groups) {
                Ok(()) => applying.push(policy),
                Err(filtered) => fold.filtered(Step { layer: self.layer, level: USER_LEVEL, policy }, &filtered),
            }
        }
        applying
    }

    /// What the endpoint's site and subnet say of network settings.
    fn network<W: Witness>(&self, slots: &mut Vec<(Setting, Slot)>, fold: &mut Fold<'_, W>) {
        let Some(spot) = self.above else { return };
        let groups = self.snapshot.transitive_groups(self.user.id);
        let mut steps = Vec::new();
        fold.network(spot, &groups, |step| steps.push(step));
        for step in steps {
            for edit in step.policy.edits.iter().filter(|edit| step.decides(edit.setting)) {
                fold.edit(self.slot(slots, edit.setting), step, edit);
            }
        }
    }

    fn lines<W: Witness>(
        &self,
        slots: &mut Vec<(Setting, Slot)>,
        fold: &mut Fold<'_, W>,
        policies: &[&Arc<PolicyObject>],
        which: impl Fn(Setting) -> bool,
    ) {
        for policy in policies {
            for edit in policy.edits.iter().filter(|edit| which(edit.setting)) {
                fold.edit(self.slot(slots, edit.setting), Step { layer: self.layer, level: USER_LEVEL, policy }, edit);
            }
        }
    }

    /// What an attribute says: a `=` line that every policy line on the user beats.
    fn give<W: Witness>(&self, slots: &mut Vec<(Setting, Slot)>, given: Given<'_>, witness: &mut W) {
        let Given { setting, attribute, values } = given;
        let origin = Origin {
            layer: self.layer,
            object: Some(self.user.id),
            attribute: Some(attribute),
            order: ATTRIBUTE_ORDER,
            operator: Operator::Replace,
            since: Since { generation: self.user.changed, at: self.user.changed_at },
        };
        let slot = self.slot(slots, setting);
        if let Some((_, layer, by)) = slot.enforced {
            witness.dropped(setting, &origin, &|| super::object::shown(&values), &|| Dropped::Enforced { by, layer });
            return;
        }
        witness.replaced(setting, &origin, &values);
        slot.decision = Some(Decision { values, source: origin.source() });
    }

    /// The slot of a setting, begun with what is shared.
    fn slot<'s>(&self, slots: &'s mut Vec<(Setting, Slot)>, setting: Setting) -> &'s mut Slot {
        let at = slots.iter().position(|(held, _)| *held == setting).unwrap_or_else(|| {
            let decision = self.set.slot(setting).cloned();
            let by = decision.as_ref().map(|decision| (0, decision.source.layer, decision.source.object));
            let enforced = by.filter(|_| self.set.enforced.binary_search(&setting).is_ok());
            slots.push((setting, Slot { decision, enforced }));
            slots.len() - 1
        });
        &mut slots[at].1
    }

    /// What differs from the shared set, servers in the user's order.
    fn settle(&self, slots: Vec<(Setting, Slot)>, orders: &mut Orders) -> Vec<(Setting, Decision)> {
        let user = spread::user_hash(self.user.id);
        let mut own: Vec<(Setting, Decision)> = Vec::with_capacity(slots.len() + self.set.spread.len());
        for (setting, slot) in slots {
            let Some(mut decision) = slot.decision else { continue };
            if self.set.slot(setting) == Some(&decision) {
                continue;
            }
            if is_server_list(setting) && sort_servers(&mut decision) {
                let hashes: Vec<u64> = decision.values.iter().map(spread::server_hash).collect();
                orders.permutation.find(user, &decision.values, &hashes);
                decision.values = orders.permutation.apply(&decision.values);
            }
            own.push((setting, decision));
        }
        for setting in &self.set.spread {
            if own.iter().any(|(held, _)| held == setting) {
                continue;
            }
            if let Some(decision) = self.set.slot(*setting) {
                let values = orders.of(user, *setting, &decision.values);
                own.push((*setting, Decision { values, source: decision.source }));
            }
        }
        own.sort_unstable_by_key(|(setting, _)| *setting);
        own
    }
}

impl Orders {
    fn of(&mut self, user: u64, setting: Setting, values: &Arc<[Value]>) -> Arc<[Value]> {
        let Self { lists, permutation } = self;
        let at = lists.iter().position(|(held, _)| *held == setting).unwrap_or_else(|| {
            let hashes = values.iter().map(spread::server_hash).collect();
            lists.push((setting, Ordered { hashes, by_order: HashMap::new() }));
            lists.len() - 1
        });
        let (_, list) = &mut lists[at];
        permutation.find(user, values, &list.hashes);
        match permutation.packed() {
            Some(packed) => Arc::clone(list.by_order.entry(packed).or_insert_with(|| permutation.apply(values))),
            None => permutation.apply(values),
        }
    }
}

/// The first of `account.aor` that is an address of record.
fn primary(slots: &[(Setting, Slot)]) -> Option<Aor> {
    let (_, slot) = slots.iter().find(|(setting, _)| *setting == Setting::ACCOUNT_AOR)?;
    slot.decision.as_ref()?.values.iter().find_map(|value| value.to_string().parse().ok())
}
