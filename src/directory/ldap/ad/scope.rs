//! What is read, and who tells it.

use std::fmt;

use super::super::connect::{RootDse, search};
use super::super::failure::LdapFailure;
use super::super::wire::Wire;
use super::record::guid;
use crate::directory::LdapOptions;
use crate::model::{Dn, ObjectId};
use ldap3::Scope as Depth;

/// Which controller, and in which of its lives: counts of one mean nothing to another, nor after it was restored
/// (MS-ADTS §3.1.1.1.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replica {
    /// The DN of its settings object.
    pub(super) service: String,
    /// `invocationId`.
    pub(super) invocation: ObjectId,
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // CN=NTDS Settings,CN=DC1,CN=Servers,…
        let name = self.service.parse::<Dn>().ok().and_then(|dn| dn.rdns().get(1).map(crate::model::Rdn::value));
        f.write_str(name.as_deref().unwrap_or(&self.service))
    }
}

/// A subtree that is read.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) top: Dn,
    /// The naming context that it is in, by its place among the scope's.
    pub(super) context: usize,
    /// Whether the feed is of use without it.
    pub(super) optional: bool,
}

/// A naming context that tells of changes.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) dn: Dn,
    /// Whether its `CN=Deleted Objects` could be read with the last changes.
    pub(super) shows_deleted: bool,
}

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) parts: Vec<Part>,
    pub(super) contexts: Vec<Context>,
    /// The base's id: should it get another name, the base means nothing any more.
    pub(super) base: ObjectId,
    /// Naming contexts that this server holds: references to them say nothing.
    known: Vec<Dn>,
}

/// What is read below the configuration naming context.
const CONFIGURATION: [&str; 2] = ["CN=Sites", "CN=Services"];

impl Scope {
    #[cfg(test)]
    pub(super) fn of(parts: Vec<Part>, contexts: Vec<Context>, base: ObjectId) -> Self {
        Self { parts, contexts, base, known: Vec::new() }
    }

    /// Whether a name is in a part.
    pub(super) fn holds(&self, dn: &Dn) -> bool {
        self.parts.iter().any(|part| dn.is_within(&part.top))
    }

    /// Whether entries can come in from outside.
    pub(super) fn is_inside(&self) -> bool {
        self.parts.iter().any(|part| !part.optional && self.contexts.get(part.context).is_some_and(|context| context.dn != part.top))
    }

    /// Whether the feed is of use without what a context holds.
    pub(super) fn is_optional(&self, context: usize) -> bool {
        self.parts.iter().all(|part| part.optional || part.context != context)
    }

    /// Whether deletions are told.
    pub(super) fn shows_deleted(&self) -> bool {
        self.contexts.iter().all(|context| context.shows_deleted)
    }

    /// Whether a reference leads to what this server holds itself, or to the name service's own parts.
    pub(super) fn is_own(&self, url: &str) -> bool {
        // ldap://corp.example/CN=Configuration,DC=corp,DC=example; Samba writes `refldap`.
        let name = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, name)| name.split('?').next().unwrap_or(name));
        let name = name.map(|name| name.replace("%20", " ")).and_then(|name| name.parse::<Dn>().ok());
        let zones = |dn: &Dn| dn.rdn().is_some_and(|rdn| ["dc=domaindnszones", "dc=forestdnszones"].contains(&rdn.key()));
        name.is_some_and(|dn| self.known.contains(&dn) || zones(&dn))
    }

    /// Finds out what there is to read.
    pub(super) async fn find(
        wire: &mut Wire,
        options: &LdapOptions,
        dse: &RootDse,
        base: &Dn,
        context: Option<&Dn>,
    ) -> Result<Self, LdapFailure> {
        let domain = context.unwrap_or(base).clone();
        let configuration: Option<Dn> = dse.text("configurationNamingContext").and_then(|text| text.parse().ok());
        let mut contexts = vec![Context { dn: domain, shows_deleted: false }];
        let mut parts = vec![Part { top: base.clone(), context: 0, optional: false }];
        // Where the configuration itself is read, there is nothing beside it.
        if let Some(configuration) = configuration.filter(|dn| !base.is_within(dn)) {
            contexts.push(Context { dn: configuration.clone(), shows_deleted: false });
            let tops = CONFIGURATION.iter().filter_map(|name| name.parse().ok()).map(|rdn| configuration.child(rdn));
            parts.extend(tops.map(|top| Part { top, context: 1, optional: true }));
        }
        let name = base.to_string();
        let query = (name.as_str(), Depth::Base, "(objectClass=*)");
        let found = search(wire, options.timers.connect, "the search for the base", query, 0, &["objectGUID"]).await?;
        let id = found.first().and_then(|(_, attributes)| guid(attributes.values("objectGUID").first()?));
        let base = id.ok_or_else(|| gone(base, "the account may not read it"))?;
        Ok(Self { parts, contexts, base, known: dse.contexts() })
    }
}

impl Replica {
    /// Asks who the controller is.
    pub(super) async fn find(wire: &mut Wire, options: &LdapOptions, dse: &RootDse) -> Result<Self, LdapFailure> {
        let service = dse.text("dsServiceName").ok_or(LdapFailure::Malformed("a domain controller without dsServiceName"))?.to_owned();
        let query = (service.as_str(), Depth::Base, "(objectClass=*)");
        let found = search(wire, options.timers.connect, "the query of the controller's settings", query, 0, &["invocationId"]).await?;
        let invocation = found.first().and_then(|(_, attributes)| guid(attributes.values("invocationId").first()?));
        let invocation = invocation.ok_or_else(|| LdapFailure::Search {
            base: service.clone(),
            code: 50,
            answer: "its invocationId cannot be read".to_owned(),
        })?;
        Ok(Self { service, invocation })
    }
}

/// The base is not what it was.
pub(super) fn gone(base: &Dn, why: &str) -> LdapFailure {
    LdapFailure::Search { base: base.to_string(), code: 32, answer: why.to_owned() }
}

/// `highestCommittedUSN`: the count of the controller's last change.
pub(super) async fn highest(wire: &mut Wire, limit: std::time::Duration) -> Result<u64, LdapFailure> {
    let query = ("", Depth::Base, "(objectClass=*)");
    let found = search(wire, limit, "the query of highestCommittedUSN", query, 0, &["highestCommittedUSN"]).await?;
    let text = found.first().and_then(|(_, attributes)| attributes.text("highestCommittedUSN"));
    text.and_then(|text| text.parse().ok()).ok_or(LdapFailure::Malformed("a domain controller without highestCommittedUSN"))
}
