//! What a user agent checks before it looks at what a request wants (RFC 3261 §8.2), and what it drops of responses (§8.1.3).

use std::fmt;

use super::error::Flaw;
use super::{HeaderError, Message, Method, Name, Scheme};

/// What an element understands. An empty list understands nothing of its kind.
#[derive(Debug, Clone, Copy)]
pub struct Support<'s> {
    /// Methods that it serves.
    pub methods: &'s [Method<'s>],
    /// URI schemes that it serves in a request URI.
    pub schemes: &'s [Scheme<'s>],
    /// Extensions that a request may require, by their option tags.
    pub extensions: &'s [&'s str],
    /// Types of bodies that it reads; `None` reads no body and takes any (RFC 6080 §6.5 ignores the body of a SUBSCRIBE).
    pub reads: Option<&'s [&'s str]>,
    /// Types of bodies that it sends, of which a request's Accept must allow one.
    pub sends: &'s [&'s str],
}

/// A request that is well-formed and still not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status to answer with.
    pub status: u16,
    /// What the answer says besides its status: Allow, Unsupported, Accept.
    pub header: Option<(Name<'static>, String)>,
    /// What is wrong, when it is a header field.
    pub error: Option<HeaderError>,
}

impl Refusal {
    const fn of(status: u16) -> Self {
        Self { status, header: None, error: None }
    }

    fn list<'t>(status: u16, name: Name<'static>, texts: impl Iterator<Item = &'t str>) -> Self {
        let list = texts.fold(String::new(), |list, text| if list.is_empty() { text.to_owned() } else { list + ", " + text });
        Self { status, header: Some((name, list)), error: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(f, "{} ({error})", self.status),
            None => write!(f, "{} {}", self.status, super::reason_phrase(self.status)),
        }
    }
}

impl From<HeaderError> for Refusal {
    fn from(error: HeaderError) -> Self {
        Self { error: Some(error), ..Self::of(400) }
    }
}

impl Support<'_> {
    /// Goes through RFC 3261 §8.2 in its order, without a transaction or a dialog: method, request URI, header fields, required
    /// extensions, body, and the types that the answer may have.
    ///
    /// # Errors
    ///
    /// The answer that is due.
    pub fn check(&self, message: &Message<'_>) -> Result<(), Refusal> {
        let Some(method) = message.method() else { return Ok(()) };
        if !self.methods.contains(&method) {
            // RFC 3261 §8.2.1, §21.5.2: 405 for a method that is known but not served here, 501 for one that nobody knows.
            let allow = |status| Refusal::list(status, Name::Allow, self.methods.iter().map(|method| method.as_str()));
            return Err(allow(if method.is_known() { 405 } else { 501 }));
        }
        let uri = message.request_uri().map_err(|_| Refusal::of(400))?;
        if !self.schemes.contains(&uri.scheme) {
            // RFC 3261 §8.2.2.1.
            return Err(Refusal::of(416));
        }
        if uri.headers.is_some() {
            // RFC 3261 §19.1.1: a request URI has no header fields (RFC 4475 §3.1.2.11).
            return Err(Refusal::of(400));
        }
        check_values(message)?;
        if method == Method::Register && !message.to()?.uri.is_sip() {
            // RFC 3261 §10.2: an address of record is a SIP or SIPS URI (RFC 4475 §3.3.4).
            return Err(HeaderError::new(Name::To, Flaw::Address).into());
        }
        self.check_extensions(message, method)?;
        self.check_body(message)?;
        self.check_accept(message)
    }

    /// RFC 3261 §8.2.2.3: Proxy-Require is for proxies; CANCEL and ACK are served whatever they require.
    fn check_extensions(&self, message: &Message<'_>, method: Method<'_>) -> Result<(), Refusal> {
        let unknown = |tag: &&str| !self.extensions.iter().any(|known| known.eq_ignore_ascii_case(tag));
        if matches!(method, Method::Ack | Method::Cancel) || !message.require().any(|tag| unknown(&tag)) {
            return Ok(());
        }
        Err(Refusal::list(420, Name::Unsupported, message.require().filter(unknown)))
    }

    /// RFC 3261 §8.2.3.
    fn check_body(&self, message: &Message<'_>) -> Result<(), Refusal> {
        let Some(types) = self.reads.filter(|_| !message.body().is_empty()) else { return Ok(()) };
        match message.content_type()? {
            Some(kind) if types.iter().any(|known| kind.is(known)) => Ok(()),
            _ => Err(Refusal::list(415, Name::Accept, types.iter().copied())),
        }
    }

    /// RFC 3261 §21.4.7. Without Accept every type will do: what it then means is up to the method and the event package.
    fn check_accept(&self, message: &Message<'_>) -> Result<(), Refusal> {
        let refuses = |kind: &&str| message.accepts(kind) == Some(0);
        if self.sends.is_empty() || !self.sends.iter().all(refuses) { Ok(()) } else { Err(Refusal::of(406)) }
    }
}

/// The fields that every request may have and that would be misread if they were broken.
fn check_values(message: &Message<'_>) -> Result<(), HeaderError> {
    message.max_forwards()?;
    message.expires()?;
    message.event()?;
    message.content_type()?;
    message.subscription_state()?;
    for name in [Name::Route, Name::RecordRoute] {
        message.addresses(name).try_for_each(|address| address.map(drop))?;
    }
    if message.is_contact_star() {
        return Ok(());
    }
    message.contacts().try_for_each(|contact| contact.map(drop))
}

/// RFC 3261 §8.1.3.3: a response that has been sent somewhere else too, by its Vias, is not ours. It is dropped, never answered.
pub fn check_response(message: &Message<'_>) -> Result<(), HeaderError> {
    if message.headers(Name::Via).nth(1).is_some() { Err(HeaderError::new(Name::Via, Flaw::Repeated)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUPPORT: Support<'static> = Support {
        methods: &[Method::Subscribe, Method::Register, Method::Cancel],
        schemes: &[Scheme::Sip, Scheme::Sips],
        extensions: &["gruu"],
        reads: Some(&["text/plain"]),
        sends: &["application/xml", "application/json"],
    };

    #[test]
    fn answers() {
        let check = |method: &str, uri: &str, extra: &str, expect: &str| {
            let text = format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@x>\r\nTo: <sip:x>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n{extra}\r\n"
            );
            let found = match SUPPORT.check(&Message::parse(text.as_bytes()).unwrap()) {
                Ok(()) => "ok".to_owned(),
                Err(refusal) => match &refusal.header {
                    Some((name, value)) => format!("{refusal}; {name}: {value}"),
                    None => refusal.to_string(),
                },
            };
            assert_eq!(found, expect, "{method} {uri} {extra}");
        };
        check("SUBSCRIBE", "sips:x", "", "ok");
        check("PUBLISH", "sip:x", "", "405 Method Not Allowed; Allow: SUBSCRIBE, REGISTER, CANCEL");
        check("FROBNICATE", "sip:x", "", "501 Not Implemented; Allow: SUBSCRIBE, REGISTER, CANCEL");
        check("SUBSCRIBE", "tel:+49301234", "", "416 Unsupported URI Scheme");
        check("SUBSCRIBE", "sip:x?Route=%3Csip:y%3E", "", "400 Bad Request");
        check("SUBSCRIBE", "sip:x", "Expires: soon\r\n", "400 (Expires: no valid number)");
        check("SUBSCRIBE", "sip:x", "Max-Forwards: 300\r\n", "400 (Max-Forwards: no valid number)");
        check("SUBSCRIBE", "sip:x", "Event: a b\r\n", "400 (Event: not a token)");
        check("SUBSCRIBE", "sip:x", "Contact: <sip:a@x>, sip:b@x?y\r\n", "400 (Contact: a URI that needs <>)");
        check("SUBSCRIBE", "sip:x", "Record-Route: <sip:a>, oops\r\n", "400 (Record-Route: no scheme)");
        check("REGISTER", "sip:x", "Contact: *\r\n", "ok");
        check("SUBSCRIBE", "sip:x", "Require: GRUU\r\nProxy-Require: x\r\n", "ok");
        check("SUBSCRIBE", "sip:x", "Require: gruu, path\r\nRequire: outbound\r\n", "420 Bad Extension; Unsupported: path, outbound");
        check("CANCEL", "sip:x", "Require: path\r\n", "ok");
        check("SUBSCRIBE", "sip:x", "Accept: text/html, application/*;q=0.1\r\n", "ok");
        check("SUBSCRIBE", "sip:x", "Accept: text/html\r\n", "406 Not Acceptable");
        check("SUBSCRIBE", "sip:x", "Accept: application/xml;q=0, application/json;q=0\r\n", "406 Not Acceptable");
        check("SUBSCRIBE", "sip:x", "Accept:\r\n", "406 Not Acceptable");
        check("SUBSCRIBE", "sip:x", "Content-Type: TEXT/Plain;charset=utf-8\r\n\r\nhi", "ok");
        check("SUBSCRIBE", "sip:x", "Content-Type: application/sdp\r\n\r\nhi", "415 Unsupported Media Type; Accept: text/plain");
        check("SUBSCRIBE", "sip:x", "\r\nhi", "415 Unsupported Media Type; Accept: text/plain");
    }

    #[test]
    fn a_register_needs_an_address_of_record() {
        let text = "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@x>\r\nTo: isbn:2983792873\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n\r\n";
        let refusal = SUPPORT.check(&Message::parse(text.as_bytes()).unwrap()).unwrap_err();
        assert_eq!(refusal.to_string(), "400 (To: not an address)");
    }

    #[test]
    fn responses_that_went_elsewhere() {
        let text = |via: &str| format!("SIP/2.0 200 OK\r\n{via}From: <sip:a@x>\r\nTo: <sip:x>\r\nCall-ID: 1\r\nCSeq: 1 NOTIFY\r\n\r\n");
        let check = |via: &str| check_response(&Message::parse(text(via).as_bytes()).unwrap());
        assert_eq!(check("Via: SIP/2.0/UDP a\r\n"), Ok(()));
        assert!(check("Via: SIP/2.0/UDP a, SIP/2.0/UDP b\r\n").is_err());
        assert!(check("Via: SIP/2.0/UDP a\r\nv: SIP/2.0/UDP b\r\n").is_err());
    }
}
