//! The server's cookie with what it belongs to: another tree, account or attribute list makes it worthless.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::directory::{Cookie, LdapOptions};
use crate::model::Dn;

/// For the next format.
const HEADER: &[u8] = b"syncrepl 1 ";
/// The same for 389 Directory Server; the mark of the change follows.
const HEADER_389: &[u8] = b"389ds 1 ";
/// A change number of its changelog, after its mark.
const HEADER_CHANGELOG: &str = "389ds-changelog 1 ";

/// What a cookie belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::directory::ldap) struct Envelope(String);

/// A cookie of 389 Directory Server, and what its change is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) cookie: Vec<u8>,
    /// The id of the change's entry in the changelog, where the account can read it.
    pub(super) mark: Option<String>,
}

impl Envelope {
    /// Of a session that reads this tree by these options.
    pub(in crate::directory::ldap) fn of(options: &LdapOptions, base: &Dn, attributes: &[String]) -> Self {
        let mut hasher = Sha256::new();
        let account = options.bind.account();
        let mut names: Vec<String> = attributes.iter().map(|name| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        for part in [options.url.origin(), base.key(), account.to_lowercase()].iter().chain(&names) {
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

    pub(super) fn wrap(&self, cookie: &Cookie) -> Cookie {
        Cookie([HEADER, self.0.as_bytes(), b" ", &cookie.0].concat())
    }

    /// The server's cookie; nothing when it belongs to something else, or is none of OpenLDAP's.
    pub(super) fn open(&self, cookie: &Cookie) -> Option<Vec<u8>> {
        let rest = cookie.0.strip_prefix(HEADER)?.strip_prefix(self.0.as_bytes())?.strip_prefix(b" ")?;
        is_openldap(rest).then(|| rest.to_vec())
    }
}

impl Envelope {
    pub(super) fn wrap_389(&self, marked: &Marked) -> Cookie {
        let mark = marked.mark.as_deref().unwrap_or("-");
        Cookie([HEADER_389, self.0.as_bytes(), b" ", mark.as_bytes(), b" ", &marked.cookie].concat())
    }

    /// The server's cookie; nothing when it belongs to something else, or is none of 389 Directory Server's.
    pub(super) fn open_389(&self, cookie: &Cookie) -> Option<Marked> {
        let rest = cookie.0.strip_prefix(HEADER_389)?.strip_prefix(self.0.as_bytes())?.strip_prefix(b" ")?;
        let space = rest.iter().position(|octet| *octet == b' ')?;
        let (mark, cookie) = (rest.get(..space)?, rest.get(space + 1..)?);
        let mark = std::str::from_utf8(mark).ok().filter(|mark| *mark != "-").map(str::to_owned);
        number_of(cookie).is_some().then(|| Marked { cookie: cookie.to_vec(), mark })
    }
}

impl Envelope {
    pub(in crate::directory::ldap) fn wrap_changelog(&self, number: u64, mark: &str) -> Cookie {
        Cookie(format!("{HEADER_CHANGELOG}{} {mark} {number}", self.0).into_bytes())
    }

    /// The number and the mark; nothing when they belong to something else.
    pub(in crate::directory::ldap) fn open_changelog(&self, cookie: &Cookie) -> Option<(u64, String)> {
        let text = std::str::from_utf8(&cookie.0).ok()?;
        let rest = text.strip_prefix(HEADER_CHANGELOG)?.strip_prefix(&self.0)?.strip_prefix(' ')?;
        let (mark, number) = rest.split_once(' ')?;
        Some((number.parse().ok()?, mark.to_owned()))
    }
}

/// The change number of a cookie of 389 Directory Server: `SERVER#ACCOUNT:BASE:FILTER#NUMBER`.
pub(super) fn number_of(cookie: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(cookie).ok()?;
    let (rest, number) = text.rsplit_once('#')?;
    rest.contains('#').then(|| number.parse().ok())?
}

/// OpenLDAP takes a cookie that it cannot read for none, and sends the whole content, but ends it as it ends changes alone:
/// nobody would notice what is gone. So such a cookie is not sent.
///
/// It must be `rid=…,csn=…` with one or several CSNs (`20260102030405.123456Z#000000#001#000000`), separated by semicolons.
fn is_openldap(cookie: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(cookie) else { return false };
    let csns = text.split(',').find_map(|part| part.strip_prefix("csn="));
    csns.is_some_and(|csns| csns.split(';').all(is_csn))
}

/// The second of the newest CSN, as a generalized time (`20260102030405Z`).
pub(super) fn second_of(cookie: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(cookie).ok().filter(|_| is_openldap(cookie))?;
    let csns = text.split(',').find_map(|part| part.strip_prefix("csn="))?;
    Some(format!("{}Z", csns.split(';').max()?.get(..14)?))
}

fn is_csn(text: &str) -> bool {
    let lengths = text.split(['.', 'Z', '#']).map(str::len);
    let digits = text.chars().all(|c| c.is_ascii_hexdigit() || ".Z#".contains(c));
    digits && lengths.eq([14, 6, 0, 6, 3, 6])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Bind;
    use crate::model::Secret;

    const RAW: &[u8] = b"rid=001,csn=20260102030405.123456Z#000000#001#000000;20260102030405.123456Z#000000#00a#000000";

    #[test]
    fn what_openldap_can_read() {
        assert!(is_openldap(RAW));
        assert!(is_openldap(b"csn=20260102030405.123456Z#000000#000#000000,rid=000"));
        for bad in ["", "rid=000", "rid=000,csn=", "rid=000,csn=nonsense", "csn=20260102030405Z#000000#000#000000", "csn=2026\u{fc}"] {
            assert!(!is_openldap(bad.as_bytes()), "{bad}");
        }
        assert!(!is_openldap(b"csn=\xff"));
        assert_eq!(second_of(RAW).as_deref(), Some("20260102030405Z"));
        assert_eq!(
            second_of(b"rid=000,csn=20260102030405.123456Z#000000#001#000000;20260103030405.123456Z#000000#00a#000000").as_deref(),
            Some("20260103030405Z")
        );
        assert_eq!(second_of(b"nonsense"), None);
    }

    #[test]
    fn cookies_of_389() {
        let envelope = Envelope::of(&LdapOptions::new("ldap://h".parse().unwrap()), &"dc=x".parse().unwrap(), &[]);
        let raw = b"localhost:389#cn=a b#c:dc=x:(objectClass=*)#17".to_vec();
        for mark in [None, Some("f72ca641-e7f811f1-8c8dae09-f9666975".to_owned())] {
            let marked = Marked { cookie: raw.clone(), mark };
            assert_eq!(envelope.open_389(&envelope.wrap_389(&marked)), Some(marked));
        }
        assert_eq!(number_of(&raw), Some(17));
        for bad in ["", "17", "a#17", "a#b#", "a#b#-1", "a#b#x", "a#b#99999999999999999999"] {
            assert_eq!(number_of(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(envelope.open_389(&Cookie(b"389ds 1 ".to_vec())), None);
        assert_eq!(envelope.open_389(&envelope.wrap(&Cookie(RAW.to_vec()))), None);
        assert_eq!(envelope.open_changelog(&envelope.wrap_changelog(17, "m")), Some((17, "m".to_owned())));
        for bad in ["", "389ds 1 ", "389ds-changelog 1 ", "389ds-changelog 1 0123 m 17"] {
            assert_eq!(envelope.open_changelog(&Cookie(bad.into())), None, "{bad}");
        }
    }

    #[test]
    fn opens_where_it_belongs() {
        let base: Dn = "dc=x".parse().unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let options = LdapOptions::new("ldap://h".parse().unwrap());
        let mine = Envelope::of(&options, &base, &names(&["cn", "mail"]));
        let cookie = mine.wrap(&Cookie(RAW.to_vec()));
        let opens = |envelope: Envelope| envelope.open(&cookie).as_deref() == Some(RAW);
        assert!(opens(mine));
        assert!(opens(Envelope::of(&options, &"DC=X".parse().unwrap(), &names(&["MAIL", "cn"]))));
        assert!(!opens(Envelope::of(&options, &"dc=y".parse().unwrap(), &names(&["cn", "mail"]))));
        assert!(!opens(Envelope::of(&options, &base, &names(&["cn"]))));
        assert!(!opens(Envelope::of(&LdapOptions::new("ldap://i".parse().unwrap()), &base, &names(&["cn", "mail"]))));
        let mut other = options.clone();
        other.bind = Bind::Simple { dn: "cn=reader".into(), password: Secret::new("x") };
        assert!(!opens(Envelope::of(&other, &base, &names(&["cn", "mail"]))));
        for text in ["", "ldif 1", "syncrepl 1 ", "rid=001"] {
            assert_eq!(Envelope::of(&options, &base, &[]).open(&Cookie(text.into())), None);
        }
    }
}
