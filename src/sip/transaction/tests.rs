//! The tables with time and bytes: when things are sent again, and what becomes of them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::client::Tell;
use super::{Clients, Due, Keys, Received, SendError, SendFailure, Servers, Target, Ticket, Timing};
use crate::sip::{Message, Method, Path, Transport};

const MS: Duration = Duration::from_millis(1);

fn path(transport: Transport, remote: &str, connection: Option<u64>) -> Path {
    Path { transport, local: "192.0.2.9:5060".parse().unwrap(), remote: remote.parse().unwrap(), connection }
}

struct World {
    start: Instant,
    clients: Clients<char>,
    rng: StdRng,
}

impl World {
    fn new() -> Self {
        Self { start: Instant::now(), clients: Clients::new(Timing::default(), 3), rng: StdRng::seed_from_u64(1) }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + MS * u32::try_from(ms).unwrap()
    }

    fn begin(&mut self, ms: u64, user: char, path: Path) -> Option<Ticket> {
        let now = self.at(ms);
        let write = |ticket: Ticket| -> Arc<[u8]> { ticket.to_string().into_bytes().into() };
        let sent = self.clients.start(now, &mut self.rng, user, Method::Notify, Target::Path(path), write).ok()?;
        assert_eq!(sent.bytes, write(sent.ticket.unwrap()));
        sent.ticket
    }

    /// What happens until a time, when the clock always stops at the next deadline.
    fn run(&mut self, from_ms: u64, to_ms: u64) -> String {
        let mut out = String::new();
        let mut now = self.at(from_ms);
        while let Some(next) = self.clients.poll_timeout().filter(|next| *next <= self.at(to_ms)) {
            now = now.max(next);
            while let Some(due) = self.clients.due(now) {
                let ms = (now - self.start).as_millis();
                match due {
                    Due::Send(_) => writeln!(out, "{ms} send").unwrap(),
                    Due::Heard(heard) => writeln!(out, "{ms} {} {:?}", heard.user, heard.tell).unwrap(),
                }
            }
        }
        out
    }
}

#[test]
fn timers_e_and_f() {
    let mut world = World::new();
    world.begin(0, 'a', path(Transport::Udp, "192.0.2.1:5060", None)).unwrap();
    // RFC 3261 §17.1.2.2: 500 ms, 1 s, 2 s, 4 s, 4 s, … and the end after 32 s.
    insta::assert_snapshot!(world.run(0, 60_000), @r"
    500 send
    1500 send
    3500 send
    7500 send
    11500 send
    15500 send
    19500 send
    23500 send
    27500 send
    31500 send
    32000 a Timeout
    ");
    assert_eq!((world.clients.unanswered(), world.clients.poll_timeout()), (0, None));
}

#[test]
fn a_reliable_transport_repeats_nothing() {
    let mut world = World::new();
    world.begin(0, 'a', path(Transport::Tcp, "192.0.2.1:5060", None)).unwrap();
    assert_eq!(world.run(0, 60_000), "32000 a Timeout\n");
}

#[test]
fn a_provisional_response_slows_down() {
    let mut world = World::new();
    let ticket = world.begin(0, 'a', path(Transport::Udp, "192.0.2.1:5060", None)).unwrap();
    assert_eq!(world.run(0, 400), "");
    let heard = world.clients.response(world.at(400), &ticket.to_string(), Method::Notify, 100).unwrap();
    assert_eq!((heard.user, heard.tell), ('a', Tell::Response));
    // Timer E, once fired in "Proceeding", is T2.
    assert_eq!(world.run(400, 9_000), "500 send\n4500 send\n8500 send\n");
}

#[test]
fn one_final_response() {
    let mut world = World::new();
    let ticket = world.begin(0, 'a', path(Transport::Udp, "192.0.2.1:5060", None)).unwrap();
    let branch = ticket.to_string();
    assert!(branch.starts_with("z9hG4bK00000000") && branch.len() == 31, "a cookie, a place, a secret: {branch}");
    let mut answer = |ms, branch: &str, method, status| {
        let now = world.at(ms);
        world.clients.response(now, branch, method, status).map(|heard| heard.tell)
    };
    assert_eq!(answer(10, &branch, Method::Subscribe, 200), None, "another method");
    assert_eq!(answer(10, "z9hG4bK000000000000000000000000", Method::Notify, 200), None, "another secret");
    assert_eq!(answer(10, "z9hG4bK", Method::Notify, 200), None);
    assert_eq!(answer(10, "z9hG4bK00000000+aa5cb7e2c5c2b2e", Method::Notify, 200), None);
    assert_eq!(answer(10, &branch.to_ascii_uppercase(), Method::Notify, 200), Some(Tell::Response), "tokens have no case");
    assert_eq!(answer(20, &branch, Method::Notify, 200), None, "retransmissions are absorbed");
    assert_eq!(world.run(20, 60_000), "");
    assert_eq!(world.clients.poll_timeout(), None, "Timer K has fired");
}

#[test]
fn places_are_used_again_and_limits_hold() {
    let mut world = World::new();
    let to = path(Transport::Tcp, "192.0.2.1:5060", None);
    let first = world.begin(0, 'a', to).unwrap();
    assert!(world.begin(0, 'b', to).is_some() && world.begin(0, 'c', to).is_some() && world.begin(0, 'd', to).is_none());
    assert!(world.clients.is_full());
    world.clients.response(world.at(1), &first.to_string(), Method::Notify, 200).unwrap();
    let second = world.begin(1, 'e', to).unwrap();
    // The place is the same, the branch is not, and what is left of the first in the heap does no harm to the second.
    assert_eq!((first.to_string()[..15] == second.to_string()[..15], first == second), (true, false));
    assert_eq!(world.clients.response(world.at(2), &first.to_string(), Method::Notify, 200), None);
    assert_eq!(world.run(2, 60_000).lines().collect::<Vec<_>>(), ["32000 b Timeout", "32000 c Timeout", "32001 e Timeout"]);
}

#[test]
fn a_lost_connection_takes_its_requests_with_it() {
    let mut world = World::new();
    let flow = |connection| path(Transport::Tcp, "192.0.2.1:40000", Some(connection));
    let ticket = world.begin(0, 'a', flow(1)).unwrap();
    world.begin(0, 'b', flow(2)).unwrap();
    world.begin(0, 'c', path(Transport::Tcp, "192.0.2.2:5060", None)).unwrap();
    let now = world.at(5);
    let mut failed = |to: Path, ticket, error| -> String {
        world.clients.failed(now, &SendFailure { to: Target::Path(to), ticket, error }).iter().map(|heard| heard.user).collect()
    };
    assert_eq!(failed(flow(3), None, SendError::Closed), "");
    assert_eq!(failed(flow(1), None, SendError::Closed), "a");
    assert_eq!(failed(flow(1), Some(ticket), SendError::Closed), "", "told twice");
    assert_eq!(failed(path(Transport::Tcp, "192.0.2.2:5060", Some(7)), None, SendError::Closed), "", "not by that connection");
    assert_eq!(failed(path(Transport::Tcp, "192.0.2.2:5060", None), None, SendError::Closed), "c");
    assert_eq!(world.run(5, 60_000), "32000 b Timeout\n");
}

fn subscribe(branch: u32, cseq: u32) -> Vec<u8> {
    format!(
        "SUBSCRIBE sip:anna@corp.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}\r\nFrom: <sip:anna@corp.example>;tag=a\r\n\
         To: <sip:anna@corp.example>\r\nCall-ID: 1\r\nCSeq: {cseq} SUBSCRIBE\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn an_answered_request_is_answered_again() {
    let (keys, start) = (Keys::new(&mut StdRng::seed_from_u64(1)), Instant::now());
    let mut servers = Servers::new(Timing::default(), 2);
    let key = |branch, cseq| keys.of(&Message::parse(&subscribe(branch, cseq)).unwrap()).unwrap();
    let to = path(Transport::Udp, "192.0.2.1:5060", None);

    assert!(matches!(servers.receive(&key(1, 1)), Received::New));
    let ticket = servers.begin(key(1, 1), to).unwrap();
    // "Trying": nothing to say yet.
    assert!(matches!(servers.receive(&key(1, 1)), Received::Retransmission(None)));
    assert_eq!(servers.respond(start, ticket, 100, b"100".as_slice().into()).unwrap().bytes, b"100".as_slice().into());
    assert!(matches!(servers.receive(&key(1, 1)), Received::Retransmission(Some(again)) if *again.bytes == *b"100"));
    assert_eq!(servers.respond(start, ticket, 200, b"200".as_slice().into()).unwrap().to, Target::Path(to));
    assert!(servers.respond(start, ticket, 500, b"500".as_slice().into()).is_none(), "answered already");
    assert!(matches!(servers.receive(&key(1, 1)), Received::Retransmission(Some(again)) if *again.bytes == *b"200"));

    // RFC 3261 §8.2.2.2: the same request by another way.
    assert!(matches!(servers.receive(&key(2, 1)), Received::Merged));
    assert!(matches!(servers.receive(&key(2, 2)), Received::New));
    servers.begin(key(2, 2), to).unwrap();
    assert!(servers.is_full() && servers.begin(key(3, 3), to).is_err());

    // RFC 3261 §17.2.2: Timer J at 32 s.
    assert_eq!(servers.poll_timeout(), Some(start + 32_000 * MS));
    servers.handle_timeout(start + 31_999 * MS);
    assert!(servers.holds(&key(1, 1)));
    servers.handle_timeout(start + 32_000 * MS);
    assert!(!servers.holds(&key(1, 1)) && servers.len() == 1);
    assert!(matches!(servers.receive(&key(1, 1)), Received::New));
}

#[test]
fn a_reliable_transport_keeps_no_answer() {
    let keys = Keys::new(&mut StdRng::seed_from_u64(1));
    let mut servers = Servers::new(Timing::default(), 2);
    let key = keys.of(&Message::parse(&subscribe(1, 1)).unwrap()).unwrap();
    let ticket = servers.begin(key, path(Transport::Tcp, "192.0.2.1:5060", Some(1))).unwrap();
    assert!(servers.respond(Instant::now(), ticket, 200, b"200".as_slice().into()).is_some());
    assert!(servers.is_empty() && servers.poll_timeout().is_none());
    assert!(matches!(servers.receive(&key), Received::New));
}

#[test]
fn a_failed_answer_ends_the_transaction() {
    let keys = Keys::new(&mut StdRng::seed_from_u64(1));
    let mut servers = Servers::new(Timing::default(), 2);
    let key = keys.of(&Message::parse(&subscribe(1, 1)).unwrap()).unwrap();
    let ticket = servers.begin(key, path(Transport::Udp, "192.0.2.1:5060", None)).unwrap();
    assert!(!servers.failed(ticket), "nothing was sent yet");
    servers.respond(Instant::now(), ticket, 200, b"200".as_slice().into()).unwrap();
    assert!(servers.failed(ticket) && !servers.failed(ticket) && servers.is_empty());
}
