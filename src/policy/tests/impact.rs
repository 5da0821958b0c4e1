//! Exactly whom a change reaches, and what it costs.

use std::collections::BTreeMap;

use super::world::{Draft, World, drafts, repeated};
use crate::directory::Event;
use crate::policy::{Engine, Outcome, UserChange};
use crate::store::ChangeSet;

const TREE: &str = "
    domain DC=corp,DC=example
      | sip.registrar = 10 0 sips:reg.corp.example
      | sip.outbound-proxy = @nearest(outbound-proxy)
      server CN=hq
        | role = outbound-proxy
        | server = 10 10 sips:hq1.corp.example
        | server = 10 10 sips:hq2.corp.example
      ou OU=Berlin
        | sip.expires = 600
        policy CN=rules
          | language = de
        user CN=anna
        user CN=boris
        ou OU=Lab
          user CN=clara
      ou OU=Paris
        | language = fr
        server CN=par
          | role = outbound-proxy
          | server = 10 0 sips:par.corp.example
        user CN=dora
        user CN=emil
      ou OU=Rome
        user CN=fred
          | sip.outbound-proxy = @nearest(spare)
          | sip.outbound-proxy += 20 0 sips:last.corp.example
        user CN=gina
          | filter group:CN=idle,OU=Groups,DC=corp,DC=example
          | video.enabled = false
      ou OU=Groups
        group CN=staff
          member: CN=anna,OU=Berlin,DC=corp,DC=example
          member: CN=inner,OU=Groups,DC=corp,DC=example
          | forward.delay = 30
        group CN=inner
          member: CN=dora,OU=Paris,DC=corp,DC=example
        group CN=idle
          member: CN=emil,OU=Paris,DC=corp,DC=example
";

/// A world with its engine, and the tree as it is to be changed.
struct Case {
    world: World,
    engine: Engine,
    /// By the name in the tree, whatever it becomes.
    drafts: BTreeMap<String, Draft>,
}

impl Case {
    fn new() -> Self {
        let world = World::new(TREE);
        let engine = world.engine();
        let named = |draft: Draft| (draft.dn.rdn().unwrap().value(), draft);
        Self { world, engine, drafts: drafts(TREE).into_iter().map(named).collect() }
    }

    fn draft(&mut self, name: &str) -> &mut Draft {
        self.drafts.get_mut(name).unwrap()
    }

    fn apply(&mut self, name: &str) -> Option<ChangeSet> {
        let entry = self.draft(name).entry();
        self.world.event(Event::Apply(entry))
    }

    /// Changes one object, and gives the changes.
    fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Draft)) -> Vec<ChangeSet> {
        edit(self.draft(name));
        self.apply(name).into_iter().collect()
    }

    fn set(&mut self, name: &str, from: &str, to: &str) -> Vec<ChangeSet> {
        self.edit(name, |draft| {
            let line = draft.lines.iter_mut().find(|line| *line == from).unwrap();
            to.clone_into(line);
        })
    }

    fn place(&mut self, name: &str, dn: &str) -> Vec<ChangeSet> {
        self.edit(name, |draft| draft.dn = dn.parse().unwrap())
    }

    fn update(&mut self, changes: &[ChangeSet]) -> Outcome {
        let outcome = self.engine.update(&self.world.snapshot(), changes);
        self.engine.check_sharing();
        outcome
    }

    /// `changed anna boris; examined 3`.
    fn check(&mut self, changes: &[ChangeSet], expect: &str) {
        let outcome = self.update(changes);
        assert_eq!(self.shown(&outcome), expect);
    }

    fn shown(&self, outcome: &Outcome) -> String {
        let snapshot = self.world.snapshot();
        let name = |user| snapshot.get(user).map_or_else(|| "?".to_owned(), |object| object.rdn.value());
        let mut out = Vec::new();
        for (kind, users) in [
            ("gone", pick(outcome, |change| if let UserChange::Gone { aor, .. } = change { Some(aor.user().to_owned()) } else { None })),
            ("withheld", pick(outcome, |change| if let UserChange::Withheld { user, .. } = change { Some(name(*user)) } else { None })),
            ("changed", pick(outcome, |change| if let UserChange::Resolved { now, .. } = change { Some(name(now.user)) } else { None })),
        ] {
            if !users.is_empty() {
                let mut users = users;
                users.sort();
                out.push(format!("{kind} {}", users.join(" ")));
            }
        }
        out.push(format!("examined {}", outcome.examined));
        out.join("; ")
    }
}

fn pick(outcome: &Outcome, which: impl Fn(&UserChange) -> Option<String>) -> Vec<String> {
    outcome.users.iter().filter_map(which).collect()
}

#[test]
fn a_line_of_an_ou_reaches_its_subtree() {
    let mut case = Case::new();
    let changes = case.set("Berlin", "sip.expires = 600", "sip.expires = 700");
    case.check(&changes, "changed anna boris clara; examined 3");
    let changes = case.set("rules", "language = de", "language = it");
    case.check(&changes, "changed anna boris clara; examined 3");
    // Only what differs is looked at: a comment, another description, a line that loses.
    let changes = case.edit("Berlin", |draft| draft.lines.push("# for the lab".into()));
    case.check(&changes, "examined 0");
    let changes = case.edit("Berlin", |draft| draft.attributes.push(("description".into(), "the lab".into())));
    case.check(&changes, "examined 0");
    // The value is the same, and comes from elsewhere: looked at, and nothing to send.
    let changes = case.edit("Lab", |draft| draft.lines.push("sip.expires = 700".into()));
    case.check(&changes, "examined 1");
}

#[test]
fn a_moved_ou_takes_its_users_along() {
    let mut case = Case::new();
    let changes = case.place("Lab", "OU=Lab,OU=Paris,DC=corp,DC=example");
    assert_eq!(changes[0].changes.len(), 1, "one object changed");
    case.check(&changes, "changed clara; examined 1");
    // A rename is looked at, since the layers are named by their objects' ids only: nothing differs.
    let changes = case.place("Lab", "OU=Attic,OU=Paris,DC=corp,DC=example");
    case.check(&changes, "examined 0");
}

#[test]
fn a_user_that_moves_is_alone() {
    let mut case = Case::new();
    let changes = case.place("anna", "CN=anna,OU=Paris,DC=corp,DC=example");
    case.check(&changes, "changed anna; examined 1");
    let changes = case.place("boris", "CN=boris,OU=Lab,OU=Berlin,DC=corp,DC=example");
    case.check(&changes, "examined 1");
}

#[test]
fn a_groups_lines_reach_its_members_however_nested() {
    let mut case = Case::new();
    let changes = case.set("staff", "forward.delay = 30", "forward.delay = 31");
    case.check(&changes, "changed anna dora; examined 2");
    let changes = case.edit("idle", |draft| draft.lines.push("forward.delay = 32".into()));
    case.check(&changes, "changed emil; examined 1");
}

#[test]
fn memberships_reach_members_if_the_group_counts() {
    let mut case = Case::new();
    let boris = "CN=boris,OU=Berlin,DC=corp,DC=example";
    let changes = case.edit("inner", |draft| draft.attributes.push(("member".into(), boris.into())));
    case.check(&changes, "changed boris; examined 1");
    let changes = case.edit("staff", |draft| draft.attributes.retain(|(_, value)| !value.contains("inner")));
    case.check(&changes, "changed boris dora; examined 2");
    // Nobody asks for inner any more.
    let changes = case.edit("inner", |draft| draft.attributes.clear());
    case.check(&changes, "examined 0");
    // idle stands in the filter of one user: only that one is looked at, when its own membership changes.
    let changes = case.edit("idle", |draft| draft.attributes.clear());
    case.check(&changes, "examined 0");
    let gina = "CN=gina,OU=Rome,DC=corp,DC=example";
    let changes = case.edit("idle", |draft| draft.attributes.push(("member".into(), gina.into())));
    case.check(&changes, "changed gina; examined 1");
}

#[test]
fn a_server_reaches_those_who_ask_for_it_and_have_no_closer_one() {
    let mut case = Case::new();
    let changes = case.place("hq", "CN=hq,OU=Berlin,DC=corp,DC=example");
    // Paris has its own, and Berlin finds the same server closer by. In Rome nobody finds one any more.
    case.check(&changes, "changed fred gina; examined 2");
    let changes = case.place("hq", "CN=hq,OU=Rome,DC=corp,DC=example");
    case.check(&changes, "changed anna boris clara fred gina; examined 5");
    let changes = case.set("hq", "server = 10 10 sips:hq2.corp.example", "server = 10 10 sips:hq3.corp.example");
    case.check(&changes, "changed fred gina; examined 2");
    let proxies = |case: &Case| {
        let user = case.world.named("gina");
        let resolved = case.engine.users().find(|resolved| resolved.user == user).unwrap();
        let mut proxies: Vec<String> =
            resolved.get(crate::policy::catalogue::Setting::SIP_OUTBOUND_PROXY).unwrap().values.iter().map(ToString::to_string).collect();
        proxies.sort();
        proxies
    };
    assert_eq!(proxies(&case), ["10 10 sips:hq1.corp.example", "10 10 sips:hq3.corp.example"]);
    // fred's own line finds a server of its role at last, and it is the one that he had.
    let changes = case.set("hq", "role = outbound-proxy", "role = spare");
    case.check(&changes, "changed gina; examined 2");
    let changes = case.set("hq", "server = 10 10 sips:hq3.corp.example", "server = 10 10 sips:hq4.corp.example");
    case.check(&changes, "changed fred; examined 1");
}

#[test]
fn a_renamed_group_is_not_the_one_that_a_filter_names() {
    let mut case = Case::new();
    let changes = case.edit("rules", |draft| draft.lines.push("filter group:CN=idle,OU=Groups,DC=corp,DC=example".into()));
    case.check(&changes, "changed anna boris clara; examined 3");
    let anna = "CN=anna,OU=Berlin,DC=corp,DC=example";
    let changes = case.edit("idle", |draft| draft.attributes.push(("member".into(), anna.into())));
    case.check(&changes, "changed anna; examined 1");
    let changes = case.place("idle", "CN=busy,OU=Groups,DC=corp,DC=example");
    case.check(&changes, "changed anna; examined 2");
    // The group moves with its container: the name in the filter fits again once both are as they were.
    let changes = case.place("Groups", "OU=Teams,DC=corp,DC=example");
    case.check(&changes, "examined 0");
    let mut changes = case.place("Groups", "OU=Groups,DC=corp,DC=example");
    changes.extend(case.place("idle", "CN=idle,OU=Groups,DC=corp,DC=example"));
    case.check(&changes, "changed anna; examined 2");
}

#[test]
fn several_changes_are_one_outcome() {
    let mut case = Case::new();
    let mut changes = case.set("Berlin", "sip.expires = 600", "sip.expires = 700");
    changes.extend(case.set("Berlin", "sip.expires = 700", "sip.expires = 600"));
    case.check(&changes, "examined 0");
    let mut changes = case.place("anna", "CN=anna,OU=Paris,DC=corp,DC=example");
    changes.extend(case.set("Paris", "language = fr", "language = nl"));
    case.check(&changes, "changed anna dora emil; examined 3");
}

#[test]
fn users_of_one_container_and_groups_share_one_set() {
    let case = Case::new();
    let shared = |name: &str| {
        let user = case.world.named(name);
        std::sync::Arc::as_ptr(&case.engine.users().find(|resolved| resolved.user == user).unwrap().shared)
    };
    assert_eq!(shared("fred"), shared("gina"));
    assert_ne!(shared("anna"), shared("boris"), "anna is in a group with policies");
    assert_ne!(shared("dora"), shared("emil"));
}

#[test]
fn ten_thousand_users_in_one_ou() {
    let mut tree = String::from("domain DC=x\n  | sip.registrar = 10 0 sips:reg.x\n  ou OU=big\n    | sip.expires = 600\n");
    tree += &repeated(10_000, |n| format!("    user CN=u{n}\n"));
    tree += "  group CN=g\n    | language = de\n";
    let mut world = World::new(&tree);
    let mut engine = Engine::new(world.config.clone());
    let outcome = engine.load(&world.snapshot());
    assert_eq!((outcome.users.len(), outcome.examined), (10_000, 10_000));
    let drafts = drafts(&tree);
    let mut group = drafts.last().unwrap().clone();
    // Everybody joins, then one leaves: one is looked at.
    group.attributes = (0..10_000).map(|n| ("member".to_owned(), format!("CN=u{n},OU=big,DC=x"))).collect();
    let changes: Vec<ChangeSet> = world.event(Event::Apply(group.entry())).into_iter().collect();
    assert_eq!(engine.update(&world.snapshot(), &changes).users.len(), 10_000);
    group.attributes.pop();
    let changes: Vec<ChangeSet> = world.event(Event::Apply(group.entry())).into_iter().collect();
    let outcome = engine.update(&world.snapshot(), &changes);
    assert_eq!((outcome.users.len(), outcome.examined), (1, 1));
    let mut ou = drafts[1].clone();
    ou.lines[0] = "sip.expires = 601".into();
    let changes: Vec<ChangeSet> = world.event(Event::Apply(ou.entry())).into_iter().collect();
    assert_eq!(engine.update(&world.snapshot(), &changes).users.len(), 10_000);
    engine.check_sharing();
}
