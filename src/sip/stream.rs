//! Cutting a stream into messages (RFC 3261 §18.3).

use thiserror::Error;

use super::MalformedKind;
use super::limits::{BODY_MAX, HEAD_MAX};
use super::{parse, scan};

/// Cuts what arrives on one connection into messages.
///
/// It keeps at most one head and one body (16 KiB, and 1 MiB or what its owner says) and whatever the last [`push`](Framer::push) brought beyond them.
/// Each octet is looked at once, however small the pieces are. After an error the boundary of the next message is unknown: the
/// connection has to be closed, and every later call gives the same error.
#[derive(Debug)]
pub struct Framer {
    body_max: usize,
    buffer: Vec<u8>,
    /// What was given out already.
    start: usize,
    /// From `start`: how far the head has been looked through.
    scanned: usize,
    /// From `start`: where the line begins that `scanned` is in.
    line: usize,
    /// The length of the message, once its head is complete.
    length: Option<usize>,
    /// The octets before were one CRLF, which may be the first half of a ping.
    half_ping: bool,
    failed: Option<FrameError>,
}

/// The room that a connection keeps between messages, in octets: what most messages need, so that one large one does not stay paid for.
const ROOM_KEPT: usize = 16 * 1024;

/// What stands next in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// One whole message for [`Message::parse`](super::Message::parse).
    Message(&'a [u8]),
    /// RFC 5626 §3.5.1: a double CRLF, to be answered with a single one.
    Ping,
    /// RFC 5626 §3.5.1: a single CRLF. It may be the first half of a ping that came in pieces: the ping follows then.
    Pong,
}

/// Why a stream cannot be cut any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// What begins here is not SIP.
    #[error("the stream does not hold SIP")]
    NotSip,
    /// A CR or LF by itself in a head.
    #[error("a line break that is not CRLF")]
    LineBreak,
    /// A head that exceeds its limit.
    #[error("header fields too large")]
    HeadTooLarge,
    /// RFC 3261 §20.14: on a stream Content-Length must be there.
    #[error("no Content-Length")]
    NoLength,
    /// RFC 4475 §3.1.2.3, §3.3.9: Content-Length is no number, or there are two.
    #[error("no valid Content-Length")]
    BadLength,
    /// A body that exceeds its limit.
    #[error("a body too large")]
    BodyTooLarge,
}

impl FrameError {
    /// The status to answer with before the connection is closed, if [`Framer::rest`] holds a request that can be answered.
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::NotSip => None,
            Self::HeadTooLarge | Self::BodyTooLarge => Some(513),
            Self::LineBreak | Self::NoLength | Self::BadLength => Some(400),
        }
    }
}

impl Default for Framer {
    fn default() -> Self {
        Self::new()
    }
}

impl Framer {
    /// An empty one.
    pub fn new() -> Self {
        Self::with_body_max(BODY_MAX)
    }

    /// An empty one that takes bodies of up to so many octets, and of no more than 1 MiB.
    pub fn with_body_max(body_max: usize) -> Self {
        Self {
            body_max: body_max.min(BODY_MAX),
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            line: 0,
            length: None,
            half_ping: false,
            failed: None,
        }
    }

    /// Adds what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        self.forget_given();
        self.buffer.extend_from_slice(bytes);
    }

    /// What was given out is dropped, and with it the room that a large message took.
    fn forget_given(&mut self) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
            if self.buffer.len() < ROOM_KEPT {
                self.buffer.shrink_to(ROOM_KEPT);
            }
        }
    }

    /// What was pushed and not given out: after an error, the beginning of the message at fault.
    pub fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// The next message or keep-alive; `None` when more has to arrive.
    #[expect(clippy::should_implement_trait, reason = "it lends from its buffer, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.step() {
            Ok(None) => {
                // It may be long until something arrives.
                self.forget_given();
                Ok(None)
            }
            Ok(Some((length, keep_alive))) => {
                let from = self.start;
                self.start += length;
                (self.scanned, self.line, self.length) = (0, 0, None);
                Ok(Some(keep_alive.unwrap_or(Frame::Message(self.buffer.get(from..from + length).unwrap_or_default()))))
            }
            Err(error) => {
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    /// The length of what stands next, and what it is if it is no message.
    fn step(&mut self) -> Result<Option<(usize, Option<Frame<'static>>)>, FrameError> {
        match *self.rest() {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', b'\r', b'\n', ..] if !self.half_ping => return Ok(Some((4, Some(Frame::Ping)))),
            [b'\r', b'\n', ..] => {
                let frame = if self.half_ping { Frame::Ping } else { Frame::Pong };
                // Only at the end of what has arrived can it be the first half: otherwise the second would have been seen above.
                self.half_ping = !self.half_ping && matches!(self.rest(), [_, _] | [_, _, b'\r']);
                return Ok(Some((2, Some(frame))));
            }
            [first, ..] if !scan::is_token_byte(first) => return Err(FrameError::NotSip),
            _ => self.half_ping = false,
        }
        if self.length.is_none() {
            self.length = self.find_head()?;
        }
        Ok(self.length.filter(|length| self.rest().len() >= *length).map(|length| (length, None)))
    }

    /// Looks for the empty line; then the length of the whole message is known.
    fn find_head(&mut self) -> Result<Option<usize>, FrameError> {
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let window = rest.get(..HEAD_MAX).unwrap_or(rest);
            let Some(found) = window.get(self.scanned..).and_then(|unseen| scan::find(unseen, b'\n')) else {
                self.scanned = window.len();
                return if rest.len() > HEAD_MAX { Err(FrameError::HeadTooLarge) } else { Ok(None) };
            };
            let end = self.scanned + found + 1;
            let line = window.get(self.line..end).unwrap_or_default();
            if !line.ends_with(b"\r\n") {
                return Err(FrameError::LineBreak);
            }
            let is_last = line.len() == 2;
            (self.scanned, self.line) = (end, end);
            if is_last {
                return body_length(window.get(..end).unwrap_or_default(), self.body_max).map(|body| Some(end + body));
            }
        }
    }
}

/// The Content-Length of a head, by the same reading that the parser will make of it.
fn body_length(head: &[u8], body_max: usize) -> Result<usize, FrameError> {
    match parse::declared_length(head) {
        Ok(Some(length)) if length > body_max => Err(FrameError::BodyTooLarge),
        Ok(Some(length)) => Ok(length),
        Ok(None) => Err(FrameError::NoLength),
        Err(MalformedKind::LineBreak) => Err(FrameError::LineBreak),
        Err(MalformedKind::TooManyFields | MalformedKind::HeadTooLarge) => Err(FrameError::HeadTooLarge),
        Err(_) => Err(FrameError::BadLength),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Message;

    const ONE: &str = "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nFrom: <sip:a@x>\r\nTo: <sip:x>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nl: 4\r\n\r\nbody";
    const TWO: &str = "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP a\r\nFrom: <sip:a@x>\r\nTo: <sip:x>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
        Content-Length:\r\n 0\r\n\r\n";

    /// What comes out when the stream arrives in pieces of this size.
    fn frames(stream: &[u8], piece: usize) -> (Vec<String>, Option<FrameError>) {
        let mut framer = Framer::new();
        let mut seen = Vec::new();
        for chunk in stream.chunks(piece) {
            framer.push(chunk);
            loop {
                match framer.next() {
                    Ok(Some(Frame::Message(bytes))) => {
                        assert!(Message::parse(bytes).is_ok());
                        seen.push(String::from_utf8(bytes.to_vec()).unwrap());
                    }
                    Ok(Some(frame)) => seen.push(format!("{frame:?}")),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(framer.next(), Err(error), "an error stays");
                        return (seen, Some(error));
                    }
                }
            }
        }
        (seen, None)
    }

    #[test]
    fn pieces_of_every_size() {
        let stream = format!("{ONE}{TWO}{ONE}");
        for piece in 1..stream.len() {
            assert_eq!(frames(stream.as_bytes(), piece), (vec![ONE.to_owned(), TWO.to_owned(), ONE.to_owned()], None), "{piece}");
        }
    }

    #[test]
    fn keep_alives() {
        let check = |stream: &str, expect: &[&str]| assert_eq!(frames(stream.as_bytes(), stream.len()).0, expect, "{stream:?}");
        check("\r\n\r\n", &["Ping"]);
        check("\r\n", &["Pong"]);
        check("\r", &[]);
        check(&format!("\r\n\r\n{ONE}\r\n{TWO}\r\n\r\n"), &["Ping", ONE, "Pong", TWO, "Ping"]);
        // A ping that came in pieces is still answered once.
        for piece in [1, 2, 3] {
            assert_eq!(frames(b"\r\n\r\n", piece).0, ["Pong", "Ping"], "{piece}");
        }
        assert_eq!(frames(format!("\r\n{ONE}\r\n").as_bytes(), 2).0, ["Pong", ONE, "Pong"]);
    }

    #[test]
    fn refused() {
        let check = |stream: &str, expect: FrameError| {
            for piece in [1, 7, stream.len()] {
                assert_eq!(frames(stream.as_bytes(), piece), (vec![], Some(expect)), "{stream:?} {piece}");
            }
        };
        check("\x16\x03\x01\x02", FrameError::NotSip);
        check("\rX", FrameError::NotSip);
        check("\n", FrameError::NotSip);
        check(&ONE.replace("l: 4\r\n", ""), FrameError::NoLength);
        check(&ONE.replace("l: 4", "l: four"), FrameError::BadLength);
        check(&ONE.replace("l: 4", "l: -999"), FrameError::BadLength);
        check(&ONE.replace("l: 4", "l: 4\r\nContent-Length: 4"), FrameError::BadLength);
        check(&ONE.replace("l: 4", "l: 9999999"), FrameError::BodyTooLarge);
        check(&ONE.replace("l: 4", "l: 99999999999999999999"), FrameError::BodyTooLarge);
        check(&ONE.replace("l: 4\r\n", "l: 4\n"), FrameError::LineBreak);
        check(&ONE.replace("<sip:x>", "<sip:x>\r"), FrameError::LineBreak);
        check(&ONE.replace("l: 4", &format!("X: {}", "x".repeat(HEAD_MAX))), FrameError::HeadTooLarge);
        check(&ONE.replace("l: 4", &"X: y\r\n".repeat(200)), FrameError::HeadTooLarge);
        check(&"A".repeat(HEAD_MAX + 1), FrameError::HeadTooLarge);
    }

    #[test]
    fn a_message_with_other_faults_is_still_cut_out() {
        let odd = ONE.replace("Call-ID: 1", "nonsense");
        let mut framer = Framer::new();
        framer.push(format!("{odd}{TWO}").as_bytes());
        let Ok(Some(Frame::Message(bytes))) = framer.next() else { panic!("no message") };
        assert_eq!(Message::parse(bytes).unwrap_err().status, Some(400));
        assert_eq!(framer.next(), Ok(Some(Frame::Message(TWO.as_bytes()))));
    }

    #[test]
    fn what_is_at_fault_can_be_answered() {
        let mut framer = Framer::new();
        framer.push(ONE.as_bytes());
        assert!(framer.next().is_ok());
        framer.push(ONE.replace("l: 4\r\n", "").as_bytes());
        let error = framer.next().unwrap_err();
        assert_eq!(error.status(), Some(400));
        let request = Message::parse(framer.rest()).unwrap();
        assert!(crate::sip::Response::to(&request, 400, "").encode().starts_with(b"SIP/2.0 400 Bad Request\r\n"));
        // Nothing is kept of what arrives later.
        let kept = framer.rest().len();
        framer.push(&[b'x'; 1000]);
        assert_eq!(framer.rest().len(), kept);
    }

    #[test]
    fn a_large_message_does_not_keep_its_room() {
        let body = "x".repeat(BODY_MAX);
        let mut framer = Framer::new();
        framer.push(ONE.replace("l: 4\r\n\r\nbody", &format!("l: {BODY_MAX}\r\n\r\n{body}")).as_bytes());
        assert!(matches!(framer.next(), Ok(Some(Frame::Message(_)))));
        // Also while nothing more arrives.
        assert_eq!(framer.next(), Ok(None));
        assert!(framer.buffer.capacity() <= ROOM_KEPT);
    }

    #[test]
    fn the_owner_may_want_smaller_bodies() {
        let mut framer = Framer::with_body_max(4);
        framer.push(ONE.as_bytes());
        assert!(matches!(framer.next(), Ok(Some(Frame::Message(_)))));
        framer.push(ONE.replace("l: 4", "l: 5").as_bytes());
        assert_eq!(framer.next(), Err(FrameError::BodyTooLarge));
    }
}
