//! The profile: what a phone needs to know, of its user, its device or the network that it is in (RFC 6080 §5.1).

use std::collections::BTreeMap;

pub use super::read::read;
use super::tree::{ReadError, indent};
use crate::model::{Aor, Resource};
use crate::policy::Resolved;
use crate::policy::catalogue::Setting;
use crate::policy::value::Value;

/// The media type of a profile.
pub const CONTENT_TYPE: &str = "application/vnd.dialcast.profile+xml";

/// The XML namespace of a profile; `schemas/xml/profile.xsd` describes it.
pub const NAMESPACE: &str = "urn:oid:2.25.122554895870997544909312494017432266762.2.1";

/// Whose profile it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// A user's, by the address of record: everything, with the network settings of where the phone is.
    User(Aor),
    /// That of the network that the phone is in: it names nobody.
    LocalNetwork,
    /// A device's.
    Device,
}

impl Whose {
    /// The attribute `type` of the document; a user's has none.
    pub(super) const fn kind(&self) -> Option<&'static str> {
        match self {
            Self::User(_) => None,
            Self::LocalNetwork => Some("local-network"),
            Self::Device => Some("device"),
        }
    }
}

impl From<Aor> for Whose {
    fn from(aor: Aor) -> Self {
        Self::User(aor)
    }
}

impl From<&Resource> for Whose {
    fn from(resource: &Resource) -> Self {
        match resource {
            Resource::User(aor) => Self::User(aor.clone()),
            Resource::LocalNetwork => Self::LocalNetwork,
            Resource::Device(_) => Self::Device,
        }
    }
}

/// What a profile document says: typed, without the XML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Whose it is.
    pub whose: Whose,
    settings: BTreeMap<Setting, Vec<Value>>,
    /// The names of elements that this version does not know, in document order: a newer server may send them.
    pub unknown: Vec<String>,
}

impl Profile {
    /// A profile of these settings. It holds what a document can hold: no setting without a value, one value of what is
    /// no list, no two that name the same element, at most [`Setting::VALUES_MAX`], and no `@nearest`.
    pub fn new(whose: impl Into<Whose>, settings: impl IntoIterator<Item = (Setting, Vec<Value>)>) -> Self {
        let settings = settings.into_iter().map(|(setting, values)| (setting, distinct(setting, &values).cloned().collect::<Vec<_>>()));
        Self { whose: whose.into(), settings: settings.filter(|(_, values)| !values.is_empty()).collect(), unknown: Vec::new() }
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
