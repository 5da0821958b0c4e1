//! The catalogue: every setting that Dialcast knows, with its type, default and meaning.
//!
//! The order here is the order everywhere: in documents, in `explain`, in the XSD and in `docs/settings.md`, which are
//! generated from it. A name is never reused for another meaning. A new setting goes to the end of its scope.

use std::fmt;
use std::sync::LazyLock;

use super::value::{Value, ValueKind};

/// A setting of the catalogue. Ordered as the catalogue is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Setting(u16);

/// What the catalogue says about a setting.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Its name, dotted, in lower case: unique, and the name of its element in documents.
    pub name: &'static str,
    /// The part of the document that it belongs to.
    pub scope: Scope,
    /// The type of its value, or of each of its values.
    pub kind: ValueKind,
    /// Whether it is a list, in order.
    pub many: bool,
    /// Whether it belongs to the network that the endpoint is in (site, subnet) rather than to the person.
    pub network: bool,
    /// Whether `block` never drops it.
    pub never_blocked: bool,
    /// The built-in value, in the text form that policies use; empty when there is none.
    pub default: &'static [&'static str],
    /// The unit of a number.
    pub unit: Option<&'static str>,
    /// What it does, in one sentence for an admin.
    pub doc: &'static str,
}

/// The parts of a profile, in document order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Who the user is.
    Account,
    /// Registration, proxies, dialling, call features.
    Telephony,
    /// Video and conferences.
    Video,
    /// Presence and messages.
    Presence,
    /// Codecs and media security.
    Media,
    /// What the network at the endpoint's place asks for.
    Network,
    /// Emergency calls.
    Emergency,
    /// The device itself.
    Device,
    /// Who runs the service.
    Provider,
    /// Who may see and reach the user.
    Access,
}

impl Scope {
    /// Every scope, in document order.
    pub const ALL: [Self; 10] = [
        Self::Account,
        Self::Telephony,
        Self::Video,
        Self::Presence,
        Self::Media,
        Self::Network,
        Self::Emergency,
        Self::Device,
        Self::Provider,
        Self::Access,
    ];

    /// The name, as in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Telephony => "telephony",
            Self::Video => "video",
            Self::Presence => "presence",
            Self::Media => "media",
            Self::Network => "network",
            Self::Emergency => "emergency",
            Self::Device => "device",
            Self::Provider => "provider",
            Self::Access => "access",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Setting {
    /// How many settings there are.
    pub const COUNT: usize = SPECS.len();

    /// The most values that a list may hold: past any list that people write, and short enough to compare pairwise.
    /// Policy drops what is past it, with a fault; documents hold no more.
    pub const VALUES_MAX: usize = 1000;

    /// The setting of that name, in any case of letters.
    pub fn named(name: &str) -> Option<Self> {
        static BY_NAME: LazyLock<Vec<Setting>> = LazyLock::new(|| {
            let mut settings: Vec<Setting> = Setting::all().collect();
            settings.sort_unstable_by_key(|setting| setting.name());
            settings
        });
        let wanted = || name.bytes().map(|b| b.to_ascii_lowercase());
        let at = BY_NAME.binary_search_by(|setting| setting.name().bytes().cmp(wanted())).ok()?;
        BY_NAME.get(at).copied()
    }

    /// The setting whose name is closest to a name that is none, if one is close enough to be meant.
    pub fn meant_by(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let close = name.len() / 4 + 1;
        let distance = |setting: &Self| strsim::damerau_levenshtein(setting.name(), &name);
        Self::all().map(|setting| (distance(&setting), setting)).filter(|(d, _)| *d <= close).min().map(|(_, setting)| setting)
    }

    /// Every setting, in the order of the catalogue.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        // COUNT is far below u16::MAX: checked by a test.
        #[expect(clippy::cast_possible_truncation, reason = "fewer than 65,536 settings, as a test asserts")]
        (0..Self::COUNT as u16).map(Self)
    }

    /// The settings of one scope, in the order of the catalogue.
    pub fn of(scope: Scope) -> impl Iterator<Item = Self> {
        Self::all().filter(move |setting| setting.spec().scope == scope)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// Its place in the catalogue, from 0, below [`Setting::COUNT`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// What the catalogue says about it.
    pub fn spec(self) -> &'static Spec {
        // Only this module makes a Setting, and only from the table's own indices.
        SPECS.get(self.index()).unwrap_or(&SPECS[0])
    }

    /// Its built-in values; empty when there are none.
    pub fn default_values(self) -> Vec<Value> {
        let spec = self.spec();
        spec.default.iter().filter_map(|text| spec.kind.parse(text).ok()).collect()
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const fn one(scope: Scope, name: &'static str, kind: ValueKind, default: &'static [&'static str], doc: &'static str) -> Spec {
    Spec { name, scope, kind, many: false, network: false, never_blocked: false, default, unit: kind.unit(), doc }
}

const fn many(scope: Scope, name: &'static str, kind: ValueKind, default: &'static [&'static str], doc: &'static str) -> Spec {
    Spec { many: true, ..one(scope, name, kind, default, doc) }
}

impl Spec {
    const fn network(self) -> Self {
        Self { network: true, ..self }
    }

    const fn emergency(self) -> Self {
        Self { network: true, never_blocked: true, ..self }
    }
}

/// One constant per setting, and the table: the constant's place and the table's are the same by construction.
macro_rules! catalogue {
    ($($constant:ident = $spec:expr;)*) => {
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "only counts the constants below")]
        enum Index { $($constant),* }

        #[expect(missing_docs, reason = "each is the setting of its name, and the catalogue documents it")]
        impl Setting {
            $(pub const $constant: Self = Self(Index::$constant as u16);)*
        }

        static SPECS: [Spec; [$(stringify!($constant)),*].len()] = [$($spec),*];
    };
}

use Scope::{Access, Account, Device, Emergency, Media, Network, Presence, Provider, Telephony, Video};
use ValueKind as K;

/// The servers that speak SIP.
const SIP: K = K::Server(&["sip", "sips"]);
const YES: &[&str] = &["true"];
const NO: &[&str] = &["false"];
const NONE: &[&str] = &[];

catalogue! {
    ACCOUNT_AOR = many(Account, "account.aor", K::SipUri, NONE, "The user's addresses of record; the first is the one that calls are made from.");
    ACCOUNT_DISPLAY_NAME = one(Account, "account.display-name", K::Text, NONE, "The name that callees see.");
    ACCOUNT_AUTH_USER = one(Account, "account.auth-user", K::Text, NONE, "The user name for digest authentication, where it is not the AoR's user part.");
    ACCOUNT_REALM = one(Account, "account.realm", K::Text, NONE, "The digest realm, where the phone must know it beforehand.");
    ACCOUNT_CREDENTIAL = one(Account, "account.credential", K::Choice(&["prompt", "cert", "kerberos", "enrolled"]), &["prompt"], "How the phone comes by its credential: it asks the user, has a certificate, uses Kerberos, or was enrolled.");
    ACCOUNT_TEL = many(Account, "account.tel", K::TelUri, NONE, "The user's telephone numbers; the first is the caller id.");
    ACCOUNT_ENABLED = one(Account, "account.enabled", K::Bool, YES, "Whether the phone registers this account at all.");

    SIP_REGISTRAR = many(Telephony, "sip.registrar", SIP, NONE, "Where the phone registers. An account without one is never published.");
    SIP_OUTBOUND_PROXY = many(Telephony, "sip.outbound-proxy", SIP, NONE, "The proxies that every request goes through, best first.");
    SIP_TRANSPORT = many(Telephony, "sip.transport", K::Choice(&["tls", "tcp", "udp", "wss"]), &["tls"], "The transports that the phone may use, best first.");
    SIP_EXPIRES = one(Telephony, "sip.expires", K::Seconds { min: 30, max: 604_800 }, &["3600"], "The registration expiry that the phone asks for.");
    DIAL_RULE = many(Telephony, "dial.rule", K::DialRule, NONE, "Rewrites what the user dials; the first rule whose pattern matches is used.");
    DIAL_COUNTRY = one(Telephony, "dial.country", K::Country, NONE, "The country whose dialling habits and tones apply.");
    VOICEMAIL_URI = one(Telephony, "voicemail.uri", K::SipUri, NONE, "Where the voicemail key calls.");
    VOICEMAIL_MWI = one(Telephony, "voicemail.mwi", K::SipUri, NONE, "Where the phone subscribes for waiting messages (RFC 3842).");
    FORWARD_ALWAYS = one(Telephony, "forward.always", K::CallUri, NONE, "Where every call is forwarded.");
    FORWARD_BUSY = one(Telephony, "forward.busy", K::CallUri, NONE, "Where calls are forwarded while the user is busy.");
    FORWARD_NOANSWER = one(Telephony, "forward.noanswer", K::CallUri, NONE, "Where unanswered calls are forwarded after `forward.delay`.");
    FORWARD_DELAY = one(Telephony, "forward.delay", K::Seconds { min: 1, max: 600 }, &["20"], "How long a call rings before `forward.noanswer`.");
    FEATURE_TRANSFER = one(Telephony, "feature.transfer", K::Bool, YES, "Whether the user may transfer calls.");
    FEATURE_PARK = one(Telephony, "feature.park", K::Bool, YES, "Whether the user may park calls.");
    FEATURE_PICKUP = one(Telephony, "feature.pickup", K::Bool, YES, "Whether the user may pick up the group's calls.");
    RECORD_MODE = one(Telephony, "record.mode", K::Choice(&["never", "on-demand", "always"]), &["never"], "Whether calls are recorded.");

    VIDEO_ENABLED = one(Video, "video.enabled", K::Bool, YES, "Whether calls may have video.");
    VIDEO_MAX_HEIGHT = one(Video, "video.max-height", K::Pixels, &["1080"], "The tallest picture that is sent.");
    VIDEO_MAX_BANDWIDTH = one(Video, "video.max-bandwidth", K::Kbits, &["0"], "The most bandwidth for the video of one call; 0 is no limit.");
    CONFERENCE_FACTORY = many(Video, "conference.factory", K::SipUri, NONE, "Where ad-hoc conferences are made (RFC 4579).");
    CONFERENCE_MCU = many(Video, "conference.mcu", SIP, NONE, "The conference bridges, best first.");

    PRESENCE_ENABLED = one(Presence, "presence.enabled", K::Bool, YES, "Whether the phone publishes and shows presence.");
    IM_ENABLED = one(Presence, "im.enabled", K::Bool, YES, "Whether the user may send and receive instant messages.");
    PRESENCE_SERVER = many(Presence, "presence.server", SIP, NONE, "The presence servers, best first.");
    PRESENCE_LIST = one(Presence, "presence.list", K::SipUri, NONE, "The resource list that stands for the user's contacts (RFC 4662).");
    XCAP_ROOT = one(Presence, "xcap.root", K::HttpsUri, NONE, "The XCAP root for contact lists and rules (RFC 4825).");
    IM_ARCHIVE = one(Presence, "im.archive", K::Bool, NO, "Whether instant messages are archived.");

    MEDIA_AUDIO = many(Media, "media.audio", K::Codec, &["opus", "G722", "PCMA", "PCMU"], "The audio codecs, best first.");
    MEDIA_VIDEO = many(Media, "media.video", K::Codec, &["H264", "VP8"], "The video codecs, best first.");
    MEDIA_SRTP = one(Media, "media.srtp", K::Choice(&["required", "preferred", "off"]), &["required"], "Whether media is encrypted; `required` refuses a call without.");
    MEDIA_KEYING = many(Media, "media.keying", K::Choice(&["dtls", "sdes"]), NONE, "How SRTP keys are agreed, best first; without it the phone decides.");

    NET_STUN = many(Network, "net.stun", K::Server(&["stun", "stuns"]), NONE, "The STUN servers, best first.").network();
    NET_TURN = many(Network, "net.turn", K::Server(&["turn", "turns"]), NONE, "The TURN servers, best first.").network();
    NET_ICE = one(Network, "net.ice", K::Choice(&["off", "full"]), &["full"], "Whether media paths are probed (RFC 8445).").network();
    MEDIA_RTP_PORTS = one(Network, "media.rtp-ports", K::Ports, &["49152-65535"], "The UDP ports that media may use.").network();
    MEDIA_MAX_BANDWIDTH = one(Network, "media.max-bandwidth", K::Kbits, &["0"], "The most bandwidth for all calls of the endpoint; 0 is no limit.").network();
    MEDIA_MAX_BANDWIDTH_CALL = one(Network, "media.max-bandwidth-call", K::Kbits, &["0"], "The most bandwidth for one call; 0 is no limit.").network();
    QOS_AUDIO = one(Network, "qos.audio", K::Dscp, &["46"], "The DSCP of audio packets.").network();
    QOS_VIDEO = one(Network, "qos.video", K::Dscp, &["34"], "The DSCP of video packets.").network();
    QOS_SIGNALLING = one(Network, "qos.signalling", K::Dscp, &["24"], "The DSCP of SIP packets.").network();

    EMERGENCY_NUMBER = many(Emergency, "emergency.number", K::DialString, NONE, "What counts as an emergency call when dialled.").emergency();
    EMERGENCY_LOCATION = one(Emergency, "emergency.location", K::Location, NONE, "Where the endpoint is, sent with emergency calls (PIDF-LO, RFC 5491).").emergency();
    EMERGENCY_LIS = one(Emergency, "emergency.lis", K::HttpsUri, NONE, "The location server that knows more precisely (HELD, RFC 5985).").emergency();
    EMERGENCY_ROUTE = many(Emergency, "emergency.route", SIP, NONE, "Where emergency calls are sent, best first.").emergency();
    EMERGENCY_CALLBACK = one(Emergency, "emergency.callback", K::TelUri, NONE, "The number that the emergency centre calls back.").emergency();

    NTP = many(Device, "ntp", K::Host, NONE, "The time servers, best first.");
    TIMEZONE = one(Device, "timezone", K::Zone, NONE, "The time zone at the endpoint.").network();
    LANGUAGE = one(Device, "language", K::Language, NONE, "The language of menus and announcements.");
    FIRMWARE_VERSION = one(Device, "firmware.version", K::Text, NONE, "The firmware version that the device should run.");
    FIRMWARE_URL = one(Device, "firmware.url", K::HttpsUri, NONE, "Where that firmware is.");
    FIRMWARE_SHA256 = one(Device, "firmware.sha256", K::Sha256, NONE, "The SHA-256 of the firmware file; a device must not run anything else.");
    FIRMWARE_WINDOW = one(Device, "firmware.window", K::Window, NONE, "When the device may restart for it, in its own time zone; without it, whenever it is idle.");
    PHONEBOOK_LDAP = many(Device, "phonebook.ldap", K::LdapUri, NONE, "The directories that the phone book searches (RFC 4516).");

    PROVIDER_NAME = one(Provider, "provider.name", K::Text, NONE, "Who runs the service, as shown to the user.");
    PROVIDER_ADDRESS = one(Provider, "provider.address", K::Uri, NONE, "Where the provider is reached.");
    SUPPORT_URI = one(Provider, "support.uri", K::Uri, NONE, "Where the user finds help.");

    ACL = many(Access, "acl", K::Ace, NONE, "Who may see the user's presence and who may call or write.");
    ACCESS_DEFAULT = one(Access, "access.default", K::AccessDefault, &["allow directory, prompt others"], "What holds for those whom no access entry names.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        let names: BTreeSet<&str> = Setting::all().map(Setting::name).collect();
        assert_eq!(names.len(), Setting::COUNT);
        assert!(u16::try_from(Setting::COUNT).is_ok());
        for setting in Setting::all() {
            assert_eq!(Setting::named(setting.name()), Some(setting));
            assert_eq!(Setting::named(&setting.name().to_ascii_uppercase()), Some(setting));
            assert_eq!(Setting::all().nth(setting.index()), Some(setting));
            // A name is an XML element's name and one word of a policy line.
            assert!(setting.name().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-')));
            assert!(setting.name().starts_with(|c: char| c.is_ascii_lowercase()));
        }
        assert_eq!(Setting::named("sip.expire"), None);
        assert_eq!(Setting::named(""), None);
    }

    #[test]
    fn constants_name_their_settings() {
        for (constant, name) in [
            (Setting::ACCOUNT_AOR, "account.aor"),
            (Setting::SIP_REGISTRAR, "sip.registrar"),
            (Setting::MEDIA_MAX_BANDWIDTH_CALL, "media.max-bandwidth-call"),
            (Setting::ACCESS_DEFAULT, "access.default"),
        ] {
            assert_eq!(constant.name(), name);
        }
    }

    #[test]
    fn scopes_follow_each_other() {
        let scopes: Vec<Scope> = Setting::all().map(|s| s.spec().scope).collect();
        assert!(scopes.is_sorted());
        assert_eq!(scopes.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>(), Scope::ALL);
        assert_eq!(Setting::of(Access).collect::<Vec<_>>(), [Setting::ACL, Setting::ACCESS_DEFAULT]);
    }

    #[test]
    fn defaults_are_canonical() {
        for setting in Setting::all() {
            let spec = setting.spec();
            let values: Vec<String> = setting.default_values().iter().map(Value::to_string).collect();
            assert_eq!(values, spec.default, "{setting}");
            assert!(spec.many || spec.default.len() <= 1, "{setting}");
            assert!(!spec.never_blocked || spec.name.starts_with("emergency."), "{setting}");
            assert_eq!(spec.doc.trim_end_matches('.').len() + 1, spec.doc.len(), "{setting}: a sentence");
        }
    }

    #[test]
    fn near_misses() {
        let check = |text: &str, expect: Option<Setting>| assert_eq!(Setting::meant_by(text), expect, "{text}");
        check("sip.outbound-proxies", Some(Setting::SIP_OUTBOUND_PROXY));
        check("sip.registar", Some(Setting::SIP_REGISTRAR));
        check("qos.signaling", Some(Setting::QOS_SIGNALLING));
        check("colour", None);
        check("", None);
    }
}
