//! A small directory in memory, and random changes of it: what the fake servers answer from, each in its own dialect.
//!
//! ```ignore
//! mod common { pub mod model; }
//! let mut model = Model::new(seed, 20);        // a suffix `dc=x` with `ou=in,dc=x`, `ou=out,dc=x` and 20 entries or so
//! for change in model.step() { … }             // one operation of an admin, and what a server knows of it
//! model.dn(id)  model.entry(id)  model.below("ou=in,dc=x")
//! expected(&model, "ou=in,dc=x")               // lines that …
//! seen(&store)                                 // … must equal these at the end
//! ```
//!
//! It keeps what real servers keep: an id that stays, a counter of changes (a CSN, a USN) and the second of the last change, which
//! several changes share. A container that moves changes itself alone: its children's names are derived. References of groups
//! follow those they name without the group's being changed, as Active Directory and referential integrity do it.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, reason = "a fixture fails its test by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use dialcast::model::{Dn, ObjectId};
use dialcast::store::{Member, Store};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// The suffix, and its first two containers: one to watch, and one to move things to and from.
pub const SUFFIX: &str = "dc=x";
pub const INSIDE: &str = "ou=in,dc=x";
pub const OUTSIDE: &str = "ou=out,dc=x";

/// A number that stands for an id: see [`id`].
pub type Number = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Container,
    User,
    Group,
}

/// An entry as the server keeps it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub number: Number,
    /// Nothing for the suffix.
    pub parent: Option<Number>,
    pub rdn: String,
    pub class: Class,
    /// `mail` of a user, `description` of the others.
    pub text: String,
    /// Of a group.
    pub members: BTreeSet<Number>,
    /// The counter at its last change.
    pub changed: u64,
    /// Seconds at its creation and at its last change.
    pub created_s: u64,
    pub changed_s: u64,
}

/// What an operation did, in the order in which it did it.
#[derive(Debug, Clone)]
pub enum Change {
    Added(Number),
    Modified(Number),
    /// Renamed or moved, with all below it; `from`: its name before.
    Moved {
        number: Number,
        from: String,
    },
    /// It had nothing below it.
    Deleted(Entry, String),
}

#[derive(Clone)]
pub struct Model {
    entries: BTreeMap<Number, Entry>,
    /// The newest change.
    pub counter: u64,
    /// The server's clock.
    pub now_s: u64,
    next: Number,
    pub random: StdRng,
}

impl Model {
    /// A suffix with two containers, and what so many operations make of it.
    pub fn new(seed: u64, operations: usize) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let mut model = Self { entries: BTreeMap::new(), counter: 0, now_s: 1_790_000_000, next: 1, random };
        model.add(None, "dc=x", Class::Container);
        model.add(Some(1), "ou=in", Class::Container);
        model.add(Some(1), "ou=out", Class::Container);
        for _ in 0..operations {
            model.step();
        }
        model
    }

    /// The number of the next entry; and makes it this one: what was made in a history that is forgotten is not made again.
    pub fn next_number(&self) -> Number {
        self.next
    }

    pub fn skip_to(&mut self, next: Number) {
        self.next = next;
    }

    pub fn entry(&self, number: Number) -> Option<&Entry> {
        self.entries.get(&number)
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub fn dn(&self, number: Number) -> String {
        let entry = &self.entries[&number];
        entry.parent.map_or_else(|| entry.rdn.clone(), |parent| format!("{},{}", entry.rdn, self.dn(parent)))
    }

    /// The entry and all below it, those above first.
    pub fn below(&self, base: &str) -> Vec<&Entry> {
        let mut found: Vec<(usize, &Entry)> = Vec::new();
        for entry in self.entries.values() {
            let dn = self.dn(entry.number);
            if is_below(&dn, base) {
                found.push((dn.split(',').count(), entry));
            }
        }
        found.sort_by_key(|(depth, entry)| (*depth, entry.number));
        found.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Attributes as a server sends them, those of identity and time left out: each dialect has its own.
    pub fn attributes(&self, entry: &Entry) -> Vec<(&'static str, Vec<String>)> {
        let (name, value) = entry.rdn.split_once('=').unwrap();
        let name = if name == "ou" {
            "ou"
        } else if name == "dc" {
            "dc"
        } else {
            "cn"
        };
        let mut attributes = vec![(name, vec![value.to_owned()])];
        match entry.class {
            Class::Container => attributes.push(("objectClass", vec!["top".into(), "organizationalUnit".into()])),
            Class::User => attributes.push(("objectClass", vec!["top".into(), "person".into(), "inetOrgPerson".into()])),
            Class::Group => attributes.push(("objectClass", vec!["top".into(), "groupOfNames".into()])),
        }
        if !entry.text.is_empty() {
            attributes.push((if entry.class == Class::User { "mail" } else { "displayName" }, vec![entry.text.clone()]));
        }
        if !entry.members.is_empty() {
            attributes.push(("member", entry.members.iter().map(|member| self.dn(*member)).collect()));
        }
        attributes
    }

    /// One random operation; nothing when it came to nothing. Sometimes a second passes.
    pub fn step(&mut self) -> Vec<Change> {
        self.now_s += u64::from(self.random.random_range(0..4u8) == 0);
        let n = self.next;
        match self.random.random_range(0..16u8) {
            0 | 1 => self.place().map(|at| vec![self.add(Some(at), &format!("ou=o{n}"), Class::Container)]),
            2..=4 => self.place().map(|at| vec![self.add(Some(at), &format!("cn=u{n}"), Class::User)]),
            5 => self.place().map(|at| vec![self.add(Some(at), &format!("cn=g{n}"), Class::Group)]),
            6 | 7 => self.any(Class::User).map(|user| vec![self.edit(user)]),
            8 => self.any(Class::Container).map(|unit| vec![self.edit(unit)]),
            9 => self.any(Class::Group).map(|group| vec![self.regroup(group)]),
            10 => self.any(Class::User).map(|user| self.move_to(user, None)),
            11 => self.any(Class::User).zip(self.place()).map(|(user, at)| self.move_to(user, Some(at))),
            12 => self.any(Class::Container).map(|unit| self.move_to(unit, None)),
            13 => self.any(Class::Container).zip(self.place()).map(|(unit, at)| self.move_to(unit, Some(at))),
            14 => self.any(Class::User).or_else(|| self.any(Class::Group)).map(|leaf| self.delete(leaf)),
            // A unit, with all that is in it, the leaves first.
            _ => (self.random.random_range(0..3u8) == 0).then(|| self.any(Class::Container).map(|unit| self.delete(unit))).flatten(),
        }
        .unwrap_or_default()
    }

    fn place(&mut self) -> Option<Number> {
        let places: Vec<Number> = self.entries.values().filter(|entry| entry.class == Class::Container).map(|entry| entry.number).collect();
        places.choose(&mut self.random).copied()
    }

    /// Any but the three that are there from the beginning.
    fn any(&mut self, class: Class) -> Option<Number> {
        let found: Vec<Number> =
            self.entries.values().filter(|entry| entry.class == class && entry.number > 3).map(|entry| entry.number).collect();
        found.choose(&mut self.random).copied()
    }

    fn add(&mut self, parent: Option<Number>, rdn: &str, class: Class) -> Change {
        let number = self.next;
        self.next += 1;
        self.counter += 1;
        let text = if class == Class::User { format!("u{number}@corp.example") } else { String::new() };
        let (changed, now_s) = (self.counter, self.now_s);
        let members = BTreeSet::new();
        let rdn = rdn.to_owned();
        self.entries.insert(number, Entry { number, parent, rdn, class, text, members, changed, created_s: now_s, changed_s: now_s });
        Change::Added(number)
    }

    /// Marks an entry as changed now.
    fn touch(&mut self, number: Number) -> &mut Entry {
        self.counter += 1;
        let entry = self.entries.get_mut(&number).unwrap();
        (entry.changed, entry.changed_s) = (self.counter, self.now_s);
        entry
    }

    /// Another value of its text.
    pub fn edit(&mut self, number: Number) -> Change {
        let text = format!("v{}@corp.example", self.counter);
        self.touch(number).text = text;
        Change::Modified(number)
    }

    fn regroup(&mut self, group: Number) -> Change {
        let users: Vec<Number> = self.entries.values().filter(|entry| entry.class != Class::Container).map(|entry| entry.number).collect();
        let mut members = self.entries[&group].members.clone();
        if let Some(member) = users.choose(&mut self.random).filter(|member| **member != group)
            && !members.remove(member)
        {
            members.insert(*member);
        }
        self.touch(group).members = members;
        Change::Modified(group)
    }

    /// To another place, with its name, or to another name. What leaves or enters the part that is watched is in no group.
    pub fn move_to(&mut self, number: Number, at: Option<Number>) -> Vec<Change> {
        let from = self.dn(number);
        let parent = at.or(self.entries[&number].parent);
        if at.is_some_and(|at| is_below(&self.dn(at), &from)) {
            return Vec::new();
        }
        let kind = self.entries[&number].rdn.split('=').next().unwrap().to_owned();
        let rdn = if at.is_none() { format!("{kind}=r{}", self.counter) } else { self.entries[&number].rdn.clone() };
        if self.entries.values().any(|other| other.number != number && other.parent == parent && other.rdn == rdn) {
            return Vec::new();
        }
        let mut changes = Vec::new();
        let side = |model: &Self, at: Option<Number>| at.map_or(String::new(), |at| model.dn(at));
        if is_below(&from, INSIDE) != is_below(&side(self, parent), INSIDE) {
            let leaving: BTreeSet<Number> = self.below(&from).iter().map(|entry| entry.number).collect();
            changes.extend(self.forget(&leaving));
            for number in leaving {
                if !self.entries[&number].members.is_empty() {
                    self.touch(number).members.clear();
                    changes.push(Change::Modified(number));
                }
            }
        }
        let entry = self.touch(number);
        (entry.parent, entry.rdn) = (parent, rdn);
        changes.push(Change::Moved { number, from });
        changes
    }

    /// Takes entries out of the groups that hold them, as changes of these groups.
    fn forget(&mut self, gone: &BTreeSet<Number>) -> Vec<Change> {
        let holders: Vec<Number> =
            self.entries.values().filter(|entry| !entry.members.is_disjoint(gone)).map(|entry| entry.number).collect();
        let mut changes = Vec::new();
        for holder in holders {
            self.touch(holder).members.retain(|member| !gone.contains(member));
            changes.push(Change::Modified(holder));
        }
        changes
    }

    fn delete(&mut self, number: Number) -> Vec<Change> {
        let dn = self.dn(number);
        let all: Vec<Number> = self.below(&dn).into_iter().rev().map(|entry| entry.number).collect();
        let mut changes = self.forget(&all.iter().copied().collect());
        changes.retain(|change| !matches!(change, Change::Modified(holder) if all.contains(holder)));
        for number in all {
            let dn = self.dn(number);
            self.counter += 1;
            changes.push(Change::Deleted(self.entries.remove(&number).unwrap(), dn));
        }
        changes
    }
}

/// The stable id of an entry.
pub fn id(number: Number) -> ObjectId {
    let mut octets = [0xa5; 16];
    octets[..4].copy_from_slice(&number.to_be_bytes());
    ObjectId::from_bytes(octets)
}

/// Whether a name is that of the base, or below it.
pub fn is_below(dn: &str, base: &str) -> bool {
    dn == base || dn.strip_suffix(base).is_some_and(|above| above.ends_with(','))
}

/// What a store must hold that has seen everything below the base.
pub fn expected(model: &Model, base: &str) -> Vec<String> {
    let inside: BTreeSet<Number> = model.below(base).iter().map(|entry| entry.number).collect();
    let line = |entry: &&Entry| {
        let members: BTreeSet<ObjectId> = entry.members.iter().filter(|member| inside.contains(member)).map(|member| id(*member)).collect();
        format!("{} {} {:?} {members:?}", model.dn(entry.number), id(entry.number), entry.text)
    };
    let mut lines: Vec<String> = model.below(base).iter().map(line).collect();
    lines.sort();
    lines
}

/// What a store holds, glue left out.
pub fn seen(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot();
    let line = |object: &std::sync::Arc<dialcast::store::Object>| {
        let members: BTreeSet<ObjectId> =
            snapshot.members(object.id).filter_map(|member| if let Member::Object(id) = member { Some(id) } else { None }).collect();
        let text = object.attributes.text("mail").or(object.attributes.text("displayName")).unwrap_or_default();
        format!("{} {} {text:?} {members:?}", snapshot.dn(object.id).unwrap_or_default(), object.id)
    };
    let mut lines: Vec<String> = snapshot.iter().filter(|object| !object.glue).map(line).collect();
    lines.sort();
    lines
}

/// The name as the library has it.
pub fn name(dn: &str) -> Dn {
    dn.parse().unwrap()
}
