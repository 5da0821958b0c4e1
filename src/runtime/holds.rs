//! What is held, for people: each with its id, since when, why, what of, and what to do.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::model::{Dn, ObjectId, Timestamp};
use crate::policy::{Guard, Loss};
use crate::store::{Quarantine, Snapshot, Suspicion};

/// How many of what is held are named.
const EXAMPLES_MAX: usize = 5;
/// How often the log says again that something is held.
const REPEAT: Duration = Duration::from_secs(900);

/// What a hold is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HoldKind {
    /// Objects that a list of the directory does not name.
    Objects,
    /// Users who would lose their account, registrar or numbers.
    Users,
}

/// Something held, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// What `dialcast release` takes.
    pub(crate) id: String,
    /// When it rose, in milliseconds since 1970.
    pub(crate) since_ms: u64,
    pub(crate) kind: HoldKind,
    /// Why.
    pub(crate) what: String,
    pub(crate) count: usize,
    pub(crate) examples: Vec<String>,
    pub(crate) remedy: String,
}

/// A hold that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    number: u64,
    since_ms: u64,
}

/// Which holds are open, and since when.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Holds {
    last: u64,
    objects: Option<Open>,
    users: Option<Open>,
    #[serde(skip)]
    told_at: Option<Instant>,
}

/// What is held now.
#[derive(Clone, Copy)]
pub(super) struct Held<'a> {
    pub(super) quarantine: Option<&'a Quarantine>,
    pub(super) guard: &'a Guard,
    pub(super) snapshot: &'a Snapshot,
}

/// What became of holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) raised: Vec<String>,
    pub(super) dissolved: Vec<String>,
}

impl Holds {
    /// Opens and closes holds by what is held now.
    pub(super) fn update(&mut self, held: Held<'_>, at: Timestamp) -> News {
        let mut news = News::default();
        let Self { last, objects, users, .. } = self;
        for (open, is_held) in [(objects, held.quarantine.is_some()), (users, held.guard.held() > 0)] {
            if is_held && open.is_none() {
                *last += 1;
                news.raised.push(format!("h{last}"));
                *open = Some(Open { number: *last, since_ms: at.0 });
            } else if !is_held && let Some(open) = open.take() {
                news.dissolved.push(open.id());
            }
        }
        news
    }

    /// Whether nothing is held.
    pub(super) const fn is_empty(&self) -> bool {
        self.objects.is_none() && self.users.is_none()
    }

    /// Which kind has this id.
    pub(super) fn kind(&self, id: &str) -> Option<HoldKind> {
        let is = |open: &Option<Open>| open.as_ref().is_some_and(|open| open.id() == id.trim());
        if is(&self.objects) { Some(HoldKind::Objects) } else { is(&self.users).then_some(HoldKind::Users) }
    }

    /// Everything that is held.
    pub(super) fn list(&self, held: Held<'_>) -> Vec<Hold> {
        let objects = self.objects.as_ref().zip(held.quarantine).map(|(open, quarantine)| objects(open, quarantine, held.snapshot));
        let users = self.users.as_ref().filter(|_| held.guard.held() > 0).map(|open| users(open, held.guard));
        objects.into_iter().chain(users).collect()
    }

    /// Whether the log is to say again what is held; if so it counts as said.
    pub(super) fn repeat(&mut self, now: Instant) -> bool {
        let is_due = !self.is_empty() && self.told_at.is_none_or(|at| now.saturating_duration_since(at) >= REPEAT);
        if is_due {
            self.told_at = Some(now);
        }
        is_due
    }

    /// When it is to be said again.
    pub(super) fn repeat_at(&self) -> Option<Instant> {
        self.told_at.filter(|_| !self.is_empty()).map(|at| at + REPEAT)
    }

    /// Something new is said at once.
    pub(super) const fn say(&mut self) {
        self.told_at = None;
    }
}

impl Open {
    fn id(&self) -> String {
        format!("h{}", self.number)
    }
}

fn objects(open: &Open, quarantine: &Quarantine, snapshot: &Snapshot) -> Hold {
    let top = |id: &&ObjectId| {
        let parent = snapshot.get(**id).and_then(|object| object.parent);
        !parent.is_some_and(|parent| quarantine.objects.contains(&parent))
    };
    let tops = quarantine.objects.iter().filter(top).take(EXAMPLES_MAX);
    let examples = tops.filter_map(|id| snapshot.dn(*id)).map(|dn| dn.to_string()).collect();
    let remedy = match &quarantine.why {
        Suspicion::Canary { dn } => format!(
            "look whether Dialcast's account still reads {dn} and what is named here; if the canary was deleted or renamed on purpose, change guards.canaries. \
             `dialcast release {}` deletes what is held",
            open.id()
        ),
        Suspicion::Many { .. } | Suspicion::Partial => format!(
            "look whether Dialcast's account still reads them (a lost right, a size limit, a replica that is not complete). If they were deleted on \
             purpose: `dialcast release {}`",
            open.id()
        ),
    };
    Hold {
        id: open.id(),
        since_ms: open.since_ms,
        kind: HoldKind::Objects,
        what: quarantine.why.to_string(),
        count: quarantine.objects.len(),
        examples,
        remedy,
    }
}

fn users(open: &Open, guard: &Guard) -> Hold {
    let held = || guard.detained().filter(|(_, detained)| detained.is_held);
    let mut what = format!("{} users would lose their account, registrar or numbers:", guard.held());
    let mut separator = "";
    for loss in Loss::ALL {
        let count = held().filter(|(_, detained)| detained.loss == loss).count();
        if count > 0 {
            let _ = write!(what, "{separator} {count} {loss}");
            separator = ",";
        }
    }
    Hold {
        id: open.id(),
        since_ms: open.since_ms,
        kind: HoldKind::Users,
        what,
        count: guard.held(),
        examples: held().take(EXAMPLES_MAX).map(|(aor, _)| aor.to_string()).collect(),
        remedy: format!(
            "look whether Dialcast's account still reads these users and their attributes, and what was changed; their phones keep the last good document. \
             If it is meant: `dialcast release {}`",
            open.id()
        ),
    }
}

/// A quarantine on disk.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedQuarantine {
    canary: Option<String>,
    vanished: usize,
    limit: usize,
    objects: Vec<String>,
}

impl SavedQuarantine {
    pub(super) fn of(quarantine: &Quarantine) -> Self {
        let objects = quarantine.objects.iter().map(ToString::to_string).collect();
        match &quarantine.why {
            Suspicion::Canary { dn } => Self { canary: Some(dn.to_string()), vanished: 0, limit: 0, objects },
            Suspicion::Many { vanished, limit } => Self { canary: None, vanished: *vanished, limit: *limit, objects },
            Suspicion::Partial => Self { canary: None, vanished: objects.len(), limit: 0, objects },
        }
    }

    pub(super) fn restore(self) -> Quarantine {
        let why = match self.canary.and_then(|dn| dn.parse::<Dn>().ok()) {
            Some(dn) => Suspicion::Canary { dn },
            None => Suspicion::Many { vanished: self.vanished, limit: self.limit },
        };
        Quarantine { why, objects: self.objects.iter().filter_map(|id| id.parse().ok()).collect() }
    }
}
