//! What a feed is told: values that the configuration has validated.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use super::ldap::Dialect;
use super::secret_file::SecretFile;
use super::server_url::{ServerUrl, UrlError};
use crate::model::{Dn, Secret};

/// Where the directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a process has one")]
pub enum Source {
    /// Files.
    Ldif(LdifOptions),
    /// A server.
    Ldap(LdapOptions),
}

/// A file or a folder of LDIF content records, watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdifOptions {
    /// The file, or the folder whose `*.ldif` are read in the order of their names.
    pub path: PathBuf,
    /// How long the files must rest after an event before they are read (100 ms).
    pub debounce: Duration,
    /// How often to look without an event, for file systems that give none (2 s).
    pub poll: Duration,
}

/// A directory server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapOptions {
    /// Where it is.
    pub url: ServerUrl,
    /// Where else the same directory is, in the order of preference: for when the server of `url` is away.
    pub failover: Vec<ServerUrl>,
    /// Active Directory: other domain controllers of the same domain to listen to beside, since replication takes its time.
    pub also: Vec<ServerUrl>,
    /// How servers are found by the DNS, for URLs without a host.
    pub locate: LocateOptions,
    /// Which tree to read, in place of the URL's; when neither is there, the server's only naming context.
    pub base: Option<Dn>,
    /// Who we are.
    pub bind: Bind,
    /// How the connection is protected.
    pub tls: TlsOptions,
    /// How patient to be.
    pub timers: Timers,
    /// How to read changes, in place of what the root DSE suggests.
    pub dialect: Option<Dialect>,
    /// Attributes to read beside [`ATTRIBUTES`](super::ATTRIBUTES): those that the configuration names.
    pub attributes: Vec<String>,
}

/// Who the feed is to the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Bind {
    /// Nobody.
    #[default]
    Anonymous,
    /// An account, by its DN (RFC 4513 §5.1.3).
    Simple {
        /// The account's DN; Active Directory also takes `user@domain`.
        dn: String,
        /// Its password.
        password: Secret,
    },
    /// The same, and the password is read at each connection: a new one needs no restart.
    SimpleFile {
        /// The account's DN; Active Directory also takes `user@domain`.
        dn: String,
        /// Where its password is.
        password: SecretFile,
    },
    /// Whom the client certificate names (SASL EXTERNAL, RFC 4422 appendix A), by the server's rules.
    External,
    /// A Kerberos principal (SASL GSSAPI, RFC 4752). Needs the feature `gssapi`.
    Kerberos {
        /// Who; none: the keytab's first principal.
        principal: Option<String>,
        /// The file with its key.
        keytab: PathBuf,
    },
}

impl Bind {
    /// The account as it is written; empty when the connection says who it is, or nobody does.
    pub fn account(&self) -> &str {
        match self {
            Self::Anonymous | Self::External => "",
            Self::Simple { dn, .. } | Self::SimpleFile { dn, .. } => dn,
            Self::Kerberos { principal, .. } => principal.as_deref().unwrap_or_default(),
        }
    }

    /// Whether a password travels.
    pub const fn has_password(&self) -> bool {
        matches!(self, Self::Simple { .. } | Self::SimpleFile { .. })
    }
}

/// How servers are found by the DNS. The answers are not authenticated: that a server is the right one shows by its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocateOptions {
    /// The Active Directory site whose controllers come first.
    pub site: Option<String>,
    /// Name servers to ask in place of the system's.
    pub nameservers: Vec<SocketAddr>,
    /// Domains, beside the base DN's own, in which a server found by SRV may be.
    ///
    /// Without this rule a forged answer could name any host in the world, which shows a certificate that is quite valid for
    /// its own name, and be sent the password.
    pub domains: Vec<String>,
}

/// How a connection is protected. The default: by what the URL's scheme says, with the system's certificate authorities.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// On an `ldap` URL: StartTLS before anything else (RFC 4511 §4.14). Where the server refuses it, nothing is sent.
    pub starttls: bool,
    /// A PEM file with the certificate authorities to trust, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate.
    pub client: Option<ClientCertificate>,
    /// Allows a password to cross the network unprotected. On the loopback it is always allowed.
    pub allow_cleartext_password: bool,
}

/// A certificate that says who we are. Both files are read at each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its authority; PEM.
    pub certificate: PathBuf,
    /// Its private key; PEM.
    pub key: PathBuf,
}

/// How patient an LDAP feed is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timers {
    /// For one step of a connection: TCP, TLS, bind, a query (10 s).
    pub connect: Duration,
    /// How long a connection may be silent before the server is asked for a sign of life (5 s).
    pub ping_interval: Duration,
    /// How long that sign may take (10 s): longer than a 100,000-member group takes on a slow line, since it waits behind it.
    pub ping_timeout: Duration,
    /// How long a refresh may stand still while the server answers pings (60 s): some servers stall at a limit without a word.
    pub refresh_stall: Duration,
    /// How often to ask for changes without having been told of any (1 s): a controller may forget to tell.
    pub look_every: Duration,
    /// How often to list the ids of all entries where deletions are not told (5 min).
    pub sweep_every: Duration,
    /// How often to read everything anew (1 day): what came into sight because rights were given back is told by nobody.
    pub relist_every: Duration,
    /// How often all ids and versions are compared with what was told; zero: never. Not given: as often as the dialect needs
    /// it, an hour for those that are told everything.
    pub compare_every: Option<Duration>,
    /// How often the dialect `poll` asks for changes (5 s).
    pub poll_every: Duration,
    /// How far back `poll` asks each time (2 min): the clocks of the servers that take changes may differ by so much.
    pub poll_overlap: Duration,
    /// The pause before the first try to reconnect (100 ms); it doubles with each failure.
    pub backoff_min: Duration,
    /// The longest pause (30 s).
    pub backoff_max: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(10),
            refresh_stall: Duration::from_secs(60),
            look_every: Duration::from_secs(1),
            sweep_every: Duration::from_secs(300),
            relist_every: Duration::from_secs(86_400),
            compare_every: None,
            poll_every: Duration::from_secs(5),
            poll_overlap: Duration::from_secs(120),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
        }
    }
}

impl Timers {
    /// How soon everything is read anew where rights were changed: admins change several at a time.
    pub(super) fn relist_soon(&self) -> Duration {
        self.relist_every.min(Duration::from_secs(5))
    }
}

/// Options that contradict each other or what is safe.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OptionsError {
    /// A bind DN without a password would be an unauthenticated bind, which servers may answer with success (RFC 4513 §5.1.2).
    #[error("the bind DN `{0}` has no password")]
    NoPassword(String),
    /// A password without a bind DN.
    #[error("there is a password and no bind DN")]
    NoBindDn,
    /// A password would cross the network in the clear.
    #[error("the password would go to {0} in the clear")]
    ClearPassword(String),
    /// `ldaps` and StartTLS exclude each other.
    #[error("ldaps:// is TLS already, and StartTLS is asked for on top")]
    TlsTwice,
    /// A CA file on a connection that has no TLS.
    #[error("a CA file is named, and the connection has no TLS")]
    CaWithoutTls,
    /// A client certificate or Kerberos on a connection that has no TLS.
    #[error("{0} needs TLS")]
    NeedsTls(&'static str),
    /// Kerberos, in a build without it.
    #[error("this build of Dialcast has no Kerberos")]
    NoKerberos,
    /// SASL EXTERNAL without a certificate.
    #[error("there is no client certificate to log in with")]
    NoCertificate,
    /// The base DN has no domain whose servers could be looked up.
    #[error("the base DN `{0}` does not end with dc=…: the DNS cannot be asked for its servers")]
    NoDomain(String),
    /// A fail-over that would be weaker, or another tree.
    #[error("`{0}` differs from directory.url in more than the host")]
    Failover(String),
}

impl OptionsError {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoPassword(_) => "set directory.password_file, or leave directory.bind_dn out to read anonymously",
            Self::NoBindDn => "set directory.bind_dn to the account that the password belongs to",
            Self::ClearPassword(_) => {
                "use ldaps://, or set directory.starttls = true; or, if the network may see the password, directory.allow_cleartext_password = true"
            }
            Self::TlsTwice => "leave directory.starttls out, or write ldap://",
            Self::CaWithoutTls => "use ldaps:// or directory.starttls = true, or leave directory.ca_file out",
            Self::NeedsTls(_) => "use ldaps://, or set directory.starttls = true",
            Self::NoKerberos => {
                "build it with `cargo build --release --features gssapi` (needs libkrb5-dev and libclang-dev), or log in by password or client certificate"
            }
            Self::NoCertificate => "set directory.client_cert_file and directory.client_key_file",
            Self::NoDomain(_) => "write the host into directory.url",
            Self::Failover(_) => "give it the same scheme as directory.url, and the same base DN or none",
        }
    }
}

impl LdifOptions {
    /// This file or folder, with the usual timing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), debounce: Duration::from_millis(100), poll: Duration::from_secs(2) }
    }
}

impl LdapOptions {
    /// This server: anonymous, the usual timing and attributes.
    pub fn new(url: ServerUrl) -> Self {
        Self {
            url,
            failover: Vec::new(),
            also: Vec::new(),
            locate: LocateOptions::default(),
            base: None,
            bind: Bind::Anonymous,
            tls: TlsOptions::default(),
            timers: Timers::default(),
            dialect: None,
            attributes: Vec::new(),
        }
    }

    /// Whether the connection has TLS before anything is read or written.
    pub const fn has_tls(&self) -> bool {
        self.url.is_ldaps() || self.tls.starttls
    }

    /// The tree to read, as far as it is written anywhere.
    pub fn base(&self) -> Option<&Dn> {
        self.base.as_ref().or(self.url.base())
    }

    /// Where the directory is, in the order of preference. Those without a host stand for what the DNS says.
    pub fn places(&self) -> impl Iterator<Item = &ServerUrl> {
        std::iter::once(&self.url).chain(&self.failover)
    }

    /// The domain of the base DN: `corp.example` of `ou=Berlin,dc=corp,dc=example` (RFC 2247).
    pub fn domain(&self) -> Option<String> {
        let labels = |dn: &Dn| {
            let parts = dn.rdns().iter().rev().map_while(|rdn| rdn.key().strip_prefix("dc=").map(str::to_owned));
            parts.collect::<Vec<String>>()
        };
        let mut labels = labels(self.base()?);
        labels.reverse();
        (!labels.is_empty()).then(|| labels.join("."))
    }

    /// Finds what cannot work or is not safe, as far as that can be seen without the network.
    pub fn check(&self) -> Result<(), OptionsError> {
        match &self.bind {
            Bind::Simple { dn, password } if dn.is_empty() && !password.is_empty() => return Err(OptionsError::NoBindDn),
            Bind::Simple { dn, password } if password.is_empty() => return Err(OptionsError::NoPassword(dn.clone())),
            Bind::SimpleFile { dn, .. } if dn.is_empty() => return Err(OptionsError::NoBindDn),
            Bind::External if self.tls.client.is_none() => return Err(OptionsError::NoCertificate),
            // Without TLS the library would seal by Kerberos itself, and hang on messages of more than 64 KB.
            Bind::Kerberos { .. } if !self.has_tls() => return Err(OptionsError::NeedsTls("Kerberos")),
            Bind::Kerberos { .. } if !cfg!(feature = "gssapi") => return Err(OptionsError::NoKerberos),
            _ => {}
        }
        if self.url.is_ldaps() && self.tls.starttls {
            return Err(OptionsError::TlsTwice);
        }
        if self.tls.ca_file.is_some() && !self.has_tls() {
            return Err(OptionsError::CaWithoutTls);
        }
        if self.tls.client.is_some() && !self.has_tls() {
            return Err(OptionsError::NeedsTls("a client certificate"));
        }
        for url in self.failover.iter().chain(&self.also) {
            // To fall back from ldaps to ldap would be a downgrade that an attacker can bring about.
            if url.is_ldaps() != self.url.is_ldaps() || url.base().is_some_and(|base| self.url.base() != Some(base)) {
                return Err(OptionsError::Failover(url.to_string()));
            }
        }
        for url in self.places().chain(&self.also) {
            if !url.has_host() && self.domain().is_none() {
                return Err(OptionsError::NoDomain(self.base().map(ToString::to_string).unwrap_or_default()));
            }
            if !url.is_loopback() {
                self.check_password(|| if url.has_host() { url.host() } else { url.to_string() })?;
            }
        }
        Ok(())
    }

    /// Whether the password may go over this connection, whose other end is not on the loopback.
    pub(super) fn check_password(&self, peer: impl FnOnce() -> String) -> Result<(), OptionsError> {
        let in_clear = self.bind.has_password() && !self.has_tls() && !self.tls.allow_cleartext_password;
        if in_clear { Err(OptionsError::ClearPassword(peer())) } else { Ok(()) }
    }
}

/// Why a text does not name a directory.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    /// `ldif:` without a path.
    #[error("`ldif:` names no file")]
    NoPath,
    /// An LDAP URL that is none.
    #[error(transparent)]
    Url(#[from] UrlError),
}

impl SourceError {
    /// What to write instead.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoPath => "write ldif:FILE or ldif:FOLDER",
            Self::Url(error) => error.remedy(),
        }
    }
}

impl fmt::Display for Source {
    /// As it is written in the configuration; never with a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ldif(options) => write!(f, "ldif:{}", options.path.display()),
            Self::Ldap(options) => options.url.fmt(f),
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    /// `ldif:PATH` or an LDAP URL, with the usual options.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text.trim().strip_prefix("ldif:") {
            Some("") => Err(SourceError::NoPath),
            Some(path) => Ok(Self::Ldif(LdifOptions::new(Path::new(path)))),
            None => Ok(Self::Ldap(LdapOptions::new(text.parse()?))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str, bind: Option<(&str, &str)>, change: impl FnOnce(&mut LdapOptions)) -> LdapOptions {
        let mut options = LdapOptions::new(url.parse().unwrap());
        if let Some((dn, password)) = bind {
            options.bind = Bind::Simple { dn: dn.to_owned(), password: Secret::new(password) };
        }
        change(&mut options);
        options
    }

    #[test]
    fn passwords_in_the_clear() {
        let who = Some(("cn=reader", "hunter2"));
        let refused = |host: &str| Err(OptionsError::ClearPassword(host.to_owned()));
        assert_eq!(options("ldap://ldap.corp.example", who, |_| ()).check(), refused("ldap.corp.example"));
        assert_eq!(options("ldap://192.0.2.1", who, |_| ()).check(), refused("192.0.2.1"));
        for url in ["ldap://127.0.0.1", "ldap://127.9.9.9", "ldap://localhost", "ldap://[::1]", "ldaps://ldap.corp.example"] {
            assert_eq!(options(url, who, |_| ()).check(), Ok(()), "{url}");
        }
        assert_eq!(options("ldap://ldap.corp.example", who, |o| o.tls.starttls = true).check(), Ok(()));
        assert_eq!(options("ldap://ldap.corp.example", who, |o| o.tls.allow_cleartext_password = true).check(), Ok(()));
        assert_eq!(options("ldap://ldap.corp.example", None, |_| ()).check(), Ok(()));
        // Nobody knows yet which server the DNS will name, and every fail-over counts.
        assert_eq!(options("ldap:///dc=corp", who, |_| ()).check(), refused("ldap:///dc=corp"));
        assert_eq!(options("ldap://127.0.0.1", who, |o| o.failover = vec!["ldap://other".parse().unwrap()]).check(), refused("other"));
    }

    #[test]
    fn contradictions() {
        let check = |options: LdapOptions| {
            let error = options.check().unwrap_err();
            format!("{error}; {}", error.remedy())
        };
        insta::assert_snapshot!(check(options("ldaps://h", Some(("cn=reader", "")), |_| ())), @"the bind DN `cn=reader` has no password; set directory.password_file, or leave directory.bind_dn out to read anonymously");
        insta::assert_snapshot!(check(options("ldaps://h", Some(("", "x")), |_| ())), @"there is a password and no bind DN; set directory.bind_dn to the account that the password belongs to");
        insta::assert_snapshot!(check(options("ldaps://h", None, |o| o.tls.starttls = true)), @"ldaps:// is TLS already, and StartTLS is asked for on top; leave directory.starttls out, or write ldap://");
        insta::assert_snapshot!(check(options("ldap://h", None, |o| o.bind = Bind::Kerberos { principal: None, keytab: "k".into() })), @"Kerberos needs TLS; use ldaps://, or set directory.starttls = true");
        insta::assert_snapshot!(check(options("ldaps://h", None, |o| o.bind = Bind::External)), @"there is no client certificate to log in with; set directory.client_cert_file and directory.client_key_file");
        let client = || Some(ClientCertificate { certificate: "c".into(), key: "k".into() });
        insta::assert_snapshot!(check(options("ldap://h", None, |o| o.tls.client = client())), @"a client certificate needs TLS; use ldaps://, or set directory.starttls = true");
        insta::assert_snapshot!(check(options("ldaps:///o=Corp", None, |_| ())), @"the base DN `o=Corp` does not end with dc=…: the DNS cannot be asked for its servers; write the host into directory.url");
        let failing_over = |url: &str, other: &str| options(url, None, |o| o.failover = vec![other.parse().unwrap()]);
        insta::assert_snapshot!(check(failing_over("ldaps://a/dc=x", "ldap://b")), @"`ldap://b:389` differs from directory.url in more than the host; give it the same scheme as directory.url, and the same base DN or none");
        insta::assert_snapshot!(check(failing_over("ldaps://a/dc=x", "ldaps://b/dc=y")), @"`ldaps://b:636/dc=y` differs from directory.url in more than the host; give it the same scheme as directory.url, and the same base DN or none");
        assert_eq!(failing_over("ldaps://a/dc=x", "ldaps://b").check(), Ok(()));
        assert_eq!(options("ldaps://[2001:db8::1]", None, |_| ()).check(), Ok(()));
        insta::assert_snapshot!(check(options("ldap://h", None, |o| o.tls.ca_file = Some("ca.pem".into()))), @"a CA file is named, and the connection has no TLS; use ldaps:// or directory.starttls = true, or leave directory.ca_file out");
    }

    #[test]
    fn domains() {
        let domain = |url: &str| LdapOptions::new(url.parse().unwrap()).domain();
        assert_eq!(domain("ldaps:///ou=Berlin,DC=Corp,dc=example").as_deref(), Some("corp.example"));
        assert_eq!(domain("ldaps:///dc=a,ou=b,dc=c").as_deref(), Some("c"));
        assert_eq!((domain("ldaps:///o=Corp"), domain("ldaps://h")), (None, None));
    }

    #[test]
    fn debug_keeps_the_password() {
        let text = format!("{:?}", Source::Ldap(options("ldap://h", Some(("cn=reader", "hunter2")), |_| ())));
        assert!(text.contains("cn=reader") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn sources() {
        assert_eq!("ldif:examples/corp.ldif".parse(), Ok(Source::Ldif(LdifOptions::new("examples/corp.ldif"))));
        assert_eq!("ldap://h/o=x".parse(), Ok(Source::Ldap(LdapOptions::new("ldap://h/o=x".parse().unwrap()))));
        assert_eq!("ldif:".parse::<Source>(), Err(SourceError::NoPath));
        assert_eq!(
            "corp.ldif".parse::<Source>().unwrap_err().remedy(),
            "write ldap://HOST:PORT/BASE-DN, such as ldap://ldap.corp.example/dc=corp,dc=example"
        );
    }
}
