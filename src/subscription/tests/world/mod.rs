//! A notifier, phones and a bad network on one clock, driven by one seed.
//!
//! After every step: each dialog's CSeq only rises, one NOTIFY is in flight, it carries the newest version, nobody gets
//! another's document nor one of another place, and every queue is bounded. When the network is good again, everybody ends on the newest version.

mod phone;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::bench::Bench;
use crate::document::{Document, profile};
use crate::model::{NetworkMap, ObjectId, Resource, Spot};
use crate::sip::transaction::{SendError, SendFailure, Target, Transmit};
use crate::sip::{Kind, Message, Path, Transport};
use crate::subscription::{Ask as Question, AuthMode, Counters, EndpointState, Notifier, NotifierConfig, OnTimeout, Reason};
use phone::Phone;

const USERS: usize = 3;
const PHONES: usize = 6;
const SERVER: &str = "192.0.2.9:5060";
/// Timer F: when a NOTIFY that nobody answers is given up.
const GIVEN_UP: Duration = Duration::from_secs(32);

/// Something on its way.
enum Packet {
    ToServer(Path, Vec<u8>),
    ToPhone(usize, Path, Arc<[u8]>),
    Failure(SendFailure),
    /// A question that reaches whoever decides documents.
    Asked(Question),
}

/// What was seen of a dialog, by Call-ID and our tag.
#[derive(Default)]
struct Seen {
    cseq: u32,
    version: u64,
    /// The NOTIFY sent last, and since when it has been out, if it still is.
    last: Option<Transmit>,
    since: Option<Instant>,
}

struct World {
    seed: u64,
    rng: StdRng,
    start: Instant,
    now: Instant,
    notifier: Notifier,
    phones: Vec<Phone>,
    /// In order of arrival; equal times in order of sending.
    wire: BTreeMap<(Instant, u64), Packet>,
    sent: u64,
    /// The newest version of each user's document; none while it is withdrawn.
    newest: Vec<Option<u64>>,
    last_version: u64,
    /// The site of each phone; 0: nowhere.
    sites: Vec<u8>,
    /// What is kept up to date, by user and site.
    wanted: BTreeSet<(usize, u8)>,
    dialogs: HashMap<(String, String), Seen>,
    /// Probabilities, in percent; all zero once the network is good.
    loss: u32,
    double: u32,
    is_good: bool,
    next_publish: Instant,
}

/// Says which seed fails.
struct Witness(u64);

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the failing seed is {}: `World::run({})` repeats it", self.0, self.0);
        }
    }
}

impl World {
    fn run(seed: u64) -> Counters {
        let _witness = Witness(seed);
        let mut world = Self::new(seed);
        world.go_on(Duration::from_secs(150));
        world.settle();
        // Long enough for everything that was given up on to be told so, and for every phone to come back.
        world.go_on(Duration::from_secs(400));
        world.check_the_end();
        // Many changes at once, and nobody subscribes again to be told: what was overtaken on its way is made good.
        world.phones.iter_mut().for_each(|phone| phone.rest(world.now));
        for _ in 0..50 {
            let user = world.rng.random_range(0..USERS);
            world.publish(user);
            let pause = world.rng.random_range(0..8);
            world.go_on(Duration::from_millis(pause));
        }
        world.go_on(Duration::from_secs(30));
        world.check_the_end();
        world.notifier.counters().clone()
    }

    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let start = Instant::now();
        let config = NotifierConfig {
            auth: AuthMode::Open,
            on_timeout: if rng.random_bool(0.8) { OnTimeout::Suspend } else { OnTimeout::Remove },
            notify_rate: if rng.random_bool(0.5) { 0 } else { 5 },
            notify_burst: 2,
            in_flight_max: if rng.random_bool(0.8) { 100 } else { 2 },
            ..NotifierConfig::default()
        };
        let phones = (0..PHONES).map(|index| Phone::new(index, &mut rng, start)).collect();
        let (loss, double) = (rng.random_range(0..40), rng.random_range(0..20));
        let mut world = Self {
            seed,
            notifier: Notifier::new(config, rng.random()),
            rng,
            start,
            now: start,
            phones,
            wire: BTreeMap::new(),
            sent: 0,
            newest: vec![None; USERS],
            last_version: 0,
            sites: (0..PHONES).map(|index| u8::try_from(index % 3).unwrap()).collect(),
            wanted: BTreeSet::new(),
            dialogs: HashMap::new(),
            loss,
            double,
            is_good: false,
            next_publish: start,
        };
        for user in 0..USERS {
            world.publish(user);
        }
        world.lay_out();
        world
    }

    /// Says where everybody is.
    fn lay_out(&mut self) {
        let prefixes: Vec<(String, u8)> =
            self.phones.iter().map(|phone| format!("{}/32", phone.address.ip())).zip(self.sites.clone()).collect();
        let networks: Vec<(&str, u8)> = prefixes.iter().map(|(prefix, site)| (prefix.as_str(), *site)).collect();
        self.notifier.set_network(self.now, Arc::new(NetworkMap::of(&networks, None)), Vec::new());
    }

    /// The document of a user at a site, as long as it is not withdrawn.
    fn document(&self, user: usize, site: u8, padding: &str) -> Option<Document> {
        let body = format!("{user} {} {site} {padding}", self.newest[user]?);
        Some(Document::new(profile::CONTENT_TYPE, body.into_bytes()))
    }

    /// What the one who decides documents does with a question.
    fn decide(&mut self, question: &Question) {
        let (Question::Want(resource, spot) | Question::Unwant(resource, spot)) = question;
        let Resource::User(aor) = resource else { panic!("{resource:?}") };
        let user = aor.user().strip_prefix("user").unwrap().parse().unwrap();
        let site = spot.site.map_or(0, |site| site.as_bytes()[0]);
        if matches!(question, Question::Unwant(..)) {
            self.wanted.remove(&(user, site));
            return;
        }
        self.wanted.insert((user, site));
        if let Some(document) = self.document(user, site, "") {
            self.notifier.publish_at(self.now, resource, spot, document);
        }
    }

    fn publish(&mut self, user: usize) {
        self.last_version += 1;
        self.newest[user] = Some(self.last_version);
        let padding = if self.rng.random_bool(0.3) { "x".repeat(1500) } else { String::new() };
        let aor = Bench::aor(&user_name(user));
        self.notifier.publish(self.now, &aor, self.document(user, 0, &padding).unwrap());
        for (_, site) in self.wanted.iter().filter(|(wanted, _)| *wanted == user) {
            let spot = Spot { site: Some(ObjectId::from_bytes([*site; 16])), ..Spot::default() };
            let document = self.document(user, *site, &padding).unwrap();
            self.notifier.publish_at(self.now, &Resource::User(aor.clone()), &spot, document);
        }
    }

    /// The network is good from now on, phones answer, and nothing changes any more.
    fn settle(&mut self) {
        (self.loss, self.double, self.is_good) = (0, 0, true);
        for user in 0..USERS {
            self.publish(user);
        }
        for phone in &mut self.phones {
            phone.behave(self.now);
        }
    }

    fn go_on(&mut self, time: Duration) {
        let until = self.now + time;
        self.transmit();
        loop {
            let timers =
                [self.notifier.poll_timeout(), self.wire.keys().next().map(|(at, _)| *at), (!self.is_good).then_some(self.next_publish)];
            let phones = self.phones.iter().map(Phone::next_at);
            let Some(next) = timers.into_iter().flatten().chain(phones).min().filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            self.step();
            self.transmit();
            self.check();
        }
        self.now = until;
    }

    /// One thing that is due, whichever it is.
    fn step(&mut self) {
        if self.notifier.poll_timeout().is_some_and(|at| at <= self.now) {
            return self.notifier.handle_timeout(self.now);
        }
        if let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
            return match entry.remove() {
                Packet::ToServer(path, bytes) => {
                    self.land(&bytes);
                    self.notifier.handle_message(self.now, path, &bytes);
                }
                Packet::ToPhone(index, path, bytes) => self.phone_gets(index, path, &bytes),
                Packet::Asked(question) => self.decide(&question),
                Packet::Failure(failure) => {
                    for seen in self.dialogs.values_mut().filter(|seen| seen.last.as_ref().is_some_and(|last| is_lost(last, &failure))) {
                        seen.since = None;
                    }
                    self.notifier.handle_send_error(self.now, &failure);
                }
            };
        }
        if !self.is_good && self.next_publish <= self.now {
            self.next_publish = self.now + Duration::from_millis(self.rng.random_range(50..4000));
            if self.rng.random_bool(0.3) {
                let phone = self.rng.random_range(0..PHONES);
                self.sites[phone] = self.rng.random_range(0..3);
                return self.lay_out();
            }
            let user = self.rng.random_range(0..USERS);
            if self.rng.random_bool(0.05) {
                self.newest[user] = None;
                return self.notifier.withdraw(self.now, &Bench::aor(&user_name(user)), Reason::NoResource);
            }
            return self.publish(user);
        }
        let Some(index) = self.phones.iter().position(|phone| phone.next_at() <= self.now) else { return };
        let phone = &mut self.phones[index];
        let request = phone.act(self.now, &mut self.rng, self.is_good);
        if phone.loses_its_connection(&mut self.rng, self.is_good)
            && let Some(connection) = phone.connection.take()
        {
            let path = Path { connection: Some(connection), ..phone.path() };
            self.put(1, Packet::Failure(SendFailure { to: Target::Path(path), ticket: None, error: SendError::Closed }));
        }
        if let Some(bytes) = request {
            let path = self.phones[index].path_with_connection();
            self.request(path, &bytes);
        }
    }

    fn phone_gets(&mut self, index: usize, path: Path, bytes: &[u8]) {
        let answers = self.phones[index].receive(self.now, &mut self.rng, bytes, self.is_good);
        for (delay, answer) in answers {
            // RFC 3261 §18.2.2: on the connection that the request came by.
            let delay: u64 = delay.as_millis().try_into().unwrap();
            for _ in 0..self.copies(path.transport) {
                let delay = delay + self.delay();
                self.put(delay, Packet::ToServer(path, answer.clone()));
            }
        }
    }

    /// A request leaves a phone.
    fn request(&mut self, path: Path, bytes: &[u8]) {
        let copies = self.copies(path.transport);
        for _ in 0..copies {
            let delay = self.delay();
            self.put(delay, Packet::ToServer(path, bytes.to_vec()));
        }
    }

    /// Over UDP a message may be lost or doubled.
    fn copies(&mut self, transport: Transport) -> u32 {
        match self.rng.random_range(0..100) {
            _ if transport.is_reliable() => 1,
            roll if roll < self.loss => 0,
            roll if roll < self.loss + self.double => 2,
            _ => 1,
        }
    }

    fn delay(&mut self) -> u64 {
        if self.is_good { 5 } else { self.rng.random_range(1..300) }
    }

    fn put(&mut self, delay_ms: u64, packet: Packet) {
        self.sent += 1;
        self.wire.insert((self.now + Duration::from_millis(delay_ms), self.sent), packet);
    }

    /// Everything that the notifier has to send goes onto the wire.
    fn transmit(&mut self) {
        while let Some(question) = self.notifier.poll_ask() {
            // In order, and now and then so late that somebody is told nothing for now. The last ones come soon.
            let latest = self.wire.iter().filter(|(_, packet)| matches!(packet, Packet::Asked(_))).map(|((at, _), _)| *at).max();
            let delay = if self.is_good { 2 } else { self.rng.random_range(1..2500) };
            let at = (self.now + Duration::from_millis(delay)).max(latest.unwrap_or(self.now));
            self.sent += 1;
            self.wire.insert((at, self.sent), Packet::Asked(question));
        }
        while let Some(transmit) = self.notifier.poll_transmit() {
            self.look_at(&transmit);
            let Target::Path(path) = transmit.to else { panic!("no names here") };
            let host = path.remote.ip();
            let Some(index) = self.phones.iter().position(|phone| phone.address.ip() == host) else { panic!("to nobody: {path:?}") };
            let phone = &self.phones[index];
            // What the sockets would say.
            let error = match path.transport {
                Transport::Udp => None,
                _ if path.connection.is_some() => (path.connection != phone.connection).then_some(SendError::Closed),
                _ => (!phone.listens_for_streams).then_some(SendError::Refused),
            };
            if let Some(error) = error {
                self.put(1, Packet::Failure(SendFailure { to: transmit.to, ticket: transmit.ticket, error }));
                continue;
            }
            for _ in 0..self.copies(path.transport) {
                let delay = self.delay();
                self.put(delay, Packet::ToPhone(index, path, Arc::clone(&transmit.bytes)));
            }
        }
    }

    /// The invariants of a NOTIFY, when it leaves.
    fn look_at(&mut self, transmit: &Transmit) {
        let message = Message::parse(&transmit.bytes).unwrap();
        if !matches!(message.kind(), Kind::Request { .. }) {
            return;
        }
        let key = (message.call_id().unwrap().to_owned(), message.from().unwrap().tag().unwrap().to_owned());
        let (now, newest, start) = (self.now, &self.newest, self.start);
        let seen = self.dialogs.entry(key.clone()).or_default();
        if seen.last.as_ref().is_some_and(|last| last.bytes == transmit.bytes) {
            return;
        }
        let at = format!("{key:?} at {:?}", now - start);
        let cseq = message.cseq().unwrap().0;
        assert!(cseq > seen.cseq, "CSeq rises: {} then {cseq}, {at}", seen.cseq);
        if let Some(since) = seen.since {
            assert!(now - since >= GIVEN_UP, "one in flight, since {:?}: {at}", since - start);
        }
        if let Some((user, version)) = content(&message) {
            let Target::Path(path) = transmit.to else { panic!("no names here") };
            let phone = self.phones.iter().position(|phone| phone.address.ip() == path.remote.ip()).unwrap();
            assert_eq!(site_in(&message), Some(self.sites[phone]), "nobody gets what belongs elsewhere: {at}");
            assert_eq!(Some(user), user_of(&message), "nobody gets another's document: {at}");
            assert_eq!(Some(version), newest[user], "the newest wins: {at}");
            assert!(version >= seen.version, "versions never go back: {at}");
            seen.version = version;
        }
        seen.cseq = cseq;
        (seen.last, seen.since) = (Some(transmit.clone()), Some(now));
    }

    /// An answer reaches the notifier: what it answers is in flight no more.
    fn land(&mut self, bytes: &[u8]) {
        let message = Message::parse(bytes).unwrap();
        let Kind::Response { status: 200.., .. } = message.kind() else { return };
        let key = (message.call_id().unwrap().to_owned(), message.from().unwrap().tag().unwrap().to_owned());
        if let Some((seen, last)) = self.dialogs.get_mut(&key).and_then(|seen| Some((&mut seen.since, seen.last.as_ref()?))) {
            let is_answered = message.via().unwrap().branch() == Message::parse(&last.bytes).unwrap().via().unwrap().branch();
            *seen = seen.filter(|_| !is_answered);
        }
    }

    fn check(&self) {
        let subscriptions = self.notifier.subscriptions();
        assert!(self.notifier.first.len() <= 2 * subscriptions + 64 && self.notifier.paced.len() <= 2 * subscriptions + 64);
        assert!(self.notifier.out.is_empty(), "all of it was taken out");
        assert!(self.notifier.clients.unanswered() <= self.notifier.config.in_flight_max);
    }

    fn check_the_end(&self) {
        for (index, phone) in self.phones.iter().enumerate() {
            assert_eq!(phone.holds(), self.newest[phone.user], "seed {}: phone {index} ends on the newest version", self.seed);
        }
        // A phone that forgot its dialog has refused what came in it; what is left is in order.
        for endpoint in self.notifier.endpoints() {
            assert!(matches!(endpoint.state, EndpointState::Synced | EndpointState::Suspended), "seed {}: {endpoint:?}", self.seed);
        }
        let synced = self.notifier.endpoints().filter(|endpoint| endpoint.state == EndpointState::Synced).count();
        assert!(synced >= PHONES, "seed {}: {synced}", self.seed);
    }
}

fn user_name(user: usize) -> String {
    format!("user{user}")
}

/// User and version of the document that a NOTIFY brings.
fn content(notify: &Message<'_>) -> Option<(usize, u64)> {
    let text = std::str::from_utf8(notify.body()).unwrap();
    let mut words = text.split(' ');
    Some((words.next().filter(|word| !word.is_empty())?.parse().unwrap(), words.next()?.parse().unwrap()))
}

/// The site of the document that a NOTIFY brings.
fn site_in(notify: &Message<'_>) -> Option<u8> {
    std::str::from_utf8(notify.body()).unwrap().split(' ').nth(2)?.parse().ok()
}

/// Whom a NOTIFY is for.
fn user_of(notify: &Message<'_>) -> Option<usize> {
    notify.to().unwrap().uri.user?.strip_prefix("user")?.parse().ok()
}

/// Whether a NOTIFY that was sent is one that a failure tells of.
fn is_lost(sent: &Transmit, failure: &SendFailure) -> bool {
    match (failure.ticket, &sent.to, &failure.to) {
        (Some(ticket), ..) => sent.ticket == Some(ticket),
        (None, Target::Path(sent), Target::Path(lost)) => sent.connection == lost.connection && sent.remote == lost.remote,
        _ => false,
    }
}

#[test]
fn many_seeds() {
    type Count = fn(&Counters) -> u64;
    // More by hand: `DIALCAST_SEEDS=10000 cargo test --release --lib world`.
    let seeds = std::env::var("DIALCAST_SEEDS").map_or(40, |text| text.parse().unwrap());
    let counters: Vec<Counters> = (0..seeds).map(World::run).collect();
    // All of it happened: else the invariants would have been easy to keep.
    let counts: [(&str, Count); 12] = [
        ("waited in vain", |c| c.waited_in_vain),
        ("retransmitted requests", |c| c.retransmitted_requests),
        ("stray responses", |c| c.stray_responses),
        ("refreshed", |c| c.refreshed),
        ("unsubscribed", |c| c.unsubscribed),
        ("rejected", |c| c.rejected),
        ("retransmitted NOTIFYs", |c| c.retransmitted_notifies),
        ("refused", |c| c.refused),
        ("postponed", |c| c.postponed),
        ("unanswered", |c| c.unanswered),
        ("rerouted", |c| c.rerouted),
        ("expired", |c| c.expired),
    ];
    for (what, count) in counts {
        assert!(counters.iter().map(count).sum::<u64>() > 0, "{what}: {:?}", counters.iter().map(count).collect::<Vec<_>>());
    }
}
