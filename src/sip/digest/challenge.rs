//! WWW-Authenticate and Proxy-Authenticate.

use std::borrow::Cow;
use std::fmt;

use super::params::{collect, plain, quoted};
use super::{Algorithm, DigestError};
use crate::sip::scan;

/// A challenge (RFC 7616 §3.3). `Display` writes the value of the header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The realm, without quotes.
    pub realm: Cow<'a, str>,
    /// The nonce.
    pub nonce: Cow<'a, str>,
    /// What the client sends back unchanged.
    pub opaque: Option<Cow<'a, str>>,
    /// The algorithm; MD5 where none is written.
    pub algorithm: Algorithm,
    /// Whether the nonce was too old and nothing else was wrong.
    pub stale: bool,
    /// Whether `qop` offers `auth`. Ours always does; servers of RFC 2069 have no qop.
    pub qop_auth: bool,
}

impl<'a> Challenge<'a> {
    /// A challenge of a server.
    pub fn new(algorithm: Algorithm, realm: impl Into<Cow<'a, str>>, nonce: impl Into<Cow<'a, str>>) -> Self {
        Self { realm: realm.into(), nonce: nonce.into(), opaque: None, algorithm, stale: false, qop_auth: true }
    }

    /// Says that the credentials were right and their nonce too old: the client may answer without asking its user.
    #[must_use]
    pub fn stale(mut self, stale: bool) -> Self {
        self.stale = stale;
        self
    }

    /// Takes the value of a header field apart.
    pub fn parse(text: &'a str) -> Result<Self, DigestError> {
        let names = ["realm", "nonce", "opaque", "algorithm", "stale", "qop"];
        let [realm, nonce, opaque, algorithm, stale, qop] = collect(text, names)?;
        let offers_auth = |list: &str| list.split(',').any(|word| scan::trim(word).eq_ignore_ascii_case("auth"));
        if qop.as_deref().is_some_and(|list| !offers_auth(list)) {
            return Err(DigestError::Qop);
        }
        Ok(Self {
            realm: realm.ok_or(DigestError::Missing("realm"))?,
            nonce: nonce.ok_or(DigestError::Missing("nonce"))?,
            opaque,
            // RFC 7616 §3.3: MD5 is assumed.
            algorithm: algorithm.as_deref().map_or(Some(Algorithm::Md5), Algorithm::parse).ok_or(DigestError::Algorithm)?,
            stale: stale.is_some_and(|word| word.eq_ignore_ascii_case("true")),
            qop_auth: qop.is_some(),
        })
    }
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::from("Digest");
        quoted(&mut out, "realm", &self.realm);
        quoted(&mut out, "nonce", &self.nonce);
        if let Some(opaque) = &self.opaque {
            quoted(&mut out, "opaque", opaque);
        }
        plain(&mut out, "algorithm", self.algorithm.as_str());
        if self.qop_auth {
            // RFC 7616 §3.3: here qop is quoted, in credentials it is not.
            quoted(&mut out, "qop", "auth");
        }
        if self.stale {
            plain(&mut out, "stale", "true");
        }
        f.write_str(&out)
    }
}
