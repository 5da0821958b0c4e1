//! What one state of the files has that another has not, in the events that a directory server would send.

use std::collections::{HashMap, HashSet};

use super::tree::{Names, Node, Tree};
use crate::directory::{Entry, Event};
use crate::model::ObjectId;

/// The events that make the old tree the new one, with nothing told that did not change: of a moved OU only the OU.
///
/// They follow what [`Event`] says of them: `Apply` names an entry whose children keep to it, `Delete` takes along what hangs below.
pub(super) fn diff(old: &Tree, new: &Tree) -> Vec<Event> {
    let change = Change::between(old, new);
    let shaken = change.shaken();
    let apply = |node: &&Node| Event::Apply(node.entry.clone());
    let delete = |node: &&Node| Event::Delete(node.entry.id);
    let (again, quiet): (Vec<&Node>, Vec<&Node>) = new.nodes().iter().partition(|node| shaken.contains(&node.entry.id));
    // The lowest go first, as `ldapdelete -r` does it; the highest come first.
    let mut events: Vec<Event> = change.displaced.iter().rev().map(delete).collect();
    events.extend(quiet.iter().filter(|node| change.touches(node)).map(apply));
    events.extend(change.gone.iter().rev().map(delete));
    events.extend(again.iter().map(apply));
    events
}

/// A whole tree, for the first reading.
pub(super) fn all(tree: &Tree) -> impl Iterator<Item = Event> {
    tree.nodes().iter().map(|node| Event::InitApply(node.entry.clone()))
}

/// Two trees, and what became of the old one's entries.
struct Change<'a> {
    old: &'a Tree,
    new: &'a Tree,
    /// Those that are no more, the upper ones first.
    gone: Vec<&'a Node>,
    /// Those that keep their name, and whatever is above them does.
    steady: HashSet<ObjectId>,
    /// Those that stand, before they move or because one above them has moved already, where another one wants to be:
    /// as when two `entryUUID`s are swapped. They are taken out and put back, since no order of moves would do.
    displaced: Vec<&'a Node>,
}

impl<'a> Change<'a> {
    fn between(old: &'a Tree, new: &'a Tree) -> Self {
        let mut change = Self { old, new, gone: Vec::new(), steady: HashSet::new(), displaced: Vec::new() };
        for node in old.nodes() {
            match new.get(node.entry.id) {
                None => change.gone.push(node),
                Some(now) if now.entry.dn == node.entry.dn && change.is_steady(old.above(node)) => {
                    change.steady.insert(node.entry.id);
                }
                Some(_) if change.stands_in_the_way(node) => change.displaced.push(node),
                Some(_) => {}
            }
        }
        change
    }

    fn is_steady(&self, node: Option<&Node>) -> bool {
        node.is_none_or(|node| self.steady.contains(&node.entry.id))
    }

    fn stands_in_the_way(&self, node: &Node) -> bool {
        let wanted = |name: &str| self.new.named(name).is_some_and(|other| other.entry.id != node.entry.id);
        let mut upper = self.old.above(node);
        while let Some(then) = upper {
            let now = self.new.get(then.entry.id).filter(|_| !self.is_steady(upper));
            if now.is_some_and(|now| wanted(&format!("{},{}", below(node, then).join(","), now.entry.dn.key()))) {
                return true;
            }
            upper = self.old.above(then);
        }
        wanted(&node.entry.dn.key())
    }

    /// Whether an entry is new, or has other attributes, another RDN, or hangs below another entry. That one above it moved
    /// makes no difference.
    fn touches(&self, is: &Node) -> bool {
        let Some(was) = self.old.get(is.entry.id) else { return true };
        let shown = |entry: &Entry| entry.dn.rdn().map(ToString::to_string);
        if was.entry.attributes != is.entry.attributes || shown(&was.entry) != shown(&is.entry) {
            return true;
        }
        let place = |tree: &'a Tree, node: &Node| {
            let above = tree.above(node);
            let rdns = above.map_or_else(|| path(node, 0), |above| below(node, above));
            (above.map(|node| node.entry.id), rdns.iter().map(|rdn| (*rdn).to_owned()).collect::<Vec<_>>())
        };
        !self.steady.contains(&is.entry.id) && place(self.old, was) != place(self.new, is)
    }

    /// Entries that deletions take along though they stay: they are told again after them, all that is below included.
    fn shaken(&self) -> HashSet<ObjectId> {
        let mut shaken = HashSet::new();
        if self.gone.is_empty() && self.displaced.is_empty() {
            return shaken;
        }
        let mut fallen: HashSet<ObjectId> = self.displaced.iter().map(|node| node.entry.id).collect();
        if !fallen.is_empty() {
            for node in self.old.nodes() {
                if self.old.above(node).is_some_and(|above| fallen.contains(&above.entry.id)) {
                    fallen.insert(node.entry.id);
                }
            }
        }
        // Where the vanished ones stand once the moves have been told: the upper ones come first, so what is above is known.
        let mut places: HashMap<ObjectId, String> = HashMap::new();
        for node in &self.gone {
            let above = self.old.above(node).and_then(|above| {
                let now = self.new.get(above.entry.id).map(|now| now.entry.dn.key());
                Some((below(node, above).join(","), now.or_else(|| places.get(&above.entry.id).cloned())?))
            });
            let place = above.map_or_else(|| node.entry.dn.key(), |(below, above)| format!("{below},{above}"));
            places.insert(node.entry.id, place);
        }
        let places: HashSet<&str> = places.values().map(String::as_str).collect();
        for node in self.new.nodes() {
            let taken_along = fallen.contains(&node.entry.id)
                || self.new.above(node).is_some_and(|above| shaken.contains(&above.entry.id))
                || Names::of(&node.entry.dn).iter().any(|name| places.contains(name));
            if taken_along {
                shaken.insert(node.entry.id);
            }
        }
        shaken
    }
}

/// The folded RDNs from this entry up to, and without, the one above.
fn below<'n>(node: &'n Node, above: &Node) -> Vec<&'n str> {
    path(node, above.entry.dn.depth())
}

fn path(node: &Node, without: usize) -> Vec<&str> {
    let dn = &node.entry.dn;
    dn.rdns().iter().take(dn.depth().saturating_sub(without)).map(|rdn| rdn.key()).collect()
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
