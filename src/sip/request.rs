//! Writing requests.

use super::{Method, Name, Transport, write};

/// A request to be encoded. Fields come out in the order in which they are set, and the request line is written at once, so that one
/// buffer is all it takes.
///
/// ```
/// # use dialcast::sip::{Method, Name, Request, Transport};
/// let bytes = Request::new(Method::Subscribe, "sip:anna@corp.example")
///     .via(Transport::Udp, "192.0.2.1:5060", "z9hG4bK1")
///     .from("<sip:anna@corp.example>;tag=1")
///     .to("<sip:anna@corp.example>")
///     .call_id("1@192.0.2.1")
///     .cseq(1)
///     .max_forwards(70)
///     .header(Name::Event, "ua-profile;profile-type=user")
///     .encode();
/// assert!(bytes.ends_with(b"Event: ua-profile;profile-type=user\r\nContent-Length: 0\r\n\r\n"));
/// ```
#[derive(Clone)]
pub struct Request<'a> {
    method: Method<'a>,
    out: Vec<u8>,
    body: &'a [u8],
    refused: usize,
}

impl<'a> Request<'a> {
    /// A request of that method to that URI. What no URI may hold is escaped; what is escaped already is left alone.
    pub fn new(method: impl Into<Method<'a>>, uri: &str) -> Self {
        let method = method.into();
        let mut out = Vec::with_capacity(1024);
        let refused = write::token(&mut out, method.as_str());
        out.push(b' ');
        write::uri(&mut out, uri);
        out.extend_from_slice(b" SIP/2.0\r\n");
        Self { method, out, body: &[], refused }
    }

    /// The Via: our transport, host and port, and the branch. RFC 3581 §3: over UDP it asks for `rport`.
    #[must_use]
    pub fn via(mut self, transport: Transport, sent_by: &str, branch: &str) -> Self {
        self.out.extend_from_slice(b"Via: SIP/2.0/");
        self.out.extend_from_slice(transport.as_str().as_bytes());
        self.out.push(b' ');
        self.refused += write::text(&mut self.out, sent_by);
        self.out.extend_from_slice(if transport.is_reliable() { b";branch=" } else { b";rport;branch=" });
        self.refused += write::token(&mut self.out, branch);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// From, with its tag.
    #[must_use]
    pub fn from(self, address: &str) -> Self {
        self.header(Name::From, address)
    }

    /// To, with the tag of the dialog if there is one.
    #[must_use]
    pub fn to(self, address: &str) -> Self {
        self.header(Name::To, address)
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(self, call_id: &str) -> Self {
        self.header(Name::CallId, call_id)
    }

    /// `CSeq`, with the method of the request.
    #[must_use]
    pub fn cseq(mut self, number: u32) -> Self {
        self.out.extend_from_slice(b"CSeq: ");
        write::number(&mut self.out, u64::from(number));
        self.out.push(b' ');
        write::token(&mut self.out, self.method.as_str());
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Max-Forwards; RFC 3261 §8.1.1.6 recommends 70.
    #[must_use]
    pub fn max_forwards(mut self, hops: u8) -> Self {
        self.out.extend_from_slice(b"Max-Forwards: ");
        write::number(&mut self.out, u64::from(hops));
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Adds a header field.
    #[must_use]
    pub fn header<'n>(mut self, name: impl Into<Name<'n>>, value: &str) -> Self {
        self.refused += write::field(&mut self.out, name.into(), value, &[Name::ContentLength]);
        self
    }

    /// The body and its type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &'a [u8]) -> Self {
        self.out.reserve(body.len() + 128);
        self.body = body;
        self.header(Name::ContentType, content_type)
    }

    /// How many characters and header fields were refused: not zero is a fault of the caller.
    pub const fn refused(&self) -> usize {
        self.refused
    }

    /// The request in octets.
    pub fn encode(mut self) -> Vec<u8> {
        write::end(&mut self.out, self.body);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Message;

    #[test]
    fn a_notify() {
        let bytes = Request::new(Method::Notify, "sip:anna@192.0.2.1:5059;transport=tcp")
            .via(Transport::Tcp, "192.0.2.9:5060", "z9hG4bKn1")
            .max_forwards(70)
            .header(Name::Route, "<sip:p1;lr>")
            .from("<sip:anna@corp.example>;tag=s1")
            .to("\"Anna\" <sip:anna@corp.example>;tag=p1")
            .call_id("1@192.0.2.1")
            .cseq(4_294_967)
            .header(Name::Event, "ua-profile")
            .header(Name::SubscriptionState, "active;expires=599")
            .body("application/xml", b"<a/>")
            .encode();
        insta::assert_snapshot!(String::from_utf8(bytes.clone()).unwrap().replace("\r\n", "\n"), @r#"
        NOTIFY sip:anna@192.0.2.1:5059;transport=tcp SIP/2.0
        Via: SIP/2.0/TCP 192.0.2.9:5060;branch=z9hG4bKn1
        Max-Forwards: 70
        Route: <sip:p1;lr>
        From: <sip:anna@corp.example>;tag=s1
        To: "Anna" <sip:anna@corp.example>;tag=p1
        Call-ID: 1@192.0.2.1
        CSeq: 4294967 NOTIFY
        Event: ua-profile
        Subscription-State: active;expires=599
        Content-Type: application/xml
        Content-Length: 4

        <a/>
        "#);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.cseq(), Ok((4_294_967, Method::Notify)));
        assert_eq!(message.body(), b"<a/>");
    }

    #[test]
    fn over_udp_it_asks_for_rport() {
        let bytes = Request::new("X-METHOD", "sip:x").via(Transport::Udp, "a", "z9hG4bK1").encode();
        assert_eq!(bytes, b"X-METHOD sip:x SIP/2.0\r\nVia: SIP/2.0/UDP a;rport;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n");
    }
}
