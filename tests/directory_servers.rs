//! Which server a feed goes to: by name, by a list, by the DNS; and what it does when one is lost.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod dns;
    pub(crate) mod proxy;
    pub(crate) mod slapd;
    pub(crate) mod tls;
    pub(crate) mod watcher;
}

use std::time::Duration;

use common::dns::Dns;
use common::proxy::Proxy;
use common::slapd::{BASE, Setup, Slapd, free_port};
use common::tls::Authority;
use common::watcher::Watcher;
use dialcast::directory::{Bind, DirectoryError, Event, LdapOptions, SecretFile, Source, read};
use dialcast::model::Secret;

const SITE: &str = "_ldap._tcp.berlin._sites.dc._msdcs.corp.example";
const CONTROLLERS: &str = "_ldap._tcp.dc._msdcs.corp.example";
const PLAIN: &str = "_ldap._tcp.corp.example";

fn options(url: &str) -> LdapOptions {
    let mut options = LdapOptions::new(url.parse().unwrap());
    options.timers.connect = Duration::from_secs(2);
    options.timers.backoff_max = Duration::from_millis(200);
    options
}

fn by_dns(dns: &Dns) -> LdapOptions {
    let mut options = options("ldap:///dc=corp,dc=example");
    options.locate.nameservers = vec![dns.address()];
    options
}

/// What an operator reads.
async fn refused(options: LdapOptions) -> String {
    match read(Source::Ldap(options)).await {
        Err(DirectoryError::Ldap { failure, .. }) => failure.explain(),
        other => panic!("{other:?}"),
    }
}

/// Waits until the feed tells of an entry, in a refresh or live.
async fn seen(feed: &mut Watcher, dn: &str) {
    let dn = dn.parse().unwrap();
    loop {
        if let Event::Apply(entry) | Event::InitApply(entry) = feed.event().await
            && entry.dn == dn
        {
            return;
        }
    }
}

fn entry(n: u32) -> String {
    format!("dn: ou=o{n},dc=corp,dc=example\nobjectClass: organizationalUnit\nou: o{n}\n")
}

/// A feed that loses its server goes to the next without losing a change, and goes back only when that one is lost too.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_server_is_left_for_the_next() {
    let slapd = Slapd::start(BASE);
    let (mut near, mut far) = (Proxy::to(slapd.address()).await, Proxy::to(slapd.address()).await);
    let dns = Dns::start();
    let (near_port, far_port) = (near.address().port(), far.address().port());
    dns.srv(SITE, &[(0, 100, near_port, "near.corp.example")]);
    // The better priority of the domain's list does not count against the site.
    dns.srv(CONTROLLERS, &[(0, 100, far_port, "far.ber.corp.example"), (10, 100, near_port, "near.corp.example")]);
    dns.address_of("near.corp.example", "127.0.0.1");
    dns.address_of("far.ber.corp.example", "127.0.0.1");

    let mut options = by_dns(&dns);
    options.locate.site = Some("Berlin".to_owned());
    let mut feed = Watcher::start(Source::Ldap(options), None);
    let at_near = format!("ldap://near.corp.example:{near_port}");
    let at_far = format!("ldap://far.ber.corp.example:{far_port}");
    assert!(feed.up().await.contains(&at_near));
    feed.refresh().await;
    // The plain name is of other servers than Active Directory, and was not needed.
    let asked: Vec<String> = dns.asked().into_iter().filter(|name| name.starts_with('_')).collect();
    assert_eq!(asked, [SITE, CONTROLLERS]);

    near.cut();
    slapd.add(&entry(1));
    assert!(feed.up().await.contains(&at_far));
    seen(&mut feed, "ou=o1,dc=corp,dc=example").await;

    near.mend().await;
    slapd.add(&entry(2));
    seen(&mut feed, "ou=o2,dc=corp,dc=example").await;
    let before = near.forwarded();
    far.cut();
    slapd.add(&entry(3));
    assert!(feed.up().await.contains(&at_near));
    seen(&mut feed, "ou=o3,dc=corp,dc=example").await;
    assert!(near.forwarded() > before);
}

/// RFC 2782: the lowest priority first; whoever does not answer is passed over, and that is told.
#[tokio::test(flavor = "multi_thread")]
async fn other_servers_are_found_by_priority() {
    let slapd = Slapd::start(BASE);
    let dns = Dns::start();
    let port = slapd.address().port();
    let dead = free_port();
    dns.srv(PLAIN, &[(20, 0, dead, "last.corp.example"), (5, 0, dead, "first.corp.example"), (10, 7, port, "second.corp.example")]);
    for host in ["last.corp.example", "first.corp.example", "second.corp.example"] {
        dns.address_of(host, "127.0.0.1");
    }
    let mut feed = Watcher::start(Source::Ldap(by_dns(&dns)), None);
    assert!(feed.up().await.contains(&format!("ldap://second.corp.example:{port}")));
    feed.refresh().await;
    while feed.faults.is_empty() {
        feed.next().await;
    }
    let fault = &feed.faults[0];
    assert_eq!((fault.code, feed.faults.len()), ("ldap.failover", 1));
    let told = fault.to_string();
    assert!(
        told.starts_with(&format!("ldap://first.corp.example:{dead}: another server is used: cannot connect to 127.0.0.1:{dead}: ")),
        "{told}"
    );
    let asked: Vec<String> = dns.asked().into_iter().filter(|name| name.starts_with('_')).collect();
    assert_eq!(asked, [CONTROLLERS, PLAIN]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_dns_says_is_not_believed_blindly() {
    let slapd = Slapd::start(BASE);
    let dns = Dns::start();
    let nobody = refused(by_dns(&dns)).await;
    assert!(nobody.starts_with("the DNS names no directory server of corp.example; check the base DN"), "{nobody}");

    // `.` is for "there is none" (RFC 2782).
    dns.srv(PLAIN, &[(0, 0, 0, "")]);
    assert!(refused(by_dns(&dns)).await.starts_with("the DNS names no directory server"));

    dns.srv(PLAIN, &[(0, 0, slapd.address().port(), "ldap.evilcorp.example")]);
    dns.address_of("ldap.evilcorp.example", "127.0.0.1");
    let elsewhere = refused(by_dns(&dns)).await;
    assert!(elsewhere.starts_with("the DNS names ldap.evilcorp.example as a directory server of corp.example, in which it is not; "));
    let mut allowed = by_dns(&dns);
    allowed.locate.domains = vec!["evilcorp.example".to_owned()];
    assert_eq!(read(Source::Ldap(allowed)).await.unwrap().0.len(), 4);

    // No answer for the first name is no end; no answer at all is one.
    dns.silence(CONTROLLERS);
    let mut patient = by_dns(&dns);
    patient.locate.domains = vec!["evilcorp.example".to_owned()];
    assert_eq!(read(Source::Ldap(patient)).await.unwrap().0.len(), 4);
    dns.silence(PLAIN);
    let silent = refused(by_dns(&dns)).await;
    assert!(silent.contains(CONTROLLERS) && silent.contains("directory.nameservers"), "{silent}");
}

/// The certificate has to be of the host that was found, whatever the DNS says of its address.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_found_by_dns_has_to_prove_its_name() {
    let authority = Authority::new();
    let slapd = Setup::new(BASE).tls(&authority.certify("DNS:dc1.corp.example")).start();
    let dns = Dns::start();
    let port: u16 = slapd.ldaps_url().rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    for host in ["dc1.corp.example", "dc2.corp.example"] {
        dns.address_of(host, "127.0.0.1");
    }
    let options = || {
        let mut options = options("ldaps:///dc=corp,dc=example");
        options.locate.nameservers = vec![dns.address()];
        options.tls.ca_file = Some(authority.file());
        options
    };
    dns.srv(CONTROLLERS, &[(0, 0, port, "DC1.corp.example")]);
    assert_eq!(read(Source::Ldap(options())).await.unwrap().0.len(), 4);
    dns.srv(CONTROLLERS, &[(0, 0, port, "dc2.corp.example")]);
    let why = refused(options()).await;
    assert!(why.starts_with("the server's certificate is not accepted: ") && why.contains("dc2.corp.example"), "{why}");
    // And the next one, that can, is used.
    dns.srv(CONTROLLERS, &[(0, 0, port, "dc2.corp.example"), (1, 0, port, "dc1.corp.example")]);
    assert_eq!(read(Source::Ldap(options())).await.unwrap().0.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_servers() {
    let slapd = Slapd::start(BASE);
    let dead = free_port();
    let mut several = options(&format!("ldap://127.0.0.1:{dead}/dc=corp,dc=example"));
    several.failover = vec![format!("ldap://127.0.0.2:{dead}").parse().unwrap(), format!("ldap://{}", slapd.address()).parse().unwrap()];
    assert_eq!(read(Source::Ldap(several.clone())).await.unwrap().0.len(), 4);
    several.failover.pop();
    let why = refused(several).await;
    assert!(why.starts_with(&format!("none of the 2 servers can be used: ldap://127.0.0.1:{dead}: cannot connect to")), "{why}");
    assert!(why.contains(&format!("; ldap://127.0.0.2:{dead}: cannot connect to")), "{why}");
}

/// A wrong password is one failed login, and not one per server: else a list of servers locks the account.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_at_one_server() {
    let slapd = Slapd::start(BASE);
    let (first, second) = (Proxy::to(slapd.address()).await, Proxy::to(slapd.address()).await);
    let mut options = options(&format!("ldap://{}/dc=corp,dc=example", first.address()));
    options.failover = vec![format!("ldap://{}", second.address()).parse().unwrap()];
    options.bind = Bind::Simple { dn: Slapd::READER.to_owned(), password: Secret::new("wrong") };
    let why = refused(options).await;
    assert!(why.contains("invalidCredentials (49)") && why.contains("directory.password_file"), "{why}");
    assert!(first.forwarded() > 0 && second.forwarded() == 0);
}

/// A new password needs no restart.
#[tokio::test(flavor = "multi_thread")]
async fn the_password_is_read_at_each_connection() {
    let slapd = Slapd::start(BASE);
    let mut proxy = Proxy::to(slapd.address()).await;
    let file = slapd.dir().join("password");
    std::fs::write(&file, "secret\n").unwrap();
    let mut options = options(&format!("ldap://{}/dc=corp,dc=example", proxy.address()));
    options.bind = Bind::SimpleFile { dn: Slapd::READER.to_owned(), password: SecretFile::new(&file) };
    let mut feed = Watcher::start(Source::Ldap(options), None);
    feed.refresh().await;

    proxy.cut();
    slapd.modify(&format!("dn: {}\nchangetype: modify\nreplace: userPassword\nuserPassword: other\n", Slapd::READER));
    proxy.mend().await;
    loop {
        let why = feed.down().await;
        if why.contains("invalidCredentials (49)") {
            break;
        }
    }
    std::fs::write(&file, "other\n").unwrap();
    feed.up().await;
    slapd.add(&entry(1));
    seen(&mut feed, "ou=o1,dc=corp,dc=example").await;
}
