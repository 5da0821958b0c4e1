//! Places and names.

use super::support::*;
use crate::directory::Event;
use crate::model::{Container, Generation, Kind, Timestamp};
use crate::store::{Change, Store};

const CORP: [&str; 5] = [
    "r dc=corp,dc=example",
    "a ou=Berlin,dc=corp,dc=example",
    "b ou=Paris,dc=corp,dc=example",
    "u uid=anna,ou=Berlin,dc=corp,dc=example",
    "v uid=ben,ou=Berlin,dc=corp,dc=example",
];

#[test]
fn names_and_places() {
    let state = store(&CORP).snapshot();
    insta::assert_snapshot!(outline(&state), @r"
    r dc=corp,dc=example
      a ou=Berlin
        u uid=anna
        v uid=ben
      b ou=Paris
    ");
    assert_eq!((state.len(), state.is_complete(), state.is_empty()), (5, true, false));
    for name in ["UID=Anna , ou=BERLIN,dc=corp,dc=example", "userid=anna;ou=Berlin;DC=Corp;DC=Example"] {
        assert_eq!(state.find(&dn(name)), Some(id('u')), "{name}");
    }
    for name in ["", "dc=example", "uid=anna,dc=corp,dc=example", "uid=x,uid=anna,ou=Berlin,dc=corp,dc=example"] {
        assert_eq!(state.find(&dn(name)), None, "{name}");
    }
    assert_eq!(state.dn(id('u')).unwrap().to_string(), "uid=anna,ou=Berlin,dc=corp,dc=example");
    assert_eq!(state.ancestors(id('u')).map(|o| letter(o.id)).collect::<String>(), "ar");
    assert_eq!(state.subtree(id('a')).map(|o| letter(o.id)).collect::<String>(), "auv");
    assert!(state.is_within(id('u'), id('r')) && state.is_within(id('u'), id('u')) && !state.is_within(id('u'), id('b')));
    assert_eq!(state.get(id('r')).unwrap().kind, Kind::Container(Container::Domain));
}

/// Applies events to the sample and shows what they changed and what came out.
fn check(events: Vec<Event>, changes: &[&str]) -> String {
    let mut store = store(&CORP);
    let short: Vec<String> = events.into_iter().map(|event| short(step(&mut store, event).changes.as_ref())).collect();
    assert_eq!(short, changes);
    outline(&store.snapshot())
}

#[test]
fn a_move_of_an_ou_is_one_change() {
    insta::assert_snapshot!(check(vec![apply("a ou=Berlin,ou=Paris,dc=corp,dc=example")], &[">a"]), @r"
    r dc=corp,dc=example
      b ou=Paris
        a ou=Berlin
          u uid=anna
          v uid=ben
    ");
}

#[test]
fn a_rename_shows_its_spelling() {
    insta::assert_snapshot!(check(vec![apply("a ou=BERLIN,dc=corp,dc=example"), apply("r o=Corp")], &[">a", ">r"]), @r"
    r o=Corp
      a ou=BERLIN
        u uid=anna
        v uid=ben
      b ou=Paris
    ");
}

#[test]
fn telling_twice_changes_nothing() {
    let lines = CORP.map(apply);
    let mut store = store(&CORP);
    let before = store.snapshot();
    for event in lines {
        assert_eq!(step(&mut store, event).changes, None);
    }
    assert_eq!(store.snapshot().generation(), before.generation());
}

#[test]
fn a_child_before_its_parent_waits_below_glue() {
    let early = vec![
        apply("w uid=carl,ou=Lyon,ou=France,dc=corp,dc=example"),
        apply("f ou=France,dc=corp,dc=example"),
        apply("l ou=Lyon,ou=France,dc=corp,dc=example"),
    ];
    insta::assert_snapshot!(check(early[..1].to_vec(), &["+w +~ +~"]), @r"
    r dc=corp,dc=example
      a ou=Berlin
        u uid=anna
        v uid=ben
      ~ ou=France
        ~ ou=Lyon
          w uid=carl
      b ou=Paris
    ");
    insta::assert_snapshot!(check(early, &["+w +~ +~", "+f >~ -~", "+l >w -~"]), @r"
    r dc=corp,dc=example
      a ou=Berlin
        u uid=anna
        v uid=ben
      f ou=France
        l ou=Lyon
          w uid=carl
      b ou=Paris
    ");
}

#[test]
fn glue_goes_with_its_last_child() {
    let events = vec![apply("w uid=carl,ou=Lyon,ou=France,dc=corp,dc=example"), Event::Delete(id('w'))];
    assert_eq!(check(events, &["+w +~ +~", "-w -~ -~"]), outline(&store(&CORP).snapshot()));
    let events = vec![apply("w uid=carl,ou=Lyon,ou=France,dc=corp,dc=example"), apply("w uid=carl,ou=Paris,dc=corp,dc=example")];
    insta::assert_snapshot!(check(events, &["+w +~ +~", ">w -~ -~"]), @r"
    r dc=corp,dc=example
      a ou=Berlin
        u uid=anna
        v uid=ben
      b ou=Paris
        w uid=carl
    ");
}

#[test]
fn a_delete_takes_the_subtree() {
    insta::assert_snapshot!(check(vec![Event::Delete(id('a')), Event::Delete(id('u'))], &["-a -u -v", ""]), @r"
    r dc=corp,dc=example
      b ou=Paris
    ");
    let mut store = store(&CORP);
    let applied = step(&mut store, Event::Delete(id('a')));
    let gone = applied.changes.unwrap().changes.into_iter().find_map(|change| match change {
        Change::Removed { object, dn, ancestors } if object.id == id('u') => Some((dn.to_string(), ancestors)),
        _ => None,
    });
    assert_eq!(gone, Some(("uid=anna,ou=Berlin,dc=corp,dc=example".to_owned(), vec![id('a'), id('r')])));
}

#[test]
fn several_roots_and_roots_below_later_ones() {
    let lines = ["u uid=anna,ou=Berlin,dc=corp,dc=example", "o o=Other", "b ou=Paris,dc=corp,dc=example"];
    insta::assert_snapshot!(outline(&store(&lines).snapshot()), @r"
    u uid=anna,ou=Berlin,dc=corp,dc=example
    b ou=Paris,dc=corp,dc=example
    o o=Other
    ");
    let mut one = store(&lines);
    assert_eq!(short(step(&mut one, apply("r dc=corp,dc=example")).changes.as_ref()), ">b +r >u +~");
    insta::assert_snapshot!(outline(&one.snapshot()), @r"
    r dc=corp,dc=example
      ~ ou=Berlin
        u uid=anna
      b ou=Paris
    o o=Other
    ");
    assert_eq!(short(step(&mut one, apply("e dc=example")).changes.as_ref()), "+e >r");
    insta::assert_snapshot!(outline(&one.snapshot()), @r"
    e dc=example
      r dc=corp
        ~ ou=Berlin
          u uid=anna
        b ou=Paris
    o o=Other
    ");
}

#[test]
fn a_multi_valued_suffix() {
    let state = store(&["r o=Corp+c=DE,dc=example", "u uid=anna+cn=Anna,c=de+O=corp,dc=example"]).snapshot();
    insta::assert_snapshot!(outline(&state), @r"
    r o=Corp+c=DE,dc=example
      u uid=anna+cn=Anna
    ");
    assert_eq!(state.find(&dn("CN=anna+UID=anna,o=corp+c=de,dc=example")), Some(id('u')));
}

#[test]
fn below_itself_is_refused() {
    let mut store = store(&CORP);
    let before = outline(&store.snapshot());
    let applied = step(&mut store, apply("a ou=x,ou=y,ou=berlin,dc=corp,dc=example"));
    assert_eq!(applied.changes, None);
    insta::assert_snapshot!(applied.faults[0].to_string(), @"ou=Berlin,dc=corp,dc=example: the directory says that it moved below itself, to ou=x,ou=y,ou=berlin,dc=corp,dc=example; a change was lost; the entry stays where it is until the next complete list: restart dialcast if it does not heal");
    assert_eq!(outline(&store.snapshot()), before);
    // Out of order, but possible: the one that it went under moved out first and is told later.
    let events = vec![apply("a ou=Berlin,ou=x,dc=corp,dc=example"), apply("u ou=x,dc=corp,dc=example")];
    insta::assert_snapshot!(check(events, &[">a +~", ">a >u -~"]), @r"
    r dc=corp,dc=example
      b ou=Paris
      u ou=x
        a ou=Berlin
          v uid=ben
    ");
}

#[test]
fn one_name_twice_goes_to_the_newer() {
    let mut store = store(&CORP);
    let applied = step(&mut store, apply("c ou=Berlin,dc=corp,dc=example"));
    insta::assert_snapshot!(applied.faults[0].to_string(), @"ou=Berlin,dc=corp,dc=example: another entry with the same name arrived (63636363-6363-6363-6363-636363636363); this one keeps its place and its settings, the name means the other; rename or delete one of the two; if only one is in the directory, the next complete list heals it");
    assert_eq!(short(applied.changes.as_ref()), "~a +c");
    step(&mut store, apply("w uid=anna,ou=Berlin,dc=corp,dc=example"));
    insta::assert_snapshot!(outline(&store.snapshot()), @r"
    r dc=corp,dc=example
      c ou=Berlin
        w uid=anna
      a ou=Berlin!
        u uid=anna
        v uid=ben
      b ou=Paris
    ");
    assert_eq!(store.snapshot().find(&dn("uid=anna,ou=Berlin,dc=corp,dc=example")), Some(id('w')));
    // Told again, it has the name again.
    assert_eq!(short(step(&mut store, apply(CORP[1])).changes.as_ref()), "~a ~c");
    // And the other gets it back when this one leaves.
    assert_eq!(short(step(&mut store, apply("a ou=Bonn,dc=corp,dc=example")).changes.as_ref()), ">a ~c");
    insta::assert_snapshot!(outline(&store.snapshot()), @r"
    r dc=corp,dc=example
      c ou=Berlin
        w uid=anna
      a ou=Bonn
        u uid=anna
        v uid=ben
      b ou=Paris
    ");
}

#[test]
fn two_that_swap_names_lose_nothing() {
    // As a coalescing feed tells it: each with its last name.
    let events = vec![apply("a ou=Paris,dc=corp,dc=example"), apply("b ou=Berlin,dc=corp,dc=example")];
    insta::assert_snapshot!(check(events, &[">a ~b", ">b"]), @r"
    r dc=corp,dc=example
      b ou=Berlin
      a ou=Paris
        u uid=anna
        v uid=ben
    ");
}

#[test]
fn who_has_a_name_keeps_it_below_another_parent() {
    // Glue gives way, and roots are taken in: nobody told the children anew.
    for (two, above) in [
        (["w uid=x,ou=Lyon,dc=corp,dc=example", "v uid=x,ou=Lyon,dc=corp,dc=example"], "l ou=Lyon,dc=corp,dc=example"),
        (["w uid=x,ou=Lyon,dc=z", "v uid=x,ou=Lyon,dc=z"], "l dc=z"),
    ] {
        let mut store = store(&CORP[..3]);
        for line in two {
            step(&mut store, apply(line));
        }
        let holder = |store: &Store| store.snapshot().find(&entry(two[0]).dn).map(letter);
        assert_eq!(holder(&store), Some('v'));
        let applied = step(&mut store, apply(above));
        assert_eq!((holder(&store), applied.faults.len()), (Some('v'), 0), "{above}");
    }
}

#[test]
fn two_roots_of_one_name() {
    let mut store = store(&["r dc=corp", "u uid=anna,dc=corp"]);
    step(&mut store, apply("s dc=corp"));
    insta::assert_snapshot!(outline(&store.snapshot()), @r"
    s dc=corp
    r dc=corp!
      u uid=anna
    ");
    step(&mut store, apply("t dc=corp,dc=example"));
    step(&mut store, apply("p dc=example"));
    insta::assert_snapshot!(outline(&store.snapshot()), @r"
    s dc=corp
    r dc=corp!
      u uid=anna
    p dc=example
      t dc=corp
    ");
    step(&mut store, Event::Delete(id('s')));
    insta::assert_snapshot!(outline(&store.snapshot()), @r"
    r dc=corp
      u uid=anna
    p dc=example
      t dc=corp
    ");
}

#[test]
fn an_entry_without_a_name_is_no_part_of_the_tree() {
    let mut store = store(&CORP);
    let nameless = crate::directory::Entry { dn: dn(""), ..entry("u uid=x,dc=y") };
    let applied = step(&mut store, Event::Apply(nameless));
    insta::assert_snapshot!(applied.faults[0].to_string(), @"config key directory.url: the entry 75757575-7575-7575-7575-757575757575 has no name, and was skipped; it is the root DSE, which is no part of the tree: name a base DN in the URL");
    assert_eq!(applied.changes, None);
}

#[test]
fn what_changed_bears_its_number_and_time() {
    let mut store = store(&CORP);
    assert_eq!(store.snapshot().get(id('u')).map(|o| (o.changed, o.changed_at)), Some((Generation(1), Timestamp(0))));
    store.apply(apply("u uid=anna,ou=Berlin,dc=corp,dc=example|mail=a@corp.example"), Timestamp(40));
    store.apply(apply("a ou=Bonn,dc=corp,dc=example"), Timestamp(41));
    let state = store.snapshot();
    let stamp = |letter| state.get(id(letter)).map(|o| (o.changed, o.changed_at));
    assert_eq!(stamp('u'), Some((Generation(2), Timestamp(40))));
    assert_eq!(stamp('a'), Some((Generation(3), Timestamp(41))));
    assert_eq!(stamp('v'), Some((Generation(1), Timestamp(0))));
}

#[test]
fn a_snapshot_never_changes() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    let mut store = store(&CORP);
    let before = store.snapshot();
    let shown = outline(&before);
    shared(&before);
    store.apply(Event::Delete(id('r')), Timestamp(1));
    assert!(store.snapshot().is_empty() && store.snapshot().is_complete());
    assert_eq!(outline(&before), shown);
    assert_eq!(before.find(&dn("ou=Berlin,dc=corp,dc=example")), Some(id('a')));
    assert!(Store::new().snapshot().is_empty());
}
