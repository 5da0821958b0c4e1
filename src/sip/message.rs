//! A message that was received: borrowed, indexed, and kept as it is written.

use std::fmt;

use super::limits::FIELDS_MAX;
use super::name::Key;
use super::{Method, Name, NameAddr, Via, scan};

/// A SIP message over the bytes that it was read from.
///
/// Parsing ([`Message::parse`]) splits it into header fields and checks what every message must have; values are taken apart when they
/// are asked for, the five of which every message has one excepted. Nothing is allocated and nothing is rewritten: what is echoed is echoed as it was written.
#[derive(Clone)]
pub struct Message<'a> {
    /// Start line, header fields and the empty line; then the body.
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
    pub(crate) kind: Kind<'a>,
    pub(crate) fields: Fields,
    /// `None` while it is read, and in what is left of a malformed one.
    pub(crate) basics: Option<Basics<'a>>,
}

/// What every message must have: checked when it is read, and kept, since everybody asks for it.
#[derive(Clone, Copy)]
pub(crate) struct Basics<'a> {
    pub(crate) via: Via<'a>,
    pub(crate) from: NameAddr<'a>,
    pub(crate) to: NameAddr<'a>,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: (u32, Method<'a>),
}

/// Request or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A request.
    Request {
        /// The method.
        method: Method<'a>,
        /// The request URI as it is written.
        uri: &'a str,
    },
    /// A response.
    Response {
        /// 100 to 699.
        status: u16,
        /// The reason phrase; empty when there is none, or when it is not UTF-8.
        reason: &'a str,
    },
}

/// One header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, known or not.
    pub name: Name<'a>,
    /// The name as it is written.
    pub written: &'a str,
    /// The value as it is written, without white space at its ends; a fold inside is still there.
    pub value: &'a [u8],
}

/// Where one header field stands in the head. Eight octets: sixteen bits suffice, see [`HEAD_MAX`](super::limits::HEAD_MAX).
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) name_at: u16,
    pub(crate) start: u16,
    pub(crate) end: u16,
    pub(crate) name_len: u8,
    pub(crate) key: Key,
}

/// The index of header fields.
#[derive(Clone)]
pub(crate) struct Fields {
    slots: [Slot; FIELDS_MAX],
    len: usize,
}

impl Fields {
    pub(crate) const fn new() -> Self {
        Self { slots: [Slot { name_at: 0, start: 0, end: 0, name_len: 0, key: Key::Other }; FIELDS_MAX], len: 0 }
    }

    /// Adds a field; gives it back when there is no room.
    pub(crate) fn push(&mut self, slot: Slot) -> Result<(), Slot> {
        *self.slots.get_mut(self.len).ok_or(slot)? = slot;
        self.len += 1;
        Ok(())
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut Slot> {
        self.slots.get_mut(self.len.checked_sub(1)?)
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Slot> {
        self.slots.get(..self.len).unwrap_or_default().iter()
    }
}

impl<'a> Message<'a> {
    /// Whether it is a request or a response, and of which kind.
    pub const fn kind(&self) -> Kind<'a> {
        self.kind
    }

    /// The method of a request.
    pub const fn method(&self) -> Option<Method<'a>> {
        match self.kind {
            Kind::Request { method, .. } => Some(method),
            Kind::Response { .. } => None,
        }
    }

    /// The status of a response.
    pub const fn status(&self) -> Option<u16> {
        match self.kind {
            Kind::Request { .. } => None,
            Kind::Response { status, .. } => Some(status),
        }
    }

    /// The body: the octets that Content-Length counts, or all that follow the head of a datagram without it.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Start line and header fields as they are written, the empty line included.
    pub const fn head(&self) -> &'a [u8] {
        self.head
    }

    /// The value of the first field of that name, as it is written. A value that is not UTF-8 is `None`:
    /// [`Message::header_bytes`] has it.
    pub fn header(&self, name: Name<'_>) -> Option<&'a str> {
        self.header_bytes(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The octets of the first field of that name.
    pub fn header_bytes(&self, name: Name<'_>) -> Option<&'a [u8]> {
        self.fields_of(name).next()
    }

    /// Every field of that name, one by one, as octets.
    pub fn fields_of(&self, name: Name<'_>) -> impl Iterator<Item = &'a [u8]> {
        // Somebody may have put a known name into `Other`.
        let key = if let Name::Other(text) = name { Key::find(text.as_bytes()) } else { name.key() };
        let head = self.head;
        self.fields
            .iter()
            .filter(move |slot| slot.key == key && (key != Key::Other || slot.is_named(head, name.as_str())))
            .map(|slot| slot.value(head))
    }

    /// Every value of that name: fields that are lists by their grammar are split at their commas, others come one by one.
    /// A value that is not UTF-8 is left out; an element between two commas that is empty is given as `""`.
    pub fn headers(&self, name: Name<'_>) -> impl Iterator<Item = &'a str> {
        let list = Name::from(name.as_str()).is_list();
        self.fields_of(name).filter_map(|value| std::str::from_utf8(value).ok()).flat_map(move |value| elements(value, list))
    }

    /// Every header field in the order in which they are written.
    pub fn all_headers(&self) -> impl Iterator<Item = Field<'a>> {
        let head = self.head;
        self.fields.iter().map(move |slot| {
            let written = slot.name(head);
            Field { name: Name::of(slot.key, written), written, value: slot.value(head) }
        })
    }
}

/// The elements of a comma-separated value; an empty value has none.
pub(crate) fn elements(value: &str, list: bool) -> impl Iterator<Item = &str> {
    let mut rest = if list && value.is_empty() { None } else { Some(value) };
    std::iter::from_fn(move || {
        let (first, after) = if list { scan::split_outside(rest?, b',') } else { (rest?, None) };
        rest = after;
        Some(scan::trim(first))
    })
}

impl Slot {
    fn value(self, head: &[u8]) -> &[u8] {
        head.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }

    /// Names are tokens, so they are always text.
    fn name(self, head: &[u8]) -> &str {
        let at = usize::from(self.name_at);
        head.get(at..at + usize::from(self.name_len)).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }

    fn is_named(self, head: &[u8], name: &str) -> bool {
        self.name(head).eq_ignore_ascii_case(name)
    }
}

/// The start line and the names of the header fields: values may be credentials, and whole messages do not belong into a log.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("kind", &self.kind)
            .field("fields", &self.all_headers().map(|field| field.written).collect::<Vec<_>>())
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] =
        b"REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b\r\nv: SIP/2.0/TLS c\r\nFrom: <sip:a@x>;tag=1\r\n\
        To: <sip:a@x>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nContact: \"a, b\" <sip:a,1@x>;q=1,<sip:b@x>\r\nX-List: one, two\r\n\
        Supported:\r\nRequire: a,, b,\r\nsubject: folded\r\n  twice\r\n\tover \r\nx-list: three\r\n\r\nbody";

    #[test]
    fn lists_are_split_and_others_are_not() {
        let message = Message::parse(MESSAGE).unwrap();
        let all = |name: Name<'static>| message.headers(name).collect::<Vec<_>>();
        assert_eq!(all(Name::Via), ["SIP/2.0/UDP a;branch=z9hG4bK1", "SIP/2.0/TCP b", "SIP/2.0/TLS c"]);
        assert_eq!(all(Name::Contact), ["\"a, b\" <sip:a,1@x>;q=1", "<sip:b@x>"]);
        assert_eq!(all(Name::Other("X-LIST")), ["one, two", "three"]);
        assert!(all(Name::Supported).is_empty() && all(Name::Accept).is_empty());
        assert_eq!(all(Name::Require), ["a", "", "b", ""]);
        assert_eq!(message.require().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(message.vias().map(|via| via.unwrap().host).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(message.via().unwrap().transport, "UDP");
    }

    #[test]
    fn values_are_kept_as_they_are_written() {
        let message = Message::parse(MESSAGE).unwrap();
        assert_eq!(message.header(Name::Subject), Some("folded\r\n  twice\r\n\tover"));
        assert_eq!(message.header("s".into()), message.header(Name::Subject));
        assert_eq!(message.header(Name::Other("Via")), message.header(Name::Via));
        assert_eq!(message.header(Name::Supported), Some(""));
        assert_eq!(message.header(Name::Event), None);
        assert_eq!((message.head().len() + 4, message.body()), (MESSAGE.len(), &b"body"[..]));
        let written: Vec<_> = message.all_headers().map(|field| field.written).collect();
        assert_eq!(written[..3], ["Via", "v", "From"]);
        assert_eq!(message.all_headers().nth(1).unwrap().name, Name::Via);
        assert_eq!(message.all_headers().last().unwrap().name, Name::Other("x-list"));
    }

    #[test]
    fn numbers_and_types() {
        let with = |extra: &str| {
            let text = String::from_utf8(MESSAGE.to_vec()).unwrap().replace("X-List: one, two", extra);
            text.into_bytes()
        };
        let bytes =
            with("Expires: 4294967296\r\nMax-Forwards: 0068\r\nMin-Expires: x\r\nAccept: text/*;q=0.5, text/plain;q=0, a/b\r\nContact:*");
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.expires(), message.max_forwards()), (Ok(Some(u32::MAX)), Ok(Some(68))));
        assert_eq!(message.min_expires().unwrap_err().to_string(), "Min-Expires: no valid number");
        assert_eq!(["text/html", "text/plain", "a/b", "c/d"].map(|kind| message.accepts(kind).unwrap()), [500, 0, 1000, 0]);
        assert!(!message.is_contact_star());
        assert_eq!(message.contacts().flatten().count(), 2);
        let bytes = with("Max-Forwards: 256\r\nContent-Type: nonsense");
        let message = Message::parse(&bytes).unwrap();
        assert!(message.max_forwards().is_err() && message.content_type().is_err());
        assert_eq!((message.accepts("a/b"), message.expires(), message.event()), (None, Ok(None), Ok(None)));
    }

    #[test]
    fn an_empty_accept_accepts_nothing() {
        // RFC 3261 §20.1.
        let bytes = String::from_utf8(MESSAGE.to_vec()).unwrap().replace("X-List: one, two", "Accept:");
        assert_eq!(Message::parse(bytes.as_bytes()).unwrap().accepts("a/b"), Some(0));
    }
}
