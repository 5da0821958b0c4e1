//! What is wrong, where, and what to do about it.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::{Dn, ObjectId};

/// A fault of the configuration or the directory: nothing stops because of it, somebody should repair it.
///
/// `Display` gives `place: what; remedy`, on one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// How much of the configuration it touches.
    pub severity: Severity,
    /// A short stable name for scripts (`policy.value`, `ldif.syntax`); `docs/operations.md` lists them.
    pub code: &'static str,
    /// Where.
    pub place: Place,
    /// What is wrong there, without the place.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// How much a fault touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something that must not be used: a config that cannot be started with, a user who gets no document.
    Error,
    /// Something was skipped, and the next candidate is used.
    Warning,
    /// Worth knowing: an empty OU, a user without a SIP address.
    Note,
}

/// Where a fault is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A line of a file.
    File {
        /// The file.
        path: PathBuf,
        /// One-based; 0 when the whole file is meant.
        line: usize,
        /// One-based, in characters; 0 when the whole line is meant.
        column: usize,
    },
    /// A directory object.
    Object {
        /// Its stable id.
        #[serde(serialize_with = "display")]
        id: ObjectId,
        /// Its name at the time.
        #[serde(serialize_with = "display")]
        dn: Dn,
        /// The attribute, and the value's text where it may be shown.
        attribute: Option<String>,
    },
    /// A key of the configuration, dotted (`directory.url`), and where its value came from when known.
    Config {
        /// The key.
        key: String,
    },
    /// The directory as a whole, by its URL (never with a password).
    Directory {
        /// The URL.
        url: String,
    },
}

fn display<S: serde::Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0, .. } => write!(f, "{}", path.display()),
            Self::File { path, line, column: 0 } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Object { dn, attribute: None, .. } => write!(f, "{dn}"),
            Self::Object { dn, attribute: Some(attribute), .. } => write!(f, "{dn} ({attribute})"),
            // Not of the file: of the environment, or the command line.
            Self::Config { key } if key.starts_with('(') => f.write_str(key.trim_matches(['(', ')'])),
            Self::Config { key } => write!(f, "config key {key}"),
            Self::Directory { url } => write!(f, "{url}"),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.remedy)
    }
}
