//! From what is written to what is meant: every value checked, every fault collected.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::directory;
use super::load::{self, ENVIRONMENT_PREFIX, Flags};
use super::raw::{Loose, Raw, RawAuth, RawDirectory, RawGuards, RawIdentity, RawLog, RawNotify, RawPolicy, RawSip, RawUdp, Unknown};
use crate::directory::{Source, credential_path};
use crate::model::{Dn, Fault, Place, Severity};
use crate::net::Listen;
use crate::policy::{GuardConfig, IdentityConfig, PolicyConfig};
use crate::subscription::OnTimeout;

/// The attribute that holds a user's SIP password in clear (ITU-T H.350.4).
pub(crate) const PASSWORD_ATTRIBUTE: &str = "SIPIdentityPassword";

/// The configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is watched.
    pub directory: Source,
    /// Whether nobody said what to watch, and the sample organisation stands in.
    pub is_sample: bool,
    /// Where the daemon listens; at least one.
    pub listen: Vec<Listen>,
    /// Where the last good state is kept.
    pub state_dir: Option<PathBuf>,
    /// The layer `config`, and which attributes name a user.
    pub policy: PolicyConfig,
    /// Who may subscribe.
    pub auth: AuthConfig,
    /// Shortest subscription, in seconds.
    pub expires_min_s: u32,
    /// Longest subscription, in seconds.
    pub expires_max_s: u32,
    /// Subscription without Expires, in seconds.
    pub expires_default_s: u32,
    /// Largest request by UDP, in octets.
    pub udp_request_bytes_max: usize,
    /// A change waits for this much quiet,
    pub quiet: Duration,
    /// and never longer than this.
    pub quiet_max: Duration,
    /// NOTIFYs per second at most.
    pub rate_per_s: u32,
    /// What becomes of a phone that does not answer.
    pub on_timeout: OnTimeout,
    /// What is not believed without being asked.
    pub guards: GuardsConfig,
    /// The control socket, where somebody named one.
    pub control: Option<PathBuf>,
    /// Show what would be sent, and send nothing.
    pub staging: bool,
    /// Logs.
    pub log: LogConfig,
}

/// Who may subscribe.
#[derive(Debug, Clone, Default)]
pub struct AuthConfig {
    /// Challenge every SUBSCRIBE. Otherwise everybody is believed: loopback listeners only.
    pub digest: bool,
    /// The digest realm; `None`: the domain of the first user's address.
    pub realm: Option<String>,
    /// Lines of `user:realm:HA1`.
    pub credentials_file: Option<PathBuf>,
    /// Offer MD5 too.
    pub md5: bool,
}

/// What is not believed of a directory without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardsConfig {
    /// Entries that are always there.
    pub canaries: Vec<Dn>,
    /// So many objects may vanish at once,
    pub objects_min: usize,
    /// and so many of a hundred.
    pub objects_percent: u32,
    /// From how many losses of users on a change is held.
    pub users: GuardConfig,
    /// While something is held the directory is read in full after this time, and then less and less often.
    pub recheck: Duration,
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// A filter of tracing-subscriber.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// Reads and checks the configuration.
///
/// `environment` are the process's variables. The second part of the answer are warnings.
///
/// # Errors
/// All faults together, each with its key and a remedy.
pub fn load(flags: &Flags, environment: &[(String, String)]) -> Result<(Config, Vec<Fault>), Vec<Fault>> {
    let raw = load::read(flags, environment).map_err(|fault| vec![*fault])?;
    let is_url_from_file = flags.directory.is_none() && !environment.iter().any(|(name, _)| name == "DIALCAST_DIRECTORY__URL");
    let mut check = Check {
        faults: Vec::new(),
        base: flags.config.as_deref().and_then(Path::parent).map(Path::to_owned),
        is_url_from_file,
        credentials: environment.iter().find(|(name, _)| name == "CREDENTIALS_DIRECTORY").map(|(_, folder)| PathBuf::from(folder)),
    };
    let config = check.config(raw, environment);
    let (errors, warnings): (Vec<Fault>, Vec<Fault>) = check.faults.into_iter().partition(|fault| fault.severity == Severity::Error);
    if errors.is_empty() { Ok((config, warnings)) } else { Err(errors.into_iter().chain(warnings).collect()) }
}

/// The faults found so far.
pub(super) struct Check {
    faults: Vec<Fault>,
    /// The folder of the configuration file: relative paths in it start there.
    base: Option<PathBuf>,
    /// Whether `directory.url` is the file's, and not of a flag or the environment.
    pub(super) is_url_from_file: bool,
    /// Where systemd has put the service's credentials.
    credentials: Option<PathBuf>,
}

impl Check {
    pub(super) fn fault(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Error, "config.value", key, what, remedy);
    }

    pub(super) fn warn(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Warning, "config.value", key, what, remedy);
    }

    fn add(&mut self, severity: Severity, code: &'static str, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.faults.push(Fault { severity, code, place: Place::Config { key: key.to_owned() }, what: what.into(), remedy: remedy.into() });
    }

    /// The value, if it is there and of its type.
    pub(super) fn take<T>(&mut self, key: &str, value: Loose<T>) -> Option<T> {
        match value.0? {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(key, error, "give a value of the type that schemas/config.schema.json says");
                None
            }
        }
    }

    /// A list whose items are texts that stand for something else: a fault of one leaves the others.
    pub(super) fn parsed<T>(
        &mut self,
        key: &str,
        value: Loose<Vec<String>>,
        parse: impl Fn(&str) -> Result<T, (String, String)>,
    ) -> Vec<T> {
        let mut list = Vec::new();
        for text in self.take(key, value).unwrap_or_default() {
            match parse(&text) {
                Ok(item) => list.push(item),
                Err((what, remedy)) => self.fault(key, what, remedy),
            }
        }
        list
    }

    fn number<T: PartialOrd + std::fmt::Display>(
        &mut self,
        key: &str,
        value: Loose<T>,
        default: T,
        range: std::ops::RangeInclusive<T>,
    ) -> T {
        match self.take(key, value) {
            None => default,
            Some(value) if range.contains(&value) => value,
            Some(value) => {
                self.fault(key, format!("{value} is out of range"), format!("give a number from {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    /// One of a few words.
    fn word<T: Copy>(&mut self, key: &str, value: Loose<String>, words: &[(&str, T)]) -> Option<T> {
        let given = self.take(key, value)?;
        let found = words.iter().find(|(word, _)| *word == given).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.fault(key, format!("`{given}` is not known"), format!("use {}", known.join(" or ")));
        }
        found
    }

    /// Keys that the table does not have; a misspelt one would otherwise be obeyed by nobody.
    fn unknown(&mut self, table: &str, keys: &[&str], unknown: Unknown, environment: &[(String, String)]) {
        for name in unknown.into_keys() {
            let key = if table.is_empty() { name.clone() } else { format!("{table}.{name}") };
            let variable = format!("{ENVIRONMENT_PREFIX}{}", key.replace('.', "__")).to_ascii_uppercase();
            let remedy = nearest(&name, keys)
                .map_or_else(|| format!("known here are: {}", keys.join(", ")), |near| format!("did you mean `{near}`?"));
            if environment.iter().any(|(name, _)| name.eq_ignore_ascii_case(&variable)) {
                // Somebody else's variable may share the prefix; a daemon does not refuse to start for it.
                self.add(
                    Severity::Warning,
                    "config.unknown",
                    &key,
                    format!("no such key (from the environment variable {variable})"),
                    remedy,
                );
            } else {
                self.add(Severity::Error, "config.unknown", &key, "no such key", remedy);
            }
        }
    }

    /// A path of the configuration file, from that file's folder.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.base.as_ref().map_or_else(|| PathBuf::from(text), |base| base.join(text))
    }

    /// The path of a file that holds a secret: as it is written, or, for `credential:NAME`, in systemd's folder.
    pub(super) fn secret_path(&mut self, key: &str, text: &str) -> Option<PathBuf> {
        let Some(name) = text.strip_prefix("credential:") else { return Some(self.path(text)) };
        let Some(folder) = &self.credentials else {
            let remedy = format!("write LoadCredential={name}:/etc/dialcast/{name} into the systemd unit, or the path of a file here");
            self.fault(key, "there are no systemd credentials: $CREDENTIALS_DIRECTORY is not set", remedy);
            return None;
        };
        let path = credential_path(folder.as_os_str(), name);
        if path.is_none() {
            self.fault(
                key,
                format!("`{name}` is not the name of a systemd credential"),
                "write credential:NAME, as in LoadCredential=NAME:FILE",
            );
        }
        path
    }

    fn config(&mut self, mut raw: Raw, environment: &[(String, String)]) -> Config {
        self.unknown("", Raw::KEYS, std::mem::take(&mut raw.unknown), environment);
        self.unknown("directory", RawDirectory::KEYS, std::mem::take(&mut raw.directory.unknown), environment);
        self.unknown("policy", RawPolicy::KEYS, std::mem::take(&mut raw.policy.unknown), environment);
        self.unknown("identity", RawIdentity::KEYS, std::mem::take(&mut raw.identity.unknown), environment);
        self.unknown("auth", RawAuth::KEYS, std::mem::take(&mut raw.auth.unknown), environment);
        self.unknown("sip", RawSip::KEYS, std::mem::take(&mut raw.sip.unknown), environment);
        self.unknown("udp", RawUdp::KEYS, std::mem::take(&mut raw.udp.unknown), environment);
        self.unknown("notify", RawNotify::KEYS, std::mem::take(&mut raw.notify.unknown), environment);
        self.unknown("guards", RawGuards::KEYS, std::mem::take(&mut raw.guards.unknown), environment);
        self.unknown("log", RawLog::KEYS, std::mem::take(&mut raw.log.unknown), environment);

        let listen = self.listen(raw.listen);
        let (mut directory, is_sample) = directory::source(self, raw.directory);
        let identity = self.identity(raw.identity);
        let auth = self.auth(raw.auth, &listen);
        if let Source::Ldap(options) = &mut directory {
            options.attributes =
                [&identity.aor, &identity.tel, &identity.display_name, &identity.device].into_iter().flatten().cloned().collect();
            // Least privilege: users' passwords are asked for only where they are used.
            if auth.digest {
                options.attributes.push(PASSWORD_ATTRIBUTE.to_owned());
            }
        }
        let state_dir = match self.take("state_dir", raw.state_dir) {
            Some(dir) => Some(PathBuf::from(dir)),
            None => environment
                .iter()
                .find(|(name, _)| name == "STATE_DIRECTORY")
                .and_then(|(_, dirs)| dirs.split(':').next())
                .map(PathBuf::from),
        };
        let guards = self.guards(raw.guards);
        let control = self.take("control", raw.control).map(|path| self.path(&path));
        let staging = self.take("staging", raw.staging).unwrap_or(false);
        let expires_min_s = self.number("sip.expires_min_s", raw.sip.expires_min_s, 60, 1..=86_400);
        let expires_max_s = self.number("sip.expires_max_s", raw.sip.expires_max_s, 86_400, 60..=604_800);
        let expires_default_s = self.number("sip.expires_default_s", raw.sip.expires_default_s, expires_max_s.min(86_400), 60..=604_800);
        if !(expires_min_s <= expires_default_s && expires_default_s <= expires_max_s) {
            let what = format!("{expires_min_s} ≤ {expires_default_s} ≤ {expires_max_s} does not hold");
            self.fault("sip.expires_default_s", what, "choose expires_min_s ≤ expires_default_s ≤ expires_max_s");
        }
        let quiet_ms = self.number("notify.quiet_ms", raw.notify.quiet_ms, 50, 0..=60_000);
        let quiet_max_ms = self.number("notify.quiet_max_ms", raw.notify.quiet_max_ms, 500.max(quiet_ms), 0..=600_000);
        if quiet_max_ms < quiet_ms {
            self.fault(
                "notify.quiet_max_ms",
                format!("{quiet_max_ms} is less than notify.quiet_ms ({quiet_ms})"),
                "make it at least as long",
            );
        }
        Config {
            directory,
            is_sample,
            state_dir,
            policy: PolicyConfig {
                settings: self.take("policy.settings", raw.policy.settings).unwrap_or_default(),
                identity,
                networks: self.entries("policy.networks", raw.policy.networks, "ou=Network,dc=corp,dc=example"),
            },
            auth,
            listen,
            expires_min_s,
            expires_max_s,
            expires_default_s,
            // RFC 3261 §18.1.1: 1300 octets when the path MTU is unknown. 65,000 leaves room for the headers below IP's limit.
            udp_request_bytes_max: self.number("udp.max_request_bytes", raw.udp.max_request_bytes, 1300, 500..=65_000),
            quiet: Duration::from_millis(quiet_ms),
            quiet_max: Duration::from_millis(quiet_max_ms),
            rate_per_s: self.number("notify.rate_per_s", raw.notify.rate_per_s, 5000, 1..=1_000_000),
            on_timeout: self
                .word("notify.on_timeout", raw.notify.on_timeout, &[("suspend", OnTimeout::Suspend), ("remove", OnTimeout::Remove)])
                .unwrap_or(OnTimeout::Suspend),
            guards,
            control,
            staging,
            log: self.log(raw.log),
        }
    }

    fn listen(&mut self, given: Loose<Vec<String>>) -> Vec<Listen> {
        let texts = self.take("listen", given).unwrap_or_else(|| vec!["udp:127.0.0.1:5060".to_owned(), "tcp:127.0.0.1:5060".to_owned()]);
        if texts.is_empty() {
            self.fault("listen", "no listener", "name at least one, such as `udp:127.0.0.1:5060`");
        }
        let mut seen = BTreeSet::new();
        let mut listen = Vec::new();
        for text in texts {
            match text.parse::<Listen>() {
                Err(error) => self.fault("listen", error.to_string(), "write udp:IP:PORT or tcp:IP:PORT"),
                Ok(parsed) if parsed.address.port() != 0 && !seen.insert(parsed.to_string()) => {
                    self.fault("listen", format!("`{parsed}` is there twice"), "name each listener once");
                }
                Ok(parsed) => listen.push(parsed),
            }
        }
        listen
    }

    fn identity(&mut self, raw: RawIdentity) -> IdentityConfig {
        let default = IdentityConfig::default();
        IdentityConfig {
            aor: self.names("identity.aor", raw.aor, default.aor),
            tel: self.names("identity.tel", raw.tel, default.tel),
            display_name: self.names("identity.display_name", raw.display_name, default.display_name),
            device: self.names("identity.device", raw.device, default.device),
        }
    }

    /// Attribute names (RFC 4512 §1.4: letters, digits, hyphens).
    fn names(&mut self, key: &str, given: Loose<Vec<String>>, default: Vec<String>) -> Vec<String> {
        let names = self.take(key, given).unwrap_or(default);
        if let Some(bad) =
            names.iter().find(|name| name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == ';'))
        {
            self.fault(key, format!("`{bad}` is not an attribute name"), "list names of directory attributes, the first choice first");
        }
        names
    }

    fn auth(&mut self, raw: RawAuth, listen: &[Listen]) -> AuthConfig {
        let credentials_file = self.take("auth.credentials_file", raw.credentials_file).map(|path| self.path(&path));
        let mode = self.word("auth.mode", raw.mode, &[("open", false), ("digest", true)]);
        let exposed = listen.iter().find(|listen| !listen.address.ip().is_loopback());
        let digest = mode.unwrap_or(credentials_file.is_some());
        if let (false, Some(exposed)) = (digest, exposed) {
            self.fault(
                "auth.mode",
                format!("`open` gives every user's configuration to anyone who reaches {exposed}"),
                "set auth.mode = \"digest\" (secrets from auth.credentials_file or from SIPIdentityPassword in the directory), or listen on loopback addresses only",
            );
        }
        let realm = self.take("auth.realm", raw.realm);
        if let Some(realm) = &realm
            && (realm.is_empty() || realm.chars().any(|c| c == '"' || c == '\\' || c.is_control()))
        {
            self.fault("auth.realm", "a realm is text without quotation marks, backslashes or control characters", "use a domain name");
        }
        AuthConfig { digest, realm, credentials_file, md5: self.take("auth.md5", raw.md5).unwrap_or(false) }
    }

    /// Names of entries.
    fn entries(&mut self, key: &str, given: Loose<Vec<String>>, example: &str) -> Vec<Dn> {
        let mut entries = Vec::new();
        for text in self.take(key, given).unwrap_or_default() {
            match text.parse::<Dn>() {
                Ok(dn) if !dn.is_empty() => entries.push(dn),
                Ok(_) => self.fault(key, "an empty name", format!("name an entry, such as `{example}`")),
                Err(error) => self.fault(key, format!("`{text}`: {error}"), format!("name an entry, such as `{example}`")),
            }
        }
        entries
    }

    fn guards(&mut self, raw: RawGuards) -> GuardsConfig {
        let canaries = self.entries("guards.canaries", raw.canaries, "cn=canary,dc=corp,dc=example");
        let default = GuardConfig::default();
        let seconds = |duration: Duration| duration.as_secs();
        let wait_ms = self.number("guards.wait_ms", raw.wait_ms, 2000, 0..=60_000);
        GuardsConfig {
            canaries,
            objects_min: self.number("guards.objects_min", raw.objects_min, 50, 0..=usize::MAX),
            objects_percent: self.number("guards.objects_percent", raw.objects_percent, 5, 0..=100),
            users: GuardConfig {
                users_min: self.number("guards.users_min", raw.users_min, default.users_min, 0..=usize::MAX),
                users_percent: self.number("guards.users_percent", raw.users_percent, default.users_percent, 0..=100),
                window: Duration::from_secs(self.number("guards.window_s", raw.window_s, seconds(default.window), 1..=604_800)),
                patience: Duration::from_millis(wait_ms),
            },
            recheck: Duration::from_secs(self.number("guards.recheck_s", raw.recheck_s, 60, 1..=86_400)),
        }
    }

    fn log(&mut self, raw: RawLog) -> LogConfig {
        let filter = self.take("log.filter", raw.filter).unwrap_or_else(|| "info".to_owned());
        if let Err(error) = filter.parse::<tracing_subscriber::EnvFilter>() {
            self.fault("log.filter", error.to_string(), "write `info`, `debug` or `info,dialcast::directory=debug`");
        }
        let format = self.word("log.format", raw.format, &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
        LogConfig { filter, format: format.unwrap_or(LogFormat::Text) }
    }
}

/// The known key that a misspelt one is nearest to, if any is near.
fn nearest<'a>(given: &str, keys: &[&'a str]) -> Option<&'a str> {
    let near = keys.iter().map(|key| (strsim::damerau_levenshtein(given, key), *key)).min()?;
    (near.0 <= near.1.len().div_ceil(3)).then_some(near.1)
}
