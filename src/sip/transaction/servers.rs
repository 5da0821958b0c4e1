//! The server transactions that are under way or were answered: what keeps a retransmitted request from acting twice.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::key::RequestKey;
use super::server::{Input, Send, State};
use super::slab::Slab;
use super::{Full, Target, Timing, Transmit};
use crate::sip::Path;

/// A server transaction that awaits its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTicket {
    index: u32,
    key: u128,
}

/// What a request is to the transactions that are there.
#[derive(Debug, Clone)]
pub enum Received {
    /// A new one: [`Servers::begin`] may follow.
    New,
    /// One that is there already; the response sent last goes out again, if there is one.
    Retransmission(Option<Transmit>),
    /// One that came on another path under another branch (RFC 3261 §8.2.2.2): to be answered 482.
    Merged,
}

/// The server transactions of one element.
///
/// Memory: about 200 octets each, and the response for 64·T1 on unreliable transports. On reliable ones Timer J is zero,
/// and nothing is kept. The limit keeps the sum bounded: at the limit [`Servers::begin`] refuses, and new requests are to
/// be answered 503 without a transaction.
#[derive(Debug)]
pub struct Servers {
    timing: Timing,
    limit: usize,
    slots: Slab<Slot>,
    by_key: HashMap<u128, u32>,
    merged: HashMap<u128, u32>,
    /// Timer J is the same for all, so that the first to begin is the first to end.
    ends: VecDeque<(Instant, ServerTicket)>,
}

#[derive(Debug)]
struct Slot {
    key: RequestKey,
    state: State,
    to: Path,
    response: Option<Arc<[u8]>>,
}

impl Servers {
    /// No transactions, and at most `limit` at a time.
    pub fn new(timing: Timing, limit: usize) -> Self {
        Self { timing, limit, slots: Slab::new(), by_key: HashMap::new(), merged: HashMap::new(), ends: VecDeque::new() }
    }

    /// How many are held.
    pub const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether none is held.
    pub const fn is_empty(&self) -> bool {
        self.slots.len() == 0
    }

    /// Whether [`Servers::begin`] would refuse.
    pub const fn is_full(&self) -> bool {
        self.slots.len() >= self.limit
    }

    /// Whether a request is there.
    pub fn holds(&self, key: &RequestKey) -> bool {
        self.by_key.contains_key(&key.transaction)
    }

    /// A request came in: is it new?
    pub fn receive(&mut self, key: &RequestKey) -> Received {
        let Some(index) = self.by_key.get(&key.transaction).copied() else {
            return match key.merged {
                Some(merged) if self.merged.contains_key(&merged) => Received::Merged,
                _ => Received::New,
            };
        };
        let Some(slot) = self.slots.get_mut(index) else { return Received::New };
        let step = slot.state.step(Input::Request, slot.to.transport.is_reliable());
        slot.state = step.next;
        // The answer goes where the first one went: who repeats a request from elsewhere draws nothing to himself.
        let send = step.send.and(slot.response.as_ref()).map(|response| transmit(slot.to, response));
        Received::Retransmission(send)
    }

    /// Begins a transaction for a new request; its responses go to `to`.
    pub fn begin(&mut self, key: RequestKey, to: Path) -> Result<ServerTicket, Full> {
        if self.is_full() {
            return Err(Full);
        }
        let index = self.slots.insert(Slot { key, state: State::Trying, to, response: None }).ok_or(Full)?;
        self.by_key.insert(key.transaction, index);
        if let Some(merged) = key.merged {
            self.merged.insert(merged, index);
        }
        Ok(ServerTicket { index, key: key.transaction })
    }

    /// The user answers. `None`: it had answered already, or the transaction is gone.
    pub fn respond(&mut self, now: Instant, ticket: ServerTicket, status: u16, response: Arc<[u8]>) -> Option<Transmit> {
        let slot = self.slots.get_mut(ticket.index).filter(|slot| slot.key.transaction == ticket.key)?;
        let input = if status < 200 { Input::Provisional } else { Input::Final };
        let step = slot.state.step(input, slot.to.transport.is_reliable());
        slot.state = step.next;
        let send = step.send == Some(Send::Given);
        let to = slot.to;
        let out = send.then(|| transmit(to, &response));
        match step.next {
            State::Completed if send => {
                slot.response = Some(response);
                // RFC 3261 §17.2.2: Timer J at 64·T1.
                self.ends.push_back((now + 64 * self.timing.t1, ticket));
            }
            State::Proceeding if send => slot.response = Some(response),
            State::Terminated => self.remove(ticket),
            State::Trying | State::Proceeding | State::Completed => {}
        }
        out
    }

    /// The response could not be sent: the transaction ends. Says whether it was there.
    pub fn failed(&mut self, ticket: ServerTicket) -> bool {
        let Some(slot) = self.slots.get_mut(ticket.index).filter(|slot| slot.key.transaction == ticket.key) else { return false };
        let step = slot.state.step(Input::TransportError, slot.to.transport.is_reliable());
        slot.state = step.next;
        if step.next == State::Terminated {
            self.remove(ticket);
        }
        step.failed
    }

    /// When the next transaction ends.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.ends.front().map(|(at, _)| *at)
    }

    /// Ends the transactions whose Timer J fired.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, ticket)) = self.ends.front().copied().filter(|(at, _)| *at <= now) {
            self.ends.pop_front();
            let Some(slot) = self.slots.get_mut(ticket.index).filter(|slot| slot.key.transaction == ticket.key) else { continue };
            if slot.state.step(Input::TimerJ, false).next == State::Terminated {
                self.remove(ticket);
            }
        }
    }

    fn remove(&mut self, ticket: ServerTicket) {
        let Some(slot) = self.slots.remove(ticket.index) else { return };
        self.by_key.remove(&slot.key.transaction);
        if let Some(merged) = slot.key.merged
            && self.merged.get(&merged) == Some(&ticket.index)
        {
            self.merged.remove(&merged);
        }
    }
}

fn transmit(to: Path, bytes: &Arc<[u8]>) -> Transmit {
    Transmit { to: Target::Path(to), bytes: Arc::clone(bytes), ticket: None }
}
