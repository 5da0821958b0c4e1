//! `dialcast check`: every fault of the configuration and the directory, with its place and its remedy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;

use super::credentials::CredentialBook;
use super::{Failed, configuration, explain, faults, tokio_runtime};
use crate::config::Flags;
use crate::model::{Fault, Severity};
use crate::policy::Engine;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    directory: String,
    objects: usize,
    users: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
    faults: &'a [Fault],
}

/// Reads everything once, says what is wrong, and gives the exit code.
///
/// # Errors
/// When the configuration has faults or the directory cannot be read: nothing more can be said then.
pub fn run(flags: &Flags, strict: bool, json: bool) -> Result<ExitCode, Failed> {
    let (config, mut found) = configuration(flags)?;
    let runtime = tokio_runtime()?;
    let source = super::serve::resolve_sample(&config)?;
    let mut book = match CredentialBook::open(&config.auth) {
        Ok(book) => Some(book),
        Err(faults) => {
            found.extend(faults);
            None
        }
    };
    let read = match runtime.block_on(explain::read(&source)) {
        // What is wrong with the configuration may be why the directory cannot be read.
        Err(Failed::Faults(faults)) => return Err(Failed::Faults(faults.into_iter().chain(found).collect())),
        read => read?,
    };
    let mut engine = Engine::new(config.policy.clone());
    engine.load(&read.snapshot);
    found.extend(read.faults);
    found.extend(engine.faults());
    if let Some(book) = &mut book {
        engine.users().for_each(|user| book.put(&read.snapshot, &user));
        book.changed();
        found.extend(book.faults());
    }
    let count = |severity| found.iter().filter(|fault| fault.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    let answer = Answer {
        directory: source.to_string(),
        objects: read.snapshot.len(),
        users: engine.published().count(),
        errors,
        warnings,
        notes,
        faults: &found,
    };
    if json {
        super::answer(&(serde_json::to_string(&answer).map_err(|error| Failed::Other(error.into()))? + "\n"))?;
    } else {
        faults::print(&found);
        let mut text = format!("{}: {} objects, {} users with a document\n", answer.directory, answer.objects, answer.users);
        let mut codes: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
        for fault in &found {
            *codes.entry((fault.severity, fault.code)).or_default() += 1;
        }
        for ((severity, code), count) in codes {
            let _ = writeln!(text, "  {count} × {severity} {code}");
        }
        let _ = writeln!(text, "{errors} errors, {warnings} warnings, {notes} notes");
        super::answer(&text)?;
    }
    let failed = errors > 0 || strict && warnings > 0;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
