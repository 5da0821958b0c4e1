//! The live feed: what changes, for whom, and how the phones take it, as it happens.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::control::EVENTS_MAX;
use super::holds::Hold;
use crate::document::{Profile, changes};
use crate::model::Dn;
use crate::policy::UserChange;
use crate::store::{Change, ChangeSet, Snapshot};
use crate::subscription::Wave;

/// How many objects and users of a change are named.
const NAMED_MAX: usize = 5;
/// How many settings of one user are shown.
const SETTINGS_MAX: usize = 20;

/// An event of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Live {
    /// From here on the reader hears everything; what is held already comes next.
    Watching { at_ms: u64 },
    /// The directory answers.
    Up { at_ms: u64, what: String },
    /// It does not.
    Down { at_ms: u64, why: String, retry_ms: u64 },
    /// Something changed for users.
    Change(LiveChange),
    /// How the phones take a change.
    Phones(LivePhones),
    /// Something is held, or there is more of it.
    Held { at_ms: u64, hold: Hold },
    /// A hold is over.
    Over { at_ms: u64, id: String },
    /// The reader was too slow: so many events are lost.
    Missed { count: u64 },
}

/// A change of the directory, or of what is held of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LiveChange {
    pub(super) at_ms: u64,
    /// Numbers changes; [`LivePhones`] refers to it.
    pub(super) change: u32,
    /// `directory`, `waited` (losses that passed after a moment) or `released`.
    pub(super) cause: String,
    /// The state of the directory.
    pub(super) generation: u64,
    /// How many objects changed, and some of them.
    pub(super) objects: usize,
    pub(super) names: Vec<String>,
    /// How many users have something new, and some of them.
    pub(super) users: usize,
    pub(super) examples: Vec<LiveUser>,
    /// From the first word of the directory to the decision to wait no longer, and from there to the notifier.
    pub(super) waited_ms: u64,
    pub(super) took_ms: u64,
    /// Whether nothing is sent.
    pub(super) staging: bool,
}

/// What a change does to a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LiveUser {
    pub(super) aor: String,
    /// `sip.expires: 600 → 300`, or what became of the account.
    pub(super) changes: Vec<String>,
}

/// How far a change has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LivePhones {
    pub(super) at_ms: u64,
    pub(super) change: u32,
    /// Subscriptions that it is for.
    pub(super) phones: u64,
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    /// Subscriptions that a newer change took along.
    pub(super) overtaken: u64,
    /// From the first word of the directory to the last 200 so far.
    pub(super) took_ms: Option<u64>,
    /// Whether nothing more is expected.
    pub(super) done: bool,
}

/// Where events go.
#[derive(Debug, Clone)]
pub(super) struct Feed(broadcast::Sender<Arc<str>>);

impl Feed {
    pub(super) fn new() -> Self {
        Self(broadcast::channel(EVENTS_MAX).0)
    }

    /// Whether anybody reads.
    pub(super) fn is_read(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<str>> {
        self.0.subscribe()
    }

    /// Tells an event to whoever reads.
    pub(super) fn tell(&self, event: impl FnOnce() -> Live) {
        if self.is_read()
            && let Ok(line) = serde_json::to_string(&event())
        {
            // The last reader may have left just now.
            let _ = self.0.send(line.into());
        }
    }
}

/// Now, in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Some of the objects of a change, by their names.
pub(super) fn names(snapshot: &Snapshot, sets: &[ChangeSet]) -> Vec<String> {
    let dn = |id| snapshot.dn(id).unwrap_or_default();
    let name = |change: &Change| -> Dn {
        match change {
            Change::Added(object) => dn(object.id),
            Change::Modified { after, .. } | Change::Moved { after, .. } => dn(after.id),
            Change::Removed { dn, .. } => dn.clone(),
            Change::Members { group, .. } => dn(*group),
        }
    };
    sets.iter().flat_map(|set| &set.changes).take(NAMED_MAX).map(|change| name(change).to_string()).collect()
}

/// Some of the users of a change, with what it does to them.
pub(super) fn examples(users: &[UserChange]) -> Vec<LiveUser> {
    let shown = |change: &UserChange| {
        let aor = change.aor()?.to_string();
        Some(LiveUser { aor, changes: effects(change) })
    };
    users.iter().filter_map(shown).take(NAMED_MAX).collect()
}

/// What a change does to its user.
fn effects(change: &UserChange) -> Vec<String> {
    match change {
        UserChange::Gone { remains: false, .. } => vec!["gone: an empty profile, and the end".to_owned()],
        UserChange::Gone { remains: true, .. } => vec!["no user has the address any more: an empty profile, and the end".to_owned()],
        UserChange::Disabled { .. } => vec!["disabled: an empty profile".to_owned()],
        UserChange::Withheld { why, .. } => vec![format!("withheld, since {why}: the last good profile stays")],
        UserChange::Resolved { before: None, .. } => vec!["a profile".to_owned()],
        UserChange::Resolved { now, before: Some(before) } => {
            let (old, new) = (Profile::from(&**before), Profile::from(&**now));
            changes(&old, &new).iter().take(SETTINGS_MAX).map(ToString::to_string).collect()
        }
    }
}

/// A wave as it is told. `since`: when the directory spoke first.
pub(super) fn phones(wave: &Wave, since: Instant, done: bool) -> LivePhones {
    let took = wave.last_answer.map(|at| u64::try_from(at.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX));
    LivePhones {
        at_ms: now_ms(),
        change: wave.number,
        phones: wave.phones,
        sent: wave.sent,
        answered: wave.answered,
        failed: wave.failed,
        overtaken: wave.overtaken,
        took_ms: took,
        done,
    }
}
