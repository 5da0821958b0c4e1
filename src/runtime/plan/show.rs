//! A prediction for people, and as JSON: written as it is found out, since all users at all places are more than memory should hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufWriter, StdoutLock, Write as _};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::places::Place;
use super::{Effect, Plan, Predicted};
use crate::document::Change;
use crate::model::Resource;
use crate::runtime::Failed;

/// How many users are shown one by one; `--json` gives all.
const USERS_MAX: usize = 200;
/// How many differences are told of one place, and how many examples of each.
const GROUPS_MAX: usize = 30;
const EXAMPLES_MAX: usize = 3;

impl Effect {
    /// For scripts.
    const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::Disabled => "disabled",
            Self::Withheld => "withheld",
        }
    }

    /// For the summary.
    const fn of_many(self) -> &'static str {
        match self {
            Self::New => "would get their first profile",
            Self::Changed => "would get another profile",
            Self::Gone => "would get an empty profile and the end of their subscriptions",
            Self::Disabled => "would get an empty profile",
            Self::Withheld => "would be withheld and keep what they have",
        }
    }

    const fn sentence(self) -> Option<&'static str> {
        match self {
            Self::New | Self::Changed => None,
            Self::Gone => Some("gone: an empty profile, then terminated;reason=noresource"),
            Self::Disabled => Some("disabled: an empty profile"),
            Self::Withheld => Some("withheld for want of a registrar, or because another has the address: nothing is pushed"),
        }
    }
}

/// Those at one place of whom the same is told.
#[derive(Default)]
struct Group {
    count: usize,
    phones: usize,
    examples: Vec<String>,
}

/// What there is to tell, on its way to standard output.
pub(super) struct Told {
    out: Out,
    json: bool,
    /// Whether a daemon says who subscribes.
    with_phones: bool,
    /// How many users of each effect, where no site or subnet makes a difference.
    users: BTreeMap<Effect, usize>,
    /// Predictions in the list that is being written.
    listed: usize,
    /// Users, devices and local networks that would be told something at a place, and devices that come and go.
    elsewhere: usize,
    /// Phones that would be told something.
    phones: usize,
    /// Of the place that is being told of.
    groups: BTreeMap<String, Group>,
    more: usize,
    places: usize,
}

impl Told {
    /// Begins with what is known of all.
    pub(super) fn begin(plan: &Plan, with_phones: bool, json: bool) -> Result<Self, Failed> {
        let mut told = Self {
            out: Out { inner: BufWriter::new(io::stdout().lock()), is_closed: false },
            json,
            with_phones,
            users: BTreeMap::new(),
            listed: 0,
            elsewhere: 0,
            phones: 0,
            groups: BTreeMap::new(),
            more: 0,
            places: 0,
        };
        if json {
            let Plan { records, objects, examined, held, limit, quarantine, .. } = plan;
            let all = json!({ "records": records, "objects": objects, "examined": examined, "held": held, "limit": limit, "quarantine": quarantine });
            told.out.put(&format!("{},\"users\":[", open(&all)))?;
        }
        Ok(told)
    }

    /// A user, where no site or subnet makes a difference.
    pub(super) fn user(&mut self, user: &Predicted, file: Option<&str>) -> Result<(), Failed> {
        self.count(user);
        *self.users.entry(user.effect).or_default() += 1;
        if self.json {
            return self.item(user, file);
        }
        self.listed += 1;
        if self.listed > USERS_MAX {
            return Ok(());
        }
        let mut out = format!("{}  {}{}\n", called(&user.resource), user.dn, self.shown_phones(user));
        let _ = writeln!(out, "  {}", said(user).trim_end().replace('\n', "\n  "));
        if user.depends_on_id {
            out.push_str("  the order of servers of one priority depends on the id that the entry is yet to get\n");
        }
        self.out.put(&out)
    }

    /// All users are told of.
    pub(super) fn end_users(&mut self) -> Result<(), Failed> {
        if self.json {
            self.out.put("],\"devices\":[")?;
        } else if let Some(more) = self.listed.checked_sub(USERS_MAX).filter(|more| *more > 0) {
            self.out.put(&format!("… and {more} more; --json gives all of them\n"))?;
        }
        self.listed = 0;
        Ok(())
    }

    /// A device that comes or goes.
    pub(super) fn coming(&mut self, device: &Predicted) -> Result<(), Failed> {
        self.elsewhere += 1;
        self.count(device);
        if self.json {
            return self.item(device, None);
        }
        self.listed += 1;
        if self.listed > USERS_MAX {
            return Ok(());
        }
        let what = match device.effect {
            Effect::Gone => "gone: terminated;reason=noresource",
            _ => "new: its phone may subscribe to it",
        };
        self.out.put(&format!("{}{}\n  {what}\n", called(&device.resource), self.shown_phones(device)))
    }

    /// All of those are told of.
    pub(super) fn end_comings(&mut self) -> Result<(), Failed> {
        if self.json {
            self.out.put("],\"places\":[")?;
        } else if let Some(more) = self.listed.checked_sub(USERS_MAX).filter(|more| *more > 0) {
            self.out.put(&format!("… and {more} devices more; --json gives all of them\n"))?;
        }
        self.listed = 0;
        Ok(())
    }

    /// Something that would be told at a place.
    pub(super) fn at(&mut self, number: usize, place: &Place, predicted: &Predicted, file: Option<&str>) -> Result<(), Failed> {
        self.elsewhere += 1;
        self.count(predicted);
        if self.json {
            if self.listed == 0 {
                let networks = &place.networks;
                let examples: Vec<String> = networks.examples.iter().map(ToString::to_string).collect();
                let networks = json!({ "count": networks.count, "examples": examples, "others": networks.others });
                let head = json!({ "place": number, "name": place.name, "networks": networks });
                let comma = if self.places > 0 { "," } else { "" };
                self.out.put(&format!("{comma}{},\"predictions\":[", open(&head)))?;
            }
            return self.item(predicted, file);
        }
        self.listed += 1;
        let kind = match predicted.resource {
            Resource::User(_) => "users",
            Resource::LocalNetwork => "local network",
            Resource::Device(_) => "devices",
        };
        let key = format!("{kind}\n{}", said(predicted));
        if !self.groups.contains_key(&key) && self.groups.len() == GROUPS_MAX {
            self.more += 1;
            return Ok(());
        }
        let group = self.groups.entry(key).or_default();
        group.count += 1;
        group.phones += predicted.phones.unwrap_or(0);
        if group.examples.len() < EXAMPLES_MAX && predicted.resource != Resource::LocalNetwork {
            group.examples.push(called(&predicted.resource));
        }
        Ok(())
    }

    /// All at a place are told of.
    pub(super) fn end_place(&mut self, place: &Place) -> Result<(), Failed> {
        if self.listed > 0 {
            self.places += 1;
            if self.json {
                self.out.put("]}")?;
            } else {
                let text = self.place(place);
                self.out.put(&text)?;
            }
        }
        (self.listed, self.more) = (0, 0);
        self.groups.clear();
        Ok(())
    }

    /// A place for people: the largest groups first.
    fn place(&self, place: &Place) -> String {
        let mut out = format!("at {} ({})\n", place.name, networks(place));
        let mut groups: Vec<(&String, &Group)> = self.groups.iter().collect();
        groups.sort_by_key(|(key, group)| (std::cmp::Reverse(group.count), *key));
        for (key, group) in groups {
            let (kind, said) = key.split_once('\n').unwrap_or_default();
            let mut examples = group.examples.join(", ");
            if group.count > group.examples.len() && !group.examples.is_empty() {
                examples = format!("{} {kind}, such as {examples}", group.count);
            }
            let who = if examples.is_empty() { "the local network" } else { &examples };
            let phones = if self.with_phones { format!("  [{}]", phones(group.phones)) } else { String::new() };
            let _ = writeln!(out, "  {who}{phones}\n    {}", said.trim_end().replace('\n', "\n    "));
        }
        if self.more > 0 {
            let _ = writeln!(out, "  … and {} more with other differences; --json gives all of them", self.more);
        }
        out
    }

    /// Ends; gives whether anything was told.
    pub(super) fn end(mut self, plan: &Plan) -> Result<bool, Failed> {
        let is_news = !self.users.is_empty() || self.elsewhere > 0;
        if self.json {
            let told = self.with_phones.then_some(self.phones);
            self.out.put(&format!("],\"phones\":{}}}\n", json!(told)))?;
        } else {
            let space = if is_news { "\n" } else { "" };
            let mut out = format!("{space}{}", summary(plan, &self.users));
            if self.elsewhere > 0 {
                let _ = writeln!(out, "and {} users, devices and local networks at {} places", self.elsewhere, self.places);
            }
            if self.with_phones {
                let _ = writeln!(out, "{} that subscribe now would be told", phones(self.phones));
            }
            self.out.put(&out)?;
        }
        self.out.flush()?;
        Ok(is_news)
    }

    const fn count(&mut self, predicted: &Predicted) {
        if let (Some(phones), false) = (predicted.phones, predicted.is_held || matches!(predicted.effect, Effect::Withheld)) {
            self.phones += phones;
        }
    }

    fn item(&mut self, predicted: &Predicted, file: Option<&str>) -> Result<(), Failed> {
        let comma = if self.listed > 0 { "," } else { "" };
        self.listed += 1;
        self.out.put(&format!("{comma}{}", item(predicted, file)))
    }

    fn shown_phones(&self, predicted: &Predicted) -> String {
        predicted.phones.filter(|_| self.with_phones).map_or_else(String::new, |count| format!("  [{}]", phones(count)))
    }
}

fn phones(count: usize) -> String {
    if count == 1 { "1 phone".to_owned() } else { format!("{count} phones") }
}

/// `2 networks: 10.1.0.0/16, 10.2.0.0/16`.
fn networks(place: &Place) -> String {
    let networks = &place.networks;
    let examples = networks.examples.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let more = if networks.count > networks.examples.len() { ", …" } else { "" };
    let named = match networks.count {
        0 => None,
        1 => Some(examples),
        count => Some(format!("{count} networks: {examples}{more}")),
    };
    let others = networks.others.then(|| "addresses in no network".to_owned());
    named.into_iter().chain(others).collect::<Vec<_>>().join(", and ")
}

/// What is told of one, for people.
fn said(predicted: &Predicted) -> String {
    let mut out = String::new();
    if let Some(sentence) = predicted.effect.sentence() {
        let _ = writeln!(out, "{sentence}");
    } else {
        for change in &predicted.changes {
            let _ = writeln!(out, "{change}");
        }
    }
    if out.is_empty() {
        out.push_str("a document without settings\n");
    }
    if predicted.is_held {
        out.push_str("held: see below\n");
    }
    out
}

fn called(resource: &Resource) -> String {
    match resource {
        Resource::User(aor) => aor.to_string(),
        Resource::LocalNetwork => "the local network".to_owned(),
        Resource::Device(id) => format!("device {id}"),
    }
}

fn summary(plan: &Plan, counts: &BTreeMap<Effect, usize>) -> String {
    let mut out = String::new();
    let Plan { records, objects, examined, held, limit, quarantine, .. } = plan;
    let _ = writeln!(out, "{records} records, {objects} objects, {examined} users looked at, {} with news", counts.values().sum::<usize>());
    for (effect, count) in counts {
        let _ = writeln!(out, "  {count} {}", effect.of_many());
    }
    if let Some(quarantine) = quarantine {
        let _ = writeln!(out, "held: {quarantine}");
    }
    if *held > 0 {
        let _ = writeln!(
            out,
            "held: {held} users would lose their account, registrar or numbers, and {limit} may at once; their phones would keep what they have until \
             `dialcast release`"
        );
    }
    out
}

fn item(predicted: &Predicted, file: Option<&str>) -> Value {
    let texts = |values: &[crate::policy::value::Value]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
    let change =
        |change: &Change| json!({ "setting": change.setting.name(), "before": texts(&change.before), "after": texts(&change.after) });
    let mut item = json!({
        "effect": predicted.effect.name(),
        "changes": predicted.changes.iter().map(change).collect::<Vec<_>>(),
        "etag": predicted.document.as_ref().map(|document| document.etag.to_string()),
        "octets": predicted.document.as_ref().map(|document| document.body.len()),
        "file": file,
        "depends_on_id": predicted.depends_on_id,
        "held": predicted.is_held,
        "phones": predicted.phones,
    });
    let whose: Vec<(&str, String)> = match &predicted.resource {
        Resource::User(aor) => vec![("profile", "user".into()), ("aor", aor.as_str().into()), ("dn", predicted.dn.to_string())],
        Resource::LocalNetwork => vec![("profile", "local-network".into())],
        Resource::Device(id) => vec![("profile", "device".into()), ("device", id.to_string())],
    };
    if let Some(item) = item.as_object_mut() {
        item.extend(whose.into_iter().map(|(key, value)| (key.to_owned(), value.into())));
    }
    item
}

/// An object that goes on.
fn open(object: &Value) -> String {
    let mut text = object.to_string();
    text.pop();
    text
}

/// Standard output. A reader that closed it (`| head`) has what it wanted.
struct Out {
    inner: BufWriter<StdoutLock<'static>>,
    is_closed: bool,
}

impl Out {
    fn put(&mut self, text: &str) -> Result<(), Failed> {
        if self.is_closed {
            return Ok(());
        }
        let written = self.inner.write_all(text.as_bytes());
        self.written(written)
    }

    fn flush(&mut self) -> Result<(), Failed> {
        if self.is_closed {
            return Ok(());
        }
        let written = self.inner.flush();
        self.written(written)
    }

    fn written(&mut self, written: io::Result<()>) -> Result<(), Failed> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            written => written.context("write the answer to standard output").map_err(Failed::Other),
        }
    }
}
