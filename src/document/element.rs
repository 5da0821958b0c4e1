//! One setting as one XML element: the one way to write each value.

use std::borrow::Cow;

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use super::profile::distinct;
use crate::policy::catalogue::Setting;
use crate::policy::value::{Location, Value, is_forbidden};

/// The longest element or attribute name that documents have is far below this; a reader refuses what is longer.
pub(super) const NAME_MAX: usize = 64;

/// Bytes of XML, through quick-xml's writer.
pub(super) struct Output(Writer<Vec<u8>>);

impl Output {
    pub(super) fn new() -> Self {
        Self(Writer::new(Vec::with_capacity(4096)))
    }

    /// The bytes so far.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        self.0.get_mut()
    }

    pub(super) fn event<'e>(&mut self, event: impl Into<Event<'e>>) {
        let written = self.0.write_event(event);
        debug_assert!(written.is_ok(), "a Vec takes every byte");
    }

    pub(super) fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.event(Event::Start(start(name, attributes)));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.event(Event::Empty(start(name, attributes)));
    }

    pub(super) fn close(&mut self, name: &str) {
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.open(name, attributes);
        self.event(Event::Text(BytesText::new(&clean(text))));
        self.close(name);
    }

    /// The element of a setting; nothing when it has no value.
    pub(super) fn setting(&mut self, setting: Setting, values: &[Value]) {
        let name = setting.name();
        let mut values = distinct(setting, values).peekable();
        let Some(first) = values.peek() else { return };
        if setting.spec().many {
            self.open(name, &[]);
            values.for_each(|value| self.item(value));
            self.close(name);
        } else {
            self.single(name, first);
        }
    }

    /// An element of a list: it carries its key, so that patches can select it wherever it stands.
    fn item(&mut self, value: &Value) {
        match value {
            Value::Server(server) => self.empty(
                "server",
                &[("uri", &server.uri), ("priority", &server.priority.to_string()), ("weight", &server.weight.to_string())],
            ),
            Value::DialRule(rule) => self.leaf("value", &[("key", rule.pattern())], rule.template()),
            value => self.empty("value", &[("key", &text_of(value))]),
        }
    }

    fn single(&mut self, name: &str, value: &Value) {
        match value {
            Value::Location(location) => {
                self.open(name, &[]);
                match &**location {
                    Location::Civic(civic) => {
                        self.open("civic", &[]);
                        civic.elements().for_each(|(element, text)| self.leaf(element, &[], text));
                        self.close("civic");
                    }
                    Location::Geo(geo) => self.leaf("geo", &[], &geo.to_string()),
                }
                self.close(name);
            }
            Value::AccessDefault(default) => {
                self.empty(name, &[("directory", default.directory.name()), ("others", default.others.name())]);
            }
            value => self.leaf(name, &[], &text_of(value)),
        }
    }
}

fn start<'a>(name: &'a str, attributes: &[(&str, &str)]) -> BytesStart<'a> {
    let mut start = BytesStart::new(name);
    for (key, value) in attributes {
        start.push_attribute((*key, &*clean(value)));
    }
    start
}

/// The canonical text, borrowed where it is stored as such.
fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Text(text) | Value::Uri(text) => Cow::Borrowed(text),
        Value::Choice(word) => Cow::Borrowed(word),
        value => Cow::Owned(value.to_string()),
    }
}

/// XML 1.0 §2.2: not even an escape may stand for a character that the standard forbids. No value that was parsed holds
/// one; whatever comes here by another way is shown by the replacement character, and the document stays well-formed.
fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_forbidden) {
        Cow::Owned(text.chars().map(|c| if is_forbidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::value::{Server, ValueError};

    fn element(setting: Setting, values: &[Value]) -> String {
        let mut output = Output::new();
        output.setting(setting, values);
        String::from_utf8(output.bytes().clone()).unwrap()
    }

    fn check(setting: Setting, texts: &[&str], expect: &str) {
        let values: Result<Vec<Value>, ValueError> = texts.iter().map(|text| setting.spec().kind.parse(text)).collect();
        assert_eq!(element(setting, &values.unwrap()), expect);
    }

    #[test]
    fn one_way_to_write_each_value() {
        check(Setting::SIP_EXPIRES, &["1h"], "<sip.expires>3600</sip.expires>");
        check(Setting::VIDEO_ENABLED, &["FALSE"], "<video.enabled>false</video.enabled>");
        check(
            Setting::ACCOUNT_DISPLAY_NAME,
            &["  O'Neill & \"Co\" <x> "],
            "<account.display-name>O&apos;Neill &amp; &quot;Co&quot; &lt;x&gt;</account.display-name>",
        );
        check(Setting::QOS_AUDIO, &["EF"], "<qos.audio>46</qos.audio>");
        check(Setting::MEDIA_RTP_PORTS, &["1 - 2"], "<media.rtp-ports>1-2</media.rtp-ports>");
        check(Setting::MEDIA_AUDIO, &["OPUS", "g722"], r#"<media.audio><value key="opus"/><value key="G722"/></media.audio>"#);
        check(
            Setting::SIP_OUTBOUND_PROXY,
            &["10 50 sips:b.x", "20 0 sip:a.x;transport=tcp"],
            r#"<sip.outbound-proxy><server uri="sips:b.x" priority="10" weight="50"/><server uri="sip:a.x;transport=tcp" priority="20" weight="0"/></sip.outbound-proxy>"#,
        );
        check(Setting::DIAL_RULE, &["^0(.*)$→+49$1"], r#"<dial.rule><value key="^0(.*)$">+49$1</value></dial.rule>"#);
        check(Setting::ACL, &["deny contact group:CN=\"a,b\",DC=x"], r#"<acl><value key="deny contact group:CN=a\,b,DC=x"/></acl>"#);
        check(Setting::ACCESS_DEFAULT, &["prompt"], r#"<access.default directory="prompt" others="prompt"/>"#);
        check(
            Setting::EMERGENCY_LOCATION,
            &["civic:HNO=7;country=de"],
            "<emergency.location><civic><country>DE</country><HNO>7</HNO></civic></emergency.location>",
        );
        check(Setting::EMERGENCY_LOCATION, &["geo:1.0,2;u=3"], "<emergency.location><geo>1,2;u=3</geo></emergency.location>");
    }

    #[test]
    fn only_what_a_document_can_hold() {
        check(
            Setting::SIP_OUTBOUND_PROXY,
            &["@nearest(x)", "1 1 sip:a", "2 2 SIP:A"],
            r#"<sip.outbound-proxy><server uri="sip:a" priority="1" weight="1"/></sip.outbound-proxy>"#,
        );
        check(Setting::SIP_OUTBOUND_PROXY, &["@nearest(x)"], "");
        check(Setting::SIP_EXPIRES, &["60", "70"], "<sip.expires>60</sip.expires>");
        check(Setting::SIP_EXPIRES, &[], "");
    }

    #[test]
    fn forbidden_characters_never_reach_the_output() {
        let text = Value::Text("a\0b\u{1b}\u{fffe}\r\n\u{85}".into());
        assert_eq!(
            element(Setting::PROVIDER_NAME, &[text]),
            "<provider.name>a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}</provider.name>"
        );
        let server = Value::Server(Server { priority: 1, weight: 1, uri: "sip:\u{1}\"&".into() });
        assert_eq!(
            element(Setting::SIP_REGISTRAR, &[server]),
            "<sip.registrar><server uri=\"sip:\u{fffd}&quot;&amp;\" priority=\"1\" weight=\"1\"/></sip.registrar>"
        );
    }
}
