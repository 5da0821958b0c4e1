//! The feed: one session after another, with pauses between those that fail.

use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::mpsc;

use super::backoff::Backoff;
use super::failure::LdapFailure;
use super::session::{End, Session};
use crate::directory::{Event, LdapOptions, Report, Resume};
use crate::model::Fault;

/// Reports the directory and every change of it, until nobody listens.
pub(in crate::directory) async fn watch(options: LdapOptions, resume: Resume, out: mpsc::Sender<Report>) {
    let mut random = StdRng::from_os_rng();
    let mut backoff = Backoff::new(&options.timers);
    let mut session = Session::new(options, resume.cookie, out, false);
    if let Some(known) = resume.known {
        session.outlet.ledger.prime(known);
    }
    let mut refused = false;
    loop {
        let begun = Instant::now();
        let end = session.run().await;
        if session.outlet.refreshed {
            backoff.reset();
        }
        let failure = match end {
            End::Unheard | End::Listed => return,
            // A session without a cookie reads everything before it can ask for it again.
            End::Relist => {
                session.outlet.cookie = None;
                session.outlet.ledger.distrust();
                session.places.stay();
                continue;
            }
            // The first time there is nothing to wait for.
            End::CookieRefused if !std::mem::replace(&mut refused, true) => {
                session.outlet.cookie = None;
                session.places.stay();
                continue;
            }
            End::CookieRefused => {
                session.outlet.cookie = None;
                LdapFailure::Closed(": the server refuses its own cookies".to_owned())
            }
            End::Failed(failure) => {
                refused = false;
                failure
            }
        };
        if session.outlet.refreshed && is_of_the_line(&failure, begun.elapsed()) {
            session.places.stay();
        }
        let pause = match &failure {
            // Tried often, it locks the account.
            failure if failure.is_of_account() => backoff.longest(&mut random),
            _ => backoff.next(&mut random),
        };
        let retry_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        session.outlet.tell(Report::Down { why: failure.explain(), retry_ms });
        // What waits is sent within the pause, or after it: the next session goes on with the same queue.
        let sending = async {
            if session.outlet.drain().await {
                session.outlet.unheard().await;
            }
        };
        tokio::select! {
            () = sending => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// A session that went well for so long, and then lost its connection.
const STEADY: Duration = Duration::from_secs(60);

/// Whether a session's end says little against its server: a connection is closed when a ticket expires, when something between thinks
/// that it is idle, when the server is started anew. The same server is then tried first; another could have to be compared entry by entry.
fn is_of_the_line(failure: &LdapFailure, lived: Duration) -> bool {
    matches!(failure, LdapFailure::Closed(_)) && lived >= STEADY
}

/// Reports that may wait between the session and its collector: they are in one task.
const WAITING_MAX: usize = 256;

/// One complete list, and the faults of its entries.
pub(in crate::directory) async fn read(options: LdapOptions) -> Result<(Vec<Event>, Vec<Fault>), LdapFailure> {
    let (out, mut reports) = mpsc::channel(WAITING_MAX);
    let mut session = Session::new(options, None, out, true);
    let collecting = async move {
        let mut found = (Vec::new(), Vec::new());
        while let Some(report) = reports.recv().await {
            match report {
                Report::Event(event) => found.0.push(event),
                Report::Faults(faults) => found.1 = faults,
                Report::Up { .. } | Report::Down { .. } | Report::Progress { .. } => {}
            }
        }
        found
    };
    let running = async move { session.run().await };
    match tokio::join!(running, collecting) {
        (End::Listed, found) => Ok(found),
        (End::Failed(failure), _) => Err(failure),
        (End::Unheard | End::CookieRefused | End::Relist, _) => Err(LdapFailure::Closed(" in the middle of the list".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_fault_an_end_is() {
        let closed = || LdapFailure::Closed(" by the server".to_owned());
        assert!(is_of_the_line(&closed(), STEADY));
        assert!(!is_of_the_line(&closed(), STEADY / 2));
        assert!(!is_of_the_line(&LdapFailure::Silent(STEADY), STEADY * 2));
    }
}
