//! A TCP forwarder whose line can be cut: what a network does to a connection, done on purpose.
//!
//! ```ignore
//! mod common { pub mod proxy; }
//! let proxy = Proxy::to(slapd.address()).await;     // proxy.address(): 127.0.0.1:PORT
//! proxy.cut();                                      // connections are reset, new ones refused, until proxy.mend().await
//! proxy.forwarded()                                 // octets from the server to the client, so far
//! ```

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, reason = "a fixture fails its test by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

pub struct Proxy {
    target: SocketAddr,
    address: SocketAddr,
    forwarded: Arc<AtomicU64>,
    running: Option<AbortHandle>,
}

impl Proxy {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut proxy = Self { target, address, forwarded: Arc::default(), running: None };
        proxy.run(listener);
        proxy
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Octets from the server to the client, so far.
    pub fn forwarded(&self) -> u64 {
        self.forwarded.load(Ordering::Relaxed)
    }

    /// Ends every connection, and takes no new one.
    pub fn cut(&mut self) {
        self.running.take().unwrap().abort();
    }

    /// Takes connections again, on the same port.
    pub async fn mend(&mut self) {
        // The port is free once the aborted task is gone.
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        self.run(listener);
    }

    fn run(&mut self, listener: TcpListener) {
        let (target, forwarded) = (self.target, Arc::clone(&self.forwarded));
        let task = tokio::spawn(async move {
            // Dropped with this task, and the connections with it.
            let mut lines = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let Ok(server) = TcpStream::connect(target).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                lines.spawn(pump(from_client, to_server, Arc::default()));
                lines.spawn(pump(from_server, to_client, Arc::clone(&forwarded)));
            }
        });
        self.running = Some(task.abort_handle());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, count: Arc<AtomicU64>) {
    let mut buffer = vec![0; 16_384];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
}
