//! The profile: everything that a phone of a user needs to know (RFC 6080's user, device and local-network profiles in one).

use std::collections::BTreeMap;

pub use super::read::read;
use super::tree::{ReadError, indent};
use crate::model::Aor;
use crate::policy::Resolved;
use crate::policy::catalogue::Setting;
use crate::policy::value::Value;

/// The media type of a profile.
pub const CONTENT_TYPE: &str = "application/vnd.dialcast.profile+xml";

/// The XML namespace of a profile; `schemas/xml/profile.xsd` describes it.
pub const NAMESPACE: &str = "urn:oid:2.25.122554895870997544909312494017432266762.2.1";

/// What a profile document says: typed, without the XML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The user's address of record.
    pub aor: Aor,
    settings: BTreeMap<Setting, Vec<Value>>,
    /// The names of elements that this version does not know, in document order: a newer server may send them.
    pub unknown: Vec<String>,
}

impl Profile {
    /// A profile of these settings. It holds what a document can hold: no setting without a value, one value of what is
    /// no list, no two that name the same element, at most [`Setting::VALUES_MAX`], and no `@nearest`.
    pub fn new(aor: Aor, settings: impl IntoIterator<Item = (Setting, Vec<Value>)>) -> Self {
        let settings = settings.into_iter().map(|(setting, values)| (setting, distinct(setting, &values).cloned().collect::<Vec<_>>()));
        Self { aor, settings: settings.filter(|(_, values)| !values.is_empty()).collect(), unknown: Vec::new() }
    }

    /// The values of a setting; none when the document has none.
    pub fn values(&self, setting: Setting) -> &[Value] {
        self.settings.get(&setting).map_or(&[], Vec::as_slice)
    }

    /// The settings that have values, in the order of the catalogue.
    pub fn iter(&self) -> impl Iterator<Item = (Setting, &[Value])> {
        self.settings.iter().map(|(setting, values)| (*setting, values.as_slice()))
    }
}

impl From<&Resolved> for Profile {
    fn from(resolved: &Resolved) -> Self {
        Self::new(resolved.aor.clone(), resolved.iter().map(|(setting, decision)| (setting, decision.values.to_vec())))
    }
}

/// The values that a document holds of these: see [`Profile::new`].
pub(super) fn distinct(setting: Setting, values: &[Value]) -> impl Iterator<Item = &Value> {
    let max = if setting.spec().many { Setting::VALUES_MAX } else { 1 };
    let is_first = |(index, value): &(usize, &Value)| !values.iter().take(*index).any(|earlier| earlier.is_same_element(value));
    let resolved = |(_, value): &(usize, &Value)| !matches!(value, Value::Nearest(_));
    values.iter().enumerate().filter(resolved).filter(is_first).map(|(_, value)| value).take(max)
}

/// The document with one element per line, for people: the bytes that phones get have no line ends.
pub fn indented(bytes: &[u8]) -> Result<String, ReadError> {
    indent(bytes)
}
