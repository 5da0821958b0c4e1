//! The control socket: how `dialcast holds`, `release`, `watch` and `plan` talk to the daemon on the same machine.
//!
//! A Unix socket that its own account and root may use. A client writes one line of JSON, and reads lines of JSON: one answer, or with
//! `watch` the live feed until it leaves.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::holds::Hold;
use crate::config::Config;
use crate::subscription::Endpoint;

mod client;
mod server;

pub(super) use client::{ControlError, ask, open};
pub(super) use server::{Listening, listen, serve};

/// The socket's name in its folder.
const SOCKET: &str = "control.sock";
/// The longest request, in octets: a command and an id.
const REQUEST_MAX: usize = 4096;
/// Events that a client may be behind. One that is further behind loses the oldest, and is told how many.
pub(super) const EVENTS_MAX: usize = 1024;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub(super) enum Command {
    /// What is held.
    Holds,
    /// Let go what is held.
    Release {
        /// Which; all, where it is not said.
        id: Option<String>,
    },
    /// The live feed.
    Watch,
    /// Who subscribes to what, from where: a page of it.
    Subscribed {
        /// Where the page begins; a page says where the next one does.
        from: u32,
    },
}

/// What is answered to anything but `watch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// What is held.
    Holds(Vec<Hold>),
    /// What was let go.
    Released(Vec<Hold>),
    /// Who subscribes.
    Subscribed {
        /// The directory that the daemon serves.
        directory: String,
        /// The page.
        phones: Vec<Phone>,
        /// Where the next one begins; none: this was the last.
        next: Option<u32>,
    },
    /// Nothing was done.
    Error(String),
}

/// Something that subscribes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Phone {
    /// To what.
    #[serde(flatten)]
    pub(super) to: SubscribedTo,
    /// The address that its last SUBSCRIBE came from.
    pub(super) address: IpAddr,
}

/// What it subscribes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "profile", content = "of")]
pub(super) enum SubscribedTo {
    /// A user's profile, by the address of record.
    User(String),
    /// That of its network.
    LocalNetwork,
    /// A device's, by what the device calls itself.
    Device(String),
}

/// A page of what subscribes, and where the next one begins.
pub(crate) type Page = (Vec<Endpoint>, Option<u32>);

/// A question for the watcher.
pub(crate) enum Request {
    /// Who subscribes? It is the notifier who knows.
    Subscribed {
        /// Where the page begins.
        from: u32,
        /// The page.
        reply: oneshot::Sender<Page>,
    },
    /// What is held?
    Holds(oneshot::Sender<Vec<Hold>>),
    /// Let go this, or all.
    Release {
        /// Which.
        id: Option<String>,
        /// What was let go; nothing where there is no such hold.
        reply: oneshot::Sender<Option<Vec<Hold>>>,
    },
}

/// Where the socket is, and whether the configuration names it: what nobody asked for may be missing.
pub(super) fn path(config: &Config, environment: &[(String, String)]) -> (PathBuf, bool) {
    if let Some(path) = &config.control {
        return (path.clone(), true);
    }
    if let Some(dir) = &config.state_dir {
        return (dir.join(SOCKET), false);
    }
    let runtime = environment.iter().find(|(name, value)| name == "XDG_RUNTIME_DIR" && !value.is_empty());
    let dir = runtime.map_or_else(|| PathBuf::from("/run"), |(_, dir)| PathBuf::from(dir));
    (dir.join("dialcast").join(SOCKET), false)
}
