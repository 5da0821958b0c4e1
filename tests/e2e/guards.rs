//! What must not happen to phones: a directory that hides half of itself, a tool that goes astray, a crash in the middle of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::common::daemon::{Daemon, Lines, Serve, ask, dialcast, json, text};
use crate::common::document::{is_empty, servers, value};
use crate::common::organisation::{addresses, people, sample, unit, users};
use crate::common::sipp::{Phones, Wire};
use crate::common::slapd::Slapd;
use crate::common::{PATIENCE, shared, until};

/// For an organisation of two dozen.
const GUARDS: &str = "[guards]\nobjects_min = 3\nusers_min = 3\nrecheck_s = 1\nwait_ms = 1000\n";
const BERLIN_HIDDEN: &str = "access to dn.subtree=\"ou=Berlin,dc=corp,dc=example\" by * none\naccess to * by * read";

fn holds(state: &Path) -> (Option<i32>, Vec<Value>) {
    let output = ask(&["holds", "--json", "--state", state.to_str().unwrap()]);
    (output.status.code(), json(&output)["holds"].as_array().unwrap().clone())
}

fn wait_for_hold(state: &Path, kind: &str) -> Value {
    until("a hold is shown", PATIENCE, || {
        let (code, holds) = holds(state);
        let hold = holds.into_iter().find(|hold| hold["kind"] == kind)?;
        assert_eq!(code, Some(2));
        Some(hold)
    })
}

fn wait_for_none(state: &Path) {
    until("nothing is held any more", PATIENCE, || (holds(state) == (Some(0), Vec::new())).then_some(()));
}

fn set(slapd: &Slapd, dn: &str, change: &str, line: &str) {
    slapd.modify(&format!("dn: {dn}\nchangetype: modify\n{change}: dialcastSetting\ndialcastSetting: {line}\n"));
}

/// Who heard what since the mark: nobody an end, and nobody an empty profile.
fn unharmed(phones: &mut Phones, mark: usize) -> BTreeSet<String> {
    let got = phones.since(mark);
    for notify in got.values().flatten() {
        assert!(notify.state.starts_with("active") && !is_empty(&notify.body), "{}: {}\n{}", notify.user, notify.state, notify.body);
    }
    got.into_keys().collect()
}

/// The account loses its read right on half the tree, and gets it back. No phone loses anything, what changed elsewhere arrives, the
/// hold is shown; and what changed meanwhile in the hidden half, of which the server tells nothing by itself, arrives at the end.
#[test]
fn the_right_to_read_half_the_tree_is_lost_and_restored() {
    let _shared = shared();
    let mut slapd = Slapd::start(&sample());
    let state = tempfile::tempdir().unwrap();
    let daemon = Serve::on(slapd.url()).config(GUARDS).state(state.path()).start();
    let everybody = users(&sample());
    let mut phones = Phones::all(daemon.address, &everybody, Wire::Udp);
    let mark = phones.mark();

    slapd.access(BERLIN_HIDDEN);
    // Whatever makes the server list what is there, now or later.
    set(&slapd, "ou=Lisbon,dc=corp,dc=example", "add", "presence.enabled = false");
    let hold = wait_for_hold(state.path(), "objects");
    assert!(hold["what"].as_str().unwrap().contains("vanished") && hold["count"].as_u64().unwrap() > 10, "{hold}");
    assert_eq!(hold["examples"][0], "ou=Berlin,dc=corp,dc=example");
    daemon.lines.wait("the log says so", 0, PATIENCE, |line| line.contains("guard.objects"));
    let lisbon = addresses(["paula", "rui", "sofia", "tiago"]);
    phones.wait("Lisbon's change arrives", mark, PATIENCE, |got, _| lisbon.iter().all(|user| got.contains_key(user)));

    // Hidden from us, things go on: a policy, a user who leaves, one who comes.
    set(&slapd, "ou=Sales,ou=Berlin,dc=corp,dc=example", "add", "video.enabled = false");
    slapd.delete("uid=jan,ou=Support,ou=Berlin,dc=corp,dc=example");
    slapd.add(
        "dn: uid=zoe,ou=Support,ou=Berlin,dc=corp,dc=example\nobjectClass: inetOrgPerson\nuid: zoe\ncn: Zoe\nsn: Z\nmail: zoe@corp.example\n",
    );
    // Others are still told what concerns them.
    set(&slapd, "ou=Frankfurt,dc=corp,dc=example", "add", "presence.enabled = false");
    let frankfurt = addresses(["kim", "lars", "mia", "nils", "olga"]);
    phones.wait("Frankfurt's change arrives", mark, PATIENCE, |got, _| frankfurt.iter().all(|user| got.contains_key(user)));
    assert_eq!(unharmed(&mut phones, mark), lisbon.union(&frankfurt).cloned().collect());
    // Who subscribes now has the last good document.
    let mut late = Phones::all(daemon.address, ["anna@corp.example"], Wire::Udp);
    assert_eq!(late.document("anna@corp.example"), phones.document("anna@corp.example"));
    drop(late);

    let mark = phones.mark();
    slapd.access("");
    wait_for_none(state.path());
    let sales = addresses(["anna", "ben", "clara", "david", "greta", "hugo"]);
    let got = phones.wait("what was hidden arrives", mark, PATIENCE, |got, _| {
        sales.iter().all(|user| got.contains_key(user)) && got.get("jan@corp.example").is_some_and(|notifies| notifies.len() == 2)
    });
    for user in &sales {
        assert_eq!(got[user].len(), 1, "{user}");
        assert_eq!(value(&got[user][0].body, "video.enabled").as_deref(), Some("false"));
    }
    let jan = &got["jan@corp.example"];
    assert!(is_empty(&jan[0].body) && jan[1].state.contains("noresource"), "{jan:?}");
    assert_eq!(got.len(), sales.len() + 1, "{:?}", got.keys());
    let mut zoe = Phones::all(daemon.address, ["zoe@corp.example"], Wire::Udp);
    assert!(!servers(&zoe.document("zoe@corp.example"), "sip.registrar").is_empty());
    daemon.stop();
}

/// A broken tool deletes people one by one: a few are lost at most, the rest is held, survives a crash, and goes out when it is released.
#[test]
fn deletions_are_held_over_a_crash_and_released() {
    let _shared = shared();
    let crowd = format!("{}{}{}", sample(), unit("ou=Crowd,dc=corp,dc=example", &[]), people("p", 1..=40, "ou=Crowd,dc=corp,dc=example"));
    let mut slapd = Slapd::start(&crowd);
    let state = tempfile::tempdir().unwrap();
    let serve = |slapd: &Slapd| Serve::on(slapd.url()).config(GUARDS).state(state.path()).start();
    let daemon = serve(&slapd);
    let names: Vec<String> = (1..=40).map(|n| format!("p{n:03}@corp.example")).collect();
    let mut phones = Phones::all(daemon.address, &names, Wire::Udp);
    let before: Vec<String> = names.iter().map(|name| phones.document(name)).collect();
    let mark = phones.mark();
    slapd.delete_tree("ou=Crowd,dc=corp,dc=example");
    let hold = until("all of them are gone from the directory's point of view", PATIENCE, || {
        let hold = wait_for_hold(state.path(), "users");
        (hold["count"].as_u64().unwrap() >= 39).then_some(hold)
    });
    assert!(hold["what"].as_str().unwrap().contains("gone"), "{hold}");
    let lost = phones.since(mark);
    assert!(lost.len() <= 1, "{:?}", lost.keys());
    drop(phones);
    until("it is on disk", PATIENCE, || {
        let file = std::fs::read_dir(state.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|e| e == "state"))?;
        let kept = text(&std::fs::read(file).unwrap()).matches("\"held\":true").count();
        (kept as u64 == hold["count"].as_u64().unwrap()).then_some(())
    });

    // A crash, and the directory is away.
    daemon.kill();
    slapd.kill();
    let daemon = serve(&slapd);
    let kept: Vec<&String> = names.iter().filter(|name| !lost.contains_key(*name)).collect();
    let mut phones = Phones::all(daemon.address, &kept, Wire::Udp);
    for (name, document) in names.iter().zip(&before).filter(|(name, _)| !lost.contains_key(*name)) {
        assert_eq!(phones.document(name), *document, "{name}");
    }
    let again = wait_for_hold(state.path(), "users");
    assert_eq!((&again["count"], &again["id"], &again["since_ms"]), (&hold["count"], &hold["id"], &hold["since_ms"]));
    slapd.restart();
    daemon.lines.wait("the directory was read", 0, PATIENCE, |line| line.contains("directory up"));

    let mark = phones.mark();
    let wrong = ask(&["release", "h99", "--state", state.path().to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("there is no hold `h99`"), "{}", text(&wrong.stderr));
    let released = ask(&["release", hold["id"].as_str().unwrap(), "--state", state.path().to_str().unwrap()]);
    assert!(released.status.success(), "{}", text(&released.stderr));
    let got = phones.wait("the deletions go out", mark, PATIENCE, |got, users| {
        users.iter().all(|user| got.get(user).is_some_and(|notifies| notifies.len() == 2))
    });
    for (user, notifies) in got {
        assert!(is_empty(&notifies[0].body) && notifies[0].state.starts_with("active"), "{user}: {notifies:?}");
        assert!(notifies[1].state.starts_with("terminated") && notifies[1].state.contains("noresource"), "{user}: {notifies:?}");
    }
    wait_for_none(state.path());
    daemon.stop();
}

/// What `release` lets go of a list's silence, and the same hold over a crash.
#[test]
fn a_quarantine_survives_a_crash_and_is_released() {
    let _shared = shared();
    let mut slapd = Slapd::start(&sample());
    let state = tempfile::tempdir().unwrap();
    let serve = |slapd: &Slapd| Serve::on(slapd.url()).config(GUARDS).state(state.path()).start();
    let daemon = serve(&slapd);
    slapd.access(BERLIN_HIDDEN);
    set(&slapd, "ou=Lisbon,dc=corp,dc=example", "add", "presence.enabled = false");
    let hold = wait_for_hold(state.path(), "objects");
    // At once on disk: a crash right after it loses nothing.
    daemon.kill();
    let daemon = serve(&slapd);
    let mut phones = Phones::all(daemon.address, users(&sample()), Wire::Udp);
    let mark = phones.mark();
    let again = wait_for_hold(state.path(), "objects");
    assert_eq!(again["count"], hold["count"]);
    assert!(unharmed(&mut phones, mark).is_subset(&addresses(["paula", "rui", "sofia", "tiago"])));
    let mark = phones.mark();
    assert!(ask(&["release", "--all", "--state", state.path().to_str().unwrap()]).status.success());
    let berlin = addresses(["anna", "ben", "clara", "david", "greta", "hugo", "eva.engel", "felix", "ida", "jan"]);
    let got = phones.wait("Berlin goes", mark, PATIENCE, |got, _| {
        berlin
            .iter()
            .all(|user| got.get(user).is_some_and(|notifies| notifies.last().is_some_and(|last| last.state.contains("noresource"))))
    });
    assert!(got.keys().all(|user| berlin.contains(user) || got[user].iter().all(|n| n.state.starts_with("active"))));
    wait_for_none(state.path());
    daemon.stop();
}

/// The attributes go, and the entries stay: that is a loss too.
#[test]
fn the_right_to_read_attributes_is_lost_and_restored() {
    let _shared = shared();
    let mut slapd = Slapd::start(&sample());
    let state = tempfile::tempdir().unwrap();
    let daemon = Serve::on(slapd.url()).config(GUARDS).state(state.path()).start();
    let everybody = users(&sample());
    let mut phones = Phones::all(daemon.address, &everybody, Wire::Udp);
    let mark = phones.mark();
    slapd.access("access to attrs=mail,telephoneNumber,SIPIdentitySIPURI by * none\naccess to * by * read");
    // A server tells of entries that change: a change of each shows it without its attributes.
    for user in ["anna,ou=Sales", "ben,ou=Sales", "clara,ou=Sales", "david,ou=Sales", "eva,ou=Engineering", "felix,ou=Engineering"] {
        slapd.modify(&format!("dn: uid={user},ou=Berlin,dc=corp,dc=example\nchangetype: modify\nreplace: description\ndescription: x\n"));
    }
    wait_for_hold(state.path(), "users");
    slapd.access("");
    wait_for_none(state.path());
    // One of them may have been the one that passes without a question.
    assert!(phones.since(mark).len() <= 1, "{:?}", phones.since(mark).keys());
    daemon.stop();
}

/// A user who is withheld has the last good document, after a restart without the directory too.
#[test]
fn a_withheld_document_survives_a_restart() {
    let _shared = shared();
    let mut slapd = Slapd::start(&sample());
    let state = tempfile::tempdir().unwrap();
    let daemon = Serve::on(slapd.url()).state(state.path()).start();
    let everybody = users(&sample());
    let mut phones = Phones::all(daemon.address, &everybody, Wire::Udp);
    let before: Vec<String> = everybody.iter().map(|user| phones.document(user)).collect();
    let mark = phones.mark();
    let registrars = slapd.search("dc=corp,dc=example", "(dialcastSetting=sip.registrar*)", &["dialcastSetting"]);
    let mut change = String::new();
    for record in registrars.split("\n\n").filter(|record| record.starts_with("dn:")) {
        writeln!(change, "{}\nchangetype: modify\ndelete: dialcastSetting", record.lines().next().unwrap()).unwrap();
        for line in record.lines().filter(|line| line.starts_with("dialcastSetting: sip.registrar")) {
            writeln!(change, "{line}").unwrap();
        }
        change += "\n";
    }
    slapd.modify(&change);
    daemon.lines.wait("nobody has a registrar", 0, PATIENCE, |line| line.contains("account.no-registrar"));
    assert_eq!(unharmed(&mut phones, mark), BTreeSet::new());
    drop(phones);
    daemon.stop();
    slapd.kill();
    let daemon = Serve::on(slapd.url()).state(state.path()).start();
    let mut phones = Phones::all(daemon.address, &everybody, Wire::Udp);
    for (user, document) in everybody.iter().zip(&before) {
        assert_eq!(phones.document(user), *document, "{user}");
    }
    daemon.stop();
}

/// A first list without its canary is not believed: nobody is told that he is unknown.
#[test]
fn a_first_list_without_its_canary() {
    let _shared = shared();
    let mut slapd = Slapd::start(&sample());
    slapd.access(BERLIN_HIDDEN);
    let config = format!("{GUARDS}canaries = [\"uid=anna,ou=Sales,ou=Berlin,dc=corp,dc=example\"]\n");
    let starting = Serve::on(slapd.url()).config(&config).spawn();
    starting.lines.wait("the list is refused", 0, PATIENCE, |line| line.contains("guard.refused"));
    slapd.access("");
    starting.lines.wait("the next list is believed", 0, Duration::from_secs(60), |line| line.contains("\"ready\""));
    let mut phones = Phones::all(starting.address, users(&sample()), Wire::Udp);
    assert!(!phones.document("anna@corp.example").is_empty());
    starting.stop();
}

/// The control socket is its account's alone, and nobody who writes nonsense, much or nothing at all keeps others from it.
#[test]
fn the_control_socket_bears_with_clients() {
    let _shared = shared();
    let slapd = Slapd::start(&sample());
    let state = tempfile::tempdir().unwrap();
    let daemon = Serve::on(slapd.url()).state(state.path()).start();
    let path = state.path().join("control.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let say = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may have been turned away by then.
        let _ = stream.write_all(bytes);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    assert!(say(b"nonsense\n").contains("\"error\""));
    assert!(say(&[b'x'; 10_000]).contains("\"error\"") || say(&[b'x'; 10_000]).is_empty());
    // More clients than there is room for: the others are turned away, and room is there again when one leaves.
    let silent: Vec<UnixStream> = (0..40).map(|_| UnixStream::connect(&path).unwrap()).collect();
    until("it is full", PATIENCE, || say(b"{\"command\":\"holds\"}\n").is_empty().then_some(()));
    drop(silent);
    until("there is room again", PATIENCE, || (say(b"{\"command\":\"holds\"}\n") == "{\"holds\":[]}\n").then_some(()));
    daemon.stop();
    assert!(!path.exists());
}

/// Without a daemon there is a clear answer.
#[test]
fn no_daemon() {
    let state = tempfile::tempdir().unwrap();
    for command in [&["holds"][..], &["release", "--all"], &["watch"]] {
        let output = ask(&[command, &["--state", state.path().to_str().unwrap()]].concat());
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.contains("no daemon answers at") && said.contains("--state"), "{said}");
    }
}

/// The live feed shows a change, whom it is for, and how the phones took it.
#[test]
fn the_live_feed() {
    let _shared = shared();
    let slapd = Slapd::start(&sample());
    let state = tempfile::tempdir().unwrap();
    let daemon = Serve::on(slapd.url()).state(state.path()).start();
    let _phones = Phones::all(daemon.address, users(&sample()), Wire::Udp);
    let feed = |json: bool| {
        let mut command = dialcast();
        command.args(["watch", "--state"]).arg(state.path()).args(json.then_some("--json"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = Lines::default();
        lines.collect(child.stdout.take().unwrap());
        (child, lines)
    };
    let (mut machine, events) = feed(true);
    let (mut person, text) = feed(false);
    events.wait("it watches", 0, PATIENCE, |line| line.contains("watching"));
    text.wait("it watches", 0, PATIENCE, |line| line.contains("watching"));
    slapd.rename("ou=Support,ou=Lisbon,dc=corp,dc=example", "ou=Support", Some("ou=Board,dc=corp,dc=example"));
    text.wait("the phones have answered", 0, PATIENCE, |line| line.contains("3 answered, the last after") && line.ends_with("ms"));
    let find = |wanted: &str| -> Value { serde_json::from_str(&events.wait(wanted, 0, PATIENCE, |line| line.contains(wanted))).unwrap() };
    let change = find("\"event\":\"change\"");
    assert_eq!((&change["cause"], change["users"].as_u64()), (&Value::from("directory"), Some(3)), "{change}");
    assert!(change["names"][0].as_str().unwrap().contains("ou=Support"), "{change}");
    assert!(change["examples"][0]["changes"].as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains(" → ")), "{change}");
    let done = find("\"done\":true");
    assert_eq!((done["phones"].as_u64(), done["answered"].as_u64(), done["failed"].as_u64()), (Some(3), Some(3), Some(0)), "{done}");
    assert!(done["took_ms"].as_u64().is_some_and(|took| took < 10_000), "{done}");
    let seen = text.all().join("\n");
    assert!(seen.contains("→") && seen.contains("3 answered") && !seen.contains('\u{1b}'), "{seen}");
    for child in [&mut machine, &mut person] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    daemon.stop();
}

/// Everything is resolved, and nothing is sent.
#[test]
fn staging_sends_nothing() {
    let _shared = shared();
    let slapd = Slapd::start(&sample());
    let daemon: Daemon = Serve::on(slapd.url()).staging().start();
    daemon.lines.wait("it says so", 0, PATIENCE, |line| line.contains("staging"));
    let server = format!("sip:{}", daemon.address);
    let output = ask(&["subscribe", "sip:anna@corp.example", "--server", &server, "--json", "--once"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(format!("{}{}", text(&output.stdout), text(&output.stderr)).contains("503"), "{}", text(&output.stderr));
}
