//! OpenLDAP, followed by syncrepl: a real slapd for each test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod proxy;
    pub(crate) mod slapd;
    pub(crate) mod watcher;
}

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::proxy::Proxy;
use common::slapd::{BASE, Setup, Slapd};
use common::watcher::{Watcher, listed, shown};
use dialcast::directory::{Bind, Cookie, Event, LdapOptions, Report, Source, read};
use dialcast::model::{ObjectId, Secret};

/// Two units, a policy, users 0 to 3 in Berlin.
fn corp() -> String {
    let mut ldif = BASE.to_owned();
    for unit in ["Berlin", "Paris"] {
        write!(ldif, "\ndn: ou={unit},dc=corp,dc=example\nobjectClass: organizationalUnit\nou: {unit}\n").unwrap();
    }
    for n in 0..4 {
        ldif.push_str(&user(n, "ou=Berlin,dc=corp,dc=example"));
    }
    ldif
}

fn user(n: usize, above: &str) -> String {
    format!("\ndn: uid=u{n},{above}\nobjectClass: inetOrgPerson\nuid: u{n}\ncn: User {n}\nsn: {n}\nmail: u{n}@corp.example\n")
}

fn options(url: &str) -> LdapOptions {
    let mut options = LdapOptions::new(url.parse().unwrap());
    options.timers.backoff_max = Duration::from_millis(200);
    options
}

fn source(url: &str) -> Source {
    Source::Ldap(options(url))
}

fn account(url: &str, password: &str) -> LdapOptions {
    let mut options = options(url);
    options.bind = Bind::Simple { dn: Slapd::READER.to_owned(), password: Secret::new(password) };
    options
}

fn through(proxy: &Proxy) -> String {
    format!("ldap://{}/{}", proxy.address(), Slapd::SUFFIX)
}

/// Changes an attribute that is read, so that there is something to wait for.
fn mark(slapd: &Slapd, text: &str) {
    slapd.modify(&format!("dn: ou=Paris,dc=corp,dc=example\nchangetype: modify\nreplace: description\ndescription: {text}\n-\nadd: objectClass\nobjectClass: dialcastPolicy\n-\nadd: dialcastSetting\ndialcastSetting: # {text}\n"));
}

/// The same, once the class is there.
fn mark_again(slapd: &Slapd, text: &str) {
    slapd.modify(&format!("dn: ou=Paris,dc=corp,dc=example\nchangetype: modify\nadd: dialcastSetting\ndialcastSetting: # {text}\n"));
}

const PARIS: &str = "ou=Paris,dc=corp,dc=example";

#[tokio::test(flavor = "multi_thread")]
async fn full_list_then_live_changes() {
    let slapd = Slapd::start(&corp());
    let mut feed = Watcher::start(source(&slapd.url()), None);
    assert!(feed.up().await.starts_with("OpenLDAP syncrepl at ldap://127.0.0.1:"));
    let list = feed.refresh().await;
    let mut names: Vec<String> = listed(&list).iter().map(|entry| entry.dn.to_string()).collect();
    names.sort();
    assert_eq!(names.len(), 8, "{names:?}");
    assert!(matches!(list.last(), Some(Event::InitDone { sweep: true, cookie: Some(_) })));
    let berlin = listed(&list).into_iter().find(|entry| entry.dn.to_string().starts_with("ou=Berlin")).unwrap().clone();
    let anna = listed(&list).into_iter().find(|entry| entry.dn.to_string().starts_with("uid=u0")).unwrap();
    assert_eq!(anna.attributes.text("MAIL"), Some("u0@corp.example"));
    assert_eq!(anna.attributes.text("entryUUID"), Some(anna.id.to_string().as_str()));
    assert!(anna.attributes.has("createTimestamp") && !anna.attributes.has("userPassword") && !anna.attributes.has("sn"));

    slapd.add(&user(9, PARIS));
    let nine = format!("uid=u9,{PARIS}");
    assert_eq!(shown(&feed.until_applied(&nine).await), [format!("apply {nine}")]);
    slapd.modify(&format!("dn: {nine}\nchangetype: modify\nreplace: mail\nmail: nine@corp.example\n"));
    let Some(Event::Apply(changed)) = feed.until_applied(&nine).await.pop() else { panic!() };
    assert_eq!(changed.attributes.text("mail"), Some("nine@corp.example"));
    slapd.delete(&nine);
    while feed.event().await != Event::Delete(changed.id) {}

    // A unit with four users below it: one event, and the same id.
    slapd.rename("ou=Berlin,dc=corp,dc=example", "ou=Bonn", Some(PARIS));
    mark(&slapd, "moved");
    let events = feed.until_applied(PARIS).await;
    assert_eq!(shown(&events), [format!("apply ou=Bonn,{PARIS}"), format!("apply {PARIS}")]);
    assert!(matches!(&events[0], Event::Apply(unit) if unit.id == berlin.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_name_the_entry() {
    let slapd = Slapd::start(&corp());
    let mut feed = Watcher::start(source(&slapd.url()), None);
    let list = feed.refresh().await;
    let ids: Vec<ObjectId> = listed(&list).iter().filter(|e| e.dn.to_string().contains("Berlin")).map(|e| e.id).collect();
    slapd.delete_tree("ou=Berlin,dc=corp,dc=example");
    let mut gone = Vec::new();
    while gone.len() < ids.len() {
        match feed.event().await {
            Event::Delete(id) => gone.push(id),
            Event::Checkpoint(_) => {}
            other => panic!("{other:?}"),
        }
    }
    // The unit is the last: no event takes along what was not told.
    let unit = listed(&list).iter().find(|e| e.dn.to_string().starts_with("ou=Berlin")).unwrap().id;
    assert_eq!(gone.last(), Some(&unit));
    gone.sort();
    let mut ids = ids;
    ids.sort();
    assert_eq!(gone, ids);
}

/// What was changed while nobody looked: one entry of each kind.
fn change_unseen(slapd: &Slapd) {
    slapd.add(&user(7, PARIS));
    slapd.modify("dn: uid=u0,ou=Berlin,dc=corp,dc=example\nchangetype: modify\nreplace: mail\nmail: new@corp.example\n");
    slapd.delete("uid=u3,ou=Berlin,dc=corp,dc=example");
    slapd.rename("uid=u1,ou=Berlin,dc=corp,dc=example", "uid=u1", Some(PARIS));
}

/// Who is there, by mail, as a store would have it after a refresh.
fn after(known: &mut std::collections::BTreeMap<ObjectId, (String, Option<String>)>, refresh: &[Event]) -> Vec<(String, Option<String>)> {
    let mut named = std::collections::BTreeSet::new();
    for event in refresh {
        match event {
            Event::InitApply(entry) => {
                named.insert(entry.id);
                known.insert(entry.id, (entry.dn.to_string(), entry.attributes.text("mail").map(str::to_owned)));
            }
            Event::InitKeep(id) => {
                named.insert(*id);
            }
            Event::Delete(id) => {
                known.remove(id);
            }
            Event::InitDone { sweep: true, .. } => known.retain(|id, _| named.contains(id)),
            _ => {}
        }
    }
    let mut all: Vec<_> = known.values().cloned().collect();
    all.sort();
    all
}

/// What a refresh says beside that entries are there.
fn told(refresh: &[Event]) -> Vec<String> {
    shown(refresh).into_iter().filter(|line| line != "keep").collect()
}

async fn fresh(slapd: &Slapd) -> Vec<(String, Option<String>)> {
    let (events, _) = read(source(&slapd.url())).await.unwrap();
    after(&mut std::collections::BTreeMap::new(), &events)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_changed_while_cut_off() {
    let mut slapd = Slapd::start(&corp());
    let mut proxy = Proxy::to(slapd.address()).await;
    let mut feed = Watcher::start(source(&through(&proxy)), None);
    let mut known = std::collections::BTreeMap::new();
    after(&mut known, &feed.refresh().await);
    // A deletion, a crash, and more changes, all unseen. The crash makes slapd forget the deletion: the feed must find it.
    proxy.cut();
    let why = feed.down().await;
    assert!(why.contains("closed") || why.contains("connect"), "{why}");
    slapd.delete("uid=u2,ou=Berlin,dc=corp,dc=example");
    slapd.kill();
    slapd.restart();
    change_unseen(&slapd);
    proxy.mend().await;
    let refresh = feed.refresh().await;
    assert!(matches!(refresh.last(), Some(Event::InitDone { sweep: true, .. })), "{:?}", shown(&refresh));
    assert!(refresh.contains(&Event::InitKeep(find(&known, "ou=Berlin"))), "{:?}", shown(&refresh));
    assert_eq!(after(&mut known, &refresh), fresh(&slapd).await);

    // The connection alone, this time: slapd knows what changed, and the rest is kept.
    proxy.cut();
    feed.down().await;
    slapd.delete(&format!("uid=u7,{PARIS}"));
    mark(&slapd, "unseen");
    proxy.mend().await;
    let refresh = feed.refresh().await;
    assert_eq!(after(&mut known, &refresh), fresh(&slapd).await);
    assert_eq!(told(&refresh), ["init", "delete", &format!("list {PARIS}"), "done, sweep"]);
    mark_again(&slapd, "live again");
    feed.until_applied(PARIS).await;
}

fn find(known: &std::collections::BTreeMap<ObjectId, (String, Option<String>)>, name: &str) -> ObjectId {
    *known.iter().find(|(_, (dn, _))| dn.starts_with(name)).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_goes_on_from_the_cookie() {
    let mut slapd = Slapd::start(&corp());
    let mut known = std::collections::BTreeMap::new();
    let cookie = {
        let mut feed = Watcher::start(source(&slapd.url()), None);
        after(&mut known, &feed.refresh().await);
        feed.cookie.clone()
    };
    change_unseen(&slapd);
    let mut feed = Watcher::start(source(&slapd.url()), cookie.clone());
    let refresh = feed.refresh().await;
    // Three entries changed and one is gone: nothing else is told.
    assert_eq!(told(&refresh).len(), 6, "{:?}", shown(&refresh));
    let mut once = known.clone();
    assert_eq!(after(&mut once, &refresh), fresh(&slapd).await);
    drop(feed);

    // The same cookie again, after the session log was lost: a present phase.
    slapd.restart();
    let mut feed = Watcher::start(source(&slapd.url()), cookie.clone());
    let refresh = feed.refresh().await;
    assert!(matches!(refresh.last(), Some(Event::InitDone { sweep: true, .. })));
    assert!(refresh.iter().any(|event| matches!(event, Event::InitKeep(_))) && listed(&refresh).len() == 3, "{:?}", shown(&refresh));
    assert_eq!(after(&mut known.clone(), &refresh), fresh(&slapd).await);
    drop(feed);

    // Another attribute list: the cookie is of no use, and all is read.
    let mut more = options(&slapd.url());
    more.attributes.push("description".to_owned());
    let mut feed = Watcher::start(Source::Ldap(more), cookie);
    let refresh = feed.refresh().await;
    assert_eq!(listed(&refresh).len(), 8, "{:?}", shown(&refresh));
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_that_the_server_cannot_use() {
    let slapd = Slapd::start(&corp());
    let mut feed = Watcher::start(source(&slapd.url()), None);
    feed.refresh().await;
    let good = String::from_utf8(feed.cookie.clone().unwrap().0).unwrap();
    let (head, csn) = good.split_once("csn=").unwrap();
    let year = &csn[..4];
    for bad in
        [good.replace(year, "2099"), format!("{head}csn=nonsense"), format!("{head}csn={}", csn.replace(year, "1999")), "x".to_owned()]
    {
        let mut feed = Watcher::start(source(&slapd.url()), Some(Cookie(bad.clone().into_bytes())));
        // A refresh that was begun with the bad cookie may be forgotten for another one.
        let refresh = until_done(&mut feed).await;
        let (all, _) = read(source(&slapd.url())).await.unwrap();
        let ids = |events: &[Event]| {
            let mut ids: Vec<ObjectId> = events
                .iter()
                .filter_map(|e| {
                    if let Event::InitApply(e) = e {
                        Some(e.id)
                    } else if let Event::InitKeep(id) = e {
                        Some(*id)
                    } else {
                        None
                    }
                })
                .collect();
            ids.sort();
            ids
        };
        assert_eq!(ids(&refresh), ids(&all), "{bad}");
        assert!(matches!(refresh.last(), Some(Event::InitDone { sweep: true, .. })), "{bad}");
        mark_or_again(&slapd, &bad);
        feed.until_applied(PARIS).await;
    }
}

fn mark_or_again(slapd: &Slapd, text: &str) {
    if slapd.search(PARIS, "(objectClass=dialcastPolicy)", &["1.1"]).is_empty() { mark(slapd, text) } else { mark_again(slapd, text) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_limit_is_not_the_end_of_the_list() {
    let slapd = Setup::new(corp()).database(&format!("limits dn.exact=\"{}\" size=5", Slapd::READER)).start();
    let mut feed = Watcher::start(Source::Ldap(account(&slapd.url(), Slapd::PASSWORD)), None);
    // `down` fails on an InitDone.
    for _ in 0..3 {
        let why = feed.down().await;
        assert!(why.contains("sizeLimitExceeded (4)") && why.contains("limits dn.exact"), "{why}");
    }
    let error = read(Source::Ldap(account(&slapd.url(), Slapd::PASSWORD))).await.unwrap_err();
    assert_eq!(error.faults()[0].code, "ldap.unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_the_server_leaves_out() {
    // slapadd without -w: contextCSN is older than these entries, and syncrepl leaves them out and answers success.
    let mut slapd = Slapd::start(&corp());
    slapd.stop();
    slapd.slapadd(&user(8, PARIS), &[]);
    slapd.restart();
    assert!(slapd.search(Slapd::SUFFIX, "(uid=u8)", &["1.1"]).contains("uid=u8"));
    let mut feed = Watcher::start(source(&slapd.url()), None);
    for _ in 0..2 {
        let why = feed.down().await;
        assert!(why.contains("it leaves out entries; load entries with `slapadd -w`"), "{why}");
    }
    // The next change makes slapd's contextCSN newer than all of them.
    mark(&slapd, "newer");
    assert_eq!(listed(&until_done(&mut feed).await).len(), 9);
}

/// The last of several refreshes: those before were forgotten.
async fn until_done(feed: &mut Watcher) -> Vec<Event> {
    let mut refresh = Vec::new();
    while !matches!(refresh.last(), Some(Event::InitDone { .. })) {
        let event = feed.event().await;
        if event == Event::Init {
            refresh.clear();
        }
        refresh.push(event);
    }
    refresh
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password() {
    let slapd = Slapd::start(&corp());
    let why = Watcher::start(Source::Ldap(account(&slapd.url(), "hunter2")), None).down().await;
    assert_eq!(
        why,
        "the bind as `cn=reader,dc=corp,dc=example` was refused: invalidCredentials (49); check directory.bind_dn, and the password in directory.password_file"
    );
    assert!(Watcher::start(Source::Ldap(account(&slapd.url(), Slapd::PASSWORD)), None).up().await.starts_with("OpenLDAP"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bases() {
    let slapd = Slapd::start(&corp());
    let host = format!("ldap://{}", slapd.address());
    // None in the URL: the server's only naming context.
    assert_eq!(listed(&read(source(&host)).await.unwrap().0).len(), 8);
    let error = read(source(&format!("{host}/dc=other"))).await.unwrap_err();
    insta::assert_snapshot!(error.faults()[0].to_string().replace(&slapd.address().to_string(), "HOST"), @"ldap://HOST/dc=other: the search below `dc=other` failed: noSuchObject (32); check the base DN in directory.url, and whether the account may read it");
    let part = read(source(&format!("{host}/ou=Berlin,dc=corp,dc=example"))).await.unwrap();
    assert_eq!(listed(&part.0).len(), 5);
    let down = read(source(&format!("ldap://127.0.0.1:{}", common::slapd::free_port()))).await.unwrap_err();
    assert!(down.faults()[0].what.contains("cannot connect to 127.0.0.1:"), "{down:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_enters_and_leaves_the_base() {
    let slapd = Slapd::start(&corp());
    let mut feed = Watcher::start(source(&format!("ldap://{}/{PARIS}", slapd.address())), None);
    feed.refresh().await;
    // The server tells of the unit alone.
    slapd.rename("ou=Berlin,dc=corp,dc=example", "ou=Berlin", Some(PARIS));
    mark(&slapd, "moved in");
    let mut names = shown(&feed.until_applied(PARIS).await);
    assert_eq!(names[0], format!("apply ou=Berlin,{PARIS}"));
    names.sort();
    let users: Vec<String> = (0..4).map(|n| format!("apply uid=u{n},ou=Berlin,{PARIS}")).collect();
    assert_eq!(names[2..], users);
    slapd.rename(&format!("ou=Berlin,{PARIS}"), "ou=Berlin", Some("dc=corp,dc=example"));
    mark_again(&slapd, "moved out");
    assert_eq!(shown(&feed.until_applied(PARIS).await), ["delete".to_owned(), format!("apply {PARIS}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still() {
    let slapd = Slapd::start(&corp());
    let mut quick = options(&slapd.url());
    quick.timers.ping_interval = Duration::from_millis(100);
    quick.timers.ping_timeout = Duration::from_millis(300);
    quick.timers.connect = Duration::from_millis(500);
    let mut feed = Watcher::start(Source::Ldap(quick), None);
    feed.refresh().await;
    // Several pings later it is still well: they are answered, and nothing is said of them.
    while let Ok(report) = tokio::time::timeout(Duration::from_millis(500), feed.next()).await {
        assert!(matches!(report, Report::Faults(_)), "{report:?}");
    }
    mark(&slapd, "well");
    feed.until_applied(PARIS).await;
    slapd.pause();
    let started = Instant::now();
    let why = feed.down().await;
    assert!(why.contains("has not answered for 300ms"), "{why}");
    assert!(started.elapsed() < Duration::from_secs(5));
    slapd.resume();
    feed.refresh().await;
    mark_again(&slapd, "back");
    feed.until_applied(PARIS).await;
}

/// A server that answers every request by octets of the test's choice.
async fn fake(answer: &'static [u8]) -> SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_make_the_library_panic() {
    // An ExtendedResponse in answer to a search: ldap3's driver panics. To us it is a connection that ended, and is tried again.
    let address = fake(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00").await;
    let mut feed = Watcher::start(source(&format!("ldap://{address}/dc=x")), None);
    for _ in 0..2 {
        let why = feed.down().await;
        assert!(why.starts_with("the LDAP library stopped: unrecognized op id: 24"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_speak_ldap() {
    let address = fake(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let mut quick = options(&format!("ldap://{address}/dc=x"));
    quick.timers.connect = Duration::from_millis(300);
    let why = Watcher::start(Source::Ldap(quick), None).down().await;
    assert!(why.contains("the query of the root DSE took longer than 300ms"), "{why}");
}

fn many(count: usize) -> String {
    let mut ldif = corp();
    for n in 0..count {
        ldif.push_str(&user(n + 1_000, PARIS));
    }
    ldif
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_store_makes_the_server_wait() {
    let slapd = Slapd::start(&many(30_000));
    let whole = {
        let proxy = Proxy::to(slapd.address()).await;
        read(source(&through(&proxy))).await.unwrap();
        proxy.forwarded()
    };
    let proxy = Proxy::to(slapd.address()).await;
    let mut feed = Watcher::with_room(source(&through(&proxy)), None, 1);
    feed.up().await;
    // Nobody takes the reports: the octets from the server come to a stop, short of the whole.
    let mut last = 0;
    let limit = Instant::now() + common::watcher::PATIENCE;
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    loop {
        ticks.tick().await;
        let now = proxy.forwarded();
        if now == last && now > 0 {
            break;
        }
        last = now;
        assert!(Instant::now() < limit);
    }
    // What waits is the queue, and what the system's socket buffers hold.
    assert!(last < whole, "{last} of {whole} octets");
    println!("a stalled store holds up the server after {last} of {whole} octets");
    assert_eq!(listed(&feed.refresh().await).len(), 30_008);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_entries() {
    let slapd = Slapd::start(&many(50_000));
    let mut feed = Watcher::with_room(source(&slapd.url()), None, 1_024);
    let started = Instant::now();
    let mut entries = 0;
    let mut progress = Vec::new();
    loop {
        match feed.next().await {
            Report::Event(Event::InitApply(_)) => entries += 1,
            Report::Event(Event::InitDone { .. }) => break,
            Report::Progress { entries } => progress.push(entries),
            Report::Down { why, .. } => panic!("{why}"),
            _ => {}
        }
    }
    let elapsed = started.elapsed();
    assert_eq!(entries, 50_008);
    assert_eq!(progress, [10_000, 20_000, 30_000, 40_000, 50_000]);
    println!("50,008 entries in {elapsed:?}: {:.0} entries/s", f64::from(entries) / elapsed.as_secs_f64());
    // And a change at the end of it.
    let started = Instant::now();
    mark(&slapd, "after");
    feed.until_applied(PARIS).await;
    println!("a change by ldapmodify, its process included: {:?}", started.elapsed());
}
