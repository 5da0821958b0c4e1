//! Short ways to write stores down, and what must hold of every one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::directory::{Entry, Event};
use crate::model::{Attributes, Dn, Kind, ObjectId, Timestamp};
use crate::store::name::Name;
use crate::store::{Applied, Change, ChangeSet, Member, Object, Snapshot, Store};

/// The id that a letter stands for.
pub(in crate::store) fn id(letter: char) -> ObjectId {
    ObjectId::from_bytes([u8::try_from(letter).unwrap(); 16])
}

/// The letter of an id; glue is `~`.
pub(in crate::store) fn letter(id: ObjectId) -> char {
    match id.as_bytes() {
        [one, rest @ ..] if rest.iter().all(|b| b == one) => char::from(*one),
        _ => '~',
    }
}

pub(in crate::store) fn dn(text: &str) -> Dn {
    text.parse().unwrap()
}

/// An entry: `a ou=Berlin,dc=corp`; a class by its leaf's type, further attributes after bars: `|member=uid=x,dc=corp`.
pub(in crate::store) fn entry(line: &str) -> Entry {
    let mut parts = line.split('|');
    let (who, name) = parts.next().unwrap().trim().split_once(' ').unwrap();
    let mut attributes = Attributes::new();
    let class = match name.split('=').next().unwrap() {
        "dc" | "o" => "domain",
        "ou" => "organizationalUnit",
        "cn" => "groupOfNames",
        _ => "inetOrgPerson",
    };
    attributes.add("objectClass", [class.as_bytes().to_vec()]);
    for part in parts {
        let (attribute, value) = part.trim().split_once('=').unwrap();
        attributes.add(attribute, [value.as_bytes().to_vec()]);
    }
    Entry { id: id(who.chars().next().unwrap()), dn: dn(name), attributes }
}

pub(in crate::store) fn apply(line: &str) -> Event {
    Event::Apply(entry(line))
}

/// A store whose first list is complete.
pub(in crate::store) fn store(lines: &[&str]) -> Store {
    let mut store = Store::new();
    store.apply(Event::Init, Timestamp(0));
    for line in lines {
        store.apply(Event::InitApply(entry(line)), Timestamp(0));
    }
    store.apply(Event::InitDone { sweep: true, cookie: None }, Timestamp(0));
    sound(&store.snapshot());
    store
}

/// Applies an event, and checks that the state stays sound and that the change set tells the difference.
pub(in crate::store) fn step(store: &mut Store, event: Event) -> Applied {
    let before = store.snapshot();
    let told = format!("{event:?}");
    let applied = store.apply(event, Timestamp(7));
    let after = store.snapshot();
    sound(&after);
    let mut copy = Follower::of(&before);
    if let Some(changes) = &applied.changes {
        assert!(!changes.changes.is_empty(), "{told}: an empty change set");
        assert_eq!((changes.generation, after.generation()), (before.generation().next(), before.generation().next()), "{told}");
        copy.replay(changes);
    }
    assert_eq!(copy, Follower::of(&after), "{told}: the change set does not lead from the old state to the new one");
    applied
}

/// The tree, indented; `!` marks a displaced object.
pub(in crate::store) fn outline(state: &Snapshot) -> String {
    fn below(state: &Snapshot, object: &Object, depth: usize, out: &mut String) {
        let name = if object.parent.is_none() { state.dn(object.id).unwrap().to_string() } else { object.rdn.to_string() };
        let mark = if object.displaced { "!" } else { "" };
        writeln!(out, "{}{} {name}{mark}", "  ".repeat(depth), letter(object.id)).unwrap();
        for child in state.children(object.id) {
            below(state, child, depth + 1, out);
        }
    }
    let mut out = String::new();
    for root in state.roots() {
        below(state, root, 0, &mut out);
    }
    out
}

/// A change set in short: `+a -b ~c >d g(+a -b)`.
pub(in crate::store) fn short(changes: Option<&ChangeSet>) -> String {
    let letters = |ids: &[ObjectId], sign: char| ids.iter().map(|id| format!("{sign}{}", letter(*id))).collect::<Vec<_>>();
    let each = changes.iter().flat_map(|set| &set.changes).map(|change| match change {
        Change::Added(object) => format!("+{}", letter(object.id)),
        Change::Removed { object, .. } => format!("-{}", letter(object.id)),
        Change::Modified { after, .. } => format!("~{}", letter(after.id)),
        Change::Moved { after, .. } => format!(">{}", letter(after.id)),
        Change::Members { group, joined, left } => {
            format!("{}({})", letter(*group), [letters(joined, '+'), letters(left, '-')].concat().join(" "))
        }
    });
    let mut each: Vec<String> = each.collect();
    // Glue last: its ids mean nothing.
    each.sort_by_key(|change| (change.contains('('), change.ends_with('~'), change.chars().nth(1)));
    each.join(" ")
}

/// The direct members of a group: letters, and names that dangle.
pub(in crate::store) fn members(state: &Snapshot, group: char) -> String {
    let mut each: Vec<String> = state
        .members(id(group))
        .map(|member| match member {
            Member::Object(id) => letter(id).to_string(),
            Member::Dangling(dn) => format!("({dn})"),
        })
        .collect();
    each.sort();
    each.join(" ")
}

/// What a reader who follows change sets knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Follower {
    objects: BTreeMap<ObjectId, Object>,
    members: BTreeMap<ObjectId, BTreeSet<ObjectId>>,
}

impl Follower {
    pub(in crate::store) fn of(state: &Snapshot) -> Self {
        let objects: BTreeMap<_, _> = state.iter().map(|object| (object.id, Object::clone(object))).collect();
        let ids = |group| -> BTreeSet<ObjectId> {
            let objects = state.members(group).filter_map(|member| match member {
                Member::Object(id) => Some(id),
                Member::Dangling(_) => None,
            });
            objects.collect()
        };
        let members = objects.keys().map(|id| (*id, ids(*id))).filter(|(_, members)| !members.is_empty()).collect();
        Self { objects, members }
    }

    pub(in crate::store) fn replay(&mut self, changes: &ChangeSet) {
        for change in &changes.changes {
            match change {
                Change::Added(object) => assert_eq!(self.objects.insert(object.id, Object::clone(object)), None),
                Change::Removed { object, .. } => assert_eq!(self.objects.remove(&object.id).as_ref(), Some(&**object)),
                Change::Modified { before, after } | Change::Moved { before, after } => {
                    assert_eq!(self.objects.insert(after.id, Object::clone(after)).as_ref(), Some(&**before));
                    assert!(after.differs(before));
                }
                Change::Members { group, joined, left } => {
                    let members = self.members.entry(*group).or_default();
                    assert!(joined.iter().all(|id| members.insert(*id)), "joined twice");
                    assert!(left.iter().all(|id| members.remove(id)), "left without having been there");
                    if members.is_empty() {
                        self.members.remove(group);
                    }
                }
            }
        }
    }
}

/// Checks everything that the modules promise of every state.
pub(in crate::store) fn sound(state: &Snapshot) {
    let mut reached = BTreeSet::new();
    for root in state.roots() {
        reached.extend(state.subtree(root.id).map(|object| object.id));
    }
    assert_eq!(reached, state.iter().map(|object| object.id).collect(), "what the roots reach is not what there is");
    assert_eq!(state.tree.children.len() + state.tree.roots.len(), state.len(), "the indexes hold more or less than there is");
    for object in state.iter() {
        let dn = state.dn(object.id).unwrap();
        let root = state.ancestors(object.id).last().unwrap_or(object);
        assert_eq!(state.ancestors(object.id).count() + 1 + root.suffix().depth(), dn.depth(), "{dn}");
        let hidden = object.displaced || state.ancestors(object.id).any(|above| above.displaced);
        let named = state.find(&dn);
        assert_eq!(named == Some(object.id), !hidden, "{dn}: one object has the name");
        if object.displaced && !state.ancestors(object.id).any(|above| above.displaced) {
            assert!(named.is_some_and(|named| !state.get(named).unwrap().displaced), "{dn}: displaced by nobody");
        }
        if object.glue {
            assert!(state.children(object.id).next().is_some(), "{dn}: glue without children");
            assert!(object.parent.is_some() && !object.displaced && object.attributes == Attributes::new(), "{dn}");
        }
        if object.parent.is_none() {
            let above = |other: &Object| dn != state.dn(other.id).unwrap() && dn.is_within(&state.dn(other.id).unwrap());
            assert!(!state.roots().any(|other| above(other)), "{dn}: a root below another");
        } else {
            assert!(object.suffix().is_empty(), "{dn}: a suffix below a root");
        }
    }
    sound_groups(state);
}

fn sound_groups(state: &Snapshot) {
    let groups = &state.groups;
    let (mut objects, mut dangling) = (0, 0);
    let mut listed = BTreeSet::new();
    for (group, name, held) in groups.all() {
        assert_eq!(state.get(group).map(|g| g.kind), Some(Kind::Group), "members of what is no group");
        match groups.member(group, name, held) {
            Member::Object(id) => {
                objects += 1;
                assert!(state.get(id).is_some(), "{name:?} stands for nothing");
                assert!(groups.is_member(&state.tree, id, group) && groups.held_by(id).contains(&(group, name.clone())));
                assert!(held.again || listed.insert((group, id)), "listed twice");
            }
            Member::Dangling(dn) => {
                dangling += 1;
                assert!(!held.again);
                assert!(name.is_uid() || Name::of(&dn) == *name, "{dn} / {name:?}");
                assert_eq!(groups.resolve(&state.tree, name), None, "{dn} dangles and names something");
                assert!(groups.waiting_at(name).contains(&(name.clone(), group)));
            }
        }
    }
    assert_eq!(groups.index_sizes(), (objects, dangling), "the member indexes hold more than the groups");
    for group in state.iter().filter(|object| object.kind == Kind::Group) {
        let primary = state.iter().filter(|object| groups.primary.of_member(object) == Some(group.id)).map(|object| object.id);
        assert!(groups.primary.members(group.id).eq(primary), "the primary groups are not those that the objects name");
        listed.extend(groups.primary.members(group.id).map(|id| (group.id, id)));
    }
    let of: BTreeSet<_> = state.iter().flat_map(|o| state.groups_of(o.id).map(|group| (group, o.id))).collect();
    assert_eq!(of, listed, "groups_of and members disagree");
}
