//! Lists built aside.

use super::support::*;
use crate::directory::{Cookie, Event};
use crate::model::Timestamp;
use crate::store::Store;

const CORP: [&str; 5] =
    ["r dc=corp", "a ou=Berlin,dc=corp", "b ou=Paris,dc=corp", "u uid=anna,ou=Berlin,dc=corp", "v uid=ben,ou=Berlin,dc=corp"];

fn cookie(text: &str) -> Cookie {
    Cookie(text.as_bytes().to_vec())
}

/// A refresh of the sample: each line is an entry, or `=a` for one kept, or `-a` for one deleted. Shows what changed, and the tree.
fn check(sweep: bool, lines: &[&str]) -> String {
    let mut store = store(&CORP);
    step(&mut store, Event::Init);
    for line in lines {
        let (sign, rest) = line.split_at(1);
        let event = match sign {
            "=" => Event::InitKeep(id(rest.chars().next().unwrap())),
            "-" => Event::Delete(id(rest.chars().next().unwrap())),
            _ => Event::InitApply(entry(line)),
        };
        assert_eq!(step(&mut store, event), crate::store::Applied::default(), "told before the list was complete");
    }
    let applied = step(&mut store, Event::InitDone { sweep, cookie: None });
    let faults: Vec<String> = applied.faults.iter().map(ToString::to_string).collect();
    format!("{}\n{}{}", short(applied.changes.as_ref()), outline(&store.snapshot()), faults.join("\n"))
}

#[test]
fn the_same_list_changes_nothing() {
    let mut lines = CORP;
    let expect = format!("\n{}", outline(&store(&CORP).snapshot()));
    assert_eq!(check(true, &lines), expect);
    lines.reverse();
    assert_eq!(check(true, &lines), expect);
    assert_eq!(check(true, &["=r", "=a", "=b", "=u", "=v"]), expect);
    assert_eq!(check(false, &[]), expect);
}

#[test]
fn what_is_not_named_vanished() {
    insta::assert_snapshot!(check(true, &["=r", "=a", "=b", "=v"]), @r"
    -u
    r dc=corp
      a ou=Berlin
        v uid=ben
      b ou=Paris
    ");
    insta::assert_snapshot!(check(false, &["-a"]), @r"
    -a -u -v
    r dc=corp
      b ou=Paris
    ");
    // Deleted and told again, in either order of the server's liking.
    insta::assert_snapshot!(check(false, &["-a", "u uid=anna,ou=Paris,dc=corp"]), @r"
    -a >u -v
    r dc=corp
      b ou=Paris
        u uid=anna
    ");
    insta::assert_snapshot!(check(false, &["u uid=anna,ou=Paris,dc=corp", "-v", "-a", "a ou=Bonn,dc=corp"]), @r"
    >a >u -v
    r dc=corp
      a ou=Bonn
      b ou=Paris
        u uid=anna
    ");
}

#[test]
fn moved_meanwhile() {
    // The children of a moved OU are unchanged.
    insta::assert_snapshot!(check(true, &["=r", "a ou=Berlin,ou=Paris,dc=corp", "=b", "=u", "=v"]), @r"
    >a
    r dc=corp
      b ou=Paris
        a ou=Berlin
          u uid=anna
          v uid=ben
    ");
    // Swapped names, and a new child of the one that has the name now, told first.
    insta::assert_snapshot!(check(true, &["w uid=w,ou=Berlin,dc=corp", "a ou=Paris,dc=corp", "b ou=Berlin,dc=corp", "=r", "=u", "=v"]), @r"
    >a >b +w
    r dc=corp
      b ou=Berlin
        w uid=w
      a ou=Paris
        u uid=anna
        v uid=ben
    ");
    // Deleted and made anew under the same name: another object.
    insta::assert_snapshot!(check(true, &["=r", "c ou=Berlin,dc=corp", "=b", "u uid=anna,ou=Berlin,dc=corp"]), @r"
    -a +c >u -v
    r dc=corp
      c ou=Berlin
        u uid=anna
      b ou=Paris
    ");
}

#[test]
fn kept_below_what_cannot_be_seen() {
    insta::assert_snapshot!(check(true, &["=r", "=b", "=u"]), @r"
    -a >u -v +~
    r dc=corp
      ~ ou=Berlin
        u uid=anna
      b ou=Paris
    ");
    insta::assert_snapshot!(check(true, &["=u", "=b"]), @r"
    -a >b -r >u -v
    u uid=anna,ou=Berlin,dc=corp
    b ou=Paris,dc=corp
    ");
    insta::assert_snapshot!(check(true, &["=u", "c ou=Berlin,dc=corp"]), @r"
    -a -b +c -r >u -v
    c ou=Berlin,dc=corp
      u uid=anna
    ");
}

#[test]
fn kept_but_never_told() {
    insta::assert_snapshot!(check(false, &["=x"]), @r"
    r dc=corp
      a ou=Berlin
        u uid=anna
        v uid=ben
      b ou=Paris
    config key directory: the server says that the entry 78787878-7878-7878-7878-787878787878 did not change, but it was never told; remove the saved state, so that the next start reads everything
    ");
}

#[test]
fn nothing_reaches_readers_before_the_end() {
    let mut store = Store::new();
    for event in [Event::Init, Event::InitApply(entry("r dc=corp")), Event::Checkpoint(cookie("early"))] {
        let applied = step(&mut store, event);
        assert_eq!(applied, crate::store::Applied::default());
        assert!(!store.snapshot().is_complete() && store.snapshot().is_empty());
    }
    let applied = step(&mut store, Event::InitDone { sweep: true, cookie: Some(cookie("one")) });
    assert_eq!((short(applied.changes.as_ref()), applied.checkpoint), ("+r".to_owned(), Some(cookie("one"))));
    assert!(store.snapshot().is_complete());
    // A second list that breaks off leaves everything as it is.
    for event in [Event::Init, Event::Delete(id('r')), Event::Init] {
        step(&mut store, event);
    }
    assert_eq!((store.snapshot().len(), store.cookie()), (1, Some(&cookie("one"))));
    step(&mut store, Event::InitDone { sweep: false, cookie: None });
    assert_eq!((store.snapshot().len(), store.cookie()), (1, None));
}

#[test]
fn told_before_the_first_list_belongs_to_it() {
    let mut store = Store::new();
    step(&mut store, apply("r dc=corp"));
    assert!(store.snapshot().is_empty());
    assert_eq!(short(step(&mut store, Event::InitDone { sweep: true, cookie: None }).changes.as_ref()), "+r");
}

#[test]
fn a_list_that_did_not_begin_deletes_nothing() {
    let mut store = store(&CORP);
    let applied = step(&mut store, Event::InitDone { sweep: true, cookie: Some(cookie("x")) });
    insta::assert_snapshot!(applied.faults[0].to_string(), @"config key directory: the feed told the end of a list that did not begin; this is a fault of dialcast's feed: report it with the log");
    assert_eq!((applied.changes, applied.checkpoint, store.snapshot().len()), (None, None, 5));
}

#[test]
fn a_checkpoint_belongs_to_the_state() {
    let mut store = store(&CORP);
    assert_eq!(store.apply(Event::Checkpoint(cookie("two")), Timestamp(1)).checkpoint, Some(cookie("two")));
    assert_eq!(store.cookie(), Some(&cookie("two")));
    assert_eq!(step(&mut store, Event::InitKeep(id('u'))), crate::store::Applied::default());
}
