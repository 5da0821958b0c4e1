//! What was made of a shared value, kept as long as the value is in use.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// A bounded cache keyed by the identity of an `Arc`, in two generations: what was not asked for while one generation
/// filled up is forgotten.
///
/// It holds only `Weak` references, so that nothing outlives its users; an address cannot be used again while a `Weak` to
/// it is held, so the address is the identity.
pub(super) struct Cache<T, M> {
    young: HashMap<usize, (Weak<T>, M)>,
    old: HashMap<usize, (Weak<T>, M)>,
    generation_max: usize,
}

impl<T, M> Cache<T, M> {
    /// A cache of at most twice `generation_max` entries.
    pub(super) fn new(generation_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation_max }
    }

    /// What was made of `of`, made now if it is not there.
    pub(super) fn get(&mut self, of: &Arc<T>, make: impl FnOnce() -> M) -> &M {
        let key = Arc::as_ptr(of).addr();
        if self.young.len() >= self.generation_max && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        let Self { young, old, .. } = self;
        let (_, held) = young.entry(key).or_insert_with(|| old.remove(&key).unwrap_or_else(|| (Arc::downgrade(of), make())));
        held
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_once_per_value_and_stays_bounded() {
        let mut cache: Cache<u32, u32> = Cache::new(4);
        let values: Vec<Arc<u32>> = (0..100).map(Arc::new).collect();
        let mut made = 0;
        for value in &values {
            for _ in 0..3 {
                let got = *cache.get(value, || {
                    made += 1;
                    **value
                });
                assert_eq!(got, **value);
            }
            assert!(cache.len() <= 8);
        }
        assert_eq!(made, 100);
    }

    #[test]
    fn what_is_used_stays() {
        let mut cache: Cache<u32, u32> = Cache::new(4);
        let kept = Arc::new(7);
        cache.get(&kept, || 7);
        for value in (0..100).map(Arc::new) {
            cache.get(&value, || 0);
            cache.get(&kept, || panic!("it was used in every generation"));
        }
    }

    #[test]
    fn an_address_used_again_is_another_value() {
        let mut cache: Cache<u32, u32> = Cache::new(4);
        for n in 0..50 {
            // Each is dropped before the next is made: an allocator likes to give the same address again.
            let value = Arc::new(n);
            assert_eq!(*cache.get(&value, || n), n);
        }
    }
}
