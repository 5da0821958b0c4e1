//! Writing responses.

use std::net::SocketAddr;

use super::{Kind, Message, Method, Name, Via, write};

/// A response to a request, to be encoded.
///
/// What RFC 3261 §8.2.6.2 says is copied from the request as it is written: every Via, From, To, Call-ID and `CSeq`, and Record-Route where
/// a dialog may arise. What the caller adds cannot break out of its field: control characters become spaces, and fields that the builder
/// writes itself are left out; [`Response::refused`] counts both.
///
/// ```
/// # use dialcast::sip::{Message, Name, Response};
/// let request = b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:x>\r\n\
///     Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
/// let request = Message::parse(request).unwrap();
/// let bytes = Response::to(&request, 200, "OK").via_received("198.51.100.7:5059".parse().unwrap()).to_tag("9").encode();
/// assert!(bytes.starts_with(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;rport=5059;branch=z9hG4bK1;received=198.51.100.7\r\n"));
/// ```
#[derive(Clone)]
pub struct Response<'m> {
    message: &'m Message<'m>,
    status: u16,
    reason: &'m str,
    to_tag: Option<&'m str>,
    source: Option<SocketAddr>,
    fields: Vec<u8>,
    body: &'m [u8],
    refused: usize,
}

/// What the builder writes itself.
const OWN: &[Name<'static>] = &[Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq, Name::RecordRoute, Name::ContentLength];

impl<'m> Response<'m> {
    /// A response to this request. An empty reason is replaced by the usual one; a status outside 100 to 699 by the nearest inside.
    pub fn to(message: &'m Message<'m>, status: u16, reason: &'m str) -> Self {
        let status = status.clamp(100, 699);
        let reason = if reason.is_empty() { reason_phrase(status) } else { reason };
        Self { message, status, reason, to_tag: None, source: None, fields: Vec::new(), body: &[], refused: write::faults(reason) }
    }

    /// The tag for To (RFC 3261 §8.2.6.2); a tag that the request has stays.
    #[must_use]
    pub fn to_tag(mut self, tag: &'m str) -> Self {
        self.refused += tag.bytes().filter(|b| !super::scan::is_token_byte(*b)).count();
        self.to_tag = Some(tag);
        self
    }

    /// Where the request came from: RFC 3261 §18.2.1 and RFC 3581 §4 put it into the topmost Via.
    #[must_use]
    pub fn via_received(mut self, source: SocketAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Adds a header field.
    #[must_use]
    pub fn header<'n>(mut self, name: impl Into<Name<'n>>, value: &str) -> Self {
        self.refused += write::field(&mut self.fields, name.into(), value, OWN);
        self
    }

    /// The body and its type.
    #[must_use]
    pub fn body(self, content_type: &str, body: &'m [u8]) -> Self {
        let mut this = self.header(Name::ContentType, content_type);
        this.body = body;
        this
    }

    /// How many control characters and header fields were refused: not zero is a fault of the caller.
    pub const fn refused(&self) -> usize {
        self.refused
    }

    /// The response in octets.
    pub fn encode(&self) -> Vec<u8> {
        let message = self.message;
        let mut out = Vec::with_capacity(message.head.len() + self.fields.len() + self.body.len() + 160);
        out.extend_from_slice(b"SIP/2.0 ");
        write::number(&mut out, u64::from(self.status));
        out.push(b' ');
        write::text(&mut out, self.reason);
        out.extend_from_slice(b"\r\n");
        for (index, value) in message.fields_of(Name::Via).enumerate() {
            out.extend_from_slice(b"Via: ");
            match self.source.filter(|_| index == 0).zip(std::str::from_utf8(value).ok()) {
                Some((source, value)) => top_via(&mut out, value, source),
                None => write::received(&mut out, value),
            }
            out.extend_from_slice(b"\r\n");
        }
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
            // More than one is answered with 400, and copying one of them is enough.
            let Some(value) = message.header_bytes(name) else { continue };
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            write::received(&mut out, value);
            if name == Name::To {
                self.write_tag(&mut out);
            }
            out.extend_from_slice(b"\r\n");
        }
        // RFC 3261 §12.1.1: a response that creates a dialog copies every Record-Route in order.
        if (101..300).contains(&self.status) && self.may_create_dialog() {
            for value in message.fields_of(Name::RecordRoute) {
                out.extend_from_slice(b"Record-Route: ");
                write::received(&mut out, value);
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(&self.fields);
        write::end(&mut out, self.body);
        out
    }

    fn write_tag(&self, out: &mut Vec<u8>) {
        // RFC 3261 §8.2.6.2: every response but 100 has a tag in To. A To that cannot be read may have one: nothing is added to it.
        let lacks_tag = self.message.to().is_ok_and(|to| to.tag().is_none());
        if let Some(tag) = self.to_tag.filter(|_| lacks_tag) {
            out.extend_from_slice(b";tag=");
            write::token(out, tag);
        }
    }

    fn may_create_dialog(&self) -> bool {
        // RFC 3261 §12.1, RFC 6665 §4, RFC 3515 §2.4.
        matches!(self.message.kind, Kind::Request { method: Method::Invite | Method::Subscribe | Method::Notify | Method::Refer, .. })
    }
}

/// The first Via field with `received` and `rport` as the server has seen them; whatever the client wrote there is replaced. All other
/// parameters, the branch above all, stay as they are written.
fn top_via(out: &mut Vec<u8>, value: &str, source: SocketAddr) {
    let (top, others) = super::scan::split_outside(value, b',');
    let Ok((via, rest)) = Via::parse_sent_by(top) else { return write::received(out, value.as_bytes()) };
    let params = super::Params::of(super::scan::trim(rest));
    let sent_by = top.get(..top.len() - rest.len()).unwrap_or_default();
    write::received(out, super::scan::trim(sent_by).as_bytes());
    let mut asked = false;
    for param in params.iter() {
        if param.name.eq_ignore_ascii_case("received") {
            continue;
        }
        out.push(b';');
        write::received(out, param.name.as_bytes());
        if param.name.eq_ignore_ascii_case("rport") {
            // RFC 3581 §4: the port that the request came from.
            asked = true;
            out.push(b'=');
            write::number(out, u64::from(source.port()));
        } else if let Some(value) = param.value {
            out.push(b'=');
            write::received(out, value.as_bytes());
        }
    }
    // RFC 3261 §18.2.1: `received` when sent-by is not that address; RFC 3581 §4: always with `rport`.
    if asked || via.ip() != Some(source.ip()) {
        out.extend_from_slice(format!(";received={}", source.ip()).as_bytes());
    }
    if let Some(others) = others {
        out.push(b',');
        write::received(out, others.as_bytes());
    }
}

/// The usual reason phrase (RFC 3261 §21 and the RFC of each status).
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        200 => "OK",
        202 => "Accepted",
        204 => "No Notification",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        412 => "Conditional Request Failed",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        489 => "Bad Event",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        603 => "Decline",
        _ => match status / 100 {
            1 => "Progress",
            2 => "Success",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBSCRIBE: &str = "SUBSCRIBE sip:x SIP/2.0\nv: SIP/2.0/UDP 192.0.2.1:5070 ; branch=z9hG4bK1;RPORT;x=\"a;b\", SIP/2.0/TCP b;branch=2\n\
        Via: SIP/2.0/TLS c;received=192.0.2.3\nRecord-Route: <sip:p1;lr>,\n <sip:p2;lr>\nFrom: \"A\"\n <sip:a@x>;tag=1\nTo: <sip:x>\n\
        Call-ID: 1\nRecord-Route: <sip:p3;lr>\nCSeq: 1\n SUBSCRIBE\n\n";

    fn parse(text: &str) -> Vec<u8> {
        text.replace('\n', "\r\n").into_bytes()
    }

    fn shown(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
    }

    #[test]
    fn copies_what_is_due() {
        let bytes = parse(SUBSCRIBE);
        let request = Message::parse(&bytes).unwrap();
        let response = Response::to(&request, 200, "")
            .via_received("198.51.100.7:5059".parse().unwrap())
            .to_tag("t1")
            .header(Name::Expires, "3600")
            .header("X-Extra", "ü")
            .body("text/plain", b"hi");
        assert_eq!(response.refused(), 0);
        insta::assert_snapshot!(shown(response.encode()), @r#"
        SIP/2.0 200 OK
        Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1;RPORT=5059;x="a;b";received=198.51.100.7, SIP/2.0/TCP b;branch=2
        Via: SIP/2.0/TLS c;received=192.0.2.3
        From: "A" <sip:a@x>;tag=1
        To: <sip:x>;tag=t1
        Call-ID: 1
        CSeq: 1 SUBSCRIBE
        Record-Route: <sip:p1;lr>, <sip:p2;lr>
        Record-Route: <sip:p3;lr>
        Expires: 3600
        X-Extra: ü
        Content-Type: text/plain
        Content-Length: 2

        hi
        "#);
        // No dialog comes of an error.
        insta::assert_snapshot!(shown(Response::to(&request, 489, "").header(Name::AllowEvents, "ua-profile").encode()), @r#"
        SIP/2.0 489 Bad Event
        Via: SIP/2.0/UDP 192.0.2.1:5070 ; branch=z9hG4bK1;RPORT;x="a;b", SIP/2.0/TCP b;branch=2
        Via: SIP/2.0/TLS c;received=192.0.2.3
        From: "A" <sip:a@x>;tag=1
        To: <sip:x>
        Call-ID: 1
        CSeq: 1 SUBSCRIBE
        Allow-Events: ua-profile
        Content-Length: 0
        "#);
    }

    #[test]
    fn a_tag_that_is_there_stays() {
        let bytes = parse(&SUBSCRIBE.replace("To: <sip:x>", "t: <sip:x>;TAG=theirs"));
        let request = Message::parse(&bytes).unwrap();
        assert!(shown(Response::to(&request, 200, "").to_tag("mine").encode()).contains("\nTo: <sip:x>;TAG=theirs\n"));
    }

    #[test]
    fn received_and_rport() {
        let check = |via: &str, source: &str, expect: &str| {
            let bytes = parse(&format!("OPTIONS sip:x SIP/2.0\nVia: {via}\nFrom: <sip:a@x>\nTo: <sip:x>\nCall-ID: 1\nCSeq: 1 OPTIONS\n\n"));
            let request = Message::parse(&bytes).unwrap();
            let text = shown(Response::to(&request, 200, "").via_received(source.parse().unwrap()).encode());
            assert_eq!(text.lines().nth(1).unwrap(), format!("Via: {expect}"));
        };
        // RFC 3261 §18.2.1: a host name, or another address.
        check("SIP/2.0/UDP 192.0.2.1;branch=1", "192.0.2.1:5060", "SIP/2.0/UDP 192.0.2.1;branch=1");
        check("SIP/2.0/UDP phone;branch=1", "192.0.2.1:5060", "SIP/2.0/UDP phone;branch=1;received=192.0.2.1");
        check("SIP/2.0/UDP 192.0.2.1", "192.0.2.9:5060", "SIP/2.0/UDP 192.0.2.1;received=192.0.2.9");
        // RFC 3581 §4: both, even when the address is right.
        check("SIP/2.0/UDP 192.0.2.1;rport;branch=1", "192.0.2.1:5071", "SIP/2.0/UDP 192.0.2.1;rport=5071;branch=1;received=192.0.2.1");
        // What the client claims about itself is replaced.
        check("SIP/2.0/UDP a;received=6.6.6.6;rport=666", "192.0.2.1:5071", "SIP/2.0/UDP a;rport=5071;received=192.0.2.1");
        check(
            "SIP/2.0/UDP [2001:db8::1]:5070;rport",
            "[2001:db8::1]:5071",
            "SIP/2.0/UDP [2001:db8::1]:5070;rport=5071;received=2001:db8::1",
        );
    }

    #[test]
    fn answers_to_malformed_requests_copy_what_is_there() {
        let check = |text: &str| {
            let bytes = parse(text);
            let malformed = Message::parse(&bytes).unwrap_err();
            let (status, message) = (malformed.status.unwrap(), malformed.message.unwrap());
            let reason = malformed.kind.to_string();
            let source = "192.0.2.9:5060".parse().unwrap();
            shown(Response::to(&message, status, &reason).via_received(source).to_tag("t").encode())
        };
        insta::assert_snapshot!(check("INVITE sip:x SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;;,;,,\nCSeq: 8 INVITE\n\n"), @r"
        SIP/2.0 400 Via: a broken parameter
        Via: SIP/2.0/UDP 192.0.2.1;;;received=192.0.2.9,;,,
        CSeq: 8 INVITE
        Content-Length: 0
        ");
        insta::assert_snapshot!(check("X sip:x SIP/7.0\nVia: SIP/7.0/UDP c\nTo: \"x <sip:x>\nFrom: a\nFrom: b\nl: 0\n\n"), @r#"
        SIP/2.0 505 an unknown SIP version
        Via: SIP/7.0/UDP c;received=192.0.2.9
        From: a
        To: "x <sip:x>
        Content-Length: 0
        "#);
    }

    #[test]
    fn reasons() {
        let bytes = parse(SUBSCRIBE);
        let request = Message::parse(&bytes).unwrap();
        let first = |status, reason| shown(Response::to(&request, status, reason).encode()).lines().next().unwrap().to_owned();
        assert_eq!(first(416, ""), "SIP/2.0 416 Unsupported URI Scheme");
        assert_eq!(first(499, ""), "SIP/2.0 499 Request Failure");
        assert_eq!(first(200, "Sehr schön"), "SIP/2.0 200 Sehr schön");
        assert_eq!(first(7, ""), "SIP/2.0 100 Trying");
    }
}
