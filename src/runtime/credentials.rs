//! Users' secrets for digest: from a file, or from the directory's H.350 attribute.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::kept::Kept;
use crate::config::{AuthConfig, PASSWORD_ATTRIBUTE};
use crate::model::{Aor, Fault, ObjectId, Place, Secret, Severity};
use crate::policy::Resolved;
use crate::policy::catalogue::Setting;
use crate::sip::digest::{Algorithm, Ha1};
use crate::store::{Object, Snapshot};
use crate::subscription::{Account, CredentialChanges};

/// The code of faults of the credentials file.
pub(super) const CODE: &str = "auth.credentials";
/// A credentials file larger than this is another file: a million lines fit.
const FILE_BYTES_MAX: u64 = 128 << 20;

/// Who may log in, kept in step with the users that have a document.
pub(super) struct CredentialBook {
    digest: bool,
    md5: bool,
    realm: Option<String>,
    /// From the file: username → secrets.
    listed: HashMap<String, Secrets>,
    /// `AoR` → the usernames it may log in by, the shortest last, and its secrets from the directory.
    users: BTreeMap<Aor, User>,
    /// Which address an object has.
    addresses: HashMap<ObjectId, Aor>,
    /// Whom a username stands for: of several, none. Sorted.
    owners: HashMap<String, Vec<Aor>>,
    /// Usernames to be decided anew: hashing those of everybody takes seconds.
    stale: BTreeSet<String>,
    /// Usernames that somebody can log in by.
    usable: HashSet<String>,
    /// Usernames that stand for several.
    ambiguous: BTreeSet<String>,
    /// Users who cannot log in.
    unable: BTreeSet<Aor>,
    faults: Vec<Fault>,
}

#[derive(Clone, Default)]
struct Secrets {
    sha256: Option<Ha1>,
    md5: Option<Ha1>,
}

#[derive(PartialEq, Eq)]
struct User {
    id: ObjectId,
    names: Vec<String>,
    password: Option<String>,
}

impl CredentialBook {
    /// Reads the credentials file, if one is configured.
    ///
    /// # Errors
    /// All faults of the file.
    pub(super) fn open(config: &AuthConfig) -> Result<Self, Vec<Fault>> {
        let mut book = Self {
            digest: config.digest,
            md5: config.md5,
            realm: config.realm.clone(),
            listed: HashMap::new(),
            users: BTreeMap::new(),
            addresses: HashMap::new(),
            owners: HashMap::new(),
            stale: BTreeSet::new(),
            usable: HashSet::new(),
            ambiguous: BTreeSet::new(),
            unable: BTreeSet::new(),
            faults: Vec::new(),
        };
        if let Some(path) = &config.credentials_file {
            let mut faults = Vec::new();
            book.read(path, &mut faults);
            if faults.iter().any(|fault| fault.severity == Severity::Error) {
                return Err(faults);
            }
            book.faults = faults;
        }
        Ok(book)
    }

    fn read(&mut self, path: &Path, faults: &mut Vec<Fault>) {
        let mut fault = |severity, line, what: String, remedy: &str| {
            let place = Place::File { path: path.to_owned(), line, column: 0 };
            faults.push(Fault { severity, code: CODE, place, what, remedy: remedy.to_owned() });
        };
        let usage = "write lines of user:realm:HA1, the HA1 as 64 (SHA-256) or 32 (MD5) hexadecimal digits (docs/operations.md)";
        let text = match std::fs::metadata(path) {
            Ok(meta) if meta.len() > FILE_BYTES_MAX => Err(std::io::Error::other(format!("it has more than {FILE_BYTES_MAX} octets"))),
            Ok(meta) => {
                if meta.permissions().mode() & 0o007 != 0 {
                    fault(Severity::Warning, 0, "everybody on this machine can read it".to_owned(), "chmod 600 it");
                }
                std::fs::read_to_string(path)
            }
            Err(error) => Err(error),
        };
        let text = match text {
            Ok(text) => text,
            Err(error) => return fault(Severity::Error, 0, error.to_string(), "make auth.credentials_file a readable file"),
        };
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
            // The user may hold a colon-free name only (RFC 7616 §3.4.4), the realm may hold colons, the hash none.
            let parts =
                line.trim_end().split_once(':').and_then(|(user, rest)| rest.rsplit_once(':').map(|(realm, hash)| (user, realm, hash)));
            let Some((user, realm, hash)) = parts else {
                fault(Severity::Error, index + 1, "not user:realm:HA1".to_owned(), usage);
                continue;
            };
            let algorithm = if hash.len() == Algorithm::Md5.digits() { Algorithm::Md5 } else { Algorithm::Sha256 };
            let Some(ha1) = Ha1::from_hex(algorithm, hash) else {
                fault(Severity::Error, index + 1, format!("the HA1 of `{user}` is not 64 or 32 hexadecimal digits"), usage);
                continue;
            };
            if self.realm.get_or_insert_with(|| realm.to_owned()) != realm {
                let expected = self.realm.clone().unwrap_or_default();
                let what = format!("`{user}` is of realm `{realm}`, and this server's realm is `{expected}`");
                fault(Severity::Error, index + 1, what, "use one realm for all lines, the same as auth.realm");
                continue;
            }
            let secrets = self.listed.entry(user.to_owned()).or_default();
            let slot = if algorithm == Algorithm::Md5 { &mut secrets.md5 } else { &mut secrets.sha256 };
            if slot.replace(ha1).is_some() {
                fault(Severity::Error, index + 1, format!("`{user}` is there twice with the same algorithm"), "remove one of the lines");
            }
        }
    }

    /// Takes a user with a document: who it is to the registrar, and its secret if the directory holds one.
    pub(super) fn put(&mut self, snapshot: &Snapshot, user: &Resolved) {
        if !self.digest {
            return;
        }
        let password = snapshot.get(user.user).and_then(|object| password(object));
        self.insert(&user.aor, User { id: user.user, names: names(user), password });
    }

    /// Takes a user whose documents another run published: the secret is that of then, unless the entry is there and has another.
    pub(super) fn keep(&mut self, snapshot: &Snapshot, aor: &Aor, kept: &Kept) {
        if !self.digest {
            return;
        }
        let now = snapshot.get(kept.user).and_then(|object| password(object));
        let password = now.or_else(|| kept.password.as_ref().map(|password| password.expose().to_owned()));
        self.insert(aor, User { id: kept.user, names: kept.names.clone(), password });
    }

    /// The secret that the directory gave the user of an address.
    pub(super) fn password(&self, aor: &Aor) -> Option<Secret> {
        self.users.get(aor).and_then(|user| user.password.clone()).map(Secret::new)
    }

    fn insert(&mut self, aor: &Aor, entry: User) {
        if self.users.get(aor) == Some(&entry) {
            return;
        }
        self.remove(aor);
        for name in &entry.names {
            let owners = self.owners.entry(name.clone()).or_default();
            if let Err(at) = owners.binary_search(aor) {
                owners.insert(at, aor.clone());
            }
        }
        self.stale.extend(entry.names.iter().cloned());
        self.addresses.insert(entry.id, aor.clone());
        self.users.insert(aor.clone(), entry);
    }

    /// Takes an object that changed: a new password is no new document, and so is told by nobody else.
    pub(super) fn refresh(&mut self, object: &Object) {
        let Some(user) = self.addresses.get(&object.id).and_then(|aor| self.users.get_mut(aor)) else { return };
        let password = password(object);
        if user.password != password {
            user.password = password;
            self.stale.extend(user.names.iter().cloned());
        }
    }

    /// The address has no document any more.
    pub(super) fn remove(&mut self, aor: &Aor) {
        let Some(user) = self.users.remove(aor) else { return };
        self.forget(user.id, aor);
        self.unable.remove(aor);
        for name in user.names {
            if let Some(owners) = self.owners.get_mut(&name) {
                owners.retain(|owner| owner != aor);
                if owners.is_empty() {
                    self.owners.remove(&name);
                }
            }
            self.stale.insert(name);
        }
    }

    /// The object has not this address any more. It may have another one by now: addresses pass from one to another in any order.
    fn forget(&mut self, id: ObjectId, aor: &Aor) {
        if self.addresses.get(&id) == Some(aor) {
            self.addresses.remove(&id);
        }
    }

    /// What changed since it was asked for last.
    pub(super) fn changed(&mut self) -> Option<CredentialChanges> {
        if self.stale.is_empty() {
            return None;
        }
        let realm =
            self.realm.get_or_insert_with(|| self.users.keys().next().map_or_else(String::new, |aor| aor.domain().to_owned())).clone();
        let mut accounts = Vec::with_capacity(self.stale.len());
        let mut concerned: BTreeSet<Aor> = BTreeSet::new();
        for name in std::mem::take(&mut self.stale) {
            let owners = self.owners.get(&name).map_or(&[][..], Vec::as_slice);
            let account = if let [owner] = owners { self.account(&name, owner, &realm) } else { None };
            let is_usable = account.as_ref().is_some_and(|account| account.sha256.is_some() || self.md5 && account.md5.is_some());
            concerned.extend(owners.iter().cloned());
            set(&mut self.ambiguous, &name, owners.len() > 1);
            if is_usable {
                self.usable.insert(name.clone());
            } else {
                self.usable.remove(&name);
            }
            accounts.push((name.into(), account));
        }
        for aor in concerned {
            let is_able = self.users.get(&aor).is_none_or(|user| user.names.iter().any(|name| self.usable.contains(name)));
            set(&mut self.unable, &aor, !is_able);
        }
        self.faults.retain(|fault| fault.code == CODE);
        let Self { ambiguous: names, owners, faults, .. } = self;
        faults.extend(names.iter().filter_map(|name| Some(ambiguous(name, owners.get(name)?))));
        let able = self.users.len() - self.unable.len();
        self.faults.extend(self.unable.first().map(|unable| without_secret(unable, able, self.users.len())));
        Some(CredentialChanges { realm, accounts })
    }

    /// What a username that stands for one user has to know.
    fn account(&self, name: &str, aor: &Aor, realm: &str) -> Option<Account> {
        let mut secrets = self.listed.get(name).cloned().unwrap_or_default();
        if let Some(password) = self.users.get(aor).and_then(|user| user.password.as_deref()) {
            secrets.sha256.get_or_insert_with(|| Ha1::new(Algorithm::Sha256, name, realm, password));
            secrets.md5.get_or_insert_with(|| Ha1::new(Algorithm::Md5, name, realm, password));
        }
        let is_there = secrets.sha256.is_some() || secrets.md5.is_some();
        is_there.then(|| Account { aor: aor.clone(), sha256: secrets.sha256, md5: secrets.md5 })
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        self.faults.clone()
    }
}

/// Has a set hold something, or not.
fn set<T: Ord + Clone>(all: &mut BTreeSet<T>, one: &T, is_in: bool) {
    if is_in {
        all.insert(one.clone());
    } else {
        all.remove(one);
    }
}

/// The user names that stand for a user: the whole address, and the short one.
pub(super) fn names(user: &Resolved) -> Vec<String> {
    let configured = user.get(Setting::ACCOUNT_AUTH_USER).and_then(|decision| decision.values.first());
    let short = configured.map_or_else(|| user.aor.user().to_owned(), ToString::to_string);
    vec![user.aor.key().to_owned(), short]
}

fn password(object: &Object) -> Option<String> {
    object.attributes.text(PASSWORD_ATTRIBUTE).map(str::to_owned)
}

/// Phones of users without a secret are asked for a password for ever. Where nobody has one, that is no rollout in progress.
fn without_secret(example: &Aor, able: usize, users: usize) -> Fault {
    Fault {
        severity: if able == 0 { Severity::Warning } else { Severity::Note },
        code: "auth.no-secret",
        place: Place::Config { key: "auth".to_owned() },
        what: format!("{} of {users} users have no secret, such as {example}: their phones cannot log in", users - able),
        remedy: "give them SIPIdentityPassword in the directory or a line in auth.credentials_file; a line with an MD5 hash counts where auth.md5 is true".to_owned(),
    }
}

fn ambiguous(name: &str, aors: &[Aor]) -> Fault {
    let list: Vec<String> = aors.iter().map(ToString::to_string).collect();
    Fault {
        severity: Severity::Warning,
        code: "auth.ambiguous",
        place: Place::Config { key: "auth".to_owned() },
        what: format!("the username `{name}` stands for {}, and so for none of them", list.join(" and ")),
        remedy: "let them log in as user@domain, or set account.auth-user for each".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{LdifOptions, Source};
    use crate::policy::{Engine, PolicyConfig};
    use crate::runtime::explain;
    use crate::subscription::Credentials;

    const USERS: &str = "dn: dc=corp\nobjectClass: domain\nobjectClass: dialcastPolicy\ndc: corp\n\
        dialcastSetting: sip.registrar = 10 0 sips:reg.corp.example\n\n\
        dn: uid=eva,dc=corp\nobjectClass: inetOrgPerson\nuid: eva\nmail: eva@corp.example\nSIPIdentityPassword: before\n\n\
        dn: uid=jan,dc=corp\nobjectClass: inetOrgPerson\nuid: jan\nmail: jan@corp.example\n";

    async fn snapshot(ldif: &str) -> Snapshot {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("corp.ldif");
        std::fs::write(&path, ldif).unwrap();
        explain::read(&Source::Ldif(LdifOptions::new(path))).await.unwrap().snapshot
    }

    fn book(config: &AuthConfig, snapshot: &Snapshot) -> CredentialBook {
        let mut engine = Engine::new(PolicyConfig::default());
        engine.load(snapshot);
        let mut book = CredentialBook::open(config).unwrap();
        engine.users().for_each(|user| book.put(snapshot, &user));
        book
    }

    #[tokio::test]
    async fn a_new_password_counts_at_once() {
        let before = snapshot(USERS).await;
        let mut book = book(&AuthConfig { digest: true, ..AuthConfig::default() }, &before);
        let mut known = Credentials::default();
        known.change(book.changed().unwrap());
        assert_eq!(known.len(), 2, "eva and eva@corp.example");
        assert!(book.changed().is_none());
        let told: Vec<String> = book.faults().iter().map(ToString::to_string).collect();
        assert!(told[0].contains("1 of 2 users have no secret, such as sip:jan@corp.example"), "{told:?}");
        for object in before.iter() {
            book.refresh(object);
        }
        assert!(book.changed().is_none(), "nothing is new");
        let after = snapshot(&USERS.replace(": before", ": after")).await;
        for object in after.iter() {
            book.refresh(object);
        }
        let changes = book.changed().unwrap();
        // One password changed, and nobody else's was hashed again.
        assert_eq!(changes.accounts.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["eva", "eva@corp.example"]);
        known.change(changes);
        assert_eq!(known.len(), 2);
        let without = snapshot(&USERS.replace("SIPIdentityPassword: before\n", "")).await;
        for object in without.iter() {
            book.refresh(object);
        }
        known.change(book.changed().unwrap());
        assert!(known.is_empty());
        assert_eq!(book.faults()[0].severity, Severity::Warning, "nobody can log in");
    }

    #[tokio::test]
    async fn a_new_password_counts_after_addresses_were_swapped() {
        let swapped = |password: &str| {
            let users = USERS.replace("eva@", "x@").replace("jan@", "eva@").replace("x@", "jan@");
            users.replace(": before", password)
        };
        let (before, after, later) = (snapshot(USERS).await, snapshot(&swapped(": before")).await, snapshot(&swapped(": after")).await);
        let mut engine = Engine::new(PolicyConfig::default());
        engine.load(&after);
        let mut users: Vec<_> = engine.users().collect();
        for _ in 0..2 {
            let mut book = book(&AuthConfig { digest: true, ..AuthConfig::default() }, &before);
            for user in &users {
                book.put(&after, user);
            }
            book.changed();
            later.iter().for_each(|object| book.refresh(object));
            assert!(book.changed().is_some(), "{users:?}");
            users.reverse();
        }
    }

    #[tokio::test]
    async fn a_line_with_md5_alone_needs_md5() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        std::fs::write(&path, format!("jan:corp.example:{:032x}\neva:corp.example:{:064x}\n", 1, 2)).unwrap();
        let snapshot = snapshot(USERS).await;
        for (md5, expected) in [(false, 1), (true, 0)] {
            let config = AuthConfig { digest: true, md5, credentials_file: Some(path.clone()), ..AuthConfig::default() };
            let mut book = book(&config, &snapshot);
            book.changed();
            assert_eq!(book.faults().iter().filter(|fault| fault.code == "auth.no-secret").count(), expected);
        }
    }
}
