//! The story in LDIF: content records and change records, in the words of Active Directory or of everybody else.

use std::fmt::Write as _;

use super::story::{Deed, Thing};

/// Where sites are in Active Directory.
const CONFIGURATION: &str = "CN=Configuration,DC=corp,DC=example";
/// And elsewhere.
const NETWORK: &str = "OU=Network,DC=corp,DC=example";

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
        let mut text = format!("dn: {}\n", self.dn(thing));
        for (name, value) in self.attributes(thing) {
            writeln!(text, "{name}: {value}").unwrap();
        }
        text
    }

    fn dn(self, thing: &Thing) -> String {
        match thing {
            Thing::Network if self == Self::ActiveDirectory => format!("CN=Dialcast,CN=Services,{CONFIGURATION}"),
            Thing::Network => NETWORK.to_owned(),
            Thing::Site { name, .. } => self.site(name),
            Thing::Subnet { prefix, .. } => self.subnet(prefix),
            thing => thing.dn(),
        }
    }

    fn site(self, name: &str) -> String {
        if self == Self::ActiveDirectory { format!("CN={name},CN=Sites,{CONFIGURATION}") } else { format!("CN={name},{NETWORK}") }
    }

    fn subnet(self, prefix: &str) -> String {
        if self == Self::ActiveDirectory {
            format!("CN={prefix},CN=Subnets,CN=Sites,{CONFIGURATION}")
        } else {
            format!("CN={prefix},{NETWORK}")
        }
    }

    /// The attribute of a subnet that names its site.
    fn site_of(self) -> &'static str {
        if self == Self::ActiveDirectory { "siteObject" } else { "dialcastSiteDN" }
    }

    fn attributes(self, thing: &Thing) -> Vec<(&'static str, String)> {
        let classes = |names: &[&str]| names.iter().map(|name| ("objectClass", (*name).to_owned())).collect::<Vec<_>>();
        let ad = self == Self::ActiveDirectory;
        let mut out = match thing {
            Thing::Unit(_) => classes(&["organizationalUnit"]),
            Thing::Person { account, tel, .. } => {
                let mut out = if ad { classes(&["user"]) } else { classes(&["inetOrgPerson"]) };
                out.push(if ad { ("sAMAccountName", account.clone()) } else { ("sn", account.clone()) });
                if ad {
                    // Enabled, and without a password: a new account is disabled otherwise.
                    out.push(("userAccountControl", "544".to_owned()));
                }
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
            Thing::Network => classes(&[if ad { "container" } else { "organizationalUnit" }]),
            // Its policy stands elsewhere: see `records`.
            Thing::Site { .. } if ad => classes(&["site"]),
            Thing::Site { line, .. } => {
                let mut out = classes(&["dialcastSite", "dialcastPolicy"]);
                out.push((self.setting(), (*line).to_owned()));
                out
            }
            Thing::Subnet { prefix, site } => {
                let mut out = classes(&[if ad { "subnet" } else { "dialcastSubnet" }]);
                out.push((self.site_of(), self.site(site)));
                if !ad {
                    out.push(("dialcastSubnetPrefix", (*prefix).to_owned()));
                }
                out
            }
        };
        if let Thing::Policy { lines, .. } = thing {
            out.extend(lines.iter().map(|line| (self.setting(), line.clone())));
        }
        if !ad && !matches!(thing, Thing::Unit(_) | Thing::Network) {
            let name = self.dn(thing);
            out.push(("cn", name.trim_start_matches("CN=").split(',').next().unwrap().to_owned()));
        }
        out
    }

    /// Content records, with those that a thing needs beside its own.
    pub(crate) fn records(self, thing: &Thing) -> String {
        let mut text = self.record(thing);
        if let (Self::ActiveDirectory, Thing::Site { name, line }) = (self, thing) {
            write!(
                text,
                "\ndn: CN={name},CN=Dialcast,CN=Services,{CONFIGURATION}\nobjectClass: serviceConnectionPoint\nkeywords: dialcast-policy/1\n\
                 keywords: dialcast-site:{name}\nserviceBindingInformation: {line}\n"
            )
            .unwrap();
        }
        text
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
            Deed::Subnet { prefix, site } => replace(&self.subnet(prefix), self.site_of(), &[self.site(site)]),
            Deed::Lines { dn, lines } => replace(dn, self.setting(), lines),
            Deed::Move { dn, rdn, above } => {
                format!("dn: {dn}\nchangetype: moddn\nnewrdn: {rdn}\ndeleteoldrdn: 1\nnewsuperior: {above}\n")
            }
            Deed::Delete(dn) => format!("dn: {dn}\nchangetype: delete\n"),
        }
    }
}
