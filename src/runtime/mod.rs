//! Wiring: tasks, channels, the clock, shutdown; and the commands that the binary calls.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

use crate::model::Fault;

pub mod check;
mod credentials;
pub mod explain;
mod faults;
mod leisure;
mod notifying;
mod placing;
pub mod serve;
mod state;
mod stop;
pub mod subscribe;
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
