//! Other controllers of the same domain, listened to because replication takes up to 15 seconds.
//!
//! The controller that is read is the truth, and keeps the checkpoint. Another one is asked for what changes there from now on; nothing
//! is lost when it is away, because all of it comes by replication too. A change from there is told when the entry is newer there in
//! every attribute (`replPropertyMetaData`) than where it is read; until that has caught up, it is not heard about the entry
//! ([`Ahead`]). What is newer in one attribute here and in another there waits for replication, as do the members of groups: values of
//! links have no place in that attribute, so that nothing says which of two lists is the newer one.

use ldap3::Scope as Depth;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::super::connect::{RootDse, connect_to};
use super::super::failure::LdapFailure;
use super::ahead::{covers, same_name};
use super::changes::Gathered;
use super::pages::{Item, Pages, Query};
use super::record::{Record, guid_filter};
use super::scope::highest;
use super::wake::Notifications;
use super::{Ad, End, STRIDE, controls};
use crate::directory::{LdapOptions, ServerUrl};
use crate::model::{Dn, ObjectId};

/// Entries told at once.
const TOLD_MAX: usize = 100;

/// What is on the way from all of them: each waits for what it told to be worked on.
const WAITING_MAX: usize = 8;

/// What another controller tells.
pub(super) enum Told {
    Changed(Vec<Record>),
    /// With the reason; none when it is there again.
    Down(ServerUrl, Option<String>),
}

/// All of them.
pub(super) struct Also {
    told: mpsc::Receiver<Told>,
    /// Ends them with the session.
    _tasks: JoinSet<()>,
}

impl Also {
    pub(super) fn start(options: &LdapOptions, context: &Dn, attributes: &[String]) -> Self {
        let (out, told) = mpsc::channel(WAITING_MAX);
        let mut tasks = JoinSet::new();
        for url in &options.also {
            let other = Other { options: options.clone(), url: url.clone(), context: context.clone(), attributes: attributes.to_vec() };
            tasks.spawn(other.run(out.clone()));
        }
        Self { told, _tasks: tasks }
    }

    /// What the next one tells. Never, when there are none.
    pub(super) async fn next(&mut self) -> Told {
        match self.told.recv().await {
            Some(told) => told,
            None => std::future::pending().await,
        }
    }
}

/// One of them.
struct Other {
    options: LdapOptions,
    url: ServerUrl,
    context: Dn,
    attributes: Vec<String>,
}

impl Other {
    async fn run(self, out: mpsc::Sender<Told>) {
        let mut pause = self.options.timers.backoff_min;
        loop {
            let begun = Instant::now();
            let Err(failure) = self.listen(&out).await else { return };
            if out.send(Told::Down(self.url.clone(), Some(failure.explain()))).await.is_err() {
                return;
            }
            // It was there for a while: at once again.
            pause = if begun.elapsed() > self.options.timers.backoff_max { self.options.timers.backoff_min } else { pause };
            sleep(pause).await;
            pause = (pause * 2).min(self.options.timers.backoff_max);
        }
    }

    /// Tells what changes, until it fails or nobody listens.
    async fn listen(&self, out: &mpsc::Sender<Told>) -> Result<(), LdapFailure> {
        let timers = &self.options.timers;
        let mut wire = connect_to(&self.options, &self.url).await?;
        let dse = RootDse::read(&mut wire, timers.connect).await?;
        if !dse.contexts().contains(&self.context) {
            return Err(LdapFailure::Base { contexts: dse.contexts().iter().map(ToString::to_string).collect() });
        }
        let mut notifications = Notifications::new(dse.has_control(controls::NOTIFICATION));
        notifications.register(&mut wire, std::slice::from_ref(&self.context), &self.options).await?;
        let mut usn = highest(&mut wire, timers.ping_timeout).await?;
        if out.send(Told::Down(self.url.clone(), None)).await.is_err() {
            return Ok(());
        }
        loop {
            tokio::select! {
                woken = wire.run(notifications.next()) => woken?.map_err(|error| wire.explain(error))?,
                () = sleep(timers.look_every) => {}
                () = out.closed() => return Ok(()),
            }
            notifications.take_woken();
            let now = highest(&mut wire, timers.ping_timeout).await?;
            if now < usn {
                return Err(LdapFailure::Closed(": the domain controller went back to an older state".to_owned()));
            }
            if now == usn {
                continue;
            }
            let query = Query {
                step: "the search for changes",
                base: self.context.to_string(),
                scope: Depth::Subtree,
                filter: format!("(uSNChanged>={})", usn + 1),
                attributes: self.attributes.iter().cloned().chain(["parentGUID".to_owned()]).collect(),
                controls: vec![controls::show_deleted()],
            };
            let mut pages = Pages::of(query, dse.has_control(controls::PAGED), timers.refresh_stall);
            let mut records = Vec::new();
            while let Some(item) = pages.next(&mut wire).await? {
                if let Item::Record(record) = item {
                    records.push(*record);
                    if records.len() == TOLD_MAX && out.send(Told::Changed(std::mem::take(&mut records))).await.is_err() {
                        return Ok(());
                    }
                }
            }
            if !records.is_empty() && out.send(Told::Changed(records)).await.is_err() {
                return Ok(());
            }
            usn = now;
            sleep(STRIDE).await;
        }
    }
}

impl Ad<'_> {
    /// What another controller told.
    pub(super) async fn hear(&mut self, told: Told) -> Result<(), End> {
        match told {
            Told::Down(url, why) => {
                self.outlet.faults.also_down(&url.to_string(), why.as_deref());
                self.outlet.report_faults();
                Ok(())
            }
            Told::Changed(records) => self.compare(records).await,
        }
    }

    /// Tells those entries that are newer there than here.
    async fn compare(&mut self, records: Vec<Record>) -> Result<(), End> {
        let records: Vec<Record> = records.into_iter().filter(|record| !self.outlet.ahead.covers(record.id, &record.metadata)).collect();
        let here = self.read_here(&records.iter().map(|record| record.id).collect::<Vec<_>>()).await?;
        let mut gathered = Gathered::default();
        let until = Instant::now() + self.options.timers.refresh_stall;
        for mut theirs in records {
            let ours = here.iter().find(|ours| ours.id == theirs.id);
            let newer = ours.is_none_or(|ours| !covers(&ours.metadata, &theirs.metadata) && covers(&theirs.metadata, &ours.metadata));
            let told_inside = ours.is_none_or(|ours| ours.deleted || ours.dn.as_ref().is_ok_and(|dn| self.scope.holds(dn)));
            if theirs.metadata.is_empty() || !newer || !told_inside || theirs.id == self.scope.base || !self.outlet.ahead.has_room() {
                continue;
            }
            let (id, stamps) = (theirs.id, theirs.metadata.clone());
            if theirs.deleted {
                if ours.is_some_and(|ours| !ours.deleted) || self.outlet.ahead.is_deleted(id) == Some(false) {
                    gathered.gone(id);
                    self.outlet.ahead.told(id, &stamps, true, until);
                }
                continue;
            }
            let Some(dn) = self.name_here(&theirs, ours).await? else { continue };
            if !self.scope.holds(&dn) {
                continue;
            }
            theirs.dn = Ok(dn);
            if let Some(ours) = ours {
                theirs.attributes.remove("member");
                let members: Vec<Vec<u8>> = ours.attributes.values("member").iter().map(<[u8]>::to_vec).collect();
                if !members.is_empty() {
                    theirs.attributes.add("member", members);
                }
            }
            gathered.there(theirs);
            self.outlet.ahead.told(id, &stamps, false, until);
        }
        self.tell_gathered(gathered).await
    }

    /// An entry's name, where those above it may have got other names here.
    async fn name_here(&mut self, theirs: &Record, ours: Option<&Record>) -> Result<Option<Dn>, End> {
        let Ok(dn) = &theirs.dn else { return Ok(None) };
        if let Some(ours) = ours
            && same_name(&ours.metadata, &theirs.metadata)
        {
            return Ok(ours.dn.clone().ok());
        }
        let (Some(parent), Some(rdn)) = (theirs.parent, dn.rdn()) else { return Ok(None) };
        let found = self.read_here(&[parent]).await?;
        Ok(match found.first() {
            Some(above) if !above.deleted => above.dn.clone().ok().map(|above| above.child(rdn.clone())),
            // Deleted here, and not yet there.
            Some(_) => None,
            None => Some(dn.clone()),
        })
    }

    /// Entries as they are at the controller that is read.
    async fn read_here(&mut self, ids: &[ObjectId]) -> Result<Vec<Record>, End> {
        let Some(context) = self.scope.contexts.first().map(|context| context.dn.clone()) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for some in ids.chunks(TOLD_MAX) {
            let filter: String = some.iter().map(|id| guid_filter(*id)).collect();
            let mut query = self.query("the search for what another controller told", &context, format!("(|{filter})"));
            query.controls.push(controls::show_deleted());
            let mut pages = self.pages(query);
            while let Some(item) = pages.next(&mut self.wire).await? {
                if let Item::Record(record) = item {
                    found.push(*record);
                }
            }
        }
        Ok(found)
    }

    /// What was told from elsewhere and has not come here for so long: it is told as it is here.
    pub(super) async fn settle_ahead(&mut self, ids: &[ObjectId]) -> Result<(), End> {
        let here = self.read_here(ids).await?;
        let mut gathered = Gathered::default();
        for id in ids.iter().filter(|id| !here.iter().any(|record| record.id == **id)) {
            gathered.gone(*id);
        }
        for record in here {
            let below = record.dn.clone().ok().filter(|dn| record.may_hold() && !record.deleted && self.scope.holds(dn));
            self.take(record, &mut gathered).await?;
            if let Some(dn) = below {
                self.look_below(&dn, &mut gathered).await?;
            }
        }
        self.tell_gathered(gathered).await
    }
}
