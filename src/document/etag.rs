//! The name of a document's bytes.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// The first 128 bits of the SHA-256 of a document's bytes, written as 32 hexadecimal digits: a `token` for `SIP-ETag` and
/// `Suppress-If-Match` (RFC 5839 §8).
///
/// Half of the digest is enough, and half the memory for each of a million subscriptions and half the header: a chance
/// collision needs 2⁶⁴ documents, and whoever could search for one (an admin who writes policies) could only keep a
/// change of his own from being sent. It is no proof of origin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Etag([u8; 16]);

impl Etag {
    /// The name of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        Self(half)
    }

    /// The sixteen octets.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not one of Dialcast's `ETags`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an ETag of Dialcast is 32 hexadecimal digits in lower case")]
pub struct EtagError;

impl FromStr for Etag {
    type Err = EtagError;

    fn from_str(text: &str) -> Result<Self, EtagError> {
        // RFC 5839 §8 compares entity tags octet by octet: upper case is another tag.
        if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(EtagError);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| EtagError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_first_half_of_sha256() {
        // FIPS 180-2, appendix B.1.
        let etag = Etag::of(b"abc");
        assert_eq!(etag.to_string(), "ba7816bf8f01cfea414140de5dae2223");
        assert_eq!(etag.to_string().parse(), Ok(etag));
        assert_ne!(Etag::of(b"abd"), etag);
    }

    #[test]
    fn refuses_what_is_none() {
        for text in
            ["", "ba78", "BA7816BF8F01CFEA414140DE5DAE2223", "+a7816bf8f01cfea414140de5dae2223", "ba7816bf8f01cfea414140de5dae222300"]
        {
            assert_eq!(text.parse::<Etag>(), Err(EtagError), "{text}");
        }
    }
}
