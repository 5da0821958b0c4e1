//! The layout of the network: which site and subnet an address belongs to.
//!
//! The subnet is that of the longest prefix (IPv4 and IPv6). Its site is the site it names; an address in no subnet is in the
//! only site, if there is exactly one. Of all that only what makes a difference is a [`Spot`]: an organisation without
//! policies on sites and subnets has one, and pays nothing for its thousands of subnets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::grammar::{LineFault, warning};
use super::identity::created;
use super::layers::{container_of, is_container};
use super::object::HeldFault;
use super::sources::Sources;
use crate::model::{Dn, Here, Kind, NetworkMap, ObjectId, Prefix, PrefixError, PrefixMap, Spot};
use crate::store::{Object, Snapshot};

/// The attribute of `dialcastSubnet` that holds prefixes; in Active Directory the name of a `subnet` is one.
const PREFIX: &str = "dialcastSubnetPrefix";
/// The attributes that name a subnet's site, in Active Directory and elsewhere.
const SITE: [&str; 2] = ["siteObject", "dialcastSiteDN"];
/// The most prefixes of one subnet object that are read.
const PREFIXES_MAX: usize = 1024;

/// The subnet and the site of an address, whether or not policies govern them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) subnet: Option<(Prefix, ObjectId)>,
    pub(crate) site: Option<ObjectId>,
}

/// All sites and subnets of a snapshot, read.
#[derive(Debug, Default)]
pub(crate) struct Network {
    /// Where sites and subnets count; empty: everywhere.
    bases: Vec<Dn>,
    sites: BTreeSet<ObjectId>,
    subnets: BTreeSet<ObjectId>,
    /// The site of every address that is in no subnet.
    only_site: Option<ObjectId>,
    by_prefix: PrefixMap<(ObjectId, Option<ObjectId>)>,
    map: Arc<NetworkMap>,
    faults: Vec<(ObjectId, HeldFault)>,
}

impl Network {
    /// No network yet. Sites and subnets count below these entries, or everywhere if there are none.
    pub(crate) fn new(bases: Vec<Dn>) -> Self {
        Self { bases, ..Self::default() }
    }

    /// Reads a whole snapshot.
    pub(crate) fn load(&mut self, snapshot: &Snapshot, sources: &Sources) {
        self.sites.clear();
        self.subnets.clear();
        for object in snapshot.iter() {
            self.note(object);
        }
        self.read(snapshot, sources);
    }

    /// An object came or changed.
    pub(crate) fn note(&mut self, object: &Object) {
        self.forget(object.id);
        match object.kind {
            Kind::Site => drop(self.sites.insert(object.id)),
            Kind::Subnet => drop(self.subnets.insert(object.id)),
            _ => {}
        }
    }

    /// An object is gone.
    pub(crate) fn forget(&mut self, id: ObjectId) {
        self.sites.remove(&id);
        self.subnets.remove(&id);
    }

    /// Reads the sites and subnets again. All of them: there are few beside the users, and a name may mean another site now.
    pub(crate) fn read(&mut self, snapshot: &Snapshot, sources: &Sources) {
        let mut reading = Reading { snapshot, faults: Vec::new(), owners: BTreeMap::new() };
        let sites: BTreeSet<ObjectId> = self.sites.iter().copied().filter(|id| reading.counts(&self.bases, *id)).collect();
        self.only_site = sites.first().copied().filter(|_| sites.len() == 1);
        // The older entry has a prefix (as with addresses: ADR 0003), then the lower id.
        let age = |id: &ObjectId| (snapshot.get(*id).and_then(|object| created(&object.attributes)).unwrap_or(i64::MAX), *id);
        let mut subnets: Vec<ObjectId> = self.subnets.iter().copied().filter(|id| reading.counts(&self.bases, *id)).collect();
        subnets.sort_by_key(age);
        self.by_prefix = PrefixMap::default();
        let mut mapping = Mapping { snapshot, sources, map: NetworkMap::default() };
        for object in subnets.iter().filter_map(|id| snapshot.get(*id)) {
            let site = reading.site(object).filter(|site| sites.contains(site));
            for prefix in reading.prefixes(object) {
                self.by_prefix.entry(prefix).or_insert((object.id, site));
                let here = mapping.here(Some(object.id), site);
                mapping.map.insert(prefix, here);
            }
        }
        mapping.map.rest = mapping.here(None, self.only_site);
        let map = mapping.map;
        self.faults = reading.faults;
        if map != *self.map {
            self.map = Arc::new(map);
        }
    }

    /// Which address is where. The same `Arc` as long as nothing differs.
    pub(crate) const fn map(&self) -> &Arc<NetworkMap> {
        &self.map
    }

    /// The subnet and the site of an address.
    pub(crate) fn find(&self, address: IpAddr) -> Found {
        match self.by_prefix.longest(address) {
            Some((prefix, (subnet, site))) => Found { subnet: Some((prefix, *subnet)), site: *site },
            None => Found { subnet: None, site: self.only_site },
        }
    }

    /// What is wrong with sites and subnets, by object.
    pub(crate) fn faults(&self) -> &[(ObjectId, HeldFault)] {
        &self.faults
    }
}

/// One reading of all subnets.
struct Reading<'a> {
    snapshot: &'a Snapshot,
    faults: Vec<(ObjectId, HeldFault)>,
    /// Which subnet has a prefix.
    owners: BTreeMap<Prefix, ObjectId>,
}

impl Reading<'_> {
    /// Whether a site or subnet stands where they count. Whoever may create entries elsewhere must not decide where phones are.
    fn counts(&mut self, bases: &[Dn], id: ObjectId) -> bool {
        let Some(dn) = self.snapshot.dn(id) else { return false };
        let counts = bases.is_empty() || bases.iter().any(|base| dn.is_within(base));
        if let Some(object) = self.snapshot.get(id).filter(|_| !counts) {
            let what = "it stands below none of policy.networks, and counts for nothing".to_owned();
            let remedy = "move it there, or add the entry that it stands in to policy.networks".to_owned();
            self.fault(object, "objectClass", "", warning("network.place", 0, what, remedy));
        }
        counts
    }

    /// The prefixes of a subnet that nobody has yet.
    fn prefixes(&mut self, object: &Object) -> Vec<Prefix> {
        let mut texts: Vec<(&str, String)> =
            object.attributes.texts(PREFIX).take(PREFIXES_MAX).map(|text| (PREFIX, text.to_owned())).collect();
        if object.attributes.has_class("subnet") && texts.is_empty() {
            let name = object.attributes.text("cn").map_or_else(|| object.rdn.value(), str::to_owned);
            texts.push(("cn", name));
        }
        if texts.is_empty() {
            let remedy = "give it one, such as 10.1.0.0/16 or 2001:db8::/32; until then no address is in it";
            self.fault(object, PREFIX, "", warning("network.prefix", 0, "the subnet has no prefix".into(), remedy.into()));
        }
        let mut prefixes = Vec::with_capacity(texts.len());
        for (attribute, text) in texts {
            match text.parse::<Prefix>() {
                Ok(prefix) => match self.owners.get(&prefix) {
                    Some(owner) if *owner == object.id => {}
                    Some(owner) => {
                        let owner = self.snapshot.dn(*owner).unwrap_or_default();
                        let what = format!("the older entry `{owner}` has the network {prefix}: it counts, and not this one");
                        self.fault(object, attribute, &text, warning("network.duplicate", 0, what, "delete one of the two".into()));
                    }
                    None => {
                        self.owners.insert(prefix, object.id);
                        prefixes.push(prefix);
                    }
                },
                Err(error) => {
                    let remedy = match &error {
                        PrefixError::HostBits { meant } => format!("write {meant}, or a longer prefix; until then no address is in it"),
                        _ => "write it as 10.1.0.0/16 or 2001:db8::/32; until then no address is in it".to_owned(),
                    };
                    self.fault(object, attribute, &text, warning("network.prefix", 0, error.to_string(), remedy));
                }
            }
        }
        prefixes
    }

    /// The site that a subnet names.
    fn site(&mut self, object: &Object) -> Option<ObjectId> {
        let (attribute, text) = SITE.iter().find_map(|name| Some((*name, object.attributes.text(name)?)))?;
        let found = text.parse::<Dn>().ok().and_then(|dn| self.snapshot.find(&dn));
        let site = found.filter(|id| self.snapshot.get(*id).is_some_and(|site| site.kind == Kind::Site));
        if site.is_none() {
            let what = match found {
                Some(_) => "the subnet names something that is no site",
                None => "the subnet names a site that is not there",
            };
            let remedy = "write the site's name as it is now; until then its addresses are in no site. Or look whether \
                          Dialcast's account may read the site";
            self.fault(object, attribute, text, warning("network.site", 0, what.into(), remedy.into()));
        }
        site
    }

    fn fault(&mut self, object: &Object, attribute: &str, value: &str, fault: LineFault) {
        self.faults.push((object.id, HeldFault::new(attribute.into(), value, fault)));
    }
}

/// The map in the making.
struct Mapping<'a> {
    snapshot: &'a Snapshot,
    sources: &'a Sources,
    map: NetworkMap,
}

impl Mapping<'_> {
    fn here(&self, subnet: Option<ObjectId>, site: Option<ObjectId>) -> Here {
        let governed = |id: Option<ObjectId>| id.filter(|id| self.sources.governs(*id));
        let (own_site, own_subnet) = (governed(site), governed(subnet));
        let endpoint = Spot { site: own_site, subnet: own_subnet, container: None };
        let container = match site.or(subnet) {
            Some(id) => container_of(self.snapshot, id),
            None => only_root(self.snapshot),
        };
        Here { endpoint: (endpoint != Spot::default()).then(|| Arc::new(endpoint)), network: Arc::new(Spot { container, ..endpoint }) }
    }
}

/// The container that everything stands in, if there is one: what is known of a network that stands nowhere.
fn only_root(snapshot: &Snapshot) -> Option<ObjectId> {
    let mut roots = snapshot.roots().filter(|root| is_container(root) && !root.glue);
    let root = roots.next()?;
    roots.next().is_none().then_some(root.id)
}
