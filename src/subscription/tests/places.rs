//! Who gets which document where, and when it is asked for.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::bench::{PHONE, Sent, only};
use super::{Ask, Bench};
use crate::document::{Document, profile};
use crate::model::{DeviceId, NetworkMap, ObjectId, Resource, Spot};
use crate::subscription::{Ask as Question, AuthMode, NotifierConfig};

const S: Duration = Duration::from_secs(1);
/// In Berlin (1), in Rome (2), and nowhere (0).
const NETWORKS: [(&str, u8); 3] = [("192.0.2.0/24", 1), ("198.51.100.0/24", 2), ("203.0.113.0/24", 0)];
const IN_ROME: &str = "198.51.100.7:5060";
const NOWHERE: &str = "203.0.113.7:5060";

fn site(n: u8) -> Spot {
    Spot { site: (n > 0).then(|| ObjectId::from_bytes([n; 16])), ..Spot::default() }
}

fn anna() -> Resource {
    Resource::User(Bench::aor("anna"))
}

impl Bench {
    fn placed() -> Self {
        let mut bench = Self::new();
        bench.network(&NETWORKS);
        bench
    }

    fn network(&mut self, networks: &[(&str, u8)]) -> Vec<Sent> {
        self.notifier.set_network(self.now, Arc::new(NetworkMap::of(networks, None)), Vec::new());
        self.sent()
    }

    fn publish_at(&mut self, resource: &Resource, n: u8, body: &str) -> Vec<Sent> {
        self.notifier.publish_at(self.now, resource, &site(n), Document::new(profile::CONTENT_TYPE, body.as_bytes()));
        self.sent()
    }

    fn ask_from(&mut self, from: &str, ask: &Ask) -> Vec<Sent> {
        self.message(from, None, ask.text().as_bytes())
    }

    fn questions(&mut self) -> Vec<Question> {
        let mut questions = Vec::new();
        while self.notifier.has_asks() {
            questions.extend(self.notifier.poll_ask());
        }
        questions
    }

    fn accept(&mut self, sent: Vec<Sent>) -> String {
        let notify = only(sent);
        assert_eq!(self.answer(&notify, "200 OK").len(), 0);
        notify.body().to_owned()
    }
}

#[test]
fn the_first_notify_waits_for_the_document_of_the_place() {
    let mut bench = Bench::placed();
    let ok = only(bench.ask(&Ask::subscribe()));
    assert_eq!(ok.start(), "SIP/2.0 200 OK");
    assert_eq!(bench.questions(), [Question::Want(anna(), site(1))]);
    // What is not for there is never sent there.
    assert_eq!(bench.publish("anna", "<anna v=\"2\"/>").len(), 0);
    assert_eq!(bench.publish_at(&anna(), 2, "rome").len(), 0);
    let notify = bench.publish_at(&anna(), 1, "berlin");
    assert_eq!(notify[0].field("Subscription-State"), Some("active;expires=300"));
    assert_eq!(bench.accept(notify), "berlin");
    // From then on as any document.
    assert_eq!(bench.publish_at(&anna(), 1, "berlin").len(), 0);
    let notify = bench.publish_at(&anna(), 1, "berlin 2");
    assert_eq!(bench.accept(notify), "berlin 2");
    assert_eq!(bench.publish("anna", "<anna v=\"3\"/>").len(), 0);
    // A second phone finds it there.
    let sent = bench.ask_from("192.0.2.2:5060", &Ask::subscribe().branch("second").with("Call-ID", "second"));
    assert_eq!((sent.len(), sent[1].body()), (2, "berlin 2"));
    assert_eq!(bench.questions(), []);
}

#[test]
fn nowhere_is_the_document_without_regard_to_a_place() {
    let mut bench = Bench::placed();
    let sent = bench.ask_from(NOWHERE, &Ask::subscribe());
    assert_eq!((sent.len(), sent[1].body()), (2, "<anna v=\"1\"/>"));
    assert_eq!(bench.questions(), []);
    bench.answer(&sent[1], "200 OK");
    assert_eq!(bench.publish("anna", "2").len(), 1);
}

#[test]
fn who_waits_too_long_is_told_nothing_and_the_document_later() {
    let mut bench = Bench::placed();
    bench.ask(&Ask::subscribe());
    let (waited, sent) = bench.until_sent();
    assert_eq!(waited, 2 * S);
    let notify = only(sent);
    assert_eq!((notify.field("Subscription-State"), notify.field("Content-Type"), notify.body()), (Some("active;expires=298"), None, ""));
    bench.answer(&notify, "200 OK");
    assert_eq!(bench.notifier.counters().waited_in_vain, 1);
    let notify = bench.publish_at(&anna(), 1, "berlin");
    assert_eq!(bench.accept(notify), "berlin");
}

#[test]
fn a_fetch_waits_too() {
    let fetch = Ask::subscribe().with("Expires", "0");
    let mut bench = Bench::placed();
    assert_eq!(only(bench.ask(&fetch)).field("Expires"), Some("0"));
    let notify = only(bench.publish_at(&anna(), 1, "berlin"));
    assert_eq!((notify.field("Subscription-State"), notify.body()), (Some("terminated;reason=timeout"), "berlin"));
    bench.answer(&notify, "200 OK");
    assert_eq!(bench.questions(), [], "nobody is there any more, and nobody had been asked");
    assert_eq!(bench.notifier.subscriptions(), 0);
    // In vain.
    let mut bench = Bench::placed();
    bench.ask(&fetch);
    let (waited, sent) = bench.until_sent();
    let notify = only(sent);
    assert_eq!((waited, notify.field("Subscription-State"), notify.body()), (2 * S, Some("terminated;reason=timeout"), ""));
}

#[test]
fn a_refresh_from_elsewhere_brings_the_document_of_there() {
    let mut bench = Bench::placed();
    let ok = only(bench.ask(&Ask::subscribe()));
    let notify = bench.publish_at(&anna(), 1, "berlin");
    bench.accept(notify);
    bench.questions();
    let again = Ask::subscribe().again(&ok.tag(), 2);
    assert_eq!(only(bench.ask_from(IN_ROME, &again)).start(), "SIP/2.0 200 OK");
    assert_eq!(bench.questions(), [Question::Want(anna(), site(2)), Question::Unwant(anna(), site(1))]);
    assert_eq!(bench.publish_at(&anna(), 1, "berlin 2").len(), 0, "it is not there any more");
    let notify = bench.publish_at(&anna(), 2, "rome");
    assert_eq!(bench.accept(notify), "rome");
    // And back home, where nothing makes a difference.
    let sent = bench.ask_from(NOWHERE, &Ask::subscribe().again(&ok.tag(), 3));
    assert_eq!(sent[1].body(), "<anna v=\"1\"/>");
    assert_eq!(bench.questions(), [Question::Unwant(anna(), site(2))]);
    // The end asks for nothing.
    bench.answer(&sent[1], "200 OK");
    let sent = bench.ask(&Ask::subscribe().again(&ok.tag(), 4).with("Expires", "0"));
    assert_eq!((sent.len(), sent[1].field("Subscription-State")), (2, Some("terminated;reason=timeout")));
}

#[test]
fn another_map_moves_exactly_those_who_are_elsewhere_now() {
    let mut bench = Bench::placed();
    bench.ask(&Ask::subscribe());
    let notify = bench.publish_at(&anna(), 1, "berlin");
    bench.accept(notify);
    let sent = bench.ask_from(NOWHERE, &Ask::subscribe().user("ben"));
    bench.answer(&sent[1], "200 OK");
    bench.questions();
    assert_eq!(bench.network(&NETWORKS).len(), 0);
    // The subnet belongs to Rome now.
    assert_eq!(bench.network(&[("192.0.2.0/24", 2)]).len(), 0);
    assert_eq!(bench.questions(), [Question::Want(anna(), site(2)), Question::Unwant(anna(), site(1))]);
    let notify = bench.publish_at(&anna(), 2, "rome");
    assert_eq!(bench.accept(notify), "rome");
    // Equal bytes send nothing, from wherever they come.
    bench.network(&[("192.0.2.0/24", 1)]);
    assert_eq!(bench.publish_at(&anna(), 1, "rome").len(), 0);
    // A place that is given up, and what changes there as it is: nobody hears of it.
    let left = vec![(anna(), site(1), Document::new(profile::CONTENT_TYPE, b"left".as_slice()))];
    bench.notifier.set_network(bench.now, Arc::new(NetworkMap::of(&[("192.0.2.0/24", 2)], None)), left);
    assert_eq!(bench.sent().len(), 0);
    let notify = bench.publish_at(&anna(), 2, "rome 2");
    assert_eq!(bench.accept(notify), "rome 2");
    // No difference any more: the document that everybody has.
    let notify = bench.network(&[]);
    assert_eq!(bench.accept(notify), "<anna v=\"1\"/>");
}

#[test]
fn a_user_who_is_gone_is_gone_everywhere() {
    let mut bench = Bench::placed();
    bench.ask(&Ask::subscribe());
    let notify = bench.publish_at(&anna(), 1, "berlin");
    bench.accept(notify);
    bench.questions();
    bench.notifier.withdraw(bench.now, &Bench::aor("anna"), crate::subscription::Reason::NoResource);
    let notify = only(bench.sent());
    assert_eq!((notify.field("Subscription-State"), notify.body()), (Some("terminated;reason=noresource"), ""));
    bench.answer(&notify, "200 OK");
    assert_eq!(bench.questions(), [Question::Unwant(anna(), site(1))]);
    assert_eq!(only(bench.ask(&Ask::subscribe().branch("later").with("Call-ID", "later"))).start(), "SIP/2.0 403 Forbidden");
}

#[test]
fn a_farewell_is_for_everybody_wherever_they_are() {
    let mut bench = Bench::placed();
    bench.ask(&Ask::subscribe());
    let notify = bench.publish_at(&anna(), 1, "berlin");
    bench.accept(notify);
    // One that waits.
    bench.ask_from(IN_ROME, &Ask::subscribe().branch("rome").with("Call-ID", "rome"));
    bench.notifier.dismiss(
        bench.now,
        &Bench::aor("anna"),
        crate::subscription::Reason::NoResource,
        Document::new(profile::CONTENT_TYPE, b"".as_slice()),
    );
    let sent = bench.sent();
    assert_eq!(sent.len(), 2);
    for notify in sent {
        assert!(notify.field("Content-Type").is_some() && notify.body().is_empty(), "the explicit empty profile: {notify:?}");
        let last = only(bench.answer(&notify, "200 OK"));
        assert_eq!(last.field("Subscription-State"), Some("terminated;reason=noresource"));
        bench.answer(&last, "200 OK");
    }
    assert_eq!(bench.notifier.subscriptions(), 0);
    // The address is somebody else's now: what belonged to the one before is not there.
    bench.publish("anna", "another");
    assert_eq!(only(bench.ask(&Ask::subscribe().branch("new").with("Call-ID", "new"))).start(), "SIP/2.0 200 OK");
}

#[test]
fn a_user_whose_document_is_withheld_may_have_one_somewhere() {
    let mut bench = Bench::placed();
    let carl = Ask::subscribe().user("carl");
    assert_eq!(only(bench.ask(&carl)).start(), "SIP/2.0 403 Forbidden");
    bench.notifier.withhold(HashSet::from([Bench::aor("carl")]));
    assert_eq!(only(bench.ask_from(NOWHERE, &carl.clone().branch("x").with("Call-ID", "x"))).start(), "SIP/2.0 503 Service Unavailable");
    assert_eq!(only(bench.ask(&carl.branch("y").with("Call-ID", "y"))).start(), "SIP/2.0 200 OK");
    let notify = bench.publish_at(&Resource::User(Bench::aor("carl")), 1, "berlin");
    assert_eq!(bench.accept(notify), "berlin");
}

#[test]
fn the_profile_of_the_network_is_asked_for_without_a_user() {
    // RFC 6080 §5.1.4.1.
    let ask = Ask::subscribe()
        .line("SUBSCRIBE sip:_sipuaconfig.corp.example SIP/2.0")
        .with("From", "<sip:anonymous@corp.example>;tag=phone")
        .with("To", "<sip:_sipuaconfig.corp.example>");
    for event in ["ua-profile;profile-type=\"local-network\"", "ua-profile;profile-type=Local-Network", "ua-profile"] {
        let mut bench = Bench::placed();
        assert_eq!(only(bench.ask_from(IN_ROME, &ask.clone().with("Event", event))).start(), "SIP/2.0 200 OK", "{event}");
        assert_eq!(bench.questions(), [Question::Want(Resource::LocalNetwork, site(2))]);
        let notify = bench.publish_at(&Resource::LocalNetwork, 2, "rome");
        assert_eq!(bench.accept(notify), "rome");
        // Who is nowhere gets what is known there.
        bench.ask_from(NOWHERE, &ask.clone().with("Event", event).with("Call-ID", "2").branch("2"));
        assert_eq!(bench.questions(), [Question::Want(Resource::LocalNetwork, site(0))]);
        let notify = bench.publish_at(&Resource::LocalNetwork, 0, "nowhere");
        assert_eq!(bench.accept(notify), "nowhere");
    }
}

#[test]
fn the_networks_subscribers_are_limited_by_address() {
    let config = NotifierConfig { auth: AuthMode::Open, subscriptions_per_source_max: 2, ..NotifierConfig::default() };
    let mut bench = Bench::with(config);
    bench.network(&NETWORKS);
    let ask = |n: usize| {
        let event = "ua-profile;profile-type=local-network";
        Ask::subscribe().with("Event", event).with("Call-ID", &format!("{n}")).branch(&format!("{n}"))
    };
    let mut start = |from: &str, n| bench.ask_from(from, &ask(n))[0].start().to_owned();
    assert_eq!([start(PHONE, 1), start(PHONE, 2), start(PHONE, 3)].map(|line| line[8..11].to_owned()), ["200", "200", "503"]);
    assert_eq!(&start(IN_ROME, 4)[8..11], "200");
}

#[test]
fn a_device_is_known_by_its_address_or_its_instance() {
    let mut bench = Bench::placed();
    let (mac, urn) = (DeviceId::parse("001565F4F9E1").unwrap(), DeviceId::parse("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6").unwrap());
    bench.notifier.set_devices(bench.now, HashSet::from([mac.clone(), urn.clone()]));
    let ask = |uri: &str, event: &str| {
        Ask::subscribe()
            .line(&format!("SUBSCRIBE {uri} SIP/2.0"))
            .with("Event", event)
            .with("From", "<sip:anonymous@corp.example>;tag=phone")
            .with("Call-ID", uri)
            .branch(&uri.replace([':', '@', '%'], "-"))
    };
    let device = "ua-profile;profile-type=\"device\"";
    for (ask, id) in [
        (ask("sip:MAC%3a001565F4F9E1@corp.example", device), &mac),
        (ask("sip:MAC001565f4f9e1@corp.example", "ua-profile"), &mac),
        (ask("sip:urn%3auuid%3aF81D4FAE-7dec-11d0-a765-00a0c91e6bf6@corp.example", device), &urn),
        (ask("sip:urn%3auuid%3a00000000-0000-1000-0000-001565f4f9e1@corp.example", device), &mac),
        (
            ask("sip:corp.example", device)
                .with("Contact", "<sip:192.0.2.1>;+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\""),
            &urn,
        ),
    ] {
        let sent = bench.ask(&ask);
        assert_eq!(sent[0].start(), "SIP/2.0 200 OK", "{}", ask.text());
        for notify in &sent[1..] {
            bench.answer(notify, "200 OK");
        }
        let resource = Resource::Device(id.clone());
        let notify = bench.publish_at(&resource, 1, &format!("{id} {}", ask.text().len()));
        assert!(notify.iter().any(|notify| notify.field("Call-ID").is_some_and(|call| ask.text().contains(call))), "{}", ask.text());
        for notify in &notify {
            bench.answer(notify, "200 OK");
        }
    }
    // RFC 6080 §6.6.
    let unknown = ask("sip:MAC%3a001565F4F9E2@corp.example", device);
    assert_eq!(only(bench.ask(&unknown)).start(), "SIP/2.0 404 Not Found");
    // A device that is gone.
    bench.notifier.set_devices(bench.now, HashSet::from([urn]));
    let sent = bench.sent();
    assert_eq!(sent.len(), 3, "those that asked for the MAC address");
    assert!(sent.iter().all(|sent| sent.field("Subscription-State") == Some("terminated;reason=noresource")));
}

#[test]
fn a_phone_somewhere_answers_for_its_change_too() {
    let mut bench = Bench::placed();
    bench.ask(&Ask::subscribe());
    let notify = bench.publish_at(&anna(), 1, "berlin");
    bench.accept(notify);
    bench.notifier.waves().begin(bench.now, 1);
    let notify = bench.publish_at(&anna(), 1, "berlin 2");
    bench.notifier.waves().end();
    assert_eq!(bench.accept(notify), "berlin 2");
    let (over, going) = bench.notifier.waves().news(bench.now, true);
    assert_eq!(over.iter().map(|wave| (wave.phones, wave.sent, wave.answered)).collect::<Vec<_>>(), [(1, 1, 1)], "{going:?}");
}
