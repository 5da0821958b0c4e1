//! What goes out, and which NOTIFYs are taken.

use super::bench::*;
use crate::agent::subscriber::{Device, Phase, SubscriberConfig};
use crate::sip::{Name, Transport};

#[test]
fn the_first_subscribe() {
    let device = Device { vendor: "corp.example".to_owned(), model: "a \"b\" \\".to_owned(), version: "1.0".to_owned() };
    let mut bench = Bench::new(SubscriberConfig { device, ..config(Transport::Udp) });
    insta::assert_snapshot!(bench.sent().replace("\r\n", "\n"), @r#"
    SUBSCRIBE sip:anna@corp.example SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.1:5090;rport;branch=z9hG4bK000000002529511d2536478d
    Max-Forwards: 70
    From: <sip:anna@corp.example>;tag=68fba7b149478950
    To: <sip:anna@corp.example>
    Call-ID: 20f4cfa13df98881dba204587fa4dda0
    CSeq: 1 SUBSCRIBE
    Contact: <sip:192.0.2.1:5090>
    Event: ua-profile;profile-type=user;vendor="corp.example";model="a \"b\" \\";version="1.0"
    Accept: application/vnd.dialcast.profile+xml
    Expires: 86400
    Allow: NOTIFY, OPTIONS
    User-Agent: a "b" \/1.0
    Content-Length: 0
    "#);
    let mut bench =
        Bench::new(SubscriberConfig { accept: vec!["a/b".to_owned(), "c/d;q=0.5".to_owned()], expires_s: 0, ..config(Transport::Tcp) });
    let text = bench.sent();
    let fields = [Name::Via, Name::Contact, Name::Accept, Name::Expires].map(|name| field(&text, name));
    insta::assert_snapshot!(fields.join("\n"), @r"
    SIP/2.0/TCP 192.0.2.1:5090;branch=z9hG4bK000000002529511d2536478d
    <sip:192.0.2.1:5090;transport=tcp>
    a/b, c/d;q=0.5
    0
    ");
}

#[test]
fn subscribed_and_kept_so() {
    let mut bench = Bench::new(SubscriberConfig { expires_s: 600, ..config(Transport::Udp) });
    let first = bench.sent();
    bench.answer(&first, 200, "Expires: 600\r\n");
    assert_eq!(bench.events(), "subscribed 600s");
    bench.notify(&first, "Subscription-State: active;expires=600\r\nSIP-ETag: e1\r\n", "<profile/>");
    assert_eq!(short(&bench.sent()), "200");
    assert_eq!(bench.events(), "document application/vnd.dialcast.profile+xml Some(\"e1\") <profile/>");
    // More time is asked for in the dialog, 67 to 90 s before the end.
    let renewal = bench.wait();
    assert!((510.0..533.0).contains(&bench.at()), "{}", bench.at());
    insta::assert_snapshot!(renewal.replace("\r\n", "\n"), @r#"
    SUBSCRIBE sip:192.0.2.9:5060 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.1:5090;rport;branch=z9hG4bK00000000cee1731a6bd7ddcf
    Max-Forwards: 70
    From: <sip:anna@corp.example>;tag=68fba7b149478950
    To: <sip:anna@corp.example>;tag=server
    Call-ID: 20f4cfa13df98881dba204587fa4dda0
    CSeq: 2 SUBSCRIBE
    Contact: <sip:192.0.2.1:5090>
    Event: ua-profile;profile-type=user;vendor="dialcast";model="dialcast";version="0.1.0"
    Accept: application/vnd.dialcast.profile+xml
    Expires: 600
    Allow: NOTIFY, OPTIONS
    User-Agent: dialcast/0.1.0
    Content-Length: 0
    "#);
    bench.answer(&renewal, 200, "Expires: 300\r\n");
    assert_eq!((bench.events().as_str(), bench.subscriber.phase()), ("subscribed 300s", Phase::Open));
    bench.notify(&renewal, "Subscription-State: active;expires=300\r\n", "<profile/>");
    bench.sent();
    assert_eq!(short(&bench.wait()), "SUBSCRIBE 3 expires 600");
}

#[test]
fn the_notify_may_come_first_and_the_answer_never() {
    for answered in [true, false] {
        let mut bench = Bench::new(SubscriberConfig { expires_s: 600, ..config(Transport::Udp) });
        let first = bench.sent();
        bench.notify(&first, "Subscription-State: active;expires=600\r\n", "<profile/>");
        assert_eq!((short(&bench.sent()).as_str(), bench.subscriber.phase()), ("200", Phase::Open));
        if answered {
            bench.answer(&first, 200, "Expires: 600\r\n");
        }
        bench.events();
        // A SUBSCRIBE that is never answered is repeated, and then its failure is no news.
        bench.pass(100.0);
        while let Some(again) = bench.next() {
            assert!(!answered);
            assert_eq!(again.bytes.as_ref(), first.as_bytes());
        }
        assert_eq!((bench.events().as_str(), bench.subscriber.phase()), ("", Phase::Open));
    }
}

#[test]
fn an_answer_that_never_came_does_not_spoil_the_renewal() {
    let mut bench = Bench::new(SubscriberConfig { expires_s: 40, ..config(Transport::Udp) });
    let first = bench.sent();
    bench.notify(&first, "Subscription-State: active;expires=40\r\n", "");
    bench.pass(31.0);
    assert_eq!(bench.subscriber.phase(), Phase::Renewing);
    bench.events();
    // 64·T1 after the first SUBSCRIBE.
    bench.pass(2.0);
    assert_eq!((bench.events().as_str(), bench.subscriber.phase()), ("", Phase::Renewing));
}

#[test]
fn route_set_and_target_come_from_the_notify() {
    let mut bench = Bench::new(SubscriberConfig { expires_s: 600, ..config(Transport::Udp) });
    let first = bench.sent();
    bench.answer(&first, 200, "Expires: 600\r\n");
    let route = "Record-Route: <sip:192.0.2.8:5070;lr>, <sip:192.0.2.7;lr>\r\nSubscription-State: active;expires=600\r\n";
    bench.notify(&first, route, "");
    let answer = bench.sent();
    assert!(answer.contains("Record-Route: <sip:192.0.2.8:5070;lr>, <sip:192.0.2.7;lr>\r\n"), "{answer}");
    let moved = bench
        .notify_text(&first, "Subscription-State: active;expires=600\r\n", "")
        .replace(&format!("<sip:{SERVER}>"), "<sip:n@192.0.2.6:5080>");
    bench.receive(&moved);
    bench.sent();
    let renewal = bench.wait();
    let shown = [renewal.lines().next().unwrap().to_owned(), field(&renewal, Name::Route)].join("\n");
    insta::assert_snapshot!(shown, @r"
    SUBSCRIBE sip:n@192.0.2.6:5080 SIP/2.0
    <sip:192.0.2.8:5070;lr>
    ");
}

/// Answers to NOTIFYs that are changed by `change`, in a subscription that has seen one NOTIFY.
#[track_caller]
fn check(change: impl Fn(String) -> String, expect: &str) {
    let mut bench = Bench::new(SubscriberConfig { expires_s: 600, ..config(Transport::Udp) });
    let first = bench.sent();
    for _ in 0..2 {
        bench.notify(&first, "Subscription-State: active;expires=600\r\n", "");
        bench.sent();
    }
    bench.events();
    let text = bench.notify_text(&first, "Subscription-State: active;expires=600\r\n", "<profile/>");
    bench.receive(&change(text));
    let answer = bench.sent();
    let told = [Name::Allow, Name::AllowEvents, Name::Accept].map(|name| field(&answer, name)).into_iter().find(|value| value != "-");
    let extra = told.map(|value| format!(" {value}")).unwrap_or_default();
    assert_eq!(format!("{}{extra}", short(&answer)), expect);
    assert_eq!(bench.events().is_empty(), !expect.starts_with("200"), "an event for a NOTIFY that was taken, and for no other");
    assert_eq!(bench.subscriber.phase(), Phase::Open);
}

#[test]
fn which_notifys_are_taken() {
    check(|text| text, "200");
    check(|text| text.replace("Event: ua-profile", "o: ua-profile;effective-by=0"), "200");
    check(|text| text.replace("tag=server", "tag=other"), "481");
    check(|text| text.replace("Call-ID: ", "Call-ID: x"), "481");
    check(|text| text.replace(">;tag=", ">;tag=x"), "481");
    check(|text| text.replace("Event: ua-profile", "Event: ua-profile;id=1"), "481");
    check(|text| text.replace("CSeq: 3", "CSeq: 2"), "500");
    check(|text| text.replace("CSeq: 3", "CSeq: 1"), "500");
    check(|text| text.replace("CSeq: 3", "CSeq: 90000"), "200");
    check(|text| text.replace("Event: ua-profile\r\n", ""), "489 ua-profile");
    check(|text| text.replace("Event: ua-profile", "Event: presence"), "489 ua-profile");
    check(|text| text.replace("Subscription-State", "X-State"), "400");
    check(|text| text.replace("vnd.dialcast.profile+xml", "sdp"), "415 application/vnd.dialcast.profile+xml");
    check(|text| text.replace("NOTIFY", "MESSAGE"), "405 NOTIFY, OPTIONS");
    check(|text| text.replace("NOTIFY sip:", "NOTIFY tel:"), "416");
    check(|text| text.replace("Max-Forwards", "Require: x\r\nMax-Forwards"), "420");
    check(|text| text.replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"), "505");
}

#[test]
fn options_is_answered() {
    let mut bench = Bench::open(600);
    bench.receive(&format!("OPTIONS sip:{PHONE} SIP/2.0\r\nVia: SIP/2.0/UDP {SERVER};branch=z9hG4bKo\r\nFrom: <sip:x>;tag=1\r\nTo: <sip:y>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\n\r\n"));
    assert_eq!(short(&bench.sent()), "200");
    bench.receive("\r\n\r\n");
    bench.receive("nonsense");
    bench.silent();
}

#[test]
fn a_notify_that_comes_twice_is_answered_twice_and_taken_once() {
    let mut bench = Bench::udp();
    let first = bench.sent();
    let text = bench.notify_text(&first, "Subscription-State: active;expires=600\r\n", "<profile/>");
    bench.receive(&text);
    let answer = bench.sent();
    bench.receive(&text);
    assert_eq!(bench.sent(), answer);
    assert_eq!(bench.events().matches("document").count(), 1);
}

#[test]
fn empty_documents_and_none() {
    let mut bench = Bench::open(600);
    let ask = bench.ask.clone();
    let typed = bench.notify_text(&ask, "Content-Type: application/vnd.dialcast.profile+xml\r\nSubscription-State: active\r\n", "");
    bench.receive(&typed);
    assert_eq!(bench.events(), "document application/vnd.dialcast.profile+xml None ");
    bench.notify(&ask, "Subscription-State: pending;expires=50\r\n", "");
    assert_eq!(bench.events(), "nothing");
}

#[test]
fn a_fork_has_one_winner() {
    let mut bench = Bench::udp();
    let first = bench.sent();
    bench.notify(&first, "Subscription-State: active;expires=600\r\n", "");
    assert_eq!(short(&bench.sent()), "200");
    let other = bench.notify_text(&first, "Subscription-State: active;expires=600\r\n", "").replace("tag=server", "tag=fork");
    bench.receive(&other);
    assert_eq!(short(&bench.sent()), "481");
}
