//! What would be pushed at one place after the other: never all users at all places at once.

use std::collections::BTreeSet;

use super::places::{Pair, Place};
use super::subscribed::Subscribed;
use super::{Effect, Predicted};
use crate::document::{Profile, Renderer, changes};
use crate::model::{Aor, DeviceId, Dn, Resource, Spot};
use crate::policy::{Answer, Engine, Looks};
use crate::runtime::Failed;

/// Looks at places, in the state before a change and in the one after it.
pub(super) struct Looking {
    /// Before, and after: that one has noted whom the change reaches.
    pub(super) engines: [Engine; 2],
    pub(super) renderer: Renderer,
    /// Whose losses would wait for somebody to confirm them: they are told nothing.
    pub(super) held: BTreeSet<Aor>,
    /// Who has an address before and after, once somebody asked.
    both: Option<Vec<Aor>>,
}

/// Whom to look at.
pub(super) struct Who<'a> {
    /// Phones, if a daemon tells.
    pub(super) subscribed: Option<&'a Subscribed>,
    /// Only those.
    pub(super) only: bool,
}

impl Who<'_> {
    fn phones(&self, resource: &Resource, pair: Pair) -> Option<usize> {
        self.subscribed.map(|subscribed| subscribed.at(resource, pair))
    }
}

impl Looking {
    pub(super) const fn new(engines: [Engine; 2], renderer: Renderer, held: BTreeSet<Aor>) -> Self {
        Self { engines, renderer, held, both: None }
    }

    /// Tells of each user, device and local network at a place that would be told something there. What users have where no site or subnet
    /// makes a difference is told elsewhere.
    pub(super) fn at(&mut self, place: &Place, who: &Who<'_>, mut tell: impl FnMut(Predicted) -> Result<(), Failed>) -> Result<(), Failed> {
        let mut looks = <[Looks; 2]>::default();
        for network in &place.local {
            let pair = network.map(Some);
            if let Some(predicted) = self.predicted(&Resource::LocalNetwork, pair, who, &mut looks) {
                tell(predicted)?;
            }
        }
        let mut users: Vec<Aor> = Vec::new();
        if place.pair != [None, None] {
            users = self.users(place.pair, who);
        }
        for aor in users {
            if let Some(predicted) = self.predicted(&Resource::User(aor), place.pair, who, &mut looks) {
                tell(predicted)?;
            }
        }
        for device in self.devices(place.pair, who) {
            if let Some(predicted) = self.predicted(&Resource::Device(device), place.pair, who, &mut looks) {
                tell(predicted)?;
            }
        }
        for (engine, looks) in self.engines.iter_mut().zip(looks) {
            engine.end_looks(looks);
        }
        Ok(())
    }

    /// Devices that come or go. Whoever subscribes to one that goes is told that it is gone, wherever it is.
    pub(super) fn comings(&self, who: &Who<'_>) -> Vec<Predicted> {
        let [before, after]: [BTreeSet<&DeviceId>; 2] = self.engines.each_ref().map(|engine| engine.devices().collect());
        let comings = before.symmetric_difference(&after).map(|device| {
            let resource = Resource::Device((*device).clone());
            let phones = who.subscribed.map(|subscribed| subscribed.anywhere(&resource));
            let effect = if before.contains(*device) { Effect::Gone } else { Effect::New };
            Predicted { phones, ..Predicted::plain(resource, Dn::default(), effect) }
        });
        comings.filter(|predicted| !who.only || predicted.phones > Some(0)).collect()
    }

    /// Users who may be told something: all that somebody has before and after, or those that the change reaches.
    fn users(&mut self, pair: Pair, who: &Who<'_>) -> Vec<Aor> {
        let [before, after] = &self.engines;
        let is_both = |aor: &&Aor| before.is_owned(aor) && after.is_owned(aor);
        if let (Some(subscribed), true) = (who.subscribed, who.only) {
            let aor = |resource: &Resource| if let Resource::User(aor) = resource { Some(aor.clone()) } else { None };
            return subscribed.resources(pair).filter_map(aor).filter(|aor| is_both(&aor)).collect();
        }
        match after.reach() {
            Some(reach) if !reach.covers(pair.map(Option::unwrap_or_default)) => reach.users().filter(is_both).cloned().collect(),
            _ => self.both.get_or_insert_with(|| before.owned().filter(is_both).cloned().collect()).clone(),
        }
    }

    /// Devices likewise.
    fn devices(&self, pair: Pair, who: &Who<'_>) -> Vec<DeviceId> {
        let [before, after] = &self.engines;
        let is_both = |device: &&DeviceId| before.is_device(device) && after.is_device(device);
        if let (Some(subscribed), true) = (who.subscribed, who.only) {
            let device = |resource: &Resource| if let Resource::Device(device) = resource { Some(device.clone()) } else { None };
            return subscribed.resources(pair).filter_map(device).filter(|device| is_both(&device)).collect();
        }
        match after.reach() {
            Some(reach) if !reach.covers(pair.map(Option::unwrap_or_default)) => reach.devices().filter(is_both).cloned().collect(),
            _ => before.devices().filter(is_both).cloned().collect(),
        }
    }

    fn predicted(&mut self, resource: &Resource, pair: Pair, who: &Who<'_>, looks: &mut [Looks; 2]) -> Option<Predicted> {
        let phones = who.phones(resource, pair);
        if who.only && phones.is_none_or(|phones| phones == 0) {
            return None;
        }
        let [spot, spot_after] = pair.map(Option::unwrap_or_default);
        let [engine, engine_after] = &mut self.engines;
        let [looks, looks_after] = looks;
        let before = engine.look(resource, spot, looks);
        let mut now = engine_after.look(resource, spot_after, looks_after);
        let is_held = matches!(resource, Resource::User(aor) if self.held.contains(aor));
        if now.is_none() && matches!(pair, [Some(_), None]) {
            // Where no place makes a difference the last good document stays, and is what those have who come to be there.
            now = engine.look(resource, Spot::default(), looks);
        }
        if let (Some(before), Some(now)) = (&before, &now)
            && before.is_same(now)
        {
            return None;
        }
        let document = now.as_ref().map(|now| self.renderer.answer(resource, now));
        if let (Some(before), Some(document)) = (&before, &document)
            && self.renderer.answer(resource, before).etag == document.etag
        {
            return None;
        }
        let effect = match (&before, &now) {
            (None, None) => return None,
            (_, None) => Effect::Withheld,
            (_, Some(Answer::Disabled(_))) => Effect::Disabled,
            (None, Some(_)) => Effect::New,
            (Some(_), Some(_)) => Effect::Changed,
        };
        let changes = match &now {
            Some(now) => changes(&profile(resource, before.as_ref()), &profile(resource, Some(now))),
            None => Vec::new(),
        };
        let dn = match &now {
            Some(Answer::User(resolved)) => engine_after.dn(resolved.user),
            _ => None,
        };
        Some(Predicted { changes, document, is_held, phones, ..Predicted::plain(resource.clone(), dn.unwrap_or_default(), effect) })
    }
}

fn profile(resource: &Resource, answer: Option<&Answer>) -> Profile {
    match answer {
        Some(Answer::User(resolved)) => Profile::from(&**resolved),
        Some(Answer::Part(part)) => Profile::new(resource, part.iter().map(|(setting, decision)| (*setting, decision.values.to_vec()))),
        Some(Answer::Disabled(_)) | None => Profile::new(resource, []),
    }
}
