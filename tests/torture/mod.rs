//! The 49 cases of RFC 4475, with messages of our own and the verdict that each of them has here.
//!
//! The messages are written with `\n` for CRLF. The names are those of the RFC, so that its own messages can be judged by the same table.

#![allow(dead_code, reason = "each test takes its part")]

pub(crate) mod invalid;
pub(crate) mod semantics;
pub(crate) mod valid;

use std::fmt;

/// One case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// The name that RFC 4475 gives it.
    pub(crate) name: &'static str,
    /// The section of RFC 4475 that says what is expected.
    pub(crate) section: &'static str,
    /// What happens to it.
    pub(crate) verdict: Verdict,
    /// Who says so.
    pub(crate) layer: Layer,
    /// Why.
    pub(crate) why: &'static str,
    /// Our own message for the case, with `\n` for CRLF.
    pub(crate) text: &'static [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Answer(u16),
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// `Message::parse`.
    Parser,
    /// `Support::check` of an element that serves everything RFC 3261 defines, or `check_response`.
    Agent,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.pad("accept"),
            Self::Answer(status) => f.pad(&status.to_string()),
            Self::Drop => f.pad("drop"),
        }
    }
}

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    [valid::CASES, invalid::CASES, semantics::CASES].into_iter().flatten().copied()
}

impl Case {
    /// The message in octets.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for byte in self.text {
            if *byte == b'\n' {
                bytes.push(b'\r');
            }
            bytes.push(*byte);
        }
        bytes
    }
}
