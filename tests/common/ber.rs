//! LDAP messages by hand: what a fake server reads and writes.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a fixture fails its test by panicking")]

use std::collections::BTreeMap;

use dialcast::model::ObjectId;
use ldap3::asn1::{PL, StructureTag, parse_tag};

/// A request: its number as it came, its operation, and its controls with their values.
pub struct Request {
    pub id: Vec<u8>,
    pub operation: StructureTag,
    pub controls: Vec<(String, Vec<u8>)>,
}

/// One whole request from the front, if there is one.
pub fn take(buffer: &mut Vec<u8>) -> Option<Request> {
    let first = usize::from(*buffer.get(1)?);
    let (header, length) = if first < 128 {
        (2, first)
    } else {
        let octets = buffer.get(2..2 + first - 128)?;
        (2 + first - 128, octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)))
    };
    if buffer.len() < header + length {
        return None;
    }
    let whole: Vec<u8> = buffer.drain(..header + length).collect();
    let (_, message) = parse_tag(&whole).unwrap();
    let mut parts = list(&message).to_vec().into_iter();
    let id = octets(&parts.next().unwrap()).to_vec();
    let operation = parts.next().unwrap();
    let controls = parts.next().map(|controls| list(&controls).iter().map(control).collect()).unwrap_or_default();
    Some(Request { id, operation, controls })
}

fn control(tag: &StructureTag) -> (String, Vec<u8>) {
    let parts = list(tag);
    let value = parts.iter().skip(1).find(|part| part.id == 4).map(|part| octets(part).to_vec()).unwrap_or_default();
    (text(&parts[0]), value)
}

pub fn list(tag: &StructureTag) -> &[StructureTag] {
    if let PL::C(parts) = &tag.payload { parts } else { panic!("a simple value in place of a sequence") }
}

pub fn octets(tag: &StructureTag) -> &[u8] {
    if let PL::P(octets) = &tag.payload { octets } else { panic!("a sequence in place of a simple value") }
}

pub fn text(tag: &StructureTag) -> String {
    String::from_utf8_lossy(octets(tag)).into_owned()
}

/// Whether a filter matches (RFC 4511 §4.5.1.7): and, or, not, equality, at least, present.
pub fn matches(filter: &StructureTag, attributes: &BTreeMap<String, Vec<String>>) -> bool {
    let values = |name: &StructureTag| attributes.get(&text(name).to_lowercase()).cloned().unwrap_or_default();
    match filter.id {
        0 => list(filter).iter().all(|part| matches(part, attributes)),
        1 => list(filter).iter().any(|part| matches(part, attributes)),
        2 => !list(filter).iter().any(|part| matches(part, attributes)),
        3 => {
            let wanted = text(&list(filter)[1]).to_lowercase();
            // nsUniqueId is grouped in another way.
            let plain = |text: &str| text.to_lowercase().replace('-', "");
            values(&list(filter)[0]).iter().any(|value| plain(value) == plain(&wanted))
        }
        5 => values(&list(filter)[0]).iter().any(|value| *value >= text(&list(filter)[1])),
        7 => !values(filter).is_empty(),
        other => panic!("a filter of the kind {other}"),
    }
}

/// BER: tag, length, content.
pub fn ber(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [[tag, 0x84, length[0], length[1], length[2], length[3]].as_slice(), content].concat()
}

pub fn message(id: &[u8], operation: &[u8], controls: &[u8]) -> Vec<u8> {
    let controls = if controls.is_empty() { Vec::new() } else { ber(0xa0, controls) };
    ber(0x30, &[&ber(2, id), operation, &controls].concat())
}

pub fn entry<'a>(dn: &str, attributes: impl Iterator<Item = (&'a String, &'a Vec<String>)>) -> Vec<u8> {
    let mut list = Vec::new();
    for (name, values) in attributes {
        let values: Vec<u8> = values.iter().flat_map(|value| ber(4, value.as_bytes())).collect();
        list.extend(ber(0x30, &[ber(4, name.as_bytes()), ber(0x31, &values)].concat()));
    }
    ber(0x64, &[ber(4, dn.as_bytes()), ber(0x30, &list)].concat())
}

pub fn result(tag: u8, code: u8) -> Vec<u8> {
    result_of(tag, &[code])
}

pub fn result_of(tag: u8, code: &[u8]) -> Vec<u8> {
    ber(tag, &[ber(0x0a, code), ber(4, b""), ber(4, b"")].concat())
}

/// RFC 4533 §2.3.
pub fn sync_state(state: u8, id: &ObjectId, cookie: Option<&str>) -> Vec<u8> {
    let cookie = cookie.map(|cookie| ber(4, cookie.as_bytes())).unwrap_or_default();
    let value = ber(0x30, &[ber(0x0a, &[state]), ber(4, id.as_bytes()), cookie].concat());
    ber(0x30, &[ber(4, b"1.3.6.1.4.1.4203.1.9.1.2"), ber(4, &value)].concat())
}

/// draft-ietf-ldapext-psearch §5.
pub fn entry_change(kind: u8) -> Vec<u8> {
    let value = ber(0x30, &ber(0x0a, &[kind]));
    ber(0x30, &[ber(4, b"2.16.840.1.113730.3.4.7"), ber(4, &value)].concat())
}

fn info(id: &[u8], value: &[u8]) -> Vec<u8> {
    message(id, &ber(0x79, &[ber(0x80, b"1.3.6.1.4.1.4203.1.9.1.4"), ber(0x81, value)].concat()), &[])
}

/// RFC 4533 §2.5: refreshPresent or refreshDelete, done.
pub fn refresh_done(id: &[u8], present: bool, cookie: &str) -> Vec<u8> {
    info(id, &ber(if present { 0xa2 } else { 0xa1 }, &ber(4, cookie.as_bytes())))
}

/// RFC 4533 §2.5: syncIdSet.
pub fn id_set(id: &[u8], deletes: bool, ids: &[ObjectId]) -> Vec<u8> {
    let set: Vec<u8> = ids.iter().flat_map(|id| ber(4, id.as_bytes())).collect();
    info(id, &ber(0xa3, &[ber(1, &[if deletes { 0xff } else { 0 }]), ber(0x31, &set)].concat()))
}
