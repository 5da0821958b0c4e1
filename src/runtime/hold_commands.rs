//! `dialcast holds` and `dialcast release`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::control::{self, Answer, Command};
use super::holds::Hold;
use super::{Failed, answer, environment, shown_time};
use crate::config::{self, Flags};

/// Exit code for "something is held".
const HELD: u8 = 2;

/// Shows what is held. Exit code 2 when anything is.
///
/// # Errors
/// The configuration has faults, or no daemon answers.
pub fn holds(flags: &Flags, json: bool) -> Result<ExitCode, Failed> {
    let holds = match ask(flags, &Command::Holds)? {
        Answer::Holds(holds) => holds,
        other => return Err(unexpected(other)),
    };
    if json {
        answer(&format!("{}\n", serde_json::json!({ "holds": holds })))?;
    } else if holds.is_empty() {
        answer("nothing is held\n")?;
    } else {
        answer(&holds.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(if holds.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(HELD) })
}

/// Lets go a hold, or all: what was held goes out.
///
/// # Errors
/// The configuration has faults, no daemon answers, or there is no such hold.
pub fn release(flags: &Flags, id: Option<&str>, json: bool) -> Result<ExitCode, Failed> {
    let released = match ask(flags, &Command::Release { id: id.map(str::to_owned) })? {
        Answer::Released(released) => released,
        Answer::Error(why) => return Err(Failed::Other(anyhow::anyhow!("{why}; `dialcast holds` shows what there is"))),
        other => return Err(unexpected(other)),
    };
    if json {
        answer(&format!("{}\n", serde_json::json!({ "released": released })))?;
    } else if released.is_empty() {
        answer("nothing is held\n")?;
    } else {
        let mut out = String::new();
        for hold in released {
            let _ = writeln!(out, "released {}: {}", hold.id, hold.what);
        }
        answer(&out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the daemon of this configuration listens.
///
/// # Errors
/// The configuration has faults.
pub(super) fn socket(flags: &Flags) -> Result<PathBuf, Failed> {
    let (config, _) = config::load(flags, &environment()).map_err(Failed::Faults)?;
    Ok(control::path(&config, &environment()).0)
}

fn ask(flags: &Flags, command: &Command) -> Result<Answer, Failed> {
    control::ask(&socket(flags)?, command).map_err(|error| Failed::Other(error.into()))
}

fn unexpected(answer: Answer) -> Failed {
    let why = if let Answer::Error(why) = answer { why } else { "it answered something else; is it of another version?".to_owned() };
    Failed::Other(anyhow::anyhow!("the daemon: {why}"))
}

/// A hold for people.
pub(super) fn text(hold: &Hold) -> String {
    let Hold { id, since_ms, what, count, examples, remedy, .. } = hold;
    let mut out = format!("{id}  since {}  {count} held\n  {what}\n", shown_time(*since_ms));
    for example in examples {
        let _ = writeln!(out, "    {example}");
    }
    if let Some(more) = count.checked_sub(examples.len()).filter(|more| *more > 0) {
        let _ = writeln!(out, "    … and what is below, {more} more");
    }
    let _ = writeln!(out, "  {remedy}");
    out
}
