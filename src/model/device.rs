//! What devices call themselves: MAC addresses and instance ids.

use std::fmt;
use std::sync::Arc;

/// The longest instance id that is looked at, in octets: a URN of a UUID has 45.
const OCTETS_MAX: usize = 256;
/// What a device calls itself: a MAC address, or a URN such as `urn:uuid:…` (RFC 5626 §4.1), folded. `Display` gives it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    /// Reads a MAC address in any usual spelling, with or without `MAC:` before it; a UUID, with or without `urn:uuid:`; or
    /// another URN. `None` for what is none of these.
    ///
    /// RFC 6080 §5.1.4.2: a device without an instance id makes one of its MAC address, a UUID of version 1 without a time. It is
    /// read as the MAC address.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > OCTETS_MAX || text.bytes().any(|b| !b.is_ascii_graphic()) {
            return None;
        }
        let lower = text.to_ascii_lowercase();
        let bare = lower.strip_prefix("mac").map_or(&*lower, |rest| rest.trim_start_matches([':', '=']));
        if let Some(mac) = mac(bare) {
            return Some(Self(mac.into()));
        }
        let uuid = lower.strip_prefix("urn:uuid:").unwrap_or(&lower).trim_start_matches('{').trim_end_matches('}');
        if is_uuid(uuid) {
            let of_mac = uuid.strip_prefix("00000000-0000-1000-").and_then(|rest| rest.split_once('-')).and_then(|(_, node)| mac(node));
            return Some(Self(of_mac.unwrap_or_else(|| format!("urn:uuid:{uuid}")).into()));
        }
        // RFC 8141 §2: urn, a namespace, and something in it.
        let is_urn =
            lower.strip_prefix("urn:").and_then(|rest| rest.split_once(':')).is_some_and(|(nid, nss)| nid.len() > 1 && !nss.is_empty());
        (is_urn && !lower.starts_with("urn:uuid:")).then(|| Self(lower.into()))
    }
}

/// Twelve hexadecimal digits, however they are grouped, as `mac:` and the digits.
fn mac(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
    let is_mac = digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit()) && text.len() <= 17;
    is_mac.then(|| format!("mac:{digits}"))
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths = [8, 4, 4, 4, 12];
    groups.len() == 5
        && groups.iter().zip(lengths).all(|(group, length)| group.len() == length && group.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        let check = |text: &str, expect: &str| {
            assert_eq!(DeviceId::parse(text).map_or_else(|| "-".to_owned(), |id| id.to_string()), expect, "{text}");
        };
        for text in [
            "00:15:65:F4:F9:E1",
            "00-15-65-f4-f9-e1",
            "0015.65f4.f9e1",
            "001565F4F9E1",
            "MAC001565f4f9e1",
            "MAC:001565F4F9E1",
            "mac=001565f4f9e1",
        ] {
            check(text, "mac:001565f4f9e1");
        }
        check("urn:uuid:F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
        check("{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
        // RFC 6080 §5.1.4.2: made of a MAC address.
        check("urn:uuid:00000000-0000-1000-0000-00FF8D82EDCB", "mac:00ff8d82edcb");
        check("urn:gsma:imei:90420156-025763-0", "urn:gsma:imei:90420156-025763-0");
        for text in ["", "anna", "0015.65f4.f9", "urn:uuid:1", "urn:", "SN-12345", "00 15 65 F4 F9 E1", "0:0:1:5:6:5:f:4:f:9:e:1"] {
            check(text, "-");
        }
    }
}
