//! `dialcast doctor` against real servers: what is well, what is not, and what the account may do that it should not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::process::Command;

use common::checkout;
use common::daemon::{ask, json, text};
use common::dns::Dns;
use common::ds389::{self, Ds389};
use common::samba::Samba;
use common::slapd::{self, Setup, Slapd, free_port, run};
use common::tls::Authority;
use serde_json::Value;
use tempfile::TempDir;

/// A configuration file in a folder of its own, and the password beside it.
struct Config(TempDir);

impl Config {
    fn new(url: &str, account: &str, password: &str, lines: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let secret = dir.path().join("password");
        std::fs::write(&secret, password).unwrap();
        run(Command::new("chmod").arg("600").arg(&secret), "");
        let toml = format!("[directory]\nurl = \"{url}\"\nbind_dn = \"{account}\"\npassword_file = \"password\"\n{lines}\n");
        std::fs::write(dir.path().join("dialcast.toml"), toml).unwrap();
        Self(dir)
    }

    fn path(&self) -> String {
        self.0.path().join("dialcast.toml").display().to_string()
    }

    /// Exit code and findings.
    fn examine(&self) -> Found {
        let output = ask(&["doctor", "--json", "--config", &self.path()]);
        Found { code: output.status.code().unwrap(), answer: json(&output) }
    }
}

struct Found {
    code: i32,
    answer: Value,
}

impl Found {
    /// The findings as lines: `failed tls it has ended`.
    fn lines(&self) -> Vec<String> {
        let examined = self.answer["examined"].as_array().unwrap();
        let findings = examined.iter().flat_map(|one| one["findings"].as_array().unwrap());
        let shown = |finding: &Value| format!("{} {} {}", text_of(finding, "verdict"), text_of(finding, "step"), text_of(finding, "what"));
        findings.map(shown).collect()
    }

    /// Fails unless one line begins and another part of it goes on like that.
    fn has(&self, begin: &str, part: &str) -> &Self {
        let lines = self.lines();
        assert!(lines.iter().any(|line| line.starts_with(begin) && line.contains(part)), "no `{begin}…{part}` in {lines:#?}");
        self
    }

    fn has_no(&self, begin: &str) -> &Self {
        let lines = self.lines();
        assert!(!lines.iter().any(|line| line.starts_with(begin)), "`{begin}` in {lines:#?}");
        self
    }

    fn code(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{:#?}", self.lines());
        self
    }
}

fn text_of(finding: &Value, key: &str) -> String {
    finding[key].as_str().unwrap().to_owned()
}

const PEOPLE: &str = "
dn: uid=anna,dc=corp,dc=example
objectClass: inetOrgPerson
uid: anna
cn: Anna
sn: Adler
mail: anna@corp.example
userPassword: annas

dn: cn=staff,dc=corp,dc=example
objectClass: groupOfNames
cn: staff
member: uid=anna,dc=corp,dc=example
";

/// Who may read all but passwords.
const RIGHTS: &str = "access to attrs=userPassword by * auth\naccess to * by dn.exact=cn=reader,dc=corp,dc=example read by * auth";

#[test]
fn a_server_that_is_well() {
    let authority = Authority::new();
    let tls = authority.certify_for_days("DNS:ldap.corp.example", 90);
    let slapd = Setup::new(format!("{}{PEOPLE}", slapd::BASE)).tls(&tls).database(RIGHTS).start();
    let dns = Dns::start();
    let port: u16 = slapd.ldaps_url().rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    dns.srv("_ldap._tcp.corp.example", &[(0, 0, port, "ldap.corp.example")]);
    dns.address_of("ldap.corp.example", "127.0.0.1");
    let lines = format!("ca_file = \"{}\"\nnameservers = [\"{}\"]\n", authority.file().display(), dns.address());
    let config = Config::new("ldaps:///dc=corp,dc=example", Slapd::READER, "secret\n", &lines);
    let found = config.examine();
    found
        .code(0)
        .has("note dns _ldap._tcp.dc._msdcs.corp.example has no SRV records", "")
        .has("ok dns _ldap._tcp.corp.example: ldap.corp.example:", "priority 0 weight 0")
        .has("ok address ldap.corp.example is 127.0.0.1", "")
        .has("ok tcp 127.0.0.1:", "takes connections")
        .has("ok tls TLS 1.3, and the certificate is good for ldap.corp.example", "")
        .has("ok tls certificate of CN=directory, for ldap.corp.example, by CN=Test CA", "ca.pem")
        .has("ok tls the server's certificate is good for ", " days, until ")
        .has("ok login cn=reader,dc=corp,dc=example", "")
        .has("ok server OpenLDAP; naming contexts: dc=corp,dc=example", "content synchronization")
        .has("ok dialect syncrepl: supportedControl has RFC 4533", "")
        .has("ok latency an answer takes ", " ms")
        .has("ok read the base dc=corp,dc=example", "")
        .has("ok read users: 1 of 1 looked at have an address", "")
        .has("ok read members of groups: 1 of 1 looked at have some", "")
        .has("ok read contextCSN of dc=corp,dc=example", "")
        .has("ok read all 4 entries below the base", "")
        .has("ok excess no passwords can be read", "")
        .has("note advice there is one server", "")
        .has_no("failed")
        .has_no("warning");
    assert_eq!(found.answer["examined"][1]["place"], format!("ldaps://ldap.corp.example:{port}"));
    assert!(!found.answer.to_string().contains("secret"));

    let shown = ask(&["doctor", "--config", &config.path()]);
    let shown = text(&shown.stdout);
    assert!(
        shown.contains("\n  ok       login    cn=reader,dc=corp,dc=example (") && shown.ends_with("\n0 failed, 0 warnings, 4 notes\n"),
        "{shown}"
    );
}

#[test]
fn certificates() {
    let authority = Authority::new();
    let lines = |authority: &Authority| format!("ca_file = \"{}\"", authority.file().display());
    let examine = |slapd: &Slapd, lines: &str| Config::new(&slapd.ldaps_url(), Slapd::READER, "secret", lines).examine();

    let expired = Setup::new(slapd::BASE).tls(&authority.certify_expired("IP:127.0.0.1")).start();
    examine(&expired, &lines(&authority))
        .code(1)
        .has("failed tls the server's certificate has ended at ", "")
        .has("failed tls the server's certificate is not accepted: it has expired", "")
        .has_no("ok login");

    let brief = Setup::new(slapd::BASE).tls(&authority.certify_for_days("IP:127.0.0.1", 10)).start();
    examine(&brief, &lines(&authority)).code(0).has("warning tls the server's certificate ends in ", " days, at ").has("ok login", "");
    examine(&brief, &lines(&Authority::new()))
        .code(1)
        .has("failed tls the server's certificate is not accepted: ", "it is not signed by the authority");

    let other = Setup::new(slapd::BASE).tls(&authority.certify("DNS:elsewhere.example")).start();
    examine(&other, &lines(&authority))
        .code(1)
        .has("ok tls certificate of CN=directory, for elsewhere.example, by CN=Test CA", "not for this host")
        .has("failed tls the server's certificate is not accepted: ", "127.0.0.1");
}

#[test]
fn an_account_that_may_too_little_or_too_much() {
    let records = format!("{}{PEOPLE}", slapd::BASE);
    let examine = |slapd: &Slapd, password: &str| Config::new(&slapd.url(), Slapd::READER, password, "").examine();

    let cut = Setup::new(&records).database("limits dn.exact=cn=reader,dc=corp,dc=example size=2").start();
    examine(&cut, "secret")
        .code(1)
        .has("failed read a list ends after 2 entries: ", "sizeLimitExceeded (4)")
        // Without rules everybody may read everything, passwords too.
        .has("warning excess the account can read userPassword", "");
    examine(&cut, "hunter2")
        .code(1)
        .has("failed login the bind as `cn=reader,dc=corp,dc=example` was refused: invalidCredentials (49)", "")
        .has_no("ok server");

    let blind = Setup::new(&records)
        .database("access to dn.base=dc=corp,dc=example by * read\naccess to attrs=mail,member by * none\naccess to attrs=userPassword by * auth\naccess to * by * read")
        .start();
    examine(&blind, "secret")
        .has("warning read 1 users, and none with a readable SIPIdentitySIPURI, ", "mail")
        .has("warning read 1 groups, and none with a readable member", "");
    let closed = Setup::new(&records).database("access to * by * auth").start();
    examine(&closed, "secret").code(1).has("failed read the base dc=corp,dc=example is not there, or may not be read", "");
}

/// Entries that the overlay does not know of: a list would leave them out, and call itself complete.
#[test]
fn a_context_csn_that_is_behind() {
    let mut slapd = Setup::new(slapd::BASE).database(RIGHTS).start();
    slapd.stop();
    slapd.slapadd(PEOPLE, &[]);
    slapd.restart();
    let found = Config::new(&slapd.url(), Slapd::READER, "secret", "").examine();
    found.code(1).has("failed read the server's contextCSN ", "it leaves out entries");
}

#[test]
fn every_server_of_the_list_is_looked_at() {
    let slapd = Setup::new(format!("{}{PEOPLE}", slapd::BASE)).database(RIGHTS).start();
    let dead = free_port();
    let found = Config::new(&slapd.url(), Slapd::READER, "secret", &format!("failover = [\"ldap://127.0.0.1:{dead}\"]")).examine();
    found.code(1).has("ok login", "").has(&format!("failed tcp cannot connect to 127.0.0.1:{dead}: "), "");
    assert_eq!(found.answer["examined"].as_array().unwrap().len(), 2);
    assert_eq!(found.answer["failed"], 1);
}

#[test]
fn files() {
    let dir = TempDir::new().unwrap();
    let examine = |path: &Path| {
        let output = ask(&["doctor", "--json", "--directory", &format!("ldif:{}", path.display())]);
        Found { code: output.status.code().unwrap(), answer: json(&output) }
    };
    examine(&checkout("examples/corp.ldif")).code(0).has("ok file ", " records, without a fault of form");
    let broken = dir.path().join("broken.ldif");
    std::fs::write(&broken, "dn: dc=corp\nobjectClass domain\n").unwrap();
    examine(&broken).code(1).has("failed file ", "broken.ldif:2");
    examine(&dir.path().join("missing.ldif")).code(1).has("failed file ", "cannot be read");
}

/// A domain controller: as the account comes, then with the one right that it needs, then with those that it must not have.
#[test]
fn active_directory() {
    let authority = Authority::new();
    let samba = Samba::tls(&authority.certify("DNS:dc1.corp.example"));
    samba.modify(
        "dn: OU=Berlin,DC=corp,DC=example\nchangetype: add\nobjectClass: organizationalUnit\n\n\
         dn: CN=Anna,OU=Berlin,DC=corp,DC=example\nchangetype: add\nobjectClass: user\nsAMAccountName: anna\nmail: anna@corp.example\n\n\
         dn: CN=10.1.0.0/16,CN=Subnets,CN=Sites,CN=Configuration,DC=corp,DC=example\nchangetype: add\nobjectClass: subnet\n",
    );
    let dns = Dns::start();
    dns.srv("_ldap._tcp.dc._msdcs.corp.example", &[(0, 100, 389, "dc1.corp.example")]);
    dns.address_of("dc1.corp.example", &samba.address().ip().to_string());
    let lines = format!("ca_file = \"{}\"\nnameservers = [\"{}\"]", authority.file().display(), dns.address());
    let config = Config::new("ldaps:///DC=corp,DC=example", Samba::READER, Samba::PASSWORD, &lines);
    // 389 is what Active Directory publishes; with ldaps it is 636.
    config
        .examine()
        .code(0)
        .has("ok tcp ", ":636 takes connections")
        .has("ok dialect ad: supportedCapabilities has Active Directory", "")
        .has("ok clock the clocks are ", "s apart")
        .has("ok read users: 1 of ", "have an address")
        .has("ok read sites: 1, subnets: 1", "")
        .has("ok read lists come in pages", "")
        .has("warning read CN=Deleted Objects,DC=corp,DC=example cannot be read", "")
        .has("ok excess nothing may be written (", " entries looked at)")
        .has("ok excess no right to replicate passwords", "")
        .has("ok excess no passwords can be read", "")
        .has_no("failed");

    samba.allow_reader("CN=Deleted Objects,DC=corp,DC=example");
    config
        .examine()
        .code(0)
        .has("ok read CN=Deleted Objects,DC=corp,DC=example", "")
        .has("warning read CN=Deleted Objects,CN=Configuration,DC=corp,DC=example cannot be read", "site");
    samba.allow_reader("CN=Deleted Objects,CN=Configuration,DC=corp,DC=example");
    config.examine().has_no("warning read");
    // The same by StartTLS, on the port that the DNS names.
    let starttls = Config::new("ldap:///DC=corp,DC=example", Samba::READER, Samba::PASSWORD, &format!("starttls = true\n{lines}"));
    starttls.examine().code(0).has("ok tcp ", ":389 takes connections").has("ok tls TLS 1.3, and the certificate is good for dc1", "");

    let sid = samba.sid(Samba::READER_DN);
    // bf967961-…: mail.
    samba.grant("DC=corp,DC=example", &format!("(OA;CI;WP;bf967961-0de6-11d0-a285-00aa003049e2;;{sid})"));
    samba.grant("DC=corp,DC=example", &format!("(OA;;CR;1131f6ad-9c07-11d1-f79f-00c04fc2dcd2;;{sid})"));
    config
        .examine()
        .code(0)
        .has("warning excess the account may write mail of CN=", "DC=corp,DC=example")
        .has("warning excess the account may replicate DC=corp,DC=example with its passwords", "");

    let mut administrator = Config::new("ldaps:///DC=corp,DC=example", Samba::ADMIN, Samba::PASSWORD, &lines);
    administrator.0 = config_with(administrator.0, "\n[auth]\nmode = \"digest\"\n");
    administrator
        .examine()
        .has("warning excess the account may make ", "below DC=corp,DC=example")
        .has("warning excess the account may change who may do what with DC=corp,DC=example", "")
        .has("note read no SIPIdentityPassword can be read", "");
}

/// A domain that wants every connection signed says so, and TLS is what contents it.
#[test]
fn signing_is_required() {
    let authority = Authority::new();
    let samba = Samba::with("ldap server require strong auth = yes");
    let found = Config::new(&samba.url(), Samba::READER, Samba::PASSWORD, "").examine();
    found.code(1).has("failed login the bind as `reader@corp.example` was refused: strongerAuthRequired (8)", "");
    assert!(found.answer.to_string().contains("the server wants the connection protected: use ldaps://"), "{}", found.answer);
    // It has no TLS here: nothing is sent in the clear instead.
    let lines = format!("starttls = true\nca_file = \"{}\"", authority.file().display());
    let found = Config::new(&samba.url(), Samba::READER, Samba::PASSWORD, &lines).examine();
    found.code(1).has("failed tls the ", "").has_no("ok login");
}

/// Adds lines to the configuration.
fn config_with(dir: TempDir, lines: &str) -> TempDir {
    let path = dir.path().join("dialcast.toml");
    let toml = std::fs::read_to_string(&path).unwrap() + lines;
    std::fs::write(path, toml).unwrap();
    dir
}

/// 389 Directory Server says what an account may do.
#[test]
fn directory_server_389() {
    let server = Ds389::start(&format!("{}{PEOPLE}", ds389::BASE));
    let examine = || Config::new(&server.url(), Ds389::READER, Ds389::PASSWORD, "").examine();
    examine()
        .code(0)
        .has("ok server 389 Project 389-Directory/", "persistent search")
        .has("ok dialect 389ds: ", "RFC 4533")
        .has("ok clock the clocks are ", "")
        .has("ok read cn=changelog", "")
        .has("ok excess nothing may be written", "")
        .has("warning excess the account can read userPassword", "");
    examine().has_no("warning excess the account can read `changes`");
    // A suffix that everybody may read is not synchronized for everybody.
    server.modify(
        "dn: dc=corp,dc=example\nchangetype: modify\nadd: aci\n\
         aci: (targetattr=\"objectClass\")(version 3.0; acl \"all\"; allow (read,search) userdn=\"ldap:///anyone\";)\n",
    );
    let anonymous = Config::new("", "", "", "");
    std::fs::write(anonymous.path(), format!("[directory]\nurl = \"{}\"\n", server.url())).unwrap();
    let anonymous = anonymous.examine();
    anonymous.code(1).has("failed read content synchronization is not for this account: ", "insufficientAccessRights (50)");
    let lines = format!("starttls = true\nca_file = \"{}\"", server.ca_file().display());
    let named = server.url().replace("127.0.0.1", "localhost");
    let starttls = Config::new(&named, Ds389::READER, Ds389::PASSWORD, &lines).examine();
    starttls.code(0).has("ok tls TLS 1.", "the certificate is good for localhost").has("ok login", "");
    server.modify(
        "dn: cn=changelog\nchangetype: modify\nadd: aci\n\
         aci: (targetattr=\"*\")(version 3.0; acl \"all\"; allow (read,search) userdn=\"ldap:///cn=reader,dc=corp,dc=example\";)\n",
    );
    examine().has("warning excess the account can read ", "`changes` of cn=changelog, with every changed password");
    server.modify(
        "dn: cn=changelog\nchangetype: modify\ndelete: aci\n\n\
         dn: dc=corp,dc=example\nchangetype: modify\nadd: aci\n\
         aci: (targetattr=\"mail\")(version 3.0; acl \"w\"; allow (write) userdn=\"ldap:///cn=reader,dc=corp,dc=example\";)\n",
    );
    examine()
        .code(0)
        .has("warning read cn=changelog cannot be read", "")
        .has("warning excess the account may write mail of uid=anna,dc=corp,dc=example", "");
}
