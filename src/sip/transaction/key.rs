//! Which transaction a request belongs to (RFC 3261 §17.2.3).

use std::hash::{DefaultHasher, Hash, Hasher};

use rand::RngCore;

use crate::sip::{HeaderError, Kind, Message, Method, Name};

/// What two transmissions of one request have in common: a fingerprint of the fields that RFC 3261 §17.2.3 compares.
///
/// It is 128 bits under a key that nobody outside knows, so that the fields need not be kept for every transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestKey {
    pub(super) transaction: u128,
    /// RFC 3261 §8.2.2.2: the fields by which a request that came twice on different paths is known. Only without a To tag.
    pub(super) merged: Option<u128>,
}

/// Makes the fingerprints.
#[derive(Clone)]
pub struct Keys {
    high: u128,
    low: u128,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(***)")
    }
}

impl Keys {
    /// With a secret key of its own.
    pub fn new(rng: &mut impl RngCore) -> Self {
        let mut secret = || u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        Self { high: secret(), low: secret() }
    }

    /// The key of a request. A response has none that is of use.
    pub fn of(&self, request: &Message<'_>) -> Result<RequestKey, HeaderError> {
        let method = match request.kind() {
            Kind::Request { method, .. } => method,
            Kind::Response { .. } => Method::Other(""),
        };
        self.with_method(request, method)
    }

    /// The key of the request that a CANCEL means, if that had the method.
    ///
    /// RFC 3261 §9.2: found as by §17.2.3, with any method but CANCEL and ACK.
    pub fn cancelled(&self, cancel: &Message<'_>, method: Method<'_>) -> Result<RequestKey, HeaderError> {
        self.with_method(cancel, method)
    }

    /// A tag for the To of an answer that is not remembered: the same for every transmission of the request (RFC 3261 §8.2.7), also of a
    /// broken one. RFC 3261 §19.3: 32 bits at least.
    #[expect(clippy::cast_possible_truncation, reason = "any 32 bits of the fingerprint will do")]
    pub fn stateless_tag(&self, request: &Message<'_>) -> u32 {
        self.fingerprint(&request.head()) as u32
    }

    fn with_method(&self, request: &Message<'_>, method: Method<'_>) -> Result<RequestKey, HeaderError> {
        let via = request.via()?;
        let cseq = request.cseq()?.0;
        // RFC 3261 §17.2.3: the method matches the request that created the transaction, except for ACK, which has INVITE's.
        let method = if method == Method::Ack { Method::Invite } else { method };
        let from_tag = request.from()?.tag().unwrap_or_default();
        let to_tag = request.to()?.tag();
        let call_id = request.call_id()?;
        let transaction = if let Some(branch) = via.branch().filter(|_| via.has_transaction_id()) {
            // RFC 3261 §17.2.3: with the magic cookie, the branch and the sent-by value identify the transaction.
            self.fingerprint(&("3261", Folded(branch), Folded(via.host), via.port, method.as_str()))
        } else {
            // RFC 3261 §17.2.3: otherwise Request-URI, To tag, From tag, Call-ID, CSeq and the top Via, as RFC 2543 had it.
            let uri = match request.kind() {
                Kind::Request { uri, .. } => uri,
                Kind::Response { .. } => "",
            };
            let top = request.headers(Name::Via).next();
            self.fingerprint(&("2543", uri, to_tag, from_tag, call_id, cseq, method.as_str(), top))
        };
        // RFC 3261 §8.2.2.2: a request without a To tag, whose From tag, Call-ID and CSeq are those of another transaction.
        let merged = to_tag.is_none().then(|| self.fingerprint(&("merged", from_tag, call_id, cseq, method.as_str())));
        Ok(RequestKey { transaction, merged })
    }

    fn fingerprint(&self, fields: &impl Hash) -> u128 {
        let half = |secret: u128| {
            let mut hasher = DefaultHasher::new();
            secret.hash(&mut hasher);
            fields.hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(self.high) << 64 | half(self.low)
    }
}

/// A token or host, compared without case (RFC 3261 §7.3.1).
struct Folded<'a>(&'a str);

impl Hash for Folded<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    /// A SUBSCRIBE with a Via, a CSeq number and tags.
    fn request(method: &str, via: &str, cseq: u32, to_tag: &str) -> String {
        format!(
            "{method} sip:anna@corp.example SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nFrom: <sip:anna@corp.example>;tag=a\r\n\
             To: <sip:anna@corp.example>{to_tag}\r\nCall-ID: 1\r\nCSeq: {cseq} {method}\r\n\r\n"
        )
    }

    #[test]
    fn same_transaction() {
        let keys = Keys::new(&mut StdRng::seed_from_u64(1));
        let of = |text: &str| keys.of(&Message::parse(text.as_bytes()).unwrap()).unwrap().transaction;
        let first = request("SUBSCRIBE", "192.0.2.1:5060;branch=z9hG4bK1", 1, "");
        let check = |expect, method: &str, via: &str, cseq| {
            assert_eq!(of(&first) == of(&request(method, via, cseq, "")), expect, "{method} {via} {cseq}");
        };
        check(true, "SUBSCRIBE", "192.0.2.1:5060;branch=z9hG4bK1", 1);
        // Only the branch, sent-by and the method count; received and rport are filled in on the way.
        check(true, "SUBSCRIBE", "192.0.2.1:5060;rport=7;branch=z9hG4bK1;received=192.0.2.9", 2);
        check(false, "SUBSCRIBE", "192.0.2.1:5060;branch=z9hG4bK2", 1);
        check(false, "SUBSCRIBE", "192.0.2.2:5060;branch=z9hG4bK1", 1);
        check(false, "SUBSCRIBE", "192.0.2.1:5061;branch=z9hG4bK1", 1);
        check(false, "SUBSCRIBE", "192.0.2.1;branch=z9hG4bK1", 1);
        check(false, "NOTIFY", "192.0.2.1:5060;branch=z9hG4bK1", 1);
        assert_eq!(
            of(&request("INVITE", "h;branch=z9hG4bK1", 1, "")),
            of(&request("ACK", "H;branch=z9hG4bK1", 1, "")),
            "ACK belongs to its INVITE, and hosts have no case"
        );
    }

    #[test]
    fn as_rfc_2543_had_it() {
        let keys = Keys::new(&mut StdRng::seed_from_u64(1));
        let of = |text: &str| keys.of(&Message::parse(text.as_bytes()).unwrap()).unwrap().transaction;
        for old in ["192.0.2.1:5060", "192.0.2.1:5060;branch=1", "192.0.2.1:5060;branch=z9hG4bK"] {
            let first = of(&request("SUBSCRIBE", old, 1, ""));
            assert_eq!(first, of(&request("SUBSCRIBE", old, 1, "")), "{old}");
            assert_ne!(first, of(&request("SUBSCRIBE", old, 2, "")), "{old}: another CSeq");
            assert_ne!(first, of(&request("SUBSCRIBE", old, 1, ";tag=b")), "{old}: another To tag");
            assert_ne!(first, of(&request("SUBSCRIBE", "192.0.2.1:5061", 1, "")), "{old}: another Via");
        }
    }

    #[test]
    fn cancelled() {
        let keys = Keys::new(&mut StdRng::seed_from_u64(1));
        let of = |text: &str| keys.of(&Message::parse(text.as_bytes()).unwrap()).unwrap();
        let subscribe = of(&request("SUBSCRIBE", "h;branch=z9hG4bK1", 1, ""));
        let cancel = request("CANCEL", "h;branch=z9hG4bK1", 1, "");
        let meant = keys.cancelled(&Message::parse(cancel.as_bytes()).unwrap(), Method::Subscribe).unwrap();
        assert_eq!(meant.transaction, subscribe.transaction);
        assert_ne!(of(&cancel).transaction, subscribe.transaction);
    }
}
