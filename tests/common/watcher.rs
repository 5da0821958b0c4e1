//! A feed that runs, and what it reports: waits for reports, each for a limited time.
//!
//! ```ignore
//! mod common { pub mod watcher; }
//! let mut feed = Watcher::start(source, None);
//! let list = feed.refresh().await;          // events from Init to InitDone
//! let events = feed.until_applied("cn=a,…").await;   // events up to the Apply of that entry, Checkpoints left out
//! feed.cookie                               // the newest told
//! feed.down().await                         // why, of the next Down
//! ```

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a fixture fails its test by panicking")]

use std::time::Duration;

use dialcast::directory::{Cookie, Entry, Event, Report, Resume, Source, go_on, watch};
use dialcast::model::{Dn, Fault, ObjectId};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How long a test waits for what must come: far more than it takes, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Watcher {
    reports: mpsc::Receiver<Report>,
    task: AbortHandle,
    pub cookie: Option<Cookie>,
    pub faults: Vec<Fault>,
}

impl Watcher {
    pub fn start(source: Source, resume: Option<Cookie>) -> Self {
        Self::with_room(source, resume, 64)
    }

    /// With room for so many reports on the way.
    pub fn with_room(source: Source, resume: Option<Cookie>, room: usize) -> Self {
        let (out, reports) = mpsc::channel(room);
        let task = tokio::spawn(watch(source, resume, out)).abort_handle();
        Self { reports, task, cookie: None, faults: Vec::new() }
    }

    /// Goes on from a state with these entries.
    pub fn go_on(source: Source, cookie: Option<Cookie>, known: Vec<ObjectId>, room: usize) -> Self {
        let (out, reports) = mpsc::channel(room);
        let task = tokio::spawn(go_on(source, Resume { cookie, known: Some(known) }, out)).abort_handle();
        Self { reports, task, cookie: None, faults: Vec::new() }
    }

    pub async fn next(&mut self) -> Report {
        let report = timeout(PATIENCE, self.reports.recv()).await.expect("a report in time").expect("the feed runs");
        match &report {
            Report::Event(Event::InitDone { cookie: Some(cookie), .. } | Event::Checkpoint(cookie)) => self.cookie = Some(cookie.clone()),
            Report::Faults(faults) => self.faults.clone_from(faults),
            _ => {}
        }
        report
    }

    pub async fn event(&mut self) -> Event {
        loop {
            if let Report::Event(event) = self.next().await {
                return event;
            }
        }
    }

    /// The next refresh, from `Init` to `InitDone`. Whatever is told before is an error.
    pub async fn refresh(&mut self) -> Vec<Event> {
        let mut events = vec![self.event().await];
        assert_eq!(events, [Event::Init]);
        while !matches!(events.last(), Some(Event::InitDone { .. })) {
            events.push(self.event().await);
        }
        events
    }

    /// Events up to the one that applies this entry; Checkpoints are left out.
    pub async fn until_applied(&mut self, dn: &str) -> Vec<Event> {
        let dn: Dn = dn.parse().unwrap();
        let mut events = Vec::new();
        loop {
            match self.event().await {
                Event::Checkpoint(_) => {}
                event => {
                    let last = matches!(&event, Event::Apply(entry) if entry.dn == dn);
                    events.push(event);
                    if last {
                        return events;
                    }
                }
            }
        }
    }

    /// Waits for a cookie that covers all events so far.
    pub async fn checkpoint(&mut self) {
        while !matches!(self.event().await, Event::Checkpoint(_)) {}
    }

    /// Why, of the next Down. Events before it are an error.
    pub async fn down(&mut self) -> String {
        loop {
            match self.next().await {
                Report::Down { why, .. } => return why,
                Report::Event(event @ (Event::InitDone { .. } | Event::Apply(_) | Event::Delete(_))) => panic!("{event:?}"),
                _ => {}
            }
        }
    }

    /// What, of the next Up.
    pub async fn up(&mut self) -> String {
        loop {
            if let Report::Up { what } = self.next().await {
                return what;
            }
        }
    }

    /// The faults of the next report of them.
    pub async fn next_faults(&mut self) -> Vec<Fault> {
        loop {
            if let Report::Faults(faults) = self.next().await {
                return faults;
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Events as short lines: `apply ou=a,dc=x`, `delete UUID`, `done sweep`.
pub fn shown(events: &[Event]) -> Vec<String> {
    let one = |event: &Event| match event {
        Event::Init => "init".to_owned(),
        Event::InitApply(entry) => format!("list {}", entry.dn),
        Event::InitKeep(_) => "keep".to_owned(),
        Event::InitDone { sweep, .. } => format!("done{}", if *sweep { ", sweep" } else { "" }),
        Event::Apply(entry) => format!("apply {}", entry.dn),
        Event::Delete(_) => "delete".to_owned(),
        Event::Checkpoint(_) => "checkpoint".to_owned(),
    };
    events.iter().map(one).collect()
}

/// The entries of a refresh.
pub fn listed(events: &[Event]) -> Vec<&Entry> {
    events.iter().filter_map(|event| if let Event::InitApply(entry) = event { Some(entry) } else { None }).collect()
}
