//! Places: which address is where, and the documents for there.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::asking::Ask;
use super::notifier::Notifier;
use super::phase::{Input, Phase};
use super::reason::Reason;
use super::table::{Subscription, SubscriptionId};
use crate::document::Document;
use crate::model::{DeviceId, NetworkMap, Resource, Spot};

/// How long the first NOTIFY waits for the document of a spot that nobody has asked for before. It is there in milliseconds, unless the
/// directory has just changed for everybody.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(2);

impl Notifier {
    /// Sets which address is where, and documents that are other ones now. Whoever is elsewhere gets the document for there, and nothing
    /// of where it was.
    pub fn set_network(&mut self, now: Instant, network: Arc<NetworkMap>, documents: Vec<(Resource, Spot, Document)>) {
        self.now = Some(now);
        self.network = network;
        let mut elsewhere: Vec<(SubscriptionId, crate::sip::Path, Option<Arc<Spot>>)> = Vec::new();
        for (id, subscription, record) in self.table.iter() {
            let spot = spot_of(&self.network, &record.resource, subscription.path.remote.ip());
            if spot != subscription.spot {
                elsewhere.push((id, subscription.path, spot));
            }
        }
        let moved: Vec<SubscriptionId> = elsewhere.iter().map(|(id, ..)| *id).collect();
        for (id, path, spot) in elsewhere {
            self.table.relocate(id, path, spot);
        }
        for (resource, spot, document) in documents {
            self.publish_at(now, &resource, &spot, document);
        }
        for id in moved {
            self.arrived(now, id);
        }
    }

    /// Sets which devices there are. Subscriptions of others end.
    pub fn set_devices(&mut self, now: Instant, devices: HashSet<DeviceId>) {
        self.now = Some(now);
        self.devices = devices;
        let is_gone = |resource: &&Resource| matches!(resource, Resource::Device(id) if !self.devices.contains(id));
        let gone: Vec<Resource> = self.table.resources().filter(is_gone).cloned().collect();
        for resource in gone {
            self.end_all(now, &resource, Reason::NoResource);
            self.table.withdraw(&resource);
        }
    }

    /// A document for a spot is new, or may have changed.
    pub fn publish_at(&mut self, now: Instant, resource: &Resource, spot: &Spot, document: Document) {
        self.now = Some(now);
        // Nobody is there any more.
        let Some(changed) = self.table.publish_at(resource, spot, document) else { return };
        if !changed {
            return;
        }
        self.tell(now, resource, |subscription| subscription.spot.as_deref() == Some(spot));
    }

    /// There is another document for some of the subscriptions to a resource.
    pub(super) fn tell(&mut self, now: Instant, resource: &Resource, concerned: impl Fn(&Subscription) -> bool) {
        let mut next = self.table.first(resource);
        while let Some(id) = next {
            // Before the step, which may remove it.
            next = self.table.after(id);
            if self.table.get(id).is_some_and(&concerned) {
                self.arrived(now, id);
            }
        }
    }

    /// What a subscription is to have may be there now, or another.
    fn arrived(&mut self, now: Instant, id: SubscriptionId) {
        let Some((subscription, record)) = self.table.with_record(id) else { return };
        if record.document_at(subscription.spot.as_deref()).is_none() {
            return;
        }
        // It belongs to the change that is being published, if one is.
        if self.waves.current() != 0 && subscription.phase != Phase::Suspended && !subscription.phase.is_ending() {
            subscription.wave = self.waves.join(subscription.wave);
        }
        let input = match subscription.waits_until.take() {
            None => Input::Published,
            Some(_) if subscription.is_fetch => Input::Unsubscribed,
            Some(_) => Input::Subscribed,
        };
        self.step(now, id, input);
    }

    /// The next question to whoever decides documents; [`Notifier::publish_at`] is the answer.
    pub fn poll_ask(&mut self) -> Option<Ask> {
        self.table.asking.next()
    }

    /// Whether there is a question.
    pub fn has_asks(&self) -> bool {
        !self.table.asking.is_empty()
    }

    /// Where an address is, as far as it makes a difference to the resource.
    pub(super) fn spot(&self, resource: &Resource, address: IpAddr) -> Option<Arc<Spot>> {
        spot_of(&self.network, resource, address)
    }
}

fn spot_of(network: &NetworkMap, resource: &Resource, address: IpAddr) -> Option<Arc<Spot>> {
    let here = network.at(address);
    match resource {
        Resource::User(_) => here.endpoint.clone(),
        Resource::LocalNetwork => Some(Arc::clone(&here.network)),
        // It has no document without regard to a spot.
        Resource::Device(_) => Some(here.endpoint.clone().unwrap_or_default()),
    }
}
