//! A network in memory between Dialcast's notifier and its subscribers: latency, loss, connections, and time that passes when told.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::agent::subscriber::{Event, Received, Subscriber, SubscriberConfig};
use crate::document::Document;
use crate::document::profile::CONTENT_TYPE;
use crate::model::Aor;
use crate::sip::transaction::{SendError, SendFailure, Target, Transmit};
use crate::sip::{Path, Transport};
use crate::subscription::{AuthMode, Notifier, NotifierConfig};

const SERVER: &str = "192.0.2.9:5060";

pub(super) struct World {
    pub(super) now: Instant,
    start: Instant,
    pub(super) notifier: Notifier,
    pub(super) phones: Vec<Phone>,
    /// The share of datagrams that are lost.
    pub(super) loss: f64,
    /// Whether phones accept TCP connections.
    pub(super) phones_accept: bool,
    /// Datagrams and stream messages that were larger than 1300 octets.
    pub(super) large: (usize, usize),
    rng: StdRng,
    wire: BinaryHeap<Reverse<Flight>>,
    sent: u64,
    /// The ends of each connection.
    connections: Vec<(SocketAddr, SocketAddr)>,
}

pub(super) struct Phone {
    pub(super) address: SocketAddr,
    pub(super) subscriber: Subscriber,
    /// Every document in the order of arrival.
    pub(super) documents: Vec<Received>,
    pub(super) events: Vec<Event>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Instant,
    order: u64,
    to: SocketAddr,
    path: (Transport, SocketAddr, Option<u64>),
    bytes: Vec<u8>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::with(seed, NotifierConfig { auth: AuthMode::Open, ..NotifierConfig::default() })
    }

    pub(super) fn with(seed: u64, config: NotifierConfig) -> Self {
        let now = Instant::now();
        let listen = [Transport::Udp, Transport::Tcp].map(|transport| (transport, SERVER.parse().unwrap())).to_vec();
        Self {
            now,
            start: now,
            notifier: Notifier::new(NotifierConfig { listen, ..config }, [1; 32]),
            phones: Vec::new(),
            loss: 0.0,
            phones_accept: true,
            large: (0, 0),
            rng: StdRng::seed_from_u64(seed),
            wire: BinaryHeap::new(),
            sent: 0,
            connections: Vec::new(),
        }
    }

    /// A phone of `user`, switched on.
    pub(super) fn phone(&mut self, user: &str, transport: Transport, adjust: impl FnOnce(&mut SubscriberConfig)) -> usize {
        let number = self.phones.len();
        let address: SocketAddr = format!("192.0.2.{}:5090", 20 + number).parse().unwrap();
        let path = Path { transport, local: address, remote: SERVER.parse().unwrap(), connection: None };
        let mut config = SubscriberConfig::new(aor(user), Target::Path(path), address);
        adjust(&mut config);
        let mut subscriber = Subscriber::new(config, [u8::try_from(number).unwrap() + 2; 32]);
        subscriber.subscribe(self.now);
        self.phones.push(Phone { address, subscriber, documents: Vec::new(), events: Vec::new() });
        number
    }

    pub(super) fn publish(&mut self, user: &str, body: &str) {
        self.notifier.publish(self.now, &aor(user), Document::new(CONTENT_TYPE, body.as_bytes()));
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, seconds: f64) {
        let until = self.now + Duration::from_secs_f64(seconds);
        loop {
            self.flush();
            let phones = self.phones.iter().filter_map(|phone| phone.subscriber.poll_timeout());
            let wire = self.wire.peek().map(|Reverse(flight)| flight.at);
            let next = phones.chain(self.notifier.poll_timeout()).chain(wire).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            self.tick();
        }
        self.now = until;
    }

    /// Lets time pass until something holds, for so many seconds at most.
    pub(super) fn until(&mut self, limit_s: u32, holds: impl Fn(&Self) -> bool) {
        for _ in 0..limit_s {
            if holds(self) {
                return;
            }
            self.pass(1.0);
        }
        assert!(holds(self), "not after {limit_s} s");
    }

    /// Seconds since the start.
    pub(super) fn at(&self) -> u64 {
        (self.now - self.start).as_secs()
    }

    fn tick(&mut self) {
        while self.wire.peek().is_some_and(|Reverse(flight)| flight.at <= self.now) {
            let Some(Reverse(flight)) = self.wire.pop() else { break };
            let (transport, remote, connection) = flight.path;
            let path = Path { transport, local: flight.to, remote, connection };
            match self.phones.iter_mut().find(|phone| phone.address == flight.to) {
                Some(phone) => phone.subscriber.handle_message(self.now, path, &flight.bytes),
                None => self.notifier.handle_message(self.now, path, &flight.bytes),
            }
        }
        for phone in &mut self.phones {
            if phone.subscriber.poll_timeout().is_some_and(|at| at <= self.now) {
                phone.subscriber.handle_timeout(self.now);
            }
        }
        if self.notifier.poll_timeout().is_some_and(|at| at <= self.now) {
            self.notifier.handle_timeout(self.now);
        }
    }

    /// Takes out what the machines have to send, and to tell.
    fn flush(&mut self) {
        loop {
            let mut out: Vec<(Option<usize>, Transmit)> = Vec::new();
            while let Some(transmit) = self.notifier.poll_transmit() {
                out.push((None, transmit));
            }
            for (number, phone) in self.phones.iter_mut().enumerate() {
                while let Some(transmit) = phone.subscriber.poll_transmit() {
                    out.push((Some(number), transmit));
                }
                while let Some(event) = phone.subscriber.poll_event() {
                    if let Event::Received(document) = &event {
                        phone.documents.push(document.clone());
                    }
                    phone.events.push(event);
                }
            }
            if out.is_empty() {
                return;
            }
            for (from, transmit) in out {
                self.carry(from, &transmit);
            }
        }
    }

    fn carry(&mut self, from: Option<usize>, transmit: &Transmit) {
        let own = from.map_or(SERVER.parse().unwrap(), |number| self.phones[number].address);
        let Target::Path(path) = transmit.to.clone() else { panic!("nobody has a name here: {:?}", transmit.to) };
        let is_large = usize::from(transmit.bytes.len() > 1300);
        let (to, remote, connection) = match (path.transport, path.connection) {
            (Transport::Udp, _) => {
                self.large.0 += is_large;
                if self.rng.random_bool(self.loss) {
                    return;
                }
                (path.remote, own, None)
            }
            (_, Some(id)) => {
                let ends = self.connections[usize::try_from(id).unwrap()];
                let to = if ends.0 == own { ends.1 } else { ends.0 };
                (to, own, Some(id))
            }
            (_, None) => {
                if from.is_none() && !self.phones_accept {
                    let failure = SendFailure { to: transmit.to.clone(), ticket: transmit.ticket, error: SendError::Refused };
                    return self.notifier.handle_send_error(self.now, &failure);
                }
                self.connections.push((own, path.remote));
                (path.remote, own, Some(self.connections.len() as u64 - 1))
            }
        };
        if path.transport != Transport::Udp {
            self.large.1 += is_large;
        }
        // Datagrams overtake each other; a stream keeps its order.
        let latency = if path.transport == Transport::Udp { self.rng.random_range(1..60) } else { 20 };
        self.sent += 1;
        let at = self.now + Duration::from_millis(latency);
        let path = (path.transport, remote, connection);
        self.wire.push(Reverse(Flight { at, order: self.sent, to, path, bytes: transmit.bytes.to_vec() }));
    }
}

impl Phone {
    /// The last document, as text.
    pub(super) fn holds(&self) -> &str {
        self.documents.last().map_or("", |document| std::str::from_utf8(&document.body).unwrap())
    }

    pub(super) fn last(&self) -> Option<&Event> {
        self.events.last()
    }
}

pub(super) fn aor(user: &str) -> Aor {
    format!("sip:{user}@corp.example").parse().unwrap()
}
