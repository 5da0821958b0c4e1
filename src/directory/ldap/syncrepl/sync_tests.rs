//! Tests of the state machine: every pair of state and message, then whole conversations.

use std::fmt::Write as _;

use super::*;
use crate::directory::ldap::identity::Version;
use crate::model::{Attributes, Dn, ObjectId};

fn id(n: u8) -> ObjectId {
    ObjectId::from_bytes([n; 16])
}

fn entry(state: State, n: u8, dn: &str, cookie: Option<&str>) -> Message {
    let dn = dn.parse::<Dn>().map_err(|error| (dn.to_owned(), error.to_string()));
    Message::Entry(SyncEntry {
        state,
        found: Found { id: id(n), dn, attributes: Attributes::new(), version: Version::default(), has_below: Some(false) },
        cookie: cookie.map(Into::into),
    })
}

fn set(deletes: bool, ids: &[u8], cookie: Option<&str>) -> Message {
    Message::Info(Info::IdSet { cookie: cookie.map(Into::into), deletes, ids: ids.iter().map(|n| id(*n)).collect() })
}

fn present(done: bool, cookie: Option<&str>) -> Message {
    Message::Info(Info::RefreshPresent { cookie: cookie.map(Into::into), done })
}

fn delete(done: bool, cookie: Option<&str>) -> Message {
    Message::Info(Info::RefreshDelete { cookie: cookie.map(Into::into), done })
}

fn new_cookie(cookie: &str) -> Message {
    Message::Info(Info::NewCookie(cookie.into()))
}

fn shown(effects: &[Effect]) -> String {
    let short = |id: &ObjectId| id.as_bytes()[0].to_string();
    let cookie = |cookie: &Option<Cookie>| cookie.as_ref().map_or("-".to_owned(), |c| String::from_utf8_lossy(&c.0).into_owned());
    let one = |effect: &Effect| match effect {
        Effect::Event(Event::Init) => "Init".to_owned(),
        Effect::Event(Event::InitKeep(id)) => format!("InitKeep {}", short(id)),
        Effect::Event(Event::InitDone { sweep, cookie: c }) => format!("InitDone sweep={sweep} {}", cookie(c)),
        Effect::Event(Event::Delete(id)) => format!("Delete {}", short(id)),
        Effect::Event(Event::Checkpoint(c)) => format!("Checkpoint {}", cookie(&Some(c.clone()))),
        Effect::Event(event) => format!("{event:?}"),
        Effect::Entry { found, refreshing } => {
            let what = if *refreshing { "InitApply" } else { "Apply" };
            found
                .dn
                .as_ref()
                .map_or_else(|bad| format!("{what} {} `{}`", short(&found.id), bad.0), |dn| format!("{what} {} {dn}", short(&found.id)))
        }
        Effect::Reference(url) => format!("Reference {url}"),
    };
    effects.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A whole conversation.
fn check(resumed: bool, messages: Vec<Message>) -> String {
    let mut effects = Vec::new();
    let mut sync = Sync::begin(resumed, &mut effects);
    for message in messages {
        sync = sync.step(message, &mut effects);
    }
    shown(&effects)
}

#[test]
fn every_pair() {
    let refresh = |resumed| Sync::begin(resumed, &mut Vec::new());
    let states = [("Refresh, whole", refresh(false)), ("Refresh, resumed", refresh(true)), ("Live", Sync::Live)];
    let messages = [
        ("present", entry(State::Present, 1, "cn=1", None)),
        ("add", entry(State::Add, 1, "cn=1", Some("c"))),
        ("modify", entry(State::Modify, 1, "cn=1", None)),
        ("delete", entry(State::Delete, 1, "cn=1", Some("c"))),
        ("bad name", entry(State::Add, 1, "nonsense", Some("c"))),
        ("id set, present", set(false, &[1, 2], Some("c"))),
        ("id set, deletes", set(true, &[1, 2], Some("c"))),
        ("refreshPresent, more", present(false, Some("c"))),
        ("refreshPresent, done", present(true, Some("c"))),
        ("refreshDelete, more", delete(false, Some("c"))),
        ("refreshDelete, done", delete(true, Some("c"))),
        ("newCookie", new_cookie("c")),
        ("reference", Message::Reference("ldap://o".into())),
        ("other", Message::Other),
    ];
    let mut table = String::new();
    for (state_name, state) in states {
        writeln!(table, "{state_name}").unwrap();
        for (message_name, message) in &messages {
            let mut effects = Vec::new();
            let next = match state.clone().step(message.clone(), &mut effects) {
                Sync::Refresh(refresh) => format!("Refresh sweep={} cookie={}", refresh.sweep, refresh.cookie.is_some()),
                Sync::Live => "Live".to_owned(),
            };
            writeln!(table, "  {message_name:22} -> {next:34} {}", shown(&effects)).unwrap();
        }
    }
    let table: Vec<&str> = table.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(table.join("\n"), @"
    Refresh, whole
      present                -> Refresh sweep=true cookie=false    InitKeep 1
      add                    -> Refresh sweep=true cookie=true     InitApply 1 cn=1
      modify                 -> Refresh sweep=true cookie=false    InitApply 1 cn=1
      delete                 -> Refresh sweep=true cookie=true     Delete 1
      bad name               -> Refresh sweep=true cookie=true     InitApply 1 `nonsense`
      id set, present        -> Refresh sweep=true cookie=true     InitKeep 1, InitKeep 2
      id set, deletes        -> Refresh sweep=true cookie=true     Delete 1, Delete 2
      refreshPresent, more   -> Refresh sweep=true cookie=true
      refreshPresent, done   -> Live                               InitDone sweep=true c
      refreshDelete, more    -> Refresh sweep=true cookie=true
      refreshDelete, done    -> Live                               InitDone sweep=true c
      newCookie              -> Refresh sweep=true cookie=true
      reference              -> Refresh sweep=true cookie=false    Reference ldap://o
      other                  -> Refresh sweep=true cookie=false
    Refresh, resumed
      present                -> Refresh sweep=false cookie=false   InitKeep 1
      add                    -> Refresh sweep=false cookie=true    InitApply 1 cn=1
      modify                 -> Refresh sweep=false cookie=false   InitApply 1 cn=1
      delete                 -> Refresh sweep=false cookie=true    Delete 1
      bad name               -> Refresh sweep=false cookie=true    InitApply 1 `nonsense`
      id set, present        -> Refresh sweep=false cookie=true    InitKeep 1, InitKeep 2
      id set, deletes        -> Refresh sweep=false cookie=true    Delete 1, Delete 2
      refreshPresent, more   -> Refresh sweep=true cookie=true
      refreshPresent, done   -> Live                               InitDone sweep=true c
      refreshDelete, more    -> Refresh sweep=false cookie=true
      refreshDelete, done    -> Live                               InitDone sweep=false c
      newCookie              -> Refresh sweep=false cookie=true
      reference              -> Refresh sweep=false cookie=false   Reference ldap://o
      other                  -> Refresh sweep=false cookie=false
    Live
      present                -> Live
      add                    -> Live                               Apply 1 cn=1, Checkpoint c
      modify                 -> Live                               Apply 1 cn=1
      delete                 -> Live                               Delete 1, Checkpoint c
      bad name               -> Live                               Apply 1 `nonsense`, Checkpoint c
      id set, present        -> Live                               Checkpoint c
      id set, deletes        -> Live                               Delete 1, Delete 2, Checkpoint c
      refreshPresent, more   -> Live                               Checkpoint c
      refreshPresent, done   -> Live                               Checkpoint c
      refreshDelete, more    -> Live                               Checkpoint c
      refreshDelete, done    -> Live                               Checkpoint c
      newCookie              -> Live                               Checkpoint c
      reference              -> Live                               Reference ldap://o
      other                  -> Live
    ");
}

#[test]
fn first_load() {
    let messages = vec![
        entry(State::Add, 1, "dc=x", None),
        entry(State::Add, 2, "cn=2,dc=x", None),
        present(true, Some("c1")),
        entry(State::Modify, 2, "cn=2,dc=x", Some("c2")),
        entry(State::Delete, 2, "cn=2,dc=x", Some("c3")),
    ];
    insta::assert_snapshot!(check(false, messages), @"Init, InitApply 1 dc=x, InitApply 2 cn=2,dc=x, InitDone sweep=true c1, Apply 2 cn=2,dc=x, Checkpoint c2, Delete 2, Checkpoint c3");
}

#[test]
fn resumed_with_a_delete_phase() {
    let messages = vec![entry(State::Add, 3, "cn=3,dc=x", None), set(true, &[2], None), delete(true, Some("c2"))];
    insta::assert_snapshot!(check(true, messages), @"Init, InitApply 3 cn=3,dc=x, Delete 2, InitDone sweep=false c2");
}

#[test]
fn resumed_with_a_present_phase() {
    let messages = vec![
        entry(State::Add, 3, "cn=3,dc=x", None),
        set(false, &[1, 2], None),
        present(false, None),
        entry(State::Delete, 2, "cn=2,dc=x", None),
        delete(true, Some("c2")),
    ];
    insta::assert_snapshot!(check(true, messages), @"Init, InitApply 3 cn=3,dc=x, InitKeep 1, InitKeep 2, Delete 2, InitDone sweep=true c2");
}

#[test]
fn a_cookie_in_the_middle_of_a_refresh_waits_for_its_end() {
    let messages = vec![entry(State::Add, 1, "dc=x", Some("c1")), new_cookie("c2"), set(true, &[], None), delete(true, None)];
    insta::assert_snapshot!(check(true, messages), @"Init, InitApply 1 dc=x, InitDone sweep=false c2");
}
