//! Entries that another controller has newer than the one that is read: they must not be undone by it.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::metadata;
use crate::model::ObjectId;

/// So many at most: what does not fit is told when the controller that is read has it.
const AHEAD_MAX: usize = 1_000;

/// One entry, as it was told from elsewhere.
#[derive(Debug)]
struct Told {
    /// When each of its attributes was last set.
    stamps: Vec<u8>,
    deleted: bool,
    /// When to stop waiting: the other controller may have gone, with the change.
    until: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(in super::super) struct Ahead(BTreeMap<ObjectId, Told>);

impl Ahead {
    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < AHEAD_MAX
    }

    /// An entry was told from elsewhere, and is like this there.
    pub(super) fn told(&mut self, id: ObjectId, stamps: &[u8], deleted: bool, until: Instant) {
        self.0.insert(id, Told { stamps: stamps.to_vec(), deleted, until });
    }

    /// Whether an entry like this would be undone, or be told again.
    pub(super) fn covers(&self, id: ObjectId, stamps: &[u8]) -> bool {
        self.0.get(&id).is_some_and(|told| covers(&told.stamps, stamps))
    }

    /// The controller that is read has the entry like this. Whether that is to be told: not when it is behind.
    pub(super) fn arrived(&mut self, id: ObjectId, stamps: &[u8]) -> bool {
        let Some(told) = self.0.get(&id) else { return true };
        let arrived = covers(stamps, &told.stamps);
        if arrived {
            self.0.remove(&id);
        }
        arrived
    }

    /// Whether the entry is told from elsewhere; if so, whether as deleted.
    pub(super) fn is_deleted(&self, id: ObjectId) -> Option<bool> {
        self.0.get(&id).map(|told| told.deleted)
    }

    /// Those that are there.
    pub(super) fn there(&self) -> Vec<ObjectId> {
        self.0.iter().filter(|(_, told)| !told.deleted).map(|(id, _)| *id).collect()
    }

    /// All ids.
    pub(super) fn ids(&self) -> Vec<ObjectId> {
        self.0.keys().copied().collect()
    }

    /// When the first of them has waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.values().map(|told| told.until).min()
    }

    /// Those that have waited long enough. They are no longer waited for.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<ObjectId> {
        let expired: Vec<ObjectId> = self.0.iter().filter(|(_, told)| told.until <= now).map(|(id, _)| *id).collect();
        for id in &expired {
            self.0.remove(id);
        }
        expired
    }
}

/// Whether every attribute of the other was set here too, at the same time or later. By the rules of replication (MS-ADTS
/// §3.1.1.1.9): the higher version, then the later time, then the higher controller.
pub(super) fn covers(this: &[u8], other: &[u8]) -> bool {
    let (Some(this), Some(other)) = (metadata::all(this), metadata::all(other)) else { return false };
    let this: BTreeMap<u32, metadata::Stamp> = this.into_iter().map(|stamp| (stamp.attribute, stamp)).collect();
    other.iter().all(|stamp| this.get(&stamp.attribute).is_some_and(|held| held.order() >= stamp.order()))
}

/// Whether both were named at the same time.
pub(super) fn same_name(this: &[u8], other: &[u8]) -> bool {
    let name = |octets: &[u8]| {
        let stamps = metadata::all(octets)?;
        stamps.iter().find(|stamp| stamp.attribute == metadata::NAME).map(metadata::Stamp::order)
    };
    name(this).is_some() && name(this) == name(other)
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Stamp;
    use super::super::metadata::tests::encode;
    use super::*;

    fn stamps(list: &[(u32, u32, u64)]) -> Vec<u8> {
        let stamp = |(attribute, version, time): &(u32, u32, u64)| Stamp {
            attribute: *attribute,
            version: *version,
            time: *time,
            invocation: [1; 16],
            local: 5,
        };
        encode(&list.iter().map(stamp).collect::<Vec<_>>())
    }

    #[test]
    fn newer_in_every_attribute() {
        let old = stamps(&[(1, 1, 10), (2, 1, 10)]);
        let new = stamps(&[(1, 2, 11), (2, 1, 10), (3, 1, 11)]);
        assert!(covers(&new, &old) && !covers(&old, &new) && covers(&old, &old));
        // Each newer in another: neither.
        let other = stamps(&[(1, 1, 10), (2, 2, 9)]);
        assert!(!covers(&new, &other) && !covers(&other, &new));
        // The later time counts where the versions are equal.
        assert!(covers(&stamps(&[(1, 1, 11), (2, 1, 10)]), &old));
        assert!(!covers(b"", &old) && !covers(&old, b""));
    }

    #[test]
    fn waits_for_the_controller_that_is_read() {
        let mut ahead = Ahead::default();
        let id = ObjectId::from_bytes([1; 16]);
        let (old, new) = (stamps(&[(1, 1, 10)]), stamps(&[(1, 2, 11)]));
        let now = Instant::now();
        ahead.told(id, &new, false, now);
        assert!(ahead.covers(id, &new) && ahead.covers(id, &old) && !ahead.arrived(id, &old));
        assert!(ahead.arrived(id, &new) && ahead.arrived(id, &old));
        ahead.told(id, &new, true, now);
        assert_eq!((ahead.due(), ahead.is_deleted(id), ahead.there()), (Some(now), Some(true), vec![]));
        assert_eq!((ahead.expire(now), ahead.due()), (vec![id], None));
    }
}
