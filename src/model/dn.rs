//! Distinguished names: RFC 4514 in, comparison by RFC 4517's caseIgnoreMatch, RFC 4514 out.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// A distinguished name, the leaf first, as it is written.
///
/// Two names are equal when a directory would call them equal: attribute types and values without
/// regard to case, runs of spaces as one, the parts of a multi-valued RDN in any order.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Dn(Arc<[Rdn]>);

/// One relative distinguished name: one or more `type=value` pairs.
///
/// There are as many as entries: both of its forms are one text, once where they are the same.
#[derive(Clone)]
pub struct Rdn {
    /// As written, escapes normalised: what people see. Where it is not the same, then NUL, which is in neither, and the folded form:
    /// what is compared.
    text: Arc<str>,
}

/// Why a text is not a distinguished name (RFC 4514 §3).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DnError {
    /// No `=` in the RDN that begins at the column.
    #[error("column {column}: expected `type=value` (RFC 4514 §3)")]
    NoEquals {
        /// One-based, in characters.
        column: usize,
    },
    /// An attribute type that is neither a descriptor nor an OID.
    #[error("column {column}: `{found}` is not an attribute type (RFC 4512 §1.4)")]
    BadType {
        /// One-based, in characters.
        column: usize,
        /// What stands there.
        found: String,
    },
    /// A backslash followed by nothing that can be escaped.
    #[error("column {column}: a backslash escapes one of ` \"#+,;<=>\\` or two hexadecimal digits (RFC 4514 §2.4)")]
    BadEscape {
        /// One-based, in characters.
        column: usize,
    },
    /// A `#` value that is not an even number of hexadecimal digits.
    #[error("column {column}: `#` begins a value of hexadecimal pairs (RFC 4514 §2.4)")]
    BadHex {
        /// One-based, in characters.
        column: usize,
    },
    /// A character that must be escaped.
    #[error("column {column}: `{found}` must be escaped by a backslash (RFC 4514 §2.4)")]
    Unescaped {
        /// One-based, in characters.
        column: usize,
        /// The character.
        found: char,
    },
    /// Escapes that do not make UTF-8.
    #[error("column {column}: the escaped octets are not UTF-8")]
    NotUtf8 {
        /// One-based, in characters.
        column: usize,
    },
    /// More than [`Dn::DEPTH_MAX`] RDNs.
    #[error("more than {} levels", Dn::DEPTH_MAX)]
    TooDeep,
}

impl Dn {
    /// The deepest name accepted: far past any real tree, short of a stack or time attack.
    pub const DEPTH_MAX: usize = 256;

    /// A name from its RDNs, the leaf first.
    pub fn from_rdns(rdns: Vec<Rdn>) -> Self {
        Self(rdns.into())
    }

    /// The RDNs, the leaf first.
    pub fn rdns(&self) -> &[Rdn] {
        &self.0
    }

    /// The leaf, unless the name is the empty one of the root DSE.
    pub fn rdn(&self) -> Option<&Rdn> {
        self.0.first()
    }

    /// The name of the entry above; `None` for the empty name.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_first().map(|(_, above)| Self(above.into()))
    }

    /// This name with a leaf put below it.
    #[must_use]
    pub fn child(&self, rdn: Rdn) -> Self {
        Self(std::iter::once(rdn).chain(self.0.iter().cloned()).collect())
    }

    /// Whether the name is `base` or below it.
    pub fn is_within(&self, base: &Self) -> bool {
        self.0.ends_with(&base.0)
    }

    /// Whether this is the name of the root DSE.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many RDNs it has.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// The folded form: equal for equal names, and nothing else. For keys, not for people.
    pub fn key(&self) -> String {
        self.0.iter().map(Rdn::key).collect::<Vec<_>>().join(",")
    }
}

impl Rdn {
    /// The folded form, equal for equal RDNs.
    pub fn key(&self) -> &str {
        let text = &*self.text;
        self.end().map_or(text, |at| text.get(at + 1..).unwrap_or_default())
    }

    /// As written, escapes normalised: what `Display` prints.
    pub fn as_str(&self) -> &str {
        let text = &*self.text;
        self.end().map_or(text, |at| text.get(..at).unwrap_or_default())
    }

    /// Where what is shown ends, if the folded form is another.
    fn end(&self) -> Option<usize> {
        // Often there is none, which is quick to see.
        self.text.as_bytes().contains(&0).then(|| self.text.find('\0')).flatten()
    }

    /// Something that is compared like an RDN with this folded form, for indexes.
    pub(crate) fn of_key(key: &str) -> Self {
        Self { text: if key.contains('\0') { format!("\0{key}").into() } else { key.into() } }
    }

    /// Its attributes and their values, unescaped; a value in hexadecimal (`#0403…`) is left out.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let parts = parse(self.as_str()).ok().and_then(|mut parts| parts.pop());
        let avas = parts.map(|(avas, _)| avas).unwrap_or_default();
        avas.into_iter().filter(|ava| !ava.hex).map(|ava| (ava.kind, ava.value)).collect()
    }

    /// The value of a single-valued RDN (`Berlin` of `OU=Berlin`), unescaped; of a multi-valued one the first.
    pub fn value(&self) -> String {
        parse(self.as_str())
            .ok()
            .and_then(|mut parts| parts.pop())
            .and_then(|(avas, _)| avas.into_iter().next())
            .map(|ava| ava.value)
            .unwrap_or_default()
    }
}

impl PartialEq for Rdn {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Rdn {}
impl Hash for Rdn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
impl Ord for Rdn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key())
    }
}
impl PartialOrd for Rdn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Rdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Debug for Rdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rdn) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(rdn.as_str())?;
        }
        Ok(())
    }
}
impl fmt::Debug for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Dn {
    type Err = DnError;

    fn from_str(text: &str) -> Result<Self, DnError> {
        let parts = parse(text)?;
        Ok(Self(parts.into_iter().map(|(avas, _)| rdn(&avas)).collect()))
    }
}

impl FromStr for Rdn {
    type Err = DnError;

    fn from_str(text: &str) -> Result<Self, DnError> {
        if let Some(rdn) = plain(text) {
            return Ok(rdn);
        }
        let mut parts = parse(text)?;
        match (parts.pop(), parts.pop()) {
            (Some((avas, _)), None) => Ok(rdn(&avas)),
            (_, Some((_, column))) => Err(DnError::Unescaped { column, found: ',' }),
            (None, None) => Err(DnError::NoEquals { column: 1 }),
        }
    }
}

/// An RDN that is plain at first sight, as nearly all are: a short attribute type, and a value that needs no escapes and no folding
/// but that of letters. The parser would give the same, and take ten times as long.
fn plain(text: &str) -> Option<Rdn> {
    let key = plain_key(text)?;
    Some(Rdn { text: if key == text { key.into() } else { format!("{text}\0{key}").into() } })
}

/// The folded form of an RDN that is plain.
pub(crate) fn plain_key(text: &str) -> Option<String> {
    let (kind, value) = text.split_at_checked(text.bytes().take(5).position(|b| b == b'=')?)?;
    // The types that have two names have a long one, and it stands for the short one.
    let is_type = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphabetic());
    let value = value.as_bytes().get(1..)?;
    let is_plain = |pair: &[u8]| match pair {
        [b' ', b' '] => false,
        [_, b] => {
            matches!(b, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b' ' | b'.' | b'-' | b'_' | b'@' | b'\'' | b'(' | b')' | b'/' | b'&')
        }
        _ => true,
    };
    let ends = value.first()?.is_ascii_alphanumeric() && value.last()?.is_ascii_alphanumeric();
    (is_type && ends && value.windows(2).all(is_plain)).then(|| text.to_ascii_lowercase())
}

struct Ava {
    kind: String,
    value: String,
    /// `#0403…`: kept as written, compared by its digits.
    hex: bool,
}

fn rdn(avas: &[Ava]) -> Rdn {
    let mut shown = String::new();
    for (index, ava) in avas.iter().enumerate() {
        if index > 0 {
            shown.push('+');
        }
        shown.push_str(&ava.kind);
        shown.push('=');
        if ava.hex { shown.push_str(&ava.value) } else { escape(&ava.value, &mut shown) }
    }
    let mut keys: Vec<String> = avas
        .iter()
        .map(|ava| {
            let mut key = canonical_type(&ava.kind);
            key.push('=');
            if ava.hex {
                key.push_str(&ava.value.to_ascii_lowercase());
            } else {
                escape(&fold(&ava.value), &mut key);
            }
            key
        })
        .collect();
    keys.sort();
    let key = keys.join("+");
    if key != shown {
        shown.push('\0');
        shown.push_str(&key);
    }
    Rdn { text: shown.into() }
}

/// Folds a value as caseIgnoreMatch compares it: lower case, outer spaces dropped, inner runs as one (RFC 4518 §2.6.1).
pub fn fold(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for word in value.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
    out
}

/// RFC 4514 §3: the short names that every implementation knows, and their OIDs, are the same type.
fn canonical_type(kind: &str) -> String {
    let lower = kind.to_ascii_lowercase();
    let lower = lower.strip_prefix("oid.").unwrap_or(&lower);
    match lower {
        "2.5.4.3" | "commonname" => "cn",
        "2.5.4.7" | "localityname" => "l",
        "2.5.4.8" | "stateorprovincename" => "st",
        "2.5.4.10" | "organizationname" => "o",
        "2.5.4.11" | "organizationalunitname" => "ou",
        "2.5.4.6" | "countryname" => "c",
        "2.5.4.9" | "streetaddress" => "street",
        "0.9.2342.19200300.100.1.25" | "domaincomponent" => "dc",
        "0.9.2342.19200300.100.1.1" | "userid" => "uid",
        other => other,
    }
    .to_owned()
}

fn escape(value: &str, out: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' ' if index == 0 || index == last => out.push_str("\\ "),
            '#' if index == 0 => out.push_str("\\#"),
            c if c.is_control() => {
                let mut buffer = [0u8; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    out.push('\\');
                    out.extend(char::from_digit(u32::from(byte >> 4), 16));
                    out.extend(char::from_digit(u32::from(byte & 15), 16));
                }
            }
            c => out.push(c),
        }
    }
}

type Parts = Vec<(Vec<Ava>, usize)>;

fn parse(text: &str) -> Result<Parts, DnError> {
    let chars: Vec<char> = text.chars().collect();
    let mut parts: Parts = Vec::new();
    let mut at = 0;
    if chars.iter().all(|c| *c == ' ') {
        return Ok(parts);
    }
    loop {
        if parts.len() == Dn::DEPTH_MAX {
            return Err(DnError::TooDeep);
        }
        let column = at + 1;
        let mut avas = Vec::new();
        loop {
            let (ava, next) = parse_ava(&chars, at)?;
            avas.push(ava);
            at = next;
            match chars.get(at) {
                Some('+') => at += 1,
                _ => break,
            }
        }
        parts.push((avas, column));
        match chars.get(at) {
            // RFC 2253 §4: older names separate by semicolons.
            Some(',' | ';') => at += 1,
            _ => return Ok(parts),
        }
    }
}

fn parse_ava(chars: &[char], start: usize) -> Result<(Ava, usize), DnError> {
    let mut at = start;
    while chars.get(at) == Some(&' ') {
        at += 1;
    }
    let begin = at;
    while chars.get(at).is_some_and(|c| !matches!(c, '=' | ',' | ';' | '+')) {
        at += 1;
    }
    if chars.get(at) != Some(&'=') {
        return Err(DnError::NoEquals { column: begin + 1 });
    }
    let kind: String = chars.get(begin..at).unwrap_or_default().iter().collect::<String>().trim_end().to_owned();
    let legal = kind.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
        && kind.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !legal {
        return Err(DnError::BadType { column: begin + 1, found: kind });
    }
    at += 1;
    while chars.get(at) == Some(&' ') {
        at += 1;
    }
    if chars.get(at) == Some(&'#') {
        return parse_hex(chars, at, kind);
    }
    if chars.get(at) == Some(&'"') {
        return parse_quoted(chars, at, kind);
    }
    let value_column = at + 1;
    let mut octets: Vec<u8> = Vec::new();
    // The length up to the last character that was not a plain space: trailing spaces are layout, escaped ones are not.
    let mut kept = 0;
    while let Some(&c) = chars.get(at) {
        match c {
            ',' | ';' | '+' => break,
            '\\' => {
                at = unescape(chars, at, &mut octets)?;
                kept = octets.len();
                continue;
            }
            '"' | '<' | '>' | '\0' => return Err(DnError::Unescaped { column: at + 1, found: c }),
            c => {
                let mut buffer = [0u8; 4];
                octets.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                if c != ' ' {
                    kept = octets.len();
                }
            }
        }
        at += 1;
    }
    octets.truncate(kept);
    let value = String::from_utf8(octets).map_err(|_| DnError::NotUtf8 { column: value_column })?;
    Ok((Ava { kind, value, hex: false }, at))
}

/// One escape, beginning at the backslash; returns where it ends.
fn unescape(chars: &[char], at: usize, octets: &mut Vec<u8>) -> Result<usize, DnError> {
    let bad = DnError::BadEscape { column: at + 1 };
    let first = *chars.get(at + 1).ok_or(bad.clone())?;
    if matches!(first, ' ' | '"' | '#' | '+' | ',' | ';' | '<' | '=' | '>' | '\\') {
        octets.push(first as u8);
        return Ok(at + 2);
    }
    let high = first.to_digit(16).ok_or(bad.clone())?;
    let low = chars.get(at + 2).and_then(|c| c.to_digit(16)).ok_or(bad.clone())?;
    octets.push(u8::try_from(high * 16 + low).map_err(|_| bad)?);
    Ok(at + 3)
}

fn parse_hex(chars: &[char], start: usize, kind: String) -> Result<(Ava, usize), DnError> {
    let mut at = start + 1;
    while chars.get(at).is_some_and(char::is_ascii_hexdigit) {
        at += 1;
    }
    let digits = at - start - 1;
    let value: String = chars.get(start..at).unwrap_or_default().iter().collect();
    while chars.get(at) == Some(&' ') {
        at += 1;
    }
    let ended = matches!(chars.get(at), None | Some(',' | ';' | '+'));
    if digits == 0 || !digits.is_multiple_of(2) || !ended {
        return Err(DnError::BadHex { column: start + 1 });
    }
    Ok((Ava { kind, value, hex: true }, at))
}

/// RFC 2253 §4: implementations MUST allow a value to be surrounded by quotation marks.
fn parse_quoted(chars: &[char], start: usize, kind: String) -> Result<(Ava, usize), DnError> {
    let mut at = start + 1;
    let mut octets = Vec::new();
    loop {
        match chars.get(at) {
            None => return Err(DnError::Unescaped { column: start + 1, found: '"' }),
            Some('"') => break,
            Some('\\') => at = unescape(chars, at, &mut octets)?,
            Some(c) => {
                let mut buffer = [0u8; 4];
                octets.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                at += 1;
            }
        }
    }
    at += 1;
    while chars.get(at) == Some(&' ') {
        at += 1;
    }
    if let Some(&found) = chars.get(at)
        && !matches!(found, ',' | ';' | '+')
    {
        return Err(DnError::Unescaped { column: at + 1, found });
    }
    let value = String::from_utf8(octets).map_err(|_| DnError::NotUtf8 { column: start + 1 })?;
    Ok((Ava { kind, value, hex: false }, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_equal(one: &str, other: &str) {
        assert_eq!(one.parse::<Dn>().unwrap(), other.parse::<Dn>().unwrap(), "{one} / {other}");
    }

    #[test]
    fn equal_names() {
        check_equal("OU=Berlin,DC=corp,DC=example", "ou=BERLIN, dc=Corp , dc=example");
        check_equal("cn=Anna  Maria,dc=x", "CN=anna maria,DC=X");
        check_equal("cn=a+sn=b,dc=x", "SN=B + CN=A,dc=x");
        check_equal("cn=Lu\\C4\\8Di\\C4\\87", "cn=Lu\u{10d}i\u{107}");
        check_equal("cn=Miller\\, Anna", "cn=\"Miller, Anna\"");
        check_equal("cn=Miller\\2C Anna", "cn=Miller\\, Anna");
        check_equal("2.5.4.11=x,dc=y", "ou=x;dc=y");
        check_equal("cn=a=b", "cn=a\\=b");
        check_equal("", "  ");
    }

    #[test]
    fn different_names() {
        for (one, other) in [("cn=a,dc=x", "cn=b,dc=x"), ("cn=a,dc=x", "cn=a"), ("cn=a\\, dc=x", "cn=a, dc=x"), ("cn=#0401", "cn=\\#0401")]
        {
            assert_ne!(one.parse::<Dn>().unwrap(), other.parse::<Dn>().unwrap(), "{one} / {other}");
        }
    }

    #[test]
    fn faults_name_the_column() {
        let check = |text: &str, expect: DnError| assert_eq!(text.parse::<Dn>(), Err(expect), "{text}");
        check("cn=a,berlin", DnError::NoEquals { column: 6 });
        check("cn=a,", DnError::NoEquals { column: 6 });
        check("c n=a", DnError::BadType { column: 1, found: "c n".into() });
        check("=a", DnError::BadType { column: 1, found: String::new() });
        check("cn=a\\", DnError::BadEscape { column: 5 });
        check("cn=a\\zz", DnError::BadEscape { column: 5 });
        check("cn=#abc", DnError::BadHex { column: 4 });
        check("cn=a<b", DnError::Unescaped { column: 5, found: '<' });
        check("cn=\"a\" b", DnError::Unescaped { column: 8, found: 'b' });
        check("cn=\\ff", DnError::NotUtf8 { column: 4 });
        assert_eq!("cn=a,".repeat(300).parse::<Dn>(), Err(DnError::TooDeep));
    }

    #[test]
    fn walks_up_and_down() {
        let dn: Dn = "uid=anna,OU=Berlin,DC=corp".parse().unwrap();
        let above = dn.parent().unwrap();
        assert_eq!(above.to_string(), "OU=Berlin,DC=corp");
        assert_eq!(above.child("UID=Anna".parse().unwrap()), dn);
        assert!(dn.is_within(&above) && dn.is_within(&dn) && !above.is_within(&dn));
        assert_eq!(dn.rdn().unwrap().value(), "anna");
        assert_eq!("cn=Miller\\, Anna".parse::<Rdn>().unwrap().value(), "Miller, Anna");
        assert_eq!("cn=a,cn=b".parse::<Rdn>(), Err(DnError::Unescaped { column: 1, found: ',' }));
    }

    proptest! {
        #[test]
        fn any_value_survives_print_and_parse(values in prop::collection::vec("\\PC{0,12}|[ #+,;<=>\\\\\"]{0,4}", 1..4)) {
            let rdns: Vec<Rdn> = values.iter().map(|v| rdn(&[Ava { kind: "cn".into(), value: v.clone(), hex: false }])).collect();
            let dn = Dn::from_rdns(rdns);
            prop_assert_eq!(dn.to_string().parse::<Dn>().unwrap(), dn);
        }

        /// What is plain at first sight is what the parser gives.
        #[test]
        fn plain_is_parsed(text in "[a-zA-Z1]{0,6}=[aB #+,.é_@&'/-]{0,8}") {
            if let Some(rdn) = plain(&text) {
                let (avas, _) = parse(&text).unwrap().pop().unwrap();
                prop_assert_eq!(rdn.text, super::rdn(&avas).text);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Dn>();
        }
    }
}
