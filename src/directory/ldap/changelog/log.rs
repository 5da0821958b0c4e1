//! The retro changelog itself: what is in it, and from where on we go on.

use std::time::Duration;

use ldap3::Scope;

use super::record::{Change, NAMES};
use crate::directory::ldap::connect::search;
use crate::directory::ldap::failure::LdapFailure;
use crate::directory::ldap::syncrepl::changelog::Span;
use crate::directory::ldap::wire::Wire;

/// Records that are asked for at a time: 389 Directory Server gives an ordinary account's range 5,000 candidates at most.
pub(super) const WINDOW: u64 = 500;
/// How far back the newest record is looked for: a change that was taken back leaves a number out.
const NEWEST_AMONG: u64 = 20;

/// The changelog of a server.
pub(super) struct Log {
    pub(super) base: String,
    limit: Duration,
}

/// A record that was there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Point {
    pub(super) number: u64,
    /// The record's id; nothing when there was no record yet.
    pub(super) mark: Option<String>,
}

impl Log {
    /// The server's changelog, and its newest record. Fails where the account cannot read what is needed of it.
    pub(super) async fn open(wire: &mut Wire, limit: Duration) -> Result<(Self, Span, Point), LdapFailure> {
        let Some(span) = Span::read(wire, limit).await? else {
            return Err(LdapFailure::Changelog { base: "cn=changelog".to_owned(), why: "the server keeps none".to_owned() });
        };
        let log = Self { base: span.base.clone(), limit };
        let newest = log.read(wire, span.last.saturating_sub(NEWEST_AMONG), span.last).await?.pop();
        let point = match newest {
            Some(change) => Point { number: change.number, mark: Some(change.mark) },
            None if span.last == 0 => Point::default(),
            None => return Err(log.unreadable()),
        };
        Ok((log, span, point))
    }

    /// What is wrong when records are not to be seen.
    pub(super) fn unreadable(&self) -> LdapFailure {
        LdapFailure::Changelog { base: self.base.clone(), why: "the account cannot see its records".to_owned() }
    }

    /// The numbers that it has.
    pub(super) async fn span(&self, wire: &mut Wire) -> Result<Span, LdapFailure> {
        let none = || LdapFailure::Changelog { base: self.base.clone(), why: "the server keeps none any more".to_owned() };
        Span::read(wire, self.limit).await?.ok_or_else(none)
    }

    /// The records from one number to another, in order. The server answers when what is being written is written, or taken back: a
    /// record that it shows is of a change that every search after it sees.
    pub(super) async fn read(&self, wire: &mut Wire, first: u64, last: u64) -> Result<Vec<Change>, LdapFailure> {
        let filter = format!("(&(changeNumber>={first})(changeNumber<={last}))");
        let query = (self.base.as_str(), Scope::OneLevel, filter.as_str());
        let found = search(wire, self.limit, "the query of the changelog", query, 0, &NAMES).await.map_err(|failure| match failure {
            // insufficientAccessRights, noSuchObject
            LdapFailure::Search { code: 50 | 32, .. } => self.unreadable(),
            failure => failure,
        })?;
        let lacks = |what: &str| LdapFailure::Changelog {
            base: self.base.clone(),
            why: format!("its records have no {what} that the account can see"),
        };
        let mut changes = found.iter().map(|(_, attributes)| Change::of(attributes).map_err(lacks)).collect::<Result<Vec<_>, _>>()?;
        changes.sort_unstable_by_key(|change| change.number);
        Ok(changes)
    }

    /// Whether everything after a point is there, and the point itself is what it was.
    pub(super) async fn goes_on_from(&self, wire: &mut Wire, span: &Span, point: &Point) -> Result<bool, LdapFailure> {
        if !span.reaches(point.number) {
            return Ok(false);
        }
        // The newest of the changes trimmed: nothing is left to compare, and nothing after it is missing.
        if point.number < span.first {
            return Ok(true);
        }
        let there = self.read(wire, point.number, point.number).await?.pop();
        Ok(there.is_some_and(|change| Some(change.mark) == point.mark))
    }
}
