//! Why a subscription ends.

use std::fmt;

/// The `reason` of a terminated subscription (RFC 6665 §4.1.3): it tells the subscriber whether to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// This node gives it up: subscribe again at once.
    Deactivated,
    /// Not now: subscribe again later.
    Probation,
    /// Not allowed any more: do not come back.
    Rejected,
    /// Its time is over: subscribe again at will.
    Timeout,
    /// No decision in time: subscribe again later.
    GiveUp,
    /// What was subscribed to is gone: do not come back.
    NoResource,
    /// It never changes again: do not come back.
    Invariant,
}

impl Reason {
    /// The token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::GiveUp => "giveup",
            Self::NoResource => "noresource",
            Self::Invariant => "invariant",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
