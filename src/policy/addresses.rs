//! Who has which address of record, and what was published there.

use std::collections::HashMap;
use std::sync::Arc;

use super::resolved::Resolved;
use crate::model::{Aor, ObjectId};

/// A user's claim to an address. The lowest has it: the older entry, then the lower id. A new entry, made by mistake or on
/// purpose, takes nobody's address away. An entry of unknown age gives way to one of known age, and a disabled account to one
/// that is in use: whoever has left keeps nobody from the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    is_disabled: bool,
    created: i64,
    pub(crate) user: ObjectId,
}

impl Claim {
    /// A claim by an entry that was made then, in milliseconds since 1970, where the directory says.
    pub(crate) fn new(user: ObjectId, created: Option<i64>, is_disabled: bool) -> Self {
        Self { is_disabled, created: created.unwrap_or(i64::MAX), user }
    }
}

/// All claims, and what was told of each address last.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    by_aor: HashMap<Aor, Address>,
}

/// Who has an address, who else claims it, and what was told of it.
#[derive(Debug, Default)]
pub(crate) struct Address {
    pub(crate) owner: Option<Claim>,
    /// Sorted. Hardly ever anybody.
    pub(crate) others: Vec<Claim>,
    told: Told,
}

/// What was told of an address last.
#[derive(Debug, Default)]
enum Told {
    #[default]
    Nothing,
    /// Settings.
    Settings(Arc<Resolved>),
    /// That this user's account is disabled.
    Disabled(ObjectId),
}

/// Something is to be told of an address.
#[derive(Debug)]
pub(crate) struct News {
    /// The settings that were told before, if any were.
    pub(crate) before: Option<Arc<Resolved>>,
}

impl Told {
    fn user(&self) -> Option<ObjectId> {
        match self {
            Self::Nothing => None,
            Self::Settings(resolved) => Some(resolved.user),
            Self::Disabled(user) => Some(*user),
        }
    }

    fn settings(self) -> Option<Arc<Resolved>> {
        if let Self::Settings(resolved) = self { Some(resolved) } else { None }
    }
}

impl Address {
    /// Notes what is published. If it differs from what was told before: the settings that were.
    pub(crate) fn publish(&mut self, resolved: &Arc<Resolved>) -> Option<News> {
        let before = std::mem::replace(&mut self.told, Told::Settings(Arc::clone(resolved))).settings();
        before.as_ref().is_none_or(|before| !before.is_same(resolved)).then_some(News { before })
    }

    /// Notes that the owner's account is disabled. If that is news: the settings that were told before.
    pub(crate) fn disable(&mut self, user: ObjectId) -> Option<News> {
        match std::mem::replace(&mut self.told, Told::Disabled(user)) {
            Told::Disabled(before) if before == user => None,
            before => Some(News { before: before.settings() }),
        }
    }

    /// The settings that were told last.
    pub(crate) const fn told(&self) -> Option<&Arc<Resolved>> {
        if let Told::Settings(resolved) = &self.told { Some(resolved) } else { None }
    }
}

impl Addresses {
    /// Room for so many addresses.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.by_aor.reserve(count.saturating_sub(self.by_aor.len()));
    }

    /// A user claims an address.
    pub(crate) fn claim(&mut self, aor: &Aor, claim: Claim) {
        let address = self.by_aor.entry(aor.clone()).or_default();
        match address.owner {
            None => address.owner = Some(claim),
            Some(owner) => {
                let (owner, other) = if claim < owner { (claim, owner) } else { (owner, claim) };
                address.owner = Some(owner);
                let at = address.others.partition_point(|held| *held < other);
                address.others.insert(at, other);
            }
        }
    }

    /// A user does not claim an address any more.
    pub(crate) fn release(&mut self, aor: &Aor, user: ObjectId) {
        let Some(address) = self.by_aor.get_mut(aor) else { return };
        if address.owner.is_some_and(|owner| owner.user == user) {
            address.owner = (!address.others.is_empty()).then(|| address.others.remove(0));
        } else {
            address.others.retain(|held| held.user != user);
        }
    }

    /// Forgets every claim, and keeps what was told.
    pub(crate) fn forget_claims(&mut self) {
        for address in self.by_aor.values_mut() {
            address.owner = None;
            address.others.clear();
        }
    }

    /// Every address that nobody claims.
    pub(crate) fn unclaimed(&self) -> impl Iterator<Item = Aor> {
        self.by_aor.iter().filter(|(_, address)| address.owner.is_none()).map(|(aor, _)| aor.clone())
    }

    /// What is known of an address.
    pub(crate) fn get_mut(&mut self, aor: &Aor) -> Option<&mut Address> {
        self.by_aor.get_mut(aor)
    }

    /// Who has the address.
    pub(crate) fn owner(&self, aor: &Aor) -> Option<ObjectId> {
        Some(self.by_aor.get(aor)?.owner?.user)
    }

    /// Notes that nobody has an address any more; gives the user of whom something was told there, and the settings.
    pub(crate) fn withdraw(&mut self, aor: &Aor) -> Option<(ObjectId, Option<Arc<Resolved>>)> {
        let told = self.by_aor.remove(aor)?.told;
        Some((told.user()?, told.settings()))
    }
}
