//! Stage 3: what a setting is, and how each user's settings are decided.

mod calendar;
pub mod catalogue;
mod grammar;
mod identity;
mod layers;
mod object;
mod personal;
mod resolve;
mod resolved;
mod server_object;
mod sources;
mod spread;
pub mod value;
mod value_access;
mod value_dial;
mod value_place;
mod value_text;
mod value_time;
mod value_uri;
mod witness;

pub use grammar::Operator;
pub use identity::IdentityConfig;
pub use layers::Layer;
pub use resolved::{Decision, Resolved, ResolvedSet, Source};
