//! Secrets that stand in files: read when they are needed, so that a new one needs no restart.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::Secret;

/// A secret's file holds a password, not a book.
const SECRET_BYTES_MAX: u64 = 4096;

/// A file that holds a password and nothing else; a newline at its end is not of the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile(PathBuf);

/// Why a secret cannot be had.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("{}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// There is more in it than a password.
    #[error("{} has {octets} octets", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        octets: u64,
    },
    /// There is nothing in it.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
}

impl SecretError {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } | Self::TooLong { .. } => "make it a readable file that holds the password and nothing else",
            Self::Empty(_) => "write the account's password into it",
        }
    }
}

impl SecretFile {
    /// The file at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What it holds now.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let unreadable = |source| SecretError::Unreadable { path: self.0.clone(), source };
        let octets = fs::metadata(&self.0).map_err(unreadable)?.len();
        if octets > SECRET_BYTES_MAX {
            return Err(SecretError::TooLong { path: self.0.clone(), octets });
        }
        let text = fs::read_to_string(&self.0).map_err(unreadable)?;
        let password = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        if password.is_empty() { Err(SecretError::Empty(self.0.clone())) } else { Ok(Secret::new(password)) }
    }

    /// Whether everybody on this machine can read it.
    pub fn is_exposed(&self) -> bool {
        fs::metadata(&self.0).is_ok_and(|meta| meta.permissions().mode() & 0o007 != 0)
    }
}

/// The path of a systemd credential, by its name and the folder in `$CREDENTIALS_DIRECTORY`; nothing for what is no name of a file.
pub fn credential_path(folder: &OsStr, name: &str) -> Option<PathBuf> {
    let is_name = !name.is_empty() && name != "." && name != ".." && !name.contains('/');
    is_name.then(|| Path::new(folder).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = SecretFile::new(dir.path().join("password"));
        let told = || {
            let error = file.read().unwrap_err();
            format!("{error}; {}", error.remedy()).replace(&dir.path().display().to_string(), "DIR")
        };
        insta::assert_snapshot!(told(), @"DIR/password; make it a readable file that holds the password and nothing else");
        fs::write(file.path(), "\n").unwrap();
        insta::assert_snapshot!(told(), @"DIR/password is empty; write the account's password into it");
        for (text, expect) in [("hunter2", "hunter2"), ("hunter3\r\n", "hunter3"), (" a b \n", " a b ")] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(file.read().unwrap().expose(), expect);
        }
        fs::write(file.path(), "x".repeat(5000)).unwrap();
        insta::assert_snapshot!(told(), @"DIR/password has 5000 octets; make it a readable file that holds the password and nothing else");
    }

    #[test]
    fn credentials_are_files_of_one_folder() {
        let path = |name| credential_path(OsStr::new("/run/credentials/x"), name);
        assert_eq!(path("directory-password"), Some("/run/credentials/x/directory-password".into()));
        for bad in ["", ".", "..", "../shadow", "a/b"] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }
}
