//! What the sockets are told, what they count, and why they may not open.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use thiserror::Error;

use crate::sip::Transport;

/// An address to listen on. Written `udp:127.0.0.1:5060`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// UDP or TCP.
    pub transport: Transport,
    /// The address; port 0 lets the kernel choose.
    pub address: SocketAddr,
}

/// A text that is not an address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not `udp:ADDRESS:PORT` or `tcp:ADDRESS:PORT`, as in `udp:127.0.0.1:5060`")]
pub struct ListenError(String);

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let parts = text.trim().split_once(':');
        let found = parts.and_then(|(transport, address)| {
            let transport = Transport::parse(transport).filter(|t| matches!(t, Transport::Udp | Transport::Tcp))?;
            Some(Self { transport, address: address.parse().ok()? })
        });
        found.ok_or_else(|| ListenError(text.to_owned()))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.as_str().to_ascii_lowercase(), self.address)
    }
}

/// How the sockets behave.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// Where to listen. UDP is sent from one of these, TCP from any port.
    pub listen: Vec<Listen>,
    /// The receive and send buffer asked for on UDP sockets, in octets. The kernel gives no more than `net.core.rmem_max`; at
    /// its usual default a burst of 20,000 SUBSCRIBEs loses most of them.
    pub udp_buffer: usize,
    /// All TCP connections, both ways. Each takes a file descriptor and about 10 KiB.
    pub connections_max: usize,
    /// TCP connections accepted from one address, or from one /64 of IPv6, where a host has them all: many phones behind one NAT or proxy, few enough that one host cannot
    /// take them all.
    pub connections_per_source_max: usize,
    /// What may be queued for one connection, in octets: a proxy before a thousand phones gets a burst of documents, and a
    /// peer that does not read gets no more than this.
    pub queue_bytes_max: usize,
    /// All of them together, in octets. At this limit a queue takes a message only if it is empty: who reads is served, and many who
    /// do not read take no more memory than this.
    pub queues_bytes_max: usize,
    /// The largest body that is received over TCP, in octets: it is held before anybody has proved who he is.
    pub body_bytes_max: usize,
    /// How long a connection may be silent. Phones keep theirs alive at least every two hours (RFC 5626 §4.4.1: 120 s).
    pub idle: Duration,
    /// How long a message may take from its first octet to its last, and a new connection to its first message.
    pub message_time_max: Duration,
    /// How long opening a connection may take: who waits has UDP to fall back to.
    pub connect_time_max: Duration,
    /// How long a peer may refuse to read before its connection is closed.
    pub write_time_max: Duration,
    /// How many events wait for the reader.
    pub events_max: usize,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            udp_buffer: 8 * 1024 * 1024,
            connections_max: 10_000,
            connections_per_source_max: 1_000,
            queue_bytes_max: 1024 * 1024,
            queues_bytes_max: 256 * 1024 * 1024,
            body_bytes_max: 1024 * 1024,
            idle: Duration::from_secs(2 * 3600),
            message_time_max: Duration::from_secs(30),
            connect_time_max: Duration::from_secs(4),
            write_time_max: Duration::from_secs(30),
            events_max: 1024,
        }
    }
}

/// What the sockets counted since they were opened.
#[derive(Debug, Default)]
pub struct NetCounters {
    /// Datagrams received.
    pub datagrams: AtomicU64,
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections opened.
    pub opened: AtomicU64,
    /// Connections turned away because of a limit.
    pub turned_away: AtomicU64,
    /// Connections closed because what came was no SIP, or too long.
    pub unframed: AtomicU64,
    /// Connections closed because they were silent, or too slow.
    pub too_slow: AtomicU64,
}

/// Why the sockets do not open.
#[derive(Debug, Error)]
pub enum NetError {
    /// The kernel refused.
    #[error("cannot listen on {listen}")]
    Bind {
        /// Where.
        listen: Listen,
        /// Why.
        source: std::io::Error,
    },
    /// Only UDP and TCP can be listened on.
    #[error("cannot listen on transport {transport}: only UDP and TCP")]
    Transport {
        /// Which one was asked for.
        transport: Transport,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(text.parse::<Listen>().ok().map(|l| l.to_string()).as_deref(), expect, "{text}");
        };
        check("udp:127.0.0.1:5060", Some("udp:127.0.0.1:5060"));
        check("TCP:[::1]:0", Some("tcp:[::1]:0"));
        check("tls:127.0.0.1:5061", None);
        check("127.0.0.1:5060", None);
        check("udp:localhost:5060", None);
        check("udp", None);
    }
}
