//! The non-INVITE server transaction of RFC 3261 §17.2.2 as a table: no clock, no bytes, no socket.
//!
//! ```text
//!                                   |Request received
//!                                   |pass to TU
//!                                   V
//!                             +-----------+
//!                             |           |
//!                             | Trying    |-------------+
//!                             |           |             |
//!                             +-----------+             |200-699 from TU
//!                                   |                   |send response
//!                                   |1xx from TU        |
//!                                   |send response      |
//!                                   |                   |
//!                Request            V      1xx from TU  |
//!                send response+-----------+send response|
//!                    +--------|           |--------+    |
//!                    |        | Proceeding|        |    |
//!                    +------->|           |<-------+    |
//!             +<--------------|           |             |
//!             |Trnsprt Err    +-----------+             |
//!             |Inform TU            |                   |
//!             |                     |200-699 from TU    |
//!             |                     |send response      |
//!             |      Request        V                   |
//!             |      send response+-----------+         |
//!             |          +--------|           |         |
//!             |          |        | Completed |<--------+
//!             |          +------->|           |
//!             +<------------------|           |
//!             |Trnsprt Err        +-----------+
//!             |Inform TU                |
//!             |                         |Timer J fires
//!             |                         |-
//!             |                         V
//!             |                   +-----------+
//!             +------------------>| Terminated|
//!                                 +-----------+
//! ```

/// Where a non-INVITE server transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The request went to the user, who has not answered.
    Trying,
    /// The user answered with a 1xx.
    Proceeding,
    /// The user answered; the response is kept for retransmissions of the request until Timer J.
    Completed,
    /// Nothing more happens.
    Terminated,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// The same request once more.
    Request,
    /// The user answers 100 to 199.
    Provisional,
    /// The user answers 200 to 699.
    Final,
    /// The time in which the request can still be retransmitted is over.
    TimerJ,
    /// The transport could not send.
    TransportError,
}

/// What goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Send {
    /// The response that the user gives now.
    Given,
    /// The response sent last.
    Stored,
}

/// What follows from an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The state from now on.
    pub next: State,
    /// What goes out.
    pub send: Option<Send>,
    /// Whether the user hears that the transport failed.
    pub failed: bool,
}

impl State {
    /// Every state, for tables.
    pub const ALL: [Self; 4] = [Self::Trying, Self::Proceeding, Self::Completed, Self::Terminated];

    /// What follows from an input on a transport that is reliable or not.
    pub const fn step(self, input: Input, reliable: bool) -> Step {
        use Input::{Final, Provisional, Request, TimerJ, TransportError};
        use State::{Completed, Proceeding, Terminated, Trying};
        match (self, input) {
            // RFC 3261 §17.2.2: the response is passed to the transport. RFC 4320 §4.1: no 1xx but a 100 after Timer E
            // has reached T2, which is the user's to obey.
            (Trying | Proceeding, Provisional) => Step { next: Proceeding, send: Some(Send::Given), failed: false },
            // RFC 3261 §17.2.2: Timer J is 64·T1 on unreliable transports and zero on reliable ones.
            (Trying | Proceeding, Final) => {
                Step { next: if reliable { Terminated } else { Completed }, send: Some(Send::Given), failed: false }
            }
            // RFC 3261 §17.2.2: a retransmission in "Proceeding" or "Completed" is answered with the response sent last.
            (Proceeding | Completed, Request) => Step { next: self, send: Some(Send::Stored), failed: false },
            // RFC 3261 §17.2.4: the TU is told, and the transaction ends.
            (Proceeding | Completed, TransportError) => Step { next: Terminated, send: None, failed: true },
            (Completed, TimerJ) => Step { next: Terminated, send: None, failed: false },
            // RFC 3261 §17.2.2: in "Trying" retransmissions are discarded; in "Completed" further final responses are.
            (Trying, Request | TimerJ | TransportError) | (Proceeding, TimerJ) | (Completed, Provisional | Final) | (Terminated, _) => {
                Step { next: self, send: None, failed: false }
            }
        }
    }
}

impl Input {
    /// Every input, for tables.
    pub const ALL: [Self; 5] = [Self::Request, Self::Provisional, Self::Final, Self::TimerJ, Self::TransportError];
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn table(reliable: bool) -> String {
        let mut out = String::new();
        for state in State::ALL {
            for input in Input::ALL {
                let step = state.step(input, reliable);
                let send = step.send.map_or(String::new(), |send| format!(" send {send:?}"));
                let tell = if step.failed { " tell TransportError" } else { "" };
                writeln!(out, "{state:?} + {input:?} -> {:?}{send}{tell}", step.next).unwrap();
            }
        }
        out
    }

    #[test]
    fn every_pair_unreliable() {
        insta::assert_snapshot!(table(false), @r"
        Trying + Request -> Trying
        Trying + Provisional -> Proceeding send Given
        Trying + Final -> Completed send Given
        Trying + TimerJ -> Trying
        Trying + TransportError -> Trying
        Proceeding + Request -> Proceeding send Stored
        Proceeding + Provisional -> Proceeding send Given
        Proceeding + Final -> Completed send Given
        Proceeding + TimerJ -> Proceeding
        Proceeding + TransportError -> Terminated tell TransportError
        Completed + Request -> Completed send Stored
        Completed + Provisional -> Completed
        Completed + Final -> Completed
        Completed + TimerJ -> Terminated
        Completed + TransportError -> Terminated tell TransportError
        Terminated + Request -> Terminated
        Terminated + Provisional -> Terminated
        Terminated + Final -> Terminated
        Terminated + TimerJ -> Terminated
        Terminated + TransportError -> Terminated
        ");
    }

    #[test]
    fn every_pair_reliable() {
        insta::assert_snapshot!(table(true), @r"
        Trying + Request -> Trying
        Trying + Provisional -> Proceeding send Given
        Trying + Final -> Terminated send Given
        Trying + TimerJ -> Trying
        Trying + TransportError -> Trying
        Proceeding + Request -> Proceeding send Stored
        Proceeding + Provisional -> Proceeding send Given
        Proceeding + Final -> Terminated send Given
        Proceeding + TimerJ -> Proceeding
        Proceeding + TransportError -> Terminated tell TransportError
        Completed + Request -> Completed send Stored
        Completed + Provisional -> Completed
        Completed + Final -> Completed
        Completed + TimerJ -> Terminated
        Completed + TransportError -> Terminated tell TransportError
        Terminated + Request -> Terminated
        Terminated + Provisional -> Terminated
        Terminated + Final -> Terminated
        Terminated + TimerJ -> Terminated
        Terminated + TransportError -> Terminated
        ");
    }
}
