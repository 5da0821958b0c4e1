//! The connections that are open: their queues, and how many there may be.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::{Life, NetConfig};
use crate::sip::transaction::{SendError, Target, Transmit};

/// Messages that wait for one connection, whatever their size: the size has a limit of its own.
const QUEUE_MAX: usize = 4096;

/// What a connection was opened for, by which it is found again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Address(SocketAddr),
    /// Also the family of the own address.
    Host(Arc<str>, u16, bool),
}

impl Key {
    pub(super) fn of(target: &Target) -> Self {
        match target {
            Target::Path(path) => Self::Address(path.remote),
            Target::Host { host, port, local, .. } => Self::Host(Arc::clone(host), *port, local.is_ipv4()),
        }
    }
}

/// The connections. Their numbers are never used again.
#[derive(Debug)]
pub(super) struct Pool {
    inner: Mutex<Inner>,
    connections_max: usize,
    per_source_max: usize,
    queue_bytes_max: usize,
    queues_bytes_max: usize,
    /// What waits in all queues.
    waiting_bytes: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Inner {
    life: Option<Life>,
    last_id: u64,
    by_id: HashMap<u64, Open>,
    by_key: HashMap<Key, u64>,
    per_source: HashMap<IpAddr, usize>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("connections", &self.by_id.len()).finish_non_exhaustive()
    }
}

struct Open {
    queue: mpsc::Sender<Transmit>,
    waiting_bytes: Arc<AtomicUsize>,
    key: Option<Key>,
    source: Option<IpAddr>,
}

/// The reading end of a connection's queue, for the task that owns the connection.
pub(super) struct Queue {
    pub(super) id: u64,
    pub(super) messages: mpsc::Receiver<Transmit>,
    waiting_bytes: Arc<AtomicUsize>,
    waiting_bytes_in_all: Arc<AtomicUsize>,
    pub(super) life: Life,
}

impl Queue {
    /// A message left the queue.
    pub(super) fn sent(&self, transmit: &Transmit) {
        self.waiting_bytes.fetch_sub(transmit.bytes.len(), Ordering::Relaxed);
        self.waiting_bytes_in_all.fetch_sub(transmit.bytes.len(), Ordering::Relaxed);
    }
}

impl Pool {
    pub(super) fn new(config: &NetConfig) -> Self {
        Self {
            inner: Mutex::default(),
            connections_max: config.connections_max,
            per_source_max: config.connections_per_source_max,
            queue_bytes_max: config.queue_bytes_max,
            queues_bytes_max: config.queues_bytes_max,
            waiting_bytes: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_life(&self, life: Life) {
        self.lock().life = Some(life);
    }

    /// From now on no connection is admitted or opened.
    pub(super) fn close(&self) {
        self.lock().life = None;
    }

    /// Room for a connection from a source; `None` when a limit is reached.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Queue> {
        let source = source_of(address);
        let mut inner = self.lock();
        let from_there = inner.per_source.get(&source).copied().unwrap_or(0);
        if inner.by_id.len() >= self.connections_max || from_there >= self.per_source_max {
            return None;
        }
        let queue = inner.add(None, Some(source), &self.waiting_bytes)?;
        inner.per_source.insert(source, from_there + 1);
        Some(queue)
    }

    /// Queues a message for a connection that is there.
    pub(super) fn queue(&self, id: u64, transmit: &Transmit) -> Result<(), SendError> {
        let inner = self.lock();
        self.put(inner.by_id.get(&id).ok_or(SendError::Closed)?, transmit)
    }

    /// Queues a message for the connection to its target. If there is none, room is made for one, which the caller has to open.
    pub(super) fn queue_or_open(&self, transmit: &Transmit) -> Result<Option<Queue>, SendError> {
        let key = Key::of(&transmit.to);
        let mut inner = self.lock();
        if let Some(open) = inner.by_key.get(&key).and_then(|id| inner.by_id.get(id)) {
            return self.put(open, transmit).map(|()| None);
        }
        if inner.by_id.len() >= self.connections_max {
            return Err(SendError::Busy);
        }
        let queue = inner.add(Some(key.clone()), None, &self.waiting_bytes).ok_or(SendError::Closed)?;
        inner.by_key.insert(key, queue.id);
        let open = inner.by_id.get(&queue.id).ok_or(SendError::Closed)?;
        self.put(open, transmit).map(|()| Some(queue))
    }

    /// Forgets a connection: nothing is queued for it after this.
    pub(super) fn remove(&self, id: u64) {
        let mut inner = self.lock();
        let Some(open) = inner.by_id.remove(&id) else { return };
        if let Some(key) = open.key {
            inner.by_key.remove(&key);
        }
        if let Some(source) = open.source
            && let Some(count) = inner.per_source.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                inner.per_source.remove(&source);
            }
        }
    }

    fn put(&self, open: &Open, transmit: &Transmit) -> Result<(), SendError> {
        let length = transmit.bytes.len();
        // A message larger than the limit still goes through an empty queue.
        let before = open.waiting_bytes.fetch_add(length, Ordering::Relaxed);
        let before_in_all = self.waiting_bytes.fetch_add(length, Ordering::Relaxed);
        let is_full = before + length > self.queue_bytes_max || before_in_all + length > self.queues_bytes_max;
        let result = if before > 0 && is_full {
            Err(SendError::Busy)
        } else {
            open.queue.try_send(transmit.clone()).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => SendError::Busy,
                mpsc::error::TrySendError::Closed(_) => SendError::Closed,
            })
        };
        if result.is_err() {
            open.waiting_bytes.fetch_sub(length, Ordering::Relaxed);
            self.waiting_bytes.fetch_sub(length, Ordering::Relaxed);
        }
        result
    }
}

impl Inner {
    fn add(&mut self, key: Option<Key>, source: Option<IpAddr>, waiting_bytes_in_all: &Arc<AtomicUsize>) -> Option<Queue> {
        let life = self.life.clone()?;
        let (queue, messages) = mpsc::channel(QUEUE_MAX);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        self.last_id += 1;
        let id = self.last_id;
        self.by_id.insert(id, Open { queue, waiting_bytes: Arc::clone(&waiting_bytes), key, source });
        Some(Queue { id, messages, waiting_bytes, waiting_bytes_in_all: Arc::clone(waiting_bytes_in_all), life })
    }
}

/// Whom an address belongs to: RFC 4291 §2.5.4 gives a subnet, and so every host in it, 64 bits to choose from.
fn source_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::sip::{Path, Transport};

    fn pool(config: &NetConfig) -> Pool {
        let pool = Pool::new(config);
        pool.set_life(Life { closing: watch::channel(false).1, _alive: mpsc::channel(1).0 });
        pool
    }

    fn transmit(port: u16, length: usize) -> Transmit {
        let local = "127.0.0.1:5060".parse().unwrap();
        let remote = SocketAddr::from(([127, 0, 0, 1], port));
        let path = Path { transport: Transport::Tcp, local, remote, connection: None };
        Transmit { to: Target::Path(path), bytes: vec![0; length].into(), ticket: None }
    }

    #[test]
    fn limits_of_connections() {
        let pool = pool(&NetConfig { connections_max: 3, connections_per_source_max: 2, ..NetConfig::default() });
        let (here, there) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let first = pool.admit(here).unwrap();
        assert!(pool.admit(here).is_some() && pool.admit(here).is_none());
        assert!(pool.admit(there).is_some() && pool.admit(there).is_none());
        assert_eq!(pool.queue_or_open(&transmit(1, 1)).err(), Some(SendError::Busy));
        pool.remove(first.id);
        let opened = pool.queue_or_open(&transmit(1, 1)).unwrap();
        assert!(opened.is_some());
        // The same target again: the same connection.
        assert!(pool.queue_or_open(&transmit(1, 1)).unwrap().is_none());
        pool.close();
        assert_eq!(pool.queue(first.id, &transmit(1, 1)), Err(SendError::Closed));
    }

    #[test]
    fn limit_of_a_queue() {
        let pool = pool(&NetConfig { queue_bytes_max: 100, ..NetConfig::default() });
        let mut queue = pool.queue_or_open(&transmit(1, 500)).unwrap().unwrap();
        // A large message fits an empty queue, and nothing after it.
        assert_eq!(pool.queue(queue.id, &transmit(1, 1)), Err(SendError::Busy));
        let sent = queue.messages.try_recv().unwrap();
        queue.sent(&sent);
        assert_eq!((0..3).filter(|_| pool.queue(queue.id, &transmit(1, 40)).is_ok()).count(), 2);
    }

    #[test]
    fn limit_of_all_queues() {
        let pool = pool(&NetConfig { queues_bytes_max: 100, ..NetConfig::default() });
        let mut first = pool.queue_or_open(&transmit(1, 60)).unwrap().unwrap();
        assert_eq!(pool.queue(first.id, &transmit(1, 60)), Err(SendError::Busy));
        // Whose queue is empty is served all the same.
        let second = pool.queue_or_open(&transmit(2, 60)).unwrap().unwrap();
        assert_eq!(pool.queue(second.id, &transmit(2, 1)), Err(SendError::Busy));
        let sent = first.messages.try_recv().unwrap();
        first.sent(&sent);
        assert_eq!(pool.queue(second.id, &transmit(2, 40)), Ok(()));
    }

    #[test]
    fn a_host_has_all_addresses_of_its_subnet() {
        let pool = pool(&NetConfig { connections_per_source_max: 1, ..NetConfig::default() });
        let admit = |address: &str| pool.admit(address.parse().unwrap());
        let first = admit("2001:db8:0:1::1").unwrap();
        assert!(admit("2001:db8:0:1:ffff::2").is_none() && admit("2001:db8:0:2::1").is_some());
        pool.remove(first.id);
        assert!(admit("2001:db8:0:1:ffff::2").is_some());
    }
}
