//! The README's five minutes, run as they are written: its commands are read from it, with the program already built in
//! place of `cargo run`, a folder of the test's own in place of /tmp, and a free port in place of 5060.

use std::process::{Child, Command, Stdio};

use crate::common::daemon::{Lines, dialcast, text};
use crate::common::{PATIENCE, checkout, free_address, shared};

/// The commands of the section, in order: the fenced blocks without a language, one command a line.
fn commands(readme: &str) -> Vec<String> {
    let section = readme.split("\n## ").find(|section| section.starts_with("Five minutes")).expect("the README has its tour");
    let mut commands = Vec::new();
    let mut fence = None;
    for line in section.lines() {
        if let Some(language) = line.strip_prefix("```") {
            fence = if fence.is_none() { Some(language) } else { None };
        } else if fence == Some("") && !line.trim().is_empty() {
            commands.push(line.to_owned());
        }
    }
    commands
}

struct Running(Child, Lines, Lines);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        if std::thread::panicking() {
            eprintln!("{:#?}\n{:#?}", self.1.all(), self.2.all());
        }
    }
}

#[test]
fn the_tour_of_the_readme() {
    let _shared = shared();
    let readme = std::fs::read_to_string(checkout("README.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let shell = |command: &str| {
        let command = command
            .replace("cargo run --release --", "exec \"$DIALCAST\"")
            .replace("/tmp/", &format!("{}/", dir.path().display()))
            .replace("127.0.0.1:5060", &address.to_string());
        // The tour leaves the port to the default.
        let listen = if command.contains(" serve ") { format!(" --listen udp:{address} --listen tcp:{address}") } else { String::new() };
        let mut sh = Command::new("sh");
        sh.arg("-c").arg(command + &listen).env("DIALCAST", dialcast().get_program()).current_dir(checkout(""));
        sh.stdin(Stdio::null());
        sh
    };
    let start = |command: &str| {
        let mut child = shell(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (Lines::default(), Lines::default());
        out.collect(child.stdout.take().unwrap());
        err.collect(child.stderr.take().unwrap());
        Running(child, out, err)
    };

    let tour = commands(&readme);
    let step = |start: &str| {
        let start = start.replace("dialcast", "cargo run --release --");
        tour.iter().find(|command| command.starts_with(&start)).unwrap_or_else(|| panic!("no `{start}` in the tour: {tour:#?}")).as_str()
    };

    assert!(shell(step("cp ")).status().unwrap().success());
    let daemon = start(step("dialcast serve "));
    daemon.1.wait("the daemon is ready", 0, PATIENCE, |line| line.contains("ready"));
    let phone = start(step("dialcast subscribe "));
    phone.1.wait("anna's phone gets Berlin's proxies", 0, PATIENCE, |line| line.contains("ber1.corp.example"));
    let told = phone.1.all().len();

    assert!(shell(step("sed ")).status().unwrap().success());
    phone.1.wait("and, after the move, Lisbon's", told, PATIENCE, |line| line.contains("lis1.corp.example"));

    let out = shell(step("dialcast explain ")).output().unwrap();
    let said = text(&out.stdout);
    assert!(out.status.success() && said.contains("sips:lis1.corp.example") && said.contains("ou=Lisbon"), "{said}{}", text(&out.stderr));

    // The README's line that breaks the file stands in the text.
    let broken = readme.split('`').find(|span| span.starts_with("sed -i 's/^dn: ou=Board")).expect("the README breaks the file");
    let line = 1 + std::fs::read_to_string(dir.path().join("corp.ldif"))
        .unwrap()
        .lines()
        .position(|line| line.starts_with("dn: ou=Board"))
        .unwrap();
    assert!(shell(broken).status().unwrap().success());
    let place = format!("corp.ldif:{line}");
    daemon.2.wait("the daemon names the file and the line", 0, PATIENCE, |said| said.contains(&place));
    let out = shell(step("dialcast check ")).output().unwrap();
    let said = text(&out.stdout) + &text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains(&place), "{said}");
}
