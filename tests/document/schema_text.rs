//! The XSD of profiles, made from the catalogue, so that the two cannot drift apart.

use std::collections::BTreeMap;
use std::fmt::Write;

use dialcast::document::profile::NAMESPACE;
use dialcast::policy::catalogue::{Scope, Setting};
use dialcast::policy::value::{Civic, ValueKind};

/// The whole schema.
pub(crate) fn schema() -> String {
    let mut out = String::new();
    let mut named = BTreeMap::new();
    let mut root = String::new();
    for scope in Scope::ALL {
        writeln!(root, "        <xs:element name=\"{scope}\" type=\"p:{scope}-settings\"/>").unwrap();
    }
    let scopes: String = Scope::ALL.into_iter().map(|scope| scope_type(scope, &mut named)).collect();
    write!(
        out,
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- The profiles that Dialcast sends to phones (application/vnd.dialcast.profile+xml): a user's says whose it is by `aor`, that of a
     network or a device what it is by `type`.
     Made from src/policy/catalogue.rs; rewrite it by UPDATE_SCHEMAS=1 cargo test. docs/settings.md says what each setting does. -->
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:p="{NAMESPACE}" targetNamespace="{NAMESPACE}" elementFormDefault="qualified">

  <xs:element name="profile">
    <xs:complexType>
      <xs:sequence>
{root}      </xs:sequence>
      <xs:attribute name="aor" type="p:sip-uri"/>
      <xs:attribute name="type">
        <xs:simpleType><xs:restriction base="xs:string"><xs:enumeration value="local-network"/><xs:enumeration value="device"/></xs:restriction></xs:simpleType>
      </xs:attribute>
    </xs:complexType>
    <!-- Exactly one of them. -->
    <xs:key name="whose"><xs:selector xpath="."/><xs:field xpath="@aor|@type"/></xs:key>
  </xs:element>

{scopes}"#
    )
    .unwrap();
    for text in named.values() {
        writeln!(out, "{text}").unwrap();
    }
    out.push_str("</xs:schema>\n");
    out
}

fn scope_type(scope: Scope, named: &mut BTreeMap<String, String>) -> String {
    let mut out = format!("  <xs:complexType name=\"{scope}-settings\">\n    <xs:sequence>\n");
    for setting in Setting::of(scope) {
        element(setting, named, &mut out);
    }
    out.push_str("    </xs:sequence>\n  </xs:complexType>\n\n");
    out
}

fn element(setting: Setting, named: &mut BTreeMap<String, String>, out: &mut String) {
    let spec = setting.spec();
    let name = spec.name;
    let type_name = type_name(spec.kind);
    named.entry(type_name.clone()).or_insert_with(|| definition(spec.kind, &type_name));
    let doc = format!("<xs:annotation><xs:documentation>{}</xs:documentation></xs:annotation>", escape(spec.doc));
    if !spec.many {
        writeln!(out, "      <xs:element name=\"{name}\" type=\"p:{type_name}\" minOccurs=\"0\">{doc}</xs:element>").unwrap();
        return;
    }
    let (item, key, item_type) = match spec.kind {
        ValueKind::Server(_) => ("server", "uri", type_name),
        ValueKind::DialRule => ("value", "key", type_name),
        _ => {
            // The type of the key is the type of the value; the element itself is empty.
            let listed = format!("listed-{type_name}");
            let text = format!(
                "  <xs:complexType name=\"{listed}\">\n    <xs:attribute name=\"key\" type=\"p:{type_name}\" use=\"required\"/>\n  </xs:complexType>\n"
            );
            named.insert(listed.clone(), text);
            ("value", "key", listed)
        }
    };
    write!(
        out,
        r#"      <xs:element name="{name}" minOccurs="0">
        {doc}
        <xs:complexType>
          <xs:sequence>
            <xs:element name="{item}" type="p:{item_type}" maxOccurs="{max}"/>
          </xs:sequence>
        </xs:complexType>
        <xs:key name="key.{name}"><xs:selector xpath="p:{item}"/><xs:field xpath="@{key}"/></xs:key>
      </xs:element>
"#,
        max = Setting::VALUES_MAX,
    )
    .unwrap();
}

/// The name of the type in the schema: kinds that carry their own bounds get them into the name.
fn type_name(kind: ValueKind) -> String {
    match kind {
        ValueKind::Choice(words) => format!("choice-{}", words.join("-or-")),
        ValueKind::Seconds { min, max } => format!("seconds-{min}-to-{max}"),
        ValueKind::Server(schemes) => format!("server-{}", schemes.join("-or-")),
        kind => kind.name().to_owned(),
    }
}

/// Characters of a URI (RFC 3986 §2): printable ASCII without the ones that it excludes.
const URI: &str = r"[!#-;=?-\[\]_a-z~]+";
const HOST: &str = r"[0-9a-z_.:\-]{1,253}";
const SUBJECT: &str = r"(any|(group|ou):.+=.*|user:(sip:.+@.+|.+=.*)|domain:[0-9a-z_.:\[\]\-]{1,253})";

fn definition(kind: ValueKind, name: &str) -> String {
    let pattern = |pattern: &str, max: usize| {
        format!(
            "<xs:restriction base=\"xs:string\"><xs:maxLength value=\"{max}\"/><xs:pattern value=\"{}\"/></xs:restriction>",
            escape(pattern)
        )
    };
    let number = |min: u64, max: u64| {
        format!(
            "<xs:restriction base=\"xs:unsignedInt\"><xs:minInclusive value=\"{min}\"/><xs:maxInclusive value=\"{max}\"/><xs:pattern value=\"0|[1-9][0-9]*\"/></xs:restriction>"
        )
    };
    let words = |words: &[&str]| {
        let values: String = words.iter().flat_map(|word| ["<xs:enumeration value=\"", word, "\"/>"]).collect();
        format!("<xs:restriction base=\"xs:string\">{values}</xs:restriction>")
    };
    let max = kind.octets_max();
    let uri = |schemes: &[&str]| pattern(&format!("({}):{URI}", schemes.join("|")), max);
    let day = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
    let time = "([01][0-9]|2[0-3]):[0-5][0-9]";
    let simple = match kind {
        ValueKind::Text => pattern(r"\S(.*\S)?", max),
        ValueKind::Bool => words(&["true", "false"]),
        ValueKind::Choice(list) => words(list),
        ValueKind::Seconds { min, max } => number(min.into(), max.into()),
        ValueKind::Pixels => number(1, 8640),
        ValueKind::Kbits => number(0, 1_000_000_000),
        ValueKind::Dscp => number(0, 63),
        ValueKind::Ports => pattern(r"[1-9][0-9]{0,4}-[1-9][0-9]{0,4}", 11),
        ValueKind::Codec => pattern(r"[!#$%&'*+\-.\^_`{|}~0-9A-Za-z]{1,64}(/[1-9][0-9]{0,6}(/[1-9][0-9]{0,2})?)?", max),
        ValueKind::DialString => pattern(r"\+?[0-9*#]+", 32),
        ValueKind::Host => pattern(HOST, 253),
        ValueKind::Zone => pattern(r"[A-Za-z][0-9A-Za-z_+\-]*(/[A-Za-z][0-9A-Za-z_+\-]*)*", 64),
        ValueKind::Language => pattern(r"([a-z]{2,8}|x)(-[0-9A-Za-z]{1,8})*", 64),
        ValueKind::Country => pattern("[A-Z]{2}", 2),
        ValueKind::Sha256 => pattern("[0-9a-f]{64}", 64),
        ValueKind::Window => pattern(&format!("({day}(,{day})* )?{time}-{time}"), max),
        ValueKind::SipUri => uri(&["sip", "sips"]),
        ValueKind::TelUri => pattern(&format!(r"tel:(\+[0-9]{{1,32}}(;{URI})?|[0-9A-F*#]{{1,32}};{URI})"), max),
        ValueKind::CallUri => uri(&["sip", "sips", "tel"]),
        ValueKind::HttpsUri => uri(&["https"]),
        ValueKind::LdapUri => uri(&["ldap", "ldaps"]),
        ValueKind::Uri => pattern(&format!(r"[a-z][0-9a-z+.\-]*:{URI}"), max),
        ValueKind::Ace => pattern(&format!("(allow|deny|polite|prompt) (presence|contact|all) {SUBJECT}"), max),
        ValueKind::Server(schemes) => return server(name, schemes, &pattern(&format!("({}):{URI}", schemes.join("|")), max)),
        ValueKind::DialRule => return dial_rule(name, &pattern(r"\S(.*\S)?", 256), &pattern(r"[!#-;=?-\[\]_a-{}~]+", max)),
        ValueKind::Location => return location(name, &pattern(r"\S([^;]*[^;\s])?", 256)),
        ValueKind::AccessDefault => return access_default(name, &words(&["allow", "deny", "polite", "prompt"])),
    };
    format!("  <xs:simpleType name=\"{name}\">\n    {simple}\n  </xs:simpleType>\n")
}

fn server(name: &str, schemes: &[&str], uri: &str) -> String {
    format!(
        r#"  <!-- A server of {}: lower priorities are tried first, weights share the load within one (RFC 2782). -->
  <xs:complexType name="{name}">
    <xs:attribute name="uri" use="required"><xs:simpleType>{uri}</xs:simpleType></xs:attribute>
    <xs:attribute name="priority" type="xs:unsignedShort" use="required"/>
    <xs:attribute name="weight" type="xs:unsignedShort" use="required"/>
  </xs:complexType>
"#,
        schemes.join(", ")
    )
}

fn dial_rule(name: &str, key: &str, template: &str) -> String {
    format!(
        r#"  <!-- The key is the pattern, a regular expression; the content is what is dialled instead. -->
  <xs:complexType name="{name}">
    <xs:simpleContent>
      <xs:extension base="p:{name}-template">
        <xs:attribute name="key" use="required"><xs:simpleType>{key}</xs:simpleType></xs:attribute>
      </xs:extension>
    </xs:simpleContent>
  </xs:complexType>

  <xs:simpleType name="{name}-template">
    {template}
  </xs:simpleType>
"#
    )
}

fn location(name: &str, text: &str) -> String {
    let mut elements = String::new();
    for element in Civic::ELEMENTS.iter().skip(1) {
        writeln!(elements, "            <xs:element name=\"{element}\" type=\"p:{name}-text\" minOccurs=\"0\"/>").unwrap();
    }
    let decimal = r"-?[0-9]{1,6}(\.[0-9]{1,7})?";
    format!(
        r#"  <!-- An address with the elements of RFC 5139, or a point of RFC 5870 (WGS 84) without its scheme. -->
  <xs:complexType name="{name}">
    <xs:choice>
      <xs:element name="civic">
        <xs:complexType>
          <xs:sequence>
            <xs:element name="country" type="p:country"/>
{elements}          </xs:sequence>
        </xs:complexType>
      </xs:element>
      <xs:element name="geo">
        <xs:simpleType><xs:restriction base="xs:string"><xs:pattern value="{decimal},{decimal}(,{decimal})?(;u=[0-9]{{1,7}}(\.[0-9]{{1,2}})?)?"/></xs:restriction></xs:simpleType>
      </xs:element>
    </xs:choice>
  </xs:complexType>

  <xs:simpleType name="{name}-text">
    {text}
  </xs:simpleType>
"#
    )
}

fn access_default(name: &str, verdicts: &str) -> String {
    format!(
        r#"  <!-- What holds for those whom no entry of acl names. -->
  <xs:complexType name="{name}">
    <xs:attribute name="directory" type="p:{name}-verdict" use="required"/>
    <xs:attribute name="others" type="p:{name}-verdict" use="required"/>
  </xs:complexType>

  <xs:simpleType name="{name}-verdict">
    {verdicts}
  </xs:simpleType>
"#
    )
}

fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}
