//! The attributes of a directory entry.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use super::values::{Values, pack, packed_len};

/// The attributes of one entry: names folded to lower case, values in the order in which the directory gave them.
///
/// They are kept by the million: one piece of memory holds all values, and what entries have in common is there once, in their
/// shape. `Debug` shows names and sizes and never a value: some are passwords.
#[derive(Clone)]
pub struct Attributes {
    shape: Arc<Shape>,
    /// The values of each name of the shape but the object classes, in the order of the names, as [`pack`] writes them.
    octets: Box<[u8]>,
}

/// What entries have in common: which attributes they have, and of which object classes they are.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Shape {
    /// Sorted.
    names: Box<[Arc<str>]>,
    /// The object classes, packed.
    classes: Box<[u8]>,
}

const CLASSES: &str = "objectclass";

static NOTHING: LazyLock<Arc<Shape>> = LazyLock::new(|| Arc::new(Shape { names: Box::default(), classes: Box::default() }));

/// The names and shapes that entries share. There are as many names as the schema has, and few shapes.
#[derive(Debug, Default)]
pub struct Names {
    texts: HashSet<Arc<str>>,
    shapes: HashSet<Arc<Shape>>,
    /// From how many shapes on those that nobody has any more are looked for.
    sweep_at: usize,
}

/// Below this many shapes nothing is swept.
const SHAPES_FEW: usize = 1024;

impl Names {
    fn folded(&mut self, name: &str) -> Arc<str> {
        if name.bytes().any(|b| b.is_ascii_uppercase()) { self.name(&name.to_ascii_lowercase()) } else { self.name(name) }
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(shared) = self.texts.get(name) {
            return Arc::clone(shared);
        }
        let shared: Arc<str> = name.into();
        self.texts.insert(Arc::clone(&shared));
        shared
    }

    fn shape(&mut self, shape: &Arc<Shape>) -> Arc<Shape> {
        if let Some(shared) = self.shapes.get(shape) {
            return Arc::clone(shared);
        }
        if self.shapes.len() >= self.sweep_at.max(SHAPES_FEW) {
            self.shapes.retain(|shape| Arc::strong_count(shape) > 1);
            self.texts.retain(|name| Arc::strong_count(name) > 1);
            self.sweep_at = self.shapes.len() * 2;
        }
        let names = shape.names.iter().map(|name| self.name(name)).collect();
        let shared = Arc::new(Shape { names, classes: shape.classes.clone() });
        self.shapes.insert(Arc::clone(&shared));
        shared
    }
}

impl Attributes {
    /// No attributes.
    pub fn new() -> Self {
        Self { shape: Arc::clone(&NOTHING), octets: Box::default() }
    }

    /// The attributes of an entry that was read as a whole: each name once in any case, with its values.
    pub fn gather<N: AsRef<str>>(list: impl IntoIterator<Item = (N, Vec<Vec<u8>>)>, shared: &mut Names) -> Self {
        let mut list: Vec<(Arc<str>, Vec<Vec<u8>>)> =
            list.into_iter().map(|(name, values)| (shared.folded(name.as_ref()), values)).collect();
        // Stable: of a name that comes twice, the values stay in their order.
        list.sort_by(|(one, _), (other, _)| one.cmp(other));
        list.dedup_by(|(again, more), (name, values)| {
            let same = again == name;
            if same {
                include_all(values, std::mem::take(more));
            }
            same
        });
        // The usual case, and the one where 100,000 members must not be compared pairwise.
        for (_, values) in &mut list {
            values.dedup();
        }
        let mut attributes = Self::of(list);
        attributes.share(shared);
        attributes
    }

    /// Sorted, each name once.
    fn of(list: Vec<(Arc<str>, Vec<Vec<u8>>)>) -> Self {
        let (mut classes, mut octets) = (Vec::new(), Vec::new());
        octets.reserve_exact(list.iter().filter(|(name, _)| **name != *CLASSES).map(|(_, values)| packed_len(values)).sum());
        for (name, values) in &list {
            pack(values, if **name == *CLASSES { &mut classes } else { &mut octets });
        }
        let names = list.into_iter().map(|(name, _)| name).collect();
        Self { shape: Arc::new(Shape { names, classes: classes.into() }), octets: octets.into() }
    }

    /// Adds values to an attribute; a value that is there already is kept once (attribute values are a set, X.501 §8.2).
    ///
    /// All values are copied: an entry that is read as a whole is quicker [gathered](Self::gather).
    pub fn add(&mut self, name: &str, values: impl IntoIterator<Item = Vec<u8>>) {
        let name = name.to_ascii_lowercase();
        let mut list = self.list();
        match list.binary_search_by(|(held, _)| (**held).cmp(&*name)) {
            Ok(at) => {
                if let Some((_, held)) = list.get_mut(at) {
                    include_all(held, values);
                }
            }
            Err(at) => {
                let mut values: Vec<Vec<u8>> = values.into_iter().collect();
                values.dedup();
                list.insert(at, (name.into(), values));
            }
        }
        *self = Self::of(list);
    }

    /// All names and values, copied.
    fn list(&self) -> Vec<(Arc<str>, Vec<Vec<u8>>)> {
        let copy = |(name, (_, values)): (&Arc<str>, (&str, Values<'_>))| (Arc::clone(name), values.iter().map(<[u8]>::to_vec).collect());
        self.shape.names.iter().zip(self.iter()).map(copy).collect()
    }

    /// Takes names and shape from those that many entries share: for whoever keeps entries by the hundred thousand.
    pub fn share(&mut self, shared: &mut Names) {
        self.shape = shared.shape(&self.shape);
    }

    /// The values of an attribute, by its name in any case; empty when it is not there.
    pub fn values(&self, name: &str) -> Values<'_> {
        let Some(at) = self.find(name) else { return Values::NONE };
        self.packed().nth(at).unwrap_or(Values::NONE)
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
        let (classes, _) = Values::take(&self.shape.classes);
        classes.iter().any(|c| c.eq_ignore_ascii_case(class.as_bytes()))
    }

    /// Takes an attribute out, by its name in any case; its values.
    pub fn remove(&mut self, name: &str) -> Vec<Vec<u8>> {
        let Some(at) = self.find(name) else { return Vec::new() };
        let mut list = self.list();
        let (_, values) = list.remove(at);
        *self = Self::of(list);
        values
    }

    /// Every attribute, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Values<'_>)> {
        self.shape.names.iter().map(|name| &**name).zip(self.packed())
    }

    /// Whether two entries certainly have attributes of the same names, and the same object classes.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shape, &other.shape)
    }

    /// The values of each name, in the order of the names.
    fn packed(&self) -> impl Iterator<Item = Values<'_>> {
        let mut rest = &*self.octets;
        self.shape.names.iter().map(move |name| {
            if **name == *CLASSES {
                return Values::take(&self.shape.classes).0;
            }
            let (values, behind) = Values::take(rest);
            rest = behind;
            values
        })
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.shape.names.binary_search_by(|held| held.bytes().cmp(name.bytes().map(|b| b.to_ascii_lowercase()))).ok()
    }
}

/// Puts values behind the others, unless they are there.
fn include_all(values: &mut Vec<Vec<u8>>, more: impl IntoIterator<Item = Vec<u8>>) {
    for value in more {
        if !values.contains(&value) {
            values.push(value);
        }
    }
}

impl Default for Attributes {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        // Equal values are packed in one way only.
        (self.is_alike(other) || self.shape == other.shape) && self.octets == other.octets
    }
}
impl Eq for Attributes {}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter().map(|(name, values)| {
                    (name, format!("{} values, {} octets", values.len(), values.iter().map(<[u8]>::len).sum::<usize>()))
                }),
            )
            .finish()
    }
}

impl<'a> FromIterator<(&'a str, Vec<u8>)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (&'a str, Vec<u8>)>>(iter: I) -> Self {
        Self::gather(iter.into_iter().map(|(name, value)| (name, vec![value])), &mut Names::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

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
    fn what_is_shared_is_the_same_attributes() {
        let mut names = Names::default();
        let one: Attributes = [("cn", b"Anna".to_vec()), ("mail", b"a@x".to_vec()), ("objectClass", b"top".to_vec())].into_iter().collect();
        let (mut first, mut second) = (one.clone(), Attributes::new());
        first.share(&mut names);
        second.add("mail", [b"b@x".to_vec()]);
        second.add("objectclass", [b"top".to_vec()]);
        second.add("CN", [b"Anna".to_vec()]);
        second.share(&mut names);
        assert_eq!((&first, names.texts.len(), names.shapes.len()), (&one, 3, 1));
        assert_ne!(first, second);
        assert!(Arc::ptr_eq(&first.shape, &second.shape));
    }

    #[test]
    fn shapes_that_nobody_has_are_forgotten() {
        let mut names = Names::default();
        let gather = |n: usize, names: &mut Names| Attributes::gather([(format!("a{n}"), vec![vec![1]])], names);
        let kept: Vec<Attributes> = (0..10).map(|n| gather(n, &mut names)).collect();
        for n in 0..SHAPES_FEW * 10 {
            gather(n, &mut names);
        }
        assert!(names.shapes.len() <= SHAPES_FEW && names.texts.len() <= 2 * SHAPES_FEW, "{}", names.shapes.len());
        assert!(Arc::ptr_eq(&kept[3].shape, &gather(3, &mut names).shape));
    }

    #[test]
    fn debug_keeps_secrets() {
        let attributes: Attributes = [("sipidentitypassword", b"hunter2".to_vec())].into_iter().collect();
        assert!(!format!("{attributes:?}").contains("hunter2"));
    }

    proptest! {
        /// However they are put together, they hold what a map of sets would.
        #[test]
        fn like_a_map(steps in prop::collection::vec(("cn|CN|sn|objectclass|objectClass|mail", prop::collection::vec("[ab]{0,2}", 0..4)), 0..8)) {
            let (mut added, mut expect) = (Attributes::new(), BTreeMap::<String, Vec<Vec<u8>>>::new());
            for (name, values) in &steps {
                let values = values.iter().map(|value| value.clone().into_bytes());
                let mut distinct = Vec::new();
                include_all(&mut distinct, values);
                let held = expect.entry(name.to_ascii_lowercase()).or_default();
                include_all(held, distinct.clone());
                added.add(name, distinct);
            }
            let got: BTreeMap<String, Vec<Vec<u8>>> =
                added.iter().map(|(name, values)| (name.to_owned(), values.iter().map(<[u8]>::to_vec).collect())).collect();
            prop_assert_eq!(&got, &expect);
            let gathered = Attributes::gather(expect.clone(), &mut Names::default());
            prop_assert_eq!(&gathered, &added);
            for (name, values) in &expect {
                prop_assert!(added.values(&name.to_ascii_uppercase()).iter().eq(values.iter().map(Vec::as_slice)));
            }
        }
    }
}
