//! What outlives a connection: the way to whoever listens, the cookie to go on from, and the faults found so far.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::clock;
use super::decode::Found;
use super::failure::LdapFailure;
use super::faults::Faults;
use super::ledger::Ledger;
use super::queue::Queue;
use crate::directory::{Cookie, Entry, Event, LdapOptions, Report};

/// What every session writes to, whatever its dialect.
pub(super) struct Outlet {
    pub(super) out: mpsc::Sender<Report>,
    queue: Queue,
    /// Where to go on from: the newest told, or that of the session before.
    pub(super) cookie: Option<Cookie>,
    pub(super) faults: Faults,
    /// Whether this connection's refresh was completed.
    pub(super) refreshed: bool,
    /// Whether a list is all that is wanted.
    pub(super) list_only: bool,
    /// What was told.
    pub(super) ledger: Ledger,
    /// When everything was last known to be as it was told: a full list, or a comparison.
    pub(super) compared: Instant,
    /// Whether something vanished since everything was last read, perhaps with what hung below it.
    pub(super) swept: bool,
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
            refreshed: false,
            list_only,
            ledger: Ledger::default(),
            compared: Instant::now(),
            swept: false,
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

    /// Sends what waits; whether anybody listens.
    pub(super) async fn drain(&mut self) -> bool {
        while let Some(report) = self.queue.pop() {
            if self.out.send(report).await.is_err() {
                return false;
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
                self.ledger.gone(*id);
                // What hung below went with it, and nobody says what that was.
                self.swept = true;
            }
            Event::InitKeep(id) => self.ledger.kept(*id),
            _ => {}
        }
        self.tell(Report::Event(event));
    }

    /// Tells an entry as it is now: in a refresh, or by itself. One whose name cannot be read stays as it was.
    pub(super) fn found(&mut self, entry: Found, refreshing: bool) {
        let Found { id, dn, attributes, version, .. } = entry;
        self.ledger.told(id, version.marked(clock::settled_s(self.clocks_s)));
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

    /// A refresh begins: its faults are told anew. `full`: it is the whole content.
    pub(super) fn begin(&mut self, full: bool) {
        self.faults.clear();
        if full {
            self.swept = false;
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
