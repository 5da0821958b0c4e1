//! Random changes, on a line that is cut and a server that crashes: at the end the store is what a fresh list gives.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and says its seed before")]

mod common {
    pub(crate) mod ds389;
    pub(crate) mod mirror;
    pub(crate) mod proxy;
    pub(crate) mod slapd;
    pub(crate) mod watcher;
}

use std::net::SocketAddr;
use std::time::Duration;

use common::ds389::{self, Ds389};
use common::mirror::{Mirror, fresh, shown};
use common::proxy::Proxy;
use common::slapd::{self, Slapd};
use dialcast::directory::{Bind, Dialect, LdapOptions, Source};
use dialcast::model::Secret;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

const TOP: &str = "dc=corp,dc=example";
const MARK: &str = "ou=mark,dc=corp,dc=example";

/// What is there, by name, as far as the changes need it.
struct World {
    random: StdRng,
    units: Vec<String>,
    users: Vec<String>,
    count: usize,
}

impl World {
    fn pick(&mut self, names: &[String]) -> Option<String> {
        names.choose(&mut self.random).cloned()
    }

    /// A unit's or the top's name.
    fn place(&mut self) -> String {
        let mut places = self.units.clone();
        places.push(TOP.to_owned());
        self.pick(&places).unwrap()
    }

    /// One change, as a record for ldapmodify.
    fn change(&mut self) -> String {
        self.count += 1;
        let n = self.count;
        let user = self.pick(&self.users.clone());
        match (self.random.random_range(0..10), user) {
            (0 | 1, _) => {
                let dn = format!("ou=o{n},{}", self.place());
                self.units.push(dn.clone());
                format!("dn: {dn}\nchangetype: add\nobjectClass: organizationalUnit\nou: o{n}\n\n")
            }
            (2, _) if self.units.len() > 2 => {
                let dn = self.pick(&self.units.clone()).unwrap();
                let above = self.place();
                // Not below itself.
                let above = if above == dn || above.ends_with(&format!(",{dn}")) { TOP.to_owned() } else { above };
                let new = format!("ou=o{n},{above}");
                for name in self.units.iter_mut().chain(&mut self.users) {
                    if *name == dn || name.ends_with(&format!(",{dn}")) {
                        *name = format!("{}{new}", name.strip_suffix(&dn).unwrap());
                    }
                }
                moved(&dn, &format!("ou=o{n}"), &above)
            }
            (3 | 4, Some(user)) => {
                let above = self.place();
                self.users.retain(|name| *name != user);
                self.users.push(format!("uid=u{n},{above}"));
                moved(&user, &format!("uid=u{n}"), &above)
            }
            (5, Some(user)) => {
                self.users.retain(|name| *name != user);
                format!("dn: {user}\nchangetype: delete\n\n")
            }
            (6 | 7, Some(user)) => format!("dn: {user}\nchangetype: modify\nreplace: mail\nmail: m{n}@corp.example\n-\n\n"),
            _ => {
                let dn = format!("uid=u{n},{}", self.place());
                self.users.push(dn.clone());
                format!("dn: {dn}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: u{n}\ncn: {n}\nsn: {n}\n\n")
            }
        }
    }
}

fn moved(dn: &str, rdn: &str, above: &str) -> String {
    format!("dn: {dn}\nchangetype: modrdn\nnewrdn: {rdn}\ndeleteoldrdn: 1\nnewsuperior: {above}\n\n")
}

/// What the changes are made on.
trait Server {
    fn modify(&self, records: &str);
    /// Crashes, and starts again.
    fn crash(&mut self);
    fn address(&self) -> SocketAddr;
}

impl Server for Slapd {
    fn modify(&self, records: &str) {
        Self::modify(self, records);
    }
    fn crash(&mut self) {
        self.kill();
        self.restart();
    }
    fn address(&self) -> SocketAddr {
        Self::address(self)
    }
}

impl Server for Ds389 {
    fn modify(&self, records: &str) {
        Self::modify(self, records);
    }
    fn crash(&mut self) {
        self.kill();
        self.start_again();
    }
    fn address(&self) -> SocketAddr {
        Self::address(self)
    }
}

fn source(address: SocketAddr, dialect: Option<Dialect>) -> Source {
    let mut options = LdapOptions::new(format!("ldap://{address}/{TOP}").parse().unwrap());
    options.dialect = dialect;
    options.bind = Bind::Simple { dn: "cn=reader,dc=corp,dc=example".to_owned(), password: Secret::new("secret12") };
    options.attributes.push("description".to_owned());
    options.timers.backoff_max = Duration::from_millis(50);
    options.timers.ping_interval = Duration::from_millis(100);
    options.timers.poll_every = Duration::from_millis(20);
    options.timers.poll_overlap = Duration::from_secs(2);
    if matches!(dialect, Some(Dialect::Poll | Dialect::PersistentSearch)) {
        // Deletions, and all else that these do not see, are found by it.
        options.timers.compare_every = Some(Duration::from_millis(200));
    }
    Source::Ldap(options)
}

async fn run(mut server: impl Server, seed: u64, rounds: usize, dialect: Option<Dialect>) {
    println!("seed {seed}");
    server.modify(&format!("dn: {MARK}\nchangetype: add\nobjectClass: organizationalUnit\nou: mark\n"));
    let mut proxy = Proxy::to(server.address()).await;
    let mut mirror = Mirror::start(source(proxy.address(), dialect));
    let mut world = World { random: StdRng::seed_from_u64(seed), units: Vec::new(), users: Vec::new(), count: 0 };
    let mut cut = false;
    for round in 0..rounds {
        let changes: String = (0..world.random.random_range(1..12)).map(|_| world.change()).collect();
        server.modify(&changes);
        match world.random.random_range(0..8) {
            0 | 1 if !cut => {
                proxy.cut();
                cut = true;
            }
            2 | 3 if cut => {
                proxy.mend().await;
                cut = false;
            }
            4 => server.crash(),
            // A new process of ours, with the state and the cookie of the old one.
            5 => mirror.restart(source(proxy.address(), dialect)),
            _ => {}
        }
        if cut && round % 4 != 3 {
            continue;
        }
        if std::mem::take(&mut cut) {
            proxy.mend().await;
        }
        server.modify(&format!("dn: {MARK}\nchangetype: modify\nreplace: description\ndescription: {round}\n"));
        mirror.until_value(MARK, "description", &round.to_string()).await;
        let there = source(server.address(), None);
        // Syncrepl tells the mark behind all else. The others read again what changed, and the mark may be read before the rest.
        if dialect.is_none() {
            assert_eq!(shown(&mirror.store), fresh(there).await, "seed {seed}, round {round}");
        } else {
            mirror.until_fresh(there).await;
        }
    }
}

/// The number in `SEED`, or the first few.
fn seeds(count: u64) -> std::ops::RangeInclusive<u64> {
    let first = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    first.map_or(1..=count, |seed| seed..=seed)
}

fn slapd() -> Slapd {
    Slapd::start(&slapd::BASE.replace("userPassword: secret", "userPassword: secret12"))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_invented() {
    for seed in seeds(6) {
        run(slapd(), seed, 12, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_by_polling() {
    for seed in seeds(3) {
        run(slapd(), seed, 12, Some(Dialect::Poll)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_with_389() {
    for seed in seeds(2) {
        run(Ds389::start(ds389::BASE), seed, 16, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_by_persistent_search() {
    for seed in seeds(2) {
        run(Ds389::start(ds389::BASE), seed, 16, Some(Dialect::PersistentSearch)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_by_the_changelog_of_389() {
    for seed in seeds(3) {
        let ds = Ds389::start(ds389::BASE);
        ds.modify(ds389::READ_RECORDS);
        run(ds, seed, 16, Some(Dialect::Changelog389)).await;
    }
}
