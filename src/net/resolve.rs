//! Host names, looked up off the way of the messages.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lookups under way: each may hold a thread of the runtime's blocking pool for seconds.
const LOOKUPS_MAX: usize = 64;
/// Names remembered; a Contact can name anything, so that the number is bounded.
const NAMES_MAX: usize = 4096;
/// How long an answer is used again. The system's resolver does not say how long it may be.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// How long a lookup may take.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// The system's resolver with a small memory.
#[derive(Debug)]
pub(super) struct Names {
    known: Mutex<HashMap<Box<str>, (SocketAddr, Instant)>>,
    permits: Arc<Semaphore>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self { known: Mutex::default(), permits: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }

    /// The right to look something up; `None` when too many do.
    pub(super) fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// The same right, once it is there. Who waits must be bounded in number and in time.
    pub(super) async fn wait_for_permit(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes the semaphore, so that there is always one in the end.
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// An address of the host in the family wanted.
    ///
    /// RFC 3263 §4.2: with a port, or without NAPTR and SRV, the address records of the name.
    pub(super) async fn resolve(&self, host: &str, port: u16, ipv4: bool) -> Option<SocketAddr> {
        let key = format!("{}{host}", if ipv4 { "4 " } else { "6 " });
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key.as_str()).copied();
        if let Some((address, until)) = known
            && Instant::now() < until
        {
            return Some(SocketAddr::new(address.ip(), port));
        }
        let found = tokio::time::timeout(LOOKUP_TIME, tokio::net::lookup_host((host, port))).await.ok()?.ok()?;
        let address = found.into_iter().find(|address| address.is_ipv4() == ipv4)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= NAMES_MAX {
            known.clear();
        }
        known.insert(key.into(), (address, Instant::now() + ANSWER_TIME));
        Some(address)
    }
}
