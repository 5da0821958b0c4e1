//! NOTIFY: whose turn it is, which way it goes, and what its answer means (RFC 6665 §4.2.2).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng as _;

use super::config::OnTimeout;
use super::dialog::{Notice, State, own_host_port, put_branch};
use super::notifier::Notifier;
use super::phase::{Effect, Input, Phase};
use super::reason::Reason;
use super::table::{Subscription, SubscriptionId, Table, Way};
use super::wave::Left;
use crate::sip::transaction::{SendError, Target, Transmit};
use crate::sip::{Message, Method, Transport, check_response};

/// When a failed NOTIFY is tried again for the first time, unless the subscriber says when; doubled each time.
const RETRY_FIRST: Duration = Duration::from_secs(30);
/// The longest time between two tries, also when the subscriber asks for longer: he would be without news for as long.
const RETRY_MOST: Duration = Duration::from_secs(3600);
/// When a NOTIFY that found its connection's queue full is tried again.
const RETRY_BUSY: Duration = Duration::from_millis(500);

impl Notifier {
    /// Takes one step of the table of [`Phase`] and does what it says, except sending: that is [`Notifier::turn`]'s.
    pub(super) fn step(&mut self, now: Instant, id: SubscriptionId, input: Input) {
        let suspend = self.config.on_timeout == OnTimeout::Suspend;
        let Some(subscription) = self.table.get_mut(id) else { return };
        let (next, effect) = subscription.phase.step(input, suspend);
        subscription.phase = next;
        // It had the document already; or it is lost to the wave.
        match next {
            Phase::Calm if input == Input::Settled => self.waves.leave(std::mem::take(&mut subscription.wave), Left::Overtaken, None),
            Phase::Suspended | Phase::Gone => self.waves.leave(std::mem::take(&mut subscription.wave), Left::Failed, None),
            _ => {}
        }
        match effect {
            Effect::Queue if !subscription.queued.paced && !subscription.queued.first => {
                subscription.queued.paced = true;
                self.paced.push_back(id);
                sweep(&mut self.paced, &self.table);
            }
            Effect::QueueFirst if !subscription.queued.first => {
                subscription.queued.first = true;
                self.first.push_back(id);
                sweep(&mut self.first, &self.table);
            }
            // It is queued already; or whoever gave it its turn sends.
            Effect::Queue | Effect::QueueFirst | Effect::None | Effect::Send | Effect::SendLast => {}
            Effect::Wait => {
                let wait = RETRY_FIRST.saturating_mul(1 << subscription.failures.min(10)).min(RETRY_MOST);
                subscription.failures = subscription.failures.saturating_add(1);
                self.wait(now, id, wait);
            }
            Effect::Remove => self.table.remove(id),
        }
        // RFC 6665 §4.2.2, RFC 6080 §5.3: the explicit empty profile has arrived, and with it there is nothing more to tell.
        if next == Phase::Calm
            && matches!(input, Input::Accepted | Input::Settled)
            && let Some(reason) = self.table.with_record(id).and_then(|(_, record)| record.leaving)
        {
            self.end(now, id, reason);
        }
    }

    /// Ends a subscription.
    pub(super) fn end(&mut self, now: Instant, id: SubscriptionId, reason: Reason) {
        if let Some(subscription) = self.table.get_mut(id)
            && !subscription.phase.is_ending()
        {
            subscription.reason = reason;
            self.step(now, id, Input::Ended);
        }
    }

    /// Whether it is anything's turn: there is something to send that the subscriber does not hold.
    pub(super) fn is_ready(&mut self, id: SubscriptionId) -> bool {
        self.table.with_record(id).is_some_and(|(subscription, record)| match subscription.phase {
            Phase::ReadyLast => true,
            // It waits for what belongs to where it is.
            Phase::Ready if subscription.waits_until.is_some() => false,
            Phase::Ready => {
                subscription.forced
                    || record.document_at(subscription.spot.as_deref()).is_some_and(|document| subscription.holds != Some(document.etag))
            }
            _ => false,
        })
    }

    /// It is a subscription's turn: writes its NOTIFY and begins the transaction.
    pub(super) fn turn(&mut self, now: Instant, id: SubscriptionId, first: bool) -> Option<Transmit> {
        let ready = self.is_ready(id);
        let subscription = self.table.get_mut(id)?;
        if first {
            subscription.queued.first = false;
        } else {
            subscription.queued.paced = false;
        }
        if !ready {
            self.step(now, id, Input::Settled);
            return None;
        }
        let is_last = subscription.phase == Phase::ReadyLast;
        self.step(now, id, Input::Granted);
        let transmit = self.notify(now, id, is_last);
        if transmit.is_none() {
            // The limit of transactions: whoever calls has looked at it before.
            self.step(now, id, Input::Failed);
        }
        transmit
    }

    fn notify(&mut self, now: Instant, id: SubscriptionId, is_last: bool) -> Option<Transmit> {
        let Self { table, scratch, config, clients, rng, counters, waves, .. } = self;
        let (subscription, record) = table.with_record(id)?;
        subscription.forced = false;
        subscription.local_cseq += 1;
        // RFC 6665 §4.1.2.3: the last NOTIFY of a subscription need not bring the state; that of a fetch is all there is.
        let document = record.document_at(subscription.spot.as_deref()).filter(|_| !is_last || subscription.is_fetch);
        subscription.flying = document.map(|document| document.etag);
        let state = if is_last {
            State::Terminated { reason: subscription.reason.as_str() }
        } else {
            // RFC 6665 §4.2.2: the time that is left. Rounded up, so that it is never 0 while the subscription lives.
            let left = subscription.expires_at.saturating_duration_since(now);
            State::Active { expires_s: left.as_secs() + u64::from(left.subsec_nanos() > 0) }
        };
        let mut transport = own_transport(subscription);
        let listening = |transport| {
            let listen =
                config.listen.iter().filter(|(t, address)| *t == transport && address.is_ipv4() == subscription.path.local.is_ipv4());
            listen.map(|(_, address)| *address).next()
        };
        let cseq = subscription.local_cseq;
        let mut write = |subscription: &Subscription, transport| {
            let sent_by = sent_by(subscription, transport, listening(transport), config.advertised_host.as_deref());
            let branch_at = subscription.dialog.write(scratch, &Notice { transport, sent_by: sent_by.as_deref(), cseq, state, document });
            (branch_at, scratch.len())
        };
        let (mut branch_at, length) = write(subscription, transport);
        // RFC 3261 §18.1.1: a request that is too large for a datagram goes over a stream, unless the URI says `transport=udp`, or a
        // stream could not be had before.
        let prefers_stream = transport == Transport::Udp
            && length > config.udp_max_request_bytes
            && subscription.dialog.hop.transport.is_none()
            && !subscription.ways.datagrams_only;
        if prefers_stream {
            transport = Transport::Tcp;
            (branch_at, _) = write(subscription, transport);
        }
        let is_flow = subscription.path.transport.is_reliable() && !subscription.ways.flow_lost;
        let local =
            if transport == subscription.path.transport { subscription.path.local } else { local_for(subscription, listening(transport)) };
        let target = if is_flow { Target::Path(subscription.path) } else { subscription.dialog.hop.target(transport, local) };
        subscription.ways.last = if is_flow {
            Way::Flow
        } else if transport == Transport::Tcp && subscription.dialog.hop.transport.is_none() {
            Way::Stream
        } else {
            Way::Only
        };
        let sent = clients.start(now, rng, id, Method::Notify, target, |ticket| {
            put_branch(scratch, branch_at, &ticket.to_string());
            Arc::from(scratch.as_slice())
        });
        counters.notified += u64::from(sent.is_ok());
        if sent.is_ok() && document.is_some() {
            waves.sent(subscription.wave);
        }
        sent.ok()
    }

    /// A response came in.
    pub(super) fn response(&mut self, now: Instant, response: &Message<'_>, status: u16) {
        // RFC 3261 §8.1.3.3: a response with more than one Via has gone astray.
        let branch = response.via().ok().and_then(|via| via.branch()).filter(|_| check_response(response).is_ok());
        let method = response.cseq().ok().map(|(_, method)| method);
        let heard = branch.zip(method).and_then(|(branch, method)| self.clients.response(now, branch, method, status));
        let Some(heard) = heard else {
            self.counters.stray_responses += 1;
            return;
        };
        if status < 200 {
            return;
        }
        let id = heard.user;
        match status {
            200..300 => {
                self.counters.accepted += 1;
                if let Some((subscription, record)) = self.table.with_record(id) {
                    subscription.failures = 0;
                    subscription.holds = subscription.flying.take().or(subscription.holds);
                    // What belongs to where it is: that of no place in particular says nothing about a phone at one.
                    if subscription.holds == record.document_at(subscription.spot.as_deref()).map(|document| document.etag) {
                        self.waves.leave(std::mem::take(&mut subscription.wave), Left::Answered, Some(now));
                    }
                    // RFC 3261 §12.2.1.2, RFC 6665 §4.4.1: NOTIFY refreshes the target, and so does its 2xx. A Contact that leads nowhere
                    // changes nothing.
                    if let Ok(Some(contact)) = response.contact() {
                        let _ = subscription.dialog.retarget(contact.uri.as_str());
                    }
                }
                self.step(now, id, Input::Accepted);
            }
            // RFC 6665 §4.2.2 (and RFC 5057): these end the subscription.
            404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604 => {
                self.counters.refused += 1;
                self.step(now, id, Input::Refused);
            }
            // RFC 3261 §8.1.3.1: a 408 is what a timeout would have been.
            408 => self.unanswered(now, id),
            _ => {
                self.counters.postponed += 1;
                let wait = response.retry_after().ok().flatten();
                self.step(now, id, Input::Failed);
                // RFC 6665 §4.2.2: with Retry-After the NOTIFY is tried again then.
                if let Some(seconds) = wait {
                    self.wait(now, id, Duration::from_secs(seconds.into()).min(RETRY_MOST));
                }
            }
        }
    }

    /// Nobody answered.
    pub(super) fn unanswered(&mut self, now: Instant, id: SubscriptionId) {
        let Some(subscription) = self.table.get(id) else { return };
        // A stream that was opened and led to no answer is no better than one that was refused.
        if subscription.ways.last == Way::Stream {
            return self.reroute(now, id);
        }
        self.unreached(now, id);
    }

    /// There is no way left that a NOTIFY could go.
    fn unreached(&mut self, now: Instant, id: SubscriptionId) {
        self.counters.unanswered += 1;
        // A 2xx that was sent while the NOTIFY was out is owed another one: who subscribes is alive.
        let is_owed = self.table.get(id).is_some_and(|subscription| subscription.forced);
        self.step(now, id, if is_owed { Input::Rerouted } else { Input::TimedOut });
    }

    /// The NOTIFY did not go out, or its connection ended before the answer.
    pub(super) fn failed_to_send(&mut self, now: Instant, id: SubscriptionId, error: SendError) {
        let Some(way) = self.table.get(id).map(|subscription| subscription.ways.last) else { return };
        match (error, way) {
            (SendError::Busy, _) => {
                self.counters.postponed += 1;
                self.step(now, id, Input::Failed);
                self.wait(now, id, RETRY_BUSY);
            }
            (_, Way::Flow | Way::Stream) => self.reroute(now, id),
            // A network or a name service that fails on this side says nothing of the subscriber.
            (SendError::Unreachable | SendError::Unresolved, Way::Only) => {
                self.counters.postponed += 1;
                self.step(now, id, Input::Failed);
            }
            (_, Way::Only) => self.unreached(now, id),
        }
    }

    /// RFC 3261 §18.1.1, RFC 3263 §4.3: the next way is tried, and this one remembered.
    fn reroute(&mut self, now: Instant, id: SubscriptionId) {
        let Some(subscription) = self.table.get_mut(id) else { return };
        match subscription.ways.last {
            Way::Flow => subscription.ways.flow_lost = true,
            Way::Stream => subscription.ways.datagrams_only = true,
            Way::Only => {}
        }
        // What it brought may not have arrived, so that it is owed again.
        subscription.forced = true;
        self.counters.rerouted += 1;
        self.step(now, id, Input::Rerouted);
    }

    /// Sets when a waiting subscription is tried again, with some jitter: those that failed together do not come together.
    fn wait(&mut self, now: Instant, id: SubscriptionId, wait: Duration) {
        let jitter = self.rng.random_range(0..=u64::try_from(wait.as_millis() / 10).unwrap_or(u64::MAX));
        if let Some(subscription) = self.table.get_mut(id)
            && subscription.phase == Phase::Waiting
        {
            subscription.retry_at = Some(now + wait + Duration::from_millis(jitter));
            subscription.forced = true;
            self.arm(id);
        }
    }

    /// Puts the next deadline of a subscription into the heap, unless an earlier one stands there.
    pub(super) fn arm(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.table.get_mut(id) else { return };
        let retry_at = subscription.retry_at.filter(|_| subscription.phase == Phase::Waiting);
        if subscription.phase.is_ending() {
            return;
        }
        let due = [retry_at, subscription.waits_until].into_iter().flatten().fold(subscription.expires_at, Instant::min);
        if subscription.timer_at.is_none_or(|at| due < at) {
            subscription.timer_at = Some(due);
            self.timers.push(due, id);
            // What ended or came forward leaves its entry behind, for a day maybe.
            if self.timers.len() > 2 * self.table.len() + 64 {
                let table = &self.table;
                self.timers.retain(|at, id| table.get(*id).is_some_and(|subscription| subscription.timer_at == Some(at)));
            }
        }
    }

    /// An entry of the heap fires.
    pub(super) fn timer(&mut self, now: Instant, at: Instant, id: SubscriptionId) {
        let Some(subscription) = self.table.get_mut(id).filter(|subscription| subscription.timer_at == Some(at)) else { return };
        subscription.timer_at = None;
        if subscription.phase.is_ending() {
            return;
        }
        if subscription.expires_at <= now {
            // RFC 6665 §4.2.1.4, §4.4.1: not refreshed in time.
            self.counters.expired += 1;
            return self.end(now, id, Reason::Timeout);
        }
        if subscription.waits_until.is_some_and(|until| until <= now) {
            // RFC 6665 §4.2.2: a NOTIFY may come without the state. RFC 6080 §5.3.2: it then tells the phone nothing.
            subscription.waits_until = None;
            self.counters.waited_in_vain += 1;
            self.step(now, id, Input::Subscribed);
            return self.arm(id);
        }
        if subscription.phase == Phase::Waiting && subscription.retry_at.is_some_and(|retry_at| retry_at <= now) {
            subscription.retry_at = None;
            self.step(now, id, Input::RetryDue);
        }
        self.arm(id);
    }
}

/// Forgets the places of subscriptions that ended while they were queued, when they are the greater part: the queue then holds no more
/// than twice the subscriptions.
fn sweep(queue: &mut VecDeque<SubscriptionId>, table: &Table) {
    if queue.len() > 2 * table.len() + 64 {
        queue.retain(|id| table.get(*id).is_some());
    }
}

/// How a NOTIFY goes when its size does not matter.
fn own_transport(subscription: &Subscription) -> Transport {
    let path = subscription.path.transport;
    if path.is_reliable() && !subscription.ways.flow_lost {
        return path;
    }
    match subscription.dialog.hop.transport {
        Some(transport) => transport,
        // RFC 3263 §4.1 has UDP where nothing is said; a phone that came over a stream is tried on one first.
        None if path.is_reliable() && !subscription.ways.datagrams_only => Transport::Tcp,
        None => Transport::Udp,
    }
}

/// What Via says, where it is not what the dialog's text says.
fn sent_by(subscription: &Subscription, transport: Transport, listening: Option<SocketAddr>, advertised: Option<&str>) -> Option<String> {
    (transport != subscription.path.transport).then(|| own_host_port(local_for(subscription, listening), advertised))
}

/// The own address for another transport than the SUBSCRIBE's: the same host, at the port that is listened on.
fn local_for(subscription: &Subscription, listening: Option<SocketAddr>) -> SocketAddr {
    let host = subscription.path.local;
    listening.map_or(host, |address| if address.ip().is_unspecified() { SocketAddr::new(host.ip(), address.port()) } else { address })
}
