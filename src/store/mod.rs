//! Stage 2: the directory as a tree in memory.
//!
//! An [`Object`] is known by its stable id; it holds its parent's id and its own RDN, and nothing else of its name. DNs
//! are derived, so an OU that moves is one changed object, whatever hangs below it. There is one writer, [`Store`], which
//! takes the feed's events; readers hold [`Snapshot`]s, which are cheap to clone and never change. Every applied
//! event answers with a [`ChangeSet`] of what really differs.
//!
//! No I/O, no clock: the time of a change comes in as an argument, and [`saved`] turns a snapshot into bytes and back.

mod change;
mod dense;
mod groups;
mod guard;
mod membership;
mod name;
mod object;
mod place;
mod primary;
mod refresh;
mod restore;
pub mod saved;
mod snapshot;
#[cfg(test)]
mod tests;
mod tree;
mod values;
mod whole;
mod writer;

pub use change::{Change, ChangeSet};
pub use groups::Member;
pub use guard::{Quarantine, Suspicion, SweepGuard};
pub use object::Object;
pub use snapshot::Snapshot;
pub use writer::{Applied, Store};
