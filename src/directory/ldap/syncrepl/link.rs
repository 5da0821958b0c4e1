//! A connection and the synchronizing search on it.

use std::time::Duration;

use ldap3::Scope;
use ldap3::controls::{MakeCritical as _, RefreshMode, SyncRequest};

use super::Flavour;
use super::changelog::{self, Span};
use super::envelope::{Envelope, Marked, number_of};
use crate::directory::ldap::connect::search;
use crate::directory::ldap::failure::LdapFailure;
use crate::directory::ldap::identity::VERSIONS;
use crate::directory::ldap::listing::Listing;
use crate::directory::ldap::outlet::{Lost, Outlet};
use crate::directory::ldap::roll::Roll;
use crate::directory::ldap::session::{Opened, attributes};
use crate::directory::ldap::vitals::Stream;
use crate::directory::ldap::wire::Wire;
use crate::directory::{Cookie, LdapOptions, Timers};
use crate::model::{Dn, ObjectId};

/// How often everything is compared, where nothing else is said: these servers tell all that they know.
const COMPARE_EVERY: Duration = Duration::from_secs(3600);

/// A connection and the search on it.
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of its own")]
pub(super) struct Link {
    pub(super) wire: Wire,
    pub(super) stream: Stream,
    pub(super) base: Dn,
    pub(super) context: Option<Dn>,
    pub(super) envelope: Envelope,
    /// What is asked for: what the store is told, and what is taken out before.
    pub(super) attributes: Vec<String>,
    pub(super) listing: Listing,
    pub(super) flavour: Flavour,
    /// Whether the server was given a cookie.
    pub(super) resumed: bool,
    /// The change number of that cookie, of 389 Directory Server.
    resumed_from: Option<u64>,
    /// Whether entries can be moved into the base from outside.
    pub(super) inside: bool,
    /// Entries of a resumed refresh that have to be read: 389 Directory Server sends them without what was asked for.
    pub(super) unread: Vec<ObjectId>,
    /// The newest cookie of 389 Directory Server that was not told yet.
    pub(super) untold: Option<Cookie>,
    /// Whether the refresh left out entries: they are to be read.
    pub(super) left_out: bool,
    /// Whether the reason for a pause in the refresh was asked for.
    pub(super) looked_into: bool,
}

impl Link {
    pub(super) async fn open(options: &LdapOptions, outlet: &Outlet, opened: Opened, flavour: Flavour) -> Result<Self, LdapFailure> {
        let inside = opened.is_inside();
        let Opened { mut wire, base, context, .. } = opened;
        let limit = options.timers.connect;
        // The envelope is of what the store holds.
        let mut attributes = attributes(options, &[]);
        let envelope = Envelope::of(options, &base, &attributes);
        attributes.push("hasSubordinates".to_owned());
        attributes.extend(VERSIONS.map(str::to_owned));
        let cookie = match (flavour, &outlet.cookie) {
            (_, None) => None,
            _ if outlet.lost == Lost::Subtrees => None,
            (Flavour::OpenLdap, Some(cookie)) => envelope.open(cookie),
            (Flavour::Ds389, Some(cookie)) => match envelope.open_389(cookie) {
                // Nothing that another history could be told by: neither the change's mark nor the entries' versions.
                Some(marked) if marked.mark.is_none() && !outlet.ledger.is_trusted() => None,
                Some(marked) => changelog::check(&mut wire, limit, marked).await?,
                None => None,
            },
        };
        let resumed = cookie.is_some();
        let resumed_from = cookie.as_deref().filter(|_| flavour == Flavour::Ds389).and_then(number_of);
        let mut handle = wire.handle();
        // RFC 4533 §2.2. Critical: without it this would be an ordinary search that ends.
        let control = SyncRequest { mode: RefreshMode::RefreshAndPersist, cookie, reload_hint: false };
        handle.with_controls(control.critical());
        let name = base.to_string();
        let starting = handle.streaming_search(&name, Scope::Subtree, "(objectClass=*)", attributes.clone());
        let stream = wire.call("the search", limit, starting).await?;
        let listing = Listing::new(name, flavour.identity(), false, &options.timers);
        Ok(Self {
            wire,
            stream,
            base,
            context,
            envelope,
            attributes,
            listing,
            flavour,
            resumed,
            resumed_from,
            inside,
            unread: Vec::new(),
            untold: None,
            left_out: false,
            looked_into: false,
        })
    }

    /// The roll calls beside the search.
    pub(super) fn roll(&self, timers: &Timers) -> Roll {
        Roll::new(self.listing.clone(), self.names(), timers, COMPARE_EVERY)
    }

    /// What an ordinary search asks for: the same, and the id.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = self.attributes.clone();
        names.extend(self.flavour.identity().attribute().map(str::to_owned));
        names
    }

    /// The cookie of 389 Directory Server with the mark of its change; nothing when the changes since the one that the session
    /// began with were trimmed meanwhile.
    pub(super) async fn marked(&mut self, cookie: &Cookie, limit: Duration) -> Result<Option<Cookie>, LdapFailure> {
        let Some((span, number)) = Span::read(&mut self.wire, limit).await?.zip(number_of(&cookie.0)) else { return Ok(None) };
        if self.resumed_from.is_some_and(|from| !span.reaches(from)) {
            return Ok(None);
        }
        let mark = span.mark(&mut self.wire, limit, number).await?;
        Ok(Some(self.envelope.wrap_389(&Marked { cookie: cookie.0.clone(), mark })))
    }

    /// The refresh is complete: what happens to the changelog from here on concerns it no more.
    pub(super) fn refreshed(&mut self) {
        self.resumed_from = None;
    }

    /// An ordinary search of everything: at a limit, or without the base, it fails, and says why. Another failure proves nothing.
    pub(super) async fn find_a_limit(&mut self, limit: Duration) -> Result<(), LdapFailure> {
        let base = self.base.to_string();
        let found = search(&mut self.wire, limit, "the search for a limit", (&base, Scope::Subtree, "(objectClass=*)"), 0, &["1.1"]).await;
        match found {
            Err(failure @ LdapFailure::Search { code: 3 | 4 | 11 | 32, .. }) => Err(failure),
            _ => Ok(()),
        }
    }
}
