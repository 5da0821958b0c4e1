//! The rules of design §3 once more, one user and one setting at a time, without any sharing or order of evaluation to get
//! wrong: what the engine is compared with.

use std::collections::BTreeMap;

use crate::model::{Container, Dn, Kind, ObjectId, Spot};
use crate::policy::PolicyConfig;
use crate::policy::catalogue::Setting;
use crate::policy::grammar::{Filter, Operator};
use crate::policy::object::{Carrier, Edit, PolicyObject, Since};
use crate::policy::value::{Server, Value, ValueKind};
use crate::store::{Object, Snapshot};

/// An object that may speak about the user.
struct Speaker {
    /// 0 config, 1.. containers from the outermost, then groups, then the user.
    layer: usize,
    is_container: bool,
    policy: PolicyObject,
}

/// The user's values by the rules, without those that come from identity attributes. Server lists are sorted by text.
pub(super) fn oracle(snapshot: &Snapshot, config: &PolicyConfig, user: ObjectId, spot: Spot) -> BTreeMap<Setting, Vec<String>> {
    let groups = snapshot.transitive_groups(user);
    let mut containers: Vec<&Object> =
        snapshot.ancestors(user).map(|object| &**object).filter(|object| matches!(object.kind, Kind::Container(_))).collect();
    containers.reverse();
    let mut speakers =
        vec![Speaker { layer: 0, is_container: false, policy: read(None, Carrier::Config, config.settings.iter().map(String::as_bytes)) }];
    for (index, container) in containers.iter().enumerate() {
        assert!(matches!(container.kind, Kind::Container(Container::Domain | Container::Unit)));
        speakers.extend(speaking_for(snapshot, container.id, Carrier::Container, index + 1));
    }
    for group in &groups {
        speakers.extend(speaking_for(snapshot, *group, Carrier::Group, containers.len() + 1));
    }
    speakers.extend(speaking_for(snapshot, user, Carrier::User, containers.len() + 2));
    let place = |id: Option<ObjectId>, carrier, layer| id.into_iter().flat_map(move |id| speaking_for(snapshot, id, carrier, layer));
    speakers.extend(place(spot.site, Carrier::Site, SITE));
    speakers.extend(place(spot.subnet, Carrier::Subnet, SUBNET));
    speakers.retain(|speaker| admits(snapshot, &speaker.policy, &groups));
    let values = |setting: Setting| {
        let network = setting.spec().network;
        let mut speakers: Vec<&Speaker> = speakers.iter().filter(|s| s.layer != SUBNET || network).collect();
        // Low to high: the lower layer first, and within a layer the higher order and the higher id.
        speakers.sort_by_key(|s| (rank(s.layer, network), std::cmp::Reverse((s.policy.order, s.policy.id))));
        let mut values: Vec<String> = decide(snapshot, &containers, &speakers, setting).iter().map(Value::to_string).collect();
        if matches!(setting.spec().kind, ValueKind::Server(_)) {
            values.sort();
        }
        (setting, values)
    };
    Setting::all().map(values).filter(|(_, values)| !values.is_empty()).collect()
}

/// Layers that have no place among the containers.
const SITE: usize = usize::MAX - 1;
const SUBNET: usize = usize::MAX;

/// The place of a layer in the order: configuration, site, the rest; of network settings the rest, site, subnet.
fn rank(layer: usize, network: bool) -> usize {
    match layer {
        0 => 0,
        SITE if !network => 1,
        SITE | SUBNET => layer,
        layer => layer + 1,
    }
}

fn read<'a>(id: Option<ObjectId>, carrier: Carrier, lines: impl Iterator<Item = &'a [u8]>) -> PolicyObject {
    let attribute = "line".into();
    let lines: Vec<&[u8]> = lines.collect();
    PolicyObject::read(id, carrier, lines.iter().map(|line| (&attribute, *line)), Since::default())
}

/// The object's own lines, and those of the policies in it.
fn speaking_for(snapshot: &Snapshot, id: ObjectId, carrier: Carrier, layer: usize) -> Vec<Speaker> {
    let own = snapshot.get(id).into_iter();
    let inside = snapshot.children(id).filter(|child| child.kind == Kind::Policy);
    own.chain(inside)
        .map(|object| {
            let attributes = &object.attributes;
            let binding =
                if object.kind == Kind::Policy { attributes.values("serviceBindingInformation") } else { attributes.values("nothing") };
            let lines = attributes.values("dialcastSetting").iter().chain(binding);
            Speaker { layer, is_container: carrier == Carrier::Container, policy: read(Some(object.id), carrier, lines) }
        })
        .collect()
}

fn admits(snapshot: &Snapshot, policy: &PolicyObject, groups: &[ObjectId]) -> bool {
    let is_in =
        |dn: &Dn| snapshot.find(dn).is_some_and(|group| groups.contains(&group) && snapshot.get(group).unwrap().kind == Kind::Group);
    let allows: Vec<&Dn> = policy.filters.iter().filter_map(|f| if let Filter::Allow(dn) = f { Some(dn) } else { None }).collect();
    let denied = policy.filters.iter().any(|f| if let Filter::Deny(dn) = f { is_in(dn) } else { *f == Filter::Unreadable });
    !denied && (allows.is_empty() || allows.into_iter().any(is_in))
}

fn decide(snapshot: &Snapshot, containers: &[&Object], speakers: &[&Speaker], setting: Setting) -> Vec<Value> {
    let expand = |values: &[Value]| -> Vec<Value> {
        let mut out: Vec<Value> = Vec::new();
        for value in values {
            match value {
                Value::Nearest(role) => {
                    for server in nearest(snapshot, containers, setting, role) {
                        if !out.iter().any(|held| held.is_same_element(&server)) {
                            out.push(server);
                        }
                    }
                }
                value => out.push(value.clone()),
            }
        }
        out
    };
    let base = |edit: &Edit, enforced: bool| -> Option<Vec<Value>> {
        let base = edit.base.as_ref().filter(|base| (base.operator == Operator::Enforce) == enforced)?;
        if base.operator == Operator::Unset {
            return Some(setting.default_values());
        }
        let values = expand(&base.values);
        (base.values.is_empty() || !values.is_empty()).then_some(values)
    };
    let amend = |edit: &Edit, mut list: Vec<Value>| {
        let gone = expand(&edit.removes);
        list.retain(|held| !gone.iter().any(|value| value.is_same_element(held)));
        for value in expand(&edit.appends) {
            match list.iter().position(|held| held.is_same_element(&value)) {
                Some(at) => list[at] = value,
                None => list.push(value),
            }
        }
        list
    };
    let edits = || speakers.iter().filter_map(|s| Some((s, s.policy.edits.iter().find(|edit| edit.setting == setting)?)));
    // Rule 4: of the enforced ones the outermost, in it the lowest order, then the lowest id.
    let enforced = edits().filter_map(|(s, edit)| Some((s, edit, base(edit, true)?)));
    if let Some((_, edit, list)) = enforced.min_by_key(|(s, _, _)| (rank(s.layer, setting.spec().network), s.policy.order, s.policy.id)) {
        return amend(edit, list);
    }
    let mut list = setting.default_values();
    for (speaker, edit) in edits() {
        let at = |speaker: &Speaker| rank(speaker.layer, setting.spec().network);
        let blocks =
            |other: &&&Speaker| other.is_container && at(other) > at(speaker) && other.policy.blocks.iter().any(|b| b.covers(setting));
        if (speaker.is_container || speaker.layer == SITE) && speakers.iter().any(|other| blocks(&other)) {
            continue;
        }
        list = amend(edit, base(edit, false).unwrap_or(list));
    }
    list
}

fn nearest(snapshot: &Snapshot, containers: &[&Object], setting: Setting, role: &str) -> Vec<Value> {
    for container in containers.iter().rev() {
        let mut found: Vec<(ObjectId, Vec<Server>)> = Vec::new();
        for object in snapshot.iter().filter(|object| object.kind == Kind::Server) {
            let above = snapshot.ancestors(object.id).find(|above| matches!(above.kind, Kind::Container(_)));
            let lines: Vec<&str> = object.attributes.texts("serviceBindingInformation").collect();
            if above.is_some_and(|above| above.id == container.id) && lines.contains(&&*format!("role = {role}")) {
                let mut lines: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("server = ")).collect();
                lines.sort_by_key(|line| line.split(' ').next_back().map(str::to_owned));
                let servers = lines.into_iter().filter_map(|line| match setting.spec().kind.parse(line) {
                    Ok(Value::Server(server)) => Some(server),
                    _ => None,
                });
                found.push((object.id, servers.collect()));
            }
        }
        found.sort_by_key(|(id, _)| *id);
        let servers: Vec<Value> = found.into_iter().flat_map(|(_, servers)| servers).map(Value::Server).collect();
        if !servers.is_empty() {
            return servers;
        }
    }
    Vec::new()
}
