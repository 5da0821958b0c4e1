//! The LDAP schema, as real servers load it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod ds389;
    pub(crate) mod slapd;
}

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::ds389::{self, Ds389};
use common::slapd::{BASE, Slapd, run};

fn schema(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/ldap").join(name)
}

const SAMPLES: &str = "
dn: ou=Berlin,dc=corp,dc=example
objectClass: organizationalUnit
objectClass: dialcastPolicy
ou: Berlin
dialcastSetting: sip.outbound-proxy = 10 50 sips:ber1.corp.example
dialcastSetting: media.srtp ! required

dn: uid=anna,ou=Berlin,dc=corp,dc=example
objectClass: inetOrgPerson
objectClass: SIPIdentity
objectClass: dialcastPolicy
uid: anna
cn: Anna
sn: Adler
SIPIdentitySIPURI: sip:anna@corp.example
SIPIdentitySIPURI: sip:Anna@corp.example
SIPIdentityRegistrarAddress: reg.corp.example
SIPIdentityProxyAddress: ber1.corp.example:5060
SIPIdentityAddress: 192.0.2.7
SIPIdentityUserName: anna
SIPIdentityPassword: secret
SIPIdentityServiceLevel: international
dialcastSetting: video.enabled unset

dn: cn=staff,dc=corp,dc=example
objectClass: groupOfNames
objectClass: dialcastPolicy
cn: staff
member: uid=anna,ou=Berlin,dc=corp,dc=example
dialcastSetting: im.enabled = true

dn: cn=ber1,ou=Berlin,dc=corp,dc=example
objectClass: device
objectClass: dialcastServer
cn: ber1
dialcastRole: outbound-proxy
dialcastRole: registrar
dialcastServerAddress: 10 50 sips:ber1.corp.example
dialcastServerAddress: 20 0 sips:ber2.corp.example

dn: cn=extra,ou=Berlin,dc=corp,dc=example
objectClass: applicationProcess
objectClass: dialcastPolicy
cn: extra
dialcastSetting: order 10

dn: cn=HQ,dc=corp,dc=example
objectClass: dialcastSite
objectClass: dialcastPolicy
cn: HQ
l: Berlin
dialcastSetting: net.ice = full

dn: cn=HQ floor 1,dc=corp,dc=example
objectClass: dialcastSubnet
cn: HQ floor 1
dialcastSubnetPrefix: 192.0.2.0/24
dialcastSubnetPrefix: 2001:db8:1::/48
dialcastSiteDN: cn=HQ,dc=corp,dc=example
";

#[test]
fn slapd_conf_takes_entries_and_refuses_wrong_ones() {
    let slapd = Slapd::start(BASE);
    slapd.add(SAMPLES);
    let found = slapd.search(Slapd::SUFFIX, "(dialcastSetting=media.srtp ! required)", &["dialcastSetting"]);
    assert!(found.starts_with("dn: ou=Berlin,"), "{found}");
    // Case counts in a setting, and does not in a role.
    assert_eq!(slapd.search(Slapd::SUFFIX, "(dialcastSetting=MEDIA.srtp ! required)", &["1.1"]), "");
    assert!(slapd.search(Slapd::SUFFIX, "(dialcastRole=Outbound-Proxy)", &["1.1"]).starts_with("dn: cn=ber1,"));

    let refused = |record: &str, why: &str| {
        let mut ldapadd = Command::new("ldapadd");
        ldapadd.args(["-x", "-H", &format!("ldap://{}", slapd.address()), "-D", Slapd::ADMIN, "-w", Slapd::PASSWORD]);
        let out = ldapadd.arg("-f").arg(write(slapd.dir(), "wrong.ldif", record)).output().unwrap();
        let text = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && text.contains(why), "{record}\n{text}");
    };
    refused(
        "dn: cn=a,dc=corp,dc=example\nobjectClass: device\nobjectClass: dialcastServer\ncn: a\ndialcastRole: x\n",
        "dialcastServerAddress",
    );
    refused("dn: cn=a,dc=corp,dc=example\nobjectClass: dialcastSubnet\ncn: a\n", "dialcastSubnetPrefix");
    refused(
        "dn: cn=a,dc=corp,dc=example\nobjectClass: dialcastSubnet\ncn: a\ndialcastSubnetPrefix: 10.0.0.0/8\ndialcastSiteDN: cn=a\n\
         dialcastSiteDN: cn=b\n",
        "multiple values",
    );
}

#[test]
fn ns_slapd_takes_entries_and_refuses_wrong_ones() {
    let ds = Ds389::start(ds389::BASE);
    ds.add(SAMPLES.trim_start());
    let found = ds.search(Ds389::SUFFIX, "(dialcastSetting=media.srtp ! required)", &["dialcastSetting"]);
    assert!(found.starts_with("dn: ou=Berlin,"), "{found}");
    assert_eq!(ds.search(Ds389::SUFFIX, "(dialcastSetting=MEDIA.srtp ! required)", &["1.1"]), "");
    assert!(ds.search(Ds389::SUFFIX, "(dialcastRole=Outbound-Proxy)", &["1.1"]).starts_with("dn: cn=ber1,"));
    let refused = |record: &str, why: &str| {
        let mut ldapadd = Command::new("ldapadd");
        ldapadd.args(["-x", "-H", &format!("ldap://{}", ds.address()), "-D", Ds389::ADMIN, "-w", Ds389::PASSWORD]);
        let dir = tempfile::tempdir().unwrap();
        let out = ldapadd.arg("-f").arg(write(dir.path(), "wrong.ldif", record)).output().unwrap();
        let text = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && text.contains(why), "{record}\n{text}");
    };
    refused(
        "dn: cn=a,dc=corp,dc=example\nobjectClass: device\nobjectClass: dialcastServer\ncn: a\ndialcastRole: x\n",
        "dialcastServerAddress",
    );
    refused("dn: cn=a,dc=corp,dc=example\nobjectClass: dialcastSubnet\ncn: a\n", "dialcastSubnetPrefix");
}

#[test]
fn cn_config_loads() {
    let dir = tempfile::tempdir().unwrap();
    let mut ldif = String::from(
        "dn: cn=config\nobjectClass: olcGlobal\ncn: config\n\ndn: cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: schema\n\n",
    );
    for name in ["core", "cosine", "inetorgperson"] {
        writeln!(ldif, "include: file:///etc/ldap/schema/{name}.ldif\n").unwrap();
    }
    for name in ["dialcast.ldif", "sipidentity.ldif"] {
        writeln!(ldif, "include: file://{}\n", schema(name).display()).unwrap();
    }
    writeln!(
        ldif,
        "dn: cn=module,cn=config\nobjectClass: olcModuleList\ncn: module\nolcModulePath: /usr/lib/ldap\nolcModuleLoad: back_mdb\n\n\
         dn: olcDatabase=mdb,cn=config\nobjectClass: olcDatabaseConfig\nobjectClass: olcMdbConfig\nolcDatabase: mdb\n\
         olcSuffix: dc=corp,dc=example\nolcDbDirectory: {}\n",
        dir.path().display()
    )
    .unwrap();
    let config = dir.path().join("slapd.d");
    std::fs::create_dir(&config).unwrap();
    let input = write(dir.path(), "config.ldif", &ldif);
    run(Command::new("slapadd").arg("-n0").arg("-F").arg(&config).arg("-l").arg(input), "");
    // The samples, through the schema that cn=config now holds.
    let input = write(dir.path(), "content.ldif", &format!("{BASE}{SAMPLES}"));
    run(Command::new("slapadd").arg("-n1").arg("-F").arg(&config).arg("-l").arg(input), "");
    let out = run(Command::new("slapcat").arg("-n1").arg("-F").arg(&config), "");
    assert_eq!(out.matches("\ndialcastSetting: ").count(), 6, "{out}");
}

/// The definitions of a file, in its order, without the layout.
fn definitions(name: &str, attribute: &str, class: &str) -> Vec<String> {
    let text = std::fs::read_to_string(schema(name)).unwrap();
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let start = [attribute, class].into_iter().find_map(|word| line.strip_prefix(word));
        if let Some(rest) = start {
            found.push(rest.to_owned());
            open = true;
        } else if open && line.starts_with(' ') {
            found.last_mut().unwrap().push_str(line);
        } else {
            open = false;
        }
    }
    found.iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn three_forms_say_the_same() {
    for (conf, config, ds, count) in
        [("dialcast.schema", "dialcast.ldif", "99dialcast.ldif", 9), ("sipidentity.schema", "sipidentity.ldif", "98sipidentity.ldif", 8)]
    {
        let expect = definitions(conf, "attributetype ", "objectclass ");
        assert_eq!(expect.len(), count);
        assert_eq!(definitions(config, "olcAttributeTypes: ", "olcObjectClasses: "), expect, "{config}");
        assert_eq!(definitions(ds, "attributeTypes: ", "objectClasses: "), expect, "{ds}");
        // ns-slapd takes comments for an entry of their own, and does not start, when a blank line ends them.
        assert!(!std::fs::read_to_string(schema(ds)).unwrap().contains("\n\n"), "{ds}");
    }
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
