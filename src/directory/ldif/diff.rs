//! What one state of the files has that another has not, in the events that a directory server would send.

use std::collections::{HashMap, HashSet};

use super::tree::{Names, Node, Tree};
use crate::directory::Event;
use crate::model::{ObjectId, Rdn};

/// The events that make the old tree the new one, with nothing told that did not change: of a moved OU only the OU.
///
/// They follow what [`Event`] says of them: `Apply` names an entry whose children keep to it, `Delete` takes along what hangs below.
///
/// Afterwards the new tree holds no attributes any more.
pub(super) fn diff(old: &Tree, new: &mut Tree) -> Vec<Event> {
    let change = Change::between(old, new);
    let shaken = change.shaken();
    let ids = |nodes: &[&Node]| nodes.iter().rev().map(|node| node.id).collect::<Vec<_>>();
    let (displaced, gone) = (ids(&change.displaced), ids(&change.gone));
    let (mut quiet, mut again) = (Vec::new(), Vec::new());
    for (index, node) in new.nodes().iter().enumerate() {
        if shaken.contains(&node.id) {
            again.push(index);
        } else if change.touches(node) {
            quiet.push(index);
        }
    }
    // The lowest go first, as `ldapdelete -r` does it; the highest come first.
    let mut events: Vec<Event> = displaced.into_iter().map(Event::Delete).collect();
    events.extend(quiet.into_iter().filter_map(|index| new.tell(index)).map(Event::Apply));
    events.extend(gone.into_iter().map(Event::Delete));
    events.extend(again.into_iter().filter_map(|index| new.tell(index)).map(Event::Apply));
    new.forget();
    events
}

/// A whole tree, for the first reading. Afterwards it holds no attributes any more.
pub(super) fn all(tree: &mut Tree) -> impl Iterator<Item = Event> {
    (0..tree.nodes().len()).filter_map(|index| tree.tell(index)).map(Event::InitApply)
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
            match new.get(node.id) {
                None => change.gone.push(node),
                Some(now) if now.dn == node.dn && change.is_steady(old.above(node)) => {
                    change.steady.insert(node.id);
                }
                Some(_) if change.stands_in_the_way(node) => change.displaced.push(node),
                Some(_) => {}
            }
        }
        change
    }

    fn is_steady(&self, node: Option<&Node>) -> bool {
        node.is_none_or(|node| self.steady.contains(&node.id))
    }

    fn stands_in_the_way(&self, node: &Node) -> bool {
        let wanted = |name: &str| self.new.named(name).is_some_and(|other| other.id != node.id);
        let mut upper = self.old.above(node);
        while let Some(then) = upper {
            let now = self.new.get(then.id).filter(|_| !self.is_steady(upper));
            if now.is_some_and(|now| wanted(&format!("{},{}", below(node, then).join(","), now.dn.key()))) {
                return true;
            }
            upper = self.old.above(then);
        }
        wanted(&node.dn.key())
    }

    /// Whether an entry is new, or has other attributes, another RDN, or hangs below another  That one above it moved
    /// makes no difference.
    fn touches(&self, is: &Node) -> bool {
        let Some(was) = self.old.get(is.id) else { return true };
        if was.digest != is.digest || was.dn.rdn().map(Rdn::as_str) != is.dn.rdn().map(Rdn::as_str) {
            return true;
        }
        let place = |tree: &'a Tree, node: &Node| {
            let above = tree.above(node);
            let rdns = above.map_or_else(|| path(node, 0), |above| below(node, above));
            (above.map(|node| node.id), rdns.iter().map(|rdn| (*rdn).to_owned()).collect::<Vec<_>>())
        };
        !self.steady.contains(&is.id) && place(self.old, was) != place(self.new, is)
    }

    /// Entries that deletions take along though they stay: they are told again after them, all that is below included.
    fn shaken(&self) -> HashSet<ObjectId> {
        let mut shaken = HashSet::new();
        if self.gone.is_empty() && self.displaced.is_empty() {
            return shaken;
        }
        let mut fallen: HashSet<ObjectId> = self.displaced.iter().map(|node| node.id).collect();
        if !fallen.is_empty() {
            for node in self.old.nodes() {
                if self.old.above(node).is_some_and(|above| fallen.contains(&above.id)) {
                    fallen.insert(node.id);
                }
            }
        }
        // Where the vanished ones stand once the moves have been told: the upper ones come first, so what is above is known.
        let mut places: HashMap<ObjectId, String> = HashMap::new();
        for node in &self.gone {
            let above = self.old.above(node).and_then(|above| {
                let now = self.new.get(above.id).map(|now| now.dn.key());
                Some((below(node, above).join(","), now.or_else(|| places.get(&above.id).cloned())?))
            });
            let place = above.map_or_else(|| node.dn.key(), |(below, above)| format!("{below},{above}"));
            places.insert(node.id, place);
        }
        let places: HashSet<&str> = places.values().map(String::as_str).collect();
        for node in self.new.nodes() {
            let taken_along = fallen.contains(&node.id)
                || self.new.above(node).is_some_and(|above| shaken.contains(&above.id))
                || Names::of(&node.dn).iter().any(|name| places.contains(name));
            if taken_along {
                shaken.insert(node.id);
            }
        }
        shaken
    }
}

/// The folded RDNs from this entry up to, and without, the one above.
fn below<'n>(node: &'n Node, above: &Node) -> Vec<&'n str> {
    path(node, above.dn.depth())
}

fn path(node: &Node, without: usize) -> Vec<&str> {
    let dn = &node.dn;
    dn.rdns().iter().take(dn.depth().saturating_sub(without)).map(Rdn::key).collect()
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
