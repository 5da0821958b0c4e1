//! What the answers to SUBSCRIBEs mean.

use std::time::{Duration, Instant};

use super::event::{Event, Failure, Outcome};
use super::machine::{Ask, Asked, Cause, Subscriber};
use super::phase::{Input, Phase};
use crate::sip::transaction::client::Tell;
use crate::sip::{Message, Name, NameAddr, check_response};

impl Subscriber {
    pub(super) fn response(&mut self, now: Instant, message: &Message<'_>, status: u16) {
        if check_response(message).is_err() {
            return;
        }
        let (Ok(via), Ok((_, method))) = (message.via(), message.cseq()) else { return };
        let heard = via.branch().and_then(|branch| self.clients.response(now, branch, method, status));
        let Some(heard) = heard.filter(|heard| heard.tell == Tell::Response) else { return };
        if status < 200 || heard.user.call != self.call.number {
            return;
        }
        self.answered(now, heard.user, message, status);
    }

    fn answered(&mut self, now: Instant, asked: Asked, message: &Message<'_>, status: u16) {
        let reason = || {
            let written = match message.kind() {
                crate::sip::Kind::Response { reason, .. } => reason,
                crate::sip::Kind::Request { .. } => "",
            };
            if written.is_empty() { crate::sip::reason_phrase(status).to_owned() } else { written.to_owned() }
        };
        match status {
            200..=299 => self.accepted(now, asked, message),
            // One who is leaving does not argue.
            300..=699 if matches!(self.phase, Phase::Leaving | Phase::Abandoning) => {
                self.step(now, Input::Refused, Cause::Over(Outcome::Unsubscribed));
            }
            401 | 407 => match self.auths.challenged(message, self.config.login.as_ref()) {
                Ok(()) => self.ask(now, asked.ask),
                Err(outcome) => self.step(now, Input::Refused, Cause::Over(outcome)),
            },
            // RFC 6665 §4.1.2.1: 423 says which duration is long enough.
            423 => match message.min_expires() {
                Ok(Some(min)) if min > self.wanted_s && self.wanted_s > 0 => {
                    self.wanted_s = min;
                    self.ask(now, asked.ask);
                }
                _ => self.step(now, Input::Refused, Cause::Over(Outcome::Refused { status, reason: reason() })),
            },
            // RFC 6665 §4.1.2.2.
            481 if asked.ask == Ask::Renew => {
                self.tell(Event::Trouble { why: Failure::Lost, retry: Duration::ZERO });
                self.step(now, Input::Gone, Cause::None);
            }
            300..=399 => {
                let to = message.headers(Name::Contact).find_map(|text| NameAddr::parse(text).ok());
                let to = to.map(|to| to.uri.as_str().to_owned()).unwrap_or_default();
                self.step(now, Input::Refused, Cause::Over(Outcome::Moved { status, to }));
            }
            _ if may_change(status) => {
                let after = message.retry_after().ok().flatten().map(|seconds| Duration::from_secs(seconds.into()));
                self.failed(now, asked, Failure::Refused { status, reason: reason() }, after);
            }
            _ => self.step(now, Input::Refused, Cause::Over(Outcome::Refused { status, reason: reason() })),
        }
    }

    fn accepted(&mut self, now: Instant, asked: Asked, message: &Message<'_>) {
        self.auths.accepted();
        if let Some(dialog) = &mut self.call.dialog
            && message.to().ok().and_then(|to| to.tag()) == Some(&dialog.remote_tag)
        {
            dialog.retarget(message);
        }
        let awaits = match asked.ask {
            Ask::First => self.call.dialog.is_none(),
            Ask::Leave => true,
            Ask::Renew => false,
        };
        if awaits {
            // RFC 6665 §4.1.2.4: Timer N runs from here at the latest.
            self.times.notify = Some(now + 64 * self.config.timing.t1);
        }
        if asked.ask != Ask::Leave && self.wanted_s > 0 {
            // RFC 6665 §4.1.2.1: the answer may shorten the duration, never lengthen it.
            let granted = message.expires().ok().flatten().unwrap_or(self.wanted_s).min(self.wanted_s);
            let expires = Duration::from_secs(granted.into());
            self.granted(now, expires);
            self.tell(Event::Subscribed { expires });
        }
        self.step(now, Input::Accepted, Cause::None);
    }
}

/// Whether the same request may fare better later. RFC 6665 §4.1.2.2 has 480 end a subscription; whoever is unavailable
/// for a while may come back, so it is asked again, and a new subscription is what it gets.
const fn may_change(status: u16) -> bool {
    matches!(status, 408 | 480 | 486 | 491 | 500 | 502 | 503 | 504 | 580 | 600) || status >= 506 && status != 513 && status < 600
}
