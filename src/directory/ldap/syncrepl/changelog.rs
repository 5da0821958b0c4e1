//! Whether 389 Directory Server still knows what a cookie leaves out.
//!
//! It takes any cookie whose number is not above its newest, and answers success: when its changelog was trimmed, or when
//! a backup came back and other changes were made since, what lies between is never told. So before a cookie is used the
//! changelog must reach back to it, and must still hold, under the cookie's number, the change that was there.

use std::time::Duration;

use ldap3::Scope;

use super::super::connect::search;
use super::super::failure::LdapFailure;
use super::super::wire::Wire;
use super::envelope::{Marked, number_of};
use crate::model::Attributes;

/// The numbers that the changelog holds; everybody may read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::directory::ldap) struct Span {
    pub(in crate::directory::ldap) first: u64,
    pub(in crate::directory::ldap) last: u64,
    /// Where it is, mostly `cn=changelog`.
    pub(in crate::directory::ldap) base: String,
}

impl Span {
    /// What the root DSE says; nothing where there is no changelog.
    pub(in crate::directory::ldap) async fn read(wire: &mut Wire, limit: Duration) -> Result<Option<Self>, LdapFailure> {
        let names = ["changelog", "firstchangenumber", "lastchangenumber"];
        let found = search(wire, limit, "the query of the changelog's numbers", ("", Scope::Base, "(objectClass=*)"), 0, &names).await?;
        Ok(found.first().and_then(|(_, attributes)| Self::of(attributes)))
    }

    fn of(attributes: &Attributes) -> Option<Self> {
        let number = |name: &str| attributes.text(name).and_then(|text| text.parse().ok());
        let base = attributes.text("changelog").unwrap_or("cn=changelog").to_owned();
        Some(Self { first: number("firstchangenumber")?, last: number("lastchangenumber")?, base })
    }

    /// Whether every change after this number can be told.
    pub(in crate::directory::ldap) const fn reaches(&self, number: u64) -> bool {
        number <= self.last && self.first <= number.saturating_add(1)
    }

    /// What the change of that number is known by; nothing where the account may not read it, or it is gone.
    pub(super) async fn mark(&self, wire: &mut Wire, limit: Duration, number: u64) -> Result<Option<String>, LdapFailure> {
        let filter = format!("(changenumber={number})");
        let query = (self.base.as_str(), Scope::OneLevel, filter.as_str());
        match search(wire, limit, "the query of a change in the changelog", query, 1, &["nsUniqueId"]).await {
            Ok(found) => Ok(found.first().and_then(|(_, attributes)| attributes.text("nsUniqueId").map(str::to_owned))),
            // No right to read it.
            Err(LdapFailure::Search { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// The cookie, when the server can go on from it.
pub(super) async fn check(wire: &mut Wire, limit: Duration, marked: Marked) -> Result<Option<Vec<u8>>, LdapFailure> {
    let (Some(span), Some(number)) = (Span::read(wire, limit).await?, number_of(&marked.cookie)) else { return Ok(None) };
    if !span.reaches(number) {
        return Ok(None);
    }
    // The newest of the changes trimmed: nothing is left to compare, and nothing after it is missing.
    let is_there = number >= span.first && number > 0;
    if let Some(mark) = marked.mark.filter(|_| is_there)
        && span.mark(wire, limit, number).await?.as_ref() != Some(&mark)
    {
        return Ok(None);
    }
    Ok(Some(marked.cookie))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_reaches() {
        let span = |first, last| Span { first, last, base: "cn=changelog".into() };
        // Nothing was changed yet.
        assert!(span(0, 0).reaches(0));
        assert!(span(1, 9).reaches(0) && span(1, 9).reaches(5) && span(1, 9).reaches(9));
        // From the future: a backup came back.
        assert!(!span(1, 9).reaches(10));
        // Trimmed up to 6.
        assert!(span(7, 9).reaches(6) && !span(7, 9).reaches(5));
    }
}
