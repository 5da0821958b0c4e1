//! What can be wrong with a message, and which status says so.

use std::fmt;

use thiserror::Error;

use super::{Message, Name, UriError};

/// What is wrong with the value of one header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Flaw {
    /// The field is not there and must be.
    #[error("missing")]
    Missing,
    /// The field is there more than once and must not be.
    #[error("more than one")]
    Repeated,
    /// Octets that are not UTF-8.
    #[error("not UTF-8")]
    Text,
    /// A quoted string that does not end.
    #[error("a quote without end")]
    Quote,
    /// Not a name and an address.
    #[error("not an address")]
    Address,
    /// The URI of an address.
    #[error("{0}")]
    Uri(UriError),
    /// RFC 3261 §20: a URI with a comma or question mark outside `<>`.
    #[error("a URI that needs <>")]
    Brackets,
    /// A parameter that is empty, or not `name=value`.
    #[error("a broken parameter")]
    Parameter,
    /// Not a protocol, a transport and a host.
    #[error("not a Via")]
    Via,
    /// Not a number, or not one in the range that the field allows.
    #[error("no valid number")]
    Number,
    /// Not a token.
    #[error("not a token")]
    Token,
    /// The method of `CSeq` is not that of the request.
    #[error("another method than the request")]
    Method,
}

/// A header field that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{name}: {flaw}")]
pub struct HeaderError {
    /// Which.
    pub name: Name<'static>,
    /// Why.
    pub flaw: Flaw,
}

impl HeaderError {
    pub(crate) const fn new(name: Name<'static>, flaw: Flaw) -> Self {
        Self { name, flaw }
    }
}

/// Why bytes are not a SIP message that can be acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MalformedKind {
    /// Nothing but line breaks and zeros: a keep-alive (RFC 5626 §4.4.1, and what NAT helpers send). No fault.
    #[error("a keep-alive")]
    KeepAlive,
    /// The first line is neither a request line nor a status line: another protocol, or noise.
    #[error("not SIP")]
    NotSip,
    /// RFC 3261 §7.1: method, URI and version with one space between them.
    #[error("a broken request line")]
    RequestLine,
    /// A request line whose URI is none.
    #[error("a broken request URI: {0}")]
    RequestUri(UriError),
    /// RFC 3261 §7.2: version, three digits from 100 to 699, reason.
    #[error("a broken status line")]
    StatusLine,
    /// `SIP/` and another version than 2.0.
    #[error("an unknown SIP version")]
    Version,
    /// No empty line ends the header fields.
    #[error("no end of the header fields")]
    NoEnd,
    /// A carriage return or line feed by itself. Others would split the message elsewhere, so it is not guessed at.
    #[error("a line break that is not CRLF")]
    LineBreak,
    /// A line that is not `name: value`.
    #[error("a line that is no header field")]
    Field,
    /// The start line and header fields exceed [`HEAD_MAX`](super::limits::HEAD_MAX), or one of them
    /// [`FIELD_MAX`](super::limits::FIELD_MAX).
    #[error("header fields too large")]
    HeadTooLarge,
    /// More header fields than [`FIELDS_MAX`](super::limits::FIELDS_MAX).
    #[error("too many header fields")]
    TooManyFields,
    /// More body than [`BODY_MAX`](super::limits::BODY_MAX).
    #[error("a body too large")]
    BodyTooLarge,
    /// RFC 3261 §18.3: Content-Length says more than the datagram holds.
    #[error("a body shorter than Content-Length")]
    BodyShort,
    /// A header field without which nothing can be done.
    #[error("{0}")]
    Header(HeaderError),
}

impl MalformedKind {
    /// The status that a request with this fault is answered with.
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::KeepAlive | Self::NotSip | Self::StatusLine => None,
            // RFC 3261 §21.5.6.
            Self::Version => Some(505),
            // RFC 3261 §21.5.7.
            Self::HeadTooLarge | Self::BodyTooLarge => Some(513),
            _ => Some(400),
        }
    }
}

/// Bytes that are not a message to act on.
#[derive(Clone)]
pub struct Malformed<'a> {
    /// What is wrong.
    pub kind: MalformedKind,
    /// Where, in octets from the beginning: the line or field at fault.
    pub offset: usize,
    /// The status to answer with; `None` when nothing may be answered: no request, an ACK, or no Via to answer by.
    pub status: Option<u16>,
    /// What could be read, for the answer: present whenever `status` is. Its typed accessors may fail.
    pub message: Option<Box<Message<'a>>>,
}

impl fmt::Display for Malformed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (octet {})", self.kind, self.offset)
    }
}

/// Without the message: it may hold credentials.
impl fmt::Debug for Malformed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Malformed")
            .field("kind", &self.kind)
            .field("offset", &self.offset)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Malformed<'_> {}
