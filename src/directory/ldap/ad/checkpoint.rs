//! The cookie: which controller, in which of its lives, up to which count; and what it belongs to.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

use super::scope::{Replica, Scope};
use crate::directory::{Cookie, Dialect, LdapOptions};
use crate::model::ObjectId;

/// For the next format.
const HEADER: &str = "ad 1";

/// How many of the entries changed last are remembered.
const WITNESSES: usize = 8;

/// A state of the controller up to which everything was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) replica: Replica,
    /// `highestCommittedUSN`, read before the search for what had changed.
    pub(super) usn: u64,
    /// Whether the optional parts could be read, at any time.
    pub(super) whole: bool,
    /// Where DirSync goes on, by that dialect.
    pub(super) dirsync: Option<Vec<u8>>,
    /// Entries that were told from another controller, and were not here yet.
    pub(super) ahead: Vec<ObjectId>,
    pub(super) witnesses: Witnesses,
}

/// The entries changed last, and at which count. A controller that was put back to an older state, and went on from there, has
/// them otherwise: its count alone would not tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Witnesses(BTreeSet<(u64, ObjectId)>);

impl Witnesses {
    /// An entry was seen.
    pub(super) fn saw(&mut self, id: ObjectId, usn: u64) {
        if self.0.len() == WITNESSES && self.0.first().is_some_and(|(oldest, _)| usn < *oldest) {
            return;
        }
        self.0.retain(|(_, other)| *other != id);
        self.0.insert((usn, id));
        if self.0.len() > WITNESSES {
            self.0.pop_first();
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ObjectId> {
        self.0.iter().map(|(_, id)| *id)
    }

    /// Whether an entry as it is now can have followed from what it was, everything up to `usn` having been told.
    pub(super) fn agrees(&self, id: ObjectId, now: u64, usn: u64) -> bool {
        self.0.iter().all(|(then, other)| *other != id || now == *then || now > usn)
    }
}

/// What a cookie belongs to: another tree, account or list of attributes makes it worthless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Belongs(String);

impl Belongs {
    pub(super) fn of(options: &LdapOptions, dialect: Dialect, scope: &Scope, attributes: &[String]) -> Self {
        let mut hasher = Sha256::new();
        let account = options.bind.account();
        let mut names: Vec<String> = attributes.iter().map(|name| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        let tops = scope.parts.iter().map(|part| part.top.key());
        for part in tops.chain([account.to_lowercase(), dialect.to_string()]).chain(names) {
            hasher.update(part.len().to_be_bytes());
            hasher.update(part);
        }
        let mut text = String::new();
        for byte in hasher.finalize().iter().take(8) {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    pub(super) fn wrap(&self, checkpoint: &Checkpoint) -> Cookie {
        let Checkpoint { replica, usn, whole, dirsync, ahead, witnesses } = checkpoint;
        let mut text = format!("{HEADER} {}\n{}\n{}\n{usn}\n{}\n", self.0, replica.service, replica.invocation, u8::from(*whole));
        let dirsync = dirsync.as_ref().map_or_else(|| "-".to_owned(), |cookie| BASE64.encode(cookie));
        let ahead: Vec<String> = ahead.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "{dirsync}\n{}", ahead.join(" "));
        for (usn, id) in &witnesses.0 {
            let _ = writeln!(text, "{id} {usn}");
        }
        Cookie(text.into_bytes())
    }

    /// What the cookie says; nothing when it belongs to something else, or cannot be read.
    pub(super) fn open(&self, cookie: &Cookie) -> Option<Checkpoint> {
        let text = std::str::from_utf8(&cookie.0).ok()?;
        let mut lines = text.lines();
        if lines.next()? != format!("{HEADER} {}", self.0) {
            return None;
        }
        let replica = Replica { service: lines.next()?.to_owned(), invocation: lines.next()?.parse().ok()? };
        let usn = lines.next()?.parse().ok()?;
        let whole = lines.next()? == "1";
        let dirsync = match lines.next()? {
            "-" => None,
            text => Some(BASE64.decode(text).ok()?),
        };
        let ahead = lines.next()?.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        let mut witnesses = Witnesses::default();
        for line in lines.take(WITNESSES) {
            let (id, usn) = line.split_once(' ')?;
            witnesses.saw(id.parse().ok()?, usn.parse().ok()?);
        }
        Some(Checkpoint { replica, usn, whole, dirsync, ahead, witnesses })
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::{Context, Part};
    use super::*;
    use crate::directory::Bind;
    use crate::model::Secret;

    fn id(n: u8) -> ObjectId {
        ObjectId::from_bytes([n; 16])
    }

    fn scope(top: &str) -> Scope {
        let part = Part { top: top.parse().unwrap(), context: 0, optional: false };
        Scope::of(vec![part], vec![Context { dn: "DC=x".parse().unwrap(), shows_deleted: true }], id(9))
    }

    #[test]
    fn opens_where_it_belongs() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let options = LdapOptions::new("ldap://h".parse().unwrap());
        let mine = Belongs::of(&options, Dialect::ActiveDirectory, &scope("DC=x"), &names(&["cn", "mail"]));
        let mut checkpoint = Checkpoint {
            replica: Replica { service: "CN=NTDS Settings,CN=DC1,CN=Servers".into(), invocation: id(7) },
            usn: 4_711,
            whole: true,
            dirsync: Some(vec![1, 2, 255]),
            ahead: vec![id(3), id(4)],
            witnesses: Witnesses::default(),
        };
        for n in 0..12 {
            checkpoint.witnesses.saw(id(n), 4_700 + u64::from(n));
        }
        checkpoint.witnesses.saw(id(9), 4_711);
        assert_eq!(checkpoint.witnesses.0.len(), WITNESSES);
        let cookie = mine.wrap(&checkpoint);
        assert_eq!(mine.open(&cookie), Some(checkpoint.clone()));
        assert_eq!(Belongs::of(&options, Dialect::ActiveDirectory, &scope("dc=X"), &names(&["Mail", "CN"])), mine);
        let mut other = options.clone();
        other.bind = Bind::Simple { dn: "cn=reader".into(), password: Secret::new("p") };
        for theirs in [
            Belongs::of(&other, Dialect::ActiveDirectory, &scope("DC=x"), &names(&["cn", "mail"])),
            Belongs::of(&options, Dialect::ActiveDirectory, &scope("OU=a,DC=x"), &names(&["cn", "mail"])),
            Belongs::of(&options, Dialect::ActiveDirectory, &scope("DC=x"), &names(&["cn"])),
            Belongs::of(&options, Dialect::DirSync, &scope("DC=x"), &names(&["cn", "mail"])),
        ] {
            assert_eq!(theirs.open(&cookie), None);
        }
        for garbage in ["", "ad 1", "ad 1 x\ny", "garbage"] {
            assert_eq!(mine.open(&Cookie(garbage.into())), None);
        }
    }

    #[test]
    fn a_controller_put_back_is_found_out() {
        let mut witnesses = Witnesses::default();
        witnesses.saw(id(1), 10);
        witnesses.saw(id(2), 11);
        assert!(witnesses.agrees(id(1), 10, 12) && witnesses.agrees(id(1), 13, 12) && witnesses.agrees(id(3), 1, 12));
        // It had been changed at 10; now it says that it was last changed at 4.
        assert!(!witnesses.agrees(id(1), 4, 12));
        assert!(!witnesses.agrees(id(2), 12, 12));
    }
}
