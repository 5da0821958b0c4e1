//! A state as bytes, so that a restart goes on where the last run stopped.
//!
//! What is written holds everything the directory told, secrets included: whoever keeps it keeps it from others. The
//! layout, all numbers little-endian, every text and value preceded by its length as u32:
//!
//! ```text
//! "dialcast-state\n"  version u32  source text
//! generation u64  cookie (u8: 0 none, 1 there) value
//! objects u64, each parent before its children:
//!     id 16  flags u8 (1 has a parent, 2 glue, 4 displaced)  kind u8  parent 16 or suffix text  rdn text
//!     changed u64  changed_at u64  attributes u32: name text, values u32: value
//! memberships u64: group 16  name text  values u32  kind u8 (0 object, 1 dangling)  id 16 or DN text
//! companion value, since version 2: what others keep together with this state
//! SHA-256 of all of the above, 32 octets
//! ```
//!
//! Memberships are kept as they were held, and not derived anew: a member that moved since its group was told is found by
//! nobody who reads the group's values.

mod read;
mod write;

use thiserror::Error;

use crate::model::{Container, Kind};

pub use read::{Saved, read};
pub use write::write;

const MAGIC: &[u8; 15] = b"dialcast-state\n";
/// Raised when the layout changes.
const VERSION: u32 = 2;
/// The oldest layout that is read. Older ones are not converted: the directory still has it all.
const VERSION_MIN: u32 = 1;
/// The first layout with a companion.
const VERSION_COMPANION: u32 = 2;

/// Octets gathered before they are hashed and go out: enough that small values cost no system call each.
const CHUNK: usize = 64 * 1024;

const HAS_PARENT: u8 = 1;
const GLUE: u8 = 2;
const DISPLACED: u8 = 4;

/// A kind's number. It is kept only to notice that another version of dialcast classified entries otherwise, because then
/// memberships are missing.
fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Container(Container::Domain) => 0,
        Kind::Container(Container::Unit) => 1,
        Kind::User => 2,
        Kind::Group => 3,
        Kind::Policy => 4,
        Kind::Server => 5,
        Kind::Device => 6,
        Kind::Other => 7,
        Kind::Site => 8,
        Kind::Subnet => 9,
    }
}

/// Why bytes are not a saved state that can be gone on from. The remedy is always the same: read the directory anew.
#[derive(Debug, Error)]
pub enum SavedError {
    /// They do not begin like one.
    #[error("not a saved state of dialcast")]
    Magic,
    /// Another version of dialcast wrote them.
    #[error("written in layout {found}, and this version reads {VERSION_MIN} to {VERSION}")]
    Version {
        /// The layout's number.
        found: u32,
    },
    /// They are of another directory.
    #[error("of the directory {found}")]
    Source {
        /// Which one.
        found: String,
    },
    /// They end too early, do not match their checksum, or contradict themselves.
    #[error("damaged at octet {offset}: {what}")]
    Damaged {
        /// How many octets were read.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Reading failed.
    #[error("reading failed")]
    Read(#[source] std::io::Error),
}

#[cfg(test)]
mod tests;
