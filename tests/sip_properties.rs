//! What holds for whatever arrives: no panic, nothing lost, nothing invented.

#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "../fuzz/exercise.rs"]
mod exercise;
mod torture;

use dialcast::sip::{Kind, Message, Method, Name, Request, Transport};
use proptest::collection::vec;
use proptest::prelude::*;

/// A message of the torture cases, or one like those that phones send.
fn seed() -> impl Strategy<Value = Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = torture::cases().map(|case| case.bytes()).collect();
    seeds.push(subscribe());
    proptest::sample::select(seeds)
}

fn subscribe() -> Vec<u8> {
    Request::new(Method::Subscribe, "sip:anna@corp.example")
        .via(Transport::Udp, "192.0.2.1:5059", "z9hG4bK776asdhds")
        .max_forwards(70)
        .from("\"Anna\" <sip:anna@corp.example>;tag=456248")
        .to("<sip:anna@corp.example>")
        .call_id("843817637684230@192.0.2.1")
        .cseq(1826)
        .header(Name::Contact, "<sip:anna@192.0.2.1:5059>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\"")
        .header(Name::Event, "ua-profile;profile-type=\"user\";vendor=\"snom;x\"")
        .header(Name::Accept, "application/vnd.dialcast.profile+xml, application/xml;q=0.5")
        .header(
            Name::Authorization,
            "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", response=\"0\", qop=auth, nc=00000001, cnonce=\"c\"",
        )
        .header(Name::Expires, "3600")
        .encode()
}

/// One change to a message.
#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Insert(usize, Vec<u8>),
    Cut(usize, usize),
    Repeat(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    // Octets that mean something to the grammar come often.
    let octet = prop_oneof![any::<u8>(), proptest::sample::select(b"\r\n\t \"\\<>;,:=?@[]/%*.\0\xff".to_vec())];
    let at = || any::<proptest::sample::Index>().prop_map(|index| index.index(4096));
    prop_oneof![
        (at(), octet.clone()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), vec(octet, 1..6)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), 1..40usize).prop_map(|(at, length)| Change::Cut(at, length)),
        (at(), 1..200usize).prop_map(|(at, length)| Change::Repeat(at, length)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for change in changes {
        let end = bytes.len();
        match change {
            Change::Set(at, byte) if end > 0 => bytes[at % end] = byte,
            Change::Insert(at, new) => {
                let at = at % (end + 1);
                bytes.splice(at..at, new);
            }
            Change::Cut(at, length) if end > 0 => {
                let at = at % end;
                bytes.drain(at..(at + length).min(end));
            }
            Change::Repeat(at, length) if end > 0 => {
                let at = at % end;
                let part = bytes[at..(at + length).min(end)].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {}
        }
    }
    bytes
}

/// Text of the characters of a token.
fn token() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9.!%*_+`'~-]{1,20}"
}

/// A value as others may write it: any characters but controls, not beginning or ending with a space.
fn value() -> impl Strategy<Value = String> {
    "[^\\p{C}\\s]([^\\p{C}]{0,60}[^\\p{C}\\s])?"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_octets(bytes in vec(any::<u8>(), 0..600)) {
        exercise::message(&bytes);
        exercise::stream(&bytes);
    }

    #[test]
    fn changed_messages(bytes in seed(), changes in vec(change(), 1..8)) {
        let bytes = changed(bytes, changes);
        exercise::message(&bytes);
        exercise::stream(&bytes);
    }

    #[test]
    fn streams_of_messages(messages in vec(seed(), 1..4), changes in vec(change(), 0..3)) {
        exercise::stream(&changed(messages.concat(), changes));
    }

    #[test]
    fn texts_in_builders(text in prop_oneof![".{0,60}", "[\\r\\n:;, a-zA-Z0-9]{0,60}"]) {
        exercise::builders(&text);
    }

    /// What is written is what is read, and writing it again gives the same octets.
    #[test]
    fn written_read_written(
        (method, user, branch, tag) in (token(), token(), token(), token()),
        (cseq, hops) in (0..1u32 << 31, any::<u8>()),
        fields in vec((token(), value()), 0..12),
        body in vec(any::<u8>(), 0..300),
    ) {
        // Known names have rules of their own.
        let fields: Vec<_> = fields.into_iter().filter(|(name, _)| matches!(Name::from(name.as_str()), Name::Other(_))).collect();
        let write = |method: Method<'_>, uri: &str, branch: &str, from: &str, cseq, fields: &[(&str, &str)], body: &[u8]| {
            let request = Request::new(method, uri).via(Transport::Tls, "phone.example:5061", branch).max_forwards(hops).from(from);
            let request = request.to("<sip:x>").call_id("1").cseq(cseq);
            let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, value));
            assert_eq!(request.refused(), 0);
            request.body("a/b", body).encode()
        };
        let pairs: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (uri, from) = (format!("sip:{user}@corp.example;p={user}"), format!("<sip:{user}@x>;tag={tag}"));
        let bytes = write(Method::parse(&method), &uri, &branch, &from, cseq, &pairs, &body);

        let message = Message::parse(&bytes).unwrap();
        let Kind::Request { method: read_method, uri: read_uri } = message.kind() else { panic!("a response") };
        prop_assert_eq!((read_method.as_str(), read_uri), (method.as_str(), uri.as_str()));
        prop_assert_eq!(message.request_uri().unwrap().user, Some(user.as_str()));
        prop_assert_eq!(message.via().unwrap().branch(), Some(branch.as_str()));
        prop_assert_eq!(message.from().unwrap().tag(), Some(tag.as_str()));
        prop_assert_eq!(message.cseq().unwrap(), (cseq, read_method));
        prop_assert_eq!(message.max_forwards().unwrap(), Some(hops));
        prop_assert_eq!(message.body(), body.as_slice());
        let read: Vec<_> = message
            .all_headers()
            .filter(|field| matches!(field.name, Name::Other(_)))
            .map(|field| (field.written, std::str::from_utf8(field.value).unwrap()))
            .collect();
        prop_assert_eq!(&read, &pairs);

        let via = message.via().unwrap();
        let again = write(read_method, read_uri, via.branch().unwrap(), message.header(Name::From).unwrap(), cseq, &read, message.body());
        prop_assert_eq!(again, bytes);
    }
}

/// Every input that fuzzing found worth keeping, and the torture messages.
#[test]
fn kept_inputs() {
    let mut ran = 0;
    for (folder, exercise) in [("sip_message", exercise::message as fn(&[u8])), ("sip_stream", exercise::stream)] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/kept").join(folder);
        for entry in std::fs::read_dir(&folder).unwrap() {
            exercise(&std::fs::read(entry.unwrap().path()).unwrap());
            ran += 1;
        }
    }
    for case in torture::cases() {
        exercise::message(&case.bytes());
        exercise::stream(&case.bytes());
        ran += 1;
    }
    println!("{ran} kept inputs ran");
    // Both folders hold far more than this: a checkout without them must not pass.
    assert!(ran > 300, "the kept inputs are there");
}
