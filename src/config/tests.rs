//! What a configuration may say, and what is said of one that may not.

use std::path::PathBuf;

use super::{Config, Flags, load};
use crate::directory::{Bind, Source};
use crate::model::Fault;

fn read(toml: &str, environment: &[(&str, &str)], flags: Flags) -> Result<(Config, Vec<Fault>), Vec<Fault>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dialcast.toml");
    std::fs::write(&path, toml).unwrap();
    let environment: Vec<(String, String)> = environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    load(&Flags { config: Some(path), ..flags }, &environment)
}

/// The faults of a file, one a line.
fn faults(toml: &str) -> String {
    let found = read(toml, &[], Flags::default()).map_or_else(|faults| faults, |(_, warnings)| warnings);
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn nothing_said() {
    let (config, warnings) = load(&Flags::default(), &[]).unwrap();
    assert_eq!(warnings, []);
    assert!(config.is_sample && !config.auth.digest);
    assert_eq!(config.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]);
}

#[test]
fn the_example_is_valid_and_names_every_key() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/dialcast.toml"));
    let (config, warnings) = load(&Flags { config: Some(path.clone()), ..Flags::default() }, &[]).unwrap();
    assert_eq!(warnings, []);
    assert!(matches!(config.directory, Source::Ldif(options) if options.path.ends_with("examples/corp.ldif")));
    let text = std::fs::read_to_string(path).unwrap();
    let schema = super::schema();
    let tables = schema["properties"].as_object().unwrap();
    for (name, table) in tables {
        let keys = table["$ref"]
            .as_str()
            .map(|r| schema["$defs"][r.rsplit('/').next().unwrap()]["properties"].as_object().unwrap().keys().cloned().collect());
        for key in keys.unwrap_or_else(|| vec![name.clone()]) {
            assert!(text.contains(&format!("{key} = ")), "{name}: {key} is not in the example");
        }
    }
}

#[test]
fn file_then_environment_then_flags() {
    let file = "state_dir = \"/a\"\n[directory]\nurl = \"ldap://file\"\nstarttls = false\n[auth]\nmode = \"digest\"\nrealm = \"file\"\n";
    let environment = [
        ("DIALCAST_DIRECTORY__STARTTLS", "true"),
        ("DIALCAST_AUTH__REALM", "environment"),
        ("DIALCAST_LISTEN", "udp:127.0.0.1:5070,tcp:127.0.0.1:5070"),
    ];
    let (config, _) = read(file, &environment, Flags { directory: Some("ldap://flag".into()), ..Flags::default() }).unwrap();
    assert!(matches!(&config.directory, Source::Ldap(options) if options.url.host() == "flag" && options.tls.starttls));
    assert_eq!(config.auth.realm.as_deref(), Some("environment"));
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.state_dir, Some(PathBuf::from("/a")));
}

#[test]
fn faults_are_told_together() {
    insta::assert_snapshot!(faults(
        "listen = [\"udp:127.0.0.1\", \"udp:127.0.0.1:5060\", \"udp:127.0.0.1:5060\"]
sttae_dir = \"/x\"
[directory]
url = \"ldpa://host\"
[auth]
mode = \"basic\"
[sip]
expires_min_s = \"often\"
expires_max_s = 7
[notify]
quiet_ms = 100
quiet_max_ms = 10
on_timeout = \"forget\"
"
    ));
}

#[test]
fn open_is_for_loopback_only() {
    insta::assert_snapshot!(faults("listen = [\"udp:192.0.2.1:5060\"]"));
    assert_eq!(faults("listen = [\"udp:192.0.2.1:5060\"]\n[auth]\nmode = \"digest\""), "");
    assert_eq!(faults("listen = [\"udp:127.0.0.2:5060\", \"tcp:[::1]:5060\"]"), "");
}

#[test]
fn a_variable_of_somebody_else_is_a_warning() {
    let (_, warnings) = read("", &[("DIALCAST_HOME", "/opt/dialcast")], Flags::default()).unwrap();
    insta::assert_snapshot!(warnings[0], @"config key home: no such key (from the environment variable DIALCAST_HOME); known here are: listen, state_dir, directory, policy, identity, auth, sip, udp, notify, guards, control, staging, log");
}

#[test]
fn passwords_come_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    let toml = format!("[directory]\nurl = \"ldap://127.0.0.1\"\nbind_dn = \"cn=reader\"\npassword_file = \"{}\"\n", path.display());
    assert!(faults(&toml).contains("No such file"), "{}", faults(&toml));
    std::fs::write(&path, "").unwrap();
    assert!(faults(&toml).contains("is empty"), "{}", faults(&toml));
    std::fs::write(&path, "hunter2\n").unwrap();
    let (config, warnings) = read(&toml, &[], Flags::default()).unwrap();
    assert_eq!(warnings.len(), 1, "the file can be read by everybody");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn users_passwords_are_read_where_they_are_used() {
    let asked =
        |toml: &str| match read(toml, &[], Flags { directory: Some("ldap://127.0.0.1".into()), ..Flags::default() }).unwrap().0.directory {
            Source::Ldap(options) => options.attributes.iter().any(|name| name == "SIPIdentityPassword"),
            Source::Ldif(_) => panic!("an LDAP URL is no file"),
        };
    assert!(!asked("") && asked("[auth]\nmode = \"digest\""));
}

#[test]
fn broken_toml_names_the_line() {
    let found = faults("listen = [\n\"udp:127.0.0.1:5060\"\n[directory]\n");
    assert!(found.contains("dialcast.toml:"), "{found}");
}

/// `UPDATE_SCHEMAS=1 cargo test` writes the file anew.
#[test]
fn the_json_schema_is_the_one_kept() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/config.schema.json");
    let now = serde_json::to_string_pretty(&super::schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), now, "run UPDATE_SCHEMAS=1 cargo test");
}

#[test]
fn servers_and_accounts() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = (path("c.pem", "c"), path("c.key", "k"));
    path("directory-password", "hunter2\n");
    let toml = "[directory]\nurl = \"ldaps:///dc=corp,dc=example\"\nfailover = [\"ldaps://dc2.corp.example\"]\nsite = \"Berlin\"\n\
        nameservers = [\"192.0.2.1\", \"[2001:db8::1]:5353\", \"2001:db8::2\"]\nserver_domains = [\"other.example\"]\n";
    let options = |toml: &str, environment: &[(&str, &str)]| {
        let (config, warnings) = read(toml, environment, Flags::default()).unwrap();
        assert_eq!(warnings, []);
        let Source::Ldap(options) = config.directory else { panic!("{toml}") };
        options
    };
    let read_options = options(toml, &[]);
    let places: Vec<String> = read_options.places().map(ToString::to_string).collect();
    assert_eq!(places, ["ldaps:///dc=corp,dc=example", "ldaps://dc2.corp.example:636"]);
    let servers: Vec<String> = read_options.locate.nameservers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:5353", "[2001:db8::2]:53"]);
    assert_eq!((read_options.locate.site.as_deref(), read_options.locate.domains.len()), (Some("Berlin"), 1));
    assert_eq!(read_options.bind, Bind::Anonymous);
    assert_eq!(options(toml, &[("DIALCAST_DIRECTORY__FAILOVER", "ldaps://a,ldaps://b")]).failover.len(), 2);

    let external = format!("{toml}client_cert_file = \"{certificate}\"\nclient_key_file = \"{key}\"\n");
    assert_eq!(options(&external, &[]).bind, Bind::External);
    let credential = format!("{toml}bind_dn = \"cn=reader\"\npassword_file = \"credential:directory-password\"\n");
    let folder = dir.path().display().to_string();
    let Bind::SimpleFile { password, .. } = options(&credential, &[("CREDENTIALS_DIRECTORY", &folder)]).bind else { panic!() };
    assert_eq!(password.read().unwrap().expose(), "hunter2");
    assert!(faults(&credential).contains("$CREDENTIALS_DIRECTORY is not set; write LoadCredential=directory-password:"));
}

#[test]
fn servers_and_accounts_that_cannot_be() {
    let said = |lines: &str| faults(&format!("[directory]\nurl = \"ldaps://h/dc=x\"\n{lines}\n"));
    insta::assert_snapshot!(said("failover = [\"dc2\", \"ldap://dc3\"]\nnameservers = [\"dns.example\"]"), @"
    config key directory.failover: not a URL (relative URL without a base); write ldap://HOST:PORT/BASE-DN, such as ldap://ldap.corp.example/dc=corp,dc=example
    config key directory.nameservers: `dns.example` is not an address; write IP or IP:PORT
    config key directory: `ldap://dc3:389` differs from directory.url in more than the host; give it the same scheme as directory.url, and the same base DN or none
    ");
    insta::assert_snapshot!(said("client_cert_file = \"c.pem\""), @"config key directory.client_key_file: there is a certificate and no key; name the PEM file with the certificate's private key");
    insta::assert_snapshot!(said("site = \"Berlin\""), @"config key directory.site: it is for servers that the DNS names, and every URL has a host; leave the host out of directory.url (ldaps:///BASE-DN), or remove the key");
    insta::assert_snapshot!(said("principal = \"dialcast@X\""), @"config key directory.principal: there is no directory.keytab_file with its key; set directory.keytab_file, or remove directory.principal");
    let both = said("keytab_file = \"/k\"\nbind_dn = \"cn=x\"");
    assert!(both.contains("config key directory.keytab_file: there is a password too; log in by one of them: "), "{both}");
    insta::assert_snapshot!(faults("[directory]\nurl = \"ldif:x\"\nfailover = [\"ldap://h\"]\n"), @"config key directory.failover: an LDIF file has no server to log in to; remove the key, or set directory.url to ldap://… or ldaps://…");
}

/// A build without Kerberos says so; one with it does not.
#[test]
fn kerberos_is_a_feature() {
    let keytab = tempfile::NamedTempFile::new().unwrap();
    let said = faults(&format!("[directory]\nurl = \"ldaps://h/dc=x\"\nkeytab_file = \"{}\"\n", keytab.path().display()));
    let expect = if cfg!(feature = "gssapi") { "" } else { "config key directory: this build of Dialcast has no Kerberos; build it with " };
    assert!(said.starts_with(expect) && said.is_empty() == expect.is_empty(), "{said}");
}
