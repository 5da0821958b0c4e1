//! docs/389ds.md at a real 389 Directory Server.

use std::process::Command;

use crate::common::ds389::Ds389;
use crate::common::slapd::run;
use crate::page::Page;

const RECORDS: &str = "dn: ou=Berlin,dc=corp,dc=example
objectClass: organizationalUnit
ou: Berlin

dn: uid=anna,ou=Berlin,dc=corp,dc=example
objectClass: inetOrgPerson
uid: anna
cn: Anna
sn: Adler
mail: anna@corp.example
userPassword: annas-password
";

#[test]
fn the_page_for_389_directory_server() {
    let mut server = Ds389::start(RECORDS);
    let mut page = Page::read("389ds.md");
    let folder = server.ca_file().parent().unwrap().display().to_string();
    page.is("/etc/dirsrv/slapd-INSTANCE", &folder);
    page.is("ldap://ds.corp.example", &server.url().replace("/dc=corp,dc=example", ""));
    page.is("ldaps://ds.corp.example/dc=corp,dc=example", &server.ldaps_url());
    page.is(" -W ", &format!(" -w {} ", Ds389::PASSWORD));
    // The server of the test is no service of the system: it is started again below.
    page.tool("dsctl", "test \"$*\" = 'INSTANCE restart'");
    std::fs::write(page.path("directory-password"), "Dial-Cast-12").unwrap();
    run(Command::new("chmod").arg("600").arg(page.path("directory-password")), "");
    page.configure("");

    let [schema, plugins, account, doctor, policy, records] = [0, 1, 2, 3, 4, 5];
    assert_eq!(page.len(), 6, "a block was added: run it here");
    page.run(schema);
    page.run(plugins);
    server.stop();
    server.start_again();
    page.run(account);
    let said = page.run(doctor);
    assert!(said.contains("0 failed, 0 warnings, "), "{said}");
    for line in [
        "ok       dialect  389ds",
        "ok       read     cn=changelog",
        "ok       excess   nothing may be written",
        "ok       excess   no passwords can be read",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let said = page.run(policy);
    assert!(said.contains("sips:ber1.corp.example"), "{said}");

    // The other dialect lacks a right, until its block was run.
    page.configure("dialect = \"389ds-changelog\"");
    let said = page.ask(&["doctor"]).1;
    assert!(said.contains("FAILED   read     the changelog `cn=changelog` cannot be followed: "), "{said}");
    page.run(records);
    let said = page.run(doctor);
    assert!(said.contains("0 failed, 0 warnings, "), "{said}");
    for line in ["ok       dialect  389ds-changelog", "ok       read     the changelog: "] {
        assert!(said.contains(line), "{line}: {said}");
    }

    let (code, said) = page.ask(&["check"]);
    assert_eq!(code, Some(0), "{said}");
}
