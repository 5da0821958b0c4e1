//! What is bounded, and what happens at the bound.

use std::time::Duration;

use proptest::prelude::*;

use super::bench::{PHONE, only};
use super::{Ask, Bench};
use crate::subscription::{AuthMode, NotifierConfig};

const OPEN: AuthMode = AuthMode::Open;

fn busy(sent: Vec<super::bench::Sent>) {
    let busy = only(sent);
    assert_eq!(busy.start(), "SIP/2.0 503 Service Unavailable");
    assert!((5..=30).contains(&busy.field("Retry-After").unwrap().parse::<u32>().unwrap()));
}

#[test]
fn stored_answers() {
    let mut bench = Bench::with(NotifierConfig { auth: OPEN, server_transactions_max: 2, ..NotifierConfig::default() });
    bench.subscribed();
    let tag = bench.subscribed_by(&Ask::subscribe().user("ben"));
    let refresh = Ask::subscribe().again(&tag, 2);
    busy(bench.ask(&refresh));
    // What was answered is still answered.
    assert_eq!(only(bench.ask(&Ask::subscribe())).start(), "SIP/2.0 200 OK");
    bench.pass(Duration::from_secs(33));
    assert_eq!(only(bench.ask(&refresh)).start(), "SIP/2.0 481 Call/Transaction Does Not Exist", "Ben's dialog is not Anna's");
    assert_eq!(bench.notifier.counters().overloaded, 1);
}

#[test]
fn subscriptions_to_one_address() {
    let mut bench = Bench::with(NotifierConfig { auth: OPEN, subscriptions_per_aor_max: 2, ..NotifierConfig::default() });
    let device = |n: u32| {
        let contact = format!("<sip:anna@192.0.2.{n}>");
        Ask::subscribe().branch(&n.to_string()).with("Call-ID", &n.to_string()).with("Contact", &contact)
    };
    bench.subscribed_by(&device(1));
    let silent = bench.ask(&device(2));
    assert_eq!(silent.len(), 2);
    busy(bench.ask(&device(3)));
    assert_eq!(bench.ask(&device(3).branch("fetch").with("Call-ID", "fetch").with("Expires", "0")).len(), 2, "a look is always granted");
    // One that does not answer makes room.
    bench.pass(Duration::from_secs(40));
    assert_eq!(bench.ask(&device(4)).len(), 2);
    // So does the forgotten dialog of the same phone.
    let restarted = device(1).branch("restarted").with("Call-ID", "restarted");
    assert_eq!(bench.ask(&restarted)[0].start(), "SIP/2.0 200 OK");
    assert_eq!(bench.notifier.subscriptions(), 2);
}

/// Over TCP no transaction is kept: a phone could fetch without end and answer no NOTIFY.
#[test]
fn fetches_that_are_not_answered() {
    let mut bench = Bench::with(NotifierConfig { auth: OPEN, subscriptions_per_aor_max: 2, ..NotifierConfig::default() });
    let fetch = |n: u32| Ask::subscribe().branch(&n.to_string()).with("Call-ID", &n.to_string()).with("Expires", "0");
    let mut granted = 0;
    for n in 0..50 {
        granted += usize::from(bench.message(PHONE, Some(1), fetch(n).text().as_bytes())[0].start() == "SIP/2.0 200 OK");
    }
    assert_eq!((granted, bench.notifier.subscriptions()), (4, 4));
    bench.pass(Duration::from_secs(33));
    assert_eq!(bench.notifier.subscriptions(), 0);
    assert_eq!(bench.ask(&fetch(50)).len(), 2);
}

/// A day's worth of subscriptions that were ended at once leaves nothing behind.
#[test]
fn deadlines_of_what_is_gone() {
    let mut bench = Bench::new();
    for n in 0..5_000 {
        let ask = Ask::subscribe().branch(&n.to_string()).with("Call-ID", &n.to_string()).with("Expires", "86400");
        let [accepted, notify] = bench.message(PHONE, Some(1), ask.text().as_bytes()).try_into().unwrap();
        bench.answer(&notify, "481 Gone");
        assert_eq!(accepted.start(), "SIP/2.0 200 OK");
    }
    assert_eq!(bench.notifier.subscriptions(), 0);
    assert!(bench.notifier.timers.len() <= 100, "{}", bench.notifier.timers.len());
}

#[test]
fn subscriptions_in_all() {
    let mut bench = Bench::with(NotifierConfig { auth: OPEN, subscriptions_max: 1, ..NotifierConfig::default() });
    bench.subscribed();
    busy(bench.ask(&Ask::subscribe().user("ben")));
}

#[test]
fn notifies_in_flight() {
    let mut bench = Bench::with(NotifierConfig { auth: OPEN, in_flight_max: 1, ..NotifierConfig::default() });
    let [_, first] = bench.ask(&Ask::subscribe()).try_into().unwrap();
    assert_eq!(only(bench.ask(&Ask::subscribe().user("ben"))).start(), "SIP/2.0 200 OK");
    // The other is sent as soon as the first is answered.
    assert_eq!(only(bench.answer(&first, "200 OK")).body(), "<ben v=\"1\"/>");
}

#[test]
fn refreshing_without_end_queues_once() {
    let mut bench = Bench::with(NotifierConfig { auth: OPEN, in_flight_max: 1, ..NotifierConfig::default() });
    let [_, first] = bench.ask(&Ask::subscribe()).try_into().unwrap();
    let tag = only(bench.ask(&Ask::subscribe().user("ben"))).tag();
    for cseq in 2..50 {
        let refresh = Ask::subscribe().user("ben").again(&tag, cseq).with("To", &format!("<sip:ben@corp.example>;tag={tag}"));
        assert_eq!(only(bench.ask(&refresh)).start(), "SIP/2.0 200 OK");
        bench.publish("ben", &cseq.to_string());
    }
    assert!(bench.notifier.first.len() + bench.notifier.paced.len() <= 2);
    let notify = only(bench.answer(&first, "200 OK"));
    assert_eq!(bench.answer(&notify, "200 OK").len(), 0);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        Bench::new().message(PHONE, None, &bytes);
    }

    /// Real requests with something replaced: further in than noise gets.
    #[test]
    fn no_damage_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        refresh: bool,
    ) {
        let mut bench = Bench::new();
        let tag = bench.subscribed();
        let ask = if refresh { Ask::subscribe().again(&tag, 2) } else { Ask::subscribe().branch("2").with("Call-ID", "2") };
        let mut bytes = ask.text().into_bytes();
        for (at, byte) in &edits {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let path_remote = PHONE;
        // What goes out need not be text any more, but it must be SIP.
        let path = crate::sip::Path {
            transport: crate::sip::Transport::Udp,
            local: "192.0.2.9:5060".parse().unwrap(),
            remote: path_remote.parse().unwrap(),
            connection: None,
        };
        bench.notifier.handle_message(bench.now, path, &bytes);
        while let Some(sent) = bench.notifier.poll_transmit() {
            prop_assert!(crate::sip::Message::parse(&sent.bytes).is_ok() || bench.notifier.counters().malformed > 0);
        }
    }
}
