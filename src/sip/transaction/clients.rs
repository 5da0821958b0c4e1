//! The client transactions that are under way: their requests, timers and users.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngCore;
use thiserror::Error;

use super::client::{Input, State, Tell};
use super::slab::Slab;
use super::timers::Timers;
use super::{SendError, SendFailure, Target, Timing, Transmit};
use crate::sip::Method;

/// A client transaction. `Display` gives its branch.
///
/// RFC 3261 §8.1.1.7: the branch begins with `z9hG4bK` and is unique. It holds the place of the transaction, so that a
/// response finds it without a search, and 64 random bits, so that nobody who did not see the request can answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    index: u32,
    token: u64,
}

impl Ticket {
    const COOKIE: &str = "z9hG4bK";

    /// Reads a branch that [`fmt::Display`] wrote. RFC 3261 §7.3.1: tokens have no case.
    fn parse(branch: &str) -> Option<Self> {
        let (cookie, digits) = branch.split_at_checked(Self::COOKIE.len())?;
        if !cookie.eq_ignore_ascii_case(Self::COOKIE) || digits.len() != 24 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let (index, token) = digits.split_at_checked(8)?;
        Some(Self { index: u32::from_str_radix(index, 16).ok()?, token: u64::from_str_radix(token, 16).ok()? })
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:08x}{:016x}", Self::COOKIE, self.index, self.token)
    }
}

/// No further transaction can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the limit of transactions is reached")]
pub struct Full;

/// Something that the user of a transaction hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard<U> {
    /// Which transaction.
    pub ticket: Ticket,
    /// Its user.
    pub user: U,
    /// What happened.
    pub tell: Tell,
}

/// What is due.
#[derive(Debug, Clone)]
pub enum Due<U> {
    /// A request goes out once more.
    Send(Transmit),
    /// A transaction ended without a response.
    Heard(Heard<U>),
}

/// The client transactions of one element, each with a small value `U` that says whose it is.
///
/// Memory: about 250 octets and the request until the final response, then about 60 until Timer K.
#[derive(Debug)]
pub struct Clients<U> {
    timing: Timing,
    limit: usize,
    slots: Slab<Slot>,
    live: Slab<Live<U>>,
    timers: Timers<Ticket>,
    /// What is unanswered on reliable transports, by peer: a connection that ends takes them with it. Ordered, so that
    /// ten thousand requests to one proxy cost no scan.
    by_peer: BTreeSet<(Peer, u32)>,
}

#[derive(Debug)]
struct Slot {
    token: u64,
    state: State,
    /// Timer F, or K.
    ends: Instant,
    /// What is kept until the final response.
    live: Option<u32>,
}

#[derive(Debug)]
struct Live<U> {
    user: U,
    method: Method<'static>,
    to: Target,
    request: Arc<[u8]>,
    /// Timer E; none on a reliable transport.
    again: Option<(Instant, Duration)>,
}

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    Address(SocketAddr),
    Host(Arc<str>, u16),
}

impl Peer {
    fn of(target: &Target) -> Self {
        match target {
            Target::Path(path) => Self::Address(path.remote),
            Target::Host { host, port, .. } => Self::Host(Arc::clone(host), *port),
        }
    }
}

const fn connection(target: &Target) -> Option<u64> {
    match target {
        Target::Path(path) => path.connection,
        Target::Host { .. } => None,
    }
}

impl<U: Copy> Clients<U> {
    /// No transactions, and at most `limit` at a time.
    pub const fn new(timing: Timing, limit: usize) -> Self {
        Self { timing, limit, slots: Slab::new(), live: Slab::new(), timers: Timers::new(), by_peer: BTreeSet::new() }
    }

    /// How many requests await their final response.
    pub const fn unanswered(&self) -> usize {
        self.live.len()
    }

    /// Whether [`Clients::start`] would refuse.
    pub const fn is_full(&self) -> bool {
        self.live.len() >= self.limit
    }

    /// Begins a transaction: `write` writes the request with the branch that it is given (a [`Ticket`] prints as one).
    pub fn start(
        &mut self,
        now: Instant,
        rng: &mut impl RngCore,
        user: U,
        method: Method<'static>,
        to: Target,
        write: impl FnOnce(Ticket) -> Arc<[u8]>,
    ) -> Result<Transmit, Full> {
        if self.is_full() {
            return Err(Full);
        }
        let ticket = Ticket { index: self.slots.next_index().ok_or(Full)?, token: rng.next_u64() };
        let request = write(ticket);
        let reliable = to.transport().is_reliable();
        // RFC 3261 §17.1.2.2: Timer F at 64·T1; Timer E at T1 when the transport is unreliable.
        let ends = now + 64 * self.timing.t1;
        let again = (!reliable).then(|| (now + self.timing.t1, self.timing.t1));
        if reliable {
            self.by_peer.insert((Peer::of(&to), ticket.index));
        }
        let transmit = Transmit { to: to.clone(), bytes: Arc::clone(&request), ticket: Some(ticket) };
        let live = self.live.insert(Live { user, method, to, request, again });
        self.slots.insert(Slot { token: ticket.token, state: State::Trying, ends, live });
        self.timers.push(again.map_or(ends, |(at, _)| at.min(ends)), ticket);
        Ok(transmit)
    }

    /// A response came in. `None`: it belongs to no transaction, or is one that was heard before.
    ///
    /// RFC 3261 §17.1.3: it belongs to the transaction with the branch of its topmost Via and the method of its CSeq.
    pub fn response(&mut self, now: Instant, branch: &str, method: Method<'_>, status: u16) -> Option<Heard<U>> {
        let ticket = Ticket::parse(branch)?;
        let live = self.live(ticket)?;
        if live.method != method {
            return None;
        }
        let input = if status < 200 { Input::Provisional } else { Input::Final };
        self.step(now, ticket, input)
    }

    /// Ends every transaction that a failure concerns, and says whose they were.
    pub fn failed(&mut self, now: Instant, failure: &SendFailure) -> Vec<Heard<U>> {
        if let Some(ticket) = failure.ticket {
            return self.step(now, ticket, Input::TransportError).into_iter().collect();
        }
        // Any other failure without a ticket is that of a response, which is nobody's here.
        if failure.error != SendError::Closed {
            return Vec::new();
        }
        let peer = Peer::of(&failure.to);
        let mut tickets = Vec::new();
        for (_, index) in self.by_peer.range((peer.clone(), 0)..=(peer, u32::MAX)) {
            let Some((slot, live)) = self.slots.get(*index).and_then(|s| Some((s, self.live.get(s.live?)?))) else { continue };
            if live.to.transport() == failure.to.transport() && connection(&live.to) == connection(&failure.to) {
                tickets.push(Ticket { index: *index, token: slot.token });
            }
        }
        tickets.into_iter().filter_map(|ticket| self.step(now, ticket, Input::TransportError)).collect()
    }

    /// When [`Clients::due`] may have something. It may be early, never late.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The next thing that is due; to be called until there is none.
    pub fn due(&mut self, now: Instant) -> Option<Due<U>> {
        loop {
            let (_, ticket) = self.timers.pop(now)?;
            let Some(slot) = self.slots.get(ticket.index).filter(|slot| slot.token == ticket.token) else { continue };
            let (state, ends) = (slot.state, slot.ends);
            if now >= ends {
                let input = if state == State::Completed { Input::TimerK } else { Input::TimerF };
                match self.step(now, ticket, input) {
                    Some(heard) => return Some(Due::Heard(heard)),
                    None => continue,
                }
            }
            let Some((at, interval)) = slot.live.and_then(|live| self.live.get(live)).and_then(|live| live.again) else {
                self.timers.push(ends, ticket);
                continue;
            };
            if now < at {
                self.timers.push(at.min(ends), ticket);
                continue;
            }
            // RFC 3261 §17.1.2.2: Timer E doubles up to T2 in "Trying", and is T2 in "Proceeding".
            let interval = if state == State::Trying { (interval * 2).min(self.timing.t2) } else { self.timing.t2 };
            self.timers.push((now + interval).min(ends), ticket);
            if state.step(Input::TimerE, false).send
                && let Some(live) = self.live_mut(ticket)
            {
                live.again = Some((now + interval, interval));
                return Some(Due::Send(Transmit { to: live.to.clone(), bytes: Arc::clone(&live.request), ticket: Some(ticket) }));
            }
        }
    }

    fn slot(&self, ticket: Ticket) -> Option<&Slot> {
        self.slots.get(ticket.index).filter(|slot| slot.token == ticket.token)
    }

    fn live(&self, ticket: Ticket) -> Option<&Live<U>> {
        self.live.get(self.slot(ticket)?.live?)
    }

    fn live_mut(&mut self, ticket: Ticket) -> Option<&mut Live<U>> {
        let index = self.slot(ticket)?.live?;
        self.live.get_mut(index)
    }

    /// Takes one step of the table and keeps what it says.
    fn step(&mut self, now: Instant, ticket: Ticket, input: Input) -> Option<Heard<U>> {
        let live = self.live(ticket);
        let (reliable, user) = (live.is_some_and(|live| live.to.transport().is_reliable()), live.map(|live| live.user));
        let slot = self.slots.get_mut(ticket.index).filter(|slot| slot.token == ticket.token)?;
        let step = slot.state.step(input, reliable);
        slot.state = step.next;
        let mut ended = None;
        if matches!(step.next, State::Completed | State::Terminated) {
            ended = slot.live.take();
        }
        match step.next {
            // RFC 3261 §17.1.2.2: Timer K fires in T4 seconds. The entry in the heap is that of Timer E, at most T2 away.
            State::Completed if ended.is_some() => slot.ends = now + self.timing.t4,
            State::Terminated => {
                self.slots.remove(ticket.index);
            }
            _ => {}
        }
        if let Some(live) = ended.and_then(|live| self.live.remove(live))
            && live.to.transport().is_reliable()
        {
            self.by_peer.remove(&(Peer::of(&live.to), ticket.index));
        }
        Some(Heard { ticket, user: user?, tell: step.tell? })
    }
}
