//! Dialcast watches an enterprise directory and keeps every SIP phone configured.

pub mod agent;
pub mod directory;
pub mod document;
pub mod model;
pub mod net;
pub mod policy;
pub mod sip;
pub mod store;
pub mod subscription;
