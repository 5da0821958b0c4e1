//! Requests of the server's: NOTIFY above all.

use std::time::{Duration, Instant};

use super::dialog::Dialog;
use super::event::{Event, Failure, Outcome, Received};
use super::machine::{Cause, Subscriber};
use super::phase::{Input, Phase};
use crate::sip::transaction::{Received as Seen, Target, Transmit};
use crate::sip::{Message, Method, Name, Path, Response, Scheme, SubscriptionState, Support, Transport};

/// A status and the fields that go with it.
type Verdict = (u16, &'static [(Name<'static>, &'static str)]);

/// What a NOTIFY brings, once it is answered.
struct News {
    state: State,
    document: Option<Received>,
}

enum State {
    /// Active or pending; with the seconds that are left, if it says so.
    Active(Option<u32>),
    Terminated {
        reason: String,
        retry_after: Option<Duration>,
    },
}

impl Subscriber {
    pub(super) fn request(&mut self, now: Instant, from: Path, message: &Message<'_>, method: Method<'_>) {
        // RFC 3261 §17.1.1.3: an ACK is never answered.
        if method == Method::Ack {
            return;
        }
        let Ok(key) = self.keys.of(message) else { return self.refuse(from, message, 400, &[]) };
        match self.servers.receive(&key) {
            Seen::Retransmission(None) => return,
            Seen::Retransmission(Some(again)) => return self.send(again),
            // RFC 3261 §8.2.2.2.
            Seen::Merged => return self.refuse(from, message, 482, &[]),
            Seen::New => {}
        }
        let Ok(ticket) = self.servers.begin(key, reply_path(from, message)) else {
            return self.refuse(from, message, 503, &[(Name::RetryAfter, "5")]);
        };
        let (verdict, news) = match self.judge(message, method) {
            Ok(news) => ((200, &[][..]), news),
            Err(verdict) => (verdict, None),
        };
        let bytes = self.encode(from, message, verdict);
        if let Some(answer) = self.servers.respond(now, ticket, verdict.0, bytes.into()) {
            self.send(answer);
        }
        if let Some(news) = news {
            self.heard(now, news);
        }
    }

    /// An answer that is not remembered: the next transmission gets the same.
    pub(super) fn refuse(&mut self, from: Path, message: &Message<'_>, status: u16, fields: &'static [(Name<'static>, &'static str)]) {
        let bytes = self.encode(from, message, (status, fields));
        self.send(Transmit { to: Target::Path(reply_path(from, message)), bytes: bytes.into(), ticket: None });
    }

    fn encode(&self, from: Path, message: &Message<'_>, (status, fields): Verdict) -> Vec<u8> {
        let tag = format!("{:08x}", self.keys.stateless_tag(message));
        let mut response = Response::to(message, status, "").to_tag(&tag).via_received(from.remote);
        for (name, value) in fields {
            response = response.header(*name, value);
        }
        let accept = self.config.accept.join(", ");
        if matches!(status, 406 | 415) {
            response = response.header(Name::Accept, &accept);
        }
        response.encode()
    }

    /// What a request is answered with, and what it brings when that is 200.
    fn judge(&mut self, message: &Message<'_>, method: Method<'_>) -> Result<Option<News>, Verdict> {
        const METHODS: &[(Name<'static>, &str)] = &[(Name::Allow, "NOTIFY, OPTIONS")];
        const EVENTS: &[(Name<'static>, &str)] = &[(Name::AllowEvents, "ua-profile")];
        let types: Vec<&str> = self.config.accept.iter().map(String::as_str).collect();
        let any = types.iter().any(|kind| kind.contains('*'));
        let support = Support {
            methods: &[Method::Notify, Method::Options],
            schemes: &[Scheme::Sip, Scheme::Sips],
            extensions: &[],
            reads: (!any).then_some(&types),
            sends: &[],
        };
        support.check(message).map_err(|refusal| match refusal.status {
            405 => (405, METHODS),
            status => (status, &[][..]),
        })?;
        if method == Method::Options {
            return Ok(None);
        }
        let event = message.event().ok().flatten().filter(|event| event.package == "ua-profile").ok_or((489, EVENTS))?;
        // RFC 6665 §4.1.3: a NOTIFY that belongs to no subscription is answered 481. Ours has no `id` (§8.2.1).
        let unknown = (481, &[][..]);
        let ours = message.call_id() == Ok(&self.call.id) && message.to().ok().and_then(|to| to.tag()) == Some(&self.call.tag);
        if !self.phase.takes_notify() || !ours || event.id().is_some() {
            return Err(unknown);
        }
        let state = message.subscription_state().ok().flatten().ok_or((400, &[][..]))?;
        match &mut self.call.dialog {
            Some(dialog) => {
                // RFC 6080 §6.9: one dialog; of a SUBSCRIBE that forked, the others are turned away.
                if message.from().ok().and_then(|from| from.tag()) != Some(&dialog.remote_tag) {
                    return Err(unknown);
                }
                let (cseq, _) = message.cseq().map_err(|_| (400, &[][..]))?;
                // RFC 3261 §12.2.2: out of order.
                if cseq <= dialog.remote_cseq {
                    return Err((500, &[]));
                }
                dialog.remote_cseq = cseq;
                dialog.retarget(message);
            }
            none => *none = Some(Dialog::of(message).ok_or((400, &[][..]))?),
        }
        Ok(Some(News { state: State::of(&state), document: document(message) }))
    }

    fn heard(&mut self, now: Instant, news: News) {
        self.times.notify = match self.phase {
            // The last NOTIFY is yet to come.
            Phase::Leaving if matches!(news.state, State::Active(_)) => self.times.notify,
            _ => None,
        };
        if self.phase != Phase::Abandoning {
            self.tell(news.document.map_or(Event::Nothing, Event::Received));
        }
        match news.state {
            // RFC 6665 §4.4.3: a fetch ends with its NOTIFY, whatever that says.
            _ if self.wanted_s == 0 && self.phase != Phase::Leaving => self.step(now, Input::Done, Cause::Over(Outcome::Fetched)),
            State::Active(expires) => {
                let expires = expires.map(|seconds| Duration::from_secs(seconds.min(self.wanted_s).into()));
                // The answer to the SUBSCRIBE may be lost, or yet to come.
                let expires = expires.or_else(|| self.times.expires.is_none().then(|| Duration::from_secs(self.wanted_s.into())));
                if let (Some(expires), Phase::Asking | Phase::Open | Phase::Renewing) = (expires, self.phase) {
                    self.granted(now, expires);
                }
                self.step(now, Input::Notified, Cause::None);
            }
            State::Terminated { reason, retry_after } => self.ended(now, reason, retry_after),
        }
    }

    /// RFC 6665 §4.1.3: what the reason says about coming back.
    fn ended(&mut self, now: Instant, reason: String, retry_after: Option<Duration>) {
        let is = |token: &str| reason.eq_ignore_ascii_case(token);
        if is("rejected") || is("noresource") || is("invariant") {
            let cause = match self.or_over(Failure::Lost, None) {
                Cause::Over(outcome) => Cause::Over(outcome),
                _ => Cause::Over(Outcome::Ended { reason }),
            };
            self.step(now, Input::Never, cause);
        } else if is("probation") || is("giveup") || retry_after.is_some() {
            let cause = self.or_over(Failure::Ended { reason }, retry_after);
            self.step(now, Input::Later, cause);
        } else {
            // `deactivated`: now. `timeout`, none, or one that nobody knows: at any time.
            self.again(now, Failure::Ended { reason });
        }
    }
}

impl State {
    fn of(state: &SubscriptionState<'_>) -> Self {
        if state.is_terminated() {
            let retry_after = state.retry_after().map(|seconds| Duration::from_secs(seconds.into()));
            return Self::Terminated { reason: state.reason().unwrap_or_default().to_owned(), retry_after };
        }
        Self::Active(state.expires())
    }
}

/// The document of a NOTIFY. RFC 6080 §5.3.2: with a type and no octets it is an empty one, without a type there is none.
fn document(message: &Message<'_>) -> Option<Received> {
    let kind = message.content_type().ok().flatten()?;
    let etag = message.header(Name::SipETag).map(str::to_owned);
    let (main, sub) = kind.halves();
    Some(Received { content_type: format!("{main}/{sub}"), etag, body: message.body().to_vec() })
}

/// Where the answer to a request goes.
fn reply_path(from: Path, request: &Message<'_>) -> Path {
    match from.transport {
        // RFC 3261 §18.2.2, RFC 3581 §4.
        Transport::Udp => Path { remote: request.reply_address(from.remote).unwrap_or(from.remote), ..from },
        // RFC 3261 §18.2.2: on the connection that the request came by.
        _ => from,
    }
}
