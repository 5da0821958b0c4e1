//! RFC 4475, judged: our own messages for its 49 cases, and the RFC's own where `RFC4475_MESSAGES` names the folder that holds them.

#![expect(clippy::unwrap_used, reason = "a test")]

mod torture;

use std::fmt::Write as _;
use std::path::Path;

use dialcast::sip::digest::DigestError;
use dialcast::sip::stream::{FrameError, Framer};
use dialcast::sip::{Kind, Message, Method, Response, Scheme, Support, check_response};
use torture::{Layer, Verdict, cases};

/// An element that serves whatever RFC 3261 defines, with SDP, text and multipart bodies, and no extension.
const EVERYTHING: Support<'static> = Support {
    methods: &[Method::Invite, Method::Ack, Method::Bye, Method::Cancel, Method::Options, Method::Register, Method::Message],
    schemes: &[Scheme::Sip, Scheme::Sips, Scheme::Tel],
    extensions: &[],
    reads: Some(&["application/sdp", "text/plain", "multipart/mixed"]),
    sends: &["application/sdp"],
};

fn judge(bytes: &[u8]) -> (Layer, Verdict) {
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        Err(malformed) => return (Layer::Parser, malformed.status.map_or(Verdict::Drop, Verdict::Answer)),
    };
    let refusal = match message.kind() {
        Kind::Request { .. } => EVERYTHING.check(&message).err().map(|refusal| Verdict::Answer(refusal.status)),
        Kind::Response { .. } => check_response(&message).err().map(|_| Verdict::Drop),
    };
    refusal.map_or((Layer::Parser, Verdict::Accept), |verdict| (Layer::Agent, verdict))
}

/// Every answer that is due can be written, and reaches the Via of the request.
fn check_answer(name: &str, bytes: &[u8], status: u16) {
    let parsed = Message::parse(bytes);
    let message = match &parsed {
        Ok(message) => message,
        Err(malformed) => malformed.message.as_deref().unwrap(),
    };
    let source = "192.0.2.99:5060".parse().unwrap();
    let answer = Response::to(message, status, "").via_received(source).to_tag("t").encode();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with(&format!("SIP/2.0 {status} ")) && text.contains(";received=192.0.2.99"), "{name}: {text}");
    assert_eq!(message.reply_address(source).map(|to| to.ip()), Some(source.ip()), "{name}");
}

#[test]
fn our_own_messages() {
    let mut table = String::new();
    let mut ran = 0;
    for case in cases() {
        let bytes = case.bytes();
        assert_eq!(judge(&bytes), (case.layer, case.verdict), "{}: {:?}", case.name, Message::parse(&bytes));
        if let Verdict::Answer(status) = case.verdict {
            check_answer(case.name, &bytes, status);
        }
        let layer = if case.verdict == Verdict::Accept { String::new() } else { format!("{:?}", case.layer).to_lowercase() };
        writeln!(table, "{:<11} §{:<9} {:<7} {layer:<7} {}", case.name, case.section, case.verdict, case.why).unwrap();
        ran += 1;
    }
    println!("RFC 4475: {ran} of 49 cases ran, with messages of our own");
    assert_eq!(ran, 49);
    insta::assert_snapshot!("verdicts", table);
}

#[test]
fn the_messages_of_the_rfc() {
    let Some(folder) = std::env::var_os("RFC4475_MESSAGES") else {
        println!("RFC 4475: 0 of its own messages ran: RFC4475_MESSAGES names no folder");
        return;
    };
    let mut ran = 0;
    for case in cases() {
        let path = Path::new(&folder).join(format!("{}.dat", case.name));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(judge(&bytes), (case.layer, case.verdict), "{}: {:?}", case.name, Message::parse(&bytes));
        if let Verdict::Answer(status) = case.verdict {
            check_answer(case.name, &bytes, status);
        }
        ran += 1;
    }
    println!("RFC 4475: {ran} of 49 of its own messages ran");
    assert_eq!(ran, 49);
}

#[test]
fn on_a_stream_a_broken_length_ends_the_connection() {
    for name in ["ncl", "mcl01"] {
        let mut framer = Framer::new();
        framer.push(&cases().find(|case| case.name == name).unwrap().bytes());
        assert_eq!(framer.next(), Err(FrameError::BadLength), "{name}");
    }
    // RFC 4475 §3.1.2.2: with Content-Length too large the rest is waited for.
    let mut framer = Framer::new();
    framer.push(&cases().find(|case| case.name == "clerr").unwrap().bytes());
    assert_eq!(framer.next(), Ok(None));
}

/// Our own message for a case, read.
#[track_caller]
fn with(name: &str, check: impl FnOnce(&Message<'_>)) {
    let bytes = cases().find(|case| case.name == name).unwrap().bytes();
    check(&Message::parse(&bytes).unwrap());
}

#[test]
fn what_is_accepted_is_understood() {
    with("wsinv", |m| {
        assert_eq!((m.to().unwrap().tag(), m.from().unwrap().tag()), (Some("77aa"), Some("12ab")));
        assert_eq!(m.from().unwrap().display_name().as_deref(), Some(r#"K \"Weber"#));
        assert_eq!((m.cseq().unwrap(), m.max_forwards().unwrap()), ((7, Method::Invite), Some(70)));
        assert_eq!(m.vias().map(|via| via.unwrap().branch().unwrap()).collect::<Vec<_>>(), ["oldstyle", "z9hG4bKhop1", "z9hG4bKhop2"]);
        assert_eq!((m.header("Subject".into()), m.header("oddlyvaluedfield".into())), (Some(""), Some(",;,;;,")));
        assert_eq!(m.contact().unwrap().unwrap().params.get("q"), Some("0.25"));
        assert_eq!(m.body(), b"v=0\r\n");
    });
    with("intmeth", |m| {
        let uri = m.request_uri().unwrap();
        assert_eq!((uri.user, uri.password), (Some("odd_user.-!~*'()&=+$,;?/"), Some("pass&=+$,word")));
        assert_eq!(m.to().unwrap().display_name().as_deref(), Some("bell \u{7} nul \0 del \u{7f}"));
        assert_eq!(m.from().unwrap().param("PARAM.!%*_+`'~").as_deref(), Some("ж"));
    });
    with("esc01", |m| {
        assert_eq!(m.request_uri().unwrap().user, Some("sips%3Aweber%40corp.example"));
        let contact = m.contact().unwrap().unwrap().uri;
        assert_eq!((contact.user, contact.params.as_str()), (Some("w%65ber"), ";%6C%72;k%65y=%76%25%36%31"));
        // An escaped `lr` is the same parameter to who unescapes; as it is written it is another.
        assert!(!contact.params.has("lr"));
    });
    with("escnull", |m| {
        assert_eq!(m.contacts().map(|c| c.unwrap().uri.user.unwrap()).collect::<Vec<_>>(), ["%00", "%00%00"]);
        assert_eq!(*dialcast::sip::unescape(m.to().unwrap().uri.user.unwrap()), *b"a\0b");
    });
    with("esc02", |m| {
        assert_eq!(m.contacts().map(|c| c.unwrap().uri.user.unwrap()).collect::<Vec<_>>(), ["one", "three"]);
        assert_eq!(m.via().unwrap().branch(), Some("z9hG4bK9%ze"));
    });
    with("longreq", |m| assert_eq!(m.vias().flatten().count(), 34));
    with("dblreq", |m| assert_eq!((m.method(), m.body().len()), (Some(Method::Register), 0)));
    with("semiuri", |m| {
        let uri = m.request_uri().unwrap();
        assert_eq!((uri.user, uri.params.is_empty()), (Some("w;ext=4%40pbx"), true));
        assert_eq!(m.accept().count(), 4);
    });
    with("transports", |m| assert_eq!(m.vias().filter(|via| via.unwrap().known_transport().is_none()).count(), 2));
    with("mpart01", |m| {
        assert_eq!(m.content_type().unwrap().unwrap().params.get("boundary"), Some("b0"));
        assert!(m.body().len() == 102 && m.body().ends_with(b"\x30\x00\x80\xff\xfe\x01\r\n--b0--\r\n"));
    });
    with("unreason", |m| assert_eq!(m.kind(), Kind::Response { status: 200, reason: "= 10**2 * 2 всё — хорошо" }));
    with("noreason", |m| assert_eq!(m.kind(), Kind::Response { status: 100, reason: "" }));
    with("baddn", |m| assert_eq!(m.from().unwrap().display, Some("Kern, A.")));
    with("badbranch", |m| assert!(!m.via().unwrap().has_transaction_id()));
    with("regaut01", |m| assert_eq!(m.authorization().collect::<Vec<_>>(), [Err(DigestError::Scheme)]));
    with("cparam01", |m| assert!(m.contact().unwrap().unwrap().params.has("unheard-of")));
    with("cparam02", |m| {
        let contact = m.contact().unwrap().unwrap();
        assert!(contact.uri.params.has("unheard-of") && contact.params.is_empty());
    });
    with("regescrt", |m| assert_eq!(m.contact().unwrap().unwrap().uri.headers, Some("Route=%3Csip:edge.corp.example%3E")));
    with("inv2543", |m| {
        assert_eq!((m.from().unwrap().tag(), m.via().unwrap().branch(), m.body()), (None, None, &b"v=0\r\n"[..]));
        assert_eq!(m.to().unwrap().params.get("user"), Some("phone"));
    });
}
