//! Addresses of record.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// An address of record: `sip:user@domain` (RFC 3261 §6, §10).
///
/// It is compared without regard to case, although RFC 3261 §19.1.4 keeps case in the user part: the addresses come from
/// directory attributes that ignore case, and registrars in the field ignore it too. `sips:` names the same record.
///
/// There are as many as users: both of its forms are one text.
#[derive(Clone)]
pub struct Aor {
    /// As written, always with `sip:`. Where the key is not the rest of that, then NUL, which is in neither, and the key:
    /// `user@domain`, escapes of unreserved characters undone, in lower case.
    text: Arc<str>,
}

/// Why a text is not an address of record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AorError {
    /// Neither `sip:` nor `sips:`.
    #[error("`{0}` does not begin with `sip:` or `sips:`")]
    Scheme(String),
    /// No user part or no domain.
    #[error("`{0}` is not `sip:user@domain`")]
    Shape(String),
    /// A character that a SIP URI does not allow.
    #[error("`{text}` holds `{found}`, which a SIP URI does not allow there (RFC 3261 §25.1)")]
    Character {
        /// The whole text.
        text: String,
        /// The character.
        found: char,
    },
}

impl Aor {
    /// The longest address accepted, in octets: well past RFC 5321's 254 for a mailbox.
    pub const LENGTH_MAX: usize = 512;

    /// The folded `user@domain`: equal for equal records.
    pub fn key(&self) -> &str {
        match parts(&self.text) {
            (_, Some(key)) => key,
            (shown, None) => shown.get(SCHEME.len()..).unwrap_or_default(),
        }
    }

    /// The domain, in lower case.
    pub fn domain(&self) -> &str {
        self.key().rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The user part, as folded for comparison.
    pub fn user(&self) -> &str {
        self.key().rsplit_once('@').map_or("", |(user, _)| user)
    }

    /// The URI as written, always with `sip:`.
    pub fn as_str(&self) -> &str {
        parts(&self.text).0
    }

    /// The same, shared where it can be.
    pub(crate) fn shared_text(&self) -> Arc<str> {
        match parts(&self.text) {
            (_, None) => Arc::clone(&self.text),
            (shown, Some(_)) => shown.into(),
        }
    }
}

impl FromStr for Aor {
    type Err = AorError;

    fn from_str(text: &str) -> Result<Self, AorError> {
        let text = text.trim();
        let shape = || AorError::Shape(text.to_owned());
        let (scheme, rest) = text.split_once(':').ok_or_else(|| AorError::Scheme(text.to_owned()))?;
        if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            return Err(AorError::Scheme(text.to_owned()));
        }
        // URI parameters and headers do not belong to the record (RFC 3261 §10.3 step 5).
        let (user, host) = rest.split_once('@').ok_or_else(shape)?;
        let host = host.split([';', '?']).next().unwrap_or_default();
        if user.is_empty() || host.is_empty() || text.len() > Self::LENGTH_MAX {
            return Err(shape());
        }
        if let Some(found) = user.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,;?/%".contains(*c))) {
            return Err(AorError::Character { text: text.to_owned(), found });
        }
        if let Some(found) = host.chars().find(|c| !(c.is_ascii_alphanumeric() || "-.:[]_".contains(*c))) {
            return Err(AorError::Character { text: text.to_owned(), found });
        }
        let key = format!("{}@{}", unescape(user), host).to_ascii_lowercase();
        let mut shown = String::with_capacity(SCHEME.len() + user.len() + 1 + host.len());
        shown.extend([SCHEME, user, "@", host]);
        if shown.get(SCHEME.len()..) != Some(&*key) {
            shown.push('\0');
            shown.push_str(&key);
        }
        Ok(Self { text: shown.into() })
    }
}

const SCHEME: &str = "sip:";

/// What is shown, and the key if it is written by itself.
fn parts(text: &str) -> (&str, Option<&str>) {
    // Nearly always there is none, which is quick to see.
    match text.as_bytes().contains(&0).then(|| text.find('\0')).flatten() {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}

/// Undoes `%41`, which RFC 3261 §19.1.4 holds equal to `A`; reserved characters stay escaped.
fn unescape(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    let mut rest = user;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let code = from.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(char::from);
        match code {
            Some(c) if c.is_ascii_alphanumeric() || "-_.!~*'()".contains(c) => {
                out.push(c);
                rest = from.get(3..).unwrap_or_default();
            }
            _ => {
                out.push('%');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

impl PartialEq for Aor {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Aor {}
impl Hash for Aor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
impl Ord for Aor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key())
    }
}
impl PartialOrd for Aor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Debug for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_record() {
        for (one, other) in [
            ("sip:Anna@Corp.Example", "sip:anna@corp.example"),
            ("sips:anna@corp.example", "SIP:anna@corp.example;transport=tcp?x=y"),
            ("sip:%61nna@corp.example", "sip:anna@corp.example"),
        ] {
            assert_eq!(one.parse::<Aor>().unwrap(), other.parse::<Aor>().unwrap(), "{one} / {other}");
        }
        // A reserved character stays escaped: it is another user.
        assert_ne!("sip:a%3bb@x".parse::<Aor>().unwrap(), "sip:a;b@x".parse::<Aor>().unwrap());
    }

    #[test]
    fn parts() {
        let aor: Aor = "sip:Anna@Corp.Example:5070".parse().unwrap();
        assert_eq!((aor.user(), aor.domain(), aor.as_str()), ("anna", "corp.example:5070", "sip:Anna@Corp.Example:5070"));
    }

    #[test]
    fn refused() {
        let check = |text: &str| text.parse::<Aor>().unwrap_err().to_string();
        insta::assert_snapshot!(check("anna@corp.example"), @"`anna@corp.example` does not begin with `sip:` or `sips:`");
        insta::assert_snapshot!(check("mailto:anna@corp.example"), @"`mailto:anna@corp.example` does not begin with `sip:` or `sips:`");
        insta::assert_snapshot!(check("sip:corp.example"), @"`sip:corp.example` is not `sip:user@domain`");
        insta::assert_snapshot!(check("sip:an na@corp.example"), @"`sip:an na@corp.example` holds ` `, which a SIP URI does not allow there (RFC 3261 §25.1)");
    }
}
