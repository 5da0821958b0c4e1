//! Who has which address of record, and what was published there.

use std::collections::HashMap;
use std::sync::Arc;

use super::resolved::Resolved;
use crate::model::{Aor, ObjectId};

/// A user's claim to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) aor: Aor,
    /// When the entry was made, where the directory says.
    pub(crate) created: Option<i64>,
    pub(crate) user: ObjectId,
}

impl Claim {
    /// The lowest has the address: the older entry, then the lower id. A new entry, made by mistake or on purpose, takes
    /// nobody's address away. An entry of unknown age gives way to one of known age.
    fn rank(&self) -> (i64, ObjectId) {
        (self.created.unwrap_or(i64::MAX), self.user)
    }
}

/// All claims, and what was told of each address last.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    by_aor: HashMap<Aor, Vec<Claim>>,
    by_user: HashMap<ObjectId, Aor>,
    told: HashMap<Aor, Arc<Resolved>>,
}

impl Addresses {
    /// Replaces what a user claims; gives the address it claimed before.
    pub(crate) fn claim(&mut self, user: ObjectId, claim: Option<Claim>) -> Option<Aor> {
        let before = match &claim {
            Some(claim) => self.by_user.insert(user, claim.aor.clone()),
            None => self.by_user.remove(&user),
        };
        if let Some(aor) = &before
            && let Some(claims) = self.by_aor.get_mut(aor)
        {
            claims.retain(|held| held.user != user);
            if claims.is_empty() {
                self.by_aor.remove(aor);
            }
        }
        if let Some(claim) = claim {
            let claims = self.by_aor.entry(claim.aor.clone()).or_default();
            let at = claims.partition_point(|held| held.rank() < claim.rank());
            claims.insert(at, claim);
        }
        before
    }

    /// Forgets every claim, and gives the addresses at which something was published.
    pub(crate) fn forget_claims(&mut self) -> impl Iterator<Item = Aor> {
        self.by_aor.clear();
        self.by_user.clear();
        self.told.keys().cloned()
    }

    /// Who has the address, and who else claims it. `None`: nobody does.
    pub(crate) fn claimants(&self, aor: &Aor) -> Option<(ObjectId, Vec<ObjectId>)> {
        let (owner, others) = self.by_aor.get(aor)?.split_first()?;
        Some((owner.user, others.iter().map(|claim| claim.user).collect()))
    }

    /// Who has the address.
    pub(crate) fn owner(&self, aor: &Aor) -> Option<ObjectId> {
        self.by_aor.get(aor)?.first().map(|claim| claim.user)
    }

    /// Notes what is published; whether it differs from what was.
    pub(crate) fn publish(&mut self, resolved: &Arc<Resolved>) -> bool {
        if let Some(told) = self.told.get_mut(&resolved.aor) {
            let differs = !told.is_same(resolved);
            *told = Arc::clone(resolved);
            differs
        } else {
            self.told.insert(resolved.aor.clone(), Arc::clone(resolved));
            true
        }
    }

    /// Notes that nobody has an address any more; gives the user of whom something was published there.
    pub(crate) fn withdraw(&mut self, aor: &Aor) -> Option<ObjectId> {
        self.told.remove(aor).map(|told| told.user)
    }
}
