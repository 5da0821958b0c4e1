//! RFC 4533 refreshAndPersist, as OpenLDAP and as 389 Directory Server do it.

pub(super) mod changelog;
pub(super) mod complete;
pub(super) mod envelope;
mod fill;
mod link;
mod sync;

use self::link::Link;
use self::sync::{Effect, Sync};
use super::decode;
use super::failure::{LdapFailure, SYNC_REFRESH_REQUIRED, UNWILLING_TO_PERFORM, answer};
use super::identity::Identity;
use super::outlet::Outlet;
use super::session::{End, Opened};
use super::vitals::{Heard, Vitals};
use crate::directory::{Event, LdapOptions, Report};

/// How many entries of a refresh go by between two reports of progress.
const PROGRESS_EVERY: u64 = 10_000;

/// Whose ways to reckon with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    /// slapd with the overlay syncprov.
    OpenLdap,
    /// 389 Directory Server with its plugins Content Synchronization and Retro Changelog.
    Ds389,
}

impl Flavour {
    /// What RFC 4533 calls the entry's UUID.
    const fn identity(self) -> Identity {
        match self {
            Self::OpenLdap => Identity::EntryUuid,
            Self::Ds389 => Identity::NsUniqueId,
        }
    }
}

/// Reports by way of a connection until it ends. `what` says to what and how, for people.
pub(super) async fn run(options: &LdapOptions, outlet: &mut Outlet, opened: Opened, what: String, flavour: Flavour) -> Result<End, End> {
    let mut link = Link::open(options, outlet, opened, flavour).await?;
    outlet.tell(Report::Up { what });
    Syncrepl { options, outlet }.listen(&mut link).await
}

/// A session of this dialect.
struct Syncrepl<'s> {
    options: &'s LdapOptions,
    outlet: &'s mut Outlet,
}

impl Syncrepl<'_> {
    async fn listen(&mut self, link: &mut Link) -> Result<End, End> {
        let out = self.outlet.out.clone();
        let mut alarm = Vitals::alarm(&self.options.timers);
        let mut vitals = Vitals::new();
        let mut effects = Vec::new();
        let mut roll = link.roll(&self.options.timers);
        let mut sync = Sync::begin(link.resumed, &mut effects);
        loop {
            for effect in std::mem::take(&mut effects) {
                self.effect(effect, link).await?;
            }
            if self.outlet.list_only && self.outlet.refreshed {
                return Ok(if self.outlet.drain().await { End::Listed } else { End::Unheard });
            }
            if std::mem::take(&mut link.left_out) {
                roll.begin(link.wire.handle());
            }
            let room = self.outlet.has_room();
            let live = sync.refreshing().is_none();
            let Link { wire, stream, .. } = &mut *link;
            let hearing = wire.run(vitals.hear(stream));
            tokio::select! {
                biased;
                permit = out.reserve(), if !self.outlet.is_empty() => {
                    let permit = permit.map_err(|_| End::Unheard)?;
                    if let Some(report) = self.outlet.pop() {
                        permit.send(report);
                    }
                }
                // While the queue is full nothing is read: the server waits.
                heard = hearing, if room => {
                    let heard = heard?;
                    vitals.heard();
                    match heard {
                        Heard::Pong(pong) => {
                            vitals.ponged();
                            pong.map_err(|error| link.wire.explain(error))?;
                        }
                        Heard::Message(Ok(Some(entry))) => {
                            vitals.went_on();
                            let message = decode::message(entry.0, &entry.1).map_err(LdapFailure::Malformed)?;
                            sync = sync.step(message, &mut effects);
                            self.progress(&sync);
                        }
                        Heard::Message(Ok(None)) => return Err(self.ended(link)),
                        Heard::Message(Err(error)) => return Err(link.wire.explain(error).into()),
                    }
                }
                step = roll.next(self.outlet.compared), if room && live => {
                    vitals.heard();
                    roll.take(step, link.wire.handle(), self.outlet).await?;
                }
                now = alarm.tick() => {
                    vitals.check(now, room, sync.refreshing(), &self.options.timers, &link.wire)?;
                    if !live && vitals.still(now) >= self.options.timers.ping_interval {
                        self.look_into_a_pause(link).await?;
                    }
                    if live {
                        self.tell_mark(link).await?;
                    }
                }
                () = out.closed(), if self.outlet.is_empty() => return Err(End::Unheard),
            }
        }
    }

    fn progress(&mut self, sync: &Sync) {
        if let Some(entries) = sync.refreshing().filter(|entries| *entries > 0 && entries.is_multiple_of(PROGRESS_EVERY)) {
            self.outlet.tell(Report::Progress { entries });
        }
    }

    /// 389 Directory Server stops at a size limit without a word, and says none of a base that is not there. An ordinary search does.
    async fn look_into_a_pause(&self, link: &mut Link) -> Result<(), LdapFailure> {
        if link.flavour == Flavour::Ds389 && !link.looked_into {
            link.looked_into = true;
            link.find_a_limit(self.options.timers.connect).await?;
        }
        Ok(())
    }

    /// The search's result: a synchronizing search has none while all is well.
    fn ended(&mut self, link: &mut Link) -> End {
        let Some(result) = link.stream.res.take() else { return LdapFailure::Closed(String::new()).into() };
        match result.rc {
            // RFC 4533 §3.5; OpenLDAP answers 53 to a cookie from its future, as after a restored backup.
            SYNC_REFRESH_REQUIRED => End::CookieRefused,
            UNWILLING_TO_PERFORM if link.resumed && !self.outlet.refreshed => End::CookieRefused,
            0 => LdapFailure::Closed(": the server ended the search".to_owned()).into(),
            code => LdapFailure::Search { base: link.base.to_string(), code, answer: answer(&result) }.into(),
        }
    }

    async fn effect(&mut self, effect: Effect, link: &mut Link) -> Result<(), End> {
        match effect {
            Effect::Entry { found, refreshing: true } => self.refreshed(found, link).await?,
            Effect::Entry { found, refreshing: false } => self.put(found, false, link).await?,
            Effect::Reference(url) => self.outlet.faults.reference(&url),
            Effect::Event(Event::Init) => self.outlet.begin(!link.resumed),
            Effect::Event(Event::InitDone { sweep, cookie }) => self.fill(sweep, cookie, link).await?,
            Effect::Event(Event::Checkpoint(cookie)) => match link.flavour {
                Flavour::OpenLdap => self.outlet.checkpoint(link.envelope.wrap(&cookie)),
                Flavour::Ds389 => link.untold = Some(cookie),
            },
            Effect::Event(event) => self.outlet.event(event),
        }
        Ok(())
    }
}
