//! The arithmetic of RFC 7616 §3.4.

use std::fmt;

use md5::Md5;
use sha2::Sha256;

/// A hash algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256 (RFC 8760).
    Sha256,
    /// MD5: broken, kept for phones that know nothing else.
    Md5,
}

impl Algorithm {
    /// The algorithm that a token names, in any case. `-sess` variants are not offered.
    pub fn parse(token: &str) -> Option<Self> {
        [Self::Sha256, Self::Md5].into_iter().find(|known| known.as_str().eq_ignore_ascii_case(token))
    }

    /// The token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    /// The hexadecimal digits of a hash.
    pub const fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Md5 => 32,
        }
    }

    /// The hash of texts with colons between them.
    pub(crate) fn hash(self, texts: &[&[u8]]) -> Hex {
        match self {
            Self::Sha256 => chain::<Sha256>(texts),
            Self::Md5 => chain::<Md5>(texts),
        }
    }
}

fn chain<D: sha2::Digest>(texts: &[&[u8]]) -> Hex {
    let mut hash = D::new();
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            hash.update(b":");
        }
        hash.update(text);
    }
    Hex::of(&hash.finalize())
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A hash in lower-case hexadecimal.
#[derive(Clone, Copy)]
pub(crate) struct Hex {
    digits: [u8; 64],
    len: usize,
}

impl Hex {
    fn of(hash: &[u8]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
            pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        Self { digits, len: hash.len() * 2 }
    }

    /// What somebody else wrote, in either case; `None` when it has not the digits of the algorithm.
    pub(crate) fn parse(text: &str, algorithm: Algorithm) -> Option<Self> {
        if text.len() != algorithm.digits() || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut digits = [0; 64];
        for (to, from) in digits.iter_mut().zip(text.bytes()) {
            *to = from.to_ascii_lowercase();
        }
        Some(Self { digits, len: text.len() })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// H(username:realm:password): what stands for the password (RFC 7616 §3.4.2), and is worth as much to a thief in this realm.
#[derive(Clone, Copy)]
pub struct Ha1 {
    algorithm: Algorithm,
    hex: Hex,
}

impl Ha1 {
    /// From the password.
    pub fn new(algorithm: Algorithm, username: &str, realm: &str, password: &str) -> Self {
        Self { algorithm, hex: algorithm.hash(&[username.as_bytes(), realm.as_bytes(), password.as_bytes()]) }
    }

    /// From its hexadecimal form, as credential files hold it; `None` when it has not the digits of the algorithm.
    pub fn from_hex(algorithm: Algorithm, text: &str) -> Option<Self> {
        Hex::parse(text, algorithm).map(|hex| Self { algorithm, hex })
    }

    /// The algorithm that it was made with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// The secret is not shown.
impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ha1({}, ***)", self.algorithm)
    }
}

/// RFC 7616 §3.4.1: the response in hexadecimal. `session` is nc and cnonce of `qop=auth`; without it, the form of RFC 2069 that old
/// servers ask for by leaving qop out of their challenge.
pub fn response(ha1: &Ha1, nonce: &str, session: Option<(&str, &str)>, method: &str, uri: &str) -> String {
    compute(ha1, nonce, session, method, uri).as_str().to_owned()
}

pub(crate) fn compute(ha1: &Ha1, nonce: &str, session: Option<(&str, &str)>, method: &str, uri: &str) -> Hex {
    let ha2 = ha1.algorithm.hash(&[method.as_bytes(), uri.as_bytes()]);
    let (ha1, algorithm) = (ha1.hex.as_bytes(), ha1.algorithm);
    match session {
        Some((nc, cnonce)) => algorithm.hash(&[ha1, nonce.as_bytes(), nc.as_bytes(), cnonce.as_bytes(), b"auth", ha2.as_bytes()]),
        None => algorithm.hash(&[ha1, nonce.as_bytes(), ha2.as_bytes()]),
    }
}
