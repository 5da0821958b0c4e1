//! What the store costs: a first list, single events, a list again, saving. `cargo bench --bench store [-- USERS]`.
//!
//! The organisation: an OU for every hundred users, each user with a dozen attributes and in four groups of a hundred, and
//! one group that holds everybody. Memory is the growth of the resident set between an empty store and a loaded one; the events
//! are made one at a time, so that they are not in it.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and stops at the first surprise")]

use std::time::Instant;

use dialcast::directory::{Entry, Event};
use dialcast::model::{Attributes, ObjectId, Timestamp};
use dialcast::store::{Store, saved};

const PER_OU: u32 = 100;

fn id(class: u8, number: u32) -> ObjectId {
    let mut bytes = [class; 16];
    // Ids are random in life: spread them.
    let spread = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    for (slot, byte) in bytes.iter_mut().zip(spread.into_iter().chain(number.to_be_bytes())) {
        *slot = byte;
    }
    ObjectId::from_bytes(bytes)
}

fn entry(class: u8, number: u32, dn: &str, attributes: &[(&str, &str)]) -> Entry {
    let attributes: Attributes = attributes.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
    Entry { id: id(class, number), dn: dn.parse().unwrap(), attributes }
}

fn user_dn(number: u32) -> String {
    format!("uid=user{number},ou=Team {},ou=People,dc=corp,dc=example", number / PER_OU)
}

fn user(number: u32, title: &str) -> Entry {
    let name = format!("User Number {number}");
    let (uid, mail) = (format!("user{number}"), format!("user{number}@corp.example"));
    let attributes = [
        ("objectClass", "inetOrgPerson"),
        ("objectClass", "organizationalPerson"),
        ("objectClass", "person"),
        ("objectClass", "SIPIdentity"),
        ("cn", &name),
        ("sn", "Number"),
        ("displayName", &name),
        ("uid", &uid),
        ("mail", &mail),
        ("SIPIdentitySIPURI", &format!("sip:{mail}")),
        ("telephoneNumber", "+49 30 12345678"),
        ("createTimestamp", "20260101000000Z"),
        ("title", title),
    ];
    entry(b'u', number, &user_dn(number), &attributes)
}

fn group(number: u32, members: impl Iterator<Item = u32>) -> Entry {
    let mut entry = entry(b'g', number, &format!("cn=group{number},ou=Groups,dc=corp,dc=example"), &[("objectClass", "groupOfNames")]);
    entry.attributes.add("member", members.map(|member| user_dn(member).into_bytes()));
    entry
}

fn ou(number: u32, below: &str) -> Entry {
    entry(b'o', number, &format!("ou=Team {number},{below}"), &[("objectClass", "organizationalUnit")])
}

/// The whole organisation, one event at a time.
fn list(users: u32) -> impl Iterator<Item = Event> {
    let top = [
        entry(b'r', 0, "dc=corp,dc=example", &[("objectClass", "domain")]),
        entry(b'r', 1, "ou=People,dc=corp,dc=example", &[("objectClass", "organizationalUnit")]),
        entry(b'r', 2, "ou=Groups,dc=corp,dc=example", &[("objectClass", "organizationalUnit")]),
    ];
    let groups = users / PER_OU * 4;
    let ous = (0..users / PER_OU).map(|number| ou(number, "ou=People,dc=corp,dc=example"));
    let people = (0..users).map(|number| user(number, "Engineer"));
    let small = (0..groups).map(move |number| group(number, (0..PER_OU).map(move |n| (n * (users / PER_OU) + number * 7) % users)));
    let entries = top.into_iter().chain(ous).chain(people).chain(small).chain([group(u32::MAX, 0..users)]);
    [Event::Init].into_iter().chain(entries.map(Event::InitApply)).chain([Event::InitDone { sweep: true, cookie: None }])
}

/// Octets of memory that belong to the process now, where the system says so.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Feeds events; milliseconds spent in the store alone.
fn feed(store: &mut Store, events: impl Iterator<Item = Event>) -> (f64, usize) {
    let (mut spent, mut changes) = (0.0, 0);
    for event in events {
        let start = Instant::now();
        let applied = store.apply(event, Timestamp(0));
        spent += start.elapsed().as_secs_f64() * 1e3;
        changes += applied.changes.map_or(0, |set| set.changes.len());
    }
    (spent, changes)
}

fn main() {
    let users: u32 = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let mut store = Store::new();
    let before = resident();
    let (spent, changes) = feed(&mut store, list(users));
    println!("first list of {users} users      {spent:>9.1} ms  {:>6.2} µs/user  {changes} changes", spent * 1e3 / f64::from(users));
    if let (Some(before), Some(after)) = (before, resident()) {
        println!("memory                          {:>9} octets/user", (after - before) / u64::from(users));
    }
    let each = |what: &str, store: &mut Store, event: Event| {
        let (spent, changes) = feed(store, [event].into_iter());
        println!("{what:<32}{spent:>9.3} ms  {changes} changes");
    };
    each("one user's title", &mut store, Event::Apply(user(users / 2, "Director")));
    each("the same again", &mut store, Event::Apply(user(users / 2, "Director")));
    each("an OU moves, and 100 users", &mut store, Event::Apply(ou(3, "ou=Team 4,ou=People,dc=corp,dc=example")));
    each("one leaves everybody, names stale", &mut store, Event::Apply(group(u32::MAX, 1..users)));
    each("one joins everybody", &mut store, Event::Apply(group(u32::MAX, 0..users)));
    each("a user is deleted", &mut store, Event::Delete(id(b'u', 77)));
    let few = users / PER_OU;
    let (spent, changes) = feed(&mut store, (0..few).map(|number| Event::Delete(id(b'u', number * PER_OU))));
    println!("{few:<5}users are deleted           {spent:>9.3} ms  {changes} changes");
    let (spent, changes) = feed(&mut store, list(users));
    println!("the list again                  {spent:>9.1} ms  {changes} changes");
    let state = store.snapshot();
    let start = Instant::now();
    let mut bytes = Vec::new();
    saved::write(&mut bytes, &state, None, &[], "ldap://bench").unwrap();
    println!("saving                          {:>9.1} ms  {} MB", start.elapsed().as_secs_f64() * 1e3, bytes.len() / 1_000_000);
    let start = Instant::now();
    let again = saved::read(&mut &*bytes, "ldap://bench").unwrap().snapshot;
    println!("restoring                       {:>9.1} ms", start.elapsed().as_secs_f64() * 1e3);
    assert_eq!(again.len(), state.len());
}
