//! Lists that are not taken at their word.

use super::support::*;
use crate::directory::{Cookie, Event};
use crate::model::Timestamp;
use crate::store::{Store, Suspicion, SweepGuard};

const CORP: [&str; 8] = [
    "r dc=corp",
    "a ou=Berlin,dc=corp",
    "b ou=Paris,dc=corp",
    "u uid=anna,ou=Berlin,dc=corp",
    "v uid=ben,ou=Berlin,dc=corp",
    "w uid=eva,ou=Berlin,dc=corp",
    "x uid=ida,ou=Paris,dc=corp",
    "y uid=jan,ou=Paris,dc=corp",
];

fn guard(canaries: &[&str]) -> SweepGuard {
    SweepGuard { canaries: canaries.iter().map(|name| dn(name)).collect(), objects_min: 2, objects_percent: 5 }
}

fn guarded(canaries: &[&str]) -> Store {
    store(&CORP).guarded(guard(canaries), None)
}

/// A list: each line an entry, `=a` one kept, `-a` one deleted. What changed, and what is quarantined.
fn list(store: &mut Store, sweep: bool, lines: &[&str]) -> String {
    step(store, Event::Init);
    for line in lines {
        let (sign, rest) = line.split_at(1);
        let letter = rest.chars().next().unwrap();
        step(
            store,
            match sign {
                "=" => Event::InitKeep(id(letter)),
                "-" => Event::Delete(id(letter)),
                _ => Event::InitApply(entry(line)),
            },
        );
    }
    let applied = step(store, Event::InitDone { sweep, cookie: Some(Cookie(vec![1])) });
    let refused = applied.refused.map(|why| format!("refused: {why}")).unwrap_or_default();
    format!("{}{refused} | {}", short(applied.changes.as_ref()), quarantined(store))
}

fn quarantined(store: &Store) -> String {
    store.quarantine().map_or_else(String::new, |held| held.objects.iter().map(|id| letter(*id)).collect())
}

fn without(letters: &str) -> Vec<&'static str> {
    CORP.into_iter().filter(|line| !letters.contains(line.chars().next().unwrap())).collect()
}

#[test]
fn few_may_vanish_and_many_may_not() {
    let mut store = guarded(&[]);
    assert_eq!(list(&mut store, true, &without("u")), "-u | ");
    let mut store = guarded(&[]);
    assert_eq!(list(&mut store, true, &without("uvw")), " | uvw");
    assert_eq!(store.quarantine().unwrap().why, Suspicion::Many { vanished: 3, limit: 2 });
    assert_eq!(outline(&store.snapshot()), outline(&guarded(&[]).snapshot()));
    // The same again changes nothing; what changed of the rest counts.
    assert_eq!(list(&mut store, true, &[&without("uvwx")[..], &["x uid=ida,ou=Berlin,dc=corp"]].concat()), ">x | uvw");
    // Most of them are back: what is missing now is little enough to be believed.
    assert_eq!(list(&mut store, true, &without("v")), "-v >x | ");
    // All are.
    let mut store = guarded(&[]);
    list(&mut store, true, &without("uvw"));
    assert_eq!(list(&mut store, true, &CORP), " | ");
}

/// A subtree that cannot be read any more stays whole, with what the list says of the rest.
#[test]
fn a_lost_half_stays() {
    let mut store = guarded(&[]);
    assert_eq!(list(&mut store, true, &[&without("auvwy")[..], &["z uid=zoe,ou=Paris,dc=corp"]].concat()), "+z | auvwy");
    insta::assert_snapshot!(outline(&store.snapshot()), @r"
    r dc=corp
      a ou=Berlin
        u uid=anna
        v uid=ben
        w uid=eva
      b ou=Paris
        x uid=ida
        y uid=jan
        z uid=zoe
    ");
    // Somebody says that it is meant.
    let applied = store.release(Timestamp(9));
    sound(&store.snapshot());
    assert_eq!((short(applied.changes.as_ref()), quarantined(&store)), ("-a -u -v -w -y".to_owned(), String::new()));
    assert_eq!(store.release(Timestamp(9)), crate::store::Applied::default());
}

#[test]
fn a_live_deletion_is_a_real_one() {
    let mut store = guarded(&[]);
    list(&mut store, true, &without("uvw"));
    assert_eq!(short(step(&mut store, Event::Delete(id('u'))).changes.as_ref()), "-u");
    assert_eq!(quarantined(&store), "vw");
    // Told again, it is there.
    step(&mut store, apply("v uid=ben,ou=Berlin,dc=corp"));
    assert_eq!(quarantined(&store), "w");
    // In a list it is the same; and one that is called unchanged may be stale, and stays marked.
    let mut store = guarded(&[]);
    list(&mut store, true, &without("uvw"));
    assert_eq!(list(&mut store, false, &["-u", "=v"]), "-u | vw");
    // Nothing is held of a live deletion as such: users are another guard's.
    let mut store = guarded(&[]);
    assert_eq!(short(step(&mut store, Event::Delete(id('a'))).changes.as_ref()), "-a -u -v -w");
}

#[test]
fn deletions_told_in_a_list_count_too() {
    let mut store = guarded(&[]);
    assert_eq!(list(&mut store, false, &["-a"]), " | auvw");
    let mut store = guarded(&[]);
    assert_eq!(list(&mut store, false, &["-u", "-v"]), "-u -v | ");
}

/// A database that was restored without its ids: everything is another entry, and nothing is missing.
#[test]
fn what_is_replaced_has_not_vanished() {
    let mut store = guarded(&[]);
    let again = ["R dc=corp", "A ou=Berlin,dc=corp", "B ou=Paris,dc=corp", "U uid=anna,ou=Berlin,dc=corp", "V uid=ben,ou=Berlin,dc=corp"];
    let all = [&again[..], &["W uid=eva,ou=Berlin,dc=corp", "X uid=ida,ou=Paris,dc=corp", "Y uid=jan,ou=Paris,dc=corp"]].concat();
    list(&mut store, true, &all);
    assert_eq!((quarantined(&store), store.snapshot().len()), (String::new(), 8));
    // What has no successor is missing.
    let mut store = guarded(&[]);
    list(&mut store, true, &again);
    assert_eq!(quarantined(&store), "wxy");
    assert_eq!(store.snapshot().dn(id('w')).unwrap().to_string(), "uid=eva,ou=Berlin,dc=corp");
}

#[test]
fn canaries() {
    let canary = ["uid=jan,ou=Paris,dc=corp"];
    // One that is missing makes every deletion doubtful.
    let mut store = guarded(&canary);
    assert_eq!(list(&mut store, true, &without("y")), " | y");
    assert_eq!(store.quarantine().unwrap().why, Suspicion::Canary { dn: dn(canary[0]) });
    // As long as it is quarantined it is not seen.
    assert_eq!(list(&mut store, false, &["-u"]), " | uy");
    assert_eq!(list(&mut store, true, &without("u")), "-u | ");
    // One that nobody ever saw, too; but what nobody misses is not held.
    let mut store = guarded(&["uid=typo,dc=corp"]);
    assert_eq!(list(&mut store, true, &CORP), " | ");
    assert_eq!(list(&mut store, true, &without("u")), " | u");
    // Renamed, it is there all the same; under its old name it is not.
    let mut store = guarded(&canary);
    assert_eq!(list(&mut store, true, &[&without("uy")[..], &["y uid=jan,ou=Berlin,dc=corp"]].concat()), "-u >y | ");
    // By itself it is not deleted just so, nor what it stands in.
    let mut store = guarded(&canary);
    assert_eq!(short(step(&mut store, Event::Delete(id('b'))).changes.as_ref()), "");
    assert_eq!(quarantined(&store), "bxy");
    assert_eq!(short(store.release(Timestamp(9)).changes.as_ref()), "-b -x -y");
}

#[test]
fn a_first_list_without_its_canary_is_not_believed() {
    let mut store = Store::new().guarded(guard(&["uid=jan,ou=Paris,dc=corp"]), None);
    assert_eq!(list(&mut store, true, &without("y")), "refused: the canary uid=jan,ou=Paris,dc=corp is not in the directory's list | ");
    assert!(!store.snapshot().is_complete() && store.snapshot().is_empty() && store.cookie().is_none());
    // A list of what changed since that one is none.
    let partial = "refused: the directory tells only what changed since a list that was not used | ";
    assert_eq!(list(&mut store, true, &["=r", "=b", "=x", "y uid=jan,ou=Paris,dc=corp"]), partial);
    assert_eq!(list(&mut store, false, &["y uid=jan,ou=Paris,dc=corp"]), partial);
    // The next is.
    assert_eq!(list(&mut store, true, &CORP), "+a +b +r +u +v +w +x +y | ");
    assert!(store.snapshot().is_complete());
    // Without canaries there is nothing to compare with.
    let mut store = Store::new().guarded(guard(&[]), None);
    assert_eq!(list(&mut store, true, &without("uvwxy")), "+a +b +r | ");
}

/// What was quarantined before a restart is so after it, as far as it is there.
#[test]
fn restored() {
    let mut before = guarded(&[]);
    list(&mut before, true, &without("uvw"));
    let mut held = before.quarantine().unwrap().clone();
    held.objects.insert(id('q'));
    let mut store = Store::resume(before.snapshot(), None).guarded(guard(&[]), Some(held));
    assert_eq!(quarantined(&store), "uvw");
    assert_eq!(list(&mut store, true, &CORP), " | ");
}

/// A new entry below one that cannot be read: released, only what was held goes.
#[test]
fn a_release_spares_what_was_told_since() {
    let mut store = guarded(&[]);
    list(&mut store, true, &without("auvw"));
    step(&mut store, apply("z uid=zoe,ou=Berlin,dc=corp"));
    let applied = store.release(Timestamp(9));
    sound(&store.snapshot());
    assert!(short(applied.changes.as_ref()).starts_with("-a -u -v -w"), "{}", short(applied.changes.as_ref()));
    assert_eq!(store.snapshot().dn(id('z')).unwrap().to_string(), "uid=zoe,ou=Berlin,dc=corp");
}
