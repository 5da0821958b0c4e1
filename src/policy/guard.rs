//! The guard of users: a change that takes the account or the registrar from many of them at once is held.
//!
//! A directory account that loses a right, or a tool that goes astray, looks like an admin who deletes half the company: all of it at
//! once, in slices, or attribute by attribute. Whatever the way, users *lose* something, and losses are what is counted here. Everybody
//! else's changes pass, an ordinary reroute always.
//!
//! ```text
//!                       few in the window
//!  a loss ──► waiting ─────────────────────► passes
//!               │  ▲    or quiet for a while
//!               │  └── the user is well again: dissolves
//!               │ too many in the window
//!               ▼
//!             held ──── the user is well again: dissolves
//!               └────── released: passes
//! ```
//!
//! Losses that come one after the other are kept waiting for a moment, so that the first slice of a catastrophe does not go out
//! while the rest of it is still on its way. Phones keep their last good document meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use super::catalogue::Setting;
use super::outcome::{UserChange, Withholding};
use super::resolved::Resolved;
use super::value::Value;
use crate::model::{Aor, ObjectId};

/// From how many losses on a change is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardConfig {
    /// This many users may lose something within the window, whatever their share.
    pub users_min: usize,
    /// And this many of a hundred.
    pub users_percent: u32,
    /// Losses are counted together for so long: a directory that fails slice by slice fails all the same.
    pub window: Duration,
    /// When more than a handful came, the rest waits until there was no further loss for so long.
    pub patience: Duration,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self { users_min: 50, users_percent: 5, window: Duration::from_secs(600), patience: Duration::from_secs(2) }
    }
}

/// A tenth of what is allowed passes at once, so that an admin who deletes one user need not wait.
const HANDFUL: usize = 10;
/// Losses that go on and on wait this many times the patience at most.
const PATIENCE_MOST: u32 = 5;

/// What a user would lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// The entry is gone.
    Gone,
    /// The entry is there and does not have this address any more.
    Address,
    /// The directory has disabled the account.
    Disabled,
    /// No registrar is left.
    Registrar,
    /// A policy says that the phone is not to register the account (`account.enabled`).
    SwitchedOff,
    /// All telephone numbers.
    Number,
}

impl Loss {
    /// Every loss, the worst first.
    pub const ALL: [Self; 6] = [Self::Gone, Self::Address, Self::Disabled, Self::Registrar, Self::SwitchedOff, Self::Number];

    /// The name that is kept on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Address => "address",
            Self::Disabled => "disabled",
            Self::Registrar => "registrar",
            Self::SwitchedOff => "switched-off",
            Self::Number => "number",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "gone",
            Self::Address => "without the address",
            Self::Disabled => "disabled",
            Self::Registrar => "without a registrar",
            Self::SwitchedOff => "switched off by account.enabled",
            Self::Number => "without a telephone number",
        })
    }
}

/// What there is to lose of what is published at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Had {
    /// Telephone numbers.
    pub number: bool,
    /// An account that the phone registers.
    pub enabled: bool,
}

impl Had {
    /// What these settings give.
    pub fn of(resolved: &Resolved) -> Self {
        let is_off = |value: &Value| matches!(value, Value::Bool(false));
        Self {
            number: resolved.get(Setting::ACCOUNT_TEL).is_some(),
            enabled: !resolved.get(Setting::ACCOUNT_ENABLED).and_then(|decision| decision.values.first()).is_some_and(is_off),
        }
    }
}

/// A change that does not pass, for now.
#[derive(Debug, Clone)]
pub struct Detained {
    /// What would be lost.
    pub loss: Loss,
    /// What there was.
    pub had: Had,
    /// Whether it is held until somebody releases it; else it waits for a moment.
    pub is_held: bool,
    /// The newest that is known of the address.
    change: UserChange,
}

impl Detained {
    /// The user who had the address.
    pub fn user(&self) -> ObjectId {
        self.change.user()
    }
}

/// Decides which changes pass.
#[derive(Debug, Default)]
pub struct Guard {
    config: GuardConfig,
    detained: BTreeMap<Aor, Detained>,
    held: usize,
    /// Who lost something within the window, and when.
    recent: HashMap<Aor, Instant>,
    /// When the first and the last of those that wait came.
    waiting: Option<(Instant, Instant)>,
}

impl Guard {
    /// A guard that holds nothing.
    pub fn new(config: GuardConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Goes on with what was detained in another run: until its user is heard of, it counts as gone.
    pub fn restore(&mut self, now: Instant, aor: Aor, user: ObjectId, loss: Loss, had: Had, is_held: bool) {
        let change = UserChange::Gone { user, aor: aor.clone(), remains: loss != Loss::Gone, before: None };
        self.held += usize::from(is_held);
        if !is_held {
            self.waiting = Some((self.waiting.map_or(now, |(first, _)| first), now));
        }
        self.detained.insert(aor, Detained { loss, had, is_held, change });
    }

    /// Takes what a round changed, and gives what of it passes. `known`: how many users have a document, as far as the directory
    /// goes; asked only when it matters.
    pub fn judge(&mut self, now: Instant, changes: Vec<UserChange>, known: impl FnOnce() -> usize) -> Vec<UserChange> {
        let mut pass = Vec::with_capacity(changes.len());
        for change in changes {
            let Some(aor) = change.aor().cloned() else {
                pass.push(change);
                continue;
            };
            let detained = self.take(&aor);
            let had = detained.as_ref().map(|detained| detained.had).or_else(|| change.before().map(|before| Had::of(before)));
            let Some((had, loss)) = had.and_then(|had| Some((had, loss(&change, had)?))) else {
                self.recent.remove(&aor);
                pass.push(change);
                continue;
            };
            let is_held = detained.as_ref().is_some_and(|detained| detained.is_held);
            self.held += usize::from(is_held);
            if detained.is_none() {
                self.waiting = Some((self.waiting.map_or(now, |(first, _)| first), now));
            }
            self.detained.insert(aor, Detained { loss, had, is_held, change });
        }
        if self.waiting.is_some() {
            self.decide(now, known(), &mut pass);
        }
        pass
    }

    /// When [`Guard::settle`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        let patience = self.config.patience;
        self.waiting.map(|(first, last)| (last + patience).min(first + patience.saturating_mul(PATIENCE_MOST)))
    }

    /// Lets pass what has waited long enough.
    pub fn settle(&mut self, now: Instant, known: impl FnOnce() -> usize) -> Vec<UserChange> {
        let mut pass = Vec::new();
        if self.due().is_some_and(|due| due <= now) {
            self.decide(now, known(), &mut pass);
            if self.waiting.is_some() {
                self.let_go(now, &mut pass);
            }
        }
        pass
    }

    /// Dissolves losses of a registrar that are over without a word: whoever has the same settings again is not told of.
    pub fn reconcile(&mut self, is_published: impl Fn(&Aor) -> bool) {
        if !self.detained.is_empty() {
            self.detained.retain(|aor, detained| detained.loss != Loss::Registrar || !is_published(aor));
            self.recount();
        }
    }

    /// Gives everything that is held: somebody wants it so.
    pub fn release(&mut self) -> Vec<UserChange> {
        let held: Vec<Aor> = self.detained.iter().filter(|(_, detained)| detained.is_held).map(|(aor, _)| aor.clone()).collect();
        let changes = held.iter().filter_map(|aor| self.take(aor)).map(|detained| detained.change).collect();
        // What was confirmed does not count against what comes.
        self.recent.clear();
        self.recount();
        changes
    }

    /// Takes changes that somebody has confirmed: all pass, and none counts.
    pub fn confirm(&mut self, changes: Vec<UserChange>) -> Vec<UserChange> {
        for aor in changes.iter().filter_map(UserChange::aor) {
            self.take(aor);
        }
        self.recount();
        changes
    }

    /// How many users' changes are held.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Everything that does not pass for now, by address.
    pub fn detained(&self) -> impl Iterator<Item = (&Aor, &Detained)> {
        self.detained.iter()
    }

    /// Whether the change of an address does not pass for now.
    pub fn is_detained(&self, aor: &Aor) -> bool {
        self.detained.contains_key(aor)
    }

    /// How many users may lose something within the window, of so many.
    pub fn limit(&self, known: usize) -> usize {
        let share = u64::try_from(known).unwrap_or(u64::MAX).saturating_mul(self.config.users_percent.into()) / 100;
        self.config.users_min.max(usize::try_from(share).unwrap_or(usize::MAX))
    }

    fn take(&mut self, aor: &Aor) -> Option<Detained> {
        let detained = self.detained.remove(aor)?;
        self.held -= usize::from(detained.is_held);
        Some(detained)
    }

    fn decide(&mut self, now: Instant, known: usize, pass: &mut Vec<UserChange>) {
        let window = self.config.window;
        self.recent.retain(|_, at| now.saturating_duration_since(*at) < window);
        // Those that are lost count as well: they were users.
        let limit = self.limit(known + self.detained.len() + self.recent.len());
        let count = self.recent.len() + self.detained.len();
        if self.held > 0 || count > limit {
            for detained in self.detained.values_mut() {
                detained.is_held = true;
            }
            self.recount();
        } else if count <= (limit / HANDFUL).max(1) {
            self.let_go(now, pass);
        }
    }

    /// Lets everything pass that waits.
    fn let_go(&mut self, now: Instant, pass: &mut Vec<UserChange>) {
        let waiting: Vec<Aor> = self.detained.iter().filter(|(_, detained)| !detained.is_held).map(|(aor, _)| aor.clone()).collect();
        for aor in waiting {
            if let Some(detained) = self.take(&aor) {
                pass.push(detained.change);
                self.recent.insert(aor, now);
            }
        }
        self.recount();
    }

    fn recount(&mut self) {
        self.held = self.detained.values().filter(|detained| detained.is_held).count();
        if self.held == self.detained.len() {
            self.waiting = None;
        }
    }
}

/// What a change takes from whoever had this.
fn loss(change: &UserChange, had: Had) -> Option<Loss> {
    match change {
        UserChange::Gone { remains: false, .. } => Some(Loss::Gone),
        UserChange::Gone { remains: true, .. } => Some(Loss::Address),
        UserChange::Disabled { .. } => Some(Loss::Disabled),
        UserChange::Withheld { why: Withholding::NoRegistrar { .. }, .. } => Some(Loss::Registrar),
        UserChange::Withheld { why: Withholding::AddressTaken { .. }, .. } => None,
        UserChange::Resolved { now, .. } => {
            let has = Had::of(now);
            match () {
                () if had.enabled && !has.enabled => Some(Loss::SwitchedOff),
                () if had.number && !has.number => Some(Loss::Number),
                () => None,
            }
        }
    }
}
