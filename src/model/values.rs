//! The values of one attribute, side by side in one piece of memory.

/// The values of an attribute, in the order in which the directory gave them. A view; costs nothing to copy.
///
/// A value is found by going through those before it: iterate, and do not index, where there may be many.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Values<'a> {
    count: usize,
    octets: &'a [u8],
}

impl<'a> Values<'a> {
    /// No values.
    pub(super) const NONE: Self = Self { count: 0, octets: &[] };

    /// How many there are.
    pub const fn len(self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The first.
    pub fn first(self) -> Option<&'a [u8]> {
        self.iter().next()
    }

    /// One by its place, from 0.
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        self.iter().nth(index)
    }

    /// All of them.
    pub const fn iter(self) -> ValuesIter<'a> {
        ValuesIter { left: self.count, rest: self.octets }
    }

    /// The values that stand at the front of what [`pack`] wrote, and what is behind them.
    pub(super) fn take(octets: &'a [u8]) -> (Self, &'a [u8]) {
        let (count, rest) = number(octets);
        let length = if count == 1 {
            let (value, after) = number(rest);
            rest.len() - after.len() + value
        } else {
            let (length, after) = number(rest);
            let (octets, behind) = after.split_at_checked(length).unwrap_or((after, &[]));
            return (Self { count, octets }, behind);
        };
        let (octets, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        (Self { count, octets }, behind)
    }
}

/// Writes values so that [`Values::take`] finds them: how many there are; of several the octets that they take all together, so that
/// they can be passed over; then each with its length before it.
pub(super) fn pack<V: AsRef<[u8]>>(values: &[V], out: &mut Vec<u8>) {
    put(values.len(), out);
    if values.len() != 1 {
        put(values.iter().map(|value| width(value.as_ref().len()) + value.as_ref().len()).sum(), out);
    }
    for value in values {
        put(value.as_ref().len(), out);
        out.extend_from_slice(value.as_ref());
    }
}

/// How many octets [`pack`] writes for these values.
pub(super) fn packed_len<V: AsRef<[u8]>>(values: &[V]) -> usize {
    let inner: usize = values.iter().map(|value| width(value.as_ref().len()) + value.as_ref().len()).sum();
    width(values.len()) + inner + if values.len() == 1 { 0 } else { width(inner) }
}

/// Seven bits to an octet, the lowest first; the high bit says that more follow.
fn put(mut number: usize, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(low(number) | 0x80);
        number >>= 7;
    }
    out.push(low(number));
}

const fn low(number: usize) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

const fn width(mut number: usize) -> usize {
    let mut octets = 1;
    while number > 0x7f {
        number >>= 7;
        octets += 1;
    }
    octets
}

fn number(octets: &[u8]) -> (usize, &[u8]) {
    let (mut number, mut shift, mut rest) = (0_usize, 0_u32, octets);
    while let Some((&octet, more)) = rest.split_first() {
        rest = more;
        number |= usize::from(octet & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if octet & 0x80 == 0 {
            break;
        }
    }
    (number, rest)
}

impl<'a> IntoIterator for Values<'a> {
    type Item = &'a [u8];
    type IntoIter = ValuesIter<'a>;

    fn into_iter(self) -> ValuesIter<'a> {
        self.iter()
    }
}

/// Goes through [`Values`].
#[derive(Clone)]
pub struct ValuesIter<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for ValuesIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (length, rest) = number(self.rest);
        let (value, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        self.rest = behind;
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ValuesIter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_was_packed(lists in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5), 0..5)) {
            let mut octets = Vec::new();
            for list in &lists {
                let before = octets.len();
                pack(list, &mut octets);
                prop_assert_eq!(octets.len() - before, packed_len(list));
            }
            let mut rest = octets.as_slice();
            for list in &lists {
                let (values, behind) = Values::take(rest);
                prop_assert_eq!((values.len(), values.is_empty()), (list.len(), list.is_empty()));
                prop_assert_eq!(values.iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), list.clone());
                prop_assert_eq!(values.first(), list.first().map(Vec::as_slice));
                prop_assert!(list.iter().enumerate().all(|(index, value)| values.get(index) == Some(value)));
                rest = behind;
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut rest = octets.as_slice();
            while !rest.is_empty() {
                let (values, behind) = Values::take(rest);
                prop_assert!(values.iter().take(100).map(<[u8]>::len).sum::<usize>() <= octets.len());
                rest = behind;
            }
        }
    }
}
