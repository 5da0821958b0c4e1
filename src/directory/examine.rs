//! What a directory looks like to somebody who sets it up: each step towards it, each right, and what is open to improve.

use std::time::Duration;

use serde::Serialize;

use super::{Source, ldap, ldif};
use crate::model::Severity;

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Could be better, or cannot be told.
    Note,
    /// Works, and is dangerous or will stop to work.
    Warning,
    /// Does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What it belongs to: `dns`, `address`, `tcp`, `tls`, `clock`, `login`, `server`, `dialect`, `read`, `excess`, `latency`,
    /// `advice`, `file`.
    pub step: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found; never a secret.
    pub what: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<f64>,
}

/// All that was found of one server, or of what stands before any.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Examined {
    /// The server (`ldaps://dc1.corp.example:636`), the path of an LDIF source, or the URL where it is about finding servers.
    pub place: String,
    /// In the order in which they were looked at.
    pub findings: Vec<Finding>,
}

/// What this installation needs of its directory beside what every one needs.
#[derive(Debug, Clone, Default)]
pub struct Wants {
    /// Attributes that hold SIP addresses: one of them must be readable.
    pub addresses: Vec<String>,
    /// Whether users' passwords (`SIPIdentityPassword`) are needed, for digest authentication.
    pub passwords: bool,
}

impl Examined {
    pub(super) fn at(place: impl Into<String>) -> Self {
        Self { place: place.into(), findings: Vec::new() }
    }

    pub(super) fn ok(&mut self, step: &'static str, what: impl Into<String>) {
        self.put(step, Verdict::Ok, what.into(), None);
    }

    pub(super) fn note(&mut self, step: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.put(step, Verdict::Note, what.into(), Some(remedy.into()));
    }

    pub(super) fn warn(&mut self, step: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.put(step, Verdict::Warning, what.into(), Some(remedy.into()));
    }

    pub(super) fn fail(&mut self, step: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.put(step, Verdict::Failed, what.into(), Some(remedy.into()));
    }

    /// The newest finding took so long.
    pub(super) fn took(&mut self, time: Duration) {
        if let Some(newest) = self.findings.last_mut() {
            newest.took_ms = Some((time.as_secs_f64() * 10_000.0).round() / 10.0);
        }
    }

    fn put(&mut self, step: &'static str, verdict: Verdict, what: String, remedy: Option<String>) {
        self.findings.push(Finding { step, verdict, what, remedy, took_ms: None });
    }

    /// How many findings are like that.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }
}

/// Looks at everything, and changes nothing.
pub async fn examine(source: &Source, wants: &Wants) -> Vec<Examined> {
    match source {
        Source::Ldap(options) => ldap::examine(options, wants).await,
        Source::Ldif(options) => {
            let path = options.path.clone();
            let mut found = Examined::at(path.display().to_string());
            let reading = tokio::task::spawn_blocking(move || ldif::read(&path)).await;
            match reading.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
                // `Init` and `InitDone` are no records.
                Ok(events) => found.ok("file", format!("{} records, without a fault of form", events.len().saturating_sub(2))),
                Err(error) => {
                    for fault in error.faults.iter().map(ldif::LdifFault::to_fault) {
                        let what = format!("{}: {}", fault.place, fault.what);
                        match fault.severity {
                            Severity::Error => found.fail("file", what, fault.remedy),
                            Severity::Warning | Severity::Note => found.warn("file", what, fault.remedy),
                        }
                    }
                }
            }
            found.note(
                "advice",
                "a file has no server: no login, no certificate, no rights to look at",
                "`dialcast check` tells what is wrong inside",
            );
            vec![found]
        }
    }
}
