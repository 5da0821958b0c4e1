//! As much BER as a fake LDAP server needs.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, reason = "a fixture fails its test by panicking")]

/// A value: its tag and content, within another's octets.
#[derive(Clone, Copy)]
pub struct Tlv<'a> {
    pub tag: u8,
    pub content: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// The first value, and what is behind it; nothing when it is not all there.
    pub fn first(octets: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (tag, first) = (*octets.first()?, usize::from(*octets.get(1)?));
        let (header, length) = if first < 128 {
            (2, first)
        } else {
            let octets = octets.get(2..2 + first - 128)?;
            (2 + first - 128, octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)))
        };
        let content = octets.get(header..header + length)?;
        Some((Self { tag, content }, &octets[header + length..]))
    }

    /// The values within.
    pub fn parts(self) -> Vec<Self> {
        let mut rest = self.content;
        let mut parts = Vec::new();
        while let Some((part, more)) = Self::first(rest) {
            parts.push(part);
            rest = more;
        }
        parts
    }

    pub fn text(self) -> String {
        String::from_utf8_lossy(self.content).into_owned()
    }

    pub fn number(self) -> i64 {
        let sign = self.content.first().is_some_and(|octet| octet & 0x80 != 0);
        self.content.iter().fold(if sign { -1 } else { 0 }, |number, &octet| number << 8 | i64::from(octet))
    }
}

/// One whole message from the front, if there is one.
pub fn take(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = { buffer.len() - Tlv::first(buffer)?.1.len() };
    Some(buffer.drain(..length).collect())
}

/// Tag, length, content.
pub fn ber(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [[tag, 0x84].as_slice(), &length, content].concat()
}

pub fn octets(value: impl AsRef<[u8]>) -> Vec<u8> {
    ber(0x04, value.as_ref())
}

pub fn integer(value: i64) -> Vec<u8> {
    ber(0x02, &value.to_be_bytes())
}

/// RFC 4511 §4.1.1. `controls`: OID and value.
pub fn message(id: i64, operation: &[u8], controls: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let controls: Vec<u8> = controls.iter().flat_map(|(oid, value)| ber(0x30, &[octets(oid), octets(value)].concat())).collect();
    let controls = if controls.is_empty() { Vec::new() } else { ber(0xa0, &controls) };
    ber(0x30, &[integer(id), operation.to_vec(), controls].concat())
}

/// RFC 4511 §4.5.2.
pub fn entry(name: &str, attributes: &[(String, Vec<Vec<u8>>)]) -> Vec<u8> {
    let attribute = |(name, values): &(String, Vec<Vec<u8>>)| {
        ber(0x30, &[octets(name), ber(0x31, &values.iter().flat_map(octets).collect::<Vec<_>>())].concat())
    };
    ber(0x64, &[octets(name), ber(0x30, &attributes.iter().flat_map(attribute).collect::<Vec<_>>())].concat())
}

/// RFC 4511 §4.1.9, by the operation's tag.
pub fn result(tag: u8, code: u8, words: &str) -> Vec<u8> {
    ber(tag, &[ber(0x0a, &[code]), octets(""), octets(words)].concat())
}

/// A filter (RFC 4511 §4.5.1.7) held against attributes.
pub fn matches(filter: Tlv<'_>, attributes: &[(String, Vec<Vec<u8>>)]) -> bool {
    let values = |name: &str| {
        attributes.iter().filter(|(held, _)| held.eq_ignore_ascii_case(name)).flat_map(|(_, values)| values).collect::<Vec<_>>()
    };
    let number = |octets: &[u8]| String::from_utf8_lossy(octets).parse::<u64>().unwrap_or(0);
    match filter.tag {
        0xa0 => filter.parts().into_iter().all(|part| matches(part, attributes)),
        0xa1 => filter.parts().into_iter().any(|part| matches(part, attributes)),
        0xa2 => !filter.parts().into_iter().any(|part| matches(part, attributes)),
        0x87 => !values(&filter.text()).is_empty(),
        tag @ (0xa3 | 0xa5 | 0xa6) => {
            let [name, value] = filter.parts()[..] else { return false };
            values(&name.text()).into_iter().any(|held| match tag {
                0xa3 => held.eq_ignore_ascii_case(value.content),
                0xa5 => number(held) >= number(value.content),
                _ => number(held) <= number(value.content),
            })
        }
        _ => false,
    }
}
