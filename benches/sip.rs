//! Reading and writing SIP against the floor (one pass over the same octets, one copy of them) and, with the feature, against `rsip`.
//!
//! `cargo bench --bench sip --features rsip`. Everything is measured in the same run, alternating, and printed as ratios: the absolute
//! numbers belong to the machine, the ratios less so.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use dialcast::sip::digest::{Algorithm, Challenge, Credentials, Ha1, verify};
use dialcast::sip::{Message, Method, Name, Request, Response, Transport};

const SUBSCRIBE: &str = "SUBSCRIBE sip:anna.berg@corp.example SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.31:5059;branch=z9hG4bK776asdhds776;rport\r\n\
    Max-Forwards: 70\r\n\
    From: \"Anna Berg\" <sip:anna.berg@corp.example>;tag=456248afe1\r\n\
    To: <sip:anna.berg@corp.example>\r\n\
    Call-ID: 843817637684230998sdasdh09@192.0.2.31\r\n\
    CSeq: 1826 SUBSCRIBE\r\n\
    Contact: <sip:anna.berg@192.0.2.31:5059;transport=udp>\r\n\
    Event: ua-profile;profile-type=\"user\";vendor=\"vendor.example\";model=\"Z100\";version=\"1.2.3\"\r\n\
    Accept: application/vnd.dialcast.profile+xml, application/xml;q=0.5\r\n\
    Supported: gruu, outbound\r\n\
    Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, NOTIFY, MESSAGE\r\n\
    Allow-Events: ua-profile, presence, message-summary, check-sync, refer\r\n\
    Expires: 86400\r\n\
    User-Agent: Z100/1.2.3 (00:11:22:33:44:55; corp.example)\r\n\
    Content-Length: 0\r\n\r\n";

/// What is looked at in a SUBSCRIBE.
fn typed(bytes: &[u8]) -> u32 {
    let message = Message::parse(bytes).unwrap();
    let uri = message.request_uri().unwrap();
    let (via, from, to) = (message.via().unwrap(), message.from().unwrap(), message.to().unwrap());
    let (event, contact) = (message.event().unwrap().unwrap(), message.contact().unwrap().unwrap());
    let accept = message.accepts("application/vnd.dialcast.profile+xml");
    black_box((uri, via.branch(), from.tag(), to.tag(), message.call_id().unwrap(), event.param("profile-type"), contact, accept));
    message.cseq().unwrap().0 + message.expires().unwrap().unwrap()
}

fn notify(body: &[u8]) -> Vec<u8> {
    Request::new(Method::Notify, "sip:anna.berg@192.0.2.31:5059;transport=udp")
        .via(Transport::Udp, "192.0.2.1:5060", "z9hG4bKd41f2c1e0b7a")
        .max_forwards(70)
        .from("<sip:anna.berg@corp.example>;tag=d3a9e3f1")
        .to("\"Anna Berg\" <sip:anna.berg@corp.example>;tag=456248afe1")
        .call_id("843817637684230998sdasdh09@192.0.2.31")
        .cseq(17)
        .header(Name::Contact, "<sip:192.0.2.1:5060>")
        .header(Name::Event, "ua-profile;effective-by=0")
        .header(Name::SubscriptionState, "active;expires=86399")
        .body("application/vnd.dialcast.profile+xml", body)
        .encode()
}

#[cfg(feature = "rsip")]
mod theirs {
    use super::SUBSCRIBE;
    use rsip::headers::{ToTypedHeader, UntypedHeader, untyped};
    use rsip::message::{HasHeaders, HeadersExt};
    use rsip::{Header, SipMessage};
    use std::hint::black_box;

    /// The same fields as [`super::typed`], as far as `rsip` has types for them.
    pub(crate) fn typed() -> u32 {
        let message = SipMessage::try_from(SUBSCRIBE.as_bytes()).unwrap();
        let (via, from, to) = (
            message.via_header().unwrap().typed().unwrap(),
            message.from_header().unwrap().typed().unwrap(),
            message.to_header().unwrap().typed().unwrap(),
        );
        let contact = message.contact_header().unwrap().typed().unwrap();
        let cseq = message.cseq_header().unwrap().typed().unwrap();
        black_box((&via, &from, &to, message.call_id_header().unwrap(), &contact, message.headers().iter().count()));
        cseq.seq
    }

    pub(crate) fn untyped_only() -> usize {
        SipMessage::try_from(SUBSCRIBE.as_bytes()).unwrap().headers().iter().count()
    }

    pub(crate) fn notify(body: &[u8]) -> Vec<u8> {
        let headers: Vec<Header> = vec![
            untyped::Via::new("SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKd41f2c1e0b7a").into(),
            untyped::MaxForwards::new("70").into(),
            untyped::From::new("<sip:anna.berg@corp.example>;tag=d3a9e3f1").into(),
            untyped::To::new("\"Anna Berg\" <sip:anna.berg@corp.example>;tag=456248afe1").into(),
            untyped::CallId::new("843817637684230998sdasdh09@192.0.2.31").into(),
            untyped::CSeq::new("17 NOTIFY").into(),
            untyped::Contact::new("<sip:192.0.2.1:5060>").into(),
            untyped::Event::new("ua-profile;effective-by=0").into(),
            Header::Other("Subscription-State".into(), "active;expires=86399".into()),
            untyped::ContentType::new("application/vnd.dialcast.profile+xml").into(),
            untyped::ContentLength::new(body.len().to_string()).into(),
        ];
        let uri = rsip::Uri::try_from("sip:anna.berg@192.0.2.31:5059;transport=udp").unwrap();
        let request =
            rsip::Request { method: rsip::Method::Notify, uri, version: rsip::Version::V2, headers: headers.into(), body: body.to_vec() };
        request.into()
    }
}

type Run = Box<dyn FnMut()>;

/// A name, and what is measured under it.
type Task = (&'static str, Run);

/// Nanoseconds of one call of each: the best of eleven rounds that take turns, so that whatever else the machine does hits all alike.
fn measure(tasks: &mut [Task]) -> Vec<f64> {
    let mut best = vec![f64::INFINITY; tasks.len()];
    for _ in 0..11 {
        for ((_, task), best) in tasks.iter_mut().zip(&mut best) {
            let (start, mut calls) = (Instant::now(), 0u32);
            while start.elapsed() < Duration::from_millis(20) {
                for _ in 0..32 {
                    task();
                }
                calls += 32;
            }
            *best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
        }
    }
    best
}

/// Measures and prints; the first task is the floor, and `rsip: x` is what `x` is compared with.
fn table(title: &str, mut tasks: Vec<Task>) {
    let times = measure(&mut tasks);
    println!("\n{title}");
    for ((name, _), time) in tasks.iter().zip(&times) {
        let floor = format!("{:.1} x the floor", time / times.first().unwrap_or(time));
        let theirs = tasks.iter().zip(&times).find(|((other, _), _)| other.strip_prefix("rsip: ") == Some(name));
        let rsip = theirs.map_or(String::new(), |(_, theirs)| format!("   1/{:.1} of rsip", theirs / time));
        println!("  {name:<44} {time:>9.0} ns   {floor:>18}{rsip}");
    }
}

fn task<T>(mut run: impl FnMut() -> T + 'static) -> Run {
    Box::new(move || {
        black_box(run());
    })
}

fn main() {
    let bytes = SUBSCRIBE.as_bytes();
    let mut tasks = vec![
        (
            "floor: one pass for line feeds",
            task(move || black_box(bytes).iter().fold(0u8, |sum, b| sum.wrapping_add(u8::from(*b == b'\n')))),
        ),
        ("parse", task(move || Message::parse(black_box(bytes)).unwrap().body().len())),
        ("parse and take apart", task(move || typed(black_box(bytes)))),
    ];
    #[cfg(feature = "rsip")]
    tasks.extend([("rsip: parse", task(theirs::untyped_only)), ("rsip: parse and take apart", task(theirs::typed))]);
    tasks.push((
        "sipx-sip: parse",
        task(move || sipx_sip::parse_datagram(black_box(bytes).to_vec().into(), &sipx_sip::Limits::datagram()).unwrap().body().len()),
    ));
    // Taken apart are the ten fields that a notifier reads; `rsip` has types for six of them.
    table(&format!("Reading a SUBSCRIBE of {} octets", bytes.len()), tasks);

    let body: &'static [u8] = Box::leak(vec![b'x'; 2048].into_boxed_slice());
    let whole = notify(body);
    let length = whole.len();
    let tasks = vec![("floor: one copy", task(move || black_box(&whole).clone())), ("write", task(move || notify(black_box(body))))];
    #[cfg(feature = "rsip")]
    let tasks = tasks.into_iter().chain([("rsip: write", task(move || theirs::notify(black_box(body))))]).collect();
    table(&format!("Writing a NOTIFY of {length} octets"), tasks);

    let request: &'static Message<'static> = Box::leak(Box::new(Message::parse(bytes).unwrap()));
    let answer = move || {
        let response = Response::to(request, 200, "OK").via_received("198.51.100.7:5059".parse().unwrap()).to_tag("d3a9e3f1");
        response.header(Name::Contact, "<sip:192.0.2.1:5060>").header(Name::Expires, "86400").encode()
    };
    let whole = answer();
    let title = format!("Answering it, {} octets", whole.len());
    table(&title, vec![("floor: one copy", task(move || black_box(&whole).clone())), ("write", task(answer))]);

    credentials();
    worst();
}

fn credentials() {
    let ha1 = Ha1::new(Algorithm::Sha256, "anna", "corp.example", "secret");
    let challenge = Challenge::new(Algorithm::Sha256, "corp.example", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v");
    let answer = dialcast::sip::digest::Answer {
        username: "anna",
        method: "SUBSCRIBE",
        uri: "sip:anna.berg@corp.example",
        cnonce: "f2wE4q74E6zIJEtWaHKaf5wv",
        nonce_count: 1,
    };
    let text: &'static str = Credentials::answer(&challenge, &ha1, &answer).unwrap().to_string().leak();
    table(
        "Authentication (SHA-256)",
        vec![
            ("floor: the three hashes' input in one pass", task(move || black_box(text).bytes().filter(|b| *b == b'"').count())),
            ("parse credentials", task(move || Credentials::parse(black_box(text)).unwrap().userhash)),
            ("parse and verify", task(move || verify(&Credentials::parse(black_box(text)).unwrap(), &ha1, "SUBSCRIBE"))),
        ],
    );
}

/// Datagrams made to cost as much as they can.
fn worst() {
    let with = |field: String| SUBSCRIBE.replace("Supported: gruu, outbound\r\n", &field).into_bytes();
    let cases: [(&str, Vec<u8>); 5] = [
        ("4,000 distinct header fields", with((0..4000).fold(String::new(), |all, n| format!("{all}X-{n}: {n}\r\n")))),
        ("8 KiB of parameters", with(format!("Contact: <sip:a@x>{}\r\n", ";a".repeat(4000)))),
        ("8 KiB of commas", with(format!("Contact: {}\r\n", ",".repeat(8000)))),
        ("8 KiB of open quotes and brackets", with(format!("Contact: {}\r\n", "\"<".repeat(4000)))),
        ("16 KiB of short lines", with("a:\r\n ".repeat(3000))),
    ];
    println!("\nDatagrams made to be expensive: parse, and look at every element of every field");
    for (name, bytes) in cases {
        let length = bytes.len();
        let look = move || {
            let parsed = Message::parse(black_box(&bytes));
            let message = match &parsed {
                Ok(message) => message,
                Err(malformed) => malformed.message.as_deref().unwrap(),
            };
            message.contacts().count() + message.all_headers().count() + usize::from(message.contact().is_ok())
        };
        let time = measure(&mut [(name, task(look))]);
        let time = time.first().copied().unwrap_or_default();
        println!(
            "  {name:<36} {length:>6} octets {:>8.1} us   {:>5.2} ns an octet",
            time / 1000.0,
            time / f64::from(u32::try_from(length).unwrap())
        );
    }
}
