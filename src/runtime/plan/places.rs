//! The places that make a difference, each as it is before a change and after it.
//!
//! An address is somewhere before, and somewhere after. Of all addresses only the distinct pairs matter: those of the networks of either
//! map, and that of the addresses in none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{Here, NetworkMap, Prefix, Resource, Spot};
use crate::store::Snapshot;

/// Where something is, before and after; `None` where no site or subnet makes a difference to it.
pub(super) type Pair = [Option<Spot>; 2];

/// Networks are named up to so many.
const NETWORKS_MAX: usize = 3;

/// Networks that a place is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Networks {
    pub(super) count: usize,
    /// Some of them.
    pub(super) examples: Vec<Prefix>,
    /// Whether addresses belong to it that are in no network.
    pub(super) others: bool,
}

impl Networks {
    fn add(&mut self, network: Option<Prefix>) {
        let Some(network) = network else {
            self.others = true;
            return;
        };
        self.count += 1;
        if self.examples.len() < NETWORKS_MAX {
            self.examples.push(network);
        }
    }
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// For users and devices.
    pub(super) pair: Pair,
    /// For people.
    pub(super) name: String,
    pub(super) networks: Networks,
    /// For local networks: of one place several, where they stand in other containers.
    pub(super) local: BTreeSet<[Spot; 2]>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Places {
    maps: [Arc<NetworkMap>; 2],
    /// Sorted by name; the one where no site or subnet makes a difference first.
    pub(super) all: Vec<Place>,
}

impl Places {
    /// The places of two maps; the snapshots name sites and subnets.
    pub(super) fn of(maps: [Arc<NetworkMap>; 2], snapshots: [&Snapshot; 2]) -> Self {
        let [before, after] = &maps;
        let networks: BTreeSet<Prefix> = before.networks().chain(after.networks()).collect();
        let mut by_pair: BTreeMap<Pair, (Networks, BTreeSet<[Spot; 2]>)> = BTreeMap::new();
        let mut add = |network: Option<Prefix>, heres: [&Here; 2]| {
            let (networks, local) = by_pair.entry(heres.map(|here| here.endpoint.as_deref().copied())).or_default();
            networks.add(network);
            local.insert(heres.map(|here| *here.network));
        };
        for network in networks {
            add(Some(network), [before.covering(network), after.covering(network)]);
        }
        add(None, [&before.rest, &after.rest]);
        let place = |(pair, (networks, local)): (Pair, _)| Place { name: name(pair, snapshots), pair, networks, local };
        let mut all: Vec<Place> = by_pair.into_iter().map(place).collect();
        all.sort_by(|one, other| {
            (one.pair != [None, None], &one.name, one.pair).cmp(&(other.pair != [None, None], &other.name, other.pair))
        });
        Self { maps, all }
    }

    /// Where something is that subscribes from an address.
    pub(super) fn pair(&self, resource: &Resource, address: IpAddr) -> Pair {
        self.maps.each_ref().map(|map| {
            let here = map.at(address);
            match resource {
                Resource::LocalNetwork => Some(*here.network),
                Resource::User(_) | Resource::Device(_) => here.endpoint.as_deref().copied(),
            }
        })
    }
}

/// `site Berlin, subnet lab`, or from where to where.
fn name(pair: Pair, [before, after]: [&Snapshot; 2]) -> String {
    // A name that changed is no other place.
    let side = |spot: Option<Spot>, snapshot: &Snapshot, other: &Snapshot| {
        let spot = spot.unwrap_or_default();
        let named = |id| snapshot.dn(id).or_else(|| other.dn(id)).and_then(|dn| Some(dn.rdn()?.value())).unwrap_or_default();
        let site = spot.site.map(|id| format!("site {}", named(id)));
        let subnet = spot.subnet.map(|id| format!("subnet {}", named(id)));
        let parts: Vec<String> = site.into_iter().chain(subnet).collect();
        if parts.is_empty() { "elsewhere".to_owned() } else { parts.join(", ") }
    };
    let [from, to] = pair;
    let now = side(to, after, before);
    if from == to { now } else { format!("{} → {now}", side(from, before, after)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_in_the_place_of_its_network() {
        let before = Arc::new(NetworkMap::of(&[("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("10.9.0.0/16", 0)], None));
        let after = Arc::new(NetworkMap::of(&[("10.0.0.0/8", 1), ("10.1.2.0/24", 3), ("2001:db8::/32", 2)], Some(1)));
        let places = Places::of([before, after], [&Snapshot::default(), &Snapshot::default()]);
        let known: BTreeSet<Pair> = places.all.iter().map(|place| place.pair).collect();
        let user = Resource::User("sip:anna@x".parse().unwrap());
        for address in ["10.0.0.1", "10.1.0.1", "10.1.2.3", "10.9.0.1", "192.0.2.1", "2001:db8::1", "::1"] {
            assert!(known.contains(&places.pair(&user, address.parse().unwrap())), "{address}");
        }
        // 10/8 stays; 10.1/16 becomes 1; its 10.1.2/24 becomes 3; 10.9/16 becomes 1, as whatever is in none; 2001:db8::/32 becomes 2.
        assert_eq!(
            places
                .all
                .iter()
                .map(|place| (place.networks.count, place.networks.others))
                .fold((0, 0), |(a, b), (c, o)| (a + c, b + usize::from(o))),
            (5, 1)
        );
        assert_eq!(known.len(), 5);
    }
}
