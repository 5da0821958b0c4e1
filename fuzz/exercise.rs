//! What fuzzing and property tests do with octets, and what must hold whatever the octets are. Panics where it does not.

#![allow(dead_code, reason = "each user takes its part")]

use dialcast::sip::limits::{BODY_MAX, FIELD_MAX, FIELDS_MAX, HEAD_MAX};
use dialcast::sip::stream::{Frame, FrameError, Framer};
use dialcast::sip::{Kind, Message, Method, Name, NameAddr, Request, Response, Scheme, Support, Transport, Uri, Via, check_response};

/// Reads the octets as one message and looks at all there is to see.
pub(crate) fn message(bytes: &[u8]) {
    match Message::parse(bytes) {
        Ok(message) => {
            assert!(message.head().len() <= HEAD_MAX && message.body().len() <= BODY_MAX);
            assert!(message.via().is_ok() && message.from().is_ok() && message.to().is_ok());
            assert!(message.call_id().is_ok() && message.cseq().is_ok());
            look(&message, bytes);
            answer(&message, 200);
        }
        Err(malformed) => {
            assert!(malformed.offset <= bytes.len());
            assert_eq!(malformed.status.is_some(), malformed.message.is_some());
            seen(format!("{malformed:?} {malformed}"));
            if let (Some(status), Some(message)) = (malformed.status, malformed.message) {
                assert!(message.method().is_some_and(|method| method != Method::Ack), "neither a response nor an ACK is answered");
                look(&message, bytes);
                let source = "192.0.2.1:5060".parse().unwrap();
                assert!(message.reply_address(source).is_some(), "what is answered has a Via to answer by");
                seen(Response::to(&message, status, &malformed.kind.to_string()).via_received(source).to_tag("t").encode());
            }
        }
    }
}

/// Computed, and not thrown out by the optimiser.
fn seen<T>(value: T) {
    drop(std::hint::black_box(value));
}

/// Every accessor; each value is a piece of the input.
fn look(message: &Message<'_>, bytes: &[u8]) {
    let within = |part: &[u8]| bytes.as_ptr_range().contains(&part.as_ptr()) || part.is_empty();
    assert!(message.all_headers().count() <= FIELDS_MAX);
    for field in message.all_headers() {
        assert!(within(field.value) && within(field.written.as_bytes()));
        let blank = |byte: Option<&u8>| byte.is_some_and(|b| b" \t\r\n".contains(b));
        assert!(!blank(field.value.first()) && !blank(field.value.last()) && field.value.len() <= FIELD_MAX);
        assert!(message.fields_of(field.name).any(|value| value == field.value));
        for text in message.headers(field.name) {
            assert!(within(text.as_bytes()));
            seen(
                (NameAddr::parse(text).map(|address| (address.display_name(), address.tag())), Via::parse(text), Uri::parse(text))
                    .0
                    .is_ok(),
            );
        }
    }
    seen(message.request_uri());
    seen((message.max_forwards(), message.expires(), message.min_expires(), message.retry_after()));
    seen((message.content_length(), message.content_type(), message.event(), message.subscription_state(), message.contact()));
    seen((message.contacts().count(), message.record_routes().count(), message.require().count(), message.supported().count()));
    seen((message.vias().count(), message.accepts("application/xml"), message.is_contact_star()));
    for credentials in message.authorization().flatten() {
        seen((credentials.to_string(), credentials.nonce_count()));
    }
    for challenge in message.challenges().flatten() {
        seen(challenge.to_string());
    }
    if let Ok(Some(event)) = message.event() {
        seen((event.id(), event.param("profile-type")));
    }
    let support = Support {
        methods: &[Method::Subscribe, Method::Notify, Method::Options],
        schemes: &[Scheme::Sip, Scheme::Sips],
        extensions: &[],
        reads: Some(&["text/plain"]),
        sends: &["application/xml"],
    };
    seen((support.check(message), check_response(message), format!("{message:?}")));
}

/// The answer to a good request is a good response with what RFC 3261 §8.2.6.2 wants in it.
fn answer(message: &Message<'_>, status: u16) {
    // Near the limits, what the answer adds may be too much.
    if !matches!(message.kind(), Kind::Request { .. }) || message.head().len() + 256 > FIELD_MAX {
        return;
    }
    let source = "[2001:db8::1]:5061".parse().unwrap();
    let bytes =
        Response::to(message, status, "").via_received(source).to_tag("t").header(Name::Server, "x").body("a/b", b"\0\r\n").encode();
    let answer = Message::parse(&bytes).unwrap();
    assert_eq!((answer.status(), answer.body()), (Some(status), &b"\0\r\n"[..]));
    assert_eq!((answer.call_id(), answer.cseq()), (message.call_id(), message.cseq()));
    assert_eq!(answer.from().unwrap().tag(), message.from().unwrap().tag());
    assert_eq!(answer.to().unwrap().tag(), Some(message.to().unwrap().tag().unwrap_or("t")));
    assert_eq!(answer.via().unwrap().branch(), message.via().unwrap().branch());
    assert_eq!(answer.headers(Name::Via).count(), message.headers(Name::Via).count());
}

/// A text wherever the builders take one: what comes out is one request with the fields that were set and no others.
pub(crate) fn builders(text: &str) {
    let bytes = Request::new(Method::Notify, text)
        .via(Transport::Udp, "192.0.2.1", text)
        .from("<sip:a@x>;tag=1")
        .to("<sip:b@x>;tag=2")
        .call_id("1")
        .cseq(1)
        .header(Name::Subject, text)
        .header(text, "x")
        .body("a/b", b"body")
        .encode();
    let fields = match Message::parse(&bytes) {
        Ok(message) => {
            assert_eq!(message.body(), b"body");
            message.all_headers().count()
        }
        // The text may be no URI, no branch, too long, or the name of a field that must not be there twice.
        Err(malformed) => malformed.message.map_or(0, |message| message.all_headers().count()),
    };
    assert!(fields <= 9, "{fields} fields of {text:?}");
}

/// Cuts the octets as a stream: the messages do not depend on the pieces in which they arrive.
pub(crate) fn stream(bytes: &[u8]) {
    let whole = frames(bytes, bytes.len().max(1));
    for piece in [1, 3, 61] {
        assert_eq!(frames(bytes, piece), whole, "in pieces of {piece}");
    }
    for bytes in &whole.0 {
        message(bytes);
        // Datagram and stream agree on where a message ends.
        if let Ok(message) = Message::parse(bytes) {
            assert_eq!(message.head().len() + message.body().len(), bytes.len());
        }
    }
}

fn frames(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut framer = Framer::new();
    let mut messages = Vec::new();
    for chunk in bytes.chunks(piece) {
        framer.push(chunk);
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(bytes))) => messages.push(bytes.to_vec()),
                Ok(Some(Frame::Ping | Frame::Pong)) => {}
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}
