//! A record of the retro changelog: which entry was changed and how, and never to what. Pure.

use std::collections::HashMap;

use crate::directory::ldap::decode::Found;
use crate::model::{Attributes, Dn, ObjectId};

/// What is asked of a record. `changes` has the values, changed passwords among them: it is no business of ours. Nor is `newRDN`:
/// the entry itself has its new name.
pub(super) const NAMES: [&str; 6] = ["changeNumber", "changeType", "targetUniqueId", "targetDn", "newSuperior", "nsUniqueId"];

/// How it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Added,
    Modified,
    Renamed,
    Deleted,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) number: u64,
    /// The record's own id, which no other record will ever have.
    pub(super) mark: String,
    /// The entry that was changed.
    pub(super) id: ObjectId,
    kind: Kind,
    /// The entry's name before the change.
    target: Option<Dn>,
    superior: Option<Dn>,
}

/// Where an entry is after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Inside,
    /// It is deleted, or outside of the base.
    Outside,
    Unknown,
}

impl Change {
    /// From a record's attributes; or what it lacks.
    pub(super) fn of(attributes: &Attributes) -> Result<Self, &'static str> {
        let kind = match attributes.text("changeType").ok_or("changeType")? {
            "add" => Kind::Added,
            "modify" => Kind::Modified,
            "modrdn" | "moddn" => Kind::Renamed,
            "delete" => Kind::Deleted,
            _ => return Err("a known changeType"),
        };
        let name = |attribute: &str| attributes.text(attribute).and_then(|text| text.parse().ok());
        Ok(Self {
            number: attributes.text("changeNumber").and_then(|text| text.parse().ok()).ok_or("changeNumber")?,
            mark: attributes.text("nsUniqueId").ok_or("nsUniqueId")?.to_owned(),
            id: attributes.text("targetUniqueId").and_then(|text| text.parse().ok()).ok_or("targetUniqueId")?,
            kind,
            target: attributes.has("targetDn").then(|| name("targetDn")).ok_or("targetDn")?,
            superior: name("newSuperior"),
        })
    }

    /// Where the entry is afterwards, as far as the record says.
    fn after(&self, base: &Dn) -> Place {
        let (Some(target), kind) = (&self.target, self.kind) else { return Place::Unknown };
        let is_inside = match (kind, &self.superior) {
            (Kind::Deleted, _) => false,
            (Kind::Renamed, Some(superior)) => superior.is_within(base),
            (Kind::Renamed, None) => target.parent().is_some_and(|above| above.is_within(base)),
            _ => target.is_within(base),
        };
        match (is_inside, kind, &self.superior) {
            (true, ..) => Place::Inside,
            // Whoever may not read newSuperior takes a move for a new name.
            (false, Kind::Renamed, None) => Place::Unknown,
            (false, ..) => Place::Outside,
        }
    }

    /// Whether it has another name or place now.
    pub(super) fn is_rename(&self) -> bool {
        self.kind == Kind::Renamed
    }

    /// Whether the base itself has another name now.
    pub(super) fn renames(&self, base: &Dn) -> bool {
        self.kind == Kind::Renamed && self.target.as_ref().is_some_and(|target| base.is_within(target))
    }
}

/// An entry that was changed, once or several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) id: ObjectId,
    /// Where it is after the last change.
    pub(super) after: Place,
    /// The number of the last.
    pub(super) last: u64,
    /// Where among the others it is told, when it is there: where it got its name, or was changed first.
    place: u64,
}

/// The entries of some changes.
pub(super) fn due(changes: &[Change], base: &Dn) -> Vec<Due> {
    let mut at: HashMap<ObjectId, usize> = HashMap::new();
    let mut all: Vec<(Due, bool)> = Vec::new();
    for change in changes {
        let renamed = change.kind == Kind::Renamed;
        let index = *at.entry(change.id).or_insert(all.len());
        if let Some((due, was_renamed)) = all.get_mut(index) {
            due.after = change.after(base);
            due.last = change.number;
            if renamed && !std::mem::replace(was_renamed, true) {
                due.place = change.number;
            }
        } else {
            let due = Due { id: change.id, after: change.after(base), last: change.number, place: change.number };
            all.push((due, renamed));
        }
    }
    all.into_iter().map(|(due, _)| due).collect()
}

/// What became of an entry.
#[derive(Debug)]
pub(super) enum Outcome {
    There(Found),
    Gone(ObjectId),
}

/// In the order in which they are to be told. All entries are read after the last of the changes: their names are those of
/// then, so that an entry's new place has to be told before the entry. And what left a place has to have left before that place goes.
pub(super) fn in_order(outcomes: Vec<(Due, Outcome)>) -> Vec<Outcome> {
    let mut outcomes = outcomes;
    outcomes.sort_by_key(|(due, outcome)| if matches!(outcome, Outcome::Gone(_)) { due.last } else { due.place });
    let mut waiting: Vec<Option<Outcome>> = Vec::new();
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut above: Vec<Vec<String>> = Vec::new();
    for (index, (_, outcome)) in outcomes.into_iter().enumerate() {
        let mut chain = Vec::new();
        if let Outcome::There(found) = &outcome
            && let Ok(dn) = &found.dn
        {
            names.insert(dn.key(), index);
            let mut upper = dn.parent();
            while let Some(name) = upper.filter(|name| !name.is_empty()) {
                chain.push(name.key());
                upper = name.parent();
            }
        }
        above.push(chain);
        waiting.push(Some(outcome));
    }
    let mut ordered = Vec::new();
    for (index, chain) in above.iter().enumerate() {
        let uppers = chain.iter().rev().filter_map(|name| names.get(name).copied());
        for index in uppers.chain([index]) {
            ordered.extend(waiting.get_mut(index).and_then(Option::take));
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::ldap::identity::Version;

    fn id(n: u8) -> ObjectId {
        ObjectId::from_bytes([n; 16])
    }

    fn change(number: u64, n: u8, kind: &str, target: &str, superior: Option<&str>) -> Change {
        let attributes: Attributes = [
            ("changeNumber", number.to_string().into_bytes()),
            ("changeType", kind.into()),
            ("nsUniqueId", format!("mark {number}").into_bytes()),
            ("targetUniqueId", id(n).to_string().into_bytes()),
            ("targetDn", target.into()),
        ]
        .into_iter()
        .chain(superior.map(|superior| ("newSuperior", superior.into())))
        .collect();
        Change::of(&attributes).unwrap()
    }

    #[test]
    fn where_an_entry_is_afterwards() {
        let base: Dn = "ou=a,dc=x".parse().unwrap();
        for (kind, target, superior, expect) in [
            ("add", "cn=u,ou=A,dc=x", None, Place::Inside),
            ("modify", "ou=a,dc=x", None, Place::Inside),
            ("modify", "cn=u,ou=b,dc=x", None, Place::Outside),
            ("delete", "cn=u,ou=a,dc=x", None, Place::Outside),
            ("modrdn", "cn=u,ou=a,dc=x", None, Place::Inside),
            ("modrdn", "cn=u,ou=b,dc=x", None, Place::Unknown),
            ("modrdn", "cn=u,ou=b,dc=x", Some("ou=a,dc=x"), Place::Inside),
            ("modrdn", "cn=u,ou=a,dc=x", Some("ou=b,dc=x"), Place::Outside),
            ("modify", "nonsense", None, Place::Unknown),
        ] {
            assert_eq!(change(1, 1, kind, target, superior).after(&base), expect, "{kind} {target}");
        }
        assert!(change(1, 1, "modrdn", "dc=x", None).renames(&base) && change(1, 1, "modrdn", "ou=a,dc=x", None).renames(&base));
        assert!(!change(1, 1, "modrdn", "cn=u,ou=a,dc=x", None).renames(&base));
    }

    #[test]
    fn what_a_record_has_to_have() {
        for missing in ["changeType", "changeNumber", "nsUniqueId", "targetUniqueId", "targetDn"] {
            let all = [("changeNumber", "1"), ("changeType", "add"), ("nsUniqueId", "m"), ("targetDn", "dc=x")];
            let id = id(1).to_string();
            let attributes: Attributes = all
                .into_iter()
                .chain([("targetUniqueId", id.as_str())])
                .filter(|(name, _)| *name != missing)
                .map(|(name, value)| (name, value.as_bytes().to_vec()))
                .collect();
            assert_eq!(Change::of(&attributes), Err(missing));
        }
    }

    #[test]
    fn each_entry_once() {
        let base: Dn = "dc=x".parse().unwrap();
        let changes = [
            change(1, 1, "modify", "cn=a,dc=x", None),
            change(2, 2, "add", "cn=b,dc=x", None),
            change(3, 1, "modrdn", "cn=a,dc=x", None),
            change(4, 2, "delete", "cn=b,dc=x", None),
        ];
        let due = due(&changes, &base);
        assert_eq!(
            due.iter().map(|due| (due.after, due.last, due.place)).collect::<Vec<_>>(),
            [(Place::Inside, 3, 3), (Place::Outside, 4, 2)]
        );
    }

    #[test]
    fn in_which_order_it_is_told() {
        let check = |told: &[(u8, u64, u64, Option<&str>)]| {
            let outcomes = told.iter().map(|(n, place, last, dn)| {
                let due = Due { id: id(*n), after: Place::Unknown, last: *last, place: *place };
                let outcome = dn.map_or_else(
                    || Outcome::Gone(id(*n)),
                    |dn| {
                        let dn = Ok(dn.parse().unwrap());
                        let attributes = Attributes::new();
                        Outcome::There(Found { id: id(*n), dn, attributes, version: Version::default(), has_below: None })
                    },
                );
                (due, outcome)
            });
            let ordered = in_order(outcomes.collect());
            let id = |outcome: &Outcome| match outcome {
                Outcome::There(found) => found.id.as_bytes()[0],
                Outcome::Gone(id) => id.as_bytes()[0],
            };
            ordered.iter().map(id).collect::<Vec<_>>()
        };
        // 1 was changed, and its place 2 was renamed after it: that comes first.
        assert_eq!(check(&[(1, 1, 1, Some("cn=u,ou=new,dc=x")), (2, 2, 2, Some("ou=new,dc=x"))]), [2, 1]);
        // The unit 1 was changed, 2 left it, and it was deleted.
        assert_eq!(check(&[(1, 1, 3, None), (2, 2, 2, Some("cn=u,dc=x"))]), [2, 1]);
    }
}
