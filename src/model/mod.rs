//! Plain data that every stage shares: names, ids, attributes, faults. Imports nothing of the crate.

mod aor;
mod attributes;
mod device;
mod dn;
mod fault;
mod generation;
mod id;
mod kind;
mod network;
mod prefix;
mod resource;
mod secret;
mod values;

pub use aor::{Aor, AorError};
pub use attributes::{Attributes, Names};
pub use device::DeviceId;
pub(crate) use dn::plain_key;
pub use dn::{Dn, DnError, Rdn, fold};
pub use fault::{Fault, Place, Severity};
pub use generation::{Generation, Timestamp};
pub use id::{IdError, ObjectId};
pub use kind::{Container, Kind};
pub use network::{Here, NetworkMap, Spot};
pub(crate) use prefix::{Prefix, PrefixError, PrefixMap};
pub use resource::Resource;
pub use secret::Secret;
pub use values::{Values, ValuesIter};
