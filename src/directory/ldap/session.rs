//! One connection's life: refresh, then changes as they happen, until something ends it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use ldap3::controls::{MakeCritical as _, RefreshMode, SyncRequest};
use ldap3::{LdapError, ResultEntry, Scope, SearchStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::complete;
use super::connect::{RootDse, connect, search};
use super::decode;
use super::envelope::{self, Envelope};
use super::failure::{LdapFailure, SYNC_REFRESH_REQUIRED, UNWILLING_TO_PERFORM, answer};
use super::faults::Faults;
use super::queue::Queue;
use super::sync::{Effect, Sync};
use super::wire::Wire;
use crate::directory::{ATTRIBUTES, Cookie, Entry, Event, LdapOptions, Report};
use crate::model::{Dn, ObjectId};

/// How many entries of a refresh go by between two reports of progress.
const PROGRESS_EVERY: u64 = 10_000;

/// What the roll call asks for.
const ROLL: [&str; 2] = ["entryUUID", "createTimestamp"];

/// How a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// Nobody listens to the reports any more.
    Unheard,
    /// The list is complete, and nothing more was wanted.
    Listed,
    /// The server does not know the cookie any more: all is to be read.
    CookieRefused,
    /// It failed.
    Failed(LdapFailure),
}

impl From<LdapFailure> for End {
    fn from(failure: LdapFailure) -> Self {
        Self::Failed(failure)
    }
}

/// What outlives a connection.
pub(super) struct Session {
    pub(super) options: LdapOptions,
    out: mpsc::Sender<Report>,
    queue: Queue,
    /// Where to go on from: the newest told, or that of the session before.
    pub(super) cookie: Option<Cookie>,
    faults: Faults,
    /// Whether this connection's refresh was completed.
    pub(super) refreshed: bool,
    /// Whether a list is all that is wanted.
    list_only: bool,
}

type Stream = SearchStream<'static, String, Vec<String>>;
type Ping = Pin<Box<dyn Future<Output = Result<(), LdapError>> + Send>>;

/// A connection and what is known of its server.
struct Link {
    wire: Wire,
    stream: Stream,
    base: Dn,
    context: Option<Dn>,
    envelope: Envelope,
    attributes: Vec<String>,
    /// Whether the server was given a cookie.
    resumed: bool,
}

/// What the wire brings.
enum Heard {
    Message(Result<Option<ResultEntry>, LdapError>),
    Pong(Result<(), LdapError>),
}

/// When there was last a sign of life.
struct Vitals {
    heard: Instant,
    /// When a refresh last went on.
    progress: Instant,
    ping: Option<(Ping, Instant)>,
}

impl Session {
    pub(super) fn new(options: LdapOptions, cookie: Option<Cookie>, out: mpsc::Sender<Report>, list_only: bool) -> Self {
        let faults = Faults::new(options.url.to_string());
        Self { options, out, queue: Queue::default(), cookie, faults, refreshed: false, list_only }
    }

    /// Connects, and reports until the end.
    pub(super) async fn run(&mut self) -> End {
        self.refreshed = false;
        match self.open().await {
            Ok(link) => self.listen(link).await.unwrap_or_else(|end| end),
            Err(failure) => End::Failed(failure),
        }
    }

    /// Puts a report behind those that wait.
    pub(super) fn tell(&mut self, report: Report) {
        self.queue.push(report);
    }

    /// Sends what waits; whether anybody listens.
    pub(super) async fn drain(&mut self) -> bool {
        while let Some(report) = self.queue.pop() {
            if self.out.send(report).await.is_err() {
                return false;
            }
        }
        !self.out.is_closed()
    }

    /// Waits for nobody to listen.
    pub(super) async fn unheard(&self) {
        self.out.closed().await;
    }

    async fn open(&mut self) -> Result<Link, LdapFailure> {
        let limit = self.options.timers.connect;
        let mut wire = connect(&self.options).await?;
        let dse = RootDse::read(&mut wire, limit).await?;
        dse.check_syncrepl()?;
        let (base, context) = dse.base(&self.options)?;
        let inside = context.as_ref() != Some(&base);
        let attributes = self.attributes(inside);
        let envelope = Envelope::of(&self.options, &base, &attributes);
        let cookie = self.cookie.as_ref().and_then(|cookie| envelope.open(cookie));
        let resumed = cookie.is_some();
        let mut handle = wire.handle();
        // RFC 4533 §2.2. Critical: without it this would be an ordinary search that ends.
        let control = SyncRequest { mode: RefreshMode::RefreshAndPersist, cookie, reload_hint: false };
        handle.with_controls(control.critical());
        let name = base.to_string();
        let starting = handle.streaming_search(&name, Scope::Subtree, "(objectClass=*)", attributes.clone());
        let stream = wire.call("the search", limit, starting).await?;
        self.tell(Report::Up { what: format!("{} syncrepl at {}, below {base}", dse.server(), self.options.url.origin()) });
        Ok(Link { wire, stream, base, context, envelope, attributes, resumed })
    }

    /// What to ask for: what Dialcast reads, what the configuration names, and what the feed itself needs.
    fn attributes(&self, inside: bool) -> Vec<String> {
        let mut names: Vec<String> = ATTRIBUTES.iter().map(|name| (*name).to_owned()).collect();
        names.extend(inside.then(|| "hasSubordinates".to_owned()));
        for name in &self.options.attributes {
            if !names.iter().any(|held| held.eq_ignore_ascii_case(name)) {
                names.push(name.clone());
            }
        }
        names
    }

    async fn listen(&mut self, mut link: Link) -> Result<End, End> {
        let out = self.out.clone();
        let mut alarm = interval((self.options.timers.ping_interval / 2).max(Duration::from_millis(10)));
        alarm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut vitals = Vitals { heard: Instant::now(), progress: Instant::now(), ping: None };
        let mut effects = Vec::new();
        let inside = link.context.as_ref() != Some(&link.base);
        let mut sync = Sync::begin(link.resumed, inside, &mut effects);
        loop {
            for effect in std::mem::take(&mut effects) {
                self.effect(effect, &mut link).await?;
            }
            if self.list_only && self.refreshed {
                return Ok(if self.drain().await { End::Listed } else { End::Unheard });
            }
            let room = self.queue.has_room();
            let Link { wire, stream, .. } = &mut link;
            let hearing = wire.run(hear(stream, &mut vitals.ping));
            tokio::select! {
                biased;
                permit = out.reserve(), if !self.queue.is_empty() => {
                    let permit = permit.map_err(|_| End::Unheard)?;
                    if let Some(report) = self.queue.pop() {
                        permit.send(report);
                    }
                }
                // While the queue is full nothing is read: the server waits.
                heard = hearing, if room => {
                    vitals.heard = Instant::now();
                    match heard? {
                        Heard::Pong(pong) => {
                            vitals.ping = None;
                            pong.map_err(|error| link.wire.explain(error))?;
                        }
                        Heard::Message(Ok(Some(entry))) => {
                            vitals.progress = vitals.heard;
                            let message = decode::message(entry.0, &entry.1).map_err(LdapFailure::Malformed)?;
                            sync = sync.step(message, &mut effects);
                            self.progress(&sync);
                        }
                        Heard::Message(Ok(None)) => return Err(self.ended(&mut link)),
                        Heard::Message(Err(error)) => return Err(link.wire.explain(error).into()),
                    }
                }
                now = alarm.tick() => vitals.check(now, room, &sync, &self.options, &link.wire)?,
                () = out.closed(), if self.queue.is_empty() => return Err(End::Unheard),
            }
        }
    }

    fn progress(&mut self, sync: &Sync) {
        if let Sync::Refresh(refresh) = sync
            && refresh.entries > 0
            && refresh.entries.is_multiple_of(PROGRESS_EVERY)
        {
            self.tell(Report::Progress { entries: refresh.entries });
        }
    }

    /// The search's result: a synchronizing search has none while all is well.
    fn ended(&mut self, link: &mut Link) -> End {
        let Some(result) = link.stream.res.take() else { return LdapFailure::Closed(String::new()).into() };
        match result.rc {
            // RFC 4533 §3.5; OpenLDAP answers 53 to a cookie from its future, as after a restored backup.
            SYNC_REFRESH_REQUIRED => End::CookieRefused,
            UNWILLING_TO_PERFORM if link.resumed && !self.refreshed => End::CookieRefused,
            0 => LdapFailure::Closed(": the server ended the search".to_owned()).into(),
            code => LdapFailure::Search { base: link.base.to_string(), code, answer: answer(&result) }.into(),
        }
    }

    async fn effect(&mut self, effect: Effect, link: &mut Link) -> Result<(), End> {
        match effect {
            Effect::BadName { id, text, why } => self.faults.bad_name(id, &text, &why),
            Effect::Good(id) => self.faults.good(id),
            Effect::Reference(url) => self.faults.reference(&url),
            Effect::LookBelow(dn) => self.look_below(&dn, link).await?,
            Effect::Event(Event::Init) => {
                self.faults.clear();
                self.tell(Report::Event(Event::Init));
            }
            Effect::Event(Event::InitDone { sweep, cookie }) => {
                if !sweep {
                    let until = cookie.as_ref().and_then(|cookie| envelope::second_of(&cookie.0));
                    self.call_the_roll(until.as_deref(), link).await?;
                }
                let context = link.context.as_ref().unwrap_or(&link.base).to_string();
                complete::check(&mut link.wire, self.options.timers.refresh_stall, &context, &link.base.to_string()).await?;
                let cookie = cookie.map(|cookie| link.envelope.wrap(&cookie));
                self.cookie.clone_from(&cookie);
                self.refreshed = true;
                self.tell(Report::Event(Event::InitDone { sweep: true, cookie }));
                self.report_faults();
            }
            Effect::Event(Event::Checkpoint(cookie)) => {
                let cookie = link.envelope.wrap(&cookie);
                self.cookie = Some(cookie.clone());
                self.tell(Report::Event(Event::Checkpoint(cookie)));
                self.report_faults();
            }
            Effect::Event(event) => self.tell(Report::Event(event)),
        }
        Ok(())
    }

    fn report_faults(&mut self) {
        if let Some(faults) = self.faults.take() {
            self.tell(Report::Faults(faults));
        }
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
            self.tell(Report::Event(Event::InitKeep(id.ok_or(LdapFailure::Malformed("an entry without entryUUID"))?)));
            if !self.queue.has_room() && !self.drain().await {
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
        let cookie = self.cookie.take();
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
                Ok(dn) => self.tell(Report::Event(Event::Apply(Entry { id, dn, attributes }))),
                Err(error) => self.faults.bad_name(id, &text, &error.to_string()),
            }
            if !self.queue.has_room() && !self.drain().await {
                return Err(End::Unheard);
            }
        }
        self.cookie = cookie;
        Ok(())
    }
}

/// The next message, or the answer to the ping.
async fn hear(stream: &mut Stream, ping: &mut Option<(Ping, Instant)>) -> Heard {
    match ping {
        None => Heard::Message(stream.next().await),
        Some((ping, _)) => tokio::select! {
            biased;
            message = stream.next() => Heard::Message(message),
            answered = ping => Heard::Pong(answered),
        },
    }
}

impl Vitals {
    /// Asks for a sign of life when there was none for a while, and gives up when none comes.
    fn check(&mut self, now: Instant, room: bool, sync: &Sync, options: &LdapOptions, wire: &Wire) -> Result<(), LdapFailure> {
        let timers = &options.timers;
        if !room {
            // We did not listen.
            self.heard = now;
            self.progress = now;
        }
        if let Sync::Refresh(refresh) = sync
            && now.duration_since(self.progress) >= timers.refresh_stall
        {
            return Err(LdapFailure::Stalled(timers.refresh_stall, refresh.entries));
        }
        match &self.ping {
            None if now.duration_since(self.heard) >= timers.ping_interval => {
                let mut handle = wire.handle();
                let ping = async move { handle.search("", Scope::Base, "(objectClass=*)", ["1.1"]).await.map(|_| ()) };
                self.ping = Some((Box::pin(ping), now));
            }
            Some((_, since)) if now.duration_since((*since).max(self.heard)) >= timers.ping_timeout => {
                return Err(LdapFailure::Silent(timers.ping_timeout));
            }
            _ => {}
        }
        Ok(())
    }
}
