//! The dialects of LDAP servers. Now: `syncrepl`, OpenLDAP's (RFC 4533 refreshAndPersist).

mod decode;
mod failure;
mod sync;

pub use failure::LdapFailure;
