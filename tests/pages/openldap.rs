//! docs/openldap.md at a slapd that is configured in cn=config, as distributions have it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::common::slapd::{Tls, free_port, run};
use crate::common::tls::Authority;
use crate::common::{PATIENCE, until};
use crate::page::Page;

const ADMIN: &str = "cn=admin,dc=corp,dc=example";

const RECORDS: &str = "dn: dc=corp,dc=example
objectClass: organization
objectClass: dcObject
o: Corp
dc: corp

dn: ou=Berlin,dc=corp,dc=example
objectClass: organizationalUnit
ou: Berlin

dn: uid=anna,ou=Berlin,dc=corp,dc=example
objectClass: inetOrgPerson
uid: anna
cn: Anna
sn: Adler
mail: anna@corp.example
userPassword: annas
";

/// A server as a distribution sets it up: cn=config, root by the socket, its own rules, the limit of 500 entries.
struct Server {
    dir: TempDir,
    port: u16,
    secure_port: u16,
    child: Child,
}

impl Server {
    fn start(tls: &Tls) -> Self {
        let dir = TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        for name in ["db", "slapd.d"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        let includes: String = ["core", "cosine", "inetorgperson"].map(|name| format!("include /etc/ldap/schema/{name}.schema\n")).concat();
        let root = "gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth";
        let conf = format!(
            "{includes}pidfile {}\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nTLSCACertificateFile {}\nTLSCertificateFile {}\n\
             TLSCertificateKeyFile {}\ndatabase config\naccess to * by dn.exact={root} manage by * break\ndatabase mdb\nsuffix dc=corp,dc=example\n\
             rootdn {ADMIN}\nrootpw secret\ndirectory {}\naccess to attrs=userPassword by self write by anonymous auth by * none\n\
             access to * by * read\n",
            path("pid"),
            tls.ca.display(),
            tls.certificate.display(),
            tls.key.display(),
            path("db"),
        );
        std::fs::write(path("slapd.conf"), conf).unwrap();
        std::fs::write(path("records.ldif"), RECORDS).unwrap();
        run(Command::new("slapadd").args(["-q", "-f", &path("slapd.conf"), "-l", &path("records.ldif")]), "");
        run(Command::new("slaptest").args(["-f", &path("slapd.conf"), "-F", &path("slapd.d")]), "");
        let (port, secure_port) = (free_port(), free_port());
        let urls = format!("ldap://127.0.0.1:{port} ldaps://127.0.0.1:{secure_port} {}", socket(dir.path()));
        let mut slapd = Command::new("slapd");
        slapd.args(["-F", &path("slapd.d"), "-h", &urls, "-d", "0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = slapd.spawn().unwrap();
        let server = Self { dir, port, secure_port, child };
        until("slapd answers", PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The URL of its socket.
fn socket(dir: &Path) -> String {
    format!("ldapi://{}", dir.join("ldapi").display().to_string().replace('/', "%2F"))
}

#[test]
fn the_page_for_openldap() {
    let authority = Authority::new();
    let server = Server::start(&authority.certify_for_days("IP:127.0.0.1", 90));
    let mut page = Page::read("openldap.md");
    page.is("ldapi:///", &socket(server.dir.path()));
    page.is("ldap://ldap.corp.example", &format!("ldap://127.0.0.1:{}", server.port));
    page.is("ldaps://ldap.corp.example", &format!("ldaps://127.0.0.1:{}", server.secure_port));
    // The second server of the page is the first by another name.
    page.is("ldaps://ldap2.corp.example", &format!("ldaps://127.0.0.1:{}", server.secure_port));
    page.is(" -W ", " -w secret ");
    std::fs::write(page.path("directory-password"), "hunter2").unwrap();
    run(Command::new("chmod").arg("600").arg(page.path("directory-password")), "");
    std::fs::copy(authority.file(), page.path("corp-ca.pem")).unwrap();
    page.configure("");

    let [schema, h350, access, account, looks, policy, explain] = [0, 1, 2, 3, 4, 5, 6];
    assert_eq!(page.len(), 7, "a block was added: run it here");
    for block in [schema, h350, access, account] {
        page.run(block);
    }
    // Until there is a policy, `check` has an error for the user, and says so.
    let output = page.try_run(looks);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("0 failed, 0 warnings, ") && said.contains("ok       dialect  syncrepl"), "{said}");
    assert!(said.contains("ok       excess   no passwords can be read"), "{said}");
    assert!(said.contains("account.no-registrar"), "{said}");
    page.run(policy);
    let said = page.run(looks);
    assert!(said.contains("1 users with a document"), "{said}");
    let said = page.run(explain);
    assert!(said.contains("sips:ber1.corp.example"), "{said}");
    let denied = Command::new("slapacl")
        .arg("-F")
        .arg(server.dir.path().join("slapd.d"))
        .args(["-D", "cn=dialcast,dc=corp,dc=example", "-b", "dc=corp,dc=example", "entry/write", "children/write"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&denied.stderr).into_owned() + &String::from_utf8_lossy(&denied.stdout);
    assert_eq!(said.matches("DENIED").count(), 2, "{said}");
}
