//! Answers to requests: how large they may be, and what every one of them says.

use std::borrow::Cow;

use crate::sip::{Message, Name, Path, Refusal, Response, Transport};

/// An answer before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// What it says, and whether it must.
    fields: Vec<(Name<'static>, Cow<'static, str>, bool)>,
}

impl Answer {
    pub(super) const fn new(status: u16) -> Self {
        Self { status, fields: Vec::new() }
    }

    /// Something that it must say.
    #[must_use]
    pub(super) fn with(mut self, name: Name<'static>, value: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push((name, value.into(), true));
        self
    }

    /// Something that it says if there is room.
    #[must_use]
    pub(super) fn with_extra(mut self, name: Name<'static>, value: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push((name, value.into(), false));
        self
    }

    /// Writes it. `source`: where the request came from.
    pub(super) fn encode(&self, request: &Message<'_>, source: &Path, to_tag: &str) -> Vec<u8> {
        self.write(request, source, to_tag, true)
    }

    /// Writes it in no more octets than the request had, or not at all: over UDP the source may be forged, and whoever it names
    /// must not get more for it than the forger spent.
    pub(super) fn encode_within(&self, limit: usize, request: &Message<'_>, source: &Path, to_tag: &str) -> Option<Vec<u8>> {
        let full = self.write(request, source, to_tag, true);
        if full.len() <= limit {
            return Some(full);
        }
        let shorter = [true, false].into_iter().map(|with_extras| shorten(&self.write(request, source, to_tag, with_extras)));
        shorter.into_iter().find(|bytes| bytes.len() <= limit)
    }

    fn write(&self, request: &Message<'_>, source: &Path, to_tag: &str, with_extras: bool) -> Vec<u8> {
        let response = Response::to(request, self.status, "").via_received(source.remote).to_tag(to_tag);
        let fields = self.fields.iter().filter(|(_, _, must)| *must || with_extras);
        fields.fold(response, |response, (name, value, _)| response.header(*name, value)).encode()
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let answer = Self::new(refusal.status);
        match refusal.header {
            Some((name, value)) => answer.with(name, value),
            None => answer,
        }
    }
}

/// Where the answer to a request goes.
pub(super) fn reply_path(from: Path, request: &Message<'_>) -> Path {
    match from.transport {
        // RFC 3261 §18.2.2, RFC 3581 §4.
        Transport::Udp => Path { remote: request.reply_address(from.remote).unwrap_or(from.remote), ..from },
        // RFC 3261 §18.2.2: on the connection that the request came by.
        _ => from,
    }
}

/// The compact forms of RFC 3261 §7.3.3, and no space after the colon.
fn shorten(message: &[u8]) -> Vec<u8> {
    const SHORT: [(&[u8], &[u8]); 7] = [
        (b"Via", b"v"),
        (b"From", b"f"),
        (b"To", b"t"),
        (b"Call-ID", b"i"),
        (b"Content-Length", b"l"),
        (b"Allow-Events", b"u"),
        (b"Contact", b"m"),
    ];
    let mut out = Vec::with_capacity(message.len());
    for (index, line) in message.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let colon = line.iter().position(|byte| *byte == b':').filter(|_| index > 0);
        let Some((name, value)) = colon.and_then(|at| line.split_at_checked(at)) else {
            out.extend_from_slice(line);
            continue;
        };
        out.extend_from_slice(SHORT.iter().find(|(long, _)| *long == name).map_or(name, |(_, short)| short));
        out.push(b':');
        out.extend_from_slice(value.strip_prefix(b": ").or_else(|| value.strip_prefix(b":")).unwrap_or(value));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"OPTIONS sip:corp.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bK1\r\n\
        From: <sip:anna@corp.example>;tag=1\r\nTo: <sip:corp.example>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";

    #[test]
    fn no_more_than_the_limit() {
        let request = Message::parse(REQUEST).unwrap();
        let source = Path {
            transport: Transport::Udp,
            local: "192.0.2.9:5060".parse().unwrap(),
            remote: "198.51.100.7:5059".parse().unwrap(),
            connection: None,
        };
        let answer = Answer::new(405).with(Name::Allow, "SUBSCRIBE, OPTIONS").with_extra(Name::AllowEvents, "ua-profile");
        let at = |limit| answer.encode_within(limit, &request, &source, "t").map(|bytes| String::from_utf8(bytes).unwrap());
        let full = at(1000).unwrap();
        insta::assert_snapshot!(full.replace("\r\n", "\n"), @r"
        SIP/2.0 405 Method Not Allowed
        Via: SIP/2.0/UDP 192.0.2.1:5070;rport=5059;branch=z9hG4bK1;received=198.51.100.7
        From: <sip:anna@corp.example>;tag=1
        To: <sip:corp.example>;tag=t
        Call-ID: 1
        CSeq: 1 OPTIONS
        Allow: SUBSCRIBE, OPTIONS
        Allow-Events: ua-profile
        Content-Length: 0
        ");
        let compact = at(full.len() - 1).unwrap();
        assert!(compact.contains("\r\nu:ua-profile\r\n"), "the same in fewer octets: {compact}");
        let short = at(compact.len() - 1).unwrap();
        insta::assert_snapshot!(short.replace("\r\n", "\n"), @r"
        SIP/2.0 405 Method Not Allowed
        v:SIP/2.0/UDP 192.0.2.1:5070;rport=5059;branch=z9hG4bK1;received=198.51.100.7
        f:<sip:anna@corp.example>;tag=1
        t:<sip:corp.example>;tag=t
        i:1
        CSeq:1 OPTIONS
        Allow:SUBSCRIBE, OPTIONS
        l:0
        ");
        assert_eq!(at(short.len()).as_deref(), Some(short.as_str()));
        assert_eq!(at(short.len() - 1), None);
        assert!(Message::parse(short.as_bytes()).is_ok());
    }
}
