//! The dialects of LDAP servers. Now: `syncrepl`, OpenLDAP's (RFC 4533 refreshAndPersist).
//!
//! [`LdapFailure`] says what can go wrong. A failure never means that entries are gone: only a list that was completed does.

mod backoff;
mod complete;
mod connect;
mod decode;
mod envelope;
mod failure;
mod faults;
mod feed;
mod queue;
mod session;
mod sync;
mod wire;

pub use failure::LdapFailure;
pub(super) use feed::{read, watch};
