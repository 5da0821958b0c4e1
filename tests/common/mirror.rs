//! A store that follows a feed, and what a fresh list of the same directory gives.
//!
//! ```ignore
//! mod common { pub mod mirror; pub mod watcher; }
//! let mut mirror = Mirror::start(source.clone());
//! mirror.until("ou=a is there", |state| state.find(&name).is_some()).await;   // applies what the feed reports
//! mirror.restart(source.clone());                          // a new process, with the state and the cookie of the old one
//! assert_eq!(shown(&mirror.store), fresh(source).await);
//! ```

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a fixture fails its test by panicking")]

use std::collections::VecDeque;
use std::time::Instant;

use dialcast::directory::{Cookie, Event, Report, Source, read};
use dialcast::model::{Dn, Timestamp, Values};
use dialcast::store::{Snapshot, Store};

use super::watcher::{PATIENCE, Watcher};

/// Reports that are kept to be looked at.
const KEPT_MAX: usize = 100_000;

pub struct Mirror {
    pub feed: Watcher,
    pub store: Store,
    /// What was reported since the start or since they were last taken, in short.
    pub told: VecDeque<String>,
    /// Whether the newest cookie describes everything that was told.
    described: bool,
    /// Reports that may be on the way.
    room: usize,
}

impl Mirror {
    pub fn start(source: Source) -> Self {
        Self::with_room(source, 64)
    }

    /// With room for so many reports on the way: with little, the feed waits for us wherever it sends.
    pub fn with_room(source: Source, room: usize) -> Self {
        let feed = Watcher::with_room(source, None, room);
        Self { feed, store: Store::new(), told: VecDeque::new(), described: false, room }
    }

    /// A new feed with the state and the cookie that the store has now.
    pub fn restart(&mut self, source: Source) {
        self.restart_from(source, self.store.cookie().cloned());
    }

    /// The same with another cookie.
    pub fn restart_from(&mut self, source: Source, cookie: Option<Cookie>) {
        let snapshot = self.store.snapshot();
        let known = snapshot.iter().filter(|object| !object.glue).map(|object| object.id).collect();
        self.feed = Watcher::go_on(source, cookie.clone(), known, self.room);
        self.store = Store::resume(snapshot, cookie);
    }

    /// Applies the next report, if there is one within a moment.
    pub async fn step_soon(&mut self) {
        // Receiving can be cancelled without a loss.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(2), self.step()).await;
    }

    /// Applies the next report.
    pub async fn step(&mut self) {
        let Ok(report) = tokio::time::timeout(PATIENCE / 2, self.feed.next()).await else {
            panic!("nothing is told any more, after {:#?}", self.told);
        };
        if self.told.len() == KEPT_MAX {
            self.told.pop_front();
        }
        self.told.push_back(match &report {
            Report::Event(Event::Checkpoint(cookie)) => format!("checkpoint {cookie:?}"),
            Report::Event(event) => super::watcher::shown(std::slice::from_ref(event)).remove(0),
            Report::Up { what } => format!("up {what}"),
            Report::Down { why, .. } => format!("down {why}"),
            Report::Progress { entries } => format!("progress {entries}"),
            Report::Faults(faults) => format!("faults {faults:?}"),
        });
        if let Report::Event(event) = report {
            self.described = matches!(event, Event::InitDone { .. } | Event::Checkpoint(_));
            let applied = self.store.apply(event, Timestamp(0));
            let bad: Vec<_> = applied.faults.iter().filter(|fault| fault.code != "store.name-taken").collect();
            assert!(bad.is_empty(), "{bad:?}, after {:#?}", self.told);
        }
    }

    /// Applies reports until the state is so.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&Snapshot) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(&self.store.snapshot()) {
            assert!(Instant::now() < end, "not in time: {what}; told {:?}; there are {:#?}", self.told, shown(&self.store));
            self.step().await;
        }
    }

    /// Applies reports until an entry has this value.
    pub async fn until_value(&mut self, dn: &str, attribute: &str, value: &str) {
        let name: Dn = dn.parse().unwrap();
        let has = |state: &Snapshot| {
            state.find(&name).and_then(|id| state.get(id).cloned()).is_some_and(|object| object.attributes.text(attribute) == Some(value))
        };
        self.until(&format!("{dn} has {attribute}: {value}"), has).await;
    }

    /// Applies reports up to the next one that begins so, and returns it.
    pub async fn until_told(&mut self, begin: &str) -> String {
        let end = Instant::now() + PATIENCE;
        self.told.clear();
        loop {
            assert!(Instant::now() < end, "not in time: {begin}; told {:?}", self.told);
            self.step().await;
            if let Some(told) = self.told.back().filter(|told| told.starts_with(begin)) {
                return told.clone();
            }
        }
    }

    /// Applies reports until a cookie describes the state as it is.
    pub async fn until_checkpoint(&mut self) {
        while !self.described {
            self.step().await;
        }
    }

    /// Applies reports until there is what a list gives that is read now: nothing may change meanwhile.
    pub async fn until_fresh(&mut self, source: Source) {
        let there = fresh(source).await;
        let end = Instant::now() + PATIENCE;
        while shown(&self.store) != there {
            assert!(
                Instant::now() < end,
                "not in time; told {:?}; there are {:#?}; there should be {there:#?}",
                self.told,
                shown(&self.store)
            );
            self.step().await;
        }
    }

    pub fn has(&self, dn: &str) -> bool {
        self.store.snapshot().find(&dn.parse().unwrap()).is_some()
    }
}

/// Every object with its name and attributes, in a form that can be compared and read.
pub fn shown(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot();
    let value = |values: Values<'_>| {
        let mut values: Vec<_> = values.iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect();
        values.sort();
        values.join("|")
    };
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

/// The same of a list that is read now.
pub async fn fresh(source: Source) -> Vec<String> {
    let mut store = Store::new();
    let (events, _) = read(source).await.unwrap_or_else(|error| panic!("{error}: {:?}", error.faults()));
    for event in events {
        assert!(!matches!(event, Event::Checkpoint(_)));
        store.apply(event, Timestamp(0));
    }
    shown(&store)
}
