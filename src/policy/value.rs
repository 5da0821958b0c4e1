//! Typed values: parsed once from the text that policies hold, and written in one way only.
//!
//! `Display` is the canonical text: `kind.parse(&value.to_string())` gives the value back, and equal values have equal
//! texts. No value holds a character that XML 1.0 forbids, nor any other control character.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::redact::redacted;
pub use super::value_access::{AccessDefault, Ace, Right, Subject, Verdict};
pub use super::value_dial::DialRule;
pub use super::value_place::{Civic, Geo, Location};
pub use super::value_time::{Days, Window};
use super::{value_text, value_time, value_uri};

/// The value of a setting, or one of the values of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// Text, and everything that is one canonical word: host, codec, zone, language, country, digest, dial string.
    Text(Arc<str>),
    /// Yes or no.
    Bool(bool),
    /// A number in the unit of its setting: seconds, pixels, kbit/s, a DSCP.
    Integer(u64),
    /// One word of the setting's list.
    Choice(&'static str),
    /// From the first to the second, both included.
    Range(u16, u16),
    /// A URI.
    Uri(Arc<str>),
    /// A server.
    Server(Server),
    /// `@nearest(role)`: stands for servers that policy finds in the tree; never part of a document.
    Nearest(Arc<str>),
    /// A time of the day, on some days.
    Window(Window),
    /// How a dialled string is rewritten.
    DialRule(DialRule),
    /// A place on earth.
    Location(Arc<Location>),
    /// An access entry.
    Ace(Arc<Ace>),
    /// What holds for those whom no access entry names.
    AccessDefault(AccessDefault),
}

/// One server of a list (RFC 2782: the lowest priority is tried first, weights share the load within one priority).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// Lower is tried first.
    pub priority: u16,
    /// The share among servers of one priority.
    pub weight: u16,
    /// Where it is, canonical.
    pub uri: Arc<str>,
}

/// The type of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// One line of text.
    Text,
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A duration, kept in seconds.
    Seconds {
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// Pixels.
    Pixels,
    /// Kilobits per second; 0 is no limit.
    Kbits,
    /// A differentiated services code point (RFC 2474).
    Dscp,
    /// A range of UDP ports.
    Ports,
    /// An RTP payload name (RFC 4855), with the clock rate and channels where they matter.
    Codec,
    /// What a user dials.
    DialString,
    /// A host name or IP address.
    Host,
    /// A time zone of the IANA database; only its shape is checked, as the database changes.
    Zone,
    /// A language tag (BCP 47); only its shape is checked.
    Language,
    /// A country (ISO 3166-1 alpha-2).
    Country,
    /// A SHA-256 digest.
    Sha256,
    /// A time window.
    Window,
    /// `sip:` or `sips:` (RFC 3261 §19.1).
    SipUri,
    /// `tel:` (RFC 3966).
    TelUri,
    /// A URI that can be called: `sip:`, `sips:` or `tel:`.
    CallUri,
    /// `https:`.
    HttpsUri,
    /// `ldap:` or `ldaps:` (RFC 4516).
    LdapUri,
    /// Any URI.
    Uri,
    /// A server reached by one of these URI schemes, or `@nearest(role)`.
    Server(&'static [&'static str]),
    /// A dial rule.
    DialRule,
    /// A civic address or a point.
    Location,
    /// An access entry.
    Ace,
    /// An access default.
    AccessDefault,
}

/// Why a text is not a value of its type. `Display` says what is wrong, what is expected, and gives an example.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{why}; expected {expected}, for example `{example}`")]
pub struct ValueError {
    /// What is wrong.
    pub why: Why,
    /// What the type asks for.
    pub expected: String,
    /// A text that would do.
    pub example: &'static str,
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Why {
    /// There is nothing.
    #[error("the value is empty")]
    Empty,
    /// It has another shape.
    #[error("`{0}` does not fit")]
    Shape(String),
    /// A part of it is not there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// It holds a control character, or one that XML cannot carry.
    #[error("the value holds the character U+{:04X}, which no document can carry", u32::from(*.0))]
    Forbidden(char),
    /// It holds a character that has no place there.
    #[error("`{0}` has no place there")]
    Character(char),
    /// It is too long.
    #[error("the value has {length} octets and may have {max}")]
    TooLong {
        /// Its octets.
        length: usize,
        /// The most.
        max: usize,
    },
    /// A number is out of bounds.
    #[error("{found} is not between {min} and {max}")]
    Bounds {
        /// The number.
        found: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A host that is neither a name nor an address.
    #[error("`{0}` is neither a host name nor an IP address")]
    Host(String),
    /// A port that is none.
    #[error("`{0}` is not a port")]
    Port(String),
    /// A URI with a password.
    #[error("a URI in the directory must not hold a password")]
    Password,
    /// A `%` without two hexadecimal digits.
    #[error("`%` must be followed by two hexadecimal digits")]
    Escape,
    /// A URI of another scheme.
    #[error("`{0}` is another scheme")]
    Scheme(String),
    /// A pattern that the engine refuses; its own words.
    #[error("the pattern is refused: {0}")]
    Pattern(String),
    /// A template that refers to a group which the pattern does not have.
    #[error("the template refers to `{0}`, and the pattern has no such group")]
    Reference(String),
    /// A name that is no distinguished name; the parser's words.
    #[error("not a distinguished name: {0}")]
    Dn(String),
    /// An address that is no address of record; the parser's words.
    #[error("{0}")]
    Aor(String),
}

impl Why {
    /// Another shape, the text cut where it would flood a log.
    pub(super) fn shape(text: &str) -> Self {
        Self::Shape(redacted(text).chars().take(80).collect())
    }
}

impl ValueKind {
    /// The longest value, in octets. Names of deep directories are long; everything else that is longer is a mistake.
    pub const fn octets_max(self) -> usize {
        match self {
            Self::Ace => 4096,
            Self::Text => 512,
            _ => 1024,
        }
    }

    /// Parses one value; spaces around it do not count.
    pub fn parse(&self, text: &str) -> Result<Value, ValueError> {
        self.try_parse(text).and_then(|value| self.within_length(value)).map_err(|why| self.error(why))
    }

    /// The canonical text may be longer than what was written: a `/` put in, a quoted name with escapes.
    fn within_length(self, value: Value) -> Result<Value, Why> {
        let length = match &value {
            Value::Uri(uri) => uri.len(),
            Value::Server(_) | Value::Ace(_) => value.to_string().len(),
            _ => 0,
        };
        if length > self.octets_max() { Err(Why::TooLong { length, max: self.octets_max() }) } else { Ok(value) }
    }

    /// Parses what a `-=` line names: as [`ValueKind::parse`], but a server may be named by its URI alone and a dial rule
    /// by its pattern alone. Compare with [`Value::is_same_element`].
    pub fn parse_removal(&self, text: &str) -> Result<Value, ValueError> {
        self.parse(text).or_else(|error| match self {
            Self::Server(schemes) => value_uri::of_schemes(text.trim(), schemes)
                .map(|uri| Value::Server(Server { priority: 0, weight: 0, uri: uri.into() }))
                .map_err(|_| error),
            Self::DialRule if !DialRule::has_arrow(text) => {
                DialRule::parse(&format!("{text} -> 0")).map(Value::DialRule).map_err(|why| self.error(why))
            }
            _ => Err(error),
        })
    }

    /// Splits the right side of a policy line into its elements. A comma separates them only where no value can hold one:
    /// a server, a name, a pattern or a URI with commas is an element of its own line.
    pub fn elements<'a>(&self, text: &'a str) -> Vec<&'a str> {
        match self {
            Self::Choice(_) | Self::Codec | Self::DialString | Self::Host | Self::TelUri => text.split(',').map(str::trim).collect(),
            Self::SipUri => value_uri::split_sip(text),
            _ => vec![text.trim()],
        }
    }

    fn error(&self, why: Why) -> ValueError {
        ValueError { why, expected: self.expected(), example: self.example() }
    }

    fn try_parse(&self, text: &str) -> Result<Value, Why> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Why::Empty);
        }
        if text.len() > self.octets_max() {
            return Err(Why::TooLong { length: text.len(), max: self.octets_max() });
        }
        if let Some(found) = text.chars().find(|c| is_forbidden(*c)) {
            return Err(Why::Forbidden(found));
        }
        let word = |text: Result<String, Why>| text.map(|text| Value::Text(text.into()));
        let uri = |text: Result<String, Why>| text.map(|text| Value::Uri(text.into()));
        match *self {
            Self::Text => Ok(Value::Text(text.into())),
            Self::Bool => value_text::boolean(text).map(Value::Bool),
            Self::Choice(words) => value_text::choice(text, words).map(Value::Choice),
            Self::Seconds { min, max } => value_time::seconds(text, min.into(), max.into()).map(Value::Integer),
            Self::Pixels => value_text::number(text, 1, PIXELS_MAX).map(Value::Integer),
            Self::Kbits => value_text::number(text, 0, KBITS_MAX).map(Value::Integer),
            Self::Dscp => value_text::dscp(text).map(Value::Integer),
            Self::Ports => value_text::ports(text).map(|(low, high)| Value::Range(low, high)),
            Self::Codec => word(value_text::codec(text)),
            Self::DialString => word(value_text::dial_string(text)),
            Self::Host => word(value_uri::bare_host(text)),
            Self::Zone => word(value_text::zone(text)),
            Self::Language => word(value_text::language(text)),
            Self::Country => word(value_text::country(text)),
            Self::Sha256 => word(value_text::sha256(text)),
            Self::Window => Window::parse(text).map(Value::Window),
            Self::SipUri => uri(value_uri::of_schemes(text, &["sip", "sips"])),
            Self::TelUri => uri(value_uri::of_schemes(text, &["tel"])),
            Self::CallUri => uri(value_uri::of_schemes(text, &["sip", "sips", "tel"])),
            Self::HttpsUri => uri(value_uri::of_schemes(text, &["https"])),
            Self::LdapUri => uri(value_uri::of_schemes(text, &["ldap", "ldaps"])),
            Self::Uri => uri(value_uri::of_schemes(text, &[])),
            Self::Server(schemes) => value_uri::server(text, schemes),
            Self::DialRule => DialRule::parse(text).map(Value::DialRule),
            Self::Location => Location::parse(text).map(|location| Value::Location(Arc::new(location))),
            Self::Ace => Ace::parse(text).map(|ace| Value::Ace(Arc::new(ace))),
            Self::AccessDefault => AccessDefault::parse(text).map(Value::AccessDefault),
        }
    }

    /// The name of the type, for people and for the schema.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bool => "bool",
            Self::Choice(_) => "choice",
            Self::Seconds { .. } => "seconds",
            Self::Pixels => "pixels",
            Self::Kbits => "kbits",
            Self::Dscp => "dscp",
            Self::Ports => "ports",
            Self::Codec => "codec",
            Self::DialString => "dial-string",
            Self::Host => "host",
            Self::Zone => "zone",
            Self::Language => "language",
            Self::Country => "country",
            Self::Sha256 => "sha256",
            Self::Window => "window",
            Self::SipUri => "sip-uri",
            Self::TelUri => "tel-uri",
            Self::CallUri => "call-uri",
            Self::HttpsUri => "https-uri",
            Self::LdapUri => "ldap-uri",
            Self::Uri => "uri",
            Self::Server(_) => "server",
            Self::DialRule => "dial-rule",
            Self::Location => "location",
            Self::Ace => "ace",
            Self::AccessDefault => "access-default",
        }
    }

    /// The unit of a number.
    pub const fn unit(&self) -> Option<&'static str> {
        match self {
            Self::Seconds { .. } => Some("s"),
            Self::Pixels => Some("px"),
            Self::Kbits => Some("kbit/s"),
            _ => None,
        }
    }

    /// What the type asks for, in words that follow "expected".
    pub fn expected(&self) -> String {
        match self {
            Self::Text => "one line of text",
            Self::Bool => "`true` or `false`",
            Self::Choice(words) => return format!("one of {}", quoted(words)),
            Self::Seconds { min, max } => return format!("a duration from {min} to {max} seconds"),
            Self::Pixels => return format!("pixels from 1 to {PIXELS_MAX}"),
            Self::Kbits => return format!("kbit/s from 0 (no limit) to {KBITS_MAX}"),
            Self::Dscp => "a DSCP from 0 to 63 or its name (RFC 2474)",
            Self::Ports => "a range of ports from 1 to 65535",
            Self::Codec => "an RTP payload name, with `/rate` and `/channels` where they matter",
            Self::DialString => "up to 32 of the characters 0-9, `*`, `#` and a leading `+`",
            Self::Host => "a host name or an IP address",
            Self::Zone => "a time zone of the IANA database",
            Self::Language => "a language tag (BCP 47)",
            Self::Country => "a country of ISO 3166-1, two letters",
            Self::Sha256 => "a SHA-256 digest, 64 hexadecimal digits",
            Self::Window => "a time window, with days where it is not daily",
            Self::SipUri => "a `sip:` or `sips:` URI",
            Self::TelUri => "a `tel:` URI, global or with `;phone-context=`",
            Self::CallUri => "a `sip:`, `sips:` or `tel:` URI",
            Self::HttpsUri => "an `https:` URI",
            Self::LdapUri => "an `ldap:` or `ldaps:` URI",
            Self::Uri => "a URI",
            Self::Server(schemes) => return format!("`priority weight URI` with a URI of {}, or `@nearest(role)`", quoted(schemes)),
            Self::DialRule => "`pattern -> template`, the pattern a regular expression and the template what is dialled instead",
            Self::Location => "`geo:latitude,longitude` (RFC 5870) or `civic:country=…;A1=…` with the elements of RFC 5139",
            Self::Ace => "`allow|deny|polite|prompt presence|contact|all user:…|group:…|ou:…|domain:…|any`",
            Self::AccessDefault => "`allow|deny|polite|prompt` for everybody, or for `directory` and `others` each",
        }
        .to_owned()
    }

    /// A text that is a value of the type.
    pub fn example(&self) -> &'static str {
        match self {
            Self::Text => "Anna Weber",
            Self::Bool => "true",
            Self::Choice(words) => words.first().copied().unwrap_or_default(),
            Self::Seconds { min: 0..=1800, max: 1800.. } => "30m",
            Self::Seconds { .. } => "20s",
            Self::Pixels => "720",
            Self::Kbits => "2048",
            Self::Dscp => "EF",
            Self::Ports => "49152-65535",
            Self::Codec => "opus",
            Self::DialString => "112",
            Self::Host => "time.corp.example",
            Self::Zone => "Europe/Berlin",
            Self::Language => "de-DE",
            Self::Country => "DE",
            Self::Sha256 => "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            Self::Window => "Sat,Sun 02:00-04:00",
            Self::SipUri => "sip:anna@corp.example",
            Self::TelUri | Self::CallUri => "tel:+493012345",
            Self::HttpsUri => "https://support.corp.example/",
            Self::LdapUri => "ldaps://ldap.corp.example/ou=People,dc=corp,dc=example",
            Self::Uri => "mailto:help@corp.example",
            Self::Server(["stun", ..]) => "10 50 stun:stun.corp.example",
            Self::Server(["turn", ..]) => "10 50 turns:turn.corp.example?transport=tcp",
            Self::Server(_) => "10 50 sips:ber1.corp.example",
            Self::DialRule => "^0([1-9][0-9]*)$ -> +49$1",
            Self::Location => "civic:country=DE;A1=Berlin;RD=Unter den Linden;HNO=77",
            Self::Ace => "deny contact group:CN=Contractors,OU=Groups,DC=corp,DC=example",
            Self::AccessDefault => "allow directory, prompt others",
        }
    }
}

/// The tallest picture: four times the lines of 4K.
const PIXELS_MAX: u64 = 8640;
/// A terabit: past any link, short of an overflow in a phone's 32-bit arithmetic.
const KBITS_MAX: u64 = 1_000_000_000;

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Whether a character never stands in a value: what XML 1.0 §2.2 forbids, and every other control character, which no
/// setting needs and which attribute normalisation (§3.3.3) would change.
pub fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')
}

impl Value {
    /// Whether both name the same element of a list, though they may differ in detail: servers by URI, dial rules by
    /// pattern, access entries and URIs without regard to case. A list holds one of them; `-=` removes by it.
    pub fn is_same_element(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Server(one), Self::Server(other)) => one.uri.eq_ignore_ascii_case(&other.uri),
            (Self::DialRule(one), Self::DialRule(other)) => one.pattern() == other.pattern(),
            (Self::Uri(one), Self::Uri(other)) => one.eq_ignore_ascii_case(other),
            (Self::Ace(one), Self::Ace(other)) => one.names_same(other),
            _ => self == other,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.priority, self.weight, self.uri)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Uri(text) => f.write_str(text),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Choice(word) => f.write_str(word),
            Self::Range(low, high) => write!(f, "{low}-{high}"),
            Self::Server(server) => write!(f, "{server}"),
            Self::Nearest(role) => write!(f, "@nearest({role})"),
            Self::Window(window) => write!(f, "{window}"),
            Self::DialRule(rule) => write!(f, "{rule}"),
            Self::Location(location) => write!(f, "{location}"),
            Self::Ace(ace) => write!(f, "{ace}"),
            Self::AccessDefault(default) => write!(f, "{default}"),
        }
    }
}
