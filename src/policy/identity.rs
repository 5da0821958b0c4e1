//! Who a user is: addresses, numbers and names from the attributes that directories have anyway.
//!
//! Together with the H.350.4 attributes they are the lowest part of the user's own layer: policy lines on the user beat
//! them, and they beat everything that is not enforced from outside.

use std::sync::Arc;

use super::calendar::generalized_time;
use super::catalogue::Setting;
use super::grammar::warning;
use super::object::HeldFault;
use super::value::{Value, ValueKind};
use crate::model::{Aor, Attributes};

/// Which attributes say who a user is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConfig {
    /// Addresses of record come from the first of these that has one. Values of another scheme (`smtp:`) do not count, and
    /// a value without a scheme (mail) is taken as `sip:`.
    pub aor: Vec<String>,
    /// Telephone numbers come from all of these.
    pub tel: Vec<String>,
    /// The display name comes from the first of these that is there.
    pub display_name: Vec<String>,
    /// A device is known by the MAC addresses and instance ids in all of these.
    pub device: Vec<String>,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            aor: owned(&["SIPIdentitySIPURI", "msRTCSIP-PrimaryUserAddress", "proxyAddresses", "mail"]),
            tel: owned(&["telephoneNumber", "ipPhone"]),
            display_name: owned(&["displayName", "cn"]),
            device: owned(&["macAddress", "serialNumber"]),
        }
    }
}

/// What an attribute says about a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given<'a> {
    pub(crate) setting: Setting,
    pub(crate) attribute: &'a str,
    pub(crate) values: Arc<[Value]>,
}

/// The most values of one identity attribute that are read: past any person's addresses.
const VALUES_MAX: usize = 100;

/// The user's addresses, sorted, each once; the first is the primary one, and also comes by itself.
pub(crate) fn addresses<'a>(config: &'a IdentityConfig, attributes: &Attributes, faults: &mut Vec<HeldFault>) -> Option<(Aor, Given<'a>)> {
    for attribute in &config.aor {
        let mut aors: Vec<(Aor, Value)> = Vec::new();
        for text in attributes.texts(attribute).take(VALUES_MAX) {
            let text = text.trim();
            let address = match scheme(text) {
                Some(scheme) if scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips") => text.parse::<Aor>(),
                Some(_) => continue,
                None => format!("sip:{text}").parse(),
            };
            match address {
                Ok(aor) => aors.extend(canonical(aor, attribute, faults)),
                Err(error) => {
                    let remedy = "write `sip:user@domain`; until then the next address or attribute is used";
                    held(faults, attribute, text, warning("identity.aor", 0, error.to_string(), remedy.into()));
                }
            }
        }
        aors.sort_by(|(one, _), (other, _)| one.cmp(other));
        aors.dedup_by(|(again, _), (first, _)| again == first);
        if let Some((primary, _)) = aors.first() {
            let primary = primary.clone();
            let values = aors.into_iter().map(|(_, value)| value).collect();
            return Some((primary, Given { setting: Setting::ACCOUNT_AOR, attribute, values }));
        }
    }
    None
}

/// An address as the value of `account.aor` has it, and that value.
fn canonical(aor: Aor, attribute: &str, faults: &mut Vec<HeldFault>) -> Option<(Aor, Value)> {
    if is_plain(aor.as_str()) {
        let value = Value::Uri(aor.shared_text());
        return Some((aor, value));
    }
    match Setting::ACCOUNT_AOR.spec().kind.parse(aor.as_str()) {
        Ok(value) => Some((value.to_string().parse().unwrap_or(aor), value)),
        Err(error) => {
            let remedy = format!("write {}", error.expected);
            held(faults, attribute, aor.as_str(), warning("identity.aor", 0, error.why.to_string(), remedy));
            None
        }
    }
}

/// Whether a URI is canonical at first sight, as nearly all are: `sip:` with a user of letters, digits, dots and hyphens at a
/// domain in lower case. The parser of values would give it back as it is, and take ten times as long.
fn is_plain(uri: &str) -> bool {
    let Some((user, host)) = uri.strip_prefix("sip:").and_then(|rest| rest.split_once('@')) else { return false };
    let is_label = |label: &str| {
        let begins = label.starts_with(|c: char| c.is_ascii_lowercase());
        begins && label.len() < 64 && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let is_user = !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    is_user && host.len() < 200 && host.split('.').all(is_label)
}

/// Whether a telephone URI is canonical at first sight: a global number of digits.
fn is_plain_tel(uri: &str) -> bool {
    let digits = uri.strip_prefix("tel:+").unwrap_or_default();
    !digits.is_empty() && digits.len() <= 32 && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Everything else that the user's attributes say. `domain` is that of the primary address.
pub(crate) fn others<'a>(
    config: &'a IdentityConfig,
    attributes: &Attributes,
    domain: &str,
    faults: &mut Vec<HeldFault>,
    give: &mut impl FnMut(Given<'a>),
) {
    if let Some(attribute) = config.display_name.iter().find(|attribute| attributes.text(attribute).is_some()) {
        text(attributes, attribute, Setting::ACCOUNT_DISPLAY_NAME, faults, give);
    }
    telephones(config, attributes, domain, faults, give);
    text(attributes, "SIPIdentityUserName", Setting::ACCOUNT_AUTH_USER, faults, give);
    // H.350.4 §4: an address is a URI or a bare host; it has no priority and no weight.
    for (attribute, setting) in
        [("SIPIdentityRegistrarAddress", Setting::SIP_REGISTRAR), ("SIPIdentityProxyAddress", Setting::SIP_OUTBOUND_PROXY)]
    {
        let mut values = Vec::new();
        for text in attributes.texts(attribute).take(VALUES_MAX) {
            let text = text.trim();
            let uri = if scheme(text).is_some() { format!("10 0 {text}") } else { format!("10 0 sip:{text}") };
            match setting.spec().kind.parse(&uri) {
                Ok(value) => values.push(value),
                Err(error) => {
                    let remedy = "write a host, host:port, or a `sip:` or `sips:` URI";
                    held(faults, attribute, text, warning("identity.server", 0, error.why.to_string(), remedy.into()));
                }
            }
        }
        if !values.is_empty() {
            values.sort_by_cached_key(Value::to_string);
            give(Given { setting, attribute, values: values.into() });
        }
    }
}

/// A setting that is the text of an attribute.
fn text<'a>(attributes: &Attributes, attribute: &'a str, setting: Setting, faults: &mut Vec<HeldFault>, give: &mut impl FnMut(Given<'a>)) {
    let Some(text) = attributes.text(attribute) else { return };
    match setting.spec().kind.parse(text) {
        Ok(value) => give(Given { setting, attribute, values: [value].into() }),
        Err(error) => {
            let remedy = format!("write {}", error.expected);
            held(faults, attribute, text, warning("identity.text", 0, error.why.to_string(), remedy));
        }
    }
}

fn telephones<'a>(
    config: &'a IdentityConfig,
    attributes: &Attributes,
    domain: &str,
    faults: &mut Vec<HeldFault>,
    give: &mut impl FnMut(Given<'a>),
) {
    let mut tels: Vec<Value> = Vec::new();
    let mut from = None;
    for attribute in &config.tel {
        let mut some: Vec<Value> = Vec::new();
        for text in attributes.texts(attribute).take(VALUES_MAX) {
            // An ipPhone may hold a SIP address: another identity, and not a number.
            let Some(uri) = tel_uri(text.trim(), domain) else { continue };
            if is_plain_tel(&uri) {
                some.push(Value::Uri(uri.into()));
                continue;
            }
            match ValueKind::TelUri.parse(&uri) {
                Ok(value) => some.push(value),
                Err(error) => {
                    let remedy = format!("write the number as +49 30 12345, or as {}", error.expected);
                    held(faults, attribute, text, warning("identity.tel", 0, error.why.to_string(), remedy));
                }
            }
        }
        if some.len() > 1 {
            some.sort_by_cached_key(Value::to_string);
        }
        for value in some {
            if !tels.iter().any(|held| held.is_same_element(&value)) {
                from.get_or_insert(attribute.as_str());
                tels.push(value);
            }
        }
    }
    if let Some(attribute) = from {
        give(Given { setting: Setting::ACCOUNT_TEL, attribute, values: tels.into() });
    }
}

/// A telephone number as people write it, as a `tel:` URI (RFC 3966); `None` for what another scheme says.
///
/// The URI may still be wrong: its parser says so, and what.
fn tel_uri(text: &str, domain: &str) -> Option<String> {
    match scheme(text) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel") => return Some(text.to_owned()),
        Some(_) => return None,
        None => {}
    }
    let (number, extension) = split_extension(text);
    // `+49 (0)30 …`: the zero is dialled inside the country only (DIN 5008, and half of all directories).
    let (before, after) = if number.starts_with('+') { number.split_once("(0)").unwrap_or((number, "")) } else { (number, "") };
    let mut uri = String::with_capacity(number.len() + 32);
    uri.push_str("tel:");
    // RFC 3966 §3: visual separators do not count; `/` and spaces are what people write instead.
    uri.extend(before.chars().chain(after.chars()).filter(|c| !(c.is_whitespace() || matches!(c, '-' | '.' | '(' | ')' | '/'))));
    if let Some(extension) = extension {
        uri.push_str(";ext=");
        uri.extend(extension.chars().filter(|c| !c.is_whitespace()));
    }
    if !number.starts_with('+') {
        // RFC 3966 §5.1.5: a local number says where it is local.
        uri.push_str(";phone-context=");
        uri.push_str(if domain.ends_with(']') { domain } else { domain.split(':').next().unwrap_or(domain) });
    }
    Some(uri)
}

/// `… x12`, `… ext. 12`: an extension.
fn split_extension(text: &str) -> (&str, Option<&str>) {
    let Some(at) = text.find(['x', 'X', 'e', 'E']) else { return (text, None) };
    let (number, rest) = text.split_at(at);
    let lower = rest.to_ascii_lowercase();
    let Some(length) = ["extension", "ext.", "ext", "x"].iter().find(|word| lower.starts_with(**word)).map(|word| word.len()) else {
        return (text, None);
    };
    let digits = rest.get(length..).unwrap_or_default().trim();
    let is_extension = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if is_extension { (number.trim_end(), Some(digits)) } else { (text, None) }
}

/// The URI scheme at the beginning (RFC 3986 §3.1), without the colon. A host and port (`reg.corp.example:5061`) and a
/// mailbox have none.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let shape = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-'));
    (shape && !rest.bytes().all(|b| b.is_ascii_digit())).then_some(scheme)
}

/// When the entry was made, in milliseconds since 1970, where the directory says.
pub(crate) fn created(attributes: &Attributes) -> Option<i64> {
    ["createTimestamp", "whenCreated"].iter().find_map(|name| generalized_time(attributes.text(name)?))
}

/// Active Directory's `ADS_UF_ACCOUNTDISABLE`, of userAccountControl.
const ACCOUNT_DISABLED: i64 = 0x2;

/// Whether the directory has disabled the account: bit 2 of AD's userAccountControl, AD LDS's msDS-UserAccountDisabled, or
/// 389 Directory Server's nsAccountLock.
pub(crate) fn is_disabled(attributes: &Attributes) -> bool {
    let is_true = |name: &str| attributes.text(name).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
    let control = attributes.text("userAccountControl").and_then(|text| text.trim().parse::<i64>().ok());
    control.is_some_and(|control| control & ACCOUNT_DISABLED != 0) || is_true("msDS-UserAccountDisabled") || is_true("nsAccountLock")
}

fn held(faults: &mut Vec<HeldFault>, attribute: &str, value: &str, fault: super::grammar::LineFault) {
    faults.push(HeldFault::new(Arc::from(attribute), value, fault));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::object::shown;

    /// `attribute: value` lines in; `setting (attribute) values` and faults out.
    fn check(lines: &[&str], expect: &[&str]) {
        let attributes: Attributes =
            lines.iter().map(|line| line.split_once(": ").map(|(name, value)| (name, value.as_bytes().to_vec())).unwrap()).collect();
        let config = IdentityConfig::default();
        let mut faults = Vec::new();
        let mut given = Vec::new();
        if let Some((primary, aor)) = addresses(&config, &attributes, &mut faults) {
            given.push(aor);
            others(&config, &attributes, primary.domain(), &mut faults, &mut |other| given.push(other));
        }
        let mut out: Vec<String> = given.iter().map(|g| format!("{} ({}) {}", g.setting, g.attribute, shown(&g.values))).collect();
        out.extend(faults.iter().map(|f| format!("{} {}: {}", f.fault.code, f.attribute, f.value)));
        assert_eq!(out, expect, "{lines:?}");
    }

    #[test]
    fn the_address_comes_from_the_first_attribute_that_has_one() {
        check(&["mail: anna@corp.example"], &["account.aor (mail) sip:anna@corp.example"]);
        check(
            &["mail: anna@corp.example", "proxyAddresses: SMTP:anna@corp.example", "proxyAddresses: x500:/o=corp"],
            &["account.aor (mail) sip:anna@corp.example"],
        );
        check(
            &["mail: a@corp.example", "proxyAddresses: smtp:a@corp.example", "proxyAddresses: SIP:anna@corp.example"],
            &["account.aor (proxyAddresses) sip:anna@corp.example"],
        );
        check(
            &[
                "mail: a@corp.example",
                "msRTCSIP-PrimaryUserAddress: sip:b@corp.example",
                "SIPIdentitySIPURI: sip:d@x",
                "SIPIdentitySIPURI: sip:c@x",
            ],
            &["account.aor (SIPIdentitySIPURI) sip:c@x, sip:d@x"],
        );
        check(&["cn: Anna"], &[]);
        check(
            &["SIPIdentitySIPURI: sip:anna", "mail: anna@corp.example"],
            &["account.aor (mail) sip:anna@corp.example", "identity.aor SIPIdentitySIPURI: sip:anna"],
        );
    }

    #[test]
    fn telephone_numbers() {
        let check = |number: &str, expect: &str| {
            check(
                &["mail: a@corp.example:5070", &format!("telephoneNumber: {number}")],
                &["account.aor (mail) sip:a@corp.example:5070", &format!("account.tel (telephoneNumber) {expect}")],
            );
        };
        check("+49 30 1234-567", "tel:+49301234567");
        check("+49 (0)30/1234.567", "tel:+49301234567");
        check("+1 555 123 4567 x89", "tel:+15551234567;ext=89");
        check("+1 555 123 4567 Ext. 89", "tel:+15551234567;ext=89");
        check("tel:+4930", "tel:+4930");
        check("(030) 1234", "tel:0301234;phone-context=corp.example");
        check("1234", "tel:1234;phone-context=corp.example");
    }

    #[test]
    fn numbers_of_both_attributes_and_none_twice() {
        check(
            &[
                "mail: a@x.example",
                "ipPhone: 77",
                "ipPhone: sip:a@x.example",
                "telephoneNumber: +49 31",
                "telephoneNumber: +49 30",
                "ipPhone: +49-30",
            ],
            &["account.aor (mail) sip:a@x.example", "account.tel (telephoneNumber) tel:+4930, tel:+4931, tel:77;phone-context=x.example"],
        );
    }

    #[test]
    fn names_and_h350() {
        check(
            &[
                "mail: a@x.example",
                "cn: Anna W",
                "displayName: Anna Weber",
                "SIPIdentityUserName: aweber",
                "SIPIdentityRegistrarAddress: reg.corp.example:5061",
                "SIPIdentityProxyAddress: sips:ber1.corp.example",
                "SIPIdentityProxyAddress: no host",
            ],
            &[
                "account.aor (mail) sip:a@x.example",
                "account.display-name (displayName) Anna Weber",
                "account.auth-user (SIPIdentityUserName) aweber",
                "sip.registrar (SIPIdentityRegistrarAddress) 10 0 sip:reg.corp.example:5061",
                "sip.outbound-proxy (SIPIdentityProxyAddress) 10 0 sips:ber1.corp.example",
                "identity.server SIPIdentityProxyAddress: no host",
            ],
        );
    }

    #[test]
    fn age() {
        let attributes: Attributes = [("whenCreated", b"19700101000001.0Z".to_vec())].into_iter().collect();
        assert_eq!(created(&attributes), Some(1000));
        assert_eq!(created(&Attributes::new()), None);
    }

    proptest::proptest! {
        /// What is taken for canonical at first sight is what the parser gives back.
        #[test]
        fn plain_is_canonical(user in "[A-Za-z0-9._~-]{0,6}", host in "[a-zA-Z0-9.-]{0,12}", digits in "[0-9-]{0,34}") {
            let (sip, tel) = (format!("sip:{user}@{host}"), format!("tel:+{digits}"));
            if is_plain(&sip) {
                proptest::prop_assert_eq!(ValueKind::SipUri.parse(&sip), Ok(Value::Uri(sip.into())));
            }
            if is_plain_tel(&tel) {
                proptest::prop_assert_eq!(ValueKind::TelUri.parse(&tel), Ok(Value::Uri(tel.into())));
            }
        }
    }
}
