//! The dialects of LDAP servers: each in a folder or file of its own, all by the same connection and to the same outlet.
//!
//! [`LdapFailure`] says what can go wrong. A failure never means that entries are gone: only a list that was completed does.

mod ad;
mod backoff;
mod changelog;
mod clock;
mod connect;
mod decode;
mod dialect;
mod doctor;
mod failure;
mod faults;
mod feed;
mod identity;
mod kerberos;
mod ledger;
mod listing;
mod locate;
mod outlet;
mod plain;
mod poll;
mod psearch;
mod queue;
mod refresh;
mod roll;
mod session;
mod syncrepl;
mod tls;
mod vitals;
mod wire;

pub use dialect::Dialect;
pub(super) use doctor::examine;
pub use failure::LdapFailure;
pub(super) use feed::{read, watch};
pub use kerberos::environment as kerberos_environment;
