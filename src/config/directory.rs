//! The table `[directory]`: from a URL and its companions to a source that can be opened.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::raw::RawDirectory;
use super::typed::Check;
use crate::directory::{Bind, Dialect, LdapOptions, LdifOptions, ServerUrl, Source, TlsOptions};
use crate::model::Secret;

/// The sample organisation, in a checkout.
pub const SAMPLE: &str = "examples/corp.ldif";
/// A week: less often is as good as never.
const SECONDS_MAX: u64 = 604_800;
/// The password file holds a password, not a book.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// The source, and whether it is the sample.
pub(super) fn source(check: &mut Check, raw: RawDirectory) -> (Source, bool) {
    let debounce_ms = check.take("directory.debounce_ms", raw.debounce_ms.clone()).unwrap_or(50);
    if debounce_ms > 60_000 {
        check.fault("directory.debounce_ms", format!("{debounce_ms} is out of range"), "give a number of milliseconds from 0 to 60000");
    }
    let ldif = |path: PathBuf| {
        let mut options = LdifOptions::new(path);
        options.debounce = Duration::from_millis(debounce_ms.min(60_000));
        Source::Ldif(options)
    };
    let Some(url) = check.take("directory.url", raw.url.clone()) else {
        return (ldif(PathBuf::from(SAMPLE)), true);
    };
    if let Some(path) = url.strip_prefix("ldif:") {
        for (key, given) in [
            ("directory.dialect", raw.dialect.0.is_some()),
            ("directory.compare_every_s", raw.compare_every_s.0.is_some()),
            ("directory.poll_every_s", raw.poll_every_s.0.is_some()),
            ("directory.poll_overlap_s", raw.poll_overlap_s.0.is_some()),
            ("directory.bind_dn", raw.bind_dn.0.is_some()),
            ("directory.password_file", raw.password_file.0.is_some()),
            ("directory.starttls", raw.starttls.0.is_some()),
            ("directory.ca_file", raw.ca_file.0.is_some()),
        ] {
            if given {
                check.fault(
                    key,
                    "an LDIF file has no server to log in to",
                    "remove the key, or set directory.url to ldap://… or ldaps://…",
                );
            }
        }
        if path.is_empty() {
            check.fault("directory.url", "`ldif:` without a path", "write ldif:FILE or ldif:FOLDER");
        }
        let path = if check.is_url_from_file { check.path(path) } else { PathBuf::from(path) };
        return (ldif(path), false);
    }
    match url.parse::<ServerUrl>() {
        Ok(url) => (Source::Ldap(ldap(check, url, raw)), false),
        Err(error) => {
            check.fault("directory.url", error.to_string(), format!("{}; or ldif:PATH for files", error.remedy()));
            (ldif(PathBuf::new()), false)
        }
    }
}

fn ldap(check: &mut Check, url: ServerUrl, raw: RawDirectory) -> LdapOptions {
    let mut options = LdapOptions::new(url);
    options.tls = TlsOptions {
        starttls: check.take("directory.starttls", raw.starttls).unwrap_or(false),
        ca_file: check.take("directory.ca_file", raw.ca_file).map(|path| check.path(&path)),
        allow_cleartext_password: check.take("directory.allow_cleartext_password", raw.allow_cleartext_password).unwrap_or(false),
    };
    options.dialect = check.take("directory.dialect", raw.dialect).and_then(|name| dialect(check, &name));
    let mut seconds = |key: &'static str, raw, least: u64| {
        let given: u64 = check.take(key, raw)?;
        if !(least..=SECONDS_MAX).contains(&given) {
            check.fault(key, format!("{given} is out of range"), format!("give a number of seconds from {least} to {SECONDS_MAX}"));
            return None;
        }
        Some(Duration::from_secs(given))
    };
    if let Some(every) = seconds("directory.compare_every_s", raw.compare_every_s, 0) {
        options.timers.compare_every = Some(every);
    }
    if let Some(every) = seconds("directory.poll_every_s", raw.poll_every_s, 1) {
        options.timers.poll_every = every;
    }
    if let Some(overlap) = seconds("directory.poll_overlap_s", raw.poll_overlap_s, 0) {
        options.timers.poll_overlap = overlap;
    }
    let dn = check.take("directory.bind_dn", raw.bind_dn);
    let password =
        check.take("directory.password_file", raw.password_file).map(|path| check.path(&path)).and_then(|path| password(check, &path));
    if dn.is_some() || password.is_some() {
        options.bind = Bind::Simple { dn: dn.unwrap_or_default(), password: password.unwrap_or_else(|| Secret::new("")) };
    }
    if let Err(error) = options.check() {
        check.fault("directory", error.to_string(), error.remedy());
    }
    options
}

/// The dialect of that name.
fn dialect(check: &mut Check, name: &str) -> Option<Dialect> {
    let found = name.parse().ok();
    if found.is_none() {
        let names = Dialect::ALL.map(Dialect::name).join(", ");
        check.fault("directory.dialect", format!("there is no dialect `{name}`"), format!("write one of {names}; or leave it out"));
    }
    found
}

/// The file's one line. A password that others on the machine can read is told.
fn password(check: &mut Check, path: &Path) -> Option<Secret> {
    let key = "directory.password_file";
    let unreadable = |check: &mut Check, error: std::io::Error| {
        check.fault(key, format!("{}: {error}", path.display()), "make it a readable file that holds the password and nothing else");
    };
    let meta = std::fs::metadata(path).map_err(|error| unreadable(check, error)).ok()?;
    if meta.len() > PASSWORD_BYTES_MAX {
        check.fault(
            key,
            format!("{} has {} octets", path.display(), meta.len()),
            "make it a file that holds the password and nothing else",
        );
        return None;
    }
    if meta.permissions().mode() & 0o007 != 0 {
        check.warn(key, format!("everybody on this machine can read {}", path.display()), format!("chmod 600 {}", path.display()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(check, error)).ok()?;
    let password = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if password.is_empty() {
        check.fault(key, format!("{} is empty", path.display()), "write the password of directory.bind_dn into it");
        return None;
    }
    Some(Secret::new(password))
}
