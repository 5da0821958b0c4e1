//! A notifier on a bench: what is put in, and what comes out, as text.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use regex::Regex;

use crate::document::{Document, profile};
use crate::model::Aor;
use crate::sip::transaction::{SendError, SendFailure, Target, Transmit};
use crate::sip::{Message, Path, Transport};
use crate::subscription::{AuthMode, Notifier, NotifierConfig};

pub(super) const PHONE: &str = "192.0.2.1:5060";
const SERVER: &str = "192.0.2.9:5060";

/// A SUBSCRIBE, or another request, from the lines that it consists of.
#[derive(Clone)]
pub(super) struct Ask {
    line: String,
    fields: Vec<(String, String)>,
}

impl Ask {
    /// What Anna's phone sends first; every field can be set or left out.
    pub(super) fn subscribe() -> Self {
        let fields = [
            ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;rport"),
            ("Max-Forwards", "70"),
            ("From", "Anna <sip:anna@corp.example>;tag=phone"),
            ("To", "<sip:anna@corp.example>"),
            ("Call-ID", "call-1@192.0.2.1"),
            ("CSeq", "1 SUBSCRIBE"),
            ("Contact", "<sip:anna@192.0.2.1:5060>"),
            ("Event", "ua-profile;profile-type=\"user\";vendor=\"acme\";model=\"1\";version=\"2\""),
            ("Accept", "application/vnd.dialcast.profile+xml"),
            ("Expires", "300"),
            ("Content-Length", "0"),
        ];
        Self {
            line: "SUBSCRIBE sip:anna@corp.example SIP/2.0".to_owned(),
            fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        }
    }

    /// Another method, in the request line and in CSeq.
    pub(super) fn method(mut self, method: &str) -> Self {
        self.line = self.line.replacen("SUBSCRIBE", method, 1);
        self.with("CSeq", &format!("1 {method}"))
    }

    pub(super) fn line(mut self, line: &str) -> Self {
        self.line = line.to_owned();
        self
    }

    /// Sets a field.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(n, _)| n == name) {
            Some((_, held)) => *held = value.to_owned(),
            None => self.fields.insert(self.fields.len() - 1, (name.to_owned(), value.to_owned())),
        }
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(n, _)| n != name);
        self
    }

    /// For another user.
    pub(super) fn user(self, user: &str) -> Self {
        let mut ask = self.with("Call-ID", &format!("call-{user}@192.0.2.1"));
        ask.line = ask.line.replace("anna", user);
        for (_, value) in &mut ask.fields {
            *value = value.replace("anna", user);
        }
        ask.branch(user)
    }

    pub(super) fn branch(self, branch: &str) -> Self {
        self.with("Via", &format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-{branch};rport"))
    }

    /// The same phone in its dialog: the tag of the answer, the next CSeq, another branch.
    pub(super) fn again(self, tag: &str, cseq: u32) -> Self {
        self.branch(&format!("again-{cseq}"))
            .with("To", &format!("<sip:anna@corp.example>;tag={tag}"))
            .with("CSeq", &format!("{cseq} SUBSCRIBE"))
            .line("SUBSCRIBE sip:192.0.2.9:5060 SIP/2.0")
    }

    pub(super) fn text(&self) -> String {
        let lines = self.fields.iter().map(|(name, value)| format!("{name}: {value}"));
        std::iter::once(self.line.clone()).chain(lines).collect::<Vec<_>>().join("\r\n") + "\r\n\r\n"
    }
}

/// A message that came out.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) transmit: Transmit,
    pub(super) text: String,
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Sent {
    /// Where it goes.
    pub(super) fn to(&self) -> String {
        match &self.transmit.to {
            Target::Path(Path { transport, remote, connection: None, .. }) => format!("{transport} {remote}"),
            Target::Path(Path { transport, connection: Some(id), .. }) => format!("{transport} #{id}"),
            Target::Host { transport, host, port, .. } => format!("{transport} {host} {port}"),
        }
    }

    pub(super) fn start(&self) -> &str {
        self.text.split("\r\n").next().unwrap()
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap();
        head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(super) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").unwrap().1
    }

    /// Our tag: that of To in an answer.
    pub(super) fn tag(&self) -> String {
        self.field("To").unwrap().rsplit_once(";tag=").unwrap().1.to_owned()
    }

    /// The whole message with what is random left out.
    pub(super) fn shown(&self) -> String {
        static RANDOM: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
            let of = |pattern, shown| (Regex::new(pattern).unwrap(), shown);
            [
                of(r"tag=[0-9a-f]{24}", "tag=DIALOG"),
                of(r"tag=[0-9a-f]{8}\b", "tag=STATELESS"),
                of(r"z9hG4bK[0-9a-f]{24}", "BRANCH"),
                of(r#"nonce="[^"]*""#, "nonce=\"NONCE\""),
            ]
        });
        let text = self.text.replace("\r\n", "\n");
        let text = RANDOM.iter().fold(text, |text, (regex, shown)| regex.replace_all(&text, *shown).into_owned());
        format!("→ {}\n{}", self.to(), text.trim_end())
    }
}

pub(super) struct Bench {
    pub(super) notifier: Notifier,
    pub(super) now: Instant,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(NotifierConfig { auth: AuthMode::Open, ..NotifierConfig::default() })
    }

    /// Anna's document is there, and Ben's.
    pub(super) fn with(config: NotifierConfig) -> Self {
        let mut bench = Self { notifier: Notifier::new(config, [1; 32]), now: Instant::now() };
        bench.publish("anna", "<anna v=\"1\"/>");
        bench.publish("ben", "<ben v=\"1\"/>");
        bench
    }

    pub(super) fn aor(user: &str) -> Aor {
        format!("sip:{user}@corp.example").parse().unwrap()
    }

    pub(super) fn publish(&mut self, user: &str, body: &str) -> Vec<Sent> {
        let document = Document::new(profile::CONTENT_TYPE, body.as_bytes());
        self.notifier.publish(self.now, &Self::aor(user), document);
        self.sent()
    }

    pub(super) fn ask(&mut self, ask: &Ask) -> Vec<Sent> {
        self.message(PHONE, None, ask.text().as_bytes())
    }

    pub(super) fn message(&mut self, from: &str, connection: Option<u64>, bytes: &[u8]) -> Vec<Sent> {
        let transport = if connection.is_some() { Transport::Tcp } else { Transport::Udp };
        let path = Path { transport, local: SERVER.parse().unwrap(), remote: from.parse().unwrap(), connection };
        self.notifier.handle_message(self.now, path, bytes);
        self.sent()
    }

    /// The phone answers a NOTIFY.
    pub(super) fn answer(&mut self, notify: &Sent, status: &str) -> Vec<Sent> {
        self.answer_with(notify, status, "")
    }

    pub(super) fn answer_with(&mut self, notify: &Sent, status: &str, fields: &str) -> Vec<Sent> {
        let copied: String =
            ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| format!("{name}: {}\r\n", notify.field(name).unwrap())).concat();
        self.message(PHONE, None, format!("SIP/2.0 {status}\r\n{copied}{fields}Content-Length: 0\r\n\r\n").as_bytes())
    }

    pub(super) fn fail(&mut self, sent: &Sent, error: SendError) -> Vec<Sent> {
        let failure = SendFailure { to: sent.transmit.to.clone(), ticket: sent.transmit.ticket, error };
        self.notifier.handle_send_error(self.now, &failure);
        self.sent()
    }

    /// Time passes until something is sent. Gives how much.
    pub(super) fn until_sent(&mut self) -> (Duration, Vec<Sent>) {
        let begin = self.now;
        while let Some(next) = self.notifier.poll_timeout() {
            self.now = self.now.max(next);
            self.notifier.handle_timeout(self.now);
            let sent = self.sent();
            if !sent.is_empty() {
                return (self.now - begin, sent);
            }
        }
        panic!("nothing will ever be sent");
    }

    /// Time passes; everything happens when it is due.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<Sent> {
        let until = self.now + time;
        let mut sent = Vec::new();
        while let Some(next) = self.notifier.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.notifier.handle_timeout(self.now);
            sent.extend(self.sent());
        }
        self.now = until;
        sent
    }

    pub(super) fn sent(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(transmit) = self.notifier.poll_transmit() {
            let text = String::from_utf8(transmit.bytes.to_vec()).unwrap();
            // An answer copies what its request was broken by.
            let is_whole = Message::parse(&transmit.bytes).is_ok() || text.starts_with("SIP/2.0 400") || text.starts_with("SIP/2.0 505");
            assert!(is_whole, "what goes out can be read:\n{text}");
            sent.push(Sent { transmit, text });
        }
        sent
    }

    /// Anna subscribes and confirms the first NOTIFY. Gives the tag of the dialog.
    pub(super) fn subscribed(&mut self) -> String {
        self.subscribed_by(&Ask::subscribe())
    }

    pub(super) fn subscribed_by(&mut self, ask: &Ask) -> String {
        let [ok, notify] = self.ask(ask).try_into().unwrap();
        assert_eq!(ok.start(), "SIP/2.0 200 OK");
        assert_eq!(self.answer(&notify, "200 OK").len(), 0);
        ok.tag()
    }
}

/// All of what came out, for a snapshot.
pub(super) fn shown(sent: &[Sent]) -> String {
    sent.iter().map(Sent::shown).collect::<Vec<_>>().join("\n\n")
}

/// The one message that came out.
pub(super) fn only(sent: Vec<Sent>) -> Sent {
    let [one] = sent.try_into().unwrap_or_else(|sent: Vec<Sent>| panic!("one message, not {sent:#?}"));
    one
}
