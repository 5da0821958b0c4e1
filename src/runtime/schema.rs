//! `dialcast schema`: the texts that an administrator loads into a directory, as they stand in `schemas/`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{Failed, answer};
use crate::model::Dn;

/// The LDAP schema for a server, or snippets for Active Directory: a policy, a server, a site's policy, a delegation.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SchemaArgs {
    /// What to print
    #[arg(value_enum)]
    what: What,
    /// Snippets: for which tool [default: ldifde; for delegation: powershell]
    #[arg(long = "as", value_enum, value_name = "TOOL")]
    form: Option<Form>,
    /// Put this base DN in the place of DC=corp,DC=example (in snippets)
    #[arg(long, value_name = "DN")]
    base: Option<String>,
    /// H.350.4's classes (SIP identities) in place of Dialcast's own classes (openldap, openldap-conf, 389ds)
    #[arg(long)]
    h350: bool,
}

const EXAMPLES: &str = "\
Examples:
  dialcast schema openldap | ldapadd -Y EXTERNAL -H ldapi:///
  dialcast schema openldap-conf > /etc/ldap/schema/dialcast.schema
  dialcast schema 389ds > /etc/dirsrv/slapd-INSTANCE/schema/99dialcast.ldif
  dialcast schema policy --as powershell --base DC=acme,DC=com
  dialcast schema policy | ldapmodify -H ldaps://dc1.corp.example -D you@corp.example -W
  dialcast schema delegation --as samba

Exit codes: 0 printed, 1 there is no such text.";

/// A text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// OpenLDAP's cn=config, as LDIF
    Openldap,
    /// OpenLDAP's slapd.conf
    OpenldapConf,
    /// 389 Directory Server
    #[value(name = "389ds")]
    Ds389,
    /// Active Directory and Samba: none is needed, and why
    Ad,
    /// A policy for an OU, as serviceConnectionPoint
    Policy,
    /// A policy for the whole domain, in CN=Dialcast,CN=System
    DomainPolicy,
    /// A server for @nearest(role), as serviceConnectionPoint
    Server,
    /// A policy for a site or subnet, below CN=Services
    SitePolicy,
    /// The right of a group to make policies in an OU, and nothing else
    Delegation,
}

/// The tool that a snippet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// ldifde, ldapmodify
    Ldifde,
    /// PowerShell
    Powershell,
    /// samba-tool, in a shell
    Samba,
}

/// The base DN in the snippets.
const SAMPLE_BASE: &str = "DC=corp,DC=example";

/// The texts, as they lie in the repository.
const TEXTS: &[(What, bool, Form, &str)] = &[
    (What::Openldap, false, Form::Ldifde, include_str!("../../schemas/ldap/dialcast.ldif")),
    (What::Openldap, true, Form::Ldifde, include_str!("../../schemas/ldap/sipidentity.ldif")),
    (What::OpenldapConf, false, Form::Ldifde, include_str!("../../schemas/ldap/dialcast.schema")),
    (What::OpenldapConf, true, Form::Ldifde, include_str!("../../schemas/ldap/sipidentity.schema")),
    (What::Ds389, false, Form::Ldifde, include_str!("../../schemas/ldap/99dialcast.ldif")),
    (What::Ds389, true, Form::Ldifde, include_str!("../../schemas/ldap/98sipidentity.ldif")),
    (What::Ad, false, Form::Ldifde, include_str!("../../schemas/ad/schema.txt")),
    (What::Policy, false, Form::Ldifde, include_str!("../../schemas/ad/policy.ldf")),
    (What::Policy, false, Form::Powershell, include_str!("../../schemas/ad/policy.ps1")),
    (What::DomainPolicy, false, Form::Ldifde, include_str!("../../schemas/ad/domain-policy.ldf")),
    (What::DomainPolicy, false, Form::Powershell, include_str!("../../schemas/ad/domain-policy.ps1")),
    (What::Server, false, Form::Ldifde, include_str!("../../schemas/ad/server.ldf")),
    (What::Server, false, Form::Powershell, include_str!("../../schemas/ad/server.ps1")),
    (What::SitePolicy, false, Form::Ldifde, include_str!("../../schemas/ad/site-policy.ldf")),
    (What::SitePolicy, false, Form::Powershell, include_str!("../../schemas/ad/site-policy.ps1")),
    (What::Delegation, false, Form::Powershell, include_str!("../../schemas/ad/delegation.ps1")),
    (What::Delegation, false, Form::Samba, include_str!("../../schemas/ad/delegation.sh")),
];

/// Prints a text; in JSON, as `{"text":…}`.
///
/// # Errors
/// When there is none such, or the base is no DN.
pub fn run(args: &SchemaArgs, json: bool) -> Result<ExitCode, Failed> {
    let text = text(args).map_err(|why| Failed::Other(anyhow::anyhow!(why)))?;
    answer(&if json { format!("{}\n", serde_json::json!({ "text": text })) } else { text })?;
    Ok(ExitCode::SUCCESS)
}

fn text(args: &SchemaArgs) -> Result<String, String> {
    let form = args.form.unwrap_or(if args.what == What::Delegation { Form::Powershell } else { Form::Ldifde });
    let name =
        |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let found = TEXTS.iter().find(|(what, h350, of, _)| (*what, *h350, *of) == (args.what, args.h350, form));
    let Some((.., text)) = found else {
        if args.h350 {
            return Err("--h350 is of openldap, openldap-conf and 389ds".to_owned());
        }
        let of_it = TEXTS.iter().filter(|(what, h350, ..)| *what == args.what && !h350);
        let forms: Vec<String> = of_it.map(|(_, _, form, _)| name(&|| form.to_possible_value())).collect();
        return Err(format!(
            "there is no `{}` for {}; it is there as: {}",
            name(&|| args.what.to_possible_value()),
            name(&|| form.to_possible_value()),
            forms.join(", ")
        ));
    };
    match &args.base {
        None => Ok((*text).to_owned()),
        Some(base) => {
            let dn: Dn = base.parse().map_err(|error| format!("--base `{base}` is not a DN: {error}"))?;
            Ok(text.replace(SAMPLE_BASE, &dn.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(what: What, form: Option<Form>) -> SchemaArgs {
        SchemaArgs { what, form, base: None, h350: false }
    }

    /// The same objects, whatever the tool: every name and value of the LDIF is in the PowerShell.
    #[test]
    fn snippets_say_the_same() {
        for what in [What::Policy, What::DomainPolicy, What::Server, What::SitePolicy] {
            let (ldif, shell) = (text(&args(what, None)).unwrap(), text(&args(what, Some(Form::Powershell))).unwrap());
            let lines = ldif.lines().filter_map(|line| line.split_once(": ").filter(|_| !line.starts_with('#')));
            for (name, value) in lines.filter(|(name, _)| !["changetype", "dn"].contains(name)) {
                let is_there =
                    if name == "objectClass" { shell.contains(&format!("-Type {value}")) } else { shell.contains(&format!("\"{value}\"")) };
                assert!(is_there, "{what:?}: {name}: {value}");
            }
            for (_, dn) in ldif.lines().filter_map(|line| line.split_once("dn: ")) {
                assert!(shell.contains(&format!("-Path \"{}\"", dn.split_once(',').unwrap().1)), "{dn}");
            }
        }
    }

    #[test]
    fn bases_and_what_is_not_there() {
        let mut with_base = args(What::Policy, None);
        with_base.base = Some("DC=acme,DC=com".to_owned());
        let said = text(&with_base).unwrap();
        assert!(said.contains("dn: CN=Telephony,OU=Berlin,DC=acme,DC=com\n") && !said.contains("DC=corp"), "{said}");
        with_base.base = Some("acme.com".to_owned());
        assert!(text(&with_base).unwrap_err().starts_with("--base `acme.com` is not a DN"));
        assert_eq!(
            text(&args(What::Policy, Some(Form::Samba))).unwrap_err(),
            "there is no `policy` for samba; it is there as: ldifde, powershell"
        );
        let h350 = SchemaArgs { h350: true, ..args(What::Ad, None) };
        assert!(text(&h350).unwrap_err().starts_with("--h350 is of"));
        assert!(text(&SchemaArgs { h350: true, ..args(What::Ds389, None) }).unwrap().contains("SIPIdentitySIPURI"));
    }
}
