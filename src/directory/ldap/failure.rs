//! What can go wrong between a feed and its server, in words for whoever runs it.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ldap3::{LdapError, LdapResult};
use thiserror::Error;

use crate::directory::OptionsError;
use crate::model::{Fault, Place, Severity};

/// A step towards the directory that failed. None of them ever means that entries are gone.
#[derive(Debug, Error)]
pub enum LdapFailure {
    /// The options cannot work or are not safe.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The host's name has no address.
    #[error("cannot resolve the host `{host}`")]
    Resolve {
        /// The host of the URL.
        host: String,
        /// What the resolver says.
        #[source]
        source: io::Error,
    },
    /// No connection to any of the host's addresses; this is the last one's reason.
    #[error("cannot connect to {address}")]
    Connect {
        /// The last address tried.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A step took too long.
    #[error("{step} took longer than {limit:?}")]
    Timeout {
        /// Which step.
        step: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// The file of certificate authorities cannot be used.
    #[error("cannot use the CA file {}: {why}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// TLS is not possible on this system.
    #[error("TLS cannot be set up: {0}")]
    TlsSetup(String),
    /// The server's certificate is not accepted.
    #[error("the server's certificate is not accepted: {0}")]
    Certificate(String),
    /// The handshake failed in another way.
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
    /// The server does not do StartTLS. Nothing was sent in the clear.
    #[error("the server refuses StartTLS: {0}")]
    StartTls(String),
    /// The account or its password is not accepted.
    #[error("the bind as `{dn}` was refused: {answer}")]
    Bind {
        /// The account.
        dn: String,
        /// The server's result code (RFC 4511 §4.1.9).
        code: u32,
        /// The same, and the server's words.
        answer: String,
    },
    /// The server cannot tell changes in a way that is known here.
    #[error("{server} does not offer Content Synchronization (RFC 4533) in a way that can be trusted")]
    Dialect {
        /// What it is.
        server: String,
    },
    /// No base DN, and the server has none or several naming contexts.
    #[error("there is no base DN, and the server has {} naming contexts", .contexts.len())]
    Base {
        /// Those that it has.
        contexts: Vec<String>,
    },
    /// The search ended with an error.
    #[error("the search below `{base}` failed: {answer}")]
    Search {
        /// The base DN.
        base: String,
        /// The server's result code.
        code: u32,
        /// The same, and the server's words.
        answer: String,
    },
    /// The server's own record of its changes is behind its entries: it would leave entries out without a word.
    #[error("the server's contextCSN {context} is older than an entry's entryCSN {entry}: it leaves out entries")]
    StaleContext {
        /// The newest contextCSN.
        context: String,
        /// The entry's.
        entry: String,
    },
    /// The server's messages are not what RFC 4533 has them be.
    #[error("the server's answer cannot be understood: {0}")]
    Malformed(&'static str),
    /// A refresh that does not go on, though the server answers.
    #[error("the refresh has stood still for {0:?} after {1} entries")]
    Stalled(Duration, u64),
    /// No sign of life.
    #[error("the server has not answered for {0:?}")]
    Silent(Duration),
    /// The connection ended.
    #[error("the connection was closed{0}")]
    Closed(String),
    /// The LDAP library gave up on something that it does not know.
    #[error("the LDAP library stopped: {0}")]
    Library(String),
}

impl LdapFailure {
    /// What to do.
    pub fn remedy(&self) -> String {
        let text = match self {
            Self::Options(error) => error.remedy(),
            Self::Resolve { .. } => "check the host in directory.url, and the DNS",
            Self::Connect { .. } => "check that the server runs, the port in directory.url, and the firewall",
            Self::Timeout { .. } | Self::Silent(_) => "check the network and the server's load; the last good state stays in use",
            Self::CaFile { .. } => "name a readable PEM file with at least one certificate in directory.ca_file",
            Self::TlsSetup(_) => "name the certificate authorities in directory.ca_file",
            Self::Certificate(_) => {
                "put the authority that signed it into directory.ca_file, and write the host in directory.url as the certificate has it"
            }
            Self::Handshake(_) => "check that the port speaks TLS (ldaps:// is 636; StartTLS is on 389), in version 1.2 or later",
            Self::StartTls(_) => "give the server a certificate, or use ldaps://",
            Self::Bind { code: 49, .. } => "check directory.bind_dn, and the password in directory.password_file",
            Self::Bind { code: 8 | 13, .. } => "use ldaps://, or set directory.starttls = true",
            Self::Bind { .. } => "check directory.bind_dn, and whether the account may log in",
            Self::Dialect { .. } => {
                "on OpenLDAP, load the overlay syncprov for the database; other servers are read by dialects that this version does not have: export to LDIF"
            }
            Self::Base { contexts } if contexts.is_empty() => "write the base DN into directory.url: ldap://HOST/dc=corp,dc=example",
            Self::Base { contexts } => return format!("write one of them into directory.url: {}", contexts.join(", ")),
            Self::Search { code: 4, .. } => {
                "lift the size limit for the account; on OpenLDAP: `limits dn.exact=\"ACCOUNT\" size=unlimited time=unlimited` in the database; on 389 Directory Server: the account's attributes `nsSizeLimit: -1` and `nsLookThroughLimit: -1`"
            }
            Self::Search { code: 3, .. } => "lift the time limit for the account",
            Self::Search { code: 11, .. } => "lift the administrative limit (look-through limit) for the account",
            Self::Search { code: 32, .. } => "check the base DN in directory.url, and whether the account may read it",
            Self::Search { code: 50, .. } => "let the account read the whole tree below the base DN",
            Self::Search { .. } => "look into the server's log",
            Self::StaleContext { .. } => {
                "load entries with `slapadd -w`; to repair: stop slapd, `slapcat -l all.ldif`, empty the database, `slapadd -w -l all.ldif`, start slapd"
            }
            Self::Malformed(_) | Self::Library(_) => "check that it is an LDAP server; if it is, report this with the server's version",
            Self::Stalled(..) => "lift the size limit for the account: some servers stop at it without saying so",
            Self::Closed(_) => "look into the server's log if this goes on",
        };
        text.to_owned()
    }

    /// The failure with its causes, on one line.
    pub fn explain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        format!("{text}; {}", self.remedy())
    }

    /// The same as one of the directory's faults.
    pub fn to_fault(&self, url: &str) -> Fault {
        let what = self.explain();
        let remedy = self.remedy();
        let what = what.strip_suffix(&format!("; {remedy}")).unwrap_or(&what).to_owned();
        Fault { severity: Severity::Error, code: "ldap.unreachable", place: Place::Directory { url: url.to_owned() }, what, remedy }
    }

    /// From what ldap3 says of an operation.
    pub(super) fn of(error: LdapError) -> Self {
        match error {
            LdapError::Io { source } => Self::of_io(&source),
            LdapError::LdapResult { result } => Self::Closed(format!(": {}", answer(&result))),
            LdapError::EndOfStream | LdapError::ResultRecv { .. } | LdapError::OpSend { .. } => Self::Closed(" by the server".to_owned()),
            other => Self::Library(other.to_string()),
        }
    }

    /// TLS failures arrive as I/O errors.
    pub(super) fn of_io(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(why)) => Self::Certificate(why.to_string()),
            Some(other) => Self::Handshake(other.to_string()),
            None => Self::Closed(format!(": {error}")),
        }
    }
}

/// A result as `invalidCredentials (49), "its words"`.
pub(super) fn answer(result: &LdapResult) -> String {
    // ldap3 prints `rc=49 (invalidCredentials), dn: "", text: ""`.
    let shown = result.to_string();
    let name = shown.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("unknown", |(name, _)| name);
    // RFC 4533 §3.1 and what OpenLDAP answers by.
    let name = if result.rc == SYNC_REFRESH_REQUIRED { "e-syncRefreshRequired" } else { name };
    let words = if result.text.is_empty() { String::new() } else { format!(", \"{}\"", result.text) };
    format!("{name} ({}){words}", result.rc)
}

/// RFC 4533 §3.1: the cookie is of no use any more.
pub(super) const SYNC_REFRESH_REQUIRED: u32 = 4096;

/// RFC 4511 §4.1.9. OpenLDAP answers so to a cookie that is newer than itself.
pub(super) const UNWILLING_TO_PERFORM: u32 = 53;

#[cfg(test)]
mod tests {
    use super::*;

    fn result(rc: u32, text: &str) -> LdapResult {
        LdapResult { rc, matched: String::new(), text: text.to_owned(), refs: Vec::new(), ctrls: Vec::new() }
    }

    #[test]
    fn answers() {
        assert_eq!(answer(&result(49, "")), "invalidCredentials (49)");
        assert_eq!(answer(&result(4096, "stale")), "e-syncRefreshRequired (4096), \"stale\"");
        assert_eq!(answer(&result(4711, "")), "unknown (4711)");
    }

    #[test]
    fn what_operators_read() {
        let check = |failure: LdapFailure| failure.explain();
        let io = |text: &str| io::Error::other(text.to_owned());
        insta::assert_snapshot!(check(LdapFailure::Connect { address: ([192, 0, 2, 1], 389).into(), source: io("refused") }), @"cannot connect to 192.0.2.1:389: refused; check that the server runs, the port in directory.url, and the firewall");
        insta::assert_snapshot!(check(LdapFailure::Bind { dn: "cn=reader".into(), code: 49, answer: answer(&result(49, "")) }), @"the bind as `cn=reader` was refused: invalidCredentials (49); check directory.bind_dn, and the password in directory.password_file");
        insta::assert_snapshot!(check(LdapFailure::Search { base: "dc=x".into(), code: 4, answer: answer(&result(4, "")) }), @r#"the search below `dc=x` failed: sizeLimitExceeded (4); lift the size limit for the account; on OpenLDAP: `limits dn.exact="ACCOUNT" size=unlimited time=unlimited` in the database; on 389 Directory Server: the account's attributes `nsSizeLimit: -1` and `nsLookThroughLimit: -1`"#);
        insta::assert_snapshot!(check(LdapFailure::Base { contexts: vec!["dc=a".into(), "dc=b".into()] }), @"there is no base DN, and the server has 2 naming contexts; write one of them into directory.url: dc=a, dc=b");
        insta::assert_snapshot!(check(LdapFailure::Options(OptionsError::ClearPassword("192.0.2.1".into()))), @"the password would go to 192.0.2.1 in the clear; use ldaps://, or set directory.starttls = true; or, if the network may see the password, directory.allow_cleartext_password = true");
        insta::assert_snapshot!(LdapFailure::Closed(String::new()).to_fault("ldap://h:389/dc=x"), @"ldap://h:389/dc=x: the connection was closed; look into the server's log if this goes on");
    }

    #[test]
    fn tls_failures_say_so() {
        let wrap = |error: rustls::Error| LdapFailure::of_io(&io::Error::new(io::ErrorKind::InvalidData, error));
        assert!(matches!(wrap(rustls::CertificateError::UnknownIssuer.into()), LdapFailure::Certificate(_)));
        assert!(matches!(wrap(rustls::Error::HandshakeNotComplete), LdapFailure::Handshake(_)));
        assert!(matches!(LdapFailure::of_io(&io::Error::from(io::ErrorKind::ConnectionReset)), LdapFailure::Closed(_)));
    }
}
