//! What the dialects without RFC 4533 find out about their server first.

use std::time::Duration;

use ldap3::Scope;

use super::connect::search;
use super::failure::LdapFailure;
use super::identity::{Identity, VERSIONS};
use super::listing::Listing;
use super::outlet::Outlet;
use super::session::{Opened, attributes};
use crate::directory::LdapOptions;

/// RFC 2696.
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// How often everything is compared, where nothing else is said: deletions and moves are found by it.
pub(super) const COMPARE_EVERY: Duration = Duration::from_secs(300);

/// How the base is listed, and what is asked for.
pub(super) async fn find_out(
    options: &LdapOptions,
    outlet: &mut Outlet,
    opened: &mut Opened,
) -> Result<(Listing, Vec<String>), LdapFailure> {
    let base = opened.base.to_string();
    let known: Vec<&str> = Identity::ALL.iter().filter_map(|identity| identity.attribute()).collect();
    let query = (base.as_str(), Scope::Base, "(objectClass=*)");
    let found = search(&mut opened.wire, options.timers.connect, "the query of the base", query, 0, &known).await?;
    let none = || LdapFailure::Search { base: base.clone(), code: 32, answer: "not even the base was found".to_owned() };
    let (_, held) = found.first().ok_or_else(none)?;
    let identity = Identity::seen(held);
    outlet.faults.without_id(identity == Identity::Name);
    let paged = opened.dse.has_control(PAGED_RESULTS);
    let mut names = attributes(options, &VERSIONS);
    names.extend(identity.attribute().filter(|_| identity != Identity::EntryUuid).map(str::to_owned));
    names.push("hasSubordinates".to_owned());
    Ok((Listing::new(base, identity, paged, &options.timers), names))
}
