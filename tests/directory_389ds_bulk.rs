//! A bulk import into a real 389 Directory Server while it is followed: as fast as the server takes it, and each large group
//! told a few times, not once for every member.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and says how fast it was")]

mod common {
    pub(crate) mod ds389;
    pub(crate) mod mirror;
    pub(crate) mod watcher;
}

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use common::ds389::{BASE, Ds389, READ_ALL, READ_CHANGELOG, READ_RECORDS};
use common::mirror::{Mirror, fresh, shown};
use dialcast::directory::{Bind, Dialect, LdapOptions, Source};
use dialcast::model::Secret;

/// There before.
const OLD: usize = 12_000;
/// Imported while it is followed.
const NEW: usize = 5_000;
/// Of a group.
const MEMBERS: usize = 10_000;
/// Members that are added one by one.
const ONE_BY_ONE: usize = 200;

fn source(ds: &Ds389, dialect: Dialect) -> Source {
    let mut options = LdapOptions::new(ds.url().parse().unwrap());
    options.dialect = Some(dialect);
    options.bind = Bind::Simple { dn: Ds389::READER.to_owned(), password: Secret::new(Ds389::PASSWORD) };
    options.attributes.push("description".to_owned());
    Source::Ldap(options)
}

fn users(ldif: &mut String, begin: &str, count: usize) {
    for n in 0..count {
        let name = format!("{begin}{n}");
        write!(
            ldif,
            "dn: uid={name},ou=a,dc=corp,dc=example\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n\
             mail: {name}@corp.example\n\n"
        )
        .unwrap();
    }
}

fn group(ldif: &mut String, name: &str) {
    write!(ldif, "dn: cn={name},dc=corp,dc=example\nobjectClass: groupOfNames\ncn: {name}\n").unwrap();
    for n in 0..MEMBERS {
        writeln!(ldif, "member: uid=old{n},ou=a,dc=corp,dc=example").unwrap();
    }
    ldif.push('\n');
}

fn unit(ldif: &mut String, name: &str) {
    write!(ldif, "dn: ou={name},dc=corp,dc=example\nobjectClass: organizationalUnit\nou: {name}\n\n").unwrap();
}

/// A server with many users and a large group.
fn server() -> Ds389 {
    let mut ldif = format!("dn: {}\nobjectClass: domain\ndc: corp\naci: {READ_ALL}\n\n{BASE}\n", Ds389::SUFFIX);
    unit(&mut ldif, "a");
    users(&mut ldif, "old", OLD);
    group(&mut ldif, "big");
    let mut ds = Ds389::prepared();
    // Faster than any disk lets a server be.
    ds.configure("cn=bdb,cn=config,cn=ldbm database,cn=plugins,cn=config", "nsslapd-db-durable-transaction", "off");
    // The group's members would all be written to.
    ds.configure("cn=MemberOf Plugin,cn=plugins,cn=config", "nsslapd-pluginEnabled", "off");
    ds.configure("cn=config", "nsslapd-sizelimit", "-1");
    ds.configure("cn=config,cn=ldbm database,cn=plugins,cn=config", "nsslapd-lookthroughlimit", "-1");
    ds.import(&ldif);
    ds.start_again();
    ds.modify(&format!("{READ_CHANGELOG}\n{READ_RECORDS}"));
    ds
}

async fn import_into(dialect: Dialect) {
    let ds = server();
    let begun = Instant::now();
    let mut mirror = Mirror::start(source(&ds, dialect));
    mirror.until_told("done").await;
    println!("{dialect}: {OLD} entries listed in {:?}", begun.elapsed());
    assert!(mirror.told.iter().any(|told| told == "progress 10000"));

    let mut ldif = String::new();
    users(&mut ldif, "new", NEW);
    group(&mut ldif, "live");
    unit(&mut ldif, "end");
    let adding = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        ds.add(&ldif);
        (ds, begun.elapsed())
    });
    let begun = Instant::now();
    mirror.told.clear();
    mirror.until("all were imported", |state| state.find(&"ou=end,dc=corp,dc=example".parse().unwrap()).is_some()).await;
    let followed = begun.elapsed();
    let (ds, server) = adding.await.unwrap();
    println!("{dialect}: {NEW} entries in {server:?}, followed in {followed:?}");
    assert!(followed < server * 3 / 2 + Duration::from_secs(1), "{server:?}, {followed:?}");
    assert!(shown(&mirror.store) == fresh(source(&ds, dialect)).await);

    // Nobody takes what is told meanwhile: the group waits once, and as it is in the end.
    let mut ldif = String::new();
    for n in 0..ONE_BY_ONE {
        write!(ldif, "dn: cn=big,dc=corp,dc=example\nchangetype: modify\nadd: member\nmember: uid=new{n},ou=a,dc=corp,dc=example\n\n")
            .unwrap();
    }
    ldif.push_str("dn: ou=end,dc=corp,dc=example\nchangetype: modify\nreplace: description\ndescription: over\n");
    mirror.told.clear();
    let begun = Instant::now();
    ds.modify(&ldif);
    let server = begun.elapsed();
    mirror.until_value("ou=end,dc=corp,dc=example", "description", "over").await;
    let told = mirror.told.iter().filter(|told| told.starts_with("apply cn=big,")).count();
    println!(
        "{dialect}: a group of {MEMBERS} changed {ONE_BY_ONE} times in {server:?}, told {told} times, {:?} at the end",
        begun.elapsed()
    );
    // 64 reports wait on the way to us, beyond which the newest is enough.
    assert!((1..=66).contains(&told), "{told}");
    assert!(shown(&mirror.store) == fresh(source(&ds, dialect)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_content_synchronization() {
    import_into(Dialect::Syncrepl389).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_changelog() {
    import_into(Dialect::Changelog389).await;
}
