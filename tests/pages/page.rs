//! A page, and the shell that runs it: the names that stand in it mean the test's own servers, files and tools.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::common::daemon::{dialcast, text};
use crate::common::{checkout, slapd::run};

/// A fenced block.
struct Block {
    language: String,
    text: String,
}

pub(crate) struct Page {
    name: &'static str,
    blocks: Vec<Block>,
    /// What stands in the page, and what it is here.
    names: Vec<(String, String)>,
    dir: TempDir,
}

impl Page {
    pub(crate) fn read(name: &'static str) -> Self {
        let text = std::fs::read_to_string(checkout("docs").join(name)).unwrap();
        let mut blocks: Vec<Block> = Vec::new();
        let mut is_open = false;
        for line in text.lines() {
            match line.strip_prefix("```") {
                Some(_) if is_open => is_open = false,
                Some(language) => {
                    is_open = true;
                    blocks.push(Block { language: language.to_owned(), text: String::new() });
                }
                None if is_open => {
                    let block = blocks.last_mut().unwrap();
                    block.text += line;
                    block.text.push('\n');
                }
                None => {}
            }
        }
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        let mut page = Self { name, blocks, names: Vec::new(), dir };
        let here = page.path("").display().to_string();
        page.is("/etc/dialcast/", &here);
        page.is("/var/lib/dialcast", &format!("{here}state"));
        page.is("deploy/", &format!("{}/", checkout("deploy").display()));
        page.tool("dialcast", &format!("exec {} \"$@\"", dialcast().get_program().to_str().unwrap()));
        page
    }

    /// What stands in the page is this here.
    pub(crate) fn is(&mut self, there: &str, here: &str) {
        self.names.push((there.to_owned(), here.to_owned()));
    }

    /// A file of the test's folder, which stands for /etc/dialcast.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A tool of the page is this script here.
    pub(crate) fn tool(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        run(Command::new("chmod").arg("755").arg(path), "");
    }

    fn here(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    }

    /// Writes the page's configuration, with more lines for its table `directory`, to where the page has it.
    pub(crate) fn configure(&self, lines: &str) {
        let block = self.blocks.iter().find(|block| block.language == "toml").unwrap();
        let toml = format!("{}{lines}\n", self.here(&block.text));
        std::fs::write(self.path("dialcast.toml"), toml).unwrap();
    }

    /// The number of shell blocks.
    pub(crate) fn len(&self) -> usize {
        self.shell().count()
    }

    fn shell(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(|block| block.language == "sh")
    }

    /// Runs the shell block of that number, from 0; all of its commands must succeed.
    pub(crate) fn run(&self, number: usize) -> String {
        let output = self.try_run(number);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "block {number} of {}:\n{}\n{said}", self.name, self.script(number));
        said
    }

    pub(crate) fn try_run(&self, number: usize) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell.args(["-e", "-o", "pipefail", "-c", &self.script(number)]).current_dir(self.dir.path()).env("PATH", path);
        shell.stdin(Stdio::null()).output().unwrap()
    }

    fn script(&self, number: usize) -> String {
        self.here(&self.shell().nth(number).unwrap().text)
    }

    /// Exit code and standard output of a command of `dialcast`.
    pub(crate) fn ask(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let config = self.path("dialcast.toml").display().to_string();
        let output = dialcast().args(arguments).args(["--config", &config]).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    }
}
