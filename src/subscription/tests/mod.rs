//! The notifier from outside: messages in, messages out.

mod answers;
mod auth;
mod bench;
mod dialogs;
mod limits;
mod notifies;
mod places;
mod speed;
mod ways;
mod world;

use bench::{Ask, Bench};
