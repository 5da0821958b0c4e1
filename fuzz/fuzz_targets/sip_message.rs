//! Arbitrary octets as one SIP message: `cargo +nightly fuzz run sip_message fuzz/corpus/sip_message fuzz/kept/sip_message`.

#![no_main]

#[path = "../exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exercise::message(bytes));
