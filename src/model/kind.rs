//! What an entry is to Dialcast.

use super::Attributes;

/// What a directory object is, told by its object classes (design of the directory: docs/ARCHITECTURE.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A domain, organisation, organizational unit or container: what policies govern.
    Container(Container),
    /// A person or account that may have a SIP address.
    User,
    /// A group, by whichever attribute it lists its members.
    Group,
    /// An entry that is nothing but a policy for the container it stands in.
    Policy,
    /// A server that `@nearest(role)` can find.
    Server,
    /// A phone, gateway or computer.
    Device,
    /// A place whose phones share network settings.
    Site,
    /// Network prefixes, and the site that they belong to.
    Subnet,
    /// Anything else: kept for its place in the tree, not governed by it.
    Other,
}

/// Which of the container layers it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Container {
    /// The layer `domain`: `domain`, `dcObject`, `organization`.
    Domain,
    /// The layer of OUs: `organizationalUnit`, `container`, `locality`, `country`, `builtinDomain`.
    Unit,
}

impl Kind {
    /// The `keywords` value that makes a serviceConnectionPoint a policy.
    pub const POLICY_KEYWORD: &'static str = "dialcast-policy/1";
    /// The `keywords` value that makes a serviceConnectionPoint a server.
    pub const SERVER_KEYWORD: &'static str = "dialcast-server/1";
    /// What begins a `keywords` value that names the site whose policy a serviceConnectionPoint is.
    pub const SITE_KEYWORD: &'static str = "dialcast-site:";
    /// What begins a `keywords` value that names the subnet whose policy a serviceConnectionPoint is.
    pub const SUBNET_KEYWORD: &'static str = "dialcast-subnet:";

    /// Classifies an entry. `dialcastPolicy` is auxiliary: on a container, group, user, device, site or subnet it adds lines to
    /// it and does not change what it is; on anything else it makes the entry a policy for its parent.
    pub fn of(attributes: &Attributes) -> Self {
        let class = |names: &[&str]| names.iter().any(|name| attributes.has_class(name));
        let keyword = |wanted: &str| attributes.texts("keywords").any(|k| k.trim().eq_ignore_ascii_case(wanted));
        let point = class(&["serviceConnectionPoint"]);
        if class(&["dialcastServer"]) || point && keyword(Self::SERVER_KEYWORD) {
            Self::Server
        } else if point && keyword(Self::POLICY_KEYWORD) {
            Self::Policy
        } else if class(&["group", "groupOfNames", "groupOfUniqueNames", "groupOfMembers", "posixGroup"]) {
            Self::Group
        } else if class(&["site", "dialcastSite"]) {
            Self::Site
        } else if class(&["subnet", "dialcastSubnet"]) {
            Self::Subnet
        } else if class(&["computer", "device", "ieee802Device"]) {
            Self::Device
        } else if class(&["user", "inetOrgPerson", "SIPIdentity", "organizationalPerson", "person", "account"]) {
            Self::User
        } else if class(&["domain", "domainDNS", "dcObject", "organization"]) {
            Self::Container(Container::Domain)
        } else if class(&["organizationalUnit", "container", "locality", "country", "builtinDomain"]) {
            Self::Container(Container::Unit)
        } else if class(&["dialcastPolicy"]) {
            Self::Policy
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_object_class() {
        let check = |values: &[(&str, &str)], expect: Kind| {
            let attributes: Attributes = values.iter().map(|(n, v)| (*n, v.as_bytes().to_vec())).collect();
            assert_eq!(Kind::of(&attributes), expect, "{values:?}");
        };
        check(&[("objectClass", "organizationalUnit"), ("objectClass", "dialcastPolicy")], Kind::Container(Container::Unit));
        check(&[("objectClass", "organization"), ("objectClass", "dcObject")], Kind::Container(Container::Domain));
        check(&[("objectClass", "applicationProcess"), ("objectClass", "dialcastPolicy")], Kind::Policy);
        check(&[("objectClass", "serviceConnectionPoint"), ("keywords", "dialcast-policy/1")], Kind::Policy);
        check(&[("objectClass", "serviceConnectionPoint"), ("keywords", "Dialcast-Server/1")], Kind::Server);
        check(&[("objectClass", "serviceConnectionPoint")], Kind::Other);
        // AD's computer is a user by inheritance.
        check(&[("objectClass", "user"), ("objectClass", "computer")], Kind::Device);
        check(&[("objectClass", "person"), ("objectClass", "inetOrgPerson")], Kind::User);
        check(&[("objectClass", "groupOfUniqueNames")], Kind::Group);
        check(&[("objectClass", "dialcastSite"), ("objectClass", "dialcastPolicy")], Kind::Site);
        check(&[("objectClass", "top"), ("objectClass", "subnet")], Kind::Subnet);
        // What else AD has below CN=Sites.
        check(&[("objectClass", "top"), ("objectClass", "sitesContainer")], Kind::Other);
        check(&[("objectClass", "siteLink")], Kind::Other);
    }
}
