//! LDIF files that are edited while they are watched, in every way that editors and scripts do it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod watcher;
}

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::watcher::{Watcher, listed, shown};
use dialcast::directory::{Event, LdifOptions, Source, read};
use dialcast::model::ObjectId;
use tempfile::TempDir;

const CORP: &str = "dn: dc=corp
objectClass: domain

dn: ou=Berlin,dc=corp
objectClass: organizationalUnit

dn: ou=Paris,dc=corp
objectClass: organizationalUnit

dn: uid=anna,ou=Berlin,dc=corp
objectClass: person

";

fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("corp.ldif");
    std::fs::write(&file, CORP).unwrap();
    (dir, file)
}

/// With a poll too rare to be what finds the changes, unless it is asked for.
fn source(path: &Path, poll: Option<Duration>) -> Source {
    let mut options = LdifOptions::new(path);
    options.debounce = Duration::from_millis(20);
    options.poll = poll.unwrap_or(Duration::from_secs(3_600));
    Source::Ldif(options)
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn user(name: &str) -> String {
    format!("dn: uid={name},dc=corp\nobjectClass: person\n\n")
}

fn dn(name: &str) -> String {
    format!("uid={name},dc=corp")
}

#[tokio::test]
async fn an_edit_is_a_change_and_a_moved_unit_one_event() {
    let (_dir, file) = folder();
    let mut feed = Watcher::start(source(&file, None), None);
    assert!(feed.up().await.ends_with("(4 entries)"));
    let first = feed.refresh().await;
    assert_eq!(
        shown(&first),
        ["init", "list dc=corp", "list ou=Berlin,dc=corp", "list ou=Paris,dc=corp", "list uid=anna,ou=Berlin,dc=corp", "done, sweep"]
    );
    std::fs::write(&file, CORP.replace("ou=Berlin,", "ou=Berlin,ou=Paris,")).unwrap();
    let moved = feed.until_applied("ou=Berlin,ou=Paris,dc=corp").await;
    assert_eq!(shown(&moved), ["apply ou=Berlin,ou=Paris,dc=corp"]);
    let Event::Apply(unit) = &moved[0] else { panic!() };
    assert_eq!(unit.id, listed(&first)[1].id);
    feed.checkpoint().await;

    // A new session goes on with the same ids.
    let mut again = Watcher::start(source(&file, None), feed.cookie.clone());
    let second = again.refresh().await;
    let ids = |events: &[Event]| {
        listed(events).iter().map(|entry| (entry.dn.rdn().unwrap().to_string(), entry.id)).collect::<Vec<(String, ObjectId)>>()
    };
    let (mut one, mut other) = (ids(&first), ids(&second));
    one.sort();
    other.sort();
    assert_eq!(one, other);
}

#[tokio::test]
async fn a_file_that_is_replaced() {
    let (dir, file) = folder();
    let mut feed = Watcher::start(source(&file, None), None);
    feed.refresh().await;
    // As vim and many others do it: write beside, rename over.
    for name in ["a", "b"] {
        let new = dir.path().join(".corp.ldif.swp");
        std::fs::write(&new, std::fs::read_to_string(&file).unwrap() + &user(name)).unwrap();
        std::fs::rename(&new, &file).unwrap();
        assert_eq!(shown(&feed.until_applied(&dn(name)).await), [format!("apply {}", dn(name))]);
    }
    // As emacs does it: rename the old one away, write a new one.
    std::fs::rename(&file, dir.path().join("corp.ldif~")).unwrap();
    std::fs::write(&file, CORP.to_owned() + &user("a") + &user("b") + &user("c")).unwrap();
    assert_eq!(shown(&feed.until_applied(&dn("c")).await), [format!("apply {}", dn("c"))]);
}

#[tokio::test]
async fn half_a_file_is_a_fault_and_nothing_is_lost() {
    let (_dir, file) = folder();
    let mut feed = Watcher::start(source(&file, None), None);
    feed.refresh().await;
    std::fs::write(&file, CORP.replace("objectClass: person", "objectCla")).unwrap();
    let why = feed.down().await;
    assert!(why.contains("corp.ldif:11") && why.ends_with("what was read before stays in use"), "{why}");
    assert_eq!(feed.faults.len(), 1);
    // Repaired, with one entry more: nothing but that is told.
    std::fs::write(&file, CORP.to_owned() + &user("a")).unwrap();
    assert_eq!(shown(&feed.until_applied(&dn("a")).await), [format!("apply {}", dn("a"))]);
    assert_eq!(feed.faults, []);
}

#[tokio::test]
async fn a_writer_that_pauses_at_the_end_of_a_record() {
    let (_dir, file) = folder();
    let mut feed = Watcher::start(source(&file, None), None);
    feed.refresh().await;
    // Truncated and written in two pieces, the file open all the while. What stands there between is good LDIF.
    let mut writer = OpenOptions::new().write(true).truncate(true).open(&file).unwrap();
    writer.write_all(b"dn: dc=corp\nobjectClass: domain\n\n").unwrap();
    let reading = tokio::time::timeout(Duration::from_millis(500), feed.event()).await;
    assert!(reading.is_err(), "{reading:?}");
    writer.write_all((CORP.split_once("\n\n").unwrap().1.to_owned() + &user("a")).as_bytes()).unwrap();
    drop(writer);
    assert_eq!(shown(&feed.until_applied(&dn("a")).await), [format!("apply {}", dn("a"))]);
}

#[tokio::test]
async fn a_file_that_is_deleted_or_emptied_is_not_an_empty_directory() {
    let (dir, file) = folder();
    let mut feed = Watcher::start(source(&file, None), None);
    feed.refresh().await;
    std::fs::remove_file(&file).unwrap();
    assert!(feed.down().await.contains("cannot be read"));
    std::fs::write(&file, "").unwrap();
    assert!(feed.down().await.contains("holds no record"));
    std::fs::write(&file, CORP.to_owned() + &user("a")).unwrap();
    assert_eq!(shown(&feed.until_applied(&dn("a")).await), [format!("apply {}", dn("a"))]);
    drop(dir);
}

#[tokio::test]
async fn a_folder() {
    let (dir, _) = folder();
    let mut feed = Watcher::start(source(dir.path(), None), None);
    feed.refresh().await;
    std::fs::write(dir.path().join("more.ldif"), user("a")).unwrap();
    assert_eq!(shown(&feed.until_applied(&dn("a")).await), [format!("apply {}", dn("a"))]);
    // A record that goes from one file to another has not moved.
    std::fs::write(dir.path().join("more.ldif"), "# nothing here now\n").unwrap();
    assert_eq!(shown(&[feed.event().await]), ["delete"]);
    std::fs::write(dir.path().join("third.ldif"), user("a")).unwrap();
    feed.until_applied(&dn("a")).await;
    append(&dir.path().join("corp.ldif"), &user("a"));
    let why = feed.down().await;
    assert!(why.contains("this DN is in"), "{why}");
    std::fs::remove_file(dir.path().join("third.ldif")).unwrap();
    feed.up().await;
    std::fs::remove_file(dir.path().join("more.ldif")).unwrap();
    append(&dir.path().join("corp.ldif"), &user("b"));
    assert_eq!(shown(&feed.until_applied(&dn("b")).await), [format!("apply {}", dn("b"))]);
}

#[tokio::test]
async fn the_first_file_may_come_late_and_faulty() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("corp.ldif");
    let mut feed = Watcher::start(source(&file, None), None);
    assert!(feed.down().await.ends_with("nothing was read yet"));
    std::fs::write(&file, "dn: nonsense\n").unwrap();
    assert!(feed.down().await.contains("bad DN"));
    std::fs::write(&file, CORP).unwrap();
    assert_eq!(feed.refresh().await.len(), 6);
}

#[tokio::test]
async fn a_folder_that_is_made_anew_is_found_by_the_poll() {
    let (dir, _) = folder();
    let inner = dir.path().join("ldif");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("a.ldif"), CORP).unwrap();
    let mut feed = Watcher::start(source(&inner, Some(Duration::from_millis(30))), None);
    feed.refresh().await;
    std::fs::remove_dir_all(&inner).unwrap();
    feed.down().await;
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("a.ldif"), CORP.to_owned() + &user("a")).unwrap();
    feed.until_applied(&dn("a")).await;
    append(&inner.join("a.ldif"), &user("b"));
    feed.until_applied(&dn("b")).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_that_is_swapped() {
    // As Kubernetes mounts a ConfigMap: corp.ldif -> ..data/corp.ldif, and ..data -> a folder that is replaced as a whole.
    let dir = tempfile::tempdir().unwrap();
    let link = |from: &str, to: &Path| std::os::unix::fs::symlink(from, to).unwrap();
    for (name, text) in [("..1", CORP.to_owned()), ("..2", CORP.to_owned() + &user("a"))] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join(name).join("corp.ldif"), text).unwrap();
    }
    link("..1", &dir.path().join("..data"));
    link("..data/corp.ldif", &dir.path().join("corp.ldif"));
    let mut feed = Watcher::start(source(&dir.path().join("corp.ldif"), None), None);
    feed.refresh().await;
    link("..2", &dir.path().join("..data_tmp"));
    std::fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
    feed.until_applied(&dn("a")).await;
}

#[tokio::test]
async fn one_list_for_check_and_explain() {
    let (_dir, file) = folder();
    let (events, faults) = read(source(&file, None)).await.unwrap();
    assert_eq!((events.len(), faults.len()), (6, 0));
    append(&file, "dn: x\n\ndn: dc=corp\n\nnonsense\n");
    let faults = read(source(&file, None)).await.unwrap_err().faults();
    assert_eq!(faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["ldif.syntax", "ldif.syntax"]);
}
