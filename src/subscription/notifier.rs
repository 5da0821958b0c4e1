//! The notifier as one machine: messages and times go in, messages and times come out.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};

use super::answer::{Answer, reply_path};
use super::auth::Gate;
use super::config::{AuthMode, NotifierConfig};
use super::counters::Counters;
use super::credentials::{CredentialChanges, Credentials};
use super::endpoint::{self, Endpoint};
use super::nonce::Nonces;
use super::pacing::Bucket;
use super::reason::Reason;
use super::table::{SubscriptionId, Table};
use super::wave::Waves;
use crate::document::{Document, profile};
use crate::model::{Aor, DeviceId, NetworkMap, Resource};
use crate::sip::transaction::timers::Timers;
use crate::sip::transaction::{Clients, Due, Keys, Received, SendFailure, Servers, Target, Transmit};
use crate::sip::{Kind, MalformedKind, Message, Method, Name, Path, Scheme, Support, Transport};

/// What is served, for the checks of RFC 3261 §8.2 and the answers that say so.
pub(super) const SUPPORT: Support<'static> = Support {
    methods: &[Method::Subscribe, Method::Options, Method::Cancel],
    schemes: &[Scheme::Sip, Scheme::Sips],
    extensions: &[],
    // RFC 6080 §6.3: the body of a SUBSCRIBE is ignored.
    reads: None,
    // Whether a subscriber takes what we send is nobody's business before he has proved who he is.
    sends: &[],
};
pub(super) const ALLOW: &str = "SUBSCRIBE, OPTIONS, CANCEL";
pub(super) const PACKAGE: &str = "ua-profile";

/// The notifier for `ua-profile` (RFC 6665, RFC 6080).
///
/// It has no socket and no clock. Its owner passes in every message ([`Notifier::handle_message`]), failure
/// ([`Notifier::handle_send_error`]) and change ([`Notifier::publish`]); takes messages out with [`Notifier::poll_transmit`] until there
/// is none; and calls [`Notifier::handle_timeout`] when [`Notifier::poll_timeout`] says. Under load it looks at what came in between
/// every few messages that it takes out.
///
/// All memory is bounded by [`NotifierConfig`]. The same seed and the same inputs give the same outputs.
pub struct Notifier {
    pub(super) config: NotifierConfig,
    pub(super) rng: StdRng,
    pub(super) keys: Keys,
    pub(super) gate: Gate,
    /// The first time that it was told: what nonces count from.
    epoch: Option<Instant>,
    /// The last time that it was told.
    pub(super) now: Option<Instant>,
    pub(super) servers: Servers,
    pub(super) clients: Clients<SubscriptionId>,
    pub(super) table: Table,
    /// Known users who have no document and never had one here.
    pub(super) withheld: HashSet<Aor>,
    /// Which address is where.
    pub(super) network: Arc<NetworkMap>,
    /// Which devices there are.
    pub(super) devices: HashSet<DeviceId>,
    pub(super) timers: Timers<SubscriptionId>,
    /// Those that somebody waits for, and those that go at the pace of `bucket`. A subscription stands in each at most once.
    pub(super) first: VecDeque<SubscriptionId>,
    pub(super) paced: VecDeque<SubscriptionId>,
    pub(super) bucket: Bucket,
    pub(super) out: VecDeque<Transmit>,
    pub(super) counters: Counters,
    pub(super) waves: Waves,
    /// Where NOTIFYs are written before their length is known.
    pub(super) scratch: Vec<u8>,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").field("subscriptions", &self.table.len()).field("counters", &self.counters).finish_non_exhaustive()
    }
}

/// How many times the size of its request a challenge may have over UDP. In once its size there is often no room for the two
/// that RFC 8760 §2.3 wants side by side, and the one left out would lock out whoever has only its secret. Twice is no
/// amplifier worth the name.
const CHALLENGE_FACTOR: usize = 2;

impl Notifier {
    /// A notifier without documents and credentials. The seed decides every tag, branch and nonce: it must be secret.
    pub fn new(config: NotifierConfig, seed: [u8; 32]) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let lifetime_s = u32::try_from(config.nonce_lifetime.as_secs()).unwrap_or(u32::MAX);
        Self {
            gate: Gate::new(Nonces::new(key, lifetime_s, config.nonces_max), config.allow_md5),
            servers: Servers::new(config.timing, config.server_transactions_max),
            clients: Clients::new(config.timing, config.in_flight_max),
            bucket: Bucket::new(config.notify_rate, config.notify_burst),
            config,
            keys: Keys::new(&mut rng),
            rng,
            epoch: None,
            now: None,
            table: Table::new(),
            withheld: HashSet::new(),
            network: Arc::default(),
            devices: HashSet::new(),
            timers: Timers::new(),
            first: VecDeque::new(),
            paced: VecDeque::new(),
            out: VecDeque::new(),
            counters: Counters::default(),
            waves: Waves::default(),
            scratch: Vec::new(),
        }
    }

    /// A message came in: a request or a response, a broken one, or anything else that a socket can receive.
    pub fn handle_message(&mut self, now: Instant, from: Path, bytes: &[u8]) {
        self.tick(now);
        self.counters.received += 1;
        match Message::parse(bytes) {
            Ok(message) => match message.kind() {
                Kind::Request { method, .. } => self.request(now, from, &message, method, bytes.len()),
                Kind::Response { status, .. } => self.response(now, &message, status),
            },
            Err(malformed) if malformed.kind == MalformedKind::KeepAlive => self.counters.keepalives += 1,
            Err(malformed) => {
                self.counters.malformed += 1;
                if let (Some(status), Some(message)) = (malformed.status, &malformed.message) {
                    self.refuse(from, message, bytes.len(), &Answer::new(status));
                }
            }
        }
    }

    /// A message did not go out, or a connection ended.
    pub fn handle_send_error(&mut self, now: Instant, failure: &SendFailure) {
        self.tick(now);
        for heard in self.clients.failed(now, failure) {
            self.failed_to_send(now, heard.user, failure.error);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        self.servers.handle_timeout(now);
        while let Some(due) = self.clients.due(now) {
            match due {
                Due::Send(transmit) => {
                    self.counters.retransmitted_notifies += 1;
                    self.out.push_back(transmit);
                }
                Due::Heard(heard) => self.unanswered(now, heard.user),
            }
        }
        while let Some((at, id)) = self.timers.pop(now) {
            self.timer(now, at, id);
        }
    }

    /// When [`Notifier::handle_timeout`] has something to do. It may be early, never late.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let paced = if self.paced.is_empty() || self.clients.is_full() { None } else { self.bucket.next().or(self.now) };
        [self.timers.next(), self.clients.poll_timeout(), self.servers.poll_timeout(), paced].into_iter().flatten().min()
    }

    /// The next message to send. NOTIFYs are written here, when they go out, from the newest document.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if let Some(transmit) = self.out.pop_front() {
            return Some(transmit);
        }
        let now = self.now?;
        // Beyond the limit nothing more goes out until something is answered, or is not.
        while !self.clients.is_full() {
            if let Some(id) = self.first.pop_front() {
                if let Some(transmit) = self.turn(now, id, true) {
                    return Some(transmit);
                }
                continue;
            }
            let id = self.paced.front().copied()?;
            if !self.is_ready(id) {
                self.paced.pop_front();
                self.turn(now, id, false);
                continue;
            }
            if !self.bucket.take(now) {
                return None;
            }
            self.paced.pop_front();
            if let Some(transmit) = self.turn(now, id, false) {
                return Some(transmit);
            }
        }
        None
    }

    /// A document is new, or may have changed. The same bytes again send nothing; others go to every subscriber, each at its turn.
    pub fn publish(&mut self, now: Instant, aor: &Aor, document: Document) {
        self.tick(now);
        let resource = Resource::User(aor.clone());
        if self.table.publish(&resource, document) {
            self.tell(now, &resource, |subscription| subscription.spot.is_none());
        }
    }

    /// There is no document any more: the subscriptions to it end, for this reason. `NoResource` when the user is gone.
    pub fn withdraw(&mut self, now: Instant, aor: &Aor, reason: Reason) {
        self.tick(now);
        let resource = Resource::User(aor.clone());
        self.end_all(now, &resource, reason);
        self.table.withdraw(&resource);
    }

    /// As [`Notifier::withdraw`], with a last document for each subscriber first: a phone that is only told that its subscription ends goes
    /// on with what it has. Who does not answer now has it when it comes back; who subscribes anew is a stranger.
    pub fn dismiss(&mut self, now: Instant, aor: &Aor, reason: Reason, farewell: Document) {
        self.tick(now);
        let resource = Resource::User(aor.clone());
        if self.table.leave(&resource, reason, farewell) {
            self.tell(now, &resource, |_| true);
        }
    }

    /// How far changes have come: what is published between [`Waves::begin`] and [`Waves::end`] is followed.
    pub const fn waves(&mut self) -> &mut Waves {
        &mut self.waves
    }

    /// Says, in place of what was said before, which users are known and get no document for now. A document that they have stays;
    /// who has none is told to come back later.
    pub fn withhold(&mut self, aors: HashSet<Aor>) {
        self.withheld = aors;
    }

    /// Ends every subscription with `deactivated`, so that phones subscribe again at once: for a shutdown. The NOTIFYs go out at the
    /// configured rate.
    pub fn drain(&mut self, now: Instant) {
        self.tick(now);
        let ids: Vec<SubscriptionId> = self.table.iter().map(|(id, _, _)| id).collect();
        for id in ids {
            self.end(now, id, Reason::Deactivated);
        }
    }

    /// Replaces the accounts.
    pub fn set_credentials(&mut self, credentials: Credentials) {
        self.gate.set_credentials(credentials);
    }

    /// Changes some of the accounts.
    pub fn change_credentials(&mut self, changes: CredentialChanges) {
        self.gate.change_credentials(changes);
    }

    /// Says whether the documents are complete; see [`NotifierConfig::ready`].
    pub const fn set_ready(&mut self, ready: bool) {
        self.config.ready = ready;
    }

    /// What was counted.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Who holds what.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        self.table.iter().map(|(_, subscription, record)| endpoint::of(subscription, record))
    }

    /// Who holds what, a page at a time: up to so many from there on, and where the next page begins. As long as a subscription lasts,
    /// it keeps its place.
    pub fn endpoints_from(&self, from: u32, max: usize) -> (Vec<Endpoint>, Option<u32>) {
        let mut next = None;
        let mut page = Vec::new();
        for (id, subscription, record) in self.table.iter_from(from) {
            if page.len() == max {
                next = Some(id.place());
                break;
            }
            page.push(endpoint::of(subscription, record));
        }
        (page, next)
    }

    /// How many subscriptions there are.
    pub const fn subscriptions(&self) -> usize {
        self.table.len()
    }

    fn tick(&mut self, now: Instant) {
        self.epoch.get_or_insert(now);
        self.now = Some(now);
    }

    /// Seconds since the first time that it was told.
    pub(super) fn seconds(&self, now: Instant) -> u32 {
        let since = self.epoch.map_or(0, |epoch| now.saturating_duration_since(epoch).as_secs());
        u32::try_from(since).unwrap_or(u32::MAX)
    }

    pub(super) fn end_all(&mut self, now: Instant, resource: &Resource, reason: Reason) {
        let mut next = self.table.first(resource);
        while let Some(id) = next {
            next = self.table.after(id);
            self.end(now, id, reason);
        }
    }

    fn request(&mut self, now: Instant, from: Path, request: &Message<'_>, method: Method<'_>, length: usize) {
        // RFC 3261 §17.1.1.3: an ACK is never answered; here there is nothing that it could confirm but a refused INVITE.
        if method == Method::Ack {
            return;
        }
        let Ok(key) = self.keys.of(request) else {
            self.counters.malformed += 1;
            return self.refuse(from, request, length, &Answer::new(400));
        };
        match self.servers.receive(&key) {
            Received::New => {}
            Received::Retransmission(again) => {
                self.counters.retransmitted_requests += 1;
                self.out.extend(again);
                return;
            }
            // RFC 3261 §8.2.2.2.
            Received::Merged => return self.refuse(from, request, length, &Answer::new(482)),
        }
        // Before anything of the request is looked at that need not be.
        if self.servers.is_full() {
            let busy = self.busy();
            return self.refuse(from, request, length, &busy);
        }
        if let Err(refusal) = SUPPORT.check(request) {
            return self.refuse(from, request, length, &refusal.into());
        }
        match method {
            Method::Subscribe => self.subscribe(now, from, request, key, length),
            Method::Options => {
                // RFC 3261 §11.2, RFC 6665 §4.4.4.
                let answer = Answer::new(200)
                    .with_extra(Name::Allow, ALLOW)
                    .with_extra(Name::Accept, profile::CONTENT_TYPE)
                    .with_extra(Name::AllowEvents, PACKAGE);
                self.refuse(from, request, length, &answer);
            }
            _ => {
                // RFC 3261 §9.2: it has no effect on a request that was answered; 481 when there is none.
                let meant = self.keys.cancelled(request, Method::Subscribe).is_ok_and(|key| self.servers.holds(&key));
                self.refuse(from, request, length, &Answer::new(if meant { 200 } else { 481 }));
            }
        }
    }

    /// Answers without remembering it (RFC 3261 §8.2.7): the same request gets the same answer again, tag included.
    pub(super) fn refuse(&mut self, from: Path, request: &Message<'_>, length: usize, answer: &Answer) {
        match answer.status {
            503 => self.counters.overloaded += 1,
            400 | 402.. => self.counters.rejected += 1,
            _ => {}
        }
        let tag = self.stateless_tag(request);
        // Nobody has proved anything yet.
        let is_open = self.config.auth == AuthMode::Open || from.transport != Transport::Udp;
        let limit = if answer.status == 401 { length * CHALLENGE_FACTOR } else { length };
        let bytes = if is_open { Some(answer.encode(request, &from, &tag)) } else { answer.encode_within(limit, request, &from, &tag) };
        match bytes {
            Some(bytes) => {
                let to = Target::Path(reply_path(from, request));
                self.out.push_back(Transmit { to, bytes: bytes.into(), ticket: None });
            }
            None => self.counters.too_large_to_answer += 1,
        }
    }

    /// RFC 3261 §21.5.4, with a time at random, so that those who are turned away together do not come back together.
    pub(super) fn busy(&mut self) -> Answer {
        Answer::new(503).with(Name::RetryAfter, self.rng.random_range(5..=30).to_string())
    }

    /// RFC 3261 §8.2.7: the same for every transmission of one request.
    pub(super) fn stateless_tag(&self, request: &Message<'_>) -> String {
        format!("{:08x}", self.keys.stateless_tag(request))
    }
}
