//! Every value of a user with its source, and every line that lost with the reason.

use std::net::IpAddr;

use serde::Serialize;

use super::calendar::rfc3339;
use super::catalogue::Setting;
use super::engine::PolicyConfig;
use super::explain_reason::reason;
use super::grammar::Operator;
use super::identity;
use super::layers::{Chain, Layer, container_of};
use super::network::Network;
use super::personal::{Orders, Own, Personal};
use super::recorder::{Line, Place, Recorder};
use super::relevant::{Direct, Relevant};
use super::resolve::{Sharers, admits, shared};
use super::resolved::{Decision, ResolvedSet};
use super::sources::Sources;
use super::value::Value;
use super::witness::{Silent, Witness};
use crate::model::{Aor, Kind, ObjectId, Spot, Timestamp};
use crate::store::{Object, Snapshot};

/// What a user's settings are, and why: for people (`Display`) and for scripts (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The user.
    pub user: Entry,
    /// The address of the user's document.
    pub aor: Option<String>,
    /// Whether there is a document: `published`, `withheld` or `no-address`.
    pub state: &'static str,
    /// Why there is none.
    pub why: Option<String>,
    /// Where the endpoint is, if an address was given; else what is explained holds without regard to it.
    pub place: Option<Located>,
    /// The objects whose lines were looked at, from the lowest layer to the highest; within a layer the one that wins last.
    pub policies: Vec<Applied>,
    /// Every setting about which somebody says something, in the order of the catalogue.
    pub settings: Vec<Explained>,
}

/// Where an address is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Located {
    /// The address.
    pub address: IpAddr,
    /// The network of the subnet: the longest prefix of the address.
    pub prefix: Option<String>,
    /// The subnet.
    pub subnet: Option<Entry>,
    /// The site: the one that the subnet names, or for an address in no subnet the only one that there is.
    pub site: Option<Entry>,
}

/// A directory entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its stable id.
    pub id: String,
    /// Its name now.
    pub dn: String,
}

/// An object that carries policy lines, and whether they count for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The layer, as [`Layer`] prints it.
    pub layer: String,
    /// The object; `None` for the configuration.
    pub object: Option<Entry>,
    /// Its rank within the layer: the lowest wins.
    pub order: i32,
    /// Why its lines do not count; `None` when they do.
    pub filtered: Option<String>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Its name.
    pub setting: &'static str,
    /// The unit of a number.
    pub unit: Option<&'static str>,
    /// Its values, in order; empty when it has none.
    pub values: Vec<Sourced>,
    /// Whether it is enforced.
    pub enforced: bool,
    /// Lines and values that lost, in the order in which they met.
    pub losers: Vec<Loser>,
    /// Where `@nearest(role)` found its servers.
    pub nearest: Vec<Nearest>,
}

/// A value and the line that brought it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sourced {
    /// The canonical text.
    pub value: String,
    /// Where it comes from.
    pub source: Provenance,
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The layer, as [`Layer`] prints it.
    pub layer: String,
    /// The object that holds it; `None`: built in, or the configuration.
    pub object: Option<Entry>,
    /// The attribute, where it is not a policy line.
    pub attribute: Option<String>,
    /// What the line does.
    pub operator: Operator,
    /// The object's rank within the layer, where lines have one.
    pub order: Option<i32>,
    /// The change that brought it, counted since the state began; 0 for what no directory holds.
    pub change: u64,
    /// When that was, RFC 3339.
    pub at: Option<String>,
}

/// A line or a value that lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loser {
    /// The value's text.
    pub value: String,
    /// Where it stands.
    pub source: Provenance,
    /// A short stable name: `lower-layer`, `order`, `not-enforced`, `blocked`, `filtered`, `unparsable`, `same-object`,
    /// `removed`, `no-server`, `full`, `user-only`, `network-only`, `idle`.
    pub reason: &'static str,
    /// The object to which it lost.
    pub by: Option<Entry>,
    /// The reason in words.
    pub text: String,
}

/// Where `@nearest(role)` found its servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Nearest {
    /// The role.
    pub role: String,
    /// The container.
    pub container: Entry,
}

/// Explains a user, for an endpoint at an address if one is given. `None` when the object is no user.
///
/// It is decided as the engine decides it, with somebody taking notes; nothing needs to be loaded before.
pub fn explain(snapshot: &Snapshot, config: &PolicyConfig, user: ObjectId, address: Option<IpAddr>) -> Option<Explanation> {
    let mut sources = Sources::new(&config.settings);
    sources.load(snapshot);
    let object = snapshot.get(user).filter(|object| object.kind == Kind::User)?;
    let mut recorder = Recorder::new();
    let found = address.map(|address| {
        let mut network = Network::new(config.networks.clone());
        network.load(snapshot, &sources);
        (address, network.find(address))
    });
    let spot =
        found.map_or(Spot::default(), |(_, found)| Spot { site: found.site, subnet: found.subnet.map(|(_, id)| id), container: None });
    let case = Case::new(snapshot, config, &sources, object, spot, &mut recorder);
    let own = case.decide(&mut recorder);
    let names = Names { snapshot };
    let (state, why) = case.state(&own);
    Some(Explanation {
        user: names.entry(user),
        aor: own.aor.as_ref().map(Aor::to_string),
        state,
        why,
        place: found.map(|(address, found)| Located {
            address,
            prefix: found.subnet.map(|(prefix, _)| prefix.to_string()),
            subnet: found.subnet.map(|(_, id)| names.entry(id)),
            site: found.site.map(|id| names.entry(id)),
        }),
        policies: case.policies(&names),
        settings: Setting::all().filter_map(|setting| case.explained(setting, &own, &recorder, &names)).collect(),
    })
}

impl Explanation {
    /// Only the settings of this name, or those whose names begin so.
    #[must_use]
    pub fn only(mut self, name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let exact = self.settings.iter().any(|explained| explained.setting == name);
        self.settings.retain(|explained| if exact { explained.setting == name } else { explained.setting.starts_with(&name) });
        self
    }
}

/// One user on the way through the layers.
struct Case<'a> {
    snapshot: &'a Snapshot,
    config: &'a PolicyConfig,
    sources: &'a Sources,
    object: &'a Object,
    /// Where the endpoint is, whether or not policies govern that.
    spot: Spot,
    chain: Chain,
    set: ResolvedSet,
}

impl<'a> Case<'a> {
    fn new<W: Witness>(
        snapshot: &'a Snapshot,
        config: &'a PolicyConfig,
        sources: &'a Sources,
        object: &'a Object,
        spot: Spot,
        witness: &mut W,
    ) -> Self {
        let container = container_of(snapshot, object.id);
        let chain = Chain::of(snapshot, sources, container).with(sources, [spot.site, spot.subnet].into_iter().flatten());
        let mut groups = Vec::new();
        Relevant::of(snapshot, sources).groups(snapshot, &chain, object.id, Direct::Asked, &mut groups);
        let sharers = Sharers { container, groups: &groups, spot, with_network: false };
        let set = shared(sources, &chain, &sharers, witness);
        Self { snapshot, config, sources, object, spot, chain, set }
    }

    fn decide<W: Witness>(&self, witness: &mut W) -> Own {
        let personal = Personal {
            snapshot: self.snapshot,
            sources: self.sources,
            identity: Some(&self.config.identity),
            chain: &self.chain,
            set: &self.set,
            user: self.object,
            layer: Layer::User,
            above: Some(self.spot),
        };
        personal.decide(&mut Orders::default(), witness)
    }

    fn decision<'b>(&'b self, own: &'b Own, setting: Setting) -> Option<&'b Decision> {
        match own.decisions.binary_search_by_key(&setting, |(held, _)| *held) {
            Ok(at) => own.decisions.get(at).map(|(_, decision)| decision).filter(|decision| !decision.values.is_empty()),
            Err(_) => self.set.get(setting),
        }
    }

    /// Whether there is a document, and why not.
    fn state(&self, own: &Own) -> (&'static str, Option<String>) {
        let Some(aor) = &own.aor else {
            let attributes = self.config.identity.aor.join(", ");
            return ("no-address", Some(format!("none of the attributes {attributes} holds a SIP address")));
        };
        if let Some(owner) = self.older_claim(aor) {
            let dn = self.snapshot.dn(owner).unwrap_or_default();
            return ("withheld", Some(format!("{aor} belongs to the older entry {dn}")));
        }
        if self.decision(own, Setting::SIP_REGISTRAR).is_none() {
            return ("withheld", Some("there is no sip.registrar; the last good document stays".into()));
        }
        ("published", None)
    }

    /// Who has the address, if another entry does.
    fn older_claim(&self, aor: &Aor) -> Option<ObjectId> {
        let rank = |object: &Object| (identity::created(&object.attributes).unwrap_or(i64::MAX), object.id);
        let others = self.snapshot.iter().filter(|other| other.kind == Kind::User && other.id != self.object.id);
        let claims = |other: &&std::sync::Arc<Object>| {
            if self.sources.governs(other.id) {
                let case = Case::new(self.snapshot, self.config, self.sources, other, Spot::default(), &mut Silent);
                return case.decide(&mut Silent).aor.as_ref() == Some(aor);
            }
            let given = identity::addresses(&self.config.identity, &other.attributes, &mut Vec::new());
            given.is_some_and(|(primary, _)| primary == *aor)
        };
        others.filter(|other| rank(other) < rank(self.object)).filter(claims).min_by_key(|other| rank(other)).map(|other| other.id)
    }

    /// The objects whose lines were looked at.
    fn policies(&self, names: &Names<'_>) -> Vec<Applied> {
        let groups = self.snapshot.transitive_groups(self.object.id);
        let mut levels: Vec<(Layer, Vec<&std::sync::Arc<super::object::PolicyObject>>)> =
            vec![(Layer::Config, self.sources.config().iter().collect())];
        let of = |id: Option<ObjectId>| id.into_iter().flat_map(|id| self.sources.policies(id)).collect::<Vec<_>>();
        levels.push((Layer::Site, of(self.spot.site)));
        levels.extend(self.chain.containers.iter().map(|(layer, id)| (*layer, self.sources.policies(*id).iter().collect())));
        levels.push((Layer::Group, groups.iter().flat_map(|group| self.sources.policies(*group)).collect()));
        levels.push((Layer::User, self.sources.policies(self.object.id).iter().collect()));
        levels.push((Layer::Subnet, of(self.spot.subnet)));
        let mut applied = Vec::new();
        for (layer, mut policies) in levels {
            policies.sort_by_key(|policy| std::cmp::Reverse(policy.rank()));
            for policy in policies.into_iter().filter(|policy| !policy.is_empty()) {
                applied.push(Applied {
                    layer: layer.to_string(),
                    object: policy.id.map(|id| names.entry(id)),
                    order: policy.order,
                    filtered: admits(policy, self.sources, &groups).err().map(|filtered| filtered.to_string()),
                });
            }
        }
        applied
    }

    fn explained(&self, setting: Setting, own: &Own, recorder: &Recorder, names: &Names<'_>) -> Option<Explained> {
        let lines = recorder.settings.get(&setting)?;
        let decision = self.decision(own, setting);
        let values = decision.map(|decision| &*decision.values).unwrap_or_default();
        let enforced = lines.iter().any(|line| line.stands() && line.origin.operator == Operator::Enforce);
        let found = recorder.found.iter().filter(|((of, _), _)| *of == setting);
        Some(Explained {
            setting: setting.name(),
            unit: setting.spec().unit,
            values: values.iter().map(|value| sourced(value, lines, names)).collect(),
            enforced,
            losers: lines.iter().flat_map(|line| losers(line, names)).collect(),
            nearest: found.map(|((_, role), container)| Nearest { role: role.clone(), container: names.entry(*container) }).collect(),
        })
    }
}

/// A value with the line that brought it.
fn sourced(value: &Value, lines: &[Line], names: &Names<'_>) -> Sourced {
    let brought = |line: &&Line| line.stands() && line.values.iter().any(|held| held.is_same_element(value));
    let line = lines.iter().rev().find(brought).or(lines.last());
    let source = line.map_or_else(Names::built_in, |line| names.provenance(&line.origin));
    Sourced { value: value.to_string(), source }
}

/// What a line lost: itself, or single values.
fn losers(line: &Line, names: &Names<'_>) -> Vec<Loser> {
    let whole = reason(line, names).map(|(reason, by, text)| Loser {
        value: line.text.clone(),
        source: names.provenance(&line.origin),
        reason,
        by,
        text,
    });
    let removed = line.removed.iter().filter(|_| whole.is_none()).map(|(value, by)| Loser {
        value: value.to_string(),
        source: names.provenance(&line.origin),
        reason: "removed",
        by: by.object.map(|id| names.entry(id)),
        text: format!("removed by a `-=` line of {}", names.holder(by)),
    });
    let removed: Vec<Loser> = removed.collect();
    whole.into_iter().chain(removed).collect()
}

/// Names for ids.
pub(super) struct Names<'a> {
    snapshot: &'a Snapshot,
}

impl Names<'_> {
    pub(super) fn entry(&self, id: ObjectId) -> Entry {
        Entry { id: id.to_string(), dn: self.snapshot.dn(id).unwrap_or_default().to_string() }
    }

    /// Who holds a line, in words.
    pub(super) fn holder(&self, place: &Place) -> String {
        match place.object {
            Some(id) => self.entry(id).dn,
            None => place.layer.to_string(),
        }
    }

    pub(super) fn provenance(&self, place: &Place) -> Provenance {
        let has_order = place.attribute.is_none() && !matches!(place.layer, Layer::BuiltIn | Layer::Config);
        Provenance {
            layer: place.layer.to_string(),
            object: place.object.map(|id| self.entry(id)),
            attribute: place.attribute.clone(),
            operator: place.operator,
            order: has_order.then_some(place.order),
            change: place.since.generation.0,
            at: (place.since.at != Timestamp::default()).then(|| rfc3339(place.since.at)),
        }
    }

    fn built_in() -> Provenance {
        Provenance {
            layer: Layer::BuiltIn.to_string(),
            object: None,
            attribute: None,
            operator: Operator::Replace,
            order: None,
            change: 0,
            at: None,
        }
    }
}
