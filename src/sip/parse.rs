//! Bytes to [`Message`]: limits first, one pass, no allocation.

use super::error::{Flaw, Malformed, MalformedKind};
use super::limits::{BODY_MAX, FIELD_MAX, HEAD_MAX, NAME_MAX};
use super::message::{Basics, Fields, Kind, Message, Slot};
use super::name::Key;
use super::{HeaderError, Method, Name, Uri, scan};

impl<'a> Message<'a> {
    /// Reads one message: a datagram, a WebSocket frame, or what [`Framer`](super::stream::Framer) cut out of a stream.
    ///
    /// What it accepts has a readable start line and header fields, exactly one well-formed From, To, Call-ID and `CSeq`, a well-formed
    /// topmost Via, and a body that is all there. A request's `CSeq` names its method. From may lack its tag and Via its branch: old
    /// phones are like that (RFC 4475 §3.4.1).
    ///
    /// # Errors
    ///
    /// [`Malformed`] says what is wrong and with which status that is answered, if it may be answered at all.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed<'a>> {
        let mut reading = Reading::new(bytes);
        match reading.run() {
            Ok(()) => Ok(reading.message),
            Err((kind, at)) => Err(reading.refuse(kind, at)),
        }
    }
}

type Stop = (MalformedKind, usize);

struct Reading<'a> {
    /// From the start line on.
    bytes: &'a [u8],
    /// Line breaks that stood before it.
    skipped: usize,
    message: Message<'a>,
}

impl<'a> Reading<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        // RFC 3261 §7.5: CRLFs before the start line are ignored.
        let skipped = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let bytes = bytes.get(skipped..).unwrap_or_default();
        let kind = Kind::Response { status: 0, reason: "" };
        let head = bytes.get(..HEAD_MAX).unwrap_or(bytes);
        Self { bytes, skipped, message: Message { head, body: &[], kind, fields: Fields::new(), basics: None } }
    }

    fn run(&mut self) -> Result<(), Stop> {
        // RFC 5626 §4.4.1 keep-alives, and the zeros that some NAT helpers send.
        if self.bytes.iter().all(|b| *b == 0) {
            return Err((MalformedKind::KeepAlive, 0));
        }
        let start = self.start_line();
        if let Err(stop @ (MalformedKind::NotSip | MalformedKind::StatusLine, _)) = start {
            return Err(stop);
        }
        // The header fields are read even when the request line is at fault: the answer needs them.
        let fields = self.read_fields();
        start?;
        fields?;
        self.check_fields()?;
        self.cut_body()
    }

    fn start_line(&mut self) -> Result<(), Stop> {
        let window = self.message.head;
        let end = scan::find(window, b'\n').unwrap_or(window.len());
        let line = window.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_response = line.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"SIP/"));
        let kind = if is_response { status_line(line) } else { self.request_line(line) };
        self.message.kind = kind.map_err(|kind| (kind, 0))?;
        Ok(())
    }

    /// RFC 3261 §7.1: Method SP Request-URI SP SIP-Version. One space each, none at the end.
    fn request_line(&mut self, line: &'a [u8]) -> Result<Kind<'a>, MalformedKind> {
        let space = scan::find(line, b' ').ok_or(MalformedKind::NotSip)?;
        let (method, rest) = line.split_at(space);
        let method = std::str::from_utf8(method).ok().filter(|m| scan::is_token(m.as_bytes())).ok_or(MalformedKind::NotSip)?;
        let method = Method::parse(method);
        // From here on it is a request that may be answered.
        self.message.kind = Kind::Request { method, uri: "" };
        let rest = std::str::from_utf8(rest.get(1..).unwrap_or_default()).map_err(|_| MalformedKind::RequestLine)?;
        let (uri, version) = rest.rsplit_once(' ').ok_or(MalformedKind::RequestLine)?;
        if !is_version(version.as_bytes()).ok_or(MalformedKind::RequestLine)? {
            return Err(MalformedKind::Version);
        }
        match Uri::parse(uri) {
            Ok(_) => Ok(Kind::Request { method, uri }),
            // Not a wrong URI but a wrong line: spaces or brackets too many.
            Err(_) if uri.is_empty() || uri.contains([' ', '\t', '<', '>']) => Err(MalformedKind::RequestLine),
            Err(error) => Err(MalformedKind::RequestUri(error)),
        }
    }

    /// Indexes the header fields. A fault does not stop it where it can go on: the answer wants the fields that are left.
    fn read_fields(&mut self) -> Result<(), Stop> {
        let window = self.message.head;
        let (mut at, mut fault, mut in_field) = (0, None, false);
        loop {
            let rest = window.get(at..).unwrap_or_default();
            let Some(Line { text, length, is_broken }) = Line::next(rest) else {
                let kind = if self.bytes.len() > HEAD_MAX { MalformedKind::HeadTooLarge } else { MalformedKind::NoEnd };
                return Err(fault.unwrap_or((kind, at)));
            };
            if is_broken {
                fault = fault.or(Some((MalformedKind::LineBreak, at)));
            }
            let outcome = match text {
                // The start line has been read.
                _ if at == 0 => Ok(()),
                [] => {
                    self.message.head = window.get(..at + length).unwrap_or(window);
                    return fault.map_or(Ok(()), Err);
                }
                // RFC 3261 §7.3.1: a line that begins with white space continues the field before it.
                [b' ' | b'\t', ..] if in_field => self.continue_field(text, at),
                [b' ' | b'\t', ..] => Err(MalformedKind::Field),
                _ => {
                    let outcome = self.add_field(text, at);
                    in_field = outcome.is_ok();
                    outcome
                }
            };
            if let Err(kind) = outcome {
                fault = fault.or(Some((kind, at)));
                if kind == MalformedKind::TooManyFields {
                    return Err(fault.unwrap_or((kind, at)));
                }
            }
            at += length;
        }
    }

    fn add_field(&mut self, line: &[u8], at: usize) -> Result<(), MalformedKind> {
        let length = line.iter().take_while(|b| scan::is_token_byte(**b)).count();
        let (name, rest) = line.split_at(length);
        // RFC 3261 §25.1, HCOLON: white space may stand before the colon.
        let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let name_len = u8::try_from(length).ok().filter(|length| *length > 0).ok_or(MalformedKind::Field)?;
        let Some([b':', value @ ..]) = rest.get(blanks..) else { return Err(MalformedKind::Field) };
        if line.len() > FIELD_MAX {
            return Err(MalformedKind::HeadTooLarge);
        }
        let value = trimmed(value, at + length + blanks + 1);
        let slot = Slot { name_at: short(at), start: short(value.0), end: short(value.1), name_len, key: Key::find(name) };
        self.message.fields.push(slot).map_err(|_| MalformedKind::TooManyFields)
    }

    fn continue_field(&mut self, line: &[u8], at: usize) -> Result<(), MalformedKind> {
        let (start, end) = trimmed(line, at);
        let Some(slot) = self.message.fields.last_mut() else { return Err(MalformedKind::Field) };
        if at + line.len() - usize::from(slot.name_at) > FIELD_MAX {
            return Err(MalformedKind::HeadTooLarge);
        }
        if start < end {
            slot.start = if slot.start == slot.end { short(start) } else { slot.start };
            slot.end = short(end);
        }
        Ok(())
    }

    /// What every message must have, once (RFC 3261 §8.1.1), and what would be read in two ways if it were there twice.
    fn check_fields(&mut self) -> Result<(), Stop> {
        let mut seen = 0u64;
        for slot in self.message.fields.iter() {
            let bit = 1u64 << (slot.key as u8);
            if seen & bit != 0 && ONCE & bit != 0 {
                return Err((header(Name::of(slot.key, ""), Flaw::Repeated), usize::from(slot.name_at)));
            }
            seen |= bit;
        }
        let message = &self.message;
        let stop = |error: HeaderError| {
            let slot = message.fields.iter().find(|slot| slot.key == error.name.key());
            (MalformedKind::Header(error), slot.map_or(0, |slot| usize::from(slot.name_at)))
        };
        let (via, from, to) = (message.via().map_err(stop)?, message.from().map_err(stop)?, message.to().map_err(stop)?);
        let (call_id, cseq) = (message.call_id().map_err(stop)?, message.cseq().map_err(stop)?);
        // RFC 3261 §8.1.1.5.
        if message.method().is_some_and(|method| method != cseq.1) {
            return Err(stop(HeaderError::new(Name::CSeq, Flaw::Method)));
        }
        self.message.basics = Some(Basics { via, from, to, call_id, cseq });
        Ok(())
    }

    /// RFC 3261 §18.3: octets behind the body of a datagram are discarded; a datagram that ends before its body is an error.
    fn cut_body(&mut self) -> Result<(), Stop> {
        let head = self.message.head.len();
        let rest = self.bytes.get(head..).unwrap_or_default();
        let declared = match self.message.content_length() {
            Ok(declared) => declared.unwrap_or(rest.len()),
            Err(error) => {
                let slot = self.message.fields.iter().find(|slot| slot.key == Key::ContentLength);
                return Err((MalformedKind::Header(error), slot.map_or(0, |slot| usize::from(slot.name_at))));
            }
        };
        if declared > BODY_MAX {
            return Err((MalformedKind::BodyTooLarge, head));
        }
        self.message.body = rest.get(..declared).ok_or((MalformedKind::BodyShort, head))?;
        Ok(())
    }

    fn refuse(self, kind: MalformedKind, at: usize) -> Malformed<'a> {
        let status = match kind {
            // RFC 4475 §3.1.2.18: for a method that nobody knows, 501 says more than 400.
            MalformedKind::Header(HeaderError { flaw: Flaw::Method, .. }) if !self.message.method().is_some_and(Method::is_known) => {
                Some(501)
            }
            other => other.status(),
        };
        let status = status.filter(|_| self.message.is_answerable());
        Malformed { kind, offset: self.skipped + at, status, message: status.map(|_| Box::new(self.message)) }
    }
}

impl Message<'_> {
    /// Whether an answer may be sent and can find its way: RFC 3261 §17.1.1.3 never answers an ACK, §18.2.2 follows the topmost Via.
    pub(crate) fn is_answerable(&self) -> bool {
        self.method().is_some_and(|method| method != Method::Ack) && self.top_sent_by().is_some()
    }
}

/// The Content-Length of a head, whatever else may be wrong in it; for cutting a stream.
pub(super) fn declared_length(head: &[u8]) -> Result<Option<usize>, MalformedKind> {
    let mut reading = Reading::new(head);
    match reading.read_fields() {
        // A line that is no field does not hide where the message ends; `Message::parse` refuses it.
        Ok(()) | Err((MalformedKind::Field, _)) => {}
        Err((kind, _)) => return Err(kind),
    }
    if reading.message.fields_of(Name::ContentLength).count() > 1 {
        return Err(header(Name::ContentLength, Flaw::Repeated));
    }
    reading.message.content_length().map_err(MalformedKind::Header)
}

/// Fields of which two would be read in two ways (RFC 4475 §3.3.8, §3.3.9).
const ONCE: u64 = 1 << Key::From as u8
    | 1 << Key::To as u8
    | 1 << Key::CallId as u8
    | 1 << Key::CSeq as u8
    | 1 << Key::MaxForwards as u8
    | 1 << Key::ContentLength as u8
    | 1 << Key::ContentType as u8
    | 1 << Key::Event as u8
    | 1 << Key::Expires as u8
    | 1 << Key::SubscriptionState as u8;

const fn header(name: Name<'static>, flaw: Flaw) -> MalformedKind {
    MalformedKind::Header(HeaderError::new(name, flaw))
}

/// RFC 3261 §7.2: SIP-Version SP Status-Code SP Reason-Phrase. The last space may be missing with the phrase.
fn status_line(line: &[u8]) -> Result<Kind<'_>, MalformedKind> {
    let space = scan::find(line, b' ').ok_or(MalformedKind::StatusLine)?;
    let (version, rest) = line.split_at(space);
    let (code, reason) = rest.get(1..).and_then(|rest| rest.split_at_checked(3)).ok_or(MalformedKind::StatusLine)?;
    let status =
        std::str::from_utf8(code).ok().and_then(scan::digits).and_then(|n| u16::try_from(n).ok()).filter(|n| (100..700).contains(n));
    match (is_version(version), status, reason) {
        (Some(true), Some(status), [] | [b' ', ..]) => {
            let reason = reason.get(1..).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
            Ok(Kind::Response { status, reason })
        }
        _ => Err(MalformedKind::StatusLine),
    }
}

/// RFC 3261 §7.1: `SIP/2.0` in any case. Another number is `Some(false)`, anything else `None`.
fn is_version(text: &[u8]) -> Option<bool> {
    let (name, number) = text.split_at_checked(4)?;
    let dot = scan::find(number, b'.')?;
    let (major, minor) = number.split_at(dot);
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let is_sip = name.eq_ignore_ascii_case(b"SIP/") && digits(major) && digits(minor.get(1..)?);
    is_sip.then(|| number == b"2.0")
}

/// Where a value begins and ends without the white space round it.
fn trimmed(value: &[u8], at: usize) -> (usize, usize) {
    let start = value.iter().take_while(|b| scan::is_lws(**b)).count();
    let end = value.iter().rev().take_while(|b| scan::is_lws(**b)).count();
    (at + start, at + (value.len() - end).max(start))
}

/// A line of a head.
struct Line<'a> {
    /// Without its line break.
    text: &'a [u8],
    /// With it.
    length: usize,
    /// Whether it holds a CR or ends in an LF that is not half of a CRLF.
    is_broken: bool,
}

impl<'a> Line<'a> {
    /// The line that the octets begin with, when its end is there.
    fn next(bytes: &'a [u8]) -> Option<Self> {
        let mut at = scan::find_break(bytes)?;
        let mut is_broken = false;
        loop {
            let text = bytes.get(..at)?;
            match bytes.get(at..)? {
                [b'\r', b'\n', ..] => return Some(Self { text, length: at + 2, is_broken }),
                [b'\n', ..] => return Some(Self { text, length: at + 1, is_broken: true }),
                _ => is_broken = true,
            }
            at += 1 + scan::find_break(bytes.get(at + 1..)?)?;
        }
    }
}

/// Places in the head fit: see [`HEAD_MAX`].
fn short(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

const _: () = assert!(HEAD_MAX < u16::MAX as usize && NAME_MAX == u8::MAX as usize && (Key::Other as u8) < 64);

#[cfg(test)]
mod tests;
