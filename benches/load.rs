//! The first list of a large organisation: seconds and memory, step by step. `cargo bench --bench load [-- USERS]`.
//!
//! The way is the daemon's: LDIF in a temporary folder → `directory::watch` → store → policy → documents. One million users by
//! default, in OUs of 250 in 20 regions. Each user is in three groups (its team's; one drawn at random; one of its region that lists
//! everybody there by name), and the teams' groups are nested in the regions', those in one of everybody. Regions have policies and
//! servers, one OU in ten and one random group in a hundred have policies. Everything is the same on every run.
//!
//! What is counted: octets that are allocated and not yet freed, and the blocks they are in; a block costs the allocator about 16
//! octets more, which is added. *Attributes* are the octets of the values that the store keeps, each once; the names of attributes
//! are shared, and so are equal lists of object classes: they are not counted per entry. *Beyond* is all the rest. The resident set is
//! what the operator sees, with what the allocator did not give back.
//!
//! The floor: reading the file, and copying the values, and nothing else, into one piece of memory.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and stops at the first surprise")]

use std::alloc::System;
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

use dialcast::directory::{self, Event, LdifOptions, Report, Source};
use dialcast::document::{Document, Renderer};
use dialcast::model::{Kind, Timestamp};
use dialcast::policy::{Engine, PolicyConfig, UserChange};
use dialcast::store::{Snapshot, Store};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What the allocator adds to a block, in octets: its header, and rounding to 16.
const BLOCK: i64 = 16;
const PER_OU: u32 = 250;
const REGIONS: u32 = 20;
/// Members of a random group.
const PER_GROUP: u32 = 500;

/// The organisation as LDIF.
struct Organisation {
    users: u32,
}

impl Organisation {
    fn ous(&self) -> u32 {
        self.users.div_ceil(PER_OU)
    }

    fn region(ou: u32) -> u32 {
        ou % REGIONS
    }

    fn user_dn(user: u32) -> String {
        let ou = user / PER_OU;
        format!("uid=user{user},ou=Team {ou},ou=Region {},dc=corp,dc=example", Self::region(ou))
    }

    /// A number that looks like chance.
    fn spread(number: u32) -> u64 {
        let mixed = (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    fn uuid(class: u8, number: u32) -> String {
        let (high, low) = (Self::spread(number), Self::spread(number ^ 0x5555_5555));
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:02x}{class:02x}{number:08x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low & 0xfff,
            low >> 12 & 0xff
        )
    }

    fn user(out: &mut impl std::io::Write, user: u32) {
        let family = ["Weber", "Martin", "Rossi", "Novak", "Jensen", "Costa", "Schneider", "Kowalski"][user as usize % 8];
        let given = ["Anna", "Ben", "Clara", "David", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jan", "Klara"][user as usize % 11];
        let dn = Self::user_dn(user);
        let (uuid, tel) = (Self::uuid(b'u', user), 10_000_000 + user);
        writeln!(
            out,
            "dn: {dn}\nobjectClass: top\nobjectClass: person\nobjectClass: organizationalPerson\nobjectClass: inetOrgPerson\n\
             entryUUID: {uuid}\ncreateTimestamp: 2026{:02}{:02}{:02}{:02}{:02}Z\nuid: user{user}\ncn: {given} {family} {user}\nsn: {family}\n\
             givenName: {given}\ndisplayName: {given} {family}\nmail: {}.{}.{user}@corp.example\ntelephoneNumber: +49 30 {tel}\n",
            1 + user % 12,
            1 + user % 28,
            user % 24,
            user % 60,
            user / 7 % 60,
            given.to_lowercase(),
            family.to_lowercase(),
        )
        .unwrap();
    }

    fn group(out: &mut impl std::io::Write, number: u32, name: &str, lines: &str, members: impl Iterator<Item = String>) {
        let uuid = Self::uuid(b'g', number);
        writeln!(out, "dn: cn={name},ou=Groups,dc=corp,dc=example\nobjectClass: groupOfNames\nentryUUID: {uuid}\ncn: {name}").unwrap();
        out.write_all(lines.as_bytes()).unwrap();
        for member in members {
            writeln!(out, "member: {member}").unwrap();
        }
        writeln!(out).unwrap();
    }

    fn write(&self, out: &mut impl std::io::Write) {
        let policy = |lines: &[&str]| {
            lines.iter().fold("objectClass: dialcastPolicy\n".to_owned(), |mut all, line| {
                writeln!(all, "dialcastSetting: {line}").unwrap();
                all
            })
        };
        let domain = policy(&[
            "sip.registrar = 10 50 sips:reg1.corp.example",
            "sip.registrar = 10 50 sips:reg2.corp.example",
            "sip.outbound-proxy = @nearest(outbound-proxy)",
            "media.srtp ! required",
            "net.stun = 10 0 stun:stun.corp.example",
            "emergency.number = 112,110",
            "dial.rule = ^0([1-9][0-9]*)$ -> +49$1",
            "voicemail.uri = sip:voicemail@corp.example",
        ]);
        writeln!(out, "dn: dc=corp,dc=example\nobjectClass: domain\nentryUUID: {}\n{domain}", Self::uuid(b'd', 0)).unwrap();
        writeln!(out, "dn: ou=Groups,dc=corp,dc=example\nobjectClass: organizationalUnit\nentryUUID: {}\n", Self::uuid(b'd', 1)).unwrap();
        for region in 0..REGIONS {
            let lines = policy(&[&format!("timezone = Europe/{}", ["Berlin", "Paris", "Rome", "Madrid"][region as usize % 4])]);
            let uuid = Self::uuid(b'r', region);
            writeln!(out, "dn: ou=Region {region},dc=corp,dc=example\nobjectClass: organizationalUnit\nentryUUID: {uuid}\n{lines}")
                .unwrap();
            writeln!(
                out,
                "dn: cn=proxy,ou=Region {region},dc=corp,dc=example\nobjectClass: dialcastServer\nentryUUID: {}\ndialcastRole: outbound-proxy\n\
                 dialcastServerAddress: 10 50 sips:proxy1.region{region}.corp.example\n\
                 dialcastServerAddress: 10 50 sips:proxy2.region{region}.corp.example\n",
                Self::uuid(b's', region)
            )
            .unwrap();
        }
        for ou in 0..self.ous() {
            let lines = if ou.is_multiple_of(10) { policy(&["video.max-height = 720", "forward.delay = 25"]) } else { String::new() };
            let (region, uuid) = (Self::region(ou), Self::uuid(b'o', ou));
            writeln!(
                out,
                "dn: ou=Team {ou},ou=Region {region},dc=corp,dc=example\nobjectClass: organizationalUnit\nentryUUID: {uuid}\n{lines}"
            )
            .unwrap();
            for user in ou * PER_OU..((ou + 1) * PER_OU).min(self.users) {
                Self::user(out, user);
            }
        }
        self.write_groups(out);
    }

    fn write_groups(&self, out: &mut impl std::io::Write) {
        let users = self.users;
        let group_dn = |name: &str| format!("cn={name},ou=Groups,dc=corp,dc=example");
        let mut number = 0;
        let mut next = || {
            number += 1;
            number
        };
        for ou in 0..self.ous() {
            let members = ou * PER_OU..((ou + 1) * PER_OU).min(users);
            Self::group(out, next(), &format!("Team {ou}"), "", members.map(Self::user_dn));
        }
        let random = users.div_ceil(PER_GROUP);
        for group in 0..random {
            let lines = format!("objectClass: dialcastPolicy\ndialcastSetting: forward.delay = {}\n", 20 + group % 40);
            let lines = if group.is_multiple_of(100) { lines.as_str() } else { "" };
            // Steps through all users, so that each is in one of these groups.
            let members = (0..PER_GROUP).map(|n| n * random + (group + n * 7) % random).filter(|user| *user < users);
            Self::group(out, next(), &format!("Project {group}"), lines, members.map(Self::user_dn));
        }
        for region in 0..REGIONS {
            let ous = (0..self.ous()).filter(|ou| Self::region(*ou) == region);
            let teams = ous.clone().map(|ou| group_dn(&format!("Team {ou}")));
            Self::group(out, next(), &format!("Teams of Region {region}"), "", teams);
            let people = ous.flat_map(|ou| ou * PER_OU..((ou + 1) * PER_OU).min(users)).map(Self::user_dn);
            let lines = "objectClass: dialcastPolicy\ndialcastSetting: language = de\n";
            Self::group(out, next(), &format!("People of Region {region}"), lines, people);
        }
        let regions = (0..REGIONS).map(|region| group_dn(&format!("Teams of Region {region}")));
        Self::group(
            out,
            next(),
            "Everybody",
            "objectClass: dialcastPolicy\ndialcastSetting: support.uri = https://help.corp.example/\n",
            regions,
        );
    }
}

/// Where memory and time stand.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    cpu_s: f64,
    octets: i64,
    blocks: i64,
    resident: u64,
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("0");
    line.trim_start_matches(':').split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

impl Mark {
    fn now() -> Self {
        let held = ALLOCATOR.stats();
        let signed = |number: usize| i64::try_from(number).unwrap();
        // Fields 14 and 15 of stat: user and system time of all threads, in hundredths of a second.
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let ticks = |field: usize| stat.rsplit(')').next()?.split_whitespace().nth(field - 3)?.parse::<u32>().ok();
        Self {
            at: Instant::now(),
            cpu_s: f64::from(ticks(14).unwrap_or(0) + ticks(15).unwrap_or(0)) / 100.0,
            octets: signed(held.bytes_allocated) - signed(held.bytes_deallocated),
            blocks: signed(held.allocations) - signed(held.deallocations),
            resident: status("VmRSS"),
        }
    }

    /// Octets that are in use, what the allocator adds included.
    fn memory(&self) -> i64 {
        self.octets + self.blocks * BLOCK
    }
}

/// Prints the steps, each beside the one before.
struct Steps {
    users: u32,
    last: Mark,
}

impl Steps {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    fn step(&mut self, what: &str) -> i64 {
        let now = Mark::now();
        let grown = now.memory() - self.last.memory();
        let per_user = |octets: i64| octets as f64 / f64::from(self.users);
        println!(
            "{what:<34}{:>8.1} s {:>8.1} s cpu  {:>9.0} a user in {:>5.1} blocks   resident {:>6} MB, at most {:>6} MB",
            (now.at - self.last.at).as_secs_f64(),
            now.cpu_s - self.last.cpu_s,
            per_user(grown),
            per_user(now.blocks - self.last.blocks),
            now.resident >> 20,
            status("VmHWM") >> 20,
        );
        // So that the next step has a peak of its own.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        self.last = Mark::now();
        grown
    }
}

/// The octets of the values that the snapshot holds, and how many memberships there are.
fn kept(snapshot: &Snapshot) -> (usize, usize) {
    let (mut octets, mut members) = (0, 0);
    for object in snapshot.iter() {
        for (name, values) in object.attributes.iter().filter(|(name, _)| *name != "objectclass") {
            octets += values.iter().map(<[u8]>::len).sum::<usize>();
            members += if name == "member" { values.len() } else { 0 };
        }
    }
    (octets, members)
}

/// The least that has to be done: the file read, its values copied.
fn floor(file: &Path) -> Vec<u8> {
    let bytes = std::fs::read(file).unwrap();
    let mut arena = Vec::with_capacity(bytes.len());
    for line in bytes.split(|&b| b == b'\n').filter(|line| !line.starts_with(b"objectClass: ") && !line.starts_with(b"dn: ")) {
        if let Some(colon) = line.iter().position(|&b| b == b':') {
            arena.extend_from_slice(&line[colon + 2..]);
        }
    }
    arena.shrink_to_fit();
    arena
}

/// The feed, which goes on watching the file.
struct Feed {
    runtime: Runtime,
    received: mpsc::Receiver<Report>,
    /// How often it told how far it has come.
    progress: u64,
}

/// Reads the LDIF as the daemon does, up to the end of the first list.
fn read(file: &Path) -> (Store, Feed) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (reports, received) = mpsc::channel(1024);
    runtime.spawn(directory::watch(Source::Ldif(LdifOptions::new(file.to_owned())), None, reports));
    let mut feed = Feed { runtime, received, progress: 0 };
    let mut store = Store::new();
    while let Some(report) = feed.runtime.block_on(feed.received.recv()) {
        match report {
            Report::Event(event) => {
                let last = matches!(event, Event::InitDone { .. });
                store.apply(event, Timestamp(0));
                if last {
                    break;
                }
            }
            Report::Down { why, .. } => unreachable!("{why}"),
            Report::Progress { .. } => feed.progress += 1,
            Report::Up { .. } | Report::Faults(_) => {}
        }
    }
    (store, feed)
}

fn main() {
    let users: u32 = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("organisation.ldif");
    let mut out = BufWriter::new(std::fs::File::create(&file).unwrap());
    Organisation { users }.write(&mut out);
    out.flush().unwrap();
    drop(out);
    println!("{users} users, {} MB of LDIF", file.metadata().unwrap().len() / 1_000_000);
    let begun = Mark::now();
    let mut report = Steps { users, last: begun };

    let arena = floor(&file);
    report.step("floor: read and copy");
    drop(arena);
    report.step("  given back");

    let loading = Mark::now();
    let (store, feed) = read(&file);
    let with_feed = report.step("LDIF and store");
    let snapshot = store.snapshot();
    let mut engine = Engine::new(PolicyConfig::default());
    let mut outcome = engine.load_by_parts(&snapshot);
    let in_engine = report.step("policy: resolve everybody");
    let mut renderer = Renderer::new();
    let mut documents: Vec<Document> = Vec::with_capacity(outcome.later.len());
    while let Some(part) = engine.part(&mut outcome.later) {
        let resolved = |change| if let UserChange::Resolved { now, .. } = change { Some(now) } else { None };
        documents.extend(part.into_iter().filter_map(resolved).map(|resolved| renderer.profile(&resolved)));
    }
    drop((outcome, renderer));
    let with_documents = report.step("documents: render everybody");
    let done = Mark::now();
    assert_eq!(documents.len(), snapshot.iter().filter(|object| object.kind == Kind::User).count(), "everybody has a document");
    let octets: usize = documents.iter().map(|document| document.body.len()).sum();
    let documents_len = documents.len();
    drop(documents);
    let in_documents = -report.step("  given back");
    let in_engine = in_engine + with_documents - in_documents;
    let progress = feed.progress;
    drop(feed);
    let in_feed = -report.step("  and what the feed remembers");
    let (attributes, members) = kept(&snapshot);

    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let per_user = |octets: i64| octets as f64 / f64::from(users);
    let attributes = i64::try_from(attributes).unwrap();
    let in_store = with_feed - in_feed - attributes;
    println!();
    println!(
        "everything              {:>8.1} s wall, {:.1} s cpu   target: under 30 s",
        (done.at - loading.at).as_secs_f64(),
        done.cpu_s - loading.cpu_s
    );
    println!(
        "attributes kept         {:>8.0} octets a user; {:.1} memberships",
        per_user(attributes),
        per_user(i64::try_from(members).unwrap())
    );
    println!("store beyond            {:>8.0} octets a user", per_user(in_store));
    println!("engine                  {:>8.0} octets a user", per_user(in_engine));
    println!("store and engine beyond {:>8.0} octets a user   target: under 1000", per_user(in_store + in_engine));
    println!("LDIF alone: its feed    {:>8.0} octets a user, to tell what an edit changes", per_user(in_feed));
    println!("documents               {:>8.0} octets a user, of {} each", per_user(in_documents), octets / documents_len);
    println!("progress was told {progress} times");
}
