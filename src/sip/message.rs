//! A message that was received: borrowed, indexed, and kept as it is written.

use std::fmt;

use super::limits::FIELDS_MAX;
use super::name::Key;
use super::{Method, Name, scan};

/// A SIP message over the bytes that it was read from.
///
/// Parsing ([`Message::parse`]) splits it into header fields and checks what every message must have; values are taken apart when they
/// are asked for. Nothing is allocated and nothing is rewritten: what is echoed is echoed as it was written.
#[derive(Clone)]
pub struct Message<'a> {
    /// Start line, header fields and the empty line; then the body.
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
    pub(crate) kind: Kind<'a>,
    pub(crate) fields: Fields,
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
