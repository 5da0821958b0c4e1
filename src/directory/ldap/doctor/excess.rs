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

/// Whom the account might be able to change: one of each.
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

    /// The base, and one entry of each kind, other than the account itself.
    async fn examples(&mut self) -> Result<Vec<String>, LdapFailure> {
        let base = self.base.to_string();
        let mut names = vec![base.clone()];
        let me = self.me.to_lowercase();
        let account = self.options.bind.account().to_lowercase();
        let login = account.split('@').next().unwrap_or_default().to_owned();
        for filter in EXAMPLES {
            let asking = Asking { most: 5, attributes: &["sAMAccountName"], ..Asking::default() };
            let entries = self.ask((&base, Scope::Subtree, filter), asking).await?;
            // An account may write some attributes of its own entry, by default.
            let other = entries.into_iter().find(|(dn, held)| {
                let named = held.text("sAMAccountName").map(str::to_lowercase).unwrap_or_default();
                let dn = dn.to_lowercase();
                dn != account && !me.contains(&dn) && (named.is_empty() || named != login && !me.ends_with(&format!("\\{named}")))
            });
            names.extend(other.map(|(dn, _)| dn));
        }
        Ok(names)
    }

    async fn writes_in_active_directory(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        let names = self.examples().await?;
        let mut is_clean = true;
        for name in &names {
            let attributes = ["allowedAttributesEffective", "allowedChildClassesEffective", "sDRightsEffective"];
            let query = (name.as_str(), Scope::Base, "(objectClass=*)");
            for (_, held) in self.ask(query, Asking { attributes: &attributes, ..Asking::default() }).await? {
                let list = |attribute: &str| held.texts(attribute).map(str::to_owned).collect::<Vec<_>>();
                let (writes, makes) = (list("allowedAttributesEffective"), list("allowedChildClassesEffective"));
                let may_grant = held.text("sDRightsEffective").is_some_and(|rights| rights != "0");
                for (may, what) in [
                    (!writes.is_empty(), format!("write {} of {name}", some(&writes))),
                    (!makes.is_empty(), format!("make {} below {name}", some(&makes))),
                    (may_grant, format!("change who may do what with {name}")),
                ] {
                    if may {
                        is_clean = false;
                        found.warn("excess", format!("the account may {what}"), TAKE_AWAY);
                    }
                }
            }
        }
        if is_clean {
            found.ok("excess", format!("nothing may be written ({} entries looked at)", names.len()));
        }
        Ok(())
    }

    /// DS-Replication-Get-Changes-All hands out password hashes, and LAPS passwords. It shows in the domain's security descriptor.
    async fn replication(&mut self, found: &mut Examined) -> Result<(), LdapFailure> {
        let Some(top) = self.dse.texts("defaultNamingContext").next().map(str::to_owned) else { return Ok(()) };
        let sids: Vec<Vec<u8>> = self.dse.values("tokenGroups").iter().map(|sid| sid.to_vec()).collect();
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
        let names = self.examples().await?;
        let mut is_clean = true;
        let mut is_told = false;
        for name in &names {
            let controls = vec![control(EFFECTIVE_RIGHTS, Some(me.clone().into_bytes()))];
            let attributes = ["cn", "mail", "telephoneNumber", "userPassword", "aci", "member", "dialcastSetting"];
            let query = (name.as_str(), Scope::Base, "(objectClass=*)");
            for (_, held) in self.ask(query, Asking { attributes: &attributes, controls, ..Asking::default() }).await? {
                is_told |= held.has("entryLevelRights");
                // `v` is to see it.
                let entry = held.text("entryLevelRights").unwrap_or("none");
                let may: Vec<String> = [('a', "add entries below"), ('d', "delete"), ('n', "rename")]
                    .iter()
                    .filter(|(letter, _)| entry != "none" && entry.contains(*letter))
                    .map(|(_, what)| (*what).to_owned())
                    .collect();
                let writes = written(held.text("attributeLevelRights").unwrap_or_default());
                let writes = (!writes.is_empty()).then(|| format!("write {} of", some(&writes)));
                for what in may.into_iter().chain(writes) {
                    is_clean = false;
                    found.warn("excess", format!("the account may {what} {name}"), TAKE_AWAY);
                }
            }
        }
        if is_clean && is_told {
            found.ok("excess", format!("nothing may be written ({} entries looked at)", names.len()));
        } else if is_clean {
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
        if needed && !readable.iter().any(|name| is_needed(name)) {
            found.note(
                "read",
                "no SIPIdentityPassword can be read, from which digest would take users' secrets",
                "let the account read it, or name a file in auth.credentials_file",
            );
        }
        Ok(())
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
