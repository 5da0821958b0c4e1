//! Which user somebody means.

use thiserror::Error;

use super::catalogue::Setting;
use super::engine::PolicyConfig;
use super::identity;
use super::sources::Sources;
use crate::model::{Aor, Attributes, Dn, Kind, ObjectId, fold};
use crate::store::Snapshot;

/// Why a text does not name one user.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FindError {
    /// It names nobody.
    #[error("no user is called `{text}`{}; give a uid, an address (sip:anna@corp.example), a name (cn) or a DN", meant(.nearby))]
    Nobody {
        /// What was asked for.
        text: String,
        /// Names that are close.
        nearby: Vec<String>,
    },
    /// It names several.
    #[error("`{text}` is the {by} of {} users; give the DN of one:{}", .users.len(), listed(.users))]
    Several {
        /// What was asked for.
        text: String,
        /// The attribute that they share.
        by: &'static str,
        /// Who they are.
        users: Vec<Dn>,
    },
    /// It names something that is no user.
    #[error("`{0}` is not a user")]
    NoUser(Dn),
}

/// How many are listed in an error.
const LISTED_MAX: usize = 10;

fn meant(nearby: &[String]) -> String {
    if nearby.is_empty() { String::new() } else { format!(" (did you mean {}?)", nearby.join(", ")) }
}

fn listed(users: &[Dn]) -> String {
    let shown = users.iter().take(LISTED_MAX).map(|dn| format!("\n  {dn}")).collect::<Vec<_>>().concat();
    if users.len() > LISTED_MAX { format!("{shown}\n  … and {} more", users.len() - LISTED_MAX) } else { shown }
}

/// Finds the user whom a text names: by object id or DN, by address, by login name (uid, sAMAccountName,
/// userPrincipalName), by mail, or by name (cn, displayName), the first of these that names somebody.
pub fn find_user(snapshot: &Snapshot, config: &PolicyConfig, text: &str) -> Result<ObjectId, FindError> {
    let text = text.trim();
    let by_id = text.parse().ok().filter(|id| snapshot.get(*id).is_some());
    if let Some(id) = by_id.or_else(|| snapshot.find(&text.parse::<Dn>().ok().filter(|dn| !dn.is_empty())?)) {
        let is_user = snapshot.get(id).is_some_and(|object| object.kind == Kind::User);
        return if is_user { Ok(id) } else { Err(FindError::NoUser(snapshot.dn(id).unwrap_or_default())) };
    }
    let wanted = Wanted::new(config, text);
    let mut found: Vec<(usize, ObjectId)> = Vec::new();
    for object in snapshot.iter().filter(|object| object.kind == Kind::User) {
        found.extend(wanted.matches(&object.attributes).map(|by| (by, object.id)));
    }
    let Some(best) = found.iter().map(|(by, _)| *by).min() else {
        return Err(FindError::Nobody { text: text.to_owned(), nearby: nearby(snapshot, text) });
    };
    found.retain(|(by, _)| *by == best);
    match found.as_slice() {
        [(_, id)] => Ok(*id),
        several => {
            let mut users: Vec<Dn> = several.iter().filter_map(|(_, id)| snapshot.dn(*id)).collect();
            users.sort();
            Err(FindError::Several { text: text.to_owned(), by: WAYS.get(best).copied().unwrap_or("name"), users })
        }
    }
}

/// The ways to name a user, the best first.
const WAYS: [&str; 4] = ["address", "login name", "mail", "name"];

struct Wanted<'a> {
    config: &'a PolicyConfig,
    aor: Option<Aor>,
    folded: String,
}

impl<'a> Wanted<'a> {
    fn new(config: &'a PolicyConfig, text: &str) -> Self {
        let aor = text.parse().ok().or_else(|| if text.contains('@') { format!("sip:{text}").parse().ok() } else { None });
        Self { config, aor, folded: fold(text) }
    }

    /// The best way in which the text names the user.
    fn matches(&self, attributes: &Attributes) -> Option<usize> {
        let any = |names: &[&str]| names.iter().any(|name| attributes.texts(name).any(|value| fold(value) == self.folded));
        let ways: [&dyn Fn() -> bool; 4] = [
            &|| self.aor.as_ref().is_some_and(|aor| addresses(self.config, attributes).any(|held| held == *aor)),
            &|| any(&["uid", "sAMAccountName", "userPrincipalName"]),
            &|| any(&["mail"]),
            &|| any(&["cn", "displayName"]),
        ];
        ways.iter().position(|way| way())
    }
}

/// The addresses that a user's attributes and lines name, whether or not they win.
fn addresses(config: &PolicyConfig, attributes: &Attributes) -> impl Iterator<Item = Aor> {
    let given = identity::addresses(&config.identity, attributes, &mut Vec::new());
    let own = Sources::user_lines(attributes);
    let lines = own.into_iter().flat_map(|policy| policy.edits).filter(|edit| edit.setting == Setting::ACCOUNT_AOR);
    let of_lines = lines.flat_map(|edit| edit.base.into_iter().flat_map(|base| base.values).chain(edit.appends).collect::<Vec<_>>());
    let values: Vec<_> = given.into_iter().flat_map(|(_, given)| given.values.to_vec()).chain(of_lines).collect();
    values.into_iter().filter_map(|value| value.to_string().parse().ok())
}

/// Login names and names that are close to a text.
fn nearby(snapshot: &Snapshot, text: &str) -> Vec<String> {
    let wanted = fold(text);
    let close = wanted.chars().count() / 4 + 1;
    let mut names: Vec<(usize, String)> = Vec::new();
    for object in snapshot.iter().filter(|object| object.kind == Kind::User) {
        for name in ["uid", "sAMAccountName", "cn"] {
            for value in object.attributes.texts(name) {
                let distance = strsim::damerau_levenshtein(&fold(value), &wanted);
                if distance <= close {
                    names.push((distance, value.to_owned()));
                }
            }
        }
    }
    names.sort();
    names.dedup_by(|(_, a), (_, b)| a == b);
    names.into_iter().take(3).map(|(_, name)| name).collect()
}
