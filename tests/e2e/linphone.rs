//! liblinphone, an independent SIP stack, subscribes and gets the document and the change.

use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

use crate::common::daemon::{Lines, Serve};
use crate::common::document::servers;
use crate::common::organisation::sample;
use crate::common::slapd::Slapd;
use crate::common::{PATIENCE, checkout, shared};

/// A phone made of liblinphone (tests/linphone.py).
struct Linphone {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines,
    noise: Lines,
}

impl Linphone {
    fn subscribe(server: SocketAddr, transport: &str, aor: &str, credentials: &[&str]) -> Self {
        let mut python = Command::new("python3");
        python.arg(checkout("tests/linphone.py")).args([&server.to_string(), transport, aor]).args(credentials);
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, noise) = (Lines::default(), Lines::default());
        lines.collect(child.stdout.take().unwrap());
        noise.collect(child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        Self { child, stdin, lines, noise }
    }

    /// The next document after `from` others whose outbound proxies are these.
    fn document_with(&self, proxies: &[&str]) -> String {
        let body = |line: &str| {
            serde_json::from_str::<Value>(line).ok().filter(|v| v["event"] == "notify").and_then(|v| v["body"].as_str().map(str::to_owned))
        };
        let sorted = |mut list: Vec<String>| {
            list.sort();
            list
        };
        let wanted = sorted(proxies.iter().map(|&uri| uri.to_owned()).collect());
        let line = self.lines.wait("liblinphone gets the document", 0, PATIENCE, |line| {
            body(line).is_some_and(|body| sorted(servers(&body, "sip.outbound-proxy")) == wanted)
        });
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&event["package"], &event["type"]), (&Value::from("ua-profile"), &Value::from("application/vnd.dialcast.profile+xml")));
        body(&line).unwrap()
    }

    /// Unsubscribes; liblinphone must have been told that the subscription ended.
    fn leave(mut self) {
        self.stdin.take();
        self.lines.wait("liblinphone's subscription ends", 0, PATIENCE, |line| line.contains("\"end\""));
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{:?}\n{:?}", self.lines.all(), self.noise.all());
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("liblinphone: {:#?}\n{:#?}", self.lines.all(), self.noise.all());
        }
    }
}

const BERLIN: [&str; 3] = ["sips:ber1.corp.example", "sips:ber2.corp.example", "sips:edge.corp.example"];
const LISBON: [&str; 2] = ["sips:lis1.corp.example", "sips:edge.corp.example"];

fn subscribes_and_is_told(transport: &str, config: &str, credentials: &[&str]) {
    let _shared = shared();
    let slapd = Slapd::start(&sample());
    let daemon = Serve::on(slapd.url()).config(config).start();
    let phone = Linphone::subscribe(daemon.address, transport, "sip:anna@corp.example", credentials);
    let before = phone.document_with(&BERLIN);
    assert!(before.contains("aor=\"sip:anna@corp.example\""), "{before}");
    slapd.rename("ou=Sales,ou=Berlin,dc=corp,dc=example", "ou=Sales", Some("ou=Lisbon,dc=corp,dc=example"));
    phone.document_with(&LISBON);
    phone.leave();
}

#[test]
fn liblinphone_by_udp() {
    subscribes_and_is_told("udp", "", &[]);
}

#[test]
fn liblinphone_by_tcp() {
    subscribes_and_is_told("tcp", "", &[]);
}

/// `HA1` of anna, corp.example, `sesame`: see docs/operations.md.
const SHA256: &str = "anna:corp.example:0f1db5751998dbbaa8199b431ed9c276f4ee2fd65136a0944b2b1f7b85cfd26b";
const MD5: &str = "anna:corp.example:5fb2531e7a2ba27bcd9ac04a16ee8d0c";

/// liblinphone's own digest code is the judge of ours.
#[test]
fn liblinphone_proves_its_password() {
    for (line, md5) in [(SHA256, false), (MD5, true)] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials");
        std::fs::write(&file, format!("{line}\n")).unwrap();
        let config =
            format!("[auth]\nmode = \"digest\"\nrealm = \"corp.example\"\nmd5 = {md5}\ncredentials_file = {:?}\n", file.to_str().unwrap());
        subscribes_and_is_told("udp", &config, &["anna", "sesame", if md5 { "MD5" } else { "SHA-256" }]);
    }
}

/// ITU-T H.350.4: the secret is an attribute of the user's entry, and no file holds it.
#[test]
fn liblinphone_proves_a_password_of_the_directory() {
    let _shared = shared();
    let slapd = Slapd::start(&sample());
    slapd.modify(
        "dn: uid=anna,ou=Sales,ou=Berlin,dc=corp,dc=example\nchangetype: modify\nadd: objectClass\nobjectClass: SIPIdentity\n-\n\
         add: SIPIdentityPassword\nSIPIdentityPassword: sesame\n",
    );
    let daemon = Serve::on(slapd.url()).config("[auth]\nmode = \"digest\"\nrealm = \"corp.example\"\n").start();
    let phone = Linphone::subscribe(daemon.address, "udp", "sip:anna@corp.example", &["anna", "sesame", "SHA-256"]);
    phone.document_with(&BERLIN);
    phone.leave();
}

#[test]
fn liblinphone_with_a_wrong_password_gets_nothing() {
    let _shared = shared();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("credentials");
    std::fs::write(&file, format!("{SHA256}\n")).unwrap();
    let daemon = Serve::on(format!("ldif:{}", checkout("examples/corp.ldif").display()))
        .config(&format!("[auth]\nmode = \"digest\"\nrealm = \"corp.example\"\ncredentials_file = {:?}\n", file.to_str().unwrap()))
        .start();
    let phone = Linphone::subscribe(daemon.address, "udp", "sip:anna@corp.example", &["anna", "guess", "SHA-256"]);
    phone.lines.wait("liblinphone gives up", 0, PATIENCE, |line| line.contains("\"error\"") || line.contains("\"terminated\""));
    assert!(!phone.lines.all().iter().any(|line| line.contains("\"notify\"")), "{:?}", phone.lines.all());
}
