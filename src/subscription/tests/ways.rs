//! Which way a NOTIFY goes: RFC 3261 §18.1.1, and connections that live and end.

use std::time::Duration;

use super::bench::{Sent, only};
use super::{Ask, Bench};
use crate::sip::Transport;
use crate::sip::transaction::{SendError, SendFailure};
use crate::subscription::{AuthMode, NotifierConfig};

const S: Duration = Duration::from_secs(1);

fn big() -> String {
    format!("<anna>{}</anna>", "x".repeat(1300))
}

/// Where it goes, and what Via says.
fn way(sent: &Sent) -> (String, String) {
    let via = sent.field("Via").unwrap();
    (sent.to(), via.split(";branch").next().unwrap().to_owned())
}

fn is(sent: &Sent, to: &str, via: &str) {
    assert_eq!(way(sent), (to.to_owned(), via.to_owned()), "{}", sent.text);
}

const AS_DATAGRAM: &str = "SIP/2.0/UDP 192.0.2.9:5060;rport";
const AS_STREAM: &str = "SIP/2.0/TCP 192.0.2.9:5060";

#[test]
fn a_large_notify_goes_over_a_stream() {
    let mut bench = Bench::new();
    bench.subscribed();
    let large = only(bench.publish("anna", &big()));
    is(&large, "TCP 192.0.2.1:5060", AS_STREAM);
    assert_eq!(bench.pass(4 * S).len(), 0, "a stream repeats nothing");
    bench.answer(&large, "200 OK");
    // A small one does not.
    is(&only(bench.publish("anna", "small")), "UDP 192.0.2.1:5060", AS_DATAGRAM);
}

#[test]
fn the_limit_is_that_of_the_configuration() {
    let mut bench = Bench::new();
    bench.subscribed();
    let length = only(bench.publish("anna", "2")).text.len();
    for (limit, expect) in [(length, AS_DATAGRAM), (length - 1, AS_STREAM)] {
        let config = NotifierConfig { auth: AuthMode::Open, udp_max_request_bytes: limit, ..NotifierConfig::default() };
        let mut bench = Bench::with(config);
        let [_, first] = bench.ask(&Ask::subscribe()).try_into().unwrap();
        bench.answer(&first, "200 OK");
        assert_eq!(way(&only(bench.publish("anna", "2"))).1, expect, "{limit}");
    }
}

#[test]
fn a_refused_stream_is_remembered() {
    for error in [SendError::Refused, SendError::Timeout, SendError::Closed, SendError::Unreachable] {
        let mut bench = Bench::new();
        bench.subscribed();
        let stream = only(bench.publish("anna", &big()));
        let datagram = only(bench.fail(&stream, error));
        is(&datagram, "UDP 192.0.2.1:5060", AS_DATAGRAM);
        assert_eq!((datagram.body(), datagram.field("CSeq")), (big().as_str(), Some("3 NOTIFY")));
        bench.answer(&datagram, "200 OK");
        is(&only(bench.publish("anna", &(big() + "2"))), "UDP 192.0.2.1:5060", AS_DATAGRAM);
        assert_eq!((bench.notifier.counters().rerouted, bench.notifier.counters().notified), (1, 4), "{error}");
    }
}

#[test]
fn a_stream_that_is_reset_or_silent() {
    let mut bench = Bench::new();
    bench.subscribed();
    let stream = only(bench.publish("anna", &big()));
    // The connection had been opened; its end takes all that is unanswered on it.
    let ended = SendFailure { to: stream.transmit.to, ticket: None, error: SendError::Closed };
    bench.notifier.handle_send_error(bench.now, &ended);
    is(&only(bench.sent()), "UDP 192.0.2.1:5060", AS_DATAGRAM);

    let mut bench = Bench::new();
    bench.subscribed();
    bench.publish("anna", &big());
    let after = bench.pass(32 * S);
    is(&only(after), "UDP 192.0.2.1:5060", AS_DATAGRAM);
}

#[test]
fn a_contact_that_says_udp_is_believed() {
    let mut bench = Bench::new();
    bench.subscribed_by(&Ask::subscribe().with("Contact", "<sip:anna@192.0.2.1:5060;transport=udp>"));
    is(&only(bench.publish("anna", &big())), "UDP 192.0.2.1:5060", AS_DATAGRAM);
}

#[test]
fn a_contact_that_says_tcp_is_believed() {
    let mut bench = Bench::new();
    let [_, notify] = bench.ask(&Ask::subscribe().with("Contact", "<sip:anna@192.0.2.1:5060;transport=tcp>")).try_into().unwrap();
    is(&notify, "TCP 192.0.2.1:5060", AS_STREAM);
    assert_eq!(bench.fail(&notify, SendError::Refused).len(), 0, "there is no other way");
    assert_eq!(bench.notifier.counters().unanswered, 1);
}

#[test]
fn a_connection_is_used_while_it_lives() {
    let ask = Ask::subscribe().with("Via", "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK-1");
    let mut bench = Bench::new();
    let [ok, first] = bench.message("192.0.2.1:40000", Some(3), ask.text().as_bytes()).try_into().unwrap();
    assert_eq!((ok.to().as_str(), ok.field("Contact")), ("TCP #3", Some("<sip:192.0.2.9:5060;transport=tcp>")));
    is(&first, "TCP #3", AS_STREAM);
    bench.answer(&first, "200 OK");
    let second = only(bench.publish("anna", "2"));
    is(&second, "TCP #3", AS_STREAM);
    // The connection is gone: a new one to the Contact, and a datagram when that fails too.
    let third = only(bench.fail(&second, SendError::Closed));
    is(&third, "TCP 192.0.2.1:5060", AS_STREAM);
    let fourth = only(bench.fail(&third, SendError::Refused));
    is(&fourth, "UDP 192.0.2.1:5060", AS_DATAGRAM);
    assert_eq!(["2 NOTIFY", "3 NOTIFY", "4 NOTIFY"].map(Some), [&second, &third, &fourth].map(|sent| sent.field("CSeq")));
    bench.answer(&fourth, "200 OK");
    // It subscribes again by another connection, and is reached by that.
    let again = ask.again(&ok.tag(), 2).with("Via", "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK-2");
    let sent = bench.message("192.0.2.1:40001", Some(4), again.text().as_bytes());
    is(&sent[1], "TCP #4", AS_STREAM);
}

#[test]
fn a_full_queue_is_tried_again() {
    let mut bench = Bench::new();
    bench.subscribed();
    let stream = only(bench.publish("anna", &big()));
    assert_eq!(bench.fail(&stream, SendError::Busy).len(), 0);
    is(&only(bench.pass(S)), "TCP 192.0.2.1:5060", AS_STREAM);
}

#[test]
fn a_network_that_is_down_suspends_nobody() {
    for error in [SendError::Unreachable, SendError::Unresolved] {
        let mut bench = Bench::new();
        bench.subscribed();
        let lost = only(bench.publish("anna", "2"));
        assert_eq!(bench.fail(&lost, error).len(), 0);
        let (waited, sent) = bench.until_sent();
        assert!((30 * S..34 * S).contains(&waited), "{waited:?}");
        assert_eq!(only(sent).body(), "2");
    }
}

#[test]
fn names_and_ports() {
    let config = NotifierConfig {
        auth: AuthMode::Open,
        listen: vec![(Transport::Udp, "0.0.0.0:5060".parse().unwrap()), (Transport::Tcp, "0.0.0.0:5070".parse().unwrap())],
        advertised_host: Some("dialcast.corp.example".to_owned()),
        ..NotifierConfig::default()
    };
    let mut bench = Bench::with(config);
    let sent = bench.ask(&Ask::subscribe().with("Contact", "<sip:anna@phone.corp.example>"));
    assert_eq!(sent[0].field("Contact"), Some("<sip:dialcast.corp.example:5060>"));
    is(&sent[1], "UDP phone.corp.example 5060", "SIP/2.0/UDP dialcast.corp.example:5060;rport");
    bench.answer(&sent[1], "200 OK");
    is(&only(bench.publish("anna", &big())), "TCP phone.corp.example 5060", "SIP/2.0/TCP dialcast.corp.example:5070");
}

#[test]
fn what_moved_forgets_what_was_learnt() {
    let mut bench = Bench::new();
    let tag = bench.subscribed();
    let stream = only(bench.publish("anna", &big()));
    let datagram = only(bench.fail(&stream, SendError::Refused));
    bench.answer(&datagram, "200 OK");
    let same = bench.ask(&Ask::subscribe().again(&tag, 2)).remove(1);
    is(&same, "UDP 192.0.2.1:5060", AS_DATAGRAM);
    bench.answer(&same, "200 OK");
    let moved = bench.ask(&Ask::subscribe().again(&tag, 3).with("Contact", "<sip:anna@192.0.2.5>")).remove(1);
    is(&moved, "TCP 192.0.2.5:5060", AS_STREAM);
}
