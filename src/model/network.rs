//! Where an endpoint is in the network, as far as it makes a difference, and which address is where.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::{ObjectId, Prefix, PrefixMap};

/// Where an endpoint is, as far as it makes a difference to what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Spot {
    /// The site, if policies govern it.
    pub site: Option<ObjectId>,
    /// The subnet, if policies govern it.
    pub subnet: Option<ObjectId>,
    /// For the profile of the network itself, which stands in no user's container: the container that the site stands in.
    pub container: Option<ObjectId>,
}

/// What is known of an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Here {
    /// For what belongs to a user or device. `None`: no site or subnet makes a difference.
    pub endpoint: Option<Arc<Spot>>,
    /// For the profile of the network.
    pub network: Arc<Spot>,
}

/// Which address is where. A plain value: compared, and handed to whoever sees addresses.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct NetworkMap {
    /// Each once, in the order in which they came.
    heres: Vec<Here>,
    known: HashMap<Here, usize>,
    /// Places in `heres`.
    by_prefix: PrefixMap<usize>,
    /// What holds for an address in no network.
    pub(crate) rest: Here,
}

impl fmt::Debug for NetworkMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkMap").field("distinct", &self.heres.len()).field("rest", &self.rest).finish_non_exhaustive()
    }
}

impl NetworkMap {
    /// The addresses of a network are here, unless it is in the map already.
    pub(crate) fn insert(&mut self, prefix: Prefix, here: Here) {
        let Self { heres, known, by_prefix, .. } = self;
        let at = *known.entry(here).or_insert_with_key(|here| {
            heres.push(here.clone());
            heres.len() - 1
        });
        by_prefix.entry(prefix).or_insert(at);
    }

    /// Every network that the map tells something of, in no order.
    pub(crate) fn networks(&self) -> impl Iterator<Item = Prefix> {
        self.by_prefix.prefixes()
    }

    /// Where the addresses of a network are that are in no smaller one.
    pub(crate) fn covering(&self, network: Prefix) -> &Here {
        self.by_prefix.covering(network).and_then(|at| self.heres.get(*at)).unwrap_or(&self.rest)
    }

    /// Where an address is.
    pub fn at(&self, address: IpAddr) -> &Here {
        self.by_prefix.longest(address).and_then(|(_, at)| self.heres.get(*at)).unwrap_or(&self.rest)
    }
}

#[cfg(test)]
impl NetworkMap {
    /// A map of these networks; `site` names what makes the difference there.
    pub(crate) fn of(networks: &[(&str, u8)], rest: Option<u8>) -> Self {
        let here = |site: Option<u8>| {
            let spot = Spot { site: site.map(|n| ObjectId::from_bytes([n; 16])), ..Spot::default() };
            Here { endpoint: site.map(|_| Arc::new(spot)), network: Arc::new(spot) }
        };
        let mut map = Self { rest: here(rest), ..Self::default() };
        for (prefix, site) in networks {
            map.insert(prefix.parse().unwrap_or_else(|error| panic!("{error}")), here((*site > 0).then_some(*site)));
        }
        map
    }
}
