//! The table `[directory]`: from a URL and its companions to a source that can be opened.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::raw::{Loose, RawDirectory};
use super::typed::Check;
use crate::directory::{
    Bind, ClientCertificate, Dialect, LdapOptions, LdifOptions, LocateOptions, SecretFile, ServerUrl, Source, TlsOptions, UrlError,
};
use crate::model::Secret;

/// The sample organisation, in a checkout.
pub const SAMPLE: &str = "examples/corp.ldif";
/// A week: less often is as good as never.
const SECONDS_MAX: u64 = 604_800;
/// Longer than any process runs.
const NEVER: Duration = Duration::from_secs(10 * 366 * 86_400);

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
            ("directory.failover", raw.failover.0.is_some()),
            ("directory.site", raw.site.0.is_some()),
            ("directory.client_cert_file", raw.client_cert_file.0.is_some()),
            ("directory.keytab_file", raw.keytab_file.0.is_some()),
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
    options.failover = check.parsed("directory.failover", raw.failover, |text| {
        text.parse().map_err(|error: UrlError| (error.to_string(), error.remedy().to_owned()))
    });
    options.also = check
        .parsed("directory.also", raw.also, |text| text.parse().map_err(|error: UrlError| (error.to_string(), error.remedy().to_owned())));
    options.locate = LocateOptions {
        site: check.take("directory.site", raw.site).filter(|site| !site.is_empty()),
        nameservers: check.parsed("directory.nameservers", raw.nameservers, nameserver),
        domains: check.parsed("directory.server_domains", raw.server_domains, |text| Ok(text.to_owned())),
    };
    if options.places().all(ServerUrl::has_host) {
        for (key, is_set) in
            [("directory.site", options.locate.site.is_some()), ("directory.server_domains", !options.locate.domains.is_empty())]
        {
            if is_set {
                let remedy = "leave the host out of directory.url (ldaps:///BASE-DN), or remove the key";
                check.warn(key, "it is for servers that the DNS names, and every URL has a host", remedy);
            }
        }
    }
    options.tls = TlsOptions {
        starttls: check.take("directory.starttls", raw.starttls).unwrap_or(false),
        ca_file: check.take("directory.ca_file", raw.ca_file).map(|path| check.path(&path)),
        client: client(check, raw.client_cert_file, raw.client_key_file),
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
        options.timers.relist_every = if every.is_zero() { NEVER } else { every };
    }
    if let Some(every) = seconds("directory.poll_every_s", raw.poll_every_s, 1) {
        options.timers.poll_every = every;
    }
    if let Some(overlap) = seconds("directory.poll_overlap_s", raw.poll_overlap_s, 0) {
        options.timers.poll_overlap = overlap;
    }
    if let Some(every) = seconds("directory.sweep_every_s", raw.sweep_every_s, 1) {
        options.timers.sweep_every = every;
    }
    let dn = check.take("directory.bind_dn", raw.bind_dn);
    let password = secret(check, "directory.password_file", raw.password_file);
    let keytab = secret(check, "directory.keytab_file", raw.keytab_file);
    if let Some(Err(error)) = keytab.as_ref().map(File::open) {
        let path = keytab.as_deref().map(Path::display);
        let what = path.map(|path| format!("{path}: {error}")).unwrap_or_default();
        check.fault("directory.keytab_file", what, "make it a readable keytab: `klist -k FILE` lists what is in it");
    }
    let principal = check.take("directory.principal", raw.principal);
    if keytab.is_some() && (dn.is_some() || password.is_some()) {
        check.fault(
            "directory.keytab_file",
            "there is a password too",
            "log in by one of them: remove directory.keytab_file, or bind_dn and password_file",
        );
    } else if principal.is_some() && keytab.is_none() {
        check.fault(
            "directory.principal",
            "there is no directory.keytab_file with its key",
            "set directory.keytab_file, or remove directory.principal",
        );
    }
    options.bind = match (keytab, password, dn) {
        (Some(keytab), ..) => Bind::Kerberos { principal, keytab },
        (None, Some(path), dn) => Bind::SimpleFile { dn: dn.unwrap_or_default(), password: password_file(check, path) },
        (None, None, Some(dn)) => Bind::Simple { dn, password: Secret::new("") },
        (None, None, None) if options.tls.client.is_some() => Bind::External,
        (None, None, None) => Bind::Anonymous,
    };
    if let Err(error) = options.check() {
        check.fault("directory", error.to_string(), error.remedy());
    }
    options
}

/// A name server: `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53`.
fn nameserver(text: &str) -> Result<SocketAddr, (String, String)> {
    let with_port = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)).or_else(|_| text.parse());
    with_port.map_err(|_| (format!("`{text}` is not an address"), "write IP or IP:PORT".to_owned()))
}

fn client(check: &mut Check, certificate: Loose<String>, key: Loose<String>) -> Option<ClientCertificate> {
    let certificate = check.take("directory.client_cert_file", certificate).map(|path| check.path(&path));
    let key = secret(check, "directory.client_key_file", key);
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            check.fault(
                "directory.client_key_file",
                "there is a certificate and no key",
                "name the PEM file with the certificate's private key",
            );
            None
        }
        (None, Some(_)) => {
            check.fault("directory.client_cert_file", "there is a key and no certificate", "name the PEM file with the certificate");
            None
        }
    }
}

fn secret(check: &mut Check, key: &str, path: Loose<String>) -> Option<PathBuf> {
    let path = check.take(key, path)?;
    let path = check.secret_path(key, &path)?;
    let file = SecretFile::new(&path);
    if file.is_exposed() {
        check.warn(key, format!("everybody on this machine can read {}", path.display()), format!("chmod 600 {}", path.display()));
    }
    Some(path)
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

/// The file, of which a fault is told now rather than at the first connection.
fn password_file(check: &mut Check, path: PathBuf) -> SecretFile {
    let file = SecretFile::new(path);
    if let Err(error) = file.read() {
        let why = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        check.fault("directory.password_file", format!("{error}{why}"), error.remedy());
    }
    file
}
