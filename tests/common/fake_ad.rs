//! A domain controller that behaves as Active Directory is documented to where Samba is laxer: no more entries without pages than a
//! page holds, large attributes by ranges, notifications at the top of a naming context only, tombstones out of sight without the
//! right, DirSync by parts, other controllers that lag behind.
//!
//! ```ignore
//! mod common { pub mod tlv; pub mod fake_ad; pub mod model; }
//! let dc = FakeAd::start(Limits::default()).await;
//! dc.load(&model);                       // what is there; each entry changed by one count
//! dc.change(&model, &model.step());      // operations of an admin at this controller
//! other.pull(&dc);                       // replication: what `other` does not have yet
//! dc.set(|state| state.sees_deleted = false);
//! ```

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, reason = "a fixture fails its test by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

use super::model::{Change, Class, Model, Number, id};
use super::tlv::{Tlv, ber, entry, integer, matches, message, octets, result, take};

const PAGED: &str = "1.2.840.113556.1.4.319";
const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
const NOTIFICATION: &str = "1.2.840.113556.1.4.528";
const DIRSYNC: &str = "1.2.840.113556.1.4.841";
const SERVICE: &str = "CN=NTDS Settings,CN=FAKE,CN=Servers,CN=Sites,CN=Configuration,dc=x";
const TRASH: &str = "CN=Deleted Objects,dc=x";

type Attributes = Vec<(String, Vec<Vec<u8>>)>;

/// MS-ADTS §3.1.1.3.4.6, made small.
#[derive(Clone, Copy)]
pub struct Limits {
    pub page: usize,
    pub range: usize,
    /// Objects in one answer of DirSync.
    pub dirsync: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { page: 7, range: 3, dirsync: 5 }
    }
}

/// When an attribute was last set, and by whom: the later version wins, then the later time, then the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    version: u32,
    time: u64,
    invocation: [u8; 16],
}

#[derive(Debug, Clone)]
struct Object {
    number: Number,
    parent: Option<Number>,
    rdn: String,
    class: Class,
    text: String,
    deleted: bool,
    /// In the order in which they are ranged; a value that is gone stays as a stamp.
    members: Vec<(Number, bool, Stamp)>,
    created: u64,
    changed: u64,
    /// By attribute, and the count here when it was set.
    stamps: BTreeMap<&'static str, (Stamp, u64)>,
}

/// What happens between two answers.
pub type Between = Box<dyn FnMut(&mut State) + Send>;

pub struct State {
    pub invocation: [u8; 16],
    pub usn: u64,
    pub limits: Limits,
    /// Whether the account may read tombstones.
    pub sees_deleted: bool,
    /// Whether it may read the configuration.
    pub sees_configuration: bool,
    /// Entries that it may not read, with all below them.
    pub hidden: BTreeSet<Number>,
    /// A child domain, elsewhere.
    pub reference: Option<&'static str>,
    /// Whether the root DSE offers notifications.
    pub notifies: bool,
    /// Called between two pages, ranges or parts: what changes while one reads.
    pub between: Option<Between>,
    /// How many searches there were, by what they asked for.
    pub searches: usize,
    objects: BTreeMap<Number, Object>,
}

pub struct FakeAd {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    changed: broadcast::Sender<Number>,
}

impl FakeAd {
    pub async fn start(limits: Limits, life: u8) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            invocation: [life; 16],
            usn: 1_000 * u64::from(life),
            limits,
            sees_deleted: true,
            sees_configuration: false,
            hidden: BTreeSet::new(),
            reference: None,
            notifies: true,
            between: None,
            searches: 0,
            objects: BTreeMap::new(),
        };
        let (state, changed) = (Arc::new(Mutex::new(state)), broadcast::channel(10_000).0);
        let (shared, told) = (Arc::clone(&state), changed.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&shared), told.subscribe()));
            }
        });
        Self { address, state, changed }
    }

    pub fn url(&self, base: &str) -> String {
        format!("ldap://{}/{base}", self.address)
    }

    pub fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// Takes over everything that the model has.
    pub fn load(&self, model: &Model) {
        let numbers: Vec<Number> = model.entries().map(|entry| entry.number).collect();
        for number in numbers {
            self.originate(model, number);
        }
    }

    /// What an admin did at this controller.
    pub fn change(&self, model: &Model, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Added(number) | Change::Modified(number) | Change::Moved { number, .. } => self.originate(model, *number),
                Change::Deleted(entry, _) => {
                    self.set(|state| state.delete(entry.number));
                    let _ = self.changed.send(entry.number);
                }
            }
        }
    }

    fn originate(&self, model: &Model, number: Number) {
        // What was deleted later in the same operation is told so.
        if model.entry(number).is_some() {
            self.set(|state| state.originate(model, number));
            let _ = self.changed.send(number);
        }
    }

    /// Wakes those who asked to be notified.
    pub fn notify(&self) {
        let _ = self.changed.send(1);
    }

    /// Replication: takes over what the other has.
    pub fn pull(&self, other: &Self) {
        let theirs: Vec<Object> = other.set(|state| {
            let mut all: Vec<Object> = state.objects.values().cloned().collect();
            all.sort_by_key(|object| object.changed);
            all
        });
        for object in theirs {
            let number = object.number;
            if self.set(|state| state.merge(object)) {
                let _ = self.changed.send(number);
            }
        }
    }
}

impl State {
    /// The same within [`State::between`]; nobody is notified.
    pub fn change(&mut self, model: &Model, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Added(number) | Change::Modified(number) | Change::Moved { number, .. } if model.entry(*number).is_some() => {
                    self.originate(model, *number);
                }
                Change::Deleted(entry, _) => self.delete(entry.number),
                _ => {}
            }
        }
    }

    fn originate(&mut self, model: &Model, number: Number) {
        let entry = model.entry(number).unwrap().clone();
        self.usn += 1;
        let (usn, invocation) = (self.usn, self.invocation);
        let first = Stamp { version: 0, time: 0, invocation };
        let object = self.objects.entry(number).or_insert_with(|| Object {
            number,
            parent: None,
            rdn: String::new(),
            class: entry.class,
            text: String::new(),
            deleted: false,
            members: Vec::new(),
            created: usn,
            changed: usn,
            stamps: BTreeMap::new(),
        });
        object.changed = usn;
        let mut set = |name: &'static str, differs: bool| {
            if differs || !object.stamps.contains_key(name) {
                let (stamp, local) = object.stamps.entry(name).or_insert((first, usn));
                *stamp = Stamp { version: stamp.version + 1, time: model.now_s, invocation };
                *local = usn;
            }
        };
        set("name", object.rdn != entry.rdn || object.parent != entry.parent);
        set("text", object.text != entry.text);
        (object.rdn, object.parent, object.text) = (entry.rdn, entry.parent, entry.text);
        for (member, there, stamp) in &mut object.members {
            if *there != entry.members.contains(member) {
                *there = !*there;
                *stamp = Stamp { version: stamp.version + 1, time: model.now_s, invocation };
            }
        }
        for member in &entry.members {
            if !object.members.iter().any(|(held, ..)| held == member) {
                object.members.push((*member, true, Stamp { version: 1, time: model.now_s, invocation }));
            }
        }
    }

    fn delete(&mut self, number: Number) {
        self.usn += 1;
        let (usn, invocation) = (self.usn, self.invocation);
        let object = self.objects.get_mut(&number).unwrap();
        (object.deleted, object.changed) = (true, usn);
        object.members.clear();
        object.text.clear();
        for name in ["isDeleted", "name"] {
            let (stamp, local) = object.stamps.entry(name).or_insert((Stamp { version: 0, time: 0, invocation }, usn));
            *stamp = Stamp { version: stamp.version + 1, time: stamp.time + 1, invocation };
            *local = usn;
        }
    }

    /// Whether anything was new.
    fn merge(&mut self, theirs: Object) -> bool {
        let usn = self.usn + 1;
        let Some(mine) = self.objects.get_mut(&theirs.number) else {
            self.usn = usn;
            let stamps = theirs.stamps.iter().map(|(name, (stamp, _))| (*name, (*stamp, usn))).collect();
            self.objects.insert(theirs.number, Object { created: usn, changed: usn, stamps, ..theirs });
            return true;
        };
        let mut any = false;
        for (name, (stamp, _)) in &theirs.stamps {
            if mine.stamps.get(name).is_some_and(|(held, _)| held >= stamp) {
                continue;
            }
            any = true;
            mine.stamps.insert(name, (*stamp, usn));
            match *name {
                "name" => (mine.rdn, mine.parent) = (theirs.rdn.clone(), theirs.parent),
                "text" => mine.text.clone_from(&theirs.text),
                _ => {
                    mine.deleted = true;
                    mine.members.clear();
                    mine.text.clear();
                }
            }
        }
        for (member, there, stamp) in theirs.members {
            match mine.members.iter_mut().find(|(held, ..)| *held == member) {
                Some(held) if held.2 >= stamp => {}
                Some(held) => {
                    any = true;
                    *held = (member, there, stamp);
                }
                None => {
                    any = true;
                    mine.members.push((member, there, stamp));
                }
            }
        }
        if any {
            self.usn = usn;
            mine.changed = usn;
        }
        any
    }

    fn dn(&self, object: &Object) -> String {
        if object.deleted {
            let name = object.rdn.split_once('=').unwrap().1;
            return format!("CN={name}\\0ADEL:{},{TRASH}", id(object.number));
        }
        object.parent.map_or_else(|| object.rdn.clone(), |parent| format!("{},{}", object.rdn, self.dn(&self.objects[&parent])))
    }

    fn is_visible(&self, object: &Object, show_deleted: bool) -> bool {
        if object.deleted {
            return show_deleted && self.sees_deleted;
        }
        let mut at = Some(object.number);
        while let Some(number) = at {
            if self.hidden.contains(&number) {
                return false;
            }
            at = self.objects[&number].parent;
        }
        true
    }

    /// What DirSync tells of an object that was changed above this count: nothing of what was not.
    fn delta(&self, object: &Object, above: u64) -> Attributes {
        let mut attributes = self.attributes(object);
        let changed = |name: &str| object.stamps.get(name).is_some_and(|(_, local)| *local > above);
        if object.created <= above {
            let renamed = changed("name");
            attributes.retain(|(name, _)| match name.as_str() {
                // Counts of single values are not kept here: a group that changed is told with all of them.
                "objectGUID" | "parentGUID" | "isDeleted" | "distinguishedName" | "member" => true,
                "mail" | "displayName" => changed("text"),
                "cn" | "ou" | "dc" | "name" => renamed,
                _ => false,
            });
        }
        attributes
    }

    /// Everything of an object, operational and not.
    fn attributes(&self, object: &Object) -> Attributes {
        let text = |value: &str| vec![value.as_bytes().to_vec()];
        let (kind, value) = object.rdn.split_once('=').unwrap();
        let mut attributes: Attributes = vec![
            ("objectGUID".into(), vec![guid(object.number)]),
            ("uSNChanged".into(), text(&object.changed.to_string())),
            ("uSNCreated".into(), text(&object.created.to_string())),
            ("replPropertyMetaData".into(), vec![metadata(object)]),
            ("distinguishedName".into(), text(&self.dn(object))),
            (kind.to_owned(), text(value)),
        ];
        if let Some(parent) = object.parent {
            attributes.push(("parentGUID".into(), vec![guid(parent)]));
        }
        let classes: &[&str] = match object.class {
            Class::Container => &["top", "organizationalUnit"],
            Class::User => &["top", "person", "organizationalPerson", "user"],
            Class::Group => &["top", "group"],
        };
        attributes.push(("objectClass".into(), classes.iter().map(|class| class.as_bytes().to_vec()).collect()));
        if object.deleted {
            attributes.push(("isDeleted".into(), text("TRUE")));
        }
        if !object.text.is_empty() {
            attributes.push(((if object.class == Class::User { "mail" } else { "displayName" }).into(), text(&object.text)));
        }
        let members: Vec<Vec<u8>> = object
            .members
            .iter()
            .filter(|(member, there, _)| *there && self.objects.get(member).is_some_and(|object| !object.deleted))
            .map(|(member, ..)| self.dn(&self.objects[member]).into_bytes())
            .collect();
        if !members.is_empty() {
            attributes.push(("member".into(), members));
        }
        attributes
    }

    /// Those that were asked for, large ones by ranges.
    fn select(&self, attributes: &Attributes, asked: &[String]) -> Attributes {
        let mut selected = Vec::new();
        for name in asked {
            let (name, low) = match name.split_once(";range=") {
                Some((name, range)) => (name, Some(range.split('-').next().unwrap().parse::<usize>().unwrap())),
                None => (name.as_str(), None),
            };
            let Some((_, values)) = attributes.iter().find(|(held, _)| held.eq_ignore_ascii_case(name)) else { continue };
            let from = low.unwrap_or(0);
            if low.is_none() && values.len() <= self.limits.range {
                selected.push((name.to_owned(), values.clone()));
            } else if from < values.len() {
                let to = (from + self.limits.range).min(values.len());
                let high = if to == values.len() { "*".to_owned() } else { (to - 1).to_string() };
                selected.push((name.to_owned(), Vec::new()));
                selected.push((format!("{name};range={from}-{high}"), values[from..to].to_vec()));
            }
        }
        selected
    }
}

/// An objectGUID: the first three groups are little-endian.
fn guid(number: Number) -> Vec<u8> {
    let o = *id(number).as_bytes();
    [[o[3], o[2], o[1], o[0], o[5], o[4], o[7], o[6]].as_slice(), &o[8..]].concat()
}

/// MS-DRSR §5.166.
fn metadata(object: &Object) -> Vec<u8> {
    let mut out = [1u32, 0, u32::try_from(object.stamps.len()).unwrap(), 0].iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>();
    for (name, (stamp, local)) in &object.stamps {
        let attribute: u32 = match *name {
            "name" => 0x0009_0001,
            "isDeleted" => 0x0002_0030,
            _ => 0x0015_0003,
        };
        out.extend(attribute.to_le_bytes());
        out.extend(stamp.version.to_le_bytes());
        out.extend(stamp.time.to_le_bytes());
        out.extend(stamp.invocation);
        out.extend(local.to_le_bytes());
        out.extend(local.to_le_bytes());
    }
    out
}

struct Search<'a> {
    id: i64,
    base: String,
    scope: i64,
    filter: Tlv<'a>,
    asked: Vec<String>,
    controls: Vec<(String, Vec<u8>)>,
}

impl<'a> Search<'a> {
    fn read(id: i64, operation: Tlv<'a>, controls: Vec<(String, Vec<u8>)>) -> Self {
        let parts = operation.parts();
        let asked = parts[7].parts().into_iter().map(Tlv::text).collect();
        Self { id, base: parts[0].text(), scope: parts[1].number(), filter: parts[6], asked, controls }
    }

    fn control(&self, oid: &str) -> Option<&[u8]> {
        self.controls.iter().find(|(held, _)| held == oid).map(|(_, value)| value.as_slice())
    }

    fn done(&self, code: u8, words: &str, controls: &[(&str, Vec<u8>)]) -> Vec<u8> {
        message(self.id, &result(0x65, code, words), controls)
    }

    fn found(&self, name: &str, attributes: &Attributes) -> Vec<u8> {
        message(self.id, &entry(name, attributes), &[])
    }

    fn answer(&self, state: &mut State) -> Vec<u8> {
        if self.base.is_empty() {
            return self.root(state);
        }
        state.searches += 1;
        if self.base == SERVICE {
            let found = self.found(SERVICE, &vec![("invocationId".into(), vec![state.invocation.to_vec()])]);
            return [found, self.done(0, "", &[])].concat();
        }
        let show_deleted = self.control(SHOW_DELETED).is_some();
        let mut candidates = self.candidates(state, show_deleted);
        if candidates.is_empty() && !self.base.eq_ignore_ascii_case("dc=x") {
            return self.done(32, "0000208D: NameErr: DSID-03100238, problem 2001 (NO_OBJECT)", &[]);
        }
        if let Some(value) = self.control(DIRSYNC) {
            return self.dirsync(state, value);
        }
        candidates.retain(|(_, attributes)| matches(self.filter, attributes));
        let paged = self.control(PAGED).map(|value| Tlv::first(value).unwrap().0.parts());
        // Not a snapshot: a place in the order of the objects, as they are when their page comes.
        let after = paged.as_ref().map_or(0, |parts| parts[1].text().parse::<u32>().unwrap_or(0));
        let place = |attributes: &Attributes| number_of(attributes);
        candidates.retain(|(_, attributes)| after == 0 || place(attributes) > after);
        let limit = paged.as_ref().map_or(state.limits.page, |parts| usize::try_from(parts[0].number()).unwrap().min(state.limits.page));
        let more = candidates.len() > limit;
        candidates.truncate(limit);
        let mut out = Vec::new();
        for (name, attributes) in &candidates {
            out.extend(self.found(name, &state.select(attributes, &self.asked)));
        }
        if let (Some(url), 2, false) = (state.reference, self.scope, more) {
            out.extend(message(self.id, &ber(0x73, &octets(url)), &[]));
        }
        let cookie = match (&paged, more) {
            (Some(_), true) => place(&candidates.last().unwrap().1).to_string(),
            _ => String::new(),
        };
        let control = (PAGED, ber(0x30, &[integer(0), octets(cookie)].concat()));
        if let Some(mut between) = state.between.take() {
            between(state);
            state.between = Some(between);
        }
        out.extend(match (paged, more) {
            (None, true) => self.done(4, "more than a page", &[]),
            (None, false) => self.done(0, "", &[]),
            (Some(_), _) => self.done(0, "", &[control]),
        });
        out
    }

    fn root(&self, state: &State) -> Vec<u8> {
        let texts = |values: &[&str]| values.iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>();
        let mut controls = vec![PAGED, SHOW_DELETED, DIRSYNC];
        if state.notifies {
            controls.push(NOTIFICATION);
        }
        let all: Attributes = vec![
            ("namingContexts".into(), texts(&["dc=x", "CN=Configuration,dc=x"])),
            ("defaultNamingContext".into(), texts(&["dc=x"])),
            ("configurationNamingContext".into(), texts(&["CN=Configuration,dc=x"])),
            ("supportedControl".into(), texts(&controls)),
            ("supportedCapabilities".into(), texts(&["1.2.840.113556.1.4.800"])),
            ("dsServiceName".into(), texts(&[SERVICE])),
            ("highestCommittedUSN".into(), texts(&[&state.usn.to_string()])),
        ];
        let asked = all.into_iter().filter(|(name, _)| self.asked.iter().any(|asked| asked.eq_ignore_ascii_case(name))).collect();
        [self.found("", &asked), self.done(0, "", &[])].concat()
    }

    /// Names and attributes of what is at the base, in the scope.
    fn candidates(&self, state: &State, show_deleted: bool) -> Vec<(String, Attributes)> {
        let mut found = Vec::new();
        let wanted = self.base.strip_prefix("<GUID=").map(|rest| rest.trim_end_matches('>').to_owned());
        for object in state.objects.values().filter(|object| state.is_visible(object, show_deleted)) {
            let dn = state.dn(object);
            let is_base = wanted.as_ref().map_or(dn == self.base, |wanted| id(object.number).to_string() == *wanted);
            let below = self.scope == 2 && wanted.is_none() && dn.strip_suffix(&self.base).is_some_and(|above| above.ends_with(','));
            if is_base || below {
                found.push((dn, state.attributes(object)));
            }
        }
        let plain = |number: u32, class: &str, usn: u64| -> Attributes {
            vec![
                ("objectGUID".into(), vec![guid(number)]),
                ("uSNChanged".into(), vec![usn.to_string().into_bytes()]),
                ("objectClass".into(), vec![class.as_bytes().to_vec()]),
            ]
        };
        if show_deleted && state.sees_deleted && self.scope == 2 && self.base == "dc=x" {
            let mut attributes = plain(900_001, "container", 1);
            attributes.push(("isDeleted".into(), vec![b"TRUE".to_vec()]));
            attributes.push(("distinguishedName".into(), vec![TRASH.as_bytes().to_vec()]));
            found.push((TRASH.to_owned(), attributes));
        }
        if self.base == "CN=Sites,CN=Configuration,dc=x" && state.sees_configuration {
            found.push((self.base.clone(), plain(900_002, "sitesContainer", 2)));
        }
        // The order of the objects.
        found.sort_by_key(|(_, attributes)| number_of(attributes));
        found
    }

    /// MS-ADTS §3.1.1.3.4.1.3. The cookie: life and count.
    fn dirsync(&self, state: &mut State, value: &[u8]) -> Vec<u8> {
        let parts = Tlv::first(value).unwrap().0.parts();
        let (flags, cookie) = (parts[0].number(), parts[2].content.to_vec());
        if self.base != "dc=x" {
            return self.done(53, "00002092: SvcErr: the base is not a naming context", &[]);
        }
        // OBJECT_SECURITY: without it a replication right is needed.
        if flags & 1 == 0 {
            return self.done(50, "00002105: SecErr: replication access was denied", &[]);
        }
        // With another life: everything, without a word.
        let above = cookie.strip_prefix(state.invocation.as_slice()).map_or(0, |count| u64::from_be_bytes(count.try_into().unwrap()));
        let mut changed: Vec<&Object> =
            state.objects.values().filter(|object| object.changed > above && state.is_visible(object, true)).collect();
        // A whole dump leaves out what is gone.
        changed.retain(|object| above > 0 || !object.deleted);
        // And whose change is in none of the attributes asked for.
        let asks_name = self.asked.iter().any(|name| name == "name");
        changed.retain(|object| {
            let only_name = object.stamps.iter().all(|(name, (_, local))| *name == "name" || *local <= above)
                && object.stamps.get("name").is_some_and(|(_, local)| *local == object.changed);
            object.created > above || asks_name || !only_name
        });
        changed.sort_by_key(|object| object.changed);
        let more = changed.len() > state.limits.dirsync;
        changed.truncate(state.limits.dirsync);
        let mut out = Vec::new();
        for object in &changed {
            let attributes = state.delta(object, above);
            let mut asked = self.asked.clone();
            asked.extend(["objectGUID", "parentGUID", "isDeleted"].map(str::to_owned));
            let mut selected: Attributes = Vec::new();
            for (name, values) in attributes {
                if asked.iter().any(|wanted| wanted.eq_ignore_ascii_case(&name)) {
                    selected.push((name, values));
                }
            }
            out.extend(self.found(&state.dn(object), &selected));
        }
        let count = if more { changed.last().unwrap().changed } else { state.usn.max(above) };
        let cookie = [state.invocation.as_slice(), &count.to_be_bytes()].concat();
        let control = ber(0x30, &[integer(i64::from(more)), integer(0), octets(cookie)].concat());
        if let Some(mut between) = state.between.take() {
            between(state);
            state.between = Some(between);
        }
        out.extend(self.done(0, "", &[(DIRSYNC, control)]));
        out
    }
}

fn number_of(attributes: &Attributes) -> u32 {
    let guid = &attributes.iter().find(|(name, _)| name == "objectGUID").unwrap().1[0];
    u32::from_le_bytes(guid[..4].try_into().unwrap())
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>, mut told: broadcast::Receiver<Number>) {
    let mut buffer = Vec::new();
    let mut watches: Vec<i64> = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let mut out = Vec::new();
        tokio::select! {
            read = stream.read(&mut chunk) => match read {
                Ok(length @ 1..) => buffer.extend_from_slice(&chunk[..length]),
                _ => return,
            },
            number = told.recv() => {
                let Ok(number) = number else { return };
                let state = state.lock().unwrap();
                let object = &state.objects[&number];
                if state.is_visible(object, true) {
                    let dn = state.dn(object);
                    for watch in &watches {
                        // Not all that an entry has comes with a notification.
                        out.extend(message(*watch, &entry(&dn, &[("objectGUID".into(), vec![guid(number)])]), &[]));
                    }
                }
            }
        }
        while let Some(request) = take(&mut buffer) {
            let parts = Tlv::first(&request).unwrap().0.parts();
            let (id, operation) = (parts[0].number(), parts[1]);
            let controls: Vec<(String, Vec<u8>)> = parts
                .get(2)
                .map(|controls| {
                    let read = |control: Tlv<'_>| {
                        let parts = control.parts();
                        let value = parts.iter().skip(1).find(|part| part.tag == 4).map(|part| part.content.to_vec());
                        (parts[0].text(), value.unwrap_or_default())
                    };
                    controls.parts().into_iter().map(read).collect()
                })
                .unwrap_or_default();
            match operation.tag {
                0x60 => out.extend(message(id, &result(0x61, 0, ""), &[])),
                0x63 => {
                    let search = Search::read(id, operation, controls);
                    if search.control(NOTIFICATION).is_some() {
                        let top = ["dc=x", "CN=Configuration,dc=x"].contains(&search.base.as_str());
                        if !top || search.scope != 2 || search.filter.tag != 0x87 {
                            out.extend(search.done(53, "00000057: LdapErr: DSID-0C090852, notifications at the top only", &[]));
                        } else if watches.len() == 5 {
                            out.extend(search.done(11, "five notifications are the limit", &[]));
                        } else {
                            watches.push(id);
                        }
                    } else {
                        out.extend(search.answer(&mut state.lock().unwrap()));
                    }
                }
                0x42 => return,
                _ => {}
            }
        }
        if stream.write_all(&out).await.is_err() {
            return;
        }
    }
}
