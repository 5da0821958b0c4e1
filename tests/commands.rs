//! What the commands say to operators and scripts: exit codes, messages with their places and remedies, JSON.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::daemon::{Lines, ask, dialcast, json, text};
use common::{PATIENCE, checkout, free_address, until};
use tempfile::TempDir;

/// A folder with a copy of the sample organisation.
fn folder() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::copy(checkout("examples/corp.ldif"), dir.path().join("corp.ldif")).unwrap();
    dir
}

fn at(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

/// Runs a command in the folder, and gives exit code, standard output and standard error, without the folder's name.
fn told(dir: &TempDir, arguments: &[&str]) -> String {
    let output = dialcast().current_dir(dir).args(arguments).stdin(Stdio::null()).output().unwrap();
    let shown = format!("{}\n{}{}", output.status.code().unwrap(), text(&output.stdout), text(&output.stderr));
    shown.replace(&dir.path().display().to_string(), "DIR")
}

/// A daemon that may not become ready.
struct Running {
    child: Child,
    lines: Lines,
}

impl Running {
    fn start(arguments: &[&str], address: SocketAddr) -> Self {
        let mut command = dialcast();
        command.arg("serve").args(arguments).arg(format!("--listen=udp:{address}"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Lines::default();
        lines.collect(child.stdout.take().unwrap());
        lines.collect(child.stderr.take().unwrap());
        Self { child, lines }
    }

    fn wait(&self, what: &str) -> String {
        self.lines.wait(what, 0, PATIENCE, |line| line.contains(what))
    }

    fn signal(mut self, name: &str) -> Option<i32> {
        assert!(Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success());
        until("the daemon ends", PATIENCE, || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_fault_of_the_ldif_has_its_place_and_remedy_in_every_command() {
    let dir = folder();
    let ldif = fs::read_to_string(dir.path().join("corp.ldif")).unwrap();
    fs::write(dir.path().join("broken.ldif"), ldif.replace("\ndn: ou=Board", "\ndn ou=Board")).unwrap();
    insta::assert_snapshot!(told(&dir, &["check", "--directory", "ldif:broken.ldif"]), @"
    1
    ldif.syntax

      x expected `name: value`
         ,-[broken.ldif:426:1]
     425 | # ---------------------------------------------------------------------------------------------------------------
     426 | dn ou=Board,dc=corp,dc=example
         : |
         : `-- here
     427 | objectClass: organizationalUnit
         `----
      help: continue a value on the next line by beginning it with one space; separate records by a blank line
    ");
    let output = ask(&["explain", "anna", "--json", "--directory", &format!("ldif:{}", at(dir.path(), "broken.ldif"))]);
    assert_eq!(output.status.code(), Some(1));
    let fault = &json(&output)["faults"][0];
    assert_eq!((fault["code"].as_str(), fault["place"]["file"]["line"].as_u64()), (Some("ldif.syntax"), Some(426)));
}

#[test]
fn a_directory_that_cannot_be_read_has_a_remedy() {
    let dir = folder();
    insta::assert_snapshot!(told(&dir, &["check", "--directory", "ldif:nowhere.ldif"]), @"
    1
    ldif.syntax

      x nowhere.ldif: cannot be read: No such file or directory (os error 2)
      help: check the path and its permissions; what was read before stays in use
    ");
    insta::assert_snapshot!(told(&dir, &["explain", "anna", "--directory", "ldap://127.0.0.1:1/dc=corp"]), @"
    1
    ldap.unreachable

      x ldap://127.0.0.1:1/dc=corp: cannot connect to 127.0.0.1:1: Connection refused (os error 111)
      help: check that the server runs, the port in directory.url, and the firewall
    ");
}

#[test]
fn faults_of_the_configuration() {
    let dir = folder();
    let told = |toml: &str| {
        fs::write(dir.path().join("c.toml"), toml).unwrap();
        told(&dir, &["check", "--config", "c.toml", "--directory", "ldif:corp.ldif"])
    };
    insta::assert_snapshot!(told("directory = 3"), @"
    1
    config.syntax

      x c.toml: invalid type: integer `3`, expected a table for key `directory`
      help: correct it as TOML 1.0; examples/dialcast.toml shows every key
    ");
    insta::assert_snapshot!(told("listen = [\n"), @"
    1
    config.syntax

      x unclosed array, expected `]`
       ,-[c.toml:1:11]
     1 | listen = [
       :           ^
       :           `-- here
       `----
      help: correct it as TOML 1.0; examples/dialcast.toml shows every key
    ");
    insta::assert_snapshot!(told("[auth]\nmode = \"digest\"\ncredentials_file = \"nowhere\""), @"
    1
    ldif:corp.ldif: 51 objects, 22 users with a document
      1 × error auth.credentials
    1 errors, 0 warnings, 0 notes
    auth.credentials

      x nowhere: No such file or directory (os error 2)
      help: make auth.credentials_file a readable file
    ");
    insta::assert_snapshot!(told("[auth]\nmode = \"digest\""), @"
    0
    ldif:corp.ldif: 51 objects, 22 users with a document
      1 × warning auth.no-secret
    0 errors, 1 warnings, 0 notes
    auth.no-secret

      ! config key auth: 22 of 22 users have no secret, such as sip:anna@corp.example: their phones cannot log
      | in
      help: give them SIPIdentityPassword in the directory or a line in auth.credentials_file; a line with an
            MD5 hash counts where auth.md5 is true
    ");
    // The line itself is a secret.
    fs::write(dir.path().join("credentials"), "anna:corp.example:0123abcd\n").unwrap();
    let shown = told("[auth]\ncredentials_file = \"credentials\"");
    assert!(shown.starts_with('1') && shown.contains("credentials:1: the HA1 of `anna` is not") && !shown.contains("0123abcd"), "{shown}");
}

#[test]
fn variables() {
    let dir = folder();
    fs::write(dir.path().join("c.toml"), "[directory]\nurl = \"ldif:corp.ldif\"\n").unwrap();
    let told = |variables: &[(&str, &str)]| {
        let mut command = dialcast();
        let output = command.current_dir(&dir).args(["check", "--config", "c.toml"]).envs(variables.iter().copied()).output().unwrap();
        format!("{}\n{}{}", output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let clean = "0\nldif:corp.ldif: 51 objects, 22 users with a document\n0 errors, 0 warnings, 0 notes\n";
    assert_eq!(told(&[("DIALCAST_LISTEN", ""), ("DIALCAST_DIRECTORY__PASSWORD_FILE", "")]), clean, "set to nothing is not set");
    assert_eq!(told(&[("DIALCAST_POLICY__SETTINGS", "media.audio = opus,G722\nlanguage = fr")]), clean, "a line holds commas");
    assert_eq!(told(&[("DIALCAST_IDENTITY__AOR", "SIPIdentitySIPURI,mail")]), clean);
    insta::assert_snapshot!(told(&[("DIALCAST_DIRECTORY", "ldif:corp.ldif")]), @r#"
    1
    config.syntax

      x environment: invalid type: string "ldif:corp.ldif", expected a table for key `directory`
      help: a variable names a table and a key with two underscores between, such as DIALCAST_DIRECTORY__URL
    "#);
}

#[test]
fn options_of_plan_may_stand_on_either_side_of_the_change() {
    let dir = folder();
    let (source, change) = (["--directory", "ldif:corp.ldif"], ["delete", "uid=anna,ou=Sales,ou=Berlin,dc=corp,dc=example"]);
    let before = told(&dir, &[&["plan"][..], &source, &change].concat());
    assert!(before.starts_with("2\nsip:anna@corp.example"), "{before}");
    assert_eq!(told(&dir, &[&["plan"][..], &change, &source].concat()), before);
    let both = told(&dir, &[&["plan", "-f", "corp.ldif"][..], &source, &change].concat());
    assert!(both.starts_with("2\n") && both.contains("give one change"), "{both}");
    let nobody = told(&dir, &["plan", "delete", "uid=nobody,dc=corp,dc=example", "--directory", "ldif:corp.ldif"]);
    assert!(nobody.contains("x command line: there is no entry"), "{nobody}");
}

#[test]
fn explain_names_what_it_does_not_know() {
    let dir = folder();
    let told = |arguments: &[&str]| told(&dir, &[&["explain"], arguments, &["--directory", "ldif:corp.ldif"]].concat());
    insta::assert_snapshot!(told(&["nobody"]), @"
    1
    dialcast: no user is called `nobody`; give a uid, an address (sip:anna@corp.example), a name (cn) or a DN
    ");
    insta::assert_snapshot!(told(&["anna", "sip.registar"]), @"
    1
    dialcast: there is no setting `sip.registar`; did you mean `sip.registrar`?
    ");
    insta::assert_snapshot!(told(&["nobody", "--json"]), @r#"
    1
    {"error":"no user is called `nobody`; give a uid, an address (sip:anna@corp.example), a name (cn) or a DN","event":"failed"}
    "#);
    assert!(told(&["anna", "acl"]).ends_with("acl\n  no value: neither the directory nor the configuration sets it\n"));
}

/// `dialcast explain anna | head -1` is no failure; a disk that is full is one.
#[test]
fn a_closed_output_is_no_panic() {
    let directory = format!("ldif:{}", checkout("examples/corp.ldif").display());
    for arguments in [&["explain", "anna"][..], &["explain", "anna", "--json"], &["check"], &["check", "--json"]] {
        let run = |output: Stdio, errors: Stdio| {
            dialcast().args(arguments).args(["--directory", &directory]).stdout(output).stderr(errors).output().unwrap()
        };
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let closed = run(writer.into(), Stdio::piped());
        assert_eq!((closed.status.code(), text(&closed.stderr).as_str()), (Some(0), ""), "{arguments:?}");
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let failed = run(full.try_clone().unwrap().into(), Stdio::piped());
        assert_eq!(failed.status.code(), Some(1));
        let errors = text(&failed.stderr);
        assert!(errors.contains("No space left"), "{errors}");
        assert_eq!(run(full.try_clone().unwrap().into(), full.into()).status.code(), Some(1), "nor with both");
    }
}

#[test]
fn an_address_in_use_has_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir = folder();
    let shown = told(&dir, &["serve", "--directory", "ldif:corp.ldif", "--listen", &format!("tcp:{address}")]);
    insta::assert_snapshot!(shown.replace(&address.port().to_string(), "PORT"), @"
    1
    listen.refused

      x config key listen: cannot listen on tcp:127.0.0.1:PORT: Address already in use (os error 98)
      help: see who has it with `ss -lnp 'sport = :PORT'`, and stop it; or name another address with --listen
            or in listen
    ");
    insta::assert_snapshot!(told(&dir, &["serve", "--directory", "ldif:corp.ldif", "--listen", "udp:192.0.2.1:5060"]), @r#"
    1
    config.value

      x config key auth.mode: `open` gives every user's configuration to anyone who reaches udp:192.0.2.1:5060
      help: set auth.mode = "digest" (secrets from auth.credentials_file or from SIPIdentityPassword in the
            directory), or listen on loopback addresses only
    "#);
}

/// What is suggested reads the same directory by the same configuration.
#[test]
fn the_suggestions_can_be_run() {
    let dir = folder();
    fs::write(dir.path().join("my config.toml"), "[directory]\nurl = \"ldif:corp.ldif\"\n[policy]\nsettings = [\"nonsense\"]\n").unwrap();
    let daemon = Running::start(&["--config", &at(dir.path(), "my config.toml")], free_address());
    daemon.wait("then change the directory");
    let all = daemon.lines.all().join("\n");
    let again = format!("--config '{}'", at(dir.path(), "my config.toml"));
    assert!(all.contains(&format!("0 errors and 1 warnings: `{} check {again}` tells them", env!("CARGO_BIN_EXE_dialcast"))), "{all}");
    assert!(all.contains(&format!("explain sip:anna@corp.example {again}")), "{all}");
    assert_eq!(daemon.signal("INT"), Some(0));
}

#[test]
fn a_directory_may_come_later_and_the_daemon_may_leave_before() {
    let dir = TempDir::new().unwrap();
    let directory = format!("ldif:{}", at(dir.path(), "corp.ldif"));
    let daemon = Running::start(&["--json", "--directory", &directory], free_address());
    daemon.wait("phones are told to wait until it was read once");
    fs::copy(checkout("examples/corp.ldif"), dir.path().join("corp.ldif")).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&daemon.wait("\"ready\"")).unwrap();
    assert_eq!((ready["objects"].as_u64(), ready["users"].as_u64(), ready["from_state"].as_bool()), (Some(51), Some(22), Some(false)));
    assert_eq!(daemon.signal("TERM"), Some(0));
    let daemon = Running::start(&["--directory", &format!("ldif:{}", at(dir.path(), "nowhere.ldif"))], free_address());
    daemon.wait("No such file");
    assert_eq!(daemon.signal("TERM"), Some(0), "before it was ready");
}

/// A crash loses nothing that was kept, and nothing has to wait for an orderly end.
#[test]
fn the_state_survives_a_crash() {
    let dir = folder();
    let (directory, state) = (format!("ldif:{}", at(dir.path(), "corp.ldif")), at(dir.path(), "state"));
    let arguments = ["--json", "--directory", &directory, "--state", &state];
    let daemon = Running::start(&arguments, free_address());
    daemon.wait("\"ready\"");
    let is_kept = || fs::read_dir(&state).unwrap().any(|file| file.unwrap().path().extension().is_some_and(|ending| ending == "state"));
    until("the state is kept while the daemon runs", PATIENCE, || is_kept().then_some(()));
    assert_eq!(daemon.signal("KILL"), None);
    fs::remove_file(dir.path().join("corp.ldif")).unwrap();
    let daemon = Running::start(&arguments, free_address());
    let ready: serde_json::Value = serde_json::from_str(&daemon.wait("\"ready\"")).unwrap();
    assert_eq!((ready["users"].as_u64(), ready["from_state"].as_bool()), (Some(22), Some(true)));
    assert_eq!(daemon.signal("TERM"), Some(0));
}

#[test]
fn one_daemon_keeps_a_state() {
    let dir = folder();
    let (directory, state) = (format!("ldif:{}", at(dir.path(), "corp.ldif")), at(dir.path(), "state"));
    let arguments = ["--directory", &directory, "--state", &state];
    let first = Running::start(&arguments, free_address());
    first.wait("ready in");
    let listen = format!("--listen=udp:{}", free_address());
    let second = ask(&[&["serve", listen.as_str()], &arguments[..]].concat());
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("another dialcast serves this directory with its state in"), "{}", text(&second.stderr));
    // Another directory's state has its own file and its own lock.
    fs::copy(dir.path().join("corp.ldif"), dir.path().join("other.ldif")).unwrap();
    let other = format!("ldif:{}", at(dir.path(), "other.ldif"));
    Running::start(&["--directory", &other, "--state", &state], free_address()).wait("ready in");
    let bad = ask(&["serve", "--directory", &directory, "--state", &at(dir.path(), "corp.ldif")]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("cannot use the state folder"), "{}", text(&bad.stderr));
}

/// Whatever a script asked, and however wrong, the answer is JSON of one shape for each command.
#[test]
fn json_whatever_is_wrong() {
    let dir = folder();
    for (arguments, error) in [
        (&["check", "--json", "--nonsense"][..], "unexpected argument '--nonsense' found"),
        (&["--json", "explain"], "the following required arguments were not provided: <USER>"),
        (&["--json", "fly"], "unrecognized subcommand 'fly'"),
    ] {
        let output = dialcast().args(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!((output.status.code(), &json(&output)["event"]), (Some(2), &"failed".into()));
        assert_eq!(json(&output)["error"], error);
    }
    // Help is help.
    assert!(text(&dialcast().args(["check", "--json", "--help"]).output().unwrap().stdout).contains("Usage: dialcast check"));
    let keys = |arguments: &[&str]| {
        let output = dialcast().current_dir(&dir).args(arguments).stdin(Stdio::null()).output().unwrap();
        let answer = json(&output);
        let keys: Vec<String> = answer.as_object().unwrap().keys().cloned().collect();
        (keys, answer["objects"].is_null(), answer["faults"].as_array().unwrap().len(), output.status.code())
    };
    let (good, is_null, ..) = keys(&["check", "--json", "--directory", "ldif:corp.ldif"]);
    assert!(!is_null);
    fs::write(dir.path().join("bad.toml"), "[directory]\nurl = 3\nbogus = 1\n").unwrap();
    for arguments in [["check", "--json", "--directory", "ldif:nowhere.ldif"], ["check", "--json", "--config", "bad.toml"]] {
        let (bad, is_null, faults, code) = keys(&arguments);
        assert_eq!((&bad, is_null, faults > 0, code), (&good, true, true, Some(1)), "{arguments:?}");
    }
}
