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
