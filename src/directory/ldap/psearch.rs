//! Persistent search (draft-ietf-ldapext-psearch): the server sends each entry as it changes, and nothing else.
//!
//! There is no way to go on from where it ended, so a connection begins with a list, or with the roll call when the list before is
//! still known. An entry that leaves the base or the account's sight is not told: the roll call finds it.

use ldap3::Scope;
use ldap3::asn1::{PL, parse_tag};
use ldap3::controls::{Control, RawControl};

use super::connect::RootDse;
use super::decode::{self, Malformed};
use super::failure::{LdapFailure, answer};
use super::identity::Identity;
use super::listing::Listing;
use super::outlet::Outlet;
use super::plain::{COMPARE_EVERY, find_out};
use super::refresh::{make_room, refresh};
use super::roll::Roll;
use super::session::{End, Opened};
use super::vitals::{Heard, Stream, Vitals};
use super::wire::Wire;
use crate::directory::{Event, LdapOptions, Report};
use crate::model::Dn;

/// draft-ietf-ldapext-psearch §4.
const PERSISTENT_SEARCH: &str = "2.16.840.1.113730.3.4.3";
/// draft-ietf-ldapext-psearch §5: what was done to the entry.
const ENTRY_CHANGE: &str = "2.16.840.1.113730.3.4.7";
/// §4: SEQUENCE { changeTypes 15 (all), changesOnly TRUE, returnECs TRUE }.
const ASKED: [u8; 11] = [0x30, 0x09, 0x02, 0x01, 0x0f, 0x01, 0x01, 0xff, 0x01, 0x01, 0xff];

/// §5: changeType.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChangeType {
    /// It was added, modified or renamed, and is there.
    There,
    /// It was deleted; the message shows how it was last.
    Deleted,
}

/// Reports by way of a connection until it ends. `what` says to what and how, for people.
pub(super) async fn run(options: &LdapOptions, outlet: &mut Outlet, mut opened: Opened, what: String) -> Result<End, End> {
    let (listing, names) = find_out(options, outlet, &mut opened).await?;
    let inside = opened.is_inside();
    let mut wire = opened.wire;
    // Before the list: what changes while it is read is told after it.
    let mut handle = wire.handle();
    handle.with_controls(RawControl { ctype: PERSISTENT_SEARCH.to_owned(), crit: true, val: Some(ASKED.to_vec()) });
    let starting = handle.streaming_search(&listing.base, Scope::Subtree, "(objectClass=*)", names.clone());
    let mut stream: Stream = wire.call("the search", options.timers.connect, starting).await?;
    // No answer says from when on the server tells of changes. Its next answer most likely comes later.
    RootDse::read(&mut wire, options.timers.connect).await?;
    outlet.tell(Report::Up { what });
    refresh(outlet, &mut wire, &listing, &names, |_| ()).await?;
    if outlet.list_only {
        return Ok(if outlet.drain().await { End::Listed } else { End::Unheard });
    }
    let out = outlet.out.clone();
    let mut alarm = Vitals::alarm(&options.timers);
    let mut vitals = Vitals::new();
    let mut roll = Roll::new(listing.clone(), names.clone(), &options.timers, COMPARE_EVERY);
    // Should it have come earlier, a change may lie between the list and that moment.
    roll.begin(wire.handle());
    loop {
        let room = outlet.has_room();
        let hearing = wire.run(vitals.hear(&mut stream));
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
                        pong.map_err(|error| wire.explain(error))?;
                    }
                    Heard::Message(Ok(Some(entry))) if entry.is_ref() || entry.is_intermediate() => {}
                    Heard::Message(Ok(Some(entry))) => {
                        let change = change(&entry.1).map_err(LdapFailure::Malformed)?;
                        let below = told(outlet, entry.0, change, listing.identity, inside)?;
                        if let Some(dn) = below {
                            look_below(outlet, &mut wire, &listing, &names, &dn).await?;
                        }
                    }
                    Heard::Message(Ok(None)) => return Err(ended(&mut stream, &listing)),
                    Heard::Message(Err(error)) => return Err(wire.explain(error).into()),
                }
            }
            step = roll.next(outlet.compared), if room => {
                vitals.heard();
                roll.take(step, wire.handle(), outlet).await?;
            }
            now = alarm.tick() => vitals.check(now, room, None, &options.timers, &wire)?,
            () = out.closed(), if outlet.is_empty() => return Err(End::Unheard),
        }
    }
}

/// Tells one change. The name of an entry that came from elsewhere, perhaps with others below it of which nothing is told.
fn told(
    outlet: &mut Outlet,
    entry: ldap3::asn1::StructureTag,
    change: ChangeType,
    identity: Identity,
    inside: bool,
) -> Result<Option<Dn>, LdapFailure> {
    let found = decode::found(entry, identity).map_err(LdapFailure::Malformed)?;
    if change == ChangeType::Deleted {
        outlet.event(Event::Delete(found.id));
        return Ok(None);
    }
    let below = outlet.brings_others(&found, inside);
    outlet.found(found, false);
    Ok(below)
}

async fn look_below(outlet: &mut Outlet, wire: &mut Wire, listing: &Listing, names: &[String], dn: &Dn) -> Result<(), End> {
    let below = Listing { base: dn.to_string(), ..listing.clone() };
    let mut stream = wire.run(below.start(wire.handle(), names.to_vec())).await??;
    while let Some(found) = wire.run(below.next(&mut stream)).await?? {
        if found.dn.as_ref() != Ok(dn) {
            outlet.found(found, false);
            make_room(outlet).await?;
        }
    }
    Ok(())
}

/// §5: `EntryChangeNotification` ::= SEQUENCE { changeType ENUMERATED, previousDN OPTIONAL, changeNumber OPTIONAL }.
fn change(controls: &[Control]) -> Result<ChangeType, Malformed> {
    let control = controls.iter().find(|control| control.1.ctype == ENTRY_CHANGE).and_then(|control| control.1.val.as_deref());
    let (_, tag) = parse_tag(control.ok_or("a change without its Entry Change control")?).map_err(|_| "a value that is not BER")?;
    let PL::C(parts) = tag.payload else { return Err("a simple value in place of a sequence") };
    match parts.first().map(|part| &part.payload) {
        Some(PL::P(octets)) if *octets == [2] => Ok(ChangeType::Deleted),
        Some(PL::P(octets)) if matches!(octets.as_slice(), [1 | 4 | 8]) => Ok(ChangeType::There),
        _ => Err("an unknown kind of change"),
    }
}

fn ended(stream: &mut Stream, listing: &Listing) -> End {
    let Some(result) = stream.res.take() else { return LdapFailure::Closed(String::new()).into() };
    match result.rc {
        0 => LdapFailure::Closed(": the server ended the search".to_owned()).into(),
        code => LdapFailure::Search { base: listing.base.clone(), code, answer: answer(&result) }.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(value: &[u8]) -> Vec<Control> {
        vec![Control(None, RawControl { ctype: ENTRY_CHANGE.to_owned(), crit: false, val: Some(value.to_vec()) })]
    }

    #[test]
    fn kinds_of_changes() {
        for (kind, expect) in [(1, ChangeType::There), (2, ChangeType::Deleted), (4, ChangeType::There), (8, ChangeType::There)] {
            assert_eq!(change(&control(&[0x30, 3, 0x0a, 1, kind])), Ok(expect));
        }
        // With a name before, and a number.
        assert_eq!(change(&control(&[0x30, 9, 0x0a, 1, 8, 4, 1, b'x', 2, 1, 7])), Ok(ChangeType::There));
        for bad in [&[][..], &[0x30, 0], &[0x30, 3, 0x0a, 1, 3], &[0x0a, 1, 1]] {
            assert!(change(&control(bad)).is_err());
        }
        assert!(change(&[]).is_err());
    }
}
