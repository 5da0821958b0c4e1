//! The roll call against a real slapd: what is lost without a word comes back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod mirror;
    pub(crate) mod slapd;
    pub(crate) mod watcher;
}

use std::fmt::Write as _;
use std::time::Duration;

use common::mirror::Mirror;
use common::slapd::{BASE, Setup, Slapd};
use dialcast::directory::{Bind, LdapOptions, Source};
use dialcast::model::Secret;

/// Two units, and users 0 to 3 in Berlin.
fn corp() -> String {
    let mut ldif = BASE.to_owned();
    for unit in ["Berlin", "Paris"] {
        write!(ldif, "\ndn: ou={unit},dc=corp,dc=example\nobjectClass: organizationalUnit\nou: {unit}\n").unwrap();
    }
    for n in 0..4 {
        write!(ldif, "\ndn: uid=u{n},ou=Berlin,dc=corp,dc=example\nobjectClass: inetOrgPerson\nuid: u{n}\ncn: User {n}\nsn: {n}\nmail: u{n}@corp.example\n").unwrap();
    }
    ldif
}

fn account(url: &str, password: &str) -> LdapOptions {
    let mut options = LdapOptions::new(url.parse().unwrap());
    options.timers.backoff_max = Duration::from_millis(200);
    options.attributes.push("description".to_owned());
    options.bind = Bind::Simple { dn: Slapd::READER.to_owned(), password: Secret::new(password) };
    options
}

/// Half of the tree cannot be seen for a while. What changes there meanwhile is told to nobody, when the right comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_lost_and_given_back() {
    let mut slapd =
        Setup::new(corp()).database("access to dn.subtree=ou=Berlin,dc=corp,dc=example by * read\naccess to * by * read").start();
    let denied = |slapd: &mut Slapd, denied: bool| {
        let path = slapd.dir().join("slapd.conf");
        let (from, to) = if denied { ("by * read\n", "by * none\n") } else { ("by * none\n", "by * read\n") };
        let text = std::fs::read_to_string(&path).unwrap().replacen(from, to, 1);
        std::fs::write(path, text).unwrap();
        slapd.restart();
    };
    let mut options = account(&slapd.url(), Slapd::PASSWORD);
    options.timers.compare_every = Some(Duration::from_millis(200));
    let source = Source::Ldap(options);
    let mut mirror = Mirror::start(source.clone());
    mirror.until_told("done").await;
    let users = mirror.store.snapshot().len();
    denied(&mut slapd, true);
    mirror.until("the unit is out of sight", |state| state.len() < users).await;
    assert!(!mirror.told.iter().any(|told| told == "delete"), "{:?}", mirror.told);
    let gone = users - mirror.store.snapshot().len();
    assert!(gone >= 2, "{gone}");
    let name = names(&slapd).into_iter().find(|dn| dn.starts_with("uid=") && dn.ends_with(",ou=Berlin,dc=corp,dc=example")).unwrap();
    slapd.modify(&format!("dn: {name}\nchangetype: modify\nreplace: mail\nmail: unseen@corp.example\n"));
    slapd.modify("dn: ou=Paris,dc=corp,dc=example\nchangetype: modify\nreplace: description\ndescription: seen\n");
    mirror.until_value("ou=Paris,dc=corp,dc=example", "description", "seen").await;
    mirror.until_checkpoint().await;
    denied(&mut slapd, false);
    mirror.until_value(&name, "mail", "unseen@corp.example").await;
    mirror.until_fresh(source).await;
}

fn names(slapd: &Slapd) -> Vec<String> {
    let found = slapd.search(Slapd::SUFFIX, "(objectClass=*)", &["1.1"]);
    found.lines().filter_map(|line| line.strip_prefix("dn: ")).map(str::to_owned).collect()
}
