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
        let mut command = authority.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2");
        run(command.args(["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-addext", "keyUsage=critical,keyCertSign"]), "");
        authority
    }

    /// Its certificate, in PEM.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A server certificate for these names.
    pub fn certify(&self, names: &str) -> Tls {
        let path = |name: &str| self.dir.path().join(name);
        let mut request = self.openssl("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr");
        run(request.args(["-subj", "/CN=directory"]), "");
        std::fs::write(path("extensions"), format!("subjectAltName={names}\nextendedKeyUsage=serverAuth\n")).unwrap();
        let mut sign = self.openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out server.pem");
        run(sign.args(["-extfile", "extensions"]), "");
        Tls { ca: self.file(), certificate: path("server.pem"), key: path("server.key") }
    }

    fn openssl(&self, arguments: &str) -> Command {
        let mut command = Command::new("openssl");
        command.current_dir(self.dir.path()).args(arguments.split(' '));
        command
    }
}
