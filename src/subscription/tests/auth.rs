//! Who is let in.

use std::time::Duration;

use super::bench::{PHONE, Sent, only};
use super::{Ask, Bench};
use crate::sip::digest::{Algorithm, Answer, Challenge, Credentials as Proof, Ha1};
use crate::subscription::{Account, Credentials, NotifierConfig};

fn account(user: &str) -> Account {
    let secret = |algorithm| Some(Ha1::new(algorithm, user, "corp.example", "secret"));
    Account { aor: Bench::aor(user), sha256: secret(Algorithm::Sha256), md5: secret(Algorithm::Md5) }
}

fn bench(config: NotifierConfig) -> Bench {
    let mut bench = Bench::with(config);
    let mut credentials = Credentials::new("corp.example");
    credentials.insert("anna", account("anna"));
    credentials.insert("ben", account("ben"));
    bench.notifier.set_credentials(credentials);
    bench
}

/// The value of Authorization that answers the nth challenge of a 401.
fn proof(challenged: &Sent, which: usize, user: &str, password: &str, count: u32) -> String {
    assert_eq!(challenged.start(), "SIP/2.0 401 Unauthorized");
    let offered: Vec<&str> = challenged.text.lines().filter_map(|line| line.strip_prefix("WWW-Authenticate: ")).collect();
    let challenge = Challenge::parse(offered[which]).unwrap();
    let secret = Ha1::new(challenge.algorithm, user, &challenge.realm, password);
    let answer = Answer { username: user, method: "SUBSCRIBE", uri: "sip:anna@corp.example", cnonce: "c", nonce_count: count };
    Proof::answer(&challenge, &secret, &answer).unwrap().to_string()
}

/// The next request of the same phone.
fn next(n: u32) -> Ask {
    Ask::subscribe().branch(&format!("auth-{n}")).with("CSeq", &format!("{n} SUBSCRIBE"))
}

fn stale(sent: &Sent) -> bool {
    assert_eq!(sent.start(), "SIP/2.0 401 Unauthorized");
    sent.field("WWW-Authenticate").expect("a challenge in every 401").contains("stale=true")
}

/// A challenge for a realm that is not known yet would be answered for the wrong one, and the phone would take its password for wrong.
#[test]
fn nobody_is_challenged_before_the_accounts_are_known() {
    let mut bench = Bench::with(NotifierConfig { ready: false, ..NotifierConfig::default() });
    assert_eq!(only(bench.ask(&next(1))).start(), "SIP/2.0 503 Service Unavailable");
    assert_eq!(only(bench.ask(&next(2).again("0", 2))).start(), "SIP/2.0 503 Service Unavailable");
}

#[test]
fn challenged_first() {
    let mut bench = bench(NotifierConfig::default());
    let challenge = only(bench.ask(&next(1)));
    insta::assert_snapshot!(challenge.shown(), @r#"
    → UDP 192.0.2.1:5060
    SIP/2.0 401 Unauthorized
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-auth-1;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=STATELESS
    Call-ID: call-1@192.0.2.1
    CSeq: 1 SUBSCRIBE
    WWW-Authenticate: Digest realm="corp.example", nonce="NONCE", algorithm=SHA-256, qop="auth"
    Content-Length: 0
    "#);
    assert!(challenge.text.len() <= next(1).text().len());
    // A request without credentials leaves nothing behind: the same again is challenged anew.
    let again = only(bench.ask(&next(1)));
    assert_eq!(again.tag(), challenge.tag(), "RFC 3261 §8.2.7: the same tag for the same request");
    assert_ne!(again.field("WWW-Authenticate"), challenge.field("WWW-Authenticate"));
    let sent = bench.ask(&next(2).with("Authorization", &proof(&challenge, 0, "anna", "secret", 1)));
    assert_eq!((sent[0].start(), sent[1].body()), ("SIP/2.0 200 OK", "<anna v=\"1\"/>"));
    assert_eq!((bench.notifier.counters().challenged, bench.notifier.subscriptions()), (2, 1));
}

#[test]
fn wrong() {
    let mut bench = bench(NotifierConfig::default());
    let challenge = only(bench.ask(&next(1)));
    let mut n = 1;
    let mut check = |authorization: &str| {
        n += 1;
        assert!(!stale(&only(bench.ask(&next(n).with("Authorization", authorization)))), "{authorization}");
    };
    check(&proof(&challenge, 0, "anna", "guess", 1));
    check(&proof(&challenge, 0, "eve", "secret", 1));
    check(&proof(&challenge, 0, "anna", "secret", 1).replace("realm=\"corp.example\"", "realm=\"elsewhere\""));
    check(&proof(&challenge, 0, "anna", "secret", 1).replace("SHA-256", "MD5"));
    check("Basic YW5uYTpzZWNyZXQ=");
    check("Digest");
    // Without qop nobody counts, so that anybody could send it again.
    let proof = proof(&challenge, 0, "anna", "secret", 1).replace(", qop=auth, nc=00000001, cnonce=\"c\"", "");
    check(&proof);
    assert_eq!(bench.notifier.subscriptions(), 0);
    assert_eq!(bench.notifier.counters().wrong_credentials, 3);
}

#[test]
fn replayed_and_old() {
    let mut bench = bench(NotifierConfig::default());
    let challenge = only(bench.ask(&next(1)));
    let first = proof(&challenge, 0, "anna", "secret", 1);
    assert_eq!(bench.ask(&next(2).with("Authorization", &first))[0].start(), "SIP/2.0 200 OK");
    // The same request again is a retransmission; in another, the proof is used up.
    assert_eq!(only(bench.ask(&next(2).with("Authorization", &first))).start(), "SIP/2.0 200 OK");
    let replay = next(3).with("Call-ID", "other").with("Authorization", &first);
    assert!(stale(&only(bench.ask(&replay))));
    // From another address the nonce is not good: whoever answers shows that he is where he says.
    let second = next(4).with("Call-ID", "other").with("Authorization", &proof(&challenge, 0, "anna", "secret", 2));
    assert!(stale(&only(bench.message("203.0.113.66:5060", None, second.text().as_bytes()))));
    assert_eq!(bench.ask(&second)[0].start(), "SIP/2.0 200 OK");
    bench.pass(Duration::from_secs(301));
    let late = next(5).with("Call-ID", "late").with("Authorization", &proof(&challenge, 0, "anna", "secret", 3));
    assert!(stale(&only(bench.ask(&late))));
    assert_eq!(bench.notifier.counters().stale_credentials, 3);
}

#[test]
fn only_what_is_ones_own() {
    let mut bench = bench(NotifierConfig::default());
    let challenge = only(bench.ask(&next(1)));
    let bens = next(2).with("Authorization", &proof(&challenge, 0, "ben", "secret", 1));
    assert_eq!(only(bench.ask(&bens)).start(), "SIP/2.0 403 Forbidden");
    let mut ask = |n, authorization: &str| bench.ask(&next(n).with("Authorization", authorization));
    let sent = ask(3, &proof(&challenge, 0, "anna", "secret", 2));
    let tag = sent[0].tag();
    // A refresh and an end are the identity's own as well.
    for (cseq, expires) in [(4, "300"), (5, "0")] {
        let bens = Ask::subscribe().again(&tag, cseq).with("Expires", expires);
        let bens = bens.with("Authorization", &proof(&challenge, 0, "ben", "secret", cseq));
        assert_eq!(only(bench.ask(&bens)).start(), "SIP/2.0 403 Forbidden");
        assert!(!stale(&only(bench.ask(&Ask::subscribe().again(&tag, cseq + 10).with("Expires", expires)))), "nor without any proof");
    }
    assert_eq!(bench.notifier.subscriptions(), 1);
    let own = Ask::subscribe().again(&tag, 20).with("Authorization", &proof(&challenge, 0, "anna", "secret", 20));
    assert_eq!(bench.ask(&own)[0].start(), "SIP/2.0 200 OK");
}

#[test]
fn md5_where_it_is_allowed() {
    let mut bench = bench(NotifierConfig { allow_md5: true, ..NotifierConfig::default() });
    let challenges =
        |sent: &Sent| sent.text.lines().filter(|line| line.starts_with("WWW-Authenticate")).map(str::to_owned).collect::<Vec<_>>();
    // Whoever has only one of the secrets is asked for it, however short the request; the answer is no amplifier.
    let (short, request) = (only(bench.ask(&next(10))), next(10));
    assert_eq!(challenges(&short).len(), 2, "{short:?}");
    assert!(short.text.len() <= 2 * request.text().len(), "{short:?}");
    let challenge = only(bench.ask(&next(1)));
    let algorithms = challenges(&challenge);
    assert!(algorithms[0].contains("SHA-256") && algorithms[1].contains("MD5") && algorithms.len() == 2, "{algorithms:?}");
    let sent = bench.ask(&next(2).with("Authorization", &proof(&challenge, 1, "anna", "secret", 1)));
    assert_eq!(sent[0].start(), "SIP/2.0 200 OK");
}

#[test]
fn nobody_learns_who_exists() {
    let mut bench = bench(NotifierConfig::default());
    let known = only(bench.ask(&next(1)));
    let unknown = only(bench.ask(&Ask::subscribe().user("eve!")));
    assert_eq!(known.start(), unknown.start());
}

#[test]
fn nothing_larger_than_the_request_goes_to_a_stranger() {
    let mut bench = bench(NotifierConfig::default());
    let mut seen = Vec::new();
    let requests = [
        Ask::subscribe(),
        Ask::subscribe().without("Accept").without("Max-Forwards"),
        Ask::subscribe().without("Accept").without("Max-Forwards").without("Expires").with("Event", "ua-profile"),
        Ask::subscribe().method("OPTIONS"),
        Ask::subscribe().method("OPTIONS").without("Accept").without("Contact").without("Event").without("Expires"),
        Ask::subscribe().method("PUBLISH"),
        Ask::subscribe().method("X").without("Accept").without("Contact").without("Event").without("Expires"),
        Ask::subscribe().with("Require", "a,b,c"),
        Ask::subscribe().line("SUBSCRIBE sip:a@x SIP/3.0"),
    ];
    for ask in requests {
        for from in [PHONE, "198.51.100.7:40000"] {
            let sent = bench.message(from, None, ask.text().as_bytes());
            let length = sent.iter().map(|sent| sent.text.len()).sum::<usize>();
            // A challenge may have twice the size (docs/adr/0006), nothing else more than once.
            let times = if sent.first().is_some_and(|sent| sent.start().starts_with("SIP/2.0 401")) { 2 } else { 1 };
            assert!(length <= times * ask.text().len(), "{}{length}", ask.text());
            seen.push(sent.first().map_or("nothing".to_owned(), |sent| sent.start().to_owned()));
        }
    }
    insta::assert_snapshot!(seen.join("\n"), @r"
    SIP/2.0 401 Unauthorized
    SIP/2.0 401 Unauthorized
    SIP/2.0 401 Unauthorized
    SIP/2.0 401 Unauthorized
    SIP/2.0 401 Unauthorized
    SIP/2.0 401 Unauthorized
    SIP/2.0 200 OK
    SIP/2.0 200 OK
    SIP/2.0 200 OK
    SIP/2.0 200 OK
    SIP/2.0 405 Method Not Allowed
    SIP/2.0 405 Method Not Allowed
    nothing
    nothing
    SIP/2.0 420 Bad Extension
    SIP/2.0 420 Bad Extension
    SIP/2.0 505 Version Not Supported
    SIP/2.0 505 Version Not Supported
    ");
}

/// What is nobody's own is for those who are somebody: it says where the STUN servers are, and on which floor a phone stands.
#[test]
fn the_profile_of_the_network_is_for_whoever_has_an_account() {
    let mut bench = bench(NotifierConfig::default());
    let ask = |n| next(n).with("Event", "ua-profile;profile-type=local-network").with("From", "<sip:anonymous@corp.example>;tag=phone");
    let challenge = only(bench.ask(&ask(1)));
    assert_eq!(bench.notifier.subscriptions(), 0);
    let proof = proof(&challenge, 0, "ben", "secret", 1);
    assert_eq!(only(bench.ask(&ask(2).with("Authorization", &proof))).start(), "SIP/2.0 200 OK");
}
