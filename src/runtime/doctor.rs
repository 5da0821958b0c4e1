//! `dialcast doctor`: what an operator runs first. Every step to the directory, every right, with what to do.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;

use super::{Failed, answer, configuration, tokio_runtime};
use crate::config::{Config, Flags};
use crate::directory::{Examined, Finding, Verdict, Wants, examine};
use crate::model::Fault;

/// Where the text of a finding begins.
const INDENT: usize = 21;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    directory: String,
    failed: usize,
    warnings: usize,
    notes: usize,
    examined: &'a [Examined],
}

/// Looks at the directory, says what it found, and gives the exit code: 1 when something failed.
///
/// # Errors
/// When the configuration has faults: nothing can be looked at then.
pub fn run(flags: &Flags, json: bool) -> Result<ExitCode, Failed> {
    let (config, warnings) = configuration(flags)?;
    let source = super::serve::resolve_sample(&config)?;
    let mut examined = tokio_runtime()?.block_on(examine(&source, &wants(&config)));
    if !warnings.is_empty() {
        examined.insert(0, of_configuration(&warnings));
    }
    let count = |verdict| examined.iter().map(|one| one.count(verdict)).sum();
    let answered = Answer {
        directory: source.to_string(),
        failed: count(Verdict::Failed),
        warnings: count(Verdict::Warning),
        notes: count(Verdict::Note),
        examined: &examined,
    };
    if json {
        answer(&(serde_json::to_string(&answered).map_err(|error| Failed::Other(error.into()))? + "\n"))?;
    } else {
        answer(&text(&answered))?;
    }
    Ok(if answered.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn wants(config: &Config) -> Wants {
    Wants { addresses: config.policy.identity.aor.clone(), passwords: config.auth.digest && config.auth.credentials_file.is_none() }
}

/// What is dangerous in the configuration itself.
fn of_configuration(warnings: &[Fault]) -> Examined {
    let finding = |fault: &Fault| Finding {
        step: "config",
        verdict: Verdict::Warning,
        what: format!("{}: {}", fault.place, fault.what),
        remedy: Some(fault.remedy.clone()),
        took_ms: None,
    };
    Examined { place: "configuration".to_owned(), findings: warnings.iter().map(finding).collect() }
}

/// A checklist.
fn text(answered: &Answer<'_>) -> String {
    let mut out = String::new();
    for one in answered.examined {
        let _ = writeln!(out, "{}", one.place);
        for finding in &one.findings {
            let verdict = match finding.verdict {
                Verdict::Ok => "ok",
                Verdict::Note => "note",
                Verdict::Warning => "WARNING",
                Verdict::Failed => "FAILED",
            };
            let took = finding.took_ms.map(|ms| format!(" ({ms} ms)")).unwrap_or_default();
            let _ = writeln!(out, "  {verdict:<8} {:<8} {}{took}", finding.step, finding.what);
            if let Some(remedy) = &finding.remedy {
                let _ = writeln!(out, "{:>INDENT$}{remedy}", "→ ");
            }
        }
        out.push('\n');
    }
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let _ = writeln!(out, "{} failed, {}, {}", answered.failed, many(answered.warnings, "warning"), many(answered.notes, "note"));
    out
}
