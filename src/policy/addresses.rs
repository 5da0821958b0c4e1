//! Who has which address of record, and what was published there.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use super::told::Told;
use crate::model::{Aor, ObjectId};

/// A user's claim to an address. The lowest has it: the older entry, then the lower id. A new entry, made by mistake or on
/// purpose, takes nobody's address away. An entry of unknown age gives way to one of known age, and a disabled account to one
/// that is in use: whoever has left keeps nobody from the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    /// The age, counted from one; disabled accounts behind all others.
    rank: NonZeroU64,
    pub(crate) user: ObjectId,
}

impl Claim {
    /// A claim by an entry that was made then, in milliseconds since 1970, where the directory says.
    pub(crate) fn new(user: ObjectId, created: Option<i64>, is_disabled: bool) -> Self {
        // Whoever was made before 1970 is as old as can be.
        let age = created.map_or(AGE_UNKNOWN, |created| u64::try_from(created).unwrap_or(0));
        let rank = age.min(AGE_UNKNOWN) + if is_disabled { AGE_UNKNOWN } else { 0 };
        Self { rank: NonZeroU64::MIN.saturating_add(rank), user }
    }
}

/// No entry is so young.
const AGE_UNKNOWN: u64 = u64::MAX >> 1;

/// All claims, and what was told of each address last.
///
/// A sorted map: with a million addresses a hash table may be half empty.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    by_aor: BTreeMap<Aor, Address>,
    /// Who else claims an address, sorted. Hardly ever anybody.
    others: BTreeMap<Aor, Vec<Claim>>,
}

/// The first that is heard of an address.
#[derive(Debug)]
pub(crate) struct First {
    pub(crate) aor: Aor,
    pub(crate) claim: Claim,
    pub(crate) told: Option<Told>,
}

/// Who has an address, and what was told of it.
#[derive(Debug, Default)]
pub(crate) struct Address {
    pub(crate) owner: Option<Claim>,
    pub(crate) told: Option<Told>,
}

impl Addresses {
    /// Whether no address is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_aor.is_empty()
    }

    /// Takes the first claims of all, each with what is to be told if nobody else has one. Gives the addresses of which nothing was told.
    pub(crate) fn fill(&mut self, mut claims: Vec<First>) -> Vec<Aor> {
        claims.sort_unstable_by(|one, other| (&one.aor, one.claim).cmp(&(&other.aor, other.claim)));
        let mut all: Vec<(Aor, Address)> = Vec::with_capacity(claims.len());
        for First { aor, claim, told } in claims {
            match all.last_mut() {
                Some((last, address)) if *last == aor => {
                    // Sorted by the claims: the first has it.
                    self.others.entry(aor).or_default().push(claim);
                    address.told = None;
                }
                _ => all.push((aor, Address { owner: Some(claim), told })),
            }
        }
        let touched = all.iter().filter(|(_, address)| address.told.is_none()).map(|(aor, _)| aor.clone()).collect();
        self.by_aor = all.into_iter().collect();
        touched
    }

    /// A user claims an address.
    pub(crate) fn claim(&mut self, aor: &Aor, claim: Claim) {
        let Some(address) = self.by_aor.get_mut(aor) else {
            self.by_aor.insert(aor.clone(), Address { owner: Some(claim), told: None });
            return;
        };
        let Some(owner) = address.owner else {
            address.owner = Some(claim);
            return;
        };
        let (owner, other) = if claim < owner { (claim, owner) } else { (owner, claim) };
        address.owner = Some(owner);
        let others = self.others.entry(aor.clone()).or_default();
        let at = others.partition_point(|held| *held < other);
        others.insert(at, other);
    }

    /// A user does not claim an address any more.
    pub(crate) fn release(&mut self, aor: &Aor, user: ObjectId) {
        let Some(address) = self.by_aor.get_mut(aor) else { return };
        let is_owner = address.owner.is_some_and(|owner| owner.user == user);
        let Some(others) = self.others.get_mut(aor) else {
            if is_owner {
                address.owner = None;
            }
            return;
        };
        if is_owner {
            address.owner = Some(others.remove(0));
        } else {
            others.retain(|held| held.user != user);
        }
        if others.is_empty() {
            self.others.remove(aor);
        }
    }

    /// Who else claims an address.
    pub(crate) fn others(&self, aor: &Aor) -> &[Claim] {
        self.others.get(aor).map_or(&[], Vec::as_slice)
    }

    /// Forgets every claim, and keeps what was told.
    pub(crate) fn forget_claims(&mut self) {
        for address in self.by_aor.values_mut() {
            address.owner = None;
        }
        self.others.clear();
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

    /// Every address that somebody has.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &Aor> {
        self.by_aor.iter().filter(|(_, address)| address.owner.is_some()).map(|(aor, _)| aor)
    }

    /// Notes that nobody has an address any more; gives what was told of it.
    pub(crate) fn withdraw(&mut self, aor: &Aor) -> Option<Told> {
        self.by_aor.remove(aor)?.told
    }
}
