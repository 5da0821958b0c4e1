//! The directories that the story is told to.

use std::path::PathBuf;

use tempfile::TempDir;

use super::common::ds389::{self, Ds389};
use super::common::samba::{Access, Kept, Samba};
use super::common::slapd::{self, Slapd};
use super::faults::Frail;
use super::story::{Deed, Thing, beginning};
use super::words::Words;

/// A directory that holds the story's organisation.
pub(crate) trait Server {
    /// What it is, for people.
    const NAME: &str;

    /// The source, as the configuration has it.
    fn url(&self) -> String;

    /// Further lines of the daemon's configuration.
    fn config(&self) -> String {
        String::new()
    }

    /// Does what the admin does; returns when the server has answered.
    fn act(&mut self, deeds: &[Deed]);
}

fn records(words: Words, things: &[Thing]) -> String {
    things.iter().map(|thing| words.records(thing)).collect::<Vec<_>>().join("\n")
}

fn changes(words: Words, deeds: &[Deed]) -> String {
    deeds.iter().map(|deed| words.change(deed)).collect::<Vec<_>>().join("\n")
}

/// A file of LDIF, written anew for each deed as an editor does it: aside, then renamed.
pub(crate) struct Files {
    dir: TempDir,
    things: Vec<Thing>,
}

impl Files {
    pub(crate) fn start() -> Self {
        let files = Self { dir: TempDir::new().unwrap(), things: beginning() };
        files.write();
        files
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("corp.ldif")
    }

    fn write(&self) {
        let aside = self.path().with_extension("new");
        let suffix = "dn: DC=corp,DC=example\nobjectClass: domain\ndc: corp\n\n";
        std::fs::write(&aside, format!("{suffix}{}", records(Words::Standard, &self.things))).unwrap();
        std::fs::rename(aside, self.path()).unwrap();
    }

    fn edit(&mut self, dn: &str) -> &mut Thing {
        self.things.iter_mut().find(|thing| thing.dn() == dn).unwrap()
    }

    fn act(&mut self, deed: &Deed) {
        match deed {
            Deed::Add(thing) => self.things.push(thing.clone()),
            Deed::Delete(dn) => self.things.retain(|thing| thing.dn() != *dn),
            Deed::Tel { dn, tel: new } => match self.edit(dn) {
                Thing::Person { tel, .. } => tel.clone_from(new),
                other => panic!("{other:?} has no number"),
            },
            Deed::Subnet { prefix, site: new } => {
                let sites = self.things.iter_mut().filter_map(|thing| match thing {
                    Thing::Subnet { prefix: own, site } if own == prefix => Some(site),
                    _ => None,
                });
                sites.for_each(|site| *site = new);
            }
            Deed::Members { dn, members: new } => match self.edit(dn) {
                Thing::Group { members, .. } => members.clone_from(new),
                other => panic!("{other:?} has no members"),
            },
            Deed::Lines { dn, lines: new } => match self.edit(dn) {
                Thing::Policy { lines, .. } => lines.clone_from(new),
                other => panic!("{other:?} has no lines"),
            },
            Deed::Move { dn, rdn, above: new } => {
                let target = format!("{rdn},{new}");
                let (tail, new_tail) = (format!(",{dn}"), format!(",{target}"));
                for thing in &mut self.things {
                    let is_it = thing.dn() == *dn;
                    match thing {
                        Thing::Unit(own) if is_it => own.clone_from(&target),
                        Thing::Unit(own) => *own = moved(own, &tail, &new_tail),
                        Thing::Network | Thing::Site { .. } | Thing::Subnet { .. } => {}
                        Thing::Person { name, above, .. }
                        | Thing::Group { name, above, .. }
                        | Thing::Server { name, above, .. }
                        | Thing::Policy { name, above, .. } => {
                            if is_it {
                                name.clear();
                                name.push_str(rdn.trim_start_matches("CN="));
                                above.clone_from(new);
                            } else {
                                *above = if *above == *dn { target.clone() } else { moved(above, &tail, &new_tail) };
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A name below something that moved.
fn moved(dn: &str, tail: &str, new_tail: &str) -> String {
    dn.strip_suffix(tail).map_or_else(|| dn.to_owned(), |head| format!("{head}{new_tail}"))
}

impl Server for Files {
    const NAME: &str = "LDIF";

    fn url(&self) -> String {
        format!("ldif:{}", self.path().display())
    }

    fn act(&mut self, deeds: &[Deed]) {
        for deed in deeds {
            Files::act(self, deed);
        }
        self.write();
    }
}

/// A real slapd.
pub(crate) struct OpenLdap(Slapd);

impl OpenLdap {
    pub(crate) fn start() -> Self {
        Self(Slapd::start(&format!("{}\n{}", slapd::BASE, records(Words::Standard, &beginning()))))
    }
}

impl Server for OpenLdap {
    const NAME: &str = "OpenLDAP";

    fn url(&self) -> String {
        self.0.url()
    }

    fn act(&mut self, deeds: &[Deed]) {
        self.0.modify(&changes(Words::Standard, deeds));
    }
}

impl Frail for OpenLdap {
    fn crash(&mut self) {
        self.0.kill();
        self.0.restart();
    }

    fn hide(&mut self, dn: &str) {
        self.0.access(&format!("access to dn.subtree=\"{dn}\" by * none\naccess to * by * read"));
    }

    fn show(&mut self, _: &str) {
        self.0.access("");
    }

    fn back_up(&mut self) {
        self.0.stop();
        self.0.backup();
        self.0.restart();
    }

    fn put_back(&mut self) {
        self.0.stop();
        self.0.restore();
        self.0.restart();
    }
}

/// A real 389 Directory Server.
pub(crate) struct DirectoryServer(Ds389);

impl DirectoryServer {
    pub(crate) fn start() -> Self {
        Self(Ds389::start(&format!("{}\n{}", ds389::BASE, records(Words::Standard, &beginning()))))
    }
}

impl Server for DirectoryServer {
    const NAME: &str = "389 Directory Server";

    fn url(&self) -> String {
        self.0.url()
    }

    fn config(&self) -> String {
        login(Ds389::READER, Ds389::PASSWORD)
    }

    fn act(&mut self, deeds: &[Deed]) {
        self.0.modify(&changes(Words::Standard, deeds));
    }
}

impl DirectoryServer {
    fn rule(&self, dn: &str, how: &str) {
        let rule = format!("(targetattr=\"*\")(version 3.0; acl \"no\"; deny (all) userdn=\"ldap:///{}\";)", Ds389::READER);
        self.0.modify(&format!("dn: {dn}\nchangetype: modify\n{how}: aci\naci: {rule}\n"));
    }
}

impl Frail for DirectoryServer {
    fn crash(&mut self) {
        self.0.kill();
        self.0.start_again();
    }

    fn hide(&mut self, dn: &str) {
        self.rule(dn, "add");
    }

    fn show(&mut self, dn: &str) {
        self.rule(dn, "delete");
    }

    fn back_up(&mut self) {
        self.0.stop();
        self.0.backup();
        self.0.start_again();
    }

    fn put_back(&mut self) {
        self.0.stop();
        self.0.restore();
        self.0.start_again();
    }
}

/// A real Samba domain controller.
pub(crate) struct DomainController {
    samba: Samba,
    before: Option<Access>,
    kept: Option<Kept>,
}

impl DomainController {
    pub(crate) fn start() -> Self {
        let samba = Samba::start();
        let things = beginning();
        samba.modify(&things.iter().map(|thing| added(&Words::ActiveDirectory.records(thing))).collect::<Vec<_>>().join("\n"));
        // As docs/active-directory.md has it: who may see what is deleted is told so at once.
        samba.allow_reader(&format!("CN=Deleted Objects,{}", Samba::SUFFIX));
        Self { samba, before: None, kept: None }
    }
}

impl Frail for DomainController {
    fn crash(&mut self) {
        self.samba.kill();
        self.samba.start_again();
    }

    fn hide(&mut self, dn: &str) {
        self.before = Some(self.samba.deny_reader(dn));
    }

    fn show(&mut self, dn: &str) {
        self.samba.set_access(dn, &self.before.take().unwrap());
    }

    fn back_up(&mut self) {
        self.samba.stop();
        self.kept = Some(self.samba.keep());
        self.samba.start_again();
    }

    fn put_back(&mut self) {
        self.samba.stop();
        self.samba.put_back(&self.kept.take().unwrap());
        self.samba.start_again();
    }
}

/// Content records as change records.
fn added(records: &str) -> String {
    let record = |text: &str| text.replacen('\n', "\nchangetype: add\n", 1);
    records.split("\n\n").map(record).collect::<Vec<_>>().join("\n\n")
}

impl Server for DomainController {
    const NAME: &str = "Samba";

    fn url(&self) -> String {
        self.samba.url()
    }

    fn config(&self) -> String {
        login(Samba::READER, Samba::PASSWORD)
    }

    fn act(&mut self, deeds: &[Deed]) {
        self.samba.modify(&changes(Words::ActiveDirectory, deeds));
    }
}

/// An account that may read and nothing else; its password in a file of this process, removed by the system with the folder.
fn login(account: &str, password: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("scenario-{}", password.len()));
    std::fs::write(&file, password).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    format!("[directory]\nbind_dn = \"{account}\"\npassword_file = \"{}\"", file.display())
}
