//! What answers and silence lead to.

use super::bench::*;
use crate::agent::subscriber::{Phase, SubscriberConfig};
use crate::sip::transaction::SendError;
use crate::sip::{Name, Transport};

/// The first SUBSCRIBE is answered like this: what the owner hears, and how long until the next try.
#[track_caller]
fn check(status: u16, fields: &str, expect: &str) {
    let mut bench = Bench::udp();
    let first = bench.sent();
    bench.answer(&first, status, fields);
    bench.silent();
    assert_eq!(bench.events(), expect);
    let over = expect.starts_with("over");
    assert_eq!(bench.subscriber.phase(), if over { Phase::Over } else { Phase::Resting });
    // Nothing more after the end; another call after a rest.
    bench.pass(100_000.0);
    match bench.next() {
        None => assert!(over),
        Some(again) => {
            let again = text(&again);
            assert_ne!(field(&again, Name::CallId), field(&first, Name::CallId));
            assert_eq!(short(&again), "SUBSCRIBE 1 expires 86400");
        }
    }
}

#[test]
fn to_the_first_subscribe() {
    check(400, "", "over: the server answered 400 Bad Request");
    check(403, "", "over: the server answered 403 Forbidden");
    check(404, "", "over: the server answered 404 Not Found");
    check(481, "", "over: the server answered 481 Call/Transaction Does Not Exist");
    check(489, "", "over: the server answered 489 Bad Event");
    check(505, "", "over: the server answered 505 Version Not Supported");
    check(603, "", "over: the server answered 603 Decline");
    check(301, "Contact: <sip:other.example>\r\n", "over: the server answered 301: ask sip:192.0.2.9:5060 instead");
    check(503, "Retry-After: 100 (busy)\r\n", "trouble: the server answered 503 Service Unavailable; again in 104s");
    check(480, "", "trouble: the server answered 480 Temporarily Unavailable; again in 33s");
    check(500, "Retry-After: 999999\r\n", "trouble: the server answered 500 Server Internal Error; again in 90089s");
    check(423, "Min-Expires: 60\r\n", "over: the server answered 423 Interval Too Brief");
}

#[test]
fn silence() {
    let mut bench = Bench::udp();
    let first = bench.sent();
    let mut times = Vec::new();
    while bench.subscriber.phase() == Phase::Asking {
        bench.pass(0.1);
        while let Some(again) = bench.next() {
            assert_eq!(again.bytes.as_ref(), first.as_bytes());
            times.push(format!("{:.1}", bench.at()));
        }
    }
    insta::assert_snapshot!(times.join(" "), @"0.5 1.5 3.5 7.5 11.5 15.5 19.5 23.5 27.5 31.5");
    assert_eq!(bench.events(), "trouble: no answer; again in 33s");
    // RFC 6080 §5.3.2: 2^i·64·T1.
    let mut waits = Vec::new();
    for _ in 0..10 {
        while bench.subscriber.phase() == Phase::Resting {
            bench.pass(1.0);
        }
        while bench.subscriber.phase() == Phase::Asking {
            bench.pass(1.0);
        }
        while bench.next().is_some() {}
        let said = bench.events();
        waits.push(said.rsplit(' ').next().unwrap().to_owned());
    }
    insta::assert_snapshot!(waits.join(" "), @"65s 130s 258s 555s 1039s 2080s 4250s 8791s 8458s 8678s");
}

#[test]
fn a_refused_connection() {
    let mut bench = Bench::new(config(Transport::Tcp));
    let transmit = bench.next().unwrap();
    bench.fail(&transmit, SendError::Refused);
    assert_eq!(bench.events(), "trouble: not sent: connection refused; again in 33s");
}

#[test]
fn granted_but_no_notify() {
    let mut bench = Bench::udp();
    let first = bench.sent();
    bench.pass(0.3);
    bench.answer(&first, 200, "Expires: 600\r\n");
    bench.pass(31.9);
    assert_eq!(bench.events(), "subscribed 600s");
    bench.pass(0.2);
    assert_eq!(bench.events(), "trouble: the subscription was granted, but no NOTIFY arrived; again in 33s");
}

#[test]
fn a_longer_duration_is_demanded() {
    let mut bench = Bench::new(SubscriberConfig { expires_s: 5, ..config(Transport::Udp) });
    let first = bench.sent();
    bench.answer(&first, 423, "Min-Expires: 60\r\n");
    let second = bench.sent();
    assert_eq!(short(&second), "SUBSCRIBE 2 expires 60");
    assert_eq!(field(&second, Name::CallId), field(&first, Name::CallId));
    bench.answer(&second, 423, "Min-Expires: 60\r\n");
    assert_eq!(bench.events(), "over: the server answered 423 Interval Too Brief");
}

#[test]
fn the_server_never_grants_more_than_was_asked_for() {
    let mut bench = Bench::new(SubscriberConfig { expires_s: 600, ..config(Transport::Udp) });
    let first = bench.sent();
    bench.answer(&first, 202, "Expires: 7200\r\n");
    bench.notify(&first, "Subscription-State: active;expires=7200\r\n", "");
    bench.sent();
    assert_eq!(bench.events(), "subscribed 600s\nnothing");
    assert_eq!(short(&bench.wait()), "SUBSCRIBE 2 expires 600");
}

#[test]
fn a_renewal_that_fails_is_tried_again_until_the_time_is_over() {
    let mut bench = Bench::open(600);
    let renewal = bench.wait();
    bench.answer(&renewal, 500, "");
    let said = bench.events();
    assert!(said.starts_with("trouble: the server answered 500 Server Internal Error; again in 3"), "{said}");
    assert_eq!(bench.subscriber.phase(), Phase::Open);
    assert_eq!(short(&bench.wait()), "SUBSCRIBE 3 expires 600");
    // Old requests may still be repeated; the new call is another.
    let anew = loop {
        let text = bench.wait();
        if field(&text, Name::CallId) != field(&renewal, Name::CallId) {
            break text;
        }
    };
    assert_eq!((short(&anew).as_str(), bench.at().round()), ("SUBSCRIBE 1 expires 600", 600.0));
    // That the old ones are never answered is no news to the new one.
    assert!(bench.events().ends_with("trouble: the server lost the subscription; again in 0s"));
    bench.pass(31.0);
    assert_eq!((bench.events().as_str(), bench.subscriber.phase()), ("", Phase::Asking));
}

#[test]
fn a_renewal_of_what_the_server_forgot_is_a_new_subscription() {
    let mut bench = Bench::open(600);
    let renewal = bench.wait();
    bench.answer(&renewal, 481, "");
    let anew = bench.sent();
    assert_eq!(short(&anew), "SUBSCRIBE 1 expires 600");
    assert_eq!(bench.events(), "trouble: the server lost the subscription; again in 0s");
    // What belongs to the old dialog is unknown now.
    bench.notify(&renewal, "Subscription-State: active\r\n", "");
    assert_eq!(short(&bench.sent()), "481");
    bench.answer(&anew, 200, "Expires: 600\r\n");
    bench.notify(&anew, "Subscription-State: active\r\n", "<profile/>");
    assert_eq!(short(&bench.sent()), "200");
    assert_eq!(bench.subscriber.phase(), Phase::Open);
}

#[test]
fn a_user_who_is_gone_ends_it() {
    let mut bench = Bench::open(600);
    let renewal = bench.wait();
    bench.answer(&renewal, 404, "");
    assert_eq!(bench.events(), "over: the server answered 404 Not Found");
    bench.pass(10_000.0);
    bench.silent();
}

#[test]
fn answers_that_are_not_ours() {
    let mut bench = Bench::udp();
    let first = bench.sent();
    bench.answer(&first.replace("branch=z9hG4bK", "branch=z9hG4bKx"), 200, "");
    bench.answer(&first.replace("SUBSCRIBE", "NOTIFY"), 200, "");
    bench.answer(&first, 200, "Via: SIP/2.0/UDP elsewhere\r\n");
    bench.answer(&first, 180, "");
    assert_eq!((bench.events().as_str(), bench.subscriber.phase()), ("", Phase::Asking));
    bench.answer(&first, 403, "");
    bench.answer(&first, 200, "");
    assert_eq!(bench.events(), "over: the server answered 403 Forbidden");
}
