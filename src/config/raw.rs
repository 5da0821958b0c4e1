//! The configuration as it is written: TOML, then environment, then flags, laid over each other by the crate `config`.
//!
//! Nothing here is trusted. Each field is [`Loose`], so that one wrong value is one fault and not the end of the reading,
//! and each table keeps what it does not know, so that a misspelt key is told instead of ignored.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// A value of any type where a `T` is wanted: the fault is kept, to be told together with all others.
#[derive(Debug, Clone)]
pub(crate) struct Loose<T>(pub(crate) Option<Result<T, String>>);

impl<T> Default for Loose<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = config::Value::deserialize(deserializer)?;
        Ok(Self(Some(T::deserialize(value).map_err(|error| error.to_string()))))
    }
}

impl<T: JsonSchema> JsonSchema for Loose<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// Keys that no table has.
pub(crate) type Unknown = BTreeMap<String, config::Value>;

/// Declares a table: its keys with their types and what they mean, and the keys nobody knows.
macro_rules! table {
    ($(#[$table_doc:meta])* $name:ident { $($(#[$doc:meta])* $key:ident : $type:ty,)* }) => {
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        $(#[$table_doc])*
        #[serde(expecting = "a table")]
        #[schemars(extend("additionalProperties" = false))]
        pub(crate) struct $name {
            $($(#[$doc])* #[serde(default)] pub(crate) $key: $type,)*
            #[serde(flatten)]
            #[schemars(skip)]
            pub(crate) unknown: Unknown,
        }
        impl $name {
            /// The keys of the table.
            pub(crate) const KEYS: &'static [&'static str] = &[$(stringify!($key)),*];
        }
    };
}

table! {
    /// Configuration of `dialcast`.
    #[schemars(rename = "dialcast.toml")]
    Raw {
        /// Where the daemon listens: `udp:IP:PORT` and `tcp:IP:PORT`. Default: both on 127.0.0.1:5060.
        listen: Loose<Vec<String>>,
        /// A folder for the last good state of the directory, served after a restart. Default: the environment's `STATE_DIRECTORY` (set by systemd), else none.
        state_dir: Loose<String>,
        /// The directory that is watched.
        directory: RawDirectory,
        /// Settings for everybody: the layer `config`.
        policy: RawPolicy,
        /// Which attributes name a user.
        identity: RawIdentity,
        /// Who may subscribe.
        auth: RawAuth,
        /// The notifier's SIP.
        sip: RawSip,
        /// UDP.
        udp: RawUdp,
        /// How changes are sent.
        notify: RawNotify,
        /// What is not believed of a directory without being asked.
        guards: RawGuards,
        /// The control socket, for `dialcast holds`, `release` and `watch`. Default: `control.sock` in the state folder, else in `$XDG_RUNTIME_DIR/dialcast` or /run/dialcast.
        control: Loose<String>,
        /// Resolve and render everything, show it, and send nothing: SUBSCRIBEs are answered 503. Default: false.
        staging: Loose<bool>,
        /// Logs.
        log: RawLog,
    }
}

table! {
    /// The directory that is watched.
    #[schemars(rename = "Directory")]
    RawDirectory {
        /// `ldif:PATH` (a file, or a folder of *.ldif), `ldap://HOST[:PORT][/BASE-DN]` or `ldaps://…`; without a host (`ldaps:///dc=corp,dc=example`) the DNS names the servers. Default: the sample organisation.
        url: Loose<String>,
        /// Other servers of the same directory, in order, for when that of `url` is away; each as `ldaps://HOST[:PORT]`. Default: none.
        failover: Loose<Vec<String>>,
        /// Active Directory: other domain controllers to listen to beside that of `url`, each as `ldaps://HOST[:PORT]`: those that admins write to, since replication takes up to 15 seconds. Default: none.
        also: Loose<Vec<String>>,
        /// The Active Directory site whose controllers are tried first, for a URL without a host. Default: none.
        site: Loose<String>,
        /// Name servers (`IP` or `IP:PORT`) for the directory's hosts. Default: the system's.
        nameservers: Loose<Vec<String>>,
        /// Domains, beside the base DN's own, in which a server that the DNS names may be. Default: none.
        server_domains: Loose<Vec<String>>,
        /// How changes are read: `ad`, `ad-dirsync`, `syncrepl`, `389ds`, `389ds-changelog`, `persistent-search` or `poll`. Default: what the server's root DSE suggests.
        #[schemars(extend("enum" = ["ad", "ad-dirsync", "syncrepl", "389ds", "389ds-changelog", "persistent-search", "poll"]))]
        dialect: Loose<String>,
        /// The account that reads: its DN, or, on Active Directory, `user@domain`. Default: anonymous.
        bind_dn: Loose<String>,
        /// A file that holds the account's password, and nothing else (a trailing newline is ignored), or `credential:NAME` for a systemd credential. It is read at each connection.
        password_file: Loose<String>,
        /// A PEM file with the certificate that Dialcast shows the server. Without `bind_dn`, it is the login (SASL EXTERNAL).
        client_cert_file: Loose<String>,
        /// A PEM file with that certificate's private key, or `credential:NAME`.
        client_key_file: Loose<String>,
        /// A Kerberos keytab, or `credential:NAME`: log in by Kerberos. Needs a build with the feature `gssapi`.
        keytab_file: Loose<String>,
        /// The Kerberos principal, such as `dialcast@CORP.EXAMPLE`. Default: the first in the keytab.
        principal: Loose<String>,
        /// Begin TLS on an `ldap://` connection, and fail if the server cannot. Default: false.
        starttls: Loose<bool>,
        /// PEM certificates of the authorities to trust instead of the system's.
        ca_file: Loose<String>,
        /// Send the password without TLS to another machine. Default: false.
        allow_cleartext_password: Loose<bool>,
        /// How often all ids and versions are compared with what the server told, in seconds; 0: never. It finds what was lost without a word, as when the account lost a right for a while. With `persistent-search` and `poll` it is also what finds moves out of sight and deletions. Active Directory is read anew as a whole. Default: 3600; 300 with those two; 86400 with Active Directory.
        compare_every_s: Loose<u64>,
        /// How often `poll` asks for changes, in seconds. Default: 5.
        poll_every_s: Loose<u64>,
        /// How far back `poll` asks each time, in seconds: as far as the clocks of the servers that take changes may differ. Default: 120.
        poll_overlap_s: Loose<u64>,
        /// Where an account may not read Active Directory's `CN=Deleted Objects`: how often the ids of all entries are listed to find what was deleted, in seconds. Default: 300.
        sweep_every_s: Loose<u64>,
        /// How long an LDIF file must be quiet before it is read, in milliseconds. Default: 50.
        debounce_ms: Loose<u64>,
    }
}

table! {
    /// Settings for everybody: the layer `config`.
    #[schemars(rename = "Policy")]
    RawPolicy {
        /// Policy lines, as in the directory (docs/policy.md).
        settings: Loose<Vec<String>>,
        /// Sites and subnets count only below these entries, so that nobody else decides where phones are. Default: everywhere.
        networks: Loose<Vec<String>>,
    }
}

table! {
    /// Which attributes name a user; the first that is there counts.
    #[schemars(rename = "Identity")]
    RawIdentity {
        /// The SIP address. Default: `SIPIdentitySIPURI`, `msRTCSIP-PrimaryUserAddress`, `proxyAddresses`, `mail`.
        aor: Loose<Vec<String>>,
        /// The telephone number. Default: `telephoneNumber`, `ipPhone`.
        tel: Loose<Vec<String>>,
        /// The name to show. Default: `displayName`, `cn`.
        display_name: Loose<Vec<String>>,
        /// A device's MAC addresses and instance ids (`urn:uuid:…`). Default: `macAddress`, `serialNumber`.
        device: Loose<Vec<String>>,
    }
}

table! {
    /// Who may subscribe.
    #[schemars(rename = "Auth")]
    RawAuth {
        /// `digest` or `open`. Default: `digest` when there are credentials, else `open`, which only loopback listeners may have.
        #[schemars(extend("enum" = ["digest", "open"]))]
        mode: Loose<String>,
        /// The digest realm. Default: the domain of the first user's address.
        realm: Loose<String>,
        /// A file of lines `user:realm:HA1` (32 hexadecimal digits: MD5; 64: SHA-256).
        credentials_file: Loose<String>,
        /// Offer MD5 beside SHA-256, for phones that have nothing else. Default: false.
        md5: Loose<bool>,
    }
}

table! {
    /// The notifier's SIP.
    #[schemars(rename = "Sip")]
    RawSip {
        /// The shortest subscription, in seconds; less is refused with 423. Default: 60.
        expires_min_s: Loose<u32>,
        /// The longest subscription, in seconds; more is shortened. Default: 86400 (RFC 6080 §6.4).
        expires_max_s: Loose<u32>,
        /// For a SUBSCRIBE without Expires, in seconds. Default: 86400 (RFC 6080 §6.4).
        expires_default_s: Loose<u32>,
    }
}

table! {
    /// UDP.
    #[schemars(rename = "Udp")]
    RawUdp {
        /// The largest request sent by UDP, in octets; a larger one goes by TCP first (RFC 3261 §18.1.1). Default: 1300.
        max_request_bytes: Loose<usize>,
    }
}

table! {
    /// How changes are sent.
    #[schemars(rename = "Notify")]
    RawNotify {
        /// A change waits until the directory was quiet for this long, in milliseconds. Default: 50.
        quiet_ms: Loose<u64>,
        /// But no longer than this, in milliseconds. Default: 500.
        quiet_max_ms: Loose<u64>,
        /// Changes sent per second at most. Default: 5000.
        rate_per_s: Loose<u32>,
        /// What becomes of a subscription whose phone does not answer: `suspend` until it subscribes again, or `remove` (RFC 6665 §4.2.2). Default: suspend.
        #[schemars(extend("enum" = ["suspend", "remove"]))]
        on_timeout: Loose<String>,
    }
}

table! {
    /// What is not believed of a directory without being asked: see docs/operations.md.
    #[schemars(rename = "Guards")]
    RawGuards {
        /// DNs of entries that are always there and that Dialcast's account reads like any other. A list without one of them is not believed. Default: none.
        canaries: Loose<Vec<String>>,
        /// So many objects may vanish from the directory's list at once, whatever their share. Default: 50.
        objects_min: Loose<usize>,
        /// And so many of a hundred. Default: 5.
        objects_percent: Loose<u32>,
        /// So many users may lose their account, registrar or numbers within the window, whatever their share. Default: 50.
        users_min: Loose<usize>,
        /// And so many of a hundred. Default: 5.
        users_percent: Loose<u32>,
        /// Losses within this time are counted together, in seconds. Default: 600.
        window_s: Loose<u64>,
        /// Losses after the first few wait until there was no other for so long, in milliseconds. Default: 2000.
        wait_ms: Loose<u64>,
        /// While something is held the directory is read in full after this time, in seconds, then after twice as long, up to an hour. Default: 60.
        recheck_s: Loose<u64>,
    }
}

table! {
    /// Logs, written to standard error.
    #[schemars(rename = "Log")]
    RawLog {
        /// As of the tracing-subscriber crate: `info`, `dialcast=debug`. Default: info.
        filter: Loose<String>,
        /// `text` or `json`. Default: text.
        #[schemars(extend("enum" = ["text", "json"]))]
        format: Loose<String>,
    }
}
