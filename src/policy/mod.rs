//! Stage 3: what a setting is, and how each user's settings are decided.

mod addresses;
mod aim;
mod calendar;
mod candidates;
pub mod catalogue;
mod device;
mod engine;
mod explain;
mod explain_reason;
mod explain_text;
mod faults;
mod find;
mod grammar;
mod guard;
mod identity;
mod impact;
mod layers;
mod network;
mod object;
mod outcome;
mod personal;
mod recorder;
mod redact;
mod relevant;
mod resolve;
mod resolved;
mod server_object;
mod settle;
mod sources;
mod spread;
mod stale;
mod stead;
mod told;
pub mod value;
mod value_access;
mod value_dial;
mod value_place;
mod value_text;
mod value_time;
mod value_uri;
mod wanted;
mod witness;

pub(crate) use calendar::rfc3339;
pub use engine::{Engine, PolicyConfig};
pub use explain::{Applied, Entry, Explained, Explanation, Located, Loser, Nearest, Provenance, Sourced, explain};
pub use find::{FindError, find_user};
pub use grammar::Operator;
pub use guard::{Detained, Guard, GuardConfig, Had, Loss};
pub use identity::IdentityConfig;
pub use layers::Layer;
pub use outcome::{Later, Outcome, UserChange, Withholding};
pub use resolved::{Decision, Resolved, ResolvedSet, Source};
pub use wanted::Answer;

#[cfg(test)]
mod tests;
