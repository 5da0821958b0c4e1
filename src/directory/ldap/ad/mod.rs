//! Active Directory's dialect, and Samba's: change notification as the wake-up, `uSNChanged` as the truth.
//!
//! ```text
//!  open ──► resume? ──no──► List (everything, then what changed meanwhile) ──► Live
//!              └────yes───► Changes (above the checkpoint's count) ──────────► Live
//!  Live: woken, or every second: H = highestCommittedUSN; H > U: all above U, tombstones too, then U = H
//! ```
//!
//! A notification says that something changed, and is believed no further than that: what changed is asked for by the count. The
//! count means something to one controller only, in one of its lives (`invocationId`); with another, everything is read again.

mod ahead;
mod also;
mod changes;
mod checkpoint;
mod controls;
mod dirsync;
mod listing;
mod metadata;
mod pages;
mod ranges;
mod record;
mod scope;
mod wake;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use ldap3::Scope as Depth;
use tokio::time::{Instant, sleep_until};

pub(super) use self::ahead::Ahead;
use self::also::Also;
use self::checkpoint::{Belongs, Checkpoint, Witnesses};
use self::pages::{Item, Pages, Query};
use self::record::Record;
use self::scope::{Replica, Scope, highest};
use self::wake::Notifications;
use super::failure::LdapFailure;
use super::outlet::Outlet;
use super::session::{End, Opened, attributes};
use super::wire::Wire;
use crate::directory::{Dialect, Event, LdapOptions, Report};
use crate::model::{Dn, ObjectId};

/// How many entries of a list go by between two reports of progress.
const PROGRESS_EVERY: u64 = 10_000;

/// The least time between two searches for changes: an import of thousands of users is read in strides.
const STRIDE: Duration = Duration::from_millis(20);

/// Reports by way of a connection until it ends. `what` says to what and how, for people.
pub(super) async fn run(options: &LdapOptions, outlet: &mut Outlet, opened: Opened, dialect: Dialect, what: String) -> Result<End, End> {
    let mut ad = Ad::open(options, outlet, opened, dialect).await?;
    let start = ad.start().await?;
    let replica = &ad.replica;
    let what = match &start {
        Start::Resume(_) => format!("{what}; {replica}, changes only"),
        Start::List(why) => format!("{what}; {replica}, everything: {why}"),
    };
    ad.outlet.tell(Report::Up { what });
    ad.begin(start).await?;
    if ad.outlet.list_only {
        return Ok(if ad.outlet.drain().await { End::Listed } else { End::Unheard });
    }
    ad.live().await
}

/// A session of this dialect.
struct Ad<'s> {
    options: &'s LdapOptions,
    outlet: &'s mut Outlet,
    wire: Wire,
    scope: Scope,
    replica: Replica,
    belongs: Belongs,
    attributes: Vec<String>,
    /// Whether the server knows pages.
    paged: bool,
    notifications: Notifications,
    /// Where DirSync goes on, by that dialect.
    dirsync: Option<Vec<u8>>,
    /// Everything up to this count was told.
    usn: u64,
    witnesses: Witnesses,
    /// Whether the optional parts could be read, at any time.
    whole: bool,
    /// What is there, each with its count when it was told; nothing until a whole list was read by this connection.
    known: Option<HashMap<ObjectId, u64>>,
    /// Groups of the list that is being read.
    groups: BTreeSet<ObjectId>,
    schedule: Schedule,
}

/// How a session begins.
enum Start {
    Resume(Checkpoint),
    /// With the reason, for people.
    List(&'static str),
}

/// When to look without having been told.
struct Schedule {
    /// For changes.
    poll: Instant,
    /// For what is gone.
    sweep: Instant,
    /// For everything.
    relist: Instant,
}

impl<'s> Ad<'s> {
    async fn open(options: &'s LdapOptions, outlet: &'s mut Outlet, opened: Opened, dialect: Dialect) -> Result<Self, LdapFailure> {
        let Opened { mut wire, dse, base, context, .. } = opened;
        let replica = Replica::find(&mut wire, options, &dse).await?;
        let scope = Scope::find(&mut wire, options, &dse, &base, context.as_ref()).await?;
        let attributes = attributes(options, &record::NEEDS);
        let belongs = Belongs::of(options, dialect, &scope, &attributes);
        let now = Instant::now();
        let timers = &options.timers;
        let schedule = Schedule { poll: now, sweep: now + timers.sweep_every, relist: now + timers.relist_every };
        Ok(Self {
            options,
            outlet,
            wire,
            scope,
            replica,
            belongs,
            attributes,
            paged: dse.has_control(controls::PAGED),
            notifications: Notifications::new(dse.has_control(controls::NOTIFICATION)),
            dirsync: (dialect == Dialect::DirSync).then(Vec::new),
            usn: 0,
            witnesses: Witnesses::default(),
            whole: false,
            known: None,
            groups: BTreeSet::new(),
            schedule,
        })
    }

    /// Whether the cookie is of use.
    async fn start(&mut self) -> Result<Start, LdapFailure> {
        let Some(cookie) = &self.outlet.cookie else { return Ok(Start::List("there is no state yet")) };
        let Some(checkpoint) = self.belongs.open(cookie) else { return Ok(Start::List("the kept state is of another kind")) };
        self.whole = checkpoint.whole;
        if self.outlet.list_only {
            return Ok(Start::List("a list is wanted"));
        }
        if checkpoint.replica.service != self.replica.service {
            return Ok(Start::List("another domain controller than before"));
        }
        if checkpoint.replica.invocation != self.replica.invocation {
            return Ok(Start::List("the domain controller was restored (another invocationId)"));
        }
        if highest(&mut self.wire, self.options.timers.connect).await? < checkpoint.usn {
            return Ok(Start::List("the domain controller's count went back"));
        }
        if !self.confirm(&checkpoint).await? {
            return Ok(Start::List("the domain controller went back and on another way"));
        }
        Ok(Start::Resume(checkpoint))
    }

    /// Whether the entries changed last are what followed from what they were.
    async fn confirm(&mut self, checkpoint: &Checkpoint) -> Result<bool, LdapFailure> {
        let ids: String = checkpoint.witnesses.ids().map(record::guid_filter).collect();
        if ids.is_empty() {
            return Ok(true);
        }
        for (at, context) in self.scope.contexts.clone().into_iter().enumerate() {
            let query = Query {
                step: "the check of the checkpoint",
                base: context.dn.to_string(),
                scope: Depth::Subtree,
                filter: format!("(|{ids})"),
                attributes: record::ROLL.map(str::to_owned).to_vec(),
                controls: vec![controls::show_deleted()],
            };
            let mut pages = Pages::of(query, self.paged, self.options.timers.refresh_stall);
            loop {
                match pages.next(&mut self.wire).await {
                    Ok(Some(Item::Record(record))) if !checkpoint.witnesses.agrees(record.id, record.usn, checkpoint.usn) => {
                        return Ok(false);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(LdapFailure::Search { code: 32 | 50, .. }) if self.scope.is_optional(at) => break,
                    Err(failure) => return Err(failure),
                }
            }
        }
        Ok(true)
    }

    async fn begin(&mut self, start: Start) -> Result<(), End> {
        if !self.outlet.list_only {
            let contexts: Vec<Dn> = self.scope.contexts.iter().map(|context| context.dn.clone()).collect();
            self.notifications.register(&mut self.wire, &contexts, self.options).await?;
        }
        match start {
            Start::Resume(Checkpoint { usn, witnesses, dirsync, ahead, .. }) => {
                (self.usn, self.witnesses, self.dirsync) = (usn, witnesses, dirsync);
                self.catch_up(true).await?;
                // Told from elsewhere before a restart, and perhaps never come here since.
                let held = self.outlet.ahead.ids();
                let lost: Vec<ObjectId> = ahead.into_iter().filter(|id| !held.contains(id)).collect();
                if lost.is_empty() { Ok(()) } else { self.settle_ahead(&lost).await }
            }
            Start::List(_) => self.list().await,
        }
    }

    /// Tells changes as they happen.
    async fn live(&mut self) -> Result<End, End> {
        let out = self.outlet.out.clone();
        let domain = self.scope.contexts.first().map(|context| context.dn.clone()).unwrap_or_default();
        let mut also = Also::start(self.options, &domain, &self.attributes);
        loop {
            self.state_faults();
            let room = self.outlet.has_room();
            let due = self.due();
            let Self { wire, notifications, outlet, .. } = &mut *self;
            tokio::select! {
                biased;
                permit = out.reserve(), if !outlet.is_empty() => {
                    let permit = permit.map_err(|_| End::Unheard)?;
                    if let Some(report) = outlet.pop() {
                        permit.send(report);
                    }
                }
                // While the queue is full nothing is read: the server waits.
                woken = wire.run(notifications.next()), if room => {
                    woken?.map_err(|error| wire.explain(error))?;
                    self.schedule.poll = self.schedule.poll.min(Instant::now());
                }
                told = also.next(), if room => self.hear(told).await?,
                () = sleep_until(due), if room => self.look().await?,
                () = out.closed(), if outlet.is_empty() => return Err(End::Unheard),
            }
        }
    }

    fn due(&self) -> Instant {
        let Schedule { poll, sweep, relist } = self.schedule;
        // Where deletions are told, there is nothing to sweep.
        let sweep = if self.scope.shows_deleted() { relist } else { sweep };
        let due = poll.min(sweep).min(relist);
        self.outlet.ahead.due().map_or(due, |ahead| due.min(ahead))
    }

    /// What the schedule says.
    async fn look(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let timers = &self.options.timers;
        let late = self.outlet.ahead.expire(now);
        if !late.is_empty() {
            self.settle_ahead(&late).await?;
        }
        if self.schedule.relist <= now {
            self.list().await?;
        } else if self.schedule.sweep <= now && !self.scope.shows_deleted() {
            self.sweep().await?;
            self.schedule.sweep = Instant::now() + timers.sweep_every;
        } else {
            self.notifications.take_woken();
            self.catch_up(false).await?;
        }
        // A notification that came meanwhile brings this forward, to the end of a stride.
        let now = Instant::now();
        self.schedule.poll = now + if self.notifications.take_woken() { STRIDE } else { timers.look_every };
        Ok(())
    }

    /// Says what of the directory this account cannot see.
    fn state_faults(&mut self) {
        let lacks: Vec<String> = self.scope.contexts.iter().filter(|context| !context.shows_deleted).map(|c| c.dn.to_string()).collect();
        let sweep_s = self.options.timers.sweep_every.as_secs();
        self.outlet.faults.deletions_hidden((!lacks.is_empty()).then(|| (lacks.join(" and "), sweep_s)));
        let poll_ms = self.options.timers.look_every.as_millis();
        self.outlet.faults.not_told((!self.notifications.are_in_force()).then_some(poll_ms));
        self.outlet.report_faults();
    }

    fn checkpoint(&self) -> crate::directory::Cookie {
        let Self { replica, usn, whole, dirsync, witnesses, .. } = self;
        let (replica, dirsync, witnesses) = (replica.clone(), dirsync.clone(), witnesses.clone());
        let ahead = self.outlet.ahead.ids();
        self.belongs.wrap(&Checkpoint { replica, usn: *usn, whole: *whole, dirsync, ahead, witnesses })
    }

    /// A search of this account's.
    fn query(&self, step: &'static str, base: &Dn, filter: String) -> Query {
        let attributes = self.attributes.clone();
        Query { step, base: base.to_string(), scope: Depth::Subtree, filter, attributes, controls: Vec::new() }
    }

    fn pages(&self, query: Query) -> Pages {
        Pages::of(query, self.paged, self.options.timers.refresh_stall)
    }

    /// Puts an event into the queue, and waits where that is full.
    async fn tell(&mut self, event: Event) -> Result<(), End> {
        self.outlet.tell(Report::Event(event));
        if self.outlet.make_room().await { Ok(()) } else { Err(End::Unheard) }
    }

    /// Remembers that an entry was told.
    fn saw(&mut self, record: &Record) {
        self.witnesses.saw(record.id, record.usn);
        if let Some(known) = &mut self.known {
            known.insert(record.id, record.usn);
        }
    }

    /// Says that a part of the tree is elsewhere, unless everybody knows.
    fn reference(&mut self, url: &str) {
        if !self.scope.is_own(url) {
            self.outlet.faults.reference(url);
        }
    }
}
