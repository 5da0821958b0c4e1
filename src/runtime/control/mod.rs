//! The control socket: how `dialcast holds`, `release` and `watch` talk to the daemon on the same machine.
//!
//! A Unix socket that its own account and root may use. A client writes one line of JSON, and reads lines of JSON: one answer, or with
//! `watch` the live feed until it leaves.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::holds::Hold;
use crate::config::Config;

mod client;
mod server;

pub(super) use client::{ask, open};
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
}

/// What is answered to anything but `watch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// What is held.
    Holds(Vec<Hold>),
    /// What was let go.
    Released(Vec<Hold>),
    /// Nothing was done.
    Error(String),
}

/// A question for the watcher.
pub(crate) enum Request {
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
