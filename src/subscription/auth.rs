//! Who asks? Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), before anything else is done with a request.

use std::net::IpAddr;

use super::credentials::{CredentialChanges, Credentials};
use super::nonce::{Freshness, Nonces};
use crate::model::Aor;
use crate::sip::Message;
use crate::sip::digest::{self, Algorithm, Challenge};

/// Lets in who proves an identity.
pub(super) struct Gate {
    credentials: Credentials,
    nonces: Nonces,
    allow_md5: bool,
}

/// What the gate says to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It comes from whom this address of record belongs to.
    Identity(Aor),
    /// It is answered 401 with these values of WWW-Authenticate. There is always one: phones have looped on a 401 without.
    Challenge(Vec<String>, Why),
}

/// Why somebody is challenged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// There were no credentials for this realm that can be read.
    Missing,
    /// They prove nothing.
    Wrong,
    /// They are right, and their nonce is not good any more.
    Stale,
}

impl Gate {
    pub(super) fn new(nonces: Nonces, allow_md5: bool) -> Self {
        Self { credentials: Credentials::default(), nonces, allow_md5 }
    }

    pub(super) fn set_credentials(&mut self, credentials: Credentials) {
        self.credentials = credentials;
    }

    pub(super) fn change_credentials(&mut self, changes: CredentialChanges) {
        self.credentials.change(changes);
    }

    /// Looks at the credentials of a request. `now_s`: seconds since the notifier began.
    pub(super) fn check(&mut self, now_s: u32, source: IpAddr, request: &Message<'_>, method: &str) -> Verdict {
        match self.prove(now_s, source, request, method) {
            Ok(aor) => Verdict::Identity(aor),
            Err(why) => Verdict::Challenge(self.challenges(now_s, source, why == Why::Stale), why),
        }
    }

    fn prove(&mut self, now_s: u32, source: IpAddr, request: &Message<'_>, method: &str) -> Result<Aor, Why> {
        // RFC 3261 §22.4: there may be credentials for other realms beside ours; a scheme that is not known is passed over.
        let ours = request.authorization().filter_map(Result::ok).find(|c| c.realm == self.credentials.realm()).ok_or(Why::Missing)?;
        if ours.algorithm == Algorithm::Md5 && !self.allow_md5 {
            return Err(Why::Missing);
        }
        // RFC 7616 §3.4.4: a hashed username is not asked for, so that none is looked for.
        let account = self.credentials.account(&ours.username).filter(|_| !ours.userhash).ok_or(Why::Wrong)?;
        let secret = account.secret(ours.algorithm).ok_or(Why::Wrong)?;
        // The URI that the client hashed is not compared with the one that came: proxies rewrite it (RFC 3261 §22.4), and what the
        // identity may ask for is decided by the request itself, not by this.
        digest::verify(&ours, secret, method).map_err(|_| Why::Wrong)?;
        let count = ours.nonce_count().unwrap_or(0);
        match self.nonces.spend(now_s, source, &ours.nonce, count) {
            Freshness::Fresh => Ok(account.aor.clone()),
            Freshness::Stale => Err(Why::Stale),
        }
    }

    /// RFC 8760 §2.3: one challenge for each algorithm, the preferred one first.
    fn challenges(&mut self, now_s: u32, source: IpAddr, stale: bool) -> Vec<String> {
        let nonce = self.nonces.make(now_s, source);
        let algorithms: &[Algorithm] = if self.allow_md5 { &[Algorithm::Sha256, Algorithm::Md5] } else { &[Algorithm::Sha256] };
        let realm = self.credentials.realm();
        algorithms.iter().map(|algorithm| Challenge::new(*algorithm, realm, nonce.as_str()).stale(stale).to_string()).collect()
    }
}
