//! A real Samba domain controller for one test: its own folder, its own address in 127.0.0.0/16, gone when it is dropped.
//!
//! ```ignore
//! mod common { pub mod samba; pub mod slapd; }        // in tests/your_test.rs
//! use common::samba::Samba;
//!
//! let mut samba = Samba::start();                     // realm CORP.EXAMPLE, base DC=corp,DC=example
//! let samba = Samba::with("ldap server require strong auth = yes");      // lines for smb.conf; Samba::tls(&authority) for ldaps
//! samba.url()                  // ldap://127.0.x.y:389/DC=corp,DC=example       samba.address(), samba.ldaps_url()
//! Samba::ADMIN, Samba::READER, Samba::PASSWORD        // administrator@…, an ordinary account
//! samba.modify("dn: …\nchangetype: modify\n…");       // ldapmodify, any change records; returns when Samba has answered
//! samba.modify_offline("dn: …");                      // ldbmodify, into the files, while it is stopped: thousands a second
//! samba.rename(dn, "OU=Bonn", Some("OU=a,…"));  samba.delete(dn);  samba.delete_tree(dn);
//! samba.search(base, "(objectClass=*)", &["member"]) // LDIF text
//! let before = samba.deny_reader(dn);                 // or allow_reader: whether the ordinary account may read it and all below
//! samba.set_access(dn, &before);                      // as it was
//! let kept = samba.keep();  samba.put_back(&kept);    // a copy of its files; both while it is stopped
//! samba.kill();  samba.stop();  samba.start_again();  samba.pause();  samba.resume();
//! ```
//!
//! The first start provisions a domain into the target folder (7 s); every start copies that. It must run as root, for Samba's
//! security attributes and the ports 389 and 636. Needs Debian's packages `samba samba-ad-provision samba-dsdb-modules
//! samba-vfs-modules winbind ldb-tools ldap-utils`. All helpers panic with the tool's own words when they fail.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a fixture fails its test by panicking")]

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::slapd::{Tls, run};

/// How long Samba may take to start: it takes a second, and minutes never.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running (or stopped) domain controller.
pub struct Samba {
    dir: TempDir,
    ip: Ipv4Addr,
    /// Keeps the address for this instance: another test asks for the same port first.
    _claim: TcpListener,
    tls: bool,
    network: Option<Network>,
    child: Option<Child>,
}

/// Starts a program in a network of its own.
type Network = Box<dyn Fn(&str) -> Command + Send + Sync>;

/// An object's access rules.
pub struct Access(String);

/// A copy of a controller's files.
pub struct Kept(TempDir);

impl Samba {
    pub const SUFFIX: &str = "DC=corp,DC=example";
    pub const CONFIGURATION: &str = "CN=Configuration,DC=corp,DC=example";
    pub const ADMIN: &str = "administrator@corp.example";
    /// An account without any rights of its own.
    pub const READER: &str = "reader@corp.example";
    /// The reader's DN.
    pub const READER_DN: &str = "CN=reader,CN=Users,DC=corp,DC=example";
    /// Of both.
    pub const PASSWORD: &str = "Passw0rd!x";

    /// A new domain.
    pub fn start() -> Self {
        Self::with("")
    }

    /// A new domain, with more lines for the global section of smb.conf.
    pub fn with(lines: &str) -> Self {
        Self::set_up(lines, None)
    }

    /// A new domain with ldaps:// and StartTLS by this certificate, whose name must hold the address: see [`Self::claim`].
    pub fn tls(tls: &Tls) -> Self {
        Self::set_up("", Some(tls))
    }

    /// A new domain in a network of its own: `command` starts programs there, and the server listens on this address of it.
    pub fn inside(command: impl Fn(&str) -> Command + Send + Sync + 'static, ip: Ipv4Addr) -> Self {
        let (_, claim) = claim();
        Self::set_up_at("", None, (ip, claim), Some(Box::new(command)))
    }

    fn set_up(lines: &str, tls: Option<&Tls>) -> Self {
        Self::set_up_at(lines, tls, claim(), None)
    }

    fn set_up_at(lines: &str, tls: Option<&Tls>, (ip, claim): (Ipv4Addr, TcpListener), network: Option<Network>) -> Self {
        let master = master();
        let dir = TempDir::new().unwrap();
        copy(master, dir.path());
        let mut lines = lines.to_owned();
        match tls {
            Some(Tls { ca, certificate, key }) => {
                // Samba refuses keys that others may read.
                let private = dir.path().join("private/key.pem");
                std::fs::copy(key, &private).unwrap();
                run(Command::new("chmod").arg("600").arg(&private), "");
                write!(
                    lines,
                    "\n tls cafile = {}\n tls certfile = {}\n tls keyfile = {}",
                    ca.display(),
                    certificate.display(),
                    private.display()
                )
                .unwrap();
            }
            None => lines += "\n tls enabled = no",
        }
        std::fs::write(dir.path().join("smb.conf"), smb_conf(dir.path(), ip, &lines)).unwrap();
        let mut samba = Self { dir, ip, _claim: claim, tls: tls.is_some(), network, child: None };
        samba.start_again();
        samba
    }

    /// `ldap://127.0.x.y:389/DC=corp,DC=example`
    pub fn url(&self) -> String {
        format!("ldap://{}/{}", self.address(), Self::SUFFIX)
    }

    /// `ldaps://127.0.x.y:636/DC=corp,DC=example`
    pub fn ldaps_url(&self) -> String {
        assert!(self.tls, "set up by Samba::tls");
        format!("ldaps://{}:636/{}", self.ip, Self::SUFFIX)
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((self.ip, 389))
    }

    /// Its folder, for files of the test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Any change records, by ldapmodify as the administrator.
    pub fn modify(&self, records: &str) {
        self.tool("ldapmodify", &[], records);
    }

    /// Change records into the files, while it is stopped: a fast way to thousands of entries.
    pub fn modify_offline(&self, records: &str) {
        assert!(self.child.is_none(), "ldbmodify needs the files for itself");
        let ldif = self.dir.path().join("records.ldif");
        std::fs::write(&ldif, records).unwrap();
        let database = self.dir.path().join("private/sam.ldb");
        run(Command::new("ldbmodify").arg("-H").arg(database).arg("-s").arg(self.conf()).arg(&ldif), "");
    }

    /// Renames an entry, and moves it when there is a new superior.
    pub fn rename(&self, dn: &str, rdn: &str, superior: Option<&str>) {
        let mut arguments = vec!["-r"];
        if let Some(superior) = superior {
            arguments.extend(["-s", superior]);
        }
        arguments.extend([dn, rdn]);
        self.tool("ldapmodrdn", &arguments, "");
    }

    /// Deletes an entry that has nothing below it.
    pub fn delete(&self, dn: &str) {
        self.tool("ldapdelete", &[dn], "");
    }

    /// Deletes an entry and all below it, the leaves first.
    pub fn delete_tree(&self, dn: &str) {
        self.tool("ldapdelete", &["-r", dn], "");
    }

    /// The matching entries as LDIF.
    pub fn search(&self, base: &str, filter: &str, attributes: &[&str]) -> String {
        let mut arguments = vec!["-LLL", "-o", "ldif-wrap=no", "-b", base, filter];
        arguments.extend(attributes);
        self.tool("ldapsearch", &arguments, "")
    }

    /// Forbids [`Self::READER`] to read an object and all below it; what [`Self::set_access`] undoes it by.
    pub fn deny_reader(&self, dn: &str) -> Access {
        self.add_rule(dn, 'D')
    }

    /// Allows [`Self::READER`] to read an object and all below it.
    pub fn allow_reader(&self, dn: &str) -> Access {
        self.add_rule(dn, 'A')
    }

    /// Adds access rules (SDDL) to an object.
    pub fn grant(&self, dn: &str, rules: &str) -> Access {
        let old = self.value(dn, "nTSecurityDescriptor");
        self.set_access(dn, &Access(old.replacen('(', &format!("{rules}("), 1)));
        Access(old)
    }

    /// The SID of an account or group.
    pub fn sid(&self, dn: &str) -> String {
        self.value(dn, "objectSid")
    }

    /// Puts an object's access rules back.
    pub fn set_access(&self, dn: &str, access: &Access) {
        let ldif = self.dir.path().join("access.ldif");
        let record = format!("dn: {dn}\nchangetype: modify\nreplace: nTSecurityDescriptor\nnTSecurityDescriptor: {}\n", access.0);
        std::fs::write(&ldif, record).unwrap();
        run(self.local("ldbmodify").arg(ldif), "");
    }

    /// Puts a rule in front of all others: the ones below inherit it (CI); read properties, list contents, list the object,
    /// read the rules.
    fn add_rule(&self, dn: &str, kind: char) -> Access {
        let old = self.value(dn, "nTSecurityDescriptor");
        let sid = self.value(Self::READER_DN, "objectSid");
        let new = old.replacen('(', &format!("({kind};CI;RPLCLORC;;;{sid})("), 1);
        self.set_access(dn, &Access(new));
        Access(old)
    }

    /// An attribute of an object in the files, as the tool shows it.
    fn value(&self, dn: &str, name: &str) -> String {
        let found = run(self.local("ldbsearch").args(["-s", "base", "-b", dn, name]), "").replace("\n ", "");
        let value = found.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or_else(|| panic!("no {name} in\n{found}")).to_owned()
    }

    /// Ends it at once (SIGKILL), as a crash does. It stays down until [`Self::start_again`].
    pub fn kill(&mut self) {
        self.end("KILL");
    }

    /// Ends it in good order (SIGTERM). It stays down until [`Self::start_again`].
    pub fn stop(&mut self) {
        self.end("TERM");
    }

    fn end(&mut self, signal: &str) {
        let mut child = self.child.take().expect("Samba runs");
        kill_group(&child, signal);
        let limit = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < limit, "Samba does not stop");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts it, on the same address with the same data; returns when it answers.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "Samba runs already");
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let mut samba = self.program("samba");
        samba.args(["-i", "-M", "single", "--debug-stdout", "-s"]).arg(self.conf());
        // A group of its own: whatever it starts ends with it.
        samba.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = samba.spawn().unwrap_or_else(|error| panic!("samba: {error} ({PACKAGES})"));
        let limit = Instant::now() + PATIENCE;
        while !self.answers() {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("samba: {status}\n{}", std::fs::read_to_string(self.dir.path().join("log")).unwrap());
            }
            if Instant::now() > limit {
                kill_group(&child, "KILL");
                panic!("Samba does not answer\n{}", std::fs::read_to_string(self.dir.path().join("log")).unwrap());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child = Some(child);
    }

    fn program(&self, name: &str) -> Command {
        self.network.as_ref().map_or_else(|| Command::new(name), |command| command(name))
    }

    fn answers(&self) -> bool {
        let url = format!("ldap://{}", self.ip);
        let mut search = self.program("ldapsearch");
        search.args(["-x", "-LLL", "-o", "nettimeout=2", "-H", &url, "-s", "base", "-b", "", "highestCommittedUSN"]);
        let output = search.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("ldapsearch: {error} ({PACKAGES})"));
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("highestCommittedUSN")
    }

    /// A copy of its files, while it is stopped.
    pub fn keep(&self) -> Kept {
        assert!(self.child.is_none(), "stop it first");
        let kept = TempDir::new().unwrap();
        copy(self.dir.path(), kept.path());
        Kept(kept)
    }

    /// Puts its files back to what they were, while it is stopped.
    pub fn put_back(&self, kept: &Kept) {
        assert!(self.child.is_none(), "stop it first");
        for name in ["private", "state"] {
            let _ = std::fs::remove_dir_all(self.dir.path().join(name));
        }
        copy(kept.0.path(), self.dir.path());
    }

    /// Freezes it (SIGSTOP): its connections stand, and nothing answers.
    pub fn pause(&self) {
        kill_group(self.child.as_ref().expect("Samba runs"), "STOP");
    }

    /// Goes on after [`Self::pause`].
    pub fn resume(&self) {
        kill_group(self.child.as_ref().expect("Samba runs"), "CONT");
    }

    /// A tool on the files, which may do what no account may: tombstones are seen, and of the rules only those of access.
    fn local(&self, name: &str) -> Command {
        let mut tool = Command::new(name);
        tool.arg("-H").arg(self.dir.path().join("private/sam.ldb")).arg("--configfile").arg(self.conf());
        tool.args(["--controls=show_deleted:1", "--controls=sd_flags:1:4"]);
        tool
    }

    fn conf(&self) -> PathBuf {
        self.dir.path().join("smb.conf")
    }

    fn tool(&self, name: &str, arguments: &[&str], input: &str) -> String {
        let url = format!("ldap://{}", self.ip);
        let mut command = self.program(name);
        run(command.args(["-x", "-H", &url, "-D", Self::ADMIN, "-w", Self::PASSWORD]).args(arguments), input)
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A failed test must not hide behind a second panic here.
            let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{}", child.id())]).status();
            let _ = child.wait();
        }
    }
}

const PACKAGES: &str = "Debian: apt-get install samba samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind ldb-tools ldap-utils";

fn kill_group(child: &Child, signal: &str) {
    run(Command::new("kill").args(["-s", signal, "--", &format!("-{}", child.id())]), "");
}

/// An address of the loopback that no other instance has, and what keeps it so.
fn claim() -> (Ipv4Addr, TcpListener) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(31).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        // 127.0.16.2 and up: below are others' addresses.
        let (third, fourth) = (16 + number / 250 % 200, 2 + number % 250);
        let ip = Ipv4Addr::new(127, 0, u8::try_from(third).unwrap(), u8::try_from(fourth).unwrap());
        // A port that nobody else uses: whoever gets it has the address.
        if let Ok(claim) = TcpListener::bind((IpAddr::V4(ip), 4))
            && TcpListener::bind((IpAddr::V4(ip), 389)).is_ok()
        {
            return (ip, claim);
        }
    }
}

/// The folder of the domain that every instance begins with.
fn master() -> &'static Path {
    static MASTER: OnceLock<PathBuf> = OnceLock::new();
    MASTER.get_or_init(|| {
        let user = run(Command::new("id").arg("-u"), "");
        assert_eq!(user.trim(), "0", "Samba's tests must run as root: it needs security attributes of files, and the ports 389 and 636");
        // The name changes with whatever is changed below.
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("samba-domain-1");
        if !path.exists() {
            let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            provision(dir.path());
            // Another test binary may have been faster: then its domain is as good.
            let _ = std::fs::rename(dir.path(), &path);
        }
        path
    })
}

fn provision(dir: &Path) {
    let folder = dir.display();
    let (target, xattr) = (format!("--targetdir={folder}"), format!("--option=xattr_tdb:file={folder}/xattr.tdb"));
    let password = format!("--adminpass={}", Samba::PASSWORD);
    let mut tool = Command::new("samba-tool");
    tool.args(["domain", "provision", &target, "--realm=CORP.EXAMPLE", "--domain=CORP", "--server-role=dc", &password]);
    tool.args(["--host-name=dc1", "--host-ip=127.0.0.1", "--dns-backend=NONE", "--use-rfc2307", "--backend-store=mdb"]);
    tool.args(["--backend-store-size=512Mb", "--option=interfaces=127.0.0.1/8", "--option=bind interfaces only=yes"]);
    tool.args(["--option=vfs objects=dfs_samba4 acl_xattr xattr_tdb", &xattr]);
    // It says much, and all of it on its error channel.
    let output = tool.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("samba-tool: {error} ({PACKAGES})"));
    assert!(output.status.success(), "samba-tool: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    std::fs::write(dir.join("smb.conf"), smb_conf(dir, Ipv4Addr::LOCALHOST, "")).unwrap();
    let database = dir.join("private/sam.ldb");
    let mut tool = Command::new("samba-tool");
    tool.args(["user", "create", "reader", Samba::PASSWORD, "-H"]).arg(&database).arg("-s").arg(dir.join("smb.conf"));
    run(&mut tool, "");
}

fn smb_conf(dir: &Path, ip: Ipv4Addr, lines: &str) -> String {
    for name in ["run", "cache"] {
        std::fs::create_dir_all(dir.join(name)).unwrap();
    }
    let dir = dir.display();
    format!(
        "[global]
 netbios name = DC1
 realm = CORP.EXAMPLE
 workgroup = CORP
 server role = active directory domain controller
 server services = ldap, cldap, kdc
 interfaces = {ip}/8
 bind interfaces only = Yes
 private dir = {dir}/private
 lock directory = {dir}
 state directory = {dir}/state
 cache directory = {dir}/cache
 pid directory = {dir}/run
 ncalrpc dir = {dir}/run/ncalrpc
 binddns dir = {dir}/bind-dns
 vfs objects = dfs_samba4 acl_xattr xattr_tdb
 xattr_tdb:file = {dir}/xattr.tdb
 ldap server require strong auth = no
 disable netbios = yes
 {lines}
"
    )
}

/// Copies a folder's files; the databases are mostly holes.
fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").args(["-a", "--sparse=always"]).arg(format!("{}/.", from.display())).arg(to), "");
}
