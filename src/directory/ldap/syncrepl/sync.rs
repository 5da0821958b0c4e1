//! RFC 4533 refreshAndPersist as a state machine: messages in, events out; no network and no time.
//!
//! ```text
//!             entries, syncIdSet              entries, syncIdSet
//!            ┌────┐                           ┌────┐
//!            │    ▼     refreshPresent or     │    ▼
//!  begin ──► Refresh ── refreshDelete, done ─► Live ── newCookie ──► Live
//! ```

use super::super::decode::{Found, Info, Message, State, SyncEntry};
use crate::directory::{Cookie, Event};

/// What a message brings about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// For the store.
    Event(Event),
    /// An entry as it is now.
    Entry {
        found: Found,
        /// Whether it is of the refresh.
        refreshing: bool,
    },
    /// A part of the tree that is elsewhere.
    Reference(String),
}

/// Where the session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sync {
    /// The server brings us up to date.
    Refresh(Refresh),
    /// The server tells changes as they happen.
    Live,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refresh {
    /// Whether everything not named by the end is gone.
    sweep: bool,
    /// The newest cookie so far. It describes the end of the refresh, not its middle.
    cookie: Option<Vec<u8>>,
    /// How many entries were named.
    entries: u64,
}

impl Sync {
    /// A session begins, with a cookie or without.
    pub(super) fn begin(resumed: bool, out: &mut Vec<Effect>) -> Self {
        out.push(Effect::Event(Event::Init));
        // RFC 4533 §3.3.1: without a cookie the refresh is the whole content.
        Self::Refresh(Refresh { sweep: !resumed, cookie: None, entries: 0 })
    }

    /// How many entries the refresh under way has brought; nothing when none is.
    pub(super) fn refreshing(&self) -> Option<u64> {
        if let Self::Refresh(refresh) = self { Some(refresh.entries) } else { None }
    }

    /// One message.
    pub(super) fn step(self, message: Message, out: &mut Vec<Effect>) -> Self {
        match (self, message) {
            (state, Message::Other) => state,
            (state, Message::Reference(url)) => {
                out.push(Effect::Reference(url));
                state
            }
            (Self::Refresh(refresh), Message::Entry(entry)) => refresh.entry(entry, out),
            (Self::Refresh(refresh), Message::Info(info)) => refresh.info(info, out),
            (Self::Live, Message::Entry(entry)) => live_entry(entry, out),
            (Self::Live, Message::Info(info)) => live_info(info, out),
        }
    }
}

impl Refresh {
    fn entry(mut self, entry: SyncEntry, out: &mut Vec<Effect>) -> Sync {
        let SyncEntry { state, found, cookie } = entry;
        self.note(cookie);
        self.entries += 1;
        out.push(match state {
            State::Present => Effect::Event(Event::InitKeep(found.id)),
            State::Delete => Effect::Event(Event::Delete(found.id)),
            State::Add | State::Modify => Effect::Entry { found, refreshing: true },
        });
        Sync::Refresh(self)
    }

    fn info(mut self, info: Info, out: &mut Vec<Effect>) -> Sync {
        match info {
            Info::NewCookie(cookie) => self.note(Some(cookie)),
            Info::IdSet { cookie, deletes, ids } => {
                self.note(cookie);
                self.entries += ids.len() as u64;
                // RFC 4533 §2.5: refreshDeletes TRUE: they are gone; FALSE: they are there, unchanged.
                let event = if deletes { Event::Delete } else { Event::InitKeep };
                out.extend(ids.into_iter().map(event).map(Effect::Event));
            }
            Info::RefreshPresent { cookie, done } => {
                self.note(cookie);
                // RFC 4533 §3.3.2: after a present phase, what was not named is gone; a delete phase may follow.
                self.sweep = true;
                if done {
                    return self.done(out);
                }
            }
            Info::RefreshDelete { cookie, done } => {
                self.note(cookie);
                if done {
                    return self.done(out);
                }
            }
        }
        Sync::Refresh(self)
    }

    fn done(self, out: &mut Vec<Effect>) -> Sync {
        out.push(Effect::Event(Event::InitDone { sweep: self.sweep, cookie: self.cookie.map(Cookie) }));
        Sync::Live
    }

    fn note(&mut self, cookie: Option<Vec<u8>>) {
        if cookie.is_some() {
            self.cookie = cookie;
        }
    }
}

/// A change.
fn live_entry(entry: SyncEntry, out: &mut Vec<Effect>) -> Sync {
    let SyncEntry { state, found, cookie } = entry;
    match state {
        // RFC 4533 §3.4.2: only of a refresh.
        State::Present => {}
        State::Delete => out.push(Effect::Event(Event::Delete(found.id))),
        State::Add | State::Modify => out.push(Effect::Entry { found, refreshing: false }),
    }
    checkpoint(cookie, out);
    Sync::Live
}

fn live_info(info: Info, out: &mut Vec<Effect>) -> Sync {
    let cookie = match info {
        Info::NewCookie(cookie) => Some(cookie),
        Info::IdSet { cookie, deletes, ids } => {
            if deletes {
                out.extend(ids.into_iter().map(Event::Delete).map(Effect::Event));
            }
            cookie
        }
        // The end of a refresh that has ended.
        Info::RefreshDelete { cookie, .. } | Info::RefreshPresent { cookie, .. } => cookie,
    };
    checkpoint(cookie, out);
    Sync::Live
}

fn checkpoint(cookie: Option<Vec<u8>>, out: &mut Vec<Effect>) {
    out.extend(cookie.map(|cookie| Effect::Event(Event::Checkpoint(Cookie(cookie)))));
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
