//! The feed, and beginning it anew when what it told so far is not to be gone on from.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::info;

use crate::directory::{self, Cookie, Report, Resume, Source};

/// Orders that may wait: one is as good as many.
const ORDERS_MAX: usize = 1;
/// The longest pause between two full readings of a directory in which something is held.
const PAUSE_MOST: Duration = Duration::from_secs(3600);
/// No sooner than this after the one before.
const PAUSE_LEAST: Duration = Duration::from_secs(5);

/// Where the order to read everything comes from.
pub(super) struct Feed {
    orders: mpsc::Receiver<Option<Cookie>>,
    source: Source,
}

/// Orders that everything be read anew.
#[derive(Debug)]
pub(super) struct Again {
    orders: mpsc::Sender<Option<Cookie>>,
    /// Whether the cookie says which ids the source's entries have, and not how far it was read: an LDIF file is always read in full.
    keeps_cookie: bool,
    every: Duration,
    pause: Duration,
    due: Option<Instant>,
    last: Option<Instant>,
}

/// The feed of a source, and its orders. `every`: the first pause before a directory in which something is held is read in full.
pub(super) fn feed(source: Source, every: Duration) -> (Feed, Again) {
    let (sender, orders) = mpsc::channel(ORDERS_MAX);
    let keeps_cookie = matches!(source, Source::Ldif(_));
    let again = Again { orders: sender, keeps_cookie, every, pause: every, due: None, last: None };
    (Feed { orders, source }, again)
}

/// Reports the directory until nobody listens.
pub(super) async fn run(mut feed: Feed, mut resume: Resume, reports: mpsc::Sender<Report>) {
    loop {
        tokio::select! {
            () = directory::go_on(feed.source.clone(), resume, reports.clone()) => return,
            Some(cookie) = feed.orders.recv() => resume = Resume { cookie, known: None },
        }
    }
}

impl Again {
    /// Something is held, or nothing: while it is, everything is read again from time to time. A directory that gives back what it
    /// hid tells nobody.
    pub(super) fn watch(&mut self, is_held: bool, now: Instant) {
        if !is_held {
            (self.due, self.pause) = (None, self.every);
        } else if self.due.is_none() {
            self.due = Some(now + self.pause);
        }
    }

    /// The feed has just told a part of what is there: the directory may be well again, and only a full list shows it.
    pub(super) fn soon(&mut self, now: Instant) {
        let soonest = self.last.map_or(now, |last| last + PAUSE_LEAST.min(self.every));
        self.due = Some(self.due.map_or(soonest, |due| due.min(soonest.max(now))));
    }

    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Reads everything anew, if it is time.
    pub(super) fn order(&mut self, now: Instant, cookie: Option<&Cookie>) {
        if self.due.is_some_and(|due| due <= now) {
            info!("the directory is read in full once more");
            // An order that waits is the same one.
            let _ = self.orders.try_send(self.cookie(cookie));
            self.pause = self.pause.saturating_mul(2).min(PAUSE_MOST.max(self.every));
            (self.last, self.due) = (Some(now), Some(now + self.pause));
        }
    }

    /// What may be gone on from while something is held.
    pub(super) fn cookie(&self, cookie: Option<&Cookie>) -> Option<Cookie> {
        cookie.filter(|_| self.keeps_cookie).cloned()
    }
}
