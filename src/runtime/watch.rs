//! `dialcast watch`: the live feed of a daemon, for people or as JSON.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use super::control::{self, Command};
use super::hold_commands::socket;
use super::live::{Live, LiveChange, LivePhones};
use super::{Failed, shown_time, tell};
use crate::config::Flags;

/// Shows what happens until the daemon ends, or whoever reads has read enough. `count`: so many events at most.
///
/// # Errors
/// The configuration has faults, or no daemon answers.
pub fn run(flags: &Flags, count: Option<usize>, json: bool) -> Result<ExitCode, Failed> {
    let mut feed = control::open(&socket(flags)?, &Command::Watch).map_err(|error| Failed::Other(error.into()))?;
    let paint = Paint(!json && std::io::stdout().is_terminal());
    let mut left = count;
    while left != Some(0) {
        let Some(line) = feed.next_line().map_err(|error| Failed::Other(error.into()))? else {
            return Err(Failed::Other(anyhow::anyhow!("the daemon has ended")));
        };
        let is_heard = if json {
            tell(&line)
        } else if let Ok(event) = serde_json::from_str::<Live>(&line.replace("\\u001b", "\u{fffd}")) {
            tell(&text(&event, paint))
        } else {
            true
        };
        if !is_heard {
            // Whoever read has read enough (`| head`).
            break;
        }
        left = left.map(|left| left - 1);
    }
    Ok(ExitCode::SUCCESS)
}

/// Colours, on a terminal.
#[derive(Debug, Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    fn bad(self, text: &str) -> String {
        self.with("31", text)
    }
}

/// An event for people. What control characters names from the directory hold are not passed on to a terminal.
fn text(event: &Live, paint: Paint) -> String {
    let time = |at_ms: u64| format!("{}.{:03}", shown_time(at_ms).trim_end_matches('Z'), at_ms % 1000);
    let out = match event {
        Live::Watching { at_ms } => format!("{} watching: what changes is shown here\n", time(*at_ms)),
        Live::Up { at_ms, what } => format!("{} {} {what}\n", time(*at_ms), paint.good("up")),
        Live::Down { at_ms, why, retry_ms } => {
            format!("{} {} {why}; the last good state stays, trying again in {retry_ms} ms\n", time(*at_ms), paint.bad("down"))
        }
        Live::Change(change) => change_text(&time(change.at_ms), change, paint),
        Live::Phones(phones) => phones_text(&time(phones.at_ms), phones, paint),
        Live::Held { at_ms, hold } => format!(
            "{} {} {}: {}, such as {}\n  {}\n",
            time(*at_ms),
            paint.bad("held"),
            hold.id,
            hold.what,
            hold.examples.join("; "),
            hold.remedy
        ),
        Live::Over { at_ms, id } => format!("{} {} {id}: nothing of it is held any more\n", time(*at_ms), paint.good("over")),
        Live::Missed { count } => format!("{} {count} events: too slow a reader\n", paint.bad("missed")),
    };
    out.chars().map(|c| if c.is_control() && c != '\n' && c != '\x1b' { '\u{fffd}' } else { c }).collect()
}

fn change_text(time: &str, change: &LiveChange, paint: Paint) -> String {
    let LiveChange { change: number, cause, generation, objects, names, users, examples, waited_ms, took_ms, staging, .. } = change;
    let title = paint.bold(&format!("#{number}"));
    let mut out = match cause.as_str() {
        "directory" => format!("{time} {title} change {generation}: {objects} objects, such as {}", names.join("; ")),
        other => format!("{time} {title} {other}"),
    };
    let sent = if *staging { ", and staging sends nothing" } else { "" };
    let _ = writeln!(out, "\n  {users} users{sent}  (waited {waited_ms} ms, took {took_ms} ms)");
    for user in examples {
        let _ = writeln!(out, "  {}", user.aor);
        for change in &user.changes {
            let _ = writeln!(out, "    {change}");
        }
    }
    if let Some(more) = users.checked_sub(examples.len()).filter(|more| *more > 0) {
        let _ = writeln!(out, "  … and {more} more");
    }
    out
}

fn phones_text(time: &str, phones: &LivePhones, paint: Paint) -> String {
    let LivePhones { change, phones: count, sent, answered, failed, overtaken, took_ms, done, .. } = phones;
    let mut out = format!("{time} {} {count} phones: {sent} NOTIFYs sent, {answered} answered", paint.bold(&format!("#{change}")));
    if *failed > 0 {
        let _ = write!(out, ", {}", paint.bad(&format!("{failed} failed")));
    }
    if *overtaken > 0 {
        let _ = write!(out, ", {overtaken} overtaken");
    }
    if let Some(took_ms) = took_ms {
        let _ = write!(out, ", the last after {took_ms} ms");
    }
    out.push_str(if *done { "\n" } else { " …\n" });
    out
}
