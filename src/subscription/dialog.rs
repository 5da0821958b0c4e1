//! A dialog as the text of its next NOTIFY: everything that does not change is written once, when the SUBSCRIBE comes.
//!
//! The text is also the state (RFC 3261 §12.1.1): Call-ID, tags, route set and remote target are spans of it.

use std::io::Write as _;
use std::net::SocketAddr;

use thiserror::Error;

use super::hop::Hop;
use crate::document::Document;
use crate::sip::{Message, Name, NameAddr, Path, Transport};

/// The largest text of one dialog, in octets: twice what a long chain of proxies leaves. It bounds the memory of a subscription.
const HEAD_MAX: usize = 8 * 1024;

/// The length of a branch of ours.
const BRANCH_LEN: usize = 31;

/// One dialog.
#[derive(Debug)]
pub(super) struct Dialog {
    /// The request line; then Route, one line each (together: the front, which a new target changes); then the rest.
    head: Box<[u8]>,
    request_line_end: u16,
    front_end: u16,
    /// Counted from the end of the front.
    call_id: Span,
    remote_tag: Span,
    own: Span,
    /// RFC 3261 §12.2.1.1: the first route is a strict router.
    strict: bool,
    /// Where the next NOTIFY goes.
    pub(super) hop: Hop,
}

type Span = (u16, u16);

/// Why there can be no dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum DialogError {
    /// No Contact, one that cannot be read, or one that leads nowhere.
    #[error("no usable Contact")]
    Contact,
    /// A Record-Route that leads nowhere.
    #[error("no usable Record-Route")]
    Route,
    /// More text than is kept.
    #[error("too large")]
    TooLarge,
}

/// What changes from one NOTIFY to the next.
pub(super) struct Notice<'n> {
    /// How it is sent, and who says so in Via; `None`: as the SUBSCRIBE came.
    pub(super) transport: Transport,
    pub(super) sent_by: Option<&'n str>,
    pub(super) cseq: u32,
    /// The value of Subscription-State.
    pub(super) state: State<'n>,
    pub(super) document: Option<&'n Document>,
}

/// Subscription-State (RFC 6665 §8.2.3).
#[derive(Clone, Copy)]
pub(super) enum State<'n> {
    Active { expires_s: u64 },
    Terminated { reason: &'n str },
}

impl Dialog {
    /// The dialog that a SUBSCRIBE begins (RFC 3261 §12.1.1). `local_tag` is ours; `event` is what NOTIFY says in Event;
    /// `own` is our host and port as the peer sees it.
    pub(super) fn new(request: &Message<'_>, path: &Path, local_tag: &str, event: &str, own: &str) -> Result<Self, DialogError> {
        let contact = request.contact().ok().flatten().ok_or(DialogError::Contact)?.uri;
        // RFC 3261 §12.1.1: the route set is Record-Route, in order, with all parameters.
        let routes: Vec<&str> = request.record_routes().collect();
        let front = Front::new(&routes, contact.as_str())?;

        let mut tail = Tail(Vec::with_capacity(512));
        tail.line("Max-Forwards: ", &[b"70"]);
        // RFC 3261 §12.1.1: the local URI is that of To, the remote URI that of From.
        let to = request.header_bytes(Name::To).unwrap_or_default();
        tail.line("From: ", &[to, b";tag=", local_tag.as_bytes()]);
        let remote_tag = tail.line("To: ", &[request.header_bytes(Name::From).unwrap_or_default()]);
        let remote_tag = tail.span_of(remote_tag, request.from().ok().and_then(|from| from.tag()).unwrap_or_default());
        let call_id = request.call_id().unwrap_or_default();
        let line = tail.line("Call-ID: ", &[call_id.as_bytes()]);
        let call_id = tail.span_of(line, call_id);
        let line = tail.line("Contact: ", &[own_contact(own, path.transport).as_bytes()]);
        let own = tail.span_of(line, own);
        // The bare package: SIP.js answers 481 to parameters that it sent itself. RFC 6665 §8.2.1 wants an `id` back.
        tail.line("Event: ", &[event.as_bytes()]);

        let (head, request_line_end, front_end) = front.join(&tail.0)?;
        Ok(Self { head, request_line_end, front_end, call_id, remote_tag, own, strict: front.strict, hop: front.hop })
    }

    /// A new remote target (RFC 3261 §12.2.2); the route set stays. Says whether it is another one.
    pub(super) fn retarget(&mut self, contact: &str) -> Result<bool, DialogError> {
        if self.target() == contact.as_bytes() {
            return Ok(false);
        }
        let lines = self.routes();
        let routes: Vec<&str> = lines.iter().map(String::as_str).collect();
        let front = Front::new(&routes, contact)?;
        let (head, request_line_end, front_end) = front.join(self.tail())?;
        (self.head, self.request_line_end, self.front_end, self.strict, self.hop) =
            (head, request_line_end, front_end, front.strict, front.hop);
        Ok(true)
    }

    /// Whether this is what its NOTIFYs say in Event: the last line of the text.
    pub(super) fn is_event(&self, event: &str) -> bool {
        self.tail()
            .strip_suffix(b"\r\n")
            .and_then(|tail| tail.strip_suffix(event.as_bytes()))
            .is_some_and(|tail| tail.ends_with(b"\r\nEvent: "))
    }

    pub(super) fn call_id(&self) -> &[u8] {
        self.span(self.call_id)
    }

    /// Empty when the phone sent none, as old ones do.
    pub(super) fn remote_tag(&self) -> &[u8] {
        self.span(self.remote_tag)
    }

    /// The remote target: the URI of the Contact.
    pub(super) fn target(&self) -> &[u8] {
        let front = self.head.get(..usize::from(self.front_end)).unwrap_or_default();
        let line = self.head.get(..usize::from(self.request_line_end)).unwrap_or_default();
        if self.strict {
            // RFC 3261 §12.2.1.1: it is the last Route.
            let last = front.strip_suffix(b">\r\n").unwrap_or(front);
            last.rsplit(|byte| *byte == b'<').next().unwrap_or_default()
        } else {
            between(line, b"NOTIFY ", b" SIP/2.0\r\n")
        }
    }

    /// Writes a NOTIFY. Gives the place of its branch, which is left for [`put_branch`].
    pub(super) fn write(&self, out: &mut Vec<u8>, notice: &Notice<'_>) -> usize {
        out.clear();
        let (line, rest) = self.head.split_at_checked(usize::from(self.request_line_end)).unwrap_or_default();
        out.extend_from_slice(line);
        out.extend_from_slice(b"Via: SIP/2.0/");
        out.extend_from_slice(notice.transport.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(notice.sent_by.map_or(self.span(self.own), str::as_bytes));
        // RFC 3581 §3: the answer is to come back the way the NOTIFY went.
        out.extend_from_slice(if notice.transport.is_reliable() { b";branch=" } else { b";rport;branch=" });
        let branch_at = out.len();
        out.extend_from_slice(&[b'0'; BRANCH_LEN]);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(rest);
        // Writing to a vector does not fail.
        let _ = write!(out, "CSeq: {} NOTIFY\r\n", notice.cseq);
        let _ = match notice.state {
            State::Active { expires_s } => write!(out, "Subscription-State: active;expires={expires_s}\r\n"),
            State::Terminated { reason } => write!(out, "Subscription-State: terminated;reason={reason}\r\n"),
        };
        let body: &[u8] = notice.document.map_or(&[], |document| &document.body);
        if let Some(document) = notice.document {
            // Also with an empty body: RFC 6080 §5.3.2 tells an empty profile from no profile.
            let _ = write!(out, "Content-Type: {}\r\n", document.content_type);
        }
        let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
        out.extend_from_slice(body);
        branch_at
    }

    /// The route set, as Record-Route had it.
    fn routes(&self) -> Vec<String> {
        let line = self.head.get(..usize::from(self.request_line_end)).unwrap_or_default();
        let lines = self.head.get(usize::from(self.request_line_end)..usize::from(self.front_end)).unwrap_or_default();
        let text = String::from_utf8_lossy(lines);
        let mut routes: Vec<String> = text.lines().filter_map(|line| line.strip_prefix("Route: ")).map(str::to_owned).collect();
        if self.strict {
            routes.pop();
            routes.insert(0, format!("<{}>", String::from_utf8_lossy(between(line, b"NOTIFY ", b" SIP/2.0\r\n"))));
        }
        routes
    }

    fn tail(&self) -> &[u8] {
        self.head.get(usize::from(self.front_end)..).unwrap_or_default()
    }

    fn span(&self, (from, to): Span) -> &[u8] {
        self.tail().get(usize::from(from)..usize::from(to)).unwrap_or_default()
    }
}

/// Puts the branch where [`Dialog::write`] left room for it.
pub(super) fn put_branch(message: &mut [u8], at: usize, branch: &str) {
    if let Some(room) = message.get_mut(at..at + BRANCH_LEN)
        && branch.len() == BRANCH_LEN
    {
        room.copy_from_slice(branch.as_bytes());
    }
}

/// `host:port` of our own, with the host that phones know us by, if it is not the address.
pub(super) fn own_host_port(local: SocketAddr, advertised: Option<&str>) -> String {
    match advertised {
        Some(host) => format!("{host}:{}", local.port()),
        None => local.to_string(),
    }
}

/// The Contact by which the peer reaches us in the dialog.
pub(super) fn own_contact(host_port: &str, transport: Transport) -> String {
    match transport {
        Transport::Udp => format!("<sip:{host_port}>"),
        _ => format!("<sip:{host_port};transport={}>", transport.as_str().to_ascii_lowercase()),
    }
}

fn between<'a>(text: &'a [u8], prefix: &[u8], suffix: &[u8]) -> &'a [u8] {
    text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix)).unwrap_or_default()
}

/// Request line and Route.
struct Front {
    text: Vec<u8>,
    request_line_end: usize,
    strict: bool,
    hop: Hop,
}

impl Front {
    /// RFC 3261 §12.2.1.1: with a loose router first, the request URI is the remote target and Route is the route set; with a
    /// strict one first, that is the request URI, and the remote target becomes the last Route.
    fn new(routes: &[&str], target: &str) -> Result<Self, DialogError> {
        let first = routes.first().map(|route| NameAddr::parse(route).map_err(|_| DialogError::Route)).transpose()?;
        let strict = first.is_some_and(|first| !first.uri.params.has("lr"));
        let target_uri = crate::sip::Uri::parse(target).map_err(|_| DialogError::Contact)?;
        let target_hop = Hop::of(&target_uri).ok_or(DialogError::Contact)?;
        let hop = match &first {
            Some(first) => Hop::of(&first.uri).ok_or(DialogError::Route)?,
            None => target_hop,
        };
        let request_uri = first.filter(|_| strict).map_or(target, |first| first.uri.as_str());
        let mut text = Tail(Vec::with_capacity(256));
        text.line("NOTIFY ", &[request_uri.as_bytes(), b" SIP/2.0"]);
        let request_line_end = text.0.len();
        for route in routes.iter().skip(usize::from(strict)) {
            text.line("Route: ", &[route.as_bytes()]);
        }
        if strict {
            text.line("Route: ", &[b"<", target.as_bytes(), b">"]);
        }
        Ok(Self { text: text.0, request_line_end, strict, hop })
    }

    fn join(&self, tail: &[u8]) -> Result<(Box<[u8]>, u16, u16), DialogError> {
        let head = [self.text.as_slice(), tail].concat();
        if head.len() > HEAD_MAX {
            return Err(DialogError::TooLarge);
        }
        let short = |length: usize| u16::try_from(length).map_err(|_| DialogError::TooLarge);
        Ok((head.into(), short(self.request_line_end)?, short(self.text.len())?))
    }
}

/// Lines being written.
struct Tail(Vec<u8>);

impl Tail {
    /// Writes a line. A value that was received may be folded: RFC 3261 §7.3.1 makes that a space. Gives the span of the value.
    fn line(&mut self, name: &str, values: &[&[u8]]) -> (usize, usize) {
        self.0.extend_from_slice(name.as_bytes());
        let from = self.0.len();
        for value in values {
            self.0.extend(value.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
        }
        let to = self.0.len();
        self.0.extend_from_slice(b"\r\n");
        (from, to)
    }

    /// Where a part of a line stands. A line that is too long for the numbers is too long for [`HEAD_MAX`] as well.
    fn span_of(&self, (from, to): (usize, usize), part: &str) -> Span {
        let line = self.0.get(from..to).unwrap_or_default();
        let at = line.windows(part.len().max(1)).rposition(|window| window == part.as_bytes()).unwrap_or(0);
        let number = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        (number(from + at), number(from + at + part.len()))
    }
}
