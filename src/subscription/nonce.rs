//! Nonces that need no memory until they are used: a time, a number, and proof that they are ours.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

const TIME_BYTES: usize = 4;
const SERIAL_BYTES: usize = 5;
/// 72 bits of proof: it can only be guessed at the notifier itself, and is of use for minutes.
const PROOF_BYTES: usize = 9;
const BYTES: usize = TIME_BYTES + SERIAL_BYTES + PROOF_BYTES;
const SERIAL_MAX: u64 = (1 << (8 * SERIAL_BYTES)) - 1;

/// Makes and checks nonces (RFC 7616 §3.3, §5.4).
///
/// A nonce is good for one address: who answers a challenge shows that what is sent to the address reaches him. Memory
/// is needed only for nonces that came back with right credentials, and it is bounded.
pub(super) struct Nonces {
    key: [u8; 32],
    lifetime_s: u32,
    last_serial: u64,
    /// Used nonces by number: when each was made, and the highest count that came with it.
    used: BTreeMap<u64, (u32, u32)>,
    used_max: usize,
    /// Nonces with a lower number are no longer good: their counts were forgotten.
    floor: u64,
}

/// What became of a nonce with right credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Good, and now used with this count.
    Fresh,
    /// Too old, used already with this count or a higher one, made for another address, or by another process.
    Stale,
}

impl Nonces {
    pub(super) const fn new(key: [u8; 32], lifetime_s: u32, used_max: usize) -> Self {
        Self { key, lifetime_s, last_serial: 0, used: BTreeMap::new(), used_max, floor: 0 }
    }

    /// A new nonce for an address: 24 characters. `now_s`: seconds since the notifier began.
    pub(super) fn make(&mut self, now_s: u32, address: IpAddr) -> String {
        self.last_serial = (self.last_serial + 1) & SERIAL_MAX;
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend(now_s.to_be_bytes());
        bytes.extend(self.last_serial.to_be_bytes().into_iter().skip(8 - SERIAL_BYTES));
        let proof = self.proof(&bytes, address);
        bytes.extend(proof);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Uses a nonce. To be asked only when the credentials are right: this is what takes memory.
    pub(super) fn spend(&mut self, now_s: u32, address: IpAddr, nonce: &str, count: u32) -> Freshness {
        self.forget_old(now_s);
        let Some((made_s, serial)) = self.read(nonce, address) else { return Freshness::Stale };
        if now_s.saturating_sub(made_s) > self.lifetime_s || serial < self.floor {
            return Freshness::Stale;
        }
        // RFC 7616 §3.4: nc is the count of requests sent with this nonce; one that was seen is a replay.
        let (_, highest) = self.used.entry(serial).or_insert((made_s, 0));
        if count <= *highest {
            return Freshness::Stale;
        }
        *highest = count;
        while self.used.len() > self.used_max {
            if let Some((oldest, _)) = self.used.pop_first() {
                self.floor = oldest + 1;
            }
        }
        Freshness::Fresh
    }

    fn read(&self, nonce: &str, address: IpAddr) -> Option<(u32, u64)> {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok().filter(|bytes| bytes.len() == BYTES)?;
        let (content, proof) = bytes.split_at_checked(TIME_BYTES + SERIAL_BYTES)?;
        let (time, serial) = content.split_at_checked(TIME_BYTES)?;
        let number = |bytes: &[u8]| bytes.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        bool::from(self.proof(content, address).ct_eq(proof)).then(|| Some((u32::try_from(number(time)).ok()?, number(serial))))?
    }

    fn proof(&self, content: &[u8], address: IpAddr) -> [u8; PROOF_BYTES] {
        let mut proof = [0; PROOF_BYTES];
        // HMAC takes a key of any length: the error cannot be.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) {
            mac.update(content);
            match address {
                IpAddr::V4(ip) => mac.update(&ip.octets()),
                IpAddr::V6(ip) => mac.update(&ip.octets()),
            }
            for (to, from) in proof.iter_mut().zip(mac.finalize().into_bytes()) {
                *to = from;
            }
        }
        proof
    }

    fn forget_old(&mut self, now_s: u32) {
        while let Some(oldest) = self.used.first_entry()
            && now_s.saturating_sub(oldest.get().0) > self.lifetime_s
        {
            oldest.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn nonces(used_max: usize) -> Nonces {
        Nonces::new([7; 32], 300, used_max)
    }

    #[test]
    fn good_once_for_each_count() {
        let mut nonces = nonces(10);
        let nonce = nonces.make(100, HERE);
        assert_eq!(nonce.len(), 24);
        let mut check = |now_s, address, nonce: &str, count, expect| {
            assert_eq!(nonces.spend(now_s, address, nonce, count), expect, "{now_s} {address} {nonce} {count}");
        };
        check(100, HERE, &nonce, 1, Freshness::Fresh);
        check(101, HERE, &nonce, 1, Freshness::Stale);
        check(101, HERE, &nonce, 3, Freshness::Fresh);
        check(101, HERE, &nonce, 2, Freshness::Stale);
        check(101, THERE, &nonce, 4, Freshness::Stale);
        check(400, HERE, &nonce, 4, Freshness::Fresh);
        check(401, HERE, &nonce, 5, Freshness::Stale);
        check(101, HERE, "", 1, Freshness::Stale);
        check(101, HERE, "AAAAAAAAAAAAAAAAAAAAAAAA", 1, Freshness::Stale);
        let mut other = Nonces::new([8; 32], 300, 10);
        check(101, HERE, &other.make(101, HERE), 1, Freshness::Stale);
    }

    #[test]
    fn what_was_forgotten_is_not_good_again() {
        let mut nonces = nonces(2);
        let made: Vec<String> = (0..4).map(|_| nonces.make(0, HERE)).collect();
        for nonce in &made {
            assert_eq!(nonces.spend(1, HERE, nonce, 1), Freshness::Fresh);
        }
        assert_eq!(nonces.used.len(), 2);
        assert_eq!(made.iter().map(|nonce| nonces.spend(1, HERE, nonce, 2)).collect::<Vec<_>>(), {
            use Freshness::{Fresh, Stale};
            [Stale, Stale, Fresh, Fresh]
        });
        assert_eq!(nonces.spend(302, HERE, &made[3], 3), Freshness::Stale);
        assert!(nonces.used.is_empty());
    }
}
