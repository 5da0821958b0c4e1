//! Who subscribes to what: the resources with their documents, and the subscriptions to each.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::asking::Asking;
use super::dialog::Dialog;
use super::phase::Phase;
use super::reason::Reason;
use crate::document::{Document, Etag};
use crate::model::{Resource, Spot};
use crate::sip::Path;
use crate::sip::transaction::slab::Slab;

/// A subscription. `Display` gives the tag of its dialog on our side: the place, by which it is found without a search,
/// and 64 random bits, which nobody guesses (RFC 3261 §19.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SubscriptionId {
    index: u32,
    token: u64,
}

impl SubscriptionId {
    /// Where it is in the table, as long as it lasts.
    pub(super) const fn place(self) -> u32 {
        self.index
    }

    /// Reads a tag that [`fmt::Display`] wrote.
    pub(super) fn parse(tag: &str) -> Option<Self> {
        if tag.len() != 24 || !tag.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let (index, token) = tag.split_at_checked(8)?;
        Some(Self { index: u32::from_str_radix(index, 16).ok()?, token: u64::from_str_radix(token, 16).ok()? })
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}{:016x}", self.index, self.token)
    }
}

/// One subscription: about 450 octets, and its dialog's text.
#[derive(Debug)]
pub(super) struct Subscription {
    token: u64,
    record: u32,
    /// Its neighbours among the subscriptions to the same record.
    previous: Option<u32>,
    next: Option<u32>,
    pub(super) phase: Phase,
    /// Why it ends, once it does.
    pub(super) reason: Reason,
    /// A 2xx is owed its NOTIFY, whatever the subscriber holds.
    pub(super) forced: bool,
    /// The last NOTIFY brings the document: this is a fetch.
    pub(super) is_fetch: bool,
    pub(super) queued: Queued,
    pub(super) ways: Ways,
    /// NOTIFYs in a row that were answered with a failure.
    pub(super) failures: u8,
    pub(super) local_cseq: u32,
    pub(super) remote_cseq: u32,
    /// The wave of changes that it is in; 0: none.
    pub(super) wave: u32,
    pub(super) expires_at: Instant,
    /// Until when its NOTIFY waits for the document of its spot.
    pub(super) waits_until: Option<Instant>,
    /// When to try again, in [`Phase::Waiting`].
    pub(super) retry_at: Option<Instant>,
    /// The time of its entry in the heap of timers; entries with another time are left-overs.
    pub(super) timer_at: Option<Instant>,
    /// The version that it has confirmed, and the one that is on its way.
    pub(super) holds: Option<Etag>,
    pub(super) flying: Option<Etag>,
    /// The way by which the last SUBSCRIBE came.
    pub(super) path: Path,
    /// Where that is, if it makes a difference: then it is sent the document for there, and no other.
    pub(super) spot: Option<Arc<Spot>>,
    pub(super) dialog: Dialog,
}

/// In which queues it stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Queued {
    /// That of those that somebody waits for.
    pub(super) first: bool,
    /// That of changes.
    pub(super) paced: bool,
}

/// What is known of the ways to a subscriber (RFC 3261 §18.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ways {
    /// The connection by which it subscribed is gone.
    pub(super) flow_lost: bool,
    /// A stream to its Contact cannot be had: large NOTIFYs go as datagrams.
    pub(super) datagrams_only: bool,
    /// How the NOTIFY went that is out.
    pub(super) last: Way,
}

/// How a NOTIFY goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Way {
    /// As the next hop's URI says, or as a datagram because nothing else is left: there is no other way.
    #[default]
    Only,
    /// On the connection by which the SUBSCRIBE came.
    Flow,
    /// On a connection to the next hop, with a datagram as the next try.
    Stream,
}

/// What a new subscription begins with.
pub(super) struct Beginning {
    pub(super) path: Path,
    pub(super) spot: Option<Arc<Spot>>,
    pub(super) dialog: Dialog,
    pub(super) expires_at: Instant,
    pub(super) remote_cseq: u32,
    pub(super) is_fetch: bool,
}

/// A resource: an address of record, a device, or the local network.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) resource: Resource,
    /// The newest version without regard to a spot; none once it is withdrawn and its last subscriptions end, and for what
    /// always depends on the spot.
    pub(super) document: Option<Document>,
    /// Sorted by spot. Only of spots that somebody subscribes from.
    variants: Vec<Variant>,
    /// The document is a farewell: each subscription ends, for this reason, once it has it.
    pub(super) leaving: Option<Reason>,
    first: Option<u32>,
    pub(super) subscriptions: usize,
}

/// A resource at a spot.
#[derive(Debug)]
struct Variant {
    spot: Arc<Spot>,
    /// None until it is known.
    document: Option<Document>,
    subscriptions: usize,
}

impl Record {
    /// The newest version for a spot. Never that of another: it would bring somebody the emergency location of another site.
    pub(super) fn document_at(&self, spot: Option<&Spot>) -> Option<&Document> {
        match spot {
            // A farewell is for everybody.
            None => self.document.as_ref(),
            _ if self.leaving.is_some() => self.document.as_ref(),
            Some(spot) => self.variants.get(self.find(spot).ok()?)?.document.as_ref(),
        }
    }

    fn find(&self, spot: &Spot) -> Result<usize, usize> {
        self.variants.binary_search_by(|variant| (*variant.spot).cmp(spot))
    }

    /// One subscription more is there; whether it is the first one there.
    fn enter(&mut self, spot: &Arc<Spot>) -> bool {
        match self.find(spot) {
            Ok(at) => {
                if let Some(variant) = self.variants.get_mut(at) {
                    variant.subscriptions += 1;
                }
                false
            }
            Err(at) => {
                self.variants.insert(at, Variant { spot: Arc::clone(spot), document: None, subscriptions: 1 });
                true
            }
        }
    }

    /// One less; whether it was the last one there.
    fn leave(&mut self, spot: &Spot) -> bool {
        let Ok(at) = self.find(spot) else { return false };
        let Some(variant) = self.variants.get_mut(at) else { return false };
        variant.subscriptions -= 1;
        let is_last = variant.subscriptions == 0;
        if is_last {
            self.variants.remove(at);
        }
        is_last
    }
}

/// Records and subscriptions. Both are dense, and a record's subscriptions are a chain through them.
#[derive(Debug)]
pub(super) struct Table {
    records: Slab<Record>,
    by_resource: HashMap<Resource, u32>,
    subscriptions: Slab<Subscription>,
    /// What is to be asked of whoever decides documents.
    pub(super) asking: Asking,
    /// How many subscriptions to what is nobody's own there are, by where they come from.
    by_source: HashMap<IpAddr, usize>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            records: Slab::new(),
            by_resource: HashMap::new(),
            subscriptions: Slab::new(),
            asking: Asking::default(),
            by_source: HashMap::new(),
        }
    }

    /// How many subscriptions there are.
    pub(super) const fn len(&self) -> usize {
        self.subscriptions.len()
    }

    pub(super) fn record(&self, resource: &Resource) -> Option<&Record> {
        self.records.get(*self.by_resource.get(resource)?)
    }

    /// Every resource that there is a record of.
    pub(super) fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.by_resource.keys()
    }

    /// Sets the document of a record. False: it has these bytes already.
    pub(super) fn publish(&mut self, resource: &Resource, document: Document) -> bool {
        let known = self.by_resource.get(resource).and_then(|index| self.records.get_mut(*index));
        if let Some(record) = known {
            record.leaving = None;
            return replace(&mut record.document, document);
        }
        if let Some(index) = self.new_record(resource)
            && let Some(record) = self.records.get_mut(index)
        {
            record.document = Some(document);
        }
        true
    }

    /// Sets the document of a record for a spot. `None`: nobody subscribes from there. `Some(false)`: it has these bytes already.
    pub(super) fn publish_at(&mut self, resource: &Resource, spot: &Spot, document: Document) -> Option<bool> {
        let record = self.records.get_mut(*self.by_resource.get(resource)?)?;
        let at = record.find(spot).ok()?;
        Some(replace(&mut record.variants.get_mut(at)?.document, document))
    }

    fn new_record(&mut self, resource: &Resource) -> Option<u32> {
        let record =
            Record { resource: resource.clone(), document: None, leaving: None, variants: Vec::new(), first: None, subscriptions: 0 };
        let index = self.records.insert(record)?;
        self.by_resource.insert(resource.clone(), index);
        Some(index)
    }

    /// Takes the documents from a record; what subscribes to it is still there, to be ended.
    pub(super) fn withdraw(&mut self, resource: &Resource) {
        let Some(index) = self.by_resource.get(resource).copied() else { return };
        if let Some(record) = self.records.get_mut(index) {
            record.document = None;
            record.variants.iter_mut().for_each(|variant| variant.document = None);
        }
        self.forget_if_unused(index);
    }

    /// Puts a farewell in the place of a record's document. False: nobody subscribes to it, and it is forgotten.
    pub(super) fn leave(&mut self, resource: &Resource, reason: Reason, farewell: Document) -> bool {
        let known = self.by_resource.get(resource).and_then(|index| self.records.get_mut(*index));
        let Some(record) = known.filter(|record| record.first.is_some()) else {
            self.withdraw(resource);
            return false;
        };
        (record.document, record.leaving) = (Some(farewell), Some(reason));
        // Should the address be somebody else's tomorrow, these are not.
        record.variants.iter_mut().for_each(|variant| variant.document = None);
        true
    }

    /// The first subscription to a record; [`Table::after`] gives the others.
    pub(super) fn first(&self, resource: &Resource) -> Option<SubscriptionId> {
        self.id_at(self.record(resource)?.first?)
    }

    /// The subscription to the same record after this one.
    pub(super) fn after(&self, id: SubscriptionId) -> Option<SubscriptionId> {
        self.id_at(self.get(id)?.next?)
    }

    fn id_at(&self, index: u32) -> Option<SubscriptionId> {
        Some(SubscriptionId { index, token: self.subscriptions.get(index)?.token })
    }

    /// The tag that the next subscription will have, with these random bits.
    pub(super) fn next_id(&self, token: u64) -> Option<SubscriptionId> {
        Some(SubscriptionId { index: self.subscriptions.next_index()?, token })
    }

    /// Begins the subscription whose tag [`Table::next_id`] gave.
    pub(super) fn begin(&mut self, id: SubscriptionId, resource: &Resource, beginning: Beginning) -> Option<&mut Subscription> {
        let known = self.by_resource.get(resource).copied();
        let record_index = known.or_else(|| self.new_record(resource))?;
        let record = self.records.get_mut(record_index)?;
        if let Some(spot) = &beginning.spot
            && record.enter(spot)
        {
            self.asking.want(resource, spot);
        }
        if !matches!(resource, Resource::User(_)) {
            *self.by_source.entry(beginning.path.remote.ip()).or_default() += 1;
        }
        let next = record.first;
        record.first = Some(id.index);
        record.subscriptions += 1;
        if let Some(next) = next.and_then(|next| self.subscriptions.get_mut(next)) {
            next.previous = Some(id.index);
        }
        let index = self.subscriptions.insert(Subscription {
            token: id.token,
            record: record_index,
            previous: None,
            next,
            phase: Phase::Calm,
            reason: Reason::Timeout,
            forced: false,
            is_fetch: beginning.is_fetch,
            queued: Queued::default(),
            ways: Ways::default(),
            failures: 0,
            local_cseq: 0,
            remote_cseq: beginning.remote_cseq,
            wave: 0,
            expires_at: beginning.expires_at,
            waits_until: None,
            retry_at: None,
            timer_at: None,
            holds: None,
            flying: None,
            path: beginning.path,
            spot: beginning.spot,
            dialog: beginning.dialog,
        })?;
        debug_assert_eq!(index, id.index, "the tag was made for this place");
        self.subscriptions.get_mut(index)
    }

    pub(super) fn get(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.subscriptions.get(id.index).filter(|subscription| subscription.token == id.token)
    }

    pub(super) fn get_mut(&mut self, id: SubscriptionId) -> Option<&mut Subscription> {
        self.subscriptions.get_mut(id.index).filter(|subscription| subscription.token == id.token)
    }

    /// A subscription with its record.
    pub(super) fn with_record(&mut self, id: SubscriptionId) -> Option<(&mut Subscription, &Record)> {
        let subscription = self.subscriptions.get_mut(id.index).filter(|subscription| subscription.token == id.token)?;
        let record = self.records.get(subscription.record)?;
        Some((subscription, record))
    }

    /// A subscription comes by this path now, from this spot. Whether the spot is another one than before.
    pub(super) fn relocate(&mut self, id: SubscriptionId, path: Path, spot: Option<Arc<Spot>>) -> bool {
        let Some(subscription) = self.subscriptions.get_mut(id.index).filter(|subscription| subscription.token == id.token) else {
            return false;
        };
        let Some(record) = self.records.get_mut(subscription.record) else { return false };
        let before = std::mem::replace(&mut subscription.path, path).remote.ip();
        if !matches!(record.resource, Resource::User(_)) && before != path.remote.ip() {
            leave_source(&mut self.by_source, before);
            *self.by_source.entry(path.remote.ip()).or_default() += 1;
        }
        if subscription.spot == spot {
            return false;
        }
        if let Some(spot) = &spot
            && record.enter(spot)
        {
            self.asking.want(&record.resource, spot);
        }
        if let Some(left) = std::mem::replace(&mut subscription.spot, spot)
            && record.leave(&left)
        {
            self.asking.unwant(&record.resource, &left);
        }
        true
    }

    /// How many subscriptions to what is nobody's own come from an address.
    pub(super) fn count_from(&self, address: IpAddr) -> usize {
        self.by_source.get(&address).copied().unwrap_or(0)
    }

    pub(super) fn remove(&mut self, id: SubscriptionId) {
        if self.get(id).is_none() {
            return;
        }
        let Some(gone) = self.subscriptions.remove(id.index) else { return };
        if let Some(next) = gone.next.and_then(|next| self.subscriptions.get_mut(next)) {
            next.previous = gone.previous;
        }
        match gone.previous.and_then(|previous| self.subscriptions.get_mut(previous)) {
            Some(previous) => previous.next = gone.next,
            None => {
                if let Some(record) = self.records.get_mut(gone.record) {
                    record.first = gone.next;
                }
            }
        }
        if let Some(record) = self.records.get_mut(gone.record) {
            record.subscriptions -= 1;
            if let Some(spot) = &gone.spot
                && record.leave(spot)
            {
                self.asking.unwant(&record.resource, spot);
            }
            if !matches!(record.resource, Resource::User(_)) {
                leave_source(&mut self.by_source, gone.path.remote.ip());
            }
        }
        self.forget_if_unused(gone.record);
    }

    /// Every subscription with its record.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SubscriptionId, &Subscription, &Record)> {
        self.iter_from(0)
    }

    /// Those from a place on, in the order of their places.
    pub(super) fn iter_from(&self, place: u32) -> impl Iterator<Item = (SubscriptionId, &Subscription, &Record)> {
        self.subscriptions.iter_from(place).filter_map(|(index, subscription)| {
            let id = SubscriptionId { index, token: subscription.token };
            Some((id, subscription, self.records.get(subscription.record)?))
        })
    }

    fn forget_if_unused(&mut self, index: u32) {
        if let Some(record) = self.records.get(index)
            && (record.document.is_none() || record.leaving.is_some())
            && record.first.is_none()
        {
            self.by_resource.remove(&record.resource);
            self.records.remove(index);
        }
    }
}

/// Sets a document; whether its bytes are others.
fn replace(held: &mut Option<Document>, document: Document) -> bool {
    let changed = held.as_ref().is_none_or(|held| held.etag != document.etag);
    *held = Some(document);
    changed
}

fn leave_source(by_source: &mut HashMap<IpAddr, usize>, address: IpAddr) {
    if let Some(count) = by_source.get_mut(&address) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            by_source.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million of them fit into a small machine.
    #[test]
    fn a_subscription_is_small() {
        assert!(size_of::<Subscription>() <= 450, "{}", size_of::<Subscription>());
    }
}
