//! What is sent when a document changes, and what an answer does.

use std::time::Duration;

use super::bench::{only, shown};
use super::{Ask, Bench};
use crate::subscription::{AuthMode, EndpointState, NotifierConfig, OnTimeout};

const S: Duration = Duration::from_secs(1);

fn state(bench: &Bench) -> Option<EndpointState> {
    bench.notifier.endpoints().next().map(|endpoint| endpoint.state)
}

#[test]
fn a_change_is_sent() {
    let mut bench = Bench::new();
    bench.subscribed();
    insta::assert_snapshot!(shown(&bench.publish("anna", "<anna v=\"2\"/>")), @r#"
    → UDP 192.0.2.1:5060
    NOTIFY sip:anna@192.0.2.1:5060 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=BRANCH
    Max-Forwards: 70
    From: <sip:anna@corp.example>;tag=DIALOG
    To: Anna <sip:anna@corp.example>;tag=phone
    Call-ID: call-1@192.0.2.1
    Contact: <sip:192.0.2.9:5060>
    Event: ua-profile
    CSeq: 2 NOTIFY
    Subscription-State: active;expires=300
    Content-Type: application/vnd.dialcast.profile+xml
    Content-Length: 13

    <anna v="2"/>
    "#);
}

#[test]
fn equal_bytes_send_nothing() {
    let mut bench = Bench::new();
    bench.subscribed();
    assert_eq!(state(&bench), Some(EndpointState::Synced));
    assert_eq!(bench.publish("anna", "<anna v=\"1\"/>").len(), 0);
    assert_eq!(bench.publish("ben", "<ben v=\"2\"/>").len(), 0, "that is Ben's");
}

#[test]
fn one_in_flight_and_the_newest_wins() {
    let mut bench = Bench::new();
    bench.subscribed();
    let second = only(bench.publish("anna", "2"));
    assert_eq!(state(&bench), Some(EndpointState::Sent));
    for version in ["3", "4", "5"] {
        assert_eq!(bench.publish("anna", version).len(), 0);
    }
    let fifth = only(bench.answer(&second, "200 OK"));
    assert_eq!((fifth.body(), fifth.field("CSeq")), ("5", Some("3 NOTIFY")));
    assert_eq!(bench.answer(&fifth, "200 OK").len(), 0);
    assert_eq!(state(&bench), Some(EndpointState::Synced));
    let endpoint = bench.notifier.endpoints().next().unwrap();
    assert_eq!((endpoint.holds, endpoint.contact.as_str()), (endpoint.wants, "sip:anna@192.0.2.1:5060"));
}

#[test]
fn a_change_that_was_undone_is_not_sent() {
    let mut bench = Bench::with(NotifierConfig { auth: AuthMode::Open, notify_rate: 1, notify_burst: 1, ..NotifierConfig::default() });
    bench.subscribed();
    bench.subscribed_by(&Ask::subscribe().user("ben"));
    assert_eq!(bench.publish("anna", "2").len(), 1, "the burst");
    assert_eq!(bench.publish("ben", "2").len(), 0, "its turn comes");
    assert_eq!(bench.publish("ben", "<ben v=\"1\"/>").len(), 0);
    let sent = bench.pass(2 * S);
    assert!(sent.iter().all(|sent| !sent.text.contains("ben")), "{sent:#?}");
}

#[test]
fn changes_keep_to_the_rate_and_answers_do_not_wait() {
    let mut bench = Bench::with(NotifierConfig { auth: AuthMode::Open, notify_rate: 10, notify_burst: 2, ..NotifierConfig::default() });
    let users: Vec<String> = (0..6).map(|n| format!("user{n}")).collect();
    for user in &users {
        bench.publish(user, "1");
        bench.subscribed_by(&Ask::subscribe().user(user));
    }
    let mut sent: usize = users.iter().map(|user| bench.publish(user, "2").len()).sum();
    assert_eq!(sent, 2);
    // Somebody who subscribes now is served now.
    assert_eq!(bench.ask(&Ask::subscribe().user("ben")).len(), 2);
    for _ in 0..4 {
        let now = bench.pass(Duration::from_millis(100));
        assert_eq!(now.len(), 1, "{now:#?}");
        sent += 1;
    }
    assert_eq!((sent, bench.pass(Duration::from_millis(90)).len()), (6, 0));
}

#[test]
fn codes_that_end_a_subscription() {
    // RFC 6665 §4.2.2.
    for status in [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604] {
        let mut bench = Bench::new();
        bench.subscribed();
        let notify = only(bench.publish("anna", "2"));
        assert_eq!(bench.answer(&notify, &format!("{status} No")).len(), 0);
        assert_eq!((bench.notifier.subscriptions(), bench.notifier.counters().refused), (0, 1), "{status}");
        assert_eq!(bench.publish("anna", "3").len(), 0);
    }
}

#[test]
fn codes_that_do_not() {
    for status in [302, 400, 401, 403, 406, 407, 413, 415, 420, 486, 491, 500, 503, 600, 603] {
        let mut bench = Bench::new();
        bench.subscribed();
        let second = only(bench.publish("anna", "2"));
        assert_eq!(bench.answer(&second, &format!("{status} No")).len(), 0);
        assert_eq!(state(&bench), Some(EndpointState::Stale), "{status}");
        assert_eq!(bench.publish("anna", "3").len(), 0, "{status}: it is left alone for a while");
        // Tried again later, with what is newest then.
        let (_, sent) = bench.until_sent();
        let third = only(sent);
        assert_eq!((third.body(), third.field("CSeq")), ("3", Some("3 NOTIFY")), "{status}");
    }
}

#[test]
fn tries_are_further_and_further_apart() {
    let mut bench = Bench::with(NotifierConfig { auth: AuthMode::Open, expires_jitter_percent: 0, ..NotifierConfig::default() });
    bench.subscribed_by(&Ask::subscribe().with("Expires", "86400"));
    let mut notify = only(bench.publish("anna", "2"));
    for pause in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
        bench.answer(&notify, "500 No");
        let (waited, sent) = bench.until_sent();
        assert!((pause * S..=pause * S * 11 / 10).contains(&waited), "{pause}: {waited:?}");
        notify = only(sent);
    }
    assert_eq!(bench.answer(&notify, "200 OK").len(), 0);
    assert_eq!(state(&bench), Some(EndpointState::Synced));
}

#[test]
fn retry_after_is_obeyed() {
    let mut bench = Bench::new();
    bench.subscribed();
    let notify = only(bench.publish("anna", "2"));
    bench.answer_with(&notify, "503 Busy", "Retry-After: 100\r\n");
    let (waited, sent) = bench.until_sent();
    assert!((100 * S..=110 * S).contains(&waited), "{waited:?}");
    assert_eq!(only(sent).body(), "2");
}

#[test]
fn a_subscriber_that_does_not_answer_is_suspended() {
    let mut bench = Bench::new();
    let tag = bench.subscribed();
    bench.publish("anna", "2");
    let sent = bench.pass(40 * S);
    assert_eq!(sent.len(), 10, "retransmissions");
    assert_eq!((state(&bench), bench.notifier.counters().unanswered), (Some(EndpointState::Suspended), 1));
    assert_eq!(bench.publish("anna", "3").len(), 0);
    // It comes back and gets the newest.
    let back = bench.ask(&Ask::subscribe().again(&tag, 2));
    assert_eq!((back[1].body(), back[1].field("CSeq")), ("3", Some("3 NOTIFY")));
}

#[test]
fn or_removed() {
    let mut bench = Bench::with(NotifierConfig { auth: AuthMode::Open, on_timeout: OnTimeout::Remove, ..NotifierConfig::default() });
    let tag = bench.subscribed();
    bench.publish("anna", "2");
    bench.pass(40 * S);
    assert_eq!(bench.notifier.subscriptions(), 0);
    assert_eq!(only(bench.ask(&Ask::subscribe().again(&tag, 2))).start(), "SIP/2.0 481 Call/Transaction Does Not Exist");
}

#[test]
fn a_suspended_subscription_ends_in_silence() {
    let mut bench = Bench::new();
    bench.ask(&Ask::subscribe());
    bench.pass(40 * S);
    assert_eq!(state(&bench), Some(EndpointState::Suspended));
    assert_eq!(bench.pass(300 * S).len(), 0);
    assert_eq!(bench.notifier.subscriptions(), 0);
}

#[test]
fn a_request_timeout_is_a_timeout() {
    let mut bench = Bench::new();
    bench.subscribed();
    let notify = only(bench.publish("anna", "2"));
    bench.answer(&notify, "408 Request Timeout");
    assert_eq!(state(&bench), Some(EndpointState::Suspended));
}

#[test]
fn a_refresh_while_a_notify_is_out() {
    let mut bench = Bench::new();
    let [ok, first] = bench.ask(&Ask::subscribe()).try_into().unwrap();
    let refreshed = only(bench.ask(&Ask::subscribe().again(&ok.tag(), 2)));
    assert_eq!(refreshed.start(), "SIP/2.0 200 OK");
    // The 2xx is owed a NOTIFY of its own, and it comes when the way is free.
    let second = only(bench.answer(&first, "200 OK"));
    assert_eq!((second.body(), second.field("CSeq")), ("<anna v=\"1\"/>", Some("2 NOTIFY")));
}

#[test]
fn a_refresh_while_a_notify_is_lost() {
    let mut bench = Bench::new();
    let tag = bench.subscribed();
    bench.publish("anna", "2");
    bench.pass(20 * S);
    assert_eq!(only(bench.ask(&Ask::subscribe().again(&tag, 2))).start(), "SIP/2.0 200 OK");
    // When the lost one is given up, the phone is not: it was heard in between.
    let third = bench.pass(13 * S).into_iter().find(|sent| sent.field("CSeq") == Some("3 NOTIFY")).unwrap();
    bench.answer(&third, "200 OK");
    assert_eq!(state(&bench), Some(EndpointState::Synced));
}

#[test]
fn provisional_and_repeated_answers() {
    let mut bench = Bench::new();
    bench.subscribed();
    let notify = only(bench.publish("anna", "2"));
    bench.answer(&notify, "100 Trying");
    assert_eq!(state(&bench), Some(EndpointState::Sent));
    bench.answer(&notify, "200 OK");
    // A second final answer is none.
    bench.answer(&notify, "481 No");
    assert_eq!((bench.notifier.subscriptions(), bench.notifier.counters().stray_responses), (1, 1));
}
