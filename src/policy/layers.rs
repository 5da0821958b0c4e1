//! The layers, lowest to highest, and the chain of them that a container has.

use std::fmt;
use std::sync::Arc;

use super::grammar::Filter;
use super::object::PolicyObject;
use super::sources::Sources;
use crate::model::{Container, Kind, ObjectId};
use crate::store::{Object, Snapshot};

/// A layer of policy (design §3 rule 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The catalogue's default.
    BuiltIn,
    /// `policy.settings` of the configuration.
    Config,
    /// The site that the endpoint is in.
    Site,
    /// The domain or organisation at the top of the tree.
    Domain,
    /// A container below it; 1 is the outermost.
    Unit(u16),
    /// The user's groups, nested ones included, all on one level.
    Group,
    /// The user: its attributes, and the policy lines on it.
    User,
    /// The device whose profile it is.
    Device,
    /// The subnet that the endpoint is in, for network settings.
    Subnet,
}

impl Layer {
    /// The place in the order: the higher beats the lower. Identity settings: built-in < config < site < domain < OUs from
    /// the outermost to the innermost < groups < user. Network settings: the same without the site, then < site < subnet.
    pub const fn rank(self, network: bool) -> u32 {
        match self {
            Self::BuiltIn => 0,
            Self::Config => 1,
            Self::Site if network => 1 << 19,
            Self::Site => 2,
            Self::Domain => 3,
            Self::Unit(depth) => 4 + depth as u32,
            Self::Group => 1 << 17,
            Self::User | Self::Device => 1 << 18,
            Self::Subnet => 1 << 20,
        }
    }

    /// Whether `block` on a container inside drops what comes from here and is not enforced. Of a site that is what stands below
    /// the containers: its network settings stand above them.
    pub(crate) const fn can_be_blocked(self) -> bool {
        matches!(self, Self::Site | Self::Domain | Self::Unit(_))
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BuiltIn => "built-in",
            Self::Config => "config",
            Self::Site => "site",
            Self::Domain => "domain",
            Self::Unit(depth) => return write!(f, "OU {depth}"),
            Self::Group => "group",
            Self::User => "user",
            Self::Device => "device",
            Self::Subnet => "subnet",
        })
    }
}

/// The layers from the configuration up to one container: what everybody in it has in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    /// From the outermost container to the innermost, each with its layer.
    pub(crate) containers: Box<[(Layer, ObjectId)]>,
    /// The groups that filters of the configuration or of these containers ask for, sorted.
    pub(crate) filters: Box<[ObjectId]>,
}

impl Chain {
    /// The chain of a container; of `None`, that of users who stand in none.
    pub(crate) fn of(snapshot: &Snapshot, sources: &Sources, container: Option<ObjectId>) -> Self {
        let own = container.and_then(|id| snapshot.get(id));
        let above = container.into_iter().flat_map(|id| snapshot.ancestors(id));
        let mut objects: Vec<&Arc<Object>> = own.into_iter().chain(above).filter(|object| is_container(object)).collect();
        objects.reverse();
        let mut containers = Vec::with_capacity(objects.len());
        let mut units = 0_u16;
        for (index, object) in objects.iter().enumerate() {
            // Only the outermost one is the layer of the domain. A domain below it, or below an OU, is one more step inwards.
            let layer = if index == 0 && object.kind == Kind::Container(Container::Domain) {
                Layer::Domain
            } else {
                units = units.saturating_add(1);
                Layer::Unit(units)
            };
            containers.push((layer, object.id));
        }
        let policies = containers.iter().flat_map(|(_, id)| sources.policies(*id));
        let filters = asked_for(sources, policies.chain(sources.config()));
        Self { containers: containers.into(), filters }
    }

    /// The same, with the groups that filters of these objects ask for too.
    pub(crate) fn with(&self, sources: &Sources, objects: impl IntoIterator<Item = ObjectId>) -> Self {
        let mut filters = asked_for(sources, objects.into_iter().flat_map(|id| sources.policies(id))).into_vec();
        filters.extend_from_slice(&self.filters);
        filters.sort_unstable();
        filters.dedup();
        Self { containers: self.containers.clone(), filters: filters.into() }
    }
}

/// The groups that filters of policies ask for, sorted.
fn asked_for<'a>(sources: &Sources, policies: impl Iterator<Item = &'a Arc<PolicyObject>>) -> Box<[ObjectId]> {
    let mut groups = Vec::new();
    for filter in policies.flat_map(|policy| &policy.filters) {
        if let Filter::Allow(dn) | Filter::Deny(dn) = filter {
            groups.extend(sources.group(dn));
        }
    }
    groups.sort_unstable();
    groups.dedup();
    groups.into()
}

/// Whether policies on the object govern what stands below it.
pub(crate) fn is_container(object: &Object) -> bool {
    matches!(object.kind, Kind::Container(_))
}

/// The closest container above an object.
pub(crate) fn container_of(snapshot: &Snapshot, id: ObjectId) -> Option<ObjectId> {
    snapshot.ancestors(id).find(|object| is_container(object)).map(|object| object.id)
}

#[cfg(test)]
mod tests {
    use super::Layer::{BuiltIn, Config, Domain, Group, Site, Subnet, Unit, User};
    use super::*;

    #[test]
    fn ranks() {
        let sorted =
            |network: bool, layers: &[Layer]| layers.iter().map(|layer| layer.rank(network)).collect::<Vec<_>>().is_sorted_by(|a, b| a < b);
        assert!(sorted(false, &[BuiltIn, Config, Site, Domain, Unit(1), Unit(2), Unit(u16::MAX), Group, User]));
        assert!(sorted(true, &[BuiltIn, Config, Domain, Unit(1), Unit(u16::MAX), Group, User, Site, Subnet]));
    }
}
