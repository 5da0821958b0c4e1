//! Profiles as bytes: what is written is read back, and is well-formed to a parser that nobody here wrote.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::support::{aors, profiles, texts, xmllint};
use dialcast::document::profile::Whose;
use dialcast::document::{Etag, Profile, Renderer, changes, profile};
use dialcast::model::{Aor, Generation, ObjectId, Timestamp};
use dialcast::policy::catalogue::{Scope, Setting};
use dialcast::policy::value::{Server, Value};
use dialcast::policy::{Decision, Layer, Operator, Resolved, ResolvedSet, Source};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

proptest! {
    #![proptest_config(Config::with_cases(64))]

    #[test]
    fn canonical_text_is_a_fixed_point(texts in Setting::all().map(|setting| texts(setting.spec().kind)).collect::<Vec<_>>()) {
        for (setting, text) in Setting::all().zip(texts) {
            let kind = setting.spec().kind;
            let value = kind.parse(&text).unwrap_or_else(|error| panic!("{setting}: {text:?}: {error}"));
            let shown = value.to_string();
            let again = kind.parse(&shown).unwrap_or_else(|error| panic!("{setting}: {text:?} is {shown:?}: {error}"));
            prop_assert_eq!(&again, &value, "{}: {:?}", setting, text);
            prop_assert_eq!(again.to_string(), shown);
            prop_assert!(value.is_same_element(&again));
        }
    }

    #[test]
    fn no_text_panics_a_parser(text in "\\PC{0,60}|[a-z:;=,.@%0-9+$ ()\\[\\]>-]{0,40}") {
        for setting in Setting::all() {
            let kind = setting.spec().kind;
            let _ = kind.parse_removal(&text);
            let _ = kind.elements(&text);
            if let Ok(value) = kind.parse(&text) {
                prop_assert_eq!(kind.parse(&value.to_string()), Ok(value));
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back(written in profiles()) {
        let document = Renderer::new().plain(&written);
        let read = profile::read(&document.body).unwrap();
        prop_assert_eq!(&read, &written);
        prop_assert_eq!(changes(&written, &read), []);
        // Equal profiles, equal bytes, equal names.
        let again = Renderer::new().plain(&read);
        prop_assert_eq!(again.etag, Etag::of(&document.body));
        prop_assert_eq!(again, document);
    }

    #[test]
    fn layout_for_people_changes_nothing(written in profiles()) {
        let document = Renderer::new().plain(&written);
        let shown = profile::indented(&document.body).unwrap();
        prop_assert!(shown.lines().count() > Scope::ALL.len());
        prop_assert_eq!(profile::read(shown.as_bytes()).unwrap(), written);
    }

    #[test]
    fn laid_on_top_is_the_same_as_written_at_once(shared in profiles(), own in profiles(), taken in prop::collection::vec(0..Setting::COUNT, 0..5)) {
        let Whose::User(aor) = &own.whose else { return Ok(()) };
        let mut mine: BTreeMap<Setting, Decision> = own.iter().map(|(setting, values)| (setting, decision(values))).collect();
        // A decision without values takes the shared one away.
        mine.extend(taken.into_iter().map(|index| (Setting::all().nth(index).unwrap(), decision(&[]))));
        let resolved = Resolved {
            user: ObjectId::from_bytes([7; 16]),
            aor: aor.clone(),
            shared: Arc::new(ResolvedSet::of(shared.iter().map(|(setting, values)| (setting, decision(values))))),
            own: mine.into_iter().collect(),
        };
        let whole = Profile::from(&resolved);
        let expect = Renderer::new().plain(&whole);
        let mut renderer = Renderer::new();
        // The first fills the cache, the second uses it.
        for _ in 0..2 {
            prop_assert_eq!(&renderer.profile(&resolved), &expect);
        }
        prop_assert_eq!(profile::read(&expect.body).unwrap(), whole);
    }

    #[test]
    fn no_bytes_panic_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), written in profiles()) {
        let _ = profile::read(&bytes);
        // A damaged document is refused or means what it says; it never panics.
        let mut body = Renderer::new().plain(&written).body.to_vec();
        let at = at.index(body.len());
        body.splice(at..(at + 1).min(body.len()), bytes.into_iter().take(3));
        let _ = profile::read(&body);
    }
}

/// A decision of these values, wherever it may come from.
fn decision(values: &[Value]) -> Decision {
    let source = Source {
        layer: Layer::Config,
        object: None,
        operator: Operator::Replace,
        generation: Generation::default(),
        at: Timestamp::default(),
    };
    Decision { values: values.into(), source }
}

/// Values that no parser gave: whatever their characters, the document is well-formed.
fn hostile_values() -> impl Strategy<Value = Vec<(Setting, Vec<Value>)>> {
    let text = || prop::collection::vec(prop_oneof![any::<char>(), prop::char::range('\0', '\u{9f}'), Just('\u{fffe}'), Just(']')], 0..20);
    let value = (text(), any::<bool>()).prop_map(|(chars, server)| {
        let text: Arc<str> = chars.into_iter().collect::<String>().into();
        if server { Value::Server(Server { priority: 0, weight: 0, uri: text }) } else { Value::Text(text) }
    });
    prop::collection::vec((0..Setting::COUNT, prop::collection::vec(value, 1..4)), 1..20)
        .prop_map(|settings| settings.into_iter().map(|(index, values)| (Setting::all().nth(index).unwrap(), values)).collect())
}

#[test]
fn output_is_well_formed_whatever_the_values_hold() {
    let mut runner = TestRunner::default();
    let mut renderer = Renderer::new();
    let mut documents = Vec::new();
    for _ in 0..400 {
        let tame = profiles().new_tree(&mut runner).unwrap().current();
        documents.push(renderer.plain(&tame).body.to_vec());
        let aor = aors().new_tree(&mut runner).unwrap().current();
        let hostile = Profile::new(aor, hostile_values().new_tree(&mut runner).unwrap().current());
        documents.push(renderer.plain(&hostile).body.to_vec());
    }
    for (document, verdict) in documents.iter().zip(xmllint(None, &documents)) {
        assert_eq!(verdict, Ok(()), "{}", String::from_utf8_lossy(document));
    }
    // The check itself can fail.
    assert!(xmllint(None, &[b"<a>\x01</a>".to_vec()])[0].is_err());
}

#[test]
fn the_whole_of_a_small_profile() {
    let value = |setting: Setting, text: &str| setting.spec().kind.parse(text).unwrap();
    let written = Profile::new(
        "sip:Anna@Corp.Example".parse::<Aor>().unwrap(),
        [
            (Setting::ACCOUNT_AOR, vec![value(Setting::ACCOUNT_AOR, "sip:Anna@Corp.Example")]),
            (Setting::SIP_REGISTRAR, vec![value(Setting::SIP_REGISTRAR, "10 50 sips:ber1.corp.example")]),
            (Setting::MEDIA_SRTP, vec![value(Setting::MEDIA_SRTP, "required")]),
        ],
    );
    let document = Renderer::new().plain(&written);
    assert_eq!(document.content_type, "application/vnd.dialcast.profile+xml");
    insta::assert_snapshot!(std::str::from_utf8(&document.body).unwrap(), @r#"<?xml version="1.0" encoding="UTF-8"?><profile xmlns="urn:oid:2.25.122554895870997544909312494017432266762.2.1" aor="sip:Anna@corp.example"><account><account.aor><value key="sip:Anna@corp.example"/></account.aor></account><telephony><sip.registrar><server uri="sips:ber1.corp.example" priority="10" weight="50"/></sip.registrar></telephony><video></video><presence></presence><media><media.srtp>required</media.srtp></media><network></network><emergency></emergency><device></device><provider></provider><access></access></profile>"#);
    insta::assert_snapshot!(document.etag, @"410b6241b0b6568d8816856e8a12aeec");
    insta::assert_snapshot!(profile::indented(&document.body).unwrap(), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<profile xmlns="urn:oid:2.25.122554895870997544909312494017432266762.2.1" aor="sip:Anna@corp.example">
  <account>
    <account.aor>
      <value key="sip:Anna@corp.example"/>
    </account.aor>
  </account>
  <telephony>
    <sip.registrar>
      <server uri="sips:ber1.corp.example" priority="10" weight="50"/>
    </sip.registrar>
  </telephony>
  <video></video>
  <presence></presence>
  <media>
    <media.srtp>required</media.srtp>
  </media>
  <network></network>
  <emergency></emergency>
  <device></device>
  <provider></provider>
  <access></access>
</profile>
"#);
}

#[test]
fn lists_have_a_limit() {
    let many: Vec<Value> = (0..2000).map(|n| Value::Text(format!("{n}").into())).collect();
    let written = Profile::new("sip:a@b".parse::<Aor>().unwrap(), [(Setting::EMERGENCY_NUMBER, many)]);
    assert_eq!(written.values(Setting::EMERGENCY_NUMBER).len(), Setting::VALUES_MAX);
    let document = Renderer::new().plain(&written);
    assert_eq!(profile::read(&document.body).unwrap(), written);
    let more = String::from_utf8(document.body.to_vec()).unwrap().replace("<value key=\"0\"/>", "<value key=\"0\"/><value key=\"5000\"/>");
    assert_eq!(profile::read(more.as_bytes()).unwrap_err().why.to_string(), "too many elements or attributes");
}

#[test]
fn every_default_is_in_some_document() {
    let defaults = Setting::all().map(|setting| (setting, setting.default_values()));
    let written = Profile::new("sip:a@b".parse::<Aor>().unwrap(), defaults);
    let document = Renderer::new().plain(&written);
    let text = std::str::from_utf8(&document.body).unwrap();
    for (setting, _) in written.iter() {
        assert!(text.contains(&format!("<{setting}")), "{setting}");
    }
    assert_eq!(profile::read(&document.body).unwrap(), written);
}
