//! Challenges.

use super::bench::*;
use crate::agent::subscriber::SubscriberConfig;
use crate::sip::digest::{Algorithm, Ha1, verify};
use crate::sip::{Message, Name, Transport};

const SHA256: &str = "WWW-Authenticate: Digest realm=\"corp\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"\r\n";
const MD5: &str = "WWW-Authenticate: Digest realm=\"corp\", nonce=\"n1\", algorithm=MD5, qop=\"auth\", opaque=\"o\"\r\n";

fn bench() -> Bench {
    Bench::new(with_login(SubscriberConfig { expires_s: 600, ..config(Transport::Udp) }))
}

/// The algorithm and the count of the proof in a request, which holds.
fn proof(text: &str) -> (Algorithm, Option<u32>) {
    let message = Message::parse(text.as_bytes()).unwrap();
    let credentials = message.authorization().next().expect("credentials").unwrap();
    let ha1 = Ha1::new(credentials.algorithm, "anna", "corp", "secret");
    assert_eq!(verify(&credentials, &ha1, "SUBSCRIBE"), Ok(()));
    let crate::sip::Kind::Request { uri, .. } = message.kind() else { panic!("a request") };
    assert_eq!(credentials.uri, uri);
    (credentials.algorithm, credentials.nonce_count())
}

#[test]
fn answered_and_remembered() {
    let mut bench = bench();
    let first = bench.sent();
    assert_eq!(field(&first, Name::Authorization), "-");
    bench.answer(&first, 401, SHA256);
    let second = bench.sent();
    assert_eq!((short(&second).as_str(), proof(&second)), ("SUBSCRIBE 2 expires 600", (Algorithm::Sha256, Some(1))));
    assert_eq!(field(&second, Name::CallId), field(&first, Name::CallId));
    bench.answer(&second, 200, "Expires: 600\r\n");
    bench.notify(&second, "Subscription-State: active;expires=600\r\n", "");
    bench.sent();
    // The renewal brings its proof along; the nonce counts on.
    let renewal = bench.wait();
    assert_eq!(proof(&renewal), (Algorithm::Sha256, Some(2)));
    // The nonce is too old by now.
    bench.answer(&renewal, 401, &SHA256.replace("n1", "n2").replace("qop", "stale=true, qop"));
    let again = bench.sent();
    assert_eq!((short(&again).as_str(), proof(&again)), ("SUBSCRIBE 4 expires 600", (Algorithm::Sha256, Some(1))));
    bench.answer(&again, 200, "Expires: 600\r\n");
    assert!(bench.events().ends_with("subscribed 600s"));
}

#[test]
fn the_best_algorithm_is_taken() {
    for (fields, expect) in [(format!("{MD5}{SHA256}"), Algorithm::Sha256), (MD5.to_owned(), Algorithm::Md5)] {
        let mut bench = bench();
        let first = bench.sent();
        bench.answer(&first, 401, &fields);
        assert_eq!(proof(&bench.sent()).0, expect);
    }
}

#[test]
fn a_proxy_and_a_server() {
    let mut bench = bench();
    let first = bench.sent();
    bench.answer(&first, 407, &SHA256.replace("WWW-", "Proxy-"));
    let second = bench.sent();
    assert_eq!(
        (field(&second, Name::Authorization).as_str(), field(&second, Name::ProxyAuthorization).starts_with("Digest ")),
        ("-", true)
    );
    bench.answer(&second, 401, SHA256);
    let third = bench.sent();
    assert_eq!(proof(&third).1, Some(1));
    assert!(field(&third, Name::ProxyAuthorization).contains("nc=00000002"));
}

/// How it ends when each request is challenged with the next of these fields.
#[track_caller]
fn check(config: SubscriberConfig, challenges: &[&str], expect: &str) {
    let mut bench = Bench::new(config);
    for fields in challenges {
        let request = bench.sent();
        bench.answer(&request, 401, fields);
    }
    assert_eq!(bench.events(), expect);
    bench.silent();
}

#[test]
fn without_success() {
    let stale = SHA256.replace("qop", "stale=true, qop");
    let plain = || config(Transport::Udp);
    check(plain(), &[SHA256], "over: the server wants a password for the realm `corp`");
    check(with_login(plain()), &[SHA256, SHA256], "over: the server does not accept the password for the realm `corp`");
    check(with_login(plain()), &[SHA256, &stale, &stale, &stale], "over: the server does not accept the password for the realm `corp`");
    check(
        with_login(plain()),
        &["WWW-Authenticate: Basic realm=\"corp\"\r\n"],
        "over: the server wants an authentication that is not offered here",
    );
    // Phones looped 50 million times a day on this one.
    check(with_login(plain()), &[""], "over: the server wants an authentication that is not offered here");
}

#[test]
fn the_password_is_not_shown() {
    let bench = bench();
    assert!(!format!("{:?}", bench.subscriber).contains("secret"));
}
