//! Why a line lost, in a word for scripts and a sentence for people.

use std::fmt;

use super::explain::{Entry, Names};
use super::layers::Layer;
use super::recorder::{Fate, Line, Place};
use super::witness::{Dropped, Filtered};

/// The reason of a line that lost: its stable name, the object to which it lost, and a sentence.
pub(super) fn reason(line: &Line, names: &Names<'_>) -> Option<(&'static str, Option<Entry>, String)> {
    let entry = |id: &Option<crate::model::ObjectId>| id.map(|id| names.entry(id));
    let place = |id: &Option<crate::model::ObjectId>, layer: Layer| entry(id).map_or_else(|| layer.to_string(), |entry| entry.dn);
    Some(match &line.fate {
        Fate::Stands => return None,
        Fate::Idle => ("idle", None, "nothing in the list to remove".into()),
        Fate::Replaced(by) => {
            let (reason, text) = replaced(&line.origin, by, names);
            (reason, entry(&by.object), text)
        }
        Fate::Dropped(dropped) => match dropped {
            Dropped::Enforced { by, layer } => {
                let operator =
                    if line.origin.operator == super::grammar::Operator::Enforce { "enforced further out" } else { "not enforced" };
                ("not-enforced", entry(by), format!("{operator}: {} enforces another value", place(by, *layer)))
            }
            Dropped::Blocked { by, layer } => ("blocked", entry(by), format!("blocked by {}", place(by, *layer))),
            Dropped::Filtered(filtered) => ("filtered", None, filtered.to_string()),
            Dropped::Unparsable(why) => ("unparsable", None, format!("does not parse: {why}")),
            Dropped::SameObject => ("same-object", None, "another line of the same object comes first".into()),
            Dropped::UserOnly => ("user-only", None, "only a user can have it".into()),
            Dropped::NetworkOnly => ("network-only", None, "a subnet decides network settings only".into()),
            Dropped::NoServer(role) => ("no-server", None, format!("no server of role {role} in the containers above")),
            Dropped::Full => ("full", None, "the list is full".into()),
        },
    })
}

fn replaced(line: &Place, by: &Place, names: &Names<'_>) -> (&'static str, String) {
    let holder = names.holder(by);
    if line.layer != by.layer {
        return ("lower-layer", format!("lower layer, replaced by {holder}"));
    }
    if line.attribute.is_some() {
        return ("order", "a policy line on the user beats an attribute".into());
    }
    if line.object == by.object {
        return ("same-object", "another line of the same object comes first".into());
    }
    if line.order == by.order {
        return ("order", format!("same order {}, and {holder} has the lower id", line.order));
    }
    ("order", format!("order {}: {holder} has order {}", line.order, by.order))
}

impl fmt::Display for Filtered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIn(groups) => {
                let groups: Vec<String> = groups.iter().map(|dn| format!("`{dn}`")).collect();
                write!(f, "the user is not in {}", groups.join(" or "))
            }
            Self::In(group) => write!(f, "the user is in `{group}`, which the object denies"),
            Self::Unreadable => f.write_str("a filter of the object cannot be read"),
        }
    }
}
