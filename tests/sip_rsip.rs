//! Our reading of messages against that of two other parsers, `sipx-sip` and (feature `rsip`) `rsip`: on messages of our own making and
//! on generated ones. Where one of them differs from us, the difference and its reason stand in a list, and the list is checked too.

#![expect(clippy::print_stdout, reason = "a test that says how much it ran")]

mod readings;
mod torture;

use proptest::prelude::*;
use readings::messages::{Dialect, PHONES, generated};
use readings::{Reading, ours, sipx};

/// Messages that we accept and `sipx-sip` 1.0.1 reads otherwise, and why.
const SIPX_DIFFERS: &[(&str, &str)] =
    &[("baddn", "refuses a display name with a comma outside quotes; RFC 4475 §3.1.2.15 lets a reader do either")];

/// Messages that we accept and `rsip` 0.4.0 reads otherwise, and why.
#[cfg(feature = "rsip")]
const RSIP_DIFFERS: &[(&str, &str)] = &[
    ("wsinv", "knows no folds"),
    ("intmeth", "knows no other methods than its own"),
    ("esc01", "knows no folds"),
    ("escnull", "takes a compact name (L) for another field"),
    ("esc02", "knows no other methods than its own"),
    ("lwsdisp", "takes a compact name (l) for another field"),
    ("longreq", "knows no white space before a colon"),
    ("dblreq", "takes a compact name (I) for another field"),
    ("semiuri", "knows no folds"),
    ("transports", "takes a compact name (l) for another field"),
    ("baddn", "takes a compact name (l) for another field"),
    ("badbranch", "takes a compact name (l) for another field"),
    ("cparam01", "takes a compact name (l) for another field"),
    ("cparam02", "takes a compact name (l) for another field"),
    ("regescrt", "takes a compact name (M, L) for another field"),
    ("linphone-subscribe", "cannot read brackets in a quoted parameter (+sip.instance)"),
    ("ipv6", "cannot read an IPv6 reference"),
    ("check-sync", "takes a compact name (v) for another field"),
    ("tel", "cannot read a tel URI"),
];

/// The phones' messages, and every torture message that is accepted or merely of an unknown method.
fn own_messages() -> Vec<(&'static str, Vec<u8>)> {
    let accepted = torture::cases().filter(|case| case.verdict == torture::Verdict::Accept || case.section.starts_with("3.1.1."));
    let phones = PHONES.iter().map(|(name, text)| (*name, text.replace('\n', "\r\n").into_bytes()));
    accepted.map(|case| (case.name, case.bytes())).chain(phones).collect()
}

/// Each own message is read alike, unless it is listed, and then it is not.
fn check_own(other: &str, read: impl Fn(&[u8]) -> Result<Reading, String>, differs: &[(&str, &str)]) {
    let messages = own_messages();
    let mut faults: Vec<String> = differs
        .iter()
        .filter(|(name, _)| !messages.iter().any(|(n, _)| n == name))
        .map(|(name, _)| format!("{name} is no message"))
        .collect();
    for (name, bytes) in &messages {
        let (ours, theirs) = (ours::read(bytes), read(bytes));
        assert!(ours.is_ok(), "{name}: {ours:?}");
        match differs.iter().find(|(known, _)| known == name) {
            Some((_, reason)) if ours == theirs => faults.push(format!("{name} is read alike, although it {reason}")),
            None if ours != theirs => faults.push(format!("{name}: we read {ours:?}, it reads {theirs:?}")),
            _ => {}
        }
    }
    assert!(faults.is_empty(), "{other}: {}", faults.join("\n"));
    println!(
        "{other}: {} of {} messages are read alike, {} differ for known reasons",
        messages.len() - differs.len(),
        messages.len(),
        differs.len()
    );
}

fn check_generated(dialect: Dialect, read: impl Fn(&[u8]) -> Result<Reading, String>) {
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() });
    let outcome = runner.run(&generated(dialect), |bytes| {
        let ours = ours::read(&bytes).map_err(TestCaseError::fail)?;
        let theirs = read(&bytes).map_err(TestCaseError::fail)?;
        prop_assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&bytes));
        Ok(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn own_messages_and_sipx() {
    check_own("sipx-sip", sipx::read, SIPX_DIFFERS);
}

#[test]
fn generated_messages_and_sipx() {
    check_generated(Dialect::Full, sipx::read);
}

#[cfg(feature = "rsip")]
#[test]
fn own_messages_and_rsip() {
    check_own("rsip", readings::theirs::read, RSIP_DIFFERS);
}

#[cfg(feature = "rsip")]
#[test]
fn generated_messages_and_rsip() {
    check_generated(Dialect::Plain, readings::theirs::read);
}
