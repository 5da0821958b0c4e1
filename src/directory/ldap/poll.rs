//! The last resort, for any server: entries by their `modifyTimestamp`, over and over, and the roll call for all the rest.
//!
//! The time of a change has one second's resolution, changes come out of order, and each of several servers has its own clock: so
//! each question goes back further than the newest change seen, and what comes again changes nothing.

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::listing::Listing;
use super::outlet::Outlet;
use super::plain::{COMPARE_EVERY, find_out};
use super::refresh::{make_room, refresh};
use super::roll::Roll;
use super::session::{End, Opened};
use super::wire::Wire;
use super::{clock, ledger::Standing};
use crate::directory::{LdapOptions, Report};

/// Reports by way of a connection until it ends. `what` says to what and how, for people.
pub(super) async fn run(options: &LdapOptions, outlet: &mut Outlet, mut opened: Opened, what: String) -> Result<End, End> {
    let (listing, names) = find_out(options, outlet, &mut opened).await?;
    outlet.tell(Report::Up { what });
    let mut wire = opened.wire;
    let mut newest = Newest::default();
    refresh(outlet, &mut wire, &listing, &names, |changed_s| newest.saw(changed_s)).await?;
    if outlet.list_only {
        return Ok(if outlet.drain().await { End::Listed } else { End::Unheard });
    }
    let out = outlet.out.clone();
    let mut roll = Roll::new(listing.clone(), names.clone(), &options.timers, COMPARE_EVERY);
    let mut polls = interval_at(Instant::now() + options.timers.poll_every, options.timers.poll_every);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let room = outlet.has_room();
        tokio::select! {
            biased;
            permit = out.reserve(), if !outlet.is_empty() => {
                let permit = permit.map_err(|_| End::Unheard)?;
                if let Some(report) = outlet.pop() {
                    permit.send(report);
                }
            }
            step = wire.run(roll.next(outlet.compared)), if room => {
                let step = step?;
                roll.take(step, wire.handle(), outlet).await?;
            }
            _ = polls.tick(), if room => {
                let since = newest.since(i64::try_from(options.timers.poll_overlap.as_secs()).unwrap_or(i64::MAX), clock::now_s());
                poll(outlet, &mut wire, &listing, &names, since, &mut newest).await?;
            }
            () = out.closed(), if outlet.is_empty() => return Err(End::Unheard),
        }
    }
}

/// Asks once for what was changed since a second.
async fn poll(
    outlet: &mut Outlet,
    wire: &mut Wire,
    listing: &Listing,
    names: &[String],
    since: Option<i64>,
    newest: &mut Newest,
) -> Result<(), End> {
    let changed = since.map_or_else(|| listing.clone(), |since| listing.matching(format!("(modifyTimestamp>={})", clock::text(since))));
    let mut stream = wire.run(changed.start(wire.handle(), names.to_vec())).await??;
    while let Some(found) = wire.run(changed.next(&mut stream)).await?? {
        newest.saw(found.version.changed_s);
        // Two changes of one second look alike, unless the server has something better.
        if !found.version.is_fine || outlet.ledger.standing(found.id, found.version.number) != Standing::Same {
            outlet.found(found, false);
            make_room(outlet).await?;
        }
    }
    Ok(())
}

/// The newest change seen.
#[derive(Debug, Default)]
struct Newest(Option<i64>);

impl Newest {
    fn saw(&mut self, changed_s: Option<i64>) {
        self.0 = self.0.max(changed_s);
    }

    /// From when on to ask. A change from the future, by a clock that is wrong, must not hide those of now.
    fn since(&self, overlap_s: i64, now_s: i64) -> Option<i64> {
        self.0.map(|newest| newest.min(now_s).saturating_sub(overlap_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_back() {
        let mut newest = Newest::default();
        assert_eq!(newest.since(120, 1_000), None);
        newest.saw(Some(900));
        newest.saw(Some(800));
        newest.saw(None);
        assert_eq!(newest.since(120, 1_000), Some(780));
        newest.saw(Some(5_000));
        assert_eq!(newest.since(120, 1_000), Some(880));
    }
}
