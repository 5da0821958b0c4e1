//! The roll call: on a schedule, beside the changes that are told, every id and version is compared with the ledger.
//!
//! ```text
//!            due                listed               read
//!   Idle ──────────► Listing ───────────► Reading ─────────► Settling ──► Idle      nothing differs: Listing ──► Idle
//! ```
//!
//! What differs is read by its id, and told; once more if something that may stand above it was told meanwhile. What is missing then is told as a refresh that names all the others: it passes the
//! guards against mass deletion as every list does. When too much differs, all is read again.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use ldap3::Ldap;
use tokio::time::Instant;

use super::decode::Found;
use super::failure::LdapFailure;
use super::ledger::{Differences, Watched};
use super::listing::{Listed, Listing};
use super::outlet::{Lost, Outlet};
use super::refresh::make_room;
use super::session::End;
use crate::directory::{Event, Timers};
use crate::model::ObjectId;

/// So many entries are read by their ids; of more, all is read again, which is quicker.
const READ_MAX: usize = 20_000;
/// Entries that are read at a time, and so held in memory.
const READ_BATCH: usize = 500;

/// So often is a batch read again because names changed meanwhile; then all is read.
const READ_AGAIN_MAX: u32 = 8;

/// How long what was read waits at most.
const SETTLING_MAX: Duration = Duration::from_secs(1);

type Running<T> = Pin<Box<dyn Future<Output = Result<T, LdapFailure>> + Send>>;

/// The roll calls of one connection.
pub(super) struct Roll {
    listing: Listing,
    /// What is read of an entry.
    attributes: Vec<String>,
    every: Option<Duration>,
    relist: Duration,
    settling: Duration,
    stage: Stage,
}

enum Stage {
    Idle,
    Listing(Running<Vec<Listed>>),
    Reading(Running<Vec<Found>>, Reading),
    /// What was read waits for the changes that were told before: one of them may still name an entry by what was above it then.
    Settling(Instant, Vec<Found>, Reading),
}

/// What is being read.
#[derive(Default)]
pub(super) struct Reading {
    /// The batch under way.
    batch: Vec<ObjectId>,
    /// The others.
    rest: Vec<ObjectId>,
    /// Those that were looked for, and are not there.
    gone: HashSet<ObjectId>,
    /// How often a batch was read again.
    again: u32,
}

/// What happened.
pub(super) enum Step {
    Due,
    Listed(Result<Vec<Listed>, LdapFailure>),
    Read(Result<Vec<Found>, LdapFailure>, Reading),
    Settled(Vec<Found>, Reading),
}

impl Roll {
    /// Roll calls as often as the options say, or as the dialect needs them.
    pub(super) fn new(listing: Listing, attributes: Vec<String>, timers: &Timers, usual: Duration) -> Self {
        let every = Some(timers.compare_every.unwrap_or(usual)).filter(|every| !every.is_zero());
        Self {
            listing,
            attributes,
            every,
            relist: timers.relist_every,
            settling: timers.ping_interval.min(SETTLING_MAX),
            stage: Stage::Idle,
        }
    }

    /// Begins one now, if none is under way.
    pub(super) fn begin(&mut self, handle: Ldap) {
        if matches!(self.stage, Stage::Idle) {
            let listing = self.listing.clone();
            self.stage = Stage::Listing(Box::pin(async move { listing.ids(handle, None).await }));
        }
    }

    fn read(&mut self, mut reading: Reading, handle: Ldap, outlet: &mut Outlet) {
        outlet.ledger.watch();
        reading.batch = reading.rest.split_off(reading.rest.len().saturating_sub(READ_BATCH));
        let (listing, ids, names) = (self.listing.clone(), reading.batch.clone(), self.attributes.clone());
        self.stage = Stage::Reading(Box::pin(async move { listing.entries(handle, &ids, &names).await }), reading);
    }

    /// Waits for the next step: to be given to [`Self::take`]. Cancelling it loses nothing. The connection has to be driven meanwhile.
    pub(super) async fn next(&mut self, compared: Instant) -> Step {
        let step = match &mut self.stage {
            Stage::Idle => match self.every {
                Some(every) => {
                    tokio::time::sleep_until(compared + every).await;
                    return Step::Due;
                }
                None => std::future::pending().await,
            },
            Stage::Listing(running) => Step::Listed(running.await),
            Stage::Reading(running, reading) => Step::Read(running.await, std::mem::take(reading)),
            Stage::Settling(until, found, reading) => {
                tokio::time::sleep_until(*until).await;
                Step::Settled(std::mem::take(found), std::mem::take(reading))
            }
        };
        self.stage = Stage::Idle;
        step
    }

    /// Does what a step asks for.
    pub(super) async fn take(&mut self, step: Step, handle: Ldap, outlet: &mut Outlet) -> Result<(), End> {
        match step {
            // What came with the state of an earlier run has no versions: there is nothing to compare with.
            Step::Due if !outlet.ledger.is_trusted() => return Err(End::Relist),
            // What a list of everything brings and nothing else: the text of groups whose members went and came back renamed.
            Step::Due if outlet.listed.elapsed() >= self.relist => return Err(End::Relist),
            Step::Due => self.begin(handle),
            Step::Listed(Ok(mut listed)) => {
                let Differences { mut stale, missing } = outlet.ledger.compare(&mut listed);
                if stale.is_empty() && missing.is_empty() {
                    outlet.compared(None);
                    return Ok(());
                }
                if stale.len() + missing.len() > READ_MAX || self.listing.identity.attribute().is_none() {
                    return Err(End::Relist);
                }
                stale.extend(missing);
                self.read(Reading { rest: stale, ..Reading::default() }, handle, outlet);
            }
            Step::Read(Ok(found), reading) => self.stage = Stage::Settling(Instant::now() + self.settling, found, reading),
            Step::Settled(mut found, mut reading) => {
                // Told meanwhile: that is newer.
                let Watched { touched, names } = outlet.ledger.watched();
                found.retain(|entry| !touched.contains(&entry.id));
                reading.batch.retain(|id| !touched.contains(id));
                // What stands above was told meanwhile, perhaps under another name: what was read below the old one would stay there,
                // since its version is the same.
                if names && !found.is_empty() {
                    reading.again += 1;
                    if reading.again > READ_AGAIN_MAX {
                        return Err(End::Relist);
                    }
                    reading.rest.append(&mut reading.batch);
                    self.read(reading, handle, outlet);
                    return Ok(());
                }
                let there: HashSet<ObjectId> = found.iter().map(|entry| entry.id).collect();
                reading.gone.extend(reading.batch.iter().copied().filter(|id| !there.contains(id)));
                tell(outlet, found).await?;
                if reading.rest.is_empty() {
                    sweep(outlet, &reading.gone).await?;
                    outlet.compared(None);
                } else {
                    self.read(reading, handle, outlet);
                }
            }
            // The changes are told all the same; the next one may succeed.
            Step::Listed(Err(failure)) | Step::Read(Err(failure), _) => outlet.compared(Some(&failure)),
        }
        Ok(())
    }
}

/// Tells entries that a comparison found to be otherwise.
async fn tell(outlet: &mut Outlet, found: Vec<Found>) -> Result<(), End> {
    // Something came back: groups may hold it by a name that it has no longer, what hung below it may have gone with it, and what is
    // held back because it vanished is to be looked at anew. Only a list of everything does all that.
    if outlet.lost > Lost::Nothing && found.iter().any(|entry| !outlet.ledger.knows(entry.id)) {
        return Err(End::Relist);
    }
    for entry in found {
        outlet.found(entry, false);
        make_room(outlet).await?;
    }
    Ok(())
}

/// Tells that entries are gone, as a refresh that names all others.
async fn sweep(outlet: &mut Outlet, gone: &HashSet<ObjectId>) -> Result<(), End> {
    // Those that were told to be gone meanwhile are known to be.
    let known: Vec<ObjectId> = outlet.ledger.ids().filter(|id| !gone.contains(id)).collect();
    if outlet.ledger.ids().count() == known.len() {
        return Ok(());
    }
    outlet.lost = outlet.lost.max(Lost::Entries);
    outlet.begin_again();
    for id in known {
        outlet.event(Event::InitKeep(id));
        make_room(outlet).await?;
    }
    let cookie = outlet.cookie.clone();
    outlet.complete(true, cookie);
    Ok(())
}
