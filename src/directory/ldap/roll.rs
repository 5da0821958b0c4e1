//! The roll call: on a schedule, beside the changes that are told, every id and version is compared with the ledger.
//!
//! ```text
//!            due                listed               read
//!   Idle ──────────► Listing ───────────► Reading ─────────► Idle      nothing differs: Listing ──► Idle
//! ```
//!
//! What differs is read by its id, and told. What is missing then is told as a refresh that names all the others: it passes the
//! guards against mass deletion as every list does. When too much differs, all is read again.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;

use ldap3::Ldap;
use tokio::time::Instant;

use super::decode::Found;
use super::failure::LdapFailure;
use super::ledger::Differences;
use super::listing::{Listed, Listing};
use super::outlet::Outlet;
use super::session::End;
use crate::directory::{Event, Timers};
use crate::model::ObjectId;

/// So many entries are read one by one; of more, all is read again, which is quicker and holds no more in memory.
const READ_MAX: usize = 5_000;

type Running<T> = Pin<Box<dyn Future<Output = Result<T, LdapFailure>> + Send>>;

/// The roll calls of one connection.
pub(super) struct Roll {
    listing: Listing,
    /// What is read of an entry.
    attributes: Vec<String>,
    timers: Timers,
    stage: Stage,
}

enum Stage {
    Idle,
    Listing(Running<Vec<Listed>>),
    Reading(Running<Vec<Found>>, Vec<ObjectId>),
}

/// What happened.
pub(super) enum Step {
    Due,
    Listed(Result<Vec<Listed>, LdapFailure>),
    Read(Result<Vec<Found>, LdapFailure>, Vec<ObjectId>),
}

impl Roll {
    pub(super) fn new(listing: Listing, attributes: Vec<String>, timers: &Timers) -> Self {
        Self { listing, attributes, timers: timers.clone(), stage: Stage::Idle }
    }

    /// Begins one now, if none is under way.
    pub(super) fn begin(&mut self, handle: Ldap) {
        if matches!(self.stage, Stage::Idle) {
            let listing = self.listing.clone();
            self.stage = Stage::Listing(Box::pin(async move { listing.ids(handle, None).await }));
        }
    }

    /// Waits for the next step: to be given to [`Self::take`]. Cancelling it loses nothing. The connection has to be driven meanwhile.
    pub(super) async fn next(&mut self, compared: Instant) -> Step {
        let step = match &mut self.stage {
            Stage::Idle => match self.timers.compare_every {
                Some(every) => {
                    tokio::time::sleep_until(compared + every).await;
                    return Step::Due;
                }
                None => std::future::pending().await,
            },
            Stage::Listing(running) => Step::Listed(running.await),
            Stage::Reading(running, asked) => Step::Read(running.await, std::mem::take(asked)),
        };
        self.stage = Stage::Idle;
        step
    }

    /// Does what a step asks for.
    pub(super) async fn take(&mut self, step: Step, handle: Ldap, outlet: &mut Outlet) -> Result<(), End> {
        match step {
            // What came with the state of an earlier run has no versions: there is nothing to compare with.
            Step::Due if !outlet.ledger.is_trusted() => return Err(End::Relist),
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
                let (listing, ids, names) = (self.listing.clone(), stale.clone(), self.attributes.clone());
                self.stage = Stage::Reading(Box::pin(async move { listing.entries(handle, &ids, &names).await }), stale);
            }
            Step::Read(Ok(found), asked) => {
                settle(outlet, found, &asked).await?;
                outlet.compared(None);
            }
            // The changes are told all the same; the next one may succeed.
            Step::Listed(Err(failure)) | Step::Read(Err(failure), _) => outlet.compared(Some(&failure)),
        }
        Ok(())
    }
}

/// Tells what a comparison found: `asked` were looked for, and these were found.
pub(super) async fn settle(outlet: &mut Outlet, found: Vec<Found>, asked: &[ObjectId]) -> Result<(), End> {
    let there: HashSet<ObjectId> = found.iter().map(|entry| entry.id).collect();
    // Told to be gone meanwhile: known.
    let gone: HashSet<ObjectId> = asked.iter().copied().filter(|id| !there.contains(id) && outlet.ledger.knows(*id)).collect();
    // What is held back because it vanished is looked at anew when something comes back.
    let as_list = !gone.is_empty() || (outlet.swept && !found.is_empty());
    outlet.swept = !gone.is_empty();
    if as_list {
        let known: Vec<ObjectId> = outlet.ledger.ids().filter(|id| !gone.contains(id)).collect();
        outlet.begin_again();
        for id in known {
            outlet.event(Event::InitKeep(id));
            if !outlet.make_room().await {
                return Err(End::Unheard);
            }
        }
    }
    for entry in found {
        outlet.found(entry, as_list);
        if !outlet.make_room().await {
            return Err(End::Unheard);
        }
    }
    if as_list {
        let cookie = outlet.cookie.clone();
        outlet.complete(true, cookie);
    }
    Ok(())
}
