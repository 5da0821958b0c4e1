//! Active Directory's dialects against a fake controller that behaves as documented where Samba is laxer; random operations on a
//! model, on a line that is cut: at the end the store is what the directory is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod fake_ad;
    pub(crate) mod model;
    pub(crate) mod proxy;
    pub(crate) mod tlv;
    pub(crate) mod watcher;
}

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::fake_ad::{FakeAd, Limits, State};
use common::model::{INSIDE, Model, SUFFIX, expected, seen};
use common::proxy::Proxy;
use common::watcher::Watcher;
use dialcast::directory::{Dialect, Event, LdapOptions, Report, Source};
use dialcast::model::{ObjectId, Timestamp};
use dialcast::store::Store;
use rand::Rng as _;

fn options(url: &str) -> LdapOptions {
    let mut options = LdapOptions::new(url.parse().unwrap());
    options.timers.backoff_min = Duration::from_millis(1);
    options.timers.backoff_max = Duration::from_millis(5);
    options.timers.look_every = Duration::from_millis(50);
    options
}

/// A feed and the store behind it.
struct Mirror {
    feed: Watcher,
    store: Store,
    lists: usize,
    /// By entry, the count in the text that was told last: it must never go back.
    told: BTreeMap<ObjectId, u64>,
    /// Why the feed was down last.
    down: String,
}

impl Mirror {
    fn start(options: LdapOptions, store: Store) -> Self {
        let cookie = store.cookie().cloned();
        Self { feed: Watcher::start(Source::Ldap(options), cookie), store, lists: 0, told: BTreeMap::new(), down: String::new() }
    }

    async fn step(&mut self) {
        match self.feed.next().await {
            Report::Event(event) => {
                if let Event::Apply(entry) | Event::InitApply(entry) = &event {
                    let text = entry.attributes.text("mail").unwrap_or_default();
                    let count = text.strip_prefix('v').and_then(|rest| rest.split('@').next()?.parse().ok()).unwrap_or(0);
                    let before = self.told.insert(entry.id, count).unwrap_or(0);
                    assert!(before <= count, "{} was told as of {before}, and then as of {count}", entry.dn);
                }
                self.lists += usize::from(matches!(event, Event::InitDone { sweep: true, .. }));
                let applied = self.store.apply(event, Timestamp::default());
                assert!(applied.faults.is_empty(), "{:?}", applied.faults);
            }
            Report::Down { why, .. } => self.down = why,
            _ => {}
        }
    }

    /// Takes reports until the store is what the model is.
    async fn agree(&mut self, model: &Model, base: &str, what: &str) {
        let wanted = expected(model, base);
        let agreed = async {
            while self.store.cookie().is_none() || seen(&self.store) != wanted {
                self.step().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(20), agreed).await;
        assert!(in_time.is_ok(), "{what}: they do not agree ({})\n{}", self.down, difference(&wanted, &seen(&self.store)));
    }
}

fn difference(wanted: &[String], seen: &[String]) -> String {
    let missing = wanted.iter().filter(|line| !seen.contains(line)).map(|line| format!("missing {line}"));
    let over = seen.iter().filter(|line| !wanted.contains(line)).map(|line| format!("over    {line}"));
    missing.chain(over).collect::<Vec<_>>().join("\n")
}

/// What the account may and may not do, and what happens while it reads.
#[derive(Clone, Copy, Default)]
struct Hardship {
    /// Tombstones are out of sight.
    hidden_deletions: bool,
    /// Operations come between two pages too.
    between_pages: bool,
}

/// Random operations; the line is cut, the feed is ended and goes on, both at any time.
async fn simulate(seed: u64, base: &str, hardship: Hardship, change: impl Fn(&mut LdapOptions)) {
    let model = Model::new(seed, 40);
    let dc = FakeAd::start(Limits::default(), 1).await;
    dc.load(&model);
    let model = Arc::new(Mutex::new(model));
    dc.set(|state| state.sees_deleted = !hardship.hidden_deletions);
    // No more than so many: a directory where every page brings a change is never read to its end.
    let budget = Arc::new(AtomicU32::new(0));
    if hardship.between_pages {
        let (model, budget) = (Arc::clone(&model), Arc::clone(&budget));
        let between = move |state: &mut State| {
            if budget.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                let mut model = model.lock().unwrap();
                let changes = model.step();
                state.change(&model, &changes);
            }
        };
        dc.set(|state| state.between = Some(Box::new(between)));
    }
    let mut proxy = Proxy::to(dc.address).await;
    let mut options = options(&format!("ldap://{}/{base}", proxy.address()));
    change(&mut options);
    let mut mirror = Mirror::start(options.clone(), Store::new());
    let operate = |count: u32| {
        for _ in 0..count {
            // Both at once: nobody reads between an operation and its being there.
            dc.set(|state| {
                let mut model = model.lock().unwrap();
                let changes = model.step();
                state.change(&model, &changes);
            });
        }
        dc.notify();
    };
    for step in 0..60 {
        budget.store(3, Ordering::SeqCst);
        let (count, what) = {
            let random = &mut model.lock().unwrap().random;
            (random.random_range(1..4), random.random_range(0..12u8))
        };
        operate(count);
        match what {
            0 => {
                proxy.cut();
                operate(1);
                proxy.mend().await;
            }
            // Ended in the middle of anything, and gone on from what a daemon would have kept.
            1 => {
                let store = std::mem::take(&mut mirror.store);
                mirror = Mirror::start(options.clone(), Store::resume(store.snapshot(), store.cookie().cloned()));
            }
            2 | 3 => mirror.step().await,
            4 => {
                budget.store(0, Ordering::SeqCst);
                let model = model.lock().unwrap().clone();
                mirror.agree(&model, base, &format!("seed {seed}, step {step}")).await;
            }
            _ => {}
        }
    }
    budget.store(0, Ordering::SeqCst);
    let model = model.lock().unwrap().clone();
    mirror.agree(&model, base, &format!("seed {seed}, at the end")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_operations_end_in_the_same_tree() {
    for seed in 1..=12 {
        simulate(seed, SUFFIX, Hardship::default(), |_| ()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_inside_sees_what_enters_and_leaves() {
    for seed in 101..=112 {
        simulate(seed, INSIDE, Hardship::default(), |_| ()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_out_of_sight_are_swept() {
    let hardship = Hardship { hidden_deletions: true, ..Hardship::default() };
    for seed in 201..=206 {
        for base in [SUFFIX, INSIDE] {
            simulate(seed, base, hardship, |options| options.timers.sweep_every = Duration::from_millis(60)).await;
        }
    }
}

/// Containers are renamed, entries moved and groups changed while they are being read.
#[tokio::test(flavor = "multi_thread")]
async fn changes_between_pages() {
    let hardship = Hardship { between_pages: true, ..Hardship::default() };
    for seed in 301..=312 {
        for base in [SUFFIX, INSIDE] {
            simulate(seed, base, hardship, |options| options.timers.relist_every = Duration::from_millis(200)).await;
        }
    }
}

/// The same, and what changed is told by DirSync, in parts.
#[tokio::test(flavor = "multi_thread")]
async fn random_operations_by_dirsync() {
    for seed in 401..=408 {
        let hardship = Hardship { between_pages: seed % 2 == 0, ..Hardship::default() };
        for base in [SUFFIX, INSIDE] {
            simulate(seed, base, hardship, |options| options.dialect = Some(Dialect::DirSync)).await;
        }
    }
}

/// Two controllers, each behind the other now and then; admins write to both.
async fn two_controllers(seed: u64, base: &str) {
    let mut model = Model::new(seed, 30);
    let (first, second) = (FakeAd::start(Limits::default(), 1).await, FakeAd::start(Limits::default(), 2).await);
    first.load(&model);
    second.pull(&first);
    let mut proxy = Proxy::to(first.address).await;
    let mut options = options(&format!("ldap://{}/{base}", proxy.address()));
    options.also = vec![second.url("").trim_end_matches('/').parse().unwrap()];
    let mut mirror = Mirror::start(options, Store::new());
    let mut last = 0;
    for step in 0..50 {
        let at = model.random.random_range(0..2u8);
        let (here, there) = if at == 0 { (&first, &second) } else { (&second, &first) };
        // Whoever writes has what was written before: two who write the same at once is another story.
        if std::mem::replace(&mut last, at) != at {
            here.pull(there);
        }
        let changes = model.step();
        here.change(&model, &changes);
        match model.random.random_range(0..10u8) {
            0 => {
                proxy.cut();
                proxy.mend().await;
            }
            1 | 2 => there.pull(here),
            // There may be nothing to tell until it is replicated.
            3..=5 => drop(tokio::time::timeout(Duration::from_millis(30), mirror.step()).await),
            6 => {
                there.pull(here);
                mirror.agree(&model, base, &format!("seed {seed}, step {step}")).await;
            }
            _ => {}
        }
    }
    first.pull(&second);
    second.pull(&first);
    mirror.agree(&model, base, &format!("seed {seed}, at the end")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_controller_tells_is_not_undone() {
    for seed in 501..=510 {
        for base in [SUFFIX, INSIDE] {
            two_controllers(seed, base).await;
        }
    }
}

/// A change at the other controller is told before it is replicated; one that is never replicated is given up.
#[tokio::test(flavor = "multi_thread")]
async fn another_controller_is_quicker_than_replication() {
    let mut model = Model::new(1, 0);
    let (first, second) = (FakeAd::start(Limits::default(), 1).await, FakeAd::start(Limits::default(), 2).await);
    first.load(&model);
    second.pull(&first);
    let mut options = options(&first.url(SUFFIX));
    options.also = vec![second.url("").trim_end_matches('/').parse().unwrap()];
    options.timers.refresh_stall = Duration::from_secs(2);
    let mut mirror = Mirror::start(options, Store::new());
    mirror.agree(&model, SUFFIX, "at first").await;
    let old = model.clone();
    // The other one is listened to from the moment of its note; until then a change may fall before that moment.
    loop {
        let change = model.edit(2);
        second.change(&model, &[change]);
        if tokio::time::timeout(Duration::from_millis(300), mirror.step()).await.is_ok() && seen(&mirror.store) == expected(&model, SUFFIX)
        {
            break;
        }
    }
    // It never comes: after two seconds the first one's word counts.
    mirror.agree(&old, SUFFIX, "given up").await;
    // And with the other one away, all goes on.
    first.pull(&second);
    mirror.agree(&model, SUFFIX, "replicated").await;
}
