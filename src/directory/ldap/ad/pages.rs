//! Searches by pages: no more than one of them is ever on the way.

use ldap3::controls::RawControl;
use ldap3::{LdapResult, Scope};

use super::super::decode;
use super::super::failure::{LdapFailure, answer};
use super::super::vitals::Stream;
use super::super::wire::Wire;
use super::controls;
use super::record::Record;
use std::time::Duration;

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
    cookie: Vec<u8>,
    ended: bool,
}

impl Pages {
    /// `limit`: how long the server may be silent.
    pub(super) fn of(query: Query, paged: bool, limit: Duration) -> Self {
        Self { query, paged, limit, stream: None, cookie: Vec::new(), ended: false }
    }

    /// The next item; `None` after the last page's end.
    pub(super) async fn next(&mut self, wire: &mut Wire) -> Result<Option<Item>, LdapFailure> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if self.stream.is_none() {
                self.stream = Some(self.ask(wire).await?);
            }
            let Some(stream) = &mut self.stream else { continue };
            let Some(found) = wire.call(self.query.step, self.limit, stream.next()).await? else {
                let result = stream.finish().await;
                self.stream = None;
                self.turn(&result)?;
                return Ok(Some(Item::PageEnd));
            };
            if found.is_ref() {
                return decode::reference(found.0).map(|url| Some(Item::Reference(url))).map_err(LdapFailure::Malformed);
            }
            if found.is_intermediate() {
                continue;
            }
            let raw = decode::raw(found.0).map_err(LdapFailure::Malformed)?;
            if let Some(record) = Record::read(raw).map_err(LdapFailure::Malformed)? {
                return Ok(Some(Item::Record(Box::new(record))));
            }
        }
    }

    async fn ask(&self, wire: &mut Wire) -> Result<Stream, LdapFailure> {
        let Query { step, base, scope, filter, attributes, controls } = &self.query;
        let mut sent = controls.clone();
        if self.paged {
            sent.push(controls::paged(&self.cookie));
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
        self.cookie = decode::page_cookie(&result.ctrls).map_err(LdapFailure::Malformed)?.unwrap_or_default();
        self.ended = self.cookie.is_empty();
        Ok(())
    }
}
