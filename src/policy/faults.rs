//! What is wrong with a directory and its policies, for `check`: where, what, and what to do.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::aim;
use super::catalogue::Setting;
use super::engine::{Engine, Standing};
use super::grammar::Filter;
use super::object::{HeldFault, PolicyObject};
use super::outcome::Withholding;
use super::resolved::{Want, Wanted};
use super::sources::CONFIG_KEY;
use super::value::{Subject, Value};
use crate::model::{Container, Dn, Fault, Kind, ObjectId, Place, Severity};
use crate::store::{Member, Object, Snapshot};

/// From this many users directly in one container on, `check` says so: one edit there reaches them all at once.
const CROWD: usize = 10_000;

impl Engine {
    /// Every fault of the configuration's policy lines and of the directory, as of the last load or update, sorted. It walks
    /// the whole directory: for `check` and the admin, not for every change.
    pub fn faults(&self) -> Vec<Fault> {
        let mut listed = Listed { snapshot: &self.snapshot, faults: Vec::new() };
        for (policy, governs_nobody) in self.sources.all_policies() {
            listed.policy(policy, governs_nobody, |dn| self.sources.group(dn).is_some());
        }
        for server in self.sources.all_servers() {
            for held in &server.faults {
                listed.held(Some(server.id), held);
            }
        }
        for (id, held) in self.network_faults().iter().chain(&self.devices.faults(&self.snapshot)) {
            listed.held(Some(*id), held);
        }
        for (id, user) in &self.users {
            for held in user.amiss.iter().flat_map(|amiss| &amiss.faults) {
                listed.held(Some(*id), held);
            }
            listed.standing(*id, &user.standing, &self.config.identity.aor);
        }
        listed.wants(self.wants());
        self.unserved(&mut listed);
        listed.dangling();
        listed.empty_units();
        let mut crowds: HashMap<ObjectId, usize> = HashMap::new();
        for container in self.users.values().filter_map(|user| user.shared.container) {
            *crowds.entry(container).or_default() += 1;
        }
        for (container, count) in crowds.into_iter().filter(|(_, count)| *count >= CROWD) {
            listed.object(
                Severity::Note,
                "directory.crowd",
                container,
                None,
                format!("{count} users stand directly in it"),
                "nothing has to be done; an edit here reaches all of them at once, and OUs below it would divide them".into(),
            );
        }
        listed.faults.sort();
        listed.faults.dedup();
        listed.faults
    }

    /// Roles that lines of sites and subnets ask for, and that no server anywhere has. Who is missed by whom depends on who is there.
    fn unserved(&self, listed: &mut Listed<'_>) {
        let is_network = |id: ObjectId| self.snapshot.get(id).is_some_and(|object| matches!(object.kind, Kind::Site | Kind::Subnet));
        for policy in self.sources.governed().filter(|(id, _)| is_network(*id)).flat_map(|(_, policies)| policies) {
            for (setting, role) in policy.roles().filter(|(_, role)| !self.sources.all_servers().any(|server| server.has_role(role))) {
                let what = format!("`{setting}` asks for @nearest({role}), and there is no such server in the directory");
                let remedy = format!("put a server object with the role {role} into a container above the users, or name a server as well");
                listed.at(Severity::Warning, "policy.nearest", policy.id, what, remedy);
            }
        }
    }

    /// What lines asked for in vain, with the containers whose users miss it and how many those are.
    fn wants(&self) -> BTreeMap<&Want, (BTreeSet<Option<ObjectId>>, usize)> {
        let mut wants: BTreeMap<&Want, (BTreeSet<Option<ObjectId>>, usize)> = BTreeMap::new();
        for user in self.users.values() {
            for want in user.shared.wants.iter().chain(user.amiss.iter().flat_map(|amiss| &amiss.wants)) {
                let (containers, users) = wants.entry(want).or_default();
                containers.insert(user.shared.container);
                *users += 1;
            }
        }
        wants
    }
}

/// `1 user`, `2 users`.
fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The faults found so far.
struct Listed<'a> {
    snapshot: &'a Snapshot,
    faults: Vec<Fault>,
}

impl Listed<'_> {
    fn object(&mut self, severity: Severity, code: &'static str, id: ObjectId, attribute: Option<String>, what: String, remedy: String) {
        let place = Place::Object { id, dn: self.dn(id), attribute };
        self.faults.push(Fault { severity, code, place, what, remedy });
    }

    /// A fault of an object, or of the configuration.
    fn at(&mut self, severity: Severity, code: &'static str, id: Option<ObjectId>, what: String, remedy: String) {
        match id {
            Some(id) => self.object(severity, code, id, None, what, remedy),
            None => self.faults.push(Fault { severity, code, place: Place::Config { key: CONFIG_KEY.into() }, what, remedy }),
        }
    }

    fn dn(&self, id: ObjectId) -> Dn {
        self.snapshot.dn(id).unwrap_or_default()
    }

    fn held(&mut self, id: Option<ObjectId>, held: &HeldFault) {
        let HeldFault { attribute, value, fault } = held;
        let at = if fault.column > 0 { format!("column {}: ", fault.column) } else { String::new() };
        match id {
            Some(id) => {
                let attribute = if value.is_empty() { attribute.to_string() } else { format!("{attribute}: {value}") };
                self.object(fault.severity, fault.code, id, Some(attribute), format!("{at}{}", fault.what), fault.remedy.clone());
            }
            None => self.at(fault.severity, fault.code, None, format!("`{value}`, {at}{}", fault.what), fault.remedy.clone()),
        }
    }

    fn policy(&mut self, policy: &PolicyObject, governs_nobody: bool, is_group: impl Fn(&Dn) -> bool) {
        for held in &policy.faults {
            self.held(policy.id, held);
        }
        // One that names its sites or subnets has told why.
        if governs_nobody && !policy.faults.iter().any(|held| held.fault.code == "policy.place") {
            let what = "the policy governs nobody: it stands in no container, group, user, device, site or subnet";
            let remedy = "move it into what it is for";
            self.at(Severity::Warning, "policy.place", policy.id, what.into(), remedy.into());
        }
        for filter in &policy.filters {
            let (dn, effect) = match filter {
                Filter::Allow(dn) => (dn, "it admits nobody"),
                Filter::Deny(dn) => (dn, "it keeps nobody out"),
                Filter::Unreadable => continue,
            };
            if !is_group(dn) {
                let what = format!("the filter names `{dn}`, and there is no such group: {effect}");
                let remedy = "write the group's name as it is now; a group that was moved or renamed has a new one";
                self.at(Severity::Warning, "policy.filter", policy.id, what, remedy.into());
            }
        }
        let of_acl = policy.edits.iter().filter(|edit| edit.setting == Setting::ACL);
        let bases = |edit: &super::object::Edit| edit.base.iter().flat_map(|base| base.values.clone()).collect::<Vec<_>>();
        for value in of_acl.flat_map(|edit| bases(edit).into_iter().chain(edit.appends.clone())) {
            let Value::Ace(ace) = &value else { continue };
            let (Subject::Group(dn) | Subject::Unit(dn) | Subject::UserEntry(dn)) = &ace.subject else { continue };
            if self.snapshot.find(dn).is_none() {
                let what = format!("the access entry `{value}` names what is not there");
                let remedy = "write the name as it is now; until then the entry is about nobody";
                self.at(Severity::Warning, "policy.access", policy.id, what, remedy.into());
            }
        }
    }

    fn standing(&mut self, id: ObjectId, standing: &Standing, attributes: &[String]) {
        match standing {
            Standing::Published => {}
            Standing::NoAddress => {
                let what = "the user has no SIP address, and gets no document".to_owned();
                let remedy = format!("nothing has to be done if nobody phones as this user; else fill one of {}", attributes.join(", "));
                self.object(Severity::Note, "account.no-address", id, None, what, remedy);
            }
            Standing::Disabled => {
                let what = "the directory has disabled the account: its phones get an explicit empty profile".to_owned();
                let remedy = "nothing has to be done; enabled again, it has its profile at once".to_owned();
                self.object(Severity::Note, "account.disabled", id, None, what, remedy);
            }
            Standing::Withheld(why) => self.withheld(id, why),
        }
    }

    fn withheld(&mut self, id: ObjectId, why: &Withholding) {
        match why {
            Withholding::NoRegistrar { aor } => {
                let what = format!("{aor} has no registrar: no document is published, and the last good one stays");
                let remedy = "set sip.registrar for the user, for example on the domain: `sip.registrar = 10 0 sips:reg.corp.example`";
                self.object(Severity::Error, "account.no-registrar", id, None, what, remedy.into());
            }
            Withholding::AddressTaken { aor, owner } => {
                let owner = self.dn(*owner);
                let what = format!("{aor} belongs to the older entry `{owner}`: this user gets no document");
                let remedy = "give one of the two another address; the older entry keeps it meanwhile";
                self.object(Severity::Error, "account.address-taken", id, None, what, remedy.into());
            }
        }
    }

    fn wants(&mut self, wants: BTreeMap<&Want, (BTreeSet<Option<ObjectId>>, usize)>) {
        for (want, (containers, users)) in wants {
            let setting = want.setting;
            match &want.what {
                Wanted::Server(role) => {
                    let place = match containers.first() {
                        Some(Some(container)) => format!("`{}`", self.dn(*container)),
                        _ => "the containers of the users".to_owned(),
                    };
                    let others = containers.len().saturating_sub(1);
                    let more = if others > 0 { format!(", nor {}", counted(others, "more container")) } else { String::new() };
                    let what = format!(
                        "`{setting}` asks for @nearest({role}), and neither {place}{more}, nor any container above has such a server \
                         ({})",
                        counted(users, "user")
                    );
                    let remedy = format!("put a server object with the role {role} into a container above them, or name a server as well");
                    self.at(Severity::Warning, "policy.nearest", want.object, what, remedy);
                }
                Wanted::Room => {
                    let users = counted(users, "user");
                    let what = format!("`{setting}` has more than {} values for {users}; the rest is dropped", Setting::VALUES_MAX);
                    self.at(Severity::Warning, "policy.full", want.object, what, "take values away; a group stands for many users".into());
                }
            }
        }
    }

    /// Members of groups that name nothing.
    fn dangling(&mut self) {
        for group in self.snapshot.iter().filter(|object| object.kind == Kind::Group) {
            let mut names = self.snapshot.members(group.id).filter_map(|member| match member {
                Member::Dangling(dn) => Some(dn),
                Member::Object(_) => None,
            });
            let Some(first) = names.next() else { continue };
            let what = match names.count() {
                0 => format!("the member `{first}` is not there"),
                more => format!("the member `{first}` is not there, nor {}", counted(more, "more member")),
            };
            let remedy = "take it out of the group, or look whether Dialcast's account may read it; it counts as soon as it is there";
            self.object(Severity::Warning, "group.dangling", group.id, None, what, remedy.into());
        }
    }

    /// Containers without anything that a policy could be for; of nested ones the outermost.
    fn empty_units(&mut self) {
        let mut filled: HashSet<ObjectId> = HashSet::new();
        let fills = |kind: Kind| !matches!(kind, Kind::Container(_) | Kind::Policy);
        for object in self.snapshot.iter().filter(|object| fills(object.kind)) {
            for above in self.snapshot.ancestors(object.id) {
                if !filled.insert(above.id) {
                    break;
                }
            }
        }
        let is_empty = |id: &ObjectId| !filled.contains(id);
        // Active Directory has dozens of containers of its own in which no user will ever stand.
        let is_unit = |object: &Object| match object.kind {
            Kind::Container(Container::Unit) => !object.attributes.has_class("container"),
            Kind::Container(Container::Domain) => true,
            _ => false,
        };
        let empty: Vec<ObjectId> = self
            .snapshot
            .iter()
            .filter(|object| is_unit(object) && !object.glue && is_empty(&object.id))
            .filter(|object| object.parent.is_none_or(|parent| !is_empty(&parent)))
            .map(|object| object.id)
            .collect();
        // A forest's own services are no place for users.
        for id in empty.into_iter().filter(|id| !aim::is_configuration(&self.snapshot.dn(*id).unwrap_or_default())).collect::<Vec<_>>() {
            let what = "nothing stands in it: its policies are for nobody".to_owned();
            let remedy = "nothing has to be done; who is moved into it has its settings at once".to_owned();
            self.object(Severity::Note, "directory.empty", id, None, what, remedy);
        }
    }
}
