//! The bytes of every answer.

use super::bench::{PHONE, only, shown};
use super::{Ask, Bench};
use crate::subscription::{AuthMode, NotifierConfig};

/// What a request is answered with, when nothing but the answer comes.
fn answer(ask: &Ask) -> String {
    only(Bench::new().ask(ask)).shown()
}

/// The status line and the fields that are not copied from the request.
fn said(ask: &Ask) -> String {
    let sent = only(Bench::new().ask(ask));
    let copied = ["Via", "From", "To", "Call-ID", "CSeq", "Content-Length"];
    let head = sent.text.split("\r\n\r\n").next().unwrap();
    let lines = head.split("\r\n").filter(|line| !copied.iter().any(|name| line.split(':').next() == Some(name)));
    lines.collect::<Vec<_>>().join(" | ")
}

#[test]
fn accepted() {
    insta::assert_snapshot!(shown(&Bench::new().ask(&Ask::subscribe())), @r#"
    → UDP 192.0.2.1:5060
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=DIALOG
    Call-ID: call-1@192.0.2.1
    CSeq: 1 SUBSCRIBE
    Contact: <sip:192.0.2.9:5060>
    Expires: 300
    Content-Length: 0

    → UDP 192.0.2.1:5060
    NOTIFY sip:anna@192.0.2.1:5060 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=BRANCH
    Max-Forwards: 70
    From: <sip:anna@corp.example>;tag=DIALOG
    To: Anna <sip:anna@corp.example>;tag=phone
    Call-ID: call-1@192.0.2.1
    Contact: <sip:192.0.2.9:5060>
    Event: ua-profile
    CSeq: 1 NOTIFY
    Subscription-State: active;expires=300
    Content-Type: application/vnd.dialcast.profile+xml
    Content-Length: 13

    <anna v="1"/>
    "#);
}

#[test]
fn fetched() {
    insta::assert_snapshot!(shown(&Bench::new().ask(&Ask::subscribe().with("Expires", "0"))), @r#"
    → UDP 192.0.2.1:5060
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=DIALOG
    Call-ID: call-1@192.0.2.1
    CSeq: 1 SUBSCRIBE
    Contact: <sip:192.0.2.9:5060>
    Expires: 0
    Content-Length: 0

    → UDP 192.0.2.1:5060
    NOTIFY sip:anna@192.0.2.1:5060 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=BRANCH
    Max-Forwards: 70
    From: <sip:anna@corp.example>;tag=DIALOG
    To: Anna <sip:anna@corp.example>;tag=phone
    Call-ID: call-1@192.0.2.1
    Contact: <sip:192.0.2.9:5060>
    Event: ua-profile
    CSeq: 1 NOTIFY
    Subscription-State: terminated;reason=timeout
    Content-Type: application/vnd.dialcast.profile+xml
    Content-Length: 13

    <anna v="1"/>
    "#);
}

#[test]
fn options() {
    insta::assert_snapshot!(answer(&Ask::subscribe().method("OPTIONS").line("OPTIONS sip:192.0.2.9 SIP/2.0")), @r"
    → UDP 192.0.2.1:5060
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=STATELESS
    Call-ID: call-1@192.0.2.1
    CSeq: 1 OPTIONS
    Allow: SUBSCRIBE, OPTIONS, CANCEL
    Accept: application/vnd.dialcast.profile+xml
    Allow-Events: ua-profile
    Content-Length: 0
    ");
}

#[test]
fn refused_for_its_form() {
    // RFC 3261 §21.4.1, §21.5.6: what is broken is counted and answered where it can be.
    let mut bench = Bench::new();
    let text = Ask::subscribe().text();
    let mut check = |text: &str| shown(&bench.message(PHONE, None, text.as_bytes()));
    insta::assert_snapshot!(check(&text.replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia")), @r"
    → UDP 192.0.2.1:5060
    SIP/2.0 505 Version Not Supported
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=STATELESS
    Call-ID: call-1@192.0.2.1
    CSeq: 1 SUBSCRIBE
    Content-Length: 0
    ");
    insta::assert_snapshot!(check(&text.replace("CSeq: 1 SUBSCRIBE\r\n", "")), @r"
    → UDP 192.0.2.1:5060
    SIP/2.0 400 Bad Request
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=STATELESS
    Call-ID: call-1@192.0.2.1
    Content-Length: 0
    ");
    insta::assert_snapshot!(check(&text.replace("CSeq: 1 SUBSCRIBE", "CSeq: 1 NOTIFY")), @r"
    → UDP 192.0.2.1:5060
    SIP/2.0 400 Bad Request
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=STATELESS
    Call-ID: call-1@192.0.2.1
    CSeq: 1 NOTIFY
    Content-Length: 0
    ");
    insta::assert_snapshot!(check("hello"), @"");
    insta::assert_snapshot!(check("\r\n\r\n"), @"");
    insta::assert_snapshot!(check("SIP/2.0 200 OK\r\n\r\n"), @"");
    assert_eq!((bench.notifier.counters().malformed, bench.notifier.counters().keepalives, bench.notifier.counters().received), (5, 1, 6));
}

#[test]
fn refused_for_what_it_is() {
    let ask = Ask::subscribe;
    insta::assert_snapshot!(said(&ask().method("PUBLISH")), @"SIP/2.0 405 Method Not Allowed | Allow: SUBSCRIBE, OPTIONS, CANCEL");
    insta::assert_snapshot!(said(&ask().method("NOTIFYX")), @"SIP/2.0 501 Not Implemented | Allow: SUBSCRIBE, OPTIONS, CANCEL");
    insta::assert_snapshot!(said(&ask().line("SUBSCRIBE tel:+4930123 SIP/2.0")), @"SIP/2.0 416 Unsupported URI Scheme");
    insta::assert_snapshot!(said(&ask().with("Require", "timer, 100rel")), @"SIP/2.0 420 Bad Extension | Unsupported: timer, 100rel");
    insta::assert_snapshot!(said(&ask().with("Event", "presence")), @"SIP/2.0 489 Bad Event | Allow-Events: ua-profile");
    insta::assert_snapshot!(said(&ask().without("Event")), @"SIP/2.0 489 Bad Event | Allow-Events: ua-profile");
    insta::assert_snapshot!(said(&ask().with("Accept", "text/plain, application/*;q=0")), @"SIP/2.0 406 Not Acceptable");
    insta::assert_snapshot!(said(&ask().with("Expires", "59")), @"SIP/2.0 423 Interval Too Brief | Min-Expires: 60");
    insta::assert_snapshot!(said(&ask().with("Expires", "soon")), @"SIP/2.0 400 Bad Request");
    insta::assert_snapshot!(said(&ask().without("Contact")), @"SIP/2.0 400 Bad Request");
    insta::assert_snapshot!(said(&ask().with("Contact", "<tel:+4930123>")), @"SIP/2.0 400 Bad Request");
    insta::assert_snapshot!(said(&ask().with("Contact", "<sip:224.0.1.75>")), @"SIP/2.0 400 Bad Request");
    insta::assert_snapshot!(said(&ask().with("Record-Route", "<sip:0.0.0.0;lr>")), @"SIP/2.0 400 Bad Request");
    insta::assert_snapshot!(said(&ask().with("Contact", "<sips:anna@192.0.2.1>")), @"SIP/2.0 400 Bad Request");
    insta::assert_snapshot!(said(&ask().with("Contact", "<sip:anna@192.0.2.1;transport=ws>")), @"SIP/2.0 400 Bad Request");
    insta::assert_snapshot!(said(&ask().with("Contact", &format!("<sip:{}@192.0.2.1>", "x".repeat(8000)))), @"SIP/2.0 513 Message Too Large");
}

#[test]
fn refused_for_whom_it_is_about() {
    let ask = Ask::subscribe;
    // RFC 6080 §6.6: a user who is not known.
    insta::assert_snapshot!(said(&ask().user("eve")), @"SIP/2.0 403 Forbidden");
    let mut bench = Bench::new();
    bench.notifier.withhold(["sip:eve@corp.example".parse().unwrap()].into());
    let later = only(bench.ask(&ask().user("eve")));
    assert!(later.start() == "SIP/2.0 503 Service Unavailable" && later.text.contains("Retry-After: "), "{later:?}");
    // RFC 6080 §5.1.4: From is the user as well.
    insta::assert_snapshot!(said(&ask().with("From", "<sip:ben@corp.example>;tag=phone")), @"SIP/2.0 403 Forbidden");
    // Profile types that are not served.
    insta::assert_snapshot!(said(&ask().with("Event", "ua-profile;profile-type=device")), @"SIP/2.0 404 Not Found");
    insta::assert_snapshot!(said(&ask().with("Event", "ua-profile;profile-type=\"application\"")), @"SIP/2.0 404 Not Found");
    insta::assert_snapshot!(said(&ask().line("SUBSCRIBE sip:_sipuaconfig.corp.example SIP/2.0").with("Event", "ua-profile")), @"SIP/2.0 200 OK | Contact: <sip:192.0.2.9:5060> | Expires: 300");
    insta::assert_snapshot!(said(&ask().line("SUBSCRIBE sip:MAC%3a00135E874B49@corp.example SIP/2.0").with("Event", "ua-profile")), @"SIP/2.0 404 Not Found");
    insta::assert_snapshot!(said(&ask().line("SUBSCRIBE sip:001565f4f9e1@corp.example SIP/2.0").with("Event", "ua-profile")), @"SIP/2.0 404 Not Found");
}

#[test]
fn event_parameters_are_tolerated() {
    for event in
        ["ua-profile", "UA-Profile;profile-type=User", "ua-profile;profile-type=\"user\";vendor=\"a;b\"", "ua-profile ; effective-by=0"]
    {
        let sent = Bench::new().ask(&Ask::subscribe().with("Event", event));
        assert_eq!((sent[0].start(), sent[1].field("Event")), ("SIP/2.0 200 OK", Some("ua-profile")), "{event}");
    }
    // RFC 6665 §8.2.1.
    let sent = Bench::new().ask(&Ask::subscribe().with("Event", "ua-profile;profile-type=user;id=7"));
    assert_eq!(sent[1].field("Event"), Some("ua-profile;id=7"));
}

#[test]
fn ways_to_write_the_user() {
    for line in ["SUBSCRIBE sips:Anna@CORP.example SIP/2.0", "SUBSCRIBE sip:anna@corp.example:5060;user=phone SIP/2.0"] {
        assert_eq!(Bench::new().ask(&Ask::subscribe().line(line))[0].start(), "SIP/2.0 200 OK", "{line}");
    }
    let from = Ask::subscribe().with("From", "sip:anna@corp.example:5060;tag=phone");
    assert_eq!(Bench::new().ask(&from)[0].start(), "SIP/2.0 200 OK");
}

#[test]
fn durations() {
    let mut bench = Bench::with(NotifierConfig { auth: AuthMode::Open, expires_jitter_percent: 0, ..NotifierConfig::default() });
    let mut check = |ask: Ask, user: &str, expect: &str| {
        bench.publish(user, user);
        let sent = bench.ask(&ask.user(user));
        assert_eq!(sent[0].field("Expires"), Some(expect));
        assert_eq!(sent[1].field("Subscription-State"), Some(format!("active;expires={expect}").as_str()));
    };
    check(Ask::subscribe().without("Expires"), "default", "86400");
    check(Ask::subscribe().with("Expires", "60"), "least", "60");
    check(Ask::subscribe().with("Expires", "4294967295"), "most", "86400");
    check(Ask::subscribe().with("Expires", "3600"), "hour", "3600");
}

#[test]
fn durations_are_spread() {
    let mut bench = Bench::new();
    let granted: Vec<u32> = (0..20)
        .map(|n| {
            let user = format!("user{n}");
            bench.publish(&user, &user);
            bench.ask(&Ask::subscribe().with("Expires", "3600").user(&user))[0].field("Expires").unwrap().parse().unwrap()
        })
        .collect();
    assert!(granted.iter().all(|s| (3240..=3600).contains(s)), "{granted:?}");
    assert!(granted.iter().collect::<std::collections::BTreeSet<_>>().len() > 10, "{granted:?}");
}

#[test]
fn not_ready_yet() {
    let mut bench = Bench::with(NotifierConfig { auth: AuthMode::Open, ready: false, ..NotifierConfig::default() });
    let busy = only(bench.ask(&Ask::subscribe().user("eve")));
    assert_eq!(busy.start(), "SIP/2.0 503 Service Unavailable");
    assert!((5..=30).contains(&busy.field("Retry-After").unwrap().parse::<u32>().unwrap()));
    bench.notifier.set_ready(true);
    assert_eq!(only(bench.ask(&Ask::subscribe().user("eve").branch("2").with("CSeq", "2 SUBSCRIBE"))).start(), "SIP/2.0 403 Forbidden");
}

#[test]
fn nat_and_old_phones() {
    // RFC 3581 §4: to where it came from, at the port it came from.
    let mut bench = Bench::new();
    let sent = bench.message("198.51.100.7:40000", None, Ask::subscribe().text().as_bytes());
    assert_eq!(sent[0].to(), "UDP 198.51.100.7:40000");
    assert_eq!(sent[0].field("Via"), Some("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;rport=40000;received=198.51.100.7"));
    // The NOTIFY goes to the Contact all the same.
    assert_eq!(sent[1].to(), "UDP 192.0.2.1:5060");
    // RFC 3261 §18.2.2: without rport, to the port of sent-by.
    let old = Ask::subscribe().with("Via", "SIP/2.0/UDP 192.0.2.1:5070").with("From", "<sip:anna@corp.example>").with("Call-ID", "old");
    let sent = bench.message("192.0.2.1:5059", None, old.text().as_bytes());
    assert_eq!((sent[0].start(), sent[0].to().as_str()), ("SIP/2.0 200 OK", "UDP 192.0.2.1:5070"));
    // The dialog of a phone without a tag is found again.
    let again = old.again(&sent[0].tag(), 2).with("Via", "SIP/2.0/UDP 192.0.2.1:5070").with("From", "<sip:anna@corp.example>");
    assert_eq!(only(bench.ask(&again)).start(), "SIP/2.0 200 OK");
}

#[test]
fn what_needs_no_answer() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(&Ask::subscribe().method("ACK")).len(), 0);
    let stray = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK0000000000000000000000aa\r\nFrom: <sip:a@x>;tag=1\r\n\
        To: <sip:b@x>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 NOTIFY\r\n\r\n";
    assert_eq!(bench.message(PHONE, None, stray.as_bytes()).len(), 0);
    assert_eq!(bench.notifier.counters().stray_responses, 1);
}

#[test]
fn cancelled() {
    let mut bench = Bench::new();
    let cancel = Ask::subscribe().method("CANCEL");
    assert_eq!(only(bench.ask(&cancel)).start(), "SIP/2.0 481 Call/Transaction Does Not Exist");
    bench.ask(&Ask::subscribe());
    // RFC 3261 §9.2: there is nothing left to cancel, but the request was there.
    assert_eq!(only(bench.ask(&cancel)).start(), "SIP/2.0 200 OK");
    assert_eq!(bench.notifier.subscriptions(), 1);
}

#[test]
fn refused_for_where_it_stands() {
    let config = NotifierConfig { auth: AuthMode::Open, server_transactions_max: 3, ..NotifierConfig::default() };
    let mut bench = Bench::with(config);
    let tag = bench.subscribed();
    let mut check = |ask: Ask| only(bench.ask(&ask)).shown();
    insta::assert_snapshot!(check(Ask::subscribe().branch("merged")), @r"
    → UDP 192.0.2.1:5060
    SIP/2.0 482 Loop Detected
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-merged;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=STATELESS
    Call-ID: call-1@192.0.2.1
    CSeq: 1 SUBSCRIBE
    Content-Length: 0
    ");
    insta::assert_snapshot!(check(Ask::subscribe().again("000000000000000000000000", 2)), @r"
    → UDP 192.0.2.1:5060
    SIP/2.0 481 Call/Transaction Does Not Exist
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-again-2;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=DIALOG
    Call-ID: call-1@192.0.2.1
    CSeq: 2 SUBSCRIBE
    Content-Length: 0
    ");
    insta::assert_snapshot!(check(Ask::subscribe().again(&tag, 0)), @r"
    → UDP 192.0.2.1:5060
    SIP/2.0 500 Server Internal Error
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-again-0;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=DIALOG
    Call-ID: call-1@192.0.2.1
    CSeq: 0 SUBSCRIBE
    Content-Length: 0
    ");
    insta::assert_snapshot!(check(Ask::subscribe().again(&tag, 3)), @r"
    → UDP 192.0.2.1:5060
    SIP/2.0 503 Service Unavailable
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-again-3;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=DIALOG
    Call-ID: call-1@192.0.2.1
    CSeq: 3 SUBSCRIBE
    Retry-After: 23
    Content-Length: 0
    ");
}
