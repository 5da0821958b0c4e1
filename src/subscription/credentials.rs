//! Who may prove to be whom.

use std::collections::HashMap;

use crate::model::Aor;
use crate::sip::digest::{Algorithm, Ha1};

/// The accounts that can authenticate, and the realm that their secrets belong to.
#[derive(Debug, Default)]
pub struct Credentials {
    realm: String,
    accounts: HashMap<Box<str>, Account>,
}

/// What changed among the accounts: one new password among a million is one account.
#[derive(Debug)]
pub struct CredentialChanges {
    /// The realm. Another one than before has none of the accounts of before.
    pub realm: String,
    /// By their usernames; without an account: it is gone.
    pub accounts: Vec<(Box<str>, Option<Account>)>,
}

/// One account. `Debug` shows no secret.
#[derive(Debug)]
pub struct Account {
    /// Whose it is: the address of record that it may subscribe to.
    pub aor: Aor,
    /// H(username:realm:password) by SHA-256.
    pub sha256: Option<Ha1>,
    /// The same by MD5.
    pub md5: Option<Ha1>,
}

impl Credentials {
    /// No accounts yet. The realm is shown to whoever is asked for a password, usually the domain.
    pub fn new(realm: &str) -> Self {
        Self { realm: realm.to_owned(), accounts: HashMap::new() }
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Adds an account under its username, or replaces it.
    pub fn insert(&mut self, username: &str, account: Account) {
        self.accounts.insert(username.into(), account);
    }

    /// Takes an account away.
    pub fn remove(&mut self, username: &str) {
        self.accounts.remove(username);
    }

    /// Takes what changed.
    pub fn change(&mut self, changes: CredentialChanges) {
        if self.realm != changes.realm {
            *self = Self::new(&changes.realm);
        }
        for (username, account) in changes.accounts {
            match account {
                Some(account) => drop(self.accounts.insert(username, account)),
                None => self.remove(&username),
            }
        }
    }

    /// How many accounts there are.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    pub(super) fn account(&self, username: &str) -> Option<&Account> {
        self.accounts.get(username)
    }
}

impl Account {
    pub(super) fn secret(&self, algorithm: Algorithm) -> Option<&Ha1> {
        match algorithm {
            Algorithm::Sha256 => self.sha256.as_ref(),
            Algorithm::Md5 => self.md5.as_ref(),
        }
    }
}
