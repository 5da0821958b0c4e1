//! Whole lists: at the beginning, with another controller, and on a schedule.

use std::collections::HashMap;

use super::changes::Gathered;
use super::pages::Item;
use super::record::{self, Record, guid_filter};
use super::scope::highest;
use super::{Ad, End, LdapFailure, PROGRESS_EVERY};
use crate::directory::{Event, Report};
use crate::model::{Dn, ObjectId};
use tokio::time::Instant;

/// How many entries are asked for in one search.
const ASKED_MAX: usize = 100;

impl Ad<'_> {
    /// Reads everything, and tells it as a list whose end sweeps what is gone.
    pub(super) async fn list(&mut self) -> Result<(), End> {
        self.usn = highest(&mut self.wire, self.options.timers.ping_timeout).await?;
        self.begin_dirsync().await?;
        self.witnesses.clear();
        self.groups.clear();
        self.known = Some(HashMap::new());
        self.outlet.begin(true);
        let mut entries = 0;
        let mut complete = true;
        for part in self.scope.parts.clone() {
            match self.read_part(&part.top, &mut entries).await {
                Ok(()) => {}
                Err(End::Failed(LdapFailure::Search { code: 32 | 50, answer, .. })) if part.optional => {
                    self.outlet.faults.part_hidden(&part.top.to_string(), &answer);
                    complete = false;
                }
                Err(end) => return Err(end),
            }
        }
        // What was seen of the optional parts once, and cannot be seen any more, is not gone.
        let sweep = complete || !self.whole;
        self.whole |= complete;
        self.end_of_list(sweep).await?;
        let now = Instant::now();
        self.schedule.relist = now + self.options.timers.relist_every;
        self.schedule.sweep = now + self.options.timers.sweep_every;
        Ok(())
    }

    /// What changed while the list was read, and its end.
    async fn end_of_list(&mut self, sweep: bool) -> Result<(), End> {
        // What is not here yet.
        for id in self.outlet.ahead.there() {
            self.tell(Event::InitKeep(id)).await?;
        }
        let mut gathered = Gathered::within(std::mem::take(&mut self.groups));
        if !self.settle(&mut gathered).await? {
            return Err(LdapFailure::Closed(": the domain controller went back to an older state".to_owned()).into());
        }
        self.flush(&mut gathered).await?;
        let cookie = self.checkpoint();
        self.outlet.complete(sweep, Some(cookie));
        Ok(())
    }

    async fn read_part(&mut self, top: &Dn, entries: &mut u64) -> Result<(), End> {
        let mut query = self.query("the list", top, "(objectClass=*)".to_owned());
        // What only changes are judged by.
        query.attributes.retain(|name| name != "replPropertyMetaData");
        let mut pages = self.pages(query);
        let before = *entries;
        while let Some(item) = pages.next(&mut self.wire).await? {
            match item {
                Item::Record(record) => {
                    *entries += 1;
                    if entries.is_multiple_of(PROGRESS_EVERY) {
                        self.outlet.tell(Report::Progress { entries: *entries });
                    }
                    self.list_one(*record).await?;
                }
                Item::Reference(url) => self.reference(&url),
                Item::PageEnd => self.notifications.drain(),
            }
        }
        if *entries == before {
            // Domain controllers answer success where nothing may be seen.
            let answer = "nothing of it may be read".to_owned();
            return Err(LdapFailure::Search { base: top.to_string(), code: 50, answer }.into());
        }
        Ok(())
    }

    async fn list_one(&mut self, record: Record) -> Result<(), End> {
        let id = record.id;
        self.saw(&record);
        match self.outlet.ahead.is_deleted(id) {
            None => {}
            // Another controller told it newer.
            Some(false) => return self.tell(Event::InitKeep(id)).await,
            Some(true) => return Ok(()),
        }
        if let Err((text, why)) = &record.dn {
            self.outlet.faults.bad_name(id, text, why);
            // It is there: it must not be swept.
            return self.tell(Event::InitKeep(id)).await;
        }
        if record.attributes.has_class("group") {
            self.groups.insert(id);
        }
        match record.into_entry() {
            Some(entry) => self.tell(Event::InitApply(entry)).await,
            None => Ok(()),
        }
    }

    /// Reads the ids of everything, so that what was deleted unseen is swept, and what came into sight is read.
    pub(super) async fn sweep(&mut self) -> Result<(), End> {
        let Some(known) = self.known.take() else { return self.list().await };
        self.known = Some(known);
        self.catch_up(false).await?;
        self.tell(Event::Init).await?;
        let mut seen = HashMap::new();
        let mut complete = true;
        for part in self.scope.parts.clone() {
            match self.roll(&part.top, &mut seen).await {
                Ok(()) => {}
                Err(End::Failed(LdapFailure::Search { code: 32 | 50, .. })) if part.optional => complete = false,
                Err(end) => return Err(end),
            }
        }
        let sweep = complete || !self.whole;
        if sweep {
            self.known = Some(seen);
        }
        self.end_of_list(sweep).await
    }

    async fn roll(&mut self, top: &Dn, seen: &mut HashMap<ObjectId, u64>) -> Result<(), End> {
        let mut query = self.query("the list of ids", top, "(objectClass=*)".to_owned());
        query.attributes = record::ROLL.map(str::to_owned).to_vec();
        let mut pages = self.pages(query);
        let mut unknown = Vec::new();
        let mut any = false;
        while let Some(item) = pages.next(&mut self.wire).await? {
            match item {
                Item::Record(record) => {
                    any = true;
                    seen.insert(record.id, record.usn);
                    if self.known.as_ref().and_then(|known| known.get(&record.id)) == Some(&record.usn) {
                        self.tell(Event::InitKeep(record.id)).await?;
                    } else {
                        unknown.push(record.id);
                    }
                }
                Item::Reference(_) => {}
                Item::PageEnd => {
                    for ids in unknown.chunks(ASKED_MAX) {
                        self.ask_for(top, ids).await?;
                    }
                    unknown.clear();
                    self.notifications.drain();
                }
            }
        }
        if any { Ok(()) } else { Err(LdapFailure::Search { base: top.to_string(), code: 50, answer: String::new() }.into()) }
    }

    async fn ask_for(&mut self, top: &Dn, ids: &[ObjectId]) -> Result<(), End> {
        let filter: String = ids.iter().map(|id| guid_filter(*id)).collect();
        let mut pages = self.pages(self.query("the search for what came into sight", top, format!("(|{filter})")));
        while let Some(item) = pages.next(&mut self.wire).await? {
            if let Item::Record(record) = item {
                self.list_one(*record).await?;
            }
        }
        Ok(())
    }
}
