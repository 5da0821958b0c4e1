//! The incremental engine comes to the answer of a full one, whatever happens in whatever order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::oracle::oracle;
use super::world::{Draft, World, id};
use crate::directory::Event;
use crate::model::{Aor, DeviceId, Here, ObjectId, Resource, Spot};
use crate::policy::catalogue::Setting;
use crate::policy::engine::Standing;
use crate::policy::engine::resolve;
use crate::policy::personal::Orders;
use crate::policy::resolve::is_server_list;
use crate::policy::{Answer, Decision, Engine, Looks, Outcome, Resolved, UserChange, Withholding};
use crate::store::ChangeSet;

/// Object 0 is the domain, and stays.
const KINDS: [&str; 29] = [
    "domain", "ou", "ou", "ou", "ou", "ou", "group", "group", "group", "group", "policy", "policy", "policy", "lines", "server", "server",
    "server", "user", "user", "user", "user", "user", "user", "device", "site", "site", "subnet", "subnet", "subnet",
];

/// Registrars come with the configuration, so that most users have a document.
const SETTINGS: [&str; 3] = ["sip.registrar = 10 0 sips:r0.x.example", "filter deny group:CN=o9,DC=x", "media.srtp = preferred"];

const LINES: [&str; 32] = [
    "sip.registrar = 10 0 sips:r1.x.example",
    "sip.registrar = 10 0 sips:r2.x.example",
    "sip.registrar ! 10 0 sips:r3.x.example",
    "sip.registrar -= sips:r1.x.example",
    "sip.outbound-proxy = @nearest(p)",
    "sip.outbound-proxy += @nearest(q)",
    "sip.outbound-proxy = 10 0 sips:d.x.example",
    "sip.expires = 60",
    "sip.expires = soon",
    "sip.expires ! 90",
    "sip.expires ! 91",
    "ntp = a.example, b.example",
    "ntp += c.example",
    "ntp -= a.example",
    "ntp unset",
    "block",
    "block=sip.",
    "order 5",
    "filter group:CN=o6,DC=x",
    "filter deny group:CN=o7,DC=x",
    "filter group:CN=o8,OU=o1,DC=x",
    "filter deny group:CN=o9,OU=o2,DC=x",
    "filter group:not a name",
    "emergency.number = 112",
    "account.aor = sip:a1@x.example",
    "media.srtp = off",
    "net.stun = 10 0 stun:a.x.example",
    "net.stun += 20 0 stun:b.x.example",
    "media.max-bandwidth ! 100",
    "media.max-bandwidth = 200",
    "emergency.number += 110",
    "timezone = Europe/Berlin",
];

/// Of subnets, by a number; nested, doubled and unreadable ones among them.
const PREFIXES: [&str; 6] = ["10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "2001:db8::/32", "10.1.0.0/16", "10.1.0.1/16"];

/// Addresses that endpoints have.
pub(super) const ENDPOINTS: [&str; 5] = ["10.1.1.1", "10.1.2.1", "10.2.0.1", "2001:db8::1", "192.0.2.1"];

const SERVER_LINES: [&str; 7] = [
    "server = 10 30 sips:s4.x.example",
    "role = p",
    "role = q",
    "server = 10 10 sips:s1.x.example",
    "server = 10 20 sips:s2.x.example",
    "server = 20 0 sips:s3.x.example",
    "server = nonsense",
];

#[derive(Debug, Clone)]
pub(super) enum Op {
    Move(usize, usize),
    Lines(usize, u32),
    Members(usize, u32),
    Mail(usize, u8),
    Created(usize, u8),
    /// An OU that is none any more, or one again.
    Kind(usize),
    Delete(usize),
    /// The network of a subnet, and its site.
    Subnet(usize, u8, u8),
    /// Back, or as it is: everything at once.
    Put(usize, usize, u32),
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let object = 1..KINDS.len();
    let place = 0..KINDS.len();
    // A few lines at a time: objects with all of them say little.
    let bits = prop::collection::vec(0..32_u32, 0..5).prop_map(|lines| lines.into_iter().fold(0, |bits, line| bits | 1 << line));
    prop_oneof![
        4 => (object.clone(), place.clone()).prop_map(|(o, p)| Op::Move(o, p)),
        6 => (0..KINDS.len(), bits.clone()).prop_map(|(o, b)| Op::Lines(o, b)),
        4 => (6..10_usize, any::<u32>()).prop_map(|(o, b)| Op::Members(o, b)),
        2 => (17..23_usize, 0..5_u8).prop_map(|(o, m)| Op::Mail(o, m)),
        1 => (17..23_usize, 0..4_u8).prop_map(|(o, m)| Op::Created(o, m)),
        1 => (1..6_usize).prop_map(Op::Kind),
        3 => (26..29_usize, 0..6_u8, 0..3_u8).prop_map(|(o, p, s)| Op::Subnet(o, p, s)),
        2 => object.clone().prop_map(Op::Delete),
        5 => (object, place, bits).prop_map(|(o, p, b)| Op::Put(o, p, b)),
    ]
}

#[derive(Debug, Clone)]
struct Node {
    kind: &'static str,
    parent: usize,
    lines: u32,
    members: BTreeSet<String>,
    mail: u8,
    created: u8,
    prefix: u8,
    site: u8,
    is_there: bool,
}

/// A directory that takes any operation.
pub(super) struct Directory {
    nodes: Vec<Node>,
    pub(super) world: World,
}

impl Directory {
    pub(super) fn new() -> Self {
        let node = |kind: &&'static str| Node {
            kind,
            parent: 0,
            lines: 0,
            members: BTreeSet::new(),
            mail: 0,
            created: 0,
            prefix: 0,
            site: 0,
            is_there: *kind == "domain",
        };
        let mut directory = Self { nodes: KINDS.iter().map(node).collect(), world: World::new("domain DC=x") };
        directory.world.config.settings = SETTINGS.map(str::to_owned).to_vec();
        for (index, node) in KINDS.iter().enumerate().skip(1) {
            // Something to begin with: a few levels with users in them, a server in a device, groups with members.
            let parent = match index {
                6 | 7 => 0,
                8 | 9 => index - 7,
                1..6 => index / 3,
                _ => index % 6,
            };
            let lines = if *node == "server" { 0b1_1011 } else { 1 << (index % 32) | 1 << (index * 7 % 32) };
            directory.apply(&Op::Put(index, parent, lines));
        }
        directory.apply(&Op::Move(14, 23));
        for subnet in 26..29_u8 {
            directory.apply(&Op::Subnet(usize::from(subnet), subnet - 26, subnet % 2));
        }
        for group in 6..10 {
            directory.apply(&Op::Members(group, 0b0101_0011_0000_0110_0000_0000_0010 << (group - 6)));
        }
        directory
    }

    fn dn(&self, index: usize) -> String {
        if index == 0 {
            return "DC=x".into();
        }
        let node = &self.nodes[index];
        let kind = if KINDS[index] == "ou" { "OU" } else { "CN" };
        format!("{kind}=o{index},{}", self.dn(node.parent))
    }

    fn is_within(&self, mut index: usize, above: usize) -> bool {
        loop {
            if index == above {
                return true;
            }
            if index == 0 {
                return false;
            }
            index = self.nodes[index].parent;
        }
    }

    pub(super) fn apply(&mut self, op: &Op) -> Option<ChangeSet> {
        match *op {
            Op::Move(index, parent) => self.place(index, parent),
            Op::Lines(index, lines) => self.nodes[index].lines = lines,
            Op::Members(index, bits) => {
                let members = (1..KINDS.len()).filter(|n| bits & (1 << n) != 0 && matches!(KINDS[*n], "user" | "group"));
                let mut names: BTreeSet<String> = members.map(|n| self.dn(n)).collect();
                if bits & 1 != 0 {
                    names.insert("CN=nobody,DC=x".into());
                }
                self.nodes[index].members = names;
            }
            Op::Mail(index, mail) => self.nodes[index].mail = mail,
            Op::Created(index, created) => self.nodes[index].created = created,
            Op::Subnet(index, prefix, site) => (self.nodes[index].prefix, self.nodes[index].site) = (prefix, site),
            Op::Kind(index) => self.nodes[index].kind = if self.nodes[index].kind == "ou" { "other" } else { "ou" },
            Op::Delete(index) => {
                if !self.nodes[index].is_there {
                    return None;
                }
                for below in 0..KINDS.len() {
                    if self.is_within(below, index) {
                        self.nodes[below].is_there = false;
                    }
                }
                return self.world.event(Event::Delete(id(index as u64 + 1)));
            }
            Op::Put(index, parent, lines) => {
                self.nodes[index].is_there = true;
                self.place(index, parent);
                self.nodes[index].lines = lines;
            }
        }
        let (Op::Move(index, _)
        | Op::Lines(index, _)
        | Op::Members(index, _)
        | Op::Mail(index, _)
        | Op::Created(index, _)
        | Op::Kind(index)
        | Op::Subnet(index, ..)
        | Op::Put(index, ..)
        | Op::Delete(index)) = *op;
        if self.nodes[index].is_there { self.world.event(Event::Apply(self.draft(index).entry())) } else { None }
    }

    fn place(&mut self, index: usize, parent: usize) {
        let holds = matches!(KINDS[parent], "domain" | "ou" | "device") || KINDS[index] == "policy" || KINDS[index] == "lines";
        if self.nodes[parent].is_there && holds && !self.is_within(parent, index) {
            self.nodes[index].parent = parent;
        } else if !self.nodes[self.nodes[index].parent].is_there || self.is_within(self.nodes[index].parent, index) {
            self.nodes[index].parent = 0;
        }
    }

    /// Every object that is there, parents before their children.
    pub(super) fn drafts(&self) -> Vec<Draft> {
        let mut there: Vec<usize> = (0..KINDS.len()).filter(|index| self.nodes[*index].is_there).collect();
        there.sort_by_key(|index| self.dn(*index).split(',').count());
        there.into_iter().map(|index| self.draft(index)).collect()
    }

    fn draft(&self, index: usize) -> Draft {
        let node = &self.nodes[index];
        let mut draft = Draft::new(index as u64 + 1, if node.kind == "user" { "nobody" } else { node.kind }, &self.dn(index));
        let pool: &[&str] = if node.kind == "server" { &SERVER_LINES } else { &LINES };
        // Servers have few lines to choose from.
        let lines = if node.kind == "server" { node.lines | node.lines >> 7 | node.lines >> 14 | node.lines >> 21 } else { node.lines };
        draft.lines = pool.iter().enumerate().filter(|(n, _)| lines & (1 << n) != 0).map(|(_, line)| (*line).to_owned()).collect();
        draft.attributes.extend(node.members.iter().map(|member| ("member".to_owned(), member.clone())));
        if node.kind == "device" {
            draft.attributes.push(("macAddress".into(), "00:15:65:f4:f9:e1".into()));
        }
        if node.kind == "subnet" {
            draft.attributes.push(("dialcastSubnetPrefix".into(), PREFIXES[usize::from(node.prefix)].into()));
            // The name of a site that may not be there, or none.
            let site = usize::from(node.site) + 24;
            if KINDS[site] == "site" {
                draft.attributes.push(("dialcastSiteDN".into(), self.dn(site)));
            }
        }
        if node.kind == "user" {
            match node.mail {
                0 => draft.attributes.push(("mail".into(), format!("o{index}@x.example"))),
                // The same record in other letters.
                1 | 2 if index.is_multiple_of(2) => draft.attributes.push(("mail".into(), format!("A{}@X.example", node.mail))),
                1 | 2 => draft.attributes.push(("mail".into(), format!("a{}@x.example", node.mail))),
                3 => {}
                _ => draft.attributes.push(("mail".into(), "no address".into())),
            }
            if node.created > 0 {
                draft.attributes.push(("createTimestamp".into(), format!("200{}0101000000Z", node.created)));
            }
        }
        draft
    }
}

/// What an engine says of everybody, as text: values with their sources, and who is withheld.
pub(super) fn answer(engine: &Engine) -> BTreeMap<ObjectId, String> {
    let settings = |resolved: &Resolved| {
        let line = |(setting, d): (_, &Decision)| {
            let source = (d.source.layer, d.source.object, d.source.operator);
            format!("{setting} {:?} {source:?}\n", d.values)
        };
        resolved.iter().map(line).collect::<String>()
    };
    let user = |(id, user): (&ObjectId, &crate::policy::engine::User)| {
        let resolved = resolve(engine, *id, &mut Orders::default()).map(|resolved| format!("{}\n{}", resolved.aor, settings(&resolved)));
        assert_eq!(user.aor.is_some(), resolved.is_some());
        (*id, format!("{:?} {}", user.standing, resolved.unwrap_or_default()))
    };
    engine.users.iter().map(user).collect()
}

/// Holds that an engine says of everybody what the rules say.
fn obey(engine: &Engine, directory: &Directory) {
    for resolved in engine.users() {
        obey_at(directory, &resolved, Spot::default());
    }
}

/// Holds that a user's settings at a spot are what the rules say.
fn obey_at(directory: &Directory, resolved: &Resolved, spot: Spot) {
    let mut expect = oracle(&directory.world.snapshot(), &directory.world.config, resolved.user, spot);
    let mut found: BTreeMap<Setting, Vec<String>> =
        resolved.iter().map(|(setting, d)| (setting, d.values.iter().map(ToString::to_string).collect())).collect();
    expect.remove(&Setting::ACCOUNT_AOR);
    found.remove(&Setting::ACCOUNT_AOR);
    for (setting, values) in &mut found {
        if is_server_list(*setting) {
            assert!(values.is_sorted_by_key(|value| value.split(' ').next().map(str::to_owned)), "{values:?}");
            values.sort();
        }
    }
    assert_eq!(found, expect, "{} at {spot:?}", resolved.aor);
}

/// What can be wanted: users by the addresses that they may have, a device, and the network.
fn resources() -> Vec<Resource> {
    let users = (17..23).map(|n| format!("sip:o{n}@x.example")).chain(["sip:a1@x.example".into(), "sip:a2@x.example".into()]);
    let users = users.map(|aor| Resource::User(aor.parse().unwrap()));
    users.chain([Resource::LocalNetwork, Resource::Device(DeviceId::parse("001565F4F9E1").unwrap())]).collect()
}

/// The spots of all addresses, for a resource.
fn spots(engine: &Engine, resource: &Resource) -> BTreeSet<Spot> {
    let here = |address: &&str| engine.network().at(address.parse().unwrap()).clone();
    let spot = |here: Here| {
        if *resource == Resource::LocalNetwork { *here.network } else { here.endpoint.as_deref().copied().unwrap_or_default() }
    };
    ENDPOINTS.iter().map(|address| spot(here(address))).collect()
}

fn told(answer: &Answer) -> String {
    let line = |setting: Setting, d: &Decision| format!("{setting} {:?} {:?} {:?}\n", d.values, d.source.layer, d.source.object);
    match answer {
        Answer::Disabled(aor) => format!("{aor} is disabled"),
        Answer::User(resolved) => resolved.iter().map(|(setting, d)| line(setting, d)).collect(),
        Answer::Part(part) => part.iter().map(|(setting, d)| line(*setting, d)).collect(),
    }
}

/// What somebody who listens knows.
#[derive(Default)]
struct Told {
    published: BTreeMap<Aor, Arc<Resolved>>,
    withheld: BTreeMap<ObjectId, Withholding>,
}

/// Holds that an outcome leads from what was told before to what is now, and tells nothing twice.
fn follow(told: &mut Told, outcome: &Outcome, engine: &Engine) {
    let Told { published: told, withheld } = told;
    for change in &outcome.users {
        match change {
            UserChange::Disabled { now, .. } => drop(told.remove(&now.aor)),
            UserChange::Gone { aor, user, .. } => {
                assert_eq!(told.remove(aor).map(|resolved| resolved.user), Some(*user), "gone, but never told");
            }
            UserChange::Withheld { user, why, .. } => {
                assert_ne!(withheld.insert(*user, why.clone()).as_ref(), Some(why), "told twice: {why}");
            }
            UserChange::Resolved { now: resolved, .. } => {
                let before = told.insert(resolved.aor.clone(), Arc::clone(resolved));
                assert!(before.is_none_or(|before| !before.is_same(resolved)), "told twice: {}", resolved.aor);
            }
        }
    }
    withheld.retain(|user, _| engine.users.get(user).is_some_and(|user| matches!(user.standing, Standing::Withheld(_))));
    for (id, user) in &engine.users {
        let why = if let Standing::Withheld(why) = &user.standing { Some(&**why) } else { None };
        assert_eq!(withheld.get(id), why);
    }
    for resolved in engine.users() {
        assert!(told.get(&resolved.aor).is_some_and(|told| told.is_same(&resolved)), "not told: {}", resolved.aor);
        assert!(engine.user_by_aor(&resolved.aor).unwrap().is_same(&resolved));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn an_update_comes_to_the_answer_of_a_load(batches in prop::collection::vec(prop::collection::vec(op(), 1..5), 1..12)) {
        let mut directory = Directory::new();
        let mut engine = Engine::new(directory.world.config.clone());
        let mut told = Told::default();
        let outcome = engine.load(&directory.world.snapshot());
        follow(&mut told, &outcome, &engine);
        for batch in batches {
            let changes: Vec<ChangeSet> = batch.iter().filter_map(|op| directory.apply(op)).collect();
            let snapshot = directory.world.snapshot();
            let outcome = engine.update(&snapshot, &changes);
            let mut full = Engine::new(directory.world.config.clone());
            full.load(&snapshot);
            prop_assert_eq!(answer(&engine), answer(&full), "after {:?}", batch);
            prop_assert_eq!(engine.faults(), full.faults());
            follow(&mut told, &outcome, &engine);
            engine.check_sharing();
            obey(&engine, &directory);
        }
        // A load finds nothing that the updates missed.
        let again = engine.load(&directory.world.snapshot());
        prop_assert!(again.users.is_empty(), "{:?}", again.users);
        engine.check_sharing();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// What is wanted for a place is kept as a full engine decides it, and told when it differs.
    #[test]
    fn what_is_wanted_is_kept_up_to_date(batches in prop::collection::vec(prop::collection::vec(op(), 1..5), 1..10)) {
        let mut directory = Directory::new();
        let mut engine = Engine::new(directory.world.config.clone());
        engine.load(&directory.world.snapshot());
        let mut wanted: BTreeMap<(Resource, Spot), Option<Answer>> = BTreeMap::new();
        for batch in batches {
            // Everything that anybody can ask now; what was asked before stays wanted.
            for resource in resources() {
                for spot in spots(&engine, &resource) {
                    let answer = engine.want(&resource, spot);
                    wanted.insert((resource.clone(), spot), answer);
                }
            }
            let changes: Vec<ChangeSet> = batch.iter().filter_map(|op| directory.apply(op)).collect();
            let snapshot = directory.world.snapshot();
            let outcome = engine.update(&snapshot, &changes);
            for (resource, spot, answer) in outcome.answers {
                let before = wanted.insert((resource, spot), Some(answer.clone())).expect("nobody asked for it");
                prop_assert!(before.is_none_or(|before| !before.is_same(&answer)), "told twice");
            }
            // Who is gone begins anew; that an address is, is told elsewhere.
            for ((resource, _), held) in &mut wanted {
                let is_gone = match resource {
                    Resource::User(aor) => engine.addresses.owner(aor).is_none(),
                    Resource::Device(id) => engine.devices.find(id).is_none(),
                    Resource::LocalNetwork => false,
                };
                if is_gone {
                    *held = None;
                }
            }
            let mut full = Engine::new(directory.world.config.clone());
            full.load(&snapshot);
            prop_assert_eq!(engine.network(), full.network(), "after {:?}", batch);
            prop_assert!(engine.devices().eq(full.devices()));
            for ((resource, spot), held) in &wanted {
                // Where there is no answer now, the last good one stays.
                let Some(now) = full.want(resource, *spot) else { continue };
                prop_assert!(held.as_ref().is_some_and(|held| held.is_same(&now)), "{:?} at {:?} after {:?}\n{}\nfull\n{}", resource, spot, batch, held.as_ref().map(told).unwrap_or_default(), told(&now));
                // And with its sources, whoever asks.
                prop_assert_eq!(engine.want(resource, *spot).as_ref().map(told), Some(told(&now)), "{:?} at {:?} after {:?}", resource, spot, batch);
                if let (Resource::User(_), Answer::User(resolved)) = (resource, &now) {
                    obey_at(&directory, resolved, *spot);
                }
            }
        }
    }

    /// Whom an update does not reach at a place has there what it had: nobody else need be looked at.
    #[test]
    fn whom_a_change_does_not_reach_is_where_it_was(batches in prop::collection::vec(prop::collection::vec(op(), 1..5), 1..8)) {
        let mut directory = Directory::new();
        let mut engine = Engine::new(directory.world.config.clone()).tracing();
        engine.load(&directory.world.snapshot());
        for batch in batches {
            let mut before = Engine::new(directory.world.config.clone());
            before.load(&directory.world.snapshot());
            let changes: Vec<ChangeSet> = batch.iter().filter_map(|op| directory.apply(op)).collect();
            let snapshot = directory.world.snapshot();
            engine.update(&snapshot, &changes);
            let reach = engine.reach().cloned().unwrap_or_default();
            let mut full = Engine::new(directory.world.config.clone());
            full.load(&snapshot);
            let mut looks = <[Looks; 3]>::default();
            for resource in resources() {
                let common: Vec<Spot> = spots(&before, &resource).intersection(&spots(&engine, &resource)).copied().collect();
                for spot in common {
                    let now = engine.look(&resource, spot, &mut looks[0]);
                    prop_assert_eq!(now.as_ref().map(told), full.look(&resource, spot, &mut looks[1]).as_ref().map(told), "{:?} at {:?} after {:?}", resource, spot, batch);
                    let reached = match &resource {
                        Resource::User(aor) => reach.users().any(|reached| reached == aor),
                        Resource::Device(id) => reach.devices().any(|reached| reached == id),
                        Resource::LocalNetwork => true,
                    };
                    if reached || reach.covers([spot, spot]) {
                        continue;
                    }
                    let was = before.look(&resource, spot, &mut looks[2]);
                    let same = match (&was, &now) {
                        (Some(was), Some(now)) => was.is_same(now),
                        (was, now) => was.is_none() && now.is_none(),
                    };
                    prop_assert!(same, "{:?} at {:?} after {:?}: {:?}", resource, spot, batch, reach);
                }
            }
        }
    }
}
