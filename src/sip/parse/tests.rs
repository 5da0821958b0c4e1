//! What the parser says to each kind of fault.

use std::fmt::Write as _;

use super::*;

const OPTIONS: &str = "OPTIONS sip:x SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\nFrom: <sip:a@x>;tag=1\nTo: <sip:x>\n\
    Call-ID: 1\nCSeq: 1 OPTIONS\n\n";

fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

#[test]
fn verdicts() {
    let mut table = String::new();
    let mut check = |what: &str, from: &str, to: &str| {
        assert!(OPTIONS.contains(from), "{from}");
        let bytes = crlf(&OPTIONS.replacen(from, to, 1));
        let verdict = match Message::parse(&bytes) {
            Ok(_) => "ok".to_owned(),
            Err(malformed) => {
                assert_eq!(malformed.status.is_some(), malformed.message.is_some(), "{what}");
                let status = malformed.status.map_or("drop".to_owned(), |status| status.to_string());
                format!("{status} {malformed}")
            }
        };
        writeln!(table, "{what:<28} {verdict}").unwrap();
    };
    check("as it is", "", "");
    check("line breaks before", "OPTIONS", "\n\n\nOPTIONS");
    check("lower-case version", "SIP/2.0\n", "sip/2.0\n");
    check("version 7.0", "SIP/2.0\n", "SIP/7.0\n");
    check("another protocol", "SIP/2.0\n", "HTTP/1.1\n");
    check("no version", " SIP/2.0\n", "\n");
    check("two spaces before the URI", " sip:x", "  sip:x");
    check("a tab before the URI", " sip:x", " \tsip:x");
    check("a space at the end", "SIP/2.0\n", "SIP/2.0 \n");
    check("a space in the URI", "sip:x", "sip:x; lr");
    check("brackets round the URI", "sip:x SIP", "<sip:x> SIP");
    check("no URI", "sip:x SIP", " SIP");
    check("a broken URI", "sip:x SIP", "sip:a@ SIP");
    check("a URI of no scheme", "sip:x SIP", "x SIP");
    check("UTF-8 in the URI", "sip:x SIP", "sip:ü@x SIP");
    check("a method that is none", "OPTIONS", "OPT(IONS)");
    check("a line of one word", "OPTIONS sip:x SIP/2.0", "OPTIONS");
    check("an ACK with a fault", "OPTIONS sip:x SIP/2.0", "ACK sip:x SIP/7.0");
    check("a response", "OPTIONS sip:x SIP/2.0", "SIP/2.0 200 OK");
    check("a response without reason", "OPTIONS sip:x SIP/2.0", "SIP/2.0 100 ");
    check("a response without space", "OPTIONS sip:x SIP/2.0", "SIP/2.0 100");
    check("a status of four digits", "OPTIONS sip:x SIP/2.0", "SIP/2.0 2000 OK");
    check("a status of two digits", "OPTIONS sip:x SIP/2.0", "SIP/2.0 20 OK");
    check("a status of 700", "OPTIONS sip:x SIP/2.0", "SIP/2.0 700 OK");
    check("a response of version 3", "OPTIONS sip:x SIP/2.0", "SIP/3.0 200 OK");
    check("no From", "From:", "X-From:");
    check("no To", "To:", "X-To:");
    check("no Call-ID", "Call-ID:", "X-Call-ID:");
    check("no CSeq", "CSeq:", "X-CSeq:");
    check("no Via", "Via:", "X-Via:");
    check("two From", "To:", "f: <sip:b@x>;tag=2\nTo:");
    check("two Via", "Via:", "Via: SIP/2.0/TCP 192.0.2.7\nVia:");
    check("two Max-Forwards", "To:", "Max-Forwards: 70\nMax-Forwards: 5\nTo:");
    check("two Events", "To:", "o: a\nEvent: b\nTo:");
    check("an empty Call-ID", "Call-ID: 1", "Call-ID:");
    check("a Call-ID of two words", "Call-ID: 1", "Call-ID: 1 2");
    check("a CSeq of 2^31-1", "CSeq: 1", "CSeq: 2147483647");
    check("a CSeq of 2^31", "CSeq: 1", "CSeq: 2147483648");
    check("a CSeq without number", "CSeq: 1 ", "CSeq: ");
    check("a CSeq with a sign", "CSeq: 1", "CSeq: +1");
    check("a CSeq of another method", "1 OPTIONS", "1 INVITE");
    check("From without tag", ";tag=1", "");
    check("From with tag but no value", ";tag=1", ";tag");
    check("From with two tags", ";tag=1", ";tag=1;TAG=2");
    check("Via with two branches", ";branch=z9hG4bK1", ";branch=z9hG4bK1;branch=z9hG4bK2");
    check("From with a broken quote", "<sip:a@x>", "\"a <sip:a@x>");
    check("Via without branch", ";branch=z9hG4bK1", "");
    check("Via with broken parameters", ";branch=z9hG4bK1", ";;,;,,");
    check("a line without colon", "To:", "nonsense\nTo:");
    check("a line without name", "To:", ": nonsense\nTo:");
    check("a name with a space", "To:", "X Y: z\nTo:");
    check("a blank before the colon", "To:", "To \t:");
    check("a form feed in a name", "To:", "X\u{c}: z\nTo:");
    check("a fold at the beginning", "Via:", " folded\nVia:");
    check("a fold behind nonsense", "To:", "nonsense\n folded\nTo:");
    check("a bare CR", "To:", "X: a\rb\nTo:");
    check("Content-Length: 0", "To:", "l: 0\nTo:");
    check("Content-Length of a word", "To:", "Content-Length: none\nTo:");
    check("Content-Length: -1", "To:", "Content-Length: -1\nTo:");
    check("no Content-Length value", "To:", "Content-Length:\nTo:");
    check("two Content-Lengths", "To:", "Content-Length: 0\nl: 0\nTo:");
    check("Content-Length: 1", "To:", "Content-Length: 1\nTo:");
    check("Content-Length of 2 MiB", "To:", "Content-Length: 2097152\nTo:");
    check("Content-Length of 2^70", "To:", "Content-Length: 1180591620717411303424\nTo:");
    check("no end", "CSeq: 1 OPTIONS\n\n", "CSeq: 1 OPTIONS\n");
    check("an end in a line", "CSeq: 1 OPTIONS\n\n", "CSeq: 1 OPT");
    insta::assert_snapshot!(table, @r"
    as it is                     ok
    line breaks before           ok
    lower-case version           ok
    version 7.0                  505 an unknown SIP version (octet 0)
    another protocol             400 a broken request line (octet 0)
    no version                   400 a broken request line (octet 0)
    two spaces before the URI    400 a broken request line (octet 0)
    a tab before the URI         400 a broken request line (octet 0)
    a space at the end           400 a broken request line (octet 0)
    a space in the URI           400 a broken request line (octet 0)
    brackets round the URI       400 a broken request line (octet 0)
    no URI                       400 a broken request line (octet 0)
    a broken URI                 400 a broken request URI: no valid host (octet 0)
    a URI of no scheme           400 a broken request URI: no scheme (octet 0)
    UTF-8 in the URI             400 a broken request URI: a character that no URI may hold (octet 0)
    a method that is none        drop not SIP (octet 0)
    a line of one word           drop not SIP (octet 0)
    an ACK with a fault          drop an unknown SIP version (octet 0)
    a response                   ok
    a response without reason    ok
    a response without space     ok
    a status of four digits      drop a broken status line (octet 0)
    a status of two digits       drop a broken status line (octet 0)
    a status of 700              drop a broken status line (octet 0)
    a response of version 3      drop a broken status line (octet 0)
    no From                      400 From: missing (octet 0)
    no To                        400 To: missing (octet 0)
    no Call-ID                   400 Call-ID: missing (octet 0)
    no CSeq                      400 CSeq: missing (octet 0)
    no Via                       drop Via: missing (octet 0)
    two From                     400 From: more than one (octet 90)
    two Via                      ok
    two Max-Forwards             400 Max-Forwards: more than one (octet 108)
    two Events                   400 Event: more than one (octet 96)
    an empty Call-ID             400 Call-ID: not a token (octet 103)
    a Call-ID of two words       400 Call-ID: not a token (octet 103)
    a CSeq of 2^31-1             ok
    a CSeq of 2^31               400 CSeq: no valid number (octet 115)
    a CSeq without number        400 CSeq: not a token (octet 115)
    a CSeq with a sign           400 CSeq: no valid number (octet 115)
    a CSeq of another method     400 CSeq: another method than the request (octet 115)
    From without tag             ok
    From with tag but no value   400 From: a broken parameter (octet 67)
    From with two tags           400 From: a broken parameter (octet 67)
    Via with two branches        400 Via: a broken parameter (octet 23)
    From with a broken quote     400 From: a quote without end (octet 67)
    Via without branch           ok
    Via with broken parameters   400 Via: a broken parameter (octet 23)
    a line without colon         400 a line that is no header field (octet 90)
    a line without name          400 a line that is no header field (octet 90)
    a name with a space          400 a line that is no header field (octet 90)
    a blank before the colon     ok
    a form feed in a name        400 a line that is no header field (octet 90)
    a fold at the beginning      400 a line that is no header field (octet 23)
    a fold behind nonsense       400 a line that is no header field (octet 90)
    a bare CR                    400 a line break that is not CRLF (octet 90)
    Content-Length: 0            ok
    Content-Length of a word     400 Content-Length: no valid number (octet 90)
    Content-Length: -1           400 Content-Length: no valid number (octet 90)
    no Content-Length value      400 Content-Length: no valid number (octet 90)
    two Content-Lengths          400 Content-Length: more than one (octet 109)
    Content-Length: 1            400 a body shorter than Content-Length (octet 153)
    Content-Length of 2 MiB      513 a body too large (octet 159)
    Content-Length of 2^70       513 a body too large (octet 174)
    no end                       400 no end of the header fields (octet 132)
    an end in a line             400 no end of the header fields (octet 115)
    ");
}

#[test]
fn keep_alives_and_noise() {
    let check = |bytes: &[u8], expect: MalformedKind| {
        let malformed = Message::parse(bytes).unwrap_err();
        assert_eq!((malformed.kind, malformed.status), (expect, None), "{bytes:?}");
    };
    check(b"", MalformedKind::KeepAlive);
    check(b"\r\n\r\n", MalformedKind::KeepAlive);
    check(b"\0\0\0\0", MalformedKind::KeepAlive);
    check(b"jaK", MalformedKind::NotSip);
    // A STUN binding request.
    check(b"\0\x01\0\0\x21\x12\xa4\x42aaaaaaaaaaaa", MalformedKind::NotSip);
    check(&[0xff; 1500], MalformedKind::NotSip);
    check(b"GET / HTTP/1.1\r\nHost: x\r\nVia: 1.1 proxy\r\n\r\n", MalformedKind::RequestLine);
}

#[test]
fn line_feeds_alone_are_refused_and_answered() {
    let malformed = Message::parse(OPTIONS.as_bytes()).unwrap_err();
    assert_eq!((malformed.kind, malformed.status, malformed.offset), (MalformedKind::LineBreak, Some(400), 0));
    let answer = crate::sip::Response::to(&malformed.message.unwrap(), 400, "").encode();
    assert!(Message::parse(&answer).is_ok());
}

#[test]
fn datagrams() {
    let with = |length: &str, body: &str| crlf(&OPTIONS.replace("\n\n", &format!("\n{length}\n{body}")));
    // RFC 3261 §18.3: what is behind the body is dropped; without Content-Length the body goes to the end.
    assert_eq!(Message::parse(&with("Content-Length: 2\n", "hithere")).unwrap().body(), b"hi");
    assert_eq!(Message::parse(&crlf(&format!("{OPTIONS}hithere"))).unwrap().body(), b"hithere");
    assert_eq!(Message::parse(&with("Content-Length: 0\n", "")).unwrap().body(), b"");
    let bytes = with("Content-Length: 8\n", "hithere");
    let malformed = Message::parse(&bytes).unwrap_err();
    assert_eq!((malformed.kind, malformed.status), (MalformedKind::BodyShort, Some(400)));
}

#[test]
fn limits() {
    let check = |extra: String, expect: Option<(MalformedKind, u16)>| {
        let bytes = crlf(&OPTIONS.replace("\n\n", &format!("\n{extra}\n")));
        let found = Message::parse(&bytes).err().map(|malformed| (malformed.kind, malformed.status.unwrap()));
        assert_eq!(found, expect);
    };
    check(format!("X: {}\n", "x".repeat(FIELD_MAX - 3)), None);
    check(format!("X: {}\n", "x".repeat(FIELD_MAX - 2)), Some((MalformedKind::HeadTooLarge, 513)));
    check(format!("X: x\n{}", " x\n".repeat(FIELD_MAX / 4 - 2)), None);
    check(format!("X: x\n{}", " x\n".repeat(FIELD_MAX / 4)), Some((MalformedKind::HeadTooLarge, 513)));
    check(format!("{}: x\n", "n".repeat(NAME_MAX)), None);
    check(format!("{}: x\n", "n".repeat(NAME_MAX + 1)), Some((MalformedKind::Field, 400)));
    check("X: x\n".repeat(super::super::limits::FIELDS_MAX - 5), None);
    check("X: x\n".repeat(super::super::limits::FIELDS_MAX - 4), Some((MalformedKind::TooManyFields, 400)));
    let long = format!("X: {}\n", "x".repeat(FIELD_MAX - 5));
    check(long.repeat(2), Some((MalformedKind::HeadTooLarge, 513)));
    // No line break at all.
    assert_eq!(Message::parse(&vec![b'A'; 70_000]).unwrap_err().kind, MalformedKind::NotSip);
    let mut bytes = crlf(OPTIONS);
    bytes.resize(bytes.len() + BODY_MAX + 1, b'x');
    assert_eq!(Message::parse(&bytes).unwrap_err().kind, MalformedKind::BodyTooLarge);
}

#[test]
fn places() {
    let bytes = crlf(&format!("\n{}", OPTIONS.replace("CSeq: 1", "CSeq: x")));
    let malformed = Message::parse(&bytes).unwrap_err();
    assert!(bytes[malformed.offset..].starts_with(b"CSeq: x"));
    assert_eq!(malformed.to_string(), format!("CSeq: no valid number (octet {})", malformed.offset));
}
