//! A network of its own for a server, whose packets can be dropped without a word: what a firewall that forgets does, or a cable.
//!
//! ```ignore
//! let network = Namespace::new();
//! network.address()             // where a server in it is to be found
//! network.command("slapd")      // to be started in it
//! network.drop_packets(true);   // nothing that the server sends arrives any more; its connections stand
//! ```
//!
//! Needs root and `ip` (Debian: iproute2). It is gone when it is dropped.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a fixture fails its test by panicking")]

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

pub struct Namespace {
    name: String,
    link: String,
    number: u8,
}

static NUMBER: AtomicU8 = AtomicU8::new(0);

impl Namespace {
    pub fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let process = std::process::id();
        let network = Self { name: format!("dialcast-{process}-{number}"), link: format!("dc{process}n{number}"), number };
        let (name, link) = (network.name.as_str(), network.link.as_str());
        let peer = format!("{link}p");
        ip(&["netns", "add", name]);
        ip(&["link", "add", link, "type", "veth", "peer", "name", &peer]);
        ip(&["link", "set", &peer, "netns", name]);
        ip(&["address", "add", &format!("{}/30", network.host()), "dev", link]);
        ip(&["link", "set", link, "up"]);
        network.ip(&["address", "add", &format!("{}/30", network.address()), "dev", &peer]);
        network.ip(&["link", "set", &peer, "up"]);
        network.ip(&["link", "set", "lo", "up"]);
        network
    }

    /// The server's side. The addresses are of a block that is for examples (RFC 5737).
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 51, 100, self.number * 4 + 2)
    }

    /// Our side.
    fn host(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 51, 100, self.number * 4 + 1)
    }

    /// A program that runs in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Drops what the server sends, or lets it through again.
    pub fn drop_packets(&self, drop: bool) {
        self.ip(&["route", if drop { "add" } else { "del" }, "blackhole", &format!("{}/32", self.host())]);
    }

    fn ip(&self, arguments: &[&str]) {
        let mut all = vec!["-n", self.name.as_str()];
        all.extend(arguments);
        ip(&all);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its links go with it. A failed test must not hide behind a second panic here.
        let _ = Command::new("ip").args(["link", "del", &self.link]).status();
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn ip(arguments: &[&str]) {
    let out = Command::new("ip").args(arguments).output().unwrap_or_else(|error| panic!("ip (Debian: iproute2): {error}"));
    assert!(out.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
}
