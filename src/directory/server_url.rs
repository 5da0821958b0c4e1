//! LDAP URLs, as far as a feed needs them (RFC 4516).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;
use url::{Host, Url};

use crate::model::{Dn, DnError};

/// Where a directory server is, and which part of its tree is read: `ldap://host:port/dc=corp,dc=example`.
///
/// Without a host (`ldaps:///dc=corp,dc=example`) it is of whichever servers the DNS names for the base DN's domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    ldaps: bool,
    host: Option<Host>,
    port: u16,
    base: Option<Dn>,
}

/// Why a text is not the URL of a directory server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    /// No URL at all.
    #[error("not a URL ({0})")]
    Syntax(#[source] url::ParseError),
    /// Neither `ldap` nor `ldaps`.
    #[error("`{0}:` is not a scheme of directory servers")]
    Scheme(String),
    /// Neither a host nor a base DN whose domain could be looked up.
    #[error("the URL has neither a host nor a base DN")]
    NoHost,
    /// A user or password in the URL.
    #[error("the URL holds a user name or password")]
    Credentials,
    /// Attributes, scope, filter or extensions after a `?`.
    #[error("the URL holds `?`: attributes, scope and filter are Dialcast's own")]
    Query,
    /// The path is not a DN.
    #[error("the path of the URL is not a distinguished name: {0}")]
    Base(#[source] DnError),
    /// The path has percent escapes that do not make UTF-8.
    #[error("the path of the URL has a broken `%` escape")]
    Escape,
}

impl UrlError {
    /// What to write instead.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "write ldap://HOST:PORT/BASE-DN, such as ldap://ldap.corp.example/dc=corp,dc=example",
            Self::NoHost => {
                "write ldap://HOST:PORT/BASE-DN, such as ldap://ldap.corp.example/dc=corp,dc=example, or ldaps:///BASE-DN to find the servers by DNS"
            }
            Self::Scheme(_) => "write ldap:// (with StartTLS where passwords travel) or ldaps://",
            Self::Credentials => "set directory.bind_dn, and put the password into the file that directory.password_file names",
            Self::Query => "leave out everything from the `?` on",
            Self::Base(_) => {
                "write the base DN after the host, as in ldap://HOST/dc=corp,dc=example, or leave it out to read the server's naming context"
            }
            Self::Escape => "write %25 for a percent sign, %20 for a space",
        }
    }
}

impl ServerUrl {
    /// Whether TLS comes before the first message (`ldaps`).
    pub const fn is_ldaps(&self) -> bool {
        self.ldaps
    }

    /// The same URL at another host: one that the DNS named.
    pub(super) fn at(&self, host: &str, port: u16) -> Result<Self, UrlError> {
        Ok(Self { host: Some(Host::parse(host).map_err(UrlError::Syntax)?), port, ..self.clone() })
    }

    /// Whether the URL names a host; otherwise the DNS does.
    pub const fn has_host(&self) -> bool {
        self.host.is_some()
    }

    /// The host: a name, or an IP address without brackets; empty when there is none.
    pub fn host(&self) -> String {
        match &self.host {
            None => String::new(),
            Some(Host::Domain(name)) => name.clone(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
        }
    }

    /// Whether the URL says that the host is this machine.
    pub fn is_loopback(&self) -> bool {
        self.ip().map_or_else(|| matches!(&self.host, Some(Host::Domain(name)) if name == "localhost"), |ip| ip.is_loopback())
    }

    /// The port, 389 or 636 where the URL has none.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The DN in the path; none when the path is empty.
    pub fn base(&self) -> Option<&Dn> {
        self.base.as_ref()
    }

    /// The host's address, when it is written as one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self.host {
            None | Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        }
    }

    /// `ldap://host:port`, which is as much as a connection needs; `ldap://` when the DNS names the hosts.
    pub fn origin(&self) -> String {
        let scheme = if self.ldaps { "ldaps" } else { "ldap" };
        self.host.as_ref().map_or_else(|| format!("{scheme}://"), |host| format!("{scheme}://{host}:{}", self.port))
    }
}

impl FromStr for ServerUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = Url::parse(text.trim()).map_err(UrlError::Syntax)?;
        let ldaps = match url.scheme() {
            "ldap" => false,
            "ldaps" => true,
            other => return Err(UrlError::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        if url.query().is_some_and(|query| query.chars().any(|c| c != '?')) {
            return Err(UrlError::Query);
        }
        // The scheme is not one of those for which the `url` crate parses hosts: it is done here.
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.map(Host::parse).transpose().map_err(UrlError::Syntax)?;
        let base = unescape(url.path().trim_start_matches('/')).ok_or(UrlError::Escape)?;
        let base: Dn = base.parse().map_err(UrlError::Base)?;
        if host.is_none() && base.is_empty() {
            return Err(UrlError::NoHost);
        }
        let port = url.port().unwrap_or(if ldaps { 636 } else { 389 });
        Ok(Self { ldaps, host, port, base: (!base.is_empty()).then_some(base) })
    }
}

/// Undoes `%20`; nothing when the escapes are broken.
fn unescape(path: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            octets.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after.get(2..)?;
        } else {
            octets.push(first);
            rest = after;
        }
    }
    String::from_utf8(octets).ok()
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())?;
        self.base.as_ref().map_or(Ok(()), |base| write!(f, "/{base}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let check = |text: &str, expect: &str| assert_eq!(text.parse::<ServerUrl>().unwrap().to_string(), expect, "{text}");
        check("ldap://ldap.corp.example", "ldap://ldap.corp.example:389");
        check("LDAPS://LDAP.corp.example/", "ldaps://ldap.corp.example:636");
        check("ldap://127.0.0.1:3890/dc=corp,dc=example", "ldap://127.0.0.1:3890/dc=corp,dc=example");
        check("ldap://[::1]:3890/ou=A%20B,dc=corp??", "ldap://[::1]:3890/ou=A B,dc=corp");
        check("ldap://h/ou=M%C3%BCnchen", "ldap://h:389/ou=M\u{fc}nchen");
        let url: ServerUrl = "ldap://[::1]/o=x".parse().unwrap();
        assert_eq!((url.host().as_str(), url.is_loopback(), url.base()), ("::1", true, Some(&"O=X".parse().unwrap())));
        check("ldaps:///dc=corp,dc=example", "ldaps:///dc=corp,dc=example");
        let url: ServerUrl = "ldaps:///dc=corp,dc=example".parse().unwrap();
        assert_eq!((url.host().as_str(), url.has_host(), url.is_loopback()), ("", false, false));
        assert_eq!(url.at("dc1.corp.example", 636).unwrap().to_string(), "ldaps://dc1.corp.example:636/dc=corp,dc=example");
    }

    #[test]
    fn refused_with_a_remedy_and_without_the_password() {
        let check = |text: &str| {
            let error = text.parse::<ServerUrl>().unwrap_err();
            let shown = format!("{error}; {}", error.remedy());
            assert!(!format!("{shown} {error:?}").contains("hunter2"));
            shown
        };
        insta::assert_snapshot!(check("ldap.corp.example"), @"not a URL (relative URL without a base); write ldap://HOST:PORT/BASE-DN, such as ldap://ldap.corp.example/dc=corp,dc=example");
        insta::assert_snapshot!(check("https://ldap.corp.example"), @"`https:` is not a scheme of directory servers; write ldap:// (with StartTLS where passwords travel) or ldaps://");
        insta::assert_snapshot!(check("ldap:///"), @"the URL has neither a host nor a base DN; write ldap://HOST:PORT/BASE-DN, such as ldap://ldap.corp.example/dc=corp,dc=example, or ldaps:///BASE-DN to find the servers by DNS");
        insta::assert_snapshot!(check("ldap://cn=x:hunter2@h"), @"the URL holds a user name or password; set directory.bind_dn, and put the password into the file that directory.password_file names");
        insta::assert_snapshot!(check("ldap://h/dc=x??sub"), @"the URL holds `?`: attributes, scope and filter are Dialcast's own; leave out everything from the `?` on");
        insta::assert_snapshot!(check("ldap://h/corp.example"), @"the path of the URL is not a distinguished name: column 1: expected `type=value` (RFC 4514 §3); write the base DN after the host, as in ldap://HOST/dc=corp,dc=example, or leave it out to read the server's naming context");
        insta::assert_snapshot!(check("ldap://h/dc=%zz"), @"the path of the URL has a broken `%` escape; write %25 for a percent sign, %20 for a space");
        insta::assert_snapshot!(check("ldap://h:99999/"), @"not a URL (invalid port number); write ldap://HOST:PORT/BASE-DN, such as ldap://ldap.corp.example/dc=corp,dc=example");
    }
}
