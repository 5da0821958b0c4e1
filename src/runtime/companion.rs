//! What is kept together with a state of the directory: what is held of it, and the last good documents of who would have none.

use std::io;

use serde::{Deserialize, Serialize};

use super::holds::{Holds, SavedQuarantine};
use super::kept::{KeptUsers, SavedDocuments};
use crate::store::Quarantine;

/// As it is written, in JSON: a version that knows more reads what one that knows less wrote.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Companion {
    pub(super) holds: Holds,
    pub(super) quarantine: Option<SavedQuarantine>,
    pub(super) kept: SavedDocuments,
}

impl Companion {
    /// The octets. Documents are rendered for it: for a thread of its own.
    ///
    /// # Errors
    /// None that this version could cause.
    pub(super) fn write(holds: &Holds, quarantine: Option<&Quarantine>, kept: &KeptUsers) -> io::Result<Vec<u8>> {
        let companion = Self { holds: holds.clone(), quarantine: quarantine.map(SavedQuarantine::of), kept: kept.save()? };
        serde_json::to_vec(&companion).map_err(io::Error::other)
    }

    /// What was written; of a version that wrote none, nothing.
    ///
    /// # Errors
    /// It is no companion.
    pub(super) fn read(bytes: &[u8]) -> serde_json::Result<Self> {
        if bytes.is_empty() { Ok(Self::default()) } else { serde_json::from_slice(bytes) }
    }
}
