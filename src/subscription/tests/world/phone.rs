//! A scripted phone: it subscribes, refreshes, ends, forgets; it answers, late, wrongly, or not at all.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rand::Rng as _;
use rand::rngs::StdRng;

use super::{SERVER, USERS, content, user_name};
use crate::sip::{Kind, Message, Name, Path, Request, Response, Transport};

pub(super) struct Phone {
    index: usize,
    pub(super) user: usize,
    pub(super) address: SocketAddr,
    transport: Transport,
    /// Its connection to the server, if it has one.
    pub(super) connection: Option<u64>,
    connections: u64,
    pub(super) listens_for_streams: bool,
    dialog: Option<Dialog>,
    calls: u32,
    pending: Option<Pending>,
    next_action: Instant,
    /// The newest document that it took, in whichever dialog.
    holds: Option<u64>,
}

struct Dialog {
    call_id: String,
    /// The notifier's tag, from a 2xx or from a NOTIFY that overtook it.
    tag: Option<String>,
    cseq: u32,
    /// The highest NOTIFY, its branch, and the answer that it got.
    notified: u32,
    branch: String,
    answer: Option<Vec<u8>>,
    version: u64,
}

/// A SUBSCRIBE without an answer.
struct Pending {
    cseq: u32,
    bytes: Vec<u8>,
    ends_dialog: bool,
    again: Instant,
    pause: Duration,
    until: Instant,
}

impl Phone {
    pub(super) fn new(index: usize, rng: &mut StdRng, start: Instant) -> Self {
        let transport = if rng.random_bool(0.3) { Transport::Tcp } else { Transport::Udp };
        Self {
            index,
            user: index % USERS,
            address: SocketAddr::from((Ipv4Addr::new(10, 0, 0, u8::try_from(index + 1).unwrap()), 5060)),
            transport,
            connection: None,
            connections: 0,
            listens_for_streams: rng.random_bool(0.5),
            dialog: None,
            calls: 0,
            pending: None,
            next_action: start + Duration::from_millis(rng.random_range(0..3000)),
            holds: None,
        }
    }

    pub(super) fn path(&self) -> Path {
        Path { transport: self.transport, local: SERVER.parse().unwrap(), remote: self.address, connection: None }
    }

    /// The way that a request goes: streams are opened when they are needed.
    pub(super) fn path_with_connection(&mut self) -> Path {
        if self.transport.is_reliable() && self.connection.is_none() {
            self.connections += 1;
            self.connection = Some(u64::try_from(self.index).unwrap() * 1_000_000 + self.connections);
        }
        Path { connection: self.connection, ..self.path() }
    }

    pub(super) fn loses_its_connection(&self, rng: &mut StdRng, is_good: bool) -> bool {
        !is_good && self.connection.is_some() && rng.random_bool(0.1)
    }

    pub(super) const fn holds(&self) -> Option<u64> {
        self.holds
    }

    pub(super) fn next_at(&self) -> Instant {
        self.pending.as_ref().map_or(self.next_action, |pending| pending.again.min(self.next_action))
    }

    /// From now on it does as it should, and says where it is.
    pub(super) fn behave(&mut self, now: Instant) {
        self.next_action = now;
    }

    /// It only answers, for a while.
    pub(super) fn rest(&mut self, now: Instant) {
        self.next_action = now + Duration::from_secs(200);
    }

    /// Does what is due; gives the request that it sends.
    pub(super) fn act(&mut self, now: Instant, rng: &mut StdRng, is_good: bool) -> Option<Vec<u8>> {
        if let Some(pending) = &mut self.pending {
            if now >= pending.until {
                // RFC 6665 §4.1.2.2: no answer: the dialog is given up.
                self.pending = None;
                self.dialog = None;
            } else if now >= pending.again {
                pending.pause = (pending.pause * 2).min(Duration::from_secs(4));
                pending.again = now + pending.pause;
                return Some(pending.bytes.clone());
            }
        }
        if now < self.next_action {
            return None;
        }
        let pause = if is_good { 60_000 } else { rng.random_range(500..12_000) };
        self.next_action = now + Duration::from_millis(pause);
        if self.pending.is_some() {
            return None;
        }
        if self.dialog.is_none() || !is_good && rng.random_bool(0.1) {
            // A phone that was restarted does not know its dialog.
            self.calls += 1;
            let call_id = format!("{}-{}", self.index, self.calls);
            let (tag, answer) = (None, None);
            self.dialog = Some(Dialog { call_id, tag, cseq: 0, notified: 0, branch: String::new(), answer, version: 0 });
            let is_fetch = !is_good && rng.random_bool(0.15);
            return Some(self.subscribe(now, if is_fetch { 0 } else { 300 }));
        }
        let ends = !is_good && rng.random_bool(0.2);
        Some(self.subscribe(now, if ends { 0 } else { 300 }))
    }

    fn subscribe(&mut self, now: Instant, expires_s: u32) -> Vec<u8> {
        let (user, index) = (user_name(self.user), self.index);
        let dialog = self.dialog.as_mut().unwrap();
        dialog.cseq += 1;
        let to = dialog.tag.as_ref().map_or_else(String::new, |tag| format!(";tag={tag}"));
        let uri = if dialog.tag.is_some() { format!("sip:{SERVER}") } else { format!("sip:{user}@corp.example") };
        let bytes = Request::new("SUBSCRIBE", &uri)
            .via(self.transport, &self.address.to_string(), &format!("z9hG4bK-{index}-{}-{}", dialog.call_id, dialog.cseq))
            .from(&format!("<sip:{user}@corp.example>;tag=p{index}"))
            .to(&format!("<sip:{user}@corp.example>{to}"))
            .call_id(&dialog.call_id)
            .cseq(dialog.cseq)
            .header(Name::Contact, &format!("<sip:{user}@{}>", self.address))
            .header(Name::Event, "ua-profile;profile-type=user")
            .header(Name::Expires, &expires_s.to_string())
            .encode();
        let pause = if self.transport.is_reliable() { Duration::from_secs(60) } else { Duration::from_millis(500) };
        let until = now + Duration::from_secs(32);
        let ends_dialog = expires_s == 0 && dialog.tag.is_some();
        self.pending =
            Some(Pending { cseq: dialog.cseq, bytes: bytes.clone(), ends_dialog, again: (now + pause).min(until), pause, until });
        bytes
    }

    /// A message reaches it; gives its answers, each with how late it comes.
    pub(super) fn receive(&mut self, now: Instant, rng: &mut StdRng, bytes: &[u8], is_good: bool) -> Vec<(Duration, Vec<u8>)> {
        let message = Message::parse(bytes).unwrap();
        match message.kind() {
            Kind::Response { status, .. } => {
                self.answered(now, &message, status);
                Vec::new()
            }
            Kind::Request { .. } => self.notified(now, rng, &message, is_good),
        }
    }

    fn answered(&mut self, now: Instant, response: &Message<'_>, status: u16) {
        let Some(dialog) = self.dialog.as_mut().filter(|dialog| response.call_id() == Ok(&dialog.call_id)) else { return };
        let is_pending = self.pending.as_ref().is_some_and(|pending| response.cseq().unwrap().0 == pending.cseq);
        if !is_pending {
            return;
        }
        let pending = self.pending.take().unwrap();
        if status != 200 {
            // RFC 6665 §4.1.2.2: the subscription is gone, or cannot be had: a new one, later.
            self.dialog = None;
            self.next_action = now + Duration::from_secs(2);
            return;
        }
        let tag = response.to().unwrap().tag().unwrap().to_owned();
        assert!(dialog.tag.as_ref().is_none_or(|known| *known == tag), "one dialog has one tag");
        dialog.tag = Some(tag);
        if pending.ends_dialog {
            // RFC 6665 §4.1.2.3: a last NOTIFY comes; it is refused here, as by phones that are in a hurry.
            self.dialog = None;
        }
    }

    fn notified(&mut self, now: Instant, rng: &mut StdRng, notify: &Message<'_>, is_good: bool) -> Vec<(Duration, Vec<u8>)> {
        let soon = Duration::from_millis(rng.random_range(1..50));
        let say = |status: u16| Response::to(notify, status, "").encode();
        assert_eq!(notify.to().unwrap().tag(), Some(format!("p{}", self.index).as_str()), "it is for this phone");
        let tag = notify.from().unwrap().tag().unwrap().to_owned();
        let ours = |dialog: &&mut Dialog| notify.call_id() == Ok(&dialog.call_id) && dialog.tag.as_ref().is_none_or(|known| *known == tag);
        let Some(dialog) = self.dialog.as_mut().filter(ours) else { return vec![(soon, say(481))] };
        // RFC 6665 §4.1.2.4: a NOTIFY may come before the 2xx, and makes the dialog.
        dialog.tag = Some(tag);
        let cseq = notify.cseq().unwrap().0;
        let branch = notify.via().unwrap().branch().unwrap();
        if cseq < dialog.notified {
            return vec![(soon, say(500))];
        }
        if branch == dialog.branch
            && let Some(answer) = &dialog.answer
        {
            return vec![(soon, answer.clone())];
        }
        assert!(cseq > dialog.notified || branch == dialog.branch, "a CSeq is used once");
        (dialog.notified, dialog.branch) = (cseq, branch.to_owned());
        let mood = if is_good { 0 } else { rng.random_range(0..100) };
        let (late, status) = match mood {
            0..70 => (soon, 200),
            70..80 => return Vec::new(),
            80..88 => (Duration::from_millis(rng.random_range(500..40_000)), 200),
            88..93 => (soon, 500),
            93..96 => (soon, 481),
            _ => (soon, 503),
        };
        let answer = match status {
            503 => Response::to(notify, 503, "").header(Name::RetryAfter, "3").encode(),
            status => say(status),
        };
        dialog.answer = Some(answer.clone());
        let mut answers = vec![(late, answer)];
        if rng.random_bool(0.05) {
            answers.insert(0, (soon, say(100)));
        }
        match status {
            200 => {
                if let Some((_, version)) = content(notify) {
                    assert!(version >= dialog.version, "what is taken never goes back");
                    dialog.version = version;
                    self.holds = Some(version);
                }
            }
            481 => self.dialog = None,
            _ => {}
        }
        if notify.subscription_state().unwrap().unwrap().is_terminated() {
            self.dialog = None;
            self.pending = None;
            self.next_action = self.next_action.min(now + Duration::from_secs(3));
        }
        answers
    }
}
