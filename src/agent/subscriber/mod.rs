//! A subscriber to `ua-profile` (RFC 6080, RFC 6665): one user's profile, kept up to date.
//!
//! ```text
//!  subscribe, unsubscribe ─▶ phase (what to do next) ─▶ ask (SUBSCRIBE, credentials) ─▶ poll_transmit
//!                              ▲          ▲
//!  handle_message ─────────────┤          └── answer (responses)
//!                              └── notify (NOTIFY: dialog, order, document) ──▶ poll_event
//! ```
//!
//! The machine goes on by itself: it refreshes before the time is over, answers challenges, takes what the server ends
//! and subscribes again where RFC 6665 §4.1.3 has it, and backs off as RFC 6080 §5.3.2 says. It stops when the server says
//! that coming back is of no use ([`Event::Over`]).

mod answer;
mod ask;
mod auth;
mod config;
mod dialog;
mod event;
mod machine;
mod notify;
mod phase;
#[cfg(test)]
mod tests;

pub use config::{Device, Login, ProfileType, SubscriberConfig};
pub use event::{Event, Failure, Outcome, Received};
pub use machine::Subscriber;
pub use phase::{Effect, Input, Phase};
