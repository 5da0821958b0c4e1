//! Transactions other than INVITE's (RFC 3261 §17), sans-IO: bytes, time and randomness come in, bytes and deadlines come out.
//!
//! [`client`] and [`server`] are the tables of the RFC. [`Clients`] and [`Servers`] hold the transactions that are under
//! way: one table each, no task and no timer of the system per transaction.

pub mod client;
mod clients;
mod key;
mod send;
pub mod server;
mod servers;
pub(crate) mod slab;
pub(crate) mod timers;

use std::time::Duration;

pub use clients::{Clients, Due, Full, Heard, Ticket};
pub use key::{Keys, RequestKey};
pub use send::{SendError, SendFailure, Target, Transmit};
pub use servers::{Received, ServerTicket, Servers};

/// The base values of all timers (RFC 3261 §17.1.1.1 and table 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// An estimate of the round-trip time: 500 ms.
    pub t1: Duration,
    /// The longest interval between two transmissions: 4 s.
    pub t2: Duration,
    /// The longest that a message stays in the network: 5 s.
    pub t4: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

#[cfg(test)]
mod tests;
