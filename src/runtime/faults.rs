//! Faults for people: where, what, and what to do, with the line of the file and a caret where there is one.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use thiserror::Error;

use crate::model::{Fault, Place, Severity};

/// How many faults are shown in full; the rest are counted by code. `--json` always gives all.
const SHOWN_MAX: usize = 50;
/// A file larger than this is not read again for its line.
const SOURCE_BYTES_MAX: u64 = 64 << 20;

/// One fault as miette shows it.
#[derive(Debug, Error)]
#[error("{}", self.title())]
struct Shown<'a> {
    fault: &'a Fault,
    snippet: Option<(NamedSource<String>, LabeledSpan)>,
}

impl Shown<'_> {
    fn title(&self) -> String {
        match &self.fault.place {
            // The snippet names the place.
            Place::File { .. } if self.snippet.is_some() => self.fault.what.clone(),
            place => format!("{place}: {}", self.fault.what),
        }
    }
}

impl Diagnostic for Shown<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn std::fmt::Display + 'b>> {
        Some(Box::new(self.fault.code))
    }
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.fault.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }
    fn help<'b>(&'b self) -> Option<Box<dyn std::fmt::Display + 'b>> {
        Some(Box::new(&self.fault.remedy))
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.snippet.as_ref().map(|(source, _)| source as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.snippet.as_ref().map(|(_, label)| Box::new(std::iter::once(label.clone())) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}

/// The faults as text, errors first; colours and line drawing only when `terminal`.
pub(super) fn text(faults: &[Fault], terminal: bool) -> String {
    let theme = if terminal { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(110);
    let mut sorted: Vec<&Fault> = faults.iter().collect();
    sorted.sort();
    let mut out = String::new();
    for fault in sorted.iter().take(SHOWN_MAX) {
        let shown = Shown { fault, snippet: snippet(&fault.place) };
        if handler.render_report(&mut out, &shown).is_err() {
            let _ = writeln!(out, "{}: {fault}", fault.severity);
        }
    }
    if let Some(rest) = sorted.get(SHOWN_MAX..).filter(|rest| !rest.is_empty()) {
        let _ = writeln!(out, "… and {} more; --json gives all of them", rest.len());
    }
    out
}

/// The faults on standard error.
#[expect(clippy::print_stderr, reason = "this is what an operator reads")]
pub(super) fn print(faults: &[Fault]) {
    eprint!("{}", text(faults, std::io::stderr().is_terminal()));
}

/// The line that a file fault points at.
fn snippet(place: &Place) -> Option<(NamedSource<String>, LabeledSpan)> {
    let Place::File { path, line, column } = place else { return None };
    if *line == 0 {
        return None;
    }
    let text = read(path)?;
    let start = text.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>();
    let row = text.get(start..)?.lines().next()?;
    let offset = row.char_indices().nth(column.saturating_sub(1)).map_or(row.len(), |(at, _)| at);
    let length = if *column == 0 { row.len() } else { row.get(offset..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8) };
    let label = LabeledSpan::at(start + offset..start + offset + length, "here");
    Some((NamedSource::new(path.display().to_string(), text), label))
}

fn read(path: &Path) -> Option<String> {
    let length = std::fs::metadata(path).ok()?.len();
    (length <= SOURCE_BYTES_MAX).then(|| std::fs::read(path).ok()).flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_fault_shows_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("corp.ldif");
        std::fs::write(&path, "dn: dc=corp\nobjectClass domain\n").unwrap();
        let fault = Fault {
            severity: Severity::Error,
            code: "ldif.syntax",
            place: Place::File { path: path.clone(), line: 2, column: 12 },
            what: "no colon after the attribute name".into(),
            remedy: "write `objectClass: domain`".into(),
        };
        let shown = text(&[fault], false).replace(&dir.path().display().to_string(), "");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn many_are_counted() {
        let fault = |n: usize| Fault {
            severity: Severity::Warning,
            code: "policy.value",
            place: Place::Config { key: format!("policy.settings[{n}]") },
            what: "no such setting".into(),
            remedy: "see docs/settings.md".into(),
        };
        let shown = text(&(0..60).map(fault).collect::<Vec<_>>(), false);
        assert!(shown.contains("… and 10 more"), "{shown}");
    }
}
