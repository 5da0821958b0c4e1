//! What was decided: values with their sources, shared where users share them.

use std::fmt;
use std::sync::Arc;

use super::catalogue::Setting;
use super::grammar::Operator;
use super::layers::Layer;
use super::value::Value;
use crate::model::{Aor, Generation, ObjectId, Spot, Timestamp};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The layer that had the last word.
    pub layer: Layer,
    /// The object that holds the line: a container, group, user, or a policy object. `None`: built in, or the configuration.
    pub object: Option<ObjectId>,
    /// What the line does.
    pub operator: Operator,
    /// The change that brought the line, as far back as it is known; of a directory read afresh, the object's last change.
    pub generation: Generation,
    /// When that was.
    pub at: Timestamp,
}

/// The values of one setting, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// One for a single-valued setting; the elements of a list in their order. Never [`Value::Nearest`].
    pub values: Arc<[Value]>,
    /// The last line that changed them.
    pub source: Source,
}

/// What all users of one container who are in the same relevant groups share: everything up to the layer of groups.
///
/// Such users hold the same `Arc`, so that what is made of a set can be kept by its pointer.
#[derive(PartialEq, Eq)]
pub struct ResolvedSet {
    /// Whose users they are; `None` for users that stand in no container.
    pub(crate) container: Option<ObjectId>,
    /// Those of their groups that can make a difference here, sorted.
    pub(crate) groups: Box<[ObjectId]>,
    /// Where their endpoints are.
    pub(crate) spot: Spot,
    /// By [`Setting::index`]; what is built in is there once for all sets. Without values where nothing is set, or where the last word is an empty list.
    pub(crate) decisions: Box<[Option<Arc<Decision>>]>,
    /// Settings that the user's own layer must not change, sorted.
    pub(crate) enforced: Box<[Setting]>,
    /// Server lists in which servers of one priority share users: each user has an order of its own.
    pub(crate) spread: Box<[Setting]>,
    /// What was wanted and is not there, for faults.
    pub(crate) wants: Box<[Want]>,
    /// The roles that `@nearest` looked for, found or not, sorted: whom a moved server may concern.
    pub(crate) roles: Box<[Arc<str>]>,
}

/// A line that could not be followed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Want {
    /// The object that holds the line; `None` for the configuration.
    pub(crate) object: Option<ObjectId>,
    pub(crate) setting: Setting,
    pub(crate) what: Wanted,
}

/// What could not be followed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Wanted {
    /// A server of this role, above the users' container.
    Server(Arc<str>),
    /// Room in the list.
    Room,
}

/// One user's settings: what is shared, and on top what is the user's own.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Whose.
    pub user: ObjectId,
    /// The primary address: the address of the document.
    pub aor: Aor,
    /// What the user shares with others.
    pub shared: Arc<ResolvedSet>,
    /// What differs, in the order of the catalogue. A decision without values takes the shared one away.
    pub own: Box<[(Setting, Decision)]>,
}

impl ResolvedSet {
    /// A set of these decisions, for documents and their tests; the engine makes its own.
    pub fn of(decisions: impl IntoIterator<Item = (Setting, Decision)>) -> Self {
        let mut slots = vec![None; Setting::COUNT].into_boxed_slice();
        for (setting, decision) in decisions {
            if let Some(slot) = slots.get_mut(setting.index()) {
                *slot = Some(Arc::new(decision));
            }
        }
        Self {
            container: None,
            groups: Box::default(),
            spot: Spot::default(),
            decisions: slots,
            enforced: Box::default(),
            spread: Box::default(),
            wants: Box::default(),
            roles: Box::default(),
        }
    }

    /// What was decided about a setting; `None` when it has no value.
    pub fn get(&self, setting: Setting) -> Option<&Decision> {
        self.slot(setting).filter(|decision| !decision.values.is_empty())
    }

    /// Every setting that has a value, in the order of the catalogue.
    pub fn iter(&self) -> impl Iterator<Item = (Setting, &Decision)> {
        Setting::all()
            .zip(&self.decisions)
            .filter_map(|(setting, slot)| Some((setting, slot.as_deref()?)))
            .filter(|(_, d)| !d.values.is_empty())
    }

    /// As [`ResolvedSet::get`], and also a decision that there is to be no value.
    pub(crate) fn slot(&self, setting: Setting) -> Option<&Decision> {
        self.decisions.get(setting.index())?.as_deref()
    }
}

impl Resolved {
    /// What was decided about a setting; `None` when it has no value.
    pub fn get(&self, setting: Setting) -> Option<&Decision> {
        match self.own.binary_search_by_key(&setting, |(own, _)| *own) {
            Ok(at) => self.own.get(at).map(|(_, decision)| decision).filter(|decision| !decision.values.is_empty()),
            Err(_) => self.shared.get(setting),
        }
    }

    /// Every setting that has a value, in the order of the catalogue, the user's own over the shared.
    pub fn iter(&self) -> impl Iterator<Item = (Setting, &Decision)> {
        let mut own = self.own.iter().peekable();
        Setting::all().filter_map(move |setting| {
            let decision = match own.next_if(|(mine, _)| *mine == setting) {
                Some((_, decision)) => Some(decision).filter(|decision| !decision.values.is_empty()),
                None => self.shared.get(setting),
            };
            decision.map(|decision| (setting, decision))
        })
    }

    /// Whether both give the same document: the same address and the same values, wherever they come from. How the address is
    /// written is among the values (`account.aor`).
    pub fn is_same(&self, other: &Self) -> bool {
        if self.user != other.user || self.aor != other.aor {
            return false;
        }
        if Arc::ptr_eq(&self.shared, &other.shared) && self.own.len() == other.own.len() {
            let same = |((s, a), (t, b)): (&(Setting, Decision), &(Setting, Decision))| s == t && a.values == b.values;
            if self.own.iter().zip(&other.own).all(same) {
                return true;
            }
        }
        self.iter().map(|(setting, decision)| (setting, &decision.values)).eq(other.iter().map(|(setting, d)| (setting, &d.values)))
    }
}

impl fmt::Debug for ResolvedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(setting, decision)| (setting, super::object::shown(&decision.values)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(texts: &[&str], setting: Setting) -> Decision {
        let source = Source {
            layer: Layer::Config,
            object: None,
            operator: Operator::Replace,
            generation: Generation::default(),
            at: Timestamp::default(),
        };
        Decision { values: texts.iter().map(|text| setting.spec().kind.parse(text).unwrap()).collect(), source }
    }

    fn resolved(shared: &Arc<ResolvedSet>, own: &[(Setting, &[&str])]) -> Resolved {
        Resolved {
            user: ObjectId::from_bytes([1; 16]),
            aor: "sip:anna@x".parse().unwrap(),
            shared: Arc::clone(shared),
            own: own.iter().map(|(setting, texts)| (*setting, decision(texts, *setting))).collect(),
        }
    }

    #[test]
    fn own_over_shared_in_the_order_of_the_catalogue() {
        let shared = Arc::new(ResolvedSet::of([
            (Setting::LANGUAGE, decision(&["de"], Setting::LANGUAGE)),
            (Setting::SIP_EXPIRES, decision(&["600"], Setting::SIP_EXPIRES)),
            (Setting::DIAL_RULE, decision(&[], Setting::DIAL_RULE)),
        ]));
        let anna = resolved(&shared, &[(Setting::ACCOUNT_TEL, &["tel:+49"]), (Setting::SIP_EXPIRES, &[]), (Setting::LANGUAGE, &["fr"])]);
        let all: Vec<String> = anna.iter().map(|(setting, d)| format!("{setting} {}", d.values[0])).collect();
        assert_eq!(all, ["account.tel tel:+49", "language fr"]);
        assert_eq!(anna.get(Setting::SIP_EXPIRES), None);
        assert_eq!(shared.get(Setting::DIAL_RULE), None);
        assert!(shared.slot(Setting::DIAL_RULE).is_some());
    }

    #[test]
    fn equal_values_are_the_same_wherever_they_stand() {
        let expires = (Setting::SIP_EXPIRES, decision(&["600"], Setting::SIP_EXPIRES));
        let (with, without) = (Arc::new(ResolvedSet::of([expires])), Arc::new(ResolvedSet::of([])));
        assert!(resolved(&with, &[]).is_same(&resolved(&without, &[(Setting::SIP_EXPIRES, &["600"])])));
        assert!(!resolved(&with, &[]).is_same(&resolved(&without, &[(Setting::SIP_EXPIRES, &["601"])])));
        assert!(!resolved(&with, &[]).is_same(&resolved(&without, &[])));
        let mut renamed = resolved(&with, &[]);
        renamed.aor = "sip:other@x".parse().unwrap();
        assert!(!renamed.is_same(&resolved(&with, &[])));
    }
}
