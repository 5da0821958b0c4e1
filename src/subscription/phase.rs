//! What a subscription is doing about its next NOTIFY, as a table: no clock, no bytes.
//!
//! One NOTIFY is in flight at a time; what changes meanwhile is remembered as one bit, because the newest document wins.
//!
//! ```text
//!            Subscribed, Published            Granted
//!    ┌────────┐ ───────────────────▶ ┌────────┐ ─────────▶ ┌────────┐  Published,   ┌────────┐
//!    │  Calm  │                      │ Ready  │            │ Flying │ ─Subscribed─▶ │ Stale  │
//!    └────────┘ ◀─────────────────── └────────┘            └────────┘               └────────┘
//!        ▲            Settled          ▲ ▲  ▲                │ │ │ Accepted           │ │ Accepted
//!        └─────────────────────────────┼─┼──┼────────────────┼─┼─┘                    │ ▼ (to Ready)
//!                             RetryDue │ │  │ Subscribed     │ │ TimedOut             │
//!                            ┌─────────┘ │ ┌┴──────────┐     │ └───────────▶ ┌────────┴──┐
//!                            │  Waiting  │ │ Suspended │ ◀───┼────────────── │  (same)   │
//!                            └───────────┘ └───────────┘     ▼ Failed        └───────────┘
//!                                                         Waiting
//!    from anywhere: Unsubscribed, Ended ──▶ ReadyLast ──Granted──▶ FlyingLast ──▶ Gone
//!                   (FlyingThenLast while a NOTIFY is out; Gone at once when Suspended and Ended)
//!                   Refused ──▶ Gone
//! ```

/// What the subscription is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The subscriber holds the newest document, as far as is known.
    Calm,
    /// A NOTIFY is to be sent, at the notifier's pace.
    Ready,
    /// A NOTIFY is out.
    Flying,
    /// A NOTIFY is out, and something newer is to follow it.
    Stale,
    /// The subscriber could not take the NOTIFY and is asked again later.
    Waiting,
    /// The subscriber does not answer; nothing is sent until it subscribes again.
    Suspended,
    /// The last NOTIFY is to be sent.
    ReadyLast,
    /// A NOTIFY is out, and the last one is to follow it.
    FlyingThenLast,
    /// The last NOTIFY is out.
    FlyingLast,
    /// The subscription is over.
    Gone,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// A SUBSCRIBE was answered 2xx and goes on.
    Subscribed,
    /// A SUBSCRIBE with Expires 0 was answered 2xx.
    Unsubscribed,
    /// The time is over, or the resource is gone.
    Ended,
    /// The document changed.
    Published,
    /// It is its turn to send.
    Granted,
    /// It is its turn to send, and there is nothing that the subscriber does not hold.
    Settled,
    /// The NOTIFY was answered 2xx.
    Accepted,
    /// The NOTIFY was answered with a code that ends the subscription.
    Refused,
    /// The NOTIFY was answered with another code, or could not be sent now.
    Failed,
    /// The NOTIFY was not answered, or cannot reach the subscriber.
    TimedOut,
    /// The NOTIFY could not be sent this way, and there is another way.
    Rerouted,
    /// The time to ask again has come.
    RetryDue,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing.
    None,
    /// Queue it behind the others.
    Queue,
    /// Queue it before the changes: somebody waits for it.
    QueueFirst,
    /// Send the document.
    Send,
    /// Send the last NOTIFY.
    SendLast,
    /// Ask again later.
    Wait,
    /// Forget it.
    Remove,
}

impl Phase {
    /// Every phase, for tables.
    pub const ALL: [Self; 10] = [
        Self::Calm,
        Self::Ready,
        Self::Flying,
        Self::Stale,
        Self::Waiting,
        Self::Suspended,
        Self::ReadyLast,
        Self::FlyingThenLast,
        Self::FlyingLast,
        Self::Gone,
    ];

    /// Whether the dialog takes no further SUBSCRIBE.
    pub const fn is_ending(self) -> bool {
        matches!(self, Self::ReadyLast | Self::FlyingThenLast | Self::FlyingLast | Self::Gone)
    }

    /// Whether a NOTIFY is out.
    pub const fn is_flying(self) -> bool {
        matches!(self, Self::Flying | Self::Stale | Self::FlyingThenLast | Self::FlyingLast)
    }

    /// What follows. `suspend`: whether a subscriber that does not answer is kept for when it subscribes again.
    #[expect(clippy::match_same_arms, reason = "one arm for each clause")]
    pub const fn step(self, input: Input, suspend: bool) -> (Self, Effect) {
        use Input::{
            Accepted, Ended, Failed, Granted, Published, Refused, Rerouted, RetryDue, Settled, Subscribed, TimedOut, Unsubscribed,
        };
        use Phase::{Calm, Flying, FlyingLast, FlyingThenLast, Gone, Ready, ReadyLast, Stale, Suspended, Waiting};
        match (self, input) {
            // RFC 6665 §4.2.1.2: every 2xx to a SUBSCRIBE is followed at once by a NOTIFY.
            (Calm | Ready | Waiting | Suspended, Subscribed) => (Ready, Effect::QueueFirst),
            // RFC 5875 (and for any package here): no further NOTIFY until the one before is answered.
            (Flying | Stale, Subscribed | Published) => (Stale, Effect::None),
            (Calm, Published) => (Ready, Effect::Queue),
            (Calm | Ready | Waiting | Suspended, Unsubscribed) => (ReadyLast, Effect::QueueFirst),
            // RFC 6665 §4.2.2: the end is told with Subscription-State "terminated".
            (Calm | Ready | Waiting, Ended) => (ReadyLast, Effect::Queue),
            (Flying | Stale, Unsubscribed | Ended) => (FlyingThenLast, Effect::None),
            // Nobody listens.
            (Suspended, Ended) => (Gone, Effect::Remove),
            (Ready, Granted) => (Flying, Effect::Send),
            (Ready, Settled) => (Calm, Effect::None),
            (ReadyLast, Granted | Settled) => (FlyingLast, Effect::SendLast),
            (Flying, Accepted) => (Calm, Effect::None),
            (Stale, Accepted) => (Ready, Effect::Queue),
            (FlyingThenLast, Accepted | Failed) => (ReadyLast, Effect::Queue),
            (FlyingLast, Accepted | Failed) => (Gone, Effect::Remove),
            // RFC 6665 §4.2.2: the codes that end a subscription end it without another word.
            (Flying | Stale | FlyingThenLast | FlyingLast, Refused) => (Gone, Effect::Remove),
            // RFC 6665 §4.2.2, RFC 5057: other failures concern the NOTIFY, not the subscription.
            (Flying | Stale, Failed) => (Waiting, Effect::Wait),
            (Waiting, RetryDue) => (Ready, Effect::Queue),
            // RFC 6665 §4.2.2: on a timeout the subscription SHOULD be removed. Phones lose their function over one lost NOTIFY
            // that way, so that it can be kept as well.
            (Flying | Stale, TimedOut) if suspend => (Suspended, Effect::None),
            (Flying | Stale | FlyingThenLast | FlyingLast, TimedOut) => (Gone, Effect::Remove),
            // RFC 3261 §18.1.1, RFC 3263 §4.3: the next way is tried.
            (Flying | Stale, Rerouted) => (Ready, Effect::QueueFirst),
            (FlyingThenLast | FlyingLast, Rerouted) => (ReadyLast, Effect::QueueFirst),
            // What is queued already or sleeps takes the newest document when its turn comes.
            (Ready | Waiting | Suspended, Published)
            // An end is an end.
            | (ReadyLast | FlyingThenLast | FlyingLast, Subscribed | Unsubscribed | Ended | Published)
            // A turn that came too late, or an answer to nothing.
            | (Calm | Flying | Stale | Waiting | Suspended | FlyingThenLast | FlyingLast, Granted | Settled)
            | (Calm | Ready | Waiting | Suspended | ReadyLast, Accepted | Refused | Failed | TimedOut | Rerouted)
            | (Calm | Ready | Flying | Stale | Suspended | ReadyLast | FlyingThenLast | FlyingLast, RetryDue)
            | (Gone, _) => (self, Effect::None),
        }
    }
}

impl Input {
    /// Every input, for tables.
    pub const ALL: [Self; 12] = [
        Self::Subscribed,
        Self::Unsubscribed,
        Self::Ended,
        Self::Published,
        Self::Granted,
        Self::Settled,
        Self::Accepted,
        Self::Refused,
        Self::Failed,
        Self::TimedOut,
        Self::Rerouted,
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
                let (next, effect) = phase.step(input, true);
                let change = if next == phase { "=".to_owned() } else { format!("-> {next:?}") };
                let effect = if effect == Effect::None { String::new() } else { format!(" ({effect:?})") };
                writeln!(out, "{phase:?} + {input:?} {change}{effect}").unwrap();
            }
        }
        insta::assert_snapshot!(out, @r"
        Calm + Subscribed -> Ready (QueueFirst)
        Calm + Unsubscribed -> ReadyLast (QueueFirst)
        Calm + Ended -> ReadyLast (Queue)
        Calm + Published -> Ready (Queue)
        Calm + Granted =
        Calm + Settled =
        Calm + Accepted =
        Calm + Refused =
        Calm + Failed =
        Calm + TimedOut =
        Calm + Rerouted =
        Calm + RetryDue =
        Ready + Subscribed = (QueueFirst)
        Ready + Unsubscribed -> ReadyLast (QueueFirst)
        Ready + Ended -> ReadyLast (Queue)
        Ready + Published =
        Ready + Granted -> Flying (Send)
        Ready + Settled -> Calm
        Ready + Accepted =
        Ready + Refused =
        Ready + Failed =
        Ready + TimedOut =
        Ready + Rerouted =
        Ready + RetryDue =
        Flying + Subscribed -> Stale
        Flying + Unsubscribed -> FlyingThenLast
        Flying + Ended -> FlyingThenLast
        Flying + Published -> Stale
        Flying + Granted =
        Flying + Settled =
        Flying + Accepted -> Calm
        Flying + Refused -> Gone (Remove)
        Flying + Failed -> Waiting (Wait)
        Flying + TimedOut -> Suspended
        Flying + Rerouted -> Ready (QueueFirst)
        Flying + RetryDue =
        Stale + Subscribed =
        Stale + Unsubscribed -> FlyingThenLast
        Stale + Ended -> FlyingThenLast
        Stale + Published =
        Stale + Granted =
        Stale + Settled =
        Stale + Accepted -> Ready (Queue)
        Stale + Refused -> Gone (Remove)
        Stale + Failed -> Waiting (Wait)
        Stale + TimedOut -> Suspended
        Stale + Rerouted -> Ready (QueueFirst)
        Stale + RetryDue =
        Waiting + Subscribed -> Ready (QueueFirst)
        Waiting + Unsubscribed -> ReadyLast (QueueFirst)
        Waiting + Ended -> ReadyLast (Queue)
        Waiting + Published =
        Waiting + Granted =
        Waiting + Settled =
        Waiting + Accepted =
        Waiting + Refused =
        Waiting + Failed =
        Waiting + TimedOut =
        Waiting + Rerouted =
        Waiting + RetryDue -> Ready (Queue)
        Suspended + Subscribed -> Ready (QueueFirst)
        Suspended + Unsubscribed -> ReadyLast (QueueFirst)
        Suspended + Ended -> Gone (Remove)
        Suspended + Published =
        Suspended + Granted =
        Suspended + Settled =
        Suspended + Accepted =
        Suspended + Refused =
        Suspended + Failed =
        Suspended + TimedOut =
        Suspended + Rerouted =
        Suspended + RetryDue =
        ReadyLast + Subscribed =
        ReadyLast + Unsubscribed =
        ReadyLast + Ended =
        ReadyLast + Published =
        ReadyLast + Granted -> FlyingLast (SendLast)
        ReadyLast + Settled -> FlyingLast (SendLast)
        ReadyLast + Accepted =
        ReadyLast + Refused =
        ReadyLast + Failed =
        ReadyLast + TimedOut =
        ReadyLast + Rerouted =
        ReadyLast + RetryDue =
        FlyingThenLast + Subscribed =
        FlyingThenLast + Unsubscribed =
        FlyingThenLast + Ended =
        FlyingThenLast + Published =
        FlyingThenLast + Granted =
        FlyingThenLast + Settled =
        FlyingThenLast + Accepted -> ReadyLast (Queue)
        FlyingThenLast + Refused -> Gone (Remove)
        FlyingThenLast + Failed -> ReadyLast (Queue)
        FlyingThenLast + TimedOut -> Gone (Remove)
        FlyingThenLast + Rerouted -> ReadyLast (QueueFirst)
        FlyingThenLast + RetryDue =
        FlyingLast + Subscribed =
        FlyingLast + Unsubscribed =
        FlyingLast + Ended =
        FlyingLast + Published =
        FlyingLast + Granted =
        FlyingLast + Settled =
        FlyingLast + Accepted -> Gone (Remove)
        FlyingLast + Refused -> Gone (Remove)
        FlyingLast + Failed -> Gone (Remove)
        FlyingLast + TimedOut -> Gone (Remove)
        FlyingLast + Rerouted -> ReadyLast (QueueFirst)
        FlyingLast + RetryDue =
        Gone + Subscribed =
        Gone + Unsubscribed =
        Gone + Ended =
        Gone + Published =
        Gone + Granted =
        Gone + Settled =
        Gone + Accepted =
        Gone + Refused =
        Gone + Failed =
        Gone + TimedOut =
        Gone + Rerouted =
        Gone + RetryDue =
        ");
    }

    #[test]
    fn what_remove_changes() {
        let mut out = String::new();
        for phase in Phase::ALL {
            for input in Input::ALL {
                let (kept, removed) = (phase.step(input, true), phase.step(input, false));
                if kept != removed {
                    writeln!(out, "{phase:?} + {input:?}: {kept:?} / {removed:?}").unwrap();
                }
            }
        }
        insta::assert_snapshot!(out, @r"
        Flying + TimedOut: (Suspended, None) / (Gone, Remove)
        Stale + TimedOut: (Suspended, None) / (Gone, Remove)
        ");
    }

    /// What the table promises, whatever is in it.
    #[test]
    fn promises() {
        for phase in Phase::ALL {
            for input in Input::ALL {
                for suspend in [false, true] {
                    let (next, effect) = phase.step(input, suspend);
                    let what = format!("{phase:?} + {input:?}");
                    // One in flight: a NOTIFY goes out only from where none is.
                    assert!(!matches!(effect, Effect::Send | Effect::SendLast) || !phase.is_flying() && next.is_flying(), "{what}");
                    // Nothing flies without having been sent.
                    assert!(!next.is_flying() || phase.is_flying() || matches!(effect, Effect::Send | Effect::SendLast), "{what}");
                    // What ends stays ended, and what is gone is removed once.
                    assert!(!phase.is_ending() || next.is_ending(), "{what}");
                    assert_eq!(effect == Effect::Remove, next == Phase::Gone && phase != Phase::Gone, "{what}");
                    // Whoever becomes ready is queued.
                    let queued = matches!(effect, Effect::Queue | Effect::QueueFirst);
                    let ready = |phase| matches!(phase, Phase::Ready | Phase::ReadyLast);
                    assert!(!ready(next) || next == phase || queued, "{what}");
                }
            }
        }
    }
}
