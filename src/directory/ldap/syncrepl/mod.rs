//! OpenLDAP's dialect: RFC 4533 refreshAndPersist.

mod complete;
mod envelope;
mod sync;

use ldap3::Scope;
use ldap3::controls::{MakeCritical as _, RefreshMode, SyncRequest};

use self::envelope::Envelope;
use self::sync::{Effect, Sync};
use super::connect::search;
use super::decode;
use super::failure::{LdapFailure, SYNC_REFRESH_REQUIRED, UNWILLING_TO_PERFORM, answer};
use super::outlet::Outlet;
use super::session::{End, Opened, attributes};
use super::vitals::{Heard, Stream, Vitals};
use super::wire::Wire;
use crate::directory::{Entry, Event, LdapOptions, Report};
use crate::model::{Dn, ObjectId};

/// How many entries of a refresh go by between two reports of progress.
const PROGRESS_EVERY: u64 = 10_000;

/// What the roll call asks for.
const ROLL: [&str; 2] = ["entryUUID", "createTimestamp"];

/// Reports by way of a connection until it ends. `what` says to what and how, for people.
pub(super) async fn run(options: &LdapOptions, outlet: &mut Outlet, opened: Opened, what: String) -> Result<End, End> {
    let mut link = Link::open(options, outlet, opened).await?;
    outlet.tell(Report::Up { what });
    Syncrepl { options, outlet }.listen(&mut link).await
}

/// A session of this dialect.
struct Syncrepl<'s> {
    options: &'s LdapOptions,
    outlet: &'s mut Outlet,
}

/// A connection and the search on it.
struct Link {
    wire: Wire,
    stream: Stream,
    base: Dn,
    context: Option<Dn>,
    envelope: Envelope,
    attributes: Vec<String>,
    /// Whether the server was given a cookie.
    resumed: bool,
    /// Whether entries can be moved into the base from outside.
    inside: bool,
}

impl Link {
    async fn open(options: &LdapOptions, outlet: &Outlet, opened: Opened) -> Result<Self, LdapFailure> {
        let inside = opened.is_inside();
        let Opened { mut wire, base, context, .. } = opened;
        let attributes = attributes(options, if inside { &["hasSubordinates"] } else { &[] });
        let envelope = Envelope::of(options, &base, &attributes);
        let cookie = outlet.cookie.as_ref().and_then(|cookie| envelope.open(cookie));
        let resumed = cookie.is_some();
        let mut handle = wire.handle();
        // RFC 4533 §2.2. Critical: without it this would be an ordinary search that ends.
        let control = SyncRequest { mode: RefreshMode::RefreshAndPersist, cookie, reload_hint: false };
        handle.with_controls(control.critical());
        let name = base.to_string();
        let starting = handle.streaming_search(&name, Scope::Subtree, "(objectClass=*)", attributes.clone());
        let stream = wire.call("the search", options.timers.connect, starting).await?;
        Ok(Self { wire, stream, base, context, envelope, attributes, resumed, inside })
    }
}

impl Syncrepl<'_> {
    async fn listen(&mut self, link: &mut Link) -> Result<End, End> {
        let out = self.outlet.out.clone();
        let mut alarm = Vitals::alarm(&self.options.timers);
        let mut vitals = Vitals::new();
        let mut effects = Vec::new();
        let mut sync = Sync::begin(link.resumed, link.inside, &mut effects);
        loop {
            for effect in std::mem::take(&mut effects) {
                self.effect(effect, link).await?;
            }
            if self.outlet.list_only && self.outlet.refreshed {
                return Ok(if self.outlet.drain().await { End::Listed } else { End::Unheard });
            }
            let room = self.outlet.has_room();
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
                now = alarm.tick() => vitals.check(now, room, sync.refreshing(), &self.options.timers, &link.wire)?,
                () = out.closed(), if self.outlet.is_empty() => return Err(End::Unheard),
            }
        }
    }

    fn progress(&mut self, sync: &Sync) {
        if let Some(entries) = sync.refreshing().filter(|entries| *entries > 0 && entries.is_multiple_of(PROGRESS_EVERY)) {
            self.outlet.tell(Report::Progress { entries });
        }
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
            Effect::BadName { id, text, why } => self.outlet.faults.bad_name(id, &text, &why),
            Effect::Good(id) => self.outlet.faults.good(id),
            Effect::Reference(url) => self.outlet.faults.reference(&url),
            Effect::LookBelow(dn) => self.look_below(&dn, link).await?,
            Effect::Event(Event::Init) => {
                self.outlet.begin();
            }
            Effect::Event(Event::InitDone { sweep, cookie }) => {
                if !sweep {
                    let until = cookie.as_ref().and_then(|cookie| envelope::second_of(&cookie.0));
                    self.call_the_roll(until.as_deref(), link).await?;
                }
                let context = link.context.as_ref().unwrap_or(&link.base).to_string();
                complete::check(&mut link.wire, self.options.timers.refresh_stall, &context, &link.base.to_string()).await?;
                self.outlet.complete(true, cookie.map(|cookie| link.envelope.wrap(&cookie)));
            }
            Effect::Event(Event::Checkpoint(cookie)) => {
                self.outlet.checkpoint(link.envelope.wrap(&cookie));
            }
            Effect::Event(event) => self.outlet.tell(Report::Event(event)),
        }
        Ok(())
    }

    /// Names every entry that is there, so that what was deleted unheard is swept.
    ///
    /// A slapd that crashes forgets the deletions since its last checkpoint of contextCSN (by default: all since it was
    /// started), and afterwards takes an older cookie for up to date. Nothing in its answer shows that.
    ///
    /// `until` is the second that the refresh went up to. Entries made after it are left out: they are told as they are made.
    async fn call_the_roll(&mut self, until: Option<&str>, link: &mut Link) -> Result<(), End> {
        let limit = self.options.timers.refresh_stall;
        let mut handle = link.wire.handle();
        let base = link.base.to_string();
        let starting = handle.streaming_search(&base, Scope::Subtree, "(objectClass=*)", ROLL.map(str::to_owned).to_vec());
        let mut stream: Stream = link.wire.call("the roll call", limit, starting).await?;
        while let Some(entry) = link.wire.call("the roll call", limit, stream.next()).await? {
            if entry.is_ref() || entry.is_intermediate() {
                continue;
            }
            let (_, attributes) = decode::entry(entry.0).map_err(LdapFailure::Malformed)?;
            if until.zip(attributes.text("createTimestamp")).is_some_and(|(until, made)| made > until) {
                continue;
            }
            let id = attributes.text("entryUUID").and_then(|id| id.parse().ok());
            self.outlet.tell(Report::Event(Event::InitKeep(id.ok_or(LdapFailure::Malformed("an entry without entryUUID"))?)));
            if !self.outlet.make_room().await {
                return Err(End::Unheard);
            }
        }
        match stream.finish().await {
            result if result.rc == 0 => Ok(()),
            result => Err(LdapFailure::Search { base, code: result.rc, answer: answer(&result) }.into()),
        }
    }

    /// Everything below an entry that came from outside the base: the server tells of the entry alone.
    async fn look_below(&mut self, dn: &Dn, link: &mut Link) -> Result<(), End> {
        // Should it fail, the cookies to come do not cover these entries.
        let cookie = self.outlet.cookie.take();
        let names: Vec<&str> = link.attributes.iter().map(String::as_str).collect();
        let (name, limit) = (dn.to_string(), self.options.timers.refresh_stall);
        let query = (name.as_str(), Scope::Subtree, "(objectClass=*)");
        let found = search(&mut link.wire, limit, "the search below a moved entry", query, 0, &names).await?;
        for (name, attributes) in found {
            let text = String::from_utf8_lossy(&name);
            let id: Option<ObjectId> = attributes.text("entryUUID").and_then(|id| id.parse().ok());
            let Some(id) = id else { return Err(LdapFailure::Malformed("an entry without entryUUID").into()) };
            match text.parse::<Dn>() {
                Ok(below) if below == *dn => {}
                Ok(dn) => self.outlet.tell(Report::Event(Event::Apply(Entry { id, dn, attributes }))),
                Err(error) => self.outlet.faults.bad_name(id, &text, &error.to_string()),
            }
            if !self.outlet.make_room().await {
                return Err(End::Unheard);
            }
        }
        self.outlet.cookie = cookie;
        Ok(())
    }
}
