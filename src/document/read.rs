//! Reading a profile back: typed values, or an error that says where.
//!
//! Strict in what it knows: order, types, keys, no attribute or text where none belongs. An element of the namespace
//! that it does not know is skipped and named in [`Profile::unknown`], since a server may be newer than a phone.

use super::profile::{Profile, Whose};
use super::tree::{Node, ReadError, Unread, cut, parse};
use crate::model::Aor;
use crate::policy::catalogue::{Scope, Setting};
use crate::policy::value::{AccessDefault, Civic, DialRule, Location, Value, ValueError, ValueKind, Verdict, Why};

/// Reads a profile document.
pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let root = parse(bytes)?;
    if root.name != "profile" {
        return Err(Unread::Root(root.name).at(root.offset));
    }
    let whose = whose(&root)?;
    let mut settings = Vec::new();
    let mut unknown = Vec::new();
    let mut last_scope = None;
    for node in root.only_children()? {
        let Some(scope) = Scope::ALL.into_iter().find(|scope| scope.name() == node.name) else {
            unknown.push(node.name.clone());
            continue;
        };
        if last_scope.replace(scope).is_some_and(|last| last >= scope) {
            return Err(Unread::Order(node.name.clone()).at(node.offset));
        }
        read_scope(scope, node, &mut settings, &mut unknown)?;
    }
    let mut profile = Profile::new(whose, settings);
    profile.unknown = unknown;
    Ok(profile)
}

/// A user's profile has the address of record, and another one says what it is.
fn whose(root: &Node) -> Result<Whose, ReadError> {
    if root.attributes.iter().all(|(name, _)| name != "type") {
        let [aor] = root.only_attributes(["aor"])?;
        let aor: Aor = aor.parse().map_err(|error: crate::model::AorError| Unread::Aor(error.to_string()).at(root.offset))?;
        return Ok(Whose::User(aor));
    }
    let [kind] = root.only_attributes(["type"])?;
    let known = [Whose::LocalNetwork, Whose::Device].into_iter().find(|whose| whose.kind() == Some(kind));
    known.ok_or_else(|| Unread::Type(cut(kind)).at(root.offset))
}

fn read_scope(scope: Scope, node: &Node, settings: &mut Vec<(Setting, Vec<Value>)>, unknown: &mut Vec<String>) -> Result<(), ReadError> {
    let [] = node.only_attributes([])?;
    let mut last = None;
    for node in node.only_children()? {
        // Exact: `Setting::named` takes any case, and XML does not.
        let Some(setting) = Setting::named(&node.name).filter(|setting| setting.name() == node.name) else {
            unknown.push(node.name.clone());
            continue;
        };
        if setting.spec().scope != scope {
            return Err(node.misplaced());
        }
        if last.replace(setting).is_some_and(|last| last >= setting) {
            return Err(Unread::Order(node.name.clone()).at(node.offset));
        }
        let values = if setting.spec().many { read_list(setting, node)? } else { vec![read_single(setting, node)?] };
        settings.push((setting, values));
    }
    Ok(())
}

fn read_list(setting: Setting, node: &Node) -> Result<Vec<Value>, ReadError> {
    let [] = node.only_attributes([])?;
    let children = node.only_children()?;
    if children.len() > Setting::VALUES_MAX {
        return Err(Unread::Count.at(node.offset));
    }
    let mut values: Vec<Value> = Vec::with_capacity(children.len());
    for child in children {
        let value = read_item(setting, child)?;
        if values.iter().any(|held| held.is_same_element(&value)) {
            return Err(Unread::Twice(cut(&value.to_string())).at(child.offset));
        }
        values.push(value);
    }
    Ok(values)
}

fn read_item(setting: Setting, node: &Node) -> Result<Value, ReadError> {
    match setting.spec().kind {
        ValueKind::Server(_) if node.name == "server" => {
            let [uri, priority, weight] = node.only_attributes(["uri", "priority", "weight"])?;
            empty(node)?;
            value(setting, &format!("{priority} {weight} {uri}"), node)
        }
        ValueKind::DialRule if node.name == "value" => {
            let [pattern] = node.only_attributes(["key"])?;
            typed(setting, DialRule::new(pattern, node.only_text()?).map(Value::DialRule), node)
        }
        ValueKind::Server(_) | ValueKind::DialRule => Err(node.misplaced()),
        _ if node.name == "value" => {
            let [key] = node.only_attributes(["key"])?;
            empty(node)?;
            value(setting, key, node)
        }
        _ => Err(node.misplaced()),
    }
}

fn read_single(setting: Setting, node: &Node) -> Result<Value, ReadError> {
    match setting.spec().kind {
        ValueKind::Location => {
            let [] = node.only_attributes([])?;
            match node.only_children()? {
                [civic] if civic.name == "civic" => typed(setting, read_civic(civic)?, civic),
                [geo] if geo.name == "geo" => {
                    let [] = geo.only_attributes([])?;
                    value(setting, &format!("geo:{}", geo.only_text()?), geo)
                }
                [] => Err(Unread::Missing("civic").at(node.offset)),
                [.., last] => Err(last.misplaced()),
            }
        }
        ValueKind::AccessDefault => {
            let [directory, others] = node.only_attributes(["directory", "others"])?;
            empty(node)?;
            let default = Verdict::parse(directory)
                .and_then(|directory| Ok(Value::AccessDefault(AccessDefault { directory, others: Verdict::parse(others)? })));
            typed(setting, default, node)
        }
        _ => {
            let [] = node.only_attributes([])?;
            value(setting, node.only_text()?, node)
        }
    }
}

fn read_civic(node: &Node) -> Result<Result<Value, Why>, ReadError> {
    let [] = node.only_attributes([])?;
    let mut elements = Vec::new();
    for child in node.only_children()? {
        let [] = child.only_attributes([])?;
        elements.push((child.name.as_str(), child.only_text()?));
    }
    Ok(Civic::new(elements).map(|civic| Value::Location(Location::Civic(civic).into())))
}

/// No text but layout, and no children.
fn empty(node: &Node) -> Result<(), ReadError> {
    node.only_children()?.first().map_or(Ok(()), |child| Err(child.misplaced()))
}

fn value(setting: Setting, text: &str, node: &Node) -> Result<Value, ReadError> {
    setting.spec().kind.parse(text).map_err(|error| Unread::Value(setting.name(), error).at(node.offset))
}

fn typed(setting: Setting, parsed: Result<Value, Why>, node: &Node) -> Result<Value, ReadError> {
    let kind = setting.spec().kind;
    let error = |why| ValueError { why, expected: kind.expected(), example: kind.example() };
    parsed.map_err(|why| Unread::Value(setting.name(), error(why)).at(node.offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A profile with these scopes.
    fn document(scopes: &str) -> String {
        format!(r#"<profile xmlns="{}" aor="sip:anna@corp.example">{scopes}</profile>"#, super::super::profile::NAMESPACE)
    }

    fn refused(text: &str) -> String {
        read(text.as_bytes()).unwrap_err().why.to_string()
    }

    #[test]
    fn layout_comments_and_escapes_do_not_count() {
        let text = format!(
            "\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<!-- x --><d:profile xmlns:d=\"{}\" aor=\"sip:anna&#64;corp.example\">\n <d:account>\n  \
             <d:account.display-name>A&#x6e;n<!-- x -->a &amp; &lt;B&gt;</d:account.display-name></d:account>\n <d:media><d:media.audio>\n<d:value key='opus'></d:value> \
             </d:media.audio></d:media></d:profile>\n",
            super::super::profile::NAMESPACE
        );
        let profile = read(text.as_bytes()).unwrap();
        assert_eq!(profile.whose, Whose::User("sip:anna@corp.example".parse().unwrap()));
        let shown: Vec<String> = profile.iter().map(|(setting, values)| format!("{setting} {}", values[0])).collect();
        assert_eq!(shown, ["account.display-name Anna & <B>", "media.audio opus"]);
        assert!(profile.unknown.is_empty());
    }

    #[test]
    fn what_a_newer_server_adds_is_skipped_and_named() {
        let profile = read(
            document("<account><account.shoe-size eu='43'><x>1</x></account.shoe-size><account.realm>x</account.realm></account><games/>")
                .as_bytes(),
        )
        .unwrap();
        assert_eq!(profile.unknown, ["account.shoe-size", "games"]);
        assert_eq!(profile.values(Setting::ACCOUNT_REALM).len(), 1);
    }

    #[test]
    fn shape() {
        let check = |scopes: &str| refused(&document(scopes));
        insta::assert_snapshot!(check("<media/><account/>"), @"`account` is out of order");
        insta::assert_snapshot!(check("<account/><account/>"), @"`account` is out of order");
        insta::assert_snapshot!(check("<media><sip.expires>60</sip.expires></media>"), @"`sip.expires` does not belong there");
        insta::assert_snapshot!(check("<telephony><sip.expires>60</sip.expires><sip.expires>60</sip.expires></telephony>"), @"`sip.expires` is out of order");
        insta::assert_snapshot!(check("<telephony><sip.expires>60</sip.expires><sip.transport><value key='tls'/></sip.transport></telephony>"), @"`sip.transport` is out of order");
        insta::assert_snapshot!(check("text"), @"`text` does not belong there");
        insta::assert_snapshot!(check("<telephony>text</telephony>"), @"`text` does not belong there");
        insta::assert_snapshot!(check("<telephony order='1'/>"), @"`order` does not belong there");
        insta::assert_snapshot!(check("<telephony><sip.expires unit='s'>60</sip.expires></telephony>"), @"`unit` does not belong there");
        insta::assert_snapshot!(check("<telephony><sip.expires>60<x/></sip.expires></telephony>"), @"`x` does not belong there");
        insta::assert_snapshot!(check("<media><media.audio><server uri='sip:x' priority='1' weight='1'/></media.audio></media>"), @"`server` does not belong there");
        insta::assert_snapshot!(check("<media><media.audio><value/></media.audio></media>"), @"`key` is missing");
        insta::assert_snapshot!(check("<media><media.audio><value key='opus'>PCMA</value></media.audio></media>"), @"`PCMA` does not belong there");
        insta::assert_snapshot!(check("<media><media.audio><value key='opus'/><value key='OPUS'/></media.audio></media>"), @"`opus` stands twice in its list");
        insta::assert_snapshot!(check("<telephony><sip.registrar><server uri='sip:x' priority='1'/></sip.registrar></telephony>"), @"`weight` is missing");
        insta::assert_snapshot!(check("<emergency><emergency.location/></emergency>"), @"`civic` is missing");
        insta::assert_snapshot!(check("<emergency><emergency.location><geo>1,2</geo><geo>1,2</geo></emergency.location></emergency>"), @"`geo` does not belong there");
        insta::assert_snapshot!(check("<emergency><emergency.location><civic><A1>Berlin</A1></civic></emergency.location></emergency>"), @"emergency.location: `country` is missing; expected `geo:latitude,longitude` (RFC 5870) or `civic:country=…;A1=…` with the elements of RFC 5139, for example `civic:country=DE;A1=Berlin;RD=Unter den Linden;HNO=77`");
    }

    #[test]
    fn whose_it_is() {
        let read = |attributes: &str| read(format!(r#"<profile xmlns="{}" {attributes}/>"#, super::super::profile::NAMESPACE).as_bytes());
        assert_eq!(read("type='local-network'").unwrap().whose, Whose::LocalNetwork);
        assert_eq!(read("type='device'").unwrap().whose, Whose::Device);
        let refused = |attributes: &str| read(attributes).unwrap_err().why.to_string();
        insta::assert_snapshot!(refused("type='user'"), @"`user` is no type of profile");
        insta::assert_snapshot!(refused("type='device' aor='sip:anna@corp.example'"), @"`aor` does not belong there");
        insta::assert_snapshot!(refused("aor='anna'"), @"the address of record: `anna` does not begin with `sip:` or `sips:`");
        insta::assert_snapshot!(refused(""), @"`aor` is missing");
    }

    #[test]
    fn types() {
        let check = |scopes: &str| refused(&document(scopes));
        insta::assert_snapshot!(check("<telephony><sip.expires>soon</sip.expires></telephony>"), @"sip.expires: `soon` does not fit; expected a duration from 30 to 604800 seconds, for example `30m`");
        insta::assert_snapshot!(check("<telephony><sip.expires/></telephony>"), @"sip.expires: the value is empty; expected a duration from 30 to 604800 seconds, for example `30m`");
        insta::assert_snapshot!(check("<telephony><sip.registrar><server uri='@nearest(x)' priority='1' weight='1'/></sip.registrar></telephony>"), @"sip.registrar: `@nearest(x)` does not fit; expected `priority weight URI` with a URI of `sip`, `sips`, or `@nearest(role)`, for example `10 50 sips:ber1.corp.example`");
        insta::assert_snapshot!(check("<telephony><dial.rule><value key='^0(.*)$'>$2</value></dial.rule></telephony>"), @"dial.rule: the template refers to `$2`, and the pattern has no such group; expected `pattern -> template`, the pattern a regular expression and the template what is dialled instead, for example `^0([1-9][0-9]*)$ -> +49$1`");
        insta::assert_snapshot!(check("<access><access.default directory='allow' others='never'/></access>"), @"access.default: `never` does not fit; expected `allow|deny|polite|prompt` for everybody, or for `directory` and `others` each, for example `allow directory, prompt others`");
        insta::assert_snapshot!(check("<provider><provider.name>a&#10;b</provider.name></provider>"), @"provider.name: the value holds the character U+000A, which no document can carry; expected one line of text, for example `Anna Weber`");
    }

    #[test]
    fn hostile() {
        insta::assert_snapshot!(refused("<!DOCTYPE profile [<!ENTITY a 'b'>]><profile/>"), @"a document type declaration is refused");
        insta::assert_snapshot!(refused(&document("<account>&a;</account>")), @"not well-formed: the entity `a` is unknown");
        insta::assert_snapshot!(refused(&document("<account>&#0;</account>")), @"not well-formed: invalid character reference: 0x0 character is not permitted in XML");
        insta::assert_snapshot!(refused(&document("<account>&#xFFFE;</account>")), @"the character U+FFFE is forbidden");
        insta::assert_snapshot!(refused(&document("<account>\u{1}</account>")), @"the character U+0001 is forbidden");
        insta::assert_snapshot!(refused(&document("<account><![CDATA[x]]></account>")), @"a processing instruction or CDATA section is refused");
        insta::assert_snapshot!(refused(&document("<?php x?>")), @"a processing instruction or CDATA section is refused");
        insta::assert_snapshot!(refused(&document("<account>")), @"not well-formed: ill-formed document: expected `</account>`, but `</profile>` was found");
        insta::assert_snapshot!(refused(&document(&"<a>".repeat(9))), @"nested deeper than 8 elements");
        insta::assert_snapshot!(refused(&document(&"<a/>".repeat(20_000))), @"too many elements or attributes");
        insta::assert_snapshot!(refused(&document(&" ".repeat(1 << 20))), @"the document is larger than 1048576 octets");
        insta::assert_snapshot!(refused(&document(&format!("<{}/>", "a".repeat(65)))), @"a name of unusual length or characters");
        insta::assert_snapshot!(refused(&document("<account a='<'/>")), @"not well-formed: `<` in an attribute value");
        insta::assert_snapshot!(refused(&document("<account a='1' a='2'/>")), @"not well-formed: position 14: duplicated attribute, previous declaration at position 8");
        insta::assert_snapshot!(refused(&document("<account xmlns='urn:x'/>")), @"`account` is not in the namespace of profiles");
        insta::assert_snapshot!(refused(&format!("{}{}", document(""), document(""))), @"`profile` does not belong there");
        insta::assert_snapshot!(refused(&format!("{}x", document(""))), @"`x` does not belong there");
        insta::assert_snapshot!(refused("<profile aor='sip:anna@corp.example'/>"), @"`profile` is not in the namespace of profiles");
        insta::assert_snapshot!(refused(""), @"not well-formed: the document ends early");
        insta::assert_snapshot!(refused("<?xml version='1.0' encoding='latin1'?><profile/>"), @"the document is not UTF-8");
        insta::assert_snapshot!(read(b"<profile\xff").unwrap_err(), @"octet 8: the document is not UTF-8");
    }
}
