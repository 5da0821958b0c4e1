//! What outlives a connection: the way to whoever listens, the cookie to go on from, and the faults found so far.

use tokio::sync::mpsc;

use super::faults::Faults;
use super::queue::Queue;
use crate::directory::{Cookie, Event, LdapOptions, Report};

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
}

impl Outlet {
    pub(super) fn new(options: &LdapOptions, cookie: Option<Cookie>, out: mpsc::Sender<Report>, list_only: bool) -> Self {
        let faults = Faults::new(options.url.to_string());
        Self { out, queue: Queue::default(), cookie, faults, refreshed: false, list_only }
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

    /// A refresh begins: its faults are told anew.
    pub(super) fn begin(&mut self) {
        self.faults.clear();
        self.tell(Report::Event(Event::Init));
    }

    /// A refresh is complete.
    pub(super) fn complete(&mut self, sweep: bool, cookie: Option<Cookie>) {
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
