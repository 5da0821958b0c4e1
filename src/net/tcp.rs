//! TCP connections: one task each, which reads and writes at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::pool::Queue;
use super::{Life, Shared, send_error};
use crate::sip::stream::{Frame, Framer};
use crate::sip::transaction::{SendError, Target, Transmit};
use crate::sip::{Path, Transport};

/// Connections that the kernel completes before they are accepted: a site's phones come back at once after a power cut.
const BACKLOG: i32 = 4096;
/// What is read at a time.
const READ_BYTES: usize = 16 * 1024;
/// After what pause an accept that failed for want of descriptors is tried again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection stays open for the answer to a message that broke it.
const ANSWER_TIME: Duration = Duration::from_millis(500);

pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the connections of the process before.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until the sockets close.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener, mut life: Life) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = life.closing() => return,
        };
        let Ok((stream, remote)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Over the limit: closed at once. Whoever holds connections keeps them.
        let Some(queue) = shared.pool.admit(remote.ip()) else {
            shared.counters.turned_away.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        shared.counters.accepted.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(serve(Arc::clone(&shared), stream, remote, queue, None));
    }
}

/// Queues a message for the connection that it names, or for the one to its target, which is opened if it is not there.
pub(super) fn send(shared: &Arc<Shared>, transmit: &Transmit) -> Result<(), SendError> {
    if let Target::Path(Path { connection: Some(id), .. }) = transmit.to {
        return shared.pool.queue(id, transmit);
    }
    if let Some(queue) = shared.pool.queue_or_open(transmit)? {
        tokio::spawn(open(Arc::clone(shared), transmit.to.clone(), queue));
    }
    Ok(())
}

/// Opens a connection and serves it.
async fn open(shared: Arc<Shared>, to: Target, queue: Queue) {
    match timeout(shared.config.connect_time_max, connect(&shared, &to)).await.unwrap_or(Err(SendError::Timeout)) {
        Ok((stream, remote)) => {
            shared.counters.opened.fetch_add(1, Ordering::Relaxed);
            serve(shared, stream, remote, queue, Some(to)).await;
        }
        Err(error) => {
            shared.pool.remove(queue.id);
            fail_queued(&shared, queue, error).await;
        }
    }
}

async fn connect(shared: &Shared, to: &Target) -> Result<(TcpStream, SocketAddr), SendError> {
    let remote = match to {
        Target::Path(path) => path.remote,
        Target::Host { local, host, port, .. } => {
            // The wait for it is part of the time that opening may take.
            let _permit = shared.names.wait_for_permit().await;
            shared.names.resolve(host, *port, local.is_ipv4()).await.ok_or(SendError::Unresolved)?
        }
    };
    let local = to.local();
    let connecting = async {
        let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if !local.ip().is_unspecified() && local.is_ipv4() == remote.is_ipv4() {
            socket.bind(SocketAddr::new(local.ip(), 0))?;
        }
        socket.connect(remote).await
    };
    match connecting.await {
        // A port that nobody listens on, met by chance as the own port of this very connection: it answers itself.
        Ok(stream) if stream.local_addr().is_ok_and(|local| local == remote) => Err(SendError::Refused),
        Ok(stream) => Ok((stream, remote)),
        Err(error) => Err(send_error(&error)),
    }
}

/// Serves a connection until it ends, and tells of the end. `opened_for`: whom it was opened to, if this side opened it.
async fn serve(shared: Arc<Shared>, stream: TcpStream, remote: SocketAddr, mut queue: Queue, opened_for: Option<Target>) {
    let local = stream.local_addr().unwrap_or(remote);
    let path = Path { transport: Transport::Tcp, local, remote, connection: Some(queue.id) };
    // Without these two a lost peer is found late, and small messages wait for one another; neither is worth a failure.
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    let _ = stream.set_nodelay(true);

    let (read, write) = stream.into_split();
    // The answer to a ping goes straight to the writer, past the queue's accounting.
    let (pongs, pinged) = tokio::sync::mpsc::channel(1);
    tokio::select! {
        () = read_all(&shared, read, path, opened_for.is_some(), pongs) => {}
        () = write_all(&shared, write, &mut queue, pinged) => {}
    }
    shared.pool.remove(queue.id);
    fail_queued(&shared, queue, SendError::Closed).await;
    shared.failed(opened_for.unwrap_or(Target::Path(path)), None, SendError::Closed).await;
}

async fn fail_queued(shared: &Shared, mut queue: Queue, error: SendError) {
    queue.messages.close();
    while let Some(transmit) = queue.messages.recv().await {
        queue.sent(&transmit);
        shared.failed(transmit.to, transmit.ticket, error).await;
    }
}

/// Reads messages until the peer closes, is silent or too slow, or sends what is no SIP.
async fn read_all(shared: &Shared, mut read: OwnedReadHalf, path: Path, heard: bool, pongs: tokio::sync::mpsc::Sender<()>) {
    let config = &shared.config;
    let mut framer = Framer::with_body_max(config.body_bytes_max);
    let mut buffer = vec![0; READ_BYTES];
    let mut deadline = Instant::now() + if heard { config.idle } else { config.message_time_max };
    loop {
        let length = match tokio::time::timeout_at(deadline, read.read(&mut buffer)).await {
            Ok(Ok(length)) if length > 0 => length,
            Ok(_) => return,
            Err(_) => {
                shared.counters.too_slow.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        let was_idle = framer.rest().is_empty();
        framer.push(buffer.get(..length).unwrap_or_default());
        let mut complete = false;
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(bytes))) => {
                    complete = true;
                    if !shared.received(path, bytes.to_vec()).await {
                        return;
                    }
                }
                Ok(Some(Frame::Ping)) => {
                    complete = true;
                    // If one answer waits already, it will do.
                    let _ = pongs.try_send(());
                }
                Ok(Some(Frame::Pong)) => complete = true,
                Ok(None) => break,
                Err(error) => {
                    shared.counters.unframed.fetch_add(1, Ordering::Relaxed);
                    // The boundary of the next message is lost. Whoever reads can still say what is wrong with this one.
                    if error.status().is_some() && shared.received(path, framer.rest().to_vec()).await {
                        tokio::time::sleep(ANSWER_TIME).await;
                    }
                    return;
                }
            }
        }
        if framer.rest().is_empty() {
            deadline = Instant::now() + config.idle;
        } else if complete || was_idle {
            deadline = Instant::now() + config.message_time_max;
        }
    }
}

/// Writes what is queued until the peer does not read or the sockets close, and then what is queued still.
async fn write_all(shared: &Shared, mut write: OwnedWriteHalf, queue: &mut Queue, mut pings: tokio::sync::mpsc::Receiver<()>) {
    let mut life = queue.life.clone();
    let mut closing = false;
    loop {
        let next = tokio::select! {
            next = queue.messages.recv() => next,
            // RFC 5626 §3.5.1: a double CRLF is answered with a single one.
            Some(()) = pings.recv() => {
                if !write_one(shared, &mut write, b"\r\n").await {
                    return;
                }
                continue;
            }
            () = life.closing(), if !closing => {
                closing = true;
                queue.messages.close();
                continue;
            }
        };
        let Some(transmit) = next else {
            let _ = write.shutdown().await;
            return;
        };
        queue.sent(&transmit);
        if !write_one(shared, &mut write, &transmit.bytes).await {
            // Written in part, or not at all: in either case the peer has no whole message.
            shared.failed(transmit.to, transmit.ticket, SendError::Closed).await;
            return;
        }
    }
}

async fn write_one(shared: &Shared, write: &mut OwnedWriteHalf, bytes: &[u8]) -> bool {
    let Ok(result) = timeout(shared.config.write_time_max, write.write_all(bytes)).await else {
        shared.counters.too_slow.fetch_add(1, Ordering::Relaxed);
        return false;
    };
    result.is_ok()
}
