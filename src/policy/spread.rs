//! The order of a server list: by priority, and within one priority a weighted rendezvous hash over the user.
//!
//! Each user's order depends on nothing but the user's id and the servers themselves. So the load spreads by weight, every
//! Dialcast gives one user the same order, and when a server comes or goes only those move who move to it or away from it.

use std::sync::Arc;

use super::value::{Server, Value};
use crate::model::ObjectId;

/// A list longer than this is not remembered by its order: a permutation is kept as 4 bits an element.
const PACKED_MAX: usize = 16;

/// Sorts a server list by priority. Within one priority the order is by weight, then URI, until a
/// [`Permutation`] makes it a user's. Gives whether some servers share a priority, so that users differ.
pub(crate) fn sort(values: &mut [Value]) -> bool {
    fn key(value: &Value) -> (u16, u16, &str) {
        server(value).map_or((u16::MAX, 0, ""), |s| (s.priority, u16::MAX - s.weight, &s.uri))
    }
    values.sort_by(|a, b| key(a).cmp(&key(b)));
    values.windows(2).any(|pair| matches!(pair, [a, b] if priority(a) == priority(b)))
}

/// What a server contributes to the hash: one for equal URIs, whatever their case.
pub(crate) fn server_hash(value: &Value) -> u64 {
    // FNV-1a (draft-eastlake-fnv), then mixed: a few octets of difference must change every bit.
    let uri = server(value).map_or("", |server| &*server.uri);
    let fnv = uri
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3));
    mix(fnv)
}

/// What a user contributes to the hash.
pub(crate) fn user_hash(user: ObjectId) -> u64 {
    let number = u128::from_be_bytes(*user.as_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "the two halves, one after the other")]
    let (high, low) = ((number >> 64) as u64, number as u64);
    mix(mix(high) ^ low)
}

/// A user's order of a list; kept to be used again, so that a user costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Permutation(Vec<(u16, Score, u16)>);

impl Permutation {
    /// Finds the user's order of a list that [`sort`] sorted. `hashes` are those of its servers.
    pub(crate) fn find(&mut self, user: u64, values: &[Value], hashes: &[u64]) {
        self.0.clear();
        for ((value, hash), index) in values.iter().zip(hashes).zip(0..=u16::MAX) {
            let weight = server(value).map_or(0, |server| server.weight);
            self.0.push((priority(value), score(mix(user ^ hash), weight), index));
        }
        self.0.sort_by(|(p, a, _), (q, b, _)| p.cmp(q).then_with(|| b.compare(a)));
    }

    /// As a number, to remember lists by.
    pub(crate) fn packed(&self) -> Option<u64> {
        (self.0.len() <= PACKED_MAX).then(|| self.0.iter().fold(1, |packed, (_, _, index)| packed << 4 | u64::from(*index)))
    }

    /// The values in this order.
    pub(crate) fn apply(&self, values: &[Value]) -> Arc<[Value]> {
        self.0.iter().filter_map(|(_, _, index)| values.get(usize::from(*index))).cloned().collect()
    }
}

/// How strongly a server claims a user.
#[derive(Debug, Clone, Copy)]
struct Score {
    /// Whether it has a weight at all. RFC 2782: beside servers with a weight, those of weight 0 come last.
    weighted: bool,
    claim: f64,
    hash: u64,
}

impl Score {
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        self.weighted.cmp(&other.weighted).then(self.claim.total_cmp(&other.claim)).then(self.hash.cmp(&other.hash))
    }
}

/// Weighted rendezvous hashing: with h uniform in (0,1), the server of the greatest −weight / ln h is chosen, and each is
/// chosen in proportion to its weight (Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005).
fn score(hash: u64, weight: u16) -> Score {
    let share = if weight == 0 { 1.0 } else { f64::from(weight) };
    Score { weighted: weight > 0, claim: -share / ln_unit(hash), hash }
}

/// ln((hash + ½) / 2⁶⁴) by basic arithmetic only: those operations are exact to the last bit on every machine (IEEE 754),
/// and a library's logarithm is not. Good to 10⁻⁹, always below 0.
fn ln_unit(hash: u64) -> f64 {
    // hash = mantissa · 2^(63 − zeros), with the mantissa in [1, 2); a hash of 0 stands for the smallest one.
    let hash = hash.max(1);
    let zeros = hash.leading_zeros();
    #[expect(clippy::cast_precision_loss, reason = "53 bits of a hash are plenty")]
    let mantissa = ((hash << zeros) >> 11) as f64 / 4_503_599_627_370_496.0;
    // ln m = 2 artanh((m − 1) / (m + 1)); for m below 2 the quotient is at most 1/3.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let t = s * s;
    let series = 1.0 + t * (1.0 / 3.0 + t * (0.2 + t * (1.0 / 7.0 + t * (1.0 / 9.0 + t * (1.0 / 11.0 + t * (1.0 / 13.0 + t / 15.0))))));
    // Below 0 even for the greatest hash, whose mantissa rounds to just under 2.
    (2.0 * s * series - f64::from(zeros + 1) * std::f64::consts::LN_2).min(-f64::EPSILON)
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn server(value: &Value) -> Option<&Server> {
    if let Value::Server(server) = value { Some(server) } else { None }
}

fn priority(value: &Value) -> u16 {
    server(value).map_or(u16::MAX, |server| server.priority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn id(n: u32) -> ObjectId {
        let mut bytes = [0; 16];
        bytes[12..].copy_from_slice(&n.to_be_bytes());
        ObjectId::from_bytes(bytes)
    }

    fn order(user: ObjectId, servers: &[(u16, u16, &str)]) -> Vec<String> {
        let mut values: Vec<Value> = servers
            .iter()
            .map(|(priority, weight, host)| {
                Value::Server(Server { priority: *priority, weight: *weight, uri: format!("sips:{host}.corp.example").into() })
            })
            .collect();
        sort(&mut values);
        let hashes: Vec<u64> = values.iter().map(server_hash).collect();
        let mut permutation = Permutation::default();
        permutation.find(user_hash(user), &values, &hashes);
        permutation.apply(&values).iter().map(|v| server(v).unwrap().uri[5..].split('.').next().unwrap().to_owned()).collect()
    }

    fn first_choices(users: u32, servers: &[(u16, u16, &str)]) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for n in 0..users {
            *counts.entry(order(id(n), servers).remove(0)).or_default() += 1;
        }
        counts
    }

    #[test]
    fn priority_comes_first() {
        for n in 0..50 {
            assert_eq!(order(id(n), &[(30, 9, "c"), (10, 0, "a"), (20, 5, "b")]), ["a", "b", "c"]);
        }
    }

    #[test]
    fn load_follows_weight() {
        let counts = first_choices(20_000, &[(10, 60, "a"), (10, 30, "b"), (10, 10, "c"), (20, 100, "backup")]);
        for (server, expect) in [("a", 12_000_i64), ("b", 6_000), ("c", 2_000)] {
            let found = i64::from(counts[server]);
            assert!((found - expect).abs() < expect / 20, "{server}: {found}, expected about {expect}");
        }
        assert_eq!(counts.get("backup"), None);
        let even = first_choices(10_000, &[(10, 0, "a"), (10, 0, "b")]);
        assert!((i64::from(even["a"]) - 5000).abs() < 200, "{even:?}");
    }

    #[test]
    fn weight_zero_comes_last() {
        assert_eq!(first_choices(500, &[(10, 0, "a"), (10, 1, "b")]), BTreeMap::from([("b".to_owned(), 500)]));
    }

    #[test]
    fn the_order_is_the_same_everywhere() {
        // A phone's document must not change when the server is built for another machine.
        let five = [(10, 10, "a"), (10, 20, "b"), (10, 30, "c"), (10, 40, "d"), (10, 50, "e")];
        let orders: Vec<String> = (0..6).map(|n| order(id(n), &five).join(" ")).collect();
        insta::assert_snapshot!(orders.join("\n"), @"
        c d e b a
        e d c b a
        d e c b a
        c b d e a
        e c b d a
        b a d c e
        ");
    }

    #[test]
    fn logarithm() {
        for hash in [1, 2, 3, 12_345, u64::MAX / 3, u64::MAX / 2, 1 << 63, u64::MAX - 5, u64::MAX] {
            #[expect(clippy::cast_precision_loss, reason = "a comparison to ten digits")]
            let expect = (hash as f64 / 18_446_744_073_709_551_616.0).ln();
            assert!((ln_unit(hash) - expect).abs() < 1e-7, "{hash}: {} {expect}", ln_unit(hash));
            assert!(ln_unit(hash) < 0.0);
        }
        assert!(ln_unit(0) < 0.0);
    }

    #[test]
    fn permutations_are_numbers() {
        let score = score(1, 1);
        let packed = |order: &[u16]| Permutation(order.iter().map(|index| (10, score, *index)).collect()).packed();
        assert_eq!(packed(&[0, 1]), Some(0x101));
        assert_ne!(packed(&[1, 0]), packed(&[0, 1]));
        assert_eq!(packed(&[0; 17]), None);
    }

    proptest::proptest! {
        /// Nobody moves when an unrelated server comes or goes: the others keep their order.
        #[test]
        fn stable(user: u32, weights in proptest::collection::vec(0_u16..100, 2..9), gone: proptest::sample::Index) {
            let names: Vec<String> = (0..weights.len()).map(|n| format!("s{n}")).collect();
            let all: Vec<(u16, u16, &str)> = weights.iter().zip(&names).map(|(w, n)| (10, *w, n.as_str())).collect();
            let gone = gone.index(all.len());
            let mut fewer = all.clone();
            let (_, _, name) = fewer.remove(gone);
            let mut expect = order(id(user), &all);
            expect.retain(|server| server != name);
            proptest::prop_assert_eq!(order(id(user), &fewer), expect);
        }
    }
}
