//! Stage 3: what a setting is, and how each user's settings are decided.

pub mod catalogue;
pub mod value;
mod value_access;
mod value_dial;
mod value_place;
mod value_text;
mod value_time;
mod value_uri;
