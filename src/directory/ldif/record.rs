//! RFC 2849 content records.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::lines::{Item, Line, Lines, Spot};
use super::problem::{LdifError, LdifFault, LdifProblem};
use crate::model::{Attributes, Dn, DnError, Names, ObjectId};

/// The most records read from one file: five times the largest installation planned for.
pub const RECORDS_MAX: usize = 5_000_000;

/// The most faults reported of one file: more than anybody reads, and few enough when the file is not LDIF at all.
const FAULTS_MAX: usize = 100;

/// Attributes that hold secrets which Dialcast has no use for: they are not kept, and not shown when they are faulty.
pub(super) const SECRETS: &[&str] =
    &["userpassword", "unicodepwd", "authpassword", "krbprincipalkey", "sambantpassword", "sambalmpassword", "ds5agreementpassword"];

/// A secret that is kept, for digest authentication; not shown either.
pub(super) const DIGEST_SECRET: &str = "sipidentitypassword";

/// One content record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The file it is in.
    pub path: Arc<Path>,
    /// The line of its `dn:`, from 1.
    pub line: usize,
    /// Its name.
    pub dn: Dn,
    /// Its `entryUUID`, if it has one.
    pub id: Option<ObjectId>,
    /// Its attributes; passwords that Dialcast has no use for are left out. `;binary` is dropped from names (RFC 4522 §3),
    /// other options stay, and make other names.
    pub attributes: Attributes,
}

/// Reads LDIF content records.
///
/// # Errors
/// Everything that is wrong in the file: after a fault, reading goes on with the next record.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Vec<Record>, LdifError> {
    parse_telling(bytes, path, &mut |_| {})
}

/// A reading tells how far it is after each of so many records: every second or so.
const PROGRESS_EVERY: usize = 50_000;

/// Files from this size on are read in two halves at once: smaller ones are read in no time.
const HALVES_FROM: usize = 16 << 20;

/// Is told how far a reading has come, from whichever thread.
pub(super) type Progress<'p> = &'p mut (dyn FnMut(usize) + Send);

/// As [`parse`]; `progress` is told now and then how many records there are so far.
pub(super) fn parse_telling(bytes: &[u8], path: &Path, progress: Progress<'_>) -> Result<Vec<Record>, LdifError> {
    parse_from(bytes, path, HALVES_FROM, progress)
}

fn parse_from(bytes: &[u8], path: &Path, halves_from: usize, progress: Progress<'_>) -> Result<Vec<Record>, LdifError> {
    let whole = |problem| Err(LdifError { faults: vec![LdifFault::of_file(path, problem)] });
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return whole(LdifProblem::Utf16);
    }
    let told = Mutex::new((0, progress));
    let (first, second) = if bytes.len() < halves_from { (bytes, &[][..]) } else { halves(bytes) };
    let parser = |source| Parser {
        source,
        path: path.into(),
        records: Vec::new(),
        faults: Vec::new(),
        open: None,
        state: State::Start,
        uppers: Uppers::default(),
        names: Names::default(),
        read: HashMap::new(),
    };
    let (mut one, mut other) = (parser(first), Parser { state: State::Records, ..parser(second) });
    std::thread::scope(|scope| {
        if !second.is_empty() {
            let lines = first.split(|&b| b == b'\n').count().saturating_sub(1);
            let (other, told) = (&mut other, &told);
            scope.spawn(move || other.all(Lines::behind(second, lines), told));
        }
        one.all(Lines::of(first), &told);
    });
    if one.faults.len() < FAULTS_MAX {
        one.faults.append(&mut other.faults);
    }
    one.records.append(&mut other.records);
    if one.records.len() > RECORDS_MAX {
        return whole(LdifProblem::TooMany(RECORDS_MAX));
    }
    if one.faults.is_empty() { Ok(one.records) } else { Err(LdifError { faults: one.faults }) }
}

/// What stands before a blank line in the middle, it included, and what stands behind it: no record is in both.
fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    let middle = bytes.len() / 2;
    let half = bytes.get(middle..).unwrap_or_default();
    let is_blank = |at: &usize| matches!(half.get(*at..), Some([b'\n', b'\n', ..] | [b'\n', b'\r', b'\n', ..]));
    let end = (0..half.len()).find(is_blank).map(|at| at + if half.get(at + 1) == Some(&b'\n') { 2 } else { 3 });
    end.and_then(|end| bytes.split_at_checked(middle + end)).unwrap_or((bytes, &[]))
}

struct Parser<'a> {
    source: &'a [u8],
    path: Arc<Path>,
    records: Vec<Record>,
    faults: Vec<LdifFault>,
    open: Option<Draft>,
    state: State,
    uppers: Uppers,
    /// What the entries have in common.
    names: Names,
    /// Names of attributes as they are written, and as they are kept.
    read: HashMap<Vec<u8>, Arc<str>>,
}

#[derive(PartialEq)]
enum State {
    /// Nothing but comments yet: the one place for `version:`.
    Start,
    /// After that.
    Records,
    /// In a record that has a fault: nothing is read up to the next blank line.
    Skip,
}

/// A record of which lines may follow.
struct Draft {
    line: usize,
    dn: Dn,
    id: Option<ObjectId>,
    /// Gathered by name, so that 100,000 members are not compared with each other one by one.
    values: Vec<(Arc<str>, Vec<Vec<u8>>)>,
}

/// A problem, and the octet of the logical line at which it is.
pub(super) type At = (usize, LdifProblem);

impl Parser<'_> {
    /// Reads all lines, or as many as can be used.
    fn all(&mut self, lines: Lines<'_>, told: &Mutex<(usize, Progress<'_>)>) {
        for item in lines {
            let before = self.records.len();
            self.item(&item);
            if self.records.len() > before && self.records.len().is_multiple_of(PROGRESS_EVERY) {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                told.0 += PROGRESS_EVERY;
                let count = told.0;
                (told.1)(count);
            }
            if self.faults.len() >= FAULTS_MAX {
                self.faults.push(LdifFault::of_file(&self.path, LdifProblem::More));
                return;
            }
            if self.records.len() > RECORDS_MAX {
                return;
            }
        }
        self.close();
    }

    fn item(&mut self, item: &Item<'_>) {
        match item {
            Item::Blank => {
                self.close();
                if self.state == State::Skip {
                    self.state = State::Records;
                }
            }
            _ if self.state == State::Skip => {}
            Item::Stray(line) => self.fault(line, (0, LdifProblem::Stray)),
            Item::TooLong(line) => self.fault(line, (0, LdifProblem::TooLong)),
            Item::Line(line) => {
                if let Err(at) = self.line(line) {
                    self.fault(line, at);
                }
            }
        }
    }

    fn close(&mut self) {
        if let Some(draft) = self.open.take() {
            let attributes = Attributes::gather(draft.values, &mut self.names);
            self.records.push(Record { path: Arc::clone(&self.path), line: draft.line, dn: draft.dn, id: draft.id, attributes });
        }
    }

    fn fault(&mut self, line: &Line<'_>, (offset, problem): At) {
        let name = line.text.split(|&b| b == b':' || b == b';').next().unwrap_or_default().to_ascii_lowercase();
        let secret = SECRETS.iter().any(|secret| secret.as_bytes() == name) || DIGEST_SECRET.as_bytes() == name;
        let spot = if secret {
            let excerpt = format!("{}: ***", String::from_utf8_lossy(&name));
            Spot { line: line.number, column: 1, excerpt, skipped: 0 }
        } else {
            line.spot(self.source, offset)
        };
        self.faults.push(LdifFault::new(&self.path, spot, problem));
        self.open = None;
        self.state = State::Skip;
    }

    /// The name of an attribute: there are few, and each was read before.
    fn name(&mut self, written: &[u8]) -> Result<Arc<str>, At> {
        if let Some(name) = self.read.get(written) {
            return Ok(Arc::clone(name));
        }
        let name: Arc<str> = attribute_name(written)?.into();
        if self.read.len() < NAMES_MAX {
            self.read.insert(written.to_owned(), Arc::clone(&name));
        }
        Ok(name)
    }

    fn line(&mut self, line: &Line<'_>) -> Result<(), At> {
        let text = &*line.text;
        if text == b"-" {
            return Err((0, LdifProblem::Change("-".to_owned())));
        }
        let colon = text.iter().position(|&b| b == b':').ok_or((0, LdifProblem::NoColon))?;
        let name = self.name(text.get(..colon).unwrap_or_default())?;
        let (value, at) = value(text, colon)?;
        let first = std::mem::replace(&mut self.state, State::Records) == State::Start;
        let Some(draft) = &mut self.open else {
            return match &*name {
                "version" if first && &*value == b"1" => Ok(()),
                "version" if first => Err((at, LdifProblem::Version(String::from_utf8_lossy(&value).into_owned()))),
                "dn" => {
                    let dn = self.uppers.dn(text, colon, &value, at)?;
                    self.open = Some(Draft { line: line.number, dn, id: None, values: Vec::new() });
                    Ok(())
                }
                _ => Err((0, LdifProblem::NoDn(name.to_string()))),
            };
        };
        match &*name {
            "dn" => return Err((0, LdifProblem::SecondDn)),
            // RFC 2849: a change record of type add says the same as a content record.
            "changetype" if value.eq_ignore_ascii_case(b"add") => {}
            "changetype" => return Err((0, LdifProblem::Change(format!("changetype: {}", String::from_utf8_lossy(&value))))),
            "control" => return Err((0, LdifProblem::Change("control:".to_owned()))),
            "entryuuid" => {
                let text = String::from_utf8_lossy(&value);
                let id = text.trim().parse().map_err(|_| (at, LdifProblem::BadId(text.into_owned())))?;
                if draft.id.replace(id).is_some() {
                    return Err((0, LdifProblem::SecondId));
                }
            }
            secret if SECRETS.contains(&secret) => {}
            _ => draft.add(name, value.into_owned()),
        }
        Ok(())
    }
}

impl Draft {
    fn add(&mut self, name: Arc<str>, value: Vec<u8>) {
        // Values of one attribute mostly follow each other.
        let found = self.values.iter_mut().rev().find(|(held, _)| *held == name);
        match found {
            Some((_, values)) => values.push(value),
            None => self.values.push((name, vec![value])),
        }
    }
}

/// RFC 4512 §2.5: a descriptor or OID, and options. Returned in lower case, without `;binary`.
pub(super) fn attribute_name(name: &[u8]) -> Result<String, At> {
    let bad = || (0, LdifProblem::BadName(String::from_utf8_lossy(name).into_owned()));
    let text = std::str::from_utf8(name).map_err(|_| bad())?.to_ascii_lowercase();
    let mut parts = text.split(';');
    let kind = parts.next().unwrap_or_default();
    let legal = |part: &str, more: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    if !legal(kind, "-._") || !kind.starts_with(|c: char| c.is_ascii_alphanumeric()) || !parts.clone().all(|option| legal(option, "-_=")) {
        return Err(bad());
    }
    let mut out = kind.to_owned();
    for option in parts.filter(|option| *option != "binary") {
        out.push(';');
        out.push_str(option);
    }
    Ok(out)
}

/// The value after the colon, and at which octet of the line it begins.
pub(super) fn value(text: &[u8], colon: usize) -> Result<(Cow<'_, [u8]>, usize), At> {
    let skip = |from: usize| from + text.get(from..).unwrap_or_default().iter().take_while(|&&b| b == b' ').count();
    match text.get(colon + 1) {
        Some(b'<') => Err((colon, LdifProblem::Url)),
        Some(b':') => {
            let at = skip(colon + 2);
            let coded = text.get(at..).unwrap_or_default();
            let plain = STANDARD.decode(coded.trim_ascii_end()).map_err(|error| {
                let offset = match error {
                    base64::DecodeError::InvalidByte(offset, _) | base64::DecodeError::InvalidLastSymbol(offset, _) => offset,
                    base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => coded.len(),
                };
                (at + offset, LdifProblem::BadBase64)
            })?;
            Ok((Cow::Owned(plain), at))
        }
        _ => {
            let at = skip(colon + 1);
            let plain = text.get(at..).unwrap_or_default();
            // RFC 2849 wants base64 for anything but ASCII; every tool since writes UTF-8 as it is, and NUL belongs to neither.
            let good = std::str::from_utf8(plain).map_err(|error| error.valid_up_to()).map(|text| text.find('\0'));
            match good {
                Ok(None) => Ok((Cow::Borrowed(plain), at)),
                Ok(Some(offset)) | Err(offset) => Err((at + offset, LdifProblem::NotUtf8)),
            }
        }
    }
}

/// How many names of containers are remembered: more than most directories have, and few megabytes.
const UPPERS_MAX: usize = 10_000;

/// How many names of attributes are remembered: more than a schema has.
const NAMES_MAX: usize = 10_000;

/// Names of containers: most entries of a large file stand in few of them, and a name that was read once need not be again.
#[derive(Default)]
struct Uppers(HashMap<String, Dn>);

impl Uppers {
    fn dn(&mut self, text: &[u8], colon: usize, value: &[u8], at: usize) -> Result<Dn, At> {
        let name = std::str::from_utf8(value).map_err(|_| (at, LdifProblem::NotUtf8))?;
        let dn = self.below(name).map_or_else(|| name.parse(), Ok).map_err(|error: DnError| {
            // In base64 the column of the name is no column of the file.
            let plain = text.get(colon + 1) != Some(&b':');
            let offset = column(&error).filter(|_| plain).and_then(|column| name.char_indices().nth(column - 1));
            (at + offset.map_or(0, |(offset, _)| offset), LdifProblem::BadDn(error))
        })?;
        if dn.is_empty() { Err((0, LdifProblem::EmptyDn)) } else { Ok(dn) }
    }

    /// The name by the one above it; nothing where it is not that simple.
    fn below(&mut self, name: &str) -> Option<Dn> {
        // Only without escapes and quotes does the first comma end the first RDN.
        let (rdn, above) = name.split_once(',').filter(|_| !name.contains(['\\', '"', ';']))?;
        if !self.0.contains_key(above) {
            if self.0.len() == UPPERS_MAX {
                self.0.clear();
            }
            self.0.insert(above.to_owned(), above.parse().ok()?);
        }
        let above = self.0.get(above).filter(|dn| !dn.is_empty() && dn.depth() < Dn::DEPTH_MAX)?;
        rdn.parse().ok().map(|rdn| above.child(rdn))
    }
}

/// The column of the name, from 1.
fn column(error: &DnError) -> Option<usize> {
    match error {
        DnError::NoEquals { column }
        | DnError::BadType { column, .. }
        | DnError::BadEscape { column }
        | DnError::BadHex { column }
        | DnError::Unescaped { column, .. }
        | DnError::NotUtf8 { column } => Some(*column),
        DnError::TooDeep => None,
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
