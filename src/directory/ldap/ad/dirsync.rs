//! DirSync (MS-ADTS §3.1.1.3.4.1.3): the ids of what changed in a naming context, by the server's own cookie.
//!
//! It tells what changed of an entry and nothing else, so each entry is read again. The flag is `OBJECT_SECURITY`: what the account
//! may read is told, and no right to replicate is needed, which would show passwords too.
//!
//! Two answers look like success and are none: to a cookie from the future, nothing; to one of another life of the controller,
//! everything. Neither cookie is ever sent: count and `invocationId` are looked at before.

use ldap3::Scope as Depth;
use ldap3::controls::RawControl;

use super::super::decode;
use super::super::failure::{LdapFailure, answer};
use super::super::vitals::Stream;
use super::super::wire::Wire;
use super::changes::{Gathered, Round};
use super::controls::{self, ber, integer};
use super::pages::Item;
use super::record::{Record, guid_filter};
use super::{Ad, End};
use crate::model::ObjectId;

/// `LDAP_DIRSYNC_OBJECT_SECURITY`.
const OBJECT_SECURITY: i32 = 1;

/// How many entries are read again in one search.
const ASKED_MAX: usize = 100;

fn control(cookie: &[u8]) -> RawControl {
    // No limit of our own: the server has one, and says when there is more.
    let value = ber(0x30, &[integer(OBJECT_SECURITY), integer(i32::MAX), ber(0x04, cookie)].concat());
    RawControl { ctype: controls::DIRSYNC.to_owned(), crit: true, val: Some(value) }
}

impl Ad<'_> {
    /// Goes through everything there is, for the cookie behind it.
    pub(super) async fn begin_dirsync(&mut self) -> Result<(), LdapFailure> {
        if self.dirsync.is_some() {
            let mut cookie = Vec::new();
            while self.ask_dirsync(&mut cookie, &mut Vec::new()).await? {
                self.notifications.drain();
            }
            self.dirsync = Some(cookie);
        }
        Ok(())
    }

    /// What DirSync tells since its cookie.
    pub(super) async fn dirsync_round(
        &mut self,
        before: u64,
        read_since: u64,
        round: &mut Round,
        gathered: &mut Gathered,
    ) -> Result<(), End> {
        let Some(mut cookie) = self.dirsync.clone() else { return Ok(()) };
        let Some(context) = self.scope.contexts.first().map(|context| context.dn.clone()) else { return Ok(()) };
        loop {
            let mut ids = Vec::new();
            let more = self.ask_dirsync(&mut cookie, &mut ids).await?;
            for some in ids.chunks(ASKED_MAX) {
                let filter: String = some.iter().map(|id| guid_filter(*id)).collect();
                let mut query = self.query("the search for what changed", &context, format!("(|{filter})"));
                query.controls.push(controls::show_deleted());
                let mut pages = self.pages(query);
                while let Some(item) = pages.next(&mut self.wire).await? {
                    if let Item::Record(record) = item {
                        self.judge(&record, before, read_since, round)?;
                        self.take(*record, gathered).await?;
                    }
                }
            }
            // Read again by several searches: not of one moment.
            round.pieces |= !ids.is_empty();
            self.notifications.drain();
            if !more {
                self.dirsync = Some(cookie);
                return Ok(());
            }
        }
    }

    /// One answer; whether there is more.
    async fn ask_dirsync(&mut self, cookie: &mut Vec<u8>, ids: &mut Vec<ObjectId>) -> Result<bool, LdapFailure> {
        let Some(context) = self.scope.contexts.first().map(|context| context.dn.to_string()) else { return Ok(false) };
        let limit = self.options.timers.refresh_stall;
        // An entry is told when one of the attributes asked for was changed; a rename and a move change this one.
        let mut attributes = self.attributes.clone();
        attributes.push("name".to_owned());
        let mut stream = start(&mut self.wire, &context, attributes, cookie, limit).await?;
        while let Some(found) = self.wire.call("DirSync", limit, stream.next()).await? {
            if found.is_ref() || found.is_intermediate() {
                continue;
            }
            let raw = decode::raw(found.0).map_err(LdapFailure::Malformed)?;
            ids.extend(Record::read(raw).map_err(LdapFailure::Malformed)?.map(|record| record.id));
        }
        let result = stream.finish().await;
        if result.rc != 0 {
            return Err(LdapFailure::Search { base: context, code: result.rc, answer: answer(&result) });
        }
        let value = decode::control_value(&result.ctrls, controls::DIRSYNC).ok_or(LdapFailure::Malformed("DirSync without a cookie"))?;
        let (more, next) = decode::dirsync(value).map_err(LdapFailure::Malformed)?;
        if more && next == *cookie {
            return Err(LdapFailure::Malformed("DirSync does not go on"));
        }
        *cookie = next;
        Ok(more)
    }
}

async fn start(
    wire: &mut Wire,
    context: &str,
    attributes: Vec<String>,
    cookie: &[u8],
    limit: std::time::Duration,
) -> Result<Stream, LdapFailure> {
    let mut handle = wire.handle();
    handle.with_controls(vec![control(cookie)]);
    let starting = handle.streaming_search(context, Depth::Subtree, "(objectClass=*)", attributes);
    wire.call("DirSync", limit, starting).await
}
