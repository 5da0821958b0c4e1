//! What is held, what waits, what passes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::world::{Draft, World, drafts, id, repeated};
use crate::directory::Event;
use crate::model::Aor;
use crate::policy::{Engine, Guard, GuardConfig, Had, Loss, Outcome, Resolved, UserChange, catalogue::Setting};
use crate::store::ChangeSet;

const CONFIG: GuardConfig =
    GuardConfig { users_min: 20, users_percent: 5, window: Duration::from_secs(600), patience: Duration::from_secs(2) };

/// An engine, its guard, and what phones have.
struct Case {
    world: World,
    drafts: Vec<Draft>,
    engine: Engine,
    guard: Guard,
    now: Instant,
    phones: BTreeMap<Aor, String>,
}

impl Case {
    /// 100 users, numbered from 3: the domain is 1, the OU 2.
    fn new() -> Self {
        let users = repeated(100, |n| format!("    user CN=u{n:02}\n      telephoneNumber: +49 30 1{n:02}\n"));
        Self::of(&format!("domain DC=corp,DC=example\n  | sip.registrar = 10 0 sips:reg.corp.example\n  ou OU=Staff\n{users}"))
    }

    fn of(tree: &str) -> Self {
        let world = World::new(tree);
        let engine = Engine::new(world.config.clone());
        let mut case =
            Self { drafts: drafts(tree), world, engine, guard: Guard::new(CONFIG), now: Instant::now(), phones: BTreeMap::new() };
        let outcome = case.engine.load(&case.world.snapshot());
        case.judge(outcome);
        case
    }

    fn judge(&mut self, outcome: Outcome) {
        let Self { engine, guard, now, .. } = self;
        let pass = guard.judge(*now, outcome.users, || engine.published());
        guard.reconcile(|aor| engine.user_by_aor(aor).is_some());
        self.pass(pass);
    }

    fn pass(&mut self, changes: Vec<UserChange>) {
        for change in changes {
            match change {
                UserChange::Gone { aor, .. } => drop(self.phones.remove(&aor)),
                UserChange::Disabled { now, .. } => drop(self.phones.insert(now.aor.clone(), String::new())),
                UserChange::Resolved { now, .. } => drop(self.phones.insert(now.aor.clone(), text(&now))),
                UserChange::Withheld { .. } => {}
            }
        }
    }

    fn update(&mut self, changes: &[ChangeSet]) {
        let outcome = self.engine.update(&self.world.snapshot(), changes);
        self.judge(outcome);
    }

    fn delete(&mut self, numbers: impl IntoIterator<Item = u64>) {
        let changes: Vec<ChangeSet> = numbers.into_iter().filter_map(|n| self.world.event(Event::Delete(id(n + 3)))).collect();
        self.update(&changes);
    }

    /// Edits the drafts of users and applies them.
    fn edit(&mut self, numbers: impl IntoIterator<Item = u64>, edit: impl Fn(&mut Draft)) {
        let mut changes = Vec::new();
        for n in numbers {
            let draft = self.drafts.iter_mut().find(|draft| draft.id == id(n + 3)).unwrap();
            edit(draft);
            let entry = draft.entry();
            changes.extend(self.world.event(Event::Apply(entry)));
        }
        self.update(&changes);
    }

    /// Lets time pass; what has waited long enough passes too.
    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        let Self { engine, guard, now, .. } = self;
        let pass = guard.settle(*now, || engine.published());
        self.pass(pass);
    }

    fn release(&mut self) {
        let changes = self.guard.release();
        self.pass(changes);
    }

    /// `phones with a profile, waiting, held`.
    fn check(&self, expect: (usize, usize, usize)) {
        let with = self.phones.values().filter(|text| !text.is_empty()).count();
        let waiting = self.guard.detained().filter(|(_, detained)| !detained.is_held).count();
        assert_eq!((with, waiting, self.guard.held()), expect);
        assert_eq!(self.guard.due().is_some(), waiting > 0);
    }
}

fn text(resolved: &Resolved) -> String {
    resolved.iter().map(|(setting, decision)| format!("{setting} {:?}", decision.values)).collect::<Vec<_>>().join("\n")
}

/// A user without a mail address.
fn no_mail(draft: &mut Draft) {
    draft.attributes.push(("description".into(), "no mail".into()));
}

fn no_number(draft: &mut Draft) {
    draft.attributes.retain(|(name, _)| name != "telephoneNumber");
}

fn disabled(draft: &mut Draft) {
    // Beside other attributes the address is to be said.
    let mail = format!("{}@corp.example", draft.dn.rdn().unwrap().value());
    draft.attributes.extend([("mail".into(), mail), ("userAccountControl".into(), "514".into())]);
}

#[test]
fn one_user_is_not_held() {
    let mut case = Case::new();
    case.delete([0]);
    case.check((99, 0, 0));
    // Nor is a second, nor an hour later a third.
    case.delete([1]);
    case.wait(3600);
    case.delete([2]);
    case.check((97, 0, 0));
}

#[test]
fn more_than_a_handful_waits_and_passes() {
    let mut case = Case::new();
    case.delete(0..15);
    case.check((100, 15, 0));
    case.wait(1);
    case.check((100, 15, 0));
    case.wait(1);
    case.check((85, 0, 0));
}

#[test]
fn many_at_once_are_held_until_released() {
    let mut case = Case::new();
    case.delete(0..21);
    case.check((100, 0, 21));
    case.wait(7200);
    case.check((100, 0, 21));
    // Others' changes go through meanwhile.
    case.edit([50], |draft| draft.lines.push("video.enabled = false".into()));
    assert!(case.phones[&"sip:u50@corp.example".parse().unwrap()].contains("video"));
    case.release();
    case.check((79, 0, 0));
    // What was released does not count against what comes.
    case.delete([30, 31]);
    case.check((77, 0, 0));
}

/// A broken tool takes some of them every minute.
#[test]
fn slices_add_up() {
    let mut case = Case::new();
    let mut slices = 0..;
    let mut lost = 0;
    while case.guard.held() == 0 {
        let slice = slices.next().unwrap();
        case.delete(slice * 6..slice * 6 + 6);
        case.wait(60);
        lost = 100 - case.phones.len();
    }
    assert_eq!((lost, case.guard.held()), (18, 6));
    // While it is open, what comes joins it, one by one as well.
    case.wait(7200);
    case.delete([99]);
    case.check((82, 0, 7));
}

/// Slices that follow each other at once are one: nothing of the first passes before the last is seen.
#[test]
fn slices_of_one_catastrophe_are_seen_together() {
    let mut case = Case::new();
    for n in 0..60 {
        case.delete([n]);
        case.now += Duration::from_millis(100);
        let Case { guard, now, engine, .. } = &mut case;
        let pass = guard.settle(*now, || engine.published());
        case.pass(pass);
    }
    // The first two had passed.
    case.check((98, 0, 58));
}

/// A right on attributes is lost as well as one on entries.
#[test]
fn attributes_that_vanish() {
    for (edit, loss) in [(no_mail as fn(&mut Draft), Loss::Address), (no_number, Loss::Number), (disabled, Loss::Disabled)] {
        let mut case = Case::new();
        let before = case.phones.clone();
        case.edit(0..30, edit);
        case.check((100, 0, 30));
        assert!(case.guard.detained().all(|(_, detained)| detained.loss == loss));
        assert_eq!(case.phones, before);
        // They are well again: the hold is over without a word.
        let tree: Vec<Draft> = Case::new().drafts;
        case.edit(0..30, |draft| draft.attributes = tree.iter().find(|old| old.id == draft.id).unwrap().attributes.clone());
        case.check((100, 0, 0));
        assert_eq!(case.phones, before);
    }
}

#[test]
fn a_disabled_account_loses_its_profile_by_an_empty_one() {
    let mut case = Case::new();
    case.edit([7], disabled);
    assert_eq!(case.phones[&"sip:u07@corp.example".parse().unwrap()], "");
    case.check((99, 0, 0));
    // And has it again.
    case.edit([7], |draft| draft.attributes.retain(|(name, _)| name != "userAccountControl"));
    case.check((100, 0, 0));
    // Who is in use has the address, although the other is older.
    let mut case = Case::new();
    case.edit([7], disabled);
    case.edit([8], |draft| draft.attributes = vec![("mail".into(), "u07@corp.example".into())]);
    assert_ne!(case.phones[&"sip:u07@corp.example".parse().unwrap()], "");
}

#[test]
fn a_policy_that_takes_the_registrar_or_the_account() {
    let mut case = Case::new();
    let before = case.phones.clone();
    let domain = |case: &mut Case, lines: &[&str]| {
        let draft = case.drafts.iter_mut().find(|draft| draft.id == id(1)).unwrap();
        draft.lines = lines.iter().map(|line| (*line).to_owned()).collect();
        let entry = draft.entry();
        let changes: Vec<ChangeSet> = case.world.event(Event::Apply(entry)).into_iter().collect();
        case.update(&changes);
    };
    domain(&mut case, &[]);
    case.check((100, 0, 100));
    // The same registrar again: nobody is told, and nothing is held.
    domain(&mut case, &["sip.registrar = 10 0 sips:reg.corp.example"]);
    case.check((100, 0, 0));
    assert_eq!(case.phones, before);
    domain(&mut case, &["sip.registrar = 10 0 sips:reg.corp.example", "account.enabled = false"]);
    case.check((100, 0, 100));
    assert!(case.guard.detained().all(|(_, detained)| detained.loss == Loss::SwitchedOff));
    // An ordinary reroute of everybody is never held.
    domain(&mut case, &["sip.registrar = 10 0 sips:other.corp.example"]);
    case.check((100, 0, 0));
    assert!(case.phones.values().all(|text| text.contains("other")));
}

/// A later change of who is held is not lost, and does not let the loss through.
#[test]
fn a_held_user_changes() {
    let mut case = Case::new();
    case.edit(0..30, no_number);
    case.check((100, 0, 30));
    case.edit([3], |draft| draft.lines.push("language = fr".into()));
    case.edit([4], |draft| draft.attributes.push(("telephoneNumber".into(), "+49 40 1".into())));
    case.delete([5]);
    case.check((100, 0, 29));
    assert!(case.phones[&"sip:u04@corp.example".parse().unwrap()].contains("+49401"));
    case.release();
    let french = &case.phones[&"sip:u03@corp.example".parse().unwrap()];
    assert!(french.contains("fr") && !french.contains("account.tel"), "{french}");
    assert_eq!(case.phones.get(&"sip:u05@corp.example".parse().unwrap()), None);
}

/// An OU that is deleted with everybody in it is held; one that is moved is not.
#[test]
fn a_moved_ou_is_no_loss() {
    let mut case = Case::new();
    let draft = case.drafts.iter_mut().find(|draft| draft.id == id(2)).unwrap();
    draft.dn = "OU=Moved,DC=corp,DC=example".parse().unwrap();
    draft.lines = vec!["language = de".into()];
    let entry = draft.entry();
    let changes: Vec<ChangeSet> = case.world.event(Event::Apply(entry)).into_iter().collect();
    case.update(&changes);
    case.check((100, 0, 0));
    let changes: Vec<ChangeSet> = case.world.event(Event::Delete(id(2))).into_iter().collect();
    case.update(&changes);
    case.check((100, 0, 100));
    assert!(case.guard.detained().all(|(_, detained)| detained.loss == Loss::Gone));
}

#[test]
fn an_address_that_passes_on_is_no_loss() {
    let mut case = Case::new();
    // Half the company is made anew, with other ids, in one batch.
    let mut changes: Vec<ChangeSet> = Vec::new();
    for n in 0..50 {
        changes.extend(case.world.event(Event::Delete(id(n + 3))));
        let draft = Draft { id: id(n + 1000), ..case.drafts.iter().find(|draft| draft.id == id(n + 3)).unwrap().clone() };
        changes.extend(case.world.event(Event::Apply(draft.entry())));
    }
    case.update(&changes);
    case.check((100, 0, 0));
}

/// What another run held is held on, and dissolves or is released as if there had been no restart.
#[test]
fn restored() {
    let mut case = Case::new();
    case.delete(0..30);
    let mut guard = Guard::new(CONFIG);
    for (aor, detained) in case.guard.detained() {
        guard.restore(case.now, aor.clone(), detained.user(), detained.loss, detained.had, detained.is_held);
    }
    case.guard = guard;
    case.engine = Engine::new(case.world.config.clone());
    let outcome = case.engine.load(&case.world.snapshot());
    case.judge(outcome);
    case.check((100, 0, 30));
    // One comes back.
    let entry = case.drafts.iter().find(|draft| draft.id == id(3)).unwrap().entry();
    let changes: Vec<ChangeSet> = case.world.event(Event::Apply(entry)).into_iter().collect();
    case.update(&changes);
    case.check((100, 0, 29));
    case.release();
    case.check((71, 0, 0));
}

#[test]
fn what_there_is_to_lose() {
    let case = Case::new();
    let resolved = case.engine.users().next().unwrap();
    assert!(resolved.get(Setting::ACCOUNT_TEL).is_some());
    assert_eq!(Had::of(&resolved), Had { number: true, enabled: true });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// However changes come, whatever was held: once it is released, phones have what they would have without a guard.
    #[test]
    fn held_and_released_is_as_if_never_held(
        steps in prop::collection::vec((0u8..7, prop::collection::btree_set(0u64..100, 0..60), 0u64..300), 1..12),
    ) {
        let mut case = Case::new();
        let (fresh, mut gone) = (Case::new().drafts, std::collections::BTreeSet::new());
        for (what, users, pause) in steps {
            match what {
                0 => {
                    gone.extend(users.iter().copied());
                    case.delete(users);
                }
                1 => case.edit(users.into_iter().filter(|n| !gone.contains(n)), no_mail),
                2 => case.edit(users.into_iter().filter(|n| !gone.contains(n)), no_number),
                3 => case.edit(users.into_iter().filter(|n| !gone.contains(n)), disabled),
                4 => case.edit(users.into_iter().filter(|n| !gone.contains(n)), |draft| draft.lines.push("language = fr".into())),
                5 => case.release(),
                _ => {
                    gone.retain(|n| !users.contains(n));
                    case.edit(users, |draft| *draft = fresh.iter().find(|old| old.id == draft.id).unwrap().clone());
                }
            }
            case.wait(pause);
        }
        case.wait(60);
        case.release();
        case.check((case.phones.values().filter(|text| !text.is_empty()).count(), 0, 0));
        let mut full = Engine::new(case.world.config.clone());
        full.load(&case.world.snapshot());
        let expect: BTreeMap<Aor, String> = full.users().map(|resolved| (resolved.aor.clone(), text(&resolved))).collect();
        let found: BTreeMap<Aor, String> = case.phones.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        prop_assert_eq!(found, expect);
    }
}
