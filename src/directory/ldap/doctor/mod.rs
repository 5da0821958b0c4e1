//! Looks at each server as an operator would: every step of the way to it, what the account may and may not do, how fast it is.
//!
//! Nothing is written, not even to see whether it could be.

mod certificate;
mod descriptor;
mod excess;
mod rights;
mod time;

use std::time::{Duration, Instant, SystemTime};

use ldap3::Scope;

use super::connect::{self, Asking, RootDse};
use super::dialect::Dialect;
use super::failure::LdapFailure;
use super::locate::{self, Located};
use super::tls::Shown;
use super::wire::Wire;
use crate::directory::examine::{Examined, Wants};
use crate::directory::{Bind, LdapOptions, ServerUrl};
use crate::model::{Attributes, Dn};

/// How often the root DSE is read to see how fast the server answers.
const READS: usize = 9;
/// A feed lives with much slower answers, but somebody should know.
const SLOW: Duration = Duration::from_millis(200);

/// Controls that a feed can use, and what for.
const CONTROLS: &[(&str, &str)] = &[
    ("1.3.6.1.4.1.4203.1.9.1.1", "content synchronization"),
    ("2.16.840.1.113730.3.4.3", "persistent search"),
    ("1.2.840.113556.1.4.528", "change notification"),
    ("1.2.840.113556.1.4.841", "DirSync"),
    ("1.2.840.113556.1.4.417", "deleted objects"),
    ("1.2.840.113556.1.4.319", "pages"),
];

/// All findings: of how servers are found, of each server, and of all together.
pub(in crate::directory) async fn examine(options: &LdapOptions, wants: &Wants) -> Vec<Examined> {
    let mut general = Examined::at(options.url.to_string());
    if let Err(error) = options.check() {
        general.fail("login", error.to_string(), error.remedy());
        return vec![general];
    }
    let located = match locate::locate(options).await {
        Ok(located) => located,
        Err(failure) => {
            general.fail("dns", failure.what(), failure.remedy());
            return vec![general];
        }
    };
    dns(&mut general, &located);
    advice(&mut general, options, &located);
    let mut all = Vec::new();
    for server in &located.servers {
        let mut found = Examined::at(server.origin());
        if let Err(failure) = Patient::examine(&mut found, options, server, wants).await {
            found.fail("server", failure.what(), failure.remedy());
        }
        all.push(found);
    }
    if !general.findings.is_empty() {
        all.insert(0, general);
    }
    all
}

fn dns(found: &mut Examined, located: &Located) {
    for lookup in &located.lookups {
        match &lookup.found {
            Ok(records) if records.is_empty() => {
                found.note("dns", format!("{} has no SRV records", lookup.name), "none is needed if others have");
            }
            Ok(records) => found.ok("dns", format!("{}: {}", lookup.name, records.join(", "))),
            Err(why) => found.warn("dns", why.clone(), "check the name servers in /etc/resolv.conf, or set directory.nameservers"),
        }
        found.took(lookup.took);
    }
    for host in &located.refused {
        found.warn(
            "dns",
            format!("{host} is named as a server, and is not in the base DN's domain: it is not used"),
            "if it is yours, add its domain to directory.server_domains",
        );
    }
}

/// What could be better, whatever the servers say.
fn advice(found: &mut Examined, options: &LdapOptions, located: &Located) {
    if located.servers.len() == 1 {
        found.note(
            "advice",
            "there is one server: while it is away, phones keep what they have",
            "name others in directory.failover, or leave the host out of directory.url to find them by DNS",
        );
    }
    if !options.has_tls() && located.servers.iter().any(|server| !server.is_loopback()) {
        found.warn(
            "advice",
            "the connection has no TLS: whoever is on the way can read it, and change what phones are told",
            "use ldaps://, or set directory.starttls = true",
        );
    }
    if matches!(options.bind, Bind::Anonymous) {
        found.note(
            "advice",
            "the login is anonymous: everybody may read what Dialcast reads",
            "give Dialcast an account: directory.bind_dn",
        );
    }
}

/// A server that has answered so far.
struct Patient<'a> {
    options: &'a LdapOptions,
    wants: &'a Wants,
    wire: Wire,
    dse: RootDse,
    dialect: Dialect,
    base: Dn,
    context: Option<Dn>,
    /// Who the server takes us for; empty when it does not say.
    me: String,
}

impl<'a> Patient<'a> {
    async fn examine(found: &mut Examined, options: &'a LdapOptions, server: &ServerUrl, wants: &'a Wants) -> Result<(), LdapFailure> {
        let Some(mut wire) = approach(found, options, server).await else { return Ok(()) };
        let limit = options.timers.connect;
        let begun = Instant::now();
        let dse = RootDse::read(&mut wire, limit).await?;
        let took = begun.elapsed();
        let before_s = now_s();
        describe(found, &dse);
        found.took(took);
        let me = connect::who_am_i(&mut wire, limit).await.unwrap_or_default();
        let (dialect, why) = Dialect::choose(&dse, options.dialect);
        let (base, context) = dse.base(options)?;
        found.ok("dialect", format!("{dialect}: {why}"));
        let mut patient = Self { options, wants, wire, dse, dialect, base, context, me };
        patient.clock(found, before_s).await?;
        patient.latency(found).await?;
        patient.rights(found).await?;
        patient.excess(found).await?;
        // Last: a long list may still be coming when it is left.
        patient.limits(found).await
    }

    /// An ordinary search; none of its entries when the account may not do it.
    async fn ask(&mut self, query: (&str, Scope, &str), asking: Asking<'_>) -> Result<Vec<(String, Attributes)>, LdapFailure> {
        let limit = self.options.timers.connect;
        let found = match connect::search_with(&mut self.wire, limit, "a search", query, asking).await {
            // RFC 4511 §4.1.9: there is no such thing, or we may not know; and unknown attribute types or controls.
            Err(LdapFailure::Search { code: 10 | 12 | 16..=18 | 32 | 50, .. }) => Vec::new(),
            found => found?,
        };
        Ok(found.into_iter().map(|(name, attributes)| (String::from_utf8_lossy(&name).into_owned(), attributes)).collect())
    }

    async fn clock(&mut self, found: &mut Examined, at_s: i64) -> Result<(), LdapFailure> {
        let is_kerberos = matches!(self.options.bind, Bind::Kerberos { .. });
        let mut theirs = self.dse.texts("currentTime").next().and_then(time::seconds_of).map(|theirs| (theirs, at_s));
        // 389 Directory Server and OpenLDAP, the latter where its database of statistics may be read.
        for (dn, name) in [("cn=monitor", "currenttime"), ("cn=Current,cn=Time,cn=Monitor", "monitorTimestamp")] {
            if theirs.is_some() {
                break;
            }
            let query = (dn, Scope::Base, "(objectClass=*)");
            let entries = self.ask(query, Asking { attributes: &[name], ..Asking::default() }).await?;
            let value = entries.iter().find_map(|(_, attributes)| attributes.text(name).and_then(time::seconds_of));
            theirs = value.map(|theirs| (theirs, now_s()));
        }
        match theirs {
            Some((theirs_s, ours_s)) => time::tell(found, theirs_s, ours_s, is_kerberos),
            None => found.note("clock", "the server does not tell its time", "compare it by hand: `date -u` on both machines"),
        }
        Ok(())
    }

    async fn latency(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        let mut times = Vec::with_capacity(READS);
        for _ in 0..READS {
            let begun = Instant::now();
            let _ = self.ask(("", Scope::Base, "(objectClass=*)"), Asking { attributes: &["1.1"], ..Asking::default() }).await?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        let (middle, most) = (times.get(READS / 2).copied().unwrap_or_default(), times.last().copied().unwrap_or_default());
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let what = format!("an answer takes {:.1} ms, {:.1} ms at most ({READS} reads of the root DSE)", ms(middle), ms(most));
        if middle > SLOW {
            found.warn("latency", what, "put a nearer server first: directory.site, or the order of directory.failover");
        } else {
            found.ok("latency", what);
        }
        Ok(())
    }
}

/// Every step up to a connection that is bound; nothing when one of them failed.
async fn approach(found: &mut Examined, options: &LdapOptions, server: &ServerUrl) -> Option<Wire> {
    let begun = Instant::now();
    let addresses = keep(found, "address", locate::addresses(options, server).await)?;
    let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    found.ok("address", format!("{} is {}", server.host(), shown.join(", ")));
    found.took(begun.elapsed());

    let begun = Instant::now();
    let (stream, peer) = keep(found, "tcp", connect::dial(options, &addresses).await)?;
    found.ok("tcp", format!("{peer} takes connections"));
    found.took(begun.elapsed());

    let begun = Instant::now();
    let shown = Shown::default();
    let opened = connect::open(options, server, stream, &shown).await;
    let took = begun.elapsed();
    let seen = shown.seen();
    if options.has_tls() {
        let trusted =
            options.tls.ca_file.as_ref().map_or_else(|| "this system's authorities".to_owned(), |path| path.display().to_string());
        if opened.is_ok() {
            found.ok("tls", format!("TLS {}, and the certificate is good for {}", seen.version.unwrap_or("1.2 or later"), server.host()));
            found.took(took);
        }
        if !seen.chain.is_empty() {
            let trusted = if opened.is_ok() { trusted } else { format!("nobody in {trusted}, or not for this host") };
            certificate::tell(found, &seen.chain, now_s(), &trusted);
        }
    } else if server.is_loopback() {
        found.ok("tls", "no TLS, on the loopback");
    }
    let wire = keep(found, "tls", opened)?;

    let begun = Instant::now();
    let wire = keep(found, "login", connect::bind(options, server, wire).await)?;
    let took = begun.elapsed();
    let who = match &options.bind {
        Bind::Anonymous => "anonymous",
        Bind::External => "by client certificate",
        Bind::Simple { dn, .. } | Bind::SimpleFile { dn, .. } => dn,
        Bind::Kerberos { principal, .. } => principal.as_deref().unwrap_or("by Kerberos, as the keytab's principal"),
    };
    found.ok("login", who);
    found.took(took);
    Some(wire)
}

fn keep<T>(found: &mut Examined, step: &'static str, result: Result<T, LdapFailure>) -> Option<T> {
    result.map_err(|failure| found.fail(step, failure.what(), failure.remedy())).ok()
}

fn describe(found: &mut Examined, dse: &RootDse) {
    let contexts: Vec<&str> = dse.texts("namingContexts").collect();
    let controls: Vec<&str> = CONTROLS.iter().filter(|(oid, _)| dse.has_control(oid)).map(|(_, name)| *name).collect();
    let controls = if controls.is_empty() { "none that Dialcast knows".to_owned() } else { controls.join(", ") };
    found.ok("server", format!("{}; naming contexts: {}; controls: {controls}", dse.server(), contexts.join(" ")));
}

/// This machine's clock, in seconds since 1970.
fn now_s() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
