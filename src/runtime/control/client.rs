//! The commands' end.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::{Answer, Command};

/// How long the daemon may take to answer: it may be resolving a million users.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the daemon could not be asked.
#[derive(Debug, Error)]
pub(in crate::runtime) enum ControlError {
    #[error(
        "no daemon answers at {}: see whether `dialcast serve` runs, and give the same --config or --state as to it", path.display()
    )]
    NoDaemon {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the daemon at {} did not answer", path.display())]
    NoAnswer {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The lines that the daemon writes.
pub(in crate::runtime) struct Answers {
    path: PathBuf,
    input: BufReader<UnixStream>,
}

/// Asks the daemon something. `watch`: the lines come as things happen.
///
/// # Errors
/// There is none.
pub(in crate::runtime) fn open(path: &Path, command: &Command) -> Result<Answers, ControlError> {
    let no_daemon = |source| ControlError::NoDaemon { path: path.to_owned(), source };
    let no_answer = |source| ControlError::NoAnswer { path: path.to_owned(), source };
    let mut stream = UnixStream::connect(path).map_err(no_daemon)?;
    if *command != Command::Watch {
        stream.set_read_timeout(Some(PATIENCE)).map_err(no_answer)?;
    }
    let line = serde_json::to_string(command).map_err(io::Error::other).map_err(no_answer)?;
    stream.write_all(format!("{line}\n").as_bytes()).map_err(no_answer)?;
    Ok(Answers { path: path.to_owned(), input: BufReader::new(stream) })
}

/// Asks the daemon something that has one answer.
///
/// # Errors
/// There is none, or it does not answer.
pub(in crate::runtime) fn ask(path: &Path, command: &Command) -> Result<Answer, ControlError> {
    let no_answer = |source| ControlError::NoAnswer { path: path.to_owned(), source };
    let line = open(path, command)?.next_line()?.ok_or_else(|| no_answer(io::ErrorKind::UnexpectedEof.into()))?;
    serde_json::from_str(&line).map_err(io::Error::other).map_err(no_answer)
}

impl Answers {
    /// The next line; `None` when the daemon has ended.
    ///
    /// # Errors
    /// It cannot be read.
    pub(in crate::runtime) fn next_line(&mut self) -> Result<Option<String>, ControlError> {
        let mut line = String::new();
        let read = self.input.read_line(&mut line).map_err(|source| ControlError::NoAnswer { path: self.path.clone(), source })?;
        Ok((read > 0).then_some(line))
    }
}
