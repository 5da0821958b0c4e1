//! A real 389 Directory Server, and every way in which it fails: no change is lost at the end, and nothing is invented.

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

use common::ds389::{BASE, Ds389};
use common::mirror::{Mirror, fresh, shown};
use common::proxy::Proxy;
use dialcast::directory::{Bind, Cookie, LdapOptions, Source};
use dialcast::model::Secret;

fn options(address: SocketAddr) -> LdapOptions {
    let mut options = LdapOptions::new(format!("ldap://{address}/{}", Ds389::SUFFIX).parse().unwrap());
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

/// Two units with four users each, and a group.
fn corp() -> String {
    let mut ldif = format!("{BASE}\n{}{}", unit("ou=a,dc=corp,dc=example"), unit("ou=b,dc=corp,dc=example"));
    for n in 0..4 {
        ldif.push_str(&user(&format!("a{n}"), "ou=a,dc=corp,dc=example"));
        ldif.push_str(&user(&format!("b{n}"), "ou=b,dc=corp,dc=example"));
    }
    write!(ldif, "dn: cn=g,dc=corp,dc=example\nobjectClass: groupOfNames\ncn: g\nmember: uid=a1,ou=a,dc=corp,dc=example\n").unwrap();
    ldif
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
    assert_eq!(shown(&mirror.store), fresh(source(ds.address())).await);
}

async fn started(ldif: &str) -> (Ds389, Proxy, Mirror) {
    let ds = Ds389::start(ldif);
    let proxy = Proxy::to(ds.address()).await;
    let mut mirror = Mirror::start(source(proxy.address()));
    mirror.until_told("done").await;
    (ds, proxy, mirror)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_then_changes_then_a_cut() {
    let (ds, mut proxy, mut mirror) = started(&corp()).await;
    assert!(
        mirror.told.iter().any(|told| told.starts_with("up 389 Project 389-Directory") && told.contains(" 389ds at ")),
        "{:?}",
        mirror.told
    );
    assert_eq!(shown(&mirror.store), fresh(source(ds.address())).await);
    change(&ds, 0);
    ds.rename("ou=a,dc=corp,dc=example", "ou=aa", Some("ou=b,dc=corp,dc=example"));
    settle(&mut mirror, &ds, "one").await;
    mirror.until_checkpoint().await;

    // While cut off: the attributes that a resume leaves out are there all the same, and it is one of changes alone.
    proxy.cut();
    mirror.until_told("down").await;
    ds.rename("ou=aa,ou=b,dc=corp,dc=example", "ou=a", Some("dc=corp,dc=example"));
    change(&ds, 1);
    proxy.mend().await;
    settle(&mut mirror, &ds, "two").await;
    let listed = mirror.told.iter().filter(|told| told.starts_with("list ")).count();
    assert!((1..12).contains(&listed), "{:?}", mirror.told);

    // A new process, after changes that it did not see.
    mirror.until_checkpoint().await;
    change(&ds, 2);
    mirror.restart(source(proxy.address()));
    mirror.until_told("done").await;
    let listed = mirror.told.iter().filter(|told| told.starts_with("list ")).count();
    assert!((1..12).contains(&listed), "{:?}", mirror.told);
    settle(&mut mirror, &ds, "three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_live_and_in_the_middle_of_a_refresh() {
    let mut ldif = corp();
    for n in 0..1500 {
        write!(ldif, "\n{}", user(&format!("many{n}"), "ou=b,dc=corp,dc=example")).unwrap();
    }
    let (mut ds, _proxy, mut mirror) = started(&ldif).await;
    change(&ds, 0);
    ds.kill();
    mirror.until_told("down").await;
    ds.start_again();
    settle(&mut mirror, &ds, "one").await;
    // A full list, of which some came.
    mirror.restart(source(ds.address()));
    let mut other = Mirror::start(source(ds.address()));
    other.until_told("list uid=many3,").await;
    ds.kill();
    other.until_told("down").await;
    assert!(!other.store.snapshot().is_complete());
    ds.start_again();
    change(&ds, 1);
    settle(&mut other, &ds, "two").await;
    settle(&mut mirror, &ds, "three").await;
}

/// A new feed with this cookie gets a full list, and ends with what is there.
async fn all_is_read_again(mirror: &mut Mirror, ds: &Ds389, cookie: Vec<u8>, why: &str) {
    mirror.restart_from(source(ds.address()), Some(Cookie(cookie)));
    mirror.until_told("done").await;
    let listed = mirror.told.iter().filter(|told| told.starts_with("list ")).count();
    assert!(listed >= 10, "{why}: {:?}", mirror.told);
    assert_eq!(shown(&mirror.store), fresh(source(ds.address())).await, "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_that_say_too_much() {
    let mut ds = Ds389::start(&corp());
    let mut mirror = Mirror::start(source(ds.address()));
    mirror.until_told("done").await;
    settle(&mut mirror, &ds, "one").await;
    mirror.until_checkpoint().await;
    let cookie = mirror.store.cookie().unwrap().0.clone();
    let text = String::from_utf8(cookie.clone()).unwrap();
    let (front, number) = text.rsplit_once('#').unwrap();
    assert_eq!(number.parse::<u64>().unwrap(), ds.number("lastchangenumber"));
    change(&ds, 0);
    // The same cookie unspoilt is one to go on from.
    mirror.restart_from(source(ds.address()), Some(Cookie(cookie.clone())));
    mirror.until_told("done").await;
    assert!(mirror.told.iter().filter(|told| told.starts_with("list ")).count() < 10, "{:?}", mirror.told);
    for (bad, why) in [
        (format!("{front}#{}", u64::MAX), "from the future"),
        (format!("{front}#x"), "no number"),
        ("389ds 1 nonsense".to_owned(), "garbage"),
        (String::new(), "empty"),
    ] {
        all_is_read_again(&mut mirror, &ds, bad.into(), why).await;
    }
    // A changelog that was trimmed beyond the cookie: the server itself would take it and say nothing of what is missing.
    ds.delete("uid=a1,ou=a,dc=corp,dc=example");
    ds.stop();
    ds.configure("cn=Retro Changelog Plugin,cn=plugins,cn=config", "nsslapd-changelogmaxage", "1s");
    ds.configure("cn=Retro Changelog Plugin,cn=plugins,cn=config", "nsslapd-changelog-trim-interval", "1");
    ds.start_again();
    let behind: u64 = number.parse().unwrap();
    for n in 0.. {
        mark(&ds, &format!("trim {n}"));
        if ds.number("firstchangenumber") > behind + 1 {
            break;
        }
    }
    all_is_read_again(&mut mirror, &ds, cookie, "trimmed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_comes_back() {
    come_back(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_comes_back_and_no_right_to_read_the_changelog() {
    come_back(false).await;
}

async fn come_back(may_read_changelog: bool) {
    let mut ds = Ds389::start(&corp());
    if !may_read_changelog {
        ds.modify("dn: cn=changelog\nchangetype: modify\ndelete: aci\n");
    }
    let mut mirror = Mirror::start(source(ds.address()));
    mirror.until_told("done").await;
    ds.stop();
    ds.backup();
    ds.start_again();
    change(&ds, 0);
    settle(&mut mirror, &ds, "before").await;
    mirror.until_checkpoint().await;
    // Its newest number is lower than the cookie's.
    ds.stop();
    ds.restore();
    ds.start_again();
    mirror.until("the new user is gone", |state| state.find(&"uid=new0,ou=a,dc=corp,dc=example".parse().unwrap()).is_none()).await;
    settle(&mut mirror, &ds, "restored").await;
    // And one that has overtaken it, with other changes, while we were cut off, and while we did not run.
    for restart in [false, true] {
        change(&ds, 1 + u32::from(restart));
        settle(&mut mirror, &ds, "before again").await;
        mirror.until_checkpoint().await;
        let number = ds.number("lastchangenumber");
        let source = source(ds.address());
        ds.stop();
        mirror.until_told("down").await;
        if restart {
            // Nobody looks until it is over.
            mirror.restart(source.clone());
        }
        ds.restore();
        let line = ds.address();
        ds.start_elsewhere();
        for n in 0.. {
            ds.add(&user(&format!("else{n}"), "ou=b,dc=corp,dc=example"));
            if ds.number("lastchangenumber") > number {
                break;
            }
        }
        ds.stop();
        ds.start_at(line);
        mirror.until("the other user is there", |state| state.find(&"uid=else0,ou=b,dc=corp,dc=example".parse().unwrap()).is_some()).await;
        settle(&mut mirror, &ds, &format!("overtaken, {restart}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_is_not_there_is_named_at_once() {
    let ds = Ds389::start(&corp());
    // The synchronizing search for it stands open without a word.
    let source = Source::Ldap(LdapOptions { base: Some("ou=nowhere,dc=corp,dc=example".parse().unwrap()), ..options(ds.address()) });
    let why = Mirror::start(source).until_told("down").await;
    assert!(why.contains("noSuchObject (32)") && why.contains("check the base DN"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_limit_is_named_at_once() {
    let mut ds = Ds389::start(&corp());
    ds.stop();
    ds.configure("cn=config", "nsslapd-sizelimit", "5");
    ds.start_again();
    // The refresh stops after five entries without a word, and pings are answered.
    let mut mirror = Mirror::start(source(ds.address()));
    let why = mirror.until_told("down").await;
    assert!(why.contains("sizeLimitExceeded (4)") && why.contains("nsSizeLimit"), "{why}");
    assert!(!mirror.store.snapshot().is_complete());
    ds.modify(&format!("dn: {}\nchangetype: modify\nadd: nsSizeLimit\nnsSizeLimit: -1\n", Ds389::READER));
    mirror.until_told("done").await;
    assert_eq!(shown(&mirror.store), fresh(source(ds.address())).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_enters_and_leaves_the_base() {
    let ds = Ds389::start(&corp());
    let inside = |address: SocketAddr| {
        let mut options = options(address);
        options.base = Some("ou=b,dc=corp,dc=example".parse().unwrap());
        Source::Ldap(options)
    };
    let mut proxy = Proxy::to(ds.address()).await;
    let mut mirror = Mirror::start(inside(proxy.address()));
    mirror.until_told("done").await;
    assert!(!mirror.has("ou=a,dc=corp,dc=example"));
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
            // What changes where it is now is told, or not, as it should.
            ds.modify(&format!("dn: {user}\nchangetype: modify\nreplace: mail\nmail: {cut}@corp.example\n"));
            mark(&ds, &format!("{cut} {to}"));
            if cut {
                proxy.mend().await;
            }
            mirror.until_value("ou=b,dc=corp,dc=example", "description", &format!("{cut} {to}")).await;
            assert_eq!(shown(&mirror.store), fresh(inside(ds.address())).await, "{cut} {to}");
        }
    }
}

/// Half of the tree cannot be seen for a while. What changes there meanwhile is told to nobody, when the right comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_lost_and_given_back() {
    let ds = Ds389::start(&corp());
    let mut options = options(ds.address());
    options.timers.compare_every = Some(Duration::from_millis(300));
    let mut mirror = Mirror::start(Source::Ldap(options));
    mirror.until_told("done").await;
    let deny = "(targetattr=\"*\")(version 3.0; acl \"no\"; deny (all) userdn=\"ldap:///cn=reader,dc=corp,dc=example\";)";
    ds.modify(&format!("dn: ou=a,dc=corp,dc=example\nchangetype: modify\nadd: aci\naci: {deny}\n"));
    // It is told as a list that leaves them out, which the guards can hold.
    mirror.until("the unit is out of sight", |state| state.find(&"uid=a3,ou=a,dc=corp,dc=example".parse().unwrap()).is_none()).await;
    assert!(!mirror.told.iter().any(|told| told == "delete") && mirror.told.iter().any(|told| told == "keep"), "{:?}", mirror.told);
    ds.modify("dn: uid=a3,ou=a,dc=corp,dc=example\nchangetype: modify\nreplace: mail\nmail: unseen@corp.example\n");
    ds.rename("uid=a2,ou=a,dc=corp,dc=example", "uid=unseen", None);
    ds.delete("uid=a1,ou=a,dc=corp,dc=example");
    ds.modify(&format!("dn: ou=a,dc=corp,dc=example\nchangetype: modify\ndelete: aci\naci: {deny}\n"));
    mirror.until_value("uid=a3,ou=a,dc=corp,dc=example", "mail", "unseen@corp.example").await;
    mirror.until_fresh(source(ds.address())).await;
    assert!(mirror.told.iter().filter(|told| told.starts_with("up ")).count() == 1, "{:?}", mirror.told);
}
