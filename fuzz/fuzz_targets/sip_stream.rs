//! Arbitrary octets as a SIP stream: `cargo +nightly fuzz run sip_stream fuzz/corpus/sip_stream fuzz/kept/sip_stream`.

#![no_main]

#[path = "../exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exercise::stream(bytes));
