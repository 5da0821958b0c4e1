//! Faults for people: where, what, and what to do, with the line of the file and a caret where there is one.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use thiserror::Error;

use super::credentials;
use crate::model::{Fault, Place, Severity};

/// How many faults are shown in full; the rest are counted by code. `--json` always gives all.
const SHOWN_MAX: usize = 50;
/// Attributes whose values are never shown.
const SECRET_ATTRIBUTES: [&str; 3] = ["SIPIdentityPassword", "userPassword", "unicodePwd"];
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
        let shown = Shown { fault, snippet: snippet(fault) };
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
pub(super) fn print(faults: &[Fault]) {
    super::complain(&text(faults, std::io::stderr().is_terminal()));
}

/// The line that a file fault points at, and its neighbours. No line of the credentials file: each is a secret.
fn snippet(fault: &Fault) -> Option<(NamedSource<String>, LabeledSpan)> {
    let Place::File { path, line, column } = &fault.place else { return None };
    if *line == 0 || fault.code == credentials::CODE {
        return None;
    }
    let text = veiled(&read(path)?);
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

/// The text with the values of password attributes hidden: a fault beside one shows its neighbours.
fn veiled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hides = false;
    for line in text.split_inclusive('\n') {
        // RFC 2849: a line that begins with a space continues the value before it.
        hides = if line.starts_with(' ') { hides } else { SECRET_ATTRIBUTES.iter().any(|name| begins_with(line, name)) };
        if hides {
            out.push_str(if line.starts_with(' ') { "" } else { line.split([':', ' ', '\r', '\n']).next().unwrap_or_default() });
            out.push_str(" ***");
            out.push_str(if line.ends_with('\n') { "\n" } else { "" });
        } else {
            out.push_str(line);
        }
    }
    out
}

fn begins_with(line: &str, name: &str) -> bool {
    line.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
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
    fn no_secret_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let ldif = "dn: uid=eva\nsipidentitypassword;x: hunter2\nobjectClass person\nuserPassword hunter2\nSIPIdentityPassword:: aHVudGVy\n Mg==\ncn: Eva\n";
        std::fs::write(&path, ldif).unwrap();
        let fault = |code, line| Fault {
            severity: Severity::Error,
            code,
            place: Place::File { path: path.clone(), line, column: 3 },
            what: "wrong".into(),
            remedy: "repair it".into(),
        };
        let shown: String = (1..=7).map(|line| text(&[fault("ldif.syntax", line)], false)).collect();
        assert!(shown.contains("SIPIdentityPassword ***") && shown.contains("objectClass person"), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVy") && !shown.contains("Mg=="), "{shown}");
        assert!(!text(&[fault("auth.credentials", 1)], false).contains("uid=eva"));
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
