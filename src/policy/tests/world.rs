//! A directory written down as a tree, for tests and for the examples in `docs/policy.md`.
//!
//! ```text
//! domain DC=corp,DC=example
//!   | sip.registrar = 10 0 sips:reg.corp.example        a policy line of the object above
//!   ou OU=Berlin
//!     user CN=anna                                       mail: anna@corp.example, unless it has attributes of its own
//!       telephoneNumber: +49 30 1                        an attribute
//!     policy CN=phones                                   a serviceConnectionPoint with dialcast-policy/1
//!       | order 10
//!     server CN=ber1                                     a serviceConnectionPoint with dialcast-server/1
//!       | role = outbound-proxy
//!   site CN=HQ                                           subnet CN=floor, with dialcastSubnetPrefix and dialcastSiteDN
//!   group CN=staff
//!     member: CN=anna,OU=Berlin,DC=corp,DC=example
//! ```
//! Two spaces are one level. Ids count up from 1 in the order of the lines.

use std::net::IpAddr;

use crate::directory::{Entry, Event};
use crate::model::{Attributes, Dn, ObjectId, Resource, Timestamp};
use crate::policy::{Answer, Decision, Engine, Layer, PolicyConfig, Resolved, catalogue::Setting};
use crate::store::{ChangeSet, Snapshot, Store};

pub(super) fn id(n: u64) -> ObjectId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

/// An entry before it is one: attributes as text.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) id: ObjectId,
    pub(super) kind: String,
    pub(super) dn: Dn,
    pub(super) lines: Vec<String>,
    pub(super) attributes: Vec<(String, String)>,
}

impl Draft {
    pub(super) fn new(n: u64, kind: &str, dn: &str) -> Self {
        let dn = dn.parse().unwrap_or_else(|error| panic!("{dn}: {error}"));
        Self { id: id(n), kind: kind.into(), dn, lines: Vec::new(), attributes: Vec::new() }
    }

    pub(super) fn entry(&self) -> Entry {
        let (classes, keyword, lines): (&[&str], _, _) = match self.kind.as_str() {
            "domain" => (&["domain", "dialcastPolicy"], None, "dialcastSetting"),
            "ou" => (&["organizationalUnit", "dialcastPolicy"], None, "dialcastSetting"),
            "user" | "nobody" => (&["inetOrgPerson", "dialcastPolicy"], None, "dialcastSetting"),
            "group" => (&["groupOfNames", "dialcastPolicy"], None, "dialcastSetting"),
            "policy" => (&["serviceConnectionPoint"], Some("dialcast-policy/1"), "serviceBindingInformation"),
            "lines" => (&["applicationProcess", "dialcastPolicy"], None, "dialcastSetting"),
            "server" => (&["serviceConnectionPoint"], Some("dialcast-server/1"), "serviceBindingInformation"),
            "device" => (&["device", "ieee802Device", "dialcastPolicy"], None, "dialcastSetting"),
            "site" => (&["dialcastSite", "dialcastPolicy"], None, "dialcastSetting"),
            "subnet" => (&["dialcastSubnet", "dialcastPolicy"], None, "dialcastSetting"),
            // As Active Directory has them.
            "adsite" => (&["site"], None, "description"),
            "adsubnet" => (&["subnet"], None, "description"),
            "container" => (&["container"], None, "description"),
            "configuration" => (&["configuration"], None, "description"),
            "other" => (&["applicationProcess"], None, "description"),
            kind => panic!("no kind {kind}"),
        };
        let mut attributes = Attributes::new();
        attributes.add("objectClass", classes.iter().map(|class| class.as_bytes().to_vec()));
        let own_keywords = self.attributes.iter().filter(|(name, _)| name == "keywords").map(|(_, value)| &**value);
        attributes.add("keywords", keyword.into_iter().chain(own_keywords).map(|keyword| keyword.as_bytes().to_vec()));
        attributes.add(lines, self.lines.iter().map(|line| line.as_bytes().to_vec()));
        let others: Vec<(String, String)> = self.attributes.iter().filter(|(name, _)| name != "keywords").cloned().collect();
        for same in others.chunk_by(|(one, _), (other, _)| one == other) {
            for (name, _) in same.iter().take(1) {
                attributes.add(name, same.iter().map(|(_, value)| value.as_bytes().to_vec()));
            }
        }
        if self.kind == "user" && self.attributes.iter().all(|(name, _)| name == "telephoneNumber" || name == "createTimestamp") {
            let mail = format!("{}@corp.example", self.dn.rdn().unwrap().value());
            attributes.add("mail", [mail.into_bytes()]);
        }
        Entry { id: self.id, dn: self.dn.clone(), attributes }
    }
}

/// Reads a tree.
pub(super) fn drafts(tree: &str) -> Vec<Draft> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let margin = tree.lines().find(|line| !line.trim().is_empty()).map_or(0, indent);
    let mut drafts: Vec<Draft> = Vec::new();
    // The name at each level.
    let mut above: Vec<Dn> = Vec::new();
    for line in tree.lines().filter(|line| !line.trim().is_empty()) {
        let level = (indent(line) - margin) / 2;
        let text = line.trim();
        if let Some(setting) = text.strip_prefix("| ") {
            drafts.last_mut().unwrap().lines.push(setting.to_owned());
        } else if let Some((name, value)) = text.split_once(": ") {
            drafts.last_mut().unwrap().attributes.push((name.to_owned(), value.to_owned()));
        } else {
            let (kind, rdn) = text.split_once(' ').unwrap_or_else(|| panic!("not a line of a tree: {text}"));
            above.truncate(level);
            let name = above.last().map_or_else(|| rdn.to_owned(), |above| format!("{rdn},{above}"));
            let draft = Draft::new(drafts.len() as u64 + 1, kind, &name);
            above.push(draft.dn.clone());
            drafts.push(draft);
        }
    }
    drafts
}

/// So many lines of a tree.
pub(super) fn repeated(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().concat()
}

/// A store, and the engine that follows it.
pub(super) struct World {
    pub(super) store: Store,
    pub(super) config: PolicyConfig,
    clock: u64,
}

impl World {
    pub(super) fn new(tree: &str) -> Self {
        Self::configured(tree, &[])
    }

    pub(super) fn configured(tree: &str, settings: &[&str]) -> Self {
        let config = PolicyConfig { settings: settings.iter().map(|line| (*line).to_owned()).collect(), ..PolicyConfig::default() };
        let mut world = Self { store: Store::new(), config, clock: 0 };
        world.event(Event::Init);
        for draft in drafts(tree) {
            world.event(Event::InitApply(draft.entry()));
        }
        world.event(Event::InitDone { sweep: true, cookie: None });
        world
    }

    pub(super) fn event(&mut self, event: Event) -> Option<ChangeSet> {
        self.clock += 1000;
        let applied = self.store.apply(event, Timestamp(self.clock));
        assert_eq!(applied.faults, [], "the store finds fault with a test");
        applied.changes
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
    }

    pub(super) fn engine(&self) -> Engine {
        let mut engine = Engine::new(self.config.clone());
        engine.load(&self.snapshot());
        engine
    }

    /// The object whose leaf has this value, such as `anna`.
    pub(super) fn named(&self, name: &str) -> ObjectId {
        let snapshot = self.snapshot();
        let found: Vec<ObjectId> = snapshot.iter().filter(|object| object.rdn.value() == name).map(|object| object.id).collect();
        assert_eq!(found.len(), 1, "objects named {name}");
        found[0]
    }

    pub(super) fn resolved(&self, name: &str) -> Resolved {
        let user = self.named(name);
        let engine = self.engine();
        let resolved = engine.users().find(|resolved| resolved.user == user).unwrap_or_else(|| panic!("{name} has no document"));
        Resolved::clone(&resolved)
    }
}

/// `values (layer Leaf)`: a decision with the layer and the object that had the last word.
pub(super) fn shown(decision: &Decision, snapshot: &Snapshot) -> String {
    let values: Vec<String> = decision.values.iter().map(ToString::to_string).collect();
    let object = decision.source.object.and_then(|id| snapshot.get(id)).map(|object| format!(" {}", object.rdn.value()));
    let layer = match decision.source.layer {
        Layer::Unit(depth) => format!("OU {depth}"),
        layer => layer.to_string(),
    };
    format!("{} ({layer}{})", values.join(", "), object.unwrap_or_default())
}

/// Resolves one user of a tree and compares the settings named in `expect`, lines `setting: values (layer object)`, or
/// `setting: none`. A registrar is set in the configuration.
pub(super) fn check(tree: &str, user: &str, expect: &str) {
    check_configured(tree, &[], user, expect);
}

/// As [`check`], for an endpoint at an address.
pub(super) fn check_at(tree: &str, user: &str, address: IpAddr, expect: &str) {
    let world = World::configured(tree, &["sip.registrar = 10 0 sips:reg.corp.example"]);
    let mut engine = world.engine();
    let spot = engine.network().at(address).endpoint.as_deref().copied().unwrap_or_default();
    let aor = world.resolved(user).aor;
    let Some(Answer::User(resolved)) = engine.want(&Resource::User(aor), spot) else { panic!("{user} has no settings there") };
    compare(&world, user, &resolved, expect);
}

/// As [`check`], with more lines in the configuration.
pub(super) fn check_configured(tree: &str, settings: &[&str], user: &str, expect: &str) {
    let mut config = vec!["sip.registrar = 10 0 sips:reg.corp.example"];
    config.extend(settings);
    let world = World::configured(tree, &config);
    compare(&world, user, &world.resolved(user), expect);
}

fn compare(world: &World, user: &str, resolved: &Resolved, expect: &str) {
    for line in expect.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, wanted) = line.split_once(": ").unwrap_or_else(|| panic!("not an expectation: {line}"));
        let setting = Setting::named(name).unwrap_or_else(|| panic!("no setting {name}"));
        let found = resolved.get(setting).map_or_else(|| "none".to_owned(), |decision| shown(decision, &world.snapshot()));
        assert_eq!(found, wanted, "{name} of {user}");
    }
}
