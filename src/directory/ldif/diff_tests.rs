//! Tests of the difference between two states of the files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::super::record::parse;
use super::super::tree::{Kept, digest};
use super::*;
use crate::directory::Entry;
use crate::model::Dn;

fn adopt(old: &Tree, text: &str) -> Tree {
    Tree::adopt(old, &Kept::default(), parse(text.as_bytes(), Path::new("a.ldif")).unwrap()).unwrap()
}

/// `name [value] [#uuid]` a line, as LDIF.
fn ldif(lines: &str) -> String {
    let mut text = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        writeln!(text, "dn: {}\nobjectClass: x", words.next().unwrap()).unwrap();
        for word in words {
            match word.strip_prefix('#') {
                Some(id) => writeln!(text, "entryUUID: 00000000-0000-0000-0000-{id:0>12}").unwrap(),
                None => writeln!(text, "description: {word}").unwrap(),
            }
        }
        text.push('\n');
    }
    text
}

fn check(old: &str, new: &str, expect: &[&str]) {
    let mut old = adopt(&Tree::default(), &ldif(old));
    let mut new = adopt(&old, &ldif(new));
    let events = holds(&mut old, &mut new).unwrap();
    let shown: Vec<String> = events
        .iter()
        .map(|event| match event {
            Event::Apply(entry) => format!("apply {}", entry.dn),
            Event::Delete(id) => format!("delete {}", old.get(*id).unwrap().dn),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(shown, expect);
}

#[test]
fn only_what_differs() {
    check("o=x\nou=a,o=x\ncn=1,ou=a,o=x v", "o=x\nou=a,o=x\ncn=1,ou=a,o=x v", &[]);
    check("o=x\nou=a,o=x\ncn=1,ou=a,o=x v", "o=x\nou=a,o=x\ncn=1,ou=a,o=x w", &["apply cn=1,ou=a,o=x"]);
    check("o=x\ncn=1,o=x\ncn=2,o=x", "o=x\ncn=3,o=x v\ncn=2,o=x", &["apply cn=3,o=x", "delete cn=1,o=x"]);
    // Letters of another case in the RDN are shown: they are told.
    check("o=x\nou=a,o=x\ncn=1,ou=a,o=x", "o=x\nou=A,o=x\ncn=1,ou=A,o=x", &["apply ou=A,o=x"]);
    check("o=x\nou=a,o=x", "O=X\nou=a,O=X", &["apply O=X"]);
}

#[test]
fn a_moved_unit_is_one_event() {
    let below = |unit: &str| (0..100).map(|n| format!("\ncn={n},{unit}")).collect::<Vec<_>>().concat();
    let old = format!("o=x\nou=b,o=x\nou=a,o=x{}", below("ou=a,o=x"));
    let new = format!("o=x\nou=b,o=x\nou=a,ou=b,o=x{}", below("ou=a,ou=b,o=x"));
    check(&old, &new, &["apply ou=a,ou=b,o=x"]);
    // A change below it is one more.
    check(&old, &new.replace("cn=7,ou=a,ou=b,o=x", "cn=7,ou=a,ou=b,o=x v"), &["apply ou=a,ou=b,o=x", "apply cn=7,ou=a,ou=b,o=x"]);
    // As is one that leaves it, and one that goes away.
    check(
        &old,
        &new.replace("cn=7,ou=a,ou=b,o=x", "cn=7,o=x").replace("\ncn=8,ou=a,ou=b,o=x", ""),
        &["apply cn=7,o=x", "apply ou=a,ou=b,o=x", "delete cn=8,ou=a,o=x"],
    );
}

#[test]
fn what_a_deletion_takes_along_is_told_again() {
    // The record of the unit is gone, those of its children stay: they hang in the air, and go on.
    check(
        "o=x\nou=a,o=x\ncn=1,ou=a,o=x\ncn=2,cn=1,ou=a,o=x",
        "o=x\ncn=1,ou=a,o=x\ncn=2,cn=1,ou=a,o=x",
        &["delete ou=a,o=x", "apply cn=1,ou=a,o=x", "apply cn=2,cn=1,ou=a,o=x"],
    );
    // The same below a unit that moves at that moment.
    check(
        "o=x\nou=b,o=x\nou=c,o=x\nou=a,ou=b,o=x\ncn=1,ou=a,ou=b,o=x",
        "o=x\nou=c,o=x\nou=b,ou=c,o=x\ncn=1,ou=a,ou=b,ou=c,o=x",
        &["apply ou=b,ou=c,o=x", "delete ou=a,ou=b,o=x", "apply cn=1,ou=a,ou=b,ou=c,o=x"],
    );
    // Another entry takes the name.
    check(
        "o=x\nou=a,o=x #1\ncn=1,ou=a,o=x",
        "o=x\nou=a,o=x #2\ncn=1,ou=a,o=x",
        &["delete ou=a,o=x", "apply ou=a,o=x", "apply cn=1,ou=a,o=x"],
    );
    // Two swap their names.
    check(
        "o=x\nou=a,o=x #1\nou=b,o=x #2\ncn=1,ou=a,o=x\ncn=2,ou=b,o=x",
        "o=x\nou=a,o=x #2\nou=b,o=x #1\ncn=1,ou=a,o=x\ncn=2,ou=b,o=x",
        &["delete ou=b,o=x", "delete ou=a,o=x", "apply ou=a,o=x", "apply ou=b,o=x", "apply cn=1,ou=a,o=x", "apply cn=2,ou=b,o=x"],
    );
}

/// A tree that follows events as the documentation of [`Event`] has it, and nothing else: what the store must be able to do.
#[derive(Default)]
struct Model {
    entries: BTreeMap<ObjectId, (Place, Entry)>,
}

/// The closest entry above, and the RDNs down from it.
type Place = (Option<ObjectId>, Vec<Rdn>);

impl Model {
    fn of(tree: &mut Tree) -> Self {
        let mut model = Self::default();
        for event in all(tree) {
            let Event::InitApply(entry) = event else { panic!() };
            model.apply(entry);
        }
        model
    }

    fn dn(&self, id: ObjectId) -> Dn {
        let ((above, rdns), _) = &self.entries[&id];
        let above = above.map(|above| self.dn(above)).unwrap_or_default();
        Dn::from_rdns(rdns.iter().chain(above.rdns()).cloned().collect())
    }

    fn apply(&mut self, entry: Entry) {
        let names: Vec<(ObjectId, Dn)> = self.entries.keys().map(|id| (*id, self.dn(*id))).collect();
        for (id, dn) in &names {
            assert!(*dn != entry.dn || *id == entry.id, "{dn} is taken");
        }
        let mut above = entry.dn.parent();
        let mut depth = 1;
        let mut found = None;
        while let Some(dn) = above.filter(|_| found.is_none()) {
            found = names.iter().find(|(id, name)| *name == dn && *id != entry.id).map(|(id, _)| *id);
            depth += usize::from(found.is_none());
            above = dn.parent();
        }
        let rdns: Vec<Rdn> = entry.dn.rdns().iter().take(depth).cloned().collect();
        let dn = entry.dn.clone();
        let id = entry.id;
        let children = self.entries.values().any(|((above, _), _)| *above == Some(id));
        self.entries.insert(id, ((found, rdns), entry));
        if !children {
            // What hung in the air below this name hangs below it now.
            for (other, name) in names {
                let (place, _) = self.entries.get_mut(&other).unwrap();
                if other != id && name.is_within(&dn) && place.0 == found && place.1.len() > name.depth() - dn.depth() {
                    *place = (Some(id), name.rdns().iter().take(name.depth() - dn.depth()).cloned().collect());
                }
            }
        }
    }

    fn delete(&mut self, id: ObjectId) {
        let below: Vec<ObjectId> = self.entries.iter().filter(|(_, ((above, _), _))| *above == Some(id)).map(|(id, _)| *id).collect();
        for id in below {
            self.delete(id);
        }
        self.entries.remove(&id);
    }

    fn shown(&self) -> BTreeMap<ObjectId, (String, [u8; 16])> {
        self.entries.iter().map(|(id, (_, entry))| (*id, (self.dn(*id).to_string(), digest(&entry.attributes)))).collect()
    }
}

/// The difference, once it has been shown to lead from the old tree to the new one.
fn holds(old: &mut Tree, new: &mut Tree) -> Result<Vec<Event>, TestCaseError> {
    let mut model = Model::of(old);
    let events = diff(old, new);
    for event in &events {
        match event {
            Event::Apply(entry) => model.apply(entry.clone()),
            Event::Delete(id) => model.delete(*id),
            other => panic!("{other:?}"),
        }
    }
    let fresh: BTreeMap<ObjectId, (String, [u8; 16])> =
        new.nodes().iter().map(|node| (node.id, (node.dn.to_string(), node.digest))).collect();
    prop_assert_eq!(model.shown(), fresh);
    Ok(events)
}

/// A tree of up to 12 entries: each hangs below an earlier one, in the air, or at the top; some have given ids.
fn forest(ids: bool) -> impl Strategy<Value = String> {
    let entry = (any::<prop::sample::Index>(), 0..4usize, 0..3usize, prop::option::weighted(0.3, 0..6u32));
    prop::collection::vec(entry, 0..12).prop_map(move |entries| {
        let mut names: Vec<String> = vec!["o=x".to_owned()];
        let mut lines = vec!["o=x".to_owned()];
        let mut used = Vec::new();
        for (above, rdn, value, id) in entries {
            let air = if value == 2 { "ou=air," } else { "" };
            let name = format!("cn={rdn},{air}{}", above.get(&names));
            if names.contains(&name) {
                continue;
            }
            let id = id.filter(|id| ids && !used.contains(id));
            used.extend(id);
            lines.push(format!("{name} {value} {}", id.map(|id| format!("#{id}")).unwrap_or_default()));
            names.push(name);
        }
        lines.join("\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn applying_the_difference_gives_the_new_tree((old, new) in (forest(true), forest(true))) {
        let mut old = adopt(&Tree::default(), &ldif(&old));
        let mut new = adopt(&old, &ldif(&new));
        holds(&mut old, &mut new)?;
    }

    #[test]
    fn no_difference_no_event(tree in forest(true)) {
        let old = adopt(&Tree::default(), &ldif(&tree));
        let mut new = adopt(&old, &ldif(&tree));
        prop_assert_eq!(diff(&old, &mut new), vec![]);
    }

    #[test]
    fn a_restart_keeps_every_id((one, other) in (forest(false), forest(false))) {
        let old = adopt(&Tree::default(), &ldif(&one));
        let new = adopt(&old, &ldif(&other));
        let kept = Kept::from_cookie(&new.kept().to_cookie());
        let records = parse(ldif(&other).as_bytes(), Path::new("a.ldif")).unwrap();
        let again = Tree::adopt(&Tree::default(), &kept, records).unwrap();
        for node in new.nodes() {
            prop_assert_eq!(again.named(&node.dn.key()).unwrap().id, node.id, "{}", node.dn);
        }
    }
}
