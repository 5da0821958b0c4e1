//! 389 Directory Server without Content Synchronization: the retro changelog, and a persistent search on it.
//!
//! ```text
//!   persistent search on cn=changelog ──► wakes                      what changed is read from the changelog by its number, and
//!   changenumber, in order            ──► says which entry, and how  the entry by its id: an event comes before the change is kept,
//!   the entry itself                  ──► says what it is now        and the records do not say (to us) what it was changed to
//! ```
//!
//! Numbers are gone on from after a break, while the changelog still reaches back to ours and has, under our number, the record that
//! was there. A persistent search begins to tell at some moment after it was asked: a gap between is seen by the numbers.

mod log;
mod reader;
mod record;

use std::time::Duration;

use ldap3::Scope;
use ldap3::controls::RawControl;
use tokio::time::Instant;

use self::log::{Log, Point};
use self::reader::{Reader, Seen};
use super::decode;
use super::failure::{LdapFailure, answer};
use super::identity::Identity;
use super::outlet::{Lost, Outlet};
use super::plain::find_out;
use super::refresh::{name_all, refresh};
use super::roll::Roll;
use super::session::{End, Opened};
use super::syncrepl::envelope::Envelope;
use super::vitals::{Heard, Stream, Vitals};
use super::wire::Wire;
use crate::directory::{LdapOptions, Report};

/// draft-ietf-ldapext-psearch §4.
const PERSISTENT_SEARCH: &str = "2.16.840.1.113730.3.4.3";
/// §4: SEQUENCE { changeTypes 1 (add), changesOnly TRUE, returnECs FALSE }: records are added, and trimmed, which is no news.
const ASKED: [u8; 11] = [0x30, 0x09, 0x02, 0x01, 0x01, 0x01, 0x01, 0xff, 0x01, 0x01, 0x00];

/// How often everything is compared, where nothing else is said: the changelog tells all that is changed.
const COMPARE_EVERY: Duration = Duration::from_secs(3600);
/// How often everything is compared at most because an entry does not look as the changelog says: it is asked for a few times first.
const DOUBTED_EVERY: Duration = Duration::from_secs(60);

/// Whether the account can read what is needed of the changelog.
pub(super) async fn check(wire: &mut Wire, limit: Duration) -> Result<(), LdapFailure> {
    Log::open(wire, limit).await.map(drop)
}

/// Reports by way of a connection until it ends. `what` says to what and how, for people.
pub(super) async fn run(options: &LdapOptions, outlet: &mut Outlet, mut opened: Opened, what: String) -> Result<End, End> {
    let (listing, names) = find_out(options, outlet, &mut opened).await?;
    if outlet.list_only {
        outlet.tell(Report::Up { what });
        refresh(outlet, &mut opened.wire, &listing, &names, |_| ()).await?;
        return Ok(if outlet.drain().await { End::Listed } else { End::Unheard });
    }
    if listing.identity != Identity::NsUniqueId {
        let why = "it knows entries by nsUniqueId, which the account cannot read".to_owned();
        return Err(LdapFailure::Changelog { base: "cn=changelog".to_owned(), why }.into());
    }
    let inside = opened.is_inside();
    let limit = options.timers.connect;
    let (log, span, newest) = Log::open(&mut opened.wire, limit).await?;
    let envelope = Envelope::of(options, &opened.base, &names);
    let known = outlet.cookie.as_ref().filter(|_| outlet.lost != Lost::Subtrees).and_then(|cookie| envelope.open_changelog(cookie));
    let known = known.map(|(number, mark)| Point { number, mark: Some(mark) });
    let resumed = match known {
        Some(point) if log.goes_on_from(&mut opened.wire, &span, &point).await? => Some(point),
        _ => None,
    };
    // Before the list: what changes while it is read has a higher number.
    let mut stream = start(&mut opened.wire, &log, newest.number, limit).await?;
    outlet.tell(Report::Up { what });
    let at = resumed.clone().unwrap_or(newest);
    let (wire, base) = (opened.wire, opened.base);
    let mut reader = Reader { wire, log, listing, names, base, inside, envelope, at, seen: Seen::default() };
    let mut roll = Roll::new(reader.listing.clone(), reader.names.clone(), &options.timers, COMPARE_EVERY);
    if resumed.is_some() {
        outlet.begin(false);
        while reader.round(outlet, true).await? {}
        if name_all(outlet, &mut reader.wire, &reader.listing, None).await? {
            roll.begin(reader.wire.handle());
        }
        outlet.complete(true, reader.cookie());
    } else {
        outlet.ledger.distrust();
        refresh(outlet, &mut reader.wire, &reader.listing, &reader.names, |_| ()).await?;
        if let Some(cookie) = reader.cookie() {
            outlet.checkpoint(cookie);
        }
    }
    reader.covers_all().await?;
    listen(options, outlet, &mut reader, &mut stream, &mut roll).await
}

/// Begins to hear of new records.
async fn start(wire: &mut Wire, log: &Log, after: u64, limit: Duration) -> Result<Stream, LdapFailure> {
    let mut handle = wire.handle();
    handle.with_controls(RawControl { ctype: PERSISTENT_SEARCH.to_owned(), crit: true, val: Some(ASKED.to_vec()) });
    let filter = format!("(changeNumber>={after})");
    let starting = handle.streaming_search(&log.base, Scope::OneLevel, &filter, vec!["changeNumber".to_owned()]);
    wire.call("the search", limit, starting).await
}

async fn listen(options: &LdapOptions, outlet: &mut Outlet, reader: &mut Reader, stream: &mut Stream, roll: &mut Roll) -> Result<End, End> {
    let out = outlet.out.clone();
    let mut alarm = Vitals::alarm(&options.timers);
    let mut vitals = Vitals::new();
    // The persistent search has begun at some moment since the list.
    let mut behind = true;
    let mut doubted: Option<Instant> = None;
    loop {
        let room = outlet.has_room();
        let hearing = reader.wire.run(vitals.hear(stream));
        tokio::select! {
            biased;
            permit = out.reserve(), if !outlet.is_empty() => {
                let permit = permit.map_err(|_| End::Unheard)?;
                if let Some(report) = outlet.pop() {
                    permit.send(report);
                }
            }
            heard = hearing, if room => {
                let heard = heard?;
                vitals.heard();
                match heard {
                    Heard::Pong(pong) => {
                        vitals.ponged();
                        pong.map_err(|error| reader.wire.explain(error))?;
                    }
                    Heard::Message(Ok(Some(entry))) if entry.is_ref() || entry.is_intermediate() => {}
                    Heard::Message(Ok(Some(entry))) => {
                        let (_, attributes) = decode::entry(entry.0).map_err(LdapFailure::Malformed)?;
                        let number = attributes.text("changeNumber").and_then(|text| text.parse::<u64>().ok());
                        // Most are known by then: many changes are read at a time.
                        behind |= number.is_none_or(|number| number > reader.at.number);
                    }
                    Heard::Message(Ok(None)) => return Err(ended(stream, &reader.log)),
                    Heard::Message(Err(error)) => return Err(reader.wire.explain(error).into()),
                }
            }
            () = std::future::ready(()), if room && behind => {
                behind = reader.round(outlet, false).await?;
                vitals.heard();
            }
            step = roll.next(outlet.compared), if room => {
                vitals.heard();
                roll.take(step, reader.wire.handle(), outlet).await?;
            }
            now = alarm.tick() => {
                vitals.check(now, room, None, &options.timers, &reader.wire)?;
                // A search whose right is gone is silent: the numbers show it.
                behind = true;
                if doubted.is_none_or(|at| now.duration_since(at) >= DOUBTED_EVERY) && std::mem::take(&mut reader.seen.doubt) {
                    doubted = Some(now);
                    roll.begin(reader.wire.handle());
                }
            }
            () = out.closed(), if outlet.is_empty() => return Err(End::Unheard),
        }
    }
}

fn ended(stream: &mut Stream, log: &Log) -> End {
    let Some(result) = stream.res.take() else { return LdapFailure::Closed(String::new()).into() };
    match result.rc {
        0 => LdapFailure::Closed(": the server ended the search".to_owned()).into(),
        50 | 32 => log.unreadable().into(),
        code => LdapFailure::Search { base: log.base.clone(), code, answer: answer(&result) }.into(),
    }
}
