//! From an LDAP modify to the NOTIFY on the wire, with a real slapd: `cargo bench --bench latency`.
//!
//! The time runs from the sending of the modify until a phone has read the NOTIFY. It is printed beside the floor, measured
//! in the same run: the same change as a bare syncrepl consumer sees it, and a datagram of a NOTIFY's size on the loopback.
//! What the floor does not hold is Dialcast's own: feed, store, policy, document, notifier.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::HashSet;
use std::net::UdpSocket;
use std::sync::mpsc;
use std::time::Instant;

use common::daemon::Serve;
use common::document::value;
use common::organisation::{people, sample, unit};
use common::phone::Phone;
use common::slapd::{Setup, Slapd};
use ldap3::controls::{RefreshMode, SyncRequest};
use ldap3::{Ldap, LdapConnAsync, Mod, Scope, SearchEntry};

/// What is changed, and a user below it who has a phone: whoever else is below is resolved and rendered as well.
struct Place {
    what: &'static str,
    dn: &'static str,
    user: &'static str,
}

const PLACES: [Place; 3] = [
    Place { what: "one user's own entry", dn: "uid=a001,ou=Few,ou=Berlin,dc=corp,dc=example", user: "a001@corp.example" },
    Place { what: "an OU of 40 users", dn: "ou=Few,ou=Berlin,dc=corp,dc=example", user: "a002@corp.example" },
    Place { what: "an OU of 1,000 users", dn: "ou=Many,ou=Berlin,dc=corp,dc=example", user: "b001@corp.example" },
];

/// Changes measured with no quiet time; with the default one, which takes 50 ms each, fewer.
const CHANGES: u32 = 500;
const CHANGES_QUIET: u32 = 100;

/// Milliseconds, sorted.
struct Times(Vec<f64>);

impl Times {
    fn new(mut ms: Vec<f64>) -> Self {
        ms.sort_by(f64::total_cmp);
        Self(ms)
    }

    fn at(&self, percent: usize) -> f64 {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

fn ms(from: Instant, to: Instant) -> f64 {
    (to - from).as_secs_f64() * 1e3
}

async fn connect(slapd: &Slapd) -> Ldap {
    let (connection, mut ldap) = LdapConnAsync::new(&format!("ldap://{}", slapd.address())).await.unwrap();
    ldap3::drive!(connection);
    ldap.simple_bind(Slapd::ADMIN, Slapd::PASSWORD).await.unwrap().success().unwrap();
    ldap
}

/// Sets `forward.delay` there; gives the time before the modify was sent.
async fn change(ldap: &mut Ldap, dn: &str, delay: u32) -> Instant {
    let lines = HashSet::from([format!("forward.delay = {delay}")]);
    let sent = Instant::now();
    ldap.modify(dn, vec![Mod::Replace("dialcastSetting".to_owned(), lines)]).await.unwrap().success().unwrap();
    sent
}

/// Delays from 1 to 600 s are valid; each differs from the one before.
fn delay(n: u32) -> u32 {
    1 + n % 600
}

/// How long the same change takes to a consumer that does nothing.
async fn syncrepl(slapd: &Slapd) -> Times {
    let dn = PLACES[1].dn;
    let (mut writer, mut consumer) = (connect(slapd).await, connect(slapd).await);
    let request = SyncRequest { mode: RefreshMode::RefreshAndPersist, cookie: None, reload_hint: false };
    let (ready, is_ready) = mpsc::channel();
    let (seen, events) = mpsc::channel();
    let watcher = tokio::spawn(async move {
        let mut search =
            consumer.with_controls(request).streaming_search(Slapd::SUFFIX, Scope::Subtree, "(objectClass=*)", vec!["*"]).await.unwrap();
        while let Ok(Some(entry)) = search.next().await {
            let at = Instant::now();
            // Sync Info: the refresh is over when slapd says so, whatever else it says.
            if entry.is_intermediate() {
                let _ = ready.send(());
                continue;
            }
            let entry = SearchEntry::construct(entry);
            if let (true, Some(line)) = (entry.dn == dn, entry.attrs.get("dialcastSetting").and_then(|lines| lines.first())) {
                let _ = seen.send((at, line.clone()));
            }
        }
    });
    tokio::task::block_in_place(|| is_ready.recv_timeout(common::PATIENCE)).expect("the refresh ends");
    let mut times = Vec::new();
    for n in 0..CHANGES {
        let sent = change(&mut writer, dn, delay(n)).await;
        let wanted = format!("forward.delay = {}", delay(n));
        let at = tokio::task::block_in_place(|| {
            std::iter::from_fn(|| events.recv_timeout(common::PATIENCE).ok()).find(|(_, line)| *line == wanted).expect("the change comes").0
        });
        times.push(ms(sent, at));
    }
    watcher.abort();
    Times::new(times)
}

/// A datagram of `size` octets there and 300 back.
fn round_trip(size: usize) -> Times {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    near.connect(far.local_addr().unwrap()).unwrap();
    far.connect(near.local_addr().unwrap()).unwrap();
    near.set_read_timeout(Some(common::PATIENCE)).unwrap();
    far.set_read_timeout(Some(common::PATIENCE)).unwrap();
    let echo = std::thread::spawn(move || {
        let mut buffer = vec![0; 65_535];
        for _ in 0..CHANGES {
            far.recv(&mut buffer).unwrap();
            far.send(&[0; 300]).unwrap();
        }
    });
    let (message, mut buffer) = (vec![0; size], [0; 512]);
    let times = (0..CHANGES).map(|_| {
        let start = Instant::now();
        near.send(&message).unwrap();
        near.recv(&mut buffer).unwrap();
        ms(start, Instant::now())
    });
    let times = Times::new(times.collect());
    echo.join().unwrap();
    times
}

/// The whole way, with this configuration; and the size of a document.
async fn notify(slapd: &Slapd, config: &str, place: &Place, changes: u32) -> (Times, usize) {
    let daemon = Serve::on(slapd.url()).config(config).start();
    let (mut phone, body) = Phone::subscribe(daemon.address, place.user, common::PATIENCE);
    let (got, notifies) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for _ in 0..changes {
            if got.send(phone.next()).is_err() {
                break;
            }
        }
    });
    let mut writer = connect(slapd).await;
    let first: u32 = value(&body, "forward.delay").unwrap().parse().unwrap();
    let mut times = Vec::new();
    for n in first..first + changes {
        let sent = change(&mut writer, place.dn, delay(n)).await;
        let (at, body) = tokio::task::block_in_place(|| notifies.recv_timeout(common::PATIENCE)).expect("the NOTIFY comes");
        assert_eq!(value(&body, "forward.delay").unwrap(), delay(n).to_string());
        times.push(ms(sent, at));
    }
    reader.join().unwrap();
    (Times::new(times), body.len())
}

fn row(what: &str, times: &Times, remark: &str) {
    println!("  {what:<46} {:>9.3} {:>9.3}   {remark}", times.at(50), times.at(99));
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo bench` passes `--bench` and filters; there is one benchmark here.
    let mut ldif = sample() + &unit("ou=Few,ou=Berlin,dc=corp,dc=example", &["forward.delay = 1"]);
    ldif += &people("a", 1..=40, "ou=Few,ou=Berlin,dc=corp,dc=example").replacen(
        "inetOrgPerson\n",
        "inetOrgPerson\nobjectClass: dialcastPolicy\n",
        1,
    );
    ldif += &(unit("ou=Many,ou=Berlin,dc=corp,dc=example", &["forward.delay = 1"])
        + &people("b", 1..=1000, "ou=Many,ou=Berlin,dc=corp,dc=example"));
    let slapd = Setup::new(ldif).global("sizelimit unlimited").start();
    let floor = syncrepl(&slapd).await;
    let mut rows = Vec::new();
    let mut size = 0;
    for (config, quiet_ms, changes) in [("[notify]\nquiet_ms = 0", 0.0, CHANGES), ("", 50.0, CHANGES_QUIET)] {
        for place in &PLACES {
            let (times, octets) = notify(&slapd, config, place, changes).await;
            size = octets;
            rows.push((place.what, quiet_ms, times));
        }
    }
    let datagram = round_trip(size + 600);
    // Half of the round trip is on the way to the phone.
    let floor_ms = floor.at(50) + datagram.at(50) / 2.0;

    println!("LDAP modify -> NOTIFY on the wire: {size}-octet documents, ms from sending the modify");
    println!("  {:<46} {:>9} {:>9}", "", "p50", "p99");
    row("floor: slapd's event at a bare consumer", &floor, "");
    row("floor: datagram round trip", &datagram, "");
    for (place, quiet_ms, times) in rows {
        let (p50, p99) = (times.at(50) - quiet_ms, times.at(99) - quiet_ms);
        let target = if quiet_ms > 0.0 { format!("debounce + {p50:.1} ms, p99 + {p99:.1} ms (target: + 5); ") } else { String::new() };
        row(
            &format!("{place}, quiet_ms = {quiet_ms}"),
            &times,
            &format!("{target}{:.1} x the floor, p99 {:.1} x", p50 / floor_ms, p99 / floor_ms),
        );
    }
}
