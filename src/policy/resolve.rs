//! How a setting is decided: the lines of all layers, folded from low to high (design §3).
//!
//! [`shared`] folds everything up to the layer of groups, once for all users of a container who are in the same relevant
//! groups. `personal` puts the user's own layer on top. Both go through [`Fold::edit`], so that there is one place
//! where a line meets what came before it.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use super::catalogue::Setting;
use super::grammar::{Block, Filter, Operator};
use super::layers::{Chain, Layer};
use super::object::{Base, Edit, PolicyObject, RefusedWhy, shown};
use super::resolved::{Decision, ResolvedSet, Source, Want, Wanted};
use super::sources::Sources;
use super::spread;
use super::value::{Value, ValueKind};
use super::witness::{Dropped, Filtered, Origin, Witness};
use crate::model::{Generation, ObjectId, Spot, Timestamp};

/// What is decided about one setting so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot {
    pub(crate) decision: Option<Decision>,
    /// Where it was enforced: nothing but the same level may change it then.
    pub(crate) enforced: Option<(usize, Layer, Option<ObjectId>)>,
}

/// One object's lines, on their way through the layers.
#[derive(Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) layer: Layer,
    /// The layer's place in the fold; those of one level compete by order.
    pub(crate) level: usize,
    pub(crate) policy: &'a PolicyObject,
}

/// The level of the user's layer: above all that users share.
pub(crate) const USER_LEVEL: usize = usize::MAX - 2;
/// The levels of the network settings of a site and of a subnet: above the user's.
const NETWORK_LEVELS: [usize; 2] = [usize::MAX - 1, usize::MAX];

impl<'a> Step<'a> {
    /// Whether its object has a say in a setting here. A site stands in two places: network settings above the user, the others
    /// below the domain (design §3 rule 1).
    pub(crate) fn decides(&self, setting: Setting) -> bool {
        let network = setting.spec().network;
        match self.layer {
            Layer::Site => network == (self.level > USER_LEVEL),
            Layer::Subnet => network,
            _ => true,
        }
    }

    fn origin(&self, edit: &Edit, operator: Operator) -> Origin<'a> {
        Origin { layer: self.layer, object: self.policy.id, attribute: None, order: self.policy.order, operator, since: edit.since }
    }
}

/// What a fold needs to know, and what it finds out.
pub(crate) struct Fold<'a, W> {
    sources: &'a Sources,
    chain: &'a Chain,
    /// Blocks that apply, with the step that each comes with.
    blocks: Vec<(Step<'a>, &'a Block)>,
    pub(crate) witness: &'a mut W,
    pub(crate) wants: BTreeSet<Want>,
    pub(crate) roles: BTreeSet<Arc<str>>,
}

/// For whom a set is decided.
#[derive(Clone, Copy)]
pub(crate) struct Sharers<'a> {
    /// Where they stand.
    pub(crate) container: Option<ObjectId>,
    /// At least those of their groups that carry policies or are asked for by a filter; sorted.
    pub(crate) groups: &'a [ObjectId],
    /// Where their endpoint is.
    pub(crate) spot: Spot,
    /// Whether the network settings of the spot are decided too: for those who say nothing of them in their own layer.
    pub(crate) with_network: bool,
}

/// Everything that users share: up to the layer of groups; with their network settings, all of those.
pub(crate) fn shared<W: Witness>(sources: &Sources, chain: &Chain, sharers: &Sharers<'_>, witness: &mut W) -> ResolvedSet {
    let Sharers { groups, spot, .. } = *sharers;
    // Design §3 rule 2: all groups are one layer, in which depth of nesting never counts.
    let mut of_groups: Vec<&Arc<PolicyObject>> = groups.iter().flat_map(|group| sources.policies(*group)).collect();
    of_groups.sort_by_key(|policy| policy.rank());

    let mut fold = Fold::new(sources, chain, witness);
    let mut steps: Vec<Step<'_>> = Vec::new();
    let containers = chain.containers.iter().map(|(layer, id)| (*layer, sources.policies(*id).iter().collect()));
    let site = spot.site.map(|site| (Layer::Site, sources.policies(site).iter().collect()));
    let layers = std::iter::once((Layer::Config, sources.config().iter().collect())).chain(site).chain(containers);
    for (level, (layer, policies)) in layers.chain([(Layer::Group, of_groups)]).enumerate() {
        let policies: Vec<&Arc<PolicyObject>> = policies;
        // The one that wins goes last.
        for policy in policies.into_iter().rev() {
            let step = Step { layer, level, policy };
            match admits(policy, sources, groups) {
                Ok(()) => steps.push(step),
                Err(filtered) => fold.filtered(step, &filtered),
            }
        }
    }
    for step in &steps {
        fold.blocks.extend(step.policy.blocks.iter().map(|block| (*step, block)));
    }

    if sharers.with_network {
        fold.network(spot, groups, |step| steps.push(step));
    }
    let mut slots: Vec<Slot> = built_in().to_vec();
    for step in steps {
        for edit in step.policy.edits.iter().filter(|edit| step.decides(edit.setting)) {
            if let Some(slot) = slots.get_mut(edit.setting.index()) {
                fold.edit(slot, step, edit);
            }
        }
    }
    fold.finish(sharers, slots)
}

impl<'a, W: Witness> Fold<'a, W> {
    pub(crate) fn new(sources: &'a Sources, chain: &'a Chain, witness: &'a mut W) -> Self {
        Self { sources, chain, blocks: Vec::new(), witness, wants: BTreeSet::new(), roles: BTreeSet::new() }
    }

    /// The steps by which a site and a subnet decide network settings; `groups` is sorted.
    pub(crate) fn network(&mut self, spot: Spot, groups: &[ObjectId], mut each: impl FnMut(Step<'a>)) {
        let layers = [(Layer::Site, spot.site), (Layer::Subnet, spot.subnet)];
        for ((layer, object), level) in layers.into_iter().zip(NETWORK_LEVELS) {
            let sources = self.sources;
            // The one that wins goes last.
            for policy in object.into_iter().flat_map(|id| sources.policies(id)).rev() {
                let step = Step { layer, level, policy };
                match admits(policy, sources, groups) {
                    Ok(()) => each(step),
                    Err(filtered) => self.filtered(step, &filtered),
                }
            }
        }
    }

    /// One edit meets what came before it.
    pub(crate) fn edit(&mut self, slot: &mut Slot, step: Step<'_>, edit: &Edit) {
        self.refused(step, edit);
        let setting = edit.setting;
        // Rule 4: enforced beats all that is not; among enforced the outermost wins, which came first. In one level the
        // object that comes later has the lower order, and wins (rule 2).
        let may_enforce = slot.enforced.is_none_or(|(level, _, _)| level == step.level);
        let base = edit.base.as_ref();
        let enforcing =
            base.filter(|base| may_enforce && base.operator == Operator::Enforce).and_then(|base| self.usable(step, edit, base));
        if enforcing.is_none() {
            if let Some((_, layer, by)) = slot.enforced {
                return self.drop_edit(step, edit, &|| Dropped::Enforced { by, layer });
            }
            // Rule 5.
            if let Some(by) = self.blocked(step, setting) {
                return self.drop_edit(step, edit, &|| Dropped::Blocked { by: by.policy.id, layer: by.layer });
            }
        }
        let plain = base.filter(|base| base.operator != Operator::Enforce);
        let enforces = enforcing.is_some();
        let base = enforcing.or_else(|| plain.and_then(|base| self.usable(step, edit, base)));
        let mut values: Option<Vec<Value>> = None;
        let mut origin = None;
        if let Some((operator, replaced)) = base {
            let by = step.origin(edit, operator);
            let replaced = if operator == Operator::Unset { default_values(setting) } else { replaced };
            self.witness.replaced(setting, &by, &replaced);
            slot.enforced = enforces.then_some((step.level, step.layer, step.policy.id));
            values = Some(replaced);
            origin = Some(by);
        }
        let held = |slot: &Slot| slot.decision.as_ref().map(|decision| decision.values.to_vec()).unwrap_or_default();
        if !edit.removes.is_empty() {
            let by = step.origin(edit, Operator::Remove);
            let wanted = self.expand(step, edit, Operator::Remove, &edit.removes);
            let list = values.take().unwrap_or_else(|| held(slot));
            let (gone, kept): (Vec<Value>, Vec<Value>) = list.into_iter().partition(|v| wanted.iter().any(|w| w.is_same_element(v)));
            self.witness.removed(setting, &by, &wanted, &gone);
            if !gone.is_empty() {
                origin = Some(by);
            }
            values = Some(kept);
        }
        if !edit.appends.is_empty() {
            let by = step.origin(edit, Operator::Append);
            let appended = self.expand(step, edit, Operator::Append, &edit.appends);
            if !appended.is_empty() {
                let list = values.get_or_insert_with(|| held(slot));
                self.append(step, setting, list, &appended, &by);
                origin = Some(by);
            }
        }
        if let (Some(values), Some(origin)) = (values, origin) {
            slot.decision = Some(Decision { values: values.into(), source: origin.source() });
        }
    }

    /// The values of a base, if it is a candidate: a list of nothing but servers that are not there is none (rule 7), and an
    /// empty list is one.
    fn usable(&mut self, step: Step<'_>, edit: &Edit, base: &Base) -> Option<(Operator, Vec<Value>)> {
        let values = self.expand(step, edit, base.operator, &base.values);
        (!values.is_empty() || base.values.is_empty()).then_some((base.operator, values))
    }

    /// Puts values at the end; an element that is there already takes its new form where it stands.
    fn append(&mut self, step: Step<'_>, setting: Setting, list: &mut Vec<Value>, appended: &[Value], by: &Origin<'_>) {
        for value in appended {
            if let Some(held) = list.iter_mut().find(|held| held.is_same_element(value)) {
                held.clone_from(value);
            } else if list.len() < Setting::VALUES_MAX {
                list.push(value.clone());
            } else {
                self.wants.insert(Want { object: step.policy.id, setting, what: Wanted::Room });
                self.witness.dropped(setting, by, &|| value.to_string(), &|| Dropped::Full);
            }
        }
        self.witness.appended(setting, by, appended);
    }

    /// Puts servers in the place of each `@nearest(role)`.
    fn expand(&mut self, step: Step<'_>, edit: &Edit, operator: Operator, values: &[Value]) -> Vec<Value> {
        let mut out: Vec<Value> = Vec::with_capacity(values.len());
        for value in values {
            let Value::Nearest(role) = value else {
                out.push(value.clone());
                continue;
            };
            let role: Arc<str> = role.to_lowercase().into();
            if let Some((container, servers)) = self.nearest(edit.setting, &role) {
                self.witness.found(edit.setting, &role, container);
                for server in servers {
                    if !out.iter().any(|held| held.is_same_element(&server)) {
                        out.push(server);
                    }
                }
            } else {
                let what = Wanted::Server(Arc::clone(&role));
                self.wants.insert(Want { object: step.policy.id, setting: edit.setting, what });
                let origin = step.origin(edit, operator);
                self.witness.dropped(edit.setting, &origin, &|| value.to_string(), &|| Dropped::NoServer(role.to_string()));
            }
            self.roles.insert(role);
        }
        out.truncate(Setting::VALUES_MAX);
        out
    }

    /// The servers of a role in the closest container that has any (rule 9).
    fn nearest(&self, setting: Setting, role: &str) -> Option<(ObjectId, Vec<Value>)> {
        let kind: ValueKind = setting.spec().kind;
        self.chain.containers.iter().rev().find_map(|(_, container)| {
            let objects = self.sources.servers(*container).iter().filter(|server| server.has_role(role));
            let servers: Vec<Value> = objects.flat_map(|object| object.usable(kind)).cloned().map(Value::Server).collect();
            (!servers.is_empty()).then_some((*container, servers))
        })
    }

    /// Who blocks a setting that comes from a step: a container further in (rule 5).
    fn blocked(&self, step: Step<'_>, setting: Setting) -> Option<Step<'a>> {
        let blocks = |(by, block): &&(Step<'a>, &Block)| by.level > step.level && block.covers(setting);
        if step.layer.can_be_blocked() { self.blocks.iter().find(blocks).map(|(by, _)| *by) } else { None }
    }

    /// Tells of what was out from the beginning.
    fn refused(&mut self, step: Step<'_>, edit: &Edit) {
        for refused in &edit.refused {
            let origin = step.origin(edit, refused.operator);
            let why = || match &refused.why {
                RefusedWhy::Unparsable(why) => Dropped::Unparsable(why.clone()),
                RefusedWhy::SameObject => Dropped::SameObject,
                RefusedWhy::UserOnly => Dropped::UserOnly,
                RefusedWhy::NetworkOnly => Dropped::NetworkOnly,
                RefusedWhy::Full => Dropped::Full,
            };
            self.witness.dropped(edit.setting, &origin, &|| refused.text.clone(), &why);
        }
    }

    /// Tells that an edit counts for nothing.
    fn drop_edit(&mut self, step: Step<'_>, edit: &Edit, why: &dyn Fn() -> Dropped) {
        if let Some(base) = &edit.base {
            self.witness.dropped(edit.setting, &step.origin(edit, base.operator), &|| shown(&base.values), why);
        }
        for (operator, values) in [(Operator::Remove, &edit.removes), (Operator::Append, &edit.appends)] {
            if !values.is_empty() {
                self.witness.dropped(edit.setting, &step.origin(edit, operator), &|| shown(values), why);
            }
        }
    }

    /// Tells that a whole object counts for nothing.
    pub(crate) fn filtered(&mut self, step: Step<'_>, filtered: &Filtered) {
        for edit in step.policy.edits.iter().filter(|edit| step.decides(edit.setting)) {
            self.refused(step, edit);
            self.drop_edit(step, edit, &|| Dropped::Filtered(filtered.clone()));
        }
    }

    fn finish(self, sharers: &Sharers<'_>, slots: Vec<Slot>) -> ResolvedSet {
        let mut enforced = Vec::new();
        let mut spread = Vec::new();
        let mut decisions: Vec<Option<Arc<Decision>>> = Vec::with_capacity(slots.len());
        for ((setting, slot), built_in) in Setting::all().zip(slots).zip(built_in_decisions()) {
            let Slot { mut decision, enforced: is_enforced } = slot;
            if is_enforced.is_some() {
                enforced.push(setting);
            }
            if let Some(decision) = decision.as_mut().filter(|_| is_server_list(setting))
                && sort_servers(decision)
            {
                spread.push(setting);
            }
            decisions
                .push(decision.map(|decision| built_in.clone().filter(|same| **same == decision).unwrap_or_else(|| Arc::new(decision))));
        }
        ResolvedSet {
            container: sharers.container,
            groups: sharers.groups.into(),
            spot: sharers.spot,
            decisions: decisions.into(),
            enforced: enforced.into(),
            spread: spread.into(),
            wants: self.wants.into_iter().collect(),
            roles: self.roles.into_iter().collect(),
        }
    }
}

/// Whether a setting is a list of servers, which sorts by priority.
pub(crate) fn is_server_list(setting: Setting) -> bool {
    matches!(setting.spec().kind, ValueKind::Server(_))
}

/// Sorts the servers of a decision; whether users have an order of their own.
pub(crate) fn sort_servers(decision: &mut Decision) -> bool {
    let mut values = decision.values.to_vec();
    let shared_priority = spread::sort(&mut values);
    decision.values = values.into();
    shared_priority
}

/// Whether an object applies to a user who is in these groups (rule 6); `groups` is sorted.
pub(crate) fn admits(policy: &PolicyObject, sources: &Sources, groups: &[ObjectId]) -> Result<(), Filtered> {
    if policy.filters.is_empty() {
        return Ok(());
    }
    let is_member = |dn| sources.group(dn).is_some_and(|group| groups.binary_search(&group).is_ok());
    let mut allowed = Vec::new();
    let mut admitted = false;
    for filter in &policy.filters {
        match filter {
            Filter::Unreadable => return Err(Filtered::Unreadable),
            Filter::Deny(dn) if is_member(dn) => return Err(Filtered::In(dn.clone())),
            Filter::Deny(_) => {}
            Filter::Allow(dn) => {
                admitted = admitted || is_member(dn);
                allowed.push(dn);
            }
        }
    }
    if allowed.is_empty() || admitted { Ok(()) } else { Err(Filtered::NotIn(allowed.into_iter().cloned().collect())) }
}

fn default_values(setting: Setting) -> Vec<Value> {
    built_in().get(setting.index()).and_then(|slot| slot.decision.as_ref()).map(|d| d.values.to_vec()).unwrap_or_default()
}

/// The built-in decisions, shared by all sets.
fn built_in_decisions() -> &'static [Option<Arc<Decision>>] {
    static DECISIONS: LazyLock<Vec<Option<Arc<Decision>>>> =
        LazyLock::new(|| built_in().iter().map(|slot| slot.decision.clone().map(Arc::new)).collect());
    &DECISIONS
}

/// The lowest layer, by [`Setting::index`].
pub(crate) fn built_in() -> &'static [Slot] {
    static SLOTS: LazyLock<Vec<Slot>> = LazyLock::new(|| {
        let source = Source {
            layer: Layer::BuiltIn,
            object: None,
            operator: Operator::Replace,
            generation: Generation::default(),
            at: Timestamp::default(),
        };
        let slot = |setting: Setting| {
            let values = setting.default_values();
            Slot { decision: (!values.is_empty()).then(|| Decision { values: values.into(), source }), enforced: None }
        };
        Setting::all().map(slot).collect()
    });
    &SLOTS
}
