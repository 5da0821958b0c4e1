//! Stage 1: feeds. One folder per dialect, all yielding the events of [`Event`].
//!
//! [`watch`] runs a feed for as long as somebody listens; [`read`] gives one complete list. What holds of every dialect:
//! no change is lost across a reconnect, a restart of the server or an expired cookie; an incomplete list is never passed
//! off as complete; and a failure never looks like a deletion.

mod attributes;
mod error;
mod event;
mod examine;
pub mod ldap;
pub mod ldif;
mod options;
mod secret_file;
mod server_url;

pub use attributes::ATTRIBUTES;
pub use error::DirectoryError;
pub use event::{Cookie, Entry, Event, Report, Resume};
pub use examine::{Examined, Finding, Verdict, Wants, examine};
pub use ldap::Dialect;
pub use options::{
    Bind, ClientCertificate, LdapOptions, LdifOptions, LocateOptions, OptionsError, Source, SourceError, Timers, TlsOptions,
};
pub use secret_file::{SecretError, SecretFile, credential_path};
pub use server_url::{ServerUrl, UrlError};

use tokio::sync::mpsc;

use crate::model::Fault;

/// Reports a directory and every change of it, until the receiver is dropped.
///
/// `resume` is the cookie that was stored together with the state which the receiver has; none when it has no state.
/// Failures are reported as [`Report::Down`] and tried again.
pub async fn watch(source: Source, resume: Option<Cookie>, out: mpsc::Sender<Report>) {
    match source {
        Source::Ldif(options) => ldif::watch(options, resume, out).await,
        Source::Ldap(options) => ldap::watch(options, Resume { cookie: resume, known: None }, out).await,
    }
}

/// The same for a receiver that has a state already.
pub async fn go_on(source: Source, resume: Resume, out: mpsc::Sender<Report>) {
    match source {
        Source::Ldif(options) => ldif::watch(options, resume.cookie, out).await,
        Source::Ldap(options) => ldap::watch(options, resume, out).await,
    }
}

/// One complete list, from `Init` to `InitDone`, and the faults of the source's entries.
///
/// # Errors
/// No complete list can be had: LDIF with a fault anywhere, a server that cannot be reached or read.
pub async fn read(source: Source) -> Result<(Vec<Event>, Vec<Fault>), DirectoryError> {
    match source {
        Source::Ldif(options) => {
            let reading = tokio::task::spawn_blocking(move || ldif::read(&options.path)).await;
            let read = reading.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            Ok((read?, Vec::new()))
        }
        Source::Ldap(options) => {
            let url = options.url.to_string();
            ldap::read(options).await.map_err(|failure| DirectoryError::Ldap { url, failure })
        }
    }
}
