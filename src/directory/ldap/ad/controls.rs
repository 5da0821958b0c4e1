//! The controls of Active Directory, and the few octets of BER that they need.

use ldap3::controls::RawControl;

/// RFC 2696: paged results.
pub(super) const PAGED: &str = "1.2.840.113556.1.4.319";
/// MS-ADTS §3.1.1.3.4.1.14: tombstones are found too.
pub(super) const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
/// MS-ADTS §3.1.1.3.4.1.9: the search does not end, and tells of changes.
pub(super) const NOTIFICATION: &str = "1.2.840.113556.1.4.528";

/// MS-ADTS §3.1.1.3.4.1.3: what changed since a cookie.
pub(super) const DIRSYNC: &str = "1.2.840.113556.1.4.841";

/// Entries on a page: what domain controllers give at most by default (MS-ADTS §3.1.1.3.4.6, `MaxPageSize`).
const PAGE: u16 = 1_000;

/// BER: tag, length, content.
pub(super) fn ber(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    if let Ok(length @ ..128) = u8::try_from(content.len()) {
        out.push(length);
    } else {
        let octets: Vec<u8> = content.len().to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
        // Eight at most.
        out.push(0x80 | u8::try_from(octets.len()).unwrap_or(8));
        out.extend(octets);
    }
    out.extend_from_slice(content);
    out
}

/// BER: an INTEGER of 32 bits.
pub(super) fn integer(value: i32) -> Vec<u8> {
    ber(0x02, &value.to_be_bytes())
}

/// The next page after this cookie; the first by an empty one.
pub(super) fn paged(cookie: &[u8]) -> RawControl {
    let value = ber(0x30, &[integer(i32::from(PAGE)), ber(0x04, cookie)].concat());
    RawControl { ctype: PAGED.to_owned(), crit: true, val: Some(value) }
}

pub(super) fn show_deleted() -> RawControl {
    RawControl { ctype: SHOW_DELETED.to_owned(), crit: true, val: None }
}

pub(super) fn notification() -> RawControl {
    RawControl { ctype: NOTIFICATION.to_owned(), crit: true, val: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes() {
        assert_eq!(paged(b"c").val.unwrap(), b"\x30\x09\x02\x04\x00\x00\x03\xe8\x04\x01c");
        let long = ber(4, &[7; 300]);
        assert_eq!((&long[..4], long.len()), ([4, 0x82, 1, 0x2c].as_slice(), 304));
        assert_eq!(ber(4, &[0; 128])[..3], [4, 0x81, 128]);
    }
}
