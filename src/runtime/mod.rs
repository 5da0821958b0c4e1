//! Wiring: tasks, channels, the clock, shutdown; and the commands that the binary calls.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

use crate::config::{self, Config, Flags};
use crate::directory::ldap::kerberos_environment;
use crate::model::{Fault, Timestamp};

pub mod check;
mod companion;
mod control;
mod credentials;
pub mod doctor;
pub mod explain;
mod faults;
mod feeding;
pub mod hold_commands;
mod holds;
mod kept;
mod leisure;
mod live;
mod notifying;
mod placing;
pub mod plan;
mod publishing;
mod saving;
pub mod schema;
pub mod serve;
mod state;
mod stop;
pub mod subscribe;
pub mod watch;
mod watching;

/// What ends a command early: faults that the operator should repair, or an operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Faults of the configuration or the directory.
    #[error("{} faults", .0.len())]
    Faults(Vec<Fault>),
    /// Anything else, with its causes.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// The exit code of a wrong command line (docs/operations.md).
const MISUSED: u8 = 2;

/// Prints what went wrong, if anything did, and gives the exit code (docs/operations.md).
pub fn exit(outcome: Result<ExitCode, Failed>, json: bool) -> ExitCode {
    let failed = match outcome {
        Ok(code) => return code,
        Err(failed) => failed,
    };
    let line = match &failed {
        Failed::Faults(found) => serde_json::json!({ "event": "failed", "faults": found }),
        Failed::Other(error) => serde_json::json!({ "event": "failed", "error": format!("{error:#}") }),
    };
    // Where standard output is what failed, standard error is left.
    if !(json && tell(&format!("{line}\n"))) {
        match failed {
            Failed::Faults(found) => faults::print(&found),
            Failed::Other(error) => complain(&format!("dialcast: {error:#}\n")),
        }
    }
    ExitCode::FAILURE
}

/// The command line is wrong: says so in JSON (clap's words, without the usage below them), and gives exit code 2.
pub fn misused(words: &str) -> ExitCode {
    let error = words.split("\n\n").next().unwrap_or_default().trim().trim_start_matches("error: ");
    let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
    tell(&format!("{}\n", serde_json::json!({ "event": "failed", "error": error })));
    ExitCode::from(MISUSED)
}

/// Writes a command's answer to standard output. A reader that closed it (`| head`) has what it wanted.
///
/// # Errors
/// When the answer could not be written: a script must not take a cut one for the whole.
fn answer(text: &str) -> Result<(), Failed> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write the answer to standard output").map_err(Failed::Other),
    }
}

/// Writes to standard output, and gives whether that was possible: a daemon goes on without.
fn tell(text: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// Writes to standard error; where that is closed, nobody could be told of it.
fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// The process's environment variables that are text.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// A moment for people.
fn shown_time(milliseconds: u64) -> String {
    crate::policy::rfc3339(Timestamp(milliseconds))
}

/// The configuration, and its warnings; the process is then one that can do what it says.
///
/// # Errors
/// All faults of the configuration together.
fn configuration(flags: &Flags) -> Result<(Config, Vec<Fault>), Failed> {
    let (config, warnings) = config::load(flags, &environment()).map_err(Failed::Faults)?;
    with_environment(&kerberos_environment(&config.directory))?;
    Ok((config, warnings))
}

/// Begins anew with these variables, unless they are set already: the Kerberos library reads them, and a process cannot safely
/// change its own. It stays the same process to whoever started it.
fn with_environment(variables: &[(&str, String)]) -> Result<(), Failed> {
    if variables.iter().all(|(name, value)| std::env::var(name).as_ref() == Ok(value)) {
        return Ok(());
    }
    let program = std::env::current_exe().context("find this program's file, to start it with Kerberos' variables")?;
    let error = Command::new(program).args(std::env::args_os().skip(1)).envs(variables.iter().cloned()).exec();
    Err(Failed::Other(anyhow::Error::new(error).context("start this program with Kerberos' variables")))
}

/// A runtime for a command.
fn tokio_runtime() -> Result<Runtime, Failed> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::Other(anyhow::Error::new(error).context("start the async runtime")))
}

/// Waits until then, or for ever.
async fn until(when: Option<std::time::Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when.into()).await,
        None => std::future::pending().await,
    }
}
