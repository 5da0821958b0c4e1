//! What was told of an address, put away: what the settings were made of, so that they can be made again.
//!
//! There is one of these for each user, and settings take twenty times the room.

use std::sync::{Arc, LazyLock};

use super::identity::IdentityConfig;
use super::layers::{Chain, Layer};
use super::personal::{Orders, Personal};
use super::resolved::{Resolved, ResolvedSet};
use super::sources::Sources;
use super::witness::Silent;
use crate::model::ObjectId;
use crate::store::{Object, Snapshot};

/// What was told of an address last.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// Settings of a user that has no lines of its own: what is shared and the entry say everything.
    Plain { shared: Arc<ResolvedSet>, entry: Arc<Object> },
    /// Settings as they are.
    Whole(Arc<Resolved>),
    /// That this user's account is disabled.
    Disabled(ObjectId),
}

impl Told {
    /// Of whom it was told.
    pub(crate) fn user(&self) -> ObjectId {
        match self {
            Self::Plain { entry, .. } => entry.id,
            Self::Whole(resolved) => resolved.user,
            Self::Disabled(user) => *user,
        }
    }

    /// The settings, if any were told, made again.
    pub(crate) fn settings(&self, identity: &IdentityConfig) -> Option<Arc<Resolved>> {
        static NOBODY: LazyLock<(Snapshot, Sources, Chain)> = LazyLock::new(|| {
            let (snapshot, sources) = (Snapshot::default(), Sources::new(&[]));
            let chain = Chain::of(&snapshot, &sources, None);
            (snapshot, sources, chain)
        });
        let (shared, entry) = match self {
            Self::Plain { shared, entry } => (shared, entry),
            Self::Whole(resolved) => return Some(Arc::clone(resolved)),
            Self::Disabled(_) => return None,
        };
        let (snapshot, sources, chain) = &*NOBODY;
        let identity = Some(identity);
        let personal = Personal { snapshot, sources, identity, chain, set: shared, user: entry, layer: Layer::User, above: None };
        let own = personal.decide(&mut Orders::default(), &mut Silent);
        Some(Arc::new(Resolved { user: entry.id, aor: own.aor?, shared: Arc::clone(shared), own: own.decisions.into() }))
    }

    /// Whether both give the same settings, seen without making them.
    pub(crate) fn is_same_at_sight(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain { shared, entry }, Self::Plain { shared: other_shared, entry: other_entry }) => {
                Arc::ptr_eq(shared, other_shared)
                    && entry.id == other_entry.id
                    && (Arc::ptr_eq(entry, other_entry) || entry.attributes == other_entry.attributes)
            }
            _ => false,
        }
    }
}
