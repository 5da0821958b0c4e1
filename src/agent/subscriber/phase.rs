//! What the subscriber is doing, as a table: no clock, no bytes.
//!
//! ```text
//!           Begin                Notified              RenewDue
//!  ┌──────┐ ────▶ ┌──────────┐ ────────▶ ┌──────────┐ ────────▶ ┌──────────┐
//!  │ Idle │       │  Asking  │           │   Open   │           │ Renewing │
//!  └──────┘       └──────────┘ ◀──────── └──────────┘ ◀──────── └──────────┘
//!                  ▲   │    │   Again,      │           Accepted,   │  Again, Gone,
//!         RetryDue │   │    │   Expired     │           Failed      │  Expired: Asking
//!                  │   │    │ Stop          │ Stop                  │ Stop
//!                  │   ▼    ▼               ▼                       ▼
//!           ┌─────────┐ ┌────────────┐   ┌─────────┐
//!           │ Resting │ │ Abandoning │──▶│ Leaving │──▶ Over
//!           └─────────┘ └────────────┘   └─────────┘
//!    from anywhere: Refused, Never, Done ──▶ Over;  Later, Failed, NoNotify ──▶ Resting
//! ```

/// What the subscriber is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Not yet begun.
    Idle,
    /// A SUBSCRIBE is out or was answered; no NOTIFY has come. RFC 6665 §4.4.1: the NOTIFY makes the dialog.
    Asking,
    /// The same, but nobody wants it any more: it is to be ended as soon as there is a dialog to end it in.
    Abandoning,
    /// Subscribed.
    Open,
    /// Subscribed, and a SUBSCRIBE for more time is out.
    Renewing,
    /// A SUBSCRIBE with Expires 0 is out or was answered; the last NOTIFY has not come.
    Leaving,
    /// Not subscribed; to be tried again later.
    Resting,
    /// Nothing more will happen.
    Over,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// The owner wants to be subscribed.
    Begin,
    /// The owner wants it to end.
    Stop,
    /// The SUBSCRIBE was answered 2xx.
    Accepted,
    /// The SUBSCRIBE was answered with a status that will not change.
    Refused,
    /// The SUBSCRIBE was not answered, or with a status that may change.
    Failed,
    /// The SUBSCRIBE in the dialog was answered 481.
    Gone,
    /// A NOTIFY: active or pending.
    Notified,
    /// A NOTIFY: terminated, and what was wanted has come: a fetch.
    Done,
    /// A NOTIFY: terminated, subscribe again now.
    Again,
    /// A NOTIFY: terminated, subscribe again later.
    Later,
    /// A NOTIFY: terminated, do not come back.
    Never,
    /// No NOTIFY came in time.
    NoNotify,
    /// Time for more time.
    RenewDue,
    /// The time is over.
    Expired,
    /// Time to try again.
    RetryDue,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing.
    None,
    /// Subscribe anew: another dialog.
    Ask,
    /// Ask for more time.
    Renew,
    /// Ask for more time a little later: the subscription stands until its time is over.
    RenewLater,
    /// End it.
    Leave,
    /// Wait, then subscribe anew.
    Rest,
    /// Tell the owner that it is over.
    Finish,
}

impl Phase {
    /// Every phase, for tables.
    pub const ALL: [Self; 8] =
        [Self::Idle, Self::Asking, Self::Abandoning, Self::Open, Self::Renewing, Self::Leaving, Self::Resting, Self::Over];

    /// Whether a NOTIFY can belong to it.
    pub const fn takes_notify(self) -> bool {
        matches!(self, Self::Asking | Self::Abandoning | Self::Open | Self::Renewing | Self::Leaving)
    }

    /// What follows.
    #[expect(clippy::match_same_arms, reason = "one arm for each clause")]
    pub const fn step(self, input: Input) -> (Self, Effect) {
        use Input::{
            Accepted, Again, Begin, Done, Expired, Failed, Gone, Later, Never, NoNotify, Notified, Refused, RenewDue, RetryDue, Stop,
        };
        use Phase::{Abandoning, Asking, Idle, Leaving, Open, Over, Renewing, Resting};
        match (self, input) {
            (Idle, Begin) | (Resting, RetryDue) => (Asking, Effect::Ask),
            (Idle | Resting, Stop) => (Over, Effect::Finish),
            // RFC 6665 §4.1.2.4: the NOTIFY establishes the subscription, whether or not the 2xx has come.
            (Asking, Notified) => (Open, Effect::None),
            // RFC 6665 §4.1.2.4: without a NOTIFY in Timer N the subscription failed.
            (Asking, Failed | Gone | NoNotify | Later) => (Resting, Effect::Rest),
            (Asking, Stop) => (Abandoning, Effect::None),
            (Abandoning, Notified) => (Leaving, Effect::Leave),
            (Abandoning, Refused | Failed | Gone | Done | Again | Later | Never | NoNotify) => (Over, Effect::Finish),
            (Open, RenewDue) => (Renewing, Effect::Renew),
            (Renewing, Accepted) => (Open, Effect::None),
            // RFC 6665 §4.1.2.2: when a refresh fails otherwise, the subscription stands for the time that is left.
            (Renewing, Failed) => (Open, Effect::RenewLater),
            // RFC 6665 §4.1.2.2: 481 says that there is no subscription any more: a new one.
            (Renewing, Gone) => (Asking, Effect::Ask),
            (Open | Renewing, Stop) => (Leaving, Effect::Leave),
            (Open | Renewing, Expired) => (Asking, Effect::Ask),
            // RFC 6665 §4.1.3: what the reason says.
            (Asking | Open | Renewing, Again) => (Asking, Effect::Ask),
            (Open | Renewing, Later) => (Resting, Effect::Rest),
            (Asking | Open | Renewing, Never | Done | Refused) => (Over, Effect::Finish),
            // Whatever comes now ends it.
            (Leaving, Refused | Failed | Gone | Done | Again | Later | Never | NoNotify | Expired) => (Over, Effect::Finish),
            // Answers that came late, and repetitions.
            (Idle | Resting | Over, _)
            | (Asking, Begin | Accepted | RenewDue | Expired | RetryDue)
            | (Abandoning, Begin | Stop | Accepted | RenewDue | Expired | RetryDue)
            | (Open, Begin | Accepted | Failed | Gone | Notified | NoNotify | RetryDue)
            | (Renewing, Begin | Notified | NoNotify | RenewDue | RetryDue)
            | (Leaving, Begin | Stop | Accepted | Notified | RenewDue | RetryDue) => (self, Effect::None),
        }
    }
}

impl Input {
    /// Every input, for tables.
    pub const ALL: [Self; 15] = [
        Self::Begin,
        Self::Stop,
        Self::Accepted,
        Self::Refused,
        Self::Failed,
        Self::Gone,
        Self::Notified,
        Self::Done,
        Self::Again,
        Self::Later,
        Self::Never,
        Self::NoNotify,
        Self::RenewDue,
        Self::Expired,
        Self::RetryDue,
    ];
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn every_pair() {
        let mut out = String::new();
        for phase in Phase::ALL {
            for input in Input::ALL {
                let (next, effect) = phase.step(input);
                if (next, effect) != (phase, Effect::None) {
                    writeln!(out, "{phase:?} + {input:?} -> {next:?} {effect:?}").unwrap();
                }
            }
        }
        // Pairs that are not here change nothing.
        insta::assert_snapshot!(out, @r"
        Idle + Begin -> Asking Ask
        Idle + Stop -> Over Finish
        Asking + Stop -> Abandoning None
        Asking + Refused -> Over Finish
        Asking + Failed -> Resting Rest
        Asking + Gone -> Resting Rest
        Asking + Notified -> Open None
        Asking + Done -> Over Finish
        Asking + Again -> Asking Ask
        Asking + Later -> Resting Rest
        Asking + Never -> Over Finish
        Asking + NoNotify -> Resting Rest
        Abandoning + Refused -> Over Finish
        Abandoning + Failed -> Over Finish
        Abandoning + Gone -> Over Finish
        Abandoning + Notified -> Leaving Leave
        Abandoning + Done -> Over Finish
        Abandoning + Again -> Over Finish
        Abandoning + Later -> Over Finish
        Abandoning + Never -> Over Finish
        Abandoning + NoNotify -> Over Finish
        Open + Stop -> Leaving Leave
        Open + Refused -> Over Finish
        Open + Done -> Over Finish
        Open + Again -> Asking Ask
        Open + Later -> Resting Rest
        Open + Never -> Over Finish
        Open + RenewDue -> Renewing Renew
        Open + Expired -> Asking Ask
        Renewing + Stop -> Leaving Leave
        Renewing + Accepted -> Open None
        Renewing + Refused -> Over Finish
        Renewing + Failed -> Open RenewLater
        Renewing + Gone -> Asking Ask
        Renewing + Done -> Over Finish
        Renewing + Again -> Asking Ask
        Renewing + Later -> Resting Rest
        Renewing + Never -> Over Finish
        Renewing + Expired -> Asking Ask
        Leaving + Refused -> Over Finish
        Leaving + Failed -> Over Finish
        Leaving + Gone -> Over Finish
        Leaving + Done -> Over Finish
        Leaving + Again -> Over Finish
        Leaving + Later -> Over Finish
        Leaving + Never -> Over Finish
        Leaving + NoNotify -> Over Finish
        Leaving + Expired -> Over Finish
        Resting + Stop -> Over Finish
        Resting + RetryDue -> Asking Ask
        ");
    }

    /// Wherever it is: told to stop, it comes to an end when nothing more arrives.
    #[test]
    fn stop_ends() {
        for phase in Phase::ALL {
            let mut phase = phase.step(Input::Stop).0;
            for silence in [Input::Failed, Input::NoNotify] {
                phase = phase.step(silence).0;
            }
            assert_eq!(phase, Phase::Over);
        }
    }
}
