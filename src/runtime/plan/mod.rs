//! `dialcast plan`: what a change of the directory would push, to whom, byte for byte. Nothing is changed, and nothing is sent.
//!
//! The directory is read once; the change is applied to the model of it that the daemon has too; and what comes out goes the daemon's way: the
//! same engine, the same guard, the same renderer.

mod at;
mod model;
mod places;
mod show;
mod subscribed;
mod written;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;

use self::at::{Looking, Who};
use self::places::Places;
use self::show::Told;
use self::subscribed::Subscribed;
use self::written::Written;
use super::live::now_ms;
use super::publishing::empty;
use super::serve::{resolve_sample, sweep_guard};
use super::state::StateFile;
use super::{Failed, configuration, explain, tokio_runtime};
use crate::config::{Config, Flags};
use crate::directory::ldif::{ChangeRecord, LdifFault, RecordChange, parse_changes};
use crate::directory::{ATTRIBUTES, Source};
use crate::document::{Change, Document, Profile, Renderer, changes};
use crate::model::{Dn, Fault, ObjectId, Resource, Timestamp};
use crate::policy::value::Value;
use crate::policy::{Engine, Guard, Outcome, Resolved, UserChange};
use crate::store::{ChangeSet, Snapshot, Store};

/// Exit code for "something would change, or be held".
const WOULD_CHANGE: u8 = 2;
/// A file of changes larger than this is another file.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// What to predict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// An entry, with all below it, stands in another.
    Move {
        /// The entry.
        dn: String,
        /// What it is to stand in.
        to: String,
    },
    /// An entry goes, with all below it.
    Delete {
        /// The entry.
        dn: String,
    },
    /// Change records of a file, as `ldapmodify` reads them.
    File(PathBuf),
}

/// What is to be told of a prediction, and how.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    /// Write each document that would be pushed into this folder.
    pub documents: Option<&'a Path>,
    /// Tell only of what phones subscribe to now; the daemon knows.
    pub subscribed: bool,
    /// As JSON.
    pub json: bool,
}

/// What would become of a user, a device or a local network.
#[derive(Debug)]
struct Predicted {
    resource: Resource,
    /// The entry's name after the change; before, where it goes.
    dn: Dn,
    effect: Effect,
    changes: Vec<Change>,
    /// What would be pushed; nothing to who is withheld.
    document: Option<Document>,
    /// Whether the document depends on the id that the server is yet to give the user's entry.
    depends_on_id: bool,
    /// Whether the guard would hold it.
    is_held: bool,
    /// How many phones subscribe to it now and would be told, if a daemon says so.
    phones: Option<usize>,
}

impl Predicted {
    const fn plain(resource: Resource, dn: Dn, effect: Effect) -> Self {
        Self { resource, dn, effect, changes: Vec::new(), document: None, depends_on_id: false, is_held: false, phones: None }
    }
}

/// What kind of news it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    New,
    Changed,
    Gone,
    Disabled,
    Withheld,
}

/// A prediction.
#[derive(Debug)]
struct Plan {
    records: usize,
    objects: usize,
    examined: usize,
    /// Users where no site or subnet makes a difference; what that comes to is found out for one after the other.
    users: Vec<UserChange>,
    /// The entries whose ids are only made up.
    new: BTreeSet<ObjectId>,
    /// Why deletions would be held, where a canary is among them.
    quarantine: Option<String>,
    /// How many users' losses would be held.
    held: usize,
    /// How many may lose something at once.
    limit: usize,
}

/// Predicts, and says what. Exit code 2 when something would change or be held, else 0.
///
/// # Errors
/// The configuration or the change has faults, the directory cannot be read, or would refuse the change; or no daemon says who subscribes.
pub fn run(flags: &Flags, what: &What, telling: Telling<'_>) -> Result<ExitCode, Failed> {
    let (config, _) = configuration(flags)?;
    let source = resolve_sample(&config)?;
    let records = records(what)?;
    let phones = subscribed::ask(&config, &source, telling.subscribed)?;
    let snapshot = match &flags.state {
        Some(dir) => {
            StateFile::peek(dir, &source.to_string())
                .map_err(|error| Failed::Other(error.into()))?
                .with_context(|| format!("there is no state of {source} in {}: leave --state out to read the directory", dir.display()))
                .map_err(Failed::Other)?
                .snapshot
        }
        None => tokio_runtime()?.block_on(explain::read(&source))?.snapshot,
    };
    let (mut plan, mut looking, after) = predict(&config, &source, &snapshot, records, matches!(what, What::Delete { .. }))?;
    let places = Places::of(looking.engines.each_ref().map(|engine| Arc::clone(engine.network())), [&snapshot, &after]);
    let subscribed = phones.map(|phones| Subscribed::of(&phones, &places));
    let who = Who { subscribed: subscribed.as_ref(), only: telling.subscribed };
    let written = telling.documents.map(Written::begin).transpose()?;
    let mut told = Told::begin(&plan, subscribed.is_some(), telling.json)?;
    for change in std::mem::take(&mut plan.users) {
        let Some(mut predicted) = looking.user(&change, [&snapshot, &after], &plan.new) else { continue };
        predicted.phones = subscribed.as_ref().map(|subscribed| concerned(&predicted, subscribed));
        if who.only && predicted.phones == Some(0) {
            continue;
        }
        let file = written.as_ref().map(|written| written.user(&predicted)).transpose()?.flatten();
        told.user(&predicted, file.as_deref())?;
    }
    told.end_users()?;
    for predicted in looking.comings(&who) {
        told.coming(&predicted)?;
    }
    told.end_comings()?;
    for (index, place) in places.all.iter().enumerate() {
        let number = index + 1;
        let mut networks = 0;
        looking.at(place, &who, |predicted| {
            networks += usize::from(predicted.resource == Resource::LocalNetwork);
            let again = if predicted.resource == Resource::LocalNetwork { networks } else { 1 };
            let file = written.as_ref().map(|written| written.at(number, again, &predicted)).transpose()?.flatten();
            told.at(number, place, &predicted, file.as_deref())
        })?;
        told.end_place(place)?;
    }
    let is_news = told.end(&plan)?;
    Ok(if !is_news && plan.quarantine.is_none() { ExitCode::SUCCESS } else { ExitCode::from(WOULD_CHANGE) })
}

/// How many phones hear of what becomes of a user where no site or subnet makes a difference. A farewell is for all of them.
fn concerned(user: &Predicted, subscribed: &Subscribed) -> usize {
    match user.effect {
        Effect::Gone | Effect::Withheld => subscribed.anywhere(&user.resource),
        Effect::New | Effect::Changed | Effect::Disabled => subscribed.at(&user.resource, [None, None]),
    }
}

/// The change records of what is to be predicted.
fn records(what: &What) -> Result<Vec<ChangeRecord>, Failed> {
    let dn = |text: &str| text.parse::<Dn>().with_context(|| format!("`{text}` is no DN")).map_err(Failed::Other);
    let record = |dn, change| vec![ChangeRecord { path: Path::new("").into(), line: 0, dn, change }];
    match what {
        What::Move { dn: from, to } => {
            let from = dn(from)?;
            let rdn = from.rdn().cloned().context("the root DSE cannot be moved").map_err(Failed::Other)?;
            Ok(record(from, RecordChange::Rename { rdn, delete_old: false, superior: Some(dn(to)?) }))
        }
        What::Delete { dn: which } => Ok(record(dn(which)?, RecordChange::Delete)),
        What::File(path) => {
            let length = std::fs::metadata(path).with_context(|| path.display().to_string()).map_err(Failed::Other)?.len();
            if length > FILE_BYTES_MAX {
                return Err(Failed::Other(anyhow::anyhow!("{} has more than {FILE_BYTES_MAX} octets", path.display())));
            }
            let bytes = std::fs::read(path).with_context(|| path.display().to_string()).map_err(Failed::Other)?;
            parse_changes(&bytes, path).map_err(|error| Failed::Faults(error.faults.iter().map(LdifFault::to_fault).collect()))
        }
    }
}

fn predict(
    config: &Config,
    source: &Source,
    before: &Snapshot,
    records: Vec<ChangeRecord>,
    with_below: bool,
) -> Result<(Plan, Looking, Snapshot), Failed> {
    let refused = |fault: Box<Fault>| Failed::Faults(vec![*fault]);
    let mut engine = Engine::new(config.policy.clone()).tracing();
    drop(engine.load_by_parts(before));
    let published = engine.published();
    let mut all = Vec::new();
    for record in records {
        if with_below { all.extend(model::deletions(before, &record).map_err(refused)?) } else { all.push(record) }
    }
    let is_read = |name: &str| match source {
        Source::Ldif(_) => true,
        Source::Ldap(options) => {
            ATTRIBUTES.iter().copied().chain(options.attributes.iter().map(String::as_str)).any(|read| read.eq_ignore_ascii_case(name))
        }
    };
    let at = Timestamp(now_ms());
    let created = crate::policy::rfc3339(at).replace(['-', ':', 'T'], "");
    let server = model::Server { is_read: &is_read, created: matches!(source, Source::Ldap(_)).then_some(created.as_str()) };
    let mut store = Store::resume(before.clone(), None).guarded(sweep_guard(config), None);
    let mut new = BTreeSet::new();
    let mut sets: Vec<ChangeSet> = Vec::new();
    for record in &all {
        let event = model::event(&store.snapshot(), record, &server, &mut new).map_err(refused)?;
        let applied = store.apply(event, at);
        if !applied.faults.is_empty() {
            return Err(Failed::Faults(applied.faults));
        }
        sets.extend(applied.changes);
    }
    let after = store.snapshot();
    let outcome = engine.update(&after, &sets);
    let mut guard = Guard::new(config.guards.users);
    let Outcome { users, examined, .. } = outcome;
    guard.judge(Instant::now(), users.clone(), || published);
    let plan = Plan {
        records: all.len(),
        objects: sets.iter().map(|set| set.changes.len()).sum(),
        examined,
        users,
        new,
        quarantine: store.quarantine().map(|held| format!("{} objects: {}", held.objects.len(), held.why)),
        held: guard.held(),
        limit: guard.limit(published),
    };
    let held = guard.detained().filter(|(_, detained)| detained.is_held).map(|(aor, _)| aor.clone()).collect();
    let mut engine_before = Engine::new(config.policy.clone());
    drop(engine_before.load_by_parts(before));
    Ok((plan, Looking::new([engine_before, engine], Renderer::new(), held), after))
}

impl Looking {
    /// What becomes of a user where no site or subnet makes a difference.
    fn user(&mut self, change: &UserChange, [before, after]: [&Snapshot; 2], new: &BTreeSet<ObjectId>) -> Option<Predicted> {
        let renderer = &mut self.renderer;
        let aor = change.aor()?.clone();
        let dn = after.dn(change.user()).or_else(|| before.dn(change.user())).unwrap_or_default();
        let last = change.before().map(|last| Profile::from(&**last));
        let nothing = Profile::new(aor.clone(), []);
        let (effect, document, now) = match change {
            UserChange::Resolved { now, before } => {
                let document = renderer.profile(now);
                if before.as_ref().is_some_and(|before| renderer.profile(before).etag == document.etag) {
                    return None;
                }
                (if before.is_some() { Effect::Changed } else { Effect::New }, Some(document), Some(Profile::from(&**now)))
            }
            UserChange::Gone { .. } => (Effect::Gone, Some(empty(renderer, &aor)), None),
            UserChange::Disabled { .. } => (Effect::Disabled, Some(empty(renderer, &aor)), None),
            UserChange::Withheld { .. } => (Effect::Withheld, None, None),
        };
        let changes = match (effect, &now) {
            (Effect::Withheld, _) => Vec::new(),
            (_, now) => changes(last.as_ref().unwrap_or(&nothing), now.as_ref().unwrap_or(&nothing)),
        };
        let is_spread = |now: &Resolved| now.iter().any(|(_, decision)| shares_a_priority(&decision.values));
        let depends_on_id = matches!(change, UserChange::Resolved { now, .. } if new.contains(&now.user) && is_spread(now));
        let is_held = self.held.contains(&aor);
        Some(Predicted { changes, document, depends_on_id, is_held, ..Predicted::plain(Resource::User(aor), dn, effect) })
    }
}

/// Whether two servers have one priority: in which order a user has them depends on its id.
fn shares_a_priority(values: &[Value]) -> bool {
    let mut seen = BTreeSet::new();
    values.iter().any(|value| matches!(value, Value::Server(server) if !seen.insert(server.priority)))
}
