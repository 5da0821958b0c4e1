//! Dialcast watches an enterprise directory and keeps every SIP phone configured.

pub mod directory;
pub mod document;
pub mod model;
pub mod policy;
pub mod store;
