//! Why no list could be had.

use std::fmt;

use miette::Diagnostic;
use thiserror::Error;

use super::ldap::LdapFailure;
use super::ldif::{LdifError, LdifFault};
use crate::model::Fault;

/// No complete list of the directory could be had.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The LDIF has faults: all of them, each with its file, line and column.
    #[error(transparent)]
    Ldif(#[from] LdifError),
    /// The server could not be reached or read.
    #[error("the directory at {url} could not be read")]
    Ldap {
        /// Its URL.
        url: String,
        /// At which step, and why.
        #[source]
        failure: LdapFailure,
    },
}

impl DirectoryError {
    /// The same as faults, one at least.
    pub fn faults(&self) -> Vec<Fault> {
        match self {
            Self::Ldif(error) => error.faults.iter().map(LdifFault::to_fault).collect(),
            Self::Ldap { url, failure } => vec![failure.to_fault(url)],
        }
    }
}

impl Diagnostic for DirectoryError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match self {
            Self::Ldif(_) => None,
            Self::Ldap { failure, .. } => Some(Box::new(failure.remedy())),
        }
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        match self {
            Self::Ldif(error) => error.related(),
            Self::Ldap { .. } => None,
        }
    }
}
