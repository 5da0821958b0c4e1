//! `dialcast serve`: the daemon.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use rand::Rng as _;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::credentials::CredentialBook;
use super::live::Feed;
use super::publishing::Publishing;
use super::saving::Saving;
use super::state::StateFile;
use super::stop::interrupts;
use super::watching::{Loaded, Parts, Watching};
use super::{Failed, configuration, control, environment, feeding, notifying, tell, tokio_runtime};
use crate::config::{Config, Flags, SAMPLE};
use crate::directory::{LdifOptions, Resume, Source};
use crate::model::{Fault, Place, Severity};
use crate::net::{Listen, Net, NetConfig, NetError};
use crate::policy::{Engine, Guard};
use crate::sip::Transport;
use crate::store::SweepGuard;
use crate::store::saved::Saved;
use crate::subscription::pacing::Quiet;
use crate::subscription::{AuthMode, Notifier, NotifierConfig};
use crate::telemetry;

/// The sample organisation, for a binary that stands alone.
const SAMPLE_TEXT: &str = include_str!("../../examples/corp.ldif");
/// Reports of the feed that may wait: it reads ahead this far while the watcher resolves.
const REPORTS_MAX: usize = 1024;
/// What a request may bring as its body, in octets: no body means anything to the notifier, and a datagram cannot hold more.
const REQUEST_BODY_MAX: usize = 64 * 1024;
/// Requests of clients that may wait.
const REQUESTS_MAX: usize = 16;
/// Messages to the notifier that may wait; each holds up to a few hundred documents.
const COMMANDS_MAX: usize = 16;
/// Questions of the notifier that may wait; it keeps the others.
const ASKS_MAX: usize = 256;

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// When the configuration has faults, a listener cannot be bound, or the state folder cannot be used.
pub fn run(flags: &Flags, json: bool) -> Result<ExitCode, Failed> {
    let (config, warnings) = configuration(flags)?;
    telemetry::init(&config.log);
    for fault in warnings {
        warn!(code = fault.code, "{fault}");
    }
    tokio_runtime()?.block_on(serve(flags, config, json))
}

async fn serve(flags: &Flags, config: Config, json: bool) -> Result<ExitCode, Failed> {
    let begun = Instant::now();
    let mut stop = interrupts()?;
    let source = resolve_sample(&config)?;
    let credentials = CredentialBook::open(&config.auth).map_err(Failed::Faults)?;
    let state = config.state_dir.as_deref().map(|dir| StateFile::open(dir, &source.to_string())).transpose();
    let state = state.map_err(|error| Failed::Other(error.into()))?;
    let net_config = NetConfig { listen: config.listen.clone(), body_bytes_max: REQUEST_BODY_MAX, ..NetConfig::default() };
    let (net, events) = Net::bind(net_config)
        .map_err(|error| unbound(&error).map_or_else(|| Failed::Other(error.into()), |fault| Failed::Faults(vec![fault])))?;
    let listen = net.addresses().to_vec();
    let say = Say { json, again: again(flags, &source), staging: config.staging };
    say.starting(&source, &config, &listen);

    let (reports, received) = mpsc::channel(REPORTS_MAX);
    let (commands, commanded) = mpsc::channel(COMMANDS_MAX);
    let (loaded, is_loaded) = oneshot::channel();
    let notifier = Notifier::new(notifier_config(&config, &listen), rand::rng().random());
    let live = Feed::new();
    let (asks, asked) = mpsc::channel(ASKS_MAX);
    let mut notifying = tokio::spawn(notifying::run(notifier, net, events, commanded, asks, live.clone()));

    let (requests, requested) = mpsc::channel(REQUESTS_MAX);
    let control =
        listen_for_control(&config)?.map(|listening| tokio::spawn(control::serve(listening, source.to_string(), requests, live.clone())));

    let kept = state.as_ref().and_then(last_good);
    let (feed, again) = feeding::feed(source.clone(), config.guards.recheck);
    let engine = Engine::new(config.policy.clone());
    let mut watching = Watching::new(Parts {
        publishing: Publishing::new(engine, Guard::new(config.guards.users), credentials, commands),
        quiet: Quiet::new(config.quiet, config.quiet_max),
        guard: sweep_guard(&config),
        saving: Saving::new(state),
        again,
        loaded,
        live,
        staging: config.staging,
    });
    let mut resume = Resume::default();
    if let Some(kept) = kept {
        resume.known = Some(kept.snapshot.iter().filter(|object| !object.glue).map(|object| object.id).collect());
        resume.cookie = watching.resume(kept).await;
    }
    let mut watching = tokio::spawn(watching.run(received, requested, asked));
    let mut feed = tokio::spawn(feeding::run(feed, resume, reports));

    let saying = async {
        if let Ok(loaded) = is_loaded.await {
            say.ready(&loaded, &listen, &source, begun);
        }
        std::future::pending::<()>().await;
    };
    // None of the tasks ends by itself: one that did has panicked, and a daemon that lives on without it serves nobody.
    let broken = tokio::select! {
        _ = stop.recv() => None,
        () = saying => None,
        _ = &mut feed => Some("the feed of the directory"),
        _ = &mut watching => Some("the watcher"),
        _ = &mut notifying => Some("the notifier"),
    };
    if let Some(task) = broken {
        return Err(Failed::Other(anyhow::anyhow!(
            "{task} has ended, which is a fault of this program: start it again, and report the log"
        )));
    }
    info!("stopping");
    if let Some(control) = control {
        control.abort();
        let _ = control.await;
    }
    feed.abort();
    let _ = feed.await;
    // The feed's end is the watcher's, which keeps the state; the watcher's end is the notifier's.
    watching.await.context("the watcher").map_err(Failed::Other)?;
    notifying.await.context("the notifier").map_err(Failed::Other)?;
    Ok(ExitCode::SUCCESS)
}

/// What the configuration says of lists.
pub(super) fn sweep_guard(config: &Config) -> SweepGuard {
    let guards = &config.guards;
    SweepGuard { canaries: guards.canaries.clone(), objects_min: guards.objects_min, objects_percent: guards.objects_percent }
}

/// Opens the control socket. Where nobody asked for one and none can be had, phones are served all the same.
fn listen_for_control(config: &Config) -> Result<Option<control::Listening>, Failed> {
    let (path, is_wanted) = control::path(config, &environment());
    match control::listen(&path) {
        Ok(listening) => Ok(Some(listening)),
        Err(error) if is_wanted => Err(Failed::Other(anyhow::Error::new(error).context(format!(
            "open the control socket {}; name another place with control in the configuration (at most 100 octets)",
            path.display()
        )))),
        Err(error) => {
            warn!(
                "no control socket at {} ({error}): `dialcast holds`, `release` and `watch` need one; control in the configuration names it",
                path.display()
            );
            Ok(None)
        }
    }
}

/// What to do about an address that the kernel refuses.
fn unbound(error: &NetError) -> Option<Fault> {
    let NetError::Bind { listen, source } = error else { return None };
    let remedy = match source.kind() {
        io::ErrorKind::AddrInUse => format!(
            "see who has it with `ss -lnp 'sport = :{}'`, and stop it; or name another address with --listen or in listen",
            listen.address.port()
        ),
        io::ErrorKind::AddrNotAvailable => "name an address of this machine (`ip address` shows them)".to_owned(),
        io::ErrorKind::PermissionDenied => "name a port from 1024 on, or give the service CAP_NET_BIND_SERVICE".to_owned(),
        _ => "name another address with --listen or in listen".to_owned(),
    };
    Some(Fault {
        severity: Severity::Error,
        code: "listen.refused",
        place: Place::Config { key: "listen".to_owned() },
        what: format!("cannot listen on {listen}: {source}"),
        remedy,
    })
}

/// The arguments that make another command read the same configuration and directory, for a shell.
fn again(flags: &Flags, source: &Source) -> String {
    match (&flags.config, &flags.directory) {
        (Some(config), None) => format!("--config {}", quoted(&config.display().to_string())),
        (Some(config), Some(directory)) => format!("--config {} --directory {}", quoted(&config.display().to_string()), quoted(directory)),
        (None, _) => format!("--directory {}", quoted(&source.to_string())),
    }
}

/// One word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// The last good state; one that cannot be used is told, and the directory is read in full.
fn last_good(state: &StateFile) -> Option<Saved> {
    match state.load() {
        Ok(kept) => kept,
        Err(error) => {
            warn!("{:#}", anyhow::Error::new(error));
            None
        }
    }
}

fn notifier_config(config: &Config, listen: &[Listen]) -> NotifierConfig {
    NotifierConfig {
        auth: if config.auth.digest { AuthMode::Digest } else { AuthMode::Open },
        allow_md5: config.auth.md5,
        on_timeout: config.on_timeout,
        udp_max_request_bytes: config.udp_request_bytes_max,
        expires_default_s: config.expires_default_s,
        expires_min_s: config.expires_min_s,
        expires_max_s: config.expires_max_s,
        notify_rate: config.rate_per_s,
        listen: listen.iter().map(|listen| (listen.transport, listen.address)).collect(),
        ready: false,
        ..NotifierConfig::default()
    }
}

/// The source to open. Where nobody named one, the sample: of this checkout, or a copy of the one in the binary, so that
/// it can be edited.
///
/// # Errors
/// When the copy cannot be written.
pub(super) fn resolve_sample(config: &Config) -> Result<Source, Failed> {
    if !config.is_sample || Path::new(SAMPLE).is_file() {
        return Ok(config.directory.clone());
    }
    let home = environment().into_iter().find_map(|(name, value)| match name.as_str() {
        "XDG_STATE_HOME" => Some(PathBuf::from(value)),
        "HOME" => Some(PathBuf::from(value).join(".local/state")),
        _ => None,
    });
    let dir = config.state_dir.clone().or_else(|| home.map(|home| home.join("dialcast"))).unwrap_or_else(|| PathBuf::from("."));
    let path = dir.join("corp.ldif");
    if !path.is_file() {
        std::fs::create_dir_all(&dir)
            .and_then(|()| std::fs::write(&path, SAMPLE_TEXT))
            .with_context(|| format!("write a copy of the sample organisation to {}; name a directory with --directory", path.display()))
            .map_err(Failed::Other)?;
    }
    Ok(Source::Ldif(LdifOptions::new(path)))
}

/// What the daemon says of itself on standard output.
struct Say {
    json: bool,
    /// What `explain` and `check` need to see what the daemon sees.
    again: String,
    /// Whether nothing is sent.
    staging: bool,
}

impl Say {
    fn starting(&self, source: &Source, config: &Config, listen: &[Listen]) {
        if self.json {
            return;
        }
        let sample = if config.is_sample { " (the sample organisation; --directory names another)" } else { "" };
        let auth = if config.auth.digest { "digest" } else { "open: everybody is believed, on loopback addresses only" };
        let state = config
            .state_dir
            .as_ref()
            .map_or_else(|| "in memory only (--state DIR keeps it over a restart)".to_owned(), |dir| dir.display().to_string());
        tell(&format!(
            "dialcast {}\n  directory  {source}{sample}\n  listening  {}\n  auth       {auth}\n  state      {state}\n",
            env!("CARGO_PKG_VERSION"),
            join(listen)
        ));
    }

    fn ready(&self, loaded: &Loaded, listen: &[Listen], source: &Source, begun: Instant) {
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let count = |severity| loaded.faults.iter().filter(|fault| fault.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        if self.json {
            let listen: Vec<String> = listen.iter().map(ToString::to_string).collect();
            let line = serde_json::json!({ "event": "ready", "directory": source.to_string(), "listen": listen, "objects": loaded.objects,
                "users": loaded.users, "errors": errors, "warnings": warnings, "from_state": loaded.from_state, "staging": self.staging, "took_ms": took_ms });
            tell(&format!("{line}\n"));
            return;
        }
        let from = if loaded.from_state { ", from the state of the last run" } else { "" };
        let (program, again) = (quoted(&std::env::args().next().unwrap_or_else(|| "dialcast".to_owned())), &self.again);
        let mut text = format!("ready in {took_ms} ms: {} objects, {} users with a document{from}\n", loaded.objects, loaded.users);
        if errors + warnings > 0 {
            let _ = writeln!(text, "{errors} errors and {warnings} warnings: `{program} check {again}` tells them");
        }
        if self.staging {
            text.push_str("staging: nothing is sent, and SUBSCRIBEs are answered 503\n");
        } else if let (Some(aor), Some(server)) = (&loaded.example, listen.first()) {
            let transport = if server.transport == Transport::Tcp { ";transport=tcp" } else { "" };
            let server = quoted(&format!("sip:{}{transport}", server.address));
            let _ = writeln!(text, "\nTry, in another terminal:\n  {program} subscribe {} --server {server}", quoted(aor.as_str()));
            let _ = writeln!(text, "  {program} explain {} {again}\nthen change the directory, and watch.\n", quoted(aor.as_str()));
        }
        tell(&text);
    }
}

fn join(listen: &[Listen]) -> String {
    listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
