//! URIs, hosts and servers: what is checked is what would otherwise fail at the phone.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::value::{Server, Value, Why};
use super::value_text::number;

/// RFC 3986 §2.3.
const UNRESERVED: &str = "-_.~";
/// RFC 3986 §2.2, sub-delims.
const SUB_DELIMS: &str = "!$&'()*+,;=";

/// A URI of one of the schemes (of any scheme when there are none), canonical: scheme and host in lower case.
pub(super) fn of_schemes(text: &str, schemes: &[&str]) -> Result<String, Why> {
    let (scheme, rest) = text.split_once(':').ok_or_else(|| Why::shape(text))?;
    // RFC 3986 §3.1.
    let legal = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.len() <= 32
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !legal {
        return Err(Why::shape(text));
    }
    let scheme = scheme.to_ascii_lowercase();
    if !schemes.is_empty() && !schemes.contains(&scheme.as_str()) {
        return Err(Why::Scheme(format!("{scheme}:")));
    }
    match scheme.as_str() {
        "sip" | "sips" => sip(&scheme, rest),
        "tel" => tel(rest),
        // RFC 7064, RFC 7065: neither has a user part.
        "stun" | "stuns" | "turn" | "turns" if rest.contains('@') => Err(Why::Password),
        "stun" | "stuns" => Ok(format!("{scheme}:{}", host_port(rest)?)),
        "turn" | "turns" => turn(&scheme, rest),
        "http" | "https" | "ldap" | "ldaps" => web(&scheme, rest),
        _ if rest.starts_with("//") => web(&scheme, rest),
        _ => {
            characters(rest, &[UNRESERVED, SUB_DELIMS, ":@/?#[]"])?;
            if rest.is_empty() { Err(Why::shape(text)) } else { Ok(format!("{scheme}:{rest}")) }
        }
    }
}

/// RFC 3261 §19.1.1: `[user@]host[:port][;parameters][?headers]`; the password that §19.1.1 advises against is refused.
fn sip(scheme: &str, rest: &str) -> Result<String, Why> {
    let (user, place) = rest.split_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
    let mut out = format!("{scheme}:");
    if let Some(user) = user {
        if user.contains(':') {
            return Err(Why::Password);
        }
        if user.is_empty() {
            return Err(Why::shape(rest));
        }
        // RFC 3261 §25.1: user = 1*( unreserved / escaped / user-unreserved ).
        characters(user, &["-_.!~*'()", "&=+$,;?/"])?;
        out.push_str(user);
        out.push('@');
    }
    let end = place.find([';', '?']).unwrap_or(place.len());
    let (host, parameters) = place.split_at(end);
    out.push_str(&host_port(host)?);
    // RFC 3261 §25.1: paramchar and hnv-unreserved, with the separators between them.
    characters(parameters, &["-_.!~*'()", "[]/:&+$", ";=?"])?;
    out.push_str(parameters);
    Ok(out)
}

/// RFC 3966 §3: a global number, or a local one with its context; no visual separators, parameters in the order that §3 asks for.
fn tel(rest: &str) -> Result<String, Why> {
    let mut parts = rest.split(';');
    let subscriber: String = parts.next().unwrap_or_default().chars().filter(|c| !is_separator(*c)).collect();
    let (is_global, digits) = subscriber.strip_prefix('+').map_or((false, subscriber.as_str()), |digits| (true, digits));
    let is_legal = |c: char| if is_global { c.is_ascii_digit() } else { c.is_ascii_hexdigit() || matches!(c, '*' | '#') };
    if let Some(found) = digits.chars().find(|c| !is_legal(*c)) {
        return Err(Why::Character(found));
    }
    if digits.is_empty() || digits.len() > 32 {
        return Err(Why::shape(rest));
    }
    let mut parameters: Vec<(u8, String, String)> = Vec::new();
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let name = name.trim().to_ascii_lowercase();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(Why::shape(part));
        }
        characters(value, &["-_.!~*'()", "[]/:&+$"])?;
        let (rank, value) = match name.as_str() {
            "ext" => (0, value.chars().filter(|c| !is_separator(*c)).collect()),
            "isub" => (1, value.to_owned()),
            "phone-context" => (2, context(value)?),
            _ => (3, value.to_owned()),
        };
        if parameters.iter().any(|(_, held, _)| *held == name) {
            return Err(Why::shape(rest));
        }
        parameters.push((rank, name, value));
    }
    // RFC 3966 §5.1.5: a local number must have its context.
    if !is_global && !parameters.iter().any(|(rank, ..)| *rank == 2) {
        return Err(Why::shape(rest));
    }
    parameters.sort();
    let mut out = format!("tel:{}{}", if is_global { "+" } else { "" }, digits.to_ascii_uppercase());
    for (_, name, value) in &parameters {
        out.push(';');
        out.push_str(name);
        if !value.is_empty() {
            out.push('=');
            out.push_str(value);
        }
    }
    Ok(out)
}

/// RFC 3966 §3: visual separators; the space is none there, but people and directories write it (E.123).
const fn is_separator(c: char) -> bool {
    matches!(c, '-' | '.' | '(' | ')' | ' ')
}

/// RFC 3966 §3: descriptor = domainname / global-number-digits.
fn context(value: &str) -> Result<String, Why> {
    match value.strip_prefix('+') {
        Some(digits) => {
            let digits: String = digits.chars().filter(|c| !is_separator(*c)).collect();
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) { Err(Why::shape(value)) } else { Ok(format!("+{digits}")) }
        }
        None => host(value),
    }
}

/// RFC 7065 §3.1: `host[:port][?transport=…]`.
fn turn(scheme: &str, rest: &str) -> Result<String, Why> {
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let place = host_port(place)?;
    match query.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(format!("{scheme}:{place}")),
        Some(query @ ("transport=udp" | "transport=tcp")) => Ok(format!("{scheme}:{place}?{query}")),
        Some(other) => Err(Why::shape(other)),
    }
}

/// RFC 3986 §3 with an authority: `//host[:port][/path][?query][#fragment]`, the empty path written as `/` (§6.2.3).
fn web(scheme: &str, rest: &str) -> Result<String, Why> {
    let rest = rest.strip_prefix("//").ok_or_else(|| Why::shape(rest))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err(Why::Password);
    }
    characters(path, &[UNRESERVED, SUB_DELIMS, ":@/?#[]"])?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(format!("{scheme}://{}{slash}{path}", host_port(authority)?))
}

/// `priority weight URI`, or `@nearest(role)`.
pub(super) fn server(text: &str, schemes: &[&str]) -> Result<Value, Why> {
    if let Some(rest) = text.strip_prefix("@nearest(") {
        let role = rest.strip_suffix(')').map(str::trim).filter(|role| !role.is_empty()).ok_or_else(|| Why::shape(text))?;
        if let Some(found) = role.chars().find(|c| !(c.is_alphanumeric() || "-_.".contains(*c))) {
            return Err(Why::Character(found));
        }
        return Ok(Value::Nearest(role.into()));
    }
    let mut words = text.split_whitespace();
    let (Some(priority), Some(weight), Some(uri), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(Why::shape(text));
    };
    // RFC 2782: both are 16 bits.
    let short = |text: &str| number(text, 0, 65535).and_then(|n| u16::try_from(n).map_err(|_| Why::shape(text)));
    Ok(Value::Server(Server { priority: short(priority)?, weight: short(weight)?, uri: of_schemes(uri, schemes)?.into() }))
}

/// Splits `sip:a@x, sips:b@x`: a comma separates only before another scheme, since a user part may hold commas.
pub(super) fn split_sip(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices(',') {
        let after = text.get(at + 1..).unwrap_or_default().trim_start();
        let is_next = ["sip:", "sips:"].iter().any(|scheme| after.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme)));
        if is_next {
            parts.push(text.get(begin..at).unwrap_or_default().trim());
            begin = at + 1;
        }
    }
    parts.push(text.get(begin..).unwrap_or_default().trim());
    parts
}

/// A host where no port can follow: an IPv6 address is written without brackets.
pub(super) fn bare_host(text: &str) -> Result<String, Why> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    inner.parse::<Ipv6Addr>().map_or_else(|_| host(text), |address| Ok(address.to_string()))
}

/// `host[:port]`, the port without leading zeros.
fn host_port(text: &str) -> Result<String, Why> {
    let end = if text.starts_with('[') { text.find(']').map_or(text.len(), |at| at + 1) } else { text.find(':').unwrap_or(text.len()) };
    let (name, port) = text.split_at(end);
    let mut out = host(name)?;
    if let Some(port) = port.strip_prefix(':') {
        out.push(':');
        out.push_str(&number(port, 1, 65535).map_err(|_| Why::Port(port.chars().take(16).collect()))?.to_string());
    } else if !port.is_empty() {
        return Err(Why::Host(text.to_owned()));
    }
    Ok(out)
}

/// A host name (RFC 1123 §2.1; `_` is tolerated, since names in the field hold it), an IPv4 address, or an IPv6 address in brackets.
pub(super) fn host(text: &str) -> Result<String, Why> {
    let wrong = || Why::Host(text.chars().take(80).collect());
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or_else(wrong)?;
        return inner.parse::<Ipv6Addr>().map(|address| format!("[{address}]")).map_err(|_| wrong());
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(address.to_string());
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let legal = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // RFC 1123 §2.1: the last label is never all digits; `10.1.2` and `300.1.1.1` are slips.
    let numeric_end = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if name.len() <= 253 && name.split('.').all(legal) && !numeric_end { Ok(name) } else { Err(wrong()) }
}

/// Letters, digits, `%` with two hexadecimal digits, and the characters of the sets.
fn characters(text: &str, sets: &[&str]) -> Result<(), Why> {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '%' {
            let mut digits = rest.clone();
            if !(digits.next().is_some_and(|d| d.is_ascii_hexdigit()) && digits.next().is_some_and(|d| d.is_ascii_hexdigit())) {
                return Err(Why::Escape);
            }
        } else if !(c.is_ascii_alphanumeric() || sets.iter().any(|set| set.contains(c))) {
            return Err(Why::Character(c));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::value::ValueKind;

    const SERVER: ValueKind = ValueKind::Server(&["sip", "sips"]);

    fn check(kind: ValueKind, text: &str, expect: &str) {
        let value = kind.parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(value.to_string(), expect, "{text}");
        assert_eq!(kind.parse(expect), Ok(value), "{expect}");
    }

    fn refuse(kind: ValueKind, texts: &[&str]) {
        for text in texts {
            assert!(kind.parse(text).is_err(), "{}: {text}", kind.name());
        }
    }

    #[test]
    fn sip_uris() {
        check(ValueKind::SipUri, "SIP:Anna@Corp.Example", "sip:Anna@corp.example");
        check(ValueKind::SipUri, "sips:corp.example:05061;transport=tcp", "sips:corp.example:5061;transport=tcp");
        check(ValueKind::SipUri, "sip:a;b=c?d@[2001:DB8:0::1]:5060;lr", "sip:a;b=c?d@[2001:db8::1]:5060;lr");
        check(ValueKind::SipUri, "sip:%C3%A9@x?Subject=Hi%20there", "sip:%C3%A9@x?Subject=Hi%20there");
        refuse(
            ValueKind::SipUri,
            &[
                "anna@corp.example",
                "tel:+49",
                "sip:",
                "sip:@x",
                "sip:a@",
                "sip:a:secret@x",
                "sip:a@x:0",
                "sip:a@x:99999",
                "sip:a b@x",
                "sip:a@x y",
                "sip:a%4@x",
                "sip:a@x;p=\"",
                "sip:a@-x",
                "sip:a@x..y",
                "sip:a@1.2.3",
                "sip:a@[::g]",
                "sip:a@b@c",
                "sip:\u{e9}@x",
            ],
        );
    }

    #[test]
    fn tel_uris() {
        check(ValueKind::TelUri, "tel:+49 (30) 123-45.6", "tel:+49301234 56".replace(' ', "").as_str());
        check(ValueKind::TelUri, "TEL:7042;phone-context=Corp.Example", "tel:7042;phone-context=corp.example");
        check(ValueKind::TelUri, "tel:+4930;x=y;ext=1-2;a=b", "tel:+4930;ext=12;a=b;x=y");
        check(ValueKind::TelUri, "tel:*21#;phone-context=+49-30", "tel:*21#;phone-context=+4930");
        refuse(
            ValueKind::TelUri,
            &["tel:", "tel:+", "tel:7042", "tel:+49x", "tel:+49;a=b;a=c", "tel:1;phone-context=", "sip:a@x", "+4930"],
        );
    }

    #[test]
    fn other_uris() {
        check(ValueKind::HttpsUri, "HTTPS://Support.Corp.Example", "https://support.corp.example/");
        check(ValueKind::HttpsUri, "https://x:8443?a=b#c", "https://x:8443/?a=b#c");
        refuse(ValueKind::HttpsUri, &["http://x/", "https:x", "https://", "https://u:p@x/", "https://x/a b", "https://x/\\"]);
        check(ValueKind::LdapUri, "ldap://h/ou=P,dc=x?cn,sn?sub?(cn=%2a)", "ldap://h/ou=P,dc=x?cn,sn?sub?(cn=%2a)");
        check(ValueKind::Uri, "MAILTO:help@corp.example", "mailto:help@corp.example");
        check(ValueKind::Uri, "urn:service:sos", "urn:service:sos");
        check(ValueKind::CallUri, "tel:+49-30", "tel:+4930");
        refuse(ValueKind::CallUri, &["mailto:a@b", "https://x/"]);
        refuse(ValueKind::Uri, &["mailto:", ":x", "1a:x", "a b:x", "ftp://u:p@h/", "x:\u{fc}"]);
        check(ValueKind::Host, "Time.Corp.Example.", "time.corp.example");
        check(ValueKind::Host, "[2001:DB8::1]", "2001:db8::1");
        check(ValueKind::Host, "192.0.2.1", "192.0.2.1");
        refuse(ValueKind::Host, &["a_b c", "x:123", "256.1.1.1", "b\u{fc}ro.example", &"a.".repeat(130), "."]);
    }

    #[test]
    fn servers() {
        check(SERVER, "10  050 SIPS:Ber1.corp.example", "10 50 sips:ber1.corp.example");
        check(SERVER, "@nearest( outbound-proxy )", "@nearest(outbound-proxy)");
        check(ValueKind::Server(&["turn", "turns"]), "0 0 turns:T.x?TRANSPORT=tcp", "0 0 turns:t.x?transport=tcp");
        check(ValueKind::Server(&["stun", "stuns"]), "0 0 stun:[2001:db8::1]:3478", "0 0 stun:[2001:db8::1]:3478");
        refuse(
            SERVER,
            &[
                "sips:x",
                "10 sips:x",
                "10 50",
                "65536 0 sip:x",
                "-1 0 sip:x",
                "1 1 sip:x y",
                "1 1 https://x/",
                "@nearest()",
                "@nearest(a b)",
                "@far(x)",
            ],
        );
        insta::assert_snapshot!(SERVER.parse("sips:x").unwrap_err(), @"`sips:x` does not fit; expected `priority weight URI` with a URI of `sip`, `sips`, or `@nearest(role)`, for example `10 50 sips:ber1.corp.example`");
        let removed = SERVER.parse_removal("sips:BER1.corp.example").unwrap();
        assert!(removed.is_same_element(&SERVER.parse("10 50 sips:ber1.corp.example").unwrap()));
        assert!(!removed.is_same_element(&SERVER.parse("10 50 sips:ber2.corp.example").unwrap()));
        assert!(SERVER.parse_removal("10 50").is_err());
    }

    #[test]
    fn elements() {
        let check = |kind: ValueKind, text: &str, expect: &[&str]| assert_eq!(kind.elements(text), expect, "{text}");
        check(ValueKind::Codec, "opus,G722 , PCMA", &["opus", "G722", "PCMA"]);
        check(ValueKind::SipUri, "sip:a,b@x, SIPS:c@x", &["sip:a,b@x", "SIPS:c@x"]);
        check(ValueKind::LdapUri, "ldap://h/ou=P,dc=x", &["ldap://h/ou=P,dc=x"]);
        check(SERVER, "10 50 sip:a,b@x", &["10 50 sip:a,b@x"]);
        check(ValueKind::Ace, "deny all ou:OU=a,DC=b", &["deny all ou:OU=a,DC=b"]);
    }
}
