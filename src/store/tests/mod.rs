//! The store against what a reader of its documentation would expect, and against a naive model of it.

mod chaos;
mod groups;
mod guard;
mod model;
mod refresh;
pub(super) mod support;
mod tree;
