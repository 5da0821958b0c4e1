//! Ordinary searches of the whole base: entries one by one, ids with their versions, and entries by their ids.

use std::collections::HashSet;
use std::time::Duration;

use ldap3::adapters::{Adapter, PagedResults};
use ldap3::{Ldap, LdapResult, Scope};
use tokio::time::timeout;

use super::clock;
use super::decode::{self, Found};
use super::failure::{LdapFailure, answer};
use super::identity::{Identity, VERSIONS};
use super::vitals::Stream;
use crate::directory::Timers;
use crate::model::ObjectId;

/// Entries in one page, where the server pages: Active Directory gives no more, and others pay for each page.
const PAGE: i32 = 1_000;
/// Entries asked for by one filter: servers limit how long it may be.
const BATCH: usize = 50;

/// What is searched, and how.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) base: String,
    pub(super) identity: Identity,
    pub(super) filter: String,
    /// Whether the server is asked for pages (RFC 2696).
    pub(super) paged: bool,
    /// How long a search may stand still.
    pub(super) limit: Duration,
    /// By how many seconds the servers' clocks may differ from each other and from ours.
    pub(super) clocks_s: u64,
}

/// An entry's id and its version.
pub(super) type Listed = (ObjectId, u64);

impl Listing {
    /// Everything below the base.
    pub(super) fn new(base: String, identity: Identity, paged: bool, timers: &Timers) -> Self {
        let (limit, clocks_s) = (timers.refresh_stall, timers.poll_overlap.as_secs());
        Self { base, identity, filter: "(objectClass=*)".to_owned(), paged, limit, clocks_s }
    }

    /// The same with another filter.
    pub(super) fn matching(&self, filter: String) -> Self {
        Self { filter, ..self.clone() }
    }

    /// Begins a search. What comes is to be read with [`Self::next`].
    pub(super) async fn start(&self, mut handle: Ldap, attributes: Vec<String>) -> Result<Stream, LdapFailure> {
        let pages: Vec<Box<dyn Adapter<'static, String, Vec<String>>>> =
            if self.paged { vec![Box::new(PagedResults::new(PAGE))] } else { Vec::new() };
        let starting = handle.streaming_search_with(pages, &self.base, Scope::Subtree, &self.filter, attributes);
        let started = timeout(self.limit, starting).await.map_err(|_| self.late())?;
        started.map_err(LdapFailure::of)
    }

    /// The next entry; nothing at the end, when all came.
    pub(super) async fn next(&self, stream: &mut Stream) -> Result<Option<Found>, LdapFailure> {
        loop {
            let next = timeout(self.limit, stream.next()).await.map_err(|_| self.late())?;
            match next.map_err(LdapFailure::of)? {
                Some(entry) if entry.is_ref() || entry.is_intermediate() => {}
                Some(entry) => return decode::found(entry.0, self.identity).map(Some).map_err(LdapFailure::Malformed),
                None => return self.ended(&stream.finish().await).map(|()| None),
            }
        }
    }

    /// Every id with its version; but not of entries made after a second (a generalized time): these are told as they are made.
    pub(super) async fn ids(&self, handle: Ldap, until: Option<String>) -> Result<Vec<Listed>, LdapFailure> {
        let mut attributes: Vec<String> = VERSIONS.map(str::to_owned).to_vec();
        attributes.extend(self.identity.attribute().map(str::to_owned));
        attributes.push("createTimestamp".to_owned());
        let mut stream = self.start(handle, attributes).await?;
        let mut listed = Vec::new();
        let settled_s = clock::settled_s(self.clocks_s);
        while let Some(found) = self.next(&mut stream).await? {
            if until.as_deref().zip(found.attributes.text("createTimestamp")).is_none_or(|(until, made)| made <= until) {
                listed.push((found.id, found.version.marked(settled_s)));
            }
        }
        Ok(listed)
    }

    /// The entries with these ids that are there. Not where entries go by their names.
    pub(super) async fn entries(&self, handle: Ldap, ids: &[ObjectId], attributes: &[String]) -> Result<Vec<Found>, LdapFailure> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        for batch in ids.chunks(BATCH) {
            let filters: String = batch.iter().filter_map(|id| self.identity.filter(id)).collect();
            // Few answers: no pages.
            let some = Self { filter: format!("(|{filters})"), paged: false, ..self.clone() };
            let mut stream = some.start(handle.clone(), attributes.to_vec()).await?;
            while let Some(found) = some.next(&mut stream).await? {
                if seen.insert(found.id) {
                    entries.push(found);
                }
            }
        }
        Ok(entries)
    }

    fn ended(&self, result: &LdapResult) -> Result<(), LdapFailure> {
        if result.rc == 0 {
            return Ok(());
        }
        Err(LdapFailure::Search { base: self.base.clone(), code: result.rc, answer: answer(result) })
    }

    const fn late(&self) -> LdapFailure {
        LdapFailure::Timeout { step: "an answer of the search", limit: self.limit }
    }
}
