//! Things under small dense numbers that are used again: no hashing, no allocation per thing once grown.

/// A store of `T` under `u32` indices; the index freed last is used first, so that memory stays dense.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Option<u32>,
    len: usize,
}

#[derive(Debug)]
enum Slot<T> {
    Taken(T),
    Free { next: Option<u32> },
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: None, len: 0 }
    }

    /// How many things are held.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The index that the next [`Slab::insert`] gives; `None` when all four thousand million are taken.
    pub(crate) fn next_index(&self) -> Option<u32> {
        self.free.or_else(|| u32::try_from(self.slots.len()).ok())
    }

    /// Stores a thing.
    pub(crate) fn insert(&mut self, value: T) -> Option<u32> {
        let index = self.next_index()?;
        match self.slots.get_mut(index as usize) {
            Some(slot) => {
                if let Slot::Free { next } = *slot {
                    self.free = next;
                }
                *slot = Slot::Taken(value);
            }
            None => self.slots.push(Slot::Taken(value)),
        }
        self.len += 1;
        Some(index)
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        match self.slots.get(index as usize) {
            Some(Slot::Taken(value)) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.slots.get_mut(index as usize) {
            Some(Slot::Taken(value)) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let slot = self.slots.get_mut(index as usize)?;
        if matches!(slot, Slot::Free { .. }) {
            return None;
        }
        let taken = std::mem::replace(slot, Slot::Free { next: self.free });
        self.free = Some(index);
        self.len -= 1;
        match taken {
            Slot::Taken(value) => Some(value),
            Slot::Free { .. } => None,
        }
    }

    /// Everything held from an index on, by index.
    pub(crate) fn iter_from(&self, from: u32) -> impl Iterator<Item = (u32, &T)> {
        (from..).zip(self.slots.iter().skip(from as usize)).filter_map(|(index, slot)| match slot {
            Slot::Taken(value) => Some((index, value)),
            Slot::Free { .. } => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_used_again() {
        let mut slab = Slab::new();
        assert_eq!((slab.insert('a'), slab.insert('b'), slab.insert('c')), (Some(0), Some(1), Some(2)));
        assert_eq!((slab.remove(1), slab.remove(1), slab.remove(0), slab.remove(9)), (Some('b'), None, Some('a'), None));
        assert_eq!((slab.len(), slab.get(1), slab.get(2)), (1, None, Some(&'c')));
        assert_eq!((slab.insert('d'), slab.insert('e'), slab.insert('f')), (Some(0), Some(1), Some(3)));
        assert_eq!(slab.iter_from(0).collect::<Vec<_>>(), [(0, &'d'), (1, &'e'), (2, &'c'), (3, &'f')]);
        assert_eq!((slab.iter_from(2).next(), slab.iter_from(9).next()), (Some((2, &'c')), None));
    }
}
