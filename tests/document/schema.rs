//! `schemas/xml/profile.xsd`: made from the catalogue, and libxml2 agrees with Dialcast about what a profile is.

use dialcast::document::{Profile, Renderer, profile};
use dialcast::policy::catalogue::Setting;
use dialcast::policy::value::{Value, ValueKind};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::schema_text;
use super::support::{profiles, repository, same_as_file, xmllint};

const SCHEMA: &str = "schemas/xml/profile.xsd";

#[test]
fn is_made_from_the_catalogue() {
    same_as_file(SCHEMA, &schema_text::schema(), "UPDATE_SCHEMAS");
}

/// Values at the limits of each type.
fn extremes(kind: ValueKind) -> Vec<String> {
    let texts: &[&str] = match kind {
        ValueKind::Text => &["x", "<&>\"'", "é漢😀\u{fffd}", "a  b"],
        ValueKind::Bool => &["true", "false"],
        ValueKind::Choice(words) => words,
        ValueKind::Seconds { min, max } => return vec![min.to_string(), max.to_string()],
        ValueKind::Pixels => &["1", "8640"],
        ValueKind::Kbits => &["0", "1000000000"],
        ValueKind::Dscp => &["0", "63"],
        ValueKind::Ports => &["1-1", "1-65535", "65535-65535"],
        ValueKind::Codec => &["a", "!#$%&'*+-.^_`{|}~", "L16/1000000/255"],
        ValueKind::DialString => &["0", "+1", "*#", "12345678901234567890123456789012"],
        ValueKind::Host => &["a", "::", "2001:db8::192.0.2.1", "255.255.255.255", "_x.a-b.example"],
        ValueKind::Zone => &["UTC", "Etc/GMT+12", "America/Argentina/ComodRivadavia"],
        ValueKind::Language => &["de", "x-a", "zh-Hant-TW-x-1-2"],
        ValueKind::Country => &["AD", "ZW", "XK"],
        ValueKind::Sha256 => &["0000000000000000000000000000000000000000000000000000000000000000"],
        ValueKind::Window => &["00:00-23:59", "23:59-00:00", "Mon 00:00-00:01", "Mon-Sat 20:00-19:59"],
        ValueKind::SipUri => &["sip:a", "sips:a@[::1]:65535;a='b'&c?d=%2F", "sip:&=+$,;?/-_.!~*'()@a"],
        ValueKind::TelUri => &["tel:+1", "tel:*#ABCDEF;phone-context=a", "tel:+1;a='&';ext=1;isub=x"],
        ValueKind::CallUri => &["tel:+1", "sip:a", "sips:a"],
        ValueKind::HttpsUri => &["https://a", "https://[::1]:1/?a&b='c'#d", "https://a/%7E[x]"],
        ValueKind::LdapUri => &["ldap://a", "ldaps://a:636/dc=x?cn?sub?(&(a=b)(c=*))"],
        ValueKind::Uri => &["a:b", "a+b.c-d:e", "mailto:x@y?subject=a&body=b", "ftp://a/"],
        ValueKind::Server(schemes) => {
            let texts = |scheme: &&str| [format!("0 0 {scheme}:a"), format!("65535 65535 {scheme}:[::1]:65535")];
            return schemes.iter().flat_map(texts).collect();
        }
        ValueKind::DialRule => &["^<\"&'>$ -> &", "a -> $$${0}", "(?P<x>a|b c) -> sip:${x}@[::1];a='b'"],
        ValueKind::Location => &[
            "geo:-90,-179.9999999,-100000;u=1000000",
            "geo:0,0",
            "geo:90,180,0.01;u=0.01",
            "civic:country=DE",
            "civic:country=DE;A1=1;A2=2;A3=3;A4=4;A5=5;A6=6;PRM=a;PRD=b;RD=c;STS=d;POD=e;POM=f;RDSEC=g;RDBR=h;RDSUBBR=i;HNO=j;HNS=k;LMK=l;LOC=m;FLR=n;NAM=<&>\"';PC=o;BLD=p;UNIT=q;ROOM=r;SEAT=s;PLC=t;PCN=u;POBOX=v;ADDCODE=w",
        ],
        ValueKind::Ace => &[
            "deny all any",
            "polite presence user:a@b",
            "allow contact domain:[::1]",
            "prompt all group:CN=\\,\\\"\\<\\>&'\\00,DC=x",
            "allow all ou:OU=",
            "allow all user:uid=é+cn=漢",
        ],
        ValueKind::AccessDefault => &["allow", "deny directory, polite others"],
    };
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn profile_of(settings: impl IntoIterator<Item = (Setting, Vec<Value>)>) -> Vec<u8> {
    Renderer::new().plain(&Profile::new("sip:anna@corp.example".parse::<dialcast::model::Aor>().unwrap(), settings)).body.to_vec()
}

#[test]
fn accepts_every_document_that_is_written() {
    let mut documents = vec![profile_of([]), profile_of(Setting::all().map(|setting| (setting, setting.default_values())))];
    for setting in Setting::all() {
        let kind = setting.spec().kind;
        let mut texts = extremes(kind);
        // As long as the type allows.
        texts.extend(longest(kind));
        let values: Vec<Value> =
            texts.iter().map(|text| kind.parse(text).unwrap_or_else(|error| panic!("{setting}: {text}: {error}"))).collect();
        documents.extend(values.iter().map(|value| profile_of([(setting, vec![value.clone()])])));
        documents.push(profile_of([(setting, values)]));
    }
    let numbers = (0..Setting::VALUES_MAX).map(|n| Value::Text(n.to_string().into())).collect();
    documents.push(profile_of([(Setting::EMERGENCY_NUMBER, numbers)]));
    let mut runner = TestRunner::default();
    for _ in 0..150 {
        let profile = profiles().new_tree(&mut runner).unwrap().current();
        documents.push(Renderer::new().plain(&profile).body.to_vec());
    }
    for (document, verdict) in documents.iter().zip(xmllint(Some(&repository().join(SCHEMA)), &documents)) {
        assert_eq!(verdict, Ok(()), "{}", String::from_utf8_lossy(document));
        assert!(profile::read(document).is_ok());
    }
}

/// A text as long as the type allows, where length is the limit.
fn longest(kind: ValueKind) -> Option<String> {
    let fill = |begin: &str, c: &str, end: &str| Some(format!("{begin}{}{end}", c.repeat(kind.octets_max() - begin.len() - end.len())));
    match kind {
        ValueKind::Text => fill("", "x", ""),
        ValueKind::SipUri | ValueKind::CallUri => fill("sip:", "a", "@b"),
        ValueKind::HttpsUri => fill("https://a/", "a", ""),
        ValueKind::LdapUri => fill("ldap://a/", "a", ""),
        ValueKind::Uri => fill("x:", "a", ""),
        ValueKind::Ace => fill("deny all ou:OU=", "a", ""),
        _ => None,
    }
}

#[test]
fn refuses_what_is_no_profile() {
    // Each is one change to a document that is accepted.
    let text = |setting: Setting| extremes(setting.spec().kind).swap_remove(0);
    let accepted = profile_of(Setting::all().map(|setting| (setting, vec![setting.spec().kind.parse(&text(setting)).unwrap()])));
    let accepted = String::from_utf8(accepted).unwrap();
    let changes = [
        ("<sip.expires>30<", "<sip.expires>29<"),
        ("<sip.expires>30<", "<sip.expires>030<"),
        ("<sip.expires>30<", "<sip.expires>30s<"),
        ("<sip.expires>30</sip.expires>", "<sip.expires>30</sip.expires><sip.expires>30</sip.expires>"),
        ("<sip.expires>30</sip.expires>", "<sip.expires/>"),
        ("<video.enabled>true<", "<video.enabled>1<"),
        ("<video.max-height>1<", "<video.max-height>0<"),
        ("<video.max-height>1<", "<video.max-height>8641<"),
        ("<video.max-bandwidth>0<", "<video.max-bandwidth>-1<"),
        ("<qos.audio>0<", "<qos.audio>64<"),
        ("<qos.audio>0<", "<qos.audio>EF<"),
        ("<media.rtp-ports>1-1<", "<media.rtp-ports>0-1<"),
        ("<media.rtp-ports>1-1<", "<media.rtp-ports>1<"),
        ("<record.mode>never<", "<record.mode>sometimes<"),
        ("<dial.country>AD<", "<dial.country>ad<"),
        ("<timezone>UTC<", "<timezone>U T C<"),
        ("<language>de<", "<language>d<"),
        ("<firmware.window>00:00-23:59<", "<firmware.window>00:00-24:00<"),
        ("<firmware.sha256>0000", "<firmware.sha256>000"),
        ("<voicemail.uri>sip:a<", "<voicemail.uri>tel:+1<"),
        ("<voicemail.uri>sip:a<", "<voicemail.uri>sip:a b<"),
        ("<forward.busy>tel:+1<", "<forward.busy>mailto:a@b<"),
        ("<emergency.callback>tel:+1<", "<emergency.callback>tel:1<"),
        ("<xcap.root>https:", "<xcap.root>http:"),
        ("<provider.name>x<", "<provider.name> x<"),
        ("<provider.name>x<", "<provider.name><"),
        ("<geo>", "<geo>geo:"),
        ("<emergency.location><geo>", "<emergency.location><civic><country>DE</country></civic><geo>"),
        ("<value key=\"a\"/>", "<value key=\"a\"/><value key=\"a\"/>"),
        ("<value key=\"a\"/>", "<value key=\"a\">a</value>"),
        ("<value key=\"a\"/>", "<value/>"),
        ("<value key=\"a\"/>", ""),
        ("<value key=\"a\"/>", "<value key=\"a\" order=\"1\"/>"),
        ("<value key=\"deny all any\"/>", "<value key=\"deny all everybody\"/>"),
        ("<value key=\"tls\"/>", "<value key=\"sctp\"/>"),
        ("<server uri=\"sip:a\" priority=\"0\" weight=\"0\"/>", "<server uri=\"sip:a\" priority=\"0\" weight=\"65536\"/>"),
        ("<server uri=\"sip:a\" priority=\"0\" weight=\"0\"/>", "<server uri=\"sip:a\" priority=\"0\"/>"),
        ("<server uri=\"sip:a\" priority=\"0\" weight=\"0\"/>", "<server uri=\"stun:a\" priority=\"0\" weight=\"0\"/>"),
        (
            "<server uri=\"sip:a\" priority=\"0\" weight=\"0\"/>",
            "<server uri=\"sip:a\" priority=\"0\" weight=\"0\"/><server uri=\"sip:a\" priority=\"1\" weight=\"0\"/>",
        ),
        ("others=\"allow\"", "others=\"maybe\""),
        ("others=\"allow\"", ""),
        ("aor=\"sip:anna@corp.example\"", ""),
        ("aor=\"sip:anna@corp.example\"", "aor=\"anna@corp.example\""),
        ("<account>", "<account><account.shoe-size>43</account.shoe-size>"),
        ("<account>", "<account order=\"1\">"),
        ("<account>", "<account>text"),
        ("</profile>", "<account></account></profile>"),
        ("urn:oid:2.25", "urn:oid:2.24"),
    ];
    let mut documents: Vec<Vec<u8>> = vec![accepted.clone().into_bytes()];
    for (from, to) in changes {
        assert!(accepted.contains(from), "{from} is not in {accepted}");
        documents.push(accepted.replacen(from, to, 1).into_bytes());
    }
    let verdicts = xmllint(Some(&repository().join(SCHEMA)), &documents);
    assert_eq!(verdicts[0], Ok(()));
    for ((from, to), verdict) in changes.iter().zip(&verdicts[1..]) {
        assert!(verdict.is_err(), "{from} became {to} and still validates");
    }
}

#[test]
fn the_reader_and_the_schema_agree_on_order() {
    // Any two settings of one scope in the wrong order are refused by both.
    let mut documents = Vec::new();
    for setting in Setting::all() {
        let Some(next) = Setting::all().nth(setting.index() + 1).filter(|next| next.spec().scope == setting.spec().scope) else { continue };
        let element = |setting: Setting| {
            let value = setting.spec().kind.parse(&extremes(setting.spec().kind)[0]).unwrap();
            let document = String::from_utf8(profile_of([(setting, vec![value])])).unwrap();
            let begin = document.find(&format!("<{setting}")).unwrap();
            let end = document.rfind(&format!("</{}>", setting.spec().scope)).unwrap();
            document[begin..end].to_owned()
        };
        let (first, second) = (element(setting), element(next));
        let scope = setting.spec().scope;
        let document = |inner: &str| {
            String::from_utf8(profile_of([]))
                .unwrap()
                .replace(&format!("<{scope}></{scope}>"), &format!("<{scope}>{inner}</{scope}>"))
                .into_bytes()
        };
        documents.push((document(&format!("{first}{second}")), document(&format!("{second}{first}"))));
    }
    let (right, wrong): (Vec<_>, Vec<_>) = documents.into_iter().unzip();
    let schema = repository().join(SCHEMA);
    assert!(right.len() > 40);
    for (document, verdict) in right.iter().zip(xmllint(Some(&schema), &right)) {
        assert!(verdict.is_ok() && profile::read(document).is_ok(), "{verdict:?} {}", String::from_utf8_lossy(document));
    }
    for (document, verdict) in wrong.iter().zip(xmllint(Some(&schema), &wrong)) {
        assert!(verdict.is_err() && profile::read(document).is_err(), "{}", String::from_utf8_lossy(document));
    }
}
