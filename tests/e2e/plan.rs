//! What `dialcast plan` predicts is what is then pushed: to the same phones, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::common::daemon::{Serve, ask, json, text};
use crate::common::document::is_empty;
use crate::common::organisation::{people, sample, unit, users};
use crate::common::sipp::{Phones, Wire};
use crate::common::slapd::Slapd;
use crate::common::{PATIENCE, shared};

/// A prediction: its JSON, and the documents by address.
struct Prediction {
    code: Option<i32>,
    all: Value,
    documents: BTreeMap<String, String>,
}

fn plan(directory: &str, change: &[&str]) -> Prediction {
    let dir = tempfile::tempdir().unwrap();
    let documents = dir.path().join("documents");
    let mut arguments = vec!["plan"];
    arguments.extend(change);
    arguments.extend(["--json", "--directory", directory, "--documents", documents.to_str().unwrap()]);
    let output = ask(&arguments);
    let all = json(&output);
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap())
    };
    let documents = std::fs::read_dir(&documents).map(|entries| entries.map(read).collect()).unwrap_or_default();
    Prediction { code: output.status.code(), all, documents }
}

fn plan_file(directory: &str, change: &str) -> Prediction {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("change.ldif");
    std::fs::write(&file, change).unwrap();
    plan(directory, &["-f", file.to_str().unwrap()])
}

impl Prediction {
    fn users(&self) -> BTreeSet<String> {
        self.all["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["aor"].as_str().unwrap().trim_start_matches("sip:").to_owned())
            .collect()
    }

    /// Waits for what was predicted, and holds the phones to it: these and no others, each this document.
    fn comes_true(&self, what: &str, phones: &mut Phones, mark: usize, fence: impl FnOnce(&mut Phones)) {
        let expect: BTreeSet<String> = phones.users().iter().filter(|user| self.users().contains(*user)).cloned().collect();
        phones.wait(what, mark, PATIENCE, |got, _| expect.iter().all(|user| got.contains_key(user)));
        let end = phones.mark();
        fence(phones);
        let got = phones.since(mark);
        for (user, notifies) in &got {
            let pushed: Vec<&str> = notifies.iter().filter(|n| !n.body.is_empty()).map(|n| n.body.as_str()).collect();
            if expect.contains(user) {
                assert_eq!(pushed[0], self.documents[user], "{what}: {user}");
            }
        }
        // Before the fence, nobody else.
        let before: BTreeSet<String> = phones.notifies()[mark..end].iter().map(|notify| notify.user.clone()).collect();
        assert_eq!(before, expect, "{what}");
    }
}

/// A change that concerns everybody: whatever was under way before has arrived when it has.
fn fence(number: usize) -> (String, String) {
    let line = format!("provider.address = https://corp.example/{number}");
    let change = format!("dn: dc=corp,dc=example\nchangetype: modify\nadd: dialcastSetting\ndialcastSetting: {line}\n");
    (change, format!("https://corp.example/{number}<"))
}

#[test]
fn what_is_predicted_is_what_is_pushed() {
    let _shared = shared();
    let crowd = format!(
        "{}{}{}",
        sample(),
        unit("ou=Crowd,ou=Berlin,dc=corp,dc=example", &[]),
        people("p", 1..=40, "ou=Crowd,ou=Berlin,dc=corp,dc=example")
    );
    let slapd = Slapd::start(&crowd);
    let daemon = Serve::on(slapd.url()).start();
    let mut everybody = users(&sample());
    everybody.extend((1..=40).map(|n| format!("p{n:03}@corp.example")));
    let mut phones = Phones::all(daemon.address, &everybody, Wire::Udp);
    let changes = [
        (
            "an OU of 40 moves",
            40,
            "dn: ou=Crowd,ou=Berlin,dc=corp,dc=example\nchangetype: modrdn\nnewrdn: ou=Crowd\ndeleteoldrdn: 1\nnewsuperior: ou=Lisbon,dc=corp,dc=example\n",
        ),
        (
            "it moves and is renamed",
            40,
            "dn: ou=Crowd,ou=Lisbon,dc=corp,dc=example\nchangetype: moddn\nnewrdn: ou=Masses\ndeleteoldrdn: 1\nnewsuperior: ou=Frankfurt,dc=corp,dc=example\n",
        ),
        (
            "a user is renamed, and has another name to show",
            1,
            "dn: uid=ute,ou=Board,dc=corp,dc=example\nchangetype: modrdn\nnewrdn: uid=ute2\ndeleteoldrdn: 1\n\ndn: uid=ute2,ou=Board,dc=corp,dc=example\nchangetype: modify\nreplace: displayName\ndisplayName: Ute Zwei\n-\n",
        ),
        (
            "a policy is edited",
            4,
            "dn: ou=Lisbon,dc=corp,dc=example\nchangetype: modify\nadd: dialcastSetting\ndialcastSetting: presence.enabled = false\n",
        ),
        (
            "somebody joins a group",
            1,
            "dn: cn=Video Pilots,ou=Groups,dc=corp,dc=example\nchangetype: modify\nadd: member\nmember: uid=vera,ou=Board,dc=corp,dc=example\n",
        ),
        ("a user is deleted", 1, "dn: uid=tiago,ou=Reception,ou=Lisbon,dc=corp,dc=example\nchangetype: delete\n"),
        (
            "several at once",
            2,
            "dn: uid=walter,ou=Board,dc=corp,dc=example\nchangetype: modify\nreplace: telephoneNumber\ntelephoneNumber: +49 30 999\n\ndn: uid=paula,ou=Support,ou=Lisbon,dc=corp,dc=example\nchangetype: modify\nreplace: displayName\ndisplayName: P\n",
        ),
    ];
    for (number, (what, count, change)) in changes.into_iter().enumerate() {
        let prediction = plan_file(&slapd.url(), change);
        assert_eq!(
            (prediction.code, prediction.users().len(), &prediction.all["held"]),
            (Some(2), count, &Value::from(0)),
            "{what}: {}",
            prediction.all
        );
        let mark = phones.mark();
        slapd.modify(change);
        prediction.comes_true(what, &mut phones, mark, |phones| {
            let mark = phones.mark();
            let (change, seen) = fence(number);
            slapd.modify(&change);
            phones.wait("the fence", mark, PATIENCE, |got, _| {
                got.get("anna@corp.example").is_some_and(|n| n.iter().any(|n| n.body.contains(&seen)))
            });
            slapd.modify(&change.replace("\nadd: ", "\ndelete: "));
            phones.wait("the fence is gone", mark, PATIENCE, |got, _| {
                got.get("anna@corp.example").is_some_and(|n| n.last().is_some_and(|n| !n.body.contains(&seen)))
            });
        });
    }
    // What changes nothing for anybody.
    let nothing = plan_file(
        &slapd.url(),
        "dn: uid=anna,ou=Sales,ou=Berlin,dc=corp,dc=example\nchangetype: modify\nreplace: description\ndescription: x\n",
    );
    assert_eq!((nothing.code, nothing.users().len()), (Some(0), 0));
    // A new user: the document, as far as it does not depend on the id that the server is yet to give.
    let new = "dn: uid=zoe,ou=Contractors,ou=Frankfurt,dc=corp,dc=example\nchangetype: add\nobjectClass: inetOrgPerson\nuid: zoe\ncn: Zoe\nsn: Z\nmail: zoe@corp.example\n";
    let prediction = plan_file(&slapd.url(), new);
    let zoe = &prediction.all["users"][0];
    assert_eq!((&zoe["effect"], prediction.code), (&Value::from("new"), Some(2)), "{zoe}");
    let heard = daemon.lines.all().len();
    slapd.modify(new);
    daemon.lines.wait("the new user is known", heard, PATIENCE, |line| line.contains("the directory changed"));
    let mut phone = Phones::all(daemon.address, ["zoe@corp.example"], Wire::Udp);
    let pushed = phone.document("zoe@corp.example");
    if zoe["depends_on_id"] == false {
        assert_eq!(pushed, prediction.documents["zoe@corp.example"]);
    } else {
        let sorted = |document: &str| document.split('<').map(str::to_owned).collect::<BTreeSet<String>>();
        assert_eq!(sorted(&pushed), sorted(&prediction.documents["zoe@corp.example"]));
    }
    daemon.stop();
}

/// The short forms, and what the guard would say.
#[test]
fn moved_and_deleted_without_a_file() {
    let _shared = shared();
    let slapd = Slapd::start(&sample());
    let daemon = Serve::on(slapd.url()).start();
    let mut phones = Phones::all(daemon.address, users(&sample()), Wire::Udp);
    let prediction = plan(&slapd.url(), &["move", "ou=Sales,ou=Berlin,dc=corp,dc=example", "--to", "ou=Lisbon,dc=corp,dc=example"]);
    assert_eq!((prediction.code, prediction.users().len()), (Some(2), 6), "{}", prediction.all);
    let mark = phones.mark();
    slapd.rename("ou=Sales,ou=Berlin,dc=corp,dc=example", "ou=Sales", Some("ou=Lisbon,dc=corp,dc=example"));
    prediction.comes_true("the OU moves", &mut phones, mark, |_| {});
    // Deleted with everybody in it.
    let prediction = plan(&slapd.url(), &["delete", "ou=Sales,ou=Lisbon,dc=corp,dc=example"]);
    assert_eq!((prediction.code, prediction.users().len(), &prediction.all["held"]), (Some(2), 6, &Value::from(0)), "{}", prediction.all);
    assert!(prediction.documents.values().all(|document| is_empty(document)));
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        config.path(),
        format!("[directory]\nurl = \"{}\"\n[guards]\nusers_min = 3\ncanaries = [\"uid=vera,ou=Board,dc=corp,dc=example\"]\n", slapd.url()),
    )
    .unwrap();
    let guarded = |dn: &str| ask(&["plan", "delete", dn, "--config", config.path().to_str().unwrap()]);
    let output = guarded("ou=Sales,ou=Lisbon,dc=corp,dc=example");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stdout);
    assert!(said.contains("held: 6 users would lose") && said.contains("3 may at once"), "{said}");
    let said = text(&guarded("uid=vera,ou=Board,dc=corp,dc=example").stdout);
    assert!(said.contains("held: 1 objects: the canary"), "{said}");
    // What the server would refuse.
    let output = ask(&["plan", "delete", "ou=Nowhere,dc=corp,dc=example", "--directory", &slapd.url()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no entry"), "{}", text(&output.stderr));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "dn: ou=Berlin,dc=corp,dc=example\nchangetype: modify\nadd: dialcastSetting\nsetting: x\n").unwrap();
    let output = ask(&["plan", "-f", file.path().to_str().unwrap(), "--directory", &slapd.url()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(":4:1"), "{}", text(&output.stderr));
    daemon.stop();
}

fn edited(path: &Path, edits: &[(&str, &str)]) {
    let mut text = std::fs::read_to_string(path).unwrap();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let aside = path.with_extension("new");
    std::fs::write(&aside, text).unwrap();
    std::fs::rename(aside, path).unwrap();
}

/// The same on a file of LDIF: there the change is an edit.
#[test]
fn on_a_file() {
    let _shared = shared();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("corp.ldif");
    std::fs::write(&file, sample()).unwrap();
    let url = format!("ldif:{}", file.display());
    let daemon = Serve::on(&url).state(dir.path()).start();
    let mut phones = Phones::all(daemon.address, users(&sample()), Wire::Udp);
    let moved = "dn: ou=Sales,ou=Berlin,dc=corp,dc=example\nchangetype: modrdn\nnewrdn: ou=Sales\ndeleteoldrdn: 1\nnewsuperior: ou=Lisbon,dc=corp,dc=example\n";
    let prediction = plan_file(&url, moved);
    let mark = phones.mark();
    edited(&file, &[("ou=Sales,ou=Berlin", "ou=Sales,ou=Lisbon")]);
    prediction.comes_true("the OU moves", &mut phones, mark, |_| {});
    let policy =
        "dn: ou=Frankfurt,dc=corp,dc=example\nchangetype: modify\nadd: dialcastSetting\ndialcastSetting: presence.enabled = false\n";
    let prediction = plan_file(&url, policy);
    let mark = phones.mark();
    edited(
        &file,
        &[("dn: ou=Frankfurt,dc=corp,dc=example\n", "dn: ou=Frankfurt,dc=corp,dc=example\ndialcastSetting: presence.enabled = false\n")],
    );
    prediction.comes_true("a policy is edited", &mut phones, mark, |_| {});
    daemon.stop();
}
