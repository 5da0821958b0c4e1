//! How far two words are apart.

/// Levenshtein's distance: how many letters to add, drop or change.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, b) in row.iter_mut().skip(1).zip(&other) {
            let best = (left + 1).min(*slot + 1).min(diagonal + usize::from(a != *b));
            diagonal = std::mem::replace(slot, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances() {
        for (one, other, expect) in
            [("", "", 0), ("anna", "anna", 0), ("anna", "ana", 1), ("anna", "hanna", 1), ("müller", "muller", 1), ("a", "xyz", 3)]
        {
            assert_eq!(distance(one, other), expect, "{one} {other}");
            assert_eq!(distance(other, one), expect, "{other} {one}");
        }
    }
}
