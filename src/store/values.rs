//! Member values, read: which name each means, and who has the name now.

use std::collections::HashMap;

use super::Object;
use super::groups::Groups;
use super::name::{Name, unreadable};
use super::tree::Tree;
use crate::model::{Dn, ObjectId, Rdn, plain_key};

/// The attributes that list members.
pub(crate) const ATTRIBUTES: [&str; 3] = ["member", "uniquemember", "memberuid"];

/// As the standards spell them.
const SHOWN: [&str; 3] = ["member", "uniqueMember", "memberUid"];

/// One member value: the attribute's place in [`ATTRIBUTES`], and the octets.
pub(crate) type Raw<'a> = (usize, &'a [u8]);

/// All member values of an object.
pub(crate) fn of(object: &Object) -> impl Iterator<Item = Raw<'_>> {
    ATTRIBUTES.iter().enumerate().flat_map(|(index, name)| object.attributes.values(name).iter().map(move |value| (index, value)))
}

/// Reads values against one state of the tree. The members of a group stand in few containers: each of those is parsed and
/// looked up once.
pub(crate) struct Reader<'t> {
    tree: &'t Tree,
    containers: HashMap<Box<str>, Option<Container>>,
    /// The name of each object that was found, if they are to be remembered: a member of many groups has one name in all of them.
    known: Option<HashMap<ObjectId, Name>>,
}

/// A container's name, and the object that has it.
struct Container {
    name: Name,
    object: Option<ObjectId>,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(tree: &'t Tree) -> Self {
        Self { tree, containers: HashMap::new(), known: None }
    }

    /// One that reads a whole directory's groups.
    pub(crate) fn of_all(tree: &'t Tree) -> Self {
        Self { known: Some(HashMap::new()), ..Self::new(tree) }
    }

    /// The name that a value means, and the object that has it. No name: the empty DN, which stands for nobody in classes
    /// that demand a member.
    pub(crate) fn read(&mut self, groups: &Groups, raw: Raw<'_>) -> Option<(Name, Option<ObjectId>)> {
        let read = match text_of(raw) {
            Text::Empty => return None,
            Text::Neither => None,
            Text::Dn(text) => self.read_dn(text),
            Text::Uid(uid) => {
                let name = Name::of_uid(uid);
                let object = groups.resolve(self.tree, &name);
                Some((name, object))
            }
        };
        Some(read.unwrap_or_else(|| (Name::of(&shown(raw)), None)))
    }

    fn read_dn(&mut self, text: &str) -> Option<(Name, Option<ObjectId>)> {
        let Some((leaf, above)) = split(text) else {
            let name = Name::of(&text.parse().ok()?);
            let object = self.tree.find(&name);
            return Some((name, object));
        };
        if !self.containers.contains_key(above) {
            let container = above.parse::<Dn>().ok().filter(|dn| !dn.is_empty()).map(|dn| {
                let name = Name::of(&dn);
                Container { object: self.tree.find(&name), name }
            });
            self.containers.insert(above.into(), container);
        }
        let key = match plain_key(leaf.trim_matches(' ')) {
            Some(key) => key,
            None => leaf.parse::<Rdn>().ok()?.key().to_owned(),
        };
        let above = self.containers.get(above)?.as_ref()?;
        let Some(parent) = above.object else {
            // Where no object has the container's name, this one may still be a root's.
            let name = above.name.child(&key);
            let object = self.tree.find(&name);
            return Some((name, object));
        };
        let object = self.tree.child(parent, &key);
        let (Some(id), Some(known)) = (object, &mut self.known) else { return Some((above.name.child(&key), object)) };
        let name = match known.get(&id) {
            Some(name) if name.is_child(&above.name, &key) => name.clone(),
            _ => {
                let name = above.name.child(&key);
                known.insert(id, name.clone());
                name
            }
        };
        Some((name, object))
    }
}

/// How a value that names nobody is shown. What is no DN is shown as it is.
pub(crate) fn shown(raw: Raw<'_>) -> Dn {
    let (attribute, value) = (SHOWN.get(raw.0).copied().unwrap_or_default(), raw.1);
    match text_of(raw) {
        Text::Dn(text) => text.parse().unwrap_or_else(|_| unreadable(attribute, value)),
        Text::Uid(uid) => unreadable(attribute, uid.as_bytes()),
        Text::Neither | Text::Empty => unreadable(attribute, value),
    }
}

enum Text<'a> {
    Dn(&'a str),
    Uid(&'a str),
    Empty,
    /// No UTF-8.
    Neither,
}

fn text_of((attribute, value): Raw<'_>) -> Text<'_> {
    match (std::str::from_utf8(value), attribute) {
        (Err(_), _) => Text::Neither,
        (Ok(text), _) if text.trim().is_empty() => Text::Empty,
        (Ok(text), 0) => Text::Dn(text),
        (Ok(text), 1) => Text::Dn(without_uid(text)),
        (Ok(text), _) => Text::Uid(text.trim()),
    }
}

/// The leaf of a DN's text, and what stands behind its comma. `None` where there is none, or where it is not plain to see: the
/// quoted values of RFC 2253 §4 may hold commas.
fn split(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return None,
            b',' | b';' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

/// RFC 4517 §3.3.21: a Name And Optional UID ends with `#'0101'B`, which distinguishes entries that had the name one after
/// the other; nobody uses it for anything.
fn without_uid(text: &str) -> &str {
    let bits = |rest: &str| rest.strip_suffix("'B").is_some_and(|bits| bits.bytes().all(|b| matches!(b, b'0' | b'1')));
    match text.rsplit_once("#'") {
        Some((dn, rest)) if bits(rest) => dn,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::support::*;

    /// What the quick way reads is what the whole DN says.
    #[test]
    fn reads_as_the_parser_does() {
        let state = store(&["r dc=corp,dc=example", "a ou=a\\,b,dc=corp,dc=example", "u uid=anna,ou=a\\,b,dc=corp,dc=example", "o o=top"])
            .snapshot();
        let mut reader = Reader::new(&state.tree);
        for text in [
            "uid=anna,ou=a\\,b,dc=corp,dc=example",
            "UID=Anna , OU=\"a,b\" ; DC=corp,dc=Example",
            "uid=\"anna\",ou=a\\2cb,dc=corp,dc=example",
            "dc=corp,dc=example",
            "o=top",
            "o=top,",
            "uid=x,,dc=example",
            "uid=x",
            "uid",
            ",",
            "uid=anna,ou=nowhere,dc=corp,dc=example",
            "uid=a\\",
        ] {
            let expect = text.parse::<Dn>().ok().map(|dn| (Name::of(&dn), state.find(&dn)));
            let expect = expect.unwrap_or_else(|| (Name::of(&unreadable("member", text.as_bytes())), None));
            // Twice: the second time the container is known.
            for _ in 0..2 {
                assert_eq!(reader.read(&state.groups, (0, text.as_bytes())), Some(expect.clone()), "{text}");
            }
        }
        assert_eq!(reader.read(&state.groups, (0, b" ")), None);
        assert_eq!(shown((1, b"\xff#'0'B")).to_string(), "uniqueMember=\u{fffd}\\23\\270\\27B".replace("\\23", "#").replace("\\27", "'"));
    }

    #[test]
    fn an_optional_uid_is_no_part_of_the_name() {
        for (text, expect) in [("cn=a#'01'B", "cn=a"), ("cn=a#''B", "cn=a"), ("cn=a#'2'B", "cn=a#'2'B"), ("cn=a'B", "cn=a'B")] {
            assert_eq!(without_uid(text), expect);
        }
    }
}
