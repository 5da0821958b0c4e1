//! What can be wrong with LDIF, in words for whoever wrote it.

use std::fmt;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use thiserror::Error;

use super::lines::Spot;
use crate::model::{DnError, Fault, ObjectId, Place, Severity};

/// Everything that is wrong with some LDIF. None of it is used until all is repaired: half a directory looks like a mass deletion.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", summary(.faults))]
pub struct LdifError {
    /// At least one, in the order of the files and lines.
    pub faults: Vec<LdifFault>,
}

fn summary(faults: &[LdifFault]) -> String {
    match faults {
        [one] => format!("the LDIF has a fault: {one}"),
        [first, ..] => format!("the LDIF has {} faults, the first: {first}", faults.len()),
        [] => "the LDIF has a fault".to_owned(),
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}:{}: {problem}", .path.display(), .line)]
pub struct LdifFault {
    /// The file.
    pub path: PathBuf,
    /// From 1; 0 when the whole file is meant.
    pub line: usize,
    /// From 1, in characters; 0 when the whole line is meant.
    pub column: usize,
    /// The line of the file, or the part of it around the column.
    pub excerpt: String,
    /// How many characters of the line come before the excerpt.
    pub skipped: usize,
    /// What is wrong.
    pub problem: LdifProblem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LdifProblem {
    /// The file or folder cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// No record at all, or no file in the folder.
    #[error("holds no record")]
    Empty,
    /// It changes faster than it can be read.
    #[error("changes all the time")]
    Unsettled,
    /// Larger than is read.
    #[error("is larger than {0} octets")]
    TooLarge(u64),
    /// More records than are read.
    #[error("more than {0} records")]
    TooMany(usize),
    /// UTF-16, as Windows tools write it.
    #[error("is UTF-16; LDIF is ASCII or UTF-8 (RFC 2849)")]
    Utf16,
    /// A logical line without end.
    #[error("the line is longer than {} octets", super::lines::LINE_MAX)]
    TooLong,
    /// A continuation of nothing.
    #[error("a line that begins with a space continues the line before it, and there is none")]
    Stray,
    /// Neither name nor value.
    #[error("expected `name: value`")]
    NoColon,
    /// A name that no attribute can have.
    #[error("`{0}` is not an attribute name (RFC 4512 §2.5)")]
    BadName(String),
    /// A record that begins with something else.
    #[error("a record begins with `dn:`, and here is `{0}:`")]
    NoDn(String),
    /// A second `dn:` in one record.
    #[error("a second `dn:` in one record")]
    SecondDn,
    /// The record of the root DSE.
    #[error("an empty DN names no entry")]
    EmptyDn,
    /// A name that is none.
    #[error("bad DN: {}", without_column(.0))]
    BadDn(DnError),
    /// Another version of LDIF.
    #[error("LDIF version `{0}`; there is only version 1 (RFC 2849)")]
    Version(String),
    /// Broken base64.
    #[error("the value after `::` is not base64")]
    BadBase64,
    /// `name:< file:…`
    #[error("a value from a URL (`:<`) is not read")]
    Url,
    /// Octets that are not UTF-8, outside base64.
    #[error("the value is not UTF-8")]
    NotUtf8,
    /// `changetype: modify` and its kin.
    #[error("a change record (`{0}`); Dialcast reads content records")]
    Change(String),
    /// A change record that is not one.
    #[error("expected {0}")]
    Expected(String),
    /// An `entryUUID` that is none.
    #[error("`{0}` is not a UUID")]
    BadId(String),
    /// A second `entryUUID`.
    #[error("a second entryUUID in one record")]
    SecondId,
    /// One name, two records.
    #[error("this DN is in {place} already", place = place(.0, *.1))]
    SameDn(PathBuf, usize),
    /// One id, two records.
    #[error("entryUUID {0} is in {place} already", place = place(.1, *.2))]
    SameId(ObjectId, PathBuf, usize),
    /// There would be more.
    #[error("too many faults: the rest of the file was not read")]
    More,
}

/// The name's own column would be taken for the file's.
fn without_column(error: &DnError) -> String {
    let text = error.to_string();
    match text.strip_prefix("column ").and_then(|rest| rest.split_once(": ")) {
        Some((_, rest)) => rest.to_owned(),
        None => text,
    }
}

fn place(path: &Path, line: usize) -> String {
    format!("{}:{line}", path.display())
}

impl LdifProblem {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "check the path and its permissions; what was read before stays in use",
            Self::Unsettled => "write it elsewhere, and move it here when it is complete",
            Self::Empty => "write at least one record; an empty file is not taken for a directory without users",
            Self::TooLarge(_) | Self::TooMany(_) => "split the folder among several directories, or use an LDAP server",
            Self::Utf16 => "save it as UTF-8; in PowerShell: Out-File -Encoding utf8",
            Self::TooLong => "check for a value that should not be there, or leave the attribute out",
            Self::Stray => "remove the space, or the blank line before",
            Self::NoColon => "continue a value on the next line by beginning it with one space; separate records by a blank line",
            Self::BadName(_) => "use letters, digits and hyphens, such as telephoneNumber",
            Self::NoDn(_) => "put `dn:` first and a blank line before each record; ldapsearch -LLL leaves out its summary",
            Self::SecondDn => "separate the records by a line with nothing on it, not even spaces",
            Self::EmptyDn => "remove the record of the root DSE",
            Self::BadDn(_) => "write TYPE=VALUE,TYPE=VALUE with a backslash before , + \" < > ; and \\ inside values",
            Self::Version(_) => "write `version: 1`, or leave the line out",
            Self::BadBase64 => "encode the value again (base64), or write it plainly after one colon",
            Self::Url => "put the value itself here: after `::` in base64",
            Self::NotUtf8 => "save the file as UTF-8, or write the value in base64 after `::`",
            Self::Change(_) => "put the record as it shall be; to apply changes, use ldapmodify on an LDAP server",
            Self::Expected(_) => "write change records as RFC 2849 has them, and as ldapmodify reads them",
            Self::BadId(_) => "write it as in 597ae2f6-16a6-1027-98f4-d28b5365dc14, or leave the line out",
            Self::SecondId => "keep one of them",
            Self::SameDn(..) => "remove one of the two records, or rename it",
            Self::SameId(..) => "leave entryUUID out of the record that was copied",
            Self::More => "repair those above first; is it LDIF at all?",
        }
    }
}

impl LdifFault {
    pub(super) fn new(path: &Path, spot: Spot, problem: LdifProblem) -> Self {
        Self { path: path.to_owned(), line: spot.line, column: spot.column, excerpt: spot.excerpt, skipped: spot.skipped, problem }
    }

    /// A fault of the whole file.
    pub(super) fn of_file(path: &Path, problem: LdifProblem) -> Self {
        Self::new(path, Spot::default(), problem)
    }

    /// The same as one of the directory's faults.
    pub fn to_fault(&self) -> Fault {
        Fault {
            severity: Severity::Error,
            code: if matches!(self.problem, LdifProblem::SameDn(..) | LdifProblem::SameId(..)) { "ldif.duplicate" } else { "ldif.syntax" },
            place: Place::File { path: self.path.clone(), line: self.line, column: self.column },
            what: self.problem.to_string(),
            remedy: self.problem.remedy().to_owned(),
        }
    }
}

impl Diagnostic for LdifError {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.faults.iter().map(|fault| fault as &dyn Diagnostic)))
    }
}

impl Diagnostic for LdifFault {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.problem.remedy()))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        (self.line > 0).then_some(self)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let index = self.column.checked_sub(1 + self.skipped)?;
        let at = self.excerpt.char_indices().nth(index).map_or(self.excerpt.len(), |(at, _)| at);
        let length = self.excerpt.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        Some(Box::new(std::iter::once(LabeledSpan::new(Some("here".to_owned()), at, length))))
    }
}

/// The excerpt as a source whose first line is the fault's line of the file.
impl SourceCode for LdifFault {
    fn read_span<'a>(&'a self, span: &SourceSpan, _before: usize, _after: usize) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        if span.offset() + span.len() > self.excerpt.len() {
            return Err(MietteError::OutOfBounds);
        }
        let whole = SourceSpan::from(0..self.excerpt.len());
        let name = self.path.display().to_string();
        Ok(Box::new(MietteSpanContents::new_named(name, self.excerpt.as_bytes(), whole, self.line.saturating_sub(1), self.skipped, 1)))
    }
}
