//! Which way of telling changes a server is read by.

use std::fmt;
use std::str::FromStr;

use super::connect::RootDse;
use super::failure::LdapFailure;

/// A way of telling changes. Which one is used is found out from the root DSE, and the configuration can force it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 4533 refreshAndPersist, as OpenLDAP does it.
    Syncrepl,
    /// RFC 4533 as 389 Directory Server does it: a cookie is checked against the retro changelog before it is used.
    Syncrepl389,
    /// The retro changelog of 389 Directory Server, and a persistent search on it.
    Changelog389,
    /// Active Directory and Samba: change notification as the wake-up, `uSNChanged` as the truth.
    ActiveDirectory,
    /// Active Directory and Samba: DirSync.
    DirSync,
    /// draft-ietf-ldapext-psearch, with a list to begin and lists on a schedule.
    PersistentSearch,
    /// `modifyTimestamp`, with lists of ids on a schedule: any server.
    Poll,
}

/// RFC 4533 §2.2: the Sync Request control.
const SYNC_REQUEST: &str = "1.3.6.1.4.1.4203.1.9.1.1";
/// draft-ietf-ldapext-psearch §4.
const PERSISTENT_SEARCH: &str = "2.16.840.1.113730.3.4.3";
/// MS-ADTS §3.1.1.3.4.1.3.
const DIRSYNC: &str = "1.2.840.113556.1.4.841";
/// MS-ADTS §3.1.1.3.4.3.1 `LDAP_CAP_ACTIVE_DIRECTORY_OID`.
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";

impl Dialect {
    /// All of them, by the names that the configuration uses.
    pub const ALL: [Self; 7] =
        [Self::Syncrepl, Self::Syncrepl389, Self::Changelog389, Self::ActiveDirectory, Self::DirSync, Self::PersistentSearch, Self::Poll];

    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syncrepl => "syncrepl",
            Self::Syncrepl389 => "389ds",
            Self::Changelog389 => "389ds-changelog",
            Self::ActiveDirectory => "ad",
            Self::DirSync => "ad-dirsync",
            Self::PersistentSearch => "persistent-search",
            Self::Poll => "poll",
        }
    }

    /// The one for a server, and why it is that one.
    pub(super) fn choose(dse: &RootDse, forced: Option<Self>) -> (Self, &'static str) {
        if let Some(forced) = forced {
            return (forced, "directory.dialect says so");
        }
        if dse.has_capability(ACTIVE_DIRECTORY) {
            return (Self::ActiveDirectory, "supportedCapabilities has Active Directory");
        }
        if dse.has_control(SYNC_REQUEST) {
            // It takes a cookie whose changes it has forgotten, and says nothing.
            let is_389 = dse.is_389();
            let why = if is_389 { "vendorName has 389, supportedControl has RFC 4533" } else { "supportedControl has RFC 4533" };
            return (if is_389 { Self::Syncrepl389 } else { Self::Syncrepl }, why);
        }
        if dse.has_control(PERSISTENT_SEARCH) && dse.is_389() && dse.text("changelog").is_some() {
            let why = "supportedControl has no RFC 4533: the plugin Content Synchronization is off; the root DSE names a changelog";
            return (Self::Changelog389, why);
        }
        if dse.has_control(PERSISTENT_SEARCH) {
            return (Self::PersistentSearch, "supportedControl has persistent search, and not RFC 4533");
        }
        let why = if dse.is_openldap() {
            "the overlay syncprov is not loaded for the database; with it changes would be told at once"
        } else {
            "the server offers no way of telling changes"
        };
        (Self::Poll, why)
    }

    /// Whether the server can be read so. An unknown critical control would be the end of the connection (and, in ldap3, a panic).
    pub(super) fn check(self, dse: &RootDse) -> Result<(), LdapFailure> {
        let needs = match self {
            Self::Syncrepl | Self::Syncrepl389 => dse.has_control(SYNC_REQUEST),
            Self::Changelog389 | Self::PersistentSearch => dse.has_control(PERSISTENT_SEARCH),
            Self::DirSync => dse.has_control(DIRSYNC),
            Self::ActiveDirectory => dse.has_capability(ACTIVE_DIRECTORY),
            Self::Poll => true,
        };
        if needs { Ok(()) } else { Err(LdapFailure::Dialect { server: dse.server(), dialect: self }) }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == text).ok_or(())
    }
}
