//! What is wrong in a directory: each with the outcome that the design gives, and all of it visible in `check`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::daemon::{Daemon, ask, json, text};
use crate::common::document::{servers, value};
use crate::common::organisation::{people, sample, unit};
use crate::common::sipp::{Phones, Wire};
use crate::common::slapd::Setup;
use crate::common::{PATIENCE, shared};

/// The faults in what `check --json` says.
pub(crate) fn list(answer: &Value) -> Vec<Value> {
    answer["faults"].as_array().unwrap_or_else(|| panic!("no faults in {answer}")).clone()
}

/// The sample with more records below it, as a file.
struct Directory {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Directory {
    fn new(ldif: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("corp.ldif");
        std::fs::write(&path, ldif).unwrap();
        Self { _dir: dir, path }
    }

    fn with(records: &str) -> Self {
        Self::new(&(sample() + records))
    }

    fn url(&self) -> String {
        format!("ldif:{}", self.path.display())
    }

    /// The exit code of `check`, and its faults.
    fn check(&self) -> (Option<i32>, Vec<Value>) {
        let out = ask(&["check", "--json", "--directory", &self.url()]);
        (out.status.code(), list(&json(&out)))
    }

    /// The only fault of `check`: its severity, code and object, and words that its text must hold.
    fn only_fault(&self, severity: &str, code: &str, dn: &str, words: &[&str]) {
        let (exit, faults) = self.check();
        let [fault] = faults.as_slice() else { panic!("one fault expected: {faults:#?}") };
        assert_eq!((&fault["severity"], &fault["code"]), (&Value::from(severity), &Value::from(code)), "{fault:#}");
        assert_eq!(fault["place"]["object"]["dn"], dn, "{fault:#}");
        let said = format!("{} {} {}", fault["what"], fault["remedy"], fault["place"]);
        for word in words {
            assert!(said.contains(word), "{word}: {fault:#}");
        }
        assert_eq!(exit, Some(i32::from(severity == "error")), "{fault:#}");
    }

    /// A user's document, as a phone gets it.
    fn document(&self, user: &str) -> String {
        let daemon = Daemon::start(self.url());
        Phones::all(daemon.address, [user], Wire::Udp).document(user)
    }
}

const BERLIN: &str = "ou=Berlin,dc=corp,dc=example";

/// A user record with more lines.
fn person(uid: &str, container: &str, lines: &str) -> String {
    format!("\ndn: uid={uid},{container}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n{lines}")
}

#[test]
fn a_malformed_policy_value_is_skipped() {
    let _shared = shared();
    let lab = format!("ou=Lab,{BERLIN}");
    let directory =
        Directory::with(&(unit(&lab, &["sip.expires = soon", "forward.delay = 33"]) + &person("lab", &lab, "mail: lab@corp.example\n")));
    directory.only_fault("warning", "policy.value", &lab, &["dialcastSetting", "sip.expires", "soon"]);
    let body = directory.document("lab@corp.example");
    // The next candidate is used: here what is built in. The OU's other line counts.
    assert_eq!(value(&body, "sip.expires").as_deref(), Some("3600"));
    assert_eq!(value(&body, "forward.delay").as_deref(), Some("33"));
}

#[test]
fn an_unknown_setting_is_told_with_the_nearest_name() {
    let _shared = shared();
    let lab = format!("ou=Lab,{BERLIN}");
    let directory = Directory::with(&(unit(&lab, &["sip.expire = 600"]) + &person("lab", &lab, "mail: lab@corp.example\n")));
    directory.only_fault("warning", "policy.setting", &lab, &["sip.expire", "sip.expires"]);
}

#[test]
fn a_dangling_group_member_waits_for_its_object() {
    let _shared = shared();
    let group = "cn=Night Shift,ou=Groups,dc=corp,dc=example";
    let record = format!(
        "\ndn: {group}\nobjectClass: groupOfNames\nobjectClass: dialcastPolicy\ncn: Night Shift\ndialcastSetting: forward.delay = 99\n\
         member: uid=nobody,{BERLIN}\nmember: uid=anna,ou=Sales,{BERLIN}\n"
    );
    let directory = Directory::with(&record);
    directory.only_fault("warning", "group.dangling", group, &["uid=nobody,ou=Berlin,dc=corp,dc=example"]);
    assert_eq!(value(&directory.document("anna@corp.example"), "forward.delay").as_deref(), Some("99"));
    // The object appears: it is a member.
    let directory = Directory::with(&(record + &person("nobody", BERLIN, "mail: nobody@corp.example\n")));
    assert_eq!(directory.check(), (Some(0), vec![]));
    assert_eq!(value(&directory.document("nobody@corp.example"), "forward.delay").as_deref(), Some("99"));
}

#[test]
fn a_user_without_an_address_has_no_document() {
    let _shared = shared();
    let directory = Directory::with(&person("silent", BERLIN, "telephoneNumber: +49 30 23125 999\n"));
    directory.only_fault("note", "account.no-address", &format!("uid=silent,{BERLIN}"), &["SIP address", "mail"]);
}

#[test]
fn one_address_belongs_to_the_older_user() {
    let _shared = shared();
    let twin = |uid: &str, year: u32, tel: &str| {
        person(
            uid,
            BERLIN,
            &format!(
                "SIPIdentitySIPURI: sip:twin@corp.example\nobjectClass: SIPIdentity\ncreateTimestamp: {year}0101000000Z\ntelephoneNumber: {tel}\n"
            ),
        )
    };
    let directory = Directory::with(&(twin("young", 2024, "+49 30 23125 002") + &twin("old", 2020, "+49 30 23125 001")));
    directory.only_fault(
        "error",
        "account.address-taken",
        &format!("uid=young,{BERLIN}"),
        &["sip:twin@corp.example", &format!("uid=old,{BERLIN}")],
    );
    let body = directory.document("twin@corp.example");
    assert!(body.contains("tel:+493023125001") && !body.contains("tel:+493023125002"), "{body}");
}

#[test]
fn an_empty_unit_is_noted() {
    let _shared = shared();
    let empty = format!("ou=Empty,{BERLIN}");
    Directory::with(&unit(&empty, &[])).only_fault("note", "directory.empty", &empty, &[]);
}

#[test]
fn an_account_without_a_registrar_is_never_published() {
    let _shared = shared();
    let lab = format!("ou=Lab,{BERLIN}");
    let records = unit(&lab, &["sip.registrar unset"]) + &person("lab", &lab, "mail: lab@corp.example\n");
    let directory = Directory::with(&records);
    directory.only_fault("error", "account.no-registrar", &format!("uid=lab,{lab}"), &["sip:lab@corp.example", "sip.registrar"]);

    // One that had a document keeps it, and is told nothing.
    std::fs::write(&directory.path, sample() + &unit(&lab, &[]) + &person("lab", &lab, "mail: lab@corp.example\n")).unwrap();
    let daemon = Daemon::start(directory.url());
    let mut phones = Phones::all(daemon.address, ["lab@corp.example", "anna@corp.example"], Wire::Udp);
    let mark = phones.mark();
    // The second change concerns everybody: when anna has it, the daemon has read the file.
    replace(&directory.path, &(sample().replace("provider.name = Corp Example Telephony", "provider.name = Other") + &records));
    phones.wait("anna hears of the new file", mark, PATIENCE, |got, _| got.contains_key("anna@corp.example"));
    assert!(!phones.since(mark).contains_key("lab@corp.example"));
    let late = Phones::all(daemon.address, ["lab@corp.example"], Wire::Udp).document("lab@corp.example");
    assert_eq!(late, phones.document("lab@corp.example"), "the last good document stays");
    assert!(!servers(&late, "sip.registrar").is_empty());
}

/// As editors do: a new file, renamed over the old one.
fn replace(path: &Path, text: &str) {
    let aside = path.with_extension("new");
    std::fs::write(&aside, text).unwrap();
    std::fs::rename(&aside, path).unwrap();
}

#[test]
fn ten_thousand_users_in_one_unit() {
    let _shared = shared();
    let crowd = format!("ou=Crowd,{BERLIN}");
    let records: String =
        unit(&crowd, &["forward.delay = 10"]) + &(0..10).map(|t| people(&format!("c{t}x"), 1..=1000, &crowd)).collect::<String>();
    let directory = Directory::with(&records);
    directory.only_fault("note", "directory.crowd", &crowd, &["10000"]);

    // An account that reads needs its limit lifted, as the README says: 500 entries is what slapd gives.
    let slapd = Setup::new(sample() + &records).global("sizelimit unlimited").start();
    let out = ask(&["check", "--json", "--directory", &slapd.url()]);
    assert_eq!((out.status.code(), list(&json(&out)).len()), (Some(0), 1), "{}", text(&out.stderr));
    let daemon = Daemon::start(slapd.url());
    let mut phones = Phones::all(daemon.address, ["c0x001@corp.example", "c9x1000@corp.example", "anna@corp.example"], Wire::Udp);
    let mark = phones.mark();
    slapd.rename(&crowd, "ou=Crowd", Some("ou=Lisbon,dc=corp,dc=example"));
    let got = phones.wait("both of the crowd hear of the move", mark, PATIENCE, |got, _| got.len() == 2);
    for notifies in got.values() {
        assert_eq!(servers(&notifies[0].body, "sip.outbound-proxy"), ["sips:lis1.corp.example", "sips:edge.corp.example"]);
    }
    assert!(!got.contains_key("anna@corp.example"));
}
