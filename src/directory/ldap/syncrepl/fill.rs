//! What the server leaves out of a refresh or a change, asked for.

use super::link::Link;
use super::{Flavour, Syncrepl, complete, envelope};
use crate::directory::Cookie;
use crate::directory::ldap::decode::Found;
use crate::directory::ldap::failure::LdapFailure;
use crate::directory::ldap::refresh::name_all;
use crate::directory::ldap::session::End;
use crate::model::{Dn, ObjectId};

/// Entries of a resumed refresh that are read at a time.
const UNREAD_MAX: usize = 500;

impl Syncrepl<'_> {
    /// An entry of the refresh.
    pub(super) async fn refreshed(&mut self, found: Found, link: &mut Link) -> Result<(), End> {
        // 389 Directory Server ignores the list of attributes when it goes on from a cookie: without those of operation, and with
        // whatever else the entry has.
        if link.resumed && link.flavour == Flavour::Ds389 {
            link.unread.push(found.id);
            if link.unread.len() >= UNREAD_MAX {
                self.read_the_unread(link).await?;
            }
            return Ok(());
        }
        self.put(found, true, link).await
    }

    /// Tells an entry; of one that came from outside, with what is below it: the server tells of the entry alone.
    pub(super) async fn put(&mut self, found: Found, refreshing: bool, link: &mut Link) -> Result<(), End> {
        let is_of_the_whole = refreshing && !link.resumed;
        let below = if is_of_the_whole { None } else { self.outlet.brings_others(&found, link.inside) };
        self.outlet.found(found, refreshing);
        match below {
            Some(dn) => self.look_below(&dn, refreshing, link).await,
            None => Ok(()),
        }
    }

    async fn read_the_unread(&mut self, link: &mut Link) -> Result<(), End> {
        let ids = std::mem::take(&mut link.unread);
        for found in self.entries(&ids, link).await? {
            self.put(found, true, link).await?;
        }
        self.make_room().await
    }

    /// The refresh has come to its end: what it left out, and what it did not name.
    pub(super) async fn fill(&mut self, sweep: bool, cookie: Option<Cookie>, link: &mut Link) -> Result<(), End> {
        self.read_the_unread(link).await?;
        if !sweep {
            let until = cookie.as_ref().and_then(|cookie| envelope::second_of(&cookie.0));
            self.call_the_roll(until, link).await?;
        }
        let cookie = match (link.flavour, cookie) {
            (Flavour::OpenLdap, cookie) => {
                let context = link.context.as_ref().unwrap_or(&link.base).to_string();
                complete::check(&mut link.wire, self.options.timers.refresh_stall, &context, &link.base.to_string()).await?;
                cookie.map(|cookie| link.envelope.wrap(&cookie))
            }
            (Flavour::Ds389, None) => None,
            (Flavour::Ds389, Some(cookie)) => {
                let marked = link.marked(&cookie, self.options.timers.connect).await?;
                if link.resumed && marked.is_none() {
                    return Err(End::CookieRefused);
                }
                marked
            }
        };
        link.refreshed();
        self.outlet.complete(true, cookie);
        Ok(())
    }

    /// Tells the newest cookie of 389 Directory Server: not with each change, since its mark has to be asked for.
    pub(super) async fn tell_mark(&mut self, link: &mut Link) -> Result<(), End> {
        if let Some(cookie) = link.untold.take()
            && let Some(cookie) = link.marked(&cookie, self.options.timers.connect).await?
        {
            self.outlet.checkpoint(cookie);
        }
        Ok(())
    }

    /// Names every entry that is there, so that what was deleted unheard is swept, and finds out whether some were not told as they are.
    ///
    /// A slapd that crashes forgets the deletions since its last checkpoint of contextCSN (by default: all since it was
    /// started), and afterwards takes an older cookie for up to date. Nothing in its answer shows that. Nor does any server tell of
    /// entries that the account could not see before, or could not see for a while.
    ///
    /// `until` is the second that the refresh went up to. Where nothing is known of what was told before, entries made after
    /// it are left out: they are told as they are made.
    async fn call_the_roll(&mut self, until: Option<String>, link: &mut Link) -> Result<(), End> {
        let until = until.filter(|_| !self.outlet.ledger.is_primed());
        link.left_out |= name_all(self.outlet, &mut link.wire, &link.listing, until).await?;
        Ok(())
    }

    /// Everything below an entry that came from outside the base: the server tells of the entry alone.
    pub(super) async fn look_below(&mut self, dn: &Dn, refreshing: bool, link: &mut Link) -> Result<(), End> {
        // Should it fail, the cookies to come do not cover these entries.
        let cookie = self.outlet.cookie.take();
        let mut listing = link.listing.clone();
        listing.base = dn.to_string();
        let mut stream = link.wire.run(listing.start(link.wire.handle(), link.names())).await??;
        while let Some(found) = link.wire.run(listing.next(&mut stream)).await?? {
            if found.dn.as_ref() != Ok(dn) {
                self.outlet.found(found, refreshing);
                self.make_room().await?;
            }
        }
        self.outlet.cookie = cookie;
        Ok(())
    }

    async fn entries(&self, ids: &[ObjectId], link: &mut Link) -> Result<Vec<Found>, LdapFailure> {
        let names = link.names();
        let reading = link.listing.entries(link.wire.handle(), ids, &names);
        link.wire.run(reading).await?
    }

    async fn make_room(&mut self) -> Result<(), End> {
        if self.outlet.make_room().await { Ok(()) } else { Err(End::Unheard) }
    }
}
