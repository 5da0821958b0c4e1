//! A server whose every message a test writes itself.

use std::time::{Duration, Instant};

use crate::agent::subscriber::{Event, Login, Subscriber, SubscriberConfig};
use crate::model::Secret;
use crate::sip::transaction::{SendError, SendFailure, Target, Transmit};
use crate::sip::{Message, Method, Name, Path, Transport};

pub(super) const SERVER: &str = "192.0.2.9:5060";
pub(super) const PHONE: &str = "192.0.2.1:5090";

pub(super) fn path(transport: Transport) -> Path {
    Path { transport, local: PHONE.parse().unwrap(), remote: SERVER.parse().unwrap(), connection: None }
}

pub(super) fn config(transport: Transport) -> SubscriberConfig {
    SubscriberConfig::new("sip:anna@corp.example".parse().unwrap(), Target::Path(path(transport)), PHONE.parse().unwrap())
}

pub(super) fn with_login(config: SubscriberConfig) -> SubscriberConfig {
    SubscriberConfig { login: Some(Login { username: "anna".to_owned(), password: Secret::new("secret") }), ..config }
}

pub(super) struct Bench {
    pub(super) subscriber: Subscriber,
    pub(super) start: Instant,
    pub(super) now: Instant,
    /// Counts the NOTIFYs.
    pub(super) cseq: u32,
    /// The last SUBSCRIBE that was seen.
    pub(super) ask: String,
    transport: Transport,
}

impl Bench {
    pub(super) fn new(config: SubscriberConfig) -> Self {
        let now = Instant::now();
        let transport = config.server.transport();
        let mut subscriber = Subscriber::new(config, [7; 32]);
        subscriber.subscribe(now);
        Self { subscriber, start: now, now, cseq: 0, ask: String::new(), transport }
    }

    pub(super) fn udp() -> Self {
        Self::new(config(Transport::Udp))
    }

    /// One that is subscribed for `expires_s`.
    pub(super) fn open(expires_s: u32) -> Self {
        let mut bench = Self::new(SubscriberConfig { expires_s, ..config(Transport::Udp) });
        let ask = bench.sent();
        bench.answer(&ask, 200, &format!("Expires: {expires_s}\r\n"));
        bench.notify(&ask, &format!("Subscription-State: active;expires={expires_s}\r\n"), "");
        bench.sent();
        bench.events();
        bench
    }

    /// Takes the next message out.
    pub(super) fn next(&mut self) -> Option<Transmit> {
        self.subscriber.poll_transmit()
    }

    /// The one message that is out.
    pub(super) fn sent(&mut self) -> String {
        let text = text(&self.next().expect("a message"));
        assert!(self.next().is_none(), "one message");
        if text.starts_with("SUBSCRIBE") {
            self.ask.clone_from(&text);
        }
        text
    }

    /// Lets time pass until a message goes out.
    pub(super) fn wait(&mut self) -> String {
        loop {
            if let Some(transmit) = self.next() {
                let text = text(&transmit);
                self.ask.clone_from(&text);
                return text;
            }
            self.now = self.subscriber.poll_timeout().expect("nothing will ever be sent").max(self.now);
            self.subscriber.handle_timeout(self.now);
        }
    }

    pub(super) fn silent(&mut self) {
        if let Some(transmit) = self.next() {
            panic!("sent: {}", text(&transmit));
        }
    }

    /// Everything that happened, in short.
    pub(super) fn events(&mut self) -> String {
        let mut all = Vec::new();
        while let Some(event) = self.subscriber.poll_event() {
            all.push(match event {
                Event::Subscribed { expires } => format!("subscribed {}s", expires.as_secs()),
                Event::Received(document) => {
                    format!("document {} {:?} {}", document.content_type, document.etag, String::from_utf8_lossy(&document.body))
                }
                Event::Nothing => "nothing".to_owned(),
                Event::Trouble { why, retry } => format!("trouble: {why}; again in {}s", retry.as_secs()),
                Event::Over(outcome) => format!("over: {outcome}"),
            });
        }
        all.join("\n")
    }

    /// Lets time pass, doing what is due when it is.
    pub(super) fn pass(&mut self, seconds: f64) {
        let until = self.now + Duration::from_secs_f64(seconds);
        while let Some(at) = self.subscriber.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.subscriber.handle_timeout(self.now);
        }
        self.now = until;
    }

    /// Seconds since the start.
    pub(super) fn at(&self) -> f64 {
        (self.now - self.start).as_secs_f64()
    }

    /// Answers a request of the subscriber's.
    pub(super) fn answer(&mut self, request: &str, status: u16, fields: &str) {
        let request = Message::parse(request.as_bytes()).unwrap();
        let line = |name: Name<'static>| format!("{name}: {}\r\n", request.header(name).unwrap());
        let to = if request.to().unwrap().tag().is_some() { line(Name::To) } else { line(Name::To).replace("\r\n", ";tag=server\r\n") };
        let text = format!(
            "SIP/2.0 {status} {}\r\n{}{}{to}{}{}Contact: <sip:{SERVER}>\r\n{fields}\r\n",
            crate::sip::reason_phrase(status),
            line(Name::Via),
            line(Name::From),
            line(Name::CallId),
            line(Name::CSeq)
        );
        self.subscriber.handle_message(self.now, path(self.transport), text.as_bytes());
    }

    /// The NOTIFY that belongs to a SUBSCRIBE, with the next CSeq.
    pub(super) fn notify_text(&mut self, request: &str, fields: &str, body: &str) -> String {
        self.cseq += 1;
        let request = Message::parse(request.as_bytes()).unwrap();
        let (from, call_id) = (request.header(Name::From).unwrap(), request.call_id().unwrap());
        let kind = if body.is_empty() { "" } else { "Content-Type: application/vnd.dialcast.profile+xml\r\n" };
        format!(
            "NOTIFY sip:{PHONE} SIP/2.0\r\nVia: SIP/2.0/{transport} {SERVER};branch=z9hG4bKn{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:anna@corp.example>;tag=server\r\nTo: {from}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} NOTIFY\r\n\
             Contact: <sip:{SERVER}>\r\nEvent: ua-profile\r\n{kind}{fields}Content-Length: {length}\r\n\r\n{body}",
            transport = self.transport,
            cseq = self.cseq,
            length = body.len()
        )
    }

    pub(super) fn notify(&mut self, request: &str, fields: &str, body: &str) {
        let text = self.notify_text(request, fields, body);
        self.receive(&text);
    }

    pub(super) fn receive(&mut self, text: &str) {
        self.subscriber.handle_message(self.now, path(self.transport), text.as_bytes());
    }

    /// A message did not go out.
    pub(super) fn fail(&mut self, transmit: &Transmit, error: SendError) {
        let failure = SendFailure { to: transmit.to.clone(), ticket: transmit.ticket, error };
        self.subscriber.handle_send_error(self.now, &failure);
    }
}

pub(super) fn text(transmit: &Transmit) -> String {
    String::from_utf8(transmit.bytes.to_vec()).unwrap()
}

/// The value of a field.
pub(super) fn field(text: &str, name: Name<'static>) -> String {
    Message::parse(text.as_bytes()).unwrap().header(name).unwrap_or("-").to_owned()
}

/// `SUBSCRIBE 2 expires 600` or `200`.
pub(super) fn short(text: &str) -> String {
    if let Some(status) = text.strip_prefix("SIP/2.0 ") {
        return status.split(' ').next().unwrap().to_owned();
    }
    let message = Message::parse(text.as_bytes()).unwrap();
    assert_eq!(message.method(), Some(Method::Subscribe));
    format!("SUBSCRIBE {} expires {}", message.cseq().unwrap().0, message.expires().unwrap().unwrap())
}
