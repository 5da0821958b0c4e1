//! docs/operations.md against the source: every fault that an operator can meet is explained there, and no other.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dialcast::policy::catalogue::Setting;
use regex::Regex;

/// The stages that find faults.
const STAGES: &[&str] = &["config", "directory", "store", "policy", "runtime"];
/// Texts with a dot that are names of files.
const FILES: &[&str] = &["ldif", "toml", "txt", "pem", "new", "state", "sock"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name == "tests" || name.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Keys of the configuration, dotted.
fn keys() -> BTreeSet<String> {
    let schema: serde_json::Value = serde_json::from_slice(&fs::read(root().join("schemas/config.schema.json")).unwrap()).unwrap();
    let mut keys = BTreeSet::new();
    for (name, table) in schema["properties"].as_object().unwrap() {
        let Some(reference) = table["$ref"].as_str() else { continue };
        let table = &schema["$defs"][reference.rsplit('/').next().unwrap()]["properties"];
        keys.extend(table.as_object().unwrap().keys().map(|key| format!("{name}.{key}")));
    }
    keys
}

/// The codes in the source: what stands where a code stands, and every other text that looks like one and is nothing else.
fn codes() -> BTreeSet<String> {
    let mut files = Vec::new();
    for stage in STAGES {
        sources(&root().join("src").join(stage), &mut files);
    }
    let placed = Regex::new(r#"(?:code: |CODE: &str = |warning\(\s*|Severity::\w+,\s*)"([a-z-]+\.[a-z-]+)""#).unwrap();
    let shaped = Regex::new(r#""([a-z-]+\.[a-z-]+)""#).unwrap();
    let keys = keys();
    let is_other = |text: &str| {
        keys.contains(text)
            || Setting::all().any(|setting| setting.name() == text)
            || FILES.iter().any(|ending| text.ends_with(&format!(".{ending}")))
    };
    let mut codes = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        codes.extend(placed.captures_iter(text).map(|found| found[1].to_owned()));
        codes.extend(shaped.captures_iter(text).map(|found| found[1].to_owned()).filter(|text| !is_other(text)));
    }
    codes
}

#[test]
fn every_code_is_explained() {
    let text = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (_, table) = text.split_once("| code | severity | meaning |").unwrap();
    let row = Regex::new(r"(?m)^\| `([a-z-]+\.[a-z-]+)` \| [a-z, ]+ \| .+ \|$").unwrap();
    let rows: Vec<String> = row.captures_iter(table).map(|found| found[1].to_owned()).collect();
    assert!(rows.is_sorted(), "the table is sorted");
    let explained: BTreeSet<String> = rows.iter().cloned().collect();
    let codes = codes();
    assert!(codes.len() > 30, "the source was read: {codes:?}");
    let missing: Vec<&String> = codes.difference(&explained).collect();
    let stale: Vec<&String> = explained.difference(&codes).collect();
    assert!(missing.is_empty() && stale.is_empty(), "docs/operations.md lacks {missing:?}, and explains {stale:?}, which is not in src");
}
