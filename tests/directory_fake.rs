//! What OpenLDAP does not do on demand, from a server that is scripted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod fake_ldap;
    pub(crate) mod watcher;
}

use std::sync::Arc;
use std::time::Duration;

use common::fake_ldap::{FakeLdap, Reply};
use common::watcher::{Watcher, shown};
use dialcast::directory::{Event, LdapOptions, Report, Source, read};
use dialcast::model::{ObjectId, Severity};
use tokio::sync::Notify;

const ONE: &str = "rid=000,csn=20260101000003.000001Z#000000#000#000000";
const TWO: &str = "rid=000,csn=20260101000003.000002Z#000000#000#000000";

fn source(fake: &FakeLdap) -> Source {
    let mut options = LdapOptions::new(format!("ldap://{}/dc=x", fake.address).parse().unwrap());
    options.timers.backoff_max = Duration::from_millis(200);
    options.timers.ping_interval = Duration::from_millis(40);
    options.timers.refresh_stall = Duration::from_millis(400);
    Source::Ldap(options)
}

fn id(n: u8) -> ObjectId {
    ObjectId::from_bytes([n; 16])
}

fn list() -> Vec<Reply> {
    vec![Reply::Entry(1, 1, "dc=x", None), Reply::Entry(1, 2, "cn=a,dc=x", None), Reply::RefreshDone { present: false, cookie: ONE }]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_cookie_is_dropped_at_once() {
    // RFC 4533 §3.5; and OpenLDAP's answer to a cookie from its future.
    for code in [4096, 53] {
        dropped_at_once(code).await;
    }
}

async fn dropped_at_once(code: u16) {
    // RFC 4533 §3.5: e-syncRefreshRequired, when a session begins, and in the middle of one.
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let fake = FakeLdap::start("test", &[1, 2], move |search, cookie| match (search, cookie) {
        (0, false) => [list(), vec![Reply::Wait(Arc::clone(&wait)), Reply::Done(4096)]].concat(),
        (1 | 3, false) => list(),
        (2, true) => vec![Reply::Done(code)],
        _ => Vec::new(),
    })
    .await;
    let mut feed = Watcher::start(source(&fake), None);
    feed.refresh().await;
    gate.notify_one();
    // `refresh` takes no Down for an event; the next report after InitDone is that of a new session.
    let mut reports = Vec::new();
    while !matches!(reports.last(), Some(Report::Event(Event::InitDone { .. }))) {
        reports.push(feed.next().await);
    }
    assert!(!reports.iter().any(|report| matches!(report, Report::Down { .. })), "{reports:?}");
    let mut again = Watcher::start(source(&fake), feed.cookie.clone());
    drop(feed);
    let mut events = Vec::new();
    while !matches!(events.last(), Some(Event::InitDone { .. })) {
        events.push(again.event().await);
    }
    assert_eq!(shown(&events), ["init", "init", "list dc=x", "list cn=a,dc=x", "done, sweep"]);
    assert_eq!(fake.searches(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_always_wants_a_refresh_is_not_asked_all_the_time() {
    let fake = FakeLdap::start("test", &[], |_, _| vec![Reply::Done(4096)]).await;
    let mut feed = Watcher::start(source(&fake), None);
    assert!(feed.down().await.contains("the server refuses its own cookies"));
    feed.down().await;
    assert!(fake.searches() < 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_calls_the_roll() {
    // The server takes the cookie for up to date and tells of nothing; one of three entries is gone all the same.
    let fake =
        FakeLdap::start("test", &[1], |_, cookie| if cookie { vec![Reply::RefreshDone { present: false, cookie: ONE }] } else { list() })
            .await;
    let mut feed = Watcher::start(source(&fake), None);
    feed.refresh().await;
    let mut again = Watcher::start(source(&fake), feed.cookie.clone());
    let refresh = again.refresh().await;
    assert_eq!(refresh[..2], [Event::Init, Event::InitKeep(id(1))]);
    assert_eq!(shown(&refresh), ["init", "keep", "done, sweep"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_stalls() {
    // As 389 Directory Server at its size limit: no result, and pings are answered.
    let fake = FakeLdap::start("test", &[], |_, _| vec![Reply::Entry(1, 1, "dc=x", None)]).await;
    let why = Watcher::start(source(&fake), None).down().await;
    assert!(why.starts_with("the refresh has stood still for 400ms after 1 entries; lift the size limit"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_cannot_be_read_are_faults_and_not_losses() {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let fake = FakeLdap::start("test", &[], move |_, _| {
        vec![
            Reply::Entry(1, 1, "dc=x", None),
            Reply::Entry(1, 2, "nonsense", None),
            Reply::Reference("ldap://other/dc=y"),
            Reply::RefreshDone { present: true, cookie: ONE },
            Reply::Wait(Arc::clone(&wait)),
            Reply::Entry(2, 2, "cn=a,dc=x", Some(TWO)),
        ]
    })
    .await;
    let mut feed = Watcher::start(source(&fake), None);
    let refresh = feed.refresh().await;
    assert_eq!(shown(&refresh), ["init", "list dc=x", "keep", "done, sweep"]);
    let faults = feed.next_faults().await;
    assert_eq!(
        faults.iter().map(|f| (f.severity, f.code)).collect::<Vec<_>>(),
        [(Severity::Error, "ldap.dn"), (Severity::Note, "ldap.referral")]
    );
    gate.notify_one();
    feed.until_applied("cn=a,dc=x").await;
    assert_eq!(feed.next_faults().await.len(), 1);
    // The same in one list: the faults come with it.
    assert_eq!(read(source(&fake)).await.unwrap().1.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_comes_alone() {
    let fake = FakeLdap::start("test", &[], |_, _| [list(), vec![Reply::NewCookie(TWO)]].concat()).await;
    let mut feed = Watcher::start(source(&fake), None);
    feed.refresh().await;
    feed.checkpoint().await;
    assert!(feed.cookie.clone().unwrap().0.ends_with(TWO.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_389_without_a_changelog_is_read_in_full_each_time() {
    let fake = FakeLdap::start("389 Project", &[1, 2], |_, _| list()).await;
    let mut feed = Watcher::start(source(&fake), None);
    assert_eq!(shown(&feed.refresh().await), ["init", "list dc=x", "list cn=a,dc=x", "done, sweep"]);
    assert_eq!(feed.cookie, None);
}
