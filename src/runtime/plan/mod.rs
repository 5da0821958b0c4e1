//! `dialcast plan`: what a change of the directory would push, to whom, byte for byte. Nothing is changed, and nothing is sent.
//!
//! The directory is read once; the change is applied to the model of it that the daemon has too; and what comes out goes the daemon's way: the
//! same engine, the same guard, the same renderer.

mod model;
mod show;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;

use super::live::now_ms;
use super::publishing::empty;
use super::serve::{resolve_sample, sweep_guard};
use super::state::StateFile;
use super::{Failed, configuration, explain, tokio_runtime};
use crate::config::{Config, Flags};
use crate::directory::ldif::{ChangeRecord, LdifFault, RecordChange, parse_changes};
use crate::directory::{ATTRIBUTES, Source};
use crate::document::{Change, Document, Profile, Renderer, changes};
use crate::model::{Aor, Dn, Fault, Kind, ObjectId, Timestamp};
use crate::policy::value::Value;
use crate::policy::{Engine, Guard, Outcome, Resolved, UserChange};
use crate::store::{Change as StoreChange, ChangeSet, Snapshot, Store};

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

/// What would become of a user.
#[derive(Debug)]
struct Predicted {
    aor: Aor,
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
}

/// What kind of news it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    users: Vec<Predicted>,
    /// Why deletions would be held, where a canary is among them.
    quarantine: Option<String>,
    /// How many users' losses would be held.
    held: usize,
    /// How many may lose something at once.
    limit: usize,
    /// Whether phones at sites and subnets may be told something of which nothing is said here.
    concerns_places: bool,
}

/// Predicts, and says what. Exit code 2 when something would change or be held, else 0.
///
/// # Errors
/// The configuration or the change has faults, the directory cannot be read, or would refuse the change.
pub fn run(flags: &Flags, what: &What, documents: Option<&Path>, json: bool) -> Result<ExitCode, Failed> {
    let (config, _) = configuration(flags)?;
    let source = resolve_sample(&config)?;
    let records = records(what)?;
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
    let plan = predict(&config, &source, &snapshot, records, matches!(what, What::Delete { .. }))?;
    if let Some(dir) = documents {
        write_documents(dir, &plan).with_context(|| format!("write the documents to {}", dir.display())).map_err(Failed::Other)?;
    }
    super::answer(&if json { show::json(&plan) } else { show::text(&plan) })?;
    Ok(if plan.users.is_empty() && plan.quarantine.is_none() && !plan.concerns_places {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(WOULD_CHANGE)
    })
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

fn predict(config: &Config, source: &Source, before: &Snapshot, records: Vec<ChangeRecord>, with_below: bool) -> Result<Plan, Failed> {
    let refused = |fault: Box<Fault>| Failed::Faults(vec![*fault]);
    let mut engine = Engine::new(config.policy.clone());
    engine.load(before);
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
    let network = Arc::clone(engine.network());
    let outcome = engine.update(&after, &sets);
    let concerns_places = network != *engine.network() || sets.iter().flat_map(|set| &set.changes).any(is_of_places);
    let mut guard = Guard::new(config.guards.users);
    let Outcome { users, examined, .. } = outcome;
    guard.judge(Instant::now(), users.clone(), || published);
    let mut renderer = Renderer::new();
    let of = |change: &UserChange| predicted(&mut renderer, change, [before, &after], &new, &guard);
    let users: Vec<Predicted> = users.iter().filter_map(of).collect();
    // Whoever is somewhere gets the document for there: the change, with what belongs to the place.
    let concerns_places = concerns_places || !users.is_empty() && engine.network().makes_a_difference();
    Ok(Plan {
        records: all.len(),
        objects: sets.iter().map(|set| set.changes.len()).sum(),
        examined,
        users,
        quarantine: store.quarantine().map(|held| format!("{} objects: {}", held.objects.len(), held.why)),
        held: guard.held(),
        limit: guard.limit(published),
        concerns_places,
    })
}

fn predicted(
    renderer: &mut Renderer,
    change: &UserChange,
    [before, after]: [&Snapshot; 2],
    new: &BTreeSet<ObjectId>,
    guard: &Guard,
) -> Option<Predicted> {
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
    let is_held = guard.detained().any(|(held, detained)| *held == aor && detained.is_held);
    Some(Predicted { aor, dn, effect, changes, document, depends_on_id, is_held })
}

/// Whether a change is of a site or subnet itself.
fn is_of_places(change: &StoreChange) -> bool {
    match change {
        StoreChange::Added(object)
        | StoreChange::Removed { object, .. }
        | StoreChange::Modified { after: object, .. }
        | StoreChange::Moved { after: object, .. } => matches!(object.kind, Kind::Site | Kind::Subnet),
        StoreChange::Members { .. } => false,
    }
}

/// Whether two servers have one priority: in which order a user has them depends on its id.
fn shares_a_priority(values: &[Value]) -> bool {
    let mut seen = BTreeSet::new();
    values.iter().any(|value| matches!(value, Value::Server(server) if !seen.insert(server.priority)))
}

/// Writes each document that would be pushed, its exact octets, into a folder: `user@domain.xml`.
fn write_documents(dir: &Path, plan: &Plan) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for user in &plan.users {
        let Some(document) = &user.document else { continue };
        // The key is a file's name but for a slash, which an address may hold.
        let name = user.aor.key().replace('%', "%25").replace('/', "%2F");
        std::fs::write(dir.join(format!("{name}.xml")), &document.body)?;
    }
    Ok(())
}

/// How many users of each loss, for the summary.
fn losses(plan: &Plan) -> Vec<(&'static str, usize)> {
    let count = |effect| plan.users.iter().filter(|user| user.effect == effect).count();
    let all = [
        ("would get their first profile", count(Effect::New)),
        ("would get another profile", count(Effect::Changed)),
        ("would get an empty profile and the end of their subscriptions", count(Effect::Gone)),
        ("would get an empty profile", count(Effect::Disabled)),
        ("would be withheld and keep what they have", count(Effect::Withheld)),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}
