//! One message as three parsers read it, in one shape.

pub(crate) mod messages;
pub(crate) mod ours;
pub(crate) mod sipx;
#[cfg(feature = "rsip")]
pub(crate) mod theirs;

/// What is compared. Names are spelled out and in lower case, runs of white space are one space.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    /// Method or status.
    pub(crate) start: String,
    /// Of a request.
    pub(crate) uri: String,
    pub(crate) fields: Vec<(String, String)>,
    /// The topmost: transport, host, port, branch.
    pub(crate) via: (String, String, Option<u16>, Option<String>),
    pub(crate) from: (String, Option<String>),
    pub(crate) to: (String, Option<String>),
    pub(crate) call_id: String,
    pub(crate) cseq: (u32, String),
    pub(crate) contacts: Vec<String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
