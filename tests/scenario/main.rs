//! One story told to every kind of directory: the same documents come of it, byte for byte, and the same phones are told.
//!
//! An LDIF file is the reference; each server's run is compared with it step by step. What an admin does is written once
//! (`story.rs`), and put into the words of each server (`words.rs`). The latency of each server is printed:
//!
//! ```text
//! tests/run told_by      (or: cargo test --test scenario -- --nocapture)
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and print what they measured"
)]

#[path = "../common/mod.rs"]
mod common;

mod faults;
mod latency;
mod server;
mod stage;
mod story;
mod words;

use std::sync::OnceLock;

use server::{DirectoryServer, DomainController, Files, OpenLdap, Server};
use stage::{Told, play};

/// What an LDIF file makes of the story: told once, compared with by every server's run.
fn reference() -> &'static [Told] {
    static REFERENCE: OnceLock<Vec<Told>> = OnceLock::new();
    REFERENCE.get_or_init(|| play(&mut Files::start()))
}

/// Holds a server's run to the reference.
fn same_as_the_file(server: &mut impl Server) {
    let told = play(server);
    let reference = reference();
    let names = |told: &[Told]| told.iter().map(|told| told.step).collect::<Vec<_>>();
    assert_eq!(names(&told), names(reference));
    for (own, file) in told.iter().zip(reference) {
        let (users, wanted): (Vec<_>, Vec<_>) = (own.documents.keys().collect(), file.documents.keys().collect());
        assert_eq!(users, wanted, "{}: other phones than with LDIF", own.step);
        for (user, document) in &own.documents {
            assert_eq!(document, &file.documents[user], "{}: another document for {user} than with LDIF", own.step);
        }
    }
}

#[test]
fn told_by_ldif() {
    let told = reference();
    assert_eq!(told.len(), story::steps().len() + 1, "the first documents, and one act for each step");
}

#[test]
fn told_by_openldap() {
    let _alone = common::alone();
    same_as_the_file(&mut OpenLdap::start());
}

#[test]
fn told_by_389_directory_server() {
    let _alone = common::alone();
    same_as_the_file(&mut DirectoryServer::start());
}

#[test]
fn openldap_fails_and_no_phone_loses_anything() {
    let _alone = common::alone();
    faults::survives(&mut OpenLdap::start());
}

#[test]
fn directory_server_fails_and_no_phone_loses_anything() {
    let _alone = common::alone();
    faults::survives(&mut DirectoryServer::start());
}

#[test]
fn samba_fails_and_no_phone_loses_anything() {
    let _alone = common::alone();
    faults::survives(&mut DomainController::start());
}

#[test]
fn told_by_samba() {
    let _alone = common::alone();
    same_as_the_file(&mut DomainController::start());
}
