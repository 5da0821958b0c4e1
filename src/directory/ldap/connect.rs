//! A connection to the server, up to the point where it may be searched.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ldap3::{LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchOptions, StdStream};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::decode;
use super::failure::{LdapFailure, answer};
use super::wire::Wire;
use crate::directory::{Bind, LdapOptions, Timers, TlsOptions};
use crate::model::{Attributes, Dn};

/// After how much silence the system asks the other side whether it is still there, how often it asks again, and how many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// Opens a connection: TCP, TLS where it is asked for, bind.
pub(super) async fn connect(options: &LdapOptions) -> Result<Wire, LdapFailure> {
    options.check()?;
    let limit = options.timers.connect;
    let (stream, peer) = tcp(options).await?;
    // The name may say `localhost` and mean another machine.
    if !peer.ip().is_loopback() {
        options.check_password(|| peer.to_string())?;
    }
    let mut settings = LdapConnSettings::new().set_std_stream(StdStream::Tcp(stream)).set_starttls(options.tls.starttls);
    if options.has_tls() {
        settings = settings.set_config(Arc::new(tls(&options.tls)?));
    }
    let origin = options.url.origin();
    let opening = LdapConnAsync::with_settings(settings, &origin);
    let opened = timeout(limit, opening).await.map_err(|_| LdapFailure::Timeout { step: "the TLS handshake", limit })?;
    let (connection, ldap) = opened.map_err(|error| match error {
        // ldap3 goes on to the handshake only after the server's consent: nothing is sent in the clear (RFC 4511 §4.14.2).
        LdapError::LdapResult { result } => LdapFailure::StartTls(answer(&result)),
        LdapError::Rustls { source } => LdapFailure::Handshake(source.to_string()),
        LdapError::DNSName { source } => LdapFailure::Handshake(source.to_string()),
        other => match LdapFailure::of(other) {
            LdapFailure::Closed(why) => LdapFailure::Handshake(format!("the connection was closed{why}")),
            failure => failure,
        },
    })?;
    let mut wire = Wire::new(connection, ldap);
    if let Bind::Simple { dn, password } = &options.bind {
        let mut handle = wire.handle();
        let result = wire.call("the bind", limit, handle.simple_bind(dn, password.expose())).await?;
        if result.rc != 0 {
            return Err(LdapFailure::Bind { dn: dn.clone(), code: result.rc, answer: answer(&result) });
        }
    }
    Ok(wire)
}

/// A TCP connection to the first of the host's addresses that takes one.
async fn tcp(options: &LdapOptions) -> Result<(std::net::TcpStream, SocketAddr), LdapFailure> {
    let (host, port, limit) = (options.url.host(), options.url.port(), options.timers.connect);
    let resolving = timeout(limit, lookup_host((host.as_str(), port))).await;
    let addresses = match resolving {
        Ok(found) => found.map_err(|source| LdapFailure::Resolve { host: host.clone(), source })?,
        Err(_) => return Err(LdapFailure::Timeout { step: "the resolution of the host's name", limit }),
    };
    let none = std::io::Error::from(std::io::ErrorKind::NotFound);
    let mut failure = LdapFailure::Resolve { host: host.clone(), source: none };
    for address in addresses {
        failure = match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => match prepare(&stream, &options.timers).and_then(|()| stream.into_std()) {
                Ok(stream) => return Ok((stream, address)),
                Err(source) => LdapFailure::Connect { address, source },
            },
            Ok(Err(source)) => LdapFailure::Connect { address, source },
            Err(_) => LdapFailure::Timeout { step: "the TCP connection", limit },
        };
    }
    Err(failure)
}

/// ldap3 sets none of these: without them a dead server, or a firewall that forgot the connection, is not noticed for hours.
fn prepare(stream: &TcpStream, timers: &Timers) -> std::io::Result<()> {
    let socket = SockRef::from(stream);
    let (silence, pause, tries) = KEEPALIVE;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(silence).with_interval(pause).with_retries(tries))?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(timers.ping_interval + timers.ping_timeout))?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = timers;
    Ok(())
}

/// The authorities of the CA file, or the system's.
fn tls(options: &TlsOptions) -> Result<ClientConfig, LdapFailure> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &options.ca_file {
        let bad = |why: String| LdapFailure::CaFile { path: path.clone(), why };
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))? {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(bad("there is no certificate in it".to_owned()));
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map_or_else(|| "the system has no certificate authorities".to_owned(), ToString::to_string);
            return Err(LdapFailure::TlsSetup(why));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| LdapFailure::TlsSetup(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What the server says of itself (RFC 4512 §5.1).
#[derive(Debug)]
pub(super) struct RootDse(Attributes);

impl RootDse {
    pub(super) async fn read(wire: &mut Wire, limit: Duration) -> Result<Self, LdapFailure> {
        let names = [
            "namingContexts",
            "supportedControl",
            "supportedCapabilities",
            "vendorName",
            "vendorVersion",
            "objectClass",
            "defaultNamingContext",
            "configurationNamingContext",
            "dsServiceName",
            "dnsHostName",
            "highestCommittedUSN",
            "changelog",
            "firstchangenumber",
            "lastchangenumber",
        ];
        let found = search(wire, limit, "the query of the root DSE", ("", Scope::Base, "(objectClass=*)"), 0, &names).await?;
        Ok(Self(found.into_iter().next().map(|(_, attributes)| attributes).unwrap_or_default()))
    }

    /// What it is, for people.
    pub(super) fn server(&self) -> String {
        let vendor = [self.0.text("vendorName"), self.0.text("vendorVersion")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        if self.0.has_class("OpenLDAProotDSE") {
            "OpenLDAP".to_owned()
        } else if vendor.is_empty() && self.has_capability("1.2.840.113556.1.4.800") {
            "Active Directory".to_owned()
        } else if vendor.is_empty() {
            "the server".to_owned()
        } else {
            vendor
        }
    }

    /// Whether a control is supported there (RFC 4512 §5.1).
    pub(super) fn has_control(&self, oid: &str) -> bool {
        self.0.texts("supportedControl").any(|held| held == oid)
    }

    /// Whether a capability is there (MS-ADTS §3.1.1.3.2.8).
    pub(super) fn has_capability(&self, oid: &str) -> bool {
        self.0.texts("supportedCapabilities").any(|held| held == oid)
    }

    /// The first value of an attribute.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.text(name)
    }

    /// The naming contexts that it holds.
    pub(super) fn contexts(&self) -> Vec<Dn> {
        self.0.texts("namingContexts").filter_map(|text| text.parse().ok()).collect()
    }

    /// Whether it is 389 Directory Server or its kin.
    pub(super) fn is_389(&self) -> bool {
        self.0.texts("vendorName").any(|vendor| vendor.contains("389"))
    }

    /// The tree to read, and the naming context that it is in, as far as the server tells.
    pub(super) fn base(&self, options: &LdapOptions) -> Result<(Dn, Option<Dn>), LdapFailure> {
        let contexts = self.contexts();
        // A domain controller holds several, and says which one is the domain.
        let domain: Option<Dn> = self.0.text("defaultNamingContext").and_then(|text| text.parse().ok());
        let wanted = options.base.as_ref().or(options.url.base()).or(domain.as_ref());
        let base = match (wanted, contexts.as_slice()) {
            (Some(base), _) => base.clone(),
            (None, [only]) => only.clone(),
            (None, _) => return Err(LdapFailure::Base { contexts: contexts.iter().map(ToString::to_string).collect() }),
        };
        let context = contexts.into_iter().filter(|context| base.is_within(context)).max_by_key(Dn::depth);
        Ok((base, context))
    }
}

/// An ordinary search: base, scope and filter; the attributes of at most `most` entries, or, with 0, of all.
pub(super) async fn search(
    wire: &mut Wire,
    limit: Duration,
    step: &'static str,
    (base, scope, filter): (&str, Scope, &str),
    most: i32,
    attributes: &[&str],
) -> Result<Vec<(Vec<u8>, Attributes)>, LdapFailure> {
    let mut handle = wire.handle();
    handle.with_search_options(SearchOptions::new().sizelimit(most));
    let found = wire.call(step, limit, handle.search(base, scope, filter, attributes)).await?;
    // RFC 4511 §4.1.9: sizeLimitExceeded (4) says that there are more.
    if found.1.rc != 0 && (most == 0 || found.1.rc != 4) {
        return Err(LdapFailure::Search { base: base.to_owned(), code: found.1.rc, answer: answer(&found.1) });
    }
    found.0.into_iter().filter(|entry| entry.0.id == 4).map(|entry| decode::entry(entry.0).map_err(LdapFailure::Malformed)).collect()
}
