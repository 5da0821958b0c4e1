//! What the notifier is told.

use std::net::SocketAddr;
use std::time::Duration;

use crate::sip::Transport;
use crate::sip::transaction::Timing;

/// How the notifier behaves. [`NotifierConfig::default`] is what a site of a few thousand phones wants.
#[derive(Debug, Clone)]
pub struct NotifierConfig {
    /// Who may subscribe.
    pub auth: AuthMode,
    /// Whether to offer MD5 beside SHA-256 (RFC 8760), for phones that know nothing else.
    pub allow_md5: bool,
    /// How long a nonce is good: a captured one is of no use after that, and a phone that comes later is challenged once more.
    pub nonce_lifetime: Duration,
    /// Nonces that were used and are remembered against replays: 32 octets each. When there are more, the oldest are no longer
    /// good.
    pub nonces_max: usize,
    /// What becomes of a subscriber that does not answer.
    pub on_timeout: OnTimeout,
    /// RFC 3261 §18.1.1: a NOTIFY larger than this, in octets, goes over TCP if it can. 1300 leaves room for an MTU of 1500.
    pub udp_max_request_bytes: usize,
    /// The duration of a subscription that asks for none, in seconds (RFC 6080 §6.4: 86,400).
    pub expires_default_s: u32,
    /// The shortest duration, in seconds; less is answered with 423. Over an hour it has no effect (RFC 6665 §4.2.1.1).
    pub expires_min_s: u32,
    /// The longest duration, in seconds; more is shortened to this.
    pub expires_max_s: u32,
    /// By how much a granted duration of ten minutes and more may be shortened at random, in percent: phones that came
    /// together after a power cut do not come together again.
    pub expires_jitter_percent: u32,
    /// NOTIFYs of changes per second; 0: no limit. Those that answer a SUBSCRIBE go at once.
    pub notify_rate: u32,
    /// How many of them may go at once after a pause.
    pub notify_burst: u32,
    /// Subscriptions in all: about 1 KiB each.
    pub subscriptions_max: usize,
    /// Subscriptions to one address of record: the devices of one person.
    pub subscriptions_per_aor_max: usize,
    /// Subscriptions to the profile of the local network from one address: the phones behind one NAT.
    pub subscriptions_per_source_max: usize,
    /// Answers kept for retransmitted SUBSCRIBEs, for 32 s each: about 700 octets each.
    pub server_transactions_max: usize,
    /// NOTIFYs that await their answer: the document and about 1 KiB each.
    pub in_flight_max: usize,
    /// The SIP timers.
    pub timing: Timing,
    /// The addresses that are listened on: for Via and Contact where a NOTIFY goes out over another transport than the
    /// SUBSCRIBE came in.
    pub listen: Vec<(Transport, SocketAddr)>,
    /// The host that phones reach the notifier by, when it is not the address that they sent to (a NAT before the notifier).
    pub advertised_host: Option<String>,
    /// Whether the documents are complete. Until they are, SUBSCRIBEs are answered 503, not 403: nobody is unknown yet.
    pub ready: bool,
}

impl Default for NotifierConfig {
    fn default() -> Self {
        Self {
            auth: AuthMode::Digest,
            allow_md5: false,
            nonce_lifetime: Duration::from_secs(300),
            nonces_max: 65_536,
            on_timeout: OnTimeout::Suspend,
            udp_max_request_bytes: 1300,
            expires_default_s: 86_400,
            expires_min_s: 60,
            expires_max_s: 86_400,
            expires_jitter_percent: 10,
            notify_rate: 2_000,
            notify_burst: 500,
            subscriptions_max: 1_000_000,
            subscriptions_per_aor_max: 32,
            subscriptions_per_source_max: 1024,
            server_transactions_max: 262_144,
            in_flight_max: 65_536,
            timing: Timing::default(),
            listen: Vec::new(),
            advertised_host: None,
            ready: true,
        }
    }
}

/// Who may subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Anyone, to anything: for listeners that only this machine reaches.
    Open,
    /// Who proves an identity by digest authentication, to what is that identity's own.
    Digest,
}

/// What becomes of a subscriber that does not answer a NOTIFY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeout {
    /// It is sent nothing until it subscribes again.
    Suspend,
    /// It is forgotten, as RFC 6665 §4.2.2 recommends.
    Remove,
}
