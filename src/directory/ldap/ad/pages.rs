//! Searches by pages: no more than one of them is ever on the way.

use std::time::Duration;

use ldap3::controls::RawControl;
use ldap3::{LdapResult, Scope};

use super::super::decode;
use super::super::failure::{LdapFailure, answer};
use super::super::vitals::Stream;
use super::super::wire::Wire;
use super::record::Record;
use super::{controls, ranges};

/// What to look for.
#[derive(Debug, Clone)]
pub(super) struct Query {
    /// For people, where it takes too long.
    pub(super) step: &'static str,
    pub(super) base: String,
    pub(super) scope: Scope,
    pub(super) filter: String,
    pub(super) attributes: Vec<String>,
    /// Beside that of the pages.
    pub(super) controls: Vec<RawControl>,
}

/// What a search brings.
#[derive(Debug)]
pub(super) enum Item {
    Record(Box<Record>),
    /// A part of the tree that is elsewhere.
    Reference(String),
    /// Nothing is on the way: other searches may be made. Comes after the last entry too.
    PageEnd,
}

/// A search under way.
pub(super) struct Pages {
    query: Query,
    /// Whether the server knows pages.
    paged: bool,
    limit: Duration,
    stream: Option<Stream>,
    /// The cookie of the next page, empty for the first; none behind the last.
    cookie: Option<Vec<u8>>,
    /// Entries of the page of which values are missing.
    unfinished: Vec<Record>,
    /// Whether missing values are looked for.
    whole: bool,
    /// Whether a page has just ended.
    turned: bool,
}

impl Pages {
    /// `limit`: how long the server may be silent.
    pub(super) fn of(query: Query, paged: bool, limit: Duration) -> Self {
        Self { query, paged, limit, stream: None, cookie: Some(Vec::new()), unfinished: Vec::new(), whole: true, turned: false }
    }

    /// The same, and entries are given with the values that came with them.
    pub(super) fn as_they_come(query: Query, limit: Duration) -> Self {
        Self { whole: false, ..Self::of(query, false, limit) }
    }

    /// The next item; `None` after the last page's end.
    pub(super) async fn next(&mut self, wire: &mut Wire) -> Result<Option<Item>, LdapFailure> {
        loop {
            if self.stream.is_none() {
                if let Some(mut record) = self.unfinished.pop() {
                    // Boxed: it searches by pages too.
                    if Box::pin(ranges::complete(wire, &mut record, self.limit)).await? {
                        return Ok(Some(Item::Record(Box::new(record))));
                    }
                    continue;
                }
                if std::mem::take(&mut self.turned) {
                    return Ok(Some(Item::PageEnd));
                }
                let Some(cookie) = &self.cookie else { return Ok(None) };
                self.stream = Some(self.ask(wire, cookie).await?);
            }
            let Some(stream) = &mut self.stream else { continue };
            let Some(found) = wire.call(self.query.step, self.limit, stream.next()).await? else {
                let result = stream.finish().await;
                self.stream = None;
                self.turn(&result)?;
                continue;
            };
            if found.is_ref() {
                return decode::reference(found.0).map(|url| Some(Item::Reference(url))).map_err(LdapFailure::Malformed);
            }
            if found.is_intermediate() {
                continue;
            }
            let raw = decode::raw(found.0).map_err(LdapFailure::Malformed)?;
            match Record::read(raw).map_err(LdapFailure::Malformed)? {
                Some(record) if self.whole && record.ranged.iter().any(|ranged| !ranged.ends) => self.unfinished.push(record),
                Some(record) => return Ok(Some(Item::Record(Box::new(record)))),
                None => {}
            }
        }
    }

    async fn ask(&self, wire: &mut Wire, cookie: &[u8]) -> Result<Stream, LdapFailure> {
        let Query { step, base, scope, filter, attributes, controls } = &self.query;
        let mut sent = controls.clone();
        if self.paged {
            sent.push(controls::paged(cookie));
        }
        let mut handle = wire.handle();
        handle.with_controls(sent);
        wire.call(step, self.limit, handle.streaming_search(base, *scope, filter, attributes.clone())).await
    }

    /// Goes to the next page, if there is one.
    fn turn(&mut self, result: &LdapResult) -> Result<(), LdapFailure> {
        // RFC 4511 §4.1.9: a referral (10) in place of the base means that it is on another server.
        if result.rc != 0 {
            return Err(LdapFailure::Search { base: self.query.base.clone(), code: result.rc, answer: answer(result) });
        }
        // RFC 2696 §3: an empty cookie ends it; a server without pages sends none.
        self.cookie = decode::page_cookie(&result.ctrls).map_err(LdapFailure::Malformed)?.filter(|cookie| !cookie.is_empty());
        self.turned = true;
        Ok(())
    }
}
