//! What can go wrong between a feed and its server, in words for whoever runs it.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ldap3::{LdapError, LdapResult};
use thiserror::Error;

use super::Dialect;
use crate::directory::{OptionsError, SecretError};
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
    /// The DNS does not answer, or with an error.
    #[error("cannot ask the DNS for {name}: {why}")]
    Dns {
        /// What was asked for.
        name: String,
        /// Why there is no answer.
        why: String,
    },
    /// The DNS names no server.
    #[error("the DNS names no directory server of {domain}")]
    NoServer {
        /// The base DN's domain.
        domain: String,
    },
    /// The DNS names a server that may be anybody's.
    #[error("the DNS names {target} as a directory server of {domain}, in which it is not")]
    Elsewhere {
        /// The host.
        target: String,
        /// The base DN's domain.
        domain: String,
    },
    /// None of several servers can be used.
    #[error("none of the {} servers can be used: {}", .0.len(), several(.0))]
    AllServers(Vec<(String, LdapFailure)>),
    /// The file with the password cannot be used.
    #[error("cannot read the password")]
    Secret(#[from] SecretError),
    /// The client certificate or its key cannot be used.
    #[error("cannot use the client certificate: {}: {why}", path.display())]
    ClientCertificate {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Kerberos gives no ticket.
    #[error("there is no Kerberos ticket for {service}: {why}")]
    Kerberos {
        /// The service, as `ldap/dc1.corp.example`.
        service: String,
        /// What the Kerberos library says.
        why: String,
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
    #[error("the server's certificate is not accepted: {why}")]
    Certificate {
        /// What rustls says.
        why: String,
        /// What is wrong, as far as that makes a difference in what to do.
        problem: Problem,
    },
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
        /// How it was said who we are.
        how: Method,
        /// The server's result code (RFC 4511 §4.1.9).
        code: u32,
        /// The same, and the server's words.
        answer: String,
    },
    /// The server cannot be read in the way that the configuration wants.
    #[error("{server} does not offer what the dialect `{dialect}` needs")]
    Dialect {
        /// What it is.
        server: String,
        /// The dialect.
        dialect: Dialect,
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
    /// The server's changelog cannot be followed.
    #[error("the changelog `{base}` cannot be followed: {why}")]
    Changelog {
        /// Where it is.
        base: String,
        /// Why.
        why: String,
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

/// How a bind says who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By DN and password.
    Simple,
    /// SASL EXTERNAL: by the client certificate.
    External,
    /// SASL GSSAPI: by Kerberos.
    Kerberos,
}

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It is past its end, or not yet valid.
    Time,
    /// It is another host's.
    Name,
    /// Nobody whom we trust has signed it.
    Authority,
    /// Anything else.
    Other,
}

/// Failures of several servers, on one line.
fn several(failures: &[(String, LdapFailure)]) -> String {
    failures.iter().map(|(server, failure)| format!("{server}: {}", failure.what())).collect::<Vec<_>>().join("; ")
}

impl LdapFailure {
    /// Whether it is of the account, and not of the server: to try it often, or elsewhere, could lock the account.
    pub(super) const fn is_of_account(&self) -> bool {
        matches!(
            self,
            // RFC 4511 §4.1.9: operationsError, busy, unavailable and other are of the server.
            Self::Bind { code: 2..=50 | 53..=79, .. } | Self::Kerberos { .. } | Self::Options(_) | Self::Secret(_) | Self::CaFile { .. } | Self::ClientCertificate { .. } | Self::TlsSetup(_)
        )
    }

    /// What to do.
    pub fn remedy(&self) -> String {
        let text = match self {
            Self::Options(error) => error.remedy(),
            Self::Resolve { .. } => "check the host in directory.url, and the DNS",
            Self::Dns { .. } => {
                "check the name servers in /etc/resolv.conf, or set directory.nameservers; or write the host into directory.url"
            }
            Self::NoServer { .. } => {
                "check the base DN in directory.url, directory.site, and that the name servers are those of the domain; or write the host into directory.url"
            }
            Self::Elsewhere { .. } => {
                "an answer of the DNS is not proof: if the server is yours, add its domain to directory.server_domains, or write the host into directory.url"
            }
            Self::AllServers(failures) => return failures.first().map_or_else(String::new, |(_, failure)| failure.remedy()),
            Self::Secret(error) => return format!("{} (directory.password_file)", error.remedy()),
            Self::ClientCertificate { .. } => {
                "name readable PEM files that belong together in directory.client_cert_file and directory.client_key_file"
            }
            Self::Kerberos { .. } => {
                "check directory.keytab_file and directory.principal (`klist -k FILE` lists what is in it), this machine's clock, and /etc/krb5.conf"
            }
            Self::Connect { .. } => "check that the server runs, the port in directory.url, and the firewall",
            Self::Timeout { .. } | Self::Silent(_) => "check the network and the server's load; the last good state stays in use",
            Self::CaFile { .. } => "name a readable PEM file with at least one certificate in directory.ca_file",
            Self::TlsSetup(_) => "name the certificate authorities in directory.ca_file",
            Self::Certificate { problem: Problem::Time, .. } => {
                "give the server a new certificate; if its certificate is good, set this machine's clock"
            }
            Self::Certificate { problem: Problem::Name, .. } => {
                "write the host in directory.url as the certificate has it, or give the server a certificate with this name"
            }
            Self::Certificate { problem: Problem::Authority, .. } => "put the authority that signed it into directory.ca_file",
            Self::Certificate { problem: Problem::Other, .. } => {
                "give the server a certificate of version 3 for TLS servers, signed by the authority in directory.ca_file"
            }
            Self::Handshake(_) => "check that the port speaks TLS (ldaps:// is 636; StartTLS is on 389), in version 1.2 or later",
            Self::StartTls(_) => "give the server a certificate, or use ldaps://",
            Self::Bind { how, code, answer, .. } => of_bind(*how, *code, answer),
            Self::Dialect { .. } => {
                "leave directory.dialect out, and the server's root DSE decides; for syncrepl on OpenLDAP load the overlay syncprov for the database, on 389 Directory Server enable the plugins Content Synchronization and Retro Changelog"
            }
            Self::Base { contexts } if contexts.is_empty() => "write the base DN into directory.url: ldap://HOST/dc=corp,dc=example",
            Self::Base { contexts } => return format!("write one of them into directory.url: {}", contexts.join(", ")),
            Self::Search { code: 4, .. } => {
                "lift the size limit for the account; on OpenLDAP: `limits dn.exact=\"ACCOUNT\" size=unlimited time=unlimited` in the database; on 389 Directory Server: the account's attributes `nsSizeLimit: -1` and `nsLookThroughLimit: -1`"
            }
            Self::Search { code: 3, .. } => "lift the time limit for the account",
            Self::Search { code: 11, .. } => "lift the administrative limit (look-through limit) for the account",
            // Active Directory, where nothing but the root DSE may be read without a login.
            Self::Search { code: 1, answer, .. }
                if answer.contains("without authentication") || answer.contains("bind must be completed") =>
            {
                "the login is anonymous: set directory.bind_dn and directory.password_file"
            }
            Self::Search { code: 32, .. } => "check the base DN in directory.url, and whether the account may read it",
            Self::Search { code: 50, .. } => "let the account read the whole tree below the base DN",
            Self::Search { .. } => "look into the server's log",
            Self::Changelog { .. } => {
                "enable the plugin Retro Changelog, with `nsslapd-attribute: nsuniqueid:targetUniqueId`, and let the account read all but `changes` by an aci on cn=changelog: `(targetattr!=\"changes\")` (docs/389ds.md); or set directory.dialect to `389ds` or `persistent-search`"
            }
            Self::StaleContext { .. } => {
                "load entries with `slapadd -w`; to repair: stop slapd, `slapcat -l all.ldif`, empty the database, `slapadd -w -l all.ldif`, start slapd"
            }
            Self::Malformed(_) | Self::Library(_) => "check that it is an LDAP server; if it is, report this with the server's version",
            Self::Stalled(..) => "lift the size limit for the account: some servers stop at it without saying so",
            Self::Closed(_) => "look into the server's log if this goes on",
        };
        text.to_owned()
    }

    /// The failure with its causes, on one line, without the remedy.
    pub fn what(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    /// The failure with its causes and its remedy, on one line.
    pub fn explain(&self) -> String {
        format!("{}; {}", self.what(), self.remedy())
    }

    /// The same as one of the directory's faults.
    pub fn to_fault(&self, url: &str) -> Fault {
        let place = Place::Directory { url: url.to_owned() };
        Fault { severity: Severity::Error, code: "ldap.unreachable", place, what: self.what(), remedy: self.remedy() }
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
            Some(rustls::Error::InvalidCertificate(why)) => Self::Certificate { why: words(why), problem: Problem::of(why) },
            Some(other) => Self::Handshake(other.to_string()),
            None => Self::Closed(format!(": {error}")),
        }
    }
}

/// What to do about a bind that was refused. Active Directory says why in its words, as `data 775` (hexadecimal Win32 codes).
fn of_bind(how: Method, code: u32, answer: &str) -> &'static str {
    let data = answer.split_once(", data ").and_then(|(_, rest)| rest.split([',', ' ']).next()).unwrap_or_default();
    match (how, code, data) {
        (_, 8, _) => {
            "the server wants the connection protected: use ldaps://, or set directory.starttls = true (LDAP signing without TLS is not done)"
        }
        (_, 13, _) => "use ldaps://, or set directory.starttls = true",
        (_, 49, "525") => "there is no such account: check directory.bind_dn",
        (_, 49, "530" | "531") => "the account may not log in at this time, or from this machine",
        (_, 49, "532" | "773") => {
            "the account's password has expired: set a new one, that does not expire, and write it into directory.password_file"
        }
        (_, 49, "533" | "701") => "the account is disabled or has expired: enable it",
        (_, 49, "775") => "the account is locked out: find who sends wrong passwords, and unlock it",
        (Method::Kerberos, 49, "80090346") => {
            "the server insists on channel bindings, which do not match: something between here and the server ends the TLS connection"
        }
        (Method::Simple, 49, _) => "check directory.bind_dn, and the password in directory.password_file",
        (Method::Simple, ..) => "check directory.bind_dn, and whether the account may log in",
        (Method::External, 7, _) => {
            "let the server ask for client certificates, and trust their authority (OpenLDAP: TLSVerifyClient try and TLSCACertificateFile; 389ds: nsSSLClientAuth)"
        }
        (Method::External, ..) => {
            "map the certificate's subject to an account (OpenLDAP: authz-regexp; 389ds: certmap.conf; Active Directory: altSecurityIdentities)"
        }
        (Method::Kerberos, ..) => "check that the server has the service ldap/HOST for the host in directory.url, and takes SASL GSSAPI",
    }
}

/// What rustls says of a certificate, in a sentence.
fn words(error: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Why;
    match error {
        Why::Expired => "it has expired".to_owned(),
        Why::NotValidYet => "it is not valid yet".to_owned(),
        Why::UnknownIssuer => "its issuer is not one of the authorities that are trusted".to_owned(),
        Why::BadSignature => "it is not signed by the authority that it names".to_owned(),
        Why::NotValidForName => "it is for another name".to_owned(),
        other => other.to_string(),
    }
}

impl Problem {
    fn of(error: &rustls::CertificateError) -> Self {
        use rustls::CertificateError as Why;
        match error {
            Why::Expired | Why::ExpiredContext { .. } | Why::NotValidYet | Why::NotValidYetContext { .. } => Self::Time,
            Why::NotValidForName | Why::NotValidForNameContext { .. } => Self::Name,
            Why::UnknownIssuer | Why::BadSignature => Self::Authority,
            _ => Self::Other,
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
    use rustls::CertificateError as Why;

    use super::*;

    fn result(rc: u32, text: &str) -> LdapResult {
        LdapResult { rc, matched: String::new(), text: text.to_owned(), refs: Vec::new(), ctrls: Vec::new() }
    }

    #[test]
    fn a_search_that_wants_a_login() {
        let of = |code, words: &str| {
            let answer = answer(&result(code, words));
            LdapFailure::Search { base: "DC=corp,DC=example".to_owned(), code, answer }.remedy()
        };
        assert!(of(1, "00002020: Operation unavailable without authentication").contains("directory.bind_dn"));
        assert!(of(1, "a successful bind must be completed on the connection").contains("directory.bind_dn"));
        assert_eq!(of(1, "out of memory"), "look into the server's log");
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
        insta::assert_snapshot!(check(LdapFailure::Bind { dn: "cn=reader".into(), how: Method::Simple, code: 49, answer: answer(&result(49, "")) }), @"the bind as `cn=reader` was refused: invalidCredentials (49); check directory.bind_dn, and the password in directory.password_file");
        insta::assert_snapshot!(check(LdapFailure::Search { base: "dc=x".into(), code: 4, answer: answer(&result(4, "")) }), @r#"the search below `dc=x` failed: sizeLimitExceeded (4); lift the size limit for the account; on OpenLDAP: `limits dn.exact="ACCOUNT" size=unlimited time=unlimited` in the database; on 389 Directory Server: the account's attributes `nsSizeLimit: -1` and `nsLookThroughLimit: -1`"#);
        insta::assert_snapshot!(check(LdapFailure::Base { contexts: vec!["dc=a".into(), "dc=b".into()] }), @"there is no base DN, and the server has 2 naming contexts; write one of them into directory.url: dc=a, dc=b");
        insta::assert_snapshot!(check(LdapFailure::Options(OptionsError::ClearPassword("192.0.2.1".into()))), @"the password would go to 192.0.2.1 in the clear; use ldaps://, or set directory.starttls = true; or, if the network may see the password, directory.allow_cleartext_password = true");
        insta::assert_snapshot!(LdapFailure::Closed(String::new()).to_fault("ldap://h:389/dc=x"), @"ldap://h:389/dc=x: the connection was closed; look into the server's log if this goes on");
    }

    #[test]
    fn what_to_do_about_a_refused_bind() {
        let check = |how, code, text: &str| of_bind(how, code, &answer(&result(code, text)));
        let data = |code: &str| format!("80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {code}, v3839");
        assert!(check(Method::Simple, 49, &data("775")).starts_with("the account is locked out"));
        assert!(check(Method::Simple, 49, &data("532")).contains("has expired"));
        assert!(check(Method::Simple, 49, &data("52e")).starts_with("check directory.bind_dn"));
        assert!(check(Method::Kerberos, 49, &data("80090346")).contains("channel bindings"));
        assert!(check(Method::Simple, 8, "BindSimple: Transport encryption required.").contains("use ldaps://"));
        assert!(check(Method::External, 7, "").contains("client certificates"));
        assert!(check(Method::External, 49, "").contains("map the certificate's subject"));
    }

    #[test]
    fn several_servers() {
        let closed = |why: &str| LdapFailure::Closed(why.to_owned());
        let failure = LdapFailure::AllServers(vec![("ldap://a:389".into(), closed(" by the server")), ("ldap://b:389".into(), closed(""))]);
        insta::assert_snapshot!(failure.explain(), @"none of the 2 servers can be used: ldap://a:389: the connection was closed by the server; ldap://b:389: the connection was closed; look into the server's log if this goes on");
    }

    #[test]
    fn tls_failures_say_so() {
        let wrap = |error: rustls::Error| LdapFailure::of_io(&io::Error::new(io::ErrorKind::InvalidData, error));
        for (error, expect) in [
            (Why::UnknownIssuer, Problem::Authority),
            (Why::Expired, Problem::Time),
            (Why::NotValidForName, Problem::Name),
            (Why::Revoked, Problem::Other),
        ] {
            assert!(matches!(wrap(error.into()), LdapFailure::Certificate { problem, .. } if problem == expect));
        }
        assert!(matches!(wrap(rustls::Error::HandshakeNotComplete), LdapFailure::Handshake(_)));
        assert!(matches!(LdapFailure::of_io(&io::Error::from(io::ErrorKind::ConnectionReset)), LdapFailure::Closed(_)));
    }
}
