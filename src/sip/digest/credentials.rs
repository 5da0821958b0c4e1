//! Authorization and Proxy-Authorization.

use std::borrow::Cow;
use std::fmt;

use subtle::ConstantTimeEq;

use super::hash::{Hex, compute};
use super::params::{collect, plain, quoted};
use super::{Algorithm, Challenge, DigestError, Ha1};

/// Credentials (RFC 7616 §3.4). `Display` writes the value of the header field; `Debug` shows who and where, not the proof.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// Who, without quotes; a hash when `userhash` is set.
    pub username: Cow<'a, str>,
    /// The realm.
    pub realm: Cow<'a, str>,
    /// The nonce of the challenge.
    pub nonce: Cow<'a, str>,
    /// The request URI as the client hashed it.
    pub uri: Cow<'a, str>,
    /// The proof, in hexadecimal.
    pub response: Cow<'a, str>,
    /// The algorithm; MD5 where none is written.
    pub algorithm: Algorithm,
    /// What the challenge said was to be sent back.
    pub opaque: Option<Cow<'a, str>>,
    /// What `qop=auth` brings with it; `None` is the form of RFC 2069.
    pub session: Option<Session<'a>>,
    /// RFC 7616 §3.4.4: `username` is H(username:realm).
    pub userhash: bool,
}

/// What `qop=auth` hashes besides the nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session<'a> {
    /// How often the nonce was used: eight hexadecimal digits, as they are written.
    pub nc: Cow<'a, str>,
    /// The client's own nonce.
    pub cnonce: Cow<'a, str>,
}

impl<'a> Credentials<'a> {
    /// Takes the value of a header field apart.
    pub fn parse(text: &'a str) -> Result<Self, DigestError> {
        let names = ["username", "realm", "nonce", "uri", "response", "algorithm", "opaque", "qop", "nc", "cnonce", "userhash"];
        let [username, realm, nonce, uri, response, algorithm, opaque, qop, nc, cnonce, userhash] = collect(text, names)?;
        let session = match qop.as_deref() {
            None => None,
            Some(word) if word.eq_ignore_ascii_case("auth") => {
                let nc = nc.ok_or(DigestError::Missing("nc"))?;
                // RFC 7616 §3.4: eight hexadecimal digits.
                if nc.len() != 8 || !nc.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(DigestError::Syntax);
                }
                Some(Session { nc, cnonce: cnonce.ok_or(DigestError::Missing("cnonce"))? })
            }
            Some(_) => return Err(DigestError::Qop),
        };
        Ok(Self {
            username: username.ok_or(DigestError::Missing("username"))?,
            realm: realm.ok_or(DigestError::Missing("realm"))?,
            nonce: nonce.ok_or(DigestError::Missing("nonce"))?,
            uri: uri.ok_or(DigestError::Missing("uri"))?,
            response: response.ok_or(DigestError::Missing("response"))?,
            algorithm: algorithm.as_deref().map_or(Some(Algorithm::Md5), Algorithm::parse).ok_or(DigestError::Algorithm)?,
            opaque,
            session,
            userhash: userhash.is_some_and(|word| word.eq_ignore_ascii_case("true")),
        })
    }

    /// How often the nonce was used: a server that wants no replays takes each number once (RFC 7616 §3.4).
    pub fn nonce_count(&self) -> Option<u32> {
        self.session.as_ref().and_then(|session| u32::from_str_radix(&session.nc, 16).ok())
    }

    /// A client's answer to a challenge.
    pub fn answer(challenge: &Challenge<'a>, ha1: &Ha1, answer: &Answer<'a>) -> Result<Self, DigestError> {
        if ha1.algorithm() != challenge.algorithm {
            return Err(DigestError::Algorithm);
        }
        // RFC 7616 §3.4: nc and cnonce belong to qop; without it the form of RFC 2069 is meant.
        let count = || Cow::Owned(format!("{:08x}", answer.nonce_count));
        let session = challenge.qop_auth.then(|| Session { nc: count(), cnonce: Cow::Borrowed(answer.cnonce) });
        let pair = session.as_ref().map(|session| (&*session.nc, &*session.cnonce));
        let response = super::response(ha1, &challenge.nonce, pair, answer.method, answer.uri);
        Ok(Self {
            username: Cow::Borrowed(answer.username),
            realm: challenge.realm.clone(),
            nonce: challenge.nonce.clone(),
            uri: Cow::Borrowed(answer.uri),
            response: Cow::Owned(response),
            algorithm: challenge.algorithm,
            opaque: challenge.opaque.clone(),
            session,
            userhash: false,
        })
    }
}

/// What a client puts into its answer to a challenge.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Who.
    pub username: &'a str,
    /// The method of the request.
    pub method: &'a str,
    /// The request URI.
    pub uri: &'a str,
    /// Random text of the client's own, made of token characters.
    pub cnonce: &'a str,
    /// How often this nonce has been used, this time included: 1 at first.
    pub nonce_count: u32,
}

/// Whether credentials prove the secret for this method. The comparison takes the same time wherever it fails.
///
/// # Errors
///
/// `Algorithm` when the secret is of another algorithm, `Missing("qop")` for the form of RFC 2069, which does not count its uses and
/// could be replayed, `Mismatch` when the proof is wrong. Whether the nonce is ours and fresh, and the URI the one requested, is
/// for the caller to say.
pub fn verify(credentials: &Credentials<'_>, ha1: &Ha1, method: &str) -> Result<(), DigestError> {
    if credentials.algorithm != ha1.algorithm() {
        return Err(DigestError::Algorithm);
    }
    let session = credentials.session.as_ref().ok_or(DigestError::Missing("qop"))?;
    let expected = compute(ha1, &credentials.nonce, Some((&session.nc, &session.cnonce)), method, &credentials.uri);
    // RFC 7616 §3.4: LHEX; phones that write upper case are let in.
    let given = Hex::parse(&credentials.response, ha1.algorithm()).ok_or(DigestError::Mismatch)?;
    if bool::from(expected.as_bytes().ct_eq(given.as_bytes())) { Ok(()) } else { Err(DigestError::Mismatch) }
}

impl fmt::Display for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::from("Digest");
        for (name, value) in
            [("username", &self.username), ("realm", &self.realm), ("nonce", &self.nonce), ("uri", &self.uri), ("response", &self.response)]
        {
            quoted(&mut out, name, value);
        }
        plain(&mut out, "algorithm", self.algorithm.as_str());
        if let Some(session) = &self.session {
            plain(&mut out, "qop", "auth");
            plain(&mut out, "nc", &session.nc);
            quoted(&mut out, "cnonce", &session.cnonce);
        }
        if let Some(opaque) = &self.opaque {
            quoted(&mut out, "opaque", opaque);
        }
        if self.userhash {
            plain(&mut out, "userhash", "true");
        }
        f.write_str(&out)
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .field("uri", &self.uri)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
