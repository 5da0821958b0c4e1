//! What outlives a connection: the way to whoever listens, the cookie to go on from, and the faults found so far.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::ad::Ahead;
use super::clock;
use super::decode::Found;
use super::failure::LdapFailure;
use super::faults::Faults;
use super::ledger::{LEAF, Ledger};
use super::queue::Queue;
use crate::directory::{Cookie, Entry, Event, LdapOptions, Report};
use crate::model::Dn;

/// Classes of entries that have nothing below them.
const LEAVES: [&str; 13] = [
    "person",
    "organizationalPerson",
    "inetOrgPerson",
    "user",
    "account",
    "posixAccount",
    "groupOfNames",
    "groupOfUniqueNames",
    "posixGroup",
    "group",
    "device",
    "applicationProcess",
    "dialcastSubnet",
];

/// What vanished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lost {
    Nothing,
    /// Entries without others below them. Should one come back, groups may hold it by a name that it has no longer.
    Entries,
    /// Entries, and perhaps others with them that the ledger still has: it is not to be gone on from.
    Subtrees,
}

/// What every session writes to, whatever its dialect.
pub(super) struct Outlet {
    pub(super) out: mpsc::Sender<Report>,
    queue: Queue,
    /// Where to go on from: the newest told, or that of the session before.
    pub(super) cookie: Option<Cookie>,
    pub(super) faults: Faults,
    /// Of Active Directory: what another controller has newer than the one that is read.
    pub(super) ahead: Ahead,
    /// Whether this connection's refresh was completed.
    pub(super) refreshed: bool,
    /// Whether a list is all that is wanted.
    pub(super) list_only: bool,
    /// What was told.
    pub(super) ledger: Ledger,
    /// When everything was last known to be as it was told: a full list, or a comparison.
    pub(super) compared: Instant,
    /// What vanished since everything was last read.
    pub(super) lost: Lost,
    /// When everything was last read.
    pub(super) listed: Instant,
    /// By how many seconds the servers' clocks may differ from each other and from ours.
    clocks_s: u64,
}

impl Outlet {
    pub(super) fn new(options: &LdapOptions, cookie: Option<Cookie>, out: mpsc::Sender<Report>, list_only: bool) -> Self {
        let faults = Faults::new(options.url.to_string());
        Self {
            out,
            queue: Queue::default(),
            cookie,
            faults,
            ahead: Ahead::default(),
            refreshed: false,
            list_only,
            ledger: Ledger::default(),
            compared: Instant::now(),
            lost: Lost::Nothing,
            listed: Instant::now(),
            clocks_s: options.timers.poll_overlap.as_secs(),
        }
    }

    /// Puts a report behind those that wait.
    pub(super) fn tell(&mut self, report: Report) {
        self.queue.push(report);
    }

    /// Whether more may be read from the network.
    pub(super) fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The report that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Report> {
        self.queue.pop()
    }

    /// Sends what waits; whether anybody listens. Cancelling it loses nothing: a report is taken once there is room for it. The
    /// ledger has it as told, so that no comparison would ever find it.
    pub(super) async fn drain(&mut self) -> bool {
        while !self.queue.is_empty() {
            let Ok(permit) = self.out.reserve().await else { return false };
            if let Some(report) = self.queue.pop() {
                permit.send(report);
            }
        }
        !self.out.is_closed()
    }

    /// In the middle of a list: sends what waits when there is no room for more; whether anybody listens.
    pub(super) async fn make_room(&mut self) -> bool {
        self.queue.has_room() || self.drain().await
    }

    /// Waits for nobody to listen.
    pub(super) async fn unheard(&self) {
        self.out.closed().await;
    }

    /// Puts an event of one entry behind those that wait, and enters it into the ledger; entries as they are now go by
    /// [`Self::found`].
    pub(super) fn event(&mut self, event: Event) {
        match &event {
            Event::Delete(id) => {
                self.faults.good(*id);
                // What hung below it went with it, and nobody says what that was.
                self.lost = self.lost.max(if self.ledger.is_leaf(*id) { Lost::Entries } else { Lost::Subtrees });
                self.ledger.gone(*id);
            }
            // The server believes that it was told. Where it is, the roll call finds it.
            Event::InitKeep(id) if self.ledger.is_primed() && !self.ledger.knows(*id) => return,
            Event::InitKeep(id) => self.ledger.kept(*id),
            _ => {}
        }
        self.tell(Report::Event(event));
    }

    /// Tells an entry as it is now: in a refresh, or by itself. One whose name cannot be read stays as it was.
    pub(super) fn found(&mut self, entry: Found, refreshing: bool) {
        let Found { id, dn, attributes, version, has_below } = entry;
        let is_leaf = has_below != Some(true) && LEAVES.iter().any(|class| attributes.has_class(class));
        self.ledger.told(id, version.marked(clock::settled_s(self.clocks_s)) | if is_leaf { LEAF } else { 0 });
        if !is_leaf && has_below != Some(false) {
            self.ledger.names_changed();
        }
        match dn {
            Ok(dn) => {
                self.faults.good(id);
                let entry = Entry { id, dn, attributes };
                self.tell(Report::Event(if refreshing { Event::InitApply(entry) } else { Event::Apply(entry) }));
            }
            Err((text, why)) => {
                self.faults.bad_name(id, &text, &why);
                if refreshing {
                    // It is there: it must not be swept.
                    self.tell(Report::Event(Event::InitKeep(id)));
                }
            }
        }
    }

    /// The name of an entry that came from elsewhere, or back into sight, with others below it: servers tell of the entry alone.
    /// `inside`: entries can be moved into the base from outside. An entry that was just made has nothing below it.
    pub(super) fn brings_others(&self, entry: &Found, inside: bool) -> Option<Dn> {
        let has_below = self.ledger.is_primed() && entry.has_below.unwrap_or(inside) && !self.ledger.knows(entry.id);
        entry.dn.as_ref().ok().filter(|_| has_below).cloned()
    }

    /// A refresh begins: its faults are told anew. `full`: it is the whole content.
    pub(super) fn begin(&mut self, full: bool) {
        self.faults.clear();
        if full {
            self.lost = Lost::Nothing;
            self.listed = Instant::now();
        }
        self.ledger.begin(full);
        self.tell(Report::Event(Event::Init));
    }

    /// A refresh begins that only says what is there: the faults stay.
    pub(super) fn begin_again(&mut self) {
        self.ledger.begin(false);
        self.tell(Report::Event(Event::Init));
    }

    /// Everything was compared with what was told; or could not be.
    pub(super) fn compared(&mut self, failure: Option<&LdapFailure>) {
        self.compared = Instant::now();
        self.faults.uncompared(failure);
        self.report_faults();
    }

    /// A refresh is complete.
    pub(super) fn complete(&mut self, sweep: bool, cookie: Option<Cookie>) {
        self.ledger.complete(sweep);
        self.compared = Instant::now();
        self.cookie.clone_from(&cookie);
        self.refreshed = true;
        self.tell(Report::Event(Event::InitDone { sweep, cookie }));
        self.report_faults();
    }

    /// All that was told so far belongs to this cookie.
    pub(super) fn checkpoint(&mut self, cookie: Cookie) {
        self.cookie = Some(cookie.clone());
        self.tell(Report::Event(Event::Checkpoint(cookie)));
        self.report_faults();
    }

    pub(super) fn report_faults(&mut self) {
        if let Some(faults) = self.faults.take() {
            self.tell(Report::Faults(faults));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_pause_that_ends_loses_no_report() {
        let (out, mut reports) = mpsc::channel(1);
        let mut outlet = Outlet::new(&LdapOptions::new("ldap://h/dc=x".parse().unwrap()), None, out, false);
        for entries in 0..3 {
            outlet.tell(Report::Progress { entries });
        }
        let mut context = Context::from_waker(Waker::noop());
        for expect in 0..3 {
            // There is room for one; dropped while it waits to send the next.
            let heard = pin!(outlet.drain()).poll(&mut context);
            assert_eq!(heard.is_pending(), expect < 2);
            assert!(matches!(reports.try_recv(), Ok(Report::Progress { entries }) if entries == expect));
        }
        assert_eq!(pin!(outlet.drain()).poll(&mut context), Poll::Ready(true));
    }
}
