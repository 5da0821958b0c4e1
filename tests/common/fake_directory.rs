//! An LDAP server that answers from a [`Model`], in the ways of several real ones.
//!
//! ```ignore
//! mod common { pub mod ber; pub mod fake_directory; pub mod model; }
//! let fake = FakeDirectory::start(Manner::OpenLdap, Model::new(seed, 20)).await;
//! fake.step();                  // one random operation, told to whoever listens
//! fake.cut();                   // ends every connection     fake.close(true): and takes no new ones, until close(false)
//! fake.trim();                  // forgets the changes so far
//! fake.hide(Some("ou=in,dc=x")) // nobody sees what is below, and nobody is told
//! fake.backup(); fake.restore() // the directory as it was
//! ```

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a fixture fails its test by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use ldap3::asn1::{PL, StructureTag};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as Turn, watch};

use super::ber;
use super::model::{Change, Entry, Model, Number, id, is_below};

/// Whose ways it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// syncprov: a delete phase as far as its session log reaches, else a present phase.
    OpenLdap,
    /// Content Synchronization: what the changelog has; a cookie older than that is taken, and changes are lost.
    Ds389,
    /// Persistent search, and ordinary searches.
    PersistentSearch,
    /// Ordinary searches.
    Plain,
}

/// A change as it was told at its time.
#[derive(Clone)]
struct Told {
    counter: u64,
    number: Number,
    /// Its name before and after; none where it was not there.
    from: Option<String>,
    to: Option<String>,
    /// Its attributes after, or the last.
    attributes: Attributes,
}

type Attributes = BTreeMap<String, Vec<String>>;

struct State {
    manner: Manner,
    model: Model,
    /// The changes that those who come back are told of.
    log: Vec<Told>,
    /// All changes, for those who listen.
    live: Vec<Told>,
    /// Changes up to here are forgotten.
    trimmed: u64,
    /// The newest number given to a change, and by which change each entry is as it is.
    newest: u64,
    changed: BTreeMap<Number, u64>,
    /// Another history: the changelog's entries have other ids.
    history: u32,
    hidden: Option<String>,
    closed: bool,
    /// Counts cuts: a connection from before the newest is told nothing more, though its end may take a moment.
    generation: u64,
    kept: Option<Kept>,
}

struct Kept {
    model: Model,
    log: Vec<Told>,
    trimmed: u64,
    changed: BTreeMap<Number, u64>,
}

pub struct FakeDirectory {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Counts changes and cuts, for those who wait.
    news: watch::Sender<u64>,
    cuts: watch::Sender<u64>,
}

impl FakeDirectory {
    pub async fn start(manner: Manner, model: Model) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let trimmed = model.counter;
        let changed = model.entries().map(|entry| (entry.number, entry.changed)).collect();
        let (log, kept) = (Vec::new(), None);
        let state = State {
            manner,
            model,
            log,
            live: Vec::new(),
            trimmed,
            newest: trimmed,
            changed,
            history: 0,
            hidden: None,
            closed: false,
            generation: 0,
            kept,
        };
        let state = Arc::new(Mutex::new(state));
        let (news, cuts) = (watch::Sender::new(0), watch::Sender::new(0));
        let fake = Self { address, state: Arc::clone(&state), news: news.clone(), cuts: cuts.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Before its generation is read: a cut is missed by neither.
                let mut cut = cuts.subscribe();
                let (closed, generation) = {
                    let state = state.lock().unwrap();
                    (state.closed, state.generation)
                };
                if !closed {
                    let connection = connection(stream, Server { state: Arc::clone(&state), generation }, news.subscribe());
                    tokio::spawn(async move {
                        tokio::select! {
                            () = connection => {}
                            _ = cut.changed() => {}
                        }
                    });
                }
            }
        });
        fake
    }

    pub fn model<T>(&self, look: impl FnOnce(&mut Model) -> T) -> T {
        look(&mut self.lock().model)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// One random operation.
    pub fn step(&self) {
        self.lock().step();
        self.news.send_modify(|news| *news += 1);
    }

    pub fn cut(&self) {
        self.lock().generation += 1;
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub fn close(&self, closed: bool) {
        let mut state = self.lock();
        state.closed = closed;
        state.generation += u64::from(closed);
        drop(state);
        if closed {
            self.cuts.send_modify(|cuts| *cuts += 1);
        }
    }

    pub fn trim(&self) {
        let mut state = self.lock();
        state.trimmed = state.last();
        state.log.clear();
    }

    pub fn hide(&self, base: Option<&str>) {
        self.lock().hidden = base.map(str::to_owned);
    }

    pub fn backup(&self) {
        let mut state = self.lock();
        let (model, log, trimmed, changed) = (state.model.clone(), state.log.clone(), state.trimmed, state.changed.clone());
        state.kept = Some(Kept { model, log, trimmed, changed });
    }

    /// What was kept comes back, if anything was: a server is down for it.
    pub fn restore(&self) -> bool {
        let mut state = self.lock();
        let Some(Kept { mut model, log, trimmed, changed }) = state.kept.take() else { return false };
        // Luck does not go back, and no id comes twice.
        model.random = state.model.random.clone();
        model.skip_to(state.model.next_number());
        (state.model, state.log, state.trimmed, state.changed) = (model, log, trimmed, changed);
        state.history += 1;
        state.generation += 1;
        if state.manner == Manner::Ds389 {
            state.newest = state.last();
        }
        drop(state);
        self.cuts.send_modify(|cuts| *cuts += 1);
        true
    }
}

impl State {
    fn step(&mut self) {
        self.model.now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        // A version of one second's resolution cannot tell what was before the backup from what came after it. The model's clock may
        // be a second ahead of ours, as a server's may be: the backup's second then comes once more.
        let coarse = matches!(self.manner, Manner::PersistentSearch | Manner::Plain);
        if coarse && self.kept.as_ref().is_some_and(|kept| kept.model.now_s >= self.model.now_s) {
            self.kept = None;
        }
        for change in self.model.step() {
            let (number, from, to, attributes) = match change {
                Change::Added(number) => {
                    (number, None, Some(self.model.dn(number)), self.model.entry(number).map(|entry| self.attributes(entry)))
                }
                Change::Modified(number) => {
                    // Deleted by the same operation: that is told next.
                    let Some(entry) = self.model.entry(number) else { continue };
                    let dn = self.model.dn(number);
                    (number, Some(dn.clone()), Some(dn), Some(self.attributes(entry)))
                }
                Change::Moved { number, from } => {
                    (number, Some(from), Some(self.model.dn(number)), self.model.entry(number).map(|entry| self.attributes(entry)))
                }
                Change::Deleted(entry, dn) => (entry.number, Some(dn), None, Some(self.attributes(&entry))),
            };
            self.newest += 1;
            self.changed.insert(number, self.newest);
            // Rendered again: the number is the newest now.
            let attributes = self.model.entry(number).map(|entry| self.attributes(entry)).or(attributes).unwrap_or_default();
            let told = Told { counter: self.newest, number, from, to, attributes };
            self.live.push(told.clone());
            self.log.push(told);
        }
    }

    fn last(&self) -> u64 {
        self.log.last().map_or(self.trimmed, |told| told.counter)
    }

    fn attributes(&self, entry: &Entry) -> Attributes {
        let mut attributes: Attributes = BTreeMap::new();
        for (name, values) in self.model.attributes(entry) {
            attributes.insert(name.to_lowercase(), values);
        }
        let mut put = |name: &str, value: String| drop(attributes.insert(name.to_owned(), vec![value]));
        put("createtimestamp", time(entry.created_s));
        put("modifytimestamp", time(entry.changed_s));
        match self.manner {
            Manner::OpenLdap => {
                put("entryuuid", id(entry.number).to_string());
                put("entrycsn", csn(entry.changed_s, self.changed.get(&entry.number).copied().unwrap_or_default()));
            }
            Manner::Ds389 => {
                put("nsuniqueid", id(entry.number).to_string());
                put("entryusn", self.changed.get(&entry.number).copied().unwrap_or_default().to_string());
            }
            Manner::PersistentSearch | Manner::Plain => put("entryuuid", id(entry.number).to_string()),
        }
        let has_below = self.model.entries().any(|other| other.parent == Some(entry.number));
        put("hassubordinates", if has_below { "TRUE" } else { "FALSE" }.to_owned());
        attributes
    }

    fn sees(&self, dn: &str, base: &str) -> bool {
        is_below(dn, base) && self.hidden.as_ref().is_none_or(|hidden| !is_below(dn, hidden))
    }

    /// Everything in sight below the base.
    fn visible(&self, base: &str) -> Vec<(Number, String, Attributes)> {
        let all = self.model.below(base);
        let named = all.into_iter().map(|entry| (entry.number, self.model.dn(entry.number), self.attributes(entry)));
        named.filter(|(_, dn, _)| self.sees(dn, base)).collect()
    }

    /// `cookie` of the newest change.
    fn cookie(&self, counter: u64) -> String {
        match self.manner {
            Manner::OpenLdap => format!("rid=000,csn={}", csn(self.model.now_s, counter)),
            _ => format!("fake:389#account:base:(objectClass=*)#{counter}"),
        }
    }

    fn number_in(&self, cookie: &str) -> Option<u64> {
        match self.manner {
            Manner::OpenLdap => cookie.split('.').nth(1)?.split('Z').next()?.parse().ok(),
            _ => cookie.rsplit('#').next()?.parse().ok(),
        }
    }
}

/// Seconds since 1970 as a generalized time.
fn time(at: u64) -> String {
    let (mut day, mut year, mut month) = (at / 86_400, 1970, 1);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    for days in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    format!("{year}{month:02}{:02}{:02}{:02}{:02}Z", day + 1, at / 3_600 % 24, at / 60 % 60, at % 60)
}

fn csn(seconds: u64, counter: u64) -> String {
    format!("{}.{counter:06}Z#000000#000#000000", time(seconds).trim_end_matches('Z'))
}

type Out = Arc<Turn<OwnedWriteHalf>>;

async fn send(out: &Out, octets: &[u8]) -> bool {
    out.lock().await.write_all(octets).await.is_ok()
}

/// The directory as one connection sees it.
#[derive(Clone)]
struct Server {
    state: Arc<Mutex<State>>,
    generation: u64,
}

impl Server {
    /// Nothing once the connection is cut.
    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> Option<T> {
        let state = self.state.lock().unwrap();
        (state.generation == self.generation).then(|| look(&state))
    }
}

async fn connection(stream: TcpStream, server: Server, news: watch::Receiver<u64>) {
    let (mut read, write) = stream.into_split();
    let out: Out = Arc::new(Turn::new(write));
    let mut buffer = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    // Ends with the connection.
    let mut following = tokio::task::JoinSet::new();
    while let Ok(length @ 1..) = read.read(&mut chunk).await {
        buffer.extend_from_slice(&chunk[..length]);
        while let Some(request) = ber::take(&mut buffer) {
            match request.operation.id {
                0 => {
                    let is_heard = send(&out, &ber::message(&request.id, &ber::result(0x61, 0), &[])).await;
                    if !is_heard {
                        return;
                    }
                }
                3 => {
                    let search = Search::read(&request);
                    if search.follows() {
                        following.spawn(follow(search, server.clone(), out.clone(), news.clone()));
                    } else {
                        let Some(answer) = server.look(|state| search.answer(state)) else { return };
                        if !send(&out, &answer).await {
                            return;
                        }
                    }
                }
                // Unbind, abandon.
                _ => {}
            }
        }
    }
}

struct Search {
    id: Vec<u8>,
    base: String,
    scope: u8,
    filter: StructureTag,
    wanted: BTreeSet<String>,
    /// RFC 4533; and the cookie.
    sync: bool,
    cookie: Option<String>,
    persistent: bool,
}

impl Search {
    fn read(request: &ber::Request) -> Self {
        let PL::C(parts) = &request.operation.payload else { panic!("a search without parts") };
        let wanted = ber::list(&parts[7]).iter().map(|name| ber::text(name).to_lowercase()).collect();
        let control = |oid: &str| request.controls.iter().find(|(name, _)| name == oid).map(|(_, value)| value.clone());
        let sync = control("1.3.6.1.4.1.4203.1.9.1.1");
        let cookie = sync.as_ref().and_then(|value| {
            let (_, value) = ldap3::asn1::parse_tag(value).unwrap();
            ber::list(&value).iter().find(|part| part.id == 4).map(ber::text)
        });
        Self {
            id: request.id.clone(),
            base: ber::text(&parts[0]),
            scope: ber::octets(&parts[1])[0],
            filter: parts[6].clone(),
            wanted,
            sync: sync.is_some(),
            cookie,
            persistent: control("2.16.840.1.113730.3.4.3").is_some(),
        }
    }

    fn follows(&self) -> bool {
        self.sync || self.persistent
    }

    fn done(&self, code: u8) -> Vec<u8> {
        ber::message(&self.id, &ber::result(0x65, code), &[])
    }

    fn entry(&self, dn: &str, attributes: &Attributes, control: &[u8]) -> Vec<u8> {
        let asked = attributes.iter().filter(|(name, _)| self.wanted.contains(*name));
        ber::message(&self.id, &ber::entry(dn, asked), control)
    }

    /// An ordinary search.
    fn answer(&self, state: &State) -> Vec<u8> {
        let mut out = Vec::new();
        if self.base.is_empty() {
            let mut dse: Attributes = BTreeMap::new();
            let mut put = |name: &str, values: &[&str]| drop(dse.insert(name.to_owned(), values.iter().map(|v| (*v).to_owned()).collect()));
            put("namingcontexts", &["dc=x"]);
            let (sync, psearch) = ("1.3.6.1.4.1.4203.1.9.1.1", "2.16.840.1.113730.3.4.3");
            match state.manner {
                Manner::OpenLdap => {
                    put("objectclass", &["top", "OpenLDAProotDSE"]);
                    put("supportedcontrol", &[sync]);
                }
                Manner::Ds389 => {
                    put("vendorname", &["389 Project"]);
                    put("supportedcontrol", &[sync, psearch]);
                    put("changelog", &["cn=changelog"]);
                    put("firstchangenumber", &[&(state.trimmed + 1).min(state.last()).to_string()]);
                    put("lastchangenumber", &[&state.last().to_string()]);
                }
                Manner::PersistentSearch => put("supportedcontrol", &[psearch]),
                Manner::Plain => {}
            }
            out.extend(self.entry("", &dse, &[]));
        } else if self.base == "cn=changelog" {
            for told in &state.log {
                let number = told.counter;
                let attributes: Attributes = BTreeMap::from([
                    ("changenumber".to_owned(), vec![number.to_string()]),
                    ("nsuniqueid".to_owned(), vec![format!("{:08x}-{number:08x}-00000000-00000000", state.history)]),
                ]);
                if ber::matches(&self.filter, &attributes) {
                    out.extend(self.entry(&format!("changenumber={number},cn=changelog"), &attributes, &[]));
                }
            }
        } else {
            for (_, dn, attributes) in state.visible(&self.base) {
                if (self.scope == 2 || dn == self.base) && ber::matches(&self.filter, &attributes) {
                    out.extend(self.entry(&dn, &attributes, &[]));
                }
            }
        }
        out.extend(self.done(0));
        out
    }

    /// The refresh of RFC 4533; nothing when the cookie is refused.
    fn refresh(&self, state: &State) -> Result<Vec<u8>, u8> {
        let cookie = self.cookie.clone();
        let mut out = Vec::new();
        let now = state.cookie(state.last());
        let add = |out: &mut Vec<u8>, number: Number, dn: &str, attributes: &Attributes| {
            out.extend(self.entry(dn, attributes, &ber::sync_state(1, &id(number), None)));
        };
        let Some(cookie) = cookie else {
            for (number, dn, attributes) in state.visible(&self.base) {
                add(&mut out, number, &dn, &attributes);
            }
            out.extend(ber::refresh_done(&self.id, state.manner == Manner::OpenLdap, &now));
            return Ok(out);
        };
        let since = state.number_in(&cookie).filter(|since| *since <= state.last());
        let Some(since) = since else { return Err(if state.manner == Manner::OpenLdap { 53 } else { 0 }) };
        let changed: Vec<&Told> = state.log.iter().filter(|told| told.counter > since).collect();
        let numbers: BTreeSet<Number> = changed.iter().map(|told| told.number).collect();
        let there = state.visible(&self.base);
        let known = since >= state.trimmed;
        match state.manner {
            Manner::OpenLdap if !known => {
                // What changed is found by its CSN; all others are named.
                for (number, dn, attributes) in &there {
                    if state.changed[number] > since {
                        add(&mut out, *number, dn, attributes);
                    }
                }
                out.extend(ber::id_set(&self.id, false, &there.iter().map(|(number, ..)| id(*number)).collect::<Vec<_>>()));
                out.extend(ber::refresh_done(&self.id, true, &now));
            }
            _ => {
                let gone: Vec<_> = numbers.iter().filter(|number| !there.iter().any(|(other, ..)| other == *number)).collect();
                // Only of those that were in sight, and only deletions and moves: a right that was lost is not told.
                let told = |number: &Number| {
                    changed.iter().any(|told| told.number == *number && told.from.as_ref().is_some_and(|dn| is_below(dn, &self.base)))
                        && changed
                            .iter()
                            .rfind(|told| told.number == *number)
                            .is_some_and(|told| told.to.as_ref().is_none_or(|dn| !is_below(dn, &self.base)))
                };
                let gone: Vec<_> = gone.into_iter().filter(|number| told(number)).map(|number| id(*number)).collect();
                if !gone.is_empty() {
                    out.extend(ber::id_set(&self.id, true, &gone));
                }
                for (number, dn, attributes) in there.iter().filter(|(number, ..)| numbers.contains(number)) {
                    if state.manner == Manner::Ds389 {
                        // Whatever is asked for, the attributes of a user and no others.
                        let own = |name: &str| !["timestamp", "entry", "nsuniqueid", "hassub"].iter().any(|part| name.contains(part));
                        let users = attributes.iter().filter(|(name, _)| own(name));
                        out.extend(ber::message(&self.id, &ber::entry(dn, users), &ber::sync_state(1, &id(*number), None)));
                    } else {
                        add(&mut out, *number, dn, attributes);
                    }
                }
                out.extend(ber::refresh_done(&self.id, false, &now));
            }
        }
        Ok(out)
    }

    /// One change, as it is told live.
    fn change(&self, state: &State, told: &Told) -> Vec<u8> {
        let in_sight = |dn: &Option<String>| dn.as_ref().is_some_and(|dn| state.sees(dn, &self.base));
        let (before, after) = (in_sight(&told.from), in_sight(&told.to));
        if self.persistent {
            let kind = match (&told.from, &told.to) {
                (None, _) => 1,
                (_, None) => 2,
                (Some(from), Some(to)) if from == to => 4,
                _ => 8,
            };
            // What leaves the base is not told.
            let shown = if told.to.is_some() { after } else { before };
            let dn = told.to.as_ref().or(told.from.as_ref()).unwrap();
            return if shown { self.entry(dn, &told.attributes, &ber::entry_change(kind)) } else { Vec::new() };
        }
        let cookie = state.cookie(told.counter);
        let control = |kind| ber::sync_state(kind, &id(told.number), Some(&cookie));
        match (before, after) {
            (false, false) => Vec::new(),
            (true, false) => self.entry(told.from.as_ref().unwrap(), &BTreeMap::new(), &control(3)),
            (false, true) => self.entry(told.to.as_ref().unwrap(), &told.attributes, &control(1)),
            (true, true) => self.entry(told.to.as_ref().unwrap(), &told.attributes, &control(2)),
        }
    }
}

/// Tells changes as they come, until the connection ends.
async fn follow(search: Search, server: Server, out: Out, mut news: watch::Receiver<u64>) {
    let start = server.look(|state| {
        let first = if search.sync { search.refresh(state) } else { Ok(Vec::new()) };
        (first, state.live.len())
    });
    let Some((first, mut at)) = start else { return };
    match first {
        Ok(octets) => _ = send(&out, &octets).await,
        // 4096 takes two octets.
        Err(0) => {
            let _ = send(&out, &ber::message(&search.id, &ber::result_of(0x65, &[0x10, 0x00]), &[])).await;
            return;
        }
        Err(code) => {
            let _ = send(&out, &search.done(code)).await;
            return;
        }
    }
    loop {
        let told = server.look(|state| {
            let told: Vec<u8> = state.live[at..].iter().flat_map(|told| search.change(state, told)).collect();
            (told, state.live.len())
        });
        let Some((octets, end)) = told else { return };
        at = end;
        if !octets.is_empty() && !send(&out, &octets).await {
            return;
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}
