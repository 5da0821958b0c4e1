//! The last good state on disk: one file per directory, written aside and renamed into place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::directory::Cookie;
use crate::store::Snapshot;
use crate::store::saved::{self, Saved};

/// Where the state of one directory is kept.
#[derive(Debug, Clone)]
pub(crate) struct StateFile {
    path: PathBuf,
    /// The directory's URL, kept inside the file too.
    source: String,
    /// Held while this process may write.
    _lock: Arc<File>,
}

/// Why the state was not kept or not found.
#[derive(Debug, Error)]
pub(crate) enum StateError {
    #[error("cannot use the state folder {}; name one that this account may write to with --state", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another dialcast serves this directory with its state in {}; stop it, or give this one a folder of its own", path.display())]
    Busy { path: PathBuf },
    #[error("read the last good state from {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the last good state in {} is damaged; it was set aside as {}, and the directory is read in full", path.display(), aside.display())]
    Damaged {
        path: PathBuf,
        aside: PathBuf,
        #[source]
        source: saved::SavedError,
    },
    #[error("write the last good state to {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What the files of a directory are called.
fn name_of(source: &str) -> String {
    let digest = Sha256::digest(source.as_bytes());
    digest.iter().take(6).fold(String::from("directory-"), |name, byte| format!("{name}{byte:02x}"))
}

impl StateFile {
    /// The file for a directory; `source` names it (its URL): the state of one is never taken for another's.
    pub(crate) fn open(dir: &Path, source: &str) -> Result<Self, StateError> {
        let failed = |source| StateError::Folder { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let name = name_of(source);
        // Two writers would each rename their own over the other's, or write into one file.
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(dir.join(format!("{name}.lock")))
            .map_err(failed)?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StateError::Busy { path: dir.to_owned() }),
            Err(error) => return Err(failed(error.into())),
        }
        Ok(Self { path: dir.join(format!("{name}.state")), source: source.to_owned(), _lock: Arc::new(lock) })
    }

    /// The state of a directory that a daemon may be keeping at this moment: read, and nothing else.
    pub(crate) fn peek(dir: &Path, source: &str) -> Result<Option<Saved>, StateError> {
        let path = dir.join(format!("{}.state", name_of(source)));
        let failed = |source| StateError::Read { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        saved::read(&mut BufReader::new(file), source).map(Some).map_err(|error| failed(io::Error::other(error)))
    }

    /// The state that was kept, or `None` when there is none yet.
    pub(crate) fn load(&self) -> Result<Option<Saved>, StateError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateError::Read { path: self.path.clone(), source }),
        };
        match saved::read(&mut BufReader::new(file), &self.source) {
            Ok(saved) => Ok(Some(saved)),
            Err(source) => {
                let aside = self.path.with_extension("damaged");
                // If it cannot even be set aside, the next save replaces it.
                let _ = fs::rename(&self.path, &aside);
                Err(StateError::Damaged { path: self.path.clone(), aside, source })
            }
        }
    }

    /// Keeps a state with its cookie and its companion. A crash at any moment leaves the old file or the new one, whole.
    pub(crate) fn save(&self, snapshot: &Snapshot, cookie: Option<&Cookie>, companion: io::Result<Vec<u8>>) -> Result<(), StateError> {
        let aside = self.path.with_extension("new");
        companion.and_then(|companion| self.write(&aside, snapshot, cookie, &companion)).map_err(|source| {
            // On a full disk half a file would only be in the way.
            let _ = fs::remove_file(&aside);
            StateError::Write { path: self.path.clone(), source }
        })
    }

    fn write(&self, aside: &Path, snapshot: &Snapshot, cookie: Option<&Cookie>, companion: &[u8]) -> io::Result<()> {
        // Attribute values may be secrets: readable by the daemon's account only.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(aside)?;
        let mut out = BufWriter::new(file);
        saved::write(&mut out, snapshot, cookie, companion, &self.source)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(aside, &self.path)?;
        // The rename itself is durable once the folder is.
        if let Some(dir) = self.path.parent() {
            File::open(dir).and_then(|dir| dir.sync_all())?;
        }
        Ok(())
    }
}
