//! A connection whose other side is gone without a word: packets are dropped in a network of the server's own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod ds389;
    pub(crate) mod mirror;
    pub(crate) mod namespace;
    pub(crate) mod samba;
    pub(crate) mod slapd;
    pub(crate) mod watcher;
}

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::ds389::{self, Ds389};
use common::mirror::Mirror;
use common::namespace::Namespace;
use common::samba::Samba;
use common::slapd::{self, Setup};
use dialcast::directory::{Bind, Dialect, LdapOptions, Source};
use dialcast::model::Secret;

const UNIT: &str = "ou=a,dc=corp,dc=example";

fn source(address: SocketAddr, dialect: Option<Dialect>) -> Source {
    source_as(("cn=reader,dc=corp,dc=example", "secret12"), address, dialect)
}

fn source_as((account, password): (&str, &str), address: SocketAddr, dialect: Option<Dialect>) -> Source {
    let mut options = LdapOptions::new(format!("ldap://{address}/dc=corp,dc=example").parse().unwrap());
    options.bind = Bind::Simple { dn: account.to_owned(), password: Secret::new(password) };
    options.tls.allow_cleartext_password = true;
    options.dialect = dialect;
    options.attributes.push("description".to_owned());
    options.timers.connect = Duration::from_millis(500);
    options.timers.backoff_max = Duration::from_millis(100);
    options.timers.ping_interval = Duration::from_millis(200);
    options.timers.ping_timeout = Duration::from_millis(400);
    Source::Ldap(options)
}

fn described(text: &str) -> String {
    format!("dn: {UNIT}\nchangetype: modify\nreplace: description\ndescription: {text}\n")
}

fn unit() -> String {
    format!("dn: {UNIT}\nchangetype: add\nobjectClass: organizationalUnit\nou: a\n")
}

/// Packets are dropped, changes are made, packets pass again.
async fn lost_and_found(network: &Namespace, source: impl Fn(Option<Dialect>) -> Source, dialect: Option<Dialect>, modify: impl Fn(&str)) {
    modify(&unit());
    let mut mirror = Mirror::start(source(dialect));
    mirror.until_told("done").await;
    modify(&described("before"));
    mirror.until_value(UNIT, "description", "before").await;
    network.drop_packets(true);
    let begun = Instant::now();
    modify(&described("unheard"));
    let why = mirror.until_told("down").await;
    assert!(["has not answered", "closed", "longer than"].iter().any(|word| why.contains(word)), "{why}");
    // 200 ms without a sign of life, 400 ms more for an answer; the rest is for a machine that does much else.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // No try in between takes an answer that does not come for an empty directory.
    mirror.until_told("down").await;
    assert!(mirror.has(UNIT));
    network.drop_packets(false);
    mirror.until_value(UNIT, "description", "unheard").await;
    mirror.until_fresh(source(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openldap() {
    let network = Arc::new(Namespace::new());
    let inside = Arc::clone(&network);
    let setup = Setup::new(slapd::BASE.replace("userPassword: secret", "userPassword: secret12"));
    let slapd = setup.network(move |program| inside.command(program), network.address()).start();
    lost_and_found(&network, |dialect| source(slapd.address(), dialect), None, |records| slapd.modify(records)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openldap_by_polling() {
    let network = Arc::new(Namespace::new());
    let inside = Arc::clone(&network);
    let setup = Setup::new(slapd::BASE.replace("userPassword: secret", "userPassword: secret12"));
    let slapd = setup.network(move |program| inside.command(program), network.address()).start();
    lost_and_found(&network, |dialect| source(slapd.address(), dialect), Some(Dialect::Poll), |records| slapd.modify(records)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ds389() {
    let network = Arc::new(Namespace::new());
    let inside = Arc::clone(&network);
    let mut ds = Ds389::prepared();
    ds.network(move |program| inside.command(program), network.address());
    ds.start_again();
    ds.add(ds389::BASE);
    ds.modify(&format!("dn: {}\nchangetype: modify\nadd: aci\naci: {}\n", Ds389::SUFFIX, ds389::READ_ALL));
    lost_and_found(&network, |dialect| source(ds.address(), dialect), None, |records| ds.modify(records)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samba() {
    let network = Arc::new(Namespace::new());
    let inside = Arc::clone(&network);
    let samba = Samba::inside(move |program| inside.command(program), network.address());
    let account = (Samba::READER, Samba::PASSWORD);
    lost_and_found(&network, |dialect| source_as(account, samba.address(), dialect), None, |records| samba.modify(records)).await;
}
