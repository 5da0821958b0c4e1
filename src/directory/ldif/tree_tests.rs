//! Tests of who is who.

use std::path::Path;

use super::super::record::parse;
use super::*;

fn records(text: &str) -> Vec<Record> {
    parse(text.as_bytes(), Path::new("a.ldif")).unwrap()
}

/// `name class [uuid]` a line, as records.
fn ldif(lines: &str) -> Vec<Record> {
    let record = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let id = words.get(2).map(|id| format!("entryUUID: 00000000-0000-0000-0000-{id:0>12}\n")).unwrap_or_default();
        format!("dn: {}\nobjectClass: {}\n{id}\n", words[0], words[1])
    };
    records(&lines.lines().filter(|line| !line.trim().is_empty()).map(record).collect::<String>())
}

fn adopt(old: &Tree, lines: &str) -> Tree {
    Tree::adopt(old, &Kept::default(), ldif(lines)).unwrap()
}

/// Which names of the old tree are which of the new one (`=` for those that kept their name).
fn check(old: &str, new: &str, expect: &[(&str, &str)]) -> (Tree, Tree) {
    let before = adopt(&Tree::default(), old);
    let after = adopt(&before, new);
    let mut moved: Vec<(String, String)> = Vec::new();
    for node in after.nodes() {
        let was = before.get(node.id).map_or("new".to_owned(), |node| node.dn.to_string());
        if was != node.dn.to_string() {
            moved.push((was, node.dn.to_string()));
        }
    }
    let expect: Vec<(String, String)> = expect.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(moved, expect);
    (before, after)
}

#[test]
fn a_moved_unit_takes_its_children_along() {
    let (before, after) = check(
        "o=x organization\nou=a,o=x organizationalUnit\nou=b,o=x organizationalUnit\ncn=1,ou=a,o=x person\ncn=2,ou=a,o=x person\ncn=1,ou=b,o=x person",
        "o=x organization\nou=b,o=x organizationalUnit\nou=a,ou=b,o=x organizationalUnit\ncn=1,ou=a,ou=b,o=x person\ncn=2,ou=a,ou=b,o=x person\ncn=1,ou=b,o=x person",
        &[("ou=a,o=x", "ou=a,ou=b,o=x"), ("cn=1,ou=a,o=x", "cn=1,ou=a,ou=b,o=x"), ("cn=2,ou=a,o=x", "cn=2,ou=a,ou=b,o=x")],
    );
    // Only the unit itself has an id that its name does not explain.
    assert_eq!(before.kept(), Kept::default());
    assert_eq!(after.kept().0.len(), 1);
    // A restart with the cookie gives the same ids; without, others.
    let cookie = after.kept().to_cookie();
    let lines = "o=x organization\nou=b,o=x organizationalUnit\nou=a,ou=b,o=x organizationalUnit\ncn=1,ou=a,ou=b,o=x person";
    let resumed = Tree::adopt(&Tree::default(), &Kept::from_cookie(&cookie), ldif(lines)).unwrap();
    for node in resumed.nodes() {
        assert_eq!(after.named(&node.dn.key()).unwrap().id, node.id, "{}", node.dn);
    }
    assert_eq!(resumed.kept().to_cookie(), cookie);
    let fresh = adopt(&Tree::default(), lines);
    assert_ne!(fresh.named("cn=1,ou=a,ou=b,o=x").unwrap().id, after.named("cn=1,ou=a,ou=b,o=x").unwrap().id);
}

#[test]
fn two_units_with_children_of_one_name() {
    check(
        "o=x o\nou=a,o=x ou\nou=b,o=x ou\nou=u,ou=a,o=x ou\nou=u,ou=b,o=x ou\nou=c,o=x ou",
        "o=x o\nou=c,o=x ou\nou=a,ou=c,o=x ou\nou=b,ou=c,o=x ou\nou=u,ou=a,ou=c,o=x ou\nou=u,ou=b,ou=c,o=x ou",
        &[
            ("ou=a,o=x", "ou=a,ou=c,o=x"),
            ("ou=b,o=x", "ou=b,ou=c,o=x"),
            ("ou=u,ou=a,o=x", "ou=u,ou=a,ou=c,o=x"),
            ("ou=u,ou=b,o=x", "ou=u,ou=b,ou=c,o=x"),
        ],
    );
}

#[test]
fn a_user_moves_while_the_unit_of_a_namesake_does() {
    check(
        "o=x o\nou=a,o=x ou\ncn=anna,ou=a,o=x person\nou=m,o=x ou\ncn=anna,ou=m,o=x person\nou=p,o=x ou",
        "o=x o\nou=p,o=x ou\nou=a,ou=p,o=x ou\ncn=anna,ou=a,ou=p,o=x person\nou=m,o=x ou\ncn=anna,o=x person",
        &[("cn=anna,ou=m,o=x", "cn=anna,o=x"), ("ou=a,o=x", "ou=a,ou=p,o=x"), ("cn=anna,ou=a,o=x", "cn=anna,ou=a,ou=p,o=x")],
    );
}

#[test]
fn no_match_where_it_is_not_unique_or_not_the_same() {
    // Two candidates.
    check("cn=1,ou=a person\ncn=1,ou=b person", "cn=1,ou=c person", &[("new", "cn=1,ou=c")]);
    check("cn=1,ou=a person", "cn=1,ou=b person\ncn=1,ou=c person", &[("new", "cn=1,ou=b"), ("new", "cn=1,ou=c")]);
    // Another class, another RDN.
    check("cn=1,ou=a person", "cn=1,ou=b device", &[("new", "cn=1,ou=b")]);
    check("cn=1,ou=a person", "cn=2,ou=a person", &[("new", "cn=2,ou=a")]);
    // A file that gives ids is taken at its word.
    check("cn=1,ou=a person 7", "cn=1,ou=b person", &[("new", "cn=1,ou=b")]);
    check("cn=1,ou=a person 7", "cn=1,ou=b person 8", &[("new", "cn=1,ou=b")]);
    check("cn=1,ou=a person 7\ncn=2 person 8", "cn=2 person 7\ncn=9,ou=b device 8", &[("cn=1,ou=a", "cn=2"), ("cn=2", "cn=9,ou=b")]);
}

#[test]
fn a_new_entry_where_one_was_moved_away_is_another() {
    let (before, after) =
        check("o=x o\ncn=1,o=x person\nou=a,o=x ou", "o=x o\nou=a,o=x ou\ncn=1,ou=a,o=x person", &[("cn=1,o=x", "cn=1,ou=a,o=x")]);
    let again = adopt(&after, "o=x o\nou=a,o=x ou\ncn=1,ou=a,o=x person\ncn=1,o=x person");
    let id = again.named("cn=1,o=x").unwrap().id;
    assert!(before.get(id).is_none());
    assert_eq!(again.named("cn=1,ou=a,o=x").unwrap().id, before.named("cn=1,o=x").unwrap().id);
    let resumed = Tree::adopt(&Tree::default(), &again.kept(), ldif("o=x o\nou=a,o=x ou\ncn=1,ou=a,o=x person\ncn=1,o=x person")).unwrap();
    assert_eq!(resumed.named("cn=1,o=x").unwrap().id, id);
}

#[test]
fn a_given_id_may_come_and_go() {
    let before = adopt(&Tree::default(), "cn=1 person 7");
    let after = adopt(&before, "cn=1 person");
    assert_eq!(after.named("cn=1").unwrap().id, before.named("cn=1").unwrap().id);
    assert_ne!(adopt(&after, "cn=1 person 8").named("cn=1").unwrap().id, after.named("cn=1").unwrap().id);
}

#[test]
fn duplicates_are_faults() {
    let faults = |text: &str| {
        let faults = Tree::adopt(&Tree::default(), &Kept::default(), ldif(text)).unwrap_err();
        faults.iter().map(|fault| format!("{} | {}\n", fault, fault.excerpt)).collect::<Vec<_>>().concat()
    };
    insta::assert_snapshot!(faults("cn=1,o=x person\ncn=2 person\nCN=1,O=X device\ncn=1,o=X x"), @"
a.ldif:7: this DN is in a.ldif:1 already | dn: CN=1,O=X
a.ldif:10: this DN is in a.ldif:7 already | dn: cn=1,o=X
");
    insta::assert_snapshot!(faults("cn=1 person 7\ncn=2 person 7"), @"a.ldif:5: entryUUID 00000000-0000-0000-0000-000000000007 is in a.ldif:1 already | dn: cn=2");
}

#[test]
fn derived_ids_do_not_change_between_versions() {
    // Saved states hold them.
    let tree = adopt(&Tree::default(), "dc=corp,dc=example domain\nou=Berlin,dc=corp,dc=example organizationalUnit");
    insta::assert_snapshot!(tree.nodes().iter().map(|n| format!("{} {}\n", n.id, n.dn)).collect::<Vec<_>>().concat(), @"
b906712d-2395-8a3d-8a8a-246bb18ba118 dc=corp,dc=example
c3208619-36a9-86b5-a05e-390353d368a6 ou=Berlin,dc=corp,dc=example
");
}

#[test]
fn a_cookie_of_another_kind_is_ignored() {
    for text in ["", "syncrepl 1\nx", "ldif 2\n", "ldif 1\nnonsense\n12 x"] {
        assert_eq!(Kept::from_cookie(&Cookie(text.into())), Kept::default(), "{text}");
    }
}
