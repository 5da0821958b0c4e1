//! The files themselves: which there are, whether they rest, and what is in them.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::problem::{LdifError, LdifFault, LdifProblem};
use super::record::{Progress, RECORDS_MAX, Record, parse_telling};

/// The most that is read, all files together: a million users with photographs left out is a fifth of it.
const OCTETS_MAX: u64 = 2 << 30;

/// What tells one state of the files from another without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<(PathBuf, u64, Option<SystemTime>, u64)>);

/// What a look at the files found.
#[derive(Debug)]
pub(super) enum Look {
    /// All records, in the order of the files.
    Read(Vec<Record>),
    /// They changed while they were read: look again.
    Unsettled,
}

/// The state of the files.
pub(super) fn stamp(path: &Path) -> Result<Stamp, LdifFault> {
    list(path)?.into_iter().map(|file| stamp_of(&file)).collect::<Result<_, _>>().map(Stamp)
}

fn stamp_of(path: &Path) -> Result<(PathBuf, u64, Option<SystemTime>, u64), LdifFault> {
    let data = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    Ok((path.to_owned(), data.len(), data.modified().ok(), inode(&data)))
}

/// Editors that write a new file and rename it over the old one change this, if nothing else.
#[cfg(unix)]
fn inode(data: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(data)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

fn unreadable(path: &Path, error: &std::io::Error) -> LdifFault {
    LdifFault::of_file(path, LdifProblem::Unreadable(error.to_string()))
}

/// The file, or the folder's `*.ldif` by name; hidden ones are editors' own.
fn list(path: &Path) -> Result<Vec<PathBuf>, LdifFault> {
    let data = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !data.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| unreadable(path, &error))? {
        let file = entry.map_err(|error| unreadable(path, &error))?.path();
        if is_ldif(&file) {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() { Err(LdifFault::of_file(path, LdifProblem::Empty)) } else { Ok(files) }
}

/// Whether a file of the folder is one of those that are read.
pub(super) fn is_ldif(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ldif"))
}

/// Reads and parses all files; the faults of all of them are reported together. `progress` is told now and then how many records
/// there are so far.
pub(super) fn read(path: &Path, progress: Progress<'_>) -> Result<Look, LdifError> {
    let one = |fault| LdifError { faults: vec![fault] };
    let before = stamp(path).map_err(one)?;
    if before.0.iter().map(|(_, length, ..)| length).sum::<u64>() > OCTETS_MAX {
        return Err(one(LdifFault::of_file(path, LdifProblem::TooLarge(OCTETS_MAX))));
    }
    let mut records = Vec::new();
    let mut faults = Vec::new();
    for (file, length, ..) in &before.0 {
        match contents(file, *length).map_err(one)? {
            Some(bytes) => match parse_telling(&bytes, file, &mut |count| progress(records.len() + count)) {
                Ok(more) => records.extend(more),
                Err(error) => faults.extend(error.faults),
            },
            None => return Ok(Look::Unsettled),
        }
    }
    // Looked at again before anything is said of faults: half a file has many.
    if stamp(path).map_err(one)? != before {
        return Ok(Look::Unsettled);
    }
    if faults.is_empty() && records.is_empty() {
        faults.push(LdifFault::of_file(path, LdifProblem::Empty));
    }
    if records.len() > RECORDS_MAX {
        faults.push(LdifFault::of_file(path, LdifProblem::TooMany(RECORDS_MAX)));
    }
    if faults.is_empty() { Ok(Look::Read(records)) } else { Err(LdifError { faults }) }
}

/// The file's octets; nothing when it is longer than it was a moment ago.
fn contents(path: &Path, length: u64) -> Result<Option<Vec<u8>>, LdifFault> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    file.take(length + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    Ok((bytes.len() as u64 <= length).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &Path) -> String {
        read(path, &mut |_| {}).unwrap_err().faults.iter().map(|fault| format!("{}\n", fault.problem)).collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_folder_in_the_order_of_names() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        assert_eq!(faults(dir.path()), "holds no record\n");
        write("b.ldif", "dn: cn=b\ncn: b\n");
        write("a.LDIF", "dn: cn=a\ncn: a\n");
        write("notes.txt", "not LDIF");
        write(".#b.ldif", "an editor's");
        let Look::Read(records) = read(dir.path(), &mut |_| {}).unwrap() else { panic!() };
        assert_eq!(records.iter().map(|record| record.dn.to_string()).collect::<Vec<_>>(), ["cn=a", "cn=b"]);
        // Faults of several files come together.
        write("a.LDIF", "x");
        write("b.ldif", "y");
        assert_eq!(faults(dir.path()), "expected `name: value`\n".repeat(2));
    }

    #[test]
    fn what_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("corp.ldif");
        assert!(faults(&file).starts_with("cannot be read: "));
        std::fs::write(&file, "# nothing\n").unwrap();
        assert_eq!(faults(&file), "holds no record\n");
    }

    #[test]
    fn a_replaced_file_has_another_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let (file, new) = (dir.path().join("a.ldif"), dir.path().join("a.new"));
        std::fs::write(&file, "dn: cn=a\n").unwrap();
        let before = stamp(&file).unwrap();
        assert_eq!(stamp(&file).unwrap(), before);
        std::fs::write(&new, "dn: cn=a\n").unwrap();
        std::fs::rename(&new, &file).unwrap();
        assert_ne!(stamp(&file).unwrap(), before);
    }
}
