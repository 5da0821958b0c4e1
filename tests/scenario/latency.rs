//! How long a phone waits for a change, by server, with the default debounce.

use std::time::Instant;

use super::common::PATIENCE;
use super::common::daemon::Daemon;
use super::common::phone::Phone;
use super::server::Server;
use super::story::{Deed, berlin};

/// Changes measured: enough for a 95th percentile that is not the maximum.
const CHANGES: u32 = 40;

/// Gives a user another number, again and again, and prints how long it took from the admin's command to the phone, and from the server's
/// answer to the phone.
pub(crate) fn measure<S: Server>(server: &mut S, daemon: &Daemon) {
    let (mut phone, _) = Phone::subscribe(daemon.address, "anna@corp.example", PATIENCE);
    let (mut whole, mut after) = (Vec::new(), Vec::new());
    for n in 0..CHANGES {
        let deed = Deed::Tel { dn: format!("CN=anna,{}", berlin()), tel: format!("+49 30 55 {n:04}") };
        let begun = Instant::now();
        server.act(&[deed]);
        let answered = Instant::now();
        let (at, body) = phone.next();
        assert!(body.contains(&format!("tel:+493055{n:04}")), "{body}");
        whole.push((at - begun).as_secs_f64() * 1e3);
        after.push(at.saturating_duration_since(answered).as_secs_f64() * 1e3);
    }
    for times in [&mut whole, &mut after] {
        times.sort_by(f64::total_cmp);
    }
    let at = |times: &[f64], percent: usize| times[times.len() * percent / 100];
    eprintln!(
        "{}: command to phone p50 {:.1} ms, p95 {:.1} ms; of that after the server's answer p50 {:.1} ms, p95 {:.1} ms (debounce 50 ms)",
        S::NAME,
        at(&whole, 50),
        at(&whole, 95),
        at(&after, 50),
        at(&after, 95),
    );
}
