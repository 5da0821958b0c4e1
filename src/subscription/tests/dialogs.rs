//! Dialogs: refreshed, ended, mistaken.

use std::time::Duration;

use super::bench::{PHONE, only, shown};
use super::{Ask, Bench};
use crate::document::{Document, profile};
use crate::subscription::Reason;

const S: Duration = Duration::from_secs(1);

#[test]
fn refreshed() {
    let mut bench = Bench::new();
    let tag = bench.subscribed();
    bench.now += 100 * S;
    insta::assert_snapshot!(shown(&bench.ask(&Ask::subscribe().again(&tag, 2))), @r#"
    → UDP 192.0.2.1:5060
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-again-2;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=DIALOG
    Call-ID: call-1@192.0.2.1
    CSeq: 2 SUBSCRIBE
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
    CSeq: 2 NOTIFY
    Subscription-State: active;expires=300
    Content-Type: application/vnd.dialcast.profile+xml
    Content-Length: 13

    <anna v="1"/>
    "#);
    assert_eq!(bench.notifier.counters().refreshed, 1);
    // It lives for 300 s from then.
    assert_eq!(bench.pass(299 * S).len(), 10, "retransmissions of the NOTIFY: nobody answered");
    assert_eq!(bench.notifier.subscriptions(), 1);
    assert_eq!(bench.pass(2 * S).len(), 0);
    assert_eq!((bench.notifier.subscriptions(), bench.notifier.counters().expired), (0, 1));
}

#[test]
fn unsubscribed() {
    let mut bench = Bench::new();
    let tag = bench.subscribed();
    let sent = bench.ask(&Ask::subscribe().again(&tag, 2).with("Expires", "0"));
    insta::assert_snapshot!(shown(&sent), @r"
    → UDP 192.0.2.1:5060
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-again-2;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=DIALOG
    Call-ID: call-1@192.0.2.1
    CSeq: 2 SUBSCRIBE
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
    CSeq: 2 NOTIFY
    Subscription-State: terminated;reason=timeout
    Content-Length: 0
    ");
    // RFC 6665 §4.2.2: nothing more is taken in this dialog.
    assert_eq!(only(bench.ask(&Ask::subscribe().again(&tag, 3))).start(), "SIP/2.0 481 Call/Transaction Does Not Exist");
    assert_eq!(bench.notifier.subscriptions(), 1, "until the last NOTIFY is answered");
    bench.answer(&sent[1], "200 OK");
    assert_eq!((bench.notifier.subscriptions(), bench.notifier.counters().unsubscribed), (0, 1));
}

#[test]
fn expired() {
    let mut bench = Bench::new();
    bench.subscribed();
    assert_eq!(bench.pass(299 * S).len(), 0);
    let last = only(bench.pass(S));
    assert_eq!(
        (last.field("Subscription-State"), last.field("CSeq"), last.body()),
        (Some("terminated;reason=timeout"), Some("2 NOTIFY"), "")
    );
    bench.answer(&last, "200 OK");
    assert_eq!((bench.notifier.subscriptions(), bench.pass(1000 * S).len()), (0, 0));
}

#[test]
fn withdrawn() {
    let mut bench = Bench::new();
    bench.subscribed();
    bench.notifier.withdraw(bench.now, &Bench::aor("anna"), Reason::NoResource);
    let last = only(bench.sent());
    assert_eq!(last.field("Subscription-State"), Some("terminated;reason=noresource"));
    assert_eq!(last.field("Content-Length"), Some("0"), "an empty NOTIFY: what the phone holds stays");
    // The user is unknown from now on, and known again with a new document; the old dialog stays ended.
    assert_eq!(only(bench.ask(&Ask::subscribe().branch("2").with("Call-ID", "2"))).start(), "SIP/2.0 403 Forbidden");
    assert_eq!(bench.publish("anna", "new").len(), 0);
    bench.answer(&last, "200 OK");
    assert_eq!(bench.notifier.subscriptions(), 0);
    assert_eq!(bench.ask(&Ask::subscribe().branch("3").with("Call-ID", "3"))[1].body(), "new");
}

#[test]
fn withdrawn_while_a_notify_is_out() {
    let mut bench = Bench::new();
    let [_, notify] = bench.ask(&Ask::subscribe()).try_into().unwrap();
    bench.notifier.withdraw(bench.now, &Bench::aor("anna"), Reason::NoResource);
    assert_eq!(bench.sent().len(), 0, "one at a time");
    let last = only(bench.answer(&notify, "200 OK"));
    assert_eq!(last.field("Subscription-State"), Some("terminated;reason=noresource"));
}

fn dismiss(bench: &mut Bench) -> Vec<super::bench::Sent> {
    let farewell = Document::new(profile::CONTENT_TYPE, b"<empty/>".as_slice());
    bench.notifier.dismiss(bench.now, &Bench::aor("anna"), Reason::NoResource, farewell);
    bench.sent()
}

/// The explicit empty profile first, and when it has arrived the end.
#[test]
fn dismissed() {
    let mut bench = Bench::new();
    let tag = bench.subscribed();
    let empty = only(dismiss(&mut bench));
    assert_eq!((empty.field("Subscription-State"), empty.body()), (Some("active;expires=300"), "<empty/>"));
    // The user is unknown from now on.
    assert_eq!(only(bench.ask(&Ask::subscribe().branch("2").with("Call-ID", "2"))).start(), "SIP/2.0 403 Forbidden");
    let last = only(bench.answer(&empty, "200 OK"));
    assert_eq!((last.field("Subscription-State"), last.body()), (Some("terminated;reason=noresource"), ""));
    assert_eq!(only(bench.ask(&Ask::subscribe().again(&tag, 3))).start(), "SIP/2.0 481 Call/Transaction Does Not Exist");
    bench.answer(&last, "200 OK");
    assert_eq!(bench.notifier.subscriptions(), 0);
    // Known again with a new document.
    bench.publish("anna", "new");
    assert_eq!(bench.ask(&Ask::subscribe().branch("3").with("Call-ID", "3"))[1].body(), "new");
}

#[test]
fn dismissed_while_a_notify_is_out() {
    let mut bench = Bench::new();
    let [_, notify] = bench.ask(&Ask::subscribe()).try_into().unwrap();
    assert_eq!(dismiss(&mut bench).len(), 0, "one at a time");
    let empty = only(bench.answer(&notify, "200 OK"));
    assert_eq!(empty.body(), "<empty/>");
    assert_eq!(only(bench.answer(&empty, "200 OK")).field("Subscription-State"), Some("terminated;reason=noresource"));
}

/// A phone that is off has it when it comes back; nobody who has it already is told twice.
#[test]
fn dismissed_and_away() {
    let mut bench = Bench::new();
    let tag = bench.subscribed();
    let lost = only(bench.publish("anna", "lost"));
    assert_eq!(lost.body(), "lost");
    bench.pass(33 * S);
    assert_eq!(dismiss(&mut bench).len(), 0, "it does not answer");
    let [ok, empty] = bench.ask(&Ask::subscribe().again(&tag, 2)).try_into().unwrap();
    assert_eq!((ok.start(), empty.body()), ("SIP/2.0 200 OK", "<empty/>"));
    assert_eq!(only(bench.answer(&empty, "200 OK")).field("Subscription-State"), Some("terminated;reason=noresource"));
    let mut bench = Bench::new();
    bench.subscribed();
    let empty = only(bench.publish("anna", "<empty/>"));
    bench.answer(&empty, "200 OK");
    assert_eq!(only(dismiss(&mut bench)).field("Subscription-State"), Some("terminated;reason=noresource"));
}

/// Back before the farewell is confirmed: there is no end.
#[test]
fn dismissed_and_taken_back() {
    let mut bench = Bench::new();
    bench.subscribed();
    let empty = only(dismiss(&mut bench));
    assert_eq!(bench.publish("anna", "again").len(), 0);
    let again = only(bench.answer(&empty, "200 OK"));
    assert_eq!((again.field("Subscription-State"), again.body()), (Some("active;expires=300"), "again"));
    assert_eq!(bench.answer(&again, "200 OK").len(), 0);
    assert_eq!(bench.notifier.subscriptions(), 1);
}

#[test]
fn drained() {
    let mut bench = Bench::new();
    bench.subscribed();
    bench.subscribed_by(&Ask::subscribe().user("ben"));
    bench.notifier.drain(bench.now);
    let ends = bench.sent();
    assert_eq!(ends.iter().map(|sent| sent.field("Subscription-State").unwrap()).collect::<Vec<_>>(), ["terminated;reason=deactivated"; 2]);
}

#[test]
fn an_empty_document_is_not_an_empty_notify() {
    let mut bench = Bench::new();
    bench.subscribed();
    let empty = only(bench.publish("anna", ""));
    assert_eq!(empty.field("Subscription-State"), Some("active;expires=300"));
    assert_eq!((empty.field("Content-Type"), empty.field("Content-Length")), (Some("application/vnd.dialcast.profile+xml"), Some("0")));
}

#[test]
fn mistaken() {
    let mut bench = Bench::new();
    let tag = bench.subscribed();
    let check = |bench: &mut Bench, ask: Ask, expect: &str| assert_eq!(only(bench.ask(&ask)).start(), expect, "{}", ask.text());
    let gone = "SIP/2.0 481 Call/Transaction Does Not Exist";
    let ask = |cseq| Ask::subscribe().again(&tag, cseq);
    check(&mut bench, ask(2).with("Call-ID", "another"), gone);
    check(&mut bench, ask(3).with("From", "<sip:anna@corp.example>;tag=another"), gone);
    check(&mut bench, ask(4).with("From", "<sip:anna@corp.example>"), gone);
    check(&mut bench, Ask::subscribe().again("nonsense", 5), gone);
    let mut guess = tag.clone().into_bytes();
    guess[23] = if guess[23] == b'0' { b'1' } else { b'0' };
    check(&mut bench, Ask::subscribe().again(std::str::from_utf8(&guess).unwrap(), 6), gone);
    check(&mut bench, ask(7).with("Event", "ua-profile;id=7"), gone);
    check(&mut bench, ask(8).with("Event", "presence"), "SIP/2.0 489 Bad Event");
    check(&mut bench, ask(9).with("Expires", "10"), "SIP/2.0 423 Interval Too Brief");
    check(&mut bench, ask(10).with("Accept", "text/plain"), "SIP/2.0 406 Not Acceptable");
    check(&mut bench, ask(11).with("Contact", "<sip:224.0.1.75>"), "SIP/2.0 400 Bad Request");
    // RFC 3261 §12.2.2: in order, whatever became of those before.
    check(&mut bench, ask(5).branch("late"), "SIP/2.0 500 Server Internal Error");
    assert_eq!(bench.ask(&ask(12))[0].start(), "SIP/2.0 200 OK");
}

#[test]
fn retransmitted_and_merged() {
    let mut bench = Bench::new();
    let [ok, notify] = bench.ask(&Ask::subscribe()).try_into().unwrap();
    // The same answer, to the same place, and no second subscription.
    let again = only(bench.message("203.0.113.66:5060", None, Ask::subscribe().text().as_bytes()));
    assert_eq!((again.text == ok.text, again.to().as_str()), (true, "UDP 192.0.2.1:5060"));
    // RFC 3261 §8.2.2.2.
    assert_eq!(only(bench.ask(&Ask::subscribe().branch("other"))).start(), "SIP/2.0 482 Loop Detected");
    assert_eq!(bench.notifier.subscriptions(), 1);
    bench.answer(&notify, "200 OK");
    // After Timer J it would be new: to refuse the double is then the business of Call-ID, tags and CSeq.
    assert_eq!(bench.pass(33 * S).len(), 0);
}

#[test]
fn a_route_set_is_followed_and_kept() {
    let mut bench = Bench::new();
    let routed = Ask::subscribe()
        .with("Record-Route", "<sip:edge.corp.example:5080;lr;ftag=1>, <sip:core@192.0.2.8;lr>")
        .with("Contact", "<sip:anna@10.0.0.5:5062>");
    let sent = bench.ask(&routed);
    insta::assert_snapshot!(shown(&sent), @r#"
    → UDP 192.0.2.1:5060
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;rport=5060;received=192.0.2.1
    From: Anna <sip:anna@corp.example>;tag=phone
    To: <sip:anna@corp.example>;tag=DIALOG
    Call-ID: call-1@192.0.2.1
    CSeq: 1 SUBSCRIBE
    Record-Route: <sip:edge.corp.example:5080;lr;ftag=1>, <sip:core@192.0.2.8;lr>
    Contact: <sip:192.0.2.9:5060>
    Expires: 300
    Content-Length: 0

    → UDP edge.corp.example 5080
    NOTIFY sip:anna@10.0.0.5:5062 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=BRANCH
    Route: <sip:edge.corp.example:5080;lr;ftag=1>
    Route: <sip:core@192.0.2.8;lr>
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
    bench.answer(&sent[1], "200 OK");
    // A refresh brings a new target; the route set is that of the first.
    let moved = routed.again(&sent[0].tag(), 2).with("Contact", "<sip:anna@10.0.0.6>").with("Record-Route", "<sip:other;lr>");
    let notify = bench.ask(&moved).remove(1);
    assert_eq!(notify.start(), "NOTIFY sip:anna@10.0.0.6 SIP/2.0");
    assert_eq!(notify.text.matches("Route: ").count(), 2);
    assert_eq!(
        (notify.field("Route"), notify.to().as_str()),
        (Some("<sip:edge.corp.example:5080;lr;ftag=1>"), "UDP edge.corp.example 5080")
    );
}

#[test]
fn a_strict_router_is_obeyed() {
    let mut bench = Bench::new();
    let strict = Ask::subscribe().with("Record-Route", "<sip:192.0.2.7;x=1>, <sip:192.0.2.8;lr>");
    let sent = bench.ask(&strict);
    // RFC 3261 §12.2.1.1.
    assert_eq!((sent[1].start(), sent[1].to().as_str()), ("NOTIFY sip:192.0.2.7;x=1 SIP/2.0", "UDP 192.0.2.7:5060"));
    assert!(sent[1].text.contains("\r\nRoute: <sip:192.0.2.8;lr>\r\nRoute: <sip:anna@192.0.2.1:5060>\r\n"));
    bench.answer(&sent[1], "200 OK");
    let moved = bench.ask(&strict.again(&sent[0].tag(), 2).with("Contact", "<sip:anna@192.0.2.2>")).remove(1);
    assert_eq!(moved.start(), "NOTIFY sip:192.0.2.7;x=1 SIP/2.0");
    assert!(moved.text.contains("\r\nRoute: <sip:192.0.2.8;lr>\r\nRoute: <sip:anna@192.0.2.2>\r\n"), "{}", moved.text);
}

#[test]
fn a_phone_that_moved_is_followed() {
    let mut bench = Bench::new();
    let tag = bench.subscribed();
    let notify = bench.ask(&Ask::subscribe().again(&tag, 2).with("Contact", "<sip:anna@192.0.2.77:5099>")).remove(1);
    assert_eq!((notify.start(), notify.to().as_str()), ("NOTIFY sip:anna@192.0.2.77:5099 SIP/2.0", "UDP 192.0.2.77:5099"));
    // RFC 3261 §12.2.1.2: also by the answer to a NOTIFY.
    bench.answer_with(&notify, "200 OK", "Contact: <sip:anna@192.0.2.78>\r\n");
    assert_eq!(only(bench.publish("anna", "2")).to(), "UDP 192.0.2.78:5060");
}

#[test]
fn folded_fields_make_whole_notifies() {
    let mut bench = Bench::new();
    let text =
        Ask::subscribe().text().replace("Anna <sip:anna@corp.example>;tag=phone", "Anna\r\n <sip:anna@corp.example>\r\n\t;tag=phone");
    let notify = bench.message(PHONE, None, text.as_bytes()).remove(1);
    assert_eq!(notify.field("To"), Some("Anna   <sip:anna@corp.example>  \t;tag=phone"));
}
