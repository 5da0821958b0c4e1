//! A real 389 Directory Server by its retro changelog: no change is lost at the end, and nothing is invented.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod ds389;
    pub(crate) mod mirror;
    pub(crate) mod proxy;
    pub(crate) mod watcher;
}

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use common::ds389::{BASE, Ds389, READ_RECORDS};
use common::mirror::Mirror;
use common::proxy::Proxy;
use dialcast::directory::{Bind, Cookie, Dialect, LdapOptions, Source};
use dialcast::model::Secret;
use dialcast::store::Snapshot;

fn options(address: SocketAddr) -> LdapOptions {
    let mut options = LdapOptions::new(format!("ldap://{address}/{}", Ds389::SUFFIX).parse().unwrap());
    options.dialect = Some(Dialect::Changelog389);
    options.bind = Bind::Simple { dn: Ds389::READER.to_owned(), password: Secret::new(Ds389::PASSWORD) };
    options.attributes.push("description".to_owned());
    options.timers.backoff_max = Duration::from_millis(100);
    options.timers.ping_interval = Duration::from_millis(200);
    options
}

fn source(address: SocketAddr) -> Source {
    Source::Ldap(options(address))
}

fn unit(dn: &str) -> String {
    format!("dn: {dn}\nobjectClass: organizationalUnit\nou: {}\n\n", dn.split(['=', ',']).nth(1).unwrap())
}

fn user(name: &str, above: &str) -> String {
    format!("dn: uid={name},{above}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\nmail: {name}@corp.example\n\n")
}

/// Two units with four users each, a unit of fifty, and a group.
fn corp() -> String {
    let mut ldif = format!("{BASE}\n{}{}", unit("ou=a,dc=corp,dc=example"), unit("ou=b,dc=corp,dc=example"));
    for n in 0..4 {
        ldif.push_str(&user(&format!("a{n}"), "ou=a,dc=corp,dc=example"));
        ldif.push_str(&user(&format!("b{n}"), "ou=b,dc=corp,dc=example"));
    }
    ldif.push_str(&unit("ou=many,dc=corp,dc=example"));
    for n in 0..50 {
        ldif.push_str(&user(&format!("m{n}"), "ou=many,dc=corp,dc=example"));
    }
    write!(ldif, "dn: cn=g,dc=corp,dc=example\nobjectClass: groupOfNames\ncn: g\nmember: uid=a1,ou=a,dc=corp,dc=example\n").unwrap();
    ldif
}

fn server() -> Ds389 {
    let ds = Ds389::start(&corp());
    ds.modify(READ_RECORDS);
    ds
}

fn mark(ds: &Ds389, text: &str) {
    ds.modify(&format!("dn: ou=b,dc=corp,dc=example\nchangetype: modify\nreplace: description\ndescription: {text}\n"));
}

/// A change of every kind.
fn change(ds: &Ds389, n: u32) {
    ds.add(&user(&format!("new{n}"), "ou=a,dc=corp,dc=example"));
    ds.delete(&format!("uid=a{n},ou=a,dc=corp,dc=example"));
    ds.rename(&format!("uid=b{n},ou=b,dc=corp,dc=example"), &format!("uid=bb{n}"), None);
    ds.modify(&format!("dn: uid=b3,ou=b,dc=corp,dc=example\nchangetype: modify\nreplace: mail\nmail: other{n}@corp.example\n"));
    ds.modify(&format!("dn: cn=g,dc=corp,dc=example\nchangetype: modify\nadd: member\nmember: uid=bb{n},ou=b,dc=corp,dc=example\n"));
    ds.add(&unit(&format!("ou=c{n},dc=corp,dc=example")));
    ds.rename(&format!("ou=c{n},dc=corp,dc=example"), &format!("ou=d{n}"), Some("ou=a,dc=corp,dc=example"));
}

/// Follows until the mark is there, and compares everything with a fresh list.
async fn settle(mirror: &mut Mirror, ds: &Ds389, text: &str) {
    mark(ds, text);
    mirror.until_value("ou=b,dc=corp,dc=example", "description", text).await;
    mirror.until_fresh(source(ds.address())).await;
}

fn listed(mirror: &Mirror) -> usize {
    mirror.told.iter().filter(|told| told.starts_with("list ")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_then_changes_then_a_cut_then_a_crash() {
    let mut ds = server();
    let mut proxy = Proxy::to(ds.address()).await;
    let mut mirror = Mirror::start(source(proxy.address()));
    mirror.until_told("done").await;
    assert!(mirror.told.iter().any(|told| told.contains(" 389ds-changelog at ")), "{:?}", mirror.told);
    assert!(listed(&mirror) > 60, "{:?}", mirror.told);
    mirror.until_fresh(source(ds.address())).await;
    change(&ds, 0);
    settle(&mut mirror, &ds, "one").await;

    // A unit of many is moved: one event, whatever the number below it; and a deletion is told as such, at once.
    mirror.told.clear();
    ds.rename("ou=many,dc=corp,dc=example", "ou=many", Some("ou=b,dc=corp,dc=example"));
    ds.delete("uid=m7,ou=many,ou=b,dc=corp,dc=example");
    let is_there = |state: &Snapshot, n: u8| state.find(&format!("uid=m{n},ou=many,ou=b,dc=corp,dc=example").parse().unwrap()).is_some();
    mirror.until("the unit was moved, and a user deleted", |state| is_there(state, 8) && !is_there(state, 7)).await;
    let told: Vec<_> = mirror.told.iter().filter(|told| !told.starts_with("checkpoint ")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("ou=many,ou=b,dc=corp,dc=example") && told[1] == "delete", "{told:?}");
    settle(&mut mirror, &ds, "two").await;

    // While cut off.
    mirror.until_checkpoint().await;
    proxy.cut();
    mirror.until_told("down").await;
    change(&ds, 1);
    ds.rename("ou=many,ou=b,dc=corp,dc=example", "ou=lot", Some("dc=corp,dc=example"));
    proxy.mend().await;
    mirror.until_told("done").await;
    assert!((1..14).contains(&listed(&mirror)), "{:?}", mirror.told);
    settle(&mut mirror, &ds, "three").await;

    // A crash, and a new process of ours after changes that it did not see.
    mirror.until_checkpoint().await;
    ds.kill();
    mirror.until_told("down").await;
    ds.start_again();
    change(&ds, 2);
    mirror.restart(source(proxy.address()));
    mirror.until_told("done").await;
    assert!((1..14).contains(&listed(&mirror)), "{:?}", mirror.told);
    settle(&mut mirror, &ds, "four").await;
}

/// A new feed with this cookie gets a full list, and ends with what is there.
async fn all_is_read_again(mirror: &mut Mirror, ds: &Ds389, cookie: &str, why: &str) {
    mirror.restart_from(source(ds.address()), Some(Cookie(cookie.into())));
    mirror.until_told("done").await;
    assert!(listed(mirror) > 60, "{why}: {:?}", mirror.told);
    mirror.until_fresh(source(ds.address())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_that_say_too_much() {
    let mut ds = server();
    let mut mirror = Mirror::start(source(ds.address()));
    mirror.until_told("done").await;
    settle(&mut mirror, &ds, "one").await;
    mirror.until_checkpoint().await;
    let cookie = String::from_utf8(mirror.store.cookie().unwrap().0.clone()).unwrap();
    let (front, number) = cookie.rsplit_once(' ').unwrap();
    let number: u64 = number.parse().unwrap();
    assert_eq!(number, ds.number("lastchangenumber"));
    change(&ds, 0);
    // The same cookie unspoilt is one to go on from.
    mirror.restart_from(source(ds.address()), Some(Cookie(cookie.clone().into())));
    mirror.until_told("done").await;
    assert!((1..14).contains(&listed(&mirror)), "{:?}", mirror.told);
    for (bad, why) in [
        (format!("{front} {}", u64::MAX), "from the future"),
        (format!("{front} {}", number - 1), "another change's number"),
        (format!("{front} x"), "no number"),
        (String::new(), "empty"),
    ] {
        all_is_read_again(&mut mirror, &ds, &bad, why).await;
    }
    // A changelog that was trimmed beyond the cookie.
    ds.delete("uid=a1,ou=a,dc=corp,dc=example");
    ds.stop();
    ds.configure("cn=Retro Changelog Plugin,cn=plugins,cn=config", "nsslapd-changelogmaxage", "1s");
    ds.configure("cn=Retro Changelog Plugin,cn=plugins,cn=config", "nsslapd-changelog-trim-interval", "1");
    ds.start_again();
    for n in 0.. {
        mark(&ds, &format!("trim {n}"));
        if ds.number("firstchangenumber") > number + 1 {
            break;
        }
    }
    all_is_read_again(&mut mirror, &ds, &cookie, "trimmed").await;
    // It is trimmed on, and changes are told.
    let first = ds.number("firstchangenumber");
    for n in 0.. {
        settle(&mut mirror, &ds, &format!("live {n}")).await;
        if ds.number("firstchangenumber") > first {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_comes_back() {
    let mut ds = server();
    let mut mirror = Mirror::start(source(ds.address()));
    mirror.until_told("done").await;
    ds.stop();
    ds.backup();
    ds.start_again();
    change(&ds, 0);
    settle(&mut mirror, &ds, "before").await;
    mirror.until_checkpoint().await;
    // Its newest number is lower than ours.
    ds.stop();
    ds.restore();
    ds.start_again();
    mirror.until("the new user is gone", |state| state.find(&"uid=new0,ou=a,dc=corp,dc=example".parse().unwrap()).is_none()).await;
    settle(&mut mirror, &ds, "restored").await;
    // And one that has overtaken us, with other changes of the same entry.
    change(&ds, 1);
    settle(&mut mirror, &ds, "before again").await;
    mirror.until_checkpoint().await;
    let number = ds.number("lastchangenumber");
    ds.stop();
    mirror.until_told("down").await;
    ds.restore();
    let line = ds.address();
    ds.start_elsewhere();
    ds.add(&user("else", "ou=b,dc=corp,dc=example"));
    while ds.number("lastchangenumber") <= number {
        mark(&ds, "other");
    }
    ds.stop();
    ds.start_at(line);
    mirror.until("the other user is there", |state| state.find(&"uid=else,ou=b,dc=corp,dc=example".parse().unwrap()).is_some()).await;
    settle(&mut mirror, &ds, "overtaken").await;
}

/// Nothing that the account may not see looks like a server without changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_or_goes() {
    let ds = Ds389::start(&corp());
    let mut mirror = Mirror::start(source(ds.address()));
    let why = mirror.until_told("down").await;
    assert!(why.contains("no changeType that the account can see") && why.contains("aci on cn=changelog"), "{why}");
    ds.modify("dn: cn=changelog\nchangetype: modify\ndelete: aci\n");
    mirror.until_told("down the changelog `cn=changelog` cannot be followed: the account cannot see its records").await;
    assert!(!mirror.store.snapshot().is_complete());
    ds.modify(READ_RECORDS);
    mirror.until_told("done").await;
    settle(&mut mirror, &ds, "one").await;
    // While it is connected: the search goes on and says nothing.
    ds.modify("dn: cn=changelog\nchangetype: modify\ndelete: aci\n");
    mark(&ds, "unseen");
    mirror.until_told("down the changelog `cn=changelog` cannot be followed: the account cannot see its records").await;
    assert!(mirror.store.snapshot().is_complete());
    ds.modify(READ_RECORDS);
    mirror.until_value("ou=b,dc=corp,dc=example", "description", "unseen").await;
    settle(&mut mirror, &ds, "two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_enters_and_leaves_the_base() {
    let ds = server();
    let inside = |address: SocketAddr| {
        let mut options = options(address);
        options.base = Some("ou=b,dc=corp,dc=example".parse().unwrap());
        Source::Ldap(options)
    };
    let mut proxy = Proxy::to(ds.address()).await;
    let mut mirror = Mirror::start(inside(proxy.address()));
    mirror.until_told("done").await;
    for cut in [false, true] {
        for (from, to, user) in [
            ("ou=a,dc=corp,dc=example", "ou=b,dc=corp,dc=example", "uid=a2,ou=a,ou=b,dc=corp,dc=example"),
            ("ou=a,ou=b,dc=corp,dc=example", "dc=corp,dc=example", "uid=a2,ou=a,dc=corp,dc=example"),
        ] {
            if cut {
                mirror.until_checkpoint().await;
                proxy.cut();
                mirror.until_told("down").await;
            }
            ds.rename(from, "ou=a", Some(to));
            ds.modify(&format!("dn: {user}\nchangetype: modify\nreplace: mail\nmail: {cut}@corp.example\n"));
            mark(&ds, &format!("{cut} {to}"));
            if cut {
                proxy.mend().await;
            }
            mirror.until_value("ou=b,dc=corp,dc=example", "description", &format!("{cut} {to}")).await;
            // What was below the unit may come behind it.
            mirror.until_fresh(inside(ds.address())).await;
        }
    }
}

/// Of the plugins on the server, the one that is found first.
#[tokio::test(flavor = "multi_thread")]
async fn without_content_synchronization_it_is_found_by_itself() {
    let mut ds = server();
    let unforced = |address| Source::Ldap(LdapOptions { dialect: None, ..options(address) });
    let mut mirror = Mirror::start(unforced(ds.address()));
    assert!(mirror.until_told("up").await.contains(" 389ds at "));
    ds.stop();
    ds.configure("cn=Content Synchronization,cn=plugins,cn=config", "nsslapd-pluginEnabled", "off");
    ds.start_again();
    let up = mirror.until_told("up").await;
    assert!(up.contains(" 389ds-changelog at ") && up.contains("the plugin Content Synchronization is off"), "{up}");
    settle(&mut mirror, &ds, "one").await;
}
