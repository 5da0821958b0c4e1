//! The own address that a peer sees, where a socket is bound to all of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Mutex;

/// How many peers are remembered: a lookup is three system calls, so a fresh start now and then is cheap.
const PEERS_MAX: usize = 4096;

/// Asks the kernel which own address it uses towards a peer, and remembers the answer.
///
/// A datagram socket that is bound to all addresses does not say at which one a datagram arrived; the address that
/// leads back to the peer is what goes into Via and Contact.
#[derive(Debug, Default)]
pub(super) struct Locals(Mutex<HashMap<IpAddr, IpAddr>>);

impl Locals {
    /// `bound` with its address filled in as seen from `remote`.
    pub(super) fn towards(&self, bound: SocketAddr, remote: SocketAddr) -> SocketAddr {
        if !bound.ip().is_unspecified() {
            return bound;
        }
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(ip) = known.get(&remote.ip()) {
            return SocketAddr::new(*ip, bound.port());
        }
        let Some(ip) = ask(remote) else { return bound };
        if known.len() >= PEERS_MAX {
            known.clear();
        }
        known.insert(remote.ip(), ip);
        SocketAddr::new(ip, bound.port())
    }
}

/// Connecting a datagram socket sends nothing: it only chooses a route.
fn ask(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_seen_from_loopback() {
        let locals = Locals::default();
        let check = |bound: &str, remote: &str, expect: &str| {
            assert_eq!(locals.towards(bound.parse().unwrap(), remote.parse().unwrap()), expect.parse().unwrap(), "{bound} {remote}");
        };
        check("0.0.0.0:5060", "127.0.0.1:9", "127.0.0.1:5060");
        check("0.0.0.0:5060", "127.0.0.1:10", "127.0.0.1:5060");
        check("192.0.2.1:5060", "127.0.0.1:9", "192.0.2.1:5060");
    }
}
