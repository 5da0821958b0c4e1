//! Stage 7: the sockets. UDP and TCP by tokio; whole messages come in, whole messages go out, nothing is read of them but
//! where one ends (RFC 3261 §18).
//!
//! Everything here is bounded: connections in all and from one source, what a connection may have half received or not
//! yet read, how long it may be silent, and the channel to the reader. Who reads slowly slows the sockets down, and the
//! kernel drops what does not fit, as UDP has it.

mod config;
mod local;
mod pool;
mod resolve;
mod tcp;
mod udp;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

pub use config::{Listen, NetConfig, NetCounters, NetError};

use crate::sip::transaction::{SendError, SendFailure, Target, Transmit};
use crate::sip::{Path, Transport};
use pool::Pool;
use udp::UdpPort;

/// What the network reports.
#[derive(Debug)]
pub enum Event {
    /// A whole message, or a datagram of whatever content.
    Received {
        /// Where from.
        path: Path,
        /// Its octets.
        bytes: Vec<u8>,
    },
    /// A message did not go out, or a connection ended.
    Failed(SendFailure),
}

/// The sockets of one process. Dropping it closes them.
#[derive(Debug)]
pub struct Net {
    shared: Arc<Shared>,
    addresses: Vec<Listen>,
    closing: watch::Sender<bool>,
    /// Ends when the last task has ended.
    ended: mpsc::Receiver<()>,
}

/// What the tasks share.
#[derive(Debug)]
struct Shared {
    config: NetConfig,
    udp: Vec<UdpPort>,
    pool: Pool,
    names: resolve::Names,
    events: mpsc::Sender<Event>,
    counters: NetCounters,
}

/// What each task holds: when it is dropped everywhere, everything has ended.
#[derive(Clone)]
struct Life {
    closing: watch::Receiver<bool>,
    _alive: mpsc::Sender<()>,
}

impl Life {
    /// Waits until the sockets are to close.
    async fn closing(&mut self) {
        // An error means that `Net` was dropped, which says the same.
        let _ = self.closing.wait_for(|closing| *closing).await;
    }
}

impl Net {
    /// Opens the sockets and begins to receive. To be called inside of a Tokio runtime.
    pub fn bind(config: NetConfig) -> Result<(Self, mpsc::Receiver<Event>), NetError> {
        let (events, received) = mpsc::channel(config.events_max);
        let (closing, closing_seen) = watch::channel(false);
        let (alive, ended) = mpsc::channel(1);
        let life = Life { closing: closing_seen, _alive: alive };
        let (mut udp, mut listeners, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
        for listen in &config.listen {
            let fault = |source| NetError::Bind { listen: *listen, source };
            let address = match listen.transport {
                Transport::Udp => {
                    let port = UdpPort::bind(listen.address, &config).map_err(fault)?;
                    let address = port.address();
                    udp.push(port);
                    address
                }
                Transport::Tcp => {
                    let listener = tcp::listen(listen.address).map_err(fault)?;
                    let address = listener.local_addr().map_err(fault)?;
                    listeners.push(listener);
                    address
                }
                transport => return Err(NetError::Transport { transport }),
            };
            addresses.push(Listen { transport: listen.transport, address });
        }
        let shared = Arc::new(Shared {
            pool: Pool::new(&config),
            names: resolve::Names::new(),
            counters: NetCounters::default(),
            config,
            udp,
            events,
        });
        for index in 0..shared.udp.len() {
            tokio::spawn(udp::receive(Arc::clone(&shared), index, life.clone()));
        }
        for listener in listeners {
            tokio::spawn(tcp::accept(Arc::clone(&shared), listener, life.clone()));
        }
        shared.pool.set_life(life);
        Ok((Self { shared, addresses, closing, ended }, received))
    }

    /// The addresses that are listened on, ports filled in.
    pub fn addresses(&self) -> &[Listen] {
        &self.addresses
    }

    /// The smallest receive buffer that the kernel granted to a UDP socket, in octets; `None` without UDP.
    pub fn receive_buffer(&self) -> Option<usize> {
        self.shared.udp.iter().map(UdpPort::receive_buffer).min()
    }

    /// What was counted.
    pub fn counters(&self) -> &NetCounters {
        &self.shared.counters
    }

    /// Sends a message, or queues it for its connection. It waits for nothing but the UDP socket's own buffer; what fails
    /// later (a connection that is refused) is told as [`Event::Failed`].
    pub async fn send(&self, transmit: Transmit) -> Result<(), SendFailure> {
        let result = match (&transmit.to, transmit.to.transport()) {
            (Target::Path(path), Transport::Udp) => udp::send(&self.shared, path.local, path.remote, &transmit.bytes).await,
            (Target::Host { .. }, Transport::Udp) => udp::send_to_host(&self.shared, &transmit),
            (_, Transport::Tcp) => tcp::send(&self.shared, &transmit),
            (_, Transport::Tls | Transport::Ws | Transport::Wss) => Err(SendError::Unsupported),
        };
        result.map_err(|error| SendFailure { to: transmit.to, ticket: transmit.ticket, error })
    }

    /// Stops listening, lets the connections send what is queued, and closes them; after `limit` at the latest.
    pub async fn shutdown(mut self, limit: Duration) {
        self.closing.send_replace(true);
        self.shared.pool.close();
        // Nothing is ever sent on it: it ends when the last task drops its side.
        let _ = tokio::time::timeout(limit, self.ended.recv()).await;
    }
}

impl Shared {
    async fn failed(&self, to: Target, ticket: Option<crate::sip::transaction::Ticket>, error: SendError) {
        // An error means that nobody listens any more.
        let _ = self.events.send(Event::Failed(SendFailure { to, ticket, error })).await;
    }

    /// Hands a message to the reader; false when there is none any more.
    async fn received(&self, path: Path, bytes: Vec<u8>) -> bool {
        self.events.send(Event::Received { path, bytes }).await.is_ok()
    }
}

/// The error that a failed system call means to the sender of a message.
fn send_error(error: &std::io::Error) -> SendError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => SendError::Refused,
        ErrorKind::TimedOut => SendError::Timeout,
        ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof | ErrorKind::ConnectionAborted => SendError::Closed,
        // EMSGSIZE has no kind of its own; 90 on Linux, 40 on the BSDs.
        _ if matches!(error.raw_os_error(), Some(90 | 40)) => SendError::TooLong,
        _ => SendError::Unreachable,
    }
}

#[cfg(test)]
mod tests;
