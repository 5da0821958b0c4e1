//! What an entry is known by, and which version of it was read.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use sha2::{Digest, Sha256};

use super::clock;
use super::ledger::{LEAF, YOUNG};
use crate::model::{Attributes, Dn, ObjectId};

/// The attribute that gives an entry its stable id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// RFC 4530.
    EntryUuid,
    /// 389 Directory Server and its kin, in four groups of eight digits. Where it is, it is what the server itself goes by.
    NsUniqueId,
    /// Active Directory and Samba: sixteen octets, the first three groups the other way round (MS-DTYP §2.3.4).
    ObjectGuid,
    /// eDirectory: sixteen octets.
    Guid,
    /// IBM's and HCL's.
    IbmEntryUuid,
    /// None of these: the name. An entry that is renamed is then another one.
    Name,
}

/// Attributes that differ whenever an entry does, as far as a server has them.
pub(super) const VERSIONS: [&str; 4] = ["entryCSN", "entryUSN", "uSNChanged", MODIFIED];
const MODIFIED: &str = "modifyTimestamp";

impl Identity {
    /// In the order in which they are looked for.
    pub(super) const ALL: [Self; 5] = [Self::NsUniqueId, Self::EntryUuid, Self::ObjectGuid, Self::Guid, Self::IbmEntryUuid];

    /// The attribute; none for the name.
    pub(super) const fn attribute(self) -> Option<&'static str> {
        match self {
            Self::EntryUuid => Some("entryUUID"),
            Self::NsUniqueId => Some("nsUniqueId"),
            Self::ObjectGuid => Some("objectGUID"),
            Self::Guid => Some("GUID"),
            Self::IbmEntryUuid => Some("ibm-entryuuid"),
            Self::Name => None,
        }
    }

    /// The one that an entry of the server has.
    pub(super) fn seen(attributes: &Attributes) -> Self {
        let has = |identity: &Self| identity.attribute().is_some_and(|name| attributes.has(name));
        Self::ALL.into_iter().find(has).unwrap_or(Self::Name)
    }

    /// The id of an entry with these attributes and this name.
    pub(super) fn of(self, attributes: &Attributes, name: &[u8]) -> Option<ObjectId> {
        match (self, self.attribute()) {
            (Self::ObjectGuid | Self::Guid, Some(attribute)) => {
                let mut octets: [u8; 16] = attributes.values(attribute).first()?.try_into().ok()?;
                if self == Self::ObjectGuid {
                    for group in [0..4, 4..6, 6..8] {
                        octets.get_mut(group)?.reverse();
                    }
                }
                Some(ObjectId::from_bytes(octets))
            }
            (_, Some(attribute)) => attributes.text(attribute)?.parse().ok(),
            (_, None) => {
                let text = std::str::from_utf8(name).ok()?;
                let key = text.parse::<Dn>().map_or_else(|_| text.to_lowercase(), |dn| dn.key());
                let octets: [u8; 32] = Sha256::digest(key).into();
                octets.get(..16)?.try_into().ok().map(ObjectId::from_bytes)
            }
        }
    }

    /// A filter that finds the entry (RFC 4515 §3); none where entries go by their names.
    pub(super) fn filter(self, id: &ObjectId) -> Option<String> {
        let attribute = self.attribute()?;
        let hex = |octets: &[u8], before: &str| {
            octets.iter().fold(String::new(), |mut text, octet| {
                // Writing to a string does not fail.
                let _ = write!(text, "{before}{octet:02x}");
                text
            })
        };
        let octets = id.as_bytes();
        let value = match self {
            Self::NsUniqueId => octets.chunks(4).map(|group| hex(group, "")).collect::<Vec<_>>().join("-"),
            Self::ObjectGuid => {
                let mut octets = *octets;
                for group in [0..4, 4..6, 6..8] {
                    octets.get_mut(group)?.reverse();
                }
                hex(&octets, "\\")
            }
            Self::Guid => hex(octets, "\\"),
            _ => id.to_string(),
        };
        Some(format!("({attribute}={value})"))
    }
}

/// Which version of an entry was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Version {
    /// Differs whenever the entry does, with its two lowest bits clear; 0 when nothing tells.
    pub(super) number: u64,
    /// When it was changed, by the clock of the server that took the change, in seconds since 1970.
    pub(super) changed_s: Option<i64>,
    /// Whether two changes of one second differ too.
    pub(super) is_fine: bool,
}

impl Version {
    /// Its number, marked when the entry's next change may bear the same: `since_s` is the second before which all changes are told,
    /// by any server's clock.
    pub(super) fn marked(self, since_s: i64) -> u64 {
        let is_young = self.number != 0 && !self.is_fine && self.changed_s.is_some_and(|at| at >= since_s);
        if is_young { self.number | YOUNG } else { self.number }
    }
}

/// The version that the attributes show. What it was made of is taken out.
pub(super) fn take_version(attributes: &mut Attributes) -> Version {
    let mut hasher = DefaultHasher::new();
    let mut version = Version::default();
    for name in VERSIONS {
        for value in attributes.remove(name) {
            version.number = 1;
            if name == MODIFIED {
                version.changed_s = std::str::from_utf8(&value).ok().and_then(clock::seconds);
            } else {
                version.is_fine = true;
            }
            (name, value).hash(&mut hasher);
        }
    }
    if version.number > 0 {
        version.number = (hasher.finish() & !(YOUNG | LEAF)).max(LEAF << 1);
    }
    version
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(name: &str, value: &[u8]) -> Attributes {
        [(name, value.to_vec())].into_iter().collect()
    }

    #[test]
    fn ids_and_how_they_are_asked_for() {
        let check = |name: &str, value: &[u8]| {
            let attributes = attributes(name, value);
            let identity = Identity::seen(&attributes);
            let id = identity.of(&attributes, b"cn=a,dc=x").unwrap();
            format!("{id} {}", identity.filter(&id).unwrap_or_default())
        };
        let octets: Vec<u8> = (1..=16).collect();
        insta::assert_snapshot!(check("entryUUID", b"01020304-0506-0708-090a-0b0c0d0e0f10"), @"01020304-0506-0708-090a-0b0c0d0e0f10 (entryUUID=01020304-0506-0708-090a-0b0c0d0e0f10)");
        insta::assert_snapshot!(check("nsuniqueid", b"01020304-05060708-090a0b0c-0d0e0f10"), @"01020304-0506-0708-090a-0b0c0d0e0f10 (nsUniqueId=01020304-05060708-090a0b0c-0d0e0f10)");
        insta::assert_snapshot!(check("objectGUID", &octets), @r"04030201-0605-0807-090a-0b0c0d0e0f10 (objectGUID=\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f\10)");
        insta::assert_snapshot!(check("GUID", &octets), @r"01020304-0506-0708-090a-0b0c0d0e0f10 (GUID=\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f\10)");
        // By the name, in any spelling.
        assert_eq!(Identity::Name.of(&Attributes::new(), b"CN=A, dc=x"), Identity::Name.of(&Attributes::new(), b"cn=a,dc=X"));
        assert_eq!(Identity::Name.filter(&ObjectId::from_bytes([1; 16])), None);
        assert_eq!(Identity::ObjectGuid.of(&attributes("objectGUID", b"short"), b""), None);
        assert_eq!(Identity::EntryUuid.of(&attributes("entryUUID", b"nonsense"), b""), None);
    }

    #[test]
    fn versions_are_taken_out() {
        let mut one: Attributes =
            [("cn", b"a".to_vec()), ("modifyTimestamp", b"1".to_vec()), ("entryCSN", b"2".to_vec())].into_iter().collect();
        let mut other: Attributes =
            [("cn", b"a".to_vec()), ("modifyTimestamp", b"1".to_vec()), ("entryCSN", b"3".to_vec())].into_iter().collect();
        assert_ne!(take_version(&mut one), take_version(&mut other));
        assert_eq!(one, other);
        assert_eq!(take_version(&mut one), Version::default());
    }
}
