//! The stable identity of a directory object.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The id that a directory gives an object for life: objectGUID, entryUUID, nsUniqueId, or,
/// where an LDIF file has none, a value derived from the DN at which the object was first seen.
///
/// It survives renames and moves. It is ordered, so that ties in policy have one answer on
/// every machine (the lowest id wins), and printed in the form of RFC 9562 §4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 16]);

impl ObjectId {
    /// An id from its sixteen octets, most significant first.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The sixteen octets, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not an object id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an object id is 32 hexadecimal digits, with or without hyphens")]
pub struct IdError;

impl FromStr for ObjectId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut bytes = [0u8; 16];
        let mut digits = 0usize;
        for c in text.chars().filter(|c| *c != '-') {
            let nibble = c.to_digit(16).ok_or(IdError)?;
            let slot = bytes.get_mut(digits / 2).ok_or(IdError)?;
            *slot = (*slot << 4) | u8::try_from(nibble).map_err(|_| IdError)?;
            digits += 1;
        }
        if digits == 32 { Ok(Self(bytes)) } else { Err(IdError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_parses() {
        let text = "597ae2f6-16a6-1027-98f4-d28b5365dc14";
        let id: ObjectId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        // nsUniqueId's grouping reads as the same id.
        assert_eq!("597ae2f6-16a61027-98f4d28b-5365dc14".parse(), Ok(id));
    }

    #[test]
    fn refuses_what_is_not_an_id() {
        for text in ["", "597ae2f6", "597ae2f6-16a6-1027-98f4-d28b5365dc1g", "597ae2f616a6102798f4d28b5365dc1400"] {
            assert_eq!(text.parse::<ObjectId>(), Err(IdError), "{text}");
        }
    }
}
