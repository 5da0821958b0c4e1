//! Stage 5: subscriptions. The notifier for the event package `ua-profile` (RFC 6080) as RFC 6665 has notifiers, sans-IO.
//!
//! ```text
//!  handle_message ──▶ answer, auth ──▶ subscribe ──▶ table ◀── publish, withdraw
//!                                                      │
//!                     phase (what to do next) ◀────────┤
//!                                                      ▼
//!  poll_transmit ◀── notify (whose turn, which way) ◀── pacing
//! ```
//!
//! Invariants: one NOTIFY in flight per subscription, and the newest document wins; nothing has an effect before its sender is
//! known; whoever proves nothing takes no memory, and gets over UDP no more than it sent; every queue is bounded by the number
//! of subscriptions, and that by the configuration.

mod answer;
mod asking;
mod auth;
mod config;
mod counters;
mod credentials;
mod dialog;
mod endpoint;
mod hop;
mod nonce;
mod notifier;
mod notify;
pub mod pacing;
pub mod phase;
mod places;
mod reason;
mod subscribe;
mod table;
mod wave;

pub use asking::Ask;
pub use config::{AuthMode, NotifierConfig, OnTimeout};
pub use counters::Counters;
pub use credentials::{Account, CredentialChanges, Credentials};
pub use endpoint::{Endpoint, EndpointState};
pub use notifier::Notifier;
pub use reason::Reason;
pub use wave::{Wave, Waves};

#[cfg(test)]
mod tests;
