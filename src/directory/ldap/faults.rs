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
    /// Why the last comparison of everything came to no end.
    uncompared: Option<Fault>,
    changed: bool,
}

impl Faults {
    pub(super) fn new(url: String) -> Self {
        Self { url, names: BTreeMap::new(), references: BTreeMap::new(), without_id: None, uncompared: None, changed: false }
    }

    fn fault(&self, severity: Severity, code: &'static str, what: String, remedy: &str) -> Fault {
        Fault { severity, code, place: Place::Directory { url: self.url.clone() }, what, remedy: remedy.to_owned() }
    }

    /// A refresh begins: all is told again.
    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.references.clear();
        self.changed = true;
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
        let list =
            || self.names.values().chain(self.references.values()).chain(&self.without_id).chain(&self.uncompared).cloned().collect();
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
