//! A real slapd for one test: its own folder, its own port on 127.0.0.1, our schema, gone when it is dropped.
//!
//! ```ignore
//! mod common { pub mod slapd; }                       // in tests/your_test.rs
//! use common::slapd::{Setup, Slapd, BASE};
//!
//! let mut slapd = Slapd::start(&format!("{BASE}\n{MORE_LDIF}"));   // suffix dc=corp,dc=example; entries by slapadd -w
//! let slapd = Setup::new(LDIF).database("limits users size=5").session_log(0).tls(&authority).start();
//! slapd.url()                 // ldap://127.0.0.1:PORT/dc=corp,dc=example        slapd.ldaps_url() with .tls(…)
//! slapd.address()             // 127.0.0.1:PORT                 Slapd::ADMIN, Slapd::PASSWORD: the rootdn (no limits apply to it)
//! slapd.modify("dn: …\nchangetype: modify\n…");       // ldapmodify: any change records; returns when slapd has answered
//! slapd.add("dn: …\n…");                              // ldapadd: content records
//! slapd.rename("ou=a,…", "ou=b", Some("ou=new,…"));   // ldapmodrdn -r, with -s for a new superior
//! slapd.delete("cn=a,…"); slapd.delete_tree("ou=a,…");
//! slapd.search("dc=corp,dc=example", "(objectClass=*)", &["1.1"]);  // LDIF text, ldapsearch -LLL
//! slapd.kill();               // SIGKILL            slapd.stop();  // SIGTERM, waits          slapd.restart();  // same port, same data
//! slapd.slapadd(LDIF, &["-w"]);                       // into the files, while it is stopped
//! slapd.access("access to * by * read");   // other access rules, and a restart
//! slapd.pause(); slapd.resume();                      // SIGSTOP, SIGCONT: the connection stands, nothing answers
//! ```
//!
//! Needs Debian's packages `slapd` and `ldap-utils`. All helpers panic with the tool's own words when they fail.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a fixture fails its test by panicking")]

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The suffix's entry, the account of [`Slapd::READER`] (password `secret`), and nothing else: for most tests to begin with.
pub const BASE: &str = "dn: dc=corp,dc=example
objectClass: organization
objectClass: dcObject
o: Corp
dc: corp

dn: cn=reader,dc=corp,dc=example
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: reader
userPassword: secret
";

/// How long slapd may take to start or to stop: it takes under 100 ms, and minutes never.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a test wants of its slapd.
pub struct Setup {
    ldif: String,
    global: String,
    database: String,
    session_log: u32,
    tls: Option<Tls>,
    network: Option<Network>,
}

/// Starts a program in a network of its own, and where the server is found there.
type Network = (Box<dyn Fn(&str) -> Command + Send + Sync>, Ipv4Addr);

/// Files for slapd's TLS, in PEM.
#[derive(Clone)]
pub struct Tls {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Setup {
    /// A server that holds these content records.
    pub fn new(ldif: impl Into<String>) -> Self {
        Self { ldif: ldif.into(), global: String::new(), database: String::new(), session_log: 10_000, tls: None, network: None }
    }

    /// Adds lines to the global part of slapd.conf.
    pub fn global(mut self, lines: &str) -> Self {
        writeln!(self.global, "{lines}").unwrap();
        self
    }

    /// Adds lines to the database part of slapd.conf (`limits`, `access`, `readonly`).
    pub fn database(mut self, lines: &str) -> Self {
        writeln!(self.database, "{lines}").unwrap();
        self
    }

    /// How many changes syncprov remembers for a resume with a delete phase (10,000). 0: every resume has a present phase.
    pub fn session_log(mut self, changes: u32) -> Self {
        self.session_log = changes;
        self
    }

    /// Offers ldaps:// on a second port and StartTLS on the first.
    pub fn tls(mut self, tls: &Tls) -> Self {
        self.tls = Some(tls.clone());
        self
    }

    /// In a network of its own: `command` starts programs there, and the server also listens on this address of it.
    pub fn network(mut self, command: impl Fn(&str) -> Command + Send + Sync + 'static, address: Ipv4Addr) -> Self {
        self.network = Some((Box::new(command), address));
        self
    }

    /// Loads the records and starts the server.
    pub fn start(mut self) -> Slapd {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("db")).unwrap();
        std::fs::write(dir.path().join("slapd.conf"), self.config(dir.path())).unwrap();
        let network = self.network.take();
        let mut slapd = Slapd { dir, ldap: free_port(), ldaps: self.tls.is_some().then(free_port), child: None, network };
        if !self.ldif.is_empty() {
            slapd.slapadd(&self.ldif, &["-q", "-w"]);
        }
        slapd.restart();
        slapd
    }

    fn config(&self, dir: &Path) -> String {
        let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/ldap");
        let mut text = String::new();
        for name in ["core", "cosine", "inetorgperson", "nis"] {
            writeln!(text, "include /etc/ldap/schema/{name}.schema").unwrap();
        }
        for name in ["dialcast", "sipidentity"] {
            writeln!(text, "include {}", schemas.join(name).with_extension("schema").display()).unwrap();
        }
        let dir = dir.display();
        writeln!(
            text,
            "pidfile {dir}/slapd.pid\nargsfile {dir}/slapd.args\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload syncprov\n\
             loglevel none\nsizelimit unlimited\nthreads 4"
        )
        .unwrap();
        if let Some(tls) = &self.tls {
            let (ca, certificate, key) = (tls.ca.display(), tls.certificate.display(), tls.key.display());
            writeln!(text, "TLSCACertificateFile {ca}\nTLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}").unwrap();
        }
        text.push_str(&self.global);
        writeln!(
            text,
            "database mdb\nsuffix \"dc=corp,dc=example\"\nrootdn \"{}\"\nrootpw {}\ndirectory {dir}/db\nmaxsize 2147483648\ndbnosync\n\
             index objectClass eq\nindex entryUUID,entryCSN eq\nindex uid,cn,member eq",
            Slapd::ADMIN,
            Slapd::PASSWORD
        )
        .unwrap();
        text.push_str(&self.database);
        writeln!(text, "{ACCESS}").unwrap();
        writeln!(text, "overlay syncprov\nsyncprov-checkpoint 100 10").unwrap();
        if self.session_log > 0 {
            writeln!(text, "syncprov-sessionlog {}", self.session_log).unwrap();
        }
        text
    }
}

/// Where [`Slapd::access`] puts its rules.
const ACCESS: &str = "# access";

/// A running (or stopped) slapd.
pub struct Slapd {
    dir: TempDir,
    ldap: u16,
    ldaps: Option<u16>,
    child: Option<Child>,
    network: Option<Network>,
}

impl Slapd {
    pub const SUFFIX: &str = "dc=corp,dc=example";
    /// The rootdn: no limits and no access rules apply to it.
    pub const ADMIN: &str = "cn=admin,dc=corp,dc=example";
    /// The password of [`Self::ADMIN`] and [`Self::READER`].
    pub const PASSWORD: &str = "secret";
    /// An ordinary account, of [`BASE`].
    pub const READER: &str = "cn=reader,dc=corp,dc=example";

    /// Loads the records and starts the server, with nothing special about it.
    pub fn start(ldif: &str) -> Self {
        Setup::new(ldif).start()
    }

    /// `ldap://127.0.0.1:PORT/dc=corp,dc=example`
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}/{}", self.ldap, Self::SUFFIX)
    }

    /// `ldaps://127.0.0.1:PORT/dc=corp,dc=example`, of a server that was set up with TLS.
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}/{}", self.ldaps.expect("set up with Setup::tls"), Self::SUFFIX)
    }

    pub fn address(&self) -> SocketAddr {
        let address = self.network.as_ref().map_or(Ipv4Addr::LOCALHOST, |(_, address)| *address);
        SocketAddr::from((address, self.ldap))
    }

    fn command(&self, program: &str) -> Command {
        self.network.as_ref().map_or_else(|| Command::new(program), |(command, _)| command(program))
    }

    /// Its folder, for files of the test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Any change records, by ldapmodify as the rootdn. Returns when slapd has answered the last one.
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

    /// Ends it at once (SIGKILL), as a crash does. It stays down until [`Self::restart`].
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("slapd runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends it in good order (SIGTERM). It stays down until [`Self::restart`].
    pub fn stop(&mut self) {
        self.signal("TERM");
        let mut child = self.child.take().expect("slapd runs");
        let limit = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < limit, "slapd does not stop");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts it (again, ending it first if it runs), on the same port with the same data; returns when it answers.
    pub fn restart(&mut self) {
        if self.child.is_some() {
            self.stop();
        }
        let mut urls = format!("ldap://127.0.0.1:{}", self.ldap);
        if let Some(port) = self.ldaps {
            write!(urls, " ldaps://127.0.0.1:{port}").unwrap();
        }
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        if self.network.is_some() {
            write!(urls, " ldap://{}", self.address()).unwrap();
        }
        let mut slapd = self.command("slapd");
        slapd.arg("-f").arg(self.dir.path().join("slapd.conf")).args(["-h", &urls, "-d", "0"]);
        slapd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = slapd.spawn().expect("slapd starts (Debian: apt-get install slapd ldap-utils)");
        let limit = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address()).is_err() {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("slapd: {status}\n{}", std::fs::read_to_string(self.dir.path().join("log")).unwrap());
            }
            assert!(Instant::now() < limit, "slapd does not answer");
            std::thread::sleep(Duration::from_millis(2));
        }
        self.child = Some(child);
    }

    /// Loads records into the files, while it is down. Without `-w` contextCSN stays as it is, and syncrepl misses them.
    pub fn slapadd(&self, records: &str, arguments: &[&str]) {
        assert!(self.child.is_none(), "slapadd needs the files for itself");
        let ldif = self.dir.path().join("content.ldif");
        std::fs::write(&ldif, records).unwrap();
        let mut slapadd = Command::new("slapadd");
        slapadd.args(arguments).arg("-f").arg(self.dir.path().join("slapd.conf")).arg("-l").arg(&ldif);
        run(&mut slapadd, "");
    }

    /// Starts it again with these access rules (`access to … by …` lines), in the place of those before; none: everybody reads.
    pub fn access(&mut self, rules: &str) {
        let path = self.dir.path().join("slapd.conf");
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(ACCESS).unwrap();
        let (_, after) = rest.split_once("overlay syncprov").unwrap();
        std::fs::write(&path, format!("{before}{ACCESS}\n{rules}\noverlay syncprov{after}")).unwrap();
        self.restart();
    }

    /// Keeps a copy of its database, while it is down.
    pub fn backup(&self) {
        assert!(self.child.is_none(), "the files change while slapd runs");
        let copy = self.dir.path().join("backup");
        let _ = std::fs::remove_dir_all(&copy);
        run(Command::new("cp").arg("-a").arg(self.dir.path().join("db")).arg(&copy), "");
    }

    /// Puts the copy back, while it is down.
    pub fn restore(&self) {
        assert!(self.child.is_none(), "the files change while slapd runs");
        let db = self.dir.path().join("db");
        std::fs::remove_dir_all(&db).unwrap();
        run(Command::new("cp").arg("-a").arg(self.dir.path().join("backup")).arg(&db), "");
    }

    /// Freezes it (SIGSTOP): its connections stand, and nothing answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Goes on after [`Self::pause`].
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("slapd runs").id().to_string();
        run(Command::new("kill").args(["-s", name, &id]), "");
    }

    fn tool(&self, name: &str, arguments: &[&str], input: &str) -> String {
        let url = format!("ldap://127.0.0.1:{}", self.ldap);
        let mut command = self.command(name);
        run(command.args(["-x", "-H", &url, "-D", Self::ADMIN, "-w", Self::PASSWORD]).args(arguments), input)
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A failed test must not hide behind a second panic here.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port of 127.0.0.1 that nobody listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Runs a command to its end, with this input; panics with its words when it fails, else returns what it printed.
pub fn run(command: &mut Command, input: &str) -> String {
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
        let writer = scope.spawn(move || stdin.write_all(input.as_bytes()));
        let reader = scope.spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).map(|_| text)
        });
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        // A command that ends without reading its input says why by its status.
        let _ = writer.join().unwrap();
        (out, reader.join().unwrap().unwrap())
    });
    let status = child.wait().unwrap();
    assert!(status.success(), "{}: {status}\n{}{}", name.display(), written.0, written.1);
    written.0
}
