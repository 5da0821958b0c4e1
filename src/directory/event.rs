//! What a feed says: the one language of all dialects.

use std::fmt;

use crate::model::{Attributes, Dn, Fault, ObjectId};

/// An entry as the directory holds it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its stable id.
    pub id: ObjectId,
    /// Its name at the time of the event. Children of a renamed entry are not told again: the store derives their names.
    pub dn: Dn,
    /// All attributes that Dialcast asked for.
    pub attributes: Attributes,
}

/// One step of a feed.
///
/// A refresh is `Init`, then any number of `InitApply`, `InitKeep` and `Delete`, then `InitDone`; until then nothing
/// of it may reach readers. Outside a refresh, `Apply` and `Delete` stand for themselves. Feeds are at-least-once:
/// the same entry may come twice, and applying it twice changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A refresh begins. If the one before did not end, what it brought is forgotten.
    Init,
    /// In a refresh: the entry is there, like this.
    InitApply(Entry),
    /// In a refresh: the entry is there, unchanged since the cookie (RFC 4533 §3.3.2, present).
    ///
    /// The same refresh may apply the entry too, before or after; and an id that nobody knows says nothing.
    InitKeep(ObjectId),
    /// The refresh is complete.
    InitDone {
        /// Whether every entry not named since `Init` has vanished (RFC 4533: the present phase; a full list), or whether
        /// deletions were told one by one.
        sweep: bool,
        /// Where to go on from, once the refresh has been applied.
        cookie: Option<Cookie>,
    },
    /// The entry was added, changed, renamed or moved, and is now like this.
    Apply(Entry),
    /// The entry is gone, and whatever hangs below it in the directory's view of the scope.
    Delete(ObjectId),
    /// All events so far belong to this cookie: it is stored only together with them.
    Checkpoint(Cookie),
}

/// Where a feed can go on from: opaque outside of the dialect that made it.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie(pub Vec<u8>);

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookie({})", String::from_utf8_lossy(&self.0))
    }
}

/// What a receiver has already.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resume {
    /// The cookie that was stored together with the state.
    pub cookie: Option<Cookie>,
    /// The ids of the state's entries, glue left out: what the server has beside them was never told, and is read. Not given, the
    /// feed has to take the server's word.
    pub known: Option<Vec<ObjectId>>,
}

/// What a feed reports to the runtime: events, and how the feed itself fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A step of the directory.
    Event(Event),
    /// The feed is connected; `what` says to what and how (`OpenLDAP syncrepl at ldap://…`).
    Up {
        /// For people.
        what: String,
    },
    /// The feed lost its source and tries again; the last good state stays.
    Down {
        /// Why, for people; never with a secret.
        why: String,
        /// Milliseconds until the next try.
        retry_ms: u64,
    },
    /// How far a long list has come.
    Progress {
        /// Entries received so far.
        entries: u64,
    },
    /// The faults that the source has now, replacing those of the report before. Empty: all repaired.
    Faults(Vec<Fault>),
}
