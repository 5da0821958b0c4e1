//! The sample organisation, and more people for it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::checkout;

/// `examples/corp.ldif`.
pub fn sample() -> String {
    std::fs::read_to_string(checkout("examples/corp.ldif")).unwrap()
}

/// The `user@domain` of every user in LDIF text, by what the config's default order of attributes says.
pub fn users(ldif: &str) -> Vec<String> {
    let address = |record: &str| {
        let find = |name: &str| record.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        record
            .lines()
            .any(|line| line == "objectClass: inetOrgPerson")
            .then(|| find("SIPIdentitySIPURI: sip:").or_else(|| find("mail: ")))
            .flatten()
    };
    ldif.split("\n\n").filter_map(address).collect()
}

/// An OU, with policy lines if any.
pub fn unit(dn: &str, lines: &[&str]) -> String {
    let name = dn.split([',', '=']).nth(1).unwrap();
    let class = if lines.is_empty() { "" } else { "objectClass: dialcastPolicy\n" };
    let mut record = format!("\ndn: {dn}\nobjectClass: organizationalUnit\n{class}ou: {name}\n");
    for line in lines {
        writeln!(record, "dialcastSetting: {line}").unwrap();
    }
    record
}

/// Users `prefix001`, `prefix002`, … in a container.
pub fn people(prefix: &str, numbers: std::ops::RangeInclusive<u32>, container: &str) -> String {
    let mut records = String::new();
    for n in numbers {
        let uid = format!("{prefix}{n:03}");
        write!(records, "\ndn: uid={uid},{container}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n").unwrap();
        write!(records, "mail: {uid}@corp.example\ntelephoneNumber: +49 30 23125 {n:03}\n").unwrap();
    }
    records
}

/// The addresses of [`people`], and of others by their names.
pub fn addresses<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> BTreeSet<String> {
    names.into_iter().map(|name| format!("{}@corp.example", name.as_ref())).collect()
}
