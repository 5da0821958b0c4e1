//! URIs: SIP and SIPS taken apart, `tel:` halfway, all others kept whole.

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

use super::{Params, scan};

/// A URI, borrowed and as it is written: no escape is undone, none is added.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme<'a>,
    /// The user part before any password; of a `tel:` URI the number.
    pub user: Option<&'a str>,
    /// The password (RFC 3261 §19.1.1 advises against it).
    pub password: Option<&'a str>,
    /// The host, an IPv6 reference with its brackets; empty unless the scheme is `sip` or `sips`.
    pub host: &'a str,
    /// The port, where one is written.
    pub port: Option<u16>,
    /// `;name=value` parameters of a `sip`, `sips` or `tel` URI.
    pub params: Params<'a>,
    /// What follows `?` in a `sip` or `sips` URI.
    pub headers: Option<&'a str>,
    text: &'a str,
}

/// What stands before the first colon of a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme<'a> {
    /// `sip` (RFC 3261).
    Sip,
    /// `sips` (RFC 3261).
    Sips,
    /// `tel` (RFC 3966).
    Tel,
    /// `urn` (RFC 8141).
    Urn,
    /// Any other, as it is written.
    Other(&'a str),
}

/// Why a text is not a URI that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UriError {
    /// No scheme, or one with characters that RFC 3986 §3.1 does not allow.
    #[error("no scheme")]
    Scheme,
    /// White space, a control character, `<`, `>`, `"` or an octet above 0x7E.
    #[error("a character that no URI may hold")]
    Character,
    /// `@` with nothing before it.
    #[error("an empty user part")]
    User,
    /// No host, or neither a name nor an address.
    #[error("no valid host")]
    Host,
    /// Not a number of 16 bits.
    #[error("no valid port")]
    Port,
    /// A parameter without a name.
    #[error("an empty parameter")]
    Parameter,
}

impl<'a> Uri<'a> {
    /// Takes a URI apart. Unknown schemes are no error: RFC 3261 §8.2.2.1 answers them with 416.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        let (scheme, rest) = scan::cut(text, b':').ok_or(UriError::Scheme)?;
        let scheme = Scheme::parse(scheme).ok_or(UriError::Scheme)?;
        if !scan::is_uri_text(rest.as_bytes()) {
            return Err(UriError::Character);
        }
        let empty = Self { scheme, user: None, password: None, host: "", port: None, params: Params::default(), headers: None, text };
        match scheme {
            Scheme::Sip | Scheme::Sips => empty.sip(rest),
            Scheme::Tel => {
                let (number, params) = scan::until(rest, b';');
                if number.is_empty() {
                    return Err(UriError::User);
                }
                Ok(Self { user: Some(number), params: checked(params)?, ..empty })
            }
            Scheme::Urn | Scheme::Other(_) if rest.is_empty() => Err(UriError::Host),
            Scheme::Urn | Scheme::Other(_) => Ok(empty),
        }
    }

    fn sip(self, rest: &'a str) -> Result<Self, UriError> {
        // RFC 3261 §25.1: `user` may hold `;`, `?` and `/`, but never a bare `@`, and neither may what follows: the first one ends it.
        let (userinfo, rest) = match scan::cut(rest, b'@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (user, password) = match userinfo.map(|info| scan::cut(info, b':').map_or((info, None), |(user, word)| (user, Some(word)))) {
            Some(("", _)) => return Err(UriError::User),
            Some((user, password)) => (Some(user), password),
            None => (None, None),
        };
        let (rest, headers) = match scan::cut(rest, b'?') {
            Some((rest, headers)) => (rest, Some(headers)),
            None => (rest, None),
        };
        let (hostport, params) = scan::until(rest, b';');
        let (host, port) = host_and_port(hostport).ok_or(UriError::Host)?;
        let port = match port {
            Some(text) => Some(port_number(text).ok_or(UriError::Port)?),
            None => None,
        };
        Ok(Self { user, password, host, port, params: checked(params)?, headers, ..self })
    }

    /// The URI as it is written.
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// `sip` or `sips`.
    pub const fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The host, when it is an address.
    pub fn ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }

    /// What follows the scheme's colon.
    pub fn opaque(&self) -> &'a str {
        scan::cut(self.text, b':').map_or("", |(_, rest)| rest)
    }

    /// The `transport` parameter as it is written.
    pub fn transport(&self) -> Option<&'a str> {
        self.params.get("transport")
    }
}

impl<'a> Scheme<'a> {
    /// RFC 3986 §3.1: a letter, then letters, digits, `+`, `-` and `.`; in any case the same.
    fn parse(text: &'a str) -> Option<Self> {
        const KNOWN: [Scheme<'static>; 4] = [Scheme::Sip, Scheme::Sips, Scheme::Tel, Scheme::Urn];
        let is_scheme = || {
            text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        };
        let known = KNOWN.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(text));
        known.or_else(|| is_scheme().then_some(Self::Other(text)))
    }

    /// The scheme without its colon; a known one in lower case.
    pub const fn as_str(self) -> &'a str {
        match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
            Self::Tel => "tel",
            Self::Urn => "urn",
            Self::Other(text) => text,
        }
    }
}

fn checked(params: &str) -> Result<Params<'_>, UriError> {
    let params = Params::of(params);
    if params.is_valid_in_uri() { Ok(params) } else { Err(UriError::Parameter) }
}

/// Splits `host`, `host:port` and `[v6]:port`, and checks the host; white space round the colon may stand in Via (RFC 3261 §25.1, COLON).
pub(crate) fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    let is_reference = text.starts_with('[');
    let (host, rest) = if is_reference { text.split_at(scan::find(text.as_bytes(), b']')? + 1) } else { scan::until(text, b':') };
    let host = scan::trim_end(host);
    if !(if is_reference { host_ip(host).is_some() } else { scan::is_host_name(host.as_bytes()) }) {
        return None;
    }
    match scan::trim_start(rest).strip_prefix(':') {
        Some(port) => Some((host, Some(scan::trim_start(port)))),
        None => scan::trim_start(rest).is_empty().then_some((host, None)),
    }
}

pub(crate) fn port_number(text: &str) -> Option<u16> {
    scan::digits(text).and_then(|number| u16::try_from(number).ok())
}

/// The address that a host is, with or without the brackets of an IPv6 reference: RFC 5118 §4.5 meets both in `received`.
pub(crate) fn host_ip(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// A password in the URI is not shown.
impl fmt::Debug for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uri")
            .field("scheme", &self.scheme)
            .field("user", &self.user)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("params", &self.params)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, user: Option<&str>, host: &str, port: Option<u16>, params: &str, headers: Option<&str>) {
        let uri = Uri::parse(text).unwrap();
        assert_eq!((uri.user, uri.host, uri.port, uri.params.as_str(), uri.headers), (user, host, port, params, headers), "{text}");
        assert_eq!(uri.to_string(), text);
    }

    #[test]
    fn sip() {
        check("sip:anna@corp.example", Some("anna"), "corp.example", None, "", None);
        check("SIPS:anna:secret@corp.example:5061;lr?x=y", Some("anna"), "corp.example", Some(5061), ";lr", Some("x=y"));
        check("sip:corp.example;transport=tcp", None, "corp.example", None, ";transport=tcp", None);
        check("sip:_sipuaconfig.corp.example", None, "_sipuaconfig.corp.example", None, "", None);
        check("sip:224.0.1.75:5060", None, "224.0.1.75", Some(5060), "", None);
        check("sip:user;par=u%40example.net@example.com", Some("user;par=u%40example.net"), "example.com", None, "", None);
        check("sip:*98#@pbx.example", Some("*98#"), "pbx.example", None, "", None);
        check("sip:a/b?c,d@x?e", Some("a/b?c,d"), "x", None, "", Some("e"));
        assert!(!format!("{:?}", Uri::parse("sip:anna:hunter2@corp.example").unwrap()).contains("hunter2"));
    }

    #[test]
    fn escapes_are_kept_as_written() {
        check("sip:urn%3Auuid%3a00@corp.example", Some("urn%3Auuid%3a00"), "corp.example", None, "", None);
        check("sip:MAC%3a00135E874B49@224.0.1.75", Some("MAC%3a00135E874B49"), "224.0.1.75", None, "", None);
    }

    #[test]
    fn parameters_with_colons() {
        let uri = Uri::parse("sip:anna@corp.example;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6").unwrap();
        assert_eq!(uri.params.get("gr"), Some("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
    }

    #[test]
    fn ipv6_references() {
        check("sip:[2001:db8::10]:5070", None, "[2001:db8::10]", Some(5070), "", None);
        check("sip:anna@[2001:db8::10]", Some("anna"), "[2001:db8::10]", None, "", None);
        // RFC 5118 §4.3: the port is inside, so it is part of the address.
        check("sip:[2001:db8::10:5070]", None, "[2001:db8::10:5070]", None, "", None);
        assert_eq!(Uri::parse("sip:[::1]").unwrap().ip(), Some("::1".parse().unwrap()));
        for text in ["sip:2001:db8::10", "sip:[2001:db8::10", "sip:[]", "sip:[1.2.3.4]", "sip:[::1]5060", "sip:[fe80::1%eth0]"] {
            assert!(Uri::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_schemes() {
        let tel = Uri::parse("tel:+49-30-1234;phone-context=corp.example").unwrap();
        assert_eq!((tel.scheme, tel.user, tel.params.get("phone-context")), (Scheme::Tel, Some("+49-30-1234"), Some("corp.example")));
        assert_eq!(Uri::parse("urn:service:sos").unwrap().scheme, Scheme::Urn);
        for text in ["nobodyKnowsThisScheme:totallyopaque", "soap.beep://192.0.2.103:3002", "http://www.example.com/?a;b"] {
            let uri = Uri::parse(text).unwrap();
            assert!(matches!(uri.scheme, Scheme::Other(_)) && !uri.is_sip(), "{text}");
            assert_eq!(format!("{}:{}", uri.scheme.as_str(), uri.opaque()), text);
        }
    }

    #[test]
    fn refused() {
        let check = |text: &str, expect: UriError| assert_eq!(Uri::parse(text), Err(expect), "{text}");
        check("corp.example", UriError::Scheme);
        check("", UriError::Scheme);
        check(":x", UriError::Scheme);
        check("si p:x", UriError::Scheme);
        check("sip: anna@x", UriError::Character);
        check("sip:anna@x>", UriError::Character);
        check("sip:ann\r\na@x", UriError::Character);
        check("sip:anné@x", UriError::Character);
        check("sip:@x", UriError::User);
        check("sip:", UriError::Host);
        check("sip:anna@", UriError::Host);
        check("sip:a@b@c", UriError::Host);
        check("sip:x:port", UriError::Port);
        check("sip:x:65536", UriError::Port);
        check("sip:x:", UriError::Port);
        check("sip:x;", UriError::Parameter);
        check("sip:x;;lr", UriError::Parameter);
        check("tel:", UriError::User);
        check("urn:", UriError::Host);
    }
}
