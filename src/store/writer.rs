//! The one writer.

use super::{ChangeSet, Snapshot};
use crate::directory::{Cookie, Event};
use crate::model::{Fault, Timestamp};

/// The tree's only writer: takes a feed's events, gives snapshots and change sets.
#[derive(Debug, Default)]
pub struct Store {
    live: Snapshot,
}

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// What really differs now; `None` when nothing does.
    pub changes: Option<ChangeSet>,
    /// The cookie that now describes the state, when the event brought one: to be kept together with the state.
    pub checkpoint: Option<Cookie>,
    /// What was wrong with the event.
    pub faults: Vec<Fault>,
}

impl Store {
    /// An empty, incomplete store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The state now.
    pub fn snapshot(&self) -> Snapshot {
        self.live.clone()
    }

    /// Takes one event. `at` is the time of the change, for people.
    pub fn apply(&mut self, event: Event, at: Timestamp) -> Applied {
        let _ = (event, at);
        Applied::default()
    }
}
