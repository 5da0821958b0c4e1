//! Answering challenges (RFC 7616, RFC 8760).

use std::borrow::Cow;

use rand::RngCore;

use super::config::Login;
use super::event::Outcome;
use crate::sip::digest::{Algorithm, Answer, Challenge, Credentials, DigestError, Ha1};
use crate::sip::{Message, Name};

/// How often one request is sent anew because of challenges: a nonce that expires while it is answered is bad luck once.
const TRIES_MAX: u32 = 3;

/// The challenge of the server, and the one of a proxy before it.
#[derive(Debug, Default)]
pub(super) struct Auths {
    server: Option<Auth>,
    proxy: Option<Auth>,
    /// Challenges answered since the last request that went through.
    tries: u32,
}

/// A challenge that can be answered, also before it is made again.
#[derive(Debug)]
struct Auth {
    challenge: Challenge<'static>,
    ha1: Ha1,
    count: u32,
}

impl Auths {
    /// A request went through.
    pub(super) fn accepted(&mut self) {
        self.tries = 0;
    }

    /// A 401 or 407: whether to send the request again, with the answer.
    pub(super) fn challenged(&mut self, response: &Message<'_>, login: Option<&Login>) -> Result<(), Outcome> {
        let is_proxy = response.status() == Some(407);
        let name = if is_proxy { Name::ProxyAuthenticate } else { Name::WwwAuthenticate };
        let challenge = best(response.headers(name).map(Challenge::parse)).ok_or(Outcome::OtherLogin)?;
        let realm = challenge.realm.clone().into_owned();
        let Some(login) = login else { return Err(Outcome::NoLogin { realm }) };
        let slot = if is_proxy { &mut self.proxy } else { &mut self.server };
        // A second challenge says that the answer was wrong, unless it says that only the nonce was too old.
        let wrong = slot.is_some() && self.tries > 0 && !challenge.stale;
        if wrong || self.tries >= TRIES_MAX {
            return Err(Outcome::WrongLogin { realm });
        }
        self.tries += 1;
        let ha1 = Ha1::new(challenge.algorithm, &login.username, &challenge.realm, login.password.expose());
        *slot = Some(Auth { challenge: owned(challenge), ha1, count: 0 });
        Ok(())
    }

    /// The header fields for the next request.
    pub(super) fn fields(&mut self, login: Option<&Login>, uri: &str, rng: &mut impl RngCore) -> Vec<(Name<'static>, String)> {
        let Some(login) = login else { return Vec::new() };
        let slots = [(Name::Authorization, &mut self.server), (Name::ProxyAuthorization, &mut self.proxy)];
        let fields = slots.into_iter().filter_map(|(name, slot)| {
            let auth = slot.as_mut()?;
            // RFC 7616 §3.4: the count tells requests with one nonce apart.
            auth.count += 1;
            let cnonce = format!("{:016x}", rng.next_u64());
            let answer = Answer { username: &login.username, method: "SUBSCRIBE", uri, cnonce: &cnonce, nonce_count: auth.count };
            Some((name, Credentials::answer(&auth.challenge, &auth.ha1, &answer).ok()?.to_string()))
        });
        fields.collect()
    }
}

/// RFC 8760 §2.4: the topmost challenge that the client supports; servers in the field put MD5 first, so SHA-256 is preferred
/// wherever it stands.
fn best<'a>(challenges: impl Iterator<Item = Result<Challenge<'a>, DigestError>>) -> Option<Challenge<'a>> {
    challenges.flatten().min_by_key(|challenge| challenge.algorithm != Algorithm::Sha256)
}

fn owned(challenge: Challenge<'_>) -> Challenge<'static> {
    let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    Challenge {
        realm: own(challenge.realm),
        nonce: own(challenge.nonce),
        opaque: challenge.opaque.map(own),
        algorithm: challenge.algorithm,
        stale: challenge.stale,
        qop_auth: challenge.qop_auth,
    }
}
