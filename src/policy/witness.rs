//! What happens while a setting is decided, told to whoever listens: nobody in the engine, `explain` when somebody asks.

use super::catalogue::Setting;
use super::grammar::Operator;
use super::layers::Layer;
use super::object::Since;
use super::resolved::Source;
use super::value::Value;
use crate::model::{Dn, ObjectId};

/// A line, by where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin<'a> {
    pub(crate) layer: Layer,
    pub(crate) object: Option<ObjectId>,
    /// The attribute, where it is not one that holds policy lines.
    pub(crate) attribute: Option<&'a str>,
    pub(crate) order: i32,
    pub(crate) operator: Operator,
    pub(crate) since: Since,
}

impl Origin<'_> {
    pub(crate) const fn source(&self) -> Source {
        Source { layer: self.layer, object: self.object, operator: self.operator, generation: self.since.generation, at: self.since.at }
    }
}

/// Why a line never came into question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// An outer layer enforces another value.
    Enforced {
        /// The object that does.
        by: Option<ObjectId>,
        /// The layer it does it in.
        layer: Layer,
    },
    /// A container further in blocks it.
    Blocked {
        /// The object that holds the `block` line.
        by: Option<ObjectId>,
        /// The layer it stands in.
        layer: Layer,
    },
    /// A filter of its object keeps the user out.
    Filtered(Filtered),
    /// It does not parse; the parser's words.
    Unparsable(String),
    /// Another line of the same object comes first.
    SameObject,
    /// The setting belongs to users, and the object is none.
    UserOnly,
    /// The object decides network settings, and the setting is none.
    NetworkOnly,
    /// There is no server of this role in any container above.
    NoServer(String),
    /// The list is full.
    Full,
}

/// How a filter keeps a user out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filtered {
    /// The user is in none of the groups that it allows.
    NotIn(Vec<Dn>),
    /// The user is in a group that it denies.
    In(Dn),
    /// The filter cannot be read.
    Unreadable,
}

/// Listens. Every method may stay silent.
pub(crate) trait Witness {
    /// A line took the place of everything so far.
    fn replaced(&mut self, _setting: Setting, _origin: &Origin<'_>, _values: &[Value]) {}
    /// A line put values at the end of the list, or in the place of the same elements.
    fn appended(&mut self, _setting: Setting, _origin: &Origin<'_>, _values: &[Value]) {}
    /// A line took these values out of the list; none when they were not in it.
    fn removed(&mut self, _setting: Setting, _origin: &Origin<'_>, _wanted: &[Value], _found: &[Value]) {}
    /// A line or an element was dropped.
    fn dropped(&mut self, _setting: Setting, _origin: &Origin<'_>, _text: &dyn Fn() -> String, _why: &dyn Fn() -> Dropped) {}
    /// `@nearest(role)` found its servers in a container.
    fn found(&mut self, _setting: Setting, _role: &str, _container: ObjectId) {}
}

/// Nobody listens.
pub(crate) struct Silent;

impl Witness for Silent {}
