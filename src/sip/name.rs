//! Names of header fields.

use std::fmt;

macro_rules! names {
    ($($variant:ident $text:literal $compact:literal $list:literal,)*) => {
        /// The name of a header field; in any case, and in its compact form, the same name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each variant is the field of that name")]
        pub enum Name<'n> {
            $($variant,)*
            /// A field that this crate has no use for, as it is written.
            Other(&'n str),
        }

        /// A name without its text: what an index keeps.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Key { $($variant,)* Other }

        const TABLE: &[(Key, &str, u8, bool)] = &[$((Key::$variant, $text, $compact, $list),)*];

        impl<'n> Name<'n> {
            pub(crate) const fn key(self) -> Key {
                match self { $(Self::$variant => Key::$variant,)* Self::Other(_) => Key::Other }
            }

            pub(crate) const fn of(key: Key, text: &'n str) -> Self {
                match key { $(Key::$variant => Self::$variant,)* Key::Other => Self::Other(text) }
            }
        }
    };
}

// Sorted by length: a name is compared only with those of its own length. The third column is the compact form (IANA, SIP parameters),
// the fourth says whether the grammar makes it a comma-separated list (RFC 3261 §7.3.1 and the RFC of the field).
names! {
    To "To" b't' false,
    Via "Via" b'v' true,
    From "From" b'f' false,
    CSeq "CSeq" 0 false,
    Date "Date" 0 false,
    Path "Path" 0 true,
    Event "Event" b'o' false,
    Route "Route" 0 true,
    Allow "Allow" 0 true,
    Accept "Accept" 0 true,
    Server "Server" 0 false,
    CallId "Call-ID" b'i' false,
    Contact "Contact" b'm' true,
    Expires "Expires" 0 false,
    Require "Require" 0 true,
    Subject "Subject" b's' false,
    Warning "Warning" 0 true,
    ReferTo "Refer-To" b'r' false,
    SipETag "SIP-ETag" 0 false,
    Supported "Supported" b'k' true,
    UserAgent "User-Agent" 0 false,
    RetryAfter "Retry-After" 0 false,
    Unsupported "Unsupported" 0 true,
    MinExpires "Min-Expires" 0 false,
    ContentType "Content-Type" b'c' false,
    AllowEvents "Allow-Events" b'u' true,
    RecordRoute "Record-Route" 0 true,
    MaxForwards "Max-Forwards" 0 false,
    SipIfMatch "SIP-If-Match" 0 false,
    Authorization "Authorization" 0 false,
    ProxyRequire "Proxy-Require" 0 true,
    ContentLength "Content-Length" b'l' false,
    WwwAuthenticate "WWW-Authenticate" 0 false,
    ContentEncoding "Content-Encoding" b'e' true,
    SuppressIfMatch "Suppress-If-Match" 0 false,
    SubscriptionState "Subscription-State" 0 false,
    ProxyAuthenticate "Proxy-Authenticate" 0 false,
    ContentDisposition "Content-Disposition" 0 false,
    PAssertedIdentity "P-Asserted-Identity" 0 true,
    AuthenticationInfo "Authentication-Info" 0 false,
    ProxyAuthorization "Proxy-Authorization" 0 false,
}

const LENGTHS: usize = 24;

/// For each length the first row of that length; the next entry ends it.
const FIRST: [u8; LENGTHS] = {
    let mut first = [0; LENGTHS];
    let mut length = 0;
    let mut row = 0;
    while length < LENGTHS {
        while row < TABLE.len() && TABLE[row].1.len() < length {
            row += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the table is far shorter than 256 rows")]
        let value = row as u8;
        first[length] = value;
        length += 1;
    }
    first
};

/// The last four octets of a name in lower case, as one number: nearly always enough to tell names of one length apart, so that hardly
/// ever more than one is compared whole.
const fn fingerprint(name: &[u8]) -> u32 {
    let mut print = 0;
    let mut at = name.len().saturating_sub(4);
    while at < name.len() {
        // Setting this bit makes a letter small, and changes none of the other characters that the names hold.
        print = print << 8 | (name[at] | 0x20) as u32;
        at += 1;
    }
    print
}

const PRINTS: [u32; TABLE.len()] = {
    let mut prints = [0; TABLE.len()];
    let mut row = 0;
    while row < TABLE.len() {
        prints[row] = fingerprint(TABLE[row].1.as_bytes());
        row += 1;
    }
    prints
};

impl<'n> Name<'n> {
    /// The name as RFC 3261 §20 spells it; an unknown one as it was written.
    pub const fn as_str(self) -> &'n str {
        match self {
            Self::Other(text) => text,
            known => TABLE[known.key() as usize].1,
        }
    }

    /// Whether the field is a list by its grammar, so that it may be split at commas.
    pub const fn is_list(self) -> bool {
        match self {
            Self::Other(_) => false,
            known => TABLE[known.key() as usize].3,
        }
    }
}

impl Key {
    /// RFC 3261 §7.3.1: field names are compared without regard to case; §7.3.3: the compact form is the same field.
    pub(crate) fn find(name: &[u8]) -> Self {
        if let [letter] = name {
            let letter = letter.to_ascii_lowercase();
            return TABLE.iter().find(|row| row.2 == letter && letter != 0).map_or(Self::Other, |row| row.0);
        }
        let (Some(from), Some(to)) = (FIRST.get(name.len()), FIRST.get(name.len() + 1)) else { return Self::Other };
        let rows = TABLE.get(usize::from(*from)..usize::from(*to)).unwrap_or_default();
        let prints = PRINTS.get(usize::from(*from)..usize::from(*to)).unwrap_or_default();
        let print = fingerprint(name);
        let is = |text: &str| text.as_bytes() == name || text.as_bytes().eq_ignore_ascii_case(name);
        prints.iter().zip(rows).find(|(known, row)| **known == print && is(row.1)).map_or(Self::Other, |(_, row)| row.0)
    }
}

impl<'n> From<&'n str> for Name<'n> {
    fn from(text: &'n str) -> Self {
        Self::of(Key::find(text.as_bytes()), text)
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_in_its_compact_form() {
        assert!(TABLE.is_sorted_by_key(|row| row.1.len()), "the table is sorted by length");
        assert!(TABLE.iter().all(|row| row.1.len() + 1 < LENGTHS));
        for (key, text, compact, _) in TABLE {
            for written in [(*text).to_owned(), text.to_ascii_uppercase(), text.to_ascii_lowercase()] {
                assert_eq!(Name::from(written.as_str()).key(), *key, "{written}");
            }
            assert_eq!(Name::of(*key, "").as_str(), *text);
            if *compact != 0 {
                assert_eq!(Key::find(&[*compact]), *key);
                assert_eq!(Key::find(&[compact.to_ascii_uppercase()]), *key);
            }
        }
    }

    #[test]
    fn near_misses_are_other_fields() {
        for text in ["", "Vi", "Viaa", "C%6Fntact", "X-Via", "z", "\0", "a-name-that-is-longer-than-all-the-others-in-the-table"] {
            assert_eq!(Name::from(text), Name::Other(text));
        }
    }
}
