//! XML as a small tree: read strictly, with limits, from whoever sends it.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::{NsReader, Writer, XmlVersion};
use thiserror::Error;

use super::element::NAME_MAX;
use super::profile::NAMESPACE;
use crate::policy::value::ValueError;

/// The largest document that is read, in octets: 300 times a usual one, and what a small device can hold twice.
pub(super) const OCTETS_MAX: usize = 1 << 20;
/// The deepest nesting: a civic element stands at five, and unknown ones of a newer version may go a little deeper.
const DEPTH_MAX: usize = 8;
/// The most elements: a few lists of [`Setting::VALUES_MAX`](crate::policy::catalogue::Setting::VALUES_MAX).
const ELEMENTS_MAX: usize = 16_384;
/// The most attributes of one element: known ones have three.
const ATTRIBUTES_MAX: usize = 16;

/// Why a document was not read, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("octet {offset}: {why}")]
pub struct ReadError {
    /// From the beginning of the document.
    pub offset: u64,
    /// What is wrong there.
    pub why: Unread,
}

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unread {
    /// It is too large.
    #[error("the document is larger than {OCTETS_MAX} octets")]
    TooLarge,
    /// It is not UTF-8, or says that it is not.
    #[error("the document is not UTF-8")]
    Encoding,
    /// It is not well-formed; the parser's words.
    #[error("not well-formed: {0}")]
    Syntax(String),
    /// It has a document type declaration: entities are a way to attack, and no profile needs them.
    #[error("a document type declaration is refused")]
    Doctype,
    /// It has a processing instruction or a CDATA section, which no profile has.
    #[error("a processing instruction or CDATA section is refused")]
    Foreign,
    /// It holds a character that XML forbids, maybe by reference.
    #[error("the character U+{:04X} is forbidden", u32::from(*.0))]
    Character(char),
    /// It is nested too deep.
    #[error("nested deeper than {DEPTH_MAX} elements")]
    Depth,
    /// It has too many elements or attributes.
    #[error("too many elements or attributes")]
    Count,
    /// A name is too long or has unusual characters.
    #[error("a name of unusual length or characters")]
    Name,
    /// An element is not in the namespace of profiles.
    #[error("`{0}` is not in the namespace of profiles")]
    Namespace(String),
    /// The root is something else.
    #[error("the document is a `{0}` and no profile")]
    Root(String),
    /// It is no user's profile, and of no other known type.
    #[error("`{0}` is no type of profile")]
    Type(String),
    /// The address of record is none.
    #[error("the address of record: {0}")]
    Aor(String),
    /// A scope or setting stands twice, or before one that it should follow.
    #[error("`{0}` is out of order")]
    Order(String),
    /// An element, attribute or text that does not belong there.
    #[error("`{0}` does not belong there")]
    Misplaced(String),
    /// An attribute is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Two elements of a list have the same key.
    #[error("`{0}` stands twice in its list")]
    Twice(String),
    /// A value is not of the setting's type.
    #[error("{0}: {1}")]
    Value(&'static str, ValueError),
}

impl Unread {
    pub(super) const fn at(self, offset: u64) -> ReadError {
        ReadError { offset, why: self }
    }
}

/// An element of the namespace of profiles.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    /// Without namespace declarations.
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Node>,
    /// All text directly within, entities resolved.
    pub(super) text: String,
    /// Where its start tag ends.
    pub(super) offset: u64,
}

impl Node {
    /// The only text of an element without children.
    pub(super) fn only_text(&self) -> Result<&str, ReadError> {
        self.children.first().map_or(Ok(&*self.text), |child| Err(child.misplaced()))
    }

    /// The children of an element whose text is only layout.
    pub(super) fn only_children(&self) -> Result<&[Self], ReadError> {
        if is_layout(&self.text) { Ok(&self.children) } else { Err(Unread::Misplaced(cut(&self.text)).at(self.offset)) }
    }

    /// The values of exactly these attributes.
    pub(super) fn only_attributes<const N: usize>(&self, names: [&'static str; N]) -> Result<[&str; N], ReadError> {
        if let Some((name, _)) = self.attributes.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            return Err(Unread::Misplaced(cut(name)).at(self.offset));
        }
        let mut values = [""; N];
        for (slot, wanted) in values.iter_mut().zip(names) {
            let found = self.attributes.iter().find(|(name, _)| name == wanted);
            *slot = found.map(|(_, value)| value.as_str()).ok_or_else(|| Unread::Missing(wanted).at(self.offset))?;
        }
        Ok(values)
    }

    pub(super) fn misplaced(&self) -> ReadError {
        Unread::Misplaced(cut(&self.name)).at(self.offset)
    }
}

/// XML 1.0 §2.3, S.
fn is_layout(text: &str) -> bool {
    text.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n'))
}

/// What an error shows of a text that somebody sent.
pub(super) fn cut(text: &str) -> String {
    text.trim().chars().take(80).collect()
}

/// Reads the root element and everything below it.
pub(super) fn parse(bytes: &[u8]) -> Result<Node, ReadError> {
    let text = decode(bytes)?;
    let mut reader = NsReader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut above: Vec<Node> = Vec::new();
    let mut root: Option<Node> = None;
    let mut count = 0;
    let mut is_first = true;
    loop {
        let before = reader.buffer_position();
        let (resolved, event) = reader.read_resolved_event().map_err(|error| Unread::Syntax(cut(&error.to_string())).at(before))?;
        let namespace_is_ours = matches!(resolved, ResolveResult::Bound(Namespace(name)) if name == NAMESPACE);
        let at = reader.buffer_position();
        match event {
            Event::Start(start) | Event::Empty(start) if root.is_some() => return Err(Unread::Misplaced(cut(&name_of(&start))).at(before)),
            Event::Start(start) => {
                count += 1;
                let node = node(&start, namespace_is_ours, at)?;
                if count > ELEMENTS_MAX {
                    return Err(Unread::Count.at(before));
                }
                if above.len() == DEPTH_MAX {
                    return Err(Unread::Depth.at(before));
                }
                above.push(node);
            }
            Event::Empty(start) => {
                count += 1;
                let node = node(&start, namespace_is_ours, at)?;
                if count > ELEMENTS_MAX {
                    return Err(Unread::Count.at(before));
                }
                match above.last_mut() {
                    Some(parent) => parent.children.push(node),
                    None => root = Some(node),
                }
            }
            Event::End(_) => match (above.pop(), above.last_mut()) {
                (Some(node), Some(parent)) => parent.children.push(node),
                (node, _) => root = node,
            },
            Event::Text(text) => add_text(&mut above, &text.xml10_content(), before)?,
            Event::GeneralRef(reference) => {
                let wrong = || Unread::Syntax(format!("the entity `{}` is unknown", cut(&reference))).at(before);
                match reference.resolve_char_ref().map_err(|error| Unread::Syntax(cut(&error.to_string())).at(before))? {
                    Some(c) => add_text(&mut above, c.encode_utf8(&mut [0; 4]), before)?,
                    None => add_text(&mut above, quick_xml::escape::resolve_xml_entity(&reference).ok_or_else(wrong)?, before)?,
                }
            }
            Event::Comment(_) => {}
            Event::Decl(declaration) => {
                let encoding = declaration.encoding().transpose().map_err(|error| Unread::Syntax(cut(&error.to_string())).at(before))?;
                if encoding.is_some_and(|name| !name.eq_ignore_ascii_case("utf-8")) {
                    return Err(Unread::Encoding.at(before));
                }
                if !is_first {
                    return Err(Unread::Foreign.at(before));
                }
            }
            Event::DocType(_) => return Err(Unread::Doctype.at(before)),
            Event::PI(_) | Event::CData(_) => return Err(Unread::Foreign.at(before)),
            Event::Eof => {
                let unclosed = || Unread::Syntax("the document ends early".to_owned()).at(before);
                return if above.is_empty() { root.ok_or_else(unclosed) } else { Err(unclosed()) };
            }
        }
        is_first = false;
    }
}

fn decode(bytes: &[u8]) -> Result<&str, ReadError> {
    if bytes.len() > OCTETS_MAX {
        return Err(Unread::TooLarge.at(0));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Unread::Encoding.at(error.valid_up_to() as u64))?;
    if let Some((at, found)) = text.char_indices().find(|(_, c)| !is_xml(*c)) {
        return Err(Unread::Character(found).at(at as u64));
    }
    Ok(text)
}

/// XML 1.0 §2.2, Char.
const fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn add_text(above: &mut [Node], text: &str, offset: u64) -> Result<(), ReadError> {
    if let Some(found) = text.chars().find(|c| !is_xml(*c)) {
        return Err(Unread::Character(found).at(offset));
    }
    match above.last_mut() {
        Some(node) => {
            node.text.push_str(text);
            Ok(())
        }
        None if is_layout(text) => Ok(()),
        None => Err(Unread::Misplaced(cut(text)).at(offset)),
    }
}

fn name_of(start: &BytesStart<'_>) -> String {
    start.local_name().as_ref().to_owned()
}

fn node(start: &BytesStart<'_>, namespace_is_ours: bool, offset: u64) -> Result<Node, ReadError> {
    let name = name_of(start);
    let legal = |name: &str| {
        name.len() <= NAME_MAX
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    if !legal(&name) {
        return Err(Unread::Name.at(offset));
    }
    if !namespace_is_ours {
        return Err(Unread::Namespace(name).at(offset));
    }
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let wrong = |error: &dyn std::error::Error| Unread::Syntax(cut(&error.to_string())).at(offset);
        let attribute = attribute.map_err(|error| wrong(&error))?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        // XML 1.0 §3.1: no < in attribute values; the parser does not look.
        if attribute.value.contains('<') {
            return Err(Unread::Syntax("`<` in an attribute value".to_owned()).at(offset));
        }
        let key: &str = attribute.key.as_ref();
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|error| wrong(&error))?;
        if let Some(found) = value.chars().find(|c| !is_xml(*c)) {
            return Err(Unread::Character(found).at(offset));
        }
        if !legal(key) {
            return Err(Unread::Misplaced(cut(key)).at(offset));
        }
        if attributes.len() == ATTRIBUTES_MAX {
            return Err(Unread::Count.at(offset));
        }
        attributes.push((key.to_owned(), value.into_owned()));
    }
    Ok(Node { name, attributes, offset, ..Node::default() })
}

/// The document with one element per line; text stays beside its tags, since line ends in it would be part of it.
pub(super) fn indent(bytes: &[u8]) -> Result<String, ReadError> {
    #[derive(PartialEq)]
    enum Last {
        Opened,
        Text,
        Closed,
    }
    let mut reader = NsReader::from_str(decode(bytes)?);
    let mut writer = Writer::new(Vec::new());
    let (mut depth, mut last) = (0usize, Last::Closed);
    loop {
        let before = reader.buffer_position();
        let syntax = |error: String| Unread::Syntax(cut(&error)).at(before);
        let event = reader.read_event().map_err(|error| syntax(error.to_string()))?;
        let (own_line, next) = match &event {
            Event::Eof => {
                writer.get_mut().push(b'\n');
                return String::from_utf8(writer.into_inner()).map_err(|error| syntax(error.to_string()));
            }
            Event::Text(text) if last != Last::Text && is_layout(text) => continue,
            Event::Text(_) | Event::GeneralRef(_) | Event::CData(_) => (false, Last::Text),
            Event::Start(_) => (last != Last::Text, Last::Opened),
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                (last == Last::Closed, Last::Closed)
            }
            _ => (last != Last::Text, Last::Closed),
        };
        if own_line && !writer.get_ref().is_empty() {
            writer.get_mut().push(b'\n');
            writer.get_mut().extend(std::iter::repeat_n(b' ', 2 * depth.min(DEPTH_MAX)));
        }
        depth += usize::from(next == Last::Opened);
        last = next;
        writer.write_event(event).map_err(|error| syntax(error.to_string()))?;
    }
}
