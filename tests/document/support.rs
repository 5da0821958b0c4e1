//! What the tests of documents share: values of every type, and xmllint, whose parser nobody here wrote.

use std::path::{Path, PathBuf};
use std::process::Command;

use dialcast::document::Profile;
use dialcast::document::profile::Whose;
use dialcast::model::Aor;
use dialcast::policy::catalogue::Setting;
use dialcast::policy::value::{Value, ValueKind};
use proptest::prelude::*;
use proptest::sample::select;

/// Texts that a type accepts, canonical or not.
pub(crate) fn texts(kind: ValueKind) -> BoxedStrategy<String> {
    let host =
        || prop_oneof!["[a-z0-9]{1,8}(\\.[A-Za-z][a-z0-9_-]{0,6}[a-z]){1,3}", "192\\.0\\.2\\.[1-9]", Just("[2001:DB8::0:1]".to_owned())];
    let place = move || (host(), prop_oneof!["", ":[1-9][0-9]{0,3}"]).prop_map(|(host, port)| host + &port);
    let user = || "[A-Za-z0-9&=+$,;?/_.!~*'()-]{1,12}|[a-z]%[0-9A-F]{2}";
    let dn = || {
        let value = "[A-Za-z\u{e9}\u{6f22} <>&'_=/-]{0,6}[a-z]|\\\\,|\\\\\"x|\\\\2C|#04AB|\\\\0A";
        prop::collection::vec(("CN|OU|dc|2\\.5\\.4\\.3", value).prop_map(|(t, v)| format!("{t}={}", v.replace(['<', '>'], ""))), 1..5)
            .prop_map(|rdns| rdns.join(","))
    };
    match kind {
        ValueKind::Text => "[ \\PC<>&\"']{0,40}[\\PC&&[^ ]]".prop_filter("spaces only", |text| !text.trim().is_empty()).boxed(),
        ValueKind::Bool => "true|false|TRUE|False".boxed(),
        ValueKind::Choice(words) => select(words).prop_map(str::to_owned).boxed(),
        ValueKind::Seconds { min, max } => {
            prop_oneof![(min..=max).prop_map(|n| n.to_string()), (min..=max).prop_map(|n| format!("{}m{}s", n / 60, n % 60))].boxed()
        }
        ValueKind::Pixels => (1..=8640u32).prop_map(|n| format!("0{n}")).boxed(),
        ValueKind::Kbits => (0..=1_000_000_000u32).prop_map(|n| n.to_string()).boxed(),
        ValueKind::Dscp => prop_oneof![(0..64u8).prop_map(|n| n.to_string()), "cs[0-7]|AF[1-4][1-3]|EF|LE|BE|VA"].boxed(),
        ValueKind::Ports => (1..=u16::MAX, 1..=u16::MAX).prop_map(|(a, b)| format!("{} - {}", a.min(b), a.max(b))).boxed(),
        ValueKind::Codec => "(opus|PCMA|pcmu|[A-Za-z0-9&'.-]{1,9})(/[1-9][0-9]{0,4}(/[12])?)?".boxed(),
        ValueKind::DialString => "\\+?[0-9*#]{1,31}".boxed(),
        ValueKind::Host => host().boxed(),
        ValueKind::Zone => "[A-Z][a-z]{1,8}(/[A-Z][A-Za-z_+-]{1,9}[0-9]{0,2}){0,2}".boxed(),
        ValueKind::Language => "[A-Za-z]{2,3}(-[A-Za-z]{4})?(-[A-Za-z]{2})?(-x-[a-z0-9]{1,8})?".boxed(),
        ValueKind::Country => "DE|us|Fr|XK|jp".boxed(),
        ValueKind::Sha256 => "[0-9a-fA-F]{64}".boxed(),
        ValueKind::Window => "((Mon|sat)(,Tue|-Fri|, SUN)? |daily )?[01][0-9]:[0-5][0-9] ?- ?2[0-3]:[0-5][0-9]".boxed(),
        ValueKind::SipUri => ("sips?|SIP", user(), place(), "(;[a-z&]{1,4}(=[a-z0-9']{1,4})?){0,2}(\\?[a-z]=%20)?")
            .prop_map(|(scheme, user, place, rest)| format!("{scheme}:{user}@{place}{rest}"))
            .boxed(),
        ValueKind::TelUri => {
            "tel:(\\+[0-9][0-9().-]{0,14}(;b=c)?(;ext=[0-9-]{1,4})?|[0-9*#a-f]{1,9};phone-context=(corp\\.Example|\\+49))".boxed()
        }
        ValueKind::CallUri => prop_oneof![texts(ValueKind::SipUri), texts(ValueKind::TelUri)].boxed(),
        ValueKind::HttpsUri => (place(), "(/[A-Za-z0-9&'%;=~-]{0,9}){0,2}(\\?a=[b&]{1,3})?(#c)?")
            .prop_filter("whole escapes", |(_, path)| !path.contains('%'))
            .prop_map(|(place, path)| format!("https://{place}{path}"))
            .boxed(),
        ValueKind::LdapUri => (place(), "(/dc=[a-z&']{1,5},dc=x(\\?cn,sn(\\?sub(\\?\\(cn=%2A\\))?)?)?)?")
            .prop_map(|(place, path)| format!("ldaps://{place}{path}"))
            .boxed(),
        ValueKind::Uri => prop_oneof!["mailto:[a-z&']{1,9}@corp\\.example", "urn:[a-z:&]{1,9}", texts(ValueKind::CallUri)].boxed(),
        ValueKind::Server(schemes) if schemes.contains(&"sip") => {
            (any::<u16>(), any::<u16>(), texts(ValueKind::SipUri)).prop_map(|(p, w, uri)| format!("{p} {w} {uri}")).boxed()
        }
        ValueKind::Server(schemes) => (any::<u16>(), any::<u16>(), select(schemes), place())
            .prop_map(|(p, w, scheme, place)| format!("{p} {w}  {scheme}:{place}"))
            .boxed(),
        ValueKind::DialRule => prop_oneof![
            "\\^[0-9<>&'\"+*]{0,1}[0-9 ]{1,9}(\\(\\[1-9\\]\\[0-9\\]\\*\\))\\$ ?-> ?(\\+49|sip:)\\$1(@x)?",
            "[0-9<>&]{1,9} → (\\$0|\\$\\$|&)",
        ]
        .boxed(),
        ValueKind::Location => prop_oneof![
            "geo:-?[0-8][0-9](\\.[0-9]{1,9})?,-?1[0-7][0-9](\\.[0-9]{1,9})?(,-?[0-9]{1,3}(\\.[0-9]{1,3})?)?(;u=[0-9]{1,3})?",
            "civic:hno=[0-9&<>'\"]{1,4};country=de(;A1=[A-Z\u{fc}=&]{1,9})?(;NAM=[a-z <\"]{0,9}[a-z])?",
        ]
        .boxed(),
        ValueKind::Ace => {
            let subject = prop_oneof![
                Just("any".to_owned()),
                dn().prop_map(|dn| format!("group:{dn}")),
                dn().prop_map(|dn| format!("ou:{dn}")),
                dn().prop_map(|dn| format!("user:{dn}")),
                (user(), host()).prop_map(|(user, host)| format!("user:sip:{user}@{host}")),
                host().prop_map(|host| format!("domain:{host}")),
            ];
            ("allow|deny|polite|Prompt", "presence|contact|all", subject).prop_map(|(v, r, s)| format!("{v} {r} {s}")).boxed()
        }
        ValueKind::AccessDefault => {
            "((allow|deny|polite|prompt) directory, ?(allow|deny|polite|prompt) others|allow|deny|polite|prompt)".boxed()
        }
    }
}

/// Values of a type.
pub(crate) fn values(kind: ValueKind) -> BoxedStrategy<Value> {
    texts(kind).prop_map(move |text| kind.parse(&text).unwrap_or_else(|error| panic!("{}: {text:?}: {error}", kind.name()))).boxed()
}

/// Addresses of record.
pub(crate) fn aors() -> BoxedStrategy<Aor> {
    "sip:[A-Za-z0-9&'=+_.~-]{1,12}@[A-Za-z]{1,9}\\.Example".prop_map(|text| text.parse().unwrap()).boxed()
}

/// Profiles with some of the settings, lists of up to five.
pub(crate) fn profiles() -> BoxedStrategy<Profile> {
    let settings: Vec<BoxedStrategy<(Setting, Vec<Value>)>> = Setting::all()
        .map(|setting| {
            let max = if setting.spec().many { 6 } else { 2 };
            prop::collection::vec(values(setting.spec().kind), 0..max).prop_map(move |values| (setting, values)).boxed()
        })
        .collect();
    let whose = prop_oneof![6 => aors().prop_map(Whose::User), 1 => Just(Whose::LocalNetwork), 1 => Just(Whose::Device)];
    (whose, settings).prop_map(|(whose, settings)| Profile::new(whose, settings)).boxed()
}

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs xmllint over documents, each with its own verdict: `Err` holds what xmllint says about it.
pub(crate) fn xmllint(schema: Option<&Path>, documents: &[Vec<u8>]) -> Vec<Result<(), String>> {
    let folder = tempfile::tempdir().unwrap();
    let mut verdicts = Vec::new();
    for (chunk_index, chunk) in documents.chunks(500).enumerate() {
        let paths: Vec<PathBuf> = (0..chunk.len()).map(|index| folder.path().join(format!("{chunk_index}-{index}.xml"))).collect();
        for (path, document) in paths.iter().zip(chunk) {
            std::fs::write(path, document).unwrap();
        }
        let mut command = Command::new("xmllint");
        command.args(["--nonet", "--noout"]);
        if let Some(schema) = schema {
            command.arg("--schema").arg(schema);
        }
        let output = command.args(&paths).output().expect("xmllint is needed: install the package libxml2-utils");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        for path in &paths {
            let path = path.to_str().unwrap();
            let lines: Vec<&str> = said.lines().filter(|line| line.contains(path)).collect();
            // With a schema, xmllint says of each file that it validates or fails to.
            let is_good = match schema {
                Some(_) => lines.iter().any(|line| line.ends_with(" validates")),
                None => lines.is_empty(),
            };
            verdicts.push(if is_good { Ok(()) } else { Err(format!("{lines:?}")) });
        }
        let all_good = verdicts.iter().rev().take(chunk.len()).all(Result::is_ok);
        assert_eq!(output.status.success(), all_good, "xmllint's exit code and words differ: {said}");
    }
    verdicts
}

/// Compares a made text with its file; with the environment variable set, writes the file instead.
pub(crate) fn same_as_file(path: &str, made: &str, update: &str) {
    let file = repository().join(path);
    if std::env::var_os(update).is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, made).unwrap();
    }
    let held = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = held
        .lines()
        .zip(made.lines())
        .position(|(held, made)| held != made)
        .unwrap_or_else(|| held.lines().count().min(made.lines().count()));
    assert!(held == made, "{path} differs from the catalogue from line {}: run {update}=1 cargo test --test document", differs + 1);
}
