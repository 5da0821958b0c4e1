//! One connection's life: connect, find out what the server is, and let the dialect report until something ends it.

use tokio::sync::mpsc;

use super::ad;
use super::changelog;
use super::connect::{Connected, RootDse, connect};
use super::dialect::Dialect;
use super::failure::LdapFailure;
use super::locate::Places;
use super::outlet::Outlet;
use super::syncrepl::{self, Flavour};
use super::wire::Wire;
use super::{poll, psearch};
use crate::directory::{ATTRIBUTES, Cookie, LdapOptions, Report, ServerUrl};
use crate::model::Dn;

/// How a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// Nobody listens to the reports any more.
    Unheard,
    /// The list is complete, and nothing more was wanted.
    Listed,
    /// The server does not know the cookie any more: all is to be read.
    CookieRefused,
    /// What was told is not what is there, or cannot be compared with it: all is to be read.
    Relist,
    /// It failed.
    Failed(LdapFailure),
}

impl From<LdapFailure> for End {
    fn from(failure: LdapFailure) -> Self {
        Self::Failed(failure)
    }
}

/// What outlives a connection.
pub(super) struct Session {
    options: LdapOptions,
    /// Which server it is on, and which are next.
    pub(super) places: Places,
    pub(super) outlet: Outlet,
}

/// A connection that is bound, and what is known of its server.
pub(super) struct Opened {
    pub(super) wire: Wire,
    /// Which of the servers it is: by this a dialect opens a second connection to the same one (`connect::connect_to`).
    #[expect(dead_code, reason = "syncrepl needs no second connection, and its cookies hold on every replica")]
    pub(super) server: ServerUrl,
    pub(super) dse: RootDse,
    /// The tree to read.
    pub(super) base: Dn,
    /// The naming context that it is in, as far as the server tells.
    pub(super) context: Option<Dn>,
}

impl Opened {
    /// Whether the base is inside of a larger tree, so that entries can be moved into it.
    pub(super) fn is_inside(&self) -> bool {
        self.context.as_ref() != Some(&self.base)
    }
}

impl Session {
    pub(super) fn new(options: LdapOptions, cookie: Option<Cookie>, out: mpsc::Sender<Report>, list_only: bool) -> Self {
        let places = Places::resume(cookie.as_ref());
        let outlet = Outlet::new(&options, cookie, out, list_only);
        Self { options, places, outlet }
    }

    /// Connects, and reports until the end.
    pub(super) async fn run(&mut self) -> End {
        self.outlet.refreshed = false;
        self.report().await.unwrap_or_else(|end| end)
    }

    async fn report(&mut self) -> Result<End, End> {
        let (options, outlet) = (&self.options, &mut self.outlet);
        let Connected { mut wire, server, passed_over } = connect(options, &mut self.places).await?;
        outlet.faults.passed_over(passed_over.iter().map(|(url, failure)| (url.origin(), failure)));
        let dse = RootDse::read(&mut wire, options.timers.connect).await?;
        let (dialect, why) = Dialect::choose(&dse, options.dialect);
        dialect.check(&dse)?;
        let (base, context) = dse.base(options)?;
        let what = format!("{} {dialect} at {}, below {base} ({why})", dse.server(), server.origin());
        let opened = Opened { wire, server, dse, base, context };
        match dialect {
            Dialect::ActiveDirectory | Dialect::DirSync => ad::run(options, outlet, opened, dialect, what).await,
            Dialect::Syncrepl => syncrepl::run(options, outlet, opened, what, Flavour::OpenLdap).await,
            Dialect::Syncrepl389 => syncrepl::run(options, outlet, opened, what, Flavour::Ds389).await,
            Dialect::Changelog389 => changelog::run(options, outlet, opened, what).await,
            Dialect::PersistentSearch => psearch::run(options, outlet, opened, what).await,
            Dialect::Poll => poll::run(options, outlet, opened, what).await,
        }
    }
}

/// What to ask for: what Dialcast reads, what the configuration names, and what the dialect itself needs.
pub(super) fn attributes(options: &LdapOptions, needs: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = ATTRIBUTES.iter().map(|name| (*name).to_owned()).collect();
    for name in needs.iter().copied().chain(options.attributes.iter().map(String::as_str)) {
        if !names.iter().any(|held| held.eq_ignore_ascii_case(name)) {
            names.push(name.to_owned());
        }
    }
    names
}
