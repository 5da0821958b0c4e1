//! Stage 1: feeds. One folder per dialect, all yielding the events of [`Event`].

mod event;
pub mod ldap;
pub mod ldif;
mod options;
mod server_url;

pub use event::{Cookie, Entry, Event, Report};
pub use options::{Bind, LdapOptions, LdifOptions, OptionsError, Source, SourceError, Timers, TlsOptions};
pub use server_url::{ServerUrl, UrlError};
/// Attributes.
pub const ATTRIBUTES: &[&str] = &[];
