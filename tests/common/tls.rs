//! A certificate authority of the test's own, and certificates by it, made by the command `openssl`.
//!
//! ```ignore
//! mod common { pub mod slapd; pub mod tls; }
//! let authority = Authority::new();                 // authority.file(): its certificate, PEM
//! let tls = authority.certify("IP:127.0.0.1,DNS:localhost");   // a slapd::Tls
//! ```

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, reason = "a fixture fails its test by panicking")]

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::slapd::{Tls, run};

pub struct Authority {
    dir: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let authority = Self { dir: TempDir::new().unwrap() };
        let mut command = authority.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 400");
        run(command.args(["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-addext", "keyUsage=critical,keyCertSign"]), "");
        authority
    }

    /// Its certificate, in PEM.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A server certificate for these names.
    pub fn certify(&self, names: &str) -> Tls {
        self.sign("server", "/CN=directory", &format!("subjectAltName={names}\nextendedKeyUsage=serverAuth\n"), 2)
    }

    /// The same, which ended yesterday.
    pub fn certify_expired(&self, names: &str) -> Tls {
        self.sign("expired", "/CN=directory", &format!("subjectAltName={names}\nextendedKeyUsage=serverAuth\n"), -1)
    }

    /// The same, for so many days.
    pub fn certify_for_days(&self, names: &str, days: i32) -> Tls {
        self.sign("brief", "/CN=directory", &format!("subjectAltName={names}\nextendedKeyUsage=serverAuth\n"), days)
    }

    /// A client certificate for this subject, such as `/O=Corp/CN=dialcast`.
    pub fn certify_client(&self, subject: &str) -> Tls {
        self.sign("client", subject, "extendedKeyUsage=clientAuth\n", 2)
    }

    fn sign(&self, name: &str, subject: &str, extensions: &str, days: i32) -> Tls {
        let path = |ending: &str| self.dir.path().join(format!("{name}.{ending}"));
        let mut request =
            self.openssl(&format!("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key -out {name}.csr"));
        run(request.args(["-subj", subject]), "");
        std::fs::write(path("extensions"), extensions).unwrap();
        let mut sign = self.openssl(&format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem"));
        run(sign.args(["-days", &days.to_string(), "-extfile", &format!("{name}.extensions")]), "");
        Tls { ca: self.file(), certificate: path("pem"), key: path("key") }
    }

    fn openssl(&self, arguments: &str) -> Command {
        let mut command = Command::new("openssl");
        command.current_dir(self.dir.path()).args(arguments.split(' '));
        command
    }
}
