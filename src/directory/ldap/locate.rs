//! Which servers there are, and in which order they are tried.
//!
//! A URL with a host is one server. One without stands for those that the DNS names for the base DN's domain: on Active Directory
//! the controllers of the site, then those of the domain; elsewhere what RFC 2782 has.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use rand::Rng;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::failure::LdapFailure;
use crate::directory::{Cookie, LdapOptions, LocateOptions, OptionsError, ServerUrl};
use crate::model::{Dn, Rdn};

/// The most servers taken from the DNS: nobody waits for a thirty-third.
const SERVERS_MAX: usize = 32;

/// The port that Active Directory's records have, whatever is spoken there.
const LDAP_PORT: u16 = 389;
/// Where LDAP over TLS is by custom; no record says so.
const LDAPS_PORT: u16 = 636;

/// One question to the DNS and its answer, for whoever wants to know.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    pub(super) name: String,
    /// `host:port priority weight`, or why there is none.
    pub(super) found: Result<Vec<String>, String>,
    pub(super) took: Duration,
}

/// What the DNS and the configuration name.
#[derive(Debug, Default)]
pub(super) struct Located {
    /// In the order in which they are to be tried.
    pub(super) servers: Vec<ServerUrl>,
    pub(super) lookups: Vec<Lookup>,
    /// Hosts that were named and are not to be trusted with a password.
    pub(super) refused: Vec<String>,
}

/// An SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Srv {
    priority: u16,
    weight: u16,
    port: u16,
    target: String,
}

/// Which server a feed is on, from one connection to the next.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The server of the last connection.
    current: Option<ServerUrl>,
    /// Whether the next connection should be to the same one.
    stay: bool,
    /// The servers that were found last: the DNS may be away while they are not.
    known: Vec<ServerUrl>,
    /// The controller that a kept state is of, by its name: before there was a connection it is the first.
    home: Option<String>,
}

impl Places {
    /// For a feed that goes on from this cookie.
    pub(super) fn resume(cookie: Option<&Cookie>) -> Self {
        Self { home: cookie.and_then(controller_of), ..Self::default() }
    }

    /// The next connection is to the same server, if it can be had: this one did nothing wrong.
    pub(super) fn stay(&mut self) {
        self.stay = true;
    }

    /// A connection was made, or failed in a way that another server would as well.
    pub(super) fn tried(&mut self, url: ServerUrl) {
        self.current = Some(url);
        self.stay = false;
    }

    /// The servers in the order in which they are to be tried: the last one first, or, when it was lost, last. Otherwise those that
    /// were better placed come first again only then.
    pub(super) async fn servers(&mut self, options: &LdapOptions) -> Result<Vec<ServerUrl>, LdapFailure> {
        match locate(options).await {
            Ok(located) => self.known = located.servers,
            Err(_) if !self.known.is_empty() => {}
            Err(failure) => return Err(failure),
        }
        Ok(self.order(self.known.clone()))
    }

    fn order(&self, mut servers: Vec<ServerUrl>) -> Vec<ServerUrl> {
        let is_home = |url: &ServerUrl| {
            let name = url.host();
            url.ip().is_none()
                && self.home.as_deref().is_some_and(|home| name.split('.').next().is_some_and(|first| first.eq_ignore_ascii_case(home)))
        };
        let is_current = |url: &ServerUrl| match &self.current {
            Some(current) => current.origin() == url.origin(),
            None => is_home(url),
        };
        if let Some(at) = servers.iter().position(is_current) {
            let current = servers.remove(at);
            servers.insert(if self.stay || self.current.is_none() { 0 } else { servers.len() }, current);
        }
        servers
    }
}

/// Active Directory's cookies name the controller that they are of in their second line, by its NTDS settings
/// (`CN=NTDS Settings,CN=DC1,CN=Servers,…`): at another one everything would have to be compared.
fn controller_of(cookie: &Cookie) -> Option<String> {
    let settings: Dn = std::str::from_utf8(&cookie.0).ok()?.lines().nth(1)?.parse().ok()?;
    let (first, above) = settings.rdns().split_first()?;
    (first.key() == "cn=ntds settings").then(|| above.first().map(Rdn::value))?
}

/// All servers of the options, with what was asked to find them.
pub(super) async fn locate(options: &LdapOptions) -> Result<Located, LdapFailure> {
    let mut located = Located::default();
    let mut failure = None;
    for url in options.places() {
        if url.has_host() {
            put(&mut located.servers, url.clone());
        } else {
            let found = by_dns(url, options, &mut located).await;
            failure = failure.or(found.err());
        }
    }
    match failure {
        // A fail-over by name is better than nothing.
        Some(failure) if located.servers.is_empty() => Err(failure),
        _ => Ok(located),
    }
}

fn put(servers: &mut Vec<ServerUrl>, url: ServerUrl) {
    if servers.len() < SERVERS_MAX && servers.iter().all(|known| known.origin() != url.origin()) {
        servers.push(url);
    }
}

async fn by_dns(url: &ServerUrl, options: &LdapOptions, located: &mut Located) -> Result<(), LdapFailure> {
    let domain = options.domain().ok_or_else(|| OptionsError::NoDomain(options.base().map(ToString::to_string).unwrap_or_default()))?;
    let dns = Dns::new(&options.locate, options.timers.connect)?;
    let mut random = StdRng::from_os_rng();
    let before = located.servers.len();
    let mut failure = None;
    for (name, is_active_directory) in names(&domain, options.locate.site.as_deref()) {
        // The last name is for other servers: on Active Directory it would add those of all sites once more.
        if !is_active_directory && located.servers.len() > before {
            break;
        }
        let begun = Instant::now();
        let found = dns.srv(&name).await;
        let told = match &found {
            Ok(records) => Ok(records.iter().map(ToString::to_string).collect()),
            Err(failure) => Err(failure.what()),
        };
        located.lookups.push(Lookup { name, found: told, took: begun.elapsed() });
        match found {
            Ok(records) => {
                for record in order(records, &mut random) {
                    if is_trusted(&record.target, &domain, &options.locate.domains) {
                        if let Ok(url) = url.at(&record.target, port(url.is_ldaps(), record.port)) {
                            put(&mut located.servers, url);
                        }
                    } else {
                        located.refused.push(record.target);
                    }
                }
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if located.servers.len() > before {
        return Ok(());
    }
    let refused = located.refused.first().map(|target| LdapFailure::Elsewhere { target: target.clone(), domain: domain.clone() });
    Err(failure.or(refused).unwrap_or(LdapFailure::NoServer { domain }))
}

/// The names to ask for, and whether a name is Active Directory's own.
fn names(domain: &str, site: Option<&str>) -> Vec<(String, bool)> {
    let site = site.map(|site| (format!("_ldap._tcp.{site}._sites.dc._msdcs.{domain}"), true));
    let others = [(format!("_ldap._tcp.dc._msdcs.{domain}"), true), (format!("_ldap._tcp.{domain}"), false)];
    site.into_iter().chain(others).collect()
}

/// Active Directory publishes 389 alone. Any other port is what somebody chose, and means it.
const fn port(is_ldaps: bool, published: u16) -> u16 {
    if is_ldaps && published == LDAP_PORT { LDAPS_PORT } else { published }
}

/// Whether a host that an unauthenticated answer names may be given what is for the domain's servers.
fn is_trusted(target: &str, domain: &str, others: &[String]) -> bool {
    let is_within = |domain: &str| {
        let domain = domain.trim_matches('.');
        let above = target.len().checked_sub(domain.len()).and_then(|at| Some((target.get(..at)?, target.get(at..)?)));
        above.is_some_and(|(rest, end)| end.eq_ignore_ascii_case(domain) && (rest.is_empty() || rest.ends_with('.')))
    };
    is_within(domain) || others.iter().any(|other| is_within(other))
}

/// RFC 2782: by priority, the lowest first; within one priority at random, the chance of each its share of the weights left, and
/// those of weight 0 with hardly a chance.
fn order(mut records: Vec<Srv>, random: &mut impl Rng) -> Vec<Srv> {
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let count = records.iter().take_while(|record| record.priority == priority).count();
        let total: u64 = records.iter().take(count).map(|record| u64::from(record.weight)).sum();
        let drawn = random.random_range(0..=total);
        let mut sum = 0;
        let at = records.iter().take(count).position(|record| {
            sum += u64::from(record.weight);
            sum >= drawn
        });
        ordered.push(records.remove(at.unwrap_or(0)));
    }
    ordered
}

impl std::fmt::Display for Srv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} priority {} weight {}", self.target, self.port, self.priority, self.weight)
    }
}

/// A resolver that can ask for SRV records.
struct Dns {
    resolver: TokioResolver,
    limit: Duration,
}

impl Dns {
    fn new(options: &LocateOptions, limit: Duration) -> Result<Self, LdapFailure> {
        let unusable = |error: NetError| LdapFailure::Dns { name: "/etc/resolv.conf".to_owned(), why: words(&error) };
        let mut builder = if options.nameservers.is_empty() {
            TokioResolver::builder_tokio().map_err(unusable)?
        } else {
            let servers = options.nameservers.iter().map(|address| {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                    connection.port = address.port();
                    connection
                });
                NameServerConfig::new(address.ip(), true, connections.to_vec())
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let resolver_options = builder.options_mut();
        // Half of it, so that a second name server is asked before we give up; an answer is wanted now, not one from before.
        resolver_options.timeout = limit / 4;
        resolver_options.attempts = 1;
        resolver_options.cache_size = 0;
        Ok(Self { resolver: builder.build().map_err(unusable)?, limit })
    }

    /// The records of a name; none when there is no such name.
    async fn srv(&self, name: &str) -> Result<Vec<Srv>, LdapFailure> {
        // With a dot at the end nothing of the search list is added.
        let found = match timeout(self.limit, self.resolver.srv_lookup(format!("{name}."))).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if error.is_no_records_found() => return Ok(Vec::new()),
            Ok(Err(error)) => return Err(LdapFailure::Dns { name: name.to_owned(), why: words(&error) }),
            Err(_) => return Err(LdapFailure::Timeout { step: "the question to the DNS", limit: self.limit }),
        };
        let records = found.answers().iter().filter_map(|record| match &record.data {
            // RFC 2782: a target of `.` says that there is no such service.
            RData::SRV(srv) if !srv.target.is_root() => Some(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
            }),
            _ => None,
        });
        Ok(records.collect())
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LdapFailure> {
        let failed = |why: String| LdapFailure::Resolve { host: host.to_owned(), source: std::io::Error::other(why) };
        match timeout(self.limit, self.resolver.lookup_ip(format!("{host}."))).await {
            Ok(found) => Ok(found.map_err(|error| failed(words(&error)))?.iter().collect()),
            Err(_) => Err(LdapFailure::Timeout { step: "the resolution of the host's name", limit: self.limit }),
        }
    }
}

fn words(error: &NetError) -> String {
    match error {
        NetError::Timeout | NetError::NoConnections => "the name server does not answer".to_owned(),
        error if error.is_nx_domain() => "there is no such name".to_owned(),
        error if error.is_no_records_found() => "the name has no address".to_owned(),
        error => error.to_string(),
    }
}

/// The addresses of a server, at least one.
pub(super) async fn addresses(options: &LdapOptions, url: &ServerUrl) -> Result<Vec<SocketAddr>, LdapFailure> {
    let (host, port, limit) = (url.host(), url.port(), options.timers.connect);
    if let Some(ip) = url.ip() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = if options.locate.nameservers.is_empty() || url.is_loopback() {
        // The system's resolver knows what the DNS does not: /etc/hosts, and whatever else nsswitch.conf names.
        let resolving = timeout(limit, lookup_host((host.as_str(), port))).await;
        let resolved = resolving.map_err(|_| LdapFailure::Timeout { step: "the resolution of the host's name", limit })?;
        resolved.map_err(|source| LdapFailure::Resolve { host: host.clone(), source })?.collect()
    } else {
        let found = Dns::new(&options.locate, limit)?.addresses(&host).await?;
        found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect::<Vec<_>>()
    };
    if found.is_empty() {
        let source = std::io::Error::other("the name has no address");
        return Err(LdapFailure::Resolve { host, source });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 389, target: target.to_owned() }
    }

    fn urls(texts: &[&str]) -> Vec<ServerUrl> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_site_comes_first() {
        let asked = |site| names("corp.example", site).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(
            asked(Some("Berlin")),
            ["_ldap._tcp.Berlin._sites.dc._msdcs.corp.example", "_ldap._tcp.dc._msdcs.corp.example", "_ldap._tcp.corp.example"]
        );
        assert_eq!(asked(None), ["_ldap._tcp.dc._msdcs.corp.example", "_ldap._tcp.corp.example"]);
        assert_eq!([port(true, 389), port(true, 3636), port(false, 389), port(false, 3890)], [636, 3636, 389, 3890]);
    }

    #[test]
    fn weights() {
        let records = [srv(10, 0, "idle"), srv(10, 30, "big"), srv(10, 10, "small"), srv(5, 0, "first"), srv(20, 5, "last")];
        let mut random = StdRng::seed_from_u64(7);
        let mut second = std::collections::BTreeMap::<String, u32>::new();
        for _ in 0..4_000 {
            let ordered = order(records.to_vec(), &mut random);
            let targets: Vec<&str> = ordered.iter().map(|record| record.target.as_str()).collect();
            assert_eq!((targets[0], targets[4], targets.len()), ("first", "last", 5));
            *second.entry(targets[1].to_owned()).or_default() += 1;
        }
        // 3 : 1, and the one of weight 0 hardly ever: 1 in 41.
        assert!((2_700..3_100).contains(&second["big"]) && (850..1_100).contains(&second["small"]), "{second:?}");
        assert!((40..200).contains(&second["idle"]), "{second:?}");
    }

    #[test]
    fn only_hosts_of_the_domain_are_trusted() {
        let others = ["other.example".to_owned()];
        for (target, expect) in [
            ("dc1.corp.example", true),
            ("dc1.BER.corp.example", true),
            ("corp.example", true),
            ("dc1.other.example", true),
            ("evilcorp.example", false),
            ("corp.example.evil.example", false),
            ("example", false),
            ("", false),
        ] {
            assert_eq!(is_trusted(target, "corp.example", &others), expect, "{target}");
        }
    }

    #[test]
    fn a_lost_server_is_tried_last() {
        let mut places = Places::default();
        let list = urls(&["ldaps://a", "ldaps://b", "ldaps://c"]);
        let order = |places: &Places| places.order(list.clone()).iter().map(ServerUrl::host).collect::<String>();
        assert_eq!(order(&places), "abc");
        places.tried(list[0].clone());
        assert_eq!(order(&places), "bca");
        // Better-placed ones come first again once the current one fails.
        places.tried(list[1].clone());
        assert_eq!(order(&places), "acb");
        places.stay();
        assert_eq!(order(&places), "bac");
        // A state that was kept is of one controller.
        let cookie = |service: &str| Cookie(format!("ad 1 0123\n{service}\n…").into_bytes());
        let of = |service: &str| order(&Places::resume(Some(&cookie(service))));
        assert_eq!(of("CN=NTDS Settings,CN=C,CN=Servers,CN=Berlin,CN=Sites,CN=Configuration,DC=x"), "cab");
        assert_eq!(of("CN=NTDS Settings,CN=D,CN=Servers,CN=Berlin,CN=Sites,CN=Configuration,DC=x"), "abc");
        assert_eq!((of("nonsense"), of("CN=C,DC=x")), ("abc".to_owned(), "abc".to_owned()));
    }
}
