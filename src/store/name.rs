//! A DN as a key: from the root downwards, so that a subtree is a range.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use crate::model::{Dn, Rdn, fold};

/// The folded RDNs of a DN, the root's first, separated by NUL (which RDN keys escape).
///
/// Whatever lies below a name begins with the name and a NUL, and nothing else does: the names of a subtree are one
/// range of a sorted map.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Name(Arc<str>);

/// Begins the key of a `memberUid` value: no RDN key holds a control character, so it can be no DN's.
const UID: char = '\u{1}';

impl Name {
    /// The key of a DN.
    pub(crate) fn of(dn: &Dn) -> Self {
        Self::of_rdns(dn.rdns())
    }

    /// The key of RDNs, the leaf first.
    pub(crate) fn of_rdns(rdns: &[Rdn]) -> Self {
        let mut text = String::with_capacity(rdns.iter().map(|rdn| rdn.key().len() + 1).sum());
        for rdn in rdns.iter().rev() {
            if !text.is_empty() {
                text.push('\0');
            }
            text.push_str(rdn.key());
        }
        Self(text.into())
    }

    /// The key of the name one RDN below, whose folded form that is.
    pub(crate) fn child(&self, key: &str) -> Self {
        if self.0.is_empty() { Self(key.into()) } else { Self(format!("{}\0{key}", self.0).into()) }
    }

    /// Whether it is that name.
    pub(crate) fn is_child(&self, above: &Self, key: &str) -> bool {
        self.0.strip_suffix(key).and_then(|rest| rest.strip_suffix('\0')) == Some(&above.0)
    }

    /// The key of a login name (RFC 2307 `memberUid`), which names whoever has it as `uid`.
    pub(crate) fn of_uid(uid: &str) -> Self {
        Self(format!("{UID}{}", fold(uid)).into())
    }

    /// Whether it is a login name's key.
    pub(crate) fn is_uid(&self) -> bool {
        self.0.starts_with(UID)
    }

    /// The same for equal names, and different for nearly all others; another one in another version of this program.
    pub(crate) fn hash64(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Whether it lies strictly below the other.
    pub(crate) fn is_below(&self, above: &Self) -> bool {
        !above.0.is_empty() && self.0.strip_prefix(&*above.0).is_some_and(|rest| rest.starts_with('\0'))
    }

    /// The name in the folded spelling: what is shown when nobody remembers how it was written.
    pub(crate) fn to_dn(&self) -> Dn {
        if let Some(uid) = self.0.strip_prefix(UID) {
            return unreadable("memberUid", uid.as_bytes());
        }
        Dn::from_rdns(self.0.split('\0').rev().filter_map(|rdn| rdn.parse().ok()).collect())
    }

    /// As text, for keeping.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A DN of one RDN that shows a value which is no DN: `memberUid=anna`.
pub(crate) fn unreadable(attribute: &str, value: &[u8]) -> Dn {
    let text = String::from_utf8_lossy(value);
    let mut rdn = format!("{attribute}=");
    for c in text.chars() {
        if c.is_alphanumeric() || "-._@".contains(c) {
            rdn.push(c);
        } else {
            let mut buffer = [0; 4];
            rdn.extend(c.encode_utf8(&mut buffer).bytes().map(|byte| format!("\\{byte:02x}")));
        }
    }
    rdn.parse().unwrap_or_default()
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.replace('\0', "/"), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(dn: &str) -> Name {
        Name::of(&dn.parse().unwrap())
    }

    #[test]
    fn a_subtree_is_a_range() {
        let check = |below: &str, above: &str, expect: bool| assert_eq!(name(below).is_below(&name(above)), expect, "{below} / {above}");
        check("OU=Berlin,DC=corp", "dc=corp", true);
        check("uid=a,OU=Berlin,DC=corp", "dc=corp", true);
        check("dc=corp", "dc=corp", false);
        check("dc=corporation", "dc=corp", false);
        check("dc=corp\\,dc=x", "dc=corp", false);
        check("ou=x,dc=corp\\\\", "dc=corp\\\\", true);
        check("dc=corp", "", false);
    }

    #[test]
    fn shows_what_it_folded() {
        for (dn, expect) in
            [("CN=Anna  Meier, OU=Berlin,DC=Corp", "cn=anna meier,ou=berlin,dc=corp"), ("CN=a\\,b+uid=1,dc=x", "cn=a\\,b+uid=1,dc=x")]
        {
            assert_eq!(name(dn).to_dn().to_string(), expect);
            assert_eq!(Name::of(&name(dn).to_dn()), name(dn));
        }
        assert_eq!(Name::of_uid(" Anna").to_dn().to_string(), "memberUid=anna");
        assert_eq!(unreadable("member", b"not a, dn").to_string(), "member=not a\\, dn");
    }
}
