//! What went wrong, and what to do about it.

use anyhow::{Error, anyhow};

use super::args::SubscribeArgs;
use crate::agent::subscriber::{Failure, Outcome};
use crate::sip::Transport;
use crate::sip::transaction::SendError;

/// The error for a try that failed.
pub(super) fn of_failure(why: &Failure, args: &SubscribeArgs) -> Error {
    let server = &args.server;
    match why {
        Failure::NoAnswer if server.transport == Transport::Udp => {
            anyhow!("no answer from {server} in 32 seconds; is `dialcast serve` running there, and does a firewall let UDP through?")
        }
        Failure::NoAnswer => anyhow!("{server} took the connection and did not answer; is it a SIP server?"),
        Failure::NotSent(SendError::Refused) => {
            anyhow!("nothing listens at {server}; start `dialcast serve`, or name another --server")
        }
        Failure::NotSent(error) => anyhow!("cannot reach {server}: {error}; check the address, and the network between"),
        Failure::NoNotify => anyhow!(
            "{server} granted the subscription, but no NOTIFY arrived; it is sent to this machine's own address, over UDP or TCP: \
             a firewall or NAT may drop it"
        ),
        Failure::Refused { .. } | Failure::Ended { .. } | Failure::Lost => anyhow!("{server}: {why}; try again later"),
    }
}

/// The error for an end that was not wanted.
pub(super) fn of_outcome(outcome: &Outcome, args: &SubscribeArgs) -> Error {
    let (aor, server) = (args.aor.as_str(), &args.server);
    match outcome {
        Outcome::NoLogin { .. } => {
            anyhow!("{outcome}; give it with --password-file FILE, and --user NAME if it is not {}", args.aor.user())
        }
        Outcome::WrongLogin { .. } => {
            let user = args.user.as_deref().unwrap_or_else(|| args.aor.user());
            anyhow!("{outcome}, or does not know the user `{user}`; check --user and the first line of the password file")
        }
        Outcome::OtherLogin => anyhow!("{outcome}; this command answers Digest with SHA-256 or MD5"),
        Outcome::Moved { .. } => anyhow!("{outcome}; name that one with --server"),
        Outcome::Refused { status: 403, .. } => {
            anyhow!("{outcome}: {aor} has no profile at {server}, or is not yours to read; `dialcast check` and `dialcast explain` say why")
        }
        Outcome::Refused { status: 404, .. } => {
            anyhow!("{outcome}: {server} knows no {aor}, or has no profiles of that type; check the address")
        }
        Outcome::Refused { status: 406 | 415, .. } => anyhow!("{outcome}: {server} sends none of these types; leave --accept away"),
        Outcome::Refused { status: 405 | 489 | 501, .. } => {
            anyhow!("{outcome}: {server} does not serve the event package ua-profile; is it Dialcast, or a SIP proxy on the same port?")
        }
        Outcome::Refused { status: 423, .. } => anyhow!("{outcome}; ask for more seconds with --expires"),
        Outcome::Ended { reason } if reason.eq_ignore_ascii_case("noresource") => {
            anyhow!("{outcome}: {aor} is gone from the directory, or has another address now")
        }
        Outcome::Fetched => anyhow!("{server} has no document for {aor} yet; `dialcast explain` says what it would hold"),
        Outcome::Refused { .. } | Outcome::Ended { .. } | Outcome::Unsubscribed => anyhow!("{server}: {outcome}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::subscribe::ProfileArg;

    fn args(server: &str) -> SubscribeArgs {
        SubscribeArgs {
            aor: "sip:anna@corp.example".parse().unwrap(),
            profile_type: ProfileArg::User,
            bind: None,
            server: server.parse().unwrap(),
            expires: 600,
            once: false,
            accept: Vec::new(),
            user: None,
            password_file: None,
            full: false,
        }
    }

    #[test]
    fn each_says_what_to_do() {
        let refused = |status, reason: &str| Outcome::Refused { status, reason: reason.to_owned() };
        let realm = || "corp.example".to_owned();
        let outcomes = [
            Outcome::NoLogin { realm: realm() },
            Outcome::WrongLogin { realm: realm() },
            Outcome::OtherLogin,
            Outcome::Moved { status: 302, to: "sip:192.0.2.7".to_owned() },
            refused(403, "Forbidden"),
            refused(404, "Not Found"),
            refused(406, "Not Acceptable"),
            refused(489, "Bad Event"),
            refused(423, "Interval Too Brief"),
            refused(505, "Version Not Supported"),
            Outcome::Ended { reason: "noresource".to_owned() },
            Outcome::Ended { reason: "rejected".to_owned() },
            Outcome::Fetched,
        ];
        let shown = outcomes.iter().map(|outcome| of_outcome(outcome, &args("sip:192.0.2.9")).to_string());
        insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r"
        the server wants a password for the realm `corp.example`; give it with --password-file FILE, and --user NAME if it is not anna
        the server does not accept the password for the realm `corp.example`, or does not know the user `anna`; check --user and the first line of the password file
        the server wants an authentication that is not offered here; this command answers Digest with SHA-256 or MD5
        the server answered 302: ask sip:192.0.2.7 instead; name that one with --server
        the server answered 403 Forbidden: sip:anna@corp.example has no profile at UDP 192.0.2.9:5060, or is not yours to read; `dialcast check` and `dialcast explain` say why
        the server answered 404 Not Found: UDP 192.0.2.9:5060 knows no sip:anna@corp.example, or has no profiles of that type; check the address
        the server answered 406 Not Acceptable: UDP 192.0.2.9:5060 sends none of these types; leave --accept away
        the server answered 489 Bad Event: UDP 192.0.2.9:5060 does not serve the event package ua-profile; is it Dialcast, or a SIP proxy on the same port?
        the server answered 423 Interval Too Brief; ask for more seconds with --expires
        UDP 192.0.2.9:5060: the server answered 505 Version Not Supported
        the server ended the subscription for good (noresource): sip:anna@corp.example is gone from the directory, or has another address now
        UDP 192.0.2.9:5060: the server ended the subscription for good (rejected)
        UDP 192.0.2.9:5060 has no document for sip:anna@corp.example yet; `dialcast explain` says what it would hold
        ");
        let failures = [
            Failure::NoAnswer,
            Failure::NotSent(SendError::Unreachable),
            Failure::NoNotify,
            Failure::Refused { status: 503, reason: "Service Unavailable".to_owned() },
        ];
        let shown = failures.iter().map(|why| of_failure(why, &args("sip:192.0.2.9")).to_string());
        let tcp = [Failure::NoAnswer, Failure::NotSent(SendError::Refused)];
        let tcp = tcp.iter().map(|why| of_failure(why, &args("sip:192.0.2.9;transport=tcp")).to_string());
        insta::assert_snapshot!(shown.chain(tcp).collect::<Vec<_>>().join("\n"), @r"
        no answer from UDP 192.0.2.9:5060 in 32 seconds; is `dialcast serve` running there, and does a firewall let UDP through?
        cannot reach UDP 192.0.2.9:5060: unreachable; check the address, and the network between
        UDP 192.0.2.9:5060 granted the subscription, but no NOTIFY arrived; it is sent to this machine's own address, over UDP or TCP: a firewall or NAT may drop it
        UDP 192.0.2.9:5060: the server answered 503 Service Unavailable; try again later
        TCP 192.0.2.9:5060 took the connection and did not answer; is it a SIP server?
        nothing listens at TCP 192.0.2.9:5060; start `dialcast serve`, or name another --server
        ");
    }
}
