//! The entries of the files as a tree, and who is who between one state of the files and the next.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::lines::Spot;
use super::problem::{LdifFault, LdifProblem};
use super::record::Record;
use crate::directory::{Cookie, Entry};
use crate::model::{Attributes, Dn, ObjectId, Rdn};

/// The entries of one good state of the files.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The upper ones first, then by name.
    nodes: Vec<Node>,
    by_name: Index,
    /// The places of the nodes, sorted by their ids.
    by_id: Vec<u32>,
    /// The nodes' attributes, until they have been told: two states of a million entries need not be in memory three times.
    untold: Vec<Attributes>,
}

/// Entries by a hash of their folded names, sorted: the names themselves are in the entries.
#[derive(Debug, Default)]
struct Index(Vec<(u64, u32)>);

impl Index {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut index: Vec<(u64, u32)> = (0..).zip(names).map(|(at, name)| (name_hash(name), at)).collect();
        index.sort_unstable();
        Self(index)
    }

    /// The place of the entry of this name. `is_named` says whether the entry at a place has it.
    fn find(&self, name: &str, is_named: impl Fn(usize) -> bool) -> Option<usize> {
        let hash = name_hash(name);
        let from = self.0.partition_point(|(other, _)| *other < hash);
        let same = self.0.get(from..)?.iter().take_while(|(other, _)| *other == hash);
        same.map(|(_, at)| *at as usize).find(|at| is_named(*at))
    }
}

fn name_hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// Whether [`Dn::key`] gives this, without making it.
fn has_key(dn: &Dn, key: &str) -> bool {
    let mut rest = Some(key);
    for (index, rdn) in dn.rdns().iter().enumerate() {
        let here = if index == 0 { rest } else { rest.and_then(|rest| rest.strip_prefix(',')) };
        rest = here.and_then(|rest| rest.strip_prefix(rdn.key()));
    }
    rest == Some("")
}

/// One entry.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: ObjectId,
    pub(super) dn: Dn,
    /// What its attributes were.
    pub(super) digest: [u8; 16],
    classes: Arc<str>,
    /// Whether the id is the file's own.
    given: bool,
    /// Which entry is the closest above it.
    above: Option<u32>,
}

/// Ids that neither the file gives nor the name does: of entries that were moved or renamed since they were first seen.
///
/// They are the feed's cookie, so that a restart does not make others of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept(HashMap<String, ObjectId>);

impl Tree {
    /// The entries, the upper ones first.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// An entry for its event, its attributes moved out.
    pub(super) fn tell(&mut self, index: usize) -> Option<Entry> {
        let node = self.nodes.get(index)?;
        Some(Entry { id: node.id, dn: node.dn.clone(), attributes: std::mem::take(self.untold.get_mut(index)?) })
    }

    /// Drops the attributes: what is not told now never will be.
    pub(super) fn forget(&mut self) {
        self.untold = Vec::new();
    }

    pub(super) fn get(&self, id: ObjectId) -> Option<&Node> {
        let id_at = |at: &u32| self.nodes.get(*at as usize).map(|node| node.id);
        let found = self.by_id.binary_search_by_key(&Some(id), id_at).ok()?;
        self.nodes.get(*self.by_id.get(found)? as usize)
    }

    /// The closest entry above, if there is one.
    pub(super) fn above(&self, node: &Node) -> Option<&Node> {
        node.above.and_then(|index| self.nodes.get(index as usize))
    }

    /// The entry of this folded name.
    pub(super) fn named(&self, name: &str) -> Option<&Node> {
        self.nodes.get(self.by_name.find(name, |at| self.nodes.get(at).is_some_and(|node| has_key(&node.dn, name)))?)
    }

    /// Makes a tree of records, whose ids are those of the old tree wherever they are the same objects: by `entryUUID`,
    /// by name, or because a record vanished and one appeared of the same RDN and object classes, and no others did.
    ///
    /// # Errors
    /// One name or one `entryUUID` in two records.
    pub(super) fn adopt(old: &Self, kept: &Kept, records: Vec<Record>) -> Result<Self, Vec<LdifFault>> {
        let records = sorted(records)?;
        let mut matching = Matching::new(old, records);
        matching.given()?;
        matching.same_name(kept);
        // Each round may explain more: what hangs below an entry that was found moves along with it.
        while matching.below_the_found() | matching.unique() {}
        Ok(matching.finish())
    }

    /// The ids that [`Kept`] is for.
    pub(super) fn kept(&self) -> Kept {
        let odd = self.nodes.iter().filter(|node| !node.given && node.id != self.derived(&node.dn, 0));
        Kept(odd.map(|node| (node.dn.key(), node.id)).collect())
    }

    /// The id of an entry that is seen for the first time, by the id of the entry above it and its RDN: a new entry below a
    /// moved one does not collide with one that takes the old name.
    fn derived(&self, dn: &Dn, salt: u32) -> ObjectId {
        derive(dn, salt, |name| self.named(name).map(|node| node.id))
    }
}

/// What an id is made of when the file gives none.
fn derive(dn: &Dn, salt: u32, known: impl Fn(&str) -> Option<ObjectId>) -> ObjectId {
    // From the closest entry that is there (or from nothing) down.
    let found = Names::of(dn).iter().enumerate().skip(1).find_map(|(depth, name)| Some((depth, known(name)?)));
    let (depth, above) = found.unwrap_or((dn.depth(), ObjectId::from_bytes([0; 16])));
    let rdns = dn.rdns().get(..depth).unwrap_or_default();
    rdns.iter().enumerate().rev().fold(above, |above, (index, rdn)| hash(above, rdn, if index == 0 { salt } else { 0 }))
}

fn hash(above: ObjectId, rdn: &Rdn, salt: u32) -> ObjectId {
    let mut hasher = Sha256::new();
    hasher.update(above.as_bytes());
    hasher.update(salt.to_be_bytes());
    hasher.update(rdn.key());
    let mut bytes = shortened(hasher);
    // RFC 9562 §5.8: version 8 is for ids of one's own making.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    ObjectId::from_bytes(bytes)
}

/// The folded name of an entry and of everything above it.
pub(super) struct Names {
    key: String,
    starts: Vec<usize>,
}

impl Names {
    pub(super) fn of(dn: &Dn) -> Self {
        let starts = dn.rdns().iter().scan(0, |at, rdn| Some(std::mem::replace(at, *at + rdn.key().len() + 1))).collect();
        Self { key: dn.key(), starts }
    }

    /// Its own first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.starts.iter().filter_map(|&start| self.key.get(start..))
    }
}

/// The upper ones first, then by name; refuses a name that comes twice.
fn sorted(records: Vec<Record>) -> Result<Vec<(String, Record)>, Vec<LdifFault>> {
    let mut records: Vec<(String, Record)> = records.into_iter().map(|record| (record.dn.key(), record)).collect();
    // Stable: of two records with one name the one that comes first in the files stays first.
    records.sort_by(|(a, one), (b, other)| one.dn.depth().cmp(&other.dn.depth()).then_with(|| a.cmp(b)));
    let mut faults = Vec::new();
    for pair in records.windows(2) {
        if let [(a, first), (b, second)] = pair
            && a == b
        {
            faults.push(second.fault(LdifProblem::SameDn(first.path.to_path_buf(), first.line)));
        }
    }
    if faults.is_empty() { Ok(records) } else { Err(faults) }
}

impl Record {
    fn fault(&self, problem: LdifProblem) -> LdifFault {
        let spot = Spot { line: self.line, column: 1, excerpt: format!("dn: {}", self.dn), skipped: 0 };
        LdifFault::new(&self.path, spot, problem)
    }
}

/// All names and values, each with its length before it.
pub(super) fn digest(attributes: &Attributes) -> [u8; 16] {
    let mut hasher = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(bytes.len().to_be_bytes());
        hasher.update(bytes);
    };
    for (name, values) in attributes.iter() {
        add(name.as_bytes());
        add(&values.len().to_be_bytes());
        for value in values {
            add(value);
        }
    }
    shortened(hasher)
}

fn shortened(hasher: Sha256) -> [u8; 16] {
    let mut bytes = [0u8; 16];
    for (byte, from) in bytes.iter_mut().zip(hasher.finalize()) {
        *byte = from;
    }
    bytes
}

/// What must be equal besides the RDN: the object classes, in any case and order.
fn classes(attributes: &Attributes) -> String {
    let mut classes: Vec<String> = attributes.texts("objectClass").map(str::to_ascii_lowercase).collect();
    classes.sort_unstable();
    classes.join(" ")
}

/// The search for who is who.
struct Matching<'a> {
    old: &'a Tree,
    records: Vec<(String, Record)>,
    by_name: Index,
    /// The ids found so far, by the records' places.
    ids: Vec<Option<ObjectId>>,
    /// The same, for looking up.
    taken: HashSet<ObjectId>,
}

impl<'a> Matching<'a> {
    fn new(old: &'a Tree, records: Vec<(String, Record)>) -> Self {
        let by_name = Index::of(records.iter().map(|(name, _)| name.as_str()));
        let ids = vec![None; records.len()];
        Self { old, records, by_name, ids, taken: HashSet::new() }
    }

    /// The place of the record of this name.
    fn named(&self, name: &str) -> Option<usize> {
        self.by_name.find(name, |at| self.records.get(at).is_some_and(|(other, _)| other == name))
    }

    fn found(&mut self, index: usize, id: ObjectId) {
        if let Some(slot) = self.ids.get_mut(index) {
            *slot = Some(id);
            self.taken.insert(id);
        }
    }

    /// The records that have no id yet.
    fn open(&self) -> Vec<usize> {
        self.ids.iter().enumerate().filter(|(_, id)| id.is_none()).map(|(index, _)| index).collect()
    }

    fn given(&mut self) -> Result<(), Vec<LdifFault>> {
        let mut first: HashMap<ObjectId, usize> = HashMap::new();
        let mut faults = Vec::new();
        for (index, (_, record)) in self.records.iter().enumerate() {
            let Some(id) = record.id else { continue };
            if let Some((_, other)) = first.insert(id, index).and_then(|at| self.records.get(at)) {
                faults.push(record.fault(LdifProblem::SameId(id, other.path.to_path_buf(), other.line)));
            }
        }
        for (id, index) in first {
            self.found(index, id);
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    fn same_name(&mut self, kept: &Kept) {
        for index in self.open() {
            let Some((name, _)) = self.records.get(index) else { continue };
            let id = self.old.named(name).map(|node| node.id).or_else(|| kept.0.get(name).copied());
            if let Some(id) = id.filter(|id| !self.taken.contains(id)) {
                self.found(index, id);
            }
        }
    }

    /// An entry of the old tree that nobody is yet, and whose id the file did not give: those are only found by their id.
    fn vanished(&self, node: &Node) -> bool {
        !node.given && !self.taken.contains(&node.id)
    }

    /// What hung below an entry that was found, under the same RDN.
    fn below_the_found(&mut self) -> bool {
        let mut progress = false;
        for index in self.open() {
            let Some((_, record)) = self.records.get(index) else { continue };
            let parent = Names::of(&record.dn).iter().nth(1).and_then(|above| self.named(above));
            let parent = parent.and_then(|at| self.ids.get(at).copied().flatten());
            let Some((parent, rdn)) = parent.and_then(|id| self.old.get(id)).zip(record.dn.rdn()) else { continue };
            let node = self.old.named(&format!("{},{}", rdn.key(), parent.dn.key()));
            if let Some(node) = node.filter(|node| self.vanished(node)) {
                self.found(index, node.id);
                progress = true;
            }
        }
        progress
    }

    /// The only one that vanished and the only one that appeared of their RDN and classes.
    fn unique(&mut self) -> bool {
        let rdn = |dn: &Dn| dn.rdn().map(|rdn| rdn.key().to_owned());
        let mut vanished: HashMap<_, Vec<ObjectId>> = HashMap::new();
        for node in self.old.nodes.iter().filter(|node| self.vanished(node)) {
            vanished.entry((rdn(&node.dn), node.classes.to_string())).or_default().push(node.id);
        }
        if vanished.is_empty() {
            return false;
        }
        let mut appeared: HashMap<_, Vec<usize>> = HashMap::new();
        for index in self.open() {
            if let Some((_, record)) = self.records.get(index) {
                appeared.entry((rdn(&record.dn), classes(&record.attributes))).or_default().push(index);
            }
        }
        let mut progress = false;
        for (key, indexes) in appeared {
            if let ([index], Some([id])) = (indexes.as_slice(), vanished.get(&key).map(Vec::as_slice)) {
                self.found(*index, *id);
                progress = true;
            }
        }
        progress
    }

    /// New ids for the rest, the upper ones first.
    fn finish(mut self) -> Tree {
        for index in self.open() {
            let Some((_, record)) = self.records.get(index) else { continue };
            let known = |name: &str| self.named(name).and_then(|at| self.ids.get(at).copied().flatten());
            // An entry that was moved away still has the id of this name: the next one, then.
            let id = (0..=u32::MAX).map(|salt| derive(&record.dn, salt, known)).find(|id| !self.taken.contains(id));
            self.found(index, id.unwrap_or(ObjectId::from_bytes([0; 16])));
        }
        let above = |(_, record): &(String, Record)| {
            let at = Names::of(&record.dn).iter().skip(1).find_map(|name| self.named(name));
            at.and_then(|at| u32::try_from(at).ok())
        };
        let above: Vec<Option<u32>> = self.records.iter().map(above).collect();
        let count = self.records.len();
        let mut tree = Tree {
            nodes: Vec::with_capacity(count),
            by_name: self.by_name,
            by_id: (0..).take(count).collect(),
            untold: Vec::with_capacity(count),
        };
        let mut shared: HashMap<String, Arc<str>> = HashMap::new();
        for (((_, record), id), above) in self.records.into_iter().zip(self.ids).zip(above) {
            let Record { dn, attributes, .. } = record;
            let id = id.unwrap_or(ObjectId::from_bytes([0; 16]));
            let classes = classes(&attributes);
            let classes = Arc::clone(shared.entry(classes).or_insert_with_key(|classes| classes.as_str().into()));
            tree.nodes.push(Node { id, dn, digest: digest(&attributes), classes, given: record.id.is_some(), above });
            tree.untold.push(attributes);
        }
        let Tree { nodes, by_id, .. } = &mut tree;
        by_id.sort_unstable_by_key(|at| nodes.get(*at as usize).map(|node| node.id));
        tree
    }
}

/// The first line of a cookie, for the next format.
const HEADER: &str = "ldif 1";

impl Kept {
    /// As lines `id name`, sorted, so that equal ones make equal cookies.
    pub(super) fn to_cookie(&self) -> Cookie {
        let mut lines: Vec<String> = self.0.iter().map(|(name, id)| format!("{id} {name}")).collect();
        lines.sort_unstable();
        lines.insert(0, HEADER.to_owned());
        Cookie(lines.join("\n").into_bytes())
    }

    /// Nothing is kept of a cookie of another format.
    pub(super) fn from_cookie(cookie: &Cookie) -> Self {
        let text = std::str::from_utf8(&cookie.0).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Self::default();
        }
        let parse = |line: &str| line.split_once(' ').and_then(|(id, name)| Some((name.to_owned(), id.parse().ok()?)));
        Self(lines.filter_map(parse).collect())
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
