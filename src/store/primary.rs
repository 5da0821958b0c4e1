//! Primary groups: a membership of Active Directory that stands with the member and not with the group.
//!
//! A user names one group by the last number of its SID (`primaryGroupID`); the group is that of the user's own domain with
//! this number. The group's `member` does not list it. For nearly everybody it is `Domain Users`.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::groups::Pairs;
use super::tree::Tree;
use super::{Object, dense};
use crate::model::{Kind, ObjectId};

/// A group's SID: shared by all who name it.
type Sid = Arc<[u8]>;

/// Who is in which group by its primary group.
#[derive(Debug, Clone, Default)]
pub(super) struct Primary {
    /// Which SID means which group; of several groups with one SID, none of which a domain has, the lowest id counts.
    groups: OrdSet<(Sid, ObjectId)>,
    /// The SIDs of the groups.
    sids: OrdMap<ObjectId, Sid>,
    /// Who names which SID.
    members: OrdSet<(Sid, ObjectId)>,
}

const LOWEST: ObjectId = ObjectId::from_bytes([0; 16]);

impl Primary {
    /// Of a whole tree.
    pub(super) fn of(tree: &Tree) -> Self {
        let (mut groups, mut sids) = (Vec::new(), Vec::new());
        for object in tree.objects.values() {
            if let Some(sid) = sid_of(object) {
                groups.push((Sid::from(sid), object.id));
                sids.push((object.id, Sid::from(sid)));
            }
        }
        groups.sort_unstable();
        let groups: OrdSet<(Sid, ObjectId)> = dense::set(groups);
        let mut made = Self { groups, sids: dense::map(sids), members: OrdSet::new() };
        let mut members: Vec<(Sid, ObjectId)> = Vec::new();
        for object in tree.objects.values() {
            let Some(named) = named_by(object) else { continue };
            // Most name the same as the one before.
            let last = members.last().map(|(sid, _)| sid).filter(|sid| ***sid == *named);
            let sid = last.map_or_else(|| made.share(&named), Arc::clone);
            members.push((sid, object.id));
        }
        members.sort_unstable();
        made.members = dense::set(members);
        made
    }

    /// An object changed from one to the other: the pairs of group and member that may differ.
    pub(super) fn update(&mut self, id: ObjectId, was: Option<&Object>, is: Option<&Object>, pairs: &mut Pairs) {
        let (old, new) = (was.and_then(sid_of), is.and_then(sid_of));
        if old != new {
            for sid in [old, new].into_iter().flatten() {
                pairs.extend(self.group(sid).into_iter().flat_map(|group| self.of_sid(sid).map(move |member| (group, member))));
            }
            if let Some(sid) = self.sids.remove(&id) {
                self.groups.remove(&(sid, id));
            }
            if let Some(sid) = new {
                let sid = self.share(sid);
                self.groups.insert((Arc::clone(&sid), id));
                self.sids.insert(id, sid);
            }
            for sid in [old, new].into_iter().flatten() {
                pairs.extend(self.group(sid).into_iter().flat_map(|group| self.of_sid(sid).map(move |member| (group, member))));
            }
        }
        let (old, new) = (was.and_then(named_by), is.and_then(named_by));
        if old != new {
            pairs.extend([&old, &new].into_iter().flatten().filter_map(|sid| Some((self.group(sid)?, id))));
            if let Some(sid) = old {
                self.members.remove(&(Sid::from(sid), id));
            }
            if let Some(sid) = new {
                let sid = self.share(&sid);
                self.members.insert((sid, id));
            }
        }
    }

    /// The primary group of an object.
    pub(super) fn of_member(&self, object: &Object) -> Option<ObjectId> {
        self.group(&named_by(object)?)
    }

    /// Who has the group as its primary one, sorted by id.
    pub(super) fn members(&self, group: ObjectId) -> impl Iterator<Item = ObjectId> {
        let sid = self.sids.get(&group).filter(|sid| self.group(sid) == Some(group));
        sid.into_iter().flat_map(|sid| self.of_sid(sid))
    }

    /// The group that a SID means.
    fn group(&self, sid: &[u8]) -> Option<ObjectId> {
        let (found, group) = self.groups.range::<_, (Sid, ObjectId)>((Sid::from(sid), LOWEST)..).next()?;
        (**found == *sid).then_some(*group)
    }

    fn of_sid<'s>(&'s self, sid: &[u8]) -> impl Iterator<Item = ObjectId> + use<'s> {
        let sid = Sid::from(sid);
        self.members.range::<_, (Sid, ObjectId)>((Arc::clone(&sid), LOWEST)..).take_while(move |(of, _)| *of == sid).map(|(_, id)| *id)
    }

    /// The same octets, as others hold them.
    fn share(&self, sid: &[u8]) -> Sid {
        let from = (Sid::from(sid), LOWEST);
        let held = |set: &OrdSet<(Sid, ObjectId)>| {
            set.range::<_, (Sid, ObjectId)>(from.clone()..).next().map(|(held, _)| Arc::clone(held)).filter(|held| **held == *sid)
        };
        held(&self.groups).or_else(|| held(&self.members)).unwrap_or_else(|| Arc::clone(&from.0))
    }
}

/// The SID of a group.
fn sid_of(object: &Object) -> Option<&[u8]> {
    if object.kind == Kind::Group { object.attributes.values("objectsid").first() } else { None }
}

/// The SID of the group that an object names as its primary one: its own, with another last number (MS-DTYP §2.4.2.2).
fn named_by(object: &Object) -> Option<Vec<u8>> {
    let number: u32 = object.attributes.text("primarygroupid")?.parse().ok()?;
    let own = object.attributes.values("objectsid").first()?;
    let domain = own.get(..own.len().checked_sub(4)?)?;
    Some([domain, &number.to_le_bytes()].concat())
}
