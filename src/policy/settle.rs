//! Who is told what: of the addresses that a round touched, who has each, and whether that differs from what was told.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::addresses::Claim;
use super::engine::{AT_HAND_MAX, Engine, Round, Standing, User};
use super::outcome::{Later, Outcome, UserChange, Withholding};
use super::resolved::Resolved;
use super::told::Told;
use crate::model::{Aor, ObjectId};

impl Engine {
    /// Decides who owns the addresses that were touched, and tells what differs from what was told before; whose settings do comes
    /// later.
    pub(super) fn settle(&mut self, round: &mut Round) -> Outcome {
        let mut gone = Vec::new();
        let mut disabled = Vec::new();
        let mut withheld = Vec::new();
        let mut resolved: Vec<(Option<ObjectId>, Later)> = Vec::new();
        for aor in std::mem::take(&mut round.touched) {
            let Some(address) = self.addresses.get_mut(&aor) else { continue };
            let Some(Claim { user: owner, .. }) = address.owner else {
                let Some(told) = self.addresses.withdraw(&aor) else { continue };
                let (user, before) = (told.user(), told.settings(&self.config.identity));
                gone.push(UserChange::Gone { user, aor, remains: self.users.contains_key(&user), before });
                continue;
            };
            for Claim { user, .. } in self.addresses.others(&aor) {
                withheld.extend(withhold(&mut self.users, *user, Some(owner), || None));
            }
            let Some(address) = self.addresses.get_mut(&aor) else { continue };
            let Some(user) = self.users.get_mut(&owner).filter(|user| user.aor.is_some()) else { continue };
            if user.is_disabled {
                user.standing = Standing::Disabled;
                if matches!(address.told, Some(Told::Disabled(before)) if before == owner) {
                    continue;
                }
                let before = address.told.replace(Told::Disabled(owner));
                let before = before.and_then(|before| before.settings(&self.config.identity));
                disabled.extend(self.now(owner, round).map(|now| UserChange::Disabled { now, before }));
                continue;
            }
            if !user.has_registrar {
                let before = || address.told.as_ref()?.settings(&self.config.identity);
                withheld.extend(withhold(&mut self.users, owner, None, before));
                continue;
            }
            user.standing = Standing::Published;
            let container = user.shared.container;
            resolved.extend(self.publish(&aor, owner, round).map(|later| (container, later)));
        }
        for changes in [&mut gone, &mut disabled, &mut withheld] {
            changes.sort_unstable_by_key(UserChange::user);
        }
        // Next to each other who are likely to share a set: what is made of it is at hand.
        resolved.sort_unstable_by_key(|(container, later)| (*container, later.user));
        let mut users = gone;
        users.extend(disabled);
        users.extend(withheld);
        let later = resolved.into_iter().map(|(_, later)| later).collect();
        Outcome { users, later, examined: round.examined, answers: Vec::new() }
    }

    /// Notes that an owner's settings are published; gives them if they differ from what was told before.
    fn publish(&mut self, aor: &Aor, owner: ObjectId, round: &mut Round) -> Option<Later> {
        let (user, entry) = (self.users.get(&owner)?, self.snapshot.get(owner)?);
        let now = Told::Plain { shared: Arc::clone(&user.shared), entry: Arc::clone(entry) };
        let is_plain = self.sources.policies(owner).is_empty();
        let address = self.addresses.get_mut(aor)?;
        if is_plain && address.told.as_ref().is_none_or(|told| told.is_same_at_sight(&now)) {
            // The newest entry is kept, so that no older one is.
            return address.told.replace(now).is_none().then_some(Later { user: owner, before: None });
        }
        let told = address.told.take();
        let before = told.as_ref().and_then(|told| told.settings(&self.config.identity));
        let settings = self.now(owner, round)?;
        let is_new = before.as_ref().is_none_or(|before| !before.is_same(&settings));
        self.addresses.get_mut(aor)?.told = Some(if is_plain { now } else { Told::Whole(settings) });
        round.befores += usize::from(is_new);
        let at_hand = before.filter(|_| round.befores < AT_HAND_MAX).map(Told::Whole);
        is_new.then(|| Later { user: owner, before: at_hand.or(told) })
    }

    /// The settings of a user as they are now.
    pub(super) fn now(&mut self, id: ObjectId, round: &mut Round) -> Option<Arc<Resolved>> {
        round.resolved.get(&id).cloned().or_else(|| self.resolve_in_order(id))
    }
}

/// Notes that a user's document is withheld, for want of a registrar or because the address is another's, and tells it if
/// that is new.
fn withhold(
    users: &mut BTreeMap<ObjectId, User>,
    id: ObjectId,
    owner: Option<ObjectId>,
    before: impl FnOnce() -> Option<Arc<Resolved>>,
) -> Option<UserChange> {
    let user = users.get_mut(&id)?;
    // As the user's own entry writes it.
    let aor = user.aor.clone()?;
    let why = match owner {
        Some(owner) => Withholding::AddressTaken { aor, owner },
        None => Withholding::NoRegistrar { aor },
    };
    let standing = Standing::Withheld(Box::new(why.clone()));
    let is_news = std::mem::replace(&mut user.standing, standing.clone()) != standing;
    is_news.then(|| UserChange::Withheld { user: id, why, before: before() })
}
