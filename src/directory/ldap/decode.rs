//! From the BER that ldap3 hands on to the messages of RFC 4533.
//!
//! ldap3 has parsers for them, which panic on anything unexpected and guess whether values are text; these do neither.

use ldap3::asn1::{PL, StructureTag, TagClass, parse_tag};
use ldap3::controls::Control;

use super::identity::{Identity, Version, take_version};
use crate::model::{Attributes, Dn, Names, ObjectId};

/// RFC 4533 §2.3.
const SYNC_STATE: &str = "1.3.6.1.4.1.4203.1.9.1.2";
/// RFC 4533 §2.5.
const SYNC_INFO: &[u8] = b"1.3.6.1.4.1.4203.1.9.1.4";

/// What the server says in answer to a synchronizing search, up to its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// An entry with its Sync State control (RFC 4533 §2.2).
    Entry(SyncEntry),
    /// A Sync Info message (RFC 4533 §2.5).
    Info(Info),
    /// A continuation reference (RFC 4511 §4.5.3): part of the tree is on another server.
    Reference(String),
    /// Anything else, which is of no concern.
    Other,
}

/// An entry and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyncEntry {
    pub(super) state: State,
    pub(super) found: Found,
    pub(super) cookie: Option<Vec<u8>>,
}

/// An entry as a search finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: ObjectId,
    /// Its name; or, when that cannot be read, its text and the reason.
    pub(super) dn: Result<Dn, (String, String)>,
    pub(super) attributes: Attributes,
    /// What [`take_version`] gives.
    pub(super) version: Version,
    /// `hasSubordinates`, where it was asked for. It is not kept: nobody is told when it changes.
    pub(super) has_below: Option<bool>,
}

/// RFC 4533 §2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Present,
    Add,
    Modify,
    Delete,
}

/// RFC 4533 §2.5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Info {
    NewCookie(Vec<u8>),
    RefreshDelete { cookie: Option<Vec<u8>>, done: bool },
    RefreshPresent { cookie: Option<Vec<u8>>, done: bool },
    IdSet { cookie: Option<Vec<u8>>, deletes: bool, ids: Vec<ObjectId> },
}

/// What is wrong with a message.
pub(super) type Malformed = &'static str;

/// Reads a message of the search.
pub(super) fn message(tag: StructureTag, controls: &[Control]) -> Result<Message, Malformed> {
    match tag.id {
        4 => {
            let control = controls.iter().find(|control| control.1.ctype == SYNC_STATE).and_then(|control| control.1.val.as_deref());
            sync_entry(tag, control.ok_or("an entry without its Sync State control")?).map(Message::Entry)
        }
        19 => reference(tag).map(Message::Reference),
        25 => intermediate(tag),
        _ => Ok(Message::Other),
    }
}

/// An entry of an ordinary search, with its id.
pub(super) fn found(tag: StructureTag, identity: Identity) -> Result<Found, Malformed> {
    let (name, mut attributes, has_below) = parts(tag)?;
    let id = identity.of(&attributes, &name).ok_or("an entry without its id")?;
    if identity != Identity::EntryUuid
        && let Some(attribute) = identity.attribute()
    {
        // It is the id already.
        attributes.remove(attribute);
    }
    let version = take_version(&mut attributes);
    Ok(Found { id, dn: dn(name), attributes, version, has_below })
}

/// A name; or, when it cannot be read, its text and the reason.
fn dn(name: Vec<u8>) -> Result<Dn, (String, String)> {
    match String::from_utf8(name) {
        Ok(name) => name.parse::<Dn>().map_err(|error| (name, error.to_string())),
        Err(error) => Err((String::from_utf8_lossy(error.as_bytes()).into_owned(), "not UTF-8".to_owned())),
    }
}

/// An entry of an ordinary search: its name and attributes.
pub(super) fn entry(tag: StructureTag) -> Result<(Vec<u8>, Attributes), Malformed> {
    let (name, attributes, _) = parts(tag)?;
    Ok((name, attributes))
}

fn constructed(payload: PL) -> Result<Vec<StructureTag>, Malformed> {
    if let PL::C(tags) = payload { Ok(tags) } else { Err("a simple value in place of a sequence") }
}

fn primitive(payload: PL) -> Result<Vec<u8>, Malformed> {
    if let PL::P(octets) = payload { Ok(octets) } else { Err("a sequence in place of a simple value") }
}

fn id(octets: &[u8]) -> Result<ObjectId, Malformed> {
    octets.try_into().map(ObjectId::from_bytes).map_err(|_| "a syncUUID that has not 16 octets")
}

type Parts = (Vec<u8>, Attributes, Option<bool>);

fn parts(tag: StructureTag) -> Result<Parts, Malformed> {
    let (name, found) = raw(tag)?;
    let mut attributes = Vec::new();
    let mut has_below = None;
    for (kind, values) in found {
        if kind.eq_ignore_ascii_case("hasSubordinates") {
            has_below = values.first().map(|value| value.eq_ignore_ascii_case(b"TRUE"));
        } else {
            // RFC 4522 §3: an option of the transfer, not of the attribute.
            attributes.push((kind.strip_suffix(";binary").unwrap_or(&kind).to_owned(), values));
        }
    }
    // The store shares names between entries; this one alone has nothing to share.
    Ok((name, Attributes::gather(attributes, &mut Names::default()), has_below))
}

/// An entry's attributes as they came, options and all.
pub(super) type RawAttributes = Vec<(String, Vec<Vec<u8>>)>;

/// An entry of an ordinary search: its name and attributes, as they came.
pub(super) fn raw(tag: StructureTag) -> Result<(Vec<u8>, RawAttributes), Malformed> {
    // RFC 4511 §4.5.2: SearchResultEntry ::= { objectName, attributes }.
    let mut parts = constructed(tag.payload)?.into_iter();
    let name = primitive(parts.next().ok_or("an entry without a name")?.payload)?;
    let mut attributes = Vec::new();
    for attribute in parts.next().map(|tag| constructed(tag.payload)).transpose()?.into_iter().flatten() {
        let mut attribute = constructed(attribute.payload)?.into_iter();
        let (Some(kind), Some(values)) = (attribute.next(), attribute.next()) else { return Err("an attribute without its parts") };
        let kind = String::from_utf8(primitive(kind.payload)?).map_err(|_| "an attribute name that is not text")?;
        let values = constructed(values.payload)?.into_iter().map(|value| primitive(value.payload)).collect::<Result<Vec<_>, _>>()?;
        attributes.push((kind, values));
    }
    Ok((name, attributes))
}

/// The URLs of a continuation reference (RFC 4511 §4.5.3).
pub(super) fn reference(tag: StructureTag) -> Result<String, Malformed> {
    let urls = constructed(tag.payload)?.into_iter().filter_map(|url| primitive(url.payload).ok());
    Ok(urls.map(|url| String::from_utf8_lossy(&url).into_owned()).collect::<Vec<_>>().join(" "))
}

/// The cookie of the Paged Results control among a result's controls (RFC 2696 §2), if there is one.
pub(super) fn page_cookie(controls: &[Control]) -> Result<Option<Vec<u8>>, Malformed> {
    let Some(value) = control_value(controls, "1.2.840.113556.1.4.319") else { return Ok(None) };
    let cookie = sequence(value)?.into_iter().nth(1).ok_or("a Paged Results control without a cookie")?;
    primitive(cookie.payload).map(Some)
}

/// What the DirSync control of a result says (MS-ADTS §3.1.1.3.4.1.3): whether there is more, and the cookie.
pub(super) fn dirsync(value: &[u8]) -> Result<(bool, Vec<u8>), Malformed> {
    let mut parts = sequence(value)?.into_iter();
    let (Some(more), Some(_), Some(cookie)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("a DirSync control without its parts");
    };
    Ok((primitive(more.payload)?.iter().any(|&octet| octet != 0), primitive(cookie.payload)?))
}

/// The value of a control.
pub(super) fn control_value<'c>(controls: &'c [Control], oid: &str) -> Option<&'c [u8]> {
    controls.iter().find(|control| control.1.ctype == oid).and_then(|control| control.1.val.as_deref())
}

fn sync_entry(tag: StructureTag, control: &[u8]) -> Result<SyncEntry, Malformed> {
    // RFC 4533 §2.3: syncStateValue ::= SEQUENCE { state ENUMERATED, entryUUID, cookie OPTIONAL }.
    let mut control = sequence(control)?.into_iter();
    let state = primitive(control.next().ok_or("a Sync State control without a state")?.payload)?;
    let state = match state.as_slice() {
        [0] => State::Present,
        [1] => State::Add,
        [2] => State::Modify,
        [3] => State::Delete,
        _ => return Err("an unknown state in a Sync State control"),
    };
    let id = id(&primitive(control.next().ok_or("a Sync State control without a UUID")?.payload)?)?;
    let cookie = control.next().map(|tag| primitive(tag.payload)).transpose()?;
    let (name, mut attributes, has_below) = parts(tag)?;
    let version = take_version(&mut attributes);
    Ok(SyncEntry { state, found: Found { id, dn: dn(name), attributes, version, has_below }, cookie })
}

fn sequence(octets: &[u8]) -> Result<Vec<StructureTag>, Malformed> {
    let (_, tag) = parse_tag(octets).map_err(|_| "a value that is not BER")?;
    constructed(tag.payload)
}

fn intermediate(tag: StructureTag) -> Result<Message, Malformed> {
    // RFC 4511 §4.13: IntermediateResponse ::= { [0] responseName OPTIONAL, [1] responseValue OPTIONAL }.
    let (mut name, mut value) = (None, None);
    for part in constructed(tag.payload)? {
        match part.id {
            0 => name = Some(primitive(part.payload)?),
            1 => value = Some(primitive(part.payload)?),
            _ => {}
        }
    }
    if name.as_deref() != Some(SYNC_INFO) {
        return Ok(Message::Other);
    }
    let value = value.ok_or("a Sync Info message without a value")?;
    let (_, choice) = parse_tag(&value).map_err(|_| "a Sync Info message that is not BER")?;
    if choice.class != TagClass::Context {
        return Err("a Sync Info message of an unknown kind");
    }
    let info = match choice.id {
        0 => Info::NewCookie(primitive(choice.payload)?),
        // RFC 4533 §2.5: refreshDone is TRUE, refreshDeletes FALSE, where they are not there.
        1 => phase(choice.payload, true).map(|(cookie, done, _)| Info::RefreshDelete { cookie, done })?,
        2 => phase(choice.payload, true).map(|(cookie, done, _)| Info::RefreshPresent { cookie, done })?,
        3 => phase(choice.payload, false).map(|(cookie, deletes, ids)| Info::IdSet { cookie, deletes, ids })?,
        _ => return Err("a Sync Info message of an unknown kind"),
    };
    Ok(Message::Info(info))
}

type Phase = (Option<Vec<u8>>, bool, Vec<ObjectId>);

/// RFC 4533 §2.5: SEQUENCE { cookie OPTIONAL, BOOLEAN DEFAULT, SET OF syncUUID (of a set only) }.
fn phase(payload: PL, default: bool) -> Result<Phase, Malformed> {
    let mut phase = (None, default, Vec::new());
    for part in constructed(payload)? {
        match part.id {
            4 => phase.0 = Some(primitive(part.payload)?),
            1 => phase.1 = primitive(part.payload)?.first().is_some_and(|&octet| octet != 0),
            17 => phase.2 = constructed(part.payload)?.into_iter().map(|tag| id(&primitive(tag.payload)?)).collect::<Result<_, _>>()?,
            _ => return Err("an unknown part of a Sync Info message"),
        }
    }
    Ok(phase)
}

#[cfg(test)]
mod tests {
    use ldap3::controls::RawControl;
    use proptest::prelude::*;

    use super::*;

    /// BER by hand: tag, length, content (all short here).
    fn ber(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, u8::try_from(content.len()).unwrap()];
        out.extend_from_slice(content);
        out
    }

    fn structure(octets: &[u8]) -> StructureTag {
        parse_tag(octets).unwrap().1
    }

    fn state(octets: Vec<u8>) -> Vec<Control> {
        vec![Control(None, RawControl { ctype: SYNC_STATE.to_owned(), crit: false, val: Some(octets) })]
    }

    fn info(value: &[u8]) -> Result<Message, Malformed> {
        message(structure(&ber(0x79, &[ber(0x80, SYNC_INFO), ber(0x81, value)].concat())), &[])
    }

    const ID: [u8; 16] = [7; 16];

    fn entry_octets(dn: &[u8]) -> Vec<u8> {
        let attribute = |name: &[u8], values: &[&[u8]]| {
            ber(0x30, &[ber(4, name), ber(0x31, &values.iter().flat_map(|value| ber(4, value)).collect::<Vec<_>>())].concat())
        };
        let attributes =
            [attribute(b"cn", &[b"Anna"]), attribute(b"photo;binary", &[b"\xff\x00"]), attribute(b"hasSubordinates", &[b"TRUE"])].concat();
        ber(0x64, &[ber(4, dn), ber(0x30, &attributes)].concat())
    }

    #[test]
    fn entries() {
        let control = ber(0x30, &[ber(0x0a, &[2]), ber(4, &ID), ber(4, b"csn=1")].concat());
        let Ok(Message::Entry(entry)) = message(structure(&entry_octets(b"cn=Anna,dc=x")), &state(control.clone())) else { panic!() };
        assert_eq!((entry.state, entry.cookie), (State::Modify, Some(b"csn=1".to_vec())));
        let entry = entry.found;
        assert_eq!((entry.id, entry.dn), (ObjectId::from_bytes(ID), Ok("cn=Anna,dc=x".parse().unwrap())));
        assert_eq!((entry.has_below, entry.version), (Some(true), Version::default()));
        assert_eq!(
            (entry.attributes.text("cn"), entry.attributes.values("photo").first().unwrap()),
            (Some("Anna"), b"\xff\x00".as_slice())
        );
        assert!(!entry.attributes.has("hasSubordinates"));
        // A name that cannot be read does not lose the entry.
        let Ok(Message::Entry(entry)) = message(structure(&entry_octets(b"nonsense")), &state(control)) else { panic!() };
        assert_eq!(entry.found.dn.unwrap_err().0, "nonsense");
    }

    #[test]
    fn infos() {
        assert_eq!(info(&ber(0x80, b"c")), Ok(Message::Info(Info::NewCookie(b"c".to_vec()))));
        assert_eq!(info(&ber(0xa1, &[])), Ok(Message::Info(Info::RefreshDelete { cookie: None, done: true })));
        let present = ber(0xa2, &[ber(4, b"c"), ber(1, &[0])].concat());
        assert_eq!(info(&present), Ok(Message::Info(Info::RefreshPresent { cookie: Some(b"c".to_vec()), done: false })));
        let set = ber(0xa3, &[ber(1, &[255]), ber(0x31, &ber(4, &ID))].concat());
        assert_eq!(info(&set), Ok(Message::Info(Info::IdSet { cookie: None, deletes: true, ids: vec![ObjectId::from_bytes(ID)] })));
        assert_eq!(message(structure(&ber(0x79, &ber(0x80, b"1.2.3"))), &[]), Ok(Message::Other));
        assert_eq!(message(structure(&ber(0x73, &ber(4, b"ldap://o/dc=y"))), &[]), Ok(Message::Reference("ldap://o/dc=y".into())));
    }

    #[test]
    fn malformed_is_said_and_not_a_panic() {
        let entry = || structure(&entry_octets(b"cn=a"));
        for control in [vec![], ber(0x30, &[]), ber(0x30, &ber(0x0a, &[9])), ber(0x30, &[ber(0x0a, &[1]), ber(4, &ID[..15])].concat())] {
            assert!(message(entry(), &state(control)).is_err());
        }
        assert!(message(entry(), &[]).is_err());
        for value in [vec![], ber(0x84, b""), ber(0xa3, &ber(0x31, &ber(4, b"short"))), ber(0x30, &[])] {
            assert!(info(&value).is_err());
        }
    }

    fn any_tag() -> impl Strategy<Value = StructureTag> {
        let leaf = (0..30u64, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(id, octets)| StructureTag {
            class: TagClass::Universal,
            id,
            payload: PL::P(octets),
        });
        leaf.prop_recursive(4, 30, 5, |inner| {
            (0..30u64, prop::collection::vec(inner, 0..5)).prop_map(|(id, tags)| StructureTag {
                class: TagClass::Context,
                id,
                payload: PL::C(tags),
            })
        })
    }

    proptest! {
        #[test]
        fn no_message_panics(tag in any_tag(), control in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = message(tag, &state(control));
        }
    }
}
