//! The story in LDIF: content records and change records, in the words of Active Directory or of everybody else.

use std::fmt::Write as _;

use super::story::{Deed, Thing};

/// Whose classes and attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// inetOrgPerson, groupOfNames, and Dialcast's own schema.
    Standard,
    /// user, group, and serviceConnectionPoint in place of a schema.
    ActiveDirectory,
}

impl Words {
    /// A content record.
    pub(crate) fn record(self, thing: &Thing) -> String {
        let mut text = format!("dn: {}\n", thing.dn());
        for (name, value) in self.attributes(thing) {
            writeln!(text, "{name}: {value}").unwrap();
        }
        text
    }

    fn attributes(self, thing: &Thing) -> Vec<(&'static str, String)> {
        let classes = |names: &[&str]| names.iter().map(|name| ("objectClass", (*name).to_owned())).collect::<Vec<_>>();
        let ad = self == Self::ActiveDirectory;
        let mut out = match thing {
            Thing::Unit(_) => classes(&["organizationalUnit"]),
            Thing::Person { account, tel, .. } => {
                let mut out = if ad { classes(&["user"]) } else { classes(&["inetOrgPerson"]) };
                out.push(if ad { ("sAMAccountName", account.clone()) } else { ("sn", account.clone()) });
                out.extend([("mail", format!("{account}@corp.example")), ("telephoneNumber", tel.clone())]);
                out
            }
            Thing::Group { name, members, .. } => {
                let mut out = if ad { classes(&["group"]) } else { classes(&["groupOfNames"]) };
                if ad {
                    out.push(("sAMAccountName", name.clone()));
                }
                out.extend(members.iter().map(|member| ("member", member.clone())));
                out
            }
            Thing::Server { role, address, .. } if ad => vec![
                ("objectClass", "serviceConnectionPoint".to_owned()),
                ("keywords", "dialcast-server/1".to_owned()),
                ("serviceBindingInformation", format!("role = {role}")),
                ("serviceBindingInformation", format!("server = {address}")),
            ],
            Thing::Server { role, address, .. } => {
                let mut out = classes(&["applicationProcess", "dialcastServer"]);
                out.extend([("dialcastRole", (*role).to_owned()), ("dialcastServerAddress", address.clone())]);
                out
            }
            Thing::Policy { .. } if ad => {
                vec![("objectClass", "serviceConnectionPoint".to_owned()), ("keywords", "dialcast-policy/1".to_owned())]
            }
            Thing::Policy { .. } => classes(&["applicationProcess", "dialcastPolicy"]),
        };
        if let Thing::Policy { lines, .. } = thing {
            out.extend(lines.iter().map(|line| (self.setting(), line.clone())));
        }
        if !ad && !matches!(thing, Thing::Unit(_)) {
            let name = thing.dn();
            out.push(("cn", name.trim_start_matches("CN=").split(',').next().unwrap().to_owned()));
        }
        out
    }

    /// The attribute that holds policy lines.
    fn setting(self) -> &'static str {
        if self == Self::ActiveDirectory { "serviceBindingInformation" } else { "dialcastSetting" }
    }

    /// Change records.
    pub(crate) fn change(self, deed: &Deed) -> String {
        let replace = |dn: &str, name: &str, values: &[String]| {
            let mut text = format!("dn: {dn}\nchangetype: modify\nreplace: {name}\n");
            for value in values {
                writeln!(text, "{name}: {value}").unwrap();
            }
            text
        };
        match deed {
            Deed::Add(thing) => self.record(thing).replacen('\n', "\nchangetype: add\n", 1),
            Deed::Tel { dn, tel } => replace(dn, "telephoneNumber", std::slice::from_ref(tel)),
            Deed::Members { dn, members } => replace(dn, "member", members),
            Deed::Lines { dn, lines } => replace(dn, self.setting(), lines),
            Deed::Move { dn, rdn, above } => {
                format!("dn: {dn}\nchangetype: moddn\nnewrdn: {rdn}\ndeleteoldrdn: 1\nnewsuperior: {above}\n")
            }
            Deed::Delete(dn) => format!("dn: {dn}\nchangetype: delete\n"),
        }
    }
}
