//! What the notifier counted since it began.

/// Counters; each only rises.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that came in, of whatever content.
    pub received: u64,
    /// Of these, what was no SIP, or broken.
    pub malformed: u64,
    /// Keep-alives (RFC 5626 §4.4.1).
    pub keepalives: u64,
    /// Requests that came once more and were answered as before, or not at all.
    pub retransmitted_requests: u64,
    /// Responses that belong to no transaction.
    pub stray_responses: u64,
    /// Subscribers whose document for where they are was not there in time: they were told nothing for now.
    pub waited_in_vain: u64,
    /// SUBSCRIBEs answered 2xx that began a subscription.
    pub subscribed: u64,
    /// SUBSCRIBEs answered 2xx that went on with one.
    pub refreshed: u64,
    /// SUBSCRIBEs answered 2xx that ended one, fetches included.
    pub unsubscribed: u64,
    /// Challenges sent (401).
    pub challenged: u64,
    /// Credentials that were wrong.
    pub wrong_credentials: u64,
    /// Credentials that were right and had been used, or whose nonce was too old.
    pub stale_credentials: u64,
    /// Requests answered 400 to 499, challenges not included.
    pub rejected: u64,
    /// Requests answered 503 because a limit was reached, or the documents are not there yet.
    pub overloaded: u64,
    /// Answers that were not sent, because they were larger than the request of an address that proved nothing.
    pub too_large_to_answer: u64,
    /// NOTIFYs sent, each counted once.
    pub notified: u64,
    /// NOTIFYs sent once more.
    pub retransmitted_notifies: u64,
    /// NOTIFYs answered 2xx.
    pub accepted: u64,
    /// NOTIFYs answered with a code that ended the subscription.
    pub refused: u64,
    /// NOTIFYs answered with another code, to be tried again later.
    pub postponed: u64,
    /// NOTIFYs that nobody answered, or that reached nobody.
    pub unanswered: u64,
    /// NOTIFYs that went another way after the first failed (RFC 3261 §18.1.1).
    pub rerouted: u64,
    /// Subscriptions that ended because nobody refreshed them.
    pub expired: u64,
}
