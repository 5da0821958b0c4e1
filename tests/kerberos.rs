//! A login by Kerberos, with a keytab, at a real domain controller that is its own KDC.

#![cfg(feature = "gssapi")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use common::daemon::{Lines, dialcast, json};
use common::dns::Dns;
use common::samba::Samba;
use common::slapd::run;
use common::tls::Authority;
use common::{PATIENCE, free_address};
use tempfile::TempDir;

struct Realm {
    samba: Samba,
    dns: Dns,
    authority: Authority,
    dir: TempDir,
}

impl Realm {
    fn new() -> Self {
        let authority = Authority::new();
        let samba = Samba::tls(&authority.certify("DNS:dc1.corp.example"));
        let realm = Self { samba, dns: Dns::start(), authority, dir: TempDir::new().unwrap() };
        realm.dns.srv("_ldap._tcp.dc._msdcs.corp.example", &[(0, 100, 389, "dc1.corp.example")]);
        realm.dns.address_of("dc1.corp.example", &realm.samba.address().ip().to_string());
        // A controller that has joined a domain does this by itself.
        realm.tool(&["spn", "add", "ldap/dc1.corp.example", "DC1$"]);
        let keytab = realm.path("reader.keytab");
        realm.tool(&["domain", "exportkeytab", &keytab.display().to_string(), "--principal=reader@CORP.EXAMPLE"]);
        run(Command::new("chmod").arg("600").arg(keytab), "");
        let kdc = realm.samba.address().ip();
        let krb5 = format!(
            "[libdefaults]\n default_realm = CORP.EXAMPLE\n dns_lookup_kdc = false\n dns_lookup_realm = false\n rdns = false\n\
             [realms]\n CORP.EXAMPLE = {{\n  kdc = {kdc}\n }}\n"
        );
        std::fs::write(realm.path("krb5.conf"), krb5).unwrap();
        realm
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tool(&self, arguments: &[&str]) {
        run(Command::new("samba-tool").args(arguments).arg("-s").arg(self.samba.dir().join("smb.conf")), "");
    }

    /// `dialcast` with a configuration for this realm.
    fn command(&self, name: &str, lines: &str) -> Command {
        let config = self.path("dialcast.toml");
        let toml = format!(
            "[directory]\nurl = \"ldaps:///DC=corp,DC=example\"\nca_file = \"{}\"\nnameservers = [\"{}\"]\n{lines}\n",
            self.authority.file().display(),
            self.dns.address()
        );
        std::fs::write(&config, toml).unwrap();
        let mut command = dialcast();
        command.args([name, "--json", "--config"]).arg(config).env("KRB5_CONFIG", self.path("krb5.conf"));
        command.stdin(Stdio::null());
        command
    }

    fn doctor(&self, lines: &str) -> String {
        let output = self.command("doctor", lines).output().unwrap();
        json(&output).to_string()
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_keytab_is_a_login() {
    let realm = Realm::new();
    // With the principal, and by the keytab alone; neither needs a ticket of `kinit`.
    let by_name = realm.doctor("keytab_file = \"reader.keytab\"\nprincipal = \"reader@CORP.EXAMPLE\"");
    assert!(by_name.contains(r#""step":"login","took_ms":"#) && by_name.contains(r#""what":"reader@CORP.EXAMPLE""#), "{by_name}");
    let by_keytab = realm.doctor("keytab_file = \"reader.keytab\"");
    assert!(by_keytab.contains("by Kerberos, as the keytab's principal") && by_keytab.contains(r#""failed":0"#), "{by_keytab}");

    let stranger = realm.doctor("keytab_file = \"reader.keytab\"\nprincipal = \"nobody@CORP.EXAMPLE\"");
    assert!(stranger.contains("there is no Kerberos ticket for ldap/dc1.corp.example@CORP.EXAMPLE: "), "{stranger}");
    assert!(stranger.contains("directory.principal"), "{stranger}");
    let missing = realm.command("doctor", "keytab_file = \"missing.keytab\"").output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(json(&missing).to_string().contains("directory.keytab_file"));
}

/// The daemon reads by Kerberos, and comes back by it after its server was away.
#[test]
fn the_daemon_comes_back() {
    let mut realm = Realm::new();
    let address = free_address();
    let mut command = realm.command("serve", "keytab_file = \"reader.keytab\"\nprincipal = \"reader@CORP.EXAMPLE\"");
    command.arg(format!("--listen=udp:{address}")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut daemon = Running(command.spawn().unwrap());
    let lines = Lines::default();
    lines.collect(daemon.0.stdout.take().unwrap());
    lines.collect(daemon.0.stderr.take().unwrap());
    lines.wait("the daemon is ready", 0, PATIENCE, |line| line.contains(r#""event":"ready""#));

    realm.samba.stop();
    lines.wait("the daemon sees its server go", 0, PATIENCE, |line| line.contains("directory down"));
    let told = lines.all().len();
    realm.samba.start_again();
    lines.wait("the daemon is back", told, PATIENCE, |line| line.contains("directory up"));
}
