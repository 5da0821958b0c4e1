//! Writes down what happens to every line while a user's settings are decided.

use std::collections::BTreeMap;

use super::catalogue::Setting;
use super::grammar::Operator;
use super::layers::Layer;
use super::object::{ORDER_DEFAULT, Since, shown};
use super::resolve::built_in;
use super::value::Value;
use super::witness::{Dropped, Origin, Witness};
use crate::model::ObjectId;

/// Every line that was looked at, by setting, in the order in which they met.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) settings: BTreeMap<Setting, Vec<Line>>,
    /// Where `@nearest(role)` found its servers.
    pub(crate) found: BTreeMap<(Setting, String), ObjectId>,
}

/// A line, and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) origin: Place,
    /// The value's text.
    pub(crate) text: String,
    /// What it brought and what is left of it.
    pub(crate) values: Vec<Value>,
    /// Values that a later line took out of the list.
    pub(crate) removed: Vec<(Value, Place)>,
    pub(crate) fate: Fate,
}

/// [`Origin`], kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) layer: Layer,
    pub(crate) object: Option<ObjectId>,
    pub(crate) attribute: Option<String>,
    pub(crate) order: i32,
    pub(crate) operator: Operator,
    pub(crate) since: Since,
}

/// What became of a line.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// It stands.
    Stands,
    /// A later line took the place of it.
    Replaced(Place),
    /// It never came into question.
    Dropped(Dropped),
    /// A removal that found nothing to remove.
    Idle,
}

impl From<&Origin<'_>> for Place {
    fn from(origin: &Origin<'_>) -> Self {
        Self {
            layer: origin.layer,
            object: origin.object,
            attribute: origin.attribute.map(str::to_owned),
            order: origin.order,
            operator: origin.operator,
            since: origin.since,
        }
    }
}

impl Recorder {
    /// A recorder that knows the built-in values.
    pub(crate) fn new() -> Self {
        let mut recorder = Self::default();
        for (setting, slot) in Setting::all().zip(built_in()) {
            if let Some(decision) = &slot.decision {
                let origin = Place {
                    layer: Layer::BuiltIn,
                    object: None,
                    attribute: None,
                    order: ORDER_DEFAULT,
                    operator: Operator::Replace,
                    since: Since::default(),
                };
                recorder.lines(setting).push(Line::standing(origin, decision.values.to_vec()));
            }
        }
        recorder
    }

    fn lines(&mut self, setting: Setting) -> &mut Vec<Line> {
        self.settings.entry(setting).or_default()
    }
}

impl Line {
    fn standing(origin: Place, values: Vec<Value>) -> Self {
        Self { origin, text: shown(&values), values, removed: Vec::new(), fate: Fate::Stands }
    }

    pub(crate) fn stands(&self) -> bool {
        matches!(self.fate, Fate::Stands)
    }
}

impl Witness for Recorder {
    fn replaced(&mut self, setting: Setting, origin: &Origin<'_>, values: &[Value]) {
        let by = Place::from(origin);
        let lines = self.lines(setting);
        for line in lines.iter_mut().filter(|line| line.stands()) {
            line.fate = Fate::Replaced(by.clone());
        }
        lines.push(Line::standing(by, values.to_vec()));
    }

    fn appended(&mut self, setting: Setting, origin: &Origin<'_>, values: &[Value]) {
        // An element that was there is now this line's.
        let by = Place::from(origin);
        let lines = self.lines(setting);
        for line in lines.iter_mut().filter(|line| line.stands()) {
            let brought = line.values.len();
            line.values.retain(|held| !values.iter().any(|value| value.is_same_element(held)));
            if line.values.is_empty() && brought > 0 && line.removed.is_empty() {
                line.fate = Fate::Replaced(by.clone());
            }
        }
        lines.push(Line::standing(by, values.to_vec()));
    }

    fn removed(&mut self, setting: Setting, origin: &Origin<'_>, wanted: &[Value], found: &[Value]) {
        let by = Place::from(origin);
        let lines = self.lines(setting);
        for line in lines.iter_mut().filter(|line| line.stands()) {
            let (gone, kept) = std::mem::take(&mut line.values).into_iter().partition(|held| found.iter().any(|f| f.is_same_element(held)));
            line.values = kept;
            let gone: Vec<Value> = gone;
            line.removed.extend(gone.into_iter().map(|value| (value, by.clone())));
        }
        let fate = if found.is_empty() { Fate::Idle } else { Fate::Stands };
        lines.push(Line { origin: by, text: shown(wanted), values: Vec::new(), removed: Vec::new(), fate });
    }

    fn dropped(&mut self, setting: Setting, origin: &Origin<'_>, text: &dyn Fn() -> String, why: &dyn Fn() -> Dropped) {
        let line = Line { origin: origin.into(), text: text(), values: Vec::new(), removed: Vec::new(), fate: Fate::Dropped(why()) };
        self.lines(setting).push(line);
    }

    fn found(&mut self, setting: Setting, role: &str, container: ObjectId) {
        self.found.insert((setting, role.to_owned()), container);
    }
}
