//! `dialcast subscribe`: be a phone. Prints a user's profile when it arrives, and what changes as it changes.

mod args;
mod remedy;
mod show;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path as FilePath;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use rand::Rng as _;
use tokio::sync::mpsc;

use super::stop::interrupts;
use super::{Failed, tokio_runtime, until};
use crate::agent::subscriber::{Event, Failure, Login, Outcome, Subscriber, SubscriberConfig};
use crate::model::Secret;
use crate::net::{self, Listen, Net, NetConfig};
use crate::sip::transaction::Target;
use crate::sip::{Path, Transport};
pub use args::{ProfileArg, ServerUri, SubscribeArgs};
use show::Show;

/// How long the server may take over the last word before the program ends without it.
const LEAVE_MAX: Duration = Duration::from_secs(2);
/// How long the connections have to write what they hold.
const CLOSE_MAX: Duration = Duration::from_millis(500);
/// After this long without an answer a person wants to hear that something is awaited.
const PATIENCE: Duration = Duration::from_secs(3);
/// Tries to find one port that is free for UDP and for TCP.
const PORTS_MAX: u32 = 20;
/// A password is no longer than this; a file that is was not meant.
const PASSWORD_MAX: usize = 4_096;

/// Subscribes, or fetches once, until the subscription is over or the user interrupts.
///
/// # Errors
/// When there is no answer, the server refuses, or ends the subscription for good; each says what to do.
pub fn run(args: &SubscribeArgs, json: bool) -> Result<ExitCode, Failed> {
    Ok(tokio_runtime()?.block_on(subscribe(args, json))?)
}

async fn subscribe(args: &SubscribeArgs, json: bool) -> anyhow::Result<ExitCode> {
    let mut stop = interrupts()?;
    let login = args.password_file.as_deref().map(|path| login(args, path)).transpose()?;
    let remote = resolve(&args.server).await?;
    let (net, events, listen) = listen(remote, args.bind)?;
    let server = Target::Path(Path { transport: args.server.transport, local: listen, remote, connection: None });
    let mut config = SubscriberConfig { login, ..SubscriberConfig::new(args.aor.clone(), server, listen) };
    config.profile = args.profile_type.into();
    config.expires_s = if args.once { 0 } else { args.expires };
    if !args.accept.is_empty() {
        config.accept.clone_from(&args.accept);
    }
    let subscriber = Subscriber::new(config, rand::rng().random());
    Session::new(subscriber, Show::new(json, args.full), args).run(net, events, &mut stop).await
}

/// One run of the command.
struct Session<'a> {
    subscriber: Subscriber,
    show: Show,
    args: &'a SubscribeArgs,
    /// Whether the server has granted a subscription: what fails before that is a mistake, what fails after it will pass.
    established: bool,
    begun: Instant,
    leave_by: Option<Instant>,
}

impl<'a> Session<'a> {
    fn new(subscriber: Subscriber, show: Show, args: &'a SubscribeArgs) -> Self {
        Self { subscriber, show, args, established: false, begun: Instant::now(), leave_by: None }
    }

    /// Runs until it is over, or `stop` says so; then unsubscribes. Said twice, it does not wait for that.
    async fn run(mut self, net: Net, mut events: mpsc::Receiver<net::Event>, stop: &mut mpsc::Receiver<()>) -> anyhow::Result<ExitCode> {
        self.subscriber.subscribe(Instant::now());
        let mut hint = Some(self.begun + PATIENCE);
        let ended = loop {
            self.send(&net).await;
            if let Some(ended) = self.tell()? {
                break ended;
            }
            let due = [self.subscriber.poll_timeout(), self.leave_by, hint].into_iter().flatten().min();
            tokio::select! {
                event = events.recv() => match event {
                    Some(net::Event::Received { path, bytes }) => {
                        hint = None;
                        self.subscriber.handle_message(Instant::now(), path, &bytes);
                    }
                    Some(net::Event::Failed(failure)) => self.subscriber.handle_send_error(Instant::now(), &failure),
                    None => break Err(anyhow!("the network is gone")),
                },
                Some(()) = stop.recv() => {
                    if self.leave_by.is_some() {
                        break Ok(ExitCode::SUCCESS);
                    }
                    self.leave_by = Some(Instant::now() + LEAVE_MAX);
                    self.subscriber.unsubscribe(Instant::now());
                }
                () = until(due) => {}
            }
            let now = Instant::now();
            if self.leave_by.is_some_and(|by| by <= now) {
                break Ok(ExitCode::SUCCESS);
            }
            if hint.take_if(|at| *at <= now).is_some() {
                self.show.waiting(&self.args.server);
            }
            self.subscriber.handle_timeout(now);
        };
        self.send(&net).await;
        net.shutdown(CLOSE_MAX).await;
        ended
    }

    async fn send(&mut self, net: &Net) {
        while let Some(transmit) = self.subscriber.poll_transmit() {
            if let Err(failure) = net.send(transmit).await {
                self.subscriber.handle_send_error(Instant::now(), &failure);
            }
        }
    }

    /// Shows what happened; gives the exit code, or the error, when that is the end.
    fn tell(&mut self) -> anyhow::Result<Option<anyhow::Result<ExitCode>>> {
        while let Some(event) = self.subscriber.poll_event() {
            match event {
                Event::Subscribed { expires } => {
                    if !self.established {
                        self.show.subscribed(&self.args.aor, &self.args.server, expires)?;
                    }
                    self.established = true;
                }
                Event::Received(document) => {
                    self.established = true;
                    self.show.document(document)?;
                }
                Event::Nothing => self.show.nothing()?,
                Event::Trouble { why, retry } => {
                    if self.leave_by.is_none() && (self.args.once || !self.established && is_mistake(&why)) {
                        return Ok(Some(Err(remedy::of_failure(&why, self.args))));
                    }
                    self.show.trouble(&why, retry)?;
                }
                Event::Over(Outcome::Unsubscribed) => return Ok(Some(Ok(ExitCode::SUCCESS))),
                Event::Over(Outcome::Fetched) if self.show.has_document() => return Ok(Some(Ok(ExitCode::SUCCESS))),
                Event::Over(outcome) => return Ok(Some(Err(remedy::of_outcome(&outcome, self.args)))),
            }
        }
        Ok(None)
    }
}

/// Whether a first try that fails like this will fail again, as far as a person can tell. A server that is busy, or still
/// reads its directory, says when to come back.
const fn is_mistake(why: &Failure) -> bool {
    !matches!(why, Failure::Refused { .. } | Failure::Ended { .. })
}

/// The password of a file: its first line.
fn login(args: &SubscribeArgs, path: &FilePath) -> anyhow::Result<Login> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("read the password from {}: the file holds it on its first line", path.display()))?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() || password.len() > PASSWORD_MAX {
        return Err(anyhow!("the first line of {} is no password; write it there, and nothing else", path.display()));
    }
    let username = args.user.clone().unwrap_or_else(|| args.aor.user().to_owned());
    Ok(Login { username, password: Secret::new(password) })
}

async fn resolve(server: &ServerUri) -> anyhow::Result<SocketAddr> {
    let mut found = tokio::net::lookup_host((server.host.as_str(), server.port))
        .await
        .with_context(|| format!("look up {}; an address will do as well: --server sip:192.0.2.1:5060", server.host))?;
    found.next().ok_or_else(|| anyhow!("{} has no address", server.host))
}

/// Opens UDP and TCP on one port, at the address that the server sees.
///
/// RFC 3261 §18.1.1, §18.2.1: a NOTIFY that is too large for a datagram comes over TCP, to the same address and port.
fn listen(server: SocketAddr, bind: Option<IpAddr>) -> anyhow::Result<(Net, mpsc::Receiver<net::Event>, SocketAddr)> {
    let own = match bind {
        Some(bind) => bind,
        None => own_address(server).with_context(|| format!("find a route to {server}"))?,
    };
    let mut last = None;
    for _ in 0..PORTS_MAX {
        // The kernel chooses a port that is free for TCP; mostly it is so for UDP too.
        let free = std::net::TcpListener::bind((own, 0)).and_then(|listener| listener.local_addr());
        let address = free.with_context(|| format!("listen on {own}"))?;
        let listen = [Transport::Udp, Transport::Tcp].map(|transport| Listen { transport, address }).to_vec();
        match Net::bind(NetConfig { listen, ..NetConfig::default() }) {
            Ok((net, events)) => return Ok((net, events, address)),
            Err(error) => last = Some(error),
        }
    }
    let last = last.map_or_else(|| anyhow!("no port is free"), anyhow::Error::new);
    Err(last.context("find a port that is free for UDP and for TCP"))
}

/// Connecting a datagram socket sends nothing: it only chooses a route.
fn own_address(server: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    Ok(socket.local_addr()?.ip())
}
