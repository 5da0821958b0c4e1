//! What changed above a count: the truth of this dialect.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::pages::Item;
use super::record::{Record, guid_filter};
use super::scope::{gone, highest};
use super::{Ad, End, LdapFailure, controls};
use crate::directory::Event;
use crate::model::{Dn, ObjectId};
use tokio::time::Instant;

/// So many changes are told as a refresh without being gathered first.
const GATHERED_MAX: usize = 1_000;

/// How many entries are asked for in one search.
const ASKED_MAX: usize = 100;

/// How often to look again when containers get other names while they are read, or there is more than one answer holds.
const ROUNDS: usize = 20;

/// Changes that were read, and not told yet.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    there: BTreeMap<ObjectId, Record>,
    gone: BTreeSet<ObjectId>,
    /// Whether they are told as they come, within a refresh.
    open: bool,
    /// Whether a list has been read before them, by the names of its time.
    listed: bool,
    /// Groups that were read: they name their members by the names of that time.
    groups: BTreeSet<ObjectId>,
}

/// What a round brought, beside the changes.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Containers that may have been renamed while this was read: what is below them may have been read by other names.
    renamed: Vec<Dn>,
    /// Entries that may have come from outside.
    entered: Vec<Dn>,
    /// Whether an entry's access rules were changed.
    access: bool,
    /// Whether any entry got another name while this was read.
    renames: bool,
    /// Whether it came in several pages.
    pub(super) pieces: bool,
}

impl Ad<'_> {
    /// Tells what changed since the count. `resumed`: as a refresh in any case.
    pub(super) async fn catch_up(&mut self, resumed: bool) -> Result<(), End> {
        let limit = self.options.timers.ping_timeout;
        if !resumed && highest(&mut self.wire, limit).await? == self.usn {
            return Ok(());
        }
        let mut gathered = Gathered::default();
        if resumed {
            self.flush(&mut gathered).await?;
        }
        if !self.settle(&mut gathered).await? {
            // The controller went back while it was connected to.
            return self.list().await;
        }
        self.tell_gathered(gathered).await
    }

    /// Tells what is gathered, in one piece.
    pub(super) async fn tell_gathered(&mut self, mut gathered: Gathered) -> Result<(), End> {
        let cookie = self.checkpoint();
        let count = gathered.there.len() + gathered.gone.len();
        if gathered.open || count > 1 {
            // Together: in any order of single steps, names can clash that are at peace in the end.
            self.flush(&mut gathered).await?;
            self.outlet.complete(false, Some(cookie));
            return Ok(());
        }
        for record in gathered.there.into_values() {
            self.outlet.faults.good(record.id);
            if let Some(entry) = record.into_entry() {
                self.tell(Event::Apply(entry)).await?;
            }
        }
        for id in gathered.gone {
            self.outlet.faults.good(id);
            self.tell(Event::Delete(id)).await?;
        }
        self.outlet.checkpoint(cookie);
        Ok(())
    }

    /// Reads all changes up to now, and what is below the containers that were renamed while it was read. `false`: the
    /// controller's count went back.
    pub(super) async fn settle(&mut self, gathered: &mut Gathered) -> Result<bool, End> {
        // A list was read since the count before; changes alone are read from now on.
        let mut listed = gathered.listed;
        for _ in 0..ROUNDS {
            let before = self.usn;
            let now = highest(&mut self.wire, self.options.timers.ping_timeout).await?;
            if now < before {
                return Ok(false);
            }
            let read_since = if std::mem::replace(&mut listed, true) { before } else { now };
            let Round { renamed, entered, access, renames, pieces } = self.round(before, read_since, gathered).await?;
            for dn in entered.iter().chain(&renamed) {
                self.look_below(dn, gathered).await?;
            }
            if renames {
                self.read_groups(gathered).await?;
            }
            self.usn = now;
            if access {
                // Others may be seen now, or no more: that is told by nobody.
                self.schedule.relist = self.schedule.relist.min(Instant::now() + self.options.timers.relist_soon());
            }
            // One answer is of one moment, names and all. Whatever was read in several is read behind by another round.
            if !pieces && !renames && renamed.is_empty() && entered.is_empty() {
                break;
            }
        }
        Ok(true)
    }

    /// Reads what changed since `before`; `read_since` was the count when the oldest of what is gathered was read.
    async fn round(&mut self, before: u64, read_since: u64, gathered: &mut Gathered) -> Result<Round, End> {
        let mut round = Round::default();
        for at in 0..self.scope.contexts.len() {
            let Some(context) = self.scope.contexts.get(at).map(|context| context.dn.clone()) else { continue };
            let trash = trash(&context);
            // The container of the tombstones is asked for too: whether this account may read it, or would miss them.
            let mut filter = format!("(distinguishedName={})", escaped(&trash.to_string()));
            if at == 0 && self.dirsync.is_some() {
                self.dirsync_round(before, read_since, &mut round, gathered).await?;
            } else {
                filter = format!("(|(uSNChanged>={}){filter})", before + 1);
            }
            let mut query = self.query("the search for changes", &context, filter);
            query.controls.push(controls::show_deleted());
            let mut pages = self.pages(query);
            let mut shows_deleted = false;
            let mut pages_read = 0;
            loop {
                let item = match pages.next(&mut self.wire).await {
                    Ok(Some(item)) => item,
                    Ok(None) => break,
                    Err(LdapFailure::Search { code: 32 | 50, answer, .. }) if self.scope.is_optional(at) => {
                        // What was never seen cannot be missed.
                        shows_deleted = !self.whole;
                        self.outlet.faults.part_hidden(&context.to_string(), &answer);
                        break;
                    }
                    Err(failure) => return Err(failure.into()),
                };
                match item {
                    Item::Reference(url) => self.reference(&url),
                    Item::Record(record) if record.dn.as_ref() == Ok(&trash) => shows_deleted = record.usn > 0,
                    Item::Record(record) => {
                        self.judge(&record, before, read_since, &mut round)?;
                        self.take(*record, gathered).await?;
                    }
                    Item::PageEnd => {
                        pages_read += 1;
                        self.notifications.drain();
                    }
                }
            }
            round.pieces |= pages_read > 1;
            if let Some(context) = self.scope.contexts.get_mut(at) {
                context.shows_deleted = shows_deleted;
            }
        }
        Ok(round)
    }

    /// What an entry's change means for others.
    pub(super) fn judge(&self, record: &Record, before: u64, read_since: u64, round: &mut Round) -> Result<(), LdapFailure> {
        let named_base = |dn: &Dn| self.scope.parts.iter().any(|part| !part.optional && part.top == *dn);
        if record.id == self.scope.base && (record.deleted || !record.dn.as_ref().is_ok_and(named_base)) {
            // What is read by this name from now on is another tree, or none. It is not gone because of that.
            let base = self.scope.parts.iter().find(|part| !part.optional).map(|part| part.top.clone()).unwrap_or_default();
            return Err(gone(&base, "it was renamed, moved or deleted"));
        }
        let Ok(dn) = &record.dn else { return Ok(()) };
        round.renames |= record.usn > read_since && record.may_have_moved_since(read_since);
        if record.deleted || !record.may_hold() {
            return Ok(());
        }
        if !self.scope.holds(dn) {
            // What is below it left too, and may have been read where it was.
            if record.usn > read_since && record.may_have_moved_since(read_since) {
                round.renamed.push(dn.clone());
            }
            return Ok(());
        }
        round.access |= record.access_changed_since(before);
        if record.usn > read_since && record.may_have_moved_since(read_since) {
            round.renamed.push(dn.clone());
        } else if self.scope.is_inside() && record.may_have_moved_since(before) {
            round.entered.push(dn.clone());
        }
        Ok(())
    }

    /// Everything below an entry, and the entry.
    pub(super) async fn look_below(&mut self, dn: &Dn, gathered: &mut Gathered) -> Result<(), End> {
        let mut pages = self.pages(self.query("the search below a moved entry", dn, "(objectClass=*)".to_owned()));
        loop {
            match pages.next(&mut self.wire).await {
                Ok(Some(Item::Record(record))) => self.take(*record, gathered).await?,
                Ok(Some(Item::Reference(url))) => self.reference(&url),
                Ok(Some(Item::PageEnd)) => {}
                // Not there: it went on meanwhile, and that is told.
                Ok(None) | Err(LdapFailure::Search { code: 32, .. }) => return Ok(()),
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// Reads the groups again: what they call their members by may have been another's name, or nobody's, in between.
    async fn read_groups(&mut self, gathered: &mut Gathered) -> Result<(), End> {
        let groups: Vec<ObjectId> = gathered.groups.iter().copied().collect();
        let Some(context) = self.scope.contexts.first().map(|context| context.dn.clone()) else { return Ok(()) };
        for some in groups.chunks(ASKED_MAX) {
            let filter: String = some.iter().map(|id| guid_filter(*id)).collect();
            let mut pages = self.pages(self.query("the search for groups", &context, format!("(|{filter})")));
            while let Some(item) = pages.next(&mut self.wire).await? {
                if let Item::Record(record) = item {
                    self.take(*record, gathered).await?;
                }
            }
        }
        Ok(())
    }

    /// Takes a change.
    pub(super) async fn take(&mut self, record: Record, gathered: &mut Gathered) -> Result<(), End> {
        let id = record.id;
        if !self.outlet.ahead.arrived(id, &record.metadata) {
            // Another controller told it newer than this.
            self.witnesses.saw(id, record.usn);
            return Ok(());
        }
        let outside = record.deleted || record.dn.as_ref().is_ok_and(|dn| !self.scope.holds(dn));
        if outside {
            self.witnesses.saw(id, record.usn);
            // What stands outside, and did not move, was never told.
            let known = match &mut self.known {
                Some(known) => known.remove(&id).is_some(),
                None => gathered.open || record.named_since(self.usn),
            };
            if known || gathered.there.contains_key(&id) {
                gathered.there.remove(&id);
                gathered.gone.insert(id);
            }
        } else {
            self.saw(&record);
            if let Err((text, why)) = &record.dn {
                // It stays as it was, or out of sight.
                self.outlet.faults.bad_name(id, text, why);
                return Ok(());
            }
            gathered.gone.remove(&id);
            if record.attributes.has_class("group") {
                gathered.groups.insert(id);
            }
            gathered.there.insert(id, record);
        }
        if gathered.there.len() + gathered.gone.len() > GATHERED_MAX {
            self.flush(gathered).await?;
        }
        Ok(())
    }

    /// Tells the changes gathered so far within a refresh, and begins it if there is none.
    pub(super) async fn flush(&mut self, gathered: &mut Gathered) -> Result<(), End> {
        if !std::mem::replace(&mut gathered.open, true) {
            self.tell(Event::Init).await?;
        }
        for record in std::mem::take(&mut gathered.there).into_values() {
            self.outlet.faults.good(record.id);
            if let Some(entry) = record.into_entry() {
                self.tell(Event::InitApply(entry)).await?;
            }
        }
        for id in std::mem::take(&mut gathered.gone) {
            self.outlet.faults.good(id);
            self.tell(Event::Delete(id)).await?;
        }
        Ok(())
    }
}

impl Gathered {
    /// An entry is gone.
    pub(super) fn gone(&mut self, id: ObjectId) {
        self.there.remove(&id);
        self.gone.insert(id);
    }

    /// An entry is there, like this.
    pub(super) fn there(&mut self, record: Record) {
        self.gone.remove(&record.id);
        self.there.insert(record.id, record);
    }

    /// Within a refresh that has begun, behind a list.
    pub(super) fn within(groups: BTreeSet<ObjectId>) -> Self {
        Self { open: true, listed: true, groups, ..Self::default() }
    }
}

/// `CN=Deleted Objects` of a naming context.
fn trash(context: &Dn) -> Dn {
    "CN=Deleted Objects".parse().map(|rdn| context.child(rdn)).unwrap_or_default()
}

/// A value within a filter (RFC 4515 §3).
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            // Writing to a string does not fail.
            '*' | '(' | ')' | '\\' | '\0' => drop(write!(out, "\\{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_escaped() {
        let dn: Dn = "OU=a\\, (b),DC=x".parse().unwrap();
        assert_eq!(escaped(&trash(&dn).to_string()), r"CN=Deleted Objects,OU=a\5c, \28b\29,DC=x");
    }
}
