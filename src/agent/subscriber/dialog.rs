//! The dialog that a NOTIFY made, from the subscriber's side.

use std::net::{IpAddr, SocketAddr};

use crate::sip::transaction::Target;
use crate::sip::{Message, NameAddr, Path, Scheme, Transport, Uri};

/// One dialog (RFC 3261 §12.1.1, RFC 6665 §4.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialog {
    /// The server's tag.
    pub(super) remote_tag: String,
    /// The last CSeq of the server's.
    pub(super) remote_cseq: u32,
    /// Where the server is reached.
    target: String,
    /// Record-Route as the NOTIFY had it, in its order.
    routes: Vec<String>,
}

/// A request in the dialog: its URI, its Route fields, and where it is sent.
pub(super) struct Way {
    pub(super) uri: String,
    pub(super) routes: Vec<String>,
    pub(super) to: Target,
}

impl Dialog {
    /// The dialog that a NOTIFY makes. `None`: it lacks a tag or a Contact that leads somewhere.
    pub(super) fn of(notify: &Message<'_>) -> Option<Self> {
        let target = notify.contact().ok().flatten()?.uri;
        let (remote_cseq, _) = notify.cseq().ok()?;
        place(&target)?;
        let routes: Vec<String> = notify.record_routes().map(str::to_owned).collect();
        if let Some(first) = routes.first() {
            place(&NameAddr::parse(first).ok()?.uri)?;
        }
        Some(Self { remote_tag: notify.from().ok()?.tag()?.to_owned(), remote_cseq, target: target.as_str().to_owned(), routes })
    }

    /// RFC 3261 §12.2.1.2, §12.2.2: a NOTIFY, and the answer to a SUBSCRIBE, may bring another Contact. One that leads nowhere is
    /// not taken.
    pub(super) fn retarget(&mut self, message: &Message<'_>) {
        if let Ok(Some(contact)) = message.contact()
            && place(&contact.uri).is_some()
        {
            contact.uri.as_str().clone_into(&mut self.target);
        }
    }

    /// RFC 3261 §12.2.1.1: with a loose router first, the URI is the remote target; with a strict one, that is the URI, and the
    /// remote target the last Route. Where no URI names a transport, it is the one that the subscription began with.
    pub(super) fn way(&self, begun: &Target) -> Option<Way> {
        let first = self.routes.first().and_then(|route| NameAddr::parse(route).ok());
        let next = match &first {
            Some(first) => first.uri,
            None => Uri::parse(&self.target).ok()?,
        };
        let to = place(&next)?.target(begun.transport(), begun.local());
        let strict = first.filter(|first| !first.uri.params.has("lr"));
        let (uri, routes) = match strict {
            None => (self.target.clone(), self.routes.clone()),
            Some(strict) => {
                let rest = self.routes.iter().skip(1).cloned();
                (strict.uri.as_str().to_owned(), rest.chain([format!("<{}>", self.target)]).collect())
            }
        };
        Some(Way { uri, routes, to })
    }
}

/// Where a URI leads (RFC 3263 §4).
struct Destination<'u> {
    transport: Option<Transport>,
    host: &'u str,
    port: u16,
}

fn place<'u>(uri: &Uri<'u>) -> Option<Destination<'u>> {
    let named = uri.transport().and_then(Transport::parse);
    let transport = match (uri.scheme, named) {
        (Scheme::Sips, None | Some(Transport::Tcp)) => Some(Transport::Tls),
        (Scheme::Sip | Scheme::Sips, named) => named,
        _ => return None,
    };
    // RFC 3263 §4: with maddr, that is the target.
    let host = uri.params.get("maddr").unwrap_or(uri.host).trim_start_matches('[').trim_end_matches(']');
    let nowhere = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified() || ip.is_multicast());
    let port = uri.port.unwrap_or(transport.unwrap_or(Transport::Udp).default_port());
    (!host.is_empty() && !nowhere && port != 0).then_some(Destination { transport, host, port })
}

impl Destination<'_> {
    fn target(&self, default: Transport, local: SocketAddr) -> Target {
        let transport = self.transport.unwrap_or(default);
        match self.host.parse() {
            Ok(ip) => Target::Path(Path { transport, local, remote: SocketAddr::new(ip, self.port), connection: None }),
            Err(_) => Target::Host { transport, local, host: self.host.into(), port: self.port },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(fields: &str) -> String {
        format!(
            "NOTIFY sip:anna@192.0.2.1:5090 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <sip:anna@x>;tag=s\r\n\
             To: <sip:anna@x>;tag=p\r\nCall-ID: 1\r\nCSeq: 7 NOTIFY\r\n{fields}\r\n"
        )
    }

    /// The next request of a dialog that began over TCP.
    fn check(fields: &str, expect: &str) {
        let text = notify(fields);
        let begun = Target::Path(Path {
            transport: Transport::Tcp,
            local: "192.0.2.1:5090".parse().unwrap(),
            remote: "192.0.2.9:5060".parse().unwrap(),
            connection: None,
        });
        let shown = Dialog::of(&Message::parse(text.as_bytes()).unwrap()).map_or("-".to_owned(), |dialog| {
            assert_eq!((&*dialog.remote_tag, dialog.remote_cseq), ("s", 7));
            let way = dialog.way(&begun).unwrap();
            let to = match way.to {
                Target::Path(path) => format!("{} {}", path.transport, path.remote),
                Target::Host { transport, host, port, .. } => format!("{transport} {host} {port}"),
            };
            format!("{} [{}] {to}", way.uri, way.routes.join(", "))
        });
        assert_eq!(shown, expect, "{fields}");
    }

    #[test]
    fn ways() {
        check("Contact: <sip:192.0.2.9>\r\n", "sip:192.0.2.9 [] TCP 192.0.2.9:5060");
        check("Contact: <sip:n@192.0.2.9:5070;transport=udp>\r\n", "sip:n@192.0.2.9:5070;transport=udp [] UDP 192.0.2.9:5070");
        check("Contact: <sip:n@server.example>\r\n", "sip:n@server.example [] TCP server.example 5060");
        check(
            "Contact: <sip:n@192.0.2.9>\r\nRecord-Route: <sip:p1:5070;lr>, <sip:p2;lr>\r\n",
            "sip:n@192.0.2.9 [<sip:p1:5070;lr>, <sip:p2;lr>] TCP p1 5070",
        );
        check(
            "Contact: <sip:n@192.0.2.9>\r\nRecord-Route: <sip:p1>, <sip:p2;lr>\r\n",
            "sip:p1 [<sip:p2;lr>, <sip:n@192.0.2.9>] TCP p1 5060",
        );
        check("Contact: <sips:[2001:db8::9]>\r\n", "sips:[2001:db8::9] [] TLS [2001:db8::9]:5061");
        for nowhere in
            ["", "Contact: <sip:0.0.0.0>\r\n", "Contact: <tel:+49>\r\n", "Contact: <sip:x>\r\nRecord-Route: <sip:224.0.1.75;lr>\r\n"]
        {
            check(nowhere, "-");
        }
    }
}
