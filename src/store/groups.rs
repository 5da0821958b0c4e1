//! Memberships, held by id.
//!
//! A member value is resolved once, and from then on it stands for the object and not for the name: most servers rewrite
//! a group's values silently when a member is renamed or moved, and an OU's move never tells its users' groups. So:
//!
//! - A value keeps its object wherever that goes, as long as the group holds the value and the object exists.
//! - A value that names nothing dangles, and takes the object that appears under the name. So does the value of an object
//!   that is deleted.
//! - When the directory tells a group anew, a value that names an object by now stands for that one: the text is newer
//!   than what was held.

use imbl::{OrdMap, OrdSet};

use super::Object;
use super::dense;
use super::name::Name;
use super::primary::Primary;
use super::tree::Tree;
use crate::model::{Dn, Kind, ObjectId};

/// What one member value of a group stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// An object of the tree, held by id wherever it moves.
    Object(ObjectId),
    /// A name that names nothing now. An unresolved `memberUid` reads `memberUid=…`.
    Dangling(Dn),
}

/// A member name of a group and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// The object; none when it dangles: then the name [waits](Groups::waiting).
    pub(crate) object: Option<ObjectId>,
    /// How many values spell the name: `member` and `uniqueMember` may both.
    pub(crate) values: u32,
    /// Another name of the group holds the same object, and that one is listed.
    pub(crate) again: bool,
}

/// The names by which a group holds one member.
#[derive(Debug, Clone)]
pub(super) enum Names {
    /// Nearly always.
    One(Name),
    /// The first is the one that is listed.
    #[expect(clippy::box_collection, reason = "it is hardly ever there, and where it is not, half the room")]
    More(Box<Vec<Name>>),
}

/// Who is in which group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    /// Every member name, by group. No group without one.
    pub(super) held: OrdMap<ObjectId, OrdMap<Name, Held>>,
    /// The same from the member's side: by which names a group holds it.
    pub(super) of: OrdMap<(ObjectId, ObjectId), Names>,
    /// Names that name nothing, the groups that wait for them, and how the names are shown.
    pub(super) waiting: OrdMap<(Name, ObjectId), Dn>,
    /// Who may have which login name (`uid`): what `memberUid` means. By a hash of the name; the object itself says whether it
    /// has it. None before the first group with a `memberUid`: most directories have no such group.
    pub(super) uids: Option<OrdSet<(u64, ObjectId)>>,
    /// Counts the events in which a name may have come to name another object.
    pub(crate) renames: u64,
    /// Up to which of them each group's values were resolved.
    pub(crate) resolved: OrdMap<ObjectId, u64>,
    /// Memberships that stand with the member.
    pub(super) primary: Primary,
}

/// Pairs of group and member that may differ from before, in any order, more than once.
pub(crate) type Pairs = Vec<(ObjectId, ObjectId)>;

const LOWEST: ObjectId = ObjectId::from_bytes([0; 16]);

impl Groups {
    pub(crate) fn members(&self, group: ObjectId) -> impl Iterator<Item = Member> {
        let listed = self.names(group).filter(|(_, held)| !held.again).map(move |(name, held)| self.member(group, name, held));
        let primary = self.primary.members(group).filter(move |id| !self.of.contains_key(&(*id, group)));
        listed.chain(primary.map(Member::Object))
    }

    /// What a name stands for.
    pub(crate) fn member(&self, group: ObjectId, name: &Name, held: &Held) -> Member {
        match held.object {
            Some(id) => Member::Object(id),
            None => Member::Dangling(self.waiting.get(&(name.clone(), group)).cloned().unwrap_or_else(|| name.to_dn())),
        }
    }

    /// Every member name of every group.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ObjectId, &Name, &Held)> {
        self.held.iter().flat_map(|(group, names)| names.iter().map(move |(name, held)| (*group, name, held)))
    }

    /// How many those are.
    pub(crate) fn len(&self) -> usize {
        self.held.values().map(OrdMap::len).sum()
    }

    /// The member names of a group, and what they stand for.
    pub(crate) fn names(&self, group: ObjectId) -> impl Iterator<Item = (&Name, &Held)> {
        self.held.get(&group).into_iter().flat_map(OrdMap::iter)
    }

    /// Sorted by id.
    pub(crate) fn groups_of(&self, tree: &Tree, member: ObjectId) -> impl Iterator<Item = ObjectId> {
        let primary = tree.get(member).and_then(|object: &std::sync::Arc<Object>| self.primary.of_member(object));
        let mut primary = primary.filter(|group| !self.of.contains_key(&(member, *group)));
        let mut listed = self.holds(member).map(|((_, group), _)| *group).peekable();
        std::iter::from_fn(move || {
            let next = listed.peek().copied();
            match primary {
                Some(group) if next.is_none_or(|next| group < next) => primary.take(),
                _ => listed.next(),
            }
        })
    }

    pub(crate) fn is_member(&self, tree: &Tree, member: ObjectId, group: ObjectId) -> bool {
        let by_primary = || tree.get(member).is_some_and(|object| self.primary.of_member(object) == Some(group));
        self.of.contains_key(&(member, group)) || by_primary()
    }

    /// What a name means now: a DN the object that has it, a login name the lowest id that has it.
    pub(crate) fn resolve(&self, tree: &Tree, name: &Name) -> Option<ObjectId> {
        if !name.is_uid() {
            return tree.find(name);
        }
        let hash = name.hash64();
        let has = |id: &ObjectId| tree.get(*id).is_some_and(|object| object.attributes.texts("uid").any(|uid| Name::of_uid(uid) == *name));
        self.uids
            .as_ref()?
            .range::<_, (u64, ObjectId)>((hash, LOWEST)..)
            .take_while(|(of, _)| *of == hash)
            .map(|(_, id)| *id)
            .find(|id| has(id))
    }

    pub(crate) fn add_uid(&mut self, uid: &Name, id: ObjectId) {
        if let Some(uids) = &mut self.uids {
            uids.insert((uid.hash64(), id));
        }
    }

    pub(crate) fn remove_uid(&mut self, uid: &Name, id: ObjectId) {
        if let Some(uids) = &mut self.uids {
            uids.remove(&(uid.hash64(), id));
        }
    }

    /// Whether anybody asks for login names.
    pub(crate) fn knows_uids(&self) -> bool {
        self.uids.is_some()
    }

    /// Looks at all login names, if the group is the first to ask for them.
    pub(crate) fn meet(&mut self, tree: &Tree, group: &Object) {
        if self.uids.is_some() || !group.attributes.has("memberUid") {
            return;
        }
        let users = tree.objects.values().filter(|object| object.kind == Kind::User);
        let mut uids: Vec<(u64, ObjectId)> =
            users.flat_map(|user| user.attributes.texts("uid").map(|uid| (Name::of_uid(uid).hash64(), user.id))).collect();
        uids.sort_unstable();
        uids.dedup();
        self.uids = Some(dense::set(uids));
    }

    fn held_mut(&mut self, group: ObjectId, name: &Name) -> Option<&mut Held> {
        self.held.get_mut(&group)?.get_mut(name)
    }

    fn put(&mut self, group: ObjectId, name: Name, held: Held) {
        self.held.entry(group).or_default().insert(name, held);
    }

    fn take(&mut self, group: ObjectId, name: &Name) -> Option<Held> {
        let names = self.held.get_mut(&group)?;
        let held = names.remove(name);
        if names.is_empty() {
            self.held.remove(&group);
        }
        held
    }

    /// A group holds a name, in so many values more.
    pub(crate) fn hold(
        &mut self,
        group: ObjectId,
        name: Name,
        values: u32,
        object: Option<ObjectId>,
        shown: impl FnOnce() -> Dn,
        pairs: &mut Pairs,
    ) {
        if let Some(held) = self.held_mut(group, &name) {
            held.values += values;
            return;
        }
        // A member of many groups has one name in all of them: keep it once.
        let known = object.and_then(|id| self.holds(id).next()).and_then(|(_, names)| names.all().first().filter(|known| **known == name));
        let name = known.cloned().unwrap_or(name);
        let again = self.enter(group, &name, object, shown, pairs);
        self.put(group, name, Held { object, values, again });
    }

    /// A group holds a name once less.
    pub(crate) fn release(&mut self, group: ObjectId, name: &Name, pairs: &mut Pairs) {
        match self.held_mut(group, name) {
            Some(held) if held.values > 1 => held.values -= 1,
            Some(_) => self.drop_name(group, name, pairs),
            None => {}
        }
    }

    /// A group holds a name in so many values. Where the name means nobody now, it keeps whom it held.
    pub(crate) fn set(
        &mut self,
        group: ObjectId,
        name: Name,
        values: u32,
        object: Option<ObjectId>,
        shown: impl FnOnce() -> Dn,
        pairs: &mut Pairs,
    ) {
        let (same, turned) = match (self.held.get(&group).and_then(|names| names.get(&name)), object) {
            (None, _) => return self.hold(group, name, values, object, shown, pairs),
            (Some(held), Some(_)) => (held.values == values, held.object != object),
            (Some(held), None) => (held.values == values, false),
        };
        if !same && let Some(held) = self.held_mut(group, &name) {
            held.values = values;
        }
        if let (true, Some(id)) = (turned, object) {
            self.turn(group, name, Member::Object(id), pairs);
        }
    }

    /// A group holds a name no longer, however many values spelled it.
    pub(crate) fn drop_name(&mut self, group: ObjectId, name: &Name, pairs: &mut Pairs) {
        if let Some(held) = self.take(group, name) {
            self.leave(group, name, &held, pairs);
        }
    }

    /// A name stands for something else from now on.
    pub(crate) fn turn(&mut self, group: ObjectId, name: Name, member: Member, pairs: &mut Pairs) {
        let Some(held) = self.take(group, &name) else { return };
        self.leave(group, &name, &held, pairs);
        let (object, shown) = match member {
            Member::Object(id) => (Some(id), Dn::default()),
            Member::Dangling(dn) => (None, dn),
        };
        let again = self.enter(group, &name, object, || shown, pairs);
        self.put(group, name, Held { object, again, ..held });
    }

    /// The group is gone, or a group no more.
    pub(crate) fn dissolve(&mut self, group: ObjectId, pairs: &mut Pairs) {
        let names: Vec<_> = self.names(group).map(|(name, _)| name.clone()).collect();
        for name in names {
            self.drop_name(group, &name, pairs);
        }
        self.resolved.remove(&group);
    }

    /// The groups and names by which an object is held.
    pub(crate) fn held_by(&self, member: ObjectId) -> Vec<(ObjectId, Name)> {
        self.holds(member).flat_map(|((_, group), names)| names.all().iter().map(|name| (*group, name.clone()))).collect()
    }

    /// The groups that wait for a name or for one below it.
    pub(crate) fn waiting_at(&self, name: &Name) -> Vec<(Name, ObjectId)> {
        self.waiting
            .range::<_, (Name, ObjectId)>((name.clone(), LOWEST)..)
            .map(|(key, _)| key)
            .take_while(|(waiting, _)| waiting == name || waiting.is_below(name))
            .cloned()
            .collect()
    }

    pub(crate) fn nobody_waits(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many values stand for objects, and how many dangle, by the indexes.
    #[cfg(test)]
    pub(crate) fn index_sizes(&self) -> (usize, usize) {
        (self.of.values().map(|names| names.all().len()).sum(), self.waiting.len())
    }

    fn holds(&self, member: ObjectId) -> impl Iterator<Item = (&(ObjectId, ObjectId), &Names)> {
        self.of.range::<_, (ObjectId, ObjectId)>((member, LOWEST)..).take_while(move |((of, _), _)| *of == member)
    }

    /// Enters what a name stands for into the indexes; says whether another name of the group stands for it already.
    fn enter(&mut self, group: ObjectId, name: &Name, object: Option<ObjectId>, shown: impl FnOnce() -> Dn, pairs: &mut Pairs) -> bool {
        let Some(id) = object else {
            self.waiting.insert((name.clone(), group), shown());
            return false;
        };
        pairs.push((group, id));
        if let Some(names) = self.of.get_mut(&(id, group)) {
            names.add(name.clone());
            return true;
        }
        self.of.insert((id, group), Names::One(name.clone()));
        false
    }

    fn leave(&mut self, group: ObjectId, name: &Name, held: &Held, pairs: &mut Pairs) {
        let Some(id) = held.object else {
            self.waiting.remove(&(name.clone(), group));
            return;
        };
        pairs.push((group, id));
        let key = (id, group);
        let Some(first) = self.of.get_mut(&key).and_then(|names| names.remove(name)) else {
            self.of.remove(&key);
            return;
        };
        if let Some(other) = self.held_mut(group, &first) {
            other.again = false;
        }
    }
}

impl Names {
    fn all(&self) -> &[Name] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::More(names) => names,
        }
    }

    pub(super) fn add(&mut self, name: Name) {
        match self {
            Self::One(first) => *self = Self::More(Box::new(vec![first.clone(), name])),
            Self::More(names) => names.push(name),
        }
    }

    /// Takes a name out; gives the one that is listed from now on, if there is one.
    fn remove(&mut self, name: &Name) -> Option<Name> {
        let Self::More(names) = self else { return None };
        names.retain(|other| other != name);
        names.first().cloned()
    }
}
