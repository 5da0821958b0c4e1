//! What is read of an entry.

/// The attributes that every LDAP feed asks for; the configuration may add to them. Servers leave out those they do not have.
pub const ATTRIBUTES: &[&str] = &[
    "objectClass",
    // Identity, age and name.
    "entryUUID",
    "createTimestamp",
    "whenCreated",
    "cn",
    "uid",
    "displayName",
    // Addresses.
    "SIPIdentitySIPURI",
    "msRTCSIP-PrimaryUserAddress",
    "proxyAddresses",
    "mail",
    "telephoneNumber",
    "ipPhone",
    // Whether the account is in use.
    "userAccountControl",
    "msDS-UserAccountDisabled",
    "nsAccountLock",
    // H.350.4's own settings.
    "SIPIdentityRegistrarAddress",
    "SIPIdentityProxyAddress",
    "SIPIdentityUserName",
    // Groups.
    "member",
    "uniqueMember",
    "memberUid",
    // Policies, servers, sites.
    "dialcastSetting",
    "dialcastRole",
    "dialcastServerAddress",
    "dialcastSubnetPrefix",
    "dialcastSiteDN",
    "siteObject",
    "keywords",
    "serviceBindingInformation",
    // Devices.
    "macAddress",
    "serialNumber",
];
