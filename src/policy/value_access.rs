//! Access entries: who may see a user's presence, and who may call or write.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use super::value::{Why, is_forbidden};
use super::value_uri;
use crate::model::{Aor, Dn};

/// One access entry: `allow|deny|polite|prompt presence|contact|all user:…|group:…|ou:…|domain:…|any`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ace {
    /// What happens.
    pub verdict: Verdict,
    /// To which right.
    pub right: Right,
    /// For whom.
    pub subject: Subject,
}

/// What happens to somebody who asks. Ordered by strength: in a tie the greatest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It is granted.
    Allow,
    /// The user is asked.
    Prompt,
    /// It is refused without saying so: the user seems to be away.
    Polite,
    /// It is refused.
    Deny,
}

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Seeing the user's presence.
    Presence,
    /// Calling and writing.
    Contact,
    /// Both.
    All,
}

/// Whom an entry is about.
///
/// `==` is exact, since it decides whether a document differs; [`Subject::names_same`] compares as a directory does.
#[derive(Debug, Clone)]
pub enum Subject {
    /// One user, by address.
    User(Aor),
    /// One user, by the name of the directory entry.
    UserEntry(Dn),
    /// The members of a group, nested ones included.
    Group(Dn),
    /// Everybody in a container and below.
    Unit(Dn),
    /// Every address of a domain.
    Domain(Arc<str>),
    /// Everybody.
    Any,
}

/// What holds for those whom no entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccessDefault {
    /// For users of the same directory.
    pub directory: Verdict,
    /// For everybody else.
    pub others: Verdict,
}

impl Verdict {
    const ALL: [Self; 4] = [Self::Allow, Self::Prompt, Self::Polite, Self::Deny];

    /// The word, as policies and documents have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Prompt => "prompt",
            Self::Polite => "polite",
            Self::Deny => "deny",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Why> {
        Self::ALL.into_iter().find(|verdict| verdict.name().eq_ignore_ascii_case(text)).ok_or_else(|| Why::shape(text))
    }
}

impl Right {
    const EACH: [Self; 3] = [Self::Presence, Self::Contact, Self::All];

    /// The word, as policies and documents have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Contact => "contact",
            Self::All => "all",
        }
    }

    fn parse(text: &str) -> Result<Self, Why> {
        Self::EACH.into_iter().find(|right| right.name().eq_ignore_ascii_case(text)).ok_or_else(|| Why::shape(text))
    }
}

impl Ace {
    pub(super) fn parse(text: &str) -> Result<Self, Why> {
        let (verdict, rest) = text.split_once(char::is_whitespace).ok_or_else(|| Why::shape(text))?;
        let (right, subject) = rest.trim_start().split_once(char::is_whitespace).ok_or_else(|| Why::shape(text))?;
        let ace = Self { verdict: Verdict::parse(verdict)?, right: Right::parse(right)?, subject: Subject::parse(subject.trim_start())? };
        // A DN may hide a forbidden character behind an escape, which printing undoes.
        ace.to_string().chars().find(|c| is_forbidden(*c)).map_or(Ok(ace), |found| Err(Why::Forbidden(found)))
    }

    /// Whether both say the same of the same subject.
    pub fn names_same(&self, other: &Self) -> bool {
        (self.verdict, self.right) == (other.verdict, other.right) && self.subject.names_same(&other.subject)
    }
}

impl Subject {
    fn parse(text: &str) -> Result<Self, Why> {
        if text.eq_ignore_ascii_case("any") {
            return Ok(Self::Any);
        }
        let (kind, name) = text.split_once(':').ok_or_else(|| Why::shape(text))?;
        let name = name.trim();
        match kind.to_ascii_lowercase().as_str() {
            "user" => Self::user(name),
            "group" => entry(name).map(Self::Group),
            "ou" => entry(name).map(Self::Unit),
            "domain" => value_uri::host(name).map(|host| Self::Domain(host.into())),
            _ => Err(Why::shape(text)),
        }
    }

    /// `sip:anna@corp.example`, `anna@corp.example` or the DN of the user's entry.
    fn user(name: &str) -> Result<Self, Why> {
        let is_uri =
            name.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("sip:")) || name.get(..5).is_some_and(|s| s.eq_ignore_ascii_case("sips:"));
        let aor = |text: &str| Aor::from_str(text).map(Self::User).map_err(|error| Why::Aor(error.to_string()));
        if is_uri {
            aor(name)
        } else if name.contains('=') {
            entry(name).map(Self::UserEntry)
        } else {
            aor(&format!("sip:{name}"))
        }
    }

    /// Whether both name the same subject, as directories and registrars compare: without regard to case.
    pub fn names_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::User(one), Self::User(other)) => one == other,
            (Self::UserEntry(one), Self::UserEntry(other))
            | (Self::Group(one), Self::Group(other))
            | (Self::Unit(one), Self::Unit(other)) => one == other,
            (Self::Domain(one), Self::Domain(other)) => one == other,
            (Self::Any, Self::Any) => true,
            _ => false,
        }
    }
}

/// The name of an entry; the root of all names is none.
fn entry(text: &str) -> Result<Dn, Why> {
    let dn: Dn = text.parse().map_err(|error: crate::model::DnError| Why::Dn(error.to_string()))?;
    if dn.is_empty() { Err(Why::shape(text)) } else { Ok(dn) }
}

impl PartialEq for Subject {
    fn eq(&self, other: &Self) -> bool {
        self.names_same(other) && self.to_string() == other.to_string()
    }
}
impl Eq for Subject {}
impl Hash for Subject {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::User(aor) => aor.hash(state),
            Self::UserEntry(dn) | Self::Group(dn) | Self::Unit(dn) => dn.hash(state),
            Self::Domain(domain) => domain.hash(state),
            Self::Any => {}
        }
    }
}

impl AccessDefault {
    /// Parses `verdict`, or `verdict directory, verdict others`.
    pub(super) fn parse(text: &str) -> Result<Self, Why> {
        let Some((directory, others)) = text.split_once(',') else {
            let verdict = Verdict::parse(text)?;
            return Ok(Self { directory: verdict, others: verdict });
        };
        let half = |text: &str, whom: &str| {
            let (verdict, rest) = text.trim().split_once(char::is_whitespace).ok_or_else(|| Why::shape(text))?;
            if rest.trim().eq_ignore_ascii_case(whom) { Verdict::parse(verdict) } else { Err(Why::shape(text)) }
        };
        Ok(Self { directory: half(directory, "directory")?, others: half(others, "others")? })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(aor) => write!(f, "user:{aor}"),
            Self::UserEntry(dn) => write!(f, "user:{dn}"),
            Self::Group(dn) => write!(f, "group:{dn}"),
            Self::Unit(dn) => write!(f, "ou:{dn}"),
            Self::Domain(domain) => write!(f, "domain:{domain}"),
            Self::Any => f.write_str("any"),
        }
    }
}

impl fmt::Display for Ace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.verdict, self.right, self.subject)
    }
}

impl fmt::Display for AccessDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} directory, {} others", self.directory, self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::{Value, ValueKind};
    use super::*;

    fn check(kind: ValueKind, text: &str, expect: &str) {
        let value = kind.parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(value.to_string(), expect, "{text}");
        assert_eq!(kind.parse(expect), Ok(value), "{expect}");
    }

    #[test]
    fn entries() {
        for (text, expect) in [
            ("Deny  Contact group: CN=Contractors, OU=Groups,DC=x", "deny contact group:CN=Contractors,OU=Groups,DC=x"),
            ("allow all user:anna@Corp.example", "allow all user:sip:anna@Corp.example"),
            ("allow all user:SIPS:anna@corp.example", "allow all user:sip:anna@corp.example"),
            ("polite presence user:uid=anna,ou=People,dc=x", "polite presence user:uid=anna,ou=People,dc=x"),
            ("prompt all ou:OU=M\u{fc}nchen,DC=x", "prompt all ou:OU=M\u{fc}nchen,DC=x"),
            ("allow contact domain:Partner.Example", "allow contact domain:partner.example"),
            ("deny all ANY", "deny all any"),
        ] {
            check(ValueKind::Ace, text, expect);
        }
        for text in [
            "deny",
            "deny contact",
            "deny contact anna",
            "permit contact any",
            "deny calls any",
            "deny contact role:x",
            "deny contact group:Contractors",
            "deny contact group:",
            "deny contact ou: ",
            "deny contact user:anna",
            "deny contact domain:a b",
            "deny contact any one",
            "deny contact group:CN=\\EF\\BF\\BE,DC=x",
        ] {
            assert!(ValueKind::Ace.parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_escapes_make_too_long_is_refused() {
        let name = |count: usize| format!("deny all ou:OU=\"{}\"", ",".repeat(count));
        check(ValueKind::Ace, &name(10), &format!("deny all ou:OU={}", "\\,".repeat(10)));
        assert!(matches!(ValueKind::Ace.parse(&name(2100)).unwrap_err().why, Why::TooLong { max: 4096, .. }));
        let long = format!("https://{}x", "a.".repeat(120));
        check(ValueKind::HttpsUri, &long, &format!("{long}/"));
    }

    #[test]
    fn equality_is_exact_and_sameness_is_the_directorys() {
        let ace = |text: &str| ValueKind::Ace.parse(text).unwrap();
        let (one, other) = (ace("deny all group:CN=A,DC=x"), ace("deny all group:cn=a,dc=X"));
        assert_ne!(one, other);
        assert!(one.is_same_element(&other));
        assert!(!one.is_same_element(&ace("allow all group:CN=A,DC=x")));
        assert!(!one.is_same_element(&ace("deny all ou:CN=A,DC=x")));
    }

    #[test]
    fn the_stricter_verdict_is_greater() {
        assert!(Verdict::Deny > Verdict::Polite && Verdict::Polite > Verdict::Prompt && Verdict::Prompt > Verdict::Allow);
    }

    #[test]
    fn defaults() {
        check(ValueKind::AccessDefault, "Allow directory,  PROMPT others", "allow directory, prompt others");
        check(ValueKind::AccessDefault, "deny", "deny directory, deny others");
        for text in ["allow directory", "allow others, deny directory", "allow, deny", "maybe", "allow directory, deny others, deny all"] {
            assert!(ValueKind::AccessDefault.parse(text).is_err(), "{text}");
        }
        assert_eq!(
            ValueKind::AccessDefault.parse("allow directory, deny others"),
            Ok(Value::AccessDefault(AccessDefault { directory: Verdict::Allow, others: Verdict::Deny }))
        );
    }
}
