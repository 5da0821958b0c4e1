//! Change records applied to a model of the directory as the server would apply them.
//!
//! Moves and renames keep ids; whoever is a member of a group stays one, by id, whether or not the server rewrites `member`. What a server
//! would refuse is refused here too, with the place in the file.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::directory::ldif::{ChangeRecord, Modification, Operation, RecordChange};
use crate::directory::{Entry, Event};
use crate::model::{Attributes, Dn, Fault, Names, ObjectId, Place, Rdn, Severity};
use crate::store::{Object, Snapshot};

/// What is known of the server beside its entries.
pub(super) struct Server<'a> {
    /// Whether Dialcast reads the attribute: others are no part of the model.
    pub(super) is_read: &'a dyn Fn(&str) -> bool,
    /// `createTimestamp` of what is made now, where the server writes one.
    pub(super) created: Option<&'a str>,
}

type Values = Vec<(String, Vec<Vec<u8>>)>;

/// The event that tells of a change record, and notes in `new` the ids that are only made up.
pub(super) fn event(
    snapshot: &Snapshot,
    record: &ChangeRecord,
    server: &Server<'_>,
    new: &mut BTreeSet<ObjectId>,
) -> Result<Event, Box<Fault>> {
    let dn = &record.dn;
    match &record.change {
        RecordChange::Add { attributes, id } => {
            if real(snapshot, dn).is_some() {
                return Err(refused(record, 0, format!("`{dn}` is there already"), "take the record out, or write `changetype: modify`"));
            }
            standing(snapshot, record, &dn.parent().unwrap_or_default())?;
            let mut values: Values = attributes.iter().filter(|(name, _)| (server.is_read)(name)).cloned().collect();
            for (name, value) in dn.rdn().map(Rdn::pairs).unwrap_or_default() {
                if (server.is_read)(&name) {
                    put(&mut values, &name, value.into_bytes());
                }
            }
            if let Some(created) = server.created {
                put(&mut values, "createtimestamp", created.as_bytes().to_vec());
            }
            let id = id.unwrap_or_else(|| {
                let id = made_up(dn);
                new.insert(id);
                id
            });
            Ok(Event::Apply(Entry { id, dn: dn.clone(), attributes: gathered(values) }))
        }
        RecordChange::Delete => {
            let object = there(snapshot, record)?;
            if snapshot.children(object.id).next().is_some() {
                let remedy = "delete those first, as the server wants it; `dialcast plan delete` takes all";
                return Err(refused(record, 0, format!("there are entries below `{dn}`"), remedy));
            }
            Ok(Event::Delete(object.id))
        }
        RecordChange::Modify(steps) => {
            let object = there(snapshot, record)?;
            let mut values = values_of(object);
            for step in steps.iter().filter(|step| (server.is_read)(&step.attribute)) {
                modify(record, &mut values, step)?;
            }
            Ok(Event::Apply(Entry { id: object.id, dn: dn.clone(), attributes: gathered(values) }))
        }
        RecordChange::Rename { rdn, delete_old, superior } => {
            let object = there(snapshot, record)?;
            let above = superior.clone().or_else(|| dn.parent()).unwrap_or_default();
            standing(snapshot, record, &above)?;
            if snapshot.find(&above).is_some_and(|above| snapshot.is_within(above, object.id)) {
                return Err(refused(record, 0, format!("`{dn}` cannot stand below itself"), "name another `newsuperior:`"));
            }
            let to = above.child(rdn.clone());
            if real(snapshot, &to).is_some_and(|other| other.id != object.id) {
                return Err(refused(record, 0, format!("`{to}` is there already"), "choose another name, or move that one first"));
            }
            let mut values = values_of(object);
            if *delete_old {
                for (name, value) in object.rdn.pairs() {
                    take(&mut values, &name, value.as_bytes());
                }
            }
            for (name, value) in rdn.pairs() {
                if (server.is_read)(&name) {
                    put(&mut values, &name, value.into_bytes());
                }
            }
            Ok(Event::Apply(Entry { id: object.id, dn: to, attributes: gathered(values) }))
        }
    }
}

/// The records that delete an entry with all below it, the leaves first.
pub(super) fn deletions(snapshot: &Snapshot, record: &ChangeRecord) -> Result<Vec<ChangeRecord>, Box<Fault>> {
    let object = there(snapshot, record)?;
    let mut names: Vec<Dn> =
        snapshot.subtree(object.id).filter(|object| !object.glue).filter_map(|object| snapshot.dn(object.id)).collect();
    names.reverse();
    Ok(names.into_iter().map(|dn| ChangeRecord { dn, ..record.clone() }).collect())
}

fn modify(record: &ChangeRecord, values: &mut Values, step: &Modification) -> Result<(), Box<Fault>> {
    let Modification { operation, attribute, values: given, line } = step;
    let shown = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    match operation {
        Operation::Replace => {
            values.retain(|(name, _)| name != attribute);
            for value in given {
                put(values, attribute, value.clone());
            }
        }
        Operation::Add => {
            for value in given {
                if holds(values, attribute, value) {
                    let what = format!("`{attribute}` of `{}` has the value `{}` already", record.dn, shown(value));
                    return Err(refused(record, *line, what, "take the line out"));
                }
                put(values, attribute, value.clone());
            }
        }
        Operation::Delete if given.is_empty() => {
            if !values.iter().any(|(name, _)| name == attribute) {
                let what = format!("`{}` has no `{attribute}`", record.dn);
                return Err(refused(record, *line, what, "take the line out; or look whether Dialcast's account reads the attribute"));
            }
            values.retain(|(name, _)| name != attribute);
        }
        Operation::Delete => {
            for value in given {
                if !take(values, attribute, value) {
                    let what = format!("`{attribute}` of `{}` has no value `{}`", record.dn, shown(value));
                    return Err(refused(record, *line, what, "write the value as it is; or look whether Dialcast's account reads it"));
                }
            }
        }
    }
    Ok(())
}

/// The entry of a name, glue left out: that is nothing that a server has.
fn real<'a>(snapshot: &'a Snapshot, dn: &Dn) -> Option<&'a Object> {
    snapshot.find(dn).and_then(|id| snapshot.get(id)).map(|object| &**object).filter(|object| !object.glue)
}

fn there<'a>(snapshot: &'a Snapshot, record: &ChangeRecord) -> Result<&'a Object, Box<Fault>> {
    let none = || {
        let remedy = "write the name as it is now; or look whether Dialcast's account reads the entry";
        refused(record, 0, format!("there is no entry `{}`", record.dn), remedy)
    };
    real(snapshot, &record.dn).ok_or_else(none)
}

/// Whether something can stand there.
fn standing(snapshot: &Snapshot, record: &ChangeRecord, above: &Dn) -> Result<(), Box<Fault>> {
    if snapshot.find(above).is_some() {
        return Ok(());
    }
    let remedy = "make that one first; or look whether it is below the base that Dialcast reads";
    Err(refused(record, 0, format!("there is no entry `{above}` to stand in"), remedy))
}

#[expect(clippy::unnecessary_box_returns, reason = "it is the error of everything here")]
fn refused(record: &ChangeRecord, line: usize, what: String, remedy: &str) -> Box<Fault> {
    let line = if line > 0 { line } else { record.line };
    let place = if line > 0 {
        Place::File { path: record.path.to_path_buf(), line, column: 0 }
    } else {
        Place::Config { key: "(command line)".to_owned() }
    };
    Box::new(Fault { severity: Severity::Error, code: "plan.refused", place, what, remedy: remedy.to_owned() })
}

fn values_of(object: &Object) -> Values {
    let copied = |(name, values): (&str, crate::model::Values<'_>)| (name.to_owned(), values.iter().map(<[u8]>::to_vec).collect());
    object.attributes.iter().map(copied).collect()
}

fn gathered(values: Values) -> Attributes {
    Attributes::gather(values, &mut Names::default())
}

fn put(values: &mut Values, name: &str, value: Vec<u8>) {
    let name = name.to_ascii_lowercase();
    match values.iter_mut().find(|(held, _)| *held == name) {
        Some((_, held)) if held.iter().any(|one| is_same(one, &value)) => {}
        Some((_, held)) => held.push(value),
        None => values.push((name, vec![value])),
    }
}

fn holds(values: &Values, name: &str, value: &[u8]) -> bool {
    values.iter().any(|(held, all)| held == name && all.iter().any(|one| is_same(one, value)))
}

/// Takes a value away; whether it was there. An attribute without values is none.
fn take(values: &mut Values, name: &str, value: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let Some((_, held)) = values.iter_mut().find(|(held, _)| *held == name) else { return false };
    let before = held.len();
    held.retain(|one| !is_same(one, value));
    let is_gone = held.len() < before;
    values.retain(|(_, held)| !held.is_empty());
    is_gone
}

/// Most attributes ignore case (RFC 4517 §4.2.11), and names are compared as names.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let text = |value| std::str::from_utf8(value).ok();
    let (Some(a), Some(b)) = (text(one), text(other)) else { return one == other };
    a.to_lowercase() == b.to_lowercase() || a.parse::<Dn>().ok().zip(b.parse::<Dn>().ok()).is_some_and(|(a, b)| !a.is_empty() && a == b)
}

/// An id for an entry whose id the server is yet to give: the same at every prediction.
fn made_up(dn: &Dn) -> ObjectId {
    let mut bytes = [0; 16];
    let hash = Sha256::new().chain_update(b"dialcast plan\0").chain_update(dn.key().as_bytes()).finalize();
    bytes.iter_mut().zip(hash).for_each(|(slot, byte)| *slot = byte);
    // RFC 9562 §5.8: version 8, for ids of one's own making.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    ObjectId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::directory::ldif::parse_changes;
    use crate::model::Timestamp;
    use crate::store::Store;

    const TREE: &str = "dn: dc=corp\nchangetype: add\nobjectClass: domain\ndc: corp\n\n\
        dn: ou=a,dc=corp\nchangetype: add\nobjectClass: organizationalUnit\nou: a\n\n\
        dn: uid=u,ou=a,dc=corp\nchangetype: add\nobjectClass: inetOrgPerson\nuid: u\nmail: u@x\n\n\
        dn: cn=g,dc=corp\nchangetype: add\nobjectClass: groupOfNames\ncn: g\nmember: uid=u,ou=a,dc=corp\n";

    fn applied(text: &str) -> Result<Snapshot, String> {
        let mut store = Store::new();
        store.apply(Event::Init, Timestamp(0));
        let root = Entry { id: ObjectId::from_bytes([9; 16]), dn: "dc=top".parse().unwrap(), attributes: Attributes::new() };
        store.apply(Event::InitApply(root), Timestamp(0));
        store.apply(Event::InitDone { sweep: true, cookie: None }, Timestamp(0));
        let server = Server { is_read: &|name| name != "description", created: None };
        for record in parse_changes(text.replace("dc=corp", "dc=corp,dc=top").as_bytes(), Path::new("c.ldif")).unwrap() {
            let event = event(&store.snapshot(), &record, &server, &mut BTreeSet::new()).map_err(|fault| fault.to_string())?;
            store.apply(event, Timestamp(0));
        }
        Ok(store.snapshot())
    }

    fn after(change: &str) -> Result<Snapshot, String> {
        applied(&format!("{TREE}\n{change}"))
    }

    #[test]
    fn as_a_server_does() {
        let state = after(
            "dn: ou=a,dc=corp\nchangetype: modrdn\nnewrdn: ou=b\ndeleteoldrdn: 1\n\n\
             dn: uid=u,ou=b,dc=corp\nchangetype: modify\ndelete: mail\nmail: U@X\n-\nadd: displayName\ndisplayName: U\n-\ndelete: description\n",
        )
        .unwrap();
        let user = real(&state, &"uid=u,ou=b,dc=corp,dc=top".parse().unwrap()).unwrap();
        assert_eq!((user.attributes.has("mail"), user.attributes.text("displayname")), (false, Some("U")));
        let group = real(&state, &"cn=g,dc=corp,dc=top".parse().unwrap()).unwrap();
        assert_eq!(state.members_deep(group.id), [user.id], "a member that moved stays one");
        let unit = real(&state, &"ou=b,dc=corp,dc=top".parse().unwrap()).unwrap();
        assert_eq!(unit.attributes.texts("ou").collect::<Vec<_>>(), ["b"]);
        let state = after("dn: ou=a,dc=corp\nchangetype: modrdn\nnewrdn: ou=b\ndeleteoldrdn: 0\n").unwrap();
        let unit = real(&state, &"ou=b,dc=corp,dc=top".parse().unwrap()).unwrap();
        assert_eq!(unit.attributes.texts("ou").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_a_server_refuses() {
        let check = |change: &str, expect: &str| {
            let said = after(change).unwrap_err();
            assert!(said.contains(expect) && said.starts_with("c.ldif:2"), "{said}");
        };
        check("dn: uid=x,dc=corp\nchangetype: delete\n", "there is no entry `uid=x,dc=corp,dc=top`");
        check("dn: ou=a,dc=corp\nchangetype: delete\n", "there are entries below");
        check("dn: ou=a,dc=corp\nchangetype: add\nou: a\n", "is there already");
        check("dn: uid=x,ou=y,dc=corp\nchangetype: add\nuid: x\n", "to stand in");
        check("dn: ou=a,dc=corp\nchangetype: modrdn\nnewrdn: ou=a\ndeleteoldrdn: 0\nnewsuperior: uid=u,ou=a,dc=corp\n", "below itself");
        check("dn: ou=a,dc=corp\nchangetype: modrdn\nnewrdn: cn=g\ndeleteoldrdn: 0\n", "is there already");
        check("dn: uid=u,ou=a,dc=corp\nchangetype: modify\ndelete: mail\nmail: v@x\n", "has no value `v@x`");
        check("dn: uid=u,ou=a,dc=corp\nchangetype: modify\nadd: mail\nmail: u@x\n", "already");
        check("dn: uid=u,ou=a,dc=corp\nchangetype: modify\ndelete: sn\n", "has no `sn`");
    }
}
