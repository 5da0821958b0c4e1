//! Dialcast watches an enterprise directory and keeps every SIP phone configured: the layout of the directory becomes
//! each user's settings, rendered to XML and pushed by SUBSCRIBE/NOTIFY the moment the layout changes.
//!
//! ```text
//!  directory ──► store ──► policy ──► document ──► subscription ──► sip ──► net ──► phone
//!  (feed)        (tree)    (resolve)  (render)     (who holds       (protocol)
//!                                                   what)
//! ```
//!
//! Each arrow is a plain value, and no stage imports a later one. Everything between the sockets is pure: time,
//! randomness and bytes come in as arguments. `docs/ARCHITECTURE.md` has the invariants, `tests/tidy.rs` their proof.
//!
//! The modules, in the order of the flow: the ground floor ([`model`], [`sip`]), the stages ([`directory`], [`store`],
//! [`policy`], [`document`], [`subscription`], [`net`]), the other end ([`agent`]), and what makes a program of it
//! ([`config`], [`runtime`], [`telemetry`]).

pub mod model;
pub mod sip;

pub mod directory;
pub mod store;

pub mod policy;

pub mod document;

pub mod subscription;

pub mod net;

pub mod agent;

pub mod config;
pub mod runtime;
pub mod telemetry;
