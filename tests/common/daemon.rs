//! `dialcast`, as a process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{PATIENCE, free_address, until};

/// The program under test, with nothing of the caller's environment that would configure it.
pub fn dialcast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialcast"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DIALCAST_") || name == "STATE_DIRECTORY" || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command
}

/// Runs a command of `dialcast` that ends by itself.
pub fn ask(arguments: &[&str]) -> Output {
    dialcast().args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// What it said on standard output, which must be JSON; standard error for those who have to find out why it is not.
pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", text(&output.stdout), text(&output.stderr)))
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lines of a running process, collected as they come.
#[derive(Clone, Default)]
pub struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    /// Reads a pipe to its end on a thread of its own.
    pub fn collect(&self, pipe: impl Read + Send + 'static) {
        let lines = self.clone();
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                lines.0.0.lock().unwrap().push(text(&line).trim_end_matches(['\r', '\n']).to_owned());
                lines.0.1.notify_all();
                line.clear();
            }
        });
    }

    pub fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first line from number `from` on that is wanted.
    pub fn wait(&self, what: &str, from: usize, limit: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + limit;
        let mut lines = self.0.0.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().skip(from).find(|line| wanted(line)) {
                return line.clone();
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not within {limit:?}: {what}; its last lines:\n{}", tail(&lines));
            lines = self.0.1.wait_timeout(lines, left).unwrap().0;
        }
    }
}

fn tail(lines: &[String]) -> String {
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// How the daemon is to be started.
pub struct Serve {
    directory: String,
    config: String,
    state: Option<std::path::PathBuf>,
    staging: bool,
    listen: Vec<String>,
}

impl Serve {
    /// On this directory (`ldif:…`, `ldap://…`).
    pub fn on(directory: impl Into<String>) -> Self {
        Self { directory: directory.into(), config: String::new(), state: None, staging: false, listen: Vec::new() }
    }

    /// Adds TOML to its configuration.
    pub fn config(mut self, toml: &str) -> Self {
        self.config += toml;
        self.config.push('\n');
        self
    }

    /// Keeps its state there.
    pub fn state(mut self, dir: &Path) -> Self {
        self.state = Some(dir.to_owned());
        self
    }

    /// Listens there too (`udp:[::1]:PORT`).
    pub fn listen(mut self, listen: &str) -> Self {
        self.listen.push(listen.to_owned());
        self
    }

    /// Sends nothing.
    pub fn staging(mut self) -> Self {
        self.staging = true;
        self
    }

    /// Starts it on a free port, and waits until it answers phones.
    pub fn start(self) -> Daemon {
        let daemon = self.spawn();
        daemon.lines.wait("the daemon is ready", 0, PATIENCE, |line| line.contains("ready"));
        daemon
    }

    /// Starts it on a free port.
    pub fn spawn(self) -> Daemon {
        let dir = TempDir::new().unwrap();
        let config = dir.path().join("dialcast.toml");
        std::fs::write(&config, &self.config).unwrap();
        let address = free_address();
        let mut command = dialcast();
        command.args(["serve", "--json", "--directory", &self.directory, "--config"]).arg(&config);
        command.args([format!("--listen=udp:{address}"), format!("--listen=tcp:{address}")]);
        command.args(self.listen.iter().map(|listen| format!("--listen={listen}")));
        if let Some(state) = &self.state {
            command.arg("--state").arg(state);
        }
        if self.staging {
            command.arg("--staging");
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Lines::default();
        lines.collect(child.stdout.take().unwrap());
        lines.collect(child.stderr.take().unwrap());
        Daemon { child, lines, address, dir }
    }
}

/// A running daemon, ended when it is dropped.
pub struct Daemon {
    child: Child,
    /// What it logged, on both of its outputs.
    pub lines: Lines,
    /// Where it listens, by UDP and TCP.
    pub address: SocketAddr,
    dir: TempDir,
}

impl Daemon {
    pub fn start(directory: impl Into<String>) -> Self {
        Serve::on(directory).start()
    }

    /// The most memory that it has had so far, in octets.
    pub fn memory_most(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Ends it at once (SIGKILL), as a crash does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it in good order; it must say so with exit code 0.
    pub fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
        let status = until("the daemon stops at SIGTERM", PATIENCE, || self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{}", tail(&self.lines.all()));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A failed test must not hide behind a second panic here.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the daemon's last lines:\n{}", tail(&self.lines.all()));
        }
    }
}
