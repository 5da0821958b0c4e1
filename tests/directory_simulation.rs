//! Random operations on a directory in memory, through each dialect's fake server: at the end the store is what the directory is.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and says its seed before")]

mod common {
    pub(crate) mod ber;
    pub(crate) mod fake_directory;
    pub(crate) mod mirror;
    pub(crate) mod model;
    pub(crate) mod watcher;
}

use std::time::{Duration, Instant};

use common::fake_directory::{FakeDirectory, Manner};
use common::mirror::Mirror;
use common::model::{Change, INSIDE, Model, SUFFIX, expected, id, name, seen};
use common::watcher::PATIENCE;
use dialcast::directory::{Entry, Event, LdapOptions, Source};
use dialcast::model::{Attributes, Timestamp};
use dialcast::store::Store;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::timeout;

/// An entry as a feed reports it.
fn told(model: &Model, number: u32) -> Entry {
    let entry = model.entry(number).unwrap();
    let mut attributes = Attributes::new();
    for (name, values) in model.attributes(entry) {
        attributes.add(name, values.into_iter().map(String::into_bytes));
    }
    Entry { id: id(number), dn: name(&model.dn(number)), attributes }
}

#[test]
fn the_model_and_the_store_agree() {
    for seed in 1..=30 {
        let mut model = Model::new(seed, 20);
        let mut store = Store::new();
        store.apply(Event::Init, Timestamp(0));
        for entry in model.below("dc=x") {
            store.apply(Event::InitApply(told(&model, entry.number)), Timestamp(0));
        }
        store.apply(Event::InitDone { sweep: true, cookie: None }, Timestamp(0));
        assert_eq!(seen(&store), expected(&model, "dc=x"), "seed {seed}");
        assert!(!model.below(INSIDE).is_empty());
        for step in 0..60 {
            for change in model.step() {
                let event = match change {
                    Change::Added(number) | Change::Modified(number) | Change::Moved { number, .. } => Event::Apply(told(&model, number)),
                    Change::Deleted(entry, _) => Event::Delete(id(entry.number)),
                };
                store.apply(event, Timestamp(0));
            }
            assert_eq!(seen(&store), expected(&model, "dc=x"), "seed {seed}, step {step}");
        }
    }
}

fn source(fake: &FakeDirectory, base: &str) -> Source {
    let mut options = LdapOptions::new(format!("ldap://{}/{base}", fake.address).parse().unwrap());
    options.timers.backoff_min = Duration::from_millis(1);
    options.timers.backoff_max = Duration::from_millis(20);
    options.timers.ping_interval = Duration::from_millis(20);
    options.timers.poll_every = Duration::from_millis(10);
    options.timers.poll_overlap = Duration::from_secs(1);
    options.timers.compare_every = Some(Duration::from_millis(50));
    Source::Ldap(options)
}

/// Follows until the store holds what the directory has.
async fn quiesce(mirror: &mut Mirror, fake: &FakeDirectory, base: &str, what: &str) {
    let there = fake.model(|model| expected(model, base));
    let end = Instant::now() + PATIENCE;
    while seen(&mirror.store) != there {
        let stepped = timeout(PATIENCE / 3, mirror.step()).await;
        let (are, told) = (seen(&mirror.store), &mirror.told);
        let (wrong, lack): (Vec<_>, Vec<_>) =
            (are.iter().filter(|line| !there.contains(line)).collect(), there.iter().filter(|line| !are.contains(line)).collect());
        assert!(stepped.is_ok() && Instant::now() < end, "{what}: told {told:#?}\nthere are wrongly {wrong:#?}\nthere lack {lack:#?}");
    }
    mirror.told.clear();
}

/// Random operations, and faults at random points: lines cut, a server that is away, a changelog trimmed, rights lost, a backup that
/// comes back, and restarts of ours.
async fn simulate(manner: Manner, base: &str, seed: u64) {
    let what = format!("{manner:?}, {base}, seed {seed}");
    println!("{what}");
    let fake = FakeDirectory::start(manner, Model::new(seed, 25)).await;
    let mut random = StdRng::seed_from_u64(seed ^ 0xfau64);
    let mut mirror = Mirror::with_room(source(&fake, base), usize::try_from(1 + seed % 64).unwrap());
    for round in 0..25 {
        for _ in 0..random.random_range(0..6) {
            fake.step();
            if random.random_range(0..3u8) == 0 {
                mirror.step_soon().await;
            }
        }
        match random.random_range(0..12u8) {
            0 => fake.cut(),
            1 => fake.close(true),
            2 => fake.close(false),
            3 => fake.trim(),
            4 => fake.hide(Some(&format!("ou=in,{SUFFIX}"))),
            5 => fake.hide(None),
            6 => fake.backup(),
            7 => drop(fake.restore()),
            8 => mirror.restart(source(&fake, base)),
            _ => {}
        }
        if random.random_range(0..4u8) == 0 {
            fake.close(false);
            fake.hide(None);
            quiesce(&mut mirror, &fake, base, &format!("{what}, round {round}")).await;
        }
    }
    fake.close(false);
    fake.hide(None);
    quiesce(&mut mirror, &fake, base, &format!("{what}, at the end")).await;
}

/// The number in `SEED`; or the first few, and those that showed a fault once.
fn seeds(count: u64, failed: &[u64]) -> Vec<u64> {
    let only = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    only.map_or_else(|| (1..=count).chain(failed.iter().copied()).collect(), |seed| vec![seed])
}

#[tokio::test(flavor = "multi_thread")]
async fn openldap() {
    for seed in seeds(8, &[118, 227]) {
        simulate(Manner::OpenLdap, SUFFIX, seed).await;
        simulate(Manner::OpenLdap, INSIDE, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ds389() {
    for seed in seeds(8, &[170]) {
        simulate(Manner::Ds389, SUFFIX, seed).await;
        simulate(Manner::Ds389, INSIDE, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn persistent_search() {
    for seed in seeds(8, &[140]) {
        simulate(Manner::PersistentSearch, SUFFIX, seed).await;
        simulate(Manner::PersistentSearch, INSIDE, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poll() {
    for seed in seeds(8, &[]) {
        simulate(Manner::Plain, SUFFIX, seed).await;
        simulate(Manner::Plain, INSIDE, seed).await;
    }
}
