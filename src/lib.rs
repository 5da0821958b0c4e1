//! Dialcast watches an enterprise directory and keeps every SIP phone configured.

pub mod directory;
pub mod model;
pub mod policy;
