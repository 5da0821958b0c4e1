//! docs/active-directory.md at a Samba domain controller.

use std::process::Command;

use crate::common::dns::Dns;
use crate::common::samba::Samba;
use crate::common::slapd::run;
use crate::common::tls::Authority;
use crate::page::Page;

#[test]
fn the_page_for_active_directory() {
    let authority = Authority::new();
    let samba = Samba::tls(&authority.certify_for_days("DNS:dc1.corp.example", 90));
    samba.modify(
        "dn: OU=Berlin,DC=corp,DC=example\nchangetype: add\nobjectClass: organizationalUnit\n\n\
         dn: CN=Anna,OU=Berlin,DC=corp,DC=example\nchangetype: add\nobjectClass: user\nsAMAccountName: anna\nmail: anna@corp.example\n",
    );
    let dns = Dns::start();
    dns.srv("_ldap._tcp.default-first-site-name._sites.dc._msdcs.corp.example", &[(0, 100, 389, "dc1.corp.example")]);
    dns.srv("_ldap._tcp.dc._msdcs.corp.example", &[(0, 100, 389, "dc1.corp.example")]);
    dns.address_of("dc1.corp.example", &samba.address().ip().to_string());

    let mut page = Page::read("active-directory.md");
    let conf = samba.dir().join("smb.conf").display().to_string();
    page.is("/var/lib/samba", &samba.dir().display().to_string());
    // The tools look the name up by the system, which does not know it here; and they would ask for the password.
    page.is("-H ldaps://dc1.corp.example", &format!("-H ldap://{}", samba.address()));
    page.is(" -W ", &format!(" -w '{}' ", Samba::PASSWORD));
    page.tool("samba-tool", &format!("exec /usr/bin/samba-tool \"$@\" -s {conf}"));
    std::fs::write(page.path("directory-password"), "Dial-Cast-12\n").unwrap();
    run(Command::new("chmod").arg("600").arg(page.path("directory-password")), "");
    std::fs::copy(authority.file(), page.path("corp-ca.pem")).unwrap();
    page.configure(&format!("nameservers = [\"{}\"]", dns.address()));

    let [account, deleted, doctor, policy, explain, domain, delegation, site, keytab] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(page.len(), 9, "a block was added: run it here");

    page.run(account);
    let said = page.run(doctor);
    assert!(said.contains("WARNING  read     CN=Deleted Objects,DC=corp,DC=example cannot be read"), "{said}");
    page.run(deleted);
    let said = page.run(doctor);
    assert!(
        said.contains("ok       read     CN=Deleted Objects,DC=corp,DC=example") && said.contains("\n0 failed, 0 warnings, "),
        "{said}"
    );

    page.run(policy);
    let said = page.run(explain);
    assert!(said.contains("sips:ber1.corp.example") && said.contains("OU=Berlin"), "{said}");
    page.run(domain);
    let said = page.run(explain);
    assert!(said.contains("sip:voicemail@corp.example"), "{said}");

    page.run(delegation);
    // A member of the group makes a policy in the OU, and elsewhere cannot.
    run(Command::new("samba-tool").args(["user", "create", "tina", Samba::PASSWORD, "-s", &conf]), "");
    run(Command::new("samba-tool").args(["group", "addmembers", "Telephony Admins", "tina", "-s", &conf]), "");
    let add = |dn: &str| {
        let record = format!("dn: {dn}\nchangetype: add\nobjectClass: serviceConnectionPoint\nkeywords: dialcast-policy/1\n");
        let file = page.path("record.ldif");
        std::fs::write(&file, record).unwrap();
        let url = format!("ldap://{}", samba.address());
        let mut tool = Command::new("ldapmodify");
        tool.args(["-x", "-H", &url, "-D", "tina@corp.example", "-w", Samba::PASSWORD, "-f"]).arg(file).output().unwrap().status.success()
    };
    assert!(add("CN=Tina,OU=Berlin,DC=corp,DC=example"));
    assert!(!add("CN=Tina,CN=Users,DC=corp,DC=example"));
    let change = "dn: CN=Tina,OU=Berlin,DC=corp,DC=example\nchangetype: modify\nadd: serviceBindingInformation\n\
         serviceBindingInformation: language = de\n";
    let url = format!("ldap://{}", samba.address());
    run(Command::new("ldapmodify").args(["-x", "-H", &url, "-D", "tina@corp.example", "-w", Samba::PASSWORD]), change);

    page.run(site);
    let found = samba.search("CN=Services,CN=Configuration,DC=corp,DC=example", "(keywords=dialcast-site:Berlin)", &["keywords"]);
    assert!(found.contains("CN=Berlin,CN=Dialcast,CN=Services"), "{found}");
    page.run(keytab);
    assert!(page.path("dialcast.keytab").is_file());
}
