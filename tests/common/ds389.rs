//! A real 389 Directory Server for one test: its own folder, its own ports on 127.0.0.1, our schema, gone when it is dropped.
//!
//! ```ignore
//! mod common { pub mod ds389; }                       // in tests/your_test.rs
//! use common::ds389::{BASE, Ds389};
//!
//! let mut ds = Ds389::start(&format!("{BASE}\n{MORE_LDIF}"));      // suffix dc=corp,dc=example, which is there; entries by ldapadd
//! ds.url()                    // ldap://127.0.0.1:PORT/dc=corp,dc=example      ds.ldaps_url(), ds.ca_file(): its certificate
//! ds.address()                // 127.0.0.1:PORT
//! // Ds389::ADMIN, PASSWORD: the Directory Manager (no limits and no rights apply to it); Ds389::READER, PASSWORD: an account of BASE
//! ds.modify("dn: …\nchangetype: modify\n…");           // ldapmodify: any change records; returns when the server has answered
//! ds.add("dn: …\n…");                                  // ldapadd: content records
//! ds.rename("ou=a,…", "ou=b", Some("ou=new,…"));  ds.delete("cn=a,…");  ds.delete_tree("ou=a,…");
//! ds.search("dc=corp,dc=example", "(objectClass=*)", &["1.1"]);    // LDIF text, ldapsearch -LLL
//! ds.kill();                  // SIGKILL        ds.stop();  // SIGTERM, waits        ds.start_again();  // same ports, same data
//! ds.backup(); ds.restore();  // while it is stopped: its database and its changelog, as files
//! ds.configure("cn=config", "nsslapd-sizelimit", "10");            // while it is stopped: a line of dse.ldif
//! ds.import(LDIF);            // while it is stopped: ldif2db, in the place of all that is there
//! ds.pause(); ds.resume();    // SIGSTOP, SIGCONT: the connection stands, nothing answers
//! ```
//!
//! Needs Debian's package `389-ds-base` (with `python3-lib389`), `ldap-utils`, and root. Plugins that are on: Content
//! Synchronization, Retro Changelog (with the entries' ids), `MemberOf`, USN. The first test of a machine prepares a server in ten seconds;
//! every other copies it. All helpers panic with the tool's own words when they fail.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a fixture fails its test by panicking")]

use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// An account that may read the whole tree, to begin with: the server is made with its suffix's entry, which lets nobody read.
pub const BASE: &str = "dn: cn=reader,dc=corp,dc=example
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: reader
userPassword: secret12
";

/// What lets [`Ds389::READER`] read the tree, as an `aci` of the suffix.
pub const READ_ALL: &str =
    "(targetattr=\"*\")(version 3.0; acl \"reader\"; allow (read,search,compare) userdn=\"ldap:///cn=reader,dc=corp,dc=example\";)";

/// The same for the changelog, where it is read by which change a cookie is known.
pub const READ_CHANGELOG: &str = "dn: cn=changelog
changetype: modify
add: aci
aci: (targetattr=\"changeNumber || nsUniqueId || objectClass\")(version 3.0; acl \"reader\"; allow (read,search) userdn=\"ldap:///cn=reader,dc=corp,dc=example\";)
";

/// What the dialect `389ds-changelog` reads there in addition: a rule cannot name targetUniqueId, which no schema has.
pub const READ_RECORDS: &str = "dn: cn=changelog
changetype: modify
add: aci
aci: (targetattr!=\"changes\")(version 3.0; acl \"records\"; allow (read,search) userdn=\"ldap:///cn=reader,dc=corp,dc=example\";)
";

/// How long the server may take to start or to stop: it takes a second, and minutes never.
const PATIENCE: Duration = Duration::from_secs(40);

/// How many run at a time in one test binary: each takes 70 MB.
const RUNNING_MAX: usize = 3;

/// A running (or stopped) server.
pub struct Ds389 {
    dir: TempDir,
    port: u16,
    secure_port: u16,
    child: Option<Child>,
    network: Option<Network>,
    _turn: Turn,
}

/// Starts a program in a network of its own, and where the server is found there.
type Network = (Box<dyn Fn(&str) -> Command + Send + Sync>, Ipv4Addr);

impl Ds389 {
    pub const SUFFIX: &str = "dc=corp,dc=example";
    /// No limits and no rights apply to it.
    pub const ADMIN: &str = "cn=Directory Manager";
    /// The password of [`Self::ADMIN`] and [`Self::READER`].
    pub const PASSWORD: &str = "secret12";
    /// An ordinary account, of [`BASE`].
    pub const READER: &str = "cn=reader,dc=corp,dc=example";

    /// Starts a server and adds the records to its suffix; when the account of [`BASE`] is among them, it may read everything.
    pub fn start(ldif: &str) -> Self {
        let mut server = Self::prepared();
        server.start_again();
        if !ldif.trim().is_empty() {
            server.add(ldif);
        }
        if ldif.contains(Self::READER) {
            server.modify(&format!("dn: {}\nchangetype: modify\nadd: aci\naci: {READ_ALL}\n\n{READ_CHANGELOG}", Self::SUFFIX));
        }
        server
    }

    /// A server of its own that was not started yet: for [`Self::configure`] and [`Self::import`].
    pub fn prepared() -> Self {
        let turn = Turn::wait();
        let template = template();
        let dir = tempfile::Builder::new().prefix("dialcast-389ds-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        run(Command::new("cp").arg("-a").arg(template.join(".")).arg(dir.path()), "");
        let (port, secure_port) = (free_port(), free_port());
        let server = Self { dir, port, secure_port, child: None, network: None, _turn: turn };
        // The files name the folder in which they were made.
        let from = fs::read_to_string(template.join("made-in")).unwrap();
        let to = server.dir.path().display().to_string();
        for name in ["dse.ldif", "pkcs11.txt"] {
            let path = server.conf().join(name);
            let text = fs::read_to_string(&path).unwrap().replace("\n ", "").replace(&from, &to);
            rewrite(&path, &text);
        }
        server.configure("cn=config", "nsslapd-port", &port.to_string());
        server.configure("cn=config", "nsslapd-securePort", &secure_port.to_string());
        server
    }

    /// `ldap://127.0.0.1:PORT/dc=corp,dc=example`
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}/{}", self.port, Self::SUFFIX)
    }

    /// `ldaps://localhost:PORT/dc=corp,dc=example`: its certificate is for that name.
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://localhost:{}/{}", self.secure_port, Self::SUFFIX)
    }

    /// The authority that signed its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.conf().join("ca.crt")
    }

    pub fn address(&self) -> SocketAddr {
        let address = self.network.as_ref().map_or(Ipv4Addr::LOCALHOST, |(_, address)| *address);
        SocketAddr::from((address, self.port))
    }

    /// In a network of its own, while it is down: `command` starts programs there, and the server listens on this address of it.
    pub fn network(&mut self, command: impl Fn(&str) -> Command + Send + Sync + 'static, address: Ipv4Addr) {
        self.configure("cn=config", "nsslapd-listenhost", &address.to_string());
        self.network = Some((Box::new(command), address));
    }

    fn command(&self, program: &str) -> Command {
        self.network.as_ref().map_or_else(|| Command::new(program), |(command, _)| command(program))
    }

    /// Any change records, by ldapmodify as the Directory Manager. Returns when the server has answered the last one.
    pub fn modify(&self, records: &str) {
        self.tool("ldapmodify", &[], records);
    }

    /// Content records, by ldapadd.
    pub fn add(&self, records: &str) {
        self.tool("ldapadd", &[], records);
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

    /// A number of the root DSE, such as `firstchangenumber`.
    pub fn number(&self, name: &str) -> u64 {
        let mut arguments = vec!["-LLL", "-b", "", "-s", "base", "(objectClass=*)"];
        arguments.push(name);
        let found = self.tool("ldapsearch", &arguments, "");
        let line = found.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix(&format!("{name}: ")).map(str::to_owned));
        line.and_then(|text| text.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in {found}"))
    }

    /// Ends it at once (SIGKILL), as a crash does. It stays down until [`Self::start_again`].
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("ns-slapd runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends it in good order (SIGTERM). It stays down until [`Self::start_again`].
    pub fn stop(&mut self) {
        self.signal("TERM");
        let mut child = self.child.take().expect("ns-slapd runs");
        let limit = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < limit, "ns-slapd does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it (again), on the same ports with the same data; returns when it answers.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "ns-slapd runs");
        self.child = Some(start(self.command("ns-slapd"), self.dir.path(), self.address()));
    }

    /// Starts it on another port: those who know the old one do not find it.
    pub fn start_elsewhere(&mut self) {
        self.start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
    }

    /// Starts it on this port.
    pub fn start_at(&mut self, address: SocketAddr) {
        self.port = address.port();
        self.configure("cn=config", "nsslapd-port", &self.port.to_string());
        self.start_again();
    }

    /// A line of dse.ldif, in the place of those with that name, while it is down.
    pub fn configure(&self, dn: &str, name: &str, value: &str) {
        assert!(self.child.is_none(), "ns-slapd reads its configuration when it starts");
        let path = self.conf().join("dse.ldif");
        let text = fs::read_to_string(&path).unwrap().replace("\n ", "");
        rewrite(&path, &configured(&text, dn, name, value));
    }

    /// Keeps a copy of its database and its changelog, while it is down.
    pub fn backup(&self) {
        assert!(self.child.is_none(), "the files change while ns-slapd runs");
        let copy = self.dir.path().join("backup");
        let _ = fs::remove_dir_all(&copy);
        run(Command::new("cp").arg("-a").arg(self.db()).arg(&copy), "");
    }

    /// Puts the copy back, while it is down.
    pub fn restore(&self) {
        assert!(self.child.is_none(), "the files change while ns-slapd runs");
        fs::remove_dir_all(self.db()).unwrap();
        run(Command::new("cp").arg("-a").arg(self.dir.path().join("backup")).arg(self.db()), "");
    }

    /// Loads content records in the place of all that is there, by ldif2db, while it is down. The suffix's entry has to be among them.
    pub fn import(&self, records: &str) {
        assert!(self.child.is_none(), "ldif2db needs the files for itself");
        let path = self.dir.path().join("var/lib/dirsrv/slapd-test/ldif/import.ldif");
        fs::write(&path, records).unwrap();
        let mut import = Command::new("ns-slapd");
        import.args(["ldif2db", "-q", "-n", "userroot", "-D"]).arg(self.conf()).arg("-i").arg(&path);
        run(&mut import, "");
    }

    /// Freezes it (SIGSTOP): its connections stand, and nothing answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Goes on after [`Self::pause`].
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn conf(&self) -> PathBuf {
        self.dir.path().join("etc/dirsrv/slapd-test")
    }

    fn db(&self) -> PathBuf {
        self.dir.path().join("var/lib/dirsrv/slapd-test/db")
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("ns-slapd runs").id().to_string();
        run(Command::new("kill").args(["-s", name, &id]), "");
    }

    fn tool(&self, name: &str, arguments: &[&str], input: &str) -> String {
        let url = format!("ldap://{}", self.address());
        let mut command = self.command(name);
        run(command.args(["-x", "-H", &url, "-D", Self::ADMIN, "-w", Self::PASSWORD]).args(arguments), input)
    }
}

impl Drop for Ds389 {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A failed test must not hide behind a second panic here.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A place among the servers that run.
struct Turn;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

impl Turn {
    fn wait() -> Self {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        while *running >= RUNNING_MAX {
            running = ENDED.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        *running += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

/// Starts the server of a folder, and waits until it answers.
fn start(mut server: Command, dir: &Path, address: SocketAddr) -> Child {
    let log = File::create(dir.join("log")).unwrap();
    // With a level for debugging it stays in the foreground.
    server.arg("-D").arg(dir.join("etc/dirsrv/slapd-test")).arg("-i").arg(dir.join("run/dirsrv/slapd-test.pid")).args(["-d", "0"]);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let mut child = server.spawn().expect("ns-slapd starts (Debian: apt-get install 389-ds-base ldap-utils)");
    let limit = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("ns-slapd: {status}\n{}", fs::read_to_string(dir.join("log")).unwrap());
        }
        assert!(Instant::now() < limit, "ns-slapd does not answer");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

/// The folder of the prepared server, made by the first who asks.
fn template() -> PathBuf {
    // The user dirsrv has to be able to enter it, which a checkout in somebody's home does not allow.
    let mut of = std::hash::DefaultHasher::new();
    for source in [
        include_str!("ds389.rs"),
        include_str!("../../schemas/ldap/98sipidentity.ldif"),
        include_str!("../../schemas/ldap/99dialcast.ldif"),
    ] {
        source.hash(&mut of);
    }
    let template = PathBuf::from(format!("/tmp/dialcast-389ds-template-{:016x}", of.finish()));
    let _one = PREPARING.lock().unwrap_or_else(PoisonError::into_inner);
    if !template.exists() {
        // Another process may do the same at the same time: whoever is first to rename wins.
        let made = tempfile::Builder::new().prefix("dialcast-389ds-made-").tempdir_in("/tmp").unwrap().keep();
        fs::set_permissions(&made, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        prepare(&made);
        fs::write(made.join("made-in"), made.display().to_string()).unwrap();
        if fs::rename(&made, &template).is_err() {
            fs::remove_dir_all(&made).unwrap();
        }
    }
    template
}

static PREPARING: Mutex<()> = Mutex::new(());

/// Makes a server as Debian's tools do it, without systemd.
fn prepare(dir: &Path) {
    for name in ["share/dirsrv/inf", "etc/dirsrv", "etc/tmpfiles.d", "etc/default", "run/dirsrv", "run/lock/dirsrv", "var/lib/dirsrv"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    for name in ["var/log/dirsrv", "lib", "shm"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    let copy = |from: &[&str], to: &str| run(Command::new("cp").arg("-a").args(from).arg(dir.join(to)), "");
    copy(&["/etc/dirsrv/config", "/etc/dirsrv/schema"], "etc/dirsrv");
    copy(&["/usr/share/dirsrv/data", "/usr/share/dirsrv/schema"], "share/dirsrv");
    let inside = |name: &str| dir.join(name).display().to_string();
    let defaults: String = fs::read_to_string("/usr/share/dirsrv/inf/defaults.inf")
        .expect("Debian: apt-get install 389-ds-base")
        .lines()
        .map(|line| match line.split(' ').next().unwrap_or_default() {
            "with_systemd" => "with_systemd = 0\n".to_owned(),
            "sysconf_dir" => format!("sysconf_dir = {}\n", inside("etc")),
            "initconfig_dir" => format!("initconfig_dir = {}\n", inside("etc/default")),
            "tmpfiles_d" => format!("tmpfiles_d = {}\n", inside("etc/tmpfiles.d")),
            "inst_dir" => format!("inst_dir = {}/slapd-{{instance_name}}\n", inside("lib")),
            _ => {
                let line = line
                    .replace("= /etc/dirsrv", &format!("= {}", inside("etc/dirsrv")))
                    .replace("= /run", &format!("= {}", inside("run")));
                line.replace("= /var", &format!("= {}", inside("var"))).replace("= /dev/shm", &format!("= {}", inside("shm"))) + "\n"
            }
        })
        .collect();
    fs::write(dir.join("share/dirsrv/inf/defaults.inf"), defaults).unwrap();
    let port = free_port();
    let wanted = format!(
        "[general]\nconfig_version = 2\nfull_machine_name = localhost\nstart = False\nselinux = False\nsystemd = False\n\
         strict_host_checking = False\ndefaults = 999999999\n[slapd]\ninstance_name = test\nport = {port}\nsecure_port = {}\n\
         root_password = {}\nself_sign_cert = True\nuser = dirsrv\ngroup = dirsrv\n[backend-userroot]\nsuffix = {}\n\
         create_suffix_entry = True\nsample_entries = no\n",
        free_port(),
        Ds389::PASSWORD,
        Ds389::SUFFIX
    );
    fs::write(dir.join("instance.inf"), wanted).unwrap();
    run(Command::new("chown").args(["-R", "dirsrv:dirsrv"]).arg(dir), "");
    run(Command::new("dscreate").env("PREFIX", dir).arg("from-file").arg(dir.join("instance.inf")), "");
    let conf = dir.join("etc/dirsrv/slapd-test");
    for name in ["98sipidentity.ldif", "99dialcast.ldif"] {
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/ldap").join(name), conf.join("schema").join(name)).unwrap();
    }
    let mut text = fs::read_to_string(conf.join("dse.ldif")).unwrap().replace("\n ", "");
    for name in ["Retro Changelog Plugin", "Content Synchronization", "MemberOf Plugin", "USN"] {
        text = configured(&text, &format!("cn={name},cn=plugins,cn=config"), "nsslapd-pluginEnabled", "on");
    }
    text = configured(&text, "cn=Retro Changelog Plugin,cn=plugins,cn=config", "nsslapd-attribute", "nsuniqueid:targetUniqueId");
    for (name, value) in [
        ("nsslapd-listenhost", "127.0.0.1"),
        ("nsslapd-securelistenhost", "127.0.0.1"),
        ("nsslapd-ldapilisten", "off"),
        ("nsslapd-accesslog-logging-enabled", "off"),
        ("nsslapd-securitylog-logging-enabled", "off"),
    ] {
        text = configured(&text, "cn=config", name, value);
    }
    // As large as a test needs it: by itself it would take a tenth of the machine's memory.
    let database = "cn=bdb,cn=config,cn=ldbm database,cn=plugins,cn=config";
    text = configured(&text, database, "nsslapd-cache-autosize", "0");
    text = configured(&text, database, "nsslapd-dbcachesize", "16777216");
    rewrite(&conf.join("dse.ldif"), &text);
    run(Command::new("chown").args(["-R", "dirsrv:dirsrv"]).arg(dir), "");
    // The first start makes the changelog's database; a stop in good order leaves files that can be copied.
    let mut child = start(Command::new("ns-slapd"), dir, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    run(Command::new("kill").args(["-s", "TERM", &child.id().to_string()]), "");
    child.wait().unwrap();
    for entry in fs::read_dir(dir.join("var/lib/dirsrv/slapd-test/db")).unwrap().flatten() {
        // Shared memory of the database, made anew by each start.
        if entry.file_name().to_string_lossy().starts_with("__db.") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Text of dse.ldif with one value of an attribute in the place of its others.
fn configured(text: &str, dn: &str, name: &str, value: &str) -> String {
    let mut found = false;
    let records: Vec<String> = text
        .split("\n\n")
        .map(|record| {
            let is_it = record.trim_start().lines().next().is_some_and(|line| line.eq_ignore_ascii_case(&format!("dn: {dn}")));
            if !is_it {
                return record.to_owned();
            }
            found = true;
            let other = |line: &&str| !line.to_ascii_lowercase().starts_with(&format!("{}:", name.to_ascii_lowercase()));
            let mut lines: Vec<String> = record.lines().filter(other).map(str::to_owned).collect();
            lines.push(format!("{name}: {value}"));
            lines.join("\n")
        })
        .collect();
    assert!(found, "dse.ldif has no {dn}");
    records.join("\n\n")
}

/// Writes a file that its owner keeps.
fn rewrite(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A port of 127.0.0.1 that nobody listens on now.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Runs a command to its end, with this input; panics with its words when it fails, else returns what it printed.
fn run(command: &mut Command, input: &str) -> String {
    let name = command.get_program().to_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", name.display()));
    let mut stdin = child.stdin.take().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let written = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A command that ends without reading its input says why by its status.
            let _ = stdin.write_all(input.as_bytes());
        });
        let reader = scope.spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).map(|_| text)
        });
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        (out, reader.join().unwrap().unwrap())
    });
    let status = child.wait().unwrap();
    assert!(status.success(), "{}: {status}\n{}{}", name.display(), written.0, written.1);
    written.0
}
