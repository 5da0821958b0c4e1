//! What one NOTIFY costs, without a socket: `cargo test --release --lib speed -- --nocapture`.

use std::time::{Duration, Instant};

use crate::document::{Document, profile};
use crate::model::Aor;
use crate::sip::{Message, Name, Path, Request, Response, Transport};
use crate::subscription::{AuthMode, Notifier, NotifierConfig};

/// As many as show the cost without taking long in a debug build.
const SUBSCRIBERS: usize = if cfg!(debug_assertions) { 300 } else { 100_000 };
const ROUNDS: u32 = 3;

fn path() -> Path {
    Path {
        transport: Transport::Udp,
        local: "192.0.2.9:5060".parse().unwrap(),
        remote: "192.0.2.1:5060".parse().unwrap(),
        connection: None,
    }
}

fn subscribe(user: usize) -> Vec<u8> {
    let aor = format!("sip:user{user}@corp.example");
    Request::new("SUBSCRIBE", &aor)
        .via(Transport::Udp, "192.0.2.1:5060", &format!("z9hG4bK-{user}"))
        .from(&format!("<{aor}>;tag={user}"))
        .to(&format!("<{aor}>"))
        .call_id(&format!("{user}@192.0.2.1"))
        .cseq(1)
        .max_forwards(70)
        .header(Name::Contact, &format!("<sip:user{user}@192.0.2.1:5060>"))
        .header(Name::Event, "ua-profile;profile-type=\"user\";vendor=\"acme\";model=\"1\";version=\"2\"")
        .header(Name::Expires, "3600")
        .encode()
}

/// Takes out what is to be sent; gives the answers to the NOTIFYs, and how many octets went out.
fn answers(notifier: &mut Notifier) -> (Vec<Vec<u8>>, Duration) {
    let mut sent = Vec::new();
    let begin = Instant::now();
    while let Some(transmit) = notifier.poll_transmit() {
        sent.push(transmit.bytes);
    }
    let took = begin.elapsed();
    let answer = |bytes: &std::sync::Arc<[u8]>| {
        let message = Message::parse(bytes).unwrap();
        message.method().map(|_| Response::to(&message, 200, "").encode())
    };
    (sent.iter().filter_map(answer).collect(), took)
}

#[test]
fn a_notify_and_its_answer() {
    let config = NotifierConfig {
        auth: AuthMode::Open,
        notify_rate: 0,
        in_flight_max: usize::MAX,
        udp_max_request_bytes: usize::MAX,
        ..NotifierConfig::default()
    };
    let mut notifier = Notifier::new(config, [1; 32]);
    let aors: Vec<Aor> = (0..SUBSCRIBERS).map(|user| format!("sip:user{user}@corp.example").parse().unwrap()).collect();
    let document = |user: usize, round: u32| Document::new(profile::CONTENT_TYPE, format!("{user} {round} {:2048}", "").into_bytes());
    let mut now = Instant::now();
    for (user, aor) in aors.iter().enumerate() {
        notifier.publish(now, aor, document(user, 0));
    }
    let requests: Vec<Vec<u8>> = (0..SUBSCRIBERS).map(subscribe).collect();
    let begin = Instant::now();
    for request in &requests {
        notifier.handle_message(now, path(), request);
    }
    let mut subscribing = begin.elapsed();
    let (replies, took) = answers(&mut notifier);
    subscribing += took;
    assert_eq!(replies.len(), SUBSCRIBERS);
    let begin = Instant::now();
    for reply in &replies {
        notifier.handle_message(now, path(), reply);
    }
    subscribing += begin.elapsed();

    let mut notifying = Duration::ZERO;
    for round in 1..=ROUNDS {
        now += Duration::from_secs(1);
        let documents: Vec<Document> = (0..SUBSCRIBERS).map(|user| document(user, round)).collect();
        let begin = Instant::now();
        for (aor, document) in aors.iter().zip(documents) {
            notifier.publish(now, aor, document);
        }
        notifying += begin.elapsed();
        let (replies, took) = answers(&mut notifier);
        notifying += took;
        let begin = Instant::now();
        for reply in &replies {
            notifier.handle_message(now, path(), reply);
        }
        notifier.handle_timeout(now);
        notifying += begin.elapsed();
        assert_eq!(replies.len(), SUBSCRIBERS);
    }
    let each = |time: Duration, n: usize| time.as_secs_f64() * 1e6 / f64::from(u32::try_from(n).unwrap());
    assert_eq!(notifier.counters().accepted, u64::try_from(SUBSCRIBERS).unwrap() * u64::from(ROUNDS + 1));
    println!("{SUBSCRIBERS} subscribers, 2 KiB each:");
    println!("  SUBSCRIBE, 200, NOTIFY, 200: {:.2} µs", each(subscribing, SUBSCRIBERS));
    println!("  publish, NOTIFY, 200:        {:.2} µs", each(notifying, SUBSCRIBERS * usize::try_from(ROUNDS).unwrap()));
}
