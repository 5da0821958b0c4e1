//! What the house promises about itself: the direction of dependencies, the purity of the pure stages, files of a size that
//! can be read, and nothing in the repository that belongs elsewhere.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The stages, and which others each may name. `model` and `sip` are the ground floor.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sip", &[]),
    ("directory", &["model"]),
    ("store", &["model", "directory"]),
    ("policy", &["model", "store"]),
    ("document", &["model", "policy"]),
    ("subscription", &["model", "document", "sip"]),
    ("net", &["sip"]),
    ("agent", &["model", "document", "sip"]),
    ("config", &["model", "directory", "policy", "subscription", "net"]),
    ("telemetry", &["config"]),
    ("runtime", &["model", "sip", "directory", "store", "policy", "document", "subscription", "net", "agent", "config", "telemetry"]),
    ("bin", &["config", "runtime", "telemetry"]),
];

/// Stages without input, output, clocks or randomness of their own.
const PURE: &[&str] = &["model", "sip", "store", "policy", "document", "subscription", "agent"];

/// What a pure stage never says, outside of its tests.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::thread",
    "std::env",
    "std::process",
    "Instant::now",
    "SystemTime::now",
    "rand::rng()",
    "thread_rng",
    "from_os_rng",
    "getrandom",
    "println!",
    "socket2",
    "ldap3",
];

/// A file longer than this is two ideas.
const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&root().join("src"), "rs", &mut found);
    found.sort();
    assert!(found.len() > 40, "the sources were not found");
    found
}

/// The stage of a file: its first folder below src, or the module's name.
fn stage(path: &Path) -> String {
    let relative = path.strip_prefix(root().join("src")).unwrap();
    relative.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The code of a file without comments and without its test module, which stands last.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end].lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests") || path.components().any(|c| c.as_os_str() == "tests")
}

/// Every stage that the code names: `crate::x` (also inside braces) and, in binaries, `dialcast::x`.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "dialcast::"] {
        for (at, _) in code.match_indices(prefix) {
            let rest = &code[at + prefix.len()..];
            let list = rest
                .strip_prefix('{')
                .map_or_else(|| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned(), top_level);
            found.extend(
                list.split(',').map(|name| name.trim().split("::").next().unwrap_or_default().to_owned()).filter(|name| !name.is_empty()),
            );
        }
    }
    found
}

/// The names at the first level of a braced import.
fn top_level(inner: &str) -> String {
    let mut depth = 1;
    let mut out = String::new();
    for c in inner.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if depth == 1 => out.push(c),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    out
}

#[test]
fn no_stage_imports_a_later_one() {
    let mut wrong = Vec::new();
    for path in sources().iter().filter(|path| !is_test(path)) {
        let stage = stage(path);
        if stage == "lib" {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == stage) else {
            panic!("{} belongs to no stage of MAY_USE", path.display())
        };
        let stages: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
        for name in named(&code(path)) {
            if name != stage && stages.contains(name.as_str()) && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: `{stage}` uses `{name}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "dependencies point the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn pure_stages_stay_pure() {
    let mut wrong = Vec::new();
    for path in sources().iter().filter(|path| PURE.contains(&stage(path).as_str()) && !is_test(path)) {
        let code = code(path);
        wrong.extend(IMPURE.iter().filter(|word| code.contains(**word)).map(|word| format!("{}: {word}", path.display())));
    }
    assert!(wrong.is_empty(), "a pure stage reaches outside:\n{}", wrong.join("\n"));
}

#[test]
fn the_clock_is_read_at_the_edges_only() {
    let mut wrong = Vec::new();
    for path in sources().iter().filter(|path| !["runtime", "net", "directory", "bin"].contains(&stage(path).as_str()) && !is_test(path)) {
        if ["Instant::now", "SystemTime::now"].iter().any(|word| code(path).contains(word)) {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "ambient time in: {}", wrong.join(", "));
}

#[test]
fn channels_are_bounded() {
    let wrong: Vec<String> =
        sources().iter().filter(|path| code(path).contains("unbounded_channel")).map(|path| path.display().to_string()).collect();
    assert!(wrong.is_empty(), "every queue has a limit: {}", wrong.join(", "));
}

#[test]
fn files_can_be_read() {
    let long: Vec<String> = sources()
        .iter()
        .map(|path| (fs::read_to_string(path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{} has {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "two ideas in one room? {}", long.join(", "));
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = sources()
        .iter()
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//!"))
        .map(|path| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no module documentation: {}", silent.join(", "));
}

#[test]
fn nothing_is_left_open() {
    let mut all = sources();
    files(&root().join("tests"), "rs", &mut all);
    files(&root().join("benches"), "rs", &mut all);
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[ig", "nore")];
    let mut wrong = Vec::new();
    for path in &all {
        let text = fs::read_to_string(path).unwrap();
        wrong.extend(words.iter().filter(|word| text.contains(**word)).map(|word| format!("{}: {word}", path.display())));
    }
    assert!(wrong.is_empty(), "left open:\n{}", wrong.join("\n"));
}

/// Every code of a fault stands in a table for admins. Told by the codes' first words that nothing else in the sources begins with.
#[test]
fn every_fault_is_documented() {
    let docs: String = ["docs/operations.md", "docs/policy.md"].iter().map(|page| fs::read_to_string(root().join(page)).unwrap()).collect();
    let mut codes = BTreeSet::new();
    for path in sources().iter().filter(|path| !is_test(path)) {
        for literal in code(path).split('"') {
            let known = ["ldif.", "ldap.", "store.", "listen.", "group."].iter().any(|word| literal.starts_with(word));
            if known && literal.split('.').count() == 2 && literal.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'.') {
                codes.insert(literal.to_owned());
            }
        }
    }
    assert!(codes.len() > 8, "{codes:?}");
    codes.retain(|code| !docs.contains(&format!("`{code}`")));
    assert!(codes.is_empty(), "in no table of docs/operations.md or docs/policy.md: {codes:?}");
}

/// The test of the tests: a wrong import is seen, whichever way it is written.
#[test]
fn imports_are_seen() {
    let check = |code: &str, expect: &[&str]| assert_eq!(named(code).iter().map(String::as_str).collect::<Vec<_>>(), expect, "{code}");
    check("use crate::model::Dn;", &["model"]);
    check("use crate::{model::{Dn, Rdn}, sip};", &["model", "sip"]);
    check("fn f() -> crate::net::Net {}", &["net"]);
}
