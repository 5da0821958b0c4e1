//! A prediction for people, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Effect, Plan, Predicted, losses};
use crate::document::Change;

/// How many users are shown one by one; `--json` gives all.
const USERS_MAX: usize = 200;

impl Effect {
    /// For scripts.
    const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::Disabled => "disabled",
            Self::Withheld => "withheld",
        }
    }

    const fn sentence(self) -> Option<&'static str> {
        match self {
            Self::New | Self::Changed => None,
            Self::Gone => Some("gone: an empty profile, then terminated;reason=noresource"),
            Self::Disabled => Some("disabled: an empty profile"),
            Self::Withheld => Some("withheld for want of a registrar, or because another has the address: nothing is pushed"),
        }
    }
}

pub(super) fn text(plan: &Plan) -> String {
    let mut out = String::new();
    for user in plan.users.iter().take(USERS_MAX) {
        let _ = writeln!(out, "{}  {}", user.aor, user.dn);
        if let Some(sentence) = user.effect.sentence() {
            let _ = writeln!(out, "  {sentence}");
        } else {
            for change in &user.changes {
                let _ = writeln!(out, "  {change}");
            }
        }
        if user.is_held {
            out.push_str("  held: see below\n");
        }
        if user.depends_on_id {
            out.push_str("  the order of servers of one priority depends on the id that the entry is yet to get\n");
        }
    }
    if let Some(more) = plan.users.len().checked_sub(USERS_MAX).filter(|more| *more > 0) {
        let _ = writeln!(out, "… and {more} more; --json gives all of them");
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let Plan { records, objects, examined, users, held, limit, quarantine, concerns_places } = plan;
    let _ = writeln!(out, "{records} records, {objects} objects, {examined} users looked at, {} with news", users.len());
    for (what, count) in losses(plan) {
        let _ = writeln!(out, "  {count} {what}");
    }
    if *concerns_places {
        out.push_str("phones at sites and subnets may be told something else, which is not predicted: what is said here holds elsewhere\n");
    }
    if let Some(quarantine) = quarantine {
        let _ = writeln!(out, "held: {quarantine}");
    }
    if *held > 0 {
        let _ = writeln!(
            out,
            "held: {held} users would lose their account, registrar or numbers, and {limit} may at once; their phones would keep what they have until \
             `dialcast release`"
        );
    }
    out
}

pub(super) fn json(plan: &Plan) -> String {
    let users: Vec<Value> = plan.users.iter().map(user).collect();
    let Plan { records, objects, examined, held, limit, quarantine, concerns_places, .. } = plan;
    let all = json!({ "records": records, "objects": objects, "examined": examined, "users": users,
        "held": held, "limit": limit, "quarantine": quarantine, "places": concerns_places });
    format!("{all}\n")
}

fn user(user: &Predicted) -> Value {
    let texts = |values: &[crate::policy::value::Value]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
    let change =
        |change: &Change| json!({ "setting": change.setting.name(), "before": texts(&change.before), "after": texts(&change.after) });
    json!({
        "aor": user.aor.as_str(),
        "dn": user.dn.to_string(),
        "effect": user.effect.name(),
        "changes": user.changes.iter().map(change).collect::<Vec<_>>(),
        "etag": user.document.as_ref().map(|document| document.etag.to_string()),
        "octets": user.document.as_ref().map(|document| document.body.len()),
        "depends_on_id": user.depends_on_id,
        "held": user.is_held,
    })
}
