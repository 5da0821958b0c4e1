//! `name-addr` and `addr-spec`: From, To, Contact, Route and their kin.

use std::borrow::Cow;

use super::error::Flaw;
use super::{Params, Uri, scan};

/// An address with an optional display name, and the parameters of the header field that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as it is written, with its quotes.
    pub display: Option<&'a str>,
    /// The URI.
    pub uri: Uri<'a>,
    /// The header field's parameters. Those of the URI stand in the URI.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Takes one address apart.
    pub fn parse(text: &'a str) -> Result<Self, Flaw> {
        let text = scan::trim(text);
        if text.starts_with('"') {
            let length = scan::quoted_len(text).ok_or(Flaw::Quote)?;
            let (display, rest) = text.split_at(length);
            let rest = scan::trim_start(rest).strip_prefix('<').ok_or(Flaw::Address)?;
            return Self::bracketed(Some(display), rest);
        }
        match scan::find_either(text.as_bytes(), b'<', b'"').map(|at| text.split_at(at)) {
            // RFC 3261 §25.1 wants tokens here; RFC 4475 §3.1.2.15 lets the reader supply the missing quotes, and phones need it to:
            // they write commas, brackets and UTF-8. LWS before `<` may be missing (RFC 4475 §3.1.1.6).
            Some((display, rest)) if rest.starts_with('<') => {
                let display = scan::trim(display);
                Self::bracketed((!display.is_empty()).then_some(display), rest.get(1..).unwrap_or_default())
            }
            // A quote further on belongs to a parameter, or nothing good will come of it.
            _ => Self::bare(text),
        }
    }

    fn bracketed(display: Option<&'a str>, rest: &'a str) -> Result<Self, Flaw> {
        let (uri, rest) = scan::cut(rest, b'>').ok_or(Flaw::Address)?;
        let uri = Uri::parse(uri).map_err(Flaw::Uri)?;
        Ok(Self { display, uri, params: header_params(rest, "tag")? })
    }

    /// RFC 3261 §20: without brackets, what follows a semicolon are parameters of the header field, and a URI with a comma or a
    /// question mark must have brackets.
    fn bare(text: &'a str) -> Result<Self, Flaw> {
        let (uri, rest) = scan::until(text, b';');
        if scan::find_either(uri.as_bytes(), b'?', b',').is_some() {
            return Err(Flaw::Brackets);
        }
        let uri = Uri::parse(scan::trim_end(uri)).map_err(Flaw::Uri)?;
        Ok(Self { display: None, uri, params: header_params(rest, "tag")? })
    }

    /// The display name without quotes and escapes.
    pub fn display_name(&self) -> Option<Cow<'a, str>> {
        self.display.map(scan::unquote)
    }

    /// The `tag` parameter. Phones that speak `PnP` leave it out of From.
    pub fn tag(&self) -> Option<&'a str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// A header parameter without its quotes.
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        self.params.unquoted(name)
    }
}

/// What follows an address, a token or a host: nothing, or parameters, `once` among them once at most.
pub(crate) fn header_params<'a>(rest: &'a str, once: &str) -> Result<Params<'a>, Flaw> {
    let rest = scan::trim(rest);
    if rest.is_empty() {
        return Ok(Params::default());
    }
    let params = Params::of(rest);
    if rest.starts_with(';') && params.is_valid_in_header(once) { Ok(params) } else { Err(Flaw::Parameter) }
}

#[cfg(test)]
mod tests {
    use super::super::UriError;
    use super::*;

    #[track_caller]
    fn check(text: &str, display: Option<&str>, uri: &str, params: &str) {
        let parsed = NameAddr::parse(text).unwrap();
        assert_eq!((parsed.display, parsed.uri.as_str(), parsed.params.as_str()), (display, uri, params), "{text}");
    }

    #[test]
    fn forms() {
        check("<sip:a@x>", None, "sip:a@x", "");
        check("sip:a@x;tag=1", None, "sip:a@x", ";tag=1");
        check("<sip:a@x;lr>;tag=1", None, "sip:a@x;lr", ";tag=1");
        check("Anna Berg <sip:a@x>", Some("Anna Berg"), "sip:a@x", "");
        check("caller<sip:a@x>;tag=1", Some("caller"), "sip:a@x", ";tag=1");
        check(r#""Berg; \"Anna\", <CEO>"<sip:a,y@x>;tag=1"#, Some(r#""Berg; \"Anna\", <CEO>""#), "sip:a,y@x", ";tag=1");
        check(r#"sip:a@x;p="<b>,;""#, None, "sip:a@x", r#";p="<b>,;""#);
        check("tel:+4930", None, "tel:+4930", "");
        check("\r\n sip:a@x ;\r\n   tag    = 19n", None, "sip:a@x", ";\r\n   tag    = 19n");
        check("Müller, A. (Sales) <sip:a@x>", Some("Müller, A. (Sales)"), "sip:a@x", "");
    }

    #[test]
    fn parts() {
        let to = NameAddr::parse("\"J \\\\\\\"\"  <sip:a@x>\r\n  ;\r\n  TAG = 98").unwrap();
        assert_eq!(to.display_name().as_deref(), Some(r#"J \""#));
        assert_eq!(to.tag(), Some("98"));
        assert_eq!(NameAddr::parse("<sip:a@x>").unwrap().tag(), None);
    }

    #[test]
    fn refused() {
        let check = |text: &str, expect: Flaw| assert_eq!(NameAddr::parse(text), Err(expect), "{text}");
        check("", Flaw::Uri(UriError::Scheme));
        check(r#""Mr. J. User <sip:a@x>"#, Flaw::Quote);
        check(r#""Anna""#, Flaw::Address);
        check(r#""Anna" sip:a@x"#, Flaw::Address);
        check("<sip:a@x", Flaw::Address);
        check("< sip:a@x >", Flaw::Uri(UriError::Scheme));
        check("<sip:a@x >", Flaw::Uri(UriError::Character));
        check("sip:a@x?Route=%3Csip:b%3E", Flaw::Brackets);
        check("sip:a@x,sip:b@x", Flaw::Brackets);
        check("<sip:a@x>;;;", Flaw::Parameter);
        check("<sip:a@x>tag=1", Flaw::Parameter);
        check("<sip:a@x>;tag=", Flaw::Parameter);
        check("*", Flaw::Uri(UriError::Scheme));
    }
}
