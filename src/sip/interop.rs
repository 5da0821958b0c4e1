//! Conversions to and from `rsip`, for programs that use its types. Feature `rsip`.
//!
//! What `rsip` 0.4 cannot hold is an error here and never a silent change: it knows fourteen methods, cuts some URI parameters short,
//! and keeps header values only as text. On the way back its own `Display` is not used: that loses binary bodies and lets line
//! breaks through.
//!
//! A reason phrase does not survive: for a status that it knows, `rsip` has its own.

use rsip::headers::{UntypedHeader, untyped};
use rsip::{Header, SipMessage};
use thiserror::Error;

use super::{Kind, MalformedKind, Message, Method, Name, Uri, reason_phrase, scan, write};

/// What stands in the way of a conversion.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InteropError {
    /// `rsip` has no such method.
    #[error("rsip has no method {0}")]
    Method(String),
    /// `rsip` does not read this URI as what it is.
    #[error("rsip does not keep the URI {0}")]
    Uri(String),
    /// A header field whose value is not UTF-8.
    #[error("the value of {0} is not UTF-8")]
    Text(String),
    /// A header field whose name or value would not stay in its line.
    #[error("{0} is not one header field")]
    Field(String),
    /// What comes of the `rsip` message is no message.
    #[error("no message: {0}")]
    Malformed(MalformedKind),
}

/// A message in octets: what an `rsip` message becomes, and what goes on the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct Octets(Vec<u8>);

impl Octets {
    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The octets, taken.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The message that they are.
    pub fn message(&self) -> Result<Message<'_>, MalformedKind> {
        Message::parse(&self.0).map_err(|malformed| malformed.kind)
    }
}

/// Only how many there are: a message may hold credentials.
impl std::fmt::Debug for Octets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Octets({})", self.0.len())
    }
}

impl TryFrom<&Message<'_>> for SipMessage {
    type Error = InteropError;

    fn try_from(message: &Message<'_>) -> Result<Self, InteropError> {
        let headers: Vec<Header> = message.all_headers().map(|field| header(field.name, field.value)).collect::<Result<_, _>>()?;
        let (headers, body, version) = (headers.into(), message.body().to_vec(), rsip::Version::V2);
        Ok(match message.kind() {
            Kind::Request { method: name, uri: text } => {
                Self::Request(rsip::Request { method: method(name)?, uri: uri(text)?, version, headers, body })
            }
            Kind::Response { status, .. } => Self::Response(rsip::Response { status_code: status.into(), version, headers, body }),
        })
    }
}

impl TryFrom<&SipMessage> for Octets {
    type Error = InteropError;

    fn try_from(message: &SipMessage) -> Result<Self, InteropError> {
        let mut out = Vec::with_capacity(1024 + message.body().len());
        let headers = match message {
            SipMessage::Request(request) => {
                out.extend_from_slice(request.method.to_string().as_bytes());
                out.push(b' ');
                let uri = request.uri.to_string();
                Uri::parse(&uri).map_err(|_| InteropError::Uri(uri.clone()))?;
                out.extend_from_slice(uri.as_bytes());
                out.extend_from_slice(b" SIP/2.0\r\n");
                &request.headers
            }
            SipMessage::Response(response) => {
                let status = response.status_code.code();
                out.extend_from_slice(b"SIP/2.0 ");
                write::number(&mut out, u64::from(status));
                out.push(b' ');
                write::text(&mut out, reason_phrase(status));
                out.extend_from_slice(b"\r\n");
                &response.headers
            }
        };
        for header in headers.iter() {
            let shown;
            let (name, value) = match header {
                Header::Other(name, value) => (name.as_str(), value.as_str()),
                // The length is written anew: it is the body that counts.
                Header::ContentLength(_) => continue,
                known => {
                    shown = known.to_string();
                    shown.split_once(':').unwrap_or((&shown, ""))
                }
            };
            if Name::from(name) == Name::ContentLength {
                continue;
            }
            if write::field(&mut out, Name::from(name), scan::trim(value), &[]) > 0 {
                return Err(InteropError::Field(name.to_owned()));
            }
        }
        write::end(&mut out, message.body());
        let octets = Self(out);
        octets.message().map_err(InteropError::Malformed)?;
        Ok(octets)
    }
}

fn method(method: Method<'_>) -> Result<rsip::Method, InteropError> {
    Ok(match method {
        Method::Invite => rsip::Method::Invite,
        Method::Ack => rsip::Method::Ack,
        Method::Bye => rsip::Method::Bye,
        Method::Cancel => rsip::Method::Cancel,
        Method::Options => rsip::Method::Options,
        Method::Register => rsip::Method::Register,
        Method::Subscribe => rsip::Method::Subscribe,
        Method::Notify => rsip::Method::Notify,
        Method::Message => rsip::Method::Message,
        Method::Publish => rsip::Method::Publish,
        Method::Info => rsip::Method::Info,
        Method::Update => rsip::Method::Update,
        Method::Prack => rsip::Method::PRack,
        Method::Refer => rsip::Method::Refer,
        Method::Other(name) => return Err(InteropError::Method(name.to_owned())),
    })
}

/// `rsip` reads some URIs as less than they are (`;gr=urn:uuid:…` becomes `;gr=urn`): only what it gives back whole is let through. It
/// writes `transport=tcp` in upper case, which RFC 3261 §19.1.4 holds equal.
fn uri(text: &str) -> Result<rsip::Uri, InteropError> {
    let kept = rsip::Uri::try_from(text).ok().filter(|uri| uri.to_string().eq_ignore_ascii_case(text));
    kept.ok_or_else(|| InteropError::Uri(text.to_owned()))
}

macro_rules! headers {
    ($($name:literal $variant:ident,)*) => {
        /// RFC 3261 §7.3.1: `rsip` knows no folds and no compact forms, so values are unfolded and names spelled out.
        fn header(name: Name<'_>, value: &[u8]) -> Result<Header, InteropError> {
            let name = name.as_str();
            let mut unfolded = Vec::with_capacity(value.len());
            write::received(&mut unfolded, value);
            let value = String::from_utf8(unfolded).map_err(|_| InteropError::Text(name.to_owned()))?;
            $(if name.eq_ignore_ascii_case($name) {
                return Ok(Header::$variant(untyped::$variant::new(value)));
            })*
            Ok(Header::Other(name.to_owned(), value))
        }
    };
}

headers! {
    "Accept" Accept, "Accept-Encoding" AcceptEncoding, "Accept-Language" AcceptLanguage, "Alert-Info" AlertInfo, "Allow" Allow,
    "Authentication-Info" AuthenticationInfo, "Authorization" Authorization, "CSeq" CSeq, "Call-ID" CallId, "Call-Info" CallInfo,
    "Contact" Contact, "Content-Disposition" ContentDisposition, "Content-Encoding" ContentEncoding, "Content-Language" ContentLanguage,
    "Content-Length" ContentLength, "Content-Type" ContentType, "Date" Date, "Error-Info" ErrorInfo, "Event" Event, "Expires" Expires,
    "From" From, "In-Reply-To" InReplyTo, "Max-Forwards" MaxForwards, "MIME-Version" MimeVersion, "Min-Expires" MinExpires,
    "Organization" Organization, "Priority" Priority, "Proxy-Authenticate" ProxyAuthenticate, "Proxy-Authorization" ProxyAuthorization,
    "Proxy-Require" ProxyRequire, "Record-Route" RecordRoute, "Reply-To" ReplyTo, "Require" Require, "Retry-After" RetryAfter,
    "Route" Route, "Server" Server, "Subject" Subject, "Subscription-State" SubscriptionState, "Supported" Supported,
    "Timestamp" Timestamp, "To" To, "Unsupported" Unsupported, "User-Agent" UserAgent, "Via" Via, "Warning" Warning,
    "WWW-Authenticate" WwwAuthenticate,
}

#[cfg(test)]
mod tests {
    use rsip::message::{HasHeaders, HeadersExt};

    use super::*;

    const NOTIFY: &[u8] = b"NOTIFY sip:anna@192.0.2.1:5059;transport=tcp SIP/2.0\r\nv: SIP/2.0/TCP 192.0.2.9:5060;branch=z9hG4bK%41\r\n\
        Max-Forwards: 70\r\nf: <sip:anna@corp.example>;tag=s\r\nTo: \"Anna\"\r\n <sip:anna@corp.example>;tag=p\r\nCall-ID: 1\r\n\
        CSeq: 2 NOTIFY\r\nEvent: ua-profile\r\nSubscription-State: active;expires=9\r\nX-Extra: \xc3\xbc\r\nl: 5\r\n\r\n\x00\xff\r\n\x80";

    #[test]
    fn there_and_back() {
        let ours = Message::parse(NOTIFY).unwrap();
        let theirs = SipMessage::try_from(&ours).unwrap();
        assert_eq!(theirs.call_id_header().unwrap().value(), "1");
        assert_eq!(theirs.to_header().unwrap().value(), "\"Anna\" <sip:anna@corp.example>;tag=p");
        assert_eq!(theirs.body(), b"\x00\xff\r\n\x80");
        let octets = Octets::try_from(&theirs).unwrap();
        insta::assert_snapshot!(String::from_utf8_lossy(octets.as_bytes()).replace("\r\n", "\n").replace('\0', "\\0"), @r#"
        NOTIFY sip:anna@192.0.2.1:5059;transport=TCP SIP/2.0
        Via: SIP/2.0/TCP 192.0.2.9:5060;branch=z9hG4bK%41
        Max-Forwards: 70
        From: <sip:anna@corp.example>;tag=s
        To: "Anna" <sip:anna@corp.example>;tag=p
        Call-ID: 1
        CSeq: 2 NOTIFY
        Event: ua-profile
        Subscription-State: active;expires=9
        X-Extra: ü
        Content-Length: 5

        \0�
        �
        "#);
        let back = octets.message().unwrap();
        assert_eq!((back.method(), back.cseq(), back.body()), (ours.method(), ours.cseq(), ours.body()));
        assert_eq!(back.via().unwrap().branch(), Some("z9hG4bK%41"));
        assert!(!format!("{octets:?}").contains("anna"));
        assert_eq!(SipMessage::try_from(&back).unwrap().headers().iter().count(), theirs.headers().iter().count());
    }

    #[test]
    fn every_method_and_a_response() {
        for name in "INVITE ACK BYE CANCEL OPTIONS REGISTER SUBSCRIBE NOTIFY MESSAGE PUBLISH INFO UPDATE PRACK REFER".split(' ') {
            let bytes = String::from_utf8_lossy(NOTIFY).replace("NOTIFY", name).replace("l: 5", "l: 0").into_bytes();
            let theirs = SipMessage::try_from(&Message::parse(&bytes).unwrap()).unwrap();
            assert_eq!(Octets::try_from(&theirs).unwrap().message().unwrap().method(), Some(Method::parse(name)));
        }
        let bytes =
            String::from_utf8_lossy(NOTIFY).replacen("NOTIFY sip:anna@192.0.2.1:5059;transport=tcp SIP/2.0", "SIP/2.0 481 Gone fishing", 1);
        let bytes = bytes.replace("l: 5", "l: 0").into_bytes();
        let theirs = SipMessage::try_from(&Message::parse(&bytes).unwrap()).unwrap();
        let octets = Octets::try_from(&theirs).unwrap();
        assert_eq!(octets.message().unwrap().kind(), Kind::Response { status: 481, reason: "Call/Transaction Does Not Exist" });
    }

    #[test]
    fn what_rsip_cannot_hold() {
        let check = |from: &str, to: &str, expect: InteropError| {
            let text = String::from_utf8_lossy(NOTIFY).replace('\u{fc}', "u").replace(from, to).replace("l: 5", "l: 0");
            // In Latin-1, as old phones write.
            let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
            let message = Message::parse(&bytes).unwrap();
            assert_eq!(SipMessage::try_from(&message).unwrap_err(), expect);
        };
        check("NOTIFY", "NOTIFYX", InteropError::Method("NOTIFYX".into()));
        check("sip:anna@192.0.2.1:5059", "tel:+4930", InteropError::Uri("tel:+4930;transport=tcp".into()));
        check(":5059;", ";gr=urn:uuid:1;", InteropError::Uri("sip:anna@192.0.2.1;gr=urn:uuid:1;transport=tcp".into()));
        check("192.0.2.1:", "[2001:db8::1]:", InteropError::Uri("sip:anna@[2001:db8::1]:5059;transport=tcp".into()));
        check("X-Extra: ", "X-Extra: é", InteropError::Text("X-Extra".into()));
    }

    #[test]
    fn what_comes_back_cannot_break_out() {
        let theirs = SipMessage::try_from(&Message::parse(NOTIFY).unwrap()).unwrap();
        let with = |header: Header| {
            let mut theirs = theirs.clone();
            theirs.headers_mut().push(header);
            Octets::try_from(&theirs)
        };
        let field = |name: &str| Err(InteropError::Field(name.into()));
        assert_eq!(with(Header::Subject(untyped::Subject::new("hi\r\nX-Evil: 1"))), field("Subject"));
        assert_eq!(with(Header::Other("X-A\r\nX-Evil".into(), "1".into())), field("X-A\r\nX-Evil"));
        assert_eq!(with(Header::Other("X-A: X-Evil".into(), "1".into())), field("X-A: X-Evil"));
        assert_eq!(with(Header::Other("content-length".into(), "99".into())).unwrap().message().unwrap().body().len(), 5);
        let mut lacking = theirs.clone();
        lacking.headers_mut().retain(|header| !matches!(header, Header::From(_)));
        assert!(matches!(Octets::try_from(&lacking), Err(InteropError::Malformed(MalformedKind::Header(_)))));
    }
}
