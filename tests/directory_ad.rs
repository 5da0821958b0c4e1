//! Active Directory's dialect, against a real Samba domain controller for each test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod proxy;
    pub(crate) mod samba;
    pub(crate) mod slapd;
    pub(crate) mod watcher;
}

use std::fmt::Write as _;
use std::time::Duration;

use common::samba::Samba;
use common::watcher::{Watcher, listed};
use dialcast::directory::{Bind, Cookie, Dialect, Entry, Event, LdapOptions, Report, Source, read};
use dialcast::model::{ObjectId, Secret, Timestamp};
use dialcast::store::{Snapshot, Store};

const TOP: &str = Samba::SUFFIX;

fn options(url: &str, account: &str) -> LdapOptions {
    let mut options = LdapOptions::new(url.parse().unwrap());
    options.bind = Bind::Simple { dn: account.to_owned(), password: Secret::new(Samba::PASSWORD) };
    options.timers.backoff_max = Duration::from_millis(200);
    options
}

fn source(samba: &Samba) -> Source {
    Source::Ldap(options(&samba.url(), Samba::ADMIN))
}

fn unit(dn: &str) -> String {
    format!("dn: {dn}\nchangetype: add\nobjectClass: organizationalUnit\n\n")
}

fn user(n: usize, above: &str) -> String {
    format!("dn: CN=u{n},{above}\nchangetype: add\nobjectClass: user\nsAMAccountName: u{n}\nmail: u{n}@corp.example\n\n")
}

/// Two units, users 0 to 3 in Berlin.
fn corp() -> Samba {
    let samba = Samba::start();
    let mut records = unit(&format!("OU=Berlin,{TOP}")) + &unit(&format!("OU=Paris,{TOP}"));
    for n in 0..4 {
        write!(records, "{}", user(n, &format!("OU=Berlin,{TOP}"))).unwrap();
    }
    samba.modify(&records);
    samba
}

fn named<'e>(list: &'e [Event], dn: &str) -> &'e Entry {
    listed(list).into_iter().find(|entry| entry.dn.to_string() == dn).unwrap_or_else(|| panic!("{dn} is not in the list"))
}

/// What a feed tells until it has told all these things: `apply DN`, `gone ID`.
async fn until(feed: &mut Watcher, wanted: &[String]) -> Vec<String> {
    let mut told = Vec::new();
    while !wanted.iter().all(|want| told.contains(want)) {
        match feed.event().await {
            Event::Apply(entry) | Event::InitApply(entry) => told.push(format!("apply {}", entry.dn)),
            Event::Delete(id) => told.push(format!("gone {id}")),
            Event::InitDone { sweep, .. } => assert!(!sweep, "a whole list"),
            Event::Init | Event::Checkpoint(_) | Event::InitKeep(_) => {}
        }
    }
    told
}

fn apply(dn: &str) -> String {
    format!("apply {dn},{TOP}")
}

fn gone(id: ObjectId) -> String {
    format!("gone {id}")
}

#[tokio::test(flavor = "multi_thread")]
async fn full_list_then_live_changes() {
    let samba = corp();
    let mut feed = Watcher::start(source(&samba), None);
    let up = feed.up().await;
    assert!(
        up.starts_with("Samba Team") && up.contains(" ad at ldap://127.0.") && up.ends_with("DC1, everything: there is no state yet"),
        "{up}"
    );
    let list = feed.refresh().await;
    assert!(matches!(list.last(), Some(Event::InitDone { sweep: true, cookie: Some(_) })));
    let berlin = named(&list, &format!("OU=Berlin,{TOP}")).clone();
    let first = named(&list, &format!("CN=u0,OU=Berlin,{TOP}")).clone();
    assert_eq!(first.attributes.text("mail"), Some("u0@corp.example"));
    for name in ["objectSid", "primaryGroupID", "userAccountControl", "whenCreated"] {
        assert!(first.attributes.has(name), "{name}");
    }
    for name in ["objectGUID", "uSNChanged", "replPropertyMetaData", "pwdLastSet"] {
        assert!(!first.attributes.has(name), "{name}");
    }
    // Sites are read too, and the id is the one that the tools show.
    named(&list, "CN=Default-First-Site-Name,CN=Sites,CN=Configuration,DC=corp,DC=example");
    let shown = samba.search(TOP, &format!("(objectGUID={})", first.id), &["mail"]);
    assert!(shown.contains("mail: u0@corp.example"), "{shown}");

    samba.modify(&user(9, &format!("OU=Paris,{TOP}")));
    until(&mut feed, &[apply("CN=u9,OU=Paris")]).await;
    samba.modify(&format!("dn: CN=u9,OU=Paris,{TOP}\nchangetype: modify\nreplace: mail\nmail: nine@corp.example\n"));
    until(&mut feed, &[apply("CN=u9,OU=Paris")]).await;
    // A unit with four users below it: one event, and the same id.
    samba.rename(&format!("OU=Berlin,{TOP}"), "OU=Bonn", Some(&format!("OU=Paris,{TOP}")));
    assert_eq!(until(&mut feed, &[apply("OU=Bonn,OU=Paris")]).await, [apply("OU=Bonn,OU=Paris")]);
    samba.delete(&format!("CN=u0,OU=Bonn,OU=Paris,{TOP}"));
    assert_eq!(until(&mut feed, &[gone(first.id)]).await, [gone(first.id)]);
    samba.delete_tree(&format!("OU=Bonn,OU=Paris,{TOP}"));
    until(&mut feed, &[gone(berlin.id)]).await;
}

/// A feed and the store behind it.
struct Mirror {
    feed: Watcher,
    store: Store,
    /// Ends of lists so far, those that sweep.
    lists: usize,
    /// Those that tell changes alone.
    resumed: usize,
    downs: Vec<String>,
}

impl Mirror {
    fn start(options: LdapOptions) -> Self {
        Self::resume(options, Store::new(), None)
    }

    fn resume(options: LdapOptions, store: Store, cookie: Option<Cookie>) -> Self {
        Self { feed: Watcher::start(Source::Ldap(options), cookie), store, lists: 0, resumed: 0, downs: Vec::new() }
    }

    /// Ends the feed; what a daemon would keep.
    fn stop(self) -> (Store, Option<Cookie>) {
        let cookie = self.store.cookie().cloned();
        (self.store, cookie)
    }

    async fn step(&mut self) {
        match self.feed.next().await {
            Report::Event(event) => {
                match event {
                    Event::InitDone { sweep: true, .. } => self.lists += 1,
                    Event::InitDone { .. } => self.resumed += 1,
                    _ => {}
                }
                let applied = self.store.apply(event, Timestamp::default());
                assert!(applied.faults.is_empty(), "{:?}", applied.faults);
            }
            Report::Down { why, .. } => self.downs.push(why),
            _ => {}
        }
    }

    /// Takes reports until it is so.
    async fn until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            self.step().await;
        }
    }

    fn state(&self) -> Snapshot {
        self.store.snapshot()
    }

    fn id(&self, dn: &str) -> Option<ObjectId> {
        self.state().find(&dn.parse().unwrap())
    }

    fn mail(&self, dn: &str) -> Option<String> {
        let state = self.state();
        state.get(state.find(&dn.parse().unwrap())?)?.attributes.text("mail").map(str::to_owned)
    }

    fn fault(&self, code: &str) -> bool {
        self.feed.faults.iter().any(|fault| fault.code == code)
    }

    /// Holds the store against a fresh list.
    async fn check(&self, options: LdapOptions) {
        let (events, _) = read(Source::Ldap(options)).await.unwrap();
        let mut fresh = Store::new();
        for event in events {
            fresh.apply(event, Timestamp::default());
        }
        let shown = |state: &Snapshot| {
            let object = |object: &std::sync::Arc<dialcast::store::Object>| {
                (object.id, state.dn(object.id).unwrap().to_string().to_lowercase(), object.attributes.clone())
            };
            state.iter().filter(|object| !object.glue).map(object).collect::<Vec<_>>()
        };
        let (mine, fresh) = (shown(&self.state()), shown(&fresh.snapshot()));
        for (one, other) in mine.iter().zip(&fresh) {
            assert_eq!(one, other);
        }
        assert_eq!(mine.len(), fresh.len());
    }
}

fn admin(samba: &Samba) -> LdapOptions {
    options(&samba.url(), Samba::ADMIN)
}

fn reader(samba: &Samba) -> LdapOptions {
    options(&samba.url(), Samba::READER)
}

fn dn(rest: &str) -> String {
    format!("{rest},{TOP}")
}

fn set_mail(samba: &Samba, rest: &str, mail: &str) {
    samba.modify(&format!("dn: {}\nchangetype: modify\nreplace: mail\nmail: {mail}\n", dn(rest)));
}

/// What changes while nobody listens: all kinds of it.
fn change_all(samba: &Samba) {
    set_mail(samba, "CN=u1,OU=Berlin", "one@corp.example");
    samba.delete(&dn("CN=u0,OU=Berlin"));
    samba.modify(&(unit(&dn("OU=Nantes,OU=Paris")) + &user(7, &dn("OU=Nantes,OU=Paris"))));
    // The unit moves with its users into the new one, and the user of a unit that goes is saved before.
    samba.rename(&dn("OU=Berlin"), "OU=Bonn", Some(&dn("OU=Nantes,OU=Paris")));
    samba.rename(&dn("CN=u2,OU=Bonn,OU=Nantes,OU=Paris"), "CN=u2", Some(TOP));
}

async fn see_all(mirror: &mut Mirror) {
    mirror.until(|m| m.id(&dn("CN=u2")).is_some()).await;
    assert_eq!(mirror.mail(&dn("CN=u1,OU=Bonn,OU=Nantes,OU=Paris")).as_deref(), Some("one@corp.example"));
    assert!(mirror.id(&dn("CN=u3,OU=Bonn,OU=Nantes,OU=Paris")).is_some() && mirror.id(&dn("CN=u0,OU=Bonn,OU=Nantes,OU=Paris")).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_from_the_checkpoint() {
    let samba = corp();
    let mut mirror = Mirror::start(admin(&samba));
    mirror.until(|m| m.lists == 1).await;
    let (store, cookie) = mirror.stop();
    change_all(&samba);
    let mut mirror = Mirror::resume(admin(&samba), store, cookie);
    assert!(mirror.feed.up().await.ends_with("DC1, changes only"));
    mirror.until(|m| m.resumed == 1).await;
    see_all(&mut mirror).await;
    assert_eq!(mirror.lists, 0);
    mirror.check(admin(&samba)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loses_nothing() {
    let mut samba = corp();
    let mut mirror = Mirror::start(admin(&samba));
    mirror.until(|m| m.lists == 1).await;
    samba.kill();
    mirror.until(|m| !m.downs.is_empty()).await;
    samba.start_again();
    change_all(&samba);
    see_all(&mut mirror).await;
    assert_eq!((mirror.lists, mirror.resumed > 0), (1, true), "no second list");
    mirror.check(admin(&samba)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_no_use() {
    let samba = corp();
    let mut mirror = Mirror::start(admin(&samba));
    mirror.until(|m| m.lists == 1).await;
    let (_, cookie) = mirror.stop();
    let text = String::from_utf8(cookie.unwrap().0).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let with = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines.join("\n") + "\n"
    };
    let cases = [
        (with(3, "99999999"), "the domain controller's count went back"),
        (with(2, "597ae2f6-16a6-1027-98f4-d28b5365dc14"), "the domain controller was restored (another invocationId)"),
        (with(1, "CN=NTDS Settings,CN=DC2,CN=Servers"), "another domain controller than before"),
        (with(0, "ad 1 0000000000000000"), "the kept state is of another kind"),
        ("garbage".to_owned(), "the kept state is of another kind"),
        ("syncrepl 1 0000000000000000 rid=000".to_owned(), "the kept state is of another kind"),
    ];
    for (cookie, why) in cases {
        let mut feed = Watcher::start(source(&samba), Some(Cookie(cookie.into_bytes())));
        let up = feed.up().await;
        assert!(up.ends_with(&format!("DC1, everything: {why}")), "{up}");
        assert!(matches!(feed.refresh().await.last(), Some(Event::InitDone { sweep: true, .. })));
    }
}

/// The files are put back to what they were, and changes go on past the count of the checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_found_out() {
    let mut samba = corp();
    samba.stop();
    let kept = samba.keep();
    samba.start_again();
    let mut mirror = Mirror::start(admin(&samba));
    mirror.until(|m| m.lists == 1).await;
    set_mail(&samba, "CN=u1,OU=Berlin", "lost@corp.example");
    samba.modify(&user(8, &dn("OU=Berlin")));
    mirror.until(|m| m.id(&dn("CN=u8,OU=Berlin")).is_some()).await;
    samba.stop();
    mirror.until(|m| !m.downs.is_empty()).await;
    let (store, cookie) = mirror.stop();
    samba.put_back(&kept);
    samba.start_again();
    for n in 0..20 {
        set_mail(&samba, "CN=u3,OU=Berlin", &format!("new{n}@corp.example"));
    }
    let mut mirror = Mirror::resume(admin(&samba), store, cookie);
    let up = mirror.feed.up().await;
    assert!(up.ends_with("the domain controller went back and on another way"), "{up}");
    mirror.until(|m| m.lists == 1).await;
    assert_eq!(mirror.mail(&dn("CN=u1,OU=Berlin")).as_deref(), Some("u1@corp.example"));
    assert_eq!(mirror.mail(&dn("CN=u3,OU=Berlin")).as_deref(), Some("new19@corp.example"));
    assert!(mirror.id(&dn("CN=u8,OU=Berlin")).is_none());
    mirror.check(admin(&samba)).await;
}

/// An ordinary account sees no tombstones.
#[tokio::test(flavor = "multi_thread")]
async fn deletions_are_swept_where_they_are_not_told() {
    let samba = corp();
    let mut options = reader(&samba);
    options.timers.sweep_every = Duration::from_millis(300);
    let mut mirror = Mirror::start(options);
    mirror.until(|m| m.lists == 1 && m.fault("ldap.deletions-hidden")).await;
    samba.delete(&dn("CN=u0,OU=Berlin"));
    mirror.until(|m| m.id(&dn("CN=u0,OU=Berlin")).is_none()).await;
    set_mail(&samba, "CN=u1,OU=Berlin", "one@corp.example");
    mirror.until(|m| m.mail(&dn("CN=u1,OU=Berlin")).as_deref() == Some("one@corp.example")).await;
    mirror.check(reader(&samba)).await;

    // Once it may read them, deletions are told, and the fault is repaired.
    let trash = dn("CN=Deleted Objects");
    samba.allow_reader(&trash);
    samba.modify(&user(6, &dn("OU=Paris")));
    mirror.until(|m| !m.fault("ldap.deletions-hidden") || m.feed.faults.iter().all(|f| !f.what.contains(&format!("of {TOP}")))).await;
}

/// The right to read half of the tree goes, what is there changes unseen, and the right comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_lost_and_regained() {
    let samba = corp();
    let mut mirror = Mirror::start(reader(&samba));
    mirror.until(|m| m.lists == 1).await;
    let before = samba.deny_reader(&dn("OU=Berlin"));
    set_mail(&samba, "CN=u1,OU=Berlin", "unseen@corp.example");
    samba.modify(&user(5, &dn("OU=Paris")));
    mirror.until(|m| m.id(&dn("CN=u5,OU=Paris")).is_some()).await;
    assert_ne!(mirror.mail(&dn("CN=u1,OU=Berlin")).as_deref(), Some("unseen@corp.example"));
    samba.set_access(&dn("OU=Berlin"), &before);
    // Nobody tells that: the change of the unit's rules is the sign.
    mirror.until(|m| m.mail(&dn("CN=u1,OU=Berlin")).as_deref() == Some("unseen@corp.example")).await;
    mirror.check(reader(&samba)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_inside_the_domain() {
    let samba = corp();
    samba.modify(&(unit(&dn("OU=Team,OU=Berlin")) + &user(20, &dn("OU=Team,OU=Berlin"))));
    let inside = |samba: &Samba| {
        let mut options = admin(samba);
        options.base = Some(dn("OU=Paris").parse().unwrap());
        options
    };
    let mut mirror = Mirror::start(inside(&samba));
    mirror.until(|m| m.lists == 1).await;
    assert!(mirror.id(&dn("CN=u1,OU=Berlin")).is_none() && mirror.id(&dn("OU=Paris")).is_some());
    // In, with a unit and a user that say nothing themselves.
    samba.rename(&dn("OU=Berlin"), "OU=Berlin", Some(&dn("OU=Paris")));
    mirror.until(|m| m.id(&dn("CN=u20,OU=Team,OU=Berlin,OU=Paris")).is_some()).await;
    mirror.check(inside(&samba)).await;
    // The same while nobody listens: out, and another one in.
    let (store, cookie) = mirror.stop();
    samba.rename(&dn("OU=Team,OU=Berlin,OU=Paris"), "OU=Team", Some(TOP));
    samba.rename(&dn("OU=Team"), "OU=Crew", Some(&dn("OU=Paris")));
    samba.rename(&dn("OU=Berlin,OU=Paris"), "OU=Berlin", Some(TOP));
    let mut mirror = Mirror::resume(inside(&samba), store, cookie);
    mirror.until(|m| m.resumed == 1).await;
    assert!(mirror.id(&dn("CN=u1,OU=Berlin,OU=Paris")).is_none() && mirror.id(&dn("CN=u20,OU=Crew,OU=Paris")).is_some());
    mirror.check(inside(&samba)).await;
    // Out, and gone.
    samba.rename(&dn("OU=Crew,OU=Paris"), "OU=Crew", Some(TOP));
    mirror.until(|m| m.id(&dn("CN=u20,OU=Crew,OU=Paris")).is_none()).await;
    // The base itself gets another name: what was read stays.
    samba.rename(&dn("OU=Paris"), "OU=Lyon", None);
    mirror.until(|m| !m.downs.is_empty()).await;
    assert!(mirror.downs[0].contains("it was renamed, moved or deleted"), "{:?}", mirror.downs);
    assert!(mirror.id(&dn("OU=Paris")).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn sites_and_subnets_are_told() {
    let samba = corp();
    let mut mirror = Mirror::start(admin(&samba));
    mirror.until(|m| m.lists == 1).await;
    let sites = format!("CN=Sites,{}", Samba::CONFIGURATION);
    let site = format!("CN=Default-First-Site-Name,{sites}");
    samba.modify(&format!("dn: CN=10.1.0.0/16,CN=Subnets,{sites}\nchangetype: add\nobjectClass: subnet\nsiteObject: {site}\n"));
    let subnet = format!("CN=10.1.0.0/16,CN=Subnets,{sites}");
    mirror.until(|m| m.id(&subnet).is_some()).await;
    samba.delete(&subnet);
    mirror.until(|m| m.id(&subnet).is_none()).await;
    // The rest of the configuration is nobody's business.
    let id = |name: &str| mirror.id(&format!("{name},{}", Samba::CONFIGURATION));
    assert!(id("CN=Services").is_some() && id("CN=Partitions").is_none());
    mirror.check(admin(&samba)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_says_nothing() {
    let samba = corp();
    let mut options = admin(&samba);
    options.timers.ping_timeout = Duration::from_millis(500);
    options.timers.connect = Duration::from_millis(500);
    let mut mirror = Mirror::start(options);
    mirror.until(|m| m.lists == 1).await;
    samba.pause();
    mirror.until(|m| !m.downs.is_empty()).await;
    samba.resume();
    set_mail(&samba, "CN=u1,OU=Berlin", "one@corp.example");
    mirror.until(|m| m.mail(&dn("CN=u1,OU=Berlin")).as_deref() == Some("one@corp.example")).await;
    assert_eq!(mirror.lists, 1);
}

/// By DirSync, as an account that may not replicate.
#[tokio::test(flavor = "multi_thread")]
async fn by_dirsync() {
    let samba = corp();
    samba.allow_reader(&dn("CN=Deleted Objects"));
    samba.allow_reader(&format!("CN=Deleted Objects,{}", Samba::CONFIGURATION));
    let dirsync = |samba: &Samba| LdapOptions { dialect: Some(Dialect::DirSync), ..reader(samba) };
    let mut mirror = Mirror::start(dirsync(&samba));
    assert!(mirror.feed.up().await.contains(" ad-dirsync at "));
    mirror.until(|m| m.lists == 1).await;
    set_mail(&samba, "CN=u1,OU=Berlin", "live@corp.example");
    mirror.until(|m| m.mail(&dn("CN=u1,OU=Berlin")).as_deref() == Some("live@corp.example")).await;
    samba.delete(&dn("CN=u3,OU=Berlin"));
    mirror.until(|m| m.id(&dn("CN=u3,OU=Berlin")).is_none()).await;
    samba.modify(&user(3, &dn("OU=Berlin")));
    mirror.until(|m| m.id(&dn("CN=u3,OU=Berlin")).is_some()).await;
    let (store, cookie) = mirror.stop();
    change_all(&samba);
    let mut mirror = Mirror::resume(dirsync(&samba), store, cookie.clone());
    assert!(mirror.feed.up().await.ends_with("DC1, changes only"));
    see_all(&mut mirror).await;
    assert_eq!(mirror.lists, 0);
    mirror.check(dirsync(&samba)).await;
    // The other dialect's state is no use to this one.
    let mut feed = Watcher::start(Source::Ldap(reader(&samba)), cookie);
    assert!(feed.up().await.ends_with("the kept state is of another kind"));
}

/// A user is a member of its primary group, which does not list it.
#[tokio::test(flavor = "multi_thread")]
async fn primary_groups_are_memberships() {
    let samba = corp();
    let mut mirror = Mirror::start(admin(&samba));
    mirror.until(|m| m.lists == 1).await;
    let is_in = |m: &Mirror, user: &str, group: &str| {
        let (state, user, group) = (m.state(), m.id(&dn(user)), m.id(&dn(group)));
        user.zip(group).is_some_and(|(user, group)| state.members_deep(group).contains(&user))
    };
    assert!(is_in(&mirror, "CN=u1,OU=Berlin", "CN=Domain Users,CN=Users"));
    samba.modify(&format!(
        "dn: {}\nchangetype: add\nobjectClass: group\nsAMAccountName: crew\nmember: {}\n",
        dn("CN=crew,OU=Paris"),
        dn("CN=u1,OU=Berlin")
    ));
    let sid = samba.search(&dn("CN=crew,OU=Paris"), "(objectClass=group)", &["primaryGroupToken"]);
    let number = sid.lines().find_map(|line| line.strip_prefix("primaryGroupToken: ")).unwrap().to_owned();
    let record = format!("dn: {}\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: {number}\n", dn("CN=u1,OU=Berlin"));
    samba.modify(&record);
    // The server takes it out of the new group's list, and puts it into the old one's: it is in both.
    mirror
        .until(|m| m.state().get(m.id(&dn("CN=u1,OU=Berlin")).unwrap()).unwrap().attributes.text("primaryGroupID") == Some(&number))
        .await;
    assert!(is_in(&mirror, "CN=u1,OU=Berlin", "CN=crew,OU=Paris"));
    mirror.check(admin(&samba)).await;
}
