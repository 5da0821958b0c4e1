//! An entry as a domain controller sends it, read from the raw structure: ids and SIDs are octets, whatever they look like.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::super::decode::{Malformed, RawAttributes};
use super::metadata;
use crate::directory::Entry;
use crate::model::{Attributes, Dn, Names, ObjectId};

/// What the dialect itself reads of every entry. Of these, the store is given the last three.
pub(super) const NEEDS: [&str; 8] =
    ["objectGUID", "uSNChanged", "uSNCreated", "isDeleted", "replPropertyMetaData", "objectSid", "primaryGroupID", "userAccountControl"];

/// What a list of ids asks for.
pub(super) const ROLL: [&str; 2] = ["objectGUID", "uSNChanged"];

/// The attributes that the store is not given: they change with every change, or are known otherwise.
const OWN: [&str; 6] = ["objectguid", "usnchanged", "usncreated", "isdeleted", "replpropertymetadata", "parentguid"];

/// An entry.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) id: ObjectId,
    /// Its name; or, when that cannot be read, its text and the reason.
    pub(super) dn: Result<Dn, (String, String)>,
    /// `uSNChanged`: the controller's count at its last change.
    pub(super) usn: u64,
    /// `uSNCreated`: the same at its creation; nothing when it may not be read.
    pub(super) created: Option<u64>,
    /// A tombstone.
    pub(super) deleted: bool,
    pub(super) attributes: Attributes,
    /// Attributes of which only the first values came.
    pub(super) ranged: Vec<Ranged>,
    /// `replPropertyMetaData` as it came; empty when it may not be read.
    pub(super) metadata: Vec<u8>,
    /// The entry above it, where that was asked for.
    pub(super) parent: Option<ObjectId>,
    /// When its name and its access rules were last set; nothing when that may not be read.
    pub(super) stamps: Option<metadata::Stamps>,
}

/// The first values of an attribute that has more (MS-ADTS §3.1.1.3.1.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranged {
    pub(super) name: String,
    pub(super) values: Vec<Vec<u8>>,
    /// Whether these are the last.
    pub(super) ends: bool,
}

impl Record {
    /// Reads an entry. `None`: it has no objectGUID, so that this account may not read anything of it.
    pub(super) fn read((name, found): (Vec<u8>, RawAttributes)) -> Result<Option<Self>, Malformed> {
        let mut attributes = Vec::new();
        let mut ranged = Vec::new();
        let mut own: HashMap<String, Vec<u8>> = HashMap::new();
        for (kind, values) in found {
            let kind = kind.strip_suffix(";binary").unwrap_or(&kind).to_ascii_lowercase();
            if OWN.contains(&kind.as_str()) {
                own.extend(values.into_iter().next().map(|value| (kind, value)));
            } else if let Some((name, ends)) = range_of(&kind) {
                ranged.push(Ranged { name: name.to_owned(), values, ends });
            } else if !values.is_empty() {
                // Beside `member;range=0-1499` there is a `member` without values.
                attributes.push((kind, values));
            }
        }
        let number = |own: &HashMap<String, Vec<u8>>, name: &str| -> Option<u64> {
            own.get(name).and_then(|value| std::str::from_utf8(value).ok()).and_then(|text| text.parse().ok())
        };
        let Some(id) = own.get("objectguid") else { return Ok(None) };
        let dn = match String::from_utf8(name) {
            Ok(name) => name.parse::<Dn>().map_err(|error| (name, error.to_string())),
            Err(error) => Err((String::from_utf8_lossy(error.as_bytes()).into_owned(), "not UTF-8".to_owned())),
        };
        Ok(Some(Self {
            id: guid(id).ok_or("an objectGUID that has not 16 octets")?,
            dn,
            usn: number(&own, "usnchanged").unwrap_or(0),
            created: number(&own, "usncreated"),
            deleted: own.get("isdeleted").is_some_and(|value| value.eq_ignore_ascii_case(b"TRUE")),
            // The store shares names between entries; this one alone has nothing to share.
            attributes: Attributes::gather(attributes, &mut Names::default()),
            ranged,
            stamps: own.get("replpropertymetadata").and_then(|value| metadata::Stamps::read(value)),
            parent: own.get("parentguid").and_then(|value| guid(value)),
            metadata: own.remove("replpropertymetadata").unwrap_or_default(),
        }))
    }

    /// For the store, once all values are there.
    pub(super) fn into_entry(self) -> Option<Entry> {
        let Self { id, dn, mut attributes, ranged, .. } = self;
        for Ranged { name, values, .. } in ranged {
            attributes.add(&name, values);
        }
        dn.ok().map(|dn| Entry { id, dn, attributes })
    }

    /// Whether entries may stand below it. Computers and servers have service connection points there.
    pub(super) fn may_hold(&self) -> bool {
        let leaf = |class| self.attributes.has_class(class);
        !(leaf("group") || leaf("contact") || leaf("user") && !leaf("computer"))
    }

    /// Whether it was there at this count, and may have had another name then.
    pub(super) fn may_have_moved_since(&self, usn: u64) -> bool {
        self.created.is_none_or(|created| created <= usn) && self.named_since(usn)
    }

    /// Whether it may have got its name since this count, by whichever way.
    pub(super) fn named_since(&self, usn: u64) -> bool {
        self.stamps.is_none_or(|stamps| stamps.named > usn)
    }

    /// Whether its access rules were changed since this count.
    pub(super) fn access_changed_since(&self, usn: u64) -> bool {
        self.created.is_some_and(|created| created <= usn) && self.stamps.is_some_and(|stamps| stamps.secured > usn)
    }
}

/// `member;range=0-1499`: the attribute, and whether these are its last values (`member;range=1500-*`).
pub(super) fn range_of(kind: &str) -> Option<(&str, bool)> {
    let (name, range) = kind.split_once(";range=")?;
    let (_, high) = range.split_once('-')?;
    Some((name, high == "*"))
}

/// An objectGUID as an id that is shown as Active Directory's tools show it: the first three groups are little-endian there
/// (MS-DTYP §2.3.4.2).
pub(super) fn guid(octets: &[u8]) -> Option<ObjectId> {
    <[u8; 16]>::try_from(octets).ok().map(|octets| ObjectId::from_bytes(turned(octets)))
}

/// The same for a filter (RFC 4515 §3).
pub(super) fn guid_filter(id: ObjectId) -> String {
    let mut filter = "(objectGUID=".to_owned();
    for octet in turned(*id.as_bytes()) {
        // Writing to a string does not fail.
        let _ = write!(filter, "\\{octet:02x}");
    }
    filter + ")"
}

fn turned(o: [u8; 16]) -> [u8; 16] {
    [o[3], o[2], o[1], o[0], o[5], o[4], o[7], o[6], o[8], o[9], o[10], o[11], o[12], o[13], o[14], o[15]]
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCTETS: [u8; 16] = [0xe8, 0xdd, 0xd0, 0x69, 0x4b, 0x70, 0x06, 0x42, 0xb7, 0xb5, 0xc8, 0xb5, 0xaf, 0xf9, 0x72, 0x51];

    fn raw(values: &[(&str, &[&[u8]])]) -> RawAttributes {
        values.iter().map(|(name, values)| ((*name).to_owned(), values.iter().map(|value| value.to_vec()).collect())).collect()
    }

    #[test]
    fn ids_are_shown_as_the_tools_show_them() {
        // As in the name of this tombstone: CN=u1\0ADEL:69d0dde8-704b-4206-b7b5-c8b5aff97251.
        let id = guid(&OCTETS).unwrap();
        assert_eq!(id.to_string(), "69d0dde8-704b-4206-b7b5-c8b5aff97251");
        assert_eq!(guid_filter(id), r"(objectGUID=\e8\dd\d0\69\4b\70\06\42\b7\b5\c8\b5\af\f9\72\51)");
        assert_eq!(guid(&OCTETS[..15]), None);
    }

    #[test]
    fn reads_entries() {
        let found = raw(&[
            ("objectGUID", &[&OCTETS]),
            ("uSNChanged", &[b"12"]),
            ("uSNCreated", &[b"7"]),
            ("objectSid", &[b"\x01\x05\x00"]),
            ("member", &[]),
            ("member;range=0-1499", &[b"cn=a", b"cn=b"]),
        ]);
        let record = Record::read((b"CN=g\\0ACNF:1,DC=x".to_vec(), found)).unwrap().unwrap();
        assert_eq!((record.usn, record.created, record.deleted), (12, Some(7), false));
        assert!(!record.attributes.has("member") && !record.attributes.has("uSNChanged"));
        assert_eq!(record.ranged[0], Ranged { name: "member".into(), values: vec![b"cn=a".to_vec(), b"cn=b".to_vec()], ends: false });
        let entry = record.into_entry().unwrap();
        assert_eq!((entry.dn.to_string(), entry.attributes.values("member").len()), ("CN=g\\0aCNF:1,DC=x".into(), 2));
        // Nothing may be read of it.
        assert!(Record::read((b"CN=x".to_vec(), raw(&[]))).unwrap().is_none());
        assert!(Record::read((b"CN=x".to_vec(), raw(&[("objectGUID", &[b"short"])]))).is_err());
    }

    #[test]
    fn ranges() {
        assert_eq!(range_of("member;range=0-1499"), Some(("member", false)));
        assert_eq!(range_of("member;range=1500-*"), Some(("member", true)));
        assert_eq!(range_of("member"), None);
    }
}
