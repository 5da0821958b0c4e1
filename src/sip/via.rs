//! Via: where a request has been, and where its response goes.

use std::net::{IpAddr, SocketAddr};

use super::error::Flaw;
use super::nameaddr::header_params;
use super::uri::{host_and_port, host_ip, port_number};
use super::{Params, Transport, scan};

/// One element of Via (RFC 3261 §20.42), as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// The version of `SIP/`: `2.0`, unless the message is from elsewhere.
    pub version: &'a str,
    /// The transport's token; unknown ones are legal (RFC 4475 §3.1.1.10).
    pub transport: &'a str,
    /// The host of sent-by, an IPv6 reference with its brackets.
    pub host: &'a str,
    /// The port of sent-by, where one is written.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params<'a>,
}

/// RFC 3581 §3: the `rport` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rport {
    /// Not there.
    Absent,
    /// Without a value: the client asks for a response to the port it sends from.
    Asked,
    /// Filled in by a server.
    Port(u16),
}

impl<'a> Via<'a> {
    /// Takes one element apart; a list must have been split before.
    pub fn parse(text: &'a str) -> Result<Self, Flaw> {
        let (via, rest) = Self::parse_sent_by(text)?;
        Ok(Self { params: header_params(rest, "branch")?, ..via })
    }

    /// Reads as far as sent-by, which is what an answer needs (RFC 4475 §3.1.2.1 is answered though its parameters are broken), and
    /// gives back the rest unread.
    pub(crate) fn parse_sent_by(text: &'a str) -> Result<(Self, &'a str), Flaw> {
        // RFC 3261 §25.1: sent-protocol = protocol-name SLASH protocol-version SLASH transport, with LWS round each slash.
        let (name, rest) = scan::cut(text, b'/').ok_or(Flaw::Via)?;
        let (version, rest) = scan::cut(rest, b'/').ok_or(Flaw::Via)?;
        let (name, version, rest) = (scan::trim(name), scan::trim(version), scan::trim_start(rest));
        let (transport, rest) = scan::split_word(rest).ok_or(Flaw::Via)?;
        let is_protocol = name.eq_ignore_ascii_case("SIP") && scan::is_token(version.as_bytes()) && scan::is_token(transport.as_bytes());
        let (sent_by, rest) = scan::until(rest, b';');
        let (host, port) = host_and_port(scan::trim(sent_by)).filter(|_| is_protocol).ok_or(Flaw::Via)?;
        let port = match port {
            Some(text) => Some(port_number(text).ok_or(Flaw::Via)?),
            None => None,
        };
        Ok((Self { version, transport, host, port, params: Params::default() }, rest))
    }

    /// The branch, as it is written; `None` from old phones (RFC 2543).
    pub fn branch(&self) -> Option<&'a str> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// RFC 3261 §8.1.1.7: whether the branch names a transaction: the magic cookie and something behind it.
    pub fn has_transaction_id(&self) -> bool {
        self.branch().is_some_and(|branch| branch.len() > BRANCH_COOKIE.len() && branch.starts_with(BRANCH_COOKIE))
    }

    /// The transport, when it is one of ours.
    pub fn known_transport(&self) -> Option<Transport> {
        Transport::parse(self.transport)
    }

    /// The `rport` parameter; a value that is no port counts as a question.
    pub fn rport(&self) -> Rport {
        match self.params.get("rport") {
            None => Rport::Absent,
            Some(text) => port_number(text).map_or(Rport::Asked, Rport::Port),
        }
    }

    /// The `received` parameter, with or without the brackets of an IPv6 reference.
    pub fn received(&self) -> Option<IpAddr> {
        self.params.get("received").and_then(host_ip)
    }

    /// The host of sent-by, when it is an address.
    pub fn ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }

    /// RFC 3261 §18.2.2 and RFC 3581 §4: where a response over UDP goes, when the request came from `source`: to the source, at the
    /// port it came from when the client asks for it with `rport`, else at the port of sent-by.
    ///
    /// `maddr` is not followed: it would let anyone aim our responses at a third party.
    pub fn reply_address(&self, source: SocketAddr) -> SocketAddr {
        match self.rport() {
            Rport::Absent => SocketAddr::new(source.ip(), self.port.unwrap_or(5060)),
            Rport::Asked | Rport::Port(_) => source,
        }
    }
}

/// RFC 3261 §8.1.1.7: what the branch of every RFC 3261 client begins with.
pub const BRANCH_COOKIE: &str = "z9hG4bK";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let via = Via::parse("SIP/2.0/UDP 192.0.2.1:5070;BRANCH=z9hG4bK%41b;rport;received=192.0.2.9").unwrap();
        assert_eq!((via.version, via.transport, via.host, via.port), ("2.0", "UDP", "192.0.2.1", Some(5070)));
        // The branch is echoed as it is written, never decoded.
        assert_eq!(via.branch(), Some("z9hG4bK%41b"));
        assert_eq!((via.rport(), via.received()), (Rport::Asked, Some("192.0.2.9".parse().unwrap())));
        assert_eq!(via.known_transport(), Some(Transport::Udp));
    }

    #[test]
    fn white_space_and_folds() {
        let via = Via::parse("SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw").unwrap();
        assert_eq!((via.transport, via.host, via.branch(), via.has_transaction_id()), ("UDP", "192.0.2.2", Some("390skdjuw"), false));
        let via = Via::parse("SIP  / 2.0  / TCP     spindle.example.com : 5061  ;\r\n  branch  =   z9hG4bK9ikj8").unwrap();
        assert_eq!((via.host, via.port, via.has_transaction_id()), ("spindle.example.com", Some(5061), true));
    }

    #[test]
    fn ipv6_references() {
        let via = Via::parse("SIP/2.0/UDP [2001:db8::9:1]:6050;received=[2001:db8::9:255];branch=z9hG4bKas3").unwrap();
        assert_eq!((via.host, via.port, via.received()), ("[2001:db8::9:1]", Some(6050), Some("2001:db8::9:255".parse().unwrap())));
        let via = Via::parse("SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255").unwrap();
        assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
    }

    #[test]
    fn old_via_without_branch() {
        let via = Via::parse("SIP/2.0/UDP iftgw.example.com").unwrap();
        assert_eq!((via.branch(), via.has_transaction_id()), (None, false));
        // RFC 4475 §3.2.1: the cookie and nothing behind it is no transaction either.
        assert!(!Via::parse("SIP/2.0/UDP a;branch=z9hG4bK").unwrap().has_transaction_id());
    }

    #[test]
    fn unknown_transports() {
        for (token, expect) in [("SCTP", None), ("UNKNOWN", None), ("tls", Some(Transport::Tls))] {
            let text = format!("SIP/2.0/{token} t4.example.com;branch=z9hG4bKasd0f3en");
            let via = Via::parse(&text).unwrap();
            assert_eq!((via.transport, via.known_transport()), (token, expect));
        }
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "SIP/2.0",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0/UDP ;branch=1",
            "HTTP/2.0/UDP x",
            "SIP/2.0/U(P x",
            "SIP/2.0/UDP x y",
            "SIP/2.0/UDP x:y",
            "SIP/2.0/UDP x:99999",
            "SIP/2.0/UDP 2001:db8::9:1",
            "SIP/2.0/UDP [2001:db8::9:1",
        ] {
            assert_eq!(Via::parse(text), Err(Flaw::Via), "{text}");
        }
        for text in [
            "SIP/2.0/UDP 192.0.2.15;;",
            "SIP/2.0/UDP x;branch=",
            "SIP/2.0/UDP x;branch=a b",
            "SIP/2.0/UDP x;branch",
            "SIP/2.0/UDP x;branch=1;BRANCH=2",
        ] {
            assert_eq!(Via::parse(text), Err(Flaw::Parameter), "{text}");
            assert!(Via::parse_sent_by(text).is_ok(), "{text}: enough to answer");
        }
    }

    #[test]
    fn replies() {
        let source = "198.51.100.7:5059".parse().unwrap();
        let check = |text: &str, expect: &str| assert_eq!(Via::parse(text).unwrap().reply_address(source).to_string(), expect, "{text}");
        check("SIP/2.0/UDP 192.0.2.1:5070;rport", "198.51.100.7:5059");
        check("SIP/2.0/UDP 192.0.2.1:5070", "198.51.100.7:5070");
        check("SIP/2.0/UDP phone.example", "198.51.100.7:5060");
        check("SIP/2.0/UDP phone.example;maddr=203.0.113.9", "198.51.100.7:5060");
    }
}
