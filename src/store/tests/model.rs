//! The store against a model so naive that it is plainly right: a list of entries with their whole DNs as text.
//!
//! The directory behaves as OpenLDAP does with refint: an OU's move tells nobody below, and a group's values are rewritten
//! silently, to be seen only when the group is told for another reason.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::support::*;
use crate::directory::Event;
use crate::store::{Applied, Member, Store};

/// An entry of the directory: its own facts, no more.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fact {
    above: Option<char>,
    rdn: String,
    note: u8,
    /// Member values, and whom the directory means by each.
    members: BTreeMap<String, Option<char>>,
}

#[derive(Debug, Clone, Default)]
struct Directory(BTreeMap<char, Fact>);

/// What an admin does. Numbers choose among what is there.
#[derive(Debug, Clone)]
enum Deed {
    Add { above: u8, rdn: u8 },
    Move { who: u8, above: u8 },
    Rename { who: u8, rdn: u8 },
    Note { who: u8, note: u8 },
    Delete { who: u8 },
    Join { group: u8, who: u8 },
    JoinNobody { group: u8, above: u8, rdn: u8 },
    Leave { group: u8, which: u8 },
}

const RDNS: [&str; 9] = ["ou=x", "ou=y", "ou=z", "uid=a", "uid=b", "uid=c", "cn=g", "cn=h", "cn=i"];
const SUFFIXES: [&str; 2] = ["dc=corp,dc=example", "o=other"];

fn deeds() -> impl Strategy<Value = Deed> {
    let n = any::<u8>;
    prop_oneof![
        6 => (n(), n()).prop_map(|(above, rdn)| Deed::Add { above, rdn }),
        3 => (n(), n()).prop_map(|(who, above)| Deed::Move { who, above }),
        3 => (n(), n()).prop_map(|(who, rdn)| Deed::Rename { who, rdn }),
        2 => (n(), n()).prop_map(|(who, note)| Deed::Note { who, note }),
        2 => n().prop_map(|who| Deed::Delete { who }),
        4 => (n(), n()).prop_map(|(group, who)| Deed::Join { group, who }),
        2 => (n(), n(), n()).prop_map(|(group, above, rdn)| Deed::JoinNobody { group, above, rdn }),
        2 => (n(), n()).prop_map(|(group, which)| Deed::Leave { group, which }),
    ]
}

fn pick<T: Copy>(all: &[T], n: u8) -> Option<T> {
    all.get(usize::from(n) % all.len().max(1)).copied()
}

impl Directory {
    fn dn(&self, who: char) -> String {
        let fact = &self.0[&who];
        fact.above.map_or_else(|| fact.rdn.clone(), |above| format!("{},{}", fact.rdn, self.dn(above)))
    }

    fn find(&self, dn: &str) -> Option<char> {
        self.0.keys().copied().find(|who| self.dn(*who) == dn)
    }

    fn all(&self) -> Vec<char> {
        self.0.keys().copied().collect()
    }

    fn of_class(&self, class: &str) -> Vec<char> {
        self.all().into_iter().filter(|who| self.0[who].rdn.starts_with(class)).collect()
    }

    /// What may have entries below: roots and OUs.
    fn containers(&self) -> Vec<char> {
        self.all().into_iter().filter(|who| self.0[who].above.is_none() || self.0[who].rdn.starts_with("ou")).collect()
    }

    fn is_within(&self, who: char, above: char) -> bool {
        who == above || self.0[&who].above.is_some_and(|next| self.is_within(next, above))
    }

    fn below(&self, above: char) -> Vec<char> {
        self.all().into_iter().filter(|who| self.is_within(*who, above)).collect()
    }

    fn is_free(&self, above: Option<char>, rdn: &str) -> bool {
        !self.0.values().any(|fact| fact.above == above && fact.rdn == rdn)
    }

    /// Does a deed, if the directory would let it: the entry that an event tells of, or what was deleted, the top last.
    fn act(&mut self, deed: &Deed, next: &mut u8) -> Option<Result<char, Vec<char>>> {
        let done = self.try_act(deed, next)?;
        // Values whose object is gone name nobody; values that name somebody mean that one.
        let there = self.all();
        let names: BTreeMap<String, char> = there.iter().map(|who| (self.dn(*who), *who)).collect();
        for fact in self.0.values_mut() {
            for (text, means) in &mut fact.members {
                *means = means.filter(|who| there.contains(who)).or_else(|| names.get(text).copied());
            }
        }
        if let Ok(told) = done {
            self.rewrite(told);
        }
        Some(done)
    }

    fn try_act(&mut self, deed: &Deed, next: &mut u8) -> Option<Result<char, Vec<char>>> {
        let all = self.all();
        let told = match *deed {
            Deed::Add { above, rdn } => {
                let above = pick(&self.containers(), above);
                let rdn = if above.is_some() { pick(&RDNS, rdn) } else { pick(&SUFFIXES, rdn) }?;
                let who = char::from(*next);
                if !self.is_free(above, rdn) || !who.is_ascii() {
                    return None;
                }
                *next += 1;
                self.0.insert(who, Fact { above, rdn: rdn.to_owned(), note: 0, members: BTreeMap::new() });
                who
            }
            Deed::Move { who, above } => {
                let (who, above) = (pick(&all, who)?, pick(&self.containers(), above)?);
                if self.0[&who].above.is_none() || self.is_within(above, who) || !self.is_free(Some(above), &self.0[&who].rdn) {
                    return None;
                }
                self.0.get_mut(&who)?.above = Some(above);
                who
            }
            Deed::Rename { who, rdn } => {
                let who = pick(&all, who)?;
                let fact = &self.0[&who];
                let class: Vec<&str> = RDNS.into_iter().filter(|rdn| rdn[..2] == fact.rdn[..2]).collect();
                let rdn = if fact.above.is_none() { pick(&SUFFIXES, rdn) } else { pick(&class, rdn) }?;
                if !self.is_free(fact.above, rdn) {
                    return None;
                }
                rdn.clone_into(&mut self.0.get_mut(&who)?.rdn);
                who
            }
            Deed::Note { who, note } => {
                let who = pick(&all, who)?;
                self.0.get_mut(&who)?.note = note % 4;
                who
            }
            Deed::Delete { who } => {
                let mut gone = self.below(pick(&all, who)?);
                gone.sort_by_cached_key(|who| std::cmp::Reverse(self.dn(*who).len()));
                self.0.retain(|who, _| !gone.contains(who));
                return Some(Err(gone));
            }
            Deed::Join { group, who } => {
                let (group, who) = (pick(&self.of_class("cn"), group)?, pick(&all, who)?);
                let name = self.dn(who);
                let members = &mut self.0.get_mut(&group)?.members;
                // RFC 4511 §4.6: a value that is there, though of another's old name, cannot be added (attributeOrValueExists).
                if members.contains_key(&name) || members.values().any(|means| *means == Some(who)) {
                    return None;
                }
                members.insert(name, Some(who));
                group
            }
            Deed::JoinNobody { group, above, rdn } => {
                let (group, above, rdn) = (pick(&self.of_class("cn"), group)?, pick(&self.containers(), above)?, pick(&RDNS, rdn)?);
                let name = format!("{rdn},ou=z,{}", self.dn(above));
                self.0.get_mut(&group)?.members.entry(name).or_insert(None);
                group
            }
            Deed::Leave { group, which } => {
                let group = pick(&self.of_class("cn"), group)?;
                let members = &mut self.0.get_mut(&group)?.members;
                let which = members.keys().nth(usize::from(which) % members.len().max(1)).cloned()?;
                members.remove(&which);
                group
            }
        };
        Some(Ok(told))
    }

    /// An entry is read: its values show the names of now.
    fn rewrite(&mut self, who: char) {
        let members = self.0[&who].members.clone();
        let now = members.into_iter().map(|(text, means)| (means.map_or(text, |means| self.dn(means)), means)).collect();
        if let Some(fact) = self.0.get_mut(&who) {
            fact.members = now;
        }
    }

    fn line(&self, who: char) -> String {
        let fact = &self.0[&who];
        let note = format!("note={}", fact.note);
        let members = fact.members.keys().map(|member| format!("member={member}"));
        [format!("{who} {}", self.dn(who)), note].into_iter().chain(members).collect::<Vec<_>>().join("|")
    }
}

/// What an observer knows of the groups who follows the documentation of `groups.rs`, value by value.
#[derive(Debug, Clone, Default)]
struct Observer(BTreeMap<char, BTreeMap<String, Option<char>>>);

impl Observer {
    fn follow(&mut self, now: &Directory, told: &BTreeSet<char>) {
        self.0.retain(|group, _| now.0.contains_key(group));
        for group in told.iter().filter(|who| now.0[who].rdn.starts_with("cn")) {
            let held = self.0.remove(group).unwrap_or_default();
            let read = |text: &String| (text.clone(), now.find(text).or_else(|| held.get(text).copied().flatten()));
            self.0.insert(*group, now.0[group].members.keys().map(read).collect());
        }
        for members in self.0.values_mut() {
            for (text, means) in members {
                *means = means.filter(|who| now.0.contains_key(who)).or_else(|| now.find(text));
            }
        }
    }

    fn members(&self, group: char) -> BTreeSet<char> {
        self.0.get(&group).into_iter().flatten().filter_map(|(_, means)| *means).collect()
    }

    fn groups_of(&self, who: char) -> BTreeSet<char> {
        self.0.keys().copied().filter(|group| self.members(*group).contains(&who)).collect()
    }

    fn transitive(&self, who: char) -> BTreeSet<char> {
        let mut all = self.groups_of(who);
        loop {
            let more: BTreeSet<char> = all.iter().flat_map(|group| self.groups_of(*group)).chain(all.iter().copied()).collect();
            if more == all {
                return all;
            }
            all = more;
        }
    }
}

fn compare(store: &Store, now: &Directory, seen: &Observer) {
    let state = store.snapshot();
    assert_eq!(state.len(), now.0.len());
    for (who, fact) in &now.0 {
        let object = state.get(id(*who)).unwrap();
        assert_eq!(state.dn(object.id).unwrap(), dn(&now.dn(*who)));
        assert_eq!(state.find(&dn(&now.dn(*who))), Some(object.id));
        assert_eq!(object.parent.map(letter), fact.above);
        assert_eq!(object.attributes.text("note").unwrap(), fact.note.to_string());
        let children: Vec<char> = state.children(object.id).map(|child| letter(child.id)).collect();
        let mut expect: Vec<char> = now.all().into_iter().filter(|child| now.0[child].above == Some(*who)).collect();
        expect.sort_by_key(|child| now.0[child].rdn.clone());
        assert_eq!(children, expect);
        let ids = |letters: BTreeSet<char>| letters.into_iter().map(id).collect::<Vec<_>>();
        let mut members: Vec<_> = state
            .members(object.id)
            .filter_map(|member| match member {
                Member::Object(id) => Some(id),
                Member::Dangling(_) => None,
            })
            .collect();
        members.sort();
        assert_eq!(members, ids(seen.members(*who)), "members of {who}");
        assert_eq!(state.groups_of(object.id).collect::<Vec<_>>(), ids(seen.groups_of(*who)), "groups of {who}");
        assert_eq!(state.transitive_groups(object.id), ids(seen.transitive(*who)), "all groups of {who}");
        let deep = now.of_class("uid").into_iter().filter(|user| seen.transitive(*user).contains(who));
        assert_eq!(state.members_deep(object.id), ids(deep.collect()), "users in {who}");
    }
}

/// How the feed gets to know what happened.
#[derive(Debug, Clone, Copy)]
enum Feed {
    /// One event for each deed.
    Live,
    /// A whole list, in an order of its own.
    List,
    /// What changed and the ids of the rest; what is not named is gone (RFC 4533, present phase).
    Present,
    /// What changed and what is gone (delete phase).
    Deletes,
}

prop_compose! {
    fn phases()(feed in prop_oneof![3 => Just(Feed::Live), 1 => Just(Feed::List), 1 => Just(Feed::Present), 1 => Just(Feed::Deletes)],
                deeds in prop::collection::vec(deeds(), 1..12), order in any::<u64>()) -> (Feed, Vec<Deed>, u64) {
        (feed, deeds, order)
    }
}

fn shuffled(events: Vec<Event>, mut state: u64) -> Vec<Event> {
    let mut keyed: Vec<(u64, Event)> = Vec::new();
    for event in events {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        keyed.push((state >> 33, event));
    }
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, event)| event).collect()
}

fn told_by(now: &Directory, who: char) -> Event {
    Event::Apply(entry(&now.line(who)))
}

/// Events of a refresh after what happened between two states of the directory, and which entries it tells.
fn refresh(feed: Feed, was: &Directory, now: &mut Directory, order: u64) -> (Vec<Event>, BTreeSet<char>) {
    let plain = |fact: &Fact| (fact.above, fact.rdn.clone(), fact.note, fact.members.keys().cloned().collect::<Vec<_>>());
    let unchanged = |now: &Directory, who: char| was.0.get(&who).map(plain) == now.0.get(&who).map(plain);
    let told: BTreeSet<char> = now.all().into_iter().filter(|who| matches!(feed, Feed::List) || !unchanged(now, *who)).collect();
    for who in &told {
        now.rewrite(*who);
    }
    let mut events: Vec<Event> = told.iter().map(|who| told_by(now, *who)).collect();
    match feed {
        Feed::Present => events.extend(now.all().into_iter().filter(|who| !told.contains(who)).map(|who| Event::InitKeep(id(who)))),
        Feed::Deletes => events.extend(was.all().into_iter().filter(|who| !now.0.contains_key(who)).map(|who| Event::Delete(id(who)))),
        Feed::List | Feed::Live => {}
    }
    let events = shuffled(events, order);
    let done = Event::InitDone { sweep: !matches!(feed, Feed::Deletes), cookie: None };
    ([Event::Init].into_iter().chain(events).chain([done]).collect(), told)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn as_the_model(phases in prop::collection::vec(phases(), 1..6)) {
        let (mut store, mut now, mut seen, mut next) = (store(&[]), Directory::default(), Observer::default(), b'0');
        for (feed, deeds, order) in phases {
            let was = now.clone();
            for deed in &deeds {
                let Some(done) = now.act(deed, &mut next) else { continue };
                if !matches!(feed, Feed::Live) {
                    continue;
                }
                match done {
                    Ok(who) => {
                        prop_assert_eq!(step(&mut store, told_by(&now, who)).faults, []);
                        seen.follow(&now, &BTreeSet::from([who]));
                    }
                    Err(gone) => {
                        // The top alone (it left the scope), or each of them, from the bottom.
                        let each = if order % 2 == 0 { gone.last().into_iter().copied().collect() } else { gone };
                        for who in each {
                            step(&mut store, Event::Delete(id(who)));
                        }
                        seen.follow(&now, &BTreeSet::new());
                    }
                }
                compare(&store, &now, &seen);
            }
            if !matches!(feed, Feed::Live) {
                let (events, told) = refresh(feed, &was, &mut now, order);
                for event in events {
                    prop_assert_eq!(step(&mut store, event).faults, []);
                }
                seen.follow(&now, &told);
                compare(&store, &now, &seen);
            }
        }
        // Whatever happened: one who reads the whole list now and one who has followed all along see the same.
        let (events, _) = refresh(Feed::List, &now.clone(), &mut now, 1);
        let mut fresh = Store::new();
        for event in events {
            let last = step(&mut store, event.clone());
            prop_assert_eq!(last.faults, []);
            step(&mut fresh, event);
        }
        let members_of = |store: &Store| now.all().into_iter().map(|who| members(&store.snapshot(), who)).collect::<Vec<_>>();
        prop_assert_eq!(outline(&store.snapshot()), outline(&fresh.snapshot()));
        prop_assert_eq!(members_of(&store), members_of(&fresh));
        // And the list a second time is no news.
        let (events, _) = refresh(Feed::List, &now.clone(), &mut now, 2);
        for event in events {
            prop_assert_eq!(step(&mut store, event), Applied::default());
        }
    }
}
