//! What the account has to be able to do.

use ldap3::Scope;
use ldap3::controls::RawControl;

use super::Patient;
use crate::directory::examine::Examined;
use crate::directory::ldap::changelog;
use crate::directory::ldap::connect::{self, Asking};
use crate::directory::ldap::dialect::Dialect;
use crate::directory::ldap::failure::{LdapFailure, answer};
use crate::directory::ldap::syncrepl::complete;
use crate::model::{Attributes, Kind};

/// How many users and groups are looked at.
const LOOKED_AT: i32 = 100;
/// How long a list is read to see whether the server cuts it: longer than the limits that servers come with.
const LIST_MAX: usize = 20_000;

/// MS-ADTS §3.1.1.3.4.1.14: show deleted objects.
pub(super) const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
/// RFC 4533 §2.2: content synchronization, and its value for a list that ends.
const SYNC_REQUEST: &str = "1.3.6.1.4.1.4203.1.9.1.1";
const REFRESH_ONLY: [u8; 5] = [0x30, 3, 0x0a, 1, 1];
/// RFC 2696: pages.
const PAGES: &str = "1.2.840.113556.1.4.319";

const USERS: &str = "(|(objectClass=inetOrgPerson)(objectClass=user)(objectClass=SIPIdentity)(objectClass=person)(objectClass=account))";
const GROUPS: &str =
    "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=group)(objectClass=groupOfMembers)(objectClass=posixGroup))";

pub(super) fn control(oid: &str, value: Option<Vec<u8>>) -> RawControl {
    RawControl { ctype: oid.to_owned(), crit: true, val: value }
}

impl Patient<'_> {
    /// Reads a little of everything that a feed reads.
    pub(super) async fn rights(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        let base = self.base.to_string();
        let asking = Asking { attributes: &["objectClass"], ..Asking::default() };
        let entries = self.ask((&base, Scope::Base, "(objectClass=*)"), asking).await?;
        if !entries.iter().any(|(_, attributes)| attributes.has("objectClass")) {
            let remedy = "check the base DN, and let the account read it and everything below it";
            found.fail("read", format!("the base {base} is not there, or may not be read"), remedy);
            return Ok(());
        }
        found.ok("read", format!("the base {base}"));
        self.users(found, &base).await?;
        self.groups(found, &base).await?;
        match self.dialect {
            Dialect::ActiveDirectory | Dialect::DirSync => self.active_directory(found).await,
            Dialect::Syncrepl389 => {
                self.synchronization(found, &base).await?;
                self.changelog(found).await
            }
            Dialect::Changelog389 => self.records(found).await,
            Dialect::Syncrepl => self.context_csn(found).await,
            Dialect::PersistentSearch | Dialect::Poll => Ok(()),
        }
    }

    async fn users(&mut self, found: &mut Examined, base: &str) -> Result<(), LdapFailure> {
        let wanted: Vec<&str> = self.wants.addresses.iter().map(String::as_str).collect();
        let attributes = [["objectClass", "cn", "uid"].as_slice(), &wanted].concat();
        let entries =
            self.ask((base, Scope::Subtree, USERS), Asking { most: LOOKED_AT, attributes: &attributes, ..Asking::default() }).await?;
        let users: Vec<&Attributes> = entries.iter().map(|(_, held)| held).filter(|held| Kind::of(held) == Kind::User).collect();
        let mut addressed = users.iter().filter(|held| wanted.iter().any(|name| held.has(name))).count();
        if addressed == 0 && !users.is_empty() {
            // The first hundred may be accounts of services.
            let filter = format!("(&{USERS}(|({}=*)))", wanted.join("=*)("));
            let asking = Asking { most: 1, attributes: &wanted, names_only: true, ..Asking::default() };
            addressed = match self.ask((base, Scope::Subtree, &filter), asking).await {
                // Without an index the search may take too long.
                Err(LdapFailure::Timeout { .. } | LdapFailure::Search { .. }) => 0,
                entries => entries?.len(),
            };
        }
        if users.is_empty() {
            found.warn(
                "read",
                format!("no user below {base} is to be seen"),
                "let the account read the users, with their objectClass; or check the base DN",
            );
        } else if addressed == 0 {
            found.warn(
                "read",
                format!("{} users, and none with a readable {}", users.len(), wanted.join(", ")),
                "let the account read these attributes, give users an address, or name other attributes in identity.aor",
            );
        } else {
            let more = if users.len() < usize::try_from(LOOKED_AT).unwrap_or_default() { "" } else { " (and there may be more)" };
            found.ok("read", format!("users: {addressed} of {} looked at have an address{more}", users.len()));
        }
        Ok(())
    }

    async fn groups(&mut self, found: &mut Examined, base: &str) -> Result<(), LdapFailure> {
        let attributes = ["objectClass", "member", "uniqueMember", "memberUid", "member;range=0-0"];
        // One by one would be kinder to huge groups, and slower: a few are enough.
        let entries = self
            .ask((base, Scope::Subtree, GROUPS), Asking { most: 20, attributes: &attributes, names_only: true, ..Asking::default() })
            .await?;
        let has_members = |held: &Attributes| {
            held.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("member") || name.eq_ignore_ascii_case("uniqueMember"))
        };
        let full = entries.iter().filter(|(_, held)| has_members(held)).count();
        if entries.is_empty() {
            found.note("read", "no group is to be seen", "if there are groups that policies name, let the account read them");
        } else if full == 0 {
            found.warn(
                "read",
                format!("{} groups, and none with a readable member", entries.len()),
                "let the account read member (uniqueMember, memberUid): policies of groups reach nobody otherwise",
            );
        } else {
            found.ok("read", format!("members of groups: {full} of {} looked at have some", entries.len()));
        }
        Ok(())
    }

    async fn active_directory(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        let top = self.dse.texts("defaultNamingContext").next().map_or_else(|| self.base.to_string(), str::to_owned);
        let who = ("that a user is gone", "a domain administrator");
        self.deleted(found, &top, who).await?;
        let Some(configuration) = self.dse.texts("configurationNamingContext").next().map(str::to_owned) else { return Ok(()) };
        self.deleted(found, &configuration, ("that a site or subnet is gone", "an enterprise administrator")).await?;
        let sites = format!("CN=Sites,{configuration}");
        let query = (sites.as_str(), Scope::Subtree, "(|(objectClass=site)(objectClass=subnet))");
        let entries = self.ask(query, Asking { most: LOOKED_AT, attributes: &["objectClass"], ..Asking::default() }).await?;
        let subnets = entries.iter().filter(|(_, attributes)| attributes.has_class("subnet")).count();
        match entries.len().saturating_sub(subnets) {
            0 => found.warn(
                "read",
                format!("{sites} cannot be read: policies of sites reach nobody"),
                "let the account read it; every account of the domain may, by default",
            ),
            sites if subnets == 0 => found.note(
                "read",
                format!("sites: {sites}, and no subnet"),
                "give the sites subnets, if policies of sites are to reach phones",
            ),
            sites => found.ok("read", format!("sites: {sites}, subnets: {subnets}")),
        }
        Ok(())
    }

    /// Whether tombstones are to be seen; `what` is seen late otherwise, and who can change that.
    async fn deleted(&mut self, found: &mut Examined, context: &str, (what, who): (&str, &str)) -> Result<(), LdapFailure> {
        let deleted = format!("CN=Deleted Objects,{context}");
        let controls = vec![control(SHOW_DELETED, None)];
        let asking = Asking { attributes: &["isDeleted"], controls, ..Asking::default() };
        let entries = self.ask((&deleted, Scope::Base, "(objectClass=*)"), asking).await?;
        if entries.iter().any(|(_, attributes)| attributes.has("isDeleted")) {
            found.ok("read", deleted);
        } else {
            let remedy = format!(
                "as {who}: dsacls \"{deleted}\" /takeOwnership, then dsacls \"{deleted}\" /G \"DOMAIN\\ACCOUNT:LCRP\" (docs/active-directory.md)"
            );
            found.warn("read", format!("{deleted} cannot be read: {what} is seen only when everything is listed again"), remedy);
        }
        Ok(())
    }

    /// 389 Directory Server gives the control to those who have logged in, and to whom its access rules say: a read of the base by it.
    async fn synchronization(&mut self, found: &mut Examined, base: &str) -> Result<(), LdapFailure> {
        let asking =
            Asking { attributes: &["1.1"], controls: vec![control(SYNC_REQUEST, Some(REFRESH_ONLY.to_vec()))], ..Asking::default() };
        let limit = self.options.timers.connect;
        match connect::search_with(&mut self.wire, limit, "a search", (base, Scope::Base, "(objectClass=*)"), asking).await {
            Err(failure @ LdapFailure::Search { code: 50, .. }) => {
                let remedy = "log in (directory.bind_dn), and let the account use the control: the aci of oid=1.3.6.1.4.1.4203.1.9.1.1,cn=features,cn=config";
                found.fail("read", format!("content synchronization is not for this account: {}", failure.what()), remedy);
                Ok(())
            }
            found => found.map(|_| ()),
        }
    }

    async fn changelog(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        let Some(log) = self.dse.texts("changelog").next().map(str::to_owned) else {
            found.warn(
                "read",
                "the server keeps no changelog: after each break of the connection everything is read again",
                "switch the Retro Changelog plugin on (docs/389ds.md)",
            );
            return Ok(());
        };
        let asking = Asking { attributes: &["objectClass"], ..Asking::default() };
        let entries = self.ask((&log, Scope::Base, "(objectClass=*)"), asking).await?;
        if entries.is_empty() {
            let remedy = "let the account read it: an aci on cn=changelog (docs/389ds.md)";
            found.warn(
                "read",
                format!("{log} cannot be read: what was deleted while the connection was cut is seen only in a full list"),
                remedy,
            );
        } else {
            found.ok("read", log);
        }
        Ok(())
    }

    async fn records(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        match changelog::check(&mut self.wire, self.options.timers.connect).await {
            Ok(()) => found.ok("read", "the changelog: which entries are changed, by number"),
            Err(failure @ LdapFailure::Changelog { .. }) => found.fail("read", failure.what(), failure.remedy()),
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    async fn context_csn(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        let context = self.context.as_ref().unwrap_or(&self.base).to_string();
        let asking = Asking { attributes: &["contextCSN", "entryUUID"], ..Asking::default() };
        let entries = self.ask((&context, Scope::Base, "(objectClass=*)"), asking).await?;
        let has = |name: &str| entries.iter().any(|(_, attributes)| attributes.has(name));
        let base = self.base.to_string();
        if let Err(failure) = complete::check(&mut self.wire, self.options.timers.connect, &context, &base).await {
            found.fail("read", failure.what(), failure.remedy());
        } else if has("contextCSN") {
            found.ok("read", format!("contextCSN of {context}: the overlay syncprov keeps it"));
        } else {
            found.warn(
                "read",
                format!("{context} has no contextCSN that may be read: an incomplete list would not be noticed"),
                "load the overlay syncprov for the database, and let the account read operational attributes of its topmost entry",
            );
        }
        if !has("entryUUID") {
            found.fail(
                "read",
                format!("entryUUID of {context} may not be read"),
                "let the account read entryUUID of every entry: `by dn.exact=\"ACCOUNT\" read`",
            );
        }
        Ok(())
    }

    /// Whether a long list comes whole.
    pub(super) async fn limits(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        let base = self.base.to_string();
        if matches!(self.dialect, Dialect::ActiveDirectory | Dialect::DirSync) {
            if self.dse.has_control(PAGES) {
                found.ok("read", "lists come in pages: no limit of their length");
            } else {
                found.fail("read", "the server has no paged results", "Active Directory has them: what is between?");
            }
            return Ok(());
        }
        let limit = self.options.timers.connect;
        let mut handle = self.wire.handle();
        let starting = handle.streaming_search(&base, Scope::Subtree, "(objectClass=*)", vec!["1.1"]);
        let mut list = self.wire.call("a list", limit, starting).await?;
        let mut count = 0;
        while count < LIST_MAX {
            if self.wire.call("a list", limit, list.next()).await?.is_none() {
                break;
            }
            count += 1;
        }
        if count == LIST_MAX {
            found.ok("read", format!("a list of more than {LIST_MAX} entries is not cut"));
            return Ok(());
        }
        let result = list.finish().await;
        match result.rc {
            0 => found.ok("read", format!("all {count} entries below the base, without a limit")),
            code => {
                let failure = LdapFailure::Search { base, code, answer: answer(&result) };
                found.fail("read", format!("a list ends after {count} entries: {}", failure.what()), failure.remedy());
            }
        }
        Ok(())
    }
}
