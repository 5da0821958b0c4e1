//! Attributes of which a controller sends 1,500 values at a time: the members of large groups.
//!
//! The values are counted, so that a member who leaves while they are read moves those behind one place forward, and one would be
//! missed. Therefore each range begins with the last value of the one before; where that is not the same, reading begins anew.
//! Whoever is a member all the while is found. Whoever came or went meanwhile changed the group, and it is read again.

use std::time::Duration;

use ldap3::Scope;

use super::super::failure::LdapFailure;
use super::super::wire::Wire;
use super::controls;
use super::pages::{Item, Pages, Query};
use super::record::{Ranged, Record};
use crate::model::ObjectId;

/// How often reading may begin anew: a group that loses members faster than that is told as it was last seen, and again
/// when it has changed.
const ATTEMPTS: u32 = 16;

/// How often the entry is asked for a range at most: 15 million values, past any group.
const RANGES_MAX: usize = 10_000;

/// Reads the values that did not come. `false`: the entry is gone.
pub(super) async fn complete(wire: &mut Wire, record: &mut Record, limit: Duration) -> Result<bool, LdapFailure> {
    for ranged in &mut record.ranged {
        for attempt in 0..ATTEMPTS {
            match rest(wire, record.id, ranged, attempt + 1 < ATTEMPTS, limit).await? {
                Rest::Whole => break,
                Rest::Gone => return Ok(false),
                Rest::Shifted => (ranged.values, ranged.ends) = (Vec::new(), false),
            }
        }
    }
    Ok(true)
}

enum Rest {
    Whole,
    /// The values are not where they were.
    Shifted,
    Gone,
}

/// `strict`: a shift counts.
async fn rest(wire: &mut Wire, id: ObjectId, ranged: &mut Ranged, strict: bool, limit: Duration) -> Result<Rest, LdapFailure> {
    for _ in 0..RANGES_MAX {
        if ranged.ends {
            return Ok(Rest::Whole);
        }
        let from = ranged.values.len().saturating_sub(1);
        let asked = if ranged.values.is_empty() { ranged.name.clone() } else { format!("{};range={from}-*", ranged.name) };
        let query = Query {
            step: "the search for a group's members",
            base: format!("<GUID={id}>"),
            scope: Scope::Base,
            filter: "(objectClass=*)".to_owned(),
            attributes: vec!["objectGUID".to_owned(), asked],
            controls: vec![controls::show_deleted()],
        };
        let mut pages = Pages::as_they_come(query, limit);
        let mut found = None;
        loop {
            match pages.next(wire).await {
                Ok(Some(Item::Record(record))) => found = Some(record),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(LdapFailure::Search { code: 32, .. }) => return Ok(Rest::Gone),
                Err(failure) => return Err(failure),
            }
        }
        let Some(mut found) = found else { return Ok(Rest::Gone) };
        let first = ranged.values.is_empty();
        let Some(more) = found.ranged.iter().position(|more| more.name == ranged.name).map(|at| found.ranged.swap_remove(at)) else {
            if first {
                // By now it is no more than one answer holds.
                ranged.values = found.attributes.values(&ranged.name).iter().map(<[u8]>::to_vec).collect();
                ranged.ends = true;
                return Ok(Rest::Whole);
            }
            // The range begins behind the last value.
            ranged.ends = !strict;
            return Ok(if strict { Rest::Shifted } else { Rest::Whole });
        };
        if strict && !first && more.values.first() != ranged.values.last() {
            return Ok(Rest::Shifted);
        }
        let count = more.values.len();
        ranged.values.extend(more.values.into_iter().skip(usize::from(!first)));
        ranged.ends = more.ends;
        if !more.ends && count < 2 {
            return Err(LdapFailure::Malformed("a range of values that does not go on"));
        }
    }
    Err(LdapFailure::Malformed("an attribute of endless values"))
}
