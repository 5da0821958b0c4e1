//! The command line.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::agent::subscriber::{ProfileType, SubscriberConfig};
use crate::model::Aor;
use crate::sip::{Scheme, Transport, Uri};

const EXAMPLES: &str = "\
Examples:
  dialcast subscribe sip:anna@corp.example --server sip:127.0.0.1:5060
  dialcast subscribe sip:anna@corp.example --server 'sip:127.0.0.1:5060;transport=tcp' --once
  dialcast subscribe sip:anna@corp.example --server sip:sip.corp.example --password-file ~/.sip
  dialcast subscribe sip:anna@corp.example --server sip:127.0.0.1:5060 --json | jq .changes
  dialcast subscribe sip:anna@corp.example --server sip:127.0.0.1:5060 --profile-type local-network --bind 127.0.1.2

The profile is printed when it arrives, and after that what changes. Ctrl-C unsubscribes.
With --json: one object a line, {event, at, etag, content_type, document, changes}; `event` is
subscribed, document, unchanged, nothing or trouble.

Exit codes: 0 fetched, or unsubscribed by Ctrl-C; 1 no answer, refused, or ended by the server
(standard error says why).";

/// Be a phone: print a user's profile when it arrives, and what changes as it changes.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct SubscribeArgs {
    /// Whose profile; of a device its address (sip:MAC%3a001565F4F9E1@DOMAIN), of the network anybody's in its domain
    #[arg(value_name = "sip:USER@DOMAIN")]
    pub aor: Aor,
    /// Which profile: the user's, the device's, or that of the network that this machine is in
    #[arg(long, value_name = "TYPE", value_enum, default_value_t = ProfileArg::User)]
    pub profile_type: ProfileArg,
    /// Subscribe from this address of this machine: it decides which site and subnet the phone is in
    #[arg(long, value_name = "IP")]
    pub bind: Option<IpAddr>,
    /// Where to subscribe; over UDP, unless the URI says otherwise
    #[arg(long, value_name = "sip:IP:PORT[;transport=tcp]")]
    pub server: ServerUri,
    /// Ask for a subscription of so many seconds at a time; 0 fetches once
    #[arg(long, value_name = "S", default_value_t = SubscriberConfig::EXPIRES_DEFAULT_S, conflicts_with = "once")]
    pub expires: u32,
    /// Fetch the profile once, and end
    #[arg(long)]
    pub once: bool,
    /// Accept this media type; may be given several times [default: Dialcast's profile]
    #[arg(long, value_name = "TYPE")]
    pub accept: Vec<String>,
    /// The user name for the server, when it asks for a password [default: the USER of the address]
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub user: Option<String>,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Print the whole document at each change, too
    #[arg(long)]
    pub full: bool,
}

/// The profiles that there are (RFC 6080 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ProfileArg {
    /// A user's.
    User,
    /// A device's.
    Device,
    /// The network's.
    LocalNetwork,
}

impl From<ProfileArg> for ProfileType {
    fn from(arg: ProfileArg) -> Self {
        match arg {
            ProfileArg::User => Self::User,
            ProfileArg::Device => Self::Device,
            ProfileArg::LocalNetwork => Self::LocalNetwork,
        }
    }
}

/// Where to subscribe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUri {
    /// A name or an address, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// UDP or TCP.
    pub transport: Transport,
}

/// A text that does not say where to subscribe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerUriError {
    /// No SIP URI.
    #[error("`{0}` is not sip:IP:PORT, as in sip:127.0.0.1:5060")]
    Shape(String),
    /// A user part: it is the address, and not the server.
    #[error("`{0}` names a user; --server wants the server's address, as in sip:127.0.0.1:5060")]
    User(String),
    /// Neither UDP nor TCP.
    #[error("this command speaks UDP and TCP, not {0}: ask without TLS, as in sip:127.0.0.1:5060;transport=tcp")]
    Transport(String),
}

impl FromStr for ServerUri {
    type Err = ServerUriError;

    fn from_str(text: &str) -> Result<Self, ServerUriError> {
        let text = text.trim();
        // `127.0.0.1:5060` alone can mean nothing else.
        let full = if text.contains("sip:") || text.contains("sips:") { text.to_owned() } else { format!("sip:{text}") };
        let uri = Uri::parse(&full).map_err(|_| ServerUriError::Shape(text.to_owned()))?;
        let transport = match (uri.scheme, uri.transport()) {
            (Scheme::Sip, None) => Transport::Udp,
            (Scheme::Sip, Some(name)) => Transport::parse(name)
                .filter(|transport| matches!(transport, Transport::Udp | Transport::Tcp))
                .ok_or_else(|| ServerUriError::Transport(name.to_owned()))?,
            (Scheme::Sips, _) => return Err(ServerUriError::Transport("TLS".to_owned())),
            _ => return Err(ServerUriError::Shape(text.to_owned())),
        };
        if uri.user.is_some() {
            return Err(ServerUriError::User(text.to_owned()));
        }
        let host = uri.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: uri.port.unwrap_or(transport.default_port()), transport })
    }
}

impl fmt::Display for ServerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{} {open}{}{close}:{}", self.transport, self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SubscribeArgs,
    }

    #[test]
    fn servers() {
        let check = |text: &str, expect: &str| {
            let shown = text.parse::<ServerUri>().map_or_else(|error| error.to_string(), |server| server.to_string());
            assert_eq!(shown, expect);
        };
        check("sip:127.0.0.1:5070", "UDP 127.0.0.1:5070");
        check("sip:sip.corp.example;transport=TCP", "TCP sip.corp.example:5060");
        check("127.0.0.1:5060", "UDP 127.0.0.1:5060");
        check("sip:[::1]:5061;transport=udp", "UDP [::1]:5061");
        check("sips:sip.corp.example", "this command speaks UDP and TCP, not TLS: ask without TLS, as in sip:127.0.0.1:5060;transport=tcp");
        check("sip:x;transport=ws", "this command speaks UDP and TCP, not ws: ask without TLS, as in sip:127.0.0.1:5060;transport=tcp");
        check(
            "sip:anna@corp.example",
            "`sip:anna@corp.example` names a user; --server wants the server's address, as in sip:127.0.0.1:5060",
        );
        check("sip:", "`sip:` is not sip:IP:PORT, as in sip:127.0.0.1:5060");
        check("http://x", "`http://x` is not sip:IP:PORT, as in sip:127.0.0.1:5060");
    }

    #[test]
    fn command_lines() {
        let parse = |line: &str| Cli::try_parse_from(["x"].into_iter().chain(line.split(' '))).map(|cli| cli.args);
        let args = parse("sip:anna@corp.example --server sip:127.0.0.1:5060 --accept a/b --accept c/d").unwrap();
        assert_eq!((args.expires, args.once, args.accept.len()), (86_400, false, 2));
        for wrong in [
            "sip:anna@corp.example",
            "anna --server sip:127.0.0.1",
            "sip:anna@corp.example --server sip:127.0.0.1 --once --expires 5",
            "sip:anna@corp.example --server sip:127.0.0.1 --user anna",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
