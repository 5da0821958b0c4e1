//! The faults that a server's entries have now.

use std::collections::BTreeMap;

use super::failure::LdapFailure;
use crate::model::{Fault, ObjectId, Place, Severity};

/// The most faults kept: nobody reads more, and a tree of nothing but faults must not fill the memory.
const FAULTS_MAX: usize = 1_000;

/// Entries whose names cannot be read, and parts of the tree that are elsewhere.
#[derive(Debug)]
pub(super) struct Faults {
    url: String,
    names: BTreeMap<ObjectId, Fault>,
    references: BTreeMap<String, Fault>,
    /// The server gives its entries no ids.
    without_id: Option<Fault>,
    /// What this account cannot see, by what it is about.
    hidden: BTreeMap<String, Fault>,
    /// Servers that are better placed than the one in use.
    passed_over: Vec<Fault>,
    /// Why the last comparison of everything came to no end.
    uncompared: Option<Fault>,
    changed: bool,
}

impl Faults {
    pub(super) fn new(url: String) -> Self {
        let (names, references) = (BTreeMap::new(), BTreeMap::new());
        Self {
            url,
            names,
            references,
            hidden: BTreeMap::new(),
            passed_over: Vec::new(),
            without_id: None,
            uncompared: None,
            changed: false,
        }
    }

    fn fault(&self, severity: Severity, code: &'static str, what: String, remedy: &str) -> Fault {
        Fault { severity, code, place: Place::Directory { url: self.url.clone() }, what, remedy: remedy.to_owned() }
    }

    /// A connection was made, and not to these servers.
    pub(super) fn passed_over<'f>(&mut self, servers: impl Iterator<Item = (String, &'f LdapFailure)>) {
        let fault = |(server, failure): (String, &LdapFailure)| Fault {
            severity: Severity::Warning,
            code: "ldap.failover",
            place: Place::Directory { url: server },
            what: format!("another server is used: {}", failure.what()),
            remedy: failure.remedy(),
        };
        let faults: Vec<Fault> = servers.map(fault).collect();
        self.changed |= faults != self.passed_over;
        self.passed_over = faults;
    }

    /// A refresh begins: all is told again.
    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.references.clear();
        self.hidden.clear();
        self.changed = true;
    }

    /// A part of the directory that the feed can do without cannot be read.
    pub(super) fn part_hidden(&mut self, top: &str, why: &str) {
        let what = format!("`{top}` cannot be read: {why}; the sites, subnets and policies in it are not used");
        let remedy = "let the account read it, as every account of the domain may by default";
        self.hide("part", top, self.fault(Severity::Warning, "ldap.part-hidden", what, remedy));
    }

    /// Whether deletions are told; where they are not, of which naming contexts, and how often it is looked for them.
    pub(super) fn deletions_hidden(&mut self, lacks: Option<(String, u64)>) {
        match lacks {
            None => self.changed |= self.hidden.remove("deletions").is_some(),
            Some((contexts, sweep_s)) => {
                let what = format!(
                    "the account may not read CN=Deleted Objects of {contexts}: what is deleted is found by lists, every {sweep_s} s"
                );
                let remedy = "let it: `dsacls \"CN=Deleted Objects,DC=…\" /takeownership`, then `dsacls \"CN=Deleted Objects,DC=…\" /G ACCOUNT:LCRP`";
                self.hide("deletions", "", self.fault(Severity::Warning, "ldap.deletions-hidden", what, remedy));
            }
        }
    }

    /// Whether another controller is away; why, if so.
    pub(super) fn also_down(&mut self, url: &str, why: Option<&str>) {
        match why {
            None => self.changed |= self.hidden.remove(&format!("also{url}")).is_some(),
            Some(why) => {
                let what = format!("{url}, which is listened to beside, is away: {why}");
                let remedy = "nothing is lost: its changes come by replication; take it out of directory.also if it is gone for good";
                self.hide("also", url, self.fault(Severity::Warning, "ldap.also-down", what, remedy));
            }
        }
    }

    /// Whether the server tells of changes; where it does not, how often they are looked for.
    pub(super) fn not_told(&mut self, poll_ms: Option<u128>) {
        match poll_ms {
            None => self.changed |= self.hidden.remove("told").is_some(),
            Some(poll_ms) => {
                let what = format!("the server does not tell of changes: they are looked for every {poll_ms} ms");
                let remedy = "a domain controller allows five notifications on a connection; if this lasts, look into its log";
                self.hide("told", "", self.fault(Severity::Note, "ldap.not-told", what, remedy));
            }
        }
    }

    fn hide(&mut self, kind: &str, about: &str, fault: Fault) {
        let before = self.hidden.insert(format!("{kind}{about}"), fault);
        self.changed |= before.as_ref() != self.hidden.get(&format!("{kind}{about}"));
    }

    pub(super) fn bad_name(&mut self, id: ObjectId, text: &str, why: &str) {
        let what = format!("the name of the entry {id}, `{text}`, cannot be read: {why}");
        let fault =
            self.fault(Severity::Error, "ldap.dn", what, "rename the entry; until then it stays as it was, or out of sight if it is new");
        if self.names.len() < FAULTS_MAX {
            self.changed |= self.names.insert(id, fault.clone()).as_ref() != Some(&fault);
        }
    }

    pub(super) fn good(&mut self, id: ObjectId) {
        self.changed |= self.names.remove(&id).is_some();
    }

    pub(super) fn reference(&mut self, url: &str) {
        let what = format!("a part of the tree is on another server ({url}), and is not read");
        let fault =
            self.fault(Severity::Note, "ldap.referral", what, "point a Dialcast of its own at that server, if its users are to be served");
        if self.references.len() < FAULTS_MAX {
            self.changed |= self.references.insert(url.to_owned(), fault).is_none();
        }
    }

    /// Whether the server gives its entries no ids that can be read.
    pub(super) fn without_id(&mut self, without: bool) {
        let what = "the entries have no ids that can be read: an entry that is renamed or moved counts as one that went and one that came";
        let remedy = "let the account read entryUUID, nsUniqueId, objectGUID, GUID or ibm-entryuuid, whichever the server has";
        let fault = without.then(|| self.fault(Severity::Warning, "ldap.no-id", what.to_owned(), remedy));
        self.changed |= fault != self.without_id;
        self.without_id = fault;
    }

    /// Everything was compared with what was told; or could not be, and why.
    pub(super) fn uncompared(&mut self, failure: Option<&LdapFailure>) {
        let fault = failure.map(|failure| {
            let what = format!("the comparison of all ids and versions came to no end: {failure}");
            self.fault(Severity::Warning, "ldap.compare", what, &failure.remedy())
        });
        self.changed |= fault != self.uncompared;
        self.uncompared = fault;
    }

    /// All of them, if there was a change since they were last taken.
    pub(super) fn take(&mut self) -> Option<Vec<Fault>> {
        let named = self.passed_over.iter().chain(self.names.values());
        let list = || {
            named
                .chain(self.references.values())
                .chain(self.hidden.values())
                .chain(&self.without_id)
                .chain(&self.uncompared)
                .cloned()
                .collect()
        };
        let taken = self.changed.then(list);
        self.changed = false;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn come_and_go() {
        let mut faults = Faults::new("ldap://h:389/dc=x".to_owned());
        let (one, other) = (ObjectId::from_bytes([1; 16]), ObjectId::from_bytes([2; 16]));
        assert_eq!(faults.take(), None);
        faults.bad_name(one, "nonsense", "column 1: expected `type=value`");
        faults.reference("ldap://o/dc=y");
        let shown: Vec<String> = faults.take().unwrap().iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"), @"
    ldap://h:389/dc=x: the name of the entry 01010101-0101-0101-0101-010101010101, `nonsense`, cannot be read: column 1: expected `type=value`; rename the entry; until then it stays as it was, or out of sight if it is new
    ldap://h:389/dc=x: a part of the tree is on another server (ldap://o/dc=y), and is not read; point a Dialcast of its own at that server, if its users are to be served
    ");
        faults.bad_name(one, "nonsense", "column 1: expected `type=value`");
        faults.reference("ldap://o/dc=y");
        faults.good(other);
        assert_eq!(faults.take(), None);
        faults.good(one);
        assert_eq!(faults.take().unwrap().len(), 1);
        faults.clear();
        assert_eq!(faults.take(), Some(vec![]));
    }
}
