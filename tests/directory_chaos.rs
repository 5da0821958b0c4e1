//! Random changes, on a line that is cut and a slapd that crashes: at the end the store is what a fresh list gives.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and says its seed before")]

mod common {
    pub(crate) mod proxy;
    pub(crate) mod slapd;
    pub(crate) mod watcher;
}

use std::time::Duration;

use common::proxy::Proxy;
use common::slapd::{BASE, Slapd};
use common::watcher::Watcher;
use dialcast::directory::{Event, LdapOptions, Source, read};
use dialcast::model::Timestamp;
use dialcast::store::Store;
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

fn source(address: std::net::SocketAddr) -> Source {
    let mut options = LdapOptions::new(format!("ldap://{address}/{TOP}").parse().unwrap());
    options.attributes.push("description".to_owned());
    options.timers.backoff_max = Duration::from_millis(50);
    Source::Ldap(options)
}

/// Every object with its name and attributes, in a form that can be compared and read.
fn shown(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot();
    let value =
        |values: dialcast::model::Values<'_>| values.iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect::<Vec<_>>().join("|");
    let mut all: Vec<String> = snapshot
        .iter()
        .map(|object| {
            let attributes: Vec<String> = object.attributes.iter().map(|(name, values)| format!("{name}={}", value(values))).collect();
            format!("{} {} {} {}", snapshot.dn(object.id).unwrap(), object.id, object.glue, attributes.join(" "))
        })
        .collect();
    all.sort();
    all
}

async fn fresh(slapd: &Slapd) -> Vec<String> {
    let mut store = Store::new();
    for event in read(source(slapd.address())).await.unwrap().0 {
        store.apply(event, Timestamp(0));
    }
    shown(&store)
}

async fn run(seed: u64) {
    println!("seed {seed}");
    let ldif = format!("{BASE}\ndn: {MARK}\nobjectClass: organizationalUnit\nou: mark\n");
    let mut slapd = Slapd::start(&ldif);
    let mut proxy = Proxy::to(slapd.address()).await;
    let mut feed = Watcher::start(source(proxy.address()), None);
    let mut store = Store::new();
    let mut world = World { random: StdRng::seed_from_u64(seed), units: Vec::new(), users: Vec::new(), count: 0 };
    let mut cut = false;
    for round in 0..12 {
        let changes: String = (0..world.random.random_range(1..12)).map(|_| world.change()).collect();
        slapd.modify(&changes);
        match world.random.random_range(0..8) {
            0 | 1 if !cut => {
                proxy.cut();
                cut = true;
            }
            2 | 3 if cut => {
                proxy.mend().await;
                cut = false;
            }
            4 => {
                slapd.kill();
                slapd.restart();
            }
            // A new process of ours, with the state and the cookie of the old one.
            5 => feed = Watcher::start(source(proxy.address()), store.cookie().cloned()),
            _ => {}
        }
        if cut && round % 4 != 3 {
            continue;
        }
        if std::mem::take(&mut cut) {
            proxy.mend().await;
        }
        slapd.modify(&format!("dn: {MARK}\nchangetype: modify\nreplace: description\ndescription: {round}\n"));
        let mark = round.to_string();
        loop {
            let event = feed.event().await;
            let done = matches!(event, Event::Apply(_) | Event::InitDone { .. });
            store.apply(event, Timestamp(0));
            let snapshot = store.snapshot();
            let found = snapshot.find(&MARK.parse().unwrap()).and_then(|id| snapshot.get(id).cloned());
            if done && found.is_some_and(|object| object.attributes.text("description") == Some(&mark)) {
                break;
            }
        }
        assert_eq!(shown(&store), fresh(&slapd).await, "seed {seed}, round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_invented() {
    let first = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(1..=6, |seed| seed..=seed);
    for seed in seeds {
        run(seed).await;
    }
}
