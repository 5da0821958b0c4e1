//! The non-INVITE client transaction of RFC 3261 §17.1.2 as a table: no clock, no bytes, no socket.
//!
//! ```text
//!                                |Request from TU
//!                                |send request
//!            Timer E             V
//!            send request  +-----------+
//!                +---------|           |-------------------+
//!                |         |  Trying   |  Timer F          |
//!                +-------->|           |  or Transport Err.|
//!                          +-----------+  inform TU        |
//!             200-699         |  |                         |
//!             resp. to TU     |  |1xx                      |
//!             +---------------+  |resp. to TU              |
//!             |                  |                         |
//!             |   Timer E        V       Timer F           |
//!             |   send req +-----------+ or Transport Err. |
//!             |  +---------|           | inform TU         |
//!             |  |         |Proceeding |------------------>|
//!             |  +-------->|           |-----+             |
//!             |            +-----------+     |1xx          |
//!             |              |      ^        |resp to TU   |
//!             | 200-699      |      +--------+             |
//!             | resp. to TU  |                             |
//!             |              V                             |
//!             |            +-----------+                   |
//!             +----------->| Completed |                   |
//!                          +-----------+                   |
//!                            |   | Timer K                 |
//!                            |   +------------------------>|
//!                            V                             V
//!                                     +-----------+
//!                                     | Terminated|
//!                                     +-----------+
//! ```

/// Where a non-INVITE client transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The request is out, nothing came back.
    Trying,
    /// A 1xx came back.
    Proceeding,
    /// A final response came back; retransmissions of it are absorbed until Timer K.
    Completed,
    /// Nothing more happens.
    Terminated,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// Time to send the request once more (unreliable transports only).
    TimerE,
    /// 64·T1 without a final response.
    TimerF,
    /// The time in which retransmitted responses can still arrive is over.
    TimerK,
    /// 100 to 199.
    Provisional,
    /// 200 to 699.
    Final,
    /// The transport could not send.
    TransportError,
}

/// What the transaction user hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tell {
    /// The response that came in.
    Response,
    /// There was no final response in time.
    Timeout,
    /// The request could not be sent.
    TransportError,
}

/// What follows from an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The state from now on.
    pub next: State,
    /// Whether the request is to be sent again.
    pub send: bool,
    /// What the user is told.
    pub tell: Option<Tell>,
}

impl State {
    /// Every state, for tables.
    pub const ALL: [Self; 4] = [Self::Trying, Self::Proceeding, Self::Completed, Self::Terminated];

    /// What follows from an input on a transport that is reliable or not.
    pub const fn step(self, input: Input, reliable: bool) -> Step {
        use Input::{Final, Provisional, TimerE, TimerF, TimerK, TransportError};
        use State::{Completed, Proceeding, Terminated, Trying};
        match (self, input) {
            // RFC 3261 §17.1.2.2: Timer E runs on unreliable transports only; when it fires the request is sent again.
            (Trying | Proceeding, TimerE) => Step { next: self, send: !reliable, tell: None },
            // RFC 3261 §17.1.2.2: Timer F in "Trying" or "Proceeding": the TU is told of a timeout.
            (Trying | Proceeding, TimerF) => Step { next: Terminated, send: false, tell: Some(Tell::Timeout) },
            // RFC 3261 §17.1.4: the TU is told of a transport failure, and the transaction ends.
            (Trying | Proceeding, TransportError) => Step { next: Terminated, send: false, tell: Some(Tell::TransportError) },
            // RFC 3261 §17.1.2.2: every 1xx is passed up.
            (Trying | Proceeding, Provisional) => Step { next: Proceeding, send: false, tell: Some(Tell::Response) },
            // RFC 3261 §17.1.2.2: a final response is passed up; Timer K is T4 on unreliable transports and zero on reliable ones.
            (Trying | Proceeding, Final) => {
                Step { next: if reliable { Terminated } else { Completed }, send: false, tell: Some(Tell::Response) }
            }
            (Completed, TimerK) => Step { next: Terminated, send: false, tell: None },
            // "Completed" absorbs what still arrives; "Terminated" hears nothing.
            (Trying | Proceeding, TimerK) | (Completed | Terminated, _) => Step { next: self, send: false, tell: None },
        }
    }
}

impl Input {
    /// Every input, for tables.
    pub const ALL: [Self; 6] = [Self::TimerE, Self::TimerF, Self::TimerK, Self::Provisional, Self::Final, Self::TransportError];
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
                let send = if step.send { " send" } else { "" };
                let tell = step.tell.map_or(String::new(), |tell| format!(" tell {tell:?}"));
                writeln!(out, "{state:?} + {input:?} -> {:?}{send}{tell}", step.next).unwrap();
            }
        }
        out
    }

    #[test]
    fn every_pair_unreliable() {
        insta::assert_snapshot!(table(false), @r"
        Trying + TimerE -> Trying send
        Trying + TimerF -> Terminated tell Timeout
        Trying + TimerK -> Trying
        Trying + Provisional -> Proceeding tell Response
        Trying + Final -> Completed tell Response
        Trying + TransportError -> Terminated tell TransportError
        Proceeding + TimerE -> Proceeding send
        Proceeding + TimerF -> Terminated tell Timeout
        Proceeding + TimerK -> Proceeding
        Proceeding + Provisional -> Proceeding tell Response
        Proceeding + Final -> Completed tell Response
        Proceeding + TransportError -> Terminated tell TransportError
        Completed + TimerE -> Completed
        Completed + TimerF -> Completed
        Completed + TimerK -> Terminated
        Completed + Provisional -> Completed
        Completed + Final -> Completed
        Completed + TransportError -> Completed
        Terminated + TimerE -> Terminated
        Terminated + TimerF -> Terminated
        Terminated + TimerK -> Terminated
        Terminated + Provisional -> Terminated
        Terminated + Final -> Terminated
        Terminated + TransportError -> Terminated
        ");
    }

    #[test]
    fn every_pair_reliable() {
        insta::assert_snapshot!(table(true), @r"
        Trying + TimerE -> Trying
        Trying + TimerF -> Terminated tell Timeout
        Trying + TimerK -> Trying
        Trying + Provisional -> Proceeding tell Response
        Trying + Final -> Terminated tell Response
        Trying + TransportError -> Terminated tell TransportError
        Proceeding + TimerE -> Proceeding
        Proceeding + TimerF -> Terminated tell Timeout
        Proceeding + TimerK -> Proceeding
        Proceeding + Provisional -> Proceeding tell Response
        Proceeding + Final -> Terminated tell Response
        Proceeding + TransportError -> Terminated tell TransportError
        Completed + TimerE -> Completed
        Completed + TimerF -> Completed
        Completed + TimerK -> Terminated
        Completed + Provisional -> Completed
        Completed + Final -> Completed
        Completed + TransportError -> Completed
        Terminated + TimerE -> Terminated
        Terminated + TimerF -> Terminated
        Terminated + TimerK -> Terminated
        Terminated + Provisional -> Terminated
        Terminated + Final -> Terminated
        Terminated + TransportError -> Terminated
        ");
    }
}
