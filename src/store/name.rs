//! A DN as a key: from the root downwards, so that a subtree is a range.

use std::fmt;
use std::sync::Arc;

use crate::model::{Dn, Rdn};

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

    /// The key of a login name (RFC 2307 `memberUid`), which names whoever has it as `uid`.
    pub(crate) fn of_uid(uid: &str) -> Self {
        Self(format!("{UID}{}", crate::model::fold(uid)).into())
    }

    /// Whether it is a login name's key.
    pub(crate) fn is_uid(&self) -> bool {
        self.0.starts_with(UID)
    }

    /// Whether it lies strictly below the other.
    pub(crate) fn is_below(&self, above: &Self) -> bool {
        self.0.strip_prefix(&*above.0).is_some_and(|rest| above.0.is_empty() && !rest.is_empty() || rest.starts_with('\0'))
    }

    /// The name in the folded spelling: what is shown when nobody remembers how it was written.
    pub(crate) fn to_dn(&self) -> Dn {
        Dn::from_rdns(self.0.split('\0').rev().filter_map(|rdn| rdn.parse().ok()).collect())
    }

    /// As text, for keeping.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.replace('\0', "/"), f)
    }
}
