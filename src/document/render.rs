//! Rendering: what users share is written once, and each user's own settings are laid on top.

use std::sync::Arc;

use quick_xml::events::{BytesDecl, Event};

use super::cache::Cache;
use super::element::Output;
use super::profile::{CONTENT_TYPE, NAMESPACE, Profile, Whose};
use super::{Document, Etag};
use crate::model::Resource;
use crate::policy::catalogue::{Scope, Setting};
use crate::policy::value::Value;
use crate::policy::{Answer, Resolved, ResolvedSet};

/// The elements of a set of settings, all scopes included, and where each setting stands.
struct Fragment {
    bytes: Vec<u8>,
    /// By [`Setting::index`]: from where to where its element goes; the same twice where it has none.
    spans: Vec<(usize, usize)>,
}

impl Fragment {
    fn of<'a>(settings: impl Iterator<Item = (Setting, &'a [Value])>) -> Self {
        let mut by_index: Vec<&[Value]> = vec![&[]; Setting::COUNT];
        for (setting, values) in settings {
            if let Some(slot) = by_index.get_mut(setting.index()) {
                *slot = values;
            }
        }
        let mut output = Output::new();
        let mut spans = Vec::with_capacity(Setting::COUNT);
        for scope in Scope::ALL {
            // A scope is there even when it is empty: patches need a parent to add to.
            output.open(scope.name(), &[]);
            for setting in Setting::of(scope) {
                let begin = output.bytes().len();
                output.setting(setting, by_index.get(setting.index()).copied().unwrap_or_default());
                spans.push((begin, output.bytes().len()));
            }
            output.close(scope.name());
        }
        Self { bytes: std::mem::take(output.bytes()), spans }
    }
}

/// How many shared fragments are kept per generation of the cache, at about 4 KiB each: 1,000 OUs with two mixes of groups
/// each fit, and the whole takes at most 16 MiB.
const FRAGMENTS_MAX: usize = 2048;

/// Writes documents. Not shared between threads: each has its own.
pub struct Renderer {
    shared: Cache<ResolvedSet, Fragment>,
    output: Output,
}

impl Default for Renderer {
    fn default() -> Self {
        Self::new()
    }
}

impl Renderer {
    /// A renderer that has written nothing yet.
    pub fn new() -> Self {
        Self { shared: Cache::new(FRAGMENTS_MAX), output: Output::new() }
    }

    /// A user's profile: the fragment of the shared set, written once, with the user's own settings on top.
    pub fn profile(&mut self, resolved: &Resolved) -> Document {
        let set = &resolved.shared;
        let fragment = self.shared.get(set, || Fragment::of(set.iter().map(|(setting, decision)| (setting, &*decision.values))));
        let own = resolved.own.iter().map(|(setting, decision)| (*setting, &*decision.values));
        write(&mut self.output, &Whose::User(resolved.aor.clone()), fragment, own)
    }

    /// The profile of a resource at a spot.
    pub fn answer(&mut self, resource: &Resource, answer: &Answer) -> Document {
        match answer {
            Answer::User(resolved) => self.profile(resolved),
            Answer::Disabled(aor) => self.plain(&Profile::new(aor.clone(), [])),
            Answer::Part(part) => {
                self.plain(&Profile::new(resource, part.iter().map(|(setting, decision)| (*setting, decision.values.to_vec()))))
            }
        }
    }

    /// The document of a profile by itself.
    pub fn plain(&mut self, profile: &Profile) -> Document {
        write(&mut self.output, &profile.whose, &Fragment::of(profile.iter()), std::iter::empty())
    }
}

/// `own` comes in the order of the catalogue, as [`Resolved::own`] holds it; without values it takes the shared ones away.
fn write<'a>(output: &mut Output, whose: &Whose, shared: &Fragment, own: impl Iterator<Item = (Setting, &'a [Value])>) -> Document {
    output.bytes().clear();
    output.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    let name = match whose {
        // The user part as written, the domain folded: as `account.aor` has it.
        Whose::User(aor) => {
            let user = aor.as_str().rsplit_once('@').map_or_else(|| aor.as_str(), |(user, _)| user);
            ("aor", format!("{user}@{}", aor.domain()))
        }
        whose => ("type", whose.kind().unwrap_or_default().to_owned()),
    };
    output.open("profile", &[("xmlns", NAMESPACE), (name.0, &name.1)]);
    let mut at = 0;
    for (setting, values) in own {
        let Some(&(begin, end)) = shared.spans.get(setting.index()) else { continue };
        debug_assert!(at <= begin, "{setting} is out of order");
        output.bytes().extend_from_slice(shared.bytes.get(at..begin).unwrap_or_default());
        output.setting(setting, values);
        at = end;
    }
    output.bytes().extend_from_slice(shared.bytes.get(at..).unwrap_or_default());
    output.close("profile");
    let body: Arc<[u8]> = Arc::from(output.bytes().as_slice());
    Document { content_type: CONTENT_TYPE, etag: Etag::of(&body), body }
}
