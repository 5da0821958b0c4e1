//! Which devices there are, by what they call themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::grammar::warning;
use super::object::HeldFault;
use crate::model::{DeviceId, Kind, ObjectId};
use crate::store::{Object, Snapshot};

/// The most values of one attribute that are read.
const VALUES_MAX: usize = 64;

/// Every device of a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    by_id: BTreeMap<DeviceId, BTreeSet<ObjectId>>,
    ids: HashMap<ObjectId, Vec<DeviceId>>,
    /// Counts the changes of what is known.
    pub(crate) version: u64,
}

impl Devices {
    /// Reads a whole snapshot. `attributes` name devices.
    pub(crate) fn load(&mut self, snapshot: &Snapshot, attributes: &[String]) {
        self.by_id.clear();
        self.ids.clear();
        self.version += 1;
        for object in snapshot.iter().filter(|object| object.kind == Kind::Device) {
            self.note(object, attributes);
        }
    }

    /// An object came or changed.
    pub(crate) fn note(&mut self, object: &Object, attributes: &[String]) {
        let mut now = Vec::new();
        if object.kind == Kind::Device {
            let values = attributes.iter().flat_map(|name| object.attributes.texts(name).take(VALUES_MAX));
            now.extend(values.filter_map(DeviceId::parse));
            now.sort();
            now.dedup();
        }
        if self.ids.get(&object.id).map_or(&[][..], Vec::as_slice) == now {
            return;
        }
        self.forget(object.id);
        self.version += 1;
        for id in &now {
            self.by_id.entry(id.clone()).or_default().insert(object.id);
        }
        if !now.is_empty() {
            self.ids.insert(object.id, now);
        }
    }

    /// An object is gone.
    pub(crate) fn forget(&mut self, object: ObjectId) {
        let Some(ids) = self.ids.remove(&object) else { return };
        self.version += 1;
        for id in ids {
            if let Some(objects) = self.by_id.get_mut(&id) {
                objects.remove(&object);
                if objects.is_empty() {
                    self.by_id.remove(&id);
                }
            }
        }
    }

    /// What a device calls itself.
    pub(crate) fn ids_of(&self, object: ObjectId) -> &[DeviceId] {
        self.ids.get(&object).map_or(&[], Vec::as_slice)
    }

    /// The device of an id; of several the one with the lowest object id.
    pub(crate) fn find(&self, id: &DeviceId) -> Option<ObjectId> {
        self.by_id.get(id)?.first().copied()
    }

    /// What devices call themselves.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &DeviceId> {
        self.by_id.keys()
    }

    /// Devices that share an id: all but the one that has it.
    pub(crate) fn faults(&self, snapshot: &Snapshot) -> Vec<(ObjectId, HeldFault)> {
        let mut faults = Vec::new();
        for (id, objects) in self.by_id.iter().filter(|(_, objects)| objects.len() > 1) {
            let mut objects = objects.iter();
            let owner = objects.next().and_then(|owner| snapshot.dn(*owner)).unwrap_or_default();
            for object in objects {
                let what = format!("`{owner}` is the same device: its profile is that one's");
                let remedy = "delete one of the two entries, or repair its address".to_owned();
                faults.push((*object, HeldFault::new("device".into(), &id.to_string(), warning("device.duplicate", 0, what, remedy))));
            }
        }
        faults
    }
}
