//! Stage 1: feeds. One file per dialect, all yielding the events of [`event`].

mod event;

pub use event::{Cookie, Entry, Event, Report};
