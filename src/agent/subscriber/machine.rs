//! The subscriber as one machine: messages and times go in, messages, times and events come out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};

use super::auth::Auths;
use super::config::SubscriberConfig;
use super::dialog::Dialog;
use super::event::{Event, Failure, Outcome};
use super::phase::{Effect, Input, Phase};
use crate::sip::transaction::client::Tell;
use crate::sip::transaction::{Clients, Due, Keys, SendFailure, Servers, Transmit};
use crate::sip::{Kind, MalformedKind, Message, Path};

/// Requests of ours that may be out: the one of each kind, and those of subscriptions given up meanwhile.
const CLIENTS_MAX: usize = 16;
/// Requests answered over UDP and remembered for 32 s. One NOTIFY is in flight at a time; more than this is a flood.
const SERVERS_MAX: usize = 256;
/// Messages on their way out that nobody fetches: more can only be answers to a flood, whose sender repeats them.
const OUT_MAX: usize = 1_024;
/// RFC 6080 §5.3.2: the back-off doubles this often.
const DOUBLINGS_MAX: u32 = 8;
/// The longest that a server can send the subscriber away for: it must come back by itself after a slip of the pen.
const RETRY_MAX: Duration = Duration::from_secs(24 * 3600);
/// The longest lead of a refresh before the end: two tries on UDP fit in, at 64·T1 each.
const LEAD_MAX: Duration = Duration::from_secs(90);

/// What a SUBSCRIBE is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// A subscription, or a fetch.
    First,
    /// More time.
    Renew,
    /// Its end.
    Leave,
}

/// Which SUBSCRIBE: one of an earlier call is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) call: u64,
    pub(super) ask: Ask,
}

/// What is the same in all requests of one try.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) id: String,
    pub(super) tag: String,
    pub(super) cseq: u32,
    pub(super) dialog: Option<Dialog>,
}

/// When what is due.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Times {
    pub(super) renew: Option<Instant>,
    pub(super) expires: Option<Instant>,
    /// RFC 6665 §4.1.2.4: Timer N.
    pub(super) notify: Option<Instant>,
    pub(super) retry: Option<Instant>,
}

/// A subscriber to one user's profile.
///
/// It has no socket and no clock. Its owner passes in messages and failures, takes messages out with
/// [`Subscriber::poll_transmit`] and events with [`Subscriber::poll_event`] until there are none, and calls
/// [`Subscriber::handle_timeout`] when [`Subscriber::poll_timeout`] says. The same seed and inputs give the same outputs.
#[derive(Debug)]
pub struct Subscriber {
    pub(super) config: SubscriberConfig,
    pub(super) rng: StdRng,
    pub(super) keys: Keys,
    pub(super) servers: Servers,
    pub(super) clients: Clients<Asked>,
    pub(super) phase: Phase,
    pub(super) call: Call,
    pub(super) times: Times,
    pub(super) auths: Auths,
    /// The duration to ask for: what the owner wants, or more where the server demands it (423).
    pub(super) wanted_s: u32,
    /// Tries since a subscription last stood for a while.
    tries: u32,
    /// Since when it has stood.
    open_since: Option<Instant>,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

/// Why something is to be tried again, or is over.
pub(super) enum Cause {
    /// It needs none.
    None,
    /// For [`Event::Trouble`]. The server may have said when to come back.
    Trouble(Failure, Option<Duration>),
    /// For [`Event::Over`].
    Over(Outcome),
}

impl Subscriber {
    /// A subscriber that does nothing yet. The seed decides every tag, branch and Call-ID: it must be secret.
    pub fn new(config: SubscriberConfig, seed: [u8; 32]) -> Self {
        let mut rng = StdRng::from_seed(seed);
        Self {
            keys: Keys::new(&mut rng),
            rng,
            servers: Servers::new(config.timing, SERVERS_MAX),
            clients: Clients::new(config.timing, CLIENTS_MAX),
            phase: Phase::Idle,
            call: Call::default(),
            times: Times::default(),
            auths: Auths::default(),
            wanted_s: config.expires_s,
            tries: 0,
            open_since: None,
            out: VecDeque::new(),
            events: VecDeque::new(),
            config,
        }
    }

    /// Subscribes, or fetches when the configuration says so.
    pub fn subscribe(&mut self, now: Instant) {
        self.step(now, Input::Begin, Cause::None);
    }

    /// Ends the subscription. [`Event::Over`] follows: when the server has said its last word, or after 64·T1.
    pub fn unsubscribe(&mut self, now: Instant) {
        if self.phase == Phase::Asking {
            // However far the asking has come, it ends in 64·T1.
            self.times.notify = Some(now + 64 * self.config.timing.t1);
        }
        self.step(now, Input::Stop, Cause::Over(Outcome::Unsubscribed));
    }

    /// What it is doing.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// A message came in.
    pub fn handle_message(&mut self, now: Instant, from: Path, bytes: &[u8]) {
        match Message::parse(bytes) {
            Ok(message) => match message.kind() {
                Kind::Request { method, .. } => self.request(now, from, &message, method),
                Kind::Response { status, .. } => self.response(now, &message, status),
            },
            Err(malformed) => {
                if let (Some(status), Some(message)) = (malformed.status, &malformed.message)
                    && malformed.kind != MalformedKind::KeepAlive
                {
                    self.refuse(from, message, status, &[]);
                }
            }
        }
    }

    /// A message did not go out, or a connection ended.
    pub fn handle_send_error(&mut self, now: Instant, failure: &SendFailure) {
        for heard in self.clients.failed(now, failure) {
            self.failed(now, heard.user, Failure::NotSent(failure.error), None);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.servers.handle_timeout(now);
        while let Some(due) = self.clients.due(now) {
            match due {
                Due::Send(transmit) => self.send(transmit),
                Due::Heard(heard) if heard.tell == Tell::Timeout => self.failed(now, heard.user, Failure::NoAnswer, None),
                Due::Heard(_) => {}
            }
        }
        let due = |time: &mut Option<Instant>| time.take_if(|at| *at <= now).is_some();
        if due(&mut self.times.retry) {
            self.step(now, Input::RetryDue, Cause::None);
        }
        if due(&mut self.times.notify) {
            let cause =
                if self.phase == Phase::Asking { Cause::Trouble(Failure::NoNotify, None) } else { Cause::Over(Outcome::Unsubscribed) };
            self.step(now, Input::NoNotify, cause);
        }
        if due(&mut self.times.expires) {
            if matches!(self.phase, Phase::Open | Phase::Renewing) {
                self.events.push_back(Event::Trouble { why: Failure::Lost, retry: Duration::ZERO });
            }
            self.step(now, Input::Expired, Cause::Over(Outcome::Unsubscribed));
        }
        if due(&mut self.times.renew) {
            self.step(now, Input::RenewDue, Cause::None);
        }
    }

    /// When [`Subscriber::handle_timeout`] is to be called. It may be early, never late.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let Times { renew, expires, notify, retry } = self.times;
        [renew, expires, notify, retry, self.clients.poll_timeout(), self.servers.poll_timeout()].into_iter().flatten().min()
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(super) fn send(&mut self, transmit: Transmit) {
        if self.out.len() < OUT_MAX {
            self.out.push_back(transmit);
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// A SUBSCRIBE came to nothing, for now.
    pub(super) fn failed(&mut self, now: Instant, asked: Asked, why: Failure, after: Option<Duration>) {
        if asked.call != self.call.number {
            return;
        }
        // A NOTIFY has told the subscription: that its SUBSCRIBE got no answer does not matter any more.
        if asked.ask == Ask::First && self.call.dialog.is_some() {
            return;
        }
        let cause = match self.phase {
            Phase::Leaving | Phase::Abandoning => Cause::Over(Outcome::Unsubscribed),
            _ => Cause::Trouble(why, after),
        };
        self.step(now, Input::Failed, cause);
    }

    /// The server ended the subscription in a way that lets it come back at once. If it did so before, and the one
    /// after did not stand for a while, that is a loop: then it waits.
    pub(super) fn again(&mut self, now: Instant, why: Failure) {
        self.forget_tries(now);
        if self.tries == 0 {
            self.tries = 1;
            let cause = self.or_over(why, None);
            if let Cause::Trouble(why, _) = &cause {
                self.tell(Event::Trouble { why: why.clone(), retry: Duration::ZERO });
            }
            self.step(now, Input::Again, cause);
        } else {
            let cause = self.or_over(why, None);
            self.step(now, Input::Later, cause);
        }
    }

    /// What an end by the server means: to one who wanted it to end, that it is over.
    pub(super) fn or_over(&self, why: Failure, after: Option<Duration>) -> Cause {
        match self.phase {
            Phase::Leaving | Phase::Abandoning => Cause::Over(Outcome::Unsubscribed),
            _ => Cause::Trouble(why, after),
        }
    }

    /// Takes one step of the table and does what it says.
    pub(super) fn step(&mut self, now: Instant, input: Input, cause: Cause) {
        self.forget_tries(now);
        let (next, effect) = self.phase.step(input);
        let entered = next != self.phase;
        self.phase = next;
        if entered && next == Phase::Open && input == Input::Notified {
            self.open_since = Some(now);
        }
        match effect {
            Effect::None => {}
            Effect::Ask => self.call_anew(now),
            Effect::Renew => self.ask(now, Ask::Renew),
            Effect::Leave => {
                // Timer N for the last NOTIFY.
                self.times = Times { notify: Some(now + 64 * self.config.timing.t1), ..Times::default() };
                self.ask(now, Ask::Leave);
            }
            Effect::RenewLater => {
                let left = self.times.expires.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
                let after = (left / 2).max(self.config.timing.t1);
                self.times.renew = Some(now + after);
                if let Cause::Trouble(why, _) = cause {
                    self.tell(Event::Trouble { why, retry: after });
                }
            }
            Effect::Rest => {
                let (why, after) = match cause {
                    Cause::Trouble(why, after) => (why, after),
                    Cause::None | Cause::Over(_) => (Failure::Lost, None),
                };
                let after = self.back_off(after);
                self.hang_up();
                self.times.retry = Some(now + after);
                self.tell(Event::Trouble { why, retry: after });
            }
            Effect::Finish => {
                self.hang_up();
                let outcome = match cause {
                    Cause::Over(outcome) => outcome,
                    Cause::Trouble(..) | Cause::None => Outcome::Unsubscribed,
                };
                self.tell(Event::Over(outcome));
            }
        }
    }

    /// The granted time, from now: when it ends, and when to ask for more.
    pub(super) fn granted(&mut self, now: Instant, expires: Duration) {
        // Not at the same moment as everybody who was told the same; and early enough for two tries.
        let lead = (expires / 2).min(LEAD_MAX) * self.rng.random_range(750..1000) / 1000;
        self.times.expires = Some(now + expires);
        self.times.renew = Some(now + expires.saturating_sub(lead));
    }

    /// How long to wait: what the server says, or 64·T1, doubled with every try (RFC 6080 §5.3.2). A tenth more at random, so
    /// that those who were sent away together do not come back together.
    fn back_off(&mut self, said: Option<Duration>) -> Duration {
        let doubled = 64 * self.config.timing.t1 * 2u32.pow(self.tries.min(DOUBLINGS_MAX));
        self.tries = self.tries.saturating_add(1);
        // A server that says 0 would be asked as fast as it answers.
        let after = said.filter(|said| !said.is_zero()).unwrap_or(doubled).min(RETRY_MAX);
        after + after / 10 * self.rng.random_range(0..1000) / 1000
    }

    /// A subscription that has stood for a while makes up for the tries before it.
    fn forget_tries(&mut self, now: Instant) {
        if self.open_since.is_some_and(|since| now >= since + 64 * self.config.timing.t1) {
            self.tries = 0;
        }
    }

    /// Nothing belongs to the call any more.
    fn hang_up(&mut self) {
        self.call.number += 1;
        self.call.dialog = None;
        self.times = Times::default();
        self.open_since = None;
    }

    fn call_anew(&mut self, now: Instant) {
        self.hang_up();
        // RFC 3261 §8.1.1.4, §19.3: unique, and not to be guessed.
        self.call.id = format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64());
        self.call.tag = format!("{:016x}", self.rng.next_u64());
        self.call.cseq = 0;
        self.ask(now, Ask::First);
    }
}
