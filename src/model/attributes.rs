//! The attributes of a directory entry.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// One attribute value: octets, as the directory holds them.
pub type Value = Box<[u8]>;

/// The attributes of one entry: names folded to lower case, values in the order in which the directory gave them.
///
/// `Debug` shows names and sizes and never a value: some are passwords.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Attributes(Vec<(Arc<str>, Vec<Value>)>);

impl Attributes {
    /// No attributes.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds values to an attribute; a value that is there already is kept once (attribute values are a set, X.501 §8.2).
    pub fn add(&mut self, name: &str, values: impl IntoIterator<Item = Vec<u8>>) {
        let name: Arc<str> = name.to_ascii_lowercase().into();
        let index = match self.0.binary_search_by(|(n, _)| n.cmp(&name)) {
            Ok(index) => index,
            Err(index) => {
                self.0.insert(index, (name, Vec::new()));
                index
            }
        };
        if let Some((_, held)) = self.0.get_mut(index) {
            if held.is_empty() {
                // The usual case, and the one where 100,000 members must not be compared pairwise.
                *held = values.into_iter().map(Vec::into_boxed_slice).collect();
                held.dedup();
                return;
            }
            for value in values {
                if !held.iter().any(|h| **h == *value) {
                    held.push(value.into_boxed_slice());
                }
            }
        }
    }

    /// Takes the names from a pool that many entries share, and gives back what memory the lists have to spare: for whoever
    /// keeps entries by the hundred thousand.
    pub fn share(&mut self, names: &mut BTreeSet<Arc<str>>) {
        for (name, values) in &mut self.0 {
            match names.get(name) {
                Some(shared) => *name = Arc::clone(shared),
                None => drop(names.insert(Arc::clone(name))),
            }
            values.shrink_to_fit();
        }
        self.0.shrink_to_fit();
    }

    /// The values of an attribute, by its name in any case; empty when it is not there.
    pub fn values(&self, name: &str) -> &[Value] {
        self.find(name).map_or(&[], |(_, values)| values.as_slice())
    }

    /// The values of an attribute that are UTF-8.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name).iter().filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// The first value of an attribute, when it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    /// Whether the attribute is there.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether `objectClass` holds the class, in any case.
    pub fn has_class(&self, class: &str) -> bool {
        self.texts("objectclass").any(|c| c.eq_ignore_ascii_case(class))
    }

    /// Takes an attribute out, by its name in any case; its values.
    pub fn remove(&mut self, name: &str) -> Vec<Value> {
        let found = self.0.binary_search_by(|(n, _)| n.bytes().cmp(name.bytes().map(|b| b.to_ascii_lowercase())));
        found.map_or_else(|_| Vec::new(), |index| self.0.remove(index).1)
    }

    /// Every attribute, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Value])> {
        self.0.iter().map(|(name, values)| (&**name, values.as_slice()))
    }

    fn find(&self, name: &str) -> Option<&(Arc<str>, Vec<Value>)> {
        let found = self.0.binary_search_by(|(n, _)| n.bytes().cmp(name.bytes().map(|b| b.to_ascii_lowercase())));
        found.ok().and_then(|index| self.0.get(index))
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.0.iter().map(|(name, values)| {
                    (name, format!("{} values, {} octets", values.len(), values.iter().map(|v| v.len()).sum::<usize>()))
                }),
            )
            .finish()
    }
}

impl<'a> FromIterator<(&'a str, Vec<u8>)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (&'a str, Vec<u8>)>>(iter: I) -> Self {
        let mut attributes = Self::new();
        for (name, value) in iter {
            attributes.add(name, [value]);
        }
        attributes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_values_are_a_set() {
        let attributes: Attributes = [
            ("objectClass", b"person".to_vec()),
            ("OBJECTCLASS", b"top".to_vec()),
            ("objectclass", b"person".to_vec()),
            ("cn", b"Anna".to_vec()),
        ]
        .into_iter()
        .collect();
        assert_eq!(attributes.texts("ObjectClass").collect::<Vec<_>>(), ["person", "top"]);
        assert!(attributes.has_class("PERSON") && !attributes.has_class("user"));
        assert_eq!(attributes.text("CN"), Some("Anna"));
        assert!(!attributes.has("sn") && attributes.values("sn").is_empty());
        assert_eq!(attributes.iter().map(|(n, _)| n).collect::<Vec<_>>(), ["cn", "objectclass"]);
    }

    #[test]
    fn shared_names_are_the_same_attributes() {
        let mut names = BTreeSet::new();
        let one: Attributes = [("cn", b"Anna".to_vec()), ("mail", b"a@x".to_vec())].into_iter().collect();
        let (mut first, mut second) = (one.clone(), one.clone());
        first.share(&mut names);
        second.share(&mut names);
        assert_eq!((&first, &second, names.len()), (&one, &one, 2));
        assert!(Arc::ptr_eq(&first.0[0].0, &second.0[0].0));
    }

    #[test]
    fn debug_keeps_secrets() {
        let attributes: Attributes = [("sipidentitypassword", b"hunter2".to_vec())].into_iter().collect();
        assert!(!format!("{attributes:?}").contains("hunter2"));
    }
}
