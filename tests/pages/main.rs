//! The pages for administrators, run as they are written: the shell blocks of docs/active-directory.md, docs/openldap.md and
//! docs/389ds.md, at real servers. What a page has for another system (PowerShell) or shows (TOML) is not run; its configuration
//! is used.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod active_directory;
mod ds389;
mod openldap;
mod page;
