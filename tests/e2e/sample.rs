//! What is shipped in examples/ and schemas/: valid for those who read it.

use std::process::Command;

use crate::common::daemon::{Daemon, ask, json, text};
use crate::common::organisation::{sample, users};
use crate::common::sipp::{Phones, Wire};
use crate::common::slapd::Slapd;
use crate::common::{checkout, shared};

/// Every sample user's document, as a phone got it on the wire, against the XSD.
#[test]
fn every_sample_document_is_valid() {
    let _shared = shared();
    let daemon = Daemon::start(format!("ldif:{}", checkout("examples/corp.ldif").display()));
    let everybody = users(&sample());
    assert_eq!(everybody.len(), 22);
    let mut phones = Phones::all(daemon.address, &everybody, Wire::Udp);
    let dir = tempfile::tempdir().unwrap();
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--noout", "--nonet", "--schema"]).arg(checkout("schemas/xml/profile.xsd"));
    for user in &everybody {
        let path = dir.path().join(format!("{user}.xml"));
        std::fs::write(&path, phones.document(user)).unwrap();
        xmllint.arg(path);
    }
    for notify in phones.notifies() {
        assert_eq!(notify.content_type, "application/vnd.dialcast.profile+xml");
        assert!(notify.state.starts_with("active"), "{}", notify.state);
    }
    let out = xmllint.output().expect("xmllint starts (Debian: apt-get install libxml2-utils)");
    let said = text(&out.stderr);
    assert!(out.status.success(), "{said}");
    assert_eq!(said.lines().filter(|line| line.ends_with(" validates")).count(), everybody.len(), "{said}");
}

/// The same file in slapd gives every user the same document as the file itself.
#[test]
fn the_sample_is_the_same_in_openldap() {
    let _shared = shared();
    let slapd = Slapd::start(&sample());
    let from_file = Daemon::start(format!("ldif:{}", checkout("examples/corp.ldif").display()));
    let from_slapd = Daemon::start(slapd.url());
    let everybody = users(&sample());
    let mut one = Phones::all(from_file.address, &everybody, Wire::Udp);
    let mut other = Phones::all(from_slapd.address, &everybody, Wire::Udp);
    for user in &everybody {
        // Which of two equal servers comes first is drawn from the object's id, and slapd gives other ids than the file.
        let sorted = |xml: String| {
            let mut parts: Vec<String> = xml.replace("><", ">\n<").lines().map(str::to_owned).collect();
            parts.sort();
            parts
        };
        assert_eq!(sorted(one.document(user)), sorted(other.document(user)), "{user}");
    }
}

/// The sample has no fault, and the commented configuration neither.
#[test]
fn the_examples_have_no_faults() {
    let _shared = shared();
    let config = checkout("examples/dialcast.toml");
    for arguments in [
        vec!["check", "--json", "--strict", "--directory", &format!("ldif:{}", checkout("examples/corp.ldif").display())],
        vec!["check", "--json", "--strict", "--config", config.to_str().unwrap()],
        vec!["check", "--json", "--strict"],
    ] {
        let out = ask(&arguments);
        assert_eq!(out.status.code(), Some(0), "{arguments:?}: {}{}", text(&out.stdout), text(&out.stderr));
        let faults = super::faults::list(&json(&out));
        assert!(faults.is_empty(), "{arguments:?}: {faults:#?}");
    }
}

/// Every key that the configuration's JSON Schema knows stands in the commented example, set or commented out.
#[test]
fn the_example_has_every_key() {
    let read = |path: &str| std::fs::read_to_string(checkout(path)).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&read("schemas/config.schema.json")).unwrap();
    let mut in_example = std::collections::BTreeSet::new();
    let mut table = String::new();
    for line in read("examples/dialcast.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = format!("{name}.");
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ") {
            in_example.insert(format!("{table}{key}"));
        }
    }
    let properties = |object: &serde_json::Value| -> Option<serde_json::Map<String, serde_json::Value>> {
        let target = object["$ref"].as_str().and_then(|path| schema.pointer(path.trim_start_matches('#'))).unwrap_or(object);
        target["properties"].as_object().cloned()
    };
    let mut known = std::collections::BTreeSet::new();
    for (name, value) in properties(&schema).unwrap() {
        match properties(&value) {
            Some(keys) => known.extend(keys.keys().map(|key| format!("{name}.{key}"))),
            None => drop(known.insert(name)),
        }
    }
    assert!(known.len() > 20, "{known:?}");
    let missing: Vec<&String> = known.difference(&in_example).collect();
    assert!(missing.is_empty(), "not in examples/dialcast.toml: {missing:?}");
}
