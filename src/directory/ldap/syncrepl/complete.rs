//! Whether a list that the server calls complete is so.
//!
//! syncprov leaves out every entry that is newer than the server's contextCSN, and answers success. After `slapadd` without
//! `-w` that is nearly all of them: it would look like a mass deletion.

use std::time::Duration;

use ldap3::Scope;

use super::super::connect::search;
use super::super::failure::LdapFailure;
use super::super::wire::Wire;

/// How often to look again when an entry is newer: a change that is just being made is newer for a moment.
const ROUNDS: u32 = 4;
/// The pause between.
const PAUSE: Duration = Duration::from_millis(100);

/// Fails when there is an entry below the base that is newer than the server's contextCSN. Where the account may not read
/// what this needs, or the server cannot answer it in time, nothing is said against the list.
pub(in crate::directory::ldap) async fn check(wire: &mut Wire, limit: Duration, context: &str, base: &str) -> Result<(), LdapFailure> {
    let mut found = None;
    for round in 0..ROUNDS {
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let Some(before) = newest(wire, limit, (context, Scope::Base, "(objectClass=*)"), "contextCSN").await? else { return Ok(()) };
        // A CSN is digits, letters, `.` and `#`: nothing that a filter needs escaped (RFC 4515 §3).
        let newer = format!("(&(entryCSN>={before})(!(entryCSN={before})))");
        let Some(entry) = newest(wire, limit, (base, Scope::Subtree, &newer), "entryCSN").await? else { return Ok(()) };
        let Some(after) = newest(wire, limit, (context, Scope::Base, "(objectClass=*)"), "contextCSN").await? else { return Ok(()) };
        if entry <= after {
            return Ok(());
        }
        found = Some(LdapFailure::StaleContext { context: after, entry });
    }
    found.map_or(Ok(()), Err)
}

/// The newest value among the entries found: CSNs sort by time.
async fn newest(wire: &mut Wire, limit: Duration, query: (&str, Scope, &str), name: &str) -> Result<Option<String>, LdapFailure> {
    match search(wire, limit, "the check of contextCSN", query, 1, &[name]).await {
        Ok(entries) => Ok(entries.iter().flat_map(|(_, attributes)| attributes.texts(name)).max().map(str::to_owned)),
        Err(LdapFailure::Search { .. } | LdapFailure::Timeout { .. }) => Ok(None),
        Err(failure) => Err(failure),
    }
}
