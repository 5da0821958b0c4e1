//! Who gets a document: addresses, registrars, and what is told when that changes.

use super::world::{Draft, World, drafts, id};
use crate::directory::Event;
use crate::policy::{Engine, Outcome, UserChange};
use crate::store::ChangeSet;

const TREE: &str = "
    domain DC=corp,DC=example
      | sip.registrar = 10 0 sips:reg.corp.example
      user CN=anna
      user CN=boris
      nobody CN=clara
";

struct Case {
    world: World,
    engine: Engine,
    drafts: Vec<Draft>,
}

impl Case {
    fn new(tree: &str) -> (Self, String) {
        let world = World::new(tree);
        let mut engine = Engine::new(world.config.clone());
        let outcome = engine.load(&world.snapshot());
        (Self { world, engine, drafts: drafts(tree) }, shown(&outcome))
    }

    fn edit(&mut self, n: u64, edit: impl FnOnce(&mut Draft)) -> Vec<ChangeSet> {
        let draft = self.drafts.iter_mut().find(|draft| draft.id == id(n)).unwrap();
        edit(draft);
        let entry = draft.entry();
        self.world.event(Event::Apply(entry)).into_iter().collect()
    }

    fn mail(&mut self, n: u64, mail: &str) -> Vec<ChangeSet> {
        self.edit(n, |draft| draft.attributes = vec![("mail".into(), mail.into())])
    }

    fn delete(&mut self, n: u64) -> Vec<ChangeSet> {
        self.world.event(Event::Delete(id(n))).into_iter().collect()
    }

    fn check(&mut self, changes: &[ChangeSet], expect: &str) {
        let outcome = self.engine.update(&self.world.snapshot(), changes);
        assert_eq!(shown(&outcome), expect);
        let mut full = Engine::new(self.world.config.clone());
        full.load(&self.world.snapshot());
        let published = |engine: &Engine| engine.users().map(|resolved| (resolved.user, resolved.aor.clone())).collect::<Vec<_>>();
        assert_eq!(published(&self.engine), published(&full));
        self.engine.check_sharing();
    }
}

/// What was told, in its order; users by their number.
fn shown(outcome: &Outcome) -> String {
    let number = |user: crate::model::ObjectId| user.as_bytes()[15];
    let change = |change: &UserChange| match change {
        UserChange::Gone { user, aor, .. } => format!("gone {} {}", number(*user), aor.user()),
        UserChange::Disabled { now, .. } => format!("disabled {} {}", number(now.user), now.aor.user()),
        UserChange::Withheld { user, why, .. } => format!("withheld {}: {why}", number(*user)),
        UserChange::Resolved { now: resolved, .. } => format!("resolved {} {}", number(resolved.user), resolved.aor.user()),
    };
    outcome.users.iter().map(change).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_new_address_is_one_gone_and_one_resolved() {
    let (mut case, told) = Case::new(TREE);
    assert_eq!(told, "resolved 2 anna\nresolved 3 boris");
    let changes = case.mail(2, "a.weber@corp.example");
    case.check(&changes, "gone 2 anna\nresolved 2 a.weber");
    // The same record in other letters: the document shows it as written.
    let changes = case.mail(2, "A.Weber@corp.example");
    case.check(&changes, "resolved 2 a.weber");
}

#[test]
fn a_user_that_goes_or_loses_its_address_is_gone() {
    let (mut case, _) = Case::new(TREE);
    let changes = case.delete(2);
    case.check(&changes, "gone 2 anna");
    let changes = case.edit(3, |draft| draft.attributes = vec![("description".into(), "no mail".into())]);
    case.check(&changes, "gone 3 boris");
    let changes = case.mail(4, "clara@corp.example");
    case.check(&changes, "resolved 4 clara");
}

#[test]
fn of_two_users_with_one_address_the_older_entry_keeps_it() {
    let (mut case, _) = Case::new(TREE);
    // Both of unknown age: the lower id has it.
    let changes = case.mail(3, "anna@corp.example");
    case.check(&changes, "gone 3 boris\nwithheld 3: sip:anna@corp.example belongs to the older entry 00000000-0000-0000-0000-000000000002");
    // boris turns out to be the older one, and takes the address over: nothing is withdrawn.
    let changes = case.edit(3, |draft| draft.attributes.push(("createTimestamp".into(), "20200101000000Z".into())));
    case.check(
        &changes,
        "withheld 2: sip:anna@corp.example belongs to the older entry 00000000-0000-0000-0000-000000000003\nresolved 3 anna",
    );
    let changes = case.edit(2, |draft| draft.attributes.push(("createTimestamp".into(), "20190101000000Z".into())));
    case.check(
        &changes,
        "withheld 3: sip:anna@corp.example belongs to the older entry 00000000-0000-0000-0000-000000000002\nresolved 2 anna",
    );
    // The owner goes: the other has the address at once.
    let changes = case.delete(2);
    case.check(&changes, "resolved 3 anna");
}

#[test]
fn an_address_that_passes_on_is_not_gone() {
    let (mut case, _) = Case::new(TREE);
    let mut changes = case.mail(2, "other@corp.example");
    changes.extend(case.mail(3, "anna@corp.example"));
    case.check(&changes, "gone 3 boris\nresolved 2 other\nresolved 3 anna");
    // Deleted and made again in one batch, as some directories do it for a move.
    let mut changes = case.delete(3);
    let mut again = Draft::new(9, "user", "CN=boris,DC=corp,DC=example");
    again.attributes.push(("mail".into(), "anna@corp.example".into()));
    changes.extend(case.world.event(Event::Apply(again.entry())));
    case.check(&changes, "resolved 9 anna");
}

#[test]
fn a_user_without_a_registrar_keeps_the_last_good_document() {
    let (mut case, _) = Case::new(TREE);
    let line = case.drafts[0].lines[0].clone();
    let changes = case.edit(1, |draft| draft.lines.clear());
    case.check(&changes, "withheld 2: sip:anna@corp.example has no registrar\nwithheld 3: sip:boris@corp.example has no registrar");
    assert_eq!(case.engine.users().count(), 0);
    // A change meanwhile tells nothing.
    let changes = case.edit(2, |draft| draft.attributes.push(("telephoneNumber".into(), "+49 30 1".into())));
    case.check(&changes, "");
    // With the registrar back, only what differs from the last good document is told.
    let changes = case.edit(1, |draft| draft.lines.push(line));
    case.check(&changes, "resolved 2 anna");
    assert_eq!(case.engine.users().count(), 2);
}

#[test]
fn a_withheld_user_that_goes_takes_its_last_document_along() {
    let (mut case, _) = Case::new(TREE);
    let changes = case.edit(1, |draft| draft.lines.clear());
    case.check(&changes, "withheld 2: sip:anna@corp.example has no registrar\nwithheld 3: sip:boris@corp.example has no registrar");
    let changes = case.delete(2);
    case.check(&changes, "gone 2 anna");
    // What was never published is not withdrawn.
    let (mut case, told) = Case::new("domain DC=corp,DC=example\n  user CN=anna");
    assert_eq!(told, "withheld 2: sip:anna@corp.example has no registrar");
    let changes = case.delete(2);
    case.check(&changes, "");
}

#[test]
fn a_load_tells_what_vanished_and_nothing_twice() {
    let (mut case, _) = Case::new(TREE);
    case.delete(2);
    let mut load = || shown(&case.engine.load(&case.world.snapshot()));
    assert_eq!(load(), "gone 2 anna");
    assert_eq!(load(), "");
}

#[test]
fn a_registrar_that_does_not_parse_is_none() {
    let (_, told) = Case::new("domain DC=corp,DC=example\n  | sip.registrar = reg.corp.example\n  user CN=anna");
    assert_eq!(told, "withheld 2: sip:anna@corp.example has no registrar");
}

#[test]
fn found_by_address() {
    let (case, _) = Case::new(TREE);
    let find = |aor: &str| case.engine.user_by_aor(&aor.parse().unwrap()).map(|resolved| resolved.user);
    assert_eq!(find("sip:ANNA@corp.example"), Some(id(2)));
    assert_eq!(find("sip:clara@corp.example"), None);
}
