//! `dialcast check`: every fault of the configuration and the directory, with its place and its remedy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;

use super::credentials::CredentialBook;
use super::{Failed, configuration, explain, faults, tokio_runtime, watching};
use crate::config::Flags;
use crate::model::{Fault, Severity};
use crate::policy::Engine;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    /// None when the configuration does not say, because it is wrong.
    directory: Option<String>,
    /// None when they could not be read.
    objects: Option<usize>,
    users: Option<usize>,
    errors: usize,
    warnings: usize,
    notes: usize,
    faults: &'a [Fault],
}

/// Reads everything once, says what is wrong, and gives the exit code.
///
/// # Errors
/// When something else than faults of the configuration or the directory is in the way.
pub fn run(flags: &Flags, strict: bool, json: bool) -> Result<ExitCode, Failed> {
    let mut directory = None;
    match look(flags, &mut directory) {
        // Whatever a script asks about, the answer has one shape.
        Err(Failed::Faults(found)) if json => tell(&Answer::of(directory, None, &found), strict, json),
        Err(failed) => Err(failed),
        Ok((counted, found)) => tell(&Answer::of(directory, Some(counted), &found), strict, json),
    }
}

/// How many objects there are and users with a document, and all faults.
fn look(flags: &Flags, directory: &mut Option<String>) -> Result<((usize, usize), Vec<Fault>), Failed> {
    let (config, mut found) = configuration(flags)?;
    let runtime = tokio_runtime()?;
    let source = super::serve::resolve_sample(&config)?;
    *directory = Some(source.to_string());
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
    found.extend(config.guards.canaries.iter().filter(|dn| read.snapshot.find(dn).is_none()).map(watching::no_canary));
    if let Some(book) = &mut book {
        engine.users().for_each(|user| book.put(&read.snapshot, &user));
        book.changed();
        found.extend(book.faults());
    }
    Ok(((read.snapshot.len(), engine.published()), found))
}

impl<'a> Answer<'a> {
    fn of(directory: Option<String>, counted: Option<(usize, usize)>, faults: &'a [Fault]) -> Self {
        let count = |severity| faults.iter().filter(|fault| fault.severity == severity).count();
        Self {
            directory,
            objects: counted.map(|(objects, _)| objects),
            users: counted.map(|(_, users)| users),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
            faults,
        }
    }

    fn text(&self) -> String {
        let (objects, users) = (self.objects.unwrap_or_default(), self.users.unwrap_or_default());
        let directory = self.directory.as_deref().unwrap_or_default();
        let mut text = format!("{directory}: {objects} objects, {users} users with a document\n");
        let mut codes: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
        for fault in self.faults {
            *codes.entry((fault.severity, fault.code)).or_default() += 1;
        }
        for ((severity, code), count) in codes {
            let _ = writeln!(text, "  {count} × {severity} {code}");
        }
        let _ = writeln!(text, "{} errors, {} warnings, {} notes", self.errors, self.warnings, self.notes);
        text
    }
}

fn tell(answer: &Answer<'_>, strict: bool, json: bool) -> Result<ExitCode, Failed> {
    if json {
        super::answer(&(serde_json::to_string(answer).map_err(|error| Failed::Other(error.into()))? + "\n"))?;
    } else {
        faults::print(answer.faults);
        super::answer(&answer.text())?;
    }
    let failed = answer.errors > 0 || strict && answer.warnings > 0;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
