//! The daemon's end.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};
use tokio::time::timeout;
use tracing::debug;

use super::{Answer, Command, Phone, REQUEST_MAX, Request, SubscribedTo};
use crate::model::Resource;
use crate::runtime::live::{Feed, Live, now_ms};
use crate::subscription::{Endpoint, EndpointState};

/// Clients at once: a few terminals and a monitor.
const CLIENTS_MAX: usize = 32;
/// How long a client may take to say what it wants, and to take a line of what it gets.
const PATIENCE: Duration = Duration::from_secs(10);

/// The open socket; its file goes with it.
pub(in crate::runtime) struct Listening {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It is in nobody's way: the next daemon removes what nobody listens at.
        let _ = fs::remove_file(&self.path);
    }
}

/// Opens the socket, mode 0600. What a daemon left that crashed is removed.
///
/// # Errors
/// Another daemon listens there, or the folder cannot be used.
pub(in crate::runtime) fn listen(path: &Path) -> io::Result<Listening> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another dialcast listens there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(Listening { listener, path: path.to_owned() })
}

/// Answers clients until nobody is left to ask. `directory`: what the daemon serves.
pub(in crate::runtime) async fn serve(listening: Listening, directory: String, requests: mpsc::Sender<Request>, feed: Feed) {
    let directory: Arc<str> = directory.into();
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let stream = match listening.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, which passes; not in a hurry.
                debug!(%error, "no client");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        // The file's mode says the same; but it is the umask's for a moment.
        let own = rustix::process::geteuid().as_raw();
        if !stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0) {
            continue;
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            debug!("too many clients");
            continue;
        };
        let (requests, feed, directory) = (requests.clone(), feed.clone(), Arc::clone(&directory));
        tokio::spawn(async move {
            if let Err(error) = client(stream, &directory, requests, feed).await {
                debug!(%error, "a client left");
            }
            drop(place);
        });
    }
}

async fn client(stream: UnixStream, directory: &str, requests: mpsc::Sender<Request>, feed: Feed) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input).take(REQUEST_MAX as u64);
    let mut line = String::new();
    timeout(PATIENCE, input.read_line(&mut line)).await??;
    let answer = match serde_json::from_str::<Command>(&line) {
        Err(error) => Answer::Error(format!("the request cannot be read: {error}")),
        Ok(Command::Watch) => return watch(input.into_inner(), output, feed.subscribe(), &requests).await,
        Ok(Command::Holds) => {
            let (reply, answer) = oneshot::channel();
            ask(&requests, Request::Holds(reply), answer).await.map_or_else(Answer::Error, Answer::Holds)
        }
        Ok(Command::Subscribed { from }) => {
            let (reply, answer) = oneshot::channel();
            let page = ask(&requests, Request::Subscribed { from, reply }, answer).await;
            page.map_or_else(Answer::Error, |(endpoints, next)| Answer::Subscribed {
                directory: directory.to_owned(),
                phones: endpoints.iter().filter_map(phone).collect(),
                next,
            })
        }
        Ok(Command::Release { id }) => {
            let (reply, answer) = oneshot::channel();
            let released = ask(&requests, Request::Release { id: id.clone(), reply }, answer).await;
            let none = || Answer::Error(format!("there is no hold `{}`", id.unwrap_or_default()));
            released.map_or_else(Answer::Error, |released| released.map_or_else(none, Answer::Released))
        }
    };
    write(&mut output, &serde_json::to_string(&answer).map_err(io::Error::other)?).await
}

/// What would be told of a change. Nothing is sent to one that does not answer or is leaving.
fn phone(endpoint: &Endpoint) -> Option<Phone> {
    if matches!(endpoint.state, EndpointState::Suspended | EndpointState::Ending) {
        return None;
    }
    let to = match &endpoint.resource {
        Resource::User(aor) => SubscribedTo::User(aor.as_str().to_owned()),
        Resource::LocalNetwork => SubscribedTo::LocalNetwork,
        Resource::Device(id) => SubscribedTo::Device(id.to_string()),
    };
    Some(Phone { to, address: endpoint.path.remote.ip() })
}

async fn ask<T>(requests: &mpsc::Sender<Request>, request: Request, answer: oneshot::Receiver<T>) -> Result<T, String> {
    let stopping = "the daemon is stopping";
    requests.send(request).await.map_err(|_| stopping)?;
    Ok(answer.await.map_err(|_| stopping)?)
}

/// The live feed, until the client leaves. One that is slow is told what it missed, and goes on with what is newer.
async fn watch(
    mut input: BufReader<OwnedReadHalf>,
    mut output: OwnedWriteHalf,
    mut feed: broadcast::Receiver<Arc<str>>,
    requests: &mpsc::Sender<Request>,
) -> io::Result<()> {
    let (reply, answer) = oneshot::channel();
    let held = ask(requests, Request::Holds(reply), answer).await.map_err(io::Error::other)?;
    let held = held.into_iter().map(|hold| Live::Held { at_ms: hold.since_ms, hold });
    for event in std::iter::once(Live::Watching { at_ms: now_ms() }).chain(held) {
        write(&mut output, &serde_json::to_string(&event).map_err(io::Error::other)?).await?;
    }
    let mut ignored = [0; 64];
    loop {
        let line: Arc<str> = tokio::select! {
            event = feed.recv() => match event {
                Ok(line) => line,
                Err(RecvError::Lagged(count)) => serde_json::to_string(&Live::Missed { count }).map_err(io::Error::other)?.into(),
                Err(RecvError::Closed) => return Ok(()),
            },
            read = input.read(&mut ignored) => match read? {
                0 => return Ok(()),
                _ => continue,
            },
        };
        write(&mut output, &line).await?;
    }
}

async fn write(output: &mut OwnedWriteHalf, line: &str) -> io::Result<()> {
    let bytes = [line.as_bytes(), b"\n"].concat();
    timeout(PATIENCE, output.write_all(&bytes)).await?
}
