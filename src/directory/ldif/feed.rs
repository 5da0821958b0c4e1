//! The feed: looks, compares with the last good state, tells what differs.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::diff::{all, diff};
use super::eyes::Eyes;
use super::files::{self, Look, Stamp, stamp};
use super::problem::{LdifError, LdifFault};
use super::settle::{Settle, Touch};
use super::tree::{Kept, Tree};
use crate::directory::{Cookie, Event, LdifOptions, Report};
use crate::model::Fault;

/// Reports the files' contents and every change of them, until nobody listens.
pub(in crate::directory) async fn watch(options: LdifOptions, resume: Option<Cookie>, out: mpsc::Sender<Report>) {
    let (mut eyes, mut touches) = Eyes::new(&options.path);
    let mut settle = Settle::new(options.debounce);
    let mut poll = interval(options.poll.max(Duration::from_millis(1)));
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut feed = Feed::new(options, resume.as_ref());
    loop {
        settle.looked();
        let heard = out.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let is_heard = feed.look(&mut |report| heard.blocking_send(report).is_ok());
            (feed, is_heard)
        });
        let is_heard;
        (feed, is_heard) = looking.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        if !is_heard {
            return;
        }
        loop {
            let due = settle.due().or_else(|| feed.unsettled.then(|| Instant::now() + feed.options.debounce));
            tokio::select! {
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => break,
                touch = touches.recv() => if let Some((path, touch)) = touch {
                    settle.touch(Instant::now(), &path, touch);
                },
                _ = poll.tick() => {
                    eyes.open();
                    // A file system that hangs, as one of the network may, must not hold up the other tasks.
                    let path = feed.options.path.clone();
                    let looking = tokio::task::spawn_blocking(move || stamp(&path).ok()).await;
                    if looking.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) != feed.stamp {
                        settle.touch(Instant::now(), &feed.options.path, Touch::Other);
                    }
                },
                () = out.closed() => return,
            }
        }
    }
}

/// One complete list.
pub(in crate::directory) fn read(path: &Path) -> Result<Vec<Event>, LdifError> {
    // A file that changes all the time is read as it is after a few tries.
    for _ in 0..10 {
        if let Look::Read(records) = files::read(path, &mut |_| {})? {
            let mut tree = Tree::adopt(&Tree::default(), &Kept::default(), records).map_err(|faults| LdifError { faults })?;
            let mut events = Vec::with_capacity(tree.nodes().len() + 2);
            first(&mut tree, &mut |event| {
                events.push(event);
                true
            });
            return Ok(events);
        }
    }
    Err(LdifError { faults: vec![LdifFault::of_file(path, super::LdifProblem::Unsettled)] })
}

/// Whoever listens; says whether it still does.
type Tell<'a, T> = &'a mut (dyn FnMut(T) -> bool + Send);

/// Tells the events of a first reading, one by one; the tree holds nothing of them afterwards.
fn first(tree: &mut Tree, tell: Tell<'_, Event>) -> bool {
    let cookie = tree.kept().to_cookie();
    let is_heard = tell(Event::Init) && all(tree).all(&mut *tell);
    tree.forget();
    is_heard && tell(Event::InitDone { sweep: true, cookie: Some(cookie) })
}

/// What has been told so far.
struct Feed {
    options: LdifOptions,
    /// The last good state; nothing before the first one.
    tree: Option<Tree>,
    /// Ids from the session before, for the first reading.
    kept: Kept,
    cookie: Option<Cookie>,
    /// Those reported last; nothing when nothing was reported yet.
    faults: Option<Vec<LdifFault>>,
    /// The files at the last look, as far as there were any.
    stamp: Option<Stamp>,
    /// Whether the last look came in the middle of a change.
    unsettled: bool,
}

impl Feed {
    fn new(options: LdifOptions, resume: Option<&Cookie>) -> Self {
        let kept = resume.map(Kept::from_cookie).unwrap_or_default();
        Self { options, tree: None, kept, cookie: None, faults: None, stamp: None, unsettled: false }
    }

    /// Reads the files, and tells what is new. False: nobody listens any more.
    fn look(&mut self, tell: Tell<'_, Report>) -> bool {
        self.stamp = stamp(&self.options.path).ok();
        self.unsettled = false;
        let mut progress = |entries: usize| {
            // Who does not listen any more is noticed at the next report.
            let _ = tell(Report::Progress { entries: entries as u64 });
        };
        let read = files::read(&self.options.path, &mut progress).map_err(|error| error.faults);
        let none = Tree::default();
        let old = self.tree.as_ref().unwrap_or(&none);
        let adopted = match read {
            Ok(Look::Unsettled) => {
                self.unsettled = true;
                return true;
            }
            Ok(Look::Read(records)) => Tree::adopt(old, &self.kept, records),
            Err(faults) => Err(faults),
        };
        match adopted {
            Ok(tree) => self.good(tree, tell),
            Err(faults) => self.bad(faults).into_iter().all(tell),
        }
    }

    fn good(&mut self, mut tree: Tree, tell: Tell<'_, Report>) -> bool {
        let mut reports = Vec::new();
        if self.faults.as_ref().is_none_or(|faults| !faults.is_empty()) {
            let what = format!("LDIF at {} ({} entries)", self.options.path.display(), tree.nodes().len());
            reports.push(Report::Up { what });
            reports.push(Report::Faults(Vec::new()));
            self.faults = Some(Vec::new());
        }
        let cookie = tree.kept().to_cookie();
        if let Some(old) = &self.tree {
            reports.extend(diff(old, &mut tree).into_iter().map(Report::Event));
            if self.cookie.as_ref() != Some(&cookie) {
                reports.push(Report::Event(Event::Checkpoint(cookie.clone())));
            }
        } else {
            if !reports.drain(..).all(&mut *tell) || !first(&mut tree, &mut |event| tell(Report::Event(event))) {
                return false;
            }
            self.kept = Kept::default();
        }
        self.cookie = Some(cookie);
        self.tree = Some(tree);
        reports.into_iter().all(tell)
    }

    /// What was read before stays in use. The same faults are not reported twice.
    fn bad(&mut self, faults: Vec<LdifFault>) -> Vec<Report> {
        if self.faults.as_ref() == Some(&faults) {
            return Vec::new();
        }
        let list: Vec<Fault> = faults.iter().map(LdifFault::to_fault).collect();
        let error = LdifError { faults };
        let state = if self.tree.is_some() { "what was read before stays in use" } else { "nothing was read yet" };
        let why = format!("{error}; {state}");
        self.faults = Some(error.faults);
        let retry_ms = u64::try_from(self.options.poll.as_millis()).unwrap_or(u64::MAX);
        vec![Report::Faults(list), Report::Down { why, retry_ms }]
    }
}
