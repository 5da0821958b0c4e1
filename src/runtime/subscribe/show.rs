//! What the command prints: for people, or an object a line.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write};
use std::time::Duration;

use serde::Serialize;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use super::args::ServerUri;
use crate::agent::subscriber::{Failure, Received};
use crate::document::profile::{self, Profile};
use crate::document::{self, Etag};
use crate::model::Aor;

/// Prints, and remembers the document before.
pub(super) struct Show {
    out: Box<dyn Write + Send>,
    json: bool,
    full: bool,
    /// Whether a person reads: then documents are indented, which phones do not get.
    pretty: bool,
    held: Option<Held>,
}

/// The document that was printed last.
struct Held {
    document: Received,
    /// What it says, if it is a profile that this version can read.
    profile: Option<Profile>,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    /// RFC 3339, in UTC.
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    /// The document as text; what is not UTF-8 is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeLine>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_s: Option<f64>,
}

/// One setting that changed.
#[derive(Debug, Serialize, PartialEq)]
struct ChangeLine {
    setting: &'static str,
    before: Vec<String>,
    after: Vec<String>,
}

impl From<&document::Change> for ChangeLine {
    fn from(change: &document::Change) -> Self {
        let texts = |values: &[crate::policy::value::Value]| values.iter().map(ToString::to_string).collect();
        Self { setting: change.setting.name(), before: texts(&change.before), after: texts(&change.after) }
    }
}

impl Show {
    pub(super) fn new(json: bool, full: bool) -> Self {
        Self { out: Box::new(std::io::stdout()), json, full, pretty: std::io::stdout().is_terminal(), held: None }
    }

    /// One that prints elsewhere.
    #[cfg(test)]
    pub(super) fn into(out: Box<dyn Write + Send>, json: bool) -> Self {
        Self { out, json, full: false, pretty: false, held: None }
    }

    pub(super) const fn has_document(&self) -> bool {
        self.held.is_some()
    }

    pub(super) fn waiting(&self, server: &ServerUri) {
        if !self.json {
            note(&format!("no answer from {server} yet"));
        }
    }

    pub(super) fn subscribed(&mut self, aor: &Aor, server: &ServerUri, expires: Duration) -> anyhow::Result<()> {
        if self.json {
            return self.print(&encode(&Line { expires_s: Some(expires.as_secs()), ..line("subscribed") }));
        }
        note(&format!("{} subscribed to {} at {server} for {} s", now(), aor.as_str(), expires.as_secs()));
        Ok(())
    }

    pub(super) fn nothing(&mut self) -> anyhow::Result<()> {
        if self.json {
            return self.print(&encode(&line("nothing")));
        }
        if self.held.is_none() {
            note(&format!("{} there is no document yet", now()));
        }
        Ok(())
    }

    pub(super) fn trouble(&mut self, why: &Failure, retry: Duration) -> anyhow::Result<()> {
        if self.json {
            return self.print(&encode(&Line { why: Some(why.to_string()), retry_s: Some(retry.as_secs_f64()), ..line("trouble") }));
        }
        let again = if retry.is_zero() { "again now".to_owned() } else { format!("again in {} s", retry.as_secs()) };
        note(&format!("{} {why}; {again}", now()));
        Ok(())
    }

    pub(super) fn document(&mut self, document: Received) -> anyhow::Result<()> {
        let text = if self.json { self.json_of(&document) } else { self.text_of(&document) };
        let profile = (document.content_type == profile::CONTENT_TYPE).then(|| profile::read(&document.body).ok()).flatten();
        self.held = Some(Held { document, profile });
        self.print(&text)
    }

    /// At once: whoever reads a pipe wants to see it now.
    fn print(&mut self, text: &str) -> anyhow::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let written = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
        written.map_err(|error| anyhow::Error::new(error).context("write to standard output"))
    }

    /// The settings that changed since the document before. `None` when that, or this one, is no profile that can be read.
    fn changes(&self, document: &Received) -> Option<Vec<document::Change>> {
        let before = self.held.as_ref()?.profile.as_ref()?;
        Some(document::changes(before, &profile::read(&document.body).ok()?))
    }

    fn is_held(&self, document: &Received) -> bool {
        self.held.as_ref().is_some_and(|held| held.document.body == document.body && held.document.content_type == document.content_type)
    }

    fn json_of(&self, document: &Received) -> String {
        let etag = etag(document);
        let unchanged = self.is_held(document);
        let changes = if unchanged { None } else { self.changes(document).or_else(|| self.held.is_none().then(Vec::new)) };
        encode(&Line {
            etag: Some(&etag),
            content_type: Some(&document.content_type),
            document: std::str::from_utf8(&document.body).ok().filter(|_| !unchanged),
            changes: changes.map(|changes| changes.iter().map(ChangeLine::from).collect()),
            ..line(if unchanged { "unchanged" } else { "document" })
        })
    }

    fn text_of(&self, document: &Received) -> String {
        if self.is_held(document) {
            return String::new();
        }
        let mut text = format!("{} {} {}", now(), document.content_type, etag(document));
        let changes = self.changes(document);
        match &changes {
            None if self.held.is_some() => text.push_str(" changed; what changed cannot be told"),
            None => {}
            Some(changes) => {
                let count = changes.len();
                let _ = write!(text, " {count} setting{} changed", if count == 1 { "" } else { "s" });
                for change in changes {
                    let _ = write!(text, "\n  {change}");
                }
            }
        }
        if changes.is_none() || self.full {
            let _ = write!(text, "\n{}", self.body_of(document));
        }
        text
    }

    fn body_of(&self, document: &Received) -> String {
        let indented = self.pretty.then(|| profile::indented(&document.body).ok()).flatten();
        match (indented, std::str::from_utf8(&document.body)) {
            (Some(indented), _) => indented.trim_end().to_owned(),
            (None, Ok(text)) => text.to_owned(),
            (None, Err(_)) => format!("({} octets that are no text)", document.body.len()),
        }
    }
}

/// What the server calls the version, or what Dialcast would.
fn etag(document: &Received) -> String {
    document.etag.clone().unwrap_or_else(|| Etag::of(&document.body).to_string())
}

fn line<'a>(event: &'static str) -> Line<'a> {
    Line { event, at: now(), etag: None, content_type: None, document: None, changes: None, expires_s: None, why: None, retry_s: None }
}

fn encode(line: &Line<'_>) -> String {
    // Texts, numbers and lists of texts: there is nothing in it that JSON cannot say.
    serde_json::to_string(line).unwrap_or_default()
}

/// RFC 3339, in UTC.
fn now() -> String {
    let mut text = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

#[expect(clippy::print_stderr, reason = "what a person reads beside the documents")]
fn note(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::profile::{CONTENT_TYPE, NAMESPACE};

    fn show(json: bool, full: bool) -> Show {
        Show { full, ..Show::into(Box::new(std::io::sink()), json) }
    }

    fn profile(expires: u32) -> Received {
        let body = format!(
            r#"<profile xmlns="{NAMESPACE}" aor="sip:anna@corp.example"><telephony><sip.expires>{expires}</sip.expires></telephony></profile>"#
        );
        Received { content_type: CONTENT_TYPE.to_owned(), etag: Some(format!("e{expires}")), body: body.into_bytes() }
    }

    /// What is printed for each document, without the times.
    fn check(mut show: Show, documents: Vec<Received>) -> String {
        let mut all = String::new();
        for document in documents {
            let text = if show.json { show.json_of(&document) } else { show.text_of(&document) };
            let at = now();
            let (date, _) = at.split_once('T').unwrap();
            let shown: Vec<String> = text
                .split_inclusive([' ', '"'])
                .map(|word| if word.starts_with(date) { format!("TIME{}", &word[word.len() - 1..]) } else { word.to_owned() })
                .collect();
            writeln!(all, "{}", shown.concat()).unwrap();
            let profile = profile::read(&document.body).ok();
            show.held = Some(Held { document, profile });
        }
        all
    }

    #[test]
    fn for_people() {
        insta::assert_snapshot!(check(show(false, false), vec![profile(600), profile(600), profile(60)]), @r#"
        TIME application/vnd.dialcast.profile+xml e600
        <profile xmlns="urn:oid:2.25.122554895870997544909312494017432266762.2.1" aor="sip:anna@corp.example"><telephony><sip.expires>600</sip.expires></telephony></profile>

        TIME application/vnd.dialcast.profile+xml e60 1 setting changed
          sip.expires: 600 → 60
        "#);
        insta::assert_snapshot!(check(show(false, true), vec![profile(600), profile(60)]), @r#"
        TIME application/vnd.dialcast.profile+xml e600
        <profile xmlns="urn:oid:2.25.122554895870997544909312494017432266762.2.1" aor="sip:anna@corp.example"><telephony><sip.expires>600</sip.expires></telephony></profile>
        TIME application/vnd.dialcast.profile+xml e60 1 setting changed
          sip.expires: 600 → 60
        <profile xmlns="urn:oid:2.25.122554895870997544909312494017432266762.2.1" aor="sip:anna@corp.example"><telephony><sip.expires>60</sip.expires></telephony></profile>
        "#);
        insta::assert_snapshot!(check(Show { pretty: true, ..show(false, false) }, vec![profile(600)]), @r#"
        TIME application/vnd.dialcast.profile+xml e600
        <profile xmlns="urn:oid:2.25.122554895870997544909312494017432266762.2.1" aor="sip:anna@corp.example">
          <telephony>
            <sip.expires>600</sip.expires>
          </telephony>
        </profile>
        "#);
    }

    #[test]
    fn for_programs() {
        insta::assert_snapshot!(check(show(true, false), vec![profile(600), profile(600), profile(60)]), @r#"
        {"event":"document","at":"TIME","etag":"e600","content_type":"application/vnd.dialcast.profile+xml","document":"<profile xmlns=\"urn:oid:2.25.122554895870997544909312494017432266762.2.1\" aor=\"sip:anna@corp.example\"><telephony><sip.expires>600</sip.expires></telephony></profile>","changes":[]}
        {"event":"unchanged","at":"TIME","etag":"e600","content_type":"application/vnd.dialcast.profile+xml"}
        {"event":"document","at":"TIME","etag":"e60","content_type":"application/vnd.dialcast.profile+xml","document":"<profile xmlns=\"urn:oid:2.25.122554895870997544909312494017432266762.2.1\" aor=\"sip:anna@corp.example\"><telephony><sip.expires>60</sip.expires></telephony></profile>","changes":[{"setting":"sip.expires","before":["600"],"after":["60"]}]}
        "#);
    }

    #[test]
    fn what_is_no_profile_is_shown_as_it_is() {
        let plain = |body: &[u8]| Received { content_type: "text/plain".to_owned(), etag: None, body: body.to_vec() };
        insta::assert_snapshot!(check(show(false, false), vec![plain(b"one"), plain(b"two"), plain(b"\xff\xfe")]), @r"
        TIME text/plain 7692c3ad3540bb803c020b3aee66cd88
        one
        TIME text/plain 3fc4ccfe745870e2c0d99f71f30ff065 changed; what changed cannot be told
        two
        TIME text/plain b3d510ef04275ca8e698e5b3cbb0ece3 changed; what changed cannot be told
        (2 octets that are no text)
        ");
        insta::assert_snapshot!(check(show(true, false), vec![plain(b"one"), plain(b"\xff\xfe")]), @r#"
        {"event":"document","at":"TIME","etag":"7692c3ad3540bb803c020b3aee66cd88","content_type":"text/plain","document":"one","changes":[]}
        {"event":"document","at":"TIME","etag":"b3d510ef04275ca8e698e5b3cbb0ece3","content_type":"text/plain"}
        "#);
    }
}
