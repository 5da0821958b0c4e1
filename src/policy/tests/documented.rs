//! The examples of `docs/policy.md` hold.

use std::collections::BTreeSet;

use super::world::{check, check_at};
use crate::policy::grammar::parse;

const PAGE: &str = include_str!("../../../docs/policy.md");

/// The fenced blocks: what stands after the fence, and the lines inside.
fn blocks() -> Vec<(&'static str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, Vec<&str>)> = None;
    for line in PAGE.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(kind), None) => open = Some((kind.trim(), Vec::new())),
            (Some(_), Some((kind, lines))) => blocks.push((kind, lines.join("\n"))),
            (None, Some((kind, mut lines))) => {
                lines.push(line);
                open = Some((kind, lines));
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is left open");
    blocks
}

#[test]
fn the_lines_parse() {
    let mut count = 0;
    for (_, lines) in blocks().iter().filter(|(kind, _)| *kind == "policy") {
        for line in lines.lines() {
            assert_eq!(parse(line).faults, [], "{line}");
            count += 1;
        }
    }
    assert!(count >= 10, "{count}");
}

#[test]
fn the_trees_come_to_what_is_written_below_them() {
    let mut tree = String::new();
    let mut results = 0;
    for (kind, lines) in blocks() {
        if kind == "tree" {
            tree = lines;
        } else if let Some(user) = kind.strip_prefix("result ") {
            match user.split_once(" at ") {
                Some((user, address)) => check_at(&tree, user, address.parse().unwrap(), &lines),
                None => check(&tree, user, &lines),
            }
            results += 1;
        }
    }
    assert_eq!(results, 9);
}

/// Every code of a fault in the sources of policy has its line in the table, and the other way round.
#[test]
fn every_code_is_listed() {
    let sources = [
        include_str!("../aim.rs"),
        include_str!("../device.rs"),
        include_str!("../faults.rs"),
        include_str!("../grammar.rs"),
        include_str!("../identity.rs"),
        include_str!("../network.rs"),
        include_str!("../object.rs"),
        include_str!("../server_object.rs"),
    ];
    let is_code = |text: &&str| {
        let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        text.split_once('.').is_some_and(|(family, name)| {
            part(name) && ["policy", "server", "identity", "account", "group", "directory", "network", "device"].contains(&family)
        })
    };
    // Tests, and the names of settings and keys, are not codes.
    let code = |source: &'static str| source.split("#[cfg(test)]").next().unwrap().split('"').skip(1).step_by(2).filter(is_code);
    let written: BTreeSet<&str> = sources.into_iter().flat_map(code).collect();
    let table = PAGE.split("What `check` says").nth(1).unwrap();
    let listed: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('|').next())
        .flat_map(|cell| cell.split('`'))
        .filter(is_code)
        .collect();
    assert_eq!(written, listed);
}
