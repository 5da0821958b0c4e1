//! How subscriptions end: by the server, by the owner, by themselves.

use super::bench::*;
use crate::agent::subscriber::{Phase, SubscriberConfig};
use crate::sip::{Name, Transport};

/// The server ends a subscription that has stood for a while: what the owner hears, and what is sent at once.
#[track_caller]
fn check(reason: &str, expect: &str, at_once: bool) {
    let mut bench = Bench::open(86_400);
    bench.pass(60.0);
    let ask = bench.ask.clone();
    bench.notify(&ask, &format!("Subscription-State: terminated{reason}\r\n"), "");
    assert_eq!(short(&text(&bench.next().unwrap())), "200");
    assert_eq!(bench.events(), format!("nothing\n{expect}"));
    assert_eq!(bench.next().is_some(), at_once);
}

#[test]
fn reasons() {
    check(";reason=deactivated", "trouble: the server ended the subscription (deactivated); again in 0s", true);
    check(";reason=Timeout", "trouble: the server ended the subscription (Timeout); again in 0s", true);
    check("", "trouble: the server ended the subscription (); again in 0s", true);
    check(";reason=tired", "trouble: the server ended the subscription (tired); again in 0s", true);
    check(";reason=tired;retry-after=7", "trouble: the server ended the subscription (tired); again in 7s", false);
    check(";reason=probation;retry-after=600", "trouble: the server ended the subscription (probation); again in 625s", false);
    check(";reason=probation;retry-after=0", "trouble: the server ended the subscription (probation); again in 33s", false);
    check(";reason=giveup", "trouble: the server ended the subscription (giveup); again in 33s", false);
    check(";reason=rejected", "over: the server ended the subscription for good (rejected)", false);
    check(";reason=noresource", "over: the server ended the subscription for good (noresource)", false);
    check(";reason=invariant", "over: the server ended the subscription for good (invariant)", false);
}

#[test]
fn a_server_that_always_ends_it_is_asked_ever_more_seldom() {
    let mut bench = Bench::udp();
    let mut times = Vec::new();
    for _ in 0..6 {
        let ask = bench.wait();
        times.push(format!("{:.0}", bench.at()));
        bench.answer(&ask, 200, "Expires: 600\r\n");
        bench.notify(&ask, "Subscription-State: active;expires=600\r\n", "");
        bench.notify(&ask, "Subscription-State: terminated;reason=deactivated\r\n", "");
        for _ in 0..2 {
            assert_eq!(short(&text(&bench.next().unwrap())), "200");
        }
    }
    insta::assert_snapshot!(times.join(" "), @"0 0 69 201 475 995");
}

#[test]
fn a_subscription_that_stood_makes_up_for_the_tries_before_it() {
    let mut bench = Bench::udp();
    let first = bench.sent();
    bench.answer(&first, 503, "");
    let second = bench.wait();
    bench.answer(&second, 200, "Expires: 86400\r\n");
    bench.notify(&second, "Subscription-State: active;expires=86400\r\n", "");
    bench.pass(60.0);
    bench.events();
    bench.notify(&second, "Subscription-State: terminated;reason=giveup\r\n", "");
    assert_eq!(bench.events(), "nothing\ntrouble: the server ended the subscription (giveup); again in 33s");
}

#[test]
fn unsubscribed() {
    let mut bench = Bench::open(600);
    bench.subscriber.unsubscribe(bench.now);
    let last = bench.sent();
    assert_eq!(short(&last), "SUBSCRIBE 2 expires 0");
    bench.answer(&last, 200, "Expires: 0\r\n");
    assert_eq!((bench.events().as_str(), bench.subscriber.phase()), ("", Phase::Leaving));
    // A change that was on its way, and then the last word.
    bench.notify(&last, "Subscription-State: active;expires=600\r\n", "<profile/>");
    bench.sent();
    bench.notify(&last, "Subscription-State: terminated;reason=timeout\r\n", "");
    assert_eq!(short(&bench.sent()), "200");
    assert_eq!(bench.events(), "document application/vnd.dialcast.profile+xml None <profile/>\nnothing\nover: unsubscribed");
    bench.pass(10_000.0);
    bench.silent();
    assert_eq!(bench.subscriber.poll_timeout(), None);
}

#[test]
fn unsubscribing_never_hangs() {
    // No answer at all; an answer and no NOTIFY; a refusal.
    for answer in [None, Some(200), Some(481), Some(401), Some(500)] {
        let mut bench = Bench::open(600);
        bench.subscriber.unsubscribe(bench.now);
        let last = bench.sent();
        if let Some(status) = answer {
            bench.answer(&last, status, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n");
        }
        bench.pass(32.1);
        assert_eq!((bench.events().as_str(), bench.subscriber.phase()), ("over: unsubscribed", Phase::Over), "{answer:?}");
    }
}

#[test]
fn a_last_word_that_never_comes() {
    let mut bench = Bench::open(600);
    bench.subscriber.unsubscribe(bench.now);
    let last = bench.sent();
    bench.answer(&last, 200, "Expires: 0\r\n");
    bench.notify(&last, "Subscription-State: active;expires=600\r\n", "");
    bench.pass(32.1);
    assert_eq!(bench.events(), "nothing\nover: unsubscribed");
}

#[test]
fn unsubscribing_while_asking() {
    let mut bench = Bench::udp();
    let first = bench.sent();
    bench.subscriber.unsubscribe(bench.now);
    bench.silent();
    // RFC 6665 §4.4.1: the dialog to end it in comes with the NOTIFY.
    bench.answer(&first, 200, "Expires: 600\r\n");
    bench.notify(&first, "Subscription-State: active;expires=600\r\n", "<profile/>");
    let sent: Vec<String> = std::iter::from_fn(|| bench.next()).map(|t| short(&text(&t))).collect();
    assert_eq!(sent, ["200", "SUBSCRIBE 2 expires 0"]);
    bench.pass(40.0);
    assert!(bench.events().ends_with("over: unsubscribed"));
    // And nothing came of it.
    let mut bench = Bench::udp();
    bench.subscriber.unsubscribe(bench.now);
    bench.pass(33.0);
    assert_eq!(bench.events(), "over: unsubscribed");
    // Or it was not even on its way.
    let mut bench = Bench::udp();
    let first = bench.sent();
    bench.answer(&first, 503, "");
    bench.events();
    bench.subscriber.unsubscribe(bench.now);
    assert_eq!(bench.events(), "over: unsubscribed");
}

#[test]
fn a_fetch() {
    for state in ["terminated;reason=timeout", "active;expires=0"] {
        let mut bench = Bench::new(SubscriberConfig { expires_s: 0, ..config(Transport::Udp) });
        let first = bench.sent();
        assert_eq!(field(&first, Name::Expires), "0");
        bench.answer(&first, 200, "Expires: 0\r\n");
        bench.notify(&first, &format!("Subscription-State: {state}\r\n"), "<profile/>");
        assert_eq!(short(&bench.sent()), "200");
        assert_eq!(bench.events(), "document application/vnd.dialcast.profile+xml None <profile/>\nover: fetched");
        bench.pass(10_000.0);
        bench.silent();
    }
}
