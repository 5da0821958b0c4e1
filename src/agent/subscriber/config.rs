//! What the subscriber is told.

use std::net::SocketAddr;

use crate::model::{Aor, Secret};
use crate::sip::transaction::{Target, Timing};

/// Whose profile, from where, and as what.
#[derive(Debug, Clone)]
pub struct SubscriberConfig {
    /// Whose profile. RFC 6080 §5.1.4.3: it is the request URI and From. Of a device the address that its id makes
    /// (`sip:MAC%3a001565F4F9E1@corp.example`); of the network, anything in its domain.
    pub aor: Aor,
    /// Which of the profiles.
    pub profile: ProfileType,
    /// Where requests outside of a dialog go.
    pub server: Target,
    /// The own address as the server sees it. It listens on UDP and on TCP: a NOTIFY that is too large for a datagram comes
    /// over TCP (RFC 3261 §18.1.1), also to whoever subscribed over UDP.
    pub listen: SocketAddr,
    /// The duration to ask for, in seconds. 0: fetch the profile once (RFC 6665 §4.4.3).
    pub expires_s: u32,
    /// The media types to ask for, the most wanted first.
    pub accept: Vec<String>,
    /// How to answer a challenge.
    pub login: Option<Login>,
    /// What the server is told about the device.
    pub device: Device,
    /// The SIP timers.
    pub timing: Timing,
}

/// The profiles that there are (RFC 6080 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProfileType {
    /// A user's.
    #[default]
    User,
    /// That of the network that this end is in.
    LocalNetwork,
    /// A device's.
    Device,
}

impl ProfileType {
    /// The token of the event parameter `profile-type` (RFC 6080 §6.2).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::LocalNetwork => "local-network",
            Self::Device => "device",
        }
    }
}

/// A name and a password for digest authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// RFC 6080 §6.2: `vendor`, `model` and `version` belong into every SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// A domain name of the maker.
    pub vendor: String,
    /// The model.
    pub model: String,
    /// The version of its software.
    pub version: String,
}

impl Default for Device {
    fn default() -> Self {
        Self { vendor: "dialcast".to_owned(), model: "dialcast".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

impl SubscriberConfig {
    /// RFC 6080 §6.4: the duration where nobody asks for another, in seconds.
    pub const EXPIRES_DEFAULT_S: u32 = 86_400;

    /// What a user of the library wants who says no more than whose profile, where from and where to.
    pub fn new(aor: Aor, server: Target, listen: SocketAddr) -> Self {
        Self {
            aor,
            profile: ProfileType::User,
            server,
            listen,
            expires_s: Self::EXPIRES_DEFAULT_S,
            accept: vec![crate::document::profile::CONTENT_TYPE.to_owned()],
            login: None,
            device: Device::default(),
            timing: Timing::default(),
        }
    }
}
