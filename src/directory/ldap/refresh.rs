//! A refresh by ordinary searches, for servers that have nothing better: the whole content, or what differs from the ledger.

use super::failure::LdapFailure;
use super::ledger::Standing;
use super::listing::Listing;
use super::outlet::{Lost, Outlet};
use super::session::End;
use super::wire::Wire;
use crate::directory::{Event, Report};
use crate::model::ObjectId;

/// How many entries of a list go by between two reports of progress.
const PROGRESS_EVERY: u64 = 10_000;
/// So many entries are read one by one; of more, all is read.
const READ_MAX: usize = 5_000;
/// Entries that are read at a time.
const READ_BATCH: usize = 500;

/// Brings the receiver up to date. `newest` is told when each entry was last changed.
pub(super) async fn refresh(
    outlet: &mut Outlet,
    wire: &mut Wire,
    listing: &Listing,
    names: &[String],
    mut newest: impl FnMut(Option<i64>),
) -> Result<(), End> {
    if outlet.ledger.is_trusted()
        && outlet.lost != Lost::Subtrees
        && let Some(stale) = differences(outlet, wire, listing).await?
    {
        for ids in stale.chunks(READ_BATCH) {
            for found in wire.run(listing.entries(wire.handle(), ids, names)).await?? {
                newest(found.version.changed_s);
                outlet.found(found, true);
                make_room(outlet).await?;
            }
        }
        outlet.complete(true, None);
        return Ok(());
    }
    outlet.begin(true);
    let mut stream = wire.run(listing.start(wire.handle(), names.to_vec())).await??;
    let mut entries = 0;
    while let Some(found) = wire.run(listing.next(&mut stream)).await?? {
        newest(found.version.changed_s);
        outlet.found(found, true);
        make_room(outlet).await?;
        entries += 1;
        if entries % PROGRESS_EVERY == 0 {
            outlet.tell(Report::Progress { entries });
        }
    }
    if entries == 0 {
        // A base that cannot be read looks like one that is empty: it is an entry itself.
        return Err(LdapFailure::Search { base: listing.base.clone(), code: 32, answer: "not even the base was found".to_owned() }.into());
    }
    outlet.complete(true, None);
    Ok(())
}

/// Begins a refresh that keeps what is as it was told; the others' ids. Nothing when they are so many that all is to be read.
async fn differences(outlet: &mut Outlet, wire: &mut Wire, listing: &Listing) -> Result<Option<Vec<ObjectId>>, End> {
    let listed = wire.run(listing.ids(wire.handle(), None)).await??;
    outlet.begin(false);
    let mut stale = Vec::new();
    for (id, version) in listed {
        match outlet.ledger.standing(id, version) {
            Standing::Same | Standing::Unprimed => outlet.event(Event::InitKeep(id)),
            // It came back, and perhaps what hung below it: the ledger has that still, and the receiver has not.
            Standing::Stale if outlet.lost > Lost::Nothing && !outlet.ledger.knows(id) => return Ok(None),
            Standing::Stale => stale.push(id),
        }
        make_room(outlet).await?;
    }
    let few = stale.is_empty() || (stale.len() <= READ_MAX && listing.identity.attribute().is_some());
    Ok(few.then_some(stale))
}

/// In a refresh of changes alone: names every entry that is there, so that what was deleted unheard is swept. Whether some are not as
/// they were told: they are to be read when the refresh is over, since what it names is named as of its own time. `until`: those made
/// after this second are left out.
pub(super) async fn name_all(outlet: &mut Outlet, wire: &mut Wire, listing: &Listing, until: Option<String>) -> Result<bool, End> {
    let listed = wire.run(listing.ids(wire.handle(), until)).await??;
    let mut left_out = false;
    for (id, version) in listed {
        match outlet.ledger.standing(id, version) {
            Standing::Same | Standing::Unprimed => outlet.event(Event::InitKeep(id)),
            // It came back, and perhaps what hung below it: the ledger has that still, and the receiver has not.
            Standing::Stale if outlet.lost > Lost::Nothing && !outlet.ledger.knows(id) => return Err(End::Relist),
            Standing::Stale => {
                left_out = true;
                outlet.event(Event::InitKeep(id));
            }
        }
        make_room(outlet).await?;
    }
    Ok(left_out)
}

/// Sends what waits when there is no room for more.
pub(super) async fn make_room(outlet: &mut Outlet) -> Result<(), End> {
    if outlet.make_room().await { Ok(()) } else { Err(End::Unheard) }
}
