//! UDP sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::local::Locals;
use super::{Life, NetConfig, Shared, send_error};
use crate::sip::transaction::{SendError, Target, Transmit};
use crate::sip::{Path, Transport};

/// The largest datagram of UDP over IPv4.
const DATAGRAM_MAX: usize = 65_507;

/// A bound UDP socket.
#[derive(Debug)]
pub(super) struct UdpPort {
    socket: UdpSocket,
    address: SocketAddr,
    receive_buffer: usize,
    locals: Locals,
}

impl UdpPort {
    pub(super) fn bind(address: SocketAddr, config: &NetConfig) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            // Else `[::]` and `0.0.0.0` could not both be listened on.
            socket.set_only_v6(true)?;
        }
        // The kernel takes as much of it as its own limit allows; what it took is read back.
        socket.set_recv_buffer_size(config.udp_buffer)?;
        socket.set_send_buffer_size(config.udp_buffer)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let receive_buffer = socket.recv_buffer_size()?;
        let socket = UdpSocket::from_std(socket.into())?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, receive_buffer, locals: Locals::default() })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) const fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Whether a message that names `local` as its own address goes out here.
    fn is(&self, local: SocketAddr) -> bool {
        let ip = self.address.ip();
        self.address.is_ipv4() == local.is_ipv4() && self.address.port() == local.port() && (ip == local.ip() || ip.is_unspecified())
    }
}

/// Receives until the sockets close.
pub(super) async fn receive(shared: Arc<Shared>, index: usize, mut life: Life) {
    let Some(port) = shared.udp.get(index) else { return };
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let received = tokio::select! {
            received = port.socket.recv_from(&mut buffer) => received,
            () = life.closing() => return,
        };
        // An error tells of an earlier datagram that found no socket (ICMP); the socket goes on.
        let Ok((length, remote)) = received else { continue };
        shared.counters.datagrams.fetch_add(1, Ordering::Relaxed);
        let local = port.locals.towards(port.address, remote);
        let path = Path { transport: Transport::Udp, local, remote, connection: None };
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        if !shared.received(path, bytes).await {
            return;
        }
    }
}

/// Sends a datagram from the socket with the address, or from another of the same family.
pub(super) async fn send(shared: &Shared, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) -> Result<(), SendError> {
    let same_family = |port: &&UdpPort| port.address.is_ipv4() == remote.is_ipv4();
    let port = shared.udp.iter().find(|port| port.is(local) && same_family(port)).or_else(|| shared.udp.iter().find(same_family));
    let port = port.ok_or(SendError::Unsupported)?;
    if bytes.len() > DATAGRAM_MAX {
        return Err(SendError::TooLong);
    }
    match port.socket.send_to(bytes, remote).await {
        Ok(_) => Ok(()),
        Err(error) => Err(send_error(&error)),
    }
}

/// Looks the host up aside and sends to the address found.
pub(super) fn send_to_host(shared: &Arc<Shared>, transmit: &Transmit) -> Result<(), SendError> {
    let permit = shared.names.permit().ok_or(SendError::Busy)?;
    let Target::Host { local, host, port, .. } = transmit.to.clone() else { return Err(SendError::Unsupported) };
    let (shared, transmit) = (Arc::clone(shared), transmit.clone());
    tokio::spawn(async move {
        let _permit = permit;
        let result = match shared.names.resolve(&host, port, local.is_ipv4()).await {
            Some(remote) => send(&shared, local, remote, &transmit.bytes).await,
            None => Err(SendError::Unresolved),
        };
        if let Err(error) = result {
            shared.failed(transmit.to, transmit.ticket, error).await;
        }
    });
    Ok(())
}
