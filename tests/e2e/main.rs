//! The daemon from outside: real directory servers, real phones, real files. Nothing on these ends was written for Dialcast
//! but the glue: slapd and its tools, sipp, liblinphone, xmllint, sh and sed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and print what they measured"
)]

#[path = "../common/mod.rs"]
mod common;

mod bulk;
mod fanout;
mod faults;
mod guards;
mod linphone;
mod outage;
mod places;
mod plan;
mod plan_places;
mod sample;
mod tour;
