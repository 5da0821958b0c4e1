//! From records to what became of their entries.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::log::{Log, Point, WINDOW};
use super::record::{Change, Due, Outcome, Place, due, in_order};
use crate::directory::ldap::decode::Found;
use crate::directory::ldap::failure::LdapFailure;
use crate::directory::ldap::listing::Listing;
use crate::directory::ldap::outlet::Outlet;
use crate::directory::ldap::refresh::make_room;
use crate::directory::ldap::session::End;
use crate::directory::ldap::syncrepl::changelog::Span;
use crate::directory::ldap::syncrepl::envelope::Envelope;
use crate::directory::ldap::wire::Wire;
use crate::directory::{Cookie, Event};
use crate::model::{Dn, ObjectId};

/// How often an entry is read again that does not look as its record says.
const READ_AGAIN: u32 = 4;
/// The pause before the first time; it doubles.
const PAUSE: Duration = Duration::from_millis(5);

/// How many looks at the changelog's numbers, one after another, may show a record that cannot be read: one is just being written.
const UNSEEN_MAX: u32 = 3;

/// So many records are gone through; of more, all is read again, which is quicker.
const CHANGES_MAX: usize = 20_000;
/// How often the entries are read anew because others were renamed meanwhile.
const ROUNDS_MAX: u32 = 20;

/// The last of some records.
fn newest(changes: &[Change]) -> Option<Point> {
    changes.last().map(|change| Point { number: change.number, mark: Some(change.mark.clone()) })
}

/// Reads the changelog onwards.
pub(super) struct Reader {
    pub(super) wire: Wire,
    pub(super) log: Log,
    pub(super) listing: Listing,
    pub(super) names: Vec<String>,
    pub(super) base: Dn,
    /// Whether entries can be moved into the base from outside.
    pub(super) inside: bool,
    pub(super) envelope: Envelope,
    /// The newest record that was told.
    pub(super) at: Point,
    /// What cannot be said from the records alone.
    pub(super) seen: Seen,
}

/// What was seen so far.
#[derive(Default)]
pub(super) struct Seen {
    /// The newest number when everything was last read: an entry may look as it did then, up to its record of that number.
    floor: u64,
    /// The same of single entries that were read since.
    read: HashMap<ObjectId, u64>,
    /// How often there was a number without a record to be seen.
    unseen: u32,
    /// Whether an entry does not look as its record says.
    pub(super) doubt: bool,
}

impl Reader {
    /// Where to go on from.
    pub(super) fn cookie(&self) -> Option<Cookie> {
        self.at.mark.as_ref().map(|mark| self.envelope.wrap_changelog(self.at.number, mark))
    }

    /// Everything was just read.
    pub(super) async fn covers_all(&mut self) -> Result<(), LdapFailure> {
        self.seen.floor = self.log.span(&mut self.wire).await?.last;
        Ok(())
    }

    /// Reads some records, and tells what became of their entries. Whether there may be more.
    pub(super) async fn round(&mut self, outlet: &mut Outlet, refreshing: bool) -> Result<bool, End> {
        let mut changes = self.gather(self.at.number).await?;
        let Some(mut point) = newest(&changes) else {
            let span = self.log.span(&mut self.wire).await?;
            return self.nothing_came(&span).await;
        };
        self.seen.unseen = 0;
        let mut rounds = 0;
        let (outcomes, span) = loop {
            rounds += 1;
            if changes.len() > CHANGES_MAX || rounds > ROUNDS_MAX || changes.iter().any(|change| change.renames(&self.base)) {
                // All is read quicker. Or there may be nothing where we read: to connect anew says so.
                return Err(End::Relist);
            }
            let mut due = due(&changes, &self.base);
            due.retain(|due| due.after != Place::Outside || outlet.ledger.knows(due.id));
            let outcomes = self.look(outlet, due).await?;
            let span = self.log.span(&mut self.wire).await?;
            if !span.reaches(self.at.number) {
                // Trimmed while we read it: some records may be missing.
                return Err(End::Relist);
            }
            // What was renamed or moved while we read is above what we read, perhaps: that has its new name already.
            let more = self.gather(point.number).await?;
            let read: HashSet<ObjectId> = changes.iter().map(|change| change.id).collect();
            if !more.iter().any(|change| change.is_rename() && (read.contains(&change.id) || !outlet.ledger.is_leaf(change.id))) {
                break (outcomes, span);
            }
            point = newest(&more).unwrap_or(point);
            changes.extend(more);
        };
        self.seen.read.retain(|_, covered| *covered > point.number);
        for outcome in in_order(outcomes) {
            match outcome {
                Outcome::There(found) => {
                    self.seen.read.insert(found.id, span.last);
                    self.put(outlet, found, refreshing).await?;
                }
                Outcome::Gone(id) => outlet.event(Event::Delete(id)),
            }
            make_room(outlet).await?;
        }
        self.at = point;
        if !refreshing && let Some(cookie) = self.cookie() {
            outlet.checkpoint(cookie);
        }
        Ok(self.at.number < span.last)
    }

    /// The records after a number, as far as there are not too many.
    async fn gather(&mut self, after: u64) -> Result<Vec<Change>, LdapFailure> {
        let mut changes: Vec<Change> = Vec::new();
        while changes.len() <= CHANGES_MAX {
            let after = changes.last().map_or(after, |change| change.number);
            let some = self.log.read(&mut self.wire, after.saturating_add(1), after.saturating_add(WINDOW)).await?;
            if some.is_empty() {
                break;
            }
            changes.extend(some);
        }
        Ok(changes)
    }

    /// There is no record after ours. A number without a record is one that was taken back; or the right to read them is gone.
    async fn nothing_came(&mut self, span: &Span) -> Result<bool, End> {
        if !span.reaches(self.at.number) {
            // A backup came back, or ours was trimmed.
            return Err(End::Relist);
        }
        if span.last <= self.at.number {
            self.seen.unseen = 0;
            return Ok(false);
        }
        self.seen.unseen += 1;
        let some = self.at.number.max(span.first);
        if self.seen.unseen >= UNSEEN_MAX && self.log.read(&mut self.wire, some, some.saturating_add(WINDOW)).await?.is_empty() {
            return Err(self.log.unreadable().into());
        }
        Ok(false)
    }

    /// Reads the entries. The records are of changes that are kept, so that they should look so: where one does not, it is read
    /// again, and in the end everything is compared.
    async fn look(&mut self, outlet: &Outlet, mut due: Vec<Due>) -> Result<Vec<(Due, Outcome)>, End> {
        let mut outcomes = Vec::new();
        let mut pause = PAUSE;
        for round in 0..=READ_AGAIN {
            if due.is_empty() {
                break;
            }
            if round > 0 {
                self.wire.run(tokio::time::sleep(pause)).await?;
                pause *= 2;
            }
            let ids: Vec<ObjectId> = due.iter().map(|due| due.id).collect();
            let reading = self.listing.entries(self.wire.handle(), &ids, &self.names);
            let found = self.wire.run(reading).await??;
            let mut found: HashMap<ObjectId, Found> = found.into_iter().map(|found| (found.id, found)).collect();
            let is_last = round == READ_AGAIN;
            for one in std::mem::take(&mut due) {
                let there = found.remove(&one.id);
                let is_stale = self.is_stale(outlet, &one, there.as_ref());
                self.seen.doubt |= is_stale && is_last;
                match there {
                    _ if is_stale && !is_last => due.push(one),
                    Some(found) => outcomes.push((one, Outcome::There(found))),
                    // What should be there is not told to be gone: it may be out of sight, and others with it.
                    None if !is_stale && outlet.ledger.knows(one.id) => outcomes.push((one.clone(), Outcome::Gone(one.id))),
                    None => {}
                }
            }
        }
        Ok(outcomes)
    }

    /// Whether an entry looks as it did before its record's change.
    fn is_stale(&self, outlet: &Outlet, due: &Due, there: Option<&Found>) -> bool {
        let covered = self.seen.read.get(&due.id).copied().unwrap_or_default().max(self.seen.floor);
        match (due.after, there) {
            (Place::Inside, None) | (Place::Outside, Some(_)) => true,
            // entryUSN grows with each change: the same is from before, unless it was read after the change already.
            (_, Some(found)) => found.version.is_fine && due.last > covered && outlet.ledger.is_told(found.id, found.version.number),
            (_, None) => false,
        }
    }

    /// Tells an entry; of one that came from outside, with what is below it: the changelog tells of the entry alone.
    async fn put(&mut self, outlet: &mut Outlet, found: Found, refreshing: bool) -> Result<(), End> {
        let below = outlet.brings_others(&found, self.inside);
        outlet.found(found, refreshing);
        let Some(dn) = below else { return Ok(()) };
        let below = Listing { base: dn.to_string(), ..self.listing.clone() };
        let mut stream = self.wire.run(below.start(self.wire.handle(), self.names.clone())).await??;
        let mut told = HashSet::new();
        while let Some(found) = self.wire.run(below.next(&mut stream)).await?? {
            if found.dn.as_ref() != Ok(&dn) {
                told.insert(found.id);
                outlet.found(found, refreshing);
                make_room(outlet).await?;
            }
        }
        let last = self.log.span(&mut self.wire).await?.last;
        self.seen.read.extend(told.into_iter().map(|id| (id, last)));
        Ok(())
    }
}
