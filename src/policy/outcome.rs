//! What a load or an update changed for users.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::resolved::Resolved;
use super::told::Told;
use super::wanted::Answer;
use crate::model::{Aor, ObjectId, Resource, Spot};

/// What differs for users, and what it cost to find out.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Gone first, then disabled, then withheld, by user; then resolved, by container and user. Only users for whom
    /// something differs.
    pub users: Vec<UserChange>,
    /// Whose settings differ too, and come [part by part](super::Engine::part): a million of them need not be there at once. In the order
    /// in which the resolved ones are.
    pub later: VecDeque<Later>,
    /// How many users were resolved anew to find that out.
    pub examined: usize,
    /// What differs for those that are wanted at a spot ([`Engine::want`](super::Engine::want)).
    pub answers: Vec<(Resource, Spot, Answer)>,
}

/// A user whose settings differ.
#[derive(Debug, Clone)]
pub struct Later {
    pub(super) user: ObjectId,
    pub(super) before: Option<Told>,
}

/// What became of a user.
#[derive(Debug, Clone)]
pub enum UserChange {
    /// Settings that are others than before, to be published at [`Resolved::aor`]. Nothing is published at any other
    /// address of the user.
    Resolved {
        /// As they are.
        now: Arc<Resolved>,
        /// What was told of the address last, if that were settings.
        before: Option<Arc<Resolved>>,
    },
    /// The user gets no document. Whatever was published at its address stays.
    Withheld {
        /// The user.
        user: ObjectId,
        /// Why.
        why: Withholding,
        /// What was told of the user's own address last: the last good settings.
        before: Option<Arc<Resolved>>,
    },
    /// The directory has disabled the account: what is published at the address is an explicit empty profile.
    Disabled {
        /// The settings that the user had if it were enabled: who it is, and how it logs in.
        now: Arc<Resolved>,
        /// What was told of the address last, if that were settings.
        before: Option<Arc<Resolved>>,
    },
    /// Nobody has the address any more: what was published there is to be withdrawn. An address that passes from one
    /// user to another is not gone; the other's [`UserChange::Resolved`] takes its place.
    Gone {
        /// The user who had it last.
        user: ObjectId,
        /// The address.
        aor: Aor,
        /// Whether the user is still there, without this address.
        remains: bool,
        /// What was told of the address last, if that were settings.
        before: Option<Arc<Resolved>>,
    },
}

impl UserChange {
    /// The user it is about.
    pub fn user(&self) -> ObjectId {
        match self {
            Self::Resolved { now, .. } | Self::Disabled { now, .. } => now.user,
            Self::Withheld { user, .. } | Self::Gone { user, .. } => *user,
        }
    }

    /// The address it is about; `None` where that is somebody else's.
    pub fn aor(&self) -> Option<&Aor> {
        match self {
            Self::Resolved { now, .. } | Self::Disabled { now, .. } => Some(&now.aor),
            Self::Withheld { why, .. } => why.own_address(),
            Self::Gone { aor, .. } => Some(aor),
        }
    }

    /// The settings that were told of the address last.
    pub const fn before(&self) -> Option<&Arc<Resolved>> {
        match self {
            Self::Resolved { before, .. } | Self::Withheld { before, .. } | Self::Disabled { before, .. } | Self::Gone { before, .. } => {
                before.as_ref()
            }
        }
    }
}

/// Why a user gets no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withholding {
    /// An account without a registrar is of no use, and taking a working one away does harm (design §3 rule 7).
    NoRegistrar {
        /// The user's address.
        aor: Aor,
    },
    /// An older entry has the same address.
    AddressTaken {
        /// The address.
        aor: Aor,
        /// The user who has it.
        owner: ObjectId,
    },
}

impl Withholding {
    /// The address, unless it is somebody else's.
    pub const fn own_address(&self) -> Option<&Aor> {
        match self {
            Self::NoRegistrar { aor } => Some(aor),
            Self::AddressTaken { .. } => None,
        }
    }
}

impl fmt::Display for Withholding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRegistrar { aor } => write!(f, "{aor} has no registrar"),
            Self::AddressTaken { aor, owner } => write!(f, "{aor} belongs to the older entry {owner}"),
        }
    }
}
