//! What the account should not be able to do: whoever takes this machine could do it too.
//!
//! All of it is read: attributes in which the server says what would be allowed. Nothing is tried.

use ldap3::Scope;

use super::Patient;
use super::descriptor::{REPLICATE_ALL, holds};
use super::rights::control;
use crate::directory::examine::Examined;
use crate::directory::ldap::connect::Asking;
use crate::directory::ldap::dialect::Dialect;
use crate::directory::ldap::failure::LdapFailure;

/// What holds passwords, or what they are made of.
const SECRETS: [&str; 6] =
    ["userPassword", "SIPIdentityPassword", "sambaNTPassword", "krbPrincipalKey", "ms-Mcs-AdmPwd", "msLAPS-Password"];

/// How many entries are asked for to find some that are not protected, and how many of each kind are looked at.
const LOOKED_AT: i32 = 100;
const EACH: usize = 5;

/// Whom the account might be able to change.
const EXAMPLES: [&str; 3] = [
    "(objectClass=organizationalUnit)",
    "(|(objectClass=inetOrgPerson)(objectClass=user)(objectClass=person))",
    "(|(objectClass=groupOfNames)(objectClass=group)(objectClass=groupOfUniqueNames))",
];

/// MS-ADTS §3.1.1.3.4.1.11: which parts of a security descriptor are wanted; here the DACL alone (BER: SEQUENCE { INTEGER 4 }).
const DESCRIPTOR_FLAGS: (&str, [u8; 5]) = ("1.2.840.113556.1.4.801", [0x30, 3, 2, 1, 4]);
/// draft-ietf-ldapext-acl-model: Get Effective Rights.
const EFFECTIVE_RIGHTS: &str = "1.3.6.1.4.1.42.2.27.9.5.2";

/// How to take it away.
const TAKE_AWAY: &str = "take it away: Dialcast only reads";

impl Patient<'_> {
    /// Looks for rights that are too many.
    pub(super) async fn excess(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        match self.dialect {
            Dialect::ActiveDirectory | Dialect::DirSync => {
                self.writes_in_active_directory(found).await?;
                self.replication(found).await?;
            }
            _ if self.dse.has_control(EFFECTIVE_RIGHTS) && !self.me.is_empty() => self.effective_rights(found).await?,
            _ if self.me.is_empty() => {}
            _ => found.note(
                "excess",
                "the server does not tell what the account could write",
                "on OpenLDAP, ask there: `slapacl -D ACCOUNT -b BASE entry/write children/write`; both should be DENIED",
            ),
        }
        self.secrets(found).await
    }

    /// The base, and a few entries of each kind, other than the account itself.
    async fn examples(&mut self) -> Result<Vec<Vec<String>>, LdapFailure> {
        let base = self.base.to_string();
        let mut kinds = vec![vec![base.clone()]];
        let me = self.me.to_lowercase();
        let account = self.options.bind.account().to_lowercase();
        let login = account.split('@').next().unwrap_or_default().to_owned();
        for filter in EXAMPLES {
            // Active Directory protects its administrators (adminCount): they say little about everybody else.
            let asking = Asking { most: LOOKED_AT, attributes: &["sAMAccountName", "adminCount"], ..Asking::default() };
            let entries = self.ask((&base, Scope::Subtree, filter), asking).await?;
            // An account may write some attributes of its own entry, by default.
            let others = entries.into_iter().filter(|(dn, held)| {
                let named = held.text("sAMAccountName").map(str::to_lowercase).unwrap_or_default();
                let dn = dn.to_lowercase();
                let is_me =
                    dn == account || me.contains(&dn) || !named.is_empty() && (named == login || me.ends_with(&format!("\\{named}")));
                !is_me && held.text("adminCount").is_none_or(|count| count == "0")
            });
            kinds.push(others.map(|(dn, _)| dn).take(EACH).collect());
        }
        Ok(kinds)
    }

    async fn writes_in_active_directory(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        let mut rights = Vec::new();
        let kinds = self.examples().await?;
        for kind in &kinds {
            for name in kind {
                let attributes = ["allowedAttributesEffective", "allowedChildClassesEffective", "sDRightsEffective"];
                let query = (name.as_str(), Scope::Base, "(objectClass=*)");
                let entries = self.ask(query, Asking { attributes: &attributes, ..Asking::default() }).await?;
                let before = rights.len();
                for (_, held) in entries {
                    let list = |attribute: &str| held.texts(attribute).map(str::to_owned).collect::<Vec<_>>();
                    let (writes, makes) = (list("allowedAttributesEffective"), list("allowedChildClassesEffective"));
                    let may_grant = held.text("sDRightsEffective").is_some_and(|rights| rights != "0");
                    rights.extend((!writes.is_empty()).then(|| format!("write {} of {name}", some(&writes))));
                    rights.extend((!makes.is_empty()).then(|| format!("make {} below {name}", some(&makes))));
                    rights.extend(may_grant.then(|| format!("change who may do what with {name}")));
                }
                // One of a kind is enough.
                if rights.len() > before {
                    break;
                }
            }
        }
        tell(found, &rights, kinds.iter().map(Vec::len).sum());
        Ok(())
    }

    /// DS-Replication-Get-Changes-All hands out password hashes, and LAPS passwords. It shows in the domain's security descriptor.
    async fn replication(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        let Some(top) = self.dse.texts("defaultNamingContext").next().map(str::to_owned) else { return Ok(()) };
        let sids: Vec<Vec<u8>> = self.dse.values("tokenGroups").iter().map(<[u8]>::to_vec).collect();
        let controls = vec![control(DESCRIPTOR_FLAGS.0, Some(DESCRIPTOR_FLAGS.1.to_vec()))];
        let query = (top.as_str(), Scope::Base, "(objectClass=*)");
        let entries = self.ask(query, Asking { attributes: &["nTSecurityDescriptor"], controls, ..Asking::default() }).await?;
        let descriptor = entries.iter().find_map(|(_, held)| held.values("nTSecurityDescriptor").first());
        match descriptor.filter(|_| !sids.is_empty()).and_then(|descriptor| holds(descriptor, &sids, &REPLICATE_ALL)) {
            Some(false) => found.ok("excess", "no right to replicate passwords (DS-Replication-Get-Changes-All)"),
            Some(true) => found.warn(
                "excess",
                format!("the account may replicate {top} with its passwords (DS-Replication-Get-Changes-All)"),
                "take it away at once: Dialcast does not need it, and who holds it has every password",
            ),
            None => found.note(
                "excess",
                "whether the account may replicate passwords cannot be seen",
                format!("as an administrator: dsacls \"{top}\", and look for \"Replicating Directory Changes All\""),
            ),
        }
        Ok(())
    }

    /// 389 Directory Server says what an account may do, if the account asks for itself.
    async fn effective_rights(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        let me = self.me.replacen("dn: ", "dn:", 1);
        let mut rights = Vec::new();
        let mut is_told = false;
        let kinds = self.examples().await?;
        for kind in &kinds {
            for name in kind {
                let controls = vec![control(EFFECTIVE_RIGHTS, Some(me.clone().into_bytes()))];
                let attributes = ["cn", "mail", "telephoneNumber", "userPassword", "aci", "member", "dialcastSetting"];
                let query = (name.as_str(), Scope::Base, "(objectClass=*)");
                let entries = self.ask(query, Asking { attributes: &attributes, controls, ..Asking::default() }).await?;
                let before = rights.len();
                for (_, held) in entries {
                    is_told |= held.has("entryLevelRights");
                    // `v` is to see it.
                    let entry = held.text("entryLevelRights").filter(|letters| *letters != "none").unwrap_or_default();
                    for (letter, what) in [('a', "add entries below"), ('d', "delete"), ('n', "rename")] {
                        rights.extend(entry.contains(letter).then(|| format!("{what} {name}")));
                    }
                    let writes = written(held.text("attributeLevelRights").unwrap_or_default());
                    rights.extend((!writes.is_empty()).then(|| format!("write {} of {name}", some(&writes))));
                }
                // One of a kind is enough.
                if rights.len() > before {
                    break;
                }
            }
        }
        if is_told {
            tell(found, &rights, kinds.iter().map(Vec::len).sum());
        } else {
            found.note("excess", "the server does not tell what the account could write", "look at the aci attributes that name it");
        }
        Ok(())
    }

    /// Passwords that can be read. Their names are asked for, and not their values.
    async fn secrets(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        let base = self.base.to_string();
        let mut readable = Vec::new();
        for name in SECRETS {
            let filter = format!("({name}=*)");
            let asking = Asking { most: 1, attributes: &[name], names_only: true, ..Asking::default() };
            let entries = self.ask((&base, Scope::Subtree, &filter), asking).await?;
            if entries.iter().any(|(_, held)| held.has(name)) {
                readable.push(name.to_owned());
            }
        }
        let log = self.dse.texts("changelog").next().map(str::to_owned);
        if let Some(log) = log {
            let asking = Asking { most: 1, attributes: &["changes"], names_only: true, ..Asking::default() };
            let entries = self.ask((&log, Scope::Subtree, "(changes=*)"), asking).await?;
            if entries.iter().any(|(_, held)| held.has("changes")) {
                readable.push(format!("`changes` of {log}, with every changed password (as a hash)"));
            }
        }
        let needed = self.wants.passwords;
        let is_needed = |name: &String| needed && name == "SIPIdentityPassword";
        let excess: Vec<String> = readable.iter().filter(|name| !is_needed(name)).cloned().collect();
        if excess.is_empty() {
            found.ok(
                "excess",
                if readable.is_empty() { "no passwords can be read" } else { "SIPIdentityPassword can be read, which digest needs" },
            );
        } else {
            found.warn("excess", format!("the account can read {}", excess.join(", ")), TAKE_AWAY);
        }
        if needed && !readable.iter().any(is_needed) {
            found.note(
                "read",
                "no SIPIdentityPassword can be read, from which digest would take users' secrets",
                "let the account read it, or name a file in auth.credentials_file",
            );
        }
        Ok(())
    }
}

/// Tells of rights to write, or that there are none.
fn tell(found: &mut Examined, rights: &[String], entries: usize) {
    for right in rights {
        found.warn("excess", format!("the account may {right}"), TAKE_AWAY);
    }
    if rights.is_empty() {
        found.ok("excess", format!("nothing may be written ({entries} entries looked at)"));
    }
}

/// The attributes with `w` or `o` (overwrite, delete) among their rights, of `mail:rscwo, userPassword:none`.
fn written(rights: &str) -> Vec<String> {
    let pairs = rights.split(',').filter_map(|pair| pair.trim().split_once(':'));
    pairs.filter(|(_, letters)| *letters != "none" && letters.contains(['w', 'o'])).map(|(name, _)| name.to_owned()).collect()
}

/// A few of them, and how many there are.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters() {
        assert_eq!(written("mail:rscwo, userPassword:none, cn:rsc, aci:w"), ["mail", "aci"]);
        assert_eq!(written("none"), Vec::<String>::new());
        let names: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec();
        assert_eq!((some(&names[..2]).as_str(), some(&names).as_str()), ("a, b", "a, b, c, d and 2 more"));
    }
}
