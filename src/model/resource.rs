//! What endpoints subscribe to.

use super::{Aor, DeviceId};

/// What an endpoint subscribes to (RFC 6080 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// A user's profile.
    User(Aor),
    /// The profile of the network that the endpoint is in.
    LocalNetwork,
    /// A device's profile.
    Device(DeviceId),
}
