//! Traps that other stacks fell into, each one a test over a whole message.

use super::*;

/// A SUBSCRIBE with `extra` among its header fields.
fn subscribe(extra: &[u8]) -> Vec<u8> {
    let mut message = b"SUBSCRIBE sip:anna@corp.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5059;branch=z9hG4bK1\r\n".to_vec();
    message.extend_from_slice(extra);
    message.extend_from_slice(
        b"From: <sip:anna@corp.example>;tag=1\r\nTo: <sip:anna@corp.example>\r\nCall-ID: 1@192.0.2.1\r\nCSeq: 1 SUBSCRIBE\r\n\
        Event: ua-profile\r\nContent-Length: 0\r\n\r\n",
    );
    message
}

fn encode(message: &[u8], status: u16) -> String {
    String::from_utf8(Response::to(&Message::parse(message).unwrap(), status, "").encode()).unwrap()
}

#[test]
fn trap_escaped_user_is_not_escaped_again() {
    let bytes = subscribe(b"Contact: <sip:urn%3Auuid%3A00000000@192.0.2.1>\r\n");
    let message = Message::parse(&bytes).unwrap();
    let contact = message.contact().unwrap().unwrap();
    assert_eq!(contact.uri.user, Some("urn%3Auuid%3A00000000"));
    let notify = Request::new(Method::Notify, contact.uri.as_str()).encode();
    assert!(notify.starts_with(b"NOTIFY sip:urn%3Auuid%3A00000000@192.0.2.1 SIP/2.0\r\n"));
}

#[test]
fn trap_octets_that_are_not_utf8_in_one_field_lose_no_other() {
    let bytes = subscribe(b"User-Agent: caf\xe9 \xff\r\nSubject: after\r\n");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.header(Name::UserAgent), None);
    assert_eq!(message.header_bytes(Name::UserAgent), Some(&b"caf\xe9 \xff"[..]));
    assert_eq!(message.header(Name::Subject), Some("after"));
    assert_eq!(message.event().unwrap().unwrap().package, "ua-profile");
    assert_eq!(message.all_headers().count(), 9);
}

#[test]
fn trap_octets_that_are_not_utf8_in_the_reason_lose_no_field() {
    let bytes = b"SIP/2.0 404 caf\xe9\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\n\
        Call-ID: 1\r\nCSeq: 1 NOTIFY\r\nRetry-After: 7 (later)\r\n\r\n";
    let message = Message::parse(bytes).unwrap();
    assert_eq!(message.kind(), Kind::Response { status: 404, reason: "" });
    assert_eq!(message.retry_after(), Ok(Some(7)));
}

#[test]
fn trap_octets_that_are_not_utf8_where_they_matter_are_answered() {
    let bytes = String::from_utf8(subscribe(b"")).unwrap().replace("<sip:anna@corp.example>;tag", "\"caf?\" <sip:anna@corp.example>;tag");
    let bytes: Vec<u8> = bytes.bytes().map(|b| if b == b'?' { 0xe9 } else { b }).collect();
    let malformed = Message::parse(&bytes).unwrap_err();
    assert_eq!(malformed.kind, MalformedKind::Header(HeaderError { name: Name::From, flaw: Flaw::Text }));
    let answer = Response::to(&malformed.message.unwrap(), malformed.status.unwrap(), "").encode();
    // From goes back octet by octet, or the phone will not know the answer for its own.
    assert!(answer.windows(5).any(|w| w == b"caf\xe9\""));
}

#[test]
fn trap_semicolon_inside_a_quoted_parameter() {
    let bytes = subscribe(b"Contact: \"Berg; Anna, <CEO>\" <sip:a@192.0.2.1>;vendor=\"a;b,c\";expires=60, <sip:b@192.0.2.1>\r\n");
    let message = Message::parse(&bytes).unwrap();
    let contacts: Vec<_> = message.contacts().map(|contact| contact.unwrap()).collect();
    assert_eq!(contacts.iter().map(|c| c.uri.as_str()).collect::<Vec<_>>(), ["sip:a@192.0.2.1", "sip:b@192.0.2.1"]);
    assert_eq!(contacts[0].display_name().as_deref(), Some("Berg; Anna, <CEO>"));
    assert_eq!((contacts[0].param("vendor").as_deref(), contacts[0].params.get("expires")), (Some("a;b,c"), Some("60")));
}

#[test]
fn trap_notifyx_is_not_notify() {
    let bytes = String::from_utf8(subscribe(b"")).unwrap().replace("SUBSCRIBE", "NOTIFYX");
    let message = Message::parse(bytes.as_bytes()).unwrap();
    assert_eq!(message.method(), Some(Method::Other("NOTIFYX")));
}

#[test]
fn trap_upper_case_tag() {
    let bytes = String::from_utf8(subscribe(b"")).unwrap().replace(";tag=1", ";TAG=AbC");
    let message = Message::parse(bytes.as_bytes()).unwrap();
    assert_eq!(message.from().unwrap().tag(), Some("AbC"));
}

#[test]
fn trap_branch_is_echoed_as_it_is_written() {
    let bytes = String::from_utf8(subscribe(b"")).unwrap().replace("z9hG4bK1", "z9hG4bK%41%zz.~`'1");
    assert!(encode(bytes.as_bytes(), 200).contains(";branch=z9hG4bK%41%zz.~`'1\r\n"));
}

#[test]
fn trap_thousands_of_distinct_fields_in_one_datagram() {
    let many = (0..4000).fold(String::new(), |all, n| format!("{all}X-{n}: {n}\r\n"));
    let bytes = subscribe(many.as_bytes());
    assert!(bytes.len() > 40_000 && bytes.len() < 65_536);
    let malformed = Message::parse(&bytes).unwrap_err();
    assert_eq!((malformed.kind, malformed.status), (MalformedKind::TooManyFields, Some(400)));
    // It was not read further than it has to be: the field that is one too many is named.
    assert_eq!(malformed.message.unwrap().all_headers().count(), limits::FIELDS_MAX);
    assert!(malformed.offset < 4096);
}

#[test]
fn trap_whole_messages_with_credentials_in_the_log() {
    let secret = b"Authorization: Digest username=\"anna\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", response=\"5ec3e7\"\r\n";
    let bytes = subscribe(secret);
    let message = Message::parse(&bytes).unwrap();
    let credentials = message.authorization().next().unwrap().unwrap();
    let broken = String::from_utf8(bytes.clone()).unwrap().replace("CSeq: 1 ", "CSeq: x ");
    let malformed = Message::parse(broken.as_bytes()).unwrap_err();
    for shown in [format!("{message:?}"), format!("{malformed:?}"), malformed.to_string(), format!("{credentials:?}")] {
        assert!(!shown.contains("5ec3e7") && !shown.contains("ua-profile"), "{shown}");
    }
    assert!(format!("{message:?}").contains("Authorization"));
}

#[test]
fn trap_compact_forms() {
    let bytes =
        b"SUBSCRIBE sip:anna@corp.example SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nf: <sip:anna@corp.example>;tag=1\r\n\
        t: <sip:anna@corp.example>\r\ni: 1@192.0.2.1\r\nCSeq: 1 SUBSCRIBE\r\no: ua-profile\r\nm: <sip:anna@192.0.2.1>\r\nk: gruu\r\n\
        c: text/plain\r\nl: 2\r\n\r\nhi";
    let message = Message::parse(bytes).unwrap();
    assert_eq!(message.event().unwrap().unwrap().package, "ua-profile");
    assert_eq!(message.contact().unwrap().unwrap().uri.user, Some("anna"));
    assert_eq!(message.supported().collect::<Vec<_>>(), ["gruu"]);
    assert!(message.content_type().unwrap().unwrap().is("text/plain"));
    assert_eq!(message.body(), b"hi");
    assert!(encode(bytes, 200).contains("\r\nCall-ID: 1@192.0.2.1\r\n"));
}

#[test]
fn trap_folds() {
    let bytes = subscribe(b"Contact:\r\n  <sip:anna@192.0.2.1>\r\n\t;expires=60\r\nSupported: gruu,\r\n path\r\nSubject:\r\n \r\n");
    let message = Message::parse(&bytes).unwrap();
    let contact = message.contact().unwrap().unwrap();
    assert_eq!((contact.uri.as_str(), contact.params.get("expires")), ("sip:anna@192.0.2.1", Some("60")));
    assert_eq!(message.supported().collect::<Vec<_>>(), ["gruu", "path"]);
    assert_eq!(message.header(Name::Subject), Some(""));
}

#[test]
fn trap_ipv6_references() {
    let bytes = String::from_utf8(subscribe(b"Contact: <sip:anna@[2001:db8::9]:5070;transport=tcp>\r\n"))
        .unwrap()
        .replace("192.0.2.1:5059;", "[2001:db8::9]:5059;received=2001:db8::9:255;")
        .replace("sip:anna@corp.example SIP", "sip:anna@[2001:db8::1] SIP");
    let message = Message::parse(bytes.as_bytes()).unwrap();
    let via = message.via().unwrap();
    assert_eq!((via.host, via.port, via.received()), ("[2001:db8::9]", Some(5059), Some("2001:db8::9:255".parse().unwrap())));
    let contact = message.contact().unwrap().unwrap().uri;
    assert_eq!((contact.ip(), contact.port), (Some("2001:db8::9".parse().unwrap()), Some(5070)));
    assert_eq!(message.request_uri().unwrap().host, "[2001:db8::1]");
}

#[test]
fn trap_sip_instance() {
    let bytes =
        subscribe(b"Contact: <sip:anna@192.0.2.1;gr=urn:uuid:f81d4fae-7dec>;+sip.instance=\"<urn:uuid:f81d4fae-7dec>\";reg-id=1\r\n");
    let contact = Message::parse(&bytes).unwrap().contact().unwrap().unwrap();
    assert_eq!(contact.param("+sip.instance").as_deref(), Some("<urn:uuid:f81d4fae-7dec>"));
    assert_eq!(contact.params.get("reg-id"), Some("1"));
    // Not cut to `urn`.
    assert_eq!(contact.uri.params.get("gr"), Some("urn:uuid:f81d4fae-7dec"));
}

#[test]
fn trap_unknown_method_or_scheme_can_be_answered() {
    let support = Support { methods: &[Method::Subscribe], schemes: &[Scheme::Sip], extensions: &[], reads: None, sends: &[] };
    let check = |from: &str, to: &str, status: u16| {
        let bytes = String::from_utf8(subscribe(b"")).unwrap().replace(from, to);
        let message = Message::parse(bytes.as_bytes()).unwrap();
        assert_eq!(support.check(&message).unwrap_err().status, status, "{to}");
        assert!(encode(bytes.as_bytes(), status).starts_with(&format!("SIP/2.0 {status} ")));
    };
    check("SUBSCRIBE", "PUBLISH", 405);
    check("SUBSCRIBE", "FROBNICATE", 501);
    check("sip:anna@corp.example SIP", "tel:+49301234 SIP", 416);
    check("sip:anna@corp.example SIP", "urn:service:sos SIP", 416);
    check("sip:anna@corp.example SIP", "soap.beep://192.0.2.103:3002 SIP", 416);
}

#[test]
fn trap_subscription_state_is_typed() {
    let bytes = subscribe(b"Subscription-State: terminated;reason=deactivated;retry-after=5\r\n");
    let state = Message::parse(&bytes).unwrap().subscription_state().unwrap().unwrap();
    assert_eq!((state.is_terminated(), state.reason(), state.retry_after()), (true, Some("deactivated"), Some(5)));
}

#[test]
fn trap_sha256_is_understood() {
    let bytes =
        subscribe(b"Authorization: Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", response=\"0\", algorithm=SHA-256\r\n");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.authorization().next().unwrap().unwrap().algorithm, digest::Algorithm::Sha256);
}

#[test]
fn trap_binary_bodies_arrive_whole() {
    let body: Vec<u8> = (0..=255).collect();
    let bytes = Request::new(Method::Notify, "sip:x")
        .via(Transport::Udp, "192.0.2.1", "z9hG4bK1")
        .from("<sip:a@x>;tag=1")
        .to("<sip:b@x>;tag=2")
        .call_id("1")
        .cseq(1)
        .body("application/octet-stream", &body)
        .encode();
    assert_eq!(Message::parse(&bytes).unwrap().body(), body);
}

#[test]
fn trap_crlf_in_a_value_makes_no_field() {
    let bytes = subscribe(b"");
    let request = Message::parse(&bytes).unwrap();
    let response = Response::to(&request, 200, "O\r\nX-A: 1\r\nK")
        .to_tag("t\r\nX-B: 1")
        .header("X-C\r\nX-D", "1")
        .header(Name::Subject, "s\r\nX-E: 1\r\n\r\nbody")
        .header(Name::ContentLength, "99")
        .body("text/plain\r\nX-F: 1", b"hi");
    assert_eq!(response.refused(), 18);
    let bytes = response.encode();
    let message = Message::parse(&bytes).unwrap();
    assert!(message.all_headers().all(|field| !field.written.starts_with("X-")));
    assert_eq!(message.body(), b"hi");
    insta::assert_snapshot!(String::from_utf8(bytes).unwrap().replace("\r\n", "\n"), @r"
    SIP/2.0 200 O  X-A: 1  K
    Via: SIP/2.0/UDP 192.0.2.1:5059;branch=z9hG4bK1
    From: <sip:anna@corp.example>;tag=1
    To: <sip:anna@corp.example>;tag=tX-B1
    Call-ID: 1@192.0.2.1
    CSeq: 1 SUBSCRIBE
    Subject: s  X-E: 1    body
    Content-Type: text/plain  X-F: 1
    Content-Length: 2

    hi
    ");

    let request = Request::new(Method::Other("SUB SCRIBE\r\n"), "sip:x SIP/2.0\r\nX-A: 1\r\n")
        .via(Transport::Tcp, "a\r\nX-B: 1", "z\r\nX-C: 1")
        .from("<sip:a@x>\r\nX-D: 1")
        .cseq(1)
        .header(Name::ContentLength, "99")
        .encode();
    insta::assert_snapshot!(String::from_utf8(request).unwrap().replace("\r\n", "\n"), @r"
    SUBSCRIBE sip:x%20SIP/2.0%0D%0AX-A:%201%0D%0A SIP/2.0
    Via: SIP/2.0/TCP a  X-B: 1;branch=zX-C1
    From: <sip:a@x>  X-D: 1
    CSeq: 1 SUBSCRIBE
    Content-Length: 0
    ");
}

#[test]
fn trap_malformed_via_is_no_panic() {
    for via in ["", ";", ",", "SIP", "SIP/", "SIP/2.0/", "SIP/2.0/UDP", "SIP/2.0/UDP ;", "SIP/2.0/UDP [", "/ / ", "SIP/2.0/UDP \"", "\""] {
        let bytes = String::from_utf8(subscribe(b"")).unwrap().replace("SIP/2.0/UDP 192.0.2.1:5059;branch=z9hG4bK1", via);
        let malformed = Message::parse(bytes.as_bytes()).unwrap_err();
        assert_eq!(malformed.kind, MalformedKind::Header(HeaderError { name: Name::Via, flaw: Flaw::Via }), "{via}");
        // Nobody knows where the answer would go.
        assert!(malformed.status.is_none() && malformed.message.is_none(), "{via}");
    }
}
