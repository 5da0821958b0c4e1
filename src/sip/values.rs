//! Values of the header fields that events and negotiation use.

use std::borrow::Cow;

use super::error::Flaw;
use super::nameaddr::header_params;
use super::{Params, scan};

/// Event (RFC 6665 §8.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The package with its templates, as it is written.
    pub package: &'a str,
    /// The parameters.
    pub params: Params<'a>,
}

/// Subscription-State (RFC 6665 §8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionState<'a> {
    /// `active`, `pending`, `terminated`, or an extension.
    pub state: &'a str,
    /// The parameters.
    pub params: Params<'a>,
}

/// One media range of Accept, or the type of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaType<'a> {
    /// `type/subtype` as it is written; either may be `*` in Accept.
    pub kind: &'a str,
    /// The parameters.
    pub params: Params<'a>,
}

/// A token, and parameters.
fn token_and_params(text: &str) -> Result<(&str, Params<'_>), Flaw> {
    let (token, rest) = scan::until(text, b';');
    let token = scan::trim(token);
    if scan::is_token(token.as_bytes()) { Ok((token, header_params(rest, "")?)) } else { Err(Flaw::Token) }
}

impl<'a> Event<'a> {
    /// Takes a value apart.
    pub fn parse(text: &'a str) -> Result<Self, Flaw> {
        let (package, params) = token_and_params(text)?;
        Ok(Self { package, params })
    }

    /// RFC 6665 §8.2.1: the `id`, compared octet by octet.
    pub fn id(&self) -> Option<&'a str> {
        self.params.get("id")
    }

    /// A parameter without quotes: RFC 6080 §6.2 makes `profile-type` a token, and every phone quotes it.
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        self.params.unquoted(name)
    }
}

impl<'a> SubscriptionState<'a> {
    /// Takes a value apart.
    pub fn parse(text: &'a str) -> Result<Self, Flaw> {
        let (state, params) = token_and_params(text)?;
        Ok(Self { state, params })
    }

    /// Whether the subscription is over.
    pub fn is_terminated(&self) -> bool {
        self.state.eq_ignore_ascii_case("terminated")
    }

    /// Why it is over.
    pub fn reason(&self) -> Option<&'a str> {
        self.params.get("reason")
    }

    /// Seconds that are left.
    pub fn expires(&self) -> Option<u32> {
        self.params.get("expires").and_then(scan::digits)
    }

    /// Seconds after which to try again.
    pub fn retry_after(&self) -> Option<u32> {
        self.params.get("retry-after").and_then(scan::digits)
    }
}

impl<'a> MediaType<'a> {
    /// Takes one element apart.
    pub fn parse(text: &'a str) -> Result<Self, Flaw> {
        let (kind, rest) = scan::until(text, b';');
        let kind = scan::trim(kind);
        let (main, sub) = scan::cut(kind, b'/').ok_or(Flaw::Token)?;
        if scan::is_token(scan::trim(main).as_bytes()) && scan::is_token(scan::trim(sub).as_bytes()) {
            Ok(Self { kind, params: header_params(rest, "")? })
        } else {
            Err(Flaw::Token)
        }
    }

    /// The two halves, without the white space that RFC 3261 §25.1 allows round the slash.
    pub fn halves(&self) -> (&'a str, &'a str) {
        scan::cut(self.kind, b'/').map_or((self.kind, ""), |(main, sub)| (scan::trim(main), scan::trim(sub)))
    }

    /// Whether it is this `type/subtype`.
    pub fn is(&self, kind: &str) -> bool {
        let (main, sub) = self.halves();
        scan::cut(kind, b'/').is_some_and(|(m, s)| main.eq_ignore_ascii_case(m) && sub.eq_ignore_ascii_case(s))
    }

    /// The weight in thousandths; 1000 where none is written, or where it is no number (RFC 3261 §25.1, qvalue).
    pub fn quality(&self) -> u16 {
        self.params.get("q").and_then(quality).unwrap_or(1000)
    }

    /// How closely the range names a `type/subtype`: 3 exactly, 2 by its type, 1 by `*/*`, 0 not at all.
    pub(crate) fn closeness(&self, kind: &str) -> u8 {
        let ((main, sub), (m, s)) = (self.halves(), scan::cut(kind, b'/').unwrap_or_default());
        match (main.eq_ignore_ascii_case(m), sub.eq_ignore_ascii_case(s)) {
            (true, true) => 3,
            (true, false) if sub == "*" => 2,
            (false, false) if (main, sub) == ("*", "*") => 1,
            _ => 0,
        }
    }
}

fn quality(text: &str) -> Option<u16> {
    let (whole, part) = scan::cut(text, b'.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = whole.bytes().chain(part.bytes()).chain(std::iter::repeat(b'0'));
    let thousandths = digits.take(4).fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_phones() {
        let text = r#"ua-profile;profile-type="device";vendor="snom;inc";model="snom 320";version="7.1.19";effective-by=0"#;
        let event = Event::parse(text).unwrap();
        assert_eq!(event.package, "ua-profile");
        assert_eq!(event.param("profile-type").as_deref(), Some("device"));
        assert_eq!(event.param("PROFILE-TYPE").as_deref(), Some("device"));
        assert_eq!((event.param("vendor").as_deref(), event.param("model").as_deref()), (Some("snom;inc"), Some("snom 320")));
        assert_eq!(Event::parse("ua-profile;profile-type=user;id=7").unwrap().id(), Some("7"));
        assert_eq!(Event::parse("presence.winfo").unwrap().package, "presence.winfo");
        for text in ["", ";id=1", "a b", "ua-profile;", "ua-profile;vendor=\"x", "ua-profile,presence"] {
            assert!(Event::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn subscription_states() {
        let state = SubscriptionState::parse("Terminated ; reason=probation;retry-after=30").unwrap();
        assert!(state.is_terminated());
        assert_eq!((state.reason(), state.retry_after(), state.expires()), (Some("probation"), Some(30), None));
        assert_eq!(SubscriptionState::parse("active;expires=599").unwrap().expires(), Some(599));
    }

    #[test]
    fn media_types() {
        let media = MediaType::parse("Application / SDP ;level=1;q=0.75").unwrap();
        assert!(media.is("application/sdp") && !media.is("application/pidf+xml"));
        assert_eq!((media.quality(), media.closeness("application/sdp")), (750, 3));
        let check = |range: &str, expect: u8| assert_eq!(MediaType::parse(range).unwrap().closeness("application/sdp"), expect, "{range}");
        check("*/*", 1);
        check("application/*", 2);
        check("text/*", 0);
        for (text, expect) in
            [("0", 0), ("0.5", 500), ("1.000", 1000), ("0.001", 1), ("2", 1000), ("1.5", 1000), ("x", 1000), ("0.1234", 1000)]
        {
            assert_eq!(MediaType::parse(&format!("a/b;q={text}")).unwrap().quality(), expect, "{text}");
        }
        for text in ["", "text", "text/", "/plain", "te xt/plain", "text/plain;", "a/b/c"] {
            assert!(MediaType::parse(text).is_err(), "{text}");
        }
    }
}
