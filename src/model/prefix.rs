//! Network prefixes, and which of many is the longest that an address has.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A network prefix, IPv4 or IPv6, without host bits. `Display` is the canonical text (RFC 5952 for IPv6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Prefix {
    family: Family,
    length: u8,
    /// The address's bits, from the highest; of IPv4 the upper 32.
    bits: u128,
}

/// An IPv4 prefix never covers an IPv6 address, nor the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Family {
    V4,
    V6,
}

/// Why a text is no prefix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PrefixError {
    /// It is not `address/length`.
    #[error("`{0}` is not address/length, such as 10.1.0.0/16 or 2001:db8::/32")]
    Shape(String),
    /// The length is more than the address has bits.
    #[error("the length {length} is more than the {max} bits of the address")]
    Length {
        /// What was written.
        length: u32,
        /// 32 or 128.
        max: u8,
    },
    /// The address has bits behind the prefix: one of the two was meant to be another.
    #[error("the address has bits behind the first {}; the network is {meant}", meant.length)]
    HostBits {
        /// The prefix without those bits.
        meant: Prefix,
    },
}

impl Prefix {
    /// The length of an address and its family, and its bits from the highest.
    fn of(address: IpAddr) -> (Family, u8, u128) {
        // A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
        match address.to_canonical() {
            IpAddr::V4(v4) => (Family::V4, 32, u128::from(u32::from(v4)) << 96),
            IpAddr::V6(v6) => (Family::V6, 128, u128::from(v6)),
        }
    }

    /// Whether the address is in the network.
    #[cfg(test)]
    pub(crate) fn covers(&self, address: IpAddr) -> bool {
        let (family, _, bits) = Self::of(address);
        family == self.family && masked(bits, self.length) == self.bits
    }
}

/// The first `length` bits; the rest 0.
const fn masked(bits: u128, length: u8) -> u128 {
    if length == 0 { 0 } else { bits & (u128::MAX << (128 - length as u32)) }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let text = text.trim();
        let shape = || PrefixError::Shape(text.chars().take(80).collect());
        let (address, length) = text.split_once('/').ok_or_else(shape)?;
        let address: IpAddr = address.parse().map_err(|_| shape())?;
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(shape());
        }
        let length: u32 = length.parse().map_err(|_| shape())?;
        // As it is written: ::ffff:0:0/96 is a network of IPv6.
        let (family, max, bits) = match address {
            IpAddr::V4(_) => Self::of(address),
            IpAddr::V6(v6) => (Family::V6, 128, u128::from(v6)),
        };
        let length = u8::try_from(length).ok().filter(|length| *length <= max).ok_or(PrefixError::Length { length, max })?;
        let meant = Self { family, length, bits: masked(bits, length) };
        if meant.bits == bits { Ok(meant) } else { Err(PrefixError::HostBits { meant }) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::V4 => write!(f, "{}/{}", Ipv4Addr::from((self.bits >> 96) as u32), self.length),
            Family::V6 => write!(f, "{}/{}", Ipv6Addr::from(self.bits), self.length),
        }
    }
}

/// Values by prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrefixMap<T> {
    v4: ByLength<T>,
    v6: ByLength<T>,
}

/// The longest length first. There are 129 at most, and a few in any real network: each costs a look-up one probe.
type ByLength<T> = Vec<(u8, HashMap<u128, T>)>;

impl<T> Default for PrefixMap<T> {
    fn default() -> Self {
        Self { v4: Vec::new(), v6: Vec::new() }
    }
}

impl<T> PrefixMap<T> {
    /// The value at a prefix, made now if there is none.
    pub(crate) fn entry(&mut self, prefix: Prefix) -> std::collections::hash_map::Entry<'_, u128, T> {
        let lengths = if prefix.family == Family::V4 { &mut self.v4 } else { &mut self.v6 };
        let at = lengths.partition_point(|(length, _)| *length > prefix.length);
        if lengths.get(at).is_none_or(|(length, _)| *length != prefix.length) {
            lengths.insert(at, (prefix.length, HashMap::new()));
        }
        lengths[at].1.entry(prefix.bits)
    }

    /// Every prefix, in no order.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        let of = |family, lengths: &'_ ByLength<T>| -> Vec<Prefix> {
            let all = lengths.iter().flat_map(|(length, values)| values.keys().map(|bits| Prefix { family, length: *length, bits: *bits }));
            all.collect()
        };
        of(Family::V4, &self.v4).into_iter().chain(of(Family::V6, &self.v6))
    }

    /// The value at the longest prefix that covers all of a network.
    pub(crate) fn covering(&self, network: Prefix) -> Option<&T> {
        let lengths = if network.family == Family::V4 { &self.v4 } else { &self.v6 };
        let wide = lengths.iter().filter(|(length, _)| *length <= network.length);
        wide.filter_map(|(length, values)| values.get(&masked(network.bits, *length))).next()
    }

    /// The longest prefix of an address, and the value there.
    pub(crate) fn longest(&self, address: IpAddr) -> Option<(Prefix, &T)> {
        let (family, _, bits) = Prefix::of(address);
        let lengths = if family == Family::V4 { &self.v4 } else { &self.v6 };
        lengths.iter().find_map(|(length, values)| {
            let bits = masked(bits, *length);
            Some((Prefix { family, length: *length, bits }, values.get(&bits)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts() {
        let check = |text: &str, expect: &str| {
            let shown = text.parse::<Prefix>().map_or_else(|error| error.to_string(), |prefix| prefix.to_string());
            assert_eq!(shown, expect, "{text}");
        };
        check("10.1.0.0/16", "10.1.0.0/16");
        check(" 0.0.0.0/0 ", "0.0.0.0/0");
        check("192.0.2.7/32", "192.0.2.7/32");
        check("2001:DB8:0::/32", "2001:db8::/32");
        check("::/0", "::/0");
        check("::ffff:0:0/96", "::ffff:0.0.0.0/96");
        check("10.1.2.0/16", "the address has bits behind the first 16; the network is 10.1.0.0/16");
        check("2001:db8::1/64", "the address has bits behind the first 64; the network is 2001:db8::/64");
        check("10.1.0.0/33", "the length 33 is more than the 32 bits of the address");
        check("2001:db8::/129", "the length 129 is more than the 128 bits of the address");
        for text in ["10.1.0.0", "10.1.0/16", "010.1.0.0/16", "10.1.0.0/", "10.1.0.0/+16", "10.1.0.0/255.255.0.0", "Berlin", ""] {
            check(text, &format!("`{text}` is not address/length, such as 10.1.0.0/16 or 2001:db8::/32"));
        }
    }

    #[test]
    fn mapped_addresses_are_those_that_they_stand_for() {
        let mut map = PrefixMap::default();
        map.entry("10.0.0.0/8".parse().unwrap()).or_insert("four");
        map.entry("::/0".parse().unwrap()).or_insert("six");
        let at = |address: &str| map.longest(address.parse().unwrap()).map(|(prefix, value)| format!("{prefix} {value}"));
        assert_eq!(at("10.1.2.3").as_deref(), Some("10.0.0.0/8 four"));
        assert_eq!(at("::ffff:10.1.2.3").as_deref(), Some("10.0.0.0/8 four"));
        assert_eq!(at("::1").as_deref(), Some("::/0 six"));
        assert_eq!(at("192.0.2.1"), None);
    }

    fn prefix() -> impl Strategy<Value = Prefix> {
        // Near each other, so that they nest.
        let v4 = (any::<u32>(), 0..=32_u8).prop_map(|(bits, length)| (Family::V4, u128::from(bits & 0x0701_0103) << 96, length));
        let v6 = (any::<u128>(), 0..=128_u8).prop_map(|(bits, length)| (Family::V6, bits & (0x7001 << 112 | 0x13), length));
        prop_oneof![v4, v6].prop_map(|(family, bits, length)| Prefix { family, length, bits: masked(bits, length) })
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        let v4 = any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from(bits & 0x0701_0103)));
        let v6 = any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from(bits & (0x7001 << 112 | 0x13))));
        let mapped = any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from(bits & 0x0701_0103).to_ipv6_mapped()));
        prop_oneof![v4, v6, mapped]
    }

    proptest! {
        #[test]
        fn longest_is_what_a_search_through_all_finds(
            prefixes in prop::collection::vec(prefix(), 0..40),
            addresses in prop::collection::vec(address(), 1..20),
        ) {
            let mut map = PrefixMap::default();
            for (index, prefix) in prefixes.iter().enumerate() {
                map.entry(*prefix).or_insert(index);
            }
            for address in addresses {
                let covering = prefixes.iter().enumerate().filter(|(_, prefix)| prefix.covers(address));
                // Of equal ones the first.
                let expect = covering.min_by_key(|(index, prefix)| (u8::MAX - prefix.length, *index)).map(|(index, prefix)| (*prefix, index));
                prop_assert_eq!(map.longest(address).map(|(prefix, index)| (prefix, *index)), expect, "{}", address);
                // A network of one address is that address.
                if let Ok(alone) = format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }).parse::<Prefix>()
                    && address == address.to_canonical()
                {
                    prop_assert_eq!(map.covering(alone).copied(), expect.map(|(_, index)| index), "{}", alone);
                }
            }
        }

        #[test]
        fn what_is_shown_is_read(prefix in prefix()) {
            prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
        }
    }
}
