//! Memberships.

use std::fmt::Write as _;

use super::support::*;
use crate::directory::{Entry, Event};
use crate::model::Timestamp;
use crate::store::{Change, Store, saved};

const CORP: [&str; 6] = [
    "r dc=corp",
    "a ou=Berlin,dc=corp",
    "u uid=anna,ou=Berlin,dc=corp|uid=anna",
    "v uid=ben,ou=Berlin,dc=corp|uid=ben",
    "g cn=Staff,dc=corp|member=uid=anna,ou=Berlin,dc=corp|member=uid=gone,ou=Berlin,dc=corp",
    "h cn=All,dc=corp|uniqueMember=cn=staff,dc=corp|uniqueMember=uid=ben,ou=berlin,dc=corp#'0101'B",
];

#[test]
fn nested_and_dangling() {
    let state = store(&CORP).snapshot();
    assert_eq!(members(&state, 'g'), "(uid=gone,ou=Berlin,dc=corp) u");
    assert_eq!(members(&state, 'h'), "g v");
    assert_eq!(state.groups_of(id('u')).collect::<Vec<_>>(), [id('g')]);
    assert_eq!(state.transitive_groups(id('u')), [id('g'), id('h')]);
    assert_eq!(state.transitive_groups(id('v')), [id('h')]);
    assert_eq!(state.members_deep(id('h')), [id('u'), id('v')]);
}

#[test]
fn cycles_are_legal() {
    let state = store(&[
        "r dc=corp",
        "u uid=anna,dc=corp",
        "g cn=g,dc=corp|member=cn=h,dc=corp|member=uid=anna,dc=corp",
        "h cn=h,dc=corp|member=cn=g,dc=corp",
    ]);
    let state = state.snapshot();
    assert_eq!(state.transitive_groups(id('u')), [id('g'), id('h')]);
    assert_eq!(state.transitive_groups(id('g')), [id('g'), id('h')]);
    assert_eq!(state.members_deep(id('h')), [id('u')]);
}

/// Applies events to the sample: what each changes, and who is in group `g` after each.
fn check(events: &[Event], expect: &[(&str, &str)]) {
    let mut store = store(&CORP);
    for (event, expect) in events.iter().zip(expect) {
        let changes = short(step(&mut store, event.clone()).changes.as_ref());
        assert_eq!((&*changes, &*members(&store.snapshot(), 'g')), *expect, "{event:?}");
    }
    assert_eq!(events.len(), expect.len());
}

#[test]
fn a_member_that_moves_stays_a_member() {
    check(
        &[
            apply("u uid=ann,dc=corp|uid=ann"),
            apply("a ou=Bonn,dc=corp"),
            apply("g cn=Staff,dc=corp|description=x|member=uid=anna,ou=Berlin,dc=corp"),
        ],
        &[
            (">u", "(uid=gone,ou=Berlin,dc=corp) u"),
            (">a", "(uid=gone,ou=Berlin,dc=corp) u"),
            // The text is stale and names nobody: it still means whom it meant.
            ("~g", "u"),
        ],
    );
}

#[test]
fn a_text_told_anew_means_what_it_says() {
    check(
        &[
            apply("u uid=ann,dc=corp|uid=ann"),
            apply("w uid=anna,ou=Berlin,dc=corp|uid=anna"),
            apply("g cn=Staff,dc=corp|member=uid=anna,ou=Berlin,dc=corp"),
            apply("g cn=Staff,dc=corp|member=uid=ann,dc=corp"),
        ],
        &[
            (">u", "(uid=gone,ou=Berlin,dc=corp) u"),
            // Another gets the name: a value that is held is not up for grabs.
            ("+w", "(uid=gone,ou=Berlin,dc=corp) u"),
            ("~g g(+w -u)", "w"),
            ("~g g(+u -w)", "u"),
        ],
    );
}

#[test]
fn a_name_that_appears_joins() {
    check(
        &[
            apply("x uid=Gone,ou=Berlin,dc=corp"),
            Event::Delete(id('x')),
            apply("b ou=Paris,dc=corp"),
            apply("y uid=gone,ou=Paris,dc=corp"),
            Event::Delete(id('a')),
            apply("b ou=Berlin,dc=corp"),
        ],
        &[
            ("+x g(+x)", "u x"),
            ("-x g(-x)", "(uid=Gone,ou=Berlin,dc=corp) u"),
            ("+b", "(uid=Gone,ou=Berlin,dc=corp) u"),
            ("+y", "(uid=Gone,ou=Berlin,dc=corp) u"),
            ("-a -u -v g(-u) h(-v)", "(uid=Gone,ou=Berlin,dc=corp) (uid=anna,ou=Berlin,dc=corp)"),
            // An OU that takes a name gives names to all below.
            (">b g(+y)", "(uid=anna,ou=Berlin,dc=corp) y"),
        ],
    );
}

#[test]
fn one_member_in_several_spellings() {
    check(
        &[
            apply("g cn=Staff,dc=corp|member=uid=anna,ou=Berlin,dc=corp|uniqueMember=UID=Anna,OU=Berlin,DC=corp"),
            apply("g cn=Staff,dc=corp|uniqueMember=UID=Anna,OU=Berlin,DC=corp"),
            apply("g cn=Staff,dc=corp|uniqueMember=UID=Anna,OU=Berlin,DC=corp|memberUid=anna|memberUid=zoe"),
            apply("g cn=Staff,dc=corp|memberUid=anna|memberUid=zoe"),
            apply("z uid=zoe,dc=corp|uid=Zoe"),
            apply("g cn=Staff,dc=corp|member=|member=no dn"),
        ],
        &[
            ("~g", "u"),
            ("~g", "u"),
            ("~g", "(memberUid=zoe) u"),
            ("~g", "(memberUid=zoe) u"),
            ("+z g(+z)", "u z"),
            ("~g g(-u -z)", "(member=no dn)"),
        ],
    );
}

#[test]
fn a_login_name_is_held_by_id_too() {
    check(
        &[
            apply("g cn=Staff,dc=corp|memberUid=anna"),
            apply("u uid=anna,ou=Berlin,dc=corp|uid=ann"),
            apply("w uid=w,dc=corp|uid=anna"),
            apply("g cn=Staff,dc=corp|memberUid=anna|description=x"),
        ],
        &[("~g", "u"), ("~u", "u"), ("+w", "u"), ("~g g(+w -u)", "w")],
    );
}

#[test]
fn a_group_that_goes_or_becomes_something_else() {
    check(
        &[
            Event::Delete(id('g')),
            apply("g cn=Staff,dc=corp|member=uid=anna,ou=Berlin,dc=corp"),
            apply("g uid=Staff,dc=corp|member=uid=anna,ou=Berlin,dc=corp"),
        ],
        &[("-g g(-u) h(-g)", ""), ("+g g(+u) h(+g)", "u"), (">g g(-u)", "")],
    );
}

#[test]
fn a_displaced_member_stays() {
    check(
        &[apply("w uid=anna,ou=Berlin,dc=corp|uid=anna"), Event::Delete(id('u')), apply("u uid=anna,ou=Berlin,dc=corp|uid=anna")],
        &[
            ("~u +w", "(uid=gone,ou=Berlin,dc=corp) u"),
            // The name has another bearer now.
            ("-u g(+w -u)", "(uid=gone,ou=Berlin,dc=corp) w"),
            ("+u ~w", "(uid=gone,ou=Berlin,dc=corp) w"),
        ],
    );
}

/// A group of many, with each value of the group in the order in which servers send them.
fn large(size: u32, without: u32) -> Entry {
    let mut group = entry("g cn=Everyone,dc=corp");
    let values = (0..size).filter(|n| *n != without).map(|n| format!("uid=user{n},ou=Berlin,dc=corp").into_bytes());
    group.attributes.add("member", values);
    group
}

fn many(size: u32) -> Store {
    let mut store = Store::new();
    store.apply(Event::Init, Timestamp(0));
    for line in ["r dc=corp", "a ou=Berlin,dc=corp"] {
        store.apply(Event::InitApply(entry(line)), Timestamp(0));
    }
    store.apply(Event::InitApply(large(size, size)), Timestamp(0));
    let mut name = String::new();
    for n in 0..size {
        name.clear();
        write!(name, "x uid=user{n},ou=Berlin,dc=corp").unwrap();
        let mut bytes = [b'u'; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        store.apply(Event::InitApply(Entry { id: crate::model::ObjectId::from_bytes(bytes), ..entry(&name) }), Timestamp(0));
    }
    store.apply(Event::InitDone { sweep: true, cookie: None }, Timestamp(0));
    store
}

#[test]
fn one_of_many() {
    const SIZE: u32 = 5_000;
    let mut store = many(SIZE);
    assert_eq!(store.snapshot().members(id('g')).count(), SIZE as usize);
    for (event, joined, left) in [
        (Event::Apply(large(SIZE, 777)), 0, 1),
        (Event::Apply(large(SIZE, SIZE)), 1, 0),
        (apply("a ou=Bonn,dc=corp"), 0, 0),
        (Event::Apply(large(SIZE, 0)), 0, 1),
    ] {
        let changes = store.apply(event, Timestamp(1)).changes.unwrap().changes;
        let told = changes.iter().find_map(|change| match change {
            Change::Members { joined, left, .. } => Some((joined.len(), left.len())),
            _ => None,
        });
        assert_eq!(told.unwrap_or_default(), (joined, left));
    }
    sound(&store.snapshot());
}

/// `dom4321` is the group's SID; 825373492 are the octets `4321`, and `dom1111` is 825307441.
const NAMES_4321: &str = "|objectSid=domuser|primaryGroupID=825373492";
const NAMES_1111: &str = "|objectSid=domuser|primaryGroupID=825307441";

#[test]
fn primary_groups() {
    let mut store = store(&["r dc=corp", &format!("u uid=anna,dc=corp{NAMES_4321}"), "h cn=Nest,dc=corp|member=cn=Users,dc=corp"]);
    let mut check = |event: Event, expect: &str, groups: &[char]| {
        let changes = short(step(&mut store, event).changes.as_ref());
        let state = store.snapshot();
        assert_eq!(changes, expect);
        assert_eq!(state.transitive_groups(id('u')), groups.iter().map(|group| id(*group)).collect::<Vec<_>>(), "{expect}");
        let mut out = Vec::new();
        saved::write(&mut out, &state, None, &[], "x").unwrap();
        let again = saved::read(&mut out.as_slice(), "x").unwrap().snapshot;
        assert_eq!(again.members(id('g')).collect::<Vec<_>>(), state.members(id('g')).collect::<Vec<_>>());
    };
    // The group appears later.
    check(apply("g cn=Users,dc=corp|objectSid=dom4321"), "+g g(+u) h(+g)", &['g', 'h']);
    // Listed too, it is one membership.
    check(apply("g cn=Users,dc=corp|objectSid=dom4321|member=uid=anna,dc=corp"), "~g", &['g', 'h']);
    check(apply("g cn=Users,dc=corp|objectSid=dom4321"), "~g", &['g', 'h']);
    // Another primary group, and back.
    check(apply(&format!("u uid=anna,dc=corp{NAMES_1111}")), "~u g(-u)", &[]);
    check(apply("f cn=Others,dc=corp|objectSid=dom1111"), "+f f(+u)", &['f']);
    check(apply(&format!("u uid=anna,dc=corp{NAMES_4321}")), "~u f(-u) g(+u)", &['g', 'h']);
    // The group gets another SID, and goes.
    check(apply("g cn=Users,dc=corp|objectSid=dom9999"), "~g g(-u)", &[]);
    check(apply("g cn=Users,dc=corp|objectSid=dom4321"), "~g g(+u)", &['g', 'h']);
    check(Event::Delete(id('g')), "-g g(-u) h(-g)", &[]);
    // Octets that are no SID, and a number that is none.
    check(apply("u uid=anna,dc=corp|objectSid=x|primaryGroupID=1"), "~u", &[]);
    check(apply("u uid=anna,dc=corp|objectSid=domuser|primaryGroupID=many"), "~u", &[]);
}

/// A whole list gives what single steps give.
#[test]
fn primary_groups_of_a_list() {
    let state = store(&[
        "r dc=corp",
        "g cn=Users,dc=corp|objectSid=dom4321|member=uid=ben,dc=corp",
        &format!("u uid=anna,dc=corp{NAMES_4321}"),
        &format!("v uid=ben,dc=corp{NAMES_4321}"),
    ])
    .snapshot();
    assert_eq!(members(&state, 'g'), "u v");
    assert_eq!(state.members_deep(id('g')), [id('u'), id('v')]);
}
