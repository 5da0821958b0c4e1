//! Maps and sets that are made as a whole: from what is sorted, and in nodes that are full.
//!
//! A B-tree that is filled in order has half-full nodes: each is split when the next key comes, and nothing comes into its left
//! half any more. So every second key goes first, and then the others fill the halves up: half the memory, and no further split.

use imbl::{OrdMap, OrdSet};

/// The map of pairs that are sorted by their keys, each once.
pub(super) fn map<K: Ord + Clone, V: Clone>(sorted: Vec<(K, V)>) -> OrdMap<K, V> {
    let mut map = OrdMap::new();
    let mut others = Vec::with_capacity(sorted.len() / 2);
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index % 2 == 0 {
            map.insert(key, value);
        } else {
            others.push((key, value));
        }
    }
    for (key, value) in others {
        map.insert(key, value);
    }
    map
}

/// The set of what is sorted.
pub(super) fn set<K: Ord + Clone>(sorted: Vec<K>) -> OrdSet<K> {
    let mut set = OrdSet::new();
    let mut others = Vec::with_capacity(sorted.len() / 2);
    for (index, key) in sorted.into_iter().enumerate() {
        if index % 2 == 0 {
            set.insert(key);
        } else {
            others.push(key);
        }
    }
    for key in others {
        set.insert(key);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_all_in_order() {
        for size in [0_u32, 1, 2, 15, 16, 17, 33, 1000] {
            assert!(map((0..size).map(|n| (n, n + 1)).collect()).into_iter().eq((0..size).map(|n| (n, n + 1))));
            assert!(set((0..size).collect()).into_iter().eq(0..size));
        }
    }
}
