//! Parameters behind a semicolon: of header fields and of URIs.

use std::borrow::Cow;
use std::fmt;

use super::scan;

/// The `;name=value` list of a header field or a URI, as it is written.
///
/// Names are compared without regard to case (RFC 3261 §7.3.1), so `TAG=` is `tag=`. Of two parameters of one name the first counts.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a>(&'a str);

/// One parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name as it is written.
    pub name: &'a str,
    /// The value as it is written, quotes and escapes included; `None` when there is no `=`.
    pub value: Option<&'a str>,
}

impl<'a> Params<'a> {
    /// The list that the text holds; the text is empty or begins with a semicolon.
    pub(crate) const fn of(text: &'a str) -> Self {
        Self(text)
    }

    /// Every parameter in the order in which they are written.
    pub fn iter(self) -> impl Iterator<Item = Param<'a>> {
        let mut rest = self.0.strip_prefix(';');
        std::iter::from_fn(move || {
            let (first, after) = scan::split_outside(rest?, b';');
            rest = after;
            let (name, value) = match scan::cut(first, b'=') {
                Some((name, value)) => (name, Some(scan::trim(value))),
                None => (first, None),
            };
            Some(Param { name: scan::trim(name), value })
        })
    }

    /// The value of a parameter as it is written; `Some("")` when the parameter stands there without one.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter().find(|param| param.name.eq_ignore_ascii_case(name)).map(|param| param.value.unwrap_or_default())
    }

    /// The value of a parameter without its quotes.
    pub fn unquoted(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).map(scan::unquote)
    }

    /// Whether the parameter is there.
    pub fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The list as it is written, from the first semicolon on.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// RFC 3261 §25.1: `generic-param`. The name is a token; the value is a quoted string, or anything without white space, quotes and
    /// brackets: wider than `token / host`, because phones write base64 and paths there.
    ///
    /// RFC 3261 §7.3.1: a parameter stands there once at most. That is checked of `once`, by which readers know a dialog or a
    /// transaction: two of them, or one without a value, would be read in two ways.
    pub(crate) fn is_valid_in_header(self, once: &str) -> bool {
        let mut seen = false;
        self.iter().all(|param| {
            let is_again = param.name.eq_ignore_ascii_case(once) && (std::mem::replace(&mut seen, true) || param.value.is_none());
            let is_value = param.value.is_none_or(|value| match value.as_bytes() {
                [] => false,
                [b'"', ..] => scan::quoted_len(value) == Some(value.len()),
                other => scan::is_param_value(other),
            });
            is_value && !is_again && scan::is_token(param.name.as_bytes())
        })
    }

    /// RFC 3261 §25.1: `uri-parameter`. The characters are checked with the URI; here only that no name is empty.
    pub(crate) fn is_valid_in_uri(self) -> bool {
        self.iter().all(|param| !param.name.is_empty())
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case() {
        assert_eq!(Params::of(";TAG=1918").get("tag"), Some("1918"));
    }

    #[test]
    fn quoted_values() {
        let params = Params::of(r#";vendor="snom;corp";model="a\";b" ; version = 7"#);
        assert_eq!(params.unquoted("vendor").as_deref(), Some("snom;corp"));
        assert_eq!(params.unquoted("model").as_deref(), Some(r#"a";b"#));
        assert_eq!(params.get("version"), Some("7"));
        assert_eq!(params.iter().count(), 3);
    }

    #[test]
    fn values_with_brackets() {
        let params = Params::of(r#";+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>";reg-id=1"#);
        assert!(params.is_valid_in_header(""));
        assert_eq!(params.unquoted("+SIP.Instance").as_deref(), Some("<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"));
        assert_eq!(params.get("reg-id"), Some("1"));
    }

    #[test]
    fn once_and_with_a_value() {
        for (text, expect) in
            [("", true), (";x", true), (";tag=1;x", true), (";TAG", false), (";tag=1;Tag=2", false), (";tag;tag=1", false)]
        {
            assert_eq!(Params::of(text).is_valid_in_header("tag"), expect, "{text}");
        }
    }

    #[test]
    fn valid_and_invalid() {
        for text in ["", ";lr", ";a=b;c", ";r=[2001:db8::1]", "; a\r\n = \"\"", ";k=YWJj/+=="] {
            assert!(Params::of(text).is_valid_in_header("tag"), "{text}");
        }
        for text in [";", ";;", ";a=", ";=b", ";a b=c", ";a=b c", ";a=\"b", ";a=\"b\"c", ";a=<b>"] {
            assert!(!Params::of(text).is_valid_in_header("tag"), "{text}");
        }
    }
}
