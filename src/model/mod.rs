//! Plain data that every stage shares: names, ids, attributes, faults. Imports nothing of the crate.

mod aor;
mod attributes;
mod dn;
mod fault;
mod generation;
mod id;
mod kind;
mod secret;
mod values;

pub use aor::{Aor, AorError};
pub use attributes::{Attributes, Names};
pub(crate) use dn::plain_key;
pub use dn::{Dn, DnError, Rdn, fold};
pub use fault::{Fault, Place, Severity};
pub use generation::{Generation, Timestamp};
pub use id::{IdError, ObjectId};
pub use kind::{Container, Kind};
pub use secret::Secret;
pub use values::{Values, ValuesIter};
