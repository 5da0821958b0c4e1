//! What the end-to-end tests stand on: the daemon, phones nobody here wrote, and the sample organisation.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of these modules")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a fixture fails its test by panicking, and says more then"
)]

pub mod daemon;
pub mod dns;
pub mod document;
pub mod ds389;
pub mod organisation;
pub mod phone;
pub mod relay;
pub mod samba;
pub mod sipp;
pub mod slapd;
pub mod tls;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// How long anything may take that takes far less on an idle machine: a limit on hanging, not a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until there is an answer; panics with `what` when there is none in time.
pub fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An address of the loopback that is free for UDP and TCP now.
pub fn free_address() -> SocketAddr {
    until("a port free for UDP and TCP", PATIENCE, || {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let address = tcp.local_addr().ok()?;
        UdpSocket::bind(address).ok().map(|_| address)
    })
}

/// A file of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

static MACHINE: RwLock<()> = RwLock::new(());

/// Held by tests that assert how fast something is: no other test of this binary runs meanwhile.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// Held by all other tests.
pub fn shared() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}
