//! Where a URI leads: the next hop of a NOTIFY (RFC 3261 §12.2.1.1, RFC 3263 §4).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::sip::transaction::Target;
use crate::sip::{Path, Scheme, Transport, Uri};

/// The next hop of a dialog, taken apart once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hop {
    /// The transport that the URI names, or that its scheme demands.
    pub(super) transport: Option<Transport>,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Address(SocketAddr),
    Name(Arc<str>, u16),
}

impl Hop {
    /// Takes the URI of a Contact or a Route apart. `None`: it leads nowhere that a NOTIFY may go to.
    pub(super) fn of(uri: &Uri<'_>) -> Option<Self> {
        if !uri.is_sip() {
            return None;
        }
        // RFC 3263 §4.1: the transport parameter decides; SIPS wants TLS.
        let named = uri.transport().and_then(Transport::parse);
        let transport = match (uri.scheme, named) {
            (Scheme::Sips, None | Some(Transport::Tcp)) => Some(Transport::Tls),
            (_, named) => named,
        };
        let port = uri.port.unwrap_or(transport.unwrap_or(Transport::Udp).default_port());
        // RFC 3263 §4: with maddr, that is the target.
        let host = uri.params.get("maddr").unwrap_or(uri.host);
        let place = match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // Whoever asks for NOTIFYs to many, or to nobody, does not get them.
            Ok(ip) if ip.is_multicast() || ip.is_unspecified() || ip == IpAddr::from([255; 4]) => return None,
            Ok(ip) => Place::Address(SocketAddr::new(ip, port)),
            Err(_) => Place::Name(host.into(), port),
        };
        (port != 0).then_some(Self { transport, place })
    }

    /// Whether the transport is one that is spoken here.
    pub(super) const fn is_spoken(&self) -> bool {
        matches!(self.transport, None | Some(Transport::Udp | Transport::Tcp))
    }

    /// The way there by a transport, from an own address.
    pub(super) fn target(&self, transport: Transport, local: SocketAddr) -> Target {
        match &self.place {
            Place::Address(remote) => Target::Path(Path { transport, local, remote: *remote, connection: None }),
            Place::Name(host, port) => Target::Host { transport, local, host: Arc::clone(host), port: *port },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops() {
        let check = |uri: &str, expect: &str| {
            let hop = Hop::of(&Uri::parse(uri).unwrap());
            let shown = hop.map_or("-".to_owned(), |hop| {
                let place = match &hop.place {
                    Place::Address(address) => address.to_string(),
                    Place::Name(host, port) => format!("{host} {port}"),
                };
                format!("{place} {}", hop.transport.map_or("any", Transport::as_str))
            });
            assert_eq!(shown, expect, "{uri}");
        };
        check("sip:anna@192.0.2.1", "192.0.2.1:5060 any");
        check("sip:anna@192.0.2.1:5070;transport=UDP", "192.0.2.1:5070 UDP");
        check("sip:anna@[2001:db8::1];transport=tcp", "[2001:db8::1]:5060 TCP");
        check("sip:anna@phone.example:5070", "phone.example 5070 any");
        check("sips:anna@phone.example", "phone.example 5061 TLS");
        check("sip:anna@phone.example;maddr=192.0.2.7", "192.0.2.7:5060 any");
        check("sip:anna@192.0.2.1;transport=sctp", "192.0.2.1:5060 any");
        check("sip:224.0.1.75", "-");
        check("sip:0.0.0.0:5060", "-");
        check("sip:192.0.2.1:0", "-");
        check("tel:+4930123", "-");
    }
}
