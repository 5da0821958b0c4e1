//! What the subscriber's owner hears.

use std::time::Duration;

use thiserror::Error;

use crate::sip::transaction::SendError;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The server granted the subscription, or more time for it.
    Subscribed {
        /// For how long.
        expires: Duration,
    },
    /// A document arrived. It may be one that was there before: every refresh brings it again.
    Received(Received),
    /// A NOTIFY without a document: there is none, or none that is new. RFC 6080 §5.3.2: it discards nothing.
    Nothing,
    /// Something failed, and will be tried again.
    Trouble {
        /// What.
        why: Failure,
        /// After which time.
        retry: Duration,
    },
    /// Nothing more will come.
    Over(Outcome),
}

/// A document as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// Its media type, without parameters.
    pub content_type: String,
    /// SIP-ETag (RFC 5839), when the server sends one.
    pub etag: Option<String>,
    /// The octets. Empty: the profile is empty, and what was stored is to be discarded (RFC 6080 §5.3.2).
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Received({}, {} octets)", self.content_type, self.body.len())
    }
}

/// What went wrong this time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// No answer to the SUBSCRIBE in 64·T1.
    #[error("no answer")]
    NoAnswer,
    /// The SUBSCRIBE could not be sent.
    #[error("not sent: {0}")]
    NotSent(SendError),
    /// An answer that says: not now.
    #[error("the server answered {status} {reason}")]
    Refused {
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// The SUBSCRIBE was answered, but no NOTIFY came (RFC 6665 §4.1.2.4, Timer N).
    #[error("the subscription was granted, but no NOTIFY arrived")]
    NoNotify,
    /// The server ended the subscription (RFC 6665 §4.1.3).
    #[error("the server ended the subscription ({reason})")]
    Ended {
        /// The reason as it said it; empty when it said none.
        reason: String,
    },
    /// The server no longer knew the subscription (481), or its time was over before it could be refreshed.
    #[error("the server lost the subscription")]
    Lost,
}

/// Why nothing more will come.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Outcome {
    /// The document was fetched: no subscription was wanted.
    #[error("fetched")]
    Fetched,
    /// The subscription was ended from here.
    #[error("unsubscribed")]
    Unsubscribed,
    /// The server wants credentials, and there are none.
    #[error("the server wants a password for the realm `{realm}`")]
    NoLogin {
        /// For which realm.
        realm: String,
    },
    /// The server does not take the credentials.
    #[error("the server does not accept the password for the realm `{realm}`")]
    WrongLogin {
        /// For which realm.
        realm: String,
    },
    /// The server challenges in a way that cannot be answered.
    #[error("the server wants an authentication that is not offered here")]
    OtherLogin,
    /// The server says that another one is to be asked.
    #[error("the server answered {status}: ask {to} instead")]
    Moved {
        /// The status.
        status: u16,
        /// The URI that it named; empty when it named none.
        to: String,
    },
    /// An answer that says: never like this.
    #[error("the server answered {status} {reason}")]
    Refused {
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// The server ended the subscription for good (RFC 6665 §4.1.3).
    #[error("the server ended the subscription for good ({reason})")]
    Ended {
        /// The reason as it said it.
        reason: String,
    },
}
