//! A connection to the server, up to the point where it may be searched.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ldap3::controls::RawControl;
use ldap3::exop::WhoAmI;
use ldap3::result::ExopResult;
use ldap3::{LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchOptions, StdStream};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::failure::{LdapFailure, Method, answer};
use super::locate::{self, Places};
use super::tls::{self, Shown};
use super::wire::Wire;
use super::{decode, kerberos};
use crate::directory::{Bind, LdapOptions, ServerUrl, Timers};
use crate::model::{Attributes, Dn, Secret, Values};

/// After how much silence the system asks the other side whether it is still there, how often it asks again, and how many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// Whom a bind by certificate is told to be, where the server's rules name somebody.
const EXTERNAL: &str = "SASL EXTERNAL";

/// A connection that is bound.
pub(super) struct Connected {
    pub(super) wire: Wire,
    /// To which of the servers.
    pub(super) server: ServerUrl,
    /// Those that come before it in the order of preference and could not be used.
    pub(super) passed_over: Vec<(ServerUrl, LdapFailure)>,
}

/// Opens a connection to the first of the servers that can be used.
pub(super) async fn connect(options: &LdapOptions, places: &mut Places) -> Result<Connected, LdapFailure> {
    options.check()?;
    let mut passed_over = Vec::new();
    for server in places.servers(options).await? {
        match connect_to(options, &server).await {
            Ok(wire) => {
                places.tried(server.clone());
                return Ok(Connected { wire, server, passed_over });
            }
            // With the same password, the next server would count one more failed login. After the pause it is the next one's turn.
            Err(failure) if failure.is_of_account() => {
                places.tried(server);
                return Err(failure);
            }
            Err(failure) => passed_over.push((server, failure)),
        }
    }
    match passed_over.len() {
        1 => Err(passed_over.remove(0).1),
        _ => Err(LdapFailure::AllServers(passed_over.into_iter().map(|(server, failure)| (server.origin(), failure)).collect())),
    }
}

/// Opens a connection to this server: TCP, TLS where it is asked for, bind.
pub(super) async fn connect_to(options: &LdapOptions, server: &ServerUrl) -> Result<Wire, LdapFailure> {
    let addresses = locate::addresses(options, server).await?;
    let (stream, _) = dial(options, &addresses).await?;
    let wire = open(options, server, stream, &Shown::default()).await?;
    bind(options, server, wire).await
}

/// A TCP connection to the first of the addresses that takes one.
pub(super) async fn dial(options: &LdapOptions, addresses: &[SocketAddr]) -> Result<(std::net::TcpStream, SocketAddr), LdapFailure> {
    let limit = options.timers.connect;
    let mut failure = LdapFailure::Closed(String::new());
    for &address in addresses {
        failure = match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => match prepare(&stream, &options.timers).and_then(|()| stream.into_std()) {
                Ok(stream) => {
                    // The name may say `localhost` and mean another machine.
                    if !address.ip().is_loopback() {
                        options.check_password(|| address.to_string())?;
                    }
                    return Ok((stream, address));
                }
                Err(source) => LdapFailure::Connect { address, source },
            },
            Ok(Err(source)) => LdapFailure::Connect { address, source },
            Err(_) => LdapFailure::Timeout { step: "the TCP connection", limit },
        };
    }
    Err(failure)
}

/// Makes the connection one that speaks LDAP, by TLS where it is asked for.
pub(super) async fn open(
    options: &LdapOptions,
    server: &ServerUrl,
    stream: std::net::TcpStream,
    shown: &Shown,
) -> Result<Wire, LdapFailure> {
    let limit = options.timers.connect;
    let mut settings = LdapConnSettings::new().set_std_stream(StdStream::Tcp(stream)).set_starttls(options.tls.starttls);
    if options.has_tls() {
        settings = settings.set_config(Arc::new(tls::config(&options.tls, server, shown)?));
    }
    let origin = tls::origin(server);
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
    Ok(Wire::new(connection, ldap))
}

/// Says who we are.
pub(super) async fn bind(options: &LdapOptions, server: &ServerUrl, mut wire: Wire) -> Result<Wire, LdapFailure> {
    let limit = options.timers.connect;
    let mut handle = wire.handle();
    let (who, how, result) = match &options.bind {
        Bind::Anonymous => return Ok(wire),
        Bind::Simple { dn, password } => (dn.as_str(), Method::Simple, simple(&mut wire, limit, dn, password).await?),
        Bind::SimpleFile { dn, password } => {
            let password = password.read()?;
            (dn.as_str(), Method::Simple, simple(&mut wire, limit, dn, &password).await?)
        }
        Bind::External => {
            if is_known(&mut wire, limit).await? {
                return Ok(wire);
            }
            (EXTERNAL, Method::External, wire.call("the bind", limit, handle.sasl_external_bind()).await?)
        }
        Bind::Kerberos { .. } => return kerberos::bind(options, server, wire).await,
    };
    if result.rc != 0 {
        return Err(LdapFailure::Bind { dn: who.to_owned(), how, code: result.rc, answer: answer(&result) });
    }
    Ok(wire)
}

async fn simple(wire: &mut Wire, limit: Duration, dn: &str, password: &Secret) -> Result<LdapResult, LdapFailure> {
    let mut handle = wire.handle();
    wire.call("the bind", limit, handle.simple_bind(dn, password.expose())).await
}

/// Who the server takes us for (RFC 4532): empty when for nobody.
pub(super) async fn who_am_i(wire: &mut Wire, limit: Duration) -> Result<String, LdapFailure> {
    let mut handle = wire.handle();
    let ExopResult(exop, result) = wire.call("the question who we are", limit, handle.extended(WhoAmI)).await?;
    let name = if result.rc == 0 { exop.val.unwrap_or_default() } else { Vec::new() };
    let name = String::from_utf8_lossy(&name).into_owned();
    // Some say `dn:` for nobody.
    Ok(if name.trim_end() == "dn:" { String::new() } else { name })
}

/// Whether the server has taken the client certificate of an ldaps connection for a login already: Active Directory does, and
/// refuses a bind on top (MS-ADTS §5.1.1.2). RFC 4532: who nobody is has an empty name.
async fn is_known(wire: &mut Wire, limit: Duration) -> Result<bool, LdapFailure> {
    Ok(!who_am_i(wire, limit).await?.is_empty())
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
            "currentTime",
            "tokenGroups",
        ];
        let found = search(wire, limit, "the query of the root DSE", ("", Scope::Base, "(objectClass=*)"), 0, &names).await?;
        Ok(Self(found.into_iter().next().map(|(_, attributes)| attributes).unwrap_or_default()))
    }

    /// What it is, for people.
    pub(super) fn server(&self) -> String {
        let vendor = [self.0.text("vendorName"), self.0.text("vendorVersion")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        if self.is_openldap() {
            "OpenLDAP".to_owned()
        } else if vendor.is_empty() && self.has_capability("1.2.840.113556.1.4.800") {
            "Active Directory".to_owned()
        } else if vendor.is_empty() {
            "the server".to_owned()
        } else {
            vendor
        }
    }

    /// An attribute's values, whatever they are.
    pub(super) fn values(&self, name: &str) -> Values<'_> {
        self.0.values(name)
    }

    /// An attribute's values that are text.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.texts(name)
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

    /// Whether it is OpenLDAP.
    pub(super) fn is_openldap(&self) -> bool {
        self.0.has_class("OpenLDAProotDSE")
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
    query: (&str, Scope, &str),
    most: i32,
    attributes: &[&str],
) -> Result<Vec<(Vec<u8>, Attributes)>, LdapFailure> {
    search_with(wire, limit, step, query, Asking { most, attributes, ..Asking::default() }).await
}

/// What is asked of a search's entries.
#[derive(Debug, Default)]
pub(super) struct Asking<'a> {
    /// At most so many, or, with 0, all.
    pub(super) most: i32,
    pub(super) attributes: &'a [&'a str],
    /// The names of the attributes alone: what must not be seen need not travel.
    pub(super) names_only: bool,
    pub(super) controls: Vec<RawControl>,
}

/// The same, with controls.
pub(super) async fn search_with(
    wire: &mut Wire,
    limit: Duration,
    step: &'static str,
    (base, scope, filter): (&str, Scope, &str),
    asking: Asking<'_>,
) -> Result<Vec<(Vec<u8>, Attributes)>, LdapFailure> {
    let mut handle = wire.handle();
    handle.with_search_options(SearchOptions::new().sizelimit(asking.most).typesonly(asking.names_only));
    if !asking.controls.is_empty() {
        handle.with_controls(asking.controls);
    }
    let found = wire.call(step, limit, handle.search(base, scope, filter, asking.attributes)).await?;
    // RFC 4511 §4.1.9: sizeLimitExceeded (4) says that there are more.
    if found.1.rc != 0 && (asking.most == 0 || found.1.rc != 4) {
        return Err(LdapFailure::Search { base: base.to_owned(), code: found.1.rc, answer: answer(&found.1) });
    }
    found.0.into_iter().filter(|entry| entry.0.id == 4).map(|entry| decode::entry(entry.0).map_err(LdapFailure::Malformed)).collect()
}
