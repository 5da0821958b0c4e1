//! What goes to the network, and what comes back when it cannot.

use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;

use super::Ticket;
use crate::sip::{Path, Transport};

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// An address, or a connection that is there already.
    Path(Path),
    /// A host by name: its address is looked up when the message is sent (RFC 3263 §4.2).
    Host {
        /// How to speak to it.
        transport: Transport,
        /// The own address to send from.
        local: SocketAddr,
        /// The name.
        host: Arc<str>,
        /// The port.
        port: u16,
    },
}

impl Target {
    /// How to speak to it.
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Path(path) => path.transport,
            Self::Host { transport, .. } => *transport,
        }
    }

    /// The own address to send from.
    pub const fn local(&self) -> SocketAddr {
        match self {
            Self::Path(path) => path.local,
            Self::Host { local, .. } => *local,
        }
    }
}

/// A message on its way out.
#[derive(Debug, Clone)]
pub struct Transmit {
    /// Where to.
    pub to: Target,
    /// The whole message.
    pub bytes: Arc<[u8]>,
    /// The client transaction that sends it, for [`SendFailure`]; none for a response.
    pub ticket: Option<Ticket>,
}

/// A message that did not go out, or a connection that ended.
#[derive(Debug, Clone)]
pub struct SendFailure {
    /// Where it was to go. When a connection ended: what it was opened for, or, if the other side had opened it, its path and number.
    pub to: Target,
    /// Which transaction; none when a connection ended, which is the end for everything unanswered on it.
    pub ticket: Option<Ticket>,
    /// Why.
    pub error: SendError,
}

/// Why a message did not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum SendError {
    /// The other side refused the connection.
    #[error("connection refused")]
    Refused,
    /// The connection ended.
    #[error("connection closed")]
    Closed,
    /// No connection in time.
    #[error("no connection in time")]
    Timeout,
    /// No route, or the kernel does not let the message out.
    #[error("unreachable")]
    Unreachable,
    /// The name has no address.
    #[error("the name has no address")]
    Unresolved,
    /// There is no socket for this transport.
    #[error("no socket for this transport")]
    Unsupported,
    /// Larger than a datagram can be.
    #[error("larger than a datagram can be")]
    TooLong,
    /// The queue to this peer is full: it reads more slowly than it is sent to. Worth another try later.
    #[error("the queue to this peer is full")]
    Busy,
}
