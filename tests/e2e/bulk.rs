//! 50,000 users and a group of 100,000 members are imported while the daemon runs: it tells how far it is, its memory stays within
//! bounds, and each phone that the group is about gets one NOTIFY, and no other phone any.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::common::alone;
use crate::common::daemon::Daemon;
use crate::common::document::value;
use crate::common::organisation::sample;
use crate::common::phone::Phone;
use crate::common::slapd::Slapd;

const USERS: u32 = 50_000;
const MEMBERS: u32 = 100_000;
/// An import takes seconds; this is a limit on hanging, on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(300);
/// The most memory of the daemon, with all documents: 12 KB for each of the 50,000.
const MEMORY_MAX: u64 = 600 << 20;

/// Users whom the group lists, and users whom it does not.
const LISTED: [&str; 3] = ["anna", "kim", "paula"];
const OTHERS: [&str; 3] = ["ben", "lars", "rui"];

/// Who is imported: the users, and a group with a line for its members. Half of those are not there yet.
fn import(sample: &str) -> String {
    let mut ldif = String::from("\ndn: ou=Import,dc=corp,dc=example\nobjectClass: organizationalUnit\nou: Import\n");
    for n in 0..USERS {
        write!(
            ldif,
            "\ndn: uid=bulk{n},ou=Import,dc=corp,dc=example\nobjectClass: inetOrgPerson\nuid: bulk{n}\ncn: Bulk {n}\nsn: Bulk\n\
             mail: bulk{n}@corp.example\ntelephoneNumber: +49 30 7{n:05}\n"
        )
        .unwrap();
    }
    ldif += "\ndn: cn=Imported,ou=Groups,dc=corp,dc=example\nobjectClass: groupOfNames\nobjectClass: dialcastPolicy\ncn: Imported\n\
             dialcastSetting: forward.delay = 77\n";
    let here = LISTED.iter().map(|user| dn(sample, user));
    let bulk = (0..MEMBERS - 3).map(|n| format!("uid=bulk{n},ou=Import,dc=corp,dc=example"));
    for member in here.chain(bulk) {
        writeln!(ldif, "member: {member}").unwrap();
    }
    ldif
}

/// The name of a user of the sample.
fn dn(sample: &str, user: &str) -> String {
    let start = format!("dn: uid={user},");
    sample.lines().find(|line| line.starts_with(&start)).and_then(|line| line.strip_prefix("dn: ")).unwrap().to_owned()
}

/// Whether a document is of after the last change: a number that all who have a phone here are given.
fn fenced(body: &str) -> bool {
    body.contains("tel:+49309999")
}

/// A phone's thread: who it is, and each NOTIFY by its number.
type Listening = std::thread::JoinHandle<(&'static str, BTreeMap<u32, String>)>;

/// Phones that answer at once, each on a thread: what each got, by number, up to the last change.
fn phones(daemon: &Daemon) -> (mpsc::Receiver<&'static str>, Vec<Listening>) {
    let (told, heard) = mpsc::channel();
    let phones = LISTED.into_iter().chain(OTHERS).map(|user| {
        let (mut phone, _) = Phone::subscribe(daemon.address, &format!("{user}@corp.example"), LIMIT);
        let told = told.clone();
        std::thread::spawn(move || {
            let mut got = BTreeMap::new();
            loop {
                let (_, number, body) = phone.notify();
                let is_last = fenced(&body);
                if got.insert(number, body).is_none() {
                    let _ = told.send(user);
                }
                if is_last {
                    return (user, got);
                }
            }
        })
    });
    let phones = phones.collect();
    (heard, phones)
}

/// Imports into a running daemon, and holds all that is promised. `fence` changes something for each of the phones.
fn check(what: &str, daemon: Daemon, import: impl FnOnce(), fence: impl FnOnce()) {
    let (heard, phones) = phones(&daemon);
    let mark = daemon.lines.all().len();
    let begun = Instant::now();
    import();
    let imported = begun.elapsed();
    for _ in LISTED {
        heard.recv_timeout(LIMIT).unwrap();
    }
    let took = begun.elapsed();
    daemon.lines.wait("it told how far it was", mark, LIMIT, |line| line.contains("reading the directory: "));
    fence();
    for phone in phones {
        let (user, got) = phone.join().unwrap();
        let before: Vec<&String> = got.values().filter(|body| !fenced(body)).collect();
        let expect = usize::from(LISTED.contains(&user));
        assert_eq!(before.len(), expect, "{what}: {user} got {} NOTIFYs of the import", before.len());
        assert!(before.iter().all(|body| value(body, "forward.delay").as_deref() == Some("77")), "{what}: {user}");
    }
    let (_, body) = Phone::subscribe(daemon.address, &format!("bulk{}@corp.example", USERS - 1), LIMIT);
    assert_eq!(value(&body, "forward.delay").as_deref(), Some("77"), "{what}: who was imported has a document");
    let most = daemon.memory_most();
    eprintln!("{what}: imported in {imported:.1?}, at the phones after {took:.1?}, at most {} MB", most >> 20);
    assert!(most < MEMORY_MAX, "{what}: {} MB", most >> 20);
    daemon.stop();
}

#[test]
fn a_bulk_import_into_slapd() {
    let _alone = alone();
    let sample = sample();
    let slapd = std::cell::RefCell::new(Slapd::start(&sample));
    let daemon = Daemon::start(slapd.borrow().url());
    let import = import(&sample);
    check(
        "OpenLDAP",
        daemon,
        || {
            // As bulk imports are made: into the files, with the server down.
            let mut slapd = slapd.borrow_mut();
            slapd.stop();
            slapd.slapadd(&import, &["-q", "-w"]);
            slapd.restart();
        },
        || {
            let number =
                |user| format!("dn: {}\nchangetype: modify\nadd: telephoneNumber\ntelephoneNumber: +49 30 9999\n\n", dn(&sample, user));
            slapd.borrow().modify(&LISTED.into_iter().chain(OTHERS).map(number).collect::<String>());
        },
    );
}

#[test]
fn a_bulk_import_into_ldif() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("corp.ldif");
    let write = |text: &str| {
        let new = dir.path().join("corp.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &file).unwrap();
    };
    let (before, import) = (sample(), import(&sample()));
    write(&before);
    let daemon = Daemon::start(url(&file));
    let after = [before.as_str(), &import].concat();
    let number = |text: String, user| {
        let dn = format!("dn: {}\n", dn(&before, user));
        text.replace(&dn, &format!("{dn}telephoneNumber: +49 30 9999\n"))
    };
    let then = LISTED.into_iter().chain(OTHERS).fold(after.clone(), number);
    check("LDIF", daemon, || write(&after), || write(&then));
}

fn url(file: &Path) -> String {
    format!("ldif:{}", file.display())
}
